"""Exchangeable rows for permutation tests: permutations within and of groups, and residuals.

Groups restrict the rows that may change places under the null hypothesis. Residuals of a regression
on confounds are dependent, and have to be made exchangeable again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg

from skcca._core.compat import check_array
from skcca._core.types import ArrayLike
from skcca.views._labels import check_entries

Array = np.ndarray


def group_codes(groups: ArrayLike, n_rows: int, caller: str) -> Array:
    """Return the number (n_rows,) of the group of each row."""
    values = check_entries(groups, n_rows, "groups", "X", caller)
    return np.unique(values, return_inverse=True)[1]


def permutation_within(codes: Array, caller: str) -> Callable[[np.random.Generator], Array]:
    """Return a function that draws a permutation of the rows inside each group."""
    if np.bincount(codes).max() < 2:
        raise ValueError(
            f"{caller}: every group of `groups` has a single row, so that no row can change "
            "places; groups are sets of rows that are exchangeable."
        )
    order = np.argsort(codes, kind="stable")

    def draw(rng: np.random.Generator) -> Array:
        places = np.empty(len(codes), dtype=np.intp)
        places[order] = np.lexsort((rng.random(len(codes)), codes))
        return places

    return draw


def permutation_of_groups(codes: Array, caller: str) -> Callable[[np.random.Generator], Array]:
    """Return a function that lets groups of one size change places, rows in their order."""
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

    return draw


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
