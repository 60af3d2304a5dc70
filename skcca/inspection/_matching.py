"""Fits to drawn rows, and the components of one fit that are those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core.arrays import check_aligned
from skcca._core.types import ArrayLike, LabelsLike, ViewLike
from skcca._core.warnings import quiet_fit
from skcca.inspection._exchange import group_codes
from skcca.views._checks import is_label_pair
from skcca.views._container import Views
from skcca.views._projection import project

Array = np.ndarray


def unit_variates(model: TwoViewTransformer, X: ViewLike, y: ViewLike, caller: str) -> list[Array]:
    """Return the scores of both views, with columns of mean zero and length one."""
    both = project(model, X, None if isinstance(X, Views) else y, caller)
    centred = [Z - Z.mean(axis=0) for Z in (np.asarray(Z, dtype=float) for Z in both)]
    return [Z / np.maximum(np.linalg.norm(Z, axis=0), np.finfo(float).tiny) for Z in centred]


def refit(
    caller: str,
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike,
    labels: LabelsLike,
    sample_weight: Array | tuple[Array, ...],
    of_groups: dict[str, ArrayLike],
) -> Any:
    """Return a model fitted to drawn rows, which are those of positive weight."""
    try:
        return quiet_fit(
            clone(estimator), X, y, labels=labels, sample_weight=sample_weight, **of_groups
        )
    except ValueError as error:
        # All rows have been fitted, so that the rows drawn are at fault.
        raise ValueError(
            f"{caller}: a resample cannot be fitted: {error} Of few rows, labelled rows or classes "
            "a resample may draw too few; give more."
        ) from error


def match_components(reference: list[Array], other: list[Array]) -> tuple[Array, Array, Array]:
    """Return components of one fit, those of another that match them, and signs of the match.

    Components are matched one to one, such that the sum of the absolute correlations of their
    variates, those of both views added up, is the largest.
    """
    (U, V), (U_other, V_other) = reference, other
    agreement = U.T @ U_other + V.T @ V_other
    components, matches = linear_sum_assignment(-np.abs(agreement))
    return components, matches, np.where(agreement[components, matches] < 0, -1.0, 1.0)


def drawn_groups(
    caller: str,
    X: ViewLike,
    y: ViewLike,
    labels: LabelsLike,
    groups: ArrayLike,
    n_rows: list[int],
) -> list[Array]:
    """Return the number of the group of each row: once, or for each of two unpaired views."""
    if groups is None:
        # Rows of unpaired views are drawn for each view, those of paired views together.
        return [np.arange(n) for n in (n_rows if is_label_pair(labels) else n_rows[:1])]
    check_aligned(caller, X=X, y=y, labels=labels, groups=groups)
    if is_label_pair(labels):
        raise ValueError(
            f"{caller}: `groups` names the group of each row of both views, but "
            "labels=(labels_x, labels_y) describes unpaired rows."
        )
    codes = group_codes(groups, n_rows[0], caller)
    if codes.max() == 0:
        raise ValueError(
            f"{caller}: `groups` holds a single group, so that every draw is the same; whole "
            "groups are drawn, and there must be several."
        )
    return [codes]
