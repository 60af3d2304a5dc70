"""Rows that tell when training should stop: the caller's, or some of the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca._core.lazy import LazyRows
from skcca._core.pairs import Pairs, TrainingData, instance_pairs
from skcca.views._container import Views
from skcca.views._labels import check_labels

HeldOut = tuple[TrainingData, Pairs]


def given_rows(estimator: Any, X_val: Any, y_val: Any, rng: np.random.Generator) -> HeldOut | None:
    """Return the rows that the caller holds out, with their pairs; None if there are none.

    Raises
    ------
    TypeError, ValueError
        If they do not fit those of `fit`; the message names `X_val` or `y_val`.
    """
    name = type(estimator).__name__
    if X_val is None:
        if y_val is not None:
            raise ValueError(f"{name}: `y_val` was given without `X_val`.")
        return None
    _check_arguments(estimator, X_val, y_val)
    try:
        data = estimator._check_training(X_val, y_val, None, None, reset=False)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: `X_val` cannot be used: {error}") from error
    for V in data[:2]:
        if isinstance(V, LazyRows):
            V.name = "X_val"  # whose values are checked as they are read
    if data.labels is None:
        return data, instance_pairs(data.weights.x)
    if len(data.labels.classes) < 2:
        raise ValueError(
            f"{name}: `y_val` must hold at least 2 classes, whose correlation can be watched; got "
            f"{len(data.labels.classes)}."
        )
    return data, estimator._make_pairs(data.labels, data.weights, rng)


def _check_arguments(estimator: Any, X_val: Any, y_val: Any) -> None:
    name = type(estimator).__name__
    if isinstance(y_val, Views):
        raise ValueError(f"{name}: `y_val` holds labels, and `X_val`=Views(X, Y) both views.")
    if not isinstance(X_val, Views):
        raise ValueError(
            f"{name}: `X_val` must be a Views, which holds both views: X_val=Views(X, Y); got "
            f"{type(X_val).__name__}."
        )
    if len(X_val) < 3:
        raise ValueError(f"{name}: `X_val` has {len(X_val)} rows; a correlation needs 3 or more.")
    if y_val is None:
        return
    if estimator._class_paired:
        check_labels(y_val, len(X_val), "y_val", "X_val", name)
        return
    # Not looked at, but one of another length is a mistake.
    n = len(y_val) if isinstance(y_val, (list, tuple)) else (*np.shape(y_val), 0)[0]
    if n != len(X_val):
        raise ValueError(f"{name}: `y_val` has {n} entries but `X_val` has {len(X_val)} rows.")


def split_off(
    estimator: Any, data: TrainingData, rng: np.random.Generator
) -> tuple[TrainingData, HeldOut]:
    """Split off `validation_fraction` of the rows, class by class where there are labels."""
    fraction, labels = estimator.validation_fraction, data.labels
    x_held = held_out_rows(len(data.X), fraction, labels and labels.x, rng)
    y_held = x_held
    if labels is not None and labels.unpaired:
        y_held = held_out_rows(len(data.Y), fraction, labels.y, rng)
    kept, held_out = (
        data.take(np.flatnonzero(x), np.flatnonzero(y))
        for x, y in ((~x_held, ~y_held), (x_held, y_held))
    )
    if min(len(V) for part in (kept, held_out) for V in part[:2]) < 3:
        raise ValueError(
            f"{type(estimator).__name__}: `validation_fraction`={fraction} leaves {len(kept.X)} "
            f"training and {len(held_out.X)} validation rows; early stopping needs 3 of each at "
            "least."
        )
    return kept, (held_out, estimator._make_pairs(held_out.labels, held_out.weights, rng))


def held_out_rows(
    n_rows: int, fraction: float, membership: Any, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of the held-out rows; every class gives its share, rounded at random."""
    order = rng.permutation(n_rows)
    if membership is not None and membership.nnz == n_rows:  # one class a row
        order = order[np.argsort(membership.indices[order], kind="stable")]
    # Evenly spaced places in class order take each class's share, whatever its size.
    n_held = max(round(fraction * n_rows), 1)
    places = (np.arange(n_held) + rng.random()) * n_rows / n_held
    held = np.zeros(n_rows, dtype=bool)
    held[order[places.astype(int)]] = True
    return held
