"""Standardisation of one view by weighted means and standard deviations; loadings and signs.

    Z = (V - mu) / sigma,    mu = V'w,    sigma^2 = (V - mu)^2' w,    loadings = Z' diag(w) U

with weights w of sum one, and variates U of variance one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skcca._core.arrays import dense_rows, first_mean, input_eps, row_blocks
from skcca._core.types import ViewLike

Array = np.ndarray

# A constant column has a standard deviation of up to so many roundings of its size.
ROUNDINGS = 4.0

# Standard deviations whose squares stay in the range of float64, with room for sums.
_SMALLEST_STD, _LARGEST_STD = 1e-150, 1e150


def mean_and_variance(V: ViewLike, weights: Array) -> tuple[Array, Array]:
    """Return mean and variance (d,) of rows whose weights sum to one, in two passes."""
    # `check_variance_is_finite` reports what overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        shift = first_mean(V)
        mean = shift + sum(weights[rows] @ block for rows, block in row_blocks(V, shift))
        return mean, sum(weights[rows] @ block**2 for rows, block in row_blocks(V, mean))


def check_variance_is_finite(V: ViewLike, std: Array, name: str, weights: Array) -> None:
    """Refuse features whose squares leave the range of float64: they would vanish unseen."""
    small = _varying(V, np.flatnonzero(std < _SMALLEST_STD), weights)
    large = np.flatnonzero(~(std < _LARGEST_STD))
    # The values of a Dask array are seen here for the first time.
    if hasattr(V, "dask") and not np.isfinite(std).all():
        raise ValueError(f"`{name}` contains NaN or infinity; drop or fill those rows.")
    if small.size or large.size:
        column = int(np.r_[large, small][0])
        raise ValueError(
            f"Feature {column} of `{name}` spreads over {'more' if large.size else 'less'} than "
            f"1e{'+' if large.size else '-'}150, and its square leaves the range of float64; "
            "measure it in another unit."
        )


def _varying(V: ViewLike, columns: Array, weights: Array) -> Array:
    """Return those of some columns that are not constant over the rows of positive weight."""
    changes = np.zeros(len(columns), dtype=bool)
    # The rows of a cluster are not fetched for this.
    if columns.size and not hasattr(V, "dask"):
        counted = np.asarray(weights) > 0
        first = int(counted.argmax())
        for rows, block in row_blocks(V, dense_rows(V, slice(first, first + 1))[0]):
            changes |= block[counted[rows]][:, columns].any(axis=0)
    return columns[changes]


def varies(mean: Array, std: Array, eps: float) -> Array:
    """Return a mask of the features that vary by more than the rounding of their mean."""
    return std > ROUNDINGS * eps * np.abs(mean)


def rounding_of_columns(Z: Array) -> Array:
    """Return the standard deviation that rounding alone may give each column."""
    return ROUNDINGS * np.finfo(float).eps * np.abs(Z).max(axis=0, initial=0.0)


class Standardisation(NamedTuple):
    """(V - mean) / scale by feature; a constant feature has scale infinity and becomes 0."""

    mean: Array  # (d,)
    scale: Array  # (d,)

    @classmethod
    def of(cls, V: ViewLike, weights: Array, name: str = "X") -> Standardisation:
        """Return the standardisation of rows whose weights sum to one."""
        mean, variance = mean_and_variance(V, weights)
        std = np.sqrt(variance)
        check_variance_is_finite(V, std, name, weights)
        return cls(mean, np.where(varies(mean, std, input_eps(V.dtype)), std, np.inf))

    @classmethod
    def identity(cls, n_features: int) -> Standardisation:
        """Return the standardisation that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def apply(self, V: ViewLike, dtype: type | np.dtype = np.float64) -> Array:
        """Return the standardised rows."""
        out = np.empty(V.shape, dtype=dtype)
        for rows, block in row_blocks(V, self.mean):
            out[rows] = block / self.scale
        return out


def feature_loadings(V: ViewLike, Z: Array, weights: Array) -> Array:
    """Return the correlation (d, k) of each feature with each variate; 0 for a constant feature."""
    features, variates = Standardisation.of(V, weights), Standardisation.of(Z, weights)
    Z = variates.apply(Z) * weights[:, None]
    total = sum(
        (block / features.scale).T @ Z[rows] for rows, block in row_blocks(V, features.mean)
    )
    return np.clip(total, -1.0, 1.0)


def component_signs(loadings: Array) -> Array:
    """Return the signs (k,) that make the largest |loading| of each component positive.

    Among loadings that are equal up to rounding the first decides, so that row order does not.
    """
    size = np.abs(loadings)
    first = np.argmax(size >= size.max(axis=0) * (1 - 1e-6), axis=0)
    return np.where(loadings[first, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)
