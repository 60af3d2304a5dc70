"""However its input is dressed, a public callable gives finite numbers or a documented error.

Nothing else may happen: no other kind of error, no warning of NumPy, no NaN, no changed input.
"""

import inspect
import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from _data import problem, snapshot
from _models import CALLS, EXEMPT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import LinAlgWarning

import skcca
from skcca import Views

MODULES = (
    "skcca",
    *(f"skcca.{name}" for name in skcca.__all__ if inspect.ismodule(getattr(skcca, name))),
    "skcca.audio",
)


MAY_BE_INFINITE = {"x_scale_", "y_scale_"}  # of a constant feature
MAY_BE_NAN = {"average_precision_scores", "retrieval_scores"}  # of a query left out
# Members as they are; statistics of a correlation of 1 are infinite.
PASS_ON = {"wilks_test", "Views", "Views.from_frame", "ViewTransformer", "make_view_transformer"}


@st.composite
def problems(draw):
    return problem(lambda choices: draw(st.sampled_from(choices)))


def arrays(found):
    """Walk through what a callable has returned and yield every array of floats in it."""
    if isinstance(found, dict):
        found = [value for key, value in found.items() if key not in MAY_BE_INFINITE]
    if isinstance(found, Views):
        found = [found[name] for name in found.names]
    if isinstance(found, list | tuple):
        for part in found:
            yield from arrays(part)
    elif isinstance(found, torch.Tensor):
        yield found.detach().numpy()
    elif sparse.issparse(found):
        yield found.data
    elif isinstance(found, float | np.ndarray | np.floating) or hasattr(found, "to_numpy"):
        values = np.asarray(found)
        if values.dtype.kind in "fc":
            yield values


def check(name, call, p, /, **options):
    """Return what came out, None after a documented error; raise for whatever breaks the rule."""
    before = snapshot((p.X, p.Y, p.labels, p.weights))
    found = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("always", LinAlgWarning)
        try:
            found = call(p, **options)
        except (ValueError, TypeError) as error:
            undocumented = isinstance(error, LookupError | np.linalg.LinAlgError)
            if undocumented:
                raise
    assert snapshot((p.X, p.Y, p.labels, p.weights)) == before, "an input has changed"
    nothing_to_measure = any("nan" in str(w.message) for w in caught)
    if not nothing_to_measure and found is not None and name not in PASS_ON:
        for values in arrays(found):
            bad = np.isinf if name in MAY_BE_NAN else lambda v: ~np.isfinite(v)
            assert not bad(values).any(), "not finite"
    return found


def public_callables():
    """Yield the name of every class and function in `__all__` of a public module."""
    for module in map(import_module, MODULES):
        for name in module.__all__:
            if not inspect.ismodule(getattr(module, name)):
                yield name


def test_every_public_callable_is_fuzzed_or_exempt_for_a_reason():
    fuzzed = {name.partition(".")[0] for name in CALLS}
    public = set(public_callables())
    assert public - fuzzed - EXEMPT.keys() == set()
    assert fuzzed | EXEMPT.keys() == public, "a name of the tables is public no more"
    assert not fuzzed & EXEMPT.keys()


def test_plain_input_is_answered():
    plain = problem(lambda choices: choices[0])
    for name in set(CALLS) - {"dequantize_features", "CrossModalRetriever.ids", "Views.from_frame"}:
        CALLS[name](plain)


def fuzz(name, n):
    @settings(
        max_examples=n,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(problems())
    def hold(p):
        check(name, CALLS[name], p)
        close_pictures()

    hold()


def close_pictures():
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("name", CALLS)
def test_any_dress_gives_numbers_or_a_documented_error(name):
    fuzz(name, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_many_dresses_give_numbers_or_a_documented_error(name):
    fuzz(name, 200)
