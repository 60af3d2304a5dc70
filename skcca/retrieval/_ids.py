"""Ids of items, checked, and found again among millions.

An id has a key of 64 bits: an integer is its own, and that of a string is the sum of its characters
times random odd numbers, modulo 2**64. An index holds the sorted keys of the rows of a gallery.
Ids with equal keys are seldom different ones, and are compared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._core.types import ArrayLike

Array = np.ndarray
SMALLEST_ID, LARGEST_ID = -(2**63), 2**63 - 1
# All strings take as many characters as the longest.
LONGEST_ID = 1024
NO_IDS = np.empty(0, dtype=np.int64)
# A run of an index is more than so many times as long as the next one.
GROWTH = 16
# They are drawn anew in every process, so that nobody can choose strings of equal keys.
_FACTORS = np.random.default_rng().integers(2**63, size=LONGEST_ID, dtype=np.uint64) * 2 + 1


def check_ids(ids: ArrayLike, n: int | None, caller: str) -> Array:
    """Return ids as int64 or strings; there must be `n` of them, unless that is None."""
    # The items have an order, and a set has none.
    unordered = isinstance(ids, (set, frozenset, dict)) and n is not None
    is_list = hasattr(ids, "__iter__") and getattr(ids, "ndim", 1) > 0
    if isinstance(ids, (str, bytes)) or unordered or not is_list:
        raise TypeError(f"{caller}: `ids` is {ids!r:.60}; expected a list or array of ids.")
    values: Any = ids
    is_array = isinstance(ids, np.ndarray) and ids.ndim == 1 and ids.dtype.kind in "iuU"
    if not is_array:
        values = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    if n is not None and len(values) != n:
        raise ValueError(f"{caller}: `ids` has {len(values)} entries for {n} items.")
    if not len(values):
        return NO_IDS
    kinds = {} if is_array else {kind: _kind(kind) for kind in set(map(type, values))}
    if None in kinds.values() or len(set(kinds.values())) > 1:
        first = kinds[type(values[0])]
        wrong = next(v for v in values if kinds[type(v)] is None or kinds[type(v)] != first)
        raise TypeError(
            f"{caller}: ids are integers or strings, all of one kind; got {wrong!r:.60} "
            f"({type(wrong).__name__}) among {len(values)}."
        )
    is_text = values.dtype.kind == "U" if is_array else "U" in kinds.values()
    return _to_strings(values, caller) if is_text else _to_integers(values, caller)


def _to_integers(values: Any, caller: str) -> Array:
    smallest, largest = (
        (values.min(), values.max())
        if isinstance(values, np.ndarray)
        else (min(values), max(values))
    )
    for value in (smallest, largest):
        if not SMALLEST_ID <= int(value) <= LARGEST_ID:
            raise ValueError(
                f"{caller}: the id {value} lies beyond the signed integers of 64 bits, -2**63 to "
                "2**63 - 1; give such ids as strings."
            )
    return np.array(values, dtype=np.int64)


def _to_strings(values: Any, caller: str) -> Array:
    is_array = isinstance(values, np.ndarray)
    lengths = np.char.str_len(values) if is_array else list(map(len, values))
    longest = int(max(lengths))
    if longest > LONGEST_ID:
        value = values[int(np.argmax(lengths))]
        raise ValueError(
            f"{caller}: the id {value!s:.40}... has {longest} characters, and an id has "
            f"{LONGEST_ID} at most, since all take as much memory as the longest; keep long "
            "texts in a table of their own, by id."
        )
    ids = np.array(values, dtype=f"U{max(longest, 1)}")
    if np.char.str_len(ids).sum() < sum(lengths):
        raise ValueError(f"{caller}: an id ends with a zero character, which NumPy drops.")
    return ids


def _kind(kind: type) -> str | None:
    """Return "i" for a class of integers, "U" for one of strings, None for any other."""
    if issubclass(kind, str):
        return "U"
    return "i" if issubclass(kind, (int, np.integer)) and kind is not bool else None


def id_keys(ids: Array) -> Array:
    """Return the keys of integers or strings, (n,) int64."""
    if ids.dtype.kind == "i":
        return ids
    characters = np.ascontiguousarray(ids).view(np.uint32).reshape(len(ids), -1)
    # Characters of zero, behind the end of a string, add nothing.
    keys = np.einsum("ij,j->i", characters, _FACTORS[: characters.shape[1]])
    return keys.view(np.int64)


def repeated_id(ids: Array) -> int | str | None:
    """Return an id that is there more than once, or None."""
    keys = np.sort(id_keys(ids))
    if (keys[1:] != keys[:-1]).all():
        return None
    names, counts = np.unique(ids, return_counts=True)
    repeated = names[counts > 1]
    return repeated[0].item() if len(repeated) else None


class _Run(NamedTuple):
    keys: Array  # (n,) in rising order
    positions: Array  # (n,) of the rows that have them


class IdIndex(NamedTuple):
    """Sorted keys of the first rows of a gallery, in few runs; it never changes.

    Since short runs are merged, a key is sorted anew a few times while the gallery grows, however
    many rows come at a time.
    """

    runs: tuple[_Run, ...] = ()
    n_rows: int = 0

    def extended(self, ids: Array) -> IdIndex:
        """Return the index of all rows with these ids, the first of which are in this one."""
        if len(ids) == self.n_rows:
            return self
        runs, new = list(self.runs), id_keys(ids[self.n_rows :])
        keys, positions = [new], [np.arange(self.n_rows, len(ids))]
        while runs and len(runs[-1].keys) <= GROWTH * sum(map(len, keys)):
            last = runs.pop()
            keys.append(last.keys)
            positions.append(last.positions)
        merged = np.concatenate(keys)
        order = np.argsort(merged)
        run = _Run(merged[order], np.concatenate(positions)[order])
        return IdIndex((*runs, run), len(ids))

    def matches(self, ids: Array) -> tuple[Array, Array]:
        """Return the pairs (place among the ids, position of a row) whose keys are equal."""
        keys = id_keys(ids)
        # Rising keys are looked up several times as fast.
        order = np.argsort(keys)
        keys, places, positions = keys[order], [NO_IDS], [NO_IDS]
        for run in self.runs:
            begin = np.searchsorted(run.keys, keys)
            counts = np.searchsorted(run.keys, keys, side="right") - begin
            hits = np.flatnonzero(counts)
            if len(hits):
                counts = counts[hits]
                within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
                places.append(np.repeat(order[hits], counts))
                positions.append(run.positions[np.repeat(begin[hits], counts) + within])
        return np.concatenate(places), np.concatenate(positions)
