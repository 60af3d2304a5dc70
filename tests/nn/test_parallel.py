"""Two processes make the gradient of one on the whole batch."""

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from _data import torch_pairs
from torch import distributed, nn

from skcca._core.pairs import instance_pairs
from skcca.nn import Batch, Reconstruction, TwoViewStep
from skcca.nn.losses import make_objective
from skcca.nn.step import (
    all_reduce_gradients,
    all_reduce_sum,
    broadcast_parameters,
    gather,
    local_rows,
    rank,
    shares,
    world_size,
)

# One worker, so that the two processes are started once.
pytestmark = pytest.mark.xdist_group("processes")

RULES = ["instance", "class", "sampled", "blended"]
ROWS = [24, 13]  # 13: the shares differ
PLANS = {
    "whole shares": {},
    "micro-batches": {"micro_batch_size": 4},
    "reconstruction": {"reconstruct": True},
    "micro-batches, reconstruction": {"micro_batch_size": 4, "reconstruct": True},
}
CASES = [(rule, n, plan) for rule in RULES for n in ROWS for plan in PLANS]


def networks(*layers):
    torch.manual_seed(0)
    sides = [nn.Sequential(nn.Linear(d, 6), nn.Tanh(), *layers, nn.Linear(6, 3)) for d in (5, 4)]
    decoders = [nn.Linear(3, d) for d in (5, 4)]
    return nn.ModuleList([*sides, *decoders]).double()


def batch(rule, n):
    g = torch.Generator().manual_seed(n)
    X, Y = (torch.randn(n, d, generator=g, dtype=torch.float64) for d in (5, 4))
    return Batch(X, Y, torch_pairs(rule, n))


def objective():
    return make_objective("trace", n_components=2, reg=0.1)


def gradient(rule, n, plan):
    """Return the loss and the gradients of a case in however many processes there are."""
    x, y, *decoders = made = networks()
    options = dict(PLANS[plan])
    reconstruct = options.pop("reconstruct", False)
    step = TwoViewStep(
        x,
        y,
        objective(),
        reconstruction=Reconstruction(*decoders, 0.3) if reconstruct else None,
        **options,
    )
    loss = step(batch(rule, n))
    found = [p.grad for p in made.parameters() if p.grad is not None]
    return loss, found


def mean_of_losses():
    """Return the gradient that averages the losses that processes have of their own rows."""
    x, y, *_ = networks()
    whole, own = batch("instance", 24), local_rows(24)
    pairs = instance_pairs(whole.pairs.row_sums[own])
    with all_reduce_gradients([x, y]):
        objective()(x(whole.x[own]), y(whole.y[own]), pairs).backward()
    return [p.grad / world_size() for net in (x, y) for p in net.parameters()]


def shared_network():
    """Return the gradient of one network that serves both views."""
    x = networks()[0]
    X = batch("instance", 13).x
    TwoViewStep(x, x, objective())(Batch(X, X.flip(1), torch_pairs("instance", 13)))
    return [p.grad for p in x.parameters()]


def statistics():
    """Return the running means after each process has seen rows of its own."""
    x = networks(nn.BatchNorm1d(6))[0]
    x.register_buffer("constant", torch.tensor([0.1, 1 / 3], dtype=torch.float64))
    torch.nn.init.zeros_(x[2].running_mean)
    with all_reduce_gradients([x]):
        x(batch("class", 24).x[local_rows(24)])
    return [x[2].running_mean, x[2].running_var, x.constant]


def two_steps():
    """Return the gradients of two batches, one after the other."""
    x, y, *_ = networks()
    step = TwoViewStep(x, y, objective())
    for n in ROWS:
        step(batch("class", n))
    return [p.grad for net in (x, y) for p in net.parameters()]


def beginnings():
    """Return what processes that drew different weights begin with, and their next numbers."""
    torch.manual_seed(rank())
    made = nn.Linear(3, 2)
    together = broadcast_parameters([made], 7, torch.device("cpu"))
    return [*(p.detach() for p in together.parameters()), torch.rand(3)]


def process(rank, folder):
    """Do the work of one of two processes, and write what it finds."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=30),
    )
    found = {case: gradient(*case) for case in CASES}
    others = (mean_of_losses, shared_network, statistics, two_steps, beginnings)
    found |= {f.__name__: f() for f in others}
    torch.save(found, Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return what each of two processes found; they are started once."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, "-W", "ignore", __file__]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen([*command, str(rank), str(folder)], env=environment) for rank in range(2)
    ]
    try:
        codes = [process.wait(timeout=90) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert codes == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(autouse=True)
def _random_state():
    with torch.random.fork_rng():
        yield


def largest_difference(found, expected):
    return max((a - b).abs().max().item() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(("rule", "n", "plan"), CASES)
def test_two_processes_give_the_gradient_of_one(found, rule, n, plan):
    loss, expected = gradient(rule, n, plan)
    for theirs, gradients in (one[rule, n, plan] for one in found):
        assert theirs.item() == pytest.approx(loss.item(), abs=1e-10)
        assert largest_difference(gradients, expected) < 1e-10


def test_mean_of_the_losses_of_processes_has_another_gradient(found):
    _, expected = gradient("instance", 24, "whole shares")
    scale = max(g.abs().max().item() for g in expected)
    assert largest_difference(found[0]["mean_of_losses"], expected) > 0.1 * scale


def test_network_of_both_views_is_added_up_once(found):
    assert largest_difference(found[0]["shared_network"], shared_network()) < 1e-10


def test_gradients_of_batches_add_up(found):
    for one in found:
        assert largest_difference(one["two_steps"], two_steps()) < 1e-10


def test_running_statistics_are_averaged(found):
    whole = batch("class", 24).x
    x = networks(nn.BatchNorm1d(6))[0]
    halves = [x[:2](half) for half in (whole[:12], whole[12:])]
    for one in found:
        mean, variance, constant = one["statistics"]
        assert constant.tolist() == [0.1, 1 / 3]
        torch.testing.assert_close(mean, 0.1 * sum(h.mean(0) for h in halves) / 2)
        torch.testing.assert_close(variance, 0.9 + 0.1 * sum(h.var(0) for h in halves) / 2)


def test_processes_begin_alike_and_draw_apart(found):
    first, second = (one["beginnings"] for one in found)
    torch.manual_seed(0)
    for mine, theirs, of_rank_0 in zip(first, second, nn.Linear(3, 2).parameters(), strict=False):
        assert torch.equal(mine, of_rank_0)
        assert torch.equal(theirs, of_rank_0)
    assert not torch.equal(first[-1], second[-1])


def test_alone_nothing_is_shared():
    assert (world_size(), rank()) == (1, 0)
    assert local_rows(7) == slice(0, 7)
    z = torch.ones(2)
    assert gather(z, 2) is z
    assert all_reduce_sum(z) is z
    assert torch.equal(z, torch.ones(2))


@pytest.mark.parametrize(("begin", "stop", "count"), [(0, 10, 3), (5, 9, 4), (2, 3, 2), (0, 7, 1)])
def test_shares_cover_the_rows_evenly(begin, stop, count):
    pieces = shares(slice(begin, stop), count)
    rows = [i for piece in pieces for i in range(piece.start, piece.stop)]
    assert rows == list(range(begin, stop))
    sizes = [piece.stop - piece.start for piece in pieces]
    assert len(sizes) == count
    assert max(sizes) - min(sizes) <= 1


if __name__ == "__main__":
    process(int(sys.argv[1]), sys.argv[2])
