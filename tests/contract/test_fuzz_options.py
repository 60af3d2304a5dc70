"""Whatever a parameter is set to, a public callable gives finite numbers or a documented error."""

import inspect
from importlib import import_module

import numpy as np
import pytest
from _data import problem
from _models import CALLS, QUICK, SELECTOR
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_fuzz import MODULES, check, close_pictures

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


def fuzz(name, n):
    @settings(
        max_examples=n,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(options(name))
    def hold(option):
        parameter, value = option
        check(name, CALLS[name], PLAIN, **{parameter: ODD[value]})
        close_pictures()

    hold()


@pytest.mark.parametrize("name", PARAMETERS)
def test_any_value_gives_numbers_or_a_documented_error(name):
    fuzz(name, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_many_values_give_numbers_or_a_documented_error(name):
    fuzz(name, 600)
