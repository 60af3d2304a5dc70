"""Directions from Cholesky factors against those from the eigenvectors of the kernels."""

import warnings

import numpy as np
import pytest
from scipy import linalg, sparse
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from skcca import KCCA, ClusterKCCA, kcca
from skcca._core.kernel_solver import dual_fit, dual_solver_applies
from skcca._core.kernels import CentredKernel
from skcca._core.pairs import Labels, Weights, cyclic_pairs, instance_pairs

N = 240


def two_views(n=N, seed=0):
    """Six shared directions of falling strength, so that no two components are alike."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 6)) * 0.7 ** np.arange(6)
    X = np.hstack([Z + 0.2 * rng.normal(size=Z.shape), rng.normal(size=(n, 2))])
    Y = np.hstack([np.tanh(Z) + 0.2 * rng.normal(size=Z.shape), rng.normal(size=(n, 1))])
    labels = np.minimum(rng.geometric(0.3, n), 5)
    tags = (rng.random((n, 5)) < 0.3).astype(int)
    tags[np.arange(n), rng.integers(5, size=n)] = 1
    return X, Y, labels, tags


X, Y, CLASSES, TAGS = two_views()
WEIGHTS = np.random.default_rng(1).integers(0, 4, N)
CASES = {
    "instance": (KCCA(3), {}),
    "instance, more of them": (KCCA(9), {}),
    "instance, weights": (KCCA(3), {"sample_weight": WEIGHTS}),
    "class": (ClusterKCCA(), {"labels": CLASSES}),
    "class, as many as asked for": (ClusterKCCA(2), {"labels": CLASSES}),
    "class, weights": (ClusterKCCA(), {"labels": CLASSES, "sample_weight": WEIGHTS}),
    "class, by row": (ClusterKCCA(pair_weight="row"), {"labels": CLASSES}),
    "tags": (ClusterKCCA(), {"labels": TAGS}),
    "sampled": (ClusterKCCA(3, pair_fraction=0.3, random_state=0), {"labels": CLASSES}),
    "blended": (ClusterKCCA(3, instance_weight=0.4), {"labels": CLASSES}),
    "blended tags": (ClusterKCCA(3, instance_weight=0.4), {"labels": TAGS}),
    "laplacian, linear": (KCCA(3, kernel=("laplacian", "linear")), {}),
    "polynomial": (KCCA(3, kernel="poly", degree=2), {}),
}


def eigenvectors_of(model, *data, **options):
    """Fit by the eigenvectors of the kernels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kcca, "dual_solver_applies", lambda *_: False)
        return model.fit(*data, **options)


def assert_same_fit(a, b, X, Y, tolerance=1e-6):
    assert a.n_components_ == b.n_components_
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-9)
    np.testing.assert_allclose(a.singular_values_, b.singular_values_, atol=1e-9)
    for mine, theirs in zip(a.transform(X, Y), b.transform(X, Y), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=tolerance)
    np.testing.assert_allclose(a.x_loadings_, b.x_loadings_, atol=tolerance)
    np.testing.assert_allclose(a.y_loadings_, b.y_loadings_, atol=tolerance)


def assert_both_solvers_agree(model, *data, rows=None, tolerance=1e-6, **options):
    """Fit by factors and by eigenvectors; return the former."""
    fits = (type(model).fit, eigenvectors_of)
    a, b = (fit(type(model)(**model.get_params()), *data, **options) for fit in fits)
    assert a.solver_ == "cholesky" != b.solver_
    assert_same_fit(a, b, *(rows or data), tolerance)
    return a


def clone(model, **parameters):
    return type(model)(**{**model.get_params(), "reg": 1e-2, **parameters})


@pytest.mark.parametrize("case", CASES)
def test_factors_and_eigenvectors_give_the_same_fit(case):
    model, options = CASES[case]
    assert_both_solvers_agree(clone(model), X, Y, **options)


@pytest.mark.parametrize("reg", [1e-4, 1.0, (1e-5, 1e-1)])
@pytest.mark.parametrize("case", ["instance", "class"])
def test_the_same_fit_over_the_range_of_ridges(case, reg):
    model, options = CASES[case]
    model = clone(model, reg=reg, gamma=0.02)
    assert_both_solvers_agree(model, X, Y, tolerance=1e-5, **options)


@pytest.mark.parametrize("case", ["instance", "class", "sampled", "blended"])
def test_repeated_rows_give_the_same_fit(case):
    model, options = CASES[case]
    rows = np.repeat(np.arange(60), 4)
    options = {name: values[rows] for name, values in options.items()}
    assert_both_solvers_agree(clone(model), X[rows], Y[rows], rows=(X, Y), **options)


@pytest.mark.parametrize("case", ["instance, weights", "class, weights", "blended"])
def test_precomputed_kernels_give_the_same_fit(case):
    model, options = CASES[case]
    K, L = (rbf_kernel(StandardScaler().fit_transform(V), gamma=0.1) for V in (X, Y))
    assert_both_solvers_agree(clone(model, kernel="precomputed"), K, L, **options)


def test_unpaired_views_of_unequal_length_give_the_same_fit():
    labels = CLASSES[:150], CLASSES
    for options in ({}, {"pairs_per_sample": 20, "random_state": 0, "n_components": 2}):
        model = ClusterKCCA(reg=1e-2, **options)
        assert_both_solvers_agree(model, X[:150], Y, rows=(X, Y), labels=labels)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pairing", ["instance", "cyclic"])
def test_singular_values_solve_the_weighted_dual_problem(pairing, weighted):
    """rho^2 = eig(H_x V H_y V'), each matrix from its definition."""
    n, rng = 100, np.random.default_rng(2)
    w = rng.uniform(0.2, 1, n) if weighted else np.ones(n)
    if pairing == "instance":
        pairs = instance_pairs(w)
    else:
        one_hot = sparse.csr_array(np.eye(5)[CLASSES[:n] - 1])
        labels = Labels(np.arange(5), one_hot, one_hot)
        pairs = cyclic_pairs(labels, Weights(w, w), rng, pair_fraction=0.5)
    W = pairs.dot(np.eye(n)) / pairs.total
    views, ridges, smooth, kernels = [], [], [], []
    for V, p in ((X[:n], W.sum(axis=1)), (Y[:n], W.sum(axis=0))):
        centre = np.eye(n) - np.outer(np.ones(n), p)
        kernels.append(centre @ rbf_kernel(V, gamma=0.1) @ centre.T)
        M = np.sqrt(p)[:, None] * kernels[-1] * np.sqrt(p)
        ridges.append(1e-2 * np.trace(M))
        smooth.append(M @ linalg.inv(M + ridges[-1] * np.eye(n)))
        views.append(CentredKernel(M.copy(), np.sqrt(p)))
    V = W / np.sqrt(np.outer(W.sum(axis=1), W.sum(axis=0)))
    expected = np.sqrt(np.sort(linalg.eigvals(smooth[0] @ V @ smooth[1] @ V.T).real)[::-1][:4])
    found = dual_fit(*views, ridges, pairs, 4)
    np.testing.assert_allclose(found.singular_values, expected, atol=1e-10)
    # The scores are those of the coefficients.
    np.testing.assert_allclose(kernels[0] @ found.x_coefficients, found.x_scores, atol=1e-9)
    np.testing.assert_allclose(kernels[1] @ found.y_coefficients, found.y_scores, atol=1e-9)


def polynomial_features(V, gamma, degree):
    """Return G with G G' = (gamma V V' + 1)^degree."""
    first = np.column_stack([np.sqrt(gamma) * V, np.ones(len(V))])
    G = first
    for _ in range(degree - 1):
        G = np.einsum("ij,ik->ijk", G, first).reshape(len(V), -1)
    return G


def canonical_correlations(G, F, reg, k):
    """Return correlations and ridge singular values from the SVD of both, without a kernel."""
    bases = []
    for V in (G, F):
        U, s, _ = linalg.svd((V - V.mean(axis=0)), full_matrices=False)
        bases.append(
            U[:, s > 1e-13 * s[0]] * (s / np.sqrt(s**2 + reg * np.sum(s**2)))[s > 1e-13 * s[0]]
        )
    A, s, Bt = linalg.svd(bases[0].T @ bases[1])
    U, V = bases[0] @ A[:, :k], bases[1] @ Bt[:k].T
    return np.sum(U * V, axis=0) / linalg.norm(U, axis=0) / linalg.norm(V, axis=0), s[:k]


@pytest.mark.parametrize("reg", [0.1, 1e-4])
@pytest.mark.parametrize("factor", [1, 30, 1e3, 1e5])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_row_that_dwarfs_the_others_takes_no_digits(degree, factor, reg):
    """The square of its size is beyond float64 in the kernel, not its size in the features."""
    rows = X[:60, :6].copy(), Y[:60, :6].copy()
    for V in rows:
        V[7] *= factor
    kernel = {"kernel": "poly", "degree": degree} if degree > 1 else {"kernel": "linear"}
    with warnings.catch_warnings():
        # Beyond the digits of the kernel itself, fewer are found, and it is said.
        warnings.filterwarnings("ignore", "KCCA: `n_components`=4, but the data support [23]")
        model = KCCA(4, reg=reg, **kernel).fit(*rows)
    assert model.n_components_ == 4 or factor**degree > 1e10
    scaled = [StandardScaler().fit_transform(V) for V in rows]
    if degree > 1:
        gammas = model.x_gamma_, model.y_gamma_
        scaled = [polynomial_features(V, g, degree) for V, g in zip(scaled, gammas, strict=True)]
    correlations, singular_values = canonical_correlations(*scaled, reg, model.n_components_)
    order = np.argsort(-model.singular_values_)
    np.testing.assert_allclose(model.singular_values_[order], singular_values, rtol=1e-4)
    # Of the variance of a variate, a thousandth may be rounding.
    np.testing.assert_allclose(model.correlations_[order], correlations, atol=1e-3)


@pytest.mark.parametrize(("unit", "y_unit"), [(1e-6, 1e-6), (2e-5, 1)])
def test_features_that_another_dwarfs_are_not_left_out(unit, y_unit):
    """Their share is beyond the rounding of a Cholesky factor with the ridge of the large one."""
    A, B = X[:, :4] * np.append(1, unit * np.ones(3)), Y[:, :4] * np.append(1, y_unit * np.ones(3))
    model = KCCA(3, kernel="linear", scale=False, reg=0.1).fit(A, B)
    correlations, _ = canonical_correlations(A, B, 0.1, 3)
    np.testing.assert_allclose(model.correlations_, np.sort(correlations)[::-1], atol=1e-3)


def test_only_the_directions_that_exist_are_found():
    """A linear kernel of three columns has three, and a constant class mean none."""
    model = KCCA(10, kernel=("linear", "rbf"), reg=1e-2)
    with pytest.warns(UserWarning, match="the data support 3") as caught:
        found = assert_both_solvers_agree(model, X[:, :3], Y)
    assert len(caught) == 2
    assert np.abs(found.x_weights_).max() < 1e3


def test_values_of_many_copies_are_not_missed():
    """Two levels of five factors: each value belongs to five directions at once."""
    levels = np.array(np.meshgrid(*[(-1.0, 1.0)] * 5)).reshape(5, -1).T
    design = np.repeat(levels, 8, axis=0)
    a = KCCA(7, reg=1e-2).fit(design, design)
    b = eigenvectors_of(KCCA(7, reg=1e-2), design, design)
    np.testing.assert_allclose(a.correlations_, 1, atol=1e-9)
    found, expected = np.sort(a.singular_values_), np.sort(b.singular_values_)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_kernel_that_tells_every_row_apart_has_any_directions():
    """Beside a narrow kernel, K = I, all directions are alike: those found are of unit variance."""
    model = KCCA(5, gamma=1e6, reg=1e-2).fit(X, Y)
    np.testing.assert_allclose(model.correlations_, 1, atol=1e-9)
    np.testing.assert_allclose(model.transform(X).var(axis=0), 1, atol=1e-6)


def test_memory_that_is_never_filled_is_never_read(monkeypatch):
    """Of repeated rows the Gram matrix of the space is singular: its eigenvectors are taken."""
    V = X[np.arange(N) % 4]
    expected = KCCA(2, reg=0.1).fit(V, Y)
    empty = np.empty

    def poisoned(*args, **options):
        memory = empty(*args, **options)
        memory.fill(np.nan if memory.dtype.kind == "f" else 0)
        return memory

    monkeypatch.setattr(np, "empty", poisoned)
    assert_same_fit(KCCA(2, reg=0.1).fit(V, Y), expected, V, Y, tolerance=1e-9)


def test_a_space_that_does_not_pay_gives_way_to_eigenvectors(monkeypatch):
    monkeypatch.setattr("skcca._core.kernel_solver._LARGEST_SPACE", 0.1)
    a, b = KCCA(3, reg=1e-2).fit(X, Y), eigenvectors_of(KCCA(3, reg=1e-2), X, Y)
    assert a.solver_ == b.solver_ != "cholesky"
    assert_same_fit(a, b, X, Y, tolerance=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [
        {"reg": 0.0},
        {"reg": (1e-2, 0.0)},
        {"reg": 1e-13},
        {"reg": 1e3},
        {"n_components": None},
        {"n_components": 100},
    ],
)
def test_eigenvectors_where_factors_do_not_serve(parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = KCCA(**{"n_components": 2, "reg": 1e-2, **parameters}).fit(X, Y)
    assert model.solver_ != "cholesky"


def test_indefinite_kernels_are_reported_however_small_the_negative_part():
    K = rbf_kernel(X, gamma=0.1)
    values, vectors = linalg.eigh(K)
    for least, warns in ((-1e-6, True), (0.0, False)):
        values[:3] = least * values[-1]
        indefinite = (vectors * values) @ vectors.T
        model = KCCA(2, kernel=("precomputed", "rbf"), reg=1e-2)
        if warns:
            with pytest.warns(UserWarning, match="not positive semi-definite"):
                model.fit(indefinite, Y)
        else:
            model.fit((indefinite + indefinite.T) / 2, Y)
        assert (model.solver_ != "cholesky") == warns


def test_fewer_components_are_those_of_the_largest_ridge_singular_values():
    few, more = KCCA(2, reg=1e-2).fit(X, Y), KCCA(4, reg=1e-2).fit(X, Y)
    largest = np.sort(more.singular_values_)[::-1]
    np.testing.assert_allclose(np.sort(few.singular_values_)[::-1], largest[:2], atol=1e-10)
    for k in range(2):
        place = np.argmin(np.abs(more.singular_values_ - few.singular_values_[k]))
        np.testing.assert_allclose(few.transform(X)[:, k], more.transform(X)[:, place], atol=1e-6)


def test_few_enough_components_or_classes_are_asked_for():
    pairs = instance_pairs(np.ones(50))
    assert [dual_solver_applies(pairs, n) for n in (5, 6, None)] == [True, False, False]


ALTERNATING, HALVES = np.tile([1.0, -1.0], 40)[:, None], np.repeat([1.0, -1.0], 40)[:, None]
UNRELATED = {  # each to the last digit
    "orthogonal": (KCCA(1), ALTERNATING, HALVES, None),
    "classes of one mean": (ClusterKCCA(), ALTERNATING, ALTERNATING, HALVES[:, 0]),
    "one set of tags": (ClusterKCCA(), ALTERNATING, ALTERNATING, np.ones((80, 2))),
    "other classes": (ClusterKCCA(), ALTERNATING, HALVES, 2 * ALTERNATING[:, 0] + HALVES[:, 0]),
}


@pytest.mark.parametrize("case", UNRELATED)
def test_views_that_have_nothing_in_common_have_no_direction(case):
    model, first, second, labels = UNRELATED[case]
    with pytest.raises(ValueError, match="no correlated direction"):
        model.set_params(kernel="linear", scale=False).fit(first, second, labels)
