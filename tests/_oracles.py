"""The oracles of the tests: explicit pairs, loops from the equations, rankings, equal models."""

import itertools
import math

import numpy as np
from hypothesis import assume, settings
from sklearn.base import clone

from skcca import KCCA, ClusterKCCA

law = settings(derandomize=True, max_examples=15)

# Pairs


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


def assert_equals_pairs(model, peer, W, A, B, *, atol=1e-10):
    """`model` is what the instance-paired `peer` is when fitted on every pair of rows."""
    i, j = np.nonzero(W)
    peer.set_params(n_components=model.n_components_, component_scaling=model.component_scaling)
    peer.fit(A[i], B[j], sample_weight=W[i, j])
    np.testing.assert_allclose(model.correlations_, peer.correlations_, atol=atol)
    np.testing.assert_allclose(model.x_loadings_, peer.x_loadings_, atol=atol)
    np.testing.assert_allclose(model.y_loadings_, peer.y_loadings_, atol=atol)
    np.testing.assert_allclose(model.transform(A), peer.transform(A), atol=10 * atol)
    np.testing.assert_allclose(model.transform_y(B), peer.transform_y(B), atol=10 * atol)


# Models that must agree


def assert_same_bits(found, expected):
    """Each array of one pair is that of the other: the same sums were made in the same order."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def assert_same_linear_model(a, b, *, weights=1e-8):
    np.testing.assert_allclose(a.correlations_, b.correlations_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(a.singular_values_, b.singular_values_, rtol=0, atol=1e-10)
    assert a.n_components_ == b.n_components_
    for side in "xy":
        for name in ("mean", "std", "loadings", "cross_loadings", "redundancy"):
            found, expected = (getattr(m, f"{side}_{name}_") for m in (a, b))
            assert type(found) is np.ndarray  # whatever the rows were
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
        found, expected = (getattr(m, f"{side}_weights_") for m in (a, b))
        np.testing.assert_allclose(found, expected, rtol=0, atol=weights)
        assert getattr(a, f"{side}_rank_") == getattr(b, f"{side}_rank_")
    assert hasattr(a, "classes_") == hasattr(b, "classes_")
    if hasattr(a, "classes_"):
        np.testing.assert_array_equal(a.classes_, b.classes_)


def fit(model, X, Y, y, **kwargs):
    """Fit a copy; directions that nothing tells apart compare with nothing."""
    fitted = clone(model).fit(X, Y, y, **kwargs)
    steps = np.abs(np.diff(np.sort(fitted.singular_values_)))
    assume(steps.min(initial=1.0) > 1e-3)
    assume(np.abs(np.diff(fitted.correlations_)).min(initial=1.0) > 1e-3)
    assume(fitted.correlations_.min() > 1e-3)
    return fitted


def tolerance(model):
    """Return that of the algebra, or of the iteration that stops at a residual of 1e-6."""
    return 1e-5 if isinstance(model, KCCA | ClusterKCCA) else 1e-8


def assert_same_answer(a, b, rows_a, rows_b=None):
    """The same components and the same scores, signs included."""
    atol = tolerance(a)
    rows_b = rows_a if rows_b is None else rows_b
    assert a.n_components_ == b.n_components_
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=atol)
    for Z_a, Z_b in zip(a.transform(*rows_a), b.transform(*rows_b), strict=True):
        np.testing.assert_allclose(Z_a, Z_b, atol=10 * atol)


# Rankings


def similarity(metric, q, g, rho=None):
    """Return the similarity of a query and an item by its definition."""
    q, g = np.asarray(q, float), np.asarray(g, float)
    if metric == "inner_product":
        return q @ g
    if metric == "euclidean":
        return -np.linalg.norm(q - g)
    if metric == "log_likelihood_ratio":
        return ((rho * q * g - rho**2 * (q**2 + g**2) / 2) / (1 - rho**2)).sum()
    if metric == "correlation":
        q, g = q - q.mean(), g - g.mean()
    return q @ g / np.linalg.norm(q) / np.linalg.norm(g)


def similarities(metric, queries, gallery, rho=None):
    return np.array([[similarity(metric, q, g, rho) for g in gallery] for q in queries])


def best_first(scores):
    """Yield every order in which the best scores come first."""
    for order in map(list, itertools.permutations(range(len(scores)))):
        if (np.diff(np.asarray(scores)[order]) <= 0).all():
            yield order


def of_order(measure, relevant, gains=None):
    """Return a measure of one list without ties, written from its definition."""
    name, _, k = measure.partition("@")
    relevant = np.asarray(relevant, dtype=bool)
    gains = relevant.astype(float) if gains is None else gains
    k = int(k) if k else len(relevant)
    ranks = [i + 1 for i, hit in enumerate(relevant) if hit]
    shown = [rank for rank in ranks if rank <= k]
    if name == "map":
        return sum((i + 1) / rank for i, rank in enumerate(shown)) / min(len(ranks), k)
    if name == "precision":
        return len(shown) / k
    if name == "recall":
        return len(shown) / len(ranks)
    if name == "hit_rate":
        return float(len(shown) > 0)
    if name == "mrr":
        return 1 / ranks[0] if ranks[0] <= k else 0.0
    if name in ("mean_rank", "median_rank"):
        return ranks[0]
    if name == "r_precision":
        return sum(rank <= len(ranks) for rank in ranks) / len(ranks)
    dcg, best = (
        sum(g / math.log2(i + 2) for i, g in enumerate(order[:k]))
        for order in (gains, sorted(gains, reverse=True))
    )
    return dcg / best


def mean_over_orders(measure, scores, relevant, gains=None):
    """Return the mean of a measure over every order in which the best scores come first."""
    return np.mean(
        [
            of_order(
                measure,
                np.asarray(relevant)[order],
                None if gains is None else np.asarray(gains)[order],
            )
            for order in best_first(scores)
        ]
    )
