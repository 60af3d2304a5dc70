"""Products of rows by blocks against the dense formula, and what they may copy."""

import tracemalloc

import numpy as np
import pytest
from _models import array_api_dispatch
from scipy import sparse

import skcca._core.arrays
from skcca import CCA, ClusterCCA
from skcca._core.arrays import block_rows
from skcca._core.rows import MappedRows, NamespaceRows, Rows, SparseRows, rows_of

torch = pytest.importorskip("torch")
da = pytest.importorskip("dask.array")

N, D = 137, 6
WEIGHTS = {
    "uniform": np.broadcast_to(1.0, N),
    "equal": np.full(N, 0.25),
    "random": np.random.default_rng(0).random(N),
    "zeros": np.where(np.arange(N) % 3, 2.0, 0.0),
}
CHUNKS = ((40, 1, 90, 6), (2, 4))


@pytest.fixture(params=[1, 60])
def small_blocks(request, monkeypatch):
    """Cut the rows into many blocks, or into a few of which the last is shorter."""
    monkeypatch.setattr(block_rows, "__defaults__", (request.param,))
    # Sparse blocks are not limited in rows but in entries, of which there is one a row at least.
    monkeypatch.setattr(skcca._core.arrays, "_BLOCK_NUMBERS", 8 * request.param)
    return request.param


def view(seed=0, d=D, mean=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, d)) * np.arange(1, d + 1) + mean


def thin(seed=0, d=D):
    return sparse.csr_array(sparse.random(N, d, density=0.2, random_state=seed))


def with_ones(V):
    V = V.toarray() if sparse.issparse(V) else np.asarray(V, dtype=float)
    return np.hstack([V, np.ones((len(V), 1))])


def shifted(V, rows):
    return with_ones(V) - np.append(rows.shift, 0.0)


def stored(kind, V):
    """Return a 2-D view as it is kept, and its rows."""
    if kind == "numpy":
        return Rows([V], [V[:5].mean(axis=0)])
    if kind == "mapped":
        # The map of an identity must be the rows themselves.
        return MappedRows(V, V[:5].mean(axis=0), lambda block: block.copy())
    if kind == "sparse":
        return SparseRows(sparse.csr_array(V))
    if kind == "sparse in blocks":
        return Rows([sparse.csr_array(V)], [V[:5].mean(axis=0)])
    if kind == "torch":
        return NamespaceRows([torch.tensor(V)], [V[:5].mean(axis=0)])
    if kind == "dask":
        return rows_of(da.from_array(V, chunks=(CHUNKS[0], (2, V.shape[1] - 2))))
    chunks = da.from_array(V, chunks=(CHUNKS[0], -1)).map_blocks(sparse.csr_matrix)
    return rows_of(chunks)


KINDS = ["numpy", "mapped", "sparse", "sparse in blocks", "torch", "dask", "dask of sparse"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.usefixtures("small_blocks")
def test_every_product_equals_the_dense_formula(kind, weights):
    V, U, w = view(), view(1, 4, mean=-50.0), WEIGHTS[weights]
    F = np.random.default_rng(2).random((N, 3))
    with array_api_dispatch(on=kind == "torch"):
        rows, other = stored(kind, V), stored(kind, U)
        full, right = shifted(V, rows), shifted(U, other)
        assert len(rows) == N
        expected = full.T @ (w[:, None] * full)
        for factor in (None, F, sparse.csr_array(F)):
            gram, combined = rows.weighted_gram(w, factor)
            np.testing.assert_allclose(gram, expected, rtol=1e-12, atol=1e-9)
            if factor is None:
                assert combined is None
                continue
            assert type(gram) is type(combined) is np.ndarray
            np.testing.assert_allclose(combined, F.T @ full, rtol=1e-12, atol=1e-10)
            np.testing.assert_allclose(
                rows.factor_product(factor), F.T @ full, rtol=1e-12, atol=1e-10
            )
        np.testing.assert_allclose(
            rows.cross(w, other), full.T @ (w[:, None] * right), rtol=1e-12, atol=1e-9
        )
        if "dask" in kind:
            with pytest.raises(ValueError, match="Sampled pairs"):
                rows.columns(slice(0, 2))
        else:
            for chosen in (slice(1, 3), slice(5, 9)):
                np.testing.assert_allclose(rows.columns(chosen), full[:, chosen], atol=1e-12)


@pytest.mark.parametrize("kind", ["numpy", "sparse in blocks", "torch", "dask", "dask of sparse"])
@pytest.mark.usefixtures("small_blocks")
def test_views_side_by_side_equal_one_wide_view(kind):
    V, U, w = view(), view(1, 4, mean=-50.0), WEIGHTS["random"]
    with array_api_dispatch(on=kind == "torch"):
        x, y = stored(kind, V), stored(kind, U)
        joint = x.hstack(y)
        full = np.hstack([shifted(V, x)[:, :-1], shifted(U, y)])
        np.testing.assert_allclose(
            joint.weighted_gram(w)[0], full.T @ (w[:, None] * full), rtol=1e-12, atol=1e-9
        )
        assert joint.shift.tolist() == [*x.shift, *y.shift]


def test_views_that_are_kept_apart_do_not_stand_side_by_side():
    V = view()
    assert Rows([V], [V[0]]).hstack(SparseRows(thin())) is None
    assert SparseRows(thin()).hstack(SparseRows(thin())) is None
    assert Rows([V], [V[0]]).hstack(Rows([V], [V[0]], np.float32)) is None


@pytest.mark.usefixtures("small_blocks")
def test_rows_of_two_kinds_cross():
    V, S, w = view(), thin(3, 5), WEIGHTS["random"]
    x, y = rows_of(V), SparseRows(S)
    expected = shifted(V, x).T @ (w[:, None] * with_ones(S))
    np.testing.assert_allclose(x.cross(w, y), expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(y.cross(w, x), expected.T, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("mean", [0.0, 100.0])
def test_products_in_float32_are_good_to_a_millionth(mean):
    rng = np.random.default_rng(0)
    V = (rng.normal(size=(60_000, 12)) * 3 + mean).astype(np.float32)
    w = rng.random(len(V))
    moments = []
    for dtype in (np.float32, np.float64):
        rows = rows_of(V, dtype)
        gram = rows.weighted_gram(w)[0]
        assert gram.dtype == np.float64
        mean = gram[-1, :-1] / w.sum()
        moments.append((mean + rows.shift, gram[:-1, :-1] / w.sum() - np.outer(mean, mean)))
    (mean, cov), (exact_mean, exact) = moments
    std = np.sqrt(np.diag(exact))
    assert np.abs((cov - exact) / np.outer(std, std)).max() < 1e-6
    assert np.abs((mean - exact_mean) / std).max() < 1e-6


def test_sampled_pairs_of_many_blocks_equal_those_of_one(monkeypatch):
    V, U = view(), view(1, 4) + view()[:, :4]
    labels = np.random.default_rng(0).integers(0, 4, N)
    model = ClusterCCA(pair_fraction=0.4, instance_weight=0.1, random_state=0, solver="covariance")
    whole = model.fit(V, U, labels).correlations_
    monkeypatch.setattr(block_rows, "__defaults__", (10,))
    np.testing.assert_allclose(model.fit(V, U, labels).correlations_, whole, atol=1e-10)


def test_rows_are_told_by_how_they_are_kept():
    V = view()
    assert type(rows_of(V)) is Rows
    assert type(rows_of(sparse.csr_array(V))) is Rows  # dense in all but name
    almost_empty = sparse.csr_array(sparse.random(N, 40, density=0.02, random_state=0))
    assert type(rows_of(almost_empty)) is SparseRows
    # A mean far beyond the spread costs digits without a shift.
    constant = sparse.csr_array(np.tile([1000.0] + [0.0] * 99, (N, 1)))
    assert type(rows_of(constant)) is Rows


def bound(d_x, d_y):
    return 3 * (d_x + d_y) ** 2 * 8 + 64 * 2**20


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("model", [CCA(), CCA(solver="svd"), ClusterCCA(instance_weight=0.5)])
def test_fit_copies_no_more_than_a_block(model, dtype):
    rng = np.random.default_rng(0)
    n, d_x, d_y = 150_000, 20, 60
    X = rng.standard_normal((n, d_x), dtype=dtype)
    Y = rng.standard_normal((n, d_y), dtype=dtype)
    Y[:, 0] += X[:, 0]
    y = rng.integers(0, 6, n)
    w = rng.random(n)
    assert Y.nbytes > bound(d_x, d_y) or dtype == np.float32  # a copy of Y would break it
    for weights in (None, w):
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        model.fit(X, Y, y, sample_weight=weights)
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert peak <= bound(d_x, d_y), f"{peak / 2**20:.0f} MiB"
