"""Cross-validation of embeddings."""

from __future__ import annotations

import numpy as np
from scipy.linalg import orthogonal_procrustes

from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca._core.warnings import warn
from skcca.model_selection._folds import PairedRows, Splitter
from skcca.views._container import Views

__all__ = ["cross_val_embed"]
_NAME = "cross_val_embed"


def cross_val_embed(
    estimator: Estimator,
    X: ViewLike,
    y: ViewLike = None,
    labels: LabelsLike = None,
    *,
    cv: Splitter = None,
    groups: ArrayLike = None,
    align: bool = True,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Views | tuple[np.ndarray, np.ndarray]:
    """Embed every row of both views by a model fitted without it.

    Parameters
    ----------
    estimator : two-view transformer
        A model of this library, a pipeline that ends in one, or any transformer whose
        ``transform(X, y)`` returns both views. It is cloned, not fitted.
    X : Views or array-like of shape (n_samples, n_features)
    y : array-like, default=None
        Both views and their labels, or the first and the second view.
    labels : array-like, default=None
        Classes, tags or memberships, beside arrays.
    cv : int, splitter or iterable, default=None
        Folds, in which every row must be held out once. None means five folds; an integer
        makes stratified ones where class-paired estimators have class labels, those of
        `PartlyLabelledKFold` where some are missing.
    groups : array-like of shape (n_samples,), default=None
        Groups for splitters that keep them together.
    align : bool, default=True
        Whether the space of each fold is turned towards that of the first one, both views alike:
        orthogonally, so that no cosine or distance within a fold changes.
    n_jobs : int, default=None
        Number of folds that are fitted at once.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    embedded : Views, or tuple of two ndarrays of shape (n_samples, n_components)
        Embedded rows of both views, in their order.

    Raises
    ------
    ValueError
        If views or labels are missing or given twice, or if `cv` does not hold out every row once.

    Warns
    -----
    UserWarning
        If the models of the folds have different numbers of components: those that one lacks are
        0, as in a cosine they would be.

    See Also
    --------
    skcca.retrieval_map : For figures use ``cross_val_score(..., scoring=retrieval_map)``.

    Notes
    -----
    Each fold has directions of its own, in which rows of different folds cannot be compared.
    Alignment finds the rotation between them (orthogonal Procrustes) on the rows that were held out
    of neither fold. Components are then no canonical variates any more; with ``align=False`` they
    are, and only rows that were held out together may be ranked against one another.

    Examples
    --------
    >>> from skcca import ClusterCCA, Views, cross_val_embed
    >>> from skcca.datasets import load_digit_halves
    >>> from skcca.metrics import mean_average_precision_score
    >>> data = load_digit_halves()
    >>> Zx, Zy = cross_val_embed(ClusterCCA(9, reg=0.1), Views(data.x, data.y), data.labels, cv=5)
    >>> round(mean_average_precision_score(Zx, Zy, data.labels), 2)
    0.52
    """
    rows = PairedRows.of(estimator, X, y, labels, _NAME, groups)
    if not isinstance(align, (bool, np.bool_)):
        raise TypeError(f"{_NAME}: `align` is {align!r}; expected a bool.")
    folds = rows.folds(cv)
    if not folds:
        raise ValueError(f"{_NAME}: `cv` makes no fold; expected 2 at least.")
    held_out = np.concatenate([test for _, test in folds])
    if not np.array_equal(np.sort(held_out), np.arange(rows.n)):
        raise ValueError(
            f"{_NAME}: `cv` must hold out every one of the {rows.n} rows exactly once; it holds "
            f"out {len(held_out)} in all, {len(np.unique(held_out))} of them different. Use "
            "KFold, StratifiedKFold or GroupKFold."
        )
    tasks = [(estimator, rows, train) for train, _ in folds]
    embeddings = parallel_map(_embed, tasks, label=_NAME, n_jobs=n_jobs, verbose=verbose)
    spaces = _pad_to_one_width(list(embeddings))
    if align:
        spaces = [
            _align(space, train, spaces[0], folds[0][0])
            for space, (train, _) in zip(spaces, folds, strict=True)
        ]
    result = np.zeros_like(spaces[0])
    for space, (_, test) in zip(spaces, folds, strict=True):
        result[:, test] = space[:, test]
    Zx, Zy = result
    if not rows.in_views:
        return Zx, Zy
    return Views(**dict(zip(X.names, result, strict=True))) if X.named else Views(Zx, Zy)


def _embed(estimator: Estimator, rows: PairedRows, train: np.ndarray) -> np.ndarray:
    """Fit on some rows and embed all rows, (2 views, n_samples, n_components)."""
    model = rows.fit(estimator, train)
    return np.stack(rows.project(model, np.arange(rows.n), train, _NAME))


def _pad_to_one_width(spaces: list[np.ndarray]) -> list[np.ndarray]:
    """Append components of 0 where a model has fewer than others."""
    widths = [space.shape[2] for space in spaces]
    if min(widths) < max(widths):
        warn(
            f"{_NAME}: the models of the folds have {min(widths)} to {max(widths)} components; "
            "those that one lacks are 0."
        )
    return [np.pad(s, [(0, 0), (0, 0), (0, max(widths) - s.shape[2])]) for s in spaces]


def _align(
    space: np.ndarray, train: np.ndarray, first: np.ndarray, first_train: np.ndarray
) -> np.ndarray:
    """Rotate a space towards the first one, by the rows that both were fitted on."""
    common = np.intersect1d(train, first_train)
    if space is first or len(common) == 0:
        return space
    # The views share one rotation, so their rows are stacked.
    source, target = (np.concatenate(list(s[:, common])) for s in (space, first))
    rotation = orthogonal_procrustes(source, target)[0]
    return space @ rotation.astype(space.dtype)
