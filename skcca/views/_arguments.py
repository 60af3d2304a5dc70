"""Arguments beside the views: weights, parameters of each view, validation data; rows of any shape.

Everything here takes the caller's name, for the messages, and plain values; no function knows an
estimator.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skcca._core.arrays import check_aligned, refuse_list_of_views
from skcca._core.compat import (
    _check_sample_weight,
    check_kind,
    to_numpy,
    validate_parameter_constraints,
)
from skcca._core.lazy import (
    LazyRows,
    RaggedRows,
    is_ragged,
    shape_of,
    stays_on_disk,
)
from skcca._core.pairs import TrainingData, Weights
from skcca._core.types import LabelsLike, ViewLike, WeightsLike
from skcca._core.warnings import warn
from skcca.views._container import Views
from skcca.views._labels import known_labels
from skcca.views._sequences import check_sequences


def check_second_view_is_no_labels(caller: str, y: ViewLike) -> None:
    """Refuse text as a second view, and warn of 1-D integers: they are most likely the labels."""
    if getattr(y, "ndim", 1) > 1 or is_ragged(y):
        return
    array = to_numpy(y) if hasattr(y, "__dlpack__") else np.asarray(y)
    if array.ndim != 1:
        return
    if array.dtype.kind in "USOT" and any(isinstance(value, str) for value in array):
        raise ValueError(
            f"{caller}: `y` is the second view and holds text here; did you mean "
            "fit(X, Y, labels), or fit(Views(X, Y), labels)?"
        )
    if array.dtype.kind in "iub":
        warn(
            f"{caller}: `y` is one column of integers and is taken as the second view; "
            "did you mean fit(A, V, y)?"
        )


def to_rows(
    V: ViewLike, name: str, caller: str, fitted: tuple[bool, tuple[int, ...]] | None = None
) -> tuple[ViewLike, bool, tuple[int, ...]]:
    """Return a view of any shape as rows, whether it is sequences, and the shape of shaped rows.

    Arrays on a disk stay there, and sequences as long as they are; other rows are flattened. With
    the format of a fit, a view of another format is refused.
    """
    shape, ragged = shape_of(V, name, caller)[1:], is_ragged(V)
    if fitted is not None:
        if ragged != fitted[0]:
            refuse_list_of_views(V, name)
            wanted = "rows" if ragged else "a list of sequences (T_i, n_features)"
            raise ValueError(
                f"{caller}: `{name}` holds {'sequences' if ragged else 'rows'}, but the network "
                f"was fitted on {wanted}; give those."
            )
        if len(shape) > 1 and shape != fitted[1]:
            raise ValueError(
                f"{caller}: a row of `{name}` has shape {shape}, but had {fitted[1]} in fit."
            )
    if ragged:
        V = RaggedRows(check_sequences(V, caller=caller, name=name), name)
    elif stays_on_disk(V) and shape:
        V = LazyRows(V, name)
    elif len(shape) > 1 and hasattr(V, "reshape"):
        V = V.reshape(len(V), -1)
    return V, ragged, shape if len(shape) > 1 else ()


def check_validation_arguments(
    caller: str, X_val: Views | None, y_val: LabelsLike, *, class_paired: bool
) -> None:
    """Refuse validation data other than a `Views` of 3 rows or more and as many labels."""
    if X_val is None:
        if y_val is not None:
            raise ValueError(f"{caller}: `y_val` was given without `X_val`.")
        return
    if isinstance(y_val, Views):
        raise ValueError(f"{caller}: `y_val` holds labels, and `X_val`=Views(X, Y) both views.")
    if not isinstance(X_val, Views):
        raise ValueError(
            f"{caller}: `X_val` must be a Views, which holds both views: X_val=Views(X, Y); got "
            f"{type(X_val).__name__}."
        )
    if len(X_val) < 3:
        raise ValueError(f"{caller}: `X_val` has {len(X_val)} rows; a correlation needs 3 or more.")
    if y_val is None:
        return
    check_aligned(caller, X_val=X_val, y_val=y_val)
    if class_paired:
        labels, _ = known_labels(y_val, len(X_val), "y_val", "X_val", caller, soft=True)
        n_classes = len(np.unique(labels)) if labels.ndim == 1 else labels.shape[1]
        if n_classes < 2:
            raise ValueError(
                f"{caller}: `y_val` must hold at least 2 classes, whose correlation can be "
                f"watched; got {n_classes}."
            )
        return
    # Instance pairs need no labels, but labels of another length are a mistake.
    n = len(y_val) if isinstance(y_val, (list, tuple)) else (*np.shape(y_val), 0)[0]
    if n != len(X_val):
        raise ValueError(f"{caller}: `y_val` has {n} entries but `X_val` has {len(X_val)} rows.")


def check_same_rows(caller: str, X: ViewLike, Y: ViewLike) -> None:
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            f"{caller}: `X` has {X.shape[0]} rows but `y` has {Y.shape[0]}; row i of one must "
            "belong to row i of the other. Class-paired estimators take views of different "
            "lengths with labels=(labels_x, labels_y)."
        )


def per_view(value: Any) -> tuple[Any, Any]:
    """Return a parameter's values for the first and the second view: a pair, or one value twice."""
    return value if isinstance(value, tuple) else (value, value)


def check_per_view_parameters(
    caller: str, params: dict[str, Any], constraints: dict[str, Any]
) -> None:
    """Hold both values of a parameter that is a tuple against the constraints of one value."""
    for name, allowed in constraints.items():
        value = params[name]
        if isinstance(value, tuple) and tuple in allowed:
            if len(value) != 2:
                raise ValueError(
                    f"{caller}: `{name}`={value!r} is a tuple of {len(value)}; a tuple sets a "
                    f"parameter for each of the two views: {name}=(first, second)."
                )
            single = [constraint for constraint in allowed if constraint is not tuple]
            for member in value:
                validate_parameter_constraints({name: single}, {name: member}, caller_name=caller)
        for member in value if isinstance(value, tuple) else (value,):
            if isinstance(member, Real) and not np.isfinite(float(member)):
                raise ValueError(f"{caller}: `{name}`={value!r} must be finite.")


def check_weights(
    sample_weight: WeightsLike, n_x: int, n_y: int, *, unpaired: bool, relative: bool = True
) -> Weights:
    """Return non-negative weights of the rows of both views, at most 1 if relative."""
    if not unpaired:
        w = _row_weights(sample_weight, n_x, relative)
        return Weights(w, w)
    sample_weight = (None, None) if sample_weight is None else sample_weight
    if not (isinstance(sample_weight, tuple) and len(sample_weight) == 2):
        raise ValueError(
            "`sample_weight` must be a tuple (weights_x, weights_y) when `labels` is one, because "
            "the rows of unpaired views have weights of their own."
        )
    of_x, of_y = sample_weight
    return Weights(_row_weights(of_x, n_x, relative), _row_weights(of_y, n_y, relative))


def _row_weights(weights: WeightsLike, n_rows: int, relative: bool) -> np.ndarray:
    if weights is None:
        # A broadcast number takes no memory.
        return np.broadcast_to(1.0, n_rows)
    weights = check_kind(weights, "sample_weight")
    if hasattr(weights, "__dlpack__"):
        weights = to_numpy(weights)
    rows = np.empty((n_rows, 0))
    checked = _check_sample_weight(weights, rows, dtype=np.float64, ensure_non_negative=True)
    if not relative:
        return checked
    # Newer versions of scikit-learn refuse weights of zero alone in the call above.
    if not checked.any():  # pragma: no cover
        raise ValueError("`sample_weight` is zero for every row; at least two must count.")
    # The scale of the weights does not matter, but their products must be finite.
    return checked / checked.max()


def drop_zero_weight_rows(data: TrainingData) -> TrainingData:
    """Leave out rows of weight zero, so that they equal rows that were never there."""
    if all(w.all() for w in data.weights) or not data.weights.x.any():
        return data
    return data.take(np.flatnonzero(data.weights.x), np.flatnonzero(data.weights.y))
