"""The permutation test: against loops written from its definition, its level, what it refuses."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from _data import known_views
from scipy import stats
from sklearn.datasets import load_linnerud

from skcca import CCA
from skcca.inspection import permutation_test_correlations, wilks_test
from skcca.inspection._exchange import (
    ExchangeableResiduals,
    permutation_of_groups,
    permutation_within,
)


def two_views(n=60, p=4, q=3, n_shared=1, seed=0):
    X, Y = known_views(n, p, q, [0.8] * n_shared, seed=seed)
    rng = np.random.default_rng(seed + 1)
    return X @ rng.normal(size=(p, p)), Y @ rng.normal(size=(q, q))


def basis(V):
    return np.linalg.svd(V - V.mean(axis=0), full_matrices=False)[0]


def correlations(X, Y):
    return np.linalg.svd(basis(X).T @ basis(Y), compute_uv=False)


def without(V, scores):
    """Residuals of V on scores, a basis of what they leave."""
    residual = basis(V) - scores @ np.linalg.lstsq(scores, basis(V), rcond=None)[0]
    return np.linalg.svd(residual)[0][:, : V.shape[1] - scores.shape[1]]


def naive_pvalues(X, Y, n_permutations, rng):
    """The test that permutes once for all components, and so keeps their variance in the null."""

    def statistics(r):
        return -np.cumsum(np.log1p(-(r[::-1] ** 2)))[::-1]

    bx, by = basis(X), basis(Y)
    observed = statistics(np.linalg.svd(bx.T @ by, compute_uv=False))
    null = [
        statistics(np.linalg.svd(bx.T @ by[rng.permutation(len(by))], compute_uv=False))
        for _ in range(n_permutations)
    ]
    return (1 + (np.array(null) >= observed).sum(axis=0)) / (1 + n_permutations)


def binomial_limits(rate, n, tail=1e-4):
    """What a rate shows in n trials but for two in ten thousand draws."""
    return stats.binom(n, rate).ppf([tail, 1 - tail]) / n


@pytest.mark.parametrize("statistic", ["wilks", "roy"])
@pytest.mark.parametrize("widths", [(4, 3), (3, 5)])
def test_null_distribution_equals_the_loop_of_its_definition(statistic, widths):
    X, Y = two_views(40, *widths)
    result = permutation_test_correlations(
        CCA(), X, Y, n_permutations=5, statistic=statistic, random_state=0
    )
    model = CCA().fit(X, Y)
    U, V = model.transform(X, Y)
    seeds = np.random.default_rng(0).integers(2**63, size=5)
    narrow_first = widths[0] < widths[1]  # the wider view stays where it is
    for seed, found in zip(seeds, result.null_distribution, strict=True):
        rows = np.random.default_rng(seed).permutation(40)
        for k in range(3):
            A, B = without(X, U[:, :k]), without(Y, V[:, :k])
            r = correlations(A[rows], B) if narrow_first else correlations(A, B[rows])
            expected = r[0] ** 2 if statistic == "roy" else -np.log1p(-(r**2)).sum()
            assert found[k] == pytest.approx(expected, rel=1e-8)


def test_statistic_is_that_of_wilks_test():
    X, Y = two_views()
    result = permutation_test_correlations(CCA(), X, Y, n_permutations=1)
    parametric = wilks_test(CCA().fit(X, Y).correlations_, 60, 4, 3)
    np.testing.assert_allclose(np.exp(-result.statistic), parametric.wilks_lambda, rtol=1e-10)


def test_agrees_with_the_parametric_test_on_linnerud():
    data = load_linnerud()
    result = permutation_test_correlations(CCA(), data.data, data.target, random_state=0)
    published = [0.0635, 0.9491, 0.7748]
    # Heavy-tailed counts on 20 rows: F is an approximation here, permutations have no model.
    np.testing.assert_allclose(result.uncorrected_pvalues, published, atol=0.05)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("reg", [0.0, 0.3, "auto", (0.0, 1.0)])
def test_correlations_are_those_of_the_estimator(reg, scale):
    X, Y = two_views()
    X, Y = X * [1, 10, 100, 0.1], Y + 50
    model = CCA(reg=reg, scale=scale).fit(X, Y)
    result = permutation_test_correlations(
        CCA(reg=reg, scale=scale), X, Y, n_permutations=1, statistic="roy"
    )
    order = np.argsort(-model.singular_values_)
    np.testing.assert_allclose(result.correlations, model.correlations_[order], rtol=1e-9)
    np.testing.assert_allclose(
        result.statistic, model.singular_values_[order] ** 2, rtol=1e-9, atol=1e-12
    )


def test_pvalues_count_the_data_and_never_descend():
    data = load_linnerud()
    result = permutation_test_correlations(
        CCA(), data.data, data.target, n_permutations=49, random_state=0
    )
    counts = (result.null_distribution >= result.statistic).sum(axis=0)
    p = (1 + counts) / 50
    assert p[2] < p[1]
    np.testing.assert_array_equal(result.uncorrected_pvalues, p)
    np.testing.assert_array_equal(result.pvalues, [p[0], p[1], p[1]])


def test_permutations_among_equal_rows_are_as_extreme_as_the_data():
    """They add up the same products in another order, whose rounding must not tell them apart."""
    groups = np.repeat(np.arange(6), 10)
    X, Y = two_views()
    result = permutation_test_correlations(
        CCA(), X[groups], Y, groups=groups, n_permutations=50, random_state=0
    )
    assert result.pvalues.tolist() == [1, 1, 1]


@pytest.mark.parametrize("statistic", ["wilks", "roy"])
def test_a_draw_does_not_depend_on_those_beside_it(statistic):
    """A view has correlations of 1 with itself, which the first of these draws takes away."""
    X, groups = two_views(12)[0], np.r_[0, 0, 1, 1, 2, 2, 3, 3, 4:8]
    one, many = (
        permutation_test_correlations(
            CCA(), X, X[:, :3], n_permutations=n, statistic=statistic, groups=groups, random_state=3
        ).null_distribution
        for n in (1, 10)
    )
    assert one[0, 0] < many[1, 0]
    np.testing.assert_array_equal(one[0], many[0])


def test_fewer_components_test_fewer_hypotheses_on_the_same_statistic():
    X, Y = two_views()
    some, all_ = (
        permutation_test_correlations(CCA(k), X, Y, n_permutations=20, random_state=0)
        for k in (2, None)
    )
    np.testing.assert_allclose(some.null_distribution, all_.null_distribution[:, :2], rtol=1e-9)
    np.testing.assert_array_equal(some.pvalues, all_.pvalues[:2])


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X @ np.random.default_rng(1).normal(size=(4, 4)) + 3,
        lambda X: np.column_stack([X, X @ [1, 2, 3, 4], np.full(60, 1e6)]),
    ],
    ids=["invertible map", "constant and collinear features"],
)
def test_what_spans_the_same_changes_nothing(change):
    X, Y = two_views()
    here, there = (
        permutation_test_correlations(CCA(), V, Y, n_permutations=20, random_state=0)
        for V in (X, change(X))
    )
    np.testing.assert_allclose(here.null_distribution, there.null_distribution, rtol=1e-8)


def test_common_feature_has_the_smallest_pvalue_and_hides_nothing():
    X, Y = two_views(n_shared=0)
    X, Y = np.column_stack([X, np.arange(60)]), np.column_stack([Y, np.arange(60)])
    result = permutation_test_correlations(CCA(), X, Y, n_permutations=99, random_state=0)
    assert result.correlations[0] == pytest.approx(1, abs=1e-12)
    assert result.pvalues[0] == 1 / 100
    assert result.pvalues[1] > 0.05


def test_full_shrinkage_is_tested_as_well():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 300, 5))  # spherical: Ledoit and Wolf shrink by nearly all
    Y[:, 0] += X[:, 0]
    result = permutation_test_correlations(CCA(reg=1e12), X, Y, n_permutations=99, random_state=0)
    assert result.pvalues[0] == 1 / 100
    assert result.pvalues[1] > 0.05


def test_ridge_tests_more_features_than_rows():
    rng = np.random.default_rng(0)
    shared = 2 * rng.normal(size=(40, 1))  # in every feature: a component of large variance
    X, Y = shared + rng.normal(size=(40, 60)), shared + rng.normal(size=(40, 50))
    result = permutation_test_correlations(CCA(3, reg=1.0), X, Y, n_permutations=99, random_state=0)
    assert result.pvalues[0] == 1 / 100
    assert result.pvalues[1] > 0.05


def test_draws_stay_within_groups():
    codes = np.array([0, 1, 0, 2, 1, 0, 2])
    rng, draw = np.random.default_rng(0), permutation_within(codes, "f")
    drawn = np.array([draw(rng) for _ in range(300)])
    np.testing.assert_array_equal(codes[drawn], np.broadcast_to(codes, drawn.shape))
    assert len(np.unique(drawn, axis=0)) == 6 * 2 * 2  # every permutation there is


def test_whole_groups_change_places_with_groups_of_their_size():
    codes = np.array([0, 0, 1, 1, 2, 2, 3, 3, 3])
    rng, draw = np.random.default_rng(0), permutation_of_groups(codes, "f")
    drawn = np.array([draw(rng) for _ in range(100)])
    np.testing.assert_array_equal(drawn[:, 1::2][:, :3], drawn[:, :6:2] + 1)  # order is kept
    np.testing.assert_array_equal(drawn[:, 6:], np.tile([6, 7, 8], (100, 1)))
    assert len(np.unique(drawn, axis=0)) == 6


@pytest.mark.parametrize("n_confounds", [0, 1, 7])
def test_exchangeable_residuals_have_the_moments_of_residuals_and_no_dependence(n_confounds):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, n_confounds)) @ rng.normal(size=(n_confounds, n_confounds + 2))
    residuals = ExchangeableResiduals(1e6 + Z, 20, "f")
    Q = residuals(np.eye(20)).T
    Z = np.column_stack([np.ones(20), Z])
    R = np.eye(20) - Z @ np.linalg.pinv(Z)
    m = n_confounds + 1  # of the m + 2 columns two are collinear
    assert Q.shape == (20, 20 - m)
    np.testing.assert_allclose(Q.T @ Q, np.eye(20 - m), atol=1e-8)
    np.testing.assert_allclose(Q @ Q.T, R, atol=1e-8)
    # Theil's: of all such residuals the closest to the errors of the rows that are kept, which is
    # to say that Q' restricted to them is symmetric and positive definite.
    own = Q[residuals.kept]
    np.testing.assert_allclose(own, own.T, atol=1e-8)
    assert np.linalg.eigvalsh(own).min() > 0


def test_confounds_give_partial_correlations():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(80, 2))
    X, Y = two_views(80)
    X, Y = X + Z @ rng.normal(size=(2, 4)) * 5, Y + Z @ rng.normal(size=(2, 3)) * 5
    result = permutation_test_correlations(
        CCA(), X, Y, confounds=Z, n_permutations=199, random_state=0
    )
    design = np.column_stack([np.ones(80), Z])
    X, Y = (V - design @ np.linalg.lstsq(design, V, rcond=None)[0] for V in (X, Y))
    np.testing.assert_allclose(result.correlations, correlations(X, Y), rtol=1e-9)
    assert (result.pvalues < 0.05).tolist() == [True, False, False]


def test_confounds_leave_rows_in_their_groups():
    X, Y = two_views()
    groups, Z = np.arange(60) % 2, np.arange(60.0)
    result = permutation_test_correlations(
        CCA(), X, Y, confounds=Z, groups=groups, n_permutations=1, random_state=0
    )
    residuals = ExchangeableResiduals(Z, 60, "f")
    U, V = np.linalg.qr(residuals(X))[0], np.linalg.qr(residuals(Y))[0]
    (seed,) = np.random.default_rng(0).integers(2**63, size=1)
    rows = permutation_within(groups[residuals.kept], "f")(np.random.default_rng(seed))
    r = np.linalg.svd(U.T @ V[rows], compute_uv=False)
    assert result.null_distribution[0, 0] == pytest.approx(-np.log1p(-(r**2)).sum())


def test_feature_that_confounds_explain_is_left_out():
    X, Y = two_views()
    result = permutation_test_correlations(CCA(), X, Y, confounds=X[:, :2], n_permutations=1)
    expected = permutation_test_correlations(
        CCA(), X[:, 2:], Y, confounds=X[:, :2], n_permutations=1
    )
    np.testing.assert_allclose(result.correlations, expected.correlations, rtol=1e-9)


@pytest.mark.parametrize("n_runs", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n_true", [0, 1, 2])
def test_first_null_component_is_rejected_at_the_nominal_rate(n_true, n_runs):
    rng = np.random.default_rng(n_true)
    stepped, naive = [], []
    for seed in range(n_runs):
        X, Y = two_views(100, 4, 6, n_true, seed=seed)
        result = permutation_test_correlations(CCA(), X, Y, n_permutations=59, random_state=rng)
        stepped.append(result.pvalues <= 0.05)
        naive.append(naive_pvalues(X, Y, 59, rng) <= 0.05)
    stepped, naive = np.mean(stepped, axis=0), np.mean(naive, axis=0)
    low, high = binomial_limits(0.05, n_runs)
    assert low <= stepped[n_true] <= high
    assert (stepped[:n_true] > 0.95).all()  # with power for those that are there
    assert (stepped[n_true + 1 :] <= high).all()
    if n_true:
        assert naive[n_true] > 1.5 * high


def test_recorded_rates_are_nominal_for_every_component():
    results = Path(__file__).parents[2] / "benchmarks" / "results" / "permutation_level.json"
    record = json.loads(results.read_text())
    rates = [
        row["values"]
        for row in record["rows"]
        if row["method"].startswith("step-down") and row["kind"] == "measured"
    ]
    low, high = binomial_limits(0.05, record["settings"]["runs"])
    for n_true in range(3):
        measured = np.array(rates[n_true])
        assert low <= measured[n_true] <= high
        assert (measured[n_true + 1 :] <= high).all()


@pytest.mark.slow
def test_confounded_views_are_rejected_at_the_nominal_rate():
    rng, n_runs = np.random.default_rng(0), 600
    right, naive = [], []
    for _ in range(n_runs):
        Z = rng.normal(size=(40, 15))
        X = Z @ rng.normal(size=(15, 3)) + rng.normal(size=(40, 3))
        Y = Z @ rng.normal(size=(15, 3)) + rng.normal(size=(40, 3))
        result = permutation_test_correlations(
            CCA(1), X, Y, confounds=Z, n_permutations=99, random_state=rng
        )
        right.append(result.pvalues[0] <= 0.05)
        design = np.column_stack([np.ones(40), Z])
        X, Y = (V - design @ np.linalg.lstsq(design, V, rcond=None)[0] for V in (X, Y))
        naive.append(naive_pvalues(X, Y, 99, rng)[0] <= 0.05)
    low, high = binomial_limits(0.05, n_runs)
    assert low <= np.mean(right) <= high
    assert np.mean(naive) > 3 * high  # 40 residuals have 24 degrees of freedom


def test_groups_protect_from_what_groups_share():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 8)
    within, free = [], []
    for _ in range(150):
        level = rng.normal(size=(12, 2))[groups]  # both views of a site are shifted
        X = level + rng.normal(size=(96, 2))
        Y = level + rng.normal(size=(96, 2))
        for found, g in ((within, groups), (free, None)):
            result = permutation_test_correlations(
                CCA(1), X, Y, groups=g, n_permutations=39, random_state=rng
            )
            found.append(result.pvalues[0] <= 0.05)
    low, high = binomial_limits(0.05, 150)
    assert low <= np.mean(within) <= high
    assert np.mean(free) > 0.5


def orders_of_six_rows(keeps):
    rows = np.array(list(itertools.permutations(range(6))))
    return rows[[keeps(order) for order in rows]]


SITES, SUBJECTS = np.array([0, 1, 0, 2, 1, 0]), np.array([0, 0, 1, 2, 1, 2])


@pytest.mark.parametrize("statistic", ["wilks", "roy"])
@pytest.mark.parametrize(
    ("groups", "exchange", "keeps"),
    [
        (None, "within", lambda order: True),
        (SITES, "within", lambda order: (SITES[order] == SITES).all()),
        # Rows 0 and 1, 2 and 4, 3 and 5 stay together in this order.
        (SUBJECTS, "whole", lambda order: {*zip(order[[0, 2, 3]], order[[1, 4, 5]], strict=True)}
         == {(0, 1), (2, 4), (3, 5)}),
    ],
    ids=["rows", "within", "whole"],
)  # fmt: skip
def test_pvalue_is_exact_where_there_are_no_more_permutations(statistic, groups, exchange, keeps):
    X, Y = two_views(6, 2, 1)
    orders, bx, by = orders_of_six_rows(keeps), basis(X), basis(Y)
    r2 = np.array([((bx.T @ by[order]) ** 2).sum() for order in orders])
    expected = np.mean(r2 >= r2[0] * (1 - 1e-9))
    settings = {"statistic": statistic, "groups": groups, "exchange": exchange}
    for n_permutations in (len(orders) - 1, 5000, np.int16(32_767)):
        result = permutation_test_correlations(
            CCA(), X, Y, n_permutations=n_permutations, **settings
        )
        assert result.exact
        assert len(result.null_distribution) == len(orders) - 1
        assert result.pvalues[0] == pytest.approx(expected, rel=1e-12)
    fewer = permutation_test_correlations(CCA(), X, Y, n_permutations=len(orders) - 2, **settings)
    assert not fewer.exact
