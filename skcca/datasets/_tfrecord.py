"""TFRecord files: a length, its checksum, the data, their checksum, again and again.

Every byte of a file is under a checksum (CRC-32C), so none is wrong in silence: what is read is a
record as it was written, or a `Fault` that says where there is none. A file may be compressed by
gzip; its bytes are then counted after decompression.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

_HEADER, _FOOTER = 12, 4  # bytes: length and its checksum; checksum of the data
_GZIP = b"\x1f\x8b\x08"
BATCH = 4 << 20  # bytes that are decoded at a time


class Record(NamedTuple):
    """The data of a record."""

    offset: int  # of its header
    data: bytes


class Fault(NamedTuple):
    """What is wrong at a place of a file."""

    path: str
    offset: int
    text: str
    fatal: bool = False  # no fault of this record alone

    def __str__(self) -> str:
        return f"{self.path}, record at byte {self.offset}: {self.text}"


class Batch(NamedTuple):
    """Records of a file that are decoded together: where they lie, or themselves."""

    path: str
    start: int
    stop: int
    records: list[Record | Fault] | None
    last: bool  # of its file

    def read(self) -> Iterable[Record | Fault]:
        """Return the records in their order, and what is wrong between them."""
        if self.records is not None:
            return self.records
        return _plain_records(self.path, self.start, self.stop)


def batches(path: str) -> Iterator[Batch]:
    """Yield the batches of a file, which fill `BATCH` bytes or are one record."""
    if not _is_compressed(path):
        yield from _spans(path)
        return
    kept: list[Record | Fault] = []
    size = 0
    with gzip.open(path, "rb") as file:
        for record in _records(file, path, 0, None):
            kept.append(record)
            size += len(record.data) if isinstance(record, Record) else 0
            if size >= BATCH:
                yield Batch(path, 0, 0, kept, last=False)
                kept, size = [], 0
    yield Batch(path, 0, 0, kept, last=True)


def write_records(path: str | os.PathLike[str], records: Iterable[bytes]) -> None:
    """Write records to a new file."""
    with open(path, "wb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + checksum(length) + data + checksum(data))


def checksum(data: bytes) -> bytes:
    """Return CRC-32C as the format stores it: rotated and shifted, for data that hold checksums."""
    crc = crc32c().value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c() -> Any:
    """Return the module of the checksum."""
    return optional("google_crc32c")


def optional(name: str) -> Any:
    """Import what the extra installs."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"TFRecord files are read with {name}, which cannot be imported ({error}): "
            "pip install skcca[youtube8m]."
        ) from error


# Reading


def _is_compressed(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(_HEADER)
    # A record may be as long as gzip's first bytes say, but then they match the checksum.
    return head.startswith(_GZIP) and not _header_holds(head)


def _spans(path: str) -> Iterator[Batch]:
    """Yield where batches lie; headers alone are read, up to the first that is wrong."""
    size = os.path.getsize(path)
    start = offset = 0
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER)
            if not _header_holds(header):
                break
            offset += _HEADER + _length(header) + _FOOTER
            if offset - start >= BATCH and offset < size:
                yield Batch(path, start, offset, None, last=False)
                start = offset
    yield Batch(path, start, size, None, last=True)


def _plain_records(path: str, start: int, stop: int) -> Iterator[Record | Fault]:
    with open(path, "rb") as file:
        file.seek(start)
        # Read at once, threads do not wait for one another at every record.
        together = stop - start <= 2 * BATCH
        source = io.BytesIO(file.read(stop - start)) if together else file
        yield from _records(source, path, start, stop)


def _records(file: Any, path: str, start: int, stop: int | None) -> Iterator[Record | Fault]:
    """Yield records from `start` to `stop`, or to the end where that is unknown."""
    offset = start
    if stop == 0:
        yield Fault(path, 0, "the file is empty (0 bytes)")
    try:
        while stop is None or offset < stop:
            header = file.read(_HEADER)
            if not header and stop is None and offset > 0:
                return
            if len(header) < _HEADER:
                text = f"the file ends after {len(header)} of the {_HEADER} bytes of a header"
                yield Fault(path, offset, text)
                return
            if not _header_holds(header):
                rest = "" if stop is None else f" ({stop - offset} bytes)"
                text = f"its length does not match its checksum; the rest of the file{rest} is lost"
                yield Fault(path, offset, text)
                return
            length = _length(header)
            left = length if stop is None else stop - offset - _HEADER
            data = file.read(min(length, left))
            footer = file.read(_FOOTER)
            if len(data) < length or len(footer) < _FOOTER:
                text = (
                    f"the file ends after {len(data) + len(footer)} of its {length + _FOOTER} bytes"
                )
                yield Fault(path, offset, text)
                return
            if checksum(data) != footer:
                yield Fault(path, offset, f"its {length} bytes do not match their checksum")
            else:
                yield Record(offset, data)
            offset += _HEADER + length + _FOOTER
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        text = f"gzip cannot decompress it ({error}); the rest of the file is lost"
        yield Fault(path, offset, text)


def _header_holds(header: bytes) -> bool:
    return len(header) == _HEADER and checksum(header[:8]) == header[8:]


def _length(header: bytes) -> int:
    return struct.unpack_from("<Q", header)[0]
