"""Bootstrap intervals: against fits on copied rows, their coverage, and what they refuse."""

import numpy as np
import pytest
from _data import known_views
from _models import SMALL
from scipy import stats
from scipy.linalg import LinAlgWarning

from skcca import CCA, DCCA, KCCA, ClusterCCA, Views
from skcca.inspection import bootstrap_loadings
from skcca.inspection._bootstrap import _interval

RHO = np.array([0.8, 0.5])


def maps():
    rng = np.random.default_rng(5)
    return rng.normal(size=(4, 4)), rng.normal(size=(3, 3))


def two_views(n=100, seed=0):
    X, Y = known_views(n, 4, 3, RHO, seed=seed)
    A, B = maps()
    return X @ A, Y @ B


def true_loadings():
    """Correlation of feature j, sum_k A_kj x_k, with the canonical variate x_k."""
    return [(M / np.linalg.norm(M, axis=0)).T[:, :2] for M in maps()]


def test_resamples_equal_fits_on_copied_rows():
    X, Y = two_views()
    result = bootstrap_loadings(CCA(2), X, Y, n_bootstraps=5, random_state=0)
    seeds = np.random.default_rng(0).integers(2**63, size=5)
    whole = CCA(2).fit(X, Y)
    for b, seed in enumerate(seeds):
        rows = np.random.default_rng(seed).integers(100, size=100)
        model = CCA(2).fit(X[rows], Y[rows])
        signs = np.sign((model.x_loadings_ * whole.x_loadings_).sum(axis=0))
        for found, expected in (
            (result.x_loadings, model.x_loadings_ * signs),
            (result.y_loadings, model.y_loadings_ * signs),
            (result.correlations, model.correlations_),
        ):
            np.testing.assert_allclose(found.distribution[b], expected, atol=1e-10)


def test_components_are_matched_where_their_order_changes():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 400, 2))
    Y = 0.6 * X + 0.8 * Y  # equal correlations: which one comes first is luck
    X[:, 0] += 0.05 * Y[:, 0]
    result = bootstrap_loadings(CCA(), X, Y, n_bootstraps=100, random_state=0)
    agreement = (result.x_loadings.distribution * result.x_loadings.estimate).sum(axis=1)
    assert (agreement > 0).all()
    descends = np.diff(result.correlations.distribution, axis=1) < 0
    assert 0 < np.mean(descends) < 1  # some came in the other order


@pytest.mark.parametrize("method", ["percentile", "bias_corrected"])
def test_limits_are_quantiles(method):
    X, Y = two_views()
    result = bootstrap_loadings(
        CCA(2), X, Y, n_bootstraps=50, confidence_level=0.8, method=method, random_state=0
    )
    for interval in result:
        levels = np.broadcast_to([0.1, 0.9], (*interval.estimate.shape, 2))
        if method == "bias_corrected":
            share = (interval.distribution < interval.estimate).mean(axis=0)
            levels = stats.norm.cdf(2 * stats.norm.ppf(share)[..., None] + stats.norm.ppf(levels))
        for place in np.ndindex(interval.estimate.shape):
            expected = np.quantile(interval.distribution[(slice(None), *place)], levels[place])
            found = interval.low[place], interval.high[place]
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        spread = interval.distribution.std(axis=0, ddof=1)
        np.testing.assert_allclose(interval.standard_error, spread)


def test_intervals_cover_at_their_level():
    n_runs, loadings, correlations = 40, {"percentile": [], "bias_corrected": []}, []
    for seed in range(n_runs):
        X, Y = two_views(150, seed)
        result = bootstrap_loadings(CCA(2), X, Y, n_bootstraps=80, random_state=seed)
        for found, truth in zip(result, true_loadings(), strict=False):
            truth = truth * np.sign((truth * found.estimate).sum(axis=0))
            for method, covered in loadings.items():
                interval = _interval(found.estimate, found.distribution, 0.025, method)
                covered.append(((interval.low <= truth) & (truth <= interval.high)).mean())
        low, high = result.correlations.low, result.correlations.high
        correlations.append(((low <= RHO) & (RHO <= high)).mean())
    # The 14 loadings and 2 correlations of a run depend on one another; as if they were two.
    low, high = stats.binom(2 * n_runs, 0.95).ppf([1e-3, 1 - 1e-3]) / (2 * n_runs)
    for covered in (*loadings.values(), correlations):
        assert low <= np.mean(covered) <= high


def test_bias_correction_lowers_intervals_of_correlations():
    X, Y = two_views(40)
    raw, corrected = (
        bootstrap_loadings(CCA(), X, Y, n_bootstraps=200, method=method, random_state=0)
        for method in ("percentile", "bias_corrected")
    )
    assert (corrected.correlations.high < raw.correlations.high).all()


def test_whole_groups_are_drawn():
    X, Y = two_views(20)
    groups = np.repeat(np.arange(20), 5)
    X, Y = X[groups], Y[groups]  # five copies of each row are no more than one row
    copied = bootstrap_loadings(CCA(1), X, Y, groups=groups, n_bootstraps=5, random_state=0)
    single = bootstrap_loadings(CCA(1), X[::5], Y[::5], n_bootstraps=5, random_state=0)
    np.testing.assert_allclose(
        copied.x_loadings.distribution, single.x_loadings.distribution, atol=1e-10
    )


def test_class_pairs_and_unpaired_rows():
    X, Y = two_views(120)
    label = np.arange(120) % 3
    X, Y = X + 2 * np.eye(4)[label], Y + 2 * np.eye(3)[label]
    by_name = bootstrap_loadings(ClusterCCA(), X, Y, label, n_bootstraps=4, random_state=0)
    by_view = bootstrap_loadings(ClusterCCA(), Views(X, Y), label, n_bootstraps=4, random_state=0)
    np.testing.assert_array_equal(by_name.x_loadings.distribution, by_view.x_loadings.distribution)
    unpaired = bootstrap_loadings(
        ClusterCCA(), X, Y[:80], (label, label[:80]), n_bootstraps=4, random_state=0
    )
    assert unpaired.y_loadings.distribution.shape == (4, 3, 2)
    with pytest.raises(ValueError, match="unpaired rows"):
        bootstrap_loadings(ClusterCCA(), X, Y[:80], (label, label[:80]), groups=label)


@pytest.mark.parametrize("model", [KCCA(2, reg=0.01), DCCA(2, **SMALL)])
def test_other_feature_maps(model):
    X, Y = two_views(40)
    result = bootstrap_loadings(model, X, Y, n_bootstraps=3, random_state=0)
    assert result.x_loadings.distribution.shape == (3, 4, 2)
    assert np.isfinite(result.correlations.distribution).all()


def test_resamples_of_too_few_rows_are_reported_once():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 40, 15))
    with pytest.warns(UserWarning, match=r"in \d+ of 20 resamples a correlation is 1") as caught:
        bootstrap_loadings(CCA(1), X, Y, n_bootstraps=20, random_state=0)
    assert len(caught) == 1


def test_missing_components_are_reported_once_and_left_out():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 30, 3))
    X[:, 2] = np.arange(30) == 0  # varies where the first row was drawn
    Y[0, 2] = 5
    with pytest.warns(UserWarning, match="of 20 resamples support fewer than 3") as caught:
        result = bootstrap_loadings(CCA(), X, Y, n_bootstraps=20, random_state=0)
    assert len(caught) == 1
    missing = np.isnan(result.correlations.distribution).any(axis=1)
    assert 0 < missing.sum() < 20
    assert all(np.isfinite(interval.low).all() for interval in result)


def test_fit_on_all_rows_still_warns():
    X, Y = two_views()
    X = np.column_stack([X, X[:, 0]])
    with pytest.warns((UserWarning, LinAlgWarning)) as caught:
        bootstrap_loadings(CCA(9), X, Y, n_bootstraps=3, random_state=0)
    assert len([w for w in caught if "`n_components`=9" in str(w.message)]) == 1


def test_a_resample_without_a_label_is_told_from_all_rows():
    rng = np.random.default_rng(0)
    A, B, labels = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)), ["calm"] + [None] * 29
    with pytest.raises(ValueError, match=r"bootstrap_loadings: a resample .*none of .. rows has a"):
        bootstrap_loadings(ClusterCCA(1, instance_weight=0.5), A, B, labels, random_state=0)
