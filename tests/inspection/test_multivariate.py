"""Four statistics and their F: published values, another library, their level."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_linnerud
from statsmodels.multivariate.multivariate_ols import multivariate_stats

from skcca import CCA
from skcca.inspection import multivariate_tests


def test_fitness_club_as_published():
    """SAS/STAT, PROC CANCORR, fitness club data: the set that scikit-learn calls linnerud."""
    data = load_linnerud()
    found = multivariate_tests(CCA().fit(data.data, data.target).correlations_, 20, 3, 3)
    published = [
        (0.35039053, 2.05, 9, 34.223, 0.0635),
        (0.67848151, 1.56, 9, 48, 0.1551),
        (1.77194146, 2.64, 9, 19.053, 0.0357),
        (1.72473874, 9.20, 3, 16, 0.0009),
    ]
    for test, row in zip(found, published, strict=True):
        figures = [column[0] for column in test]
        np.testing.assert_array_less(
            np.abs(np.subtract(figures, row)), [5.1e-9, 5e-3, 1e-9, 5e-4, 5e-5]
        )


def test_freshmen_as_published():
    """600 rows of mmreg by the R package CCP, from its correlations (UCLA's annotated examples).

    Its F of Hotelling and Lawley, and its F of later traces, are older or divide by another number.
    """
    found = multivariate_tests([0.4640861, 0.1675092, 0.1039911], 600, 3, 5)
    values = {
        "wilks": [0.7543611, 0.9614300, 0.9891858],
        "pillai": [0.25424936, 0.03887348, 0.01081416],
        "hotelling_lawley": [0.31429738, 0.03980175, 0.01093238],
    }
    for name, published in values.items():
        np.testing.assert_allclose(getattr(found, name).value, published, atol=6e-8)
    np.testing.assert_allclose(found.wilks.statistic, [11.715733, 2.944459, 2.164612], rtol=2e-6)
    np.testing.assert_allclose(found.wilks.df_denominator, [1634.653, 1186, 594], atol=5e-4)
    np.testing.assert_allclose(found.wilks.pvalues[1:], [0.002905057, 0.091092180], rtol=5e-6)
    pillai, roy = ([part[0] for part in test[1:4]] for test in (found.pillai, found.roy))
    np.testing.assert_allclose(pillai, [11.000571, 15, 1782], rtol=2e-7)
    np.testing.assert_allclose(roy, [32.61008, 5, 594], rtol=2e-7)


@pytest.mark.parametrize(("n", "p", "q"), [(30, 3, 5), (30, 5, 3), (14, 4, 4), (40, 2, 2)])
def test_later_hypotheses_are_the_first_ones_of_what_is_left(n, p, q):
    """By statsmodels, which tests all correlations at once, on k rows and features fewer."""
    r = np.linspace(0.9, 0.1, min(p, q))
    found = multivariate_tests(r, n, p, q)
    for k in range(len(r)):
        peer = multivariate_stats(r[k:] ** 2, p - k, q - k, (n - k) - 1 - (q - k))
        columns = ["Value", "F Value", "Num DF", "Den DF", "Pr > F"]
        expected = peer[columns].to_numpy(dtype=float)
        np.testing.assert_allclose([[part[k] for part in t] for t in found], expected, rtol=1e-9)


@pytest.mark.parametrize(("n", "p", "q"), [(25, 3, 5), (20, 4, 4)])
def test_the_four_are_one_where_one_correlation_is_left(n, p, q):
    last = [[part[-1] for part in test[1:]] for test in multivariate_tests([0.5] * 3 + [0.4] * (
        min(p, q) - 3), n, p, q)]  # fmt: skip
    np.testing.assert_allclose(last[1:], [last[0]] * 3, rtol=1e-12)


@pytest.mark.parametrize("n_true", [0, 2])
def test_level_is_nominal_whatever_comes_before(n_true):
    rng, n_runs, rejected = np.random.default_rng(n_true), 400, np.zeros(4)
    for _ in range(n_runs):
        X, Y = rng.normal(size=(25, 5)), rng.normal(size=(25, 4))
        Y[:, :n_true] += 20 * X[:, :n_true]
        whitened = [np.linalg.qr(V - V.mean(axis=0))[0] for V in (X, Y)]
        r = np.linalg.svd(whitened[0].T @ whitened[1], compute_uv=False)
        rejected += [test.pvalues[n_true] <= 0.05 for test in multivariate_tests(r, 25, 5, 4)]
    low, high = stats.binom(n_runs, 0.05).ppf([1e-4, 1 - 1e-4])
    assert (rejected[:3] >= low).all()
    assert (rejected[:3] <= high).all()
    assert rejected[3] > high  # an upper bound of F


def test_trace_without_a_mean_is_left_out():
    assert multivariate_tests([0.5, 0.1], 6, 2, 2).hotelling_lawley is None
    assert multivariate_tests([0.5, 0.1], 7, 2, 2).hotelling_lawley is not None


def test_correlation_of_one_is_certain():
    found = multivariate_tests([1.0, 0.1], 30, 2, 2)
    assert [test.pvalues[0] for test in (found.wilks, found.hotelling_lawley, found.roy)] == [0] * 3
    assert found.pillai.value[0] == pytest.approx(1.01)
    assert all(test.pvalues[1] > 0.05 for test in found)
