"""Error rate, power and speed of the permutation test of canonical correlations.

    python -m benchmarks.permutation_level
    python -m benchmarks.permutation_level --only speed
    python -m benchmarks.permutation_level --quick    # few runs; keeps no results

The views are normally distributed, with 100 rows, 4 and 6 features, of which 0, 1 or 2 pairs have a
correlation of .8. The step-down test is compared with a test of all components at once, which
leaves the variance of the true components in the null distribution of the others.

The least work of a permutation is that of the singular values of the permuted whitened views, which
`floor` computes in NumPy.
"""

from __future__ import annotations

import argparse
import functools

import numpy as np

from benchmarks._record import Record
from benchmarks._timing import median, ratio, take_turns
from skcca import CCA
from skcca.inspection import permutation_test_correlations, wilks_test

N_ROWS, WIDTHS, RHO, LEVEL = 100, (4, 6), 0.8, 0.05


def main() -> None:
    """Simulate, count, time, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="data sets; default: 2000")
    parser.add_argument("--permutations", type=int, default=199, help="of each; default: 199")
    parser.add_argument("--quick", action="store_true", help="few runs")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    runs = 20 if options.quick else options.runs
    for name in options.only:
        record = PARTS[name](runs, options.permutations)
        if not options.quick:
            settings = {"runs": runs, "permutations": options.permutations}
            record.save("python -m benchmarks.permutation_level", **settings)


def level(n_runs: int, n_permutations: int) -> Record:
    """Count the data sets in which each component is rejected."""
    record = Record(
        "permutation_level",
        "Permutation test of canonical correlations, share of data sets in which it rejects",
        f"level {LEVEL:.0%}, {N_ROWS} rows, {WIDTHS[0]} and {WIDTHS[1]} features, correlations of "
        f"{RHO}; {n_runs:,} data sets; a component that is not there should be rejected in "
        f"{LEVEL:.0%} at most",
        tuple(f"component {k + 1}" for k in range(min(WIDTHS))),
    )
    for n_true in range(3):
        there = f"{n_true} component{'s' * (n_true != 1)} there"
        rejected = rejections(n_true, n_runs, n_permutations)
        for method, rates in rejected.items():
            record.add(f"{method}, {there}", rates)
        if n_true == 0:
            continue
        power = [0.95] * n_true + [None] * (min(WIDTHS) - n_true)
        record.add(f"step-down, {there} must reach", power, kind="bar")
    return record


def rejections(n_true: int, n_runs: int, n_permutations: int) -> dict[str, np.ndarray]:
    """Return for each method the share of data sets in which it rejects each component."""
    rng = np.random.default_rng(n_true)
    names = ("step-down", "permuting once for all", "Rao's F")
    counts = {name: np.zeros(min(WIDTHS)) for name in names}
    for _ in range(n_runs):
        X, Y = (rng.normal(size=(N_ROWS, width)) for width in WIDTHS)
        Y[:, :n_true] = RHO * X[:, :n_true] + np.sqrt(1 - RHO**2) * Y[:, :n_true]
        stepped = permutation_test_correlations(
            CCA(), X, Y, n_permutations=n_permutations, random_state=rng
        )
        parametric = wilks_test(stepped.correlations, N_ROWS, *WIDTHS).pvalues
        once = permuting_once(X, Y, n_permutations, rng)
        for name, pvalues in zip(names, (stepped.pvalues, once, parametric), strict=True):
            counts[name] += np.maximum.accumulate(pvalues) <= LEVEL
    return {name: count / n_runs for name, count in counts.items()}


def permuting_once(
    X: np.ndarray, Y: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the p-values of the test that takes all components from the same permuted views."""
    U, V = (np.linalg.qr(A - A.mean(axis=0))[0] for A in (X, Y))

    def statistics(T: np.ndarray) -> np.ndarray:
        log_unshared = np.log1p(-(np.linalg.svd(T, compute_uv=False) ** 2))
        return -np.cumsum(log_unshared[::-1])[::-1]  # -ln of Wilks' lambda from k on

    observed = statistics(U.T @ V)
    exceeding = sum(
        statistics(U.T @ V[rng.permutation(N_ROWS)]) >= observed for _ in range(n_permutations)
    )
    return (1 + exceeding) / (1 + n_permutations)


def speed(n_runs: int, n_permutations: int) -> Record:
    """Time the test beside bare singular values."""
    n_rounds, n_draws = min(n_runs, 15), 1000
    record = Record(
        "permutation_speed",
        "Speed of the permutation test",
        f"{n_draws:,} permutations, whitening included; microseconds of the singular values of one "
        "pair of permuted whitened views in NumPy, and how many times as long skcca takes for "
        f"the statistics of all components; medians of {n_rounds} rounds",
        ("microseconds", "skcca", "at most"),
    )
    rng = np.random.default_rng(0)
    for n_rows, widths, bar in ((500, (20, 30), 2.0), (N_ROWS, WIDTHS, 2.0)):
        X, Y = (rng.normal(size=(n_rows, width)) for width in widths)
        whitened = (np.linalg.qr(V - V.mean(axis=0))[0] for V in (X, Y))
        works = {"floor": functools.partial(floor, *whitened, n_draws, rng)}
        for statistic in ("wilks", "roy"):
            works[statistic] = functools.partial(
                permutation_test_correlations, CCA(), X, Y, n_permutations=n_draws,
                statistic=statistic, random_state=0,
            )  # fmt: skip
        times = take_turns(works, n_rounds)
        for statistic in ("wilks", "roy"):
            label = f"statistic={statistic!r}, {n_rows} x {widths}"
            # Roy's root takes singular values of every component.
            most = bar if statistic == "wilks" else None
            microseconds = median(times, "floor") / n_draws * 1e6
            record.add(label, (microseconds, ratio(times, statistic, "floor"), most))
    return record


def floor(U: np.ndarray, V: np.ndarray, n_draws: int, rng: np.random.Generator) -> None:
    """Compute the singular values of permuted whitened views."""
    for _ in range(n_draws):
        np.linalg.svd(U.T @ V[rng.permutation(len(V))], compute_uv=False)


PARTS = {"level": level, "speed": speed}


if __name__ == "__main__":
    main()
