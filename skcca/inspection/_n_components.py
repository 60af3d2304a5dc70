"""Choice of the number of components by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core.compat import HasMethods, Interval, StrOptions, validate_parameter_constraints
from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike, Estimator, LabelsLike, ViewLike
from skcca._core.warnings import warn
from skcca.cca import CCA
from skcca.model_selection._folds import PairedRows, Splitter
from skcca.model_selection._linear_folds import by_path, linear_path, warn_of_lost_digits
from skcca.model_selection._ridge_path import RidgePath
from skcca.views._labels import is_missing
from skcca.views._projection import final_model

__all__ = ["NComponentsResult", "select_n_components"]
Array = np.ndarray
_NAME = "select_n_components"

_CONSTRAINTS: dict = {
    "estimator": [HasMethods(["fit", "score"])],
    "n_components": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "cv": ["cv_object"],
    "rule": [StrOptions({"one_standard_error", "best"})],
    "param_name": [str],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}


class NComponentsResult(NamedTuple):
    """Chosen number of components, and held-out total correlation of each candidate."""

    n_components: int
    candidates: Array  # (n_candidates,)
    mean: Array  # (n_candidates,) over folds
    standard_error: Array  # (n_candidates,) of that mean
    totals: Array  # (n_folds, n_candidates)


def select_n_components(
    estimator: Estimator,
    X: ViewLike,
    y: ViewLike = None,
    labels: LabelsLike = None,
    *,
    n_components: int | Sequence[int] = 10,
    cv: Splitter = None,
    groups: ArrayLike = None,
    rule: str = "one_standard_error",
    param_name: str = "n_components",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> NComponentsResult:
    r"""Choose the number of components by cross-validated total correlation.

    The total of k components on a held-out fold is the `score` of a model of k components fitted on
    the other folds. It grows with every real component and varies at random with the others, so
    that the best k tends to be too large. The rule of one standard error takes the fewest
    components with

    .. math:: m_k \ge m_{k^*} - s_{k^*}, \quad k^* = \arg\max_k m_k,

    where m is the mean over folds and s its standard error [1]_.

    Parameters
    ----------
    estimator : two-view estimator, or a pipeline or search that ends in one
        It is cloned, not fitted. Its own `n_components` does not matter.
    X : array-like of shape (n_samples, n_features) or Views
    y : array-like of shape (n_samples, n_features_y), default=None
        See `bootstrap_loadings`.
    labels : array-like, default=None
        Classes, tags or memberships. Class-paired estimators are scored over the pairs of a class.
    n_components : int or sequence of int, default=10
        The candidates; an integer stands for 1, 2, ... up to it.
    cv : int, splitter or iterable, default=None
        Folds; None is 5. An integer means consecutive rows, as everywhere in scikit-learn; classes
        are stratified where a class-paired estimator has one label a row, which may be missing in
        some; see `skcca.model_selection.PartlyLabelledKFold`.
    groups : array-like of shape (n_samples,), default=None
        Groups for the splitter.
    rule : {"one_standard_error", "best"}, default="one_standard_error"
        Fewest components within one standard error of the best, or the best.
    param_name : str, default="n_components"
        Name of the parameter, which is ``"cca__n_components"`` in a pipeline and
        ``"estimator__n_components"`` in a search.
    n_jobs : int, default=None
    verbose : int, default=0
        See `bootstrap_loadings`.

    Returns
    -------
    result : NComponentsResult
        The chosen ``n_components``, the ``candidates``, and their ``mean``, ``standard_error`` and
        ``totals`` of shape (n_folds, n_candidates).

    Raises
    ------
    ValueError
        If a candidate is no positive integer, if there is one fold only, or if the data do not fit
        `fit`.

    Warns
    -----
    UserWarning
        If the largest candidate is chosen, although there may be more components.
    scipy.linalg.LinAlgWarning
        If moments have lost digits and there are no rows to look at: with ``solver="covariance"``
        and for Dask arrays.

    See Also
    --------
    permutation_test_correlations : Test of which components exceed chance.
    skcca.CCACV : Ridge and number of components together.
    skcca.CCA.score : Total correlation of held-out rows.

    Notes
    -----
    The solutions of linear and kernel estimators are nested: that of k components consists of the k
    largest `singular_values_` of any larger one, also with a ridge, where these are not in the
    order of `correlations_`. One fit a fold then serves all candidates; of `CCA` and `ClusterCCA`
    with a number for `reg` the second moments of the folds do, which need one pass over the rows.
    Deep networks are trained for their number of outputs, and the steps of a pipeline may depend on
    it: these are fitted for each candidate. So is `CCACV`, which chooses its ridge for each number
    on the training rows of each fold.

    Folds are not independent, so that s is too small by a factor of which no unbiased estimate is
    known; the rule is a convention, not a test. A component that is not real adds nothing to the
    held-out total, and takes little away: use `permutation_test_correlations` for the number of
    components that exist, rather than the number that predicts well.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen and C. Stone (1984). Classification and regression
       trees, section 3.4.3. Wadsworth.

    Examples
    --------
    >>> import numpy as np
    >>> from skcca import CCA
    >>> from skcca.inspection import select_n_components
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 300, 6))
    >>> Y[:, :2] += X[:, :2]
    >>> result = select_n_components(CCA(), X, Y, n_components=6)
    >>> result.n_components
    2
    >>> result.mean.round(1)
    array([0.7, 1.4, 1.3, 1.3, 1.5, 1.3])
    """
    validate_parameter_constraints(_CONSTRAINTS, locals(), caller_name=_NAME)
    candidates = _candidates(n_components)
    _check_name(estimator, param_name)
    rows = PairedRows.of(estimator, X, y, labels, _NAME, groups)
    folds = rows.scored_folds(cv, _NAME)
    if len(folds) < 2:
        raise ValueError(f"{_NAME}: `cv` makes {len(folds)} fold; a standard error needs 2.")
    nested = isinstance(estimator, TwoViewTransformer) and estimator._nested
    in_parallel = partial(parallel_map, label=_NAME, n_jobs=n_jobs, verbose=verbose)
    # The components of nested solutions are those of the largest, so that one fit a fold serves.
    scores: list
    if nested and param_name == "n_components":
        path = linear_path(estimator, rows, folds, int(candidates[-1]))
        tasks = [(estimator, rows, path, i, *fold, candidates) for i, fold in enumerate(folds)]
        scores = list(in_parallel(_nested_totals, tasks, prefer="threads" if path else None))
        warn_of_lost_digits(path, _NAME)
    else:
        estimators = [clone(estimator).set_params(**{param_name: int(k)}) for k in candidates]
        scores = list(
            in_parallel(_total, [(model, rows, *fold) for fold in folds for model in estimators])
        )
    totals = np.reshape(scores, (len(folds), len(candidates)))
    mean = totals.mean(axis=0)
    standard_error = totals.std(axis=0, ddof=1) / np.sqrt(len(folds))
    best = int(np.argmax(mean))
    chosen = best
    if rule == "one_standard_error":
        chosen = int(np.argmax(mean >= mean[best] - standard_error[best]))
    if chosen == len(candidates) - 1 > 0 and candidates[chosen] < _most_components(estimator, rows):
        warn(
            f"{_NAME}: the largest candidate was chosen, {candidates[chosen]}, so that more "
            "components may be better still; give larger ones by `n_components`."
        )
    return NComponentsResult(int(candidates[chosen]), candidates, mean, standard_error, totals)


def _check_name(estimator: Estimator, param_name: str) -> None:
    """Refuse a name that is no parameter, with those that it may stand for."""
    params = estimator.get_params()
    if param_name not in params:
        alike = [repr(name) for name in sorted(params) if name.endswith("__n_components")]
        cure = f"give {' or '.join(alike)}" if alike else "set n_components of a model of skcca"
        raise ValueError(
            f"{_NAME}: `param_name`={param_name!r} is no parameter of "
            f"{type(estimator).__name__}; {cure}."
        )


def _candidates(n_components: int | Sequence[int]) -> Array:
    """Return the numbers of components to compare, ascending."""
    if isinstance(n_components, Integral):
        return np.arange(1, int(n_components) + 1)
    candidates = np.unique(np.asarray(n_components))
    if candidates.dtype.kind not in "iu" or candidates.size == 0 or candidates[0] < 1:
        raise ValueError(
            f"{_NAME}: `n_components`={n_components!r} must be a positive integer or a sequence of "
            "them, the candidates."
        )
    return candidates


def _most_components(estimator: Estimator, rows: PairedRows) -> float:
    """Return a bound of the components that the views and classes support, infinite by default."""
    model, labels, limits = final_model(estimator, fitted=False), rows.labels, [np.inf]
    if isinstance(estimator, CCA):
        limits += [np.shape(V)[1] for V in rows.views]
    if labels is not None and labels.ndim == 1 and getattr(model, "instance_weight", 1) == 0:
        limits.append(len(np.unique(labels[~is_missing(labels)])) - 1)
    return min(limits)


def _total(estimator: Estimator, rows: PairedRows, train: Array, test: Array) -> float:
    """Return the score of the held-out rows."""
    model = rows.fit(estimator, train)
    if isinstance(last := final_model(model), TwoViewTransformer) and last is not model:
        # A search, also at the end of a pipeline, has the score of its own `scoring`.
        return float(rows.correlations(model, test, train, _NAME).sum())
    args, kwargs = rows.take(test, train)
    return float(model.score(*args, **kwargs))


def _nested_totals(
    estimator: Estimator,
    rows: PairedRows,
    path: RidgePath | None,
    fold: int,
    train: Array,
    test: Array,
    candidates: Array,
) -> Array:
    """Return the score of the held-out rows for each number of components, from one fit at most."""
    found = None if path is None else by_path(path.correlations, fold)
    if found is None:
        model = rows.fit(clone(estimator).set_params(n_components=int(candidates[-1])), train)
        order = np.argsort(-model.singular_values_, kind="stable")
        found = rows.correlations(model, test, train, _NAME)[None, order]
    # Components beyond what the rows support add nothing, as in the model of that many.
    correlations = np.zeros(candidates[-1])
    correlations[: found.shape[1]] = found[0]
    return np.cumsum(correlations)[candidates - 1]
