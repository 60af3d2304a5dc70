"""Folds of rows of which some have no label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold

from skcca._core.arrays import check_aligned
from skcca._core.compat import _num_samples, rng_from
from skcca._core.types import ArrayLike, LabelsLike, RandomStateLike
from skcca.views._labels import known_labels, to_entries

Array = np.ndarray


class PartlyLabelledKFold(BaseCrossValidator):
    """Stratified folds of rows of which some have no label.

    Every fold holds its share of each class and of the rows without a label, so that each training
    part has labelled rows of all classes. scikit-learn's `StratifiedKFold` refuses missing labels.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle the rows of each class before they are split.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the shuffling.

    See Also
    --------
    skcca.ClusterCCA : ``instance_weight`` gives rows without a label their own pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.model_selection import PartlyLabelledKFold
    >>> mood = np.array(["calm", "warm", None, None] * 3, dtype=object)
    >>> for train, test in PartlyLabelledKFold(3).split(np.empty((12, 0)), mood):
    ...     print(mood[test])
    ['calm' 'warm' None None]
    ['calm' 'warm' None None]
    ['calm' 'warm' None None]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: RandomStateLike = None
    ):
        # scikit-learn checks the parameters, and names them.
        StratifiedKFold(n_splits, shuffle=shuffle, random_state=random_state)
        self.n_splits, self.shuffle, self.random_state = n_splits, shuffle, random_state

    def split(
        self, X: ArrayLike, y: LabelsLike = None, groups: Any = None
    ) -> Iterator[tuple[Array, Array]]:
        """Yield the rows of each training part, and those of each fold.

        Parameters
        ----------
        X : array-like of n_samples rows, or Views
            Counted alone.
        y : array-like of shape (n_samples,), default=None
            One class a row; None, NaN, ``pd.NA`` or masked where it is not known.
        groups : object, default=None
            Ignored; there for compatibility.

        Yields
        ------
        train, test : ndarray of int
            Rows of the training part, and of the fold.

        Raises
        ------
        ValueError
            If a class has fewer labelled rows than there are folds.
        """
        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name}: `y` is None; give a class for each row, or None for one.")
        check_aligned(name, X=X, y=y)
        entries = to_entries(y)
        if entries.ndim == 2 and entries.shape[1] > 1:
            raise ValueError(
                f"{name}: `y` has shape {entries.shape}, a matrix of labels or the second view; "
                "folds are stratified by one class a row: cv=list(PartlyLabelledKFold().split(X, "
                "classes))."
            )
        n = len(entries) if X is None else _num_samples(X)
        labels, known = known_labels(entries, n, "y", "X", name)
        labelled = np.arange(n) if known is None else np.flatnonzero(known)
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if not len(classes):
            raise ValueError(f"{name}: every entry of `y` is missing; use KFold.")
        if counts.min() < self.n_splits:
            raise ValueError(
                f"{name}: `n_splits`={self.n_splits} folds need as many labelled rows of each "
                f"class, and class {classes[counts.argmin()].item()!r} has {counts.min()}; use "
                "fewer folds, 2 at least, or label more of its rows."
            )
        unlabelled = np.setdiff1d(np.arange(n), labelled)
        seed = None
        if self.shuffle:
            rng = rng_from(self.random_state)
            seed, unlabelled = int(rng.integers(2**31)), rng.permutation(unlabelled)
        others = np.array_split(unlabelled, self.n_splits)
        folds = StratifiedKFold(self.n_splits, shuffle=self.shuffle, random_state=seed)
        for i, (_, test) in enumerate(folds.split(np.empty((len(labelled), 0)), codes)):
            fold = np.sort(np.concatenate([labelled[test], others[i]]))
            yield np.setdiff1d(np.arange(n), fold), fold

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            As given.
        """
        return self.n_splits
