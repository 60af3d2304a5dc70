"""Training loop: optimizers and schedules by name, early stopping, averaged weights, recovery.

Every network of skcca is trained here. The loop knows nothing of views or labels: it is handed the
batches, a step that makes the gradients of a batch and, for early stopping, a monitor, and it
guarantees that the weights it leaves behind are finite. The state of a `Run` holds everything that
continuing it takes.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skcca._core.files import parsing
from skcca._core.pairs import TrainingData, class_codes
from skcca._core.progress import ProgressBar
from skcca._core.warnings import warn
from skcca.nn.networks import (
    random_states,
    seed_generators,
    set_random_states,
    torch_defaults,
    twice,
)

Step = Callable[[Any], torch.Tensor]
Weights = dict[str, torch.Tensor]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}

# A step of more than this leaves the range of float32.
_MAX_RATE = 1e30

# Factor of the learning rate after a share of the epochs.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2,
}


class TrainingResult(NamedTuple):
    """Curves of a training run, and the state of its optimizer."""

    loss_curve: list[float]  # mean batch loss of each epoch
    validation_scores: list[float]  # monitor after each epoch; empty without a monitor
    n_epochs: int  # epochs run
    optimizer_state: dict[str, Any]  # to continue a warm start where it stopped


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the torch device: ``"auto"`` is CUDA where there is one, else the CPU.

    Apple's MPS is never chosen by itself: it has no float64, in which the moments are computed.

    Parameters
    ----------
    device : str or torch.device
        "auto", or what torch calls it.

    Returns
    -------
    device : torch.device
        A device that can compute.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        # Nothing can be computed on "meta", which torch takes for a device.
        torch.zeros(1, device=resolved).item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"`device`={device!r} is not usable here ({error}); use 'auto', 'cpu', 'cuda' or 'mps'."
        ) from error
    return resolved


class Turn:
    """Turn of a fit at torch's generators, which are those of the whole process.

    Within a ``with`` block torch draws from the state of the fit, and has its own defaults. At the
    end of the block, and while the turn is suspended, it is the caller's again.
    """

    # Turns are taken by one thread at a time. A step of training holds the second lock, for which
    # a fork waits: a child would never get the lock that a generator holds while it draws.
    turns, step = threading.RLock(), threading.RLock()
    # The turn that is taken, if it is, and the thread of its fit.
    taken: ClassVar[tuple[Turn, int] | None] = None

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device
        self._own: list[torch.Tensor] | None = None
        self._callers: list[torch.Tensor] | None = None
        self._block: contextlib.AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        block = self._take()
        block.__enter__()
        self._block = block
        return self

    def __exit__(self, *exception: Any) -> None:
        block, self._block = self._block, None
        # Ctrl-C may have ended the wait for the next turn.
        if block is not None:
            block.__exit__(*exception)

    @contextlib.contextmanager
    def _take(self) -> Iterator[None]:
        with self.turns, torch_defaults(self.device):
            outer, callers = Turn.taken, random_states(self.device)

            def give_back() -> None:
                set_random_states(self.device, callers)
                Turn.taken = outer

            try:
                self._callers, Turn.taken = callers, outer or (self, threading.get_ident())
                if self._own is None:
                    seed_generators(self.seed, self.device)
                else:
                    set_random_states(self.device, self._own)
                yield
                self._own = random_states(self.device)
            finally:
                twice(give_back)

    def suspended(self) -> _Suspension:
        """Give torch back while code of the user runs: it may draw numbers, and wait for fits."""
        return _Suspension(self)

    @classmethod
    def after_fork(cls) -> None:
        """Give torch back to the child of a fork, which has none of the other threads' turns."""
        cls.step.release()
        if cls.taken is not None and cls.taken[1] == threading.get_ident():
            return
        taken, cls.taken, cls.turns = cls.taken, None, threading.RLock()
        if taken is not None and taken[0]._callers is not None:
            # A child cannot use the parent's GPU.
            set_random_states(torch.device("cpu"), taken[0]._callers[:1])


class _Suspension:
    # A generator that Ctrl-C ends would take the turn again when it is collected.
    def __init__(self, turn: Turn):
        self._turn = turn

    def __enter__(self) -> None:
        self._turn.__exit__(None, None, None)

    def __exit__(self, *exception: object) -> None:
        self._turn.__enter__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=Turn.step.acquire,
        after_in_parent=Turn.step.release,
        after_in_child=Turn.after_fork,
    )


def seeded(seed: int, device: torch.device) -> Turn:
    """Seed torch inside the block, one thread at a time, and restore the global random state.

    Inside, torch has its own defaults, whatever the caller has set: float32 and the CPU, gradients,
    neither autocast nor inference mode.

    Parameters
    ----------
    seed : int
        Seed of torch.
    device : torch.device
        Where torch computes: a GPU has a random state of its own.

    Returns
    -------
    turn : context manager
        Its method `suspended` returns a context manager that gives torch back for a while.
    """
    return Turn(seed, device)


def by_backward(loss: Callable[[Any], torch.Tensor]) -> Step:
    """Return the step of a loss that torch differentiates.

    Parameters
    ----------
    loss : callable
        Returns a scalar tensor of a batch.

    Returns
    -------
    step : callable
        Adds the gradient of the loss of a batch to that of the parameters, and returns the loss.
    """

    def step(batch: Any) -> torch.Tensor:
        value = loss(batch)
        if not value.requires_grad:
            raise ValueError(
                "The loss of a batch is detached from every parameter that takes gradients; leave "
                "out detach(), no_grad() and NumPy."
            )
        value.backward()
        return value.detach()

    return step


def train(
    network: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    step: Step,
    *,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    learning_rate_schedule: str = "constant",
    weight_decay: float = 0.0,
    max_grad_norm: float | None = None,
    max_epochs: int,
    average_epochs: int = 1,
    monitor: Callable[[], float] | None = None,
    n_iter_no_change: int = 10,
    optimizer_state: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    after_epoch: Callable[[Run], bool] | None = None,
    verbose: int = 0,
    name: str = "skcca",
) -> TrainingResult:
    """Train ``network`` in place.

    Parameters
    ----------
    network : nn.Module
        Holds every parameter that is trained; already on its device.
    batches : callable
        ``batches(epoch)`` returns the batches of that epoch.
    step : callable
        ``step(batch)`` adds the gradients of a batch to those of the parameters and returns its
        loss, a scalar without a graph; ``by_backward(loss)`` makes one of a differentiable loss.
    optimizer : {"rmsprop", "adam", "adamw", "sgd", "lbfgs"}, default="adam"
        Optimizer, with torch's own settings but for those below.
    learning_rate : float, default=1e-3
        Passed to the optimizer.
    learning_rate_schedule : {"constant", "linear", "cosine"}, default="constant"
        How the learning rate falls to 0 over `max_epochs`, if it does.
    weight_decay : float, default=0.0
        Passed to the optimizer.
    max_grad_norm : float, default=None
        Longer gradients are cut to this norm.
    max_epochs : int
        Number of passes over the batches.
    average_epochs : int, default=1
        The weights are the mean of those after so many last epochs; a monitor judges that mean.
    monitor : callable, default=None
        ``monitor()`` returns a score of the current weights on held-out rows, higher is better.
        With a monitor the loop stops after ``n_iter_no_change`` epochs without a better score and
        restores the best weights.
    n_iter_no_change : int, default=10
        Patience, in epochs.
    optimizer_state : dict, default=None
        State of an earlier run, for a warm start.
    state : dict, default=None
        ``Run.state_dict()`` of an interrupted run, to continue as if nothing had happened.
    after_epoch : callable, default=None
        ``after_epoch(run)`` is called after every epoch and may return True to stop.
    verbose : int, default=0
        1 shows a progress bar.
    name : str, default="skcca"
        Name used in error messages.

    Returns
    -------
    result : TrainingResult
        Losses and scores of the epochs.

    Raises
    ------
    ValueError
        If the loss is not finite before one epoch is complete: there are no good weights to return
        to.

    Warns
    -----
    ConvergenceWarning
        If the loss or a weight is not finite later, or Ctrl-C stops the run after its first epoch:
        the best weights so far are restored.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError(f"{name}: the networks have no parameter to train.")
    stepper = make_optimizer(optimizer, parameters, learning_rate, weight_decay)
    if optimizer_state is not None:
        stepper.load_state_dict(optimizer_state)
        # The state has brought the settings of its run with it.
        for group in stepper.param_groups:
            if "weight_decay" in group:
                group["weight_decay"] = weight_decay
    run = Run(network, stepper, average_epochs, monitored=monitor is not None)
    if state is not None:
        run.load_state_dict(state)
    take = make_step(stepper, step, parameters, max_grad_norm)
    schedule = SCHEDULES[learning_rate_schedule]
    progress = ProgressBar(max_epochs, name, done=run.epoch) if verbose > 0 else None
    with progress or contextlib.nullcontext():
        while run.epoch < max_epochs and not run.out_of_patience(n_iter_no_change):
            for group in stepper.param_groups:
                group["lr"] = learning_rate * schedule(run.epoch / max_epochs)
            try:
                value = _epoch(network, batches(run.epoch), take, parameters)
                diverged = not math.isfinite(value)
                if not diverged:
                    run.end_epoch(value, monitor)
                    if progress is not None:
                        progress.step(run.note)
                    if after_epoch is not None and after_epoch(run):
                        break
            except KeyboardInterrupt:
                if run.best is None:
                    raise
                why = f"{name}: interrupted in epoch {run.epoch + 1}."
            else:
                if not diverged:
                    continue
                why = (
                    f"{name}: training diverged in epoch {run.epoch + 1} (the loss or a weight is "
                    f"not finite); lower `learning_rate`={learning_rate!r} or scale the input."
                )
                if run.best is None:
                    raise ValueError(why + " Nothing was fitted.")
            run.restore_best()
            warn(f"{why} The weights of epoch {run.best_epoch + 1} are kept.", ConvergenceWarning)
            return run.result()
    run.finish()
    return run.result()


class Run:
    """State of a training run: its curves, its best weights, and all that continuing takes.

    The best epoch is that of the best score where the run is monitored. Else it is that of the
    least loss, and of interest only if the run breaks off.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average_epochs: int,
        *,
        monitored: bool,
    ):
        self.network, self.optimizer, self.monitored = network, optimizer, monitored
        self.average_epochs = average_epochs
        self.losses: list[float] = []
        self.scores: list[float] = []
        self.best: Weights | None = None
        self.best_value, self.best_epoch = -math.inf, 0
        # Weights of the last epochs, where they are averaged.
        self._recent: list[Weights] = []

    @property
    def epoch(self) -> int:
        """Number of epochs that are complete."""
        return len(self.losses)

    @property
    def note(self) -> str:
        """Loss and score of the last epoch, for the progress line."""
        score = f"  score {self.scores[-1]:.4f}" if self.scores else ""
        return f"loss {self.losses[-1]:.4f}{score}"

    def out_of_patience(self, n_iter_no_change: int) -> bool:
        """Whether so many epochs have brought no better score."""
        return self.monitored and self.epoch - 1 - self.best_epoch >= n_iter_no_change

    def end_epoch(self, loss: float, monitor: Callable[[], float] | None) -> None:
        """Record an epoch whose loss and weights are finite."""
        if self.average_epochs > 1:
            self._recent = [*self._recent, _copy(self.network)][-self.average_epochs :]
        with self.averaged():
            score = None if monitor is None else monitor()
            self.losses.append(loss)
            if score is not None:
                self.scores.append(score)
            merit = -loss if score is None else score
            # A NaN score must not become the best one, yet the first epoch always leaves a state to
            # return to.
            if self.best is None or merit > self.best_value:
                self.best, self.best_epoch = _copy(self.network), self.epoch - 1
                self.best_value = merit if math.isfinite(merit) else -math.inf

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the network have the averaged weights inside the block."""
        if len(self._recent) < 2:
            yield
            return
        current = _copy(self.network)
        self.network.load_state_dict(_mean(self._recent))
        try:
            yield
        finally:
            self.network.load_state_dict(current)

    def restore_best(self) -> None:
        """Return to the best weights."""
        assert self.best is not None
        self.network.load_state_dict(self.best)

    def finish(self) -> None:
        """Leave the network with the best weights, or with the mean of the last ones."""
        if self.monitored:
            self.restore_best()
        elif len(self._recent) > 1:
            self.network.load_state_dict(_mean(self._recent))

    def result(self) -> TrainingResult:
        """Return the curves of the run, and the state of its optimizer."""
        return TrainingResult(self.losses, self.scores, self.epoch, self.optimizer.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs to continue to the bit."""
        on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "scores": self.scores,
            "best": self.best,
            "best_value": self.best_value,
            "best_epoch": self.best_epoch,
            "recent": self._recent,
            "random": torch.get_rng_state(),
            "random_on_gpu": torch.cuda.get_rng_state() if on_gpu else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of another run."""
        with parsing(state.get("refusal", "The state does not hold what it must")):
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.losses, self.scores = list(state["losses"]), list(state["scores"])
            self.best = state["best"]
            # Files are read to the CPU; the mean is taken where the weights to come will lie.
            device = next(self.network.parameters()).device
            self._recent = [{k: v.to(device) for k, v in w.items()} for w in state["recent"]]
            self.best_value, self.best_epoch = state["best_value"], state["best_epoch"]
            torch.set_rng_state(state["random"])
            if state["random_on_gpu"] is not None:
                torch.cuda.set_rng_state(state["random_on_gpu"])


def _epoch(
    network: nn.Module,
    batches: Iterable[Any],
    take: Callable[[Any], torch.Tensor],
    parameters: list[nn.Parameter],
) -> float:
    """Run one epoch, and return its mean loss: NaN if a loss or a weight is not finite."""
    network.train()
    losses = []
    for batch in batches:
        with Turn.step:
            losses.append(take(batch))
        # On a GPU, reading every loss would make the device wait for the host.
        if losses[-1].device.type == "cpu" and not math.isfinite(losses[-1].item()):
            break
    mean = torch.stack(losses).mean()
    finite = torch.stack([torch.isfinite(p).all() for p in (mean, *parameters)]).all()
    # The device is read once an epoch.
    return float(torch.where(finite, mean, torch.nan))


def _copy(network: nn.Module) -> Weights:
    return copy.deepcopy(network.state_dict())


def _mean(weights: list[Weights]) -> Weights:
    """Return the mean of weights and running statistics; counters are the last ones."""
    return {
        name: torch.stack([w[name] for w in weights]).mean(dim=0)
        if last.is_floating_point()
        else last
        for name, last in weights[-1].items()
    }


# Validation data


def train_validation_split(
    data: TrainingData, fraction: float, rng: np.random.Generator, name: str
) -> tuple[TrainingData, TrainingData]:
    """Return training and validation rows, split class by class where there are labels."""
    labels = data.labels
    x_mask = validation_mask(len(data.X), fraction, labels and labels.x, rng)
    y_mask = x_mask
    if labels is not None and labels.unpaired:
        y_mask = validation_mask(len(data.Y), fraction, labels.y, rng)
    training = data.take(np.flatnonzero(~x_mask), np.flatnonzero(~y_mask))
    validation = data.take(np.flatnonzero(x_mask), np.flatnonzero(y_mask))
    if min(len(V) for part in (training, validation) for V in part[:2]) < 3:
        raise ValueError(
            f"{name}: `validation_fraction`={fraction} leaves {len(training.X)} training and "
            f"{len(validation.X)} validation rows; early stopping needs 3 of each at least."
        )
    return training, validation


def validation_mask(
    n_rows: int, fraction: float, membership: sparse.csr_array | None, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of validation rows, to which every class gives its share, rounded at random."""
    order = rng.permutation(n_rows)
    if membership is not None:
        n_labels = np.diff(membership.indptr)
        # Of rows of several tags it is known alone whether they have any.
        codes = class_codes(membership) if n_labels.max() <= 1 else n_labels == 0
        order = order[np.argsort(codes[order], kind="stable")]
    # Evenly spaced places in class order take each class's share, whatever its size.
    n_validation = max(round(fraction * n_rows), 1)
    places = (np.arange(n_validation) + rng.random()) * n_rows / n_validation
    mask = np.zeros(n_rows, dtype=bool)
    mask[order[places.astype(int)]] = True
    return mask


# Optimizers


def make_optimizer(
    name: str, parameters: list[nn.Parameter], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return an optimizer of torch; L-BFGS with a line search by the strong Wolfe conditions."""
    learning_rate, weight_decay = float(learning_rate), float(weight_decay)
    for parameter, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if not 0 <= value <= _MAX_RATE:
            raise ValueError(f"`{parameter}`={value!r} must be a number from 0 to {_MAX_RATE:g}.")
    if name == "lbfgs":
        if weight_decay:
            raise ValueError(
                f"`weight_decay`={weight_decay!r} is not known to optimizer='lbfgs'; set it to 0, "
                "or choose 'adamw'."
            )
        return torch.optim.LBFGS(parameters, lr=learning_rate, line_search_fn="strong_wolfe")
    return OPTIMIZERS[name](parameters, lr=learning_rate, weight_decay=weight_decay)


def make_step(
    optimizer: torch.optim.Optimizer,
    step: Step,
    parameters: list[nn.Parameter],
    max_grad_norm: float | None,
) -> Step:
    """Return a function of a batch that changes the parameters and returns the loss before."""

    def gradient(batch: Any) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = step(batch)
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, max_grad_norm)
        return loss

    def first_order(batch: Any) -> torch.Tensor:
        loss = gradient(batch)
        optimizer.step()
        return loss

    def second_order(batch: Any) -> torch.Tensor:
        device, seed = parameters[0].device, int(torch.randint(2**31, ()))
        first: list[torch.Tensor] = []

        def closure() -> float:
            # A line search compares values of one function: dropout must not change it.
            before = random_states(device)
            seed_generators(seed, device)
            first.append(gradient(batch))
            set_random_states(device, before)
            return first[-1].item()

        optimizer.step(closure)
        return first[0]

    return second_order if isinstance(optimizer, torch.optim.LBFGS) else first_order
