"""The grammar of arguments, and one view of any kind, checked.

    fit(X, y, labels)          `y` is the second view
    fit(Views(X, y), labels)   the argument after a `Views` holds the labels

The second view is validated exactly as scikit-learn validates the first: dtype, finiteness, width,
column names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from skcca._core.arrays import check_aligned, refuse_list_of_views
from skcca._core.compat import (
    _get_feature_names,
    array_namespace,
    check_array,
    check_kind,
    is_finite_array,
    to_numpy,
    validate_data,
)
from skcca._core.lazy import LazyRows, RaggedRows
from skcca._core.types import Estimator, LabelsLike, ViewLike, WeightsLike
from skcca._core.warnings import warn
from skcca.views._container import Views
from skcca.views._labels import is_missing, to_entries


class GivenViews(NamedTuple):
    """Both views and the labels of a call."""

    X: ViewLike
    y: ViewLike
    labels: LabelsLike
    names: tuple[str, ...] | None  # of a named `Views`


def separate_views(
    caller: str,
    X: ViewLike,
    y: ViewLike,
    labels: LabelsLike,
    call: str,
    *,
    class_paired: bool = True,
    sample_weight: WeightsLike = None,
) -> GivenViews:
    """Return both views and the labels, out of a `Views` or of separate arguments.

    A tuple of labels stays one where it holds those of each view. Instance pairs need no labels:
    beside a `Views` their `y` may be the target of a later step of a pipeline, of which the order
    of rows alone matters. `call` is how the call begins, for the messages.
    """
    names = None
    if isinstance(X, Views):
        if labels is not None and y is not None:
            raise ValueError(
                f"{caller}: labels were given twice, as `y` and as `labels`. Beside a Views `y` "
                f"holds the labels: {call}Views(X, Y), labels)."
            )
        _check_both_views(caller, X, call)
        if class_paired and y is not None:
            if isinstance(y, Views) or not _could_be_labels(y):
                raise ValueError(
                    f"{caller}: a second view was given beside a Views, where `y` holds the "
                    f"labels: {call}Views(X, Y), labels), or {call}X, Y, labels). Labels are "
                    "classes, a matrix of 0 and 1, or memberships, floats of at least 0."
                )
            labels = y
        else:
            check_aligned(caller, X=X, y=y)
        names = X.names if X.named else None
        X, y = X
    elif isinstance(y, Views):
        raise ValueError(
            f"{caller}: `y` is a Views, which comes alone and holds both views: {call}Views(X, y), "
            "labels)."
        )
    else:
        # Before a second view is missed, since a generator may give both.
        X, y = check_kind(X, "X"), check_kind(y, "y")
    if not is_label_pair(labels):
        labels = list(labels) if isinstance(labels, tuple) else labels
        check_aligned(caller, X=X, y=y, labels=labels, sample_weight=sample_weight)
        return GivenViews(X, y, labels, names)
    weights = sample_weight if isinstance(sample_weight, tuple) else (None, None)
    # Tuples of another length are refused where labels and weights are read.
    sides = zip(("X", "y"), (X, y), labels, weights, strict=False)
    for i, (name, V, of_rows, w) in enumerate(sides):
        check_aligned(caller, **{name: V, f"labels[{i}]": of_rows, f"sample_weight[{i}]": w})
    return GivenViews(X, y, labels, names)


def _check_both_views(caller: str, X: Views, call: str) -> None:
    if len(X.names) != 2:
        raise ValueError(
            f"{caller} needs two views; got {len(X.names)}: {X!r}. Choose two: {call}Views(X['a'], "
            "X['b']), labels)."
        )
    missing = next((name for name in X.names if X[name] is None), None)
    if missing is not None:
        raise ValueError(
            f"{caller} needs both views, but view {missing!r} of X is None: {call}Views(X, y), "
            "labels)."
        )


def _could_be_labels(y: LabelsLike) -> bool:
    if isinstance(y, tuple):
        return True
    entries = to_entries(y)
    if entries.ndim != 2 or entries.shape[1] == 1:
        return True
    # Missing entries are refused where labels are read.
    values = np.ma.getdata(entries[~is_missing(entries)])
    values = np.array(values.tolist()) if values.dtype == object else values
    # Memberships are floats of at least 0.
    soft = values.dtype.kind == "f" and not (values < 0).any()
    return soft or bool(np.isin(values, (0, 1)).all())


def is_label_pair(labels: LabelsLike) -> bool:
    """Whether these are a tuple of the labels of each view, rather than one label a row."""
    return isinstance(labels, tuple) and any(map(has_entries, labels))


def has_entries(part: LabelsLike) -> bool:
    """Whether these are the labels of several rows, rather than one label."""
    # NumPy counts no dimensions of lists of lists of unequal length.
    return isinstance(part, (list, tuple)) or np.ndim(part) > 0


def check_first_view(
    estimator: Estimator, X: ViewLike, *, native: bool, reset: bool, min_samples: int = 1
) -> ViewLike:
    """Validate a 2-D first view, and set on the estimator what `validate_data` sets.

    A native view may be sparse, a Dask array or an array of another namespace.
    """
    if not hasattr(estimator, "feature_names_in_") and is_finite_array(X, min_samples):
        if reset:
            estimator.n_features_in_ = X.shape[1]
        if X.shape[1] == estimator.n_features_in_:
            return X
    X = _to_supported_namespace(X, "X", native)
    is_dask = hasattr(X, "dask") and native
    if is_dask or isinstance(X, (LazyRows, RaggedRows)):
        checks: dict = {"skip_check_array": True}
    else:
        checks = {
            "accept_sparse": "csr" if native else False,
            "dtype": _float_dtypes(X),
            "ensure_min_samples": min_samples,
        }
    try:
        checked = validate_data(estimator, X, reset=reset, **checks)
    except ValueError as error:
        # What scikit-learn says of features that differ from those of the fit.
        if reset or not re.search("is expecting|feature names", str(error)):
            raise
        fitted = estimator.n_features_y_in_, getattr(estimator, "feature_names_y_in_", None)
        swapped = _if_swapped(np.shape(X)[-1], _get_feature_names(X), *fitted)
        raise ValueError(f"{error} This is `X`, the first view.{swapped}") from error
    if "skip_check_array" in checks:
        return _check_dask(X, "X") if is_dask else _check_lazy(X, min_samples)
    return checked


def check_second_view(
    estimator: Estimator, y: ViewLike, *, native: bool, reset: bool, min_samples: int = 1
) -> ViewLike:
    """Validate a 2-D second view as `validate_data` does the first."""
    name = type(estimator).__name__
    plain = is_finite_array(y, min_samples)
    columns = None if plain else _column_names(y, "y")
    y = y if plain else _to_supported_namespace(y, "y", native)
    if plain:
        Y = y
    elif hasattr(y, "dask") and native:
        Y = _check_dask(y, "y")
    elif isinstance(y, (LazyRows, RaggedRows)):
        Y = _check_lazy(y, min_samples)
    else:
        Y = check_array(
            y,
            accept_sparse="csr" if native else False,
            dtype=_float_dtypes(y),
            ensure_2d=False,
            ensure_min_samples=min_samples,
            estimator=estimator,
            input_name="y",
        )
    one_column = Y.ndim == 1
    Y = Y[:, None] if one_column else Y
    if reset:
        estimator._y_is_one_column = one_column
        estimator.n_features_y_in_ = Y.shape[1]
        estimator.__dict__.pop("feature_names_y_in_", None)
        if columns is not None:
            estimator.feature_names_y_in_ = columns
        return Y
    of_x = estimator.n_features_in_, getattr(estimator, "feature_names_in_", None)
    if Y.shape[1] != estimator.n_features_y_in_:
        raise ValueError(
            f"y has {Y.shape[1]} features, but {name} is expecting {estimator.n_features_y_in_} "
            f"features in its second view, as at fit.{_if_swapped(Y.shape[1], columns, *of_x)}"
        )
    fitted = getattr(estimator, "feature_names_y_in_", None)
    if columns is not None and fitted is not None and not np.array_equal(columns, fitted):
        raise ValueError(
            f"The columns of `y` must be those {name} was fitted on, in the same order: got "
            f"{_abbreviate(columns)}, expected {_abbreviate(fitted)}. Select them: "
            f"y[model.feature_names_y_in_].{_if_swapped(Y.shape[1], columns, *of_x)}"
        )
    if (columns is None) != (fitted is None):
        here, there = ("has", "without") if fitted is None else ("does not have", "with")
        warn(f"y {here} valid feature names, but {name} was fitted {there} feature names.")
    return Y


def _to_supported_namespace(V: ViewLike, name: str, native: bool) -> ViewLike:
    """Convert an array of another namespace to NumPy's, unless the estimator computes in it."""
    refuse_list_of_views(V, name)
    V = check_kind(V, name)
    if "complex" in str(getattr(V, "dtype", "")):
        raise ValueError(f"Complex data not supported; got dtype {V.dtype}.")
    foreign = hasattr(V, "__dlpack__") and not isinstance(V, np.ndarray)
    return to_numpy(V) if foreign and not native else V


def _float_dtypes(V: ViewLike) -> list:
    """Return the dtypes that are kept; every other dtype becomes the first of them."""
    foreign = hasattr(V, "__dlpack__") and not isinstance(V, np.ndarray)
    xp = array_namespace(V) if foreign else np
    return [xp.float64, xp.float32]


def _check_dask(V: ViewLike, name: str) -> ViewLike:
    """Return a 2-D Dask array of floats whose chunks are of known size, without computing it."""
    if V.ndim == 2 and (V.shape[0] == 0 or V.shape[1] == 0):
        raise ValueError(
            f"`{name}` has shape {V.shape}; at least one row and one feature are needed."
        )
    if V.ndim != 2 or np.isnan(V.shape[0]):
        raise ValueError(
            f"`{name}` is a Dask array of shape {V.shape}; it must have two dimensions and rows "
            f"whose number is known: {name}.compute_chunk_sizes()."
        )
    return V if V.dtype in (np.float64, np.float32) else V.astype(np.float64)


def _check_lazy(V: ViewLike, min_samples: int) -> ViewLike:
    """Refuse too few rows or no feature; values are checked when they are read."""
    if len(V) < min_samples or V.shape[1] == 0:
        needed = f"at least {min_samples} row{'s' * (min_samples > 1)} and one feature are needed"
        raise ValueError(f"`{V.name}` has shape {V.shape}; {needed}.")
    return V


def check_scores(estimator: Estimator, Z: ViewLike) -> ViewLike:
    """Validate scores for `inverse_transform`."""
    if hasattr(Z, "dask"):
        Z = _check_dask(Z, "X")
    else:
        Z = check_array(Z, dtype=_float_dtypes(Z), estimator=estimator, input_name="X")
    if Z.shape[1] != estimator.n_components_:
        raise ValueError(
            f"{type(estimator).__name__}: scores have {estimator.n_components_} columns, one for "
            f"each component; got {Z.shape[1]}. Give what transform returned."
        )
    return Z


def _column_names(frame: ViewLike, name: str) -> np.ndarray | None:
    """Return the column names of a frame of any library if all are strings."""
    try:
        return _get_feature_names(frame)
    except TypeError as error:
        # scikit-learn calls every argument X.
        message = str(error).replace("X.columns", f"{name}.columns")
        raise TypeError(f"`{name}`: {message}") from error


def _if_swapped(
    width: int, names: np.ndarray | None, other_width: int, other_names: np.ndarray | None
) -> str:
    """Return a question for the message where a view is like the other one of the fit."""
    if names is None or other_names is None:
        alike = width == other_width
    else:
        alike = np.array_equal(names, other_names)
    return " It is like the other view of the fit: are the two swapped?" if alike else ""


def _abbreviate(names: np.ndarray) -> str:
    shown = ", ".join(repr(str(n)) for n in names[:5])
    return f"[{shown}{', ...' if len(names) > 5 else ''}]"
