"""Linear canonical correlation analysis, over the rows' own pairs or over all pairs of a class."""

from __future__ import annotations

from typing import Any, ClassVar

from skcca._base import ClassPairedMixin
from skcca._linear_cca import LinearCCA

__all__ = ["CCA", "ClusterCCA"]


class CCA(LinearCCA):
    """Canonical correlation analysis.

    Maximize corr(X a, Y b) subject to unit variance of each score and no correlation with the
    scores before: the singular vectors of S_xx^(-1/2) S_xy S_yy^(-1/2) [1]_.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; None for all that the data support. More than the rank of the data
        warns and gives fewer, see `n_components_`.
    scale : bool, default=True
        Whether to standardize each feature inside the estimator. Without a ridge the answer is
        the same either way; with one, units of the columns then do not matter.
    reg : float, "auto" or pair of these, default=0.0
        Ridge, relative to each view's mean feature variance (1 after scaling); a pair sets it for
        each view. "auto" shrinks as Ledoit and Wolf [2]_.
    solver : {"auto", "covariance", "svd"}, default="auto"
        "covariance" factors the moments: one pass and three matrix products, but it squares the
        condition number. "svd" decomposes the data. "auto" takes the first where its condition
        number leaves half the digits, else the second.
    component_scaling : {"unit", "correlation"}, default="unit"
        Variance of the training variates: 1, or the squared correlation of each component, which
        suits cosine retrieval.

    Attributes
    ----------
    x_weights_, y_weights_ : ndarray of shape (n_features, n_components_)
        Scores are ``(X - x_mean_) @ x_weights_``, in units of the caller's columns.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each feature with its view's variates. The largest in absolute value of
        `x_loadings_` is positive in every component.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates, descending.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator; equal to `correlations_` without a ridge.
    x_cross_loadings_, y_cross_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each feature with the other view's variates.
    x_explained_variance_ratio_, y_explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the view's standardized variance that each of its own variates explains: the mean
        of the squared loadings over the features that vary.
    x_redundancy_, y_redundancy_ : ndarray of shape (n_components_,)
        Share of it that each of the other view's variates explains (Stewart and Love [3]_): the
        mean of the squared cross-loadings, without a ridge the share above times the squared
        correlation.
    x_mean_, y_mean_, x_std_, y_std_ : ndarray of shape (n_features,)
        Means and standard deviations of the training views, in the caller's units; a constant
        feature has 0.
    x_rank_, y_rank_ : int
        Numerical rank of each view; directions below it were left out.
    n_components_ : int
        Number of components found.
    solver_ : {"covariance", "svd"}
        The solver that was used.
    n_samples_seen_ : int
        Rows so far; after `partial_fit` only.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    ClusterCCA : Pairs all rows of a class.
    KCCA : Kernel feature maps.
    DCCA : Learned feature maps.

    Notes
    -----
    Variances divide by the number of rows (``ddof=0``).

    Views may be NumPy arrays, memory maps, DataFrames, SciPy sparse matrices (centred implicitly,
    never made dense as a whole), Dask arrays (matrices of products travel, rows do not; `transform`
    stays lazy), and under scikit-learn's ``array_api_dispatch`` arrays of other namespaces, such as
    torch tensors on a GPU, whose products are made where they lie. The decompositions of the
    moments, whose size is that of the features, run in float64 on the CPU. No copy of the data
    larger than a block of rows is made; `partial_fit` takes rows that do not fit on the disk.

    The products of float32 input are made in float32 and added up in float64 where there are many
    rows and the conditioning allows it (an error of 1e-7 in the moments), else in float64.

    `fit` warns (`scipy.linalg.LinAlgWarning`) where a view has directions without variance, and
    (`UserWarning`) where there are so few rows that, without a ridge, some directions fit any data.

    References
    ----------
    .. [1] H. Hotelling (1936). Relations between two sets of variates. Biometrika 28, 321-377.
       :doi:`10.1093/biomet/28.3-4.321`
    .. [2] O. Ledoit and M. Wolf (2004). A well-conditioned estimator for large-dimensional
       covariance matrices. J. Multivariate Analysis 88, 365-411.
       :doi:`10.1016/S0047-259X(03)00096-4`
    .. [3] D. Stewart and W. Love (1968). A general canonical correlation index. Psychological
       Bulletin 70, 160-163. :doi:`10.1037/h0026143`

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skcca import CCA
    >>> data = load_linnerud()
    >>> model = CCA().fit(data.data, data.target)
    >>> model.correlations_.round(4)
    array([0.7956, 0.2006, 0.0726])
    >>> exercise, body = model.transform(data.data, data.target)
    >>> exercise.shape
    (20, 3)
    >>> model.y_redundancy_.round(4)  # what exercise says of weight, waist and pulse
    array([0.2854, 0.0099, 0.0016])
    >>> model.predict(data.data[:1]).round(0)
    array([[176.,  35.,  57.]])

    The same from batches:

    >>> batches = CCA()
    >>> for start in (0, 10):
    ...     rows = slice(start, start + 10)
    ...     _ = batches.partial_fit(data.data[rows], data.target[rows])
    >>> batches.correlations_.round(4)
    array([0.7956, 0.2006, 0.0726])
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        scale: bool = True,
        reg: float | str | tuple[float | str, float | str] = 0.0,
        solver: str = "auto",
        component_scaling: str = "unit",
    ):
        self.n_components = n_components
        self.scale = scale
        self.reg = reg
        self.solver = solver
        self.component_scaling = component_scaling


class ClusterCCA(ClassPairedMixin, LinearCCA):
    """Canonical correlation analysis over all pairs of rows that share a class.

    Maximize the correlation of X a and Y b over the pairs (i, j) with equal labels [1]_. The pairs
    enter through class sums only, so that 6 million of them cost what the rows cost.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; None for all that the data support, which is at most
        ``n_classes - 1`` for full class pairs. More warns and gives fewer, see `n_components_`.
    instance_weight : float, default=0.0
        Share of the rows' own pairs, in [0, 1]; the rest goes to the class pairs. 1 is `CCA`.
    pair_fraction : float, default=1.0
        Fraction of its class that each row meets, in (0, 1]; partners are drawn at random, a row's
        own pair is among them.
    pairs_per_sample : int, default=None
        Number of partners of each row, instead of a fraction.
    pair_weight : {"pair", "row"}, default="pair"
        Whether each pair weighs the same, so that a class counts with the square of its rows, or a
        class weighs as its rows.
    scale : bool, default=True
        Whether to standardize each feature (over the pairs) inside the estimator.
    reg : float, "auto" or pair of these, default=0.0
        Ridge, relative to each view's mean feature variance; see `CCA`.
    solver : {"auto", "covariance", "svd"}, default="auto"
        Route to the directions; see `CCA`.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component. Over
        class pairs a correlation tells how reliable its component is, and scaling by it improves
        cosine retrieval.
    random_state : int, RandomState, Generator or None, default=None
        Draws the partners where pairs are sampled.

    Attributes
    ----------
    x_weights_, y_weights_ : ndarray of shape (n_features, n_components_)
        Scores are ``(X - x_mean_) @ x_weights_``, in units of the caller's columns.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation, over the pairs, of each feature with its view's variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates over the training pairs, descending.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator.
    x_cross_loadings_, y_cross_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation, over the pairs, of each feature with the other view's variates.
    x_explained_variance_ratio_, y_explained_variance_ratio_ : ndarray of shape (n_components_,)
        Share of the view's standardized variance that each of its variates explains; see `CCA`.
    x_redundancy_, y_redundancy_ : ndarray of shape (n_components_,)
        Share of it that each of the other view's variates explains over the pairs.
    x_mean_, y_mean_, x_std_, y_std_ : ndarray of shape (n_features,)
        Means and standard deviations over the pairs, which differ from plain ones where classes are
        unbalanced.
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    x_rank_, y_rank_ : int
        Numerical rank of each view.
    n_components_ : int
        Number of components found.
    solver_ : {"covariance", "svd"}
        The solver that was used.
    n_samples_seen_ : int
        Rows so far; after `partial_fit` only.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    CCA : Each row with its own partner only.
    SupervisedDCCA : The same pairs with learned feature maps.

    Notes
    -----
    Views may be of any kind that `CCA` takes. Batches of `partial_fit` keep one matrix of products
    a class and view, or one a view with `class_counts` or ``pair_weight="row"``; sampled pairs
    cannot be made in batches.

    References
    ----------
    .. [1] N. Rasiwasia, D. Mahajan, V. Mahadevan and G. Aggarwal (2014). Cluster canonical
       correlation analysis. AISTATS, PMLR 33, 823-831.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcca import ClusterCCA, Views, retrieval_map
    >>> X, y = load_digits(return_X_y=True)
    >>> halves = Views(top=X[:, :32], bottom=X[:, 32:])
    >>> model = ClusterCCA().fit(halves[:1000], y[:1000])
    >>> model.n_components_
    9
    >>> round(retrieval_map(model, halves[1000:], y[1000:]), 2)
    0.53
    """

    _parameter_constraints: ClassVar[dict] = {
        **LinearCCA._parameter_constraints,
        **ClassPairedMixin._pairing_constraints,
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        instance_weight: float = 0.0,
        pair_fraction: float = 1.0,
        pairs_per_sample: int | None = None,
        pair_weight: str = "pair",
        scale: bool = True,
        reg: float | str | tuple[float | str, float | str] = 0.0,
        solver: str = "auto",
        component_scaling: str = "correlation",
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.scale = scale
        self.reg = reg
        self.solver = solver
        self.component_scaling = component_scaling
        self.random_state = random_state
