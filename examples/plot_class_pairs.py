"""
Pairs of rows and pairs of classes
==================================

CCA pairs row i of one view with row i of the other. :class:`~skcca.ClusterCCA` pairs every row with
all rows of its class in the other view. The results differ if the views share more than the class,
and this example compares them.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA, ClusterCCA
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.plotting import EmbeddingDisplay

rng = np.random.default_rng(0)

# %%
# Two shared sources
# ------------------
# Sound and picture of a video were recorded at the same place on the same day, which gives each
# pair a strong common source that is unrelated to the class. The class is a second source, with
# less of the variance.
n_rows, names = 900, np.array(["calm", "happy", "angry"])
kinds = rng.integers(3, size=n_rows)
angle = 2 * np.pi * kinds / 3
mood = np.column_stack([np.cos(angle), np.sin(angle)])
place = rng.normal(size=(n_rows, 2))


def seen(n_features):
    """Return a view: the shared place, the class, and noise, in random directions."""
    return (
        2.5 * place @ rng.normal(size=(2, n_features))
        + 1.2 * mood @ rng.normal(size=(2, n_features))
        + 2 * rng.normal(size=(n_rows, n_features))
    )


sound, picture, labels = seen(20), seen(30), names[kinds]
train, test = slice(0, 600), slice(600, None)

# %%
# Two components each
# -------------------
# Three classes allow two components, which both models use.
models = {
    "CCA, pairs of rows": CCA(2).fit(sound[train], picture[train]),
    "ClusterCCA, pairs of a class": ClusterCCA(2).fit(sound[train], picture[train], labels[train]),
}
chance = chance_map(labels[test])
figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    found = model.transform(sound[test], picture[test])
    score = mean_average_precision_score(*found, labels[test])
    print(f"{name:<28} MAP {score:.3f}   (chance {chance:.3f})")
    EmbeddingDisplay.from_predictions(
        *found,
        labels[test],
        link=False,
        view_names=("sound", "picture"),
        name=f"{name}: MAP {score:.2f}, chance {chance:.2f}",
        ax=ax,
        s=25,
    )
axes[0].get_legend().remove()
plt.show()

# %%
# Retrieval of partners
# ---------------------
# A second task is to find the picture that was recorded together with a sound, so that a single
# picture is relevant. Without labels, the measures take row i as the relevant row of query i. With
# one relevant row the chance level depends on the size of the gallery; it is the score of a random
# order of these 300 rows.
constant, rows = np.ones((300, 2)), np.arange(300)
row_chance = mean_average_precision_score(constant, constant, rows)
for name, model in models.items():
    score = mean_average_precision_score(*model.transform(sound[test], picture[test]))
    print(f"{name:<28} MAP of the own row {score:.3f}   (chance {row_chance:.3f})")

# %%
# A mixture of both pairings
# --------------------------
# ``instance_weight`` is the weight of the pairs of rows: 0 uses pairs of classes alone, and 1 is
# CCA. Four components can hold both the class and the place; at 0 three classes allow only two.
weights = [0, 0.03, 0.1, 0.3, 0.6, 1]
of_class, of_row = [], []
for weight in weights:
    model = ClusterCCA(2 if weight == 0 else 4, instance_weight=weight)
    found = model.fit(sound[train], picture[train], labels[train]).transform(
        sound[test], picture[test]
    )
    of_class.append(mean_average_precision_score(*found, labels[test]))
    of_row.append(mean_average_precision_score(*found))
    print(
        f"instance_weight {weight:<4}  MAP of the class {of_class[-1]:.3f} (chance {chance:.3f}), "
        f"of the own row {of_row[-1]:.3f} (chance {row_chance:.3f})"
    )

# %%
_, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
places = range(len(weights))
ax.plot(places, of_class, "o-", color="#0072B2", label="pictures of the class")
ax.plot(places, of_row, "s--", color="#D55E00", label="the sound's own picture")
ax.axhline(chance, color="#0072B2", ls=":", label="chance, class")
ax.axhline(row_chance, color="#D55E00", ls="-.", label="chance, own picture")
ax.set(xlabel="instance_weight", ylabel="MAP of held-out sounds", ylim=(-0.03, 1.03))
ax.set_xticks(places, weights)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
plt.show()

# %%
# Conclusions
# -----------
# The two components of CCA represent the place, in which the classes overlap. The pairs of a class
# come from different places, so that the place averages out and the class remains. Each method
# suits one of the two tasks. A small weight of the pairs of rows, up to a tenth here, does not
# reduce the score of classes and finds more partners than class pairs alone.
