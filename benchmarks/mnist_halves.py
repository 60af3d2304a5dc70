"""MNIST halves: total correlation of 50 components between left and right halves.

    python -m benchmarks.mnist_halves --data-home DIR               # all of it
    python -m benchmarks.mnist_halves --data-home DIR --only kcca   # the others' rows stay

54,000 images to fit on, 6,000 to choose on, 10,000 to test on (Andrew et al., 2013). The ridges of
CCA and of KCCA are chosen on the 6,000, and so were, by hand, noise, dropout, learning rate and
epochs of DCCA: 45.9 without noise, dropout and averaging, 46.3 with noise and averaging, 46.4 with
dropout, 46.5 with twice the learning rate; a cosine schedule, or 3,072 units beside one, 45.8. Each
model has its own process, whose peak memory, data and all fits included, is listed beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable

from benchmarks._record import RESULTS, Record, mean_and_deviation
from skcca import CCA, DCCA, KCCA
from skcca.datasets import load_mnist_halves

N_COMPONENTS = 50
CCA_RIDGES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
KCCA_RIDGES = (1e-7, 1e-6, 1e-5, 1e-4)
BARS = {"CCA": 28.4, "KCCA": 43.0, "DCCA": 45.0}

Model = CCA | KCCA | DCCA
Part = tuple  # two views


def main() -> None:
    """Fit, measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-home", help="folder of the data sets; else SKCCA_DATA")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--here", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    sizes = {"landmarks": 1500, "epochs": 80, "hidden": 2048, "batch": 4500, "seeds": 5}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measured(options.here, options)))
        return
    record = Record(
        "mnist_halves",
        "MNIST halves, total correlation of 50 components",
        "54,000 / 6,000 / 10,000 images; projection of the training rows; at most 50; DCCA: mean "
        "of several seeds",
        ("train", "tune", "test", "peak GiB"),
    )
    record.add("CCA", (None, None, 28.0, None), kind="published")
    record.add("KCCA", (None, None, 33.0, None), kind="published")
    record.add("DCCA", (None, None, 39.7, None), kind="published")
    before = _results_so_far()
    settings = {part: before["settings"].get(part) for part in PARTS}
    for part in PARTS:
        label = part.upper()
        if part in options.only:
            row, setting = _in_own_processes(part, options.seeds if part == "dcca" else 1)
            settings = {**settings, part: setting}
        else:
            rows = [r for r in before["rows"] if r["kind"] == "measured"]
            row = next((r for r in rows if r["method"].startswith(f"{label}(")), None)
        if row is not None:
            values = row["values"]
            record.add(row["method"], values, row.get("deviations"))
            record.add(f"{label} must reach", (None, None, BARS[label], None), kind="bar")
    record.save("python -m benchmarks.mnist_halves", **settings)


def measured(part: str, options: argparse.Namespace) -> tuple[dict, str]:
    """Return the row of one model, and its parameters."""
    data = load_mnist_halves(data_home=options.data_home)
    parts = [(data[f"x_{name}"], data[f"y_{name}"]) for name in ("train", "tune", "test")]
    label, model = PARTS[part](options, *parts[:2])
    totals = [model.score(*views) for views in parts]
    # In KiB, but on macOS in bytes.
    unit = 2**30 if sys.platform == "darwin" else 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"method": label, "values": [*totals, peak]}, str(model)


def linear(options: argparse.Namespace, train: Part, tune: Part) -> tuple[str, Model]:
    """Fit CCA with the ridge that is best on the tuning rows."""
    models = [CCA(N_COMPONENTS, reg=reg).fit(*train) for reg in CCA_RIDGES]
    best = max(models, key=lambda model: model.score(*tune))
    return f"CCA(50, reg={best.reg})", best


def kernel(options: argparse.Namespace, train: Part, tune: Part) -> tuple[str, Model]:
    """Fit KCCA with the ridge that is best on the tuning rows."""
    models = [
        KCCA(
            N_COMPONENTS,
            # Pixels have the same unit, and rare ones are not more informative than others.
            scale=False,
            reg=reg,
            approximation="nystroem",
            n_landmarks=options.landmarks,
            random_state=0,
        ).fit(*train)
        for reg in KCCA_RIDGES
    ]
    best = max(models, key=lambda model: model.score(*tune))
    return f"KCCA(50, {options.landmarks:,} landmarks, reg={best.reg})", best


def deep(options: argparse.Namespace, train: Part, tune: Part) -> tuple[str, Model]:
    """Fit DCCA with one hidden layer."""
    model = DCCA(
        N_COMPONENTS,
        x_hidden_layer_sizes=(options.hidden,),
        y_hidden_layer_sizes=(options.hidden,),
        activation="relu",
        output_activation="identity",
        optimizer="adam",
        learning_rate=2e-3,
        dropout=0.2,
        input_noise=0.1,
        scale=False,
        batch_size=options.batch,
        max_epochs=options.epochs,
        average_epochs=20,
        random_state=options.seed,
        verbose=1,
    ).fit(*train)
    return f"DCCA(50, hidden {options.hidden}, {options.epochs} epochs)", model


PARTS: dict[str, Callable] = {"cca": linear, "kcca": kernel, "dcca": deep}


def _in_own_processes(part: str, n_seeds: int) -> tuple[dict, str]:
    """Return the row of means over seeds, one process each, and the parameters of the first."""
    rows, settings = [], []
    for seed in range(n_seeds):
        own = ["--here", part, "--seed", str(seed)]
        command = [sys.executable, "-m", "benchmarks.mnist_halves", *sys.argv[1:], *own]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        row, setting = json.loads(done.stdout.splitlines()[-1])
        print(f"    seed {seed}: {row['values']}", file=sys.stderr, flush=True)
        rows.append(row)
        settings.append(setting)
    mean, deviation = mean_and_deviation([row["values"] for row in rows])
    found = {"method": rows[0]["method"], "values": list(mean)}
    if deviation is not None:
        found["deviations"] = list(deviation)
    return found, settings[0]


def _results_so_far() -> dict:
    path = RESULTS / "mnist_halves.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": [], "settings": {}}


if __name__ == "__main__":
    main()
