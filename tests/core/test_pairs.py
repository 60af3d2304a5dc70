"""The products of pair weights against the explicit matrix W."""

import numpy as np
import pytest

from skcca._core.pairs import InstancePairs, Weights, class_pairs, cyclic_pairs
from skcca.views._labels import encode_labels

N_X, N_Y = 41, 29


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def labelled(rng, *, unpaired):
    """Unbalanced labels, among them a class of one row, and weights of the rows."""
    y = np.sort(rng.integers(0, 5, N_X)) // 2
    y[0] = 7
    if not unpaired:
        w = rng.random(N_X) + 0.1
        return encode_labels(y, N_X, N_X, "test"), Weights(w, w), (y, y)
    other = rng.integers(0, 3, N_Y)
    other[0] = 7
    weights = Weights(rng.random(N_X) + 0.1, rng.random(N_Y) + 0.1)
    return encode_labels((y, other), N_X, N_Y, "test"), weights, (y, other)


def explicit(pairs):
    return pairs.dot(np.eye(len(pairs.column_sums)))


def assert_consistent(pairs, W, rng):
    """Every product of ``pairs`` is that of the matrix W."""
    X, Y = rng.normal(size=(W.shape[0], 3)), rng.normal(size=(W.shape[1], 2))
    np.testing.assert_allclose(pairs.dot(Y), W @ Y, atol=1e-12)
    np.testing.assert_allclose(pairs.transposed_dot(X), W.T @ X, atol=1e-12)
    np.testing.assert_allclose(pairs.cross(X, Y), X.T @ W @ Y, atol=1e-12)
    np.testing.assert_allclose(pairs.row_sums, W.sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(pairs.column_sums, W.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(pairs.total, W.sum(), atol=1e-12)


def same_class(x, y):
    return (x[:, None] == y[None, :]).astype(float)


@pytest.mark.parametrize("unpaired", [False, True])
def test_class_pairs_are_all_pairs_of_a_class(rng, unpaired):
    labels, weights, (x, y) = labelled(rng, unpaired=unpaired)
    for v in (weights.y, rng.random(len(y)) + 0.1):  # of paired rows each side may have its own
        W = weights.x[:, None] * same_class(x, y) * v
        assert_consistent(class_pairs(labels, Weights(weights.x, v)), W, rng)


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize("fraction", [0.05, 0.5, None])
def test_row_weighted_classes_weigh_as_their_rows(rng, unpaired, fraction):
    labels, _, (x, y) = labelled(rng, unpaired=unpaired)
    ones = Weights(np.ones(len(x)), np.ones(len(y)))
    if fraction is None:
        pairs = class_pairs(labels, ones, "row")
    else:
        pairs = cyclic_pairs(labels, ones, rng, pair_fraction=fraction, pair_weight="row")
    W = explicit(pairs)
    assert_consistent(pairs, W, rng)
    for c in np.unique(x):
        in_x, in_y = x == c, y == c
        np.testing.assert_allclose(W[np.ix_(in_x, in_y)].sum(), np.sqrt(in_x.sum() * in_y.sum()))


def test_rank_of_tags_counts_those_that_differ(rng):
    L = (rng.random((N_X, 4)) < 0.4).astype(int)
    w = rng.random(N_X) + 0.1
    W = w[:, None] * (L @ L.T) * w
    centred = W / W.sum() - np.outer(W.sum(axis=1), W.sum(axis=0)) / W.sum() ** 2
    for tags in (L, np.hstack([L, L[:, :2]])):
        pairs = class_pairs(encode_labels(tags, N_X, N_X, "test"), Weights(w, w))
        assert pairs.max_rank == np.linalg.matrix_rank(centred) == 3


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize("fraction", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("pair_weight", ["pair", "row"])
def test_cyclic_pairs_give_each_row_its_share_of_its_class(rng, unpaired, fraction, pair_weight):
    labels, weights, (x, y) = labelled(rng, unpaired=unpaired)
    options = {"pair_fraction": fraction, "pair_weight": pair_weight}
    pairs = cyclic_pairs(labels, weights, rng, **options)
    W = explicit(pairs)
    assert_consistent(pairs, W, rng)
    met = W > 1e-12
    assert not met[x[:, None] != y].any()
    class_size = (x[:, None] == y).sum(axis=1)
    wanted = np.minimum(np.maximum(np.rint(fraction * class_size), 1), class_size)
    np.testing.assert_array_equal(met.sum(axis=1), wanted)
    if not unpaired:
        np.testing.assert_array_equal(met.sum(axis=0), wanted)
        assert met.diagonal().all(), "a row meets its own partner"


def test_number_of_partners_is_the_one_asked_for(rng):
    labels, weights, (x, _) = labelled(rng, unpaired=False)
    W = explicit(cyclic_pairs(labels, weights, rng, pairs_per_sample=3)) > 1e-12
    np.testing.assert_array_equal(W.sum(axis=1), np.minimum(3, same_class(x, x).sum(axis=1)))


def test_classes_of_one_row_are_the_rows_own_pairs(rng):
    w = rng.random(N_X) + 0.1
    pairs = class_pairs(encode_labels(rng.permutation(N_X), N_X, N_X, "test"), Weights(w, w))
    assert isinstance(pairs, InstancePairs)
    assert_consistent(pairs, np.diag(w**2), rng)


def test_a_batch_of_many_classes_keeps_those_that_it_meets(rng):
    y = rng.integers(0, 1000, N_X) // 3
    labels = encode_labels(np.r_[y, np.arange(1000)], N_X + 1000, N_X + 1000, "test")
    batch = labels.take(np.arange(N_X), np.arange(N_X))
    pairs = class_pairs(batch, Weights(np.ones(N_X), np.ones(N_X)))
    assert pairs.x_factor.shape[1] == len(np.unique(y))
    assert_consistent(pairs, same_class(y, y), rng)
