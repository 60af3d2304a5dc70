"""MV-10K: the music videos of YouTube-8M that last about 216 seconds, in a folder."""

from __future__ import annotations

import os
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike, UnreadableFileError
from skcca._core.warnings import warn

from ._array_folder import ArrayFolder, GrowingArray
from ._tfrecord import Source, name_of
from ._youtube8m_reader import (
    Paths,
    VideoReader,
    check_parameters,
    find_files,
    read_vocabulary,
    resolve_labels,
)
from ._youtube8m_records import WIDTHS

_NAME = "build_mv10k"
_ARRAYS = ("audio", "rgb", "offsets", "ids")
# Songs of this length can be cut into 3, 6 or 9 chunks of equal length.
_SECONDS = 216


def build_mv10k(
    path: Paths,
    cache_dir: PathLike,
    *,
    label: int | str = "Music video",
    vocabulary: PathLike | None = None,
    tolerance: int = 3,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    overwrite: bool = False,
    verify: bool = True,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Select the music videos of about 216 seconds from YouTube-8M and keep them in a folder.

    A video belongs to the data set if "Music video" is its one label and it lasts between
    216 - `tolerance` and 216 + `tolerance` seconds. The first call reads the files in one pass,
    in little memory, and writes the folder; later calls map it into memory and read no records.

    Parameters
    ----------
    path : path or list of paths
        Frame-level files of YouTube-8M, or patterns such as ``"frame/*.tfrecord"``. Once the
        folder is written, the files may be absent; files of other names or sizes are refused.
    cache_dir : path
        Folder for the result, created if needed; one with other content is refused. It may be a
        link or a mount.
    label : int or str, default="Music video"
        The one label: a name of `vocabulary`, or its number.
    vocabulary : path, default=None
        See `load_youtube8m`. Numbers of labels differ between versions of the data set.
    tolerance : int, default=3
        Seconds. In the paper 3 gave 10,000 videos, 6 gave 20,000, 9 gave 30,000, 12 gave 40,000.
    max_videos : int, default=None
        See `load_youtube8m`.
    dtype : {"float32", "float16", "uint8"}, default="float32"
        See `load_youtube8m`; 10,000 videos take 10 GB, 5 GB or 2.5 GB.
    on_error : {"raise", "skip"}, default="raise"
        See `load_youtube8m`.
    overwrite : bool, default=False
        Whether an existing folder is built anew.
    verify : bool, default=True
        Whether an existing folder is compared with its checksums, for which all of it is read.
    n_jobs : int, default=None
    verbose : int, default=0
        See `load_youtube8m`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        audio : list of n memory maps of shape (T_i, 128)
            Sound, one row a second, read from the disk on access.
        rgb : list of n memory maps of shape (T_i, 1024)
            Picture, likewise.
        ids : ndarray of shape (n,), str
            Identifiers.
        label : int
            Number of the one label.
        n_read, n_skipped : int
            Number of videos that were read, and of records that were left out for an error.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If a path leads to no file.
    ValueError
        If the folder is damaged, was built with other parameters or from other files, or holds
        something else; if a record is damaged; if no video is left; or if a parameter is out of
        range.
    ImportError
        If protobuf or google-crc32c is not installed: ``pip install skcca[youtube8m]``.

    Warns
    -----
    UserWarning
        If records were left out, at every call.

    See Also
    --------
    load_youtube8m : Other selections of videos.

    References
    ----------
    D. Zeng, Y. Yu and K. Oyama, *Audio-Visual Embedding for Cross-Modal Music Video Retrieval
    through Supervised Deep CCA*, ISM 2018, Table I. :doi:`10.1109/ISM.2018.00-21`

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skcca.datasets import build_mv10k, write_youtube8m
    >>> lengths, labels = [216, 216, 219, 220], [[14], [14, 3], [14], [14]]
    >>> audio, rgb = ([np.zeros((length, width), np.uint8) for length in lengths]
    ...               for width in (128, 1024))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "train00.tfrecord"
    ...     write_youtube8m(path, audio, rgb, labels=labels)
    ...     videos = build_mv10k(path, Path(folder) / "mv10k", label=14)
    ...     print([len(song) for song in videos.audio], videos.ids.tolist())
    [216, 219] ['video0', 'video2']
    """
    _check_own_parameters(tolerance, overwrite, verify)
    options: dict[str, Any] = {
        "max_videos": max_videos,
        "dtype": dtype,
        "on_error": on_error,
        "n_jobs": n_jobs,
        "verbose": verbose,
    }
    check_parameters(_NAME, **options)
    numbers = resolve_labels(label, read_vocabulary(vocabulary, _NAME), _NAME) or frozenset()
    if len(numbers) != 1:
        raise ValueError(f"{_NAME}: `label`={label!r} must be one label.")
    settings = {
        "label": min(numbers),
        "tolerance": int(tolerance),
        "max_videos": max_videos,
        "dtype": dtype,
    }
    folder = ArrayFolder(cache_dir, _ARRAYS, _NAME)
    is_new = not folder.is_there() or overwrite
    if is_new:
        reader = VideoReader(
            _NAME,
            path=path,
            labels=settings["label"],
            only_labels=True,
            duration=(_SECONDS - tolerance, _SECONDS + tolerance),
            **options,
        )
        _build(folder, reader, settings)
    content = folder.read_description()
    if not is_new:
        sizes = _sizes_if_there(path)
        with folder.reading():
            _compare(folder, content, settings, sizes, on_error)
        if content["n_skipped"]:
            warn(f"{_NAME}: {folder.path} lacks {content['n_skipped']:,} record(s) of its files.")
    with folder.reading():
        return _opened(folder, content, verify and not is_new)


def _build(folder: ArrayFolder, reader: VideoReader, settings: dict[str, Any]) -> None:
    """Write the videos into the folder."""
    sizes = _sizes(reader.files)
    with folder.written() as (place, content):
        arrays = {
            name: GrowingArray(place / f"{name}.npy", settings["dtype"], (width,))
            for name, width in WIDTHS.items()
        }
        lengths, ids = [0], []
        try:
            for video in reader.videos():
                arrays["audio"].append(video.audio)
                arrays["rgb"].append(video.rgb)
                lengths.append(len(video.audio))
                ids.append(video.id)
        finally:
            for array in arrays.values():
                array.close()
        reader.raise_if_empty(len(ids))
        for name, values in (("offsets", np.cumsum(lengths)), ("ids", np.array(ids))):
            array = GrowingArray(place / f"{name}.npy", values.dtype.str)
            array.append(values)
            array.close()
        content.update(
            asked=settings,
            files=sizes,
            n_read=reader.n_read,
            n_skipped=reader.n_skipped,
        )


def _opened(folder: ArrayFolder, content: dict[str, Any], verify: bool) -> Bunch:
    """Return the videos of the folder."""
    arrays = folder.read_arrays(content, verify=verify)
    offsets, ids, n_rows = arrays["offsets"], arrays["ids"], len(arrays["audio"])
    fits = all(
        (arrays[name].shape, arrays[name].dtype) == ((n_rows, width), content["asked"]["dtype"])
        for name, width in WIDTHS.items()
    )
    fits &= offsets.shape == (len(ids) + 1,) and offsets.dtype.kind == "i"
    fits &= ids.ndim == 1 and ids.dtype.kind == "U"
    if not fits or np.any(np.diff(offsets, prepend=0, append=n_rows) < 0) or offsets[0] != 0:
        raise ValueError("its arrays do not fit one another")
    rows = [slice(*ends) for ends in pairwise(offsets.tolist())]
    return Bunch(
        audio=[arrays["audio"][row] for row in rows],
        rgb=[arrays["rgb"][row] for row in rows],
        ids=np.array(ids),
        label=content["asked"]["label"],
        n_read=content["n_read"],
        n_skipped=content["n_skipped"],
    )


def _compare(
    folder: ArrayFolder,
    content: dict[str, Any],
    settings: dict[str, Any],
    sizes: list[list[Any]] | None,
    on_error: str,
) -> None:
    """Raise if the folder was built with other parameters or from other files."""
    cure = "Name another `cache_dir`, or build anew with overwrite=True."
    other = [
        f"{name}={content['asked'][name]!r} and not {value!r}"
        for name, value in settings.items()
        if content["asked"][name] != value
    ]
    if other:
        raise UnreadableFileError(
            f"{_NAME}: {folder.path} was built with {', '.join(other)}. {cure}"
        )
    if content["n_skipped"] and on_error == "raise":
        raise UnreadableFileError(
            f"{_NAME}: {folder.path} was built without {content['n_skipped']:,} record(s) that "
            f'could not be used; on_error="skip" accepts that. {cure}'
        )
    if sizes not in (None, content["files"]):
        raise UnreadableFileError(
            f"{_NAME}: {folder.path} was built from {len(content['files'])} file(s) of other names "
            f"or sizes than the {len(sizes or ())} of `path`. {cure}"
        )
    if type(content["n_skipped"]) is not int:
        raise ValueError("it counts no records")


def _sizes_if_there(path: Paths) -> list[list[Any]] | None:
    """Return names and sizes, None where files are absent that were read for the folder."""
    try:
        return _sizes(find_files(path, _NAME))
    except FileNotFoundError:
        return None


def _sizes(files: list[Source]) -> list[list[Any]]:
    """Return names and sizes, which do not change when files are moved."""
    if not all(isinstance(file, str) for file in files):
        raise TypeError(
            f"{_NAME}: `path` holds an open file, whose size is unknown; give its path."
        )
    return [[Path(file).name, os.path.getsize(file)] for file in map(name_of, files)]


def _check_own_parameters(tolerance: object, overwrite: object, verify: object) -> None:
    """Raise if a parameter that `load_youtube8m` lacks is out of range."""
    if not isinstance(tolerance, Integral) or not 0 <= int(tolerance) < _SECONDS:
        raise ValueError(
            f"{_NAME}: `tolerance`={tolerance!r} must be an integer of seconds in [0, {_SECONDS})."
        )
    for name, value in (("overwrite", overwrite), ("verify", verify)):
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{_NAME}: `{name}`={value!r} must be True or False.")
