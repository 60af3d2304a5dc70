"""Standardisation of one view by weighted means and standard deviations; loadings and signs.

    Z = (V - mu) / sigma,    mu = V'w,    sigma^2 = (V - mu)^2' w,    loadings = Z' diag(w) U

with weights w of sum one, and variates U of variance one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from skcca._core.arrays import block_rows, block_slices, dense_rows, first_mean, row_blocks
from skcca._core.lazy import RaggedRows
from skcca._core.types import ViewLike
from skcca._core.warnings import warn

Array = np.ndarray

# A computed column that should be constant deviates by up to so many roundings of its size.
ROUNDINGS = 4.0

# Rounding of a sum over rows, as a share of the distance of their mean from the shift.
_SUM_ROUNDING = 1e-12

# An error of the mean that is a smaller share of the spread changes no variance.
_CENTRED = 1e-8

# A message names at most so many features or runs of features.
_SHOWN = 40

# Standard deviations whose squares stay in the range of float64, with room for sums.
_SMALLEST_STD, _LARGEST_STD = 1e-150, 1e150


def mean_and_variance(V: ViewLike, weights: Array) -> tuple[Array, Array, Array]:
    """Return mean, variance and residual (d,) of rows whose weights sum to one, in two passes.

    The residual is what the rounding of the mean has left out, where it counts: in features that
    vary in the last digits of their mean alone. The variance of a constant feature is 0.
    """
    # `check_variance_is_finite` reports what overflows.
    with np.errstate(over="ignore", invalid="ignore"):
        shift = first_mean(V)
        offset = sum(weights[rows] @ block for rows, block in row_blocks(V, shift))
        mean = shift + offset
        residual = offset - (mean - shift)
        variance = sum(
            weights[rows] @ np.square(block, out=block) for rows, block in row_blocks(V, mean)
        )
        # About the exact mean, which has no float, the variance is smaller by this.
        variance = variance - residual**2
        constant = (variance < np.inf) & (variance <= (_SUM_ROUNDING * offset) ** 2)
        residual[constant | (residual**2 <= _CENTRED**2 * variance)] = 0.0
        return mean, np.where(constant, 0.0, variance), residual


def check_variance_is_finite(V: ViewLike, std: Array, name: str, weights: Array) -> None:
    """Refuse features whose squares leave the range of float64: they would vanish unseen."""
    if ((std >= _SMALLEST_STD) & (std < _LARGEST_STD)).all():
        return
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


def warn_of_constant_features(constant: Array, name: str) -> None:
    """Warn of the features of a view that are left out, by their places."""
    places = np.flatnonzero(constant)
    if not len(places):
        return
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    shown = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    more = f", and {sum(map(len, runs[_SHOWN:]))} more" if len(runs) > _SHOWN else ""
    warn(
        f"`{name}` has {len(places)} of {len(constant)} features that are constant over the rows; "
        f"they are left out: {', '.join(shown[:_SHOWN])}{more}."
    )


def rounding_of_columns(Z: Array) -> Array:
    """Return the standard deviation that rounding alone may give each column."""
    return ROUNDINGS * np.finfo(float).eps * np.abs(Z).max(axis=0, initial=0.0)


class Standardisation(NamedTuple):
    """(V - mean) / scale by feature; a constant feature has scale infinity and becomes 0."""

    mean: Array  # (d,)
    scale: Array  # (d,)

    @classmethod
    def of(cls, V: ViewLike, weights: Array, name: str | None = None) -> Standardisation:
        """Return the standardisation of rows whose weights sum to one.

        Constant features are told of where the view has a name.
        """
        mean, variance, _ = mean_and_variance(V, weights)
        std = np.sqrt(variance)
        check_variance_is_finite(V, std, name or "X", weights)
        if name is not None:
            warn_of_constant_features(std == 0, name)
        return cls(mean, np.where(std > 0, std, np.inf))

    @classmethod
    def identity(cls, n_features: int) -> Standardisation:
        """Return the standardisation that changes nothing."""
        return cls(np.zeros(n_features), np.ones(n_features))

    def apply(self, V: ViewLike, dtype: type | np.dtype = np.float64) -> Array:
        """Return the standardised rows."""
        out = np.empty(V.shape, dtype=dtype)
        if out.dtype == np.float64 and isinstance(V, np.ndarray):
            # Without memory but that of the result.
            for rows in block_slices(V.shape[0], block_rows(V.shape[1])):
                block = np.subtract(V[rows], self.mean, out=out[rows])
                block /= self.scale
            return out
        for rows, block in row_blocks(V, self.mean):
            np.divide(block, self.scale, out=out[rows], casting="same_kind")
        return out


def feature_loadings(
    V: ViewLike, Z: Array, weights: Array, features: Standardisation | None = None
) -> Array:
    """Return the correlation (d, k) of each feature with each variate; 0 for a constant feature.

    A standardisation of the features that is known saves two passes over them.
    """
    features = Standardisation.of(V, weights) if features is None else features
    Z = Standardisation.of(Z, weights).apply(Z) * weights[:, None]
    total = sum(block.T @ Z[rows] for rows, block in row_blocks(V, features.mean))
    return np.clip(total / features.scale[:, None], -1.0, 1.0)


def component_signs(loadings: Array) -> Array:
    """Return the signs (k,) that make the largest |loading| of each component positive.

    Among loadings that are equal up to rounding the first decides, so that row order does not.
    """
    size = np.abs(loadings)
    first = np.argmax(size >= size.max(axis=0) * (1 - 1e-6), axis=0)
    return np.where(loadings[first, np.arange(loadings.shape[1])] < 0, -1.0, 1.0)


def standardisation(
    V: ViewLike, weights: np.ndarray, name: str, *, scale: bool = True
) -> Standardisation:
    """Return the standardisation of a view; of sequences, that of their frames."""
    if isinstance(V, RaggedRows):
        V, weights = V.frames(weights)
    return Standardisation.of(V, weights, name) if scale else Standardisation.identity(V.shape[1])


def check_varies(V: ViewLike, scaling: Standardisation, weights: np.ndarray, what: str) -> None:
    """Refuse a view whose rows of positive weight are equal, once they are standardised."""
    if isinstance(V, RaggedRows):
        V, weights = V.frames(weights)
    counted = np.asarray(weights) > 0
    start = int(counted.argmax())
    first = (dense_rows(V, slice(start, start + 1)) - scaling.mean) / scaling.scale
    for rows, block in row_blocks(V, scaling.mean):
        if (block[counted[rows]] / scaling.scale != first).any():
            return
    raise ValueError(
        f"{what} has no feature that varies over the paired rows ({V.shape[1]} constant); networks "
        "have nothing to learn from it."
    )
