"""Growth of the time of CCA with rows and with features, beside that of its floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks._record import Record
from benchmarks._simulated import simulated_views
from benchmarks._timing import log_log_slope, median, ratio, take_turns
from skcca import CCA

Array = np.ndarray
Shape = tuple[int, int, int]  # rows, features of the first view and of the second


class Sizes(NamedTuple):
    """Numbers of rows at fixed widths, and widths at a fixed number of rows."""

    rows: tuple[int, ...] = (4_000, 10_000, 25_000, 62_500, 156_250)
    widths: tuple[int, int] = (128, 1_024)
    # The first view has an eighth of these widths.
    second_widths: tuple[int, ...] = (256, 512, 1_024, 2_048)
    fixed_rows: int = 20_000


QUICK = Sizes((1_000, 2_000, 4_000, 8_000, 16_000), (32, 128), (256, 384, 512, 768), 4_000)


class Curve(NamedTuple):
    """Seconds of the floor and of CCA along one axis."""

    axis: str
    sizes: Sequence[int]
    floor: Sequence[float]
    cca: Sequence[float]


def measure(
    floor: Callable[[Array, Array], object], sizes: Sizes, rounds: int
) -> tuple[Record, list[Curve]]:
    """Time CCA and the floor at each size, and fit power laws."""
    record = Record(
        "linear_growth",
        "Growth of a linear fit",
        "CCA with 30 components, float64, in seconds; exponents of a power law through all sizes",
        ("floor", "CCA", "CCA / floor", "at most"),
    )
    along_rows = [(n, *sizes.widths) for n in sizes.rows]
    along_width = [(sizes.fixed_rows, d // 8, d) for d in sizes.second_widths]
    curves = [
        _curve(record, floor, f"rows, {_of_width(sizes.widths)}", along_rows, 0, rounds),
        _curve(record, floor, f"features, {sizes.fixed_rows:,} rows", along_width, 2, rounds),
    ]
    return record, curves


def _curve(
    record: Record,
    floor: Callable[[Array, Array], object],
    axis: str,
    shapes: list[Shape],
    varying: int,
    rounds: int,
) -> Curve:
    found = []
    for shape in shapes:
        X, Y, _ = simulated_views(*shape)
        works = {
            "floor": lambda X=X, Y=Y: floor(X, Y),
            "CCA": lambda X=X, Y=Y: CCA(30).fit(X, Y),
        }
        times = take_turns(works, rounds)
        found.append((median(times, "floor"), median(times, "CCA")))
        row = (*found[-1], ratio(times, "CCA", "floor"), _bar(shape))
        record.add(f"{shape[0]:,} rows, {_of_width(shape[1:])}", row)
    sizes = [shape[varying] for shape in shapes]
    seconds = list(zip(*found, strict=True))
    exponents = [log_log_slope(sizes, values) for values in seconds]
    record.add(f"exponent of {axis}", (*exponents, None, None))
    return Curve(axis, sizes, *seconds)


def _of_width(widths: tuple[int, ...]) -> str:
    return f"({widths[0]}, {widths[1]:,}) features"


def _bar(shape: Shape) -> float | None:
    """Return the bar, which is set for one width because Cholesky is cubic in the width."""
    if shape[1:] != (128, 1_024) or shape[0] < 8_000:
        return None
    return 2.0 if shape[0] < 100_000 else 1.3


def plot(curves: list[Curve], path: str) -> None:
    """Draw seconds against sizes on logarithmic axes, with the exponents in the legends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, curve in zip(panels, curves, strict=True):
        for name, seconds, style in (
            ("three Gram products", curve.floor, "o--"),
            ("CCA.fit", curve.cca, "o-"),
        ):
            exponent = log_log_slope(curve.sizes, seconds)
            panel.loglog(curve.sizes, seconds, style, label=f"{name}, exponent {exponent:.2f}")
        panel.set_xticks(curve.sizes, [f"{size:,}" for size in curve.sizes])
        panel.minorticks_off()
        panel.set_xlabel(curve.axis)
        panel.grid(alpha=0.3)
        panel.legend()
    panels[0].set_ylabel("seconds")
    figure.savefig(path, dpi=150)
