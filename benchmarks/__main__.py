"""List the benchmarks, run some or all of them, and rewrite the README's tables.

python -m benchmarks                       # list them, with the duration of the last run
python -m benchmarks wikipedia rivals      # run these, then rewrite the tables
python -m benchmarks quality               # all that measure quality; "speed" and "all" likewise

Measure speed on a machine that is otherwise idle. Data sets are read from the folder that
SKCCA_DATA names. A benchmark that fails is reported, and the others run.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks._record import RESULTS

HERE = Path(__file__).parent
QUALITY = (
    "wikipedia", "spoken_digits", "mnist_halves", "noisy_mnist", "rivals", "defaults",
    "overfitting", "label_shares", "emotion", "end_to_end", "permutation_level", "paper", "order",
)  # fmt: skip
SPEED = (
    "linear", "pairs", "kernels", "out_of_core", "deep", "attention", "song_stream", "retrieval",
    "search", "search_path", "sparse", "threads", "youtube8m",
)  # fmt: skip
# Those of another machine, and what it would ask of its host.
GPU = ("gpu", "host_budget")
GROUPS = {"quality": QUALITY, "speed": SPEED, "all": QUALITY + SPEED}
OPTIONS = {"out_of_core": ["--dask"]}


def main() -> int:
    """List the benchmarks, or run those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to run; nothing lists")
    names = parser.parse_args().names
    unknown = [name for name in names if name not in (*GROUPS, *GROUPS["all"], *GPU)]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}: python -m benchmarks lists them")
    if not names:
        for group, members in (("quality", QUALITY), ("speed", SPEED), ("on a GPU", GPU)):
            print(f"{group}:")
            for name in members:
                print(f"  {name:18} {taken(name):>8}  {summary(name)}")
        return 0
    chosen = list(dict.fromkeys(one for name in names for one in GROUPS.get(name, (name,))))
    failed = [name for name in chosen if run(name)]
    report.main([])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def run(name: str) -> int:
    """Run one benchmark in a process of its own; return its exit code."""
    print(f"\n=== {name} ===", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *OPTIONS.get(name, [])]
    return subprocess.run(command, check=False).returncode


def summary(name: str) -> str:
    """Return the first line of the docstring of a benchmark, without importing it."""
    module = HERE / name / "__main__.py" if (HERE / name).is_dir() else HERE / f"{name}.py"
    return (ast.get_docstring(ast.parse(module.read_text())) or "").splitlines()[0]


def taken(name: str) -> str:
    """Return the duration of the last run whose results were kept."""
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    seconds = [r["seconds"] for r in records if r["command"].split()[2] == f"benchmarks.{name}"]
    return f"{sum(seconds) / 60:.1f} min" if seconds else "not run"


if __name__ == "__main__":
    sys.exit(main())
