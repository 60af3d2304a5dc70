"""Kernels of one view: matrices over the training rows, feature maps, and the way to new rows.

Whatever the kernel, there are features G of the training rows with G G' = K, exactly or
approximately, on which the linear algebra can run. An exact map also factors K itself, from which
`skcca._core.kernel_solver` makes the leading directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import euclidean_distances, pairwise_kernels
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms

from skcca._core.compat import get_chunk_n_rows
from skcca._core.rows import is_uniform
from skcca._core.standardize import Standardisation
from skcca._core.types import ViewLike
from skcca._core.warnings import warn

Array = np.ndarray
WITH_GAMMA = ("rbf", "laplacian", "poly", "polynomial", "sigmoid", "chi2")
_DEFINITE = ("linear", "rbf", "laplacian", "cosine", "chi2", "additive_chi2")
# Kernels that a shift of all rows leaves as they are, once centred.
_SHIFT_INVARIANT = ("linear", "rbf", "laplacian")
# Numbers of a stripe of a kernel matrix, 1 MiB: it stays in the cache.
_STRIPE = 2**17
_BLOCK_ROWS = 4096
# Ridges, as multiples of the rounding and of the total variance, beside which directions of
# rounding have no weight, and H = I - r (M + r I)^-1 keeps its digits.
_RIDGES = (1e4, 10.0)
# Squared norm of the largest row in feature space, over the median, whose rounding hides others.
_GRADED = 1e5
# The share of the variance of a variate that may be rounding.
_LOST = 1e-3
# Rows of a stripe that is transposed: some lines of the cache.
_TRANSPOSED = 64
# Squared norm of a row, over the median, beside which squared distances lose most of their digits.
_FAR = 1e8


class Kernel(NamedTuple):
    """One kernel with its parameters."""

    name: str | Callable  # a name of scikit-learn's, "precomputed" or a function of two rows
    params: dict[str, Any]

    def __call__(self, A: Array, B: Array | None) -> Array:
        """Return the kernel matrix (n_a, n_b) in float64; a precomputed one needs no `B`."""
        if self.name == "precomputed":
            return np.asarray(A, dtype=float)
        if self.name == "rbf":
            return _gaussian(_squared_distances(A, B), self.params["gamma"])
        # `require_finite` reports what overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            K = pairwise_kernels(A, B, metric=self.name, filter_params=True, **self.params)
        return require_finite(np.asarray(K, dtype=float), f"kernel {self.name!r}")

    @property
    def gamma(self) -> float | None:
        """The parameter `gamma`, or None for a kernel without it."""
        return self.params["gamma"] if self.name in WITH_GAMMA else None

    @property
    def shift_invariant(self) -> bool:
        """Whether a shift of all rows changes nothing, so that rows may be centred first."""
        return self.name in _SHIFT_INVARIANT

    @property
    def definite(self) -> bool:
        """Whether the kernel is known to be positive semi-definite, once centred."""
        if self.name in ("poly", "polynomial"):
            return float(self.params["degree"]).is_integer() and self.params["coef0"] >= 0
        return self.name in _DEFINITE

    def fit_matrix(self, rows: Array, weights: Array) -> tuple[Kernel, Array]:
        """Return the kernel with its default `gamma`, and its matrix over the training rows."""
        if self.name not in WITH_GAMMA or self.params["gamma"] is not None:
            return self, self(rows, rows)
        K = _squared_distances(rows)
        gamma = default_gamma(K, weights)
        kernel = self._replace(params={**self.params, "gamma": gamma})
        if self.name != "rbf":
            return kernel, kernel(rows, rows)
        return kernel, _gaussian(K, gamma)

    def with_gamma(self, rows: Array, weights: Array) -> Kernel:
        """Return the kernel with its default `gamma`."""
        if self.name not in WITH_GAMMA or self.params["gamma"] is not None:
            return self
        gamma = default_gamma(_squared_distances(rows), weights)
        return self._replace(params={**self.params, "gamma": gamma})


def _squared_distances(A: Array, B: Array | None = None) -> Array:
    B = A if B is None else B
    with np.errstate(over="ignore", invalid="ignore"):
        D = require_finite(euclidean_distances(A, B, squared=True), "distance")
        sizes = row_norms(B, squared=True)
        far = row_norms(A, squared=True) > _FAR * np.median(sizes)
    # The distances of a far row are differences of large numbers, not 0 to itself for one.
    if far.any():
        D[far] = cdist(A[far], B, "sqeuclidean")
    return D


def _gaussian(D: Array, gamma: float) -> Array:
    """Return exp(-gamma D) in the memory of D, stripe by stripe."""
    for stripe in _stripes(D):
        np.exp(np.multiply(D[stripe], -gamma, out=D[stripe]), out=D[stripe])
    return D


def require_finite(values: Array, source: str) -> Array:
    """Refuse values that are not finite, with a message that names their source."""
    if not np.isfinite(values).all():
        raise ValueError(
            f"The {source} gives values that are not finite; check `gamma`, `degree` and `coef0`, "
            "and the scale of the rows."
        )
    return values


def median_distance(distances: Array, weights: Array) -> float:
    """Return the median of a symmetric matrix of distances over all ordered pairs of rows.

    Pairs weigh w_i w_j, self-pairs too, so that integer weights equal repeated rows. Where half of
    the weight lies between two values, it is their mean. Quantiles of a sample of the pairs leave
    few values to sort; the result does not depend on the sample.
    """
    n, half = len(distances), weights.sum() ** 2 / 2
    # Sums of weights are rounded, and an even number of pairs must be seen as such.
    tolerance = 1e-12 * half
    shares = None if is_uniform(weights) else weights / weights.sum()
    drawn = np.random.default_rng(0).choice(n, size=(2, 20_000), p=shares)
    sample = distances[drawn[0], drawn[1]]
    low, high = np.quantile(sample, (0.48, 0.52))
    while True:
        below, values, masses = 0.0, [], []
        for rows in _stripes(distances):
            # The pairs of these rows among each other, and twice those with the rows below.
            stripe, others = distances[rows, rows.start :], weights[rows.start :].copy()
            others[rows.stop - rows.start :] *= 2
            below += weights[rows] @ ((stripe < low) @ others)
            between = (stripe >= low) & (stripe <= high)
            values.append(stripe[between])
            masses.append(np.outer(weights[rows], others)[between])
        found = np.concatenate(values)
        order = np.argsort(found)
        share = below + np.cumsum(np.concatenate(masses)[order])
        if below < half - tolerance and share[-1:].max(initial=0.0) > half + tolerance:
            break
        # The sample's quantiles err by .0035, unless values repeat: then all are sorted.
        low, high = 0.0, np.inf
    places = np.searchsorted(share, (half - tolerance, half + tolerance))
    return float(found[order[places]].mean())


def default_gamma(distances: Array, weights: Array) -> float:
    """Return 1 / median of the squared distances of the training rows."""
    typical = median_distance(distances, weights)
    # The median is 0 where more than half of the pairs are equal.
    if typical == 0.0:
        typical = float(weights @ distances @ weights / weights.sum() ** 2)
        if typical == 0.0:
            raise ValueError("A view is constant: all its rows are equal, and so is any kernel.")
        warn(
            "More than half of the pairs of rows are equal, so their median distance is 0; `gamma` "
            "is 1 / mean squared distance instead. Set `gamma` to choose it yourself."
        )
    return 1.0 / typical


def _stripes(K: Array) -> Iterator[slice]:
    """Yield stripes of rows small enough for the cache."""
    return gen_batches(len(K), max(1, _STRIPE // K.shape[1]))


def _blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Yield blocks of rows whose kernel of that width fits the working memory."""
    most = get_chunk_n_rows(row_bytes=4 * 8 * width, max_n_rows=min(n_rows, _BLOCK_ROWS))
    return gen_batches(n_rows, most)


class CentredKernel:
    """M = P^1/2 K P^1/2 of one view in the upper triangle; the lower one has room for a factor."""

    def __init__(self, moment: Array, root: Array, rounding: float = 0.0):
        # The transpose of a symmetric matrix is the same in the order of columns that LAPACK reads.
        self.matrix = moment.T
        self.diagonal = moment.diagonal().copy()  # (n,) of M
        self.root = root  # (n,) sqrt(p)
        # The rounding of M.
        self.rounding = rounding

    @property
    def total(self) -> float:
        """The total variance in feature space."""
        return float(self.diagonal.sum())

    def dot(self, B: Array, factor: float = 1.0) -> Array:
        """Return M B times a number."""
        own = np.einsum("ii->i", self.matrix)
        of_factor = own.copy()
        own[:] = self.diagonal
        MB = linalg.blas.dsymm(factor, self.matrix, B, lower=False)
        own[:] = of_factor
        return MB

    def is_spanned_by(self, Z: Array) -> bool:
        """Whether M leaves nothing but rounding outside the span of the columns."""
        Q = linalg.qr(Z, mode="economic")[0]
        return self.total - np.vdot(Q, self.dot(Q)) <= self.rounding


class KernelFactor(NamedTuple):
    """The Cholesky factor of M + r I, or of M + a M' + r I with M' of the other view, beside M."""

    kernel: CentredKernel
    ridge: float

    @classmethod
    def of(
        cls,
        kernel: CentredKernel,
        ridge: float,
        other: CentredKernel | None = None,
        share: float = 0.0,
    ) -> KernelFactor | None:
        """Factor in place of an earlier factor; return None if the sum is not positive definite."""
        # In the order of rows, M is in the lower triangle and its factor in the upper one.
        A, B = kernel.matrix.T, None if other is None else other.matrix.T
        for rows in gen_batches(len(A), _TRANSPOSED):
            below = slice(rows.stop, None)
            corner = np.tril(A[rows, rows], -1)
            A[rows, rows] = corner + corner.T
            A[rows, below] = A[below, rows].T
            if B is not None:
                A[rows, rows] += share * np.tril(B[rows, rows], -1).T
                A[rows, below] += share * B[below, rows].T
        diagonal = np.einsum("ii->i", A)
        diagonal[:] = kernel.diagonal + ridge
        if other is not None:
            diagonal += share * other.diagonal
        info = linalg.lapack.dpotrf(kernel.matrix, lower=True, clean=False, overwrite_a=True)[1]
        return None if info else cls(kernel, ridge)

    def solve(self, B: Array) -> Array:
        """Return the inverse of the sum times B."""
        return linalg.lapack.dpotrs(self.kernel.matrix, B, lower=True)[0]

    def smooth(self, B: Array) -> Array:
        """Return H B, for the factor of M + r I."""
        return B - self.ridge * self.solve(B)


def _digits_lost(size: float, variation: float, eps: float) -> bool:
    """Whether a kernel of that size has lost half of the digits of its variation over the rows."""
    return not variation > np.sqrt(eps) * size


def _warn_of_lost_digits(kernel: Kernel, size: float, variation: float) -> None:
    warn(
        f"The values of the kernel {kernel.name!r} are {size / variation:.0e} times as large as "
        "their variation over the training rows, so that most of their digits are lost. A kernel "
        "that depends on the origin needs rows that are centred (scale=True does it), any other a "
        "larger `gamma`."
    )


class ExactMap:
    """The kernel K (n, n) over the training rows, centred in feature space by their weights.

    The weights (n,) sum to one; `eps` is the relative precision of the values of the kernel.
    """

    def __init__(
        self,
        kernel: Kernel,
        K: Array,
        rows: Array,
        scaling: Standardisation,
        weights: Array,
        eps: float,
    ):
        self.kernel, self._scaling = kernel, scaling
        self._K: Array | None = K
        self._features: Array | None = None
        self._kept = callable(kernel.name) or kernel.name == "precomputed"
        self._rows: Any = None if kernel.name == "precomputed" else rows
        self._weights, self._eps = weights, eps
        self._n_rows, self._size = len(K), float(max(K.max(), -K.min()))
        if self._kept:
            self._require_symmetry(K)
        self._row_means = K @ weights
        self._mean = float(weights @ self._row_means)
        sizes = np.diag(K)
        self._total = float(weights @ sizes) - self._mean
        self._graded = (
            kernel.definite and sizes.max() > _GRADED * np.median(sizes) > 0 < sizes.min()
        )
        self._rounding = len(K) * eps * max(self._total, self._size * float(weights.max()))

    def ridge(self, reg: float) -> float | None:
        """Return this share of the total variance, or None where only the eigenvalues are safe."""
        ridge = reg * self._total
        safe = _RIDGES[0] * self._rounding < ridge <= _RIDGES[1] * self._total
        return ridge if safe else None

    def centred(self) -> CentredKernel | None:
        """Return M with room for factors, or None where only the eigenvalues are safe.

        These are those of a kernel with negative directions, or with rows that dwarf the others.
        """
        if self._graded or _digits_lost(self._size, self._total, self._eps):
            return None
        root = np.sqrt(self._weights)
        M = self._centred(root)
        square = 0.0 if self.kernel.definite else float(np.vdot(M, M))
        centred = CentredKernel(M, root, self._rounding)
        if not self.kernel.definite:
            # Those that are not known to be semi-definite, "sigmoid", "precomputed" and callables,
            # must have a factor beside a shift too small to hide what `features` would report:
            # sum(l^2) / sum(l) is no more than the largest eigenvalue.
            shift = max(1e-8 * square / self._total, self._rounding)
            if KernelFactor.of(centred, shift) is None:
                return None
        return centred

    def features(self) -> Array:
        """Return uncorrelated features G of the rows: M = U diag(l) U', G = P^-1/2 U sqrt(l)."""
        if self._features is not None:
            return self._features
        root = np.sqrt(self._weights)
        if self._graded:
            values, vectors, rounding = self._graded_eigenvectors(root)
        else:
            M = self._centred(root)
            # Divide and conquer is the driver with the most orthogonal vectors.
            values, vectors = linalg.eigh(M, driver="evd", overwrite_a=True, check_finite=False)
            rounding = self._n_rows * self._eps * max(values[-1], self._size * root.max() ** 2)
        kept = values > rounding
        # The largest eigenvalue of a matrix of rounding may be above that of one of its values.
        constant = self.kernel.definite and self._total <= self._rounding
        if constant or not kept.any():
            raise ValueError(
                "The kernel is constant over the training rows, so it has no direction; check "
                f"`gamma` and the other parameters of kernel {self.kernel.name!r}, and whether the "
                "rows are far from the origin."
            )
        variation = float(np.abs(values).sum())
        if _digits_lost(self._size, variation, self._eps):
            _warn_of_lost_digits(self.kernel, self._size, variation)
        elif values[0] < -max(1e-8 * values[-1], np.max(rounding)):
            warn(
                f"The kernel {self.kernel.name!r} is not positive semi-definite (the least "
                f"eigenvalue is {values[0] / values[-1]:.3g} of the largest); its negative "
                "directions are left out."
            )
        self.variances = values[kept]
        # Where a row has no weight, its features are 0.
        root[root == 0.0] = np.inf
        self._features = vectors[:, kept] * np.sqrt(self.variances) / root[:, None]
        return self._features

    def _graded_eigenvectors(self, root: Array) -> tuple[Array, Array, Array]:
        """Return the eigenvalues and vectors of M, and the rounding of each, of its square root.

        Where some rows dwarf the others, the eigenvectors of M know these to the rounding of the
        former alone. A Cholesky factor has the rounding of each row's own size, and half as many
        digits between the largest and the least.
        """
        K = self.kernel(self._rows, self._rows) if self._K is None else self._K.copy()
        norms = np.sqrt(np.diag(K))
        K /= norms[:, None]
        K /= norms
        tolerance = self._n_rows * self._eps
        factor, order, rank, _ = linalg.lapack.dpstrf(
            K, tol=tolerance, lower=True, overwrite_a=True
        )
        G = np.empty((self._n_rows, rank))
        G[order - 1] = np.tril(factor)[:, :rank]
        G *= norms[:, None]
        G -= self._weights @ G
        vectors, values, _ = linalg.svd(root[:, None] * G, full_matrices=False, overwrite_a=True)
        rounding = tolerance * (root * norms) ** 2 @ vectors**2 + (tolerance * values[0]) ** 2
        return values**2, vectors, rounding

    def dual(self, weights: Array) -> Array:
        """Return the coefficients of the training rows for weights of the features."""
        scores = self.features() @ (weights / self.variances[:, None])
        return self.centred_coefficients(self._weights[:, None] * scores)

    def centred_coefficients(self, coefficients: Array) -> Array:
        """Return the coefficients of the kernel for those of the centred kernel."""
        return coefficients - self._weights[:, None] * coefficients.sum(axis=0)

    def resolves(self, weights: Array, scores: Array) -> Array:
        """Return a mask of the directions whose scores are more than the rounding of the kernel.

        Rounding makes their variance another one than that of the features.
        """
        variance = self.variances @ weights**2
        return np.abs(self._weights @ scores**2 - variance) < _LOST * variance

    def features_of(self, V: ViewLike) -> Array:
        """Return the centred kernel of rows, whose products with coefficients are the scores."""
        K = self.kernel(self._scaling.apply(V), self._rows)
        return self._centred_rows(K, in_place=not self._kept)

    def training_scores(self, coefficients: Array) -> Array:
        """Return the scores of the training rows, as those of any rows."""
        if self._K is not None:
            return self._centred_rows(self._K, in_place=False) @ coefficients
        out = np.empty((self._n_rows, coefficients.shape[1]))
        for block in _blocks(self._n_rows, self._n_rows):
            K = self.kernel(self._rows[block], self._rows)
            out[block] = self._centred_rows(K, in_place=True) @ coefficients
        return out

    def _centred_rows(self, K: Array, *, in_place: bool) -> Array:
        # The coefficients sum to zero, but a large mean of the kernel would cost their digits.
        K = np.subtract(K, self._row_means, out=K if in_place else None)
        K -= (K @ self._weights)[:, None]
        return K

    def release(self) -> None:
        """Release the matrices needed in training alone."""
        self._K = self._features = None
        vars(self).pop("variances", None)

    def _centred(self, root: Array) -> Array:
        """Return diag(root) K_c diag(root).

        It takes the memory of K, which is made anew if need be, unless that is the caller's or slow
        to make.
        """
        K = self.kernel(self._rows, self._rows) if self._K is None else self._K
        M = np.empty(K.shape) if self._kept else K
        self._K = K if self._kept else None
        for rows in _stripes(M):
            stripe = np.subtract(K[rows], self._row_means, out=M[rows])
            stripe -= (self._row_means[rows] - self._mean)[:, None]
            stripe *= root[rows, None]
            stripe *= root
        return M

    def _require_symmetry(self, K: Array) -> None:
        """Refuse a matrix that is not symmetric."""
        error = max(np.abs(K[rows] - K[:, rows].T).max() for rows in _stripes(K))
        if error > np.sqrt(self._eps) * self._size:
            raise ValueError(
                f"The kernel {self.kernel.name!r} is not symmetric over the training rows; a "
                "kernel has k(a, b) = k(b, a). Symmetrize a precomputed one: (K + K.T) / 2."
            )


class SampledMap:
    """Features sampled by scikit-learn: Nystroem landmarks or random Fourier features."""

    def __init__(
        self,
        kernel: Kernel,
        sampler: Nystroem | RBFSampler,
        rows: Array,
        scaling: Standardisation,
        weights: Array,
    ):
        # The output that scikit-learn is set to is meant for the user's transformers.
        self.kernel, self._sampler = kernel, sampler.set_output(transform="default").fit(rows)
        self._scaling = scaling
        self._features = np.empty((len(rows), sampler.n_components))
        for block in _blocks(*self._features.shape):
            self._features[block] = sampler.transform(rows[block])
        require_finite(self._features, "approximated kernel")
        self._mean = weights @ self._features
        sizes = np.einsum("ij,ij->i", self._features, self._features)
        variation = float(weights @ sizes - self._mean @ self._mean)
        if _digits_lost(sizes.max(), variation, np.finfo(float).eps):
            _warn_of_lost_digits(kernel, sizes.max(), variation)

    def features(self) -> Array:
        """Return G of the training rows."""
        return self._features

    def dual(self, weights: Array) -> Array:
        """Return the coefficients of the features themselves."""
        return weights

    def training_scores(self, coefficients: Array) -> Array:
        """Return the scores of the training rows, as `scores` gives them."""
        return (self._features - self._mean) @ coefficients

    def features_of(self, V: ViewLike) -> Array:
        """Return the centred features of rows, whose products with coefficients are the scores."""
        return self._sampler.transform(self._scaling.apply(V)) - self._mean

    def release(self) -> None:
        """Release the matrices needed in training alone."""
        vars(self).pop("_features", None)


FeatureMap = ExactMap | SampledMap


def feature_scores(feature_map: FeatureMap, V: ViewLike, coefficients: Array) -> Array:
    """Return the scores of rows, holding one block of their features at a time."""
    out = np.empty((len(V), coefficients.shape[1]))
    for block in _blocks(len(V), len(coefficients)):
        out[block] = feature_map.features_of(V[block]) @ coefficients
    return out
