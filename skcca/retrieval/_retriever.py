"""Cross-modal search: items of one view for queries of the other."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skcca._core.arrays import check_aligned
from skcca._core.compat import StrOptions, _fit_context, documented
from skcca._core.files import PathLike, parsing
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca.metrics._similarity import METRICS, similarities
from skcca.retrieval._faiss import FaissIndex, check_index
from skcca.retrieval._file import RETRIEVER_PARAMS, read_gallery, write_gallery
from skcca.retrieval._gallery import Gallery, LockOwner
from skcca.retrieval._ids import check_ids
from skcca.retrieval._search import TopK
from skcca.retrieval._space import SAMPLE, FittedSpace, Query, fingerprint
from skcca.views._container import Views

__all__ = ["CrossModalRetriever", "QueryResult"]

# Held while the gallery of a retriever that was never fitted is begun.
_FIRST_USE = LockOwner()


class QueryResult(NamedTuple):
    """Ids and scores of the items found, (n_queries, k) each, best first."""

    ids: np.ndarray
    scores: np.ndarray


@documented
class CrossModalRetriever(BaseEstimator):
    """Searchable gallery of embedded items of one view, for queries of the other.

    A song asks, music videos answer: the two-view estimator embeds both, the gallery keeps the
    embedded videos under their ids, and `query` returns the ids of the most similar ones.

    Parameters
    ----------
    estimator : two-view transformer or None, default=None
        A model of this library, or any transformer whose ``transform(X, y)`` returns both projected
        views; alone, at the end of a `Pipeline`, or in a search. None: the rows that are given are
        embeddings already, in one space.
    direction : {"x_to_y", "y_to_x"}, default="x_to_y"
        The view of the queries and that of the items.
    metric : {"cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio"}, \
default="cosine"
        Similarity; ``"euclidean"`` scores by minus the distance, and ``"log_likelihood_ratio"``
        needs ``estimator_.correlations_``.
    index : {"exact", "faiss"}, default="exact"
        Search among all items, or among candidates of faiss (``pip install "skcca[faiss]"``).
    index_params : dict, default=None
        Of faiss: ``kind`` is "flat" (the default), "ivf" with ``n_lists`` (4 sqrt(n)) and
        ``n_probe`` (16), or "hnsw" with ``n_neighbors`` (32), ``ef_construction`` (80) and
        ``ef_search`` (128).
    aggregate : {"mean", "mean_similarity", "max_similarity"}, default="mean"
        How the rows of one group become one query: by the mean of their embeddings, or by the mean
        or the maximum of their similarities to an item. The mean of ``"euclidean"`` is that of
        squared distances.
    prefit : bool, default=False
        Whether the estimator is fitted already and used as it is, as a `FrozenEstimator` always is.
        Then `add` and `query` need no `fit`. An estimator that is fitted again once the gallery was
        begun would put queries and items into different spaces, and is refused.
    add_training : bool, default=True
        Whether `fit` adds the rows that it was given to the gallery.

    Attributes
    ----------
    estimator_ : two-view transformer or None
        The fitted estimator.
    ids_ : ndarray of shape (n_items,)
        Ids of the items, in the order in which they were added; integers of 64 bits, or strings of
        at most 1,024 characters, which all take as much memory as the longest. Read-only.

    See Also
    --------
    skcca.retrieval_map : Score a model by mean average precision.

    Notes
    -----
    The exact search is a full stable sort by float64 scores, ties in the order in which items were
    added, to the last bit; memory for it is bounded by scikit-learn's ``working_memory``. Items
    take float32 where the estimator works in float32 and the metric allows it. Distances are sums
    of squared differences, exact however far from the origin the embeddings lie.

    A faiss index only proposes items: their scores are exact, and so is the search of those added
    since it was built, up to a quarter of the gallery. After that, or after `remove`, the next
    query builds it anew. It uses the threads of OpenMP. `recall_against_exact` measures its loss.

    Any number of threads may call `query`, `add` and `remove` at once: each query sees the gallery
    as it was at one moment. A call that fails or is interrupted has changed the gallery as a whole
    or not at all. ``len(retriever)`` is the number of items. What the gallery was begun
    with (estimator, direction, metric) stays until the next `fit`; `index`, `index_params` and
    `aggregate` may be set at any time.

    Examples
    --------
    >>> from sklearn.model_selection import train_test_split
    >>> from skcca import ClusterCCA
    >>> from skcca.datasets import load_digit_halves
    >>> from skcca.retrieval import CrossModalRetriever
    >>> digits = load_digit_halves()
    >>> left, new_left, right, new_right, y, new_y = train_test_split(
    ...     digits.x, digits.y, digits.labels, random_state=0
    ... )
    >>> retriever = CrossModalRetriever(ClusterCCA()).fit(left, right, y)
    >>> len(retriever)
    1347
    >>> ids, scores = retriever.query(new_left, k=5)
    >>> float((y[ids] == new_y[:, None]).mean().round(2))  # found digits that are the right ones
    0.64
    >>> _ = retriever.add(new_right[:2], ids=[2001, 2002]).remove([2001])
    >>> len(retriever)
    1348
    """

    _parameter_constraints: dict = {
        "estimator": "no_validation",
        "direction": [StrOptions({"x_to_y", "y_to_x"})],
        "metric": [StrOptions(set(METRICS))],
        "index": [StrOptions({"exact", "faiss"})],
        "index_params": [dict, None],
        "aggregate": [StrOptions({"mean", "mean_similarity", "max_similarity"})],
        "prefit": ["boolean"],
        "add_training": ["boolean"],
    }

    def __init__(
        self,
        estimator: Estimator | None = None,
        *,
        direction: str = "x_to_y",
        metric: str = "cosine",
        index: str = "exact",
        index_params: dict[str, Any] | None = None,
        aggregate: str = "mean",
        prefit: bool = False,
        add_training: bool = True,
    ):
        self.estimator = estimator
        self.direction = direction
        self.metric = metric
        self.index = index
        self.index_params = index_params
        self.aggregate = aggregate
        self.prefit = prefit
        self.add_training = add_training

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ViewLike, y: ViewLike = None, labels: LabelsLike = None, ids: ArrayLike = None
    ) -> Self:
        """Fit the estimator, and begin a gallery with the rows of one view.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
        y : array-like of shape (n_samples, n_features_y), default=None
        labels : array-like of shape (n_samples,), default=None
            Both views, or a `Views` with its labels as `y`; labels where the estimator uses them.
        ids : array-like of shape (n_samples,), default=None
            Ids of the rows, integers or strings; None numbers them from 0.

        Returns
        -------
        self : object
            The retriever.

        Raises
        ------
        ValueError
            If a view is missing, ids repeat, an embedding is not finite, or the estimator refuses
            the data. The gallery then stays as it was.
        """
        caller = "CrossModalRetriever.fit"
        check_index(self.index, self.index_params)
        in_views = isinstance(X, Views)
        if in_views and y is not None and labels is not None:
            raise ValueError(
                f"{caller}: labels were given twice, as `y` and as `labels`: fit(Views(X, Y), "
                "labels)."
            )
        if not in_views and y is None:
            raise ValueError(
                f"{caller}: the second view is missing: fit(X, y) or fit(Views(X, y))."
            )
        if ids is not None and not self.add_training:
            raise ValueError(f"{caller}: `ids` name training rows, but add_training=False.")
        check_aligned(caller, X=X, y=y, labels=labels, ids=ids)
        estimator = self.estimator
        if not self._is_prefit():
            estimator = clone(estimator)
            if in_views:
                estimator.fit(X, *(part for part in (y, labels) if part is not None))
            else:
                estimator.fit(X, y, **({} if labels is None else {"labels": labels}))
        space = self._begin(estimator, in_views)
        if self.add_training:
            from_X = in_views or space.gallery_view == "x"
            self._add(space, X if from_X else y, ids, "X" if from_X else "y", caller)
        # Assigned at the end, so that a fit that fails leaves the gallery as it was.
        self._space = space
        return self

    def add(self, V_new: ViewLike, ids: ArrayLike = None) -> Self:
        """Embed items, and append them to the gallery.

        Parameters
        ----------
        V_new : array-like of shape (n_items, n_features) or Views
            Items; of a `Views`, the view of the items.
        ids : array-like of shape (n_items,), default=None
            New ids, integers or strings; None continues after the largest integer ever used.

        Returns
        -------
        self : object
            The retriever.

        Raises
        ------
        ValueError
            If an id is taken or given twice, if the pandas indices of items and ids differ, if an
            embedding is not finite, or if a prefit estimator was fitted again; nothing is added
            then.
        TypeError
            If ids are neither integers nor strings, or of another kind than those of the gallery.
        """
        self._add(self._current(), V_new, ids, "V_new", "CrossModalRetriever.add")
        return self

    def remove(self, ids: ArrayLike) -> Self:
        """Remove items from the gallery.

        Searches pass them over; once they are an eighth of all rows, the others are copied
        together.

        Parameters
        ----------
        ids : array-like of shape (n_items,)
            Ids of the items.

        Returns
        -------
        self : object
            The retriever.

        Raises
        ------
        ValueError
            If an id is not in the gallery; nothing is removed then.
        """
        caller = "CrossModalRetriever.remove"
        self._current().gallery.remove(check_ids(ids, None, caller), caller)
        return self

    def __len__(self) -> int:
        space = getattr(self, "_space", None)
        return 0 if space is None else len(space.gallery.snapshot)

    @property
    def ids_(self) -> np.ndarray:
        """Ids of the items, in the order in which they were added."""
        return self._current().gallery.snapshot.item_ids()

    @property
    def estimator_(self) -> Estimator | None:
        """The fitted estimator."""
        return self._current().estimator

    def query(self, A: ViewLike, k: int = 10, *, groups: LabelsLike = None) -> QueryResult:
        """Return the most similar items of each query.

        Parameters
        ----------
        A : array-like of shape (n_queries, n_features) or Views
            Queries; of a `Views`, the view of the queries.
        k : int, default=10
            Items to find for each query.
        groups : array-like of shape (n_queries,), default=None
            Rows of one group, such as the chunks of a song, are one query together, as `aggregate`
            says. Results are in the order in which the groups first appear.

        Returns
        -------
        ids : ndarray of shape (n_queries or n_groups, k)
            Ids of the items, best first; of equal ones the one added first.
        scores : ndarray of shape (n_queries or n_groups, k)
            Their similarities, float64.

        Raises
        ------
        ValueError
            If the gallery is empty, `k` is not positive, an embedding is not finite, the pandas
            indices of queries and groups differ, a prefit estimator was fitted again, or the file
            of a memory-mapped gallery is damaged or was cut.

        Warns
        -----
        UserWarning
            If the gallery has fewer than `k` items; all are returned.

        Examples
        --------
        Three chunks of one song, and one of another, find the nearest of three videos:

        >>> from skcca.retrieval import CrossModalRetriever
        >>> videos = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]
        >>> retriever = CrossModalRetriever().add(videos, ids=["sun", "sea", "rain"])
        >>> chunks, songs = [[1.0, 1.0], [0.5, 0.2], [0.1, 0.8], [-2.0, 0.1]], [7, 7, 7, 9]
        >>> retriever.query(chunks, k=2, groups=songs).ids.tolist()
        [['sea', 'sun'], ['rain', 'sea']]
        """
        space, query = self._build_query(A, k, groups, "query")
        best = self._run(space, query)
        ids = query.gallery.ids[best.positions]
        return QueryResult(ids, similarities(best.scores, space.metric))

    def recall_against_exact(self, A: ViewLike, k: int = 10, *, groups: LabelsLike = None) -> float:
        """Return the share of the exact best items that the index finds.

        Parameters
        ----------
        A : array-like of shape (n_queries, n_features) or Views
        k : int, default=10
        groups : array-like of shape (n_queries,), default=None
            See `query`.

        Returns
        -------
        recall : float
            Between 0 and 1, the mean over the queries; 1 where ``index="exact"``.
        """
        space, query = self._build_query(A, k, groups, "recall_against_exact")
        if not len(query.rows):
            raise ValueError("recall_against_exact: a mean needs at least one query; got none.")
        exact, found = query.run().positions, self._run(space, query).positions
        hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]
        return float(np.mean(hits)) / exact.shape[1]

    def save(self, path: PathLike) -> None:
        """Write the gallery to one file, which executes nothing when it is read.

        The file replaces an earlier one when it is whole. It holds a deep estimator, and of any
        other one the class and a hash of what it learned; `load` then needs the estimator.

        Parameters
        ----------
        path : str or path-like
            Name of the file, in the safetensors format.

        Raises
        ------
        TypeError
            If a deep estimator cannot be kept in a file without code.
        ValueError
            If the estimator was fitted again after the gallery was begun.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from skcca.retrieval import CrossModalRetriever
        >>> retriever = CrossModalRetriever().add([[1.0, 0.0], [0.0, 1.0]], ids=["sun", "sea"])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "gallery.safetensors"
        >>> retriever.save(path)
        >>> CrossModalRetriever.load(path).query([[0.2, 0.9]], k=1).ids
        array([['sea']], dtype='<U3')
        """
        params = {name: getattr(self, name) for name in RETRIEVER_PARAMS}
        write_gallery(path, self._current(), params)

    @classmethod
    def load(cls, path: PathLike, *, estimator: Estimator = None, mmap: bool = True) -> Self:
        """Return the retriever that `save` wrote; its estimator counts as `prefit`.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        estimator : fitted two-view transformer, default=None
            The one that embedded the items, where the file does not hold it.
        mmap : bool, default=True
            Whether the items stay in the file, as a memory map. `load` then reads none of them: the
            first query, removal or `save` compares them with their checksum, once, and each of them
            the size of the file. A file that is cut while a search reads it kills the process;
            replace files by `save` or `os.replace`, which leave the old one to its readers. Else
            they are read and checked here. Items that are added later are kept in memory.

        Returns
        -------
        retriever : CrossModalRetriever
            Ready to `query`, `add` and `remove`.

        Raises
        ------
        ValueError
            If the file is damaged, of another version or none of these, or if the estimator is
            missing or another one.
        """
        params, estimator, in_views, gallery = read_gallery(path, estimator, mmap)
        with parsing(f"{cls.__name__}.load: {str(path)!r} does not hold what it must"):
            retriever = cls(estimator, prefit=True, **params)
            retriever._space = retriever._begin(estimator, in_views, gallery)
        return retriever

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_space") or self._is_prefit()

    def _is_prefit(self) -> bool:
        return self.estimator is None or self.prefit or isinstance(self.estimator, FrozenEstimator)

    def _begin(
        self, estimator: Estimator | None, in_views: bool, gallery: Gallery | None = None
    ) -> FittedSpace:
        self._validate_params()
        space = FittedSpace(
            estimator, self.direction, self.metric, in_views, gallery or Gallery(), FaissIndex(),
            fingerprint(estimator, SAMPLE),
        )  # fmt: skip
        space.check()
        return space

    def _current(self) -> FittedSpace:
        """Return the space of the last `fit`, or of the first use of a fitted estimator."""
        space: FittedSpace | None = getattr(self, "_space", None)
        if space is not None:
            return space
        if not self._is_prefit():
            raise NotFittedError(
                "This CrossModalRetriever is not fitted yet; call fit, or give a fitted estimator "
                "with prefit=True."
            )
        # Two threads that come first must not begin two galleries.
        with _FIRST_USE.lock:
            if not hasattr(self, "_space"):
                self._space = self._begin(self.estimator, in_views=False)
            return self._space

    def _add(self, space: FittedSpace, V: ViewLike, ids: ArrayLike, name: str, caller: str) -> None:
        check_aligned(caller, **{name: V, "ids": ids})
        rows = space.gallery_rows(V, name, caller)
        checked = None if ids is None else check_ids(ids, len(rows), caller)
        space.gallery.add(rows, checked, caller)

    def _build_query(
        self, A: ViewLike, k: int, groups: LabelsLike, method: str
    ) -> tuple[FittedSpace, Query]:
        self._validate_params()
        space = self._current()
        caller = f"CrossModalRetriever.{method}"
        # An index has no rows that are passed over.
        compact = self.index != "exact"
        return space, Query.build(space, A, k, groups, self.aggregate, caller, compact=compact)

    def _run(self, space: FittedSpace, query: Query) -> TopK:
        params = check_index(self.index, self.index_params)
        if self.index == "exact":
            return query.run()
        index = space.faiss.get(query.gallery, params, space.metric, space.correlations())
        return query.run(index)
