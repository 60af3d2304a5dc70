"""The arithmetic of steps and chunks."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcca.views._sequences import best_chunks, chunk_borders, max_pooled_steps, untrained_scores


@pytest.fixture
def songs():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 3)) for n in (5, 2, 7)]


@given(st.integers(1, 60), st.integers(1, 5))
def test_steps_are_maxima_over_frames(n_frames, frames_per_step):
    song = np.random.default_rng(n_frames).normal(size=(n_frames, 2))
    starts = range(0, n_frames, frames_per_step)
    expected = [song[t : t + frames_per_step].max(axis=0) for t in starts]
    np.testing.assert_array_equal(max_pooled_steps(song, frames_per_step), expected)


@given(st.integers(1, 500), st.integers(1, 40))
def test_borders_are_rounded_and_chunks_never_empty(n_steps, n_chunks):
    borders = chunk_borders(n_steps, n_chunks)
    c = min(n_chunks, n_steps)
    exact = [floor(Fraction(j * n_steps, c) + Fraction(1, 2)) for j in range(c + 1)]
    assert borders.tolist() == exact
    lengths = np.diff(borders)
    assert lengths.min() >= 1
    assert lengths.max() - lengths.min() <= 1


def test_best_chunks_stand_in_time_order_and_ties_go_to_the_earlier():
    borders = np.array([0, 3, 6, 9, 11])
    chosen = best_chunks(np.array([0.5, 2.0, 0.5, 3.0]), borders, 3, 0.5)
    numbers, starts, stops, scores, seconds = (part.tolist() for part in chosen)
    assert (numbers, starts, stops, scores) == ([0, 1, 3], [0, 3, 9], [3, 6, 11], [0.5, 2, 3])
    assert seconds == [[0, 1.5], [1.5, 3], [4.5, 5.5]]
    assert best_chunks(np.array([0.5, 2.0, 0.5, 3.0]), borders, 9).chunks.tolist() == [0, 1, 2, 3]


def test_middle_scores_fall_towards_both_ends():
    for n_chunks, scores in {3: [-1, 0, -1], 4: [-1.5, -0.5, -0.5, -1.5]}.items():
        borders = np.arange(n_chunks + 1)
        found = untrained_scores("middle", np.ones((n_chunks, 1)), borders, 0, np.ones(1))
        np.testing.assert_array_equal(found, scores)


def test_energy_is_the_mean_square_of_a_chunk_and_has_no_unit(songs):
    borders, rms = np.array([0, 2, 5]), np.array([1.0, 2.0, 4.0])
    scores = untrained_scores("energy", songs[0], borders, 0, rms)
    relative = (songs[0] / rms) ** 2
    np.testing.assert_allclose(scores, [relative[:2].mean(), relative[2:].mean()])
    unit = np.array([1e3, 1.0, 1e-3])
    np.testing.assert_allclose(
        untrained_scores("energy", songs[0] * unit, borders, 0, rms * unit), scores
    )
