"""Songs whose emotion shows in one stretch, and a small ChunkSelector."""

import functools
import pickle

import numpy as np

from skcca import ChunkSelector

N_FEATURES = 5
CLASSES = np.array(["angry", "calm", "warm"])


def make_songs(n=60, shift=4.0, seed=0):
    """Songs of any length whose emotion shows in one stretch of 9 frames; others differ by song."""
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % len(CLASSES)
    songs, starts = [], []
    for code in codes:
        song = rng.normal(size=(rng.integers(30, 60), N_FEATURES)) + 0.7 * rng.normal(
            size=N_FEATURES
        )
        start = int(rng.integers(0, len(song) - 9))
        song[start : start + 9, code] += shift
        songs.append(song)
        starts.append(start)
    return songs, CLASSES[codes], np.array(starts)


SONGS, LABELS, STARTS = make_songs()
MEANS = np.array([song.mean(axis=0) for song in SONGS])
VISUAL = np.random.default_rng(1).normal(size=(len(SONGS), 4))


def small(**kwargs):
    return ChunkSelector(**{"hidden_size": 8, "max_epochs": 2, "random_state": 0} | kwargs)


@functools.cache
def _pickled():
    return pickle.dumps(small().fit(SONGS, LABELS))


def trained():
    """Return a fitted selector that a test may change: training takes longer than a copy."""
    return pickle.loads(_pickled())


def padded(songs):
    X = np.full((len(songs), max(map(len, songs)), N_FEATURES), np.nan)
    for row, song in zip(X, songs, strict=True):
        row[: len(song)] = song
    return X
