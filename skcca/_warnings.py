"""Warnings that point at the caller's line."""

from __future__ import annotations

import sys
import warnings

_PACKAGES = ("skcca", "sklearn", "joblib", "contextlib")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn as from the first line outside this package and those through which it is called.

    So a warning names the line of ``fit`` in a user's program, also where a pipeline or a search
    calls it, and Python shows it once for each such line.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _package(frame.f_globals.get("__name__", "")) in _PACKAGES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _package(module: str) -> str:
    return module.partition(".")[0]
