"""The losses of batches against the linear algebra, materialised pairs, loops over single pairs
and numerical gradients."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from _data import RULES, make_pairs, outputs, torch_pairs, unpaired_pairs
from torch.nn import functional

from skcca import CCA
from skcca._core.pairs import Weights, class_pairs
from skcca.nn import (
    as_torch_pairs,
    cca_loss,
    contrastive_loss,
    ey_loss,
    ranking_loss,
    singular_values,
    soft_hgr_loss,
)
from skcca.views._labels import encode_labels

OBJECTIVES = {
    "trace": partial(cca_loss, n_components=2, reg=0.1),
    "frobenius": partial(cca_loss, norm="frobenius", reg=0.1),
    "soft_hgr": soft_hgr_loss,
    "ey": partial(ey_loss, reg=0.1),
}
ALL = OBJECTIVES | {
    "trace without ridge": partial(cca_loss, reg=0),
    "frobenius, usual ridge": partial(cca_loss, norm="frobenius"),
    "ey without ridge": partial(ey_loss, reg=0),
    "contrastive": contrastive_loss,
    "ranking": ranking_loss,
}


def with_column(z, value):
    return torch.cat([torch.full_like(z[:, :1], value), z[:, 1:]], dim=1)


def whitened(z):
    return torch.linalg.qr(z - z.mean(0))[0]


DEGENERATE = {
    "dead": lambda zx, zy: (torch.full_like(zx, 0.5), zy),
    "zero": lambda zx, zy: (torch.zeros_like(zx), zy),
    "a row of zeros": lambda zx, zy: (zx * (torch.arange(64) > 0)[:, None], zy),
    "one dead unit": lambda zx, zy: (with_column(zx, 0.1), zy),
    "identical": lambda zx, zy: (zx, zx),
    "whitened": lambda zx, zy: (whitened(zx), whitened(zx)),
    "duplicated": lambda zx, zy: (zx[:1].expand(64, -1), zy),
    "duplicated in pairs": lambda zx, zy: (zx[:32].repeat(2, 1), zy[:32].repeat(2, 1)),
    "tiny": lambda zx, zy: (zx * 1e-25, zy),
    "fewer rows than outputs": lambda zx, zy: (zx[:2], zy[:2]),
    "one row": lambda zx, zy: (zx[:1], zy[:1]),
}


def materialised(pairs, zx, zy):
    """Rows and weights of every pair."""
    W = pairs.dot(np.eye(len(zy)))
    i, j = np.nonzero(W)
    one = RULES["instance"](None, Weights(W[i, j], W[i, j]), None)
    return zx[i], zy[j], as_torch_pairs(one)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_loss_and_gradient_equal_materialised_pairs(rule, objective):
    zx, zy = outputs()
    loss_of = OBJECTIVES[objective]
    pairs = make_pairs(rule)
    loss = loss_of(zx, zy, as_torch_pairs(pairs))
    slow = loss_of(*materialised(pairs, zx, zy))
    assert loss.item() == pytest.approx(slow.item(), abs=1e-11)
    for a, b in zip(
        torch.autograd.grad(loss, (zx, zy)), torch.autograd.grad(slow, (zx, zy)), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_loss_equals_minus_sum_of_canonical_correlations():
    zx, zy = outputs(60)
    model = CCA().fit(zx.detach().numpy(), zy.detach().numpy())
    assert cca_loss(zx, zy, reg=0).item() == pytest.approx(-model.correlations_.sum())
    two = cca_loss(zx, zy, reg=0, n_components=2).item()
    assert two == pytest.approx(-model.correlations_[:2].sum())
    squares = cca_loss(zx, zy, reg=0, norm="frobenius").item()
    assert squares == pytest.approx(-(model.correlations_**2).sum())
    assert cca_loss(zx, zy[:, :2]) < 0  # of any widths


@pytest.mark.parametrize("rule", ["instance", "class"])
def test_objectives_without_inverse_equal_their_formulas(rule):
    zx, zy = outputs()
    pairs, X, Y = make_pairs(rule), zx.detach().numpy(), zy.detach().numpy()
    a, b, N = pairs.row_sums, pairs.column_sums, pairs.total
    Sx, Sy = np.cov(X.T, aweights=a, ddof=0), np.cov(Y.T, aweights=b, ddof=0)
    Sxy = pairs.cross(X - a @ X / N, Y - b @ Y / N) / N
    soft_hgr = -np.trace(Sxy) + np.trace(Sx @ Sy) / 2
    assert soft_hgr_loss(zx, zy, as_torch_pairs(pairs)).item() == pytest.approx(soft_hgr)
    spread = sum(S + 0.1 * np.trace(S) / 3 * np.eye(3) for S in (Sx, Sy))
    ey = -2 * np.trace(Sxy + Sxy.T) + np.trace(spread @ spread)
    assert ey_loss(zx, zy, as_torch_pairs(pairs), reg=0.1).item() == pytest.approx(ey)


@pytest.mark.parametrize(
    ("objective", "share"), [(soft_hgr_loss, 0.5), (partial(ey_loss, reg=0), 1.0)]
)
def test_least_value_is_reached_at_scaled_canonical_variates(objective, share):
    """-sum rho^2 / 2 and -sum rho^2, which a search over linear maps does not get below."""
    X, Y = (z.detach() for z in outputs(60))
    model = CCA().fit(X.numpy(), Y.numpy())
    rho = torch.as_tensor(model.correlations_)
    maps = [torch.as_tensor(W) for W in (model.x_weights_, model.y_weights_)]
    scores = [V @ W for V, W in zip((X, Y), maps, strict=True)]
    scores = [s / s.std(dim=0, correction=0) for s in scores]
    scale = rho.sqrt() if share == 0.5 else (rho / 2).sqrt()  # soft HGR fixes their product only
    best = objective(*(s * scale for s in scores))
    assert best.item() == pytest.approx(-share * (rho**2).sum().item(), abs=1e-9)

    found = [torch.eye(3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    solver = torch.optim.LBFGS(
        found, max_iter=500, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        solver.zero_grad()
        loss = objective(X @ found[0], Y @ found[1])
        loss.backward()
        return loss.item()

    solver.step(closure)
    assert closure() == pytest.approx(best.item(), abs=1e-9)


def test_ridge_does_not_depend_on_the_scale_of_the_outputs():
    zx, zy = outputs()
    a = singular_values(zx, zy, reg=0.1)
    torch.testing.assert_close(singular_values(1e-6 * zx, 1e5 * zy, reg=0.1), a)


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("objective", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_degenerate_outputs_give_finite_gradients(case, objective, dtype):
    zx, zy = DEGENERATE[case](*(z.detach() for z in outputs(64)))
    zx, zy = (z.to(dtype, copy=True).requires_grad_() for z in (zx, zy))
    loss = ALL[objective](zx, zy)
    gradients = torch.autograd.grad(loss, (zx, zy))
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in gradients)
    if objective in ("contrastive", "ranking"):
        # The cosine of a row of zeros is a constant.
        assert all((g[~z.any(dim=1)] == 0).all() for z, g in zip((zx, zy), gradients, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("objective", ALL)
def test_losses_of_half_precision_are_those_of_the_same_numbers(objective, dtype):
    zx, zy = (z.detach().to(dtype) for z in outputs(64))
    loss = ALL[objective](zx, zy)
    torch.testing.assert_close(
        loss.double(), ALL[objective](zx.double(), zy.double()), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("objective", ALL)
def test_tensors_without_numbers_have_no_loss(objective):
    zx, zy = (torch.empty(8, 3, device="meta") for _ in "xy")
    with pytest.raises(ValueError, match="on the device 'meta'"):
        ALL[objective](zx, zy)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_outputs_that_are_not_finite_give_a_loss_that_is_not(objective):
    zx, zy = (z.detach() for z in outputs())
    zx[0, 0] = torch.nan
    assert not torch.isfinite(OBJECTIVES[objective](zx, zy))


def test_networks_in_float32_are_judged_in_float64():
    zx, zy = outputs()
    single = cca_loss(zx.float(), zy.float())
    assert single.dtype == torch.float64
    assert single.item() == pytest.approx(cca_loss(zx, zy).item(), abs=1e-6)


def one_class(n_x, n_y):
    labels = encode_labels((["a"] * n_x, ["a"] * n_y), n_x, n_y, "test")
    return as_torch_pairs(class_pairs(labels, Weights(np.ones(n_x), np.ones(n_y))))


PAIRS_OF_CASES = {rule: (24, 24, torch_pairs(rule)) for rule in RULES} | {
    "views of unequal rows": (24, 17, unpaired_pairs(24, 17)),
    "nothing irrelevant": (5, 7, one_class(5, 7)),
}


def case(name):
    n_x, n_y, pairs = PAIRS_OF_CASES[name]
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


@pytest.mark.parametrize("name", PAIRS_OF_CASES)
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_contrastive_loss_equals_a_loop_over_the_pairs(name, temperature):
    zx, zy, pairs, c, W = case(name)
    found = contrastive_loss(zx, zy, pairs, temperature=temperature).item()
    assert found == pytest.approx(contrastive_loop(c, W, temperature), abs=1e-12)


@pytest.mark.parametrize("name", PAIRS_OF_CASES)
@pytest.mark.parametrize("margin", [0.0, 0.2, 3.0])  # the last opens every hinge
def test_ranking_loss_equals_a_loop_over_the_pairs(name, margin):
    zx, zy, pairs, c, W = case(name)
    found = ranking_loss(zx, zy, pairs, margin=margin).item()
    assert found == pytest.approx(ranking_loop(c, W, margin), abs=1e-12)


@pytest.mark.parametrize("name", PAIRS_OF_CASES)
@pytest.mark.parametrize("objective", [*OBJECTIVES, "contrastive", "ranking"])
def test_gradients_equal_finite_differences(name, objective):
    zx, zy, pairs, *_ = case(name)
    assert torch.autograd.gradcheck(lambda a, b: ALL[objective](a, b, pairs), (zx, zy))


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
