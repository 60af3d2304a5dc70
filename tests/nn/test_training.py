"""The training loop, its optimizers, schedules and steps, and the batches of an epoch."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skcca._core.pairs import Pairing, Weights
from skcca.nn import by_backward, resolve_device, train
from skcca.nn.networks import ResidentRows
from skcca.nn.step import BatchSampler
from skcca.nn.training import OPTIMIZERS, SCHEDULES, make_optimizer, make_step
from skcca.views._labels import encode_labels


class Scalar(nn.Module):
    """One weight; the loss below pulls it towards 3."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))


def run(network, loss, **settings):
    options = {"optimizer": "sgd", "learning_rate": 0.1, "max_epochs": 20} | settings
    return train(network, lambda epoch: [epoch], by_backward(loss), **options)


def test_early_stopping_returns_to_the_best_weights():
    network = Scalar()
    monitored = []

    def monitor():
        monitored.append(network.w.item())
        return -abs(network.w.item() - 1.5)  # best half-way to where the loss leads

    result = run(
        network,
        lambda _: ((network.w - 3) ** 2).sum(),
        monitor=monitor,
        n_iter_no_change=3,
        learning_rate=0.05,
    )
    best = int(np.argmax(result.validation_scores))
    assert result.n_epochs == best + 4 < 20
    assert network.w.item() == monitored[best]


def test_ctrl_c_before_the_first_epoch_is_left_to_the_caller():
    network = Scalar()

    def loss(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(network, loss)


def test_losses_without_gradients_are_refused():
    network = Scalar()
    with pytest.raises(ValueError, match="is detached from every parameter"):
        run(network, lambda _: network.w.detach().sum())


def test_score_that_is_nan_is_never_the_best():
    network = Scalar()
    scores = iter([float("nan"), 0.5, float("nan"), 0.2, 0.1])
    result = run(
        network,
        lambda _: ((network.w - 3) ** 2).sum(),
        monitor=lambda: next(scores),
        n_iter_no_change=3,
    )
    assert result.n_epochs == 5
    assert network.w.item() == pytest.approx(3 - 3 * 0.8**2)  # after the second epoch


def test_divergence_returns_to_the_best_weights_and_warns():
    network = Scalar()

    def loss(epoch):
        return (network.w - 3).pow(2).sum() * (float("nan") if epoch == 4 else 1.0)

    with pytest.warns(ConvergenceWarning, match=r"diverged in epoch 5.*`learning_rate`=0.1"):
        result = run(network, loss)
    assert result.n_epochs == 4
    assert network.w.item() == pytest.approx(3 - 3 * 0.8**4)


def test_weights_that_are_not_finite_count_as_divergence():
    network = Scalar()

    def loss(epoch):
        return (network.w * (float("inf") if epoch == 2 else 1.0)).sum() * 0 + network.w.sum()

    with pytest.warns(ConvergenceWarning, match="diverged in epoch 3"):
        run(network, loss)
    assert torch.isfinite(network.w).all()


def test_divergence_in_the_first_epoch_is_an_error():
    network = Scalar()
    with pytest.raises(ValueError, match=r"diverged in epoch 1.*Nothing was fitted"):
        run(network, lambda _: network.w.sum() * float("nan"))


def test_progress_goes_to_standard_error_only_when_asked(capsys):
    network = Scalar()
    run(network, lambda _: network.w.sum(), verbose=1, name="Loop")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Loop [########################] 20/20" in shown.err
    run(network, lambda _: network.w.sum())
    assert capsys.readouterr().err == ""


def test_unknown_device_is_named():
    with pytest.raises(ValueError, match="`device`='gpu7' is not usable"):
        resolve_device("gpu7")
    assert resolve_device("cpu") == resolve_device(torch.device("cpu"))


def sampler(n_x, n_y, batch_size, *, labels=None, smallest=6):
    x, y = torch.arange(float(n_x))[:, None], torch.arange(float(n_y))[:, None]
    weights = Weights(np.ones(n_x), np.ones(n_y))
    rng = np.random.default_rng(0)
    rows = (ResidentRows(x), ResidentRows(y))
    return BatchSampler(*rows, "cpu", labels, weights, Pairing(), batch_size, smallest, rng)


def test_an_epoch_meets_every_row_once_and_keeps_rows_paired():
    batches = list(sampler(50, 50, 16)(0))
    assert sorted(torch.cat([b.x for b in batches]).ravel().tolist()) == list(range(50))
    assert all(torch.equal(b.x, b.y) for b in batches)


def test_small_last_batch_is_merged_into_the_one_before():
    assert [len(b.x) for b in sampler(50, 50, 16)(0)] == [16, 16, 18]
    assert [len(b.x) for b in sampler(54, 54, 16)(0)] == [16, 16, 16, 6]
    assert [len(b.x) for b in sampler(5, 5, 16)(0)] == [5]


def test_unpaired_epoch_passes_over_the_longer_side():
    labels = encode_labels((np.arange(10) % 2, np.arange(45) % 2), 10, 45, "test")
    batches = list(sampler(10, 45, 16, labels=labels)(0))
    assert sorted(torch.cat([b.y for b in batches]).ravel().tolist()) == list(range(45))
    counts = np.bincount(torch.cat([b.x for b in batches]).ravel().int().numpy(), minlength=10)
    assert counts.min() >= 4
    assert counts.max() <= 5


def test_batches_that_never_share_a_class_are_an_error():
    labels = encode_labels((["a"] * 4, ["b"] * 4), 4, 4, "test")
    with pytest.raises(ValueError, match="raise `batch_size`"):
        list(sampler(4, 4, 2, labels=labels)(0))


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
