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

from skcca.retrieval._ids import LARGEST_ID, NO_IDS, IdIndex, repeated_id
from skcca.retrieval._search import Block

Array = np.ndarray
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

    def is_item(self) -> Array:
        """Return a mask of the rows that are items."""
        is_item, first = np.ones(len(self.ids), dtype=bool), 0
        for block in self.blocks:
            is_item[first + block.removed] = False
            first += len(block.values)
        return is_item

    def positions(self) -> Array:
        """Return the positions of the items, in rising order."""
        return np.flatnonzero(self.is_item())

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


EMPTY = Snapshot((), NO_IDS, 0, 0)


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
        # Of the rows that were there when ids were last looked up, with their numbering.
        self._index = snapshot.numbering, IdIndex()

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
            self.snapshot = compact = self.snapshot.verified().compact()
            return compact

    def add(self, rows: Array, ids: Array | None, caller: str) -> None:
        """Append prepared rows under their ids, or under new integers."""
        with self.lock:
            old = self.snapshot
            if ids is None:
                ids = self._new_ids(len(rows), caller)
            else:
                self._check_new_ids(ids, caller)
            if old.width not in (None, rows.shape[1]):
                raise ValueError(
                    f"{caller}: prepared for the metric, the items have {rows.shape[1]} columns, "
                    f"but those of the gallery have {old.width}; embed all by the same model."
                )
            if len(rows):
                self.snapshot = old.extended(rows, ids)

    def remove(self, ids: Array, caller: str) -> None:
        """Remove items; now and then the others are copied together."""
        with self.lock:
            old = self.snapshot.verified()
            positions = self._find(ids)
            unknown = ids[positions < 0].tolist()
            if unknown:
                raise ValueError(
                    f"{caller}: {len(unknown)} of {len(ids)} ids are not in the gallery, the first "
                    f"of them {unknown[0]!r}; nothing was removed."
                )
            self.snapshot = old.without(np.unique(positions))

    def _find(self, ids: Array) -> Array:
        """Return the positions of the items with these ids, -1 where there is none."""
        snapshot, found = self.snapshot, np.full(len(ids), -1)
        if not len(snapshot) or ids.dtype.kind != snapshot.ids.dtype.kind:
            return found
        numbering, index = self._index
        # Rows that were numbered anew are indexed anew.
        index = (index if numbering == snapshot.numbering else IdIndex()).extended(snapshot.ids)
        self._index = snapshot.numbering, index
        places, positions = index.matches(ids)
        matches = snapshot.ids[positions] == ids[places]
        if not snapshot.is_compact:
            matches &= snapshot.is_item()[positions]
        found[places[matches]] = positions[matches]
        return found

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
        repeated = repeated_id(ids)
        if repeated is not None:
            raise ValueError(
                f"{caller}: `ids` holds {repeated!r} more than once; nothing was added."
            )
        # Integers that never were ids need no look-up.
        if ids.dtype.kind == "i" and (not len(ids) or int(ids.min()) >= old.next_id):
            return
        taken = ids[self._find(ids) >= 0].tolist()
        if taken:
            raise ValueError(
                f"{caller}: {len(taken)} of {len(ids)} ids are in the gallery already, the first "
                f"of them {taken[0]!r}; nothing was added. Remove them first."
            )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
