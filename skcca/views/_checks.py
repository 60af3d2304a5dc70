"""One view of any kind, checked: dtype, finiteness, width, column names.

The second view is validated exactly as scikit-learn validates the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.compat import array_namespace, check_array, to_numpy, validate_data
from skcca._core.lazy import LazyRows, RaggedRows
from skcca._core.warnings import warn


def check_first_view(estimator: Any, X: Any, *, reset: bool, least: int = 1) -> Any:
    """Validate a 2-D first view."""
    refuse_masked(X, "X")
    X = _own_kind(estimator, X)
    if hasattr(X, "dask") and estimator._native_input:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return _check_dask(X, "X")
    if isinstance(X, (LazyRows, RaggedRows)):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return _check_lazy(X, least)
    return validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr" if estimator._native_input else False,
        dtype=_float_dtypes(X),
        ensure_min_samples=least,
    )


def check_second_view(estimator: Any, y: Any, *, reset: bool, least: int = 1) -> Any:
    """Validate a 2-D second view as `validate_data` does the first."""
    name = type(estimator).__name__
    refuse_masked(y, "y")
    columns = _column_names(y)
    y = _own_kind(estimator, y)
    if hasattr(y, "dask") and estimator._native_input:
        Y = _check_dask(y, "y")
    elif isinstance(y, (LazyRows, RaggedRows)):
        Y = _check_lazy(y, least)
    else:
        Y = check_array(
            y,
            accept_sparse="csr" if estimator._native_input else False,
            dtype=_float_dtypes(y),
            ensure_2d=False,
            ensure_min_samples=least,
            estimator=estimator,
            input_name="y",
        )
    one_column = Y.ndim == 1
    Y = Y[:, None] if one_column else Y
    if reset:
        estimator._y_is_one_column = one_column
        estimator.n_features_y_in_ = Y.shape[1]
        vars(estimator).pop("feature_names_y_in_", None)
        if columns is not None:
            estimator.feature_names_y_in_ = columns
        return Y
    if Y.shape[1] != estimator.n_features_y_in_:
        raise ValueError(
            f"y has {Y.shape[1]} features, but {name} is expecting {estimator.n_features_y_in_} "
            "features in its second view, as at fit."
        )
    fitted = getattr(estimator, "feature_names_y_in_", None)
    if columns is not None and fitted is not None and not np.array_equal(columns, fitted):
        raise ValueError(
            f"The columns of `y` must be those {name} was fitted on, in the same order: got "
            f"{_shortened(columns)}, expected {_shortened(fitted)}. Select them: "
            "y[model.feature_names_y_in_]."
        )
    if (columns is None) != (fitted is None):
        here, there = ("has", "without") if fitted is None else ("does not have", "with")
        warn(
            f"y {here} valid feature names, but {name} was fitted {there} feature names.",
        )
    return Y


def refuse_masked(V: Any, name: str) -> None:
    """Refuse what scikit-learn would read as numbers: masked entries and dates."""
    if np.ma.is_masked(V):
        raise ValueError(
            f"`{name}` has masked entries; drop those rows from both views or fill them in: "
            f"{name}.filled(value)."
        )
    if getattr(getattr(V, "dtype", None), "kind", None) in ("m", "M"):
        raise ValueError(
            f"`{name}` has dtype {V.dtype}; a view holds numbers: take differences of dates."
        )


def _own_kind(estimator: Any, V: Any) -> Any:
    """Return an array of another namespace as NumPy's, unless the estimator computes in it."""
    if hasattr(V, "detach"):
        V = V.detach()  # a fit keeps no graph of gradients
    if "complex" in str(getattr(V, "dtype", "")):
        raise ValueError(f"Complex data not supported; got dtype {V.dtype}.")
    foreign = hasattr(V, "__dlpack__") and not isinstance(V, np.ndarray)
    return to_numpy(V) if foreign and not estimator._native_input else V


def _float_dtypes(V: Any) -> list:
    """Return the dtypes that stay as they are; everything else becomes the first."""
    foreign = hasattr(V, "__dlpack__") and not isinstance(V, np.ndarray)
    xp = array_namespace(V) if foreign else np
    return [xp.float64, xp.float32]


def _check_dask(V: Any, name: str) -> Any:
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


def _check_lazy(V: Any, least: int) -> Any:
    """Refuse what has too few rows or no feature; values are checked as they are read."""
    if len(V) < least or V.shape[1] == 0:
        raise ValueError(
            f"`{V.name}` has shape {V.shape}; at least {least} rows and one feature are needed."
        )
    return V


def check_scores(estimator: Any, Z: Any) -> Any:
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


def _column_names(frame: Any) -> np.ndarray | None:
    """Return the column names of a DataFrame if all are strings, as scikit-learn does."""
    columns = getattr(frame, "columns", None)
    if columns is None:
        return None
    names = np.asarray(list(columns), dtype=object)
    return names if all(isinstance(c, str) for c in names) else None


def _shortened(names: np.ndarray) -> str:
    shown = ", ".join(repr(str(n)) for n in names[:5])
    return f"[{shown}{', ...' if len(names) > 5 else ''}]"
