"""Fits of each family, projection, measures and search."""

from __future__ import annotations

import warnings

import numpy as np

from skcca import CCA, DCCA, KCCA, ClusterCCA, CrossModalRetriever, SupervisedDCCA
from skcca.metrics import mean_average_precision_score


def views(n_rows: int, d_x: int, d_y: int, n_classes: int = 10) -> tuple:
    """Return two views of classes, and the classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n_rows)
    centres = rng.normal(size=(n_classes, d_x + d_y))
    rows = centres[labels] + rng.normal(size=(n_rows, d_x + d_y))
    return rows[:, :d_x], rows[:, d_x:], labels


class Linear:
    """The two linear models."""

    params = (CCA, ClusterCCA)
    param_names = ("model",)

    def setup(self, model: type) -> None:
        """Make the views."""
        self.X, self.Y, self.labels = views(20_000, 128, 512)
        self.model = model(9)
        self.fitted = model(9).fit(self.X, self.Y, labels=self.labels)

    def time_fit(self, model: type) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y, labels=self.labels)

    def time_transform(self, model: type) -> None:
        """Project both views."""
        self.fitted.transform(self.X, self.Y)

    def peakmem_fit(self, model: type) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y, labels=self.labels)


class Kernel:
    """Kernels, exact and approximated."""

    params = (None, "nystroem", "random_features")
    param_names = ("approximation",)

    def setup(self, approximation: str | None) -> None:
        """Make the views."""
        self.X, self.Y, _ = views(1_000, 100, 100)
        landmarks = None if approximation is None else 200
        self.model = KCCA(9, reg=0.1, approximation=approximation, n_landmarks=landmarks)

    def time_fit(self, approximation: str | None) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y)

    def peakmem_fit(self, approximation: str | None) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y)


class Deep:
    """An epoch of the deep models."""

    params = (DCCA, SupervisedDCCA)
    param_names = ("model",)
    timeout = 300

    def setup(self, model: type) -> None:
        """Make the views."""
        warnings.simplefilter("ignore")  # fewer components than the networks have outputs
        self.X, self.Y, self.labels = (V.astype(np.float32) for V in views(4_000, 128, 256))
        self.model = model(max_epochs=2, random_state=0)

    def time_two_epochs(self, model: type) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y, labels=self.labels.astype(int))

    def peakmem_two_epochs(self, model: type) -> None:
        """Fit."""
        self.model.fit(self.X, self.Y, labels=self.labels.astype(int))


class Retrieval:
    """Measures and search."""

    def setup(self) -> None:
        """Make embeddings."""
        self.X, self.Y, self.labels = views(5_000, 30, 30)
        self.retriever = CrossModalRetriever(None).add(self.Y)

    def time_map(self) -> None:
        """Measure."""
        mean_average_precision_score(self.X, self.Y, self.labels)

    def peakmem_map(self) -> None:
        """Measure."""
        mean_average_precision_score(self.X, self.Y, self.labels)

    def time_query(self) -> None:
        """Search."""
        self.retriever.query(self.X[:500], k=10)
