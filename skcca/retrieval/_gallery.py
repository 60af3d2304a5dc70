"""Galleries: prepared rows and their ids, which grow while other threads read.

A snapshot never changes, adding is amortised and copies no row that is there, ids are unique, and a
refused call changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcca._core.types import ArrayLike
from skcca.retrieval._search import Block

Array = np.ndarray
Id = int | str
LARGEST_ID = 2**62


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A gallery at one moment."""

    blocks: tuple[Block, ...]
    ids: Array  # (n,), int64 or fixed-width strings
    # Larger than every integer that ever was an id.
    next_id: int
    # Counts the removals, after which the rows have other positions.
    numbering: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def width(self) -> int | None:
        """Columns of a row; None in an empty gallery."""
        return self.blocks[0].values.shape[1] if self.blocks else None

    def since(self, start: int) -> tuple[Block, ...]:
        """Return the rows from a position on."""
        blocks = []
        for values, max_norm in self.blocks:
            if start < len(values):
                blocks.append(Block(values[start:], max_norm))
            start = max(0, start - len(values))
        return tuple(blocks)

    def take(self, positions: Array) -> Array:
        """Return the rows at rising positions, in one array."""
        rows, first = [], 0
        for values, _ in self.blocks:
            inside = positions[(positions >= first) & (positions < first + len(values))]
            rows.append(values[inside - first])
            first += len(values)
        return np.concatenate(rows)


EMPTY = Snapshot((), np.empty(0, dtype=np.int64), 0, 0)


class Gallery:
    """Snapshots that replace one another; any thread may read the latest, or change it.

    Rows are appended behind those of the snapshot, into spare room of their array. Where there is
    none, an array for as many rows again is made, and the rows that are there stay where they are.

    Where the first block is a memory map, `verify` is called with its values before any row is
    used; it returns the measured block, or raises if the file is damaged.
    """

    def __init__(
        self, snapshot: Snapshot = EMPTY, verify: Callable[[Array], Block] | None = None
    ) -> None:
        self.snapshot = snapshot
        self._verify = verify
        # The array whose first rows are the last block, and that of the ids.
        self._room: Array | None = None
        self._id_room: Array = snapshot.ids
        # Positions by id, made when they are first needed.
        self._positions: dict[Id, int] | None = None
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"snapshot": self.verified()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Gallery.__init__(self, state["snapshot"])

    def verified(self) -> Snapshot:
        """Return the latest snapshot, after its memory map was checked."""
        if self._verify is not None:
            # One thread reads the file, and the others wait for what it says.
            with self._lock:
                if self._verify is not None:
                    first, *others = self.snapshot.blocks
                    blocks = (self._verify(first.values), *others)
                    self.snapshot = replace(self.snapshot, blocks=blocks)
                    self._verify = None
        return self.snapshot

    def add(self, rows: Array, ids: Array | None, caller: str) -> None:
        """Append prepared rows under their ids, or under new integers."""
        with self._lock:
            old = self.snapshot
            ids = self._new_ids(len(rows), caller) if ids is None else ids
            self._check_new_ids(ids, caller)
            if old.width not in (None, rows.shape[1]):
                raise ValueError(
                    f"{caller}: prepared for the metric, the items have {rows.shape[1]} columns, "
                    f"but those of the gallery have {old.width}; embed all by the same model."
                )
            if not len(rows):
                return
            blocks = self._append_rows(rows)
            all_ids = self._append_ids(ids)
            if self._positions is not None:
                new = range(len(old), len(old) + len(ids))
                self._positions.update(zip(ids.tolist(), new, strict=True))
            next_id = old.next_id
            if ids.dtype.kind == "i":
                next_id = max(next_id, int(ids.max()) + 1)
            self.snapshot = Snapshot(blocks, all_ids, next_id, old.numbering)

    def remove(self, ids: Array, caller: str) -> None:
        """Remove items; the others are copied together."""
        with self._lock:
            old, positions = self.verified(), self._position_of_ids()
            unknown = [i for i in ids.tolist() if i not in positions]
            if unknown:
                raise ValueError(
                    f"{caller}: {len(unknown)} of {len(ids)} ids are not in the gallery, the first "
                    f"of them {unknown[0]!r}; nothing was removed."
                )
            remains = np.ones(len(old), dtype=bool)
            remains[[positions[i] for i in ids.tolist()]] = False
            remaining = np.flatnonzero(remains)
            blocks: tuple[Block, ...] = ()
            if len(remaining):
                blocks = (Block.measure(_read_only(old.take(remaining))),)
            self._room, self._positions = None, None
            # An empty gallery takes ids of either kind.
            self._id_room = _read_only(old.ids[remains]) if len(remaining) else EMPTY.ids
            self.snapshot = Snapshot(blocks, self._id_room, old.next_id, old.numbering + 1)

    def _position_of_ids(self) -> dict[Id, int]:
        if self._positions is None:
            self._positions = {name: i for i, name in enumerate(self.snapshot.ids.tolist())}
        return self._positions

    def _new_ids(self, n: int, caller: str) -> Array:
        old = self.snapshot
        if len(old) and old.ids.dtype.kind == "U":
            raise ValueError(
                f"{caller}: the ids of the gallery are strings, such as {old.ids[0]!s:.40}; give "
                "`ids` for the new items."
            )
        if old.next_id + n - 1 > LARGEST_ID:
            raise ValueError(
                f"{caller}: the integers behind {old.next_id - 1}, the largest id, are used up; "
                "give `ids` for the new items."
            )
        return np.arange(old.next_id, old.next_id + n)

    def _check_new_ids(self, ids: Array, caller: str) -> None:
        old = self.snapshot
        if len(old) and len(ids) and ids.dtype.kind != old.ids.dtype.kind:
            kinds = {"i": "integers", "U": "strings"}
            raise TypeError(
                f"{caller}: `ids` are {kinds[ids.dtype.kind]}, but those of the gallery are "
                f"{kinds[old.ids.dtype.kind]}; ids are of one kind."
            )
        names, counts = np.unique(ids, return_counts=True)
        if len(names) < len(ids):
            raise ValueError(
                f"{caller}: `ids` holds {names[counts > 1][0].item()!r} more than once; nothing "
                "was added."
            )
        # Integers that never were ids need no look-up.
        if ids.dtype.kind == "i" and (not len(ids) or ids.min() >= old.next_id):
            return
        taken = [i for i in ids.tolist() if i in self._position_of_ids()] if len(old) else []
        if taken:
            raise ValueError(
                f"{caller}: {len(taken)} of {len(ids)} ids are in the gallery already, the first "
                f"of them {taken[0]!r}; nothing was added. Remove them first."
            )

    def _append_rows(self, rows: Array) -> tuple[Block, ...]:
        old, new = self.snapshot, Block.measure(rows)
        if self._room is not None and np.can_cast(rows.dtype, self._room.dtype):
            *before, (values, max_norm) = old.blocks
            end = len(values) + len(rows)
            if end <= len(self._room):
                self._room[len(values) : end] = rows
                grown = Block(_read_only(self._room[:end]), max(max_norm, new.max_norm))
                return (*before, grown)
        self._room = np.empty((max(len(rows), len(old)), rows.shape[1]), dtype=rows.dtype)
        self._room[: len(rows)] = rows
        return (*old.blocks, Block(_read_only(self._room[: len(rows)]), new.max_norm))

    def _append_ids(self, ids: Array) -> Array:
        n, end = len(self.snapshot), len(self.snapshot) + len(ids)
        dtype = np.result_type(self._id_room, ids) if n else ids.dtype
        if end > len(self._id_room) or dtype != self._id_room.dtype or n == 0:
            room = np.empty(max(end, 2 * n), dtype=dtype)
            room[:n] = self.snapshot.ids
            self._id_room = room
        self._id_room[n:end] = ids
        return _read_only(self._id_room[:end])


def check_ids(ids: ArrayLike, n: int | None, caller: str) -> Array:
    """Return ids as int64 or strings; there must be `n` of them, unless that is None."""
    # The items have an order, and a set has none.
    unordered = isinstance(ids, (set, frozenset, dict)) and n is not None
    is_list = hasattr(ids, "__iter__") and getattr(ids, "ndim", 1) > 0
    if isinstance(ids, (str, bytes)) or unordered or not is_list:
        raise TypeError(f"{caller}: `ids` is {ids!r:.60}; expected a list or array of ids.")
    values = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    if n is not None and len(values) != n:
        raise ValueError(f"{caller}: `ids` has {len(values)} entries for {n} items.")
    if not values:
        return EMPTY.ids
    kinds = [_kind(value) for value in values]
    wrong = [v for v, kind in zip(values, kinds, strict=True) if kind is None or kind != kinds[0]]
    if wrong:
        raise TypeError(
            f"{caller}: ids are integers or strings, all of one kind; got {wrong[0]!r:.60} "
            f"({type(wrong[0]).__name__}) among {len(values)}."
        )
    if kinds[0] == "U":
        if any(value.endswith("\0") for value in values):
            raise ValueError(f"{caller}: an id ends with a zero character, which NumPy drops.")
        return np.array(values, dtype=str)
    if min(values) < -LARGEST_ID or max(values) > LARGEST_ID:
        raise ValueError(f"{caller}: an integer id lies beyond 2**62; give it as a string.")
    return np.array(values, dtype=np.int64)


def _kind(value: object) -> str | None:
    """Return "i" for an integer, "U" for a string, None for anything else."""
    if isinstance(value, str):
        return "U"
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return "i" if is_integer else None


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
