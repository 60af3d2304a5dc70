"""A faiss index of a gallery, which proposes; scores come from the rows themselves.

An index is never changed. It covers the rows that were there when it was built, rows added since
are searched exactly beside it, and it is built anew once these are many or rows were removed. So
any number of threads may search, and kinds that cannot forget a row need not.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from skcca.metrics._similarity import gallery_vectors, unit_rows
from skcca.retrieval._gallery import Snapshot
from skcca.retrieval._search import Best, empty, merge, pair_scores, search

# Names of index_params by kind, with defaults; None depends on the number of rows.
KINDS: dict[str, dict[str, int | None]] = {
    "flat": {},
    "ivf": {"n_lists": None, "n_probe": 16},
    "hnsw": {"n_neighbors": 32, "ef_construction": 80, "ef_search": 128},
}

GROWTH = 0.25  # of the rows that it covers, before an index is built anew
POINTS_PER_LIST = 39  # what faiss asks for to train one
FARTHEST = 1e15  # its square is in the range of float32
Array = np.ndarray


class Built(NamedTuple):
    """An index, and what it was built of."""

    index: Any
    n_rows: int
    numbering: int
    settings: tuple
    scale: float  # what the rows were divided by, so that float32 holds them
    to_l2: Array | None  # factors of the columns, where it measures distances

    def fits(self, gallery: Snapshot, settings: tuple) -> bool:
        """Whether it may be used beside an exact search of the other rows."""
        same = self.numbering == gallery.numbering and self.settings == settings
        return same and self.n_rows <= len(gallery)

    def is_fresh(self, gallery: Snapshot) -> bool:
        """Whether the other rows are few."""
        return len(gallery) <= (1 + GROWTH) * self.n_rows

    def search(self, gallery: Snapshot, queries: Array, k: int) -> Best:
        """Return the best of what the index proposes and of the rows that it does not cover."""
        n_asked = min(k, self.n_rows)
        _, proposed = self.index.search(self._sides(queries), n_asked)
        best = empty(len(queries), k)
        query, column = np.nonzero(proposed >= 0)
        places, inverse = np.unique(proposed[query, column], return_inverse=True)
        if len(places):
            scores = pair_scores(queries, gallery.take(places), query, inverse)
            best = merge(best, query, places[inverse], scores)
        beyond = gallery.since(self.n_rows)
        n_beyond = len(gallery) - self.n_rows
        if beyond:
            found = search(beyond, queries, min(k, n_beyond))
            rows = np.repeat(np.arange(len(queries)), min(k, n_beyond))
            best = merge(best, rows, self.n_rows + found.places.ravel(), found.scores.ravel())
        short = np.flatnonzero((best.places < 0).any(axis=1))
        if len(short):  # the lists that were looked into hold fewer rows
            exact = search(gallery.parts, queries[short], k)
            best.places[short], best.scores[short] = exact
        return best

    def _sides(self, queries: Array) -> Array:
        if self.to_l2 is None:
            return unit_rows(queries).astype(np.float32)
        factors = np.where(self.to_l2 > 0, self.to_l2, np.inf) * self.scale
        sides = queries[:, : len(factors)] / factors
        return np.clip(sides, -FARTHEST, FARTHEST).astype(np.float32)


class FaissIndex:
    """The latest index of a gallery, built when it is first needed."""

    def __init__(self) -> None:
        self._built: Built | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # it is built anew where it is needed

    def __setstate__(self, state: dict[str, Any]) -> None:
        FaissIndex.__init__(self)

    def of(
        self, gallery: Snapshot, params: dict[str, Any], metric: str, correlations: Array | None
    ) -> Built:
        """Return an index for these rows; one that is building leaves the last one in use."""
        settings = (tuple(sorted(params.items())), metric)
        last = self._built
        usable = last is not None and last.fits(gallery, settings)
        if last is not None and usable and last.is_fresh(gallery):
            return last
        free = self._lock.acquire(blocking=not usable)
        if not free and last is not None:
            return last
        try:
            last = self._built
            if last is None or not (last.fits(gallery, settings) and last.is_fresh(gallery)):
                last = _build(gallery, params, metric, correlations, settings)
                self._built = last
            return last
        finally:
            self._lock.release()


def check_index(index: str, params: dict[str, Any] | None) -> dict[str, Any]:
    """Return all parameters of an index; refuse unknown ones, or a library that is not there."""
    if index == "faiss":
        require_faiss()
        return _check_params(params)
    if params:
        raise ValueError(
            f"CrossModalRetriever: `index_params` are those of index='faiss'; `index` is {index!r}."
        )
    return {}


def _check_params(params: dict[str, Any] | None) -> dict[str, Any]:
    given = dict(params or {})
    kind = given.pop("kind", "flat")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"CrossModalRetriever: index_params['kind'] is {kind!r}; expected one of {list(KINDS)}."
        )
    unknown = [name for name in given if name not in KINDS[kind]]
    if unknown:
        raise ValueError(
            f"CrossModalRetriever: {unknown[0]!r} is no parameter of a faiss index of kind "
            f"{kind!r}; expected some of {list(KINDS[kind])}."
        )
    for name, value in given.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ValueError(
                f"CrossModalRetriever: index_params[{name!r}] is {value!r}; expected an integer of "
                "at least 1."
            )
    return {"kind": kind, **KINDS[kind], **given}


def _build(
    gallery: Snapshot,
    params: dict[str, Any],
    metric: str,
    correlations: Array | None,
    settings: tuple,
) -> Built:
    faiss = require_faiss()
    rows = gallery.take(np.arange(len(gallery))).astype(float)
    to_l2 = None
    if metric in ("euclidean", "log_likelihood_ratio"):
        # Of the prepared rows (v, 1, -|S v|^2 / 2) and (a, ., 1) the products are ordered as the
        # distances between S v and a / S.
        d = rows.shape[1] - 2
        to_l2 = np.sqrt(-2 * gallery_vectors(np.eye(d), metric, correlations)[:, -1])
        rows = rows[:, :d] * to_l2
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
        most = max(1, n // POINTS_PER_LIST)
        n_lists = min(params["n_lists"] or max(1, round(4 * n**0.5)), most)
        quantizer = faiss.IndexFlat(d, measure)
        index = faiss.IndexIVFFlat(quantizer, d, n_lists, measure)
        index.nprobe = min(params["n_probe"], n_lists)
        index.train(rows)
    index.add(rows)
    return Built(index, n, gallery.numbering, settings, scale, to_l2)


def require_faiss() -> Any:
    """Return the library, or say how to install it."""
    try:
        return import_module("faiss")
    except ImportError as error:
        raise ImportError(
            "CrossModalRetriever: index='faiss' needs faiss, which is not installed: "
            'pip install "skcca[faiss]"; index="exact" works without it.'
        ) from error
