"""A random task of retrieval, and what a ranked list is worth by the definition of each measure."""

import itertools
from math import log2

import numpy as np


def labelled_task():
    """Return 30 queries and 90 items without ties, and labels of five classes."""
    rng = np.random.default_rng(3)
    queries, gallery = rng.normal(size=(30, 4)), rng.normal(size=(90, 4))
    return queries, gallery, rng.integers(0, 5, 30), rng.integers(0, 5, 90)


def on_circle(cosines):
    """2-D unit vectors whose cosine with (1, 0) is given."""
    cosines = np.asarray(cosines, dtype=float)
    return np.column_stack([cosines, np.sqrt(1 - cosines**2)])


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
        sum(g / log2(i + 2) for i, g in enumerate(order[:k]))
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
