"""What a retriever's file holds: its items, its settings, and its estimator or how to know it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from skcca._core.files import GALLERY, Contents, check_writable, checksum, damaged, read, write
from skcca.retrieval._gallery import EMPTY, Gallery, Snapshot
from skcca.retrieval._search import Rows
from skcca.retrieval._space import Space, fingerprint
from skcca.views._projection import unwrap

PathLike = str | os.PathLike[str]
Array = np.ndarray
LOADABLE = {"DCCA": "skcca.dcca", "SupervisedDCCA": "skcca.dcca"}
KEPT = ("index", "index_params", "aggregate", "add_training")
LAST_CHARACTER = 0x10FFFF
LARGEST_ROW = 1e154  # `add` makes no longer ones


class SavedRetriever(BaseEstimator):
    """A retriever with `save` and `load`."""

    _space: Space

    def _current(self) -> Space:
        raise NotImplementedError

    def _begin(self, estimator: Any, in_views: bool, gallery: Gallery | None = None) -> Space:
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the gallery to one file, which executes nothing when it is read.

        The file replaces what was there once it is whole. A deep estimator is kept inside; of
        another the file knows the class and a hash of what it learned, and `load` wants it given.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format.

        Raises
        ------
        TypeError
            If a deep estimator cannot be kept in a file without code.
        ValueError
            If the estimator was fitted again after the gallery was begun.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from skcca.retrieval import CrossModalRetriever
        >>> retriever = CrossModalRetriever().add([[1.0, 0.0], [0.0, 1.0]], ids=["sun", "sea"])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gallery.safetensors"
        >>> retriever.save(path)
        >>> CrossModalRetriever.load(path).query([[0.2, 0.9]], k=1).ids
        array([['sea']], dtype='<U3')
        """
        _write(self, self._current(), path)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, estimator: Any = None, mmap: bool = True
    ) -> Self:
        """Return the retriever that `save` wrote; its estimator counts as `prefit`.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        estimator : fitted two-view transformer, default=None
            The one that embedded the items, where the file does not hold it.
        mmap : bool, default=True
            Whether the items stay in the file, as a memory map, or are read. Items that are added
            later are kept in memory.

        Returns
        -------
        retriever : CrossModalRetriever
            Ready to `query`, `add` and `remove`.

        Raises
        ------
        ValueError
            If the file is damaged, of another version or none of these, or if the estimator is
            missing or another one.
        """
        params, estimator, in_views, gallery = _read(path, estimator, mmap)
        retriever = cls(estimator, prefit=True, **params)
        retriever._space = retriever._begin(estimator, in_views, gallery)
        return retriever


def _write(retriever: Any, space: Space, path: PathLike) -> None:
    """Write a snapshot of the gallery, the settings, and the estimator where it can be kept."""
    check_writable(path, "CrossModalRetriever.save: `path`")
    gallery = space.gallery.snapshot
    arrays: dict[str, Any] = {"rows": _parts_of(gallery), "ids": [_as_numbers(gallery.ids)]}
    values: dict[str, Any] = {
        "params": {name: getattr(retriever, name) for name in KEPT}
        | {"direction": space.direction, "metric": space.metric},
        "in_views": space.in_views,
        "next_id": gallery.next_id,
    }
    if space.estimator is not None:
        values["estimator"] = fingerprint(space.estimator)
        if space.signature not in (None, values["estimator"]):
            raise ValueError(
                "CrossModalRetriever.save: the estimator was fitted again after the gallery was "
                "begun, so that the items are not where it puts queries; begin a new gallery."
            )
        model = unwrap(space.estimator)
        values["inside"] = type(model).__name__ in LOADABLE and hasattr(model, "save")
        if values["inside"]:
            arrays["estimator"] = [_saved(model)]
    write(path, Contents(GALLERY, _plain(values), arrays))


def _read(path: PathLike, estimator: Any, mmap: bool) -> tuple[dict[str, Any], Any, bool, Gallery]:
    """Return parameters, the fitted estimator, whether it was fitted on Views, and the gallery."""
    _, values, arrays, unchecked = read(path, GALLERY, on_disk=["rows"] if mmap else [])
    if unchecked and checksum(arrays["rows"]) != unchecked["rows"]:
        raise damaged(path, "the checksum of 'rows' is another one")
    try:
        known = values.get("estimator")
        if known is None and estimator is not None:
            raise _Mismatch("was written without an estimator; leave `estimator` out")
        if known is not None and estimator is None:
            if not values["inside"]:
                raise _Mismatch(
                    f"holds items that a fitted {known['class']} embedded, but not that model; "
                    "give it: load(path, estimator=model)"
                )
            estimator = _loaded(arrays["estimator"][0], known["class"])
        elif known is not None:
            _compare(known, fingerprint(estimator))
        params = {name: values["params"][name] for name in (*KEPT, "direction", "metric")}
        gallery = _gallery(arrays["rows"][0], arrays["ids"][0], values["next_id"])
        return params, estimator, bool(values["in_views"]), gallery
    except _Mismatch as error:
        raise ValueError(f"CrossModalRetriever.load: {str(path)!r} {error}.") from None
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"CrossModalRetriever.load: {str(path)!r} does not hold what it must: {error!r}."
        ) from error


class _Mismatch(Exception):
    """A file that is whole, and does not fit."""


def _compare(known: dict[str, Any], given: dict[str, Any]) -> None:
    if known["class"] != given["class"]:
        raise _Mismatch(
            f"holds items that a {known['class']} embedded; the estimator given is a "
            f"{given['class']}"
        )
    if known["widths"] != given["widths"]:
        raise _Mismatch(
            f"holds items of an estimator for views of {known['widths']} features; that given is "
            f"for {given['widths']}"
        )
    if known != given:
        raise _Mismatch(
            f"holds items that another fitted {known['class']} embedded: the weights of the "
            "estimator given are not those"
        )


def _gallery(rows: Array, ids: Array, next_id: Any) -> Gallery:
    """Return the gallery, after checking what sums over bytes cannot tell."""
    if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) != len(ids):
        raise _Mismatch(f"holds rows of shape {rows.shape} and {len(ids)} ids")
    if ids.ndim == 2:
        if ids.dtype != np.uint32 or ids.max(initial=0) > LAST_CHARACTER:
            raise _Mismatch("holds ids that are no text")
        ids = ids.view(f"<U{ids.shape[1]}").ravel()
    elif ids.dtype != np.int64 or ids.max(initial=-1) >= next_id:
        raise _Mismatch("holds ids beyond the next one")
    if type(next_id) is not int or not 0 <= next_id <= 2**62 + 1:
        raise _Mismatch(f"says that the next id is {next_id!r:.40}")
    if not len(rows):
        return Gallery(replace(EMPTY, next_id=next_id))
    if len(np.unique(ids)) < len(ids):
        raise _Mismatch("holds an id twice")
    part = Rows.of(rows)
    if not part.largest < LARGEST_ROW:
        raise _Mismatch("holds items with NaN or infinity, or out of range")
    return Gallery(Snapshot((part,), ids, next_id, 0))


def _parts_of(gallery: Snapshot) -> list[Array]:
    """Return the rows in one precision, the widest that occurs."""
    parts = [part.values for part in gallery.parts] or [np.empty((0, 1), dtype=np.float32)]
    dtype = np.result_type(*parts)
    return [part.astype(dtype, copy=False) for part in parts]


def _as_numbers(ids: Array) -> Array:
    """Return integers as they are, and strings as code points (n, length)."""
    if ids.dtype.kind == "i":
        return ids
    text = np.ascontiguousarray(ids, dtype=ids.dtype.newbyteorder("<"))
    return text.view("<u4").reshape(len(ids), -1)


def _plain(node: Any) -> Any:
    """Return what JSON can hold: NumPy's numbers as Python's."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return node.item() if isinstance(node, np.generic) else node


def _saved(model: Any) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estimator"
        model.save(file)
        return np.frombuffer(file.read_bytes(), dtype=np.uint8)


def _loaded(content: Array, name: str) -> Any:
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
