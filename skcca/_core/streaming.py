"""Sums over batches of rows, from which the pair moments follow: the state of `partial_fit`.

Class pairs weigh a row by the size n_c of its class, which is not known before the last batch. So
there is one matrix of products for each class (or tag) c, over its rows,

    G_c = [V 1]' diag(w) [V 1],     M_xx = sum_c n_c D_c G_c,     M_xy = sum_c D_c t^x_c (t^y_c)'

with t_c the last row of G_c, and D_c = 1, or 1 / n_c where a class weighs as its rows. Where the
factor n_c D_c is known beforehand the sum over c is taken batch by batch, and one matrix is enough:
it is 1 for that weight, and the declared count N_c with D_c = N_c / n_c, which is 1 in the end.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy import sparse

from skcca._core.arrays import input_eps, row_blocks, take
from skcca._core.pairs import Labels, Moments, Pairing, TrainingData, inverse, shared_rank
from skcca._core.rows import Rows, diagonal, rows_of, starting_shift
from skcca._core.types import ArrayLike, ViewLike

Array = np.ndarray


@dataclasses.dataclass(eq=False)
class RunningSums:
    """Sums over the rows so far of one pairing rule; sampled pairs do not stream."""

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

    def __post_init__(self) -> None:
        self.n_rows = 0
        # Whether the first batch was unlike the rest, so that the shift costs digits.
        self.shift_lost_precision = False
        widths = [len(shift) + 1 for shift in self.shifts]
        self._joint: Array | None = None
        self._grams: list[Array] = []
        if self.classes is None or self.pairing.instance_weight > 0:
            self._joint = np.zeros((sum(widths) - 1,) * 2)
        if self.classes is not None and self.pairing.instance_weight < 1:
            n_classes = len(self.classes)
            n_grams = 1 if self._factor_is_known else n_classes
            self._grams = [np.zeros((n_grams, width, width)) for width in widths]
            self._totals = [np.zeros((n_classes, width)) for width in widths]
            self._overlap = np.zeros((n_classes, n_classes))

    @property
    def _factor_is_known(self) -> bool:
        return self.counts is not None or self.pairing.pair_weight == "row"

    def grow(self, classes: Array) -> None:
        """Make room for new classes; the old ones are among the classes given."""
        assert self.classes is not None
        if len(classes) == len(self.classes):
            return
        places = np.searchsorted(classes, self.classes)
        self.classes = classes
        if not self._grams:
            return
        n = len(classes)
        for arrays in [self._totals] + ([] if self._factor_is_known else [self._grams]):
            for side, old in enumerate(arrays):
                arrays[side] = np.zeros((n, *old.shape[1:]))
                arrays[side][places] = old
        overlap = np.zeros((n, n))
        overlap[np.ix_(places, places)] = self._overlap
        self._overlap = overlap

    def add(self, views: tuple[ViewLike, ViewLike], labels: Labels | None, weights: Array) -> None:
        """Add the rows of a batch, whose labels are in terms of `classes`."""
        rows = [rows_of(V, shift=shift) for V, shift in zip(views, self.shifts, strict=True)]
        # The parts are made first and added together, so that an interruption leaves no half.
        added: list[tuple[Array, Any, Array]] = []
        if self._joint is not None:
            joint = rows[0].hstack(rows[1])
            assert joint is not None
            added.append((self._joint, ..., joint.weighted_gram(weights)[0]))
        if self._grams:
            assert labels is not None
            added += self._class_sums(views, rows, labels.x, weights)
        for total, place, part in added:
            total[place] += part
        self.n_rows += len(rows[0])

    def _class_sums(
        self,
        views: tuple[ViewLike, ViewLike],
        rows: list[Rows],
        member: sparse.csr_array,
        weights: Array,
    ) -> list[tuple[Array, Any, Array]]:
        """Return the additions to the sums of each class, as (total, place, part)."""
        added: list[tuple[Array, Any, Array]] = [
            (self._overlap, ..., (member.T @ member).toarray())
        ]
        factor = diagonal(weights) @ member
        by_row = self.counts is None or self.pairing.pair_weight == "row"
        known = np.ones(len(self._overlap)) if by_row else self.counts
        for side, V in enumerate(views):
            if self._factor_is_known:
                gram, totals = rows[side].weighted_gram(weights * (member @ known), factor)
                assert totals is not None
                added += [(self._grams[side], 0, gram), (self._totals[side], ..., totals)]
                continue
            for c in range(member.shape[1]):
                own = member[:, [c]].nonzero()[0]
                if len(own):
                    own_rows = rows_of(take(V, own), shift=self.shifts[side])
                    gram = own_rows.weighted_gram(weights[own])[0]
                    added += [(self._grams[side], c, gram), (self._totals[side], c, gram[-1])]
        return added

    def moments(self) -> Moments:
        """Return the moments over all pairs of the rows so far."""
        beta = self.pairing.instance_weight
        parts = []
        if self._joint is not None:
            parts.append(Moments.of_joint_product(self._joint.copy(), len(self.shifts[0])))
        if self._grams:
            parts.append(self._class_moments())
        moments = parts[0] if len(parts) == 1 else parts[0].blend(parts[1], beta, 1 - beta)
        self.shift_lost_precision = moments.loses_precision(*self.shifts)
        return moments.centred(*self.shifts)

    def _class_moments(self) -> Moments:
        n = self._totals[0][:, -1]
        scale = np.ones(len(n))
        if self.pairing.pair_weight == "row":
            scale = inverse(n)
        elif self.counts is not None:
            scale = self.counts * inverse(n)
        factor = np.ones(1) if self._factor_is_known else n * scale
        gram_x, gram_y = (np.tensordot(factor, grams, 1) for grams in self._grams)
        cross = (self._totals[0] * scale[:, None]).T @ self._totals[1]
        return Moments.of_products(gram_x, gram_y, cross, float(cross[-1, -1]))

    @property
    def class_weights(self) -> Array | None:
        """Weight of the rows of each class so far; None without class pairs."""
        return self._totals[0][:, -1] if self._grams else None

    @property
    def max_rank(self) -> int | None:
        """Bound of the rank of S_xy, or None."""
        if self._joint is not None:
            return None
        shared = np.flatnonzero(self._totals[0][:, -1] > 0)
        return shared_rank(shared, [self._overlap] if self.multilabel else [])


def start_sums(
    caller: str, pairing: Pairing, data: TrainingData, classes: ArrayLike, class_counts: Any
) -> RunningSums:
    """Return empty sums for the batches of which `data` is the first."""
    if pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None:
        raise ValueError(
            f"{caller}: sampled pairs (`pair_fraction`={pairing.pair_fraction}, "
            f"`pairs_per_sample`={pairing.pairs_per_sample}) need all rows at once; for "
            "partial_fit use all pairs, pair_fraction=1.0 and pairs_per_sample=None."
        )
    w = data.weights.x
    shifts = (starting_shift(data.X, w), starting_shift(data.Y, w))
    eps = (input_eps(data.X.dtype), input_eps(data.Y.dtype))
    if data.labels is None:
        if classes is not None or class_counts is not None:
            raise ValueError(f"{caller}: `classes` and `class_counts` go with `labels`.")
        return RunningSums(pairing, shifts, eps=eps)
    # A pandas Series, as `value_counts` returns it.
    if hasattr(class_counts, "to_dict"):
        class_counts = class_counts.to_dict()
    if isinstance(class_counts, dict):
        if classes is not None and set(class_counts) != set(np.asarray(classes).tolist()):
            raise ValueError(
                f"{caller}: `class_counts` names the classes {list(class_counts)}, `classes` "
                f"{list(classes)}; name the same ones."
            )
        classes, class_counts = list(class_counts), list(class_counts.values())
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
        counts = np.asarray(class_counts, dtype=float)
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
    as_array = classes is None and not isinstance(class_counts, dict)
    same = as_array or _equal(now.classes, sums.classes)
    if not same or (class_counts is not None and not _equal(now.counts, sums.counts)):
        raise ValueError(
            f"{caller}: `classes` and `class_counts` hold for all batches; give them at the first "
            "call, and the same ones or none later."
        )


def _equal(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b)


def add_batch(caller: str, sums: RunningSums, pairing: Pairing, data: TrainingData) -> None:
    """Add a batch, after everything about it has been checked."""
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
    for V, shift, name in zip((data.X, data.Y), sums.shifts, "Xy", strict=True):
        # A square beyond the range of float64 would spoil all sums for good.
        reach = _max_abs_deviation(V, shift)
        largest, tiny = float(reach.max()), np.flatnonzero((reach > 0) & (reach < 1e-140))
        if len(tiny):
            raise ValueError(
                f"Feature {tiny[0]} of `{name}` reaches {reach[tiny[0]]:.3g} from its mean, and "
                "the square of that leaves the range of float64; measure it in another unit."
            )
        heaviest = float(data.weights.x.max(initial=0.0))
        if not largest * max(1.0, np.sqrt(heaviest)) < 1e140:
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
    sums.add((data.X, data.Y), labels, data.weights.x)


def _align_labels(caller: str, labels: Labels, sums: RunningSums) -> Labels:
    """Return the labels of a batch in the order of the classes so far, which may grow."""
    known = sums.classes
    assert known is not None
    are_text = [names.dtype.kind in "US" for names in (labels.classes, known)]
    if labels.multilabel != sums.multilabel or are_text[0] != are_text[1]:
        raise ValueError(
            f"{caller}: labels like {labels.classes[:3].tolist()} do not go with those of the "
            f"batches before, {known[:3].tolist()}."
        )
    if sums.multilabel and len(labels.classes) != len(known):
        raise ValueError(
            f"{caller}: this batch has {len(labels.classes)} columns of tags, and the batches "
            f"before had {len(known)}; every batch needs the same tags in the same order."
        )
    union = np.union1d(known, labels.classes)
    if len(union) > len(known) and not sums.growing:
        new = np.setdiff1d(labels.classes, known)
        raise ValueError(
            f"{caller}: the labels hold {new.tolist()}, which `classes` of the first call does not "
            "name; name all classes there, or none."
        )
    sums.grow(union)
    member = labels.x.tocoo()
    places = np.searchsorted(union, labels.classes)
    entries = (member.data, (member.row, places[member.col]))
    member = sparse.csr_array(entries, shape=(member.shape[0], len(union)))
    return labels._replace(classes=union, x=member, y=member)


def _max_abs_deviation(V: ViewLike, shift: Array) -> Array:
    """Return the largest deviation of each feature from the shift, (d,).

    In a Dask array it is the deviation from zero.
    """
    if hasattr(V, "dask"):
        return np.asarray(abs(V).max(axis=0).compute(), dtype=float).ravel()
    blocks = (np.abs(block).max(axis=0) for _, block in row_blocks(V, shift))
    return np.max(list(blocks), axis=0)
