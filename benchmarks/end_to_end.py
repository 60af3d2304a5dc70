"""Attention trained separately from the correlation, or together with it.

    python -m benchmarks.end_to_end --data-home DIR

The attention network reads sequences of any length and is used in four ways: trained to classify,
it selects the frames for the correlation, as in the paper; it is a tower of which only the last
layer is trained further; it is a tower that starts from these weights; or it is a tower that starts
from random weights and uses labels in the pairs only. For spoken digits the other tower is a small
convolutional network. Songs are simulated: 840 for training, of which 252 are annotated, and 360
for the test.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks._record import Record, arguments, mean_and_deviation
from benchmarks._tasks import Rows, Task, retrieval
from skcca import ChunkSelector, SupervisedDCCA
from skcca.datasets import load_mnist, load_spoken_digits, make_music_videos
from skcca.nn import AttentionTower

Settings = dict[str, Any]

TOWER: Settings = {"hidden_size": 64, "dropout": 0.3}
SELECTOR: Settings = TOWER | {"max_epochs": 30}
SONGS: Settings = {"max_epochs": 50, "batch_size": 256, "output_activation": "sigmoid"}
DIGITS: Settings = {
    "n_components": 9,
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "max_epochs": 15,
    "input_noise": 0.3,
}


def main() -> None:
    """Measure both, print and keep."""
    options = arguments(__doc__, seeds=3, images=10_000)
    record = Record(
        "end_to_end",
        "Attention trained apart from the correlation, or with it",
        f"cosine, full-list MAP on test rows; mean of {options.seeds} seeds; digits: "
        f"{options.images:,} images",
        ("audio to picture", "picture to audio"),
    )
    seeds = range(options.seeds)
    simulated = [songs(seed) for seed in seeds]
    record.add("simulated songs: chance", [simulated[0][0].chance] * 2, kind="chance")
    compare(record, "simulated songs", simulated, SONGS)
    spoken = digits(options.data_home, options.images)
    record.add("digits: chance", [spoken[0].chance] * 2, kind="chance")
    compare(record, "digits", [spoken] * options.seeds, DIGITS | {"y_network": Images})
    record.add("digits: trained jointly must reach", (0.975, 0.975), kind="bar")
    record.save("python -m benchmarks.end_to_end", seeds=options.seeds, images=options.images)


def compare(record: Record, name: str, tasks: list[tuple[Task, Rows]], settings: Settings) -> None:
    """Add a row for each use of attention."""
    found: dict[str, list] = {}
    for seed, (task, annotated) in enumerate(tasks):
        selector = ChunkSelector(**SELECTOR, random_state=seed, verbose=1).fit(*annotated)
        joint = partial(AttentionTower, **TOWER)
        ways: dict[str, tuple[Task, Any]] = {
            "mean of all frames": (of_rows(task, selector.set_params(n_chunks=1)), None),
            "chosen third": (of_rows(task, selector.set_params(n_chunks=3)), None),
            "trained apart": (task, selector.tower(frozen=True)),
            "trained apart, then jointly": (task, selector.tower()),
            "trained jointly": (task, joint),
        }
        for way, (seen, tower) in ways.items():
            model = SupervisedDCCA(x_network=tower, random_state=seed, verbose=1, **settings)
            found.setdefault(way, []).append(retrieval(model, seen))
    for way, runs in found.items():
        record.add(f"{name}: {way}", *mean_and_deviation(runs))


def of_rows(task: Task, selector: ChunkSelector) -> Task:
    """Return the task with the mean of the chosen frames for a sequence."""
    (train, train_labels), (test, test_labels) = task.x_train, task.x_test
    return task._replace(
        x_train=(selector.transform(train), train_labels),
        x_test=(selector.transform(test), test_labels),
    )


def songs(seed: int) -> tuple[Task, Rows]:
    """Return simulated music videos, and the annotated ones among the training songs."""
    data = make_music_videos(random_state=seed)
    parts = train_test_split(
        np.arange(len(data.emotion)), test_size=0.3, random_state=seed, stratify=data.emotion
    )

    def rows(places: np.ndarray) -> tuple[Rows, Rows]:
        emotion = data.emotion[places]
        return ([data.audio[i] for i in places], emotion), (data.visual[places], emotion)

    (x_train, y_train), (x_test, y_test) = map(rows, parts)
    annotated = [i for i in parts[0] if data.annotated[i]]
    return Task(x_train, y_train, x_test, y_test), rows(np.array(annotated))[0]


def digits(data_home: str | None, n_images: int) -> tuple[Task, Rows]:
    """Return recordings of spoken digits and images of written ones; all labels are known."""
    spoken, written = load_spoken_digits(data_home=data_home), load_mnist(data_home=data_home)
    x_train = (spoken.x_train, spoken.labels_train)
    y_train = (written.x_train[:n_images], written.labels_train[:n_images])
    x_test, y_test = (spoken.x_test, spoken.labels_test), (written.x_test, written.labels_test)
    return Task(x_train, y_train, x_test, y_test), x_train


class Images(nn.Sequential):
    """A small convolutional network of images in rows of 784."""

    def __init__(self, n_features: int, n_outputs: int):
        super().__init__(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(64 * 7 * 7, 128),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(128, n_outputs),
        )


if __name__ == "__main__":
    main()
