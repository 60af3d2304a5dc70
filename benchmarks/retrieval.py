"""Speed and memory of retrieval measures beside a floor and other implementations.

    python -m benchmarks.retrieval

The floor of a ranking is the product for the similarities and one sort of them, both in float32, in
blocks that stay in the cache, in as many threads as skcca has. Other implementations sort positions
(argsort) and take relevance in that order, which ignores ties.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from threadpoolctl import ThreadpoolController, threadpool_info

from benchmarks._memory import MIB, ON_LINUX, anonymous_memory, sampled_run
from benchmarks._record import Record
from benchmarks._timing import median, ratio, seconds, take_turns
from skcca.metrics import mean_average_precision_score

N_COMPONENTS, N_CLASSES = 30, 10
N_GALLERY, N_LARGE = 10_000, 1_000_000
MOST = 1_024  # MiB: scikit-learn's default working memory
_BLOCK = 500  # queries of which the other ways rank at once
_FLOOR_BLOCK = 50  # and the floor


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--large", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.large:
        print(json.dumps(large(*options.large)))
        return
    threads = max(pool["num_threads"] for pool in threadpool_info())
    speed(options.quick, threads)
    if ON_LINUX:
        memory(options.quick, threads)


def speed(quick: bool, threads: int) -> None:
    """Measure full-list MAP beside the floor and the others."""
    n_gallery = 1_000 if quick else N_GALLERY
    record = Record(
        "retrieval",
        "Full-list MAP beside the floor and other ways",
        f"a gallery of {n_gallery:,} items, {N_COMPONENTS} components, {N_CLASSES} classes, "
        f"float64, {threads} threads; first the seconds of skcca, then the ratio",
        ("seconds", "ratio", "at most"),
    )
    few = task(n_gallery // 5, n_gallery)
    many = task(n_gallery, n_gallery)
    rounds = 1 if quick else 5
    single = [part.astype(np.float32) for part in few[:2]]
    blas = ThreadpoolController()
    pair: dict[str, Callable[[], object]] = {
        "floor": lambda: floor(*single, threads, blas),
        "skcca": lambda: ours(*few),
    }
    times = take_turns(pair, 3 * rounds)
    label = f"{n_gallery // 5:,} queries: skcca / product and sort in float32"
    record.add(label, (median(times, "skcca"), ratio(times, "skcca", "floor"), 2.0))
    works: dict[str, Callable[[], object]] = {
        "skcca": lambda: ours(*many),
        "argsort in NumPy": lambda: by_argsort(*many),
        "argsort in torch": lambda: by_torch(*many),
        "torchmetrics": lambda: by_torchmetrics(*many),
    }
    times = take_turns(works, rounds)
    for name, least in (
        ("argsort in NumPy", 6.0),
        ("argsort in torch", 6.0),
        ("torchmetrics", 100.0),
    ):
        label = f"{n_gallery:,} queries: {name} / skcca"
        record.add(label, (median(times, "skcca"), ratio(times, name, "skcca"), None))
        record.add(f"{label} must reach", (None, least, None), kind="bar")
    if not quick:
        record.save("python -m benchmarks.retrieval", rounds=rounds, threads=threads)


def memory(quick: bool, threads: int) -> None:
    """Measure full-list MAP of a large gallery, in a process of its own."""
    n_gallery = 50_000 if quick else N_LARGE
    record = Record(
        "retrieval_memory",
        "Full-list MAP of a large gallery",
        f"{n_gallery:,} items, {N_COMPONENTS} components, float64, {threads} threads; MiB of "
        "anonymous memory above the embeddings, bounded by scikit-learn's working_memory",
        ("seconds", "anonymous MiB", "at most"),
    )
    for n_queries in (n_gallery // 1_000, n_gallery // 100):
        command = [sys.executable, "-m", "benchmarks.retrieval", "--large"]
        found, peak = sampled_run([*command, str(n_queries), str(n_gallery)])
        row = (found["seconds"], (peak - found["before"]) / MIB, MOST)
        record.add(f"{n_queries:,} queries", row)
    if not quick:
        record.save("python -m benchmarks.retrieval", threads=threads)


def large(n_queries: int, n_gallery: int) -> dict[str, float]:
    """Return the seconds of MAP, and the memory before it."""
    ours(*task(100, 1_000))
    arguments = task(n_queries, n_gallery)
    before = anonymous_memory()
    return {"before": before, "seconds": seconds(lambda: ours(*arguments))}


Task = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def task(n_queries: int, n_gallery: int) -> Task:
    """Return rows of length one and their classes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(N_CLASSES, N_COMPONENTS))
    labels = [rng.integers(0, N_CLASSES, n) for n in (n_queries, n_gallery)]
    rows = [centres[part] + 2 * rng.normal(size=(len(part), N_COMPONENTS)) for part in labels]
    queries, gallery = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in rows)
    return queries, gallery, *labels


def ours(queries: np.ndarray, gallery: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return MAP."""
    return mean_average_precision_score(queries, gallery, x, y)


def floor(
    queries: np.ndarray, gallery: np.ndarray, threads: int, blas: ThreadpoolController
) -> None:
    """Multiply and sort, block by block in several threads, with one thread of BLAS for each."""

    def block(start: int) -> None:
        np.sort(queries[start : start + _FLOOR_BLOCK] @ gallery.T, axis=1)

    starts = range(0, len(queries), _FLOOR_BLOCK)
    if threads == 1:
        for start in starts:
            block(start)
        return
    with blas.limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(block, starts))


def by_argsort(queries: np.ndarray, gallery: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return MAP by NumPy's argsort."""
    ranks, found = np.arange(1, len(gallery) + 1), []
    for start in range(0, len(queries), _BLOCK):
        block = slice(start, start + _BLOCK)
        order = np.argsort(-(queries[block] @ gallery.T), axis=1)
        hits = y[order] == x[block, None]
        found.append((hits.cumsum(axis=1) / ranks * hits).sum(axis=1) / hits.sum(axis=1))
    return float(np.concatenate(found).mean())


def by_torch(queries: np.ndarray, gallery: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return MAP by torch's argsort."""
    Q, G, of_queries, of_gallery = map(torch.as_tensor, (queries, gallery, x, y))
    ranks, found = torch.arange(1, len(G) + 1), []
    for start in range(0, len(Q), _BLOCK):
        block = slice(start, start + _BLOCK)
        order = torch.argsort(Q[block] @ G.T, dim=1, descending=True)
        hits = of_gallery[order] == of_queries[block, None]
        found.append((hits.cumsum(dim=1) / ranks * hits).sum(dim=1) / hits.sum(dim=1))
    return float(torch.cat(found).mean())


def by_torchmetrics(
    queries: np.ndarray, gallery: np.ndarray, x: np.ndarray, y: np.ndarray
) -> float:
    """Return MAP by torchmetrics, which takes every pair of query and item."""
    from torchmetrics.retrieval import RetrievalMAP

    metric = RetrievalMAP()
    # torchmetrics ignores scores below 0.
    scores = torch.as_tensor(queries @ gallery.T) + 2
    relevant = torch.as_tensor(y == x[:, None])
    which = torch.arange(len(queries))[:, None].expand_as(scores)
    metric.update(scores.flatten(), relevant.flatten(), which.flatten())
    return float(metric.compute())


if __name__ == "__main__":
    main()
