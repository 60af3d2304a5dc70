"""The measures by name: what a ranked list is worth, and how queries are averaged.

map, map@k            mean average precision        mrr, mrr@k      mean reciprocal rank
precision@k, recall@k                               ndcg, ndcg@k    discounted cumulative gain
hit_rate@k            share of queries that find    r_precision     precision at the number of
                      a relevant item                               relevant items
mean_rank, median_rank                              rank of the first relevant item
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skcca.metrics._preparation import Retrieval
from skcca.metrics._ranked_list import (
    RankedList,
    average_precision,
    average_precisions,
    first_rank,
    hit_rate,
    ndcg,
    precision,
    r_precision,
    recall,
    reciprocal_rank,
)
from skcca.metrics._ranking import figures


class Kind(NamedTuple):
    """A measure without its k."""

    figure: Callable[..., float]
    takes_k: bool = True
    needs_k: bool = False
    of_queries: Callable[..., Any] = np.mean
    greater_is_better: bool = True


KINDS = {
    "map": Kind(average_precision),
    "precision": Kind(precision, needs_k=True),
    "recall": Kind(recall, needs_k=True),
    "hit_rate": Kind(hit_rate, needs_k=True),
    "ndcg": Kind(ndcg),
    "mrr": Kind(reciprocal_rank),
    "r_precision": Kind(r_precision, takes_k=False),
    "mean_rank": Kind(first_rank, takes_k=False, greater_is_better=False),
    "median_rank": Kind(first_rank, takes_k=False, of_queries=np.median, greater_is_better=False),
}


class Measure(NamedTuple):
    """A measure as it was named."""

    name: str
    kind: Kind
    k: int | None

    def __call__(self, listed: RankedList) -> float:
        """Return the figure of one list."""
        return self.kind.figure(listed) if self.k is None else self.kind.figure(listed, self.k)

    def average(self, scores: np.ndarray) -> float:
        """Return the figure of all queries; nan if there is none."""
        return float(self.kind.of_queries(scores)) if len(scores) else float("nan")


def find_measure(name: Any, caller: str) -> Measure:
    """Return the measure of this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    match = re.fullmatch(r"([a-z_]+)(?:@([0-9]+))?", name) if isinstance(name, str) else None
    kind = KINDS.get(match[1]) if match else None
    if match is None or kind is None:
        raise ValueError(
            f"{caller}: `measure` is {name!r}; expected one of {', '.join(names_of_measures())}, "
            "where k is a number, as in 'recall@10'."
        )
    k = None if match[2] is None else int(match[2])
    if k is None and kind.needs_k:
        raise ValueError(
            f"{caller}: `measure` is {name!r}, which needs the number of items that are looked at: "
            f"'{name}@10'."
        )
    if k is not None and not (kind.takes_k and k > 0):
        reason = "k is 1 at least" if kind.takes_k else f"{match[1]!r} looks at the whole list"
        raise ValueError(f"{caller}: `measure` is {name!r}, but {reason}.")
    return Measure(name, kind, k)


def names_of_measures() -> list[str]:
    """Return how measures are written."""
    whole = [name for name, kind in KINDS.items() if not kind.needs_k]
    return whole + [f"{name}@k" for name, kind in KINDS.items() if kind.takes_k]


def check_k(measure: Measure, n_shown: int, caller: str) -> None:
    """Refuse to look at more items than there are."""
    if measure.k is not None and measure.k > n_shown:
        raise ValueError(
            f"{caller}: {measure.name!r} looks at {measure.k} items, but a ranked list has "
            f"{n_shown}; expected k of {n_shown} at most."
        )


def scores_of_queries(retrieval: Retrieval, measures: Sequence[Measure], caller: str) -> np.ndarray:
    """Return the figures (n_queries, n_measures) of every query, nan where there is none."""
    for measure in measures:
        check_k(measure, retrieval.n_shown, caller)
        if len(retrieval.zero) and not measure.kind.greater_is_better:
            raise ValueError(
                f"{caller}: {len(retrieval.zero)} queries without a relevant item have no rank "
                f"that {measure.name!r} could count as 0; use no_relevant='omit' or 'raise'."
            )
    scores = np.full((len(retrieval.queries), len(measures)), np.nan)
    scores[retrieval.zero] = 0.0
    found = list(figures(retrieval, partial(_all_of, measures), _of_many(measures)))
    if found:
        scores[retrieval.counted] = found
    return scores


def _all_of(measures: Sequence[Measure], listed: RankedList) -> list[float]:
    return [measure(listed) for measure in measures]


def _of_many(measures: Sequence[Measure]) -> Callable[[np.ndarray], list] | None:
    """Return what measures several lists at once, where the measures allow."""
    if [measure.kind for measure in measures] != [KINDS["map"]]:
        return None
    return lambda ranked: average_precisions(ranked, measures[0].k)[:, np.newaxis].tolist()


def score_of(retrieval: Retrieval, measure: Measure, caller: str) -> float:
    """Return the figure of all queries that count; nan if none does."""
    scores = scores_of_queries(retrieval, [measure], caller)[:, 0]
    return measure.average(scores[~np.isnan(scores)])
