"""Canonical correlations of a model that is fitted again: on folds, and on unrelated rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skcca._core.compat import rng_from
from skcca._core.progress import parallel_map
from skcca._core.types import Estimator, RandomStateLike
from skcca.model_selection._folds import Fold, PairedRows
from skcca.model_selection._linear_folds import by_path, linear_path, warn_of_lost_digits
from skcca.model_selection._ridge_path import RidgePath
from skcca.views._container import Views, is_pandas
from skcca.views._projection import final_model

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
    fitted = shuffled_rows.fit(estimator, np.arange(rows.n))
    return float(correlations_of(fitted, caller).max())
