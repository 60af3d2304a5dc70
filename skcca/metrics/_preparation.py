"""Queries and a gallery, checked and made comparable, before anything is ranked.

What it must guarantee: what is no embedding, no label and no rule is refused by its name, and the
products of the prepared rows lie in [-1, 1] or are told to go beyond, in the order of the metric.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcca._core.warnings import warn
from skcca.metrics._relevance import GRADES, Gains, Relevance, given_gains, of_labels, own_pairs
from skcca.metrics._similarity import METRICS, gallery_side, query_side, unit_rows
from skcca.views._container import check_aligned
from skcca.views._projection import check_embedding

RULES = ("omit", "zero", "raise")

FAR = 1e3  # an item so many times longer than most would take all of the grid of `ranking`


class ArgumentNames(NamedTuple):
    """What the caller calls the arguments of `prepare`, for the messages."""

    caller: str
    queries: str = "queries"
    gallery: str = "gallery"
    query_labels: str = "query_labels"
    gallery_labels: str = "gallery_labels"


class Rules(NamedTuple):
    """How items are compared, what is relevant, and which queries count."""

    metric: str = "cosine"
    correlations: Any = None
    relevance: Any = "shared"
    exclude_self: bool = False
    no_relevant: Any = "omit"


class Retrieval(NamedTuple):
    """Checked queries and gallery, ready to be ranked."""

    queries: np.ndarray  # float64 rows, to be multiplied by those of the gallery
    gallery: np.ndarray
    relevant: Relevance | Gains
    counted: np.ndarray  # the numbers of the queries that can be measured
    zero: np.ndarray  # those of queries without a relevant item, if they count as 0
    exclude_self: bool
    beyond: float = 1.0  # products lie in [-beyond, beyond]
    device: str | None = None  # where torch ranks; None is here, with NumPy

    @property
    def n_shown(self) -> int:
        """Length of a ranked list."""
        return len(self.gallery) - self.exclude_self


def prepare(
    queries: Any,
    gallery: Any,
    query_labels: Any,
    gallery_labels: Any,
    names: ArgumentNames,
    rules: Rules | None = None,
) -> Retrieval:
    """Check embeddings, labels and rules, and warn of the queries that cannot be measured.

    Raises
    ------
    ValueError
        For embeddings that are empty, not 2-D, not finite or of different widths, for labels
        that are missing, continuous, or not as many as rows, and for rules that cannot be followed.
    """
    rules = rules or Rules()
    caller = names.caller
    check_aligned(caller, **{names.queries: queries, names.query_labels: query_labels})
    if gallery_labels is None:
        check_aligned(caller, **{names.queries: queries, names.gallery: gallery})
    else:
        check_aligned(caller, **{names.gallery: gallery, names.gallery_labels: gallery_labels})
    device = _gpu_of(queries) or _gpu_of(gallery)
    queries, gallery = check_embeddings(queries, gallery, names)
    check_rules(rules, caller)
    correlations = check_metric(rules.metric, rules.correlations, queries.shape[1], caller)
    relevant = find_relevance(
        query_labels, gallery_labels, len(queries), len(gallery), names, rules.relevance
    )
    counts = relevant.counts()
    if rules.exclude_self:
        if len(queries) != len(gallery) or len(gallery) < 2:
            raise ValueError(
                f"{caller}: `exclude_self=True` leaves out item i for query i, but there are "
                f"{len(queries)} queries and {len(gallery)} items; expected equally many, 2 at "
                "least."
            )
        counts = counts - relevant.diagonal()
    n_shown = len(gallery) - rules.exclude_self
    counted, zero = _measurable(counts, n_shown, rules.no_relevant, caller)
    Q, G, beyond = _bounded(queries, gallery, rules.metric, correlations)
    own = bool(rules.exclude_self)
    return Retrieval(Q, G, relevant, counted, zero, own, beyond, device)


def at_chance(retrieval: Retrieval) -> Retrieval:
    """Return the retrieval by queries that know nothing: all scores are 0, one group of ties."""
    return retrieval._replace(queries=np.zeros_like(retrieval.queries))


def find_relevance(
    query_labels: Any,
    gallery_labels: Any,
    n_queries: int,
    n_gallery: int,
    names: ArgumentNames,
    rule: Any,
) -> Relevance | Gains:
    """Return the relevance that labels, or a matrix of gains, describe."""
    shape = n_queries, n_gallery
    if rule is None:
        raise ValueError(
            f"{names.caller}: `relevance` is None; expected one of {GRADES}, or gains."
        )
    if not isinstance(rule, str):
        if query_labels is not None or gallery_labels is not None:
            raise ValueError(
                f"{names.caller}: `relevance` holds the gain of every item, so that labels have "
                f"nothing to say; leave `{names.query_labels}` and `{names.gallery_labels}` out."
            )
        return given_gains(rule, shape, names.caller)
    if rule not in GRADES:
        raise ValueError(
            f"{names.caller}: `relevance` is {rule!r}; expected one of {GRADES}, or a matrix of "
            "gains (n_queries, n_gallery)."
        )
    if query_labels is None and gallery_labels is None:
        return own_pairs(*shape, names.caller)
    return of_labels(query_labels, gallery_labels, *shape, names, rule)


def check_rules(rules: Rules, caller: str) -> None:
    """Refuse what is no rule."""
    if not isinstance(rules.no_relevant, str) or rules.no_relevant not in RULES:
        raise ValueError(
            f"{caller}: `no_relevant` is {rules.no_relevant!r}; expected 'omit', 'zero' or 'raise'."
        )
    if not isinstance(rules.exclude_self, (bool, np.bool_)):
        raise TypeError(f"{caller}: `exclude_self` is {rules.exclude_self!r}; expected a bool.")


def check_metric(
    metric: Any, correlations: Any, n_components: int, caller: str
) -> np.ndarray | None:
    """Return the correlations that a metric needs, as an array."""
    if not isinstance(metric, str) or metric not in METRICS:
        raise ValueError(f"{caller}: `metric` is {metric!r}; expected one of {METRICS}.")
    if metric == "correlation" and n_components < 2:
        raise ValueError(
            f"{caller}: `metric='correlation'` compares the profiles of rows, and those of one "
            "component are all alike; use 'cosine'."
        )
    if metric != "log_likelihood_ratio":
        if correlations is not None:
            raise ValueError(
                f"{caller}: `correlations` belong to metric='log_likelihood_ratio'; `metric` is "
                f"{metric!r}."
            )
        return None
    if correlations is None:
        raise ValueError(
            f"{caller}: metric='log_likelihood_ratio' needs the canonical correlations of the "
            "components: correlations=model.correlations_, with variates of unit variance "
            "(component_scaling='unit')."
        )
    rho = np.asarray(correlations)
    rho = rho.astype(float) if rho.dtype.kind in "iuf" else np.array([np.nan])
    if rho.shape != (n_components,) or not ((rho >= 0) & (rho <= 1 + 1e-9)).all():
        raise ValueError(
            f"{caller}: `correlations` must be {n_components} numbers from 0 to 1, one for each "
            f"component; got {correlations!r:.80}."
        )
    return rho


def _gpu_of(embedding: Any) -> str | None:
    """Return the device of a tensor on a GPU that has float64, else None."""
    device = getattr(embedding, "device", None)
    return str(device) if getattr(device, "type", None) == "cuda" else None


def check_embeddings(
    queries: Any, gallery: Any, names: ArgumentNames
) -> tuple[np.ndarray, np.ndarray]:
    """Return two embeddings in one space as float64."""
    Q = check_embedding(queries, names.queries, names.caller)
    G = check_embedding(gallery, names.gallery, names.caller)
    if Q.shape[1] != G.shape[1]:
        raise ValueError(
            f"{names.caller}: `{names.queries}` has {Q.shape[1]} components but "
            f"`{names.gallery}` has {G.shape[1]}; project both into one space first."
        )
    return Q, G


def _bounded(
    queries: np.ndarray, gallery: np.ndarray, metric: str, correlations: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return both sides, changed in ways that change no order, so that most products end at 1.

    The last value is how far beyond 1 they may be, or 1 if none is.
    """
    if metric in ("cosine", "correlation"):
        return query_side(queries, metric), gallery_side(gallery, metric), 1.0
    largest = max(np.abs(queries).max(), np.abs(gallery).max())  # its square may be infinite
    largest = largest if largest > 0 else 1.0
    queries, gallery = queries / largest, gallery / largest
    if metric != "log_likelihood_ratio":
        # What all items share moves every score alike; unlike the mean, no single one moves it.
        shared = np.median(gallery, axis=0)
        gallery = gallery - shared
        size = _typical(np.linalg.norm(gallery, axis=1))
        gallery = gallery / size
        queries = (queries - shared) / size if metric == "euclidean" else queries
    Q = unit_rows(query_side(queries, metric, correlations))
    G = gallery_side(gallery, metric, correlations)
    lengths = np.linalg.norm(G, axis=1)
    longest, typical = lengths.max(), _typical(lengths)
    if longest > FAR * typical:  # on its scale the others would all be ties
        return Q, G / typical, float(longest / typical)
    return Q, G / (longest if longest > 0 else 1.0), 1.0


def _typical(lengths: np.ndarray) -> float:
    """Return the median of lengths that are not 0, but never so small that squares overflow."""
    positive = lengths[lengths > 0]
    return max(float(np.median(positive)), 1e-70 * float(positive.max())) if len(positive) else 1.0


def _measurable(
    n_relevant: np.ndarray, n_gallery: int, rule: str, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the queries to measure and those that count as 0; warn of the others."""
    counted, without = np.flatnonzero(n_relevant), np.flatnonzero(n_relevant == 0)
    none, n_without = without[:0], len(without)
    if n_without and rule == "raise":
        raise ValueError(
            f"{caller}: {n_without} of {len(n_relevant)} queries have no relevant item in the "
            f"gallery, the first of them query {without[0]}; "
            "no_relevant='omit' leaves them out, 'zero' counts them as 0."
        )
    if (
        len(counted)
        and (n_relevant[counted] == n_gallery).all()
        and not (n_without and rule == "zero")
    ):
        problem = (
            "every gallery item is relevant to every query (a gallery of one class), so that any "
            "ranking is perfect; there is nothing to measure: nan. Folds of sorted labels do this: "
            "shuffle or stratify them"
        )
        counted = none
    elif n_without == 0 or rule == "zero":
        return counted, without
    elif len(counted) == 0:
        problem = "no query has a relevant item in the gallery; there is nothing to measure: nan"
    else:
        problem = (
            f"{n_without} of {len(n_relevant)} queries have no relevant item in the gallery and "
            "are left out"
        )
    warn(f"{caller}: {problem}.")
    return counted, none
