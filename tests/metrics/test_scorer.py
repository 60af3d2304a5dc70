"""Scorers: one figure for a model however it is wrapped, for every measure, direction and metric,
and refusals that name the cure."""

import numpy as np
import pytest
import sklearn
from _data import two_views
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cross_decomposition import CCA as SklearnCCA
from sklearn.cross_decomposition import PLSSVD, PLSCanonical
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcca import (
    CCA,
    ClusterCCA,
    Views,
    make_retrieval_scorer,
    make_view_transformer,
    retrieval_map,
)
from skcca.metrics import mean_average_precision_score, retrieval_score

A, V, y = two_views(90, 6, 5, balanced=True)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def grid(estimator, **kwargs):
    return GridSearchCV(
        estimator, kwargs.pop("grid", {}), scoring=retrieval_map, error_score="raise", **kwargs
    )


@pytest.mark.parametrize("model", [PLSSVD(), SklearnCCA(), PLSCanonical()])
def test_sklearn_models_score_as_their_projections(model):
    model = clone(model).fit(A, V)
    expected = mean_average_precision_score(*model.transform(A, V), y)
    for found in (retrieval_map(model, A, V, labels=y), retrieval_map(model, Views(A, V), y)):
        assert isinstance(found, float)
        assert found == expected


def wrappings(model, A, V):
    """The fitted model in every wrapper; each must score as the model on the scaled first view."""
    scaler = StandardScaler().fit(A)
    pipe = Pipeline([("scale", scaler), ("model", model)])
    frozen = FrozenEstimator(model)
    search = GridSearchCV(PLSSVD(), {}, scoring=lambda *_: 0.0, cv=2)
    search.best_estimator_ = model
    outer = GridSearchCV(pipe, {}, scoring=lambda *_: 0.0, cv=2)
    outer.best_estimator_ = pipe
    yield "pipeline", pipe
    yield "passthrough before", Pipeline([("scale", scaler), ("no", "passthrough"), ("m", model)])
    yield "passthrough after", Pipeline([("scale", scaler), ("m", model), ("no", "passthrough")])
    yield "None after", Pipeline([("scale", scaler), ("m", model), ("no", None)])
    yield "pipeline in pipeline", Pipeline([("scale", scaler), ("in", Pipeline([("m", model)]))])
    yield "pipeline first", Pipeline([("in", Pipeline([("scale", scaler)])), ("m", model)])
    yield "frozen in pipeline", Pipeline([("scale", scaler), ("m", frozen)])
    yield "search in pipeline", Pipeline([("scale", scaler), ("search", search)])
    yield "pipeline in search", outer
    yield "frozen search", FrozenEstimator(outer)
    yield "frozen twice", FrozenEstimator(FrozenEstimator(pipe))


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("model", [PLSSVD(), CCA(n_components=2)])
def test_wrappers_do_not_change_the_score(model, enabled):
    scaled = StandardScaler().fit_transform(A)
    model = clone(model).fit(scaled, V)
    expected = retrieval_map(model, scaled, V, labels=y)
    with sklearn.config_context(enable_metadata_routing=enabled):
        for name, wrapped in wrappings(model, A, V):
            found = retrieval_map(wrapped, A, V, labels=y)
            assert found == pytest.approx(expected, rel=1e-12), name


def test_view_transformer_in_a_pipeline_reaches_both_views():
    X = Views(A, V)
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), PLSSVD())
    scaled = [StandardScaler().fit_transform(view) for view in X]
    model = PLSSVD().fit(*scaled)
    pipe.steps[0][1].fit(X)
    pipe.steps[1] = ("plssvd", model)
    assert retrieval_map(pipe, X, y) == retrieval_map(model, *scaled, labels=y)


def test_view_transformer_may_come_last():
    X = Views(A, V)
    pipe = make_pipeline(CCA(n_components=2), make_view_transformer(PCA(2), PCA(2))).fit(X, y)
    expected = mean_average_precision_score(*pipe.transform(X), y)
    assert retrieval_map(pipe, X, y) == pytest.approx(expected)


def test_tuple_of_two_labels_is_no_pair_of_label_sets():
    model = CCA(n_components=1).fit(A, V)
    found = retrieval_map(model, A[:2], V[:2], labels=("calm", "angry"))
    assert found == retrieval_map(model, A[:2], V[:2], labels=["calm", "angry"])


def test_folds_of_one_class_score_nan_with_a_warning():
    order = np.argsort(y, kind="stable")
    X, sorted_y = Views(A, V)[order], y[order]
    with pytest.warns(UserWarning, match=r"gallery of one class.*shuffle"):
        scores = cross_val_score(
            CCA(n_components=2),
            X,
            sorted_y,
            scoring=retrieval_map,
            cv=KFold(3),
            error_score="raise",
        )
    assert np.isnan(scores).all()


def test_repr_is_the_name():
    assert repr(retrieval_map) == "retrieval_map"
    assert "scoring=retrieval_map" in repr(GridSearchCV(CCA(), {}, scoring=retrieval_map))


@pytest.mark.usefixtures("routing")
def test_labels_under_another_name():
    scorer = retrieval_map.set_score_request(labels="emotion")
    assert retrieval_map.get_metadata_routing().score.requests == {"labels": True}
    model = PLSSVD()
    search = GridSearchCV(model, {}, scoring=scorer, cv=3, error_score="raise")
    search.fit(A, V, emotion=y)
    assert search.best_score_ == grid(model, cv=3).fit(A, V, labels=y).best_score_
    unchanged = scorer.set_score_request()
    assert unchanged.get_metadata_routing().score.requests == {"labels": "emotion"}


@pytest.mark.usefixtures("routing")
def test_set_score_request_refuses_what_is_no_name():
    with pytest.raises(ValueError, match=r"3\.5"):
        retrieval_map.set_score_request(labels=3.5)


def test_set_score_request_needs_routing():
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        retrieval_map.set_score_request(labels=True)


def test_search_without_labels_raises_and_names_views():
    with pytest.raises(ValueError, match=r"metadata routing.*Views\(A, V\), y"):
        grid(CCA(), cv=3).fit(A, V)
    with pytest.raises(ValueError, match=r"pass them as `y`.*Views\(A, V\), y"):
        grid(CCA(), cv=3).fit(Views(A, V))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, A, V, y: retrieval_map(m, A, V), r"relevance needs class labels.*Views"),
        (lambda m, A, V, y: retrieval_map(m, A), r"relevance needs class labels.*Views"),
        (lambda m, A, V, y: retrieval_map(m, A, labels=y), r"second view is missing.*Views"),
        (lambda m, A, V, y: retrieval_map(m, A, Views(A, V), y), r"comes alone and holds both"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V)), r"pass them as `y`"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V), y, y), r"given twice"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, None), y), r"view 'view1' of X is None"),
        (lambda m, A, V, y: retrieval_map(m, Views(a=None, v=V), y), r"view 'a' of X is None"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V, V), y), r"two views.*got 3"),
        (lambda m, A, V, y: retrieval_map(m, Views(A), y), r"two views.*got 1"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V), (y, y)), r"one set of labels"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V), y[:5]), r"`y` has 5 entries.*90"),
        (
            lambda m, A, V, y: retrieval_map(m, A, V, (y, y[:5])),
            r"`labels\[1\]` has 5 entries.*`y`",
        ),
        (lambda m, A, V, y: retrieval_map(m, A, V[:5], y), r"(?s)90 rows.*5.*labels_x, labels_y"),
        (lambda m, A, V, y: retrieval_map(m, Views(A, V), V), r"second view was given beside"),
    ],
)
@pytest.mark.parametrize("model", [PLSSVD(), CCA(n_components=2)])
def test_incomplete_calls_name_the_cure(model, call, message):
    model = clone(model).fit(A, V)
    with pytest.raises(ValueError, match=message):
        call(model, A, V, y)


class OneArray(TransformerMixin, BaseEstimator):
    """A single-view transformer whose `transform` takes, and ignores, a `y`."""

    def fit(self, X, y=None):
        return self

    def transform(self, X, y=None):
        return X


class ThreeArrays(OneArray):
    """A transformer whose `transform` returns one array too many."""

    def transform(self, X, y=None):
        return X, X, X


SINGLE_VIEW = [
    PCA(2),
    LogisticRegression(),
    OneArray(),
    ThreeArrays(),
    make_pipeline("passthrough"),
]


@pytest.mark.parametrize("model", [*SINGLE_VIEW, make_pipeline(StandardScaler(), PCA(2))])
def test_what_is_no_two_view_transformer_is_refused(model):
    model = clone(model).fit(A, y)
    for wrapped in (model, FrozenEstimator(model)):
        with pytest.raises(TypeError, match=r"two-view transformer.*`transform\(X, y\)`"):
            retrieval_map(wrapped, A, V, labels=y)


@pytest.mark.parametrize("model", SINGLE_VIEW)
def test_what_is_no_two_view_transformer_is_refused_on_views(model):
    with pytest.raises(TypeError, match="two-view transformer"):
        retrieval_map(clone(model).fit(A, y), Views(A, V), y)


def test_pipeline_that_leaves_the_views_behind_is_refused():
    # The labels beside a Views must not pass for a second view.
    pipe = make_pipeline(FunctionTransformer(lambda X: X["view0"]), PLSSVD().fit(A, V))
    with pytest.raises(TypeError, match="two-view transformer"):
        retrieval_map(pipe, Views(A, V), y)


def test_unfitted_estimator_is_refused():
    without_refit = grid(CCA(n_components=1), refit=False, cv=3).fit(Views(A, V), y)
    for search in (grid(CCA()), without_refit):
        with pytest.raises(NotFittedError, match="refit=True"):
            retrieval_map(search, A, V, labels=y)
    for model in (CCA(), PLSSVD()):
        with pytest.raises(NotFittedError):
            retrieval_map(model, A, V, labels=y)


LABELS = np.arange(90) % 3
PARTS = two_views(90, 6, 4, balanced=True)[:2]
MODEL = ClusterCCA(2, reg=0.1).fit(*PARTS, labels=LABELS)


@pytest.mark.parametrize(
    "measure", ["map", "recall@10", "precision@3", "ndcg", "mrr", "hit_rate@2"]
)
def test_direction_says_which_view_asks(measure):
    Z, W = MODEL.transform(*PARTS)
    to_y = retrieval_score(Z, W, LABELS, measure=measure)
    to_x = retrieval_score(W, Z, LABELS, measure=measure)
    expected = {"x_to_y": to_y, "y_to_x": to_x, "mean": (to_y + to_x) / 2}
    for direction, score in expected.items():
        scorer = make_retrieval_scorer(measure, direction=direction)
        assert scorer(MODEL, Views(*PARTS), LABELS) == score
        assert scorer(MODEL, *PARTS, labels=LABELS) == score


def test_ranks_are_negative_so_that_more_is_better():
    Z, W = MODEL.transform(*PARTS)
    scorer = make_retrieval_scorer("neg_median_rank")
    assert scorer(MODEL, Views(*PARTS), LABELS) == -retrieval_score(
        Z, W, LABELS, measure="median_rank"
    )


@pytest.mark.parametrize("metric", ["euclidean", "inner_product", "correlation"])
def test_metric_is_that_of_the_measure(metric):
    Z, W = MODEL.transform(*PARTS)
    found = make_retrieval_scorer(metric=metric)(MODEL, Views(*PARTS), LABELS)
    assert found == mean_average_precision_score(Z, W, LABELS, metric=metric)


@pytest.mark.parametrize("scaling", ["unit", "correlation"])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: make_pipeline(
    make_view_transformer("passthrough", "passthrough"), m)])  # fmt: skip
def test_likelihood_ratio_is_of_variates_of_unit_variance(scaling, wrap):
    estimator = wrap(ClusterCCA(2, reg=0.1, component_scaling=scaling))
    estimator.fit(Views(*PARTS), LABELS)
    unit = ClusterCCA(2, reg=0.1, component_scaling="unit").fit(*PARTS, labels=LABELS)
    Z, W = unit.transform(*PARTS)
    expected = retrieval_score(
        Z, W, LABELS, metric="log_likelihood_ratio", correlations=unit.correlations_
    )
    scorer = make_retrieval_scorer(metric="log_likelihood_ratio")
    assert scorer(estimator, Views(*PARTS), LABELS) == pytest.approx(expected, rel=1e-9)


def test_likelihood_ratio_needs_correlations():
    other = PLSSVD(2).fit(*PARTS)
    with pytest.raises(TypeError, match=r"needs an estimator with `correlations_`.*PLSSVD"):
        make_retrieval_scorer(metric="log_likelihood_ratio")(other, Views(*PARTS), LABELS)


def test_exclude_self_grades_and_rule_reach_the_measure():
    Z, W = MODEL.transform(*PARTS)
    scorer = make_retrieval_scorer("recall@5", exclude_self=True)
    expected = retrieval_score(Z, W, LABELS, measure="recall@5", exclude_self=True)
    assert scorer(MODEL, Views(*PARTS), LABELS) == expected
    tags = np.eye(3, dtype=int)[LABELS] | (np.arange(90)[:, None] % 2 == [0, 1, 2])
    grades = {"measure": "ndcg", "relevance": "count"}
    scorer = make_retrieval_scorer(**grades)
    assert scorer(MODEL, Views(*PARTS), tags) == retrieval_score(Z, W, tags, **grades)
    alone = LABELS.copy()
    alone[0] = 9
    strict = make_retrieval_scorer(exclude_self=True, no_relevant="raise")
    with pytest.raises(ValueError, match="query 0"):
        strict(MODEL, Views(*PARTS), alone)


def test_unpaired_views_are_scored_in_both_directions():
    A, V = PARTS
    Z, W = MODEL.transform(A), MODEL.transform_y(V[:50])
    scorer = make_retrieval_scorer(direction="mean")
    found = scorer(MODEL, A, V[:50], labels=(LABELS, LABELS[:50]))
    both = [(Z, W, LABELS, LABELS[:50]), (W, Z, LABELS[:50], LABELS)]
    assert found == np.mean([mean_average_precision_score(*one) for one in both])


def test_one_search_takes_several_measures():
    scoring = {
        "map": retrieval_map,
        "p5": make_retrieval_scorer("precision@5", direction="mean"),
        "rank": make_retrieval_scorer("neg_mean_rank"),
    }
    search = GridSearchCV(
        ClusterCCA(), {"n_components": [1, 2]}, scoring=scoring, refit="p5",
        cv=StratifiedKFold(3, shuffle=True, random_state=0), error_score="raise",
    ).fit(Views(*PARTS), LABELS)  # fmt: skip
    assert all(np.isfinite(search.cv_results_[f"mean_test_{name}"]).all() for name in scoring)
    assert (search.cv_results_["mean_test_rank"] <= -1).all()


def test_messages_name_the_scorer():
    scorer = make_retrieval_scorer("recall@5")
    with pytest.raises(ValueError, match=r"^make_retrieval_scorer\('recall@5'\): relevance needs"):
        scorer(MODEL, Views(*PARTS))
    with pytest.raises(ValueError, match="looks at 200 items, but a ranked list has 90"):
        make_retrieval_scorer("recall@200")(MODEL, Views(*PARTS), LABELS)
