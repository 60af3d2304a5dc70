"""The data of the tests: two correlated views, tags, songs, outputs of networks, odd containers."""

import copy
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from hypothesis import assume
from hypothesis import strategies as st
from scipy import sparse

from skcca._core.pairs import Pairing, Weights
from skcca.nn import as_torch_pairs
from skcca.views._labels import encode_labels

MOODS = np.array(["angry", "calm", "warm"])

# Two views


def two_views(n=90, d_x=5, d_y=4, *, n_classes=3, n_shared=3, balanced=False, seed=0):
    """Return X (n, d_x) and Y (n, d_y) that share some sources, and the classes that move these."""
    rng = np.random.default_rng(seed)
    y = np.minimum(rng.geometric(0.4, n), n_classes) - 1
    y[:n_classes] = np.arange(min(n, n_classes))  # a row at least of each class
    y = np.arange(n) % n_classes if balanced else y
    Z = 2 * rng.normal(size=(n_classes, n_shared))[y] + rng.normal(size=(n, n_shared))
    X = Z @ rng.normal(size=(n_shared, d_x)) + rng.normal(size=(n, d_x))
    Y = Z @ rng.normal(size=(n_shared, d_y)) + rng.normal(size=(n, d_y))
    return X, Y, y


def counts(seed, d, density, y):
    """Return entries (n, d) that the class of a row changes, most of them zero."""
    rng = np.random.default_rng(seed)
    odds = density * rng.uniform(0.5, 1.5, size=(4, d))[y]
    return (rng.random((len(y), d)) < odds) * rng.integers(1, 5, (len(y), d)).astype(float)


def known_views(n, d_x, d_y, rho, *, seed=0):
    """Return white views whose first features have the correlations `rho`, others none."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d_x)), rng.normal(size=(n, d_y))
    k, rho = len(rho), np.asarray(rho)
    Y[:, :k] = rho * X[:, :k] + np.sqrt(1 - rho**2) * Y[:, :k]
    return X, Y


def make_tags(n, n_tags=4, *, seed=0):
    """Return indicators of tags that overlap, one or more a row and some rarer than others."""
    rng = np.random.default_rng(seed)
    L = (rng.random((n, n_tags)) < np.resize([0.5, 0.3, 0.2, 0.4], n_tags)).astype(int)
    bare = ~L.any(axis=1)
    L[bare, rng.integers(0, n_tags, bare.sum())] = 1
    return L


def tagged_views(n=40, *, seed=0):
    """Return X (n, 5), Y (n, 4) and the four tags that move their sources."""
    rng = np.random.default_rng(seed)
    L = make_tags(n, seed=rng)
    Z = 1.5 * L @ rng.normal(size=(4, 3)) + rng.normal(size=(n, 3))
    X = Z @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5))
    Y = Z @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4))
    return X, Y, L


@dataclass(frozen=True)
class Case:
    """What the data of an example are made from."""

    seed: int
    n: int
    d_x: int
    d_y: int
    n_classes: int

    def views(self):
        """Return X, Y, labels of unbalanced classes, and a generator for what else is drawn."""
        rng = np.random.default_rng(self.seed)
        return *two_views(self.n, self.d_x, self.d_y, n_classes=self.n_classes, seed=rng), rng


@st.composite
def cases(draw, least=1):
    """Views of `least` to 5 features, well conditioned, and more rows than features."""
    d_x, d_y = draw(st.integers(least, 5)), draw(st.integers(least, 5))
    n_classes = draw(st.integers(2, 4))
    n = draw(st.integers(d_x + d_y + 6, 40))
    case = Case(draw(st.integers(0, 2**20)), n, d_x, d_y, n_classes)
    X, Y, _, _ = case.views()
    assume(max(np.linalg.cond(V - V.mean(axis=0)) for V in (X, Y)) < 50)
    return case


@st.composite
def wide_cases(draw):
    """Views of more features than rows."""
    n, d_x, d_y = (draw(st.integers(*limits)) for limits in ((8, 14), (12, 24), (3, 24)))
    return Case(draw(st.integers(0, 2**20)), n, d_x, d_y, draw(st.integers(2, 3)))


def labelled_task():
    """Return 30 queries and 90 items without ties, and labels of five classes."""
    rng = np.random.default_rng(3)
    queries, gallery = rng.normal(size=(30, 4)), rng.normal(size=(90, 4))
    return queries, gallery, rng.integers(0, 5, 30), rng.integers(0, 5, 90)


def on_circle(cosines):
    """2-D unit vectors whose cosine with (1, 0) is given."""
    cosines = np.asarray(cosines, dtype=float)
    return np.column_stack([cosines, np.sqrt(1 - cosines**2)])


# Songs


N_FEATURES = 5


def make_songs(n=60, *, n_features=N_FEATURES, shift=4.0, seed=0):
    """Songs of any length whose mood shows in one stretch of 9 frames, and where that begins."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % len(MOODS)
    songs, starts = [], []
    for code in codes:
        own = 0.7 * rng.normal(size=n_features)
        song = rng.normal(size=(rng.integers(30, 60), n_features)) + own
        start = int(rng.integers(0, len(song) - 9))
        song[start : start + 9, code] += shift
        songs.append(song)
        starts.append(start)
    return songs, MOODS[codes], np.array(starts)


SONGS, HEARD, _ = make_songs()
SONG_MEANS = np.array([song.mean(axis=0) for song in SONGS])
VISUAL = np.random.default_rng(1).normal(size=(len(SONGS), 4))


def padded(songs):
    """Return songs as one array, padded with NaN."""
    X = np.full((len(songs), max(map(len, songs)), songs[0].shape[1]), np.nan, songs[0].dtype)
    for row, song in zip(X, songs, strict=True):
        row[: len(song)] = song
    return X


def as_objects(values):
    """Return a 1-D array of objects, whatever these are."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


# Outputs of two networks, and pairs of every rule among them

RULES = {
    "instance": Pairing(instance_weight=1.0),
    "class": Pairing(),
    "row-weighted": Pairing(pair_weight="row"),
    "sampled": Pairing(pair_fraction=0.5),
    "partners": Pairing(pairs_per_sample=2),
    "blended": Pairing(instance_weight=0.3),
    "tags": Pairing(instance_weight=0.3, pair_weight="row"),
}


def outputs(n=24, width=3, seed=0):
    """Return two correlated batches that want a gradient."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=g, dtype=torch.float64)
    zx = torch.cat([z, torch.randn(n, width - 2, generator=g, dtype=torch.float64)], dim=1)
    zy = z @ torch.randn(2, width, generator=g, dtype=torch.float64)
    zy = zy + torch.randn(n, width, generator=g, dtype=torch.float64)
    return zx.requires_grad_(), zy.requires_grad_()


def batch_classes(n):
    """Return unbalanced classes, one of which has one row."""
    return np.append(np.resize([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2], n - 1), 3)


def make_pairs(rule, n=24):
    """Return pairs of weighted rows."""
    weights = np.random.default_rng(1).uniform(0.5, 2, n)
    labels = encode_labels(make_tags(n) if rule == "tags" else batch_classes(n), n, n, "test")
    return RULES[rule](labels, Weights(weights, weights), np.random.default_rng(0))


def torch_pairs(rule, n=24):
    return as_torch_pairs(make_pairs(rule, n))


def unpaired_pairs(n_x, n_y, rule="class"):
    """Return pairs of two views that share classes, but no rows."""
    labels = encode_labels((batch_classes(n_x), batch_classes(n_y)), n_x, n_y, "test")
    weights = Weights(np.ones(n_x), np.ones(n_y))
    return as_torch_pairs(RULES[rule](labels, weights, np.random.default_rng(0)))


# TFRecord files of simulated videos, written by a library other than the one under test

WIDTHS = {"audio": 128, "rgb": 1024}


def frames(length, seed=0):
    """Return the bytes of sound and picture of a video."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(0, 256, (length, d), dtype=np.uint8) for name, d in WIDTHS.items()}


def frame_record(video_id, labels, views):
    """Return the arguments that make the writer write a SequenceExample."""
    context = {"id": (video_id.encode(), "byte"), "labels": (list(labels), "int")}
    rows = {name: ([row.tobytes() for row in view], "byte") for name, view in views.items()}
    return context, rows


def video_record(video_id, labels, means):
    """Return the arguments that make the writer write an Example."""
    context, _ = frame_record(video_id, labels, {})
    context |= {f"mean_{name}": (mean.tolist(), "float") for name, mean in means.items()}
    return (context,)


def write(path, *records):
    """Write records; return the byte at which each begins, and the end of the last."""
    from tfrecord.writer import TFRecordWriter

    writer = TFRecordWriter(str(path))
    places = []
    for record in records:
        places.append(writer.file.tell())
        writer.write(*record)
    places.append(writer.file.tell())
    writer.close()
    return places


def flip(path, position, bit=0):
    """Invert a bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def forgeries(tree, values):
    """Yield copies of a tree of JSON with one of its values replaced, each by each."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if type(tree) is list else ():
        for value in values:
            forged = copy.copy(tree)
            forged[key] = value
            yield forged
        for part in forgeries(tree[key], values):
            forged = copy.copy(tree)
            forged[key] = part
            yield forged


# Odd containers

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


def clean(n=N):
    """Return X (n, 4), Y (n, 3) that share two sources, and three classes."""
    return two_views(n, D_X, D_Y, n_shared=2, balanced=True)


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
    """Return a problem of which most is plain, so that it comes far into the code.

    `pick` takes a list and returns one of its members: hypothesis or a random generator may choose.
    """
    n = pick([N] * 25 + [0, 1, 2, 3, 5])
    X, Y, y = clean(n)
    how = [
        tuple(pick(mostly(table, usual)) for table, usual in zip(TABLES, USUAL, strict=True))
        for _ in "xy"
    ]
    both = pick(["each", "alike", "first", "second"])
    plain = tuple(next(iter(table)) for table in TABLES)
    how = {"each": how, "alike": [how[0]] * 2, "first": [how[0], plain], "second": [plain, how[1]]}[
        both
    ]
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
