"""A container of several views of the same rows, and the kinds of data in it.

scikit-learn may index, split, shuffle, copy and pickle a `Views` like any array, and every member
moves by the same rows. The kind of a member is told by what it can do, so that neither pandas,
polars, SciPy, torch nor scikit-learn is loaded here, and nothing is converted that need not be: a
memory map stays on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skcca._core.lazy import shape_of, stays_on_disk
from skcca._core.types import ViewLike

__all__ = ["Views"]


class Views:
    """Keep the rows of two views (or more) of the same samples together.

    Hand it to whatever in scikit-learn takes rows: ``train_test_split``, ``Pipeline``,
    ``GridSearchCV``. Row ``i`` of every member stays row ``i`` of every other.

    Parameters
    ----------
    *members : array-like of shape (n_samples, ...) or None
        The views by position; they are called ``"view0"``, ``"view1"``, ... A member is an array
        of two dimensions or more (a memory map stays one), a list or object array of sequences
        (length, features) of any length, a DataFrame (pandas, polars), a SciPy sparse matrix, a
        torch tensor, or ``None`` for a view that is not at hand. A list of equally long rows
        becomes a 2-D array.
    **named_members : array-like of shape (n_samples, ...) or None
        The views by name. Names and positions do not mix.

    Raises
    ------
    TypeError, ValueError
        If there is no member, if names and positions are mixed, if a member is of another kind or
        has one dimension, if every member is None, or if row counts or pandas indices differ.

    See Also
    --------
    skcca.ViewTransformer : One transformer per view.

    Notes
    -----
    ``len(X)`` counts rows, iteration yields the members, ``X["audio"]`` is one member, and a slice,
    mask, integer array or list selects rows of all of them. A single integer could mean a row or a
    view and raises.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import Views
    >>> X = Views(audio=np.zeros((6, 2)), visual=np.arange(18).reshape(6, 3))
    >>> X
    <Views of 6 rows; audio: (6, 2) float64; visual: (6, 3) int64>
    >>> X[[4, 5]]["visual"]
    array([[12, 13, 14],
           [15, 16, 17]])
    >>> audio, visual = X[:2]
    """

    # Index of the first member of pandas, a Series of sequences too; None without one.
    _row_index: Any = None

    def __init__(self, /, *members: ViewLike, **named_members: ViewLike):
        if members and named_members:
            raise TypeError(
                f"Views takes its members by position or by name, not both; got {len(members)} by "
                f"position and {list(named_members)} by name. Write Views(A, V) or "
                "Views(audio=A, visual=V)."
            )
        if not members and not named_members:
            raise TypeError(
                "Views needs at least one member: Views(A, V) or Views(audio=A, visual=V)."
            )
        if len(members) == 1 and isinstance(members[0], (list, tuple)):
            # These checks load scikit-learn, which the container does without.
            from skcca._core.arrays import refuse_list_of_views

            refuse_list_of_views(members[0], "Views")
        given = named_members or {f"view{i}": member for i, member in enumerate(members)}
        if any(isinstance(member, Views) for member in given.values()):
            raise TypeError("a member of a Views is itself a Views; give its members: Views(*X).")
        self._members = {name: check_member(member, name) for name, member in given.items()}
        self._named = bool(named_members)
        counts = {
            name: len(member) if isinstance(member, list) else member.shape[0]
            for name, member in self._members.items()
            if member is not None
        }
        if not counts:
            raise ValueError(
                "every member of the Views is None; one must hold rows: Views(A, None)."
            )
        self._n_rows = next(iter(counts.values()))
        if len(set(counts.values())) > 1:
            found = " and ".join(f"{name!r} has {count}" for name, count in counts.items())
            raise ValueError(f"the views must have equally many rows, but {found}.")
        # A Series of sequences has an index too, and becomes a list.
        known = (m for m in given.values() if hasattr(m, "iloc") and not hasattr(m, "dask"))
        indices = [member.index for member in known]
        if indices:
            self._row_index = indices[0]
        if len(indices) > 1:
            from skcca._core.arrays import check_aligned

            check_aligned("Views", **given)

    @classmethod
    def from_frame(cls, frame: Any) -> Views:
        """Split a pandas DataFrame with two-level columns into views.

        Parameters
        ----------
        frame : pandas.DataFrame
            Its columns are a MultiIndex of two levels: view (strings), feature.

        Returns
        -------
        X : Views
            Members are DataFrames named by the first level, in order of first appearance.

        Examples
        --------
        >>> import pandas as pd
        >>> from skcca import Views
        >>> audio, visual = pd.DataFrame({"mfcc0": [1.0, 2.0]}), pd.DataFrame({"red": [3.0, 4.0]})
        >>> df = pd.concat({"audio": audio, "visual": visual}, axis=1)
        >>> Views.from_frame(df)
        <Views of 2 rows; audio: (2, 1) DataFrame; visual: (2, 1) DataFrame>
        """
        if not is_pandas(frame):
            raise TypeError(
                "Views.from_frame splits a pandas DataFrame with two-level columns; got "
                f"{type(frame).__name__}. Name the views yourself: Views(audio=A, visual=V)."
            )
        levels = getattr(frame.columns, "nlevels", 1)
        if levels != 2:
            raise ValueError(
                f"Views.from_frame needs columns of two levels (view, feature); got {levels}. "
                'Build them with pd.concat({"audio": A, "visual": V}, axis=1), or split them '
                "yourself: Views(audio=df[audio_columns], visual=df[visual_columns])."
            )
        owner = frame.columns.get_level_values(0)
        names = list(dict.fromkeys(owner))
        if not all(isinstance(name, str) for name in names):
            raise ValueError(
                "Views.from_frame: the first column level must name the views by strings; got "
                f"{names}. Rename them: df.rename(columns=str, level=0)."
            )
        # With frame[name] pandas would turn a view whose only feature is called "" into a Series.
        return cls(**{name: frame.loc[:, owner == name].droplevel(0, axis=1) for name in names})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views, in order."""
        return tuple(self._members)

    @property
    def named(self) -> bool:
        """Whether the views were given by name, as in ``Views(audio=A, visual=V)``."""
        return self._named

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples,)``; ``(n_samples, n_samples)`` where all members are square matrices.

        Precomputed kernels cross-validate by it.
        """
        square = (self._n_rows, self._n_rows)
        shapes = {tuple(getattr(member, "shape", ())) for member in self if member is not None}
        return square if shapes == {square} else square[:1]

    def __len__(self) -> int:
        return self._n_rows

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._members

    def __iter__(self) -> Iterator[ViewLike]:
        return iter(self._members.values())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._members:
                raise KeyError(f"no view is called {key!r}; the views are {list(self._members)}")
            return self._members[key]
        if isinstance(key, tuple):
            key = tuple(part for part in key if part is not Ellipsis)
            # What `np.ix_(rows, columns)` returns are two arrays of two dimensions.
            if len(key) == 2 and all(np.ndim(part) == 2 for part in key):
                return self._take_kernel(*(np.ravel(part) for part in key))
            if len(key) != 1:
                raise IndexError(
                    "Views takes one row selection: X[rows], or X[np.ix_(rows, columns)] when the "
                    "members are kernels. Select columns on a member: X[name][rows, columns]."
                )
            key = key[0]
        rows = key if isinstance(key, slice) else self._row_numbers(key)
        return self._from_checked((take_rows(member, rows) for member in self), rows)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            f"a Views ({', '.join(self.names)}) is not one array. Take a member, "
            f"X[{self.names[0]!r}]; or give each view its own transformer: "
            "ViewTransformer([(name, transformer), ...])."
        )

    def __repr__(self) -> str:
        members = "; ".join(f"{name}: {_describe(m)}" for name, m in self._members.items())
        return f"<Views of {len(self)} rows; {members}>"

    def _replace(self, members: Iterable[ViewLike]) -> Views:
        """Return other members of the same rows under the same names."""
        replaced = dict(zip(self.names, share_index(members, self), strict=True))
        new = Views(**replaced) if self._named else Views(*replaced.values())
        if new._row_index is None and len(new) == len(self):
            new._row_index = self._row_index
        return new

    def _take_kernel(self, rows: np.ndarray, columns: np.ndarray) -> Views:
        """Select rows and columns of square members."""
        if len(self.shape) != 2:
            raise IndexError(
                "X[np.ix_(rows, columns)] needs square members (precomputed kernels); got "
                f"{self!r}. Select rows with X[rows]."
            )
        rows, columns = self._row_numbers(rows), self._row_numbers(columns)
        blocks = (_take_block(member, rows, columns) for member in self)
        return self._from_checked(blocks, rows)

    def _from_checked(self, members: Iterable[ViewLike], rows: slice | np.ndarray) -> Views:
        """Return rows of this Views without checking their members again."""
        new = object.__new__(type(self))
        new._members = dict(zip(self.names, members, strict=True))
        new._named = self._named
        new._n_rows = len(range(len(self))[rows] if isinstance(rows, slice) else rows)
        if self._row_index is not None:
            new._row_index = self._row_index[rows]
        return new

    def _row_numbers(self, key: Any) -> np.ndarray:
        """Return a mask, list or integer array as non-negative row numbers."""
        rows = np.asarray(key)
        if rows.shape == (0,) and rows.dtype.kind == "f":
            # NumPy reads an empty list as floats.
            rows = rows.astype(np.intp)
        if rows.ndim == 0 and rows.dtype.kind in "iub":
            raise IndexError(
                f"X[{key!r}] is ambiguous: a row or a view? X[[{key!r}]] selects the row, "
                f"X[{self.names[0]!r}] a view, list(X)[{key!r}] a view by position."
            )
        if rows.ndim != 1 or rows.dtype.kind not in "iub":
            raise IndexError(
                "Views is indexed by the name of a view, or by rows: a slice, a boolean mask, a "
                f"1-D array or list of integers; got {type(key).__name__} of dtype {rows.dtype}, "
                f"{rows.ndim} dimensions."
            )
        if rows.dtype.kind == "b":
            if len(rows) != len(self):
                raise IndexError(
                    f"the boolean mask has {len(rows)} entries but the Views has {len(self)} rows."
                )
            return np.flatnonzero(rows)
        outside = (rows < -len(self)) | (rows >= len(self))
        if outside.any():
            raise IndexError(
                f"row {rows[outside][0]} is out of bounds for a Views of {len(self)} rows."
            )
        return np.where(rows < 0, rows + len(self), rows).astype(np.intp)


def share_index(made: Iterable[ViewLike], views: Iterable[ViewLike]) -> list[ViewLike]:
    """Return what was made of views of the same rows, frames under the one index of the views.

    A transformer that makes a frame of an array numbers its rows anew. Beside a frame that kept its
    index they would be refused as other rows.
    """
    indices = [view.index if hasattr(view, "iloc") else None for view in views]
    shared = next((index for index in indices if index is not None), None)
    return [
        Z.set_axis(shared, axis=0)
        if shared is not None and index is None and is_pandas(Z) and len(Z) == len(shared)
        else Z
        for Z, index in zip(made, indices, strict=True)
    ]


def check_view_names(caller: str, views: Views, fitted: tuple[str, ...] | None) -> None:
    """Refuse views of other names than those of the fit; views without names pass."""
    if fitted is not None and views.named and views.names != tuple(fitted):
        raise ValueError(
            f"{caller} was fitted on the views {list(fitted)}; got {list(views.names)}. Give the "
            f"same names in the same order: Views({', '.join(f'{name}=...' for name in fitted)})."
        )


def check_member(member: ViewLike, name: str) -> ViewLike:
    """Return a member in the form for `Views`, or raise an error with a cure."""
    if member is None or (isinstance(member, np.ndarray) and member.ndim >= 2):
        return member
    if isinstance(member, (list, tuple)):
        return _from_list(member if isinstance(member, list) else list(member), name)
    # A closed file is refused first, because it fails at whatever else it is asked for.
    shape_of(member, name, "Views")
    if hasattr(member, "tocsr"):
        # COO, DIA and BSR have no row indexing; CSR is returned as it is.
        member = member.tocsr()
    kind = type(member).__name__
    if not hasattr(member, "shape") and hasattr(member, "__array__"):
        member = np.asarray(member)
    shape = getattr(member, "shape", ())
    is_dask_frame = hasattr(member, "dask") and hasattr(member, "columns")
    if len(shape) >= 2 and not is_dask_frame:
        return member
    if not shape or is_dask_frame:
        # The container does without scikit-learn, which this loads.
        from skcca._core.compat import check_kind

        check_kind(member, name)
        raise TypeError(
            f"view {name!r} is a {kind}; expected an array of shape (n_samples, "
            "n_features), a list of sequences, a DataFrame, a sparse matrix, a tensor or None."
        )
    if member.dtype == object:
        entries = list(member)
        rows = _from_list(entries, name)
        return member if rows is entries and isinstance(member, np.ndarray) else rows
    raise _one_dimensional(name, shape)


def _from_list(rows: list[Any], name: str) -> list[Any] | np.ndarray:
    """Return a list of sequences as it is, a list of equally long rows as a 2-D array."""
    try:
        ndims = [np.ndim(row) for row in rows]
    except ValueError as error:
        raise ValueError(
            f"a sequence of view {name!r} is a list of frames of unequal length; every sequence "
            "must be a 2-D array (length, features)."
        ) from error
    if set(ndims) == {0}:
        raise _one_dimensional(name, (len(rows),))
    if set(ndims) == {1}:
        lengths = [len(row) for row in rows]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"the rows of view {name!r} have {min(lengths)} to {max(lengths)} entries. Rows of "
                "features must be equally long; a sequence of any length must be 2-D, (length, "
                "features): row.reshape(-1, 1)."
            )
        return np.asarray(rows)
    for i, ndim in enumerate(ndims):
        if ndim < 2:
            raise ValueError(
                f"entry {i} of view {name!r} is a {type(rows[i]).__name__} with {ndim} dimensions "
                "among sequences; every sequence must be a 2-D array (length, features). Drop a "
                "missing sample from every view."
            )
    return rows if all(hasattr(row, "shape") for row in rows) else [np.asarray(row) for row in rows]


def _one_dimensional(name: str, shape: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"view {name!r} has shape {tuple(shape)}; a view has one row of features per sample. "
        "Reshape your data: one feature is A.reshape(-1, 1), a DataFrame column df[['column']]. "
        "Labels go to `y`, not into a Views."
    )


def is_pandas(member: ViewLike) -> bool:
    """Return whether a member is a pandas DataFrame, without loading pandas."""
    return hasattr(member, "iloc") and hasattr(member, "columns")


def take_rows(member: ViewLike, rows: slice | np.ndarray) -> ViewLike:
    """Return the rows of one member, in its own type."""
    if member is None:
        return None
    if isinstance(member, list):
        return member[rows] if isinstance(rows, slice) else [member[i] for i in rows]
    if is_pandas(member):
        return member.iloc[rows]
    if isinstance(rows, slice) and not isinstance(member, np.ndarray):
        # Torch has no negative steps; polars and sparse matrices each have rules of their own.
        start, stop, step = rows.indices(member.shape[0])
        rows = slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step)
    if hasattr(member, "column_names"):
        # What a table of Arrow takes in brackets are columns.
        return member.take(np.arange(len(member))[rows])
    if stays_on_disk(member) and not isinstance(rows, slice):
        # Files are read at rising places, each once.
        rows, places = np.unique(rows, return_inverse=True)
        return np.asarray(member[rows] if len(rows) else member[:0])[places]
    return member[rows]


def _take_block(member: ViewLike, rows: np.ndarray, columns: np.ndarray) -> ViewLike:
    if member is None:
        return None
    if is_pandas(member):
        return member.iloc[rows, columns]
    if hasattr(member, "column_names"):
        return take_rows(member, rows).select(columns.tolist())
    if hasattr(member, "columns"):
        return member[rows.tolist(), columns.tolist()]
    if stays_on_disk(member):
        return take_rows(member, rows)[:, columns]
    return member[np.ix_(rows, columns)]


def _describe(member: ViewLike) -> str:
    """Return shape and type of one member for the repr."""
    if member is None:
        return "None"
    if isinstance(member, list) or len(member.shape) == 1:
        if len(member) == 0:
            return "0 sequences"
        lengths = [row.shape[0] for row in member]
        spread = " to ".join(str(length) for length in sorted({min(lengths), max(lengths)}))
        kind = getattr(member[0], "dtype", type(member[0]).__name__)
        return f"{len(member)} sequences of {spread} x {member[0].shape[1]} {kind}"
    kind = type(member).__name__ if hasattr(member, "columns") else member.dtype
    sparse = "sparse " if hasattr(member, "tocsr") else ""
    return f"{tuple(member.shape)} {sparse}{kind}"
