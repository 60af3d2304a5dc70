"""How many threads work at once: as many as BLAS may use, which whoever limits threads limits."""

from __future__ import annotations

from functools import lru_cache

from threadpoolctl import ThreadpoolController


def n_threads() -> int:
    """Return the number of threads that BLAS uses now.

    So OMP_NUM_THREADS, `threadpoolctl.threadpool_limits` and the workers of joblib are respected.
    """
    pools = _controller().select(user_api="blas").info()
    return max((pool["num_threads"] for pool in pools), default=1)


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries takes milliseconds, asking them none
