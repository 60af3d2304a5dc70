"""The two-view template: validate, choose the pairs, fit, project.

A subclass says how a view becomes features and weights (`_fit_views`) and how new rows are
projected (`_project`); the pairing is a second, independent choice (`ClassPairedMixin`). Everything
that scikit-learn and the two-view contract ask for besides stands here once.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skcca._core.compat import (
    ContainerOutputMixin,
    Interval,
    StrOptions,
    _fit_context,
    rng_from,
    to_numpy,
)
from skcca._core.directions import Directions, pair_correlations
from skcca._core.pairs import Labels, Pairing, Pairs, TrainingData, Weights, instance_pairs
from skcca._core.standardize import component_signs, loadings
from skcca._core.warnings import warn
from skcca.views._arguments import (
    check_fit,
    check_pairs_of_values,
    check_same_rows_and_index,
    check_weights,
)
from skcca.views._checks import check_first_view, check_second_view
from skcca.views._container import Views
from skcca.views._labels import encode_labels

Learn = Callable[[TrainingData, Pairs, np.random.Generator], None]


class TwoViewTransformer(ClassNamePrefixFeaturesOutMixin, ContainerOutputMixin, BaseEstimator):
    """Base class of the estimators that learn one space for two views."""

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "component_scaling": [StrOptions({"unit", "correlation"})],
    }
    _class_paired: ClassVar[bool] = False
    # Whether sparse matrices, Dask arrays and arrays of other namespaces are used as they are.
    _native_input: ClassVar[bool] = False

    # Requested by default, so that routing needs no set_fit_request.
    __metadata_request__fit: ClassVar[dict] = {"labels": True, "sample_weight": True}
    __metadata_request__score: ClassVar[dict] = {"labels": True, "sample_weight": True}

    # Fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, labels: Any = None, sample_weight: Any = None) -> Self:
        """Learn the projections of both views.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view. Beside a `Views` it holds the labels, which class-paired estimators use and
            the others leave to a later step.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            One class per row (ints, strings, bools), or a binary indicator matrix of tags.
            Class-paired estimators also take a tuple ``(labels_x, labels_y)`` for unpaired views
            with row counts of their own. Instance-paired estimators check and ignore them.
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
            If rows do not match, a value is not finite, labels are given twice, missing or
            continuous, or no direction is left.

        Warns
        -----
        UserWarning
            If fewer components are found than were asked for, if a class-paired estimator gets no
            labels, or if `y` looks like labels.
        """
        return self._fit(X, y, labels, sample_weight)

    def _fit(
        self,
        X: Any,
        y: Any,
        labels: Any,
        sample_weight: Any,
        learn: Learn | None = None,
        *,
        reset: bool = True,
    ) -> Self:
        """Fit; a subclass whose `fit` takes more says by `learn` what comes of the checked data.

        Without `reset` the data must fit what was seen before.
        """
        check_pairs_of_values(self)
        before = dict(self.__dict__)
        try:
            data = check_fit(
                self, X, y, labels, sample_weight, class_paired=self._class_paired, reset=reset
            )
            rng = rng_from(getattr(self, "random_state", None))
            self.__dict__.pop("classes_", None)
            if self._class_paired:
                self._check_classes(data)
            pairs = self._pairs(data.labels, data.weights, rng)
            (learn or self._fit_views)(data, pairs, rng)
        except BaseException:
            # A fit that failed must not leave new means beside old weights.
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def fit_transform(
        self, X: Any, y: Any = None, labels: Any = None, sample_weight: Any = None
    ) -> Any:
        """Fit, then return what ``transform(X)`` returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like, default=None
            Second view; labels beside a `Views`.
        labels : array-like, default=None
            Class or tag labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components) or Views
            Scores of the first view alone, because a pair would break the next step of a pipeline;
            of both views, as `Views`, where `X` is one.
        """
        return self.fit(X, y, labels=labels, sample_weight=sample_weight).transform(X)

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        raise NotImplementedError

    def _project(self, V: np.ndarray, side: str) -> np.ndarray:
        raise NotImplementedError

    def _check_view(self, V: Any, side: str, *, reset: bool, least: int = 1) -> Any:
        check = check_first_view if side == "x" else check_second_view
        return check(self, V, reset=reset, least=least)

    def _require_namespace(self, X: Any, method: str) -> None:
        """Refuse a first view of another array namespace than that of `fit`."""

    def _pairs(self, labels: Labels | None, weights: Weights, rng: np.random.Generator) -> Pairs:
        self._check_labels(labels)
        pairs = self._pairing()(labels, weights, rng)
        if not pairs.total > 0:
            raise ValueError(
                f"{type(self).__name__}: the rows form no pair, because the two views share no "
                "class; check that both label arrays use the same names."
            )
        return pairs

    def _pairing(self) -> Pairing:
        return Pairing(instance_weight=1.0)

    def _check_labels(self, labels: Labels | None) -> None:
        """Refuse labels that the pairing cannot use."""

    @property
    def _keeps_weightless_rows(self) -> bool:
        """Whether rows of weight zero must stay in the data."""
        return False

    def _set_directions(self, found: Directions) -> None:
        """Set the fitted attributes that all feature maps share."""
        self.correlations_ = found.correlations
        self.singular_values_ = found.singular_values
        self.n_components_ = self._n_features_out = len(found.correlations)
        scaling = self.component_scaling == "correlation"
        factor = found.correlations if scaling else np.ones(self.n_components_)
        self.x_weights_ = found.x_weights * factor
        self.y_weights_ = found.y_weights * factor
        self.x_loadings_, self.y_loadings_ = found.x_loadings, found.y_loadings
        self.x_rank_, self.y_rank_ = found.x_rank, found.y_rank
        self.solver_ = found.solver
        if self.n_components is not None and self.n_components > self.n_components_:
            reasons = []
            if self.x_rank_ is not None:
                reasons.append(f"ranks {self.x_rank_} and {self.y_rank_}")
            if self._class_paired:
                reasons.append("full class pairs give at most n_classes - 1")
            why = f" ({'; '.join(reasons)})" if reasons else ""
            warn(
                f"{type(self).__name__}: `n_components`={self.n_components}, but the data support "
                f"{self.n_components_}{why}; further directions would be arbitrary and are left "
                "out. See `n_components_`.",
            )

    def _set_loadings(self, X: np.ndarray, Y: np.ndarray, pairs: Pairs) -> None:
        """Correlate variates with the input features, and let those loadings fix the signs."""
        a, b = pairs.row_sums / pairs.total, pairs.column_sums / pairs.total
        x_loadings = loadings(X, self._project(X, "x"), a)
        y_loadings = loadings(Y, self._project(Y, "y"), b)
        signs = component_signs(x_loadings)
        self.x_loadings_, self.y_loadings_ = x_loadings * signs, y_loadings * signs
        self.x_weights_, self.y_weights_ = self.x_weights_ * signs, self.y_weights_ * signs

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

    # Projecting

    def transform(self, X: Any, y: Any = None) -> Any:
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
        check_is_fitted(self)
        self._require_namespace(X, "transform")
        name = type(self).__name__
        if isinstance(X, Views):
            if y is not None:
                raise ValueError(
                    f"{name}: a second view was given beside a Views, which holds both: "
                    "transform(Views(X, y))."
                )
            return self._transform_views(X)
        if isinstance(y, Views):
            raise ValueError(f"{name}: a Views comes alone: transform(Views(X, y)).")
        if X is None:
            raise ValueError(
                f"{name}: `X` is None; the second view alone is transform_y(y), or "
                "transform(Views(None, y))."
            )
        V = self._check_view(X, "x", reset=False)
        if y is None:
            return self._wrap(self._project(V, "x"), X, "x")
        W = self._check_view(y, "y", reset=False)
        check_same_rows_and_index(name, X, y, V, W)
        return (
            self._wrap(self._project(V, "x"), X, "x"),
            self._wrap(self._project(W, "y"), y, "y"),
        )

    def transform_y(self, y: Any) -> Any:
        """Project the second view alone.

        Parameters
        ----------
        y : array-like of shape (n_samples, n_features_y)
            Second view.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Its scores.

        Raises
        ------
        ValueError
            If `y` is a `Views`, or does not fit what was seen in `fit`.
        """
        check_is_fitted(self)
        if isinstance(y, Views):
            raise ValueError(
                f"{type(self).__name__}: transform_y takes the second view alone; both views are "
                "transform(Views(X, y)), the second of a Views is transform_y(list(views)[1])."
            )
        W = self._check_view(y, "y", reset=False)
        return self._wrap(self._project(W, "y"), y, "y")

    def _transform_views(self, views: Views) -> Views:
        members = self._two_members(views)
        scores = [
            None
            if V is None
            else self._wrap(self._project(self._check_view(V, side, reset=False), side), V, side)
            for V, side in zip(members, "xy", strict=True)
        ]
        return views._replace(scores)

    def _two_members(self, views: Views) -> list:
        fitted = getattr(self, "view_names_in_", None)
        if fitted is not None and views.named and tuple(views.names) != tuple(fitted):
            raise ValueError(
                f"{type(self).__name__} was fitted on the views {list(fitted)}; got "
                f"{list(views.names)}. Give the same names in the same order: "
                f"Views({', '.join(f'{n}=...' for n in fitted)})."
            )
        if len(views.names) != 2:
            raise ValueError(
                f"{type(self).__name__} projects two views; got {views!r}. "
                "A view that is not at hand is None: Views(X, None)."
            )
        return list(views)

    def _wrap(self, Z: Any, original: Any, side: str) -> Any:
        """Return finite scores in the container that `set_output` asks for."""
        if hasattr(Z, "dask"):
            return Z  # not computed yet
        if not np.isfinite(to_numpy(Z)).all():
            raise ValueError(
                f"{type(self).__name__}: scores of `{'X' if side == 'x' else 'y'}` leave the range "
                f"of {Z.dtype}; its rows are far outside of what was seen in fit."
            )
        names = self.get_feature_names_out()
        if side == "y":
            prefix = type(self).__name__.lower()
            names = np.array([f"{prefix}_y{i}" for i in range(Z.shape[1])], dtype=object)
        return self._in_container(Z, original, names)

    # Scoring

    def score(self, X: Any, y: Any = None, labels: Any = None, sample_weight: Any = None) -> float:
        """Return the sum of the correlations of the given rows' variates.

        The projection is that of the training rows, so that held-out rows give the held-out total
        correlation; a mean would always favour one component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view; labels beside a `Views`.
        labels : array-like, default=None
            With labels, class-paired estimators correlate over class pairs; a tuple
            ``(labels_x, labels_y)`` for unpaired views.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Between ``-n_components_`` and ``n_components_``; a variate without variance counts 0.

        Raises
        ------
        ValueError
            If there are fewer than 3 rows, or the input does not fit what was seen in `fit`.
        """
        check_is_fitted(self)
        name = type(self).__name__
        if isinstance(X, Views):
            if labels is not None and y is not None:
                raise ValueError(
                    f"{name}: labels were given twice, as `y` and as `labels`: "
                    "score(Views(X, y), labels)."
                )
            labels = y if labels is None else labels
            X, y = self._two_members(X)
        if X is None or y is None:
            raise ValueError(f"{name}: score needs both views: score(X, y) or score(Views(X, y)).")
        V, W = self._check_view(X, "x", reset=False), self._check_view(y, "y", reset=False)
        n_rows = min(V.shape[0], W.shape[0])
        if n_rows < 3:
            raise ValueError(
                f"{name}: score needs 3 rows at least; got {n_rows}. "
                "Two points always correlate perfectly."
            )
        unpaired = self._class_paired and isinstance(labels, tuple)
        if not unpaired:
            check_same_rows_and_index(name, X, y, V, W, labels=labels, sample_weight=sample_weight)
        weights = check_weights(sample_weight, V, W, unpaired=unpaired)
        pairs: Pairs = instance_pairs(weights.x)
        if self._class_paired and labels is not None:
            members = encode_labels(labels, V.shape[0], W.shape[0], name)
            rng = rng_from(getattr(self, "random_state", None))
            pairs = self._pairs(members, weights, rng)
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


# MERGED: _class_paired
# """The class-paired half of the two axes: its parameters, and what its labels must be."""


class ClassPairedMixin:
    """Pair every row with the rows of its class, by the pairing parameters of the estimator."""

    _class_paired: ClassVar[bool] = True
    _pairing_constraints: ClassVar[dict] = {
        "instance_weight": [Interval(Real, 0, 1, closed="both")],
        "pair_fraction": [Interval(Real, 0, 1, closed="right")],
        "pairs_per_sample": [Interval(Integral, 1, None, closed="left"), None],
        "pair_weight": [StrOptions({"pair", "row"})],
        "random_state": ["random_state", np.random.Generator],
    }

    # Parameters of the estimator
    instance_weight: float
    pair_fraction: float
    pairs_per_sample: int | None
    pair_weight: str

    def _pairing(self) -> Pairing:
        return Pairing(
            self.instance_weight, self.pair_fraction, self.pairs_per_sample, self.pair_weight
        )

    def _check_labels(self, labels: Labels | None) -> None:
        """Refuse labels that the pairing cannot use."""
        if labels is None:
            return
        name = type(self).__name__
        if self.instance_weight > 0 and labels.unpaired:
            raise ValueError(
                f"{name}: `instance_weight`={self.instance_weight} needs rows that are paired, but "
                "labels=(labels_x, labels_y) describes unpaired views; set instance_weight=0."
            )
        sampled = self.pair_fraction < 1 or self.pairs_per_sample is not None
        if sampled and labels.multilabel:
            raise ValueError(
                f"{name}: `pair_fraction` and `pairs_per_sample` sample within one class per row; "
                "with an indicator matrix use all pairs (pair_fraction=1.0, pairs_per_sample=None)."
            )

    def _check_classes(self, data: TrainingData) -> None:
        """Set `classes_`, and refuse or report labels that leave rows without a partner."""
        name, labels = type(self).__name__, data.labels
        if labels is None:
            self._warn_of_no_labels()
            return
        in_x, in_y = labels.x.sum(axis=0) > 0, labels.y.sum(axis=0) > 0
        shared = int(np.count_nonzero(in_x & in_y))
        if shared < (1 if self.instance_weight > 0 else 2):
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
                    "with the other view and take no part in the fit.",
                )

    def _warn_of_no_labels(self) -> None:
        warn(
            f"{type(self).__name__}: no labels were given, so each row is its own class and the "
            "pairs are those of the rows; pass labels=, or fit(Views(X, y), labels).",
        )
