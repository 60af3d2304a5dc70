"""Optimizers and learning-rate schedules by name, and the step of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Step = Callable[[Any], torch.Tensor]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}

_FASTEST = 1e30  # float32 ends soon after it

# Factor of the learning rate after a share of the epochs.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2,
}


def make_optimizer(
    name: str, parameters: list[nn.Parameter], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimizer of torch; L-BFGS with a line search by the strong Wolfe conditions."""
    learning_rate, weight_decay = float(learning_rate), float(weight_decay)
    for parameter, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if not 0 <= value <= _FASTEST:
            raise ValueError(f"`{parameter}`={value!r} must be a number from 0 to {_FASTEST:g}.")
    if name == "lbfgs":
        if weight_decay:
            raise ValueError(
                f"`weight_decay`={weight_decay!r} is not known to optimizer='lbfgs'; set it to 0, "
                "or choose 'adamw'."
            )
        return torch.optim.LBFGS(parameters, lr=learning_rate, line_search_fn="strong_wolfe")
    return OPTIMIZERS[name](parameters, lr=learning_rate, weight_decay=weight_decay)


def make_step(
    optimizer: torch.optim.Optimizer,
    step: Step,
    parameters: list[nn.Parameter],
    max_grad_norm: float | None,
) -> Step:
    """Return a function of a batch that changes the parameters and returns the loss before."""

    def gradient(batch: Any) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = step(batch)
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        return loss

    def first_order(batch: Any) -> torch.Tensor:
        loss = gradient(batch)
        optimizer.step()
        return loss

    def second_order(batch: Any) -> torch.Tensor:
        devices = [p.device for p in parameters[:1] if p.device.type == "cuda"]
        seed = int(torch.randint(2**31, ()))
        first: list[torch.Tensor] = []

        def closure() -> float:
            # A line search compares values of one function: dropout must not change it.
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(seed)
                first.append(gradient(batch))
            return first[-1].item()

        optimizer.step(closure)
        return first[0]

    return second_order if isinstance(optimizer, torch.optim.LBFGS) else first_order
