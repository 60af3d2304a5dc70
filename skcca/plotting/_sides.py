"""What a display asks of an estimator: both embedded views, their labels, and its name."""

from __future__ import annotations

from typing import Any, NamedTuple

from skcca._scored import final_model, labelled_sides
from skcca._views import Views

DIRECTIONS = ("x_to_y", "y_to_x")


class Search(NamedTuple):
    """Embedded queries and gallery, with their labels."""

    queries: Any
    gallery: Any
    query_labels: Any
    gallery_labels: Any


def search_of(estimator: Any, X: Any, y: Any, labels: Any, direction: str, caller: str) -> Search:
    """Embed both views, and let the one be the queries and the other the gallery."""
    if direction not in DIRECTIONS:
        raise ValueError(f"{caller}: `direction` is {direction!r}; expected one of {DIRECTIONS}.")
    sides = labelled_sides(estimator, X, y, labels, f"{caller}.from_estimator")
    query, item = sides if direction == "x_to_y" else sides[::-1]
    return Search(query.rows, item.rows, query.labels, item.labels)


def name_of(estimator: Any, caller: str) -> str:
    """Return the class of the model, out of the pipeline or search that it is wrapped in."""
    return type(final_model(estimator, caller)).__name__


def view_names(X: Any) -> tuple[str, str]:
    """Return what to call the two views."""
    if isinstance(X, Views) and X.named and len(X.names) == 2:
        return X.names[0], X.names[1]
    return "First view", "Second view"
