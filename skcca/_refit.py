"""Fits inside a loop, which must not repeat for every draw what one fit has said."""

from __future__ import annotations

import warnings
from typing import Any

from scipy.linalg import LinAlgWarning

# Warnings that a fit on a part of the rows gives for reasons known to the caller.
_KNOWN = (
    (UserWarning, r"\w+: no labels were given"),
    (UserWarning, r"\w+: `n_components`=\d+, but the data support"),
    (UserWarning, r"\w+: \d+ of \d+ rows of `[Xy]` share no class"),
    (UserWarning, r"\w+: \d+ rows with \d+ \+ \d+ features and no ridge"),
    (LinAlgWarning, r"\w+: `[Xy]` has rank \d+ with \d+ features"),
)


def quiet_fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
    """Fit, without the warnings that would only repeat those of the fit on all rows."""
    with warnings.catch_warnings():
        for category, message in _KNOWN:
            warnings.filterwarnings("ignore", message=message, category=category)
        return estimator.fit(*args, **kwargs)
