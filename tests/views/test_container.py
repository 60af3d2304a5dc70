"""Views: what goes in, which rows come out, what it shows."""

import subprocess
import sys

import dask.array as da
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
import zarr
from _data import as_objects
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from skcca import Views

N = 12
A = np.arange(N * 3, dtype=float).reshape(N, 3)
STORED = h5py.File("A", "w", driver="core", backing_store=False).create_dataset("A", data=A)
V = -np.arange(N * 2, dtype=np.float32).reshape(N, 2)


def sequences(as_array=False):
    """Song i has i + 1 frames, each equal to row i of A."""
    songs = [np.tile(A[i], (i + 1, 1)) for i in range(N)]
    return as_objects(songs) if as_array else songs


class Table:
    """A table of Arrow, as far as it is looked at: its items are columns."""

    columns, column_names = property(lambda self: [*self.rows.T]), ["a", "b", "c"]
    shape = property(lambda self: self.rows.shape)

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, column):
        return self.rows[:, column]

    def __array__(self, dtype=None, copy=None):
        return self.rows

    def take(self, rows):
        return Table(self.rows[rows])


MEMBERS = {
    "array": lambda: A,
    "fortran": lambda: np.asfortranarray(A),
    "3-D": lambda: np.repeat(A[:, None], 4, axis=1),
    "list of sequences": sequences,
    "object array of sequences": lambda: sequences(as_array=True),
    "pandas": lambda: pd.DataFrame(A, index=[f"row{i}" for i in range(N)]),
    "polars": lambda: pl.DataFrame(A),
    "csr": lambda: sp.csr_array(A),
    "csc": lambda: sp.csc_matrix(A),
    "coo": lambda: sp.coo_matrix(A),
    "dia": lambda: sp.dia_array(A),
    "torch": lambda: torch.as_tensor(A),
    "HDF5": lambda: STORED,
    "Zarr": lambda: zarr.array(A),
    "Dask": lambda: da.from_array(A, chunks=(5, -1)),
    "Arrow": lambda: Table(A),
    "nested lists": lambda: A.tolist(),
    "tuple of rows": lambda: tuple(A),
}


def first_frames(member):
    """Return any member as the rows of A that it was made of."""
    if hasattr(member, "toarray"):
        return member.toarray()
    if isinstance(member, list) or np.asarray(member).dtype == object:
        return np.array([song[0] for song in member]).reshape(-1, 3)
    member = np.asarray(member)
    return member[:, 0] if member.ndim == 3 else member


KEYS = {
    "slice": slice(2, 7),
    "open slice": slice(-4, None),
    "reversed": slice(None, None, -1),
    "steps down": slice(10, 2, -3),
    "empty slice": slice(5, 3),
    "integers": np.array([3, -1, 3]),
    "unsigned": np.array([3, 0], dtype=np.uint8),
    "list": [0, 2],
    "range": range(3),
    "empty list": [],
    "empty array": np.array([], dtype=int),
    "mask": np.arange(N) % 2 == 0,
    "mask list": [True] * (N - 1) + [False],
    "empty mask": np.zeros(N, dtype=bool),
    "pandas integers": pd.Series([5, 1]),
    "torch integers": torch.tensor([4, 1]),
    "with ellipsis": (np.array([7, 1]), ...),
}


# What goes in


def test_positional_members_are_numbered():
    X = Views(A, V)
    assert X.names == ("view0", "view1")
    assert not X.named
    assert X["view0"] is A


def test_named_members_keep_their_names_in_order():
    X = Views(visual=V, audio=A)
    assert X.names == ("visual", "audio")
    assert X.named
    assert X["audio"] is A
    assert "audio" in X
    assert "text" not in X
    assert 3 not in X


def test_any_string_names_a_view_even_self():
    X = Views(**{"self": A, "second view": V})
    assert X.names == ("self", "second view")


def test_len_counts_rows_and_iteration_yields_members():
    first, second = X = Views(A, V)
    assert len(X) == N
    assert first is A
    assert second is V


@pytest.mark.parametrize("kind", MEMBERS)
def test_every_kind_of_member_is_kept(kind):
    member = Views(MEMBERS[kind](), V)["view0"]
    np.testing.assert_array_equal(first_frames(member), A)


@pytest.mark.parametrize(
    "kind",
    ["array", "3-D", "list of sequences", "object array of sequences", "pandas", "polars", "torch"],
)
def test_members_are_not_copied(kind):
    member = MEMBERS[kind]()
    assert Views(member, V)["view0"] is member


def test_rows_of_numbers_become_a_2d_array():
    member = Views([[1, 2], [3, 4], [5, 6]])["view0"]
    assert isinstance(member, np.ndarray)
    assert member.shape == (3, 2)


def test_object_array_of_rows_becomes_a_2d_array():
    rows = np.empty(2, dtype=object)
    rows[:] = [np.zeros(3), np.ones(3)]
    assert Views(rows)["view0"].shape == (2, 3)


def test_nested_sequences_become_arrays():
    songs = Views([[[1, 2], [3, 4]], [[5, 6]]])["view0"]
    assert [song.shape for song in songs] == [(2, 2), (1, 2)]


def test_memory_map_stays_on_disk(tmp_path):
    on_disk = np.memmap(tmp_path / "a", dtype=float, mode="w+", shape=A.shape)
    on_disk[:] = A
    X = Views(on_disk, V)
    assert X["view0"] is on_disk
    assert np.shares_memory(X[2:5]["view0"], on_disk)
    np.testing.assert_array_equal(X[[7, 1]]["view0"], A[[7, 1]])


def test_none_is_a_view_that_is_not_at_hand():
    X = Views(A, None)
    assert len(X) == N
    assert list(X[:3])[1] is None
    assert len(Views(None, V)) == N


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Views(), TypeError, "at least one member: Views(A, V)"),
        (lambda: Views(A, visual=V), TypeError, "not both; got 1 by position and ['visual']"),
        (lambda: Views(None, None), ValueError, "Views(A, None)"),
        (lambda: Views(A, Views(A, V)), TypeError, "Views(*X)"),
        (lambda: Views(audio=A, visual=V[:5]), ValueError, "'audio' has 12 and 'visual' has 5"),
        (lambda: Views(sequences(), V[:5]), ValueError, "'view0' has 12 and 'view1' has 5"),
        (lambda: Views(A, np.arange(N)), ValueError, "'view1' has shape (12,)"),
        (lambda: Views(A, np.arange(N)), ValueError, "reshape(-1, 1)"),
        (lambda: Views(A, list(range(N))), ValueError, "reshape(-1, 1)"),
        (lambda: Views(A, ["happy"] * N), ValueError, "Labels go to `y`"),
        (lambda: Views(A, pd.Series(A[:, 0])), ValueError, "df[['column']]"),
        (lambda: Views(A, pl.Series(A[:, 0])), ValueError, "df[['column']]"),
        (lambda: Views(A, torch.zeros(N)), ValueError, "'view1' has shape (12,)"),
        (lambda: Views(A, {"a": 1}), TypeError, "'view1' is a dict"),
        (lambda: Views(A, "audio.npy"), TypeError, "'view1' is a str"),
        (lambda: Views(A, StandardScaler()), TypeError, "'view1' is a StandardScaler"),
        (lambda: Views(A, (row for row in V)), TypeError, "`view1` is of type generator"),
        (lambda: Views(A, np.float64(3)), TypeError, "'view1' is a float64"),
        (lambda: Views([[1, 2], [3]]), ValueError, "have 1 to 2 entries"),
        (lambda: Views([np.zeros(4), np.zeros(9)]), ValueError, "row.reshape(-1, 1)"),
        (lambda: Views([np.zeros((4, 2)), None]), ValueError, "entry 1 of view 'view0' is a None"),
        (lambda: Views([np.zeros((4, 2)), np.zeros(2)]), ValueError, "entry 1 of view 'view0'"),
        (lambda: Views([[[1, 2], [3]], [[4, 5]]]), ValueError, "frames of unequal length"),
    ],
)
def test_bad_members_are_refused(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_pandas_members_with_other_indices_are_refused():
    audio, visual = pd.DataFrame(A), pd.DataFrame(V, index=np.arange(N)[::-1])
    with pytest.raises(ValueError, match=r"visual = visual\.loc\[audio\.index\].*reset_index"):
        Views(audio=audio, visual=visual)
    assert len(Views(audio=audio, visual=visual.loc[audio.index])) == N
    # Beside an array there is no index to differ from.
    assert len(Views(audio=A, visual=visual)) == N


def test_equal_indices_of_another_type_are_accepted():
    assert len(Views(pd.DataFrame(A), pd.DataFrame(V, index=np.arange(N)))) == N


def test_a_view_of_a_closed_file_is_named(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        rows = file.create_dataset("rows", data=A)
    with pytest.raises(ValueError, match=r"Views: `audio` cannot be read; is its file closed"):
        Views(audio=rows, visual=V)


# Which rows come out


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", MEMBERS)
def test_rows_are_those_numpy_selects(kind, key):
    key = KEYS[key]
    plain = key[0] if isinstance(key, tuple) else key
    if not isinstance(plain, slice):
        plain = np.asarray(plain)
        plain = plain.astype(int) if plain.size == 0 else plain
    expected = A[plain]
    X = Views(MEMBERS[kind](), None, A)
    selected = X[key]
    assert isinstance(selected, Views)
    assert len(selected) == len(expected)
    assert selected.names == X.names
    # What was read of a file is in memory.
    kept = np.ndarray if kind in ("HDF5", "Zarr") else type(X["view0"])
    assert type(selected["view0"]) is kept
    np.testing.assert_array_equal(first_frames(selected["view0"]), expected)
    np.testing.assert_array_equal(selected["view2"], expected)
    assert selected["view1"] is None


@given(st.lists(st.integers(-N, N - 1), max_size=30))
def test_all_members_move_by_the_same_rows(rows):
    X = Views(sequences(), sp.csr_array(A), pd.DataFrame(A), torch.as_tensor(A))[rows]
    for member in X:
        np.testing.assert_array_equal(first_frames(member), A[np.array(rows, dtype=int)])


def test_selected_rows_can_be_selected_again():
    X = Views(sequences(), pd.DataFrame(A))[[5, 3, 8]][[2, 0]]
    for member in X:
        np.testing.assert_array_equal(first_frames(member), A[[8, 5]])


def test_names_survive_selection():
    assert Views(audio=A, visual=V)[:3].named
    assert not Views(A, V)[:3].named


def test_pandas_keeps_its_index():
    X = Views(MEMBERS["pandas"](), V)[[4, 2]]
    assert X["view0"].index.tolist() == ["row4", "row2"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (3, "a row or a view? X[[3]]"),
        (np.int64(3), "ambiguous"),
        (True, "ambiguous"),
        (np.array(3), "ambiguous"),
        ((3, ...), "ambiguous"),
        ((slice(2), slice(2)), "X[name][rows, columns]"),
        ((), "one row selection"),
        ([0.5], "dtype float64"),
        (["view0"], "name of a view"),
        (None, "name of a view"),
        ([[0, 1]], "2 dimensions"),
        ([0, N], f"row {N} is out of bounds for a Views of {N} rows"),
        ([-N - 1], "out of bounds"),
        ([True, False], f"mask has 2 entries but the Views has {N} rows"),
    ],
)
def test_other_keys_are_refused(key, words):
    with pytest.raises(IndexError) as caught:
        Views(A, V)[key]
    assert words in str(caught.value)


def test_unknown_name_is_a_key_error_that_lists_the_names():
    with pytest.raises(KeyError, match=r"'sound'; the views are \['audio', 'visual'\]"):
        Views(audio=A, visual=V)["sound"]


def test_asarray_names_the_transformer():
    with pytest.raises(TypeError, match=r"X\['audio'\].*ViewTransformer"):
        np.asarray(Views(audio=A, visual=V))
    with pytest.raises(TypeError, match="ViewTransformer"):
        StandardScaler().fit(Views(A, V))


# Kernels


K = A @ A.T


def test_shape_is_square_only_when_all_members_are_square():
    assert Views(K, K + 1).shape == (N, N)
    assert Views(K, None).shape == (N, N)
    assert Views(K, V).shape == (N,)
    assert Views(A, V).shape == (N,)
    assert Views(K[:, :5], K[:, :5]).shape == (N,)
    assert Views(sequences(), K).shape == (N,)


@pytest.mark.parametrize(
    "kernel", [np.asarray, pd.DataFrame, pl.DataFrame, sp.csr_array, sp.coo_matrix, torch.as_tensor]
)
def test_ix_selects_a_block_of_every_kernel(kernel):
    rows, columns = [3, 1], [0, 4, 5]
    X = Views(kernel(K), None)[np.ix_(rows, columns)]
    block = X["view0"]
    block = block.toarray() if hasattr(block, "toarray") else np.asarray(block)
    np.testing.assert_array_equal(block, K[np.ix_(rows, columns)])
    assert len(X) == 2
    assert X["view1"] is None


def test_ix_needs_square_members():
    with pytest.raises(IndexError, match="square members"):
        Views(A, V)[np.ix_([0, 1], [0, 1])]


def test_the_container_loads_neither_sklearn_pandas_nor_torch():
    code = """
import sys
import numpy as np
from skcca.views._container import Views
repr(Views(np.eye(3), [[1], [2], [3]])[[0, 1]])
print(*sorted({"sklearn", "torch", "pandas", "scipy"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# What it shows


@pytest.mark.parametrize(
    ("X", "shown"),
    [
        (Views(A, V), "<Views of 12 rows; view0: (12, 3) float64; view1: (12, 2) float32>"),
        (Views(s=sequences()), "<Views of 12 rows; s: 12 sequences of 1 to 12 x 3 float64>"),
        (Views(s=sequences()[:1]), "<Views of 1 rows; s: 1 sequences of 1 x 3 float64>"),
        (Views(s=sequences(as_array=True))[[]], "<Views of 0 rows; s: 0 sequences>"),
        (Views(pd.DataFrame(A), None), "<Views of 12 rows; view0: (12, 3) DataFrame; view1: None>"),
        (Views(pl.DataFrame(A)), "<Views of 12 rows; view0: (12, 3) DataFrame>"),
        (Views(sp.coo_array(A)), "<Views of 12 rows; view0: (12, 3) sparse float64>"),
        (Views(torch.zeros(2, 3)), "<Views of 2 rows; view0: (2, 3) torch.float32>"),
        (Views([pd.DataFrame(A)]), "<Views of 1 rows; view0: 1 sequences of 12 x 3 DataFrame>"),
    ],
)
def test_repr_tells_names_shapes_and_types(X, shown):
    assert repr(X) == shown


# from_frame


def two_level_frame():
    columns = [("visual", "red"), ("audio", "mfcc0"), ("visual", "blue"), ("text", "")]
    return pd.DataFrame(np.arange(8.0).reshape(2, 4), columns=pd.MultiIndex.from_tuples(columns))


def test_from_frame_splits_by_the_first_level_in_order_of_appearance():
    X = Views.from_frame(two_level_frame())
    assert X.names == ("visual", "audio", "text")
    assert X.named
    assert X["visual"].columns.tolist() == ["red", "blue"]
    np.testing.assert_array_equal(X["visual"], [[0, 2], [4, 6]])
    np.testing.assert_array_equal(X["text"], [[3], [7]])


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (pd.DataFrame(A), ValueError, "two levels (view, feature); got 1"),
        (pl.DataFrame(A), TypeError, "got DataFrame. Name the views yourself"),
        (A, TypeError, "Views(audio=A, visual=V)"),
        (pd.concat({0: pd.DataFrame(A), 1: pd.DataFrame(V)}, axis=1), ValueError, "level=0"),
        (pd.concat({"a": two_level_frame()}, axis=1), ValueError, "got 3"),
    ],
)
def test_from_frame_refuses_what_has_no_two_levels(frame, error, words):
    with pytest.raises(error) as caught:
        Views.from_frame(frame)
    assert words in str(caught.value)
