"""Two simulated views that share ten classes and forty factors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
N_CLASSES = 10
_N_SHARED = 40
_BLOCK = 10_000


class TwoViews(NamedTuple):
    """Paired rows of two views, and their classes."""

    X: Array  # (n, d_x)
    Y: Array  # (n, d_y)
    labels: Array  # (n,) int, 0 to 9

    def astype(self, dtype: str) -> TwoViews:
        """Return the same rows in another precision."""
        return self._replace(X=self.X.astype(dtype), Y=self.Y.astype(dtype))


def simulated_views(n_rows: int, d_x: int, d_y: int, dtype: str = "float64") -> TwoViews:
    """Return two views in memory."""
    X, Y = np.empty((n_rows, d_x), dtype=dtype), np.empty((n_rows, d_y), dtype=dtype)
    return TwoViews(X, Y, fill(X, Y))


def fill(X: Any, Y: Any, seed: int = 0) -> Array:
    """Write rows into two arrays or memory maps, a block at a time, and return their classes.

    Each factor is a normal variable whose mean differs from class to class. Its weight falls from 1
    to .1, so that the correlations lie apart; each feature has noise of its own and a mean.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(N_CLASSES, size=len(X))
    centres = rng.standard_normal((N_CLASSES, _N_SHARED), dtype=np.float32)
    weights = np.geomspace(1, 0.1, _N_SHARED, dtype=np.float32)[:, None]
    maps = [weights * rng.standard_normal((_N_SHARED, V.shape[1]), dtype="f4") for V in (X, Y)]
    means = [3 * rng.standard_normal(V.shape[1], dtype=np.float32) for V in (X, Y)]
    for start in range(0, len(X), _BLOCK):
        rows = slice(start, start + _BLOCK)
        factors = centres[labels[rows]]
        factors += rng.standard_normal(factors.shape, dtype=np.float32)
        for V, matrix, mean in zip((X, Y), maps, means, strict=True):
            noise = 3 * rng.standard_normal((len(factors), V.shape[1]), dtype=np.float32)
            V[rows] = factors @ matrix + noise + mean
    return labels
