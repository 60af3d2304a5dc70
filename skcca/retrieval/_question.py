"""What a retriever is asked: rows to search for, how many items, for which rows together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._core.warnings import warn
from skcca.retrieval._faiss import Built
from skcca.retrieval._gallery import Groups, Snapshot, best_of_groups
from skcca.retrieval._search import Best, search
from skcca.retrieval._space import Space


class Question(NamedTuple):
    """A checked question to one snapshot of a gallery."""

    gallery: Snapshot
    rows: np.ndarray  # prepared
    k: int
    groups: Groups | None  # of the rows, where the lists of all that a group found are one list

    @classmethod
    def to(cls, space: Space, A: Any, k: Any, groups: Any, aggregate: str, caller: str) -> Question:
        """Return the question that somebody asks of the gallery as it is now."""
        gallery = space.gallery.snapshot
        k = check_k(k, len(gallery), caller)
        Z = space.embedding(A, space.query_view, "A", caller)
        together = None if groups is None else Groups.of(groups, len(Z), caller)
        if together is not None and aggregate == "mean":
            Z = together.mean(Z)
        rows = space.query_rows(Z)
        if rows.shape[1] != gallery.width:
            raise ValueError(
                f"{caller}: the embedding of `A` has {Z.shape[1]} components, but the items have "
                "another number; both views must be embedded in one space."
            )
        if together is not None and aggregate == "mean_similarity":
            rows = together.mean(rows)  # the mean of products is the product of the mean
        return cls(gallery, rows, k, together if aggregate == "max_similarity" else None)

    def answer(self, index: Built | None = None) -> Best:
        """Return the best items, of all or of those that an index proposes."""
        if index is None:
            best = search(self.gallery.parts, self.rows, self.k)
        else:
            best = index.search(self.gallery, self.rows, self.k)
        return best if self.groups is None else best_of_groups(best, self.groups)


def check_k(k: Any, n_items: int, caller: str) -> int:
    """Return how many items can be found."""
    if isinstance(k, (bool, np.bool_)) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"{caller}: `k` is {k!r:.40}; expected an integer of at least 1.")
    if k < 1:
        raise ValueError(f"{caller}: `k` is {k}; expected an integer of at least 1.")
    if not n_items:
        raise ValueError(f"{caller}: the gallery is empty; `add` items first.")
    if k > n_items:
        warn(f"{caller}: `k` is {k}, but the gallery has {n_items} items: all are returned.")
    return min(int(k), n_items)
