"""Two views and their labels, dressed in any way that a user might hand them over.

`problem` builds one from choices alone: `pick` takes a list and returns one of its members, so that
hypothesis or a random generator may choose.
"""

import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse

N, D_X, D_Y = 24, 4, 3


def cell(value):
    def with_cell(V):
        V = V.copy()
        V[V.shape[0] // 2 : V.shape[0] // 2 + 1, -1:] = value
        return V

    return with_cell


VALUES = {
    "plain": lambda V: V,
    "constant": lambda V: np.full_like(V, 3.7),
    "zeros": np.zeros_like,
    "constant column": lambda V: np.where(np.arange(V.shape[1]) == 0, -1.5, V),
    "equal columns": lambda V: np.repeat(V[:, :1], V.shape[1], axis=1),
    "equal rows in turn": lambda V: V[np.arange(len(V)) % 2],
    "a row of zeros": lambda V: np.where(np.arange(len(V))[:, None] == 0, 0, V),
    "NaN": cell(np.nan),
    "infinity": cell(-np.inf),
    "a cell of 1e150": cell(1e150),
    "a cell of 1e300": cell(1e300),
    "huge": lambda V: V * 1e200,
    "near the end": lambda V: V * 1e307,
    "tiny": lambda V: V * 1e-200,
    "subnormal": lambda V: V * 1e-310,
    "all scales": lambda V: V * 10.0 ** np.linspace(-150, 150, V.shape[1]),
    "far from zero": lambda V: V + 1e12,
    "whole": lambda V: np.rint(5 * V),
    "from 0 to 255": lambda V: np.clip(np.rint(30 * V + 100), 0, 255),
    "signs": np.sign,
}

SHAPES = {
    "as it is": lambda V: V,
    "one row less": lambda V: V[:-1],
    "one row": lambda V: V[:1],
    "no rows": lambda V: V[:0],
    "one column": lambda V: V[:, :1],
    "no columns": lambda V: V[:, :0],
    "another column": lambda V: np.hstack([V, V[:, :1] ** 2]),
    "wide": lambda V: np.hstack([V * (1 + k) ** 0.5 + np.sin(k * V) for k in range(10)]),
    "one dimension": lambda V: V[:, 0],
    "three dimensions": lambda V: np.stack([V, -V], axis=1),
    "no dimension": lambda V: np.asarray(V.sum()),
    "transposed": lambda V: V.T,
}


def text(V):
    return np.vectorize(str, otypes=[object])(V) if V.size else V.astype(object)


DTYPES = {
    "float64": lambda V: V,
    "float32": lambda V: V.astype(np.float32),
    "float16": lambda V: V.astype(np.float16),
    "longdouble": lambda V: V.astype(np.longdouble),
    "other byte order": lambda V: V.astype(">f8"),
    "int64": lambda V: np.nan_to_num(V).clip(-1e18, 1e18).astype(np.int64),
    "uint8": lambda V: np.nan_to_num(V).clip(0, 255).astype(np.uint8),
    "bool": lambda V: V > 0,
    "complex": lambda V: V.astype(complex),
    "objects": lambda V: V.astype(object),
    "objects with None": lambda V: np.where(V > 1, None, V.astype(object)),
    "objects of any size": lambda V: np.where(V > 1, 10**400, V.astype(object)),
    "text": text,
    "fixed text": lambda V: text(V).astype(str),
    "bytes": lambda V: text(V).astype(str).astype(bytes),
    "words": lambda V: np.where(V > 0, "low", "high"),
    "dates": lambda V: np.nan_to_num(V).clip(0, 9e4).astype("datetime64[s]"),
    "durations": lambda V: np.nan_to_num(V).clip(0, 9e4).astype("timedelta64[s]"),
    "records": lambda V: V.astype([("a", float)]),
}


def memory_map(V):
    if not V.size or V.dtype == object:
        return V
    with tempfile.TemporaryFile() as file:  # which the map outlives
        mapped = np.memmap(file, dtype=V.dtype, shape=V.shape)
    mapped[...] = V
    return mapped


def read_only(V):
    V = V.copy()
    V.setflags(write=False)
    return V


def ragged(V):
    return [list(np.atleast_1d(row))[: 1 + i % 3] for i, row in enumerate(np.atleast_1d(V))]


def frame(library):
    def as_frame(V):
        if V.ndim == 1:
            return library.Series(V.tolist())
        return library.DataFrame({f"c{j}": V[:, j].tolist() for j in range(V.shape[1])})

    return as_frame


class Duck:
    """An object of no library that knows how to become an array."""

    def __init__(self, V):
        self.V = V

    def __array__(self, dtype=None, copy=None):
        return np.array(self.V, dtype=dtype)


class Broken:
    """An object that says that it is an array, and fails to become one."""

    shape, ndim, dtype = (N, D_X), 2, np.dtype(float)

    def __len__(self):
        return N

    def __array__(self, dtype=None, copy=None):
        raise ValueError("no array after all")


KINDS = {
    "array": lambda V: V,
    "Fortran order": np.asfortranarray,
    "every second row": lambda V: np.repeat(V, 2, axis=0)[::2] if V.ndim else V,
    "backwards": lambda V: np.ascontiguousarray(V[::-1])[::-1] if V.ndim else V,
    "read-only": read_only,
    "memory map": memory_map,
    "list": lambda V: V.tolist(),
    "tuple": lambda V: tuple(map(tuple, V.tolist())) if V.ndim == 2 else V,
    "list of arrays": lambda V: list(V) if V.ndim else V,
    "ragged": ragged,
    "pandas": frame(pd),
    "pandas of another index": lambda V: frame(pd)(V).set_axis(range(len(V))[::-1], axis=0),
    "pandas of text names twice": lambda V: pd.DataFrame(V, columns=["a"] * V.shape[1]),
    "pandas of mixed names": lambda V: pd.DataFrame(V).rename(columns={0: "a"}),
    "pandas of nullable floats": lambda V: frame(pd)(V).convert_dtypes(),
    "pandas of categories": lambda V: frame(pd)(V).astype("category"),
    "polars": frame(pl),
    "csr": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "dia": sparse.dia_array,
    "tensor": lambda V: torch.from_numpy(V.copy()),
    "tensor with a gradient": lambda V: torch.tensor(V, dtype=torch.float64, requires_grad=True),
    "masked": lambda V: np.ma.masked_array(V, mask=V > 1),
    "matrix": np.matrix,
    "duck": Duck,
    "broken": lambda V: Broken(),
    "iterator": lambda V: iter(V.tolist() if V.ndim else [1.0]),
    "text": lambda V: "a view",
    "None": lambda V: None,
    "number": lambda V: 3,
    "dictionary": lambda V: {"a": V},
    "set": lambda V: {1.0, 2.0},
}

LABELS = {
    "codes": lambda y: y,
    "text": lambda y: np.array(["angry", "calm", "warm"])[y],
    "objects": lambda y: np.array(["angry", "calm", "warm"], dtype=object)[y],
    "list": lambda y: y.tolist(),
    "whole floats": lambda y: y.astype(float),
    "numbers": lambda y: y + 0.1 * np.arange(len(y)),
    "booleans": lambda y: y > 0,
    "with NaN": lambda y: np.where(y == 0, np.nan, y),
    "with infinity": lambda y: np.where(y == 0, np.inf, y),
    "with None": lambda y: np.array([None, "calm", "warm"], dtype=object)[y],
    "mixed": lambda y: np.array([0, "calm", 2.5], dtype=object)[y],
    "lists": lambda y: [[int(c)] for c in y],
    "ragged lists": lambda y: [[0] * int(c) for c in y],
    "negative": lambda y: -y - 5,
    "large": lambda y: y * 10**12,
    "too large": lambda y: y * 1e300,
    "unsigned": lambda y: y.astype(np.uint8),
    "dates": lambda y: y.astype("datetime64[D]"),
    "bytes": lambda y: np.array([b"angry", b"calm", b"warm"])[y],
    "column": lambda y: y[:, None],
    "indicators": lambda y: np.eye(3, dtype=int)[y],
    "indicators without tags": lambda y: np.zeros((len(y), 3), int),
    "indicators of many": lambda y: np.maximum(np.eye(3, dtype=int)[y], [1, 0, 0]),
    "sparse indicators": lambda y: sparse.csr_array(np.eye(3, dtype=int)[y]),
    "weights of tags": lambda y: np.eye(3)[y] * 0.3,
    "categories": lambda y: pd.Series(pd.Categorical.from_codes(y, ["a", "b", "c"])),
    "categories with NA": lambda y: pd.Series(pd.Categorical.from_codes(y - 1, ["b", "c"])),
    "nullable": lambda y: pd.Series(y, dtype="Int64").where(y > 0),
    "polars": lambda y: pl.Series(y),
    "polars text": lambda y: pl.Series(["angry" if c else None for c in y]),
    "frame": lambda y: pd.DataFrame({"mood": y}),
    "pair": lambda y: (y, y),
    "pair of lengths": lambda y: (y, y[:-1]),
    "pair of kinds": lambda y: (y, y.astype(str)),
    "one class": np.zeros_like,
    "all different": lambda y: np.arange(len(y)),
    "a class of one": lambda y: np.where(np.arange(len(y)) == 0, 9, y),
    "too short": lambda y: y[:-1],
    "none": lambda y: y[:0],
    "three dimensions": lambda y: np.zeros((len(y), 2, 2)),
    "complex": lambda y: y.astype(complex),
    "masked": lambda y: np.ma.masked_array(y, mask=y == 0),
    "tensor": torch.from_numpy,
    "number": lambda y: 1,
    "word": lambda y: "angry",
    "None": lambda y: None,
    "dictionary": lambda y: {"a": 1},
    "iterator": lambda y: iter(y.tolist()),
    "set": lambda y: set(y.tolist()),
}

WEIGHTS = {
    "None": lambda n: None,
    "even": lambda n: np.linspace(1, 2, n),
    "zeros": np.zeros,
    "one row alone": lambda n: (np.arange(n) == 0) * 1.0,
    "huge": lambda n: np.full(n, 1e300),
    "tiny": lambda n: np.full(n, 1e-300),
    "NaN": lambda n: np.full(n, np.nan),
    "negative": lambda n: -np.ones(n),
    "too short": lambda n: np.ones(max(n - 1, 0)),
    "integers": lambda n: np.arange(n),
    "number": lambda n: 2.0,
    "text": lambda n: ["a"] * n,
    "column": lambda n: np.ones((n, 1)),
}


@dataclass
class Problem:
    """What a callable is given, and how it was made."""

    X: Any
    Y: Any
    labels: Any
    weights: Any
    made: tuple

    def __repr__(self):
        return f"Problem{self.made}"


def clean(n=N, seed=0):
    """Return X (n, 4), Y (n, 3) that share two sources, and three classes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    Z = rng.normal(size=(3, 2))[y] + rng.normal(size=(n, 2))
    X, Y = (Z @ rng.normal(size=(2, d)) + rng.normal(size=(n, d)) for d in (D_X, D_Y))
    return X, Y, y


def mostly(choices, usual):
    return [next(iter(choices))] * usual + list(choices)


def dressed(V, how):
    """Apply values, shape, dtype and kind in turn; what has no such form keeps the one before."""
    with np.errstate(all="ignore"):
        for step, table in zip(how, (VALUES, SHAPES, DTYPES, KINDS), strict=True):
            try:
                V = table[step](V)
            except Exception:  # that dress does not go over the last one
                break
    return V


def problem(pick):
    """Return a problem of which most is plain, so that it comes far into the code."""
    n = pick([N] * 25 + [0, 1, 2, 3, 5])
    X, Y, y = clean(n)
    how = [
        tuple(pick(mostly(table, usual)) for table, usual in zip(TABLES, USUAL, strict=True))
        for _ in "xy"
    ]
    both = pick(["each", "alike", "first", "second"])
    plain = tuple(next(iter(table)) for table in TABLES)
    how = {
        "each": how,
        "alike": [how[0]] * 2,
        "first": [how[0], plain],
        "second": [plain, how[1]],
    }[both]
    label, weight = pick(mostly(LABELS, 120)), pick(mostly(WEIGHTS, 50))
    try:
        labels = LABELS[label](y)
    except Exception:
        labels = y
    made = (n, *how, label, weight)
    return Problem(dressed(X, how[0]), dressed(Y, how[1]), labels, WEIGHTS[weight](n), made)


TABLES = (VALUES, SHAPES, DTYPES, KINDS)
USUAL = (40, 70, 60, 60)


def snapshot(value):
    """Return the content of an input, down to its bytes, in a form that compares by ==."""
    if isinstance(value, Duck):
        return snapshot(value.V)
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.requires_grad, snapshot(value.detach().numpy())
    if isinstance(value, pd.DataFrame | pd.Series | pl.DataFrame | pl.Series):
        names = value.columns if hasattr(value, "columns") else value.name
        index = str(list(getattr(value, "index", ())))
        return str(names), index, str(value.to_numpy().tolist()), str(getattr(value, "dtypes", ""))
    if sparse.issparse(value):
        attributes = ("data", "indices", "indptr", "row", "col", "offsets")
        return value.format, *(snapshot(getattr(value, a, None)) for a in attributes)
    if isinstance(value, np.ndarray):
        flags = value.flags.writeable, value.flags.c_contiguous, value.flags.f_contiguous
        content = str(value.tolist()) if value.dtype == object else value.tobytes()
        mask = np.ma.getmaskarray(value).tobytes() if np.ma.isMaskedArray(value) else b""
        return type(value), value.dtype.str, value.shape, value.strides, flags, content, mask
    if isinstance(value, list | tuple):
        return type(value), *map(snapshot, value)
    return type(value), str(value) if isinstance(value, str | dict | set | int | float) else ""
