"""What a deep view may be: rows of any shape, and rows that stay on a disk."""

from functools import partial

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from _data import two_views
from _models import SMALL
from _oracles import assert_same_bits
from torch import nn

from skcca import DCCA, SupervisedDCCA, Views
from skcca.nn import MLP, networks

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
X, Y, y = two_views(200)
X32, Y32 = X.astype(np.float32), Y.astype(np.float32)
IMAGES = np.random.default_rng(0).normal(size=(200, 1, 6, 5)) + X[:, :1, None, None]


def convolutional(n_features, n_outputs):
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, n_outputs), nn.Sigmoid()
    )


class Recurrent(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.GRU(5, n_outputs, batch_first=True)

    def forward(self, rows):
        return self.layer(rows)[0][:, -1]


def test_networks_take_rows_of_their_own_shape():
    model = SupervisedDCCA(2, x_network=convolutional, **SMALL).fit(IMAGES, Y, y)
    assert model.n_features_in_ == 30
    assert model.x_loadings_.shape == (30, 2)
    Z = model.transform(IMAGES)
    assert Z.shape == (200, 2)
    np.testing.assert_array_equal(next(iter(model.transform(Views(IMAGES, None)))), Z)
    np.testing.assert_array_equal(model.transform(IMAGES.reshape(200, -1)), Z)
    with pytest.raises(ValueError, match=r"has shape \(1, 5, 6\), but had \(1, 6, 5\) in fit"):
        model.transform(IMAGES.swapaxes(2, 3))


def test_recurrent_networks_take_sequences():
    sequences = IMAGES[:, 0]
    model = DCCA(2, x_network=Recurrent, reconstruction_weight=0.1, **SMALL).fit(sequences, Y)
    assert np.isfinite(model.transform(sequences)).all()


class Compiled(nn.Module):
    def __init__(self, n_features, n_outputs, **how):
        super().__init__()
        self.inner = torch.compile(MLP(n_features, (8,), n_outputs, dropout=0.1), **how)

    def forward(self, rows):
        return self.inner(rows).clone()  # of a graph on a GPU the next launch writes there again


@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own parts
@pytest.mark.parametrize(
    ("device", "how"),
    [
        ("cpu", {"backend": "eager"}),
        pytest.param("cuda", {"mode": "reduce-overhead"}, marks=needs_gpu),
    ],
)
def test_networks_that_torch_compiles_learn_the_same(device, how, tmp_path):
    build, settings = partial(Compiled, **how), SMALL | {"device": device}
    plain, fast = (
        SupervisedDCCA(2, x_network=network, y_network=network, **settings).fit(X32, Y32, y)
        for network in (lambda d, k: MLP(d, (8,), k, dropout=0.1), build)
    )
    np.testing.assert_allclose(fast.loss_curve_, plain.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(fast.transform(X32), plain.transform(X32), atol=1e-4)
    fast.save(tmp_path / "model")
    again = SupervisedDCCA.load(tmp_path / "model", x_network=build, y_network=build)
    np.testing.assert_allclose(again.transform(X32), fast.transform(X32), atol=1e-6)


class InBfloat16(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.inner = MLP(n_features, (8,), n_outputs)

    def forward(self, rows):
        with torch.autocast(rows.device.type, dtype=torch.bfloat16):
            return self.inner(rows).float()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_networks_may_compute_in_half_precision(device):
    settings = SMALL | {"device": device, "max_epochs": 20}
    plain, half = (
        SupervisedDCCA(2, x_network=build, y_network=build, **settings).fit(X32, Y32, y)
        for build in (lambda d, k: MLP(d, (8,), k), InBfloat16)
    )
    assert half.transform(X32).dtype == np.float32
    assert half.score(X32, Y32, y) == pytest.approx(plain.score(X32, Y32, y), abs=0.02)


def on_disk(kind, V, folder, name):
    path = folder / f"{name}.{kind}"
    if kind == "memmap":
        np.save(path, V)
        return np.load(f"{path}.npy", mmap_mode="r")
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["V"] = V
        return h5py.File(path)["V"]
    stored = zarr.create_array(path, shape=V.shape, chunks=(64, *V.shape[1:]), dtype=V.dtype)
    stored[:] = V
    return stored


@pytest.mark.parametrize("kind", ["memmap", "h5", "zarr"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_rows_on_a_disk_give_the_same_model(kind, early_stopping, tmp_path, monkeypatch):
    """Of fewer rows than a pool holds, to the bit."""
    A, B = on_disk(kind, X32, tmp_path, "x"), on_disk(kind, Y32, tmp_path, "y")
    options = SMALL | {"batch_size": 32, "early_stopping": early_stopping}
    streamed = SupervisedDCCA(2, **options).fit(A, B, y)
    resident = SupervisedDCCA(2, **options).fit(X32, Y32, y)
    assert streamed.loss_curve_ == resident.loss_curve_
    np.testing.assert_array_equal(streamed.transform(A), resident.transform(X32))
    assert streamed.transform(A).dtype == np.float32


@pytest.mark.parametrize("mapped", ["x", "y", "xy"])
def test_maps_of_joblib_hold_rows_in_memory(mapped, tmp_path, monkeypatch):
    """Workers form the batches that the caller forms, however many rows there are."""
    monkeypatch.setattr(networks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(networks, "POOL_BLOCKS", 2)
    folder = tmp_path / "joblib_memmapping_folder_1"
    folder.mkdir()
    views = [
        on_disk("memmap", V, folder, side) if side in mapped else V
        for side, V in (("x", X32), ("y", Y32))
    ]
    options = SMALL | {"batch_size": 32}
    found = SupervisedDCCA(2, **options).fit(*views, y).transform(*views)
    assert_same_bits(found, SupervisedDCCA(2, **options).fit(X32, Y32, y).transform(X32, Y32))


def test_shaped_rows_are_streamed_too(tmp_path):
    images = on_disk("h5", IMAGES, tmp_path, "images")
    model = DCCA(2, x_network=convolutional, **SMALL).fit(images, Y)
    np.testing.assert_allclose(model.transform(images), model.transform(IMAGES), atol=1e-10)


def test_nothing_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(networks, "POOL_BLOCKS", 2)
    monkeypatch.setattr("skcca._core.arrays.block_rows.__defaults__", (50,))
    monkeypatch.setattr("skcca.nn.networks._ROWS_AT_ONCE", 50)
    read = []

    class Recorded:
        def __init__(self, V):
            self.V, self.shape, self.dtype, self.chunks = V, V.shape, V.dtype, (16, V.shape[1])

        def __getitem__(self, rows):
            found = self.V[rows]
            read.append(len(found))
            return found

    model = DCCA(2, **SMALL | {"batch_size": 20}).fit(Recorded(X32), Recorded(Y32))
    assert max(read) <= 50
    assert model.n_epochs_ == SMALL["max_epochs"]


def test_an_epoch_of_streamed_rows_meets_every_row_once(monkeypatch):
    monkeypatch.setattr(networks, "BLOCK_ROWS", 16)
    monkeypatch.setattr(networks, "POOL_BLOCKS", 3)
    from skcca._core.standardize import Standardisation

    source = networks.StreamedRows(X, Standardisation.identity(5), "cpu", X.dtype)
    order = networks.shuffled(200, np.random.default_rng(0), on_disk=True)
    np.testing.assert_array_equal(np.sort(order), np.arange(200))
    assert np.abs(np.diff(order)).max() < 200
    for places in np.split(order, 10):
        np.testing.assert_array_equal(source.take(places).numpy(), X[places])
    assert len(source._blocks) <= 6


def test_values_that_are_not_finite_are_found_on_the_way(tmp_path):
    V = X32.copy()
    V[150, 2] = np.nan
    with pytest.raises(ValueError, match="`X` contains NaN or infinity"):
        DCCA(2, **SMALL).fit(on_disk("memmap", V, tmp_path, "x"), Y32)


def test_weights_and_rows_on_a_disk(tmp_path):
    w = np.ones(200)
    w[::3] = 0
    A, B = on_disk("memmap", X32, tmp_path, "x"), on_disk("memmap", Y32, tmp_path, "y")
    options = SMALL | {"batch_size": None, "dropout": 0}
    streamed = DCCA(2, **options).fit(A, B, sample_weight=w)
    kept = DCCA(2, **options).fit(X32[w > 0], Y32[w > 0])
    np.testing.assert_allclose(streamed.loss_curve_, kept.loss_curve_, atol=1e-5)


# Sequences of any length


class LastState(nn.Module):
    """The state of a recurrent layer at the end of each sequence."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.GRU(n_features, n_outputs, batch_first=True)

    def forward(self, padded, lengths):
        states = self.layer(padded)[0]
        return states[torch.arange(len(states)), lengths - 1]


def sequences(n=200):
    rng = np.random.default_rng(1)
    return [row + rng.normal(size=(rng.integers(2, 9), 5)) for row in X[:n]]


def test_sequences_of_any_length_train_a_network():
    songs = sequences()
    options = SMALL | {"max_epochs": 15, "learning_rate": 1e-2, "early_stopping": True}
    model = SupervisedDCCA(2, x_network=LastState, micro_batch_size=50, **options)
    model.fit(songs, Y, y)
    assert model.n_features_in_ == 5
    assert model.x_loadings_.shape == (5, 2)
    Z = model.transform(songs)
    assert model.score(songs, Y, y) > 1
    # A sequence means the same whatever stands beside it in a batch.
    np.testing.assert_allclose(np.vstack([model.transform([s]) for s in songs[:9]]), Z[:9])
    np.testing.assert_array_equal(next(iter(model.transform(Views(songs, None)))), Z)
    # A Series finds its entries by their labels.
    np.testing.assert_array_equal(model.transform(pd.Series(songs, index=range(7, 207))), Z)


def test_frames_of_sequences_are_standardised():
    model = DCCA(2, x_network=LastState, **SMALL).fit(sequences(), Y)
    scaled = DCCA(2, x_network=LastState, **SMALL).fit([100 * s + 7 for s in sequences()], Y)
    np.testing.assert_allclose(scaled.correlations_, model.correlations_, atol=1e-8)
    frames = np.concatenate(sequences())
    lengths = [len(s) for s in sequences()]
    weights = np.repeat(1 / np.array(lengths), lengths)
    np.testing.assert_allclose(model.x_mean_, np.average(frames, axis=0, weights=weights))


def test_sequences_need_a_network_of_your_own():
    with pytest.raises(ValueError, match=r"`X` holds sequences; give a network"):
        DCCA(2, **SMALL).fit(sequences(), Y)
    with pytest.raises(ValueError, match="reconstruction_weight"):
        DCCA(2, x_network=LastState, reconstruction_weight=1.0, **SMALL).fit(sequences(), Y)


def test_a_single_row_on_a_disk_is_too_few(tmp_path):
    path = tmp_path / "row.npy"
    np.save(path, X[:1])
    with pytest.raises(ValueError, match=r"`X` has shape \(1, \d+\); at least 2 rows"):
        DCCA(1, **SMALL).fit(np.load(path, mmap_mode="r"), Y[:1])
