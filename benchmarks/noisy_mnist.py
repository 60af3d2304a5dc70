"""Noisy MNIST: classification of the first view with a second view in training only.

    python -m benchmarks.noisy_mnist --data-home DIR

The protocol of Wang et al. (2015): 50,000 / 10,000 / 10,000 images, ten components, networks of
three hidden layers of 1,024 units, no labels in the fit; then a linear support vector machine (one
against one) on the projections of the first view, whose C is chosen on the 10,000 tuning images.
"""

from __future__ import annotations

from typing import Any

from sklearn.svm import SVC
from sklearn.utils import Bunch

from benchmarks._record import Record, arguments, mean_and_deviation
from skcca import CCA, DCCA
from skcca.datasets import load_noisy_mnist

N_COMPONENTS = 10
CS = (0.01, 0.1, 1.0, 10.0)
CCA_RIDGES = (1e-3, 1e-2, 1e-1)
COLUMNS = ("error %", "held-out correlation")


def main() -> None:
    """Fit, measure, print and keep."""
    options = arguments(__doc__, seeds=3, epochs=15, hidden=1024)
    data = load_noisy_mnist(data_home=options.data_home)
    record = Record(
        "noisy_mnist",
        "Noisy MNIST, linear classification of the first view's projection",
        "50,000 / 10,000 / 10,000 images, ten components, labels in the classifier alone; test "
        f"error, and test total correlation (at most 10); deep: mean of {options.seeds} seeds",
        COLUMNS,
    )
    for name, error in (
        ("the images themselves", 13.1),
        ("CCA", 19.6),
        ("KCCA", 4.5),
        ("DCCA", 2.9),
        ("DCCAE", 2.2),
    ):
        record.add(name, (error, None), kind="published")
    linear = [CCA(N_COMPONENTS, reg=reg).fit(data.x_train, data.y_train) for reg in CCA_RIDGES]
    best = max(linear, key=lambda model: model.score(data.x_tune, data.y_tune))
    record.add(f"CCA(10, reg={best.reg})", measured(best, data))
    models = [deep(options, data, seed) for seed in range(options.seeds)]
    label = f"DCCA(10, hidden 3 x {options.hidden:,}, {options.epochs} epochs)"
    record.add(label, *mean_and_deviation([measured(model, data) for model in models]))
    record.save("python -m benchmarks.noisy_mnist", seeds=options.seeds, dcca=str(models[0]))


def deep(options: Any, data: Bunch, seed: int) -> DCCA:
    """Fit DCCA."""
    layers = (options.hidden,) * 3
    return DCCA(
        N_COMPONENTS,
        x_hidden_layer_sizes=layers,
        y_hidden_layer_sizes=layers,
        activation="relu",
        output_activation="identity",
        dropout=0.0,
        # The images are noisy already; with the default noise the networks find less than CCA.
        input_noise=0.0,
        optimizer="adam",
        scale=False,
        batch_size=1000,
        max_epochs=options.epochs,
        average_epochs=5,
        random_state=seed,
        verbose=1,
    ).fit(data.x_train, data.y_train)


def measured(model: CCA | DCCA, data: Bunch) -> tuple[float, float]:
    """Return the test error of the classifier that is best on the tuning images, and its score."""
    Z = {part: model.transform(data[f"x_{part}"]) for part in ("train", "tune", "test")}
    machines = [SVC(kernel="linear", C=C).fit(Z["train"], data.labels_train) for C in CS]
    best = max(machines, key=lambda machine: machine.score(Z["tune"], data.labels_tune))
    error = 100 * (1 - best.score(Z["test"], data.labels_test))
    return error, model.score(data.x_test, data.y_test)


if __name__ == "__main__":
    main()
