"""Features that a sparse model selects again and again, on complementary halves of the rows.

    p_f = share of the 2 B halves of B random splits in which feature f is selected
    E   <= q^2 / ((2 t - 1) p)               whatever the model is
    E   <= C(t, B) q^2 / p                   if p_f has a unimodal distribution

with t the threshold on p_f, q the mean number of features that are selected of the p that vary, and
E the expected number of features over the threshold whose probability to be selected is q / p or
less, which is that of a random choice. Features that never vary are no choice: with them q / p
would lie below the chance of all others, and the bound would speak of nothing.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core import compat as _compat
from skcca._core.compat import StrOptions, rng_from, validate_parameter_constraints
from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike, ViewLike
from skcca._core.whitening import NoDirectionError
from skcca.inspection._refits import drawn_groups, match_components, refit, unit_variates
from skcca.model_selection._folds import groups_for_fit

__all__ = ["FeatureStability", "StabilityResult", "stability_selection"]

Array = np.ndarray
_NAME = "stability_selection"
_CONSTRAINTS: dict = {
    "threshold": [_compat.Interval(Real, 0.5, 1, closed="right"), None],
    "max_false": [_compat.Interval(Real, 0, None, closed="neither")],
    "assumption": [StrOptions({"unimodal", "none"})],
    "n_splits": [_compat.Interval(Integral, 1, None, closed="left")],
    "n_jobs": [Integral, None],
    "random_state": ["random_state", np.random.Generator],
    "verbose": ["verbose"],
}


class FeatureStability(NamedTuple):
    """How often each feature of one view is selected, and which are selected often enough."""

    probabilities: Array  # (n_features, n_components), in [0, 1]
    selected: Array  # (n_features, n_components), bool
    thresholds: Array  # (n_components,); above 1 where no threshold keeps `max_false`
    n_selected: Array  # (n_components,), the mean over the halves
    max_false: Array  # (n_components,), bound of the expected number of false selections


class StabilityResult(NamedTuple):
    """Selection of the features of both views."""

    x: FeatureStability
    y: FeatureStability


def stability_selection(
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike = None,
    labels: LabelsLike = None,
    *,
    threshold: float | None = None,
    max_false: float = 1.0,
    assumption: str = "unimodal",
    n_splits: int = 50,
    groups: ArrayLike = None,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
    verbose: int = 0,
) -> StabilityResult:
    r"""Tell which features a sparse model selects whatever half of the rows it sees.

    The rows are split into two halves at random, many times, and the estimator is fitted to both
    halves of each split: complementary pairs stability selection [1]_. Components come back in
    another order, and are matched to those of all rows as in `bootstrap_loadings`. With
    :math:`\hat p_f` the share of halves in which feature f is selected, q the mean number of
    features of a component that are selected of the p that vary, t the threshold and B the number
    of splits, the expected number of selected features that are no likelier to be selected than by
    chance is

    .. math:: E \le \frac{q^2}{(2 t - 1) p}, \quad\text{or}\quad E \le C(t, B) \frac{q^2}{p},

    .. math:: C(t, B) = \frac{1}{2 (2 t - 1 - 1 / 2B)} \; (t \le 3/4), \quad
              \frac{4 (1 - t + 1 / 2B)}{1 + 1 / B} \; (t > 3/4),

    the second, which is smaller, if :math:`\hat p_f` has a unimodal distribution and
    :math:`q / p \le 1 / \sqrt 3` (Theorems 1 and 2 of [1]_).

    Parameters
    ----------
    estimator : two-view estimator of this library
        One that selects features, such as `SparseCCA`. It is cloned, not fitted. Its penalties
        decide how many features are selected in a half, hence the bound.
    X : array-like of shape (n_samples, n_features) or Views
        First view, or both views.
    y : array-like of shape (n_samples, n_features_y), default=None
        Second view; labels beside a `Views`.
    labels : array-like or tuple of two array-likes, default=None
        Labels, as in `fit`. Rows of unpaired views, ``(labels_x, labels_y)``, are drawn for each
        view.
    threshold : float, default=None
        Share of the halves in which a feature must be selected, in (.5, 1]. None takes for each
        view and component the smallest one whose bound is at most `max_false`.
    max_false : float, default=1.0
        Bound that a threshold of None keeps, in features of one view and component.
    assumption : {"unimodal", "none"}, default="unimodal"
        Assumption that the bound makes. "unimodal" is seldom wrong, and allows for smaller
        thresholds.
    n_splits : int, default=50
        Number of splits, two fits each.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, a subject or a recording: whole groups are drawn.
    n_jobs : int, default=None
        Number of parallel fits; None is 1, -1 all processors.
    random_state : int, RandomState, Generator or None, default=None
        Draws the halves; the result does not depend on `n_jobs`.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    result : StabilityResult
        ``result.x`` and ``result.y`` hold ``probabilities``, the mask ``selected``, both of shape
        (n_features, n_components), and for each component ``thresholds``, ``n_selected`` (mean
        number of a half) and ``max_false`` (the bound at its threshold). Where no threshold keeps
        `max_false`, nothing is selected and the threshold is above 1.

    Raises
    ------
    TypeError
        If `estimator` is no two-view estimator of this library, or selects no features.
    ValueError
        If there are fewer than 4 rows or groups, or the data do not fit `fit`.

    See Also
    --------
    skcca.plotting.StabilityDisplay : The probabilities as a picture.
    bootstrap_loadings : Intervals of the loadings of models that use all features.

    Notes
    -----
    The bound counts features that are selected no more often than a feature drawn at random. It
    says nothing of a feature that goes along with a relevant one, which is selected instead of it
    and is not false by this definition.

    A half in which fewer components are found, or none, selects no feature of those that it lacks.
    Of several components, the match to those of all rows makes the halves depend on one another a
    little, which the theorems leave aside.

    References
    ----------
    .. [1] R. D. Shah and R. J. Samworth (2013). Variable selection with error control: another look
       at stability selection. Journal of the Royal Statistical Society B 75, 55-80.
       :doi:`10.1111/j.1467-9868.2011.01034.x`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import SparseCCA
    >>> from skcca.inspection import stability_selection
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(120, 1))
    >>> X, Y = rng.normal(size=(120, 60)), rng.normal(size=(120, 50))
    >>> X[:, :4] += shared
    >>> Y[:, :3] += shared
    >>> model = SparseCCA(x_penalty=0.25, y_penalty=0.25)
    >>> result = stability_selection(model, X, Y, random_state=0)
    >>> np.flatnonzero(result.x.selected[:, 0]), np.flatnonzero(result.y.selected[:, 0])
    (array([0, 1, 2, 3]), array([0, 1, 2]))
    """
    validate_parameter_constraints(_CONSTRAINTS, locals(), caller_name=_NAME)
    if not isinstance(estimator, TwoViewTransformer):
        raise TypeError(
            f"{_NAME} takes two-view estimators that select features, such as SparseCCA; got "
            f"{type(estimator).__name__}. Of a pipeline, transform the views with its earlier "
            "steps and pass the last."
        )
    of_groups = {} if groups is None else groups_for_fit(estimator, groups)
    reference = clone(estimator).fit(X, y, labels=labels, **of_groups)
    if not hasattr(reference, "x_selected_"):
        raise TypeError(
            f"{_NAME}: {type(estimator).__name__} uses all features, and there is nothing to "
            "select; take SparseCCA or SparseClusterCCA, or bootstrap_loadings for intervals of "
            "loadings."
        )
    variates = unit_variates(reference, X, y, _NAME)
    codes = drawn_groups(_NAME, X, y, labels, groups, [len(Z) for Z in variates])
    for of_rows in codes:
        if of_rows.max() < 3:
            raise ValueError(
                f"{_NAME}: {of_rows.max() + 1} rows or groups cannot be split into halves of two; "
                "give 4 at least."
            )
    # A narrow integer of NumPy would overflow below.
    n_splits = int(n_splits)
    seeds = rng_from(random_state).integers(2**63, size=n_splits)
    nothing = [np.zeros_like(reference.x_selected_), np.zeros_like(reference.y_selected_)]
    tasks = [
        (estimator, X, y, labels, of_groups, codes, variates, nothing, seed, half)
        for seed in seeds
        for half in (0, 1)
    ]
    halves = parallel_map(_selected_in_half, tasks, label=_NAME, n_jobs=n_jobs, verbose=verbose)
    views = (np.mean(masks, axis=0) for masks in zip(*halves, strict=True))
    n_varying = [int(np.count_nonzero(std)) for std in (reference.x_std_, reference.y_std_)]
    return StabilityResult(
        *(
            _of_view(p, n, threshold, max_false, assumption, n_splits)
            for p, n in zip(views, n_varying, strict=True)
        )
    )


def _selected_in_half(
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike,
    labels: LabelsLike,
    of_groups: dict[str, ArrayLike],
    codes: list[Array],
    variates: list[Array],
    nothing: list[Array],
    seed: int,
    half: int,
) -> list[Array]:
    """Return the features of both views that are selected in one half of one split."""
    # Both halves of a split draw the same numbers.
    rng = np.random.default_rng(seed)
    weights = []
    for groups in codes:
        n_groups = int(groups.max()) + 1
        in_second = rng.permutation(n_groups) >= n_groups // 2
        weights.append((in_second == half)[groups].astype(float))
    sample_weight = tuple(weights) if len(weights) == 2 else weights[0]
    found = [mask.copy() for mask in nothing]
    try:
        model = refit(_NAME, estimator, X, y, labels, sample_weight, of_groups)
    except ValueError as error:
        # Such as a half whose features go together with other signs than those asked for.
        if isinstance(error.__cause__, NoDirectionError):
            return found
        raise
    components, matches, _ = match_components(variates, unit_variates(model, X, y, _NAME))
    for selected, mask in zip(found, (model.x_selected_, model.y_selected_), strict=True):
        selected[:, components] = mask[:, matches]
    return found


def _of_view(
    probabilities: Array,
    n_features: int,
    threshold: float | None,
    max_false: float,
    assumption: str,
    n_splits: int,
) -> FeatureStability:
    """Return the selection of the features of one view, of which `n_features` vary."""
    n_selected = probabilities.sum(axis=0)
    # The shares that are possible, from one half on.
    possible = np.arange(n_splits + 1, 2 * n_splits + 1) / (2 * n_splits)
    if threshold is None:
        bounds = np.array(
            [false_selections(t, n_selected, n_features, n_splits, assumption) for t in possible]
        )
        kept = bounds <= max_false
        # No share exceeds 1, so that a threshold above it selects nothing.
        thresholds = np.where(kept.any(axis=0), possible[kept.argmax(axis=0)], np.inf)
    else:
        thresholds = np.full(len(n_selected), float(threshold))
    expected = np.array(
        [
            false_selections(t, q, n_features, n_splits, assumption) if np.isfinite(t) else 0.0
            for t, q in zip(thresholds, n_selected, strict=True)
        ]
    )
    selected = probabilities >= thresholds - 1e-12
    return FeatureStability(probabilities, selected, thresholds, n_selected, expected)


def false_selections(
    threshold: float, n_selected: Array, n_features: int, n_splits: int, assumption: str
) -> Array:
    """Return the bound of the expected number of false selections, at the head of this file."""
    squares = np.square(n_selected) / n_features
    margin = 2 * threshold - 1
    anyhow = squares / margin if margin > 0 else np.where(squares > 0, np.inf, 0.0)
    share, step = np.divide(n_selected, n_features), 1 / (2 * n_splits)
    least = np.minimum(0.5 + share**2, 0.5 + step + 0.75 * share**2)
    if assumption == "none":
        return anyhow
    if threshold <= 0.75:
        factor = 1 / (2 * (margin - step)) if margin > step else np.inf
    else:
        factor = 4 * (1 - threshold + step) / (1 + 2 * step)
    holds = (share <= 3**-0.5) & (threshold > least)
    return np.where(holds, np.minimum(anyhow, factor * squares), anyhow)
