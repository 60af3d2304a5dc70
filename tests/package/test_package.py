"""The package as a whole: what importing it loads, and life without torch."""

import ast
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skcca

ROOT = Path(__file__).parents[2]
MODULES = [info.name for info in pkgutil.walk_packages(skcca.__path__, "skcca.")]

# Programs for a fresh process, where nothing has been imported yet.
HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""

CLASSICAL_HALF = """
import numpy as np
from sklearn.model_selection import GridSearchCV
from skcca import CCA, KCCA, ClusterCCA, ClusterKCCA, Views, retrieval_map
from skcca.cluster import SeededKMeans
from skcca.metrics import chance_map, mean_average_precision_score

rng = np.random.default_rng(0)
y = np.arange(60) % 3
X = rng.normal(size=(3, 4))[y] + 0.5 * rng.normal(size=(60, 4))
Y = rng.normal(size=(3, 5))[y] + 0.5 * rng.normal(size=(60, 5))
for estimator in (CCA(2), KCCA(2), ClusterCCA(2), ClusterKCCA(2)):
    Za, Zv = estimator.fit(X, Y, y).transform(X, Y)
    assert np.isfinite(estimator.score(X, Y))
    assert mean_average_precision_score(Za, Zv, y) > chance_map(y)
search = GridSearchCV(CCA(), {"n_components": [1, 2]}, scoring=retrieval_map, error_score="raise")
assert search.fit(Views(X, Y), y).best_score_ > 0
annotated = np.where(np.arange(60) < 9, y, -1)
assert SeededKMeans(n_clusters=3, random_state=0).fit(X, annotated).labels_.size == 60
assert "torch" not in sys.modules
"""

DEEP_FIT = """
import numpy as np
from skcca import DCCA

try:
    DCCA(2).fit(np.eye(9), np.eye(9))
except ImportError as error:
    assert "torch" in str(error), error
    assert "pip install" in str(error), error
else:
    raise AssertionError("DCCA was fitted without torch")
"""


def run(program: str) -> str:
    """Run `program` in a fresh process and return what it prints."""
    # Digits have pixels that are always empty, of which the fit tells.
    muted = ["-W", "ignore:`X` has", "-W", "ignore:`y` has"]
    command = [sys.executable, "-W", "error", *muted, "-c", program]
    # Thread pools would wait for one another on busy cores.
    settings = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=settings)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_import_leaves_heavy_libraries_unloaded():
    loaded = run("import sys, skcca; print(*sys.modules)").split()
    assert not {"torch", "sklearn", "scipy", "numpy", "joblib", "skcca.datasets"} & set(loaded)


def test_only_nn_loads_torch():
    names = [name for name in MODULES if name.split(".")[1] != "nn"]
    imports = "\n".join(f"import {name}" for name in names)
    assert "torch" not in run(f"import sys\n{imports}\nprint(*sys.modules)").split()


def test_every_module_loads_without_optional_libraries():
    optional = {
        "dask",
        "faiss",
        "google",
        "google_crc32c",
        "matplotlib",
        "pandas",
        "polars",
        "tfrecord",
    }
    run(HIDE.format(names=optional) + "\n".join(f"import {name}" for name in MODULES))


def test_every_public_name_loads_and_is_listed():
    assert set(skcca.__all__) <= set(dir(skcca))
    for name in skcca.__all__:
        assert getattr(skcca, name).__doc__, name


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'skcca' has no attribute 'CCCA'"):
        _ = skcca.CCCA


def test_classical_half_works_without_torch():
    run(HIDE.format(names={"torch"}) + CLASSICAL_HALF)


def test_deep_fit_without_torch_names_the_cure():
    run(HIDE.format(names={"torch"}) + DEEP_FIT)


def imported_names(node: ast.AST) -> list[str]:
    """Return the dotted names that an import statement binds, and none for other statements."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"skcca._core.compat"}))
def test_private_sklearn_names_are_imported_in_compat_only(module):
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    names = [
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in imported_names(node)
    ]
    assert not [name for name in names if name.startswith("sklearn.") and "._" in name]


def test_readme_example_prints_what_the_readme_shows():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", readme, re.DOTALL)
    program, shown = example.groups()
    assert len(program.splitlines()) <= 12
    number = re.compile(r"\d+\.\d+")
    printed = run(program)
    assert number.sub("#", printed) == number.sub("#", shown)
    # Networks round differently from one build of torch to another.
    scores, shown_scores = (list(map(float, number.findall(text))) for text in (printed, shown))
    assert scores == pytest.approx(shown_scores, abs=0.02)
