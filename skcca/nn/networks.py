"""Networks of one view: the caller's or a fully connected one, and what they return."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

from skcca.nn.batches import Source

__all__ = ["ACTIVATIONS", "MLP"]
_ROWS_AT_ONCE = 8192  # rows of one forward pass outside training


def build_network(
    network: nn.Module | Callable[[int, int], nn.Module] | None,
    n_features: int,
    n_outputs: int,
    **mlp: Any,
) -> nn.Module:
    """Return the network of one view: a copy of the caller's, what a factory makes, or an `MLP`."""
    if network is None:
        return MLP(n_features, n_outputs=n_outputs, **mlp)
    if isinstance(network, nn.Module):
        return copy.deepcopy(network)
    if not callable(network):
        raise TypeError(
            "a network must be a torch.nn.Module or a callable (n_features, n_outputs); got "
            f"{network!r}."
        )
    built = network(n_features, n_outputs)
    if not isinstance(built, nn.Module):
        raise TypeError(
            f"a network factory must return a torch.nn.Module; got {type(built).__name__}. "
            "It is called with (n_features, n_outputs)."
        )
    return copy.deepcopy(built)  # it may return one network again and again


def check_outputs(network: nn.Module, rows: Any, name: str) -> None:
    """Refuse a network whose outputs are not one row of floats per sample."""
    inputs = rows if isinstance(rows, tuple) else (rows,)
    n_rows = len(inputs[0])
    network.eval()
    given = [part.clone() for part in inputs]
    try:
        with torch.no_grad():
            found = network(*given)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = " and ".join(f"{tuple(part.shape)} of {part.dtype}" for part in inputs)
        raise ValueError(f"`{name}` failed on a batch of shape {shapes}: {error}") from error
    if not all(torch.equal(part, own) for part, own in zip(given, inputs, strict=True)):
        raise ValueError(
            f"`{name}` changes its input in place (an operation as relu_ or +=); the rows are used "
            "again, so let it make new tensors."
        )
    expected = f"`{name}` must return a tensor of floats of shape ({n_rows}, width)"
    if not isinstance(found, torch.Tensor):
        raise ValueError(f"{expected}; got {type(found).__name__}.")
    fits = found.ndim == 2 and len(found) == n_rows and found.shape[1] > 0
    if not fits or found.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"{expected}; got {found.dtype} of shape {tuple(found.shape)}.")
    if not torch.isfinite(found).all():
        raise ValueError(f"`{name}` returned NaN or infinity for the first rows.")


def place(network: nn.Module, rows: Any) -> None:
    """Put a network where its rows are, in their precision."""
    first = rows[0] if isinstance(rows, tuple) else rows
    network.to(first.device, first.dtype)


def place_of(network: nn.Module) -> torch.device:
    """Return the device of a network; one without parameters computes on the CPU."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def restored(network: nn.Module, weights: dict[str, torch.Tensor], dtype: str) -> nn.Module:
    """Return a network with weights of a file, for evaluation."""
    network.to(getattr(torch, dtype))  # before the weights, which would be rounded
    network.load_state_dict(weights)
    return network.eval()


def outputs(network: nn.Module, source: Source) -> np.ndarray:
    """Return a network's outputs (n, width) in evaluation mode, block by block."""
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(source), _ROWS_AT_ONCE):
            rows = source.take(slice(start, min(start + _ROWS_AT_ONCE, len(source))))
            inputs = rows if isinstance(rows, tuple) else (rows,)
            parts.append(network(*inputs).cpu().numpy())
    return np.concatenate(parts)


def width_of(network: nn.Module, rows: Any) -> int:
    """Return the number of a network's outputs."""
    network.eval()
    with torch.no_grad():
        return int(network(*(rows if isinstance(rows, tuple) else (rows,))).shape[1])


# MERGED: nn.towers
# """Networks that turn one view into features."""

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def check_size(size: Any, name: str) -> None:
    """Refuse what is no width or number of things, which torch would say in its own words."""
    if isinstance(size, bool) or not isinstance(size, Integral) or size < 1:
        raise ValueError(f"`{name}`={size!r} must be an integer of 1 or more.")


class MLP(nn.Module):
    """Fully connected network: hidden layers with activation and dropout, then an output layer.

    Parameters
    ----------
    n_features : int
        Width of the input.
    hidden_layer_sizes : sequence of int
        Width of each hidden layer; empty for a single linear layer.
    n_outputs : int
        Width of the output.
    activation : str, default="tanh"
        Activation of the hidden layers, a name of `ACTIVATIONS`.
    output_activation : str, default="sigmoid"
        Activation of the output, a name of `ACTIVATIONS`.
    dropout : float, default=0.0
        Probability of dropping a hidden unit in training.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import MLP
    >>> MLP(128, (64, 32), 10)(torch.zeros(5, 128)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str = "tanh",
        output_activation: str = "sigmoid",
        dropout: float = 0.0,
    ):
        for name, value in (("activation", activation), ("output_activation", output_activation)):
            if value not in ACTIVATIONS:
                raise ValueError(f"`{name}`={value!r} must be one of {sorted(ACTIVATIONS)}.")
        sizes = np.asarray(hidden_layer_sizes)
        if sizes.size and not (sizes.ndim == 1 and sizes.dtype.kind in "iu" and sizes.min() >= 1):
            raise ValueError(
                f"`hidden_layer_sizes`={hidden_layer_sizes!r} must hold integers of 1 or more."
            )
        check_size(n_features, "n_features")
        check_size(n_outputs, "n_outputs")
        layers: list[nn.Module] = []
        width = n_features
        for size in hidden_layer_sizes:
            layers += [nn.Linear(width, size), ACTIVATIONS[activation]()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = size
        layers += [nn.Linear(width, n_outputs), ACTIVATIONS[output_activation]()]
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
            One view of the batch.

        Returns
        -------
        features : Tensor of shape (n, n_outputs)
            Outputs of the network.
        """
        return self.layers(rows)
