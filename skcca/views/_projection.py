"""The two embedded views and their labels that a scorer is given.

What it must guarantee: an estimator scores the same alone, frozen, at the end of a pipeline or as
the best of a search, and nothing is scored that is not two views in one space.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcca._core.compat import to_numpy
from skcca.views._arguments import check_same_rows_and_index
from skcca.views._container import Views
from skcca.views._transformer import ViewTransformer


class Side(NamedTuple):
    """Rows of one view, embedded; and what the caller named them."""

    rows: Any
    labels: Any
    name: str
    labels_name: str


def labelled_sides(estimator: Any, X: Any, y: Any, labels: Any, caller: str) -> tuple[Side, Side]:
    """Return both views as the estimator projects them, with their labels.

    Rows that are paired have one and the same labels.
    """
    labels = _find_labels(X, y, labels, caller)
    two_views = isinstance(X, Views)
    rows = project(estimator, X, None if two_views else y, caller)
    if isinstance(labels, tuple):
        pair = zip(rows, labels, ("X", "y"), ("labels[0]", "labels[1]"), strict=True)
        x_side, y_side = (Side(*side) for side in pair)
        return x_side, y_side
    if not two_views:
        check_same_rows_and_index(caller, X, y, *rows)
    name = "y" if two_views and y is not None else "labels"
    return Side(rows[0], labels, "X", name), Side(rows[1], labels, "y", name)


def unit_variates(model: Any, sides: tuple[Side, Side], caller: str) -> tuple[Any, np.ndarray]:
    """Return the sides with variates of unit variance, and their canonical correlations."""
    rho = getattr(model, "correlations_", None)
    if rho is None:
        raise TypeError(
            f"{caller}: metric='log_likelihood_ratio' needs a model with `correlations_`, as those "
            f"of skcca; got {type(model).__name__}. Use metric='cosine'."
        )
    rho = np.asarray(rho)
    if getattr(model, "component_scaling", "unit") == "correlation":
        inverse = np.divide(1.0, rho, out=np.zeros_like(rho), where=rho > 0)
        x_side, y_side = (s._replace(rows=np.asarray(s.rows) * inverse) for s in sides)
        return (x_side, y_side), rho
    return sides, rho


def final_model(estimator: Any, caller: str) -> Any:
    """Return the estimator that makes the embedding, out of whatever it is wrapped in."""
    if isinstance(estimator, FrozenEstimator):
        return final_model(estimator.estimator, caller)
    if _is_search(estimator):
        return final_model(_best_of(estimator, caller), caller)
    if isinstance(estimator, Pipeline) and len(estimator):
        last = estimator.steps[-1][1]
        return final_model(estimator[:-1] if _is_passthrough(last) else last, caller)
    return estimator


def _find_labels(X: Any, y: Any, labels: Any, caller: str) -> Any:
    """Return the labels, after checking that both views and one set of labels are there."""
    if isinstance(X, Views):
        if y is not None and labels is not None:
            raise ValueError(
                f"{caller}: labels were given twice, as `y` and as `labels`; beside a Views "
                f"give one: {caller}(model, Views(A, V), y)."
            )
        labels = y if labels is None else labels
        members = dict(zip(X.names, X, strict=True))
        missing = [name for name, member in members.items() if member is None]
        if missing:
            raise ValueError(
                f"{caller}: view {missing[0]!r} of X is None, but retrieval needs both views, "
                "queries and gallery: Views(A, V)."
            )
        if len(members) != 2:
            raise ValueError(
                f"{caller}: X must hold two views, queries and gallery; got {len(members)}: "
                f"{list(members)}. Choose two: Views(X[{X.names[0]!r}], ...)."
            )
        if isinstance(labels, tuple) and _is_pair(labels):
            raise ValueError(
                f"{caller}: the rows of a Views are paired and have one set of labels; "
                f"unpaired views are arrays: {caller}(model, A, V, labels=(labels_x, "
                "labels_y))."
            )
        if labels is None:
            raise ValueError(
                f"{caller}: relevance needs class labels; beside a Views pass them as `y`: "
                f"{caller}(model, Views(A, V), y), search.fit(Views(A, V), y)."
            )
        return labels
    if labels is None:
        raise ValueError(
            f"{caller}: relevance needs class labels, and `y` beside an array is the second "
            "view. Put both views into one container, search.fit(Views(A, V), labels); or enable "
            "metadata routing and call search.fit(A, V, labels=labels)."
        )
    if y is None or isinstance(y, Views):
        raise ValueError(
            f"{caller}: the second view is missing; call {caller}(model, Views(A, V), "
            f"labels) or {caller}(model, A, V, labels=labels)."
        )
    if isinstance(labels, tuple) and not _is_pair(labels):
        return list(labels)
    return labels


def _is_pair(labels: tuple) -> bool:
    """Tell (labels_x, labels_y) from a tuple of two labels."""
    return len(labels) == 2 and all(np.ndim(part) > 0 for part in labels)


def _is_search(estimator: Any) -> bool:
    return hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit")


def _best_of(search: Any, caller: str) -> Any:
    message = (
        f"{caller}: this %(name)s has no best_estimator_; fit it, with refit=True, before scoring."
    )
    check_is_fitted(search, "best_estimator_", msg=message)
    return search.best_estimator_


def _is_passthrough(step: Any) -> bool:
    return step is None or isinstance(step, str)


def project(estimator: Any, X: Any, second: Any, caller: str) -> tuple[Any, Any]:
    """Return the projections of both views, through whatever the model is wrapped in.

    ``second`` is the second view beside an array, None beside a Views.
    """
    if isinstance(estimator, FrozenEstimator):
        return project(estimator.estimator, X, second, caller)
    if _is_search(estimator):
        return project(_best_of(estimator, caller), X, second, caller)
    if isinstance(estimator, Pipeline) and len(estimator):
        earlier, last = estimator[:-1], estimator.steps[-1][1]
        if _is_passthrough(last):  # the step before it is the last
            return project(earlier, X, second, caller)
        return project(last, earlier.transform(X) if len(earlier) else X, second, caller)
    return _project_by_model(estimator, X, second, caller)


def _project_by_model(model: Any, X: Any, second: Any, caller: str) -> tuple[Any, Any]:
    two_views = isinstance(X, Views)
    if two_views and (hasattr(model, "transform_y") or isinstance(model, ViewTransformer)):
        return _pair(model, model.transform(X), caller)
    if two_views:
        X, second = X
    if second is not None and hasattr(model, "transform_y"):  # row counts may differ
        return model.transform(X), model.transform_y(second)
    if second is not None and _takes_second_view(model):
        return _pair(model, model.transform(X, second), caller)
    raise _not_two_view(model, "it has no such method", caller)


def _takes_second_view(model: Any) -> bool:
    transform = getattr(model, "transform", None)
    return transform is not None and "y" in inspect.signature(transform).parameters


def _pair(model: Any, projected: Any, caller: str) -> tuple[Any, Any]:
    if isinstance(projected, (tuple, list, Views)):
        members = tuple(projected)
        if len(members) == 2:
            return members
    raise _not_two_view(model, f"`transform` returned a {type(projected).__name__}", caller)


def _not_two_view(model: Any, found: str, caller: str) -> TypeError:
    return TypeError(
        f"{caller} scores a two-view transformer, whose `transform(X, y)` returns both "
        f"projected views or which has `transform_y`; got {type(model).__name__}, and {found}."
    )


# MERGED: _gallery.one_side
# """One view through a fitted two-view model, however the model is wrapped."""


def unwrapped(estimator: Any) -> Any:
    """Return what does the work: inside of a frozen estimator, the best one of a search."""
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    if hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit"):
        check_is_fitted(estimator, "best_estimator_")
        return unwrapped(estimator.best_estimator_)
    return estimator


def project_one(estimator: Any, V: Any, side: str, in_views: bool = False) -> np.ndarray:
    """Return the embedding of one view.

    Parameters
    ----------
    estimator : fitted two-view transformer
        Alone, at the end of a pipeline, in a search or frozen.
    V : array-like of shape (n, d)
        The view.
    side : {"x", "y"}
        Which one it is.
    in_views : bool, default=False
        Whether the steps of a pipeline were fitted on `Views`; else the earlier ones transform the
        first view alone. A `ViewTransformer` among them says the same.
    """
    model = unwrapped(estimator)
    if isinstance(model, Pipeline):
        steps = [unwrapped(step) for _, step in model.steps if not _is_nothing(step)]
        in_views = in_views or any(isinstance(step, ViewTransformer) for step in steps)
        for step in steps[:-1]:
            if in_views:
                V = _member(step.transform(_as_views(V, side)), side)
            elif side == "x":
                V = step.transform(V)
        return project_one(steps[-1], V, side, in_views) if steps else _dense(V)
    check_is_fitted(model)
    if isinstance(model, ViewTransformer):
        return _dense(_member(model.transform(_as_views(V, side)), side))
    if side == "x" and hasattr(model, "transform"):
        return _dense(model.transform(V))
    if hasattr(model, "transform_y"):
        return _dense(model.transform_y(V))
    if "y" in inspect.signature(getattr(model, "transform", len)).parameters:
        first = np.zeros((len(V), model.n_features_in_))  # scikit-learn's want both views
        return _dense(model.transform(first, V)[1])
    raise TypeError(
        "CrossModalRetriever needs a two-view transformer, which has `transform_y` or whose "
        f"`transform(X, y)` returns both projected views; got {type(model).__name__}."
    )


def _is_nothing(step: Any) -> bool:
    return step is None or isinstance(step, str)  # "passthrough"


def _as_views(V: Any, side: str) -> Views:
    return Views(V, None) if side == "x" else Views(None, V)


def _member(views: Any, side: str) -> Any:
    return list(views)["xy".index(side)]


def _dense(Z: Any) -> np.ndarray:
    Z = Z.toarray() if hasattr(Z, "toarray") else Z
    return np.asarray(to_numpy(Z) if hasattr(Z, "__dlpack__") else Z)
