"""Deep CCA: networks, training options, reproducibility."""

import numpy as np
import pytest
import torch
from _data import two_views
from _models import SMALL
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from skcca import CCA, DCCA, SupervisedDCCA, Views, retrieval_map

X, Y, y = two_views(200)


def halves():
    data, digits = load_digits(return_X_y=True)
    data = data.astype(np.float32)
    return data[:, :32], data[:, 32:], digits


@pytest.mark.parametrize("build", [SupervisedDCCA, SupervisedDCCA.paper, DCCA, DCCA.paper])
def test_networks_are_those_of_the_paper(build):
    ours = build == SupervisedDCCA
    hidden, output = (nn.ReLU, nn.Identity) if ours else (nn.Tanh, nn.Sigmoid)
    model = build(n_components=2, max_epochs=1, random_state=0).fit(X, Y, y)
    for network, sizes in (
        (model.x_network_, (5, 128, 128, 64, 64, 2)),
        (model.y_network_, (4, 512, 512, 256, 256, 2)),
    ):
        linear = [m for m in network.layers if isinstance(m, nn.Linear)]
        assert tuple([m.in_features for m in linear] + [linear[-1].out_features]) == sizes
        assert [type(m) for m in network.layers[1:3]] == [hidden, nn.Dropout]
        assert network.layers[2].p == 0.2
        assert isinstance(network.layers[-1], output)
    expected = {"optimizer": "rmsprop", "learning_rate": 1e-3, "batch_size": 512, "max_epochs": 50}
    params = build().get_params()
    assert {k: params[k] for k in expected} == expected
    assert params["n_components"] == 30


def test_networks_find_what_linear_maps_cannot():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 900)
    A = np.column_stack([np.cos(angle), np.sin(angle)])
    V = np.column_stack([np.cos(2 * angle), np.sin(2 * angle)])  # uncorrelated with A
    options = {"x_hidden_layer_sizes": (64,), "y_hidden_layer_sizes": (16,), "dropout": 0}
    model = DCCA(2, learning_rate=1e-2, max_epochs=60, random_state=0, **options)
    model.fit(A[:600], V[:600])
    assert CCA(2).fit(A[:600], V[:600]).score(A[600:], V[600:]) < 0.5
    assert model.score(A[600:], V[600:]) > 1.5


def test_class_pairs_beat_own_pairs_at_finding_the_class():
    top, bottom, digits = halves()
    options = SMALL | {
        "max_epochs": 20,
        "x_hidden_layer_sizes": (64,),
        "y_hidden_layer_sizes": (64,),
    }
    found = [
        retrieval_map(
            clone(model).fit(top[:900], bottom[:900], digits[:900]),
            Views(top[900:], bottom[900:]),
            digits[900:],
        )
        for model in (DCCA(9, **options), SupervisedDCCA(9, **options))
    ]
    assert found[0] + 0.1 < found[1]


@pytest.mark.parametrize("estimator", [DCCA, SupervisedDCCA])
def test_early_stopping_keeps_the_best_held_out_weights(estimator):
    options = SMALL | {"max_epochs": 60, "learning_rate": 0.05, "n_iter_no_change": 3}
    model = estimator(2, early_stopping=True, validation_fraction=0.2, **options).fit(X, Y, y)
    scores = model.validation_scores_
    assert len(scores) == model.n_epochs_ < 60
    assert max(scores) == scores[-4]
    assert estimator(2, **SMALL).fit(X, Y, y).validation_scores_ == []


def test_early_stopping_holds_out_every_class_of_unpaired_sets():
    from skcca.nn.training import validation_mask
    from skcca.views._labels import encode_labels

    labels = encode_labels(y, 200, 200, "t")
    held = validation_mask(200, 0.2, labels.x, np.random.default_rng(0))
    shares = np.bincount(y[held]) / np.bincount(y)
    np.testing.assert_allclose(shares, 0.2, atol=1 / np.bincount(y).min())
    assert held.sum() == 40
    model = SupervisedDCCA(2, early_stopping=True, validation_fraction=0.2, **SMALL)
    model.fit(X, Y[:120], labels=(y, y[:120]))
    assert len(model.validation_scores_) == 3


@pytest.mark.parametrize("change", ["width", "dtype", "n_components"])
def test_warm_start_on_other_data_is_refused(change):
    model = DCCA(2, warm_start=True, **SMALL).fit(X, Y)
    V = {"width": X[:, :3], "dtype": X.astype("f4"), "n_components": X}[change]
    if change == "n_components":
        model.set_params(n_components=1)
    with pytest.raises(ValueError, match="Set warm_start=False"):
        model.fit(V, Y)


def test_own_module_is_copied_and_trained():
    module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4))
    before = [p.clone() for p in module.parameters()]
    model = DCCA(3, x_network=module, **SMALL).fit(X, Y)
    assert all(torch.equal(p, q) for p, q in zip(module.parameters(), before, strict=True))
    assert model.x_weights_.shape == (4, 3)
    assert model.x_network_ is not module
    assert isinstance(clone(model).x_network, nn.Sequential)


def test_own_factory_is_called_with_the_widths():
    called = []

    def factory(n_features, n_outputs):
        called.append((n_features, n_outputs))
        return nn.Linear(n_features, n_outputs)

    DCCA(3, y_network=factory, **SMALL).fit(X, Y)
    assert called == [(4, 3)]


def test_batch_norm_uses_running_statistics_at_transform():
    def factory(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, n_outputs), nn.BatchNorm1d(n_outputs))

    model = DCCA(2, x_network=factory, y_network=factory, **SMALL).fit(X, Y)
    np.testing.assert_allclose(model.transform(X[:1]), model.transform(X)[:1], atol=1e-10)


def test_final_solve_uses_all_training_rows():
    from skcca.nn.networks import ResidentRows, outputs

    model = DCCA(2, **SMALL | {"batch_size": 32}).fit(X, Y)
    x_rows = ResidentRows((X - model.x_mean_) / model.x_scale_)
    y_rows = ResidentRows((Y - model.y_mean_) / model.y_scale_)
    zx, zy = outputs((model.x_network_, x_rows), (model.y_network_, y_rows))
    peer = CCA(2, reg=model.reg, scale=False).fit(zx, zy)
    np.testing.assert_allclose(model.correlations_, peer.correlations_, atol=1e-10)
    np.testing.assert_allclose(
        model.transform(X), (zx - peer.x_mean_) @ (model.x_weights_), atol=1e-10
    )


@pytest.mark.parametrize("reg", [1e-3, 0.0])
def test_fewer_rows_than_outputs_is_finite(reg):
    with (
        pytest.warns(UserWarning, match="the data support"),
        pytest.warns(UserWarning, match="batches of 10 rows say little of `n_components`=30"),
    ):
        model = DCCA(30, **SMALL, reg=reg).fit(X[:10], Y[:10])
    assert np.isfinite(model.transform(X)).all()


def test_units_of_the_input_do_not_matter():
    a = DCCA(2, **SMALL).fit(X, Y).transform(X)
    b = DCCA(2, **SMALL).fit(X * 1e6 + 3e6, Y).transform(X * 1e6 + 3e6)
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu():
    cpu = DCCA(2, **SMALL | {"dropout": 0}).fit(X, Y)
    gpu = DCCA(2, **SMALL | {"dropout": 0, "device": "cuda"}).fit(X, Y)
    assert gpu.device_.startswith("cuda")
    np.testing.assert_allclose(gpu.loss_curve_, cpu.loss_curve_, rtol=0.2)
