"""Items that are found: prepared rows and their ids, which grow while others read.

What it must guarantee: a snapshot never changes, adding is amortised and copies no row that is
there, ids are unique, and a refused call changes nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skcca.retrieval._search import Best, Rows, empty, merge
from skcca.views._labels import check_labels

Array = np.ndarray
Id = int | str
LARGEST_ID = 2**62


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A gallery at one time."""

    parts: tuple[Rows, ...]
    ids: Array  # (n,), int64 or fixed-width strings
    next_id: int  # no integer from here on was ever an id
    numbering: int  # of the rows; another one after rows were removed

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def width(self) -> int | None:
        """Columns of a row; None where there is none."""
        return self.parts[0].values.shape[1] if self.parts else None

    def since(self, start: int) -> tuple[Rows, ...]:
        """Return the rows from one place on."""
        kept = []
        for values, largest in self.parts:
            if start < len(values):
                kept.append(Rows(values[start:], largest))
            start = max(0, start - len(values))
        return tuple(kept)

    def take(self, places: Array) -> Array:
        """Return the rows at rising places, in one array."""
        found, first = [], 0
        for values, _ in self.parts:
            inside = places[(places >= first) & (places < first + len(values))]
            found.append(values[inside - first])
            first += len(values)
        return np.concatenate(found)


EMPTY = Snapshot((), np.empty(0, dtype=np.int64), 0, 0)


class Gallery:
    """Snapshots that replace one another; any thread may read the latest, or change it.

    Rows are appended behind those that a snapshot shows, into room kept for them; where there is
    none, room for as many again is made, and the rows that are there stay where they are.
    """

    def __init__(self, snapshot: Snapshot = EMPTY):
        self.snapshot = snapshot
        self._room: Array | None = None  # the array whose first rows are the last part
        self._id_room: Array = snapshot.ids
        self._places: dict[Id, int] | None = None  # of the ids; built when it is first needed
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {"snapshot": self.snapshot}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Gallery.__init__(self, state["snapshot"])

    def add(self, rows: Array, ids: Array | None, caller: str) -> None:
        """Append prepared rows under their ids, or under new integers."""
        with self._lock:
            now = self.snapshot
            ids = self._new_ids(len(rows), caller) if ids is None else ids
            self._check_ids(ids, caller)
            if now.width not in (None, rows.shape[1]):
                raise ValueError(
                    f"{caller}: prepared for the metric, the items have {rows.shape[1]} columns, "
                    f"but those of the gallery have {now.width}; embed all by the same model."
                )
            if not len(rows):
                return
            parts = self._appended(rows)
            shown = self._appended_ids(ids)
            if self._places is not None:
                first = len(now)
                self._places.update(zip(ids.tolist(), range(first, first + len(ids)), strict=True))
            next_id = now.next_id
            if ids.dtype.kind == "i":
                next_id = max(next_id, int(ids.max()) + 1)
            self.snapshot = Snapshot(parts, shown, next_id, now.numbering)

    def remove(self, ids: Array, caller: str) -> None:
        """Take items out; the others are copied together."""
        with self._lock:
            now = self.snapshot
            places = self._known()
            unknown = [i for i in ids.tolist() if i not in places]
            if unknown:
                raise ValueError(
                    f"{caller}: {len(unknown)} of {len(ids)} ids are not in the gallery, the first "
                    f"of them {unknown[0]!r}; nothing was removed."
                )
            kept = np.ones(len(now), dtype=bool)
            kept[[places[i] for i in ids.tolist()]] = False
            remaining = np.flatnonzero(kept)
            parts: tuple[Rows, ...] = ()
            if len(remaining):
                parts = (Rows.of(_read_only(now.take(remaining))),)
            self._room, self._places = None, None
            # An empty gallery takes ids of either kind.
            self._id_room = _read_only(now.ids[kept]) if len(remaining) else EMPTY.ids
            self.snapshot = Snapshot(parts, self._id_room, now.next_id, now.numbering + 1)

    def _known(self) -> dict[Id, int]:
        if self._places is None:
            self._places = {name: place for place, name in enumerate(self.snapshot.ids.tolist())}
        return self._places

    def _new_ids(self, n: int, caller: str) -> Array:
        now = self.snapshot
        if len(now) and now.ids.dtype.kind == "U":
            raise ValueError(
                f"{caller}: the ids of the gallery are strings, such as {now.ids[0]!s:.40}; give "
                "`ids` for the new items."
            )
        if now.next_id + n - 1 > LARGEST_ID:
            raise ValueError(
                f"{caller}: the integers behind {now.next_id - 1}, the largest id, are used up; "
                "give `ids` for the new items."
            )
        return np.arange(now.next_id, now.next_id + n)

    def _check_ids(self, ids: Array, caller: str) -> None:
        now = self.snapshot
        if len(now) and len(ids) and ids.dtype.kind != now.ids.dtype.kind:
            kinds = {"i": "integers", "U": "strings"}
            raise TypeError(
                f"{caller}: `ids` are {kinds[ids.dtype.kind]}, but those of the gallery are "
                f"{kinds[now.ids.dtype.kind]}; ids are of one kind."
            )
        names, counts = np.unique(ids, return_counts=True)
        if len(names) < len(ids):
            raise ValueError(
                f"{caller}: `ids` holds {names[counts > 1][0].item()!r} more than once; nothing "
                "was added."
            )
        if ids.dtype.kind == "i" and (not len(ids) or ids.min() >= now.next_id):
            return  # integers that never were ids
        there = [i for i in ids.tolist() if i in self._known()] if len(now) else []
        if there:
            raise ValueError(
                f"{caller}: {len(there)} of {len(ids)} ids are in the gallery already, the first "
                f"of them {there[0]!r}; nothing was added. Remove them first."
            )

    def _appended(self, rows: Array) -> tuple[Rows, ...]:
        now, new = self.snapshot, Rows.of(rows)
        if self._room is not None and np.can_cast(rows.dtype, self._room.dtype):
            *before, (values, largest) = now.parts
            end = len(values) + len(rows)
            if end <= len(self._room):
                self._room[len(values) : end] = rows
                grown = Rows(_read_only(self._room[:end]), max(largest, new.largest))
                return (*before, grown)
        self._room = np.empty((max(len(rows), len(now)), rows.shape[1]), dtype=rows.dtype)
        self._room[: len(rows)] = rows
        return (*now.parts, Rows(_read_only(self._room[: len(rows)]), new.largest))

    def _appended_ids(self, ids: Array) -> Array:
        n, end = len(self.snapshot), len(self.snapshot) + len(ids)
        dtype = np.result_type(self._id_room, ids) if n else ids.dtype
        if end > len(self._id_room) or dtype != self._id_room.dtype or n == 0:
            room = np.empty(max(end, 2 * n), dtype=dtype)
            room[:n] = self.snapshot.ids
            self._id_room = room
        self._id_room[n:end] = ids
        return _read_only(self._id_room[:end])


def check_ids(ids: Any, n: int | None, caller: str) -> Array:
    """Return ids as int64 or strings; ``n`` is how many there must be."""
    unordered = isinstance(ids, (set, frozenset, dict)) and n is not None
    if isinstance(ids, (str, bytes)) or unordered or not _is_listed(ids):
        raise TypeError(f"{caller}: `ids` is {ids!r:.60}; expected a list or array of ids.")
    values = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    if n is not None and len(values) != n:
        raise ValueError(f"{caller}: `ids` has {len(values)} entries for {n} items.")
    if not values:
        return EMPTY.ids
    kinds = [_kind(value) for value in values]
    odd = [value for value, kind in zip(values, kinds, strict=True) if kind not in ("i", "U")]
    odd += [value for value, kind in zip(values, kinds, strict=True) if kind != kinds[0]]
    if odd:
        raise TypeError(
            f"{caller}: ids are integers or strings, all of one kind; got {odd[0]!r:.60} "
            f"({type(odd[0]).__name__}) among {len(values)}."
        )
    if kinds[0] == "U":
        if any(value.endswith("\0") for value in values):
            raise ValueError(f"{caller}: an id ends with a zero character, which NumPy drops.")
        return np.array(values, dtype=str)
    if min(values) < -LARGEST_ID or max(values) > LARGEST_ID:
        raise ValueError(f"{caller}: an integer id lies beyond 2**62; give it as a string.")
    return np.array(values, dtype=np.int64)


def _is_listed(ids: Any) -> bool:
    return hasattr(ids, "__iter__") and getattr(ids, "ndim", 1) > 0


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "U"
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return "i" if whole else None


def _read_only(array: Array) -> Array:
    shown = array.view()
    shown.flags.writeable = False
    return shown


# MERGED: _gallery.groups
# """Rows that are one query together, such as the chunks of a song."""


class Groups(NamedTuple):
    """The group of each row, numbered in the order in which they first appear."""

    codes: Array  # (n_rows,)
    counts: Array  # (n_groups,)

    @classmethod
    def of(cls, groups: Any, n_rows: int, caller: str) -> Groups:
        """Return the groups of rows of these names."""
        names = check_labels(groups, n_rows, "groups", "A", caller)
        if names.ndim != 1:
            raise ValueError(f"{caller}: `groups` holds one name for each row of `A`.")
        _, first, codes, counts = np.unique(
            names, return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)
        return cls(np.argsort(order)[codes], counts[order])

    def mean(self, rows: Array) -> Array:
        """Return the mean row of each group, float64."""
        sums = np.zeros((len(self.counts), rows.shape[1]))
        np.add.at(sums, self.codes, rows)
        return sums / self.counts[:, np.newaxis]


def best_of_groups(best: Best, groups: Groups) -> Best:
    """Rank items by their largest score with a row of the group.

    An item among the k best of a group is among the k best of the row that it scores highest with,
    so that the lists of the rows hold all that is needed.
    """
    n_rows, k = best.places.shape
    owner = np.repeat(groups.codes, k)
    places, scores = best.places.ravel(), best.scores.ravel()
    order = np.lexsort((-scores, places, owner))
    owner, places, scores = owner[order], places[order], scores[order]
    first = np.ones(n_rows * k, dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (places[1:] != places[:-1])
    return merge(empty(len(groups.counts), k), owner[first], places[first], scores[first])
