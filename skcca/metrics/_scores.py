"""Measures of retrieval from embeddings and labels, of each query or of all, and chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.types import ArrayLike, LabelsLike
from skcca.metrics._measures import Measure, find_measure
from skcca.metrics._preparation import (
    ArgumentNames,
    Rules,
    known_sides,
    prepare,
    relevance_from_labels,
)
from skcca.metrics._ranking import overall_score, score_queries
from skcca.views._labels import count_labels


def retrieval_score(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    measure: str = "map",
    metric: str = "cosine",
    correlations: ArrayLike = None,
    relevance: ArrayLike = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> float:
    """Return how well queries find their relevant items, the mean of `retrieval_scores`.

    Parameters
    ----------
    queries, gallery : array-like of shape (n, n_components)
    query_labels, gallery_labels : array-like of shape (n,) or (n, n_tags), default=None
    measure : str, default="map"
    metric : str, default="cosine"
    correlations : array-like of shape (n_components,), default=None
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings.

    Returns
    -------
    score : float
        Mean over the queries, of "median_rank" the median; nan where there is nothing to measure,
        with a warning.

    See Also
    --------
    chance_score : Expected score of a random ranking.
    retrieval_report : Several measures in both directions, beside chance.
    make_retrieval_scorer : The same for model selection.

    Examples
    --------
    >>> from skcca.metrics import retrieval_score
    >>> songs, videos = [[1, 0], [0, 1]], [[2, 0], [1, 1], [0, 1]]
    >>> retrieval_score(songs, videos, ["a", "b"], ["a", "b", "a"], measure="precision@2")
    0.5
    >>> retrieval_score(songs, videos[:2], measure="recall@1")
    1.0
    """
    names = ArgumentNames("retrieval_score")
    named = find_measure(measure, names.caller)
    rules = Rules(metric, correlations, relevance, exclude_self, no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    return overall_score(retrieval, named, names.caller)


def retrieval_scores(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    measure: str = "map",
    metric: str = "cosine",
    correlations: ArrayLike = None,
    relevance: ArrayLike = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> np.ndarray:
    """Return how well each query finds its relevant items.

    ================  ==============================================================================
    ``measure``       of a query with R relevant items
    ================  ==============================================================================
    ``map``           average precision: sum_i p(i) rel(i) / R, p(i) = precision after i items
    ``map@k``         the same of the first k items, over min(R, k)
    ``precision@k``   share of relevant items among the first k
    ``recall@k``      share of the relevant items that are among the first k
    ``hit_rate@k``    1 if a relevant item is among the first k
    ``r_precision``   precision after R items
    ``ndcg``          sum_i gain(i) / log2(i + 1), over that of the best order
    ``ndcg@k``        the same of the first k items
    ``mrr``           1 / rank of the first relevant item
    ``mrr@k``         the same, 0 beyond rank k
    ``mean_rank``     rank of the first relevant item, from 1; less is better
    ``median_rank``   the same; `retrieval_score` takes the median over the queries
    ================  ==============================================================================

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_components)
        Embedded queries.
    gallery : array-like of shape (n_gallery, n_components)
        Embedded items to rank.
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        Classes (integers, strings or bools; relevant = same class), or a binary indicator matrix
        (relevant = a tag in common). Queries and items whose class is missing (None, NaN,
        ``pd.NA`` or masked) are left out with a warning that counts them. None means instance
        pairs: row i of the gallery alone is relevant to query i.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means that item i has the label of query i.
    measure : str, default="map"
        One of the names above, with a number for k.
    metric : str, default="cosine"
        What orders the gallery: "cosine" (0 for a zero row), "correlation" (the cosine of rows less
        their means), "inner_product", "euclidean" (the nearest first) or "log_likelihood_ratio".
    correlations : array-like of shape (n_components,), default=None
        Canonical correlations of variates of unit variance, for "log_likelihood_ratio":
        sum_k [rho_k u_k v_k - rho_k^2 (u_k^2 + v_k^2) / 2] / (1 - rho_k^2), with rho at most
        1 - 1e-6.
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
        Gain of an item in ``ndcg``: 1 if it is relevant, the number of tags it shares with the
        query, or their Jaccard index; or the gains themselves, (n_queries, n_gallery), in place of
        labels. By "count" labels may be memberships, floats of at least 0, whose products with
        those of the query add up. To the other measures an item of positive gain is relevant.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i, as where queries and gallery are the same
        rows; a row whose class is missing on one side is then left out of both.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    scores : ndarray of shape (n_queries,)
        nan for a query that is left out, and for all of them where every item is relevant to every
        query, but by ``ndcg`` where their gains differ. Where similarities are equal, the
        expectation over the orders of the tied items.

    Raises
    ------
    TypeError, ValueError
        If an embedding is empty, not 2-D, NaN or infinite, if the widths differ, if labels are all
        missing, continuous or not as many as rows, if k is larger than the gallery, or if a
        parameter has none of the values above.

    Warns
    -----
    UserWarning
        If queries or items without a label, or queries without a relevant item, were left out (with
        their numbers), or nothing can be measured.

    Notes
    -----
    Similarities are computed in float64 and compared in float32: what float32 cannot tell apart is
    a tie. Memory is bounded by scikit-learn's ``working_memory``; as many threads are used as BLAS
    may use.

    Examples
    --------
    >>> from skcca.metrics import retrieval_scores
    >>> songs, videos = [[1, 0], [0, 1]], [[2, 0], [1, 1], [0, 1]]
    >>> retrieval_scores(songs, videos, ["a", "b"], ["a", "b", "a"], measure="mrr")
    array([1. , 0.5])
    """
    names = ArgumentNames("retrieval_scores")
    named = find_measure(measure, names.caller)
    rules = Rules(metric, correlations, relevance, exclude_self, no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    return retrieval.of_all_queries(score_queries(retrieval, [named], names.caller)[:, 0])


def mean_average_precision_score(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    k: int | None = None,
    metric: str = "cosine",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> float:
    """Return the mean average precision (MAP) of ranking a gallery by cosine similarity.

    The average precision of one query over its full ranked list is the mean, over all R items
    relevant to it, of the precision at each one's rank::

        AP = (1/R) sum_i p(i) rel(i),   p(i) = share of relevant items among the first i

    and MAP is its mean over the queries. Items of equal similarity count as ordered at random, so
    that an embedding collapsed to a point scores as chance.

    Parameters
    ----------
    queries, gallery : array-like of shape (n, n_components)
    query_labels, gallery_labels : array-like of shape (n,) or (n, n_tags), default=None
        See `retrieval_scores`.
    k : int, default=None
        Number of items of each list that are looked at; the sum is then over min(R, k). None means
        all of them.
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings.

    Returns
    -------
    score : float
        Between 0 and 1; nan where no query has a relevant item, or every item is relevant to every
        query, with a warning.

    See Also
    --------
    average_precision_scores : The same for each query.
    chance_map : MAP of a random ranking, for a large gallery.
    retrieval_map : The scorer for model selection.

    References
    ----------
    .. [1] D. Zeng, Y. Yu, K. Oyama, "Audio-visual embedding for cross-modal music video retrieval
       through supervised deep CCA", IEEE ISM 2018, Eqs. 12 and 13. :doi:`10.1109/ISM.2018.00-21`

    Examples
    --------
    >>> from skcca.metrics import mean_average_precision_score
    >>> songs, videos = [[1, 0]], [[2, 0], [1, 1], [0, 1]]
    >>> round(mean_average_precision_score(songs, videos, ["calm"], ["calm", "angry", "calm"]), 4)
    0.8333
    """
    names = ArgumentNames("mean_average_precision_score")
    rules = Rules(metric, exclude_self=exclude_self, no_relevant=no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    return overall_score(retrieval, _map_at(k, names.caller), names.caller)


def average_precision_scores(
    queries: ArrayLike,
    gallery: ArrayLike,
    query_labels: LabelsLike = None,
    gallery_labels: LabelsLike = None,
    *,
    k: int | None = None,
    metric: str = "cosine",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> np.ndarray:
    """Return the average precision of every query, whose mean is `mean_average_precision_score`.

    Parameters
    ----------
    queries, gallery : array-like of shape (n, n_components)
    query_labels, gallery_labels : array-like of shape (n,) or (n, n_tags), default=None
    k : int, default=None
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `mean_average_precision_score`.

    Returns
    -------
    scores : ndarray of shape (n_queries,)
        Between 0 and 1; nan for a query that is left out, and for all of them where every item is
        relevant to every query.

    Examples
    --------
    >>> from skcca.metrics import average_precision_scores
    >>> songs, videos = [[1, 0], [0, 1]], [[2, 0], [1, 1], [0, 1]]
    >>> average_precision_scores(songs, videos, [True, False], [True, False, True]).round(4)
    array([0.8333, 0.5   ])
    """
    names = ArgumentNames("average_precision_scores")
    rules = Rules(metric, exclude_self=exclude_self, no_relevant=no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    scores = score_queries(retrieval, [_map_at(k, names.caller)], names.caller)[:, 0]
    return retrieval.of_all_queries(scores)


def _map_at(k: Any, caller: str) -> Measure:
    """Return the measure "map" or "map@k"."""
    if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1):
        raise ValueError(f"{caller}: `k` is {k!r}; expected a number of items, or None for all.")
    return find_measure("map" if k is None else f"map@{k}", caller)


def chance_score(
    query_labels: LabelsLike,
    gallery_labels: LabelsLike = None,
    *,
    measure: str = "map",
    relevance: str = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> float:
    """Return the expected score of a random ranking, over all orders of the gallery.

    Parameters
    ----------
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags)
        Classes, or a binary indicator matrix; ``numpy.arange(n)`` for instance pairs.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
    measure : str, default="map"
    relevance : {"shared", "count", "jaccard"}, default="shared"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings.

    Returns
    -------
    chance : float
        nan where there is nothing to measure, with a warning.

    See Also
    --------
    chance_map : The limit of chance MAP as the gallery grows, in closed form.

    Notes
    -----
    It is the score of an embedding that collapsed to a point, whose list is one group of ties; of
    "median_rank" the median of the expected ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.metrics import chance_score
    >>> chance_score(np.arange(1000), measure="recall@10")
    0.01
    >>> round(chance_score(["calm", "calm", "angry"]), 4)
    0.7407
    """
    names = ArgumentNames("chance_score", "query_labels", "gallery_labels")
    named = find_measure(measure, names.caller)
    n_queries = n_gallery = count_labels(query_labels, "query_labels", names.caller)
    if gallery_labels is not None:
        n_gallery = count_labels(gallery_labels, "gallery_labels", names.caller)
    rules = Rules(relevance=relevance, exclude_self=exclude_self, no_relevant=no_relevant)
    # Points that are all equal are one group of ties, in random order.
    points = np.zeros((n_queries, 1)), np.zeros((n_gallery, 1))
    retrieval = prepare(*points, query_labels, gallery_labels, names, rules)
    return overall_score(retrieval, named, names.caller)


def chance_map(labels: LabelsLike, gallery_labels: LabelsLike = None) -> float:
    """Return the probability that a random item is relevant to a random query.

    For classes of shares pi_c among the queries and gamma_c in the gallery::

        sum_c pi_c gamma_c

    which is the expected precision of a random ranking at any rank, and the limit of its MAP as the
    gallery grows.

    Parameters
    ----------
    labels : array-like of shape (n_queries,) or (n_queries, n_tags)
        Classes, or a binary indicator matrix (relevant = at least one tag in common).
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means the same labels, hence sum_c pi_c^2.

    Returns
    -------
    chance : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If labels are empty, all missing or continuous.

    Notes
    -----
    Rows whose label is missing are left out.

    In a gallery of n items the MAP of a random ranking is larger than this limit, by at most
    (1 + ln n) / n, because a relevant item always counts at its own rank; a constant embedding
    scores its exact value. Queries without a relevant item count here, as 0, while MAP leaves them
    out.

    Examples
    --------
    >>> from skcca.metrics import chance_map
    >>> chance_map(["calm", "calm", "calm", "angry"])
    0.625
    """
    names = ArgumentNames("chance_map", "labels", "gallery_labels", "labels", "gallery_labels")
    n_queries = n_gallery = count_labels(labels, "labels", names.caller)
    if gallery_labels is not None:
        n_gallery = count_labels(gallery_labels, "gallery_labels", names.caller)
    known = known_sides(labels, gallery_labels, n_queries, n_gallery, names)
    if known is not None:
        labels, gallery_labels = known.query_labels, known.gallery_labels
        n_queries, n_gallery = int(known.queries.sum()), int(known.gallery.sum())
    relevant = relevance_from_labels(labels, gallery_labels, n_queries, n_gallery, names)
    return float(relevant.counts().mean() / n_gallery)
