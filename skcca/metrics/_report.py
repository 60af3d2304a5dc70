"""Several measures of both directions at once, beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skcca.metrics._measures import Measure, find_measure, scores_of_queries
from skcca.metrics._preparation import ArgumentNames, Rules, at_chance, prepare

MEASURES = ("map", "precision@1", "recall@10", "ndcg@10", "mrr", "median_rank")


class RetrievalReport(dict[str, dict[str, float]]):
    """Figures by direction and measure, which print as a table."""

    def __str__(self) -> str:
        measures = list(next(iter(self.values())))
        width = max(len(row) for row in self)
        lines = [" " * width + "".join(f"{name:>14}" for name in measures)]
        for row, values in self.items():
            cells = "".join(f"{values[name]:14.3f}" for name in measures)
            lines.append(f"{row:<{width}}{cells}")
        return "\n".join(lines)


def retrieval_report(
    X: Any,
    Y: Any,
    labels: Any = None,
    y_labels: Any = None,
    *,
    measures: Sequence[str] | None = None,
    metric: str = "cosine",
    correlations: Any = None,
    relevance: Any = "shared",
    exclude_self: bool = False,
    no_relevant: str = "omit",
) -> RetrievalReport:
    """Return several measures of retrieval in both directions, beside what chance would score.

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
        What orders the gallery; see `retrieval_scores`.
    correlations : array-like of shape (n_components,), default=None
        Canonical correlations, for "log_likelihood_ratio".
    relevance : {"shared", "count", "jaccard"} or array-like, default="shared"
        Gain of an item in "ndcg"; see `retrieval_scores`. Gains that are given are those of Y
        for X.
    exclude_self : bool, default=False
        Whether item i is left out of the list of query i.
    no_relevant : {"omit", "zero", "raise"}, default="omit"
        What a query without a relevant item is: left out with a warning, counted as 0, or an error.

    Returns
    -------
    report : dict
        A dict of dicts, ``report["x_to_y"]["map"]``, with the rows "x_to_y", "y_to_x",
        "chance x_to_y" and "chance y_to_x"; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        As `retrieval_scores`.

    Warns
    -----
    UserWarning
        As `retrieval_scores`.

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
    turned = rules
    if not isinstance(relevance, str):
        turned = rules._replace(relevance=np.transpose(np.asarray(relevance)))
    of_y = labels if y_labels is None else y_labels
    found = {
        "x_to_y": prepare(X, Y, labels, y_labels, x_names, rules),
        "y_to_x": prepare(Y, X, of_y, labels, y_names, turned),
    }
    report = RetrievalReport()
    for prefix, version in (("", lambda retrieval: retrieval), ("chance ", at_chance)):
        for direction, retrieval in found.items():
            chosen = _chosen(measures, retrieval.n_shown, caller)
            scores = scores_of_queries(version(retrieval), chosen, caller)
            counted = scores[~np.isnan(scores).any(axis=1)]
            report[prefix + direction] = {
                measure.name: measure.average(column)
                for measure, column in zip(chosen, counted.T, strict=True)
            }
    return report


def _chosen(measures: Sequence[str] | None, n_shown: int, caller: str) -> list[Measure]:
    if measures is None:
        found = [find_measure(name, caller) for name in MEASURES]
        return [measure for measure in found if (measure.k or 0) <= n_shown]
    given, measures = measures, list(measures) if hasattr(measures, "__iter__") else []
    if isinstance(given, str) or not measures:
        raise ValueError(
            f"{caller}: `measures` is {given!r:.60}; expected a list of names, such as "
            "['map', 'recall@10']."
        )
    return [find_measure(name, caller) for name in measures]
