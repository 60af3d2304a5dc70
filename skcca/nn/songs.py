"""Training and inference of the emotion network on songs of any length.

The network is `AttentionBiLSTM`. The loss of classes and of tag distributions q is the softmax
cross-entropy, that of indicators the sigmoid cross-entropy, with weights w_c of the classes::

    -sum_ic w_c q_ic log p_ic / sum_ic w_c q_ic
    -sum_ic w_c (q_ic log p_ic + (1 - q_ic) log(1 - p_ic)) / sum_ic w_c

Songs are padded batch by batch, and inference holds a bounded number of padded steps in memory,
however many songs there are.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skcca.nn.attention import AttentionBiLSTM, similar_lengths
from skcca.nn.networks import ResidentSongs, fits, pad_batch, to_device, torch_defaults
from skcca.nn.training import by_backward, seeded, train

__all__ = ["EmotionSettings", "SongOutputs", "fit_emotion_network", "infer"]

# Padded steps in one inference batch: 100 to 200 MB with 128 features and 128 units.
_STEPS_AT_ONCE = 16_384
# Padded steps (B, S, d), lengths (B,), and targets (B,) or (B, n_outputs).
SongBatch = tuple[Tensor, Tensor, Tensor]


class EmotionSettings(NamedTuple):
    """Settings of the emotion network and of its training, as `ChunkSelector` documents them."""

    network: dict[str, Any]  # arguments of `AttentionBiLSTM`
    training: dict[str, Any]  # arguments of `train`
    batch_size: int
    class_weight: np.ndarray | None  # (n_outputs,)


def fit_emotion_network(
    steps: Sequence[np.ndarray],
    targets: np.ndarray,
    settings: EmotionSettings,
    rng: np.random.Generator,
    seed: int,
    device: torch.device,
) -> tuple[AttentionBiLSTM, list[float], int]:
    """Return an emotion network trained on annotated songs, its loss curve and epochs.

    ``steps`` are standardised, float32 (S_i, d); ``targets`` class codes (n,) in int64, or
    distributions or indicators (n, n_outputs) in float32. ``rng`` shuffles the songs; ``seed`` is
    that of the initial weights, of dropout and of the cuts of memory.
    """
    batches = SongBatches(steps, targets, settings.batch_size, rng, device)
    with seeded(seed, device):
        network = AttentionBiLSTM(**settings.network).to(device)
        given = settings.class_weight
        weights = None if given is None else to_device(given, device)

        def loss(batch: SongBatch) -> Tensor:
            padded, lengths, values = batch
            logits = network(padded, lengths).logits
            return emotion_loss(logits, values, multilabel=network.multilabel, class_weight=weights)

        result = train(network, batches, by_backward(loss), **settings.training)
    # On the CPU, so that a pickle opens where there is no GPU.
    return network.cpu().eval(), result.loss_curve, result.n_epochs


class SongBatches:
    """Training batches, shuffled anew by each call.

    Songs of similar length share a batch: they are sorted within pools of ``16 * batch_size``
    shuffled songs, which saves most of the padding and still makes other batches in each epoch.
    """

    def __init__(
        self,
        songs: Sequence[np.ndarray],
        targets: np.ndarray,
        batch_size: int,
        rng: np.random.Generator,
        device: torch.device,
    ):
        self.songs, self.batch_size, self.rng, self.device = songs, batch_size, rng, device
        self.targets = torch.as_tensor(targets, device=device)
        self.lengths = np.array([len(song) for song in songs])
        resident = device.type != "cpu" and fits(sum(song.nbytes for song in songs), device)
        self._take = ResidentSongs(songs, self.lengths, device).take if resident else self._pad

    def __call__(self, epoch: int) -> Iterator[SongBatch]:
        """Yield the batches of an epoch, in which each song occurs once."""
        order = self.rng.permutation(len(self.lengths))
        pool_size = 16 * self.batch_size
        batches = []
        for start in range(0, len(order), pool_size):
            pool = order[start : start + pool_size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += np.split(pool, range(self.batch_size, len(pool), self.batch_size))
        for index in self.rng.permutation(len(batches)):
            batch = batches[index]
            places = to_device(batch, self.device)
            yield *self._take(batch), self.targets[places]

    def _pad(self, places: np.ndarray) -> tuple[Tensor, Tensor]:
        return pad_batch([self.songs[i] for i in places], self.device)


def emotion_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    multilabel: bool,
    class_weight: Tensor | np.ndarray | None = None,
) -> Tensor:
    """Return the mean loss of logits (B, n_outputs), as at the head of this module.

    Targets are class codes (B,), or distributions or, with `multilabel`, indicators (B, n_outputs).
    A batch whose classes all have weight 0 has loss 0.
    """
    if class_weight is None:
        if multilabel:
            return functional.binary_cross_entropy_with_logits(logits, targets)
        return functional.cross_entropy(logits, targets)
    weight = torch.as_tensor(class_weight).to(logits)
    if multilabel:
        loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        weight = weight.expand_as(loss)
    else:
        if targets.ndim == 1:
            targets = functional.one_hot(targets, logits.shape[1])
        loss = -torch.log_softmax(logits, dim=1)
        weight = weight * targets
    return (weight * loss).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


class SongOutputs(NamedTuple):
    """Outputs of the network for n songs, as float32 arrays on the host."""

    scores: list[np.ndarray]  # (S_i,) of each song
    attention: list[np.ndarray]  # (S_i,) of each song
    pooled: np.ndarray  # (n, 2 * hidden_size)
    logits: np.ndarray  # (n, n_outputs)


def infer(
    network: AttentionBiLSTM, songs: Sequence[np.ndarray], device: torch.device
) -> SongOutputs:
    """Apply the network to songs of any length; it stays on its own device."""
    lengths = np.array([len(song) for song in songs])
    scores, attention = [np.empty(0)] * len(songs), [np.empty(0)] * len(songs)
    pooled = np.empty((len(songs), network.head.in_features), dtype=np.float32)
    logits = np.empty((len(songs), network.head.out_features), dtype=np.float32)
    with torch_defaults(device), torch.inference_mode():
        network = copy.deepcopy(network).to(device).eval()
        for batch in similar_lengths(lengths, _STEPS_AT_ONCE):
            output = network(*pad_batch([songs[i] for i in batch], device))
            u, theta = output.scores.cpu().numpy(), output.attention.cpu().numpy()
            for i, u_song, theta_song in zip(batch, u, theta, strict=True):
                scores[i], attention[i] = u_song[: lengths[i]], theta_song[: lengths[i]]
            pooled[batch], logits[batch] = output.pooled.cpu().numpy(), output.logits.cpu().numpy()
    return SongOutputs(scores, attention, pooled, logits)
