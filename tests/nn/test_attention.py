"""The emotion network: recurrences (Eqs. 1 to 5), attention (6 and 7), padding, losses, towers."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from _data import HEARD, N_FEATURES, SONGS, VISUAL
from _models import SMALL
from _models import selector as small
from torch import nn

from skcca import DCCA, SupervisedDCCA
from skcca.nn import AttentionTower
from skcca.nn import attention as attention_module
from skcca.nn import songs as songs_module
from skcca.nn.attention import (
    AttentionBiLSTM,
    BiLSTM,
    BiPeepholeLSTM,
    bi_recurrence,
    max_pool_padded,
    position_code,
)
from skcca.nn.networks import pad_batch
from skcca.nn.songs import SongBatches, emotion_loss, infer
from skcca.nn.training import seeded
from skcca.views._sequences import max_pooled_steps

CPU = torch.device("cpu")
HIDDEN = 6
VARIANTS = {
    "default": {},
    "peephole": {"cell": "peephole"},
    "full peepholes": {"cell": "peephole", "peepholes": "full"},
    "per step": {"head": "per_step"},
    "per step, tags": {"head": "per_step", "multilabel": True},
    "position": {"position": True},
    "all": {"cell": "peephole", "head": "per_step", "position": True},
}


def build(**settings):
    with seeded(0, CPU):
        return AttentionBiLSTM(n_features=4, n_outputs=3, hidden_size=HIDDEN, **settings).eval()


@pytest.fixture
def network():
    return build()


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def any_network(request):
    return build(**request.param)


@pytest.fixture
def songs():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 4)).astype(np.float32) for n in (7, 1, 12, 3, 12, 5)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_by_loop(layer, steps):
    """Equations of an LSTM without peepholes, one step after the other, in float64."""
    W, U = (
        layer.weight_ih_l0.detach().double().numpy(),
        layer.weight_hh_l0.detach().double().numpy(),
    )
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().double().numpy()
    h, c, states = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for x in steps.astype(np.float64):
        i, f, g, o = np.split(W @ x + U @ h + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states)


def test_scores_and_attention_follow_equations_6_and_7(network, songs):
    output = infer(network, songs, CPU)
    w = network.weight.weight.detach().double().numpy()[0]
    W_f, W_b = np.split(network.mix.weight.detach().double().numpy(), 2, axis=1)
    beta = network.mix.bias.detach().double().numpy()
    H, b = (p.detach().double().numpy() for p in (network.head.weight, network.head.bias))
    for i, song in enumerate(songs):
        h_f = lstm_by_loop(network.recurrence.forwards, song)
        h_b = lstm_by_loop(network.recurrence.backwards, song[::-1])[::-1]
        u = np.array(
            [w @ np.tanh(W_f @ hf + W_b @ hb + beta) for hf, hb in zip(h_f, h_b, strict=True)]
        )
        theta = np.exp(u) / np.exp(u).sum()
        pooled = sum(
            t * np.concatenate([hf, hb]) for t, hf, hb in zip(theta, h_f, h_b, strict=True)
        )
        # float32 against float64: the scores are of order 1
        np.testing.assert_allclose(output.scores[i], u, atol=2e-6)
        np.testing.assert_allclose(output.attention[i], theta, atol=1e-6)
        np.testing.assert_allclose(output.pooled[i], pooled, atol=1e-6)
        np.testing.assert_allclose(output.logits[i], H @ pooled + b, atol=2e-6)


@pytest.mark.parametrize("length", range(1, 13))
def test_padding_never_changes_a_score(any_network, length):
    rng = np.random.default_rng(length)
    song = rng.normal(size=(length, 4)).astype(np.float32)
    padded = np.concatenate([song, 100 * rng.normal(size=(12 - length, 4)).astype(np.float32)])
    batch = torch.from_numpy(np.stack([padded, rng.normal(size=(12, 4)).astype(np.float32)]))
    with torch.no_grad():
        alone = any_network(torch.from_numpy(song)[None], torch.tensor([length]))
        beside = any_network(batch, torch.tensor([length, 12]))
    assert torch.equal(beside.attention[0, length:], torch.zeros(12 - length))
    for name in ("scores", "attention"):
        expected, got = getattr(alone, name)[0], getattr(beside, name)[0, :length]
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(beside.logits[0], alone.logits[0], atol=1e-6, rtol=0)


def test_padding_never_changes_a_gradient(any_network, songs):
    loss = nn.CrossEntropyLoss(reduction="sum")
    targets = torch.arange(len(songs)) % 3

    def gradient(batches):
        any_network.zero_grad()
        for batch in batches:
            loss(
                any_network(*pad_batch([songs[i] for i in batch], CPU)).logits, targets[batch]
            ).backward()
        return torch.cat([p.grad.flatten() for p in any_network.parameters()])

    together, apart = gradient([list(range(6))]), gradient([[i] for i in range(6)])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_attention_is_a_distribution_over_real_steps(any_network, songs):
    for theta, song in zip(infer(any_network, songs, CPU).attention, songs, strict=True):
        assert theta.shape == (len(song),)
        assert (theta >= 0).all()
        assert theta.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_per_step_head_averages_probabilities(songs, multilabel):
    network = build(head="per_step", multilabel=multilabel)
    output = infer(network, songs, CPU)
    H, b = (p.detach().double().numpy() for p in (network.head.weight, network.head.bias))
    steps, lengths = pad_batch(songs, CPU)
    with torch.no_grad():
        states = torch.cat(network.states(steps, lengths), dim=2).double().numpy()
    for i, (song, theta) in enumerate(zip(songs, output.attention, strict=True)):
        z = states[i, : len(song)] @ H.T + b
        if multilabel:
            p, found = theta @ sigmoid(z), sigmoid(output.logits[i])
        else:
            odds = np.exp(z)
            p, found = theta @ (odds / odds.sum(axis=1, keepdims=True)), np.exp(output.logits[i])
        np.testing.assert_allclose(found, p, atol=1e-6)  # float32
        np.testing.assert_allclose(output.pooled[i], theta @ states[i, : len(song)], atol=1e-6)


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_per_step_head_is_finite_however_sure_it_is(songs, multilabel):
    network = build(head="per_step", multilabel=multilabel)
    with torch.no_grad():
        network.head.weight *= 1e4
        network.weight.weight *= 1e3
    logits = network(*pad_batch(songs, CPU)).logits
    assert logits.abs().max() > 100  # beyond what probabilities in float32 can tell
    targets = torch.eye(3).repeat(2, 1)
    emotion_loss(logits, targets, multilabel=multilabel).backward()
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("head", ["pooled", "per_step"])
def test_dropout_takes_all_that_the_classifier_sees_and_nothing_else(songs, head):
    network, without = build(head=head, dropout=1.0), build(head=head)
    network.dropout.train()
    batch = pad_batch(songs, CPU)
    with torch.no_grad():
        output, expected = network(*batch), without(*batch)
    torch.testing.assert_close(output[:3], expected[:3], atol=0, rtol=0)
    assert not torch.allclose(expected.logits[0], expected.logits[1])
    bias = network.head.bias if head == "pooled" else torch.log_softmax(network.head.bias, dim=0)
    torch.testing.assert_close(output.logits, bias.expand(6, 3), atol=1e-6, rtol=0)


def test_position_is_a_code_added_to_the_steps(songs):
    settings = {"cell": "peephole", "head": "per_step"}
    told, untold = build(position=True, **settings), build(**settings)
    coded = [song + position_code(*song.shape).numpy() for song in songs]
    for found, expected in zip(infer(told, songs, CPU), infer(untold, coded, CPU), strict=True):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("n_features", [1, 4, 5])
def test_position_code_is_made_of_waves(n_features):
    code = position_code(30, n_features).numpy()
    for t in range(30):
        for j in range(0, n_features, 2):
            angle = t / 10_000 ** (j / n_features)
            expected = [np.sin(angle), np.cos(angle)][: n_features - j]
            np.testing.assert_allclose(code[t, j : j + 2], expected, atol=1e-5)


def test_position_tells_equal_steps_apart():
    songs = [np.ones((9, 4), dtype=np.float32)]
    inner = slice(3, 6)  # where the ends are nearly forgotten
    spread = [np.ptp(infer(build(position=p), songs, CPU).scores[0][inner]) for p in (False, True)]
    assert spread[1] > 10 * spread[0]


def test_cell_and_peepholes_choose_the_recurrence():
    shapes = {
        ("lstm", "full"): None,
        ("peephole", "diagonal"): (2, 1, 3, HIDDEN),
        ("peephole", "full"): (2, 3 * HIDDEN, HIDDEN),
    }
    for (cell, peepholes), shape in shapes.items():
        seen = getattr(build(cell=cell, peepholes=peepholes).recurrence, "weight_c", None)
        assert (None if seen is None else tuple(seen.shape)) == shape


def test_training_cuts_memory_into_pieces(network, songs, monkeypatch):
    apart = []
    for song in songs:
        pieces = [song[start : start + 3] for start in range(0, len(song), 3)]
        apart.append(np.concatenate(infer(network, pieces, CPU).scores))
    monkeypatch.setattr(network, "_piece_length", lambda n_steps: 3)
    with torch.no_grad():
        together = network(*pad_batch(songs, CPU)).scores.numpy()
    for u, expected in zip(together, apart, strict=True):
        np.testing.assert_allclose(u[: len(expected)], expected, atol=1e-6)
        assert (u[len(expected) :] == -np.inf).all()


def test_every_other_training_batch_is_cut_and_inference_never(network):
    assert network._piece_length(20) == 20
    network.train()
    with seeded(0, CPU):
        pieces = np.array([network._piece_length(20) for _ in range(2000)])
        assert {network._piece_length(1) for _ in range(10)} == {1}
    assert set(pieces) == set(range(2, 21))
    assert np.mean(pieces == 20) == pytest.approx(0.5, abs=0.05)


def test_memory_is_short_and_attention_uneven_at_the_start(network):
    for layer in (network.recurrence.forwards, network.recurrence.backwards):
        forget = (layer.bias_ih_l0 + layer.bias_hh_l0)[HIDDEN : 2 * HIDDEN]
        assert (torch.sigmoid(forget) < 0.1).all()
    assert network.weight.weight.norm() > 2


def test_inference_is_bounded_and_keeps_the_order(network, songs, monkeypatch):
    whole = infer(network, songs, CPU)
    monkeypatch.setattr(songs_module, "_STEPS_AT_ONCE", 14)
    shapes = []

    def recorded(*args):
        steps, lengths = pad_batch(*args)
        shapes.append(tuple(steps.shape))
        return steps, lengths

    monkeypatch.setattr(songs_module, "pad_batch", recorded)
    parts = infer(network, songs, CPU)
    assert shapes == [(1, 12, 4), (1, 12, 4), (2, 7, 4), (2, 3, 4)]
    for a, b in zip(whole.scores, parts.scores, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(whole.pooled, parts.pooled, atol=1e-6)
    np.testing.assert_allclose(whole.logits, parts.logits, atol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_long_songs_are_computed_a_few_at_a_time(any_network, songs, monkeypatch, training):
    """One long song would fill all others of its batch up with padding."""
    batch, sizes = pad_batch(songs, CPU), []
    tower = AttentionTower(4, 3, frames_per_step=2)
    tower.attention = any_network.train(training)
    any_network.register_forward_hook(
        lambda module, args, output: sizes.append(args[0].shape[0] * args[0].shape[1])
    )

    def whole_and_gradient(call):
        any_network.zero_grad()
        with seeded(0, CPU):
            found = call(*batch)
            parts = list(found) if isinstance(found, tuple) else [found]
            # Scores are minus infinity on padding.
            sum(part[part.isfinite()].square().sum() for part in parts).backward()
        return parts + [p.grad.clone() for p in any_network.parameters() if p.grad is not None]

    for call in (any_network._forward, tower):
        monkeypatch.undo()
        together = whole_and_gradient(call)
        monkeypatch.setattr(attention_module, "_ORDINARY_STEPS", 3)
        monkeypatch.setattr(attention_module, "_STEPS_AT_ONCE", 14)
        call, sizes[:] = (tower if call is tower else any_network), []
        in_groups = whole_and_gradient(call)
        assert call is any_network or 1 < max(sizes) <= 14
        monkeypatch.setattr(attention_module, "checkpoint", lambda call, *args, **_: call(*args))
        # Without new computation the same numbers are drawn. The cuts are drawn for each group.
        same = [whole_and_gradient(call)] + ([] if training else [together])
        for expected in same:
            for found, value in zip(in_groups, expected, strict=True):
                torch.testing.assert_close(found, value, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "lengths", "words"),
    [
        ((2, 5, 4), [0, 3], "range from 0 to 3; songs of 5 padded frames have 1 to 5"),
        ((2, 5, 4), [6, 3], "range from 3 to 6"),
        ((2, 5, 4), [5], r"lengths \(1,\)"),
        ((5, 4), [5], r"padded songs have shape \(5, 4\)"),
    ],
)
def test_lengths_that_no_song_has_are_refused(network, shape, lengths, words):
    for module in (network, AttentionTower(4, 2, hidden_size=np.int64(2))):
        with pytest.raises(ValueError, match=words):
            module(torch.zeros(shape), torch.tensor(lengths))
        with pytest.raises(TypeError, match="tensors; got Tensor and list"):
            module(torch.zeros(shape), lengths)


def test_a_song_longer_than_the_bound_is_a_batch_of_its_own(network, songs, monkeypatch):
    monkeypatch.setattr(songs_module, "_STEPS_AT_ONCE", 2)
    assert [len(u) for u in infer(network, songs, CPU).scores] == [len(song) for song in songs]


def test_inference_leaves_the_network_as_it_was(songs):
    network = AttentionBiLSTM(n_features=4, n_outputs=3, hidden_size=HIDDEN, dropout=0.9).train()
    first, second = (infer(network, songs, CPU).logits for _ in range(2))
    assert network.training
    np.testing.assert_array_equal(first, second)  # dropout is off


def test_every_epoch_sees_every_song_once_in_other_batches():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 50, size=100)
    songs = [np.full((n, 1), i, dtype=np.float32) for i, n in enumerate(lengths)]
    batches = SongBatches(songs, np.arange(100), 8, rng, CPU)
    epochs = []
    for epoch in range(2):
        seen = []
        for steps, counts, targets in batches(epoch):
            assert steps.shape == (len(targets), counts.max(), 1)
            for row, count, target in zip(steps, counts, targets, strict=True):
                assert count == lengths[target]
                assert (row[:count] == target).all()
                assert (row[count:] == 0).all()
            seen.append(tuple(targets.tolist()))
        assert sorted(sum(seen, ())) == list(range(100))
        assert sorted(map(len, seen)) == [4] + [8] * 12
        epochs.append(set(seen))
    assert not epochs[0] & epochs[1]


def test_songs_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 100, size=128)
    songs = [np.zeros((n, 1), dtype=np.float32) for n in lengths]
    batches = SongBatches(songs, np.zeros(128), 8, np.random.default_rng(0), CPU)
    padded = sum(steps.shape[0] * steps.shape[1] for steps, _, _ in batches(0))
    assert padded < 1.1 * lengths.sum()


def test_class_weights_agree_with_torch():
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)))
    codes, w = torch.tensor([0, 2, 1, 2, 2]), torch.tensor([0.2, 3.0, 1.0], dtype=torch.float64)
    expected = nn.functional.cross_entropy(logits, codes, weight=w)
    for targets in (codes, torch.eye(3)[codes]):  # a distribution may be sure
        for weight in (w, w.numpy()):
            found = emotion_loss(logits, targets, multilabel=False, class_weight=weight)
            torch.testing.assert_close(found, expected)


def test_weighted_losses_by_hand():
    logits, w = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]]), np.array([0.5, 2.0, 1.0])
    z = logits.double().numpy()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    q = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    tags = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    entropy = -(tags * np.log(sigmoid(z)) + (1 - tags) * np.log(sigmoid(-z)))
    for multilabel, targets, expected in (
        (False, q, -(w * q * log_p).sum() / (w * q).sum()),
        (True, tags, (w * entropy).sum() / (2 * w.sum())),
    ):
        targets = torch.tensor(targets, dtype=torch.float32)
        loss = emotion_loss(logits, targets, multilabel=multilabel, class_weight=w)
        assert loss.dtype == logits.dtype
        assert float(loss) == pytest.approx(expected, abs=1e-6)
        even = emotion_loss(logits, targets, multilabel=multilabel, class_weight=np.ones(3))
        plain = emotion_loss(logits, targets, multilabel=multilabel)
        assert float(even) == pytest.approx(float(plain), abs=1e-6)


def test_a_batch_without_weight_has_no_loss():
    logits = torch.tensor([[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]], requires_grad=True)
    weight = np.array([0.0, 1.0, 1.0])
    loss = emotion_loss(logits, torch.tensor([0, 0]), multilabel=False, class_weight=weight)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


CELL_FEATURES, CELL_HIDDEN = 3, 4
both_forms = pytest.mark.parametrize("peepholes", ["diagonal", "full"])


def peephole(peepholes, n_features=CELL_FEATURES, hidden_size=CELL_HIDDEN):
    with seeded(0, CPU):
        return BiPeepholeLSTM(n_features, hidden_size, peepholes=peepholes).double()


def two_passes(n_songs=2, n_steps=7, n_features=CELL_FEATURES):
    """Steps and mirrored steps; a cell need not know that they are the same songs."""
    rng = np.random.default_rng(0)
    return (torch.from_numpy(rng.normal(size=(n_songs, n_steps, n_features))) for _ in range(2))


def by_the_equations(W_x, W_h, W_c, b, song):
    """Return h_t of Eqs. 1 to 5, one step after the other; weights by the letter of the gate."""
    h, c, states = np.zeros(CELL_HIDDEN), np.zeros(CELL_HIDDEN), []
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
    usual, cell = BiLSTM(CELL_FEATURES, CELL_HIDDEN).double(), peephole(peepholes)
    with torch.no_grad():
        cell.weight_c.zero_()
        for i, layer in enumerate((usual.forwards, usual.backwards)):
            cell.weight_x[i] = layer.weight_ih_l0
            cell.weight_h[i] = layer.weight_hh_l0
            cell.bias[i] = layer.bias_ih_l0 + layer.bias_hh_l0
    passes = list(two_passes())
    torch.testing.assert_close(cell(*passes), usual(*passes), atol=1e-10, rtol=0)


@pytest.mark.parametrize("settings", [("lstm", "full"), ("peephole", "diagonal")])
def test_forget_bias_closes_the_forget_gates_alone(settings):
    cell = bi_recurrence(settings[0], CELL_FEATURES, CELL_HIDDEN, peepholes=settings[1])
    before = {name: value.clone() for name, value in cell.named_parameters()}
    cell.set_forget_bias(-3.0)
    forget = slice(CELL_HIDDEN, 2 * CELL_HIDDEN)
    changed = 0
    for name, value in cell.named_parameters():
        if not torch.equal(value, before[name]):
            assert "bias" in name
            assert (value[..., forget] == -3).all()
            before[name][..., forget] = -3
            assert torch.equal(value, before[name])
            changed += value[..., forget].numel()
    assert changed == 2 * CELL_HIDDEN


@pytest.mark.parametrize("frames_per_step", [1, 2, 3, 7, 100, 10**12])
def test_steps_are_the_maxima_over_the_real_frames(frames_per_step):
    frames, lengths = pad_batch([song - 10 for song in SONGS[:5]], CPU)
    frames[frames == 0] = 99.0  # whatever the padding holds
    steps, counts = max_pool_padded(frames, lengths, frames_per_step)
    for song, found, count in zip(SONGS[:5], steps, counts, strict=True):
        expected = max_pooled_steps((song - 10).astype(np.float32), frames_per_step)
        np.testing.assert_array_equal(found[:count], expected)
        assert not found[count:].any()


def test_estimators_train_it_on_ragged_songs():
    tower = partial(AttentionTower, hidden_size=8)
    model = SupervisedDCCA(2, **SMALL, x_network=tower).fit(SONGS, VISUAL, labels=HEARD)
    assert model.transform(SONGS[:4]).shape == (4, 2)
    alone = [model.transform([song])[0] for song in SONGS[:4]]
    np.testing.assert_allclose(alone, model.transform(SONGS[:4]), atol=1e-5)
    assert isinstance(model.x_network_, AttentionTower)
    pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("head", ["pooled", "per_step"])
def test_a_pretrained_tower_begins_with_the_selectors_attention(head):
    selector = small(head=head).fit(SONGS, HEARD)
    tower = selector.tower()(N_FEATURES, 4).eval()
    steps = [(s - selector.frame_mean_) / selector.frame_scale_ for s in SONGS[:5]]
    frames, lengths = pad_batch(steps, CPU)
    attention = tower.attention(*max_pool_padded(frames, lengths, 3)).attention
    for found, expected in zip(attention, selector.attention(SONGS[:5]), strict=True):
        np.testing.assert_allclose(found[: len(expected)].detach(), expected, atol=1e-5)
    assert tower(frames, lengths).shape == (5, 4)


def test_a_frozen_tower_trains_its_output_alone():
    selector = small().fit(SONGS, HEARD)
    before = copy.deepcopy(selector.network_.state_dict())
    build = selector.tower(frozen=True)
    model = DCCA(2, **SMALL, x_network=build).fit(SONGS, VISUAL)
    found = model.x_network_.attention.state_dict()
    for name, weights in before.items():
        if not name.startswith("head."):
            torch.testing.assert_close(found[name], weights, check_dtype=False)
    trained = [name for name, p in model.x_network_.named_parameters() if p.requires_grad]
    assert trained == ["attention.head.weight", "attention.head.bias"]
    # The selector itself is left as it was.
    after = selector.network_.state_dict()
    assert all(torch.equal(after[name], weights) for name, weights in before.items())
    pickle.loads(pickle.dumps(build))


def test_a_pretrained_tower_refuses_frames_of_another_width():
    build = small().fit(SONGS, HEARD).tower()
    with pytest.raises(ValueError, match="takes frames of 5 features; got 7"):
        build(7, 2)
