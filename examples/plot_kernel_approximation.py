"""
Kernel CCA by landmarks and by random features
==============================================

Exact kernel CCA takes time n³ and memory n². Both approximations replace the kernel by a few
hundred features, for which the problem is a CCA with a ridge: Nyström features are kernels between
the rows and landmarks among them, and random Fourier features are random cosines. This example
measures how many features are needed.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA, KCCA

plt.style.use("tableau-colorblind10")

# %%
# A nonlinear relation
# --------------------
# One view has two angles and noise features, the other the cosines of the angles and their product.


def make_views(n_rows, random_state):
    """Draw rows of two views, of 6 and 5 features."""
    rng = np.random.default_rng(random_state)
    X, Y = rng.normal(size=(n_rows, 6)), 0.3 * rng.normal(size=(n_rows, 5))
    X[:, :2] = rng.uniform(-np.pi, np.pi, size=(n_rows, 2))
    Y[:, :2] += np.cos(X[:, :2])
    Y[:, 2] += np.cos(X[:, 0]) * np.sin(X[:, 1])
    return X, Y


X, Y = make_views(1500, 0)
X_new, Y_new = make_views(1500, 1)

# %%
# Held-out correlation and seconds
# --------------------------------
# The score of three components is the sum of their correlations in new rows, which is 3 at most.


def fit_and_score(model):
    """Return the held-out total correlation and the seconds of the fit."""
    start = time.perf_counter()
    model.fit(X, Y)
    return model.score(X_new, Y_new), time.perf_counter() - start


linear, _ = fit_and_score(CCA(3))
exact, exact_seconds = fit_and_score(KCCA(3, reg=1e-3))
print(f"linear CCA            {linear:.2f}")
print(f"exact KCCA            {exact:.2f}   {exact_seconds:.2f} s")

numbers = [10, 30, 100, 300, 1000]
found = {}
for approximation in "nystroem", "random_features":
    for n in numbers:
        model = KCCA(3, reg=1e-3, approximation=approximation, n_landmarks=n, random_state=0)
        found[approximation, n] = total, seconds = fit_and_score(model)
        print(f"{approximation:<16}{n:>5} {total:.2f}   {seconds:.2f} s")

# %%
# Figure
# ------
# Dashed lines are the exact solution.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
labels = {"nystroem": "landmarks (Nyström)", "random_features": "random features"}
for (approximation, label), marker in zip(labels.items(), "os", strict=True):
    totals, seconds = zip(*(found[approximation, n] for n in numbers), strict=True)
    left.plot(numbers, totals, marker=marker, label=label)
    right.plot(numbers, seconds, marker=marker, label=label)
left.axhline(exact, color="0.2", linestyle="--", label="exact")
left.axhline(linear, color="0.5", linestyle=":", label="linear CCA")
right.axhline(exact_seconds, color="0.2", linestyle="--", label="exact")
left.set(xscale="log", xlabel="Landmarks or features", ylabel="Held-out total correlation")
right.set(xscale="log", ylim=(0, None), xlabel="Landmarks or features", ylabel="Seconds of the fit")
left.legend(frameon=False, loc="center right")
plt.show()

# %%
# Conclusions
# -----------
# Linear CCA finds none of these relations and kernel CCA most of them. A hundred landmarks come
# close to the exact solution and three hundred match it, with a fraction of the rows. Random
# features need several times as many for the same total, because they do not depend on the data,
# whereas landmarks are rows. A thousand landmarks for 1,500 rows take longer than a few components
# of the exact solution. Approximations are worthwhile for many rows, since their time grows with n
# and that of the exact solution with n³.
