"""Arrays of other namespaces under array API dispatch: the answers of NumPy, where they lie."""

import contextlib

import numpy as np
import pytest
from _data import two_views
from _models import SEARCH, array_api_dispatch

from skcca import CCA, CCACV, ClusterCCA

torch = pytest.importorskip("torch")

N = 150
cuda = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
)
DEVICES = ["cpu", cuda]


@pytest.fixture(autouse=True)
def dispatch():
    with array_api_dispatch():
        yield


def data(n=N):
    X, Y, y = two_views(n, n_classes=4)
    return X + 50, Y, y, np.random.default_rng(1).random(n) + 0.1


X, Y, LABELS, W = data()


def tensor(V, device="cpu", **options):
    return torch.tensor(V, device=device, **options)


def host(A):
    return A.detach().cpu().numpy()


def assert_close(found, expected, device, atol=1e-10):
    assert isinstance(found, torch.Tensor)
    assert found.device.type == device
    np.testing.assert_allclose(host(found), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("device", DEVICES)
def test_labels_may_be_tensors(device):
    expected = ClusterCCA().fit(X, Y, LABELS)
    A, B, labels = tensor(X, device), tensor(Y, device), tensor(LABELS, device)
    model = ClusterCCA().fit(A, B, labels)
    assert_close(model.correlations_, expected.correlations_, device)
    assert np.asarray(model.classes_).tolist() == expected.classes_.tolist()
    assert model.score(A, B, labels) == pytest.approx(expected.score(X, Y, LABELS), abs=1e-9)


@contextlib.contextmanager
def watched(monkeypatch, n):
    """Record how many rows each conversion to NumPy takes, and the products made in torch."""
    taken, products = [], []
    numpy_of, matmul = torch.Tensor.numpy, torch.Tensor.__matmul__
    array_of = torch.Tensor.__array__

    def recorded(convert):
        def conversion(self, *args, **kwargs):
            taken.append(tuple(self.shape))
            return convert(self, *args, **kwargs)

        return conversion

    def product(A, B):
        products.append((tuple(A.shape), tuple(B.shape)))
        return matmul(A, B)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "numpy", recorded(numpy_of))
        patch.setattr(torch.Tensor, "__array__", recorded(array_of))
        patch.setattr(torch.Tensor, "__matmul__", product)
        yield taken, products


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "model", [CCA(), ClusterCCA(), ClusterCCA(instance_weight=0.5), CCACV(**SEARCH)]
)
def test_products_are_made_in_torch_and_rows_are_never_copied_to_numpy(model, device, monkeypatch):
    A, B, y, w = data(n=5_000)
    A, B = tensor(A, device), tensor(B, device)
    with watched(monkeypatch, len(y)) as (taken, products):
        model.fit(A, B, y, sample_weight=w)
    # The first block tells the shift; of the rest only products and class sums leave torch.
    assert sum(shape[0] for shape in taken if len(shape) == 2 and shape[0] > 100) <= 2 * 1024
    assert sum(1024 in a or 904 in a for a, _ in products) >= 3
    with watched(monkeypatch, len(y)) as (taken, products):
        scores = model.transform(A)
        model.transform_y(B)
    assert any(a[0] == 5_000 for a, _ in products)
    # A look whether the scores are finite is no reason to move the rows.
    assert all(shape[-1] != A.shape[1] or shape[0] < 100 for shape in taken)
    assert isinstance(scores, torch.Tensor)


@pytest.mark.parametrize("model", [CCA(), ClusterCCA()])
def test_tensors_that_need_gradients(model):
    expected = model.fit(X, Y, LABELS).transform(X)
    A, B = (tensor(V, requires_grad=True) for V in (X, Y))
    model.fit(A, B, LABELS)
    assert not model.x_weights_.requires_grad
    assert_close(model.transform(A), expected, "cpu", 1e-9)
    assert model.score(A, B, LABELS) == pytest.approx(model.score(tensor(X), tensor(Y), LABELS))
    assert A.grad is None


def test_a_fit_keeps_no_graph_of_gradients(monkeypatch):
    # A graph would hold every block of the rows until the end.
    graphs = []
    original = torch.Tensor.__matmul__

    def product(A, B):
        result = original(A, B)
        graphs.append(result.requires_grad)
        return result

    monkeypatch.setattr(torch.Tensor, "__matmul__", product)
    CCA().fit(tensor(X, requires_grad=True), tensor(Y, requires_grad=True))
    assert graphs
    assert not any(graphs)


def test_the_second_view_follows_the_first():
    expected = CCA(2).fit(X, Y)
    model = CCA(2).fit(tensor(X), Y)
    assert_close(model.y_weights_, expected.y_weights_, "cpu")
    assert_close(model.transform_y(Y), expected.transform_y(Y), "cpu")
    assert_close(model.predict_x(Y), expected.predict_x(Y), "cpu", 1e-9)
    model = CCA(2).fit(X, tensor(Y))
    assert type(model.y_weights_) is np.ndarray
    found = model.transform_y(tensor(Y))
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected.transform_y(Y), atol=1e-10)


@pytest.mark.parametrize("method", ["transform", "predict"])
def test_another_namespace_than_at_fit_is_refused(method):
    model = CCA(2).fit(tensor(X), tensor(Y))
    with pytest.raises(ValueError, match=r"same namespace.*numpy.*torch"):
        getattr(model, method)(X)
    model = CCA(2).fit(X, Y)
    with pytest.raises(ValueError, match=r"same namespace.*torch.*numpy"):
        getattr(model, method)(tensor(X))


def test_a_model_outlives_the_dispatch_it_was_fitted_under():
    model = CCA(2).fit(tensor(X), tensor(Y))
    expected = CCA(2).fit(X, Y)
    with array_api_dispatch(on=False):
        np.testing.assert_allclose(model.transform(X), expected.transform(X), atol=1e-10)
        np.testing.assert_allclose(model.predict(X), expected.predict(X), atol=1e-9)
        assert model.score(X, Y) == pytest.approx(expected.score(X, Y), abs=1e-10)
        found = model.transform(tensor(X))
        np.testing.assert_allclose(np.asarray(found), expected.transform(X), atol=1e-10)


def test_a_second_view_of_one_dimension():
    expected = CCA().fit(X, Y[:, 0])
    model = CCA().fit(tensor(X), tensor(Y[:, 0]))
    assert_close(model.predict(tensor(X)), expected.predict(X), "cpu", 1e-9)
    assert model.predict(tensor(X)).ndim == 1
