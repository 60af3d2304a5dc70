"""Data with two views: simulated music videos, scikit-learn's digits, and files that you fetched.

Loaders read local files and never the network. Views are called ``x`` and ``y`` and classes
``labels`` throughout; where a data set has an official split, each name ends in its part:
``x_train``, ``labels_test``.
"""

from ._digits import load_digit_halves, load_mnist, load_mnist_halves
from ._emotify import load_emotify
from ._multiple_features import load_multiple_features
from ._music_videos import make_music_videos
from ._mv10k import build_mv10k
from ._noisy_mnist import load_noisy_mnist
from ._nutrimouse import load_nutrimouse
from ._quantization import dequantize_features
from ._spoken_digits import load_spoken_digits
from ._wikipedia import load_wikipedia
from ._youtube8m import iter_youtube8m, load_youtube8m
from ._youtube8m_writing import write_youtube8m

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
