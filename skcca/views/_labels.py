"""Class and tag labels, checked and encoded as sparse membership matrices.

Labels are ints, strings or bools, one a row, or a binary indicator matrix (n, n_tags). Both become
a membership matrix, so that estimators know one form only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from skcca._core.compat import to_numpy
from skcca._core.pairs import Labels
from skcca._core.types import LabelsLike


def encode_labels(labels: LabelsLike, n_x: int, n_y: int, caller: str) -> Labels:
    """Return the membership of the n_x and n_y rows of both views.

    Labels are one a row or an indicator matrix, for both views or, in a tuple, for each.
    """
    if not isinstance(labels, tuple):
        checked = check_labels(labels, n_x, "labels", "X", caller)
        member, classes = _membership(checked)
        return Labels(classes, member, member, checked.ndim == 2)
    if len(labels) != 2:
        raise ValueError(
            f"{caller}: `labels` is a tuple of {len(labels)}; a tuple means unpaired class sets "
            "and holds one label array for each view: labels=(labels_x, labels_y)."
        )
    x = check_labels(labels[0], n_x, "labels[0]", "X", caller)
    y = check_labels(labels[1], n_y, "labels[1]", "y", caller)
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
            "give both as classes (1-D), or both as indicators of the same tags."
        )
    if x.ndim == 2 and x.shape[1] != y.shape[1]:
        raise ValueError(
            f"{caller}: the indicator matrix of {of_x} has {x.shape[1]} tags and that of {of_y} "
            f"{y.shape[1]}; columns must mean the same tags."
        )
    dtypes = f"{caller}: the labels of {of_x} are of dtype {x.dtype}, those of {of_y} of {y.dtype}"
    if (x.dtype.kind in "US") != (y.dtype.kind in "US"):
        cure = "no string equals a number, so both must name their classes alike"
        raise ValueError(f"{dtypes}; {cure}.")
    if x.ndim == 1 and np.result_type(x, y).kind == "f":
        # NumPy makes floats of int64 and uint64, which could make different labels equal.
        raise ValueError(f"{dtypes}, and no integer type holds both; give both the same dtype.")


def _membership(labels: np.ndarray) -> tuple[sparse.csr_array, np.ndarray]:
    if labels.ndim == 2:
        return sparse.csr_array(labels.astype(float)), np.arange(labels.shape[1])
    classes, codes = np.unique(labels, return_inverse=True)
    rows = np.arange(len(codes) + 1)
    member = sparse.csr_array((np.ones(len(codes)), codes, rows), shape=(len(codes), len(classes)))
    return member, classes


def check_labels(labels: LabelsLike, n_rows: int, name: str, view: str, caller: str) -> np.ndarray:
    """Return labels of the rows of a view as a 1-D array of one kind or a dense indicator."""
    argument = f"{caller}: `{name}`"
    array = _to_array(labels)
    nested = (list, tuple, set, np.ndarray)
    if array.dtype == object and any(isinstance(value, nested) for value in array.flat):
        raise ValueError(
            f"{argument} holds a list of tags per row; give a binary indicator matrix: "
            "sklearn.preprocessing.MultiLabelBinarizer().fit_transform(tags)."
        )
    if np.ma.is_masked(labels):
        raise ValueError(
            f"{argument} has masked entries, which are missing labels; drop those rows from both "
            "views, or give them a class of their own."
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{argument} has {array.ndim} dimensions; expected one label per row, or a binary "
            "indicator matrix (n, n_tags)."
        )
    if len(array) != n_rows:
        raise ValueError(f"{argument} has {len(array)} entries but `{view}` has {n_rows} rows.")
    if array.dtype == object:
        array = _from_objects(array, argument)
    return _check_values(array, argument)


def _to_array(labels: LabelsLike) -> np.ndarray:
    if sparse.issparse(labels):
        return labels.toarray()
    if hasattr(labels, "detach"):
        return to_numpy(labels)
    try:
        # Where one string is in a list of numbers, NumPy would make strings of the numbers.
        return np.asarray(labels, dtype=object if isinstance(labels, list) else None)
    except ValueError:
        # NumPy makes no array of arrays of unequal shape.
        array = np.empty(len(labels), dtype=object)
        for i, label in enumerate(labels):
            array[i] = label
        return array


def _check_values(array: np.ndarray, argument: str) -> np.ndarray:
    """Refuse missing and continuous values; whole floats become integers."""
    kind = array.dtype.kind
    if kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"{argument} holds missing values (NaN or infinity); drop those rows from both views, "
            "or give them a class of their own."
        )
    if kind == "f" and not np.array_equal(array, np.rint(array)):
        raise ValueError(
            f"{argument} is continuous ({array.flat[0]!r}, ...); class labels are ints, strings or "
            "bools. Weights of rows are passed by name: sample_weight=w."
        )
    if kind == "f" and np.abs(array).max(initial=0) > 2**53:
        raise ValueError(
            f"{argument} holds floats beyond 2**53, where neighbouring integers are equal; give "
            "integers or strings."
        )
    if kind not in "biufUS":
        raise ValueError(
            f"{argument} has dtype {array.dtype}; class labels are ints, strings or bools."
        )
    if array.ndim == 2 and not (kind in "biuf" and np.isin(array, (0, 1)).all()):
        raise ValueError(
            f"{argument} is 2-D, hence must be a binary indicator matrix (n, n_tags) of 0 and 1, "
            "one column per tag; for classes give one label per row."
        )
    return array.astype(np.int64) if kind == "f" else array


def count_labels(labels: LabelsLike, name: str, caller: str) -> int:
    n_labels = np.shape(labels)[0] if np.ndim(labels) else 0
    if n_labels == 0:
        raise ValueError(f"{caller}: `{name}` must hold at least one label; got {labels!r:.60}.")
    return n_labels


def _from_objects(array: np.ndarray, argument: str) -> np.ndarray:
    """Convert an array of objects to strings or numbers."""
    missing = [_is_missing(value) for value in array.flat]
    if any(missing):
        raise ValueError(
            f"{argument} holds {sum(missing)} missing labels (None or NaN); drop those rows from "
            "both views, or give them a class of their own."
        )
    text = [isinstance(value, str) for value in array.flat]
    if any(text) and not all(text):
        raise ValueError(
            f"{argument} mixes strings with other types; give every class one kind of label."
        )
    return np.array(array.tolist())


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    # NaN alone differs from itself.
    return isinstance(value, float) and value != value
