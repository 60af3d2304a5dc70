"""Optimizers by name, schedules of the learning rate, and the step of each."""

import pytest
import torch
from torch import nn

from skcca.nn.training import OPTIMIZERS, SCHEDULES, make_optimizer, make_step


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("constant", {0.0: 1, 0.5: 1, 0.9: 1}),
        ("linear", {0.0: 1, 0.25: 0.75, 0.9: 0.1, 1.0: 0}),
        ("cosine", {0.0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1.0: 0}),
    ],
)
def test_schedules_fall_from_1_to_0(name, at):
    for done, factor in at.items():
        assert SCHEDULES[name](done) == pytest.approx(factor)
    assert set(SCHEDULES) == {"constant", "linear", "cosine"}


def quadratic(parameter):
    """Return the step of (p - m)' A (p - m) / 2 with curvatures from 1 to 100, and m."""
    curvature = torch.logspace(0, 2, len(parameter), dtype=torch.float64)
    goal = torch.arange(len(parameter), dtype=torch.float64)

    def step(_):
        loss = (curvature * (parameter - goal) ** 2).sum() / 2
        loss.backward()
        return loss.detach()

    return step, goal


def weight(n=5):
    return nn.Parameter(torch.zeros(n, dtype=torch.float64))


def test_lbfgs_reaches_the_least_of_a_quadratic():
    p = weight()
    step, goal = quadratic(p)
    optimizer = make_optimizer("lbfgs", [p], 1.0, 0.0)
    take = make_step(optimizer, step, [p], None)
    losses = [take(None).item() for _ in range(4)]
    torch.testing.assert_close(p.detach(), goal, atol=1e-6, rtol=0)
    assert losses[0] == pytest.approx(quadratic(weight())[0](None).item())  # the loss before
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_the_first_order_is_the_step_of_torch(name):
    p, q = weight(), weight()
    take = make_step(make_optimizer(name, [p], 0.01, 0.1), quadratic(p)[0], [p], None)
    optimizer = OPTIMIZERS[name]([q], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        found = take(None)
        optimizer.zero_grad()
        assert torch.equal(found, quadratic(q)[0](None))
        optimizer.step()
        assert torch.equal(p, q)


def test_names_are_the_optimizers_of_torch():
    for name in [*OPTIMIZERS, "lbfgs"]:
        assert type(make_optimizer(name, [weight()], 0.1, 0.0)).__name__.lower() == name


@pytest.mark.parametrize("name", ["sgd", "lbfgs"])
def test_long_gradients_are_cut_to_the_norm(name):
    p = weight()
    step, _ = quadratic(p)
    norms = []

    class Recorder(torch.optim.SGD):
        def step(self, closure=None):
            norms.append(p.grad.norm().item())

    take = make_step(Recorder([p], lr=0.1), step, [p], 0.5)
    take(None)
    step(None)
    assert norms == [pytest.approx(0.5, abs=1e-5)]

    q = weight()
    optimizer = make_optimizer(name, [q], 1.0, 0.0)
    make_step(optimizer, quadratic(q)[0], [q], 1e-3)(None)
    assert q.grad.norm().item() <= 1e-3 * (1 + 1e-6)


def test_short_gradients_stay_as_they_are():
    p, q = weight(), weight()
    for one, norm in ((p, 1e6), (q, None)):
        optimizer = make_optimizer("sgd", [one], 1e-3, 0.0)
        make_step(optimizer, quadratic(one)[0], [one], norm)(None)
    assert torch.equal(p, q)


def test_a_line_search_compares_values_of_one_function():
    """Dropout is the same at every evaluation of a step, and another in the next."""
    p = weight()
    masks = []

    def step(_):
        mask = nn.functional.dropout(torch.ones(5, dtype=torch.float64))
        masks.append(mask)
        loss = ((mask * (p - 1)) ** 2).sum() + (p**4).sum()
        loss.backward()
        return loss.detach()

    with torch.random.fork_rng():
        torch.manual_seed(2)
        optimizer = make_optimizer("lbfgs", [p], 1.0, 0.0)
        take = make_step(optimizer, step, [p], None)
        ends = []
        for _ in range(2):
            take(None)
            ends.append(len(masks))
        after = torch.rand(1)
        torch.manual_seed(2)
        for _ in range(2):
            torch.randint(2**31, ())
        assert torch.equal(after, torch.rand(1)), "a step draws one number, its seed"
    first, second = masks[: ends[0]], masks[ends[0] :]
    assert min(len(first), len(second)) > 2
    for evaluations in (first, second):
        assert all(torch.equal(mask, evaluations[0]) for mask in evaluations)
    assert not torch.equal(first[0], second[0])


def test_gradients_of_the_last_batch_are_forgotten():
    p = weight(1)
    seen = []

    def step(batch):
        assert p.grad is None
        loss = (batch * p).sum()
        loss.backward()
        seen.append(p.grad.item())
        return loss.detach()

    take = make_step(make_optimizer("sgd", [p], 0.1, 0.0), step, [p], None)
    for batch in (2.0, 3.0):
        take(batch)
    assert seen == [2.0, 3.0]
    assert p.item() == pytest.approx(-0.5)


def test_lbfgs_searches_along_the_line():
    """A step so long that it would lead away is shortened."""
    p = weight(1)
    take = make_step(make_optimizer("lbfgs", [p], 50.0, 0.0), cosh(p), [p], None)
    assert all(take(None) < 12 for _ in range(3))
    assert p.item() == pytest.approx(3, abs=1e-4)


def cosh(parameter):
    def step(_):
        loss = torch.cosh(parameter - 3).sum()
        loss.backward()
        return loss.detach()

    return step
