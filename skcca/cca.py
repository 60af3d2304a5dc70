"""Linear canonical correlation analysis, over the rows' own pairs or over all pairs of a class.

    maximise corr(X a, Y b) over the pairs,    scores (X - x_mean_) @ x_weights_

The fit is `skcca._core.directions`, the batches of `partial_fit` are `skcca._core.streaming`; both
know no estimator. Predictions are least squares over the training pairs.
"""

from __future__ import annotations

from numbers import Real
from operator import methodcaller
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn import get_config
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcca._base import ClassPairedMixin, TwoViewTransformer
from skcca._core.arrays import as_namespace_of, input_eps, is_native, project, to_namespace_of
from skcca._core.compat import (
    Interval,
    StrOptions,
    _fit_context,
    array_namespace,
    bind_draft,
    draft_of,
    snapshot_of,
    to_numpy,
)
from skcca._core.directions import CanonicalFit, canonical_fit, moment_fit
from skcca._core.pairs import Moments, Pairs, TrainingData
from skcca._core.standardize import warn_of_constant_features
from skcca._core.streaming import add_batch, check_same_classes, start_sums
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike, ViewLike, WeightsLike
from skcca._core.warnings import warn
from skcca._core.whitening import NoDirectionError, SolverOptions, ridge_of
from skcca.views._arguments import per_view
from skcca.views._checks import check_scores
from skcca.views._container import Views
from skcca.views._labels import named_counts

__all__ = ["CCA", "ClusterCCA"]


# What is known of the input before there is a direction.
_INPUT_ATTRIBUTES = (
    *("n_features_in_", "n_features_y_in_", "feature_names_in_", "feature_names_y_in_"),
    "view_names_in_",
)


class _FittedView(NamedTuple):
    """The fitted arrays of one view."""

    mean: np.ndarray  # (d,)
    std: np.ndarray  # (d,)
    weights: np.ndarray  # (d, k)
    loadings: np.ndarray  # (d, k)
    cross_loadings: np.ndarray  # (d, k)


class CCA(TwoViewTransformer):
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
        each view. "auto" shrinks the covariance to (1 - s) S + s m I as Ledoit and Wolf [2]_, which
        needs dense rows, all at once.
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
        The same with the ridge in the denominator; equal to `correlations_` without a ridge, and
        vanishing with a large one, s / (1 - s) under "auto".
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
    CCACV : Ridge and number of components chosen by cross-validation.
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
    (`UserWarning`) of constant features, and where there are so few rows that some directions fit
    any data, or that under the ridge unrelated views would correlate as highly.

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

    _parameter_constraints: ClassVar[dict] = {
        **TwoViewTransformer._parameter_constraints,
        "scale": ["boolean"],
        "reg": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), tuple],
        "solver": [StrOptions({"auto", "covariance", "svd"})],
    }
    _nested: ClassVar[bool] = True
    _native_input: ClassVar[bool] = True

    __metadata_request__partial_fit: ClassVar[dict] = {"labels": True, "sample_weight": True}

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

    # Fitting

    def _fit_views(
        self,
        data: TrainingData,
        pairs: Pairs,
        rng: np.random.Generator,
        moments: Moments | None = None,
    ) -> None:
        X, Y = data.X, data.Y
        self._check_solver(X)
        reg_x, reg_y = per_view(self.reg)
        x_weights, y_weights = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
        ridges = (
            ridge_of(reg_x, X, x_weights, 0, scale=self.scale),
            ridge_of(reg_y, Y, y_weights, 1, scale=self.scale),
        )
        n_rows = min(X.shape[0], Y.shape[0])
        options = self._options(ridges, (input_eps(X.dtype), input_eps(Y.dtype)), n_rows)
        solution = canonical_fit(X, Y, pairs, options, moments)
        for name in ("_sums", "n_samples_seen_"):
            self.__dict__.pop(name, None)
        self._assign(solution, (X.shape[0], Y.shape[0]), ridges)
        self._move_attributes_to(X)

    def _check_solver(self, X: ViewLike) -> None:
        if hasattr(X, "dask") and self.solver == "svd":
            raise ValueError(
                f"{self._name}: `solver`='svd' decomposes the data in one place; of Dask "
                "arrays the moments alone travel: set solver='auto'."
            )

    @property
    def _shrinks(self) -> bool:
        return "auto" in (self.reg if isinstance(self.reg, tuple) else (self.reg,))

    def _check_batch_settings(self) -> bool:
        """Refuse parameters that need all rows at once."""
        name, pairing = type(self).__name__, self._pairing()
        if self._shrinks:
            raise ValueError(
                f"{name}: `reg`='auto' measures its shrinkage on all rows at once; set a number "
                "for partial_fit."
            )
        if self.solver == "svd":
            raise ValueError(
                f"{name}: `solver`='svd' decomposes the data, of which partial_fit keeps moments "
                "alone; set solver='auto'."
            )
        if pairing.pair_fraction < 1 or pairing.pairs_per_sample is not None:
            raise ValueError(
                f"{name}: sampled pairs (`pair_fraction`={pairing.pair_fraction}, "
                f"`pairs_per_sample`={pairing.pairs_per_sample}) need all rows at once; for "
                "partial_fit use all pairs, pair_fraction=1.0 and pairs_per_sample=None."
            )
        return True

    @available_if(methodcaller("_check_batch_settings"))
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        classes: ArrayLike = None,
        class_counts: Any = None,
        sample_weight: WeightsLike = None,
    ) -> Self:
        """Learn from one more batch of rows; together the batches give what `fit` gives.

        Only sums are kept, so that any split into batches in any order gives the same answer. Every
        call ends with a new solution, whose cost grows with the features alone: batches of at least
        as many rows as features keep it a small part.

        A call that fails or is interrupted leaves the estimator as it was, without the batch, which
        may then be given again; `n_samples_seen_` says how many rows are in the sums. Parameters
        that need all rows at once (``reg="auto"``, ``solver="svd"``, sampled pairs) leave the
        estimator without this method.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            Rows of the first view, or of both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Rows of the second view; labels beside a `Views`.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            Classes, tags or memberships of the rows, for class-paired estimators; see `fit`. The
            scale of memberships counts from batch to batch. A batch may have no label at all where
            `instance_weight` is above 0.
        classes : array-like of shape (n_classes,), default=None
            All classes that will come, at the first call. Without them new classes may come with
            any batch.
        class_counts : array-like of shape (n_classes,) or dict, default=None
            How many rows each class will have in all (their sum of weights, with weights), at the
            first call: an array in the order of `classes`, or a dict or Series from class to count;
            of memberships their sums.
            In the end only their proportions matter; counts in other proportions than those of the
            rows weigh the classes by them. With them, or with
            ``pair_weight="row"``, one matrix of products a view is enough; without them there is
            one for each class, ``n_classes * (n_features**2 + n_features_y**2)`` numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; their scale counts from batch to batch.

        Returns
        -------
        self : object
            The estimator, fitted to all rows so far.

        Raises
        ------
        ValueError
            If the batch does not fit the ones before, or a class has more rows than `class_counts`
            says.
        AttributeError
            If a parameter needs all rows at once.

        Warns
        -----
        UserWarning
            If the rows so far have no direction yet, the model then waits for more; or if `fit` was
            called before, which keeps no sums to go on from.
        scipy.linalg.LinAlgWarning
            If directions are left out that the moments cannot tell apart; the data themselves,
            which could, are gone.
        """
        self._check_settings()
        name = type(self).__name__
        first = "_sums" not in vars(self)
        if first and hasattr(self, "n_components_"):
            warn(
                f"{name}: `fit` keeps no sums, so partial_fit starts anew and forgets its rows. "
                "Give all batches to partial_fit."
            )
        fitted = draft_of(self)
        if first:
            fitted._forget()
        batch = fitted._check_training(X, y, labels, sample_weight, reset=first, batch=True)
        pairing = self._pairing()
        if first:
            if not self._class_paired:
                # Classes have no use where the labels are not used.
                classes = class_counts = None
            elif batch.labels is None:
                self._warn_of_no_labels()
            classes, class_counts = named_counts(classes, class_counts, name)
            sums = start_sums(name, pairing, batch, classes, class_counts)
        else:
            sums = self._sums
            if self._class_paired:
                declared = named_counts(classes, class_counts, name)
                check_same_classes(name, sums, batch, *declared)
        fitted._sums = add_batch(name, sums, pairing, batch)
        fitted._solve_sums()
        fitted._move_attributes_to(batch.X)
        # Until here the estimator and its sums are those without the batch.
        bind_draft(self, fitted)
        return self

    def _forget(self, *kept: str) -> None:
        """Remove the attributes of an earlier fit but those that are kept."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            if name not in kept:
                delattr(self, name)

    def __sklearn_is_fitted__(self) -> bool:
        # Batches may have given no direction yet.
        return hasattr(self, "n_components_")

    def _solve_sums(self) -> None:
        """Set the fitted attributes from the sums so far."""
        sums = self._sums
        self.n_samples_seen_ = sums.n_rows
        if sums.classes is not None:
            self.classes_ = sums.classes
        reg_x, reg_y = per_view(self.reg)
        ridges = float(reg_x), float(reg_y)
        options = self._options(ridges, sums.eps, sums.n_rows)
        moments, shift_lost_precision = sums.moments()
        try:
            solution = moment_fit(moments, sums.max_rank, options, allow_ill_conditioned=True)
        except NoDirectionError as error:
            seen = "" if sums.classes is None else f" of {len(sums.classes)} known classes"
            warn(
                f"{type(self).__name__}: the {sums.n_rows} rows so far{seen} have no direction "
                f"yet; they are kept, and the model waits for more. ({error})"
            )
            self._forget(*_INPUT_ATTRIBUTES, "classes_", "n_samples_seen_")
            return
        ill_conditioned = solution.ill_conditioned or shift_lost_precision
        solution = solution._replace(ill_conditioned=ill_conditioned)
        self._assign(solution, (sums.n_rows, sums.n_rows), ridges)

    def _options(
        self, ridges: tuple[float, float], eps: tuple[float, float], n_rows: int
    ) -> SolverOptions:
        return SolverOptions(
            self.n_components,
            reg=ridges,
            scale=self.scale,
            solver=self.solver,
            eps=eps,
            full_precision=True,
            n_rows=n_rows,
        )

    def _assign(
        self, solution: CanonicalFit, n_rows: tuple[int, int], ridges: tuple[float, float]
    ) -> None:
        """Set the fitted attributes, and warn of directions that were left out."""
        self.x_mean_, self.y_mean_ = solution.x_mean, solution.y_mean
        self.x_std_, self.y_std_ = solution.x_std, solution.y_std
        self.x_cross_loadings_ = solution.x_cross_loadings
        self.y_cross_loadings_ = solution.y_cross_loadings
        n_x, n_y = np.count_nonzero(solution.x_std), np.count_nonzero(solution.y_std)
        self.x_explained_variance_ratio_ = (solution.x_loadings**2).sum(axis=0) / n_x
        self.y_explained_variance_ratio_ = (solution.y_loadings**2).sum(axis=0) / n_y
        self.x_redundancy_ = (solution.x_cross_loadings**2).sum(axis=0) / n_x
        self.y_redundancy_ = (solution.y_cross_loadings**2).sum(axis=0) / n_y
        self._assign_directions(solution)
        _warn_of_quality(
            self._name,
            solution,
            n_rows,
            ridges,
            by_class=self._class_paired and hasattr(self, "classes_"),
            chosen="_search_name" in vars(self),
            streaming="_sums" in vars(self),
        )

    def _move_attributes_to(self, X: ViewLike) -> None:
        """Keep fitted arrays where the data are, as scikit-learn does under array API dispatch."""
        if is_native(X):
            return
        for name, value in vars(self).items():
            if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype == np.float64:
                setattr(self, name, as_namespace_of(value, X))

    # Projecting

    def _fitted_view(self, side: str) -> _FittedView:
        x = side == "x"
        return _FittedView(
            to_numpy(self.x_mean_ if x else self.y_mean_),
            to_numpy(self.x_std_ if x else self.y_std_),
            to_numpy(self.x_weights_ if x else self.y_weights_),
            to_numpy(self.x_loadings_ if x else self.y_loadings_),
            to_numpy(self.x_cross_loadings_ if x else self.y_cross_loadings_),
        )

    def _project(self, V: ViewLike, side: str) -> ViewLike:
        if side == "x":
            return project(V, self.x_mean_, self.x_weights_)
        return project(V, self.y_mean_, self.y_weights_)

    def _check_view(self, V: ViewLike, side: str, *, reset: bool, min_samples: int = 1) -> ViewLike:
        V = super()._check_view(V, side, reset=reset, min_samples=min_samples)
        follows = side == "y" and not reset and get_config()["array_api_dispatch"]
        return to_namespace_of(V, self.x_mean_) if follows and hasattr(self, "x_mean_") else V

    def _check_namespace(self, X: ViewLike, method: str) -> None:
        """Refuse a first view of another namespace than that of `fit`, as scikit-learn does."""
        if not get_config()["array_api_dispatch"] or not hasattr(X, "__dlpack__"):
            return
        here, there = (np if is_native(A) else array_namespace(A) for A in (X, self.x_mean_))
        if here is not there:
            raise ValueError(
                f"{type(self).__name__}.{method}() and fit must use the same namespace: got an "
                f"array of {here.__name__}, fitted on {there.__name__}; convert one, or switch "
                "array_api_dispatch off."
            )

    # Predicting

    def predict(self, X: ViewLike) -> ViewLike:
        """Predict the second view from the first.

        The least-squares prediction from the first view's scores U, over the training pairs:

            Y = mean_y + U cov(U)^-1 cov(U, Y)

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, in the units of `fit`; of a `Views` the first member.

        Returns
        -------
        y : ndarray of shape (n_samples, n_features_y_in_) or (n_samples,)
            The second view, in its own units; of one dimension if it was so in `fit`.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        self._check_namespace(X, "predict")
        predicted = self._regress(self._member(X, "x", "predict"), "x", "y")
        return predicted[:, 0] if self._y_is_one_column else predicted

    def predict_x(self, y: ViewLike) -> ViewLike:
        """Predict the first view from the second; `predict` the other way round.

        Parameters
        ----------
        y : array-like of shape (n_samples, n_features_y) or Views
            Second view, in the units of `fit`; of a `Views` the second member.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_)
            The first view, in its own units.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        return self._regress(self._member(y, "y", "predict_x"), "y", "x")

    def inverse_transform(self, X: ViewLike, y: ViewLike = None) -> Any:
        """Return the views that scores stand for: least squares from a view's own scores.

        Where there are as many components as features, this undoes `transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components_) or Views
            Scores of the first view, or of both.
        y : array-like of shape (n_samples, n_components_), default=None
            Scores of the second view.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features_in_), tuple of two, or Views
            The first view in its own units; both when `y` is given; a `Views` for a `Views`.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        if isinstance(X, Views):
            self._check_view_names(X)
            return X._replace(
                [
                    None if Z is None else self._from_scores(check_scores(self, Z), side, side)
                    for Z, side in zip(X, "xy", strict=True)
                ]
            )
        back = self._from_scores(check_scores(self, X), "x", "x")
        return back if y is None else (back, self._from_scores(check_scores(self, y), "y", "y"))

    def _member(self, V: ViewLike, side: str, method: str) -> ViewLike:
        """Return the checked view of one side, taken out of a `Views`."""
        if isinstance(V, Views):
            self._check_view_names(V)
            first, second = V
            V = first if side == "x" else second
            if V is None:
                raise ValueError(
                    f"{type(self).__name__}: {method} needs the "
                    f"{'first' if side == 'x' else 'second'} view, which is None here."
                )
        return self._check_view(V, side, reset=False)

    def _regress(self, V: ViewLike, source: str, target: str) -> ViewLike:
        return self._from_scores(self._project(V, source), source, target)

    def _from_scores(self, Z: ViewLike, source: str, target: str) -> ViewLike:
        """Predict the target view from scores of the source view."""
        scale = np.ones(self.n_components_)
        if self.component_scaling == "correlation":
            scale = to_numpy(self.correlations_)
        source_view, target_view = self._fitted_view(source), self._fitted_view(target)
        coefficients = _regression_coefficients(
            source_view, target_view, scale, own=source == target
        )
        # What leaves the range of the dtype is refused below.
        with np.errstate(over="ignore", invalid="ignore"):
            predicted = project(Z, np.zeros(len(scale)), coefficients, target_view.mean)
        if not hasattr(predicted, "dask") and not np.isfinite(to_numpy(predicted)).all():
            raise ValueError(
                f"{type(self).__name__}: the prediction leaves the range of {predicted.dtype}; "
                "give float64, or rows less far outside of what was seen in fit."
            )
        return predicted

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # The shrinkage is measured on dense rows.
        tags.input_tags.sparse = not self._shrinks
        tags.array_api_support = True
        return tags


class ClusterCCA(ClassPairedMixin, CCA):
    """Canonical correlation analysis over all pairs of rows that share a class.

    Maximize the correlation of X a and Y b over the pairs (i, j) with equal labels [1]_. The pairs
    enter through class sums only, so that 6 million of them cost what the rows cost.

    Parameters
    ----------
    n_components : int, default=None
        Number of components; None for all that the data support, which is at most
        ``n_classes - 1`` for full class pairs. More warns and gives fewer, see `n_components_`.
    instance_weight : float, default=0.0
        Share of the rows' own pairs, in [0, 1]; the rest goes to the class pairs. 1 is `CCA`. Above
        0 some labels may be missing: a row without one has its own pair alone.
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
    classes_ : ndarray of shape (n_classes,)
        The classes (or tag numbers); only where labels were given.
    x_weights_, y_weights_, x_loadings_, y_loadings_, correlations_, ...
        Those of `CCA`; means, standard deviations, loadings and correlations are over the pairs,
        and differ from those of the rows where classes are unbalanced.

    See Also
    --------
    ClusterCCACV : Ridge and number of components chosen by cross-validation.
    CCA : Each row with its own partner only.
    SupervisedDCCA : The same pairs with learned feature maps.

    Notes
    -----
    Views may be of any kind that `CCA` takes. Batches of `partial_fit` keep one matrix of products
    a class and view, or one a view with `class_counts` or ``pair_weight="row"``; sampled pairs
    cannot be made in batches.

    A row i of X and a row j of Y pair with weight (L_x L_y')_ij, where L holds a 1 for the class of
    a row, or its tags, or its memberships, whose scale does not matter. So memberships of 0 and 1
    are classes, and a row of zeros is one of unknown class.

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
        **CCA._parameter_constraints,
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
        random_state: RandomStateLike = None,
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


def _regression_coefficients(
    source: _FittedView, target: _FittedView, scale: np.ndarray, *, own: bool
) -> np.ndarray:
    """Return B (k, d) of the least-squares prediction U B of a view from scores U.

    B = cov(U)^-1 cov(U, V) over the training pairs. Loadings belong to variates of variance one,
    weights to scores that are `scale` times as long; `own` says that source and target are the same
    view.
    """
    variates = source.weights / scale
    # Under a ridge the covariance of the variates is not the identity.
    covariance = variates.T @ (source.std[:, None] * source.loadings)
    slopes = (target.loadings if own else target.cross_loadings) * target.std[:, None]
    return np.linalg.solve(covariance, slopes.T) / scale[:, None]


def _warn_of_quality(
    name: str,
    solution: CanonicalFit,
    n_rows: tuple[int, int],
    ridges: tuple[float, float],
    *,
    by_class: bool,
    chosen: bool,
    streaming: bool,
) -> None:
    """Warn of directions that were left out, and of correlations that mean nothing."""
    ranks = (solution.x_rank, solution.y_rank)
    widths = (len(solution.x_mean), len(solution.y_mean))
    varying = [np.count_nonzero(std > 0) for std in (solution.x_std, solution.y_std)]
    warn_of_constant_features(solution.x_std == 0, "X")
    warn_of_constant_features(solution.y_std == 0, "y")
    if by_class:
        meaningless = any(rank >= n - 1 for rank, n in zip(ranks, n_rows, strict=True))
    else:
        meaningless = sum(ranks) >= min(n_rows)
    sizes = f"{min(n_rows)} rows with {widths[0]} + {widths[1]} features and"
    overfit = ""
    if meaningless and max(ridges) == 0:
        overfit = (
            f"{sizes} no ridge: some directions fit any data perfectly, and the training "
            f"correlations mean nothing. {_cure(by_class=by_class, chosen=chosen, ridge=False)}"
        )
    elif meaningless and solution.chance > 0 and _within_chance(solution):
        overfit = (
            f"{sizes} a ridge under which unrelated views would correlate as highly: the training "
            f"correlations mean nothing. {_cure(by_class=by_class, chosen=chosen, ridge=True)}"
        )
    if overfit:
        warn(f"{name}: {overfit}")
        # In the first batches of a stream, the remaining warnings would repeat this one.
        if streaming:
            return
    for view, rank, width, ridge in zip("Xy", ranks, varying, ridges, strict=True):
        if rank < width and ridge == 0:
            warn(
                f"{name}: `{view}` has rank {rank} with {width} features that vary; directions "
                "without variance of their own (collinear features, or too few rows) were "
                "left out.",
                LinAlgWarning,
            )
    if solution.ill_conditioned:
        warn(
            f"{name}: the moments are poorly conditioned and cost digits (features almost "
            "collinear, or first rows unlike the others); fit with solver='auto' on all rows, "
            "or set `reg`.",
            LinAlgWarning,
        )


def _cure(*, by_class: bool, chosen: bool, ridge: bool) -> str:
    """Return what tells more than correlations that mean nothing."""
    search = "ClusterCCACV" if by_class else "CCACV"
    if not ridge:
        how = "Give larger `regs`" if chosen else f"Set `reg`, or let {search} choose it"
        return f"{how}, and judge by `score` on other rows."
    score = "`best_score_` or `score`" if chosen else "`score`"
    choice = "" if chosen else f" ({search} chooses the ridge by it)"
    test = "skcca.inspection.permutation_test_correlations"
    if by_class:
        test = "permuting the labels, sklearn.model_selection.permutation_test_score"
    return f"Judge by {score} on other rows{choice}, or test by {test}."


def _within_chance(solution: CanonicalFit) -> bool:
    """Whether the largest singular value is no more than that of unrelated views.

    The odds of a singular value, s / (1 - s), vary by less than a tenth among unrelated views.
    """
    s, chance = float(solution.singular_values.max()), min(solution.chance, 1.0)
    return s * (1 - chance) <= 1.1 * chance * (1 - s)
