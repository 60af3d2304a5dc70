"""Array API dispatch, where scikit-learn can: its version 1.6 asks for SciPy 1.14."""

from contextlib import contextmanager

import pytest
from sklearn import config_context


@contextmanager
def array_api_dispatch(*, on=True):
    context = config_context(array_api_dispatch=on)
    try:
        context.__enter__()
    except ImportError as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        context.__exit__(None, None, None)
