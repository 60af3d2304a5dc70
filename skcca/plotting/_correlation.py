"""Canonical correlations of training rows, held-out rows and unrelated rows."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skcca._core.types import Estimator, LabelsLike, RandomStateLike, ViewLike
from skcca.cca import CCA
from skcca.inspection import permutation_test_correlations
from skcca.inspection._refits import (
    correlations_of,
    held_out_correlations,
    largest_of_unrelated_rows,
)
from skcca.model_selection._folds import PairedRows, Splitter
from skcca.plotting._canvas import (
    ORANGE,
    SKY,
    axes_for,
    check_canvas,
    contrast_colour,
    legend_above,
)
from skcca.plotting._checks import check_count, check_finite_numbers, model_name
from skcca.views._arguments import per_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CorrelationDisplay"]
_NAME = "CorrelationDisplay"


@dataclass(repr=False, eq=False)
class CorrelationDisplay:
    """Show canonical correlations of training rows, held-out rows and unrelated rows.

    Use `from_estimator`, which computes what the constructor takes.

    Parameters
    ----------
    correlations : ndarray of shape (n_components,)
        Correlations of the training variates.
    held_out : ndarray of shape (n_folds, n_components), default=None
        Correlations of the variates of held-out rows.
    null : ndarray of shape (n_permutations, n_components), default=None
        Correlations of views whose rows are unrelated.
    level : float, default=0.95
        Quantile of `null` that is drawn.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, matplotlib Figure
        Axes and figure of the picture. These and what follows are defined once it is drawn.
    bars_ : matplotlib BarContainer
        A bar for each training correlation.
    held_out_ : matplotlib ErrorbarContainer or None
        Means over the folds, and one standard error to either side.
    null_ : matplotlib StepPatch or None
        The quantile of `null`, over each bar.
    legend_ : matplotlib Legend
        Legend, above the axes.

    See Also
    --------
    skcca.inspection.permutation_test_correlations : P-values of the components.
    skcca.inspection.select_n_components : The number of components that hold.

    Notes
    -----
    The null of component k is the largest correlation that unrelated rows show once the components
    before it are removed, by `skcca.inspection.permutation_test_correlations`, for a `CCA` without
    a ridge. Other models are fitted anew on rows of the second view in random order, and the null
    of all components is that of the largest correlation, which is too strict for later ones and
    never too lenient.

    Components are counted in the order of `correlations_`, in every fold anew: where two
    correlations are close they may change places between folds.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import CCA
    >>> from skcca.plotting import CorrelationDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 200, 5))
    >>> Y[:, :2] += X[:, :2]
    >>> display = CorrelationDisplay.from_estimator(
    ...     CCA(), X, Y, n_permutations=100, random_state=0
    ... )
    >>> display.correlations.round(1)
    array([0.7, 0.7, 0.2, 0.1, 0. ])
    >>> display.held_out.mean(axis=0).round(1)
    array([ 0.6,  0.7,  0. , -0. , -0. ])
    >>> np.quantile(display.null, 0.95, axis=0).round(1)
    array([0.3, 0.3, 0.3, 0.2, 0.1])
    >>> display.figure_.savefig("correlations.png")  # doctest: +SKIP
    """

    correlations: np.ndarray
    _: KW_ONLY
    held_out: np.ndarray | None = None
    null: np.ndarray | None = None
    level: float = 0.95
    name: str | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: Estimator,
        X: ViewLike,
        y: ViewLike = None,
        *,
        labels: LabelsLike = None,
        cv: Splitter = 5,
        n_permutations: int = 0,
        n_jobs: int | None = None,
        random_state: RandomStateLike = None,
        verbose: int = 0,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> CorrelationDisplay:
        """Fit a model on all rows, on folds and on shuffled rows, and draw its correlations.

        Parameters
        ----------
        estimator : two-view estimator with `correlations_`, or a pipeline that ends in one
            It is cloned, not fitted; whether it is fitted does not matter.
        X : array-like of shape (n_samples, n_features) or Views
        y : array-like of shape (n_samples, n_features_y), default=None
        labels : array-like, default=None
        cv : int, splitter or iterable, default=5
            See `skcca.inspection.select_n_components`.
        n_permutations : int, default=0
            Number of random orders of the second view; 0 draws no null.
        n_jobs : int, default=None
        random_state : int, RandomState, Generator or None, default=None
        verbose : int, default=0
            See `skcca.inspection.bootstrap_loadings`; `random_state` draws the random orders.
        name : str, default=None
        ax : matplotlib Axes, default=None
            See `EmbeddingDisplay.from_estimator`.
        **kwargs : dict
            Look of the bars, for matplotlib's ``Axes.bar``.

        Returns
        -------
        display : CorrelationDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the model has no `correlations_`, or `ax` is no Axes.
        ValueError
            If rows do not match, a fold holds out fewer than 3 rows, or `n_permutations` is no
            number of them.
        """
        check_canvas(ax, _NAME)
        meaning = "a number of random orders of the rows"
        check_count(n_permutations, "n_permutations", meaning, _NAME, 0)
        rows = PairedRows.of(estimator, X, y, labels, _NAME)
        folds = rows.scored_folds(cv, _NAME)
        args, kw = rows.take(np.arange(rows.n), np.arange(rows.n))
        fitted = clone(estimator).fit(*args, **kw)
        correlations = correlations_of(fitted, _NAME)
        K = len(correlations)
        by_test = type(estimator) is CCA and set(per_view(estimator.reg)) == {0}
        settings: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose}
        held_out = held_out_correlations(estimator, rows, folds, K, _NAME, **settings)
        draws = settings | {"n_permutations": int(n_permutations), "random_state": random_state}
        null = None
        if n_permutations and by_test:
            result = permutation_test_correlations(estimator, *rows.views, statistic="roy", **draws)
            null = np.sqrt(result.null_distribution[:, :K])
        elif n_permutations:
            largest = largest_of_unrelated_rows(estimator, rows, _NAME, **draws)
            null = np.repeat(largest[:, None], K, axis=1)
        name = model_name(fitted) if name is None else name
        display = cls(correlations, held_out=held_out, null=null, name=name)
        return display.plot(ax=ax, **kwargs)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **kwargs: Any
    ) -> CorrelationDisplay:
        """Draw on the given axes, or on a new figure.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        name : str, default=None
        **kwargs : dict
            See `from_estimator`; a `name` of None is that of the display.

        Returns
        -------
        display : CorrelationDisplay
            This object, whose `ax_` and `figure_` may be adjusted further.
        """
        check_canvas(ax, _NAME)
        correlations = self._check_correlations()
        from matplotlib.ticker import MaxNLocator

        self.ax_ = ax = axes_for(ax, (6.5, 4))
        self.figure_ = ax.figure
        contrast = contrast_colour(ax)
        numbers = np.arange(len(correlations))
        borders = np.arange(len(correlations) + 1) - 0.5
        look: dict[str, Any] = {"width": 0.7, "color": SKY, "alpha": 0.7, "label": "Training"}
        self.bars_ = ax.bar(numbers, correlations, **(look | kwargs))
        self.null_ = self.held_out_ = None
        if self.null is not None:
            self.null_ = ax.stairs(
                np.quantile(self.null, self.level, axis=0), borders,
                baseline=None, color=contrast, linestyle="--", linewidth=1.2, zorder=2.5,
                label=f"Unrelated rows, {100 * self.level:g} %",
            )  # fmt: skip
        if self.held_out is not None:
            mean = self.held_out.mean(axis=0)
            n_folds = len(self.held_out)
            error = self.held_out.std(axis=0, ddof=1) / np.sqrt(n_folds) if n_folds > 1 else None
            self.held_out_ = ax.errorbar(
                numbers, mean, error, fmt="o", color=ORANGE, ecolor=contrast, elinewidth=1,
                markeredgecolor=contrast, markeredgewidth=0.6, zorder=3,
                markersize=5 if len(numbers) <= 40 else 3,
                label="Left out" + (" (± standard error)" if n_folds > 1 else ""),
            )  # fmt: skip
        ax.axhline(0, color=contrast, linewidth=0.8)
        low = min(ax.get_ylim()[0], 0.0)
        ax.set(xlabel="Component", ylabel="Correlation", ylim=(low, 1.02))
        ax.set_xlim(-0.6, len(numbers) - 0.4)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
        handles = [part for part in (self.bars_, self.held_out_, self.null_) if part is not None]
        self.legend_ = legend_above(ax, handles, self.name if name is None else name)
        return self

    def _check_correlations(self) -> np.ndarray:
        """Return the correlations after checking that all arrays and the level fit together."""
        correlations = check_finite_numbers(self.correlations, "correlations", _NAME)
        if correlations.ndim != 1 or not len(correlations):
            raise ValueError(
                f"{_NAME}: `correlations` has shape {correlations.shape}; expected one number for "
                "each component."
            )
        K = len(correlations)
        for name, value in (("held_out", self.held_out), ("null", self.null)):
            if value is not None and (np.ndim(value) != 2 or np.shape(value)[1] != K):
                raise ValueError(
                    f"{_NAME}: `{name}` has shape {np.shape(value)}; expected (n, {K}), a column "
                    "for each of `correlations`."
                )
        if not 0 < self.level < 1:
            raise ValueError(f"{_NAME}: `level` is {self.level!r}; expected a number in (0, 1).")
        return correlations
