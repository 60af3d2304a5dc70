"""A linear model of given settings on every fold, from the moments of the folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import clone

from skcca._core.pairs import Labels, Pairs, Weights
from skcca._core.types import Estimator
from skcca._core.warnings import warn
from skcca.cca import CCA, ClusterCCA
from skcca.model_selection._folds import Fold, PairedRows
from skcca.model_selection._ridge_path import PathSettings, RidgePath
from skcca.views._arguments import per_view


def linear_path(
    estimator: Estimator, rows: PairedRows, folds: Sequence[Fold], n_components: int | None
) -> RidgePath | None:
    """Return the model on every fold; None if it has to be fitted to the rows of each.

    That is so of models that are not linear or may be changed by their subclass, of shrinkage,
    which is measured on the rows, of partners that are drawn anew in every fold, and of views with
    more features than rows.
    """
    if type(estimator) not in (CCA, ClusterCCA) or estimator._shrinks:
        return None
    model = clone(estimator)
    pairing = model._pairing()
    if pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None:
        return None
    X, y = rows.views
    data = model._check_training(X, y, rows.labels, None)
    model._check_solver(data.X)

    def make_pairs(labels: Labels | None, weights: Weights) -> Pairs:
        return model._make_pairs(labels, weights, model._rng())

    x_reg, y_reg = per_view(model.reg)
    ridges = [(float(x_reg), float(y_reg))]
    settings = PathSettings(ridges, n_components, model.scale, model.solver)
    path = RidgePath(data, folds, pairing, make_pairs, settings)
    return None if path.by_rows else path


def by_path(correlations: Callable[[int], np.ndarray], fold: int) -> np.ndarray | None:
    """Return what a path says of a fold; None if a fit has to say why it cannot."""
    try:
        # `check_variance_is_finite` reports what overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            return correlations(fold)
    except ValueError:
        return None


def warn_of_lost_digits(path: RidgePath | None, caller: str) -> None:
    """Warn as a fit does of moments that have to serve, because there is nothing else."""
    if path is not None and path.ill_conditioned:
        warn(
            f"{caller}: the moments are poorly conditioned and cost digits; use solver='auto' and "
            "rows in memory, or set `reg`.",
            LinAlgWarning,
        )
