"""YouTube-8M: the features of videos, read from TFRecord files one after another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from ._youtube8m_reading import Reading


def load_youtube8m(
    path: Any,
    *,
    level: str = "frame",
    labels: Any = None,
    only_labels: bool = False,
    vocabulary: str | os.PathLike[str] | None = None,
    duration: tuple[int, int] | None = None,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Load videos of YouTube-8M from TFRecord files into memory.

    A frame-level record holds 128 features of sound and 1,024 of picture for each second; a
    video-level one holds their means. Every checksum is verified, and TensorFlow is not needed:
    ``pip install skcca[youtube8m]`` installs what is.

    Parameters
    ----------
    path : path or list of paths
        Files, or patterns such as ``"frame/train*.tfrecord"``, whose files are read in the order
        of their names. They may be compressed by gzip.
    level : {"frame", "video"}, default="frame"
        What the records hold.
    labels : int, str or list of these, default=None
        Keep the videos that have one of these labels: numbers, or names of `vocabulary` in upper or
        lower case. None keeps every video.
    only_labels : bool, default=False
        Keep a video only if it has no label besides `labels`.
    vocabulary : path, default=None
        The ``vocabulary.csv`` of the data set, with the columns Index and Name, or its older
        ``label_names.csv``.
    duration : tuple of two ints, default=None
        Keep videos of so many seconds, from the first number to the second inclusive. A frame is a
        second, and frames of the first six minutes are all that there are.
    max_videos : int, default=None
        Stop after so many videos.
    dtype : {"float32", "float16", "uint8"}, default="float32"
        Frames are stored as bytes: "uint8" leaves them so, a quarter of the size of "float32",
        where they are numbers in [-2, 2], see `dequantize_features`. Means are numbers already.
    on_error : {"raise", "skip"}, default="raise"
        What to do about a record that is damaged, without frames, or there twice: raise an error
        that names its file and byte, or leave it out and warn with the count at the end. After a
        damaged length the rest of a file cannot be read and counts once.
    n_jobs : int, default=None
        Number of threads that decode; -1 uses all cores. The result is the same.
    verbose : int, default=0
        1 shows a progress bar over the files.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        audio : list of n ndarrays of shape (T_i, 128), or ndarray of shape (n, 128)
            Sound, one row a second; for ``level="video"`` one row a video.
        rgb : list of n ndarrays of shape (T_i, 1024), or ndarray of shape (n, 1024)
            Picture.
        labels : list of n ndarrays of shape (n_labels_i,), int64
            Labels of each video, in the order of its record; none in the official test part.
        ids : ndarray of shape (n,), str
            Identifiers.
        label_names : dict
            Name of each label, empty without `vocabulary`.
        n_read : int
            Number of videos in the files, as far as they were read.
        n_skipped : int
            Number of records that were left out for an error.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a path leads to no file.
    ValueError
        If a record is damaged, of the other level, or there twice; if no video is left; or if a
        parameter is out of range.
    ImportError
        If protobuf or google-crc32c is not installed.

    Warns
    -----
    UserWarning
        If records were left out.

    See Also
    --------
    iter_youtube8m : The same videos one by one, for files that are larger than memory.
    build_mv10k : The music videos of one length, on a disk.
    write_youtube8m : Write such a file.

    References
    ----------
    Abu-El-Haija et al., *YouTube-8M: A Large-Scale Video Classification Benchmark*, 2016,
    arXiv:1609.08675.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcca.datasets import load_youtube8m, make_music_videos, write_youtube8m
    >>> videos = make_music_videos(3, n_emotions=2, lengths=(9, 11), quantized=True, random_state=0)
    >>> pictures = [row.repeat(len(song)).reshape(1024, -1).T  # a still picture
    ...             for song, row in zip(videos.audio, videos.visual)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "train00.tfrecord"
    ...     write_youtube8m(path, videos.audio, pictures, labels=[[14], [14, 3], [14]])
    ...     data = load_youtube8m(path, labels=14, only_labels=True)
    >>> len(data.audio), data.audio[0].shape, data.rgb[0].shape, data.ids.tolist()
    (2, (10, 128), (10, 1024), ['video0', 'video2'])
    """
    reading = Reading("load_youtube8m", **locals())
    videos = list(reading.videos())
    reading.require(len(videos))
    audio: Any = [video.audio for video in videos]
    rgb: Any = [video.rgb for video in videos]
    return Bunch(
        audio=np.stack(audio) if level == "video" else audio,
        rgb=np.stack(rgb) if level == "video" else rgb,
        labels=[video.labels for video in videos],
        ids=np.array([video.id for video in videos]),
        label_names=reading.names,
        n_read=reading.n_read,
        n_skipped=reading.n_skipped,
    )


def iter_youtube8m(
    path: Any,
    *,
    level: str = "frame",
    labels: Any = None,
    only_labels: bool = False,
    vocabulary: str | os.PathLike[str] | None = None,
    duration: tuple[int, int] | None = None,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Iterator[Bunch]:
    """Read videos of YouTube-8M one by one.

    What `load_youtube8m` returns in lists comes here a video at a time: memory is needed for the
    records that are being decoded, 50 MB at most for each job, however large the files are.

    Parameters
    ----------
    path : path or list of paths
        Files, or patterns such as ``"frame/train*.tfrecord"``.
    level : {"frame", "video"}, default="frame"
        What the records hold.
    labels : int, str or list of these, default=None
        Keep the videos that have one of these labels.
    only_labels : bool, default=False
        Keep a video only if it has no label besides `labels`.
    vocabulary : path, default=None
        File with the names of the labels.
    duration : tuple of two ints, default=None
        Keep videos of so many seconds.
    max_videos : int, default=None
        Stop after so many videos.
    dtype : {"float32", "float16", "uint8"}, default="float32"
        What frames are turned into.
    on_error : {"raise", "skip"}, default="raise"
        What to do about a record that cannot be used.
    n_jobs : int, default=None
        Number of threads that decode.
    verbose : int, default=0
        1 shows a progress bar over the files.

    Returns
    -------
    videos : iterator of :class:`~sklearn.utils.Bunch`
        One a video, with the fields

        audio : ndarray of shape (T, 128), or (128,) for ``level="video"``
            Sound.
        rgb : ndarray of shape (T, 1024), or (1024,)
            Picture.
        labels : ndarray of shape (n_labels,), int64
            Labels.
        id : str
            Identifier.

    See Also
    --------
    load_youtube8m : The same in lists; says more on the parameters and on what is raised.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcca.datasets import iter_youtube8m, write_youtube8m
    >>> audio, rgb = (np.zeros((20, 5, width), dtype=np.uint8) for width in (128, 1024))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "train00.tfrecord"
    ...     write_youtube8m(path, audio, rgb, labels=[[14]] * 20)
    ...     sum(len(video.audio) for video in iter_youtube8m(path))
    100
    """
    reading = Reading("iter_youtube8m", **locals())
    return (Bunch(**video._asdict()) for video in reading.videos())
