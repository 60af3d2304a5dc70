"""Measures of one ranked list by their names, with equal scores in random order.

map, map@k            mean average precision        mrr, mrr@k      mean reciprocal rank
precision@k, recall@k                               ndcg, ndcg@k    discounted cumulative gain
hit_rate@k            share of queries that find    r_precision     precision at the number of
                      a relevant item                               relevant items
mean_rank, median_rank                              rank of the first relevant item

Every measure is the expectation over the orders of equal scores, so that none depends on the order
of the gallery. A group of t equal items, r of them relevant, lies below s items, R of them
relevant; each of its ranks s+1, ..., s+t holds a relevant item with probability r/t.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np


class TieGroups(NamedTuple):
    """Groups of two or more equal scores, best first; s, t, R and r as above."""

    n_above: np.ndarray  # (n_groups,)
    n_items: np.ndarray  # (n_groups,)
    n_relevant_above: np.ndarray  # (n_groups,)
    n_relevant: np.ndarray  # (n_groups,)
    # Whether the item at each place belongs to a group.
    tied: np.ndarray  # (n_lists * n_gallery,)
    list_index: np.ndarray  # (n_groups,)


def tie_groups(ranked: np.ndarray, relevant_at: np.ndarray) -> TieGroups:
    """Return the groups of equal scores of several lists (n_lists, n_gallery).

    The places of relevant items are counted through all lists.
    """
    n, flat = ranked.shape[1], ranked.ravel()
    equals_previous = np.zeros(len(flat) + 1, dtype=bool)
    # Where no bit but the lowest differs, the scores are equal.
    np.less(flat[1:] ^ flat[:-1], 2, out=equals_previous[1:-1])
    # At every n-th place another list begins.
    equals_previous[::n] = False
    edges = np.flatnonzero(equals_previous[1:] != equals_previous[:-1])
    start, stop = edges[::2], edges[1::2] + 1
    list_index = start // n
    above = relevant_at.searchsorted(start)
    n_relevant = relevant_at.searchsorted(stop) - above
    above -= relevant_at.searchsorted(list_index * n)
    tied = equals_previous[1:] | equals_previous[:-1]
    return TieGroups(start - list_index * n, stop - start, above, n_relevant, tied, list_index)


class RankedList:
    """All items of a gallery in the order of one query, best first.

    The lowest bit of `ranked` (n_gallery,), uint32, tells whether the item is relevant; the other
    bits are equal exactly where the scores are. Without `gains` a relevant item gains 1.
    """

    def __init__(self, ranked: np.ndarray, gains: np.ndarray | None = None):
        self.ranked, self.gains = ranked, gains
        # Ranks count from 0 here.
        self.relevant_at = np.flatnonzero(ranked & 1 != 0)
        self.n_relevant = len(self.relevant_at)

    def __len__(self) -> int:
        return len(self.ranked)

    @cached_property
    def ties(self) -> TieGroups:
        """The groups of equal scores."""
        return tie_groups(self.ranked[np.newaxis], self.relevant_at)

    def first_group(self) -> tuple[int, int, int]:
        """Return s, t and r of the group of the first relevant item; t may be 1."""
        first = int(self.relevant_at[0])
        s, t, _, r, tied, _ = self.ties
        if not tied[first]:
            return first, 1, 1
        i = int(s.searchsorted(first, side="right")) - 1
        return int(s[i]), int(t[i]), int(r[i])


def expected_hits(listed: RankedList) -> np.ndarray:
    """Return the expected number of relevant items among the first 1, ..., n_gallery."""
    hits = (listed.ranked & 1).astype(float)
    _, t, _, r, tied, _ = listed.ties
    hits[tied] = np.repeat(r / t, t)
    return hits.cumsum()


def hits_at(listed: RankedList, k: int) -> float:
    """Return the expected number of relevant items among the first k."""
    s, t, R, r, _, _ = listed.ties
    i = int(s.searchsorted(k)) - 1
    if i >= 0 and s[i] + t[i] > k:
        # The cutoff lies within a group, of whose relevant items it expects a share.
        return float(R[i] + (k - s[i]) * r[i] / t[i])
    return float(listed.relevant_at.searchsorted(k))


def average_precision(listed: RankedList, k: int | None = None) -> float:
    return float(average_precisions(listed.ranked[np.newaxis], k)[0])


def average_precisions(ranked: np.ndarray, k: int | None = None) -> np.ndarray:
    """Return the average precision of each of several lists (n_lists, n_gallery).

    It is the sum of the precisions at relevant items, over the number of them that k could hold;
    each list has one at least.

    A group adds with probability r/t at its rank s+j the precision
    (R + 1 + (j-1)(r-1)/(t-1)) / (s+j); over its first m ranks, with dH = H(s+m) - H(s)::

        (r/t) [ (R+1) dH + (r-1)/(t-1) (m - (s+1) dH) ]
    """
    n_lists, n = ranked.shape
    # Places are counted through all lists, so that one call serves them all.
    relevant_at = np.flatnonzero((ranked & 1) != 0)
    first = relevant_at.searchsorted(n * np.arange(n_lists + 1))
    counts = np.diff(first)
    hits = np.arange(1, len(relevant_at) + 1) - np.repeat(first[:-1], counts)
    ranks = relevant_at + 1 - np.repeat(n * np.arange(n_lists), counts)
    precisions = hits / ranks
    s, t, R, r, tied, list_index = tie_groups(ranked, relevant_at)
    if len(s):
        precisions[tied[relevant_at]] = 0.0
    cutoff = n if k is None else k
    if cutoff < n:
        precisions[ranks > cutoff] = 0.0
    totals = np.add.reduceat(precisions, first[:-1])
    if len(s):
        m = np.clip(cutoff - s, 0, t)
        harmonic = harmonic_numbers(n)
        dH = harmonic[s + m] - harmonic[s]
        group_sums = (r / t) * ((R + 1) * dH + (r - 1) / (t - 1) * (m - (s + 1) * dH))
        totals += np.bincount(list_index, group_sums, minlength=n_lists)
    return totals / np.minimum(counts, cutoff)


def precision(listed: RankedList, k: int) -> float:
    return hits_at(listed, k) / k


def recall(listed: RankedList, k: int) -> float:
    return hits_at(listed, k) / listed.n_relevant


def r_precision(listed: RankedList) -> float:
    return hits_at(listed, listed.n_relevant) / listed.n_relevant


def hit_rate(listed: RankedList, k: int) -> float:
    """Return the probability of a relevant item among the first k.

    None of the first m = k - s of a group is relevant with probability
    prod_{j<m} (t - r - j) / (t - j).
    """
    s, t, r = listed.first_group()
    j = np.arange(min(max(k - s, 0), t))
    return float(1.0 - np.prod(np.maximum(t - r - j, 0) / (t - j)))


def first_rank(listed: RankedList) -> float:
    """Return the rank, from 1, of the first relevant item: s + (t+1) / (r+1)."""
    s, t, r = listed.first_group()
    return s + (t + 1) / (r + 1)


def reciprocal_rank(listed: RankedList, k: int | None = None) -> float:
    """Return the expectation of one over the rank of the first relevant item, 0 beyond k.

    It is the j-th of its group with probability r / (t-j+1) prod_{i<j} (t-r-i+1) / (t-i+1).
    """
    s, t, r = listed.first_group()
    n = t - r + 1 if k is None else min(t - r + 1, k - s)
    if n <= 0:
        return 0.0
    j = np.arange(1, n + 1)
    none_before = np.cumprod(np.concatenate(([1.0], ((t - r - j + 1) / (t - j + 1))[:-1])))
    return float((none_before * (r / (t - j + 1)) / (s + j)).sum())


def ndcg(listed: RankedList, k: int | None = None) -> float:
    """Return the sum of gain_i / log2(i + 1) over that of the best order."""
    cutoff = len(listed) if k is None else k
    sums = discount_sums(len(listed))
    s, t, _, r, tied, _ = listed.ties
    until = np.minimum(s + t, cutoff)
    group_sums = np.maximum(sums[until] - sums[np.minimum(s, cutoff)], 0.0)
    if listed.gains is None:
        at = listed.relevant_at[: listed.relevant_at.searchsorted(cutoff)]
        alone = at[~tied[at]]
        gained = (sums[alone + 1] - sums[alone]).sum() + (r / t * group_sums).sum()
        return float(gained / sums[min(listed.n_relevant, cutoff)])
    gains, discounts = listed.gains, np.diff(sums)[:cutoff]
    gained = discounts @ np.where(tied, 0.0, gains)[:cutoff]
    if len(s):
        total = np.concatenate(([0.0], np.cumsum(gains)))
        gained += ((total[s + t] - total[s]) / t * group_sums).sum()
    best = -np.sort(-gains)[:cutoff]
    return float(gained / (discounts @ best))


def interpolated_precisions(listed: RankedList, recall_levels: np.ndarray) -> np.ndarray:
    """Return the highest expected precision at or beyond each level of expected recall."""
    hits = expected_hits(listed)
    precisions = hits / np.arange(1, len(hits) + 1)
    highest = np.maximum.accumulate(precisions[::-1])[::-1]
    # In floating point 0.3 * 10 is more than 3.
    reached = hits.searchsorted(recall_levels * hits[-1] - 1e-9)
    return highest[reached]


@lru_cache(maxsize=4)
def harmonic_numbers(n: int) -> np.ndarray:
    """Return H(0), ..., H(n), where H(k) = 1 + 1/2 + ... + 1/k."""
    return _sums(1.0 / np.arange(1, n + 1))


@lru_cache(maxsize=4)
def discount_sums(n: int) -> np.ndarray:
    """Return the sums of the first 0, ..., n of the discounts 1 / log2(i + 1)."""
    return _sums(1.0 / np.log2(np.arange(2, n + 2)))


def _sums(terms: np.ndarray) -> np.ndarray:
    sums = np.concatenate(([0.0], np.cumsum(terms)))
    # All callers share the cached array.
    sums.flags.writeable = False
    return sums


class Kind(NamedTuple):
    """A measure without its k."""

    function: Callable[..., float]
    takes_k: bool = True
    needs_k: bool = False
    reduce: Callable[..., Any] = np.mean
    greater_is_better: bool = True
    # Whether gains matter beside relevance.
    graded: bool = False


KINDS = {
    "map": Kind(average_precision),
    "precision": Kind(precision, needs_k=True),
    "recall": Kind(recall, needs_k=True),
    "hit_rate": Kind(hit_rate, needs_k=True),
    "ndcg": Kind(ndcg, graded=True),
    "mrr": Kind(reciprocal_rank),
    "r_precision": Kind(r_precision, takes_k=False),
    "mean_rank": Kind(first_rank, takes_k=False, greater_is_better=False),
    "median_rank": Kind(first_rank, takes_k=False, reduce=np.median, greater_is_better=False),
}


class Measure(NamedTuple):
    """A measure as it was named."""

    name: str
    kind: Kind
    k: int | None

    def value(self, listed: RankedList) -> float:
        """Return the measure of one list."""
        return self.kind.function(listed) if self.k is None else self.kind.function(listed, self.k)

    def reduce(self, scores: np.ndarray) -> float:
        """Return the measure of all queries, their mean or median; nan if there is none."""
        return float(self.kind.reduce(scores)) if len(scores) else float("nan")


def find_measure(name: Any, caller: str) -> Measure:
    """Return the measure of this name, or raise a ValueError if there is none."""
    match = re.fullmatch(r"([a-z_]+)(?:@([0-9]+))?", name) if isinstance(name, str) else None
    kind = KINDS.get(match[1]) if match else None
    if match is None or kind is None:
        known = [name for name, kind in KINDS.items() if not kind.needs_k]
        known += [f"{name}@k" for name, kind in KINDS.items() if kind.takes_k]
        raise ValueError(
            f"{caller}: `measure` is {name!r}; expected one of {', '.join(known)}, where k is a "
            "number, as in 'recall@10'."
        )
    k = None if match[2] is None else int(match[2])
    if k is None and kind.needs_k:
        raise ValueError(
            f"{caller}: `measure` is {name!r}, which needs the number of items that are looked at: "
            f"'{name}@10'."
        )
    if k is not None and not (kind.takes_k and k > 0):
        reason = "k is 1 at least" if kind.takes_k else f"{match[1]!r} looks at the whole list"
        raise ValueError(f"{caller}: `measure` is {name!r}, but {reason}.")
    return Measure(name, kind, k)
