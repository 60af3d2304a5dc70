"""Pairs of rows of two views, as weights that are never materialised.

W (n_x, n_y) >= 0 is the weight of the pair (row i of X, row j of Y). Its algebra needs no more than

    a = W 1,   b = W' 1,   N = 1' W 1,   W @ Y,   W' @ X,   X' W Y

which every class here offers at the cost of the rows, not of the pairs:

    instance   W = diag(w)                            CCA
    class      W = F_x F_y' with membership factors   all pairs that share a class or a tag
    cyclic     t partners of its class for every row  the sampled pairs
    blended    beta W_instance / N + (1 - beta) W_class / N

From these come the moments of both views over their pairs,

    mu_x = X'a / N,  S_xx = X' diag(a) X / N - mu_x mu_x',  S_xy = X' W Y / N - mu_x mu_y'

as products about a fixed shift, which add up over blocks, batches, machines and the parts of a
blend, and lose no digits to a large mean. The products use operators alone, so that the same
classes serve NumPy arrays and torch tensors (`Pairs.map`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skcca._core.arrays import block_slices, take
from skcca._core.rows import Rows, product
from skcca._core.types import ArrayLike, ViewLike

# A stripe of columns takes at most so many numbers, 32 MiB.
_STRIPE = 2**22
# A NumPy array, SciPy sparse array or torch tensor: the products use operators alone.
Array = ArrayLike
# A mean whose squared distance from the shift, in variances, is larger costs three digits.
_FAR = 1e3
# The shift of a constant feature is nearer to it than this share of its size. Its second moment is
# then the square of its mean up to the rounding of sums, which grows with the rows.
_NEAR = 1e-10


class Labels(NamedTuple):
    """Membership of the rows of both views in classes or tags."""

    classes: np.ndarray
    x: sparse.csr_array  # (n_x, n_classes), at least 0
    y: sparse.csr_array  # (n_y, n_classes)
    # Whether a row may be in several classes, or in one more than another row.
    multilabel: bool = False
    # Labels that were given for each view apart: row i of X has no row of its own in Y.
    unpaired: bool = False

    @property
    def has_label(self) -> np.ndarray:
        """Mask of the rows of X with a label; the others are rows of zeros."""
        return np.diff(self.x.indptr) > 0

    def take(self, x_rows: np.ndarray, y_rows: np.ndarray) -> Labels:
        """Return the labels of some rows of each view."""
        return self._replace(x=self.x[x_rows], y=self.y[y_rows])


class Weights(NamedTuple):
    """Non-negative weights of the rows of both views."""

    x: np.ndarray
    y: np.ndarray


class Moments(NamedTuple):
    """Means and second moments over the pairs; covariances once they are `centred`."""

    mean_x: Array  # (d_x,)
    mean_y: Array  # (d_y,)
    cov_x: Array  # (d_x, d_x)
    cov_y: Array  # (d_y, d_y)
    cov_xy: Array  # (d_x, d_y)

    @classmethod
    def of_products(cls, gram_x: Array, gram_y: Array, cross: Array, total: float) -> Moments:
        """Return the moments in [X 1]' diag(a) [X 1], [Y 1]' diag(b) [Y 1] and [X 1]' W [Y 1]."""
        for second in (gram_x, gram_y, cross):
            second /= total
        means = gram_x[-1, :-1], gram_y[-1, :-1]
        return cls(*means, gram_x[:-1, :-1], gram_y[:-1, :-1], cross[:-1, :-1])

    @classmethod
    def of_joint_product(cls, gram: Array, d_x: int) -> Moments:
        """Return the moments in [X Y 1]' diag(w) [X Y 1]."""
        gram /= gram[-1, -1]
        mean, cov = gram[-1, :-1], gram[:-1, :-1]
        return cls(mean[:d_x], mean[d_x:], cov[:d_x, :d_x], cov[d_x:, d_x:], cov[:d_x, d_x:])

    def blend(self, other: Moments, share: float, other_share: float) -> Moments:
        """Return the weighted sum with second moments about the same shift."""
        sides = zip(self, other, strict=True)
        return Moments(*(share * mine + other_share * yours for mine, yours in sides))

    def loses_precision(self, shift_x: Array, shift_y: Array) -> bool:
        """Whether the second moments have lost digits to a mean far from its shift."""
        sides = zip(self[:2], self[2:4], (shift_x, shift_y), strict=True)
        for mean, second, shift in sides:
            far = mean**2 > _FAR * (np.diag(second) - mean**2)
            if far.any() and (far & (abs(mean) > _NEAR * abs(shift))).any():
                return True
        return False

    def centred(self, shift_x: Array, shift_y: Array) -> Moments:
        """Return means of the unshifted views and covariances; overwrites the second moments.

        The variance of a constant feature is 0.
        """
        sides = ((self.cov_x, self.mean_x, shift_x), (self.cov_y, self.mean_y, shift_y))
        for cov, mean, shift in sides:
            _subtract_outer(cov, mean, mean)
            variance = np.einsum("ii->i", cov)
            rounding = np.where(abs(mean) <= _NEAR * abs(shift), 1e-10, 1e-13)
            variance[variance <= rounding * mean**2] = 0.0
        _subtract_outer(self.cov_xy, self.mean_x, self.mean_y)
        return self._replace(mean_x=self.mean_x + shift_x, mean_y=self.mean_y + shift_y)


def _subtract_outer(A: Array, u: Array, v: Array, step: int = 256) -> None:
    """Subtract u v' in place, in stripes: at these sizes one more matrix counts."""
    for start in range(0, A.shape[1], step):
        columns = slice(start, start + step)
        A[:, columns] -= u[:, None] * v[columns]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Pair weights W through their sums and products."""

    row_sums: Array  # a = W 1, (n_x,)
    column_sums: Array  # b = W' 1, (n_y,)
    total: float  # N

    def dot(self, Y: Array) -> Array:
        """Return W @ Y, (n_x, d_y)."""
        raise NotImplementedError

    def transposed_dot(self, X: Array) -> Array:
        """Return W' @ X, (n_y, d_x)."""
        raise NotImplementedError

    def cross(self, X: Array, Y: Array) -> Array:
        """Return X' W Y, (d_x, d_y)."""
        return X.T @ self.dot(Y)

    def cross_moment(self, x: Rows, y: Rows) -> np.ndarray:
        """Return [X 1]' W [Y 1], in stripes of columns."""
        stripes = block_slices(len(y.shift) + 1, max(1, _STRIPE // len(y)))
        return np.hstack([x.factor_product(self.dot(y.columns(stripe))).T for stripe in stripes])

    def moments(self, x: Rows, y: Rows) -> Moments:
        """Return the second moments of the rows over the pairs, about their shifts."""
        gram_x, gram_y = x.weighted_gram(self.row_sums)[0], y.weighted_gram(self.column_sums)[0]
        return Moments.of_products(gram_x, gram_y, self.cross_moment(x, y), self.total)

    @property
    def max_rank(self) -> int | None:
        """Upper bound of the rank of the centred X' W Y for any views, or None."""
        return None

    def map(self, convert: Callable[[Any], Any]) -> Pairs:
        """Return the same pairs with every stored array converted, to torch tensors for one."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return type(self)(**{name: _convert(value, convert) for name, value in fields.items()})


def _convert(value: Any, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, Pairs):
        return value.map(convert)
    if isinstance(value, tuple):
        return tuple(_convert(v, convert) for v in value)
    return convert(value) if isinstance(value, np.ndarray) or sparse.issparse(value) else value


@dataclasses.dataclass(frozen=True, eq=False)
class InstancePairs(Pairs):
    """W = diag(w): row i with row i."""

    def dot(self, Y: Array) -> Array:
        return self.row_sums[:, None] * Y

    def transposed_dot(self, X: Array) -> Array:
        return self.row_sums[:, None] * X

    def cross_moment(self, x: Rows, y: Rows) -> np.ndarray:
        return x.cross(self.row_sums, y)

    def moments(self, x: Rows, y: Rows) -> Moments:
        joint = x.hstack(y)
        if joint is None:
            return super().moments(x, y)
        return Moments.of_joint_product(joint.weighted_gram(self.row_sums)[0], len(x.shift))


@dataclasses.dataclass(frozen=True, eq=False)
class FactoredPairs(Pairs):
    """W = F_x F_y': every row with every row of its class, or as often as they share tags.

    X' W Y = sum_c s^x_c (s^y_c)' with s the per-class sums: O(n d) for any number of pairs.
    """

    x_factor: Array  # (n_x, n_classes)
    y_factor: Array  # (n_y, n_classes)
    rank: int

    def dot(self, Y: Array) -> Array:
        return self.x_factor @ (self.y_factor.T @ Y)

    def transposed_dot(self, X: Array) -> Array:
        return self.y_factor @ (self.x_factor.T @ X)

    def cross(self, X: Array, Y: Array) -> Array:
        return (self.x_factor.T @ X).T @ (self.y_factor.T @ Y)

    def cross_moment(self, x: Rows, y: Rows) -> np.ndarray:
        return x.factor_product(self.x_factor).T @ y.factor_product(self.y_factor)

    def moments(self, x: Rows, y: Rows) -> Moments:
        gram_x, sums_x = x.weighted_gram(self.row_sums, self.x_factor)
        gram_y, sums_y = y.weighted_gram(self.column_sums, self.y_factor)
        assert sums_x is not None
        assert sums_y is not None
        return Moments.of_products(gram_x, gram_y, product(sums_x.T, sums_y), self.total)

    @property
    def max_rank(self) -> int | None:
        return self.rank


@dataclasses.dataclass(frozen=True, eq=False)
class CyclicPairs(Pairs):
    """Every row of X with the next t rows of its class on a shuffled circle.

    Each class stands twice in a row in the order of its view, so that a stretch of the circle is a
    stretch (begin, end] of that line, and a sum over partners is a difference of two cumulative
    sums: O(n d).
    """

    x_scale: Array  # (n_x,) weight of the row times that of its class
    y_scale: Array  # (n_y,)
    x_order: Array  # (2 n_x,) rows of X, class after class, each class twice
    y_order: Array
    x_begin: Array  # (n_x,) stretch of `y_order` that row i of X meets
    x_end: Array
    y_begin: Array  # (n_y,) stretch of `x_order` that row j of Y meets
    y_end: Array

    def dot(self, Y: Array) -> Array:
        sums = (self.y_scale[:, None] * Y)[self.y_order].cumsum(0)
        return self.x_scale[:, None] * (sums[self.x_end] - sums[self.x_begin])

    def transposed_dot(self, X: Array) -> Array:
        sums = (self.x_scale[:, None] * X)[self.x_order].cumsum(0)
        return self.y_scale[:, None] * (sums[self.y_end] - sums[self.y_begin])


@dataclasses.dataclass(frozen=True, eq=False)
class BlendedPairs(Pairs):
    """W = sum_k share_k W_k / N_k, with its own row and column sums in every moment."""

    parts: tuple[Pairs, ...]
    shares: tuple[float, ...]

    def _sum(self, product: Callable[[Pairs], Array]) -> Array:
        return sum(s / p.total * product(p) for p, s in zip(self.parts, self.shares, strict=True))

    def dot(self, Y: Array) -> Array:
        return self._sum(lambda part: part.dot(Y))

    def transposed_dot(self, X: Array) -> Array:
        return self._sum(lambda part: part.transposed_dot(X))

    def cross(self, X: Array, Y: Array) -> Array:
        return self._sum(lambda part: part.cross(X, Y))

    def cross_moment(self, x: Rows, y: Rows) -> np.ndarray:
        return self._sum(lambda part: part.cross_moment(x, y))

    def moments(self, x: Rows, y: Rows) -> Moments:
        first, second = (part.moments(x, y) for part in self.parts)
        return first.blend(second, *self.shares)


def instance_pairs(weights: Array) -> InstancePairs:
    """Pair row i with row i, with weight w_i."""
    return InstancePairs(weights, weights, float(weights.sum()))


def class_pairs(labels: Labels, weights: Weights, pair_weight: str = "pair") -> Pairs:
    """Pair every row with every row of its class; the weight is the number of shared tags.

    ``pair_weight="row"`` divides by sqrt(n^x_c n^y_c): a class weighs as its rows, not its pairs.
    """
    x = y = _weighted(labels.x, weights.x)
    # Where both views share their labels one factor serves both, since its memory counts.
    if not (labels.x is labels.y and weights.x is weights.y):
        y = _weighted(labels.y, weights.y)
    x_counts, y_counts = x.sum(axis=0), y.sum(axis=0)
    if pair_weight == "row":
        x = sparse.csr_array(x.multiply(inverse(np.sqrt(x_counts * y_counts))))
        x_counts = x.sum(axis=0)
    overlaps = [(L.T @ L).toarray() for L in (labels.x, labels.y)] if labels.multilabel else []
    shared = np.flatnonzero(x_counts * y_counts > 0)
    rank = shared_rank(shared, overlaps)
    # A batch meets few of many classes, and the products need those alone.
    if 2 * len(shared) < len(x_counts):
        same, x = x is y, x[:, shared]
        y = x if same else y[:, shared]
        x_counts, y_counts = x_counts[shared], y_counts[shared]
    a = x @ y_counts
    if x is y and not labels.multilabel and x.indices.size == np.unique(x.indices).size:
        # Every row is its own class.
        return instance_pairs(a)
    b = a if x is y else y @ x_counts
    return FactoredPairs(a, b, float(x_counts @ y_counts), x, y, rank)


def cyclic_pairs(
    labels: Labels,
    weights: Weights,
    rng: np.random.Generator,
    *,
    pair_fraction: float = 1.0,
    pairs_per_sample: int | None = None,
    pair_weight: str = "pair",
) -> CyclicPairs:
    """Pair every row of X with t rows of its class: t = round(f n_c), or ``pairs_per_sample``.

    A row always meets its own row where the views are paired.
    """
    x_line, y_line = _Circle(labels.x, rng), _Circle(labels.y, rng)
    if not labels.unpaired:
        # One place earlier, so that the partners begin after a row's own place.
        x_line.arrange(y_line.sorted_rows, shift=-1)
    if pairs_per_sample is None:
        partners = np.maximum(np.rint(pair_fraction * y_line.counts).astype(int), 1)
    else:
        partners = np.full(len(y_line.counts), min(pairs_per_sample, len(y_line.codes)))
    partners = np.minimum(partners, y_line.counts)

    # Row at place p of a class with n_x rows meets places (s_p, s_p + t] of the doubled class of
    # n_y rows.
    start = x_line.place * y_line.counts[x_line.codes] // x_line.counts[x_line.codes]
    x_begin = np.where(partners[x_line.codes] > 0, y_line.offset[x_line.codes] + start, 0)
    x_end = x_begin + partners[x_line.codes]

    y_begin, y_end = np.zeros(len(y_line.codes), int), np.zeros(len(y_line.codes), int)
    for c, (n_x, n_y, t) in enumerate(zip(x_line.counts, y_line.counts, partners, strict=True)):
        if n_x == 0:
            # Rows without a partner keep the empty stretch (0, 0].
            continue
        rows = np.flatnonzero(y_line.codes == c)
        starts = np.arange(n_x) * n_y // n_x
        starts = np.concatenate([starts, starts + n_y])
        places = y_line.place[rows] + n_y
        low = np.searchsorted(starts, places - t, side="left")
        high = np.searchsorted(starts, places - 1, side="right")
        # A full circle from the start has no place before it, so it begins one turn later.
        turn = np.where(low == 0, n_x, 0)
        y_begin[rows] = x_line.offset[c] + low + turn - 1
        y_end[rows] = x_line.offset[c] + high + turn - 1

    # A pair is weighted by both of its rows, so that it is enough to leave out those of Y that have
    # no label.
    x_scale, y_scale = weights.x, weights.y * (y_line.codes < labels.y.shape[1])
    if pair_weight == "row":
        x_counts = np.bincount(x_line.codes, weights.x, minlength=len(partners))
        y_counts = np.bincount(y_line.codes, weights.y, minlength=len(partners))
        pairs = x_counts * y_counts * inverse(y_line.counts) * partners
        x_scale = x_scale * (np.sqrt(x_counts * y_counts) * inverse(pairs))[x_line.codes]
    order = (x_line.order, y_line.order, x_begin, x_end, y_begin, y_end)
    draft = CyclicPairs(np.empty(0), np.empty(0), 0.0, x_scale, y_scale, *order)
    row_sums = draft.dot(np.ones((len(y_scale), 1)))[:, 0]
    column_sums = draft.transposed_dot(np.ones((len(x_scale), 1)))[:, 0]
    return CyclicPairs(row_sums, column_sums, float(row_sums.sum()), x_scale, y_scale, *order)


def blended_pairs(instance: Pairs, classes: Pairs, instance_weight: float) -> Pairs:
    """Blend own pairs (share beta) with class pairs (share 1 - beta)."""
    shares = (instance_weight, 1.0 - instance_weight)
    parts = (instance, classes)
    row_sums = sum(s / p.total * p.row_sums for p, s in zip(parts, shares, strict=True))
    column_sums = sum(s / p.total * p.column_sums for p, s in zip(parts, shares, strict=True))
    return BlendedPairs(row_sums, column_sums, 1.0, parts, shares)


class Pairing(NamedTuple):
    """The pairing parameters of the class-paired estimators, as a rule from labels to pairs."""

    instance_weight: float = 0.0
    pair_fraction: float = 1.0
    pairs_per_sample: int | None = None
    pair_weight: str = "pair"

    def __call__(self, labels: Labels | None, weights: Weights, rng: np.random.Generator) -> Pairs:
        """Return the pairs; without labels each row is its own class."""
        if labels is None or self.instance_weight == 1.0:
            return instance_pairs(weights.x)
        if self.pairs_per_sample is None and self.pair_fraction == 1.0:
            classes: Pairs = class_pairs(labels, weights, self.pair_weight)
        else:
            rule = self._asdict()
            del rule["instance_weight"]
            classes = cyclic_pairs(labels, weights, rng, **rule)
        if self.instance_weight == 0.0:
            return classes
        if not classes.total > 0:
            # A batch may by chance hold no tag.
            return instance_pairs(weights.x)
        return blended_pairs(instance_pairs(weights.x), classes, self.instance_weight)


def class_codes(membership: sparse.csr_array) -> np.ndarray:
    """Return the class of each row (n,), of which each has one at most: n_classes for none."""
    n_classes = membership.shape[1]
    codes = np.full(membership.shape[0], n_classes)
    codes[np.diff(membership.indptr) > 0] = membership.indices
    return codes


class _Circle:
    """The rows of one view, class after class, each class shuffled and standing twice.

    The last class is that of rows without a label.
    """

    def __init__(self, membership: sparse.csr_array, rng: np.random.Generator):
        self.codes = class_codes(membership)
        self.counts = np.bincount(self.codes, minlength=membership.shape[1] + 1)
        self.offset = 2 * (np.cumsum(self.counts) - self.counts)
        shuffled = rng.permutation(len(self.codes))
        self.arrange(shuffled[np.argsort(self.codes[shuffled], kind="stable")], shift=0)

    def arrange(self, rows: np.ndarray, shift: int) -> None:
        """Put rows, sorted by class, on the line; `shift` turns each class's circle."""
        codes = self.codes[rows]
        first = (np.cumsum(self.counts) - self.counts)[codes]
        place = (np.arange(len(rows)) - first + shift) % self.counts[codes]
        self.sorted_rows = rows
        self.place = np.empty(len(rows), int)
        self.place[rows] = place
        self.order = np.empty(2 * len(rows), int)
        self.order[self.offset[codes] + place] = rows
        self.order[self.offset[codes] + self.counts[codes] + place] = rows


def _weighted(membership: sparse.csr_array, weights: np.ndarray) -> sparse.csr_array:
    if weights.strides == (0,) and weights[0] == 1.0:
        return membership
    return sparse.csr_array(membership.multiply(weights[:, None]))


def inverse(counts: np.ndarray) -> np.ndarray:
    """Return 1 / counts, and 0 for none."""
    return np.divide(1.0, counts, out=np.zeros(len(counts)), where=counts > 0)


def shared_rank(shared: np.ndarray, overlaps: list[np.ndarray]) -> int:
    """Bound the rank of the centred X' W Y by that of the shared tags, less one for the mean.

    S_xy = X' L_x (I - s_y s_x' / N) L_y' Y / N with s = L' 1, and the bracket sends s_y, which lies
    in the row space of L_y, to zero; alike for L_x. `shared` are the classes or tags of both views,
    `overlaps` L'L of each view, empty for classes, of which a row has one.
    """
    if not len(shared):
        return 0
    ranks = [np.linalg.matrix_rank(o[np.ix_(shared, shared)], hermitian=True) for o in overlaps]
    return min([len(shared), *map(int, ranks)]) - 1


class TrainingData(NamedTuple):
    """Checked arguments of a fit; rows of weight zero are left out."""

    X: ViewLike
    Y: ViewLike
    labels: Labels | None
    weights: Weights

    def take(self, x_rows: np.ndarray, y_rows: np.ndarray) -> TrainingData:
        """Return some rows of each view."""
        labels = None if self.labels is None else self.labels.take(x_rows, y_rows)
        weights = Weights(self.weights.x[x_rows], self.weights.y[y_rows])
        return TrainingData(take(self.X, x_rows), take(self.Y, y_rows), labels, weights)
