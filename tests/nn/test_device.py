"""Networks give on another device what they give on the CPU, to the bit.

The device is that of `benchmarks._pretend`, in a process of its own, as that module asks. It
refuses operations on tensors of both devices, so whatever is fitted there lies on it as a whole.
"""

import contextlib
import functools
import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from _data import make_songs, make_tags, two_views
from sklearn import config_context
from torch import nn
from torch.utils import _pytree, backend_registration

from benchmarks.host_budget import FITS, N_FEATURES, N_ROWS, epoch_counts
from skcca import DCCA, ChunkSelector, ClusterCCA, SupervisedDCCA, Views, metrics
from skcca.metrics import _preparation
from skcca.nn import AttentionTower, attention, losses, networks, songs, two_view

# One worker, so that the process is started once.
pytestmark = [
    pytest.mark.xdist_group("device"),
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="a device in Python needs torch 2.10",
    ),
]


def begin():
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    import benchmarks._pretend  # noqa: F401


@pytest.fixture(scope="module")
def there():
    """Return a function that calls another, with some arguments, where the device is."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=begin) as pool:
        yield lambda law, *args: pool.submit(law, *args).result()


# Ways to a fitted model: functions of a device and of an empty folder

X, Y, LABELS = two_views(60, seed=1)
X, Y = X.astype(np.float32), Y.astype(np.float32)
SONGS, HEARD, _ = make_songs(24)
SONGS = [song.astype(np.float32) for song in SONGS]
IMAGES = np.stack([X[:, :3], X[:, 2:]], axis=1)
SEEN = two_views(len(SONGS), seed=2)[1].astype(np.float32)
UNKNOWN = np.where(np.arange(60) % 4 == 0, None, LABELS)
MEMBERSHIPS = np.random.default_rng(0).dirichlet(np.ones(3), 60)
WEIGHTS = np.random.default_rng(1).uniform(0.5, 2, 60)
SMALL = {
    "x_hidden_layer_sizes": (6,),
    "y_hidden_layer_sizes": (5,),
    "batch_size": 25,
    "max_epochs": 3,
    "average_epochs": 1,
    "random_state": 0,
}
LOSSES = ("trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking")
TOWER = partial(AttentionTower, hidden_size=4, dropout=0.2, frames_per_step=7)


class Grid(nn.Sequential):
    """Convolution and batch normalisation of rows (2, 3)."""

    def __init__(self, n_features, n_outputs):
        layers = nn.Conv1d(2, 4, 2), nn.BatchNorm1d(4), nn.GELU(), nn.Flatten()
        super().__init__(*layers, nn.Linear(8, n_outputs))


def deep(*data, model=SupervisedDCCA, X_val=None, **settings):
    settings = SMALL | settings
    return lambda device, _: model(2, **settings, device=device).fit(
        *(data or (X, Y, LABELS)), X_val=X_val
    )


def selector(y=HEARD, **settings):
    settings = {"hidden_size": 4, "max_epochs": 2, "random_state": 0} | settings
    return lambda device, _: ChunkSelector(**settings, device=device).fit(SONGS, y)


def continued(device, _):
    model = SupervisedDCCA(2, **SMALL, warm_start=True, device=device).fit(X, Y, LABELS)
    return model.fit(X[:50], Y[:50], LABELS[:50])


def in_parts(device, _):
    model = SupervisedDCCA(2, **SMALL, reconstruction_weight=0.3, device=device)
    for rows in (slice(30), slice(30, 60)):
        model.partial_fit(X[rows], Y[rows], LABELS[rows])
    return model


def resumed(**settings):
    def way(device, folder):
        settings["checkpoint"] = folder / "checkpoint"
        deep(**settings, callback=lambda epoch: epoch.number == 2)(device, folder)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is continued after epoch 2")
            return deep(**settings)(device, folder)

    return way


def streamed(device, folder):
    maps = []
    for name, V in (("x.npy", X), ("y.npy", Y)):
        np.save(folder / name, V)
        maps.append(np.load(folder / name, mmap_mode="r"))
    return deep(*maps, LABELS)(device, folder)


def judged(device, _):
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring={"map": metrics.retrieval_map})
    model = SupervisedDCCA(2, **SMALL | {"average_epochs": 2}, device=device)
    model.set_callbacks(monitor).fit(Views(X, Y), LABELS)
    model.scores_ = [row["map"] for row in monitor.get_logs().data if "map" in row]
    assert len(model.scores_) == 3
    return model


def pickled(device, folder):
    model = pickle.loads(pickle.dumps(deep(warm_start=True)(device, folder)))
    return model.fit(X, Y, LABELS)


def patched(way, *changes, devices=("pretend", "cpu")):
    """Return a way on which names of modules have other values, on some devices."""

    def changed(device, folder):
        with contextlib.ExitStack() as stack:
            for module, name, value in changes if device in devices else ():
                stack.enter_context(mock.patch.object(module, name, value))
            return way(device, folder)

    return changed


def in_groups(way):
    """Pass songs in groups of similar lengths, as if they were long."""
    return patched(way, (attention, "_ORDINARY_STEPS", 2), (attention, "_STEPS_AT_ONCE", 60))


def in_little_memory(way):
    """Keep no rows on the device."""
    changes = [(module, "fits", lambda n_bytes, device: False) for module in (networks, songs)]
    return patched(way, *changes, devices=["pretend"])


def solved_there(way):
    """Solve the moments of outputs on the device of the networks."""
    return patched(way, (losses, "HOST_WIDTH", 0), devices=["pretend"])


def tower_of_selector(device, folder):
    network = selector()(device, folder).tower(frozen=True)
    return deep(SONGS, SEEN, HEARD, x_network=network, max_epochs=2)(device, folder)


tower = deep(SONGS, SEEN, HEARD, x_network=TOWER, max_epochs=2)
DEEP = {
    **{f"loss {name}": deep(loss=name) for name in LOSSES},
    **{f"optimizer {name}": deep(optimizer=name) for name in ("adam", "adamw", "sgd")},
    "optimizer lbfgs": deep(optimizer="lbfgs", batch_size=None, max_epochs=2),
    **{f"schedule {name}": deep(learning_rate_schedule=name) for name in ("linear", "cosine")},
    "weight decay, short gradients": deep(weight_decay=0.1, max_grad_norm=0.01),
    "averaged weights": deep(average_epochs=2),
    "micro-batches": deep(micro_batch_size=7),
    "early stopping": deep(early_stopping=True, n_iter_no_change=1),
    "validation data": deep(X_val=Views(X[:20].astype(float), Y[:20]), average_epochs=2),
    "reconstruction": deep(reconstruction_weight=0.5),
    "reconstruction, micro-batches": deep(reconstruction_weight=0.5, micro_batch_size=7),
    "without noise": deep(input_noise=0.0, dropout=0.0),
    "float64": deep(X.astype(float), Y.astype(float), LABELS),
    "weights of rows": deep(X, Y, LABELS, WEIGHTS),
    "sampled pairs": deep(pair_fraction=0.5),
    "two partners": deep(pairs_per_sample=2),
    "blended pairs": deep(instance_weight=0.3, pair_weight="row"),
    "unknown labels": deep(X, Y, UNKNOWN, instance_weight=0.5),
    "tags": deep(X, Y, make_tags(60)),
    "memberships": deep(X, Y, MEMBERSHIPS),
    "unpaired views": deep(X, Y[:40], (LABELS, LABELS[:40])),
    "own pairs": deep(X, Y, model=DCCA),
    "network of the user": deep(IMAGES, Y, LABELS, x_network=Grid),
    "attention tower": tower,
    "attention tower in groups": in_groups(tower),
    "tower of a selector": tower_of_selector,
    "rows on a disk": streamed,
    "rows that do not fit": in_little_memory(deep(early_stopping=True)),
    "songs that do not fit": in_little_memory(tower),
    "rows on a disk that do not fit": in_little_memory(streamed),
    "trace solved there": solved_there(deep()),
    "Frobenius norm solved there": solved_there(deep(loss="frobenius")),
    "warm start": continued,
    "partial fit": in_parts,
    "checkpoint": resumed(),
    "checkpoint, averaged weights": resumed(average_epochs=2),
    "checkpoint, early stopping": resumed(early_stopping=True),
    "callback of scikit-learn": judged,
    "pickle": pickled,
}
SELECTORS = {
    "lstm": selector(),
    "peephole": selector(cell="peephole"),
    "full peepholes": selector(cell="peephole", peepholes="full", optimizer="rmsprop"),
    "head of steps": selector(head="per_step", position=True),
    "tags": selector(make_tags(len(SONGS)), class_weight="balanced", optimizer="sgd"),
    "head of steps, tags": selector(make_tags(len(SONGS)), head="per_step", dropout=0.2),
    "weights of classes": selector(class_weight={"calm": 2.0}, optimizer="adamw"),
    "in groups": in_groups(selector(cell="peephole", dropout=0.2)),
    "songs of a selector that do not fit": in_little_memory(selector()),
}

# Laws


def results(model):
    """Return the numbers of a fitted model by name, and its answers to rows."""
    fitted = {
        name: value.state_dict() if isinstance(value, nn.Module) else value
        for name, value in vars(model).items()
        if name not in {"device_", *model.get_params()}
    }
    if isinstance(model, ChunkSelector):
        for answer in (model.transform, model.attention, model.predict_proba):
            fitted[answer.__name__] = answer(SONGS)
    else:
        rows = X if model.x_network is None else IMAGES if model.x_network is Grid else SONGS
        fitted |= {"transform": model.transform(rows), "transform_y": model.transform_y(Y)}
    leaves, _ = _pytree.tree_flatten_with_path(fitted)
    return {
        _pytree.keystr(path): leaf.cpu() if isinstance(leaf, torch.Tensor) else leaf
        for path, leaf in leaves
        if isinstance(leaf, (torch.Tensor, np.ndarray, float, int))
    }


def check_same_fit(way, folder):
    from benchmarks._pretend import COUNTS

    fitted = []
    for device in ("pretend", "cpu"):
        (folder / device).mkdir()
        before = COUNTS.operations
        model = way(device, folder / device)
        assert model.device_ == device
        assert (COUNTS.operations > before) == (device == "pretend")
        fitted.append(results(model))
    found, expected = fitted
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def check_deep(name, folder):
    check_same_fit(DEEP[name], folder)


def check_selector(name, folder):
    check_same_fit(SELECTORS[name], folder)


@pytest.mark.parametrize("name", DEEP)
def test_networks_of_two_views_are_those_of_the_cpu(there, name, tmp_path):
    there(check_deep, name, tmp_path)


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_are_those_of_the_cpu(there, name, tmp_path):
    there(check_selector, name, tmp_path)


def check_files(folder):
    fitted = {"deep": deep()("pretend", folder), "selector": selector()("pretend", folder)}
    for name, model in fitted.items():
        model.save(folder / name)
        read = type(model).load(folder / name)
        rows = X if name == "deep" else SONGS
        network = read.x_network_ if name == "deep" else read.network_
        assert {p.device.type for p in network.parameters()} == {"cpu"}
        np.testing.assert_array_equal(
            read.set_params(device="cpu").transform(rows), model.transform(rows)
        )


def test_files_bring_networks_to_the_cpu(there, tmp_path):
    there(check_files, tmp_path)


def check_scores():
    Q, G = (torch.tensor(V[:, :4]) for V in (X, Y))

    def check(**settings):
        for measure in (metrics.average_precision_scores, metrics.retrieval_precision_recall):
            expected = measure(Q.numpy(), G.numpy(), **settings)
            found = measure(Q.to("pretend"), G.to("pretend"), **settings)
            np.testing.assert_array_equal(found, expected)

    for labels in (LABELS, make_tags(60)):
        for exclude_self in (False, True):
            check(query_labels=labels, exclude_self=exclude_self)
            # As tensors on CUDA, these are ranked where they lie.
            with mock.patch.object(_preparation, "_gpu_of", lambda V: str(V.device)):
                check(query_labels=labels, exclude_self=exclude_self)


def test_scores_of_tensors_are_those_of_arrays(there):
    there(check_scores)


def check_array_api():
    with config_context(array_api_dispatch=True):
        models = [
            ClusterCCA(2).fit(*(torch.tensor(V, device=device) for V in (X, Y, LABELS)))
            for device in ("pretend", "cpu")
        ]
        for name in ("x_weights_", "y_weights_", "x_loadings_", "correlations_"):
            found, expected = (getattr(model, name) for model in models)
            assert found.device.type == "pretend"
            np.testing.assert_array_equal(found.cpu(), expected, err_msg=name)


def test_linear_models_of_tensors_are_those_of_the_cpu(there):
    there(check_array_api)


def check_refusals():
    x, h = torch.ones(3, 2, device="pretend"), torch.ones(3, 2)
    for mixture in (
        lambda: x + h,
        lambda: x.T @ h,
        lambda: torch.cat([h, x]),
        lambda: torch.where(x > 0, h, x),
        lambda: h.index_select(0, torch.arange(2, device="pretend")),
        lambda: nn.Linear(2, 2)(x),
        lambda: x.add_(h),
    ):
        with pytest.raises(RuntimeError, match="tensors to be on the same device"):
            mixture()
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        np.asarray(x)
    # As on CUDA, numbers without a dimension and places may lie on the host.
    assert (x + torch.tensor(1.0))[torch.arange(2)].cpu().tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_operations_on_tensors_of_both_devices_are_refused(there):
    there(check_refusals)


# Settings by which numbers take another way to the device.
FLOAT32 = [
    *(f"loss {name}" for name in LOSSES),
    "optimizer adam", "averaged weights", "validation data", "reconstruction, micro-batches",
    "sampled pairs", "blended pairs", "memberships", "unpaired views", "attention tower",
    "rows on a disk", "rows that do not fit", "partial fit", "checkpoint, averaged weights",
    "trace solved there", "lstm", "head of steps, tags", "weights of classes",
]  # fmt: skip


def check_float32(name, folder):
    from benchmarks._pretend import without_float64

    way = patched(
        (DEEP | SELECTORS)[name],
        (losses, "has_float64", lambda device: device.type == "cpu"),
    )
    for device in ("pretend", "cpu"):
        (folder / device).mkdir()
    with without_float64():
        with pytest.raises(TypeError, match=r"has no torch\.float64"):
            torch.ones(1, device="pretend").double()
        model = way("pretend", folder / "pretend")
    expected = way("cpu", folder / "cpu")
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve_, rtol=1e-3)


@pytest.mark.parametrize("name", FLOAT32)
def test_nothing_is_float64_where_a_device_has_none(there, name, tmp_path):
    there(check_float32, name, tmp_path)


def check_refusal():
    rows = X.astype(float), Y
    with (
        mock.patch.object(two_view, "has_float64", return_value=False),
        pytest.raises(ValueError, match=r"`X` is float64, which `device`='pretend' does not"),
    ):
        SupervisedDCCA(2, **SMALL, device="pretend").fit(*rows, LABELS)


def test_rows_in_float64_are_refused_where_a_device_has_none(there):
    there(check_refusal)


# Budget of the host

N_STEPS = 4
budgeted = pytest.mark.parametrize("name", FITS)


@functools.cache
def counted(name, n_features=N_FEATURES):
    """Return the counts of epochs 2 to 6 of the same steps."""
    return epoch_counts(partial(FITS[name](n_features), N_STEPS))


def check_stalls(name):
    # The correlation of validation data is that of outputs, which are copied once an epoch.
    own = 2 if "early stopping" in name else 1
    for counts in counted(name):
        assert counts.looks + counts.to_host <= N_STEPS + own
        assert counts.stalls <= N_STEPS + own, counts.places


@budgeted
def test_the_host_waits_once_a_step_and_once_an_epoch(there, name):
    there(check_stalls, name)


def check_rows_stay(name):
    narrow, wide = counted(name)[-1], counted(name, 3 * N_FEATURES)[-1]
    assert wide.to_device_bytes == narrow.to_device_bytes
    # Two places, two weights and shares in four classes of a row, twice for blended pairs.
    assert narrow.to_device_bytes < N_ROWS * 8 * 2 * (2 + 2 + 2 * 4)


# The others take rows and pairs as one of these does.
@pytest.mark.parametrize(
    "name",
    [
        *(f"SupervisedDCCA, {pairs}" for pairs in ("trace", "sampled pairs", "blended pairs")),
        "DCCA, early stopping",
        "ChunkSelector, lstm",
    ],
)
def test_rows_are_copied_to_the_device_before_the_second_epoch(there, name):
    there(check_rows_stay, name)


def check_memory(name):
    of_epoch = dict(enumerate(counted(name), start=2))
    assert of_epoch[3].live_bytes == of_epoch[6].live_bytes > 0


@budgeted
def test_memory_does_not_grow_from_epoch_to_epoch(there, name):
    there(check_memory, name)
