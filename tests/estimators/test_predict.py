"""Prediction both ways, and the shares of variance, against least squares over the pairs."""

import warnings

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from scipy.linalg import LinAlgWarning
from sklearn.datasets import load_linnerud

from skcca import CCA, ClusterCCA, Views
from skcca._core.pairs import Weights
from skcca.views._labels import encode_labels

N = 120
MODELS = {
    "plain": CCA(),
    "two components": CCA(2),
    "ridge": CCA(2, reg=0.5),
    "ridge on one view, unscaled": CCA(3, reg=(0.0, 2.0), scale=False),
    "by correlation": CCA(component_scaling="correlation", reg=0.1),
    "svd": CCA(3, solver="svd", reg=0.1),
    "class pairs": ClusterCCA(),
    "class pairs with a ridge": ClusterCCA(2, reg=0.3),
    "blend": ClusterCCA(instance_weight=0.4, reg=0.1),
    "sampled": ClusterCCA(pair_fraction=0.5, random_state=0),
    "classes as rows": ClusterCCA(pair_weight="row", component_scaling="unit"),
}


X, Y, LABELS = two_views(N, n_classes=4)
X, Y = X * [1, 10, 0.1, 3, 1] + 20, Y * [1e-3, 1, 50, 2] - 7
W = np.random.default_rng(1).random(N) + 0.1


def pairs_of(model, w):
    """Return rows i, j and weight of every pair, from the definition."""
    if not isinstance(model, ClusterCCA):
        return np.arange(N), np.arange(N), w
    same = (LABELS[:, None] == LABELS).astype(float)
    if model.pair_fraction < 1:  # the partners are those that the model draws
        labels = encode_labels(LABELS, N, N, "test")
        rng = np.random.default_rng(model.random_state)
        drawn = model._pairing()(labels, Weights(w, w), rng).dot(np.eye(N))
        i, j = np.nonzero(drawn)
        return i, j, drawn[i, j]
    weight = same * np.outer(w, w)
    if model.pair_weight == "row":
        weight /= (same @ w)[:, None]
    weight /= weight.sum()
    weight = model.instance_weight * np.diag(w) / w.sum() + (1 - model.instance_weight) * weight
    i, j = np.nonzero(weight)
    return i, j, weight[i, j]


def least_squares(scores, target, weight):
    """Return coefficients with an intercept of target on scores, by weighted lstsq."""
    root = np.sqrt(weight)[:, None]
    A = np.hstack([scores, np.ones((len(scores), 1))])
    return np.linalg.lstsq(A * root, target * root, rcond=None)[0]


def applied(coefficients, scores):
    return scores @ coefficients[:-1] + coefficients[-1]


def correlation(A, B, weight):
    weight = weight / weight.sum()
    A, B = A - weight @ A, B - weight @ B
    scale = np.sqrt(np.outer(weight @ A**2, weight @ B**2))
    return np.divide(A.T @ (weight[:, None] * B), scale, out=np.zeros(scale.shape), where=scale > 0)


@pytest.mark.parametrize("weights", [None, W], ids=["equal", "weighted"])
@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_least_squares_from_the_scores_over_the_pairs(name, weights):
    model = MODELS[name]
    i, j, weight = pairs_of(model, np.ones(N) if weights is None else weights)
    model.fit(X, Y, LABELS, sample_weight=weights)
    U, V = model.transform(X, Y)
    std_x, std_y = model.x_std_, model.y_std_
    for found, scores, source, target, std in (
        (model.predict(X), U, U[i], Y[j], std_y),
        (model.predict_x(Y), V, V[j], X[i], std_x),
        (model.inverse_transform(U), U, U[i], X[i], std_x),
        (model.inverse_transform(U, V)[1], V, V[j], Y[j], std_y),
    ):
        expected = applied(least_squares(source, target, weight), scores)
        np.testing.assert_allclose(found / std, expected / std, rtol=0, atol=1e-8)


@pytest.mark.parametrize("weights", [None, W], ids=["equal", "weighted"])
@pytest.mark.parametrize("name", MODELS)
def test_loadings_and_shares_equal_their_definitions(name, weights):
    model = MODELS[name]
    i, j, weight = pairs_of(model, np.ones(N) if weights is None else weights)
    A, B = (np.insert(V, 1, 3.0, axis=1) for V in (X, Y))  # a constant column counts nowhere
    model.fit(A, B, LABELS, sample_weight=weights)
    U, V = model.transform(A, B)
    for side, own, scores, other in (("x", A[i], U[i], V[j]), ("y", B[j], V[j], U[i])):
        for loadings, share, Z in (
            ("loadings", "explained_variance_ratio", scores),
            ("cross_loadings", "redundancy", other),
        ):
            expected = correlation(own, Z, weight)
            np.testing.assert_allclose(getattr(model, f"{side}_{loadings}_"), expected, atol=1e-9)
            expected = (np.delete(expected, 1, axis=0) ** 2).mean(axis=0)
            np.testing.assert_allclose(getattr(model, f"{side}_{share}_"), expected, atol=1e-9)


def test_linnerud_gives_the_published_redundancy():
    # SAS/STAT User's Guide, PROC CANCORR, fitness club data: "Canonical Redundancy Analysis".
    data = load_linnerud()
    model = CCA().fit(data.target, data.data)
    measured = (
        model.x_explained_variance_ratio_,
        model.x_redundancy_,
        model.y_explained_variance_ratio_,
        model.y_redundancy_,
    )
    published = (
        [0.4508, 0.2470, 0.3022],
        [0.2854, 0.0099, 0.0016],
        [0.4081, 0.4345, 0.1574],
        [0.2584, 0.0175, 0.0008],
    )
    for found, expected in zip(measured, published, strict=True):
        np.testing.assert_allclose(found, expected, atol=5.1e-5)


@pytest.mark.parametrize("reg", [0.0, 0.5])
@pytest.mark.parametrize("scaling", ["unit", "correlation"])
def test_inverse_transform_of_all_components_undoes_transform(scaling, reg):
    model = CCA(reg=reg, component_scaling=scaling).fit(X[:, :4], Y)
    U, V = model.transform(X[:, :4], Y)
    A, B = model.inverse_transform(U, V)
    np.testing.assert_allclose(A, X[:, :4], rtol=1e-9)
    np.testing.assert_allclose(B, Y, rtol=1e-8, atol=1e-8)
    views = model.inverse_transform(Views(first=U, second=None))
    assert views.names == ("first", "second")
    np.testing.assert_array_equal(views["first"], A)
    assert views["second"] is None


def test_all_components_predict_as_multivariate_regression():
    model = CCA().fit(X, Y)
    expected = applied(least_squares(X, Y, np.ones(N)), X)
    np.testing.assert_allclose(model.predict(X) / Y.std(0), expected / Y.std(0), atol=1e-10)


def test_constant_columns_are_predicted_by_their_value():
    A, B = X.copy(), Y.copy()
    A[:, 2], B[:, 0] = 5.0, -1.0
    model = CCA(reg=0.1).fit(A, B)
    assert (model.predict(A + 1)[:, 0] == -1.0).all()
    assert (model.predict_x(B + 1)[:, 2] == 5.0).all()
    assert (model.inverse_transform(model.transform(A))[:, 2] == 5.0).all()


@pytest.mark.parametrize("model", [CCA(), CCA(2, reg=0.1)])
def test_collinear_columns_are_predicted_alike(model):
    A = np.hstack([X, X[:, :1] * 3 + 1])
    B = np.hstack([Y, -Y[:, :1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # of the ranks without a ridge
        model.fit(A, B)
    found = model.predict(A)
    np.testing.assert_allclose(found[:, -1], -found[:, 0], rtol=1e-7)
    back = model.predict_x(B)
    np.testing.assert_allclose(back[:, -1], back[:, 0] * 3 + 1, rtol=1e-7)
    if model.reg == 0:
        np.testing.assert_allclose(found[:, :-1], CCA().fit(X, Y).predict(X), rtol=1e-6)


@pytest.mark.parametrize("model", [CCA(), ClusterCCA()])
def test_a_second_view_of_one_dimension_is_predicted_in_one_dimension(model):
    flat = model.fit(X, Y[:, 1], LABELS)
    found = flat.predict(X)
    assert found.shape == (N,)
    assert flat.predict_x(Y[:, 1]).shape == X.shape
    column = model.fit(X, Y[:, [1]], LABELS)
    assert column.predict(X).shape == (N, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], found)


def test_frames_and_views_predict_as_arrays():
    A = pd.DataFrame(X, columns=list("abcde"))
    B = pd.DataFrame(Y, columns=list("pqrs"))
    plain, model = CCA(2).fit(X, Y), CCA(2).fit(A, B)
    np.testing.assert_allclose(model.predict(A), plain.predict(X), rtol=1e-10)
    np.testing.assert_allclose(model.predict_x(B), plain.predict_x(Y), rtol=1e-10)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(A[list("edcba")])
    with pytest.raises(ValueError, match="columns of `y`"):
        model.predict_x(B[list("srqp")])
    model = CCA(2).fit(Views(A, B))
    np.testing.assert_allclose(model.predict(Views(A, None)), plain.predict(X), rtol=1e-10)
    np.testing.assert_allclose(model.predict_x(Views(None, B)), plain.predict_x(Y), rtol=1e-10)
    np.testing.assert_allclose(model.predict(Views(A, B)), plain.predict(X), rtol=1e-10)
    with pytest.raises(ValueError, match="predict needs the first view"):
        model.predict(Views(None, B))
    with pytest.raises(ValueError, match="predict_x needs the second view"):
        model.predict_x(Views(A, None))


def test_scores_in_any_container_go_back():
    model = CCA(2).fit(X, Y)
    U = model.transform(X)
    expected = model.inverse_transform(U)
    framed = CCA(2).set_output(transform="pandas").fit(X, Y)
    np.testing.assert_array_equal(framed.inverse_transform(framed.transform(X)), expected)
    np.testing.assert_array_equal(model.inverse_transform(U.tolist()), expected)
    np.testing.assert_array_equal(model.inverse_transform(Views(U, U))[:3]["view0"], expected[:3])
