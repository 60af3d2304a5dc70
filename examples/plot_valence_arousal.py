"""
Valence and arousal instead of classes
======================================

Listeners often rate a mood by two numbers: how pleasant it is (valence) and how lively (arousal).
:class:`~skcca.cluster.SoftMembership` turns the numbers into memberships of soft classes, which
class-paired estimators take for labels. This example compares them with the hard classes of
k-means.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans

from skcca import CCA, ClusterCCA, SupervisedDCCA
from skcca.cluster import SoftMembership
from skcca.metrics import retrieval_score

rng = np.random.default_rng(0)

# %%
# Rated songs
# -----------
# The mood of a song is a point of a plane. Sound and picture show it through smooth bumps: each
# feature responds to some moods. Both views share stronger traits, such as the recording, that have
# nothing to do with the mood, and each has traits of its own.
n_songs = 900
ratings = rng.uniform(-1, 1, size=(n_songs, 2))
peaks = rng.uniform(-1.2, 1.2, size=(24, 2))
bumps = np.exp(-(((ratings[:, None] - peaks) / 0.4) ** 2).sum(axis=2) / 2)
shared = rng.normal(size=(n_songs, 12))


def seen(n_features):
    """Return a view: the mood, shared traits, own traits and noise, in random directions."""
    own = rng.normal(size=(n_songs, 10))
    traits = np.hstack([3 * bumps, 2 * shared, 2 * own])
    noise = 3 * rng.normal(size=(n_songs, n_features))
    return (traits @ rng.normal(size=(len(traits.T), n_features)) + noise).astype("float32")


sound, picture = seen(64), seen(96)
train, test = slice(0, 500), slice(500, None)

# %%
# Soft classes
# ------------
# Eight centres lie in the plane. Close to a centre a song belongs to it alone, and between centres
# to several. The colour tells the largest membership.
soft = SoftMembership(8, random_state=0).fit(ratings[train])
memberships = soft.transform(ratings)
print(f"bandwidth {soft.bandwidth_:.2f} standard deviations; a song between centres:")
between = memberships.max(axis=1).argmin()
print(ratings[between].round(2), memberships[between].round(2))

_, ax = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
points = ax.scatter(*ratings.T, c=memberships.max(axis=1), s=12, cmap="cividis")
ax.plot(*soft.centers_.T, "*", ms=16, mfc="w", mec="k", ls="")
halves = (-1, -0.5, 0, 0.5, 1)
ax.set(xlabel="Valence", ylabel="Arousal", aspect="equal", xticks=halves, yticks=halves)
plt.colorbar(points, label="Largest membership")
plt.show()

# %%
# Graded retrieval
# ----------------
# New songs search new pictures. The gain of a picture falls with the distance of its rating from
# that of the song, and NDCG of the first ten compares the sum of gains with that of the best order.
# The classes take no part in the measure.
distances = np.linalg.norm(ratings[test, None] - ratings[None, test], axis=2)
gains = np.exp(-(distances**2) / (2 * 0.25**2))


def ndcg(queries, gallery):
    """Return NDCG of the first ten."""
    return retrieval_score(queries, gallery, relevance=gains, measure="ndcg@10")


nowhere = np.zeros((len(gains), 1))
chance = ndcg(nowhere, nowhere)
own = ndcg(*CCA(7, reg=0.1).fit(sound[train], picture[train]).transform(sound[test], picture[test]))
print(f"own pairs, CCA           NDCG {own:.3f}   (chance {chance:.3f})")

# %%
# Linear maps and networks are each fitted to both kinds of labels. The number of components is at
# most one less than that of the classes.
numbers = [4, 8, 12]
scores = {}
for n_classes in numbers:
    width = min(n_classes - 1, 9)
    labels = {
        "soft": SoftMembership(n_classes, random_state=0).fit_transform(ratings[train]),
        "hard": KMeans(n_classes, n_init=10, random_state=0).fit_predict(ratings[train]),
    }
    for kind, of_songs in labels.items():
        for model in ClusterCCA(width, reg=0.1), SupervisedDCCA(width, random_state=0):
            model.fit(sound[train], picture[train], labels=of_songs)
            score = ndcg(*model.transform(sound[test], picture[test]))
            scores.setdefault((type(model).__name__, kind), []).append(score)
for (model, kind), values in scores.items():
    row = "  ".join(f"{value:.3f}" for value in values)
    print(f"{model:<15} {kind} classes   NDCG {row}   (chance {chance:.3f})")

# %%
_, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, model in zip(axes, ("ClusterCCA", "SupervisedDCCA"), strict=True):
    ax.plot(numbers, scores[model, "soft"], "o-", color="#0072B2", label="soft classes")
    ax.plot(numbers, scores[model, "hard"], "s--", color="#D55E00", label="hard classes, k-means")
    ax.axhline(own, color="#009E73", ls="-.", label="own pairs, CCA")
    ax.axhline(chance, color="k", ls=":", lw=1, label="chance")
    ax.set(title=model, xlabel="Number of classes", xticks=numbers, ylim=(0, 1))
axes[0].set_ylabel("NDCG of the first ten pictures")
axes[1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# Conclusions
# -----------
# Soft classes find pictures of a closer mood than hard ones of the same number, with linear maps a
# little and with networks much. A hard border parts songs that are rated alike, and a network can
# learn that border; memberships change little from one side to the other. More classes say more of
# the mood, and take some of the difference away. The own pairs of a song and its picture agree in
# stronger traits than the mood, so that CCA finds those.
