"""Time against the number of pairs, from eight thousand to 6.4 million of the same rows.

    python -m benchmarks.pairs                    # also draws benchmarks/results/pairs.png
    python -m benchmarks.pairs --quick            # small; keeps nothing

8,000 rows in k classes of equal size make 8,000^2 / k pairs: 8,000 if each row is a class of its
own, and 6.4 million for ten classes. Other implementations repeat the rows of both views for every
pair.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._record import RESULTS, Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import median, ratio, take_turns
from skcca import CCA, DCCA, ClusterCCA, SupervisedDCCA

N_ROWS, CLASSES, WIDTHS = 8_000, (8_000, 800, 80, 10), (64, 512)
# 6.4 million repeated rows would take 27 GiB.
MOST_PAIRS = 1_000_000
EPOCHS, ROUNDS = 4, 3
MOST = 1.3


def main() -> None:
    """Measure, draw, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--plot", metavar="PATH", help="where to put a picture")
    options = parser.parse_args()
    n_rows = 800 if options.quick else N_ROWS
    classes = (800, 80, 10) if options.quick else CLASSES
    record = Record(
        "pairs",
        "Time against the number of pairs",
        f"{n_rows:,} rows of {WIDTHS[0]} and {WIDTHS[1]} features in float64, classes of one size; "
        "seconds of ClusterCCA, then ratios: to CCA of the same rows, of CCA of repeated rows to "
        "ClusterCCA, and an epoch of SupervisedDCCA to one of DCCA",
        ("seconds", "/ CCA", "at most", "repeated rows", "epoch / DCCA"),
    )
    X, Y, _ = simulated_views(n_rows, *WIDTHS)
    pairs, curves = [], []
    for n_classes in classes:
        labels = np.arange(n_rows) % n_classes
        n_pairs = n_rows**2 // n_classes
        times = take_turns(works(X, Y, labels, n_pairs), ROUNDS)
        repeated = ratio(times, "repeated", "ours") if "repeated" in times else None
        deep = epoch_ratio(X, Y, labels)
        pairs.append(n_pairs)
        curves.append([median(times, name) if name in times else np.nan for name in NAMES])
        row = (median(times, "ours"), ratio(times, "ours", "CCA"), MOST, repeated, deep)
        record.add(f"{n_pairs:,} pairs ({n_classes:,} classes)", row)
    path = options.plot or (None if options.quick else RESULTS / "pairs.png")
    if path:
        plot(pairs, np.array(curves).T, Path(path))
    if not options.quick:
        record.save("python -m benchmarks.pairs", rounds=ROUNDS)


NAMES = {"CCA": "CCA of the rows", "ours": "ClusterCCA", "repeated": "CCA of repeated rows"}


def works(
    X: np.ndarray, Y: np.ndarray, labels: np.ndarray, n_pairs: int
) -> dict[str, Callable[[], object]]:
    """Return the fits to time."""
    found: dict[str, Callable[[], object]] = {
        "CCA": lambda: CCA(9).fit(X, Y),
        "ours": lambda: ClusterCCA(9).fit(X, Y, labels),
    }
    if n_pairs <= MOST_PAIRS:
        found["repeated"] = lambda: CCA(9).fit(*repeated_rows(X, Y, labels))
    return found


def repeated_rows(
    X: np.ndarray, Y: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both rows of every pair."""
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    left = np.concatenate([np.repeat(rows, len(rows)) for rows in members])
    right = np.concatenate([np.tile(rows, len(rows)) for rows in members])
    return X[left], Y[right]


def epoch_ratio(X: np.ndarray, Y: np.ndarray, labels: np.ndarray) -> float:
    """Return how many times as long an epoch of SupervisedDCCA takes as one of DCCA, in turns."""
    seconds: dict[type, list[float]] = {SupervisedDCCA: [], DCCA: []}
    for _ in range(ROUNDS):
        for kind, found in seconds.items():
            ends: list[float] = []
            kind.paper(
                n_components=9,
                max_epochs=EPOCHS,
                random_state=0,
                callback=lambda _, ends=ends: ends.append(time.perf_counter()),
            ).fit(X, Y, labels=labels)
            found.append(float(np.median(np.diff(ends))))
    return float(np.median(np.divide(seconds[SupervisedDCCA], seconds[DCCA])))


def plot(pairs: list[int], curves: np.ndarray, path: Path) -> None:
    """Draw seconds against pairs on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axis = figure.subplots()
    for name, seconds, style in zip(NAMES.values(), curves, ("s--", "o-", "^:"), strict=True):
        axis.loglog(pairs, seconds, style, label=name)
    axis.set(xlabel="pairs", ylabel="seconds of a fit", xticks=pairs)
    axis.set_xticklabels([f"{n:,}" for n in pairs])
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
