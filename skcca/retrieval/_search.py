"""Exact search for the largest inner products with each query.

The result is that of a full stable sort by (score descending, position ascending), whatever the
blocks, the threads and the precision of the stored rows.

A matrix product in the precision of the rows finds the candidates: all rows that could be among the
best, given how far rounding may have moved a product. The score of a candidate is then the sum of
products of float64 numbers from the first column to the last, which is the same number wherever the
row stands. So equal rows have equal scores, and the earlier one comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config

from skcca._core.types import LabelsLike
from skcca.metrics._similarity import unit_rows
from skcca.views._labels import check_entries

Array = np.ndarray
# Scores in one matrix product: 8 MiB of float32.
BLOCK_SCORES = 2**21
BLOCK_QUERIES = 256
# Pairs that are scored at once, so that their rows stay in the cache.
PAIRS = 2**14
# A product, whether it passes, and the positions of those that do.
BYTES_PER_SCORE = 32
# With longer rows, a product in float32 may be infinite.
LARGEST_SINGLE = 1e30
FIRST_ROWS = 2**14
# With more candidates than this (times k, and of the rows of a block), it is cheaper to find the
# k-th best product than to score them all.
CROWD, CROWDED_SHARE = 4, 1 / 256


class Block(NamedTuple):
    """Prepared rows of a gallery in one array."""

    values: Array  # (n, d), float16, float32 or float64
    # At least the length of the longest row.
    max_norm: float
    # Positions of rows that are passed over, in rising order.
    removed: Array = np.empty(0, dtype=np.intp)

    @classmethod
    def measure(cls, values: Array) -> Block:
        """Return rows with the length of the longest; NaN if a row holds NaN."""
        max_norm = 0.0
        with np.errstate(over="ignore"):
            for start in range(0, len(values), FIRST_ROWS):
                rows = values[start : start + FIRST_ROWS].astype(float)
                # Unlike Python's `max`, it keeps NaN.
                max_norm = np.maximum(max_norm, np.sqrt(np.einsum("nk,nk->n", rows, rows).max()))
        return cls(values, float(max_norm))


class TopK(NamedTuple):
    """Positions and scores of the best rows of each query; -1 and -inf where there are fewer."""

    positions: Array  # (n_queries, k), int64
    scores: Array  # (n_queries, k), float64

    @classmethod
    def empty(cls, n_queries: int, k: int) -> TopK:
        """Return lists without an entry."""
        return cls(np.full((n_queries, k), -1), np.full((n_queries, k), -np.inf))


def search(gallery: Sequence[Block], queries: Array, k: int, spread: Array | None = None) -> TopK:
    """Return the k rows of the largest products with each query, the first of equal ones first.

    Rows are numbered through all blocks, which have k or more together that are not removed.
    Queries are float64, of shape (n_queries, d). With a `spread`, see `pair_scores`.
    """
    affordable = max(1, int(get_config()["working_memory"] * 2**20 / BYTES_PER_SCORE))
    max_scores = min(BLOCK_SCORES, affordable)
    n_queries = max(1, min(len(queries), BLOCK_QUERIES, max_scores // 1024))
    best = TopK.empty(len(queries), k)
    for start in range(0, len(queries), n_queries):
        some = slice(start, start + n_queries)
        of_some = None if spread is None else spread[some]
        part = _search_some(gallery, queries[some], k, max(1, max_scores // n_queries), of_some)
        best.positions[some], best.scores[some] = part
    return best


def _search_some(
    gallery: Sequence[Block], queries: Array, k: int, n_rows: int, spread: Array | None
) -> TopK:
    best = TopK.empty(len(queries), k)
    units = unit_rows(queries)
    # The squares of small numbers would be zero, hence not the root of a sum of squares.
    lengths = (units * queries).sum(axis=1)
    lengths[lengths == 0] = 1.0
    first = 0
    for values, max_norm, removed in gallery:
        double = values.dtype == np.float64 or max_norm > LARGEST_SINGLE
        precision: Any = np.float64 if double else np.float32
        fast = units.astype(precision)
        # The terms of a distance are no larger than the squared lengths of both rows together, and
        # those are at most twice the lengths of the vectors.
        largest = np.minimum(max_norm, np.inf if spread is None else 2 + 2 * max_norm / lengths)
        slack = _slack(queries, lengths, largest, precision)
        start = 0
        while start < len(values):
            # Of few rows a k-th best is found at little cost, and it keeps most of the others out.
            known = np.isfinite(best.scores[:, -1]).all()
            rows = values[start : start + (n_rows if known else min(n_rows, FIRST_ROWS))]
            products = fast @ rows.astype(precision, copy=False).T
            if len(removed):
                begin, end = np.searchsorted(removed, (start, start + len(rows)))
                products[:, removed[begin:end] - start] = -np.inf
            start += len(rows)
            query, row = _candidates(products, best.scores[:, -1] / lengths, slack, k)
            if len(query):
                scores = pair_scores(queries, rows, query, row, spread)
                best = merge(best, query, first + row, scores)
            first += len(rows)
    return best


def _slack(queries: Array, lengths: Array, largest: Array, precision: type) -> Array:
    """Return how far a product of a query of length one may be from its score, (n_queries,).

    The absolute values of its terms add up to `largest` at most. The bound is the usual one for
    inner products, of both the product and the score, and of rounding the query and the threshold
    to the precision; doubled, which leaves room for the rounding of the squares that stand in the
    vectors of distances. Numbers below the smallest normal one may be lost.
    """
    limits, d = np.finfo(precision), queries.shape[1]
    rounding = (d + 2) * float(limits.eps) * largest
    lost = d * (float(limits.tiny) + np.finfo(float).tiny / lengths)
    # Products with a query of zeros are exactly zero.
    return np.where(queries.any(axis=1), 2 * (rounding + lost), 0.0)


def _candidates(products: Array, kth: Array, slack: Array, k: int) -> tuple[Array, Array]:
    """Return the (query, row) pairs of a block that may displace the k-th best so far."""
    # Strictly above: of equal scores the earlier row, which is there already, comes first.
    passing = products > (kth - slack).astype(products.dtype)[:, np.newaxis]
    crowd = max(CROWD * k, CROWDED_SHARE * products.shape[1])
    crowded = np.flatnonzero(np.count_nonzero(passing, axis=1) > crowd)
    if len(crowded):
        kth_product = np.partition(products[crowded], -k, axis=1)[:, -k].astype(float)
        threshold = (kth_product - 2 * slack[crowded]).astype(products.dtype)
        passing[crowded] &= products[crowded] >= threshold[:, np.newaxis]
    # Far faster than `nonzero` of two dimensions.
    return divmod(np.flatnonzero(passing), passing.shape[1])


def pair_scores(
    queries: Array, rows: Array, query: Array, row: Array, spread: Array | None = None
) -> Array:
    """Return the score of each pair: products of the columns, added from the first to the last.

    With a `spread` (n_queries,) the product is minus half the squared distance of the columns but
    the last two, less the spread of the query. It is then the sum of squared differences, which
    loses no digits far from the origin.

    Elementwise operations alone, whose results do not depend on where in an array a number stands.
    """
    scores = np.zeros(len(query))
    for start in range(0, len(query), PAIRS):
        some = slice(start, start + PAIRS)
        left, right = queries[query[some]], rows[row[some]].astype(float)
        terms = left * right if spread is None else -0.5 * (left - right)[:, :-2] ** 2
        for column in terms.T:
            scores[some] += column
        if spread is not None:
            scores[some] -= spread[query[some]]
    return scores


def merge(best: TopK, query: Array, positions: Array, scores: Array) -> TopK:
    """Enter scored pairs into the lists of their queries, in place; each pair comes once."""
    touched, query = np.unique(query, return_inverse=True)
    k = best.positions.shape[1]
    owner = np.concatenate([np.repeat(np.arange(len(touched)), k), query])
    positions = np.concatenate([best.positions[touched].ravel(), positions])
    scores = np.concatenate([best.scores[touched].ravel(), scores])
    order = np.lexsort((positions, -scores, owner))
    starts = np.searchsorted(owner[order], np.arange(len(touched)))
    first = order[starts[:, np.newaxis] + np.arange(k)]
    best.positions[touched], best.scores[touched] = positions[first], scores[first]
    return best


class Groups(NamedTuple):
    """Groups of rows that are one query together, such as the chunks of a song.

    They are numbered in the order in which they first appear.
    """

    codes: Array  # (n_rows,)
    counts: Array  # (n_groups,)

    @classmethod
    def from_names(cls, groups: LabelsLike, n_rows: int, caller: str) -> Groups:
        """Return the groups of rows that carry these names."""
        names = check_entries(groups, n_rows, "groups", "A", caller)
        _, first, codes, counts = np.unique(
            names, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        return cls(np.argsort(order)[codes], counts[order])

    def mean(self, rows: Array) -> Array:
        """Return the mean row of each group, float64."""
        sums = np.zeros((len(self.counts), rows.shape[1]))
        np.add.at(sums, self.codes, rows)
        return sums / self.counts[:, np.newaxis]

    def spread(self, rows: Array) -> Array:
        """Return half the mean squared distance of the rows of each group from their mean."""
        deviations = rows - self.mean(rows)[self.codes]
        return 0.5 * self.mean((deviations**2).sum(axis=1, keepdims=True))[:, 0]

    def max(self, best: TopK) -> TopK:
        """Rank items by their largest score with a row of the group.

        An item among the k best of a group is among the k best of the row with which it has that
        score, so that the lists of the rows are enough.
        """
        n_rows, k = best.positions.shape
        owner = np.repeat(self.codes, k)
        positions, scores = best.positions.ravel(), best.scores.ravel()
        order = np.lexsort((-scores, positions, owner))
        owner, positions, scores = owner[order], positions[order], scores[order]
        first = np.ones(n_rows * k, dtype=bool)
        first[1:] = (owner[1:] != owner[:-1]) | (positions[1:] != positions[:-1])
        lists = TopK.empty(len(self.counts), k)
        return merge(lists, owner[first], positions[first], scores[first])
