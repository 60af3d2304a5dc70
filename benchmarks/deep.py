"""Speed of an epoch of the deep family beside the least work that there is.

    python -m benchmarks.deep             # on the GPU where there is one, else on the CPU
    python -m benchmarks.deep --device cpu --threads 1
    python -m benchmarks.deep --quick     # small; keeps no results

The least work of any method is a forward and a backward pass of both networks over the same
batches, and the least time for it is its arithmetic at the rate of one large product (the
roofline). Times are those between two epochs of one fit; the floor and the fits run in turns, and
the figures are medians over rounds. A naive loop in torch (whitening by eigh, gradients by
autograd) and, if Lightning is installed, cca-zoo's DCCA train the same networks for as many epochs.
On a GPU, where launches take most of the time of such small networks, there are 50 epochs, and
networks that are captured by torch or compute in bfloat16 are measured too.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch

from benchmarks._device import chosen_place
from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import take_turns
from skcca import DCCA, SupervisedDCCA
from skcca.nn import MLP

N_ROWS, WIDTHS, BATCH = 8_000, (128, 1_024), 512
N_OUTPUTS = 30
LAYERS = ((128, 128, 64, 64), (512, 512, 256, 256))
EPOCHS, GPU_EPOCHS, ROUNDS = 6, 50, 5
SIDE = 2_048  # of the matrices of a large product


def main() -> None:
    """Measure, print and keep."""
    place = chosen_place(__doc__ or "")
    device = place.device.type
    n_rows, rounds = (1_000, 2) if place.quick else (N_ROWS, ROUNDS)
    n_epochs = GPU_EPOCHS if place.on_gpu else EPOCHS
    views = simulated_views(n_rows, *WIDTHS).astype("float32")
    record = Record(
        "deep",
        "Speed of an epoch of the deep family",
        f"{n_rows:,} rows of {WIDTHS[0]} and {WIDTHS[1]:,} features in float32, batches of "
        f"{BATCH}, the paper's networks, {device} ({place.name}); the seconds of what a row is "
        "measured by, then how many times as long the epoch takes",
        ("seconds", "skcca", "at most"),
    )
    settings = {"device": device, "random_state": 0}
    supervised, own = SupervisedDCCA.paper(**settings), DCCA.paper(**settings)
    whole = {"batch_size": None, "output_activation": "identity"}
    works = {
        "product": lambda: large_product(device),
        "floor": lambda: floor_epoch(views.X, views.Y, device, n_epochs),
        "SupervisedDCCA": lambda: epoch(supervised, views, n_epochs),
        "DCCA": lambda: epoch(own, views, n_epochs),
        "default": lambda: epoch(SupervisedDCCA(**settings), views, n_epochs),
        "whole": lambda: epoch(SupervisedDCCA.paper(**settings, **whole), views, n_epochs),
        "pieces": lambda: epoch(
            SupervisedDCCA.paper(**settings, **whole, micro_batch_size=BATCH), views, n_epochs
        ),
        "naive": lambda: naive_epoch(views.X, views.Y, device, n_epochs),
    }
    if place.on_gpu:
        for name, build in (("captured", Captured), ("bfloat16", InBfloat16)):
            model = SupervisedDCCA.paper(**settings, x_network=build, y_network=build)
            works[name] = lambda model=model: epoch(model, views, n_epochs)
    missing = lightning_missing()
    if missing:
        print(f"cca-zoo's deep models are missing ({missing})")
    else:
        works["cca-zoo"] = lambda: cca_zoo_epoch(views.X, views.Y, device, n_epochs)
    found = taken(works, rounds)

    def add(label: str, of: str, base: str, most: float | None) -> None:
        ratios = np.divide(found[of], found[base])
        record.add(label, (float(np.median(found[base])), float(np.median(ratios)), most))

    found["arithmetic"] = [seconds * operations(n_rows) for seconds in found["product"]]
    add("forward and backward / arithmetic at the rate of a product", "floor", "arithmetic", None)
    add("SupervisedDCCA / forward and backward", "SupervisedDCCA", "floor", 1.15)
    add("DCCA / forward and backward", "DCCA", "floor", None)
    add("SupervisedDCCA with noise and relu / forward and backward", "default", "floor", None)
    add("SupervisedDCCA / DCCA", "SupervisedDCCA", "DCCA", 1.1)
    add("naive DCCA in torch / DCCA", "naive", "DCCA", None)
    if "cca-zoo" in found:
        add("DCCA of cca-zoo with Lightning / DCCA", "cca-zoo", "DCCA", None)
    for name in ("captured", "bfloat16"):
        if name in found:
            add(f"SupervisedDCCA of {name} networks / SupervisedDCCA", name, "SupervisedDCCA", None)
    add("batch of all rows in pieces of 512 / at once", "pieces", "whole", 1.8)
    if not place.quick:
        record.save(
            "python -m benchmarks.deep",
            device=place.name,
            rounds=rounds,
            epochs=n_epochs,
            cca_zoo_deep=f"missing: {missing}" if missing else "present",
        )


def taken(works: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the results of the tasks in turns, after a warm-up."""
    found: dict[str, list[float]] = {name: [] for name in works}

    def keep(name: str) -> Callable[[], None]:
        return lambda: found[name].append(works[name]())

    take_turns({name: keep(name) for name in works}, rounds)
    return {name: values[1:] if len(values) > rounds else values for name, values in found.items()}


def epoch(model: DCCA, views: object, n_epochs: int) -> float:
    """Return the median seconds between two epochs of a fit."""
    ends: list[float] = []
    model.set_params(max_epochs=n_epochs, callback=lambda _: ends.append(time.perf_counter()))
    model.fit(views.X, views.Y, labels=views.labels)
    return float(np.median(np.diff(ends)))


def network(n_features: int, n_outputs: int) -> MLP:
    """Return the paper's network of a view of so many features."""
    sizes = LAYERS[WIDTHS.index(n_features)]
    return MLP(n_features, sizes, n_outputs, dropout=0.2)


def networks() -> tuple[MLP, MLP]:
    """Return the paper's networks of both views."""
    torch.manual_seed(0)
    x_network, y_network = (network(width, N_OUTPUTS) for width in WIDTHS)
    return x_network, y_network


class Captured(torch.nn.Module):
    """Network compiled by torch, launched as a whole."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__()
        self.inner = torch.compile(network(n_features, n_outputs), mode="reduce-overhead")

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        # The next launch overwrites the outputs of this one.
        return self.inner(rows).clone()


class InBfloat16(torch.nn.Module):
    """Network that computes in bfloat16, with outputs of float32."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__()
        self.inner = network(n_features, n_outputs)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast(rows.device.type, dtype=torch.bfloat16):
            return self.inner(rows).float()


def operations(n_rows: int) -> float:
    """Return the multiplications of an epoch: each weight thrice a row, in units of a product's."""
    weights = sum(w.numel() for net in networks() for w in net.parameters() if w.ndim == 2)
    return 3 * n_rows * weights / SIDE**3


def large_product(device: str) -> float:
    """Return the median seconds of a product of two square matrices."""
    A, B = torch.randn(2, SIDE, SIDE, device=device)
    times = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        (A @ B)[0, 0].item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def floor_epoch(X: np.ndarray, Y: np.ndarray, device: str, n_epochs: int) -> float:
    """Return the median seconds of forward and backward passes over all batches."""

    def step(zx: torch.Tensor, zy: torch.Tensor) -> torch.Tensor:
        return zx.sum() + zy.sum()

    return loop_epoch(X, Y, device, n_epochs, step)


def naive_epoch(X: np.ndarray, Y: np.ndarray, device: str, n_epochs: int) -> float:
    """Return the median seconds of an epoch of a naive implementation."""

    def root(S: torch.Tensor) -> torch.Tensor:
        values, vectors = torch.linalg.eigh(S + 1e-3 * torch.eye(len(S), device=S.device))
        return vectors @ torch.diag(values.clamp_min(1e-12) ** -0.5) @ vectors.T

    def step(zx: torch.Tensor, zy: torch.Tensor) -> torch.Tensor:
        zx, zy = zx - zx.mean(dim=0), zy - zy.mean(dim=0)
        T = root(zx.T @ zx / len(zx)) @ (zx.T @ zy / len(zx)) @ root(zy.T @ zy / len(zx))
        return -torch.linalg.svdvals(T).sum()

    return loop_epoch(X, Y, device, n_epochs, step, learning_rate=1e-3)


def loop_epoch(
    X: np.ndarray,
    Y: np.ndarray,
    device: str,
    n_epochs: int,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    learning_rate: float = 0.0,
) -> float:
    """Return the median seconds of an epoch of a plain loop; without a rate, weights are fixed."""
    both = [net.to(device) for net in networks()]
    parameters = [weight for net in both for weight in net.parameters()]
    optimizer = torch.optim.RMSprop(parameters, lr=learning_rate)
    rows = [torch.as_tensor(V, device=device) for V in (X, Y)]
    times = []
    for _ in range(n_epochs):
        start = time.perf_counter()
        for places in torch.randperm(len(X), device=device).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(*(net(V[places]) for net, V in zip(both, rows, strict=True))).backward()
            if learning_rate:
                optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def cca_zoo_epoch(X: np.ndarray, Y: np.ndarray, device: str, n_epochs: int) -> float:
    """Return the median seconds of an epoch of cca-zoo's DCCA, without logging."""
    import lightning.pytorch as lightning
    from cca_zoo.deep import DCCA as PeerDCCA
    from cca_zoo.deep import MultiviewDataset
    from torch.utils.data import DataLoader

    ends: list[float] = []

    class Clock(lightning.Callback):
        def on_train_epoch_end(self, trainer: object, module: object) -> None:
            ends.append(time.perf_counter())

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    model = PeerDCCA(N_OUTPUTS, list(networks()), reg_covar=1e-3)
    loader = DataLoader(MultiviewDataset([X, Y]), batch_size=BATCH, shuffle=True)
    trainer = lightning.Trainer(
        max_epochs=n_epochs, accelerator="gpu" if device == "cuda" else "cpu", logger=False,
        enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False,
        callbacks=[Clock()],
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the number of workers
        trainer.fit(model, loader)
    return float(np.median(np.diff(ends)))


def lightning_missing() -> str | None:
    """Return the reason why cca-zoo's deep models cannot be imported, or None."""
    try:
        import_module("cca_zoo.deep")
    except ImportError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main()
