"""What tells one fitted estimator from another: its class, and a hash of the numbers it learned."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from skcca._compat import to_numpy
from skcca._gallery.one_side import unwrapped
from skcca._scored import final_model


def fingerprint(estimator: Any) -> dict[str, Any]:
    """Return class, widths and hash of a fitted estimator; how it is wrapped does not matter.

    The hash covers all numbers and arrays that were learned, in whatever they lie, and the classes
    of all steps; it is the same in another process and after pickling.
    """
    model = final_model(estimator, "CrossModalRetriever")
    digest = hashlib.sha256()
    _feed(digest, unwrapped(estimator), set())
    widths = [getattr(model, f"n_features_{side}in_", None) for side in ("", "y_")]
    return {"class": type(model).__name__, "widths": widths, "sha256": digest.hexdigest()}


def _feed(digest: Any, node: Any, seen: set[int]) -> None:
    """Add the numbers below a node, each behind what it is."""
    if isinstance(node, (bool, int, float, np.generic)):
        digest.update(repr(np.asarray(node).item()).encode())
        return
    if isinstance(node, np.ndarray) and node.dtype.kind in "biufc":
        digest.update(f"{node.dtype.str}{node.shape}".encode())
        digest.update(np.ascontiguousarray(node).tobytes())
        return
    if node is None or isinstance(node, (str, bytes)) or id(node) in seen:
        return
    seen = seen | {id(node)}
    node = unwrapped(node)
    if hasattr(node, "state_dict"):  # a torch module
        node = node.state_dict()
    if hasattr(node, "detach") or (hasattr(node, "__dlpack__") and hasattr(node, "shape")):
        if not isinstance(node, np.ndarray):
            _feed(digest, to_numpy(node), seen)
    elif hasattr(node, "tocsr"):
        node = node.tocsr()
        for part in (node.data, node.indices, node.indptr):
            _feed(digest, part, seen)
    elif hasattr(node, "get_params") and not isinstance(node, type):
        digest.update(type(node).__qualname__.encode())
        params = node.get_params(deep=False)
        steps = params.get("steps", ())
        learned = {k: v for k, v in vars(node).items() if k not in params and k[:4] != "_skl"}
        _feed(digest, [*(step for _, step in steps), learned], seen)
    elif isinstance(node, dict):
        for key in sorted(node, key=repr):
            digest.update(repr(key).encode() if isinstance(key, (str, int)) else b"")
            _feed(digest, node[key], seen)
    elif isinstance(node, (list, tuple)):
        digest.update(f"{len(node)}".encode())
        for value in node:
            _feed(digest, value, seen)
