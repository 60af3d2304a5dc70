"""Arrays of any kind, compared by their index, read and projected block by block.

Every pass over the rows takes blocks and subtracts in float64, so that neither a copy of the data
nor the rounding of a large mean is ever paid for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skcca._core.compat import array_namespace, to_numpy
from skcca._core.lazy import LazyRows, RaggedRows
from skcca._core.types import ArrayLike, ViewLike

# A block stays in the cache of a core where rows are short, and below 32 MiB where they are long.
_BLOCK_ROWS = 1024
_BLOCK_NUMBERS = 2**22


def dense_rows(V: ViewLike, rows: slice) -> np.ndarray:
    """Return some rows of any container as a NumPy array, without a copy where possible."""
    block = V[slice(*rows.indices(V.shape[0])), :]
    if hasattr(block, "toarray"):
        return block.toarray()
    return np.asarray(block if isinstance(block, np.ndarray) else to_numpy(block))


def block_rows(width: int, most: int = _BLOCK_ROWS) -> int:
    """Return the number of rows of a block of that width."""
    return max(1, min(most, _BLOCK_NUMBERS // width))


def block_slices(n_rows: int, step: int) -> Iterator[slice]:
    """Yield the places of the blocks."""
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def row_blocks(V: ViewLike, shift: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the place and the float64 copy ``V[place] - shift`` of each block of rows."""
    for rows in block_slices(V.shape[0], block_rows(V.shape[1])):
        yield rows, dense_rows(V, rows) - shift


def incomparable(a: np.ndarray, b: np.ndarray) -> str:
    """Return why the classes of two arrays cannot be compared, or nothing if they can."""
    kinds = [dtype.kind if dtype.kind in "US" else "a number" for dtype in (a.dtype, b.dtype)]
    if kinds[0] != kinds[1]:
        return "no string equals a number or bytes, so both must name their classes alike"
    if np.result_type(a, b).kind == "f":
        # NumPy makes floats of int64 and uint64, which could make different labels equal.
        return "no integer type holds both, so give both the same dtype"
    return ""


def take(V: ViewLike, rows: np.ndarray) -> ViewLike:
    """Return some rows of V in its own kind."""
    if is_native(V):
        return V[rows]
    xp = array_namespace(V)
    return xp.take(V, xp.asarray(rows, device=V.device), axis=0)


def first_mean(V: ViewLike, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the mean of the first block, a shift beside which a large mean costs no digits."""
    first = dense_rows(V, slice(block_rows(V.shape[1])))
    if weights is None or not weights[: len(first)].any():
        return np.add.reduce(first, axis=0, dtype=float) / len(first)
    return np.average(first, axis=0, weights=weights[: len(first)])


def input_eps(dtype: object) -> float:
    """Return the relative precision of input of this dtype, of any namespace."""
    single = dtype == np.float32 if isinstance(dtype, np.dtype) else "float32" in str(dtype)
    return float(np.finfo(np.float32 if single else np.float64).eps)


def as_namespace_of(A: np.ndarray, V: ViewLike) -> ViewLike:
    """Return a NumPy array in the namespace and on the device of V."""
    if is_native(V):
        return A
    xp = array_namespace(V)
    # Apple's GPUs know no float64.
    dtype = xp.float32 if "mps" in str(V.device) else xp.float64
    return xp.asarray(np.array(A, order="C"), dtype=dtype, device=V.device)


def to_namespace_of(Y: ViewLike, X: ViewLike) -> ViewLike:
    """Return Y in the namespace and on the device of X, in its own dtype."""
    if is_native(X):
        return Y if is_native(Y) else to_numpy(Y)
    xp = array_namespace(X)
    if not is_native(Y) and array_namespace(Y) is xp and Y.device == X.device:
        return Y
    return xp.asarray(dense_rows(Y, slice(None)), device=X.device)


def is_native(V: ViewLike) -> bool:
    """Whether V is a NumPy or sparse array, or gives these in blocks (Dask, rows on a disk)."""
    known = isinstance(V, (np.ndarray, LazyRows, RaggedRows))
    return known or hasattr(V, "toarray") or hasattr(V, "dask")


def project(V: ViewLike, mean: ArrayLike, weights: ArrayLike, offset: ArrayLike = 0.0) -> ViewLike:
    """Return (V - mean) @ weights + offset, in the dtype and on the device of V.

    The result of a Dask array is lazy.
    """
    mean, weights = to_numpy(mean), to_numpy(weights)
    if hasattr(V, "dask"):
        chunks = (V.chunks[0], (weights.shape[1],))
        V = V.rechunk({1: -1})
        return V.map_blocks(project, mean, weights, offset, dtype=V.dtype, chunks=chunks)
    if hasattr(V, "toarray"):
        return np.asarray(V @ weights - mean @ weights + offset).astype(V.dtype)
    if not is_native(V):
        mean, weights, xp = (
            as_namespace_of(mean, V),
            as_namespace_of(weights, V),
            array_namespace(V),
        )
        offset = as_namespace_of(np.asarray(offset), V)
        return xp.astype((xp.astype(V, mean.dtype) - mean) @ weights + offset, V.dtype)
    Z = np.empty((V.shape[0], weights.shape[1]), dtype=V.dtype)
    for rows, block in row_blocks(V, mean):
        Z[rows] = block @ weights + offset
    return Z


def check_aligned(caller: str, /, **entries: ArrayLike) -> None:
    """Refuse pandas objects whose rows belong together and whose indices differ.

    Rows are paired by position, so that rows in another order would be paired in silence. Whatever
    has one entry a row (views, labels, weights, groups, ids, confounds) therefore comes here under
    its name and as the caller gave it, a `Views` too, before anything is converted. The first index
    is the measure of the others; what has none passes, and so do other lengths, which callers
    refuse by their counts.
    """
    reference: str | None = None
    for name, values in entries.items():
        index = _index_of(values)
        if index is None:
            continue
        if reference is None:
            reference, expected = name, index
        elif len(index) == len(expected) and not expected.equals(index):
            raise ValueError(
                f"{caller}: the pandas indices of `{reference}` and `{name}` differ, so their "
                f"rows may not belong together. Align them, {name} = "
                f"{name}.loc[{reference}.index]; or drop both with reset_index(drop=True)."
            )


def _index_of(values: ArrayLike) -> Any:
    """Return the index of a pandas object, or that of the members of a `Views`, else None."""
    # Frames of Dask know neither their length nor the order of their rows.
    if hasattr(values, "iloc") and not hasattr(values, "dask"):
        return values.index
    return getattr(values, "_row_index", None)


def refuse_list_of_views(V: ViewLike, name: str) -> None:
    """Refuse a list of views of the same rows, as other libraries take them.

    Sequences of one view have equally many features, and seldom equally many frames.
    """
    listed = isinstance(V, (list, tuple)) and len(V) > 1
    shapes: list[tuple] = [getattr(part, "shape", ()) for part in V] if listed else []
    if not shapes or not all(len(shape) == 2 for shape in shapes):
        return
    if len({n for n, _ in shapes}) == 1 or len({d for _, d in shapes}) > 1:
        raise ValueError(
            f"`{name}` is a list of {len(V)} arrays of two dimensions; give views one after "
            "another, X and y, or together as Views(X, Y)."
        )
