"""Alternative methods for the same networks, epochs and optimizer.

PLS                singular vectors of the cross-covariance of paired rows, without labels
SemanticMatching   class posteriors of a logistic regression a view (Rasiwasia et al., 2010)
CrossEntropy       class posteriors of a network a view
Contrastive        outputs of two networks under the supervised contrastive loss between the views

Each has `fit(X, Y, labels=...)`, `transform(X)` and `transform_y(Y)`, to be ranked by cosine.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from sklearn.cross_decomposition import PLSSVD
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from skcca import SupervisedDCCA
from skcca.nn import MLP

HIDDEN = {"x": (128, 128, 64, 64), "y": (512, 512, 256, 256)}  # as in SupervisedDCCA


class PLS:
    """Singular vectors of the cross-covariance of standardised features."""

    def __init__(self, n_components: int = 9):
        self.model = PLSSVD(n_components)

    def fit(self, X: Any, Y: Any, labels: Any) -> Self:
        """Fit to the rows' own pairs."""
        self.model.fit(X, Y)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return scores of the first view."""
        return self.model.transform(X)

    def transform_y(self, Y: Any) -> np.ndarray:
        """Return scores of the second view."""
        no_rows_matter = np.zeros((len(Y), self.model.n_features_in_))
        return self.model.transform(no_rows_matter, Y)[1]


class Posteriors:
    """Embedding by class posteriors, from a classifier of each view."""

    def fit(self, X: Any, Y: Any, labels: Any) -> Self:
        """Fit both classifiers."""
        x_labels, y_labels = labels if isinstance(labels, tuple) else (labels, labels)
        self.x_classifier_ = self.classifier("x").fit(X, x_labels)
        self.y_classifier_ = self.classifier("y").fit(Y, y_labels)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return posteriors of the first view, (n, n_classes)."""
        return self.x_classifier_.predict_proba(X)

    def transform_y(self, Y: Any) -> np.ndarray:
        """Return posteriors of the second view, (n, n_classes)."""
        return self.y_classifier_.predict_proba(Y)


class SemanticMatching(Posteriors):
    """Posteriors of logistic regressions on standardised features."""

    def __init__(self, C: float = 1.0):
        self.C = C

    def classifier(self, side: str) -> Any:
        """Return a logistic regression."""
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=5_000))


class CrossEntropy(Posteriors):
    """Posteriors of two networks under cross-entropy."""

    def __init__(self, **settings: Any):
        self.settings = settings

    def classifier(self, side: str) -> Any:
        """Return a network."""
        return NetworkClassifier(HIDDEN[side], **self.settings)


class NetworkClassifier:
    """Network of `SupervisedDCCA` with a softmax, trained with the same settings."""

    def __init__(
        self,
        hidden: tuple[int, ...],
        *,
        max_epochs: int = 50,
        average_epochs: int = 10,
        input_noise: float = 0.0,
        batch_size: int | None = 512,
        random_state: int = 0,
    ):
        self.hidden, self.max_epochs, self.average_epochs = hidden, max_epochs, average_epochs
        self.input_noise, self.batch_size = input_noise, batch_size
        self.random_state = random_state

    def fit(self, V: np.ndarray, labels: np.ndarray) -> Self:
        """Train by RMSprop with dropout .2."""
        self.scaler_ = StandardScaler().fit(V)
        classes, codes = np.unique(labels, return_inverse=True)
        rows, codes = self._tensor(V), torch.as_tensor(codes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            network = MLP(
                V.shape[1],
                self.hidden,
                len(classes),
                activation="relu",
                output_activation="identity",
                dropout=0.2,
            )
            average = torch.optim.swa_utils.AveragedModel(network)
            optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-3)
            for epoch in range(self.max_epochs):
                for batch in torch.randperm(len(rows)).split(self.batch_size or len(rows)):
                    noise = self.input_noise * torch.randn_like(rows[batch])
                    optimizer.zero_grad()
                    functional.cross_entropy(network(rows[batch] + noise), codes[batch]).backward()
                    optimizer.step()
                if epoch >= self.max_epochs - self.average_epochs:
                    average.update_parameters(network)
        self.network_ = average.eval()
        return self

    def predict_proba(self, V: np.ndarray) -> np.ndarray:
        """Return class posteriors."""
        with torch.no_grad():
            return self.network_(self._tensor(V)).softmax(dim=1).numpy()

    def _tensor(self, V: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(self.scaler_.transform(V), dtype=torch.float32)


class Contrastive:
    """Outputs of networks trained with the supervised contrastive loss, without a projection."""

    def __init__(self, **settings: Any):
        self.model = SupervisedDCCA(loss="contrastive", **settings)

    def fit(self, X: Any, Y: Any, labels: Any) -> Self:
        """Train both networks."""
        self.model.fit(X, Y, labels=labels)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return outputs for the first view, (n, width)."""
        return self._outputs(X, "x")

    def transform_y(self, Y: Any) -> np.ndarray:
        """Return outputs for the second view, (n, width)."""
        return self._outputs(Y, "y")

    def _outputs(self, V: np.ndarray, side: str) -> np.ndarray:
        mean, scale, network = (
            getattr(self.model, f"{side}_{name}_") for name in ("mean", "scale", "network")
        )
        dtype = next(network.parameters()).dtype
        with torch.no_grad():
            return network(torch.as_tensor((V - mean) / scale, dtype=dtype)).numpy()
