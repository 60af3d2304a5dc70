"""Threads of torch for networks of several sizes, on idle cores and on busy ones.

    python -m benchmarks.threads
    python -m benchmarks.threads --quick     # small; keeps no results

Each fit runs in a process of its own. On busy cores one other process for each core multiplies
small matrices all the while. The pools of threads of BLAS and torch wait for one another at the end
of every product: where cores are busy, one late thread delays all.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from skcca import SupervisedDCCA

# Hidden layers of both views, and rows of a batch.
SIZES = {
    "32 units, batches of 64": ((32,), 64),
    "128 units, batches of 512": ((128, 128), 512),
    "512 units, batches of 512": ((512, 512), 512),
    "1,024 units, batches of 2,048": ((1_024, 1_024), 2_048),
}
N_ROWS, WIDTH, EPOCHS, ROUNDS = 4_096, 128, 5, 3


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--fit", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(epoch_seconds(*options.fit))
        return
    n_cores = os.cpu_count() or 1
    threads = sorted({1, 2, n_cores})
    rounds = 1 if options.quick else ROUNDS
    record = Record(
        "threads",
        "Threads of torch for networks of several sizes",
        f"{N_ROWS:,} rows of {WIDTH} and {WIDTH} features in float32; seconds of an epoch, medians "
        f"of {rounds} fits; busy: one other process for each of {n_cores} cores",
        [f"{n} thread{'s' * (n > 1)}{where}" for where in ("", ", busy") for n in threads],
    )
    for place, name in enumerate(SIZES):
        values: list[float] = []
        for is_busy in (False, True):
            with busy(n_cores if is_busy else 0):
                runs = [[fitted(place, n) for n in threads] for _ in range(rounds)]
            values += list(np.median(runs, axis=0))
        record.add(name, values)
    if not options.quick:
        record.save("python -m benchmarks.threads", rounds=rounds, epochs=EPOCHS)


def fitted(place: int, n_threads: int) -> float:
    """Return the seconds of an epoch, measured in a process of its own."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(n_threads))
    command = [sys.executable, "-m", "benchmarks.threads", "--fit", str(place), str(n_threads)]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(found.stdout)


def epoch_seconds(place: int, n_threads: int) -> float:
    """Return the median seconds between two epochs of a fit."""
    import torch

    from benchmarks.deep import epoch

    torch.set_num_threads(n_threads)
    # Ten classes have nine directions, and a batch of few rows says little of them.
    warnings.filterwarnings("ignore", category=UserWarning)
    layers, batch_size = list(SIZES.values())[place]
    views = simulated_views(N_ROWS, WIDTH, WIDTH).astype("float32")
    model = SupervisedDCCA(
        9,
        x_hidden_layer_sizes=layers,
        y_hidden_layer_sizes=layers,
        batch_size=batch_size,
        random_state=0,
    )
    return epoch(model, views, EPOCHS + 1)


@contextmanager
def busy(n_processes: int) -> Iterator[None]:
    """Keep so many other processes at work inside the block."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_multiply, daemon=True) for _ in range(n_processes)]
    for process in others:
        process.start()
    try:
        yield
    finally:
        for process in others:
            process.terminate()
            process.join()


def _multiply() -> None:
    A = np.ones((32, 32))
    while True:
        A @ A


if __name__ == "__main__":
    main()
