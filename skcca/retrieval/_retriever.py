"""Search across views: items of one view that belong to a query of the other.

All that stands behind it is in `skcca._gallery`: the model and the metric in `space`, the items
in `gallery`, what is asked in `question`, the search in `search` and `faiss_index`, the file in
`saved`.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skcca._core.compat import StrOptions, _fit_context
from skcca.metrics._similarity import METRICS, similarities
from skcca.retrieval._faiss import FaissIndex, check_index
from skcca.retrieval._file import SavedRetriever
from skcca.retrieval._gallery import Gallery, check_ids
from skcca.retrieval._question import Question
from skcca.retrieval._search import Best
from skcca.retrieval._space import Space, fingerprint
from skcca.views._container import Views

__all__ = ["CrossModalRetriever", "QueryResult"]
_BEGINNING = threading.Lock()  # of galleries of retrievers that were never fitted


class QueryResult(NamedTuple):
    """Ids and scores of the items found, (n_queries, k) each, best first."""

    ids: np.ndarray
    scores: np.ndarray


class CrossModalRetriever(SavedRetriever):
    """Keep embedded items of one view, and find those that belong to queries of the other.

    A song asks, music videos answer: the two-view estimator embeds both, the gallery keeps the
    embedded videos under their ids, and `query` returns the ids of the most similar ones.

    Parameters
    ----------
    estimator : two-view transformer or None, default=None
        A model of this library, or any transformer whose ``transform(X, y)`` returns both projected
        views; alone, at the end of a `Pipeline`, or in a search. None: the rows that are given are
        embeddings already, in one space.
    direction : {"x_to_y", "y_to_x"}, default="x_to_y"
        Which view asks and which is found.
    metric : {"cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio"}, \
default="cosine"
        What similar means; of ``"euclidean"`` the score is minus the distance, and
        ``"log_likelihood_ratio"`` needs ``estimator_.correlations_``.
    index : {"exact", "faiss"}, default="exact"
        Whether every item is compared, or a faiss index (``pip install "skcca[faiss]"``) proposes.
    index_params : dict, default=None
        Of faiss: ``kind`` is "flat" (the default), "ivf" with ``n_lists`` (4 sqrt(n)) and
        ``n_probe`` (16), or "hnsw" with ``n_neighbors`` (32), ``ef_construction`` (80) and
        ``ef_search`` (128).
    aggregate : {"mean", "mean_similarity", "max_similarity"}, default="mean"
        What the rows of one group have in common as a query: the mean of their embeddings, or the
        mean or the maximum of their similarities to an item. The mean of ``"euclidean"`` is that of
        squared distances.
    prefit : bool, default=False
        Whether the estimator is fitted already and used as it is, as a `FrozenEstimator` always is.
        Then `add` and `query` need no `fit`.
    add_training : bool, default=True
        Whether `fit` puts its rows of the view that is found into the gallery.

    Attributes
    ----------
    estimator_ : two-view transformer or None
        The fitted estimator.
    ids_ : ndarray of shape (n_items,)
        Ids of the items, in the order in which they were added; integers or strings. Read-only.

    See Also
    --------
    skcca.retrieval_map : Score a model by mean average precision.

    Notes
    -----
    The exact search is a full stable sort by float64 scores, ties in the order in which items were
    added, to the last bit; memory for it is bounded by scikit-learn's ``working_memory``. Items
    take float32 where the estimator works in float32 and the metric allows it.

    A faiss index only proposes items: their scores are exact, and so is the search of those added
    since it was built, up to a quarter of the gallery. After that, or after `remove`, the next
    query builds it anew. It uses the threads of OpenMP. `recall_against_exact` says what it misses.

    Any number of threads may call `query`, `add` and `remove` at once: each query sees the gallery
    as it was at one moment. ``len(retriever)`` is the number of items. What the gallery was begun
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
        estimator: Any = None,
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

    # Items

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, labels: Any = None, ids: Any = None) -> Self:
        """Fit the estimator, and begin a gallery with the rows of the view that is found.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view; beside a `Views` the labels.
        labels : array-like of shape (n_samples,), default=None
            Labels for the estimator, where it uses them.
        ids : array-like of shape (n_samples,), default=None
            Ids of the rows, integers or strings; None numbers them from 0.

        Returns
        -------
        self : object
            The fitted retriever.

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
        estimator = self.estimator
        if not self._is_prefit():
            estimator = clone(estimator)
            given = [part for part in (y, labels) if part is not None]
            if in_views:
                estimator.fit(X, *given)
            else:
                estimator.fit(X, y, **({} if labels is None else {"labels": labels}))
        space = self._begin(estimator, in_views)
        if self.add_training:
            found = X if in_views or space.gallery_view == "x" else y
            self._add(space, found, ids, "X" if found is X else "y", caller)
        self._space = space
        return self

    def add(self, V_new: Any, ids: Any = None) -> Self:
        """Embed items of the view that is found, and append them to the gallery.

        Parameters
        ----------
        V_new : array-like of shape (n_items, n_features) or Views
            Items; of a `Views`, that view.
        ids : array-like of shape (n_items,), default=None
            Their ids, integers or strings, which no other item has; None continues after the
            largest integer that ever was an id.

        Returns
        -------
        self : object
            The retriever.

        Raises
        ------
        ValueError
            If an id is taken or given twice, or an embedding is not finite; nothing is added then.
        TypeError
            If ids are neither integers nor strings, or of another kind than those of the gallery.
        """
        self._add(self._current(), V_new, ids, "V_new", "CrossModalRetriever.add")
        return self

    def remove(self, ids: Any) -> Self:
        """Take items out of the gallery, at the cost of a copy of the others.

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
        return self._current().gallery.snapshot.ids

    @property
    def estimator_(self) -> Any:
        """The fitted estimator."""
        return self._current().estimator

    # Queries

    def query(self, A: Any, k: int = 10, *, groups: Any = None) -> QueryResult:
        """Return the items that are most similar to each query.

        Parameters
        ----------
        A : array-like of shape (n_queries, n_features) or Views
            Queries; of a `Views`, the view that asks.
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
            If the gallery is empty, `k` is not positive, or an embedding is not finite.

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
        space, question = self._ask(A, k, groups, "query")
        best = self._answer(space, question)
        return QueryResult(
            question.gallery.ids[best.places], similarities(best.scores, space.metric)
        )

    def recall_against_exact(self, A: Any, k: int = 10, *, groups: Any = None) -> float:
        """Return the share of the exact best items that the index finds.

        Parameters
        ----------
        A : array-like of shape (n_queries, n_features) or Views
            Queries, as for `query`.
        k : int, default=10
            Items to find for each query.
        groups : array-like of shape (n_queries,), default=None
            As for `query`.

        Returns
        -------
        recall : float
            Between 0 and 1, the mean over the queries; 1 where ``index="exact"``.
        """
        space, question = self._ask(A, k, groups, "recall_against_exact")
        if not len(question.rows):
            raise ValueError("recall_against_exact: a mean needs at least one query; got none.")
        exact, found = question.answer().places, self._answer(space, question).places
        hits = [len(np.intersect1d(a, b)) for a, b in zip(exact, found, strict=True)]
        return float(np.mean(hits)) / exact.shape[1]

    # Private

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_space") or self._is_prefit()

    def _is_prefit(self) -> bool:
        return self.estimator is None or self.prefit or isinstance(self.estimator, FrozenEstimator)

    def _begin(self, estimator: Any, in_views: bool, gallery: Gallery | None = None) -> Space:
        self._validate_params()
        space = Space(
            estimator, self.direction, self.metric, in_views, gallery or Gallery(), FaissIndex()
        )
        space.check()
        return space if estimator is None else space._replace(signature=fingerprint(estimator))

    def _current(self) -> Space:
        """Return the space of the last `fit`, or of the first use of a fitted estimator."""
        space = getattr(self, "_space", None)
        if space is not None:
            return space
        if not self._is_prefit():
            raise NotFittedError(
                "This CrossModalRetriever is not fitted yet; call fit, or give a fitted estimator "
                "with prefit=True."
            )
        with _BEGINNING:
            if not hasattr(self, "_space"):
                self._space = self._begin(self.estimator, in_views=False)
            return self._space

    def _add(self, space: Space, V: Any, ids: Any, name: str, caller: str) -> None:
        rows = space.gallery_rows(V, name, caller)
        names = None if ids is None else check_ids(ids, len(rows), caller)
        space.gallery.add(rows, names, caller)

    def _ask(self, A: Any, k: Any, groups: Any, method: str) -> tuple[Space, Question]:
        self._validate_params()
        space = self._current()
        caller = f"CrossModalRetriever.{method}"
        return space, Question.to(space, A, k, groups, self.aggregate, caller)

    def _answer(self, space: Space, question: Question) -> Best:
        params = check_index(self.index, self.index_params)
        if self.index == "exact":
            return question.answer()
        correlations = space.correlations()
        return question.answer(space.faiss.of(question.gallery, params, space.metric, correlations))
