"""Second moments of the training and the held-out rows of every fold, from one pass over the rows.

Sums over disjoint rows add up. Where the held-out rows of the folds are all rows once, the sums of
the training rows of a fold are those of the other folds. Class pairs weigh a row by the size n_c of
its class, which differs from fold to fold: with G_cp the products of the rows of class c in part p,

    M_xx of a fold = sum_c n_c sum_p G_cp,    n_c and p over its training rows

takes each G_cp once and adds it to every fold by a factor of its own. Other splits, and classes of
few rows, take their products fold by fold, in one reading of the rows all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from scipy.linalg import blas

from skcca._core.arrays import block_slices, take
from skcca._core.pairs import Labels, Moments, Pairing, TrainingData
from skcca._core.rows import rows_of, starting_shift
from skcca._core.streaming import RunningSums
from skcca._core.types import ViewLike
from skcca._core.warnings import warn
from skcca.model_selection._folds import Fold

Array = np.ndarray

# A block has at least so many rows.
_BLOCK_ROWS = 4096
# So many sums of chunks of a Dask array are added at a time.
_FAN_IN = 8
# Adding a matrix of products costs about as much as the products of so many rows.
_ROWS_OF_ADDITION = 16


class FoldMoments:
    """Moments of the training and the held-out rows of each fold."""

    def __init__(self, data: TrainingData, folds: Sequence[Fold], pairing: Pairing):
        self._data, self._pairing = data, pairing
        by_count = (
            data.labels is not None
            and pairing.instance_weight < 1
            and pairing.pair_weight == "pair"
        )
        rounds = None if by_count else _rounds_of(folds, data.X.shape[0])
        n_folds = len(folds)
        if rounds is None:
            # Parts overlap: training rows of each fold, held-out rows of each, and all rows.
            parts = [rows for side in zip(*folds, strict=True) for rows in side]
            parts.append(np.arange(data.X.shape[0]))
            self._train = [[i] for i in range(n_folds)]
            self._test = [[n_folds + i] for i in range(n_folds)]
            self._all = [2 * n_folds]
        else:
            parts = [test for _, test in folds]
            self._train = [[i for i in own if i != fold] for own in rounds for fold in own]
            self._test = [[i] for i in range(n_folds)]
            self._all = list(rounds[0])
        self._parts = [np.sort(part) for part in parts]
        self._counts: list[Array | None] = [None] * len(parts)
        if by_count:
            assert data.labels is not None
            w, member = data.weights.x, data.labels.x
            self._counts = [w[rows] @ member[rows] for rows in self._parts]
        shifts = (starting_shift(data.X, data.weights.x), starting_shift(data.Y, data.weights.x))
        self._sums = self._add_up(shifts)
        self._recentred = False

    def __call__(self, i: int) -> tuple[Moments, Moments, int | None] | None:
        """Return the moments of training and held-out rows of fold i, and the bound of the rank.

        It is None where they have lost digits; the rows of a cluster are not fetched to help.
        """
        # What overflows, and rows without weight, are reported where the moments are used.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            train, test = self._merged(self._train[i]), self._merged(self._test[i])
            (train_moments, lost), (test_moments, also_lost) = train.moments(), test.moments()
        if (lost or also_lost) and not self._recentred:
            # The first rows were unlike the others, so a second pass is made about a mean.
            # In this order other threads find either the old sums or right ones.
            self._sums = self._add_up((train_moments.mean_x, train_moments.mean_y))
            self._recentred = True
            return self(i)
        for rows, sums in (("training", train), ("held-out", test)):
            weights = sums.class_weights
            if sums.joint is not None and weights is not None and not weights.any():
                warn(
                    f"Fold {i}: none of {sums.n_rows} {rows} rows has a label, so that their pairs "
                    "are the rows' own alone."
                )
        if (lost or also_lost) and not hasattr(self._data.X, "dask"):
            return None
        return train_moments, test_moments, train.max_rank

    def total(self) -> Moments | None:
        """Return the moments of all rows, unless they have lost digits."""
        moments, lost = self._merged(self._all).moments()
        return None if lost else moments

    def _merged(self, parts: Sequence[int]) -> RunningSums:
        return reduce(RunningSums.merge, [self._sums[part] for part in parts])

    def _add_up(self, shifts: tuple[Array, Array]) -> list[RunningSums]:
        data, labels = self._data, self._data.labels
        classes = None if labels is None else labels.classes
        tags = labels is not None and labels.multilabel
        empty = [
            RunningSums(self._pairing, shifts, classes, counts, tags) for counts in self._counts
        ]
        # `check_variance_is_finite` reports what overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            if hasattr(data.X, "dask"):
                return _sums_of_chunks(data, empty, self._parts)
            places = _places(self._parts, data.X.shape[0])
            if self._counts[0] is not None and self._pairing.instance_weight == 0:
                assert labels is not None
                n_cells = len(np.unique(places)) * labels.x.shape[1]
                n_additions = n_cells * len(self._parts)
                # Rows of a class lie far apart on a disk, where rows are best read in their order.
                on_disk = any(isinstance(V, np.memmap) for V in (data.X, data.Y))
                if _ROWS_OF_ADDITION * n_additions < sum(map(len, self._parts)) and not on_disk:
                    return _sums_of_cells(data, empty, self._parts, places)
            return _sums_of_parts(data, empty, self._parts)


def _rounds_of(folds: Sequence[Fold], n: int) -> list[range] | None:
    """Return the runs of folds whose held-out rows are all rows once, if every fold is in one."""
    rounds, start, seen = [], 0, np.zeros(n, dtype=bool)
    for i, (train, test) in enumerate(folds):
        others = np.ones(n, dtype=bool)
        others[train] = False
        others[test] ^= True
        # The fold trains on all rows that it does not hold out, each once.
        if seen[test].any() or others.any() or len(train) + len(test) != n:
            return None
        seen[test] = True
        if seen.all():
            rounds.append(range(start, i + 1))
            start, seen = i + 1, np.zeros(n, dtype=bool)
    complete = start == len(folds) and all(len(own) > 1 for own in rounds)
    return rounds if complete else None


def _sums_of_parts(
    data: TrainingData, sums: list[RunningSums], parts: Sequence[Array]
) -> list[RunningSums]:
    """Return the sums of parts, ascending rows each, with the rows read once and in their order."""
    # A part has about as many rows in a block as features, so that its products outweigh the
    # additions of their matrices.
    step = max(_BLOCK_ROWS, len(parts) * (data.X.shape[1] + data.Y.shape[1]))
    for block in block_slices(data.X.shape[0], step):
        inside = [_between(part, block) for part in parts]
        sums = _add_block(sums, data.X[block, :], data.Y[block, :], *_slice(data, block), inside)
    return sums


def _between(part: Array, block: slice) -> Array:
    """Return the rows of a part that lie in a block, counted from its beginning."""
    first, last = np.searchsorted(part, (block.start, block.stop))
    return part[first:last] - block.start


def _slice(data: TrainingData, block: slice) -> tuple[Labels | None, Array]:
    labels = data.labels
    if labels is not None:
        labels = labels._replace(x=labels.x[block], y=labels.y[block])
    return labels, data.weights.x[block]


def _add_block(
    sums: Sequence[RunningSums],
    X: ViewLike,
    Y: ViewLike,
    labels: Labels | None,
    weights: Array,
    parts: Sequence[Array],
) -> list[RunningSums]:
    """Return the sums of each part with its rows of a block."""
    added = []
    for old, rows in zip(sums, parts, strict=True):
        new = old
        if len(rows):
            own = None if labels is None else labels.take(rows, rows)
            whole = len(rows) == len(weights)
            views = (X, Y) if whole else (take(X, rows), take(Y, rows))
            new = old.add(views, own, weights[rows])
        added.append(new)
    return added


def _sums_of_chunks(
    data: TrainingData, empty: Sequence[RunningSums], parts: Sequence[Array]
) -> list[RunningSums]:
    """Return the sums of parts of Dask arrays, made chunk by chunk where the chunks lie."""
    import dask

    sizes = tuple(n for n in data.X.chunks[0] if n > 0)
    chunks = [V.rechunk({0: sizes, 1: -1}).to_delayed()[:, 0] for V in (data.X, data.Y)]
    of_chunk, merge = dask.delayed(_add_block), dask.delayed(_merge_lists)
    made = []
    for X, Y, stop, size in zip(*chunks, np.cumsum(sizes), sizes, strict=True):
        block = slice(int(stop) - size, int(stop))
        inside = [_between(part, block) for part in parts]
        made.append(of_chunk(list(empty), X, Y, *_slice(data, block), inside))
    while len(made) > 1:
        made = [merge(*made[i : i + _FAN_IN]) for i in range(0, len(made), _FAN_IN)]
    return dask.compute(made[0])[0]


def _merge_lists(*lists: list[RunningSums]) -> list[RunningSums]:
    return [reduce(RunningSums.merge, sums) for sums in zip(*lists, strict=True)]


def _places(parts: Sequence[Array], n: int) -> Array:
    """Return a number (n,) that is the same for rows that lie in the same parts."""
    places = np.zeros(n, dtype=np.int64)
    for part in parts:
        inside = np.zeros(n, dtype=np.int64)
        inside[part] = 1
        places = np.unique(2 * places + inside, return_inverse=True)[1]
    return places


def _sums_of_cells(
    data: TrainingData, empty: Sequence[RunningSums], parts: Sequence[Array], places: Array
) -> list[RunningSums]:
    """Return the sums of parts whose classes have counts of their own.

    A cell is the rows of one class that lie in the same parts. Its products are made once, and
    added to each of these parts times the part's count of the class.
    """
    labels, views, shifts = data.labels, (data.X, data.Y), empty[0].shifts
    assert labels is not None
    n_classes = labels.x.shape[1]
    widths = [len(shift) + 1 for shift in shifts]
    grams = [[np.zeros((d, d), order="F") for d in widths] for _ in empty]
    totals = [[np.zeros((n_classes, d)) for d in widths] for _ in empty]
    is_inside = np.zeros((len(empty), data.X.shape[0]), dtype=bool)
    for part, rows in enumerate(parts):
        is_inside[part, rows] = True
    for rows in _groups(places):
        inside = np.flatnonzero(is_inside[:, rows[0]])
        member = labels.x[rows].tocsc()
        for c in np.flatnonzero(np.diff(member.indptr)):
            own_rows = slice(member.indptr[c], member.indptr[c + 1])
            cell, shares = rows[member.indices[own_rows]], member.data[own_rows]
            for side in range(2):
                own = rows_of(take(views[side], cell), shift=shifts[side])
                gram = own.weighted_gram(data.weights.x[cell] * shares)[0]
                for part in inside.tolist():
                    counts = empty[part].counts
                    assert counts is not None
                    _add_in_place(grams[part][side], gram, counts[c])
                    totals[part][side][c] += gram[-1]
    sums = []
    for part, (start, rows) in enumerate(zip(empty, parts, strict=True)):
        overlap = None
        if labels.multilabel:
            overlap = (labels.x[rows].T @ labels.x[rows]).toarray().astype(float)
        x, y = grams[part]
        own_totals = totals[part][0], totals[part][1]
        sums.append(
            dataclasses.replace(
                start, n_rows=len(rows), grams=((x,), (y,)), totals=own_totals, overlap=overlap
            )
        )
    return sums


def _groups(places: Array) -> Iterator[Array]:
    """Yield the rows of each place, ascending."""
    order = np.argsort(places, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(places[order])) + 1)


def _add_in_place(total: Array, part: Array, factor: float) -> None:
    blas.daxpy(part.ravel(order="K"), total.ravel(order="K"), a=factor)
