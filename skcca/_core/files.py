"""Files of arrays and plain values: written atomically, checksummed, read without running code.

A file appears under its name only once it is whole and on the disk: every file goes through
`atomic_write`, and through `parsing` when it is read. The format is safetensors: the length of a
header, a JSON header, the bytes of the arrays. NumPy writes it block by block, because an array may
be larger than the memory, and reads it, because an array may stay on the disk as a memory map.
`save_tree` and `load_tree` lay dicts, lists, tensors and arrays into this format.

Version 2 of the header has two texts in ``__metadata__``: ``skcca``, the JSON of `format`, `kind`,
`checksums` (CRC-32, by array) and `values`; and ``skcca.checksum``, the CRC-32 of that text and of
the entries of the arrays. Version 1, which is still read, had galleries under ``skcca.gallery`` and
``skcca.sum``, and models without checksums under ``skcca``.
"""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

PathLike = str | os.PathLike[str]
Array = np.ndarray
JsonDict = dict[str, Any]
FORMAT = 2
KEY, CHECKSUM = "skcca", "skcca.checksum"
GALLERY, MODEL = "gallery", "model"
# Keys of version 1.
GALLERY_KEY_1, CHECKSUM_1 = "skcca.gallery", "skcca.sum"
# The limit of safetensors, in bytes.
LARGEST_HEADER = 10**8
# NumPy has no bfloat16; its two bytes are carried as they are.
BFLOAT16 = np.dtype("V2")
DTYPES = {"BOOL": "|b1", "BF16": BFLOAT16.str, "C64": "<c8"}
DTYPES |= {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
DTYPES |= {"I8": "|i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
DTYPES |= {"U8": "|u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
BLOCK = 2**22  # bytes
# Errors of the system that come from content, such as a place before the beginning of the file.
_OF_CONTENT = (None, errno.EISDIR, errno.EINVAL)
# Beginning of the names of files and folders that are being written.
PARTIAL = ".skcca-"


class Contents(NamedTuple):
    """Plain values, and arrays by name, each in one part or in several below one another."""

    kind: str
    values: Any
    arrays: Mapping[str, Sequence[Array]]
    # Of the arrays that `read` left on the disk, unchecked.
    checksums: dict[str, int] = {}
    version: int = FORMAT


class UnreadableFileError(ValueError):
    """Error for a file whose content cannot be used; it names the file."""


@contextmanager
def parsing(refusal: str, cure: str = "") -> Iterator[None]:
    """Raise `refusal` and the reason for whatever damaged or foreign content makes a parser raise.

    The text of `cure` comes last. What the system says, of a missing file or package or of too
    little memory, stays what it is.
    """
    try:
        yield
    except (UnreadableFileError, MemoryError, ImportError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _OF_CONTENT:
            raise
        plain = isinstance(error, (ValueError, RuntimeError))
        reason = str(error) if plain else repr(error)
        raise UnreadableFileError(f"{refusal}: {reason}.{cure}") from error


def damaged(path: PathLike) -> str:
    """Return the refusal of a file that this library should have written."""
    return f"{str(path)!r} is not a whole file that skcca wrote"


@contextmanager
def naming(path: PathLike, part: PathLike | None = None) -> Iterator[None]:
    """Name the file in errors of the system that name none or its part, as of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.EIO, str(error), str(path)) from error
        if error.filename in (None, part and str(part)):
            error.filename = str(path)
        raise


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Yield a binary file that replaces the one under `path` once it is whole and on the disk.

    After an error the old file stays. The new one is written in the same folder, under a name of
    its own for each writer. As if the old one had been overwritten, its permissions are kept, and a
    link stays a link to what is replaced; a first file has the permissions that the umask leaves.
    """
    target = Path(os.path.realpath(path))
    # A device or a pipe would be lost under a file.
    if os.path.lexists(target) and not os.path.isfile(target):
        raise FileExistsError(
            errno.EEXIST, "It is no file, and none is put in its place", str(path)
        )
    part = target.with_name(f"{PARTIAL}{secrets.token_hex(8)}.part")
    try:
        with naming(path, part), part.open("xb") as file:
            # There is no file yet, or the file system has no permissions.
            with suppress(OSError):
                shutil.copymode(target, part)
            yield file
            file.flush()
            # Without it, a power cut after the renaming could leave an empty file.
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    # A power cut could also undo the renaming. Windows and some mounts cannot do it.
    with suppress(OSError, AttributeError):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_writable(path: PathLike, what: str) -> None:
    """Refuse a name under which no file can be written, before anything is trained."""
    if "\0" in str(path):
        raise ValueError(f"{what}={str(path)!r} is no name of a file.")
    file = Path(os.path.realpath(path))
    # Unlike the methods of `Path`, these take names of any length.
    if os.path.lexists(file) and not os.path.isfile(file):
        reason = "is a folder" if os.path.isdir(file) else "is no file that can be replaced"
    elif not file.parent.is_dir():
        reason = "lies in a folder that is not there"
    elif os.path.isfile(file) and not os.access(file, os.W_OK):
        reason = "is protected from writing"
    else:
        try:
            with suppress(FileNotFoundError):
                file.lstat()
            with tempfile.NamedTemporaryFile(dir=file.parent, prefix=PARTIAL):
                return
        except OSError as error:
            raise ValueError(f"{what}={str(path)!r} cannot be written: {error}.") from error
    raise ValueError(f"{what}={str(path)!r} {reason}; name a file in a folder that exists.")


def write(path: PathLike, contents: Contents) -> None:
    """Write values and arrays; TypeError for a dtype that the format does not know."""
    entries: JsonDict = {}
    checksums: dict[str, int] = {}
    end = 0
    for name, parts in contents.arrays.items():
        first = parts[0]
        dtype = first.dtype.newbyteorder("<")
        if dtype.str not in NAMES:
            raise TypeError(f"An array of dtype {first.dtype} cannot be kept; use pickle for it.")
        shape = [sum(map(len, parts)), *first.shape[1:]] if first.ndim else []
        start, end = end, end + dtype.itemsize * math.prod(shape)
        entries[name] = {"dtype": NAMES[dtype.str], "shape": shape, "data_offsets": [start, end]}
        checksums[name] = checksum(parts)
    header = _encode_header(entries, contents.kind, contents.values, checksums)
    with atomic_write(path) as file:
        file.write(header)
        for parts in contents.arrays.values():
            for block in _blocks(parts):
                file.write(block)


def _encode_header(entries: JsonDict, kind: str, values: Any, checksums: dict[str, int]) -> bytes:
    header = {"format": FORMAT, "kind": kind, "checksums": checksums, "values": values}
    # Scalars of NumPy become numbers of Python.
    text = json.dumps(header, default=np.generic.item)
    metadata = {KEY: text, CHECKSUM: _header_checksum(entries, text)}
    content = json.dumps({"__metadata__": metadata, **entries}).encode()
    # The first array begins at a multiple of 64 bytes, so that its memory map is aligned.
    content += b" " * (-(8 + len(content)) % 64)
    if len(content) > LARGEST_HEADER:
        raise ValueError(
            f"The values beside the arrays take {len(content)} bytes; a file holds "
            f"{LARGEST_HEADER}."
        )
    return len(content).to_bytes(8, "little") + content


def _header_checksum(entries: JsonDict, text: str) -> str:
    return str(zlib.crc32((json.dumps(entries) + text).encode()))


def checksum(parts: Sequence[Array]) -> int:
    """Return the CRC-32 of the bytes of arrays that stand below one another."""
    total = 0
    for block in _blocks(parts):
        total = zlib.crc32(block, total)
    return total


def _blocks(parts: Sequence[Array]) -> Iterator[bytes]:
    """Yield the bytes of arrays, little-endian and row by row, in blocks."""
    dtype = parts[0].dtype.newbyteorder("<")
    for part in map(np.atleast_1d, parts):
        row_bytes = max(1, dtype.itemsize * math.prod(part.shape[1:]))
        step = max(1, BLOCK // row_bytes)
        for start in range(0, len(part), step):
            yield np.ascontiguousarray(part[start : start + step], dtype=dtype).tobytes()


def read(path: PathLike, kind: str, on_disk: Sequence[str] = ()) -> Contents:
    """Return what `write` wrote; ValueError for damaged, later, and foreign files.

    Arrays named in `on_disk` are read-only memory maps. They are not read here: their user compares
    their `checksum` with that in the result.
    """
    # No path, as None, is no fault of a file.
    source = Path(os.fsdecode(path))
    with parsing(damaged(source)), source.open("rb") as file:
        header, entries, start = _read_header(file, kind)
        checksums = header["checksums"]
        arrays: dict[str, Sequence[Array]] = {}
        for name, entry in entries.items():
            array = _read_array(file, start, entry, name in on_disk)
            arrays[name] = [array]
            checked = checksums is not None and name not in on_disk
            if checked and checksum([array]) != checksums[name]:
                raise ValueError(f"the checksum of {name!r} is another one")
        unchecked = {name: checksums[name] for name in on_disk}
        return Contents(kind, header["values"], arrays, unchecked, header["format"])


def _read_header(file: BinaryIO, kind: str) -> tuple[JsonDict, JsonDict, int]:
    """Return the header, the entries of the arrays, and where their bytes begin."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    # A length that is only claimed must not make `read` allocate.
    if size < 8 or length > min(size - 8, LARGEST_HEADER):
        raise ValueError("it is cut off, or of another format")
    entries = json.loads(file.read(length))
    header = _decode_metadata(entries, kind)
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: entry["data_offsets"]):
        shape, (start, stop) = entry["shape"], entry["data_offsets"]
        if not all(isinstance(n, int) and n >= 0 for n in [*shape, start, stop]):
            raise ValueError("a size is no number")
        # Python's integers, since a product that wraps around would pass.
        n_bytes = np.dtype(DTYPES[entry["dtype"]]).itemsize * math.prod(shape)
        if start != end or stop - start != n_bytes:
            raise ValueError("the places of its arrays do not follow one another")
        end = stop
    if size != 8 + length + end:
        raise ValueError(f"it has {size} bytes in place of {8 + length + end}")
    return header, entries, 8 + length


def _decode_metadata(entries: JsonDict, kind: str) -> JsonDict:
    """Take the metadata out of the entries, and return the header in the layout of version 2."""
    metadata = entries.pop("__metadata__", {})
    if GALLERY_KEY_1 in metadata:
        text, expected = metadata[GALLERY_KEY_1], metadata[CHECKSUM_1]
        header = json.loads(text)
        header |= {"kind": GALLERY, "checksums": header["sums"]}
    elif KEY in metadata:
        text, expected = metadata[KEY], metadata.get(CHECKSUM)
        header = json.loads(text)
        # Models of version 1 have no checksums, neither of the header nor of the arrays.
        if not isinstance(header, dict) or "format" not in header:
            header = {"format": 1, "kind": MODEL, "checksums": None, "values": header}
            expected = _header_checksum(entries, text)
    else:
        raise ValueError(f"it holds no {kind}")
    if header["format"] not in (1, FORMAT):
        raise ValueError(
            f"it is of version {header['format']!r:.20} of the format and this skcca reads "
            f"versions 1 to {FORMAT}; use the release that wrote it, or a later one"
        )
    if header["kind"] != kind:
        raise ValueError(f"it holds no {kind}")
    if expected != _header_checksum(entries, text):
        raise ValueError("the checksum of its header is another one")
    return dict(header)


def _read_array(file: BinaryIO, start: int, entry: JsonDict, on_disk: bool) -> Array:
    dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
    offset = start + entry["data_offsets"][0]
    # A map of no bytes is refused by the system.
    if on_disk and 0 not in shape:
        return np.asarray(np.memmap(file, dtype, "r", offset, shape))
    file.seek(offset)
    return np.fromfile(file, dtype, math.prod(shape)).reshape(shape)


def save_tree(path: PathLike, tree: Any) -> None:
    """Write a tree of dicts, lists, tuples, tensors, arrays and plain values."""
    arrays: dict[str, Array] = {}
    values = _encode(tree, arrays)
    # Wide numbers come first, so that all are aligned for readers that map them.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    write(path, Contents(MODEL, values, {name: [arrays[name]] for name in order}))


def load_tree(path: PathLike, torch: ModuleType) -> Any:
    """Return what `save_tree` wrote; `torch` is passed because this layer does not import it."""
    contents = read(path, MODEL)
    arrays = {name: array for name, (array,) in contents.arrays.items()}
    # Tensors of inference mode could not be trained, or loaded by a network.
    with parsing(damaged(path)), torch.inference_mode(False):
        return _decode(contents.values, arrays, torch)


def _encode(node: Any, arrays: dict[str, Array]) -> Any:
    """Return the JSON of a tree; its arrays are added to `arrays` and named there."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, np.generic) and not isinstance(node.item(), np.generic):
        return _encode(node.item(), arrays)
    if isinstance(node, dict):
        return {"dict": [[_encode(k, arrays), _encode(v, arrays)] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        kind = "list" if isinstance(node, list) else "tuple"
        return {kind: [_encode(value, arrays) for value in node]}
    if isinstance(node, np.ndarray) and node.dtype.kind in "UO":
        values = [_encode(value, arrays) for value in node.ravel().tolist()]
        return {"strings": values, "kind": node.dtype.str, "shape": list(node.shape)}
    name = str(len(arrays))
    if isinstance(node, np.ndarray):
        arrays[name] = node
        return {"array": name}
    if hasattr(node, "detach"):
        arrays[name] = _tensor_to_array(node)
        return {"tensor": name}
    if f"{type(node).__module__}.{type(node).__name__}" == "torch.dtype":
        return {"dtype": str(node)}
    raise TypeError(
        f"A value of type {type(node).__name__} cannot be kept in a file that executes nothing; "
        "use pickle for it."
    )


def _tensor_to_array(tensor: Any) -> Array:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) != "torch.bfloat16":
        return np.asarray(tensor.numpy())
    # A bfloat16 is the upper half of the float32 of the same value.
    bits = tensor.float().numpy().view(np.uint32) >> 16
    return bits.astype("<u2").view(BFLOAT16)


def _decode(node: Any, arrays: Mapping[str, Array], torch: ModuleType) -> Any:
    """Return the tree that `_encode` was given."""
    if not isinstance(node, dict):
        return node
    kind, *_ = node
    value = node[kind]
    if kind == "dict":
        return {_decode(k, arrays, torch): _decode(v, arrays, torch) for k, v in value}
    if kind in ("list", "tuple"):
        items = [_decode(item, arrays, torch) for item in value]
        return items if kind == "list" else tuple(items)
    if kind == "dtype":
        dtype = getattr(torch, value.removeprefix("torch."))
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"{value!r} is no dtype")
        return dtype
    if kind == "strings":
        return _decode_strings([_decode(v, arrays, torch) for v in value], node)
    if kind == "array":
        return arrays[value]
    if kind != "tensor":
        raise ValueError(f"{kind!r:.40} is no kind of node")
    array = arrays[value]
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view("<i2")).view(torch.bfloat16)
    return torch.from_numpy(array)


def _decode_strings(values: list[Any], node: JsonDict) -> Array:
    dtype = np.dtype(node["kind"])
    if dtype.kind not in "UO":
        raise ValueError(f"{node['kind']!r:.40} is no dtype of strings")
    if dtype.kind == "U":
        # Neither a width that is only claimed nor one long text may fill the memory.
        widest = 64 * (1 + sum(map(len, values)) // max(len(values), 1))
        longest = max(map(len, values), default=1)
        if dtype.itemsize > 4 * widest:
            dtype = np.dtype(f"U{longest}" if longest <= widest else "O")
    array = np.empty(len(values), dtype=dtype)
    # One by one, because NumPy would make a second axis of entries that are lists.
    for i, value in enumerate(values):
        array[i] = value
    return array.reshape(node["shape"])
