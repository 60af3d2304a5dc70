"""All that computes on a GPU, in one command: whether it is right, and how fast it is.

    python -m benchmarks.gpu                        # 7 minutes at most; needs a GPU
    python -m benchmarks.gpu --only right deep      # some of it; or songs, linear, lists
    python -m benchmarks.gpu --device cpu --quick   # every path, small; keeps no results
    python -m benchmarks.gpu --device pretend --quick   # and on a device of pretence

right   Tasks of each kind, on the GPU and on the CPU: the largest difference of their results.
deep    Epochs of the paper's networks beside the forward and backward passes of a plain loop, with
        the small algebra on the host and on the GPU, captured networks, bfloat16, a naive loop
        and, where it is installed, cca-zoo with Lightning.
songs   The emotion network beside cuDNN's LSTM.
linear  Class-pair CCA of tensors beside three products.
lists   Full-list MAP beside one product and one sort.

torch, scikit-learn and matplotlib are all that it needs. Tasks run in turns; figures are medians.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

# SciPy reads this when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import torch
from sklearn import config_context

from benchmarks import attention, deep
from benchmarks._device import Place
from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import median, ratio, take_turns
from skcca import CCA, DCCA, ChunkSelector, ClusterCCA, SupervisedDCCA
from skcca.metrics import retrieval_score
from skcca.nn import AttentionTower, losses

Array = np.ndarray
Results = dict[str, Any]

ROUNDS = 3
LOSSES = ("trace", "frobenius", "soft_hgr", "ey", "contrastive", "ranking")
DIGITS = 1e-6  # of networks in float64, after some epochs
FLOAT32_DIGITS = 1e-3


def main() -> None:
    """Check, measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if options.device == "pretend":
        # Registers the device.
        importlib.import_module("benchmarks._pretend")
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(
            "torch finds no GPU here; --device pretend --quick runs every path without one."
        )
    on_cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_cuda else device.type
    place = Place(device, name, options.quick)
    # The paper's networks have more outputs than ten classes have directions.
    warnings.filterwarnings("ignore", message=".*the data support", category=UserWarning)
    for part in options.only:
        record = PARTS[part](place)
        if on_cuda and not place.quick:
            record.save(f"python -m benchmarks.gpu --only {part}", device=name, rounds=ROUNDS)


def timed(title: str, name: str, protocol: str, place: Place) -> Record:
    """Return an empty table of ratios."""
    protocol += f"; {place.name}; the seconds of the second, and how many times as long the first"
    return Record(f"gpu_{name}", title, protocol, ("seconds", "ratio"))


def add_ratios(
    record: Record, works: dict[str, Callable[[], object]], pairs: list[tuple[str, str]]
) -> None:
    """Time tasks in turns, and add a row for each pair of them."""
    times = take_turns(works, ROUNDS)
    for other, base in pairs:
        record.add(f"{other} / {base}", (median(times, base), ratio(times, other, base)))


def waited(work: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Return a task that ends when the device has finished it."""
    return attention.finished(work, device)


# Right


def right(place: Place) -> Record:
    """Compare results on the device with those on the CPU."""
    record = Record(
        "gpu_right",
        "Results on a GPU beside those on the CPU",
        f"the largest difference of scores, whose size is about one; {place.name}",
        ("difference", "at most"),
    )
    for name, (task, most) in tasks().items():
        here, there = task("cpu"), task(str(place.device))
        differences = [np.abs(np.asarray(a) - b).max() for a, b in zip(here, there, strict=True)]
        record.add(name, (float(max(differences)), most))
    return record


def tasks() -> dict[str, tuple[Callable[[str], list[Array]], float]]:
    """Return tasks by name, functions of a device that return arrays, and their tolerances."""
    rng = np.random.default_rng(0)
    codes = np.arange(240) % 4
    mood = rng.normal(size=(4, 3))[codes]
    X = np.hstack([mood + rng.normal(size=(240, 3)), rng.normal(size=(240, 5))])
    Y = np.hstack([mood + rng.normal(size=(240, 3)), rng.normal(size=(240, 6))])
    songs = [np.float32(m + rng.normal(size=(9 + i % 7, 3))) for i, m in enumerate(mood)]
    unknown = np.where(np.arange(240) % 3 == 0, None, codes.astype(object))
    # Random numbers of a GPU are others, so that nothing may be dropped at random.
    shared: Results = {
        "max_epochs": 4, "batch_size": 60, "dropout": 0.0, "input_noise": 0.0, "random_state": 0,
        "x_hidden_layer_sizes": (16,), "y_hidden_layer_sizes": (16,),
    }  # fmt: skip

    def deep_scores(cls: type[DCCA], labels: Any, device: str, **settings: Any) -> list[Array]:
        model = cls(2, device=device, **shared | settings).fit(X, Y, labels)
        return [*map(np.abs, model.transform(X, Y)), model.loss_curve_]

    def tower(device: str) -> list[Array]:
        build = partial(AttentionTower, hidden_size=8)
        model = DCCA(2, x_network=build, device=device, **shared).fit(songs, np.float32(Y))
        return [np.abs(model.transform(songs))]

    def emotions(device: str, **settings: Any) -> list[Array]:
        selector = ChunkSelector(
            hidden_size=8, max_epochs=3, dropout=0.0, random_state=0, device=device, **settings
        )
        selector.fit(songs, codes)
        return [selector.predict_proba(songs), np.concatenate(selector.attention(songs))]

    def linear_scores(model: CCA, device: str) -> list[Array]:
        with config_context(array_api_dispatch=True):
            views = [torch.tensor(V, device=device) for V in (X, Y)]
            model.fit(*views, codes)
            return [abs(Z).cpu().numpy() for Z in model.transform(*views)]

    def mean_precision(device: str) -> list[Array]:
        queries, gallery = (torch.tensor(V[:, :3], device=device) for V in (X, Y))
        return [np.array([retrieval_score(queries, gallery, codes)])]

    def continued(device: str, how: str) -> list[Array]:
        model = SupervisedDCCA(2, device=device, **shared)
        if how == "partial fit":
            for rows in (slice(0, 120), slice(120, 240)):
                model.partial_fit(X[rows], Y[rows], codes[rows])
        elif how == "warm start":
            model.set_params(warm_start=True).fit(X, Y, codes).fit(X, Y, codes)
        else:
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = os.path.join(folder, "checkpoint")
                model.set_params(checkpoint=checkpoint, max_epochs=2).fit(X, Y, codes)
                model.set_params(max_epochs=4).fit(X, Y, codes)
                model.save(os.path.join(folder, "model"))
                model = SupervisedDCCA.load(os.path.join(folder, "model"))
        return [*map(np.abs, model.transform(X, Y))]

    def on_disk(device: str) -> list[Array]:
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, f"{name}.npy") for name in "xy"]
            for path, V in zip(paths, (X, Y), strict=True):
                np.save(path, V)
            maps = [np.load(path, mmap_mode="r") for path in paths]
            model = SupervisedDCCA(2, device=device, **shared).fit(*maps, codes)
            return [*map(np.abs, model.transform(X, Y))]

    supervised = partial(deep_scores, SupervisedDCCA)
    found: dict[str, tuple[Callable[[str], list[Array]], float]] = {
        f"SupervisedDCCA, {loss}": (lambda d, loss=loss: supervised(codes, d, loss=loss), DIGITS)
        for loss in LOSSES
    }
    options: dict[str, Results] = {
        "the algebra on the device": {},
        "micro-batches": {"micro_batch_size": 16},
        "early stopping": {"early_stopping": True, "validation_fraction": 0.25},
        "averaged weights": {"average_epochs": 2},
        "reconstruction": {"reconstruction_weight": 0.1},
        "AdamW": {"optimizer": "adamw", "weight_decay": 1e-3},
        "cut gradients": {"max_grad_norm": 1.0},
        "sampled pairs": {"pair_fraction": 0.5},
    }
    for name, settings in options.items():

        def task(device: str, name: str = name, settings: Results = settings) -> list[Array]:
            with host_width(0 if "algebra" in name else losses.HOST_WIDTH):
                return supervised(codes, device, **settings)

        found[f"SupervisedDCCA, {name}"] = (task, DIGITS)
    whole = {"batch_size": None, "optimizer": "lbfgs"}
    found |= {
        "SupervisedDCCA, unknown labels": (
            lambda d: supervised(unknown, d, instance_weight=0.3), DIGITS),
        "SupervisedDCCA, memberships": (
            lambda d: supervised(np.eye(4)[codes] + 0.1, d), DIGITS),
        "SupervisedDCCA, rows on a disk": (on_disk, DIGITS),
        **{f"SupervisedDCCA, {how}": (partial(continued, how=how), DIGITS)
           for how in ("partial fit", "warm start", "checkpoint and file")},
        "DCCA": (lambda d: deep_scores(DCCA, None, d), DIGITS),
        "DCCA, L-BFGS": (lambda d: deep_scores(DCCA, None, d, **whole), FLOAT32_DIGITS),
        "DCCA of songs, attention tower": (tower, FLOAT32_DIGITS),
        "ClusterCCA of tensors": (lambda d: linear_scores(ClusterCCA(2), d), DIGITS),
        "CCA of tensors": (lambda d: linear_scores(CCA(2), d), DIGITS),
        "full-list MAP of tensors": (mean_precision, DIGITS),
    }  # fmt: skip
    for settings in ({}, {"cell": "peephole"}, {"cell": "peephole", "peepholes": "full"},
                     {"head": "per_step"}):  # fmt: skip
        name = ", ".join(["ChunkSelector", *settings.values()])
        found[name] = (lambda d, settings=settings: emotions(d, **settings), FLOAT32_DIGITS)
    return found


@contextmanager
def host_width(width: int) -> Iterator[None]:
    """Let outputs of up to this width be solved for on the host."""
    before, losses.HOST_WIDTH = losses.HOST_WIDTH, width
    try:
        yield
    finally:
        losses.HOST_WIDTH = before


# Fast


def epochs(place: Place) -> Record:
    """Time epochs of the deep family."""
    n_rows, n_epochs = (1_000, 2) if place.quick else (deep.N_ROWS, deep.GPU_EPOCHS)
    views = simulated_views(n_rows, *deep.WIDTHS).astype("float32")
    record = timed(
        "Epochs of the deep family on a GPU",
        "deep",
        f"{n_rows:,} rows of {deep.WIDTHS[0]} and {deep.WIDTHS[1]:,} features in float32, batches "
        f"of {deep.BATCH}, the paper's networks; medians of {n_epochs} epochs",
        place,
    )
    device = place.device.type
    model = SupervisedDCCA.paper(device=device, random_state=0)

    def run(width: int = losses.HOST_WIDTH, **networks: Any) -> float:
        with host_width(width):
            return deep.epoch(model.set_params(**plain | networks), views, n_epochs)

    plain = {"x_network": None, "y_network": None}
    works: dict[str, Callable[[], float]] = {
        "forward and backward": lambda: deep.floor_epoch(views.X, views.Y, device, n_epochs),
        "SupervisedDCCA": run,
        "algebra on the device": lambda: run(0),
        "naive loop": lambda: deep.naive_epoch(views.X, views.Y, device, n_epochs),
    }
    # The device of pretence has no autocast.
    if device != "pretend":
        works["bfloat16"] = lambda: run(x_network=deep.InBfloat16, y_network=deep.InBfloat16)
    if place.on_gpu:
        works["captured"] = lambda: run(x_network=deep.Captured, y_network=deep.Captured)
    missing = deep.lightning_missing()
    if missing:
        print(f"cca-zoo's deep models are missing ({missing})")
    else:
        works["cca-zoo with Lightning"] = lambda: deep.cca_zoo_epoch(
            views.X, views.Y, device, n_epochs
        )
    found = deep.taken(works, ROUNDS)
    for name in works:
        base = "forward and backward" if name == "SupervisedDCCA" else "SupervisedDCCA"
        if name != "forward and backward":
            ratios = np.divide(found[name], found[base])
            record.add(
                f"{name} / {base}", (float(np.median(found[base])), float(np.median(ratios)))
            )
    return record


def songs(place: Place) -> Record:
    """Time the emotion network."""
    n_songs = 200 if place.quick else attention.N_SONGS
    record = Record(
        "gpu_songs",
        "Speed of the emotion network on a GPU",
        f"songs of 24 to {attention.N_STEPS} steps of {attention.N_FEATURES} features, "
        f"{attention.HIDDEN} units a direction; inference on {n_songs:,} songs, the recurrences on "
        f"batches of {attention.BATCH}; {place.name}; the seconds of nn.LSTM on the padded "
        "batches, and how many times as long skcca takes",
        ("seconds", "skcca", "at most"),
    )
    rng = np.random.default_rng(0)
    lengths = rng.integers(24, attention.N_STEPS + 1, size=n_songs)
    made = [rng.normal(size=(n, attention.N_FEATURES)).astype(np.float32) for n in lengths]
    attention.inference(record, made, place.device, ROUNDS, ", ragged songs")
    attention.recurrences(record, made[: attention.BATCH], place.device, ROUNDS, ", ragged songs")
    return record


def linear(place: Place) -> Record:
    """Time class-pair CCA of tensors."""
    n, d_x, d_y = (5_000, 16, 32) if place.quick else (1_000_000, 128, 1_024)
    record = timed(
        "Class-pair CCA of tensors on a GPU",
        "linear",
        f"{n:,} rows of {d_x} and {d_y:,} features, ten classes; the products are X'X, Y'Y, X'Y",
        place,
    )
    torch.manual_seed(0)
    codes = torch.randint(10, (n,))
    for dtype in (torch.float32, torch.float64):
        here = {"device": place.device, "dtype": dtype}
        X, Y = (
            torch.randn(n, d, **here) + torch.randn(10, d, **here)[codes.to(place.device)]
            for d in (d_x, d_y)
        )
        kind = str(dtype).removeprefix("torch.")

        def products(X: torch.Tensor = X, Y: torch.Tensor = Y) -> list[torch.Tensor]:
            return [X.T @ X, Y.T @ Y, X.T @ Y]

        def fit(X: torch.Tensor = X, Y: torch.Tensor = Y) -> ClusterCCA:
            return ClusterCCA(9).fit(X, Y, codes.numpy())

        works = {f"products, {kind}": products, f"ClusterCCA, {kind}": fit}
        with config_context(array_api_dispatch=True):
            add_ratios(
                record,
                {name: waited(work, place.device) for name, work in works.items()},
                [(f"ClusterCCA, {kind}", f"products, {kind}")],
            )
    return record


def lists(place: Place) -> Record:
    """Time full ranked lists of many items."""
    n_queries, n_items = (50, 2_000) if place.quick else (1_000, 1_000_000)
    record = timed(
        "Full-list MAP on a GPU",
        "lists",
        f"{n_queries:,} queries of {n_items:,} items of 30 components, ten classes; the floor is "
        "one product and one sort of each block of 100 queries in float32",
        place,
    )
    torch.manual_seed(0)
    queries, items = (torch.randn(n, 30, device=place.device) for n in (n_queries, n_items))
    codes = [torch.randint(10, (n,)).numpy() for n in (n_queries, n_items)]

    def floor() -> None:
        for block in queries.split(100):
            (block @ items.T).sort(dim=1)

    works = {"floor": floor, "MAP": lambda: retrieval_score(queries, items, *codes)}
    works = {name: waited(work, place.device) for name, work in works.items()}
    add_ratios(record, works, [("MAP", "floor")])
    return record


PARTS: dict[str, Callable[[Place], Record]] = {
    "right": right, "deep": epochs, "songs": songs, "linear": linear, "lists": lists,
}  # fmt: skip

if __name__ == "__main__":
    main()
