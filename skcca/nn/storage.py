"""Trees of tensors, arrays and plain values in one file that executes nothing when it is read.

Tensors and numeric arrays lie in the safetensors format, which NumPy and torch open alike; what
holds them together is JSON in the header of the same file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

__all__ = ["load_tree", "save_tree"]

_KEY = "skcca"
# What a header that is not ours makes `_decode` raise.
_NO_TREE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


def save_tree(path: str | os.PathLike[str], tree: Any) -> None:
    """Write a tree of dicts, lists, tuples, tensors, arrays and plain values; replace at once."""
    tensors: dict[str, torch.Tensor] = {}
    header = json.dumps(_encode(tree, tensors))
    whole = Path(path)
    part = whole.with_name(whole.name + ".part")
    save_file(tensors, part, metadata={_KEY: header})
    part.replace(whole)  # an interrupted write leaves the last file as it was


def load_tree(path: str | os.PathLike[str], device: str = "cpu") -> Any:
    """Return what `save_tree` wrote.

    Raises
    ------
    ValueError
        If the file is none of those.
    """
    try:
        with safe_open(path, framework="pt", device=device) as file:
            return _decode(json.loads((file.metadata() or {})[_KEY]), file.get_tensor)
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, *_NO_TREE) as error:
        raise ValueError(
            f"{str(path)!r} is not a whole file that skcca wrote: {error!r}."
        ) from error


def _encode(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, np.generic) and not isinstance(node.item(), np.generic):
        return _encode(node.item(), tensors)
    if isinstance(node, dict):
        return {"dict": [[_encode(k, tensors), _encode(v, tensors)] for k, v in node.items()]}
    if isinstance(node, (list, tuple)):
        kind = "list" if isinstance(node, list) else "tuple"
        return {kind: [_encode(value, tensors) for value in node]}
    if isinstance(node, torch.dtype):
        return {"dtype": str(node)}
    if isinstance(node, np.ndarray) and node.dtype.kind in "USO":
        values = [_encode(value, tensors) for value in node.ravel().tolist()]
        return {"strings": values, "kind": node.dtype.str, "shape": list(node.shape)}
    if isinstance(node, (np.ndarray, torch.Tensor)):
        name = str(len(tensors))
        if isinstance(node, np.ndarray):
            native = node.astype(node.dtype.newbyteorder("="), order="C")
            tensors[name] = torch.from_numpy(native)
            return {"array": name}
        tensors[name] = node.detach().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}  # a copy: safetensors refuses shared memory
    raise TypeError(
        f"A value of type {type(node).__name__} cannot be kept in a file that executes nothing; "
        "use pickle for it."
    )


def _decode(node: Any, tensor: Callable[[str], torch.Tensor]) -> Any:
    if not isinstance(node, dict):
        return node
    kind, *_ = node
    value = node[kind]
    if kind == "dict":
        return {_decode(k, tensor): _decode(v, tensor) for k, v in value}
    if kind == "list":
        return [_decode(v, tensor) for v in value]
    if kind == "tuple":
        return tuple(_decode(v, tensor) for v in value)
    if kind == "dtype":
        dtype = getattr(torch, value.removeprefix("torch."))
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"{value!r} is no dtype")
        return dtype
    if kind == "strings":
        array = np.empty(len(value), dtype=node["kind"])
        for i, entry in enumerate(value):  # one by one: entries may be lists
            array[i] = _decode(entry, tensor)
        return array.reshape(node["shape"])
    return tensor(value).cpu().numpy() if kind == "array" else tensor(value)
