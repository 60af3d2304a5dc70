"""Any measure by its name, of each query or of all, and what chance would score."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca.metrics._measures import find_measure, score_of, scores_of_queries
from skcca.metrics._preparation import ArgumentNames, Rules, prepare
from skcca.views._labels import count_labels


def retrieval_score(
    queries: Any,
    gallery: Any,
    query_labels: Any = None,
    gallery_labels: Any = None,
    *,
    measure: str = "map",
    metric: str = "cosine",
    correlations: Any = None,
    relevance: Any = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> float:
    """Return how well queries find their relevant items: the mean of `retrieval_scores`.

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_components)
        Embedded queries.
    gallery : array-like of shape (n_gallery, n_components)
        Embedded items to rank.
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        Classes (relevant = same class), or a binary indicator matrix (relevant = a tag in common).
        None means instance pairs: row i of the gallery alone is relevant to query i.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means that item i has the label of query i.
    measure : str, default="map"
        Name of the measure; see `retrieval_scores`. The ranks of "median_rank" are averaged by
        their median, everything else by its mean.
    metric : str, default="cosine"
        What orders the gallery; see `retrieval_scores`.
    correlations : array-like of shape (n_components,), default=None
        Canonical correlations, for "log_likelihood_ratio".
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
        Gain of an item in "ndcg"; see `retrieval_scores`.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    score : float
        nan where there is nothing to measure, with a warning.

    Raises
    ------
    TypeError, ValueError
        As `retrieval_scores`.

    Warns
    -----
    UserWarning
        As `retrieval_scores`.

    See Also
    --------
    chance_score : What a random ranking scores.
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
    found = find_measure(measure, names.caller)
    rules = Rules(metric, correlations, relevance, exclude_self, no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    return score_of(retrieval, found, names.caller)


def retrieval_scores(
    queries: Any,
    gallery: Any,
    query_labels: Any = None,
    gallery_labels: Any = None,
    *,
    measure: str = "map",
    metric: str = "cosine",
    correlations: Any = None,
    relevance: Any = "shared",
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
        Classes (relevant = same class), or a binary indicator matrix (relevant = a tag in common).
        None means instance pairs: row i of the gallery alone is relevant to query i.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means that item i has the label of query i.
    measure : str, default="map"
        One of the names above, with a number for k.
    metric : str, default="cosine"
        What orders the gallery: "cosine", "correlation" (the cosine of rows less their means),
        "inner_product", "euclidean" (the nearest first) or "log_likelihood_ratio".
    correlations : array-like of shape (n_components,), default=None
        Canonical correlations of variates of unit variance, for "log_likelihood_ratio":
        sum_k [rho_k u_k v_k - rho_k^2 (u_k^2 + v_k^2) / 2] / (1 - rho_k^2), with rho at most
        1 - 1e-6.
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
        Gain of an item in ``ndcg``: 1 if it is relevant, the number of tags it shares with the
        query, or their Jaccard index; or the gains themselves, of shape
        (n_queries, n_gallery), in place of labels. To the other
        measures an item of positive gain is relevant.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i, as where queries and gallery are the same
        rows.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    scores : ndarray of shape (n_queries,)
        nan for a query that is left out, and for all of them where every item is relevant to every
        query. Where similarities are equal, the expectation over the orders of the tied items.

    Raises
    ------
    TypeError, ValueError
        If an embedding is empty, not 2-D, NaN or infinite, if the widths differ, if labels are
        missing, continuous or not as many as rows, if k is larger than the gallery, or if a
        parameter has none of the values above.

    Warns
    -----
    UserWarning
        If queries without a relevant item were left out (with their number), or nothing can be
        measured.

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
    found = find_measure(measure, names.caller)
    rules = Rules(metric, correlations, relevance, exclude_self, no_relevant)
    retrieval = prepare(queries, gallery, query_labels, gallery_labels, names, rules)
    return scores_of_queries(retrieval, [found], names.caller)[:, 0]


def chance_score(
    query_labels: Any,
    gallery_labels: Any = None,
    *,
    measure: str = "map",
    relevance: Any = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> float:
    """Return what a random ranking scores: the expectation over all orders of the gallery.

    Parameters
    ----------
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags)
        Classes, or a binary indicator matrix; ``numpy.arange(n)`` for instance pairs.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means those of the queries.
    measure : str, default="map"
        Name of the measure; see `retrieval_scores`.
    relevance : {"shared", "count", "jaccard"}, default="shared"
        Gain of an item; see `retrieval_scores`.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    chance : float
        nan where there is nothing to measure, with a warning.

    Raises
    ------
    TypeError, ValueError
        As `retrieval_scores`.

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
    found = find_measure(measure, names.caller)
    n_queries = count_labels(query_labels, "query_labels", names.caller)
    n_gallery = n_queries
    if gallery_labels is not None:
        n_gallery = count_labels(gallery_labels, "gallery_labels", names.caller)
    rules = Rules(relevance=relevance, exclude_self=exclude_self, no_relevant=no_relevant)
    points = np.zeros((n_queries, 1)), np.zeros((n_gallery, 1))  # all equal: ties
    return score_of(
        prepare(*points, query_labels, gallery_labels, names, rules), found, names.caller
    )
