"""Whitening of one view: its units, and K with K K' = (S + r I)^-1.

There are two ways to a whitener: Cholesky of the moments, which is fast and squares the condition
number, and QR + SVD of the data, which does not. Both work on standardised features, so that
neither the ridge nor the rank cut knows the unit of a column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from skcca._core.arrays import row_blocks
from skcca._core.standardize import ROUNDINGS, mean_and_variance
from skcca._core.types import ViewLike

Array = np.ndarray

# Moments square the condition number. Beyond the first they keep half of the digits, beyond the
# second an error of eps times the condition number of the view, as its decomposition has.
HALF_RCOND = float(np.sqrt(np.finfo(float).eps))

EXACT_RCOND = 2e-5

# Least eigenvalue, by the 1-norm, beside products of float32: their error is 1e-7, and what it does
# to a correlation was 5e-9 over the least eigenvalue, from .1 to 1e-5.
_SAFE_FLOAT32 = 1e-3


# S is long lost beside such a ridge, and what is divided by it stays in the range of float64.
LARGEST_RIDGE = 1e100


class SolverOptions(NamedTuple):
    """Settings of the search for directions."""

    # At most so many components; None for all that the data support.
    n_components: int | None = None
    # The ridge of each view, as a fraction of its mean feature variance or of its total variance.
    reg: tuple[float, float] = (0.0, 0.0)
    ridge_of: str = "mean"
    # Whether the ridge acts on standardised features.
    scale: bool = True
    # "auto" takes the covariance route where its conditioning is safe, else the SVD of the data.
    solver: str = "auto"
    # Relative precision of the input of each view, that of float64 at least.
    eps: tuple[float, float] = (0.0, 0.0)
    # Whether "auto" looks for an error of eps times the condition number, instead of half of the
    # digits, which are enough for features that are approximations themselves.
    full_precision: bool = False
    # Rows, by which `CanonicalFit.chance` is measured; 0 leaves it out.
    n_rows: int = 0


class NoDirectionError(ValueError):
    """No direction of one view correlates with any of the other."""


class IllConditionedError(Exception):
    """The covariance route would lose digits."""


class FeatureScaling(NamedTuple):
    """Columns of a view that vary, the unit of each, and the ridge in those units."""

    mean: Array  # (d,)
    # What the rounding of the mean has left out, (d,).
    residual: Array
    std: Array  # (d,)
    varying: Array  # (d,) bool
    unit: Array  # (d_varying,)
    ridge: float
    eps: float

    @classmethod
    def of(
        cls,
        side: int,
        mean: Array,
        variance: Array,
        options: SolverOptions,
        residual: Array | None = None,
    ) -> FeatureScaling:
        eps = max(options.eps[side], float(np.finfo(float).eps))
        std = np.sqrt(np.maximum(variance, 0.0))
        # The last digits of data are data; those of computed features are rounding.
        varying = std > (0.0 if options.full_precision else ROUNDINGS * eps * np.abs(mean))
        if not varying.any():
            raise NoDirectionError(
                f"`{'Xy'[side]}` has no feature that varies over the paired rows "
                f"({len(mean)} constant); canonical correlation needs one at least."
            )
        # Without a ridge the directions do not depend on units, so the best conditioned ones serve.
        unit, reg = std[varying], float(options.reg[side])
        if reg > 0 and not options.scale:
            unit = np.full_like(unit, np.sqrt(np.mean(unit**2)))
        ridge = min(reg * (len(unit) if options.ridge_of == "total" else 1), LARGEST_RIDGE)
        residual = np.zeros_like(mean) if residual is None else residual
        return cls(mean, residual, std, varying, unit, ridge, eps)

    @property
    def all_vary(self) -> bool:
        return len(self.unit) == len(self.mean)

    def apply(self, block: Array) -> Array:
        """Standardise rows from which the mean has been subtracted."""
        if self.residual.any():
            block = block - self.residual
        return (block if self.all_vary else block[:, self.varying]) / self.unit

    def weights(self, A: Array) -> Array:
        """Weights of standardised columns as weights of all columns in their own units."""
        return self._of_all_columns(A / self.unit[:, None])

    def loadings(self, covariance: Array) -> Array:
        """Correlation of each feature with unit-variance variates; 0 for a constant feature."""
        correlations = covariance * (self.unit / self.std[self.varying])[:, None]
        return self._of_all_columns(correlations.clip(-1.0, 1.0))

    def _of_all_columns(self, A: Array) -> Array:
        """Return rows for all columns, 0 for those that do not vary."""
        if self.all_vary:
            return A
        full = np.zeros((len(self.mean), A.shape[1]))
        full[self.varying] = A
        return full


def scale_covariance(cov: Array, rows: FeatureScaling, columns: FeatureScaling) -> Array:
    """Divide a covariance, in its own memory where possible, by the units of the two views."""
    if not (rows.all_vary and columns.all_vary):
        cov = cov[np.ix_(rows.varying, columns.varying)]
    cov /= rows.unit[:, None]
    cov /= columns.unit
    return cov


class CholeskyWhitener(NamedTuple):
    """K = L^-T with L L' = S + r I."""

    factor: Array
    cov: Array
    rank: int

    def whiten(self, M: Array) -> Array:
        """Return K' M."""
        return linalg.lapack.dtrtrs(self.factor, M, lower=True)[0]

    def lift(self, U: Array) -> Array:
        """Return K U."""
        return linalg.lapack.dtrtrs(self.factor, U, lower=True, trans=1)[0]

    def covariance(self, A: Array) -> Array:
        """Return S A."""
        return self.cov @ A

    def variances(self) -> Array:
        """Return the eigenvalues of S."""
        return np.maximum(linalg.eigvalsh(self.cov, check_finite=False), 0.0)

    def is_exact(self, A: Array, variance: Array) -> Array:
        """Return a mask of the columns of whose variance A' S A half of the digits are known."""
        return variance > HALF_RCOND * np.trace(self.cov) * column_dots(A, A)

    def resolved(self, A: Array, variance: Array) -> Array:
        """Return a mask of the columns that vary by more than the rounding of S.

        A ridge hides the others.
        """
        rounding = 10 * np.finfo(float).eps * np.trace(self.cov)
        return variance > rounding * column_dots(A, A)


class SpectralWhitener(NamedTuple):
    """K = V diag(s^2 + r)^-1/2 with S = V diag(s^2) V', directions without variance left out."""

    vectors: Array  # (d, rank)
    values: Array  # (rank,) s
    ridge: float

    @property
    def matrix(self) -> Array:
        return self.vectors / np.sqrt(self.values**2 + self.ridge)

    @property
    def rank(self) -> int:
        return len(self.values)

    def whiten(self, M: Array) -> Array:
        """Return K' M."""
        return self.matrix.T @ M

    def lift(self, U: Array) -> Array:
        """Return K U."""
        return self.matrix @ U

    def covariance(self, A: Array) -> Array:
        """Return S A."""
        # S itself is not formed: it would be d x d where the rows are few.
        return (self.vectors * self.values**2) @ (self.vectors.T @ A)

    def variances(self) -> Array:
        """Return the eigenvalues of S, without those that are 0."""
        return self.values**2

    def resolved(self, A: Array, variance: Array) -> Array:
        """Return a mask of all columns, since directions without variance were left out."""
        return np.ones(A.shape[1], dtype=bool)


Whitener = CholeskyWhitener | SpectralWhitener


def moment_whitener(
    cov: Array,
    ridge: float,
    *,
    full_precision: bool = False,
    allow_ill_conditioned: bool = False,
    from_float32: bool = False,
) -> Whitener:
    """Whiten by Cholesky, or refuse where the condition number costs too many digits.

    Where ill-conditioned moments are allowed, the directions that they can still tell apart are
    kept. `from_float32` says that the products of the moments were made in float32.
    """
    regularised = np.array(cov, order="F")
    np.einsum("ii->i", regularised)[...] += ridge
    norm = linalg.lapack.dlange("1", regularised)
    factor, info = linalg.lapack.dpotrf(regularised, lower=True, clean=True, overwrite_a=True)
    rcond = linalg.lapack.dpocon(factor, norm, uplo="L")[0] if info == 0 else 0.0
    min_rcond = HALF_RCOND
    if full_precision and not allow_ill_conditioned:
        min_rcond = EXACT_RCOND
    if rcond * norm >= _SAFE_FLOAT32 if from_float32 else rcond >= min_rcond:
        rank = len(cov)
        if ridge > 0:
            # A ridge hides a rank that the features lack.
            tolerance = 10 * np.finfo(float).eps * np.trace(cov)
            rank = int(linalg.lapack.dpstrf(cov, tol=tolerance, lower=True)[2])
        return CholeskyWhitener(factor, cov, rank)
    if not allow_ill_conditioned:
        raise IllConditionedError
    values, vectors = linalg.eigh(cov)
    kept = values > HALF_RCOND * values[-1]
    return SpectralWhitener(vectors[:, kept], np.sqrt(values[kept]), ridge)


def data_whitener(V: ViewLike, w: Array, view: FeatureScaling) -> SpectralWhitener:
    """Whiten by the SVD of sqrt(w) (V - mean) / unit, through a streaming QR of the rows."""
    d = len(view.unit)
    R = np.empty((0, d))
    for rows, block in row_blocks(V, view.mean):
        R = np.vstack([R, view.apply(block) * np.sqrt(w[rows])[:, None]])
        if len(R) > d:
            R = linalg.qr(R, mode="r", overwrite_a=True, check_finite=False)[0][:d]
    if 2 * len(R) < d:
        # The few rows are first reduced to their own space, where the rest costs little.
        basis, R = linalg.qr(R.T, mode="economic", overwrite_a=True, check_finite=False)
        vectors, values, _ = linalg.svd(R, full_matrices=False, check_finite=False)
        vectors = basis @ vectors
    else:
        _, values, vectors = linalg.svd(R, full_matrices=False, check_finite=False)
        vectors = vectors.T
    # Rounding moves a feature by eps of its size, mean included; what varies in its last digits
    # alone, and little else, is mostly noise already, and counts as it is.
    size = np.hypot(view.mean, view.std)[view.varying] / view.unit
    noise = np.minimum(10 * view.eps * np.sqrt(d) * size, 0.1)
    rounding = np.linalg.norm(noise[:, None] * vectors, axis=0)
    kept = values > np.maximum(10 * view.eps * np.sqrt(d) * values[0], rounding)
    return SpectralWhitener(vectors[:, kept], values[kept], view.ridge)


def chance_level(
    whiteners: tuple[Whitener, Whitener], ridges: tuple[float, float], n: int, rank: int | None
) -> float:
    """Return the largest singular value of T for two unrelated views of n rows.

    T' T has the eigenvalues of a product of the shrinkage matrices H = Z (S + r I)^-1 Z' / n of the
    two views. For unrelated views these are free of each other, and Voiculescu's S-transform gives
    the upper edge of the product. Pairs of classes put a projection of the given rank between them.
    """
    x, y = (whitener.variances() for whitener in whiteners)
    x, y = x / (x + ridges[0]), y / (y + ridges[1])
    if rank is None:
        return float(np.sqrt(_edge_of_product(x, y, n - 1)))
    classes = np.ones(rank)
    edges = _edge_of_product(x, classes, n - 1) * _edge_of_product(y, classes, n - 1)
    return float(np.sqrt(edges))


def _edge_of_product(a: Array, b: Array, n: int) -> float:
    """Return the largest eigenvalue of A Q B Q' for n x n matrices and a random rotation Q.

    It is the least of m / ((1 + m) z_a z_b) over m > 0, with z_a the place where the moment series
    sum(z a / (1 - z a)) / n is m.
    """
    m = np.exp(np.linspace(-10, 20, 200))
    places = []
    for values in (a, b):
        share = values[:, None] / values.max()
        low, high = np.zeros(len(m)), np.ones(len(m))
        for _ in range(50):
            z = (low + high) / 2
            above = (z * share / (1 - z * share)).sum(axis=0) > n * m
            low, high = np.where(above, low, z), np.where(above, z, high)
        places.append(high)
    return float((m / ((1 + m) * places[0] * places[1])).min() * a.max() * b.max())


def column_dots(A: Array, B: Array) -> Array:
    return np.einsum("ik,ik->k", A, B)


def ridge_of(reg: float | str, V: ViewLike, w: Array, side: int, *, scale: bool) -> float:
    """Return the ridge of one view; "auto" shrinks as Ledoit and Wolf.

    (1 - s) S + s m I, with m the mean variance, has the directions of S + s / (1 - s) m I; where s
    is 1, as for uncorrelated features, the ridge is infinite and the cross-covariance decides.
    """
    if not isinstance(reg, str):
        return float(reg)
    for method, kind in (("toarray", "sparse"), ("dask", "Dask")):
        if hasattr(V, method):
            name, call = "Xy"[side], "compute" if method == "dask" else method
            raise ValueError(
                f"`reg`='auto' measures its shrinkage on a NumPy array; `{name}` is a {kind} one. "
                f"Set a number, or give {name}.{call}()."
            )
    s = _shrinkage(V, w, side, scale)
    return s / (1 - s) if s < 1 else np.inf


def _shrinkage(V: ViewLike, w: Array, side: int, scale: bool) -> float:
    """Return the s of Ledoit and Wolf, of rows z in units of mean variance one.

        s = min(1, b / d),  d = |S - I|^2,  b = sum_i w_i^2 (sum_i w_i |z_i|^4 - |S|^2)

    with weights of sum one, under which the number of rows is 1 / sum_i w_i^2.
    """
    mean, variance, residual = mean_and_variance(V, w)
    options = SolverOptions(reg=(1.0, 1.0), scale=scale, full_precision=True)
    view = FeatureScaling.of(side, mean, variance, options, residual)
    p, fourth, parts = len(view.unit), 0.0, []
    wide, S = len(w) < p, np.zeros((0, 0) if len(w) < p else (p, p))
    for rows, block in row_blocks(V, mean):
        Z = view.apply(block)
        fourth += w[rows] @ column_dots(Z.T, Z.T) ** 2
        Z *= np.sqrt(w[rows])[:, None]
        if wide:
            parts.append(Z)
        else:
            S += Z.T @ Z
    if wide:
        # Z Z' has the squares of Z' Z in sum, and the trace p.
        Z = np.vstack(parts)
        square = np.sum((Z @ Z.T) ** 2)
        distance = square - p
    else:
        square = np.vdot(S, S)
        S[np.diag_indices(p)] -= 1.0
        distance = np.vdot(S, S)
    # S is the identity already, which any shrinkage leaves alone.
    if distance <= 1e-20 * p:
        return 0.0
    return float(min(1.0, max(0.0, (w @ w) * (fourth - square) / distance)))
