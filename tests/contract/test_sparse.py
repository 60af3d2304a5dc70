"""Sparse views: the answers of dense ones, with implicit centring and no dense copy."""

import tracemalloc

import numpy as np
import pytest
from _data import counts
from _oracles import assert_same_linear_model as assert_same_model
from scipy import sparse

from skcca import CCA, DCCA, KCCA, ClusterCCA, ClusterKCCA
from skcca._core.rows import Rows, SparseRows, rows_of

N = 500
DENSITY = {"thin": 0.02, "dense in all but name": 0.4}
CONTAINERS = [
    sparse.csr_array,
    sparse.csc_array,
    sparse.coo_array,
    sparse.csr_matrix,
    sparse.coo_matrix,
    sparse.lil_array,
]


def data(density):
    y = np.random.default_rng(0).integers(0, 4, N)
    X, Y = counts(1, 30, density, y), counts(2, 20, density, y)
    Y[:, :5] += X[:, :5]
    return X, Y, y, np.random.default_rng(3).random(N) + 0.1


@pytest.mark.parametrize("density", DENSITY)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_and_every_mix_gives_the_same(container, density):
    X, Y, y, _ = data(DENSITY[density])
    for model, twin in ((CCA(3), CCA(3)), (ClusterCCA(), ClusterCCA())):
        twin.fit(X, Y, y)
        for views in ((container(X), container(Y)), (container(X), Y), (X, container(Y))):
            assert_same_model(model.fit(*views, y), twin)
            kept = views[0].copy()
            model.transform(*views)
            assert (kept != views[0]).sum() == 0  # the input stays as it was


@pytest.mark.parametrize("integers", [np.int64, np.int32, bool])
def test_counts_are_read_as_numbers(integers):
    X, Y, _, _ = data(0.02)
    X, Y = X.astype(integers), Y.astype(integers)
    twin = CCA().fit(X.astype(float), Y.astype(float))
    assert_same_model(CCA().fit(sparse.csr_array(X), sparse.csc_array(Y)), twin)


def test_explicit_zeros_and_entries_given_twice_change_nothing():
    X, Y, _, _ = data(0.02)
    S = sparse.csr_array(X)
    S.data[::3] = 0.0
    twin = CCA().fit(S.toarray(), Y)
    assert_same_model(CCA().fit(S, Y), twin)
    C = S.tocoo()
    double = sparse.coo_array(
        (np.r_[C.data / 2, C.data / 2], (np.r_[C.row, C.row], np.r_[C.col, C.col])), shape=C.shape
    )
    assert_same_model(CCA().fit(double, Y), twin)


@pytest.mark.parametrize("period", [1, 7], ids=["constant", "nearly constant"])
@pytest.mark.parametrize("mean", [1e3, 1e8])
def test_columns_far_from_zero_cost_no_digits(mean, period):
    X, Y, y, w = data(0.02)
    X = np.hstack([X, np.zeros((N, 200)), (mean + np.arange(N) % period)[:, None]])
    S = sparse.csr_array(X)
    assert S.nnz < 0.03 * X.size  # thin enough to stay sparse
    assert type(rows_of(S)) is Rows
    for model in (CCA(3), ClusterCCA()):
        expected = model.fit(X, Y, y, sample_weight=w).correlations_
        model.fit(S, sparse.csr_array(Y), y, sample_weight=w)
        np.testing.assert_allclose(model.correlations_, expected, rtol=0, atol=1e-9)
        assert (model.x_std_[-1] == 0) == (period == 1)
        assert (model.x_weights_[-1] == 0).all() == (period == 1)


def test_a_mean_of_many_spreads_is_centred():
    # The largest mean that is still centred implicitly, against the same rows made dense.
    rng = np.random.default_rng(0)
    X = np.zeros((N, 60))
    X[:, 0] = 25 + rng.normal(size=N)
    X[:, 1] = X[:, 0] + 25 * (rng.random(N) < 0.02)
    Y = X[:, :2] @ rng.normal(size=(2, 2)) + rng.normal(size=(N, 2))
    assert isinstance(rows_of(sparse.csr_array(X)), SparseRows) == (
        sparse.csr_array(X).nnz < 0.03 * X.size
    )
    expected = CCA().fit(X, Y)
    assert_same_model(CCA().fit(sparse.csr_array(X), Y), expected)


def test_zero_columns_have_no_weight():
    X, Y, _, _ = data(0.02)
    X[:, [0, 7]] = 0.0
    X[5, 7] = 3.0
    model = CCA().fit(sparse.csr_array(X), sparse.csr_array(Y))
    assert (model.x_weights_[0] == 0).all()
    assert (model.x_loadings_[0] == 0).all()
    assert (model.x_weights_[7] != 0).any()
    with pytest.raises(ValueError, match="no feature that varies"):
        CCA().fit(sparse.csr_array((N, 4)), Y)


@pytest.mark.parametrize("density", DENSITY)
def test_poor_conditioning_goes_to_the_data(density):
    X, Y, _, _ = data(DENSITY[density])
    noise = counts(5, 1, DENSITY[density], np.zeros(N, int))
    X = np.hstack([X, X[:, :1] + 1e-9 * noise])
    assert CCA(3).fit(X, Y).solver_ == "svd"
    for A, B in ((sparse.csr_array(X), Y), (sparse.csr_array(X), sparse.csr_array(Y))):
        model = CCA(3).fit(A, B)
        assert model.solver_ == "svd"
        assert model.x_rank_ == X.shape[1]
        np.testing.assert_allclose(model.correlations_, CCA(3).fit(X, Y).correlations_, atol=1e-9)


@pytest.mark.parametrize(
    "model",
    [KCCA(), ClusterKCCA(), KCCA(approximation="nystroem"), DCCA(max_epochs=1, device="cpu")],
    ids=str,
)
def test_other_feature_maps_refuse_sparse_views(model):
    X, Y, y, _ = data(0.02)
    for views in ((sparse.csr_array(X), Y), (X, sparse.csr_array(Y))):
        with pytest.raises(TypeError, match=r"[Ss]parse"):
            model.fit(*views, labels=y)


@pytest.mark.parametrize(
    ("model", "container"),
    [(CCA(2, reg=0.1), sparse.csc_array), (ClusterCCA(2, reg=0.1), sparse.csr_array)],
)
def test_a_thin_matrix_is_never_made_dense(model, container):
    rng = np.random.default_rng(0)
    n, d_x, d_y = 20_000, 2_000, 30
    S = container(sparse.random(n, d_x, density=0.005, random_state=rng))
    Y = (S @ rng.normal(size=(d_x, d_y))) + rng.normal(size=(n, d_y))
    y = rng.integers(0, 4, n)
    dense = n * d_x * 8
    # Three matrices of the features, the entries in their formats, and a block.
    bound = 3 * (d_x + d_y) ** 2 * 8 + 64 * 2**20
    assert bound < 0.6 * dense
    tracemalloc.start()
    model.fit(S, Y, y)
    model.transform(S)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bound, f"{peak / 2**20:.0f} MiB, bound {bound / 2**20:.0f}"
