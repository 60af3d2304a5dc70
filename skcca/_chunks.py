"""From the frames of a song to its chunks: steps, borders, scores, and the best of them.

Frames are pooled into *steps*, on which attention works, and the steps are cut into *chunks*, which
are selected.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np


class Selection(NamedTuple):
    """The chunks chosen from one song, in time order; arrays with one entry per chosen chunk."""

    chunks: np.ndarray  # its number, from 0
    starts: np.ndarray  # its first frame
    stops: np.ndarray  # the frame after its last
    scores: np.ndarray  # what it was chosen by, higher is better
    seconds: np.ndarray  # (n_chosen, 2): where it begins and ends


def max_pooled_steps(song: np.ndarray, frames_per_step: int) -> np.ndarray:
    """Return the steps of a song (S, d): maxima over ``frames_per_step`` frames or what is left."""
    whole = len(song) - len(song) % frames_per_step
    steps = song[:whole].reshape(-1, frames_per_step, song.shape[1]).max(axis=1)
    return steps if whole == len(song) else np.vstack([steps, song[whole:].max(axis=0)])


def n_chunks_of(n_frames: int, frame_duration: float, chunk_duration: float) -> int:
    """Return into how many chunks of about this many seconds a song is cut, 1 at least."""
    return max(1, round(n_frames * frame_duration / chunk_duration))


def chunk_borders(n_steps: int, n_chunks: int) -> np.ndarray:
    """Return the borders of the chunks in steps: chunk j is ``borders[j]:borders[j + 1]``.

    Border j of c chunks is j S / c, rounded half up, so that lengths differ by one step at most. A
    song with fewer steps than chunks gives one chunk a step.
    """
    c = min(n_chunks, n_steps)
    return (2 * n_steps * np.arange(c + 1) + c) // (2 * c)  # exact, in integers


def middle_scores(n_chunks: int) -> np.ndarray:
    """Return minus the distance of each chunk from the middle of the song, in chunks."""
    return -np.abs(np.arange(n_chunks) - (n_chunks - 1) / 2)


def random_scores(song: np.ndarray, n_chunks: int, seed: int) -> np.ndarray:
    """Return scores that depend on seed and song alone, not on the songs beside it."""
    content = zlib.crc32(song.astype(np.float32).tobytes())
    return np.random.default_rng([seed, content]).random(n_chunks)


def energy_scores(song: np.ndarray, borders: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """Return the mean square of each chunk's frames, features relative to their ``mean_square``."""
    energy = (np.square(song, dtype=np.float64) / mean_square).mean(axis=1)
    return np.add.reduceat(energy, borders[:-1]) / np.diff(borders)


def chunk_scores(steps: np.ndarray, borders: np.ndarray, how: str) -> np.ndarray:
    """Return the maximum or the mean over its steps of each chunk; ``borders`` are in steps."""
    if how == "max":
        return np.maximum.reduceat(steps, borders[:-1])
    return np.add.reduceat(steps, borders[:-1], dtype=np.float64) / np.diff(borders)


def best_chunks(
    scores: np.ndarray, borders: np.ndarray, k: int, frame_duration: float = 1.0
) -> Selection:
    """Return the ``k`` best chunks in time order, all if there are fewer; ties go to the earlier.

    ``borders`` are those of all chunks, in frames; a frame lasts ``frame_duration`` seconds.
    """
    chosen = np.sort(np.argsort(-scores, kind="stable")[:k])
    starts, stops = borders[chosen], borders[chosen + 1]
    seconds = float(frame_duration) * np.column_stack([starts, stops])
    return Selection(chosen, starts, stops, scores[chosen], seconds)


def aggregate_chunks(song: np.ndarray, selection: Selection, how: str, k: int) -> np.ndarray:
    """Return what stands for the song.

    ``"frames"``: the chosen frames (T', d), in the song's dtype. ``"mask"``: which frames they are
    (T,). ``"mean"``: their mean (d,), in float64. ``"concat"``: the means of ``k`` chunks one after
    another (k d,), in float64; the last is repeated where the song has fewer.
    """
    if how == "mask":
        mask = np.zeros(len(song), dtype=bool)
        for start, stop in zip(selection.starts, selection.stops, strict=True):
            mask[start:stop] = True
        return mask
    chunks = [song[a:b] for a, b in zip(selection.starts, selection.stops, strict=True)]
    if how == "concat":
        means = [chunk.mean(axis=0, dtype=np.float64) for chunk in chunks]
        return np.concatenate(means + means[-1:] * (k - len(means)))
    frames = np.concatenate(chunks)
    return frames if how == "frames" else frames.mean(axis=0, dtype=np.float64)
