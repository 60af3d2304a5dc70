"""Choice of the default settings: one change at a time from the settings of the paper.

    python -m benchmarks.defaults --data-home DIR

Every figure is computed on rows held out of the training sets; test rows are not used.
SupervisedDCCA is scored by the mean MAP of both directions, DCCA by the total correlation of nine
components. The table marks settings with which training ends in constant outputs.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks._record import Record, arguments, mean_and_deviation
from benchmarks._tasks import (
    TASKS,
    Task,
    digit_halves,
    held_out,
    retrieval,
    simulated_songs,
    wikipedia,
    written_digits,
)
from skcca import DCCA, SupervisedDCCA

Settings = dict[str, Any]

RELU: Settings = {"activation": "relu"}
AVERAGE: Settings = {"average_epochs": 10}
CHANGES: list[Settings] = [
    {},
    {"input_noise": 0.25},
    {"input_noise": 0.5},
    {"input_noise": 1.0},
    AVERAGE,
    {"max_epochs": 100},
    {"output_activation": "identity"},
    RELU,
    {"dropout": 0.0},
    {"reg": 1e-4},
    {"reg": 1e-2},
    {"reg": 1e-1},
    {"optimizer": "adam"},
    {"batch_size": None},
    {"loss": "frobenius"},
    {"scale": False},
    RELU | AVERAGE,
    RELU | AVERAGE | {"reg": 1e-1},
    RELU | AVERAGE | {"reg": 1e-1, "input_noise": 0.25},
    RELU | AVERAGE | {"reg": 1e-1, "input_noise": 0.25, "output_activation": "identity"},
    RELU | AVERAGE | {"reg": 1e-1, "input_noise": 0.5},
    RELU | AVERAGE | {"input_noise": 0.5},
]
SUPERVISED: list[Settings] = [{"component_scaling": "unit"}, {"instance_weight": 0.2}]


def main() -> None:
    """Measure both estimators, print and keep."""
    options = arguments(__doc__, seeds=3)
    own_pairs(options.data_home, range(options.seeds))
    supervised(options.data_home, range(options.seeds))


def supervised(data_home: str | None, seeds: range) -> None:
    """Measure SupervisedDCCA on every task."""
    loaders = TASKS | {
        "Wikipedia": partial(wikipedia, roots=False),
        "simulated songs": simulated_songs,
    }
    tasks = {name: _held_out(load, data_home, seeds) for name, load in loaders.items()}
    record = Record(
        "defaults",
        "Changes to the paper's setting of SupervisedDCCA",
        f"MAP on rows held out of the training sets, mean of both directions and {len(seeds)} "
        "seeds, with the deviation over seeds",
        list(tasks),
    )
    for change in CHANGES + SUPERVISED:
        build = partial(SupervisedDCCA.paper, **change)
        _add(record, change, [_maps(build, parts) for parts in tasks.values()])
    record.save("python -m benchmarks.defaults", seeds=len(seeds))


def own_pairs(data_home: str | None, seeds: range) -> None:
    """Measure DCCA where the rows of two views belong together."""
    loaders = {
        "digit halves": digit_halves,
        "written digits": written_digits,
        "Wikipedia": partial(wikipedia, roots=False),
    }
    tasks = {name: _held_out(load, data_home, seeds) for name, load in loaders.items()}
    record = Record(
        "defaults_dcca",
        "Changes to the paper's setting of DCCA",
        f"total correlation of nine components on rows held out of the training sets, {len(seeds)} "
        "seeds, with the deviation over seeds",
        list(tasks),
    )
    for change in CHANGES:
        build = partial(DCCA.paper, n_components=9, **change)
        _add(record, change, [_totals(build, parts) for parts in tasks.values()])
    record.save("python -m benchmarks.defaults", seeds=len(seeds))


def _held_out(load: Any, data_home: str | None, seeds: range) -> list[Task]:
    return [held_out(load(data_home, seed), seed=seed) for seed in seeds]


def _maps(build: partial, parts: list[Task]) -> list[float] | str:
    """Return MAP of a seed each, the mean of both directions."""
    if "instance_weight" in build.keywords and not parts[0].paired:
        return "no own pairs"
    try:
        runs = [retrieval(build(random_state=seed), task) for seed, task in enumerate(parts)]
    except ValueError as error:
        if "constant" not in str(error):
            raise
        return "constant outputs"
    return [float(np.mean(run)) for run in runs]


def _totals(build: partial, parts: list[Task]) -> list[float]:
    """Return the held-out total correlation of a seed each."""
    return [
        build(random_state=seed)
        .fit(task.x_train[0], task.y_train[0])
        .score(task.x_test[0], task.y_test[0])
        for seed, task in enumerate(parts)
    ]


def _add(record: Record, change: Settings, cells: list[list[float] | str]) -> None:
    """Add a row of means and deviations."""
    found = [(cell, 0.0) if isinstance(cell, str) else mean_and_deviation(cell) for cell in cells]
    means, deviations = zip(*found, strict=True)
    label = ", ".join(f"{name}={value!r}" for name, value in change.items()) or "paper()"
    record.add(label, means, deviations)


if __name__ == "__main__":
    main()
