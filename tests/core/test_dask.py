"""Dask arrays on a cluster of two processes: the local answers, and no row is gathered."""

import os
import warnings

import joblib
import numpy as np
import pytest
from _data import make_tags, two_views
from _models import array_api_dispatch
from _oracles import assert_same_linear_model as assert_same_model
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.model_selection import GridSearchCV, KFold

from skcca import CCA, KCCA, ClusterCCA, Views, retrieval_map

da = pytest.importorskip("dask.array")
dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

N, D_X, D_Y = 240, 6, 4
ROWS = (100, 1, 60, 79)
MODELS = {
    "CCA": CCA(),
    "ridge": CCA(2, reg=(0.2, 0.0), scale=False),
    "covariance": CCA(3, solver="covariance"),
    "classes": ClusterCCA(),
    "rows": ClusterCCA(2, pair_weight="row", reg=0.1),
    "blend": ClusterCCA(instance_weight=0.3),
    "own pairs alone": ClusterCCA(instance_weight=1.0),
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
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_cluster_gives_the_local_answer(name, weighted):
    w = W if weighted else None
    local = MODELS[name].fit(X, Y, LABELS, sample_weight=w)
    local = vars(local).copy()
    model = MODELS[name].fit(chunked(X), chunked(Y), LABELS, sample_weight=w)
    twin = type(model)()
    vars(twin).update(local)
    assert_same_model(model, twin)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("chunking", CHUNKINGS)
def test_chunks_of_any_shape(chunking):
    rows_x, rows_y, columns_x, columns_y = CHUNKINGS[chunking]
    A, B = chunked(X, rows_x, columns_x), chunked(Y, rows_y, columns_y)
    for model, twin in ((CCA(), CCA()), (ClusterCCA(), ClusterCCA())):
        assert_same_model(model.fit(A, B, LABELS), twin.fit(X, Y, LABELS))


@pytest.mark.usefixtures("client")
def test_tags_and_integers_and_one_dimension():
    A, B = chunked(X), chunked(Y)
    assert_same_model(ClusterCCA().fit(A, B, TAGS), ClusterCCA().fit(X, Y, TAGS))
    whole, chunks = X.astype(int), chunked(X.astype(int))
    assert_same_model(CCA().fit(chunks, B), CCA().fit(whole, Y))
    single = CCA(2).fit(A.astype(np.float32), B.astype(np.float32))
    assert_same_model(single, CCA(2).fit(X.astype(np.float32), Y.astype(np.float32)))
    assert single.transform(A.astype(np.float32)).dtype == np.float32


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


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("model", [CCA(2), ClusterCCA(2)])
def test_transform_is_lazy_and_equals_the_local_one(model):
    local = type(model)(2).fit(X, Y, LABELS)
    A, B = chunked(X, columns=(4, 2)), chunked(Y)
    model.fit(A, B, LABELS)
    U, V = model.transform(A, B)
    scores = local.transform(X, Y)
    for found, expected in (
        (U, scores[0]),
        (V, scores[1]),
        (model.transform_y(B), scores[1]),
        (model.predict(A), local.predict(X)),
        (model.predict_x(B), local.predict_x(Y)),
        (model.inverse_transform(U), local.inverse_transform(scores[0])),
    ):
        assert isinstance(found, da.Array)
        assert found.chunks[0] == ROWS
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.compute(), expected, atol=1e-8)
    assert model.score(A, B, LABELS) == pytest.approx(local.score(X, Y, LABELS), abs=1e-9)
    assert model.score(X, Y, LABELS) == pytest.approx(local.score(X, Y, LABELS), abs=1e-9)
    np.testing.assert_allclose(model.transform(X), scores[0], atol=1e-9)  # local rows too


@pytest.mark.usefixtures("client")
def test_a_second_view_of_one_column():
    B = chunked(Y[:, [0]])
    model = CCA().fit(chunked(X), B)
    expected = CCA().fit(X, Y[:, [0]]).predict(X)
    np.testing.assert_allclose(model.predict(chunked(X)).compute(), expected, atol=1e-9)


@pytest.mark.usefixtures("client")
def test_views_of_chunks():
    model = CCA(2).fit(Views(audio=chunked(X), visual=chunked(Y)))
    twin = CCA(2).fit(X, Y)
    assert_same_model(model, twin)
    Z = model.transform(Views(audio=chunked(X), visual=None))
    np.testing.assert_allclose(Z["audio"].compute(), twin.transform(X), atol=1e-9)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_entries_are_refused(side, bad):
    views = [X.copy(), Y.copy()]
    views[side][200, 2] = bad
    with pytest.raises(ValueError, match=rf"`{'Xy'[side]}` contains NaN or infinity"):
        CCA().fit(*(chunked(V) for V in views))
    # In the first rows too, which tell the shift.
    views[side][0, 2] = bad
    with pytest.raises(ValueError, match=rf"`{'Xy'[side]}` contains NaN or infinity"):
        CCA().fit(*(chunked(V) for V in views))


@pytest.mark.usefixtures("client")
def test_scores_of_bad_entries_are_refused():
    A = X.copy()
    A[200, 2] = np.nan
    model = CCA(2).fit(chunked(X), chunked(Y))
    with pytest.raises(ValueError, match="NaN"):
        model.score(chunked(A), chunked(Y))


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("model", "views", "match"),
    [
        (CCA(), (chunked(X), Y), "one view is a Dask array and the other is not"),
        (CCA(), (X, chunked(Y)), "one view is a Dask array and the other is not"),
        (CCA(), (chunked(X), chunked(Y)[:-1]), "240 rows but `y` has 239"),
        (CCA(solver="svd"), (chunked(X), chunked(Y)), "set solver='auto'"),
        (CCA(reg="auto"), (chunked(X), chunked(Y)), r"`reg`='auto'.*NumPy"),
        (ClusterCCA(pair_fraction=0.5), (chunked(X), chunked(Y)), "Sampled pairs"),
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
def test_few_rows_of_many_features():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(30, 50)), rng.normal(size=(30, 3))
    model = CCA(2, reg=0.5)
    expected = model.fit(A, B).correlations_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = model.fit(chunked(A, (10, 20)), chunked(B, (10, 20)))
    np.testing.assert_allclose(found.correlations_, expected, atol=1e-10)


@pytest.mark.usefixtures("client")
def test_many_rows_send_no_large_graph():
    # Weights that are all one need not travel; a warning of the scheduler would be an error here.
    n = 2_000_000
    rng = da.random.default_rng(0)
    A, B = (rng.normal(size=(n, 2), chunks=(n // 8, 2)) for _ in "xy")
    assert CCA().fit(A, A + B).n_components_ == 2


@pytest.mark.usefixtures("client")
def test_batches_of_chunks_equal_one_fit():
    model = CCA()
    for rows in (slice(0, 130), slice(130, N)):
        model.partial_fit(chunked(X)[rows], chunked(Y)[rows])
    assert_same_model(model, CCA().fit(X, Y))


@pytest.mark.usefixtures("client")
def test_dispatch_does_not_get_in_the_way():
    with array_api_dispatch():
        model = CCA().fit(chunked(X), chunked(Y))
        Z = model.transform(chunked(X))
        score = model.score(chunked(X), chunked(Y))
    twin = CCA().fit(X, Y)
    np.testing.assert_allclose(Z.compute(), twin.transform(X), atol=1e-9)
    assert score == pytest.approx(twin.score(X, Y), abs=1e-9)


def test_other_feature_maps_take_chunks_as_arrays():
    model = KCCA(2, reg=0.1).fit(chunked(X), chunked(Y))
    expected = KCCA(2, reg=0.1).fit(X, Y).correlations_
    np.testing.assert_allclose(model.correlations_, expected, atol=1e-10)


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
