"""Ragged sequences of frames: one gate for every container.

A song is an array (frames, features). Songs stay a list of arrays, views of the caller's memory
where the dtype allows it: nothing is padded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_WIDEST = 1e150


def check_sequences(
    X: Any, *, n_features: int | None = None, caller: str, name: str = "X"
) -> list[np.ndarray]:
    """Return the songs as finite 2-D arrays, all float32 or all float64.

    Parameters
    ----------
    X : array-like of shape (n, T, d), or list, tuple or object array of n array-likes (T_i, d)
        Songs. Trailing frames that are NaN throughout (or masked, in a masked array) are padding
        and are cut off.
    n_features : int, default=None
        Width the songs must have.
    caller : str
        Name of the estimator, for the messages.
    name : str, default="X"
        Name of the argument, for the messages.

    Returns
    -------
    songs : list of ndarray of shape (T_i, d)
        float32 if every song is float32, otherwise float64.

    Raises
    ------
    TypeError
        If ``X`` is no container of sequences, or a song none of numbers.
    ValueError
        If ``X`` has no song or is not three-dimensional, or if a song is empty, is not
        two-dimensional, has another width or holds NaN or infinity. The message names the song by
        its position.
    """
    (songs,) = sequence_blocks(X, None, n_features=n_features, caller=caller, name=name)
    return songs


def sequence_blocks(
    X: Any, size: int | None, *, n_features: int | None = None, caller: str, name: str = "X"
) -> Iterator[list[np.ndarray]]:
    """Yield what `check_sequences` returns, so many songs at a time; None for all at once."""
    entries = _entries(X, caller, name)
    if len(entries) == 0:
        raise ValueError(f"{caller}: `{name}` has 0 sequence(s) while a minimum of 1 is required.")
    single = all(map(_is_single, entries))
    width = None
    for start in range(0, len(entries), size or len(entries)):
        block = entries[start : start + (size or len(entries))]
        songs = [_check_song(song, start + i, caller, name) for i, song in enumerate(block)]
        width = width or songs[0].shape[1]
        for i, song in enumerate(songs, start):
            if song.shape[1] != width:
                raise ValueError(
                    f"{caller}: sequence {i} of `{name}` has {song.shape[1]} features but sequence "
                    f"0 has {width}; all must have the same."
                )
        if n_features is not None and width != n_features:
            raise ValueError(
                f"{name} has {width} features, but {caller} is expecting {n_features} features as "
                "input."
            )
        yield songs if single else [song.astype(np.float64, copy=False) for song in songs]


def _is_single(song: Any) -> bool:
    dtype = getattr(song, "dtype", None)
    if not isinstance(dtype, np.dtype):  # of a list, or of another library
        song = song.detach() if hasattr(song, "detach") else song
        dtype = None if isinstance(song, (list, tuple)) else np.asarray(song).dtype
    return dtype is not None and dtype.newbyteorder("=") == np.float32


def _entries(X: Any, caller: str, name: str) -> Any:
    """Return the songs of a container, as they are."""
    if isinstance(X, (list, tuple)):
        return X
    expected = (
        "expected a list of n_songs arrays (n_frames, n_features), or an array (n_songs, n_frames, "
        "n_features) with NaN after the end of shorter songs"
    )
    if not hasattr(X, "__array__"):
        sparse = "sparse matrix, and frames must be dense" if hasattr(X, "tocsr") else ""
        raise TypeError(f"{caller}: `{name}` is a {sparse or type(X).__name__}; {expected}.")
    X = X.detach() if hasattr(X, "detach") else X
    songs = np.asanyarray(X)  # a masked array stays one: its mask is padding
    if songs.ndim == 3 or (songs.ndim == 1 and songs.dtype == object):
        return songs
    one = {1: "frame is [[X]]", 2: "song is [X]"}.get(songs.ndim)
    cure = f" Reshape your data: one {one}." if one else ""
    raise ValueError(f"{caller}: `{name}` has shape {songs.shape}; {expected}.{cure}")


def _check_song(song: Any, position: int, caller: str, name: str) -> np.ndarray:
    """Return one song as a finite float32 or float64 array without its padding."""
    where = f"{caller}: sequence {position} of `{name}`"
    if hasattr(song, "tocsr"):
        raise TypeError(f"{where} is a sparse matrix; frames must be dense: song.toarray().")
    if isinstance(song, np.ma.MaskedArray):
        song = np.ma.filled(song.astype(np.result_type(song, np.float32)), np.nan)
    try:
        song = np.asarray(song.detach() if hasattr(song, "detach") else song)
        if song.dtype.kind not in "biufO":
            hint = " Complex data not supported" if song.dtype.kind == "c" else ""
            raise ValueError(f"its dtype is {song.dtype}.{hint}")
        single = song.dtype.newbyteorder("=") == np.float32
        song = song.astype(np.float32 if single else np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where} is no array of numbers (n_frames, n_features): {error}.") from error
    if song.ndim != 2:
        raise ValueError(f"{where} has shape {song.shape}; expected (n_frames, n_features).")
    if song.shape[1] == 0:
        raise ValueError(
            f"{where} has 0 feature(s) (shape={song.shape}) while a minimum of 1 is required."
        )
    finite = np.isfinite(song)
    if not finite.all():
        song = song[: _length_without_padding(song)]
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
            "np.nan_to_num(song)."
        )
    return song


def _length_without_padding(song: np.ndarray) -> int:
    real = np.flatnonzero(~np.isnan(song).all(axis=1))
    return int(real[-1]) + 1 if len(real) else 0


def frame_moments(songs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature over all frames of all songs, in float64.

    The deviation of a constant feature is given as 1, so that dividing by it is harmless.
    """
    n_frames = sum(map(len, songs))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(song.sum(axis=0, dtype=np.float64) for song in songs) / n_frames
        scale = np.sqrt(sum(np.square(song - mean).sum(axis=0) for song in songs) / n_frames)
    if not (scale < _WIDEST).all():
        raise ValueError(
            f"Feature {int(np.argmin(scale < _WIDEST))} of `X` spreads over more than "
            f"{_WIDEST:.0e}, and its square leaves the range of float64; measure it in another "
            "unit."
        )
    rounding = 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(scale <= rounding, 1.0, scale)
