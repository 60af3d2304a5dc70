"""Models that must equal one another: classes of one row, discriminants, kernels, all pairs."""

import numpy as np
import pytest
from _data import cases
from _oracles import assert_same_answer, fit, law
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skcca import CCA, KCCA, ClusterCCA, ClusterKCCA


@law
@pytest.mark.parametrize(
    ("by_class", "by_row"),
    [
        (ClusterCCA(component_scaling="unit", reg=0.1), CCA(reg=0.1)),
        (ClusterKCCA(2, component_scaling="unit", reg=1e-2), KCCA(2, reg=1e-2)),
    ],
)
@given(case=cases())
def test_unique_labels_equal_the_rows_own_pairs(by_class, by_row, case):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.2, 1, len(X))
    expected = fit(by_row, X, Y, None, sample_weight=w)
    # A pair of a row with itself weighs the square of the row.
    found = fit(by_class, X, Y, rng.permutation(len(X)), sample_weight=np.sqrt(w))
    assert_same_answer(expected, found, (X, Y))
    own = clone(by_class).set_params(instance_weight=1.0)
    assert_same_answer(expected, fit(own, X, Y, y, sample_weight=w), (X, Y))


@st.composite
def pairing(draw):
    """A rule that pairs rows with rows, and the matrix of weights that it stands for."""
    X, Y, y, rng = draw(cases()).views()
    n = len(X)
    beta = draw(st.sampled_from([0.0, 0.2]), label="instance_weight")
    rule = draw(st.sampled_from(["pair", "row"]), label="pair_weight")
    weighted = draw(st.booleans(), label="weighted")
    unpaired = beta == 0 and draw(st.booleans(), label="unpaired")
    other = y
    w = v = rng.uniform(0.2, 2, n) if weighted else np.ones(n)
    if unpaired:
        m = n - 3
        order = rng.permutation(n)[:m]
        order[:4] = np.arange(4)  # no class gets lost
        Y, other, v = Y[order], y[order], (v[order] * 0.7 if weighted else np.ones(m))
    W = w[:, None] * (y[:, None] == other) * v
    if rule == "row":
        n_x, n_y = np.bincount(y, w, 4), np.bincount(other, v, 4)
        W = W / np.sqrt(n_x * n_y)[y][:, None]
    if beta:
        W = beta * np.diag(w) / w.sum() + (1 - beta) * W / W.sum()
    labels = (y, other) if unpaired else y
    weights = ((w, v) if unpaired else w) if weighted else None
    return X, Y, labels, weights, {"instance_weight": beta, "pair_weight": rule}, W


@law
@pytest.mark.parametrize("reg", [0.0, 0.1])
@given(case=pairing())
def test_class_pairs_equal_materialised_pairs(reg, case):
    X, Y, labels, weights, rule, W = case
    i, j = np.nonzero(W)
    found = fit(ClusterCCA(reg=reg, **rule), X, Y, labels, sample_weight=weights)
    k = found.n_components_
    peer = clone(CCA(k, reg=reg, component_scaling="correlation"))
    peer.fit(X[i], Y[j], sample_weight=W[i, j])
    for name in ("correlations_", "x_mean_", "y_mean_", "x_loadings_", "y_loadings_"):
        np.testing.assert_allclose(getattr(found, name), getattr(peer, name), atol=1e-10)
    np.testing.assert_allclose(found.x_weights_, peer.x_weights_, atol=1e-9)
    np.testing.assert_allclose(found.y_weights_, peer.y_weights_, atol=1e-9)


@law
@given(case=pairing())
def test_class_pairs_of_kernels_equal_materialised_pairs(case):
    X, Y, labels, weights, rule, W = case
    i, j = np.nonzero(W)
    options = {"gamma": (0.1, 0.2), "reg": 1e-2, "component_scaling": "unit"}
    model = ClusterKCCA(2, **options, **rule)
    if not rule["instance_weight"]:
        model.set_params(n_components=1)
    found = fit(model, X, Y, labels, sample_weight=weights)
    peer = KCCA(found.n_components_, **options).fit(X[i], Y[j], sample_weight=W[i, j])
    np.testing.assert_allclose(found.correlations_, peer.correlations_, atol=1e-6)
    np.testing.assert_allclose(found.transform(X), peer.transform(X), atol=1e-4)
    np.testing.assert_allclose(found.transform_y(Y), peer.transform_y(Y), atol=1e-4)


def discriminants(X, y, w=None):
    """Return eigenvalues of the between-class in terms of the within-class scatter, and vectors."""
    w = np.ones(len(X)) if w is None else w
    X = X - w @ X / w.sum()
    means = np.stack([np.average(X[y == c], axis=0, weights=w[y == c]) for c in np.unique(y)])[y]
    values, vectors = linalg.eigh((w * means.T) @ means, (w * (X - means).T) @ (X - means))
    rank = min(len(np.unique(y)) - 1, X.shape[1])
    return values[::-1][:rank], vectors[:, ::-1][:, :rank]


@law
@pytest.mark.filterwarnings("ignore:.*`y` has rank:scipy.linalg.LinAlgWarning")
@given(case=cases())
def test_one_hot_view_gives_the_discriminants(case):
    X, _, y, _ = case.views()
    one_hot = np.eye(4)[y][:, np.unique(y)]
    model = fit(CCA(), X, one_hot, None)
    rho2 = model.correlations_**2
    values, vectors = discriminants(X, y)
    np.testing.assert_allclose(rho2 / (1 - rho2), values, rtol=1e-8)
    assert linalg.subspace_angles(model.x_weights_, vectors).max() < 1e-6
    peer = LinearDiscriminantAnalysis().fit(X, y).transform(X)
    Z = model.transform(X)
    for k in range(model.n_components_):
        assert abs(np.corrcoef(Z[:, k], peer[:, k])[0, 1]) == pytest.approx(1, abs=1e-9)


@law
@pytest.mark.parametrize("pair_weight", ["pair", "row"])
@given(case=cases(least=3))
def test_class_pairs_span_the_discriminants_of_each_view(pair_weight, case):
    """A row of a class of n meets n partners, unless a class weighs as its rows."""
    X, Y, y, _ = case.views()
    model = fit(ClusterCCA(pair_weight=pair_weight), X, Y, y)
    w = np.bincount(y)[y].astype(float) if pair_weight == "pair" else None
    for V, weights in ((X, model.x_weights_), (Y, model.y_weights_)):
        assert linalg.subspace_angles(weights, discriminants(V, y, w)[1]).max() < 1e-6
        if w is None:
            scalings = LinearDiscriminantAnalysis().fit(V, y).scalings_
            assert linalg.subspace_angles(weights, scalings).max() < 1e-6


@law
@pytest.mark.parametrize("reg", [0.0, 1e-2])
@pytest.mark.parametrize("n_components", [None, 1])
@given(case=cases())
def test_linear_kernel_equals_the_linear_model(n_components, reg, case):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.2, 1, len(X))
    # The kernel's ridge is a fraction of the total variance, the linear one of the mean variance.
    ridge = (reg * X.shape[1], reg * Y.shape[1])
    for kernel_model, linear_model in (
        (KCCA(n_components, kernel="linear", reg=reg), CCA(n_components, reg=ridge)),
        (ClusterKCCA(n_components, kernel="linear", reg=reg), ClusterCCA(n_components, reg=ridge)),
    ):
        a = fit(kernel_model, X, Y, y, sample_weight=w)
        b = fit(linear_model, X, Y, y, sample_weight=w)
        assert_same_answer(a, b, (X, Y))
        np.testing.assert_allclose(a.x_loadings_, b.x_loadings_, atol=1e-5)


@law
@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "poly"])
@given(case=cases())
def test_nystroem_with_all_landmarks_is_exact(kernel, case):
    X, Y, y, rng = case.views()
    w = rng.uniform(0.2, 1, len(X))
    sampled = {"approximation": "nystroem", "n_landmarks": len(X), "random_state": 0}
    options = {"kernel": kernel, "gamma": 0.05, "degree": 2, "reg": 1e-2}
    for model in (KCCA(2, **options), ClusterKCCA(1, **options)):
        a = fit(model, X, Y, y, sample_weight=w)
        b = clone(model).set_params(**sampled).fit(X, Y, y, sample_weight=w)
        assert_same_answer(a, b, (X, Y))
