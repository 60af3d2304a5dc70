"""The class-paired half of the two axes: its parameters, and what its labels must be."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np

from skcca._compat import Interval, StrOptions
from skcca._pairing import Labels, Pairing
from skcca._validation import TrainingData
from skcca._warnings import warn


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
