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
