"""One training of two networks: what an estimator's parameters mean to the loop of `skcca.nn`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from skcca._core.arrays import input_eps, project
from skcca._core.directions import CanonicalFit, canonical_fit, pair_correlations
from skcca._core.lazy import RaggedRows
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.warnings import warn
from skcca._core.whitening import SolverOptions
from skcca._deep_hooks import Hooks

if TYPE_CHECKING:
    import torch

    from skcca.nn.batches import Source
    from skcca.nn.step import Reconstruction
    from skcca.nn.training import TrainingResult

    Rows = tuple[Source, Source]

_ONE_ROW = "Expected more than 1 value per channel"  # torch of BatchNorm in training


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
        from skcca.nn.losses import make_objective
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
        from skcca.nn.networks import MLP, width_of
        from skcca.nn.step import Reconstruction

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


def solve(model: Any, rows: Rows, pairs: Pairs) -> CanonicalFit:
    """Solve for the directions of the networks' outputs, with the ridge of the loss."""
    from skcca.nn.networks import outputs

    zx, zy = outputs(model.x_network_, rows[0]), outputs(model.y_network_, rows[1])
    options = SolverOptions(
        model.n_components,
        reg=(model.reg, model.reg),
        scale=False,
        eps=(input_eps(zx.dtype), input_eps(zy.dtype)),
    )
    try:
        return canonical_fit(zx, zy, pairs, options)
    except ValueError as error:
        raise ValueError(
            f"{type(model).__name__}: training made the outputs of a network constant, or left "
            f"them uncorrelated; lower `learning_rate`={model.learning_rate!r}, or raise `reg`. "
            f"({error})"
        ) from error
