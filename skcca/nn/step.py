"""The gradient of one batch of two views, exact at any batch size in bounded memory.

An objective looks at the outputs of all rows at once, the networks at a micro-batch at a time:

    pass 1   z = f(rows) of each micro-batch, without a graph
    between  loss(z_x, z_y) and its gradient by the outputs, over the whole batch
    pass 2   f of each micro-batch again, with a graph, and that gradient sent through it

so that activations of one micro-batch are held, whatever the batch; a batch of one micro-batch
keeps its graph and needs no second pass. Random numbers, of dropout for one, are the same in both
passes, and running statistics are updated in the second alone.

Under `torch.distributed` each process passes its share of the rows through the networks, and the
outputs are gathered in between: N processes make the gradient of the whole batch, not the mean of
gradients of N small ones, which is another objective.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from skcca._core.pairs import Pairs
from skcca.nn import parallel
from skcca.nn.losses import Objective

Tensor = torch.Tensor


class Batch(NamedTuple):
    """Rows of both views, tensors or tuples of what a network takes, and the pairs among them."""

    x: Any
    y: Any
    pairs: Pairs


class Reconstruction(NamedTuple):
    """The decoders of DCCAE, and the weight of their squared error.

    weight (mean_i |x_i - p(f(x_i))|^2 / d_x + mean_j |y_j - q(g(y_j))|^2 / d_y), with the weights
    of the rows.
    """

    x_decoder: nn.Module
    y_decoder: nn.Module
    weight: float


class TwoViewStep:
    """Call it with a batch: gradients are accumulated, and the loss is returned.

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
        self._sides = [
            _Side(network, decoder, weight, micro_batch_size, input_noise)
            for network, decoder in zip((x_network, y_network), decoders, strict=True)
        ]

    def __call__(self, batch: Batch) -> Tensor:
        """Accumulate the gradients of a batch in the networks, and return its loss."""
        rows, pairs = batch[:2], batch.pairs
        sums = (pairs.row_sums, pairs.column_sums)
        done = [side.forward(V, len(w)) for side, V, w in zip(self._sides, rows, sums, strict=True)]
        outputs = [
            parallel.gather(p.outputs, len(w)).requires_grad_()
            for p, w in zip(done, sums, strict=True)
        ]
        loss = self.objective(outputs[0], outputs[1], pairs)
        gradients = torch.autograd.grad(loss, outputs)
        value = loss.detach()
        parts = zip(self._sides, rows, sums, done, gradients, strict=True)
        with parallel.added_gradients([m for side in self._sides for m in side.modules]):
            for side, V, w, p, gradient in parts:
                errors = side.backward(V, w / pairs.total, p, gradient)
                if side.decoder is not None:
                    value = value + parallel.total(errors)
        return value


class _Pass(NamedTuple):
    """What the first pass of one view leaves for the second."""

    pieces: list[slice]  # micro-batches of the own rows
    outputs: Tensor  # of the own rows, without a graph
    graph: Tensor | None  # the same with a graph, of a single micro-batch
    states: list[Any]  # of the random numbers before each of several


class _Side:
    """One view."""

    def __init__(
        self,
        network: nn.Module,
        decoder: nn.Module | None,
        weight: float,
        micro_batch_size: int | None,
        input_noise: float,
    ):
        self.network, self.decoder, self.weight = network, decoder, weight
        self.micro_batch_size, self.input_noise = micro_batch_size, input_noise

    @property
    def modules(self) -> list[nn.Module]:
        return [self.network] if self.decoder is None else [self.network, self.decoder]

    def forward(self, rows: Any, n_rows: int) -> _Pass:
        own = parallel.own_rows(n_rows)
        most = self.micro_batch_size or n_rows
        pieces = parallel.shares(own, -(-(own.stop - own.start) // most))
        if len(pieces) <= 1:
            z = self._outputs(_part(rows, own))
            return _Pass([own], z.detach(), z, [])
        buffers = list(self.network.buffers())
        before = [buffer.clone() for buffer in buffers]
        states, outputs = [], []
        with torch.no_grad():
            for piece in pieces:
                part = _part(rows, piece)
                states.append(_random_state(part))
                outputs.append(self._outputs(part))
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        return _Pass(pieces, torch.cat(outputs), None, states)

    def backward(self, rows: Any, shares: Tensor, done: _Pass, gradient: Tensor) -> Tensor:
        """Send the gradient by the outputs through the network; return the decoder's loss."""
        if done.graph is not None:
            own = done.pieces[0]
            return self._send(_part(rows, own), shares[own], done.graph, gradient[own])
        after = _random_state(rows)
        losses = []
        for piece, state in zip(done.pieces, done.states, strict=True):
            _set_random_state(rows, state)
            part = _part(rows, piece)
            losses.append(self._send(part, shares[piece], self._outputs(part), gradient[piece]))
        _set_random_state(rows, after)
        return torch.stack(losses).sum()

    def _outputs(self, rows: Any) -> Tensor:
        first, *others = rows if isinstance(rows, tuple) else (rows,)
        if self.input_noise > 0:
            first = first + float(self.input_noise) * torch.randn_like(first)
        z: Any = self.network(first, *others)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != len(first):
            got = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ValueError(
                f"A network must return a row of outputs for each of {len(first)} rows, also in "
                f"training; got {got}."
            )
        return z

    def _send(self, rows: Any, shares: Tensor, z: Tensor, gradient: Tensor) -> Tensor:
        loss = gradient.new_zeros(())
        if self.decoder is not None:
            errors = ((self.decoder(z) - rows.flatten(1)) ** 2).mean(dim=1)
            loss = float(self.weight) * (shares.to(errors.dtype) * errors).sum()
        ends = [(end, by) for end, by in ((z, gradient), (loss, None)) if end.requires_grad]
        if ends:  # a network may have nothing to learn
            torch.autograd.backward([end for end, _ in ends], [by for _, by in ends])
        return loss.detach()


def _part(rows: Any, piece: slice) -> Any:
    return tuple(part[piece] for part in rows) if isinstance(rows, tuple) else rows[piece]


def _random_state(rows: Any) -> tuple[Tensor, Tensor | None]:
    """Return the state of the random numbers on the CPU and where the rows lie."""
    device = (rows[0] if isinstance(rows, tuple) else rows).device
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_gpu


def _set_random_state(rows: Any, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        device = (rows[0] if isinstance(rows, tuple) else rows).device
        torch.cuda.set_rng_state(state[1], device)
