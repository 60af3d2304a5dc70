"""Sparse canonical correlation analysis, over the rows' own pairs or over all pairs of a class.

    maximise u' S v   subject to  |u|_2, |v|_2 <= 1,  |u|_1 <= c_x sqrt(p),  |v|_1 <= c_y sqrt(q)

with S = Z_x' W Z_y / N the cross-moment of the p and q standardised features over the pairs: the
penalised matrix decomposition. With v fixed the best u is S v, soft-thresholded at the level that
meets the bound, and the other way round, so that each half of a sweep is solved exactly.

S is formed where it is no larger than the views. Elsewhere S v = Z_x' (W (Z_y v)) / N takes one
product of each view, and nothing of p times q numbers is ever made. What earlier components have
explained leaves S by a correction of low rank, S - F G':

    projection   F = [L_x, C_x - L_x R],  G = [C_y, L_y]     (I - L_x A') S (I - B L_y')
    hotelling    F = U diag(d),           G = V              S - sum_i d_i u_i v_i'

with the weights A, B of variates of unit variance, their loadings L_x = Z_x' Z_x A, L_y, their
cross-loadings C_x = S B, C_y = S' A, and R = A' S B.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import ClassVar, NamedTuple, TypeAlias

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.exceptions import ConvergenceWarning

from skcca._base import ClassPairedMixin, TwoViewTransformer
from skcca._core.arrays import input_eps, project
from skcca._core.compat import Interval, StrOptions
from skcca._core.directions import Directions
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.rows import SparseRows, rows_of
from skcca._core.standardize import (
    Standardisation,
    check_variance_is_finite,
    component_signs,
    mean_and_variance,
    warn_of_constant_features,
)
from skcca._core.types import RandomStateLike, ViewLike
from skcca._core.warnings import warn
from skcca._core.whitening import (
    FeatureScaling,
    NoDirectionError,
    SolverOptions,
    column_dots,
    scale_covariance,
)
from skcca.views._arguments import per_view
from skcca.views._checks import check_first_view, check_second_view

__all__ = ["SparseCCA", "SparseClusterCCA"]

Array = np.ndarray

# Sweeps from either side before the better one goes on.
_TRIAL_SWEEPS = 3
# Sweeps from one leap to the next.
_SWEEPS_TO_LEAP = 3
# A matrix up to this size is decomposed whole, and of a larger one the first vector is iterated.
_SMALL = 64
# Where the search of a level begins, as shares of the largest product.
_FIRST_LEVELS = np.array([0.5, 0.25, 0.0])
# Products that differ by less, relative to their size, are equal but for rounding.
_TIED = 1e-9


class SparseOptions(NamedTuple):
    """Settings of the decomposition; a tuple has one value for each view."""

    n_components: int | None
    penalties: tuple[float, float]
    positive: tuple[bool, bool]
    deflation: str
    scale: bool
    max_iter: int
    tol: float


# Views whose features are standardised


class _DenseView:
    """Standardised features Z (n, p) in memory, in the precision of the view.

    `scores` are Z w, `products` Z' T of a vector or of columns, and `gram` is Z Z'.
    """

    def __init__(self, V: ViewLike, scaling: FeatureScaling):
        self.scaling = scaling
        scale = np.ones(len(scaling.mean))
        scale[scaling.varying] = scaling.unit
        Z = Standardisation(scaling.mean, scale).apply(V, V.dtype)
        self.Z = Z if scaling.all_vary else Z[:, scaling.varying]

    def scores(self, w: Array) -> Array:
        w = w.astype(self.Z.dtype, copy=False)
        chosen = np.flatnonzero(w)
        # Few columns are gathered faster than all are read.
        product = self.Z[:, chosen] @ w[chosen] if 4 * len(chosen) < len(w) else self.Z @ w
        return product.astype(float, copy=False)

    def products(self, T: Array) -> Array:
        product = T.astype(self.Z.dtype, copy=False).T @ self.Z
        return product.T.astype(float, copy=False)

    def gram(self) -> Array:
        return self.Z @ self.Z.T


class _StreamedView:
    """The same of a view that stays where it lies, centred and scaled in its products."""

    def __init__(self, V: ViewLike, scaling: FeatureScaling):
        self.V, self.scaling = V, scaling
        self.rows = rows_of(V) if sparse.issparse(V) else rows_of(V, shift=scaling.mean)

    def scores(self, w: Array) -> Array:
        weights = self.scaling.weights(w[:, None])
        return project(self.V, self.scaling.mean, weights)[:, 0].astype(float)

    def products(self, T: Array) -> Array:
        # The sum of every column of T is 0, so that no mean counts.
        sums = self.rows.factor_product(T.reshape(len(T), -1))[:, :-1]
        return (sums[:, self.scaling.varying] / self.scaling.unit).T.reshape(-1, *T.shape[1:])

    def gram(self) -> Array:
        # Asked for of sparse matrices alone.
        V = sparse.csr_array(self.V)[:, self.scaling.varying].multiply(1 / self.scaling.unit)
        mean = self.scaling.mean[self.scaling.varying] / self.scaling.unit
        K, along = (V @ V.T).toarray(), V @ mean
        return K - along[:, None] - along + mean @ mean


_View: TypeAlias = _DenseView | _StreamedView


def _view_of(V: ViewLike, scaling: FeatureScaling, solver: str) -> _View:
    """Return a view in memory where rows are few, unless it is thin enough to stay sparse."""
    streams = solver == "covariance" or (sparse.issparse(V) and isinstance(rows_of(V), SparseRows))
    return _StreamedView(V, scaling) if streams else _DenseView(V, scaling)


# The cross-moment


class _FormedMoment(NamedTuple):
    """S in memory, for more rows than features."""

    S: Array  # (p, q)

    @classmethod
    def of(cls, x: _View, y: _View, pairs: Pairs) -> _FormedMoment:
        assert isinstance(x, _StreamedView)
        assert isinstance(y, _StreamedView)
        # About the shifts of the rows, which sparse matrices do not have.
        moment = pairs.cross_moment(x.rows, y.rows) / pairs.total
        S = moment[:-1, :-1]
        S -= np.outer(moment[:-1, -1], moment[-1, :-1])
        return cls(scale_covariance(S, x.scaling, y.scaling))

    @property
    def T(self) -> _FormedMoment:
        return _FormedMoment(self.S.T)

    def dot(self, v: Array) -> Array:
        return self.S @ v

    def leading_vector(self, F: Array, G: Array) -> Array:
        """Return the first right singular vector of S - F G'."""
        # On the smaller side, where vectors are short.
        deflated = _Deflated(self, F, G)
        if self.S.shape[0] < self.S.shape[1]:
            u = _leading_eigenvector(lambda u: deflated.dot(deflated.T.dot(u)), len(F))
            return _normalised(deflated.T.dot(u))
        return _leading_eigenvector(lambda v: deflated.T.dot(deflated.dot(v)), len(G))


class _Products(NamedTuple):
    """S as the product of the views, for fewer rows than features."""

    x: _View
    y: _View
    pairs: Pairs
    grams: tuple[Array, Array]  # Z Z' of both views
    transposed: bool = False

    @classmethod
    def of(cls, x: _View, y: _View, pairs: Pairs) -> _Products:
        return cls(x, y, pairs, (x.gram(), y.gram()))

    @property
    def T(self) -> _Products:
        x_gram, y_gram = self.grams
        return _Products(self.y, self.x, self.pairs, (y_gram, x_gram), not self.transposed)

    def _paired(self, rows: Array) -> Array:
        """Return W / N times columns."""
        product = self.pairs.transposed_dot if self.transposed else self.pairs.dot
        return product(rows) / self.pairs.total

    def dot(self, v: Array) -> Array:
        return self.x.products(self._paired(self.y.scores(v)[:, None])[:, 0])

    def leading_vector(self, F: Array, G: Array) -> Array:
        """Return the first right singular vector of S - F G', a combination of few rows.

        S - F G' = A' D B with A = [Z_x; F'], B = [Z_y; G'] and D = diag(W / N, -I). With
        B B' = L L' the squares of its singular values are the eigenvalues of L' D' (A A') D L.
        """
        K_x, K_y = self.grams
        tolerance = len(K_y) * np.finfo(K_y.dtype).eps
        L = _semidefinite_factor(_bordered(K_y, self.y, G), tolerance)
        DL = np.vstack([self._paired(L[: len(K_y)]), -L[len(K_y) :]])
        AA = _bordered(K_x, self.x, F)
        rows = AA @ (DL @ _leading_eigenvector(lambda z: DL.T @ (AA @ (DL @ z)), L.shape[1]))
        own = self.T._paired(rows[: len(K_x), None])[:, 0]
        return _normalised(self.y.products(own) - G @ rows[len(K_x) :])


_Moment: TypeAlias = _FormedMoment | _Products


class _Deflated(NamedTuple):
    """S - F G', what is left of the cross-moment."""

    moment: _Moment
    F: Array  # (p, m)
    G: Array  # (q, m)

    @property
    def T(self) -> _Deflated:
        return _Deflated(self.moment.T, self.G, self.F)

    def dot(self, v: Array) -> Array:
        return self.moment.dot(v) - self.F @ (self.G.T @ v)

    def leading_vector(self) -> Array:
        return self.moment.leading_vector(self.F, self.G)


def _bordered(K: Array, view: _View, F: Array) -> Array:
    """Return A A' of A = [Z; F'], from K = Z Z'."""
    edge = np.column_stack([np.empty((len(K), 0)), *(view.scores(column) for column in F.T)])
    return np.block([[K, edge], [edge.T, F.T @ F]])


def _semidefinite_factor(K: Array, tolerance: float) -> Array:
    """Return L (n, rank) with L L' = K, which is singular where rows are centred."""
    size = tolerance * np.diag(K).max()
    factor, order, rank, _ = linalg.lapack.dpstrf(K, tol=size, lower=True)
    L = np.empty((len(K), rank))
    L[order - 1] = np.tril(factor)[:, :rank]
    return L


def _leading_eigenvector(multiply: Callable[[Array], Array], size: int) -> Array:
    """Return the eigenvector of the largest eigenvalue of a symmetric operator."""
    if size <= _SMALL:
        matrix = np.column_stack([multiply(column) for column in np.eye(size)])
        return np.linalg.eigh(matrix)[1][:, -1]
    start = np.random.default_rng(0).standard_normal(size)
    if not multiply(start).any():
        # An operator of zeros, of which any vector is one.
        return start
    return eigsh(LinearOperator((size, size), multiply, dtype=float), k=1, v0=start)[1][:, 0]


def _normalised(v: Array) -> Array:
    return v / max(float(np.linalg.norm(v)), np.finfo(float).tiny)


# The decomposition


class Constraint(NamedTuple):
    """What a sparse vector u must be: |u|_1 <= bound, and u >= 0 if positive."""

    bound: float
    positive: bool = False


def sparse_maximiser(g: Array, constraint: Constraint) -> Array:
    """Return the u that maximises g' u subject to |u|_2 <= 1 and the constraint.

    It is g, soft-thresholded and normalised. Of k entries above the level t, with mean m and
    standard deviation s, |u|_1 = bound where

        m - t = bound s / sqrt(k - bound^2)

    Entries below t push this root down, so that the levels of shrinking sets rise to that of the
    entries that stay, in finitely many steps, from any level on that is too low.
    """
    bound = constraint.bound
    size = np.maximum(g, 0.0) if constraint.positive else np.abs(g)
    # Most entries are far below the level, and are left out at the first look.
    for level in size.max() * _FIRST_LEVELS:
        active = size[size > level]
        above = active - level
        if above.sum() ** 2 > bound**2 * (above @ above):
            break
    else:
        return _normalised(np.copysign(size, g))
    while (k := len(active)) > bound**2:
        mean = active.sum() / k
        above = active - mean
        std = np.sqrt(above @ above / k)
        if std <= _TIED * mean:
            # No level parts features that are equally good, and they share the bound.
            return np.copysign(np.where(size >= active.min(), bound / k, 0.0), g)
        level = max(level, mean - bound * std / np.sqrt(k - bound**2))
        active = active[active > level]
        if len(active) == k:
            break
    u, chosen = np.zeros(len(g)), np.flatnonzero(size > level)
    u[chosen] = _normalised(np.copysign(size[chosen] - level, g[chosen]))
    return u


Constraints: TypeAlias = tuple[Constraint, Constraint]


class _Pair(NamedTuple):
    """Sparse unit vectors of both views."""

    u: Array  # (p,)
    v: Array  # (q,)
    value: float = 0.0  # u' S v
    n_iter: int = 0
    converged: bool = False


def _alternate(
    moment: _Deflated, start: _Pair, constraints: Constraints, tol: float, max_iter: int
) -> _Pair:
    """Solve for u and v in turns, from v on, until neither moves by more than the tolerance.

    Near the end the steps shrink by a steady rate r, and r / (1 - r) times the last one are left.
    Every few sweeps v leaps there, and comes back where the value is lower than before.
    """
    if start.converged:
        return start
    transposed = moment.T
    u, end, value, n_iter, _ = start
    v, step, leapt = end, np.inf, False
    for n_iter in range(start.n_iter + 1, max_iter + 1):
        new_u = sparse_maximiser(moment.dot(v), constraints[0])
        products = transposed.dot(new_u)
        new_v = sparse_maximiser(products, constraints[1])
        if leapt and products @ new_v < value:
            v, leapt = end, False
            continue
        last = step
        step = float(max(np.linalg.norm(new_u - u), np.linalg.norm(new_v - end)))
        u, end, move, value = new_u, new_v, new_v - end, float(products @ new_v)
        if step <= tol or value == 0:
            break
        leapt = n_iter % _SWEEPS_TO_LEAP == 0 and step < last < np.inf
        v = end + step / (last - step) * move if leapt else end
    return _Pair(u, end, value, n_iter, bool(step <= tol))


def sparse_pair(moment: _Deflated, constraints: Constraints, tol: float, max_iter: int) -> _Pair:
    """Return the sparse vectors that sweeps find from the first singular vectors.

    The problem is not convex: sweeps that begin with u may end elsewhere than those that begin with
    v, and with signs v and -v are two places to begin. Of short trials the best goes on.
    """
    v = moment.leading_vector()
    u, sides = _normalised(moment.dot(v)), (constraints, constraints[::-1])
    trials: list[tuple[_Pair, _Deflated, Constraints]] = []
    for sign in (1.0, -1.0) if any(one.positive for one in constraints) else (1.0,):
        starts = _Pair(u, sign * v), _Pair(v, sign * u)
        for start, m, own in zip(starts, (moment, moment.T), sides, strict=True):
            trials.append((_alternate(m, start, own, tol, min(_TRIAL_SWEEPS, max_iter)), m, own))
    trial, m, own = max(trials, key=lambda trial: trial[0].value)
    pair = _alternate(m, trial, own, tol, max_iter)
    return pair if m is moment else pair._replace(u=pair.v, v=pair.u)


# Components one after another


class Components(NamedTuple):
    """The components of one view, in its standardised features."""

    directions: Array  # (p, k) the sparse vectors
    weights: Array  # (p, k) of variates of variance one
    loadings: Array  # (p, k) correlation of feature and variate
    cross_loadings: Array  # (p, k) correlation of feature and the other view's variate
    scores: Array  # (n, k) the variates

    @classmethod
    def none(cls, n_features: int, n_rows: int) -> Components:
        empty = np.empty((n_features, 0))
        return cls(empty, empty, empty, empty, np.empty((n_rows, 0)))

    def append(self, *columns: Array) -> Components:
        pairs = zip(self, columns, strict=True)
        return Components(*[np.column_stack(pair) for pair in pairs])

    def variate(
        self, view: _View, direction: Array, row_weights: Array, *, uncorrelated: bool
    ) -> tuple[Array, Array]:
        """Return weights and scores of variance one, without correlation with those before."""
        weights, scores = direction, view.scores(direction)
        # The second time removes what rounding has left.
        for _ in range(2 if uncorrelated else 0):
            shares = self.scores.T @ (row_weights * scores)
            weights, scores = weights - self.weights @ shares, scores - self.scores @ shares
        std = np.sqrt(row_weights @ scores**2)
        return weights / std, scores / std


class SparseFit(NamedTuple):
    """Sparse components of both views, in the order of their correlations."""

    x: Components
    y: Components
    x_scaling: FeatureScaling
    y_scaling: FeatureScaling
    correlations: Array  # (k,) of the variates
    pairs: list[_Pair]
    solver: str  # "covariance" or "dual"


def sparse_fit(X: ViewLike, Y: ViewLike, pairs: Pairs, options: SparseOptions) -> SparseFit:
    """Find the sparse components of two views, (n_x, d_x) and (n_y, d_y), over the pairs.

    Raises
    ------
    ValueError
        If a view has no feature that varies, or the two have no correlated direction.
    """
    a, b = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
    x_scaling, y_scaling = (
        _scaling(V, w, side, scale=options.scale) for side, (V, w) in enumerate(((X, a), (Y, b)))
    )
    (n_x, n_y), (p, q) = (len(a), len(b)), (len(x_scaling.unit), len(y_scaling.unit))
    solver = "covariance" if p * q <= n_x * p + n_y * q else "dual"
    x_view, y_view = _view_of(X, x_scaling, solver), _view_of(Y, y_scaling, solver)
    moment = (_FormedMoment if solver == "covariance" else _Products).of(x_view, y_view, pairs)
    eps = max(input_eps(X.dtype), input_eps(Y.dtype))
    x_constraint, y_constraint = (
        Constraint(max(1.0, penalty * np.sqrt(d)), positive)
        for penalty, positive, d in zip(options.penalties, options.positive, (p, q), strict=True)
    )
    tol = max(options.tol, 10 * eps)
    most = min(p, q, n_x - 1, n_y - 1)
    x, y, found = Components.none(p, n_x), Components.none(q, n_y), list[_Pair]()
    while len(found) < min(options.n_components or most, most):
        values = np.array([pair.value for pair in found])
        deflated = _Deflated(moment, *_explained(x, y, values, options.deflation))
        pair = sparse_pair(deflated, (x_constraint, y_constraint), tol, options.max_iter)
        # What is below is rounding of the products, or of what is explained already.
        if pair.value <= 10 * eps * np.sqrt(max(p, q)) * values.max(initial=1.0):
            break
        uncorrelated = options.deflation == "projection"
        x_weights, x_scores = x.variate(x_view, pair.u, a, uncorrelated=uncorrelated)
        y_weights, y_scores = y.variate(y_view, pair.v, b, uncorrelated=uncorrelated)
        x_partners = pairs.dot(y_scores[:, None])[:, 0] / pairs.total
        y_partners = pairs.transposed_dot(x_scores[:, None])[:, 0] / pairs.total
        # Through the components before, Hotelling's deflation may find what does not correlate.
        s = t = 1.0
        if not x_scores @ x_partners > 0:
            if all(options.positive):
                break
            s, t = (-1.0, 1.0) if options.positive[1] else (1.0, -1.0)
        of_x = x_view.products(np.column_stack([s * a * x_scores, t * x_partners])).T
        of_y = y_view.products(np.column_stack([t * b * y_scores, s * y_partners])).T
        x = x.append(s * pair.u, s * x_weights, *of_x, s * x_scores)
        y = y.append(t * pair.v, t * y_weights, *of_y, t * y_scores)
        found.append(pair._replace(value=s * t * pair.value))
    if not found:
        signed = (
            " of weights with the signs that `positive` asks for" if any(options.positive) else ""
        )
        raise NoDirectionError(
            f"The two views have no correlated direction{signed} over the paired rows; "
            "check that the rows (or the classes) of `X` and `y` belong together."
        )
    signs = np.ones(len(found))
    if not any(options.positive):
        signs = component_signs(x_scaling.loadings(x.loadings))
    correlations = column_dots(x.weights, x.cross_loadings)
    order = np.argsort(-correlations, kind="stable")
    x, y = (Components(*((V * signs)[:, order] for V in side)) for side in (x, y))
    found = [found[k] for k in order]
    return SparseFit(
        x, y, x_scaling, y_scaling, np.minimum(correlations[order], 1.0), found, solver
    )


def _scaling(V: ViewLike, weights: Array, side: int, *, scale: bool) -> FeatureScaling:
    """Return means and units of a view: standard deviations, or one unit for all features."""
    mean, variance, residual = mean_and_variance(V, weights)
    check_variance_is_finite(V, np.sqrt(variance), "Xy"[side], weights)
    # A ridge, which is not used, asks for units that do not depend on the directions.
    units = SolverOptions(reg=(1.0, 1.0), scale=scale, full_precision=True)
    return FeatureScaling.of(side, mean, variance, units, residual)


def _explained(x: Components, y: Components, values: Array, deflation: str) -> tuple[Array, Array]:
    """Return F and G, by which the cross-moment is larger than what is left of it."""
    if deflation == "hotelling":
        return x.directions * values, y.directions
    R = x.weights.T @ x.cross_loadings
    F = np.hstack([x.loadings, x.cross_loadings - x.loadings @ R])
    return F, np.hstack([y.cross_loadings, y.loadings])


# Estimators


def _of_all_features(side: Components, scaling: FeatureScaling) -> tuple[Array, Array, Array]:
    """Return means, standard deviations and sparse vectors; 0 for a constant feature."""
    directions = np.zeros((len(scaling.mean), side.directions.shape[1]))
    # A zero has lost its sign.
    directions[scaling.varying] = side.directions + 0.0
    return scaling.mean, np.where(scaling.varying, scaling.std, 0.0), directions


class SparseCCA(TwoViewTransformer):
    """Sparse canonical correlation analysis.

    Maximize u' S_xy v subject to a bound of the L1 norms of u and v, over standardised features:
    the penalised matrix decomposition of Witten, Tibshirani and Hastie [1]_. Most weights of a
    component are exactly 0, so that it says which features matter, also where these are many more
    than the rows.

    Parameters
    ----------
    n_components : int, default=1
        Number of components. None goes on for as long as the data support any, which is seldom
        wanted. More than that warns and gives fewer, see `n_components_`.
    x_penalty, y_penalty : float, default=0.3
        Bound of the L1 norm of the unit vector of each view, as a fraction of the square root of
        its number of features that vary, in (0, 1]: the smaller, the fewer features. 1 selects all
        features, and ``1 / sqrt(n_features)`` or less a single one.
    positive : bool or pair of bool, default=False
        Whether all weights must be at least 0; a pair sets it for each view. The variates still
        correlate positively.
    deflation : {"projection", "hotelling"}, default="projection"
        How a component leaves the data to the next one. "projection" takes its variates out of both
        views, so that the variates of a view are uncorrelated, as those of `CCA`. "hotelling"
        subtracts ``d u v'`` from the cross-moment, as PMA does: weights stay as sparse as they were
        found, but variates may correlate with those before, sometimes as much as .99.
    scale : bool, default=True
        Whether to standardize each feature inside the estimator, so that the penalty does not
        depend on units. Without it, features of large variance are preferred.
    max_iter : int, default=1000
        Most sweeps of one component; a sweep updates both vectors.
    tol : float, default=1e-6
        A component has converged when neither of its unit vectors moves by more in one sweep; at
        least ten times the precision of the input.
    component_scaling : {"unit", "correlation"}, default="unit"
        Variance of the training variates: 1, or the squared correlation of each component.

    Attributes
    ----------
    x_directions_, y_directions_ : ndarray of shape (n_features, n_components_)
        The sparse vectors u and v, weights of standardised features; of length 1 (less where
        equally good features share the bound).
    x_selected_, y_selected_ : ndarray of bool, of shape (n_features, n_components_)
        Features whose weight in the sparse vector of a component is not 0.
    n_nonzero_ : ndarray of int, of shape (2, n_components_)
        Number of selected features of the first and of the second view.
    x_weights_, y_weights_ : ndarray of shape (n_features, n_components_)
        Scores are ``(X - x_mean_) @ x_weights_``, in units of the caller's columns. These are the
        sparse vectors in other units; with ``deflation="projection"`` less what the variate shares
        with those found before, so that their selected features have weights too.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each feature with its view's variates. The largest in absolute value of
        `x_loadings_` is positive in every component, unless `positive` leaves no sign free.
    x_cross_loadings_, y_cross_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each feature with the other view's variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates, descending.
    singular_values_ : ndarray of shape (n_components_,)
        The values u' S v of the components, on what those before have left of S; without penalties
        the singular values of S. One below 0 says that Hotelling's deflation has found a component
        whose variates correlate through those before alone.
    x_explained_variance_ratio_, y_explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the view's standardized variance that each of its own variates explains.
    x_redundancy_, y_redundancy_ : ndarray of shape (n_components_,)
        Share of it that each of the other view's variates explains.
    x_mean_, y_mean_, x_std_, y_std_ : ndarray of shape (n_features,)
        Means and standard deviations of the training views; a constant feature has 0.
    n_components_ : int
        Number of components found.
    n_iter_ : ndarray of int, of shape (n_components_,)
        Sweeps of each component.
    x_rank_, y_rank_ : None
        The ranks of the views are not needed, and not computed.
    solver_ : {"covariance", "dual"}
        Whether S was formed, which needs no more memory than the views, or multiplied as the
        product of the views, which is done where rows are few.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    SparseClusterCCA : Pairs all rows of a class.
    CCA : All features, and a ridge where they are many.

    Notes
    -----
    With v fixed the best u is S v, soft-thresholded at the level that meets the bound exactly; both
    vectors are found in turns, from the first singular vectors of S on. Every sweep raises the
    value. The problem is not convex, and what is found is a local maximum.

    Training correlations of few rows and many features are high whatever the features are. `score`
    on other rows tells what is there, and chooses the penalties in `GridSearchCV`. The penalties of
    the largest score keep more features than matter; the sparsest within one standard error of it
    select better.

    Views may be NumPy arrays, memory maps, DataFrames and SciPy sparse matrices (centred implicitly
    and never made dense as a whole, where they are thin). With fewer rows than features a
    standardised copy of dense views is made, and no matrix of features times features.

    `fit` warns (`sklearn.exceptions.ConvergenceWarning`) where components have not converged, and
    (`UserWarning`) of constant features and of components that the data do not support.

    References
    ----------
    .. [1] D. M. Witten, R. Tibshirani and T. Hastie (2009). A penalized matrix decomposition, with
       applications to sparse principal components and canonical correlation analysis.
       Biostatistics 10, 515-534. :doi:`10.1093/biostatistics/kxp008`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import SparseCCA
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(80, 1))
    >>> X, Y = rng.normal(size=(80, 200)), rng.normal(size=(80, 150))
    >>> X[:, :4] += shared  # four features of 200, and three of 150, have something in common
    >>> Y[:, :3] += shared
    >>> model = SparseCCA(x_penalty=0.12, y_penalty=0.12).fit(X[:60], Y[:60])
    >>> np.flatnonzero(model.x_selected_[:, 0]), np.flatnonzero(model.y_selected_[:, 0])
    (array([0, 1, 2, 3]), array([0, 1, 2]))
    >>> round(model.score(X[60:], Y[60:]), 2)
    0.73
    """

    _parameter_constraints: ClassVar[dict] = {
        **TwoViewTransformer._parameter_constraints,
        "x_penalty": [Interval(Real, 0, 1, closed="right")],
        "y_penalty": [Interval(Real, 0, 1, closed="right")],
        "positive": ["boolean", tuple],
        "deflation": [StrOptions({"projection", "hotelling"})],
        "scale": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }
    # Sparse components beyond the dimensions of the classes select other features.
    _bounded_by_classes: ClassVar[bool] = False

    def __init__(
        self,
        n_components: int | None = 1,
        *,
        x_penalty: float = 0.3,
        y_penalty: float = 0.3,
        positive: bool | tuple[bool, bool] = False,
        deflation: str = "projection",
        scale: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-6,
        component_scaling: str = "unit",
    ):
        self.n_components = n_components
        self.x_penalty = x_penalty
        self.y_penalty = y_penalty
        self.positive = positive
        self.deflation = deflation
        self.scale = scale
        self.max_iter = max_iter
        self.tol = tol
        self.component_scaling = component_scaling

    def _check_view(self, V: ViewLike, side: str, *, reset: bool, min_samples: int = 1) -> ViewLike:
        # Sparse matrices are used as they are, and whatever else as a NumPy array.
        check = check_first_view if side == "x" else check_second_view
        return check(self, V, native=sparse.issparse(V), reset=reset, min_samples=min_samples)

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        penalties = float(self.x_penalty), float(self.y_penalty)
        settings = self.deflation, self.scale, self.max_iter, float(self.tol)
        options = SparseOptions(self.n_components, penalties, per_view(self.positive), *settings)
        solution = sparse_fit(data.X, data.Y, pairs, options)
        missed = sum(not pair.converged for pair in solution.pairs)
        if missed:
            warn(
                f"{self._name}: {missed} of {len(solution.pairs)} components still moved by more "
                f"than `tol`={self.tol} after `max_iter`={self.max_iter} sweeps; raise either.",
                ConvergenceWarning,
            )
        self._assign(solution)

    def _assign(self, solution: SparseFit) -> None:
        """Set the fitted attributes, for all features in their units."""
        x, x_scaling, y, y_scaling = solution.x, solution.x_scaling, solution.y, solution.y_scaling
        self.x_mean_, self.x_std_, self.x_directions_ = _of_all_features(x, x_scaling)
        self.y_mean_, self.y_std_, self.y_directions_ = _of_all_features(y, y_scaling)
        warn_of_constant_features(self.x_std_ == 0, "X")
        warn_of_constant_features(self.y_std_ == 0, "y")
        self.x_selected_, self.y_selected_ = self.x_directions_ != 0, self.y_directions_ != 0
        self.n_nonzero_ = np.stack([self.x_selected_.sum(axis=0), self.y_selected_.sum(axis=0)])
        self.x_cross_loadings_ = x_scaling.loadings(x.cross_loadings)
        self.y_cross_loadings_ = y_scaling.loadings(y.cross_loadings)
        self.n_iter_ = np.array([pair.n_iter for pair in solution.pairs])
        loadings = x_scaling.loadings(x.loadings), y_scaling.loadings(y.loadings)
        weights = x_scaling.weights(x.weights), y_scaling.weights(y.weights)
        values = np.array([pair.value for pair in solution.pairs])
        directions = Directions(*weights, solution.correlations, values, solution.solver)
        self._assign_directions(directions._replace(x_loadings=loadings[0], y_loadings=loadings[1]))
        n_x, n_y = len(x_scaling.unit), len(y_scaling.unit)
        self.x_explained_variance_ratio_ = (loadings[0] ** 2).sum(axis=0) / n_x
        self.y_explained_variance_ratio_ = (loadings[1] ** 2).sum(axis=0) / n_y
        self.x_redundancy_ = (self.x_cross_loadings_**2).sum(axis=0) / n_x
        self.y_redundancy_ = (self.y_cross_loadings_**2).sum(axis=0) / n_y

    def _project(self, V: ViewLike, side: str) -> ViewLike:
        if side == "x":
            return project(V, self.x_mean_, self.x_weights_)
        return project(V, self.y_mean_, self.y_weights_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class SparseClusterCCA(ClassPairedMixin, SparseCCA):
    """Sparse canonical correlation analysis over all pairs of rows that share a class.

    Maximize u' S_xy v as `SparseCCA` does, with the cross-moment over the pairs (i, j) of equal
    labels, which are never materialised.

    Parameters
    ----------
    n_components : int, default=1
        Number of components. Sparse ones may be more than ``n_classes - 1``: they select other
        features. See `SparseCCA`.
    x_penalty, y_penalty : float, default=0.3
        Bound of the L1 norms; see `SparseCCA`.
    instance_weight : float, default=0.0
        Share of the rows' own pairs, in [0, 1]; the rest goes to the class pairs. 1 is `SparseCCA`.
        Above 0 some labels may be missing.
    pair_fraction : float, default=1.0
        Fraction of its class that each row meets, in (0, 1].
    pairs_per_sample : int, default=None
        Number of partners of each row, instead of a fraction.
    pair_weight : {"pair", "row"}, default="pair"
        Whether each pair weighs the same, or a class weighs as its rows.
    positive : bool or pair of bool, default=False
        Whether all weights must be at least 0.
    deflation : {"projection", "hotelling"}, default="projection"
        How a component leaves the data to the next one.
    scale : bool, default=True
        Whether to standardize each feature (over the pairs) inside the estimator.
    max_iter : int, default=1000
        Most sweeps of one component.
    tol : float, default=1e-6
        Largest step of a component that has converged.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component.
    random_state : int, RandomState, Generator or None, default=None
        Draws the partners where pairs are sampled.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    x_directions_, x_selected_, n_nonzero_, x_weights_, correlations_, ...
        Those of `SparseCCA`, over the pairs.

    See Also
    --------
    SparseCCA : Each row with its own partner only.
    ClusterCCA : The same pairs with all features.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcca import SparseClusterCCA, Views, retrieval_map
    >>> X, y = load_digits(return_X_y=True)
    >>> halves = Views(top=X[:, :32], bottom=X[:, 32:])
    >>> model = SparseClusterCCA(9, x_penalty=0.5, y_penalty=0.5).fit(halves[:1000], y[:1000])
    >>> model.n_nonzero_[:, 0]  # of 32 pixels in either half
    array([14, 12])
    >>> round(retrieval_map(model, halves[1000:], y[1000:]), 2)
    0.46
    """

    _parameter_constraints: ClassVar[dict] = {
        **SparseCCA._parameter_constraints,
        **ClassPairedMixin._pairing_constraints,
    }

    def __init__(
        self,
        n_components: int | None = 1,
        *,
        x_penalty: float = 0.3,
        y_penalty: float = 0.3,
        instance_weight: float = 0.0,
        pair_fraction: float = 1.0,
        pairs_per_sample: int | None = None,
        pair_weight: str = "pair",
        positive: bool | tuple[bool, bool] = False,
        deflation: str = "projection",
        scale: bool = True,
        max_iter: int = 1000,
        tol: float = 1e-6,
        component_scaling: str = "correlation",
        random_state: RandomStateLike = None,
    ):
        super().__init__(
            n_components,
            x_penalty=x_penalty,
            y_penalty=y_penalty,
            positive=positive,
            deflation=deflation,
            scale=scale,
            max_iter=max_iter,
            tol=tol,
            component_scaling=component_scaling,
        )
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.random_state = random_state
