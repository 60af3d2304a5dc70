"""
Searching parameters by retrieval
=================================

scikit-learn's searches and splitters know one ``X``. :class:`~skcca.Views` makes one of two
arrays, so that pipelines, folds and searches work as they do elsewhere, and the labels stay free
for stratified folds. What counts here is how well one view finds the other: the scorer is
:func:`~skcca.retrieval_map`, on the rows of the fold that was left out.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skcca import ClusterKCCA, Views, ViewTransformer, retrieval_map
from skcca.datasets import load_digit_halves
from skcca.metrics import chance_map

# %%
# Two views in one object
# -----------------------
# Left and right halves of handwritten digits. The search is given 600 rows; all others take no
# part in it.
digits = load_digit_halves()
halves, labels = Views(left=digits.x, right=digits.y), digits.labels
train, test = slice(0, 600), slice(600, None)
print(halves[train])

# %%
# A grid over both steps of a pipeline
# ------------------------------------
# Each view has a transformer of its own, whose parameters the grid reaches by the name of the view.
# Kernel CCA over all pairs of a digit comes after it. It has a width of the kernel, ``gamma``, and
# a ridge, ``reg``. Ten digits leave nine components.
#
# `cv` must say that the folds are stratified: for an integer, scikit-learn would not look at the
# labels, as for all transformers. The folds are not shuffled, since the rows are in the order of
# the people who wrote them: shuffled, the folds would share writers, and promise too much.
pipeline = make_pipeline(
    ViewTransformer([("left", PCA(whiten=True)), ("right", PCA(whiten=True))]),
    ClusterKCCA(9, scale=False),
)
gammas, regs, widths = np.logspace(-3, 0, 7), np.logspace(-5, -1, 5), (8, 16)
grid = [
    {
        "viewtransformer__left__n_components": [width],
        "viewtransformer__right__n_components": [width],
        "clusterkcca__gamma": gammas,
        "clusterkcca__reg": regs,
    }
    for width in widths
]
folds = StratifiedKFold(3)
search = GridSearchCV(pipeline, grid, scoring=retrieval_map, cv=folds)
search.fit(halves[train], labels[train])
for name, value in search.best_params_.items():
    print(f"{name:<37} {value:g}")

# %%
# The whole grid
# --------------
# A panel for each number of principal components. The best of all is marked.
scores = search.cv_results_["mean_test_score"].reshape(len(widths), len(gammas), len(regs))
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
for ax, width, score in zip(axes, widths, scores, strict=True):
    image = ax.imshow(score, cmap="cividis", vmin=scores.min(), vmax=scores.max(), aspect="auto")
    for (row, column), value in np.ndenumerate(score):
        best = "\nbest" if value == scores.max() else ""
        dark = value < (scores.min() + scores.max()) / 2
        ax.text(
            column, row, f"{value:.2f}{best}", ha="center", va="center", color="w" if dark else "k"
        )
    ax.set(title=f"{width} principal components", xlabel="reg")
    ax.set_xticks(range(len(regs)), [f"{reg:g}" for reg in regs])
axes[0].set_yticks(range(len(gammas)), [f"{gamma:.2g}" for gamma in gammas])
axes[0].set_ylabel("gamma")
figure.colorbar(image, label="MAP over the folds")
plt.show()

# %%
# The final word
# --------------
# The best of 70 scores is too good a guess of what comes next, so rows that the search has not
# seen decide. The search has fitted the best pipeline to all 600 rows and is used like any
# estimator.
tried = {"best of the grid": search, "the defaults": ClusterKCCA(9)}
tried["the defaults"].fit(halves[train], labels[train])
chance = chance_map(labels[test])
for name, model in tried.items():
    score = retrieval_map(model, halves[test], labels[test])
    print(f"{name:<17} held-out MAP {score:.3f}   (chance {chance:.3f})")

# %%
# And with shuffled folds, by the same pipeline:
shuffled = StratifiedKFold(3, shuffle=True, random_state=0)
for name, cv in {"folds in order": folds, "shuffled folds": shuffled}.items():
    score = cross_val_score(
        search.best_estimator_, halves[train], labels[train], scoring=retrieval_map, cv=cv
    ).mean()
    print(f"{name:<17} MAP {score:.3f}   (chance {chance_map(labels[train]):.3f})")

# %%
# What was learned
# ----------------
# Wide ranges of both parameters do nearly as well as the best; a kernel that is too narrow on many
# components, or a large ridge on a wide kernel, costs most. Here the search ends where the
# defaults begin: on unseen rows both are about equal, because `gamma` is then set by the distances
# of the rows. Folds in order foretold the held-out score well. Shuffled ones promised more than
# there was to have.
