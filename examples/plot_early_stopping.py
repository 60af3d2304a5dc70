"""
Early stopping of deep CCA
==========================

Networks can reach a high correlation on their training rows even if these are unrelated. The
training loss is therefore a poor guide, and held-out rows are needed. Early stopping monitors such
rows and restores the best weights.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skcca import CCA, DCCA, Views
from skcca.datasets import load_digit_halves

# Some pixels are empty in every image, and are left out.
warnings.filterwarnings("ignore", message=".*features that are constant")
plt.style.use("tableau-colorblind10")

# %%
# Halves of handwritten digits
# ----------------------------
# The left half of a digit is one view and the right half the other: 500 images for training,
# 300 for validation, and the rest for the final test.
digits = load_digit_halves()
fit, watch, test = slice(0, 500), slice(500, 800), slice(800, None)
X, Y = digits.x[fit], digits.y[fit]
X_new, Y_new = digits.x[test], digits.y[test]
held_out = Views(digits.x[watch], digits.y[watch])

# %%
# Related and unrelated pairs
# ---------------------------
# The same networks are trained twice: on the halves of digits, and with the right halves in random
# order, so that there is nothing to learn. Dropout and noise on the inputs are switched off,
# because they would reduce the overfitting that this example shows. ``X_val`` is the validation
# data; with a patience as long as the training, it never stops early.
settings = {
    "n_components": 10,
    "x_hidden_layer_sizes": (256, 256),
    "y_hidden_layer_sizes": (256, 256),
    "activation": "relu",
    "output_activation": "identity",
    "batch_size": 250,
    "max_epochs": 60,
    "random_state": 0,
}
bare = DCCA(**settings, dropout=0, input_noise=0, n_iter_no_change=60)
shuffled = np.random.default_rng(0).permutation(len(Y))
models = {
    "Rows as they belong together": clone(bare).fit(X, Y, X_val=held_out),
    "Rows shuffled": clone(bare).fit(X, Y[shuffled], X_val=held_out),
}

# %%
# ``loss_curve_`` is minus the total correlation of the training batches, ``validation_scores_``
# that of the validation data. Ten components reach 10 at most.
_, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    epochs = np.arange(1, model.n_epochs_ + 1)
    ax.plot(epochs, -np.array(model.loss_curve_), "--", label="training batches")
    ax.plot(epochs, model.validation_scores_, label="rows held out")
    ax.axhline(10, color="0.6", linestyle=":", label="the most there can be")
    ax.set(title=name, xlabel="Epoch")
    print(f"{name:<29} last epoch: training {-model.loss_curve_[-1]:.1f}, "
          f"held out {model.validation_scores_[-1]:.1f}")  # fmt: skip
axes[0].set_ylabel("Total correlation")
axes[1].legend(frameon=False, loc="center right")
plt.show()

# %%
# Early stopping
# --------------
# Training now ends after five epochs without a better total on the validation data, and the best
# weights are restored. Dropout and noise on the inputs, at their defaults, are another remedy. All
# models are compared on the test rows, which took no part in training or validation.
candidates = {
    "linear CCA": CCA(10, reg="auto").fit(X, Y),
    "no dropout or noise, all epochs": clone(bare).fit(X, Y),
    "no dropout or noise, stopped": clone(bare)
    .set_params(n_iter_no_change=5)
    .fit(X, Y, X_val=held_out),
    "dropout and noise, all epochs": DCCA(**settings).fit(X, Y),
    "dropout and noise, stopped": DCCA(**settings, n_iter_no_change=5).fit(X, Y, X_val=held_out),
}
for name, model in candidates.items():
    n_epochs = f"{model.n_epochs_} epochs" if isinstance(model, DCCA) else ""
    print(f"{name:<33}{n_epochs:>10}   new rows: {model.score(X_new, Y_new):.2f}")

# %%
# Conclusions
# -----------
# The training curve reaches the top for shuffled rows as well as for related ones; only the curve
# of held-out rows distinguishes them. For related rows the held-out total stops rising but does not
# fall, so that early stopping saves most of the epochs and costs a little of the total. Dropout and
# noise on the inputs gain more than early stopping does, and every network here is well above
# linear CCA on new rows.
