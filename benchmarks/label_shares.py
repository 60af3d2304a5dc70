"""Labels that few rows have, that are partly wrong, or that are continuous.

    python -m benchmarks.label_shares --data-home DIR
    python -m benchmarks.label_shares --only songs       # or shares, noise
    python -m benchmarks.label_shares --quick            # small; keeps no results

shares  A share of the training rows, at least two of each class, keeps its label. `SupervisedDCCA`
        is fitted to those rows alone, and to all rows, where those without a label have their own
        pairs, with the share `instance_weight` of all weight. The weight is the best of `WEIGHTS`
        on labelled training rows that are held out, in the mean of three folds. One of the
        candidates is 0, for which the rows without a label are left out, so that the choice can
        fall back. Recordings and images of digits have no own pairs: a row without a label would
        have no pair at all, so that the two curves are one, that of the labelled rows alone.
noise   A share of the training labels is wrong. A logistic regression on both views, fitted to
        the other folds, gives the probability p of each of K given labels; its ridge is chosen by
        the likelihood of held-out labels. The probabilities are memberships as they are, and so are
        the posteriors of the true class c, given the label too::

            q_c ~ max(p_c - e / K, 0) * (1 - e if the given label is c, else e / (K - 1))

        where e is the share of rows whose most likely label is not the given one, and wrong labels
        are taken to be equally frequent. The most likely class of either is its hard counterpart.
songs   Sound and pictures share a mood, which is rated by valence and arousal. Classes are those
        of k-means on the ratings, or soft ones. The gain of an item falls with the distance of its
        rating from that of the query.

Every fit takes as many steps of the optimizer as one over all training rows, so that few rows are
not at a disadvantage.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._record import Record, mean_and_deviation
from benchmarks._simulated import rated_songs
from benchmarks._tasks import (
    Rows,
    Task,
    digit_halves,
    digits,
    retrieval,
    wikipedia,
    written_digits,
)
from skcca import DCCA, ClusterCCA, SupervisedDCCA
from skcca.cluster import SoftMembership
from skcca.metrics import retrieval_score
from skcca.model_selection import PartlyLabelledKFold

PAIRED = {"Wikipedia": wikipedia, "digit halves": digit_halves, "written digits": written_digits}
UNPAIRED = {"spoken digits, MNIST": digits}
WEIGHTS = (0.0, 0.2, 0.5, 0.8)
AT, GAIN, LOSS = 0.1, 0.05, 0.005  # share of labels, least mean gain, and most loss of a set
# Ten classes span nine directions; further ones would serve the rows' own pairs alone.
N_COMPONENTS = 9
BATCH_SIZE = 512
RIDGES = (1e-3, 1e-2, 0.1, 1.0)  # of the logistic regression: values of C
HARD = ("labels as given", "most likely class", "most likely class, posterior")
# Ratings lie in [-1, 1]; at this distance the gain of an item is 0.61.
CLOSE = 0.25


class Plan(NamedTuple):
    """Sizes of a run."""

    data_home: str | None
    n_seeds: int = 5
    paired: dict[str, Callable[..., Task]] = PAIRED
    unpaired: dict[str, Callable[..., Task]] = UNPAIRED
    # Training rows of a view, at most.
    n_few: int = 2_500
    n_wrong: int = 500
    n_songs: int = 1_000
    max_epochs: int = 50
    shares: tuple[float, ...] = (0.02, 0.05, 0.1, 0.3, 1.0)
    wrong: tuple[float, ...] = (0.0, 0.2, 0.4)
    classes: tuple[int, ...] = (4, 8, 16)

    def tasks(self, load: Callable[..., Task], n_rows: int) -> list[Task]:
        """Return a task for each seed."""
        seeds = range(self.n_seeds)
        return [few_rows(load(self.data_home, seed), n_rows, seed) for seed in seeds]

    def model(self, n_rows: int, n_all: int, seed: int, weight: float = 0.0) -> SupervisedDCCA:
        """Return a model that takes as many steps over some rows as over all."""
        epochs = self.max_epochs * -(-n_all // BATCH_SIZE) // -(-n_rows // BATCH_SIZE)
        return SupervisedDCCA(
            N_COMPONENTS,
            instance_weight=weight,
            batch_size=BATCH_SIZE,
            max_epochs=epochs,
            random_state=seed,
        )


QUICK: dict[str, Any] = {
    "n_seeds": 2,
    "paired": {"digit halves": digit_halves},
    "unpaired": {},
    "n_few": 200,
    "n_wrong": 100,
    "n_songs": 200,
    "max_epochs": 3,
    "shares": (0.1, 1.0),
    "wrong": (0.4,),
    "classes": (4,),
}


def main() -> None:
    """Measure all three, print and keep."""
    parts = {"shares": shares, "noise": noise, "songs": songs}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-home", help="folder of the data sets; else SKCCA_DATA")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    options = parser.parse_args()
    plan = Plan(options.data_home)._replace(**QUICK if options.quick else {})
    # Few rows leave some pixels constant, and make small batches.
    for message in (".*constant over the rows", ".*say little of"):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    for name in options.only:
        record, settings = parts[name](plan)
        if not options.quick:
            command = f"python -m benchmarks.label_shares --only {name}"
            record.save(command, seeds=plan.n_seeds, **settings)


# Few labels


def shares(plan: Plan) -> tuple[Record, dict[str, Any]]:
    """Measure MAP against the share of labelled rows."""
    record = Record(
        "label_shares",
        "Few labelled rows, alone and beside the own pairs of the others",
        f"cosine, full-list MAP on test rows, mean of both directions and of {plan.n_seeds} seeds; "
        f"{plan.n_few:,} training rows at most, of which the share of a column keeps its label, "
        "at least two rows of each class; the weight of own pairs is chosen on held-out labelled "
        "training rows; recordings and images of digits have no own pairs",
        [f"{share:.0%} labelled" for share in plan.shares],
    )
    at = [share == AT for share in plan.shares]
    chosen: dict[str, list[float]] = {}
    gains = []
    for name, load in plan.paired.items():
        tasks = plan.tasks(load, plan.n_few)
        runs = [
            [both_ways(plan, task, share, seed) for share in plan.shares]
            for seed, task in enumerate(tasks)
        ]
        alone, together = (np.array([[cell[i] for cell in run] for run in runs]) for i in (0, 1))
        for j, share in enumerate(plan.shares):
            chosen[f"{name}, {share:.0%}"] = [run[j].weight for run in runs]
        own = [[own_pairs(plan, task, seed)] * len(at) for seed, task in enumerate(tasks)]
        add_chance(record, name, tasks)
        record.add(f"{name}: own pairs, DCCA", *mean_and_deviation(own))
        record.add(f"{name}: labelled rows alone", *mean_and_deviation(alone))
        record.add(f"{name}: all rows", *mean_and_deviation(together))
        least = [m - LOSS if here else None for m, here in zip(alone.mean(0), at, strict=True)]
        record.add(f"{name}: all rows must reach", least, kind="bar")
        gains.append(together - alone)
    record.add("mean gain of all rows", *mean_and_deviation(np.mean(gains, axis=0)))
    record.add("mean gain of all rows must reach", [GAIN if h else None for h in at], kind="bar")
    for name, load in plan.unpaired.items():
        tasks = plan.tasks(load, plan.n_few)
        runs = [
            [measured(plan, labelled_part(task, share, seed), seed) for share in plan.shares]
            for seed, task in enumerate(tasks)
        ]
        add_chance(record, name, tasks)
        record.add(f"{name}: labelled rows alone", *mean_and_deviation(runs))
    return record, {"chosen": chosen}


class Curves(NamedTuple):
    """MAP of the labelled rows alone and of all rows, and the weight that was chosen."""

    alone: float
    together: float
    weight: float


def both_ways(plan: Plan, task: Task, share: float, seed: int) -> Curves:
    """Return what is found with a share of the labels, without the other rows and with them."""
    labels = task.x_train[1]
    partly = relabelled(task, np.where(known_rows(labels, share, seed), labels, None))
    weight = chosen_weight(plan, partly, seed)
    alone = measured(plan, partly, seed)
    return Curves(alone, measured(plan, partly, seed, weight) if weight else alone, weight)


def chosen_weight(plan: Plan, task: Task, seed: int) -> float:
    """Return the weight that finds most among held-out labelled training rows, in the mean."""
    labels = task.x_train[1]
    known = np.array([label is not None for label in labels])
    smallest = np.unique(labels[known].astype(int), return_counts=True)[1].min()
    folds = PartlyLabelledKFold(min(3, int(smallest)), shuffle=True, random_state=seed)
    splits = []
    for train, rest in folds.split(labels, labels):
        held_out = rest[known[rest]]
        sides = rows_of(task.x_train, held_out), rows_of(task.y_train, held_out)
        splits.append(taken(task, train)._replace(x_test=sides[0], y_test=sides[1]))
    scores = [np.mean([measured(plan, s, seed, weight) for s in splits]) for weight in WEIGHTS]
    print(
        "   ", " ".join(f"{w}: {s:.3f}" for w, s in zip(WEIGHTS, scores, strict=True)), flush=True
    )
    return WEIGHTS[int(np.argmax(scores))]


def measured(plan: Plan, task: Task, seed: int, weight: float = 0.0) -> float:
    """Return MAP; without a weight of own pairs, rows without a label are left out."""
    n_all = len(task.x_train[1])
    if weight == 0 and task.x_train[1].dtype == object:
        known = np.flatnonzero([label is not None for label in task.x_train[1]])
        task = taken(task, known)
    n_rows = max(len(task.x_train[0]), len(task.y_train[0]))
    return float(np.mean(retrieval(plan.model(n_rows, n_all, seed, weight), task)))


def own_pairs(plan: Plan, task: Task, seed: int) -> float:
    """Return MAP of pairs of rows, without labels."""
    model = DCCA(N_COMPONENTS, batch_size=BATCH_SIZE, max_epochs=plan.max_epochs, random_state=seed)
    return float(np.mean(retrieval(model, task)))


def labelled_part(task: Task, share: float, seed: int) -> Task:
    """Return a task with the labelled rows alone, each side on its own."""
    sides = (task.x_train, task.y_train)
    x, y = (rows_of(rows, np.flatnonzero(known_rows(rows[1], share, seed))) for rows in sides)
    return task._replace(x_train=x, y_train=y)


def known_rows(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return a mask of the rows that keep their label: a share of each class, at least two."""
    rng, known = np.random.default_rng(seed), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        known[rows[: max(2, round(share * len(rows)))]] = True
    return known


# Wrong labels


def noise(plan: Plan) -> tuple[Record, dict[str, Any]]:
    """Measure MAP against the share of wrong labels, hard and soft."""
    record = Record(
        "label_noise",
        "Wrong labels, hard and soft",
        f"cosine, full-list MAP on test rows, mean of both directions and of {plan.n_seeds} seeds; "
        f"{plan.n_wrong:,} training rows at most; the probabilities are those of a logistic "
        "regression, out of fold; the posteriors, of true classes, heed the given label as well",
        [f"{wrong:.0%} wrong" for wrong in plan.wrong],
    )
    for name, load in plan.paired.items():
        tasks = plan.tasks(load, plan.n_wrong)
        found: dict[str, list[list[float]]] = {}
        for seed, task in enumerate(tasks):
            cells = [noisy(plan, task, wrong, seed) for wrong in plan.wrong]
            for kind in cells[0]:
                found.setdefault(kind, []).append([cell[kind] for cell in cells])
        add_chance(record, name, tasks)
        for kind, runs in found.items():
            record.add(f"{name}: {kind}", *mean_and_deviation(runs))
        means = {kind: np.mean(runs, axis=0) for kind, runs in found.items()}
        given = [
            m if w else None for m, w in zip(means["labels as given"], plan.wrong, strict=True)
        ]
        record.add(f"{name}: probabilities must reach", given, kind="bar")
        hard = np.max([m for kind, m in means.items() if kind in HARD], axis=0)
        record.add(f"{name}: posteriors must reach", hard, kind="bar")
    return record, {}


def noisy(plan: Plan, task: Task, wrong: float, seed: int) -> dict[str, float]:
    """Return MAP of each kind of labels, a share of which is wrong."""
    (X, labels), (Y, _) = task.x_train, task.y_train
    classes, codes = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(codes))[: round(wrong * len(codes))]
    # Any other class takes the place of the true one.
    codes[rows] = (codes[rows] + rng.integers(1, len(classes), len(rows))) % len(classes)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    ridges = {"logisticregression__C": RIDGES}
    search = GridSearchCV(classifier, ridges, scoring="neg_log_loss", cv=3)
    p = cross_val_predict(search, np.hstack([X, Y]), codes, cv=5, method="predict_proba")
    q = posteriors(p, codes)
    kinds = {
        "labels as given": codes,
        "most likely class": p.argmax(axis=1),
        "most likely class, posterior": q.argmax(axis=1),
        "probabilities": p,
        "posteriors": q,
    }
    return {kind: measured(plan, relabelled(task, L), seed) for kind, L in kinds.items()}


def posteriors(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the probabilities of the true classes, from those of the given labels."""
    n_classes = p.shape[1]
    wrong = np.mean(p.argmax(axis=1) != given)
    is_given = np.arange(n_classes) == given[:, None]
    q = np.maximum(p - wrong / n_classes, 0)
    q *= np.where(is_given, 1 - wrong, wrong / (n_classes - 1))
    return q / q.sum(axis=1, keepdims=True)


# Continuous ratings


def songs(plan: Plan) -> tuple[Record, dict[str, Any]]:
    """Measure the gains of ranked lists, with classes of ratings hard and soft."""
    record = Record(
        "label_ratings",
        "Songs rated by valence and arousal, in hard and in soft classes",
        f"{plan.n_songs:,} simulated songs to train on and half as many to test; NDCG of the first "
        f"ten by cosine, mean of both directions and of {plan.n_seeds} seeds; the gain of an item "
        f"falls with the distance of its rating, as a Gaussian of deviation {CLOSE}",
        [f"{k} classes" for k in plan.classes],
    )
    found: dict[str, list[list[float]]] = {}
    for seed in range(plan.n_seeds):
        for kind, run in rated(plan, seed).items():
            found.setdefault(kind, []).append(run)
    for kind, runs in found.items():
        drawn = "chance" if kind == "chance" else "measured"
        record.add(kind, *mean_and_deviation(runs), kind=drawn)
    for name in ("ClusterCCA", "SupervisedDCCA"):
        hard = np.mean(found[f"{name}, hard classes"], axis=0)
        record.add(f"{name}, soft classes must reach", hard, kind="bar")
    return record, {}


def rated(plan: Plan, seed: int) -> dict[str, list[float]]:
    """Return NDCG of each kind of labels, for each number of classes."""
    n = plan.n_songs
    X, Y, ratings = rated_songs(n + n // 2, seed)
    gains = np.exp(-cdist(ratings[n:], ratings[n:], "sqeuclidean") / (2 * CLOSE**2))

    def ndcg(queries: np.ndarray, gallery: np.ndarray) -> float:
        return retrieval_score(queries, gallery, relevance=gains, measure="ndcg@10")

    def fitted(model: Any, labels: np.ndarray | None = None) -> float:
        model.fit(X[:n], Y[:n], labels=labels)
        views = model.transform(X[n:]), model.transform_y(Y[n:])
        return (ndcg(*views) + ndcg(*views[::-1])) / 2

    nowhere = np.zeros((len(gains), 1))
    own = DCCA(N_COMPONENTS, batch_size=BATCH_SIZE, max_epochs=plan.max_epochs, random_state=seed)
    found: dict[str, list[float]] = {
        "chance": [ndcg(nowhere, nowhere)] * len(plan.classes),
        "own pairs, DCCA": [fitted(own)] * len(plan.classes),
    }
    for k in plan.classes:
        width = min(k - 1, N_COMPONENTS)
        kinds = {
            "hard": KMeans(k, n_init=10, random_state=seed).fit_predict(ratings[:n]),
            "soft": SoftMembership(k, random_state=seed).fit_transform(ratings[:n]),
        }
        for kind, labels in kinds.items():
            linear = ClusterCCA(width, reg=0.1)
            deep = plan.model(n, n, seed).set_params(n_components=width)
            for model in (linear, deep):
                name = f"{type(model).__name__}, {kind} classes"
                found.setdefault(name, []).append(fitted(model, labels))
    return found


# Tasks


def few_rows(task: Task, n_rows: int, seed: int) -> Task:
    """Return a task in float32, with so many training rows of each view at most."""

    def drawn(rows: Rows) -> Rows:
        every = np.arange(len(rows[1]))
        if len(every) <= n_rows:
            return rows
        kept, _ = train_test_split(every, train_size=n_rows, random_state=seed, stratify=rows[1])
        return rows_of(rows, kept)

    sides = (drawn(task.x_train), drawn(task.y_train), task.x_test, task.y_test)
    return Task(*((V.astype(np.float32), labels) for V, labels in sides))


def rows_of(rows: Rows, places: np.ndarray) -> Rows:
    """Return some rows of a view, with their labels."""
    V, labels = rows
    return V[places], labels[places]


def taken(task: Task, places: np.ndarray) -> Task:
    """Return a task with some of the training rows."""
    return task._replace(
        x_train=rows_of(task.x_train, places), y_train=rows_of(task.y_train, places)
    )


def relabelled(task: Task, labels: np.ndarray) -> Task:
    """Return a task with other labels of the training rows, which are pairs."""
    return task._replace(x_train=(task.x_train[0], labels), y_train=(task.y_train[0], labels))


def add_chance(record: Record, name: str, tasks: Sequence[Task]) -> None:
    """Add the row of a random ranking."""
    chance = float(np.mean([task.chance for task in tasks]))
    record.add(f"{name}: chance", [chance] * len(record.columns), kind="chance")


if __name__ == "__main__":
    main()
