"""Which gallery items are relevant to which queries, and how much.

classes     relevant = same class
tags        relevant = a tag in common; gain 1, the number of shared tags, or their Jaccard index
gains       given for every query and item; relevant = gain above 0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.compat import check_array
from skcca.views._checks import check_no_mask_or_dates
from skcca.views._labels import check_labels

GRADES = ("shared", "count", "jaccard")


class Relevance:
    """Which gallery items are relevant to which queries: same class, or a tag in common.

    Parameters
    ----------
    queries, gallery : ndarray of shape (n,) or (n, n_tags)
        Class numbers, or tags as 0 and 1.
    grade : {"shared", "count", "jaccard"}
        The gain of a relevant item: one, or by the tags that are shared.
    """

    def __init__(self, queries: np.ndarray, gallery: np.ndarray, grade: str = "shared"):
        self._by_tag = queries.ndim == 2
        # Numbers of shared tags are exact in float32, and only floats have a fast product.
        dtype: type = np.float32 if self._by_tag else np.intp
        self._queries: np.ndarray = queries.astype(dtype)
        self._gallery: np.ndarray = gallery.astype(dtype)
        self.grade = grade

    @property
    def graded(self) -> bool:
        """Whether gains differ among relevant items."""
        return self.grade != "shared"

    @property
    def labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Class numbers or tags of queries and items."""
        return self._queries, self._gallery

    def __getitem__(self, queries: np.ndarray) -> np.ndarray:
        """Return whether each gallery item is relevant to each of some queries."""
        if self._by_tag:
            return self._queries[queries] @ self._gallery.T > 0
        return self._queries[queries, np.newaxis] == self._gallery

    def gains(self, query: int) -> np.ndarray:
        """Return the gain of each gallery item."""
        shared = (self._gallery @ self._queries[query]).astype(float)
        if self.grade == "count":
            return shared
        either = self._gallery.sum(axis=1) + self._queries[query].sum() - shared
        return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)

    def counts(self) -> np.ndarray:
        """Return the number of relevant items of every query."""
        if not self._by_tag:
            n_classes = max(self._queries.max(), self._gallery.max()) + 1
            return np.bincount(self._gallery, minlength=n_classes)[self._queries]
        tag_sets, which = np.unique(self._queries, axis=0, return_inverse=True)
        shared = [np.count_nonzero(self._gallery @ tags) for tags in tag_sets]
        return np.array(shared)[which.ravel()]

    def diagonal(self) -> np.ndarray:
        """Return whether item i is relevant to query i."""
        if self._by_tag:
            return (self._queries * self._gallery).sum(axis=1) > 0
        return self._queries == self._gallery


class Gains:
    """Gains that are given for every query and item.

    Parameters
    ----------
    gains : ndarray of shape (n_queries, n_gallery)
        Zero where an item is not relevant.
    """

    graded = True

    def __init__(self, gains: np.ndarray):
        self._gains = gains

    def __getitem__(self, queries: np.ndarray) -> np.ndarray:
        """Return whether each gallery item is relevant to each of some queries."""
        return self._gains[queries] > 0

    def gains(self, query: int) -> np.ndarray:
        """Return the gain of each gallery item."""
        return self._gains[query]

    def counts(self) -> np.ndarray:
        """Return the number of relevant items of every query."""
        return np.count_nonzero(self._gains, axis=1)

    def diagonal(self) -> np.ndarray:
        """Return whether item i is relevant to query i."""
        return np.diagonal(self._gains) > 0


def relevance(
    query_labels: np.ndarray, gallery_labels: np.ndarray, caller: str, grade: str = "shared"
) -> Relevance:
    """Tell which gallery items are relevant to which queries, from checked labels."""
    if query_labels.ndim != gallery_labels.ndim:
        raise ValueError(
            f"{caller}: the labels of the queries have shape {query_labels.shape} and those of the "
            f"gallery {gallery_labels.shape}; give both as classes (1-D) or both as an indicator "
            "matrix."
        )
    if query_labels.ndim == 2:
        if query_labels.shape[1] != gallery_labels.shape[1]:
            raise ValueError(
                f"{caller}: the indicator matrix of the queries has {query_labels.shape[1]} tags "
                f"and that of the gallery {gallery_labels.shape[1]}; columns must mean the same "
                "tags."
            )
        return Relevance(query_labels, gallery_labels, grade)
    if grade != "shared":
        raise ValueError(
            f"{caller}: `relevance`={grade!r} grades shared tags, but the labels are classes; give "
            "binary indicator matrices (n, n_tags), or leave `relevance` out."
        )
    if (query_labels.dtype.kind in "US") != (gallery_labels.dtype.kind in "US"):
        raise ValueError(
            f"{caller}: the labels of the queries are of dtype {query_labels.dtype} and those of "
            f"the gallery of dtype {gallery_labels.dtype}; no string equals a number. Name the "
            "classes of both alike."
        )
    both = np.concatenate([query_labels, gallery_labels])
    if both.dtype.kind == "f":
        raise ValueError(
            f"{caller}: the labels of the queries are of dtype {query_labels.dtype} and those of "
            f"the gallery of dtype {gallery_labels.dtype}, and no integer type holds both; give "
            "both the same dtype."
        )
    codes = np.unique(both, return_inverse=True)[1]
    return Relevance(codes[: len(query_labels)], codes[len(query_labels) :])


def given_gains(gains: Any, shape: tuple[int, int], caller: str) -> Gains:
    """Check gains that the caller gives."""
    check_no_mask_or_dates(gains, "relevance")
    checked = check_array(gains, dtype=np.float64, ensure_2d=False, input_name="relevance")
    if checked.shape != shape:
        raise ValueError(
            f"{caller}: `relevance` has shape {checked.shape}; expected the gain of every item for "
            f"every query, {shape}, or one of {GRADES}."
        )
    if (checked < 0).any():
        raise ValueError(
            f"{caller}: `relevance` holds the gain {checked.min():g}; gains are at least 0, which "
            "is the gain of an item that is not relevant."
        )
    # Of a row of gains only the proportions matter, and their sums must stay in range.
    largest = checked.max(axis=1, keepdims=True)
    return Gains(checked / np.where(largest > 0, largest, 1.0))


def own_pairs(n_queries: int, n_gallery: int, caller: str) -> Relevance:
    """Return the relevance of row i to row i alone."""
    if n_queries != n_gallery:
        raise ValueError(
            f"{caller}: without labels item i is what query i should find, but there are "
            f"{n_queries} queries and {n_gallery} items; give `query_labels` and `gallery_labels`."
        )
    rows = np.arange(n_queries)
    return Relevance(rows, rows)


def of_labels(
    query_labels: Any,
    gallery_labels: Any,
    n_queries: int,
    n_gallery: int,
    names: Any,
    grade: str = "shared",
) -> Relevance:
    """Check labels, and return the relevance by class or tag.

    Raises
    ------
    ValueError
        If labels are missing, continuous, or not as many as rows.
    """
    if query_labels is None:
        raise ValueError(
            f"{names.caller}: `{names.gallery_labels}` are given without `{names.query_labels}`; "
            "give both, or neither where row i belongs to row i."
        )
    query_labels = check_labels(
        query_labels, n_queries, names.query_labels, names.queries, names.caller
    )
    if gallery_labels is not None:
        gallery_labels = check_labels(
            gallery_labels, n_gallery, names.gallery_labels, names.gallery, names.caller
        )
    elif n_queries == n_gallery:
        gallery_labels = query_labels
    else:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {n_queries} rows but `{names.gallery}` has "
            f"{n_gallery}, so item i cannot have the label of query i; give the gallery its own: "
            f"`{names.gallery_labels}`."
        )
    return relevance(query_labels, gallery_labels, names.caller, grade)
