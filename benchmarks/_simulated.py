"""Simulated views: classes and factors in any number of rows, few features, and rated songs."""

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


def planted_views(
    n_rows: int, d_x: int, d_y: int, x: int, y: int, *, strength: float = 1.0, seed: int = 0
) -> tuple[Array, Array]:
    """Return noise of variance one in which the first `x` and `y` features share a source."""
    rng = np.random.default_rng(seed)
    source = strength * rng.standard_normal((n_rows, 1))
    X, Y = rng.standard_normal((n_rows, d_x)), rng.standard_normal((n_rows, d_y))
    X[:, :x] += source
    Y[:, :y] += source
    return X, Y


def rated_songs(n_songs: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Return sound (n, 128), pictures (n, 256), and valence and arousal (n, 2) in [-1, 1].

    The mood is a point of a plane, which both views show through smooth bumps. Each view has traits
    of its own, and they share stronger ones that have nothing to do with the mood.
    """
    rng = np.random.default_rng(seed)
    ratings, peaks = rng.uniform(-1, 1, (n_songs, 2)), rng.uniform(-1.2, 1.2, (24, 2))
    bumps = np.exp(-(((ratings[:, None] - peaks) / 0.4) ** 2).sum(axis=2) / 2)
    mood, shared = 3 * (bumps - bumps.mean(axis=0)), 2 * rng.standard_normal((n_songs, 12))

    def view(n_features: int) -> Array:
        parts = [mood, shared, 2 * rng.standard_normal((n_songs, 10))]
        traits = np.hstack(parts)
        maps = rng.standard_normal((traits.shape[1], n_features))
        noise = 3 * rng.standard_normal((n_songs, n_features))
        return ((traits @ maps + noise) / np.sqrt(n_features)).astype(np.float32)

    return view(128), view(256), ratings
