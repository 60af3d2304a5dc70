"""The experiments of the paper: Tables I and II, Figures 5 to 9, and a check of its claims.

    python -m benchmarks.paper                       # 1,200 simulated songs, five folds
    python -m benchmarks.paper --records 'frame/*.tfrecord' --vocabulary vocabulary.csv \
        --annotations emotions.csv                   # records of YouTube-8M

In every fold the emotion model is fitted to the annotated training songs, and the clusters and
methods to all training songs. The videos of its cluster are relevant to a song. A run that was
stopped continues with the missing folds; `--out` holds the folds, tables (CSV, Markdown) and
figures (PNG).
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import skcca
from benchmarks._record import Record
from benchmarks.paper import figures, tables
from benchmarks.paper.data import Videos, recorded, simulated
from benchmarks.paper.run import run

QUICK = {"selector": {"max_epochs": 2}, "deep": {"max_epochs": 2}}


def main(arguments: list[str] | None = None) -> None:
    """Run, write and keep."""
    options = parse(arguments)
    videos = load(options)
    changes = QUICK if options.quick else {}
    found = run(
        videos,
        options.out / "folds",
        n_folds=options.folds,
        seed=options.seed,
        n_jobs=options.n_jobs,
        changes=changes,
    )
    footer = provenance(options, len(videos.audio))
    said = tables.claims(found)
    if not options.records:
        said = tables.explained(said)
    tables.write(found, videos.n_by_tolerance, said, options.out, footer)
    drawn = figures.draw(found, options.out, footer)
    record = as_record(found, options, len(videos.audio))
    print("\n".join(said))
    print(f"\n{len(drawn)} figures, 2 tables and paper.md are in {options.out}")
    if not (options.quick or options.records) and options.videos == 1_200:
        seconds = sum(fold["seconds"] for fold in found)
        record.save("python -m benchmarks.paper", seconds, claims=said, note=tables.NOTE)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=1_200, help="to simulate; default: 1,200")
    parser.add_argument("--records", help="pattern of frame-level files, in place of simulation")
    parser.add_argument("--vocabulary", type=Path, help="vocabulary.csv of the records")
    parser.add_argument("--annotations", type=Path, help="table of id and emotion")
    parser.add_argument("--folds", type=int, default=5, help="default: 5")
    parser.add_argument("--n-jobs", type=int, default=1, help="folds at once; default: 1")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--out", type=Path, default=Path("results/paper"))
    parser.add_argument("--quick", action="store_true", help="300 songs, two epochs, two folds")
    options = parser.parse_args(arguments)
    if options.records and not (options.vocabulary and options.annotations):
        parser.error("--records needs --vocabulary and --annotations: nobody knows the emotions")
    if options.quick:
        options.videos, options.folds = 300, 2
    if options.folds < 2:
        parser.error(f"--folds is {options.folds}; deviations need 2 at least")
    return options


def load(options: argparse.Namespace) -> Videos:
    """Return the videos that the command asks for."""
    if options.records:
        return recorded(
            options.records, options.annotations, options.vocabulary, options.out / "videos"
        )
    return simulated(options.videos, options.seed)


def provenance(options: argparse.Namespace, n_videos: int) -> str:
    """Return the command, the versions and the seed."""
    kind = "records" if options.records else "simulated songs"
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "torch"))
    return (
        f"python -m benchmarks.paper; {n_videos:,} {kind}, {options.folds} folds, seed "
        f"{options.seed}; skcca {skcca.__version__}, {packages}, Python {platform.python_version()}"
    )


def as_record(found: list, options: argparse.Namespace, n_videos: int) -> Record:
    """Print Table II, and return it."""
    record = Record(
        "paper",
        "Table II of the paper, on simulated songs",
        f"{n_videos:,} music videos, {options.folds} folds, relevant is the same emotion cluster; "
        "MAP in per cent, full list, cosine; k of c chunks are kept",
        tables.COLUMNS,
    )
    for row in tables.table_two(found):
        kind = "chance" if row["method"] == "chance" else "measured"
        record.add(row["method"], row["mean"], row["deviation"], kind=kind)
        if row["published"]:
            record.add(row["method"], row["published"], kind="published")
    return record


if __name__ == "__main__":
    sys.exit(main())
