"""Approximate candidates from faiss, rescored exactly.

An index is never changed. It covers the rows that were there when it was built; rows added since
are searched exactly beside it, and it is built anew once these are many or rows were removed. So
any number of threads may search, and kinds of index that cannot remove a row can be used.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from skcca.metrics._similarity import gallery_vectors, unit_rows
from skcca.retrieval._gallery import LockOwner, Snapshot
from skcca.retrieval._search import TopK, merge, pair_scores, search

# Names of index_params by kind, with defaults; None depends on the number of rows.
KINDS: dict[str, dict[str, int | None]] = {
    "flat": {},
    "ivf": {"n_lists": None, "n_probe": 16},
    "hnsw": {"n_neighbors": 32, "ef_construction": 80, "ef_search": 128},
}
# An index is built anew when the other rows are more than this share of those that it covers.
GROWTH = 0.25
# faiss warns where it trains a list on fewer rows.
POINTS_PER_LIST = 39
# Larger coordinates are clipped: the square of this one is in the range of float32.
LARGEST_COORDINATE = 1e15
Array = np.ndarray
Params = dict[str, Any]
# All that an index is built by: parameters in order, and the metric.
Settings = tuple[Any, ...]


class BuiltIndex(NamedTuple):
    """An index with the state of the gallery and the settings that it was built for."""

    index: Any
    n_rows: int
    numbering: int
    settings: Settings
    # Divisor of the rows, which then fit into float32.
    scale: float
    # Factors of the columns and the mean of the rows, where the index measures distances; of shape
    # (n_components,).
    to_l2: Array | None
    centre: Array | float

    def matches(self, gallery: Snapshot, settings: Settings) -> bool:
        """Whether the index covers rows of this gallery, by these settings."""
        same = (self.numbering, self.settings) == (gallery.numbering, settings)
        return same and self.n_rows <= len(gallery)

    def is_fresh(self, gallery: Snapshot) -> bool:
        """Whether few rows of the gallery are not covered."""
        return len(gallery) <= (1 + GROWTH) * self.n_rows

    def search(
        self, gallery: Snapshot, queries: Array, k: int, spread: Array | None = None
    ) -> TopK:
        """Return the best of the candidates of the index and of the rows that it does not cover."""
        _, candidates = self.index.search(self._query_points(queries), min(k, self.n_rows))
        best = TopK.empty(len(queries), k)
        query, column = np.nonzero(candidates >= 0)
        positions, inverse = np.unique(candidates[query, column], return_inverse=True)
        if len(positions):
            scores = pair_scores(queries, gallery.take(positions), query, inverse, spread)
            best = merge(best, query, positions[inverse], scores)
        uncovered = gallery.since(self.n_rows)
        if uncovered:
            n_best = min(k, len(gallery) - self.n_rows)
            recent = search(uncovered, queries, n_best, spread)
            query = np.repeat(np.arange(len(queries)), n_best)
            best = merge(best, query, self.n_rows + recent.positions.ravel(), recent.scores.ravel())
        # The lists that were probed may hold fewer than k rows.
        short = np.flatnonzero((best.positions < 0).any(axis=1))
        if len(short):
            of_short = None if spread is None else spread[short]
            exact = search(gallery.blocks, queries[short], k, of_short)
            best.positions[short], best.scores[short] = exact
        return best

    def _query_points(self, queries: Array) -> Array:
        """Return queries as the index compares them, float32."""
        if self.to_l2 is None:
            return unit_rows(queries).astype(np.float32)
        factors = np.where(self.to_l2 > 0, self.to_l2, np.inf)
        points = (queries[:, : len(factors)] / factors - self.centre) / self.scale
        return np.clip(points, -LARGEST_COORDINATE, LARGEST_COORDINATE).astype(np.float32)


class FaissIndex(LockOwner):
    """The latest index of a gallery, built when it is first needed."""

    # Unlike the other kind, it tells whether it is held.
    make_lock = staticmethod(threading.Lock)

    def __init__(self) -> None:
        super().__init__()
        self._built: BuiltIndex | None = None

    def __getstate__(self) -> dict[str, object]:
        # A copy builds its own when it needs one.
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        FaissIndex.__init__(self)

    def get(
        self, gallery: Snapshot, params: Params, metric: str, correlations: Array | None
    ) -> BuiltIndex:
        """Return an index for these rows; while one is built, the last one stays in use."""
        settings = (tuple(sorted(params.items())), metric)
        last = self._built
        usable = last is not None and last.matches(gallery, settings)
        if last is not None and usable and last.is_fresh(gallery):
            return last
        if last is not None and usable and self.lock.locked():
            return last
        with self.lock:
            # Another thread may have built it in the meantime.
            last = self._built
            if last is None or not (last.matches(gallery, settings) and last.is_fresh(gallery)):
                last = _build(gallery, params, metric, correlations, settings)
                self._built = last
            return last


def check_index(index: str, params: Params | None) -> Params:
    """Return the parameters of an index with their defaults; refuse unknown ones."""
    if index != "faiss":
        if not params:
            return {}
        raise ValueError(
            f"CrossModalRetriever: `index_params` are those of index='faiss'; `index` is {index!r}."
        )
    require_faiss()
    params = dict(params or {})
    kind = params.pop("kind", "flat")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"CrossModalRetriever: index_params['kind'] is {kind!r}; expected one of {list(KINDS)}."
        )
    unknown = [name for name in params if name not in KINDS[kind]]
    if unknown:
        raise ValueError(
            f"CrossModalRetriever: {unknown[0]!r} is no parameter of a faiss index of kind "
            f"{kind!r}; expected some of {list(KINDS[kind])}."
        )
    for name, value in params.items():
        is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not is_integer or value < 1:
            raise ValueError(
                f"CrossModalRetriever: index_params[{name!r}] is {value!r}; expected an integer of "
                "at least 1."
            )
    return {"kind": kind, **KINDS[kind], **params}


def _build(
    gallery: Snapshot, params: Params, metric: str, correlations: Array | None, settings: Settings
) -> BuiltIndex:
    faiss = require_faiss()
    rows = gallery.take(np.arange(len(gallery))).astype(float)
    to_l2, centre = None, 0.0
    if metric in ("euclidean", "log_likelihood_ratio"):
        # The products of prepared rows (v, 1, -|S v|^2 / 2) and queries (a, ., 1) have the order of
        # the distances between S v and a / S, and graphs and lists are made for distances.
        d = rows.shape[1] - 2
        to_l2 = np.sqrt(-2 * gallery_vectors(np.eye(d), metric, correlations)[:, -1])
        rows = rows[:, :d] * to_l2
        # Far from the origin, float32 would not tell the rows apart.
        centre = rows.mean(axis=0)
        rows -= centre
    scale = max(float(np.abs(rows).max()), np.finfo(float).tiny)
    rows = np.ascontiguousarray(rows / scale, dtype=np.float32)
    measure = faiss.METRIC_INNER_PRODUCT if to_l2 is None else faiss.METRIC_L2
    n, d = rows.shape
    if params["kind"] == "flat":
        index = faiss.IndexFlat(d, measure)
    elif params["kind"] == "hnsw":
        index = faiss.IndexHNSWFlat(d, params["n_neighbors"], measure)
        index.hnsw.efConstruction = params["ef_construction"]
        index.hnsw.efSearch = params["ef_search"]
    else:
        max_lists = max(1, n // POINTS_PER_LIST)
        n_lists = min(params["n_lists"] or max(1, round(4 * n**0.5)), max_lists)
        quantizer = faiss.IndexFlat(d, measure)
        index = faiss.IndexIVFFlat(quantizer, d, n_lists, measure)
        index.nprobe = min(params["n_probe"], n_lists)
        index.train(rows)
    index.add(rows)
    return BuiltIndex(index, n, gallery.numbering, settings, scale, to_l2, centre)


def require_faiss() -> Any:
    """Return the module; an error says how to install it."""
    try:
        return import_module("faiss")
    except ImportError as error:
        raise ImportError(
            "CrossModalRetriever: index='faiss' needs faiss, which is not installed: "
            'pip install "skcca[faiss]"; index="exact" works without it.'
        ) from error
