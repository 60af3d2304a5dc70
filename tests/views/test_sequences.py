"""Containers of songs."""

import numpy as np
import pandas as pd
import pytest
import torch
from _data import as_objects, padded
from scipy import sparse

from skcca.views._sequences import check_sequences, frame_moments, sequence_blocks

LENGTHS = (5, 2, 7)


@pytest.fixture
def songs():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 3)) for n in LENGTHS]


def check(X, **kwargs):
    return check_sequences(X, caller="Selector", **kwargs)


def masked(songs):
    X = padded(songs)
    return np.ma.masked_array(np.nan_to_num(X), mask=np.isnan(X))


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "object array": as_objects,
    "series": lambda songs: pd.Series(songs, index=["c", "a", "b"]),
    "padded with NaN": padded,
    "masked": masked,
    "list of masked": lambda songs: list(masked(songs)),
    "rows of a padded array": lambda songs: list(padded(songs)),
    "nested lists": lambda songs: [song.tolist() for song in songs],
    "frames": lambda songs: [pd.DataFrame(song) for song in songs],
    "tensors": lambda songs: [torch.from_numpy(song) for song in songs],
    "objects of numbers": lambda songs: [song.astype(object) for song in songs],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_songs(songs, container):
    for got, song in zip(check(CONTAINERS[container](songs)), songs, strict=True):
        np.testing.assert_array_equal(got, song)
        assert got.dtype == np.float64


def test_equally_long_songs_are_an_array():
    X = np.random.default_rng(0).normal(size=(4, 6, 2))
    np.testing.assert_array_equal(np.array(check(X)), X)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (["f4", "f4", "f4"], "f4"),
        (["f4", "f8", "f4"], "f8"),
        (["f2", "f2", "f2"], "f8"),
        (["i4", "u1", "?"], "f8"),
        ([">f4", "f4", "f4"], "f4"),
    ],
)
def test_float32_stays_if_all_are_and_the_rest_becomes_float64(songs, dtypes, expected):
    cast = [song.astype(dtype) for song, dtype in zip(songs, dtypes, strict=True)]
    for got, song in zip(check(cast), cast, strict=True):
        assert got.dtype == np.dtype(expected)
        np.testing.assert_array_equal(got, song.astype(expected))


def test_nothing_is_copied_that_need_not_be(songs, tmp_path):
    assert all(np.shares_memory(a, b) for a, b in zip(check(songs), songs, strict=True))
    X = padded(songs)
    assert all(np.shares_memory(song, X) for song in check(X))
    np.save(tmp_path / "songs.npy", X)
    mapped = np.load(tmp_path / "songs.npy", mmap_mode="r")
    assert all(np.shares_memory(song, mapped) for song in check(mapped))


BAD_CONTAINERS = [
    (np.zeros((4, 3)), ValueError, r"shape \(4, 3\); expected a list .* one song is \[X\]"),
    (np.zeros(4), ValueError, r"shape \(4,\); .* one frame is \[\[X\]\]"),
    (np.zeros((2, 2, 2, 2)), ValueError, r"shape \(2, 2, 2, 2\)"),
    (sparse.csr_array(np.eye(3)), TypeError, "sparse matrix, and frames must be dense"),
    ("song", TypeError, "`X` is a str"),
    (None, TypeError, "`X` is a NoneType"),
    ([], ValueError, r"0 sequence\(s\)"),
    (np.zeros((0, 4, 3)), ValueError, r"0 sequence\(s\)"),
]


@pytest.mark.parametrize(("X", "kind", "message"), BAD_CONTAINERS)
def test_what_is_no_container_of_songs_raises(X, kind, message):
    with pytest.raises(kind, match=message):
        check(X)


BAD_SONGS = [
    (np.zeros(3), ValueError, r"sequence 1 of `X` has shape \(3,\)"),
    (np.zeros((0, 3)), ValueError, "sequence 1 of `X` is empty"),
    (np.full((4, 3), np.nan), ValueError, "sequence 1 of `X` is empty"),
    (np.zeros((4, 0)), ValueError, r"sequence 1 of `X` has 0 feature\(s\) \(shape=\(4, 0\)\)"),
    (np.zeros((4, 2)), ValueError, "sequence 1 of `X` has 2 features but sequence 0 has 3"),
    (np.array([[0, 0, 0], [0, np.nan, 0]]), ValueError, "NaN: .*sequence 1.* frame 1, feature 1"),
    (np.array([[np.nan] * 3, [0.0] * 3]), ValueError, "NaN: .*sequence 1.* frame 0, feature 0"),
    (np.array([[0, 0, np.inf]]), ValueError, "infinity: .*sequence 1.* frame 0, feature 2"),
    (np.zeros((4, 3), dtype=complex), ValueError, "sequence 1.*Complex data not supported"),
    (np.full((4, 3), "a"), ValueError, "sequence 1.*dtype is <U1"),
    (np.array([[{}, 1, 2]]), TypeError, "sequence 1.*no array of numbers"),
    ([[1.0, 2.0, 3.0], [1.0]], ValueError, "sequence 1.*no array of numbers"),
    (None, ValueError, r"sequence 1 of `X` has shape \(\)"),
    (sparse.csr_array(np.eye(3)), TypeError, r"sequence 1.*sparse.*toarray\(\)"),
]


@pytest.mark.parametrize(("song", "kind", "message"), BAD_SONGS)
def test_a_bad_song_is_named_by_its_position(songs, song, kind, message):
    with pytest.raises(kind, match=message):
        check([songs[0], song, songs[2]])


def test_another_width_than_at_fit_raises(songs):
    with pytest.raises(ValueError, match="X has 3 features, but Selector is expecting 5 features"):
        check(songs, n_features=5)


def test_frame_moments_are_those_of_all_frames(songs):
    mean, scale = frame_moments(songs)
    np.testing.assert_allclose(mean, np.concatenate(songs).mean(axis=0))
    np.testing.assert_allclose(scale, np.concatenate(songs).std(axis=0))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1, -3e-9])
def test_a_constant_feature_has_scale_one(value):
    songs = [np.full((n, 1), value) for n in (7, 11, 13)]
    assert frame_moments(songs)[1] == 1


def test_moments_of_float32_frames_are_exact():
    songs = [np.full((100_001, 1), 1e4 + i, dtype=np.float32) for i in (0, 1)]
    mean, scale = frame_moments(songs)
    assert mean == pytest.approx(1e4 + 0.5, rel=1e-12)
    assert scale == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize("features", [1e160, -1e200])
def test_frames_whose_squares_overflow_are_refused(songs, features):
    songs[1][0, 2] = features
    with pytest.raises(ValueError, match=r"Feature 2 of `X` spreads over more than 1e\+150"):
        frame_moments(songs)


@pytest.mark.parametrize("size", [1, 2, 3, None])
@pytest.mark.parametrize("convert", [list, padded, as_objects])
def test_blocks_make_up_the_whole(songs, convert, size):
    blocks = list(sequence_blocks(convert(songs), size, caller="Selector"))
    assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
    found = [song for block in blocks for song in block]
    for one, song in zip(found, songs, strict=True):
        np.testing.assert_array_equal(one, song)


def test_blocks_agree_on_precision_and_know_the_place_of_a_song(songs):
    songs[0] = songs[0].astype(np.float32)
    blocks = sequence_blocks(songs, 1, caller="Selector")
    assert [block[0].dtype for block in blocks] == [np.float64] * 3
    with pytest.raises(ValueError, match="sequence 2 of `X` has 1 features but sequence 0 has 3"):
        list(sequence_blocks([*songs[:2], songs[2][:, :1]], 2, caller="Selector"))


def test_blocks_are_read_when_they_are_needed(songs):
    blocks = sequence_blocks([songs[0], None], 1, caller="Selector")
    np.testing.assert_array_equal(next(blocks)[0], songs[0])
    with pytest.raises(ValueError, match="sequence 1"):
        next(blocks)
