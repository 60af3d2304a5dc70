"""Ragged sequences of frames: their validation, and their steps and chunks.

A song is an array (frames, features). Songs stay a list of arrays, views of the caller's memory if
the dtype allows it, and are not padded. Frames are pooled into *steps*, on which attention works,
and steps are cut into *chunks*, which are selected.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skcca._core.compat import to_numpy
from skcca._core.types import ArrayLike, ViewLike

# A larger standard deviation has a square beyond the range of float64.
_MAX_SCALE = 1e150
# Steps are clipped to so many standard deviations. The network saturates long before, but sums in
# float32 would overflow.
_MAX_DEVIATION = 1e6
_DATES = "; frames hold numbers: take differences of dates, in seconds"


def check_sequences(
    X: ViewLike, *, n_features: int | None = None, caller: str, name: str = "X"
) -> list[np.ndarray]:
    """Return the songs as finite arrays (T_i, d), all float32 if X is, otherwise all float64.

    ``X`` is an array (n, T, d), or a list, tuple or object array of n array-likes (T_i, d).
    Trailing frames that are NaN throughout (or masked, in a masked array) are padding and are cut
    off. ``n_features`` is the required width d, ``name`` that of the argument in error messages.
    """
    (songs,) = sequence_blocks(X, None, n_features=n_features, caller=caller, name=name)
    return songs


def column_names(X: ViewLike) -> list[str] | None:
    """Return the column names of the first song that is a DataFrame with strings for names."""
    songs = X if isinstance(X, (list, tuple)) or getattr(X, "ndim", 2) == 1 else []
    return next((names for names in map(_columns_of, songs) if names is not None), None)


def _columns_of(song: ArrayLike) -> list[str] | None:
    # Tables of Arrow have the columns themselves where frames have their names.
    names = getattr(song, "column_names", getattr(song, "columns", None))
    if names is None or not all(isinstance(name, str) for name in names):
        return None
    return list(names)


def sequence_blocks(
    X: ViewLike,
    size: int | None,
    *,
    n_features: int | None = None,
    columns: Sequence[str] | np.ndarray | None = None,
    caller: str,
    name: str = "X",
) -> Iterator[list[np.ndarray]]:
    """Yield the songs of `check_sequences` in blocks of ``size`` songs, or in one for None.

    Songs whose features have names must have ``columns``, or those of the first, in their order.
    """
    entries = _entries(X, caller, name)
    if len(entries) == 0:
        raise ValueError(f"{caller}: `{name}` has 0 sequence(s) while a minimum of 1 is required.")
    expected = column_names(entries) if columns is None else list(columns)
    for i, song in enumerate(entries):
        found = _columns_of(song)
        if found is not None and found != expected:
            raise ValueError(
                f"{caller}: sequence {i} of `{name}` has the columns {found[:9]}; expected "
                f"{(expected or [])[:9]}, in this order, as in the other songs and in fit: "
                "song[columns]."
            )
    # The dtype of all songs is decided first, so that blocks agree in it.
    all_float32 = all(map(_is_float32, entries))
    width = None
    size = size or len(entries)
    for start in range(0, len(entries), size):
        block = entries[start : start + size]
        songs = [_check_song(song, start + i, caller, name) for i, song in enumerate(block)]
        width = width or songs[0].shape[1]
        for i, song in enumerate(songs, start):
            if song.shape[1] != width:
                raise ValueError(
                    f"{caller}: sequence {i} of `{name}` has {song.shape[1]} features but sequence "
                    f"0 has {width}; all must have the same. Two views are Views(X, Y)."
                )
        if n_features is not None and width != n_features:
            raise ValueError(
                f"{name} has {width} features, but {caller} is expecting {n_features} features as "
                "input."
            )
        yield songs if all_float32 else [song.astype(np.float64, copy=False) for song in songs]


def _is_float32(song: Any) -> bool:
    if isinstance(song, (list, tuple)) or hasattr(song, "tocsr"):
        return False
    dtype = getattr(song, "dtype", None)
    if hasattr(song, "detach"):
        return str(dtype) == "torch.float32"
    # A frame has a dtype for each of its columns.
    dtype = dtype if isinstance(dtype, np.dtype) else np.asarray(song).dtype
    return dtype.newbyteorder("=") == np.float32


def _entries(X: ViewLike, caller: str, name: str) -> Sequence[Any] | np.ndarray:
    """Return the songs of a container, unconverted."""
    if isinstance(X, (list, tuple)):
        return X
    expected = (
        "expected a list of n_songs arrays (n_frames, n_features), or an array (n_songs, n_frames, "
        "n_features) with NaN after the end of shorter songs"
    )
    if not hasattr(X, "__array__"):
        sparse = "sparse matrix, and frames must be dense" if hasattr(X, "tocsr") else ""
        raise TypeError(f"{caller}: `{name}` is a {sparse or type(X).__name__}; {expected}.")
    if getattr(X, "is_nested", False):
        return X.unbind()
    # A masked array must stay one, because its mask marks padding.
    songs = _to_array(X, f"{caller}: `{name}`")
    if songs.ndim == 3 or (songs.ndim == 1 and songs.dtype == object):
        return songs
    example = {1: "frame is [[X]]", 2: "song is [X]"}.get(songs.ndim)
    cure = f" Reshape your data: one {example}." if example else ""
    raise ValueError(f"{caller}: `{name}` has shape {songs.shape}; {expected}.{cure}")


def _check_song(song: Any, position: int, caller: str, name: str) -> np.ndarray:
    """Return one song as a finite float32 or float64 array without its padding."""
    where = f"{caller}: sequence {position} of `{name}`"
    if hasattr(song, "tocsr"):
        raise TypeError(f"{where} is a sparse matrix; frames must be dense: song.toarray().")
    masked = np.ma.is_masked(song)
    frame = song if hasattr(song, "iloc") else None
    song = _to_array(song, where)
    try:
        if song.dtype == object and frame is not None:
            # Missing entries of pandas become NaN.
            song = frame.astype(np.float64).to_numpy()
        if song.dtype == object and song.ndim == 1:
            # Frames of lists, as tables of nested columns have them.
            song = np.array([np.asarray(frame) for frame in song])
        if song.dtype.kind not in "biufO":
            hints = {"c": ". Complex data not supported", **dict.fromkeys("mM", _DATES)}
            raise ValueError(f"its dtype is {song.dtype}{hints.get(song.dtype.kind, '')}.")
        if masked:
            song = np.ma.filled(song.astype(np.result_type(song, np.float32)), np.nan)
        song = np.asarray(song)
        is_float32 = song.dtype.newbyteorder("=") == np.float32
        song = song.astype(np.float32 if is_float32 else np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where} is no array of numbers (n_frames, n_features): {error}") from error
    if song.ndim != 2:
        raise ValueError(f"{where} has shape {song.shape}; expected (n_frames, n_features).")
    if song.shape[1] == 0:
        raise ValueError(
            f"{where} has 0 feature(s) (shape={song.shape}) while a minimum of 1 is required."
        )
    finite = np.isfinite(song)
    if not finite.all():
        # Frames of NaN at the end are padding.
        real = np.flatnonzero(~np.isnan(song).all(axis=1))
        song = song[: real.max(initial=-1) + 1]
        finite = np.isfinite(song)
    if len(song) == 0:
        raise ValueError(
            f"{where} is empty: it has no frame, or NaN alone. Drop it, and its row of every view."
        )
    if not finite.all():
        frame, feature = np.argwhere(~finite)[0]
        value = "NaN" if np.isnan(song[frame, feature]) else "infinity"
        raise ValueError(
            f"Input {name} contains {value}: {where}, frame {frame}, feature {feature}. Only "
            "trailing frames that are NaN throughout are padding; impute others, "
            f"{'song.filled(value)' if masked else 'np.nan_to_num(song)'}."
        )
    return song


def _to_array(V: ArrayLike, where: str) -> np.ndarray:
    """Return an array or tensor as NumPy's, a masked one as it is."""
    try:
        return to_numpy(V) if hasattr(V, "detach") else np.asanyarray(V)
    # torch and HDF5 raise a RuntimeError where there are no values to read.
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where} is no array of numbers (n_frames, n_features): {error}") from error


def frame_moments(songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over all frames of all songs, in float64.

    The deviation of a constant feature is 1, so that it can be divided by.
    """
    n_frames = sum(map(len, songs))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(song.sum(axis=0, dtype=np.float64) for song in songs) / n_frames
        scale = np.sqrt(sum(np.square(song - mean).sum(axis=0) for song in songs) / n_frames)
    if not (scale < _MAX_SCALE).all():
        raise ValueError(
            f"Feature {int(np.argmin(scale < _MAX_SCALE))} of `X` spreads over more than "
            f"{_MAX_SCALE:.0e}, and its square leaves the range of float64; measure it in another "
            "unit."
        )
    # A constant feature may get a deviation above 0 from the rounding of its mean, and a small
    # deviation of a large mean is lost in it, as are squares of very small numbers.
    rounding = 10 * np.finfo(np.float64).eps * np.abs(mean)
    for i in np.flatnonzero(scale <= rounding):
        first = float(songs[0][0, i])
        rest = np.concatenate([song[:, i].astype(np.float64) - first for song in songs])
        unit = np.abs(rest).max()
        if unit > 0:
            mean[i], scale[i] = first + rest.mean(), unit * np.std(rest / unit)
        else:
            mean[i], scale[i] = first, 1.0
    return mean, scale


class Selection(NamedTuple):
    """The chunks chosen from one song, in time order; arrays with one entry per chosen chunk."""

    chunks: np.ndarray  # number of the chunk, from 0
    starts: np.ndarray  # first frame
    stops: np.ndarray  # frame after the last
    scores: np.ndarray  # higher is better
    seconds: np.ndarray  # (n_chosen, 2), start and end


def max_pooled_steps(song: np.ndarray, frames_per_step: int) -> np.ndarray:
    """Return the steps of a song (S, d), maxima over ``frames_per_step`` frames or the rest."""
    n_whole = len(song) - len(song) % frames_per_step
    steps = song[:n_whole].reshape(-1, frames_per_step, song.shape[1]).max(axis=1)
    return steps if n_whole == len(song) else np.vstack([steps, song[n_whole:].max(axis=0)])


def standardised_steps(
    songs: list[np.ndarray], frames_per_step: int, mean: np.ndarray, scale: np.ndarray
) -> list[np.ndarray]:
    """Return the steps of each song, (S_i, d) in float32, as the network takes them."""
    deviations = ((max_pooled_steps(song, frames_per_step) - mean) / scale for song in songs)
    limits = -_MAX_DEVIATION, _MAX_DEVIATION
    return [np.clip(steps, *limits).astype(np.float32) for steps in deviations]


def n_chunks_of(n_frames: int, frame_duration: float, chunk_duration: float) -> int:
    """Return the number of chunks of about ``chunk_duration`` seconds in a song, at least 1."""
    # More chunks than frames are as many; the quotient may be infinite.
    return max(1, round(min(n_frames, n_frames * frame_duration / chunk_duration)))


def chunk_borders(n_steps: int, n_chunks: int) -> np.ndarray:
    """Return the borders of the chunks in steps: chunk j is ``borders[j]:borders[j + 1]``.

    Border j of c chunks is j S / c, rounded half up, so that lengths differ by one step at most. A
    song with fewer steps than chunks gives one chunk a step.
    """
    c = min(n_chunks, n_steps)
    # In integers the rounding is exact.
    return (2 * n_steps * np.arange(c + 1) + c) // (2 * c)


def untrained_scores(
    strategy: str, song: np.ndarray, borders: np.ndarray, seed: int, root_mean_square: np.ndarray
) -> np.ndarray:
    """Return the scores of chunks by a strategy without training; ``borders`` are in frames.

    ``"middle"``: minus the distance from the middle of the song, in chunks. ``"random"``: random
    numbers that depend on the seed and the content of the song alone. ``"energy"``: the mean square
    of the frames, features in units of their ``root_mean_square``.
    """
    n_chunks = len(borders) - 1
    if strategy == "middle":
        return -np.abs(np.arange(n_chunks) - (n_chunks - 1) / 2)
    if strategy == "random":
        # Each song has its own generator, because the other songs of a call must not matter.
        with np.errstate(over="ignore"):
            content = zlib.crc32(song.astype(np.float32).tobytes())
        return np.random.default_rng([seed, content]).random(n_chunks)
    relative = song / root_mean_square
    # Squares of what is far beyond the songs of fit would be infinite, and no chunk the best.
    relative /= max(1.0, np.abs(relative).max() / _MAX_SCALE)
    energy = np.square(relative).mean(axis=1)
    return np.add.reduceat(energy, borders[:-1]) / np.diff(borders)


def chunk_scores(step_scores: np.ndarray, borders: np.ndarray, reduction: str) -> np.ndarray:
    """Return the maximum or the mean of the step scores of each chunk; ``borders`` in steps."""
    if reduction == "max":
        return np.maximum.reduceat(step_scores, borders[:-1])
    return np.add.reduceat(step_scores, borders[:-1], dtype=np.float64) / np.diff(borders)


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
    """Return the representation of a song by its chosen chunks.

    ``"frames"``: the chosen frames (T', d), in the song's dtype. ``"mask"``: a mask (T,), True for
    them. ``"mean"``: their mean (d,), in float64. ``"concat"``: the means of ``k`` chunks one after
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
