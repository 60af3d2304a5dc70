"""Standardisation of one view by weighted means and standard deviations; loadings and signs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._core.arrays import dense_rows, first_mean, row_blocks, working_eps


def mean_and_variance(V: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance (d,) of rows whose weights sum to one, in two passes."""
    with np.errstate(over="ignore", invalid="ignore"):  # `check_spread` reports what overflows
        shift = first_mean(V)
        mean = shift + sum(weights[rows] @ block for rows, block in row_blocks(V, shift))
        return mean, sum(weights[rows] @ block**2 for rows, block in row_blocks(V, mean))


def check_spread(V: Any, std: np.ndarray, name: str, weights: np.ndarray) -> None:
    """Refuse features whose squares leave the range of float64: they would vanish unseen."""
    small = _varying(V, np.flatnonzero(std < 1e-150), weights)
    large = np.flatnonzero(~(std < 1e150))
    if hasattr(V, "dask") and not np.isfinite(std).all():  # the others were looked through
        raise ValueError(f"`{name}` contains NaN or infinity; drop or fill those rows.")
    if small.size or large.size:
        column = int(np.r_[large, small][0])
        raise ValueError(
            f"Feature {column} of `{name}` spreads over {'more' if large.size else 'less'} than "
            f"1e{'+' if large.size else '-'}150, and its square leaves the range of float64; "
            "measure it in another unit."
        )


def _varying(V: Any, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return those of some columns that are not constant over the rows that weigh anything."""
    changes = np.zeros(len(columns), dtype=bool)
    if columns.size and not hasattr(V, "dask"):  # a cluster's rows are not fetched for this
        counted = np.asarray(weights) > 0  # a sample of pairs may leave out rows
        first = int(counted.argmax())
        for rows, block in row_blocks(V, dense_rows(V, slice(first, first + 1))[0]):
            changes |= block[counted[rows]][:, columns].any(axis=0)
    return columns[changes]


def varies(mean: np.ndarray, std: np.ndarray, eps: float) -> np.ndarray:
    """Return which features vary by more than the rounding of their mean."""
    return std > 4 * eps * np.abs(mean)


class Standardisation(NamedTuple):
    """(V - mean) / scale by feature; a constant feature has scale infinity and becomes 0."""

    mean: np.ndarray  # (d,)
    scale: np.ndarray  # (d,)

    @classmethod
    def of(cls, V: np.ndarray, weights: np.ndarray, name: str = "X") -> Standardisation:
        """Return the standardisation of rows whose weights sum to one."""
        mean, variance = mean_and_variance(V, weights)
        std = np.sqrt(variance)
        check_spread(V, std, name, weights)
        return cls(mean, np.where(varies(mean, std, working_eps(V.dtype)), std, np.inf))

    @classmethod
    def identity(cls, n_features: int) -> Standardisation:
        """Return the one that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def apply(self, V: np.ndarray, dtype: type | np.dtype = np.float64) -> np.ndarray:
        """Return the standardised rows."""
        out = np.empty(V.shape, dtype=dtype)
        for rows, block in row_blocks(V, self.mean):
            out[rows] = block / self.scale
        return out


def loadings(V: np.ndarray, Z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the correlation (d, k) of each feature with each variate; 0 for a constant feature."""
    features, variates = Standardisation.of(V, weights), Standardisation.of(Z, weights)
    Z = variates.apply(Z) * weights[:, None]
    total = sum(
        (block / features.scale).T @ Z[rows] for rows, block in row_blocks(V, features.mean)
    )
    return np.clip(total, -1.0, 1.0)


def component_signs(loadings: np.ndarray) -> np.ndarray:
    """Return the signs (k,) that make the largest |loading| of each component positive.

    Among loadings that are equal up to rounding the first decides, so that row order does not.
    """
    size = np.abs(loadings)
    first = np.argmax(size >= size.max(axis=0) * (1 - 1e-6), axis=0)
    return np.where(loadings[first, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
