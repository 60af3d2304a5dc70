"""Warnings that point at the caller's line, and fits in loops that do not repeat them."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_PACKAGES = ("skcca", "sklearn", "joblib", "contextlib")

# Python's filters are those of all threads, and two that set and restore them leave one's in place.
_MUTED: ContextVar[tuple[str, ...]] = ContextVar("muted", default=())


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as from the first line outside this package and those through which it is called.

    So a warning names the line of ``fit`` in a user's program, also where a pipeline or a search
    calls it, and Python shows it once for each such line.
    """
    if any(re.match(pattern, message) for pattern in _MUTED.get()):
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame.f_globals.get("__name__", "")) in _PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(module: str) -> str:
    return module.partition(".")[0]


@contextmanager
def muted(*patterns: str) -> Iterator[None]:
    """Drop warnings of this package that begin with a pattern, in this thread alone."""
    token = _MUTED.set(_MUTED.get() + patterns)
    try:
        yield
    finally:
        _MUTED.reset(token)


# The fit on all rows has given these already, or they hold of a part of the rows alone.
REPEATED = (
    r"\w+: no labels were given",
    r"\w+: `n_components`=\d+, but the data support",
    r"\w+: \d+ of \d+ rows of `[Xy]` share no class",
    r"\w+: \d+ rows with \d+ \+ \d+ features and (no|a) ridge",
    r"\w+: `[Xy]` has rank \d+ with \d+ features",
    r"`[Xy]` has \d+ of \d+ features that are constant",
)


def quiet_fit(estimator: Any, *args: object, **kwargs: object) -> Any:
    """Fit on a fold or a resample, without warnings that the fit on all rows has given."""
    with muted(*REPEATED):
        return estimator.fit(*args, **kwargs)
