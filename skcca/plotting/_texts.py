"""Names of points that do not cover one another.

No name leaves the axes or overlaps another one, however long it is. A name for which there is no
room is left out, and the caller learns which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_MAX_CHARACTERS = 28

# Distances from a point to its name, in points, and directions, seen from the first one.
_DISTANCES = (5.0, 9.0, 14.0, 20.0, 28.0, 38.0)
_ANGLES = np.deg2rad([0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180])

# A name that is no farther than this needs no line to its point.
_LINE_FROM = 9.0


def shorten(name: object, n_characters: int = _MAX_CHARACTERS) -> str:
    """Return a name of at most so many characters, its middle replaced by an ellipsis."""
    text = str(name)
    if len(text) <= n_characters:
        return text
    head = max(1, (n_characters - 1) * 2 // 3)
    tail = max(0, n_characters - 1 - head)
    return text[:head] + "…" + text[len(text) - tail :]


def place_texts(
    ax: Axes,
    points: np.ndarray,
    names: Sequence[str],
    colours: Sequence[str],
    directions: np.ndarray,
    *,
    others: np.ndarray | None = None,
    over: bool = False,
    dot_radius: float = 0.0,
    **kwargs: Any,
) -> tuple[list[Annotation], np.ndarray]:
    """Write each name beside its point, where it covers neither another name nor a point.

    The axes have their final limits and are laid out. Points (n, 2) are in units of the data, the
    most important first; a name prefers its direction (n, 2), seen from its point, and leaves the
    `others` (m, 2) uncovered too. Points are dots of that radius, in points of print. With `over` a
    name may stand on its point. `kwargs` are for ``Axes.annotate``. Return the names that found
    room, and the mask (n,) of these.
    """
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=ax.get_facecolor())]
    scale = ax.figure.figure.dpi / 72  # pixels per point
    radius = scale * dot_radius
    room = ax.get_window_extent()
    at = ax.transData.transform(points)
    dots = at if others is None else np.vstack([at, ax.transData.transform(others)])
    taken = np.empty((0, 4))  # left, bottom, right, top
    texts, placed = [], np.zeros(len(points), dtype=bool)
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        text = ax.annotate(
            shorten(name), points[i], xytext=(0, 0), textcoords="offset points", color=colour,
            annotation_clip=False, path_effects=halo,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": colour, "shrinkA": 0},
            **kwargs,
        )  # fmt: skip
        box = text.get_window_extent()
        size = np.array([box.width, box.height])
        first = np.arctan2(directions[i, 1], directions[i, 0])
        for distance in (0.0, *_DISTANCES) if over else _DISTANCES:
            towards = np.column_stack([np.cos(first + _ANGLES), np.sin(first + _ANGLES)])
            # A side of the box touches the circle, at its middle if it can.
            side = towards / np.abs(towards).max(axis=1, keepdims=True) if distance else 0 * towards
            low = at[i] + scale * distance * towards + (side - 1) * size / 2
            boxes = np.hstack([low, low + size])
            free = ~_covers(boxes, taken).any(axis=1)
            free &= np.all((boxes[:, :2] >= room.p0) & (boxes[:, 2:] <= room.p1), axis=1)
            # At the largest distance a name may lie over dots, rather than be left out.
            if not over and distance < _DISTANCES[-1]:
                low_side, high_side = boxes[:, None, :2] - radius, boxes[:, None, 2:] + radius
                holds = (dots >= low_side) & (dots <= high_side)
                free &= ~np.any(np.all(holds, axis=2), axis=1)
            if free.any():
                k = int(np.argmax(free))
                text.set_position(tuple((low[k] - at[i]) / scale))
                text.set(horizontalalignment="left", verticalalignment="bottom")
                if distance <= _LINE_FROM and text.arrow_patch is not None:
                    text.arrow_patch.set_visible(False)
                taken = np.vstack([taken, boxes[k]])
                texts.append(text)
                placed[i] = True
                break
        else:
            text.remove()
    return texts, placed


def _covers(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return a mask (n, m) of the overlaps between boxes (n, 4) and others (m, 4)."""
    a, b = boxes[:, None], taken[None]
    return np.all((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:]), axis=2)
