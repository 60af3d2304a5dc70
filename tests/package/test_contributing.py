"""What CONTRIBUTING tells holds: the drawing of the layers, and the estimator that it shows."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from skcca import CCA, Views, retrieval_map

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def shown():
    """Return a module that holds what the page shows, and nothing else."""
    (source,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    module = ModuleType("shown_in_contributing")
    sys.modules[module.__name__] = module  # pickles look it up by its name
    exec(compile(source, "CONTRIBUTING.md", "exec"), vars(module))
    yield module
    del sys.modules[module.__name__]


def test_the_drawing_shows_the_layers_that_are_checked():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in settings["contracts"] if c.get("containers") == ["skcca"])
    (drawing,) = re.findall(r"^```text\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    drawn = drawing.splitlines()[1:]
    assert len(drawn) == len(layers)
    for line, layer in zip(drawn, layers, strict=True):
        wanted = layer.split(" | ")
        assert set(line.split()[: len(wanted)]) == set(wanted)


@pytest.mark.parametrize("name", ["QuadraticCCA", "ClusterQuadraticCCA"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # of few rows and of missing labels
def test_the_estimator_shown_passes_the_checks_of_scikit_learn(shown, name):
    results = check_estimator(getattr(shown, name)(), on_skip=None, on_fail=None)
    assert len(results) > 50
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] != "passed"]
    assert not failed


def test_the_estimator_shown_is_cca_of_the_features_and_their_squares(shown):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    Y = np.column_stack([X[:, 0] ** 2, rng.normal(size=(200, 2))]) + 0.5 * rng.normal(size=(200, 3))
    model = shown.QuadraticCCA(2, reg=0.0).fit(X, Y)
    mapped = [np.hstack([Z, Z**2]) for Z in ((V - V.mean(axis=0)) / V.std(axis=0) for V in (X, Y))]
    np.testing.assert_allclose(model.correlations_, CCA(2).fit(*mapped).correlations_, atol=1e-10)
    assert model.correlations_[0] > CCA(1).fit(X, Y).correlations_[0] + 0.3


def test_the_estimator_shown_serves_views_labels_and_searches(shown):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    X, Y = rng.normal(size=(120, 2)), rng.normal(size=(120, 3))
    X[:, 0] *= 1 + 2 * labels  # the classes differ by their spread
    Y[:, 0] *= 1 + 2 * labels
    search = GridSearchCV(
        shown.ClusterQuadraticCCA(), {"reg": [0.1, 1.0]}, scoring=retrieval_map
    ).fit(Views(X, Y), labels)
    assert search.best_estimator_.n_components_ <= 2
    np.testing.assert_array_equal(search.best_estimator_.classes_, [0, 1, 2])
    own_pairs = clone(search.best_estimator_).set_params(instance_weight=1.0).fit(X, Y, labels)
    twin = shown.QuadraticCCA(reg=own_pairs.reg, component_scaling="correlation").fit(X, Y)
    np.testing.assert_allclose(own_pairs.transform(X), twin.transform(X), atol=1e-10)
