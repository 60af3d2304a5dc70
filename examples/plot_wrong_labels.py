"""
Soft labels where labels are wrong
==================================

Listeners err, and so do taggers. A classifier that is trained on the given labels tells how likely
each class is, and these probabilities can be given to :class:`~skcca.ClusterKCCA` for labels. Two
rows then pair as much as they are likely to be of one class.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import ClusterKCCA, Views, retrieval_map
from skcca.datasets import load_digit_halves
from skcca.metrics import chance_map

# Some pixels are empty in every image, and are left out.
warnings.filterwarnings("ignore", message=".*features that are constant")

# %%
# Wrong labels
# ------------
# Left and right halves of 900 handwritten digits are there to fit on. A share of the labels is
# replaced by other digits.
digits = load_digit_halves()
halves, truth = Views(left=digits.x, right=digits.y), digits.labels
train, test = halves[:900], halves[900:]
chance = chance_map(truth[900:])


def spoiled(share, seed):
    """Return the labels of the training rows, a share of which is wrong."""
    rng, labels = np.random.default_rng(seed), truth[:900].copy()
    rows = rng.permutation(900)[: round(share * 900)]
    labels[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
    return labels


# %%
# Probabilities
# -------------
# A logistic regression on both halves is trained on the other folds, as it would be too sure of
# rows that it has seen. Its probabilities p are those of the *given* labels of a row that looks so,
# and contain the wrong ones. Those of the true class follow by Bayes' rule: a tenth of the share e
# of wrong labels is taken off each p, and the label of the row is evidence, right with probability
# 1 - e. The share is estimated by how often the most likely digit is not the given one.
classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
pixels = np.hstack([digits.x, digits.y])[:900]


def probabilities(labels):
    """Return the probabilities of given labels and of true digits, both (900, 10)."""
    p = cross_val_predict(classifier, pixels, labels, cv=5, method="predict_proba")
    e = np.mean(p.argmax(axis=1) != labels)
    likelihood = np.where(np.arange(10) == labels[:, None], 1 - e, e / 9)
    q = np.maximum(p - e / 10, 0) * likelihood
    return p, q / q.sum(axis=1, keepdims=True)


labels = spoiled(0.4, 0)
p, q = probabilities(labels)
right = labels == truth[:900]
trust = q[np.arange(900), labels]
likely = np.mean(p.argmax(axis=1) == truth[:900])
print(f"{right.mean():.0%} of the labels are right, and {likely:.0%} of the most likely digits")
print(f"trust in labels that are right {trust[right].mean():.2f}, wrong {trust[~right].mean():.2f}")

# %%
_, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
bins = np.linspace(0, 1, 21)
ax.hist(trust[right], bins, color="#0072B2", alpha=0.7, label="label is right")
ax.hist(
    trust[~right], bins, histtype="step", color="#D55E00", ls="--", lw=2, label="label is wrong"
)
ax.set(xlabel="Posterior of the given label", ylabel="Training rows")
ax.legend(frameon=False, loc="upper center")
plt.show()

# %%
# Hard and soft labels
# --------------------
# Each kind of labels is drawn three times, and the models are compared on the same new rows, whose
# digits are right.
shares = [0, 0.2, 0.4, 0.6]
found = {}
for share in shares:
    for seed in range(3):
        labels = spoiled(share, seed)
        p, q = probabilities(labels)
        kinds = {
            "posteriors": q,
            "most likely digit": p.argmax(axis=1),
            "probabilities": p,
            "labels as given": labels,
        }
        for kind, soft_or_hard in kinds.items():
            model = ClusterKCCA(9).fit(train, soft_or_hard)
            found.setdefault(kind, []).append(retrieval_map(model, test, truth[900:]))
found = {kind: np.reshape(scores, (len(shares), 3)) for kind, scores in found.items()}
for kind, scores in found.items():
    row = "  ".join(f"{score:.3f}" for score in scores.mean(axis=1))
    print(f"{kind:<18} MAP {row}   (chance {chance:.3f})")

# %%
_, ax = plt.subplots(figsize=(7.4, 4.2), layout="constrained")
looks = [
    ("#0072B2", "-", "o"),
    ("#009E73", "--", "^"),
    ("#E69F00", "-.", "D"),
    ("#D55E00", ":", "s"),
]
for (kind, scores), (colour, dashes, marker) in zip(found.items(), looks, strict=True):
    ax.plot(shares, scores.mean(axis=1), dashes, marker=marker, color=colour, label=kind)
    ax.fill_between(shares, scores.min(axis=1), scores.max(axis=1), color=colour, alpha=0.15, lw=0)
ax.axhline(chance, color="k", ls=(0, (1, 3)), lw=1, label="chance")
ax.set(xlabel="Share of wrong labels", ylabel="MAP of new rows", ylim=(0, 1))
ax.set_xticks(shares, [f"{share:.0%}" for share in shares])
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %%
# Conclusions
# -----------
# The probabilities alone find more than labels of which two fifths are wrong, but less than their
# own hard choice. The posteriors weigh both kinds of evidence, the classifier's and the label's.
# They lose nothing where all labels are right, gain most where a fifth is wrong, and beyond that do
# as well as the most likely digit. The formula takes wrong labels to be equally frequent for all
# digits, as they are here. It is the best of several that were compared on such rows, so that its
# lead is a little too large.
