"""Ranking a gallery for every query, block by block, in several threads.

No result depends on the order of the gallery, on the sizes of the blocks or on the number of
threads. Scores that are equal in float32 are ties.

As many threads work as BLAS may use, so that OMP_NUM_THREADS, `threadpoolctl.threadpool_limits` and
the workers of joblib limit them too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import lru_cache, partial
from itertools import islice
from typing import TypeVar

import numpy as np
from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcca._core.warnings import warn
from skcca.metrics._measures import KINDS, Measure, RankedList, average_precisions
from skcca.metrics._preparation import Relevance, Retrieval

# Scores in one matrix product: 4 MiB.
BLOCK_SCORES = 2**19
# Fewer scores than these are ranked before a thread has started.
SINGLE_THREAD_SCORES = 2**17
# Scores ranked at once: 2 MiB stay in the cache, and keep a thread busy for long enough.
CACHED_SCORES = 2**18

# Adding and subtracting it rounds a float64 score to a multiple of 2**-42.
ROUNDING_SHIFT = 2.0**10
# Key of an item that is left out: behind the scores, which end at 1, and below 2, so that its bits
# may be shifted.
EXCLUDED = np.float32(1.5)
# Bits of a float32 without its sign.
MAGNITUDE = np.int32(0x7FFFFFFF)

_LIMITING_BLAS = threading.Lock()
Value = TypeVar("Value")


def score_queries(retrieval: Retrieval, measures: Sequence[Measure], caller: str) -> np.ndarray:
    """Return measures (n_queries, n_measures) of every query, nan for those left out.

    Where all items are relevant, only measures of gains have something to measure.
    """
    for measure in measures:
        if measure.k is not None and measure.k > retrieval.n_ranked:
            raise ValueError(
                f"{caller}: {measure.name!r} looks at {measure.k} items, but a ranked list has "
                f"{retrieval.n_ranked}; expected k of {retrieval.n_ranked} at most."
            )
        if len(retrieval.zero) and not measure.kind.greater_is_better:
            raise ValueError(
                f"{caller}: {len(retrieval.zero)} queries without a relevant item have no rank "
                f"that {measure.name!r} could count as 0; use no_relevant='omit' or 'raise'."
            )
    scores = np.full((len(retrieval.queries), len(measures)), np.nan)
    blind = [retrieval.all_relevant and not measure.kind.graded for measure in measures]
    if any(blind):
        names = ", ".join(m.name for m, is_blind in zip(measures, blind, strict=True) if is_blind)
        warn(
            f"{caller}: every item has a positive gain, hence is relevant, so that any ranking is "
            f"perfect by {names}: nan. Give items that are not relevant the gain 0, or measure "
            "'ndcg'."
        )
        if all(blind):
            return scores
    scores[retrieval.zero] = 0.0
    if [measure.kind for measure in measures] == [KINDS["map"]]:
        of_lists = partial(average_precisions, k=measures[0].k)
        scores[retrieval.measured, 0] = list(evaluate(retrieval, measures[0].value, of_lists))
        return scores
    rows = list(evaluate(retrieval, lambda ranked: [m.value(ranked) for m in measures]))
    if rows:
        scores[retrieval.measured] = np.where(blind, np.nan, rows)
    return scores


def overall_score(retrieval: Retrieval, measure: Measure, caller: str) -> float:
    """Return a measure of all queries but those left out; nan if there is none."""
    scores = score_queries(retrieval, [measure], caller)[:, 0]
    return measure.reduce(scores[~np.isnan(scores)])


def evaluate(
    retrieval: Retrieval,
    measure: Callable[[RankedList], Value],
    batch_measure: Callable[[np.ndarray], Iterable[Value]] | None = None,
) -> Iterator[Value]:
    """Yield a measure of the ranked list of each query to measure, in their order.

    The measure is called from several threads at once. Of one list it is so short that threads
    would wait for the interpreter lock at every call; `batch_measure` is the same measure of
    several lists (n_lists, n_gallery), and is used where relevance is not graded.

    A matrix product may give two identical gallery rows scores that differ in the last bit,
    depending on the columns they stand in. Rounding float64 to float32 makes them equal again,
    except around zero, where float32 is as fine as the noise: hence the absolute grid before it.
    """
    measured, n_gallery = retrieval.measured, len(retrieval.gallery)
    alone = retrieval.device or len(measured) * n_gallery <= SINGLE_THREAD_SCORES
    with nullcontext(1) if alone else limit_blas_threads() as n_workers:
        affordable = int(get_config()["working_memory"] * 2**20 / (8 * n_gallery * n_workers))
        n_rows = max(1, min(affordable, max(32, BLOCK_SCORES // n_gallery)))
        blocks = [measured[start : start + n_rows] for start in range(0, len(measured), n_rows)]
        ranked_blocks: Iterable[np.ndarray | None] = [None] * len(blocks)
        if retrieval.device and retrieval.max_abs_score == 1 and not retrieval.relevant.graded:
            ranked_blocks = _rank_on_gpu(retrieval, blocks)
        evaluate_block = partial(_evaluate_block, retrieval, measure, batch_measure)
        tasks = zip(blocks, ranked_blocks, strict=True)
        if n_workers == 1:
            for task in tasks:
                yield from evaluate_block(*task)
            return
        with ThreadPoolExecutor(n_workers) as pool:
            # No more blocks than workers at a time, which bounds the memory of their scores.
            while some := list(islice(tasks, n_workers)):
                for values in pool.map(evaluate_block, *zip(*some, strict=True)):
                    yield from values


def _evaluate_block(
    retrieval: Retrieval,
    measure: Callable[[RankedList], Value],
    batch_measure: Callable[[np.ndarray], Iterable[Value]] | None,
    queries: np.ndarray,
    ranked_block: np.ndarray | None,
) -> list[Value]:
    """Return a measure of each query of a block, after ranking it if it is not ranked yet."""
    if ranked_block is None:
        scores = retrieval.queries[queries] @ retrieval.gallery.T
        if retrieval.max_abs_score > 1:
            # It is logarithmic beyond 1, and around 0 as fine as before.
            np.arcsinh(scores, out=scores)
            scores /= np.arcsinh(retrieval.max_abs_score)
    n_at_once = max(1, CACHED_SCORES // len(retrieval.gallery))
    values: list[Value] = []
    for start in range(0, len(queries), n_at_once):
        part = slice(start, start + n_at_once)
        if retrieval.relevant.graded:
            values.extend(map(measure, _rank_with_gains(scores[part], retrieval, queries[part])))
            continue
        if ranked_block is None:
            ranked = _rank(scores[part], retrieval, queries[part])
        else:
            ranked = ranked_block[part]
        # An item that is left out stands last.
        ranked = ranked[:, : retrieval.n_ranked].view(np.uint32)
        values.extend(
            batch_measure(ranked) if batch_measure else map(measure, map(RankedList, ranked))
        )
    return values


def _rank_on_gpu(retrieval: Retrieval, blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the ranked lists of each block, as `_rank` returns them."""
    from skcca.nn.ranking import ranked_blocks

    assert retrieval.device is not None
    assert isinstance(retrieval.relevant, Relevance)
    return ranked_blocks(
        retrieval.queries,
        retrieval.gallery,
        retrieval.relevant.labels,
        blocks,
        retrieval.device,
        exclude_self=retrieval.exclude_self,
        rounding_shift=ROUNDING_SHIFT,
        excluded=float(EXCLUDED),
    )


def _rank(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Rank items, best first, with their relevance in the lowest bit, by one sort of integers."""
    ranked = _sort_keys(scores, retrieval, queries)
    # A score in [-2, 2] uses 31 of the 32 bits.
    ranked <<= 1
    ranked |= retrieval.relevant[queries]
    ranked.sort(axis=1)
    return ranked


def _rank_with_gains(
    scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray
) -> Iterator[RankedList]:
    """Rank items with their gains, by one sort of scores with the number of the item below them."""
    keys = _sort_keys(scores, retrieval, queries).astype(np.int64)
    keys <<= 32
    keys |= np.arange(scores.shape[1])
    keys.sort(axis=1)
    for query, row in zip(queries, keys[:, : retrieval.n_ranked], strict=True):
        gains = retrieval.relevant.gains(query)[row & 0xFFFFFFFF]
        ranked = (row >> 32).astype(np.int32) << 1
        ranked |= gains > 0
        yield RankedList(ranked.view(np.uint32), gains)


def _sort_keys(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return int32 sort keys: ascending for descending scores, equal where float32 is equal."""
    scores += ROUNDING_SHIFT
    negative = np.subtract(ROUNDING_SHIFT, scores, out=scores).astype(np.float32)
    if retrieval.exclude_self:
        negative[np.arange(len(queries)), queries] = EXCLUDED
    bits = negative.view(np.int32)
    # The bits of negative floats order backwards; after the subtraction no zero is negative.
    bits ^= (bits >> 31) & MAGNITUDE
    return bits


def n_blas_threads() -> int:
    pools = _controller().select(user_api="blas").info()
    return max((pool["num_threads"] for pool in pools), default=1)


@contextmanager
def limit_blas_threads() -> Iterator[int]:
    """Give the number of threads to start, while matrix products use one each.

    Threads of BLAS would still be spinning while others want to work. One caller at a time limits
    them, and undoes it in the thread that did it: where a second caller is inside, it has one
    thread, and finds BLAS as it is.
    """
    if not _LIMITING_BLAS.acquire(blocking=False):
        yield 1
        return
    try:
        n = n_blas_threads()
        with _controller().limit(limits=1, user_api="blas"):
            yield n
    finally:
        _LIMITING_BLAS.release()


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    # Finding the libraries takes milliseconds, asking them none.
    return ThreadpoolController()
