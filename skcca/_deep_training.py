"""One training of two networks: what an estimator's parameters mean to the loop of `skcca.nn`."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcca._features import block_rows, project, working_eps
from skcca._lazy import RaggedRows
from skcca._linalg import CanonicalFit, canonical_fit, pair_correlations
from skcca._pairing import Pairs
from skcca._validation import TrainingData
from skcca._warnings import warn
from skcca._whitening import Options

if TYPE_CHECKING:
    import torch

    from skcca.nn.batches import Source
    from skcca.nn.step import Reconstruction
    from skcca.nn.training import Run, TrainingResult

    Rows = tuple[Source, Source]

_ONE_ROW = "Expected more than 1 value per channel"  # torch of BatchNorm in training


class Epoch(NamedTuple):
    """What a `callback` is told after each epoch."""

    number: int  # from 1
    n_epochs: int  # at most
    loss: float  # mean of the batches
    score: float | None  # held-out total correlation, where rows are held out


class DeepTraining:
    """Train the networks of an estimator on checked data.

    Parameters
    ----------
    model : DeepCCA
        The estimator: its parameters are read, and its networks are set.
    data, pairs : TrainingData, Pairs
        Rows to train on, and which belong together.
    held_out : tuple of TrainingData and Pairs, or None
        Rows that tell when to stop.
    rng : numpy.random.Generator
        Draws batches.
    device : torch.device
        Where to compute.
    """

    def __init__(
        self,
        model: Any,
        data: TrainingData,
        pairs: Pairs,
        held_out: tuple[TrainingData, Pairs] | None,
        rng: np.random.Generator,
        device: torch.device,
    ):
        self.model, self.data, self.pairs, self.held_out = model, data, pairs, held_out
        self.rng, self.device = rng, device
        self.rows: Rows = (self._source(data.X, "x"), self._source(data.Y, "y"))

    def _source(self, V: Any, side: str) -> Source:
        """Return the rows of a view, on the device where they are one array in memory."""
        from skcca.nn.batches import ResidentRows

        if not isinstance(V, np.ndarray):
            return self.model._streamed(V, side, self.device, V.dtype)
        shape = getattr(self.model, f"_{side}_shape")
        rows = self.model._scaling(side).apply(V, V.dtype)
        return ResidentRows(rows.reshape(-1, *shape), self.device)

    def run(self, n_epochs: int, *, seed: int, keep: bool) -> TrainingResult:
        """Train for so many epochs at most; networks that are there are kept if asked."""
        from skcca.nn.batches import BatchSampler
        from skcca.nn.objectives import make_objective
        from skcca.nn.parallel import begin_alike, world_size
        from skcca.nn.step import TwoViewStep
        from skcca.nn.training import seeded, train

        model = self.model
        batch_size = model.batch_size or max(len(rows) for rows in self.rows)
        if batch_size < world_size():
            raise ValueError(
                f"{type(model).__name__}: `batch_size`={batch_size} leaves some of "
                f"{world_size()} processes without rows; give each one at least."
            )
        self._warn_of_small_batches(batch_size)
        with seeded(seed, self.device):
            optimizer_state = self._set_networks(keep=keep)
            reconstruction = self._reconstruction(keep=keep)
            decoders = (reconstruction or ())[:2]
            trained = begin_alike([model.x_network_, model.y_network_, *decoders], seed)
            sampler = BatchSampler(
                *self.rows,
                self.device,
                self.data.labels,
                self.data.weights,
                model._pairing(),
                batch_size=batch_size,
                smallest=max(2 * model.n_components, world_size()),
                rng=self.rng,
            )
            step = TwoViewStep(
                model.x_network_,
                model.y_network_,
                make_objective(model.loss, n_components=model.n_components, reg=model.reg),
                micro_batch_size=model.micro_batch_size,
                input_noise=model.input_noise,
                reconstruction=reconstruction,
            )
            hooks = Hooks(self, n_epochs)

            def gradients(batch: Any) -> Any:
                try:
                    return step(batch)
                except ValueError as error:
                    if model.micro_batch_size is None or _ONE_ROW not in str(error):
                        raise
                    raise ValueError(
                        f"{type(model).__name__}: `micro_batch_size`={model.micro_batch_size} "
                        "gives a BatchNorm layer one row at a time, which has no variance; set 3 "
                        f"or more. ({error})"
                    ) from error

            def batches(epoch: int) -> Iterator[Any]:
                hooks.before_epoch()
                return sampler(epoch)

            result = train(
                trained,
                batches,
                gradients,
                optimizer=model.optimizer,
                learning_rate=model.learning_rate,
                learning_rate_schedule=model.learning_rate_schedule,
                weight_decay=model.weight_decay,
                max_grad_norm=model.max_grad_norm,
                max_epochs=n_epochs,
                average_epochs=model.average_epochs,
                monitor=None if self.held_out is None else self._monitor,
                n_iter_no_change=model.n_iter_no_change,
                optimizer_state=optimizer_state,
                state=hooks.resumed(),
                after_epoch=hooks.after_epoch,
                verbose=model.verbose,
                name=type(model).__name__,
            )
        model._decoders = [
            {k: v.cpu() for k, v in decoder.state_dict().items()} for decoder in decoders
        ]
        return result

    def _set_networks(self, *, keep: bool) -> dict[str, Any] | None:
        """Set both networks; those that are kept bring their optimizer's state."""
        from skcca.nn.networks import build_network, check_outputs, place

        model, name = self.model, type(self.model).__name__
        first = [rows.take(slice(0, 4)) for rows in self.rows]
        built_for = {
            "features": (self.data.X.shape[1], self.data.Y.shape[1]),
            "shapes": (model._x_shape, model._y_shape),
            "dtypes": tuple(str(V.dtype) for V in (self.data.X, self.data.Y)),
            "n_components": model.n_components,
            "optimizer": model.optimizer,
            "layers": (tuple(model.x_hidden_layer_sizes), tuple(model.y_hidden_layer_sizes)),
            "activations": (model.activation, model.output_activation),
            "dropout": model.dropout,
            "reconstruction": model.reconstruction_weight > 0,
            "own networks": (model.x_network, model.y_network),
        }
        if keep and hasattr(model, "x_network_"):
            changed = [what for what in built_for if built_for[what] != model._built_for[what]]
            if changed:
                raise ValueError(
                    f"{name}: the last networks are to be continued, but these have changed since: "
                    f"{', '.join(changed)}. Set warm_start=False and call fit."
                )
            # Copies: a fit that fails must leave the networks of the last one as they were.
            kept = copy.deepcopy((model.x_network_, model.y_network_, model._optimizer_state))
            model.x_network_, model.y_network_ = (network.to(self.device) for network in kept[:2])
            return kept[2]
        model._built_for = built_for
        for side, rows, V, own, sizes in (
            ("x", first[0], self.data.X, model.x_network, model.x_hidden_layer_sizes),
            ("y", first[1], self.data.Y, model.y_network, model.y_hidden_layer_sizes),
        ):
            view = "X" if side == "x" else "y"
            if own is None and isinstance(rows, tuple):
                raise ValueError(
                    f"{name}: `{view}` holds sequences; give a network that takes a padded batch "
                    f"(n, T, {V.shape[1]}) and lengths (n,), {side}_network=..., or one array of "
                    "features per row: ChunkSelector makes them."
                )
            if own is None and rows.ndim > 2:
                raise ValueError(
                    f"{name}: `{view}` has {rows.ndim} dimensions; give a "
                    f"network that takes rows of shape {tuple(rows.shape[1:])}, "
                    f"{side}_network=..., or flatten them."
                )
            built = build_network(
                own,
                V.shape[1],
                model.n_components,
                hidden_layer_sizes=tuple(sizes),
                activation=model.activation,
                output_activation=model.output_activation,
                dropout=model.dropout,
            )
            place(built, rows)
            check_outputs(built, rows, f"{side}_network")
            setattr(model, f"{side}_network_", built)
        return None

    def _reconstruction(self, *, keep: bool) -> Reconstruction | None:
        """Return the decoders of DCCAE: the hidden layers of the networks in reverse order."""
        from skcca.nn.networks import width_of
        from skcca.nn.step import Reconstruction
        from skcca.nn.towers import MLP

        model = self.model
        if model.reconstruction_weight == 0:
            return None
        if any(isinstance(V, RaggedRows) for V in (self.data.X, self.data.Y)):
            raise ValueError(
                f"{type(model).__name__}: `reconstruction_weight`={model.reconstruction_weight} "
                "needs rows of one shape, which decoders can make; sequences have any length."
            )
        decoders = []
        for network, rows, sizes in (
            (model.x_network_, self.rows[0], model.x_hidden_layer_sizes),
            (model.y_network_, self.rows[1], model.y_hidden_layer_sizes),
        ):
            some = rows.take(slice(0, 4))
            decoder = MLP(
                width_of(network, some),
                tuple(sizes)[::-1],
                some[0].numel(),
                activation=model.activation,
                output_activation="identity",
            )
            decoders.append(decoder.to(some.device, some.dtype))
        if keep and hasattr(model, "_decoders"):
            for decoder, weights in zip(decoders, model._decoders, strict=True):
                decoder.load_state_dict(weights)
        return Reconstruction(decoders[0], decoders[1], model.reconstruction_weight)

    def _warn_of_small_batches(self, batch_size: int) -> None:
        model = self.model
        rows = min(batch_size, *map(len, self.rows))
        if model.loss in ("trace", "frobenius") and rows < 2 * model.n_components:
            warn(
                f"{type(model).__name__}: batches of {rows} rows say little of "
                f"`n_components`={model.n_components} correlations, of which chance alone makes "
                "large ones; raise `batch_size`, lower `n_components`, or use loss='ey'."
            )

    def _monitor(self) -> float:
        """Return the held-out total correlation under the projection of the training rows."""
        assert self.held_out is not None
        model, (data, pairs) = self.model, self.held_out
        try:
            found = solve(model, self.rows, self.pairs)
        except ValueError:
            return float("-inf")  # collapsed for now; later epochs may recover
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found below
            zx = project(self._outputs(data.X, "x"), found.x_mean, found.x_weights)
            zy = project(self._outputs(data.Y, "y"), found.y_mean, found.y_weights)
        if not (np.isfinite(zx).all() and np.isfinite(zy).all()):
            return float("-inf")
        return float(pair_correlations(zx, zy, pairs).sum())

    def _outputs(self, V: Any, side: str) -> np.ndarray:
        from skcca.nn.networks import outputs

        dtype = self.model._built_for["dtypes"][side == "y"]
        rows = self.model._streamed(V, side, self.device, dtype)
        return outputs(getattr(self.model, f"{side}_network_"), rows)


class Hooks:
    """What happens between epochs: callbacks and checkpoints."""

    def __init__(self, training: DeepTraining, n_epochs: int):
        self.training, self.n_epochs = training, n_epochs
        self.model = training.model
        self._context: Any = None
        if getattr(self.model, "_skl_callbacks", None) and hasattr(self.model, "_given"):
            self._context = self.model._init_callback_context(max_subtasks=n_epochs)
            self._context.call_on_fit_task_begin(estimator=self.model)
        self._task: Any = None
        self._digests: tuple[str, str] | None = None

    def before_epoch(self) -> None:
        """Tell scikit-learn's callbacks that an epoch begins."""
        if self._context is not None:
            self._task = self._context.subcontext(task_name="epoch")
            self._task.call_on_fit_task_begin(estimator=self.model)

    def after_epoch(self, run: Run) -> bool:
        """Tell every callback how the epoch went; return whether one of them wants to stop."""
        stop = False
        if self.model.checkpoint is not None and run.epoch % self.model.checkpoint_every == 0:
            self._save(run)
        if self.model.callback is not None:
            score = run.scores[-1] if run.scores else None
            epoch = Epoch(run.epoch, self.n_epochs, run.losses[-1], score)
            answer = self.model.callback(epoch)
            if answer is not None and not isinstance(answer, (bool, np.bool_)):
                raise TypeError(
                    f"{type(self.model).__name__}: `callback` must return True to stop, or False "
                    f"or None to go on; got {type(answer).__name__}."
                )
            stop = bool(answer)
        if self._task is not None:
            X, y = self.model._given
            stop |= self._task.call_on_fit_task_end(
                estimator=self.model,
                X=X,
                y=y,
                reconstruction_attributes=lambda: self._fitted_by_now(run),
            )
            if stop or run.epoch == self.n_epochs:
                self._context.call_on_fit_task_end(estimator=self.model)
        return stop

    def resumed(self) -> dict[str, Any] | None:
        """Return the state that a checkpoint has kept of the same training, if there is one."""
        from pathlib import Path

        from skcca.nn.storage import load_tree

        if self.model.checkpoint is None or not Path(self.model.checkpoint).exists():
            return None
        kept = load_tree(self.model.checkpoint)
        if not isinstance(kept, dict) or "identity" not in kept:
            raise ValueError(
                f"{type(self.model).__name__}: `checkpoint`={str(self.model.checkpoint)!r} holds "
                "something else than a training; name another file, or delete it."
            )
        here = self._identity()
        changed = sorted(key for key in here if kept["identity"].get(key) != here[key])
        if changed:
            raise ValueError(
                f"{type(self.model).__name__}: `checkpoint`={str(self.model.checkpoint)!r} was "
                f"written by another training: {', '.join(changed)} differ. Name another file, or "
                "delete it."
            )
        self.training.rng.bit_generator.state = kept["rng"]
        return dict(kept["run"])

    def _save(self, run: Run) -> None:
        from skcca.nn.storage import save_tree

        state = {
            "identity": self._identity(),
            "rng": self.training.rng.bit_generator.state,
            "run": run.state_dict(),
        }
        save_tree(self.model.checkpoint, state)

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to be continued."""
        without = {"device", "verbose", "callback", "x_network", "y_network"}
        without |= {"checkpoint", "checkpoint_every"}
        model, data = self.model, self.training.data
        if not isinstance(model.random_state, (int, np.integer, type(None))):
            without.add("random_state")  # whose state is in the file
        params = {k: repr(v) for k, v in model.get_params().items() if k not in without}
        if self._digests is None:  # of all rows: once a fit
            held_out = self.training.held_out
            self._digests = digest(data), "" if held_out is None else digest(held_out[0])
        networks = (model.x_network_, model.y_network_)
        return {
            "the estimator": type(model).__name__,
            **params,
            "the shapes of the data": [list(data.X.shape), list(data.Y.shape)],
            "the data": self._digests[0],
            "the rows held out": self._digests[1],
            "the networks": [
                [[name, list(value.shape)] for name, value in network.state_dict().items()]
                for network in networks
            ],
        }

    def _fitted_by_now(self, run: Run) -> dict[str, Any]:
        """Return the attributes of an estimator whose fit had ended with this epoch."""
        fitted = copy.copy(self.model)
        with run.averaged():
            fitted.x_network_ = copy.deepcopy(self.model.x_network_)
            fitted.y_network_ = copy.deepcopy(self.model.y_network_)
        fitted._set_solution(self.training)
        fitted.loss_curve_, fitted.validation_scores_ = list(run.losses), list(run.scores)
        fitted.n_epochs_, fitted.device_ = run.epoch, str(self.training.device)
        given = set(self.model.get_params(deep=False))
        return {k: v for k, v in vars(fitted).items() if k not in given}


def digest(data: TrainingData) -> str:
    """Return a fingerprint of rows in their order, of their labels and of their weights."""
    found = hashlib.blake2b(digest_size=16)
    for V in (data.X, data.Y):
        if isinstance(V, RaggedRows):
            for song in V.songs:
                found.update(np.asarray(song).tobytes())
        else:
            step = block_rows(V.shape[1])
            for start in range(0, len(V), step):
                found.update(np.asarray(V[start : start + step]).tobytes())
    if data.labels is not None:
        found.update(repr(data.labels.classes.tolist()).encode())
        for member in (data.labels.x, data.labels.y):
            found.update(np.asarray(member.indices).tobytes())
            found.update(np.asarray(member.indptr).tobytes())
    for weights in data.weights:
        found.update(np.asarray(weights).tobytes())
    return found.hexdigest()


def solve(model: Any, rows: Rows, pairs: Pairs) -> CanonicalFit:
    """Solve for the directions of the networks' outputs, with the ridge of the loss."""
    from skcca.nn.networks import outputs

    zx, zy = outputs(model.x_network_, rows[0]), outputs(model.y_network_, rows[1])
    options = Options(
        model.n_components,
        reg=(model.reg, model.reg),
        scale=False,
        eps=(working_eps(zx.dtype), working_eps(zy.dtype)),
    )
    try:
        return canonical_fit(zx, zy, pairs, options)
    except ValueError as error:
        raise ValueError(
            f"{type(model).__name__}: training made the outputs of a network constant, or left "
            f"them uncorrelated; lower `learning_rate`={model.learning_rate!r}, or raise `reg`. "
            f"({error})"
        ) from error


def held_out_rows(
    n_rows: int, fraction: float, membership: Any, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of the held-out rows; every class gives its share, rounded at random."""
    order = rng.permutation(n_rows)
    if membership is not None and membership.nnz == n_rows:  # one class a row
        order = order[np.argsort(membership.indices[order], kind="stable")]
    # Evenly spaced places in class order take each class's share, whatever its size.
    n_held = max(round(fraction * n_rows), 1)
    places = (np.arange(n_held) + rng.random()) * n_rows / n_held
    held = np.zeros(n_rows, dtype=bool)
    held[order[places.astype(int)]] = True
    return held
