"""Queries and what they find, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca.metrics._preparation import ArgumentNames, check_embeddings, find_relevance
from skcca.metrics._similarity import (
    check_metric,
    gallery_vectors,
    query_vectors,
    similarities,
)
from skcca.plotting._canvas import axes_for, check_canvas, ink_of
from skcca.plotting._cells import Cells, drawn_pictures, height_of
from skcca.plotting._checks import check_count, name_of, search_of
from skcca.views._labels import check_labels

__all__ = ["RankingDisplay"]

_NAME = "RankingDisplay"
_METRICS = ("cosine", "correlation", "inner_product", "euclidean")
_ROWS = 5  # queries that are drawn if none are named


class RankingDisplay:
    """Show the first items of the ranked lists of a few queries, and which of them are relevant.

    Use `from_estimator` or `from_predictions`, which compute what the constructor takes. A relevant
    item has a check mark and a solid green frame, another one a cross and a dashed red frame. Above
    each item stands its similarity.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Numbers of the queries.
    order : ndarray of shape (n_rows, k)
        Numbers of the items that each of them finds, best first.
    relevant : ndarray of shape (n_rows, k), bool
        Which of these are relevant.
    similarities : ndarray of shape (n_rows, k)
        How similar they are to the query.
    query_labels, gallery_labels : sequence, default=None
        Class of each query and of each item, to write below them.
    query_images, gallery_images : sequence of ndarrays (H, W), (H, W, 3) or (H, W, 4), default=None
        Pictures of the queries and of the items, such as an array (n, H, W): grey values, or
        colours from 0 to 1 or of type uint8.
    query_names, gallery_names : sequence of str, default=None
        Names of the queries and of the items; None writes their numbers.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that hold the whole grid. This and what follows is defined once it is drawn.
    figure_ : matplotlib Figure
        Figure of the picture.
    frames_ : ndarray of shape (n_rows, k), matplotlib Rectangle
        Frames of the items.
    hits_, misses_ : matplotlib PathCollection
        The check marks and the crosses.
    images_ : list of matplotlib AxesImage
        The pictures, row by row.
    texts_ : list of matplotlib Text
        What is written below queries and items, row by row, long names shortened.

    See Also
    --------
    PrecisionRecallDisplay : What all queries find on average.

    Notes
    -----
    Equally similar items are shown in the order of the gallery; measures average over their orders.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import ClusterCCA
    >>> from skcca.datasets import load_digit_halves
    >>> from skcca.plotting import RankingDisplay
    >>> digits = load_digit_halves()
    >>> train, test = slice(0, 1000), slice(1000, 1300)
    >>> model = ClusterCCA(reg=0.1).fit(digits.x[train], digits.y[train], digits.labels[train])
    >>> left, right = digits.x[test], digits.y[test]
    >>> display = RankingDisplay.from_estimator(
    ...     model, left, right, labels=digits.labels[test], rows=[0, 1, 2], k=4,
    ...     query_images=left.reshape(-1, 8, 4), gallery_images=right.reshape(-1, 8, 4),
    ... )
    >>> display.relevant.astype(int)
    array([[0, 0, 1, 0],
           [1, 1, 1, 1],
           [1, 1, 1, 1]])
    >>> display.figure_.savefig("ranking.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        rows: np.ndarray,
        order: np.ndarray,
        relevant: np.ndarray,
        similarities: np.ndarray,
        *,
        query_labels: Any = None,
        gallery_labels: Any = None,
        query_images: Any = None,
        gallery_images: Any = None,
        query_names: Any = None,
        gallery_names: Any = None,
        name: str | None = None,
    ):
        self.rows = rows
        self.order = order
        self.relevant = relevant
        self.similarities = similarities
        self.query_labels = query_labels
        self.gallery_labels = gallery_labels
        self.query_images = query_images
        self.gallery_images = gallery_images
        self.query_names = query_names
        self.gallery_names = gallery_names
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        labels: Any = None,
        direction: str = "x_to_y",
        rows: Any = None,
        k: int = 5,
        metric: str = "cosine",
        query_images: Any = None,
        gallery_images: Any = None,
        query_names: Any = None,
        gallery_names: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> RankingDisplay:
        """Draw what queries find by a fitted model.

        Parameters
        ----------
        estimator : fitted two-view transformer
            Alone, at the end of a pipeline, in a search or frozen.
        X : Views or array-like of shape (n_samples, n_features)
            Both views, or the first alone.
        y : array-like, default=None
            Beside a `Views` the labels, else the second view.
        labels : array-like or tuple of two array-likes, default=None
            Classes or an indicator matrix; a tuple labels the rows of two arrays that are not
            paired.
        direction : {"x_to_y", "y_to_x"}, default="x_to_y"
            Which view the queries are of: the first, or the second.
        rows : sequence of int, default=None
            Numbers of the queries to draw; None takes five, evenly spaced.
        k : int, default=5
            Number of items of each list.
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
            What orders the gallery.
        query_images, gallery_images : sequence of ndarrays, default=None
            Pictures of all queries and items, (H, W) or (H, W, channels) each.
        query_names, gallery_names : sequence of str, default=None
            Names of all queries and items; None writes their numbers.
        name : str, default=None
            Title of the picture; None is the class of the model.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : RankingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator does not project two views, or `ax` is no Axes.
        ValueError
            If labels or a view are missing, or another argument does not fit.
        ImportError
            If matplotlib is not installed.
        """
        check_canvas(ax, _NAME)
        search = search_of(estimator, X, y, labels, direction, _NAME)
        return cls.from_predictions(
            *search,
            rows=rows,
            k=k,
            metric=metric,
            query_images=query_images,
            gallery_images=gallery_images,
            query_names=query_names,
            gallery_names=gallery_names,
            name=name_of(estimator, _NAME) if name is None else name,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        queries: Any,
        gallery: Any,
        query_labels: Any = None,
        gallery_labels: Any = None,
        *,
        rows: Any = None,
        k: int = 5,
        metric: str = "cosine",
        exclude_self: bool = False,
        query_images: Any = None,
        gallery_images: Any = None,
        query_names: Any = None,
        gallery_names: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> RankingDisplay:
        """Draw what embedded queries find.

        Parameters
        ----------
        queries : array-like of shape (n_queries, n_components)
            Embedded queries.
        gallery : array-like of shape (n_gallery, n_components)
            Embedded items to rank.
        query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
            Classes, or a binary indicator matrix; None means instance pairs.
        gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
            Labels of the gallery; None means that item i has the label of query i.
        rows : sequence of int, default=None
            Numbers of the queries to draw; None takes five, evenly spaced.
        k : int, default=5
            Number of items of each list.
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
            What orders the gallery.
        exclude_self : bool, default=False
            Whether item i is left out of the list of query i.
        query_images, gallery_images : sequence of ndarrays, default=None
            Pictures of all queries and items, (H, W) or (H, W, channels) each.
        query_names, gallery_names : sequence of str, default=None
            Names of all queries and items; None writes their numbers.
        name : str, default=None
            Title of the picture.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : RankingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `ax` is no Axes.
        ValueError
            If embeddings or labels do not fit one another, `rows`, `k` or `metric` are none of
            those above, or there are not as many pictures or names as queries or items.
        ImportError
            If matplotlib is not installed.
        """
        check_canvas(ax, _NAME)
        names = ArgumentNames(_NAME)
        queries, gallery = check_embeddings(queries, gallery, names)
        n_queries, n_gallery = len(queries), len(gallery)
        if metric not in _METRICS:
            raise ValueError(f"{_NAME}: `metric` is {metric!r}; expected one of {_METRICS}.")
        check_metric(metric, None, queries.shape[1], _NAME)
        if exclude_self and n_queries != n_gallery:
            raise ValueError(
                f"{_NAME}: exclude_self=True leaves out item i for query i, but there are "
                f"{n_queries} queries and {n_gallery} items."
            )
        rows = _check_rows(rows, n_queries)
        most = n_gallery - bool(exclude_self)
        k = check_count(k, "k", "how many items to show", _NAME, 1, most)
        for argument, value, n in (
            ("query_images", query_images, n_queries),
            ("gallery_images", gallery_images, n_gallery),
            ("query_names", query_names, n_queries),
            ("gallery_names", gallery_names, n_gallery),
        ):
            if value is not None and len(value) != n:
                raise ValueError(
                    f"{_NAME}: `{argument}` has {len(value)} entries; expected one for each of the "
                    f"{n} {'queries' if argument.startswith('query') else 'items'}, also for those "
                    "that are not drawn."
                )
        relevance = find_relevance(
            query_labels, gallery_labels, n_queries, n_gallery, names, "shared"
        )
        products = query_vectors(queries[rows], metric) @ gallery_vectors(gallery, metric).T
        if exclude_self:
            products[np.arange(len(rows)), rows] = -np.inf
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        display = cls(
            rows,
            order,
            np.array([relevance[row][items] for row, items in zip(rows, order, strict=True)]),
            similarities(np.take_along_axis(products, order, axis=1), metric),
            query_labels=_classes(query_labels, n_queries),
            gallery_labels=_classes(
                query_labels if gallery_labels is None else gallery_labels, n_gallery
            ),
            query_images=query_images,
            gallery_images=gallery_images,
            query_names=query_names,
            gallery_names=gallery_names,
            name=name,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> RankingDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw the grid on, which fills them. None makes a new figure.
        name : str, default=None
            Title of the picture; None is the `name` of the display.

        Returns
        -------
        display : RankingDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.

        Raises
        ------
        TypeError, ValueError, ImportError
            As `from_predictions`.
        """
        check_canvas(ax, _NAME)
        pictures = [
            drawn_pictures(self.query_images, self.rows, "query_images", _NAME),
            drawn_pictures(self.gallery_images, self.order.ravel(), "gallery_images", _NAME),
        ]
        cells = Cells(
            *self.order.shape,
            picture=height_of(pictures),
            n_lines=1
            + any(labels is not None for labels in (self.query_labels, self.gallery_labels)),
        )
        self.ax_ = ax = axes_for(ax, cells.figure_size)
        self.figure_ = ax.figure
        cells.prepare(ax, self.name if name is None else name)
        self.images_: list[Any] = []
        self.texts_: list[Any] = []
        of_queries, of_items = pictures
        for i, row in enumerate(self.rows):
            image = None if of_queries is None else of_queries[i]
            lines = _lines(row, self.query_names, self.query_labels)
            self._add(cells, i, 0, lines, image)
            for j, item in enumerate(self.order[i]):
                image = None if of_items is None else of_items[i * self.order.shape[1] + j]
                lines = _lines(item, self.gallery_names, self.gallery_labels)
                self._add(cells, i, j + 1, lines, image)
        self.frames_, self.hits_, self.misses_ = cells.mark(self.relevant, self.similarities)
        cells.fit_texts(self.texts_, ink_of(ax))
        return self

    def _add(self, cells: Cells, i: int, j: int, lines: list[str], image: Any) -> None:
        if image is not None:
            self.images_.append(cells.show(i, j, image))
        self.texts_.append(cells.write(i, j, lines, below=image is not None))


def _check_rows(rows: Any, n_queries: int) -> np.ndarray:
    if rows is None:
        return np.unique(np.linspace(0, n_queries - 1, min(_ROWS, n_queries)).round().astype(int))
    checked = np.asarray(rows)
    whole = checked.ndim == 1 and len(checked) > 0 and checked.dtype.kind in "iu"
    if not whole or checked.min() < 0 or checked.max() >= n_queries:
        raise ValueError(
            f"{_NAME}: `rows` is {rows!r:.80}; expected numbers of queries from 0 to "
            f"{n_queries - 1}, such as [0, 1]."
        )
    return checked


def _classes(labels: Any, n: int) -> np.ndarray | None:
    """Return one class a row; tags are too many to write."""
    if labels is None:
        return None
    checked = check_labels(labels, n, "labels", "rows", _NAME)
    return checked if checked.ndim == 1 else None


def _lines(i: int, names: Any, labels: Any) -> list[str]:
    name = f"#{i}" if names is None else str(names[i])
    return [name] if labels is None else [name, str(labels[i])]
