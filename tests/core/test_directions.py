"""The algebra from moments to directions: laws, and a second route as the oracle of the first."""

import numpy as np
import pytest
from _data import two_views
from scipy import linalg

from skcca._core.directions import canonical_fit, pair_correlations, pair_moments
from skcca._core.pairs import instance_pairs
from skcca._core.standardize import Standardisation, component_signs
from skcca._core.whitening import SolverOptions


def weighted_views(n=300, d_x=6, d_y=9):
    X, Y, _ = two_views(n, d_x, d_y, n_shared=4)
    return X, Y, instance_pairs(np.random.default_rng(1).random(n) + 0.5)


def whitened(cov, reg):
    return linalg.inv(linalg.sqrtm(cov + reg * np.eye(len(cov))))


def test_moments_are_the_weighted_ones_of_numpy():
    X, Y, pairs = weighted_views(n=5000)  # more than one block
    moments = pair_moments(X + 1e6, Y, pairs)
    w = pairs.row_sums
    mean = np.average(X, axis=0, weights=w)
    np.testing.assert_allclose(moments.mean_x, mean + 1e6, rtol=1e-14)
    cov = np.cov(X.T, aweights=w, ddof=0)
    np.testing.assert_allclose(moments.cov_x, cov, atol=1e-9)  # 1e6 costs 6 of 16 digits
    joint = np.cov(np.hstack([X, Y]).T, aweights=w, ddof=0)
    np.testing.assert_allclose(moments.cov_xy, joint[:6, 6:], atol=1e-9)


@pytest.mark.parametrize("solver", ["covariance", "svd"])
@pytest.mark.parametrize("reg", [0.0, 0.05, 20.0])
def test_singular_values_are_those_of_the_whitened_cross_covariance(solver, reg):
    X, Y, pairs = weighted_views()
    found = canonical_fit(X, Y, pairs, SolverOptions(reg=(reg, reg), solver=solver))
    w = pairs.row_sums
    joint = np.cov(np.hstack([X, Y]).T, aweights=w, ddof=0)
    joint /= np.sqrt(np.outer(np.diag(joint), np.diag(joint)))
    T = whitened(joint[:6, :6], reg) @ joint[:6, 6:] @ whitened(joint[6:, 6:], reg)
    np.testing.assert_allclose(np.sort(found.singular_values)[::-1], linalg.svdvals(T), atol=1e-12)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("reg", [0.0, 0.05, 20.0])
def test_both_routes_agree(reg, scale):
    X, Y, pairs = weighted_views()
    X[:, 2] = 7.0  # a constant column has weight zero on either route
    a, b = (
        canonical_fit(X, Y, pairs, SolverOptions(reg=(reg, reg), scale=scale, solver=solver))
        for solver in ("covariance", "svd")
    )
    assert (a.solver, b.solver) == ("covariance", "svd")
    for name in [field for field in a._fields if field != "solver"]:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-10, err_msg=name)
    assert (a.x_weights[2] == 0).all()
    assert (a.x_loadings[2] == 0).all()


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_ridge_does_not_bring_null_directions_back(solver):
    """Their variance is rounding, so that rounding / rounding would pass for a correlation."""
    X, Y, pairs = weighted_views()
    X, Y = np.hstack([X, X]), np.hstack([Y, Y[:, :4], Y[:, 4:]])
    found = canonical_fit(X, Y, pairs, SolverOptions(reg=(1e-3, 1e-3), solver=solver))
    assert len(found.correlations) == 6
    true = canonical_fit(X[:, :6], Y[:, :9], pairs, SolverOptions()).correlations
    assert (found.correlations <= true[0] + 1e-6).all()


def test_forced_covariance_route_keeps_the_directions_it_can_tell_apart():
    X, Y, pairs = weighted_views()
    X = np.hstack([X, X[:, [0]]])
    found = canonical_fit(X, Y, pairs, SolverOptions(solver="covariance"))
    plain = canonical_fit(X[:, :6], Y, pairs, SolverOptions())
    np.testing.assert_allclose(found.correlations, plain.correlations, atol=1e-8)


def test_largest_loading_is_positive_and_ties_go_to_the_first():
    signs = component_signs(np.array([[-0.5, 0.9], [0.5 * (1 + 1e-12), -0.91]]))
    np.testing.assert_array_equal(signs, [-1, -1])


def test_standardisation_sends_a_constant_feature_to_zero():
    V = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    Z = Standardisation.of(V, np.full(50, 0.02)).apply(V)
    assert (Z[:, 0] == 0).all()
    np.testing.assert_allclose([Z[:, 1].mean(), Z[:, 1].std()], [0, 1], atol=1e-12)


def test_variate_without_variance_has_correlation_zero():
    w = np.random.default_rng(0).random(50)  # by such weights the mean of ones is not quite one
    U = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    np.testing.assert_allclose(pair_correlations(U, U, instance_pairs(w)), [0, 1])
