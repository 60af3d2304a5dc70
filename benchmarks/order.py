"""Order of the methods of the paper's Table II on real data.

    python -m benchmarks.order --data-home DIR

The methods are those of `benchmarks.paper`, with the settings of the paper where it states them.
Methods that pair rows are left out for data whose rows are not paired.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._record import Record, arguments
from benchmarks._rivals import PLS
from benchmarks._tasks import TASKS, Task, retrieval
from benchmarks.paper.protocol import N_COMPONENTS, methods
from benchmarks.paper.tables import ORDER, verdict
from skcca import ClusterCCA, SupervisedDCCA

WHY = {
    "Multi-views < CCA": "A cosine counts all of CCA's 30 components alike, those of small "
    "correlation too, while those of PLS are as long as their covariance; "
    "component_scaling='correlation' mends that (benchmarks.wikipedia).",
    "KCCA < CCA": "What these views share is not linear.",
    "CCA < DCCA": "Where rows are few for networks that see no labels, they find less.",
    "C-CCA < S-DCCA": "With one pair a row there is little to learn from; with all pairs the order "
    "appears wherever there are more than 20 rows.",
}


def main() -> None:
    """Measure, compare, print and keep."""
    options = arguments(__doc__, seeds=5)
    record = Record(
        "order",
        "The methods of the paper on real data",
        "cosine, full-list MAP in per cent, mean of both directions; mean of "
        f"{options.seeds} seeds of networks, pairs and, where there is no official split, rows",
        tuple(TASKS),
    )
    loaded = {
        name: [load(options.data_home, seed) for seed in range(options.seeds)]
        for name, load in TASKS.items()
    }
    record.add("chance", [100 * tasks[0].chance for tasks in loaded.values()], kind="chance")
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in TASKS}
    for method in methods(0):
        for name, tasks in loaded.items():
            runs = [measured(method, task, seed) for seed, task in enumerate(tasks)]
            if None not in runs:
                found[name][method] = 100 * np.array(runs)
        columns = [found[name].get(method) for name in TASKS]
        means = ["no pairs" if c is None else c.mean() for c in columns]
        spread = [None if c is None or np.ptp(c) == 0 else c.std(ddof=1) for c in columns]
        record.add(method, means, spread)
    claims = said(found)
    print("\n".join(["", *claims]))
    record.save("python -m benchmarks.order", seeds=options.seeds, claims=claims)


def measured(method: str, task: Task, seed: int) -> float | None:
    """Return the mean of both directions, or None if the method needs pairs that do not exist."""
    widths = [rows[0].shape[1] for rows in (task.x_train, task.y_train)]
    n_components = min(N_COMPONENTS, *widths, len(task.x_train[1]))
    model: Any = methods(seed, n_components)[method]
    if not (task.paired or isinstance(model, (ClusterCCA, SupervisedDCCA))):
        return None
    if method == "Multi-views":
        model = PLS(n_components)
    return float(np.mean(retrieval(model, task)))


def said(found: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Return for each claim the data on which it holds, the gain, and reasons where it fails."""
    lines = []
    for less, more in ORDER:
        of_data: dict[str, list[str]] = {}
        for name, maps in found.items():
            if less in maps and more in maps:
                outcome, gain = verdict(maps[more] - maps[less]).split(" (")
                of_data.setdefault(outcome, []).append(f"{name} ({gain}")
        told = "; ".join(f"{outcome}: {', '.join(data)}" for outcome, data in of_data.items())
        claim = f"{less} < {more}"
        lines.append(f"{claim}: {told}" + (f". {WHY[claim]}" if claim in WHY else ""))
    return lines


if __name__ == "__main__":
    main()
