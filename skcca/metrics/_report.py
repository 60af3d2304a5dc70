"""Reports of several measures in both directions, beside chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skcca._core.types import ArrayLike, LabelsLike
from skcca.metrics._measures import Measure, find_measure
from skcca.metrics._preparation import ArgumentNames, Retrieval, Rules, prepare
from skcca.metrics._ranking import score_queries

MEASURES = ("map", "precision@1", "recall@10", "ndcg@10", "mrr", "median_rank")


class RetrievalReport(dict[str, dict[str, float]]):
    """Scores by direction and measure, printed as a table."""

    def __str__(self) -> str:
        width = max(map(len, self))
        lines = [" " * width + "".join(f"{name:>14}" for name in next(iter(self.values())))]
        for row, values in self.items():
            lines.append(f"{row:<{width}}" + "".join(f"{value:14.3f}" for value in values.values()))
        return "\n".join(lines)


def retrieval_report(
    X: ArrayLike,
    Y: ArrayLike,
    labels: LabelsLike = None,
    y_labels: LabelsLike = None,
    *,
    measures: Sequence[str] | None = None,
    metric: str = "cosine",
    correlations: ArrayLike = None,
    relevance: ArrayLike = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> RetrievalReport:
    """Return several measures of retrieval in both directions, beside those of random rankings.

    Parameters
    ----------
    X, Y : array-like of shape (n_x, n_components) and (n_y, n_components)
        Embedded rows of both views.
    labels : array-like of shape (n_x,) or (n_x, n_tags), default=None
        Classes, or a binary indicator matrix; None means instance pairs.
    y_labels : array-like of shape (n_y,) or (n_y, n_tags), default=None
        Labels of the second view; None means those of the first.
    measures : sequence of str, default=None
        Names as in `retrieval_scores`; None means "map", "precision@1", "recall@10", "ndcg@10",
        "mrr" and "median_rank", as far as the galleries have items enough.
    metric : str, default="cosine"
    correlations : array-like of shape (n_components,), default=None
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
    exclude_self : bool, default=False
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        See `retrieval_scores`, also for errors and warnings. A matrix of gains holds those of Y for
        X.

    Returns
    -------
    report : dict
        A dict of dicts, ``report["x_to_y"]["map"]``, with the rows "x_to_y", "y_to_x",
        "chance x_to_y" and "chance y_to_x"; it prints as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.metrics import retrieval_report
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 3))
    >>> Y = X + rng.normal(size=X.shape)
    >>> print(retrieval_report(X, Y, measures=["recall@1", "recall@5", "median_rank"]))
                   recall@1      recall@5   median_rank
    x_to_y                0.175         0.450         7.000
    y_to_x                0.125         0.450         6.500
    chance x_to_y         0.025         0.125        20.500
    chance y_to_x         0.025         0.125        20.500
    """
    caller = "retrieval_report"
    x_names = ArgumentNames(caller, "X", "Y", "labels", "y_labels")
    y_names = ArgumentNames(caller, "Y", "X", "y_labels", "labels")
    rules = Rules(metric, correlations, relevance, exclude_self, no_relevant)
    swapped = relevance
    if not isinstance(relevance, str):
        # A frame of gains keeps its names.
        swapped = relevance.T if hasattr(relevance, "T") else np.transpose(relevance)
    of_y = labels if y_labels is None else y_labels
    directions = {
        "x_to_y": prepare(X, Y, labels, y_labels, x_names, rules),
        "y_to_x": prepare(Y, X, of_y, labels, y_names, rules._replace(relevance=swapped)),
    }
    report = RetrievalReport()
    for direction, retrieval in directions.items():
        report[direction] = _measured(retrieval, measures, caller)
    for direction, retrieval in directions.items():
        # Equal scores are one group of ties, as expected of random rankings.
        chance = retrieval._replace(queries=np.zeros_like(retrieval.queries))
        report[f"chance {direction}"] = _measured(chance, measures, caller)
    return report


def _measured(retrieval: Retrieval, names: Sequence[str] | None, caller: str) -> dict[str, float]:
    """Return each measure over the queries that have it."""
    chosen = _choose(names, retrieval.n_ranked, caller)
    columns = zip(chosen, score_queries(retrieval, chosen, caller).T, strict=True)
    return {measure.name: measure.reduce(column[~np.isnan(column)]) for measure, column in columns}


def _choose(measures: Sequence[str] | None, n_ranked: int, caller: str) -> list[Measure]:
    if measures is None:
        defaults = [find_measure(name, caller) for name in MEASURES]
        return [measure for measure in defaults if (measure.k or 0) <= n_ranked]
    names = list(measures) if hasattr(measures, "__iter__") else []
    if isinstance(measures, str) or not names:
        raise ValueError(
            f"{caller}: `measures` is {measures!r:.60}; expected a list of names, such as "
            "['map', 'recall@10']."
        )
    return [find_measure(name, caller) for name in names]
