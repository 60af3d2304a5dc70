"""Peak memory of a task in its own process, from Linux's /proc.

    python -m benchmarks._memory CCA 8000 64 256 float64   # one measurement, in bytes as JSON

`peak_above` resets the kernel's high-water mark and reads it afterwards, because the mark of
``getrusage`` also counts the memory of the parent process and that for making the inputs.
`sampled_run` samples anonymous memory from outside, because a high-water mark also counts the pages
of a memory map, which the kernel can reclaim.
"""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import skcca
from benchmarks._simulated import simulated_views

ON_LINUX = Path("/proc/self/clear_refs").exists()
MIB = 2**20
_PERIOD = 0.005  # seconds between two samples


def allowance(d_x: int, d_y: int) -> int:
    """Return the bytes that a fit may need above its inputs: 3 (d_x + d_y)^2 doubles + 64 MiB."""
    return 3 * (d_x + d_y) ** 2 * 8 + 64 * MIB


def peak_above(work: Callable[[], object]) -> int:
    """Return the number of bytes by which the resident memory of this process rises in a task."""
    ctypes.CDLL(None).malloc_trim(0)
    # This resets the high-water mark.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("self", "VmRSS")
    work()
    return _status("self", "VmHWM") - before


def measured_apart(estimator: str, n_rows: int, d_x: int, d_y: int, dtype: str) -> dict[str, int]:
    """Return the bytes of simulated inputs, and those of a fit above them, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks._memory", estimator, n_rows, d_x, d_y, dtype]
    done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def sampled_run(command: list[str]) -> tuple[dict, int]:
    """Run a command that prints JSON; return that and its peak of `anonymous_memory`."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, anonymous_memory(process.pid))
            time.sleep(_PERIOD)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed with code {process.returncode}.")
    return json.loads(output.splitlines()[-1]), peak


def anonymous_memory(pid: int | str = "self") -> int:
    """Return the bytes of anonymous resident memory of a process and its descendants."""
    try:
        own = _status(pid, "RssAnon")
        lists = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    # The process has ended.
    except OSError:
        return 0
    return own + sum(anonymous_memory(child) for child in " ".join(lists).split())


def _status(pid: int | str, field: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    # A process that is ending has no such line.
    return 1024 * int(found[1]) if found else 0


def main() -> None:
    """Make inputs, fit a small model to load libraries and BLAS buffers, and measure."""
    name, *sizes, dtype = sys.argv[1:]
    n_rows, d_x, d_y = map(int, sizes)
    # Ten classes allow nine components.
    model = getattr(skcca, name)(9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*simulated_views(2_000, 40, 40, dtype))
    views = simulated_views(n_rows, d_x, d_y, dtype)
    inputs = views.X.nbytes + views.Y.nbytes
    print(json.dumps({"inputs": inputs, "above": peak_above(lambda: model.fit(*views))}))


if __name__ == "__main__":
    main()
