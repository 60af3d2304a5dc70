"""Exact search of a gallery beside the least work in NumPy, faiss, and the adding of items.

    python -m benchmarks.search                  # 1,000 queries of 1,000,000 items
    python -m benchmarks.search --quick          # small sizes; keeps no results
    python -m benchmarks.search --only adding    # some of it

The least work of an exact search is the product of queries and items, and a partial sort of it;
`floor` does both in NumPy, in blocks, so that it is not slowed down by large matrices. Embeddings
are rows of noise around a few thousand centres, in float32; all times are of one process on all its
threads.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any, NamedTuple

import numpy as np

from benchmarks._memory import MIB, ON_LINUX, peak_above
from benchmarks._record import Record
from benchmarks._timing import median, ratio, seconds, take_turns
from skcca.retrieval import CrossModalRetriever

Array = np.ndarray

K, WIDTH = 10, 30
MOST = 2.0  # times the floor
N_CENTRES, SPREAD = 2_000, 0.5
_BLOCK = 50  # queries of the floor at once: 200 MB of products of a million items

FAISS = (
    {"kind": "flat"},
    {"kind": "ivf", "n_probe": 16},
    {"kind": "ivf", "n_probe": 64},
    {"kind": "hnsw", "ef_search": 64},
    {"kind": "hnsw", "ef_search": 256},
)


class Plan(NamedTuple):
    """The sizes of a run."""

    items: tuple[int, ...] = (100_000, 1_000_000)
    queries: int = 1_000
    rounds: int = 5
    kept: bool = True  # whether the results are the ones to publish


QUICK = Plan(items=(5_000, 20_000), queries=50, rounds=2, kept=False)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    for name in options.only:
        record = PARTS[name](plan)
        if plan.kept:
            record.save("python -m benchmarks.search", queries=plan.queries, rounds=plan.rounds)


def floor(queries: Array, items: Array) -> list[Array]:
    """Return the best K of each query by a product and a partial sort."""
    best = []
    for start in range(0, len(queries), _BLOCK):
        products = queries[start : start + _BLOCK] @ items.T
        best.append(np.argpartition(products, -K, axis=1)[:, -K:])
    return best


def embeddings(n_items: int, n_queries: int) -> tuple[Array, Array]:
    """Return rows of length one around common centres: queries, items."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((N_CENTRES, WIDTH), dtype=np.float32)
    both = rng.standard_normal((n_queries + n_items, WIDTH), dtype=np.float32)
    both *= SPREAD
    both += centres[rng.integers(N_CENTRES, size=len(both))]
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    return both[:n_queries], both[n_queries:]


def exact(plan: Plan) -> Record:
    """Time the exact search beside its floor, and measure its memory."""
    record = Record(
        "search",
        f"Exact search of the {K} best",
        f"{plan.queries:,} queries of {WIDTH} components in float32 by cosine; seconds of a "
        "product and a partial sort in NumPy, and how many times as long the search takes; "
        f"medians of {plan.rounds} rounds; MiB are resident memory above that before the search",
        ("seconds", "MiB", "skcca", "at most"),
    )
    for n_items in plan.items:
        for n_queries in (1, plan.queries):
            queries, items = embeddings(n_items, n_queries)
            retriever = CrossModalRetriever().add(items)
            search = functools.partial(retriever.query, queries, K)
            _check(search().ids, floor(queries, items), queries, items)
            times = take_turns(
                {"floor": functools.partial(floor, queries, items), "search": search}, plan.rounds
            )
            above = peak_above(search) / MIB if ON_LINUX else None
            full = plan.kept and n_queries > 1 and n_items == max(plan.items)
            label = f"{n_queries:,} of {n_items:,} items / product, argpartition"
            row = (median(times, "floor"), above, ratio(times, "search", "floor"))
            record.add(label, (*row, MOST if full else None))
    return record


def _check(found: Array, partial: list[Array], queries: Array, items: Array) -> None:
    """Raise if the search finds worse items than the floor."""
    for query, ids, others in zip(queries, found, np.concatenate(partial), strict=True):
        worst, reference = (items[some].astype(float) @ query for some in (ids, others))
        if worst.min() < reference.min() - 1e-6:
            raise SystemExit("The search misses an item that the floor finds.")


def approximate(plan: Plan) -> Record:
    """Time the kinds of faiss indices, and measure their recall."""
    n_items = max(plan.items)
    record = Record(
        "search_faiss",
        f"Approximate search of the {K} best by faiss",
        f"{plan.queries:,} queries of {n_items:,} items of {WIDTH} components; seconds to build "
        f"and to search, medians of {plan.rounds} rounds; recall is the share of the exact {K}",
        ("build", "search", "recall"),
    )
    queries, items = embeddings(n_items, plan.queries)
    retriever = CrossModalRetriever().add(items)
    works = {"exact": lambda: retriever.query(queries, K)}
    record.add("exact", (0.0, median(take_turns(works, plan.rounds), "exact"), 1.0))
    for params in FAISS:
        retriever.set_params(index="faiss", index_params=params)
        build = seconds(lambda: retriever.query(queries[:1], K))
        works = {"faiss": lambda: retriever.query(queries, K)}
        search = median(take_turns(works, plan.rounds), "faiss")
        label = ", ".join(
            str(value) if k == "kind" else f"{k}={value}" for k, value in params.items()
        )
        record.add(label, (build, search, retriever.recall_against_exact(queries, K)))
    record.add("flat must reach", (None, None, 0.999), kind="bar")
    return record


def adding(plan: Plan) -> Record:
    """Time the adding of items under ids of every kind, beside their preparation in NumPy."""
    n_items = min(plan.items)
    record = Record(
        "search_add",
        "Adding items to a gallery",
        f"{n_items:,} items of {WIDTH} components in float32 at once, by cosine, to an empty "
        "gallery or behind as many; millions of items a second, and how many times as long it "
        "takes as to scale the rows to length one in NumPy; "
        f"medians of {plan.rounds} rounds",
        ("millions a second", "times NumPy"),
    )
    _, items = embeddings(n_items, 1)
    before, after = np.random.default_rng(0).permutation(2 * n_items).reshape(2, -1)
    ids = {
        "no ids": (None, None),
        "rising integers": (np.arange(n_items), np.arange(n_items, 2 * n_items)),
        "integers in any order": (before, after),
        "a list of integers": (before.tolist(), after.tolist()),
        "strings of 12 characters": tuple(
            [f"video {i:06d}" for i in some] for some in (before, after)
        ),
        "strings of 64 characters": tuple([f"{i:064d}" for i in some] for some in (before, after)),
    }
    works = {"floor": functools.partial(_scaled, items)}
    for kind, (first, second) in ids.items():
        works[f"{kind}, to an empty gallery"] = functools.partial(_add, items, first)
        # A gallery for each turn and for the one before them.
        galleries = [_add(items, first) for _ in range(plan.rounds + 1)]
        works[f"{kind}, behind as many"] = functools.partial(_add_to, galleries, items, second)
    times = take_turns(works, plan.rounds)
    for kind in list(works)[1:]:
        speed = n_items / median(times, kind) / 1e6
        record.add(kind, (speed, ratio(times, kind, "floor")))
        if "string" not in kind:
            record.add(f"{kind} must reach", (1.0, None), kind="bar")
    return record


def _scaled(items: Array) -> Array:
    return items / np.linalg.norm(items, axis=1, keepdims=True)


def _add(items: Array, ids: Any) -> CrossModalRetriever:
    return CrossModalRetriever().add(items, ids=ids)


def _add_to(galleries: list[CrossModalRetriever], items: Array, ids: Any) -> None:
    galleries.pop().add(items, ids=ids)


PARTS = {"exact": exact, "approximate": approximate, "adding": adding}


if __name__ == "__main__":
    main()
