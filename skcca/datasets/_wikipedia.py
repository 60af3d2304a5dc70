"""Wikipedia articles: an image and its text."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from skcca._core.files import PathLike

from ._files import Array, DataFile, as_frames

_SOURCE = (
    "Wikipedia cross-modal retrieval set of Rasiwasia et al. 2010; the feature files are in "
    "https://github.com/emanuetre/crossmodal (wikipedia_info/), the TF-IDF texts in "
    "https://github.com/azrealwang/sph (data/raw_features.mat). The data state no licence of their "
    "own; the texts are Wikipedia's (CC BY-SA)."
)
_FILE = DataFile(
    path="wikipedia/wikipedia.npz",
    arrays={
        "img_train": Array((2173, 128), meaning="SIFT bag-of-words histograms"),
        "txt_train": Array((2173, 10), meaning="LDA topics"),
        "y_train": Array((2173,), "integer", "classes 0 to 9"),
        "img_test": Array((693, 128)),
        "txt_test": Array((693, 10)),
        "y_test": Array((693,), "integer"),
        "class_names": Array((10,), "text"),
    },
    source=_SOURCE,
)
_TFIDF = DataFile(
    path="wikipedia/wikipedia_tfidf.npz",
    arrays={
        "tfidf_train": Array((2173, 1000), meaning="TF-IDF of the texts, rows as in wikipedia.npz"),
        "tfidf_test": Array((693, 1000)),
    },
    source=_SOURCE,
)


def load_wikipedia(
    text: str = "lda", *, data_home: PathLike | None = None, as_frame: bool = False
) -> Bunch:
    """Load the Wikipedia image-text retrieval set in its official split.

    2,173 articles to fit on and 693 to test on, in ten unbalanced classes.

    Parameters
    ----------
    text : {"lda", "tfidf"}, default="lda"
        Text view: shares of 10 LDA topics, or TF-IDF of 1,000 words.
    data_home : str or path-like, default=None
        Folder that holds ``wikipedia/wikipedia.npz`` (and ``wikipedia/wikipedia_tfidf.npz`` for
        TF-IDF); see `load_mnist` for its default and errors.
    as_frame : bool, default=False
        Whether images and texts are pandas DataFrames, and classes Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        With the fields (n is 2,173 in ``_train`` and 693 in ``_test``)

        x_train, x_test : ndarray or DataFrame of shape (n, 128), float32
            Images: histograms of SIFT words, each summing to 1.
        y_train, y_test : ndarray or DataFrame of shape (n, 10) or (n, 1000), float32
            Texts.
        labels_train, labels_test : ndarray or Series of shape (n,), int64
            Classes 0 to 9.
        class_names : ndarray of shape (10,), str
            Name of each class.

    Raises
    ------
    ValueError
        If `text` is neither of the two.

    References
    ----------
    Rasiwasia et al., *A New Approach to Cross-Modal Multimedia Retrieval*, ACM Multimedia 2010,
    https://doi.org/10.1145/1873951.1873987.

    Examples
    --------
    >>> from skcca.datasets import load_wikipedia
    >>> wikipedia = load_wikipedia(data_home="~/data")  # doctest: +SKIP
    >>> wikipedia.x_train.shape, wikipedia.y_train.shape  # doctest: +SKIP
    ((2173, 128), (2173, 10))
    """
    if text not in ("lda", "tfidf"):
        raise ValueError(f"`text` must be 'lda' or 'tfidf'; got {text!r}.")
    stored = _FILE.read(data_home)
    if text == "tfidf":
        texts = _TFIDF.read(data_home)
        stored["txt_train"], stored["txt_test"] = texts["tfidf_train"], texts["tfidf_test"]
    data = Bunch(
        x_train=stored["img_train"].astype(np.float32),
        y_train=stored["txt_train"].astype(np.float32),
        labels_train=stored["y_train"].astype(np.int64),
        x_test=stored["img_test"].astype(np.float32),
        y_test=stored["txt_test"].astype(np.float32),
        labels_test=stored["y_test"].astype(np.int64),
        class_names=stored["class_names"],
    )
    if not as_frame:
        return data
    return as_frames(data, {name: None for name in data if name != "class_names"})
