"""Texts that do not cover one another.

What must hold: no text leaves the axes or overlaps another, whatever the names are; a text for
which there is no room is left out, and the caller is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

_LONGEST = 28  # characters of a name
_DISTANCES = (5.0, 9.0, 14.0, 20.0, 28.0, 38.0)  # points from the point to its text
_BESIDE = 9.0  # points: a text nearer than this needs no line to its point
_ANGLES = np.deg2rad([0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180])


def shorten(text: Any, n_characters: int = _LONGEST) -> str:
    """Return a text of at most so many characters, its middle left out."""
    text = str(text)
    if len(text) <= n_characters:
        return text
    head = max(1, (n_characters - 1) * 2 // 3)
    tail = max(0, n_characters - 1 - head)
    return text[:head] + "…" + text[len(text) - tail :]


def shorten_to(text: Any, width: float) -> None:
    """Shorten a drawn text until it is no wider than so many pixels."""
    full = text.get_text()
    n_characters = len(full)
    while n_characters > 1 and text.get_window_extent().width > width:
        n_characters = min(n_characters - 1, int(n_characters * 0.9))
        text.set_text("\n".join(shorten(line, n_characters) for line in full.split("\n")))


def place_texts(
    ax: Any,
    points: np.ndarray,
    names: Sequence[str],
    colours: Iterable[Any],
    directions: np.ndarray,
    *,
    others: np.ndarray | None = None,
    over: bool = False,
    **kwargs: Any,
) -> tuple[list[Any], np.ndarray]:
    """Write each name beside its point, where it covers neither another name nor a point.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes with their final limits, laid out.
    points : ndarray of shape (n, 2)
        In units of the data, the most important first.
    names : sequence of n str
        Names; shortened where they are very long.
    colours : iterable of n colours
        Colours of the names.
    directions : ndarray of shape (n, 2)
        Where to write first, seen from the point.
    others : ndarray of shape (m, 2), default=None
        Further points not to cover.
    over : bool, default=False
        Whether to write on the point itself, if there is room.
    **kwargs : dict
        For ``Axes.annotate``.

    Returns
    -------
    texts : list of matplotlib Annotation
        The names that found room.
    placed : ndarray of shape (n,), bool
        Which they are.
    """
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=ax.get_facecolor())]
    scale = ax.figure.figure.dpi / 72  # pixels of a point
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
            free = ~_covers(boxes, taken).any(axis=1) & _inside(boxes, room)
            # A name may lie over dots, but only where nothing else is left.
            if not over and distance < _DISTANCES[-1]:
                free &= _n_inside(boxes, dots) == 0
            if free.any():
                k = int(np.argmax(free))
                text.set_position(tuple((low[k] - at[i]) / scale))
                text.set(horizontalalignment="left", verticalalignment="bottom")
                text.arrow_patch.set_visible(distance > _BESIDE)
                taken = np.vstack([taken, boxes[k]])
                placed[i] = True
                break
        if placed[i]:
            texts.append(text)
        else:
            text.remove()
    return texts, placed


def _covers(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return which boxes (n, 4) overlap which of the others (m, 4), (n, m)."""
    a, b = boxes[:, None], taken[None]
    return np.all((a[..., :2] < b[..., 2:]) & (b[..., :2] < a[..., 2:]), axis=2)


def _inside(boxes: np.ndarray, room: Any) -> np.ndarray:
    low, high = (room.x0, room.y0), (room.x1, room.y1)
    return np.all((boxes[:, :2] >= low) & (boxes[:, 2:] <= high), axis=1)


def _n_inside(boxes: np.ndarray, dots: np.ndarray) -> np.ndarray:
    """Return how many dots lie in each box."""
    within = (dots >= boxes[:, None, :2]) & (dots <= boxes[:, None, 2:])
    return np.count_nonzero(np.all(within, axis=2), axis=1)
