"""Figures 5 to 9: precision and recall by selection, and MAP by method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.paper.protocol import OF_CURVES, OURS, SELECTIONS
from benchmarks.paper.tables import maps

mpl.use("Agg")
from matplotlib import pyplot as plt  # after the choice of what draws

# The colours of Okabe and Ito can be told apart by colour-blind readers, the dashes in print.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
CURVES = {
    "figure5": (3, ("1/3", "2/3", "mean")),
    "figure6": (6, ("1/6", "2/6", "3/6", "mean")),
    "figure7": (9, ("1/9", "2/9", "3/9", "mean")),
}


def draw(found: list[dict[str, Any]], folder: Path, footer: str) -> list[Path]:
    """Write all figures; return their paths."""
    paths = []
    for name, (n_chunks, selections) in CURVES.items():
        figure, ax = _axes(footer)
        for method, dash in zip(OF_CURVES, ("--", "-"), strict=True):
            _curves(ax, found, method, selections, dash)
        ax.set_title(f"Songs of {n_chunks} chunks")
        paths.append(_save(figure, folder / f"{name}.png"))
    figure, ax = _axes(footer)
    _curves(ax, found, OF_CURVES[1], tuple(SELECTIONS), "-")
    ax.set_title(f"{OF_CURVES[1]}, chunks kept of all (k/c)")
    paths.append(_save(figure, folder / "figure8.png"))
    paths.append(_bars(found, folder / "figure9.png", footer))
    return paths


def _curves(ax: Any, found: list, method: str, selections: tuple[str, ...], dash: str) -> None:
    for selection, colour in zip(selections, COLOURS, strict=False):
        of_folds = [fold["results"][selection][method] for fold in found]
        # Folds differ by a video or so in length; their curves by less than a line's width.
        n = min(len(one["recall"]) for one in of_folds)
        recall, precision = (
            np.mean([one[axis][:n] for one in of_folds], axis=0) for axis in ("recall", "precision")
        )
        ax.plot(recall, precision, dash, color=colour, label=f"{method}, {selection}")
    if selections[-1] == "mean" and dash == "-":
        chance = float(np.mean([fold["chance"] for fold in found]))
        ax.axhline(chance, color="black", linewidth=0.8, linestyle=":", label="chance")
    ax.set_xlabel("Recall")
    ax.set_ylabel("Precision")
    ax.set_xlim(0, 1)
    ax.legend(fontsize="small", frameon=False)


def _bars(found: list, path: Path, footer: str) -> Path:
    figure, ax = _axes(footer, width=9)
    methods = list(found[0]["results"]["mean"])
    place, width = np.arange(len(methods)), 0.8 / len(SELECTIONS)
    means = np.array([maps(found, method).mean(axis=0) for method in methods])
    errors = np.array([maps(found, method).std(axis=0, ddof=1) for method in methods])
    for i, selection in enumerate(SELECTIONS):
        at = place + (i - 1.5) * width
        bars = {"color": COLOURS[i], "label": selection, "error_kw": {"linewidth": 0.8}}
        ax.bar(at, means[:, i], width, yerr=errors[:, i], **bars)
    chance = 100 * float(np.mean([fold["chance"] for fold in found]))
    ax.axhline(chance, color="black", linewidth=0.8, linestyle=":", label="chance")
    names = [
        method.replace(OURS, "skcca's\ndefault").replace("-extend", "\nextend")
        for method in methods
    ]
    ax.set_xticks(place, names, fontsize="small")
    ax.set_ylabel("MAP (%)")
    ax.set_title("Mean average precision by chunks kept of all (k/c)")
    ax.legend(fontsize="small", frameon=False, ncols=5, loc="upper left")
    ax.set_ylim(0, 1.15 * (means + errors).max())
    return _save(figure, path)


def _axes(footer: str, width: float = 6.4) -> tuple[Any, Any]:
    figure, ax = plt.subplots(figsize=(width, 4.8), layout="constrained")
    figure.supxlabel(footer, fontsize=6, color="0.35", x=0.01, ha="left")
    return figure, ax


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path
