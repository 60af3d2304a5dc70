"""Cases that went wrong once: each is a law at the edge of what numbers can hold."""

import warnings

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning

from skcca import CCA, KCCA, ClusterCCA
from skcca.inspection import bootstrap_loadings


def related(n=400, d_x=6, d_y=5, seed=0):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d_x)), rng.normal(size=(n, d_y))
    Y[:, :3] += X[:, :3]
    return X, Y


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


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_batches_refuse_values_whose_squares_leave_the_range(scale):
    X, Y = related()
    with pytest.raises(ValueError, match="range of float64"):
        CCA().partial_fit(X * scale, Y)


def test_a_batch_of_huge_weights_is_refused_and_leaves_no_trace():
    X, Y = related()
    model = CCA().partial_fit(X[:200], Y[:200])
    with pytest.raises(ValueError, match="weights up to 1e"):
        model.partial_fit(X[200:300], Y[200:300], sample_weight=np.full(100, 1e308))
    model.partial_fit(X[200:], Y[200:])
    np.testing.assert_allclose(model.correlations_, CCA().fit(X, Y).correlations_, atol=1e-12)


def test_an_interrupted_batch_leaves_no_half(monkeypatch):
    from skcca._core.rows import Rows

    X, Y = related()
    y = np.arange(400) % 3
    model = ClusterCCA(instance_weight=0.5).partial_fit(X[:200], Y[:200], y[:200])
    calls, sums = [], Rows.weighted_gram

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sums(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "weighted_gram", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X[200:], Y[200:], y[200:])
    model.partial_fit(X[200:], Y[200:], y[200:])
    expected = ClusterCCA(instance_weight=0.5).fit(X, Y, y)
    np.testing.assert_allclose(model.correlations_, expected.correlations_, atol=1e-12)


def test_a_prediction_out_of_range_is_an_error():
    X, Y = related()
    model = CCA().fit(X.astype(np.float32), Y * 1e50)
    with pytest.raises(ValueError, match="range of float32"), np.errstate(over="ignore"):
        model.predict(X.astype(np.float32))


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


def test_masked_weights_are_refused():
    X, Y = related()
    with pytest.raises(ValueError, match="`sample_weight` has masked entries"):
        CCA().fit(X, Y, sample_weight=np.ma.array(np.ones(400), mask=np.arange(400) == 3))


def test_bootstrap_intervals_of_biased_correlations_do_not_collapse():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 60, 10))
    Y[:, 0] = 0.6 * X[:, 0] + 0.8 * Y[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bootstrap_loadings(CCA(1), X, Y, n_bootstraps=100, random_state=0).correlations
    assert (found.high - found.low)[0] > 2 * found.standard_error[0]
    assert found.low[0] < found.estimate[0]
