"""Sparse matrices, tensors, strict arrays and Dask chunks: the answers of dense rows of NumPy."""

import contextlib
import warnings

import numpy as np
import pytest
import torch
from _data import counts, two_views
from _models import SEARCH, array_api_dispatch
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

from skcca import CCA, CCACV, DCCA, KCCA, ClusterCCA, ClusterCCACV, SparseCCA, Views
from skcca._core.rows import SparseRows, rows_of

da = pytest.importorskip("dask.array")

N = 240
KINDS = {
    "thin": sparse.csr_array,
    "dense in all but name": sparse.csr_array,
    "torch": torch.tensor,
    "cuda": lambda V: torch.tensor(V, device="cuda"),
    "strict": lambda V: pytest.importorskip("array_api_strict").asarray(V),
    "dask": lambda V: da.from_array(V, chunks=(100, 3)),
}
no_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def of_kinds(*left_out):
    """Parametrise a test over the kinds of rows but those left out."""
    marks = {"cuda": no_cuda}
    return pytest.mark.parametrize(
        "kind", [pytest.param(k, marks=marks.get(k, ())) for k in KINDS if k not in left_out]
    )


every_kind = of_kinds()
MODELS = {
    "CCA": CCA(),
    "ridge": CCA(2, reg=(0.2, 0.0), scale=False),
    "by correlation": CCA(component_scaling="correlation"),
    "svd": CCA(3, solver="svd"),
    "covariance": CCA(4, solver="covariance"),
    "classes": ClusterCCA(),
    "rows": ClusterCCA(pair_weight="row", reg=0.1),
    "blend": ClusterCCA(instance_weight=0.3),
    "own pairs alone": ClusterCCA(instance_weight=1.0),
    "sampled": ClusterCCA(pair_fraction=0.5, random_state=0),
    "sampled, covariance": ClusterCCA(2, pairs_per_sample=7, random_state=0, solver="covariance"),
    "sampled blend": ClusterCCA(instance_weight=0.3, pair_fraction=0.5, random_state=0),
    "search": CCACV([1, 3], **SEARCH),
    "search, classes": ClusterCCACV(2, instance_weight=0.3, **SEARCH),
}
BOTH = pytest.mark.parametrize("model", [CCA(2), ClusterCCA(2)], ids=["CCA", "ClusterCCA"])


@pytest.fixture(autouse=True)
def dispatch(request):
    kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind")
    with array_api_dispatch() if kind in ("torch", "cuda", "strict") else contextlib.nullcontext():
        yield


def data(kind):
    """Return X, Y, labels and weights; the sparse kinds have zeros."""
    X, Y, y = two_views(N, 6, 4, n_classes=4)
    X = X + 50
    if KINDS[kind] is sparse.csr_array:
        density = 0.02 if kind == "thin" else 0.4
        y = np.random.default_rng(0).integers(0, 4, 600)
        X, Y = counts(1, 30, density, y), counts(2, 20, density, y)
        Y[:, :5] += X[:, :5]
        assert (type(rows_of(sparse.csr_array(X))) is SparseRows) == (kind == "thin")
    return X, Y, y, np.random.default_rng(3).random(len(y)) + 0.1


def assert_kept(found, kind, expected, atol=1e-8):
    """The values are those of NumPy, kept as the views are: sparse rows give dense answers."""
    if KINDS[kind] is sparse.csr_array:
        assert type(found) is np.ndarray
    elif kind == "dask":
        assert isinstance(found, da.Array)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        found = found.compute()
    elif kind == "strict":
        assert type(found).__module__.startswith("array_api_strict")
        found = np.from_dlpack(found)
    else:
        assert isinstance(found, torch.Tensor)
        assert found.device.type == ("cuda" if kind == "cuda" else "cpu")
        found = found.detach().cpu().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def assert_same_fit(found, expected, kind):
    """Every array of a fitted model is that of another; a cluster leaves dense ones behind."""
    for name, value in vars(expected).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not name.startswith("_"):
            assert_kept(getattr(found, name), "thin" if kind == "dask" else kind, value)


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_every_kind_gives_the_local_answer(name, weighted, kind):
    if kind == "dask" and ("svd" in name or "sampled" in name):
        pytest.skip("refused, as the test of Dask says")
    X, Y, y, w = data(kind)
    if getattr(MODELS[name], "instance_weight", 0):
        # Every third row has no label.
        y = np.where(np.arange(len(y)) % 3 == 0, None, y.astype(object))
    A, B, weights = KINDS[kind](X), KINDS[kind](Y), w if weighted else None
    local = clone(MODELS[name]).fit(X, Y, y, sample_weight=weights)
    found = clone(MODELS[name])
    own = torch.tensor(w) if weighted and kind == "torch" else weights
    assert_same_fit(found.fit(A, B, y, sample_weight=own), local, kind)
    U, V = local.transform(X, Y)
    scores = found.transform(A, B)
    for answer, expected in (
        (scores[0], U),
        (scores[1], V),
        (found.transform(A), U),
        (found.transform_y(B), V),
        (found.predict(A), local.predict(X)),
        (found.predict_x(B), local.predict_x(Y)),
        (found.inverse_transform(scores[0]), local.inverse_transform(U)),
    ):
        assert_kept(answer, kind, expected)
    score = found.score(A, B, y, sample_weight=weights)
    assert isinstance(score, float)
    assert score == pytest.approx(local.score(X, Y, y, sample_weight=weights), abs=1e-8)


@of_kinds("strict")
@BOTH
def test_float32_stays_float32(model, kind):
    X, Y, y, _ = data(kind)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    A, B = KINDS[kind](X), KINDS[kind](Y)
    expected = clone(model).fit(X.astype(float), Y.astype(float), y).transform(X)
    model.fit(A, B, y)
    scores = model.transform(A)
    # Single precision of columns whose mean is many times their spread.
    assert_kept(scores, kind, expected.astype(np.float32), 1e-3)
    answers = (model.transform_y(B), model.predict(A), model.predict_x(B))
    for answer in (*answers, model.inverse_transform(scores)):
        assert str(answer.dtype).endswith("float32")


@of_kinds("strict")
@pytest.mark.parametrize("row", [0, 200])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_entries_are_refused(kind, bad, side, row):
    # The first rows tell the shift, and are looked at apart.
    views = list(data(kind)[:2])
    model = CCA(2).fit(*map(KINDS[kind], views))
    views[side][row, 2] = bad
    with pytest.raises(ValueError, match=rf"`?{'Xy'[side]}`? contains .*(NaN|infinity)"):
        CCA().fit(*map(KINDS[kind], views))
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        model.score(*map(KINDS[kind], views))


@of_kinds("strict")
def test_views_hold_every_kind(kind):
    X, Y, _, _ = data(kind)
    expected = CCA(2).fit(X, Y)
    views = Views(audio=KINDS[kind](X), visual=KINDS[kind](Y))
    model = CCA(2).fit(views)
    assert_same_fit(model, expected, kind)
    scores = model.transform(views)
    assert_kept(scores["audio"], kind, expected.transform(X))
    assert_kept(scores["visual"], kind, expected.transform_y(Y))
    assert model.transform(Views(audio=views["audio"], visual=None))["visual"] is None
    assert_kept(model.predict(views), kind, expected.predict(X))
    back = model.inverse_transform(scores)
    assert_kept(back["audio"], kind, expected.inverse_transform(expected.transform(X)))


@of_kinds("strict")
@BOTH
def test_batches_of_every_kind_equal_one_fit(model, kind):
    X, Y, y, _ = data(kind)
    found = clone(model)
    for rows in (slice(0, 130), slice(130, 131), slice(131, None)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", (UserWarning, LinAlgWarning))  # of a thin beginning
            found.partial_fit(KINDS[kind](X[rows]), KINDS[kind](Y[rows]), y[rows])
    assert_same_fit(found, clone(model).fit(X, Y, y), kind)


@every_kind
def test_a_second_view_of_one_column(kind):
    X, Y, _, _ = data(kind)
    model = CCA().fit(KINDS[kind](X), KINDS[kind](Y[:, [0]]))
    assert_kept(model.predict(KINDS[kind](X)), kind, CCA().fit(X, Y[:, [0]]).predict(X))


@every_kind
@pytest.mark.parametrize("model", [CCA(2, reg=0.5), ClusterCCA(2, reg=0.1)])
def test_fewer_rows_than_features(model, kind):
    X, Y = np.random.default_rng(0).normal(size=(2, 25, 30))
    X *= X > 1
    y = np.arange(25) % 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (LinAlgWarning, UserWarning))  # ranks, and few rows
        expected = clone(model).fit(X, Y, y).correlations_
        found = model.fit(KINDS[kind](X), KINDS[kind](Y), y).correlations_
    assert_kept(found, "thin" if kind == "dask" else kind, expected)


@of_kinds("thin", "dense in all but name", "strict")
@pytest.mark.parametrize(
    "model",
    [
        KCCA(2, reg=0.1),
        SparseCCA(2),
        DCCA(2, max_epochs=2, device="cpu", random_state=0, batch_size=50),
    ],
    ids=["KCCA", "SparseCCA", "DCCA"],
)
def test_other_feature_maps_take_the_rows_as_arrays(model, kind):
    X, Y, _, _ = data(kind)
    A, B = KINDS[kind](X), KINDS[kind](Y)
    local = clone(model).fit(X, Y)
    model.fit(A, B)
    np.testing.assert_allclose(np.asarray(model.transform(A)), local.transform(X), atol=1e-6)
    assert model.score(A, B) == pytest.approx(local.score(X, Y), abs=1e-6)
