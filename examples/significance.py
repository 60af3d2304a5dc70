"""Null distributions of the step-down permutation test of canonical correlations.

    python examples/significance.py [picture.png]

Two of five components are real. A table shows the tests. Each panel of the picture shows the
distribution of the statistic of one component over shuffles of the rows of one view, after the
components before it were removed, and its value for the data as a line.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA
from skcca.inspection import permutation_test_correlations


def main() -> None:
    """Simulate, test, draw."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(120, 2))
    X = np.hstack([shared, rng.normal(size=(120, 3))])
    Y = np.hstack([shared + 1.5 * rng.normal(size=(120, 2)), rng.normal(size=(120, 4))])
    result = permutation_test_correlations(CCA(), X, Y, n_permutations=2000, random_state=0)

    print("component  correlation  p-value")
    for k, (correlation, pvalue) in enumerate(
        zip(result.correlations, result.pvalues, strict=True), 1
    ):
        print(f"{k:9}  {correlation:11.2f}  {pvalue:7.4f}")
    figure, axes = plt.subplots(1, 5, figsize=(12, 2.6), sharey=True, layout="constrained")
    for k, axis in enumerate(axes):
        null, observed = result.null_distribution[:, k], result.statistic[k]
        real = result.pvalues[k] <= 0.05
        axis.hist(null, bins=30, color="0.75", label="rows shuffled")
        axis.axvline(observed, color="tab:red" if real else "tab:blue", label="observed")
        axis.set_xlim(0, 1.1 * max(observed, null.max()))
        axis.set_title(f"component {k + 1}\nr = {result.correlations[k]:.2f}, "
                       f"p = {result.pvalues[k]:.4f}", fontsize="medium")  # fmt: skip
    axes[0].set_ylabel("permutations")
    axes[0].legend(frameon=False, fontsize="small")
    figure.supxlabel("-ln of Wilks' lambda of this component and those after it", fontsize="medium")
    path = sys.argv[1] if len(sys.argv) > 1 else "significance.png"
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
