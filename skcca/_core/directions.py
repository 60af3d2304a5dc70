"""From two views and their pairs to canonical directions; NumPy and SciPy only.

    mu_x = X'a / N,  S_xx = (X - mu_x)' diag(a) (X - mu_x) / N,  S_xy = (X - mu_x)' W (Y - mu_y) / N
    T = K_x' S_xy K_y = U diag(s) V',   weights  K_x U_k,  K_y V_k

with whiteners K K' = (S + r I)^-1 of the moments, where their conditioning is safe, or of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import linalg

from skcca._core.pairs import Moments, Pairs
from skcca._core.rows import MappedRows, rows_of
from skcca._core.standardize import (
    Standardisation,
    check_variance_is_finite,
    component_signs,
    feature_loadings,
    mean_and_variance,
    rounding_of_columns,
)
from skcca._core.types import ViewLike
from skcca._core.whitening import (
    CholeskyWhitener,
    FeatureScaling,
    IllConditionedError,
    NoDirectionError,
    SolverOptions,
    Whitener,
    chance_level,
    column_dots,
    data_whitener,
    moment_whitener,
    scale_covariance,
)

Array = np.ndarray


class Directions(NamedTuple):
    """Canonical directions of any feature map."""

    x_weights: Array  # (features, k)
    y_weights: Array
    correlations: Array  # (k,) of the variates, descending
    singular_values: Array  # (k,) ridge included
    solver: str
    # Not every solver computes the ranks.
    x_rank: int | None = None
    y_rank: int | None = None
    # `with_input_loadings` sets these.
    x_loadings: Array | None = None  # (d_x, k) correlation of input feature and variate
    y_loadings: Array | None = None


class CanonicalFit(NamedTuple):
    """Canonical directions in the units of the data."""

    x_mean: Array  # (d_x,)
    y_mean: Array
    x_weights: Array  # (d_x, k); scores (X - x_mean) @ x_weights have variance one over the pairs
    y_weights: Array
    x_loadings: Array  # (d_x, k) correlation of feature and variate
    y_loadings: Array
    x_cross_loadings: Array  # (d_x, k) correlation of feature and the other view's variate
    y_cross_loadings: Array
    x_std: Array  # (d_x,)
    y_std: Array
    correlations: Array  # (k,) of the variates, descending
    singular_values: Array  # (k,) of T, ridge included
    x_rank: int
    y_rank: int
    solver: str  # "covariance" or "svd", whichever ran
    # Whether moments had to serve although their condition number costs digits.
    ill_conditioned: bool = False
    # Singular value that unrelated views of few rows would reach under the ridges; 0 elsewhere.
    chance: float = 0.0


Solution = TypeVar("Solution", CanonicalFit, Directions)


def pair_moments(X: ViewLike, Y: ViewLike, pairs: Pairs, dtype: type = np.float64) -> Moments:
    """Return means and covariances of two views over the pairs, in one pass over each view.

    The products of a block are made in `dtype` and added up in float64.
    """
    x, y = rows_of(X, dtype), rows_of(Y, dtype)
    moments = pairs.moments(x, y)
    shift_lost_precision = moments.loses_precision(x.shift, y.shift)
    moments = moments.centred(x.shift, y.shift)
    if not shift_lost_precision:
        return moments
    # The first rows were unlike the others, so a second pass is made about the mean, which is known
    # by now.
    x, y = rows_of(X, dtype, moments.mean_x), rows_of(Y, dtype, moments.mean_y)
    return pairs.moments(x, y).centred(x.shift, y.shift)


def canonical_fit(
    X: ViewLike,
    Y: ViewLike,
    pairs: Pairs,
    options: SolverOptions,
    moments: Moments | None = None,
) -> CanonicalFit:
    """Find the canonical directions of two views, (n_x, d_x) and (n_y, d_y), over the pairs.

    Moments that are known already save a pass over the views; their memory is used up.

    Raises
    ------
    ValueError
        If a view has no feature that varies, or the two have no correlated direction.
    """
    in_memory = not hasattr(X, "dask")
    wide = in_memory and any(V.shape[0] <= V.shape[1] for V in (X, Y))
    if options.solver == "svd" or (options.solver == "auto" and wide):
        # The cost of this route grows with the rows, not with the features.
        return _svd_fit(X, Y, pairs, options)
    # `check_variance_is_finite` reports what overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        if moments is None and _float32_suffices(X, Y, pairs, options):
            try:
                rough = pair_moments(X, Y, pairs, np.float32)
                return moment_fit(rough, pairs.max_rank, options, from_float32=True)
            except IllConditionedError:
                pass
        if moments is None:
            moments = pair_moments(X, Y, pairs)
    sides = ((X, moments.cov_x, pairs.row_sums), (Y, moments.cov_y, pairs.column_sums))
    for name, (V, cov, sums) in zip("Xy", sides, strict=True):
        check_variance_is_finite(V, np.sqrt(np.maximum(np.diag(cov), 0.0)), name, sums)
    # The rows of a cluster are not fetched for a second look.
    allowed = options.solver == "covariance" or not in_memory
    try:
        return moment_fit(moments, pairs.max_rank, options, allow_ill_conditioned=allowed)
    except IllConditionedError:
        return _svd_fit(X, Y, pairs, options)


def _float32_suffices(X: ViewLike, Y: ViewLike, pairs: Pairs, options: SolverOptions) -> bool:
    """Whether products in float32 are exact enough, judged by a sample of the rows."""
    width = X.shape[1] + Y.shape[1]
    for side, (V, w) in enumerate(((X, pairs.row_sums), (Y, pairs.column_sums))):
        if not isinstance(V, np.ndarray) or V.dtype != np.float32 or len(V) < 32 * width:
            return False
        step = len(V) // (3 * V.shape[1])
        rows = rows_of(V[::step])
        gram = rows.weighted_gram(w[::step])[0]
        mean = gram[-1, :-1] / gram[-1, -1]
        cov = gram[:-1, :-1] / gram[-1, -1] - np.outer(mean, mean)
        std = np.sqrt(np.diag(cov))
        # Squares must stay in the range of float32.
        if not ((std > 1e-12) & (std < 1e12)).all():
            return False
        view = FeatureScaling.of(side, mean + rows.shift, std**2, options)
        try:
            cov = scale_covariance(cov, view, view)
            moment_whitener(cov, view.ridge, from_float32=True)
        except IllConditionedError:
            return False
    return True


def moment_fit(
    moments: Moments,
    max_rank: int | None,
    options: SolverOptions,
    *,
    allow_ill_conditioned: bool = False,
    from_float32: bool = False,
) -> CanonicalFit:
    """Find the canonical directions in the moments, whose memory is used up.

    Raises
    ------
    IllConditionedError
        If the moments would lose too many digits, and that is not allowed.
    """
    x = FeatureScaling.of(0, moments.mean_x, np.diag(moments.cov_x), options)
    y = FeatureScaling.of(1, moments.mean_y, np.diag(moments.cov_y), options)
    whiteners = [
        moment_whitener(
            scale_covariance(cov, view, view),
            view.ridge,
            full_precision=options.full_precision,
            allow_ill_conditioned=allow_ill_conditioned,
            from_float32=from_float32,
        )
        for cov, view in ((moments.cov_x, x), (moments.cov_y, y))
    ]
    cross = scale_covariance(moments.cov_xy, x, y)
    T = whiteners[1].whiten(whiteners[0].whiten(cross).T).T
    # A ridge makes the whitening safe, but not the variance of a variate that it dwarfs.
    regularised = max(x.ridge, y.ridge) > 0
    strict = options.full_precision and regularised and not allow_ill_conditioned
    solution = directions_of(T, [x, y], whiteners, max_rank, options, "covariance", strict=strict)
    exact = all(isinstance(whitener, CholeskyWhitener) for whitener in whiteners)
    return solution._replace(ill_conditioned=not exact)


def _svd_fit(X: ViewLike, Y: ViewLike, pairs: Pairs, options: SolverOptions) -> CanonicalFit:
    views, whiteners, whitened = [], [], []
    for side, (V, sums) in enumerate(((X, pairs.row_sums), (Y, pairs.column_sums))):
        w = sums / pairs.total
        mean, variance, residual = mean_and_variance(V, w)
        check_variance_is_finite(V, np.sqrt(variance), "Xy"[side], w)
        view = FeatureScaling.of(side, mean, variance, options, residual)
        whitener = data_whitener(V, w, view)
        views.append(view)
        whiteners.append(whitener)
        whitened.append(MappedRows(V, mean, partial(_whiten_rows, view, whitener.matrix)))
    T = pairs.cross_moment(*whitened)[:-1, :-1] / pairs.total
    return directions_of(T, views, whiteners, pairs.max_rank, options, "svd")


def _whiten_rows(view: FeatureScaling, K: Array, block: Array) -> Array:
    return view.apply(block) @ K


class _Side(NamedTuple):
    """The directions of one view, in the units of its features."""

    weights: Array  # (d, k)
    loadings: Array
    cross_loadings: Array


def directions_of(
    T: Array,
    views: Sequence[FeatureScaling],
    whiteners: Sequence[Whitener],
    max_rank: int | None,
    options: SolverOptions,
    solver: str,
    *,
    strict: bool = False,
) -> CanonicalFit:
    """Decompose T, and return variates of unit variance in the order of their correlations."""
    # A ridge divides rounding as it divides correlations.
    rounding = 1 / np.sqrt((1 + views[0].ridge) * (1 + views[1].ridge))
    n_components = options.n_components
    U, singular_values, V = leading_singular_vectors(T, max_rank, n_components, rounding)
    bases = [whiteners[0].lift(U), whiteners[1].lift(V)]
    # These matrices are as large as the moments, and are released before the next ones are made.
    del U, V
    products = [w.covariance(A) for w, A in zip(whiteners, bases, strict=True)]
    # Under a ridge these are below one.
    variances = [column_dots(A, SA) for A, SA in zip(bases, products, strict=True)]
    if strict:
        for whitener, A, variance in zip(whiteners, bases, variances, strict=True):
            if isinstance(whitener, CholeskyWhitener) and not whitener.is_exact(A, variance).all():
                raise IllConditionedError
    resolved = whiteners[0].resolved(bases[0], variances[0])
    resolved &= whiteners[1].resolved(bases[1], variances[1])
    if not resolved.all():
        bases, products = [A[:, resolved] for A in bases], [SA[:, resolved] for SA in products]
        variances = [variance[resolved] for variance in variances]
        singular_values = singular_values[resolved]
    x_std, y_std = (np.sqrt(variance) for variance in variances)
    correlations = np.minimum(singular_values / (x_std * y_std), 1.0)
    # With a ridge, correlations need not have the order of the singular values.
    order = np.argsort(-correlations, kind="stable")
    loadings = views[0].loadings(products[0] / x_std)
    signs = component_signs(loadings)

    def side(view: FeatureScaling, loadings: Array, own_std: Array, other_std: Array) -> _Side:
        # Each matrix is released with its view, since memory of this size counts.
        A, SA = bases.pop(0), products.pop(0)
        weights = (view.weights(A / own_std) * signs)[:, order]
        # S_xy K_y V = K_x^-T T V = (S_xx + r I) A diag(singular values)
        if view.ridge > 0:
            SA += view.ridge * A
        SA *= singular_values / other_std
        cross_loadings = (view.loadings(SA) * signs)[:, order]
        return _Side(weights, (loadings * signs)[:, order], cross_loadings)

    x = side(views[0], loadings, x_std, y_std)
    loadings = views[1].loadings(products[0] / y_std)
    y = side(views[1], loadings, y_std, x_std)
    ridges, chance = (views[0].ridge, views[1].ridge), 0.0
    if max(ridges) > 0 and whiteners[0].rank + whiteners[1].rank >= options.n_rows > 1:
        chance = chance_level((whiteners[0], whiteners[1]), ridges, options.n_rows, max_rank)
    return CanonicalFit(
        x_mean=views[0].mean,
        y_mean=views[1].mean,
        x_weights=x.weights,
        y_weights=y.weights,
        x_loadings=x.loadings,
        y_loadings=y.loadings,
        x_cross_loadings=x.cross_loadings,
        y_cross_loadings=y.cross_loadings,
        x_std=np.where(views[0].varying, views[0].std, 0.0),
        y_std=np.where(views[1].varying, views[1].std, 0.0),
        correlations=correlations[order],
        singular_values=singular_values[order],
        x_rank=whiteners[0].rank,
        y_rank=whiteners[1].rank,
        solver=solver,
        chance=chance,
    )


def leading_singular_vectors(
    T: Array, max_rank: int | None, n_components: int | None, size: float
) -> tuple[Array, Array, Array]:
    """Return the singular vectors (d_x, k) and (d_y, k) of T above rounding, and their values.

    What was rounded, before it was divided by the ridges to T, is of the given size.
    """
    # On a small matrix SciPy's `svd` spends more on its arguments than on the decomposition.
    lwork = int(linalg.lapack.dgesdd_lwork(*T.shape, full_matrices=False)[0])
    U, singular_values, Vt, info = linalg.lapack.dgesdd(
        T, full_matrices=False, lwork=lwork, overwrite_a=True
    )
    if info != 0:
        raise linalg.LinAlgError(f"SVD of a matrix of shape {T.shape} did not converge.")
    # Correlations below this are rounding, and their directions arbitrary.
    size = max(singular_values.max(initial=0.0), size)
    noise = 10 * np.finfo(float).eps * np.sqrt(max(T.shape)) * size
    support = int(np.count_nonzero(singular_values > noise))
    if max_rank is not None:
        support = min(support, max_rank)
    if support == 0:
        raise NoDirectionError(
            "The two views have no correlated direction over the paired rows; "
            "check that the rows (or the classes) of `X` and `y` belong together."
        )
    k = support if n_components is None else min(n_components, support)
    return U[:, :k], singular_values[:k], Vt[:k].T


def uncorrelated_fit(
    G: Array,
    F: Array,
    variances: tuple[Array, Array],
    ridges: tuple[float, float],
    pairs: Pairs,
    n_components: int | None,
) -> tuple[Array, Array, Array]:
    """Return weights of centred features of diagonal covariance, and the singular values of T."""
    x_scale, y_scale = (1 / np.sqrt(v + r) for v, r in zip(variances, ridges, strict=True))
    T = pairs.cross(G, F) / pairs.total
    T *= x_scale[:, None]
    T *= y_scale
    size = float((x_scale * np.sqrt(variances[0])).max() * (y_scale * np.sqrt(variances[1])).max())
    U, singular_values, V = leading_singular_vectors(T, pairs.max_rank, n_components, size)
    return x_scale[:, None] * U, y_scale[:, None] * V, singular_values


def with_input_loadings(
    solution: Solution,
    X: ViewLike,
    Y: ViewLike,
    x_scores: Array,
    y_scores: Array,
    pairs: Pairs,
    scalings: tuple[Standardisation | None, Standardisation | None] = (None, None),
) -> Solution:
    """Return directions in feature space with loadings of the input features, which fix the signs.

    The scores (n, k) are the variates of the training rows; the scalings are those of the input
    features, where they are known.
    """
    x_weights, y_weights = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
    x_loadings = feature_loadings(X, x_scores, x_weights, scalings[0])
    y_loadings = feature_loadings(Y, y_scores, y_weights, scalings[1])
    signs = component_signs(x_loadings)
    return solution._replace(
        x_weights=solution.x_weights * signs,
        y_weights=solution.y_weights * signs,
        x_loadings=x_loadings * signs,
        y_loadings=y_loadings * signs,
    )


def with_unit_variates(
    directions: Directions, x_scores: Array, y_scores: Array, pairs: Pairs
) -> Directions:
    """Return directions whose variates have variance one, in the order of their correlations.

    The scores (n, k) are what the weights give for the training rows: whatever rounding has done to
    the weights, the correlations are those of the variates.
    """
    correlations = pair_correlations(x_scores, y_scores, pairs)
    x_variance = mean_and_variance(x_scores, pairs.row_sums / pairs.total)[1]
    y_variance = mean_and_variance(y_scores, pairs.column_sums / pairs.total)[1]
    least = np.finfo(float).tiny
    x_unit, y_unit = np.sqrt(np.maximum(x_variance, least)), np.sqrt(np.maximum(y_variance, least))
    # Where nothing but rounding is left, it may turn the sign.
    signs = np.where(correlations < 0, -1.0, 1.0)
    # With a ridge, correlations need not have the order of the singular values.
    order = np.argsort(-np.abs(correlations), kind="stable")
    assert directions.x_loadings is not None
    assert directions.y_loadings is not None
    return directions._replace(
        x_weights=(directions.x_weights / x_unit)[:, order],
        y_weights=(directions.y_weights / (signs * y_unit))[:, order],
        x_loadings=directions.x_loadings[:, order],
        y_loadings=(directions.y_loadings * signs)[:, order],
        correlations=np.minimum(np.abs(correlations[order]), 1.0),
        singular_values=directions.singular_values[order],
    )


def pair_correlations(U: Array, V: Array, pairs: Pairs) -> Array:
    """Return the correlation of column k of U with column k of V over the pairs.

    It is 0 where a column has no variance.
    """
    U, V = (Z / np.maximum(np.abs(Z).max(axis=0), np.finfo(float).tiny) for Z in (U, V))
    a, b = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
    x_rounding, y_rounding = rounding_of_columns(U), rounding_of_columns(V)
    U, V = U - a @ U, V - b @ V
    x_std, y_std = np.sqrt(a @ U**2), np.sqrt(b @ V**2)
    cov = column_dots(U, pairs.dot(V)) / pairs.total
    defined = (x_std > x_rounding) & (y_std > y_rounding)
    return np.divide(cov, x_std * y_std, out=np.zeros(len(cov)), where=defined)
