"""Share of the correlation of networks that holds on the training rows only.

    python -m benchmarks.overfitting --data-home DIR

A network with enough units correlates any rows, and shuffled pairs, which are unrelated, show how
much. Each model is fitted to three quarters of the training rows, and scored on those, on the other
quarter and on the test rows. The same is repeated with the partners, or the labels, of the training
rows shuffled. Shuffled classes still contain the pair of each row with its own partner, so that
they score a little above chance, which is .1.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks._record import Record, arguments, mean_and_deviation
from benchmarks._tasks import Task, digit_halves, held_out, written_digits
from skcca import CCA, DCCA, ClusterCCA, SupervisedDCCA
from skcca.metrics import mean_average_precision_score

N_COMPONENTS = 9
LOADERS = {"digit halves": digit_halves, "written digits": written_digits}
COLUMNS = [
    f"{kind}: {rows}" for kind in ("true", "shuffled") for rows in ("fitted", "held", "test")
]


def main() -> None:
    """Fit, measure, print and keep."""
    options = arguments(__doc__, seeds=5)
    seeds = range(options.seeds)
    record = Record(
        "overfitting",
        "True and shuffled pairs on rows fitted, held out and test rows",
        f"total correlation of {N_COMPONENTS} components for CCA and DCCA, MAP (mean of both "
        f"directions) for ClusterCCA and SupervisedDCCA; mean of {options.seeds} splits",
        COLUMNS,
    )
    for name, load in LOADERS.items():
        tasks = [load(options.data_home, seed) for seed in seeds]
        for method in (CCA, DCCA, ClusterCCA, SupervisedDCCA):
            runs = [measured(method, task, seed) for seed, task in enumerate(tasks)]
            record.add(f"{name}: {method.__name__}({N_COMPONENTS})", *mean_and_deviation(runs))
    record.save("python -m benchmarks.overfitting", seeds=options.seeds)


def measured(method: Any, task: Task, seed: int) -> list[float]:
    """Return the figures of one split, of true pairs and of shuffled ones."""
    kept = held_out(task, seed=seed)
    by_class = method in (ClusterCCA, SupervisedDCCA)
    (X, labels), (Y, _) = kept.x_train, kept.y_train
    order = np.random.default_rng(seed).permutation(len(labels))
    found = []
    for shuffled in (False, True):
        partners = Y[order] if shuffled and not by_class else Y
        classes = labels[order] if shuffled and by_class else labels
        parts = [
            (X, partners, classes),
            (kept.x_test[0], kept.y_test[0], kept.x_test[1]),
            (task.x_test[0], task.y_test[0], task.x_test[1]),
        ]
        random = {} if method in (CCA, ClusterCCA) else {"random_state": seed}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has rank")
            model = method(N_COMPONENTS, **random).fit(X, partners, labels=classes)
        found += [figure(model, by_class, *part) for part in parts]
    return found


def figure(model: Any, by_class: bool, X: np.ndarray, Y: np.ndarray, labels: np.ndarray) -> float:
    """Return MAP or total correlation."""
    if not by_class:
        return float(model.score(X, Y))
    Z, W = model.transform(X), model.transform_y(Y)
    maps = [mean_average_precision_score(A, B, labels, labels) for A, B in ((Z, W), (W, Z))]
    return float(np.mean(maps))


if __name__ == "__main__":
    main()
