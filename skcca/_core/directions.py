"""From two views and their pairs to canonical directions; NumPy and SciPy only.

    mu_x = X'a / N,  S_xx = (X - mu_x)' diag(a) (X - mu_x) / N,  S_xy = (X - mu_x)' W (Y - mu_y) / N
    T = K_x' S_xy K_y = U diag(s) V',   weights  K_x U_k,  K_y V_k

with whiteners K K' = (S + r I)^-1 of the moments, where their conditioning is safe, or of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import linalg

from skcca._core.moments import Moments
from skcca._core.rows import MappedRows, Rows, rows_of
from skcca._core.standardize import check_spread, component_signs, mean_and_variance
from skcca._core.whitening import (
    CholeskyWhitener,
    NoDirection,
    NotWellConditioned,
    Options,
    ViewUnits,
    Whitener,
    column_dots,
    data_whitener,
    in_units,
    moment_whitener,
)

Array = np.ndarray


class PairWeights(Protocol):
    """What the algebra needs to know of W; `skcca._core.pairs` provides it."""

    @property
    def row_sums(self) -> Array:
        """W 1, (n_x,)."""

    @property
    def column_sums(self) -> Array:
        """W' 1, (n_y,)."""

    @property
    def total(self) -> float:
        """1' W 1."""

    @property
    def max_rank(self) -> int | None:
        """Bound of the rank of S_xy, or None."""

    def dot(self, Y: Array) -> Array:
        """Return W @ Y."""

    def cross_moment(self, x: Rows, y: Rows) -> Array:
        """Return [X 1]' W [Y 1]."""

    def moments(self, x: Rows, y: Rows) -> Moments:
        """Return the second moments of both views."""


class Directions(Protocol):
    """What every feature map finds."""

    @property
    def x_weights(self) -> Array:
        """(features, k) of the first view."""

    @property
    def y_weights(self) -> Array:
        """(features, k) of the second view."""

    @property
    def x_loadings(self) -> Array | None:
        """(d_x, k)."""

    @property
    def y_loadings(self) -> Array | None:
        """(d_y, k)."""

    @property
    def correlations(self) -> Array:
        """(k,) of the variates, descending."""

    @property
    def singular_values(self) -> Array:
        """(k,) with the ridge in the denominator."""

    @property
    def x_rank(self) -> int | None:
        """Rank of the first view, where it is known."""

    @property
    def y_rank(self) -> int | None:
        """Rank of the second view."""

    @property
    def solver(self) -> str:
        """Name of the route."""


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
    solver: str  # "covariance" or "svd", as it was used
    poor: bool = False  # whether moments had to serve although their condition costs digits


def pair_moments(X: Any, Y: Any, pairs: PairWeights, dtype: Any = np.float64) -> Moments:
    """Return means and covariances of two views over the pairs, in one pass over each view.

    The products of a block are made in `dtype` and added up in float64.
    """
    x, y = rows_of(X, dtype), rows_of(Y, dtype)
    moments = pairs.moments(x, y)
    far = moments.far_from(x.shift, y.shift)
    moments = moments.centred(x.shift, y.shift)
    if not far:
        return moments
    # The first rows were unlike the others: once more, about the mean that is known by now.
    x, y = rows_of(X, dtype, moments.mean_x), rows_of(Y, dtype, moments.mean_y)
    return pairs.moments(x, y).centred(x.shift, y.shift)


def canonical_fit(X: Any, Y: Any, pairs: PairWeights, options: Options) -> CanonicalFit:
    """Find the canonical directions of two views, (n_x, d_x) and (n_y, d_y), over the pairs.

    Raises
    ------
    ValueError
        If a view has no feature that varies, or the two have no correlated direction.
    """
    wide = not hasattr(X, "dask") and any(V.shape[0] <= V.shape[1] for V in (X, Y))
    if options.solver == "svd" or (options.solver == "auto" and wide):
        return _svd_fit(X, Y, pairs, options)  # the cost grows with rows, not with features
    with np.errstate(over="ignore", invalid="ignore"):  # `check_spread` reports it
        if _single_serves(X, Y, pairs, options):
            try:
                moments = pair_moments(X, Y, pairs, np.float32)
                return moment_fit(moments, pairs.max_rank, options, single=True)
            except NotWellConditioned:
                pass
        moments = pair_moments(X, Y, pairs)
    sides = ((X, moments.cov_x, pairs.row_sums), (Y, moments.cov_y, pairs.column_sums))
    for name, (V, cov, sums) in zip("Xy", sides, strict=True):
        check_spread(V, np.sqrt(np.maximum(np.diag(cov), 0.0)), name, sums)
    # The rows of a cluster are not fetched for a second look.
    forced = options.solver == "covariance" or hasattr(X, "dask")
    try:
        return moment_fit(moments, pairs.max_rank, options, forced=forced)
    except NotWellConditioned:
        return _svd_fit(X, Y, pairs, options)


def _single_serves(X: Any, Y: Any, pairs: PairWeights, options: Options) -> bool:
    """Whether products of float32 are exact enough; a sample of the rows tells beforehand."""
    width = X.shape[1] + Y.shape[1]
    for side, (V, w) in enumerate(((X, pairs.row_sums), (Y, pairs.column_sums))):
        if not isinstance(V, np.ndarray) or V.dtype != np.float32 or len(V) < 32 * width:
            return False
        step = len(V) // (3 * V.shape[1])
        rows = rows_of(V[::step])
        gram = rows.sums(w[::step])[0]
        mean = gram[-1, :-1] / gram[-1, -1]
        cov = gram[:-1, :-1] / gram[-1, -1] - np.outer(mean, mean)
        std = np.sqrt(np.diag(cov))
        if not ((std > 1e-12) & (std < 1e12)).all():  # squares must stay in the range of float32
            return False
        view = ViewUnits.of(side, mean + rows.shift, std**2, options)
        try:
            cov = in_units(cov, view, view)
            moment_whitener(cov, view.ridge, single=True)
        except NotWellConditioned:
            return False
    return True


def moment_fit(
    moments: Moments,
    max_rank: int | None,
    options: Options,
    *,
    forced: bool = False,
    single: bool = False,
) -> CanonicalFit:
    """Find the canonical directions in the moments, whose memory is used up.

    Raises
    ------
    NotWellConditioned
        If they would lose too many digits, and the route is not forced.
    """
    x, y = (
        ViewUnits.of(side, moments[side], np.diag(moments[2 + side]), options) for side in (0, 1)
    )
    whiteners = [
        moment_whitener(
            in_units(cov, view, view),
            view.ridge,
            exact=options.exact,
            forced=forced,
            single=single,
        )
        for cov, view in ((moments.cov_x, x), (moments.cov_y, y))
    ]
    cross = in_units(moments.cov_xy, x, y)
    T = whiteners[1].whiten(whiteners[0].whiten(cross).T).T
    # A ridge makes the whitening safe, but not the variance of a variate that it dwarfs.
    strict = options.exact and not forced and max(x.ridge, y.ridge) > 0
    found = _directions(
        T, [x, y], whiteners, max_rank, options.n_components, "covariance", strict=strict
    )
    return found._replace(poor=not all(isinstance(w, CholeskyWhitener) for w in whiteners))


def _svd_fit(X: Any, Y: Any, pairs: PairWeights, options: Options) -> CanonicalFit:
    views, whiteners, whitened = [], [], []
    for side, (V, sums) in enumerate(((X, pairs.row_sums), (Y, pairs.column_sums))):
        w = sums / pairs.total
        mean, variance = mean_and_variance(V, w)
        check_spread(V, np.sqrt(variance), "Xy"[side], w)
        view = ViewUnits.of(side, mean, variance, options)
        whitener = data_whitener(V, w, view)
        views.append(view)
        whiteners.append(whitener)
        whitened.append(MappedRows(V, mean, partial(_whitened, view, whitener.matrix)))
    T = pairs.cross_moment(*whitened)[:-1, :-1] / pairs.total
    return _directions(T, views, whiteners, pairs.max_rank, options.n_components, "svd")


def _whitened(view: ViewUnits, K: Array, block: Array) -> Array:
    return view.apply(block) @ K


def _directions(
    T: Array,
    views: Sequence[ViewUnits],
    whiteners: Sequence[Whitener],
    max_rank: int | None,
    n_components: int | None,
    solver: str,
    *,
    strict: bool = False,
) -> CanonicalFit:
    """SVD of T, then variates of unit variance, their correlations in order, signs fixed."""
    U, singular_values, Vt = linalg.svd(
        T, full_matrices=False, check_finite=False, overwrite_a=True
    )
    # Correlations below this are rounding, and their directions arbitrary.
    noise = 10 * np.finfo(float).eps * np.sqrt(max(T.shape))
    support = int(np.count_nonzero(singular_values > noise))
    if max_rank is not None:
        support = min(support, max_rank)
    if support == 0:
        raise NoDirection(
            "The two views have no correlated direction over the paired rows; "
            "check that the rows (or the classes) of `X` and `y` belong together."
        )
    k = support if n_components is None else min(n_components, support)
    bases = [whiteners[0].lift(U[:, :k]), whiteners[1].lift(Vt[:k].T)]
    del U, Vt  # matrices of this size count
    products = [w.covariance(A) for w, A in zip(whiteners, bases, strict=True)]
    if strict:
        for whitener, A, SA in zip(whiteners, bases, products, strict=True):
            if isinstance(whitener, CholeskyWhitener) and not whitener.exact(A, SA).all():
                raise NotWellConditioned
    kept = whiteners[0].resolved(bases[0], products[0])
    kept &= whiteners[1].resolved(bases[1], products[1])
    singular_values = singular_values[:k][kept]
    if not kept.all():
        bases, products = [A[:, kept] for A in bases], [SA[:, kept] for SA in products]
    # Below one under a ridge.
    std = [np.sqrt(column_dots(A, SA)) for A, SA in zip(bases, products, strict=True)]
    correlations = np.minimum(singular_values / (std[0] * std[1]), 1.0)
    order = np.argsort(-correlations, kind="stable")  # which a ridge may change
    signs = component_signs(views[0].loadings(products[0] / std[0]))
    found: dict[str, Any] = {}
    for name, view, whitener, s, other in zip("xy", views, whiteners, std, std[::-1], strict=True):
        A, SA = bases.pop(0), products.pop(0)  # and their memory with them
        found[f"{name}_mean"] = view.mean
        found[f"{name}_std"] = np.where(view.varying, view.std, 0.0)
        found[f"{name}_rank"] = whitener.rank
        found[f"{name}_weights"] = (view.weights(A / s) * signs)[:, order]
        found[f"{name}_loadings"] = (view.loadings(SA / s) * signs)[:, order]
        # S_xy K_y V = K_x^-T T V = (S_xx + r I) A diag(singular values)
        SA += view.ridge * A
        SA *= singular_values / other
        found[f"{name}_cross_loadings"] = (view.loadings(SA) * signs)[:, order]
    return CanonicalFit(
        **found,
        correlations=correlations[order],
        singular_values=singular_values[order],
        solver=solver,
    )


def pair_correlations(U: Array, V: Array, pairs: PairWeights) -> Array:
    """Correlation of column k of U with column k of V over the pairs; 0 without variance."""
    U, V = (Z / np.maximum(np.abs(Z).max(axis=0), np.finfo(float).tiny) for Z in (U, V))
    a, b = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
    # A constant column spreads by its rounding.
    spread = [4 * np.finfo(float).eps * np.abs(Z).max(axis=0, initial=0.0) for Z in (U, V)]
    U, V = U - a @ U, V - b @ V
    std = np.sqrt(a @ U**2), np.sqrt(b @ V**2)
    cov = column_dots(U, pairs.dot(V)) / pairs.total
    defined = (std[0] > spread[0]) & (std[1] > spread[1])
    scale = std[0] * std[1]
    return np.divide(cov, scale, out=np.zeros(len(cov)), where=defined)
