"""What a step of training asks of the host, counted on a device of pretence.

    python -m benchmarks.host_budget           # a table, by estimator and setting
    python -m benchmarks.host_budget --where   # with the lines of the stalls

A GPU computes while the host prepares what comes next, until the host has to wait for it: a stall.
It waits where it looks at a value or copies, unless the device is idle. Counted are those, the
operations (each a launch on a GPU, or more) and what is copied to the device. Of an epoch of one
step and one of four steps over the same rows, a third of the difference is a step, and what is left
of the first is the epoch's own. Counts are those of any machine; no time is measured.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from skcca import DCCA, ChunkSelector, SupervisedDCCA
from skcca.nn.training import Run

if TYPE_CHECKING:
    from benchmarks._pretend import Counts

N_ROWS, N_SONGS, N_FEATURES = 96, 32, 20
SETTINGS = {"max_epochs": 6, "random_state": 0, "device": "pretend"}
LOSSES = ("trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking")
FIGURES = ("operations", "stalls", "looks", "to_host", "to_device", "to_device_bytes")

Fit = Callable[[int], Any]


def epoch_counts(fit: Callable[[], Any]) -> list[Counts]:
    """Return the counts of each epoch of a fit but for the first, and the memory at its end."""
    # Inside, so that a process without the device can read the names of the fits.
    from benchmarks._pretend import COUNTS

    ends: list[Counts] = []
    end_epoch = Run.end_epoch

    def record(run: Run, *args: Any, **kwargs: Any) -> None:
        end_epoch(run, *args, **kwargs)
        gc.collect()
        ends.append(COUNTS.copy())

    # What is there before need not be searched for garbage after every epoch.
    gc.freeze()
    try:
        with mock.patch.object(Run, "end_epoch", record):
            fit()
    finally:
        gc.unfreeze()
    return [end.since(before) for before, end in itertools.pairwise(ends)]


def two_views(model: type[DCCA], n_features: int, **settings: Any) -> Fit:
    """Return a fit to simulated rows, for a number of steps an epoch."""
    rng = np.random.default_rng(0)
    X, Y = (rng.normal(size=(N_ROWS, n_features)).astype(np.float32) for _ in "xy")
    small = {"x_hidden_layer_sizes": (8,), "y_hidden_layer_sizes": (8,), "average_epochs": 1}
    options = small | SETTINGS | settings

    def fit(n_steps: int) -> Any:
        return model(3, **options, batch_size=N_ROWS // n_steps).fit(X, Y, np.arange(N_ROWS) % 4)

    return fit


def songs(n_features: int, **settings: Any) -> Fit:
    """Return a fit to simulated songs, for a number of steps an epoch."""
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(12, n_features)).astype(np.float32) for _ in range(N_SONGS)]
    options = {"hidden_size": 8} | SETTINGS | settings

    def fit(n_steps: int) -> Any:
        selector = ChunkSelector(**options, batch_size=N_SONGS // n_steps)
        return selector.fit(frames, np.arange(N_SONGS) % 2)

    return fit


FITS: dict[str, Callable[[int], Fit]] = {
    **{f"SupervisedDCCA, {loss}": partial(two_views, SupervisedDCCA, loss=loss) for loss in LOSSES},
    "SupervisedDCCA, sampled pairs": partial(two_views, SupervisedDCCA, pair_fraction=0.5),
    "SupervisedDCCA, blended pairs": partial(two_views, SupervisedDCCA, instance_weight=0.3),
    "DCCA, trace": partial(two_views, DCCA),
    "DCCA, micro-batches": partial(two_views, DCCA, micro_batch_size=8),
    "DCCA, reconstruction": partial(two_views, DCCA, reconstruction_weight=0.5),
    "DCCA, gradients of bounded norm": partial(two_views, DCCA, max_grad_norm=1.0),
    "DCCA, averaged weights": partial(two_views, DCCA, average_epochs=2),
    "DCCA, early stopping": partial(two_views, DCCA, early_stopping=True),
    "ChunkSelector, lstm": songs,
    "ChunkSelector, peephole": partial(songs, cell="peephole"),
    "ChunkSelector, head of steps": partial(songs, head="per_step"),
    "ChunkSelector, weights of classes": partial(songs, class_weight="balanced"),
}


def budget(fit: Fit) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of a step, and those of an epoch beside its steps."""
    one, four = (epoch_counts(partial(fit, n_steps))[-1] for n_steps in (1, 4))
    step = {name: (getattr(four, name) - getattr(one, name)) / 3 for name in FIGURES}
    return step, {name: getattr(one, name) - step[name] for name in FIGURES}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--where", action="store_true", help="show the lines of the stalls")
    where = parser.parse_args().where
    warnings.simplefilter("ignore")
    heads = ("operations", "stalls", "looks", "to host", "to device", "bytes")
    print(f"{'':40}" + "".join(f"{head:>11}" for head in heads))
    for name, make in FITS.items():
        fit = make(N_FEATURES)
        for part, figures in zip(("step", "epoch"), budget(fit), strict=True):
            cells = "".join(f"{figures[key]:>11,.1f}" for key in FIGURES)
            print(f"{name if part == 'step' else '':34}{part:6}{cells}")
        if where:
            for line, count in epoch_counts(partial(fit, 4))[-1].places.most_common():
                print(f"    {count:3} of an epoch of 4 steps  {line}")


if __name__ == "__main__":
    main()
