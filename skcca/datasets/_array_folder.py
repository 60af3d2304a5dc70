"""Folder of arrays that are too large for memory, written atomically and verified by checksums.

Arrays are ``.npy`` files that are mapped into memory. A JSON file has their sizes and checksums. A
new version is built in the folder itself, which may be a link or a mount, under names that are not
in use; it takes the place of the old one in the moment in which its JSON file does.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from skcca._core.files import PARTIAL, PathLike, atomic_write, naming, parsing

from ._tfrecord import import_optional

# Bytes that are read at a time for a checksum.
_BLOCK = 8 << 20


class GrowingArray:
    """Array in a new ``.npy`` file, to which rows of a shape are appended."""

    def __init__(self, path: Path, dtype: str, row_shape: tuple[int, ...] = ()):
        self._path, self._dtype, self._row_shape = path, np.dtype(dtype), row_shape
        self._n_rows = 0
        self._file = path.open("wb")
        self._start = self._write_header()

    def append(self, rows: np.ndarray) -> None:
        """Add rows at the end."""
        with naming(self._path):
            self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._n_rows += len(rows)

    def close(self) -> None:
        """Write the number of rows into the header, in which NumPy leaves room for it."""
        with naming(self._path), self._file:
            self._file.seek(0)
            end = self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
        if end != self._start:
            raise RuntimeError(f"the header has grown from {self._start} to {end} bytes")

    def _write_header(self) -> int:
        shape = (self._n_rows, *self._row_shape)
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
        self._own_name = re.compile(rf"({'|'.join(arrays)})(-[0-9a-f]{{16}})?\.npy")

    def is_there(self) -> bool:
        """Whether the folder has content; raise if it is not that of an array folder."""
        if not os.path.lexists(self.path):
            return False
        if not self.path.is_dir():
            raise NotADirectoryError(f"{self.caller}: {self.path} is no folder.")
        names = {entry.name for entry in self.path.iterdir()}
        # File systems keep files of their own where they are mounted, and builds that were killed.
        names = {name for name in names if name[0] != "." and name != "lost+found"}
        arrays = set(filter(self._own_name.fullmatch, names))
        foreign = sorted(names - arrays - {self.description.name})
        if foreign or (names and self.description.name not in names):
            raise ValueError(
                f"{self.caller}: {self.path} holds something else ({', '.join(foreign or names)}); "
                "name a folder that is empty or not there yet."
            )
        return bool(names)

    @contextmanager
    def written(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield a folder for the arrays and a dictionary for the description.

        Their version replaces an existing one at the end, and is removed after an error.
        """
        content: dict[str, Any] = {}
        is_new = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # Files can be moved within a mount alone.
            with tempfile.TemporaryDirectory(
                dir=self.path, prefix=PARTIAL, ignore_cleanup_errors=True
            ) as partial:
                new = Path(partial)
                yield new, content
                content["arrays"] = {name: _summary(new / f"{name}.npy") for name in self.arrays}
                self._replace(new, content)
        except BaseException:
            if is_new:
                with suppress(OSError):
                    self.path.rmdir()
            raise

    def _replace(self, new: Path, content: dict[str, Any]) -> None:
        """Move the arrays in under names that are not in use, describe them, remove the others."""
        in_use = any((self.path / f"{name}.npy").exists() for name in self.arrays)
        content["version"] = f"-{secrets.token_hex(8)}" if in_use else ""
        try:
            for name in self.arrays:
                (new / f"{name}.npy").rename(self._array_path(name, content))
            text = json.dumps({"crc32c": _json_checksum(content), "content": content}, indent=1)
            with atomic_write(self.description) as file:
                file.write(text.encode() + b"\n")
        finally:
            # Of a version that cannot be read nothing is known, and nothing removed.
            with suppress(ValueError):
                self._remove_others()

    def _remove_others(self) -> None:
        """Remove the arrays of other versions than that which is described, if there is one."""
        kept: set[Path] = set()
        if self.description.exists():
            content = self.read_description()
            kept = {self._array_path(name, content) for name in self.arrays}
        for path in self.path.iterdir():
            if self._own_name.fullmatch(path.name) and path not in kept:
                # Windows keeps files that are mapped.
                with suppress(OSError):
                    path.unlink()

    def _array_path(self, name: str, content: dict[str, Any]) -> Path:
        path = self.path / f"{name}{content.get('version', '')}.npy"
        if not self._own_name.fullmatch(path.name):
            raise ValueError(f"{path.name!r:.40} is no name of an array")
        return path

    def reading(self) -> AbstractContextManager[None]:
        """Say in errors which folder is damaged, and what helps."""
        return parsing(
            f"{self.caller}: {self.path} is damaged", " Build it anew with overwrite=True."
        )

    def read_description(self) -> dict[str, Any]:
        """Return the description; raise if it is damaged."""
        with self.reading():
            try:
                stored = json.loads(self.description.read_text(encoding="utf-8"))
                content: dict[str, Any] = dict(stored["content"])
                if stored["crc32c"] != _json_checksum(content):
                    raise ValueError("its checksum is another")
            except (LookupError, RecursionError, TypeError, ValueError) as error:
                raise ValueError(f"{self.description.name} cannot be used ({error})") from error
        return content

    def read_arrays(self, content: dict[str, Any], *, verify: bool) -> dict[str, np.ndarray]:
        """Map the arrays into memory; raise if they differ from the description.

        The checksums of large arrays, for which all of them is read, are compared on demand.
        """
        arrays: dict[str, np.ndarray] = {}
        with self.reading():
            for name in self.arrays:
                path, stated = self._array_path(name, content), content["arrays"][name]
                size = path.stat().st_size if path.is_file() else 0
                if size != stated["size"]:
                    raise ValueError(f"{path.name} has {size:,} bytes; expected {stated['size']:,}")
                if (verify or size <= _BLOCK) and _file_checksum(path) != stated["crc32c"]:
                    raise ValueError(f"{path.name} does not match its checksum")
                arrays[name] = np.load(path, mmap_mode="r")
        return arrays


def _summary(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "crc32c": _file_checksum(path)}


def _file_checksum(path: Path) -> int:
    crc, checksums = 0, import_optional("google_crc32c")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = checksums.extend(crc, block)
    return crc


def _json_checksum(content: dict[str, Any]) -> int:
    text = json.dumps(content, sort_keys=True)
    return import_optional("google_crc32c").value(text.encode())
