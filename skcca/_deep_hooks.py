"""What happens between the epochs of a training: callbacks, checkpoints and resumption."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcca._core.arrays import block_rows
from skcca._core.lazy import RaggedRows
from skcca._core.pairs import TrainingData

if TYPE_CHECKING:
    from skcca.nn.training import Run


class Epoch(NamedTuple):
    """What a `callback` is told after each epoch."""

    number: int  # from 1
    n_epochs: int  # at most
    loss: float  # mean of the batches
    score: float | None  # held-out total correlation, where rows are held out


class Hooks:
    """Call callbacks and keep checkpoints.

    Parameters
    ----------
    training : DeepTraining
        The training that runs: its model, data, pairs, held-out rows, device and random numbers.
    n_epochs : int
        Epochs at most.
    """

    def __init__(self, training: Any, n_epochs: int):
        self.training, self.n_epochs = training, n_epochs
        self.model = training.model
        self._context: Any = None
        if getattr(self.model, "_skl_callbacks", None) and hasattr(self.model, "_given"):
            self._context = self.model._init_callback_context(max_subtasks=n_epochs)
            self._context.call_on_fit_task_begin(estimator=self.model)
        self._task: Any = None
        self._digests: tuple[str, str] | None = None

    def before_epoch(self) -> None:
        """Tell scikit-learn's callbacks that an epoch begins."""
        if self._context is not None:
            self._task = self._context.subcontext(task_name="epoch")
            self._task.call_on_fit_task_begin(estimator=self.model)

    def after_epoch(self, run: Run) -> bool:
        """Tell every callback how the epoch went; return whether one of them wants to stop."""
        stop = False
        if self.model.checkpoint is not None and run.epoch % self.model.checkpoint_every == 0:
            self._save(run)
        if self.model.callback is not None:
            score = run.scores[-1] if run.scores else None
            epoch = Epoch(run.epoch, self.n_epochs, run.losses[-1], score)
            answer = self.model.callback(epoch)
            if answer is not None and not isinstance(answer, (bool, np.bool_)):
                raise TypeError(
                    f"{type(self.model).__name__}: `callback` must return True to stop, or False "
                    f"or None to go on; got {type(answer).__name__}."
                )
            stop = bool(answer)
        if self._task is not None:
            X, y = self.model._given
            stop |= self._task.call_on_fit_task_end(
                estimator=self.model,
                X=X,
                y=y,
                reconstruction_attributes=lambda: self._fitted_by_now(run),
            )
            if stop or run.epoch == self.n_epochs:
                self._context.call_on_fit_task_end(estimator=self.model)
        return stop

    def resumed(self) -> dict[str, Any] | None:
        """Return the state that a checkpoint has kept of the same training, if there is one."""
        from pathlib import Path

        from skcca.nn.files import load_tree

        if self.model.checkpoint is None or not Path(self.model.checkpoint).exists():
            return None
        kept = load_tree(self.model.checkpoint)
        if not isinstance(kept, dict) or "identity" not in kept:
            raise ValueError(
                f"{type(self.model).__name__}: `checkpoint`={str(self.model.checkpoint)!r} holds "
                "something else than a training; name another file, or delete it."
            )
        here = self._identity()
        changed = sorted(key for key in here if kept["identity"].get(key) != here[key])
        if changed:
            raise ValueError(
                f"{type(self.model).__name__}: `checkpoint`={str(self.model.checkpoint)!r} was "
                f"written by another training: {', '.join(changed)} differ. Name another file, or "
                "delete it."
            )
        self.training.rng.bit_generator.state = kept["rng"]
        return dict(kept["run"])

    def _save(self, run: Run) -> None:
        from skcca.nn.files import save_tree

        state = {
            "identity": self._identity(),
            "rng": self.training.rng.bit_generator.state,
            "run": run.state_dict(),
        }
        save_tree(self.model.checkpoint, state)

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to be continued."""
        without = {"device", "verbose", "callback", "x_network", "y_network"}
        without |= {"checkpoint", "checkpoint_every"}
        model, data = self.model, self.training.data
        if not isinstance(model.random_state, (int, np.integer, type(None))):
            without.add("random_state")  # whose state is in the file
        params = {k: repr(v) for k, v in model.get_params().items() if k not in without}
        if self._digests is None:  # of all rows: once a fit
            held_out = self.training.held_out
            self._digests = digest(data), "" if held_out is None else digest(held_out[0])
        networks = (model.x_network_, model.y_network_)
        return {
            "the estimator": type(model).__name__,
            **params,
            "the shapes of the data": [list(data.X.shape), list(data.Y.shape)],
            "the data": self._digests[0],
            "the rows held out": self._digests[1],
            "the networks": [
                [[name, list(value.shape)] for name, value in network.state_dict().items()]
                for network in networks
            ],
        }

    def _fitted_by_now(self, run: Run) -> dict[str, Any]:
        """Return the attributes of an estimator whose fit had ended with this epoch."""
        fitted = copy.copy(self.model)
        with run.averaged():
            fitted.x_network_ = copy.deepcopy(self.model.x_network_)
            fitted.y_network_ = copy.deepcopy(self.model.y_network_)
        fitted._set_solution(self.training)
        fitted.loss_curve_, fitted.validation_scores_ = list(run.losses), list(run.scores)
        fitted.n_epochs_, fitted.device_ = run.epoch, str(self.training.device)
        given = set(self.model.get_params(deep=False))
        return {k: v for k, v in vars(fitted).items() if k not in given}


def digest(data: TrainingData) -> str:
    """Return a fingerprint of rows in their order, of their labels and of their weights."""
    found = hashlib.blake2b(digest_size=16)
    for V in (data.X, data.Y):
        if isinstance(V, RaggedRows):
            for song in V.songs:
                found.update(np.asarray(song).tobytes())
        else:
            step = block_rows(V.shape[1])
            for start in range(0, len(V), step):
                found.update(np.asarray(V[start : start + step]).tobytes())
    if data.labels is not None:
        found.update(repr(data.labels.classes.tolist()).encode())
        for member in (data.labels.x, data.labels.y):
            found.update(np.asarray(member.indices).tobytes())
            found.update(np.asarray(member.indptr).tobytes())
    for weights in data.weights:
        found.update(np.asarray(weights).tobytes())
    return found.hexdigest()
