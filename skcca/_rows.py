"""Products of the rows of one view, a block at a time, wherever the rows are kept.

    [V 1]' diag(w) [V 1],    F' [V 1],    [V 1]' diag(w) [U 1]

with V shifted by the mean of its first block, so that a large mean costs no digits, and with a
column of ones, so that sums and totals come out of the same products. Nothing larger than a block
is ever copied. Rows may lie in memory, in a memory map, in a sparse matrix or in an array of
another library (`skcca._dask` adds those of a cluster); the results are NumPy arrays of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skcca._compat import array_namespace
from skcca._features import block_rows, block_slices, dense_rows, first_mean, is_native, like

Array = np.ndarray

# A product of sparse matrices does about 1/1,000 of the operations a second that a dense one does,
# and it needs density squared of them.
_SPARSE_DENSITY = 0.03
# Without a shift a mean of m standard deviations costs 2 log10(m) digits.
_SPARSE_MEAN = 30.0


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
        self.shift = np.concatenate(shifts)
        self.dtype = np.dtype(dtype)
        self.block_rows = block_rows(len(self.shift) + 1)
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

        One symmetric rank-k update a block, of SciPy's BLAS throughout: alternating with NumPy's
        would make two thread pools wait for each other.
        """
        update = linalg.get_blas_funcs("syrk", dtype=self.dtype)
        uniform = is_uniform(weights)
        gram = np.zeros((self._buffer.shape[1],) * 2, order="F")
        combined: Any = None if factor is None else 0.0
        for rows, block in self.blocks():
            if factor is not None:
                combined = combined + factor[rows].T @ block
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
        return sum(_to_host(_factor_of(factor, rows, B).T @ B) for rows, B in self.blocks())

    def cross(self, weights: Array, other: Rows) -> Array:
        """Return [V 1]' diag(w) [U 1]."""
        return sum(
            _to_host(B.T @ _scaled(other.block(rows), weights[rows]))
            for rows, B in self.blocks(other.block_rows)
        )

    def columns(self, chosen: slice) -> Array:
        """Return some columns of [V 1], (n, chosen)."""
        return np.vstack([_to_host(B[:, chosen]) for _, B in self.blocks()])


class MappedRows(Rows):
    """Rows of which a function of each shifted block is taken, such as its whitening."""

    def __init__(self, V: Any, shift: Array, mapping: Callable[[Array], Array]):
        super().__init__([V], [shift])
        self._mapping = mapping

    def block(self, rows: slice) -> Array:
        """Return [f(V) 1] of some rows."""
        block = super().block(rows)
        return np.hstack([self._mapping(block[:, :-1]), block[:, -1:]])


class _PlainRows(Rows):
    """Rows whose blocks have operators of their own."""

    def sums(self, weights: Array, factor: Any = None) -> tuple[Array, Array | None]:
        """Return [V 1]' diag(w) [V 1], and F' [V 1] of the same pass."""
        gram: Any = 0.0
        combined: Any = None if factor is None else 0.0
        for rows, block in self.blocks():
            gram = gram + block.T @ _scaled(block, weights[rows])
            if factor is not None:
                combined = combined + _factor_of(factor, rows, block).T @ block
        return _to_host(gram), None if factor is None else _to_host(combined)


class NamespaceRows(_PlainRows):
    """Rows of an array API namespace: the products are made where the data lie."""

    def block(self, rows: slice) -> Any:
        """Return [V 1] of some rows, on their device."""
        xp = array_namespace(self.views[0])
        shift = like(np.append(self.shift, 0.0), self.views[0])
        parts = [xp.astype(V[rows, :], shift.dtype) for V in self.views]
        ones = xp.ones((parts[0].shape[0], 1), dtype=shift.dtype, device=shift.device)
        return xp.concat([*parts, ones], axis=1) - shift


class SparseRows(_PlainRows):
    """Rows of a sparse matrix, centred implicitly: without a shift zeros stay zeros."""

    def __init__(self, V: Any):
        super().__init__([V], [np.zeros(V.shape[1])])
        self.block_rows = block_rows(1 + V.nnz // V.shape[0], most=V.shape[0])

    def beside(self, other: Rows) -> None:
        """Sparse views gain nothing from standing side by side."""
        return

    def block(self, rows: slice) -> sparse.csr_array:
        """Return [V 1] of some rows."""
        V = sparse.csr_array(self.views[0][rows]).astype(np.float64)
        return sparse.hstack([V, np.ones((V.shape[0], 1))], format="csr")


def rows_of(V: Any, dtype: Any = np.float64) -> Rows:
    """Return the rows of a checked view in the class that fits how they are kept.

    Parameters
    ----------
    V : array-like of shape (n, d)
        A NumPy array, memory map, sparse matrix, Dask array or array of another namespace.
    dtype : dtype, default=float64
        Precision of the products of a block of a NumPy array.
    """
    if hasattr(V, "dask"):
        from skcca._dask import dask_rows

        return dask_rows(V)
    if sparse.issparse(V) and _stays_sparse(V):
        return SparseRows(V)
    if isinstance(V, np.ndarray) or sparse.issparse(V):
        return Rows([V], [first_mean(V)], dtype)
    return NamespaceRows([V], [first_mean(V)])


def _stays_sparse(V: Any) -> bool:
    """Whether sparse products are faster, and lose no digits for want of a shift."""
    mean, variance = mean_variance_axis(V, axis=0)
    thin = V.nnz < _SPARSE_DENSITY * V.shape[0] * V.shape[1]
    return bool(thin and (np.abs(mean) <= _SPARSE_MEAN * np.sqrt(variance)).all())


def is_uniform(weights: Array) -> bool:
    """Whether all weights are equal; told at once of those that were never written out."""
    return weights.strides == (0,) or float(np.ptp(weights)) == 0.0


def _scaled(block: Any, weights: Array) -> Any:
    """Return diag(w) B."""
    if sparse.issparse(block):
        return sparse.diags_array(weights) @ block
    return like(weights[:, None], block) * block


def _factor_of(factor: Any, rows: slice, block: Any) -> Any:
    """Return F of the block's rows, dense where the block is of another namespace."""
    return factor[rows] if is_native(block) else like(dense_rows(factor, rows), block)


def _to_host(A: Any) -> Array:
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
