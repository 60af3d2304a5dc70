"""Music videos for the protocol: simulated, or the records of YouTube-8M."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skcca.datasets import build_mv10k, make_music_videos

TOLERANCES = (3, 6, 9, 12)  # seconds around 216


class Videos(NamedTuple):
    """Songs, their pictures, and their known emotions."""

    audio: list[np.ndarray]  # (T_i, 128), a row a second
    visual: np.ndarray  # (n, n_features)
    emotion: np.ndarray | None  # of every song, if it is known
    seeds: np.ndarray  # (n,) emotion of the annotated songs, else None
    n_by_tolerance: dict[int, int]  # videos of 216 seconds, give or take


def simulated(n_videos: int, seed: int) -> Videos:
    """Return music videos of `make_music_videos`, of which about a third is annotated."""
    data = make_music_videos(n_videos, random_state=seed)
    emotion = data.emotion_names[data.emotion]
    seeds = np.where(data.annotated, emotion, None)
    return Videos(data.audio, data.visual, emotion, seeds, _counts(data.audio))


def recorded(records: str, annotations: Path, vocabulary: Path, cache: Path) -> Videos:
    """Return the music videos of records, each picture the maximum of its frames.

    Parameters
    ----------
    records : str
        Pattern of frame-level files of YouTube-8M.
    annotations : Path
        A table with the columns ``id`` and ``emotion``, three songs of each emotion at least.
    vocabulary : Path
        The ``vocabulary.csv`` of the records.
    cache : Path
        Folder for the memory maps.
    """
    kept = {t: build_mv10k(records, cache / str(t), vocabulary=vocabulary, tolerance=t, verbose=1)
            for t in TOLERANCES}  # fmt: skip
    data = kept[TOLERANCES[0]]
    with annotations.open(newline="") as file:
        known = {row["id"]: row["emotion"] for row in csv.DictReader(file)}
    seeds = np.array([known.get(str(i)) for i in data.ids], dtype=object)
    visual = np.stack([frames.max(axis=0) for frames in data.rgb])
    return Videos(data.audio, visual, None, seeds, {t: len(v.ids) for t, v in kept.items()})


def _counts(audio: list[np.ndarray]) -> dict[int, int]:
    away = np.array([abs(len(song) - 216) for song in audio])
    return {t: int((away <= t).sum()) for t in TOLERANCES}
