"""How often a sparse model selects each feature on halves of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcca.inspection import FeatureStability, StabilityResult
from skcca.plotting._canvas import LINE, ORANGE, VERMILLION, check_canvas, contrast_colour
from skcca.plotting._checks import check_count, check_feature_names, check_view_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["StabilityDisplay"]
_NAME = "StabilityDisplay"


@dataclass(repr=False, eq=False)
class StabilityDisplay:
    """Show how often each feature is selected on halves of the rows, most often first.

    Features of the first view are drawn on the left and those of the second on the right, with a
    line at the threshold of each. Those over it are named in full colour.

    Parameters
    ----------
    result : StabilityResult
        What `skcca.inspection.stability_selection` returned.
    component : int, default=0
        Component whose features are drawn.
    n_features : int, default=20
        Number of features of each view that are drawn at most, those that are selected most often.
    feature_names : tuple of two sequences of str, default=None
        Names of the features of both views; None names them x0, x1, ... and y0, y1, ...
    view_names : tuple of two str, default=("First view", "Second view")
        Names of the views, for the titles.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
    figure_ : matplotlib Figure
        Axes of both views and their figure. These and what follows are defined once it is drawn.
    bars_ : list of two matplotlib BarContainer
        The shares of both views.
    lines_ : list of two matplotlib Line2D
        The thresholds.

    See Also
    --------
    skcca.inspection.stability_selection : The shares.
    LoadingsDisplay : How features correlate with the variates.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import SparseCCA
    >>> from skcca.inspection import stability_selection
    >>> from skcca.plotting import StabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(100, 30)), rng.normal(size=(100, 20))
    >>> X[:, :2] = Y[:, :2] + 0.5 * X[:, :2]
    >>> model = SparseCCA(x_penalty=0.3, y_penalty=0.3)
    >>> result = stability_selection(model, X, Y, n_splits=10, random_state=0)
    >>> display = StabilityDisplay(result, n_features=5).plot()
    >>> [len(bars) for bars in display.bars_]
    [5, 5]
    >>> display.figure_.savefig("stability.png")  # doctest: +SKIP
    """

    result: StabilityResult
    _: KW_ONLY
    component: int = 0
    n_features: int = 20
    feature_names: Any = None
    view_names: tuple[str, str] = ("First view", "Second view")

    def plot(self, axes: Sequence[Axes] | None = None, **kwargs: Any) -> StabilityDisplay:
        """Draw on two given axes, or on a new figure.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
        **kwargs : dict
            Settings of the bars, as of ``Axes.barh``.

        Returns
        -------
        display : StabilityDisplay
            This object, whose `axes_` and `figure_` may be adjusted further.

        Raises
        ------
        TypeError
            If `result` is none of `stability_selection`, or `axes` holds no Axes.
        ValueError
            If there is no such component, or names do not fit the features.
        """
        check_canvas(None, _NAME)
        if not isinstance(self.result, StabilityResult):
            raise TypeError(
                f"{_NAME}: `result` is a {type(self.result).__name__}; expected what "
                "skcca.inspection.stability_selection returns."
            )
        n_components = self.result.x.probabilities.shape[1]
        check_count(
            self.component, "component", "the number of a component", _NAME, 0, n_components - 1
        )
        check_count(self.n_features, "n_features", "how many features to draw", _NAME, 1)
        names = check_feature_names(
            self.feature_names, [len(view.probabilities) for view in self.result], _NAME
        )
        view_names = check_view_names(self.view_names, _NAME)
        n_drawn = max(min(self.n_features, len(view.probabilities)) for view in self.result)
        self.axes_ = _two_axes(axes, n_drawn)
        self.figure_ = self.axes_[0].figure
        drawn = zip(self.axes_, self.result, names, view_names, (0, 1), strict=True)
        parts = [self._draw(*view, **kwargs) for view in drawn]
        self.bars_, self.lines_ = ([part[i] for part in parts] for i in (0, 1))
        return self

    def _draw(
        self,
        ax: Axes,
        view: FeatureStability,
        names: Sequence[str],
        view_name: str,
        side: int,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Draw the features of one view, and return its bars and the line of its threshold."""
        shares, selected = (part[:, self.component] for part in (view.probabilities, view.selected))
        most = np.argsort(-shares, kind="stable")[: self.n_features]
        contrast = contrast_colour(ax)
        colour = (LINE[contrast], VERMILLION if contrast == "black" else ORANGE)[side]
        places = np.arange(len(most))
        look: dict[str, Any] = {"color": colour, "height": 0.7}
        bars = ax.barh(places, shares[most], **(look | kwargs))
        for bar, is_selected in zip(bars, selected[most], strict=True):
            bar.set_alpha(1.0 if is_selected else 0.35)
        threshold = float(view.thresholds[self.component])
        line = ax.axvline(min(threshold, 1.05), color=contrast, linewidth=0.9, linestyle="--")
        line.set_visible(threshold <= 1)
        ax.set_yticks(places, [str(names[i]) for i in most], fontsize="small")
        ax.set(xlim=(0, 1.02), ylim=(len(most) - 0.4, -0.6), xlabel="Share of the halves")
        bound = f"expected to be false: at most {view.max_false[self.component]:.2g}"
        if threshold > 1:
            bound = "no threshold keeps the bound of false ones"
        ax.set_title(
            f"{view_name}: {int(selected.sum())} of {len(shares)} selected,\n{bound}",
            fontsize="medium",
        )
        return bars, line


def _two_axes(axes: Sequence[Axes] | None, n_drawn: int) -> np.ndarray:
    """Return the given two axes after checking them, or new ones with a line for each feature."""
    if axes is None:
        from matplotlib import pyplot as plt

        height = min(max(5.0, 1 + 0.2 * n_drawn), 100.0)
        return plt.subplots(1, 2, figsize=(9, height), layout="constrained")[1]
    given = np.asarray(axes, dtype=object).ravel()
    if len(given) != 2:
        raise TypeError(
            f"{_NAME}: `axes` holds {len(given)} objects; expected two matplotlib Axes."
        )
    for ax in given:
        check_canvas(ax, _NAME)
    return given
