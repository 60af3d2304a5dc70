"""However its input is dressed, a public callable gives finite numbers or a documented error.

Nothing else may happen: no other kind of error, no warning of NumPy, no NaN, no changed input.
"""

import inspect
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from callables import CALLS, EXEMPT
from dressing import problem, snapshot
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


PASS_ON = {"Views", "Views.from_frame", "ViewTransformer", "make_view_transformer"}


@st.composite
def problems(draw):
    return problem(lambda choices: draw(st.sampled_from(choices)))


def arrays(found):
    """Walk through what a callable has returned and yield every array of floats in it."""
    if isinstance(found, dict):
        found = list(found.values())
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


def check(name, call, p, **options):
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
            assert np.isfinite(values).all(), "not finite"
    return found
