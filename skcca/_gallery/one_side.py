"""One view through a fitted two-view model, however the model is wrapped."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcca._compat import to_numpy
from skcca._views import Views
from skcca.views import ViewTransformer


def unwrapped(estimator: Any) -> Any:
    """Return what does the work: inside of a frozen estimator, the best one of a search."""
    if isinstance(estimator, FrozenEstimator):
        return unwrapped(estimator.estimator)
    if hasattr(estimator, "best_estimator_") or hasattr(estimator, "refit"):
        check_is_fitted(estimator, "best_estimator_")
        return unwrapped(estimator.best_estimator_)
    return estimator


def project(estimator: Any, V: Any, side: str, in_views: bool = False) -> np.ndarray:
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
        return project(steps[-1], V, side, in_views) if steps else _dense(V)
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
