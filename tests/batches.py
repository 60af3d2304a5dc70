"""Two labelled views, learned in batches, and models that should be the same."""

import warnings

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

N = 90
NAMES = np.array(["calm", "glad", "sad", "wild"])


def data(seed=0, n=N):
    """Return X (n, 5), Y (n, 4), unbalanced classes and tags, and weights."""
    rng = np.random.default_rng(seed)
    y = np.minimum(rng.geometric(0.4, n), 4) - 1
    y[:4] = range(4)
    Z = rng.normal(size=(4, 3))[y] * 2 + rng.normal(size=(n, 3))
    X = Z @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5)) + 100
    Y = Z @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)) - 3
    tags = (rng.random((n, 5)) < 0.3).astype(int)
    tags[np.arange(n), rng.integers(0, 5, n)] = 1
    return X, Y, y, tags, rng.random(n) + 0.1


X, Y, y, TAGS, W = data()
COUNTS = np.bincount(y)
TOTALS = TAGS.sum(axis=0)


def batches(sizes=(40, 1, 30, 1, 18), order=None):
    """Split the rows in some order into batches of given sizes."""
    order = np.arange(N) if order is None else order
    return np.split(order, np.cumsum(sizes)[:-1])


def in_batches(model, parts, labels=None, weights=None, first=None, convert=lambda V: V):
    """Return a model fitted in batches; what their small beginnings warn of is not the law."""
    model = clone(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (UserWarning, LinAlgWarning))
        for i, rows in enumerate(parts):
            model.partial_fit(
                convert(X[rows]),
                convert(Y[rows]),
                None if labels is None else labels[rows],
                sample_weight=None if weights is None else weights[rows],
                **(first or {} if i == 0 else {}),
            )
    return model


def assert_same_model(a, b, *, weights=1e-8):
    np.testing.assert_allclose(a.correlations_, b.correlations_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(a.singular_values_, b.singular_values_, rtol=0, atol=1e-10)
    assert a.n_components_ == b.n_components_
    for side in "xy":
        for name in ("mean", "std", "loadings", "cross_loadings", "redundancy"):
            found, expected = (getattr(m, f"{side}_{name}_") for m in (a, b))
            assert type(found) is np.ndarray  # whatever the rows were
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
        found, expected = (getattr(m, f"{side}_weights_") for m in (a, b))
        np.testing.assert_allclose(found, expected, rtol=0, atol=weights)
        assert getattr(a, f"{side}_rank_") == getattr(b, f"{side}_rank_")
    assert hasattr(a, "classes_") == hasattr(b, "classes_")
    if hasattr(a, "classes_"):
        np.testing.assert_array_equal(a.classes_, b.classes_)
