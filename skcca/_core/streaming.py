"""Sums over batches of rows, from which the pair moments follow: the state of `partial_fit`.

Class pairs weigh a row by the size n_c of its class, which is not known before the last batch. So
there is one matrix of products for each class (or tag) c, over its rows,

    G_c = [V 1]' diag(w) [V 1],     M_xx = sum_c n_c D_c G_c,     M_xy = sum_c D_c t^x_c (t^y_c)'

with t_c the last row of G_c, and D_c = 1, or 1 / n_c where a class weighs as its rows. Where the
factor n_c D_c is known beforehand the sum over c is taken batch by batch, and one matrix is enough:
it is 1 for that weight, and the declared count N_c with D_c = N_c / n_c, which is 1 in the end.

Sums of different rows add up (`RunningSums.merge`): the training rows of a fold of a
cross-validation are the other folds.
"""

from __future__ import annotations

import dataclasses
from functools import reduce
from itertools import zip_longest
from operator import iadd
from typing import Any

import numpy as np
from scipy import sparse

from skcca._core.arrays import incomparable, input_eps, row_blocks, take
from skcca._core.pairs import (
    Labels,
    Moments,
    Pairing,
    TrainingData,
    inverse,
    shared_rank,
)
from skcca._core.rows import Rows, diagonal, product, rows_of, starting_shift
from skcca._core.types import ArrayLike, ViewLike

Array = np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RunningSums:
    """Sums over the rows so far of one pairing rule; sampled pairs do not stream.

    A batch makes new sums, which share with the old ones the classes that it does not meet, and
    leaves the old ones as they are: they hold until the estimator is bound to the new ones.
    """

    pairing: Pairing
    # The same shift (d,) is subtracted from the rows of a view in every batch.
    shifts: tuple[Array, Array]
    # The class of each matrix, (n_classes,); None without labels.
    classes: Array | None = None
    # The declared weight of all rows of each class, (n_classes,).
    counts: Array | None = None
    # Whether a row may have several tags, and whether new classes may come with a batch.
    multilabel: bool = False
    growing: bool = True
    # The relative precision of each view.
    eps: tuple[float, float] = (0.0, 0.0)
    n_rows: int = 0
    # Products of the rows with themselves, of both views side by side.
    joint: Array | None = None
    # Products of each view: one matrix where its factor is known, else one for each class met.
    grams: tuple[tuple[Array | None, ...], tuple[Array | None, ...]] = ((), ())
    # Class sums (n_classes, d + 1) of each view, where the products do not hold them.
    totals: tuple[Array, Array] | tuple[()] = ()
    # How many rows share two tags.
    overlap: Array | None = None

    @property
    def _factor_is_known(self) -> bool:
        return self.counts is not None or self.pairing.pair_weight == "row"

    @property
    def _by_class(self) -> bool:
        return self.classes is not None and self.pairing.instance_weight < 1

    def grow(self, classes: Array) -> RunningSums:
        """Return sums with room for new classes; the old ones are among the classes given."""
        known = self.classes
        assert known is not None
        if len(classes) == len(known):
            return self
        if not self.n_rows or not self._by_class:
            return dataclasses.replace(self, classes=classes)
        places = np.searchsorted(classes, known)
        if not self._factor_is_known:
            old = np.full(len(classes), -1)
            old[places] = np.arange(len(known))
            x, y = (tuple(None if c < 0 else g[c] for c in old) for g in self.grams)
            return dataclasses.replace(self, classes=classes, grams=(x, y))
        totals = [np.zeros((len(classes), total.shape[1])) for total in self.totals]
        for new, total in zip(totals, self.totals, strict=True):
            new[places] = total
        return dataclasses.replace(self, classes=classes, totals=(totals[0], totals[1]))

    def add(
        self, views: tuple[ViewLike, ViewLike], labels: Labels | None, weights: Array
    ) -> RunningSums:
        """Return the sums with the rows of a batch, whose labels are in terms of `classes`."""
        rows = [rows_of(V, shift=shift) for V, shift in zip(views, self.shifts, strict=True)]
        sums = dataclasses.replace(self, n_rows=self.n_rows + len(rows[0]))
        if self.classes is None or self.pairing.instance_weight > 0:
            joint = rows[0].hstack(rows[1])
            assert joint is not None
            total = _added(joint.weighted_gram(weights)[0], self.joint)
            sums = dataclasses.replace(sums, joint=total)
        if not self._by_class:
            return sums
        assert labels is not None
        if self.multilabel:
            overlap = _added((labels.x.T @ labels.x).toarray().astype(float), self.overlap)
            sums = dataclasses.replace(sums, overlap=overlap)
        if self._factor_is_known:
            return sums._add_by_factor(rows, labels.x, weights)
        grams = [self._grams_by_class(side, V, labels.x, weights) for side, V in enumerate(views)]
        return dataclasses.replace(sums, grams=(grams[0], grams[1]))

    def merge(self, other: RunningSums) -> RunningSums:
        """Return the sums over the rows of both, which began with the same classes and shifts."""
        joint = self.joint if other.joint is None else _added(other.joint.copy(), self.joint)
        overlap = self.overlap
        if other.overlap is not None:
            overlap = _added(other.overlap.copy(), overlap)
        x, y = (_merged(*grams) for grams in zip(self.grams, other.grams, strict=True))
        totals = _merged(self.totals, other.totals)
        n_rows = self.n_rows + other.n_rows
        return dataclasses.replace(
            self, n_rows=n_rows, joint=joint, grams=(x, y), totals=totals, overlap=overlap
        )

    def _add_by_factor(
        self, rows: list[Rows], member: sparse.csr_array, weights: Array
    ) -> RunningSums:
        """Add to one matrix a view, to which a class contributes by the factor that is known."""
        factor = diagonal(weights) @ member
        by_row = self.counts is None or self.pairing.pair_weight == "row"
        known = np.ones(member.shape[1]) if by_row else self.counts
        grams: list[tuple[Array]] = []
        totals: list[Array] = []
        for side in range(2):
            gram, total = rows[side].weighted_gram(weights * (member @ known), factor)
            assert total is not None
            grams.append((_added(gram, *self.grams[side]),))
            totals.append(_added(total, *self.totals[side : side + 1]))
        return dataclasses.replace(self, grams=(grams[0], grams[1]), totals=(totals[0], totals[1]))

    def _grams_by_class(
        self, side: int, V: ViewLike, member: sparse.csr_array, weights: Array
    ) -> tuple[Array | None, ...]:
        """Return the matrices of one view, new ones for the classes of a batch."""
        grams = list(self.grams[side] or [None] * member.shape[1])
        by_class = member.tocsc()
        for c in np.flatnonzero(np.diff(by_class.indptr)):
            place = slice(by_class.indptr[c], by_class.indptr[c + 1])
            own = by_class.indices[place]
            own_rows = rows_of(take(V, own), shift=self.shifts[side])
            own_weights = weights[own] * by_class.data[place]
            grams[c] = _added(own_rows.weighted_gram(own_weights)[0], grams[c])
        return tuple(grams)

    def moments(self) -> tuple[Moments, bool]:
        """Return the moments over all pairs of the rows so far, and whether they lost digits.

        They did if the first batch, whose mean is the shift, was unlike the others.
        """
        beta = self.pairing.instance_weight
        parts = []
        if self.joint is not None:
            parts.append(Moments.of_joint_product(self.joint.copy(), len(self.shifts[0])))
        # The rows so far may have no label.
        weights = self.class_weights
        if self._by_class and not (parts and weights is not None and not weights.any()):
            parts.append(self._class_moments())
        moments = parts[0] if len(parts) == 1 else parts[0].blend(parts[1], beta, 1 - beta)
        shift_lost_precision = moments.loses_precision(*self.shifts)
        return moments.centred(*self.shifts), shift_lost_precision

    def _class_moments(self) -> Moments:
        x_totals, y_totals = self._class_totals(0), self._class_totals(1)
        n = x_totals[:, -1]
        scale = np.ones(len(n))
        if self.pairing.pair_weight == "row":
            scale = inverse(n)
        elif self.counts is not None:
            scale = self.counts * inverse(n)
        factor = np.ones(1) if self._factor_is_known else n * scale
        gram_x, gram_y = (_weighted_sum(factor, grams) for grams in self.grams)
        cross = product((x_totals * scale[:, None]).T, y_totals)
        return Moments.of_products(gram_x, gram_y, cross, float(cross[-1, -1]))

    def _class_totals(self, side: int) -> Array:
        """Return the sums of the rows of each class, (n_classes, d + 1)."""
        if self.totals:
            return self.totals[side]
        none = np.zeros(len(self.shifts[side]) + 1)
        return np.stack([none if gram is None else gram[-1] for gram in self.grams[side]])

    @property
    def class_weights(self) -> Array | None:
        """Weight of the rows of each class so far; None without class pairs."""
        if not self.n_rows or not self._by_class:
            return None
        if self.totals:
            return self.totals[0][:, -1]
        return np.array([0.0 if gram is None else gram[-1, -1] for gram in self.grams[0]])

    @property
    def max_rank(self) -> int | None:
        """Bound of the rank of S_xy, or None."""
        weights = self.class_weights
        if self.joint is not None or weights is None:
            return None
        return shared_rank(
            np.flatnonzero(weights > 0), [] if self.overlap is None else [self.overlap]
        )


def _added(part: Array, total: Array | None = None) -> Array:
    """Return part + total in the memory of the part; the total stays as it is."""
    if total is not None:
        part += total
    return part


def _merged(mine: tuple, others: tuple) -> tuple:
    """Return the sums of two tuples of matrices, where None or a missing end is zero."""
    pairs = zip_longest(mine, others)
    return tuple(A if B is None else _added(B.copy(), A) for A, B in pairs)


def _weighted_sum(factors: Array, matrices: tuple[Array | None, ...]) -> Array:
    terms = (f * M for f, M in zip(factors, matrices, strict=True) if M is not None)
    return reduce(iadd, terms)


def start_sums(
    caller: str, pairing: Pairing, data: TrainingData, classes: ArrayLike, class_counts: Any
) -> RunningSums:
    """Return empty sums for the batches of which `data` is the first."""
    w = data.weights.x
    shifts = (starting_shift(data.X, w), starting_shift(data.Y, w))
    eps = (input_eps(data.X.dtype), input_eps(data.Y.dtype))
    if data.labels is None:
        if classes is not None or class_counts is not None:
            raise ValueError(f"{caller}: `classes` and `class_counts` go with `labels`.")
        return RunningSums(pairing, shifts, eps=eps)
    if class_counts is not None and classes is None:
        if not data.labels.multilabel:
            raise ValueError(
                f"{caller}: `class_counts` as an array is in the order of `classes`, which are "
                "missing; give them, or a dict {class: count}."
            )
        classes = data.labels.classes
    fixed = classes is not None
    known = data.labels.classes if classes is None else np.asarray(classes)
    order = np.argsort(known, kind="stable")
    if len(np.unique(known)) < len(known):
        raise ValueError(f"{caller}: `classes` names a class twice: {known.tolist()}.")
    counts = None
    if class_counts is not None:
        try:
            counts = np.asarray(class_counts, dtype=float)
        except (TypeError, ValueError):
            counts = np.empty(0)
        if counts.shape != known.shape or not ((counts > 0) & np.isfinite(counts)).all():
            raise ValueError(
                f"{caller}: `class_counts` must be {len(known)} positive numbers, one for each "
                f"class; got {class_counts!r}."
            )
        counts = counts[order]
    multilabel = data.labels.multilabel
    return RunningSums(pairing, shifts, known[order], counts, multilabel, not fixed, eps)


def check_same_classes(
    caller: str, sums: RunningSums, data: TrainingData, classes: ArrayLike, class_counts: Any
) -> None:
    """Refuse classes or counts that differ from those of the first call."""
    if classes is None and class_counts is None:
        return
    now = start_sums(caller, sums.pairing, data, classes, class_counts)
    same = classes is None or _equal(now.classes, sums.classes)
    if not same or (class_counts is not None and not _equal(now.counts, sums.counts)):
        raise ValueError(
            f"{caller}: `classes` and `class_counts` hold for all batches; give them at the first "
            "call, and the same ones or none later."
        )


def _equal(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b)


def add_batch(caller: str, sums: RunningSums, pairing: Pairing, data: TrainingData) -> RunningSums:
    """Return the sums with a batch, after everything about it has been checked."""
    if pairing != sums.pairing:
        raise ValueError(
            f"{caller}: the pairing was {sums.pairing} in the batches before and is {pairing} now; "
            "their sums cannot be mixed. Start anew with a clone."
        )
    if (data.labels is None) != (sums.classes is None):
        raise ValueError(
            f"{caller}: {'this batch has no' if data.labels is None else 'only this batch has'} "
            "labels; give them with every batch or with none."
        )
    heaviest = float(data.weights.x.max(initial=0.0))
    # Squares of the rows are multiplied by those of these numbers.
    scales = [float(np.sqrt(heaviest))]
    if data.labels is not None and sums._by_class:
        heaviest_member = heaviest * float(data.labels.x.data.max(initial=0.0))
        # The weight of a pair is the product of those of its rows.
        of_pairs = pairing.pair_weight == "pair"
        scales.append(heaviest_member if of_pairs else float(np.sqrt(heaviest_member)))
    if any(0 < scale < 1e-140 for scale in scales):
        raise ValueError(
            f"{caller}: `sample_weight` is at most {heaviest:.3g}, and products of weights and "
            "memberships leave the range of float64; give larger ones."
        )
    for V, shift, name in zip((data.X, data.Y), sums.shifts, "Xy", strict=True):
        # A square beyond the range of float64 would spoil all sums for good.
        reach = _max_abs_deviation(V, shift)
        largest, tiny = float(reach.max()), np.flatnonzero((reach > 0) & (reach < 1e-140))
        if len(tiny):
            raise ValueError(
                f"Feature {tiny[0]} of `{name}` reaches {reach[tiny[0]]:.3g} from its mean, and "
                "the square of that leaves the range of float64; measure it in another unit."
            )
        if not largest * max(1.0, *scales) < 1e140:
            raise ValueError(
                f"`{name}` holds NaN or values {largest:.3g} away from the mean, with weights up "
                f"to {heaviest:.3g}, and their squares leave the range of float64; drop them, or "
                "measure in other units."
            )
    labels = data.labels
    if labels is not None:
        if labels.unpaired:
            raise ValueError(
                f"{caller}: partial_fit takes rows that are paired, with one label each; "
                "labels=(labels_x, labels_y) needs fit."
            )
        labels = _align_labels(caller, labels, sums)
        sums = sums.grow(labels.classes)
        if sums.counts is not None and sums.classes is not None:
            after = data.weights.x @ labels.x
            if sums.class_weights is not None:
                after = after + sums.class_weights
            over = np.flatnonzero(after > sums.counts * (1 + 1e-9))
            if len(over):
                c = int(over[0])
                raise ValueError(
                    f"{caller}: class {sums.classes[c].item()!r} has {after[c]:g} rows by now, but "
                    f"`class_counts` says {sums.counts[c]:g}; declare the counts of all batches."
                )
    return sums.add((data.X, data.Y), labels, data.weights.x)


def _align_labels(caller: str, labels: Labels, sums: RunningSums) -> Labels:
    """Return the labels of a batch in terms of the classes so far and new ones."""
    known = sums.classes
    assert known is not None
    forms = ["a matrix" if tags else "classes" for tags in (labels.multilabel, sums.multilabel)]
    if forms[0] != forms[1]:
        raise ValueError(
            f"{caller}: the labels of this batch are {forms[0]}, and those of the batches before, "
            f"or `classes`, are {forms[1]}; give one form with every batch."
        )
    if sums.multilabel and len(labels.classes) != len(known):
        raise ValueError(
            f"{caller}: this batch has {len(labels.classes)} columns of tags, and the batches "
            f"before had {len(known)}; every batch needs the same tags in the same order."
        )
    union = union_of_classes(caller, known, labels.classes)
    if len(union) > len(known) and not sums.growing:
        new = np.setdiff1d(labels.classes, known)
        raise ValueError(
            f"{caller}: the labels hold {new.tolist()}, which `classes` of the first call does not "
            "name; name all classes there, or none."
        )
    member = labels.x.tocoo()
    places = np.searchsorted(union, labels.classes)
    entries = (member.data, (member.row, places[member.col]))
    member = sparse.csr_array(entries, shape=(member.shape[0], len(union)))
    return labels._replace(classes=union, x=member, y=member)


def union_of_classes(caller: str, known: Array, of_batch: Array) -> Array:
    """Return the classes of all batches, ascending; none of a batch without a label."""
    if not (len(known) and len(of_batch)):
        return of_batch if len(of_batch) else known
    if problem := incomparable(known, of_batch):
        raise ValueError(
            f"{caller}: labels like {of_batch[:3].tolist()}, of dtype {of_batch.dtype}, do not go "
            f"with those of the batches before, {known[:3].tolist()}, of {known.dtype}; {problem}."
        )
    return np.union1d(known, of_batch)


def _max_abs_deviation(V: ViewLike, shift: Array) -> Array:
    """Return the largest deviation of each feature from the shift, (d,).

    In a Dask array it is the deviation from zero.
    """
    if hasattr(V, "dask"):
        return np.asarray(abs(V).max(axis=0).compute(), dtype=float).ravel()
    blocks = (np.abs(block).max(axis=0) for _, block in row_blocks(V, shift))
    return np.max(list(blocks), axis=0)
