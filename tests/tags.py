"""Tagged rows, the models that take tags, and the weights of their pairs by definition."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skcca import ClusterCCA, ClusterKCCA, SupervisedDCCA

N, N_TAGS = 40, 4
DEEP = {
    "x_hidden_layer_sizes": (8,),
    "y_hidden_layer_sizes": (8,),
    "max_epochs": 2,
    "random_state": 0,
    "device": "cpu",
}
MODELS = {
    "ClusterCCA": ClusterCCA(2),
    "ClusterKCCA": ClusterKCCA(2, reg=1e-2),
    "SupervisedDCCA": SupervisedDCCA(2, **DEEP),
}
RULES = {
    "pairs": {},
    "rows": {"pair_weight": "row"},
    "blended": {"instance_weight": 0.3},
    "blended rows": {"instance_weight": 0.3, "pair_weight": "row"},
}
KINDS = {
    "bool": lambda L: L.astype(bool),
    "float": lambda L: L.astype(float),
    "uint8": lambda L: L.astype(np.uint8),
    "list": lambda L: L.tolist(),
    "list of arrays": list,
    "read-only": lambda L: np.frombuffer(L.tobytes(), L.dtype).reshape(L.shape),
    "frame": pd.DataFrame,
    "frame of bools": lambda L: pd.DataFrame(L.astype(bool), columns=list("abcd")),
    "csr_array": sparse.csr_array,
    "csc_matrix of bools": lambda L: sparse.csc_matrix(L.astype(bool)),
    "coo_array": sparse.coo_array,
}

every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
rules = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def tagged_views(n=N, seed=0):
    """Return X (n, 5), Y (n, 4) and tags (n, 4) that overlap, one or more a row."""
    rng = np.random.default_rng(seed)
    L = (rng.random((n, N_TAGS)) < [0.5, 0.3, 0.2, 0.4]).astype(int)
    bare = ~L.any(axis=1)
    L[bare, rng.integers(0, N_TAGS, bare.sum())] = 1
    Z = L @ rng.normal(size=(N_TAGS, 3)) * 1.5 + rng.normal(size=(n, 3))
    X = Z @ rng.normal(size=(3, 5)) + rng.normal(size=(n, 5))
    Y = Z @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4))
    return X, Y, L


X, Y, TAGS = tagged_views()
WEIGHTS = np.random.default_rng(1).uniform(0.2, 2, N)


def pair_weights(tags_x, tags_y, w, v, *, pair_weight="pair", instance_weight=0.0):
    """Return the weights W of all pairs, from their definition, in a loop over the tags."""
    W = np.zeros((len(tags_x), len(tags_y)))
    for a, b in zip(tags_x.T, tags_y.T, strict=True):
        of_tag = np.outer(w * a, v * b)
        if pair_weight == "row" and of_tag.any():
            of_tag /= np.sqrt((w @ a) * (v @ b))
        W += of_tag
    if instance_weight:
        own = np.diag(w) / w.sum()
        W = instance_weight * own + (1 - instance_weight) * W / W.sum()
    return W


def assert_same_model(a, b):
    """Equal to the last bit: the same sums were made in the same order."""
    np.testing.assert_array_equal(a.correlations_, b.correlations_)
    np.testing.assert_array_equal(a.x_weights_, b.x_weights_)
    np.testing.assert_array_equal(a.y_weights_, b.y_weights_)
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
