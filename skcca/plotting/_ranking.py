"""Queries and their highest ranked items, side by side in a grid.

A cell of the grid is one unit wide. From top to bottom it holds a strip with the mark and the
similarity, a picture if there are any, and the lines of its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca.metrics._preparation import (
    ArgumentNames,
    check_embeddings,
    check_sides_aligned,
    find_relevance,
    known_sides,
)
from skcca.metrics._similarity import check_metric, gallery_vectors, query_vectors, similarities
from skcca.plotting._canvas import (
    GREEN,
    VERMILLION,
    axes_for,
    check_canvas,
    contrast_colour,
    draw_layout,
)
from skcca.plotting._checks import check_count, embed_search, model_name
from skcca.plotting._texts import shorten
from skcca.views._checks import is_label_pair
from skcca.views._container import Views
from skcca.views._labels import check_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

__all__ = ["RankingDisplay"]
_NAME = "RankingDisplay"
_METRICS = ("cosine", "correlation", "inner_product", "euclidean")
_DEFAULT_ROWS = 5

# Lengths of the grid, in widths of a cell: the strip above a picture, a line of text, the gap
# between cells, and the further gap between the query and its items. A cell is so many inches wide.
_STRIP, _LINE, _GAP, _QUERY_GAP = 0.22, 0.16, 0.12, 0.3
_INCHES = 1.15
_CHECK_MARK = [(-0.9, 0.0), (-0.3, -0.7), (0.9, 0.8)]


@dataclass(repr=False, eq=False)
class RankingDisplay:
    """Show the highest ranked items of a few queries, and their relevance.

    Use `from_estimator` or `from_predictions`, which compute what the constructor takes. A relevant
    item has a check mark and a solid green frame, another one a cross and a dashed red frame. Above
    each item stands its similarity.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Numbers of the queries.
    order : ndarray of shape (n_rows, k)
        Numbers of the highest ranked items of each query, best first.
    relevant : ndarray of shape (n_rows, k), bool
        Mask of the relevant ones.
    similarities : ndarray of shape (n_rows, k)
        Similarities to the query.
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
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes that hold the grid, and their figure. These and what follows are defined once it is
        drawn.
    frames_ : ndarray of shape (n_rows, k), matplotlib Rectangle
        Frames of the items.
    hits_, misses_ : matplotlib PathCollection
        The check marks and the crosses.
    images_ : list of matplotlib AxesImage
        The pictures, row by row.
    texts_ : list of matplotlib Text
        Names and classes below queries and items, row by row, long names shortened.

    See Also
    --------
    PrecisionRecallDisplay : Precision and recall, averaged over all queries.

    Notes
    -----
    Equally similar items are shown in the order of the gallery; measures average over their orders.
    Queries and items whose label is missing are left out, with a warning that counts them.

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

    rows: np.ndarray
    order: np.ndarray
    relevant: np.ndarray
    similarities: np.ndarray
    _: KW_ONLY
    query_labels: LabelsLike = None
    gallery_labels: LabelsLike = None
    query_images: Sequence[np.ndarray] | None = None
    gallery_images: Sequence[np.ndarray] | None = None
    query_names: Sequence[str] | None = None
    gallery_names: Sequence[str] | None = None
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: ViewLike,
        y: ViewLike = None,
        *,
        labels: LabelsLike = None,
        direction: str = "x_to_y",
        rows: ArrayLike = None,
        k: int = 5,
        metric: str = "cosine",
        query_images: Sequence[np.ndarray] | None = None,
        gallery_images: Sequence[np.ndarray] | None = None,
        query_names: Sequence[str] | None = None,
        gallery_names: Sequence[str] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> RankingDisplay:
        """Draw the ranked lists of queries by a fitted model.

        Parameters
        ----------
        estimator : fitted two-view transformer
        X : Views or array-like of shape (n_samples, n_features)
        y : array-like, default=None
        labels : array-like or tuple of two array-likes, default=None
        direction : {"x_to_y", "y_to_x"}, default="x_to_y"
            See `PrecisionRecallDisplay.from_estimator`.
        rows : sequence of int, default=None
            Numbers of the queries to draw; None takes five, evenly spaced.
        k : int, default=5
            Number of items of each list.
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
            Similarity that orders the gallery.
        query_images, gallery_images : sequence of ndarrays, default=None
        query_names, gallery_names : sequence of str, default=None
            See `RankingDisplay`; of all queries and items, also of those that are not drawn.
        name : str, default=None
            Title of the picture; None is the class of the model.
        ax : matplotlib Axes, default=None
            Axes to fill with the grid. None makes a new figure.

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
        """
        check_canvas(ax, _NAME)
        search = embed_search(estimator, X, y, labels, direction, _NAME)
        of_queries = {"query_images": query_images, "query_names": query_names}
        of_gallery = {"gallery_images": gallery_images, "gallery_names": gallery_names}
        of_x, of_y = (of_queries, of_gallery)[:: 1 if direction == "x_to_y" else -1]
        paired = isinstance(X, Views) or not is_label_pair(labels)
        check_sides_aligned(_NAME, {"X": X, **of_x}, {"y": y, **of_y}, paired=paired)
        return cls.from_predictions(
            *search, rows=rows, k=k, metric=metric,
            query_images=query_images, gallery_images=gallery_images,
            query_names=query_names, gallery_names=gallery_names,
            name=model_name(estimator) if name is None else name, ax=ax,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        queries: ArrayLike,
        gallery: ArrayLike,
        query_labels: LabelsLike = None,
        gallery_labels: LabelsLike = None,
        *,
        rows: ArrayLike = None,
        k: int = 5,
        metric: str = "cosine",
        exclude_self: bool = False,
        query_images: Sequence[np.ndarray] | None = None,
        gallery_images: Sequence[np.ndarray] | None = None,
        query_names: Sequence[str] | None = None,
        gallery_names: Sequence[str] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
    ) -> RankingDisplay:
        """Draw the ranked lists of embedded queries.

        Parameters
        ----------
        queries : array-like of shape (n_queries, n_components)
        gallery : array-like of shape (n_gallery, n_components)
        query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
            See `PrecisionRecallDisplay.from_predictions`.
        rows : sequence of int, default=None
        k : int, default=5
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
            See `from_estimator`.
        exclude_self : bool, default=False
            Whether item i is left out of the list of query i.
        query_images, gallery_images : sequence of ndarrays, default=None
        query_names, gallery_names : sequence of str, default=None
        name : str, default=None
        ax : matplotlib Axes, default=None
            See `from_estimator`; without a `name` there is no title.

        Returns
        -------
        display : RankingDisplay
            The display, drawn.
        """
        check_canvas(ax, _NAME)
        names = ArgumentNames(_NAME)
        of_queries = {"queries": queries, "query_labels": query_labels}
        of_queries |= {"query_images": query_images, "query_names": query_names}
        of_gallery = {"gallery": gallery, "gallery_labels": gallery_labels}
        of_gallery |= {"gallery_images": gallery_images, "gallery_names": gallery_names}
        paired = exclude_self or gallery_labels is None
        check_sides_aligned(_NAME, of_queries, of_gallery, paired=paired)
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
        _check_lengths("query", "queries", n_queries, query_images, query_names)
        _check_lengths("gallery", "items", n_gallery, gallery_images, gallery_names)
        labels = query_labels, gallery_labels
        known = known_sides(*labels, n_queries, n_gallery, names, exclude_self)
        asked, items = np.arange(n_queries), np.arange(n_gallery)
        if known is not None:
            asked, items = np.flatnonzero(known.queries), np.flatnonzero(known.gallery)
            labels = known.query_labels, known.gallery_labels
        rows = _check_rows(rows, n_queries, asked)
        most = len(items) - bool(exclude_self)
        k = check_count(k, "k", "how many items to show", _NAME, 1, most)
        relevance = find_relevance(*labels, len(asked), len(items), names, "shared")
        gallery = gallery[items]
        if metric == "euclidean":
            # Sums of differences lose no digits far from the origin.
            products = np.array([-0.5 * ((gallery - q) ** 2).sum(axis=1) for q in queries[rows]])
        else:
            products = query_vectors(queries[rows], metric) @ gallery_vectors(gallery, metric).T
        if exclude_self:
            products[items == rows[:, None]] = -np.inf
        order = np.argsort(-products, axis=1, kind="stable")[:, :k]
        relevant = relevance[np.atleast_1d(np.searchsorted(asked, rows))]
        of_items = labels[0] if labels[1] is None else labels[1]
        display = cls(
            rows,
            items[order],
            np.take_along_axis(relevant, order, axis=1),
            similarities(np.take_along_axis(products, order, axis=1), metric),
            query_labels=_classes(labels[0], asked, n_queries),
            gallery_labels=_classes(of_items, items, n_gallery),
            query_images=query_images, gallery_images=gallery_images,
            query_names=query_names, gallery_names=gallery_names, name=name,
        )  # fmt: skip
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, name: str | None = None) -> RankingDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
            See `from_estimator`; a `name` of None is that of the display.

        Returns
        -------
        display : RankingDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        of_queries = _pictures(self.query_images, self.rows, "query_images")
        of_items = _pictures(self.gallery_images, self.order.ravel(), "gallery_images")
        sizes = [image.shape[:2] for image in (of_queries or []) + (of_items or [])]
        has_classes = self.query_labels is not None or self.gallery_labels is not None
        grid = _Grid(
            *self.order.shape,
            picture_height=max((min(1.0, height / width) for height, width in sizes), default=0.0),
            n_lines=2 if has_classes else 1,
        )
        self.ax_ = ax = axes_for(ax, grid.figure_size)
        self.figure_ = ax.figure
        grid.prepare(ax, self.name if name is None else name)
        self.images_: list[AxesImage] = []
        self.texts_: list[Text] = []
        for i, row in enumerate(self.rows):
            image = None if of_queries is None else of_queries[i]
            lines = _lines(row, self.query_names, self.query_labels)
            self._fill(grid, i, 0, lines, image)
            for j, item in enumerate(self.order[i]):
                image = None if of_items is None else of_items[i * self.order.shape[1] + j]
                lines = _lines(item, self.gallery_names, self.gallery_labels)
                self._fill(grid, i, j + 1, lines, image)
        self.frames_ = grid.frame(self.relevant)
        self.hits_, self.misses_ = grid.mark(self.relevant)
        similarities = grid.write_similarities(self.similarities)
        size = grid.fit_texts(self.texts_, similarities)
        self.hits_.set_sizes([0.9 * size**2])
        self.misses_.set_sizes([0.5 * size**2])
        return self

    def _fill(
        self, grid: _Grid, i: int, j: int, lines: list[str], image: np.ndarray | None
    ) -> None:
        """Draw the picture and the lines of one cell."""
        if image is not None:
            self.images_.append(grid.show(i, j, image))
        self.texts_.append(grid.write(i, j, lines, below=image is not None))


class _Grid:
    """Places and looks of queries (column 0) and items (columns 1 to k).

    The height of the pictures is in widths of a cell, and 0 where there are none; `n_lines` is the
    number of lines of text in each cell.
    """

    def __init__(self, n_rows: int, k: int, *, picture_height: float, n_lines: int):
        self.k, self.n_lines, self.picture_height = k, n_lines, picture_height
        self.cell_height = _STRIP + picture_height + _LINE * n_lines + 0.08
        self.width = (k + 1) * (1 + _GAP) + _QUERY_GAP - _GAP
        self.height = n_rows * (self.cell_height + _GAP) - _GAP

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height in inches, with room for a title."""
        return _INCHES * self.width + 0.2, _INCHES * (self.height + _STRIP) + 0.5

    def left(self, j: int) -> float:
        """Return the left border of column j."""
        return j * (1 + _GAP) + (_QUERY_GAP if j else 0)

    def top(self, i: int) -> float:
        """Return the upper border of row i; y grows downwards."""
        return i * (self.cell_height + _GAP)

    def prepare(self, ax: Axes, title: str | None) -> None:
        """Set limits and title, number the columns, and remove ticks and spines."""
        self.ax = ax
        margin = 0.04
        ax.set_xlim(-margin, self.width + margin)
        ax.set_ylim(self.height + margin, -_STRIP - margin)
        ax.set_aspect("equal" if self.picture_height else "auto")
        ax.set_xticks([])
        ax.set_yticks([])
        self.headers = [
            self._text(self.left(j) + 0.5, -0.05, header, ha="center", va="bottom")
            for j, header in enumerate(["Query", *(str(j + 1) for j in range(self.k))])
        ]
        ax.spines[:].set_visible(False)
        if title is not None:
            ax.set_title(title)

    def show(self, i: int, j: int, image: np.ndarray) -> AxesImage:
        """Draw a picture as large as its cell allows."""
        height, width = image.shape[:2]
        h, w = np.array([height, width]) * min(self.picture_height / height, 1 / width) * 0.94
        x, y = self.left(j) + 0.5, self.top(i) + _STRIP + self.picture_height / 2
        return self.ax.imshow(
            image, extent=(x - w / 2, x + w / 2, y + h / 2, y - h / 2), cmap="gray", vmin=0, vmax=1,
            interpolation="nearest" if max(height, width) < 64 else None, aspect="equal",
        )  # fmt: skip

    def write(self, i: int, j: int, lines: list[str], *, below: bool) -> Text:
        """Write below the picture, or in the middle of a cell that has none."""
        y = self.top(i) + _STRIP + 0.04
        free = self.picture_height + _LINE * (self.n_lines - len(lines))
        y += self.picture_height if below else free / 2
        return self._text(self.left(j) + 0.5, y, "\n".join(lines), ha="center", va="top")

    def write_similarities(self, similarities: np.ndarray) -> list[Text]:
        """Write the similarity of each item into the upper right corner of its cell."""
        # Embeddings of one class may lie so close that two digits are 1.00 for every item.
        digits = 2 if np.ptp(similarities.round(2)) > 0 else 4
        return [
            self._text(
                self.left(j + 1) + 0.95, self.top(i) + 0.03, f"{value:.{digits}f}",
                ha="right", va="top",
            )
            for (i, j), value in np.ndenumerate(similarities)
        ]  # fmt: skip

    def _text(self, x: float, y: float, text: str, **kwargs: Any) -> Text:
        # A text that is too large must not make the axes smaller, so it is left out of the layout.
        return self.ax.text(x, y, text, in_layout=False, **kwargs)

    def frame(self, relevant: np.ndarray) -> np.ndarray:
        """Draw a frame around each item, and return these rectangles (n_rows, k)."""
        from matplotlib.patches import Rectangle

        frames = np.empty(relevant.shape, dtype=object)
        for (i, j), hit in np.ndenumerate(relevant):
            look: dict[str, Any] = {"edgecolor": GREEN, "linewidth": 2.0, "linestyle": "-"}
            if not hit:
                look = {"edgecolor": VERMILLION, "linewidth": 1.0, "linestyle": "--"}
            corner = self.left(j + 1), self.top(i)
            frame = Rectangle(corner, 1, self.cell_height, fill=False, **look)
            frames[i, j] = self.ax.add_patch(frame)
        return frames

    def mark(self, relevant: np.ndarray) -> tuple[PathCollection, PathCollection]:
        """Draw a check mark for each relevant item and a cross for each other one."""
        from matplotlib.path import Path

        at = np.array(
            [(self.left(j + 1) + 0.15, self.top(i) + 0.12) for i, j in np.ndindex(relevant.shape)]
        )
        hit = relevant.ravel().astype(bool)
        check_mark = Path(_CHECK_MARK)
        hits = self.ax.scatter(
            at[hit, 0], at[hit, 1], marker=check_mark, facecolors="none", edgecolors=GREEN,
            linewidths=2,
        )  # fmt: skip
        misses = self.ax.scatter(at[~hit, 0], at[~hit, 1], marker="x", c=VERMILLION, linewidths=1.5)
        return hits, misses

    def fit_texts(self, texts: list[Text], similarities: list[Text]) -> float:
        """Give all texts a size at which they fit their cells, shorten names, return the size."""
        draw_layout(self.ax)
        (left, top), (right, bottom) = self.ax.transData.transform([(0, 0), (1, _LINE)])
        line_height = abs(bottom - top) * 72 / self.ax.figure.figure.dpi  # points
        size = min(8.0, line_height / 1.3)
        colour = contrast_colour(self.ax)
        for text in [*texts, *similarities, *self.headers]:
            text.set(fontsize=size, color=colour, linespacing=1.1)
        for text in texts:
            _shorten_to(text, 0.94 * (right - left))
        return size


def _shorten_to(text: Text, width: float) -> None:
    """Shorten the lines of a drawn text until it is no wider than so many pixels."""
    full = text.get_text()
    n_characters = len(full)
    while n_characters > 1 and text.get_window_extent().width > width:
        n_characters = min(n_characters - 1, int(n_characters * 0.9))
        text.set_text("\n".join(shorten(line, n_characters) for line in full.split("\n")))


def _check_lengths(side: str, meaning: str, n: int, images: Any, names: Any) -> None:
    """Refuse pictures and names of another number than there are queries or items."""
    for argument, value in ((f"{side}_images", images), (f"{side}_names", names)):
        if value is not None and len(value) != n:
            raise ValueError(
                f"{_NAME}: `{argument}` has {len(value)} entries; expected one for each of the "
                f"{n} {meaning}, also for those that are not drawn."
            )


def _check_rows(rows: ArrayLike, n_queries: int, known: np.ndarray) -> np.ndarray:
    """Return the numbers of the queries to draw, out of those whose class is known."""
    if rows is None:
        n_rows = min(_DEFAULT_ROWS, len(known))
        return known[np.unique(np.linspace(0, len(known) - 1, n_rows).round().astype(int))]
    checked = np.asarray(rows)
    whole = checked.ndim == 1 and len(checked) > 0 and checked.dtype.kind in "iu"
    if not whole or checked.min() < 0 or checked.max() >= n_queries:
        raise ValueError(
            f"{_NAME}: `rows` is {rows!r:.80}; expected numbers of queries from 0 to "
            f"{n_queries - 1}, such as [0, 1]."
        )
    unknown = np.setdiff1d(checked, known)
    if len(unknown):
        raise ValueError(
            f"{_NAME}: `rows` holds query {unknown[0]}, whose label is missing, so that no item is "
            "known to be relevant; choose others, or None for five."
        )
    return checked


def _classes(labels: LabelsLike, known: np.ndarray, n: int) -> np.ndarray | None:
    """Return one class for each of n rows, or None for tags, which are too many to write.

    Labels are those of the known rows; the others are not drawn.
    """
    if labels is None:
        return None
    checked = check_labels(labels, len(known), "labels", "rows", _NAME)
    if checked.ndim == 2:
        return None
    classes = np.full(n, None, dtype=object)
    classes[known] = checked
    return classes if len(known) < n else checked


def _lines(i: int, names: Sequence[str] | None, labels: LabelsLike) -> list[str]:
    """Return the lines to write below query or item i: its name, and its class if there is one."""
    name = f"#{i}" if names is None else str(_by_position(names)[i])
    return [name] if labels is None else [name, str(_by_position(labels)[i])]


def _by_position(entries: Any) -> Any:
    """Return what a number indexes by position, also where pandas would look for a label."""
    return getattr(entries, "iloc", entries)


def _pictures(
    images: Sequence[np.ndarray] | None, which: np.ndarray, name: str
) -> list[np.ndarray] | None:
    """Return the pictures to draw, after checking them; grey ones on one scale from 0 to 1."""
    if images is None:
        return None
    drawn = [np.asarray(_by_position(images)[i]) for i in which]
    for image in drawn:
        colours = image.ndim == 3 and image.shape[2] in (3, 4)
        if image.dtype.kind not in "biuf" or not (colours or image.ndim == 2) or not image.size:
            raise ValueError(
                f"{_NAME}: `{name}` holds a picture of shape {image.shape}, dtype {image.dtype}; "
                "expected numbers (H, W), (H, W, 3) or (H, W, 4). Rows of pixels: "
                "X.reshape(-1, H, W); channels first: np.moveaxis(images, 1, -1)."
            )
        if not np.isfinite(image).all():
            raise ValueError(f"{_NAME}: `{name}` holds NaN or infinity; np.nan_to_num(images).")
        if colours and image.dtype != np.uint8 and (image.min() < 0 or image.max() > 1):
            raise ValueError(
                f"{_NAME}: `{name}` holds colours from {image.min():g} to {image.max():g}; "
                "expected 0 to 1, or the type uint8."
            )
    grey = [image for image in drawn if image.ndim == 2]
    if grey:
        low = float(min(image.min() for image in grey))
        span = (float(max(image.max() for image in grey)) - low) or 1.0
        drawn = [(image - low) / span if image.ndim == 2 else image for image in drawn]
    return drawn
