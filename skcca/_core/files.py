"""Arrays and plain values in one file that is written at once and executes nothing when it is read.

The format is that of safetensors: the length of a header, a JSON header, the bytes of the arrays.
It is written here, block by block, because an array may be larger than the memory, and read here,
because it may stay on the disk.
"""

from __future__ import annotations

import json
import os
import secrets
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

PathLike = str | os.PathLike[str]

Array = np.ndarray

FORMAT = 1

KEY, SUM = "skcca.gallery", "skcca.sum"

LARGEST_HEADER = 2**24  # bytes; nobody's memory is to be filled by a header

DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "U32": "<u4", "U8": "|u1"}

NAMES = {dtype: name for name, dtype in DTYPES.items()}

BLOCK = 2**22  # bytes

# What a header that is not ours makes the reader raise.
NOT_OURS = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)


class Contents(NamedTuple):
    """What a file holds: plain values, and arrays by name, each in one part or several."""

    values: dict[str, Any]
    arrays: dict[str, Sequence[Array]]


def write(path: PathLike, contents: Contents) -> None:
    """Write a file; until it is whole, what was there before stays as it was."""
    entries: dict[str, Any] = {}
    sums: dict[str, int] = {}
    end = 0
    for name, parts in contents.arrays.items():
        dtype = parts[0].dtype.newbyteorder("<")
        shape = [sum(len(part) for part in parts), *parts[0].shape[1:]]
        start, end = end, end + dtype.itemsize * int(np.prod(shape))
        entries[name] = {
            "dtype": NAMES[dtype.str],
            "shape": shape,
            "data_offsets": [start, end],
        }
        sums[name] = _sum(_bytes_of(parts, dtype))
    values = json.dumps({"format": FORMAT, "sums": sums, "values": contents.values})
    metadata = {KEY: values, SUM: _sum_of_header(entries, values)}
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-(8 + len(header)) % 64)  # so that the rows are aligned
    whole = Path(path).absolute()
    part = whole.with_name(f".{whole.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for name, parts in contents.arrays.items():
                for block in _bytes_of(parts, np.dtype(DTYPES[entries[name]["dtype"]])):
                    file.write(block)
            file.flush()
            os.fsync(file.fileno())
        part.replace(whole)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(whole.parent)


def read(path: PathLike, on_disk: Sequence[str] = ()) -> Contents:
    """Return what `write` wrote; some arrays as read-only memory maps.

    Raises
    ------
    ValueError
        If the file is damaged, cut off, of a later version, or none of these files.
    """
    try:
        with Path(path).open("rb") as file:
            values, entries, start = _read_header(file)
            arrays: dict[str, Sequence[Array]] = {}
            for name, entry in entries.items():
                array = _read_array(file, start, entry, name in on_disk)
                if _sum(_bytes_of([array], array.dtype)) != values["sums"][name]:
                    raise ValueError(f"the sum over {name!r} is another one")
                arrays[name] = [array]
            return Contents(values["values"], arrays)
    except NOT_OURS as error:
        raise ValueError(
            f"{str(path)!r} is not a whole file of CrossModalRetriever.save: {error}."
        ) from error


def _read_header(file: BinaryIO) -> tuple[dict, dict, int]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LARGEST_HEADER):
        raise ValueError("it is cut off, or of another format")
    entries = json.loads(file.read(length))
    metadata = entries.pop("__metadata__", {})
    if KEY not in metadata:
        raise ValueError("it holds no gallery")
    values = json.loads(metadata[KEY])
    if values["format"] != FORMAT:
        raise ValueError(
            f"it is of version {values['format']!r:.20} of the format and this skcca reads "
            f"version {FORMAT}; use the release that wrote it, or a later one"
        )
    if metadata[SUM] != _sum_of_header(entries, metadata[KEY]):
        raise ValueError("the sum over its header is another one")
    end = 0
    for entry in entries.values():
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        if not all(isinstance(n, int) and n >= 0 for n in [*shape, start, stop]):
            raise ValueError("a size is no number")
        n_bytes = np.dtype(DTYPES[entry["dtype"]]).itemsize
        for n in shape:
            n_bytes *= n  # of Python's integers: a product that wraps around would pass
        if start != end or stop - start != n_bytes:
            raise ValueError("the places of its arrays do not follow one another")
        end = stop
    if size != 8 + length + end:
        raise ValueError(f"it has {size} bytes in place of {8 + length + end}")
    return values, entries, 8 + length


def _read_array(file: BinaryIO, start: int, entry: dict, on_disk: bool) -> Array:
    dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
    offset = start + entry["data_offsets"][0]
    if on_disk and 0 not in shape:
        return np.asarray(np.memmap(file, dtype, "r", offset, shape))
    file.seek(offset)
    array = np.fromfile(file, dtype, int(np.prod(shape))).reshape(shape)
    array.flags.writeable = False
    return array


def _bytes_of(parts: Sequence[Array], dtype: np.dtype) -> Iterator[bytes]:
    """Yield the bytes of arrays that stand below one another, in blocks."""
    for part in parts:
        row = max(1, dtype.itemsize * int(np.prod(part.shape[1:])))
        step = max(1, BLOCK // row)
        for start in range(0, len(part), step):
            yield np.ascontiguousarray(part[start : start + step], dtype=dtype).tobytes()


def _sum(blocks: Iterator[bytes]) -> int:
    total = 0
    for block in blocks:
        total = zlib.crc32(block, total)
    return total


def _sum_of_header(entries: dict, values: str) -> str:
    return str(_sum(iter([json.dumps(entries).encode(), values.encode()])))


def _sync_folder(folder: Path) -> None:
    """Make a new name last through a power cut, where folders can be opened."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
