"""A user's program is checked by mypy as strictly as the user likes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
from typing import assert_type

import numpy as np

from skcca import CCA, ClusterCCA, CrossModalRetriever, SupervisedDCCA, Views
from skcca.metrics import mean_average_precision_score, retrieval_scores

rng = np.random.default_rng(0)
A, V, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 4)), np.arange(30) % 3
X = Views(audio=A, visual=V)
n: int = len(X)
model = SupervisedDCCA(2).fit(A, V, y)
assert_type(model, SupervisedDCCA)
total: float = CCA(n_components=2).fit(A, V).score(A, V)
found: float = mean_average_precision_score(A, A, y)
retriever = CrossModalRetriever(ClusterCCA()).fit(A, V, y)
ids, scores = retriever.query(A, k=3)
"""
WRONG = """
wrong: str = mean_average_precision_score(A, A, y)
Views(A, V).no_such_method()
CCA(n_components="three")
"""


def check(text, folder):
    program = folder / "program.py"
    program.write_text(text)
    settings = ["--strict", "--follow-imports", "silent", "--disable-error-code", "import-untyped"]
    command = [sys.executable, "-m", "mypy", *settings, "--config-file", "", program.name]
    place = os.environ | {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=place)


@pytest.mark.slow
def test_a_users_program_passes_strict_types(tmp_path):
    done = check(PROGRAM, tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_users_mistakes_are_found(tmp_path):
    done = check(PROGRAM + WRONG, tmp_path)
    assert "Incompatible types in assignment" in done.stdout
    assert 'has no attribute "no_such_method"' in done.stdout
    assert 'Argument "n_components" to "CCA" has incompatible type "str"' in done.stdout


def test_the_package_says_that_it_has_types():
    import skcca

    assert Path(skcca.__file__).with_name("py.typed").exists()
