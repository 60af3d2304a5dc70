"""Outputs of two networks, and pairs of every rule among them."""

import numpy as np
import torch

from skcca._core.pairs import Pairing, Weights
from skcca.nn import as_torch_pairs
from skcca.views._labels import encode_labels

RULES = {
    "instance": Pairing(instance_weight=1.0),
    "class": Pairing(),
    "row-weighted": Pairing(pair_weight="row"),
    "sampled": Pairing(pair_fraction=0.5),
    "partners": Pairing(pairs_per_sample=2),
    "blended": Pairing(instance_weight=0.3),
}


def outputs(n=24, width=3, seed=0):
    """Return two correlated batches that want a gradient."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=g, dtype=torch.float64)
    zx = torch.cat([z, torch.randn(n, width - 2, generator=g, dtype=torch.float64)], dim=1)
    zy = z @ torch.randn(2, width, generator=g, dtype=torch.float64)
    zy = zy + torch.randn(n, width, generator=g, dtype=torch.float64)
    return zx.requires_grad_(), zy.requires_grad_()


def classes(n):
    """Return unbalanced classes, one of which has one row."""
    return np.append(np.resize([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2], n - 1), 3)


def make_pairs(rule, n=24):
    """Return pairs of weighted rows."""
    weights = np.random.default_rng(1).uniform(0.5, 2, n)
    labels = encode_labels(classes(n), n, n, "test")
    return RULES[rule](labels, Weights(weights, weights), np.random.default_rng(0))


def torch_pairs(rule, n=24):
    return as_torch_pairs(make_pairs(rule, n))


def unpaired_pairs(n_x, n_y, rule="class"):
    """Return pairs of two views that share classes, but no rows."""
    labels = encode_labels((classes(n_x), classes(n_y)), n_x, n_y, "test")
    weights = Weights(np.ones(n_x), np.ones(n_y))
    return as_torch_pairs(RULES[rule](labels, weights, np.random.default_rng(0)))
