"""Rows by how they are kept: in NumPy's memory, sparse, in another namespace, on a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skcca._compat import array_namespace
from skcca._features import block_rows, first_mean, like
from skcca._rows import Rows, factor_of, scaled, to_host

Array = np.ndarray

# A product of sparse matrices does about 1/1,000 of the operations a second that a dense one does,
# and it needs density squared of them.
_SPARSE_DENSITY = 0.03
# Without a shift a mean of m standard deviations costs 2 log10(m) digits.
_SPARSE_MEAN = 30.0


class _PlainRows(Rows):
    """Rows whose blocks have operators of their own."""

    def sums(self, weights: Array, factor: Any = None) -> tuple[Array, Array | None]:
        """Return [V 1]' diag(w) [V 1], and F' [V 1] of the same pass."""
        gram: Any = 0.0
        combined: Any = None if factor is None else 0.0
        for rows, block in self.blocks():
            gram = gram + block.T @ scaled(block, weights[rows])
            if factor is not None:
                combined = combined + factor_of(factor, rows, block).T @ block
        return to_host(gram), None if factor is None else to_host(combined)


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


def rows_of(V: Any, dtype: Any = np.float64, shift: Array | None = None) -> Rows:
    """Return the rows of a checked view in the class that fits how they are kept.

    Parameters
    ----------
    V : array-like of shape (n, d)
        A NumPy array, memory map, sparse matrix, Dask array or array of another namespace.
    dtype : dtype, default=float64
        Precision of the products of a block of a NumPy array.
    shift : ndarray of shape (d,), default=None
        What is subtracted; None for `starting_shift`, or nothing where a sparse matrix is better
        left sparse.
    """
    if sparse.issparse(V) and shift is None and _stays_sparse(V):
        return SparseRows(V)
    shift = starting_shift(V) if shift is None else shift
    if hasattr(V, "dask"):
        from skcca._dask import DaskRows

        return DaskRows([V], [shift])
    if isinstance(V, np.ndarray) or sparse.issparse(V):
        return Rows([V], [shift], dtype)
    return NamespaceRows([V], [shift])


def starting_shift(V: Any, weights: Array | None = None) -> Array:
    """Return the mean of the first rows, (d,); a weighted one of an array at hand."""
    if hasattr(V, "dask"):
        from skcca._dask import first_mean_of_chunks

        return first_mean_of_chunks(V)
    return first_mean(V, weights)


def _stays_sparse(V: Any) -> bool:
    """Whether sparse products are faster, and lose no digits for want of a shift."""
    mean, variance = mean_variance_axis(V, axis=0)
    thin = V.nnz < _SPARSE_DENSITY * V.shape[0] * V.shape[1]
    return bool(thin and (np.abs(mean) <= _SPARSE_MEAN * np.sqrt(variance)).all())
