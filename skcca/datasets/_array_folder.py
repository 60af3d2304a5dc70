"""Folder of arrays that are too large for memory, written atomically and verified by checksums.

Arrays are ``.npy`` files that are mapped into memory. A JSON file has their shapes, dtypes and
checksums.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skcca._core.files import PathLike

from ._tfrecord import import_optional

# Bytes that are read at a time for a checksum.
_BLOCK = 8 << 20


class GrowingArray:
    """Array in a new ``.npy`` file, to which rows (T, width) are appended."""

    def __init__(self, path: Path, width: int, dtype: str):
        self._width, self._dtype = width, np.dtype(dtype)
        self._n_rows = 0
        self._file = path.open("wb")
        self._start = self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._n_rows += len(rows)

    def close(self) -> None:
        """Write the number of rows into the header, in which NumPy leaves room for it."""
        self._file.seek(0)
        end = self._write_header()
        self._file.close()
        if end != self._start:
            raise RuntimeError(f"the header has grown from {self._start} to {end} bytes")

    def _write_header(self) -> int:
        shape = (self._n_rows, self._width)
        content = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, content)
        return self._file.tell()


class ArrayFolder:
    """Folder with arrays of given names and their description.

    The caller's name stands in error messages and is that of the file with the description.
    """

    def __init__(self, path: PathLike, arrays: tuple[str, ...], caller: str):
        self.path, self.arrays, self.caller = Path(path).expanduser(), arrays, caller
        self.description = self.path / f"{caller}.json"

    def is_there(self) -> bool:
        """Whether the folder has content; raise if it is not that of an array folder."""
        if not self.path.exists():
            return False
        if not self.path.is_dir():
            raise NotADirectoryError(f"{self.caller}: {self.path} is no folder.")
        names = {entry.name for entry in self.path.iterdir()}
        foreign = sorted(names - {self.description.name} - {f"{name}.npy" for name in self.arrays})
        if foreign or (names and self.description.name not in names):
            raise ValueError(
                f"{self.caller}: {self.path} holds something else ({', '.join(foreign or names)}); "
                "name a folder that is empty or not there yet."
            )
        return bool(names)

    @contextmanager
    def written(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield a folder for the arrays and a dictionary for the description.

        The new folder replaces an existing one at the end, and is removed after an error.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {}
        with tempfile.TemporaryDirectory(
            dir=self.path.parent, prefix=f"{self.path.name}.", ignore_cleanup_errors=True
        ) as partial:
            new = Path(partial) / "new"
            new.mkdir()
            yield new, content
            content["arrays"] = {name: _summary(new / f"{name}.npy") for name in self.arrays}
            text = json.dumps({"crc32c": _json_checksum(content), "content": content}, indent=1)
            (new / self.description.name).write_text(text + "\n", encoding="utf-8")
            # A folder cannot be replaced by renaming, so the old one is moved away first. It is
            # deleted with the temporary folder.
            if self.path.exists():
                self.path.rename(Path(partial) / "old")
            new.rename(self.path)

    def read_description(self) -> dict[str, Any]:
        """Return the description; raise if it is damaged."""
        try:
            stored = json.loads(self.description.read_text(encoding="utf-8"))
            content = stored["content"]
            if stored["crc32c"] != _json_checksum(content):
                raise ValueError("its checksum is another")
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(f"{self.description.name} cannot be used ({error})") from error
        return content

    def read_arrays(self, content: dict[str, Any], *, verify: bool) -> dict[str, np.ndarray]:
        """Map the arrays into memory; raise if they differ from the description.

        The checksums of large arrays, for which all of them is read, are compared on demand.
        """
        arrays: dict[str, np.ndarray] = {}
        for name in self.arrays:
            path, stated = self.path / f"{name}.npy", content["arrays"][name]
            size = path.stat().st_size if path.is_file() else 0
            if size != stated["size"]:
                text = f"{path.name} has {size:,} bytes; expected {stated['size']:,}"
                raise self._damaged(text)
            if (verify or size <= _BLOCK) and _file_checksum(path) != stated["crc32c"]:
                raise self._damaged(f"{path.name} does not match its checksum")
            arrays[name] = np.memmap(
                path, stated["dtype"], "r", stated["offset"], tuple(stated["shape"])
            )
        return arrays

    def _damaged(self, text: str) -> ValueError:
        return ValueError(
            f"{self.caller}: {self.path} is damaged: {text}. Build it anew with overwrite=True."
        )


def _summary(path: Path) -> dict[str, Any]:
    array = np.load(path, mmap_mode="r")
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.str,
        "offset": array.offset,
        "size": path.stat().st_size,
        "crc32c": _file_checksum(path),
    }


def _file_checksum(path: Path) -> int:
    crc, checksums = 0, import_optional("google_crc32c")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = checksums.extend(crc, block)
    return crc


def _json_checksum(content: dict[str, Any]) -> int:
    text = json.dumps(content, sort_keys=True)
    return import_optional("google_crc32c").value(text.encode())
