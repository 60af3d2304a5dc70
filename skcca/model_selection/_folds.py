"""Rows of two views and their labels, taken fold by fold in the form in which they were given."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from numbers import Integral
from typing import NamedTuple, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skcca._base import TwoViewTransformer
from skcca._core.arrays import check_aligned
from skcca._core.compat import _routing_enabled, in_turn, rng_from, to_numpy
from skcca._core.directions import pair_correlations
from skcca._core.pairs import Pairs, Weights, instance_pairs
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca._core.warnings import quiet_fit
from skcca.model_selection._partly_labelled import PartlyLabelledKFold
from skcca.views._checks import is_label_pair, separate_views
from skcca.views._container import Views
from skcca.views._labels import check_entries, encode_labels, is_missing, to_entries
from skcca.views._projection import final_model, project, unwrap

Array = np.ndarray
Fold: TypeAlias = tuple[Array, Array]  # rows to fit on, rows held out

# What scikit-learn's `check_cv` takes.
Splitter: TypeAlias = int | BaseCrossValidator | Iterable | None


class PairedRows(NamedTuple):
    """Paired rows of two views with their labels, and the form in which they were given."""

    views: Views
    labels: Array | None
    groups: Array | None  # for the splitter
    in_views: bool  # as one `Views`, rather than as two arrays
    pairwise: bool  # square kernels
    class_paired: bool

    @classmethod
    def of(
        cls,
        estimator: Estimator,
        X: ViewLike,
        y: ViewLike,
        labels: LabelsLike,
        caller: str,
        groups: ArrayLike = None,
        *,
        checked: bool = False,
    ) -> PairedRows:
        """Return the rows after checking them as `fit` of the estimator does, unless it has."""
        model, in_views = final_model(estimator, fitted=False), isinstance(X, Views)
        class_paired = isinstance(model, TwoViewTransformer) and model._class_paired
        given = separate_views(caller, X, y, labels, f"{caller}(model, ", class_paired=class_paired)
        check_aligned(caller, X=X, y=y, labels=given.labels, groups=groups)
        # Beside a Views `y` is passed on to whatever the estimator makes of it.
        classes = y if in_views and labels is None else given.labels
        if is_label_pair(classes):
            raise ValueError(
                f"{caller}: labels=(labels_x, labels_y) describes unpaired views, whose rows "
                "cannot be split together; cross-validation takes paired rows."
            )
        # An estimator of this library has more precise messages than those below.
        if isinstance(estimator, TwoViewTransformer) and not checked:
            clone(estimator)._check_training(X, y, labels, None)
        if given.y is None:
            raise ValueError(f"{caller}: `y`, the second view, is None; or pass Views(X, Y).")
        views = X if in_views else Views(X, _with_columns(given.y))
        if groups is not None:
            groups = check_entries(groups, len(views), "groups", "X", caller)
        if classes is not None:
            classes = to_entries(classes)
            if len(classes) != len(views):
                raise ValueError(
                    f"{caller}: `labels` has {len(classes)} entries but `X` has {len(views)} rows."
                )
        if labels is not None and isinstance(unwrap(estimator, fitted=False), Pipeline):
            # With routing, steps that ask for labels get them.
            if not (in_views or _routing_enabled()):
                raise ValueError(
                    f"{caller}: a Pipeline passes labels beside arrays on only where metadata "
                    f"routing is enabled; give {caller}(model, Views(X, Y), labels)."
                )
        pairwise = len(views.shape) == 2 and get_tags(estimator).input_tags.pairwise
        return cls(views, classes, groups, in_views, pairwise, class_paired)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.views)

    def _part(self, rows: Array, train: Array) -> Views:
        # The columns of a kernel are the rows of the fit.
        return self.views[np.ix_(rows, train) if self.pairwise else rows]

    def take(self, rows: Array, train: Array) -> tuple[tuple, dict]:
        """Return the arguments of `fit` or `score` for some rows of a model of the train rows."""
        part = self._part(rows, train)
        labels = None if self.labels is None else self.labels[rows]
        if self.in_views:
            return (part,) if labels is None else (part, labels), {}
        return tuple(part), {} if labels is None else {"labels": labels}

    def fit(self, estimator: Estimator, train: Array) -> Estimator:
        """Return a clone fitted on some rows, without warnings that repeat those of all rows."""
        args, kwargs = self.take(train, train)
        if self.groups is not None:
            kwargs |= groups_for_fit(estimator, self.groups[train])
        return quiet_fit(clone(estimator), *args, **kwargs)

    def project(
        self, fitted: Estimator, rows: Array, train: Array, caller: str
    ) -> tuple[Array, Array]:
        """Return both projections of some rows by a model of the train rows."""
        part = self._part(rows, train)
        X, y = (part, None) if self.in_views else part
        Zx, Zy = project(fitted, X, y, caller)
        return np.asarray(to_numpy(Zx)), np.asarray(to_numpy(Zy))

    def correlations(self, fitted: Estimator, test: Array, train: Array, caller: str) -> Array:
        """Return the correlation of each component over the pairs of rows that were left out."""
        U, V = (Z.astype(float) for Z in self.project(fitted, test, train, caller))
        return pair_correlations(U, V, self._pairs(final_model(fitted), test))

    def _pairs(self, model: Estimator, rows: Array) -> Pairs:
        """Return the pairs of some rows, within classes as the model pairs them if it does."""
        weights = np.ones(len(rows))
        # A search may have chosen a model of the other kind than the one that it was given.
        if self.labels is None or not getattr(model, "_class_paired", False):
            return instance_pairs(weights)
        name, n = type(model).__name__, len(rows)
        labels = encode_labels(self.labels[rows], n, n, name)
        rng = rng_from(getattr(model, "random_state", None))
        return model._make_pairs(labels, Weights(weights, weights), rng)

    def scored_folds(self, cv: Splitter, caller: str) -> list[tuple[Array, Array]]:
        """Return folds whose held-out rows are enough for a correlation."""
        folds = self.folds(cv)
        if not folds:
            raise ValueError(f"{caller}: `cv` has no fold; give one at least.")
        smallest = min(len(test) for _, test in folds)
        if smallest < 3:
            raise ValueError(
                f"{caller}: `cv` holds out {smallest} row{'s' * (smallest > 1)} at a time, and a "
                "correlation needs 3 at least; use fewer folds."
            )
        return folds

    def folds(self, cv: Splitter) -> list[tuple[Array, Array]]:
        """Return the rows to fit on and those held out, stratified for class-paired estimators."""
        stratified = self.class_paired and self.labels is not None and self.labels.ndim == 1
        cv = 5 if cv is None else cv
        # Splitters of others may wait for threads that check arrays.
        known = isinstance(cv, Integral) or type(cv).__module__.startswith("sklearn.")
        labels = self.labels
        if (
            stratified
            and isinstance(cv, Integral)
            and labels is not None
            and is_missing(labels).any()
        ):
            cv = PartlyLabelledKFold(int(cv))
        with in_turn() if known else nullcontext():
            splitter = check_cv(cv, self.labels, classifier=stratified)
            try:
                return list(splitter.split(np.empty((self.n, 0)), self.labels, self.groups))
            except ValueError as error:
                if self.groups is None and "groups" in str(error):
                    raise ValueError(
                        f"`cv`={cv!r} splits by groups: give `groups`, the group of each row. "
                        f"({error})"
                    ) from error
                if "members in each class" in str(error):
                    raise ValueError(
                        f"`cv`={cv!r} folds are stratified by class, and no class has so many "
                        f"rows: use fewer folds, or others, such as cv=KFold({cv!r}). ({error})"
                    ) from error
                raise


def groups_for_fit(estimator: Estimator, groups: ArrayLike) -> dict[str, ArrayLike]:
    """Return the groups under the name by which `fit` takes them, if it does."""
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        prefix = "" if _routing_enabled() else f"{step}__"
        return {f"{prefix}{name}": g for name, g in groups_for_fit(last, groups).items()}
    return {"groups": groups} if has_fit_parameter(estimator, "groups") else {}


def _with_columns(y: ViewLike) -> ViewLike:
    """Return a second view of one dimension as a column without a name."""
    V: ViewLike = y if hasattr(y, "shape") else np.asarray(y)
    if len(V.shape) != 1:
        return y
    return (V.to_numpy() if hasattr(V, "to_numpy") else V)[:, None]
