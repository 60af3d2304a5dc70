"""Classes out of features: clusters that start from a few annotated rows, and soft memberships."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils.validation import check_is_fitted

from skcca._core.arrays import check_aligned
from skcca._core.compat import (
    Interval,
    StrOptions,
    _check_sample_weight,
    _fit_context,
    bind_draft,
    check_array,
    documented,
    draft_of,
    rng_from,
    snapshot_of,
    validate_data,
)
from skcca._core.standardize import Standardisation
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike, ViewLike, WeightsLike
from skcca._core.warnings import warn
from skcca.views._labels import check_labels, is_missing, to_entries

__all__ = ["SeededKMeans", "SoftMembership"]

# Validated rows of float32 or float64.
Rows: TypeAlias = np.ndarray | sparse.csr_matrix


@documented
class SeededKMeans(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, BaseEstimator):
    """K-means that starts from the means of annotated rows, with one cluster for each class.

    Minimize the sum over clusters of the squared distances of their rows to their mean u_c::

        sum_c sum_{x in c} |x - u_c|^2,   u_c at first = mean of the rows annotated c

    With a few annotated songs for each emotion, all songs fall into named emotion clusters. The
    names serve as the labels of `ClusterCCA`, `ClusterKCCA` and `SupervisedDCCA`. Annotations only
    set the start: an annotated row may end in the cluster of another class.

    Parameters
    ----------
    n_clusters : int, default=None
        Number of clusters, at least one for each annotated class, and exactly that for None.
        Further clusters start from rows drawn by k-means++.
    max_iter : int, default=300
    tol : float, default=1e-4
    algorithm : {"lloyd", "elkan"}, default="lloyd"
        As in scikit-learn's `KMeans`, which runs the iterations.
    random_state : int, RandomState, Generator or None, default=None
        Draws the first centres of the clusters without annotations; nothing else is random.

    Attributes
    ----------
    classes_ : ndarray of shape (n_clusters,)
        Names of the clusters: the annotated classes, sorted, then for further clusters the next
        integers, or "cluster0", "cluster1", ... beside strings.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Means of the clusters, in the order of ``classes_``.
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row, by name.
    inertia_ : float
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        As in scikit-learn's `KMeans`.

    See Also
    --------
    sklearn.cluster.KMeans : K-means from random starts.

    References
    ----------
    .. [1] S. Basu, A. Banerjee, R. Mooney, "Semi-supervised clustering by seeding", ICML 2002.
    .. [2] D. Zeng, Y. Yu, K. Oyama, "Audio-visual embedding for cross-modal music video retrieval
       through supervised deep CCA", IEEE ISM 2018, section III.C and Eq. 11.
       :doi:`10.1109/ISM.2018.00-21`

    Examples
    --------
    >>> from skcca.cluster import SeededKMeans
    >>> songs = [[0.0, 0.1], [0.2, 0.0], [0.1, 0.3], [5.0, 5.1], [5.2, 4.9]]
    >>> model = SeededKMeans().fit(songs, ["calm", None, None, "angry", None])
    >>> model.labels_.tolist()
    ['calm', 'calm', 'calm', 'angry', 'angry']
    >>> model.predict([[4.0, 4.0]]).tolist()
    ['angry']
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "algorithm": [StrOptions({"lloyd", "elkan"})],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        n_clusters: int | None = None,
        *,
        max_iter: int = 300,
        tol: float = 1e-4,
        algorithm: str = "lloyd",
        random_state: RandomStateLike = None,
    ):
        self.n_clusters = n_clusters
        self.max_iter = max_iter
        self.tol = tol
        self.algorithm = algorithm
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ViewLike, y: LabelsLike = None, sample_weight: WeightsLike = None) -> Self:
        """Cluster the rows, starting from the annotated ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to cluster.
        y : array-like of shape (n_samples,), default=None
            Class of the annotated rows (integers, strings or bools), and for every other row -1,
            None or NaN; "-1" beside strings: ``np.where(known, names, "-1")``. Without ``y``,
            k-means starts from k-means++ alone.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the first means as in the clusters; an integer
            weight equals repeated rows.

        Returns
        -------
        self : SeededKMeans
            The fitted clustering.

        Raises
        ------
        ValueError
            If ``y`` is not as long as ``X``, continuous or mixes strings and numbers; if there are
            neither annotations nor ``n_clusters``, or more clusters than rows.

        Warns
        -----
        UserWarning
            If ``y`` annotates no row or more classes than ``n_clusters``, or if a cluster has lost
            all annotated rows of its class.
        """
        # The fit is written on a copy and bound at the end, so that a refit that is refused leaves
        # the model as it was.
        fitted = draft_of(self)
        check_aligned(type(self).__name__, X=X, y=y, sample_weight=sample_weight)
        X = validate_data(fitted, X, accept_sparse="csr", dtype=[np.float64, np.float32])
        _check_range(X)
        weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        # Newer releases of scikit-learn refuse this in the line above.
        if not weights.any():
            raise ValueError(f"{type(self).__name__}: `sample_weight` is zero for every row.")
        seeds, annotated = self._annotations(y, X, weights)
        seed_classes, seed_codes = np.unique(seeds, return_inverse=True)
        n_clusters = self._check_n_clusters(len(seed_classes), X)

        centers = _class_means(X[annotated], seed_codes, len(seed_classes), weights[annotated])
        centers = _add_centers(centers, X, n_clusters, weights, rng_from(self.random_state))
        # Given centres leave nothing random, but without a seed KMeans would still draw from the
        # global random state.
        settings = {"max_iter": self.max_iter, "tol": self.tol, "algorithm": self.algorithm}
        kmeans = KMeans(n_clusters, init=centers, n_init=1, random_state=0, **settings)
        # The output that scikit-learn is set to is meant for the user's transformers.
        kmeans.set_output(transform="default").fit(X, sample_weight=weights)
        kept = seed_codes[seed_codes == kmeans.labels_[annotated]]
        lost = np.delete(seed_classes, kept).astype(str)
        if len(lost):
            warn(
                f"{type(self).__name__}: no annotated row of {', '.join(lost)} is left in the "
                "cluster of that name, so the name may not describe it; annotate more rows of "
                "these classes, or merge classes that the features do not separate."
            )

        fitted.classes_ = _cluster_names(seed_classes, n_clusters)
        fitted.cluster_centers_ = kmeans.cluster_centers_
        fitted.labels_ = fitted.classes_[kmeans.labels_]
        fitted.inertia_, fitted.n_iter_ = kmeans.inertia_, kmeans.n_iter_
        bind_draft(self, fitted)
        return self

    def fit_predict(
        self, X: ViewLike, y: LabelsLike = None, sample_weight: WeightsLike = None
    ) -> np.ndarray:
        """Cluster the rows and return the cluster of each.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y, sample_weight : array-like of shape (n_samples,), default=None
            See `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Values of ``classes_``.
        """
        return self.fit(X, y, sample_weight).labels_

    def predict(self, X: ViewLike) -> np.ndarray:
        """Return the cluster with the nearest centre.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Values of ``classes_``.
        """
        fitted = snapshot_of(self)
        nearest = fitted._distances(X).argmin(axis=1)
        return fitted.classes_[nearest]

    def transform(self, X: ViewLike) -> np.ndarray:
        """Return the distances to the centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        distances : ndarray of shape (n_samples, n_clusters)
            Euclidean, in the order of ``classes_``.
        """
        return snapshot_of(self)._distances(X)

    def score(self, X: ViewLike, y: object = None, sample_weight: WeightsLike = None) -> float:
        """Return minus the sum of the squared distances to the nearest centres.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
            At most 0; larger is better.
        """
        check_aligned(type(self).__name__, X=X, sample_weight=sample_weight)
        nearest = snapshot_of(self)._distances(X).min(axis=1).astype(float)
        return -float(_check_sample_weight(sample_weight, nearest[:, np.newaxis]) @ nearest**2)

    def _distances(self, X: ViewLike) -> np.ndarray:
        """Return the distances of new rows to the centres, (n, n_clusters)."""
        check_is_fitted(self)
        centers = self.cluster_centers_
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=centers.dtype)
        _check_range(X)
        if sparse.issparse(X):
            return euclidean_distances(X, centers)
        # Far from the origin, squared distances that are made of products lose all digits.
        return cdist(X, centers).astype(centers.dtype, copy=False)

    def _annotations(
        self, y: LabelsLike, X: Rows, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes of the annotated rows and the indices of these rows."""
        if y is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.intp)
        name, values = type(self).__name__, to_entries(y)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.shape != X.shape[:1]:
            raise ValueError(
                f"{name}: `y` has shape {values.shape}; expected one entry, a class or the mark of "
                f"none, for each of the {X.shape[0]} rows of `X`."
            )
        annotated = ~is_missing(values)
        annotated[annotated] = [value not in (-1, "-1") for value in values[annotated].tolist()]
        # A row of weight 0 counts as absent.
        annotated = np.flatnonzero(annotated & (weights > 0))
        if len(annotated) == 0:
            warn(
                f"{name}: `y` annotates no row (all are -1, None or NaN), so the "
                "clusters start at random and have numbers for names."
            )
            return np.empty(0, dtype=np.int64), annotated
        return check_labels(values[annotated], len(annotated), "y", "X", name), annotated

    def _check_n_clusters(self, n_classes: int, X: Rows) -> int:
        """Return the number of clusters, at least one for each annotated class."""
        name, n_clusters = type(self).__name__, self.n_clusters or n_classes
        if n_clusters == 0:
            raise ValueError(
                f"{name}: without annotated rows the number of clusters is unknown; annotate "
                f"some, fit(X, y), or set n_clusters: {name}(n_clusters=8)."
            )
        if n_clusters < n_classes:
            warn(
                f"{name}: `n_clusters`={n_clusters} but `y` annotates {n_classes} classes, each of "
                f"which has its cluster: there are {n_classes}. Leave n_clusters=None, or mark the "
                "rows of some classes as -1."
            )
            return n_classes
        if n_clusters > X.shape[0]:
            raise ValueError(
                f"{name}: `n_clusters`={n_clusters} is more than n_samples={X.shape[0]}; a cluster "
                "needs a row."
            )
        return n_clusters

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@documented
class SoftMembership(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Memberships of rows in soft classes, by Gaussian weights around centres.

    A row x belongs to the class of centre c_k by

    .. math:: e^{-|x - c_k|^2 / 2 h^2} \,/\, \sum_j e^{-|x - c_j|^2 / 2 h^2}

    as in a Gaussian mixture of equal weights and one variance h^2. Continuous targets, such as
    valence and arousal, become memberships, which `ClusterCCA`, `ClusterKCCA` and `SupervisedDCCA`
    take for labels: rows pair by how much they share.

    Parameters
    ----------
    n_classes : int, default=8
        Number of centres that k-means finds.
    centers : array-like of shape (n_classes, n_features), default=None
        Centres in the units of the features, such as those of `SeededKMeans`, instead.
    bandwidth : float, default=None
        Standard deviation h of the Gaussians, in units of the standardized features. None is the
        root of the mean squared distance of a row to its nearest centre, over the number of
        features.
    scale : bool, default=True
        Whether to standardize each feature first.
    random_state : int, RandomState, Generator or None, default=None
        Draws the first centres of k-means.

    Attributes
    ----------
    centers_ : ndarray of shape (n_classes, n_features)
        The centres, in the units of the features.
    bandwidth_ : float
        The bandwidth that is used; 0 where every row lies at a centre, and memberships are 0 or 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        As in scikit-learn.

    See Also
    --------
    SeededKMeans : Clusters that are named after annotated rows.
    skcca.ChunkSelector : Its ``predict_proba`` gives memberships of songs in emotions.

    Notes
    -----
    Rows that hold NaN, or are masked, are unknown. They take no part in `fit`, and `transform`
    gives them rows of zeros, which estimators take for rows without a label.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.cluster import SeededKMeans, SoftMembership
    >>> mood = [[-0.9, 0.2], [-0.7, 0.1], [0.8, 0.6], [0.6, 0.8], [0.0, 0.5], [np.nan, np.nan]]
    >>> memberships = SoftMembership(2, random_state=0).fit_transform(mood)
    >>> memberships.sum(axis=1)
    array([1., 1., 1., 1., 1., 0.])

    With centres that bear the names of annotated rows:

    >>> named = SeededKMeans().fit(mood[:5], ["sad", None, "happy", None, None])
    >>> named.classes_.tolist()
    ['happy', 'sad']
    >>> soft = SoftMembership(centers=named.cluster_centers_, bandwidth=1.0)
    >>> soft.fit_transform(mood).round(2)
    array([[0.03, 0.97],
           [0.03, 0.97],
           [0.99, 0.01],
           [0.99, 0.01],
           [0.78, 0.22],
           [0.  , 0.  ]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "n_classes": [Interval(Integral, 1, None, closed="left")],
        "centers": ["array-like", None],
        "bandwidth": [Interval(Real, 0, None, closed="neither"), None],
        "scale": ["boolean"],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        n_classes: int = 8,
        *,
        centers: ArrayLike = None,
        bandwidth: float | None = None,
        scale: bool = True,
        random_state: RandomStateLike = None,
    ):
        self.n_classes = n_classes
        self.centers = centers
        self.bandwidth = bandwidth
        self.scale = scale
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ViewLike, y: object = None, sample_weight: WeightsLike = None) -> Self:
        """Find the centres and the bandwidth.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Targets or features; rows that hold NaN are left out.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; an integer weight equals repeated rows.

        Returns
        -------
        self : SoftMembership
            The fitted transformer.

        Raises
        ------
        ValueError
            If no row is known, or `centers` have another width than ``X``.

        Warns
        -----
        UserWarning
            If there are fewer distinct rows than `n_classes`, which are the centres then, or if a
            feature is constant.
        """
        fitted = draft_of(self)
        check_aligned(type(self).__name__, X=X, sample_weight=sample_weight)
        X, known = fitted._check_rows(X, reset=True)
        weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        counted = known & (weights > 0)
        if not counted.any():
            raise ValueError(
                f"{type(self).__name__}: no row of `X` is known; all of {len(X)} hold NaN, or have "
                "weight zero."
            )
        # Neither repeated rows nor another order change what k-means draws.
        rows, places = np.unique(X[counted].astype(float), axis=0, return_inverse=True)
        _check_range(rows)
        w = np.bincount(places.ravel(), weights[counted] / weights[counted].sum(dtype=float))
        scaling = Standardisation.identity(rows.shape[1])
        if self.scale:
            scaling = Standardisation.of(rows, w, "X")
        fitted._scaling, fitted.centers_ = scaling, self._find_centers(rows, w, scaling)
        nearest = fitted._squared_distances(rows).min(axis=1)
        fitted.bandwidth_ = float(np.sqrt(w @ nearest / rows.shape[1]))
        if self.bandwidth is not None:
            fitted.bandwidth_ = float(self.bandwidth)
        bind_draft(self, fitted)
        return self

    def transform(self, X: ViewLike) -> np.ndarray:
        """Return the memberships of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        memberships : ndarray of shape (n_samples, n_classes)
            Each row sums to one; rows that hold NaN are rows of zeros.
        """
        fitted = snapshot_of(self)
        check_is_fitted(fitted)
        X, known = fitted._check_rows(X, reset=False)
        distances = fitted._squared_distances(X[known].astype(float))
        # The nearest centre has weight one before the scaling, so that no sum vanishes.
        distances -= distances.min(axis=1, keepdims=True)
        h = max(fitted.bandwidth_, np.finfo(float).tiny)
        with np.errstate(over="ignore"):
            weights = np.exp(-0.5 * (distances / h) / h)
        memberships = np.zeros((len(X), len(fitted.centers_)), dtype=X.dtype)
        memberships[known] = weights / weights.sum(axis=1, keepdims=True)
        return memberships

    def _check_rows(self, X: ViewLike, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and a mask of those without NaN; what is masked is as unknown."""
        if np.ma.isMaskedArray(X):
            X = np.ma.filled(X.astype(np.promote_types(X.dtype, np.float32)), np.nan)
        dtypes = [np.float64, np.float32]
        X = validate_data(self, X, reset=reset, dtype=dtypes, ensure_all_finite="allow-nan")
        return X, ~np.isnan(X).any(axis=1)

    def _find_centers(
        self, rows: np.ndarray, weights: np.ndarray, scaling: Standardisation
    ) -> np.ndarray:
        """Return the centres that were given, or those of k-means, in the units of the rows."""
        name, d = type(self).__name__, rows.shape[1]
        if self.centers is not None:
            centers = check_array(self.centers, dtype=np.float64, input_name="centers")
            if centers.shape[1] != d:
                raise ValueError(
                    f"{name}: `centers` has shape {centers.shape}, but `X` has {d} features; "
                    f"expected (n_classes, {d})."
                )
            return centers
        if len(rows) < self.n_classes:
            warn(
                f"{name}: `n_classes`={self.n_classes}, but there are {len(rows)} distinct rows "
                "without NaN, each of which is a centre now; set a smaller number, or `centers`."
            )
            return rows
        seed = int(rng_from(self.random_state).integers(2**31))
        kmeans = KMeans(self.n_classes, n_init=10, random_state=seed)
        kmeans.set_output(transform="default").fit(scaling.apply(rows), sample_weight=weights)
        return _class_means(rows, kmeans.labels_, self.n_classes, weights)

    def _squared_distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the squared distances of rows to the centres, (n, n_classes)."""
        scaled = self._scaling.apply(rows), self._scaling.apply(self.centers_)
        distances = cdist(*scaled, "sqeuclidean")
        if not np.isfinite(distances).all():
            raise ValueError(
                f"{type(self).__name__}: squared distances of `X` to the centres leave the range "
                "of float64; measure it in another unit."
            )
        return distances

    @property
    def _n_features_out(self) -> int:
        return len(self.centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_range(X: Rows) -> None:
    """Refuse rows whose squared distances, or the sum of them, may leave the range of X."""
    largest = float(np.abs(X.data if sparse.issparse(X) else X).max(initial=0.0))
    limit = float(np.sqrt(np.finfo(X.dtype).max / (8 * max(1, X.shape[0] * X.shape[1]))))
    if largest > limit:
        raise ValueError(
            f"`X` holds {largest:.0e}, and squared distances leave the range of {X.dtype} beyond "
            f"{limit:.0e}; measure it in another unit."
        )


def _class_means(X: Rows, codes: np.ndarray, n_classes: int, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of the rows of each class, (n_classes, n_features)."""
    members = sparse.csr_array(
        (weights, (codes, np.arange(len(codes)))), shape=(n_classes, len(codes)), dtype=np.float64
    )
    sums = members @ X
    sums = sums.toarray() if sparse.issparse(sums) else sums
    return sums / members.sum(axis=1)[:, np.newaxis]


def _add_centers(
    centers: np.ndarray, X: Rows, n_clusters: int, weights: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Add rows of X as centres until there are ``n_clusters``, by greedy k-means++.

    Each new centre is the best of a few rows, which are drawn with probabilities proportional to
    weight and squared distance to the nearest centre.
    """
    n_trials = 2 + int(np.log(n_clusters))
    distances = np.ones(X.shape[0])
    if len(centers):
        distances = euclidean_distances(X, centers, squared=True).min(axis=1)
    while len(centers) < n_clusters:
        odds = weights.astype(np.float64) * distances
        if not odds.any():
            # There are fewer distinct rows than clusters, of which KMeans will warn.
            odds = weights.astype(np.float64)
        trials = rng.choice(len(odds), size=n_trials, p=odds / odds.sum())
        remaining = euclidean_distances(X, X[trials], squared=True)
        if len(centers):
            remaining = np.minimum(remaining, distances[:, np.newaxis])
        best = np.argmin(weights @ remaining)
        distances = remaining[:, best]
        row = X[trials[best : best + 1]]
        centers = np.vstack([centers, row if isinstance(row, np.ndarray) else row.toarray()])
    return centers


def _cluster_names(classes: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the annotated classes and names for further clusters."""
    n_more = n_clusters - len(classes)
    if classes.dtype.kind in "US":
        free = (f"cluster{i}" for i in range(n_clusters + len(classes)))
        more = [name for name in free if name not in set(classes)][:n_more]
        return np.concatenate([classes, np.array(more, dtype=str)]) if n_more else classes
    if n_more == 0:
        return classes
    first = int(classes.max(initial=-1)) + 1
    return np.concatenate([classes.astype(np.int64), np.arange(first, first + n_more)])
