"""Names for what public functions accept; checked when they run, since no static type fits all."""

from __future__ import annotations

from typing import Any, TypeAlias

# A view: array, memory map, DataFrame, sparse matrix, tensor, Dask array, sequences, or a `Views`.
ViewLike: TypeAlias = Any
# One label a row, an indicator matrix, or a tuple of these for unpaired views.
LabelsLike: TypeAlias = Any
# One weight a row, or a tuple of two for unpaired views.
WeightsLike: TypeAlias = Any
# Anything that NumPy makes an array of.
ArrayLike: TypeAlias = Any
# An int, RandomState, Generator or None.
RandomStateLike: TypeAlias = Any
# A two-view estimator, of this library or another; alone, in a pipeline, in a search or frozen.
Estimator: TypeAlias = Any
# What scikit-learn's `set_output` chose, or the kind of the input.
Container: TypeAlias = Any
