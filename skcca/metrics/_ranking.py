"""Ranking a gallery for every query, block by block.

What it must guarantee: no figure depends on the order of the gallery, on the sizes of the blocks or
on the number of threads. Scores that are equal in float32 are ties.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
from sklearn import get_config
from threadpoolctl import ThreadpoolController

from skcca.metrics._preparation import Retrieval
from skcca.metrics._ranked_list import RankedList
from skcca.metrics._relevance import Relevance

BLOCK_SCORES = 2**19  # in one matrix product: 4 MiB

FEW_SCORES = 2**17  # less than this is done before a thread has started

CACHED_SCORES = 2**18  # ranked at once: 2 MiB, in the cache, and long enough a work for threads

SNAP = 2.0**10  # adding and subtracting it rounds a float64 score to a multiple of 2**-42

LAST = np.float32(1.5)  # where scores end at 1; below 2, so that its bits may be shifted

MAGNITUDE = np.int32(0x7FFFFFFF)  # the bits of a float32 without its sign

Figure = TypeVar("Figure")


def figures(
    retrieval: Retrieval,
    figure: Callable[[RankedList], Figure],
    of_many: Callable[[np.ndarray], Sequence[Figure]] | None = None,
) -> Iterator[Figure]:
    """Yield a figure of the ranked list of each counted query, in their order.

    Parameters
    ----------
    retrieval : Retrieval
        What `prepare` returns.
    figure : callable
        Is called with a `RankedList`, from several threads at once.
    of_many : callable, default=None
        Returns the figures of several lists (n_lists, n_gallery) at once, if they are not graded:
        threads wait for one another at every call of a function as short as those of one list.

    Yields
    ------
    value : object
        What the callable returned.

    Notes
    -----
    A matrix product may give two identical gallery rows scores that differ in the last bit,
    depending on the columns they stand in. Rounding float64 to float32 makes them equal again,
    except around zero, where float32 is as fine as the noise: hence the absolute grid before it.
    """
    if retrieval.device or len(retrieval.counted) * len(retrieval.gallery) <= FEW_SCORES:
        yield from _figures(retrieval, figure, of_many, 1)
        return
    with own_threads() as n_workers:
        yield from _figures(retrieval, figure, of_many, n_workers)


def _figures(
    retrieval: Retrieval,
    figure: Callable[[RankedList], Figure],
    of_many: Callable[[np.ndarray], Sequence[Figure]] | None,
    n_workers: int,
) -> Iterator[Figure]:
    counted, n_gallery = retrieval.counted, len(retrieval.gallery)
    affordable = int(get_config()["working_memory"] * 2**20 / (8 * n_gallery * n_workers))
    n_rows = max(1, min(affordable, max(32, BLOCK_SCORES // n_gallery)))
    blocks = [counted[start : start + n_rows] for start in range(0, len(counted), n_rows)]
    at_once = max(1, CACHED_SCORES // n_gallery)
    rank: Callable[..., np.ndarray] = _ranked
    rows_of_blocks: Iterable[np.ndarray | None] = [None] * len(blocks)
    if retrieval.relevant.graded:
        of_many = None
    elif retrieval.device and retrieval.beyond == 1:
        rank, rows_of_blocks = _ranked_already, _ranked_on_gpu(retrieval, blocks)

    def of_block(queries: np.ndarray, rows: np.ndarray | None) -> list[Figure]:
        rows = _scores(retrieval, queries) if rows is None else rows
        found: list[Figure] = []
        for start in range(0, len(queries), at_once):
            part = slice(start, start + at_once)
            if retrieval.relevant.graded:
                found += map(figure, _ranked_with_gains(rows[part], retrieval, queries[part]))
                continue
            ranked = rank(rows[part], retrieval, queries[part])
            found += of_many(ranked) if of_many else map(figure, map(RankedList, ranked))
        return found

    tasks = zip(blocks, rows_of_blocks, strict=True)
    if n_workers == 1:
        for task in tasks:
            yield from of_block(*task)
        return
    with ThreadPoolExecutor(n_workers) as pool:
        while some := list(islice(tasks, n_workers)):
            for found in pool.map(of_block, *zip(*some, strict=True)):
                yield from found


def _scores(retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return the scores (n_queries, n_gallery) of some queries."""
    scores = retrieval.queries[queries] @ retrieval.gallery.T
    if retrieval.beyond > 1:  # a logarithm beyond 1, and as fine as before around 0
        np.arcsinh(scores, out=scores)
        scores /= np.arcsinh(retrieval.beyond)
    return scores


def _ranked_on_gpu(retrieval: Retrieval, blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the ranked lists of each block."""
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
        snap=SNAP,
        last=float(LAST),
    )


def _ranked_already(ranked: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Take lists that were ranked elsewhere."""
    return ranked[:, : retrieval.n_shown].view(np.uint32)


def _ranked(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Rank items and their relevance by one sort of integers, as fast as one of floats."""
    ranked = _best_first(scores, retrieval, queries)
    ranked <<= 1  # a score in [-2, 2] uses 31 of the 32 bits
    ranked |= retrieval.relevant[queries]
    ranked.sort(axis=1)
    return _ranked_already(ranked, retrieval, queries)


def _ranked_with_gains(
    scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray
) -> Iterator[RankedList]:
    """Rank items and their gains, by one sort of scores with the number of the item below them."""
    keys = _best_first(scores, retrieval, queries).astype(np.int64)
    keys <<= 32
    keys |= np.arange(scores.shape[1])
    keys.sort(axis=1)
    for query, row in zip(queries, keys[:, : retrieval.n_shown], strict=True):
        gains = retrieval.relevant.gains(query)[row & 0xFFFFFFFF]
        ranked = (row >> 32).astype(np.int32) << 1
        ranked |= gains > 0
        yield RankedList(ranked.view(np.uint32), gains)


def _best_first(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return int32 that are smaller the higher the score is, and equal where float32 is."""
    scores += SNAP
    negative = np.subtract(SNAP, scores, out=scores).astype(np.float32)
    if retrieval.exclude_self:
        negative[np.arange(len(queries)), queries] = LAST
    bits = negative.view(np.int32)
    bits ^= (bits >> 31) & MAGNITUDE  # a negative float orders backwards; no zero is negative here
    return bits


# MERGED: _threads
# """How many threads work at once: as many as BLAS may use, which whoever limits threads limits."""

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
