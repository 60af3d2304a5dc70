"""Axes, the ink that shows on them, and legends; matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_matplotlib(caller: str) -> None:
    """Name the cure where matplotlib is missing."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which cannot be imported ({error}): "
            "pip install skcca[plot]."
        ) from error


def check_canvas(ax: Any, caller: str) -> None:
    """Refuse what cannot be drawn on, before anything is computed."""
    check_matplotlib(caller)
    if ax is not None and not hasattr(ax, "get_xaxis_transform"):
        raise TypeError(
            f"{caller}: `ax` is a {type(ax).__name__}; expected one matplotlib Axes, or None for a "
            "new figure."
        )


def axes_for(ax: Any, size: tuple[float, float]) -> Any:
    """Return the given axes, or those of a new figure that makes room for its labels."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def ink_of(ax: Any) -> str:
    """Return the colour, black or white, that shows on the background of the axes."""
    from matplotlib.colors import to_rgb

    luminance = np.dot(to_rgb(ax.get_facecolor()), [0.2126, 0.7152, 0.0722])
    return "black" if luminance > 0.5 else "white"


def add_legend(ax: Any, **kwargs: Any) -> Any:
    """Add a legend that is legible on the background of the axes."""
    look = {
        "facecolor": ax.get_facecolor(),
        "labelcolor": ink_of(ax),
        "framealpha": 0.85,
        "edgecolor": "none",
        "fontsize": "small",
    }
    return ax.legend(**(look | kwargs))


def legend_above(ax: Any, handles: list[Any], title: str | None) -> Any:
    """Set a legend above the axes, in as many columns as they are wide, and the title above it."""
    for n_columns in range(len(handles), 0, -1):
        legend = add_legend(
            ax, handles=handles, ncols=n_columns, loc="lower right", bbox_to_anchor=(1, 1),
            framealpha=1, borderaxespad=0.2, borderpad=0.2, handlelength=1.3, columnspacing=1.0,
        )  # fmt: skip
        box, below = legend.get_window_extent(), ax.get_window_extent()
        if box.width <= below.width:
            break
    if title is not None:
        ax.set_title(title, pad=(box.y1 - below.y1) * 72 / ax.figure.figure.dpi + 5)  # points
    return legend


def legend_beside(ax: Any, handles: list[Any]) -> Any:
    """Add a legend to the right of the axes, or of the points where the figure makes no room."""
    beside = ax.figure.figure.get_layout_engine() is not None
    place: dict = {"loc": "upper right"}
    if beside:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    room = ax.get_window_extent()
    for n_columns in (1, 2, 3):
        legend = add_legend(ax, handles=handles, handletextpad=0.3, ncols=n_columns, **place)
        if legend.get_window_extent().height <= room.height:
            break
    if not beside:
        taken = 1.05 * legend.get_window_extent().width / room.width
        low, high = ax.get_xlim()
        ax.set_xlim(low, low + (high - low) / (1 - min(taken, 0.6)))
    return legend


def settle(ax: Any) -> None:
    """Lay the figure out, so that the sizes of texts in pixels are those of the picture."""
    ax.figure.figure.draw_without_rendering()  # of a subfigure, the figure


# MERGED: plotting._colours
# """Colours that are told apart with every kind of colour vision, on paper and in the dark."""

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
