"""CCA and ClusterCCA against other libraries, published values and materialised pairs.

What changes no answer, and what every answer is, stands in test_laws.py.
"""

import numpy as np
import pytest
from scipy.linalg import LinAlgWarning
from sklearn.cross_decomposition import CCA as SklearnCCA
from sklearn.datasets import load_digits, load_linnerud
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from statsmodels.multivariate.cancorr import CanCorr

from skcca import CCA, ClusterCCA


def two_views(n=200, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 3))
    X = Z @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5))
    Y = Z @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4))
    return X, Y


def unbalanced(n=60, seed=0):
    X, Y = two_views(n, seed)
    return X, Y, np.minimum(np.random.default_rng(seed).geometric(0.4, n), 4)


def materialise(labels_x, labels_y):
    return np.nonzero(np.asarray(labels_x)[:, None] == np.asarray(labels_y))


def assert_same_model(a, b, *, atol=1e-10):
    """Same correlations, loadings and weights up to the scale of a component."""
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=atol)
    np.testing.assert_allclose(a.x_loadings_, b.x_loadings_, atol=atol)
    np.testing.assert_allclose(a.y_loadings_, b.y_loadings_, atol=atol)
    np.testing.assert_allclose(a.x_mean_, b.x_mean_, atol=atol)

    def unit(model):
        scaled = model.component_scaling == "correlation"
        return model.x_weights_ / (model.correlations_ if scaled else 1)

    np.testing.assert_allclose(unit(a), unit(b), atol=atol)


def test_linnerud_gives_the_published_correlations():
    data = load_linnerud()
    model = CCA().fit(data.data, data.target)
    np.testing.assert_allclose(model.correlations_, [0.7956, 0.2006, 0.0726], atol=5e-5)


@pytest.mark.parametrize("solver", ["covariance", "svd"])
def test_matches_statsmodels(solver):
    X, Y = two_views()
    peer = CanCorr(Y, X)
    model = CCA(solver=solver).fit(X, Y)
    np.testing.assert_allclose(model.correlations_, peer.cancorr, atol=1e-12)


def test_matches_sklearn_up_to_sign():
    X, Y = two_views()
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


def test_unique_labels_equal_cca():
    X, Y = two_views()
    assert_same_model(ClusterCCA().fit(X, Y, np.arange(len(X))), CCA().fit(X, Y))


def test_without_labels_warns_and_equals_cca():
    X, Y = two_views()
    with pytest.warns(UserWarning, match="each row is its own class"):
        model = ClusterCCA().fit(X, Y)
    assert_same_model(model, CCA().fit(X, Y))
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("reg", [0.0, 0.2])
def test_class_pairs_equal_materialised_pairs(reg):
    X, Y, y = unbalanced()
    i, j = materialise(y, y)
    model = ClusterCCA(reg=reg).fit(X, Y, y)
    assert_same_model(model, CCA(n_components=3, reg=reg).fit(X[i], Y[j]))


def test_unpaired_classes_equal_materialised_pairs():
    X, Y, y = unbalanced()
    other = y[::-1][:35]
    i, j = materialise(y, other)
    model = ClusterCCA().fit(X, Y[:35], labels=(y, other))
    assert_same_model(model, CCA(n_components=3).fit(X[i], Y[j]))


def test_row_weighted_classes_equal_weighted_materialised_pairs():
    X, Y, y = unbalanced()
    i, j = materialise(y, y)
    w = 1 / np.bincount(y)[y[i]]
    peer = CCA(n_components=3).fit(X[i], Y[j], sample_weight=w)
    assert_same_model(ClusterCCA(pair_weight="row").fit(X, Y, y), peer)


def test_blended_pairs_equal_materialised_pairs():
    X, Y, y = unbalanced()
    i, j = materialise(y, y)
    rows = np.arange(len(X))
    w = np.concatenate([np.full(len(X), 0.3 / len(X)), np.full(len(i), 0.7 / len(i))])
    peer = CCA().fit(X[np.r_[rows, i]], Y[np.r_[rows, j]], sample_weight=w)
    assert_same_model(ClusterCCA(instance_weight=0.3).fit(X, Y, y), peer)


def test_sampled_pairs_equal_materialised_pairs():
    X, Y, y = unbalanced()
    from skcca._core.pairs import Pairing, Weights
    from skcca.views._labels import encode_labels

    ones = np.ones(len(X))
    rule = Pairing(pair_fraction=0.5)
    pairs = rule(encode_labels(y, 60, 60, "t"), Weights(ones, ones), np.random.default_rng(3))
    i, j = np.nonzero(pairs.dot(np.eye(60)) > 0.5)
    assert len(i) < len(materialise(y, y)[0])
    model = ClusterCCA(pair_fraction=0.5, random_state=3).fit(X, Y, y)
    assert_same_model(model, CCA().fit(X[i], Y[j]))


def test_tags_equal_materialised_pairs():
    X, Y, _ = unbalanced()
    L = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(int)
    L[0] = 1
    shared = L @ L.T
    i, j = np.nonzero(shared)
    assert not L.any(axis=1).all()  # rows without a tag take no part, and are reported
    with pytest.warns(UserWarning, match="share no class"):
        model = ClusterCCA().fit(X, Y, L)
    assert model.n_components_ == 2
    peer = CCA(n_components=2).fit(X[i], Y[j], sample_weight=shared[i, j])
    assert_same_model(model, peer)


def test_one_hot_view_spans_the_discriminants():
    X, _, y = unbalanced()
    one_hot = (y[:, None] == np.unique(y)).astype(float)
    with pytest.warns(LinAlgWarning, match="`y` has rank 3 with 4 features"):
        Z = CCA(n_components=3).fit(X, one_hot).transform(X)
    peer = LinearDiscriminantAnalysis().fit(X, y).transform(X)
    for k in range(3):
        assert abs(np.corrcoef(Z[:, k], peer[:, k])[0, 1]) == pytest.approx(1, abs=1e-6)


def test_full_class_pairs_give_at_most_one_component_less_than_classes():
    X, Y, y = unbalanced()
    assert ClusterCCA().fit(X, Y, y).n_components_ == len(np.unique(y)) - 1
    with pytest.warns(UserWarning, match="n_components_"):
        model = ClusterCCA(n_components=4).fit(X, Y, y)
    assert model.n_components_ == 3
    assert model.transform(X).shape == (60, 3)


def test_more_components_than_the_rank_warns():
    X, Y = two_views()
    with pytest.warns(UserWarning, match="the data support 4"):
        assert CCA(n_components=9).fit(X, Y).n_components_ == 4


def test_component_scaling_multiplies_by_the_correlation():
    X, Y, y = unbalanced()
    unit = ClusterCCA(component_scaling="unit").fit(X, Y, y)
    scaled = ClusterCCA().fit(X, Y, y)
    np.testing.assert_allclose(
        scaled.transform_y(Y), unit.transform_y(Y) * unit.correlations_, atol=1e-12
    )


@pytest.mark.parametrize("reg", [0.0, 0.3, (0.1, 0.5), "auto"])
def test_training_variates_have_unit_variance(reg):
    X, Y = two_views()
    U, V = CCA(reg=reg).fit(X, Y).transform(X, Y)
    np.testing.assert_allclose([U.var(axis=0), V.var(axis=0)], 1)


def test_ridge_pair_regularises_each_view_by_its_own():
    X, Y = two_views()
    strong = CCA(reg=(0.0, 1e6)).fit(X, Y)
    np.testing.assert_allclose(
        CCA(reg=(0.0, 1e6)).fit(X, Y * 100).correlations_, strong.correlations_, atol=1e-12
    )
    assert strong.correlations_[0] < CCA().fit(X, Y).correlations_[0]


def test_auto_ridge_is_that_of_ledoit_and_wolf():
    from sklearn.covariance import ledoit_wolf_shrinkage
    from sklearn.preprocessing import StandardScaler

    X, Y = two_views(30)
    s, t = (ledoit_wolf_shrinkage(StandardScaler().fit_transform(V)) for V in (X, Y))
    peer = CCA(reg=(s / (1 - s), t / (1 - t))).fit(X, Y)
    assert_same_model(CCA(reg="auto").fit(X, Y), peer)


def test_scores_are_the_centred_view_times_the_weights():
    X, Y = two_views()
    model = CCA().fit(X, Y)
    np.testing.assert_allclose(model.transform(X), (X - model.x_mean_) @ model.x_weights_)
    np.testing.assert_allclose(model.transform_y(Y), (Y - model.y_mean_) @ model.y_weights_)


def test_score_is_the_sum_of_held_out_correlations():
    X, Y = two_views()
    model = CCA(n_components=2).fit(X[:100], Y[:100])
    U, V = model.transform(X[100:], Y[100:])
    expected = sum(np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True))
    assert model.score(X[100:], Y[100:]) == pytest.approx(expected)
    assert model.score(X[:100], Y[:100]) == pytest.approx(model.correlations_.sum())


def test_labelled_score_correlates_over_class_pairs():
    X, Y, y = unbalanced()
    model = ClusterCCA().fit(X, Y, y)
    assert model.score(X, Y, labels=y) == pytest.approx(model.correlations_.sum())
    for n, labels in ((60, y), (30, (y, y[:30]))):
        i, j = materialise(y, y[:n])
        U, V = model.transform(X)[i], model.transform_y(Y)[j]
        expected = sum(np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True))
        assert model.score(X, Y[:n], labels=labels) == pytest.approx(expected)


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
