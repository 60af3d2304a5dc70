"""Searches over ridges and components beside one fit, and beside scikit-learn's GridSearchCV.

    python -m benchmarks.search_path                   # all of it
    python -m benchmarks.search_path --only linear     # some of it
    python -m benchmarks.search_path --quick           # small sizes; keeps no results

A search of 8 ridges, 3 numbers of components and 5 folds takes 121 fits with `GridSearchCV`, which
runs once, after the rounds of the others; the part `kernels` does the same for kernel models. Times
are ratios: medians over rounds in which one fit and the search run in turns in one process. The
scores of both searches are compared to the digits that the table shows.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._memory import MIB, ON_LINUX, peak_above
from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import median, ratio, seconds, take_turns
from skcca import (
    CCA,
    CCACV,
    KCCA,
    KCCACV,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    ClusterKCCACV,
    Views,
)

REGS = tuple(np.logspace(-4, 1, 8))
KERNEL_REGS = tuple(np.logspace(-6, -1, 8))
NUMBERS = (2, 5, 9)


class Plan(NamedTuple):
    """The sizes of a run."""

    # Rows and features of both views, and whether GridSearchCV runs beside them.
    linear: tuple[tuple[int, int, int, bool], ...] = (
        (20_000, 128, 512, True),
        (100_000, 128, 1_024, False),
    )
    kernels: tuple[tuple[int, int, int], ...] = ((2_000, 128, 512), (2_000, 1_000, 1_000))
    rounds: int = 5
    folds: int = 5
    kept: bool = True  # whether the results are the ones to publish


QUICK = Plan(
    linear=((2_000, 16, 64, True),), kernels=((400, 16, 64),), rounds=2, folds=3, kept=False
)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    warnings.filterwarnings("ignore", category=UserWarning)
    for name in options.only:
        record = PARTS[name](plan)
        if plan.kept:
            record.save("python -m benchmarks.search_path", rounds=plan.rounds, folds=plan.folds)


def linear(plan: Plan) -> Record:
    """Time the linear searches in turns with one fit."""
    record = Record(
        "search_path",
        "Search over ridges and components of linear models",
        f"{len(REGS)} ridges, {len(NUMBERS)} numbers of components, {plan.folds} folds; seconds of "
        "one fit, how many times as long the search takes, and how many times as long as the "
        "search GridSearchCV takes; the largest difference of their scores; MiB are resident "
        f"memory above the views and those of the folds' moments; medians of {plan.rounds} rounds",
        ("seconds", "search", "at most", "GridSearchCV", "scores", "MiB", "moments"),
    )
    for n_rows, d_x, d_y, beside in plan.linear:
        most = 3.0 if n_rows > 50_000 else 4.0
        views = simulated_views(n_rows, d_x, d_y)
        for model, bar in ((CCA(), most), (ClusterCCA(), None)):
            _add(record, plan, model, views, bar if plan.kept else None, beside=beside)
    return record


def _add(
    record: Record, plan: Plan, model: CCA, views: Any, bar: float | None, *, beside: bool
) -> None:
    """Time one kind of model, and compare its search with GridSearchCV where that is asked for."""
    folds, data = KFold(plan.folds), Views(views.X, views.Y)
    kind = ClusterCCACV if isinstance(model, ClusterCCA) else CCACV
    search = kind(NUMBERS, regs=REGS, cv=folds)
    works = {
        "fit": lambda: model.fit(data, views.labels),
        "search": lambda: search.fit(data, views.labels),
    }
    times = take_turns(works, plan.rounds)
    above = peak_above(works["search"]) / MIB if ON_LINUX else None
    speedup, difference = None, None
    if beside:
        grid = GridSearchCV(model, {"reg": REGS, "n_components": NUMBERS}, cv=folds)
        speedup = seconds(lambda: grid.fit(data, views.labels)) / median(times, "search")
        difference = _difference(grid, search)
    d_x, d_y = views.X.shape[1], views.Y.shape[1]
    label = f"{kind.__name__}, {len(data):,} rows of ({d_x}, {d_y:,}) features / fit"
    moments = plan.folds * (d_x + d_y) ** 2 * 8 / MIB
    timed = median(times, "fit"), ratio(times, "search", "fit"), bar
    record.add(label, (*timed, speedup, difference, above, moments))
    if beside and bar is not None:
        lower = (None, None, None, 15.0, None, None, None)
        record.add(f"{label} must reach", lower, kind="bar")


def kernels(plan: Plan) -> Record:
    """Time the searches over kernel models in turns with one fit."""
    record = Record(
        "search_path_kernels",
        "Search over ridges and components of kernel models",
        f"{len(KERNEL_REGS)} ridges, {len(NUMBERS)} numbers of components, {plan.folds} folds, "
        "Gaussian kernel; seconds of one fit, how many times as long the search takes, and how "
        "many times as long as the search GridSearchCV takes, also for one number of components; "
        "the largest difference of their scores; MiB are resident memory above the views; medians "
        f"of {plan.rounds} rounds",
        ("seconds", "search", "GridSearchCV", "one number", "scores", "MiB"),
    )
    for n_rows, d_x, d_y in plan.kernels:
        views = simulated_views(n_rows, d_x, d_y)
        for model, kind in ((KCCA, KCCACV), (ClusterKCCA, ClusterKCCACV)):
            _add_kernels(record, plan, model, kind, views)
    return record


def _add_kernels(record: Record, plan: Plan, model: Any, kind: Any, views: Any) -> None:
    """Time one kind of kernel model, and compare its search with GridSearchCV."""
    folds, data, k = KFold(plan.folds), Views(views.X, views.Y), max(NUMBERS)
    search, narrow = (kind(number, regs=KERNEL_REGS, cv=folds) for number in (NUMBERS, k))
    grid = {"reg": KERNEL_REGS}
    wide_grid = GridSearchCV(model(), grid | {"n_components": NUMBERS}, cv=folds)
    narrow_grid = GridSearchCV(model(k), grid, cv=folds)
    works = {
        name: lambda estimator=estimator: estimator.fit(data, views.labels)
        for name, estimator in {"fit": model(k), "search": search, "narrow": narrow}.items()
    }
    times = take_turns(works, plan.rounds)
    above = peak_above(works["search"]) / MIB if ON_LINUX else None
    speedups = [
        seconds(lambda peer=peer: peer.fit(data, views.labels)) / median(times, name)
        for peer, name in ((wide_grid, "search"), (narrow_grid, "narrow"))
    ]
    label = f"{kind.__name__}, {len(data):,} rows of {views.X.shape[1], views.Y.shape[1]} features"
    timed = median(times, "fit"), ratio(times, "search", "fit")
    record.add(label, (*timed, *speedups, _difference(wide_grid, search), above))
    if plan.kept:
        record.add(f"{label} must reach", (None, None, 4.0, None, None, None), kind="bar")


def _difference(grid: Any, search: Any) -> str:
    """Return the largest difference of the scores of two searches on any fold."""
    keys = [f"split{i}_test_score" for i in range(search.n_splits_)]
    a, b = (np.array([table.cv_results_[key] for key in keys]) for table in (grid, search))
    return f"{np.abs(a - b).max():.0e}"


PARTS = {"linear": linear, "kernels": kernels}


if __name__ == "__main__":
    main()
