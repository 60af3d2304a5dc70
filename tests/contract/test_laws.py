"""Laws that hold for any data: what changes nothing, and what algebraic answer is."""

import numpy as np
import pytest
from _data import cases, wide_cases
from _models import ALGEBRAIC, algebraic, algebraic_class_paired, unregularised
from _oracles import assert_same_answer, fit, law, tolerance
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skcca import CCA, KCCA, ClusterCCA, ClusterKCCA


def invertible(rng, d):
    """Return a matrix of condition number 10."""
    U, V = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(2))
    return U * np.geomspace(1, 10, d) @ V


# What does not change an answer


@law
@unregularised
@given(case=cases())
def test_invertible_maps_change_no_correlation(model, case):
    X, Y, y, rng = case.views()
    a = fit(model, X, Y, y)
    A, B = invertible(rng, X.shape[1]), invertible(rng, Y.shape[1])
    for V, W in ((X @ A, Y), (X, Y @ B), (X @ A + 3, Y @ B - 2)):
        b = clone(model).fit(V, W, y)
        np.testing.assert_allclose(b.correlations_, a.correlations_, atol=1e-11)
        for Z, Z_a in zip(b.transform(V, W), a.transform(X, Y), strict=True):
            signs = np.sign((Z * Z_a).sum(axis=0))
            np.testing.assert_allclose(Z * signs, Z_a, atol=1e-8)


@law
@algebraic
@given(case=cases())
def test_row_order_changes_nothing(model, case):
    X, Y, y, rng = case.views()
    order = rng.permutation(len(X))
    a, b = fit(model, X, Y, y), fit(model, X[order], Y[order], y[order])
    assert_same_answer(a, b, (X, Y))


@law
@algebraic
@given(case=cases())
def test_column_order_moves_the_loadings_alone(model, case):
    X, Y, y, rng = case.views()
    p, q = rng.permutation(X.shape[1]), rng.permutation(Y.shape[1])
    a, b = fit(model, X, Y, y), fit(model, X[:, p], Y[:, q], y)
    assert_same_answer(a, b, (X, Y), (X[:, p], Y[:, q]))
    np.testing.assert_allclose(b.x_loadings_, a.x_loadings_[p], atol=tolerance(model))


@law
@algebraic
@given(case=cases(), decades=st.lists(st.integers(-9, 9), min_size=10, max_size=10))
def test_units_change_nothing(model, case, decades):
    X, Y, y, _ = case.views()
    unit = 10.0 ** np.array(decades)
    A, B = X * unit[: X.shape[1]], Y * unit[-Y.shape[1] :]
    a, b = fit(model, X, Y, y), fit(model, A, B, y)
    assert_same_answer(a, b, (X, Y), (A, B))
    np.testing.assert_allclose(b.y_loadings_, a.y_loadings_, atol=tolerance(model))


@law
@algebraic
@given(case=cases(), shift=st.floats(-1e4, 1e4))
def test_a_shift_of_a_view_changes_nothing(model, case, shift):
    X, Y, y, _ = case.views()
    a, b = fit(model, X, Y, y), fit(model, X + shift, Y - 2 * shift, y)
    assert_same_answer(a, b, (X, Y), (X + shift, Y - 2 * shift))


@law
@algebraic
@given(case=cases())
def test_integer_weights_equal_repeated_rows(model, case):
    X, Y, y, rng = case.views()
    counts = rng.integers(0, 4, len(X))
    counts[:8] += 1  # of algebraic class some rows stay
    rows = np.repeat(np.arange(len(X)), counts)
    a = fit(model, X, Y, y, sample_weight=counts)
    b = fit(model, X[rows], Y[rows], y[rows])
    assert_same_answer(a, b, (X, Y))
    if isinstance(model, CCA | ClusterCCA):
        np.testing.assert_allclose(a.x_weights_, b.x_weights_, atol=1e-7)
        np.testing.assert_allclose(a.y_weights_, b.y_weights_, atol=1e-7)


@law
@algebraic
@given(case=cases())
def test_rows_of_weight_zero_change_nothing(model, case):
    X, Y, y, rng = case.views()
    more_x, more_y = (1e3 * rng.normal(size=(5, V.shape[1])) for V in (X, Y))
    w = np.r_[np.ones(len(X)), np.zeros(5)]
    a = fit(model, X, Y, y)
    order = rng.permutation(len(w))
    wider = [np.concatenate(pair)[order] for pair in ((X, more_x), (Y, more_y), (y, np.arange(5)))]
    b = fit(model, *wider, sample_weight=w[order])
    assert_same_answer(a, b, (X, Y))
    np.testing.assert_allclose(b.x_loadings_, a.x_loadings_, atol=tolerance(model))


@law
@algebraic
@given(case=cases(), scale=st.floats(1e-6, 1e6))
def test_scale_of_weights_changes_nothing(model, case, scale):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.1, 1, len(X))
    a = fit(model, X, Y, y, sample_weight=w)
    assert_same_answer(a, fit(model, X, Y, y, sample_weight=scale * w), (X, Y))


@law
@algebraic
@given(case=cases(), value=st.sampled_from([0.0, 1 / 3, -7e9 / 3, 1e-12]))
def test_a_constant_feature_changes_nothing(model, case, value):
    X, Y, y, _ = case.views()
    A, B = np.insert(X, 0, value, axis=1), np.insert(Y, 1, -value, axis=1)
    if isinstance(model, KCCA | ClusterKCCA):
        model = clone(model).set_params(gamma=0.2)
    a, b = fit(model, X, Y, y), fit(model, A, B, y)
    assert_same_answer(a, b, (X, Y), (A, B))
    np.testing.assert_array_equal(b.x_loadings_[0], 0.0)


@law
@pytest.mark.filterwarnings("ignore:.*has rank:scipy.linalg.LinAlgWarning")
@unregularised
@given(case=cases(), factor=st.sampled_from([1.0, -1.0, 1e-7, 3e8]))
def test_a_repeated_feature_changes_nothing(model, case, factor):
    X, Y, y, _ = case.views()
    A, B = np.hstack([X, factor * X[:, :1]]), np.hstack([factor * Y, Y])
    a, b = fit(model, X, Y, y), fit(model, A, B, y)
    assert (b.x_rank_, b.y_rank_) == (a.x_rank_, a.y_rank_)
    assert_same_answer(a, b, (X, Y), (A, B))


@law
@algebraic_class_paired
@given(case=cases())
def test_names_of_classes_do_not_matter(model, case):
    X, Y, y, rng = case.views()
    numbers = rng.permutation(1000)[:4] - 500
    words = np.array(["z", "a b", "", "é"])[rng.permutation(4)]
    a = fit(model, X, Y, y)
    for names in (numbers, words):
        b = fit(model, X, Y, names[y])
        assert_same_answer(a, b, (X, Y))
        np.testing.assert_array_equal(b.classes_, np.unique(names[y]))


@law
@pytest.mark.filterwarnings("ignore:.*training correlations mean nothing")
@pytest.mark.parametrize(
    "name", ["CCA ridge", "ClusterCCA blended", "KCCA", "ClusterKCCA", "CCACV"]
)
@given(case=wide_cases())
def test_views_of_more_features_than_rows_obey_the_same_laws(name, case):
    X, Y, y, rng = case.views()
    model = clone(ALGEBRAIC[name]).set_params(n_components=1)
    counts = rng.integers(0, 4, len(X))
    counts[:4] += 1
    rows = rng.permutation(np.repeat(np.arange(len(X)), counts))  # more rows than features, or not
    a = fit(model, X, Y, y, sample_weight=counts)
    assert_same_answer(a, fit(model, X[rows], Y[rows], y[rows]), (X, Y))
    unit = 10.0 ** rng.integers(-9, 10, X.shape[1])
    b = fit(model, X * unit - 5 * unit, Y, y, sample_weight=1e3 * counts)
    assert_same_answer(a, b, (X, Y), (X * unit - 5 * unit, Y))
    swapped = fit(model, Y, X, y, sample_weight=counts)
    np.testing.assert_allclose(swapped.correlations_, a.correlations_, atol=tolerance(model))
    assert a.score(X, Y, labels=y, sample_weight=counts) == pytest.approx(a.correlations_.sum())


@law
@algebraic
@given(case=cases())
def test_swapping_the_views_swaps_everything(model, case):
    X, Y, y, _ = case.views()
    a, b = fit(model, X, Y, y), fit(model, Y, X, y)
    atol = tolerance(model)
    np.testing.assert_allclose(b.correlations_, a.correlations_, atol=atol)
    assert (b.n_features_in_, b.n_features_y_in_) == (a.n_features_y_in_, a.n_features_in_)
    U, V = a.transform(X, Y)
    V_b, U_b = b.transform(Y, X)
    signs = np.sign((U * U_b).sum(axis=0))  # the first view decides them
    np.testing.assert_allclose(U_b * signs, U, atol=10 * atol)
    np.testing.assert_allclose(V_b * signs, V, atol=10 * atol)
    np.testing.assert_allclose(b.y_loadings_ * signs, a.x_loadings_, atol=10 * atol)
    np.testing.assert_allclose(b.x_loadings_ * signs, a.y_loadings_, atol=10 * atol)


# What algebraic answer is


@law
@algebraic
@given(case=cases())
def test_score_of_the_training_rows_is_the_sum_of_the_correlations(model, case):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.2, 1, len(X))
    fitted = clone(model).fit(X, Y, y, sample_weight=w)
    found = fitted.score(X, Y, labels=y, sample_weight=w)
    assert found == pytest.approx(fitted.correlations_.sum(), abs=1e-8)


@law
@algebraic
@given(case=cases())
def test_variates_have_the_stated_moments(model, case):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.2, 1, len(X))
    fitted = clone(model).set_params(component_scaling="unit").fit(X, Y, y, sample_weight=w)
    from skcca._core.pairs import Weights
    from skcca.views._labels import encode_labels

    n = len(X)
    pairs = fitted._pairing()(encode_labels(y, n, n, "test"), Weights(w, w), rng)
    W = pairs.dot(np.eye(n)) / pairs.total
    a, b = W.sum(axis=1), W.sum(axis=0)
    U, V = fitted.transform(X, Y)
    np.testing.assert_allclose([a @ U, b @ V], 0, atol=1e-9)
    np.testing.assert_allclose([a @ U**2, b @ V**2], 1, atol=1e-8)
    np.testing.assert_allclose(np.diag(U.T @ W @ V), fitted.correlations_, atol=1e-8)


@law
@algebraic
@given(case=cases())
def test_correlations_descend_from_at_most_one(model, case):
    X, Y, y, _ = case.views()
    fitted = clone(model).fit(X, Y, y)
    rho = fitted.correlations_
    assert len(rho) == fitted.n_components_ > 0
    assert (np.diff(rho) <= 0).all()
    assert ((rho >= 0) & (rho <= 1)).all()
    same = clone(model).fit(X, X, y).correlations_  # the most that there can be
    assert ((same >= 0) & (same <= 1)).all()


@law
@algebraic
@given(case=cases())
def test_loadings_are_correlations_of_features_and_variates(model, case):
    X, Y, y, _ = case.views()
    fitted = clone(model).fit(X, Y, y)
    by_pairs = "Cluster" in type(model).__name__ and getattr(model, "pair_weight", "") == "pair"
    beta = getattr(model, "instance_weight", 1.0)
    n_c = np.bincount(y)[y]
    w = beta / len(y) + (1 - beta) * n_c / n_c.sum() if by_pairs else np.full(len(y), 1 / len(y))
    for V, Z, found in (
        (X, fitted.transform(X), fitted.x_loadings_),
        (Y, fitted.transform_y(Y), fitted.y_loadings_),
    ):
        assert np.abs(found).max() <= 1
        d = V.shape[1]
        joint = np.cov(np.hstack([V, Z]).T, aweights=w, ddof=0)
        std = np.sqrt(np.diag(joint))
        np.testing.assert_allclose(found, (joint / np.outer(std, std))[:d, d:], atol=1e-8)
    largest = np.abs(fitted.x_loadings_).argmax(axis=0)
    assert (fitted.x_loadings_[largest, np.arange(fitted.n_components_)] > 0).all()


@law
@unregularised
@given(case=cases(least=2))
def test_fewer_components_are_the_first_of_more(model, case):
    X, Y, y, _ = case.views()
    whole = fit(model, X, Y, y)
    for k in range(1, whole.n_components_):
        part = clone(model).set_params(n_components=k).fit(X, Y, y)
        np.testing.assert_allclose(part.correlations_, whole.correlations_[:k], atol=1e-12)
        np.testing.assert_allclose(part.x_weights_, whole.x_weights_[:, :k], atol=1e-10)
        np.testing.assert_allclose(part.y_weights_, whole.y_weights_[:, :k], atol=1e-10)
