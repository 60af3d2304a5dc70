"""Extremes of scale, kind and concurrency: a right answer or a clear error, on every estimator."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
from _data import known_views, two_views
from _models import LINEAR, MODELS, SMALL, every, of, takes_unpaired_rows
from _oracles import pair_weights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcca import (
    CCA,
    DCCA,
    KCCA,
    ChunkSelector,
    ClusterCCA,
    ClusterKCCA,
    CrossModalRetriever,
    SupervisedDCCA,
)
from skcca.cluster import SeededKMeans
from skcca.inspection import bootstrap_loadings
from skcca.nn import contrastive_loss, ranking_loss

X, Y, y = two_views()


@every
@pytest.mark.parametrize("unit", [1e-165, 1e-152, 1e152, 1e200])
def test_feature_whose_square_leaves_float64_is_named(model, unit):
    wide = X * np.array([1, 1, unit, 1, 1])
    with pytest.raises(ValueError, match="Feature 2 of `X` spreads over"):
        clone(model).fit(wide, Y, y)
    with pytest.raises(ValueError, match="Feature 0 of `y` spreads over"):
        clone(model).fit(X, Y * unit, y)


@every
def test_every_scale_within_that_range_gives_the_same_variates(model):
    scale = np.array([1e-140, 1e-30, 1, 1e30, 1e140])
    a, b = clone(model).fit(X, Y, y), clone(model).fit(X * scale, Y, y)
    np.testing.assert_allclose(a.transform(X), b.transform(X * scale), atol=1e-6)


@every
@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e160, 1e300])
def test_scale_of_weights_does_not_matter(model, scale):
    w = np.linspace(1, 2, len(X))
    a = clone(model).fit(X, Y, y, sample_weight=w)
    b = clone(model).fit(X, Y, y, sample_weight=w * scale)
    np.testing.assert_allclose(a.correlations_, b.correlations_)
    assert a.score(X, Y, sample_weight=w * scale) == pytest.approx(a.score(X, Y, sample_weight=w))


def times(V, factors):
    """Return rows of which some are larger: factors by row."""
    V = V.copy()
    for row, factor in factors.items():
        V[row] *= factor
    return V


HOSTILE = {
    "outlier": lambda V: times(V, {7: 30}),
    "far outlier": lambda V: times(V, {7: 1e5}),
    "outliers": lambda V: times(V, {7: 1e3, 9: 1e2}),
    "heavy tails": lambda V: V * np.random.default_rng(5).standard_cauchy((len(V), 1)),
    "heavy features": lambda V: np.sign(V) * np.abs(V) ** 5,
    "offset": lambda V: V + 1e6,
    "small": lambda V: 1e-8 * V,
    "large": lambda V: 1e8 * V,
    "units": lambda V: V * np.logspace(-8, 8, V.shape[1]),
}
_OPTIONS = {"n_landmarks": 30, "random_state": 0}
KERNELS = {
    **{f"{name} kernel": KCCA(3, kernel=name, reg=0.1) for name in ("linear", "poly", "cosine")},
    **{f"{name} unscaled": KCCA(3, kernel=name, reg=0.1, scale=False) for name in ("poly", "rbf")},
    "all": KCCA(kernel="poly", degree=2),
    "classes": ClusterKCCA(kernel="poly", degree=5, reg=0.1),
    "blended": ClusterKCCA(3, kernel="linear", instance_weight=0.3, scale=False),
    "nystroem": KCCA(3, kernel="poly", approximation="nystroem", **_OPTIONS),
    "random features": KCCA(3, approximation="random_features", **_OPTIONS),
}


@pytest.mark.parametrize("case", HOSTILE)
@of(MODELS | LINEAR | KERNELS)
def test_correlations_are_those_of_the_variates(model, case):
    """Whatever rounding has done to a fit, what it reports is what `transform` gives."""
    A, B = HOSTILE[case](X), HOSTILE[case](Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = clone(model).fit(A, B, y)
    W = np.eye(len(X))
    if "Cluster" in type(model).__name__ or isinstance(model, SupervisedDCCA):
        tags = np.eye(3)[y]
        settings = model.get_params()
        rule = {name: settings[name] for name in ("pair_weight", "instance_weight")}
        W = pair_weights(tags, tags, np.ones(len(X)), np.ones(len(X)), **rule)
    W = W / W.sum()
    U, V = (Z - w @ Z for Z, w in zip(fitted.transform(A, B), (W.sum(1), W.sum(0)), strict=True))
    found = np.diag(U.T @ W @ V) / np.sqrt((W.sum(1) @ U**2) * (W.sum(0) @ V**2))
    np.testing.assert_allclose(fitted.correlations_, found, atol=1e-3)


@pytest.mark.parametrize("offset", [1e6, 1e8])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "laplacian"])
def test_kernels_that_have_no_origin_give_the_same_anywhere(kernel, offset):
    A, B = (np.round(64 * V) / 64 for V in (X, Y))  # no digit is lost in the sum
    for options in ({}, {"n_components": None}, {"approximation": "nystroem", **_OPTIONS}):
        model = KCCA(**{"n_components": 3, "kernel": kernel, "scale": False, "reg": 0.1} | options)
        a, b = clone(model).fit(A, B), clone(model).fit(A + offset, B - offset)
        np.testing.assert_allclose(b.singular_values_, a.singular_values_, atol=1e-9)
        np.testing.assert_allclose(b.transform(A + offset)[:, :3], a.transform(A)[:, :3], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"approximation": "nystroem", **_OPTIONS}])
@pytest.mark.parametrize("kernel", ["poly", "cosine"])
def test_kernels_that_have_an_origin_say_that_it_is_far_away(kernel, options):
    model = KCCA(1, kernel=kernel, scale=False, **options)
    with pytest.warns(UserWarning, match="digits are lost.*scale=True"):
        model.fit(X + 1e6, Y + 1e6)
    with pytest.raises(ValueError, match=r"constant over the training rows.*from the origin"):
        KCCA(1, kernel="cosine", scale=False).fit(X + 1e12, Y)


def test_score_does_not_depend_on_the_scale_of_the_variates():
    model = CCA(2).fit(X, Y)
    small = CCA(2).fit(X, Y)
    small.x_weights_ = small.x_weights_ * 1e-200
    assert small.score(X, Y) == pytest.approx(model.score(X, Y))


def test_float32_kernels_do_not_return_their_rounding():
    K, L = X @ X.T, Y @ Y.T
    double = KCCA(kernel="precomputed").fit(K, L)
    single = KCCA(kernel="precomputed").fit(K.astype("f4"), L.astype("f4"))
    assert single.n_components_ == double.n_components_ == 4
    np.testing.assert_allclose(single.correlations_, double.correlations_, atol=1e-4)


def test_weight_of_zero_beside_one_precomputed_kernel():
    w = np.ones(len(X))
    w[0] = 0
    K = X @ X.T
    model = KCCA(2, kernel=("precomputed", "rbf")).fit(K, Y, sample_weight=w)
    without = KCCA(2, kernel=("precomputed", "rbf")).fit(K[1:, 1:], Y[1:])
    np.testing.assert_allclose(model.correlations_, without.correlations_, atol=1e-10)
    np.testing.assert_allclose(model.transform(K), without.transform(K[:, 1:]), atol=1e-8)


@takes_unpaired_rows
def test_sampled_pairs_of_views_that_each_lack_a_class(model):
    other = np.where(y == 2, 1, y)
    sampled = clone(model).set_params(n_components=1, pairs_per_sample=3)
    for labels in ((y, other), (other, y)):
        with pytest.warns(UserWarning, match="share no class"):
            fitted = clone(sampled).fit(X, Y, labels=labels)
        assert np.isfinite(fitted.transform(X)).all()


def test_batches_without_a_tag_fall_back_to_their_own_pairs():
    tags = np.zeros((90, 2), int)
    tags[:8, 0] = tags[8:12, 1] = 1
    model = SupervisedDCCA(2, **SMALL | {"batch_size": 8}, instance_weight=0.3).fit(X, Y, tags)
    assert np.isfinite(model.transform(X)).all()


def test_number_of_partners_beyond_any_class_means_all():
    a = ClusterCCA(pairs_per_sample=10**30).fit(X, Y, y)
    np.testing.assert_allclose(a.correlations_[:2], ClusterCCA().fit(X, Y, y).correlations_)


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_a_feature_that_varies_only_in_rows_without_a_pair_is_constant(solver):
    rng = np.random.default_rng(0)
    A, V = rng.normal(size=(30, 3)), np.hstack([rng.normal(size=(60, 3)), np.eye(60)])
    labels = np.arange(30) % 3, np.arange(60) % 3
    model = ClusterCCA(1, pairs_per_sample=1, reg=0.1, solver=solver, random_state=0)
    model.fit(A, V, labels)  # of V, a feature for each row, but half of the rows have no partner
    alone = ~model.y_weights_[3:].any(axis=1)
    assert 0 < alone.sum() < 60
    without = clone(model).fit(A, np.delete(V, 3 + np.flatnonzero(alone), axis=1), labels)
    np.testing.assert_allclose(model.correlations_, without.correlations_, atol=1e-10)


def related(seed=0):
    """Three pairs of features are related, each by 0.71."""
    return known_views(400, 6, 5, [0.5**0.5] * 3, seed=seed)


@pytest.mark.parametrize("reg", [1e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("seed", range(4))
def test_a_small_ridge_makes_no_direction_out_of_rounding(reg, seed):
    """Kernels of rank 6 and 5 have five correlations, none of them one."""
    X, Y = related(seed=seed)
    with pytest.warns(UserWarning, match="the data support 5"):
        model = KCCA(8, kernel="linear", reg=reg).fit(X, Y)
    exact = CCA().fit(X, Y).correlations_
    np.testing.assert_allclose(model.correlations_, exact, atol=1e-3)


@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_first_rows_that_hardly_count_cost_no_digits(offset):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 6000, 3))
    Y[:, 0] += X[:, 0]
    expected = CCA().fit(X[2048:], Y[2048:]).correlations_
    w = np.where(np.arange(6000) < 2048, 1e-30, 1.0)
    for V in (X, Y):
        V[:2048] += offset
    found = CCA().fit(X, Y, sample_weight=w).correlations_
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_first_batch_unlike_the_others_is_reported():
    """Sums are about its mean, and with the rows gone nothing can mend that."""
    X, Y = related()
    batches = CCA().partial_fit(X[:100] + 1e6, Y[:100] + 1e6)
    with pytest.warns(LinAlgWarning, match="first rows unlike the others"):
        batches.partial_fit(X[100:], Y[100:], sample_weight=np.full(300, 1e12))


@pytest.mark.parametrize("later", [{"class_counts": {0: 9, 1: 9, 2: 9}}, {"classes": [0, 1, 2, 3]}])
def test_counts_and_classes_hold_for_all_batches(later):
    X, Y = related()
    y = np.arange(400) % 3
    first = {"class_counts": {0: 134, 1: 133, 2: 133}}
    model = ClusterCCA().partial_fit(X[:200], Y[:200], y[:200], **first)
    with pytest.raises(ValueError, match="hold for all batches"):
        model.partial_fit(X[200:], Y[200:], y[200:], **later)
    model.partial_fit(X[200:], Y[200:], y[200:], **first)
    np.testing.assert_allclose(
        model.correlations_, ClusterCCA().fit(X, Y, y).correlations_, atol=1e-12
    )


def test_bootstrap_intervals_of_biased_correlations_do_not_collapse():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 60, 10))
    Y[:, 0] = 0.6 * X[:, 0] + 0.8 * Y[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bootstrap_loadings(CCA(1), X, Y, n_bootstraps=100, random_state=0).correlations
    assert (found.high - found.low)[0] > 2 * found.standard_error[0]
    assert found.low[0] < found.estimate[0]


def test_a_tensor_leaves_its_graph_behind():
    with_graph = torch.tensor(X, requires_grad=True)
    fitted = SeededKMeans().fit(with_graph, y)
    np.testing.assert_array_equal(fitted.predict(with_graph), SeededKMeans().fit(X, y).predict(X))
    retriever = CrossModalRetriever().add(with_graph)
    assert retriever.query(with_graph, 1).ids.ravel().tolist() == list(range(90))
    songs, plain = ([V] * 4 for V in (with_graph, X))
    small = partial(ChunkSelector, 3, hidden_size=2, max_epochs=1, random_state=0, device="cpu")
    found, expected = (small().fit(s, [0, 1, 0, 1]).transform(s) for s in (songs, plain))
    np.testing.assert_array_equal(found, expected)


def test_a_recall_of_no_query_is_refused():
    retriever = CrossModalRetriever().add(X)
    assert retriever.query(X[:0], 3).ids.shape == (0, 3)
    with pytest.raises(ValueError, match="at least one query"):
        retriever.recall_against_exact(X[:0], 3)


def test_whole_outputs_are_taken_as_floats():
    z = torch.arange(12).reshape(4, 3) % 5
    for loss in (contrastive_loss, ranking_loss):
        torch.testing.assert_close(loss(z, z), loss(z.double(), z.double()))


LOSSES = ["trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"]
ESTIMATORS = [DCCA, SupervisedDCCA]
CLEAR = ("Nothing was fitted", "lower `learning_rate`", "no feature that varies")


def finite_fit(model, X, Y, y):
    """Return the fitted model, or None where the fit says that it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return model.fit(X, Y, y if isinstance(model, SupervisedDCCA) else None)
        except ValueError as error:
            if not any(words in str(error) for words in CLEAR):
                raise
            return None


def assert_finite(model, X, Y):
    if model is None:
        return
    for value in (*model.transform(X, Y), model.correlations_, model.x_weights_, model.x_loadings_):
        assert np.isfinite(value).all()
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.score(X, Y))


HARD = {
    "constant columns": lambda X, Y, y: (
        np.hstack([X, X[:, :2] * 0 + 1]),
        np.hstack([Y, 0 * Y]),
        y,
    ),
    "duplicated rows": lambda X, Y, y: (
        X[np.arange(60) % 4],
        Y[np.arange(60) % 4],
        np.arange(60) % 4,
    ),
    "identical views": lambda X, Y, y: (X, X, y),
    "float16": lambda X, Y, y: (X.astype(np.float16), Y.astype(np.float16), y),
    "two precisions": lambda X, Y, y: (X.astype(np.float32), Y, y),
    "large and small": lambda X, Y, y: (1e9 * X, 1e-9 * Y, y),
    "outlier": lambda X, Y, y: (np.where(np.arange(60)[:, None] == 0, 1e6 * X, X), Y, y),
    "classes of one row": lambda X, Y, y: (X, Y, np.r_[np.arange(50), np.zeros(10, int)]),
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", HARD)
def test_hard_data(case, loss, estimator):
    X, Y, y = HARD[case](*two_views(60))
    assert_finite(finite_fit(estimator(2, loss=loss, **SMALL), X, Y, y), X, Y)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_hard_settings(loss, estimator, data):
    """Dead units, steps of any length, batches smaller than the width, a last batch of one row."""
    draw = data.draw
    n = draw(st.integers(5, 40))
    X, Y, y = two_views(n, seed=draw(st.integers(0, 9)))
    options = SMALL | {
        "learning_rate": draw(st.sampled_from([1e-6, 1e-2, 1.0, 1e3])),
        "batch_size": draw(st.sampled_from([2, 3, n - 1, None])),
        "activation": draw(st.sampled_from(["tanh", "relu", "gelu"])),
        "output_activation": draw(st.sampled_from(["sigmoid", "identity", "relu"])),
        "optimizer": draw(st.sampled_from(["rmsprop", "adam", "sgd"])),
        "dropout": draw(st.sampled_from([0.0, 0.5])),
        "reg": draw(st.sampled_from([0.0, 1e-3])),
    }
    model = estimator(draw(st.integers(1, 6)), loss=loss, **options)
    assert_finite(finite_fit(model, X, Y, y), X, Y)
