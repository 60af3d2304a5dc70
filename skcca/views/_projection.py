"""Projections of views by fitted models, however the models are wrapped.

An estimator projects the same alone, frozen, at the end of a pipeline or as the best of a search,
and nothing passes for an embedding that is not two views in one space.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcca._core.compat import check_array, check_kind, to_numpy
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca.views._arguments import check_same_rows
from skcca.views._checks import separate_views
from skcca.views._container import Views
from skcca.views._transformer import ViewTransformer


class LabelledView(NamedTuple):
    """Embedded rows of one view with their labels, and the caller's names of both."""

    rows: ArrayLike
    labels: LabelsLike
    name: str
    labels_name: str


def unwrap(estimator: Estimator, *, fitted: bool = True) -> Estimator:
    """Return the estimator inside a frozen estimator or a search.

    Of a search it is the best one; the one that it searches over where it need not be fitted.
    """
    is_search = hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit")
    if isinstance(estimator, FrozenEstimator) or (is_search and not fitted):
        return unwrap(estimator.estimator, fitted=fitted)
    if is_search:
        message = "This %(name)s has no best_estimator_; fit it first, with refit=True."
        check_is_fitted(estimator, "best_estimator_", msg=message)
        return unwrap(estimator.best_estimator_)
    return estimator


def final_model(estimator: Estimator, *, fitted: bool = True) -> Estimator:
    """Return the model inside frozen estimators, searches and pipelines."""
    return _steps(estimator, fitted=fitted)[-1]


def _steps(estimator: Estimator, *, fitted: bool = True) -> list[Estimator]:
    """Return the steps of a pipeline without pass-throughs; the last is the model."""
    estimator = unwrap(estimator, fitted=fitted)
    if isinstance(estimator, Pipeline):
        # A step that passes its input through is None or "passthrough".
        steps = [step for _, step in estimator.steps if not isinstance(step, str | None)]
        if steps:
            return steps[:-1] + _steps(steps[-1], fitted=fitted)
    return [estimator]


def project(
    estimator: Estimator, X: ViewLike, y: ViewLike, caller: str
) -> tuple[ArrayLike, ArrayLike]:
    """Return the projections of both views, no frames; `y` is None beside a `Views`."""
    if X is None:
        raise ValueError(f"{caller}: `X`, the first view, is None; give both views.")
    Zx, Zy = _project_by_steps(_steps(estimator), X, y, caller)
    # A frame that was made of an array would have another index than that of the labels.
    return _without_index(Zx), _without_index(Zy)


def project_view(
    estimator: Estimator, V: ViewLike, view: str, caller: str, *, in_views: bool = False
) -> np.ndarray:
    """Return the projection of one view, "x" or "y", as a NumPy array.

    With `in_views` the steps of a pipeline were fitted on `Views`, of which a `ViewTransformer`
    among them is a sign; else the earlier steps transform the first view alone.
    """
    steps = _steps(estimator)
    X, y = (V, None) if view == "x" else (None, V)
    if in_views or any(isinstance(unwrap(step), ViewTransformer) for step in steps):
        X, y = Views(X, y), None
    Z = _project_by_steps(steps, X, y, caller)[0 if view == "x" else 1]
    Z = Z.toarray() if hasattr(Z, "toarray") else Z
    return np.asarray(to_numpy(Z) if hasattr(Z, "__dlpack__") else Z)


def _project_by_steps(
    steps: list[Estimator], X: ViewLike, y: ViewLike, caller: str
) -> tuple[ArrayLike, ArrayLike]:
    """Return both projections; that of None is None."""
    *earlier, model = steps
    two_views = isinstance(X, Views)
    if X is not None:
        # Beside a Views there is no second array; of two arrays a pipeline transforms the first.
        for step in earlier:
            X = step.transform(X)
    if isinstance(X, Views):
        whole = hasattr(model, "transform_y") and not any(member is None for member in X)
        if whole or isinstance(model, ViewTransformer):
            return _as_pair(model, model.transform(X), caller)
        X, y = X
    elif two_views:
        problem = f", and an earlier step made a {type(X).__name__} of the Views"
        raise _not_two_view(model, problem, caller)
    if y is None and hasattr(model, "transform"):
        return model.transform(X), None
    if hasattr(model, "transform_y"):
        # The views may have different numbers of rows.
        return None if X is None else model.transform(X), model.transform_y(y)
    if "y" in inspect.signature(getattr(model, "transform", len)).parameters:
        if X is not None:
            return _as_pair(model, model.transform(X, y), caller)
        # Transformers of scikit-learn want both views, also where one is asked for.
        check_is_fitted(model)
        first = np.zeros((len(y), model.n_features_in_))
        return None, _as_pair(model, model.transform(first, y), caller)[1]
    raise _not_two_view(model, "", caller)


def _without_index(Z: ArrayLike) -> ArrayLike:
    return np.asarray(Z) if hasattr(Z, "columns") else Z


def _as_pair(model: Estimator, projected: Any, caller: str) -> tuple[ArrayLike, ArrayLike]:
    if isinstance(projected, (tuple, list, Views)) and len(members := tuple(projected)) == 2:
        return members
    problem = f", whose `transform` returned a {type(projected).__name__}"
    raise _not_two_view(model, problem, caller)


def _not_two_view(model: Estimator, problem: str, caller: str) -> TypeError:
    return TypeError(
        f"{caller} needs a two-view transformer, which has `transform_y` or whose "
        f"`transform(X, y)` returns both projected views; got {type(model).__name__}{problem}."
    )


def check_embedding(
    Z: ArrayLike, name: str, caller: str, *, min_rows: int = 1, keep_float32: bool = False
) -> np.ndarray:
    """Return an embedding as finite floats of shape (n_rows, n_components).

    They are float64; with `keep_float32`, float32 and float16 stay.
    """
    what = f"{caller}: the embedding of `{name}`"
    if Z is None:
        raise ValueError(f"{what} is None; expected numbers (n_rows, n_components).")
    Z = check_kind(Z, name)
    Z = to_numpy(Z) if hasattr(Z, "detach") else Z
    dtypes = [np.float64, np.float32, np.float16] if keep_float32 else [np.float64]
    if type(Z) is not np.ndarray or Z.dtype not in dtypes:
        # Numbers that leave float64 become infinite, and are refused as such.
        with np.errstate(over="ignore"):
            Z = check_array(
                Z,
                dtype=dtypes,
                ensure_2d=False,
                allow_nd=True,
                ensure_min_samples=0,
                ensure_min_features=0,
                ensure_all_finite=False,
                input_name=name,
            )
    if Z.ndim != 2 or len(Z) < min_rows or not Z.shape[1]:
        raise ValueError(
            f"{what} must be of shape (n_rows, n_components), with at least {min_rows} "
            f"row{'s' * (min_rows > 1)} and one component; got shape {Z.shape}. One row is "
            "row.reshape(1, -1)."
        )
    if not np.isfinite(Z).all():
        bad = ~np.isfinite(Z).all(axis=1)
        raise ValueError(
            f"{what} holds NaN or infinity in {bad.sum()} of {len(Z)} rows, the first of them row "
            f"{int(np.flatnonzero(bad)[0])}."
        )
    return Z


def project_with_labels(
    estimator: Estimator, X: ViewLike, y: Any, labels: LabelsLike, caller: str
) -> tuple[LabelledView, LabelledView]:
    """Return the projections of both views with their labels, the same where rows are paired."""
    given = separate_views(caller, X, y, labels, f"{caller}(model, ")
    labels, two_views = given.labels, isinstance(X, Views)
    if labels is None:
        cure = "enable metadata routing and call search.fit(A, V, labels=labels)"
        problem = (
            "beside a Views pass them as `y`"
            if two_views
            else f"`y` beside an array is the second view: {cure}, or put both views into one Views"
        )
        raise ValueError(
            f"{caller}: relevance needs class labels; {problem}: {caller}(model, Views(A, V), y), "
            "search.fit(Views(A, V), y)."
        )
    if given.y is None:
        raise ValueError(
            f"{caller}: the second view is missing; call {caller}(model, Views(A, V), "
            f"labels) or {caller}(model, A, V, labels=labels)."
        )
    if two_views and isinstance(labels, tuple):
        raise ValueError(
            f"{caller}: the rows of a Views are paired and have one set of labels; unpaired views "
            f"are arrays: {caller}(model, A, V, labels=(labels_x, labels_y))."
        )
    Zx, Zy = project(estimator, X, None if two_views else y, caller)
    if isinstance(labels, tuple):
        of_x, of_y = labels
        return LabelledView(Zx, of_x, "X", "labels[0]"), LabelledView(Zy, of_y, "y", "labels[1]")
    if not two_views:
        check_same_rows(caller, Zx, Zy)
    name = "y" if two_views and y is not None else "labels"
    return LabelledView(Zx, labels, "X", name), LabelledView(Zy, labels, "y", name)


def canonical_correlations(model: Estimator, caller: str) -> np.ndarray:
    """Return the canonical correlations of a fitted model, for its log-likelihood ratios."""
    correlations = getattr(model, "correlations_", None)
    if correlations is None:
        raise TypeError(
            f"{caller}: metric='log_likelihood_ratio' needs an estimator with `correlations_`, as "
            f"those of skcca; got {model!r:.80}. Use metric='cosine'."
        )
    return np.asarray(correlations)


def to_unit_variance(model: Estimator, Z: ArrayLike, correlations: np.ndarray) -> ArrayLike:
    """Return the embedded rows of a model, scaled as `component_scaling="unit"` does."""
    if getattr(model, "component_scaling", "unit") == "unit":
        return Z
    inverse = np.divide(1.0, correlations, out=np.zeros_like(correlations), where=correlations > 0)
    return np.asarray(Z) * inverse
