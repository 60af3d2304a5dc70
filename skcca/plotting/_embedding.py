"""Both views in the plane of two components."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca.metrics._preparation import ArgumentNames, check_embeddings, check_sides_aligned
from skcca.plotting._canvas import (
    axes_for,
    check_canvas,
    class_colours,
    colour_bar,
    contrast_colour,
    draw_layout,
    legend_above,
    legend_beside,
)
from skcca.plotting._checks import (
    check_two_components,
    check_view_names,
    model_name,
    view_names,
)
from skcca.plotting._texts import place_texts, shorten
from skcca.views._checks import has_entries, separate_views
from skcca.views._container import Views
from skcca.views._labels import check_comparable_labels, known_labels
from skcca.views._projection import project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

__all__ = ["EmbeddingDisplay"]
_NAME = "EmbeddingDisplay"
_MARKERS = ("o", "^")

# More lines between pairs hide the points.
_MAX_LINKED = 200

# Up to so many classes are told apart by colour alone, and up to so many stand in the legend.
_MAX_BY_COLOUR = 10
_MAX_IN_LEGEND = 20

# Rows without a label, which must not hide the others.
_NO_LABEL, _GREY = "no label", "#808080"
_ALPHA, _FAINT = 0.85, 0.35


@dataclass(repr=False, eq=False)
class EmbeddingDisplay:
    """Show the rows of both views in the plane of two components.

    Use `from_estimator` or `from_predictions`. Circles are rows of the first view, triangles those
    of the second; colours are classes, and rows whose label is missing are grey: "no label".

    Parameters
    ----------
    Zx : ndarray of shape (n_samples, n_components)
    Zy : ndarray of shape (n_samples_y, n_components)
        Embedded rows of the first and of the second view.
    labels : ndarray or tuple of two ndarrays, default=None
        Class of each row; a tuple has those of both views. Missing ones are None, NaN or masked.
    components : tuple of two ints, default=(0, 1)
        Components that span the picture.
    link : bool, default=None
        Whether a line joins the two rows of each pair; None joins up to 200 pairs.
    view_names : tuple of two str, default=("First view", "Second view")
        Names of the views in the legend.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes and figure of the picture. These and what follows are defined once it is drawn.
    points_ : tuple of two matplotlib PathCollections
        Rows of the first and of the second view.
    links_ : matplotlib LineCollection or None
        Lines between the rows of a pair.
    legend_ : matplotlib Legend
        Legend of views, and of up to 20 classes.
    class_names_ : list of matplotlib Annotation
        Names of 11 to 20 classes at their centres, as many as there is room for; else empty.
    colorbar_ : matplotlib Colorbar or None
        Names of more than 20 classes.

    See Also
    --------
    LoadingsDisplay : Loadings of the features on the components.

    Notes
    -----
    Up to 8 classes have the colours of Okabe and Ito, up to 10 those of Tol, which are told apart
    with every kind of colour vision; more have those of a map from dark to light, and their names.

    Examples
    --------
    >>> from skcca import ClusterCCA
    >>> from skcca.datasets import load_digit_halves
    >>> from skcca.plotting import EmbeddingDisplay
    >>> digits = load_digit_halves()
    >>> few = digits.labels < 4
    >>> X, Y, labels = digits.x[few], digits.y[few], digits.labels[few]
    >>> model = ClusterCCA(2, reg=0.1).fit(X[:600], Y[:600], labels[:600])
    >>> display = EmbeddingDisplay.from_estimator(model, X[600:], Y[600:], labels=labels[600:])
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['First view', 'Second view', '0', '1', '2', '3']
    >>> display.figure_.savefig("embedding.png")  # doctest: +SKIP
    """

    Zx: np.ndarray
    Zy: np.ndarray
    labels: LabelsLike = None
    _: KW_ONLY
    components: tuple[int, int] = (0, 1)
    link: bool | None = None
    view_names: tuple[str, str] = ("First view", "Second view")
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: ViewLike,
        y: ViewLike = None,
        *,
        labels: LabelsLike = None,
        components: tuple[int, int] = (0, 1),
        link: bool | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> EmbeddingDisplay:
        """Draw the rows embedded by a fitted model.

        Parameters
        ----------
        estimator : fitted two-view transformer
            Alone, at the end of a pipeline, in a search or frozen.
        X : Views or array-like of shape (n_samples, n_features)
            Both views, or the first alone.
        y : array-like, default=None
            Beside a `Views` the labels, else the second view.
        labels : array-like or tuple of two array-likes, default=None
            Class of each row; a tuple labels the rows of two arrays that are not paired.
        components : tuple of two ints, default=(0, 1)
        link : bool, default=None
            See `EmbeddingDisplay`.
        name : str, default=None
            Title of the picture; None is the class of the model.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        **kwargs : dict
            Look of the points, for matplotlib's ``Axes.scatter``.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator does not project two views, or `ax` is no Axes.
        ValueError
            If a view is missing, labels do not fit the rows, or there are no such components.
        """
        check_canvas(ax, _NAME)
        given = separate_views(_NAME, X, y, labels, f"{_NAME}.from_estimator(model, ")
        if given.y is None:
            raise ValueError(
                f"{_NAME}: `y`, the second view, is None; or pass Views(X, Y), labels."
            )
        Zx, Zy = project(estimator, X, None if isinstance(X, Views) else y, _NAME)
        return cls.from_predictions(
            Zx, Zy, given.labels, components=components, link=link, view_names=view_names(X),
            name=model_name(estimator) if name is None else name, ax=ax, **kwargs,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        Zx: ArrayLike,
        Zy: ArrayLike,
        labels: LabelsLike = None,
        *,
        components: tuple[int, int] = (0, 1),
        link: bool | None = None,
        view_names: tuple[str, str] = ("First view", "Second view"),
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> EmbeddingDisplay:
        """Draw embedded rows.

        Parameters
        ----------
        Zx : array-like of shape (n_samples, n_components)
        Zy : array-like of shape (n_samples_y, n_components)
        labels : array-like or tuple of two array-likes, default=None
        components : tuple of two ints, default=(0, 1)
        link : bool, default=None
        view_names : tuple of two str, default=("First view", "Second view")
        name : str, default=None
            See `EmbeddingDisplay`.
        ax : matplotlib Axes, default=None
        **kwargs : dict
            See `from_estimator`.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        display = cls(
            Zx, Zy, labels, components=components, link=link, view_names=view_names, name=name
        )
        return display.plot(ax=ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> EmbeddingDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
        **kwargs : dict
            See `from_estimator`; a `name` of None is that of the display.

        Returns
        -------
        display : EmbeddingDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        from matplotlib.colors import to_rgba

        check_view_names(self.view_names, _NAME)
        points = self._points()
        classes, codes = self._classes(points)
        paired = len(points[0]) == len(points[1]) and not _is_pair(self.labels)
        if self.link and not paired:
            raise ValueError(
                f"{_NAME}: link=True joins row i of one view with row i of the other, but there "
                f"are {len(points[0])} and {len(points[1])} rows, or labels of their own for each; "
                "leave `link` out."
            )
        self.ax_ = ax = axes_for(ax, (7, 5))
        self.figure_ = ax.figure
        contrast = contrast_colour(ax)
        palette = class_colours(1 if self.labels is None else len(classes), contrast)
        unknown = [code == len(palette) for code in codes]
        if any(map(np.any, unknown)):
            palette = np.vstack([palette, to_rgba(_GREY)])

        self.links_ = None
        if paired and (len(points[0]) <= _MAX_LINKED if self.link is None else self.link):
            from matplotlib.collections import LineCollection

            lines = list(np.stack(points, axis=1))
            links = LineCollection(lines, colors=contrast, linewidths=0.5, alpha=0.35, zorder=1)
            self.links_ = ax.add_collection(links)
        n_rows = max(map(len, points))
        look: dict[str, Any] = {
            "s": float(np.clip(6_000 / n_rows, 8, 40)),
            "edgecolors": contrast, "linewidths": 0.3 if n_rows <= 1_000 else 0,
        }  # fmt: skip
        alphas: list[Any] = [np.where(u, _FAINT, _ALPHA) if u.any() else _ALPHA for u in unknown]
        sides = zip((Z.T for Z in points), codes, alphas, _MARKERS, strict=True)
        self.points_ = tuple(
            ax.scatter(x, y, c=palette[code], marker=marker, **(look | {"alpha": alpha} | kwargs))
            for (x, y), code, alpha, marker in sides
        )
        x, y = self.components
        ax.set(xlabel=f"Component {x}", ylabel=f"Component {y}")
        title = self.name if name is None else name
        if title is not None:
            ax.set_title(title)
        self._label(classes, palette, points, codes, title)
        return self

    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the two components of the rows of each view."""
        if _is_pair(self.labels):
            of_x, of_y = {"labels[0]": self.labels[0]}, {"labels[1]": self.labels[1]}
        else:
            of_x, of_y = {"labels": self.labels}, {}
        sides = {"Zx": self.Zx, **of_x}, {"Zy": self.Zy, **of_y}
        check_sides_aligned(_NAME, *sides, paired="labels" in of_x)
        Zx, Zy = check_embeddings(self.Zx, self.Zy, ArgumentNames(_NAME, "Zx", "Zy"))
        pair = list(check_two_components(self.components, Zx.shape[1], _NAME))
        return Zx[:, pair], Zy[:, pair]

    def _classes(self, points: tuple[np.ndarray, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the names of the classes, and for each view the class number of each row.

        That of a row without a label is the number of classes.
        """
        sizes = [len(view) for view in points]
        if self.labels is None:
            return np.array([]), [np.zeros(n, dtype=int) for n in sizes]
        if _is_pair(self.labels):
            (of_x, of_y), names = self.labels, ("labels[0]", "labels[1]")
        elif sizes[0] == sizes[1]:
            of_x, of_y, names = self.labels, self.labels, ("labels", "labels")
        else:
            raise ValueError(
                f"{_NAME}: `Zx` has {sizes[0]} rows but `Zy` has {sizes[1]}; rows that are not "
                "paired have labels of their own: labels=(labels_x, labels_y)."
            )
        x, x_known = known_labels(of_x, sizes[0], names[0], "Zx", _NAME)
        y, y_known = known_labels(of_y, sizes[1], names[1], "Zy", _NAME)
        for own, name in zip((x, y), names, strict=True):
            if own.ndim == 2:
                raise ValueError(
                    f"{_NAME}: `{name}` has shape {own.shape}, but a point has one colour; give "
                    "one class for each row, such as labels[:, tag]."
                )
        if len(x) and len(y):
            check_comparable_labels(x, y, _NAME, "the first view", "the second")
        classes, of_known = np.unique(np.concatenate([x, y]), return_inverse=True)
        codes = [np.full(n, len(classes)) for n in sizes]
        for code, known, own in zip(
            codes, (x_known, y_known), np.split(of_known, [len(x)]), strict=True
        ):
            code[slice(None) if known is None else known] = own
        return classes, codes

    def _label(
        self,
        classes: np.ndarray,
        palette: np.ndarray,
        points: tuple[np.ndarray, ...],
        codes: list[np.ndarray],
        title: str | None,
    ) -> None:
        """Add the legend of markers and colours, and the names of many classes."""
        from matplotlib.lines import Line2D

        ax, n_classes = self.ax_, len(classes)
        contrast = contrast_colour(ax)
        self.colorbar_ = None
        self.class_names_: list[Annotation] = []
        colour = palette[0] if self.labels is None else "none"
        handles = [
            Line2D([], [], linestyle="", marker=marker, color=colour, mec=contrast, label=name)
            for marker, name in zip(_MARKERS, self.view_names, strict=True)
        ]
        names = [shorten(name) for name in classes]
        squares = [
            Line2D([], [], linestyle="", marker="s", color=colour, label=name)
            for colour, name in zip(palette, [*names, _NO_LABEL], strict=False)
        ]
        if n_classes > _MAX_IN_LEGEND:
            self.colorbar_ = colour_bar(ax, names, palette[:n_classes])
            self.legend_ = legend_above(ax, handles + squares[n_classes:], title)
        else:
            labelled = [] if self.labels is None else squares
            self.legend_ = legend_beside(ax, handles + labelled)
        if _MAX_BY_COLOUR < n_classes <= _MAX_IN_LEGEND:
            both, code = np.concatenate(points), np.concatenate(codes)
            centres = np.array([both[code == c].mean(axis=0) for c in range(n_classes)])
            draw_layout(ax)
            self.class_names_, _ = place_texts(
                ax, centres, [str(name) for name in classes], [contrast] * n_classes,
                centres - both.mean(axis=0), over=True, fontweight="bold", fontsize="small",
                bbox={"facecolor": ax.get_facecolor(), "alpha": 0.7, "edgecolor": "none", "pad": 1},
            )  # fmt: skip


def _is_pair(labels: LabelsLike) -> bool:
    """Return whether these are (labels_x, labels_y), rather than a tuple of labels."""
    return isinstance(labels, tuple) and len(labels) == 2 and all(map(has_entries, labels))
