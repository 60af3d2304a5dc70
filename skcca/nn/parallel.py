"""Sums and shares over the processes of `torch.distributed`; alone, every function does nothing.

Initialise the process group before `fit` (``torchrun`` sets what it needs)::

    torch.distributed.init_process_group()

Every process is given all rows, and the same `random_state`: it draws the same batches, and passes
its share of each through the networks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import distributed, nn

__all__ = ["rank", "world_size"]
Tensor = torch.Tensor


def world_size() -> int:
    """Return how many processes train together."""
    active = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if active else 1


def rank() -> int:
    """Return the number of this process among them."""
    return distributed.get_rank() if world_size() > 1 else 0


def own_rows(n_rows: int) -> slice:
    """Return this process's share of the rows of a batch."""
    return shares(slice(0, n_rows), world_size())[rank()]


def gather(own: Tensor, n_rows: int) -> Tensor:
    """Return the rows of all processes, each of which has the own ones."""
    if world_size() == 1:
        return own
    sizes = [share.stop - share.start for share in shares(slice(0, n_rows), world_size())]
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: len(own)] = own
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def total(own: Tensor) -> Tensor:
    """Return the sum over the processes; the tensor is overwritten."""
    if world_size() > 1:
        distributed.all_reduce(own)
    return own


@contextmanager
def added_gradients(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Add up over the processes what a block adds to gradients, and average running statistics."""
    if world_size() == 1:
        yield
        return
    together = nn.ModuleList(modules)  # names what two modules share once
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
            # Of differences to the first process: a constant stays what it is, to the last digit.
            first = buffer.clone()
            distributed.broadcast(first, src=0)
            buffer -= first
            distributed.all_reduce(buffer)
            buffer.div_(world_size()).add_(first)


def begin_alike(modules: Sequence[nn.Module], seed: int) -> nn.ModuleList:
    """Give all processes the weights of the first, and random numbers of their own."""
    together = nn.ModuleList(modules)
    if world_size() > 1:
        for value in together.state_dict().values():
            distributed.broadcast(value, src=0)
        torch.manual_seed(seed + rank())
    return together


def shares(rows: slice, count: int) -> list[slice]:
    """Return so many stretches of a stretch of rows, equally long or different by a row."""
    borders = [rows.start + (rows.stop - rows.start) * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(borders)]
