"""The attention model as a tower: steps of padded songs, and training through an estimator."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from _data import HEARD, N_FEATURES, SONGS, VISUAL
from _models import SMALL
from _models import selector as small

from skcca import DCCA, SupervisedDCCA
from skcca.nn import AttentionTower
from skcca.nn.attention import max_pool_padded
from skcca.nn.songs import pad_batch
from skcca.views._sequences import max_pooled_steps

CPU = torch.device("cpu")


@pytest.mark.parametrize("frames_per_step", [1, 2, 3, 7, 100])
def test_steps_are_the_maxima_over_the_real_frames(frames_per_step):
    frames, lengths = pad_batch([song - 10 for song in SONGS[:5]], CPU)
    frames[frames == 0] = 99.0  # whatever the padding holds
    steps, counts = max_pool_padded(frames, lengths, frames_per_step)
    for song, found, count in zip(SONGS[:5], steps, counts, strict=True):
        expected = max_pooled_steps((song - 10).astype(np.float32), frames_per_step)
        np.testing.assert_array_equal(found[:count], expected)
        assert not found[count:].any()


def test_padding_never_changes_a_feature():
    tower = AttentionTower(N_FEATURES, 3, hidden_size=8).eval()
    frames, lengths = pad_batch(SONGS[:6], CPU)
    together = tower(frames, lengths)
    for song, z in zip(SONGS[:6], together, strict=True):
        torch.testing.assert_close(tower(*pad_batch([song], CPU))[0], z, atol=1e-6, rtol=0)


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
