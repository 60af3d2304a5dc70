"""
Pairs of rows and pairs of classes
==================================

CCA asks what row i of one view has to do with row i of the other. Where the question is what a
class has to do with itself, its rows may be paired in every way: that is
:class:`~skcca.ClusterCCA`. The two answers differ when views share more than the class, and this
page draws both.
"""

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA, ClusterCCA
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.plotting import EmbeddingDisplay

rng = np.random.default_rng(0)

# %%
# Two things that views share
# ---------------------------
# Sound and picture of a video were recorded at the same place on the same day: a strong trait that
# every pair shares, and that has nothing to do with the class. The class is heard and seen too,
# but it takes less of the variance.
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
# Both models get as many components as three classes leave: two.
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
# The other question
# ------------------
# Which picture was made together with this sound? One picture alone is relevant now, and labels say
# nothing of it: without labels, the measures ask for row i. With one relevant row, chance depends
# on the size of the gallery: one point for all rows scores what a random order of these 300 does.
constant, rows = np.ones((300, 2)), np.arange(300)
row_chance = mean_average_precision_score(constant, constant, rows)
for name, model in models.items():
    score = mean_average_precision_score(*model.transform(sound[test], picture[test]))
    print(f"{name:<28} MAP of the own row {score:.3f}   (chance {row_chance:.3f})")

# %%
# Some of both
# ------------
# ``instance_weight`` is the share of the rows' own pairs: 0 pairs the class alone, 1 is CCA. With
# four components there is room for the class and for the place; at 0 three classes leave two.
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
# What was learned
# ----------------
# The two components of CCA are the place, in which classes lie on top of one another. Pairs of a
# class meet at different places, so that the place averages out and the class is left. A method is
# right for one of the two questions; a small share of the rows' own pairs, up to a tenth here,
# costs the class nothing and finds more of the rows' own partners than class pairs alone.
