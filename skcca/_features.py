"""Features of one view, block by block: standardisation, projection, loadings, signs.

Every pass over the rows takes blocks and subtracts in float64, so that neither a copy of the data
nor the rounding of a large mean is ever paid for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skcca._compat import array_namespace, to_numpy
from skcca._lazy import LazyRows, RaggedRows

_BLOCK_ROWS = 1024
_BLOCK_NUMBERS = 2**22  # 32 MiB


def dense_rows(V: Any, rows: slice) -> np.ndarray:
    """Return some rows as a NumPy array, whatever holds them; a view where it can be one."""
    block = V[slice(*rows.indices(V.shape[0])), :]
    if hasattr(block, "toarray"):
        return block.toarray()
    return np.asarray(block if isinstance(block, np.ndarray) else to_numpy(block))


def block_rows(width: int, most: int = _BLOCK_ROWS) -> int:
    """Return how many rows of so many numbers make a block."""
    return max(1, min(most, _BLOCK_NUMBERS // width))


def block_slices(n_rows: int, step: int) -> Iterator[slice]:
    """Yield the places of the blocks."""
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def row_blocks(V: Any, shift: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the place and the float64 copy ``V[place] - shift`` of each block of rows."""
    for rows in block_slices(V.shape[0], block_rows(V.shape[1])):
        yield rows, dense_rows(V, rows) - shift


def take(V: Any, rows: np.ndarray) -> Any:
    """Return some rows of V in its own kind."""
    if is_native(V):
        return V[rows]
    xp = array_namespace(V)
    return xp.take(V, xp.asarray(rows, device=V.device), axis=0)


def first_mean(V: Any, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean of the first block: a shift that keeps the digits a large mean would cost."""
    first = dense_rows(V, slice(block_rows(V.shape[1])))
    if weights is None or not weights[: len(first)].any():
        return first.mean(axis=0, dtype=float)
    return np.average(first, axis=0, weights=weights[: len(first)])


def mean_and_variance(V: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance (d,) of rows whose weights sum to one, in two passes."""
    with np.errstate(over="ignore", invalid="ignore"):  # `check_spread` reports what overflows
        shift = first_mean(V)
        mean = shift + sum(weights[rows] @ block for rows, block in row_blocks(V, shift))
        return mean, sum(weights[rows] @ block**2 for rows, block in row_blocks(V, mean))


def check_spread(V: Any, std: np.ndarray, name: str, weights: np.ndarray) -> None:
    """Refuse features whose squares leave the range of float64: they would vanish unseen."""
    small = _varying(V, np.flatnonzero(std < 1e-150), weights)
    large = np.flatnonzero(~(std < 1e150))
    if hasattr(V, "dask") and not np.isfinite(std).all():  # the others were looked through
        raise ValueError(f"`{name}` contains NaN or infinity; drop or fill those rows.")
    if small.size or large.size:
        column = int(np.r_[large, small][0])
        raise ValueError(
            f"Feature {column} of `{name}` spreads over {'more' if large.size else 'less'} than "
            f"1e{'+' if large.size else '-'}150, and its square leaves the range of float64; "
            "measure it in another unit."
        )


def _varying(V: Any, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return those of some columns that are not constant over the rows that weigh anything."""
    changes = np.zeros(len(columns), dtype=bool)
    if columns.size and not hasattr(V, "dask"):  # a cluster's rows are not fetched for this
        counted = np.asarray(weights) > 0  # a sample of pairs may leave out rows
        first = int(counted.argmax())
        for rows, block in row_blocks(V, dense_rows(V, slice(first, first + 1))[0]):
            changes |= block[counted[rows]][:, columns].any(axis=0)
    return columns[changes]


def varies(mean: np.ndarray, std: np.ndarray, eps: float) -> np.ndarray:
    """Return which features vary by more than the rounding of their mean."""
    return std > 4 * eps * np.abs(mean)


def working_eps(dtype: Any) -> float:
    """Return the relative precision of input of this dtype, of any namespace."""
    return float(np.finfo(np.float32 if "float32" in str(dtype) else np.float64).eps)


class Standardisation(NamedTuple):
    """(V - mean) / scale by feature; a constant feature has scale infinity and becomes 0."""

    mean: np.ndarray  # (d,)
    scale: np.ndarray  # (d,)

    @classmethod
    def of(cls, V: np.ndarray, weights: np.ndarray, name: str = "X") -> Standardisation:
        """Return the standardisation of rows whose weights sum to one."""
        mean, variance = mean_and_variance(V, weights)
        std = np.sqrt(variance)
        check_spread(V, std, name, weights)
        return cls(mean, np.where(varies(mean, std, working_eps(V.dtype)), std, np.inf))

    @classmethod
    def identity(cls, n_features: int) -> Standardisation:
        """Return the one that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def apply(self, V: np.ndarray, dtype: type | np.dtype = np.float64) -> np.ndarray:
        """Return the standardised rows."""
        out = np.empty(V.shape, dtype=dtype)
        for rows, block in row_blocks(V, self.mean):
            out[rows] = block / self.scale
        return out


def like(A: np.ndarray, V: Any) -> Any:
    """Return a NumPy array in the namespace and on the device of V."""
    if is_native(V):
        return A
    xp = array_namespace(V)
    # Apple's GPUs know no float64.
    dtype = xp.float32 if "mps" in str(V.device) else xp.float64
    return xp.asarray(np.array(A, order="C"), dtype=dtype, device=V.device)


def follow(Y: Any, X: Any) -> Any:
    """Return Y in the namespace and on the device of X, in its own dtype."""
    if is_native(X):
        return Y if is_native(Y) else to_numpy(Y)
    xp = array_namespace(X)
    if not is_native(Y) and array_namespace(Y) is xp and Y.device == X.device:
        return Y
    return xp.asarray(dense_rows(Y, slice(None)), device=X.device)


def is_native(V: Any) -> bool:
    """Whether V is a NumPy array, or sparse, or gives these: a Dask array, rows on a disk."""
    known = isinstance(V, (np.ndarray, LazyRows, RaggedRows))
    return known or hasattr(V, "toarray") or hasattr(V, "dask")


def project(V: Any, mean: Any, weights: Any, offset: Any = 0.0) -> Any:
    """Return (V - mean) @ weights + offset in the dtype of V and where V lies; lazily of Dask's."""
    mean, weights = to_numpy(mean), to_numpy(weights)
    if hasattr(V, "dask"):
        chunks = (V.chunks[0], (weights.shape[1],))
        V = V.rechunk({1: -1})
        return V.map_blocks(project, mean, weights, offset, dtype=V.dtype, chunks=chunks)
    if hasattr(V, "toarray"):
        return np.asarray(V @ weights - mean @ weights + offset).astype(V.dtype)
    if not is_native(V):
        mean, weights, xp = like(mean, V), like(weights, V), array_namespace(V)
        offset = like(np.asarray(offset), V)
        return xp.astype((xp.astype(V, mean.dtype) - mean) @ weights + offset, V.dtype)
    Z = np.empty((V.shape[0], weights.shape[1]), dtype=V.dtype)
    for rows, block in row_blocks(V, mean):
        Z[rows] = block @ weights + offset
    return Z


def loadings(V: np.ndarray, Z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correlation (d, k) of each feature with each variate; 0 for a constant feature."""
    features, variates = Standardisation.of(V, weights), Standardisation.of(Z, weights)
    Z = variates.apply(Z) * weights[:, None]
    total = sum(
        (block / features.scale).T @ Z[rows] for rows, block in row_blocks(V, features.mean)
    )
    return np.clip(total, -1.0, 1.0)


def component_signs(loadings: np.ndarray) -> np.ndarray:
    """Return the signs (k,) that make the largest |loading| of each component positive.

    Among loadings that are equal up to rounding the first decides, so that row order does not.
    """
    size = np.abs(loadings)
    first = np.argmax(size >= size.max(axis=0) * (1 - 1e-6), axis=0)
    return np.where(loadings[first, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
