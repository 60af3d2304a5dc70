"""Ranking a gallery for every query, block by block.

What it must guarantee: no figure depends on the order of the gallery, on the sizes of the blocks or
on the number of threads. Scores that are equal in float32 are ties.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
from sklearn import get_config

from skcca._compat import check_array, to_numpy
from skcca._ranking.ranked_list import RankedList
from skcca._ranking.relevance import GRADES, Gains, Relevance, given_gains, of_labels, own_pairs
from skcca._ranking.similarity import METRICS, gallery_side, query_side, unit_rows
from skcca._threads import own_threads
from skcca._validation import refuse_masked
from skcca._warnings import warn

BLOCK_SCORES = 2**19  # in one matrix product: 4 MiB
FEW_SCORES = 2**17  # less than this is done before a thread has started
CACHED_SCORES = 2**18  # ranked at once: 2 MiB, in the cache, and long enough a work for threads
SNAP = 2.0**10  # adding and subtracting it rounds a float64 score to a multiple of 2**-42
RULES = ("omit", "zero", "raise")
FAR = 1e3  # an item so many times longer than most would take all of that grid
LAST = np.float32(1.5)  # where scores end at 1; below 2, so that its bits may be shifted
MAGNITUDE = np.int32(0x7FFFFFFF)  # the bits of a float32 without its sign

Figure = TypeVar("Figure")


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
    _check_indices(queries, gallery, query_labels, gallery_labels, names)
    device = _gpu_of(queries) or _gpu_of(gallery)
    queries = check_embedding(queries, names.queries, caller)
    gallery = check_embedding(gallery, names.gallery, caller)
    if queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"{caller}: `{names.queries}` has {queries.shape[1]} components but "
            f"`{names.gallery}` has {gallery.shape[1]}; project both into one space first."
        )
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


def _check_indices(
    queries: Any, gallery: Any, query_labels: Any, gallery_labels: Any, names: ArgumentNames
) -> None:
    """Refuse pandas rows that belong together and stand in different orders."""
    pairs = [(queries, query_labels, names.queries, names.query_labels)]
    if gallery_labels is None:
        pairs.append((queries, gallery, names.queries, names.gallery))
    else:
        pairs.append((gallery, gallery_labels, names.gallery, names.gallery_labels))
    for one, other, name, other_name in pairs:
        if not (hasattr(one, "iloc") and hasattr(other, "iloc")) or len(one) != len(other):
            continue
        if not one.index.equals(other.index):
            raise ValueError(
                f"{names.caller}: the pandas indices of `{name}` and `{other_name}` differ, so "
                f"their rows may not belong together. Align them, {other_name}.loc[{name}.index]; "
                "or drop both with reset_index(drop=True)."
            )


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


def check_embedding(embedding: Any, name: str, caller: str) -> np.ndarray:
    """Return an embedding as float64 (n_rows, n_components)."""
    if embedding is None:
        raise ValueError(f"{caller}: `{name}` is None; expected an embedding, (n, n_components).")
    refuse_masked(embedding, name)
    X = check_array(
        to_numpy(embedding) if hasattr(embedding, "detach") else embedding,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=name,
    )
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"{caller}: `{name}` must be of shape (n_rows, n_components) with at least one of "
            f"each; got shape {X.shape}. One embedding is embedding.reshape(1, -1)."
        )
    return X


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


def figures(
    retrieval: Retrieval,
    figure: Callable[[RankedList], Figure],
    of_many: Callable[[np.ndarray], Sequence[Figure]] | None = None,
) -> Iterator[Figure]:
    """Yield a figure of the ranked list of each counted query, in their order.

    Parameters
    ----------
    retrieval : Retrieval
        What `prepare` returns.
    figure : callable
        Is called with a `RankedList`, from several threads at once.
    of_many : callable, default=None
        Returns the figures of several lists (n_lists, n_gallery) at once, if they are not graded:
        threads wait for one another at every call of a function as short as those of one list.

    Yields
    ------
    value : object
        What the callable returned.

    Notes
    -----
    A matrix product may give two identical gallery rows scores that differ in the last bit,
    depending on the columns they stand in. Rounding float64 to float32 makes them equal again,
    except around zero, where float32 is as fine as the noise: hence the absolute grid before it.
    """
    if retrieval.device or len(retrieval.counted) * len(retrieval.gallery) <= FEW_SCORES:
        yield from _figures(retrieval, figure, of_many, 1)
        return
    with own_threads() as n_workers:
        yield from _figures(retrieval, figure, of_many, n_workers)


def _figures(
    retrieval: Retrieval,
    figure: Callable[[RankedList], Figure],
    of_many: Callable[[np.ndarray], Sequence[Figure]] | None,
    n_workers: int,
) -> Iterator[Figure]:
    counted, n_gallery = retrieval.counted, len(retrieval.gallery)
    affordable = int(get_config()["working_memory"] * 2**20 / (8 * n_gallery * n_workers))
    n_rows = max(1, min(affordable, max(32, BLOCK_SCORES // n_gallery)))
    blocks = [counted[start : start + n_rows] for start in range(0, len(counted), n_rows)]
    at_once = max(1, CACHED_SCORES // n_gallery)
    rank: Callable[..., np.ndarray] = _ranked
    rows_of_blocks: Iterable[np.ndarray | None] = [None] * len(blocks)
    if retrieval.relevant.graded:
        of_many = None
    elif retrieval.device and retrieval.beyond == 1:
        rank, rows_of_blocks = _ranked_already, _ranked_on_gpu(retrieval, blocks)

    def of_block(queries: np.ndarray, rows: np.ndarray | None) -> list[Figure]:
        rows = _scores(retrieval, queries) if rows is None else rows
        found: list[Figure] = []
        for start in range(0, len(queries), at_once):
            part = slice(start, start + at_once)
            if retrieval.relevant.graded:
                found += map(figure, _ranked_with_gains(rows[part], retrieval, queries[part]))
                continue
            ranked = rank(rows[part], retrieval, queries[part])
            found += of_many(ranked) if of_many else map(figure, map(RankedList, ranked))
        return found

    tasks = zip(blocks, rows_of_blocks, strict=True)
    if n_workers == 1:
        for task in tasks:
            yield from of_block(*task)
        return
    with ThreadPoolExecutor(n_workers) as pool:
        while some := list(islice(tasks, n_workers)):
            for found in pool.map(of_block, *zip(*some, strict=True)):
                yield from found


def _scores(retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return the scores (n_queries, n_gallery) of some queries."""
    scores = retrieval.queries[queries] @ retrieval.gallery.T
    if retrieval.beyond > 1:  # a logarithm beyond 1, and as fine as before around 0
        np.arcsinh(scores, out=scores)
        scores /= np.arcsinh(retrieval.beyond)
    return scores


def _ranked_on_gpu(retrieval: Retrieval, blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the ranked lists of each block."""
    from skcca.nn.ranking import ranked_blocks

    assert retrieval.device is not None
    assert isinstance(retrieval.relevant, Relevance)
    return ranked_blocks(
        retrieval.queries,
        retrieval.gallery,
        retrieval.relevant.labels,
        blocks,
        retrieval.device,
        exclude_self=retrieval.exclude_self,
        snap=SNAP,
        last=float(LAST),
    )


def _ranked_already(ranked: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Take lists that were ranked elsewhere."""
    return ranked[:, : retrieval.n_shown].view(np.uint32)


def _ranked(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Rank items and their relevance by one sort of integers, as fast as one of floats."""
    ranked = _best_first(scores, retrieval, queries)
    ranked <<= 1  # a score in [-2, 2] uses 31 of the 32 bits
    ranked |= retrieval.relevant[queries]
    ranked.sort(axis=1)
    return _ranked_already(ranked, retrieval, queries)


def _ranked_with_gains(
    scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray
) -> Iterator[RankedList]:
    """Rank items and their gains, by one sort of scores with the number of the item below them."""
    keys = _best_first(scores, retrieval, queries).astype(np.int64)
    keys <<= 32
    keys |= np.arange(scores.shape[1])
    keys.sort(axis=1)
    for query, row in zip(queries, keys[:, : retrieval.n_shown], strict=True):
        gains = retrieval.relevant.gains(query)[row & 0xFFFFFFFF]
        ranked = (row >> 32).astype(np.int32) << 1
        ranked |= gains > 0
        yield RankedList(ranked.view(np.uint32), gains)


def _best_first(scores: np.ndarray, retrieval: Retrieval, queries: np.ndarray) -> np.ndarray:
    """Return int32 that are smaller the higher the score is, and equal where float32 is."""
    scores += SNAP
    negative = np.subtract(SNAP, scores, out=scores).astype(np.float32)
    if retrieval.exclude_self:
        negative[np.arange(len(queries)), queries] = LAST
    bits = negative.view(np.int32)
    bits ^= (bits >> 31) & MAGNITUDE  # a negative float orders backwards; no zero is negative here
    return bits
