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
    """Groups of two or more equal scores, best first."""

    n_above: np.ndarray  # items ranked above the group, in its list
    n_items: np.ndarray
    n_relevant_above: np.ndarray
    n_relevant: np.ndarray
    tied: np.ndarray  # (n_lists * n_gallery,) bool: whether the item at this place is in a group
    of_list: np.ndarray  # number of the list


def tie_groups(ranked: np.ndarray, relevant_at: np.ndarray) -> TieGroups:
    """Return the groups of equal scores of several lists.

    Parameters
    ----------
    ranked : ndarray of shape (n_lists, n_gallery), uint32
        As in `RankedList`.
    relevant_at : ndarray
        The places of relevant items, counted through all lists.
    """
    n, flat = ranked.shape[1], ranked.ravel()
    equals_previous = np.zeros(len(flat) + 1, dtype=bool)
    np.less(flat[1:] ^ flat[:-1], 2, out=equals_previous[1:-1])
    equals_previous[::n] = False  # another list begins
    edges = np.flatnonzero(equals_previous[1:] != equals_previous[:-1])
    start, stop = edges[::2], edges[1::2] + 1
    of_list = start // n
    above = relevant_at.searchsorted(start)
    n_relevant = relevant_at.searchsorted(stop) - above
    above -= relevant_at.searchsorted(of_list * n)
    tied = equals_previous[1:] | equals_previous[:-1]
    return TieGroups(start - of_list * n, stop - start, above, n_relevant, tied, of_list)


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
        return tie_groups(self.ranked[np.newaxis], self.relevant_at)

    def first_group(self) -> tuple[int, int, int]:
        """Return s, t and r of the group that holds the first relevant item; t may be 1."""
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
    if i >= 0 and s[i] + t[i] > k:  # k cuts a group
        return float(R[i] + (k - s[i]) * r[i] / t[i])
    return float(listed.relevant_at.searchsorted(k))


def average_precision(listed: RankedList, k: int | None = None) -> float:
    """Return the average precision of one list."""
    return float(average_precisions(listed.ranked[np.newaxis], k)[0])


def average_precisions(ranked: np.ndarray, k: int | None = None) -> np.ndarray:
    """Return the sums of the precisions at relevant items over the numbers that k could hold.

    A group adds with probability r/t at its rank s+j the precision
    (R + 1 + (j-1)(r-1)/(t-1)) / (s+j); over its first m ranks, with dH = H(s+m) - H(s)::

        (r/t) [ (R+1) dH + (r-1)/(t-1) (m - (s+1) dH) ]

    Parameters
    ----------
    ranked : ndarray of shape (n_lists, n_gallery), uint32
        As in `RankedList`; an item of each is relevant at least.
    k : int, default=None
        Items that are looked at; None is all of them.
    """
    n_lists, n = ranked.shape
    relevant_at = np.flatnonzero((ranked & 1) != 0)  # counted through all lists
    first = relevant_at.searchsorted(n * np.arange(n_lists + 1))
    counts = np.diff(first)
    hits = np.arange(1, len(relevant_at) + 1) - np.repeat(first[:-1], counts)
    ranks = relevant_at + 1 - np.repeat(n * np.arange(n_lists), counts)
    precisions = hits / ranks
    s, t, R, r, tied, of_list = tie_groups(ranked, relevant_at)
    if len(s):
        precisions[tied[relevant_at]] = 0.0
    n_shown = n if k is None else k
    if n_shown < n:
        precisions[ranks > n_shown] = 0.0
    totals = np.add.reduceat(precisions, first[:-1])
    if len(s):
        m = np.clip(n_shown - s, 0, t)
        harmonic = harmonic_numbers(n)
        dH = harmonic[s + m] - harmonic[s]
        of_groups = (r / t) * ((R + 1) * dH + (r - 1) / (t - 1) * (m - (s + 1) * dH))
        totals += np.bincount(of_list, of_groups, minlength=n_lists)
    return totals / np.minimum(counts, n_shown)


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
    s, t, _, r, tied, _ = listed.ties
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
