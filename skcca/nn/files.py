"""Files of fitted estimators with networks: their class, parameters and attributes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from skcca._core.files import PathLike, load_tree, parsing, save_tree
from skcca._core.types import Estimator
from skcca.nn.training import seeded


def attributes_of(model: Estimator) -> dict[str, Any]:
    """Return the attributes that `fit` set; callbacks of scikit-learn are left out."""
    params = model.get_params(deep=False)
    return {k: v for k, v in vars(model).items() if k not in params and not k.startswith("_skl_")}


def write_estimator(
    model: Estimator,
    path: PathLike,
    attributes: dict[str, Any],
    *,
    without: Collection[str] = (),
    **more: Any,
) -> None:
    """Write the class, the parameters and the given attributes of an estimator.

    Parameters named in `without` are left out; `more` are further entries for `load`.
    """
    name = type(model).__name__
    params = {k: v for k, v in model.get_params(deep=False).items() if k not in without}
    if "device" in params:
        params["device"] = str(params["device"])
    for key, value in params.items():
        if isinstance(value, os.PathLike):
            params[key] = os.fspath(value)
        elif isinstance(value, (np.random.Generator, np.random.RandomState)):
            raise TypeError(
                f"{name}.save: `{key}` is a {type(value).__name__}, which a file without code "
                f"cannot hold; set_params({key}=None), or use pickle."
            )
    save_tree(path, {"estimator": name, "params": params, "attributes": attributes} | more)


def read_estimator(kind: type, path: PathLike) -> dict[str, Any]:
    """Return the entries that `write_estimator` wrote of an estimator of this class."""
    tree = load_tree(path, torch)
    kinds = {"estimator": str, "params": dict, "attributes": dict, "own": list}
    tree = {"own": []} | tree if isinstance(tree, dict) else {}
    if not all(isinstance(tree.get(key), expected) for key, expected in kinds.items()):
        raise ValueError(
            f"{str(path)!r} holds no estimator; {kind.__name__}.save writes one, which may be the "
            "last step of a Pipeline: pipe[-1].save(path)."
        )
    if tree["estimator"] != kind.__name__:
        raise ValueError(
            f"{str(path)!r} holds a {tree['estimator']}: {tree['estimator']}.load(path)."
        )
    return tree


@contextmanager
def rebuilding(kind: type, path: PathLike) -> Iterator[None]:
    """Name the file in errors that its contents cause while an estimator is made of them.

    Networks are made as in a fit, with random weights that those of the file replace.
    """
    refusal = (
        f"{kind.__name__}.load: {str(path)!r} does not hold what it must, or not the weights of "
        "the networks that were given"
    )
    with parsing(refusal), seeded(0, torch.device("cpu")):
        yield


def set_attributes(model: Estimator, attributes: dict[str, Any]) -> None:
    """Check the parameters of a model that was read, and set its fitted attributes."""
    model._validate_params()
    for name in attributes:
        # A file must not replace a method.
        if hasattr(type(model), name):
            raise ValueError(f"{name!r} is no attribute that fit sets")
    model.__dict__.update(attributes)
