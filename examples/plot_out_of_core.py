"""
More rows than memory
=====================

The linear models read rows in blocks and keep matrices of products, whose size depends on the
number of features and not of rows. `fit` therefore takes memory maps of files, and `partial_fit`
takes batches that are not kept. Both give the same result as `fit` on rows in memory.

The files are small here, so that the example runs in seconds.
``python -m benchmarks.out_of_core`` does the same with a million rows of 1,152 features.
"""

import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA

rng = np.random.default_rng(0)
plt.style.use("tableau-colorblind10")

# %%
# Two files
# ---------
# The files hold 160,000 rows in float32, with 40 features in one view and 80 in the other. Both
# views contain the same five sources and noise. The rows are written in blocks as well.
folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
n_rows, block = 160_000, 20_000
x_map = rng.normal(size=(5, 40))
y_map = rng.normal(size=(5, 80))


def rows(n):
    """Draw rows of both views."""
    traits = rng.normal(size=(n, 5)) * [2, 1.5, 1, 0.7, 0.5]
    x = traits @ x_map + 8 * rng.normal(size=(n, 40))
    y = traits @ y_map + 8 * rng.normal(size=(n, 80))
    return x.astype(np.float32), y.astype(np.float32)


X, Y = (
    np.lib.format.open_memmap(Path(folder.name) / f"{name}.npy", "w+", np.float32, (n_rows, width))
    for name, width in {"x": 40, "y": 80}.items()
)
for start in range(0, n_rows, block):
    X[start : start + block], Y[start : start + block] = rows(block)
print(f"{type(X).__name__}s of {(X.nbytes + Y.nbytes) / 1e6:.0f} MB")

# %%
# Memory maps and batches agree with rows in memory
# -------------------------------------------------
in_memory = CCA(5).fit(np.array(X), np.array(Y))
mapped = CCA(5).fit(X, Y)
batches = CCA(5)
for start in range(0, n_rows, block):
    batches.partial_fit(X[start : start + block], Y[start : start + block])

new_x, new_y = rows(2000)
for name, model in {"memory map": mapped, "batches": batches}.items():
    difference = abs(model.transform(new_x) - in_memory.transform(new_x)).max()
    print(f"{name:<11} largest difference of new scores {difference:.1e}")
print("correlations", mapped.correlations_.round(3))

# %%
# Memory of a fit
# ---------------
# NumPy reports every array to Python's `tracemalloc`, which measures the peak of allocated memory
# during a fit. It does not count the pages of the file, which the system can reclaim at any time.
# The peak is compared with the size of the rows.


def allocated(fit):
    """Return the peak of the memory that a call allocates, in MB."""
    tracemalloc.start()
    fit()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def in_batches(n):
    """Fit to the first n rows, a block at a time."""
    model = CCA(5)
    for start in range(0, n, block):
        model.partial_fit(X[start : start + block], Y[start : start + block])


sizes = [block * 2**i for i in range(4)]
memory = {
    "fit, a memory map": [allocated(lambda n=n: CCA(5).fit(X[:n], Y[:n])) for n in sizes],
    "partial_fit, batches": [allocated(lambda n=n: in_batches(n)) for n in sizes],
    "the rows themselves": [(X[:n].nbytes + Y[:n].nbytes) / 1e6 for n in sizes],
}
for name, values in memory.items():
    print(f"{name:<21}", *(f"{value:7.1f}" for value in values), "MB")

# %%
# Learning from a stream
# ----------------------
# The model can be used after each batch. With more rows the total correlation of new rows rises and
# that of the training rows falls, until they nearly agree.
stream = CCA(5)
seen, fitted, held_out = [], [], []
for stop in np.geomspace(250, 16_000, 13).astype(int):
    start = seen[-1] if seen else 0
    stream.partial_fit(X[start:stop], Y[start:stop])
    seen.append(stop)
    fitted.append(stream.correlations_.sum())
    held_out.append(stream.score(new_x, new_y))

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for (name, values), look in zip(memory.items(), ("o-", "s--", "^:"), strict=True):
    left.loglog(sizes, values, look, label=name)
left.set(xlabel="Rows", ylabel="MB", title="What a fit allocates", ylim=(1, 200))
left.set_xticks(sizes, [f"{n:,}" for n in sizes])
left.set_yticks([1, 10, 100], ["1", "10", "100"])
left.minorticks_off()
right.semilogx(seen, fitted, "s--", label="rows fitted on")
right.semilogx(seen, held_out, "o-", label="new rows")
right.set_xticks([250, 1_000, 4_000, 16_000], ["250", "1,000", "4,000", "16,000"])
right.minorticks_off()
right.set(xlabel="Rows seen", ylabel="Total of 5 correlations", title="A stream of rows")
for ax in (left, right):
    ax.legend(frameon=False)
plt.show()
print(f"new rows: {held_out[0]:.2f} after {seen[0]} rows, {held_out[-1]:.2f} after {seen[-1]}")

# %%
# Remove the files.
folder.cleanup()

# %%
# Conclusions
# -----------
# The storage of the rows does not change the result: batches differ from a single fit only by
# rounding in float32. Eight times as many rows need no additional memory, from a map or in batches,
# and a model can be used while rows arrive. :class:`~skcca.ClusterCCA` works in the same way with
# the `labels` of each batch.
