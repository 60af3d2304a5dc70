"""Colours that are told apart with every kind of colour vision, on paper and in the dark."""

from __future__ import annotations

from typing import Any

import numpy as np

# Of Okabe and Ito.
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# Of Tol, "muted", with a grey that shows on paper.
_TEN = "#332288 #88CCEE #44AA99 #117733 #999933 #DDCC77 #CC6677 #882255 #AA4499 #BBBBBB".split()

LINE = {"black": BLUE, "white": SKY}  # a line, by the ink that shows on the background


def class_colours(n_classes: int, ink: str) -> np.ndarray:
    """Return a colour for each class, (n_classes, 4).

    Parameters
    ----------
    n_classes : int
        Up to 8 get the colours of Okabe and Ito, up to 10 those of Tol, and more of them those of a
        perceptual map.
    ink : {"black", "white"}
        What shows on the background.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    named: list[Any] = [BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, ink, YELLOW]
    if n_classes <= len(named):
        return to_rgba_array(named[:n_classes])
    if n_classes <= len(_TEN):
        return to_rgba_array(_TEN[:n_classes])
    # The ends of the map are near black and near white paper.
    ends = (0.0, 0.92) if ink == "black" else (0.15, 1.0)
    return colormaps["viridis"](np.linspace(*ends, n_classes))


def colour_bar(ax: Any, names: list[str], colours: np.ndarray) -> Any:
    """Add a bar of the colours of many classes, some of which it names."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    n_classes = len(names)
    norm = BoundaryNorm(np.arange(n_classes + 1) - 0.5, n_classes)
    shown = np.unique(np.linspace(0, n_classes - 1, 12).round().astype(int))
    mappable = ScalarMappable(norm, ListedColormap(colours))
    bar = ax.figure.colorbar(mappable, ax=ax, ticks=shown, label="Class", spacing="uniform")
    bar.minorticks_off()
    bar.ax.set_yticklabels([names[i] for i in shown])
    return bar
