"""The container that keeps the rows of several views together.

What it must guarantee: scikit-learn may index, split, shuffle, copy and pickle it like any array,
and every member moves by the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from skcca.views._members import (
    as_member,
    check_same_index,
    describe,
    is_pandas,
    row_count,
    take_block,
    take_rows,
)

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

    Attributes
    ----------
    names : tuple of str
        The names, in order.
    named : bool
        Whether the caller chose the names.
    shape : tuple of int
        ``(n_samples,)``; ``(n_samples, n_samples)`` where every member is a square matrix, so that
        precomputed kernels cross-validate.

    Raises
    ------
    TypeError
        If there is no member, if names and positions are mixed, or if a member is of a kind not
        listed above.
    ValueError
        If a member has one dimension, if row counts differ, if every member is None, or if the
        indices of pandas members differ.

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
    >>> len(X), X.names
    (6, ('audio', 'visual'))
    >>> X[[4, 5]]["visual"]
    array([[12, 13, 14],
           [15, 16, 17]])
    >>> audio, visual = X[:2]
    >>> visual.shape
    (2, 3)
    """

    def __init__(self, /, *members: Any, **named_members: Any):
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
        given = named_members or {f"view{i}": member for i, member in enumerate(members)}
        if any(isinstance(member, Views) for member in given.values()):
            raise TypeError("a member of a Views is itself a Views; give its members: Views(*X).")
        self._members = {name: as_member(member, name) for name, member in given.items()}
        self._named = bool(named_members)
        self._n_rows = _common_row_count(self._members)
        check_same_index(self._members)

    @classmethod
    def from_frame(cls, frame: Any) -> Views:
        """Split a pandas DataFrame with two-level columns into one view per first-level label.

        Parameters
        ----------
        frame : pandas.DataFrame
            Its columns are a MultiIndex of two levels: view, feature.

        Returns
        -------
        X : Views
            Members are DataFrames named by the first level, in order of first appearance.

        Raises
        ------
        TypeError
            If ``frame`` is not a pandas DataFrame.
        ValueError
            If its columns do not have two levels or the names of the views are not strings.

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
        # Not frame[name]: pandas turns a view whose only feature is called "" into a Series.
        return cls(**{name: frame.loc[:, owner == name].droplevel(0, axis=1) for name in names})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views, in order."""
        return tuple(self._members)

    @property
    def named(self) -> bool:
        """Whether the caller chose the names (``Views(audio=A, visual=V)``)."""
        return self._named

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples,)``, or ``(n_samples, n_samples)`` where every member is a square matrix."""
        square = (self._n_rows, self._n_rows)
        shapes = {tuple(getattr(member, "shape", ())) for member in self if member is not None}
        return square if shapes == {square} else square[:1]

    def __len__(self) -> int:
        return self._n_rows

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter(self._members.values())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._members:
                raise KeyError(f"no view is called {key!r}; the views are {list(self._members)}")
            return self._members[key]
        if isinstance(key, tuple):
            key = tuple(part for part in key if part is not Ellipsis)
            if len(key) == 2 and all(np.ndim(part) == 2 for part in key):  # np.ix_(rows, columns)
                return self._take_kernel(*(np.ravel(part) for part in key))
            if len(key) != 1:
                raise IndexError(
                    "Views takes one row selection: X[rows], or X[np.ix_(rows, columns)] when the "
                    "members are kernels. Select columns on a member: X[name][rows, columns]."
                )
            key = key[0]
        if isinstance(key, slice):
            return self._select(key, len(range(*key.indices(len(self)))))
        rows = self._row_numbers(key)
        return self._select(rows, len(rows))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            f"a Views ({', '.join(self.names)}) is not one array. Take a member, "
            f"X[{self.names[0]!r}]; or give each view its own transformer: "
            "ViewTransformer([(name, transformer), ...])."
        )

    def __repr__(self) -> str:
        members = "; ".join(f"{name}: {describe(m)}" for name, m in self._members.items())
        return f"<Views of {len(self)} rows; {members}>"

    def _replace(self, members: Iterable[Any]) -> Views:
        """Return the same rows with other members under the same names."""
        replaced = dict(zip(self.names, members, strict=True))
        index = next((member.index for member in self if is_pandas(member)), None)
        for name, member in replaced.items():
            made = is_pandas(member) and not is_pandas(self[name])
            if made and index is not None and len(member) == len(index):
                # A transformer numbers the rows of an array anew when it returns a frame. Beside a
                # view that kept its own index they would look like other rows.
                replaced[name] = member.set_axis(index, axis=0)
        return Views(**replaced) if self._named else Views(*replaced.values())

    def _select(self, rows: Any, n_rows: int) -> Views:
        """Select rows of every member."""
        return self._like((take_rows(member, rows) for member in self), n_rows)

    def _take_kernel(self, rows: np.ndarray, columns: np.ndarray) -> Views:
        """Select rows and columns of square members."""
        if len(self.shape) != 2:
            raise IndexError(
                "X[np.ix_(rows, columns)] needs square members (precomputed kernels); got "
                f"{self!r}. Select rows with X[rows]."
            )
        rows, columns = self._row_numbers(rows), self._row_numbers(columns)
        return self._like((take_block(member, rows, columns) for member in self), len(rows))

    def _like(self, members: Iterable[Any], n_rows: int) -> Views:
        """Return rows that come out of this Views, without looking at each sequence again."""
        new = object.__new__(type(self))
        new._members = dict(zip(self.names, members, strict=True))
        new._named, new._n_rows = self._named, n_rows
        return new

    def _row_numbers(self, key: Any) -> np.ndarray:
        """Return the non-negative row numbers that a mask, list or integer array stands for."""
        rows = np.asarray(key)
        if rows.shape == (0,) and rows.dtype.kind == "f":  # an empty list
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


def _common_row_count(members: dict[str, Any]) -> int:
    counts = {name: row_count(member) for name, member in members.items() if member is not None}
    if not counts:
        raise ValueError("every member of the Views is None; one must hold rows: Views(A, None).")
    if len(set(counts.values())) > 1:
        found = " and ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise ValueError(f"the views must have equally many rows, but {found}.")
    return next(iter(counts.values()))
