"""
All displays
============

This example shows each display of :mod:`skcca.plotting` once, on the left and right halves of
handwritten digits.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from skcca import CCA, ChunkSelector, ClusterCCA, ClusterKCCA, Views
from skcca.datasets import load_digit_halves
from skcca.plotting import (
    AttentionDisplay,
    CorrelationDisplay,
    EmbeddingDisplay,
    LoadingsDisplay,
    PrecisionRecallDisplay,
    RankingDisplay,
)

# Some pixels are empty in every image, and are left out.
warnings.filterwarnings("ignore", message=".*features that are constant")
digits = load_digit_halves()
train, test = slice(0, 1000), slice(1000, None)
left, right, labels = digits.x[test], digits.y[test], digits.labels[test]
fitted = digits.x[train], digits.y[train], digits.labels[train]

# %%
# Precision and recall
# --------------------
# :class:`~skcca.plotting.PrecisionRecallDisplay` draws the precision of ranked lists at every level
# of recall. ``ax=`` draws several models into the same axes. The legend shows the mean average
# precision and its chance level.
models = {
    "CCA": CCA(9, reg=0.1).fit(*fitted[:2]),
    "ClusterCCA": ClusterCCA(9, reg=0.1).fit(*fitted),
    "ClusterKCCA": ClusterKCCA(9).fit(*fitted),
}
looks = [("#E69F00", ":"), ("#009E73", "--"), ("#0072B2", "-")]
_, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
for model, (colour, dashes) in zip(models.values(), looks, strict=True):
    display = PrecisionRecallDisplay.from_estimator(
        model, left, right, labels=labels, ax=ax, color=colour, linestyle=dashes
    )
display.legend_.set_loc("upper left")
display.legend_.set_bbox_to_anchor((1, 1))
plt.show()
for text in display.legend_.get_texts():
    print(text.get_text())

# %%
# Results of single queries
# -------------------------
# :class:`~skcca.plotting.RankingDisplay` draws queries and the items ranked first for them, each
# marked as relevant or not. Images may have any shape that matplotlib can draw.
some = [np.flatnonzero(labels == digit)[0] for digit in (0, 3, 8, 9)]
display = RankingDisplay.from_estimator(
    models["ClusterKCCA"],
    left,
    right,
    labels=labels,
    rows=some,
    k=8,
    query_images=left.reshape(-1, 8, 4),
    gallery_images=right.reshape(-1, 8, 4),
)
plt.show()
print(f"{display.relevant.sum()} of the {display.relevant.size} shown are relevant")

# %%
# Embeddings
# ----------
# :class:`~skcca.plotting.EmbeddingDisplay` draws both views in the plane of two components. Classes
# differ in colour and views in marker, and the two rows of a pair may be joined.
halves, four = Views(left=left, right=right), np.flatnonzero(labels < 4)[:120]
EmbeddingDisplay.from_estimator(models["ClusterKCCA"], halves[four], labels=labels[four])
plt.show()

# %%
# Loadings
# --------
# :class:`~skcca.plotting.LoadingsDisplay` draws the correlation of features with two components,
# from the centre to the circle of perfect correlation. The features are pixels, named by row and
# column of the whole image.
pixels = np.array([f"{row},{column}" for row in range(8) for column in range(8)]).reshape(8, 8)
LoadingsDisplay.from_estimator(
    models["CCA"], feature_names=(pixels[:, :4].ravel(), pixels[:, 4:].ravel()), n_features=10
)
plt.show()

# %%
# Number of components
# --------------------
# :class:`~skcca.plotting.CorrelationDisplay` draws the correlations of training rows as bars, those
# of held-out rows as points, and the level of shuffled rows as a dashed line.
display = CorrelationDisplay.from_estimator(
    CCA(12, reg=0.1), *fitted[:2], n_permutations=20, random_state=0
)
plt.show()

# %%
# Attention
# ---------
# :class:`~skcca.plotting.AttentionDisplay` draws the attention of a
# :class:`~skcca.ChunkSelector` over time, and the chunk that it chooses. A sequence consists of 30
# digits here. Most of them are below 6; five in a row are either sixes or nines, as the label says.
rng = np.random.default_rng(0)
filler = np.flatnonzero(fitted[2] < 6)
kinds = np.where(np.arange(400) % 2, 9, 6)
sequences, starts = [], rng.integers(25, size=400)
for kind, start in zip(kinds, starts, strict=True):
    shown = rng.choice(filler, 30)
    shown[start : start + 5] = rng.choice(np.flatnonzero(fitted[2] == kind), 5)
    sequences.append(np.hstack([fitted[0][shown], fitted[1][shown]]))
selector = ChunkSelector(
    n_chunks=6, frames_per_step=1, hidden_size=32, batch_size=20, random_state=0
)
selector.fit(sequences[:-1], kinds[:-1])
display = AttentionDisplay.from_estimator(
    selector, sequences[-1], title="Thirty digits, five of them nines"
)
display.ax_.set_xlabel("Place in the sequence")
plt.show()
print(f"the nines lie from {starts[-1]} to {starts[-1] + 5}")

# %%
# Conclusions
# -----------
# On these digits pairs of a class score higher than pairs of rows, and kernels higher than linear
# maps. All twelve correlations of CCA are smaller on held-out rows than on training rows, and the
# last three do not exceed those of unrelated rows. Every display has `from_estimator`; those of
# embeddings also have `from_predictions` for existing embeddings. `ax_` and `figure_` give access
# to matplotlib.
