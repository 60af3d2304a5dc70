"""However its input is dressed and its parameters set, a callable gives numbers or a known error.

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
from _models import CALLS, EXEMPT, QUICK, SELECTOR
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
PASS_ON = {
    *("wilks_test", "multivariate_tests"),
    *("Views", "Views.from_frame", "ViewTransformer", "make_view_transformer"),
}


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


def fuzz(strategy, hold, n):
    """Hold a rule for n examples of a strategy."""

    @settings(
        max_examples=n, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def each(example):
        hold(example)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")

    each()


def dressed(name, n):
    fuzz(problems(), lambda p: check(name, CALLS[name], p), n)


@pytest.mark.parametrize("name", CALLS)
def test_any_dress_gives_numbers_or_a_documented_error(name):
    dressed(name, 4)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_many_dresses_give_numbers_or_a_documented_error(name):
    dressed(name, 200)


ODD = {
    "zero": 0,
    "minus one": -1,
    "two": 2,
    "a half": 0.5,
    "huge": 1e300,
    "tiny": 1e-300,
    "NaN": np.nan,
    "infinity": np.inf,
    "whole float": 2.0,
    "complex": 1j,
    "bool": True,
    "None": None,
    "word": "bogus",
    "empty word": "",
    "bytes": b"map",
    "auto": "auto",
    "list": [1, 2],
    "empty list": [],
    "pair": (0.5, 1),
    "pair of words": ("a", "b"),
    "triple": (1, 2, 3),
    "dictionary": {"a": 1},
    "set": {1},
    "function": len,
    "class": dict,
    "object": object(),
    "array": np.arange(3.0),
    "matrix": np.eye(2),
    "NumPy integer": np.int64(2),
    "NumPy float": np.float32(0.5),
    "array of one": np.array([2]),
    "large integer": 10**30,
}
# What would only take long, or leave the machine: epochs, repetitions, widths, and where to work.
LARGE = {"huge", "large integer"}
COSTLY = ("max_epochs", "n_bootstraps", "n_permutations", "n_samples", "lengths", "hidden", "n_out")
COSTLY += ("n_features", "n_emotions", "n_chunks", "k", "max_iter", "n_iter", "degree", "n_land")
ELSEWHERE = {
    "n_jobs",
    "ax",
    "device",
    "verbose",
    "checkpoint",
    "x_network",
    "y_network",
    "callback",
}


def parameters(name):
    """Return the names of the parameters that a callable of the table takes as options."""
    if name in QUICK:
        return list(QUICK[name].get_params(deep=False))
    call = CALLS[name]
    inner = inspect.signature(getattr(call, "func", call))
    if all(p.kind != p.VAR_KEYWORD for p in inner.parameters.values()):
        return []
    if name == "ChunkSelector":
        return list(SELECTOR.get_params(deep=False))
    base = name.partition(".")[0]
    target = next(
        getattr(module, base) for module in map(import_module, MODULES) if hasattr(module, base)
    )
    method = name.partition(".")[2] or "from_predictions"
    target = getattr(target, method, target)
    return [
        p.name for p in inspect.signature(target).parameters.values() if p.kind == p.KEYWORD_ONLY
    ]


PARAMETERS = {name: sorted(set(parameters(name)) - ELSEWHERE) for name in CALLS}
PARAMETERS = {name: found for name, found in PARAMETERS.items() if found}
PLAIN = problem(lambda choices: choices[0])


def allowed(parameter, value):
    if parameter == "name":
        return value not in ("NaN", "infinity")  # a display keeps its title as it was given
    return not (value in LARGE and parameter.removeprefix("x_").startswith(COSTLY))


@st.composite
def options(draw, name):
    parameter = draw(st.sampled_from(PARAMETERS[name]))
    value = draw(st.sampled_from([v for v in ODD if allowed(parameter, v)]))
    return parameter, value


def set_to(name, n):
    def hold(option):
        parameter, value = option
        check(name, CALLS[name], PLAIN, **{parameter: ODD[value]})

    fuzz(options(name), hold, n)


@pytest.mark.parametrize("name", PARAMETERS)
def test_any_value_gives_numbers_or_a_documented_error(name):
    set_to(name, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_many_values_give_numbers_or_a_documented_error(name):
    set_to(name, 600)
