"""Where the rows of a view are kept, and the batches of two views with the pairs within each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from skcca._core.arrays import dense_rows
from skcca._core.pairs import Labels, Pairing, Weights
from skcca._core.standardize import Standardisation
from skcca.nn.losses import as_torch_pairs
from skcca.nn.step import Batch

# Streamed rows are read in blocks, and shuffled within pools of blocks.
BLOCK_ROWS = 1024
POOL_BLOCKS = 32


class Source(Protocol):
    """The rows of one view, wherever they are kept."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def take(self, rows: Any) -> Any:
        """Return some rows, a slice or places, as a network takes them, on its device."""

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places in an order that is random, and not too slow to read."""


class ResidentRows:
    """Rows that lie on the device as one tensor."""

    def __init__(self, rows: np.ndarray | torch.Tensor, device: torch.device | str = "cpu"):
        self.rows = torch.as_tensor(rows, device=device)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Any) -> torch.Tensor:
        """Return some rows, a slice or places."""
        if isinstance(rows, slice):
            return self.rows[rows]
        return self.rows[torch.as_tensor(rows, device=self.rows.device)]

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return all places in random order."""
        return rng.permutation(len(self.rows))


class StreamedRows:
    """Rows that stay where they are, on a disk for one: standardised block by block when needed.

    Parameters
    ----------
    V : array-like of shape (n, d)
        Gives rows as ``V[start:stop]``.
    scaling : Standardisation
        Means and scales of the features.
    device : torch.device or str
        Where the blocks are put.
    dtype : dtype
        Precision of the blocks.
    shape : tuple of int, default=(-1,)
        Of a row, as the network takes it.
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

    def take(self, rows: Any) -> torch.Tensor:
        """Return some rows, a slice or places, standardised."""
        if isinstance(rows, slice):
            found = self._read(rows)
        else:
            found = np.empty((len(rows), self.V.shape[1]), dtype=self.dtype)
            blocks, places = np.divmod(rows, BLOCK_ROWS)
            for block in np.unique(blocks):
                here = blocks == block
                found[here] = self._block(int(block))[places[here]]
        return torch.as_tensor(found, device=self.device).reshape(len(found), *self.shape)

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
            while len(self._blocks) >= 2 * POOL_BLOCKS:  # of this pool and of the last
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
        Where the batches are put.
    dtype : dtype
        Precision of the batches.
    """

    def __init__(
        self, songs: Sequence[np.ndarray], scaling: Standardisation, device: Any, dtype: Any
    ):
        self.songs, self.scaling, self.device, self.dtype = songs, scaling, device, np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.songs)

    def take(self, rows: Any) -> tuple[torch.Tensor, torch.Tensor]:
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


class BatchSampler:
    """Draw the shuffled batches of each epoch, with the pairs within each batch.

    Paired views share their rows. Of unpaired class sets each side is shuffled on its own: an epoch
    is one pass over the longer side, and the shorter one starts again as often as needed.

    Parameters
    ----------
    x, y : Source
        Training rows.
    device : torch.device or str
        Where the pairs are put.
    labels, weights, pairing : Labels or None, Weights, Pairing
        What decides the pairs.
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
        found = False
        for x_rows, y_rows in self._rows():
            weights = Weights(self.weights.x[x_rows], self.weights.y[y_rows])
            labels = None if self.labels is None else self.labels.take(x_rows, y_rows)
            pairs = self.pairing(labels, weights, self.rng)
            if not pairs.total > 0:
                continue  # unpaired batches may by chance share no class
            found = True
            yield Batch(
                self.x.take(x_rows), self.y.take(y_rows), as_torch_pairs(pairs, self.device)
            )
        if not found:
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
