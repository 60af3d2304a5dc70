"""Ranked lists: which gallery items are relevant to a query, and what a list with ties is worth.

What it must guarantee: no figure depends on the order of the gallery. Equal scores form one group
whose members stand in random order, and every figure is the expectation over those orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_array

from skcca._labels import check_labels
from skcca._warnings import warn

BLOCK_SCORES = 2**22  # in one matrix product, 32 MiB; many small ones would wait for BLAS threads
SNAP = 2.0**10  # adding and subtracting it rounds a float64 cosine to a multiple of 2**-42
MAGNITUDE = np.int32(0x7FFFFFFF)  # the bits of a float32 without its sign


class Relevance:
    """Which gallery items are relevant to which queries: same class, or a tag in common.

    Parameters
    ----------
    queries, gallery : ndarray of shape (n,) or (n, n_tags)
        Class numbers, or tags as 0 and 1.
    """

    def __init__(self, queries: np.ndarray, gallery: np.ndarray):
        self._by_tag = queries.ndim == 2
        # Numbers of shared tags are exact in float32, and only floats have a fast product.
        dtype = np.float32 if self._by_tag else np.intp
        self._queries, self._gallery = queries.astype(dtype), gallery.astype(dtype)

    def __getitem__(self, query: int) -> np.ndarray:
        """Return whether each gallery item is relevant to the query."""
        if self._by_tag:
            return self._gallery @ self._queries[query] > 0
        return self._gallery == self._queries[query]

    def counts(self) -> np.ndarray:
        """Return the number of relevant items of every query."""
        if not self._by_tag:
            n_classes = max(self._queries.max(), self._gallery.max()) + 1
            return np.bincount(self._gallery, minlength=n_classes)[self._queries]
        tag_sets, which = np.unique(self._queries, axis=0, return_inverse=True)
        shared = [np.count_nonzero(self._gallery @ tags) for tags in tag_sets]
        return np.array(shared)[which.ravel()]


def relevance(query_labels: np.ndarray, gallery_labels: np.ndarray, caller: str) -> Relevance:
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
        return Relevance(query_labels, gallery_labels)
    if (query_labels.dtype.kind in "US") != (gallery_labels.dtype.kind in "US"):
        raise ValueError(
            f"{caller}: the labels of the queries are of dtype {query_labels.dtype} and those of "
            f"the gallery of dtype {gallery_labels.dtype}; no string equals a number. Name the "
            "classes of both alike."
        )
    codes = np.unique(np.concatenate([query_labels, gallery_labels]), return_inverse=True)[1]
    return Relevance(*np.split(codes, [len(query_labels)]))


class ArgumentNames(NamedTuple):
    """What the caller calls the arguments of `prepare`, for the messages."""

    caller: str
    queries: str = "queries"
    gallery: str = "gallery"
    query_labels: str = "query_labels"
    gallery_labels: str = "gallery_labels"


class Retrieval(NamedTuple):
    """Checked queries and gallery, ready to be ranked."""

    queries: np.ndarray  # float64 rows of length one, or zero
    gallery: np.ndarray
    relevant: Relevance
    counted: np.ndarray  # the numbers of the queries that can be measured


def prepare(
    queries: Any, gallery: Any, query_labels: Any, gallery_labels: Any, names: ArgumentNames
) -> Retrieval:
    """Check embeddings and labels, and warn of the queries that cannot be measured.

    Raises
    ------
    ValueError
        For embeddings that are empty, not 2-D, not finite or of different widths, and for labels
        that are missing, continuous, or not as many as rows.
    """
    queries = _embedding(queries, names.queries, names.caller)
    gallery = _embedding(gallery, names.gallery, names.caller)
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {queries.shape[1]} components but "
            f"`{names.gallery}` has {gallery.shape[1]}; project both into one space first."
        )
    query_labels = check_labels(
        query_labels, len(queries), names.query_labels, names.queries, names.caller
    )
    if gallery_labels is not None:
        gallery_labels = check_labels(
            gallery_labels, len(gallery), names.gallery_labels, names.gallery, names.caller
        )
    elif len(queries) == len(gallery):
        gallery_labels = query_labels
    else:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {len(queries)} rows but `{names.gallery}` has "
            f"{len(gallery)}, so item i cannot have the label of query i; give the gallery its "
            f"own: `{names.gallery_labels}`."
        )
    relevant = relevance(query_labels, gallery_labels, names.caller)
    counted = _measurable(relevant.counts(), len(gallery), names.caller)
    return Retrieval(unit_rows(queries), unit_rows(gallery), relevant, counted)


def _embedding(embedding: Any, name: str, caller: str) -> np.ndarray:
    X = check_array(
        embedding,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=name,
    )
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"{caller}: `{name}` must be of shape (n_rows, n_components) with at least one of "
            f"each; got shape {X.shape}. One embedding is embedding.reshape(1, -1)."
        )
    return X


def _measurable(n_relevant: np.ndarray, n_gallery: int, caller: str) -> np.ndarray:
    """Return the queries whose ranked list can be good or bad; warn of the others."""
    counted = np.flatnonzero(n_relevant)
    if len(counted) == 0:
        problem = "no query has a relevant item in the gallery; there is nothing to measure: nan"
    elif (n_relevant[counted] == n_gallery).all():
        problem = (
            "every gallery item is relevant to every query (a gallery of one class), so that any "
            "ranking is perfect; there is nothing to measure: nan. Folds of sorted labels do this: "
            "shuffle or stratify them"
        )
        counted = counted[:0]
    elif len(counted) < len(n_relevant):
        problem = (
            f"{len(n_relevant) - len(counted)} of {len(n_relevant)} queries have no relevant item "
            "in the gallery and are left out"
        )
    else:
        return counted
    warn(f"{caller}: {problem}.")
    return counted


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Scale every row to length one; zero rows stay zero, and so do their cosines."""
    # Dividing by the largest entry first keeps the squares of 1e200 and 1e-200 in range.
    for size in (lambda Z: np.abs(Z).max(axis=1), lambda Z: np.linalg.norm(Z, axis=1)):
        norm = size(X)
        X = X / np.where(norm > 0, norm, 1.0)[:, np.newaxis]
    return X


def ranked_lists(retrieval: Retrieval) -> Iterator[np.ndarray]:
    """Yield for each counted query the ranked gallery, as one unsigned integer for each item.

    The lowest bit tells whether the item is relevant; the others order the items, the most similar
    first, and are equal exactly where the cosines are equal in float32. So that one sort of
    integers, as fast as one of floats, ranks items and relevance together.

    Parameters
    ----------
    retrieval : Retrieval
        What `prepare` returns.

    Yields
    ------
    ranked : ndarray of shape (n_gallery,), uint32
        The whole gallery, best first.

    Notes
    -----
    A matrix product may give two identical gallery rows scores that differ in the last bit,
    depending on the columns they stand in. Rounding float64 to float32 makes them equal again,
    except around zero, where float32 is as fine as the noise: hence the absolute grid before it.
    """
    queries, gallery, relevant, counted = retrieval
    n_gallery = len(gallery)
    affordable = int(get_config()["working_memory"] * 2**20 / (8 * n_gallery))
    n_rows = max(1, min(affordable, max(32, BLOCK_SCORES // n_gallery), len(counted)))
    products = np.empty((n_rows, n_gallery))
    for start in range(0, len(counted), n_rows):
        block = counted[start : start + n_rows]
        product = np.matmul(queries[block], gallery.T, out=products[: len(block)])
        for query, cosines in zip(block, product, strict=True):  # row by row stays in the cache
            cosines += SNAP
            best_first = np.subtract(SNAP, cosines).astype(np.float32)
            ranked = _ordered_integers(best_first)
            ranked <<= 1  # a cosine uses 31 of the 32 bits
            ranked |= relevant[query]
            ranked.sort()
            yield ranked.view(np.uint32)


def _ordered_integers(scores: np.ndarray) -> np.ndarray:
    """Turn float32 in place into int32 of the same order; there is no negative zero among them."""
    bits = scores.view(np.int32)
    bits ^= (bits >> 31) & MAGNITUDE  # the magnitude of a negative float orders backwards
    return bits


class TieGroups(NamedTuple):
    """Groups of two or more equal scores in one ranked list, best first."""

    n_above: np.ndarray  # items ranked above the group
    n_items: np.ndarray
    n_relevant_above: np.ndarray
    n_relevant: np.ndarray
    tied: np.ndarray  # (n_gallery,) bool: whether the item at this rank is in a group


def tie_groups(ranked: np.ndarray, relevant_at: np.ndarray) -> TieGroups:
    """Return the tie groups of a ranked list.

    Parameters
    ----------
    ranked : ndarray of shape (n_gallery,), uint32
        As `ranked_lists` yields it.
    relevant_at : ndarray of shape (n_relevant,)
        The ranks of the relevant items, from 0.
    """
    equals_previous = np.zeros(len(ranked) + 1, dtype=bool)
    np.less(ranked[1:] ^ ranked[:-1], 2, out=equals_previous[1:-1])
    edges = np.flatnonzero(equals_previous[1:] != equals_previous[:-1])
    start, stop = edges[::2], edges[1::2] + 1
    relevant_above = relevant_at.searchsorted(start)
    n_relevant = relevant_at.searchsorted(stop) - relevant_above
    tied = equals_previous[1:] | equals_previous[:-1]
    return TieGroups(start, stop - start, relevant_above, n_relevant, tied)


def expected_average_precision(ranked: np.ndarray, harmonic: np.ndarray) -> float:
    """Return the mean of a list's average precision over all orders of equal scores.

    A group of t items, r of them relevant, below s items, R of them relevant, adds with probability
    r/t at each of its ranks s+1, ..., s+t the precision (R + 1 + (j-1)(r-1)/(t-1)) / (s+j). Summed
    over j, with dH = H(s+t) - H(s)::

        (r/t) [ (R+1) dH + (r-1)/(t-1) (t - (s+1) dH) ]

    Parameters
    ----------
    ranked : ndarray of shape (n_gallery,), uint32
        As `ranked_lists` yields it; at least one item is relevant.
    harmonic : ndarray of shape (n_gallery + 1,)
        The harmonic numbers H(0), ..., H(n_gallery).
    """
    relevant_at = np.flatnonzero(ranked & 1 != 0)
    precisions = np.arange(1, len(relevant_at) + 1) / (relevant_at + 1)
    s, t, R, r, tied = tie_groups(ranked, relevant_at)
    if len(s) == 0:
        return precisions.mean()
    dH = harmonic[s + t] - harmonic[s]
    of_groups = (r / t) * ((R + 1) * dH + (r - 1) / (t - 1) * (t - (s + 1) * dH))
    precisions[tied[relevant_at]] = 0.0
    return (precisions.sum() + of_groups.sum()) / len(relevant_at)


def expected_hits(ranked: np.ndarray) -> np.ndarray:
    """Return the expected number of relevant items among the first 1, ..., n_gallery of a list."""
    hits = (ranked & 1).astype(float)
    groups = tie_groups(ranked, np.flatnonzero(hits))
    hits[groups.tied] = np.repeat(groups.n_relevant / groups.n_items, groups.n_items)
    return hits.cumsum()


def harmonic_numbers(n: int) -> np.ndarray:
    """Return H(0), ..., H(n), where H(k) = 1 + 1/2 + ... + 1/k."""
    return np.concatenate(([0.0], np.cumsum(1.0 / np.arange(1, n + 1))))


def average_precisions(retrieval: Retrieval) -> np.ndarray:
    """Return the expected average precision of every counted query, in their order."""
    harmonic = harmonic_numbers(len(retrieval.gallery))
    lists = ranked_lists(retrieval)
    return np.array([expected_average_precision(ranked, harmonic) for ranked in lists])


def mean_average_precision(retrieval: Retrieval) -> float:
    """Return the mean of the average precisions; nan if no query counts."""
    values = average_precisions(retrieval)
    return float(values.mean()) if len(values) else float("nan")
