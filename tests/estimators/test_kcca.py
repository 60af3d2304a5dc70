"""Kernel CCA against the linear case, its own dual, and materialised pairs."""

import pickle
import tracemalloc

import numpy as np
import pytest
from _data import two_views
from scipy import linalg
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import StandardScaler

from skcca import CCA, KCCA, ClusterKCCA, Views, kcca, retrieval_map
from skcca._core.kernels import default_gamma, median_distance

X, Y, y = two_views(80, n_classes=4)


def distances(X):
    return ((X[:, None] - X) ** 2).sum(axis=-1)


def centred(K):
    return K - K.mean(axis=0) - K.mean(axis=1)[:, None] + K.mean()


@pytest.mark.parametrize("kernel", ["rbf", "laplacian", "poly", "cosine", "sigmoid"])
def test_singular_values_solve_the_dual_problem(kernel):
    """rho^2 = eig(H_x H_y) with H = K (K + reg tr(K) I)^-1, from the definition."""
    X, Y, _ = two_views(40, n_classes=4)
    params = {"gamma": 0.05, "degree": 2, "coef0": 1}
    kernels = [
        centred(
            pairwise_kernels(
                StandardScaler().fit_transform(V), metric=kernel, filter_params=True, **params
            )
        )
        for V in (X, Y)
    ]
    H = []
    for K in kernels:
        values, vectors = linalg.eigh(K)
        values = np.maximum(values, 0)  # the sigmoid kernel is indefinite
        H.append((vectors * (values / (values + 1e-2 * values.sum()))) @ vectors.T)
    expected = np.sqrt(np.sort(np.abs(linalg.eigvals(H[0] @ H[1])))[::-1][:4])
    model = KCCA(n_components=4, kernel=kernel, reg=1e-2, **params)
    if kernel == "sigmoid":
        with pytest.warns(UserWarning, match="not positive semi-definite"):
            model.fit(X, Y)
    else:
        model.fit(X, Y)
    found = np.sort(model.singular_values_)[::-1]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("kernel", ["chi2", "additive_chi2"])
def test_histogram_kernels_are_those_of_the_unscaled_rows(kernel):
    A = np.abs(X)
    K = pairwise_kernels(A, metric=kernel, filter_params=True, gamma=0.1)
    options = {"scale": False, "gamma": 0.1, "reg": 1e-2}
    a = KCCA(2, kernel=(kernel, "rbf"), **options).fit(A, Y)
    b = KCCA(2, kernel=("precomputed", "rbf"), **options).fit(K, Y)
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-12)
    # The features of the rows decide the signs, and a precomputed kernel has none.
    np.testing.assert_allclose(np.abs(a.transform(A)), np.abs(b.transform(K)), atol=1e-10)


def test_callable_kernel_equals_its_name():
    X, Y, _ = two_views(30, n_classes=4)

    def rbf(a, b, *, width):
        return np.exp(-width * np.sum((a - b) ** 2))

    a = KCCA(2, kernel=rbf, kernel_params={"width": 0.1}, reg=1e-2).fit(X, Y)
    b = KCCA(2, kernel="rbf", gamma=0.1, reg=1e-2).fit(X, Y)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-10)


def test_precomputed_kernel_equals_its_name():
    Sx, Sy = (StandardScaler().fit_transform(V) for V in (X, Y))
    Kx, Ky = (
        pairwise_kernels(Sx, metric="rbf", gamma=0.1),
        pairwise_kernels(Sy, metric="rbf", gamma=0.2),
    )
    a = KCCA(2, kernel="precomputed").fit(Kx, Ky)
    b = KCCA(2, gamma=(0.1, 0.2)).fit(X, Y)
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-9)
    np.testing.assert_allclose(np.abs(a.transform(Kx[:5])), np.abs(b.transform(X[:5])), atol=1e-7)
    mixed = KCCA(2, kernel=("rbf", "precomputed"), gamma=0.1).fit(X, Ky)
    np.testing.assert_allclose(mixed.correlations_, b.correlations_, atol=1e-9)


def test_precomputed_kernels_cross_validate_as_views():
    Kx, Ky = (
        pairwise_kernels(X, metric="rbf", gamma=0.1),
        pairwise_kernels(Y, metric="rbf", gamma=0.2),
    )
    cv = KFold(3, shuffle=True, random_state=0)
    options = {
        "param_grid": {"reg": [1e-3, 1e-2]},
        "cv": cv,
        "scoring": retrieval_map,
        "error_score": "raise",
    }
    a = GridSearchCV(ClusterKCCA(kernel="precomputed"), **options).fit(Views(Kx, Ky), y)
    peer = ClusterKCCA(gamma=(0.1, 0.2), scale=False)
    b = GridSearchCV(peer, **options).fit(Views(X, Y), y)
    np.testing.assert_allclose(
        a.cv_results_["mean_test_score"], b.cv_results_["mean_test_score"], atol=1e-6
    )


def test_one_precomputed_kernel_does_not_cross_validate_and_says_so():
    """A splitter takes rows of a member, and of a kernel also columns if both members are such."""
    K = pairwise_kernels(StandardScaler().fit_transform(X), metric="rbf", gamma=0.1)
    search = GridSearchCV(
        KCCA(2, kernel=("precomputed", "rbf")), {"reg": [1e-2]}, cv=3, error_score="raise"
    )
    with pytest.raises(ValueError, match=r"precompute the kernels of both views.*Views\(K_x, K_y"):
        search.fit(Views(K, Y))
    # Outside of a search one of each is right.
    mixed = KCCA(2, kernel=("precomputed", "rbf"), gamma=0.1, reg=1e-2).fit(K[:60, :60], Y[:60])
    both = KCCA(2, gamma=0.1, reg=1e-2, scale=False).fit(
        StandardScaler().fit_transform(X)[:60], StandardScaler().fit_transform(Y[:60])
    )
    np.testing.assert_allclose(mixed.correlations_, both.correlations_, atol=1e-9)
    held_out = mixed.transform(K[60:, :60])
    expected = both.transform(StandardScaler().fit_transform(X)[60:])
    np.testing.assert_allclose(np.abs(held_out), np.abs(expected), atol=1e-7)


def test_fitted_gamma_is_that_of_the_kernel(monkeypatch):
    default = KCCA(2).fit(X, Y)
    given = KCCA(2, kernel=("rbf", "linear"), gamma=(default.x_gamma_, 1.0)).fit(X, Y)
    assert given.x_gamma_ == default.x_gamma_ > 0
    assert given.y_gamma_ is None
    np.testing.assert_allclose(
        KCCA(2).fit(X, Y, sample_weight=np.ones(80)).x_gamma_, given.x_gamma_
    )
    sampled = KCCA(2, approximation="nystroem", n_landmarks=20).fit(X, Y)
    assert sampled.x_gamma_ == pytest.approx(default.x_gamma_)
    monkeypatch.setattr(kcca, "_MEDIAN_ROWS", 60)
    of_some_rows = clone(sampled).set_params(random_state=0).fit(X, Y).x_gamma_
    assert 0 < abs(of_some_rows / default.x_gamma_ - 1) < 0.2


def test_median_of_many_distances_needs_no_sorting_of_them():
    """Beyond some rows a sample brackets the median; repeated values defeat the bracket."""
    rng = np.random.default_rng(0)
    for V in (rng.normal(size=(400, 3)), rng.integers(2, size=(400, 3)).astype(float)):
        squared, w = distances(V), rng.integers(1, 4, 400)
        repeated = np.repeat(np.repeat(squared, w, axis=0), w, axis=1)
        assert median_distance(squared, np.ones(400)) == np.median(squared)
        assert median_distance(squared, w.astype(float)) == np.median(repeated)


def test_median_does_not_depend_on_the_sample(monkeypatch):
    squared = distances(np.random.default_rng(0).normal(size=(60, 3)))
    middle = np.median(squared)
    for bracket in ((-1.0, middle / 2), (2 * middle, 1e9), (1e8, 1e9)):  # unlucky ones
        monkeypatch.setattr(np, "quantile", lambda *_, bracket=bracket: np.array(bracket))
        assert median_distance(squared, np.ones(60)) == middle


def test_default_gamma_is_one_over_the_median_squared_distance():
    X, _, _ = two_views(25, n_classes=4)
    squared = distances(X)
    assert default_gamma(squared, np.ones(25)) == pytest.approx(1 / np.median(squared))
    Y = np.random.default_rng(1).normal(size=(25, 2))
    width = 1 / np.median(distances(StandardScaler().fit_transform(X)))
    a, b = KCCA(2).fit(X, Y), KCCA(2, gamma=(width, None)).fit(X, Y)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-9)


def test_default_gamma_of_repeated_rows_falls_back_to_the_mean():
    X = np.repeat([[0.0], [1.0]], [9, 1], axis=0)
    with pytest.warns(UserWarning, match="mean squared distance"):
        assert default_gamma(distances(X), np.ones(10)) == pytest.approx(100 / 18)


@pytest.mark.parametrize("approximation", ["nystroem", "random_features"])
def test_approximations_come_near_the_exact_solution(approximation):
    X, _y = load_digits(return_X_y=True)
    left, right = X[:600, :32], X[:600, 32:]
    exact = KCCA(5, reg=1e-2).fit(left, right)
    model = KCCA(5, reg=1e-2, approximation=approximation, n_landmarks=800, random_state=0)
    model.fit(left, right)
    # Monte Carlo: 800 random features err by about 1/sqrt(800) in the kernel.
    np.testing.assert_allclose(model.correlations_, exact.correlations_, atol=0.03)


@pytest.mark.parametrize(
    ("approximation", "sampler"), [("nystroem", Nystroem), ("random_features", RBFSampler)]
)
def test_approximations_are_linear_in_the_features_that_sklearn_samples(approximation, sampler):
    w = np.random.default_rng(0).uniform(0.2, 1, 80)
    scaled = [
        StandardScaler().fit(V, sample_weight=w).transform(V) for V in (X, Y)
    ]  # what the kernel compares
    seed = int(np.random.default_rng(3).integers(2**31))
    G, F = (sampler(gamma=0.1, n_components=7, random_state=seed).fit_transform(V) for V in scaled)
    options = {"approximation": approximation, "n_landmarks": 7, "random_state": 3}
    a = KCCA(2, gamma=0.1, reg=1e-2, **options).fit(X, Y, sample_weight=w)
    # A fraction of the total variance of 7 features is 7 times that of their mean.
    b = CCA(2, scale=False, reg=7e-2).fit(G, F, sample_weight=w)
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-10)
    np.testing.assert_allclose(np.abs(a.transform(X)), np.abs(b.transform(G)), atol=1e-8)
    np.testing.assert_allclose(np.abs(a.transform_y(Y)), np.abs(b.transform_y(F)), atol=1e-8)


def test_projection_holds_a_block_of_kernel_rows_at_most():
    model = KCCA(3, reg=1e-2).fit(X, Y)
    rows = np.tile(X, (250, 1))  # 20,000 rows, whose kernel takes 12.2 MiB
    model.transform(rows[:100])
    with config_context(working_memory=1):
        tracemalloc.start()
        scores = model.transform(rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # The scaled rows, the scores as they are made and as they are shifted, and the block.
    assert peak < rows.nbytes + 2 * scores.nbytes + 2 * 2**20


@pytest.mark.parametrize(
    "parameters",
    [{}, {"n_components": 30}, {"kernel": "precomputed"}, {"approximation": "nystroem"}],
    ids=["factors", "eigenvectors", "precomputed", "nystroem"],
)
def test_fitted_models_keep_only_what_projects(parameters):
    """Beside the rows and the coefficients there is no room for a kernel, or for features."""
    X, Y, _ = two_views(200, n_classes=4)
    data = (X @ X.T, Y @ Y.T) if "kernel" in parameters else (X, Y)
    landmarks = {"n_landmarks": 10} if "approximation" in parameters else {}
    model = KCCA(**{"n_components": 3, "reg": 1e-2, **parameters, **landmarks}).fit(*data)
    pickled = pickle.dumps(model)
    fitted = model.x_weights_.nbytes + model.y_weights_.nbytes
    assert len(pickled) < X.nbytes + Y.nbytes + fitted + 20_000
    np.testing.assert_array_equal(
        pickle.loads(pickled).transform(data[0]), model.transform(data[0])
    )


def test_projection_does_not_depend_on_the_block_size():
    model = KCCA(3).fit(X, Y)
    with config_context(working_memory=0.005):
        small = model.transform(X)
    np.testing.assert_allclose(small, model.transform(X), atol=1e-12)
