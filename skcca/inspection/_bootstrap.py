"""Bootstrap intervals of loadings and canonical correlations."""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core import compat as _compat
from skcca._core.compat import StrOptions, rng_from, validate_parameter_constraints
from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike, ViewLike
from skcca._core.warnings import warn
from skcca.inspection._refits import drawn_groups, match_components, refit, unit_variates
from skcca.model_selection._folds import groups_for_fit

__all__ = ["BootstrapResult", "Interval", "bootstrap_loadings"]
Array = np.ndarray
_NAME = "bootstrap_loadings"

_CONSTRAINTS: dict = {
    "n_bootstraps": [_compat.Interval(Integral, 2, None, closed="left")],
    "confidence_level": [_compat.Interval(Real, 0, 1, closed="neither")],
    "method": [StrOptions({"percentile", "bias_corrected"})],
    "n_jobs": [Integral, None],
    "random_state": ["random_state", np.random.Generator],
    "verbose": ["verbose"],
}


class Interval(NamedTuple):
    """Estimates from all rows and their confidence intervals, arrays of one shape."""

    estimate: Array
    low: Array
    high: Array
    standard_error: Array
    distribution: Array  # (n_bootstraps, ...); nan where a resample lacks the component


class BootstrapResult(NamedTuple):
    """Intervals of the loadings and correlations of a two-view estimator."""

    x_loadings: Interval  # (n_features, n_components)
    y_loadings: Interval  # (n_features_y, n_components)
    correlations: Interval  # (n_components,)


def bootstrap_loadings(
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike = None,
    labels: LabelsLike = None,
    *,
    n_bootstraps: int = 1000,
    confidence_level: float = 0.95,
    method: str = "bias_corrected",
    groups: ArrayLike = None,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
    verbose: int = 0,
) -> BootstrapResult:
    r"""Estimate confidence intervals of loadings and correlations from resampled rows.

    Rows are drawn with replacement and the estimator is fitted again, many times. Components come
    back in another order and with other signs, so each resample's are matched to those of all rows:
    the assignment :math:`\pi` that maximises

    .. math:: \sum_k |c_{k \pi(k)}|, \quad
              c_{kl} = \mathrm{corr}(U_k, U^*_l) + \mathrm{corr}(V_k, V^*_l),

    U and V being the variates of all rows under the first fit, U* and V* under the other; the sign
    is that of c.

    Parameters
    ----------
    estimator : two-view estimator of this library
        `CCA`, `KCCA`, `DCCA` or one of their class-paired twins. It is cloned, not fitted.
    X : array-like of shape (n_samples, n_features) or Views
        First view, or both views.
    y : array-like of shape (n_samples, n_features_y), default=None
        Second view; labels beside a `Views`.
    labels : array-like or tuple of two array-likes, default=None
        Class or tag labels, as in `fit`. The rows of unpaired views, ``(labels_x, labels_y)``, are
        drawn independently.
    n_bootstraps : int, default=1000
        Number of resamples.
    confidence_level : float, default=0.95
        Probability with which an interval should cover, for each entry by itself.
    method : {"bias_corrected", "percentile"}, default="bias_corrected"
        "percentile" takes quantiles of the resamples; "bias_corrected" shifts them by the share of
        resamples below the estimate [1]_, or reflects them where it is near 0 or 1; see Notes.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, a subject or a recording: whole groups are drawn.
    n_jobs : int, default=None
        Number of parallel fits; None is 1, -1 all processors.
    random_state : int, RandomState, Generator or None, default=None
        Draws the rows; the result does not depend on `n_jobs`.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    result : BootstrapResult
        ``x_loadings``, ``y_loadings`` and ``correlations``, each with ``estimate``, ``low``,
        ``high``, ``standard_error`` and the ``distribution`` over resamples.

    Raises
    ------
    TypeError
        If `estimator` is no two-view estimator of this library.
    ValueError
        If `groups` does not fit the rows or holds a single group, or the data do not fit `fit`.

    Warns
    -----
    UserWarning
        If resamples support fewer components than all rows do.

    See Also
    --------
    permutation_test_correlations : Whether a component is there at all.

    Notes
    -----
    A resample is a fit with integer `sample_weight`, which equals repeated rows: nothing is copied.

    Correlations of a sample overstate those of the population, and those of a resample overstate
    them once more: percentile intervals of correlations lie too high, by much where rows are few
    for the number of features. Those of loadings hardly do. "bias_corrected" corrects this while
    resamples lie on both sides of the estimate; where nine in ten lie on one side, the quantiles
    are reflected about the estimate instead, and the interval may leave it out. With many features
    for the rows no bootstrap corrects enough: 95 % intervals of a first correlation of .6 held it
    in 93 % of data sets with 100 rows and 3 + 3 features, in 67 % with 10 + 10, and in 43 % with
    60 rows and 10 + 10; use the `score` of held-out rows there. Components of nearly equal
    correlation are not identified one by one, and their intervals are wide for that reason.

    References
    ----------
    .. [1] B. Efron and R. J. Tibshirani (1986). Bootstrap methods for standard errors, confidence
       intervals, and other measures of statistical accuracy. Statistical Science 1, 54-75.
       :doi:`10.1214/ss/1177013815`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import CCA
    >>> from skcca.inspection import bootstrap_loadings
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 200, 3))
    >>> Y[:, 0] += X[:, 0]
    >>> result = bootstrap_loadings(CCA(1), X, Y, n_bootstraps=200, random_state=0)
    >>> low, high = result.x_loadings.low[:, 0], result.x_loadings.high[:, 0]
    >>> (low > 0) | (high < 0)  # loadings that differ from zero
    array([ True, False, False])
    """
    validate_parameter_constraints(_CONSTRAINTS, locals(), caller_name=_NAME)
    if not isinstance(estimator, TwoViewTransformer):
        raise TypeError(
            f"{_NAME} takes CCA, KCCA, DCCA or their class-paired twins; got "
            f"{type(estimator).__name__}. Of a pipeline, transform the views with its earlier "
            "steps and pass the last."
        )
    of_groups = {} if groups is None else groups_for_fit(estimator, groups)
    reference = clone(estimator).fit(X, y, labels=labels, **of_groups)
    variates = unit_variates(reference, X, y, _NAME)
    codes = drawn_groups(_NAME, X, y, labels, groups, [len(Z) for Z in variates])
    seeds = rng_from(random_state).integers(2**63, size=n_bootstraps)
    tasks = [(estimator, X, y, labels, of_groups, codes, variates, seed) for seed in seeds]
    resamples = parallel_map(_resample, tasks, label=_NAME, n_jobs=n_jobs, verbose=verbose)
    estimates = (reference.x_loadings_, reference.y_loadings_, reference.correlations_)
    samples = [np.stack(part) for part in zip(*resamples, strict=True)]
    _warn_of_poor_resamples(reference.correlations_, samples[2])
    tail = (1 - confidence_level) / 2
    return BootstrapResult(
        *(_interval(e, s, tail, method) for e, s in zip(estimates, samples, strict=True))
    )


def _warn_of_poor_resamples(correlations: Array, sample: Array) -> None:
    """Warn of resamples that lack components or leave no freedom to their correlations."""
    n = len(sample)
    missing = np.count_nonzero(np.isnan(sample).any(axis=1))
    if missing:
        warn(
            f"{_NAME}: {missing} of {n} resamples support fewer than {len(correlations)} "
            "components; intervals of those that lack come from the other resamples. Set a smaller "
            "`n_components`."
        )
    perfect = np.count_nonzero(np.nanmax(sample, axis=1) > 1 - 1e-9)
    if perfect and correlations.max() <= 1 - 1e-9:
        warn(
            f"{_NAME}: in {perfect} of {n} resamples a correlation is 1: they hold about 63 % of "
            "the rows, too few for so many features, and their loadings mean nothing. Set `reg`, "
            "or use fewer features."
        )


def _resample(
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike,
    labels: LabelsLike,
    of_groups: dict[str, ArrayLike],
    codes: list[Array],
    variates: list[Array],
    seed: int,
) -> tuple[Array, Array, Array]:
    """Return the matched loadings and correlations of one resample."""
    rng = np.random.default_rng(seed)
    weights = []
    for groups in codes:
        n_groups = int(groups.max()) + 1
        drawn = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)
        weights.append(drawn[groups].astype(float))
    sample_weight = tuple(weights) if len(weights) == 2 else weights[0]
    model = refit(_NAME, estimator, X, y, labels, sample_weight, of_groups)
    components, matches, signs = match_components(variates, unit_variates(model, X, y, _NAME))

    def matched(values: Array, signs: Array | float) -> Array:
        # Components that the resample lacks stay nan.
        result = np.full((*values.shape[:-1], variates[0].shape[1]), np.nan)
        result[..., components] = values[..., matches] * signs
        return result

    x_loadings, y_loadings = (matched(L, signs) for L in (model.x_loadings_, model.y_loadings_))
    return x_loadings, y_loadings, matched(model.correlations_, 1.0)


def _interval(estimate: Array, sample: Array, tail: float, method: str) -> Interval:
    """Return the interval between quantiles of the sample, bias-corrected by that method."""
    levels = plain = np.array([tail, 1 - tail]).reshape(2, *[1] * estimate.ndim)
    one_sided = np.zeros(estimate.shape, dtype=bool)
    if method == "bias_corrected":
        # Half of those equal, as at a bound, count as below.
        below = np.nanmean((sample < estimate) + 0.5 * (sample == estimate), axis=0)
        n = len(sample)
        shift = ndtri(np.clip(below, 0.5 / n, 1 - 0.5 / n))
        levels = ndtr(2 * shift + ndtri(levels))
        # A bias beyond 1.3 standard errors sends both levels to one end of the sample. Reflected
        # about the estimate, the quantiles take off the bias themselves.
        one_sided = np.abs(below - 0.5) > 0.4
        levels = np.where(one_sided, plain, levels)
    levels = np.broadcast_to(levels, (2, *estimate.shape))
    # Quantiles by linear interpolation at levels of their own for each entry; nan is sorted last.
    ordered = np.sort(sample, axis=0)
    n_valid = np.count_nonzero(~np.isnan(sample), axis=0)
    position = levels * np.maximum(n_valid - 1, 0)
    floor = np.floor(position).astype(int)
    at_floor = np.take_along_axis(ordered, floor, axis=0)
    above = np.take_along_axis(ordered, np.minimum(floor + 1, np.maximum(n_valid - 1, 0)), axis=0)
    low, high = at_floor + (position - floor) * (above - at_floor)
    reflected = np.clip(2 * estimate - high, -1, 1), np.clip(2 * estimate - low, -1, 1)
    low, high = (np.where(one_sided, *ends) for ends in zip(reflected, (low, high), strict=True))
    mean = np.nansum(sample, axis=0) / np.maximum(n_valid, 1)
    spread = np.nansum((sample - mean) ** 2, axis=0) / np.maximum(n_valid - 1, 1)
    return Interval(estimate, low, high, np.sqrt(spread), sample)
