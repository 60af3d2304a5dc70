"""What kernel CCA does whatever its pairs: features of both views, then their directions."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.metrics.pairwise import PAIRWISE_KERNEL_FUNCTIONS

from skcca._base import TwoViewTransformer
from skcca._core.arrays import working_eps
from skcca._core.compat import Interval, StrOptions
from skcca._core.directions import canonical_fit
from skcca._core.kernel_solver import dual_fit, suits
from skcca._core.kernels import ExactMap, Kernel, SampledMap
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.standardize import Standardisation, component_signs, loadings
from skcca._core.whitening import Options
from skcca.views._arguments import per_view

# Beyond so many rows the median distance of an approximated kernel comes from a sample of them.
_MEDIAN_ROWS = 4000


class KernelFit(NamedTuple):
    """Directions in feature space; fields of the names of `skcca._core.directions.CanonicalFit`."""

    x_weights: np.ndarray  # coefficients of the training rows, or of sampled features
    y_weights: np.ndarray
    x_scores: np.ndarray  # (n_x, k) of the training rows
    y_scores: np.ndarray
    correlations: np.ndarray  # (k,)
    singular_values: np.ndarray  # (k,)
    solver: str
    x_rank: int | None = None  # known from the eigenvalues of the kernel alone
    y_rank: int | None = None
    x_loadings: np.ndarray | None = None  # (d_x, k)
    y_loadings: np.ndarray | None = None


class KernelCCA(TwoViewTransformer):
    """Kernel feature map; the pairs are chosen by the subclass."""

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

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**31))
        views = (data.X, pairs.row_sums / pairs.total), (data.Y, pairs.column_sums / pairs.total)
        maps, scalings = [], []
        for side, (V, weights) in zip("xy", views, strict=True):
            scalings.append(self._scaling(side, V, weights))
            maps.append(self._feature_map(side, V, scalings[-1], weights, seed))
        (self.x_mean_, self.x_scale_), (self.y_mean_, self.y_scale_) = scalings
        self.x_gamma_, self.y_gamma_ = (m.kernel.gamma for m in maps)
        self._x_map, self._y_map = maps
        found = self._leading_directions(pairs) or self._all_directions(pairs)
        for m in maps:
            m.release()
        (X, a), (Y, b) = views
        x_loadings, y_loadings = loadings(X, found.x_scores, a), loadings(Y, found.y_scores, b)
        signs = component_signs(x_loadings)
        self._set_directions(
            found._replace(
                x_weights=found.x_weights * signs,
                y_weights=found.y_weights * signs,
                x_loadings=x_loadings * signs,
                y_loadings=y_loadings * signs,
            )
        )

    def _leading_directions(self, pairs: Pairs) -> KernelFit | None:
        """Return directions from a factor of each kernel, or None where it does not serve."""
        x, y = self._x_map, self._y_map
        if not isinstance(x, ExactMap) or not isinstance(y, ExactMap):
            return None  # the features are given, and few
        if not suits(pairs, self.n_components):
            return None
        reg_x, reg_y = per_view(self.reg)
        x_factor = x.factor(reg_x)
        y_factor = None if x_factor is None else y.factor(reg_y)
        if x_factor is None or y_factor is None:
            return None
        found = dual_fit(x_factor, y_factor, pairs, self.n_components)
        if found is None:
            return None
        return KernelFit(
            x.centred_coefficients(found.x_coefficients),
            y.centred_coefficients(found.y_coefficients),
            *found[2:],
            solver="cholesky",
        )

    def _all_directions(self, pairs: Pairs) -> KernelFit:
        """Return directions from the features, as those of any two views."""
        x, y = self._x_map, self._y_map
        options = Options(self.n_components, per_view(self.reg), ridge_of="total", scale=False)
        G, F = x.features(), y.features()
        found = canonical_fit(G, F, pairs, options)
        return KernelFit(
            x.dual(found.x_weights),
            y.dual(found.y_weights),
            G @ found.x_weights - found.x_mean @ found.x_weights,
            F @ found.y_weights - found.y_mean @ found.y_weights,
            found.correlations,
            found.singular_values,
            found.solver,
            found.x_rank,
            found.y_rank,
        )

    def _scaling(self, side: str, V: np.ndarray, weights: np.ndarray) -> Standardisation:
        name = self._kernel_name(side)
        if self.scale and name in ("chi2", "additive_chi2"):
            raise ValueError(
                f"`kernel`={name!r} compares histograms, which have no negative values; set "
                "scale=False, because standardized features have."
            )
        if not self.scale or name == "precomputed":
            return Standardisation.identity(V.shape[1])
        return Standardisation.of(V, weights, name="X" if side == "x" else "y")

    def _feature_map(
        self, side: str, V: np.ndarray, scaling: Standardisation, weights: np.ndarray, seed: int
    ) -> ExactMap | SampledMap:
        """Return the feature map of one view's training rows."""
        kernel = Kernel(self._kernel_name(side), self._kernel_params(side))
        rows = scaling.apply(V)
        if self.approximation is None:
            if self.n_landmarks is not None:
                raise ValueError(
                    f"`n_landmarks`={self.n_landmarks} has no use in an exact solution; set "
                    "approximation='nystroem' or 'random_features'."
                )
            # Only a precomputed kernel has the precision of the input: others are of float64.
            eps = working_eps(V.dtype if kernel.name == "precomputed" else np.dtype(float))
            kernel, K = kernel.over(rows, weights)
            return ExactMap(kernel, K, rows, weights, eps)
        n_landmarks = 1000 if self.n_landmarks is None else self.n_landmarks
        if kernel.name == "precomputed" or (
            self.approximation == "random_features" and kernel.name != "rbf"
        ):
            raise ValueError(
                f"`approximation`={self.approximation!r} cannot approximate "
                f"`kernel`={kernel.name!r}; 'random_features' needs 'rbf', 'nystroem' any kernel "
                "of the rows, None all."
            )
        chosen = np.arange(len(rows))
        if len(rows) > _MEDIAN_ROWS:
            chosen = np.random.default_rng(seed).choice(len(rows), _MEDIAN_ROWS, replace=False)
        kernel = kernel.with_gamma(rows[chosen], weights[chosen])
        if self.approximation == "random_features":
            sampler = RBFSampler(gamma=kernel.gamma, n_components=n_landmarks, random_state=seed)
            return SampledMap(kernel, sampler, rows, weights)
        params = kernel.params if not callable(kernel.name) else {"kernel_params": kernel.params}
        sampler = Nystroem(
            kernel.name, n_components=min(n_landmarks, len(rows)), random_state=seed, **params
        )
        return SampledMap(kernel, sampler, rows, weights)

    def _kernel_params(self, side: str) -> dict[str, Any]:
        name, extra = self._kernel_name(side), self._own("kernel_params", side)
        if callable(name):
            return dict(extra or {})
        if extra:
            raise ValueError(
                f"`kernel_params`={extra!r} belongs to a callable kernel; kernel {name!r} takes "
                "`gamma`, `degree` and `coef0`."
            )
        return {p: self._own(p, side) for p in ("gamma", "degree", "coef0")}

    def _kernel_name(self, side: str) -> str | Callable:
        return self._own("kernel", side)

    def _own(self, parameter: str, side: str) -> Any:
        """Return a parameter's value for one view."""
        return per_view(getattr(self, parameter))["xy".index(side)]

    def _project(self, V: np.ndarray, side: str) -> np.ndarray:
        if side == "x":
            scaling = Standardisation(self.x_mean_, self.x_scale_)
            feature_map, weights = self._x_map, self.x_weights_
        else:
            scaling = Standardisation(self.y_mean_, self.y_scale_)
            feature_map, weights = self._y_map, self.y_weights_
        return feature_map.scores(scaling.apply(V), weights).astype(V.dtype, copy=False)

    def _check_view(self, V: Any, side: str, *, reset: bool, least: int = 1) -> np.ndarray:
        V = super()._check_view(V, side, reset=reset, least=least)
        if reset and self._kernel_name(side) == "precomputed" and V.shape[0] != V.shape[1]:
            raise ValueError(
                f"{type(self).__name__}: the precomputed kernel of the "
                f"{'first' if side == 'x' else 'second'} view must be square at fit, rows x rows; "
                f"got {V.shape}. To cross-validate, precompute the kernels of both views and put "
                "them in a Views: Views(K_x, K_y)."
            )
        return V

    @property
    def _keeps_weightless_rows(self) -> bool:
        """A kernel has a column for every row; a weightless row stays and counts for nothing."""
        return "precomputed" in [self._kernel_name(side) for side in "xy"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = per_view(self.kernel) == ("precomputed", "precomputed")
        return tags
