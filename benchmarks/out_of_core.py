"""A million rows from a memory map, with less memory than the data.

    python -m benchmarks.out_of_core                          # 4.3 GiB in a temporary folder
    python -m benchmarks.out_of_core --folder DIR --dask      # and on a cluster of two workers
    python -m benchmarks.out_of_core --rows 20000             # a small run; keeps no results

The files are deleted afterwards. Each fit runs in its own process, which opens the memory maps. Its
anonymous memory, with that of the processes that it starts, is sampled from outside. Pages of the
map are resident too but not counted, since the kernel can reclaim them. ``pip install
"skcca[dask]"`` installs the cluster.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._memory import MIB, ON_LINUX, allowance, anonymous_memory, sampled_run
from benchmarks._record import Record
from benchmarks._simulated import N_CLASSES, fill, simulated_views
from benchmarks._timing import seconds
from benchmarks.linear import floor
from skcca import CCA, ClusterCCA

ROWS, WIDTHS = 1_000_000, (128, 1_024)
_BATCH = 50_000
_WORKERS = 2
_SPARE = 1.1  # of the space on disk

Work = Callable[[CCA | ClusterCCA], object]


def main() -> None:
    """Make the files, measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help=f"default: {ROWS:,}")
    parser.add_argument("--folder", help="where the files are made; default: a temporary one")
    parser.add_argument("--dask", action="store_true", help="also on a cluster of two workers")
    parser.add_argument("--fit", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.fit:
        print(json.dumps(measure_here(*options.fit, Path(options.folder))))
        return
    if not ON_LINUX:
        raise SystemExit("Anonymous memory is read from Linux's /proc, which is not here.")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="skcca-") as folder:
        make_files(Path(folder), options.rows)
        record = measure_all(folder, options.rows, with_dask=options.dask)
    if options.rows == ROWS:
        command = "python -m benchmarks.out_of_core" + " --dask" * options.dask
        record.save(command, rows=ROWS, batch_rows=_BATCH, workers=_WORKERS)


def make_files(folder: Path, n_rows: int) -> None:
    """Write both views in float32, and the labels."""
    needed = 4 * n_rows * sum(WIDTHS)
    free = shutil.disk_usage(folder).free
    if free < _SPARE * needed:
        raise SystemExit(
            f"{n_rows:,} rows take {needed / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free "
            "there; name another place with --folder, or fewer rows with --rows."
        )
    views = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (n_rows, width))
        for name, width in zip("xy", WIDTHS, strict=True)
    ]
    np.save(folder / "labels.npy", fill(*views))
    for V in views:
        V.flush()


def measure_all(folder: str, n_rows: int, *, with_dask: bool) -> Record:
    """Run each fit in its own process, and compare the correlations."""
    size = 4 * n_rows * sum(WIDTHS)
    record = Record(
        "out_of_core",
        f"{n_rows:,} rows from a memory map",
        f"views of {WIDTHS[0]} and {WIDTHS[1]:,} features in float32, {size / 2**30:.1f} GiB; "
        "seconds, times the Gram products of the same map in NumPy, largest difference of a "
        "correlation from that of `fit`, and MiB of anonymous memory above that before the fit",
        ("seconds", "/ products", "difference", "anonymous MiB", "at most"),
    )
    here = [sys.executable, "-m", "benchmarks.out_of_core", "--folder", folder, "--fit"]
    least, _ = sampled_run([*here, "products", "none"])
    bar = allowance(*WIDTHS) / MIB
    for name in ("CCA", "ClusterCCA"):
        reference = None
        for way in ("fit", "partial_fit", "dask"):
            if way == "dask" and not with_dask:
                continue
            label = f"{name}, {_WAYS[way][0]}"
            if way == "dask" and find_spec("distributed") is None:
                record.add(label, ("missing", None, None, None, None))
                continue
            found, peak = sampled_run([*here, way, name])
            correlations = np.array(found["correlations"])
            reference = correlations if reference is None else reference
            difference = np.abs(correlations - reference).max() if way != "fit" else None
            row = (found["seconds"], found["seconds"] / least["seconds"], difference)
            # The bar is that of one process.
            record.add(
                label, (*row, (peak - found["before"]) / MIB, None if way == "dask" else bar)
            )
    return record


def measure_here(way: str, name: str, folder: Path) -> dict[str, Any]:
    """Run one task in this process; return seconds, correlations and the memory before it."""
    warnings.simplefilter("ignore")
    X, Y = (np.load(folder / f"{view}.npy", mmap_mode="r") for view in "xy")
    if way == "products":
        return {"seconds": seconds(lambda: floor(X, Y))}
    labels = np.load(folder / "labels.npy")
    model = {"CCA": CCA(30), "ClusterCCA": ClusterCCA()}[name]
    # A small fit first, so that imports and the buffers of BLAS do not count.
    small = simulated_views(3_000, 40, 40, "float32")
    type(model)(9).fit(*small)
    with _WAYS[way][1](folder, X, Y, labels) as work:
        before = anonymous_memory()
        taken = seconds(lambda: work(model))
    return {"seconds": taken, "before": before, "correlations": model.correlations_.tolist()}


@contextmanager
def _at_once(folder: Path, X: Any, Y: Any, labels: Any) -> Iterator[Work]:
    yield lambda model: model.fit(X, Y, labels)


@contextmanager
def _by_batches(folder: Path, X: Any, Y: Any, labels: Any) -> Iterator[Work]:
    def work(model: CCA | ClusterCCA) -> None:
        declared = {}
        if isinstance(model, ClusterCCA):
            counts = np.bincount(labels, minlength=N_CLASSES)
            declared = {"classes": np.arange(N_CLASSES), "class_counts": counts}
        for start in range(0, len(X), _BATCH):
            rows = slice(start, start + _BATCH)
            batch_labels = labels[rows] if declared else None
            model.partial_fit(X[rows], Y[rows], batch_labels, **declared)

    yield work


@contextmanager
def _on_a_cluster(folder: Path, X: Any, Y: Any, labels: Any) -> Iterator[Work]:
    from dask import array, delayed
    from distributed import Client, LocalCluster

    def from_files(V: Any, name: str) -> Any:
        # Each worker opens the map itself, so that no rows are sent to it.
        chunks = [
            array.from_delayed(
                delayed(_rows_of_file)(folder / f"{name}.npy", start, start + _BATCH),
                (min(_BATCH, len(V) - start), V.shape[1]),
                V.dtype,
            )
            for start in range(0, len(V), _BATCH)
        ]
        return array.concatenate(chunks)

    with (
        LocalCluster(n_workers=_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        views = from_files(X, "x"), from_files(Y, "y")
        yield lambda model: model.fit(*views, labels)


def _rows_of_file(path: Path, start: int, stop: int) -> Any:
    return np.load(path, mmap_mode="r")[start:stop]


_WAYS = {
    "fit": ("fit", _at_once),
    "partial_fit": (f"partial_fit of {_BATCH:,} rows", _by_batches),
    "dask": (f"fit of Dask arrays, {_WORKERS} workers", _on_a_cluster),
}


if __name__ == "__main__":
    main()
