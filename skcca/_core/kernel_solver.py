"""The leading directions of kernel CCA from one Cholesky factor of each view.

With p = W 1 / N the weights of the rows, K the kernel matrix centred with p, and

    M = P^1/2 K P^1/2,    H = M (M + r I)^-1 = I - r (M + r I)^-1,    V = P_x^-1/2 (W / N) P_y^-1/2

the squared ridge singular values are the eigenvalues of V H_y V' H_x. Its eigenvectors h, scaled to
h' H h = 1, give everything else: H h / sqrt(p) are the variates of the training rows, and
P^1/2 (M + r I)^-1 h their coefficients. Neither needs an eigenvector of a kernel matrix, so that k
directions cost two Cholesky factorisations and solves with a few right-hand sides:

    class pairs    V has the rank of the classes: a problem of that size, solved directly
    other pairs    a block Krylov space, and Rayleigh-Ritz in the inner product of H
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg

from skcca._core.kernels import KernelFactor
from skcca._core.pairs import FactoredPairs, Pairs, inverse
from skcca._core.rows import product

Array = np.ndarray
# Residual beside which the error of a singular value, its square over a gap, is below 1e-6, as a
# share of the largest square; and as a share of each one, for those that another dwarfs.
_TOLERANCE, _OWN_TOLERANCE = 1e-6, 1e-4
# The share of the square of a singular value that may be rounding.
_LOST = 1e-4
# Squared singular values, relative to the largest, below which nothing but rounding is left.
_NEGLIGIBLE = 1e-10
# Columns of a Krylov block: a solve with so many takes no longer than with one, and the more
# columns, the larger the space must be.
_WIDTH = 4
# The space is looked at when it has grown so much.
_GROWTH = 1.2
# A space of half the rows costs a fifth of the full decomposition, and one more does not pay.
_LARGEST_SPACE = 0.5
# Reciprocal condition number of a Gram matrix that may be inverted.
_SAFE_RCOND = 1e-8
# The share of the rows that components, or classes, may make up.
_FEW = 0.1


class DualFit(NamedTuple):
    """Directions as coefficients of the training rows, of any length."""

    x_coefficients: Array  # (n_x, k) of the rows of the centred kernel
    y_coefficients: Array
    x_scores: Array  # (n_x, k) of the training rows; 0 where a row has no weight
    y_scores: Array
    singular_values: Array  # (k,), ridge included


class _Directions(NamedTuple):
    """Leading eigenvectors of both views, with h' H h = 1."""

    x: Array  # (n_x, k)
    y: Array
    singular_values: Array  # (k,)


def dual_solver_applies(pairs: Pairs, n_components: int | None) -> bool:
    """Whether few enough directions are wanted, or there are few enough, for `dual_fit`."""
    n = min(len(pairs.row_sums), len(pairs.column_sums))
    return _few_classes(pairs) or (n_components is not None and n_components <= _FEW * n)


def dual_fit(
    x: KernelFactor, y: KernelFactor, pairs: Pairs, n_components: int | None
) -> DualFit | None:
    """Find the leading directions over pairs that `dual_solver_applies` to.

    The kernels are positive semi-definite. The fit has at most `n_components` directions (for None,
    with class pairs alone, all of them), each above rounding. It is None if the iteration does not
    converge in a space small enough to pay, or the factors have lost the digits of a direction.
    """
    wanted = min(v for v in (n_components, pairs.max_rank, len(x.root)) if v is not None)
    if wanted == 0:
        return None
    if _few_classes(pairs):
        assert isinstance(pairs, FactoredPairs)
        found = _class_directions(x, y, pairs)
    else:
        assert n_components is not None
        found = _krylov_directions(x, y, pairs, n_components)
    if found is None:
        return None
    squares = found.singular_values**2
    k = min(wanted, int(np.count_nonzero(squares > _NEGLIGIBLE * squares.max())))
    # An error of eps in H moves the square of a singular value by eps h'h, where h' H h = 1. Beside
    # one large eigenvalue of M, H is all rounding, which would pass for a correlation of one.
    sizes = np.maximum(np.sum(found.x**2, axis=0), np.sum(found.y**2, axis=0))
    if (np.finfo(float).eps * sizes[:k] > _LOST * squares[:k]).any():
        return None
    x_dual, y_dual = x.solve(found.x[:, :k]), y.solve(found.y[:, :k])
    x_variates, y_variates = x.dot(x_dual), y.dot(y_dual)
    # Fewer than there may be are believed where a view has no further direction.
    if k < wanted and not (x.is_spanned_by(x_variates) or y.is_spanned_by(y_variates)):
        return None
    return DualFit(
        x.root[:, None] * x_dual,
        y.root[:, None] * y_dual,
        inverse(x.root)[:, None] * x_variates,
        inverse(y.root)[:, None] * y_variates,
        found.singular_values[:k],
    )


def _few_classes(pairs: Pairs) -> bool:
    if not isinstance(pairs, FactoredPairs):
        return False
    return pairs.x_factor.shape[1] <= _FEW * min(len(pairs.row_sums), len(pairs.column_sums))


def _class_directions(x: KernelFactor, y: KernelFactor, pairs: FactoredPairs) -> _Directions | None:
    """Solve the problem of the size of the classes: V = E_x E_y', and h_x = E_x c_x.

    With E' H E = R R', the singular values are those of R_x' R_y = A diag(s) B', and
    c_x = R_y B / s, c_y = R_x A / s.
    """
    factors, roots = [], []
    for view, membership in ((x, pairs.x_factor), (y, pairs.y_factor)):
        E = np.asfortranarray(membership.toarray() * inverse(view.root)[:, None])
        E /= np.sqrt(pairs.total)
        values, vectors = linalg.eigh(E.T @ view.smooth(E))
        # The direction of the mean, and classes of the other view alone, have eigenvalue 0; all of
        # them have it where the means of all classes are equal.
        kept = values > _NEGLIGIBLE * values[-1]
        if not kept.any():
            return None
        factors.append(E)
        roots.append(vectors[:, kept] * np.sqrt(values[kept]))
    A, s, Bt = linalg.svd(roots[0].T @ roots[1], full_matrices=False)
    if not s[0] ** 2 > np.finfo(float).eps:
        return None
    kept = s**2 > _NEGLIGIBLE * s[0] ** 2
    s = s[kept]
    x_classes, y_classes = roots[1] @ Bt[kept].T / s, roots[0] @ A[:, kept] / s
    return _Directions(factors[0] @ x_classes, factors[1] @ y_classes, s)


def _krylov_directions(
    x: KernelFactor, y: KernelFactor, pairs: Pairs, n_components: int
) -> _Directions | None:
    """Find the leading eigenvectors h of V H_y V' H_x in a block Krylov space."""
    # The answer does not depend on the seed.
    rng = np.random.default_rng(0)
    space = _KrylovSpace(x, y, pairs, most=int(_LARGEST_SPACE * len(x.root)))
    block = space.complement(rng.normal(size=(len(x.root), _WIDTH)))
    looked_at, n_known = n_components, -1
    while space.dimension + block.shape[1] <= space.most:
        block = space.complement(space.extend(block))
        exhausted = block.shape[1] == 0
        if not exhausted and space.dimension < _GROWTH * looked_at:
            continue
        looked_at = space.dimension
        values, ritz, errors = space.leading(n_components)
        if not values[0] > np.finfo(float).eps:
            return None
        known = values > _NEGLIGIBLE * values[0]
        tolerances = np.minimum(_TOLERANCE * values[0], _OWN_TOLERANCE * values)
        if exhausted:
            # Complete unless a value has more copies than the block has columns: then a fresh block
            # finds some of them.
            if np.count_nonzero(known) == n_known:
                return space.directions(values[known], ritz[:, known])
            n_known = int(np.count_nonzero(known))
            block = space.complement(rng.normal(size=(len(x.root), _WIDTH)))
        elif len(values) == n_components and (errors < tolerances).all():
            return space.directions(values, ritz)
    return None


class _KrylovSpace:
    """A growing space of vectors h, and Rayleigh-Ritz in the inner product of H.

    The basis is orthonormal in the plain inner product: an eigenvector has a norm of at most
    1 / s^2 there, while a basis that is orthonormal in that of H loses its digits, because H is all
    but singular.
    """

    def __init__(self, x: KernelFactor, y: KernelFactor, pairs: Pairs, most: int):
        self.x, self.y, self.pairs, self.most = x, y, pairs, most
        self.dimension = 0
        # Memory that is not yet filled is not yet taken either.
        self._Q = np.empty((len(x.root), most), order="F")
        self._VHQ, self._HVHQ = (np.empty((len(y.root), most), order="F") for _ in range(2))
        # Upper triangles; the other half is never filled, but LAPACK's callers look for NaN there.
        self._gram, self._square = np.zeros((2, most, most))
        self._scale_x = inverse(x.root)[:, None]
        self._scale_y = inverse(y.root)[:, None] / pairs.total

    def extend(self, block: Array) -> Array:
        """Take in a block and return V H_y V' H_x of it."""
        new = slice(self.dimension, self.dimension + block.shape[1])
        self.dimension = new.stop
        every = slice(new.stop)
        self._Q[:, new] = block
        smooth = self.x.smooth(self._Q[:, new])
        self._VHQ[:, new] = self._scale_y * self.pairs.transposed_dot(self._scale_x * smooth)
        self._HVHQ[:, new] = self.y.smooth(self._VHQ[:, new])
        self._gram[every, new] = product(self._Q[:, every].T, smooth)
        self._square[every, new] = product(self._VHQ[:, every].T, self._HVHQ[:, new])
        return self._back(self._HVHQ[:, new])

    def complement(self, block: Array) -> Array:
        """Return an orthonormal basis of the part of a block outside the space; it may be empty."""
        size = np.sqrt(np.max(np.sum(block**2, axis=0)))
        basis, R, _ = linalg.qr(self._without(block), mode="economic", pivoting=True)
        basis = basis[:, np.abs(np.diag(R)) > _NEGLIGIBLE * size]
        if basis.shape[1] == 0:
            return basis
        # A second pass removes what the rounding of the first has left in the space.
        return linalg.qr(self._without(basis), mode="economic")[0]

    def leading(self, k: int) -> tuple[Array, Array, Array]:
        """Return the k largest squared singular values, their Ritz vectors, and their errors."""
        m = self.dimension
        values, ritz = _rayleigh_ritz(self._gram[:m, :m], self._square[:m, :m], k)
        h = product(self._Q[:, :m], ritz)
        residuals = self._back(product(self._HVHQ[:, :m], ritz)) - h * values
        return values, ritz, np.sqrt(np.sum(residuals**2, axis=0) / np.sum(h**2, axis=0))

    def directions(self, values: Array, ritz: Array) -> _Directions:
        """Return the eigenvectors of both views."""
        m, s = self.dimension, np.sqrt(values)
        return _Directions(self._Q[:, :m] @ ritz, self._VHQ[:, :m] @ ritz / s, s)

    def _back(self, B: Array) -> Array:
        """Return V B."""
        return self._scale_x * self.pairs.dot(self._scale_y * B)

    def _without(self, block: Array) -> Array:
        """Return a block without its part in the space, and without the mean: H sends it to 0."""
        Q, root = self._Q[:, : self.dimension], self.x.root[:, None]
        block = block - root @ (root.T @ block)
        return block - product(Q, product(Q.T, block))


def _rayleigh_ritz(gram: Array, square: Array, k: int) -> tuple[Array, Array]:
    """Return the k largest values and vectors c of square c = value gram c, with c' gram c = 1.

    Of both matrices the upper triangle counts.
    """
    full = np.triu(square) + np.triu(square, 1).T
    R, info = linalg.lapack.dpotrf(gram, lower=False)
    norm = float(np.abs(np.triu(gram)).sum(axis=0).max())
    if info == 0 and linalg.lapack.dpocon(R, norm)[0] > _SAFE_RCOND:
        basis = linalg.lapack.dtrtri(R)[0]
    else:
        # What H sends to zero belongs to no leading direction, and would be its rounding.
        values, vectors = linalg.eigh(gram, lower=False)
        kept = values > 1e-12 * values[-1]
        basis = vectors[:, kept] / np.sqrt(values[kept])
    m = basis.shape[1]
    reduced = product(basis.T, product(full, basis))
    values, vectors = linalg.eigh(reduced, subset_by_index=(max(0, m - k), m - 1))
    return np.maximum(values[::-1], 0.0), product(basis, vectors[:, ::-1])
