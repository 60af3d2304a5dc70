"""Rows outside of one array in memory: on a disk, or sequences of any length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skcca._core.types import ArrayLike, ViewLike


class LazyRows:
    """Rows (n, d) of an array of two or more dimensions, read in slices.

    The source is read as ``source[start:stop]`` or ``source[places]`` with rising places; `places`
    are the rows that belong to the view, None for all. Error messages name it by `name`.
    """

    ndim = 2

    def __init__(self, source: ArrayLike, name: str, places: np.ndarray | None = None):
        if source.dtype.kind not in "biuf":
            raise ValueError(
                f"`{name}` holds {source.dtype} on its disk; expected numbers (float, int or bool)."
            )
        self.source, self.name, self.places = source, name, places
        self.dtype = np.dtype(np.float32 if source.dtype == np.float32 else np.float64)
        n = source.shape[0] if places is None else len(places)
        self.shape = (n, int(np.prod(source.shape[1:])))
        self.nbytes = int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: ArrayLike) -> ArrayLike:
        """Return a slice of the rows as an array, or rows at places as `LazyRows`."""
        rows = key[0] if isinstance(key, tuple) else key
        if not isinstance(rows, slice):
            every = np.arange(len(self)) if self.places is None else self.places
            return LazyRows(self.source, self.name, every[rows])
        where = rows if self.places is None else self.places[rows]
        block = np.asarray(self.source[where], dtype=self.dtype)
        if not np.isfinite(block).all():
            raise ValueError(
                f"`{self.name}` contains NaN or infinity, or values too large for {self.dtype}, "
                f"between its rows {rows.start} and {rows.stop}; drop or fill those rows."
            )
        return block.reshape(len(block), -1)


class RaggedRows:
    """Sequences (T_i, d) as rows; where all rows must have one length, the means of the frames."""

    ndim = 2

    def __init__(self, songs: Sequence[np.ndarray], name: str):
        self.songs, self.name = list(songs), name
        self.dtype = self.songs[0].dtype if self.songs else np.dtype(float)
        self.shape = (len(self.songs), self.songs[0].shape[1] if self.songs else 0)
        self.nbytes = sum(song.nbytes for song in self.songs)

    def __len__(self) -> int:
        return len(self.songs)

    def __getitem__(self, key: ArrayLike) -> ArrayLike:
        """Return the mean frames of a slice as an array, or sequences at places as `RaggedRows`."""
        rows = key[0] if isinstance(key, tuple) else key
        if not isinstance(rows, slice):
            return RaggedRows([self.songs[i] for i in np.arange(len(self))[rows]], self.name)
        return np.stack([song.mean(axis=0) for song in self.songs[rows]])

    def frames(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all frames, and their shares of the weights of their rows."""
        lengths = [len(song) for song in self.songs]
        return np.concatenate(self.songs), np.repeat(weights / lengths, lengths)


def is_ragged(V: ViewLike) -> bool:
    """Whether V is a list, or an object array, of sequences."""
    listed = isinstance(V, (list, tuple)) or getattr(getattr(V, "dtype", None), "kind", "") == "O"
    # A Series finds entries by their labels and not by their places.
    return listed and len(V) > 0 and np.ndim(next(iter(V))) == 2


def stays_on_disk(V: ViewLike) -> bool:
    """Whether V is a memory map of the user, or is read in chunks as HDF5 and Zarr arrays are."""
    if isinstance(V, np.memmap):
        # joblib maps large arrays on their way to its workers, in folders of this name.
        return "joblib_memmapping_folder_" not in str(V.filename)
    chunked = hasattr(V, "chunks") and hasattr(V, "shape") and hasattr(V, "dtype")
    return chunked and not hasattr(V, "dask")


def shape_of(V: ViewLike, name: str, caller: str) -> tuple[int, ...]:
    """Return the shape of an array, and () for anything else.

    A closed file raises an error that names the argument.
    """
    try:
        return tuple(getattr(V, "shape", ()))
    # HDF5 raises any of these for a closed file.
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{caller}: `{name}` cannot be read; is its file closed? ({error})"
        ) from error
