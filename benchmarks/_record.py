"""Table of measurements and published values, printed and saved with the environment."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

import skcca

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
_LABEL, _CELL = 60, 22  # characters


class Record:
    """One table: measured rows, published rows, and the bar that they are held against.

    Parameters
    ----------
    name : str
        Module of the benchmark, and name of its result file.
    title, protocol : str
        What is measured, and on what terms.
    columns : sequence of str
        Names of the figures of a row; the one before "at most" must stay below what stands there.
    """

    def __init__(
        self,
        name: str,
        title: str,
        protocol: str,
        columns: Sequence[str],
    ):
        self.name, self.title, self.protocol = name, title, protocol
        self.columns, self.rows = list(columns), []
        self._start = time.monotonic()
        print(f"\n{title}\n{protocol}\n")
        print(f"{'':{_LABEL}}" + "".join(f"{column:>{_CELL}}" for column in columns))

    def add(
        self,
        method: str,
        values: Sequence[float | str | None],
        deviations: Sequence[float] | None = None,
        *,
        kind: str = "measured",
    ) -> None:
        """Add and print a row; ``kind`` is "measured", "published", "chance" or "bar".

        Where there is no figure a text says why, such as "missing"; None leaves the cell empty.
        """
        row = {"method": method, "kind": kind, "values": [_number(v) for v in values]}
        if deviations is not None:
            row["deviations"] = [_number(d) for d in deviations]
        self.rows.append(row)
        cells = (f"{cell:>{_CELL}}" for cell in formatted(row))
        label = method if kind in ("measured", "chance") else f"{method} ({kind})"
        print(f"{label:{_LABEL}}" + "".join(cells), flush=True)

    def save(self, command: str, seconds: float | None = None, **settings: object) -> None:
        """Write the table as JSON; ``seconds`` default to the time since its creation."""
        content = {
            "title": self.title,
            "protocol": self.protocol,
            "command": command,
            "columns": self.columns,
            "rows": self.rows,
            "settings": settings,
            "seconds": round(time.monotonic() - self._start if seconds is None else seconds),
            "versions": {"skcca": skcca.__version__} | {name: version(name) for name in _PACKAGES},
            "python": platform.python_version(),
            "machine": machine(),
        }
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{self.name}.json").write_text(json.dumps(content, indent=1) + "\n")
        print(f"\n{content['seconds']} s; kept in {RESULTS.name}/{self.name}.json")


def formatted(row: dict) -> list[str]:
    """Return the figures of a row as text, with deviations where there are any."""
    deviations = row.get("deviations") or [None] * len(row["values"])
    cells = []
    for value, deviation in zip(row["values"], deviations, strict=True):
        if value is None or isinstance(value, str):
            cells.append(value or "")
            continue
        digits = 3 if abs(value) < 10 else 1
        text = f"{value:.0e}" if 0 < abs(value) < 0.001 else f"{value:.{digits}f}"
        cells.append(text if deviation is None else f"{text} ± {deviation:.{digits}f}")
    return cells


def machine() -> dict:
    """Return the environment of timings: processor, cores, memory, and BLAS with its threads."""
    pages, page = (os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"))
    keys = ("internal_api", "version", "architecture", "num_threads", "prefix")
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages * page / 2**30),
        "thread_pools": [{key: pool.get(key) for key in keys} for pool in threadpool_info()],
    }


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    lines = cpu_info.read_text().splitlines() if cpu_info.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def arguments(description: str, **defaults: int) -> argparse.Namespace:
    """Parse ``--data-home`` and integer options with these defaults."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data-home", help="folder of the data sets; else SKCCA_DATA")
    for name, value in defaults.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=value, help=f"default: {value}")
    return parser.parse_args()


def mean_and_deviation(runs: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return mean and standard deviation over runs of a seed each; of one run, no deviation."""
    values = np.asarray(runs)
    return values.mean(axis=0), values.std(axis=0, ddof=1) if len(values) > 1 else None


def _number(value: float | str | None) -> float | str | None:
    return value if value is None or isinstance(value, str) else float(f"{value:.5g}")
