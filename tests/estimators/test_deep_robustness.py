"""Deep estimators under bad input, settings and networks, and continuations that fail."""

import re
from functools import partial

import h5py
import numpy as np
import pytest
import torch
from _data import two_views
from _models import SMALL
from torch import nn

from skcca import DCCA, SupervisedDCCA, Views

X, Y, y = two_views(120)
HELD = Views(*two_views(60, seed=0)[:2])
y_held = two_views(60, seed=0)[2]
WITH_NAN = X.copy()
WITH_NAN[3, 2] = np.nan
EXACT = SMALL | {"dropout": 0, "input_noise": 0, "batch_size": None}  # no random numbers


class Own(nn.Module):
    """A linear network that does something else beside."""

    def __init__(self, forward, width=5):
        super().__init__()
        self.layer, self.how = nn.Linear(width, 3), forward

    def forward(self, *rows):
        return self.how(self.layer, *rows)


def batch_norm(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, n_outputs), nn.BatchNorm1d(n_outputs))


# What is refused


@pytest.mark.parametrize("sizes", [(), [8], np.array([8, 4]), (np.int64(8),)])
def test_sizes_of_any_sequence_of_integers_are_taken(sizes):
    model = DCCA(2, **SMALL | {"x_hidden_layer_sizes": sizes, "max_epochs": 1}).fit(X, Y)
    layers = [m for m in model.x_network_.layers if isinstance(m, nn.Linear)]
    assert [layer.out_features for layer in layers] == [*sizes, 2]


@pytest.mark.parametrize("size", [1, 2])
def test_single_rows_in_a_batch_norm_are_told_by_the_size_of_the_pieces(size):
    """Of an odd number of rows pieces of two at most leave single ones."""
    options = SMALL | {"x_network": batch_norm, "max_epochs": 1}
    with pytest.raises(ValueError, match=f"DCCA: `micro_batch_size`={size} gives a BatchNorm"):
        DCCA(2, micro_batch_size=size, **options).fit(X[:-1], Y[:-1])
    DCCA(2, micro_batch_size=3, **options).fit(X[:-1], Y[:-1])


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"X_val": Views(WITH_NAN, Y)}, "`X_val` cannot be used: Input X contains NaN"),
        ({"X_val": Views(X, WITH_NAN[:, :4])}, "`X_val` cannot be used: Input y contains NaN"),
        ({"X_val": Views(X[:, :3], Y)}, "`X_val` cannot be used: X has 3 features"),
        ({"X_val": Views(X, Y[:, :3])}, "`X_val` cannot be used: y has 3 features"),
        ({"X_val": Views(X, None)}, "`X_val` cannot be used"),
        ({"X_val": HELD, "y_val": y}, "`y_val` has 120 entries but `X_val` has 60 rows"),
        ({"X_val": HELD, "y_val": list(y)}, "`y_val` has 120 entries but `X_val` has 60 rows"),
        ({"X_val": HELD, "y_val": HELD}, "`y_val` holds labels"),
        ({"X_val": X}, "`X_val` must be a Views"),
        ({"X_val": Views(X[:2], Y[:2])}, ".*has 2 rows"),
        ({"y_val": y}, "`y_val` was given without `X_val`"),
    ],
)
@pytest.mark.parametrize("estimator", [DCCA, SupervisedDCCA])
def test_bad_validation_sets_are_told_by_their_own_names(estimator, held, message):
    with pytest.raises(ValueError, match=f"{estimator.__name__}: {message}"):
        estimator(2, **SMALL).fit(X, Y, y, **held)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.where(y_held == 0, np.nan, y_held), "`X_val` .*missing values.*instance_weight"),
        ([None] * 60, "`y_val` must hold at least 2 classes.* got 0"),
        (np.full(60, 0.5), "`y_val` is continuous"),
        (np.zeros(60, int), "`y_val` must hold at least 2 classes.* got 1"),
    ],
)
def test_bad_validation_labels_are_told_by_their_own_name(labels, message):
    with pytest.raises(ValueError, match=message):
        SupervisedDCCA(2, **SMALL).fit(X, Y, y, X_val=HELD, y_val=labels)


def test_validation_rows_on_a_disk_are_told_by_their_own_name(tmp_path):
    np.save(tmp_path / "x.npy", WITH_NAN)
    held = Views(np.load(tmp_path / "x.npy", mmap_mode="r"), Y)
    with pytest.raises(ValueError, match="`X_val` contains NaN"):
        DCCA(2, **SMALL).fit(X, Y, X_val=held)


@pytest.mark.parametrize(("answer", "n_epochs"), [(None, 3), (np.False_, 3), (np.True_, 1)])
def test_a_callback_may_answer_as_numpy_does(answer, n_epochs):
    assert DCCA(2, callback=lambda epoch: answer, **SMALL).fit(X, Y).n_epochs_ == n_epochs


def test_a_view_of_a_closed_file_is_named(tmp_path):
    with h5py.File(tmp_path / "views.h5", "w") as file:
        file["X"], file["Y"] = X, Y
        A, B = file["X"], file["Y"]
        model = DCCA(2, **SMALL).fit(A, B)
    for call, name in (
        (lambda: DCCA(2, **SMALL).fit(A, Y), "X"),
        (lambda: DCCA(2, **SMALL).fit(X, B), "y"),
        (lambda: DCCA(2, **SMALL).partial_fit(X, B), "y"),
        (lambda: model.transform(A), "X"),
        (lambda: model.transform_y(B), "y"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` cannot be read; is its file closed"):
            call()


@pytest.mark.parametrize("dtype", ["S3", "U3", "c16", "M8[s]"])
@pytest.mark.parametrize("name", ["X", "y"])
def test_views_on_a_disk_hold_numbers(dtype, name, tmp_path):
    V = np.memmap(tmp_path / "view", dtype=dtype, mode="w+", shape=(120, 4))
    views = (V, Y) if name == "X" else (X, V)
    with pytest.raises(ValueError, match=rf"`{name}` h.* {re.escape(str(V.dtype))}"):
        DCCA(2, **SMALL).fit(*views)


BAD_NETWORKS = {
    "adds to its input": (lambda layer, x: layer(x.add_(1)), "changes its input in place"),
    "returns NaN": (lambda layer, x: layer(x) * np.nan, "returned NaN or infinity"),
    "returns bfloat16": (lambda layer, x: layer(x).bfloat16(), "tensor of floats.* torch.bfloat16"),
    "returns integers": (lambda layer, x: layer(x).long(), "tensor of floats.* torch.int64"),
    "returns no column": (lambda layer, x: layer(x)[:, :0], r"\(4, width\); .* \(4, 0\)"),
    "returns a vector": (lambda layer, x: layer(x)[:, 0], r"\(4, width\); .* \(4,\)"),
    "loses a row": (lambda layer, x: layer(x)[:-1], r"\(4, width\); .* \(3, 3\)"),
    "returns a tuple": (lambda layer, x: (layer(x),), "got tuple"),
    "fails": (lambda layer, x: layer(x[:, 1:]), "failed on a batch of shape"),
}


@pytest.mark.parametrize("case", BAD_NETWORKS)
def test_networks_that_cannot_serve_are_refused_by_name(case):
    forward, message = BAD_NETWORKS[case]
    with pytest.raises(ValueError, match=f"`x_network` .*{message}"):
        DCCA(2, x_network=Own(forward), **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match=f"`y_network` .*{message}"):
        DCCA(2, y_network=Own(forward, width=4), **SMALL).fit(X, Y)


def without_gradients(context):
    def forward(layer, x):
        with context():
            return layer(x)

    return forward


DETACHED = {
    "detached": lambda layer, x: layer(x).detach(),
    "in training": lambda layer, x: layer(x).detach() if layer.training else layer(x),
    "no_grad": without_gradients(torch.no_grad),
    "inference_mode": without_gradients(torch.inference_mode),
    "NumPy": lambda layer, x: torch.from_numpy(layer(x).detach().numpy() + 1),
    "another graph": lambda layer, x: layer(x).detach().requires_grad_() * 2,
}


@pytest.mark.parametrize("micro_batch_size", [None, 50])
@pytest.mark.parametrize("case", DETACHED)
def test_networks_that_cannot_learn_are_refused_by_name(case, micro_batch_size):
    options = SMALL | {"micro_batch_size": micro_batch_size}
    with pytest.raises(ValueError, match="`x_network` cannot be trained: its outputs are detached"):
        DCCA(2, x_network=Own(DETACHED[case]), **options).fit(X, Y)
    with pytest.raises(ValueError, match="`y_network` cannot be trained: its outputs are detached"):
        DCCA(2, y_network=Own(DETACHED[case], width=4), **options).fit(X, Y)
    DCCA(2, x_network=Own(DETACHED[case]).requires_grad_(False), **options).fit(X, Y)


@pytest.mark.parametrize(
    "network", [nn.Linear(5, 2, device="meta"), partial(nn.Linear, device="meta")]
)
def test_networks_without_numbers_are_refused_by_name(network):
    with pytest.raises(ValueError, match="`x_network` lies on the device 'meta'"):
        DCCA(2, x_network=network, **SMALL).fit(X, Y)


CONSTANT = {
    "X": ((np.ones_like(X), Y), None),
    "y": ((X, np.full_like(Y, 0.1)), None),
    "rows that count": ((np.where(np.arange(120)[:, None] < 60, 1.0, X), Y), np.arange(120) < 60),
}


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("case", CONSTANT)
def test_constant_views_are_named_before_training(case, scale):
    views, weights = CONSTANT[case]
    told, name = [], "y" if case == "y" else "X"
    model = DCCA(2, scale=scale, callback=told.append, **SMALL)
    with pytest.raises(ValueError, match=f"DCCA: `{name}` has no feature that varies"):
        model.fit(*views, sample_weight=weights)
    with pytest.raises(ValueError, match=f"DCCA: `{name}` has no feature that varies"):
        DCCA(2, scale=scale, **SMALL).partial_fit(X, Y).partial_fit(*views, sample_weight=weights)
    assert told == []


def test_networks_that_lose_rows_in_training_alone_are_refused():
    network = Own(lambda layer, x: layer(x)[: -1 if layer.training else None])
    with pytest.raises(ValueError, match=r"each of 120 rows, also in training; got \(119, 3\)"):
        DCCA(2, x_network=network, **SMALL).fit(X, Y)


# What is told


@pytest.mark.parametrize("loss", ["trace", "frobenius"])
def test_batches_that_say_little_of_the_correlations_warn(loss):
    options = SMALL | {"batch_size": 5, "max_epochs": 1}
    with pytest.warns(UserWarning, match="batches of 5 rows say little of `n_components`=3"):
        DCCA(3, loss=loss, **options).fit(X, Y)


@pytest.mark.parametrize(
    ("loss", "batch_size"), [("trace", 6), ("frobenius", 6), ("soft_hgr", 5), ("ey", 5)]
)
def test_batches_that_say_enough_do_not_warn(loss, batch_size):
    DCCA(3, loss=loss, **SMALL | {"batch_size": batch_size, "max_epochs": 1}).fit(X, Y)


# Continuation


def again(model, how):
    """Train on the rows once more."""
    return model.partial_fit(X, Y) if how == "partial_fit" else model.fit(X, Y)


HOW = pytest.mark.parametrize("how", ["warm_start", "partial_fit"])


@HOW
@pytest.mark.parametrize("calls", [3, 5], ids=["third batch", "callback after four batches"])
def test_a_continuation_that_fails_leaves_the_model_as_it_was(how, calls):
    left = [np.inf]

    def count(*_):
        left[0] -= 1
        if left[0] == 0:
            raise RuntimeError("power cut")

    def forward(layer, x):
        if layer.training:
            count()
        return layer(x)

    own = {"x_network": lambda *_: Own(forward), "callback": count, "batch_size": 30}
    model = DCCA(2, warm_start=how == "warm_start", **SMALL | own)
    again(model, how)
    before, Z, curve = dict(vars(model)), model.transform(X, Y), list(model.loss_curve_)
    left[0] = calls
    with pytest.raises(RuntimeError, match="power cut"):
        again(model, how)
    assert {k: id(v) for k, v in vars(model).items()} == {k: id(v) for k, v in before.items()}
    assert model.loss_curve_ == curve
    for a, b in zip(model.transform(X, Y), Z, strict=True):
        np.testing.assert_array_equal(a, b)


@HOW
def test_decoders_continue_with_the_networks(how):
    options = EXACT | {"reconstruction_weight": 1.0, "learning_rate": 0.01}
    once = DCCA(2, **options | {"max_epochs": 6}).fit(X, Y)
    if how == "warm_start":
        model = DCCA(2, warm_start=True, **options)
        curve = model.fit(X, Y).loss_curve_ + model.fit(X, Y).loss_curve_
    else:
        model = DCCA(2, **options)
        for _ in range(6):
            curve = model.partial_fit(X, Y).loss_curve_
    np.testing.assert_allclose(curve, once.loss_curve_, atol=1e-8)


@HOW
def test_decoders_are_not_added_on_the_way(how):
    model = DCCA(2, warm_start=True, **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match=r"have changed since: reconstruction\."):
        again(model.set_params(reconstruction_weight=1.0), how)
    model = DCCA(2, warm_start=True, reconstruction_weight=1.0, **SMALL).fit(X, Y)
    again(model.set_params(reconstruction_weight=2.0), how)  # the same decoders


@HOW
def test_weight_decay_may_change_on_the_way(how):
    """A step of `sgd` makes weights shorter by learning_rate * weight_decay, here by a half."""
    options = EXACT | {"optimizer": "sgd", "learning_rate": 0.01, "max_epochs": 1}
    model = DCCA(2, warm_start=True, **options).fit(X, Y)
    norm = torch.linalg.norm(model.x_network_.layers[0].weight).item()
    again(model.set_params(weight_decay=50.0), how)
    decayed = torch.linalg.norm(model.x_network_.layers[0].weight).item()
    assert decayed == pytest.approx(norm / 2, rel=0.05)


# Training


def test_held_out_rows_with_outputs_that_are_not_finite_are_never_the_best():
    broken = [True]

    def forward(layer, x):
        return layer(x) * (np.inf if broken[0] and len(x) == len(HELD) else 1.0)

    def mend(epoch):
        broken[0] = False

    own = {"x_network": lambda *_: Own(forward), "callback": mend, "max_epochs": 4}
    model = DCCA(2, **SMALL | own).fit(X, Y, X_val=HELD)
    assert model.validation_scores_[0] == -np.inf
    assert model.n_epochs_ == 4
    assert model.score(HELD) == pytest.approx(max(model.validation_scores_), abs=1e-8)


def test_a_factory_may_return_one_module_for_both_views():
    module = nn.Linear(5, 3)
    before = module.weight.clone()
    model = DCCA(2, x_network=lambda *_: module, y_network=lambda *_: module, **SMALL)
    model.fit(X, X[:, ::-1].copy())
    assert torch.equal(module.weight, before)
    assert module.weight.dtype == torch.float32
    assert not torch.equal(model.x_network_.weight, model.y_network_.weight)


@pytest.mark.parametrize("estimator", [DCCA, SupervisedDCCA])
@pytest.mark.parametrize("noise", [{}, {"dropout": 0.2, "input_noise": 0.5}])
def test_lbfgs_bears_dropout_and_noise(estimator, noise):
    options = SMALL | {"batch_size": None, "learning_rate": 1, "max_epochs": 8} | noise
    model = estimator(2, optimizer="lbfgs", **options).fit(X, Y, y)
    assert np.isfinite(model.loss_curve_).all()
    assert np.mean(model.loss_curve_[-3:]) < model.loss_curve_[0] - 0.3
    assert np.isfinite(model.transform(X)).all()


def test_fewer_epochs_than_are_averaged_are_averaged_all():
    expected = DCCA(2, average_epochs=3, **SMALL).fit(X, Y)
    model = DCCA(2, average_epochs=9, **SMALL).fit(X, Y)
    assert model.n_epochs_ == 3
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))
    last = DCCA(2, average_epochs=1, **SMALL).fit(X, Y)
    assert np.abs(model.transform(X) - last.transform(X)).max() > 1e-6


@pytest.mark.parametrize(
    ("estimator", "others"),
    [
        (DCCA, {"input_noise"}),
        (
            SupervisedDCCA,
            {"activation", "output_activation", "input_noise", "reg", "average_epochs"},
        ),
    ],
)
def test_the_paper_differs_where_the_docstring_says_so(estimator, others):
    default, paper = estimator().get_params(), estimator.paper().get_params()
    assert {name for name in default if default[name] != paper[name]} == others


# Sequences and rows


def mean_frame(layer, padded, lengths=None):
    return layer(padded.sum(dim=1) / (padded.shape[1] if lengths is None else lengths[:, None]))


SONGS = [row + np.zeros((1 + i % 4, 5)) for i, row in enumerate(X)]
CUBE = np.repeat(X[:, None], 3, axis=1)  # (120, 3, 5)


def test_a_view_of_sequences_stays_one():
    model = DCCA(2, x_network=Own(mean_frame), **SMALL).fit(SONGS, Y)
    for rows in (X, CUBE):
        with pytest.raises(ValueError, match=r"`X` holds rows, but .* a list of sequences"):
            model.transform(rows)
    assert model.transform(SONGS).shape == (120, 2)
    assert model.transform_y(Y).shape == (120, 2)  # of rows, as in fit
    with pytest.raises(ValueError, match=r"`y` holds sequences, but .* was fitted on rows"):
        model.transform_y(SONGS)


@pytest.mark.parametrize(("rows", "network"), [(X, None), (CUBE, Own(mean_frame))])
def test_a_view_of_rows_stays_one(rows, network):
    model = DCCA(2, x_network=network, **SMALL).fit(rows, Y)
    with pytest.raises(ValueError, match=r"`X` holds sequences, but .* was fitted on rows"):
        model.transform(SONGS)


def test_views_of_sequences_are_remembered_each_for_itself():
    model = DCCA(2, y_network=Own(mean_frame), **SMALL).fit(Y, SONGS)
    assert model.transform(Y).shape == (120, 2)
    with pytest.raises(ValueError, match=r"`y` holds rows, but .* a list of sequences"):
        model.transform_y(X)
