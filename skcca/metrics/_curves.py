"""Precision against recall, averaged over the queries."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from skcca._core.types import ArrayLike, LabelsLike
from skcca.metrics._measures import expected_hits, interpolated_precisions
from skcca.metrics._preparation import ArgumentNames, Rules, prepare
from skcca.metrics._ranking import evaluate


class RetrievalCurve(NamedTuple):
    """Mean precision and recall after the first ``n_shown`` items of the ranked lists."""

    precision: np.ndarray
    recall: np.ndarray
    n_shown: np.ndarray


def retrieval_precision_recall(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    n_points: int | None = None,
    metric: str = "cosine",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> RetrievalCurve:
    """Return mean precision and recall against the number of items shown.

    Tied items share their relevant ones evenly over the ranks they take, which is the expectation
    over their orders.

    Parameters
    ----------
    queries, gallery : array-like of shape (n, n_components)
    query_labels, gallery_labels : array-like of shape (n,) or (n, n_tags), default=None
        See `retrieval_scores`.
    n_points : int, default=None
        Number of points of the curve, 1 at least, evenly spaced from 1 item to the whole gallery;
        None gives every one.
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings.

    Returns
    -------
    precision, recall : ndarray of shape (n_points,)
        Shares of relevant items among those shown, and of those shown among the relevant ones:
        means over the queries; nan where there is nothing to measure.
    n_shown : ndarray of shape (n_points,)
        The number of items shown, ascending.

    Examples
    --------
    >>> from skcca.metrics import retrieval_precision_recall
    >>> songs, videos = [[1, 0]], [[2, 0], [1, 1], [0, 1]]
    >>> precision, recall, n_shown = retrieval_precision_recall(songs, videos, [1], [1, 0, 1])
    >>> precision.round(3), recall
    (array([1.   , 0.5  , 0.667]), array([0.5, 0.5, 1. ]))
    """
    whole = isinstance(n_points, (int, np.integer)) and not isinstance(n_points, bool)
    if n_points is not None and not (whole and n_points >= 1):
        raise ValueError(
            "retrieval_precision_recall: `n_points` must be an integer of at least 1, or None for "
            f"all points; got {n_points!r:.60}."
        )
    names = ArgumentNames("retrieval_precision_recall")
    rules = Rules(metric, exclude_self=exclude_self, no_relevant=no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    hits, recall = np.zeros((2, retrieval.n_ranked))
    for expected in evaluate(retrieval, expected_hits):
        hits += expected
        recall += expected / expected[-1]
    n_shown = np.arange(1, retrieval.n_ranked + 1)
    if n_points is not None:
        n_shown = np.unique(np.linspace(1, retrieval.n_ranked, n_points).round().astype(int))
    n_queries = len(retrieval.measured) + len(retrieval.zero) or np.nan
    at = n_shown - 1
    return RetrievalCurve(hits[at] / n_shown / n_queries, recall[at] / n_queries, n_shown)


def interpolated_precision(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    recall_levels: int | ArrayLike = 11,
    metric: str = "cosine",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> np.ndarray:
    """Return mean interpolated precision at levels of recall.

    The interpolated precision of a list at recall r is the highest precision at any rank whose
    recall is r at least [1]_. The mean over the default levels is 11-point precision.

    Parameters
    ----------
    queries, gallery : array-like of shape (n, n_components)
    query_labels, gallery_labels : array-like of shape (n,) or (n, n_tags), default=None
        See `retrieval_scores`.
    recall_levels : int or array-like of shape (n_levels,), default=11
        Levels from 0 to 1, or the number of evenly spaced ones: 0, .1, ..., 1.
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings.

    Returns
    -------
    precision : ndarray of shape (n_levels,)
        Mean over the queries; nan where there is nothing to measure.

    Notes
    -----
    The maximum is taken of the expected precisions of a list with ties, at its expected recalls.

    References
    ----------
    .. [1] C. D. Manning, P. Raghavan, H. Schuetze, "Introduction to information retrieval",
       Cambridge University Press 2008, section 8.4.

    Examples
    --------
    >>> from skcca.metrics import interpolated_precision
    >>> songs, videos = [[1, 0]], [[2, 0], [1, 1], [0, 1]]
    >>> interpolated_precision(songs, videos, [1], [1, 0, 1], recall_levels=3).round(3)
    array([1.   , 1.   , 0.667])
    """
    names = ArgumentNames("interpolated_precision")
    rules = Rules(metric, exclude_self=exclude_self, no_relevant=no_relevant)
    levels = recall_levels
    if isinstance(levels, (int, np.integer)) and not isinstance(levels, bool) and levels > 1:
        levels = np.linspace(0, 1, int(levels))
    levels = np.asarray(levels)
    numbers = levels.dtype.kind in "iuf" and levels.ndim == 1 and len(levels) > 0
    if not (numbers and ((levels >= 0) & (levels <= 1)).all()):
        raise ValueError(
            f"{names.caller}: `recall_levels` is {recall_levels!r:.60}; expected numbers from 0 to "
            "1, or how many evenly spaced ones, 2 at least."
        )
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    total = np.zeros(len(levels))
    for precisions in evaluate(retrieval, partial(interpolated_precisions, recall_levels=levels)):
        total += precisions
    return total / (len(retrieval.measured) + len(retrieval.zero) or np.nan)
