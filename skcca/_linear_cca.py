"""The linear models behind `CCA` and `ClusterCCA`: fit at once or in batches, project, predict."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn import get_config
from sklearn.covariance import ledoit_wolf_shrinkage

from skcca._base import TwoViewTransformer
from skcca._core.arrays import follow, is_native, like, project, working_eps
from skcca._core.compat import Interval, StrOptions, _fit_context, array_namespace
from skcca._core.directions import CanonicalFit, NoDirection, canonical_fit, moment_fit
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.streaming import RunningSums, add_batch, check_same_classes, start_sums
from skcca._core.warnings import warn
from skcca._core.whitening import Options
from skcca._linear_prediction import PredictsViews
from skcca.views._arguments import check_fit, check_pairs_of_values, per_view


class LinearCCA(PredictsViews):
    """Identity feature map; the pairs are chosen by the subclass."""

    _parameter_constraints: ClassVar[dict] = {
        **TwoViewTransformer._parameter_constraints,
        "scale": ["boolean"],
        "reg": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), tuple],
        "solver": [StrOptions({"auto", "covariance", "svd"})],
    }
    _native_input: ClassVar[bool] = True

    __metadata_request__partial_fit: ClassVar[dict] = {"labels": True, "sample_weight": True}

    def _fit_views(self, data: TrainingData, pairs: Pairs, rng: np.random.Generator) -> None:
        X, Y = data.X, data.Y
        if hasattr(X, "dask") and self.solver == "svd":
            raise ValueError(
                f"{type(self).__name__}: `solver`='svd' decomposes the data in one place; of Dask "
                "arrays the moments alone travel: set solver='auto'."
            )
        ridges = tuple(_ridge(reg, V) for reg, V in zip(per_view(self.reg), (X, Y), strict=True))
        eps = tuple(working_eps(V.dtype) for V in (X, Y))
        found = canonical_fit(X, Y, pairs, self._options(ridges, eps))
        for name in ("_sums", "n_samples_seen_"):
            self.__dict__.pop(name, None)
        self._set_linear(found, (X.shape[0], Y.shape[0]), ridges)
        self._attributes_like(X)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        labels: Any = None,
        classes: Any = None,
        class_counts: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Learn from one more batch of rows; together the batches give what `fit` gives.

        Only sums are kept, so that any split into batches in any order gives the same answer. Every
        call ends with a new solution, whose cost grows with the features alone: batches of at least
        as many rows as features keep it a small part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            Rows of the first view, or of both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Rows of the second view; labels beside a `Views`.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            Class or tag labels of the rows, for class-paired estimators.
        classes : array-like of shape (n_classes,), default=None
            All classes that will come, at the first call. Without them new classes may come with
            any batch.
        class_counts : array-like of shape (n_classes,) or dict, default=None
            How many rows each class will have in all (their sum of weights, with weights), at the
            first call: an array in the order of `classes`, or a dict or Series from class to count.
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
            If the batch does not fit the ones before, pairs are to be sampled, which needs all rows
            at once, ``reg="auto"``, or a class has more rows than `class_counts` says.

        Warns
        -----
        UserWarning
            If the rows so far have no direction yet, the model then waits for more; or if `fit` was
            called before, which keeps no sums to go on from.
        scipy.linalg.LinAlgWarning
            If directions are left out that the moments cannot tell apart; the data themselves,
            which could, are gone.
        """
        check_pairs_of_values(self)
        name = type(self).__name__
        if "auto" in per_view(self.reg):
            raise ValueError(
                f"{name}: `reg`='auto' measures its shrinkage on all rows at once; set a number "
                "for partial_fit."
            )
        if self.solver == "svd":
            raise ValueError(
                f"{name}: `solver`='svd' decomposes the data, of which partial_fit keeps moments "
                "alone; set solver='auto'."
            )
        first = "_sums" not in vars(self)
        if first and hasattr(self, "n_components_"):
            warn(
                f"{name}: `fit` keeps no sums, so partial_fit starts anew and forgets its rows. "
                "Give all batches to partial_fit.",
            )
        before = dict(self.__dict__)
        try:
            if first:
                self._forget()
            batch = check_fit(
                self,
                X,
                y,
                labels,
                sample_weight,
                class_paired=self._class_paired,
                reset=first,
                batch=True,
            )
            self._check_labels(batch.labels)
            pairing = self._pairing()
            if first:
                if not self._class_paired:
                    classes = class_counts = None  # like the labels
                elif batch.labels is None:
                    self._warn_of_no_labels()
                self._sums = start_sums(name, pairing, batch, classes, class_counts)
            elif self._class_paired:
                check_same_classes(name, self._sums, batch, classes, class_counts)
            add_batch(name, self._sums, pairing, batch)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        self._solve(self._sums)  # which may warn; the batch has been taken in whole
        self._attributes_like(batch.X)
        return self

    def _forget(self) -> None:
        """Remove what was fitted."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)
        self.__dict__.pop("_sums", None)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_components_")  # batches may have given no direction yet

    def _solve(self, sums: RunningSums) -> None:
        """Set the fitted attributes from the sums so far."""
        self.n_samples_seen_ = sums.n_rows
        if sums.classes is not None:
            self.classes_ = sums.classes
        ridges = tuple(float(reg) for reg in per_view(self.reg))
        options = self._options(ridges, sums.eps)
        try:
            found = moment_fit(sums.moments(), sums.max_rank, options, forced=True)
        except NoDirection as error:
            seen = "" if sums.classes is None else f" of {len(sums.classes)} known classes"
            warn(
                f"{type(self).__name__}: the {sums.n_rows} rows so far{seen} have no direction "
                f"yet; they are kept, and the model waits for more. ({error})",
            )
            return
        found = found._replace(poor=found.poor or sums.far)
        self._set_linear(found, (sums.n_rows,) * 2, ridges)

    def _options(self, ridges: tuple, eps: tuple) -> Options:
        return Options(
            self.n_components,
            reg=ridges,
            scale=self.scale,
            solver=self.solver,
            eps=eps,
            exact=True,
        )

    def _set_linear(self, found: CanonicalFit, n_rows: tuple[int, int], ridges: tuple) -> None:
        self.x_mean_, self.y_mean_ = found.x_mean, found.y_mean
        self.x_std_, self.y_std_ = found.x_std, found.y_std
        self.x_cross_loadings_ = found.x_cross_loadings
        self.y_cross_loadings_ = found.y_cross_loadings
        for side in "xy":
            varying = np.count_nonzero(getattr(found, f"{side}_std"))
            for measure, loadings in (
                ("explained_variance_ratio", getattr(found, f"{side}_loadings")),
                ("redundancy", getattr(found, f"{side}_cross_loadings")),
            ):
                share = (loadings**2).sum(axis=0) / varying
                setattr(self, f"{side}_{measure}_", share)
        self._set_directions(found)
        self._report(found, n_rows, ridges)

    def _report(self, found: CanonicalFit, n_rows: tuple[int, int], ridges: tuple) -> None:
        """Warn of directions that were left out, and of correlations that mean nothing."""
        name = type(self).__name__
        ranks = (found.x_rank, found.y_rank)
        widths = (len(found.x_mean), len(found.y_mean))
        varying = [np.count_nonzero(std > 0) for std in (found.x_std, found.y_std)]
        meaningless = (
            sum(ranks) >= min(n_rows)
            if not self._class_paired or not hasattr(self, "classes_")
            else any(rank >= n - 1 for rank, n in zip(ranks, n_rows, strict=True))
        )
        if meaningless and 0 in ridges:
            warn(
                f"{name}: {min(n_rows)} rows with {widths[0]} + {widths[1]} features and no ridge: "
                "some directions fit any data perfectly, and the training correlations mean "
                "nothing. Set `reg`, or judge by `score` on other rows.",
            )
            if hasattr(self, "_sums"):
                return  # so early in a stream the rest follows from it
        for view, rank, width, ridge in zip("Xy", ranks, varying, ridges, strict=True):
            if rank < width and ridge == 0:
                warn(
                    f"{name}: `{view}` has rank {rank} with {width} features that vary; directions "
                    "without variance of their own (collinear features, or too few rows) were "
                    "left out.",
                    LinAlgWarning,
                )
        if found.poor:
            warn(
                f"{name}: the moments are poorly conditioned and cost digits (features almost "
                "collinear, or first rows unlike the others); fit with solver='auto' on all rows, "
                "or set `reg`.",
                LinAlgWarning,
            )

    # Projecting

    def _project(self, V: Any, side: str) -> Any:
        return project(V, getattr(self, f"{side}_mean_"), getattr(self, f"{side}_weights_"))

    def _check_view(self, V: Any, side: str, *, reset: bool, least: int = 1) -> Any:
        V = super()._check_view(V, side, reset=reset, least=least)
        follows = side == "y" and not reset and get_config()["array_api_dispatch"]
        return follow(V, self.x_mean_) if follows and hasattr(self, "x_mean_") else V

    def _require_namespace(self, X: Any, method: str) -> None:
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

    def _attributes_like(self, X: Any) -> None:
        """Keep fitted arrays where the data are, as scikit-learn does under array API dispatch."""
        for name, value in vars(self).items():
            if name.endswith("_") and isinstance(value, np.ndarray) and value.dtype == np.float64:
                setattr(self, name, like(value, X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags


def _ridge(reg: Any, V: Any) -> float:
    """Return the ridge of one view; "auto" is the shrinkage of Ledoit and Wolf, put as a ridge.

    (1 - s) S + s m I has the directions of S + s / (1 - s) m I, with m the mean variance.
    """
    if isinstance(reg, str) and reg == "auto":
        if not isinstance(V, np.ndarray):
            raise ValueError(
                f"`reg`='auto' measures its shrinkage on a NumPy array; got {type(V).__name__}. "
                "Set a number, or give V.toarray()."
            )
        std = V.std(axis=0, dtype=float)
        standardised = (V - V.mean(axis=0, dtype=float)) / np.where(std > 0, std, 1.0)
        shrinkage = ledoit_wolf_shrinkage(standardised, assume_centered=True)
        return float(shrinkage / max(1 - shrinkage, np.finfo(float).eps))
    return float(reg)
