"""Two networks fitted to two views, and the canonical directions of their outputs.

    minimize  loss(f(X), g(Y))  over the weights of f and g, batch by batch    (`skcca.nn.losses`)
    A, B      canonical directions of f(X), g(Y) over all pairs                (`skcca._core`)

Settings, checked rows, pairs and random numbers come in, and a `Solution` goes out: no function
here knows an estimator.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skcca._core.arrays import input_eps, project
from skcca._core.directions import (
    CanonicalFit,
    canonical_fit,
    pair_correlations,
    with_input_loadings,
)
from skcca._core.lazy import RaggedRows
from skcca._core.pairs import Pairing, Pairs, TrainingData
from skcca._core.standardize import check_varies
from skcca._core.warnings import warn
from skcca._core.whitening import SolverOptions
from skcca.nn.files import Checkpoint, fingerprint, load_checkpoint, save_checkpoint
from skcca.nn.losses import has_float64, make_objective
from skcca.nn.networks import (
    NetworkLike,
    Source,
    ViewFormat,
    build_decoder,
    build_network_for,
    mlp_settings,
    outputs,
)
from skcca.nn.step import (
    Batch,
    BatchSampler,
    Reconstruction,
    TwoViewStep,
    broadcast_parameters,
    world_size,
)
from skcca.nn.training import Run, TrainingResult, resolve_device, seeded, train

# Words of torch when BatchNorm is given a single row in training.
_ONE_ROW = "Expected more than 1 value per channel"


class Epoch(NamedTuple):
    """Results of one epoch, for callbacks."""

    number: int  # from 1
    n_epochs: int  # at most
    loss: float  # mean of the batches
    score: float | None  # held-out total correlation, where rows are held out


class Settings(NamedTuple):
    """Settings of a fit, with the names and meanings of the parameters of `DCCA`."""

    name: str  # of the estimator, for error messages
    pairing: Pairing
    n_components: int
    x_hidden_layer_sizes: Sequence[int]
    y_hidden_layer_sizes: Sequence[int]
    activation: str
    output_activation: str
    dropout: float
    x_network: NetworkLike
    y_network: NetworkLike
    input_noise: float
    loss: str
    reg: float
    reconstruction_weight: float
    optimizer: str
    learning_rate: float
    learning_rate_schedule: str
    weight_decay: float
    max_grad_norm: float | None
    batch_size: int | None
    micro_batch_size: int | None
    max_epochs: int
    average_epochs: int
    n_iter_no_change: int
    verbose: int
    callback: Callable[[Epoch], bool | None] | None
    device: str | torch.device


def check_settings(settings: Settings) -> None:
    """Refuse a device that is not here, and settings that contradict each other."""
    resolve_device(settings.device)
    name = settings.name
    for parameter in ("x_hidden_layer_sizes", "y_hidden_layer_sizes"):
        value = getattr(settings, parameter)
        sizes = np.asarray(value, dtype=object)
        if sizes.ndim != 1 or not all(_is_width(size) for size in sizes):
            raise ValueError(
                f"{name}: `{parameter}`={value!r} must hold integers of 1 or more; () is a network "
                "without hidden layers."
            )
    if settings.optimizer == "lbfgs":
        _check_lbfgs(settings)
    pairing = settings.pairing
    sampled = pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None
    if settings.loss in ("contrastive", "ranking") and sampled:
        raise ValueError(
            f"{name}: `loss`={settings.loss!r} takes rows without a pair for irrelevant, and "
            "sampled pairs leave out rows of the same class; use all pairs (pair_fraction=1.0, "
            "pairs_per_sample=None)."
        )


def _is_width(size: object) -> bool:
    return isinstance(size, (int, np.integer)) and type(size) is not bool and int(size) >= 1


def _check_lbfgs(settings: Settings) -> None:
    if settings.batch_size is not None:
        raise ValueError(
            f"{settings.name}: optimizer='lbfgs' needs the gradient of all rows, but "
            f"`batch_size`={settings.batch_size}; set batch_size=None, and micro_batch_size to "
            "bound the memory."
        )
    if settings.max_grad_norm is not None:
        raise ValueError(
            f"{settings.name}: optimizer='lbfgs' searches along the gradient, which "
            f"`max_grad_norm`={settings.max_grad_norm} would cut; set it to None."
        )
    if settings.weight_decay > 0:
        raise ValueError(
            f"{settings.name}: optimizer='lbfgs' knows no `weight_decay`={settings.weight_decay}; "
            "set it to 0, or choose optimizer='adamw'."
        )


class FittedNetworks(NamedTuple):
    """Networks of an earlier fit, for another to continue."""

    x_network: nn.Module
    y_network: nn.Module
    decoders: list[dict[str, torch.Tensor]]  # weights
    optimizer_state: dict[str, Any] | None
    built_for: dict[str, Any]


class Solution(NamedTuple):
    """Trained networks, the directions of their outputs, and the curves of the training."""

    x_network: nn.Module
    y_network: nn.Module
    decoders: list[dict[str, torch.Tensor]]
    built_for: dict[str, Any]
    directions: CanonicalFit  # of the outputs; loadings of the input features
    loss_curve: list[float]
    validation_scores: list[float]
    optimizer_state: dict[str, Any]
    device: str


Snapshot = Callable[[], Solution]


class _Problem(NamedTuple):
    """Training rows with their pairs and settings."""

    settings: Settings
    data: TrainingData
    pairs: Pairs
    x_format: ViewFormat
    y_format: ViewFormat
    x_rows: Source
    y_rows: Source
    built_for: dict[str, Any]
    device: torch.device


class _Networks(NamedTuple):
    """Networks in training."""

    x: nn.Module
    y: nn.Module
    reconstruction: Reconstruction | None

    @property
    def decoders(self) -> tuple[nn.Module, ...]:
        return () if self.reconstruction is None else self.reconstruction[:2]


def fit_networks(
    settings: Settings,
    data: TrainingData,
    pairs: Pairs,
    x_format: ViewFormat,
    y_format: ViewFormat,
    *,
    validation: tuple[TrainingData, Pairs] | None = None,
    previous: FittedNetworks | None = None,
    rng: np.random.Generator,
    seed: int,
    checkpoint: Checkpoint | None = None,
    before_epoch: Callable[[], None] | None = None,
    after_epoch: Callable[[Snapshot, bool], bool] | None = None,
) -> Solution:
    """Train two networks, and solve for the directions of their outputs.

    The correlation of `validation` rows ends the training early. Of `previous` networks copies are
    trained. `rng` draws the batches, and `seed` makes the weights, the noise and the dropout. A
    `checkpoint` is continued where its file exists, and written on the way.

    ``after_epoch(snapshot, last)`` may return True to stop; ``snapshot()`` returns the solution as
    if the training had ended with this epoch, and `last` tells whether it has.
    """
    device = resolve_device(settings.device)
    _check_precision(settings, data, device)
    x_rows, y_rows = x_format.training_rows(data.X, device), y_format.training_rows(data.Y, device)
    built_for = describe_networks(settings, data, x_format, y_format)
    problem = _Problem(settings, data, pairs, x_format, y_format, x_rows, y_rows, built_for, device)
    check_varies(data.X, x_format.scaling, pairs.row_sums, f"{settings.name}: `X`")
    check_varies(data.Y, y_format.scaling, pairs.column_sums, f"{settings.name}: `y`")
    _check_irrelevant_rows(settings, data)
    batch_size = _check_batch_size(problem)
    with seeded(seed, device) as turn:
        if previous is None:
            networks = _build_networks(problem)
        else:
            networks = _copy_networks(problem, previous)
        state = None
        if checkpoint is not None:
            checkpoint = _with_fingerprints(checkpoint, data, validation, networks)
            state = load_checkpoint(checkpoint, rng, settings.name, settings.max_epochs)

        def end_epoch(run: Run) -> bool:
            if checkpoint is not None and run.epoch % checkpoint.every == 0:
                save_checkpoint(checkpoint, run, rng, settings.name)
            with turn.suspended():
                stop = _call_back(settings, run)
                if after_epoch is not None:
                    last = stop or run.epoch == settings.max_epochs
                    stop |= after_epoch(partial(_snapshot, problem, networks, run), last)
            return stop

        def batches(epoch: int) -> Iterator[Batch]:
            if before_epoch is not None:
                with turn.suspended():
                    before_epoch()
            return sampler(epoch)

        trained = broadcast_parameters([networks.x, networks.y, *networks.decoders], seed, device)
        sampler = BatchSampler(
            x_rows,
            y_rows,
            device,
            data.labels,
            data.weights,
            settings.pairing,
            batch_size=batch_size,
            smallest=max(2 * settings.n_components, world_size()),
            rng=rng,
        )
        monitor = None
        if validation is not None:
            held_out, held_out_pairs = validation
            sources = (
                x_format.training_rows(held_out.X, device),
                y_format.training_rows(held_out.Y, device),
            )
            monitor = partial(_score, problem, networks, *sources, held_out_pairs)
        result = train(
            trained,
            batches,
            partial(_gradients, _make_step(settings, networks), settings),
            optimizer=settings.optimizer,
            learning_rate=settings.learning_rate,
            learning_rate_schedule=settings.learning_rate_schedule,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
            max_epochs=settings.max_epochs,
            average_epochs=settings.average_epochs,
            monitor=monitor,
            n_iter_no_change=settings.n_iter_no_change,
            optimizer_state=None if previous is None else copy.deepcopy(previous.optimizer_state),
            state=state,
            after_epoch=end_epoch,
            verbose=settings.verbose,
            name=settings.name,
        )
    return _solution(problem, networks, result)


def _check_precision(settings: Settings, data: TrainingData, device: torch.device) -> None:
    """Refuse rows in float64 where the device has none."""
    for V, name in ((data.X, "X"), (data.Y, "y")):
        if V.dtype == np.float64 and not has_float64(device):
            raise ValueError(
                f"{settings.name}: `{name}` is float64, which `device`={settings.device!r} does "
                f"not compute in; give both views in float32, {name}.astype('float32'), or set "
                "device='cpu'."
            )


def _check_irrelevant_rows(settings: Settings, data: TrainingData) -> None:
    """Refuse labels by which all rows share a class, where irrelevant rows are to be ranked."""
    if settings.loss != "ranking" or data.labels is None:
        return
    n_x, n_y = ((member != 0).sum(axis=0) for member in (data.labels.x, data.labels.y))
    if ((n_x == data.labels.x.shape[0]) & (n_y == data.labels.y.shape[0])).any():
        raise ValueError(
            f"{settings.name}: `loss`='ranking' compares with rows that share no class, and by "
            "these labels every row shares one with every other; set small memberships to 0, or "
            "choose another loss."
        )


def _check_batch_size(problem: _Problem) -> int:
    """Return the number of rows of a batch; warn of batches that say little of correlations."""
    settings, lengths = problem.settings, (len(problem.x_rows), len(problem.y_rows))
    batch_size = settings.batch_size or max(lengths)
    if batch_size < world_size():
        raise ValueError(
            f"{settings.name}: `batch_size`={batch_size} leaves some of {world_size()} processes "
            "without rows; give each one at least."
        )
    rows = min(batch_size, *lengths)
    if settings.loss in ("trace", "frobenius") and rows < 2 * settings.n_components:
        warn(
            f"{settings.name}: batches of {rows} rows say little of "
            f"`n_components`={settings.n_components} correlations, of which chance alone makes "
            "large ones; raise `batch_size`, lower `n_components`, or use loss='ey'."
        )
    return batch_size


# Networks


def describe_networks(
    settings: Settings, data: TrainingData, x_format: ViewFormat, y_format: ViewFormat
) -> dict[str, Any]:
    """Return the settings and formats that networks must share to be continued."""
    return {
        "features": (data.X.shape[1], data.Y.shape[1]),
        "shapes": (x_format.shape, y_format.shape),
        "dtypes": (str(data.X.dtype), str(data.Y.dtype)),
        "n_components": settings.n_components,
        "optimizer": settings.optimizer,
        "layers": (tuple(settings.x_hidden_layer_sizes), tuple(settings.y_hidden_layer_sizes)),
        "activations": (settings.activation, settings.output_activation),
        "dropout": settings.dropout,
        "reconstruction": settings.reconstruction_weight > 0,
        "own networks": (settings.x_network, settings.y_network),
    }


def _build_networks(problem: _Problem) -> _Networks:
    settings, data, built_for = problem.settings, problem.data, problem.built_for
    x = build_network_for(
        problem.x_rows,
        settings.x_network,
        data.X.shape[1],
        settings.n_components,
        caller=settings.name,
        view="X",
        parameter="x_network",
        **mlp_settings(built_for, 0),
    )
    y = build_network_for(
        problem.y_rows,
        settings.y_network,
        data.Y.shape[1],
        settings.n_components,
        caller=settings.name,
        view="y",
        parameter="y_network",
        **mlp_settings(built_for, 1),
    )
    return _Networks(x, y, _build_decoders(problem, x, y))


def _copy_networks(problem: _Problem, previous: FittedNetworks) -> _Networks:
    """Return copies, because a fit that fails must leave the networks of the last one alone."""
    wanted, built_for = problem.built_for, previous.built_for
    changed = [name for name in wanted if wanted[name] != built_for[name]]
    if changed:
        raise ValueError(
            f"{problem.settings.name}: the last networks are to be continued, but these have "
            f"changed since: {', '.join(changed)}. Set warm_start=False and call fit."
        )
    x = copy.deepcopy(previous.x_network).to(problem.device)
    y = copy.deepcopy(previous.y_network).to(problem.device)
    reconstruction = _build_decoders(problem, x, y)
    if reconstruction is not None:
        reconstruction.x_decoder.load_state_dict(previous.decoders[0])
        reconstruction.y_decoder.load_state_dict(previous.decoders[1])
    return _Networks(x, y, reconstruction)


def _build_decoders(problem: _Problem, x: nn.Module, y: nn.Module) -> Reconstruction | None:
    settings, data = problem.settings, problem.data
    if settings.reconstruction_weight == 0:
        return None
    if isinstance(data.X, RaggedRows) or isinstance(data.Y, RaggedRows):
        raise ValueError(
            f"{settings.name}: `reconstruction_weight`={settings.reconstruction_weight} needs rows "
            "of one shape, which decoders can make; sequences have any length."
        )
    activation = settings.activation
    return Reconstruction(
        build_decoder(x, problem.x_rows, settings.x_hidden_layer_sizes, activation),
        build_decoder(y, problem.y_rows, settings.y_hidden_layer_sizes, activation),
        settings.reconstruction_weight,
    )


# Training


def _make_step(settings: Settings, networks: _Networks) -> TwoViewStep:
    return TwoViewStep(
        networks.x,
        networks.y,
        make_objective(settings.loss, n_components=settings.n_components, reg=settings.reg),
        micro_batch_size=settings.micro_batch_size,
        input_noise=settings.input_noise,
        reconstruction=networks.reconstruction,
    )


def _call_back(settings: Settings, run: Run) -> bool:
    """Call the user's callback, and return whether it asks to stop."""
    if settings.callback is None:
        return False
    score = run.scores[-1] if run.scores else None
    answer = settings.callback(Epoch(run.epoch, settings.max_epochs, run.losses[-1], score))
    if answer is not None and not isinstance(answer, (bool, np.bool_)):
        raise TypeError(
            f"{settings.name}: `callback` must return True to stop, or False or None to go on; got "
            f"{type(answer).__name__}."
        )
    return bool(answer)


def _gradients(step: TwoViewStep, settings: Settings, batch: Batch) -> torch.Tensor:
    """Take a step, and name the parameter that leaves BatchNorm without a variance."""
    try:
        return step(batch)
    except ValueError as error:
        if settings.micro_batch_size is None or _ONE_ROW not in str(error):
            raise
        raise ValueError(
            f"{settings.name}: `micro_batch_size`={settings.micro_batch_size} gives a BatchNorm "
            f"layer one row at a time, which has no variance; set 3 or more. ({error})"
        ) from error


def _score(
    problem: _Problem, networks: _Networks, x_rows: Source, y_rows: Source, pairs: Pairs
) -> float:
    """Return the total correlation of held-out rows under the projection of the training rows."""
    sides = (networks.x, problem.x_rows, x_rows), (networks.y, problem.y_rows, y_rows)
    passes = [(network, side[i]) for i in (0, 1) for network, *side in sides]
    *of_training, zx, zy = outputs(*passes)
    try:
        directions = _solve(problem, *of_training)
    except ValueError:
        # Collapsed outputs have no direction; later epochs may recover.
        return float("-inf")
    # Scores that are not finite are found below.
    with np.errstate(over="ignore", invalid="ignore"):
        x_scores = project(zx, directions.x_mean, directions.x_weights)
        y_scores = project(zy, directions.y_mean, directions.y_weights)
    if not (np.isfinite(x_scores).all() and np.isfinite(y_scores).all()):
        return float("-inf")
    return float(pair_correlations(x_scores, y_scores, pairs).sum())


# Solution


def _solve(problem: _Problem, zx: np.ndarray, zy: np.ndarray) -> CanonicalFit:
    """Return directions of the networks' outputs, with the ridge of the loss."""
    settings = problem.settings
    options = SolverOptions(
        settings.n_components,
        reg=(settings.reg, settings.reg),
        scale=False,
        eps=(input_eps(zx.dtype), input_eps(zy.dtype)),
    )
    try:
        return canonical_fit(zx, zy, problem.pairs, options)
    except ValueError as error:
        raise ValueError(
            f"{settings.name}: training made the outputs of a network constant, or left them "
            f"uncorrelated; lower `learning_rate`={settings.learning_rate!r}, raise `reg`, or "
            f"scale the features. (Of the outputs: {error})"
        ) from error


def _solution(problem: _Problem, networks: _Networks, result: TrainingResult) -> Solution:
    """Solve for directions and loadings, in one forward pass over the training rows."""
    data = problem.data
    zx, zy = outputs((networks.x, problem.x_rows), (networks.y, problem.y_rows))
    directions = _solve(problem, zx, zy)
    x_scores = project(zx, directions.x_mean, directions.x_weights)
    y_scores = project(zy, directions.y_mean, directions.y_weights)
    directions = with_input_loadings(
        directions,
        data.X,
        data.Y,
        x_scores.astype(data.X.dtype, copy=False),
        y_scores.astype(data.Y.dtype, copy=False),
        problem.pairs,
    )
    return Solution(
        networks.x,
        networks.y,
        [{k: v.cpu() for k, v in d.state_dict().items()} for d in networks.decoders],
        problem.built_for,
        directions,
        list(result.loss_curve),
        list(result.validation_scores),
        result.optimizer_state,
        str(problem.device),
    )


def _snapshot(problem: _Problem, networks: _Networks, run: Run) -> Solution:
    """Return the solution as if training had ended with the last epoch."""
    # Copies, because training goes on.
    with run.averaged():
        networks = copy.deepcopy(networks)
    return _solution(problem, networks, copy.deepcopy(run.result()))


# Checkpoints


def _with_fingerprints(
    checkpoint: Checkpoint,
    data: TrainingData,
    validation: tuple[TrainingData, Pairs] | None,
    networks: _Networks,
) -> Checkpoint:
    """Return a checkpoint whose identity tells data and networks, too."""
    network_shapes = [
        [[name, list(value.shape)] for name, value in network.state_dict().items()]
        for network in (networks.x, networks.y)
    ]
    identity = {
        "data_shapes": [list(data.X.shape), list(data.Y.shape)],
        "data": fingerprint(data),
        "validation_data": "" if validation is None else fingerprint(validation[0]),
        "network_shapes": network_shapes,
    }
    return checkpoint._replace(identity=checkpoint.identity | identity)
