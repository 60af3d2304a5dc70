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

# Scores in one matrix product, and in the lists that are ranked at once: 4 MiB and 2 MiB.
BLOCK_SCORES = 2**19
# Fewer scores than these are ranked before a thread has started.
SINGLE_THREAD_SCORES = 2**17
# Times this a score of 2**-42 is 2**-149, the smallest number of float32.
SCALE = 2.0**-107
# Adding and subtracting it rounds a float64 score of either sign to a multiple of 2**-42, too.
ROUNDING_SHIFT = 1.5 * 2.0**10
# Key of an item that is left out, behind those of all scores.
EXCLUDED = 2**31 - 2

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
    except around zero, where float32 is as fine as the noise: hence scores are scaled to where
    float32 is denormal around zero, which is an absolute grid of 2**-42.
    """
    measured, n_gallery = retrieval.measured, len(retrieval.gallery)
    alone = retrieval.device or len(measured) * n_gallery <= SINGLE_THREAD_SCORES
    with nullcontext(1) if alone else limit_blas_threads() as n_workers:
        affordable = int(get_config()["working_memory"] * 2**20 / (8 * n_gallery * n_workers))
        # BLAS takes several rows at once, and is slow for those that are left over.
        n_rows = max(1, min(affordable, max(32, BLOCK_SCORES // n_gallery // 16 * 16)))
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
    keys = _sort_keys(retrieval, queries) if ranked_block is None else ranked_block
    n_at_once = max(1, BLOCK_SCORES // len(retrieval.gallery))
    values: list[Value] = []
    for start in range(0, len(queries), n_at_once):
        part = slice(start, start + n_at_once)
        if retrieval.relevant.graded:
            values.extend(map(measure, _rank_with_gains(keys[part], retrieval, queries[part])))
            continue
        if ranked_block is None:
            # All items of a query are ranked by one sort, with their relevance in the lowest bit.
            keys[part] |= retrieval.relevant[queries[part]]
            keys[part].sort(axis=1)
        # An item that is left out stands last.
        ranked = keys[part, : retrieval.n_ranked].view(np.uint32)
        values.extend(
            batch_measure(ranked) if batch_measure else map(measure, map(RankedList, ranked))
        )
    return values


def _rank_on_gpu(retrieval: Retrieval, blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the ranked lists of each block, best first, with relevance in the lowest bit."""
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
        excluded=EXCLUDED,
    )


def _rank_with_gains(
    keys: np.ndarray, retrieval: Retrieval, queries: np.ndarray
) -> Iterator[RankedList]:
    """Rank items with their gains, by one sort of keys with the number of the item below them."""
    rows = keys.astype(np.int64)
    rows <<= 32
    rows |= np.arange(rows.shape[1])
    rows.sort(axis=1)
    for query, row in zip(queries, rows[:, : retrieval.n_ranked], strict=True):
        gains = retrieval.relevant.gains(query)[row & 0xFFFFFFFF]
        ranked = (row >> 32).astype(np.int32)
        ranked |= gains > 0
        yield RankedList(ranked.view(np.uint32), gains)


def _sort_keys(retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return sort keys (n_queries, n_gallery), int32: ascending for descending scores, and even.

    They are equal where scores are equal in float32. A float32 is a sign and a magnitude m, which
    is below 2**30 here. As an integer it is m, or m - 2**31 if it is negative; hence twice the
    absolute value of the integer is 2 m, or -2 m modulo 2**32.
    """
    Q, G, bound = retrieval.queries[queries], retrieval.gallery, retrieval.max_abs_score
    keys = np.empty((len(Q), len(G)), dtype=np.int32)
    is_flushed = _flushes_denormal_numbers()
    scale = -1.0 if is_flushed else -SCALE
    Q = Q if bound > 1 else scale * Q
    n_columns = BLOCK_SCORES // len(Q)
    with np.errstate(under="ignore"):
        for start in range(0, len(G), n_columns):
            columns = slice(start, start + n_columns)
            scores = Q @ G[columns].T
            if bound > 1:
                # It is logarithmic beyond 1, and around 0 as fine as before.
                np.arcsinh(scores, out=scores)
                scores *= scale / np.arcsinh(bound)
            if is_flushed:
                scores += ROUNDING_SHIFT
                scores -= ROUNDING_SHIFT
            keys.view(np.float32)[:, columns] = scores
    np.abs(keys, out=keys)
    keys <<= 1
    if retrieval.exclude_self:
        keys[np.arange(len(queries)), queries] = EXCLUDED
    return keys


def _flushes_denormal_numbers() -> bool:
    """Whether this thread takes them for 0, as torch and libraries compiled for speed may set."""
    return not np.array([2.0**-140]).astype(np.float32)[0] > 0


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
