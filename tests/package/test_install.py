"""What is shipped: wheel and source archive, in empty environments, with and without torch."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
CLASSICAL = ["joblib", "numpy", "scikit-learn", "scipy", "threadpoolctl"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("install")]

SMOKE = """
import numpy as np
from sklearn.model_selection import GridSearchCV
import skcca
from skcca import CCA, KCCA, ClusterCCA, Views, retrieval_map
assert "site-packages" in skcca.__file__, skcca.__file__
rng = np.random.default_rng(0)
labels = np.arange(90) % 3
A, V = np.eye(3)[labels] + 0.3 * rng.normal(size=(2, 90, 3))
grid = {"reg": [0.0, 0.1]}
search = GridSearchCV(ClusterCCA(), grid, scoring=retrieval_map).fit(Views(A, V), labels)
assert search.best_score_ > 0.9
assert CCA(2).fit(A, V).score(A, V) > 1 and KCCA(1).fit(A, V).n_components_ == 1
"""
DEEP = """
from skcca import SupervisedDCCA
model = SupervisedDCCA(2, max_epochs=2, random_state=0).fit(A, V, labels)
assert model.transform(A).shape == (90, 2)
"""
WITHOUT_TORCH = """
from skcca import SupervisedDCCA
try:
    SupervisedDCCA(2).fit(A, V, labels)
except ImportError as error:
    assert "torch" in str(error) and "pip install" in str(error), error
else:
    raise AssertionError("fitted without torch")
"""
WITHOUT_MATPLOTLIB = """
from skcca.plotting import EmbeddingDisplay
try:
    EmbeddingDisplay.from_predictions(A, V, labels)
except ImportError as error:
    assert "matplotlib" in str(error) and "pip install" in str(error), error
else:
    raise AssertionError("drawn without matplotlib")
"""


def run(*command, cwd):
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the wheel and the source archive; the wheel is built from the latter."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """Return the Python of an environment with what the classical half needs."""
    python = environment(tmp_path_factory.mktemp("classical"))
    install(python, *CLASSICAL)
    return python


def environment(folder):
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install(python, *what):
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    run(*pip, "-c", CONSTRAINTS, *what, cwd=python.parent)


def test_the_wheel_holds_the_package_with_its_types_and_nothing_else(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "skcca").rglob("*.py")}
    assert modules | {"skcca/py.typed"} <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"skcca"}
    assert any(name.endswith("LICENSE") for name in names)


def test_the_source_archive_can_build_and_test_itself(built):
    with tarfile.open(built[1]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "skcca/py.typed"} <= names
    assert {"tests/conftest.py", "constraints.txt", "Makefile"} <= names


@pytest.mark.parametrize("which", [0, 1], ids=["wheel", "source"])
def test_it_works_without_torch_and_matplotlib(built, without_torch, which, tmp_path):
    install(without_torch, "--no-deps", "--force-reinstall", built[which])
    program = SMOKE + WITHOUT_TORCH + WITHOUT_MATPLOTLIB
    run(without_torch, "-W", "error", "-c", program, cwd=tmp_path)


def test_the_wheel_brings_what_it_needs_into_an_empty_environment(built, tmp_path):
    python = environment(tmp_path / "empty")
    install(python, built[0])
    run(python, "-W", "error", "-c", SMOKE + DEEP, cwd=tmp_path)
    run(python, "-m", "pip", "check", cwd=tmp_path)
