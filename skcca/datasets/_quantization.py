"""YouTube-8M's features are stored as bytes; this is their way back to numbers, and forth."""

from __future__ import annotations

from typing import Any

import numpy as np


def dequantize_features(features: Any, *, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Turn YouTube-8M's 8-bit features into float32.

    Byte q stands for ``q * (high - low) / 255 + (high - low) / 512 + low``: the 256 levels are
    spread over the range and moved up by half a step, as the data set's own readers do.

    Parameters
    ----------
    features : array-like of uint8
        Quantised features, of any shape.
    low : float, default=-2.0
        Lower end of the range that was quantised.
    high : float, default=2.0
        Upper end of the range.

    Returns
    -------
    features : ndarray of float32
        Features of the same shape.

    Raises
    ------
    TypeError
        If `features` is not uint8: numbers that were dequantised before, for example.
    ValueError
        If `low` is not below `high`.

    References
    ----------
    Abu-El-Haija et al., *YouTube-8M: A Large-Scale Video Classification Benchmark*, 2016,
    arXiv:1609.08675.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.datasets import dequantize_features
    >>> dequantize_features(np.array([0, 100, 255], dtype=np.uint8)).round(4)
    array([-1.9922, -0.4236,  2.0078], dtype=float32)
    """
    quantised = np.asarray(features.detach() if hasattr(features, "detach") else features)
    if quantised.dtype != np.uint8:
        raise TypeError(
            f"`features` has dtype {quantised.dtype}; expected uint8, as the records store them."
        )
    return _levels(low, high).take(quantised)  # indexing would hold the interpreter's lock


def quantize_features(features: np.ndarray, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Return the byte whose level is nearest to each feature; beyond the range, the last one."""
    step = (high - low) / 255
    # Work in one copy: a collection of songs may be large.
    steps = (features - _levels(low, high)[0]) / step
    np.rint(steps, out=steps)
    return np.clip(steps, 0, 255, out=steps).astype(np.uint8)


def _levels(low: float, high: float) -> np.ndarray:
    """Return the number behind each of the 256 bytes."""
    if not low < high:
        raise ValueError(f"`low`={low!r} must be below `high`={high!r}.")
    levels = np.arange(256) * ((high - low) / 255) + ((high - low) / 512 + low)
    return levels.astype(np.float32)
