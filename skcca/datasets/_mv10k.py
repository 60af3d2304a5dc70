"""MV-10K: the music videos of YouTube-8M that last 216 seconds, more or less, kept on a disk."""

from __future__ import annotations

import os
from itertools import pairwise
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcca._core.warnings import warn

from ._array_folder import ArrayFolder, GrowingArray
from ._examples import WIDTHS
from ._vocabulary import read_vocabulary, resolve_labels
from ._youtube8m_reading import Reading, check_parameters, find_files

_NAME = "build_mv10k"
_ARRAYS = ("audio", "rgb", "offsets", "ids")
_SECONDS = 216  # divides by 3, 6 and 9 chunks


def build_mv10k(
    path: Any,
    cache_dir: str | os.PathLike[str],
    *,
    label: int | str = "Music video",
    vocabulary: str | os.PathLike[str] | None = None,
    tolerance: int = 3,
    max_videos: int | None = None,
    dtype: str = "float32",
    on_error: str = "raise",
    overwrite: bool = False,
    verify: bool = True,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Bunch:
    """Choose the music videos of about 216 seconds from YouTube-8M, and keep them in a folder.

    A video belongs to the data set if "Music video" is its one label and it lasts between
    216 - `tolerance` and 216 + `tolerance` seconds. The first call reads the files in one pass,
    in little memory, and writes the folder; later calls map it into memory and read no records.

    Parameters
    ----------
    path : path or list of paths
        Frame-level files of YouTube-8M, or patterns such as ``"frame/*.tfrecord"``. The folder is
        enough once it is written: files that are gone are not missed, others are refused.
    cache_dir : path
        Folder for the result, which is made; one that holds something else is left alone.
    label : int or str, default="Music video"
        The one label: a name of `vocabulary`, or its number.
    vocabulary : path, default=None
        The ``vocabulary.csv`` of the data set. Numbers of labels differ between its versions.
    tolerance : int, default=3
        Seconds. In the paper 3 gave 10,000 videos, 6 gave 20,000, 9 gave 30,000, 12 gave 40,000.
    max_videos : int, default=None
        Stop after so many videos.
    dtype : {"float32", "float16", "uint8"}, default="float32"
        Numbers in [-2, 2], or the bytes that are stored: 10,000 videos take 10 GB, 5 GB or 2.5 GB.
        `dequantize_features` turns bytes into numbers, video by video.
    on_error : {"raise", "skip"}, default="raise"
        What to do about a record that is damaged or there twice: raise an error, or leave it out
        and warn.
    overwrite : bool, default=False
        Build anew even if the folder is there.
    verify : bool, default=True
        Compare a folder that is there with its checksums, for which all of it is read.
    n_jobs : int, default=None
        Number of threads that decode; -1 uses all cores.
    verbose : int, default=0
        1 shows a progress bar over the files.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        audio : list of n memory maps of shape (T_i, 128)
            Sound, one row a second; read from the disk when they are used.
        rgb : list of n memory maps of shape (T_i, 1024)
            Picture.
        ids : ndarray of shape (n,), str
            Identifiers.
        label : int
            Number of the one label.
        n_read : int
            Number of videos from which these were chosen.
        n_skipped : int
            Number of records that were left out for an error.

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
        If records were left out.

    See Also
    --------
    load_youtube8m : Other choices of videos.

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
    _check_own(tolerance, overwrite, verify)
    check_parameters(
        _NAME,
        max_videos=max_videos,
        dtype=dtype,
        on_error=on_error,
        n_jobs=n_jobs,
        verbose=verbose,
    )
    numbers = resolve_labels(label, read_vocabulary(vocabulary, _NAME), _NAME) or frozenset()
    if len(numbers) != 1:
        raise ValueError(f"{_NAME}: `label`={label!r} must be one label.")
    asked = {
        "label": min(numbers),
        "tolerance": int(tolerance),
        "max_videos": max_videos,
        "dtype": dtype,
    }
    folder = ArrayFolder(cache_dir, _ARRAYS, _NAME)
    if not folder.is_there() or overwrite:
        reading = Reading(
            _NAME,
            path=path,
            labels=asked["label"],
            only_labels=True,
            duration=(_SECONDS - tolerance, _SECONDS + tolerance),
            max_videos=max_videos,
            dtype=dtype,
            on_error=on_error,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        _build(folder, reading, asked)
        verify = False
        content = folder.read_description()
    else:
        content = folder.read_description()
        _compare(folder, content, asked, path, on_error)
        if content["n_skipped"]:
            warn(f"{_NAME}: {folder.path} lacks {content['n_skipped']:,} record(s) of its files.")
    return _opened(folder, content, verify)


def _build(folder: ArrayFolder, reading: Reading, asked: dict[str, Any]) -> None:
    """Write the videos into the folder."""
    with folder.written() as (place, content):
        arrays = {
            name: GrowingArray(place / f"{name}.npy", width, asked["dtype"])
            for name, width in WIDTHS.items()
        }
        lengths, ids = [0], []
        try:
            for video in reading.videos():
                arrays["audio"].append(video.audio)
                arrays["rgb"].append(video.rgb)
                lengths.append(len(video.audio))
                ids.append(video.id)
        finally:
            for array in arrays.values():
                array.close()
        reading.require(len(ids))
        np.save(place / "offsets.npy", np.cumsum(lengths))
        np.save(place / "ids.npy", np.array(ids))
        content.update(
            asked=asked,
            files=_sizes(reading.files),
            n_read=reading.n_read,
            n_skipped=reading.n_skipped,
        )


def _opened(folder: ArrayFolder, content: dict[str, Any], verify: bool) -> Bunch:
    """Return the videos of the folder."""
    arrays = folder.read_arrays(content, verify=verify)
    offsets = arrays["offsets"].tolist()
    rows = [slice(*ends) for ends in pairwise(offsets)]
    return Bunch(
        audio=[arrays["audio"][row] for row in rows],
        rgb=[arrays["rgb"][row] for row in rows],
        ids=np.array(arrays["ids"]),
        label=content["asked"]["label"],
        n_read=content["n_read"],
        n_skipped=content["n_skipped"],
    )


def _compare(
    folder: ArrayFolder, content: dict[str, Any], asked: dict[str, Any], path: Any, on_error: str
) -> None:
    """Raise if the folder holds something other than what is asked for."""
    cure = "Name another `cache_dir`, or build anew with overwrite=True."
    other = [
        f"{name}={content['asked'][name]!r} and not {value!r}"
        for name, value in asked.items()
        if content["asked"][name] != value
    ]
    if other:
        raise ValueError(f"{_NAME}: {folder.path} was built with {', '.join(other)}. {cure}")
    if content["n_skipped"] and on_error == "raise":
        raise ValueError(
            f"{_NAME}: {folder.path} was built without {content['n_skipped']:,} record(s) that "
            f'could not be used; on_error="skip" accepts that. {cure}'
        )
    try:
        files = find_files(path, _NAME)
    except FileNotFoundError:
        return  # they were read and may be gone
    if _sizes(files) != content["files"]:
        raise ValueError(
            f"{_NAME}: {folder.path} was built from {len(content['files'])} file(s) of other names "
            f"or sizes than the {len(files)} of `path`. {cure}"
        )


def _sizes(files: list[str]) -> list[list[Any]]:
    """Return names and sizes, which stay the same where files are moved."""
    return [[Path(file).name, os.path.getsize(file)] for file in files]


def _check_own(tolerance: Any, overwrite: Any, verify: Any) -> None:
    if not isinstance(tolerance, Integral) or not 0 <= int(tolerance) < _SECONDS:
        raise ValueError(
            f"{_NAME}: `tolerance`={tolerance!r} must be an integer of seconds in [0, {_SECONDS})."
        )
    for name, value in (("overwrite", overwrite), ("verify", verify)):
        if not isinstance(value, (bool, np.bool_)):
            raise ValueError(f"{_NAME}: `{name}`={value!r} must be True or False.")
