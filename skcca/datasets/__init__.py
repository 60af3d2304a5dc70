"""Data with two views: simulated music videos, scikit-learn's digits, and local files.

Loaders read local files and never use the network. The views are called ``x`` and ``y`` and the
classes ``labels``; where a data set has an official split, each name ends in its part, as in
``x_train`` and ``labels_test``.
"""

from ._digits import (
    load_digit_halves,
    load_mnist,
    load_mnist_halves,
    load_multiple_features,
    load_noisy_mnist,
)
from ._music_videos import make_music_videos
from ._mv10k import build_mv10k
from ._nutrimouse import load_nutrimouse
from ._recordings import load_emotify, load_spoken_digits
from ._wikipedia import load_wikipedia
from ._youtube8m import iter_youtube8m, load_youtube8m, write_youtube8m
from ._youtube8m_records import dequantize_features

__all__ = [
    "build_mv10k",
    "dequantize_features",
    "iter_youtube8m",
    "load_digit_halves",
    "load_emotify",
    "load_mnist",
    "load_mnist_halves",
    "load_multiple_features",
    "load_noisy_mnist",
    "load_nutrimouse",
    "load_spoken_digits",
    "load_wikipedia",
    "load_youtube8m",
    "make_music_videos",
    "write_youtube8m",
]
