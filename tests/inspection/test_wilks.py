"""Wilks' lambda, Rao's F, Bartlett's chi-squared: published values, another library, the level."""

import numpy as np
import pytest
from _data import known_views
from scipy import stats
from sklearn.datasets import load_linnerud
from statsmodels.multivariate.cancorr import CanCorr
from statsmodels.multivariate.manova import MANOVA

from skcca import CCA
from skcca.inspection import wilks_test


def test_fitness_club_as_published():
    """SAS/STAT, PROC CANCORR, fitness club data: the set that scikit-learn calls linnerud."""
    data = load_linnerud()
    found = wilks_test(CCA().fit(data.data, data.target).correlations_, 20, 3, 3)
    np.testing.assert_allclose(found.wilks_lambda, [0.35039053, 0.95472266, 0.99473355], atol=5e-9)
    np.testing.assert_allclose(found.statistic, [2.05, 0.18, 0.08], atol=5e-3)
    np.testing.assert_array_equal(found.df, [9, 4, 1])
    np.testing.assert_allclose(found.df_denominator, [34.223, 30, 16], atol=5e-4)
    np.testing.assert_allclose(found.pvalues, [0.0635, 0.9491, 0.7748], atol=5e-5)


@pytest.mark.parametrize(
    ("published", "sizes", "digits"),
    [
        # Rohwer's 69 children, five learning tasks and three abilities: manual of R's candisc.
        (
            {
                "correlations": [0.67033, 0.38366, 0.25065],
                "wilks_lambda": [0.44011, 0.79923, 0.93718],
                "statistic": [3.8961, 1.8379, 1.4078],
                "df": [15, 8, 3],
                "df_denominator": [168.8, 124.0, 63.0],
                "pvalues": [5.535e-06, 0.07608, 0.24881],
            },
            (69, 5, 3),
            (2e-5, 2e-4, 0.05, 5e-4),
        ),
        # 600 freshmen, three psychological and five academic variables: UCLA's annotated examples.
        (
            {
                "correlations": [0.4641, 0.1675, 0.1040],
                "wilks_lambda": [0.7544, 0.9614, 0.9892],
                "statistic": [11.716, 2.944, 2.165],
                "df": [15, 8, 3],
                "df_denominator": [1635, 1186, 594],
                "pvalues": [7.498e-28, 2.905e-03, 9.109e-02],
            },
            (600, 3, 5),
            (7e-5, 3e-3, 0.5, 5e-3),
        ),
    ],
)
def test_published_tables(published, sizes, digits):
    """To what the rounding of the published correlations leaves: they are all that is put in."""
    found = wilks_test(published["correlations"], *sizes)
    lambda_, statistic, df, pvalues = digits
    np.testing.assert_allclose(found.wilks_lambda, published["wilks_lambda"], atol=lambda_)
    np.testing.assert_allclose(found.statistic, published["statistic"], rtol=statistic)
    np.testing.assert_array_equal(found.df, published["df"])
    np.testing.assert_allclose(found.df_denominator, published["df_denominator"], atol=df)
    np.testing.assert_allclose(found.pvalues, published["pvalues"], rtol=pvalues)


def test_heads_of_brothers_as_published():
    """Mardia, Kent and Bibby (1979), section 10.2: 25 pairs of brothers, two head measures each."""
    found = wilks_test([0.7885, 0.0537], 25, 2, 2, approximation="bartlett")
    assert found.statistic[0] == pytest.approx(20.96, abs=0.01)
    assert found.df[0] == 4
    assert found.pvalues[0] < 0.01  # beyond 13.3, the tabulated 1 % point


@pytest.mark.parametrize("p", [2, 4])
def test_matches_canonical_correlations_of_statsmodels(p):
    """For views of one width; else its degrees of freedom take one width for the other."""
    X, Y = known_views(50, p, p, [0.7])
    found = wilks_test(CCA().fit(X, Y).correlations_, 50, p, p)
    peer = CanCorr(Y, X).corr_test().stats.astype(float)
    np.testing.assert_allclose(found.wilks_lambda, peer["Wilks' lambda"], rtol=1e-10)
    np.testing.assert_array_equal(found.df, peer["Num DF"])
    np.testing.assert_allclose(found.df_denominator, peer["Den DF"], rtol=1e-12)
    np.testing.assert_allclose(found.statistic, peer["F Value"], rtol=1e-9)
    np.testing.assert_allclose(found.pvalues, peer["Pr > F"], rtol=1e-8)


@pytest.mark.parametrize(("p", "q"), [(2, 3), (3, 2), (3, 5), (6, 2), (7, 4)])
def test_first_test_is_that_of_multivariate_regression(p, q):
    X, Y = known_views(50, p, q, [0.7])
    found = wilks_test(CCA().fit(X, Y).correlations_, 50, p, q)
    slopes = np.eye(p + 1)[1:]
    peer = MANOVA(Y, np.column_stack([np.ones(50), X])).mv_test([("all", slopes, np.eye(q))])
    lambda_, df, df2, f, pvalue = peer.results["all"]["stat"].loc["Wilks' lambda"].astype(float)
    assert found.wilks_lambda[0] == pytest.approx(lambda_)
    assert (found.df[0], found.df_denominator[0]) == pytest.approx((df, df2))
    assert (found.statistic[0], found.pvalues[0]) == pytest.approx((f, pvalue), rel=1e-8)


@pytest.mark.parametrize("features", [1, 3])
def test_one_column_is_the_f_test_of_regression(features):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, features)), rng.normal(size=30)
    design = np.column_stack([np.ones(30), X])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    r2 = 1 - (residual @ residual) / ((y - y.mean()) @ (y - y.mean()))
    f = (r2 / features) / ((1 - r2) / (30 - features - 1))
    for args in ((30, features, 1), (30, 1, features)):
        found = wilks_test(CCA().fit(X, y).correlations_, *args)
        assert found.statistic[0] == pytest.approx(f)
        assert found.pvalues[0] == pytest.approx(stats.f.sf(f, features, 30 - features - 1))


@pytest.mark.parametrize(("approximation", "n"), [("rao", 25), ("bartlett", 80)])
@pytest.mark.parametrize(("p", "q"), [(2, 3), (4, 3), (5, 6)])
@pytest.mark.parametrize("n_true", [0, 1])
def test_level_is_nominal(approximation, n, p, q, n_true):
    rng, n_runs, rejected = np.random.default_rng(p + n_true), 400, 0
    for _ in range(n_runs):
        X, Y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
        Y[:, :n_true] = 5 * X[:, :n_true] + Y[:, :n_true]
        r = np.linalg.svd(whitened(X).T @ whitened(Y), compute_uv=False)
        rejected += wilks_test(r, n, p, q, approximation=approximation).pvalues[n_true] <= 0.05
    low, high = stats.binom(n_runs, 0.05).ppf([1e-4, 1 - 1e-4])
    assert low <= rejected <= high


def whitened(V):
    return np.linalg.qr(V - V.mean(axis=0))[0]


def test_correlation_of_one_is_certain():
    found = wilks_test([1.0, 0.1], 30, 2, 2)
    assert found.wilks_lambda[0] == 0
    assert found.statistic[0] == np.inf
    assert found.pvalues[0] == 0
    assert found.pvalues[1] > 0.05


def test_narrow_integers_count_rows_and_features():
    r = np.linspace(0.9, 0.1, 62)
    found, expected = (
        wilks_test(r, *(kind(count) for count in (127, 62, 63))) for kind in (np.int8, int)
    )
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"`n_features` \+ `n_features_y` = 140"):
        wilks_test([0.5] * 70, np.int8(127), np.int8(70), np.int8(70))
