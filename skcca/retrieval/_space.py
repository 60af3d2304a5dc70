"""Fitted spaces, in which queries of one view meet the items of the other.

A space is a fitted model, a metric and a gallery. `Query` is a checked query to it, and
`fingerprint` tells the models of two spaces apart.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._core.arrays import block_rows, block_slices, check_aligned
from skcca._core.compat import to_numpy
from skcca._core.types import Estimator, LabelsLike, ViewLike
from skcca._core.warnings import warn
from skcca.metrics._similarity import gallery_vectors, query_vectors
from skcca.retrieval._faiss import BuiltIndex, FaissIndex
from skcca.retrieval._gallery import Gallery, Snapshot
from skcca.retrieval._search import Groups, TopK, search
from skcca.views._container import Views
from skcca.views._projection import (
    canonical_correlations,
    check_embedding,
    final_model,
    project_view,
    to_unit_variance,
    unwrap,
)

CALLER = "CrossModalRetriever"
# The fourth powers of larger numbers leave float64.
LARGEST = 1e75
# Elements of each array by which a fit is told from another whenever it is used.
SAMPLE = 4096
# Larger numbers are kept in float64.
LARGEST_SINGLE = 1e30
Array = np.ndarray


class FittedSpace(NamedTuple):
    """A fitted model with its gallery.

    A retriever replaces it as a whole, so that model and gallery always belong together. The
    estimator, the direction and the metric stay as they were when the gallery was begun.
    """

    # None where the rows are embeddings.
    estimator: Estimator | None
    direction: str
    metric: str
    # Whether the model was fitted on a Views.
    in_views: bool
    gallery: Gallery
    faiss: FaissIndex
    # Of the estimator, when the gallery was begun.
    signature: dict[str, Any]

    def check(self) -> None:
        """Refuse an estimator that is not fitted, or that lacks what the metric needs."""
        if self.estimator is not None:
            check_is_fitted(self._model)
        self.correlations()

    def check_same_fit(self, caller: str) -> None:
        """Refuse an estimator that was fitted again, and so embeds into another space."""
        if fingerprint(self.estimator, SAMPLE) != self.signature:
            raise ValueError(
                f"{caller}: the estimator was fitted again after the gallery was begun, so that "
                "the items are not where it puts queries; begin a new gallery, by `fit` or in "
                "another CrossModalRetriever."
            )

    @property
    def query_view(self) -> str:
        """The view of the queries, "x" or "y"."""
        return self.direction[0]

    @property
    def gallery_view(self) -> str:
        """The view of the items, "x" or "y"."""
        return self.direction[-1]

    @property
    def _model(self) -> Estimator | None:
        return None if self.estimator is None else final_model(self.estimator)

    def correlations(self) -> Array | None:
        """Return the canonical correlations that the metric needs."""
        if self.metric != "log_likelihood_ratio":
            return None
        return canonical_correlations(self._model, CALLER).astype(float)

    def gallery_rows(self, V: ViewLike, name: str, caller: str) -> Array:
        """Return prepared rows of items: float32 where the model works in it and it is enough."""
        Z, correlations = self.embedding(V, self.gallery_view, name, caller), self.correlations()
        # These two subtract squares, for which float32 has too few digits.
        subtracts = self.metric in ("euclidean", "log_likelihood_ratio")
        single = Z.dtype.itemsize < 8 and not subtracts
        if self.metric == "inner_product":
            single = single and _largest(Z) < LARGEST_SINGLE
        width = Z.shape[1] + (2 if subtracts else 0)
        rows = np.empty((len(Z), width), dtype=np.float32 if single else np.float64)
        # What is made of a block stays in the cache.
        for some in block_slices(len(Z), block_rows(width)):
            rows[some] = gallery_vectors(self._unit_variates(Z[some]), self.metric, correlations)
        return rows

    def query_rows(self, Z: Array) -> Array:
        """Return prepared rows of embedded queries."""
        return query_vectors(self._unit_variates(Z), self.metric, self.correlations())

    def _unit_variates(self, Z: Array) -> Array:
        """Return embedded rows in float64, of unit variance where the metric wants it."""
        Z = Z.astype(float)
        rho = self.correlations()
        return Z if rho is None else to_unit_variance(self._model, Z, rho)

    def embedding(self, V: ViewLike, view: str, name: str, caller: str) -> Array:
        """Return the checked embedding of one view, or of that member of a Views."""
        if isinstance(V, Views):
            V = _member(V, view, name, caller)
        if self.estimator is not None:
            V = project_view(self.estimator, V, view, CALLER, in_views=self.in_views)
            # Afterwards, as another thread may have fitted it in the meantime.
            self.check_same_fit(caller)
        Z = check_embedding(V, name, caller, min_rows=0, keep_float32=True)
        if self.metric not in ("cosine", "correlation") and _largest(Z) > LARGEST:
            raise ValueError(
                f"{caller}: the embedding of `{name}` holds numbers beyond {LARGEST:g}, whose "
                "powers leave the range of float64; rescale the data, or use metric='cosine'."
            )
        if self.metric == "correlation" and Z.shape[1] < 2:
            raise ValueError(
                f"{caller}: metric='correlation' compares the profiles of rows, and those of one "
                "component are all alike; use 'cosine'."
            )
        return Z


def _largest(Z: Array) -> float:
    return float(max(Z.max(initial=0.0), -Z.min(initial=0.0)))


def _member(V: Views, view: str, name: str, caller: str) -> ViewLike:
    if len(V.names) != 2:
        raise ValueError(f"{caller}: `{name}` must hold two views; got {V!r}.")
    member = list(V)[0 if view == "x" else 1]
    if member is None:
        which = "first" if view == "x" else "second"
        raise ValueError(f"{caller}: the {which} view of `{name}` is asked for, but it is None.")
    return member


class Query(NamedTuple):
    """A checked query to one snapshot of a gallery."""

    gallery: Snapshot
    rows: Array  # (n_queries, n_columns), prepared
    k: int
    # None where each row has a list of its own.
    groups: Groups | None
    # Where the metric is "euclidean": what makes one row of several add to the squared distances.
    spread: Array | None = None

    @classmethod
    def build(
        cls,
        space: FittedSpace,
        A: ViewLike,
        k: int,
        groups: LabelsLike,
        aggregate: str,
        caller: str,
        *,
        compact: bool = False,
    ) -> Query:
        """Check, embed and prepare a query to the gallery as it is now, made compact or not."""
        gallery = space.gallery.compact() if compact else space.gallery.snapshot.verified()
        k = _check_k(k, len(gallery), caller)
        check_aligned(caller, A=A, groups=groups)
        Z = space.embedding(A, space.query_view, "A", caller)
        grouping = None if groups is None else Groups.from_names(groups, len(Z), caller)
        if grouping is not None and aggregate == "mean":
            Z = grouping.mean(Z)
        rows = space.query_rows(Z)
        spread = np.zeros(len(rows)) if space.metric == "euclidean" else None
        if rows.shape[1] != gallery.width:
            raise ValueError(
                f"{caller}: the embedding of `A` has {Z.shape[1]} components, but the items have "
                "another number; both views must be embedded in one space."
            )
        if grouping is not None and aggregate == "mean_similarity":
            # The mean of products is the product with the mean.
            rows = grouping.mean(rows)
            if spread is not None:
                spread = grouping.spread(Z)
        return cls(gallery, rows, k, grouping if aggregate == "max_similarity" else None, spread)

    def run(self, index: BuiltIndex | None = None) -> TopK:
        """Return the best items, of all or of the candidates of an index."""
        if index is None:
            best = search(self.gallery.blocks, self.rows, self.k, self.spread)
        else:
            best = index.search(self.gallery, self.rows, self.k, self.spread)
        return best if self.groups is None else self.groups.max(best)


def _check_k(k: int, n_items: int, caller: str) -> int:
    """Return the number of items to find, at most those that are there."""
    if isinstance(k, (bool, np.bool_)) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"{caller}: `k` is {k!r:.40}; expected an integer of at least 1.")
    if k < 1:
        raise ValueError(f"{caller}: `k` is {k}; expected an integer of at least 1.")
    if not n_items:
        raise ValueError(f"{caller}: the gallery is empty; `add` items first.")
    if k > n_items:
        warn(f"{caller}: `k` is {k}, but the gallery has {n_items} items: all are returned.")
    return min(int(k), n_items)


def fingerprint(estimator: Estimator, most: int | None = None) -> dict[str, Any]:
    """Return class, widths and a hash of what a fitted estimator learned, however it is wrapped.

    The hash covers the classes of all steps, their fitted attributes by name, and by their values
    alone the arrays that estimators of other libraries keep under private names. It is the same in
    another process and after pickling. Of longer arrays and lists `most` elements are read.
    """
    model = final_model(estimator)
    widths = [getattr(model, "n_features_in_", None), getattr(model, "n_features_y_in_", None)]
    learned = _digest(unwrap(estimator), most, frozenset()).hex()
    return {"class": type(model).__name__, "widths": widths, "learned": learned}


def _digest(node: Any, most: int | None, above: frozenset[int]) -> bytes:
    """Return the hash of the numbers in a node, empty where there are none."""
    if isinstance(node, (bool, int, float, np.generic)):
        return _sha256(repr(np.asarray(node).item()).encode())
    if isinstance(node, np.ndarray):
        if node.dtype.kind not in "biufc":
            return b""
        header = f"{node.dtype.str}{node.shape}".encode()
        values = node.flat[:: _step(node.size, most)] if most else node
        return _sha256(header, np.ascontiguousarray(values).tobytes())
    # What was seen on the way down from the root is a cycle.
    if node is None or isinstance(node, (str, bytes)) or id(node) in above:
        return b""
    above |= {id(node)}
    node = unwrap(node)
    if hasattr(node, "detach"):
        values = node.detach().reshape(-1)[:: _step(node.numel(), most)] if most else node
        return _digest(to_numpy(values), most, above)
    if hasattr(node, "__dlpack__") and hasattr(node, "shape"):
        return _digest(to_numpy(node), most, above)
    parts: Any = ()
    if hasattr(node, "state_dict"):
        # A module of torch.
        parts = node.state_dict().values()
    elif hasattr(node, "tocsr"):
        node = node.tocsr()
        parts = node.data, node.indices, node.indptr
    elif hasattr(node, "fit") and not isinstance(node, type):
        return _digest_estimator(node, most, above)
    elif isinstance(node, dict):
        some = islice(node, 0, None, _step(len(node), most))
        keys = [repr(key).encode() for key in some if isinstance(key, (str, int))]
        return _sha256(*keys, _digest(list(node.values()), most, above))
    elif isinstance(node, (list, tuple)):
        parts = node
    some = islice(parts, 0, None, _step(len(parts), most))
    return _sha256(str(len(parts)).encode(), *(_digest(part, most, above) for part in some))


def _digest_estimator(node: Estimator, most: int | None, above: frozenset[int]) -> bytes:
    params = node.get_params(deep=False) if hasattr(node, "get_params") else {}
    attributes = {name: value for name, value in vars(node).items() if name not in params}
    fitted = [name for name in sorted(attributes) if name[-1] == "_" and name[0] != "_"]
    named = [name.encode() + _digest(attributes.pop(name), most, above) for name in fitted]
    if type(node).__module__.startswith("skcca."):
        # What is left follows from the fitted attributes, and differs between releases.
        attributes.clear()
    others = [
        _digest(value, most, above)
        for value in attributes.values()
        if hasattr(value, "shape") or hasattr(value, "state_dict")
    ]
    steps = [_digest(step, most, above) for _, step in params.get("steps", ())]
    return _sha256(type(node).__qualname__.encode(), *steps, *named, *sorted(others))


def _step(n: int, most: int | None) -> int:
    return 1 if most is None else max(1, n // most)


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
