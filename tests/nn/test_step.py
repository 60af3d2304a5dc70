"""The step of a batch: the gradient of one graph over all rows, made a micro-batch at a time."""

import weakref

import pytest
import torch
from _data import RULES, torch_pairs, unpaired_pairs
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from skcca.nn import Batch, Reconstruction, TwoViewStep
from skcca.nn.losses import make_objective

N, N_Y = 24, 17
OBJECTIVES = ["trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking"]
SIZES = [1, 3, 7, N]


def objective(name="trace"):
    return make_objective(name, n_components=2, reg=0.1)


def views(n_x=N, n_y=N):
    g = torch.Generator().manual_seed(0)
    X = torch.randn(n_x, 5, generator=g, dtype=torch.float64)
    return X, torch.randn(n_y, 4, generator=g, dtype=torch.float64)


def towers(*layers, seed=0):
    """Return networks 5 -> 3 and 4 -> 3 with other layers in their middle."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return [
            nn.Sequential(
                nn.Linear(d, 6), nn.Tanh(), *[layer() for layer in layers], nn.Linear(6, 3)
            ).double()
            for d in (5, 4)
        ]


def decoders():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return [nn.Linear(3, d).double() for d in (5, 4)]


def gradients(*networks):
    return [p.grad.clone() for network in networks for p in network.parameters()]


def assert_same(found, expected, atol=1e-10):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=atol, rtol=0)


def by_one_graph(networks, X, Y, pairs, loss_of, reconstruction=None):
    """Return the loss and gradients of the plain expression."""
    zx, zy = networks[0](X), networks[1](Y)
    loss = loss_of(zx, zy, pairs)
    if reconstruction is not None:
        sides = ((zx, X, pairs.row_sums), (zy, Y, pairs.column_sums))
        for (z, V, w), decoder in zip(sides, reconstruction[:2], strict=True):
            errors = ((V - decoder(z)) ** 2).sum(dim=1) / V.shape[1]
            loss = loss + reconstruction.weight * (w * errors).sum() / w.sum()
    loss.backward()
    everything = [*networks, *(reconstruction or ())[:2]]
    return loss.item(), gradients(*everything)


@pytest.mark.parametrize("rule", [*RULES, "unpaired"])
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("reconstruct", [False, True])
def test_micro_batches_give_the_gradient_of_the_whole_batch(rule, name, reconstruct):
    X, Y = views(N, N_Y) if rule == "unpaired" else views()
    pairs = unpaired_pairs(N, N_Y) if rule == "unpaired" else torch_pairs(rule)
    made = Reconstruction(*decoders(), 0.3) if reconstruct else None
    loss, expected = by_one_graph(towers(), X, Y, pairs, objective(name), made)
    for size in [None, *SIZES]:
        networks = towers()
        made = Reconstruction(*decoders(), 0.3) if reconstruct else None
        step = TwoViewStep(*networks, objective(name), micro_batch_size=size, reconstruction=made)
        found = step(Batch(X, Y, pairs))
        assert not found.requires_grad
        assert found.item() == pytest.approx(loss, abs=1e-10)
        assert_same(gradients(*networks, *(made or ())[:2]), expected)


def test_gradients_are_accumulated():
    networks = towers()
    step = TwoViewStep(*networks, objective(), micro_batch_size=7)
    batch = Batch(*views(), torch_pairs("class"))
    step(batch)
    once = gradients(*networks)
    step(batch)
    assert_same(gradients(*networks), [2 * gradient for gradient in once])


class Spied(nn.Module):
    """A network that remembers what it was given and drew."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen, self.outputs = network, [], []

    def forward(self, *rows):
        self.seen.append(tuple(part.clone() for part in rows))
        z = self.network(*rows)
        self.outputs.append(z.detach())
        return z


def pieces_of(n, size):
    """Cut n rows in the fewest pieces of at most so many rows, of equal length but for a row."""
    count = -(-n // size)
    return [slice(n * i // count, n * (i + 1) // count) for i in range(count)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_both_passes_draw_the_same_dropout_and_noise(size, noise):
    X, Y = views()
    pairs = torch_pairs("class")
    networks = [Spied(network) for network in towers(lambda: nn.Dropout(0.5))]
    step = TwoViewStep(*networks, objective(), micro_batch_size=size, input_noise=noise)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        loss = step(Batch(X, Y, pairs))
        after = torch.rand(4)
    pieces = pieces_of(N, size)
    for network in networks:
        first, second = network.outputs[: len(pieces)], network.outputs[len(pieces) :]
        assert len(second) == (len(pieces) if size < N else 0)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=bool(second)))

    # One graph over the same micro-batches, with the same random numbers.
    graph = towers(lambda: nn.Dropout(0.5))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        outputs = []
        for network, V in zip(graph, (X, Y), strict=True):
            parts = []
            for piece in pieces:
                rows = V[piece]
                parts.append(network(rows + noise * torch.randn_like(rows) if noise else rows))
            outputs.append(torch.cat(parts))
        expected = objective()(*outputs, pairs)
        assert torch.equal(after, torch.rand(4)), "the second pass must draw nothing new"
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert_same(gradients(*networks), gradients(*graph))


def test_second_pass_of_one_view_leaves_the_random_numbers_where_the_first_of_both_did():
    X, Y = views(N, 7)  # one micro-batch of Y, which needs no second pass
    networks = towers(lambda: nn.Dropout(0.5))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        step = TwoViewStep(*networks, objective(), micro_batch_size=7)
        step(Batch(X, Y, unpaired_pairs(N, 7)))
        found = torch.rand(4)
        torch.manual_seed(3)
        for piece in pieces_of(N, 7):
            networks[0](X[piece])
        networks[1](Y)
        assert torch.equal(found, torch.rand(4))


def test_decoders_reconstruct_the_rows_without_their_noise():
    X, Y = views()
    networks, made = towers(), Reconstruction(*decoders(), 1.0)
    for network, decoder in zip(networks, made[:2], strict=True):
        nn.init.zeros_(network[-1].weight)
        nn.init.zeros_(network[-1].bias)
        nn.init.zeros_(decoder.bias)  # the reconstruction is 0: the error is the mean square
    step = TwoViewStep(
        *networks, objective("soft_hgr"), input_noise=1.0, micro_batch_size=7, reconstruction=made
    )
    with torch.random.fork_rng():
        loss = step(Batch(X, Y, torch_pairs("instance")))
    w = torch_pairs("instance").row_sums
    w = w / w.sum()
    expected = sum((w @ (V**2).mean(dim=1)).item() for V in (X, Y))
    assert loss.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("size", [3, 7, N])
def test_running_statistics_see_every_row_once(size):
    X, Y = views()
    networks, once = (towers(lambda: nn.BatchNorm1d(6)) for _ in range(2))
    TwoViewStep(*networks, objective(), micro_batch_size=size)(Batch(X, Y, torch_pairs("class")))
    for network, V, expected in zip(networks, (X, Y), once, strict=True):
        for piece in pieces_of(N, size):
            expected(V[piece])
        for found, buffer in zip(network.buffers(), expected.buffers(), strict=True):
            torch.testing.assert_close(found, buffer)


def test_no_micro_batch_is_left_with_one_row():
    X, Y = views(22, 22)  # 7 + 7 + 7 + 1 would stop at batch normalisation
    networks = [Spied(network) for network in towers(lambda: nn.BatchNorm1d(6))]
    step = TwoViewStep(*networks, objective(), micro_batch_size=7)
    step(Batch(X, Y, torch_pairs("class", 22)))
    assert sorted(len(rows) for (rows,) in networks[0].seen[:4]) == [5, 5, 6, 6]


class Recurrent(nn.Module):
    """Of a padded sequence and its length, the last state."""

    def __init__(self, width):
        super().__init__()
        self.lstm = nn.LSTM(width, 3, batch_first=True)

    def forward(self, padded, lengths):
        packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
        return self.lstm(packed)[1][0][0]


@pytest.mark.parametrize("size", [None, *SIZES])
def test_inputs_may_be_tuples(size):
    g = torch.Generator().manual_seed(0)
    songs = torch.randn(N, 6, 5, generator=g, dtype=torch.float64)
    lengths = torch.randint(1, 7, (N,), generator=g)
    Y, pairs = views()[1], torch_pairs("class")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, tower = Recurrent(5).double(), towers()[1]
    objective()(network(songs, lengths), tower(Y), pairs).backward()
    expected = gradients(network, tower)
    network.zero_grad()
    tower.zero_grad()
    TwoViewStep(network, tower, objective(), micro_batch_size=size)(
        Batch((songs, lengths), Y, pairs)
    )
    assert_same(gradients(network, tower), expected)


@pytest.mark.parametrize("size", [None, 7])
@pytest.mark.parametrize("reconstruct", [False, True])
def test_a_network_may_have_nothing_to_learn(size, reconstruct):
    X, Y = views()
    frozen, tower = towers()
    frozen.requires_grad_(requires_grad=False)
    made = Reconstruction(*decoders(), 0.3) if reconstruct else None
    step = TwoViewStep(frozen, tower, objective(), micro_batch_size=size, reconstruction=made)
    step(Batch(X, Y, torch_pairs("class")))
    assert all(p.grad is None for p in frozen.parameters())
    assert all(gradient.any() for gradient in gradients(tower, *(made or ())[:2]))


def peak(n, size):
    """Return the most bytes that graphs hold at one time, and those of networks alone."""
    held = most = 0

    class Kept:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor, size = tensor, tensor.nbytes
            held += size
            most = max(most, held)
            weakref.finalize(self, release, size)

    def release(size):
        nonlocal held
        held -= size

    def no_objective(zx, zy, pairs):  # its own graph holds the outputs of all rows
        return zx.sum() + zy.sum()

    wide = [nn.Sequential(nn.Linear(d, 200), nn.Tanh(), nn.Linear(200, 3)).double() for d in (5, 4)]
    step = TwoViewStep(*wide, no_objective, micro_batch_size=size)
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        step(Batch(*views(n, n), torch_pairs("instance", n)))
    return most


def test_memory_of_activations_does_not_grow_with_the_batch():
    small, large = peak(64, 32), peak(640, 32)
    assert small == large > 32 * 200 * 8
    assert peak(640, None) > 9 * large
