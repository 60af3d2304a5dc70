"""TFRecord files: a length, its checksum, the data, their checksum, again and again.

Every byte of a file is covered by a checksum (CRC-32C). What is read is therefore either a record
as it was written or a `Fault` with its place. A file may be compressed by gzip or zlib; offsets
then count the bytes after decompression.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from importlib import import_module
from types import ModuleType
from typing import IO, NamedTuple, TypeAlias

from skcca._core.files import PathLike, atomic_write, naming

# Bytes of a header (the length and its checksum) and of a footer (the checksum of the data).
_HEADER, _FOOTER = 12, 4
_GZIP = b"\x1f\x8b\x08"
# Window of zlib's decompressor that takes gzip and zlib streams of any window.
_ANY_WRAPPER = 32 + zlib.MAX_WBITS
# Bytes of records that are decoded together.
BATCH = 4 << 20
# Bytes that are read at a time, so that a length that is only claimed takes no memory.
_BLOCK = 1 << 16
# Bytes of the longest record that is read: sixteen hours of video.
LARGEST_RECORD = 64 << 20

# Path, or file opened in binary mode.
Source: TypeAlias = str | IO[bytes]


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


def batches(source: Source) -> Iterator[Batch]:
    """Yield the records of a file in batches of about `BATCH` bytes, the last one shorter."""
    path = name_of(source)
    records: list[Record | Fault] = []
    size = 0
    for record in read_records(source):
        records.append(record)
        size += len(record.data) if isinstance(record, Record) else 0
        if size >= BATCH:
            yield Batch(path, records, last=False)
            records, size = [], 0
    yield Batch(path, records, last=True)


def name_of(source: Source) -> str:
    """Return the path of a file, or how a file object is called."""
    return source if isinstance(source, str) else str(getattr(source, "name", source))


def read_records(source: Source) -> Iterator[Record | Fault]:
    """Yield the records of a file in their order, and the faults between them."""
    path = name_of(source)
    opened = open(source, "rb") if isinstance(source, str) else nullcontext(source)
    with naming(path), opened as file:
        yield from _records(_Stream(file), path)


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


class _Stream:
    """Bytes of a file, decompressed where they were compressed by gzip or zlib."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        head = file.read(_HEADER)
        is_zlib = head[:1] == b"x" and int.from_bytes(head[:2]) % 31 == 0
        # The length of a plain record may start with such bytes, but then it has its checksum.
        compressed = (head.startswith(_GZIP) or is_zlib) and not _is_header(head)
        self._inflate = zlib.decompressobj(_ANY_WRAPPER) if compressed else None
        self._rest = head if compressed else b""
        self._block, self._place = b"" if compressed else head, 0

    def read(self, size: int) -> bytes:
        """Return as many bytes, or those up to the end of the file."""
        parts = []
        while size > 0:
            if self._place == len(self._block):
                self._block, self._place = self._next_block(), 0
            if not self._block:
                break
            parts.append(self._block[self._place : self._place + size])
            self._place += len(parts[-1])
            size -= len(parts[-1])
        return b"".join(parts)

    def _next_block(self) -> bytes:
        """Return a byte or more, none at the end."""
        if self._inflate is None:
            return self._file.read(_BLOCK)
        while True:
            data = self._rest or self._file.read(_BLOCK)
            if self._inflate.eof:
                # Compressed parts may follow one another, with zeros between them.
                if not data:
                    return b""
                self._rest = data.lstrip(b"\0")
                self._inflate = zlib.decompressobj(_ANY_WRAPPER) if self._rest else self._inflate
                continue
            block = self._inflate.decompress(data, _BLOCK)
            self._rest = self._inflate.unconsumed_tail or self._inflate.unused_data
            if block:
                return block
            if not data and not self._inflate.eof:
                raise EOFError("it ends before its end-of-stream mark")


def _records(file: _Stream, path: str) -> Iterator[Record | Fault]:
    """Yield the records of a stream and the faults between them."""
    offset = 0
    try:
        while header := file.read(_HEADER):
            if len(header) < _HEADER:
                text = f"the file ends after {len(header)} of the {_HEADER} bytes of a header"
                yield Fault(path, offset, text)
                return
            # After a wrong length the start of the next record is unknown.
            if not _is_header(header):
                text = "its length does not match its checksum; the rest of the file is lost"
                yield Fault(path, offset, text)
                return
            (length,) = struct.unpack_from("<Q", header)
            data = file.read(min(length, LARGEST_RECORD))
            left = length - len(data)
            while left > 0 and (part := file.read(min(left, _BLOCK))):
                left -= len(part)
            footer = file.read(_FOOTER)
            if left or len(footer) < _FOOTER:
                n_bytes = length - left + len(footer)
                text = f"the file ends after {n_bytes} of its {length + _FOOTER} bytes"
                yield Fault(path, offset, text)
                return
            if length > LARGEST_RECORD:
                yield Fault(path, offset, f"its {length} bytes are more than {LARGEST_RECORD}")
            elif checksum(data) != footer:
                yield Fault(path, offset, f"its {length} bytes do not match their checksum")
            else:
                yield Record(offset, data)
            offset += _HEADER + length + _FOOTER
        if offset == 0:
            yield Fault(path, 0, "the file is empty (0 bytes)")
    except (EOFError, zlib.error) as error:
        text = f"it cannot be decompressed ({error}); the rest of the file is lost"
        yield Fault(path, offset, text)


def _is_header(header: bytes) -> bool:
    return len(header) == _HEADER and checksum(header[:8]) == header[8:]
