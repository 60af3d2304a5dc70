"""Loadings of the features on two components, in the circle of correlations."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._base import TwoViewTransformer
from skcca._core.types import Estimator
from skcca.inspection import StabilityResult
from skcca.plotting._canvas import (
    LINE,
    ORANGE,
    VERMILLION,
    axes_for,
    check_canvas,
    contrast_colour,
    draw_layout,
    legend_above,
)
from skcca.plotting._checks import (
    check_count,
    check_finite_numbers,
    check_two_components,
    check_view_names,
    pair_of_names,
)
from skcca.plotting._texts import place_texts
from skcca.views._projection import final_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LoadingsDisplay"]
_NAME = "LoadingsDisplay"
_VIEWS = ("both", "x", "y")
_MARKERS = {"x": "o", "y": "^"}


@dataclass(repr=False, eq=False)
class LoadingsDisplay:
    """Show the loadings of the features of both views on two components.

    Use `from_estimator`, which reads what the constructor takes. A feature stands at its
    correlations with the two variates of its view, so that it lies within the unit circle, and
    nearer to the circle the more of it the two components explain: half-way, at the dashed circle,
    a quarter of its variance. Features of the two views that lie in the same direction go together,
    and those in opposite directions against each other.

    Parameters
    ----------
    x_loadings : ndarray of shape (n_features, n_components) or None
    y_loadings : ndarray of shape (n_features_y, n_components) or None
        Loadings of the first and of the second view; None leaves a view out.
    components : tuple of two ints, default=(0, 1)
        Components that span the picture.
    n_features : int, default=15
        Number of features, of both views together, that get an arrow and a name: those whose
        loadings on the two components have the largest sum of squares.
    selected : tuple of two arrays of bool, or StabilityResult, default=None
        Features of both views that may get an arrow and a name, one of them may be None for all
        features of its view. Of shape (n_features,), or (n_features, n_components) as the
        `x_selected_` of a sparse model: then those selected in either component. What
        `skcca.inspection.stability_selection` returned has both. None is all.
    feature_names : tuple of two sequences of str, default=None
        Names of the features of both views; None names them x0, x1, ... and y0, y1, ...
    view_names : tuple of two str, default=("First view", "Second view")
        Names of the views in the legend.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes and figure of the picture. These and what follows are defined once it is drawn.
    points_ : dict of matplotlib PathCollection
        The features of the view "x", and of the view "y".
    arrows_ : matplotlib LineCollection
        Lines from the centre to the features that should have a name, the largest first.
    texts_ : list of matplotlib Annotation
        The names.
    n_left_out_ : int
        Number of names for which there was no room, as written in the picture.
    legend_ : matplotlib Legend
        Legend of the views.

    See Also
    --------
    skcca.inspection.report : The loadings as a table.
    skcca.inspection.bootstrap_loadings : Confidence intervals of loadings.
    EmbeddingDisplay : The rows in the same plane.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skcca import CCA
    >>> from skcca.plotting import LoadingsDisplay
    >>> data = load_linnerud(as_frame=True)
    >>> model = CCA(2).fit(data.data, data.target)
    >>> display = LoadingsDisplay.from_estimator(model)
    >>> sorted(text.get_text() for text in display.texts_)
    ['Chins', 'Jumps', 'Pulse', 'Situps', 'Waist', 'Weight']
    >>> display.figure_.savefig("loadings.png")  # doctest: +SKIP
    """

    x_loadings: np.ndarray | None
    y_loadings: np.ndarray | None
    _: KW_ONLY
    components: tuple[int, int] = (0, 1)
    n_features: int = 15
    selected: Any = None
    feature_names: Any = None
    view_names: tuple[str, str] = ("First view", "Second view")
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        components: tuple[int, int] = (0, 1),
        *,
        view: str = "both",
        n_features: int = 15,
        selected: Any = None,
        feature_names: Any = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> LoadingsDisplay:
        """Draw the loadings of a fitted model.

        Parameters
        ----------
        estimator : fitted model of skcca
            Alone, at the end of a pipeline, in a search or frozen.
        components : tuple of two ints, default=(0, 1)
            See `LoadingsDisplay`.
        view : {"both", "x", "y"}, default="both"
            Views whose features are drawn: both, the first or the second.
        n_features : int, default=15
            See `LoadingsDisplay`.
        selected : tuple of two arrays of bool, or StabilityResult, default=None
            See `LoadingsDisplay`; None takes those that a sparse model has selected, else all.
        feature_names : tuple of two sequences of str, default=None
            Names of the features of both views, one of them may be None; None takes those that the
            model saw in `fit`, else x0, x1, ... and y0, y1, ...
        name : str, default=None
        ax : matplotlib Axes, default=None
        **kwargs : dict
            See `EmbeddingDisplay.from_estimator`.

        Returns
        -------
        display : LoadingsDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the model has no loadings, or `ax` is no Axes.
        ValueError
            If it is not fitted, there are no such components, names do not fit the features, or an
            option is none of those above.
        """
        check_canvas(ax, _NAME)
        if view not in _VIEWS:
            raise ValueError(f"{_NAME}: `view` is {view!r}; expected one of {_VIEWS}.")
        model = final_model(estimator)
        check_is_fitted(model)
        if selected is None and hasattr(model, "x_selected_"):
            selected = (model.x_selected_, model.y_selected_)
        x_names, y_names = pair_of_names(feature_names, _NAME)
        if x_names is None:
            x_names = getattr(model, "feature_names_in_", None)
        if y_names is None:
            y_names = getattr(model, "feature_names_y_in_", None)
        display = cls(
            _loadings_of(model, "x_loadings_") if view != "y" else None,
            _loadings_of(model, "y_loadings_") if view != "x" else None,
            components=components, n_features=n_features, selected=selected,
            feature_names=(x_names, y_names),
            view_names=getattr(model, "view_names_in_", ("First view", "Second view")),
            name=type(model).__name__ if name is None else name,
        )  # fmt: skip
        return display.plot(ax=ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> LoadingsDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
        **kwargs : dict
            See `from_estimator`; a `name` of None is that of the display.

        Returns
        -------
        display : LoadingsDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        check_count(self.n_features, "n_features", "how many features to name", _NAME, 0)
        view_names = dict(zip("xy", check_view_names(self.view_names, _NAME), strict=True))
        points, names, of_view, candidates = self._points()
        importance = np.where(candidates, np.linalg.norm(points, axis=1), -1.0)
        n_named = min(self.n_features, np.count_nonzero(candidates))
        largest = np.argsort(-importance, kind="stable")[:n_named]
        is_named = np.isin(np.arange(len(points)), largest)
        self.ax_ = ax = axes_for(ax, (6, 6))
        self.figure_ = ax.figure
        contrast = contrast_colour(ax)
        colours = {"x": LINE[contrast], "y": VERMILLION if contrast == "black" else ORANGE}
        _draw_circles(ax, contrast)
        self.points_ = {}
        for side in np.unique(of_view):
            of_side = of_view == side
            small = 16 if np.count_nonzero(of_side) <= 100 else 6
            look: dict[str, Any] = {
                "s": np.where(is_named[of_side], 26, small), "alpha": 0.8, "linewidths": 0,
                "zorder": 2, "c": colours[side], "marker": _MARKERS[side],
                "label": view_names[side],
            }  # fmt: skip
            self.points_[str(side)] = ax.scatter(*points[of_side].T, **(look | kwargs))
        x, y = self.components
        ax.set(xlabel=f"Loading on component {x}", ylabel=f"Loading on component {y}")
        handles = list(self.points_.values())
        self.legend_ = legend_above(ax, handles, self.name if name is None else name)
        self._name_features(ax, points, largest, names, [colours[side] for side in of_view])
        return self

    def _name_features(
        self,
        ax: Axes,
        points: np.ndarray,
        largest: np.ndarray,
        names: list[str],
        colours: list[str],
    ) -> None:
        """Draw arrows to the largest features, and write their names where there is room."""
        from matplotlib.collections import LineCollection

        ends, of_ends = points[largest], [colours[i] for i in largest]
        lines = list(np.stack([np.zeros_like(ends), ends], axis=1))
        colour = of_ends or "none"
        arrows = LineCollection(lines, colors=colour, linewidths=0.8, alpha=0.7, zorder=1.5)
        self.arrows_ = ax.add_collection(arrows, autolim=False)
        draw_layout(ax)
        largest_names = [names[i] for i in largest]
        self.texts_, placed = place_texts(
            ax, ends, largest_names, of_ends, ends, others=points, dot_radius=2.0, fontsize="small"
        )
        self.n_left_out_ = int(np.count_nonzero(~placed))
        if self.n_left_out_:
            note = f"no room for {self.n_left_out_} name{'s' * (self.n_left_out_ > 1)}"
            look: dict[str, Any] = {
                "fontsize": "x-small",
                "color": contrast_colour(ax),
                "alpha": 0.8,
            }
            ax.text(0.01, 0.01, note, transform=ax.transAxes, **look)

    def _points(self) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
        """Return points (n, 2), names and views of all features, and which may be named."""
        points, names, of_view, candidates = [], [], [], []
        x_names, y_names = pair_of_names(self.feature_names, _NAME)
        x_selected, y_selected = (None, None) if self.selected is None else self._pair_of_masks()
        views = (
            ("x", self.x_loadings, x_names, x_selected),
            ("y", self.y_loadings, y_names, y_selected),
        )
        for side, loadings, view_names, selected in views:
            if loadings is None:
                continue
            loadings = check_finite_numbers(loadings, f"{side}_loadings", _NAME)
            if loadings.ndim != 2:
                raise ValueError(
                    f"{_NAME}: `{side}_loadings` has shape {loadings.shape}; expected (n_features, "
                    "n_components)."
                )
            pair = check_two_components(self.components, loadings.shape[1], _NAME)
            if view_names is None:
                view_names = [f"{side}{i}" for i in range(len(loadings))]
            if len(view_names) != len(loadings):
                raise ValueError(
                    f"{_NAME}: `feature_names` has {len(view_names)} names for the {len(loadings)} "
                    f"features of the {'first' if side == 'x' else 'second'} view."
                )
            points.append(loadings[:, list(pair)])
            candidates.append(_of_pair(selected, loadings, pair))
            names += [str(name) for name in view_names]
            of_view += [side] * len(loadings)
        if not points:
            raise ValueError(f"{_NAME}: `x_loadings` and `y_loadings` are both None; give one.")
        if not of_view:
            raise ValueError(f"{_NAME}: there is no feature to draw; the loadings have 0 rows.")
        return np.concatenate(points), names, np.array(of_view), np.concatenate(candidates)

    def _pair_of_masks(self) -> tuple[Any, Any]:
        if isinstance(self.selected, StabilityResult):
            return self.selected.x.selected, self.selected.y.selected
        if not isinstance(self.selected, (tuple, list)) or len(self.selected) != 2:
            raise ValueError(
                f"{_NAME}: `selected` must be a pair, features of the first and of the second "
                f"view; got {self.selected!r:.80}."
            )
        return self.selected[0], self.selected[1]


def _of_pair(selected: Any, loadings: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    """Return the mask (n_features,) of the features that are selected in either component."""
    if selected is None:
        return np.ones(len(loadings), dtype=bool)
    mask = np.asarray(selected)
    if mask.dtype != bool or mask.shape not in (loadings.shape, loadings.shape[:1]):
        raise ValueError(
            f"{_NAME}: `selected` holds an array of shape {mask.shape}, dtype {mask.dtype}; "
            f"expected a bool for each of {len(loadings)} features, or for each of these and each "
            f"of {loadings.shape[1]} components."
        )
    either: np.ndarray = mask if mask.ndim == 1 else mask[:, pair[0]] | mask[:, pair[1]]
    return either


def _draw_circles(ax: Axes, contrast: str) -> None:
    """Draw the circles of correlations 1 and .5 and the axes, with room for names around."""
    angle = np.linspace(0, 2 * np.pi, 361)
    circle = np.array([np.cos(angle), np.sin(angle)])
    ax.plot(*circle, color=contrast, linewidth=0.8, zorder=1)
    ax.plot(*circle / 2, color=contrast, linewidth=0.6, alpha=0.6, linestyle="--", zorder=1)
    ax.axhline(0, color=contrast, linewidth=0.5, alpha=0.5, zorder=1)
    ax.axvline(0, color=contrast, linewidth=0.5, alpha=0.5, zorder=1)
    ax.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
    ax.set_xticks([-1, -0.5, 0, 0.5, 1])
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])


def _loadings_of(model: Estimator, name: str) -> np.ndarray:
    """Return the loadings of one view, after checking that the model has them."""
    loadings = getattr(model, name, None)
    # PLSCanonical of scikit-learn has attributes of this name that are no correlations.
    if not isinstance(model, TwoViewTransformer) or loadings is None:
        raise TypeError(
            f"{_NAME}: this {type(model).__name__} has no loadings, correlations of features with "
            "variates; expected a fitted model of skcca, such as CCA."
        )
    return np.asarray(loadings)
