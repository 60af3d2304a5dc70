"""
Networks of your own
====================

A deep estimator builds a fully connected network for each view, unless it is given another.
``x_network`` and ``y_network`` take a function of ``(n_features, n_outputs)`` that returns a
PyTorch module. Such a network may want rows of any shape. Here each view is a stack of images, and
two convolutions look at them.

The images are the left and the right halves of handwritten digits. They lie anywhere on a
somewhat larger canvas, which a fully connected network has to learn place by place, and a
convolution need not.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

from skcca import SupervisedDCCA
from skcca.datasets import load_digit_halves
from skcca.metrics import chance_map, mean_average_precision_score
from skcca.plotting import PrecisionRecallDisplay

rng = np.random.default_rng(0)
plt.style.use("tableau-colorblind10")

# %%
# Images that lie anywhere
# ------------------------
# Each half, 8 by 4 pixels, is put somewhere on a canvas of 12 by 8; the two halves of a digit are
# moved independently. An image has one channel, hence the shape ``(n, 1, 12, 8)``.


def moved(halves):
    """Put flat halves of images at random places of a canvas."""
    canvas = np.zeros((len(halves), 1, 12, 8), dtype=np.float32)
    for image, half in zip(canvas, halves.reshape(-1, 8, 4), strict=True):
        down, right = rng.integers(5, size=2)
        image[0, down : down + 8, right : right + 4] = half
    return canvas


digits = load_digit_halves()
left, right, labels = moved(digits.x), moved(digits.y), digits.labels
train, test = slice(0, 1000), slice(1000, None)
print(left.shape, right.shape)

# %%
# Both halves of eight digits, as the networks see them:
_, axes = plt.subplots(2, 8, figsize=(8, 3), layout="constrained")
for i, (ax, below) in enumerate(axes.T):
    ax.imshow(left[i, 0], cmap="gray_r")
    below.imshow(right[i, 0], cmap="gray_r")
    ax.set_title(f"{labels[i]}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("left half")
axes[1, 0].set_ylabel("right half")
plt.show()

# %%
# A network is a function that makes one
# --------------------------------------
# `fit` calls it, so that `clone`, searches and pickling work as with any estimator: the networks
# do not exist before. The last layer has no activation, since the objective whitens the outputs.


def convolutions(n_features, n_outputs):
    """Return two convolutions, the maximum over either half of the height, a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(64, n_outputs),
    )


# %%
# The same training, two kinds of networks. Fully connected ones are the default; they see each
# image as a row of 96 numbers.
flat_left, flat_right = left.reshape(-1, 96), right.reshape(-1, 96)
own = {"x_network": convolutions, "y_network": convolutions}
tried = {
    "fully connected": (SupervisedDCCA(9, random_state=0), flat_left, flat_right),
    "convolutions": (SupervisedDCCA(9, random_state=0, **own), left, right),
}
chance = chance_map(labels[test])
_, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for (name, (model, x, y)), dashes in zip(tried.items(), ("--", "-"), strict=True):
    model.set_params(batch_size=250, max_epochs=30).fit(x[train], y[train], labels[train])
    found = model.transform(x[test], y[test])
    score = mean_average_precision_score(*found, labels[test])
    n_weights = sum(weight.numel() for weight in model.x_network_.parameters())
    print(
        f"{name:<16} {n_weights:>6} weights on the left   MAP {score:.3f}   (chance {chance:.3f})"
    )
    PrecisionRecallDisplay.from_predictions(
        *found, labels[test], name=name, ax=ax, linestyle=dashes
    )
ax.set_title("Left halves find right halves of their digit")
plt.show()

# %%
# A fitted model in a file
# ------------------------
# `save` writes weights, and nothing that is executed when it is read. A network of your own is
# code: `load` takes the functions again.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    model.save(path)
    loaded = SupervisedDCCA.load(path, **own)
print("the same embedding:", np.array_equal(loaded.transform(left), model.transform(left)))

# %%
# What was learned
# ----------------
# An eighth of the weights of a fully connected network, in layers that suit images, rank the
# held-out halves better by far: a convolution knows a stroke wherever it lies. The estimator was
# told no more than how to make the networks. Pairing, objective, batches and the last linear
# solve are the same for both.
