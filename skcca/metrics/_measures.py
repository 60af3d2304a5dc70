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


class Places(NamedTuple):
    """Places in several ranked lists (n_lists, n_gallery), counted through all of them."""

    n_gallery: int
    relevant: np.ndarray  # (n_relevant,)
    # Items with the score of the item before them.
    tied: np.ndarray  # (n_tied,)


def find_places(ranked: np.ndarray) -> Places:
    """Return the places of relevant and of tied items of several lists (n_lists, n_gallery)."""
    n, flat = ranked.shape[1], ranked.ravel()
    # Equal scores have equal lower halves, which are half as much to read.
    halves = flat.astype(np.uint16)
    odd = halves | 1
    relevant = true_places(odd == halves)
    may_be_tied = np.empty(len(flat), dtype=bool)
    np.equal(odd[1:], odd[:-1], out=may_be_tied[1:])
    # At every n-th place another list begins.
    may_be_tied[::n] = False
    tied = np.flatnonzero(may_be_tied)
    # Where no bit but the lowest differs, the scores are equal.
    return Places(n, relevant, tied[flat[tied] ^ flat[tied - 1] < 2])


def true_places(mask: np.ndarray) -> np.ndarray:
    """Return `np.flatnonzero` of a mask (n,)."""
    n, n_true = len(mask), int(np.count_nonzero(mask))
    if n // 50 < n_true <= n // 10:
        # Where a tenth are true, or fewer, NumPy jumps from one to the next, and no processor
        # foresees such jumps. With more of them it looks at every entry, four times as fast.
        mask = np.concatenate([mask, np.ones(n // 8 - n_true + 1, dtype=bool)])
    return np.flatnonzero(mask)[:n_true]


class TieGroups(NamedTuple):
    """Groups of two or more equal scores, best first; s, t, R and r as above."""

    n_above: np.ndarray  # (n_groups,)
    n_items: np.ndarray  # (n_groups,)
    n_relevant_above: np.ndarray  # (n_groups,)
    n_relevant: np.ndarray  # (n_groups,)
    list_index: np.ndarray  # (n_groups,)


def tie_groups(places: Places, first: np.ndarray) -> TieGroups:
    """Return the groups of equal scores; `first` counts the relevant items before each list."""
    n, relevant, tied = places
    begins = np.ones(len(tied) + 1, dtype=bool)
    np.greater(tied[1:] - tied[:-1], 1, out=begins[1:-1])
    start, stop = tied[begins[:-1]] - 1, tied[begins[1:]] + 1
    list_index = start // n
    above = relevant.searchsorted(start)
    n_relevant = relevant.searchsorted(stop) - above
    above -= first[list_index]
    return TieGroups(start - list_index * n, stop - start, above, n_relevant, list_index)


def ranges(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return start, ..., start + length - 1 of each range, one after the other."""
    stop = np.cumsum(length)
    return np.repeat(start - stop + length, length) + np.arange(stop[-1] if len(stop) else 0)


class RankedList:
    """All items of a gallery in the order of one query, best first.

    The lowest bit of `ranked` (n_gallery,), uint32, tells whether the item is relevant; the other
    bits are equal exactly where the scores are. Without `gains` a relevant item gains 1.
    """

    def __init__(self, ranked: np.ndarray, gains: np.ndarray | None = None):
        self.ranked, self.gains = ranked, gains
        # Ranks count from 0 here.
        self.places = find_places(ranked[np.newaxis])
        self.relevant_at = self.places.relevant
        self.n_relevant = len(self.relevant_at)

    def __len__(self) -> int:
        return len(self.ranked)

    @cached_property
    def ties(self) -> TieGroups:
        """The groups of equal scores."""
        return tie_groups(self.places, np.zeros(1, dtype=np.intp))

    def first_group(self) -> tuple[int, int, int]:
        """Return s, t and r of the group of the first relevant item; t may be 1."""
        first = int(self.relevant_at[0])
        s, t, _, r, _ = self.ties
        i = int(s.searchsorted(first, side="right")) - 1
        if i < 0 or first >= s[i] + t[i]:
            return first, 1, 1
        return int(s[i]), int(t[i]), int(r[i])


def expected_hits(listed: RankedList) -> np.ndarray:
    """Return the expected number of relevant items among the first 1, ..., n_gallery."""
    hits = (listed.ranked & 1).astype(float)
    s, t, _, r, _ = listed.ties
    hits[ranges(s, t)] = np.repeat(r / t, t)
    return hits.cumsum()


def hits_at(listed: RankedList, k: int) -> float:
    """Return the expected number of relevant items among the first k."""
    s, t, R, r, _ = listed.ties
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
    places = find_places(ranked)
    first = places.relevant.searchsorted(n * np.arange(n_lists + 1))
    counts = first[1:] - first[:-1]
    hits = np.arange(1, len(places.relevant) + 1) - np.repeat(first[:-1], counts)
    ranks = places.relevant - np.repeat(n * np.arange(n_lists) - 1, counts)
    precisions = hits / ranks
    s, t, R, r, list_index = tie_groups(places, first)
    precisions[ranges(first[list_index] + R, r)] = 0.0
    cutoff = n if k is None else k
    if cutoff < n:
        precisions[ranks > cutoff] = 0.0
    totals = np.add.reduceat(precisions, first[:-1])
    if len(s):
        m = np.minimum(np.maximum(cutoff - s, 0), t)
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
    s, t, R, r, _ = listed.ties
    until = np.minimum(s + t, cutoff)
    group_sums = np.maximum(sums[until] - sums[np.minimum(s, cutoff)], 0.0)
    if listed.gains is None:
        alone = np.delete(listed.relevant_at, ranges(R, r)) if len(s) else listed.relevant_at
        alone = alone[: alone.searchsorted(cutoff)]
        gained = (sums[alone + 1] - sums[alone]).sum() + (r / t * group_sums).sum()
        return float(gained / sums[min(listed.n_relevant, cutoff)])
    gains, discounts = listed.gains, np.diff(sums)[:cutoff]
    untied = gains.copy()
    untied[ranges(s, t)] = 0.0
    gained = discounts @ untied[:cutoff]
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
