"""The attention model as a tower of a two-view network: ragged songs in, features out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from skcca.nn.attention import AttentionBiLSTM
from skcca.nn.towers import check_size

__all__ = ["AttentionTower"]

Tensor = torch.Tensor


class AttentionTower(nn.Module):
    """Embed songs by attention over the states of a bidirectional recurrence.

    Frames are pooled into steps by maxima, as `ChunkSelector` does, and what comes out is ::

        z = H sum_t theta_t [h^f_t, h^b_t] + b,    theta = softmax(u) over the real steps

    Give it to an estimator as ``x_network=functools.partial(AttentionTower, hidden_size=64)``, and
    attention is learned from the correlation with the other view; or as
    ``x_network=selector.tower()``, and it starts where a `ChunkSelector` has ended.

    Parameters
    ----------
    n_features : int
        Width of a frame.
    n_outputs : int
        Width of the output.
    frames_per_step : int, default=3
        Frames pooled into a step; the last step of a song may have fewer.
    **attention
        Further arguments of `AttentionBiLSTM`: `hidden_size`, `cell`, `peepholes`, `position` and
        `dropout`.

    Examples
    --------
    >>> import torch
    >>> from skcca.nn import AttentionTower
    >>> tower = AttentionTower(20, 5, hidden_size=8)
    >>> tower(torch.zeros(2, 30, 20), torch.tensor([30, 11])).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        n_features: int,
        n_outputs: int,
        *,
        frames_per_step: int = 3,
        **attention: Any,
    ):
        super().__init__()
        check_size(frames_per_step, "frames_per_step")
        self.frames_per_step = frames_per_step
        self.attention = AttentionBiLSTM(n_features, n_outputs, **attention)

    @classmethod
    def pretrained(
        cls, network: AttentionBiLSTM, *, frames_per_step: int = 3, frozen: bool = False
    ) -> Callable[[int, int], Self]:
        """Return a factory, for ``x_network=``, of towers that start from a trained network.

        Parameters
        ----------
        network : AttentionBiLSTM
            Is copied; its output layer is replaced.
        frames_per_step : int, default=3
            What it was trained with.
        frozen : bool, default=False
            Whether the output layer alone is trained.

        Returns
        -------
        build : callable
            ``build(n_features, n_outputs)`` returns a tower.
        """
        return _Pretrained(cls, network, frames_per_step, frozen)  # a class: it can be pickled

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the features of a batch.

        Parameters
        ----------
        frames : Tensor of shape (B, T, n_features)
            Padded songs, standardised; the padding may hold any value.
        lengths : Tensor of shape (B,)
            Number of real frames of each song, at least 1.

        Returns
        -------
        z : Tensor of shape (B, n_outputs)
            Features of each song.
        """
        z: Tensor = self.attention(*max_pooled(frames, lengths, self.frames_per_step)).logits
        return z


class _Pretrained:
    def __init__(self, tower: Any, network: AttentionBiLSTM, frames_per_step: int, frozen: bool):
        self.tower, self.network = tower, network
        self.frames_per_step, self.frozen = frames_per_step, frozen

    def __call__(self, n_features: int, n_outputs: int) -> Any:
        network = copy.deepcopy(self.network)
        if n_features != network.n_features:
            raise ValueError(
                f"the pretrained tower takes frames of {network.n_features} features; got "
                f"{n_features}."
            )
        network.requires_grad_(not self.frozen)
        network.head, network.per_step = nn.Linear(network.head.in_features, n_outputs), False
        built = self.tower(1, 1, frames_per_step=self.frames_per_step, hidden_size=1)
        built.attention = network
        return built


def max_pooled(frames: Tensor, lengths: Tensor, frames_per_step: int) -> tuple[Tensor, Tensor]:
    """Return maxima over the real frames of each step (B, S, d), zero on padding, and lengths."""
    time = torch.arange(frames.shape[1], device=frames.device)
    padding = (time >= lengths[:, None])[..., None]
    frames = frames.masked_fill(padding, -torch.inf)
    frames = functional.pad(frames, (0, 0, 0, -frames.shape[1] % frames_per_step), value=-torch.inf)
    steps = frames.unflatten(1, (-1, frames_per_step)).amax(dim=2)
    counts = -(-lengths // frames_per_step)
    beyond = torch.arange(steps.shape[1], device=frames.device) >= counts[:, None]
    return steps.masked_fill(beyond[..., None], 0.0), counts
