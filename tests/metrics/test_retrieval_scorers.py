"""Scorers for every measure, direction and metric; and embeddings of rows that were held out."""

import numpy as np
import pytest
from _data import two_views
from sklearn import config_context
from sklearn.cross_decomposition import PLSSVD
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import (
    CCA,
    KCCA,
    ClusterCCA,
    Views,
    cross_val_embed,
    make_retrieval_scorer,
    make_view_transformer,
    retrieval_map,
)
from skcca.datasets import load_digit_halves
from skcca.metrics import mean_average_precision_score, retrieval_score

LABELS = np.arange(90) % 3


@pytest.fixture(scope="module")
def data():
    return two_views(90, 6, 4, balanced=True)[:2]


@pytest.fixture(scope="module")
def model(data):
    return ClusterCCA(2, reg=0.1).fit(*data, labels=LABELS)


@pytest.mark.parametrize(
    "measure", ["map", "recall@10", "precision@3", "ndcg", "mrr", "hit_rate@2"]
)
def test_direction_says_which_view_asks(data, model, measure):
    Z, W = model.transform(*data)
    to_y = retrieval_score(Z, W, LABELS, measure=measure)
    to_x = retrieval_score(W, Z, LABELS, measure=measure)
    expected = {"x_to_y": to_y, "y_to_x": to_x, "mean": (to_y + to_x) / 2}
    for direction, score in expected.items():
        scorer = make_retrieval_scorer(measure, direction=direction)
        assert scorer(model, Views(*data), LABELS) == score
        assert scorer(model, *data, labels=LABELS) == score


def test_ranks_are_negative_so_that_more_is_better(data, model):
    Z, W = model.transform(*data)
    scorer = make_retrieval_scorer("neg_median_rank")
    assert scorer(model, Views(*data), LABELS) == -retrieval_score(
        Z, W, LABELS, measure="median_rank"
    )


@pytest.mark.parametrize("metric", ["euclidean", "inner_product", "correlation"])
def test_metric_is_that_of_the_measure(data, model, metric):
    Z, W = model.transform(*data)
    found = make_retrieval_scorer(metric=metric)(model, Views(*data), LABELS)
    assert found == mean_average_precision_score(Z, W, LABELS, metric=metric)


@pytest.mark.parametrize("scaling", ["unit", "correlation"])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: make_pipeline(
    make_view_transformer("passthrough", "passthrough"), m)])  # fmt: skip
def test_likelihood_ratio_is_of_variates_of_unit_variance(data, scaling, wrap):
    estimator = wrap(ClusterCCA(2, reg=0.1, component_scaling=scaling))
    estimator.fit(Views(*data), LABELS)
    unit = ClusterCCA(2, reg=0.1, component_scaling="unit").fit(*data, labels=LABELS)
    Z, W = unit.transform(*data)
    expected = retrieval_score(
        Z, W, LABELS, metric="log_likelihood_ratio", correlations=unit.correlations_
    )
    scorer = make_retrieval_scorer(metric="log_likelihood_ratio")
    assert scorer(estimator, Views(*data), LABELS) == pytest.approx(expected, rel=1e-9)


def test_likelihood_ratio_needs_correlations(data):
    other = PLSSVD(2).fit(*data)
    with pytest.raises(TypeError, match=r"needs an estimator with `correlations_`.*PLSSVD"):
        make_retrieval_scorer(metric="log_likelihood_ratio")(other, Views(*data), LABELS)


def test_exclude_self_and_rule_reach_the_measure(data, model):
    Z, W = model.transform(*data)
    scorer = make_retrieval_scorer("recall@5", exclude_self=True)
    expected = retrieval_score(Z, W, LABELS, measure="recall@5", exclude_self=True)
    assert scorer(model, Views(*data), LABELS) == expected
    alone = LABELS.copy()
    alone[0] = 9
    strict = make_retrieval_scorer(exclude_self=True, no_relevant="raise")
    with pytest.raises(ValueError, match="query 0"):
        strict(model, Views(*data), alone)


def test_unpaired_views_are_scored_in_both_directions(data, model):
    A, V = data
    Z, W = model.transform(A), model.transform_y(V[:50])
    scorer = make_retrieval_scorer(direction="mean")
    found = scorer(model, A, V[:50], labels=(LABELS, LABELS[:50]))
    both = [(Z, W, LABELS, LABELS[:50]), (W, Z, LABELS[:50], LABELS)]
    assert found == np.mean([mean_average_precision_score(*one) for one in both])


def test_one_search_takes_several_measures(data):
    scoring = {
        "map": retrieval_map,
        "p5": make_retrieval_scorer("precision@5", direction="mean"),
        "rank": make_retrieval_scorer("neg_mean_rank"),
    }
    search = GridSearchCV(
        ClusterCCA(), {"n_components": [1, 2]}, scoring=scoring, refit="p5",
        cv=StratifiedKFold(3, shuffle=True, random_state=0), error_score="raise",
    ).fit(Views(*data), LABELS)  # fmt: skip
    assert all(np.isfinite(search.cv_results_[f"mean_test_{name}"]).all() for name in scoring)
    assert (search.cv_results_["mean_test_rank"] <= -1).all()


def test_search_on_arrays_routes_the_labels(data):
    scorer = make_retrieval_scorer("ndcg@5", direction="y_to_x")
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            CCA(2), *data, params={"labels": LABELS}, scoring=scorer, cv=KFold(3, shuffle=True)
        )
    assert np.isfinite(found["test_score"]).all()


def test_messages_name_the_scorer(data, model):
    scorer = make_retrieval_scorer("recall@5")
    with pytest.raises(ValueError, match=r"^make_retrieval_scorer\('recall@5'\): relevance needs"):
        scorer(model, Views(*data))
    with pytest.raises(ValueError, match="looks at 200 items, but a ranked list has 90"):
        make_retrieval_scorer("recall@200")(model, Views(*data), LABELS)


@pytest.mark.parametrize("align", [True, False])
def test_rows_are_embedded_by_the_model_that_did_not_see_them(data, align):
    X, cv = Views(*data), StratifiedKFold(3, shuffle=True, random_state=0)
    Z = cross_val_embed(ClusterCCA(2), X, LABELS, cv, align=align)
    maps = cross_val_score(ClusterCCA(2), X, LABELS, cv=cv, scoring=retrieval_map)
    for (train, test), expected in zip(cv.split(LABELS, LABELS), maps, strict=True):
        within = mean_average_precision_score(*Z[test], LABELS[test])
        assert within == pytest.approx(expected, rel=1e-9)
        if not align:
            model = ClusterCCA(2).fit(X[train], LABELS[train])
            for found, side in zip(Z[test], model.transform(X[test]), strict=True):
                np.testing.assert_allclose(found, side, rtol=1e-12)


def test_aligned_folds_lie_in_one_space():
    # Correlations of classes are nearly equal: each fold turns its directions as it likes.
    digits = load_digit_halves()
    X, model = Views(digits.x, digits.y), ClusterCCA(9, reg=0.1)
    within = cross_val_score(model, X, digits.labels, scoring=retrieval_map).mean()
    apart, together = (
        mean_average_precision_score(
            *cross_val_embed(model, X, digits.labels, align=align), digits.labels
        )
        for align in (False, True)
    )
    assert together == pytest.approx(within, abs=0.03)
    assert apart < together - 0.05


def test_embedding_has_the_form_of_the_input(data):
    A, V = data
    assert isinstance(cross_val_embed(CCA(2), A, V), tuple)
    named = cross_val_embed(CCA(2), Views(audio=A, visual=V), LABELS)
    assert named.names == ("audio", "visual")
    single = cross_val_embed(CCA(2), A.astype("float32"), V.astype("float32"))
    assert single[0].dtype == np.float32


def test_pipelines_other_libraries_and_kernels_are_embedded(data):
    A, V = data
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), CCA(2))
    with_scaler = cross_val_embed(pipe, Views(A, V), cv=3)
    without = cross_val_embed(CCA(2), Views(A, V), cv=3)
    for found, expected in zip(with_scaler, without, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert cross_val_embed(PLSSVD(2), A, V)[0].shape == (90, 2)
    kernels = Views(A @ A.T, V @ V.T)
    found, _ = cross_val_embed(KCCA(2, kernel="precomputed", reg=0.1), kernels, cv=3)
    expected, _ = cross_val_embed(KCCA(2, kernel="linear", reg=0.1, scale=False), A, V, cv=3)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-6, atol=1e-8)


def test_components_that_a_fold_lacks_are_zero(data):
    rare = np.arange(90) % np.where(np.arange(90) < 45, 2, 3)  # the first half lacks a class
    with pytest.warns(UserWarning, match="1 to 2 components"):
        Z = cross_val_embed(ClusterCCA(2), Views(*data), rare, KFold(2), align=False)
    for side in Z:
        assert (side[:45] != 0).all()
        assert (side[45:, 1] == 0).all()
