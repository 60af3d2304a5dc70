"""Arguments that several displays take."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from skcca._compat import check_array


def check_count(
    value: Any, name: str, meaning: str, caller: str, low: int, high: Any = None
) -> int:
    """Return a number of things that lies from `low` to `high`."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        allowed = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{caller}: `{name}` is {value!r}; expected {meaning}, {allowed}.")
    return int(value)


def finite_numbers(
    values: Any, name: str, caller: str, *, ensure_all_finite: bool | str = True
) -> np.ndarray:
    """Return what is drawn as float64; beyond 1e100 matplotlib computes no picture."""
    found: np.ndarray = check_array(
        values, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_min_samples=0,
        ensure_min_features=0, ensure_all_finite=ensure_all_finite, input_name=name,
        estimator=caller,
    )  # fmt: skip
    if (np.abs(found) > 1e100).any():
        raise ValueError(f"{caller}: `{name}` holds numbers beyond 1e100, which cannot be drawn.")
    return found


def two_components(components: Any, n_components: int, caller: str) -> tuple[int, int]:
    """Return the two components that span a picture."""
    pair = np.asarray(components)
    if pair.shape != (2,) or pair.dtype.kind not in "iu":
        raise ValueError(
            f"{caller}: `components` is {components!r}; expected the numbers of two components, "
            "such as (0, 1)."
        )
    first, second = (int(c) for c in pair)
    for c in (first, second):
        if not 0 <= c < n_components:
            cure = (
                "a picture needs two components; fit with n_components=2 or more"
                if n_components < 2
                else f"expected numbers from 0 to {n_components - 1}"
            )
            raise ValueError(
                f"{caller}: `components` holds {c}, but there are {n_components} components; "
                f"{cure}."
            )
    if first == second:
        raise ValueError(f"{caller}: `components` is {components!r}; expected two different ones.")
    return first, second
