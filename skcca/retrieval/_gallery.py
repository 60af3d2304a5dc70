"""Galleries: prepared rows and their ids, which change while other threads read.

A snapshot never changes. A change makes the next snapshot beside it, and one assignment puts that
in its place, so that an error or an interrupt leaves the one or the other. Adding is amortised and
copies no row that is there; removed rows are passed over until they are many.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcca._core.types import ArrayLike
from skcca.retrieval._search import Block

Array = np.ndarray
Id = int | str
SMALLEST_ID, LARGEST_ID = -(2**63), 2**63 - 1
# All strings take as many characters as the longest.
LONGEST_ID = 1024
# Removed rows of a gallery are copied away when they are more than this share.
MAX_REMOVED = 1 / 8


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A gallery at one moment. Its rows are items, or were until they were removed."""

    blocks: tuple[Block, ...]
    ids: Array  # (n_rows,), int64 or fixed-width strings
    # Larger than every integer that ever was an id.
    next_id: int
    # Counts the compactions, after which the rows have other positions.
    numbering: int
    # The arrays whose first rows are the last block and the ids; new ones are written behind them.
    room: Array | None = None
    id_room: Array | None = None
    # Where the first block is a memory map: returns the length of its longest row, or raises if
    # the file is damaged or was cut.
    verify: Callable[[], float] | None = None

    def __len__(self) -> int:
        return len(self.ids) - sum(len(block.removed) for block in self.blocks)

    @property
    def width(self) -> int | None:
        """Columns of a row; None in an empty gallery."""
        return self.blocks[0].values.shape[1] if self.blocks else None

    @property
    def is_compact(self) -> bool:
        """Whether every row is an item."""
        return len(self) == len(self.ids)

    def positions(self) -> Array:
        """Return the positions of the items, in rising order."""
        is_item, first = np.ones(len(self.ids), dtype=bool), 0
        for block in self.blocks:
            is_item[first + block.removed] = False
            first += len(block.values)
        return np.flatnonzero(is_item)

    def item_ids(self) -> Array:
        """Return the ids of the items, read-only."""
        return self.ids if self.is_compact else _read_only(self.ids[self.positions()])

    def since(self, start: int) -> tuple[Block, ...]:
        """Return the rows of a compact gallery from a position on."""
        blocks = []
        for block in self.blocks:
            if start < len(block.values):
                blocks.append(block._replace(values=block.values[start:]))
            start = max(0, start - len(block.values))
        return tuple(blocks)

    def take(self, positions: Array) -> Array:
        """Return the rows at rising positions, in one array."""
        return np.concatenate([block.values[inside] for block, inside in self._split(positions)])

    def verified(self) -> Snapshot:
        """Return the same gallery after its memory map was checked, before its rows are used."""
        if self.verify is None:
            return self
        first, *others = self.blocks
        return replace(self, blocks=(first._replace(max_norm=self.verify()), *others))

    def compact(self) -> Snapshot:
        """Return the items alone, copied together where rows were removed."""
        if self.is_compact:
            return self
        positions, numbering = self.positions(), self.numbering + 1
        if not len(positions):
            # An empty gallery takes ids of either kind.
            return replace(EMPTY, next_id=self.next_id, numbering=numbering)
        rows, ids = _read_only(self.take(positions)), _read_only(self.ids[positions])
        return Snapshot((Block.measure(rows),), ids, self.next_id, numbering)

    def without(self, positions: Array) -> Snapshot:
        """Return a gallery in which the rows at these rising positions are no items."""
        blocks = []
        for block, inside in self._split(positions):
            places = np.searchsorted(block.removed, inside)
            blocks.append(block._replace(removed=np.insert(block.removed, places, inside)))
        smaller = replace(self, blocks=tuple(blocks))
        is_sparse = len(smaller) < (1 - MAX_REMOVED) * len(self.ids)
        return smaller.compact() if is_sparse else smaller

    def extended(self, rows: Array, ids: Array) -> Snapshot:
        """Return a gallery with more items.

        They are written behind the rows of this one, into spare room of its arrays. Where there is
        none, an array for as many rows again is made, and the rows that are there stay where they
        are.
        """
        blocks, room = self._append_rows(rows)
        n, end, id_room = len(self.ids), len(self.ids) + len(ids), self.id_room
        dtype = np.result_type(self.ids, ids) if n else ids.dtype
        if id_room is None or end > len(id_room) or dtype != id_room.dtype:
            id_room = np.empty(max(end, 2 * n), dtype=dtype)
            id_room[:n] = self.ids
        id_room[n:end] = ids
        next_id = self.next_id
        if ids.dtype.kind == "i":
            next_id = max(next_id, int(ids.max()) + 1)
        all_ids = _read_only(id_room[:end])
        return Snapshot(blocks, all_ids, next_id, self.numbering, room, id_room, self.verify)

    def _append_rows(self, rows: Array) -> tuple[tuple[Block, ...], Array]:
        new, room = Block.measure(rows), self.room
        if room is not None and np.can_cast(rows.dtype, room.dtype):
            *before, last = self.blocks
            end = len(last.values) + len(rows)
            if end <= len(room):
                room[len(last.values) : end] = rows
                max_norm = max(last.max_norm, new.max_norm)
                grown = last._replace(values=_read_only(room[:end]), max_norm=max_norm)
                return (*before, grown), room
        room = np.empty((max(len(rows), len(self.ids)), rows.shape[1]), dtype=rows.dtype)
        room[: len(rows)] = rows
        return (*self.blocks, new._replace(values=_read_only(room[: len(rows)]))), room

    def _split(self, positions: Array) -> list[tuple[Block, Array]]:
        """Return each block with those of the positions that are in it, counted from its first."""
        parts, first = [], 0
        for block in self.blocks:
            begin, end = np.searchsorted(positions, (first, first + len(block.values)))
            parts.append((block, positions[begin:end] - first))
            first += len(block.values)
        return parts


EMPTY = Snapshot((), np.empty(0, dtype=np.int64), 0, 0)


class LockOwner:
    """Owner of a lock that is free in a forked child, where a thread that held it is not.

    What is changed under the lock is bound by one assignment, so that the child finds it whole.
    """

    make_lock: Callable[[], Any] = staticmethod(threading.RLock)

    def __init__(self) -> None:
        self.lock = self.make_lock()
        _LOCK_OWNERS.add(self)


_LOCK_OWNERS: weakref.WeakSet[LockOwner] = weakref.WeakSet()


def _free_locks() -> None:
    for owner in _LOCK_OWNERS:
        owner.lock = owner.make_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)


class Gallery(LockOwner):
    """Snapshots that replace one another; any thread may read the latest, or change it."""

    def __init__(self, snapshot: Snapshot = EMPTY) -> None:
        super().__init__()
        self.snapshot = snapshot
        # Positions by id, made when they are first needed; None while they are changed.
        self._positions: dict[Id, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        snapshot = self.snapshot.verified().compact()
        # Two galleries must not write into one room.
        return {"snapshot": replace(snapshot, room=None, id_room=None, verify=None)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Gallery.__init__(self, state["snapshot"])

    def compact(self) -> Snapshot:
        """Return the latest snapshot for use, after the removed rows were copied away."""
        if self.snapshot.is_compact:
            return self.snapshot.verified()
        with self.lock:
            compact = self.snapshot.verified().compact()
            self._positions = None
            self.snapshot = compact
            return compact

    def add(self, rows: Array, ids: Array | None, caller: str) -> None:
        """Append prepared rows under their ids, or under new integers."""
        with self.lock:
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
            new = old.extended(rows, ids)
            positions, self._positions = self._positions, None
            if positions is not None:
                positions.update(zip(ids.tolist(), range(len(old.ids), len(new.ids)), strict=True))
            self.snapshot = new
            self._positions = positions

    def remove(self, ids: Array, caller: str) -> None:
        """Remove items; now and then the others are copied together."""
        with self.lock:
            old, positions = self.snapshot.verified(), self._position_of_ids()
            names = set(ids.tolist())
            unknown = [i for i in ids.tolist() if i not in positions]
            if unknown:
                raise ValueError(
                    f"{caller}: {len(unknown)} of {len(ids)} ids are not in the gallery, the first "
                    f"of them {unknown[0]!r}; nothing was removed."
                )
            new = old.without(np.sort(np.array([positions[i] for i in names], dtype=np.intp)))
            self._positions = None
            for name in names:
                del positions[name]
            self.snapshot = new
            if new.numbering == old.numbering:
                self._positions = positions

    def _position_of_ids(self) -> dict[Id, int]:
        if self._positions is None:
            positions = self.snapshot.positions()
            names = self.snapshot.ids[positions].tolist()
            self._positions = dict(zip(names, positions.tolist(), strict=True))
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
        # A range that ends behind the largest integer is of floats.
        return np.arange(n) + (old.next_id if n else 0)

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
        if ids.dtype.kind == "i" and (not len(ids) or int(ids.min()) >= old.next_id):
            return
        taken = [i for i in ids.tolist() if i in self._position_of_ids()] if len(old) else []
        if taken:
            raise ValueError(
                f"{caller}: {len(taken)} of {len(ids)} ids are in the gallery already, the first "
                f"of them {taken[0]!r}; nothing was added. Remove them first."
            )


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
        longest = max(values, key=len)
        if len(longest) > LONGEST_ID:
            raise ValueError(
                f"{caller}: the id {longest!r:.40}... has {len(longest)} characters, and an id has "
                f"{LONGEST_ID} at most, since all take as much memory as the longest; keep long "
                "texts in a table of their own, by id."
            )
        return np.array(values, dtype=str)
    beyond = [value for value in values if not SMALLEST_ID <= value <= LARGEST_ID]
    if beyond:
        raise ValueError(
            f"{caller}: the id {beyond[0]} lies beyond the signed integers of 64 bits, -2**63 to "
            "2**63 - 1; give such ids as strings."
        )
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
