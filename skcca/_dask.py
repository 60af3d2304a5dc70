"""Rows of a Dask array: the products of each chunk are made where it lies and added up in a tree.

Matrices of products travel, rows never do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skcca._features import first_mean
from skcca._rows import Rows, is_uniform

Array = np.ndarray
_FAN_IN = 8


class DaskRows(Rows):
    """Rows of Dask arrays that stand side by side.

    Parameters
    ----------
    views : list of dask.array.Array of shape (n, d)
        The views, whose chunks may hold NumPy arrays or sparse matrices.
    shifts : list of ndarray of shape (d,)
        What is subtracted from each.
    dtype : dtype, default=float64
        Not used: products are made in float64.
    """

    def __init__(self, views: list[Any], shifts: list[Array], dtype: Any = np.float64):
        # A view of several column chunks, or cut at other rows than the first one, is cut anew.
        places = tuple(n for n in views[0].chunks[0] if n > 0)
        views = [V.rechunk({0: places, 1: -1}) for V in views]
        super().__init__(views, shifts)
        self._shifts = shifts

    def sums(self, weights: Array, factor: Any = None) -> tuple[Array, Array | None]:
        """Return [V 1]' diag(w) [V 1], and F' [V 1] of the same pass."""
        uniform = is_uniform(weights)  # and one number need travel
        parts = [
            (weights[0] if uniform else weights[own], None if factor is None else factor[own])
            for own in self._places()
        ]
        return self._reduce(_chunk_sums, parts)

    def combine(self, factor: Any) -> Array:
        """Return F' [V 1]."""
        parts = [(factor[own],) for own in self._places()]
        return self._reduce(_chunk_combined, parts)[0]

    def cross(self, weights: Array, other: Rows) -> Array:
        """Return [V 1]' diag(w) [U 1], of views that can stand side by side."""
        joint = self.beside(other)
        if joint is None:
            raise TypeError("A Dask array is paired with another Dask array only.")
        d = len(self.shift)
        gram = joint.sums(weights)[0]
        return gram[np.r_[:d, -1]][:, np.r_[d : len(gram)]]

    def columns(self, chosen: slice) -> Array:
        """Refuse, because whole columns would have to travel."""
        raise ValueError(
            "Sampled pairs (`pair_fraction`, `pairs_per_sample`) need all rows in one place, which "
            "Dask arrays have not; use all pairs, or give NumPy arrays."
        )

    def _places(self) -> list[slice]:
        stops = np.cumsum(self.views[0].chunks[0])
        return [slice(b - n, b) for b, n in zip(stops, self.views[0].chunks[0], strict=True)]

    def _reduce(self, product: Callable, arguments: list[tuple]) -> Any:
        """Return the sum over chunks of a product of their rows."""
        import dask

        of_chunk, add = dask.delayed(_of_chunk), dask.delayed(_add)
        chunks = zip(*(V.to_delayed()[:, 0] for V in self.views), strict=True)
        parts = [
            of_chunk(product, self._shifts, own, given)
            for own, given in zip(chunks, _shipped(arguments), strict=True)
        ]
        while len(parts) > 1:
            parts = [add(*parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
        return dask.compute(parts[0])[0]


def first_mean_of_chunks(V: Any) -> Array:
    """Return the mean of the first rows, made where they lie."""
    import dask

    return dask.delayed(first_mean)(V[:2048].rechunk(-1)).compute()


def _chunk_sums(rows: Rows, weights: Any, factor: Any) -> tuple:
    return rows.sums(np.broadcast_to(weights, len(rows)), factor)


def _chunk_combined(rows: Rows, factor: Any) -> tuple:
    return (rows.combine(factor),)


def _of_chunk(product: Callable, shifts: list[Array], chunks: tuple, arguments: tuple) -> Any:
    return product(Rows(list(chunks), shifts), *arguments)


def _shipped(arguments: list[tuple]) -> list:
    """Return weights and labels of the chunks as the workers find them best: not in the graph."""
    try:
        from distributed import get_client

        client = get_client()
    except (ImportError, ValueError):
        return arguments  # no cluster: the threads of this process
    return client.scatter(arguments, hash=False)


def _add(*parts: tuple) -> tuple:
    return tuple(None if p[0] is None else sum(p[1:], start=p[0]) for p in zip(*parts, strict=True))
