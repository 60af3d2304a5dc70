"""Recordings of sound as sequences of log-mel frames: spoken digits and pieces of music."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike

from ._files import Array, DataFile

_EMOTIFY = DataFile(
    path="emotify/emotify.npz",
    arrays={
        "logmel_1s": Array((400, "T", 128), meaning="mean and deviation of log-mel bands a second"),
        "length_s": Array((400,), "integer", "seconds of each track"),
        "emotion_rate": Array((400, 9), meaning="share of listeners who named each emotion"),
        "emotion_names": Array((9,), "text"),
        "n_raters": Array((400,), "integer"),
        "genre": Array((400,), "text"),
        "track_id": Array((400,), "integer"),
    },
    source=(
        "Emotify (Aljanaki, Wiering & Veltkamp 2016), recordings and annotations as kept in "
        "https://github.com/sergi-andreu/ProjectMusicInformatics; the rights in the recordings "
        "were not established."
    ),
)
_SPOKEN_DIGITS = DataFile(
    path="fsdd/fsdd_logmel40.npz",
    arrays={
        "frames": Array(("n_frames", 40), meaning="log-mel bands every 10 ms, recordings in a row"),
        "offsets": Array((3001,), "integer", "first frame of each recording; then the end"),
        "digit": Array((3000,), "integer", "0 to 9"),
        "speaker": Array((3000,), "text", "first name"),
        "take": Array((3000,), "integer", "0 to 49"),
        "is_test": Array((3000,), "flag", "takes 0 to 4, the official test set"),
    },
    source=(
        "Free Spoken Digit Dataset, the .wav files of "
        "https://github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0)."
    ),
)


def load_emotify(*, data_home: PathLike | None = None) -> Bunch:
    """Load Emotify, pieces of music of a minute with the emotions of their listeners.

    Four hundred tracks, a hundred of each of four genres. Players of a game named up to three of
    nine emotions of the Geneva Emotional Music Scales for a track.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``emotify/emotify.npz``; see `load_mnist` for its default and errors.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x : list of 400 ndarrays of shape (T_i, 128), float32
            A frame a second: mean and standard deviation of 64 log-mel bands.
        rates : ndarray of shape (400, 9), float64
            Share of the listeners who named each emotion.
        emotion_names : ndarray of shape (9,), str
            The emotions.
        n_raters : ndarray of shape (400,), int64
            Number of listeners.
        genre : ndarray of shape (400,), str
            "classical", "electronic", "pop" or "rock".
        track_id : ndarray of shape (400,), int64
            Number of the track within the collection.

    References
    ----------
    A. Aljanaki, F. Wiering and R. C. Veltkamp, *Studying emotion induced by music through a
    crowdsourcing game*, Information Processing & Management 52(1), 2016.

    Examples
    --------
    >>> from skcca.datasets import load_emotify
    >>> music = load_emotify(data_home="~/data")  # doctest: +SKIP
    >>> len(music.x), music.x[0].shape, music.rates.shape  # doctest: +SKIP
    (400, (60, 128), (400, 9))
    """
    stored = _EMOTIFY.read(data_home)
    lengths = np.minimum(stored["length_s"], stored["logmel_1s"].shape[1])
    tracks = stored["logmel_1s"].astype(np.float32)
    return Bunch(
        x=[track[:length] for track, length in zip(tracks, lengths, strict=True)],
        rates=stored["emotion_rate"].astype(np.float64),
        emotion_names=stored["emotion_names"],
        n_raters=stored["n_raters"].astype(np.int64),
        genre=stored["genre"],
        track_id=stored["track_id"].astype(np.int64),
    )


def load_spoken_digits(*, data_home: PathLike | None = None) -> Bunch:
    """Load the Free Spoken Digit Dataset as sequences of log-mel frames.

    3,000 recordings of ten digits by six speakers at 8 kHz, each as long as it was spoken. Takes 0
    to 4 are the official test set.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``fsdd/fsdd_logmel40.npz``; see `load_mnist` for its default and errors.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields (n is 2,700 in ``_train`` and 300 in ``_test``)

        x_train, x_test : list of n ndarrays of shape (T_i, 40), float32
            One recording each: 40 log-mel bands every 10 ms.
        labels_train, labels_test : ndarray of shape (n,), int64
            Digits 0 to 9.
        speakers_train, speakers_test : ndarray of shape (n,), str
            Who speaks.
        takes_train, takes_test : ndarray of shape (n,), int64
            Number of the take, from 0.

    References
    ----------
    Jackson et al., *Free Spoken Digit Dataset*, https://doi.org/10.5281/zenodo.1342401.

    Examples
    --------
    >>> from skcca.datasets import load_spoken_digits
    >>> spoken = load_spoken_digits(data_home="~/data")  # doctest: +SKIP
    >>> len(spoken.x_train), spoken.x_train[0].shape  # doctest: +SKIP
    (2700, (44, 40))
    """
    stored = _SPOKEN_DIGITS.read(data_home)
    offsets = stored["offsets"]
    n_frames = len(stored["frames"])
    if offsets[0] != 0 or offsets[-1] != n_frames or np.any(np.diff(offsets) < 1):
        raise ValueError(
            f"{_SPOKEN_DIGITS.path}: `offsets` must rise from 0 to the {n_frames} rows of "
            f"`frames`; got {offsets[0]} to {offsets[-1]}, smallest step {np.diff(offsets).min()}."
        )
    recordings = np.split(stored["frames"].astype(np.float32), offsets[1:-1])
    data = Bunch()
    for part, chosen in (("train", ~stored["is_test"]), ("test", stored["is_test"])):
        data[f"x_{part}"] = [recordings[i] for i in np.flatnonzero(chosen)]
        data[f"labels_{part}"] = stored["digit"][chosen].astype(np.int64)
        data[f"speakers_{part}"] = stored["speaker"][chosen]
        data[f"takes_{part}"] = stored["take"][chosen].astype(np.int64)
    return data
