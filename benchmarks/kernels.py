"""Speed, growth and memory of KCCA and ClusterKCCA beside the least work that there is.

    python -m benchmarks.kernels                       # all of it
    python -m benchmarks.kernels --only speed memory   # some of it
    python -m benchmarks.kernels --quick               # small sizes; keeps no results

The work of an exact solution that `floor` does is to compute two kernel matrices and the Cholesky
factor of each; the eigendecomposition of one matrix takes some ten times as long as its
factor. Times are ratios to the floor: medians over rounds in which the floor and the fits run in
turns in one process. ``pip install "skcca[bench]"`` installs cca-zoo, which runs in its own process
with a time limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn.metrics.pairwise import rbf_kernel

from benchmarks._memory import MIB, ON_LINUX, measured_apart
from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import log_log_slope, median, ratio, seconds, take_turns
from skcca import KCCA, ClusterKCCA

Array = np.ndarray
N_COMPONENTS = 10
_GAMMA, _RIDGE = 1e-3, 1e-2  # of the floor, whose time does not depend on them


def floor(X: Array, Y: Array) -> None:
    """Make two kernel matrices and factor them."""
    for V in (X, Y):
        K = rbf_kernel(V, gamma=_GAMMA)
        K[np.diag_indices_from(K)] += _RIDGE * len(K)
        linalg.cholesky(K.T, lower=True, overwrite_a=True, check_finite=False)


class Plan(NamedTuple):
    """The sizes of a run."""

    rows: tuple[int, ...] = (1_000, 4_000)
    growth: tuple[int, ...] = (500, 1_000, 2_000, 4_000)
    memory: tuple[int, ...] = (1_000, 4_000)
    width: int = 1_000
    rounds: int = 5
    limit: float = 60.0  # seconds for cca-zoo
    kept: bool = True  # whether the results are the ones to publish


QUICK = Plan((400, 800), (300, 600, 1_200), (400,), 200, 3, 20.0, kept=False)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peer", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        print(json.dumps(_seconds_of_cca_zoo(*options.peer)))
        return
    plan = QUICK if options.quick else Plan()
    for name in options.only:
        record = PARTS[name](plan)
        if plan.kept:
            peer = version("cca-zoo") if find_spec("cca_zoo") else "missing"
            record.save("python -m benchmarks.kernels", rounds=plan.rounds, peers={"cca-zoo": peer})


def speed(plan: Plan) -> Record:
    """Time the fits in turns with the floor."""
    record = Record(
        "kernels",
        "Speed of the kernel family",
        f"exact fit to two views of {plan.width:,} features, Gaussian kernel; the seconds of two "
        "kernel matrices and two Cholesky factorisations, then how many times as long the fit "
        f"takes; medians of {plan.rounds} rounds, {N_COMPONENTS} components",
        ("seconds", "skcca", "at most", "cca-zoo"),
    )
    for n_rows in plan.rows:
        X, Y, labels = simulated_views(n_rows, plan.width, plan.width)
        unrelated = np.random.default_rng(0).permutation(n_rows)
        works = {
            "floor": lambda X=X, Y=Y: floor(X, Y),
            "KCCA": lambda X=X, Y=Y: KCCA(N_COMPONENTS).fit(X, Y),
            "unrelated": lambda X=X, Y=Y[unrelated]: KCCA(N_COMPONENTS).fit(X, Y),
            "ClusterKCCA": lambda X=X, Y=Y, labels=labels: ClusterKCCA().fit(X, Y, labels),
        }
        times = take_turns(works, plan.rounds)
        least = median(times, "floor")
        peer = _peer_ratio(n_rows, plan, least)
        bars = (2.0, 3.0) if n_rows >= 1_000 else (None, None)  # fewer rows have other costs
        for name, label, bar, other in (
            ("KCCA", f"KCCA({N_COMPONENTS}), {n_rows:,} rows", bars[0], peer),
            ("unrelated", f"KCCA({N_COMPONENTS}), {n_rows:,} rows, unrelated views", None, None),
            ("ClusterKCCA", f"ClusterKCCA(), {n_rows:,} rows, 10 classes", bars[1], None),
        ):
            record.add(label, (least, ratio(times, name, "floor"), bar, other))
    return record


def growth(plan: Plan) -> Record:
    """Time the floor and KCCA at growing numbers of rows, and fit power laws."""
    record = Record(
        "kernels_growth",
        "Growth of a kernel fit",
        f"KCCA with {N_COMPONENTS} components, two views of {plan.width:,} features, in seconds; "
        "exponents of a power law through all sizes",
        ("floor", "KCCA", "KCCA / floor", "at most"),
    )
    found = []
    for n_rows in plan.growth:
        X, Y, _ = simulated_views(n_rows, plan.width, plan.width)
        works = {
            "floor": lambda X=X, Y=Y: floor(X, Y),
            "KCCA": lambda X=X, Y=Y: KCCA(N_COMPONENTS).fit(X, Y),
        }
        times = take_turns(works, plan.rounds)
        found.append((median(times, "floor"), median(times, "KCCA")))
        bar = 2.0 if n_rows >= 1_000 else None
        record.add(f"{n_rows:,} rows", (*found[-1], ratio(times, "KCCA", "floor"), bar))
    exponents = [log_log_slope(plan.growth, column) for column in zip(*found, strict=True)]
    record.add("exponent of rows", (*exponents, None, None))
    return record


def memory(plan: Plan) -> Record:
    """Measure what fits need above their inputs, in a fresh process each."""
    record = Record(
        "kernels_memory",
        "Peak memory of the kernel family",
        "resident MiB above the inputs, each fit in a fresh process; at most two kernel matrices, "
        "three scaled views and 64 MiB",
        ("inputs", "above them", "at most"),
    )
    for n_rows in plan.memory:
        for estimator in ("KCCA", "ClusterKCCA"):
            label = f"{estimator}, {n_rows:,} rows of twice {plan.width:,} features"
            if not ON_LINUX:
                record.add(label, ("needs Linux", None, None))
                continue
            found = measured_apart(estimator, n_rows, plan.width, plan.width, "float64")
            most = 8 * (2 * n_rows**2 + 3 * n_rows * plan.width) + 64 * MIB
            record.add(label, [size / MIB for size in (found["inputs"], found["above"], most)])
    return record


def _peer_ratio(n_rows: int, plan: Plan, least: float) -> float | str:
    """Return the ratio of cca-zoo to the floor, or the reason why there is none."""
    if find_spec("cca_zoo") is None:
        return "missing"
    if n_rows > min(plan.rows):
        return "not run"
    print(f"(cca-zoo alone, {n_rows:,} rows, at most {plan.limit:.0f} s)", flush=True)
    command = [sys.executable, "-m", "benchmarks.kernels", "--peer", str(n_rows), str(plan.width)]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=plan.limit)
    except subprocess.TimeoutExpired:
        return f"> {plan.limit / least:.0f}"
    return json.loads(done.stdout) / least


def _seconds_of_cca_zoo(n_rows: int, width: int) -> float:
    from cca_zoo.nonparametric import KCCA as Peer

    X, Y, _ = simulated_views(n_rows, width, width)
    gamma = 1.0 / (2 * width * 9)  # about what ours takes, of features whose variance is 9 and more
    model = Peer(N_COMPONENTS, kernel="rbf", gamma=gamma)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seconds(lambda: model.fit([X, Y]))


PARTS = {"speed": speed, "growth": growth, "memory": memory}


if __name__ == "__main__":
    main()
