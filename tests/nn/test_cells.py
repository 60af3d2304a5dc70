"""The recurrences: Eqs. 1 to 5 by a loop, torch's LSTM, gradients."""

import numpy as np
import pytest
import torch

from skcca.nn.attention import BiLSTM, BiPeepholeLSTM, bi_recurrence
from skcca.nn.training import seeded

CPU = torch.device("cpu")
FEATURES, HIDDEN = 3, 4
both_forms = pytest.mark.parametrize("peepholes", ["diagonal", "full"])


def peephole(peepholes, n_features=FEATURES, hidden_size=HIDDEN):
    with seeded(0, CPU):
        return BiPeepholeLSTM(n_features, hidden_size, peepholes=peepholes).double()


def two_passes(n_songs=2, n_steps=7, n_features=FEATURES):
    """Steps and mirrored steps; a cell need not know that they are the same songs."""
    rng = np.random.default_rng(0)
    return (torch.from_numpy(rng.normal(size=(n_songs, n_steps, n_features))) for _ in range(2))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_the_equations(W_x, W_h, W_c, b, song):
    """Return h_t of Eqs. 1 to 5, one step after the other; weights by the letter of the gate."""
    h, c, states = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in song:
        i = sigmoid(b["i"] + W_x["i"] @ x + W_h["i"] @ h + W_c["i"] @ c)
        f = sigmoid(b["f"] + W_x["f"] @ x + W_h["f"] @ h + W_c["f"] @ c)
        c = f * c + i * np.tanh(W_x["c"] @ x + W_h["c"] @ h + b["c"])
        o = sigmoid(W_x["o"] @ x + W_h["o"] @ h + W_c["o"] @ c + b["o"])
        h = o * np.tanh(c)
        states.append(h)
    return np.array(states)


def weights_of(cell, direction):
    """Return W_x, W_h, W_c and b of a direction, as matrices by the letter of the gate."""
    parts = [cell.weight_x, cell.weight_h, cell.bias]
    W_x, W_h, b = (
        dict(zip("ifco", np.split(part[direction].detach().numpy(), 4), strict=True))
        for part in parts
    )
    seen = cell.weight_c[direction].detach().numpy()
    blocks = np.split(seen, 3) if cell.full else map(np.diag, seen[0])
    return W_x, W_h, dict(zip("ifo", blocks, strict=True)), b


@both_forms
def test_peepholes_follow_equations_1_to_5(peepholes):
    cell = peephole(peepholes)
    passes = list(two_passes())
    for direction, (steps, states) in enumerate(zip(passes, cell(*passes), strict=True)):
        for song, found in zip(steps.numpy(), states.detach().numpy(), strict=True):
            expected = by_the_equations(*weights_of(cell, direction), song)
            np.testing.assert_allclose(found, expected, atol=1e-10)  # float64, values below 1


@both_forms
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own parts
def test_a_loop_that_torch_compiles_gives_the_same_states(peepholes):
    cell, passes = peephole(peepholes), list(two_passes())
    compiled = torch.compile(cell, backend="eager")
    for found, expected in zip(compiled(*passes), cell(*passes), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@both_forms
def test_gradients_are_those_of_finite_differences(peepholes):
    cell = peephole(peepholes, n_features=2, hidden_size=2)
    names, values = zip(*cell.named_parameters(), strict=True)

    def states(steps, mirrored, *values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(cell, parameters, (steps, mirrored))

    passes = (V.requires_grad_() for V in two_passes(n_steps=4, n_features=2))
    assert torch.autograd.gradcheck(states, (*passes, *values))


@both_forms
def test_without_peepholes_it_is_the_usual_lstm(peepholes):
    usual, cell = BiLSTM(FEATURES, HIDDEN).double(), peephole(peepholes)
    with torch.no_grad():
        cell.weight_c.zero_()
        for i, layer in enumerate((usual.forwards, usual.backwards)):
            cell.weight_x[i] = layer.weight_ih_l0
            cell.weight_h[i] = layer.weight_hh_l0
            cell.bias[i] = layer.bias_ih_l0 + layer.bias_hh_l0
    passes = list(two_passes())
    torch.testing.assert_close(cell(*passes), usual(*passes), atol=1e-10, rtol=0)


@both_forms
def test_with_peepholes_it_is_not(peepholes):
    cell, without = peephole(peepholes), peephole(peepholes)
    torch.nn.init.zeros_(without.weight_c)
    passes = list(two_passes())
    assert (cell(*passes)[0] - without(*passes)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("settings", [("lstm", "full"), ("peephole", "diagonal")])
def test_forget_bias_closes_the_forget_gates_alone(settings):
    cell = bi_recurrence(settings[0], FEATURES, HIDDEN, peepholes=settings[1])
    before = {name: value.clone() for name, value in cell.named_parameters()}
    cell.set_forget_bias(-3.0)
    forget = slice(HIDDEN, 2 * HIDDEN)
    changed = 0
    for name, value in cell.named_parameters():
        if not torch.equal(value, before[name]):
            assert "bias" in name
            assert (value[..., forget] == -3).all()
            before[name][..., forget] = -3
            assert torch.equal(value, before[name])
            changed += value[..., forget].numel()
    assert changed == 2 * HIDDEN


@pytest.mark.parametrize("settings", [("lstm", "diagonal"), ("peephole", "full")])
def test_a_batch_is_its_songs(settings):
    cell = bi_recurrence(settings[0], FEATURES, HIDDEN, peepholes=settings[1]).double()
    steps, mirrored = two_passes(n_songs=3)
    together = cell(steps, mirrored)
    for i in range(3):
        alone = cell(steps[i : i + 1], mirrored[i : i + 1])
        for whole, part in zip(together, alone, strict=True):
            torch.testing.assert_close(whole[i : i + 1], part, atol=1e-12, rtol=0)
