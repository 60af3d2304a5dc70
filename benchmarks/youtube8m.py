"""One pass over ten thousand videos of the size of YouTube-8M: records a second, and memory.

    python -m benchmarks.youtube8m                # 2.4 GiB in a temporary folder, and 2.3 more
    python -m benchmarks.youtube8m --videos 400   # a small run; keeps no results

The files are deleted afterwards. The floor reads the bytes and verifies their checksums, as every
reader must. Anonymous memory is sampled from outside the process, as in `song_stream`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._memory import MIB, ON_LINUX, anonymous_memory, sampled_run
from benchmarks._record import Record
from benchmarks._timing import seconds
from skcca.datasets import build_mv10k, iter_youtube8m, write_youtube8m
from skcca.datasets._tfrecord import batches

VIDEOS, N_FILES, N_FRAMES = 10_000, 8, 216
MUSIC, OTHER = 14, 5
MOST = 160  # MiB
_WIDTHS = {"audio": 128, "rgb": 1024}
_DISTINCT = 8  # videos; the others repeat their frames
_WORKS = {
    "floor: bytes and checksums": ("floor", 1),
    "iter_youtube8m, bytes, 1 thread": ("uint8", 1),
    "iter_youtube8m, bytes, 2 threads": ("uint8", 2),
    "iter_youtube8m, float32, 1 thread": ("float32", 1),
    "iter_youtube8m, float32, 2 threads": ("float32", 2),
    "iter_youtube8m, 1 video of 10 wanted, 1 thread": ("chosen", 1),
    "build_mv10k, bytes, 1 thread": ("build", 1),
    "build_mv10k, bytes, 2 threads": ("build", 2),
}


def main() -> None:
    """Make the files, measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--videos", type=int, default=VIDEOS, help=f"default: {VIDEOS:,}")
    parser.add_argument("--folder", help="where files are made; default: a temporary one")
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        folder, work, n_jobs = options.read
        print(json.dumps(measure_here(Path(folder), work, int(n_jobs))))
        return
    if not ON_LINUX:
        raise SystemExit("Anonymous memory is read from Linux's /proc, which is not here.")
    record = Record(
        "youtube8m",
        "Frame-level records of YouTube-8M from TFRecord files",
        f"{options.videos:,} simulated videos of {N_FRAMES} s in {N_FILES} files; records a "
        "second, also as a share of the floor's, and MiB of anonymous memory above that before",
        ("records/s", "of the floor", "GiB/s", "anonymous MiB", "at most"),
    )
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="skcca-") as folder:
        size = make_files(Path(folder), options.videos)
        floor = None
        for label, (work, n_jobs) in _WORKS.items():
            command = [sys.executable, "-m", "benchmarks.youtube8m", "--read", folder, work]
            found, peak = sampled_run([*command, str(n_jobs)])
            rate = options.videos / found["seconds"]
            floor = floor or rate
            above = (peak - found["before"]) / MIB
            speed = size / 2**30 / found["seconds"]
            record.add(label, (rate, rate / floor, speed, above, MOST))
    if options.videos == VIDEOS:
        record.save("python -m benchmarks.youtube8m")


def make_files(folder: Path, n_videos: int) -> int:
    """Write the files, and a small one to warm up with; return the bytes of the former."""
    rng = np.random.default_rng(0)
    views = {
        name: rng.integers(0, 256, (_DISTINCT, N_FRAMES, width), dtype=np.uint8)
        for name, width in _WIDTHS.items()
    }
    for i, part in enumerate([*np.array_split(np.arange(n_videos), N_FILES), np.arange(2)]):
        audio, rgb = ([views[name][k % _DISTINCT] for k in part] for name in _WIDTHS)
        name = f"frames{i}.tfrecord" if i < N_FILES else "start.tfrecord"
        write_youtube8m(
            folder / name,
            audio,
            rgb,
            labels=[[OTHER] if k % 10 else [MUSIC, OTHER] for k in part],
            ids=[f"{k:06}" for k in part],
        )
    return sum(path.stat().st_size for path in folder.glob("frames*"))


def measure_here(folder: Path, work: str, n_jobs: int) -> dict[str, float]:
    """Read all files in this process."""
    read(folder, "start.tfrecord", work, n_jobs)
    before = anonymous_memory()
    taken = seconds(lambda: read(folder, "frames*", work, n_jobs))
    return {"seconds": taken, "before": before}


def read(folder: Path, pattern: str, work: str, n_jobs: int) -> int:
    """Run one of the tasks; return the number of records or videos."""
    if work == "floor":
        paths = sorted(map(str, folder.glob(pattern)))
        return sum(1 for path in paths for batch in batches(path) for _ in batch.records)
    if work == "build":
        with tempfile.TemporaryDirectory(dir=folder) as place:
            options = {"label": OTHER, "dtype": "uint8", "n_jobs": n_jobs}
            return len(build_mv10k(folder / pattern, Path(place) / "mv", **options).ids)
    labels = MUSIC if work == "chosen" else None
    dtype = "uint8" if work == "chosen" else work
    options = {"dtype": dtype, "labels": labels, "n_jobs": n_jobs}
    return sum(1 for _ in iter_youtube8m(folder / pattern, **options))


if __name__ == "__main__":
    main()
