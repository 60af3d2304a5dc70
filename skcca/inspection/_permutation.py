"""Step-down permutation test of canonical correlations."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skcca._core.arrays import check_aligned, dense_rows, input_eps
from skcca._core.compat import Interval, StrOptions, rng_from, validate_parameter_constraints
from skcca._core.progress import parallel_map
from skcca._core.standardize import (
    check_variance_is_finite,
    mean_and_variance,
    warn_of_constant_features,
)
from skcca._core.types import ArrayLike, Estimator, RandomStateLike, ViewLike
from skcca._core.whitening import (
    FeatureScaling,
    NoDirectionError,
    SolverOptions,
    data_whitener,
    ridge_of,
)
from skcca.cca import CCA
from skcca.inspection._exchange import (
    Exchange,
    ExchangeableResiduals,
    group_codes,
    permutation_of_groups,
    permutation_of_rows,
    permutation_within,
)
from skcca.views._arguments import per_view

__all__ = ["PermutationTestResult", "permutation_test_correlations"]
Array = np.ndarray
_NAME = "permutation_test_correlations"

# The permutations are split into as many pieces of work as a progress bar can show, of so many
# multiplications at least: some milliseconds.
_MAX_TASKS = 100
_MIN_WORK = 2**24

# Matrices whose statistics are computed at once hold so many numbers, 256 KiB of the cache.
_BATCH = 2**15

# Permutations that change nothing give the same statistic up to rounding of this relative size.
_TIE = 1e-9

Statistics = Callable[[Array, int], Array]

_CONSTRAINTS: dict = {
    "n_permutations": [Interval(Integral, 1, None, closed="left")],
    "statistic": [StrOptions({"wilks", "roy"})],
    "exchange": [StrOptions({"within", "whole"})],
    "n_jobs": [Integral, None],
    "random_state": ["random_state", np.random.Generator],
    "verbose": ["verbose"],
}


class PermutationTestResult(NamedTuple):
    """Entry k belongs to the hypothesis that the components k, k + 1, ... are unrelated."""

    correlations: Array  # (K,)
    statistic: Array  # (K,) large where the hypothesis is false
    pvalues: Array  # (K,) corrected for the number of hypotheses, ascending
    uncorrected_pvalues: Array  # (K,)
    null_distribution: Array  # (n_permutations, K)
    exact: bool = False  # whether the null distribution holds every permutation there is


def permutation_test_correlations(
    estimator: CCA,
    X: ViewLike,
    y: ViewLike = None,
    *,
    n_permutations: int = 1000,
    statistic: str = "wilks",
    confounds: ArrayLike = None,
    groups: ArrayLike = None,
    exchange: str = "within",
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
    verbose: int = 0,
) -> PermutationTestResult:
    r"""Test by permutation which canonical correlations exceed those of unrelated rows.

    Permuting the rows of one view destroys every relation, also those of the components before k,
    whose variance then raises what is left: the usual permutation test rejects a true hypothesis
    about k > 0 far too often. So component k is tested on what the components before it leave
    [1]_. With whitened views, turned so that T = U'V / n is diagonal,

    .. math:: T_\pi = U^\top P_\pi V / n, \quad
              \lambda_k(\pi) = -\ln \det(I - T_{\pi,k} T_{\pi,k}^\top), \quad
              T_{\pi,k} = T_\pi \text{ without its first } k \text{ rows and columns,}

    and :math:`p_k = (1 + \#\{\pi : \lambda_k(\pi) \ge \lambda_k\}) / (1 + n_\pi)`, with the data
    as they are among the permutations. A component is not believed where one before it is not: the
    p-value of k is the largest of :math:`p_0, \dots, p_k`. That closes the family of hypotheses, so
    that the probability of one false rejection or more is the level of a single test.

    Parameters
    ----------
    estimator : CCA
        Model to test, with its ridge; `n_components` is the number of hypotheses. It is not fitted,
        and need not be.
    X : array-like of shape (n_samples, n_features) or Views
    y : array-like of shape (n_samples, n_features_y), default=None
        See `bootstrap_loadings`; labels are ignored, as in `CCA`.
    n_permutations : int, default=1000
        Number of random permutations. A p-value is 1 / (n_permutations + 1) at least. Where there
        are no more than so many besides the identity, as of six rows, each is taken once instead:
        p-values are then exact, and do not depend on `random_state`.
    statistic : {"wilks", "roy"}, default="wilks"
        "wilks" is :math:`-\ln` of Wilks' lambda of the components that are left, all that the data
        have; "roy" the square of the largest correlation that is left, which sees one strong
        component among many better than several weak ones.
    confounds : array-like of shape (n_samples, n_confounds) or (n_samples,), default=None
        Nuisance variables to regress out of both views (partial CCA). Ordinary residuals are not
        exchangeable, and permuting them rejects too often; these are Theil's [2]_, on as many rows
        fewer as there are confounds and a constant.
    groups : array-like of shape (n_samples,), default=None
        Group of each row; None lets all rows change places.
    exchange : {"within", "whole"}, default="within"
        "within" lets rows change places inside their group (a site, a session), "whole" lets groups
        of equally many rows change places, their rows in order (repeated measures of a subject).
    n_jobs : int, default=None
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        See `bootstrap_loadings`; `n_jobs` is a number of threads.

    Returns
    -------
    result : PermutationTestResult
        ``correlations``, ``statistic``, ``pvalues`` and ``uncorrected_pvalues`` of shape (K,),
        ``null_distribution`` of shape (n_permutations, K), and ``exact``, whether it holds every
        permutation there is; it then has as many rows as there are, without the identity.

    Raises
    ------
    TypeError
        If `estimator` is not a `CCA`.
    ValueError
        If the rows are too few for a test without ridge, if groups leave nothing to exchange, or if
        an argument does not fit the rows.

    See Also
    --------
    wilks_test : The parametric test.
    report : One table of these and all else that is published of a model.
    select_n_components : Choice of the number of components by cross-validation.

    Notes
    -----
    One whitening of each view serves all permutations: a permutation costs one product
    (d_x x n)(n x d_y), and one Cholesky factorisation gives the statistics of all components.

    Rows have equal weight: a weighted row would have to be exchangeable with rows of other weight.

    With a ridge T holds regularised correlations, so the order is that of `singular_values_`; also
    then exactly the relation of the components before is removed.

    Not tested here are class pairs, because pairs that share a row are no independent units;
    whether the classes matter is asked by permuting labels,
    ``sklearn.model_selection.permutation_test_score(model, Views(X, Y), labels,
    scoring=retrieval_map)``. A kernel model is tested as a `CCA` with ridge of its features.

    References
    ----------
    .. [1] A. M. Winkler, O. Renaud, S. M. Smith and T. E. Nichols (2020). Permutation inference for
       canonical correlation analysis. NeuroImage 220, 117065.
       :doi:`10.1016/j.neuroimage.2020.117065`
    .. [2] H. Theil (1965). The analysis of disturbances in regression analysis. Journal of the
       American Statistical Association 60, 1067-1079. :doi:`10.1080/01621459.1965.10480851`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import CCA
    >>> from skcca.inspection import permutation_test_correlations
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 100, 4))
    >>> Y[:, 0] += X[:, 0]
    >>> result = permutation_test_correlations(CCA(), X, Y, random_state=0)
    >>> result.pvalues < 0.05
    array([ True, False, False, False])
    """
    validate_parameter_constraints(_CONSTRAINTS, locals(), caller_name=_NAME)
    # A narrow integer of NumPy would overflow below.
    n_permutations = int(n_permutations)
    x, y, exchange_rows = _exchangeable_views(estimator, X, y, confounds, groups, exchange)
    U, V = _canonical_variates(x, y)
    K = min(U.shape[1], V.shape[1], estimator.n_components or U.shape[1])
    # The variates have length one without a ridge, and are shorter with one.
    u, v = U[:, :K], V[:, :K]
    lengths = np.linalg.norm(u, axis=0) * np.linalg.norm(v, axis=0)
    correlations = np.minimum(np.einsum("ik,ik->k", u, v) / lengths, 1.0)
    # The statistics are symmetric, and the narrower view has fewer columns to permute.
    if U.shape[1] < V.shape[1]:
        U, V = V, U
    statistics = _wilks if statistic == "wilks" else _roy
    observed = statistics((U.T @ V)[np.newaxis], K)[0]

    exact = exchange_rows.has_at_most(n_permutations + 1)
    if exact:
        draws = np.array(list(exchange_rows.others()))
    else:
        draws = rng_from(random_state).integers(2**63, size=n_permutations)
    n_draws = len(draws)
    n_tasks = min(n_draws, _MAX_TASKS, 1 + n_draws * U.size * V.shape[1] // _MIN_WORK)
    parts = np.array_split(draws, n_tasks)
    tasks = [(U, V, exchange_rows, statistics, K, part) for part in parts]
    permuted = parallel_map(
        _permuted, tasks, label=_NAME, n_jobs=n_jobs, prefer="threads", verbose=verbose
    )
    null = np.concatenate(list(permuted))
    exceeding = np.count_nonzero(null >= observed * (1 - _TIE), axis=0)
    pvalues = (1 + exceeding) / (1 + n_draws)
    corrected = np.maximum.accumulate(pvalues)
    return PermutationTestResult(correlations, observed, corrected, pvalues, null, exact)


class _WhitenedView(NamedTuple):
    """Rows that are exchangeable and have mean zero, in whitened coordinates."""

    scores: Array  # (n, rank), scores' scores = S (S + r I)^-1
    ridge: float
    n_free: int  # largest dimension that the rows can span


def _exchangeable_views(
    estimator: Estimator,
    X: ViewLike,
    y: ViewLike,
    confounds: ArrayLike,
    groups: ArrayLike,
    exchange: str,
) -> tuple[_WhitenedView, _WhitenedView, Exchange]:
    """Return both views, centred or free of the confounds, and the permutations of their rows."""
    is_cca = isinstance(estimator, CCA) and not estimator._class_paired
    if is_cca and not hasattr(estimator, "reg"):
        raise TypeError(
            f"{_NAME} tests CCA with a given ridge; {type(estimator).__name__} chooses it by the "
            "pairs of rows, which a permutation breaks. Choose it on other rows and test "
            "CCA(reg=model.reg_), or repeat the choice in each permutation: "
            "sklearn.model_selection.permutation_test_score."
        )
    if not is_cca:
        raise TypeError(
            f"{_NAME} tests CCA; got {type(estimator).__name__}. Kernel models: test "
            "CCA(reg=...) on the features of sklearn.kernel_approximation.Nystroem. Class-paired "
            "models: permute the labels, sklearn.model_selection.permutation_test_score. "
            "Pipelines: transform the views first, and test the last step."
        )
    estimator = clone(estimator)
    estimator._validate_params()
    estimator._check_settings()
    data = estimator._check_training(X, y, None, None)
    n_rows = data.X.shape[0]
    check_aligned(_NAME, X=X, y=y, confounds=confounds, groups=groups)
    codes = None if groups is None else group_codes(groups, n_rows, _NAME)
    if exchange == "whole" and codes is None:
        raise ValueError(f"{_NAME}: exchange='whole' exchanges groups, but `groups` is None.")
    if exchange == "whole" and confounds is not None:
        raise ValueError(
            f"{_NAME}: exchange='whole' needs groups of whole rows, but `confounds` leaves rows "
            "out; use exchange='within'."
        )
    residuals = None
    if confounds is not None:
        residuals = ExchangeableResiduals(confounds, n_rows, _NAME)
        codes = None if codes is None else codes[residuals.kept]
    x_reg, y_reg = per_view(estimator.reg)
    x = _whiten(data.X, 0, x_reg, estimator.scale, residuals)
    y = _whiten(data.Y, 1, y_reg, estimator.scale, residuals)
    x_rank, y_rank = x.scores.shape[1], y.scores.shape[1]
    if x_rank + y_rank > x.n_free and x.ridge == y.ridge == 0:
        raise ValueError(
            f"{_NAME}: {n_rows} rows leave {x.n_free} dimensions, fewer than the ranks of the "
            f"views together ({x_rank} + {y_rank}): the first correlation of any permutation is 1. "
            "Give CCA a ridge (reg=0.1), or use fewer features."
        )
    if codes is None:
        return x, y, permutation_of_rows(len(x.scores))
    restricted = permutation_within if exchange == "within" else permutation_of_groups
    return x, y, restricted(codes, _NAME)


def _whiten(
    V: ViewLike, side: int, reg: float | str, scale: bool, residuals: ExchangeableResiduals | None
) -> _WhitenedView:
    """Whiten one view as `CCA` does, once it is centred or free of the confounds."""
    name = "Xy"[side]
    V = dense_rows(V, slice(None))
    eps = input_eps(V.dtype)
    mean, variance, residual = mean_and_variance(V, np.full(len(V), 1 / len(V)))
    check_variance_is_finite(V, np.sqrt(variance), name, np.ones(len(V)))
    n_free = len(V) - 1
    if residuals is not None:
        std, size = np.sqrt(variance), np.sqrt(mean**2 + variance)
        V = residuals(V.astype(float))
        n_free = len(V)
        mean, variance = np.zeros_like(mean), np.mean(V**2, axis=0)
        # Of a feature that the confounds explain, the rounding of a product is left.
        apart = np.sqrt(variance) > np.minimum(100 * eps * size, 0.5 * std)
        if not apart.any():
            raise ValueError(
                f"{_NAME}: `{name}` has no feature that varies apart from what `confounds` explain."
            )
        V, mean, variance = V[:, apart], mean[apart], variance[apart]
        residual = np.zeros_like(mean)
    ridge = ridge_of(reg, V, np.full(len(V), 1 / len(V)), side, scale=scale)
    options = SolverOptions(reg=(ridge, ridge), scale=scale, eps=(eps, eps), full_precision=True)
    try:
        scaling = FeatureScaling.of(side, mean, variance, options, residual)
    except NoDirectionError as error:
        raise ValueError(f"{_NAME}: `{name}` has no feature that varies.") from error
    warn_of_constant_features(~scaling.varying, name)
    whitener = data_whitener(V, np.full(len(V), 1 / len(V)), scaling)
    scores = scaling.apply(V - mean) @ (whitener.matrix / np.sqrt(len(V)))
    return _WhitenedView(scores, ridge, n_free)


def _canonical_variates(x: _WhitenedView, y: _WhitenedView) -> tuple[Array, Array]:
    """Rotate both views so that U'V is diagonal and descends; the wider one keeps all its rank."""
    P, _, Qt = np.linalg.svd(x.scores.T @ y.scores)
    return x.scores @ P, y.scores @ Qt.T


def _permuted(
    U: Array,
    V: Array,
    exchange: Exchange,
    statistics: Statistics,
    n_statistics: int,
    draws: Array,
) -> Array:
    """Return the statistics of some permutations, (n_draws, n_statistics).

    A draw is a permutation, or the seed of one, so that few permutations are in memory at once.
    """
    null = []
    step = max(1, _BATCH // (U.shape[1] + V.shape[1]) ** 2)
    for start in range(0, len(draws), step):
        orders = [
            drawn if drawn.ndim else exchange(np.random.default_rng(drawn))
            for drawn in draws[start : start + step]
        ]
        T = np.array([U.T @ V.take(order, axis=0) for order in orders])
        null.append(statistics(T, n_statistics))
    return np.concatenate(null)


def _wilks(T: Array, n_statistics: int) -> Array:
    """Return -ln det(I - T_k T_k') for T_k = T[k:, k:] and k = 0, 1, ..., of each T (n, p, q)."""
    # Of smaller correlations, as under a very large ridge, 1 - r^2 would round to 1.
    if (np.einsum("nij,nij->n", T, T) > 1e-6).all():
        try:
            return _wilks_by_minors(T, n_statistics)
        except np.linalg.LinAlgError:
            # A correlation is 1, and the matrix is singular.
            pass
    if len(T) > 1:
        return np.concatenate([_wilks(one[np.newaxis], n_statistics) for one in T])
    return np.array([[_wilks_by_svd(T[0, k:, k:]) for k in range(n_statistics)]])


def _wilks_by_minors(T: Array, n_statistics: int) -> Array:
    """Return -ln det(I - T_k T_k') as minors of [[I, T], [T', I]].

    With the variates in the order of their removal, the last to be removed first, they are leading
    minors: one Cholesky factor has them all on its diagonal.
    """
    n, p, q = T.shape
    K = n_statistics
    pairs = np.stack([np.arange(K), p + np.arange(K)], axis=1)[::-1]
    order = np.concatenate([np.arange(K, p), p + np.arange(K, q), pairs.ravel()])
    place = np.argsort(order)
    of_x, of_y = place[:p, np.newaxis], place[p:]
    joint = np.tile(np.eye(p + q), (n, 1, 1))
    # The factorisation reads the lower triangle alone.
    joint[:, np.maximum(of_x, of_y), np.minimum(of_x, of_y)] = T
    diagonals = np.einsum("nii->ni", np.linalg.cholesky(joint))
    return -2 * np.cumsum(np.log(diagonals), axis=1)[:, ::-1][:, : 2 * K : 2]


def _wilks_by_svd(T: Array) -> float:
    """Return -ln det(I - T T'), finite where a singular value is 1."""
    squares = np.linalg.svd(T, compute_uv=False) ** 2
    return float(-np.log1p(-np.minimum(squares, 1 - np.finfo(float).eps)).sum())


def _roy(T: Array, n_statistics: int) -> Array:
    """Return the square of the largest singular value of T[k:, k:] for k = 0, 1, ..., of each T."""
    largest = [np.linalg.svd(T[:, k:, k:], compute_uv=False)[:, 0] for k in range(n_statistics)]
    return np.stack(largest, axis=1) ** 2
