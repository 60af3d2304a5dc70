"""Contrastive and ranking losses against loops over single pairs, written from their formulas."""

import math

import numpy as np
import pytest
import torch
from _data import RULES, outputs, torch_pairs, unpaired_pairs
from torch.nn import functional

from skcca._core.pairs import Weights, class_pairs
from skcca.nn import as_torch_pairs, contrastive_loss, ranking_loss
from skcca.views._labels import encode_labels


def one_class(n_x, n_y):
    labels = encode_labels((["a"] * n_x, ["a"] * n_y), n_x, n_y, "test")
    return as_torch_pairs(class_pairs(labels, Weights(np.ones(n_x), np.ones(n_y))))


CASES = {rule: (24, 24, torch_pairs(rule)) for rule in RULES} | {
    "views of unequal rows": (24, 17, unpaired_pairs(24, 17)),
    "nothing irrelevant": (5, 7, one_class(5, 7)),
}


def case(name):
    n_x, n_y, pairs = CASES[name]
    zx, zy = outputs(n_x)[0], outputs(n_y, seed=1)[1]
    W = pairs.dot(torch.eye(n_y, dtype=torch.float64)).numpy()
    c = [[functional.cosine_similarity(x, y, dim=0).item() for y in zy] for x in zx]
    return zx, zy, pairs, np.array(c), W


def contrastive_loop(c, W, temperature):
    total = 0.0
    for i, j in zip(*np.nonzero(W), strict=True):
        of_i = sum(math.exp(c[i, k] / temperature) for k in range(c.shape[1]))
        of_j = sum(math.exp(c[k, j] / temperature) for k in range(c.shape[0]))
        total -= W[i, j] * (2 * c[i, j] / temperature - math.log(of_i) - math.log(of_j))
    return total / (2 * W.sum())


def ranking_loop(c, W, margin):
    total = 0.0
    for i, j in zip(*np.nonzero(W), strict=True):
        of_i = [max(0, margin - c[i, j] + c[i, k]) for k in range(c.shape[1]) if W[i, k] == 0]
        of_j = [max(0, margin - c[i, j] + c[k, j]) for k in range(c.shape[0]) if W[k, j] == 0]
        total += W[i, j] * sum(np.mean(hinges) for hinges in (of_i, of_j) if hinges)
    return total / (2 * W.sum())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_contrastive_loss_equals_a_loop_over_the_pairs(name, temperature):
    zx, zy, pairs, c, W = case(name)
    found = contrastive_loss(zx, zy, pairs, temperature=temperature).item()
    assert found == pytest.approx(contrastive_loop(c, W, temperature), abs=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("margin", [0.0, 0.2, 3.0])  # the last opens every hinge
def test_ranking_loss_equals_a_loop_over_the_pairs(name, margin):
    zx, zy, pairs, c, W = case(name)
    found = ranking_loss(zx, zy, pairs, margin=margin).item()
    assert found == pytest.approx(ranking_loop(c, W, margin), abs=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("loss", [contrastive_loss, ranking_loss])
def test_gradients_equal_finite_differences(name, loss):
    zx, zy, pairs, *_ = case(name)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, pairs), (zx, zy))


def test_own_pairs_give_the_symmetric_cross_entropy_of_torch():
    zx, zy = outputs()
    logits = functional.normalize(zx) @ functional.normalize(zy).T / 0.1
    own = torch.arange(len(zx))
    expected = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    for pairs in (None, as_torch_pairs(RULES["instance"](None, Weights(np.ones(24), None), None))):
        assert contrastive_loss(zx, zy, pairs).item() == pytest.approx(expected.item(), abs=1e-12)


def test_ranking_loss_is_zero_where_every_pair_keeps_its_distance():
    z = torch.eye(4, dtype=torch.float64)  # cosines 1 of own pairs, 0 of others
    assert ranking_loss(z, z, margin=1.0).item() == 0
    assert ranking_loss(z, z, margin=1.5).item() == pytest.approx(0.5)


def test_ranking_holds_pairs_not_triples():
    largest = 0

    def pack(tensor):
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    zx, zy = outputs(40)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ranking_loss(zx, zy, torch_pairs("class", 40)).backward()
    assert 40 * 40 <= largest <= 40 * 41
