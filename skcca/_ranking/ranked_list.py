"""What one ranked list is worth, where equal scores stand in random order.

Every figure is the expectation over the orders of equal scores, so that none depends on the order
of the gallery. A group of t equal items, r of them relevant, lies below s items, R of them
relevant; each of its ranks s+1, ..., s+t holds a relevant item with probability r/t.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np


class TieGroups(NamedTuple):
    """Groups of two or more equal scores in one ranked list, best first."""

    n_above: np.ndarray  # items ranked above the group
    n_items: np.ndarray
    n_relevant_above: np.ndarray
    n_relevant: np.ndarray
    tied: np.ndarray  # (n_gallery,) bool: whether the item at this rank is in a group


class RankedList:
    """The whole gallery in the order of one query.

    Parameters
    ----------
    ranked : ndarray of shape (n_gallery,), uint32
        Best first. The lowest bit tells whether the item is relevant; the others are equal exactly
        where the scores are.
    gains : ndarray of shape (n_gallery,), default=None
        Gain of the item at each rank; None where relevant items gain 1.
    """

    def __init__(self, ranked: np.ndarray, gains: np.ndarray | None = None):
        self.ranked, self.gains = ranked, gains
        self.relevant_at = np.flatnonzero(ranked & 1 != 0)  # ranks from 0
        self.n_relevant = len(self.relevant_at)

    def __len__(self) -> int:
        return len(self.ranked)

    @cached_property
    def ties(self) -> TieGroups:
        """The groups of equal scores."""
        difference = self.ranked[1:] ^ self.ranked[:-1]
        if difference.min(initial=2) >= 2:  # as it mostly is
            return no_ties(len(self))
        equals_previous = np.zeros(len(self) + 1, dtype=bool)
        np.less(difference, 2, out=equals_previous[1:-1])
        edges = np.flatnonzero(equals_previous[1:] != equals_previous[:-1])
        start, stop = edges[::2], edges[1::2] + 1
        relevant_above = self.relevant_at.searchsorted(start)
        n_relevant = self.relevant_at.searchsorted(stop) - relevant_above
        tied = equals_previous[1:] | equals_previous[:-1]
        return TieGroups(start, stop - start, relevant_above, n_relevant, tied)

    def first_group(self) -> tuple[int, int, int]:
        """Return s, t and r of the group that holds the first relevant item; t may be 1."""
        first = int(self.relevant_at[0])
        s, t, _, r, tied = self.ties
        if not tied[first]:
            return first, 1, 1
        i = int(s.searchsorted(first, side="right")) - 1
        return int(s[i]), int(t[i]), int(r[i])


def expected_hits(listed: RankedList) -> np.ndarray:
    """Return the expected number of relevant items among the first 1, ..., n_gallery."""
    hits = (listed.ranked & 1).astype(float)
    _, t, _, r, tied = listed.ties
    hits[tied] = np.repeat(r / t, t)
    return hits.cumsum()


def hits_at(listed: RankedList, k: int) -> float:
    """Return the expected number of relevant items among the first k."""
    s, t, R, r, _ = listed.ties
    i = int(s.searchsorted(k)) - 1
    if i >= 0 and s[i] + t[i] > k:  # k cuts a group
        return float(R[i] + (k - s[i]) * r[i] / t[i])
    return float(listed.relevant_at.searchsorted(k))


def average_precision(listed: RankedList, k: int | None = None) -> float:
    """Return the sum of the precisions at relevant items over the number that k could hold.

    A group adds with probability r/t at its rank s+j the precision
    (R + 1 + (j-1)(r-1)/(t-1)) / (s+j); over its first m ranks, with dH = H(s+m) - H(s)::

        (r/t) [ (R+1) dH + (r-1)/(t-1) (m - (s+1) dH) ]
    """
    relevant_at = listed.relevant_at
    precisions = np.arange(1, len(relevant_at) + 1) / (relevant_at + 1)
    s, t, R, r, tied = listed.ties
    n_shown = len(listed) if k is None else k
    if len(s):
        precisions[tied[relevant_at]] = 0.0
    last = listed.n_relevant if k is None else relevant_at.searchsorted(k)
    total = precisions[:last].sum()
    if len(s):
        m = np.clip(n_shown - s, 0, t)
        harmonic = harmonic_numbers(len(listed))
        dH = harmonic[s + m] - harmonic[s]
        total += ((r / t) * ((R + 1) * dH + (r - 1) / (t - 1) * (m - (s + 1) * dH))).sum()
    return float(total / min(listed.n_relevant, n_shown))


def precision(listed: RankedList, k: int) -> float:
    """Return the share of relevant items among the first k."""
    return hits_at(listed, k) / k


def recall(listed: RankedList, k: int) -> float:
    """Return the share of the relevant items that are among the first k."""
    return hits_at(listed, k) / listed.n_relevant


def r_precision(listed: RankedList) -> float:
    """Return precision after as many items as are relevant."""
    return hits_at(listed, listed.n_relevant) / listed.n_relevant


def hit_rate(listed: RankedList, k: int) -> float:
    """Return the probability that a relevant item is among the first k.

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
    n_shown = len(listed) if k is None else k
    sums = discount_sums(len(listed))
    s, t, _, r, tied = listed.ties
    until = np.minimum(s + t, n_shown)
    of_groups = np.maximum(sums[until] - sums[np.minimum(s, n_shown)], 0.0)
    if listed.gains is None:
        at = listed.relevant_at[: listed.relevant_at.searchsorted(n_shown)]
        alone = at[~tied[at]]
        gained = (sums[alone + 1] - sums[alone]).sum() + (r / t * of_groups).sum()
        return float(gained / sums[min(listed.n_relevant, n_shown)])
    gains, discounts = listed.gains, np.diff(sums)[:n_shown]
    gained = discounts @ np.where(tied, 0.0, gains)[:n_shown]
    if len(s):
        total = np.concatenate(([0.0], np.cumsum(gains)))
        gained += ((total[s + t] - total[s]) / t * of_groups).sum()
    best = -np.sort(-gains)[:n_shown]
    return float(gained / (discounts @ best))


def interpolated_precisions(listed: RankedList, recall_levels: np.ndarray) -> np.ndarray:
    """Return the highest expected precision at or beyond each level of expected recall."""
    hits = expected_hits(listed)
    precisions = hits / np.arange(1, len(hits) + 1)
    highest = np.maximum.accumulate(precisions[::-1])[::-1]
    reached = hits.searchsorted(recall_levels * hits[-1] - 1e-9)  # 0.3 * 10 is more than 3
    return highest[reached]


@lru_cache(maxsize=4)
def no_ties(n: int) -> TieGroups:
    """Return no groups among n items."""
    none, tied = np.empty(0, dtype=np.intp), np.zeros(n, dtype=bool)
    tied.flags.writeable = False  # the callers share it
    return TieGroups(none, none, none, none, tied)


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
    sums.flags.writeable = False  # the callers share it
    return sums
