"""The rows of the largest inner products with each query, exactly.

What it must guarantee: the answer is that of a full stable sort by (score descending, place
ascending), whatever the blocks, the threads and the precision in which the rows are kept.

A matrix product in the precision of the rows finds the candidates: all rows that could be among the
best, given how far rounding may have moved a product. The score of a candidate is then the sum of
products of float64 numbers from the first column to the last, which is the same number wherever the
row stands; so equal rows have equal scores, and the earlier one comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config

from skcca.metrics._similarity import unit_rows

BLOCK_SCORES = 2**21  # in one matrix product: 8 MiB of float32
BLOCK_QUERIES = 256
PAIRS = 2**14  # scored at once: their rows stay in the cache
BYTES_PER_SCORE = 32  # a product, whether it passes, and the places of those that do
LARGEST_SINGLE = 1e30  # of longer rows a product in float32 may be infinite
FIRST_ROWS = 2**14

# From so many candidates on, finding the k-th best product is cheaper than scoring all of them.
CROWD, CROWDED_SHARE = 4, 1 / 256  # times k, and of the rows of a block

Array = np.ndarray


class Rows(NamedTuple):
    """Prepared rows of a gallery that lie in one array."""

    values: Array  # (n, d), float16, float32 or float64
    largest: float  # at least the length of the longest row

    @classmethod
    def of(cls, values: Array) -> Rows:
        """Measure rows."""
        largest = 0.0
        with np.errstate(over="ignore"):
            for block in blocks_of(values):
                lengths = np.linalg.norm(block.astype(float), axis=1)
                largest = np.maximum(largest, lengths.max())  # unlike max, it keeps NaN
        return cls(values, float(largest))


class Best(NamedTuple):
    """The best rows of each query, best first; of one query where they are fewer, -1 and -inf."""

    places: Array  # (n_queries, k), int64
    scores: Array  # (n_queries, k), float64


def search(gallery: Sequence[Rows], queries: Array, k: int) -> Best:
    """Return the k rows of the largest products with each query, the first of equal ones first.

    Parameters
    ----------
    gallery : sequence of Rows
        Rows are numbered through all of them; k at least together.
    queries : ndarray of shape (n_queries, d)
        Prepared queries, float64.
    k : int
        Rows to find.

    Returns
    -------
    best : Best
        Places and scores.
    """
    affordable = max(1, int(get_config()["working_memory"] * 2**20 / BYTES_PER_SCORE))
    most_scores = min(BLOCK_SCORES, affordable)
    n_queries = max(1, min(len(queries), BLOCK_QUERIES, most_scores // 1024))
    found = empty(len(queries), k)
    for start in range(0, len(queries), n_queries):
        some = slice(start, start + n_queries)
        best = _search_block(gallery, queries[some], k, max(1, most_scores // n_queries))
        found.places[some], found.scores[some] = best
    return found


def empty(n_queries: int, k: int) -> Best:
    """Return lists in which nothing stands yet."""
    return Best(np.full((n_queries, k), -1), np.full((n_queries, k), -np.inf))


def _search_block(gallery: Sequence[Rows], queries: Array, k: int, n_rows: int) -> Best:
    best = empty(len(queries), k)
    units = unit_rows(queries)
    lengths = (units * queries).sum(axis=1)  # squares of small numbers would be zero
    lengths[lengths == 0] = 1.0
    first = 0
    for values, largest in gallery:
        double = values.dtype == np.float64 or largest > LARGEST_SINGLE
        precision: Any = np.float64 if double else np.float32
        fast = units.astype(precision)
        slack = _slack(queries, lengths, largest, precision)
        start = 0
        while start < len(values):
            # Of few rows a k-th best is found at little cost, and keeps most of the others out.
            known = np.isfinite(best.scores[:, -1]).all()
            block = values[start : start + (n_rows if known else min(n_rows, FIRST_ROWS))]
            start += len(block)
            products = fast @ block.astype(precision, copy=False).T
            query, row = _candidates(products, best.scores[:, -1] / lengths, slack, k)
            if len(query):
                scores = pair_scores(queries, block, query, row)
                best = merge(best, query, first + row, scores)
            first += len(block)
    return best


def blocks_of(values: Array, n_rows: int = 2**14) -> Iterator[Array]:
    """Yield so many rows at a time."""
    for start in range(0, len(values), n_rows):
        yield values[start : start + n_rows]


def _slack(queries: Array, lengths: Array, largest: float, precision: type) -> Array:
    """Return how far a product of a query of length one may be from its score, (n_queries,).

    By the usual bound for inner products, of both the product and the score, and of rounding the
    query, and what is compared, to the precision; doubled. What is smaller than the smallest normal
    number may be lost.
    """
    limits, d = np.finfo(precision), queries.shape[1]
    rounding = (d + 2) * float(limits.eps) * largest
    lost = d * (float(limits.tiny) + np.finfo(float).tiny / lengths)
    return np.where(queries.any(axis=1), 2 * (rounding + lost), 0.0)  # products of 0 are exactly 0


def _candidates(products: Array, kth: Array, slack: Array, k: int) -> tuple[Array, Array]:
    """Return the (query, row) pairs of a block that may displace the k-th best so far."""
    # Strictly above: of equal scores the earlier row, which is there already, comes first.
    passing = products > (kth - slack).astype(products.dtype)[:, np.newaxis]
    crowd = max(CROWD * k, CROWDED_SHARE * products.shape[1])
    crowded = np.flatnonzero(np.count_nonzero(passing, axis=1) > crowd)
    if len(crowded):
        held = np.partition(products[crowded], -k, axis=1)[:, -k].astype(float)
        least = (held - 2 * slack[crowded]).astype(products.dtype)
        passing[crowded] &= products[crowded] >= least[:, np.newaxis]
    return divmod(np.flatnonzero(passing), passing.shape[1])  # far faster than of two dimensions


def pair_scores(queries: Array, rows: Array, query: Array, row: Array) -> Array:
    """Return the score of each pair: products of the columns, added from the first to the last.

    Elementwise operations alone, whose results do not depend on where in an array a number stands.
    """
    scores = np.zeros(len(query))
    for start in range(0, len(query), PAIRS):
        some = slice(start, start + PAIRS)
        terms = queries[query[some]] * rows[row[some]].astype(float)
        for column in terms.T:
            scores[some] += column
    return scores


def merge(best: Best, query: Array, places: Array, scores: Array) -> Best:
    """Let found pairs take their places in the lists; each pair is found once."""
    touched, query = np.unique(query, return_inverse=True)
    k = best.places.shape[1]
    owner = np.concatenate([np.repeat(np.arange(len(touched)), k), query])
    places = np.concatenate([best.places[touched].ravel(), places])
    scores = np.concatenate([best.scores[touched].ravel(), scores])
    order = np.lexsort((places, -scores, owner))
    starts = np.searchsorted(owner[order], np.arange(len(touched)))
    kept = order[starts[:, np.newaxis] + np.arange(k)]
    best.places[touched], best.scores[touched] = places[kept], scores[kept]
    return best
