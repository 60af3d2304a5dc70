"""Labels of the rows, checked and encoded as sparse membership matrices L.

    classes        ints, strings or bools, one a row      one 1 a row
    unknown        None, NaN or masked among classes      a row of zeros
    tags           a binary indicator matrix              itself
    memberships    a matrix of floats of at least 0       itself

Estimators know the matrix alone, whose products L_x L_y' weigh the pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from skcca._core.arrays import incomparable
from skcca._core.compat import to_numpy
from skcca._core.pairs import Labels
from skcca._core.types import ArrayLike, LabelsLike

_OR_MEMBERSHIPS = ", or memberships, floats of at least 0 (of counts labels.astype(float))"

# Memberships of this size have products in the range of float64.
_LARGEST = 1e70


def encode_labels(labels: LabelsLike, n_x: int, n_y: int, caller: str) -> Labels:
    """Return the membership of the n_x and n_y rows of both views.

    Labels are one a row or a matrix, for both views or, in a tuple, for each. In a tuple all must
    be known, since rows of unpaired views have no pair but by class.
    """
    if not isinstance(labels, tuple):
        checked, known = known_labels(labels, n_x, "labels", "X", caller, soft=True)
        member, classes = _membership(checked)
        if known is not None:
            member = _with_empty_rows(member, known)
        return Labels(classes, member, member, checked.ndim == 2)
    if len(labels) != 2:
        raise ValueError(
            f"{caller}: `labels` is a tuple of {len(labels)}; a tuple means unpaired class sets "
            "and holds one label array for each view: labels=(labels_x, labels_y)."
        )
    x = check_labels(labels[0], n_x, "labels[0]", "X", caller, soft=True)
    y = check_labels(labels[1], n_y, "labels[1]", "y", caller, soft=True)
    check_comparable_labels(x, y, caller, "the first view", "the second")
    member, classes = _membership(np.concatenate([x, y]))
    return Labels(classes, member[:n_x], member[n_x:], x.ndim == 2, unpaired=True)


def check_comparable_labels(
    x: np.ndarray, y: np.ndarray, caller: str, of_x: str, of_y: str
) -> None:
    """Refuse two sets of checked labels with different forms or kinds of values."""
    if x.ndim != y.ndim:
        raise ValueError(
            f"{caller}: the labels of {of_x} have shape {x.shape} and those of {of_y} {y.shape}; "
            "give both as classes (1-D), or both as matrices with the same columns."
        )
    if x.ndim == 2 and x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{caller}: the indicator matrix of {of_x} has {x.shape[1]} tags and that of {of_y} "
            f"{y.shape[1]}; columns must mean the same tags."
        )
    dtypes = f"{caller}: the labels of {of_x} are of dtype {x.dtype}, those of {of_y} of {y.dtype}"
    if x.ndim == 1 and (problem := incomparable(x, y)):
        raise ValueError(f"{dtypes}; {problem}.")


def _membership(labels: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
    if labels.ndim == 2:
        return sparse.csr_array(labels.astype(float)), np.arange(labels.shape[1])
    classes, codes = np.unique(labels, return_inverse=True)
    rows = np.arange(len(codes) + 1)
    member = sparse.csr_array((np.ones(len(codes)), codes, rows), shape=(len(codes), len(classes)))
    return member, classes


def known_labels(
    labels: LabelsLike, n_rows: int, name: str, view: str, caller: str, *, soft: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the checked labels of the rows whose class is known, and a mask of these rows.

    The mask is None where each row has a label. See `check_labels`.
    """
    known = known_rows(labels, n_rows)
    if known is not None:
        labels, n_rows = to_entries(labels)[known], int(known.sum())
    return check_labels(labels, n_rows, name, view, caller, soft=soft), known


def known_rows(labels: LabelsLike, n_rows: int) -> np.ndarray | None:
    """Return a mask of the rows whose class is known, or None if all are or are no classes."""
    array = to_entries(labels)
    if array.shape not in ((n_rows,), (n_rows, 1)):
        return None
    known = ~is_missing(array).reshape(n_rows)
    return None if known.all() else known


def _with_empty_rows(member: sparse.csr_array, known: np.ndarray) -> sparse.csr_array:
    """Return the membership of all rows, which is that of the known ones and zeros."""
    indptr = np.concatenate([[0], np.cumsum(known)])
    return sparse.csr_array(
        (member.data, member.indices, indptr), shape=(len(known), member.shape[1])
    )


def check_labels(
    labels: LabelsLike, n_rows: int, name: str, view: str, caller: str, *, soft: bool = False
) -> np.ndarray:
    """Return labels of the rows of a view as a 1-D array of one kind or a dense matrix.

    The matrix holds indicators or, if `soft`, memberships.
    """
    argument = f"{caller}: `{name}`"
    array = check_entries(labels, n_rows, name, view, caller, tags=True)
    kind = array.dtype.kind
    if soft and array.ndim == 2 and kind == "f":
        # Their scale does not matter, but their products must stay in range.
        low, high = float(array.min(initial=0)), float(array.max(initial=0))
        if not (low >= 0 and high <= _LARGEST and (high == 0 or high >= 1 / _LARGEST)):
            raise ValueError(
                f"{argument} is a matrix of floats from {low:g} to {high:g}; memberships are at "
                f"least 0, and the largest between {1 / _LARGEST:g} and {_LARGEST:g}, one column "
                "per class. For classes give one label per row."
            )
        return array.astype(float)
    if kind == "f" and array.ndim == 2 and (array >= 0).all() and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"{argument} holds memberships (up to {array.max():g}) where classes or a binary "
            "indicator matrix are expected: labels.argmax(axis=1) gives the likeliest classes, and "
            "retrieval measures grade memberships by relevance='count'."
        )
    fractions = array[array != np.rint(array)] if kind == "f" and array.ndim == 1 else array[:0]
    if len(fractions):
        raise ValueError(
            f"{argument} is continuous (such as {fractions[0]:g}); class labels are ints, strings "
            "or bools. Weights of rows are passed by name: sample_weight=w. Continuous targets "
            "become memberships of classes by skcca.cluster.SoftMembership."
        )
    if kind not in "biufUS":
        example = f" (such as {array.flat[0]!r:.60})" if kind == "O" else ""
        raise ValueError(
            f"{argument} has dtype {array.dtype}{example}; class labels are ints, strings or bools."
            " Name every class by a string."
        )
    if array.ndim == 2 and not (kind in "biuf" and np.isin(array, (0, 1)).all()):
        raise ValueError(
            f"{argument} is 2-D, hence must be a binary indicator matrix (n, n_tags) of 0 and 1, "
            f"one column per tag{_OR_MEMBERSHIPS if soft else ''}; for classes give one label per "
            f"row. It holds {_first_other(array)}."
        )
    return array.astype(np.int64) if kind == "f" else array


def check_entries(
    entries: ArrayLike, n_rows: int, name: str, view: str, caller: str, *, tags: bool = False
) -> np.ndarray:
    """Return what names the rows of a view (classes, groups) as a 1-D array of one kind.

    With `tags` there may be several entries a row. Missing entries are looked for before any
    conversion, since NumPy would make names of them.
    """
    argument = f"{caller}: `{name}`"
    array = to_entries(entries)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype == object and any(_is_nested(value) for value in array.flat):
        raise ValueError(
            f"{argument} holds a list of tags per row; give a binary indicator matrix: "
            "sklearn.preprocessing.MultiLabelBinarizer().fit_transform(tags)."
        )
    if array.ndim not in ((1, 2) if tags else (1,)):
        more = ", or a binary indicator matrix (n, n_tags)" if tags else ""
        raise ValueError(
            f"{argument} has {array.ndim} dimensions; expected one label per row{more}."
        )
    if len(array) != n_rows:
        raise ValueError(f"{argument} has {len(array)} entries but `{view}` has {n_rows} rows.")
    if array.shape[1:] == (0,):
        raise ValueError(
            f"{argument} has shape {array.shape}, a matrix without a column; expected one column "
            "per tag or class. Where nothing is known leave it out."
        )
    n_missing = np.count_nonzero(is_missing(array))
    if n_missing:
        cure = "drop those rows, or give them a class of their own"
        if array.ndim == 2:
            cure = "a row that is not known is a row of zeros"
        raise ValueError(
            f"{argument} holds {n_missing} missing values (None, NaN or masked); {cure}."
        )
    # No entry is masked any more.
    array = np.ma.getdata(array)
    if array.dtype == object:
        array = _of_one_kind(array, argument)
    if array.dtype.kind == "f" and array.ndim == 1:
        # Half precision of torch, which NumPy does not know, is float32 by now.
        half = "bfloat16" in str(getattr(entries, "dtype", ""))
        limit = 2 / (2**-7 if half else float(np.finfo(array.dtype).eps))
        if np.abs(array).max(initial=0) >= limit:
            raise ValueError(
                f"{argument} holds floats from 2**{np.log2(limit):.0f} on, or infinity, where "
                "neighbouring integers are equal; give integers or strings."
            )
    return np.asarray(array)


def to_entries(entries: ArrayLike) -> np.ndarray:
    """Return the entries of any container as an array that keeps missing ones as they are."""
    if sparse.issparse(entries):
        return entries.toarray()
    if hasattr(entries, "detach"):
        # A tensor, which may be sparse.
        return to_numpy(entries.to_dense())
    if np.ma.isMaskedArray(entries):
        return entries
    # NumPy would make strings of numbers and of missing values that stand beside a string, and
    # pandas floats of integers beside a missing value.
    dtype = getattr(entries, "dtype", None)
    nullable = not isinstance(dtype, np.dtype) and getattr(dtype, "kind", "") in ("i", "u")
    as_objects = nullable or isinstance(entries, (list, tuple))
    try:
        array = np.asarray(entries, dtype=object if as_objects else None)
    except ValueError:
        # NumPy makes no array of arrays of unequal shape.
        array = np.empty(len(entries), dtype=object)
        for i, entry in enumerate(entries):
            array[i] = entry
    # NumPy's strings of any width may be missing.
    return array.astype(object) if array.dtype.kind == "T" else array


def is_missing(array: np.ndarray) -> np.ndarray:
    """Return which entries of an array of `to_entries` are missing."""
    if array.dtype == object:
        missing = np.array([_is_missing(value) for value in array.flat], dtype=bool)
        missing = missing.reshape(array.shape)
    else:
        # NaN and NaT alone differ from themselves.
        values = np.ma.getdata(array)
        missing = values != values
    return np.ma.getmask(array) | missing


def named_counts(classes: LabelsLike, class_counts: Any, caller: str) -> tuple[Any, Any]:
    """Return the names of all classes and their counts, as two arrays in one order or None.

    Counts may be a dict, or a pandas Series, as `value_counts` returns it.
    """
    if classes is not None:
        classes = _check_class_names(classes, "classes", caller)
    if hasattr(class_counts, "to_dict"):
        class_counts = class_counts.to_dict()
    if isinstance(class_counts, dict):
        names = _check_class_names(list(class_counts), "class_counts", caller)
        if classes is not None and set(names.tolist()) != set(classes.tolist()):
            raise ValueError(
                f"{caller}: `class_counts` names the classes {names.tolist()}, `classes` "
                f"{classes.tolist()}; name the same ones."
            )
        classes, class_counts = names, list(class_counts.values())
    return classes, class_counts


def _check_class_names(names: LabelsLike, argument: str, caller: str) -> np.ndarray:
    array = to_entries(names)
    if array.ndim != 1:
        raise ValueError(
            f"{caller}: `{argument}` has {array.ndim} dimensions; expected a list of classes."
        )
    if n_missing := np.count_nonzero(is_missing(array)):
        raise ValueError(
            f"{caller}: `{argument}` holds {n_missing} missing value (None, NaN or masked), which "
            "is no class; leave it out."
        )
    return check_labels(array, len(array), argument, "X", caller)


def count_labels(labels: LabelsLike, name: str, caller: str) -> int:
    n_labels = (*to_entries(labels).shape, 0)[0]
    if n_labels == 0:
        raise ValueError(f"{caller}: `{name}` must hold at least one label; got {labels!r:.60}.")
    return n_labels


def _is_nested(value: Any) -> bool:
    """Return whether one entry holds several, as a list or a Series does."""
    is_text = isinstance(value, (str, bytes))
    return not is_text and hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _first_other(array: np.ndarray) -> str:
    """Return the first entry of a matrix that is no indicator."""
    entries = array.ravel()
    other = entries if entries.dtype.kind not in "biuf" else entries[~np.isin(entries, (0, 1))]
    return f"{other[0].item()!r:.60}" if hasattr(other[0], "item") else f"{other[0]!r:.60}"


def _is_missing(value: Any) -> bool:
    if _is_nested(value):
        return False
    # pandas.NA has no truth value.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _of_one_kind(array: np.ndarray, argument: str) -> np.ndarray:
    """Convert an array of objects to strings or numbers, or return objects that have an order."""
    texts = {next((t for t in (str, bytes) if isinstance(v, t)), None) for v in array.flat}
    if len(texts) > 1:
        raise ValueError(
            f"{argument} mixes strings with other types; give every class one kind of label."
        )
    array = np.array(array.tolist())
    if array.dtype == object:
        try:
            np.unique(array)
        except TypeError as error:
            raise ValueError(
                f"{argument} holds values of several types, or without an order ({error}); give "
                "every class one kind of label, such as a string."
            ) from error
    return array
