"""TFRecord files: a length, its checksum, the data, their checksum, again and again.

Every byte of a file is covered by a checksum (CRC-32C). What is read is therefore either a record
as it was written or a `Fault` with its place. A file may be compressed by gzip; offsets then count
the bytes after decompression.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import BinaryIO, NamedTuple

from skcca._core.files import PathLike, atomic_write

# Bytes of a header (the length and its checksum) and of a footer (the checksum of the data).
_HEADER, _FOOTER = 12, 4
_GZIP = b"\x1f\x8b\x08"
# Bytes of records that are decoded together.
BATCH = 4 << 20


class Record(NamedTuple):
    """Data of a record, and the offset of its header in the file."""

    offset: int
    data: bytes


class Fault(NamedTuple):
    """Error at a place of a file; a fatal one concerns more than its record."""

    path: str
    offset: int
    text: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.path}, record at byte {self.offset}: {self.text}"


class Batch(NamedTuple):
    """Records of a file that are decoded together; `last` marks the end of the file."""

    path: str
    records: list[Record | Fault]
    last: bool


def batches(path: str) -> Iterator[Batch]:
    """Yield the records of a file in batches of about `BATCH` bytes, the last one shorter."""
    records: list[Record | Fault] = []
    size = 0
    for record in read_records(path):
        records.append(record)
        size += len(record.data) if isinstance(record, Record) else 0
        if size >= BATCH:
            yield Batch(path, records, last=False)
            records, size = [], 0
    yield Batch(path, records, last=True)


def read_records(path: str) -> Iterator[Record | Fault]:
    """Yield the records of a file in their order, and the faults between them."""
    with open(path, "rb") as file:
        head = file.read(_HEADER)
    # The length of a plain record may start with the bytes of gzip, but then it has its checksum.
    if head.startswith(_GZIP) and not _header_is_valid(head):
        with gzip.open(path, "rb") as file:
            yield from _records(file, path, None)
    else:
        with open(path, "rb") as file:
            yield from _records(file, path, os.path.getsize(path))


def write_records(path: PathLike, records: Iterable[bytes]) -> None:
    """Write records to a file, which takes its name when all are written."""
    with atomic_write(path) as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + checksum(length) + data + checksum(data))


def checksum(data: bytes) -> bytes:
    """Return CRC-32C as the format stores it: rotated and shifted, for data that hold checksums."""
    crc = import_optional("google_crc32c").value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def import_optional(name: str) -> ModuleType:
    """Import a module of the extra ``youtube8m``."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"TFRecord files are read with {name}, which cannot be imported ({error}): "
            "pip install skcca[youtube8m]."
        ) from error


def _records(
    file: BinaryIO | gzip.GzipFile, path: str, size: int | None
) -> Iterator[Record | Fault]:
    """Yield the records of an open file; the size is unknown for a compressed one."""
    offset = 0
    if size == 0:
        yield Fault(path, 0, "the file is empty (0 bytes)")
    try:
        while size is None or offset < size:
            header = file.read(_HEADER)
            if not header and size is None and offset > 0:
                return
            if len(header) < _HEADER:
                text = f"the file ends after {len(header)} of the {_HEADER} bytes of a header"
                yield Fault(path, offset, text)
                return
            # After a wrong length the start of the next record is unknown.
            if not _header_is_valid(header):
                rest = "" if size is None else f" ({size - offset} bytes)"
                text = f"its length does not match its checksum; the rest of the file{rest} is lost"
                yield Fault(path, offset, text)
                return
            (length,) = struct.unpack_from("<Q", header)
            # Reading a length beyond the end of the file would allocate that much memory.
            left = length if size is None else size - offset - _HEADER
            data = file.read(min(length, left))
            footer = file.read(_FOOTER)
            if len(data) < length or len(footer) < _FOOTER:
                n_bytes = len(data) + len(footer)
                text = f"the file ends after {n_bytes} of its {length + _FOOTER} bytes"
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


def _header_is_valid(header: bytes) -> bool:
    return len(header) == _HEADER and checksum(header[:8]) == header[8:]
