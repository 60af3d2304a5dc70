"""CCA and ClusterCCA against other libraries, published values and materialised pairs.

What changes no answer, and what every answer is, stands in test_laws.py.
"""

import numpy as np
import pytest
from _data import two_views
from _oracles import assert_same_linear_model
from sklearn.cross_decomposition import CCA as SklearnCCA
from sklearn.datasets import load_digits, load_linnerud
from statsmodels.multivariate.cancorr import CanCorr

from skcca import CCA, CCACV, ClusterCCA, ClusterCCACV

X, Y, _ = two_views(200)


def test_linnerud_gives_the_published_correlations():
    data = load_linnerud()
    model = CCA().fit(data.data, data.target)
    np.testing.assert_allclose(model.correlations_, [0.7956, 0.2006, 0.0726], atol=5e-5)


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_matches_statsmodels(solver):
    peer = CanCorr(Y, X)
    model = CCA(solver=solver).fit(X, Y)
    np.testing.assert_allclose(model.correlations_, peer.cancorr, atol=1e-12)


def test_matches_sklearn_up_to_sign():
    # Their iteration stops on a difference of weights, so that few digits are theirs.
    peer = SklearnCCA(n_components=3, max_iter=10_000, tol=1e-14).fit(X, Y)
    U, V = peer.transform(X, Y)
    model = CCA(n_components=3).fit(X, Y)
    Z = model.transform(X)
    np.testing.assert_allclose(
        [np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True)],
        model.correlations_,
        atol=1e-6,
    )
    for k in range(3):
        assert abs(np.corrcoef(U[:, k], Z[:, k])[0, 1]) == pytest.approx(1, abs=1e-5)


def test_without_labels_warns_and_equals_cca():
    with pytest.warns(UserWarning, match="each row is its own class"):
        model = ClusterCCA().fit(X, Y)
    assert_same_linear_model(model, CCA(component_scaling="correlation").fit(X, Y))


def test_full_class_pairs_give_at_most_one_component_less_than_classes():
    X, Y, y = two_views(60, n_classes=4)
    assert ClusterCCA().fit(X, Y, y).n_components_ == len(np.unique(y)) - 1
    with pytest.warns(UserWarning, match="n_components_"):
        model = ClusterCCA(n_components=4).fit(X, Y, y)
    assert model.n_components_ == 3
    assert model.transform(X).shape == (60, 3)


def test_component_scaling_multiplies_by_the_correlation():
    X, Y, y = two_views(60, n_classes=4)
    unit = ClusterCCA(component_scaling="unit").fit(X, Y, y)
    scaled = ClusterCCA().fit(X, Y, y)
    np.testing.assert_allclose(
        scaled.transform_y(Y), unit.transform_y(Y) * unit.correlations_, atol=1e-12
    )


def test_ridge_pair_regularises_each_view_by_its_own():
    strong = CCA(reg=(0.0, 1e6)).fit(X, Y)
    np.testing.assert_allclose(
        CCA(reg=(0.0, 1e6)).fit(X, Y * 100).correlations_, strong.correlations_, atol=1e-12
    )
    assert strong.correlations_[0] < CCA().fit(X, Y).correlations_[0]


def test_scores_are_the_centred_view_times_the_weights():
    model = CCA().fit(X, Y)
    np.testing.assert_allclose(model.transform(X), (X - model.x_mean_) @ model.x_weights_)
    np.testing.assert_allclose(model.transform_y(Y), (Y - model.y_mean_) @ model.y_weights_)


def test_component_scaling_improves_retrieval_of_unseen_digits():
    """The reason for the default: an unreliable component should count less in a cosine."""
    from skcca.metrics import mean_average_precision_score

    X, y = load_digits(return_X_y=True)
    left, right = X[:, :32], X[:, 32:]
    found = {}
    for scaling in ("unit", "correlation"):
        model = ClusterCCA(component_scaling=scaling).fit(left[:900], right[:900], y[:900])
        found[scaling] = mean_average_precision_score(
            model.transform(left[900:]), model.transform_y(right[900:]), y[900:]
        )
    assert found["correlation"] > found["unit"]


# Correlations that mean nothing

RIDGED = {
    "ridge": CCA(reg=0.1),
    "large ridge": CCA(reg=100.0),
    "pair of ridges": CCA(2, reg=(0.1, 1.0), scale=False),
    "Ledoit-Wolf": CCA(reg="auto"),
    "classes": ClusterCCA(reg=0.1),
    "blend": ClusterCCA(reg=1.0, instance_weight=0.3),
    "search": CCACV(cv=3),
    "search, classes": ClusterCCACV([1, 2], cv=3),
}
SIZES = {"wide": (60, 300, 200), "wide and narrow": (60, 300, 4), "tall": (120, 119, 4)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", RIDGED)
def test_under_a_ridge_correlations_of_chance_are_called_so(name, size):
    rng, (n, *widths) = np.random.default_rng(1), SIZES[size]
    model, y = RIDGED[name], np.arange(n) % 4
    noise = [rng.normal(size=(n, d)) for d in widths]
    sources = 3 * rng.normal(size=(4, 2))[y] + rng.normal(size=(n, 2))
    related = [V + 2 * sources @ rng.normal(size=(2, V.shape[1])) for V in noise]
    model.fit(*related, labels=y)  # says nothing, since a warning is an error here
    with pytest.warns(UserWarning, match="correlations mean nothing") as caught:
        model.fit(*noise, labels=y)
    (message,) = [str(warning.message) for warning in caught]
    assert message.startswith(f"{type(model).__name__}: {n} rows with {widths[0]} + {widths[1]}")
    by_class = "Cluster" in type(model).__name__
    cures = "`score` on other rows", "permutation_test_" + "score" * by_class
    if not name.startswith("search"):
        cures += (f"({'Cluster' * by_class}CCACV chooses",)
    assert all(words in message for words in cures)
