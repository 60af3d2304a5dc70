"""Batches of two views, and the gradient of one: exact at any batch size, in bounded memory.

An objective looks at the outputs of all rows at once, the networks at a micro-batch at a time:

    pass 1   z = f(rows) of each micro-batch, without a graph
    between  loss(z_x, z_y) and its gradient by the outputs, over the whole batch
    pass 2   f of each micro-batch again, with a graph, and that gradient sent through it

so that activations of one micro-batch are held, whatever the batch; a batch of one micro-batch
keeps its graph and needs no second pass. Random numbers, of dropout for one, are the same in both
passes, and running statistics are updated in the second alone.

Under `torch.distributed` each process passes its share of the rows through the networks, and the
outputs are gathered in between: N processes make the gradient of the whole batch, not the mean of
gradients of N small ones, which is another objective. Initialise the process group before `fit`
(``torchrun`` sets the variables that it reads)::

    torch.distributed.init_process_group()

Every process is given all rows and the same `random_state`, hence draws the same batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import distributed, nn

from skcca._core.pairs import Labels, Pairing, Pairs, Weights
from skcca.nn.losses import Objective, as_torch_pairs
from skcca.nn.networks import (
    NetworkInput,
    Source,
    random_states,
    seed_generators,
    set_random_states,
    shuffled,
)

Tensor = torch.Tensor


class Batch(NamedTuple):
    """Rows of both views, tensors or tuples of a network's arguments, and the pairs among them."""

    x: NetworkInput
    y: NetworkInput
    pairs: Pairs


class BatchSampler:
    """Draw the shuffled batches of each epoch, with the pairs within each batch.

    Paired views share their rows. Of unpaired class sets each side is shuffled on its own: an epoch
    is one pass over the longer side, and the shorter one starts again as often as needed. A last
    batch of fewer than `smallest` rows, which correlate by chance, is merged into the one before.
    """

    def __init__(
        self,
        x: Source,
        y: Source,
        device: torch.device | str,
        labels: Labels | None,
        weights: Weights,
        pairing: Pairing,
        batch_size: int,
        smallest: int,
        rng: np.random.Generator,
    ):
        self.x, self.y, self.device = x, y, device
        self.labels, self.weights, self.pairing = labels, weights, pairing
        self.batch_size, self.smallest, self.rng = batch_size, smallest, rng

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        empty = True
        for x_rows, y_rows in self._rows():
            weights = Weights(self.weights.x[x_rows], self.weights.y[y_rows])
            labels = None if self.labels is None else self.labels.take(x_rows, y_rows)
            pairs = self.pairing(labels, weights, self.rng)
            # Batches of unpaired views may by chance share no class.
            if not pairs.total > 0:
                continue
            empty = False
            yield Batch(
                self.x.take(x_rows), self.y.take(y_rows), as_torch_pairs(pairs, self.device)
            )
        if empty:
            raise ValueError(
                f"No batch of `batch_size`={self.batch_size} rows holds a class of both views; "
                "raise `batch_size`."
            )

    def _rows(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        n_x, n_y = len(self.x), len(self.y)
        longer, shorter = (self.x, self.y) if n_x >= n_y else (self.y, self.x)
        cuts = np.arange(self.batch_size, len(longer), self.batch_size)
        if len(cuts) and len(longer) - cuts[-1] < self.smallest:
            cuts = cuts[:-1]
        unpaired = self.labels is not None and self.labels.unpaired
        on_disk = longer.on_disk or (shorter.on_disk and not unpaired)
        rows = others = shuffled(len(longer), self.rng, on_disk=on_disk)
        if unpaired:
            rounds = range(-(-len(longer) // len(shorter)))
            passes = [shuffled(len(shorter), self.rng, on_disk=shorter.on_disk) for _ in rounds]
            others = np.concatenate(passes)[: len(longer)]
        elif self.labels is not None and not self.labels.has_label.all():
            rows = others = _spread(rows, self.labels.has_label[rows], self.rng)
        sides = (rows, others) if n_x >= n_y else (others, rows)
        yield from zip(*(np.split(side, cuts) for side in sides), strict=True)


def _spread(rows: np.ndarray, labelled: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the rows with the labelled ones at equal distances, each kind in its order.

    So every batch has its share of them.
    """
    n_labelled = int(labelled.sum())
    places = ((np.arange(n_labelled) + rng.random()) * len(rows) / n_labelled).astype(int)
    is_place = np.zeros(len(rows), dtype=bool)
    is_place[places] = True
    spread = np.empty_like(rows)
    spread[is_place], spread[~is_place] = rows[labelled], rows[~labelled]
    return spread


class Reconstruction(NamedTuple):
    """Decoders of DCCAE, and the weight of their squared error.

    weight (mean_i |x_i - p(f(x_i))|^2 / d_x + mean_j |y_j - q(g(y_j))|^2 / d_y), with the weights
    of the rows.
    """

    x_decoder: nn.Module
    y_decoder: nn.Module
    weight: float


class TwoViewStep:
    """Accumulate the gradients of a batch, and return its loss.

    Parameters
    ----------
    x_network, y_network : nn.Module
        The networks; in training mode.
    objective : callable
        ``objective(zx, zy, pairs)`` returns a scalar tensor.
    micro_batch_size : int, default=None
        Most rows of each view that pass a network at once; None for all. Micro-batches of a batch
        are equally long, or differ by a row.
    input_noise : float, default=0.0
        Standard deviation of the Gaussian noise that is added to the rows.
    reconstruction : Reconstruction, default=None
        An autoencoder's term beside the objective.
    """

    def __init__(
        self,
        x_network: nn.Module,
        y_network: nn.Module,
        objective: Objective,
        *,
        micro_batch_size: int | None = None,
        input_noise: float = 0.0,
        reconstruction: Reconstruction | None = None,
    ):
        self.objective = objective
        decoders = (None, None) if reconstruction is None else reconstruction[:2]
        weight = 0.0 if reconstruction is None else reconstruction.weight
        self._views = [
            _ViewStep(name, network, decoder, weight, micro_batch_size, input_noise)
            for name, network, decoder in zip(
                ("x_network", "y_network"), (x_network, y_network), decoders, strict=True
            )
        ]

    def __call__(self, batch: Batch) -> Tensor:
        """Accumulate the gradients of a batch in the networks, and return its loss."""
        rows, pairs = batch[:2], batch.pairs
        sums = (pairs.row_sums, pairs.column_sums)
        passes = [
            view.forward(V, len(w)) for view, V, w in zip(self._views, rows, sums, strict=True)
        ]
        outputs = [
            gather(first.outputs, len(w)).requires_grad_()
            for first, w in zip(passes, sums, strict=True)
        ]
        loss = self.objective(outputs[0], outputs[1], pairs)
        gradients = torch.autograd.grad(loss, outputs)
        value = loss.detach()
        parts = zip(self._views, rows, sums, passes, gradients, strict=True)
        with all_reduce_gradients([m for view in self._views for m in view.modules]):
            for view, V, w, first, gradient in parts:
                errors = view.backward(V, w / pairs.total, first, gradient)
                if view.decoder is not None:
                    value = value + all_reduce_sum(errors)
        return value


class _FirstPass(NamedTuple):
    """Results of the first pass of one view, for the second."""

    pieces: list[slice]  # micro-batches of the rows of this process
    outputs: Tensor  # of the rows of this process, without a graph
    graph: Tensor | None  # the same with a graph, of a single micro-batch
    states: list[list[Tensor]]  # of the random numbers before each of several


class _ViewStep:
    """Both passes of one view."""

    def __init__(
        self,
        name: str,
        network: nn.Module,
        decoder: nn.Module | None,
        weight: float,
        micro_batch_size: int | None,
        input_noise: float,
    ):
        self.name, self.network, self.decoder, self.weight = name, network, decoder, weight
        self.micro_batch_size, self.input_noise = micro_batch_size, input_noise
        self._learns = False

    @property
    def modules(self) -> list[nn.Module]:
        return [self.network] if self.decoder is None else [self.network, self.decoder]

    def forward(self, rows: NetworkInput, n_rows: int) -> _FirstPass:
        local = local_rows(n_rows)
        most = self.micro_batch_size or n_rows
        pieces = shares(local, -(-(local.stop - local.start) // most))
        if len(pieces) <= 1:
            z = self._outputs(_part(rows, local))
            return _FirstPass([local], z.detach(), z, [])
        # Running statistics are to see each row once: the second pass will update them.
        buffers = list(self.network.buffers())
        before = [buffer.clone() for buffer in buffers]
        states, outputs = [], []
        with torch.no_grad():
            for piece in pieces:
                part = _part(rows, piece)
                states.append(random_states(_device(part)))
                outputs.append(self._outputs(part))
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return _FirstPass(pieces, torch.cat(outputs), None, states)

    def backward(
        self, rows: NetworkInput, weights: Tensor, first: _FirstPass, gradient: Tensor
    ) -> Tensor:
        """Send the gradient by the outputs through the network; return the decoder's loss."""
        if first.graph is not None:
            local = first.pieces[0]
            return self._backward(_part(rows, local), weights[local], first.graph, gradient[local])
        device = _device(rows)
        after = random_states(device)
        losses = []
        for piece, state in zip(first.pieces, first.states, strict=True):
            # Dropout and noise of the second pass must be those of the first.
            set_random_states(device, state)
            part = _part(rows, piece)
            losses.append(
                self._backward(part, weights[piece], self._outputs(part), gradient[piece])
            )
        set_random_states(device, after)
        return torch.stack(losses).sum()

    def _outputs(self, rows: NetworkInput) -> Tensor:
        first, *others = rows if isinstance(rows, tuple) else (rows,)
        if self.input_noise > 0:
            first = first + float(self.input_noise) * torch.randn_like(first)
        z: object = self.network(first, *others)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != len(first):
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(
                f"A network must return a row of outputs for each of {len(first)} rows, also in "
                f"training; got {got}."
            )
        # Tensors that a network makes in inference mode take no part in gradients.
        return z.clone() if z.is_inference() else z

    def _backward(self, rows: NetworkInput, weights: Tensor, z: Tensor, gradient: Tensor) -> Tensor:
        loss = gradient.new_zeros(())
        if self.decoder is not None:
            assert isinstance(rows, Tensor)
            errors = ((self.decoder(z) - rows.flatten(1)) ** 2).mean(dim=1)
            loss = float(self.weight) * (weights.to(errors.dtype) * errors).sum()
        # A network may have no parameter that takes a gradient.
        ends = [(end, by) for end, by in ((z, gradient), (loss, None)) if end.requires_grad]
        if ends:
            torch.autograd.backward([end for end, _ in ends], [by for _, by in ends])
        if not self._learns:
            self._check_gradients()
        return loss.detach()

    def _check_gradients(self) -> None:
        """Refuse a network whose outputs are cut off from all of its parameters."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        self._learns = not parameters or any(p.grad is not None for p in parameters)
        if not self._learns:
            raise ValueError(
                f"`{self.name}` cannot be trained: its outputs are detached from its parameters. "
                "Leave out detach(), no_grad() and NumPy in its forward; a network that is to stay "
                "as it is has parameters without gradients: network.requires_grad_(False)."
            )


def _part(rows: NetworkInput, piece: slice) -> NetworkInput:
    return tuple(part[piece] for part in rows) if isinstance(rows, tuple) else rows[piece]


def _device(rows: NetworkInput) -> torch.device:
    return (rows[0] if isinstance(rows, tuple) else rows).device


# Sums and shares over the processes of `torch.distributed`; alone, every function does nothing.


def world_size() -> int:
    """Return how many processes train together."""
    active = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if active else 1


def rank() -> int:
    """Return the number of this process among them."""
    return distributed.get_rank() if world_size() > 1 else 0


def local_rows(n_rows: int) -> slice:
    """Return this process's share of the rows of a batch."""
    return shares(slice(0, n_rows), world_size())[rank()]


def shares(rows: slice, count: int) -> list[slice]:
    """Return so many stretches of a stretch of rows, equally long or different by a row."""
    borders = [rows.start + (rows.stop - rows.start) * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(borders)]


def gather(local: Tensor, n_rows: int) -> Tensor:
    """Return the rows of all processes, each of which has its share."""
    if world_size() == 1:
        return local
    sizes = [share.stop - share.start for share in shares(slice(0, n_rows), world_size())]
    # All processes must send tensors of one shape.
    padded = local.new_zeros((max(sizes), *local.shape[1:]))
    padded[: len(local)] = local
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def all_reduce_sum(local: Tensor) -> Tensor:
    """Return the sum over the processes; the tensor is overwritten."""
    if world_size() > 1:
        distributed.all_reduce(local)
    return local


@contextmanager
def all_reduce_gradients(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Add up over the processes what a block adds to gradients, and average running statistics."""
    if world_size() == 1:
        yield
        return
    # A module list names parameters that two modules share once.
    together = nn.ModuleList(modules)
    parameters = [p for p in together.parameters() if p.requires_grad]
    before = [p.grad for p in parameters]
    for parameter in parameters:
        parameter.grad = None
    yield
    for parameter, gradient in zip(parameters, before, strict=True):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
        if gradient is not None:
            parameter.grad += gradient
    for buffer in together.buffers():
        if buffer.is_floating_point():
            # The mean is that of differences to the first process, so that a constant stays equal
            # to the last digit.
            first = buffer.clone()
            distributed.broadcast(first, src=0)
            buffer -= first
            distributed.all_reduce(buffer)
            buffer.div_(world_size()).add_(first)


def broadcast_parameters(
    modules: Sequence[nn.Module], seed: int, device: torch.device
) -> nn.ModuleList:
    """Give all processes the weights of the first, and random numbers of their own."""
    together = nn.ModuleList(modules)
    if world_size() > 1:
        for value in together.state_dict().values():
            distributed.broadcast(value, src=0)
        seed_generators(seed + rank(), device)
    return together
