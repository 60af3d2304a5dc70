"""A grid of queries and items on one axes: where the parts of a cell are, and what they look like.

A cell is one unit wide. From top to bottom it holds a strip with the mark and the similarity, a
picture if there are any, and the lines of its text.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcca.plotting._canvas import GREEN, VERMILLION, settle
from skcca.plotting._texts import shorten_to

_STRIP = 0.22

_LINE = 0.16

_GAP = 0.12  # between cells

_APART = 0.3  # between the query and what it finds

_INCH = 1.15  # of a unit

_CHECK = [(-0.9, 0.0), (-0.3, -0.7), (0.9, 0.8)]


class Cells:
    """Where queries (column 0) and items (columns 1 to k) are drawn.

    Parameters
    ----------
    n_rows, k : int
        Number of queries, and of items of each.
    picture : float
        Height of the pictures, in widths of a cell; 0 where there are none.
    n_lines : int
        Lines of text in each cell.
    """

    def __init__(self, n_rows: int, k: int, *, picture: float, n_lines: int):
        self.n_rows, self.k, self.n_lines = n_rows, k, n_lines
        self.picture = picture
        self.height = _STRIP + self.picture + _LINE * n_lines + 0.08
        self.width_of_all = (k + 1) * (1 + _GAP) + _APART - _GAP
        self.height_of_all = n_rows * (self.height + _GAP) - _GAP

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height in inches, with room for a title."""
        return _INCH * self.width_of_all + 0.2, _INCH * (self.height_of_all + _STRIP) + 0.5

    def left(self, j: int) -> float:
        """Return the left border of column j."""
        return j * (1 + _GAP) + (_APART if j else 0)

    def top(self, i: int) -> float:
        """Return the upper border of row i; y grows downwards."""
        return i * (self.height + _GAP)

    def prepare(self, ax: Any, title: str | None) -> None:
        """Give the axes their limits, number the columns, and take the rest away."""
        self.ax = ax
        margin = 0.04
        ax.set_xlim(-margin, self.width_of_all + margin)
        ax.set_ylim(self.height_of_all + margin, -_STRIP - margin)
        ax.set_aspect("equal" if self.picture else "auto")
        ax.set_xticks([])
        ax.set_yticks([])
        self.headers = [
            self._text(self.left(j) + 0.5, -0.05, header, ha="center", va="bottom")
            for j, header in enumerate(["Query", *(str(j + 1) for j in range(self.k))])
        ]
        for spine in ax.spines.values():
            spine.set_visible(False)
        if title is not None:
            ax.set_title(title)

    def show(self, i: int, j: int, image: np.ndarray) -> Any:
        """Draw a picture as large as its cell allows."""
        height, width = image.shape[:2]
        h, w = np.array([height, width]) * min(self.picture / height, 1 / width) * 0.94
        x, y = self.left(j) + 0.5, self.top(i) + _STRIP + self.picture / 2
        return self.ax.imshow(
            image, extent=(x - w / 2, x + w / 2, y + h / 2, y - h / 2), cmap="gray", vmin=0, vmax=1,
            interpolation="nearest" if max(height, width) < 64 else None, aspect="equal",
        )  # fmt: skip

    def write(self, i: int, j: int, lines: list[str], *, below: bool) -> Any:
        """Write below the picture, or in the middle of a cell that has none."""
        y = self.top(i) + _STRIP + 0.04
        y += self.picture if below else (self.picture + _LINE * (self.n_lines - len(lines))) / 2
        return self._text(self.left(j) + 0.5, y, "\n".join(lines), ha="center", va="top")

    def _text(self, x: float, y: float, text: str, **kwargs: Any) -> Any:
        # Cells are as large as they are: a text that is too large must not make them smaller.
        return self.ax.text(x, y, text, in_layout=False, **kwargs)

    def mark(self, relevant: np.ndarray, similarities: np.ndarray) -> tuple[np.ndarray, Any, Any]:
        """Frame the items, mark them, and write their similarities."""
        from matplotlib.patches import Rectangle
        from matplotlib.path import Path

        ax = self.ax
        frames = np.empty(relevant.shape, dtype=object)
        # Embeddings of one class may lie so close that two digits are 1.00 for every item.
        digits = 2 if np.ptp(similarities.round(2)) > 0 else 4
        self._similarities = []
        for (i, j), hit in np.ndenumerate(relevant):
            x, y = self.left(j + 1), self.top(i)
            look: dict = {"edgecolor": GREEN, "linewidth": 2.0, "linestyle": "-"}
            if not hit:
                look = {"edgecolor": VERMILLION, "linewidth": 1.0, "linestyle": "--"}
            frames[i, j] = ax.add_patch(Rectangle((x, y), 1, self.height, fill=False, **look))
            written = f"{similarities[i, j]:.{digits}f}"
            self._similarities.append(self._text(x + 0.95, y + 0.03, written, ha="right", va="top"))
        at = np.array(
            [(self.left(j + 1) + 0.15, self.top(i) + 0.12) for i, j in np.ndindex(relevant.shape)]
        )
        hit = relevant.ravel().astype(bool)
        self._hits = ax.scatter(
            *at[hit].T, marker=Path(_CHECK), s=60, facecolors="none", edgecolors=GREEN, linewidths=2
        )
        self._misses = ax.scatter(*at[~hit].T, marker="x", s=30, c=VERMILLION, linewidths=1.5)
        return frames, self._hits, self._misses

    def fit_texts(self, texts: list[Any], ink: str) -> None:
        """Give all texts a size at which they fit their cells, and shorten those that do not."""
        settle(self.ax)
        (left, top), (right, bottom) = self.ax.transData.transform([(0, 0), (1, _LINE)])
        line_height = abs(bottom - top) * 72 / self.ax.figure.figure.dpi  # points
        size = min(8.0, line_height / 1.3)
        for text in [*texts, *self._similarities, *self.headers]:
            text.set(fontsize=size, color=ink, linespacing=1.1)
        self._hits.set_sizes([0.9 * size**2])
        self._misses.set_sizes([0.5 * size**2])
        for text in texts:
            shorten_to(text, 0.94 * (right - left))


# MERGED: plotting._pictures
# """Pictures of queries and items, as they are drawn."""


def drawn_pictures(
    images: Any, which: np.ndarray, name: str, caller: str
) -> list[np.ndarray] | None:
    """Return the pictures that are drawn; grey ones from 0 to 1, by the same measure."""
    if images is None:
        return None
    drawn = [np.asarray(images[i]) for i in which]
    for image in drawn:
        colours = image.ndim == 3 and image.shape[2] in (3, 4)
        if image.dtype.kind not in "biuf" or not (colours or image.ndim == 2) or not image.size:
            raise ValueError(
                f"{caller}: `{name}` holds a picture of shape {image.shape}, dtype {image.dtype}; "
                "expected numbers (H, W), (H, W, 3) or (H, W, 4). Rows of pixels: "
                "X.reshape(-1, H, W); channels first: np.moveaxis(images, 1, -1)."
            )
        if not np.isfinite(image).all():
            raise ValueError(f"{caller}: `{name}` holds NaN or infinity; np.nan_to_num(images).")
        if colours and image.dtype != np.uint8 and (image.min() < 0 or image.max() > 1):
            raise ValueError(
                f"{caller}: `{name}` holds colours from {image.min():g} to {image.max():g}; "
                "expected 0 to 1, or the type uint8."
            )
    grey = [image for image in drawn if image.ndim == 2]
    if grey:
        low = float(min(image.min() for image in grey))
        span = (float(max(image.max() for image in grey)) - low) or 1.0
        drawn = [(image - low) / span if image.ndim == 2 else image for image in drawn]
    return drawn


def height_of(pictures: list[list[np.ndarray] | None]) -> float:
    """Return the room that pictures need, in widths of a cell."""
    shapes = [image.shape for images in pictures if images is not None for image in images]
    return max((min(1.0, height / width) for height, width, *_ in shapes), default=0.0)
