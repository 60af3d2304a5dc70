"""SupervisedDCCA beside alternative methods with the same networks and budget.

    python -m benchmarks.rivals --data-home DIR

The score is average precision over the full list by cosine, in both directions. The settings of
every method are the best of its grid on a quarter of the training rows (mean of both directions,
two seeds), whose score is in the last column; the test rows are used once. "300 digits" and
"nutrimouse" are drawn anew for each seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks._record import Record, arguments, mean_and_deviation
from benchmarks._rivals import PLS, Contrastive, CrossEntropy, SemanticMatching
from benchmarks._tasks import TASKS, best_settings, retrieval
from skcca import ClusterCCA, SupervisedDCCA

BUDGET = {"max_epochs": 100}
GRID = {"input_noise": [0.0, 0.5, 1.0]}
OUTPUTS = {"output_activation": ["identity", "sigmoid"]}  # those of a classifier are a softmax


class Method(NamedTuple):
    """An estimator, built from a seed and settings, and the settings to choose from."""

    build: Callable[..., Any]
    grid: dict[str, list]


METHODS = {
    "PLS": Method(lambda seed, **s: PLS(**s), {"n_components": [3, 6, 9]}),
    "logistic posteriors": Method(
        lambda seed, **s: SemanticMatching(**s), {"C": [1e-3, 1e-2, 0.1, 1.0]}
    ),
    "cross-entropy": Method(lambda seed, **s: CrossEntropy(**BUDGET | s, random_state=seed), GRID),
    "contrastive": Method(
        lambda seed, **s: Contrastive(**BUDGET | s, random_state=seed), GRID | OUTPUTS
    ),
    "ClusterCCA": Method(lambda seed, **s: ClusterCCA(**s), {"reg": [0.0, 0.01, 0.1, 1.0]}),
    "SupervisedDCCA": Method(
        lambda seed, **s: SupervisedDCCA(**BUDGET | s, random_state=seed), GRID | OUTPUTS
    ),
}


def main() -> None:
    """Choose, measure, print and keep."""
    options = arguments(__doc__, seeds=5)
    record = Record(
        "rivals",
        "SupervisedDCCA and what else the same networks can be trained for",
        "cosine, full-list MAP; settings chosen on a quarter of the training rows; mean of "
        f"{options.seeds} seeds",
        ("first to second", "second to first", "held out, both"),
    )
    chosen = {}
    for name, load in TASKS.items():
        tasks = [load(options.data_home, seed) for seed in range(options.seeds)]
        record.add(f"{name}: chance", [tasks[0].chance] * 2 + [None], kind="chance")
        best = np.zeros(2)
        for label, method in METHODS.items():
            if label == "PLS" and not tasks[0].paired:
                continue
            settings, held_out_map = best_settings(*method, tasks[:2])
            chosen[f"{name}: {label}"] = settings
            runs = [retrieval(method.build(i, **settings), task) for i, task in enumerate(tasks)]
            mean, deviation = mean_and_deviation(runs)
            record.add(f"{name}: {label}", [*mean, held_out_map], [*deviation, None])
            if label != "SupervisedDCCA":
                best = np.maximum(best, mean)
        record.add(f"{name}: SupervisedDCCA must reach", [*best, None], kind="bar")
    record.save("python -m benchmarks.rivals", seeds=options.seeds, chosen=chosen)


if __name__ == "__main__":
    main()
