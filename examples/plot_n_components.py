"""
Choosing the number of components
=================================

CCA finds as many correlations in its training rows as there are features. Three methods show which
of them are real: the correlations of held-out rows, those of shuffled rows, and the total of
held-out rows for a growing number of components. They do not always agree, and the last part counts
how often each is right on data with a known number.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA
from skcca.inspection import permutation_test_correlations, select_n_components
from skcca.plotting import CorrelationDisplay

plt.style.use("tableau-colorblind10")

# %%
# Three shared sources, eight features
# ------------------------------------
# Three sources are present in both views, each weaker than the one before; the other five
# directions of either view are noise. The directions are mixed, so that no single feature shows a
# source.


def make_views(random_state):
    """Draw 240 rows of two views that share three directions of eight."""
    rng = np.random.default_rng(random_state)
    X, Y = rng.normal(size=(2, 240, 8))
    Y[:, :3] = X[:, :3] + [0.5, 1.0, 1.5] * Y[:, :3]
    return X @ rng.normal(size=(8, 8)), Y @ rng.normal(size=(8, 8))


X, Y = make_views(0)
print("training correlations", CCA().fit(X, Y).correlations_.round(2))

# %%
# Single components
# -----------------
# Bars are the training correlations and points those of held-out rows. Unrelated rows exceed the
# dashed line in 5 % of cases.
display = CorrelationDisplay.from_estimator(CCA(), X, Y, n_permutations=200, random_state=0)
print("held out             ", display.held_out.mean(axis=0).round(2))
print("95 % of shuffled rows", np.quantile(display.null, 0.95, axis=0).round(2))
plt.show()

# %%
# Sums of components
# ------------------
# :func:`~skcca.inspection.select_n_components` adds up the held-out correlations. A component that
# is not real adds a small value of either sign, so that the total need not fall and its best k is
# often too large. The rule of one standard error therefore takes the smallest number of components
# within one standard error of the best.
result = select_n_components(CCA(), X, Y, n_components=8)
best = result.candidates[result.mean.argmax()]
print(f"best held-out total at k = {best}; the rule chooses k = {result.n_components}")

_, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.plot(result.candidates, np.cumsum(CCA().fit(X, Y).correlations_), "s--", label="training rows")
ax.errorbar(
    result.candidates,
    result.mean,
    yerr=result.standard_error,
    fmt="o-",
    capsize=3,
    label="rows left out, ± standard error",
)
ax.axvline(result.n_components, color="0.4", linestyle=":", label="chosen")
ax.set(xlabel="Number of components", ylabel="Total correlation", ylim=(0, None))
ax.legend(frameon=False, loc="lower right")
plt.show()

# %%
# Fifteen draws
# -------------
# A single draw is not conclusive. Fifteen draws are compared here, with a third method: the number
# of components that the step-down permutation test finds at a level of 5 %.
names = ["best total", "one standard error", "permutation test"]
counts = np.zeros((3, 8), dtype=int)  # how often each way chooses 1, 2, ... 8
for draw in range(1, 16):
    views = make_views(draw)
    result = select_n_components(CCA(), *views, n_components=8)
    test = permutation_test_correlations(CCA(), *views, n_permutations=200, random_state=0)
    chosen = result.candidates[result.mean.argmax()], result.n_components, sum(test.pvalues < 0.05)
    counts[range(3), np.array(chosen) - 1] += 1
for name, count in zip(names, counts, strict=True):
    print(f"{name:<20} chose 3 in {count[2]:2} of 15 draws, more in {count[3:].sum():2}")

_, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for i, (name, hatch) in enumerate(zip(names, ["", "//", ".."], strict=True)):
    ax.bar(np.arange(1, 9) + 0.27 * (i - 1), counts[i], 0.25, hatch=hatch, ec="w", label=name)
ax.set(xlabel="Components chosen (three are there)", ylabel="Draws", xticks=range(1, 9))
ax.legend(frameon=False)
plt.show()

# %%
# Conclusions
# -----------
# The permutation test chose three components in nearly all draws. The held-out total measures how
# much correlation remains on new rows. Components that are not real cost little there, so that its
# best k was mostly too large; the rule of one standard error was better, and still too large in
# most draws. Use the test if components are to be interpreted. For prediction, a few too many do
# little harm.
