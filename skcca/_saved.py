"""Fitted estimators with networks in files that execute nothing when they are read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

PathLike = str | os.PathLike[str]


def attributes_of(model: Any) -> dict[str, Any]:
    """Return what `fit` has set, callbacks excepted."""
    params = model.get_params(deep=False)
    return {k: v for k, v in vars(model).items() if k not in params and not k.startswith("_skl_")}


def write_estimator(
    model: Any,
    path: PathLike,
    attributes: dict[str, Any],
    *,
    without: Collection[str] = (),
    **more: Any,
) -> None:
    """Write a fitted estimator, without some of its parameters, and what else `load` needs."""
    from skcca.nn.storage import save_tree

    name = type(model).__name__
    params = {k: v for k, v in model.get_params(deep=False).items() if k not in without}
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


def check_savable(model: Any, path: PathLike) -> None:
    """Refuse an estimator that is not fitted, or a name under which no file can be written."""
    check_is_fitted(model)
    check_writable(path, f"{type(model).__name__}.save: `path`")


def read_estimator(kind: type, path: PathLike) -> dict[str, Any]:
    """Return what `write_estimator` wrote of an estimator of this class."""
    require_torch(kind.__name__)
    from skcca.nn.storage import load_tree

    tree = load_tree(path)
    if not isinstance(tree, dict) or "estimator" not in tree:
        raise ValueError(f"{str(path)!r} holds no estimator; {kind.__name__}.save writes one.")
    if tree["estimator"] != kind.__name__:
        raise ValueError(
            f"{str(path)!r} holds a {tree['estimator']}: {tree['estimator']}.load(path)."
        )
    return dict(tree)


@contextmanager
def rebuilding(kind: type, path: PathLike) -> Iterator[None]:
    """Report what a file without the right contents makes of an estimator."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{kind.__name__}.load: {str(path)!r} does not hold what it must, or not the weights "
            f"of the networks that were given: {error}"
        ) from error


def set_attributes(model: Any, attributes: dict[str, Any]) -> None:
    """Check the parameters of a model that was read, and give it what `fit` had set."""
    model._validate_params()
    for name in attributes:
        if hasattr(type(model), name):
            raise ValueError(f"{name!r} is no attribute that fit sets")
    vars(model).update(attributes)


def check_writable(path: PathLike, what: str) -> None:
    """Refuse a name under which no file can be written, before anything is trained."""
    file = Path(path)
    if "\0" in str(path):
        raise ValueError(f"{what}={str(path)!r} is no name of a file.")
    if file.is_dir() or not file.absolute().parent.is_dir():
        reason = "is a folder" if file.is_dir() else "lies in a folder that is not there"
        raise ValueError(f"{what}={str(path)!r} {reason}; name a file in a folder that exists.")
    try:
        with tempfile.NamedTemporaryFile(dir=file.absolute().parent, prefix=file.name + "."):
            pass
    except OSError as error:
        raise ValueError(f"{what}={str(path)!r} cannot be written: {error}.") from error


def require_torch(name: str) -> None:
    try:
        import_module("skcca.nn")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(
            f"{name} trains neural networks with torch, which is not installed: pip install torch. "
            "CCA, KCCA, ClusterCCA and ClusterKCCA work without it."
        ) from error
