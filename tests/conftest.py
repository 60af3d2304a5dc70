"""Settings that must precede the first import of NumPy, and the fixtures that all tests share."""

import os
import sys

# Workers share the cores: with a thread pool each they would wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
os.environ.setdefault("SCIPY_ARRAY_API", "1")  # else scikit-learn skips its array API check
os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are drawn without a screen

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The first example pays for imports, so time tells nothing. CI must not fail by luck of the draw.
settings.register_profile("skcca", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("skcca")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave docstring examples out on NumPy 1, which shows its scalars in another way."""
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        other_repr = pytest.mark.skip(reason="examples show scalars as NumPy 2 does")
        for item in items:
            if isinstance(item, pytest.DoctestItem):
                item.add_marker(other_repr)


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of the real data sets, the one that ``skcca.datasets`` reads by default."""
    folder = Path(os.environ.get("SKCCA_DATA", "~/skcca_data")).expanduser()
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder (SKCCA_DATA names another one)")
    return folder


@pytest.fixture(autouse=True)
def _figures_are_closed():
    _close_figures()  # those that examples in docstrings have left
    yield
    _close_figures()


def _close_figures():
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot:
        pyplot.close("all")
