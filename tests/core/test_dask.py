"""Dask arrays on a cluster of two processes: the local answers, and no row is gathered."""

import os
from collections import Counter

import joblib
import numpy as np
import pytest
from _data import make_tags, two_views
from _models import SEARCH, array_api_dispatch
from _oracles import assert_same_linear_model as assert_same_model
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skcca import CCA, CCACV, ClusterCCA, ClusterCCACV, Views, retrieval_map

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

N, D_X, D_Y = 240, 6, 4
ROWS = (100, 1, 60, 79)
MODELS = {
    "ridge": CCA(2, reg=(0.2, 0.0), scale=False),
    "rows": ClusterCCA(2, pair_weight="row", reg=0.1),
    "blend": ClusterCCA(instance_weight=0.3),
    "search": CCACV([1, 3], **SEARCH),
    "search, classes": ClusterCCACV(**SEARCH),
}
CHUNKINGS = {
    "equal": ((60,) * 4, (60,) * 4, -1, -1),
    "unequal rows": (ROWS, (239, 1), -1, -1),
    "columns too": (ROWS, (120, 120), (1, 3, 2), (2, 2)),
    "one chunk": ((N,), (N,), -1, -1),
    "small chunks": ((5,) * 48, (10,) * 24, -1, -1),
    "empty chunks": ((0, 100, 0, 140, 0), (100, 0, 140), -1, -1),
}


# One cluster: two of them would share the cores.
pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set({"distributed.worker.memory.terminate": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def data(n=N):
    X, Y, y = two_views(n, D_X, D_Y, n_classes=4)
    return X + 100, Y, y, np.random.default_rng(1).random(n) + 0.1


X, Y, LABELS, W = data()
TAGS = make_tags(N)


def chunked(V, rows=ROWS, columns=-1):
    return da.from_array(V, chunks=(rows, columns))


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("name", MODELS)
def test_a_cluster_gives_the_local_answer(name):
    local = clone(MODELS[name]).fit(X, Y, LABELS, sample_weight=W)
    model = MODELS[name].fit(chunked(X), chunked(Y), LABELS, sample_weight=W)
    assert_same_model(model, local)
    for key in [key for key in getattr(local, "cv_results_", ()) if key.endswith("test_score")]:
        found, expected = model.cv_results_[key], local.cv_results_[key]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    found = model.transform(chunked(X))
    assert found.chunks[0] == ROWS
    np.testing.assert_allclose(found.compute(), local.transform(X), atol=1e-8)
    np.testing.assert_allclose(model.transform(X), local.transform(X), atol=1e-9)
    for views in ((chunked(X), chunked(Y)), (X, Y)):
        score = model.score(*views, LABELS)
        assert score == pytest.approx(local.score(X, Y, LABELS), abs=1e-9)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_chunks_of_any_shape(chunking):
    rows_x, rows_y, columns_x, columns_y = CHUNKINGS[chunking]
    A, B = chunked(X, rows_x, columns_x), chunked(Y, rows_y, columns_y)
    for model, twin in ((CCA(), CCA()), (ClusterCCA(), ClusterCCA())):
        assert_same_model(model.fit(A, B, LABELS), twin.fit(X, Y, LABELS))


@pytest.mark.usefixtures("client")
def test_tags_and_integers():
    A, B = chunked(X), chunked(Y)
    assert_same_model(ClusterCCA().fit(A, B, TAGS), ClusterCCA().fit(X, Y, TAGS))
    assert_same_model(CCA().fit(A.astype(int), B), CCA().fit(X.astype(int), Y))


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("model", [CCA(reg=0.1), ClusterCCA()])
def test_chunks_of_sparse_matrices(model):
    S = sparse.random(N, D_X, density=0.3, random_state=0).toarray()
    A = chunked(S).map_blocks(sparse.csr_matrix)
    assert_same_model(
        model.fit(A, chunked(Y), LABELS), type(model)(**model.get_params()).fit(S, Y, LABELS)
    )
    np.testing.assert_allclose(model.transform(A).compute(), model.transform(S), atol=1e-10)


def made_by_a_worker(block, caller, block_info=None):
    """Return rows that are the same for every run, in any process but the caller's."""
    if os.getpid() == caller:
        raise AssertionError("the rows were made in the process of the client")
    (start, stop), _ = block_info[0]["array-location"]
    return data(n=stop)[0 if block.shape[1] == D_X else 1][start:stop]


def far_away(width, rows):
    empty = da.zeros((sum(rows), width), chunks=(rows, -1))
    return empty.map_blocks(made_by_a_worker, os.getpid(), dtype=float, meta=np.empty((0, 0)))


@pytest.mark.parametrize("model", [CCA(), ClusterCCA(), ClusterCCA(instance_weight=0.5)])
def test_rows_never_come_to_the_client(model, client, monkeypatch):
    n = 40_000
    rows = (n // 8,) * 8
    A, B = far_away(D_X, rows), far_away(D_Y, rows)
    received = []

    def recorded(gather):
        def gathering(*args, **kwargs):
            result = gather(*args, **kwargs)
            received.append(dask.sizeof.sizeof(result))
            return result

        return gathering

    monkeypatch.setattr(type(client), "gather", recorded(type(client).gather))
    labels = data(n=n)[2]
    model.fit(A, B, labels)
    bound = 20 * 8 * (D_X + D_Y + 1) ** 2  # a few matrices of the features
    assert received
    assert sum(received) < bound < 0.02 * 8 * n * D_Y
    Z = model.transform(A)
    assert isinstance(Z, da.Array)
    assert Z.shape == (n, model.n_components_)
    assert sum(received) < bound  # nothing was computed


@pytest.mark.parametrize("model", [CCACV(), ClusterCCACV()])
@pytest.mark.parametrize(("step", "passes"), [(0.0, 2), (1e6, 3)])
def test_folds_take_no_pass_over_the_chunks_of_their_own(model, step, passes):
    """One for the mean to count from, one for the sums, one more for first rows unlike others."""
    calls = Counter()

    def counted(block, view, block_info=None):
        calls[view, block_info[0]["chunk-location"]] += 1
        return block

    for cv in (2, 8):
        calls.clear()
        views = [chunked(V + step * (np.arange(N) < ROWS[0])[:, None]) for V in (X, Y)]
        A, B = (
            V.map_blocks(counted, view, dtype=float, meta=np.empty((0, 0)))
            for V, view in zip(views, "xy", strict=True)
        )
        with dask.config.set(scheduler="synchronous"):
            clone(model).set_params(cv=cv).fit(A, B, LABELS)
        assert len(calls) == 2 * len(ROWS)
        assert set(calls.values()) == {passes}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("model", "views", "match"),
    [
        (CCA(), (chunked(X), Y), "one view is a Dask array and the other is not"),
        (CCA(), (X, chunked(Y)), "one view is a Dask array and the other is not"),
        (CCA(), (chunked(X), chunked(Y)[:-1]), "240 rows but `y` has 239"),
        (CCA(solver="svd"), (chunked(X), chunked(Y)), "set solver='auto'"),
        (CCACV(solver="svd"), (chunked(X), chunked(Y)), "set solver='auto'"),
        (CCA(reg="auto"), (chunked(X), chunked(Y)), r"`reg`='auto'.*NumPy"),
        (ClusterCCA(pair_fraction=0.5), (chunked(X), chunked(Y)), "Sampled pairs"),
        (ClusterCCACV(pair_fraction=0.5), (chunked(X), chunked(Y)), "Sampled pairs"),
        (ClusterCCA(pairs_per_sample=2, instance_weight=0.5), (chunked(X), chunked(Y)), "Sampled"),
    ],
)
def test_what_a_cluster_cannot_do_is_said(model, views, match):
    with pytest.raises(ValueError, match=match):
        model.fit(*views, LABELS)


@pytest.mark.usefixtures("client")
def test_unknown_numbers_of_rows_are_refused():
    A = chunked(X)
    A = A[A[:, 0] > -np.inf]
    assert np.isnan(A.shape[0])
    for views, name in (((A, chunked(Y)), "X"), ((chunked(X), A[:, :D_Y]), "y")):
        with pytest.raises(ValueError, match=rf"{name}\.compute_chunk_sizes"):
            CCA().fit(*views)
    assert_same_model(CCA().fit(A.compute_chunk_sizes(), chunked(Y)), CCA().fit(X, Y))


@pytest.mark.usefixtures("client")
def test_poor_conditioning_warns():
    noise = np.random.default_rng(0).normal(size=(N, 1))
    A = np.hstack([X, X[:, :1] + 1e-10 * noise])
    with pytest.warns(LinAlgWarning, match=r"rank 6 with 7|poorly conditioned") as caught:
        model = CCA().fit(chunked(A), chunked(Y))
    assert any("poorly conditioned" in str(w.message) for w in caught)
    np.testing.assert_allclose(model.correlations_, CCA().fit(X, Y).correlations_, atol=1e-6)


@pytest.mark.usefixtures("client")
def test_many_rows_send_no_large_graph():
    # Weights that are all one need not travel; a warning of the scheduler would be an error here.
    n = 2_000_000
    rng = da.random.default_rng(0)
    A, B = (rng.normal(size=(n, 2), chunks=(n // 8, 2)) for _ in "xy")
    assert CCA().fit(A, A + B).n_components_ == 2


@pytest.mark.usefixtures("client")
def test_dispatch_does_not_get_in_the_way():
    with array_api_dispatch():
        model = CCA().fit(chunked(X), chunked(Y))
        Z = model.transform(chunked(X))
        score = model.score(chunked(X), chunked(Y))
    twin = CCA().fit(X, Y)
    np.testing.assert_allclose(Z.compute(), twin.transform(X), atol=1e-9)
    assert score == pytest.approx(twin.score(X, Y), abs=1e-9)


@pytest.mark.usefixtures("client")
def test_a_grid_is_searched_on_the_cluster():
    views = Views(X, Y)
    grid = {"reg": [1e-3, 0.5], "n_components": [1, 2]}
    cv = KFold(3, shuffle=True, random_state=0)
    results = []
    for backend in ("sequential", "dask"):
        search = GridSearchCV(ClusterCCA(), grid, scoring=retrieval_map, cv=cv)
        with joblib.parallel_config(backend=backend):
            search.fit(views, LABELS)
        results.append(search)
    local, remote = results
    assert remote.best_params_ == local.best_params_
    np.testing.assert_array_equal(
        remote.cv_results_["mean_test_score"], local.cv_results_["mean_test_score"]
    )


@pytest.mark.usefixtures("client")
def test_what_is_no_table_of_real_numbers_is_refused_before_it_is_computed():
    with pytest.raises(ValueError, match="Complex data not supported; got dtype complex128"):
        CCA().fit(chunked(X).astype(complex), chunked(Y))
    with pytest.raises(ValueError, match="at least one row and one feature"):
        CCA().fit(chunked(X)[:, :0], chunked(Y))
