"""Speed and memory of CCA and ClusterCCA beside the least work and other libraries.

    python -m benchmarks.linear                         # all of it
    python -m benchmarks.linear --only speed memory     # some of it
    python -m benchmarks.linear --quick                 # small sizes; keeps no results
    python -m benchmarks.linear --rows 20000            # speed at another size; keeps no results
    python -m benchmarks.linear --only growth --plot growth.png

The least work of any method is that of the three Gram products, which `floor` computes in NumPy
from the same data in float64. Times are ratios to the floor: medians over rounds in which the
floor, skcca and the other libraries run in turns in one process. ``pip install "skcca[bench]"``
installs the others.
"""

from __future__ import annotations

import argparse
import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg
from sklearn.cross_decomposition import PLSSVD
from sklearn.linear_model import LinearRegression

from benchmarks import _agreement, _growth
from benchmarks._memory import MIB, ON_LINUX, allowance, measured_apart
from benchmarks._peers import PEERS, Peer, fit_apart, present, versions
from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import Times, median, ratio, take_turns
from skcca import CCA, ClusterCCA

Array = np.ndarray


def floor(X: Array, Y: Array) -> tuple[Array, Array, Array]:
    """Return the three Gram products, which every method needs."""
    return X.T @ X, Y.T @ Y, X.T @ Y


def dual_floor(X: Array, Y: Array) -> tuple[Array, Array]:
    """Return the Gram products of the rows, for fewer rows than features."""
    return X @ X.T, Y @ Y.T


def algebra(X: Array, Y: Array, k: int) -> tuple[Array, Array]:
    """Return the canonical weights of standardised columns, without any check."""
    X, Y = ((V - V.mean(axis=0)) / V.std(axis=0) for V in (X, Y))
    x_factor, y_factor = (linalg.cholesky(V.T @ V / len(V), lower=True) for V in (X, Y))
    half = linalg.solve_triangular(x_factor, X.T @ Y / len(X), lower=True)
    U, _, Vt = linalg.svd(linalg.solve_triangular(y_factor, half.T, lower=True).T)
    x_weights = linalg.solve_triangular(x_factor, U[:, :k], lower=True, trans="T")
    return x_weights, linalg.solve_triangular(y_factor, Vt[:k].T, lower=True, trans="T")


class Plan(NamedTuple):
    """The sizes of a run."""

    rows: tuple[int, ...] = (100_000, 8_000)
    widths: tuple[int, int] = (128, 1_024)
    wide: tuple[int, int] = (40, 20_000)
    calls: int = 1_000  # of small fits in a turn
    rounds: int = 7
    limit: float = 300.0  # seconds for a peer that runs alone
    growth: _growth.Sizes = _growth.Sizes()
    memory: tuple[tuple[int, int, int], ...] = (
        (8_000, 64, 256),
        (100_000, 64, 256),
        (400_000, 64, 256),
        (8_000, 128, 1_024),
        (100_000, 128, 1_024),
    )
    plot: str | None = None
    kept: bool = True  # whether the results are the ones to publish


QUICK = Plan(
    rows=(4_000, 1_000),
    widths=(32, 128),
    wide=(40, 2_000),
    calls=20,
    rounds=3,
    limit=60.0,
    growth=_growth.QUICK,
    memory=((4_000, 32, 128), (20_000, 32, 128)),
    kept=False,
)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, help="rows for speed and agreement")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--plot", metavar="PATH", help="where to put a picture of the growth")
    options = parser.parse_args()
    plan = (QUICK if options.quick else Plan())._replace(plot=options.plot)
    if options.rows:
        plan = plan._replace(rows=(options.rows,), kept=False)
    warnings.filterwarnings("ignore", category=UserWarning)  # of few rows, in the wide views
    for name in options.only:
        record = PARTS[name](plan)
        if plan.kept:
            record.save("python -m benchmarks.linear", rounds=plan.rounds, peers=versions(PEERS))


def speed(plan: Plan) -> Record:
    """Time the fits, and those of the peers, in turns."""
    record = Record(
        "linear",
        "Speed of the linear family",
        f"fit to views of {plan.widths[0]} and {plan.widths[1]:,} features; first the seconds of "
        "what a row is measured by, then how many times as long the fit takes; medians of "
        f"{plan.rounds} rounds, 30 components (scikit-learn 5)",
        ("seconds", "skcca", "at most", *(peer.name for peer in PEERS)),
    )
    peers = present(PEERS)
    for n_rows in plan.rows:
        _add_tall(record, n_rows, peers, plan)
    n_rows, width = plan.wide
    X, Y, _ = simulated_views(n_rows, width, width)
    works = {"floor": lambda: dual_floor(X, Y), "CCA": lambda: CCA(30, reg=0.1).fit(X, Y)}
    times = take_turns(works, plan.rounds)
    label = f"CCA(reg=0.1), {n_rows} rows of twice {width:,} features / XX', YY'"
    _add(record, label, times, "CCA", "floor")
    return record


def _add_tall(record: Record, n_rows: int, peers: list[Peer], plan: Plan) -> None:
    double = simulated_views(n_rows, *plan.widths)
    single = double.astype("float32")
    works = {
        "floor": lambda: floor(double.X, double.Y),
        "CCA": lambda: CCA(30).fit(double.X, double.Y),
        "float32": lambda: CCA(30).fit(single.X, single.Y),
        "ClusterCCA": lambda: ClusterCCA().fit(*double),
    }
    for peer in peers:
        if not peer.alone:
            works[peer.name] = functools.partial(peer.fit, double.X, double.Y, peer.n_components)
    times = take_turns(works, plan.rounds)
    others = [_cell(peer, times, n_rows, plan) for peer in PEERS]
    # The bars are those of full widths.
    full, large = plan.widths == Plan().widths, n_rows >= 100_000
    bars = ((1.3, 1 / 1.4) if large else (2.0, None)) if full else (None, None)
    rows = f"{n_rows:,} rows"
    _add(record, f"CCA, {rows} / X'X, Y'Y, X'Y", times, "CCA", "floor", bars[0], others)
    _add(record, f"CCA of float32, {rows} / of float64", times, "float32", "CCA", bars[1])
    cluster_bar = 1.3 if full else None
    _add(
        record,
        f"ClusterCCA of all pairs of 10 classes, {rows} / CCA",
        times,
        "ClusterCCA",
        "CCA",
        cluster_bar,
    )


def _add(
    record: Record,
    label: str,
    times: Times,
    name: str,
    base: str,
    bar: float | None = None,
    others: list[float | str] | None = None,
) -> None:
    cells = others or [None] * len(PEERS)
    record.add(label, (median(times, base), ratio(times, name, base), bar, *cells))


def _cell(peer: Peer, times: Times, n_rows: int, plan: Plan) -> float | str:
    """Return the ratio of a peer to the floor, or the reason why there is none."""
    if peer.missing:
        return "missing"
    if not peer.alone:
        return ratio(times, peer.name, "floor")
    if n_rows > min(plan.rows):
        return "not run"
    found = fit_apart(peer, (n_rows, *plan.widths), plan.limit)
    if found is None:
        return f"> {plan.limit / median(times, 'floor'):.0f}"
    return found.seconds / median(times, "floor")


def small(plan: Plan) -> Record:
    """Time calls on few rows, whose checks cost as much as their algebra."""
    record = Record(
        "linear_small",
        "Speed of the linear family on few rows",
        "CCA(2) of 100 rows of twice 5 features; first the milliseconds of what a row is measured "
        f"by, then how many times as long skcca takes; medians of {plan.rounds} rounds of "
        f"{plan.calls:,} calls",
        ("milliseconds", "skcca", "at most"),
    )
    X, Y, _ = simulated_views(100, 5, 5)
    ours, theirs = CCA(2).fit(X, Y), PLSSVD(2).fit(X, Y)
    calls = {
        "fit": lambda: CCA(2).fit(X, Y),
        "the algebra in NumPy and SciPy": lambda: algebra(X, Y, 2),
        "fit of PLSSVD": lambda: PLSSVD(2).fit(X, Y),
        "fit of LinearRegression": lambda: LinearRegression().fit(X, Y),
        "transform": lambda: ours.transform(X, Y),
        "transform of PLSSVD": lambda: theirs.transform(X, Y),
    }
    works = {name: functools.partial(_repeat, call, plan.calls) for name, call in calls.items()}
    times = take_turns(works, plan.rounds)
    rows = (
        ("fit", "the algebra in NumPy and SciPy", 4.25),
        ("fit", "fit of PLSSVD", 2.0),
        ("fit", "fit of LinearRegression", None),
        ("transform", "transform of PLSSVD", 1.0),
    )
    for name, base, bar in rows:
        values = median(times, base) / plan.calls * 1_000, ratio(times, name, base), bar
        record.add(f"{name} / {base}", values)
    return record


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def agreement(plan: Plan) -> Record:
    """Compare correlations with those of the peers, and of float32 with those of float64."""
    shapes = [(n_rows, *plan.widths) for n_rows in (min(plan.rows), max(plan.rows))]
    return _agreement.measure(*shapes, plan.limit)


def growth(plan: Plan) -> Record:
    """Time CCA and its floor at growing sizes."""
    record, curves = _growth.measure(floor, plan.growth, plan.rounds)
    if plan.plot:
        _growth.plot(curves, plan.plot)
    return record


def memory(plan: Plan) -> Record:
    """Measure what fits need above their inputs, in a fresh process each."""
    record = Record(
        "linear_memory",
        "Peak memory of the linear family",
        "resident MiB above the inputs, each fit in a fresh process; 3 (d_x + d_y)^2 doubles and "
        "64 MiB are the most at any number of rows",
        ("inputs", "above them", "at most"),
    )
    for shape in plan.memory:
        for estimator in ("CCA", "ClusterCCA"):
            for dtype in ("float64", "float32"):
                label = f"{estimator}, {shape[0]:,} x ({shape[1]}, {shape[2]:,}), {dtype}"
                if not ON_LINUX:
                    record.add(label, ("needs Linux", None, None))
                    continue
                found = measured_apart(estimator, *shape, dtype)
                sizes = (found["inputs"], found["above"], allowance(*shape[1:]))
                record.add(label, [size / MIB for size in sizes])
    return record


PARTS = {
    "speed": speed,
    "small": small,
    "agreement": agreement,
    "growth": growth,
    "memory": memory,
}


if __name__ == "__main__":
    main()
