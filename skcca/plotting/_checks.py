"""Arguments that several displays take, and the embedded views that they draw."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skcca._core.compat import check_array
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca.views._container import Views
from skcca.views._projection import final_model, project_with_labels


def check_count(
    value: Any, name: str, meaning: str, caller: str, low: int, high: int | None = None
) -> int:
    """Return an integer after checking that it lies from `low` to `high`."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{caller}: `{name}` is {value!r}; expected {meaning}, {allowed}.")
    return int(value)


def check_finite_numbers(
    values: ArrayLike, name: str, caller: str, *, ensure_all_finite: bool | str = True
) -> np.ndarray:
    """Return an array to draw, as float64."""
    array: np.ndarray = check_array(
        values, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_min_samples=0,
        ensure_min_features=0, ensure_all_finite=ensure_all_finite, input_name=name,
        estimator=caller,
    )  # fmt: skip
    # The limits that matplotlib computes from larger numbers overflow.
    if (np.abs(array) > 1e100).any():
        raise ValueError(f"{caller}: `{name}` holds numbers beyond 1e100, which cannot be drawn.")
    return array


def check_two_components(components: ArrayLike, n_components: int, caller: str) -> tuple[int, int]:
    """Return the two components that span a picture, after checking that they exist."""
    pair = np.asarray(components)
    if pair.shape != (2,) or pair.dtype.kind not in "iu":
        raise ValueError(
            f"{caller}: `components` is {components!r}; expected the numbers of two components, "
            "such as (0, 1)."
        )
    first, second = (int(c) for c in pair)
    for c in (first, second):
        if not 0 <= c < n_components:
            cure = (
                "a picture needs two components; fit with n_components=2 or more"
                if n_components < 2
                else f"expected numbers from 0 to {n_components - 1}"
            )
            raise ValueError(
                f"{caller}: `components` holds {c}, but there are {n_components} components; "
                f"{cure}."
            )
    if first == second:
        raise ValueError(f"{caller}: `components` is {components!r}; expected two different ones.")
    return first, second


def pair_of_names(names: Any, caller: str) -> tuple[Sequence[str] | None, Sequence[str] | None]:
    """Return the names of the features of both views, None where they are not given."""
    if names is None:
        return None, None
    if not isinstance(names, (tuple, list)) or len(names) != 2 or isinstance(names[0], str):
        raise ValueError(
            f"{caller}: `feature_names` must be a pair, names of the features of the first and of "
            f"the second view; got {names!r:.80}."
        )
    return names[0], names[1]


def check_feature_names(names: Any, n_features: Sequence[int], caller: str) -> list[Sequence[str]]:
    """Return the names of the features of both views, x0, x1, ... where none are given."""
    found = []
    for side, given, n in zip("xy", pair_of_names(names, caller), n_features, strict=True):
        if given is None:
            given = [f"{side}{i}" for i in range(n)]
        if len(given) != n:
            raise ValueError(
                f"{caller}: `feature_names` has {len(given)} names for the {n} features of the "
                f"{'first' if side == 'x' else 'second'} view."
            )
        found.append(given)
    return found


def check_view_names(names: Any, caller: str) -> tuple[str, str]:
    """Return the names of both views, after checking that they are a pair."""
    if not isinstance(names, (tuple, list)) or len(names) != 2:
        raise ValueError(
            f"{caller}: `view_names` must be a pair, the names of the first and of the second "
            f"view; got {names!r:.80}."
        )
    return names[0], names[1]


def embed_search(
    estimator: Estimator, X: ViewLike, y: ViewLike, labels: LabelsLike, direction: str, caller: str
) -> tuple[ArrayLike, ArrayLike, LabelsLike, LabelsLike]:
    """Return embedded queries and gallery, and the labels of both."""
    directions = ("x_to_y", "y_to_x")
    if direction not in directions:
        raise ValueError(f"{caller}: `direction` is {direction!r}; expected one of {directions}.")
    sides = project_with_labels(estimator, X, y, labels, f"{caller}.from_estimator")
    query, item = sides if direction == "x_to_y" else sides[::-1]
    return query.rows, item.rows, query.labels, item.labels


def model_name(estimator: Estimator) -> str:
    """Return the class name of a model, out of the pipeline or search that it is wrapped in."""
    return type(final_model(estimator)).__name__


def view_names(X: ViewLike) -> tuple[str, str]:
    """Return the names of the two views."""
    if isinstance(X, Views) and X.named and len(X.names) == 2:
        return X.names[0], X.names[1]
    return "First view", "Second view"
