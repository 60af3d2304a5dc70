"""Retrieval tasks: queries, a gallery and relevance, checked before anything is ranked.

Whatever is no embedding, no label and no rule is refused by the name of its argument. An item is
relevant to a query by

classes     relevant = same class
tags        relevant = a tag in common; gain 1, the number of shared tags, or their Jaccard index
memberships relevant = a class in common; gain = the product of both memberships, summed
gains       given for every query and item; relevant = gain above 0

Queries and items of unknown class are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._core.arrays import check_aligned
from skcca._core.compat import check_array
from skcca._core.types import ArrayLike, LabelsLike
from skcca._core.warnings import warn
from skcca.metrics._similarity import bounded_vectors, check_metric
from skcca.views._labels import (
    check_comparable_labels,
    check_labels,
    known_rows,
    to_entries,
)
from skcca.views._projection import check_embedding

GRADES = ("shared", "count", "jaccard")
NO_RELEVANT = ("omit", "zero", "raise")


class ArgumentNames(NamedTuple):
    """Names of a function and of its arguments, for error messages."""

    caller: str
    queries: str = "queries"
    gallery: str = "gallery"
    query_labels: str = "query_labels"
    gallery_labels: str = "gallery_labels"


class Rules(NamedTuple):
    """Rules of a retrieval task: similarity, relevance, and queries without a relevant item."""

    metric: str = "cosine"
    correlations: ArrayLike = None
    relevance: str | ArrayLike = "shared"
    exclude_self: bool = False
    no_relevant: Any = "omit"


class Retrieval(NamedTuple):
    """Checked queries and gallery, ready to be ranked."""

    queries: np.ndarray  # (n_queries, n_columns)
    gallery: np.ndarray  # (n_gallery, n_columns)
    relevant: Relevance | Gains
    # Numbers of the queries to measure, and of those without a relevant item that count as 0.
    measured: np.ndarray
    zero: np.ndarray
    exclude_self: bool
    # Whether every item is relevant to each query to measure, so that its gains alone order them.
    all_relevant: bool
    max_abs_score: float = 1.0
    # Torch ranks on a GPU, NumPy where it is None.
    device: str | None = None
    # Places of the queries among those of the caller, who has more of unknown class.
    places: np.ndarray | None = None
    n_given: int = 0

    @property
    def n_ranked(self) -> int:
        """Length of a ranked list."""
        return len(self.gallery) - self.exclude_self

    def of_all_queries(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores of the caller's queries, nan for those of unknown class."""
        if self.places is None:
            return scores
        every = np.full(self.n_given, np.nan)
        every[self.places] = scores
        return every


def prepare(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike,
    gallery_labels: LabelsLike,
    names: ArgumentNames,
    rules: Rules,
) -> Retrieval:
    """Check embeddings, labels and rules, and warn of queries without a relevant item."""
    caller = names.caller
    check_rules(rules, caller)
    gains: Any = rules.relevance if hasattr(rules.relevance, "iloc") else None
    of_queries = {names.queries: queries, names.query_labels: query_labels, "relevance": gains}
    of_gallery = {names.gallery: gallery, names.gallery_labels: gallery_labels}
    of_gallery |= {"relevance.T": None if gains is None else gains.T}
    paired = rules.exclude_self or (gallery_labels is None and isinstance(rules.relevance, str))
    check_sides_aligned(caller, of_queries, of_gallery, paired=paired)
    device = _gpu_of(queries) or _gpu_of(gallery)
    queries, gallery = check_embeddings(queries, gallery, names)
    correlations = check_metric(rules.metric, rules.correlations, queries.shape[1], caller)
    n_given, places = len(queries), None
    shape = n_given, len(gallery)
    known = known_sides(query_labels, gallery_labels, *shape, names, rules.exclude_self)
    if known is not None:
        places = np.flatnonzero(known.queries)
        queries, gallery = queries[known.queries], gallery[known.gallery]
        query_labels, gallery_labels = known.query_labels, known.gallery_labels
    relevant = find_relevance(
        query_labels, gallery_labels, len(queries), len(gallery), names, rules.relevance
    )
    n_relevant = relevant.counts()
    if rules.exclude_self:
        if len(queries) != len(gallery) or len(gallery) < 2:
            raise ValueError(
                f"{caller}: `exclude_self=True` leaves out item i for query i, but there are "
                f"{len(queries)} queries and {len(gallery)} items; expected equally many, 2 at "
                "least."
            )
        n_relevant = n_relevant - relevant.diagonal()
    exclude_self = bool(rules.exclude_self)
    to_measure = _queries_to_measure(
        relevant, n_relevant, len(gallery), exclude_self, rules.no_relevant, caller
    )
    Q, G, max_abs_score = bounded_vectors(queries, gallery, rules.metric, correlations)
    measured, zero, all_relevant = to_measure
    return Retrieval(
        Q, G, relevant, measured, zero, exclude_self, all_relevant, max_abs_score, device,
        places, n_given,
    )  # fmt: skip


class KnownSides(NamedTuple):
    """Masks of the queries and items whose class is known, and their labels."""

    queries: np.ndarray  # (n_queries,) bool
    gallery: np.ndarray  # (n_gallery,) bool
    query_labels: LabelsLike
    gallery_labels: LabelsLike


def known_sides(
    query_labels: LabelsLike,
    gallery_labels: LabelsLike,
    n_queries: int,
    n_gallery: int,
    names: ArgumentNames,
    exclude_self: bool = False,
) -> KnownSides | None:
    """Return what is known of each side, after counting the rest, or None if all is known."""
    own = gallery_labels is not None
    if query_labels is None or not (own or n_queries == n_gallery):
        # Labels that the sides cannot share are refused by `relevance_from_labels`.
        return None
    of_queries = known_rows(query_labels, n_queries)
    of_gallery = known_rows(gallery_labels, n_gallery) if own else of_queries
    if of_queries is None and of_gallery is None:
        return None
    of_queries = np.ones(n_queries, dtype=bool) if of_queries is None else of_queries
    of_gallery = np.ones(n_gallery, dtype=bool) if of_gallery is None else of_gallery
    if exclude_self and n_queries == n_gallery:
        # Item i is left out for query i, so that both keep one place.
        of_queries = of_gallery = of_queries & of_gallery
    n_unknown = np.count_nonzero(~of_queries), np.count_nonzero(~of_gallery)
    if not (of_queries.any() and of_gallery.any()):
        raise ValueError(
            f"{names.caller}: {n_unknown[0]} of {n_queries} queries and {n_unknown[1]} of "
            f"{n_gallery} items have no label in `{names.query_labels}` and "
            f"`{names.gallery_labels}` (None, NaN or masked); relevance needs known classes."
        )
    warn(
        f"{names.caller}: {n_unknown[0]} of {n_queries} queries and {n_unknown[1]} of {n_gallery} "
        "items have no label (None, NaN or masked) and are left out."
    )
    return KnownSides(
        of_queries,
        of_gallery,
        _labels_of(query_labels, of_queries),
        _labels_of(gallery_labels, of_gallery) if own else None,
    )


def _labels_of(labels: LabelsLike, rows: np.ndarray) -> LabelsLike:
    """Return the labels of some rows; those of another number of rows are refused later."""
    entries = to_entries(labels)
    return entries[rows] if entries.shape[:1] == rows.shape else labels


def check_sides_aligned(
    caller: str, of_queries: dict[str, Any], of_gallery: dict[str, Any], *, paired: bool
) -> None:
    """Refuse pandas objects of one side in another order of its rows.

    Both sides are in one order where item i is or has what query i should find, or is left out.
    """
    for entries in (of_queries | of_gallery,) if paired else (of_queries, of_gallery):
        check_aligned(caller, **entries)


def check_rules(rules: Rules, caller: str) -> None:
    """Refuse unknown values of `no_relevant` and `exclude_self`."""
    if not isinstance(rules.no_relevant, str) or rules.no_relevant not in NO_RELEVANT:
        raise ValueError(
            f"{caller}: `no_relevant` is {rules.no_relevant!r}; expected 'omit', 'zero' or 'raise'."
        )
    if not isinstance(rules.exclude_self, (bool, np.bool_)):
        raise TypeError(f"{caller}: `exclude_self` is {rules.exclude_self!r}; expected a bool.")


def _gpu_of(embedding: ArrayLike) -> str | None:
    """Return the CUDA device of a tensor, else None."""
    device = getattr(embedding, "device", None)
    return str(device) if getattr(device, "type", None) == "cuda" else None


def check_embeddings(
    queries: ArrayLike, gallery: ArrayLike, names: ArgumentNames
) -> tuple[np.ndarray, np.ndarray]:
    """Return two embeddings in one space as float64."""
    Q = check_embedding(queries, names.queries, names.caller)
    G = check_embedding(gallery, names.gallery, names.caller)
    if Q.shape[1] != G.shape[1]:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {Q.shape[1]} components but "
            f"`{names.gallery}` has {G.shape[1]}; project both into one space first."
        )
    return Q, G


def _queries_to_measure(
    relevant: Relevance | Gains,
    n_relevant: np.ndarray,
    n_gallery: int,
    exclude_self: bool,
    rule: str,
    caller: str,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return the queries to measure, those to count as 0, and whether all items are relevant.

    The others are warned of, as are queries to which every item is relevant and gains as much.
    """
    measured, without = np.flatnonzero(n_relevant), np.flatnonzero(n_relevant == 0)
    none, n_without = without[:0], len(without)
    have_none = f"{n_without} of {len(n_relevant)} queries have no relevant item in the gallery"
    if n_without and rule == "raise":
        raise ValueError(
            f"{caller}: {have_none}, the first of them query {without[0]}; "
            "no_relevant='omit' leaves them out, 'zero' counts them as 0."
        )
    if n_without and rule == "zero":
        return measured, without, False
    all_relevant = bool((n_relevant[measured] == n_gallery - exclude_self).all())
    if not (all_relevant and _gain_alike(relevant, measured, exclude_self)):
        if n_without:
            warn(f"{caller}: {have_none} and are left out.")
        return measured, none, all_relevant
    nothing = "there is nothing to measure: nan"
    if len(measured) == 0:
        warn(f"{caller}: no query has a relevant item in the gallery; {nothing}.")
        return none, none, False
    situation = "every gallery item is relevant to every query"
    if n_without:
        situation = f"{have_none}, and to the other {len(measured)} every item is relevant"
    warn(
        f"{caller}: {situation} (a gallery of one class), so that any ranking is perfect; "
        f"{nothing}. Folds of sorted labels do this, and those between hold few classes, which "
        "raises their scores: shuffle or stratify them."
    )
    return none, none, False


def _gain_alike(relevant: Relevance | Gains, queries: np.ndarray, exclude_self: bool) -> bool:
    """Return whether all items gain as much to each of some queries to which all are relevant."""

    def gains(query: int) -> np.ndarray:
        gains = relevant.gains(query)
        return np.delete(gains, query) if exclude_self else gains

    return not relevant.graded or all(np.ptp(gains(query)) == 0 for query in queries)


class Relevance:
    """Relevance by class numbers (n,), or by tags (n, n_tags) as 0 and 1.

    The gain of a relevant item is 1 with the grade "shared", else it grows with the shared tags.
    """

    def __init__(self, queries: np.ndarray, gallery: np.ndarray, grade: str = "shared"):
        self._by_tag = queries.ndim == 2
        # Numbers of shared tags are exact in float32, and only floats have a fast product. Class
        # numbers of a byte are compared several times as fast as those of eight.
        largest = int(max(queries.max(), gallery.max()))
        dtype = np.dtype(np.float32) if self._by_tag else np.min_scalar_type(-1 - largest)
        if self._by_tag and any(labels.dtype.kind == "f" for labels in (queries, gallery)):
            # Of memberships only the proportions matter, and products must not vanish.
            dtype = np.dtype(np.float64)
            queries, gallery = (L / max(L.max(initial=0), 1e-70) for L in (queries, gallery))
        self._queries: np.ndarray = queries.astype(dtype)
        self._gallery: np.ndarray = gallery.astype(dtype)
        self.labels = self._queries, self._gallery
        # Whether gains differ among relevant items.
        self.grade, self.graded = grade, grade != "shared"

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
            n_classes = int(self._queries.max()) + 1
            return np.bincount(self._gallery, minlength=n_classes)[self._queries]
        # Queries of the same tags have the same relevant items, and tag sets are few.
        tag_sets, which = np.unique(self._queries, axis=0, return_inverse=True)
        shared = [np.count_nonzero(self._gallery @ tags) for tags in tag_sets]
        return np.array(shared)[which.ravel()]

    def diagonal(self) -> np.ndarray:
        """Return whether item i is relevant to query i."""
        if self._by_tag:
            return (self._queries * self._gallery).sum(axis=1) > 0
        return self._queries == self._gallery


class Gains:
    """Relevance by gains (n_queries, n_gallery), 0 where an item is not relevant.

    Its methods are those of `Relevance`.
    """

    graded = True

    def __init__(self, gains: np.ndarray):
        self._gains = gains

    def __getitem__(self, queries: np.ndarray) -> np.ndarray:
        return self._gains[queries] > 0

    def gains(self, query: int) -> np.ndarray:
        return self._gains[query]

    def counts(self) -> np.ndarray:
        return np.count_nonzero(self._gains, axis=1)

    def diagonal(self) -> np.ndarray:
        return np.diagonal(self._gains) > 0


def find_relevance(
    query_labels: LabelsLike,
    gallery_labels: LabelsLike,
    n_queries: int,
    n_gallery: int,
    names: ArgumentNames,
    rule: str | ArrayLike,
) -> Relevance | Gains:
    """Return the relevance by labels, by instance pairs, or by a matrix of gains."""
    shape = n_queries, n_gallery
    if rule is None or (isinstance(rule, str) and rule not in GRADES):
        raise ValueError(
            f"{names.caller}: `relevance` is {rule!r}; expected one of {GRADES}, or a matrix of "
            "gains (n_queries, n_gallery)."
        )
    labelled = query_labels is not None or gallery_labels is not None
    if not isinstance(rule, str):
        if labelled:
            raise ValueError(
                f"{names.caller}: `relevance` holds the gain of every item, so that labels have "
                f"nothing to say; leave `{names.query_labels}` and `{names.gallery_labels}` out."
            )
        return check_gains(rule, shape, names.caller)
    if not labelled:
        if n_queries != n_gallery:
            raise ValueError(
                f"{names.caller}: without labels item i is what query i should find, but there are "
                f"{n_queries} queries and {n_gallery} items; give `query_labels` and "
                "`gallery_labels`."
            )
        return Relevance(np.arange(n_queries), np.arange(n_queries))
    return relevance_from_labels(query_labels, gallery_labels, *shape, names, rule)


def check_gains(gains: ArrayLike, shape: tuple[int, int], caller: str) -> Gains:
    """Return the gains of all items for all queries, checked and scaled."""
    checked = check_array(
        gains, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_min_samples=0,
        ensure_min_features=0, input_name="relevance",
    )  # fmt: skip
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


def relevance_from_labels(
    query_labels: LabelsLike,
    gallery_labels: LabelsLike,
    n_queries: int,
    n_gallery: int,
    names: ArgumentNames,
    grade: str = "shared",
) -> Relevance:
    """Return the relevance by class or tag, after checking the labels."""
    if query_labels is None:
        raise ValueError(
            f"{names.caller}: `{names.gallery_labels}` are given without `{names.query_labels}`; "
            "give both, or neither where row i belongs to row i."
        )
    of_queries = n_queries, names.query_labels, names.queries, names.caller
    query_labels = check_labels(query_labels, *of_queries, soft=grade == "count")
    if gallery_labels is not None:
        of_gallery = n_gallery, names.gallery_labels, names.gallery, names.caller
        gallery_labels = check_labels(gallery_labels, *of_gallery, soft=grade == "count")
    elif n_queries == n_gallery:
        gallery_labels = query_labels
    else:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {n_queries} rows but `{names.gallery}` has "
            f"{n_gallery}, so item i cannot have the label of query i; give the gallery its own: "
            f"`{names.gallery_labels}`."
        )
    owners = "the queries", "the gallery"
    check_comparable_labels(query_labels, gallery_labels, names.caller, *owners)
    if query_labels.ndim == 2:
        return Relevance(query_labels, gallery_labels, grade)
    if grade != "shared":
        raise ValueError(
            f"{names.caller}: `relevance`={grade!r} grades shared tags, but the labels are "
            "classes; give binary indicator matrices (n, n_tags), or leave `relevance` out."
        )
    codes = np.unique(np.concatenate([query_labels, gallery_labels]), return_inverse=True)[1]
    return Relevance(codes[:n_queries], codes[n_queries:])
