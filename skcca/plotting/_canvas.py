"""Axes, legends, and colours that show on them with every kind of colour vision.

matplotlib is imported when something is drawn. Colours are those of Okabe and Ito, of Tol ("muted")
where there are more classes, and a perceptual map for more still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.legend import Legend

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

# Tol's grey is replaced by one that shows on paper.
_TEN = "#332288 #88CCEE #44AA99 #117733 #999933 #DDCC77 #CC6677 #882255 #AA4499 #BBBBBB".split()

# Colour of a line, by the colour that contrasts with the background.
LINE = {"black": BLUE, "white": SKY}


def check_canvas(ax: object, caller: str) -> None:
    """Refuse missing matplotlib and wrong axes, before anything is computed."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which cannot be imported ({error}): "
            "pip install skcca[plot]."
        ) from error
    if ax is not None and not hasattr(ax, "get_xaxis_transform"):
        raise TypeError(
            f"{caller}: `ax` is a {type(ax).__name__}; expected one matplotlib Axes, or None for a "
            "new figure."
        )


def axes_for(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the given axes, or those of a new figure that makes room for its labels."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def draw_layout(ax: Axes) -> None:
    """Lay out the whole figure, so that the sizes of texts in pixels are final."""
    # The figure of the axes may be a subfigure, which cannot be laid out by itself.
    ax.figure.figure.draw_without_rendering()


def contrast_colour(ax: Axes) -> str:
    """Return black or white, whichever shows on the background of the axes."""
    from matplotlib.colors import to_rgb

    luminance = np.dot(to_rgb(ax.get_facecolor()), [0.2126, 0.7152, 0.0722])
    return "black" if luminance > 0.5 else "white"


def add_legend(ax: Axes, handles: Sequence[Artist | tuple], **kwargs: Any) -> Legend:
    """Add a legend that is legible on the background of the axes."""
    return ax.legend(
        handles=handles, facecolor=ax.get_facecolor(), labelcolor=contrast_colour(ax),
        edgecolor="none", fontsize="small", **({"framealpha": 0.85} | kwargs),
    )  # fmt: skip


def legend_above(ax: Axes, handles: Sequence[Artist | tuple], title: str | None) -> Legend:
    """Set a legend above the axes, in as many columns as they are wide, and the title above it."""
    room = ax.get_window_extent()
    for n_columns in range(len(handles), 0, -1):
        legend = add_legend(
            ax, handles, ncols=n_columns, loc="lower right", bbox_to_anchor=(1, 1),
            framealpha=1, borderaxespad=0.2, borderpad=0.2, handlelength=1.3, columnspacing=1.0,
        )  # fmt: skip
        box = legend.get_window_extent()
        if box.width <= room.width:
            break
    if title is not None:
        # The pad is measured in points, windows in pixels.
        ax.set_title(title, pad=(box.y1 - room.y1) * 72 / ax.figure.figure.dpi + 5)
    return legend


def legend_beside(ax: Axes, handles: Sequence[Artist | tuple]) -> Legend:
    """Add a legend to the right of the axes, or of the points where the figure makes no room."""
    beside = ax.figure.figure.get_layout_engine() is not None
    place: dict[str, Any] = {"loc": "upper right"}
    if beside:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
    room = ax.get_window_extent()
    for n_columns in (1, 2, 3):
        legend = add_legend(ax, handles, handletextpad=0.3, ncols=n_columns, **place)
        if legend.get_window_extent().height <= room.height:
            break
    if not beside:
        taken = 1.05 * legend.get_window_extent().width / room.width
        low, high = ax.get_xlim()
        ax.set_xlim(low, low + (high - low) / (1 - min(taken, 0.6)))
    return legend


def class_colours(n_classes: int, contrast: str) -> np.ndarray:
    """Return a colour for each class, (n_classes, 4); `contrast` is that of `contrast_colour`."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    named = [BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, contrast, YELLOW]
    if n_classes <= len(named):
        return to_rgba_array(named[:n_classes])
    if n_classes <= len(_TEN):
        return to_rgba_array(_TEN[:n_classes])
    # The ends of the map are nearly black and nearly as white as paper.
    ends = (0.0, 0.92) if contrast == "black" else (0.15, 1.0)
    return colormaps["viridis"](np.linspace(*ends, n_classes))


def colour_bar(ax: Axes, names: Sequence[str], colours: np.ndarray) -> Colorbar:
    """Add a bar of the colours of many classes, with the names of at most 12 of them."""
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
