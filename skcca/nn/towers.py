"""Networks that turn one view into features."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["ACTIVATIONS", "MLP"]

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
