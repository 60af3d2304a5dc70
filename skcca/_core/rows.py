"""Products of the rows of one view, a block at a time, wherever the rows are kept.

    [V 1]' diag(w) [V 1],    F' [V 1],    [V 1]' diag(w) [U 1]

with V shifted by the mean of its first block, so that a large mean costs no digits, and with a
column of ones, so that sums and totals come out of the same products. Nothing larger than a block
is ever copied. Rows lie in memory, in a memory map, in a sparse matrix, in an array of
another namespace or on a cluster; the results are NumPy arrays of float64. Of a Dask array the
products of each chunk are made where it lies and added up in a tree: matrices of products travel,
rows do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import iadd
from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from skcca._core.arrays import (
    as_namespace_of,
    block_rows,
    block_slices,
    dense_rows,
    first_mean,
    is_native,
)
from skcca._core.compat import array_namespace
from skcca._core.types import ArrayLike, ViewLike

Array = np.ndarray


class Rows:
    """Rows of NumPy arrays side by side, shifted and with a column of ones.

    A shift (d,) is subtracted from each view (n, d); sparse views are made dense a block at a time.
    The products of a block are made in `dtype`, and the blocks added up in float64.
    """

    def __init__(
        self, views: list[ViewLike], shifts: list[Array], dtype: np.typing.DTypeLike = np.float64
    ):
        self.views = views
        self.dtype = np.dtype(dtype)
        # As it is subtracted: what the sums are about must be known to the last digit.
        self.shift = np.concatenate(shifts).astype(self.dtype).astype(float)
        # Sums in float64 of products in float32 are made block by block: the fewer, the faster.
        self.block_rows = block_rows(len(self.shift) + 1) * (8 // self.dtype.itemsize) ** 2
        self._buffer = np.empty((0, len(self.shift) + 1), dtype=self.dtype)

    def __len__(self) -> int:
        return int(self.views[0].shape[0])

    def hstack(self, other: Rows) -> Rows | None:
        """Return both side by side, or None if one product cannot serve them."""
        if type(self) is not type(other) or self.dtype != other.dtype:
            return None
        return type(self)([*self.views, *other.views], [self.shift, other.shift], self.dtype)

    def block(self, rows: slice) -> ArrayLike:
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

    def blocks(self, most: int | None = None) -> Iterator[tuple[slice, ArrayLike]]:
        """Yield place and content of each block of at most so many rows."""
        step = self.block_rows if most is None else min(most, self.block_rows)
        for rows in block_slices(len(self), step):
            yield rows, self.block(rows)

    def weighted_gram(self, weights: Array, factor: ArrayLike = None) -> tuple[Array, Array | None]:
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

    def factor_product(self, factor: ArrayLike) -> Array:
        """Return F' [V 1]."""
        parts = (to_host(factor_of(factor, rows, B).T @ B) for rows, B in self.blocks())
        return reduce(iadd, parts)

    def cross(self, weights: Array, other: Rows) -> Array:
        """Return [V 1]' diag(w) [U 1]."""
        blocks = self.blocks(other.block_rows)
        parts = (to_host(B.T @ scaled(other.block(rows), weights[rows])) for rows, B in blocks)
        return reduce(iadd, parts)

    def columns(self, chosen: slice) -> Array:
        """Return some columns of [V 1], (n, chosen)."""
        # Copies, because the next block overwrites this one.
        return np.vstack([to_host(B[:, chosen]).copy() for _, B in self.blocks()])


class MappedRows(Rows):
    """Rows under a function of each shifted block, such as its whitening."""

    def __init__(self, V: ViewLike, shift: Array, mapping: Callable[[Array], Array]):
        super().__init__([V], [shift])
        self._mapping = mapping

    def block(self, rows: slice) -> Array:
        block = super().block(rows)
        return np.hstack([self._mapping(block[:, :-1]), block[:, -1:]])


def product(A: Array, B: Array) -> Array:
    """Return A @ B of float64 by SciPy's BLAS: the threads of NumPy's would wait for its own."""
    transposed = A.flags.c_contiguous
    return linalg.blas.dgemm(1.0, A.T if transposed else A, B, trans_a=transposed)


def _add_product(total: Array, factor: ArrayLike, block: Array) -> None:
    """Add F' B to a total: only to the rows it changes, since a block meets few of many classes."""
    if getattr(factor, "format", "dense") == "csr" and factor.shape[1] > factor.shape[0]:
        met, place = np.unique(factor.indices, return_inverse=True)
        shape = factor.shape[0], len(met)
        total[met] += sparse.csr_array((factor.data, place, factor.indptr), shape=shape).T @ block
    else:
        total += factor.T @ block


def is_uniform(weights: Array) -> bool:
    """Whether all weights are equal; a broadcast number is seen at once."""
    return weights.strides == (0,) or float(np.ptp(weights)) == 0.0


def diagonal(weights: Array) -> sparse.dia_array:
    """Return diag(w); older versions of SciPy have no function for it."""
    return sparse.dia_array((weights[np.newaxis], [0]), shape=(len(weights),) * 2)


def scaled(block: ArrayLike, weights: Array) -> ArrayLike:
    """Return diag(w) B."""
    if sparse.issparse(block):
        return diagonal(weights) @ block
    return as_namespace_of(weights[:, None], block) * block


def factor_of(factor: ArrayLike, rows: slice, block: ArrayLike) -> ArrayLike:
    """Return F of the block's rows, dense where the block is of another namespace."""
    return factor[rows] if is_native(block) else as_namespace_of(dense_rows(factor, rows), block)


def to_host(A: ArrayLike) -> Array:
    """Return a dense NumPy array of float64."""
    return np.asarray(dense_rows(A, slice(None)), dtype=float)


def _mirror(gram: Array) -> Array:
    """Copy the lower triangle to the upper, in place, a stripe at a time."""
    step = 256
    for start in range(0, len(gram), step):
        stop = min(start + step, len(gram))
        gram[start:stop, stop:] = gram[stop:, start:stop].T
        square = gram[start:stop, start:stop]
        # There are zeros above the diagonal, which is added to itself.
        square += square.T
        np.einsum("ii->i", square)[...] /= 2
    return gram


# A product of sparse matrices does about 1/1,000 of the operations a second that a dense one does,
# and it needs density squared of them.
_SPARSE_DENSITY = 0.03
# Without a shift a mean of m standard deviations costs 2 log10(m) digits.
_SPARSE_MEAN = 30.0


class _OperatorRows(Rows):
    """Rows whose blocks are multiplied by their own operators."""

    def weighted_gram(self, weights: Array, factor: ArrayLike = None) -> tuple[Array, Array | None]:
        gram: Any = 0.0
        combined: Any = None if factor is None else 0.0
        for rows, block in self.blocks():
            gram = gram + block.T @ scaled(block, weights[rows])
            if factor is not None:
                combined = combined + factor_of(factor, rows, block).T @ block
        return to_host(gram), None if factor is None else to_host(combined)


class NamespaceRows(_OperatorRows):
    """Rows of an array API namespace, multiplied on their device."""

    def block(self, rows: slice) -> ArrayLike:
        xp = array_namespace(self.views[0])
        shift = as_namespace_of(np.append(self.shift, 0.0), self.views[0])
        parts = [xp.astype(V[rows, :], shift.dtype) for V in self.views]
        ones = xp.ones((parts[0].shape[0], 1), dtype=shift.dtype, device=shift.device)
        return xp.concat([*parts, ones], axis=1) - shift


class SparseRows(_OperatorRows):
    """Rows of a sparse matrix, centred implicitly: without a shift zeros stay zeros."""

    def __init__(self, V: ViewLike):
        super().__init__([V], [np.zeros(V.shape[1])])
        self.block_rows = block_rows(1 + V.nnz // V.shape[0], most=V.shape[0])

    def hstack(self, other: Rows) -> None:
        """Sparse views gain nothing from standing side by side."""
        return

    def block(self, rows: slice) -> sparse.csr_array:
        V = sparse.csr_array(self.views[0][rows]).astype(np.float64)
        return sparse.hstack([V, np.ones((V.shape[0], 1))], format="csr")


def rows_of(
    V: ViewLike, dtype: np.typing.DTypeLike = np.float64, shift: Array | None = None
) -> Rows:
    """Return the rows of a checked view in the class of their storage.

    The products of a block of a NumPy array are made in `dtype`. Without a shift that of
    `starting_shift` is subtracted, or none where a sparse matrix is better left sparse.
    """
    if sparse.issparse(V) and shift is None and _stays_sparse(V):
        return SparseRows(V)
    shift = starting_shift(V) if shift is None else shift
    if hasattr(V, "dask"):
        return DaskRows([V], [shift])
    if isinstance(V, np.ndarray) or sparse.issparse(V):
        return Rows([V], [shift], dtype)
    return NamespaceRows([V], [shift])


def starting_shift(V: ViewLike, weights: Array | None = None) -> Array:
    """Return the mean of the first rows, (d,); a weighted one of an array at hand."""
    if hasattr(V, "dask"):
        import dask

        return dask.delayed(first_mean)(V[:2048].rechunk(-1)).compute()
    return first_mean(V, weights)


def _stays_sparse(V: ViewLike) -> bool:
    """Whether sparse products are faster, and lose no digits for want of a shift."""
    mean, variance = mean_variance_axis(V, axis=0)
    thin = V.nnz < _SPARSE_DENSITY * V.shape[0] * V.shape[1]
    return bool(thin and (np.abs(mean) <= _SPARSE_MEAN * np.sqrt(variance)).all())


_FAN_IN = 8


class DaskRows(Rows):
    """Rows of Dask arrays side by side, whose chunks may hold NumPy arrays or sparse matrices.

    Products are made in float64, whatever the dtype.
    """

    def __init__(
        self, views: list[ViewLike], shifts: list[Array], dtype: np.typing.DTypeLike = np.float64
    ):
        # A view of several column chunks, or cut at other rows than the first one, is cut anew.
        places = tuple(n for n in views[0].chunks[0] if n > 0)
        views = [V.rechunk({0: places, 1: -1}) for V in views]
        super().__init__(views, shifts)
        self._shifts = shifts

    def weighted_gram(self, weights: Array, factor: ArrayLike = None) -> tuple[Array, Array | None]:
        return self._reduce(weights, factor)

    def factor_product(self, factor: ArrayLike) -> Array:
        return self._reduce(None, factor)[1]

    def cross(self, weights: Array, other: Rows) -> Array:
        joint = self.hstack(other)
        if joint is None:
            raise TypeError("A Dask array is paired with another Dask array only.")
        d = len(self.shift)
        gram = joint.weighted_gram(weights)[0]
        return gram[np.r_[:d, -1]][:, np.r_[d : len(gram)]]

    def columns(self, chosen: slice) -> Array:
        """Refuse, because whole columns would have to travel."""
        raise ValueError(
            "Sampled pairs (`pair_fraction`, `pairs_per_sample`) need all rows in one place, which "
            "Dask arrays have not; use all pairs, or give NumPy arrays."
        )

    def _reduce(self, weights: Array | None, factor: ArrayLike) -> tuple:
        """Return both sums of `weighted_gram`; without weights, the second alone."""
        import dask

        of_chunk, add = dask.delayed(_products_of_chunk), dask.delayed(_add)
        sizes = self.views[0].chunks[0]
        places = [slice(b - n, b) for b, n in zip(np.cumsum(sizes), sizes, strict=True)]
        given: list[Any] = [None] * len(places)
        if weights is not None:
            # Of uniform weights one number need travel.
            uniform = is_uniform(weights)
            given = [weights[0] if uniform else weights[own] for own in places]
        factors = [None if factor is None else factor[own] for own in places]
        arguments = _shipped(list(zip(given, factors, strict=True)))
        chunks = zip(*(V.to_delayed()[:, 0] for V in self.views), strict=True)
        parts = [
            of_chunk(self._shifts, own, more) for own, more in zip(chunks, arguments, strict=True)
        ]
        while len(parts) > 1:
            parts = [add(*parts[i : i + _FAN_IN]) for i in range(0, len(parts), _FAN_IN)]
        return dask.compute(parts[0])[0]


def _products_of_chunk(shifts: list[Array], chunks: tuple, arguments: tuple) -> tuple:
    weights, factor = arguments
    rows = Rows(list(chunks), shifts)
    if weights is None:
        return None, rows.factor_product(factor)
    return rows.weighted_gram(np.broadcast_to(weights, len(rows)), factor)


def _shipped(arguments: list[tuple]) -> list:
    """Return weights and labels of the chunks as the workers find them best: not in the graph."""
    try:
        from distributed import get_client

        client = get_client()
    except (ImportError, ValueError):
        # Without a cluster the threads of this process compute.
        return arguments
    return client.scatter(arguments, hash=False)


def _add(*parts: tuple) -> tuple:
    return tuple(None if p[0] is None else sum(p[1:], start=p[0]) for p in zip(*parts, strict=True))
