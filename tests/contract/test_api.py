"""What all estimators of two views share: fitting, projecting, scoring, routing, containers."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from _data import KINDS, two_views
from _models import (
    CLASS,
    MODELS,
    SMALL,
    class_paired,
    every,
    instance_paired,
    takes_unpaired_rows,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcca import (
    CCA,
    DCCA,
    ClusterCCA,
    ClusterKCCA,
    SupervisedDCCA,
    Views,
    make_view_transformer,
    retrieval_map,
)
from skcca.cluster import SeededKMeans
from skcca.inspection import bootstrap_loadings

X, Y, y = two_views()
NAMES = np.array(["calm", "fun", "warm"])[y]


@every
def test_views_and_arrays_give_the_same_model(model):
    a = clone(model).fit(X, Y, y)
    b = clone(model).fit(Views(X, Y), y)
    np.testing.assert_allclose(a.transform(X), b.transform(X))
    pair = a.transform(X, Y)
    assert isinstance(pair, tuple)
    both = a.transform(Views(X, Y))
    assert isinstance(both, Views)
    for Z, W in zip(pair, both, strict=True):
        np.testing.assert_allclose(Z, W)
    np.testing.assert_allclose(a.transform_y(Y), pair[1])


@every
def test_a_missing_view_stays_missing(model):
    fitted = clone(model).fit(X, Y, y)
    queries, gallery = fitted.transform(Views(X, None))
    assert gallery is None
    np.testing.assert_allclose(queries, fitted.transform(X))
    assert next(iter(fitted.transform(Views(None, Y)))) is None


@every
def test_fit_transform_returns_what_transform_returns(model):
    Z = clone(model).fit_transform(X, Y, labels=y)
    np.testing.assert_allclose(Z, clone(model).fit(X, Y, y).transform(X))
    both = clone(model).fit_transform(Views(X, Y), y)
    assert isinstance(both, Views)


@every
def test_a_subclass_may_have_fewer_parameters(model):
    kind = type(model)

    class Fewer(kind):
        def __init__(self, n_components=2):
            super().__init__(n_components)
            vars(self).update(model.get_params() | {"n_components": n_components})

    np.testing.assert_allclose(
        Fewer().fit(X, Y, y).transform(X),
        clone(model).set_params(n_components=2).fit(X, Y, y).transform(X),
    )


def test_what_a_callback_sets_on_the_estimator_stays():
    model = DCCA(2, **SMALL)
    model.set_params(callback=lambda epoch: vars(model).setdefault("losses", []).append(epoch.loss))
    assert model.fit(X, Y).losses == model.loss_curve_


@every
def test_fitted_attributes(model):
    fitted = clone(model).fit(X, Y, y)
    k = fitted.n_components_
    assert k == len(fitted.correlations_) == fitted.x_weights_.shape[1]
    assert fitted.x_loadings_.shape == (5, k)
    assert fitted.y_loadings_.shape == (4, k)
    assert (fitted.n_features_in_, fitted.n_features_y_in_) == (5, 4)
    assert (np.diff(fitted.correlations_) <= 0).all()
    top = np.abs(fitted.x_loadings_).argmax(axis=0)
    assert (fitted.x_loadings_[top, np.arange(k)] > 0).all()
    assert hasattr(fitted, "classes_") == (type(model).__name__ in CLASS)


@every
def test_score_on_training_rows_is_the_sum_of_correlations(model):
    fitted = clone(model).fit(X, Y, y)
    labels = {"labels": y} if type(model).__name__ in CLASS else {}
    assert fitted.score(X, Y, **labels) == pytest.approx(fitted.correlations_.sum(), abs=1e-6)
    assert fitted.score(Views(X, Y), y) == pytest.approx(fitted.correlations_.sum(), abs=1e-6)


@every
def test_score_without_labels_correlates_the_rows_given(model):
    fitted = clone(model).fit(X[:60], Y[:60], y[:60])
    U, V = fitted.transform(X[60:], Y[60:])
    expected = sum(np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True))
    assert fitted.score(X[60:], Y[60:]) == pytest.approx(expected)


@instance_paired
def test_instance_pairs_ignore_the_labels_beside_views(model):
    target = np.random.default_rng(0).normal(size=len(X))  # that of a later regressor
    a, b = clone(model).fit(Views(X, Y), target), clone(model).fit(X, Y)
    np.testing.assert_allclose(a.transform(X), b.transform(X))


@class_paired
def test_classes_do_not_survive_a_refit_without_labels(model):
    fitted = clone(model).fit(X, Y, NAMES)
    np.testing.assert_array_equal(fitted.classes_, ["calm", "fun", "warm"])
    with pytest.warns(UserWarning, match="each row is its own class"):
        fitted.fit(X, Y)
    assert not hasattr(fitted, "classes_")


@class_paired
@pytest.mark.parametrize("labels", [y, NAMES, NAMES.astype(object), y == 0, y.astype(float)])
def test_every_kind_of_label_serves(model, labels):
    fitted = clone(model).set_params(n_components=1).fit(X, Y, labels)
    np.testing.assert_array_equal(fitted.classes_, np.unique(labels))


@takes_unpaired_rows
def test_unpaired_class_sets_fit_transform_and_score(model):
    fitted = clone(model).fit(X, Y[:70], labels=(y, y[:70]))
    assert fitted.transform(X).shape == (90, 2)
    assert fitted.transform_y(Y[:70]).shape == (70, 2)
    assert np.isfinite(fitted.score(X, Y[:70], labels=(y, y[:70])))
    assert 0 < retrieval_map(fitted, X, Y[:70], labels=(y, y[:70])) <= 1
    order = np.random.default_rng(0).permutation(70)
    if type(model).__name__ != "SupervisedDCCA":  # whose batches follow the rows
        again = clone(model).fit(X, Y[:70][order], labels=(y, y[:70][order]))
        np.testing.assert_allclose(again.correlations_, fitted.correlations_)


@every
def test_float32_stays_float32_and_agrees_with_float64(model):
    # Three epochs of a network agree to single precision; the solvers to that of their input.
    if "input_noise" in model.get_params():
        model = clone(model).set_params(input_noise=0)  # torch draws others for float64
    X32, Y32 = X.astype("f4"), Y.astype("f4")
    fitted = clone(model).fit(X32, Y32, y)
    double = clone(model).fit(X32.astype(float), Y32.astype(float), y)
    for Z, W in zip(fitted.transform(X32, Y32), double.transform(X32, Y32), strict=True):
        assert Z.dtype == W.dtype == np.float32
        np.testing.assert_allclose(Z, W, atol=2e-3)
    assert double.transform(X).dtype == np.float64
    if hasattr(model, "predict"):
        answers = (fitted.predict(X32), fitted.predict_x(Y32), *fitted.inverse_transform(Z, Z))
        expected = (double.predict(X32), double.predict_x(Y32), *double.inverse_transform(W, W))
        for found, exact in zip(answers, expected, strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, exact, atol=1e-2)


FORMS = {
    "integers": lambda V: (10 * V).astype(np.int32),
    "float16": lambda V: (10 * V).astype(np.float16),
    "booleans": lambda V: V > 0,
    "memory map": KINDS["memory map"],
    "read-only": KINDS["read-only"],
    "strides": lambda V: np.asfortranarray(np.repeat(V, 2, axis=0))[::2],
    "tensors": KINDS["tensor"],
}


@every
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_are_as_arrays_of_float64_and_left_alone(model, form):
    A, V = FORMS[form](X), FORMS[form](Y)
    plain = [np.asarray(Z, dtype=float) for Z in (A, V)]
    found, expected = clone(model).fit(A, V, y), clone(model).fit(*plain, y)
    for Z, W in zip(found.transform(A, V), expected.transform(*plain), strict=True):
        assert Z.dtype == np.float64
        np.testing.assert_allclose(Z, W)
    assert len(found.transform(Views(A, V))) == len(X)
    for Z, W in zip((A, V), plain, strict=True):
        np.testing.assert_array_equal(Z, W)


@every
def test_grid_search_on_views_with_string_labels_in_two_processes(model):
    search = GridSearchCV(
        clone(model),
        {"n_components": [1, 2]},
        scoring=retrieval_map,
        cv=StratifiedKFold(3),
        n_jobs=2,
        error_score="raise",
    )
    search.fit(Views(X, Y), NAMES)
    assert search.best_score_ > np.sum((np.bincount(y) / len(y)) ** 2)
    assert isinstance(search.best_estimator_.transform(Views(X, Y)), Views)


@every
def test_pipeline_on_views(model):
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), clone(model))
    scores = cross_val_score(
        pipe, Views(X, Y), y, scoring=retrieval_map, cv=StratifiedKFold(3), error_score="raise"
    )
    assert np.isfinite(scores).all()
    assert np.isfinite(pipe.fit(Views(X, Y), y).score(Views(X, Y), y))


@every
def test_metadata_routing_carries_labels_and_weights(model):
    w = np.random.default_rng(0).random(len(X)) + 0.5
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, clone(model))
        search = GridSearchCV(pipe, {}, scoring=retrieval_map, cv=3, error_score="raise")
        search.fit(X, Y, labels=y)
        assert hasattr(search.best_estimator_[-1], "classes_") == (type(model).__name__ in CLASS)
        weighted = clone(model).fit(X, Y, labels=y, sample_weight=w)
        pipe.fit(X, Y, labels=y, sample_weight=w)
        scaled = StandardScaler().fit_transform(X)
        peer = clone(model).fit(scaled, Y, labels=y, sample_weight=w)
        np.testing.assert_allclose(pipe.transform(X), peer.transform(scaled))
        assert np.isfinite(pipe.score(X, Y, labels=y))
        requested = weighted.get_metadata_routing().fit.requests
        assert requested["labels"] is requested["sample_weight"] is True


def test_a_classifier_may_follow():
    pipe = make_pipeline(
        make_view_transformer(StandardScaler(), StandardScaler()),
        CCA(),
        FunctionTransformer(np.hstack),
        LogisticRegression(),
    )
    assert pipe.fit(Views(X, Y), NAMES).score(Views(X, Y), NAMES) > 0.7


class Renamed(CCA):
    """A user's subclass."""


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output_wraps_both_views_in_subclasses_too(container):
    frame = {"pandas": pd.DataFrame, "polars": pl.DataFrame}[container]
    A = frame({f"a{i}": X[:, i] for i in range(5)})
    V = frame({f"v{i}": Y[:, i] for i in range(4)})
    model = Renamed(2).set_output(transform=container).fit(A, V)
    for pair in (model.transform(A, V), model.transform(Views(A, V))):
        first, second = pair
        assert isinstance(first, frame)
        assert isinstance(second, frame)
        assert list(first.columns) == ["renamed0", "renamed1"]
        assert list(second.columns) == ["renamed_y0", "renamed_y1"]
    assert list(model.fit_transform(A, V).columns) == ["renamed0", "renamed1"]
    assert list(model.transform_y(V).columns) == ["renamed_y0", "renamed_y1"]
    with sklearn.config_context(transform_output=container):
        assert isinstance(CCA(2).fit(A, V).transform(A), frame)


def test_set_output_keeps_the_index_of_each_view():
    index = [f"row{i}" for i in range(len(X))]
    A, V = pd.DataFrame(X, index=index), pd.DataFrame(Y, index=index)
    pair = CCA(2).set_output(transform="pandas").fit(A, V).transform(A, V)
    assert all(list(Z.index) == index for Z in pair)


def test_names_of_columns_and_views_are_remembered_and_forgotten():
    A = pd.DataFrame(X, columns=list("abcde"))
    V = pd.DataFrame(Y, columns=list("wxyz"))
    model = CCA(2).fit(Views(audio=A, visual=V))
    assert model.view_names_in_ == ("audio", "visual")
    assert list(model.feature_names_in_) == list("abcde")
    assert list(model.feature_names_y_in_) == list("wxyz")
    model.fit(X, Y)
    for name in ("view_names_in_", "feature_names_in_", "feature_names_y_in_"):
        assert not hasattr(model, name)


def test_feature_names_pass_through_a_pipeline_on_views():
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), CCA(2))
    pipe.fit(Views(X, Y))
    assert list(pipe.get_feature_names_out()) == ["cca0", "cca1"]


def test_frames_of_unpaired_views_need_no_common_index():
    A, V = pd.DataFrame(X[:50]), pd.DataFrame(Y[40:], index=range(40, 90))
    fitted = ClusterCCA(2).fit(A, V, labels=(y[:50], y[40:]))
    assert fitted.transform_y(V).shape == (50, 2)


@every
def test_named_views_in_another_order_are_refused(model):
    fitted = clone(model).fit(Views(audio=X, visual=X[:, ::-1]), y)
    with pytest.raises(ValueError, match=r"fitted on the views \['audio', 'visual'\]"):
        fitted.transform(Views(visual=X, audio=X))
    assert len(fitted.transform(Views(X, X))) == 90  # without names the position counts


def test_names_of_the_second_view_warn_when_they_come_or_go():
    A, V = pd.DataFrame(X).add_prefix("a"), pd.DataFrame(Y).add_prefix("v")
    with_names, without = CCA(2).fit(A, V), CCA(2).fit(X, Y)
    with pytest.warns(UserWarning, match="y does not have valid feature names"):
        with_names.transform_y(Y)
    with pytest.warns(UserWarning, match="y has valid feature names"):
        without.transform_y(V)


@every
def test_integers_in_one_column_look_like_labels(model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(model).set_params(n_components=1).fit(X, y)
    assert any("did you mean fit(A, V, y)" in str(w.message) for w in caught)


@takes_unpaired_rows
def test_rows_without_a_partner_are_reported(model):
    labels = np.where(np.arange(90) < 4, 9, y)
    with pytest.warns(UserWarning, match="4 of 90 rows of `X` share no class"):
        fitted = clone(model).fit(X, Y, labels=(labels, y))
    assert np.isfinite(fitted.transform(X)).all()


@class_paired
def test_one_class_with_own_pairs_is_a_right_answer(model):
    fitted = clone(model).set_params(instance_weight=0.5).fit(X, Y, np.zeros(90, int))
    assert np.isfinite(fitted.transform(X)).all()


@pytest.mark.parametrize("name", ["DCCA", "SupervisedDCCA"])
def test_rows_of_weight_zero_are_as_absent_ones(name):
    """For linear and kernel models this is one of the laws of any data."""
    w = np.where(np.arange(90) < 60, 1.0, 0.0)
    a = clone(MODELS[name]).fit(X, Y, y, sample_weight=w)
    b = clone(MODELS[name]).fit(X[:60], Y[:60], y[:60])
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-10)


def without_labels(model):
    return lambda: model.fit(X, Y)


def interrupt(epoch):
    raise KeyboardInterrupt


WARNING = {
    "class pairs without labels": without_labels(ClusterCCA(1)),
    "the same of kernels": without_labels(ClusterKCCA(1)),
    "the same of networks": without_labels(SupervisedDCCA(1, **SMALL)),
    "more components than there are": lambda: CCA(50).fit(X, Y),
    "integers for a view": lambda: CCA().fit(X, y),
    "through a pipeline": lambda: make_pipeline(FunctionTransformer(), CCA(50)).fit(X, Y),
    "through a search": lambda: GridSearchCV(
        CCA(50), {"reg": [0.1]}, cv=2, scoring=retrieval_map
    ).fit(Views(X, Y), y),
    "an interrupted training": lambda: DCCA(1, **SMALL, callback=interrupt).fit(X, Y),
    "clusters without annotations": lambda: SeededKMeans(2).fit(X, np.full(90, -1)),
    "a perfect resample": lambda: bootstrap_loadings(
        CCA(1), X[:9], Y[:9], n_bootstraps=9, random_state=0
    ),
    "one class": lambda: retrieval_map(CCA(1).fit(X, Y), Views(X, Y), np.zeros(90)),
}


@pytest.mark.parametrize("case", WARNING)
def test_warnings_name_the_callers_line(case):
    with pytest.warns() as record:
        WARNING[case]()
    assert {warning.filename for warning in record} == {__file__}
