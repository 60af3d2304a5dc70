"""Files of a data folder: their place, their content and the check of it.

A loader declares its file once. From the declaration a file is checked, and errors about a missing
or damaged file list the expected content and a source of the data.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike, UnreadableFileError, parsing

VARIABLE = "SKCCA_DATA"
DEFAULT_HOME = "~/skcca_data"
# Bytes that one byte of a deflated archive can stand for, at most.
_DEFLATED = 1032
_KINDS = {"number": "uif", "integer": "ui", "text": "U", "flag": "b"}


class Array(NamedTuple):
    """Array that a file must hold; a letter in its shape is any size, equal in all arrays."""

    shape: tuple[int | str, ...]
    kind: str = "number"
    meaning: str = ""

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.shape)) + ("," if len(self.shape) == 1 else "")
        return f"({sizes}) {self.kind}" + (f": {self.meaning}" if self.meaning else "")


class DataFile(NamedTuple):
    """An ``.npz`` file of a data set: path in the data folder, arrays, source and licence."""

    path: str
    arrays: Mapping[str, Array]
    source: str

    def contents(self) -> str:
        """Describe the arrays, one in each line."""
        return "\n".join(f"  {name} {array}" for name, array in self.arrays.items())

    def read(self, data_home: PathLike | None) -> dict[str, np.ndarray]:
        """Return the declared arrays; raise if the file is missing or has other content."""
        home, origin = resolve_data_home(data_home)
        path = home / self.path
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.path} was looked for in {home} ({origin}) and is not there. Put the file "
                f"there, or name its folder in `data_home` or in the variable {VARIABLE}.\n"
                f"It must hold, as written by numpy.savez:\n{self.contents()}\n"
                f"The data: {self.source}"
            )
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path} is no .npz archive. It must hold:\n{self.contents()}")
        arrays: dict[str, np.ndarray] = {}
        sizes: dict[str, int] = {}
        with parsing(f"{path} cannot be read"), np.load(path) as stored:
            missing = [name for name in self.arrays if name not in stored.files]
            if missing:
                raise UnreadableFileError(
                    f"{path} lacks {', '.join(missing)} (it has "
                    f"{', '.join(stored.files) or 'nothing'}). It must hold:\n{self.contents()}"
                )
            for name, array in self.arrays.items():
                header = _read_header(stored.zip, f"{name}.npy", path.stat().st_size)
                self._check_array(path, name, header, array, sizes)
                arrays[name] = stored[name]
        return arrays

    def _check_array(
        self, path: Path, name: str, values: np.ndarray, array: Array, sizes: dict[str, int]
    ) -> None:
        """Compare an array with its declaration; ``sizes`` holds the size of each letter."""
        expected = [
            sizes.get(size, size) if isinstance(size, str) else size for size in array.shape
        ]
        fits = len(values.shape) == len(expected) and all(
            isinstance(size, str) or size == actual
            for size, actual in zip(expected, values.shape, strict=True)
        )
        if not fits or values.dtype.kind not in _KINDS[array.kind]:
            raise UnreadableFileError(
                f"{path}: `{name}` has shape {values.shape} and dtype {values.dtype}; "
                f"expected {array._replace(shape=tuple(expected))}"
            )
        sizes.update(
            (size, actual)
            for size, actual in zip(array.shape, values.shape, strict=True)
            if isinstance(size, str)
        )


def _read_header(archive: zipfile.ZipFile, name: str, archive_size: int) -> np.ndarray:
    """Return an array of the same shape and dtype without memory; raise if bytes of it lack."""
    info, format_ = archive.getinfo(name), np.lib.format
    with archive.open(info) as member:
        versions = {
            (1, 0): format_.read_array_header_1_0,
            (2, 0): format_.read_array_header_2_0,
        }
        shape, _, dtype = versions[format_.read_magic(member)](member)
        size = member.tell() + dtype.itemsize * math.prod(shape)
    if dtype.kind != "O" and not size == info.file_size <= _DEFLATED * archive_size:
        raise ValueError(f"{name} claims {size} bytes, and {info.file_size} of {archive_size}")
    return np.broadcast_to(np.empty((), dtype), shape)


def as_frames(data: Bunch, columns: Mapping[str, Sequence[str] | None]) -> Bunch:
    """Return the named arrays of rows as pandas frames, and those of entries as series.

    Columns are called as is told, or by the name of the view and their number.
    """
    import pandas as pd

    for name, names in columns.items():
        array = data[name]
        if array.ndim == 1:
            data[name] = pd.Series(array, name=name)
        else:
            names = [f"{name}{i}" for i in range(array.shape[1])] if names is None else names
            # Strings of NumPy are no column names to scikit-learn.
            data[name] = pd.DataFrame(array, columns=[str(column) for column in names])
    return data


def resolve_data_home(data_home: PathLike | None) -> tuple[Path, str]:
    """Return the data folder, and a phrase that tells its origin."""
    if data_home is not None:
        return Path(data_home).expanduser(), "named by `data_home`"
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser(), f"named by the variable {VARIABLE}"
    return Path(DEFAULT_HOME).expanduser(), "the default folder"
