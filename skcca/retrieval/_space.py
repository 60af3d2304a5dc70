"""Where queries meet the items of a gallery: a fitted model, a metric, and the items."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._core.compat import to_numpy
from skcca._core.warnings import warn
from skcca.metrics._similarity import gallery_vectors, query_vectors
from skcca.retrieval._faiss import FaissIndex
from skcca.retrieval._gallery import Gallery
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
LARGEST = 1e75  # fourth powers of larger numbers leave float64
FAR = 1e5  # times the spread: of a distance to an item nearby, six digits are left
LARGEST_SINGLE = 1e30  # larger ones are kept in float64
Array = np.ndarray


class Space(NamedTuple):
    """A fitted model with its gallery; replaced as a whole, so that the two always belong together.

    What is prepared and how stays as it was when the gallery was begun.
    """

    estimator: Any  # None: the rows are embeddings
    direction: str
    metric: str
    in_views: bool  # whether the model was fitted on a Views
    gallery: Gallery
    faiss: FaissIndex
    signature: dict[str, Any] | None = None  # of the estimator, when the gallery was begun

    def check(self) -> None:
        """Refuse an estimator that is not fitted, or that lacks what the metric needs."""
        if self.estimator is not None:
            check_is_fitted(self._model)
        self.correlations()

    @property
    def query_view(self) -> str:
        """Which view asks: "x" or "y"."""
        return self.direction[0]

    @property
    def gallery_view(self) -> str:
        """Which view is found."""
        return self.direction[-1]

    def correlations(self) -> Array | None:
        """Return the canonical correlations that the metric needs."""
        if self.metric != "log_likelihood_ratio":
            return None
        return canonical_correlations(self._model, CALLER).astype(float)

    @property
    def _model(self) -> Any:
        """The model that makes the embeddings, out of what it is wrapped in."""
        return None if self.estimator is None else final_model(self.estimator)

    def _unit_variates(self, Z: Array) -> Array:
        """Return float64 variates as the metric wants them: of unit variance, if it asks."""
        Z = Z.astype(float)
        rho = self.correlations()
        return Z if rho is None else to_unit_variance(self._model, Z, rho)

    def gallery_rows(self, V: Any, name: str, caller: str) -> Array:
        """Return rows to keep: float32 where the model works in float32 and that is enough."""
        Z = self.embedding(V, self.gallery_view, name, caller)
        rows = gallery_vectors(self._unit_variates(Z), self.metric, self.correlations())
        single = Z.dtype.itemsize < 8 and self.metric not in ("euclidean", "log_likelihood_ratio")
        # The other two subtract squares, for which float32 has too few digits.
        if single and np.abs(rows).max(initial=0.0) < LARGEST_SINGLE:
            return rows.astype(np.float32)
        return rows

    def query_rows(self, Z: Array) -> Array:
        """Return prepared rows of embedded queries."""
        return query_vectors(self._unit_variates(Z), self.metric, self.correlations())

    def embedding(self, V: Any, view: str, name: str, caller: str) -> Array:
        """Return the checked embedding of one view, or of that member of a Views."""
        if isinstance(V, Views):
            V = _one_of(V, view, name, caller)
        if self.estimator is not None:
            V = project_view(self.estimator, V, view, CALLER, in_views=self.in_views)
        Z = check_embedding(V, name, caller, min_rows=0, keep_float32=True)
        largest = float(np.abs(Z).max(initial=0.0))
        if self.metric not in ("cosine", "correlation") and largest > LARGEST:
            raise ValueError(
                f"{caller}: the embedding of `{name}` holds numbers beyond {LARGEST:g}, whose "
                "powers leave the range of float64; rescale the data, or use metric='cosine'."
            )
        if self.metric == "euclidean" and len(Z) > 1 and largest > FAR * Z.std(axis=0).max() > 0:
            warn(
                f"{caller}: the embedding of `{name}` lies so far from 0, beside its spread, that "
                "distances lose digits; subtract a common mean from items and queries."
            )
        if self.metric == "correlation" and Z.shape[1] < 2:
            raise ValueError(
                f"{caller}: metric='correlation' compares the profiles of rows, and those of one "
                "component are all alike; use 'cosine'."
            )
        return Z


def _one_of(V: Views, view: str, name: str, caller: str) -> Any:
    if len(V.names) != 2:
        raise ValueError(f"{caller}: `{name}` must hold two views; got {V!r}.")
    member = list(V)["xy".index(view)]
    if member is None:
        which = "first" if view == "x" else "second"
        raise ValueError(f"{caller}: the {which} view of `{name}` is asked for, but it is None.")
    return member


# MERGED: _gallery.fingerprint
# """What tells one fitted estimator from another: its class, and a hash of the numbers it
# learned."""


def fingerprint(estimator: Any) -> dict[str, Any]:
    """Return class, widths and hash of a fitted estimator; how it is wrapped does not matter.

    The hash covers all numbers and arrays that were learned, in whatever they lie, and the classes
    of all steps; it is the same in another process and after pickling.
    """
    model = final_model(estimator)
    digest = hashlib.sha256()
    _feed(digest, unwrap(estimator), set())
    widths = [getattr(model, f"n_features_{side}in_", None) for side in ("", "y_")]
    return {"class": type(model).__name__, "widths": widths, "sha256": digest.hexdigest()}


def _feed(digest: Any, node: Any, seen: set[int]) -> None:
    """Add the numbers below a node, each behind what it is."""
    if isinstance(node, (bool, int, float, np.generic)):
        digest.update(repr(np.asarray(node).item()).encode())
        return
    if isinstance(node, np.ndarray) and node.dtype.kind in "biufc":
        digest.update(f"{node.dtype.str}{node.shape}".encode())
        digest.update(np.ascontiguousarray(node).tobytes())
        return
    if node is None or isinstance(node, (str, bytes)) or id(node) in seen:
        return
    seen = seen | {id(node)}
    node = unwrap(node)
    if hasattr(node, "state_dict"):  # a torch module
        node = node.state_dict()
    if hasattr(node, "detach") or (hasattr(node, "__dlpack__") and hasattr(node, "shape")):
        if not isinstance(node, np.ndarray):
            _feed(digest, to_numpy(node), seen)
    elif hasattr(node, "tocsr"):
        node = node.tocsr()
        for part in (node.data, node.indices, node.indptr):
            _feed(digest, part, seen)
    elif hasattr(node, "get_params") and not isinstance(node, type):
        digest.update(type(node).__qualname__.encode())
        params = node.get_params(deep=False)
        steps = params.get("steps", ())
        learned = {k: v for k, v in vars(node).items() if k not in params and k[:4] != "_skl"}
        _feed(digest, [*(step for _, step in steps), learned], seen)
    elif isinstance(node, dict):
        for key in sorted(node, key=repr):
            digest.update(repr(key).encode() if isinstance(key, (str, int)) else b"")
            _feed(digest, node[key], seen)
    elif isinstance(node, (list, tuple)):
        digest.update(f"{len(node)}".encode())
        for value in node:
            _feed(digest, value, seen)
