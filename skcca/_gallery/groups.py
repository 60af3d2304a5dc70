"""Rows that are one query together, such as the chunks of a song."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._gallery.search import Best, empty, merge
from skcca._labels import check_labels

Array = np.ndarray


class Groups(NamedTuple):
    """The group of each row, numbered in the order in which they first appear."""

    codes: Array  # (n_rows,)
    counts: Array  # (n_groups,)

    @classmethod
    def of(cls, groups: Any, n_rows: int, caller: str) -> Groups:
        """Return the groups of rows of these names."""
        names = check_labels(groups, n_rows, "groups", "A", caller)
        if names.ndim != 1:
            raise ValueError(f"{caller}: `groups` holds one name for each row of `A`.")
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


def best_of_groups(best: Best, groups: Groups) -> Best:
    """Rank items by their largest score with a row of the group.

    An item among the k best of a group is among the k best of the row that it scores highest with,
    so that the lists of the rows hold all that is needed.
    """
    n_rows, k = best.places.shape
    owner = np.repeat(groups.codes, k)
    places, scores = best.places.ravel(), best.scores.ravel()
    order = np.lexsort((-scores, places, owner))
    owner, places, scores = owner[order], places[order], scores[order]
    first = np.ones(n_rows * k, dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (places[1:] != places[:-1])
    return merge(empty(len(groups.counts), k), owner[first], places[first], scores[first])
