"""Files of retrievers: the items, the settings, and the estimator or its fingerprint."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from skcca._core import files
from skcca._core.files import GALLERY, Contents, PathLike, checksum
from skcca._core.types import Estimator
from skcca.retrieval._gallery import EMPTY, Gallery, LockOwner, Snapshot
from skcca.retrieval._ids import LARGEST_ID, repeated_id
from skcca.retrieval._search import Block
from skcca.retrieval._space import FittedSpace, fingerprint
from skcca.views._projection import unwrap

Array = np.ndarray
# Estimators that a gallery's file can hold, and their modules.
LOADABLE = {"DCCA": "skcca.dcca", "SupervisedDCCA": "skcca.dcca"}
# Parameters that the file takes from the retriever; the others are those of its space.
RETRIEVER_PARAMS = ("index", "index_params", "aggregate", "add_training")
LAST_CHARACTER = 0x10FFFF
# `add` makes no longer rows.
LARGEST_ROW = 1e154


def write_gallery(path: PathLike, space: FittedSpace, params: dict[str, Any]) -> None:
    """Write a snapshot of a gallery, the parameters, and the estimator where a file can hold it."""
    files.check_writable(path, "CrossModalRetriever.save: `path`")
    gallery = space.gallery.compact()
    arrays = {"rows": _parts(gallery), "ids": [_ids_to_numbers(gallery.ids)]}
    values: dict[str, Any] = {
        "params": params | {"direction": space.direction, "metric": space.metric},
        "in_views": space.in_views,
        "next_id": gallery.next_id,
    }
    if space.estimator is not None:
        space.check_same_fit("CrossModalRetriever.save")
        values["estimator"] = fingerprint(space.estimator)
        model = unwrap(space.estimator)
        values["inside"] = type(model).__name__ in LOADABLE and hasattr(model, "save")
        if values["inside"]:
            arrays["estimator"] = [_estimator_to_bytes(model)]
    files.write(path, Contents(GALLERY, values, arrays))


def read_gallery(
    path: PathLike, estimator: Estimator | None, mmap: bool
) -> tuple[dict[str, Any], Estimator | None, bool, Gallery]:
    """Return the parameters, the estimator, whether it was fitted on Views, and the items."""
    contents = files.read(path, GALLERY, ["rows"] if mmap else [])
    name = f"CrossModalRetriever.load: {str(path)!r}"
    try:
        with files.parsing(f"{name} does not hold what it must"):
            return _rebuild(path, contents, estimator, mmap)
    except _Mismatch as error:
        raise ValueError(f"{name} {error}.") from None


def _rebuild(
    path: PathLike, contents: Contents, estimator: Estimator | None, mmap: bool
) -> tuple[dict[str, Any], Estimator | None, bool, Gallery]:
    _, values, arrays, unchecked, _ = contents
    saved = values.get("estimator")
    if saved is None and estimator is not None:
        raise _Mismatch("was written without an estimator; leave `estimator` out")
    if saved is not None and estimator is None:
        if not values["inside"]:
            raise _Mismatch(
                f"holds items that a fitted {saved['class']} embedded, but not that model; "
                "give it: load(path, estimator=model)"
            )
        estimator = _estimator_from_bytes(arrays["estimator"][0], saved["class"])
    elif saved is not None:
        _check_fingerprint(saved, fingerprint(estimator))
    names = (*RETRIEVER_PARAMS, "direction", "metric")
    params = {name: values["params"][name] for name in names}
    rows = SavedRows(path, arrays["rows"][0], unchecked.get("rows"))
    snapshot = _snapshot(rows, arrays["ids"][0], values["next_id"])
    if not mmap:
        snapshot = replace(snapshot.verified(), verify=None)
    return params, estimator, bool(values["in_views"]), Gallery(snapshot)


class _Mismatch(files.UnreadableFileError):
    """The file is undamaged, but what it holds cannot be used."""


def _check_fingerprint(saved: dict[str, Any], other: dict[str, Any]) -> None:
    """Refuse an estimator other than the one that embedded the items."""
    if saved["class"] != other["class"]:
        raise _Mismatch(
            f"holds items that a {saved['class']} embedded; the estimator given is a "
            f"{other['class']}"
        )
    if saved["widths"] != other["widths"]:
        raise _Mismatch(
            f"holds items of an estimator for views of {saved['widths']} features; that given is "
            f"for {other['widths']}"
        )
    if saved.keys() != other.keys():
        raise _Mismatch(
            f"was written by a release that hashes a {saved['class']} otherwise, so that nothing "
            "tells whether this one embedded the items; begin a new gallery"
        )
    if saved != other:
        raise _Mismatch(
            f"holds items that another fitted {saved['class']} embedded: the weights of the "
            "estimator given are not those"
        )


def _snapshot(saved: SavedRows, ids: Array, next_id: Any) -> Snapshot:
    """Return the items, after checks that a checksum cannot make."""
    rows = saved.rows
    if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) != len(ids):
        raise _Mismatch(f"holds rows of shape {rows.shape} and {len(ids)} ids")
    if ids.ndim == 2:
        if ids.dtype != np.uint32 or ids.max(initial=0) > LAST_CHARACTER:
            raise _Mismatch("holds ids that are no text")
        ids = ids.view(f"<U{ids.shape[1]}").ravel()
    elif ids.dtype != np.int64 or int(ids.max(initial=-1)) >= next_id:
        raise _Mismatch("holds ids beyond the next one")
    if type(next_id) is not int or not 0 <= next_id <= LARGEST_ID + 1:
        raise _Mismatch(f"says that the next id is {next_id!r:.40}")
    if not len(rows):
        return replace(EMPTY, next_id=next_id)
    if repeated_id(ids) is not None:
        raise _Mismatch("holds an id twice")
    for array in (rows, ids):
        array.flags.writeable = False
    # The longest row is not known before the rows are verified.
    return Snapshot((Block(rows, np.inf),), ids, next_id, 0, verify=saved.max_norm)


class SavedRows(LockOwner):
    """Rows of a file, which stay on the disk where they are a memory map."""

    def __init__(self, path: PathLike, rows: Array, expected: int | None) -> None:
        super().__init__()
        self.rows = rows
        self._path = path
        # The checksum of a memory map, which was not read yet.
        self._expected = expected
        self._max_norm: float | None = None

    def max_norm(self) -> float:
        """Return the length of the longest row; refuse a file that is damaged, or was cut since."""
        mapped: Any = self.rows.base
        on_disk = isinstance(mapped, np.memmap)
        # Reading behind the end of a file would kill the process.
        if on_disk and mapped.base.size() < mapped.offset + mapped.nbytes:
            raise files.UnreadableFileError(
                f"{files.damaged(self._path)}: it was cut off after it was opened."
            )
        # One thread reads the file, and the others wait for what it says.
        with self.lock:
            if self._max_norm is None:
                self._max_norm = self._measure()
            return self._max_norm

    def _measure(self) -> float:
        if self._expected is not None and checksum([self.rows]) != self._expected:
            raise files.UnreadableFileError(
                f"{files.damaged(self._path)}: the checksum of 'rows' is another one."
            )
        max_norm = Block.measure(self.rows).max_norm
        # Not `>=`, which NaN would pass.
        if not max_norm < LARGEST_ROW:
            raise ValueError(
                f"CrossModalRetriever.load: {str(self._path)!r} holds items with NaN or infinity, "
                "or out of range."
            )
        return max_norm


def _parts(gallery: Snapshot) -> list[Array]:
    """Return the rows in one precision, the widest that occurs."""
    parts = [block.values for block in gallery.blocks] or [np.empty((0, 1), dtype=np.float32)]
    dtype = np.result_type(*parts)
    return [part.astype(dtype, copy=False) for part in parts]


def _ids_to_numbers(ids: Array) -> Array:
    """Return integers as they are, and strings as code points (n, length)."""
    if ids.dtype.kind == "i":
        return ids
    text = np.ascontiguousarray(ids, dtype=ids.dtype.newbyteorder("<"))
    return text.view("<u4").reshape(len(ids), -1)


def _estimator_to_bytes(model: Estimator) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estimator"
        model.save(file)
        return np.frombuffer(file.read_bytes(), dtype=np.uint8)


def _estimator_from_bytes(content: Array, name: str) -> Estimator:
    if name not in LOADABLE:
        raise _Mismatch(f"holds a {name!r:.40}, which is no estimator that can be kept in a file")
    kind = getattr(import_module(LOADABLE[name]), name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estimator"
        file.write_bytes(content.tobytes())
        try:
            return kind.load(file)
        except ValueError as error:
            raise _Mismatch(
                f"does not give back its {name}; load that on its own, and give it: load(path, "
                f"estimator=model). {error}"
            ) from error
