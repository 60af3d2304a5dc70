"""Average precision, and its limit for a random ranking."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca.metrics._measures import KINDS, Measure, score_of, scores_of_queries
from skcca.metrics._preparation import ArgumentNames, Rules, prepare
from skcca.metrics._relevance import relevance
from skcca.views._labels import check_labels, count_labels


def mean_average_precision_score(
    queries: Any,
    gallery: Any,
    query_labels: Any = None,
    gallery_labels: Any = None,
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

    and MAP is its mean over the queries. Items of equal similarity count as ordered at random:
    their AP is the expectation over the orders, so that the order of the gallery never matters and
    an embedding collapsed to a point scores as chance.

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_components)
        Embedded queries.
    gallery : array-like of shape (n_gallery, n_components)
        Embedded items to rank. A zero row has cosine 0 with everything.
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        Classes (integers, strings or bools): relevant = same class. Or a binary indicator matrix:
        relevant = at least one tag in common. None means instance pairs: item i alone is relevant
        to query i.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means that item i has the label of query i.
    k : int, default=None
        Number of items of each list that are looked at; the sum is then over min(R, k). None means
        all of them.
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
        What orders the gallery; see `retrieval_scores`.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    score : float
        Between 0 and 1; nan where there is nothing to measure, with a warning: no query has a
        relevant item, or every item is relevant to every query.

    Raises
    ------
    ValueError
        If an embedding is empty, not 2-D, NaN or infinite, if the widths differ, or if labels are
        missing, continuous or not as many as rows.

    Warns
    -----
    UserWarning
        If queries without a relevant item were left out of the mean (with their number).

    See Also
    --------
    average_precision_scores : The same for each query.
    chance_map : What a random ranking scores.
    retrieval_map : The scorer for model selection.

    Notes
    -----
    Similarities are computed in float64 and compared in float32: what float32 cannot tell apart is
    a tie. Memory is bounded by scikit-learn's ``working_memory``.

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
    return score_of(retrieval, _measure(k, names.caller), names.caller)


def average_precision_scores(
    queries: Any,
    gallery: Any,
    query_labels: Any = None,
    gallery_labels: Any = None,
    *,
    k: int | None = None,
    metric: str = "cosine",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> np.ndarray:
    """Return the average precision of every query.

    Their mean is `mean_average_precision_score`, which see for what counts as relevant.

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_components)
        Embedded queries.
    gallery : array-like of shape (n_gallery, n_components)
        Embedded items to rank.
    query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        Classes, or a binary indicator matrix; None means instance pairs.
    gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        Labels of the gallery; None means that item i has the label of query i.
    k : int, default=None
        Number of items of each list that are looked at; the sum is then over min(R, k). None means
        all of them.
    metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
        What orders the gallery; see `retrieval_scores`.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    scores : ndarray of shape (n_queries,)
        Between 0 and 1; nan for a query without relevant items, and for all of them where every
        item is relevant to every query.

    Raises
    ------
    ValueError
        As for `mean_average_precision_score`.

    Warns
    -----
    UserWarning
        If there are queries without a relevant item (with their number).

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
    return scores_of_queries(retrieval, [_measure(k, names.caller)], names.caller)[:, 0]


def chance_map(labels: Any, gallery_labels: Any = None) -> float:
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
        If labels are empty, missing or continuous.

    Notes
    -----
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
    caller = "chance_map"
    query_labels = check_labels(
        labels, count_labels(labels, "labels", caller), "labels", "labels", caller
    )
    if gallery_labels is None:
        gallery_labels = query_labels
    else:
        n_gallery = count_labels(gallery_labels, "gallery_labels", caller)
        gallery_labels = check_labels(
            gallery_labels, n_gallery, "gallery_labels", "gallery_labels", caller
        )
    counts = relevance(query_labels, gallery_labels, caller).counts()
    return float(counts.mean() / len(gallery_labels))


def _measure(k: Any, caller: str) -> Measure:
    if k is not None and (isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1):
        raise ValueError(f"{caller}: `k` is {k!r}; expected a number of items, or None for all.")
    if k is None:
        return Measure("map", KINDS["map"], None)
    return Measure(f"map@{k}", KINDS["map"], int(k))
