"""Kernel canonical correlation analysis, over the rows' own pairs or over all pairs of a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from skcca._base import ClassPairedMixin
from skcca._kernel_cca import KernelCCA

__all__ = ["KCCA", "ClusterKCCA"]


class KCCA(KernelCCA):
    """Kernel canonical correlation analysis.

    Maximize corr(f(x), g(y)) over functions of two reproducing kernel Hilbert spaces [1]_, with the
    ridge on their norms. In the coordinates G of the training rows, G G' = K after centring in
    feature space, this is `CCA` with the ridge ``reg * tr(K)``.

    Parameters
    ----------
    n_components : int, default=None
        Number of components, those of the largest `singular_values_`; None for all that the data
        support. A kernel supports about as many as there are rows, of which the last correlate in
        the training rows alone: set 10 to 50, or choose by cross-validation, above all for
        retrieval. Up to a tenth of the rows cost no eigenvectors of a kernel.
    kernel : str, callable or pair of these, default="rbf"
        A kernel of `sklearn.metrics.pairwise.pairwise_kernels`, "precomputed", or a callable of two
        rows; a pair sets it for each view. With "precomputed" `fit` takes the square kernels of the
        training rows and `transform` the kernels (n_samples, n_training_rows).
    gamma : float or pair of float, default=None
        Parameter of the kernels that have one. None is 1 / median squared distance of the scaled
        view, over all ordered pairs of rows (with an approximation, of 4,000 rows at most). The
        Gaussian parameter .4 of Zeng et al. is ``gamma=0.4`` on rows of unit median distance.
    degree : float or pair of float, default=3
        Degree of the polynomial kernel.
    coef0 : float or pair of float, default=1
        Constant of the polynomial and sigmoid kernels.
    kernel_params : dict or pair of dict, default=None
        Keyword arguments of a callable kernel.
    scale : bool, default=True
        Whether to standardize each feature before the kernel. Kernels for histograms ("chi2",
        "additive_chi2") need False. Precomputed kernels are left as they are.
    reg : float or pair of float, default=1e-4
        Ridge, as a fraction of the total variance in feature space. Choose among 1e-6 to 1e-1 by
        cross-validation, in steps of 10: too small a ridge finds correlations in any rows.
    approximation : {"nystroem", "random_features"}, default=None
        None solves exactly, in time n^3; "nystroem" takes landmarks among the rows,
        "random_features" random Fourier features ("rbf" alone).
    n_landmarks : int, default=None
        Number of landmarks or random features; None is 1,000. They pay where the rows are several
        times as many: below that the exact solution is the faster one.
    component_scaling : {"unit", "correlation"}, default="unit"
        Variance of the training variates: 1, or the squared correlation of each component.
    random_state : int, RandomState, Generator or None, default=None
        Draws landmarks and random features.

    Attributes
    ----------
    x_weights_, y_weights_ : ndarray of shape (n_samples or n_landmarks, n_components_)
        Coefficients of the training rows (exact) or of the sampled features. Kernel rows times
        coefficients, less their mean over the training rows, are the scores.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation of each input feature (column of a precomputed kernel) with the variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates, descending. With another number of components the
        same ones are found, but another may stand between them, because the ridge, which decides
        what is found, changes their order.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator.
    x_gamma_, y_gamma_ : float or None
        The `gamma` of each view that was used; None where the kernel has none.
    x_mean_, y_mean_, x_scale_, y_scale_ : ndarray of shape (n_features,)
        Standardisation of the views; a constant feature has scale infinity.
    n_components_ : int
        Number of components found.
    x_rank_, y_rank_ : int or None
        Numerical rank of each view in feature space; None from solver "cholesky".
    solver_ : {"cholesky", "covariance", "svd"}
        The solver that was used: factors of the kernels alone where few components are wanted, else
        their eigenvectors, or the sampled features, as features of `CCA`.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    ClusterKCCA : Pairs all rows of a class.
    CCA : The linear case.

    References
    ----------
    .. [1] D. R. Hardoon, S. Szedmak and J. Shawe-Taylor (2004). Canonical correlation analysis: an
       overview with application to learning methods. Neural Computation 16, 2639-2664.
       :doi:`10.1162/0899766042321814`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import KCCA
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 200)
    >>> X = np.column_stack([angle, rng.normal(size=200)])
    >>> Y = np.column_stack([np.sin(angle), rng.normal(size=200)])
    >>> model = KCCA(n_components=1, reg=1e-2).fit(X[:100], Y[:100])
    >>> round(model.score(X[100:], Y[100:]), 1)
    1.0
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        kernel: str | Callable | tuple = "rbf",
        gamma: float | tuple[float | None, float | None] | None = None,
        degree: float | tuple[float, float] = 3,
        coef0: float | tuple[float, float] = 1,
        kernel_params: dict[str, Any] | tuple | None = None,
        scale: bool = True,
        reg: float | tuple[float, float] = 1e-4,
        approximation: str | None = None,
        n_landmarks: int | None = None,
        component_scaling: str = "unit",
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.scale = scale
        self.reg = reg
        self.approximation = approximation
        self.n_landmarks = n_landmarks
        self.component_scaling = component_scaling
        self.random_state = random_state


class ClusterKCCA(ClassPairedMixin, KernelCCA):
    """Kernel canonical correlation analysis over all pairs of rows that share a class.

    The objective of `KCCA` over the pairs of `ClusterCCA` [1]_.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; None for all that the data support, at most ``n_classes - 1`` for full
        class pairs. Set it where pairs are sampled or rows' own pairs blended in, see `KCCA`.
    instance_weight : float, default=0.0
        Share of the rows' own pairs, in [0, 1].
    pair_fraction : float, default=1.0
        Fraction of its class that each row meets, in (0, 1].
    pairs_per_sample : int, default=None
        Number of partners of each row, instead of a fraction.
    pair_weight : {"pair", "row"}, default="pair"
        Whether each pair weighs the same, or each class as its rows.
    kernel : str, callable or pair of these, default="rbf"
        The kernel; see `KCCA`.
    gamma : float or pair of float, default=None
        Parameter of the kernels that have one; see `KCCA`.
    degree : float or pair of float, default=3
        Degree of the polynomial kernel.
    coef0 : float or pair of float, default=1
        Constant of the polynomial and sigmoid kernels.
    kernel_params : dict or pair of dict, default=None
        Keyword arguments of a callable kernel.
    scale : bool, default=True
        Whether to standardize each feature (over the pairs) before the kernel.
    reg : float or pair of float, default=1e-4
        Ridge, as a fraction of the total variance in feature space; see `KCCA`.
    approximation : {"nystroem", "random_features"}, default=None
        Approximation of the kernel; see `KCCA`.
    n_landmarks : int, default=None
        Number of landmarks or random features; None is 1,000. They pay where the rows are several
        times as many: below that the exact solution is the faster one.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component.
    random_state : int, RandomState, Generator or None, default=None
        Draws partners, landmarks and random features.

    Attributes
    ----------
    x_weights_, y_weights_ : ndarray of shape (n_samples or n_landmarks, n_components_)
        Coefficients of the training rows (exact) or of the sampled features. Kernel rows times
        coefficients, less their mean over the training rows, are the scores.
    x_loadings_, y_loadings_ : ndarray of shape (n_features, n_components_)
        Correlation, over the pairs, of each input feature with the variates.
    correlations_ : ndarray of shape (n_components_,)
        Correlations of the training variates over the training pairs, descending.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator.
    x_gamma_, y_gamma_ : float or None
        The `gamma` of each view that was used; None where the kernel has none.
    x_mean_, y_mean_, x_scale_, y_scale_ : ndarray of shape (n_features,)
        Standardisation of the views; a constant feature has scale infinity.
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    n_components_ : int
        Number of components found.
    x_rank_, y_rank_ : int or None
        Numerical rank of each view in feature space; None from solver "cholesky".
    solver_ : {"cholesky", "covariance", "svd"}
        The solver that was used: factors of the kernels alone where few components are wanted, else
        their eigenvectors, or the sampled features, as features of `CCA`.
    n_features_in_, n_features_y_in_ : int
        Widths of the two views.
    feature_names_in_, feature_names_y_in_ : ndarray of str
        Column names, where the views had any.
    view_names_in_ : tuple of str
        Names of the views, where they came as named `Views`.

    See Also
    --------
    KCCA : Each row with its own partner only.
    ClusterCCA : The linear case.

    References
    ----------
    .. [1] N. Rasiwasia, D. Mahajan, V. Mahadevan and G. Aggarwal (2014). Cluster canonical
       correlation analysis. AISTATS, PMLR 33, 823-831.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcca import ClusterKCCA, Views, retrieval_map
    >>> X, y = load_digits(return_X_y=True)
    >>> halves = Views(top=X[:, :32], bottom=X[:, 32:])
    >>> model = ClusterKCCA(reg=1e-3).fit(halves[:600], y[:600])
    >>> round(retrieval_map(model, halves[600:], y[600:]), 2)
    0.72
    """

    _parameter_constraints: ClassVar[dict] = {
        **KernelCCA._parameter_constraints,
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
        kernel: str | Callable | tuple = "rbf",
        gamma: float | tuple[float | None, float | None] | None = None,
        degree: float | tuple[float, float] = 3,
        coef0: float | tuple[float, float] = 1,
        kernel_params: dict[str, Any] | tuple | None = None,
        scale: bool = True,
        reg: float | tuple[float, float] = 1e-4,
        approximation: str | None = None,
        n_landmarks: int | None = None,
        component_scaling: str = "correlation",
        random_state: Any = None,
    ):
        self.n_components = n_components
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.scale = scale
        self.reg = reg
        self.approximation = approximation
        self.n_landmarks = n_landmarks
        self.component_scaling = component_scaling
        self.random_state = random_state
