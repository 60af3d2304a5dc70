"""Products of the rows of one view, a block at a time, wherever the rows are kept.

    [V 1]' diag(w) [V 1],    F' [V 1],    [V 1]' diag(w) [U 1]

with V shifted by the mean of its first block, so that a large mean costs no digits, and with a
column of ones, so that sums and totals come out of the same products. Nothing larger than a block
is ever copied. Here rows lie in memory or in a memory map; `skcca._storage` adds sparse matrices
and arrays of other namespaces, `skcca._dask` those of a cluster. The results are NumPy arrays of
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import linalg, sparse

from skcca._features import block_rows, block_slices, dense_rows, is_native, like

Array = np.ndarray


class Rows:
    """Rows of NumPy arrays that stand side by side, shifted and with a column of ones.

    Parameters
    ----------
    views : list of array-like of shape (n, d)
        The views; sparse ones are made dense a block at a time.
    shifts : list of ndarray of shape (d,)
        What is subtracted from each.
    dtype : dtype, default=float64
        Precision of the products of a block; the blocks are added up in float64.
    """

    def __init__(self, views: list[Any], shifts: list[Array], dtype: Any = np.float64):
        self.views = views
        self.dtype = np.dtype(dtype)
        # As it is subtracted: what the sums are about must be known to the last digit.
        self.shift = np.concatenate(shifts).astype(self.dtype).astype(float)
        # Sums in float64 of products in float32 are made block by block: the fewer, the faster.
        self.block_rows = block_rows(len(self.shift) + 1) * (8 // self.dtype.itemsize) ** 2
        self._buffer = np.empty((0, len(self.shift) + 1), dtype=self.dtype)

    def __len__(self) -> int:
        return int(self.views[0].shape[0])

    def beside(self, other: Rows) -> Rows | None:
        """Return both side by side where one product can serve them, else None."""
        if type(self) is not type(other) or self.dtype != other.dtype:
            return None
        return type(self)([*self.views, *other.views], [self.shift, other.shift], self.dtype)

    def block(self, rows: slice) -> Any:
        """Return [V 1] of some rows; the next block overwrites it."""
        n = rows.stop - rows.start
        if len(self._buffer) < n:
            self._buffer = np.empty((n, len(self.shift) + 1), dtype=self.dtype)
        block, start = self._buffer[:n], 0
        shift = self.shift.astype(self.dtype, copy=False)
        for V in self.views:
            columns = slice(start, start + V.shape[1])
            np.subtract(dense_rows(V, rows), shift[columns], out=block[:, columns])
            start = columns.stop
        block[:, -1] = 1.0
        return block

    def blocks(self, most: int | None = None) -> Iterator[tuple[slice, Any]]:
        """Yield place and content of each block of at most so many rows."""
        step = self.block_rows if most is None else min(most, self.block_rows)
        for rows in block_slices(len(self), step):
            yield rows, self.block(rows)

    def sums(self, weights: Array, factor: Any = None) -> tuple[Array, Array | None]:
        """Return [V 1]' diag(w) [V 1], and F' [V 1] of the same pass.

        One symmetric rank-k update a block, of SciPy's BLAS throughout, as `product` is.
        """
        update = linalg.get_blas_funcs("syrk", dtype=self.dtype)
        uniform = is_uniform(weights)
        gram = np.zeros((self._buffer.shape[1],) * 2, order="F")
        combined = None
        if factor is not None:
            dtype = np.result_type(factor.dtype, self.dtype)
            combined = np.zeros((factor.shape[1], self._buffer.shape[1]), dtype=dtype)
        for rows, block in self.blocks():
            if combined is not None:
                _add_product(combined, factor[rows], block)
            if not uniform:
                block *= np.sqrt(weights[rows])[:, None]
            if self.dtype == gram.dtype:
                gram = update(1.0, block.T, beta=1.0, c=gram, lower=True, overwrite_c=True)
            else:
                gram += update(1.0, block.T, lower=True)
        if uniform:
            gram *= weights[0]
        return _mirror(gram), combined

    def combine(self, factor: Any) -> Array:
        """Return F' [V 1]."""
        return _total(to_host(factor_of(factor, rows, B).T @ B) for rows, B in self.blocks())

    def cross(self, weights: Array, other: Rows) -> Array:
        """Return [V 1]' diag(w) [U 1]."""
        return _total(
            to_host(B.T @ scaled(other.block(rows), weights[rows]))
            for rows, B in self.blocks(other.block_rows)
        )

    def columns(self, chosen: slice) -> Array:
        """Return some columns of [V 1], (n, chosen)."""
        # Copies, because the next block overwrites this one.
        return np.vstack([to_host(B[:, chosen]).copy() for _, B in self.blocks()])


class MappedRows(Rows):
    """Rows of which a function of each shifted block is taken, such as its whitening."""

    def __init__(self, V: Any, shift: Array, mapping: Callable[[Array], Array]):
        super().__init__([V], [shift])
        self._mapping = mapping

    def block(self, rows: slice) -> Array:
        """Return [f(V) 1] of some rows."""
        block = super().block(rows)
        return np.hstack([self._mapping(block[:, :-1]), block[:, -1:]])


def product(A: Array, B: Array) -> Array:
    """Return A @ B of float64 by SciPy's BLAS: the threads of NumPy's would wait for its own."""
    transposed = A.flags.c_contiguous
    return linalg.blas.dgemm(1.0, A.T if transposed else A, B, trans_a=transposed)


def _add_product(total: Array, factor: Any, block: Array) -> None:
    """Add F' B to a total: only to the rows it changes, since a block meets few of many classes."""
    if getattr(factor, "format", "dense") == "csr" and factor.shape[1] > factor.shape[0]:
        met, place = np.unique(factor.indices, return_inverse=True)
        shape = factor.shape[0], len(met)
        total[met] += sparse.csr_array((factor.data, place, factor.indptr), shape=shape).T @ block
    else:
        total += factor.T @ block


def _total(parts: Iterator[Array]) -> Array:
    total = next(parts)
    for part in parts:
        total += part
    return total


def is_uniform(weights: Array) -> bool:
    """Whether all weights are equal; told at once of those that were never written out."""
    return weights.strides == (0,) or float(np.ptp(weights)) == 0.0


def diagonal(weights: Array) -> sparse.dia_array:
    """Return diag(w), which older versions of SciPy have no function for."""
    n = len(weights)
    return sparse.dia_array((weights[np.newaxis], [0]), shape=(n, n))


def scaled(block: Any, weights: Array) -> Any:
    """Return diag(w) B."""
    if sparse.issparse(block):
        return diagonal(weights) @ block
    return like(weights[:, None], block) * block


def factor_of(factor: Any, rows: slice, block: Any) -> Any:
    """Return F of the block's rows, dense where the block is of another namespace."""
    return factor[rows] if is_native(block) else like(dense_rows(factor, rows), block)


def to_host(A: Any) -> Array:
    """Return a dense NumPy array of float64."""
    return np.asarray(dense_rows(A, slice(None)), dtype=float)


def _mirror(gram: Array) -> Array:
    """Copy the lower triangle to the upper, in place, a stripe at a time."""
    step = 256
    for start in range(0, len(gram), step):
        stop = min(start + step, len(gram))
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        square = gram[start:stop, start:stop]
        square[:] = np.tril(square) + np.tril(square, -1).T
    return gram
