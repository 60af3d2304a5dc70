"""Small random views, the linear and kernel models, and what it means that two models agree."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skcca import CCA, KCCA, ClusterCCA, ClusterKCCA

law = settings(derandomize=True, max_examples=15)

LINEAR = {
    "CCA": CCA(),
    "CCA ridge": CCA(reg=0.1),
    "CCA svd": CCA(solver="svd"),
    "ClusterCCA": ClusterCCA(),
    "ClusterCCA blended": ClusterCCA(instance_weight=0.3, reg=0.01),
    "ClusterCCA by rows": ClusterCCA(pair_weight="row", component_scaling="unit"),
}
KERNEL = {
    "KCCA": KCCA(2, reg=1e-2),
    "KCCA all": KCCA(reg=1e-2, kernel="poly", degree=2, gamma=0.3),
    "ClusterKCCA": ClusterKCCA(reg=1e-2),
    "ClusterKCCA blended": ClusterKCCA(2, instance_weight=0.3, reg=1e-2),
}
ALL = LINEAR | KERNEL
CLASS = {name: model for name, model in ALL.items() if "Cluster" in name}

every = pytest.mark.parametrize("model", ALL.values(), ids=ALL)
unregularised = pytest.mark.parametrize(
    "model",
    [LINEAR[name] for name in ("CCA", "CCA svd", "ClusterCCA", "ClusterCCA by rows")],
    ids=["CCA", "CCA svd", "ClusterCCA", "ClusterCCA by rows"],
)
class_paired = pytest.mark.parametrize("model", CLASS.values(), ids=CLASS)


@dataclass(frozen=True)
class Case:
    """What the data of an example are made from."""

    seed: int
    n: int
    d_x: int
    d_y: int
    n_classes: int

    def views(self):
        """Return X, Y, labels of unbalanced classes, and a generator for what else is drawn."""
        rng = np.random.default_rng(self.seed)
        y = np.minimum(rng.geometric(0.35, self.n), self.n_classes) - 1
        y[: self.n_classes] = np.arange(self.n_classes)  # one row at least of each
        Z = 1.5 * rng.normal(size=(self.n_classes, 3))[y] + rng.normal(size=(self.n, 3))
        X, Y = (
            Z @ rng.normal(size=(3, d)) + rng.normal(size=(self.n, d)) for d in (self.d_x, self.d_y)
        )
        return X, Y, y, rng


@st.composite
def cases(draw, least=1):
    """Views of `least` to 5 features, well conditioned, and more rows than features."""
    d_x, d_y = draw(st.integers(least, 5)), draw(st.integers(least, 5))
    n_classes = draw(st.integers(2, 4))
    n = draw(st.integers(d_x + d_y + 6, 40))
    case = Case(draw(st.integers(0, 2**20)), n, d_x, d_y, n_classes)
    X, Y, _, _ = case.views()
    assume(max(np.linalg.cond(V - V.mean(axis=0)) for V in (X, Y)) < 50)
    return case


@st.composite
def wide_cases(draw):
    """Views of more features than rows."""
    n, d_x, d_y = (draw(st.integers(*limits)) for limits in ((8, 14), (12, 24), (3, 24)))
    return Case(draw(st.integers(0, 2**20)), n, d_x, d_y, draw(st.integers(2, 3)))


def fit(model, X, Y, y, **kwargs):
    """Fit a copy; directions that nothing tells apart compare with nothing."""
    fitted = clone(model).fit(X, Y, y, **kwargs)
    steps = np.abs(np.diff(np.sort(fitted.singular_values_)))
    assume(steps.min(initial=1.0) > 1e-3)
    assume(np.abs(np.diff(fitted.correlations_)).min(initial=1.0) > 1e-3)
    assume(fitted.correlations_.min() > 1e-3)
    return fitted


def tolerance(model):
    """Return that of the algebra, or of the iteration that stops at a residual of 1e-6."""
    return 1e-5 if isinstance(model, KCCA | ClusterKCCA) else 1e-8


def assert_same_answer(a, b, rows_a, rows_b=None):
    """The same components and the same scores, signs included."""
    atol = tolerance(a)
    rows_b = rows_a if rows_b is None else rows_b
    assert a.n_components_ == b.n_components_
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=atol)
    for Z_a, Z_b in zip(a.transform(*rows_a), b.transform(*rows_b), strict=True):
        np.testing.assert_allclose(Z_a, Z_b, atol=10 * atol)
