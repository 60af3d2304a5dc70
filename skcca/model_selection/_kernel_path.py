"""Kernel models of every gamma and ridge on every fold, from one kernel matrix a view and gamma.

The kernel of the training rows, centred, is M; a ridge costs a factor of M + r I, or of the sum of
both views, beside it in the same memory (`skcca._core.kernel_solver`). The solution of k components
is the first k of any larger one, by their singular values. The kernel of the held-out rows is
multiplied by the coefficients of all ridges at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skcca._core.directions import pair_correlations
from skcca._core.kernels import FeatureMap, feature_scores
from skcca._core.pairs import Pairs, TrainingData
from skcca._core.types import ViewLike
from skcca.kcca import KCCA, FeatureMaps, KernelProblem, KernelSolution
from skcca.model_selection._folds import Fold
from skcca.views._arguments import drop_zero_weight_rows, per_view

Array = np.ndarray


class KernelSettings(NamedTuple):
    """The settings to compare."""

    gammas: Sequence
    regs: Sequence[float | tuple[float, float]]
    # None is all components that the data support.
    numbers: Sequence

    @property
    def most_components(self) -> int | None:
        """The largest number of components."""
        return None if None in self.numbers else max(k for k in self.numbers if k is not None)


class KernelPath:
    """The models of all settings on the folds, made of one unfitted model."""

    def __init__(
        self, model: KCCA, data: TrainingData, folds: Sequence[Fold], settings: KernelSettings
    ):
        self._model, self._data, self._folds, self._settings = model, data, folds, settings

    def correlations(self, i: int) -> Array:
        """Return the held-out correlations (n_gammas, n_regs, k) of fold i.

        Components are in the order of their singular values; those that a model lacks have 0.
        """
        test = self._test(i)
        test_pairs = self._model._make_pairs(test.labels, test.weights, self._model._rng())
        found = []
        for maps, pairs, solutions in self._fits(self._train(i)):
            # The signs are those of the fitted models, whose training variates agree.
            signs = [
                np.where(pair_correlations(s.x_scores, s.y_scores, pairs) < 0, -1.0, 1.0)
                for s in solutions
            ]
            A = np.hstack([s.directions.x_weights for s in solutions])
            B = np.hstack([s.directions.y_weights for s in solutions])
            U, V = feature_scores(maps.x, test.X, A), feature_scores(maps.y, test.Y, B)
            values = np.hstack(signs) * pair_correlations(U, V, test_pairs)
            ends = np.cumsum([len(s.places) for s in solutions])[:-1]
            parts = np.split(values, ends)
            found.append([(s.places, v) for s, v in zip(solutions, parts, strict=True)])
        k = 1 + max(places.max() for row in found for places, _ in row)
        correlations = np.zeros((len(found), len(self._settings.regs), k))
        for row, out in zip(found, correlations, strict=True):
            for j, (places, values) in enumerate(row):
                out[j, places] = values
        return correlations

    def models(self, i: int) -> Iterator[KCCA]:
        """Yield the model of each setting on the training rows of fold i: gamma, number, reg."""
        train = self._train(i)
        columns = self._columns(i)
        for gamma, (maps, pairs, solutions) in zip(
            self._settings.gammas, self._fits(train), strict=True
        ):
            x_map, y_map = _KeptFeatures(maps.x), _KeptFeatures(maps.y)
            kept = maps._replace(x=x_map, y=y_map)  # type: ignore[arg-type]  # what projects
            for k in self._settings.numbers:
                for reg, solution in zip(self._settings.regs, solutions, strict=True):
                    model = self._with(gamma=gamma, reg=reg, n_components=k, **columns)
                    model._assign(kept, solution.leading(k), train, pairs)
                    yield model

    def _fits(
        self, train: TrainingData
    ) -> Iterator[tuple[FeatureMaps, Pairs, list[KernelSolution]]]:
        """Yield the feature maps of each gamma, the pairs, and the solution of each ridge."""
        for gamma in self._settings.gammas:
            model = self._with(gamma=gamma)
            # Partners, landmarks and features are drawn as a fit draws them.
            rng = model._rng()
            pairs = model._make_pairs(train.labels, train.weights, rng)
            maps = model._feature_maps(train, pairs, rng)
            problem, most = KernelProblem(maps.x, maps.y, pairs), self._settings.most_components
            solutions = [problem.solve(per_view(reg), most) for reg in self._settings.regs]
            del problem
            maps.x.release()
            maps.y.release()
            yield maps, pairs, solutions

    def _with(self, **params: object) -> KCCA:
        """Return the unfitted model with other parameters."""
        model = object.__new__(type(self._model))
        model.__dict__ = vars(self._model) | params
        return model

    def _train(self, i: int) -> TrainingData:
        rows = self._folds[i][0]
        train = self._rows(rows, rows)
        return train if self._model._keeps_zero_weight_rows else drop_zero_weight_rows(train)

    def _test(self, i: int) -> TrainingData:
        train, test = self._folds[i]
        return self._rows(test, train)

    def _rows(self, rows: Array, columns: Array) -> TrainingData:
        """Return some rows, and of precomputed kernels the columns of the training rows."""
        part = self._data.take(rows, rows)
        x, y = self._precomputed
        return part._replace(
            X=part.X[:, columns] if x else part.X, Y=part.Y[:, columns] if y else part.Y
        )

    def _columns(self, i: int) -> dict[str, Any]:
        """Return what the models of a fold know of the columns of precomputed kernels."""
        columns, known = self._folds[i][0], vars(self._model)
        changed: dict[str, Any] = {}
        for precomputed, view in zip(self._precomputed, ("", "y_"), strict=True):
            if precomputed:
                changed[f"n_features_{view}in_"] = len(columns)
            if precomputed and f"feature_names_{view}in_" in known:
                changed[f"feature_names_{view}in_"] = known[f"feature_names_{view}in_"][columns]
        return changed

    @property
    def _precomputed(self) -> list[bool]:
        return [name == "precomputed" for name in per_view(self._model.kernel)]


class _KeptFeatures:
    """A feature map that keeps the features of the rows that it has seen."""

    def __init__(self, feature_map: FeatureMap):
        self.kernel, self._map = feature_map.kernel, feature_map
        self._known: list[tuple[ViewLike, Array]] = []

    def features_of(self, V: ViewLike) -> Array:
        """Return the features of rows."""
        for rows, features in self._known:
            if np.array_equal(rows, V):
                return features
        self._known.append((V, self._map.features_of(V)))
        return self._known[-1][1]
