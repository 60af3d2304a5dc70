"""Noisy MNIST: a rotated digit, and another of its class under noise."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.utils import Bunch

from skcca._core.compat import rng_from

from ._digits import load_mnist

_SIDE = 28  # pixels
_LARGEST_ANGLE = np.pi / 4
_N_FITTED = 50_000  # of 60,000 training images; the last 10,000 are for tuning


def load_noisy_mnist(
    *, data_home: str | os.PathLike[str] | None = None, random_state: Any = 0
) -> Bunch:
    """Make noisy MNIST, in which two views share the digit and nothing else.

    The first view is an image turned by an angle that is uniform between -45 and 45 degrees; the
    second another image of the same digit with noise, uniform between 0 and 1, added to each pixel
    and values cut at 1. 50,000 images to fit on, 10,000 to tune on, 10,000 to test on; partners
    come from the same part.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mnist/mnist.npz``; by default the one that the variable ``SKCCA_DATA``
        names, else ``~/skcca_data``.
    random_state : int, RandomState, Generator or None, default=0
        Draws angles, partners and noise.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x_train, x_tune, x_test : ndarray of shape (n, 784), float32
            Turned images row by row, grey values from 0 to 1.
        y_train, y_tune, y_test : ndarray of shape (n, 784), float32
            Noisy images of the same digits.
        labels_train, labels_tune, labels_test : ndarray of shape (n,), int64
            Digits 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says what it must hold and where it can be had.
    ValueError
        If the file does not hold what it must.

    References
    ----------
    W. Wang, R. Arora, K. Livescu and J. Bilmes, *On Deep Multi-View Representation Learning*,
    ICML 2015, section 4.1.

    Examples
    --------
    >>> from skcca.datasets import load_noisy_mnist
    >>> noisy = load_noisy_mnist(data_home="~/data")  # doctest: +SKIP
    >>> noisy.x_train.shape, noisy.y_test.shape  # doctest: +SKIP
    ((50000, 784), (10000, 784))
    """
    rng, mnist = rng_from(random_state), load_mnist(data_home=data_home)
    X, labels = mnist.x_train, mnist.labels_train
    parts = {
        "train": (X[:_N_FITTED], labels[:_N_FITTED]),
        "tune": (X[_N_FITTED:], labels[_N_FITTED:]),
        "test": (mnist.x_test, mnist.labels_test),
    }
    data = Bunch()
    for part, (images, digits) in parts.items():
        data[f"x_{part}"] = _turned(images, rng)
        data[f"y_{part}"] = _noisy(images[_partners(digits, rng)], rng)
        data[f"labels_{part}"] = digits
    return data


def _turned(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn each image about its centre, by linear interpolation."""
    found = np.empty_like(images)
    centre = np.full(2, (_SIDE - 1) / 2)
    for i, angle in enumerate(rng.uniform(-_LARGEST_ANGLE, _LARGEST_ANGLE, len(images))):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        image = images[i].reshape(_SIDE, _SIDE)
        turned = affine_transform(image, turn, offset=centre - turn @ centre, order=1)
        found[i] = turned.ravel()
    return found


def _noisy(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.minimum(images + rng.random(images.shape, dtype=np.float32), np.float32(1))


def _partners(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the place of a random image of the same digit, for each."""
    found = np.empty(len(digits), dtype=np.intp)
    for digit in np.unique(digits):
        rows = np.flatnonzero(digits == digit)
        found[rows] = rng.choice(rows, len(rows))
    return found
