"""Kernel canonical correlation analysis, over the rows' own pairs or over all pairs of a class.

Each view becomes a feature map of its training rows (`skcca._core.kernels`). Few directions come
from one Cholesky factor of each kernel (`skcca._core.kernel_solver`), all of them from features G
with G G' = K, as those of any two views (`skcca._core.directions`).
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

from skcca._base import ClassPairedMixin, TwoViewTransformer
from skcca._core.arrays import input_eps
from skcca._core.compat import Interval, StrOptions
from skcca._core.directions import (
    Directions,
    canonical_fit,
    uncorrelated_fit,
    with_input_loadings,
    with_unit_variates,
)
from skcca._core.kernel_solver import dual_fit, dual_solver_applies
from skcca._core.kernels import (
    CentredKernel,
    ExactMap,
    FeatureMap,
    Kernel,
    SampledMap,
    feature_scores,
)
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.standardize import Standardisation, mean_and_variance
from skcca._core.types import RandomStateLike, ViewLike
from skcca._core.whitening import LARGEST_RIDGE, SolverOptions
from skcca.views._arguments import per_view

__all__ = ["KCCA", "ClusterKCCA"]

# Beyond so many rows the median distance of an approximated kernel comes from a sample of them.
_MEDIAN_ROWS = 4000


class KCCA(TwoViewTransformer):
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
        "additive_chi2") need False. Precomputed kernels are left as they are. A shift of all rows
        changes nothing for "linear", "rbf" and "laplacian"; others, "poly", "cosine" and "sigmoid"
        among them, depend on the origin, and beside one far away most of their digits are lost.
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
        Correlations of the training variates as `transform` gives them, descending. With another
        number of components the same ones are found, but another may stand between them, because
        the ridge, which decides what is found, changes their order.
    singular_values_ : ndarray of shape (n_components_,)
        The same with the ridge in the denominator.
    x_gamma_, y_gamma_ : float or None
        The `gamma` of each view that was used; None where the kernel has none.
    x_mean_, y_mean_, x_scale_, y_scale_ : ndarray of shape (n_features,)
        Standardisation of the views; a constant feature has scale infinity. With ``scale=False``
        only the rows of a kernel that depends on no origin are centred.
    n_components_ : int
        Number of components found.
    x_rank_, y_rank_ : int or None
        Numerical rank of each view in feature space; None from solver "cholesky".
    solver_ : {"cholesky", "eigen", "covariance", "svd"}
        The solver that was used: factors of the kernels alone where few components are wanted and
        their digits suffice, else the eigenvectors of the kernels; with sampled features, that of
        `CCA`.
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

    _nested: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict] = {
        **TwoViewTransformer._parameter_constraints,
        "kernel": [StrOptions({*PAIRWISE_KERNEL_FUNCTIONS, "precomputed"}), callable, tuple],
        "gamma": [Interval(Real, 0, None, closed="neither"), None, tuple],
        "degree": [Interval(Real, 0, None, closed="left"), tuple],
        "coef0": [Real, tuple],
        "kernel_params": [dict, None, tuple],
        "scale": ["boolean"],
        "reg": [Interval(Real, 0, None, closed="left"), tuple],
        "approximation": [StrOptions({"nystroem", "random_features"}), None],
        "n_landmarks": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state", np.random.Generator],
    }

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
        random_state: RandomStateLike = None,
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

    def _check_settings(self) -> None:
        super()._check_settings()
        for kernel in self._kernels():
            _check_kernel(kernel, self.scale, self.approximation)
        if self.approximation is None and self.n_landmarks is not None:
            raise ValueError(
                f"`n_landmarks`={self.n_landmarks} has no use in an exact solution; set "
                "approximation='nystroem' or 'random_features'."
            )

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        maps = self._feature_maps(data, pairs, rng)
        solution = KernelProblem(maps.x, maps.y, pairs).solve(per_view(self.reg), self.n_components)
        maps.x.release()
        maps.y.release()
        self._assign(maps, solution, data, pairs)

    def _feature_maps(
        self, data: TrainingData, pairs: Pairs, rng: np.random.Generator
    ) -> FeatureMaps:
        """Return the feature maps of the training rows, without `reg` and `n_components`."""
        seed = int(rng.integers(2**31))
        sampling = _Sampling(self.approximation, self.n_landmarks, seed)
        x_kernel, y_kernel = self._kernels()
        x_weights, y_weights = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
        x_scaling = self._standardise(x_kernel, data.X, x_weights, "X")
        x_map = _feature_map(x_kernel, data.X, x_scaling, x_weights, sampling)
        y_scaling = self._standardise(y_kernel, data.Y, y_weights, "y")
        y_map = _feature_map(y_kernel, data.Y, y_scaling, y_weights, sampling)
        return FeatureMaps(x_map, y_map, x_scaling, y_scaling)

    def _assign(
        self, maps: FeatureMaps, solution: KernelSolution, data: TrainingData, pairs: Pairs
    ) -> None:
        """Set the fitted attributes."""
        scores = solution.x_scores, solution.y_scores
        scalings = (
            maps.x_scaling if self._scales(maps.x.kernel) else None,
            maps.y_scaling if self._scales(maps.y.kernel) else None,
        )
        directions = with_input_loadings(
            solution.directions, data.X, data.Y, *scores, pairs, scalings
        )
        directions = with_unit_variates(directions, *scores, pairs)
        self.x_mean_, self.x_scale_ = maps.x_scaling
        self.y_mean_, self.y_scale_ = maps.y_scaling
        self.x_gamma_, self.y_gamma_ = maps.x.kernel.gamma, maps.y.kernel.gamma
        self._x_map, self._y_map = maps.x, maps.y
        self._assign_directions(directions)

    def _kernels(self) -> tuple[Kernel, Kernel]:
        """Return the kernel of each view, with the parameters as they were given."""
        kernels = []
        names, extras = per_view(self.kernel), per_view(self.kernel_params)
        gammas, degrees, coef0s = (per_view(p) for p in (self.gamma, self.degree, self.coef0))
        for name, extra, *values in zip(names, extras, gammas, degrees, coef0s, strict=True):
            if callable(name):
                kernels.append(Kernel(name, dict(extra or {})))
                continue
            if extra:
                raise ValueError(
                    f"`kernel_params`={extra!r} belongs to a callable kernel; kernel {name!r} "
                    "takes `gamma`, `degree` and `coef0`."
                )
            params = dict(zip(("gamma", "degree", "coef0"), values, strict=True))
            kernels.append(Kernel(name, params))
        return kernels[0], kernels[1]

    def _scales(self, kernel: Kernel) -> bool:
        return self.scale and kernel.name != "precomputed"

    def _standardise(
        self, kernel: Kernel, V: np.ndarray, weights: np.ndarray, name: str
    ) -> Standardisation:
        # Two rows tell, but where they are equal.
        equal = (V[-1] == V[0]).all() and (V == V[:1]).all()
        if kernel.name != "precomputed" and equal:
            raise ValueError(
                f"`{name}` has no feature that varies over the paired rows ({V.shape[1]} "
                "constant); any kernel of them is constant, too."
            )
        if self._scales(kernel):
            return Standardisation.of(V, weights, name=name)
        unscaled = Standardisation.identity(V.shape[1])
        if not kernel.shift_invariant:
            return unscaled
        return unscaled._replace(mean=mean_and_variance(V, weights)[0])

    def _project(self, V: ViewLike, side: str) -> ViewLike:
        if side == "x":
            scores = feature_scores(self._x_map, V, self.x_weights_)
        else:
            scores = feature_scores(self._y_map, V, self.y_weights_)
        return scores.astype(V.dtype, copy=False)

    def _check_view(self, V: ViewLike, side: str, *, reset: bool, min_samples: int = 1) -> ViewLike:
        V = super()._check_view(V, side, reset=reset, min_samples=min_samples)
        name = per_view(self.kernel)[0 if side == "x" else 1]
        if reset and name == "precomputed" and V.shape[0] != V.shape[1]:
            raise ValueError(
                f"{type(self).__name__}: the precomputed kernel of the "
                f"{'first' if side == 'x' else 'second'} view must be square at fit, rows x rows; "
                f"got {V.shape}. To cross-validate, precompute the kernels of both views and put "
                "them in a Views: Views(K_x, K_y)."
            )
        return V

    @property
    def _keeps_zero_weight_rows(self) -> bool:
        # A precomputed kernel has a column for every row, so that a row of weight zero must stay.
        return "precomputed" in per_view(self.kernel)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel in ("precomputed", ("precomputed", "precomputed"))
        return tags


class ClusterKCCA(ClassPairedMixin, KCCA):
    """Kernel canonical correlation analysis over all pairs of rows that share a class.

    The objective of `KCCA` over the pairs of `ClusterCCA` [1]_.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; None for all that the data support, at most ``n_classes - 1`` for full
        class pairs. Set it where pairs are sampled or rows' own pairs blended in, see `KCCA`.
    instance_weight : float, default=0.0
    pair_fraction : float, default=1.0
    pairs_per_sample : int, default=None
    pair_weight : {"pair", "row"}, default="pair"
        The pairs; see `ClusterCCA`.
    kernel : str, callable or pair of these, default="rbf"
    gamma : float or pair of float, default=None
    degree : float or pair of float, default=3
    coef0 : float or pair of float, default=1
    kernel_params : dict or pair of dict, default=None
    scale : bool, default=True
    reg : float or pair of float, default=1e-4
    approximation : {"nystroem", "random_features"}, default=None
    n_landmarks : int, default=None
        The kernel, its ridge and its approximation; see `KCCA`.
    component_scaling : {"unit", "correlation"}, default="correlation"
        Variance of the training variates: 1, or the squared correlation of each component.
    random_state : int, RandomState, Generator or None, default=None
        Draws partners, landmarks and random features.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    x_weights_, y_weights_, x_loadings_, y_loadings_, correlations_, ...
        Those of `KCCA`; means, loadings and correlations are over the pairs.

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
        **KCCA._parameter_constraints,
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
        random_state: RandomStateLike = None,
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


class _Sampling(NamedTuple):
    """How the features of a kernel are sampled, if they are."""

    approximation: str | None
    n_landmarks: int | None
    seed: int


class FeatureMaps(NamedTuple):
    """The feature maps of both views, and the standardisation of their rows."""

    x: FeatureMap
    y: FeatureMap
    x_scaling: Standardisation
    y_scaling: Standardisation


class KernelSolution(NamedTuple):
    """Directions in feature space, and the scores of the training rows, of any scale."""

    directions: Directions
    x_scores: np.ndarray  # (n_x, k)
    y_scores: np.ndarray
    # (k,) places in the order of the singular values, from which those are missing that rounding
    # has made.
    places: np.ndarray

    @classmethod
    def of(
        cls, directions: Directions, x_scores: np.ndarray, y_scores: np.ndarray
    ) -> KernelSolution:
        """Return a solution from which no direction is missing."""
        return cls(directions, x_scores, y_scores, np.arange(len(directions.singular_values)))

    def leading(self, n_components: int | None) -> KernelSolution:
        """Return the solution of fewer components."""
        if n_components is None:
            return self
        return self.take(self.places < n_components)

    def take(self, chosen: np.ndarray) -> KernelSolution:
        """Return some of the directions, before they have loadings."""
        d = self.directions
        directions = d._replace(
            x_weights=d.x_weights[:, chosen],
            y_weights=d.y_weights[:, chosen],
            correlations=d.correlations[chosen],
            singular_values=d.singular_values[chosen],
        )
        scores = self.x_scores[:, chosen], self.y_scores[:, chosen]
        return KernelSolution(directions, *scores, self.places[chosen])


class KernelProblem:
    """The feature maps of both views over the pairs of their rows, to be solved for any ridge.

    What does not depend on the ridge is computed when it is first asked for, and kept.
    """

    def __init__(self, x: FeatureMap, y: FeatureMap, pairs: Pairs):
        self._x, self._y, self._pairs = x, y, pairs
        self._centred: tuple[CentredKernel, CentredKernel] | None = None

    def solve(self, regs: tuple[float, float], n_components: int | None) -> KernelSolution:
        """Return the leading directions under a ridge of each view, or all that there are."""
        x, y = self._x, self._y
        # The largest ridge has no number in float16.
        regs = float(regs[0]), float(regs[1])
        # Sampled features are given, and few, so that nothing is gained over their moments.
        if not isinstance(x, ExactMap) or not isinstance(y, ExactMap):
            return self._of_sampled_features(regs, n_components)
        solution = None
        if dual_solver_applies(self._pairs, n_components):
            solution = self._of_factors(x, y, regs, n_components)
        if solution is None:
            solution = self._of_eigenvectors(x, y, regs, n_components)
        return solution

    def _of_factors(
        self, x: ExactMap, y: ExactMap, regs: tuple[float, float], n_components: int | None
    ) -> KernelSolution | None:
        """Return directions from factors of the kernels, or None where these do not serve."""
        x_ridge, y_ridge = x.ridge(regs[0]), y.ridge(regs[1])
        if x_ridge is None or y_ridge is None:
            return None
        if self._centred is None:
            x_kernel = x.centred()
            y_kernel = None if x_kernel is None else y.centred()
            if x_kernel is None or y_kernel is None:
                return None
            self._centred = x_kernel, y_kernel
        fit = dual_fit(*self._centred, (x_ridge, y_ridge), self._pairs, n_components)
        if fit is None:
            # The eigenvectors take their place in memory.
            self._centred = None
            return None
        directions = Directions(
            x_weights=x.centred_coefficients(fit.x_coefficients),
            y_weights=y.centred_coefficients(fit.y_coefficients),
            correlations=fit.singular_values,
            singular_values=fit.singular_values,
            solver="cholesky",
        )
        return KernelSolution.of(directions, fit.x_scores, fit.y_scores)

    def _of_eigenvectors(
        self, x: ExactMap, y: ExactMap, regs: tuple[float, float], n_components: int | None
    ) -> KernelSolution:
        """Return directions from uncorrelated features, as those of any two views."""
        G, F = x.features(), y.features()
        variances = x.variances, y.variances
        ridges = (
            min(regs[0], LARGEST_RIDGE) * x.variances.sum(),
            min(regs[1], LARGEST_RIDGE) * y.variances.sum(),
        )
        A, B, s = uncorrelated_fit(G, F, variances, ridges, self._pairs, n_components)
        x_weights, y_weights = x.dual(A), y.dual(B)
        x_scores, y_scores = x.training_scores(x_weights), y.training_scores(y_weights)
        directions = Directions(x_weights, y_weights, s, s, "eigen", G.shape[1], F.shape[1])
        resolved = x.resolves(A, x_scores) & y.resolves(B, y_scores)
        resolved[0] = True
        return KernelSolution.of(directions, x_scores, y_scores).take(resolved)

    def _of_sampled_features(
        self, regs: tuple[float, float], n_components: int | None
    ) -> KernelSolution:
        options = SolverOptions(n_components, regs, ridge_of="total", scale=False)
        fit = canonical_fit(self._x.features(), self._y.features(), self._pairs, options)
        # Of a linear model they are in the order of their correlations.
        order = np.argsort(-fit.singular_values, kind="stable")
        A, B, s = fit.x_weights[:, order], fit.y_weights[:, order], fit.singular_values[order]
        directions = Directions(A, B, s, s, fit.solver, fit.x_rank, fit.y_rank)
        scores = self._x.training_scores(A), self._y.training_scores(B)
        return KernelSolution.of(directions, *scores)


def _check_kernel(kernel: Kernel, scale: bool, approximation: str | None) -> None:
    """Refuse a kernel that the other parameters do not fit."""
    if scale and kernel.name in ("chi2", "additive_chi2"):
        raise ValueError(
            f"`kernel`={kernel.name!r} compares histograms, which have no negative values; set "
            "scale=False, because standardized features have."
        )
    if approximation is None:
        return
    if kernel.name == "precomputed" or (
        approximation == "random_features" and kernel.name != "rbf"
    ):
        raise ValueError(
            f"`approximation`={approximation!r} cannot approximate `kernel`={kernel.name!r}; "
            "'random_features' needs 'rbf', 'nystroem' any kernel of the rows, None all."
        )


def _feature_map(
    kernel: Kernel,
    V: np.ndarray,
    scaling: Standardisation,
    weights: np.ndarray,
    sampling: _Sampling,
) -> FeatureMap:
    """Return the feature map of one view's training rows."""
    # The mean may lie far from most of the rows, whose distances would then lose digits.
    if kernel.shift_invariant and sampling.approximation != "random_features":
        scaling = scaling._replace(mean=np.median(V[:: 1 + len(V) // 50], axis=0))
    rows = scaling.apply(V)
    if sampling.approximation is None:
        # Only a precomputed kernel has the precision of the input; others are made in float64.
        eps = input_eps(V.dtype if kernel.name == "precomputed" else np.dtype(float))
        kernel, K = kernel.fit_matrix(rows, weights)
        return ExactMap(kernel, K, rows, scaling, weights, eps)
    n_landmarks = 1000 if sampling.n_landmarks is None else sampling.n_landmarks
    chosen = np.arange(len(rows))
    if len(rows) > _MEDIAN_ROWS:
        rng = np.random.default_rng(sampling.seed)
        chosen = rng.choice(len(rows), _MEDIAN_ROWS, replace=False)
    kernel = kernel.with_gamma(rows[chosen], weights[chosen])
    sampler: Nystroem | RBFSampler
    if sampling.approximation == "random_features":
        sampler = RBFSampler(
            gamma=kernel.gamma, n_components=n_landmarks, random_state=sampling.seed
        )
        return SampledMap(kernel, sampler, rows, scaling, weights)
    params = {"kernel_params": kernel.params} if callable(kernel.name) else kernel.params
    sampler = Nystroem(
        kernel.name, n_components=min(n_landmarks, len(rows)), random_state=sampling.seed, **params
    )
    return SampledMap(kernel, sampler, rows, scaling, weights)
