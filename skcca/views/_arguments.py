"""The one gate: what the caller hands over becomes two checked views, labels and weights here."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skcca._core.arrays import follow
from skcca._core.compat import _check_sample_weight, to_numpy, validate_parameter_constraints
from skcca._core.lazy import is_ragged
from skcca._core.pairs import TrainingData, Weights
from skcca._core.warnings import warn
from skcca.views._checks import refuse_masked
from skcca.views._container import Views
from skcca.views._labels import encode_labels


def check_fit(
    estimator: Any,
    X: Any,
    y: Any,
    labels: Any,
    sample_weight: Any,
    *,
    class_paired: bool,
    reset: bool = True,
    batch: bool = False,
) -> TrainingData:
    """Validate the arguments of `fit` and set what it learns of the input on the estimator.

    A batch of `partial_fit` may have one row alone, and its weights keep their scale; one that is
    not the first (``reset=False``) must fit what was seen before.
    """
    name = type(estimator).__name__
    names = None
    if isinstance(X, Views):
        if not reset:
            estimator._two_members(X)  # of the names of the first batch
        names = X.names if X.named else None
        X, y, labels = _split_views(name, X, y, labels, class_paired)
    elif isinstance(y, Views):
        raise ValueError(f"{name}: a Views holds both views: fit(Views(X, y), labels).")
    elif y is None:
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None; `y` is the second view: "
            "fit(X, y), or fit(Views(X, y))."
        )
    elif labels is None:
        _doubt_second_view(name, y)
    unpaired = isinstance(labels, tuple)
    if unpaired and not class_paired:
        raise ValueError(
            f"{name} pairs row i with row i, but labels=(labels_x, labels_y) describes unpaired "
            "views; ClusterCCA, ClusterKCCA and SupervisedDCCA pair such rows by class."
        )
    if not unpaired:
        for other, what in ((y, "y"), (labels, "labels"), (sample_weight, "sample_weight")):
            _check_same_index(name, X, other, what)
    least = 1 if batch else 2
    X = estimator._check_view(X, "x", reset=reset, least=least)
    Y = follow(estimator._check_view(y, "y", reset=reset, least=least), X)
    if hasattr(X, "dask") != hasattr(Y, "dask"):
        raise ValueError(
            f"{name}: one view is a Dask array and the other is not; make both Dask arrays: "
            "dask.array.from_array(y, chunks)."
        )
    if not unpaired:
        _check_same_rows(name, X, Y)
    encoded = None if labels is None else encode_labels(labels, X.shape[0], Y.shape[0], name)
    weights = check_weights(sample_weight, X, Y, unpaired=unpaired, relative=not batch)
    if reset:
        vars(estimator).pop("view_names_in_", None)
        if names is not None:
            estimator.view_names_in_ = names
    data = TrainingData(X, Y, encoded if class_paired else None, weights)
    whole = estimator._keeps_weightless_rows or hasattr(X, "dask")
    return data if whole or not weights.x.any() else _drop_weightless(data)


def per_view(value: Any) -> tuple[Any, Any]:
    """Return the values of the first and the second view: a pair as it is, else the value twice."""
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                "A tuple sets a parameter for each of the two views; got "
                f"{len(value)} values: {value!r}."
            )
        return value
    return value, value


def check_pairs_of_values(estimator: Any) -> None:
    """Hold both values of a parameter that is a tuple against the constraints of one value."""
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        if isinstance(value, tuple) and tuple in constraints:
            single = [constraint for constraint in constraints if constraint is not tuple]
            for member in per_view(value):
                validate_parameter_constraints(
                    {name: single}, {name: member}, caller_name=type(estimator).__name__
                )
        for member in value if isinstance(value, tuple) else (value,):
            if isinstance(member, Real) and not np.isfinite(float(member)):
                raise ValueError(f"{type(estimator).__name__}: `{name}`={value!r} must be finite.")


def check_weights(
    sample_weight: Any, X: Any, Y: Any, *, unpaired: bool, relative: bool = True
) -> Weights:
    """Return non-negative weights of the rows of both views, at most 1 if relative."""
    if not unpaired:
        w = _row_weights(sample_weight, X, relative)
        return Weights(w, w)
    if sample_weight is None:
        sample_weight = (None, None)
    if not (isinstance(sample_weight, tuple) and len(sample_weight) == 2):
        raise ValueError(
            "`sample_weight` must be a tuple (weights_x, weights_y) when `labels` is one, because "
            "the rows of unpaired views have weights of their own."
        )
    x, y = zip(sample_weight, (X, Y), strict=True)
    return Weights(_row_weights(*x, relative), _row_weights(*y, relative))


def _row_weights(weights: Any, V: Any, relative: bool) -> np.ndarray:
    n_rows = V.shape[0]
    refuse_masked(weights, "sample_weight")
    if weights is None:
        return np.broadcast_to(1.0, n_rows)  # takes no memory
    if hasattr(weights, "__dlpack__"):
        weights = to_numpy(weights)
    checked = _check_sample_weight(
        weights, np.empty((n_rows, 0)), dtype=np.float64, ensure_non_negative=True
    )
    if not relative:
        return checked
    if not checked.any():  # pragma: no cover  # newer versions of scikit-learn refuse it above
        raise ValueError("`sample_weight` is zero for every row; at least two must count.")
    return checked / checked.max()  # their scale does not matter, but their products must be finite


def _split_views(
    name: str, views: Views, y: Any, labels: Any, class_paired: bool
) -> tuple[Any, Any, Any]:
    members = list(views)
    if len(members) != 2 or any(member is None for member in members):
        raise ValueError(
            f"{name} is fitted on two views; got {views!r}. Choose two: Views(X['a'], X['b'])."
        )
    if labels is not None and y is not None:
        raise ValueError(
            f"{name}: labels were given twice, as `y` and as `labels`. Beside a Views `y` holds "
            "the labels: fit(Views(X, Y), labels)."
        )
    if class_paired and y is not None:
        if isinstance(y, Views) or (np.ndim(y) == 2 and not _could_be_tags(y)):
            raise ValueError(
                f"{name}: a second view was given beside a Views, where `y` holds the labels: "
                "fit(Views(X, Y), labels), or fit(X, Y, labels)."
            )
        labels = y
    # Instance pairs need no labels: `y` may then be the target of a later pipeline step.
    return members[0], members[1], labels


def _could_be_tags(y: Any) -> bool:
    values = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
    return values.shape[1] == 1 or bool(np.isin(values, (0, 1)).all())


def _doubt_second_view(name: str, y: Any) -> None:
    """Refuse text, and doubt 1-D integers, as a second view: they are most likely the labels."""
    if getattr(y, "ndim", 1) > 1 or is_ragged(y):
        return
    array = to_numpy(y) if hasattr(y, "__dlpack__") else np.asarray(y)
    if array.ndim != 1:
        return
    if array.dtype.kind in "USO" and any(isinstance(value, str) for value in array):
        raise ValueError(
            f"{name}: `y` is the second view and holds text here; did you mean "
            "fit(X, Y, labels), or fit(Views(X, Y), labels)?"
        )
    if array.dtype.kind in "iub":
        warn(
            f"{name}: `y` is one column of integers and is taken as the second view; "
            "did you mean fit(A, V, y)?",
        )


def _check_same_rows(name: str, X: Any, Y: Any) -> None:
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            f"{name}: `X` has {X.shape[0]} rows but `y` has {Y.shape[0]}; row i of one must belong "
            "to row i of the other. Class-paired estimators take views of different lengths with "
            "labels=(labels_x, labels_y)."
        )


def check_same_rows_and_index(
    name: str, raw_X: Any, raw_y: Any, X: Any, Y: Any, **others: Any
) -> None:
    """Refuse views, and labels or weights by name, whose rows do not belong together."""
    _check_same_index(name, raw_X, raw_y)
    for what, other in others.items():
        _check_same_index(name, raw_X, other, what)
    _check_same_rows(name, X, Y)


def _check_same_index(name: str, X: Any, y: Any, what: str = "y") -> None:
    if not (hasattr(X, "iloc") and hasattr(y, "iloc")):
        return
    if len(X) == len(y) and not X.index.equals(y.index):
        raise ValueError(
            f"{name}: the pandas indices of `X` and `{what}` differ, so their rows may not belong "
            f"together. Align them, {what} = {what}.loc[X.index]; or drop both with "
            "reset_index(drop=True)."
        )


def _drop_weightless(data: TrainingData) -> TrainingData:
    """Leave out rows of weight zero, which then equal rows that were never there."""
    if all(w.all() for w in data.weights):
        return data
    return data.take(np.flatnonzero(data.weights.x), np.flatnonzero(data.weights.y))
