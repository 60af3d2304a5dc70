"""The leading directions of kernel CCA from Cholesky factors of the kernels.

With p = W 1 / N the weights of the rows, K the kernel matrix centred with p, r its ridge, and

    X = P_x^1/2 K_x P_x^1/2 / r_x,    Y likewise,    V = P_x^-1/2 (W / N) P_y^-1/2
    H_x = X (X + I)^-1,    H_y = Y (Y + I)^-1

the directions have the variates g = X u of the training rows (times P^1/2) with

    V Y u_y = s (X + I) u_x,    V' X u_x = s (Y + I) u_y,    norm  g' (X + I) u = g' (g + u) = 1.

Neither an eigenvector of a kernel matrix nor all directions are needed for the leading ones:

    the rows' own pairs   V = I, and  S^-1 Y X u_x = s^2 / (1 - s^2) u_x  with  S = I + X + Y:
                          one factor, and values that lie the further apart the closer s is to 1
    class pairs           V has the rank of the classes: a problem of that size, solved directly
    other pairs           (X + I)^-1 V H_y V' X u_x = s^2 u_x

The first and the last take a block Krylov space, orthonormal in the inner product of the norm, in
which the operators are symmetric.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from scipy import linalg

from skcca._core.kernels import CentredKernel, KernelFactor
from skcca._core.pairs import FactoredPairs, InstancePairs, Pairs, inverse
from skcca._core.rows import product

Array = np.ndarray
# Residual beside which the error of a singular value, its square over a gap, is below 1e-6, as a
# share of the largest square; and as a share of each one, for those that another dwarfs.
_TOLERANCE, _OWN_TOLERANCE = 1e-8, 1e-4
# The share of the square of a singular value that may be rounding.
_LOST = 1e-4
# Squared singular values, relative to the largest, below which nothing but rounding is left.
_NEGLIGIBLE = 1e-10
# Columns of a Krylov block: a product with so many takes hardly longer than with one, and the more
# columns, the larger the space must be.
_WIDTH = 8
# The space is looked at when it has grown so much.
_GROWTH = 1.1
# So many times its rounding g may differ from X u before it is computed anew.
_DRIFT = 1e4
# A space of half the rows costs a fifth of the full decomposition, and one more does not pay.
_LARGEST_SPACE = 0.5
# The share of the rows that components, or classes, may make up.
_FEW = 0.1

_EPS = float(np.finfo(float).eps)


class DualFit(NamedTuple):
    """Directions as coefficients of the training rows, of any length."""

    x_coefficients: Array  # (n_x, k) of the rows of the centred kernel
    y_coefficients: Array
    x_scores: Array  # (n_x, k) of the training rows; 0 where a row has no weight
    y_scores: Array
    singular_values: Array  # (k,), ridge included


class _Directions(NamedTuple):
    """Directions (n, k) of both views, with g = X u of any length."""

    x_dual: Array  # u
    y_dual: Array
    x_variates: Array  # g
    y_variates: Array
    singular_values: Array  # (k,)
    # The share of each squared singular value that may be rounding.
    rounding: Array  # (k,)


def dual_solver_applies(pairs: Pairs, n_components: int | None) -> bool:
    """Whether few enough directions are wanted, or there are few enough, for `dual_fit`."""
    n = min(len(pairs.row_sums), len(pairs.column_sums))
    return _few_classes(pairs) or (n_components is not None and n_components <= _FEW * n)


def dual_fit(
    x: CentredKernel,
    y: CentredKernel,
    ridges: tuple[float, float],
    pairs: Pairs,
    n_components: int | None,
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
        found = _class_directions(x, y, ridges, pairs)
    else:
        assert n_components is not None
        found = _krylov_directions(x, y, ridges, pairs, n_components)
    if found is None:
        return None
    squares = found.singular_values**2
    k = min(wanted, int(np.count_nonzero(squares > _NEGLIGIBLE * squares.max())))
    if not (found.rounding[:k] <= _LOST).all():
        return None
    x_variates, y_variates = found.x_variates[:, :k], found.y_variates[:, :k]
    # Fewer than there may be are believed where a view has no further direction.
    if k < wanted and not (x.is_spanned_by(x_variates) or y.is_spanned_by(y_variates)):
        return None
    return DualFit(
        x.root[:, None] * found.x_dual[:, :k],
        y.root[:, None] * found.y_dual[:, :k],
        inverse(x.root)[:, None] * x_variates,
        inverse(y.root)[:, None] * y_variates,
        found.singular_values[:k],
    )


def _few_classes(pairs: Pairs) -> bool:
    if not isinstance(pairs, FactoredPairs):
        return False
    return pairs.x_factor.shape[1] <= _FEW * min(len(pairs.row_sums), len(pairs.column_sums))


def _class_directions(
    x: CentredKernel, y: CentredKernel, ridges: tuple[float, float], pairs: FactoredPairs
) -> _Directions | None:
    """Solve the problem of the size of the classes: V = E_x E_y', and h_x = (X + I) u_x = E_x c_x.

    With E' H E = R R', the singular values are those of R_x' R_y = A diag(s) B', and
    c_x = R_y B / s, c_y = R_x A / s.
    """
    solvers, factors, roots = [], [], []
    for view, ridge, membership in ((x, ridges[0], pairs.x_factor), (y, ridges[1], pairs.y_factor)):
        solver = KernelFactor.of(view, ridge)
        if solver is None:
            return None
        E = np.asfortranarray(membership.toarray() * inverse(view.root)[:, None])
        E /= np.sqrt(pairs.total)
        values, vectors = linalg.eigh(E.T @ solver.smooth(E))
        # The direction of the mean, and classes of the other view alone, have eigenvalue 0; all of
        # them have it where the means of all classes are equal.
        kept = values > _NEGLIGIBLE * values[-1]
        if not kept.any():
            return None
        solvers.append(solver)
        factors.append(E)
        roots.append(vectors[:, kept] * np.sqrt(values[kept]))
    A, s, Bt = linalg.svd(roots[0].T @ roots[1], full_matrices=False)
    if not s[0] ** 2 > _EPS:
        return None
    kept = s**2 > _NEGLIGIBLE * s[0] ** 2
    s = s[kept]
    h_x = factors[0] @ (roots[1] @ Bt[kept].T / s)
    h_y = factors[1] @ (roots[0] @ A[:, kept] / s)
    x_dual, y_dual = solvers[0].solve(h_x), solvers[1].solve(h_y)
    # An error of eps in H moves the square of a singular value by eps h'h, where h' H h = 1. Beside
    # one large eigenvalue of M, H is all rounding, which would pass for a correlation of one.
    sizes = np.maximum(np.sum(h_x**2, axis=0), np.sum(h_y**2, axis=0))
    return _Directions(x_dual, y_dual, x.dot(x_dual), y.dot(y_dual), s, _EPS * sizes / s**2)


class _Operator(Protocol):
    """A map of variates g of the first view, symmetric in the inner product of the ridge."""

    def image(self, g: Array) -> tuple[Array, Array]:
        """Return the variates X u of the image, and u."""

    def squares(self, values: Array) -> Array:
        """Return the squared singular values of eigenvalues."""

    def partners(self, u: Array, g: Array, values: Array) -> Array:
        """Return u of the second view for eigenvectors of the first."""


class _OwnPairs:
    """g = X u to X S^-1 Y g, with S = I + X + Y: rows with their own partners."""

    def __init__(self, x: CentredKernel, y: CentredKernel, ridges: tuple[float, float]):
        self._x, self._y, self._ridge = x, y, ridges[0]
        # r_x S, so that S^-1 Y is its inverse times r_x / r_y M_y.
        self._share = ridges[0] / ridges[1]
        factor = KernelFactor.of(x, ridges[0], y, self._share)
        assert factor is not None
        self._sum = factor

    def image(self, g: Array) -> tuple[Array, Array]:
        u = self._sum.solve(self._y.dot(g, self._share))
        return self._x.dot(u, 1 / self._ridge), u

    def squares(self, values: Array) -> Array:
        return values / (1 + values)

    def partners(self, u: Array, g: Array, values: Array) -> Array:
        # Y u_y = s (X + I) u_x and S^-1 X Y u_y = value u_y.
        return self._sum.solve(self._x.dot((g + u) / np.sqrt(values * (1 + values))))


class _AnyPairs:
    """g = X u to H_x V H_y V' g."""

    def __init__(
        self, x: CentredKernel, y: CentredKernel, ridges: tuple[float, float], pairs: Pairs
    ):
        x_factor, y_factor = KernelFactor.of(x, ridges[0]), KernelFactor.of(y, ridges[1])
        assert x_factor is not None
        assert y_factor is not None
        self._x, self._y, self._pairs = x_factor, y_factor, pairs
        self._scale_x = inverse(x.root)[:, None]
        self._scale_y = inverse(y.root)[:, None] / pairs.total

    def image(self, g: Array) -> tuple[Array, Array]:
        smooth = self._y.smooth(self._across(g))
        h = self._scale_x * self._pairs.dot(self._scale_y * smooth)
        u = self._x.ridge * self._x.solve(h)
        return h - u, u

    def squares(self, values: Array) -> Array:
        return values

    def partners(self, u: Array, g: Array, values: Array) -> Array:
        return self._y.ridge / np.sqrt(values) * self._y.solve(self._across(g))

    def _across(self, g: Array) -> Array:
        """Return V' g."""
        return self._scale_y * self._pairs.transposed_dot(self._scale_x * g)


def _krylov_directions(
    x: CentredKernel,
    y: CentredKernel,
    ridges: tuple[float, float],
    pairs: Pairs,
    n_components: int,
) -> _Directions | None:
    """Find the leading directions in a block Krylov space."""
    operator: _Operator
    if isinstance(pairs, InstancePairs):
        operator = _OwnPairs(x, y, ridges)
    else:
        operator = _AnyPairs(x, y, ridges, pairs)
    space = _KrylovSpace(x, ridges[0], operator, most=int(_LARGEST_SPACE * len(x.root)))
    block = space.fresh_block()
    looked_at, n_known = 2 * n_components, -1
    while space.dimension + block.width <= space.most:
        block = space.extend(block)
        exhausted = block.width == 0
        if not exhausted and space.dimension < _GROWTH * looked_at:
            continue
        looked_at = space.dimension
        values, ritz, residuals = space.leading(n_components, block)
        if not values[0] > _EPS:
            return None
        known = values > _NEGLIGIBLE * values[0]
        tolerances = np.minimum(_TOLERANCE * values[0], _OWN_TOLERANCE * values)
        if exhausted:
            # Complete unless a value has more copies than the block has columns: then a fresh block
            # finds some of them.
            if np.count_nonzero(known) == n_known:
                break
            n_known = int(np.count_nonzero(known))
            block = space.fresh_block()
        elif len(values) == n_components and (residuals < tolerances).all():
            break
    else:
        return None
    x_variates, x_dual = space.vectors(ritz[:, known])
    y_dual = operator.partners(x_dual, x_variates, values[known])
    y_variates = y.dot(y_dual, 1 / ridges[1])
    s = np.sqrt(operator.squares(values[known]))
    # An error of eps in X, as a share of its norm, moves the square by that times u'u.
    y_sizes = np.sum(y_dual**2, axis=0) / np.sum(y_variates * (y_variates + y_dual), axis=0)
    sizes = np.maximum(
        x.total / ridges[0] * np.sum(x_dual**2, axis=0), y.total / ridges[1] * y_sizes
    )
    x_dual, y_dual = x_dual / ridges[0], y_dual / ridges[1]
    return _Directions(x_dual, y_dual, x_variates, y_variates, s, _EPS * sizes)


class _Block(NamedTuple):
    """Orthonormal columns outside of the space."""

    variates: Array  # (n, b) g = X u
    dual: Array  # (n, b) u
    # What they were before, in terms of these.
    coefficients: Array  # (b, b')

    @property
    def width(self) -> int:
        return self.variates.shape[1]


class _KrylovSpace:
    """A growing space of variates g = X u with an orthonormal basis: G' (G + U) = I."""

    def __init__(self, x: CentredKernel, ridge: float, operator: _Operator, most: int):
        self.x, self.most, self.dimension = x, most, 0
        self._ridge, self._operator = ridge, operator
        # The answer does not depend on the seed.
        self._rng = np.random.default_rng(0)
        # Memory that is not yet filled is not yet taken either.
        self._G, self._U = (np.empty((len(x.root), most), order="F") for _ in range(2))
        # How many times its rounding the difference of g and X u may be in the last two blocks.
        self._drifts = 1.0, 1.0
        # The operator in the basis: the upper triangle.
        self._T = np.zeros((most, most))

    def fresh_block(self) -> _Block:
        """Return random columns outside of the space."""
        # What X sends to zero has no place in u.
        u = self._variates(self._rng.normal(size=(len(self.x.root), _WIDTH)))
        return self._orthonormal(self._variates(u), u)[0]

    def extend(self, block: _Block) -> _Block:
        """Take in a block and return the part of its image outside the space."""
        new = slice(self.dimension, self.dimension + block.width)
        self.dimension = new.stop
        self._G[:, new], self._U[:, new] = block.variates, block.dual
        image = self._operator.image(self._G[:, new])
        outside, self._T[: new.stop, new] = self._orthonormal(*image)
        return outside

    def leading(self, k: int, outside: _Block) -> tuple[Array, Array, Array]:
        """Return the k largest values, their Ritz vectors, and the norms of the residuals."""
        m = self.dimension
        T = np.triu(self._T[:m, :m])
        values, ritz = linalg.eigh(T + np.triu(T, 1).T, subset_by_index=(max(0, m - k), m - 1))
        values, ritz = np.maximum(values[::-1], 0.0), ritz[:, ::-1]
        last = ritz[m - outside.coefficients.shape[1] :]
        return values, ritz, linalg.norm(outside.coefficients @ last, axis=0)

    def vectors(self, ritz: Array) -> tuple[Array, Array]:
        """Return g and u of vectors in the basis."""
        m = self.dimension
        return product(self._G[:, :m], ritz), product(self._U[:, :m], ritz)

    def _variates(self, dual: Array) -> Array:
        return self.x.dot(dual, 1 / self._ridge)

    def _orthonormal(self, g: Array, u: Array) -> tuple[_Block, Array]:
        """Return an orthonormal basis of the part outside the space, and the part inside."""
        m, root = self.dimension, self.x.root[:, None]
        G, U = self._G[:, :m], self._U[:, :m]
        inside, coefficients = np.zeros((m, g.shape[1])), np.eye(g.shape[1])
        size = np.sum(g * (g + u), axis=0).max(initial=0.0)
        least = _NEGLIGIBLE**2 * size
        drift = 0.0
        # A second pass removes what the rounding of the first has left in the space.
        for again in (False, True):
            if again and drift > _DRIFT:
                # X sends the mean, in which a difference would be unseen, to zero.
                u = u - root @ (root.T @ u)
                g, drift = self._variates(u), 1.0
            part = product(G.T, g) + product(U.T, g)
            inside += part @ coefficients
            g, u = g - product(G, part), u - product(U, part)
            axes = np.linalg.eigh(g.T @ (g + u))[1]
            g, u = g @ axes, u @ axes
            squares = np.sum(g * (g + u), axis=0)
            kept = squares > least
            lengths = np.sqrt(squares[kept])
            g, u = g[:, kept] / lengths, u[:, kept] / lengths
            coefficients = lengths[:, None] * (axes[:, kept].T @ coefficients)
            if not again:
                # An image differs from the two blocks before it by less than its size.
                drift = sum(self._drifts) * np.sqrt(size) / lengths.min(initial=np.inf)
            # Of a column of length one that is outside, most is left.
            least = 0.01
        self._drifts = self._drifts[1], drift
        return _Block(g, u, coefficients), inside
