"""Fit, score and report retrieval methods, for all data sets of the main example."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.cross_decomposition import PLSSVD
from sklearn.metrics.pairwise import cosine_similarity

from skcca import CCA, DCCA, KCCA, ClusterCCA, SupervisedDCCA
from skcca.metrics import chance_map, mean_average_precision_score, retrieval_precision_recall

N_STEPS = 6
STARTED = time.perf_counter()
# The colours of Okabe and Ito can be told apart by colour-blind readers, the dashes in print.
STYLES = [
    ("#0072B2", "-"),
    ("#E69F00", "--"),
    ("#009E73", "-."),
    ("#56B4E9", (0, (6, 2))),
    ("#CC79A7", (0, (3, 1, 1, 1))),
    ("#D55E00", "-"),
]


class Rows(NamedTuple):
    """Queries, the gallery that they search, and the class of each row."""

    queries: np.ndarray
    gallery: np.ndarray
    query_labels: np.ndarray
    gallery_labels: np.ndarray
    # Gallery row of each query; None means that row i is the partner of query i.
    partners: np.ndarray | None = None


class Task(NamedTuple):
    """Training and test rows; the opposite direction of retrieval is scored if it has a name."""

    train: Rows
    test: Rows
    way_back: str | None = None


class Result(NamedTuple):
    """Score and curve of one method."""

    # Mean average precision.
    score: float
    chance: float
    precision: np.ndarray
    recall: np.ndarray


class Comparison(NamedTuple):
    """Results and fitted models, by column of the table and method."""

    results: dict[str, dict[str, Result]]
    models: dict[str, dict[str, Any]]


def make_models(n_components: int, seed: int) -> dict[str, Any]:
    """Return the methods, all with the same number of components."""
    # With more features than rows, the training rows of any two views correlate perfectly, so the
    # linear methods need shrinkage. The other methods have a ridge by default.
    return {
        "PLS-SVD": PLSSVD(n_components),
        "CCA": CCA(n_components, reg="auto"),
        "KCCA": KCCA(n_components),
        "DCCA": DCCA(n_components, random_state=seed),
        "ClusterCCA": ClusterCCA(n_components, reg="auto"),
        "SupervisedDCCA": SupervisedDCCA(n_components, random_state=seed),
    }


def fit(model: Any, train: Rows) -> Any:
    """Fit on all pairs of a class, or on pairs of rows for methods without classes."""
    queries, gallery, query_labels, gallery_labels, partners = train
    if isinstance(model, ClusterCCA | SupervisedDCCA):
        if partners is None:
            return model.fit(queries, gallery, query_labels)
        return model.fit(queries, gallery, labels=(query_labels, gallery_labels))
    return model.fit(queries, gallery if partners is None else gallery[partners])


def embed(model: Any, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Embed queries and gallery in the shared space."""
    # PLSSVD of scikit-learn cannot transform the second view alone.
    if isinstance(model, PLSSVD):
        return model.transform(rows.queries, rows.gallery)
    return model.transform(rows.queries), model.transform_y(rows.gallery)


def measure(
    queries: np.ndarray, gallery: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray
) -> Result:
    """Rank the whole gallery for every query, by cosine."""
    given = queries, gallery, query_labels, gallery_labels
    curve = retrieval_precision_recall(*given, n_points=200)
    chance = chance_map(query_labels, gallery_labels)
    return Result(mean_average_precision_score(*given), chance, curve.precision, curve.recall)


def compare(tasks: Mapping[str, Task], n_components: int, seed: int) -> Comparison:
    """Fit every method to every task and print each score when it is computed."""
    columns = [way for name, task in tasks.items() for way in (name, task.way_back) if way]
    compared = Comparison({way: {} for way in columns}, {way: {} for way in columns})
    table = Table("held-out MAP", [*columns, "fit"])
    for method in make_models(n_components, seed):
        table.begin(method)
        seconds = 0.0
        for column, task in tasks.items():
            start = time.perf_counter()
            model = fit(make_models(n_components, seed)[method], task.train)
            seconds += time.perf_counter() - start
            queries, gallery = embed(model, task.test)
            _, _, query_labels, gallery_labels, _ = task.test
            ways = {column: (queries, gallery, query_labels, gallery_labels)}
            if task.way_back:
                ways[task.way_back] = (gallery, queries, gallery_labels, query_labels)
            for way, ranking in ways.items():
                result = measure(*ranking)
                compared.results[way][method], compared.models[way][method] = result, model
                table.add(f"{result.score:.3f}")
        table.add(f"{seconds:.1f} s")
    table.begin("chance")
    for results in compared.results.values():
        table.add(f"{results[method].chance:.3f}")
    table.end()
    return compared


# Output


def announce(step: int, text: str) -> None:
    """Print the name of the next step and the seconds since the start."""
    print(f"\n[{step}/{N_STEPS}] {text}  ({time.perf_counter() - STARTED:.0f} s)", flush=True)


def say(text: str) -> None:
    """Print a line of the current step."""
    print(f"      {text}", flush=True)


class Table:
    """Table printed cell by cell."""

    def __init__(self, title: str, columns: Sequence[str], width: int = 16):
        self.width, self.widths = width, [max(8, len(column) + 3) for column in columns]
        self.n_rows = 0
        self.begin(title)
        for column in columns:
            self.add(column)

    def begin(self, name: str) -> None:
        """End the current row and begin the next."""
        newline = "\n" if self.n_rows else ""
        self.n_rows, self.n_cells = self.n_rows + 1, 0
        print(f"{newline}      {name:<{self.width}}", end="", flush=True)

    def add(self, cell: str) -> None:
        """Print the next cell of the row."""
        print(f"{cell:>{self.widths[self.n_cells]}}", end="", flush=True)
        self.n_cells += 1

    def end(self) -> None:
        """End the table."""
        print(flush=True)


def show_best(
    query: np.ndarray,
    gallery: np.ndarray,
    query_label: Any,
    gallery_labels: np.ndarray,
    names: Sequence[str],
    n_best: int = 5,
) -> None:
    """Print the items most similar to one query, and whether they are relevant to it."""
    similarity = cosine_similarity(query[None], gallery)[0]
    best = np.argsort(-similarity)[:n_best]
    table = Table("", ["similarity", "relevant"], width=3 + max(len(names[item]) for item in best))
    for rank, item in enumerate(best, start=1):
        table.begin(f"{rank}  {names[item]}")
        table.add(f"{similarity[item]:.4f}")
        table.add("yes" if gallery_labels[item] == query_label else "no")
    table.end()


def draw(panels: Mapping[str, Mapping[str, Result]], path: Path) -> None:
    """Draw precision against recall, one panel each, into a PNG file."""
    try:
        import matplotlib as mpl
    except ImportError:
        say("no picture without matplotlib: pip install matplotlib")
        return
    # A figure can be written to a file without a display.
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.5 * len(panels), 5.2), sharey=True, layout="constrained"
    )
    for axis, (title, results) in zip(axes, panels.items(), strict=True):
        for (name, result), (colour, dashes) in zip(results.items(), STYLES, strict=False):
            label = f"{name} ({result.score:.2f})"
            axis.plot(result.recall, result.precision, color=colour, ls=dashes, lw=2, label=label)
        axis.axhline(result.chance, color="0.4", ls=":", label=f"chance ({result.chance:.2f})")
        axis.set(title=title, xlabel="recall", xlim=(0, 1))
        axis.legend(
            title="(MAP)", ncols=2, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15)
        )
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="precision", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    say(f"{path}")
