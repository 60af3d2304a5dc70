"""The two-view template: check, pair, solve, assign.

A subclass says how a view becomes features and weights (`_fit_views`) and how new rows are
projected (`_project`); the pairing is a second, independent choice (`ClassPairedMixin`). What
scikit-learn and the two-view contract ask for besides stands here once.

A fit writes on a draft, a copy that shares the attributes of the estimator, and ends in one
assignment. A fit that fails or is interrupted therefore leaves the estimator as it was.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcca._core.arrays import check_aligned, to_namespace_of
from skcca._core.compat import (
    Interval,
    StrOptions,
    _fit_context,
    bind_draft,
    documented,
    draft_of,
    in_container,
    rng_from,
    snapshot_of,
    to_numpy,
    validate_parameter_constraints,
)
from skcca._core.directions import CanonicalFit, Directions, pair_correlations
from skcca._core.pairs import Labels, Pairing, Pairs, TrainingData, Weights, instance_pairs
from skcca._core.types import LabelsLike, RandomStateLike, ViewLike, WeightsLike
from skcca._core.warnings import warn
from skcca.views._arguments import (
    check_per_view_parameters,
    check_same_rows,
    check_second_view_is_no_labels,
    check_weights,
    drop_zero_weight_rows,
)
from skcca.views._checks import check_first_view, check_second_view, separate_views
from skcca.views._container import Views, check_view_names, share_index
from skcca.views._labels import encode_labels


@documented
class TwoViewTransformer(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
    auto_wrap_output_keys=None,  # type: ignore[call-arg]  # scikit-learn has no types
):
    """Base class of the estimators that learn one space for two views."""

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "component_scaling": [StrOptions({"unit", "correlation"})],
    }
    _class_paired: ClassVar[bool] = False
    # Whether the solution of k components is the first k of any larger one.
    _nested: ClassVar[bool] = False
    # Whether there are at most as many components as full class pairs have dimensions.
    _bounded_by_classes: ClassVar[bool] = True
    # Whether sparse matrices, Dask arrays and arrays of other namespaces are used as they are.
    _native_input: ClassVar[bool] = False

    # Requested by default, so that routing needs no set_fit_request.
    __metadata_request__fit: ClassVar[dict] = {"labels": True, "sample_weight": True}
    __metadata_request__score: ClassVar[dict] = {"labels": True, "sample_weight": True}

    # Parameters and attributes of every subclass
    n_components: int | None
    component_scaling: str
    n_features_in_: int
    n_features_y_in_: int

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # scikit-learn would wrap neither `Views` nor the second of a pair; `_wrap` does.
        super().__init_subclass__(**kwargs | {"auto_wrap_output_keys": None})
        cls._sklearn_auto_wrap_output_keys = {"transform"}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
    ) -> Self:
        """Learn the projections of both views.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view. Beside a `Views` it holds the labels, which class-paired estimators use and
            the others leave to a later step.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            One class per row (ints, strings, bools), a binary indicator matrix of tags, or a matrix
            of memberships, floats of at least 0. A class may be missing (None, NaN, ``pd.NA`` or
            masked) where `instance_weight` is above 0: such a row has its own pair alone, as a row
            of zeros has. Class-paired estimators also take a tuple ``(labels_x, labels_y)`` for
            unpaired views with row counts of their own. Instance-paired estimators check and ignore
            them.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows; their scale does not matter. A tuple of two beside
            unpaired labels.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If rows do not match, a value is not finite, labels are given twice or continuous, all
            are missing, or some where rows have no pair of their own, or no direction is left.

        Warns
        -----
        UserWarning
            If fewer components are found than were asked for, if a class-paired estimator gets no
            labels, or if `y` looks like labels.
        """
        self._check_settings()
        fitted = draft_of(self)
        data = fitted._check_training(X, y, labels, sample_weight)
        rng = self._rng()
        fitted._check_classes(data.labels)
        pairs = fitted._make_pairs(data.labels, data.weights, rng)
        fitted._fit_views(data, pairs, rng)
        bind_draft(self, fitted)
        return self

    def fit_transform(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
    ) -> ViewLike:
        """Fit, then return what ``transform(X)`` returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
        y : array-like, default=None
        labels : array-like, default=None
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components) or Views
            Scores of the first view alone, because a pair would break the next step of a pipeline;
            of both views, as `Views`, where `X` is one.
        """
        return self.fit(X, y, labels=labels, sample_weight=sample_weight).transform(X)

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        """Solve for both views, and set the fitted attributes."""
        raise NotImplementedError

    def _project(self, V: ViewLike, side: str) -> ViewLike:
        """Return the scores of checked rows of one view, "x" or "y"."""
        raise NotImplementedError

    @property
    def _name(self) -> str:
        """The name in messages: that of the search, of a model that a search fits."""
        return vars(self).get("_search_name", type(self).__name__)

    def _rng(self) -> np.random.Generator:
        return rng_from(getattr(self, "random_state", None))

    def _constrained_params(self) -> dict[str, Any]:
        # Subclasses of users need not have all parameters in their constructor.
        return {name: getattr(self, name) for name in sorted(self._parameter_constraints)}

    def _validate_params(self) -> None:
        # scikit-learn's own method inspects the signature of the constructor at every fit.
        validate_parameter_constraints(
            self._parameter_constraints, self._constrained_params(), type(self).__name__
        )

    def _check_settings(self) -> None:
        """Refuse parameters that contradict each other, before any data are read."""
        check_per_view_parameters(
            type(self).__name__, self._constrained_params(), self._parameter_constraints
        )

    def _check_training(
        self,
        X: ViewLike,
        y: ViewLike,
        labels: LabelsLike,
        sample_weight: WeightsLike,
        *,
        reset: bool = True,
        batch: bool = False,
    ) -> TrainingData:
        """Validate the arguments of a fit, and set what it learns of the input.

        Without `reset` the data must fit what was seen before. A batch of `partial_fit` may have
        one row alone, and its weights keep their scale.
        """
        name = type(self).__name__
        if isinstance(X, Views) and not reset:
            self._check_view_names(X)
        given = separate_views(
            name, X, y, labels, "fit(",
            class_paired=self._class_paired, sample_weight=sample_weight,
        )  # fmt: skip
        if given.y is None:
            raise ValueError(
                f"{name} requires y to be passed, but the target y is None; `y` is the second "
                "view: fit(X, y), or fit(Views(X, y))."
            )
        if given.labels is None and not isinstance(X, Views):
            check_second_view_is_no_labels(name, given.y)
        unpaired = isinstance(given.labels, tuple)
        if unpaired and not self._class_paired:
            raise ValueError(
                f"{name} pairs row i with row i, but labels=(labels_x, labels_y) describes "
                "unpaired views; ClusterCCA, ClusterKCCA and SupervisedDCCA pair such rows by "
                "class."
            )
        X, Y, labels = given.X, given.y, given.labels
        min_samples = 1 if batch else 2
        X = self._check_view(X, "x", reset=reset, min_samples=min_samples)
        Y = self._check_view(Y, "y", reset=reset, min_samples=min_samples)
        Y = to_namespace_of(Y, X)
        if hasattr(X, "dask") != hasattr(Y, "dask"):
            raise ValueError(
                f"{name}: one view is a Dask array and the other is not; make both Dask arrays: "
                "dask.array.from_array(y, chunks)."
            )
        n_x, n_y = X.shape[0], Y.shape[0]
        if not unpaired:
            check_same_rows(name, X, Y)
        members = None if labels is None else encode_labels(labels, n_x, n_y, name)
        weights = check_weights(sample_weight, n_x, n_y, unpaired=unpaired, relative=not batch)
        if reset:
            self.__dict__.pop("view_names_in_", None)
            if given.names is not None:
                self.view_names_in_ = given.names
        data = TrainingData(X, Y, members if self._class_paired else None, weights)
        self._check_labels(data.labels, weights)
        if self._keeps_zero_weight_rows or hasattr(X, "dask"):
            return data
        return drop_zero_weight_rows(data)

    def _check_view(self, V: ViewLike, side: str, *, reset: bool, min_samples: int = 1) -> ViewLike:
        check = check_first_view if side == "x" else check_second_view
        return check(self, V, native=self._native_input, reset=reset, min_samples=min_samples)

    def _check_view_names(self, views: Views) -> None:
        """Refuse a `Views` that does not hold two views, or not those of the fit in their order."""
        name = type(self).__name__
        check_view_names(name, views, getattr(self, "view_names_in_", None))
        if len(views.names) != 2:
            raise ValueError(
                f"{name} projects two views; got {views!r}. A view that is not at hand is None: "
                "Views(X, None)."
            )

    def _check_namespace(self, X: ViewLike, method: str) -> None:
        """Refuse a first view of another array namespace than that of `fit`."""

    def _check_classes(self, labels: Labels | None, *, batch: bool = False) -> None:
        """Set `classes_`, or forget those of an earlier fit."""
        self.__dict__.pop("classes_", None)

    def _check_labels(self, labels: Labels | None, weights: Weights) -> None:
        """Refuse labels that the pairing cannot use."""

    def _pairing(self) -> Pairing:
        return Pairing(instance_weight=1.0)

    def _make_pairs(
        self, labels: Labels | None, weights: Weights, rng: np.random.Generator
    ) -> Pairs:
        self._check_labels(labels, weights)
        pairs = self._pairing()(labels, weights, rng)
        if not pairs.total > 0:
            reason = (
                "every row has weight zero"
                if labels is None
                else "the two views share no class; check that both label arrays use the same names"
            )
            raise ValueError(f"{self._name}: the rows form no pair: {reason}.")
        return pairs

    @property
    def _keeps_zero_weight_rows(self) -> bool:
        return False

    def _assign_directions(self, solution: CanonicalFit | Directions) -> None:
        """Set the fitted attributes that all feature maps share."""
        rho = solution.correlations
        scale = rho if self.component_scaling == "correlation" else np.ones(len(rho))
        self.correlations_ = rho
        self.singular_values_ = solution.singular_values
        self.n_components_ = self._n_features_out = len(rho)
        self.x_weights_, self.y_weights_ = solution.x_weights * scale, solution.y_weights * scale
        self.x_loadings_, self.y_loadings_ = solution.x_loadings, solution.y_loadings
        self.x_rank_, self.y_rank_ = solution.x_rank, solution.y_rank
        self.solver_ = solution.solver
        if self.n_components is not None and self.n_components > self.n_components_:
            reasons = []
            if self.x_rank_ is not None:
                reasons.append(f"ranks {self.x_rank_} and {self.y_rank_}")
            if self._class_paired and self._bounded_by_classes:
                reasons.append("full class pairs give at most n_classes - 1")
            why = f" ({'; '.join(reasons)})" if reasons else ""
            warn(
                f"{self._name}: `n_components`={self.n_components}, but the data support "
                f"{self.n_components_}{why}; further directions would be arbitrary and are left "
                "out. See `n_components_`."
            )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the first view's scores: the lowercase class name and a number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the names of the first view; those of both views, one after the other,
            as a `ViewTransformer` gives them, are as good.

        Returns
        -------
        names : ndarray of str
            One name per component.
        """
        check_is_fitted(self)
        width = self.n_features_in_ + self.n_features_y_in_
        both = input_features is not None and len(input_features) == width
        return super().get_feature_names_out(None if both else input_features)

    def transform(self, X: ViewLike, y: ViewLike = None) -> Any:
        """Project one view or both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views; a member of the `Views` may be None.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), tuple of two, or Views
            Scores of the first view; of both when `y` is given; a `Views` for a `Views`.

        Raises
        ------
        ValueError
            If the input does not fit what was seen in `fit`; the message names the right call.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        self._check_namespace(X, "transform")
        name = type(self).__name__
        if isinstance(X, Views):
            if y is not None:
                raise ValueError(
                    f"{name}: a second view was given beside a Views, which holds both: "
                    "transform(Views(X, y))."
                )
            self._check_view_names(X)
            scores = [
                None if V is None else self._scores_of(V, side)
                for V, side in zip(X, "xy", strict=True)
            ]
            return X._replace(scores)
        if isinstance(y, Views):
            raise ValueError(f"{name}: a Views comes alone: transform(Views(X, y)).")
        if X is None:
            raise ValueError(
                f"{name}: `X` is None; the second view alone is transform_y(y), or "
                "transform(Views(None, y))."
            )
        if y is None:
            return self._scores_of(X, "x")
        V = self._check_view(X, "x", reset=False)
        W = self._check_view(y, "y", reset=False)
        check_aligned(name, X=X, y=y)
        check_same_rows(name, V, W)
        Z = self._wrap(self._project(V, "x"), X, "x")
        return tuple(share_index([Z, self._wrap(self._project(W, "y"), y, "y")], [X, y]))

    def transform_y(self, y: ViewLike) -> ViewLike:
        """Project the second view alone, as `transform` does the first.

        Parameters
        ----------
        y : array-like of shape (n_samples, n_features_y)
            Second view.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Its scores.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        if isinstance(y, Views):
            raise ValueError(
                f"{type(self).__name__}: transform_y takes the second view alone; both views are "
                "transform(Views(X, y)), the second of a Views is transform_y(list(views)[1])."
            )
        return self._scores_of(y, "y")

    def _scores_of(self, V: ViewLike, side: str) -> ViewLike:
        return self._wrap(self._project(self._check_view(V, side, reset=False), side), V, side)

    def _wrap(self, Z: ViewLike, original: ViewLike, side: str) -> ViewLike:
        """Return finite scores in the container that `set_output` asks for."""
        if hasattr(Z, "dask"):
            # The scores of a Dask array are not computed yet.
            return Z
        if not np.isfinite(to_numpy(Z)).all():
            raise ValueError(
                f"{type(self).__name__}: scores of `{'X' if side == 'x' else 'y'}` leave the range "
                f"of {Z.dtype}; its rows are far outside of what was seen in fit."
            )
        names = self.get_feature_names_out()
        if side == "y":
            prefix = type(self).__name__.lower()
            names = np.array([f"{prefix}_y{i}" for i in range(Z.shape[1])], dtype=object)
        return in_container(self, Z, original, names)

    def score(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
    ) -> float:
        """Return the sum of the correlations of the given rows' variates.

        The projection is that of the training rows, so that held-out rows give the held-out total
        correlation; a mean would always favour one component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
        y : array-like of shape (n_samples, n_features_y), default=None
        labels : array-like, default=None
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`; with labels, class-paired estimators correlate over class pairs, blended
            with own pairs by their `instance_weight`, which this score therefore cannot choose.

        Returns
        -------
        score : float
            Between ``-n_components_`` and ``n_components_``; a variate without variance counts 0.

        Raises
        ------
        ValueError
            If there are fewer than 3 rows, or the input does not fit what was seen in `fit`.

        Warns
        -----
        UserWarning
            If no row has a label, so that the pairs are those of the rows.
        """
        self = snapshot_of(self)
        check_is_fitted(self)
        name = type(self).__name__
        if isinstance(X, Views):
            self._check_view_names(X)
        X, y, labels, _ = separate_views(
            name, X, y, labels, "score(",
            class_paired=self._class_paired, sample_weight=sample_weight,
        )  # fmt: skip
        if X is None or y is None:
            raise ValueError(f"{name}: score needs both views: score(X, y) or score(Views(X, y)).")
        V, W = self._check_view(X, "x", reset=False), self._check_view(y, "y", reset=False)
        n_x, n_y = V.shape[0], W.shape[0]
        if min(n_x, n_y) < 3:
            raise ValueError(
                f"{name}: score needs 3 rows at least; got {min(n_x, n_y)}. "
                "Two points always correlate perfectly."
            )
        unpaired = self._class_paired and isinstance(labels, tuple)
        if not unpaired:
            check_same_rows(name, V, W)
        weights = check_weights(sample_weight, n_x, n_y, unpaired=unpaired)
        pairs: Pairs = instance_pairs(weights.x)
        if self._class_paired and labels is not None:
            members = encode_labels(labels, n_x, n_y, name)
            pairs = self._make_pairs(members, weights, self._rng())
        U, Z = to_numpy(self._project(V, "x")), to_numpy(self._project(W, "y"))
        if not (np.isfinite(U).all() and np.isfinite(Z).all()):
            raise ValueError(
                f"{name}: the scores are not finite, because a view holds NaN or infinity, or rows "
                "far outside of what was seen in fit."
            )
        return float(pair_correlations(U, Z, pairs).sum())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class ClassPairedMixin:
    """The class-paired half of the two axes: its parameters, and what its labels must be."""

    _class_paired: ClassVar[bool] = True
    _pairing_constraints: ClassVar[dict] = {
        "instance_weight": [Interval(Real, 0, 1, closed="both")],
        "pair_fraction": [Interval(Real, 0, 1, closed="right")],
        "pairs_per_sample": [Interval(Integral, 1, None, closed="left"), None],
        "pair_weight": [StrOptions({"pair", "row"})],
        "random_state": ["random_state", np.random.Generator],
    }

    # Parameters and attributes of the estimator
    _name: str
    instance_weight: float
    pair_fraction: float
    pairs_per_sample: int | None
    pair_weight: str
    random_state: RandomStateLike

    def _pairing(self) -> Pairing:
        return Pairing(
            self.instance_weight, self.pair_fraction, self.pairs_per_sample, self.pair_weight
        )

    def _check_labels(self, labels: Labels | None, weights: Weights) -> None:
        if labels is None:
            return
        name = self._name
        if self.instance_weight == 0 and not labels.multilabel:
            n_unknown = int(np.count_nonzero((weights.x > 0) & ~labels.has_label))
            if n_unknown:
                raise ValueError(
                    f"{name}: `labels` holds {n_unknown} missing values (None, NaN or masked), and "
                    "with `instance_weight`=0 such rows have no pair. Set instance_weight above 0, "
                    "the share of the rows' own pairs, or drop those rows from both views."
                )
        if self.instance_weight > 0 and labels.unpaired:
            raise ValueError(
                f"{name}: `instance_weight`={self.instance_weight} needs rows that are paired, but "
                "labels=(labels_x, labels_y) describes unpaired views; set instance_weight=0."
            )
        sampled = self.pair_fraction < 1 or self.pairs_per_sample is not None
        if sampled and labels.multilabel:
            raise ValueError(
                f"{name}: `pair_fraction` and `pairs_per_sample` sample within one class per row; "
                "with a matrix of labels use all pairs (pair_fraction=1.0, pairs_per_sample=None)."
            )

    def _make_pairs(
        self, labels: Labels | None, weights: Weights, rng: np.random.Generator
    ) -> Pairs:
        # The template that the mixin stands before is unknown to type checkers.
        pairs: Pairs = super()._make_pairs(labels, weights, rng)  # type: ignore[misc]
        if labels is not None and 0 < self.instance_weight < 1:
            if not (weights.x @ labels.x) @ (weights.y @ labels.y) > 0:
                warn(
                    f"{self._name}: none of {len(weights.x)} rows has a label, so that "
                    "their pairs are the rows' own alone."
                )
        return pairs

    def _check_classes(self, labels: Labels | None, *, batch: bool = False) -> None:
        """Set `classes_`; refuse or report labels that leave rows without a partner.

        A batch may by chance have no label, where rows have pairs of their own.
        """
        self.__dict__.pop("classes_", None)
        name = self._name
        if labels is None:
            self._warn_of_no_labels()
            return
        in_x, in_y = labels.x.sum(axis=0) > 0, labels.y.sum(axis=0) > 0
        shared = int(np.count_nonzero(in_x & in_y))
        least = 2 if self.instance_weight == 0 else 0 if batch else 1
        if not in_x.any() and least > 0:
            raise ValueError(
                f"{name}: none of {labels.x.shape[0]} rows has a label: `labels` holds missing "
                "values or zeros alone. Without labels, or with CCA, the pairs are those of the "
                "rows."
            )
        if shared < least:
            raise ValueError(
                f"{name}: `labels` must hold at least 2 classes in both views; got {shared} class. "
                "Without labels, or with CCA, the pairs are those of the rows."
            )
        self.classes_ = labels.classes
        for membership, partner, view in ((labels.x, in_y, "X"), (labels.y, in_x, "y")):
            alone = int(np.count_nonzero(membership @ partner.astype(float) == 0))
            if alone and self.instance_weight == 0:
                warn(
                    f"{name}: {alone} of {membership.shape[0]} rows of `{view}` share no class "
                    "with the other view and take no part in the fit."
                )

    def _warn_of_no_labels(self) -> None:
        warn(
            f"{self._name}: no labels were given, so each row is its own class and the "
            "pairs are those of the rows; pass labels=, or fit(Views(X, y), labels)."
        )
