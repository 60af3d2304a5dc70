"""One view from the other, or from its scores: least squares over the training pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcca._base import TwoViewTransformer
from skcca._core.arrays import project
from skcca._core.compat import to_numpy
from skcca.views._checks import check_scores
from skcca.views._container import Views


class PredictsViews(TwoViewTransformer):
    """A linear two-view estimator with `predict`, `predict_x` and `inverse_transform`."""

    def predict(self, X: Any) -> Any:
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
        check_is_fitted(self)
        self._require_namespace(X, "predict")
        predicted = self._regress(self._given(X, "x", "predict"), "x", "y")
        return predicted[:, 0] if self._y_is_one_column else predicted

    def predict_x(self, y: Any) -> Any:
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
        check_is_fitted(self)
        return self._regress(self._given(y, "y", "predict_x"), "y", "x")

    def inverse_transform(self, X: Any, y: Any = None) -> Any:
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
        check_is_fitted(self)
        if isinstance(X, Views):
            members = self._two_members(X)
            return X._replace(
                [
                    None if Z is None else self._from_scores(check_scores(self, Z), side, side)
                    for Z, side in zip(members, "xy", strict=True)
                ]
            )
        back = self._from_scores(check_scores(self, X), "x", "x")
        return back if y is None else (back, self._from_scores(check_scores(self, y), "y", "y"))

    def _given(self, V: Any, side: str, method: str) -> Any:
        """Return the checked view of one side, taken out of a `Views`."""
        if isinstance(V, Views):
            V = self._two_members(V)["xy".index(side)]
            if V is None:
                raise ValueError(
                    f"{type(self).__name__}: {method} needs the "
                    f"{'first' if side == 'x' else 'second'} view, which is None here."
                )
        return self._check_view(V, side, reset=False)

    def _regress(self, V: Any, source: str, target: str) -> Any:
        return self._from_scores(self._project(V, source), source, target)

    def _from_scores(self, Z: Any, source: str, target: str) -> Any:
        """Predict the target view from scores of the source view."""
        fitted = {
            name: to_numpy(getattr(self, name))
            for name in (f"{source}_weights_", f"{source}_loadings_", f"{source}_std_")
        }
        weights, loadings, std = fitted.values()
        # Loadings belong to variates of variance one, weights to scores that may be scaled.
        scale = self._scale_of_scores()
        variates = weights / scale
        covariance = variates.T @ (std[:, None] * loadings)  # of variates; not I under a ridge
        own = "loadings" if source == target else "cross_loadings"
        slopes = to_numpy(getattr(self, f"{target}_{own}_"))
        slopes = slopes * to_numpy(getattr(self, f"{target}_std_"))[:, None]
        coefficients = np.linalg.solve(covariance, slopes.T) / scale[:, None]
        mean = to_numpy(getattr(self, f"{target}_mean_"))
        with np.errstate(over="ignore", invalid="ignore"):  # refused in the next line
            found = project(Z, np.zeros(len(scale)), coefficients, mean)
        if not hasattr(found, "dask") and not np.isfinite(to_numpy(found)).all():
            raise ValueError(
                f"{type(self).__name__}: the prediction leaves the range of {found.dtype}; give "
                "float64, or rows less far outside of what was seen in fit."
            )
        return found

    def _scale_of_scores(self) -> np.ndarray:
        if self.component_scaling == "unit":
            return np.ones(self.n_components_)
        return to_numpy(self.correlations_)
