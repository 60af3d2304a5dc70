"""Estimators that choose their ridge and number of components by cross-validation.

Every setting is scored on the held-out rows of every fold, and the best one is fitted to all rows,
as scikit-learn's `GridSearchCV` does with a fit for each setting and fold. Here the settings of a
fold share their work (`skcca.model_selection._ridge_path` and `_kernel_path`), so that a search
costs a few fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from skcca._base import ClassPairedMixin, TwoViewTransformer
from skcca._core.pairs import Labels, Pairs, TrainingData, Weights
from skcca._core.types import RandomStateLike
from skcca.cca import CCA, ClusterCCA
from skcca.kcca import KCCA, ClusterKCCA
from skcca.model_selection._folds import Fold, Splitter
from skcca.model_selection._kernel_path import KernelPath, KernelSettings
from skcca.model_selection._ridge_path import PathSettings, RidgePath
from skcca.model_selection._search import (
    Candidates,
    CrossValidatedMixin,
    Search,
    checked_gamma,
)
from skcca.views._arguments import drop_zero_weight_rows

__all__ = ["CCACV", "KCCACV", "ClusterCCACV", "ClusterKCCACV"]

Array = np.ndarray

# The ridges that are compared by default, as fractions of the mean feature variance.
REGS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
# Those of kernel models, as fractions of the total variance in feature space.
KERNEL_REGS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class _LinearSearch:
    """The settings of a linear model on the folds."""

    def __init__(
        self, model: CCA, data: TrainingData, folds: Sequence[Fold], candidates: Candidates
    ):
        self._model, self._data, self._folds, self._candidates = model, data, folds, candidates
        model._check_solver(data.X)
        settings = PathSettings(
            candidates.ridges, candidates.most_components, model.scale, model.solver
        )
        self._path = RidgePath(data, folds, model._pairing(), self._make_pairs, settings)

    def totals(self, fold: int) -> Array:
        """Return the held-out total correlation of each setting."""
        return self._candidates.totals(self._path.correlations(fold))

    def models(self, fold: int) -> Iterator[CCA]:
        """Yield the model of each setting on the training rows."""
        train = drop_zero_weight_rows(self._data.take(self._folds[fold][0], self._folds[fold][0]))
        n_rows = train.X.shape[0]
        for k in self._candidates.numbers:
            fits = self._path.fits(fold, k)
            for ridges, solution in zip(self._candidates.ridges, fits, strict=True):
                model = object.__new__(type(self._model))
                model.__dict__ = vars(self._model) | {"n_components": k}
                model._assign(solution, (n_rows, n_rows), ridges)
                model._move_attributes_to(self._data.X)
                yield model

    def refit(self, model: CCA) -> None:
        """Fit a model to all rows."""
        data, rng = drop_zero_weight_rows(self._data), model._rng()
        pairs = model._make_pairs(data.labels, data.weights, rng)
        model._fit_views(data, pairs, rng, self._path.total_moments())

    def _make_pairs(self, labels: Labels | None, weights: Weights) -> Pairs:
        return self._model._make_pairs(labels, weights, self._model._rng())


class _KernelSearch:
    """The settings of a kernel model on the folds."""

    def __init__(
        self, model: KCCA, data: TrainingData, folds: Sequence[Fold], candidates: Candidates
    ):
        self._data, self._candidates = data, candidates
        settings = KernelSettings(candidates.gammas or [None], candidates.regs, candidates.numbers)
        self._path = KernelPath(model, data, folds, settings)

    def totals(self, fold: int) -> Array:
        """Return the held-out total correlation of each setting."""
        return np.concatenate([self._candidates.totals(c) for c in self._path.correlations(fold)])

    def models(self, fold: int) -> Iterator[KCCA]:
        """Yield the model of each setting on the training rows."""
        return self._path.models(fold)

    def refit(self, model: KCCA) -> None:
        """Fit a model to all rows."""
        data, rng = self._data, model._rng()
        if not model._keeps_zero_weight_rows:
            data = drop_zero_weight_rows(data)
        model._fit_views(data, model._make_pairs(data.labels, data.weights, rng), rng)


class CCACV(CrossValidatedMixin, CCA):
    """CCA whose ridge and number of components are chosen by cross-validation.

    Parameters
    ----------
    n_components : int, sequence of int or None, default=None
        Numbers of components to choose from; or one number, or None for all that the data support,
        which is then not searched.
    regs : array-like of float or of pairs, default=(0.001, 0.01, 0.1, 1, 10, 100)
        Ridges to choose from, relative to each view's mean feature variance; a pair sets one for
        each view. See `CCA`.
    cv : int, splitter or iterable, default=None
        Folds; None is 5. An integer means consecutive rows, as everywhere in scikit-learn; classes
        are stratified where a class-paired estimator has one label a row, which may be missing in
        some; see `skcca.model_selection.PartlyLabelledKFold`.
    scoring : str, callable or None, default=None
        None is the total correlation of held-out rows, as `score` gives it. "map", or the name of
        another measure of `make_retrieval_scorer`, is how well the first view retrieves the second
        among held-out rows, which needs labels; or a scorer, called as in `GridSearchCV`.
    one_standard_error : bool, default=False
        Whether to take the simplest setting within one standard error of the best: the fewest
        components, then the largest ridge.
    scale : bool, default=True
    solver : {"auto", "covariance", "svd"}, default="auto"
    component_scaling : {"unit", "correlation"}, default="unit"
        See `CCA`.
    verbose : int, default=0
        Whether to show a progress line of the folds.

    Attributes
    ----------
    reg_ : float or pair of float
        The chosen ridge.
    best_score_ : float
        Mean score of the chosen setting over the folds.
    best_params_ : dict
        The chosen ``reg`` and, if it is searched, ``n_components``.
    best_index_ : int
        Its place in `cv_results_`.
    cv_results_ : dict of ndarray
        Scores and ranks of all settings in the form of `GridSearchCV.cv_results_`. The seconds of a
        fold are divided equally among the settings, which share its work.
    n_splits_ : int
        Number of folds.
    n_components_, x_weights_, y_weights_, correlations_, ...
        Those of `CCA`, fitted to all rows with the chosen setting.

    See Also
    --------
    CCA : The model with given settings.
    skcca.inspection.select_n_components : Number of components alone, with its standard errors.
    sklearn.model_selection.GridSearchCV : The same search, with a fit for each setting and fold.

    Notes
    -----
    The scores equal those of `GridSearchCV` over the same folds to about ten digits, at the cost of
    a few fits. The second moments of the training rows of a fold are the sum of those of the other
    folds, so that all folds need one pass over the rows, and a second one where the first rows are
    unlike the others. One eigendecomposition a view and fold serves all ridges. The solution of k
    components is the first k of any larger one, so that their number costs nothing.

    Memory above the views is a few times that of the moments of all folds,
    ``n_folds * (n_features + n_features_y)**2`` numbers.

    Where moments would lose digits (views of more features than rows, features almost collinear
    under the smallest ridge, ``solver="svd"``), each fold is decomposed from its rows instead: two
    singular value decompositions a fold, as one fit of `CCA` takes there.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import CCACV
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 400, 10))
    >>> Y[:, :2] += 2 * X[:, :2]
    >>> model = CCACV(n_components=[1, 2, 5]).fit(X[:200], Y[:200])
    >>> model.best_params_
    {'n_components': 2, 'reg': 0.1}
    >>> round(model.score(X[200:], Y[200:]), 1)
    1.8
    """

    _parameter_constraints: ClassVar[dict] = {
        **CCA._parameter_constraints,
        **CrossValidatedMixin._search_constraints,
    }
    _parameter_constraints.pop("reg")
    _model_class: ClassVar[type[TwoViewTransformer]] = CCA

    def __init__(
        self,
        n_components: int | Sequence[int] | None = None,
        *,
        regs: Sequence = REGS,
        cv: Splitter = None,
        scoring: str | Callable | None = None,
        one_standard_error: bool = False,
        scale: bool = True,
        solver: str = "auto",
        component_scaling: str = "unit",
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.regs = regs
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.scale = scale
        self.solver = solver
        self.component_scaling = component_scaling
        self.verbose = verbose

    def _search(
        self, model: Any, data: TrainingData, folds: Sequence[Fold], candidates: Candidates
    ) -> Search:
        return _LinearSearch(model, data, folds, candidates)

    @property
    def _shrinks(self) -> bool:
        return False

    def _check_batch_settings(self) -> bool:
        raise ValueError(
            f"{type(self).__name__} splits all rows into folds; fit the chosen setting in batches: "
            f"{self._model_class.__name__}(reg=reg_).partial_fit."
        )


class ClusterCCACV(ClassPairedMixin, CCACV):
    """ClusterCCA whose ridge and number of components are chosen by cross-validation.

    Parameters
    ----------
    n_components : int, sequence of int or None, default=None
    regs : array-like of float or of pairs, default=(0.001, 0.01, 0.1, 1, 10, 100)
    cv : int, splitter or iterable, default=None
    scoring : str, callable or None, default=None
    one_standard_error : bool, default=False
        The search; see `CCACV`. The default score is over the pairs of a class.
    instance_weight : float, default=0.0
    pair_fraction : float, default=1.0
    pairs_per_sample : int, default=None
    pair_weight : {"pair", "row"}, default="pair"
    scale : bool, default=True
    solver : {"auto", "covariance", "svd"}, default="auto"
    component_scaling : {"unit", "correlation"}, default="correlation"
    random_state : int, RandomState, Generator or None, default=None
        The model; see `ClusterCCA`.
    verbose : int, default=0
        Whether to show a progress line of the folds.

    Attributes
    ----------
    reg_, best_score_, best_params_, best_index_, cv_results_, n_splits_
        Those of `CCACV`.
    classes_, n_components_, x_weights_, y_weights_, correlations_, ...
        Those of `ClusterCCA`, fitted to all rows with the chosen setting.

    See Also
    --------
    ClusterCCA : The model with given settings.
    CCACV : Each row with its own partner only.

    Notes
    -----
    The weight of a row is the size of its class among the training rows, which differs from fold to
    fold. Few classes have their moments summed apart, in one pass over the rows. Many classes,
    whose matrices would take more memory than the views, cost a pass for each fold. Sampled pairs
    are drawn anew in each fold, from its own rows.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skcca import ClusterCCACV, Views
    >>> X, y = load_wine(return_X_y=True)
    >>> wine = Views(alcohol=X[:, :6], colour=X[:, 6:])
    >>> model = ClusterCCACV(regs=[0.01, 0.1, 1.0], scoring="map").fit(wine, y)
    >>> round(model.best_score_, 2)
    0.87
    """

    _parameter_constraints: ClassVar[dict] = {
        **CCACV._parameter_constraints,
        **ClassPairedMixin._pairing_constraints,
    }
    _model_class: ClassVar[type[TwoViewTransformer]] = ClusterCCA

    def __init__(
        self,
        n_components: int | Sequence[int] | None = None,
        *,
        regs: Sequence = REGS,
        cv: Splitter = None,
        scoring: str | Callable | None = None,
        one_standard_error: bool = False,
        instance_weight: float = 0.0,
        pair_fraction: float = 1.0,
        pairs_per_sample: int | None = None,
        pair_weight: str = "pair",
        scale: bool = True,
        solver: str = "auto",
        component_scaling: str = "correlation",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.regs = regs
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.scale = scale
        self.solver = solver
        self.component_scaling = component_scaling
        self.random_state = random_state
        self.verbose = verbose


class KCCACV(CrossValidatedMixin, KCCA):
    """KCCA whose ridge, width and number of components are chosen by cross-validation.

    Parameters
    ----------
    n_components : int, sequence of int or None, default=None
        Numbers of components to choose from; or one number, or None for all that the data support,
        which is then not searched. Up to a tenth of the rows cost no eigenvectors of a kernel.
    regs : array-like of float or of pairs, default=(1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1)
        Ridges to choose from, relative to the total variance in feature space; a pair sets one for
        each view. See `KCCA`.
    gammas : array-like of float, None or of pairs, default=None
        Values of the kernel's `gamma` to choose from, of which None is the inverse median of the
        squared distances. None for that alone, which is then not searched.
    cv : int, splitter or iterable, default=None
    scoring : str, callable or None, default=None
    one_standard_error : bool, default=False
        The search; see `CCACV`.
    kernel : str, callable or pair of these, default="rbf"
    degree : float or pair of float, default=3
    coef0 : float or pair of float, default=1
    kernel_params : dict or pair of dict, default=None
    scale : bool, default=True
    approximation : {"nystroem", "random_features"}, default=None
    n_landmarks : int, default=None
    component_scaling : {"unit", "correlation"}, default="unit"
    random_state : int, RandomState, Generator or None, default=None
        The model; see `KCCA`. Precomputed kernels of both views come as ``Views(K_x, K_y)``, of
        which a fold takes rows and columns.
    verbose : int, default=0
        Whether to show a progress line of the folds.

    Attributes
    ----------
    reg_ : float or pair of float
        The chosen ridge.
    gamma_ : float, None or pair
        The chosen `gamma`, if it is searched.
    best_score_, best_params_, best_index_, cv_results_, n_splits_
        Those of `CCACV`.
    n_components_, x_weights_, y_weights_, correlations_, ...
        Those of `KCCA`, fitted to all rows with the chosen setting.

    See Also
    --------
    KCCA : The model with given settings.
    CCACV : The linear case.

    Notes
    -----
    The scores equal those of `GridSearchCV` over the same folds to about eight digits. For each
    fold and `gamma` the kernels of the training rows, and of the held-out rows with these, are made
    once and serve all ridges; each ridge takes one Cholesky factor, of the rows' own pairs, or two,
    of class pairs, and an iteration. The solution of k components is the first k of any larger one,
    so that their number costs nothing. All components (``n_components=None``) cost a singular value
    decomposition for each ridge and fold, and share the eigenvectors of the kernels alone.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import KCCACV
    >>> rng = np.random.default_rng(0)
    >>> angle = rng.uniform(0, 2 * np.pi, 200)
    >>> X = np.column_stack([angle, rng.normal(size=200)])
    >>> Y = np.column_stack([np.sin(angle), rng.normal(size=200)])
    >>> model = KCCACV(1, regs=[1e-4, 1e-2], gammas=[0.1, 1.0]).fit(X[:100], Y[:100])
    >>> model.best_params_
    {'gamma': 0.1, 'reg': 0.0001}
    >>> round(model.score(X[100:], Y[100:]), 1)
    1.0
    """

    _parameter_constraints: ClassVar[dict] = {
        **KCCA._parameter_constraints,
        **CrossValidatedMixin._search_constraints,
        "gammas": ["array-like", None],
    }
    _parameter_constraints.pop("reg")
    _parameter_constraints.pop("gamma")
    _model_class: ClassVar[type[TwoViewTransformer]] = KCCA
    # Of the kernels before a width is chosen.
    gamma = None

    def __init__(
        self,
        n_components: int | Sequence[int] | None = None,
        *,
        regs: Sequence = KERNEL_REGS,
        gammas: Sequence | None = None,
        cv: Splitter = None,
        scoring: str | Callable | None = None,
        one_standard_error: bool = False,
        kernel: str | Callable | tuple = "rbf",
        degree: float | tuple[float, float] = 3,
        coef0: float | tuple[float, float] = 1,
        kernel_params: dict[str, Any] | tuple | None = None,
        scale: bool = True,
        approximation: str | None = None,
        n_landmarks: int | None = None,
        component_scaling: str = "unit",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.regs = regs
        self.gammas = gammas
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.kernel = kernel
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.scale = scale
        self.approximation = approximation
        self.n_landmarks = n_landmarks
        self.component_scaling = component_scaling
        self.random_state = random_state
        self.verbose = verbose

    def _search(
        self, model: Any, data: TrainingData, folds: Sequence[Fold], candidates: Candidates
    ) -> Search:
        return _KernelSearch(model, data, folds, candidates)

    def _gammas(self) -> list | None:
        if self.gammas is None:
            return None
        name = type(self).__name__
        gammas = [checked_gamma(name, gamma, self.gammas) for gamma in self.gammas]
        if not gammas:
            raise ValueError(f"{name}: `gammas` is empty; give the widths to choose from.")
        return gammas


class ClusterKCCACV(ClassPairedMixin, KCCACV):
    """ClusterKCCA whose ridge, width and number of components are chosen by cross-validation.

    Parameters
    ----------
    n_components : int, sequence of int or None, default=None
    regs : array-like of float or of pairs, default=(1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1)
    gammas : array-like of float, None or of pairs, default=None
    cv : int, splitter or iterable, default=None
    scoring : str, callable or None, default=None
    one_standard_error : bool, default=False
        The search; see `KCCACV`. The default score is over the pairs of a class.
    instance_weight : float, default=0.0
    pair_fraction : float, default=1.0
    pairs_per_sample : int, default=None
    pair_weight : {"pair", "row"}, default="pair"
        The pairs; see `ClusterCCA`.
    kernel : str, callable or pair of these, default="rbf"
    degree : float or pair of float, default=3
    coef0 : float or pair of float, default=1
    kernel_params : dict or pair of dict, default=None
    scale : bool, default=True
    approximation : {"nystroem", "random_features"}, default=None
    n_landmarks : int, default=None
    component_scaling : {"unit", "correlation"}, default="correlation"
    random_state : int, RandomState, Generator or None, default=None
        The model; see `ClusterKCCA`.
    verbose : int, default=0
        Whether to show a progress line of the folds.

    Attributes
    ----------
    reg_, gamma_, best_score_, best_params_, best_index_, cv_results_, n_splits_
        Those of `KCCACV`.
    classes_, n_components_, x_weights_, y_weights_, correlations_, ...
        Those of `ClusterKCCA`, fitted to all rows with the chosen setting.

    See Also
    --------
    ClusterKCCA : The model with given settings.
    KCCACV : Each row with its own partner only.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skcca import ClusterKCCACV, Views
    >>> X, y = load_wine(return_X_y=True)
    >>> wine = Views(alcohol=X[:, :6], colour=X[:, 6:])
    >>> model = ClusterKCCACV(regs=[1e-3, 1e-2], scoring="map").fit(wine, y)
    >>> round(model.best_score_, 2)
    0.89
    """

    _parameter_constraints: ClassVar[dict] = {
        **KCCACV._parameter_constraints,
        **ClassPairedMixin._pairing_constraints,
    }
    _model_class: ClassVar[type[TwoViewTransformer]] = ClusterKCCA

    def __init__(
        self,
        n_components: int | Sequence[int] | None = None,
        *,
        regs: Sequence = KERNEL_REGS,
        gammas: Sequence | None = None,
        cv: Splitter = None,
        scoring: str | Callable | None = None,
        one_standard_error: bool = False,
        instance_weight: float = 0.0,
        pair_fraction: float = 1.0,
        pairs_per_sample: int | None = None,
        pair_weight: str = "pair",
        kernel: str | Callable | tuple = "rbf",
        degree: float | tuple[float, float] = 3,
        coef0: float | tuple[float, float] = 1,
        kernel_params: dict[str, Any] | tuple | None = None,
        scale: bool = True,
        approximation: str | None = None,
        n_landmarks: int | None = None,
        component_scaling: str = "correlation",
        random_state: RandomStateLike = None,
        verbose: int = 0,
    ):
        self.n_components = n_components
        self.regs = regs
        self.gammas = gammas
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.instance_weight = instance_weight
        self.pair_fraction = pair_fraction
        self.pairs_per_sample = pairs_per_sample
        self.pair_weight = pair_weight
        self.kernel = kernel
        self.degree = degree
        self.coef0 = coef0
        self.kernel_params = kernel_params
        self.scale = scale
        self.approximation = approximation
        self.n_landmarks = n_landmarks
        self.component_scaling = component_scaling
        self.random_state = random_state
        self.verbose = verbose
