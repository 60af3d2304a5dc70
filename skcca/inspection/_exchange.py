"""Exchangeable rows for permutation tests: permutations within and of groups, and residuals.

Groups restrict the rows that may change places under the null hypothesis. Residuals of a regression
on confounds are dependent, and have to be made exchangeable again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from scipy import linalg

from skcca._core.compat import check_array
from skcca._core.types import ArrayLike
from skcca.views._labels import check_entries

Array = np.ndarray
Draw = Callable[[np.random.Generator], Array]


class Exchange(NamedTuple):
    """The permutations of rows that leave their joint distribution as it is.

    The m entries of a block, sets of equally many rows, change places with one another, so that
    there are as many permutations as the product of m! over the blocks. Called with a generator, it
    draws one.
    """

    blocks: list[Array]  # of shape (m, size), row numbers
    draw: Draw

    def __call__(self, rng: np.random.Generator) -> Array:
        return self.draw(rng)

    def has_at_most(self, limit: int) -> bool:
        """Return whether there are at most so many permutations, the identity included."""
        count = 1
        for block in self.blocks:
            # The factorial of many rows has too many digits to be computed for a comparison.
            for i in range(2, len(block) + 1):
                count *= i
                if count > limit:
                    return False
        return True

    def others(self) -> Iterator[Array]:
        """Yield every permutation but the identity."""
        orders = product(*(permutations(range(len(block))) for block in self.blocks))
        next(orders)
        for of_blocks in orders:
            places = np.empty(sum(block.size for block in self.blocks), dtype=np.intp)
            for block, order in zip(self.blocks, of_blocks, strict=True):
                places[block] = block[list(order)]
            yield places


def permutation_of_rows(n_rows: int) -> Exchange:
    """Return the permutations of all rows."""
    return Exchange([np.arange(n_rows)[:, None]], lambda rng: rng.permutation(n_rows))


def group_codes(groups: ArrayLike, n_rows: int, caller: str) -> Array:
    """Return the number (n_rows,) of the group of each row."""
    values = check_entries(groups, n_rows, "groups", "X", caller)
    return np.unique(values, return_inverse=True)[1]


def permutation_within(codes: Array, caller: str) -> Exchange:
    """Return the permutations of the rows inside each group."""
    if np.bincount(codes).max() < 2:
        raise ValueError(
            f"{caller}: every group of `groups` has a single row, so that no row can change "
            "places; groups are sets of rows that are exchangeable."
        )
    order = np.argsort(codes, kind="stable")
    groups = np.split(order[:, None], np.cumsum(np.bincount(codes))[:-1])

    def draw(rng: np.random.Generator) -> Array:
        places = np.empty(len(codes), dtype=np.intp)
        places[order] = np.lexsort((rng.random(len(codes)), codes))
        return places

    return Exchange(groups, draw)


def permutation_of_groups(codes: Array, caller: str) -> Exchange:
    """Return the permutations of the groups of each size, their rows in order."""
    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    members = np.split(order, np.cumsum(sizes)[:-1])
    blocks = [
        np.array([rows for rows in members if len(rows) == size]) for size in np.unique(sizes)
    ]
    if max(len(block) for block in blocks) < 2:
        raise ValueError(
            f"{caller}: exchange='whole' lets groups of equally many rows change places, but no "
            f"two groups of `groups` do; their sizes are {np.sort(sizes)[:8].tolist()}"
            f"{'' if len(sizes) <= 8 else ' ...'}."
        )

    def draw(rng: np.random.Generator) -> Array:
        places = np.empty(len(codes), dtype=np.intp)
        for block in blocks:
            places[block] = block[rng.permutation(len(block))]
        return places

    return Exchange(blocks, draw)


class ExchangeableResiduals:
    """Regress confounds out of a view and leave rows that are uncorrelated again (Theil's BLUS).

    Residuals R V, R = I - Z Z^+ of rank n - m, have covariance R: their rows are dependent. For the
    n - m rows S that are kept, Q = R S' (S R S')^-1/2 has Q'Q = I and QQ' = R, so that the rows of
    Q'V have the covariance of the errors, and their moments are those of the residuals.

    The confounds are Z without its constant column. `kept` (n - m,) are the numbers of the rows S.
    They depend on Z alone; the m others best determine Z.
    """

    def __init__(self, confounds: ArrayLike, n_rows: int, caller: str):
        Z = check_array(confounds, dtype=float, ensure_2d=False, input_name="confounds")
        if len(Z) != n_rows:
            raise ValueError(
                f"{caller}: `confounds` has {len(Z)} rows but `X` has {n_rows}; it holds one row "
                "of nuisance variables for each row of the views."
            )
        Z = Z.reshape(n_rows, -1)
        eps, size = np.finfo(float).eps, np.abs(Z).max(axis=0)
        Z = Z - Z.mean(axis=0)
        spread = np.abs(Z).max(axis=0)
        varying = spread > 10 * eps * size
        Z = np.column_stack([np.ones(n_rows), Z[:, varying] / spread[varying]])
        basis, values, _ = linalg.svd(Z, full_matrices=False)
        # Collinear confounds show only up to the rounding of their values, offset included.
        rounding = eps * np.max(size[varying] / spread[varying], initial=1.0)
        self._basis = basis[:, values > values[0] * rounding * max(Z.shape)]
        m = self._basis.shape[1]
        if m >= n_rows:
            raise ValueError(
                f"{caller}: `confounds` and the constant span all {n_rows} rows, which leaves "
                "nothing to test; use fewer confounds."
            )
        # The most independent rows of the basis are left out: S R S' is then far from singular.
        pivots = linalg.qr(self._basis.T, mode="r", pivoting=True)[1]
        self.kept = np.sort(pivots[m:])
        # S R S' = I - B B' with B the kept rows of the basis: its root needs the SVD of B alone.
        self._vectors, s, _ = linalg.svd(self._basis[self.kept], full_matrices=False)
        self._stretch = 1 / np.sqrt(np.maximum(1 - s**2, np.finfo(float).tiny)) - 1

    def __call__(self, V: Array) -> Array:
        """Return Q'V, (n - m, d)."""
        residuals = (V - self._basis @ (self._basis.T @ V))[self.kept]
        A = self._vectors
        return residuals + A @ (self._stretch[:, None] * (A.T @ residuals))
