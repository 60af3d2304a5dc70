"""Rows of two views as networks take them: formats, batches with their pairs, validation data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from scipy import sparse

from skcca._core.arrays import block_rows, dense_rows
from skcca._core.lazy import LazyRows, RaggedRows
from skcca._core.pairs import Labels, Pairing, TrainingData, Weights
from skcca._core.standardize import Standardisation
from skcca.nn.losses import as_torch_pairs
from skcca.nn.step import Batch, NetworkInput

View = np.ndarray | LazyRows | RaggedRows

# Rows on a disk are read in blocks, and shuffled within pools of blocks: reading them in any order
# would cost a seek for each.
BLOCK_ROWS = 1024
POOL_BLOCKS = 32


class Source(Protocol):
    """Rows of one view."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, rows: slice | np.ndarray) -> NetworkInput:
        """Return some rows, a slice or places, as a network takes them, on its device."""

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places in a random order that is fast to read."""


class ResidentRows:
    """Rows in memory, one tensor on the device."""

    def __init__(self, rows: np.ndarray | torch.Tensor, device: torch.device | str = "cpu"):
        self.rows = torch.as_tensor(rows, device=device)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return some rows, a slice or places."""
        if isinstance(rows, slice):
            return self.rows[rows]
        return self.rows[torch.as_tensor(rows, device=self.rows.device)]

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places in random order."""
        return rng.permutation(len(self.rows))


class StreamedRows:
    """Rows that are read and standardised block by block, from a disk for one.

    Parameters
    ----------
    V : array-like of shape (n, d)
        Gives rows as ``V[start:stop]``.
    scaling : Standardisation
        Means and scales of the features.
    device : torch.device or str
        Device of the blocks.
    dtype : dtype
        Precision of the blocks.
    shape : tuple of int, default=(-1,)
        Shape of a row, as the network takes it.
    """

    def __init__(
        self,
        V: Any,
        scaling: Standardisation,
        device: Any,
        dtype: Any,
        shape: tuple[int, ...] = (-1,),
    ):
        self.V, self.scaling, self.device, self.dtype = V, scaling, device, np.dtype(dtype)
        self.shape = shape
        self._blocks: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return int(self.V.shape[0])

    def take(self, rows: slice | np.ndarray) -> torch.Tensor:
        """Return some rows, a slice or places, standardised."""
        if isinstance(rows, slice):
            taken = self._read(rows)
        else:
            taken = np.empty((len(rows), self.V.shape[1]), dtype=self.dtype)
            blocks, places = np.divmod(rows, BLOCK_ROWS)
            for block in np.unique(blocks):
                here = blocks == block
                taken[here] = self._block(int(block))[places[here]]
        return torch.as_tensor(taken, device=self.device).reshape(len(taken), *self.shape)

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places: blocks in random order, and pools of blocks that are shuffled."""
        blocks = rng.permutation(-(-len(self) // BLOCK_ROWS))
        parts = []
        for start in range(0, len(blocks), POOL_BLOCKS):
            pool = [
                np.arange(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, len(self)))
                for b in blocks[start : start + POOL_BLOCKS]
            ]
            parts.append(rng.permutation(np.concatenate(pool)))
        return np.concatenate(parts)

    def _block(self, block: int) -> np.ndarray:
        if block not in self._blocks:
            # A batch may reach from one pool into the next.
            while len(self._blocks) >= 2 * POOL_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            start = block * BLOCK_ROWS
            self._blocks[block] = self._read(slice(start, min(start + BLOCK_ROWS, len(self))))
        return self._blocks[block]

    def _read(self, rows: slice) -> np.ndarray:
        return self.scaling.apply(dense_rows(self.V, rows), self.dtype)


class RaggedSource:
    """Sequences, padded with zeros batch by batch: a network takes a batch and its lengths.

    Parameters
    ----------
    songs : sequence of ndarray of shape (T_i, d)
        The sequences.
    scaling : Standardisation
        Means and scales of the features.
    device : torch.device or str
        Device of the batches.
    dtype : dtype
        Precision of the batches.
    """

    def __init__(
        self, songs: Sequence[np.ndarray], scaling: Standardisation, device: Any, dtype: Any
    ):
        self.songs, self.scaling, self.device, self.dtype = songs, scaling, device, np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.songs)

    def take(self, rows: slice | np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some sequences, (n, T, d), and their lengths, (n,)."""
        songs = self.songs[rows] if isinstance(rows, slice) else [self.songs[i] for i in rows]
        lengths = torch.tensor([len(song) for song in songs])
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.as_tensor(self.scaling.apply(song, self.dtype)) for song in songs],
            batch_first=True,
        )
        return padded.to(self.device), lengths.to(self.device)

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places in random order."""
        return rng.permutation(len(self.songs))


class ViewFormat(NamedTuple):
    """Format in which the rows of one view reach its network."""

    scaling: Standardisation
    shape: tuple[int, ...]  # of a row; () of sequences
    dtype: np.dtype | str

    def stream(self, V: View, device: torch.device) -> Source:
        """Return rows that are standardised when a network takes them."""
        if isinstance(V, RaggedRows):
            return RaggedSource(V.songs, self.scaling, device, self.dtype)
        return StreamedRows(V, self.scaling, device, self.dtype, self.shape)

    def training_rows(self, V: View, device: torch.device) -> Source:
        """Return rows, which lie on the device where they are one array in memory."""
        if not isinstance(V, np.ndarray):
            return self.stream(V, device)
        rows = self.scaling.apply(V, V.dtype)
        return ResidentRows(rows.reshape(-1, *self.shape), device)


class BatchSampler:
    """Draw the shuffled batches of each epoch, with the pairs within each batch.

    Paired views share their rows. Of unpaired class sets each side is shuffled on its own: an epoch
    is one pass over the longer side, and the shorter one starts again as often as needed.

    Parameters
    ----------
    x, y : Source
        Training rows.
    device : torch.device or str
        Device of the pairs.
    labels, weights, pairing : Labels or None, Weights, Pairing
        Labels and weights of the rows, and the rule that makes pairs of them.
    batch_size : int
        Rows of a batch. A last batch of fewer than ``smallest`` rows is merged into the one before:
        so few rows correlate by chance.
    smallest : int
        See ``batch_size``.
    rng : numpy Generator
        Shuffles, and draws sampled pairs.
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
        longer, shorter = max(n_x, n_y), min(n_x, n_y)
        cuts = np.arange(self.batch_size, longer, self.batch_size)
        if len(cuts) and longer - cuts[-1] < self.smallest:
            cuts = cuts[:-1]
        rows = (self.x if n_x >= n_y else self.y).order(self.rng)
        others = rows
        if self.labels is not None and self.labels.unpaired:
            rounds = -(-longer // shorter)
            other = self.y if n_x >= n_y else self.x
            others = np.concatenate([other.order(self.rng) for _ in range(rounds)])[:longer]
        sides = (rows, others) if n_x >= n_y else (others, rows)
        yield from zip(*(np.split(side, cuts) for side in sides), strict=True)


def train_validation_split(
    data: TrainingData, fraction: float, rng: np.random.Generator, name: str
) -> tuple[TrainingData, TrainingData]:
    """Return training and validation rows, split class by class where there are labels."""
    labels = data.labels
    x_mask = validation_mask(len(data.X), fraction, labels and labels.x, rng)
    y_mask = x_mask
    if labels is not None and labels.unpaired:
        y_mask = validation_mask(len(data.Y), fraction, labels.y, rng)
    training = data.take(np.flatnonzero(~x_mask), np.flatnonzero(~y_mask))
    validation = data.take(np.flatnonzero(x_mask), np.flatnonzero(y_mask))
    if min(len(V) for part in (training, validation) for V in part[:2]) < 3:
        raise ValueError(
            f"{name}: `validation_fraction`={fraction} leaves {len(training.X)} training and "
            f"{len(validation.X)} validation rows; early stopping needs 3 of each at least."
        )
    return training, validation


def validation_mask(
    n_rows: int, fraction: float, membership: sparse.csr_array | None, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of validation rows, to which every class gives its share, rounded at random."""
    order = rng.permutation(n_rows)
    # A row of an indicator matrix may have any number of tags, which give no order.
    if membership is not None and membership.nnz == n_rows:
        order = order[np.argsort(membership.indices[order], kind="stable")]
    # Evenly spaced places in class order take each class's share, whatever its size.
    n_validation = max(round(fraction * n_rows), 1)
    places = (np.arange(n_validation) + rng.random()) * n_rows / n_validation
    mask = np.zeros(n_rows, dtype=bool)
    mask[order[places.astype(int)]] = True
    return mask


def fingerprint(data: TrainingData) -> str:
    """Return a digest of rows in their order, of their labels and of their weights."""
    digest = hashlib.blake2b(digest_size=16)
    for V in (data.X, data.Y):
        if isinstance(V, RaggedRows):
            for song in V.songs:
                digest.update(np.asarray(song).tobytes())
        else:
            step = block_rows(V.shape[1])
            for start in range(0, len(V), step):
                digest.update(np.asarray(V[start : start + step]).tobytes())
    if data.labels is not None:
        digest.update(repr(data.labels.classes.tolist()).encode())
        for member in (data.labels.x, data.labels.y):
            digest.update(np.asarray(member.indices).tobytes())
            digest.update(np.asarray(member.indptr).tobytes())
    for weights in data.weights:
        digest.update(np.asarray(weights).tobytes())
    return digest.hexdigest()
