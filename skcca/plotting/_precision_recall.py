"""Precision of cross-modal retrieval against recall."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca._core.warnings import muted
from skcca.metrics import mean_average_precision_score, retrieval_precision_recall
from skcca.plotting._canvas import add_legend, axes_for, check_canvas, contrast_colour
from skcca.plotting._checks import check_finite_numbers, embed_search, model_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["PrecisionRecallDisplay"]
_NAME = "PrecisionRecallDisplay"


@dataclass(repr=False, eq=False)
class PrecisionRecallDisplay:
    """Show the precision of cross-modal retrieval against recall.

    Use `from_estimator` or `from_predictions`, which compute what the constructor takes. Several
    models on one axes are compared by giving each the `ax_` of the one before.

    Parameters
    ----------
    precision : ndarray of shape (n_points,)
        Mean share of relevant items among those shown.
    recall : ndarray of shape (n_points,)
        Mean share of all relevant items that are shown.
    mean_average_precision : float, default=None
        MAP, for the legend.
    chance_level : float, default=None
        Precision of a random ranking.
    name : str, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes and figure of the picture. These and what follows are defined once it is drawn.
    line_ : matplotlib Line2D
        The curve.
    chance_level_ : matplotlib Line2D or None
        The line at the chance level, which models that share it share; None where it was not asked
        for.
    legend_ : matplotlib Legend or None
        Legend of all curves of the axes.

    See Also
    --------
    skcca.metrics.retrieval_precision_recall : The numbers.
    RankingDisplay : Ranked lists of single queries.

    Notes
    -----
    Precision and recall are means over the queries after 1, 2, ... items. The chance level is the
    precision of the whole gallery, which is `skcca.metrics.chance_map` where every query has a
    relevant item. Queries and items whose label is missing are left out, with a warning that counts
    them.

    Examples
    --------
    >>> from skcca import CCA, ClusterCCA
    >>> from skcca.datasets import load_digit_halves
    >>> from skcca.plotting import PrecisionRecallDisplay
    >>> digits = load_digit_halves()
    >>> train, test = slice(0, 1000), slice(1000, 1300)
    >>> X, Y, labels = digits.x, digits.y, digits.labels
    >>> ax = None
    >>> for model in (ClusterCCA(reg=0.1), CCA(5, reg=0.1)):
    ...     _ = model.fit(X[train], Y[train], labels[train])
    ...     display = PrecisionRecallDisplay.from_estimator(
    ...         model, X[test], Y[test], labels=labels[test], ax=ax
    ...     )
    ...     ax = display.ax_
    >>> for text in display.legend_.get_texts():
    ...     print(text.get_text())
    ClusterCCA (MAP = 0.57)
    CCA (MAP = 0.41)
    Chance (0.10)
    >>> display.figure_.savefig("precision_recall.png")  # doctest: +SKIP
    """

    precision: np.ndarray
    recall: np.ndarray
    _: KW_ONLY
    mean_average_precision: float | None = None
    chance_level: float | None = None
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
        metric: str = "cosine",
        name: str | None = None,
        ax: Axes | None = None,
        plot_chance_level: bool = True,
        **kwargs: Any,
    ) -> PrecisionRecallDisplay:
        """Draw the curve of a fitted model.

        Parameters
        ----------
        estimator : fitted two-view transformer
        X : Views or array-like of shape (n_samples, n_features)
        y : array-like, default=None
            See `EmbeddingDisplay.from_estimator`.
        labels : array-like or tuple of two array-likes, default=None
            Classes or an indicator matrix, as for `skcca.retrieval_map`; a tuple labels the rows of
            two arrays that are not paired.
        direction : {"x_to_y", "y_to_x"}, default="x_to_y"
            View of the queries: the first, or the second.
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
            Similarity that orders the gallery.
        name : str, default=None
            Name of the curve in the legend; None is the class of the model.
        ax : matplotlib Axes, default=None
            Axes to draw on, which may hold other curves. None makes a new figure.
        plot_chance_level : bool, default=True
            Whether to draw the precision of a random ranking, where it is known and no line of the
            axes shows it.
        **kwargs : dict
            Look of the line, for matplotlib's ``Axes.plot``.

        Returns
        -------
        display : PrecisionRecallDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator does not project two views, or `ax` is no Axes.
        ValueError
            If labels or a view are missing, or an option is none of those above.
        """
        check_canvas(ax, _NAME)
        search = embed_search(estimator, X, y, labels, direction, _NAME)
        return cls.from_predictions(
            *search, metric=metric, name=model_name(estimator) if name is None else name, ax=ax,
            plot_chance_level=plot_chance_level, **kwargs,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        queries: ArrayLike,
        gallery: ArrayLike,
        query_labels: LabelsLike = None,
        gallery_labels: LabelsLike = None,
        *,
        metric: str = "cosine",
        exclude_self: bool = False,
        name: str | None = None,
        ax: Axes | None = None,
        plot_chance_level: bool = True,
        **kwargs: Any,
    ) -> PrecisionRecallDisplay:
        """Draw the curve of embedded queries and items.

        Parameters
        ----------
        queries : array-like of shape (n_queries, n_components)
        gallery : array-like of shape (n_gallery, n_components)
        query_labels : array-like of shape (n_queries,) or (n_queries, n_tags), default=None
        gallery_labels : array-like of shape (n_gallery,) or (n_gallery, n_tags), default=None
        metric : {"cosine", "correlation", "inner_product", "euclidean"}, default="cosine"
        exclude_self : bool, default=False
            See `skcca.metrics.retrieval_precision_recall`.
        name : str, default=None
        ax : matplotlib Axes, default=None
        plot_chance_level : bool, default=True
        **kwargs : dict
            See `from_estimator`; a `name` of None leaves the curve without one.

        Returns
        -------
        display : PrecisionRecallDisplay
            The display, drawn.
        """
        check_canvas(ax, _NAME)
        data = queries, gallery, query_labels, gallery_labels
        curve = retrieval_precision_recall(*data, metric=metric, exclude_self=exclude_self)
        # The curve has warned already of queries that are left out.
        with muted("mean_average_precision_score: "):
            score = mean_average_precision_score(*data, metric=metric, exclude_self=exclude_self)
        display = cls(
            curve.precision, curve.recall, mean_average_precision=score,
            chance_level=float(curve.precision[-1]), name=name,
        )  # fmt: skip
        return display.plot(ax=ax, plot_chance_level=plot_chance_level, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        name: str | None = None,
        plot_chance_level: bool = True,
        **kwargs: Any,
    ) -> PrecisionRecallDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
        plot_chance_level : bool, default=True
        **kwargs : dict
            See `from_estimator`; a `name` of None is that of the display.

        Returns
        -------
        display : PrecisionRecallDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        recall, precision = (
            check_finite_numbers(values, name, _NAME, ensure_all_finite="allow-nan")
            for name, values in (("recall", self.recall), ("precision", self.precision))
        )
        self.ax_ = ax = axes_for(ax, (6, 4.5))
        self.figure_ = ax.figure
        label = self.name if name is None else name
        if self.mean_average_precision is not None:
            score = f"MAP = {self.mean_average_precision:.2f}"
            label = score if label is None else f"{label} ({score})"
        (self.line_,) = ax.plot(recall, precision, **({"label": label} | kwargs))
        self.chance_level_ = None
        if plot_chance_level and self.chance_level is not None and np.isfinite(self.chance_level):
            self.chance_level_ = _line_at(ax, self.chance_level) or ax.axhline(
                self.chance_level, color=contrast_colour(ax), linestyle="--", linewidth=1,
                label=f"Chance ({self.chance_level:.2f})",
            )  # fmt: skip
        ax.set(xlabel="Recall", ylabel="Precision", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        handles = ax.get_legend_handles_labels()[0]
        # The chance level stands last in the legend.
        handles.sort(key=lambda handle: handle is self.chance_level_)
        self.legend_ = add_legend(ax, handles) if handles else None
        return self


def _line_at(ax: Axes, level: float) -> Line2D | None:
    """Return the line across the axes at this height, if there is one."""
    for line in ax.lines:
        heights = np.asarray(line.get_ydata())
        across = heights.shape == (2,) and line.get_transform() == ax.get_yaxis_transform()
        if across and np.allclose(heights, level, rtol=0, atol=1e-9):
            return line
    return None
