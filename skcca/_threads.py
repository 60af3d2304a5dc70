"""How many threads work at once: as many as BLAS may use, which whoever limits threads limits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

_LIMITED = threading.Lock()


def n_threads() -> int:
    """Return the number of threads that BLAS uses now.

    So OMP_NUM_THREADS, `threadpoolctl.threadpool_limits` and the workers of joblib are respected.
    """
    pools = _controller().select(user_api="blas").info()
    return max((pool["num_threads"] for pool in pools), default=1)


@contextmanager
def own_threads() -> Iterator[int]:
    """Give the number of threads to start, while matrix products use one each.

    Threads of BLAS would still be spinning while others want to work. One caller at a time limits
    them, and undoes it in the thread that did it: where a second caller is inside, it has one
    thread, and finds BLAS as it is.
    """
    if not _LIMITED.acquire(blocking=False):
        yield 1
        return
    try:
        n = n_threads()
        with _controller().limit(limits=1, user_api="blas"):
            yield n
    finally:
        _LIMITED.release()


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finding the libraries takes milliseconds, asking them none
