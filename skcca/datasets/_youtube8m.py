"""YouTube-8M: features of videos in TFRecord files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import index
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike, check_writable
from skcca._core.types import ArrayLike

from ._tfrecord import write_records
from ._youtube8m_reader import Labels, Paths, VideoReader
from ._youtube8m_records import WIDTHS, encode

_WRITER = "write_youtube8m"


def load_youtube8m(
    path: Paths,
    *,
    level: str = "frame",
    labels: Labels = None,
    only_labels: bool = False,
    vocabulary: PathLike | None = None,
    duration: tuple[int, int] | None = None,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Load videos of YouTube-8M from TFRecord files into memory.

    A frame-level record holds 128 features of sound and 1,024 of picture for each second; a
    video-level one holds their means. Every checksum is verified. TensorFlow is not needed;
    ``pip install skcca[youtube8m]`` installs the packages that are.

    Parameters
    ----------
    path : path, binary file or list of these
        Files, or patterns such as ``"frame/train*.tfrecord"``, whose files are read in the order
        of their names. A file that several of them name is read once. Files may be compressed by
        gzip or zlib.
    level : {"frame", "video"}, default="frame"
        Content of the records: frames or their means.
    labels : int, str or list of these, default=None
        Keep the videos that have one of these labels: numbers, or names of `vocabulary` in upper or
        lower case. None keeps every video.
    only_labels : bool, default=False
        Keep a video only if it has no label besides `labels`.
    vocabulary : path, default=None
        The ``vocabulary.csv`` of the data set, with the columns Index and Name, or its older
        ``label_names.csv``.
    duration : tuple of two ints, default=None
        Shortest and longest video in seconds, both inclusive. A frame is a second, and the data set
        holds only the first six minutes of a video.
    max_videos : int, default=None
        Largest number of videos.
    dtype : {"float32", "float16", "uint8"}, default="float32"
        Type of the features. Frames are stored as bytes, which "uint8" keeps at a quarter of the
        size of "float32"; floats lie in [-2, 2], see `dequantize_features`. Means are floats.
    on_error : {"raise", "skip"}, default="raise"
        Treatment of a record that is damaged, without frames, or repeated: raise an error that
        names its file and byte, or leave it out and warn with the count at the end. After a
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
        n_read, n_skipped : int
            Number of videos in the files, as far as they were read, and of records that were left
            out for an error.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a path leads to no file.
    ValueError
        If a record is damaged, of the other level, or repeated; if no video is left; or if a
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
    reader = VideoReader("load_youtube8m", **locals())
    videos = list(reader.videos())
    reader.raise_if_empty(len(videos))
    audio = [video.audio for video in videos]
    rgb = [video.rgb for video in videos]
    return Bunch(
        audio=np.stack(audio) if level == "video" else audio,
        rgb=np.stack(rgb) if level == "video" else rgb,
        labels=[video.labels for video in videos],
        ids=np.array([video.id for video in videos]),
        label_names=reader.names,
        n_read=reader.n_read,
        n_skipped=reader.n_skipped,
    )


def iter_youtube8m(
    path: Paths,
    *,
    level: str = "frame",
    labels: Labels = None,
    only_labels: bool = False,
    vocabulary: PathLike | None = None,
    duration: tuple[int, int] | None = None,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Iterator[Bunch]:
    """Read videos of YouTube-8M one by one.

    Memory is needed for the records that are being decoded, 50 MB at most for each job, however
    large the files are.

    Parameters
    ----------
    path : path, binary file or list of these
    level : {"frame", "video"}, default="frame"
    labels : int, str or list of these, default=None
    only_labels : bool, default=False
    vocabulary : path, default=None
    duration : tuple of two ints, default=None
    max_videos : int, default=None
    dtype : {"float32", "float16", "uint8"}, default="float32"
    on_error : {"raise", "skip"}, default="raise"
    n_jobs : int, default=None
    verbose : int, default=0
        See `load_youtube8m`, which also documents errors and warnings.

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
    load_youtube8m : The same videos in lists.

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
    # Parameters are checked now, before the first video is asked for.
    reader = VideoReader("iter_youtube8m", **locals())
    return (Bunch(**video._asdict()) for video in reader.videos())


def write_youtube8m(
    path: PathLike,
    audio: Sequence[ArrayLike],
    rgb: Sequence[ArrayLike],
    *,
    labels: Sequence[Iterable[int]],
    ids: Sequence[str] | None = None,
) -> None:
    """Write videos to a TFRecord file in the format of YouTube-8M.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced when the new one is whole.
    audio : sequence of n arrays of shape (T_i, 128), uint8, or (128,), float
        Sound: the frames of each video, which make frame-level records, or their means.
    rgb : sequence of n arrays of shape (T_i, 1024), uint8, or (1024,), float
        Picture.
    labels : sequence of n sequences of int
        Labels of each video, from 0 on.
    ids : sequence of n str, default=None
        Identifiers, each of one video; by default video0, video1, ...

    Raises
    ------
    ValueError
        If numbers of videos, shapes or dtypes do not agree, or `load_youtube8m` would refuse the
        file: for labels that are no integers, means that are not finite, frames beside means.

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
    check_writable(path, f"{_WRITER}: `path`")
    ids = [f"video{i}" for i in range(len(audio))] if ids is None else ids
    sizes = {"audio": len(audio), "rgb": len(rgb), "labels": len(labels), "ids": len(ids)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{_WRITER}: as many entries are needed of each; got {sizes}.")
    places: dict[str, int] = {}
    video_id: Any
    for i, video_id in enumerate(ids):
        if not isinstance(video_id, str) or (video_id and places.setdefault(video_id, i) != i):
            raise ValueError(
                f"{_WRITER}: `ids[{i}]`={video_id!r:.80} must be a text that no other video has."
            )
    videos = zip(audio, rgb, labels, ids, strict=True)
    write_records(path, _records(videos))


def _records(videos: Iterable[tuple[Any, Any, Any, str]]) -> Iterator[bytes]:
    """Yield the records of videos, which must be of one level."""
    n_dims = None
    for i, (audio, rgb, labels, video_id) in enumerate(videos):
        views = {"audio": _check_view(i, "audio", audio), "rgb": _check_view(i, "rgb", rgb)}
        if views["audio"].shape[:-1] != views["rgb"].shape[:-1]:
            raise ValueError(
                f"{_WRITER}: video {i} has shape {views['audio'].shape} in `audio` and "
                f"{views['rgb'].shape} in `rgb`; as many frames are needed in both."
            )
        n_dims = n_dims or views["audio"].ndim
        if views["audio"].ndim != n_dims:
            raise ValueError(f"{_WRITER}: a file holds frames or means; video {i} has the other.")
        yield encode(video_id, _check_labels(i, labels), views)


def _check_view(i: int, name: str, view: Any) -> np.ndarray:
    """Return the frames or the means of a video, of numbers that `load_youtube8m` takes."""
    array = np.asarray(view.detach() if hasattr(view, "detach") else view)
    fits = array.dtype == np.uint8 if array.ndim == 2 else array.dtype.kind == "f"
    if array.ndim not in (1, 2) or array.shape[-1] != WIDTHS[name] or not fits or not array.size:
        raise ValueError(
            f"{_WRITER}: `{name}[{i}]` has shape {array.shape} and dtype {array.dtype}; expected "
            f"(T, {WIDTHS[name]}) of uint8 or ({WIDTHS[name]},) of float, not empty."
        )
    # The file holds means in float32, where large numbers would be infinite.
    with np.errstate(over="ignore"):
        if array.ndim == 1 and not np.isfinite(array.astype(np.float32)).all():
            raise ValueError(f"{_WRITER}: `{name}[{i}]` holds NaN, infinity, or more than 3e38.")
    return array


def _check_labels(i: int, labels: Any) -> list[int]:
    """Return the labels of a video as numbers of Python."""
    try:
        values = list(labels)
        numbers = [index(label) for label in values if not isinstance(label, bool)]
        if len(numbers) == len(values) and all(0 <= number < 2**63 for number in numbers):
            return numbers
    except TypeError:
        pass
    raise ValueError(
        f"{_WRITER}: `labels[{i}]`={labels!r:.80} must be a sequence of integers from 0 on."
    )
