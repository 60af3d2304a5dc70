"""Simulated music videos, for retrieval by emotion without any download."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.signal import lfilter
from sklearn.utils import Bunch

from skcca._core.compat import rng_from
from skcca._core.types import RandomStateLike

from ._youtube8m_records import dequantize_features, quantize_features

EMOTIONS = tuple("angry tender bitter cheerful fun bright happy anxious calm warm".split())
N_AUDIO, N_VISUAL = 128, 1024

# Traits of a video that sound and picture share, other than the emotion; and traits of each view.
N_SHARED, N_STYLE = 12, 10
# Directions of the sound in which emotions differ, and kinds of filler (verse, solo, speech, ...).
# Fillers differ in the same directions, so that the mean of a song does not show its emotion.
N_MOOD, N_FILLERS = 8, 12
# Looks of an emotion in pictures, and scenes of a video, of which half show the emotion.
N_LOOKS, N_SCENES = 3, 6
# Frequency of each emotion relative to the next more common one, for a chance level of about .19.
COMMON_TO_RARE = 0.7
# Number of songs of an emotion, in a collection that is large enough.
MIN_SONGS = 6


def make_music_videos(
    n_samples: int = 1200,
    *,
    n_emotions: int = 10,
    lengths: tuple[int, int] = (213, 219),
    class_weights: Sequence[float] | None = None,
    annotated_fraction: float = 0.3,
    quantized: bool = False,
    random_state: RandomStateLike = None,
) -> Bunch:
    """Simulate music videos with an emotion in parts of each song.

    Audio is a sequence of 128 features a second, and the picture one vector of 1,024 features a
    video, both on the grid of YouTube-8M's 8-bit features. An emotion is heard in one to three
    stretches, a quarter to two fifths of the song. The rest is filler of a few kinds, which occur
    with every emotion and vary in the same directions of the sound. The mean over a song therefore
    says little about its emotion, and the emotional stretches much. Both views also share stronger
    traits that are unrelated to emotion, in which pairs of rows correlate first.

    Parameters
    ----------
    n_samples : int, default=1200
        Number of videos; 1,200 take 140 MB.
    n_emotions : int, default=10
        Number of emotions; from the eleventh on they are called "emotion 11" and so on.
    lengths : tuple of two ints, default=(213, 219)
        Shortest and longest song, in seconds.
    class_weights : sequence of n_emotions floats, default=None
        Relative frequency of each emotion. By default each is .7 times as frequent as the next
        more common one, in random order: with ten, a random ranking has a mean average precision
        of about .19.
    annotated_fraction : float, default=0.3
        Share of songs of each emotion, at least three songs, that are annotated as training data
        of an emotion model.
    quantized : bool, default=False
        Whether to return the bytes that YouTube-8M stores, and not their values in float32.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the simulation.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        audio : list of n_samples ndarrays of shape (T_i, 128), float32 or uint8
            Sound, one row a second.
        visual : ndarray of shape (n_samples, 1024), float32 or uint8
            Picture: the maximum over scenes.
        emotion : ndarray of shape (n_samples,), int64
            True emotion of each video.
        emotion_names : ndarray of shape (n_emotions,), str
            Names of the emotions.
        annotated : ndarray of shape (n_samples,), bool
            Which songs are annotated.
        stretches : list of n_samples ndarrays of shape (T_i,), bool
            The seconds in which the emotion is heard.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Second t of song i, with emotion c, is ``A z_i + B u_i + M m_it + e_it``. Traits z are shared
    with the picture, traits u belong to the sound alone. Mood m is that of emotion c within a
    stretch, where the sound is also more intense, and that of a filler outside. Noise e is
    autoregressive. A scene of the picture is ``C z_i + D v_i + l + e``, where l is one of three
    looks of emotion c in half of the scenes and zero in the others.

    Examples
    --------
    >>> from skcca.datasets import make_music_videos
    >>> videos = make_music_videos(40, n_emotions=4, lengths=(20, 30), random_state=0)
    >>> len(videos.audio), videos.visual.shape, videos.emotion_names.tolist()
    (40, (40, 1024), ['angry', 'tender', 'bitter', 'cheerful'])
    """
    _check_parameters(n_samples, n_emotions, lengths, annotated_fraction)
    rng = rng_from(random_state)
    weights = _class_weights(class_weights, n_emotions, rng)
    emotion = _draw_emotions(n_samples, weights, rng)
    annotated = _draw_annotated(emotion, annotated_fraction, rng)
    shared = rng.standard_normal((n_samples, N_SHARED), dtype=np.float32)
    visual = _make_visual(emotion, n_emotions, shared, rng)
    audio, stretches = _make_audio(emotion, n_emotions, shared, lengths, rng)
    if not quantized:
        audio = [dequantize_features(song) for song in audio]
        visual = dequantize_features(visual)
    more = tuple(f"emotion {i + 1}" for i in range(len(EMOTIONS), n_emotions))
    return Bunch(
        audio=audio,
        visual=visual,
        emotion=emotion,
        emotion_names=np.array((EMOTIONS + more)[:n_emotions]),
        annotated=annotated,
        stretches=stretches,
    )


def _draw_emotions(n_samples: int, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the emotion of each video, in expected counts and with songs of every emotion."""
    counts = np.maximum(
        np.rint(weights * n_samples).astype(int), min(MIN_SONGS, n_samples // len(weights))
    )
    # The largest class absorbs the differences by rounding and by the minimum.
    for _ in range(abs(counts.sum() - n_samples)):
        counts[counts.argmax()] += np.sign(n_samples - counts.sum())
    return rng.permutation(np.repeat(np.arange(len(weights)), counts))


def _draw_annotated(emotion: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of annotated songs: the same share of each emotion, at least three."""
    annotated = np.zeros(len(emotion), dtype=bool)
    for songs in (np.flatnonzero(emotion == c) for c in np.unique(emotion)):
        n_annotated = min(max(3, round(fraction * len(songs))), len(songs))
        annotated[rng.permutation(songs)[:n_annotated]] = True
    return annotated


def _make_audio(
    emotion: np.ndarray,
    n_emotions: int,
    shared: np.ndarray,
    lengths: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the quantised songs and the seconds in which their emotion is heard."""
    mood_axes = _directions(N_MOOD, N_AUDIO, rng)
    emotions = 1.2 * _directions(n_emotions, N_MOOD, rng) @ mood_axes
    fillers = 2.0 * _directions(N_FILLERS, N_MOOD, rng) @ mood_axes
    intensity = 1.0 * _directions(1, N_AUDIO, rng)[0]
    from_shared = 0.9 * _directions(N_SHARED, N_AUDIO, rng)
    from_style = 0.9 * _directions(N_STYLE, N_AUDIO, rng)
    style = rng.standard_normal((len(emotion), N_STYLE), dtype=np.float32)
    constant = shared @ from_shared + style @ from_style

    songs, stretches = [], []
    for i, length in enumerate(rng.integers(lengths[0], lengths[1] + 1, len(emotion))):
        emotional = _draw_stretches(length, rng)
        song = fillers[_draw_sections(length, rng)] - intensity / 2
        song[emotional] = emotions[emotion[i]] + intensity / 2
        noise = rng.standard_normal((length, N_AUDIO), dtype=np.float32)
        # Sounds last longer than a second: neighbours correlate by .6, with standard deviation .3.
        song += lfilter([0.3 * 0.8], [1.0, -0.6], noise, axis=0).astype(np.float32)
        songs.append(quantize_features(song + constant[i]))
        stretches.append(emotional)
    return songs, stretches


def _draw_stretches(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the emotional seconds: one to three stretches, a quarter to two fifths in all."""
    n_stretches = int(rng.integers(1, 4))
    n_emotional = max(n_stretches, round(length * float(rng.uniform(0.25, 0.4))))
    sizes = _split(n_emotional, n_stretches, rng)
    gaps = _split(length - n_emotional, n_stretches + 1, rng)
    emotional = np.zeros(length, dtype=bool)
    start = 0
    # There is a gap more than stretches, which follows the last one.
    for gap, size in zip(gaps, sizes, strict=False):
        emotional[start + gap : start + gap + size] = True
        start += gap + size
    return emotional


def _draw_sections(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return the filler of each second: sections of 12 to 36 seconds, one filler each."""
    sizes = rng.integers(12, 37, length // 12 + 1)
    return np.repeat(rng.integers(0, N_FILLERS, len(sizes)), sizes)[:length]


def _split(total: int, n_parts: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a number of seconds at random into parts that differ little."""
    cuts = np.cumsum(rng.dirichlet(np.full(n_parts, 3.0)))[:-1] * total
    return np.diff(np.rint(np.concatenate(([0], cuts, [total]))).astype(int))


def _make_visual(
    emotion: np.ndarray, n_emotions: int, shared: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the quantised picture vectors: the maximum over scenes."""
    looks = 2.5 * _directions(n_emotions * N_LOOKS, N_VISUAL, rng)
    from_shared = 3.0 * _directions(N_SHARED, N_VISUAL, rng)
    from_style = 3.0 * _directions(N_STYLE, N_VISUAL, rng)
    style = rng.standard_normal((len(emotion), N_STYLE), dtype=np.float32)
    look = looks[emotion * N_LOOKS + rng.integers(0, N_LOOKS, len(emotion))]
    visual = np.full(look.shape, -np.inf, dtype=np.float32)
    for scene in range(N_SCENES):
        noise = rng.standard_normal(look.shape, dtype=np.float32)
        noise *= np.float32(0.35)
        np.maximum(visual, noise + look if scene % 2 else noise, out=visual)
    return quantize_features(visual + shared @ from_shared + style @ from_style - visual.mean())


def _directions(n_vectors: int, n_features: int, rng: np.random.Generator) -> np.ndarray:
    """Return random rows of length about 1."""
    vectors = rng.standard_normal((n_vectors, n_features)) / np.sqrt(n_features)
    return vectors.astype(np.float32)


def _check_parameters(
    n_samples: object, n_emotions: object, lengths: Any, annotated_fraction: object
) -> None:
    """Raise if a parameter is out of range."""
    if not isinstance(n_emotions, Integral) or n_emotions < 2:
        raise ValueError(f"`n_emotions`={n_emotions!r} must be an integer of at least 2.")
    if not isinstance(n_samples, Integral) or n_samples < n_emotions:
        raise ValueError(
            f"`n_samples`={n_samples!r} must be an integer of at least `n_emotions`={n_emotions}, "
            "so that every emotion has a video."
        )
    if (
        np.shape(lengths) != (2,)
        or not all(isinstance(length, Integral) for length in lengths)
        or not 9 <= lengths[0] <= lengths[1]
    ):
        raise ValueError(
            f"`lengths`={lengths!r} must be two integers (shortest, longest), in seconds, with "
            "9 <= shortest <= longest."
        )
    if not isinstance(annotated_fraction, Real) or not 0 <= float(annotated_fraction) <= 1:
        raise ValueError(f"`annotated_fraction`={annotated_fraction!r} must lie in [0, 1].")


def _class_weights(
    class_weights: Sequence[float] | None, n_emotions: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the share of each emotion."""
    if class_weights is None:
        weights = rng.permutation(COMMON_TO_RARE ** np.arange(n_emotions))
    else:
        weights = np.asarray(class_weights, dtype=np.float64)
        if weights.shape != (n_emotions,) or not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(
                f"`class_weights`={class_weights!r} must be {n_emotions} positive numbers, one for "
                "each emotion."
            )
    return weights / weights.sum()
