"""A model that is fitted again: to folds, to unrelated rows, and to rows that are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core.arrays import check_aligned
from skcca._core.compat import rng_from
from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike, Estimator, LabelsLike, RandomStateLike, ViewLike
from skcca._core.warnings import quiet_fit
from skcca._core.whitening import NoDirectionError
from skcca.inspection._exchange import group_codes
from skcca.model_selection._folds import Fold, PairedRows
from skcca.model_selection._linear_folds import by_path, linear_path, warn_of_lost_digits
from skcca.model_selection._ridge_path import RidgePath
from skcca.views._checks import is_label_pair
from skcca.views._container import Views, is_pandas
from skcca.views._projection import final_model, project

Array = np.ndarray


def correlations_of(fitted: Estimator, caller: str) -> Array:
    """Return the canonical correlations of a fitted model, however it is wrapped."""
    model = final_model(fitted)
    if not hasattr(model, "correlations_"):
        raise TypeError(
            f"{caller}: a fitted {type(model).__name__} has no `correlations_`; expected a model "
            "of skcca, such as CCA, alone or at the end of a pipeline."
        )
    return np.asarray(model.correlations_)


def held_out_correlations(
    estimator: Estimator,
    rows: PairedRows,
    folds: Sequence[Fold],
    n_components: int,
    caller: str,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Array:
    """Return the correlations (n_folds, n_components) of rows that were left out.

    A component that a fold lacks counts 0.
    """
    path = linear_path(estimator, rows, folds, getattr(estimator, "n_components", None))
    tasks = [
        (estimator, rows, path, i, *fold, n_components, caller) for i, fold in enumerate(folds)
    ]
    prefer = "threads" if path else None
    held_out = np.array(
        list(
            parallel_map(
                _held_out, tasks, label=caller, n_jobs=n_jobs, prefer=prefer, verbose=verbose
            )
        )
    )
    warn_of_lost_digits(path, caller)
    return held_out


def _held_out(
    estimator: Estimator,
    rows: PairedRows,
    path: RidgePath | None,
    fold: int,
    train: Array,
    test: Array,
    n_components: int,
    caller: str,
) -> Array:
    correlations = None if path is None else by_path(path.correlations_in_order, fold)
    if correlations is None:
        fitted = rows.fit(estimator, train)
        correlations = rows.correlations(fitted, test, train, caller)
    correlations = correlations[:n_components]
    return np.pad(correlations, (0, n_components - len(correlations)))


def largest_of_unrelated_rows(
    estimator: Estimator,
    rows: PairedRows,
    caller: str,
    *,
    n_permutations: int,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
    verbose: int = 0,
) -> Array:
    """Return the largest correlation (n_permutations,) where the second view is in another order.

    Labels stay with the rows of the first view.
    """
    rng = rng_from(random_state)
    tasks = [(estimator, rows, rng.permutation(rows.n), caller) for _ in range(n_permutations)]
    return np.array(
        list(
            parallel_map(_largest_of_shuffled, tasks, label=caller, n_jobs=n_jobs, verbose=verbose)
        )
    )


def _largest_of_shuffled(
    estimator: Estimator, rows: PairedRows, order: Array, caller: str
) -> float:
    X, Y = rows.views
    (shuffled,) = Views(Y)[np.ix_(order, order) if rows.pairwise else order]
    # Rows of other names than those of the first view would be refused.
    if is_pandas(Y):
        shuffled = shuffled.set_axis(Y.index, axis=0)
    shuffled_rows = rows._replace(views=rows.views._replace([X, shuffled]))
    try:
        fitted = shuffled_rows.fit(estimator, np.arange(rows.n))
    except NoDirectionError:
        # In this order no weights of the signs that are asked for correlate positively.
        return 0.0
    return float(correlations_of(fitted, caller).max())


# Rows that are drawn


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
