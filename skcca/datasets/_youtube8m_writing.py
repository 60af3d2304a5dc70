"""Writing records as those of YouTube-8M, for trials without its 1.5 TB."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ._examples import WIDTHS, encode
from ._tfrecord import write_records

_NAME = "write_youtube8m"


def write_youtube8m(
    path: str | os.PathLike[str],
    audio: Sequence[Any],
    rgb: Sequence[Any],
    *,
    labels: Sequence[Iterable[int]],
    ids: Sequence[str] | None = None,
) -> None:
    """Write videos to a TFRecord file as YouTube-8M's files hold them.

    Parameters
    ----------
    path : path
        The file; one that is there is replaced.
    audio : sequence of n arrays of shape (T_i, 128), uint8, or (128,), float
        Sound: the frames of each video, which make frame-level records, or their means.
    rgb : sequence of n arrays of shape (T_i, 1024), uint8, or (1024,), float
        Picture.
    labels : sequence of n sequences of int
        Labels of each video.
    ids : sequence of n str, default=None
        Identifiers; by default video0, video1, ...

    Returns
    -------
    None
        The file is there.

    Raises
    ------
    ValueError
        If numbers of videos, shapes or dtypes do not agree.

    See Also
    --------
    load_youtube8m : Reads it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcca.datasets import load_youtube8m, write_youtube8m
    >>> means = np.ones((2, 128)), np.zeros((2, 1024))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "means.tfrecord"
    ...     write_youtube8m(path, *means, labels=[[14], [3, 8]], ids=["nXSc", "ABCD"])
    ...     data = load_youtube8m(path, level="video", labels=8)
    >>> data.ids.tolist(), data.labels[0].tolist(), data.audio.shape
    (['ABCD'], [3, 8], (1, 128))
    """
    ids = [f"video{i}" for i in range(len(audio))] if ids is None else ids
    sizes = {"audio": len(audio), "rgb": len(rgb), "labels": len(labels), "ids": len(ids)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{_NAME}: as many entries are needed of each; got {sizes}.")
    videos = zip(audio, rgb, labels, ids, strict=True)
    write_records(path, (_record(i, *video) for i, video in enumerate(videos)))


def _record(i: int, audio: Any, rgb: Any, labels: Iterable[int], video_id: str) -> bytes:
    views = {
        name: np.asarray(view.detach() if hasattr(view, "detach") else view)
        for name, view in (("audio", audio), ("rgb", rgb))
    }
    for name, view in views.items():
        fits = view.dtype == np.uint8 if view.ndim == 2 else view.dtype.kind == "f"
        if view.ndim not in (1, 2) or view.shape[-1] != WIDTHS[name] or not fits:
            raise ValueError(
                f"{_NAME}: `{name}[{i}]` has shape {view.shape} and dtype {view.dtype}; expected "
                f"(T, {WIDTHS[name]}) of uint8 or ({WIDTHS[name]},) of float."
            )
    if views["audio"].shape[:-1] != views["rgb"].shape[:-1]:
        raise ValueError(
            f"{_NAME}: video {i} has shape {views['audio'].shape} in `audio` and "
            f"{views['rgb'].shape} in `rgb`; as many frames are needed in both."
        )
    if views["audio"].ndim == 2:
        return encode(video_id, labels, frames=views)
    return encode(video_id, labels, means=views)
