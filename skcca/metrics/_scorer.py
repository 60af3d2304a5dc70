"""Scorers for model selection, of a fitted estimator and two views."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from skcca._core.types import Estimator, LabelsLike, ViewLike
from skcca.metrics._measures import find_measure
from skcca.metrics._preparation import GRADES, ArgumentNames, Rules, check_rules, prepare
from skcca.metrics._ranking import overall_score
from skcca.metrics._similarity import METRICS
from skcca.views._projection import (
    canonical_correlations,
    final_model,
    project_with_labels,
    to_unit_variance,
)

_DIRECTIONS = {"x_to_y": (True,), "y_to_x": (False,), "mean": (True, False)}
_MAKER = "make_retrieval_scorer"


class RetrievalScorer:
    """Score a fitted two-view transformer by how well one view retrieves the other.

    Scores are those of `skcca.metrics.retrieval_score`, on both views as the estimator projects
    them. Make a scorer by `make_retrieval_scorer`, or use the ready `skcca.retrieval_map`, as
    ``scoring=`` of any search or cross-validation; or call it.

    Notes
    -----
    The estimator is a model of this library, or any transformer whose ``transform(X, y)`` returns
    both projected views, as scikit-learn's `PLSSVD` and `CCA` do; it may sit at the end of a
    `Pipeline`, in a search (``best_estimator_``) or in a `FrozenEstimator`, nested at will. Where a
    pipeline is fed plain arrays, its earlier steps transform the first view only.

    Labels reach the scorer as ``y`` beside a `Views`; or, with plain arrays, as ``labels``, which
    is requested by default once metadata routing is enabled. Rows whose label is missing are left
    out as queries and as items, with a warning that counts them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.cross_decomposition import PLSSVD
    >>> from skcca import Views, retrieval_map
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 3
    >>> A, V = np.eye(3)[y] + 0.3 * rng.normal(size=(2, 60, 3))
    >>> model = PLSSVD(n_components=2).fit(A, V)
    >>> retrieval_map(model, Views(A, V), y) == retrieval_map(model, A, V, labels=y)
    True
    """

    def __init__(self, measure: Any, direction: Any, rules: Rules) -> None:
        self._name, self._direction, self._rules = measure, direction, rules
        # Of ranks less is better, and scikit-learn takes more for better.
        negative = isinstance(measure, str) and measure.startswith("neg_")
        self._sign = -1 if negative else 1
        self._measure = find_measure(measure.removeprefix("neg_") if negative else measure, _MAKER)
        if negative == self._measure.kind.greater_is_better:
            cure = self._measure.name if negative else f"neg_{measure}"
            raise ValueError(
                f"{_MAKER}: `measure` is {measure!r}, but scikit-learn takes more for better; "
                f"expected {cure!r}."
            )
        check_rules(rules, _MAKER)
        choices = {
            "metric": (rules.metric, METRICS),
            "direction": (direction, tuple(_DIRECTIONS)),
            "relevance": (rules.relevance, GRADES),
        }
        for name, (value, known) in choices.items():
            if not isinstance(value, str) or value not in known:
                raise ValueError(f"{_MAKER}: `{name}` is {value!r:.60}; expected one of {known}.")
        self._labels_alias: str | bool | None = True

    def __call__(
        self, estimator: Estimator, X: ViewLike, y: Any = None, labels: LabelsLike = None
    ) -> float:
        """Return how well one view retrieves the other.

        Parameters
        ----------
        estimator : fitted two-view transformer
            Alone, or at the end of a pipeline, in a search or frozen.
        X : Views or array-like of shape (n_samples, n_features)
            Both views, or the first alone.
        y : array-like, default=None
            Beside a `Views` the labels, else the second view, which may have rows of its own.
        labels : array-like or tuple of two array-likes, default=None
            One class per row, or a binary indicator matrix of shape (n_samples, n_tags); a tuple
            ``(labels_x, labels_y)`` labels the rows of two arrays that are not paired.

        Returns
        -------
        score : float
            More is better; nan, with a warning, where there is nothing to measure (a gallery of
            one class).

        Raises
        ------
        TypeError, ValueError
            If the estimator does not project two views, if labels are missing or given twice, or if
            a view is missing.
        """
        caller = repr(self)
        views = project_with_labels(estimator, X, y, labels, caller)
        rules = self._rules
        if rules.metric == "log_likelihood_ratio":
            model = final_model(estimator)
            rho = canonical_correlations(model, caller)
            x_view, y_view = (
                view._replace(rows=to_unit_variance(model, view.rows, rho)) for view in views
            )
            views, rules = (x_view, y_view), rules._replace(correlations=rho)
        scores = []
        for from_x in _DIRECTIONS[self._direction]:
            query, gallery = views if from_x else views[::-1]
            names = ArgumentNames(caller, query.name, gallery.name, query.labels_name)
            if gallery.labels_name != query.labels_name:
                names = names._replace(gallery_labels=gallery.labels_name)
            own = None if query.labels is gallery.labels else gallery.labels
            arguments = query.rows, gallery.rows, query.labels, own
            retrieval = prepare(*arguments, names, rules)
            scores.append(overall_score(retrieval, self._measure, caller))
        return self._sign * float(np.mean(scores))

    def __repr__(self) -> str:
        given = [repr(self._name)]
        given += [f"direction={self._direction!r}"] * (self._direction != "x_to_y")
        given += [
            f"{name}={value!r}"
            for name, value in self._rules._asdict().items()
            if value != Rules._field_defaults[name]
        ]
        return "retrieval_map" if given == ["'map'"] else f"{_MAKER}({', '.join(given)})"

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the request of metadata, by default for ``labels``."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="labels", alias=self._labels_alias)
        return request

    def set_score_request(self, *, labels: str | bool | None = UNCHANGED) -> RetrievalScorer:
        """Return a copy of the scorer, which others may share, with another request for labels.

        It is the name under which they are passed to the search; True for ``"labels"``, False to
        ignore them, None to raise if they are passed. It needs metadata routing to be enabled.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request needs metadata routing: "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        scorer = copy.copy(self)
        if labels is not UNCHANGED:
            scorer._labels_alias = labels
            # The request refuses whatever is no alias.
            scorer.get_metadata_routing()
        return scorer

    def _accept_sample_weight(self) -> bool:
        # This is asked of every scorer by scikit-learn; no measure has a weighted form here.
        return False


def make_retrieval_scorer(
    measure: str = "map",
    *,
    direction: str = "x_to_y",
    metric: str = "cosine",
    relevance: str = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> RetrievalScorer:
    """Return a scorer of how well one view retrieves the other, for any search.

    Parameters
    ----------
    measure : str, default="map"
        Name of a measure, such as "recall@10" or "ndcg"; see `skcca.metrics.retrieval_scores`. Of
        ranks less is better: "neg_mean_rank", "neg_median_rank".
    direction : {"x_to_y", "y_to_x", "mean"}, default="x_to_y"
        Which view the queries are of, and which the gallery; "mean" is the mean of both.
    metric : str, default="cosine"
        What orders the gallery: "cosine", "correlation", "inner_product", "euclidean", or
        "log_likelihood_ratio", which takes the canonical correlations of the model.
    relevance : {"shared", "count", "jaccard"}, default="shared"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `skcca.metrics.retrieval_scores`; grades of `relevance` need indicators of tags, and
        "count" takes memberships, too.

    Returns
    -------
    scorer : RetrievalScorer
        To be called as ``scorer(estimator, Views(A, V), y)`` or given as ``scoring=``.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skcca import ClusterCCA, Views, make_retrieval_scorer
    >>> from skcca.datasets import load_digit_halves
    >>> data = load_digit_halves()
    >>> X, scoring = Views(data.x, data.y), make_retrieval_scorer("precision@10", direction="mean")
    >>> scores = cross_validate(ClusterCCA(9, reg=0.1), X, data.labels, scoring=scoring)
    >>> round(float(scores["test_score"].mean()), 2)
    0.62
    """
    rules = Rules(metric, relevance=relevance, exclude_self=exclude_self, no_relevant=no_relevant)
    return RetrievalScorer(measure, direction, rules)


retrieval_map = make_retrieval_scorer()
