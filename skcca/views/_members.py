"""The kinds of data that one view may be: how each is recognised, checked and cut into rows.

Kinds are told by what they can do, so that neither pandas, polars, SciPy nor torch is loaded here,
and nothing is converted that need not be (a memory map stays on disk).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.lazy import shape_of


def as_member(member: Any, name: str) -> Any:
    """Return the member as Views keeps it, or raise an error that names the view and the cure."""
    if isinstance(member, (list, tuple)):
        return _from_list(member if isinstance(member, list) else list(member), name)
    shape_of(member, name, "Views")  # a closed file is told before it is asked for anything else
    if hasattr(member, "tocsr"):
        member = member.tocsr()  # COO, DIA and BSR have no row indexing; CSR is returned as it is
    kind = type(member).__name__
    if not hasattr(member, "shape") and hasattr(member, "__array__"):
        member = np.asarray(member)
    shape = getattr(member, "shape", ())
    if member is None or len(shape) >= 2:
        return member
    if not shape:
        raise TypeError(
            f"view {name!r} is a {kind}; expected an array of shape (n_samples, "
            "n_features), a list of sequences, a DataFrame, a sparse matrix, a tensor or None."
        )
    if member.dtype == object:
        entries = list(member)
        rows = _from_list(entries, name)
        return member if rows is entries and isinstance(member, np.ndarray) else rows
    raise _one_dimensional(name, shape)


def _from_list(rows: list, name: str) -> Any:
    """Return a list of sequences, or the 2-D array that a list of equally long rows stands for."""
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


def row_count(member: Any) -> int:
    """Return the number of rows of a member that is not None."""
    return len(member) if isinstance(member, list) else member.shape[0]


def check_same_index(members: dict[str, Any]) -> None:
    """Refuse pandas members whose indices differ: they would be paired by position in silence."""
    frames = [(name, member) for name, member in members.items() if is_pandas(member)]
    for name, frame in frames[1:]:
        first_name, first = frames[0]
        if not first.index.equals(frame.index):
            raise ValueError(
                f"the pandas indices of views {first_name!r} and {name!r} differ. Align the rows "
                f"first, {name} = {name}.loc[{first_name}.index]; or, if row i belongs to row i, "
                "drop both indices with reset_index(drop=True)."
            )


def is_pandas(member: Any) -> bool:
    """Tell a pandas DataFrame from everything else, without loading pandas."""
    return hasattr(member, "iloc") and hasattr(member, "columns")


def _is_frame(member: Any) -> bool:
    return hasattr(member, "columns") and hasattr(member, "dtypes")


def take_rows(member: Any, rows: slice | np.ndarray) -> Any:
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
    return member[rows]


def take_block(member: Any, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Return a block of one square member, in its own type."""
    if member is None:
        return None
    if is_pandas(member):
        return member.iloc[rows, columns]
    if _is_frame(member):
        return member[rows.tolist(), columns.tolist()]
    return member[np.ix_(rows, columns)]


def describe(member: Any) -> str:
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
    kind = type(member).__name__ if _is_frame(member) else member.dtype
    sparse = "sparse " if hasattr(member, "tocsr") else ""
    return f"{tuple(member.shape)} {sparse}{kind}"
