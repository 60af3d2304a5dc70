"""
Few labelled rows
=================

Labels are expensive, and pairs are not: every video comes with its own sound. Here a few of the
rows have a label. :class:`~skcca.ClusterKCCA` can be fitted to those alone, or to all rows. Rows
without a label then contribute their own pairs, with a weight that is chosen on held-out labelled
rows.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV

from skcca import KCCA, ClusterKCCA, Views, retrieval_map
from skcca.datasets import load_digit_halves
from skcca.metrics import chance_map
from skcca.model_selection import PartlyLabelledKFold

# Some pixels are empty in every image, and are left out; a scorer leaves out rows without a label.
warnings.filterwarnings("ignore", message=".*features that are constant")
warnings.filterwarnings("ignore", message=".*have no label")

# %%
# A share of the labels
# ---------------------
# Left and right halves of 900 handwritten digits are there to fit on. A share of each digit keeps
# its label, two images at least. ``None`` stands for a label that is not known.
digits = load_digit_halves()
halves, truth = Views(left=digits.x, right=digits.y), digits.labels
train, test = halves[:900], halves[900:]
chance = chance_map(truth[900:])


def partly_known(share, seed):
    """Return the labels of the training rows, of which a share of each digit is known."""
    rng, labels = np.random.default_rng(seed), np.full(900, None)
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(truth[:900] == digit))
        labels[rows[: max(2, round(share * len(rows)))]] = digit
    return labels


print(partly_known(0.1, 0)[:20])

# %%
# A weight for the own pairs
# --------------------------
# ``instance_weight`` is the share that the own pairs have of all weight. It is chosen from four by
# retrieval among labelled rows that are held out. The folds of
# :class:`~skcca.model_selection.PartlyLabelledKFold` have their share of the labelled rows of each
# digit. Ten digits span nine directions; further components would be filled by what the two halves
# of an image share beyond the digit.
weights = [0.05, 0.2, 0.5, 0.8]
labels = partly_known(0.1, 0)
search = GridSearchCV(
    ClusterKCCA(9),
    {"instance_weight": weights},
    scoring=retrieval_map,
    cv=PartlyLabelledKFold(2, shuffle=True, random_state=0),
)
search.fit(train, labels)
for weight, held_out in zip(weights, search.cv_results_["mean_test_score"], strict=True):
    found = ClusterKCCA(9, instance_weight=weight).fit(train, labels)
    print(f"instance_weight {weight:<4}  MAP of held-out labelled rows {held_out:.3f}, of new rows "
          f"{retrieval_map(found, test, truth[900:]):.3f} (chance {chance:.3f})")  # fmt: skip

# %%
# The curve
# ---------
# For each share, labels are drawn three times. The labelled rows alone, all rows, and kernel CCA of
# the own pairs, which needs no labels, are compared on the same new rows.
shares = [0.02, 0.05, 0.1, 0.3, 1]
alone, together = np.empty((2, len(shares), 3))
for i, share in enumerate(shares):
    for seed in range(3):
        labels = partly_known(share, seed)
        known = np.flatnonzero([label is not None for label in labels])
        few = ClusterKCCA(9).fit(train[known], labels[known].astype(int))
        alone[i, seed] = retrieval_map(few, test, truth[900:])
        together[i, seed] = retrieval_map(search.fit(train, labels), test, truth[900:])
    print(f"{share:>4.0%} labelled: alone MAP {alone[i].mean():.3f}, with the others "
          f"{together[i].mean():.3f} (chance {chance:.3f})")  # fmt: skip
own = retrieval_map(KCCA(9).fit(train), test, truth[900:])

# %%
_, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for values, name, colour, dashes, marker in (
    (together, "all rows", "#0072B2", "-", "o"),
    (alone, "labelled rows alone", "#D55E00", "--", "s"),
):
    ax.plot(shares, values.mean(axis=1), dashes, marker=marker, color=colour, label=name)
    ax.fill_between(shares, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, lw=0)
ax.axhline(own, color="#009E73", ls="-.", label="own pairs, no labels")
ax.axhline(chance, color="k", ls=":", lw=1, label="chance")
ax.set(xscale="log", xlabel="Share of the training rows with a label", ylabel="MAP of new rows")
ax.set_xticks(shares, [f"{share:.0%}" for share in shares])
ax.minorticks_off()
ax.set_ylim(0, 1)
ax.legend(loc="upper left", frameon=False)
plt.show()

# %%
# Conclusions
# -----------
# The two halves of an image belong together whether or not their digit is known, and that is worth
# most where labels are few. With a tenth of the labels, all rows find as much as the labelled rows
# alone find with three tenths. With a fiftieth they find as much as the own pairs do without any
# label, so that the labels add nothing there. With all labels own pairs no longer matter.
# Held-out labelled rows are few, and their scores are of a small gallery, so that they tell which
# weight is better and not how well the model does on new rows. Where own pairs say little of the
# class, a large weight makes a model worse than the labelled rows alone: compare with these too.
