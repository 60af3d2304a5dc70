"""Linear models of every ridge on every fold, from one decomposition of each view and fold.

With the covariances S of the training rows of a fold, and C of its held-out rows,

    S_xx = P diag(v) P',    T(r) = (v_x + r_x)^-1/2 P_x' S_xy P_y (v_y + r_y)^-1/2 = U diag(s) V'
    a_k = P_x (v_x + r_x)^-1/2 U_k,    score_k = a_k' C_xy b_k / sqrt(a_k' C_xx a_k  b_k' C_yy b_k)

so that one eigendecomposition a view serves all ridges, and the solution of k components is the
first k of any larger one. The covariances come from sums over the rows of each part, made in one
pass (`skcca._core.streaming`): the training rows of a fold are the other folds. Where they would
lose digits, the rows themselves decide, by one SVD a view and fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import linalg

from skcca._core.arrays import input_eps, project
from skcca._core.compat import to_numpy
from skcca._core.directions import (
    CanonicalFit,
    directions_of,
    leading_singular_vectors,
    pair_correlations,
    pair_moments,
)
from skcca._core.pairs import Labels, Moments, Pairing, Pairs, TrainingData, Weights
from skcca._core.rows import MappedRows, product
from skcca._core.standardize import check_variance_is_finite, mean_and_variance
from skcca._core.types import ViewLike
from skcca._core.whitening import (
    EXACT_RCOND,
    HALF_RCOND,
    LARGEST_RIDGE,
    FeatureScaling,
    IllConditionedError,
    SolverOptions,
    SpectralWhitener,
    column_dots,
    data_whitener,
    scale_covariance,
)
from skcca.model_selection._fold_moments import FoldMoments
from skcca.model_selection._folds import Fold
from skcca.views._arguments import drop_zero_weight_rows

Array = np.ndarray

# The Gram matrix of T squares its singular values. Those above this share of the largest keep
# twelve digits.
_SAFE_SHARE = 1e-2


class PathSettings(NamedTuple):
    """What the models of a path share, and the ridges in which they differ."""

    ridges: Sequence[tuple[float, float]]
    # At most so many components; None for all that the data support.
    n_components: int | None
    scale: bool
    solver: str


class _Spectrum(NamedTuple):
    """Principal axes of a standardised view."""

    view: FeatureScaling
    axes: Array  # (d_varying, rank), orthonormal
    variances: Array  # (rank,)
    from_moments: bool

    def whitening(self, ridge: float) -> Array:
        """Return (v + r)^-1/2 (rank,), and 0 for axes that the moments cannot tell apart."""
        total = self.variances + ridge
        kept = total > 0
        if self.from_moments and total.min() < HALF_RCOND * total.max():
            kept = self.variances > HALF_RCOND * self.variances.max()
        return np.divide(1.0, np.sqrt(total), out=np.zeros(len(total)), where=kept)

    def whitener(self, ridge: float) -> SpectralWhitener:
        """Return the same in the form that the solver takes."""
        kept = self.whitening(ridge) > 0
        return SpectralWhitener(self.axes[:, kept], np.sqrt(self.variances[kept]), ridge)


class _Group(NamedTuple):
    """Ridges under which each view has the same units."""

    places: list[int]
    ridges: list[tuple[float, float]]
    options: SolverOptions


class _Spectra(NamedTuple):
    """Principal axes of both views of the training rows of a fold, and what joins them."""

    x: _Spectrum
    y: _Spectrum
    cross: Array  # P_x' S_xy P_y
    max_rank: int | None


class RidgePath:
    """The models of a path of ridges on the folds of a cross-validation.

    `make_pairs` is called with labels and weights of some rows.
    """

    def __init__(
        self,
        data: TrainingData,
        folds: Sequence[Fold],
        pairing: Pairing,
        make_pairs: Callable[[Labels | None, Weights], Pairs],
        settings: PathSettings,
    ):
        self.data, self.folds = data, folds
        self._make_pairs, self._settings = make_pairs, settings
        eps = (input_eps(data.X.dtype), input_eps(data.Y.dtype))
        self._groups = _groups_of(settings, eps)
        self._in_memory = not hasattr(data.X, "dask")
        # Whether moments had to serve although their condition number costs digits.
        self.ill_conditioned = False
        self._sums = None
        n_train = min(len(train) for train, _ in folds)
        wide = n_train <= max(data.X.shape[1], data.Y.shape[1])
        sampled = pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None
        by_rows = settings.solver == "svd" or (settings.solver == "auto" and wide)
        self._by_rows = self._in_memory and by_rows
        # Partners are drawn anew in every fold, so that its pairs are its own.
        if not (self._by_rows or sampled):
            self._sums = FoldMoments(data, folds, pairing)

    def correlations(self, i: int) -> Array:
        """Return the held-out correlations (n_ridges, k) of fold i.

        Components are in the order of their singular values; those that a model lacks have 0.
        """
        parts = [self._correlations_of(group, i) for group in self._groups]
        k = max(part.shape[1] for part in parts)
        correlations = np.zeros((len(self._settings.ridges), k))
        for group, part in zip(self._groups, parts, strict=True):
            correlations[group.places, : part.shape[1]] = part
        return correlations

    def _correlations_of(self, group: _Group, i: int) -> Array:
        moments, shape = self._moments(i), (len(group.ridges), -1)
        if moments is not None:
            train, test, max_rank = moments
            try:
                spectra = self._spectra_of_moments(group, train, max_rank, i)
                A, B = self._weights(group, spectra)
                found = _correlations_by_moments(spectra, A, B, test, self._in_memory)
                return found.reshape(shape)
            except IllConditionedError:
                pass
        spectra = self._spectra_of_rows(group, i)
        A, B = self._weights(group, spectra)
        return self._correlations_by_rows(spectra, A, B, i).reshape(shape)

    def fits(self, i: int, n_components: int | None) -> Iterator[CanonicalFit]:
        """Yield the model of each ridge on the training rows of fold i."""
        spectra = [self._spectra(group, i) for group in self._groups]
        group_of = {place: g for g, group in enumerate(self._groups) for place in group.places}
        for place, ridges in enumerate(self._settings.ridges):
            x, y, cross, max_rank = spectra[group_of[place]]
            options = self._groups[group_of[place]].options._replace(n_components=n_components)
            x_ridge, y_ridge = (min(ridge, LARGEST_RIDGE) for ridge in ridges)
            f, g = x.whitening(x_ridge), y.whitening(y_ridge)
            T = (f[:, None] * cross * g)[np.ix_(f > 0, g > 0)]
            views = [x.view._replace(ridge=x_ridge), y.view._replace(ridge=y_ridge)]
            whiteners = [x.whitener(x_ridge), y.whitener(y_ridge)]
            solver = "covariance" if x.from_moments else "svd"
            yield directions_of(T, views, whiteners, max_rank, options, solver)

    def correlations_in_order(self, i: int) -> Array:
        """Return the held-out correlations (k,) of fold i under the first ridge.

        Components are in the order of their correlations over the training rows.
        """
        solution = next(self.fits(i, self._settings.n_components))
        test = self._test(i)
        U = to_numpy(project(test.X, solution.x_mean, solution.x_weights)).astype(float)
        V = to_numpy(project(test.Y, solution.y_mean, solution.y_weights)).astype(float)
        return pair_correlations(U, V, self._make_pairs(test.labels, test.weights))

    @property
    def by_rows(self) -> bool:
        """Whether every fold is decomposed from its rows, as a fit would do."""
        return self._by_rows

    def total_moments(self) -> Moments | None:
        """Return the moments of all rows, where they are known to full precision."""
        return None if self._sums is None else self._sums.total()

    def _moments(self, i: int) -> tuple[Moments, Moments, int | None] | None:
        """Return the moments of training and held-out rows, and a bound of the rank, if they serve.

        The products of float32 and of large numbers are made in float64, whose range may be left.
        """
        if self._by_rows:
            return None
        if self._sums is not None:
            return self._sums(i)
        train, test = self._train(i), self._test(i)
        train_pairs, test_pairs = (
            self._make_pairs(own.labels, own.weights) for own in (train, test)
        )
        return (
            pair_moments(train.X, train.Y, train_pairs),
            pair_moments(test.X, test.Y, test_pairs),
            train_pairs.max_rank,
        )

    def _train(self, i: int) -> TrainingData:
        rows = self.folds[i][0]
        return drop_zero_weight_rows(self.data.take(rows, rows))

    def _test(self, i: int) -> TrainingData:
        rows = self.folds[i][1]
        return self.data.take(rows, rows)

    def _spectra(self, group: _Group, i: int) -> _Spectra:
        moments = self._moments(i)
        if moments is not None:
            try:
                return self._spectra_of_moments(group, moments[0], moments[2], i)
            except IllConditionedError:
                pass
        return self._spectra_of_rows(group, i)

    def _spectra_of_moments(
        self, group: _Group, train: Moments, max_rank: int | None, i: int
    ) -> _Spectra:
        allowed = self._settings.solver == "covariance" or not self._in_memory
        least = np.min(group.ridges, axis=0)
        weights = np.zeros(self.data.X.shape[0])
        weights[self.folds[i][0]] = self.data.weights.x[self.folds[i][0]]
        spectra = []
        for side, (V, mean, cov) in enumerate(
            (
                (self.data.X, train.mean_x, train.cov_x),
                (self.data.Y, train.mean_y, train.cov_y),
            )
        ):
            std = np.sqrt(np.maximum(np.diag(cov), 0.0))
            check_variance_is_finite(V, std, "Xy"[side], weights)
            view = FeatureScaling.of(side, mean, np.diag(cov).copy(), group.options)
            S = scale_covariance(cov, view, view)
            variances, axes = linalg.eigh(S, driver="evd", overwrite_a=True, check_finite=False)
            smallest, largest = variances[[0, -1]] + least[side]
            if not allowed and not smallest >= EXACT_RCOND * largest:
                raise IllConditionedError
            self.ill_conditioned |= bool(smallest < HALF_RCOND * largest)
            spectra.append(_Spectrum(view, axes, np.maximum(variances, 0.0), from_moments=True))
        x, y = spectra
        cross = product(scale_covariance(train.cov_xy, x.view, y.view), y.axes)
        cross = product(x.axes.T, cross)
        return _Spectra(x, y, cross, max_rank)

    def _spectra_of_rows(self, group: _Group, i: int) -> _Spectra:
        train = self._train(i)
        pairs = self._make_pairs(train.labels, train.weights)
        spectra, mapped = [], []
        for side, (V, sums) in enumerate(((train.X, pairs.row_sums), (train.Y, pairs.column_sums))):
            w = sums / pairs.total
            mean, variance, residual = mean_and_variance(V, w)
            check_variance_is_finite(V, np.sqrt(variance), "Xy"[side], w)
            view = FeatureScaling.of(side, mean, variance, group.options, residual)
            axes, values, _ = data_whitener(V, w, view)
            spectra.append(_Spectrum(view, axes, values**2, from_moments=False))
            mapped.append(MappedRows(V, mean, partial(_along_axes, view, axes)))
        cross = pairs.cross_moment(*mapped)[:-1, :-1] / pairs.total
        return _Spectra(spectra[0], spectra[1], cross, pairs.max_rank)

    def _weights(self, group: _Group, spectra: _Spectra) -> tuple[Array, Array]:
        """Return the weights of standardised features, the components of all ridges in a row.

        Each ridge has as many columns; those that it lacks, or that rounding makes, are zero.
        """
        x, y, cross, max_rank = spectra
        solved = []
        for ridges in group.ridges:
            x_ridge, y_ridge = (min(ridge, LARGEST_RIDGE) for ridge in ridges)
            f, g = x.whitening(x_ridge), y.whitening(y_ridge)
            rounding = 1 / np.sqrt((1 + x_ridge) * (1 + y_ridge))
            T = f[:, None] * cross * g
            U, _, V = _leading(T, max_rank, self._settings.n_components, rounding)
            A, B = f[:, None] * U, g[:, None] * V
            for spectrum, C, ridge in ((x, A, x_ridge), (y, B, y_ridge)):
                if not spectrum.from_moments:
                    continue
                variances, sizes = spectrum.variances @ C**2, np.sum(C**2, axis=0)
                trace = spectrum.variances.sum()
                strict = self._in_memory and ridge > 0 and self._settings.solver == "auto"
                if strict and (variances <= HALF_RCOND * trace * sizes).any():
                    raise IllConditionedError
                lost = variances <= 10 * np.finfo(float).eps * trace * sizes
                A[:, lost], B[:, lost] = 0.0, 0.0
            solved.append((A, B))
        k = max(A.shape[1] for A, _ in solved)
        A, B = (np.hstack([_padded(C, k) for C in side]) for side in zip(*solved, strict=True))
        return product(x.axes, A), product(y.axes, B)

    def _correlations_by_rows(self, spectra: _Spectra, A: Array, B: Array, i: int) -> Array:
        test = self._test(i)
        pairs = self._make_pairs(test.labels, test.weights)
        x, y = spectra.x.view, spectra.y.view
        U, V = _project(test.X, x, A), _project(test.Y, y, B)
        return pair_correlations(U, V, pairs)


def _groups_of(settings: PathSettings, eps: tuple[float, float]) -> list[_Group]:
    """Return the ridges by the units that they give the views.

    A ridge fixes the units of a view that is not standardised; without one the best conditioned
    units serve.
    """
    kinds = [(x > 0 or settings.scale, y > 0 or settings.scale) for x, y in settings.ridges]
    groups = []
    for kind in dict.fromkeys(kinds):
        places = [place for place, own in enumerate(kinds) if own == kind]
        options = SolverOptions(
            settings.n_components,
            (float(kind[0]), float(kind[1])),
            scale=settings.scale,
            eps=eps,
            full_precision=True,
        )
        groups.append(_Group(places, [settings.ridges[place] for place in places], options))
    return groups


def _leading(
    T: Array, max_rank: int | None, n_components: int | None, rounding: float
) -> tuple[Array, Array, Array]:
    """Return the leading singular vectors of T, from its Gram matrix where that is exact enough."""
    m = min(T.shape)
    limits = [k for k in (n_components, max_rank) if k is not None]
    if limits and 2 * min(limits) <= m and min(limits) > 0:
        k, upright = min(limits), T.shape[0] > T.shape[1]
        short = T.T if upright else T
        gram = product(short, short.T)
        squares, U = linalg.eigh(
            gram, subset_by_index=(m - k, m - 1), overwrite_a=True, check_finite=False
        )
        s = np.sqrt(np.maximum(squares[::-1], 0.0))
        if s[0] > 1e-6 * rounding and s[-1] > _SAFE_SHARE * s[0]:
            U = U[:, ::-1]
            V = product(short.T, U / s)
            return (V, s, U) if upright else (U, s, V)
    return leading_singular_vectors(T, max_rank, n_components, rounding)


def _correlations_by_moments(
    spectra: _Spectra, A: Array, B: Array, test: Moments, in_memory: bool
) -> Array:
    """Return the correlation of each pair of weights in the moments, whose memory is used up."""
    x, y = spectra.x.view, spectra.y.view
    variances = []
    for view, cov, C in ((x, test.cov_x, A), (y, test.cov_y, B)):
        S = scale_covariance(cov, view, view)
        variance, sizes = column_dots(C, product(S, C)), column_dots(C, C)
        rounding = np.trace(S) * sizes
        if in_memory and ((sizes > 0) & ~(variance > HALF_RCOND * rounding)).any():
            raise IllConditionedError
        variances.append(np.where(variance > 10 * np.finfo(float).eps * rounding, variance, 0.0))
    covariance = column_dots(A, product(scale_covariance(test.cov_xy, x, y), B))
    size = np.sqrt(variances[0] * variances[1])
    return np.divide(covariance, size, out=np.zeros(len(size)), where=size > 0)


def _project(V: ViewLike, view: FeatureScaling, weights: Array) -> Array:
    return to_numpy(project(V, view.mean, view.weights(weights))).astype(float)


def _along_axes(view: FeatureScaling, axes: Array, block: Array) -> Array:
    return view.apply(block) @ axes


def _padded(A: Array, k: int) -> Array:
    """Return A (n, k) with columns of zeros for those that it lacks."""
    return np.pad(A, ((0, 0), (0, k - A.shape[1])))
