"""Error rate and power of the permutation test of canonical correlations.

    python -m benchmarks.permutation_level

The views are normally distributed, with 100 rows, 4 and 6 features, of which 0, 1 or 2 pairs have a
correlation of .8. The step-down test is compared with a test of all components at once, which
leaves the variance of the true components in the null distribution of the others.
"""

from __future__ import annotations

import numpy as np

from benchmarks._record import Record, arguments
from skcca import CCA
from skcca.inspection import permutation_test_correlations, wilks_test

N_ROWS, WIDTHS, RHO, LEVEL = 100, (4, 6), 0.8, 0.05


def main() -> None:
    """Simulate, count, print and keep."""
    options = arguments(__doc__, runs=2000, permutations=199)
    record = Record(
        "permutation_level",
        "Permutation test of canonical correlations, share of data sets in which it rejects",
        f"level {LEVEL:.0%}, {N_ROWS} rows, {WIDTHS[0]} and {WIDTHS[1]} features, correlations of "
        f"{RHO}; {options.runs:,} data sets; a component that is not there should be rejected in "
        f"{LEVEL:.0%} at most",
        tuple(f"component {k + 1}" for k in range(min(WIDTHS))),
    )
    for n_true in range(3):
        there = f"{n_true} component{'s' * (n_true != 1)} there"
        rejected = rejections(n_true, options.runs, options.permutations)
        for method, rates in rejected.items():
            record.add(f"{method}, {there}", rates)
        if n_true == 0:
            continue
        power = [0.95] * n_true + [None] * (min(WIDTHS) - n_true)
        record.add(f"step-down, {there} must reach", power, kind="bar")
    record.save("python -m benchmarks.permutation_level", **vars(options) | {"data_home": None})


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


if __name__ == "__main__":
    main()
