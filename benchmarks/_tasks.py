"""Real data of two views with classes, as tasks of cross-modal retrieval."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import ParameterGrid, train_test_split

from skcca.datasets import (
    load_digit_halves,
    load_mnist,
    load_multiple_features,
    load_nutrimouse,
    load_spoken_digits,
    load_wikipedia,
    make_music_videos,
)
from skcca.metrics import chance_map, mean_average_precision_score

Rows = tuple[np.ndarray, np.ndarray]  # a view and its labels


class Task(NamedTuple):
    """Two views of training and test rows, paired row by row or by class alone."""

    x_train: Rows
    y_train: Rows
    x_test: Rows
    y_test: Rows

    @property
    def paired(self) -> bool:
        """Whether the rows of the two views belong together."""
        return np.array_equal(self.x_train[1], self.y_train[1])

    @property
    def chance(self) -> float:
        """MAP of a random ranking."""
        return chance_map(self.x_test[1], self.y_test[1])


class Choice(NamedTuple):
    """Settings, and the mean MAP for which they were chosen."""

    settings: dict[str, Any]
    held_out_map: float


def retrieval(model: Any, task: Task) -> tuple[float, float]:
    """Return MAP of queries from the first view and from the second, by cosine, over full lists."""
    (X, x_labels), (Y, y_labels) = task.x_train, task.y_train
    with warnings.catch_warnings():
        # Outputs of the networks of which the classes support fewer components.
        warnings.filterwarnings("ignore", message=".*the data support", category=UserWarning)
        model.fit(X, Y, labels=x_labels if task.paired else (x_labels, y_labels))
    queries, gallery = model.transform(task.x_test[0]), model.transform_y(task.y_test[0])
    labels = task.x_test[1], task.y_test[1]
    return (
        mean_average_precision_score(queries, gallery, *labels),
        mean_average_precision_score(gallery, queries, *labels[::-1]),
    )


def held_out(task: Task, fraction: float = 0.25, seed: int = 0) -> Task:
    """Return a task within the training rows, for the choice of settings."""
    parts = [_split(rows, fraction, seed) for rows in (task.x_train, task.y_train)]
    return Task(parts[0][0], parts[1][0], parts[0][1], parts[1][1])


def best_settings(
    build: Callable[..., Any], grid: dict[str, list], tasks: Sequence[Task]
) -> Choice:
    """Return the settings of the grid with the best score on rows held out of the training sets.

    ``build(seed, **settings)`` returns an estimator; the mean of both directions over the tasks
    decides, of each of which other rows are held out.
    """
    splits = [held_out(task, seed=seed) for seed, task in enumerate(tasks)]

    choices = []
    for settings in ParameterGrid(grid):
        runs = [retrieval(build(i, **settings), task) for i, task in enumerate(splits)]
        choices.append(Choice(settings, float(np.mean(runs))))
        print(f"    {choices[-1].held_out_map:.4f} on held-out rows  {settings}", flush=True)
    return max(choices, key=lambda choice: choice.held_out_map)


def wikipedia(data_home: str | None, seed: int = 0, *, roots: bool = True) -> Task:
    """Return images and texts; by default square roots of both views, which are distributions."""
    data = load_wikipedia(data_home=data_home)
    function = np.sqrt if roots else np.asarray
    train, test = data.labels_train, data.labels_test
    return Task(
        *((function(data[f"{side}_train"]), train) for side in "xy"),
        *((function(data[f"{side}_test"]), test) for side in "xy"),
    )


def digits(
    data_home: str | None, seed: int = 0, *, n_images: int = 2_700, n_stretches: int = 10
) -> Task:
    """Return spoken digits (means of equal stretches of 40 bands) and MNIST; there are no pairs."""
    spoken, written = load_spoken_digits(data_home=data_home), load_mnist(data_home=data_home)
    return Task(
        (stretch_means(spoken.x_train, n_stretches), spoken.labels_train),
        (written.x_train[:n_images], written.labels_train[:n_images]),
        (stretch_means(spoken.x_test, n_stretches), spoken.labels_test),
        (written.x_test, written.labels_test),
    )


def few_digits(data_home: str | None, seed: int = 0) -> Task:
    """Return 300 spoken digits of 1,000 features and 300 images of 784, drawn by the seed."""
    task = digits(data_home, n_images=10_000, n_stretches=25)
    parts = (task.x_train, task.y_train)
    x_train, y_train = (_split(rows, 1 - 300 / len(rows[1]), seed)[0] for rows in parts)
    return task._replace(x_train=x_train, y_train=y_train)


def written_digits(data_home: str | None, seed: int = 0) -> Task:
    """Return Fourier and Karhunen-Loeve features of 2,000 digits, half of them held out."""
    data = load_multiple_features(data_home=data_home)
    return _halved(data.fourier, data.karhunen, data.labels, seed)


def digit_halves(data_home: str | None, seed: int = 0) -> Task:
    """Return left and right halves of the digits that come with scikit-learn; needs no file."""
    data = load_digit_halves()
    return _halved(data.x, data.y, data.labels, seed)


def mice(data_home: str | None, seed: int = 0) -> Task:
    """Return genes and lipids of mice on five diets; half of the 40, by the seed, are held out."""
    data = load_nutrimouse(data_home=data_home)
    return _halved(data.x, data.y, data.labels, seed)


def simulated_songs(data_home: str | None, seed: int = 0) -> Task:
    """Return music videos; the sound is the mean over the seconds with the emotion."""
    data = make_music_videos(random_state=seed)
    heard = [
        song[where].mean(axis=0) for song, where in zip(data.audio, data.stretches, strict=True)
    ]
    return _halved(np.stack(heard), data.visual, data.emotion, seed)


TASKS: dict[str, Callable[..., Task]] = {
    "Wikipedia": wikipedia,
    "spoken digits, MNIST": digits,
    "written digits": written_digits,
    "digit halves": digit_halves,
    "300 digits": few_digits,
    "nutrimouse": mice,
}


def stretch_means(recordings: list[np.ndarray], n_stretches: int = 10) -> np.ndarray:
    """Return the means of equal stretches of each recording, (n, n_stretches * n_bands)."""
    return np.stack([np.concatenate(_means(frames, n_stretches)) for frames in recordings])


def _means(frames: np.ndarray, n_stretches: int) -> list[np.ndarray]:
    borders = np.linspace(0, len(frames), n_stretches + 1)
    first, last = np.floor(borders[:-1]).astype(int), np.ceil(borders[1:]).astype(int)
    return [frames[a:b].mean(axis=0) for a, b in zip(first, last, strict=True)]


def _halved(X: np.ndarray, Y: np.ndarray, labels: np.ndarray, seed: int) -> Task:
    (x_train, x_test), (y_train, y_test) = (_split((V, labels), 0.5, seed) for V in (X, Y))
    return Task(x_train, y_train, x_test, y_test)


def _split(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Return kept and held-out rows, stratified by label."""
    V, labels = rows
    train, test = train_test_split(
        np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
    )
    return (V[train], labels[train]), (V[test], labels[test])
