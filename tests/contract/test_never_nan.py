"""Whatever the data and the settings, a deep fit ends with finite numbers or with a clear error."""

import warnings

import numpy as np
import pytest
from _data import two_views
from _models import SMALL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skcca import DCCA, SupervisedDCCA

LOSSES = ["trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"]
ESTIMATORS = [DCCA, SupervisedDCCA]
CLEAR = ("Nothing was fitted", "lower `learning_rate`", "no feature that varies")


def fitted(model, X, Y, y):
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


def hard(case):
    X, Y, y = two_views(60)
    if case == "constant columns":
        X, Y = np.hstack([X, np.ones((60, 2))]), np.hstack([Y, np.zeros((60, 3))])
    elif case == "duplicated rows":
        X, Y, y = X[np.arange(60) % 4], Y[np.arange(60) % 4], np.arange(60) % 4
    elif case == "identical views":
        Y = X
    elif case == "float16":
        X, Y = X.astype(np.float16), Y.astype(np.float16)
    elif case == "two precisions":
        X = X.astype(np.float32)
    elif case == "large and small":
        X, Y = 1e9 * X, 1e-9 * Y
    elif case == "outlier":
        X[0] *= 1e6
    elif case == "classes of one row":
        y = np.r_[np.arange(50), np.zeros(10, int)]
    return X, Y, y


CASES = [
    "constant columns",
    "duplicated rows",
    "identical views",
    "float16",
    "two precisions",
    "large and small",
    "outlier",
    "classes of one row",
]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_hard_data(case, loss, estimator):
    X, Y, y = hard(case)
    assert_finite(fitted(estimator(2, loss=loss, **SMALL), X, Y, y), X, Y)


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
    assert_finite(fitted(model, X, Y, y), X, Y)
