"""The rows of two views and their labels, to be taken fold by fold as they were given."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags

from skcca._base import TwoViewTransformer
from skcca._core.compat import rng_from
from skcca._core.pairs import Pairs, Weights, instance_pairs
from skcca.views._container import Views
from skcca.views._labels import encode_labels
from skcca.views._projection import final_model

Array = np.ndarray


class PairedRows(NamedTuple):
    """The caller's rows, to be taken in the form in which they were given."""

    views: Views
    labels: Array | None
    joined: bool  # given as Views
    pairwise: bool  # both views are square kernels
    class_paired: bool

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, labels: Any, caller: str) -> PairedRows:
        """Check what a caller of this name was given.

        Raises
        ------
        TypeError, ValueError
            As the estimator's ``fit``; and if views or labels are missing or given twice.
        """
        if isinstance(labels, tuple):
            raise ValueError(
                f"{caller}: labels=(labels_x, labels_y) describes unpaired views, whose rows "
                "cannot be split together; cross-validation takes paired rows."
            )
        two_view = isinstance(estimator, TwoViewTransformer)
        model = final_model(estimator)
        class_paired = isinstance(model, TwoViewTransformer) and model._class_paired
        if two_view:  # an estimator of this library says itself what is wrong with the input
            clone(estimator)._check_training(X, y, labels, None)
        joined = isinstance(X, Views)
        if joined and labels is None:
            y, labels = None, y
        if joined and y is not None:
            raise ValueError(f"{caller}: labels were given twice, as `y` and as `labels`.")
        if not joined and y is None:
            raise ValueError(f"{caller}: `y`, the second view, is None; or pass Views(X, Y).")
        if not joined and np.ndim(y) == 1:
            y = np.asarray(y)[:, None]
        views = X if joined else Views(X, y)
        if labels is not None:
            labels = labels if hasattr(labels, "shape") else np.asarray(labels, dtype=object)
            labels = labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels)
            if len(labels) != len(views):
                raise ValueError(
                    f"{caller}: `labels` has {len(labels)} entries but `X` has {len(views)} rows."
                )
        pairwise = len(views.shape) == 2 and get_tags(estimator).input_tags.pairwise
        return cls(views, labels, joined, pairwise, class_paired)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.views)

    def take(self, rows: Array, columns: Array) -> tuple[tuple, dict]:
        """Return the arguments of `fit` or `score` for some rows; kernels take columns too."""
        part = self.views[np.ix_(rows, columns) if self.pairwise else rows]
        labels = None if self.labels is None else self.labels[rows]
        if self.joined:
            return (part,) if labels is None else (part, labels), {}
        return tuple(part), {} if labels is None else {"labels": labels}

    def pairs(self, model: Any, rows: Array) -> Pairs:
        """Return the pairs of some rows: those of the fitted model where there are labels."""
        weights = np.ones(len(rows))
        if self.labels is None or not self.class_paired:
            return instance_pairs(weights)
        labels = encode_labels(self.labels[rows], len(rows), len(rows), type(model).__name__)
        rng = rng_from(getattr(model, "random_state", None))
        return model._make_pairs(labels, Weights(weights, weights), rng)

    def scored_folds(self, cv: Any, caller: str, groups: Any = None) -> list[tuple[Array, Array]]:
        """Return folds whose held-out rows are enough for a correlation."""
        folds = self.folds(cv, groups)
        smallest = min((len(test) for _, test in folds), default=3)
        if smallest < 3:
            raise ValueError(
                f"{caller}: `cv` holds out {smallest} row{'s' * (smallest > 1)} at a time, and a "
                "correlation needs 3 at least; use fewer folds."
            )
        return folds

    def folds(self, cv: Any, groups: Any = None) -> list[tuple[Array, Array]]:
        """Return rows to fit and rows held out; of a class-paired estimator, classes alike."""
        stratified = self.class_paired and self.labels is not None and self.labels.ndim == 1
        splitter = check_cv(5 if cv is None else cv, self.labels, classifier=stratified)
        return list(splitter.split(np.empty((self.n, 0)), self.labels, groups))
