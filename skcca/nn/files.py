"""Files of fitted estimators with networks, and checkpoints of trainings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from skcca._core.arrays import block_rows
from skcca._core.files import PathLike, load_tree, parsing, save_tree
from skcca._core.lazy import RaggedRows
from skcca._core.pairs import TrainingData
from skcca._core.types import Estimator
from skcca._core.warnings import warn
from skcca.nn.training import Run, seeded


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


# Checkpoints


class Checkpoint(NamedTuple):
    """File of a run, written after some epochs, and the identity of the training it belongs to."""

    path: str | os.PathLike[str]
    every: int  # epochs from one writing to the next
    identity: dict[str, Any]  # settings and fingerprints that must be equal to continue


# Parameters that may differ between the beginning of a training and its continuation.
_NOT_IN_CHECKPOINTS = {
    "device", "verbose", "callback", "x_network", "y_network", "checkpoint", "checkpoint_every",
}  # fmt: skip

# Layout 1 had sentences for keys.
_CHECKPOINT_LAYOUT = 2


def describe_settings(name: str, params: dict[str, Any]) -> dict[str, str]:
    """Return the settings of an estimator that a continued training must share."""
    settings = {key: repr(v) for key, v in params.items() if key not in _NOT_IN_CHECKPOINTS}
    # A training may become longer, unless the steps that were taken depend on its length.
    if params.get("learning_rate_schedule") == "constant":
        settings.pop("max_epochs", None)
    # The file holds the state of a generator, whose representation tells nothing.
    if not isinstance(params.get("random_state"), (int, np.integer, type(None))):
        del settings["random_state"]
    return {"estimator": name} | settings


def save_checkpoint(checkpoint: Checkpoint, run: Run, rng: np.random.Generator, name: str) -> None:
    """Write the state of a run, and of the generator that draws its batches; warn if that fails."""
    state = {
        "layout": _CHECKPOINT_LAYOUT,
        "identity": checkpoint.identity,
        "rng": rng.bit_generator.state,
        "run": run.state_dict(),
    }
    try:
        save_tree(checkpoint.path, state)
    # Of a full disk, for one, or of a buffer in a network of the user that no file can hold.
    except (OSError, TypeError, ValueError) as error:
        warn(
            f"{name}: `checkpoint`={str(checkpoint.path)!r} could not be written ({error}); the "
            "training goes on, and an older checkpoint stays as it is."
        )


def load_checkpoint(
    checkpoint: Checkpoint, rng: np.random.Generator, name: str, max_epochs: int
) -> dict[str, Any] | None:
    """Return the state of an interrupted run and set that of its generator; None without a file.

    Raises
    ------
    ValueError
        If the file holds no checkpoint, or that of another or of a longer training.

    Warns
    -----
    UserWarning
        From which epoch the training is continued.
    """
    if not Path(checkpoint.path).exists():
        return None
    state = load_tree(checkpoint.path, torch)
    where = f"{name}: `checkpoint`={str(checkpoint.path)!r}"
    if not isinstance(state, dict) or "identity" not in state:
        raise ValueError(
            f"{where} holds something else than a training; name another file, or delete it."
        )
    layout = state.get("layout", 1)
    if layout != _CHECKPOINT_LAYOUT:
        raise ValueError(
            f"{where} has layout {layout} of checkpoints, and this version of skcca continues "
            f"layout {_CHECKPOINT_LAYOUT}; finish that training with the version that began it, or "
            "delete the file."
        )
    refusal = f"{where} does not hold what it must"
    with parsing(refusal):
        there, run, generator = dict(state["identity"]), dict(state["run"]), dict(state["rng"])
        here = checkpoint.identity
        changed = sorted(key for key in here if there.get(key) != here[key])
        done = len(run["losses"])
    if changed:
        raise ValueError(
            f"{where} was written by another training: {', '.join(changed)} differ. Name another "
            "file, or delete it."
        )
    if done > max_epochs:
        raise ValueError(
            f"{where} holds a training of {done} epochs, and `max_epochs`={max_epochs}; raise it, "
            "or name another file."
        )
    with parsing(refusal):
        rng.bit_generator.state = generator
    warn(f"{where} is continued after epoch {done} of {max_epochs}.")
    return run | {"refusal": refusal}


def fingerprint(data: TrainingData) -> str:
    """Return a digest of rows in their order, of their labels and of their weights."""
    digest = hashlib.blake2b(digest_size=16)
    for V in (data.X, data.Y):
        if isinstance(V, RaggedRows):
            for song in V.songs:
                digest.update(np.asarray(song).tobytes())
        else:
            step = block_rows(V.shape[1])
            for start in range(0, len(V), step):
                digest.update(np.asarray(V[start : start + step]).tobytes())
    if data.labels is not None:
        digest.update(repr(data.labels.classes.tolist()).encode())
        for member in (data.labels.x, data.labels.y):
            digest.update(np.asarray(member.indices).tobytes())
            digest.update(np.asarray(member.indptr).tobytes())
            if (member.data != 1).any():
                digest.update(np.asarray(member.data).tobytes())
    for weights in data.weights:
        digest.update(np.asarray(weights).tobytes())
    return digest.hexdigest()
