"""Emotify: four hundred pieces of music and the emotions that listeners named."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch

from ._files import Array, DataFile

_FILE = DataFile(
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


def load_emotify(*, data_home: str | os.PathLike[str] | None = None) -> Bunch:
    """Load Emotify, pieces of a minute with the emotions that listeners felt.

    Four hundred tracks, a hundred of each of four genres. Players of a game named up to three of
    nine emotions of the Geneva Emotional Music Scales for a track.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``emotify/emotify.npz``; by default the one that the variable
        ``SKCCA_DATA`` names, else ``~/skcca_data``.

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

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says what it must hold and where it can be had.
    ValueError
        If the file does not hold what it must.

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
    stored = _FILE.read(data_home)
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
