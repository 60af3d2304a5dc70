"""`set_output` for transformers that return more than one array."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import TransformerMixin

from skcca._compat import _get_container_adapter


class ContainerOutputMixin(TransformerMixin):
    """Offer `set_output`, and wrap what is returned by hand, in subclasses of users too.

    scikit-learn's own wrapping knows neither `Views` nor lists nor the second of a pair.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs | {"auto_wrap_output_keys": None})
        cls._sklearn_auto_wrap_output_keys = {"transform"}

    def _in_container(self, Z: np.ndarray, original: Any, names: np.ndarray) -> Any:
        """Return rows in the container that `set_output` asks for, with the original's index."""
        adapter = _get_container_adapter("transform", self)
        if adapter is None:
            return Z
        if getattr(original, "ndim", 2) == 1 and hasattr(original, "to_frame"):
            original = original.to_frame()  # scikit-learn 1.6 takes no index of a Series
        return adapter.create_container(Z, original, columns=names)
