"""AttentionDisplay: what is drawn, where it stands, and what is refused.

What it has in common with the other displays stands in test_display_laws.py.
"""

import pickle
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from _data import HEARD, SONGS, VISUAL
from _models import in_legend
from _models import selector as small
from _models import trained_selector as trained
from matplotlib import pyplot as plt

from skcca import ChunkSelector, Views
from skcca.plotting import AttentionDisplay

SONG = next(song for song in SONGS if len(song) % 3 == 1)  # its last step has one frame of three
RATE = 500
NOISE = np.random.default_rng(0).normal(size=len(SONG) * RATE)


@pytest.fixture
def selector():
    return trained().set_params(n_chunks=5, k=2)


def draw(selector, song=SONG, **kwargs):
    return AttentionDisplay.from_estimator(selector, song, **kwargs)


def shades(display):
    """Return where the drawn shades begin and end."""
    x = [path.vertices[:, 0] for path in display.selection_.get_paths()]
    return np.array([[one.min(), one.max()] for one in x])


def lines(display):
    """Return where the drawn vertical lines stand."""
    segments = np.array(display.borders_.get_segments())  # (n, 2 ends, x and y)
    np.testing.assert_array_equal(segments[:, :, 1], np.tile([0, 1], (len(segments), 1)))
    return segments[:, 0, 0]


def outline(display):
    """Return the corners (n, 2) of the drawn envelope: seconds, and heights of the axes."""
    (path,) = display.waveform_.get_paths()
    return path.vertices


# What is drawn


@pytest.mark.parametrize("seconds", [1.0, 0.25])
def test_each_step_of_the_line_covers_its_frames_at_the_height_of_its_attention(selector, seconds):
    values, edges, _ = draw(selector, seconds_per_frame=seconds).line_.get_data()
    np.testing.assert_array_equal(values, selector.attention([SONG])[0])
    assert values.sum() == pytest.approx(1)
    np.testing.assert_allclose(edges[:-1], 3 * seconds * np.arange(len(values)))
    assert edges[-1] == pytest.approx(len(SONG) * seconds)
    assert edges[-1] - edges[-2] == pytest.approx(seconds)  # the last step has one frame


@pytest.mark.parametrize("seconds", [1.0, 0.25])
def test_shades_cover_the_frames_of_the_chosen_chunks(selector, seconds):
    (chosen,) = selector.select([SONG])
    expected = seconds * np.column_stack([chosen.starts, chosen.stops])
    np.testing.assert_allclose(shades(draw(selector, seconds_per_frame=seconds)), expected)


def test_lines_stand_at_the_borders_of_all_chunks(selector):
    everything = selector.set_params(k=5).select([SONG])[0]
    expected = 0.5 * np.append(everything.starts, everything.stops[-1])
    np.testing.assert_allclose(
        lines(draw(selector.set_params(k=1), seconds_per_frame=0.5)), expected
    )


@pytest.mark.parametrize("strategy", ["attention", "middle", "random", "energy"])
def test_every_strategy_shows_its_own_choice(selector, strategy):
    selector.set_params(strategy=strategy)
    display = draw(selector)
    np.testing.assert_allclose(shades(display), selector.select([SONG])[0].seconds)
    assert len(lines(display)) == 6
    assert (display.line_ is not None) == (strategy == "attention")
    assert (len(display.ax_.get_yticks()) > 0) == (strategy == "attention")


def test_an_untrained_selector_is_drawn_without_attention():
    display = draw(ChunkSelector(strategy="middle").fit(SONGS))
    assert display.attention is None
    assert display.ax_.get_ylabel() == ""
    assert shades(display).shape == (1, 2)


def test_a_song_shorter_than_its_chunks_has_one_a_step(selector):
    display = draw(selector, SONG[:8])
    assert lines(display).tolist() == [0, 3, 6, 8]
    assert len(shades(display)) == 2


def test_chunks_of_a_given_duration_stand_where_select_says(selector):
    selector.set_params(n_chunks=None, chunk_duration=3.0, frame_duration=0.5)
    display = draw(selector)
    np.testing.assert_allclose(shades(display), selector.select([SONG])[0].seconds)
    assert len(lines(display)) == round(len(SONG) * 0.5 / 3) + 1
    assert display.times[-1] == len(SONG) * 0.5


def test_padding_is_not_drawn(selector):
    padded = np.vstack([SONG, np.full((7, SONG.shape[1]), np.nan)])
    assert draw(selector, padded).times[-1] == len(SONG)


@pytest.mark.parametrize("wrap", [lambda s: [s], lambda s: s[None], lambda s: s.tolist()])
def test_a_song_may_be_the_one_song_of_a_container(selector, wrap):
    expected = draw(selector).attention
    np.testing.assert_array_equal(draw(selector, wrap(SONG)).attention, expected)


def test_a_selector_of_views_shows_a_bare_song(selector):
    of_views = small(n_chunks=5, k=2).fit(Views(audio=SONGS, visual=VISUAL), HEARD)
    np.testing.assert_array_equal(draw(of_views).attention, draw(selector).attention)


# The waveform


def test_the_envelope_reaches_every_extreme_sample_where_it_is():
    samples = np.zeros(1_000_003)
    samples[[123_456, 777_777]] = 4.0, -8.0
    display = AttentionDisplay(
        np.arange(3.0), None, np.array([0.0, 2.0]), np.array([0]), waveform=samples, sample_rate=5e5
    )
    seconds, heights = outline(display.plot()).T
    for sample, height in [(123_456, 0.5 + 0.45 / 2), (777_777, 0.5 - 0.45)]:
        there = np.abs(seconds - sample / 5e5) < 0.003
        assert np.isclose(heights[there], height).any()
        assert not np.isclose(heights[~there], height).any()
    assert len(seconds) < 5_000


def test_no_sample_leaves_the_envelope():
    display = AttentionDisplay(
        np.arange(3.0), None, np.array([0.0, 2.0]), np.array([0]), waveform=NOISE, sample_rate=RATE
    ).plot()
    (path,) = display.waveform_.get_paths()
    heights = 0.5 + 0.45 * NOISE / np.abs(NOISE).max()
    seconds = (np.arange(len(NOISE)) + 0.5) / RATE
    inside = path.contains_points(np.column_stack([seconds, heights * (1 - 1e-9) + 0.5e-9]))
    assert inside.all()


def test_the_envelope_spans_the_recording_in_seconds(selector):
    seconds = outline(draw(selector, waveform=NOISE, sample_rate=RATE))[:, 0]
    assert (seconds.min(), seconds.max()) == (0, len(SONG))


def test_a_recording_longer_than_the_song_widens_the_picture(selector):
    display = draw(selector, waveform=NOISE, sample_rate=RATE / 2)
    assert display.ax_.get_xlim() == (0, 2 * len(SONG))
    assert display.times[-1] == len(SONG)
    assert draw(selector, waveform=NOISE[:RATE], sample_rate=RATE).ax_.get_xlim()[1] == len(SONG)


def test_the_envelope_covers_all_channels():
    mono = np.sin(np.arange(900) / 50)
    parts = np.array([0.0, 1.0]), None, np.array([0.0, 1.0]), np.array([0])
    both = AttentionDisplay(
        *parts,
        waveform=np.column_stack([np.maximum(mono, 0), np.minimum(mono, 0)]),
        sample_rate=900,
    )
    one = AttentionDisplay(*parts, waveform=np.abs(mono), sample_rate=900)
    halves = outline(both.plot())[:, 1]
    assert halves.min() == pytest.approx(0.05, abs=1e-3)
    assert halves.max() == pytest.approx(0.95, abs=1e-3)
    assert outline(one.plot())[:, 1].min() == pytest.approx(0.5)


@pytest.mark.parametrize(
    "waveform",
    [np.zeros(50), np.full(50, 128, np.uint8), np.zeros((50, 2), np.int16)],
    ids=["float", "uint8", "stereo"],
)
def test_silence_is_a_flat_line(selector, waveform):
    np.testing.assert_array_equal(
        outline(draw(selector, waveform=waveform, sample_rate=1))[:, 1], 0.5
    )


def test_the_lowest_integer_does_not_overflow(selector):
    heights = outline(draw(selector, waveform=np.array([-32768, 0], np.int16), sample_rate=1))[:, 1]
    assert heights.min() == pytest.approx(0.05)


# The picture


def test_axes_are_labelled_and_hold_the_song(selector):
    ax = draw(selector, title="A song").ax_
    written = ax.get_xlabel(), ax.get_ylabel(), ax.get_title()
    assert written == ("Time (s)", "Attention", "A song")
    assert ax.get_xlim() == (0, len(SONG))
    low, high = ax.get_ylim()
    assert low < 0 < selector.attention([SONG])[0].max() < high


def test_the_legend_names_what_is_drawn(selector):
    assert in_legend(draw(selector)) == ["Chosen chunks", "Borders"]
    selector.set_params(k=1)
    drawn = draw(selector, waveform=NOISE, sample_rate=RATE)
    assert in_legend(drawn) == ["Chosen chunk", "Borders", "Waveform"]


@pytest.mark.parametrize("size", [(8, 3), (4, 2), (2.5, 2.5)])
def test_nothing_is_cut_off_and_no_text_covers_the_data(selector, size):
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    display = draw(selector, waveform=NOISE, sample_rate=RATE, title="gjpqy", ax=ax)
    figure.canvas.draw()
    drawn = figure.get_tightbbox()  # inches
    assert drawn.x0 >= 0 <= drawn.y0
    assert drawn.x1 <= size[0]
    assert drawn.y1 <= size[1]
    data, legend, title = (part.get_window_extent() for part in (ax, display.legend_, ax.title))
    for below, above in pairwise([data, legend, title]):
        assert below.y1 <= above.y0


def test_colours_turn_light_on_dark_axes(selector):
    _, (light, dark) = plt.subplots(1, 2)
    dark.set_facecolor("#303030")
    for ax, ink in [(light, 0), (dark, 1)]:
        display = draw(selector, waveform=NOISE, sample_rate=RATE, ax=ax)
        for part in (display.borders_, display.waveform_):
            np.testing.assert_array_equal(mpl.colors.to_rgb(part.get_edgecolor()[0]), ink)
        assert mpl.colors.to_rgb(display.legend_.get_texts()[0].get_color()) == (ink,) * 3
        assert display.legend_.get_frame().get_facecolor() == ax.get_facecolor()


def test_the_selector_is_left_as_it_was(selector):
    before = pickle.dumps(selector)
    draw(selector)
    assert pickle.dumps(selector) == before
