"""Draw the figure of the landing page: both views separately, and in the shared space.

python docs/draw_landing.py  # writes docs/_static/landing.svg
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skcca import SupervisedDCCA
from skcca.datasets import load_digit_halves

DIGITS = (0, 1, 4, 6)
# The colours of Okabe and Ito can be told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
TARGET = Path(__file__).parent / "_static" / "landing.svg"
# This grey is readable on light and on dark pages.
FRAME = "#888888"


def main():
    """Fit to half of the rows and draw the others."""
    data = load_digit_halves()
    chosen = np.isin(data.labels, DIGITS)
    X, Y, labels = data.x[chosen], data.y[chosen], data.labels[chosen]
    fit, shown = train_test_split(
        np.arange(len(labels)), test_size=240, random_state=0, stratify=labels
    )
    model = SupervisedDCCA(3, random_state=0).fit(X[fit], Y[fit], labels[fit])
    Zx, Zy = model.transform(X[shown], Y[shown])
    labels = labels[shown]

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), width_ratios=(1, 1, 1.35))
    for axis, V, name, marker in (
        (axes[0], X, "first view: left halves", "o"),
        (axes[1], Y, "second view: right halves", "^"),
    ):
        points = PCA(2).fit(V[fit]).transform(V[shown])
        scatter(axis, points, labels, marker)
        thumbnails(axis, points, V[shown], labels)
        axis.set_title(name, color=FRAME)
    scatter(axes[2], Zx[:, :2], labels, "o")
    scatter(axes[2], Zy[:, :2], labels, "^")
    axes[2].set_title("one space: both halves, by digit", color=FRAME)
    for digit in DIGITS:
        centre = np.vstack([Zx, Zy])[np.tile(labels == digit, 2), :2].mean(axis=0)
        axes[2].annotate(
            str(digit), centre, ha="center", va="center", fontsize=17, fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "fc": "white", "ec": FRAME, "alpha": 0.9},
        )  # fmt: skip
    for axis in axes:
        axis.set(xticks=[], yticks=[], facecolor="none")
        axis.margins(0.1)
        plt.setp(axis.spines.values(), color=FRAME)
    figure.tight_layout(w_pad=1.5)
    TARGET.parent.mkdir(exist_ok=True)
    figure.savefig(TARGET, transparent=True, metadata={"Date": None})


def scatter(axis, points, labels, marker):
    """Draw the rows of one view, coloured by digit."""
    for digit, colour in zip(DIGITS, COLOURS, strict=True):
        rows = points[labels == digit]
        axis.scatter(*rows.T, s=22, marker=marker, color=colour, alpha=0.65, linewidths=0)


def thumbnails(axis, points, V, labels):
    """Draw the image of one row of each digit at its point."""
    for digit, colour in zip(DIGITS, COLOURS, strict=True):
        rows = np.flatnonzero(labels == digit)
        middle = points[rows].mean(axis=0)
        row = rows[((points[rows] - middle) ** 2).sum(axis=1).argmin()]
        image = OffsetImage(V[row].reshape(8, 4), zoom=4.5, cmap="gray_r")
        axis.add_artist(
            AnnotationBbox(image, points[row], bboxprops={"edgecolor": colour, "linewidth": 2})
        )


if __name__ == "__main__":
    main()
