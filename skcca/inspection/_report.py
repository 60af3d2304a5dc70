"""One table of a canonical correlation analysis: how strong, how certain, and of which features.

With standardised weights A (d, k), loadings L (d, k) and the covariance C = A'L of the variates,

    communality of feature j = l_j' C^-1 l_j,

the share of its variance that the variates of its own view explain together; where these are
uncorrelated, as without a ridge, the sum of its squared loadings.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from numbers import Integral
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from skcca._base import TwoViewTransformer
from skcca._core.compat import Interval, StrOptions, to_numpy, validate_parameter_constraints
from skcca._core.types import LabelsLike, RandomStateLike, ViewLike
from skcca._core.warnings import quiet_fit
from skcca.cca import CCA
from skcca.inspection._multivariate import multivariate_tests
from skcca.inspection._permutation import permutation_test_correlations
from skcca.inspection._refits import held_out_correlations, largest_of_unrelated_rows
from skcca.inspection._tables import Column, Key, Table
from skcca.model_selection._folds import PairedRows, Splitter
from skcca.views._arguments import per_view
from skcca.views._projection import to_unit_variance

__all__ = ["CanonicalReport", "report"]
Array = np.ndarray
_NAME = "report"

# A printed table has at most so many features, and the figures of so many components of each.
_PRINTED_FEATURES, _PRINTED_COMPONENTS = 20, 3

# Of correlations that differ from 1 by rounding alone no F and no root is determined.
_PERFECT = 1e-10

_STATISTICS = {
    "wilks": "Wilks' lambda",
    "pillai": "Pillai's trace",
    "hotelling_lawley": "Hotelling-Lawley trace",
    "roy": "Roy's root",
}

_CONSTRAINTS: dict = {
    "test": [StrOptions({"auto", "permutation"})],
    "cv": ["cv_object", Interval(Integral, 0, 1, closed="left")],
    "n_permutations": [Interval(Integral, 0, None, closed="left")],
    "n_jobs": [Integral, None],
    "random_state": ["random_state", np.random.Generator],
    "verbose": ["verbose"],
}


class CanonicalReport(NamedTuple):
    """The tables that `report` makes, which print as text and show as HTML in a notebook.

    Printed are the first 3 components of the features, and of more than 20 features those with the
    largest sum of squared loadings on these, the ones that have a weight first; the frames have
    all.
    """

    title: str
    components: Table  # of each component
    tests: Table | None  # by F, of each component and statistic; None where no F is valid
    x_features: Table  # of each feature
    y_features: Table
    notes: tuple[str, ...]  # what figures mean and p-values assume, and why some are left out

    def __str__(self) -> str:
        texts = [table.to_text(*_printed(table)) for table in self._tables().values()]
        return "\n\n".join([self.title, *texts, *_wrapped(self._printed_notes())])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        tables = "".join(table.to_html(*_printed(table)) for table in self._tables().values())
        notes = "".join(f"<li>{escape(note)}</li>" for note in self._printed_notes())
        return f"<div><p><b>{escape(self.title)}</b></p>{tables}<ul>{notes}</ul></div>"

    def to_frames(self) -> dict[str, Any]:
        """Return the tables as pandas DataFrames, by their names, with unrounded figures.

        There is none of "tests" where no F is valid. Without pandas an ImportError is raised.
        """
        return {name: table.to_frame() for name, table in self._tables().items()}

    def _tables(self) -> dict[str, Table]:
        tables = {"components": self.components, "tests": self.tests}
        tables |= {"x_features": self.x_features, "y_features": self.y_features}
        return {name: table for name, table in tables.items() if table is not None}

    def _printed_notes(self) -> list[str]:
        """Return the notes, and one of what the print leaves out."""
        features = self.x_features, self.y_features
        printed = [_printed(table) for table in features]
        whole = all(
            len(rows) == len(table) and len(keys) == len(table.columns)
            for table, (rows, keys) in zip(features, printed, strict=True)
        )
        cut = (
            f"Printed are the first {_PRINTED_COMPONENTS} components of the features, and of more "
            f"than {_PRINTED_FEATURES} features those with the largest loadings on these, the ones "
            "that have a weight first; to_frames() has all."
        )
        return [*self.notes, *([] if whole else [cut])]


def report(
    estimator: TwoViewTransformer,
    X: ViewLike,
    y: ViewLike = None,
    labels: LabelsLike = None,
    *,
    test: str = "auto",
    cv: Splitter = 5,
    n_permutations: int = 1000,
    n_jobs: int | None = None,
    random_state: RandomStateLike = None,
    verbose: int = 0,
) -> CanonicalReport:
    """Tabulate what is published of a canonical correlation analysis.

    For each component the canonical correlation, its square, the correlation of held-out rows,
    p-values, and the variance explained in both views; for each feature its standardised weights,
    loadings, cross-loadings and communality. Every figure is defined: what is not defined for a
    model is left out, and `notes` says why.

    Parameters
    ----------
    estimator : two-view estimator of this library
        It is cloned and fitted to the rows; whether it is fitted does not matter.
    X : array-like of shape (n_samples, n_features) or Views
    y : array-like of shape (n_samples, n_features_y), default=None
    labels : array-like, default=None
        See `bootstrap_loadings`; rows are paired.
    test : {"auto", "permutation"}, default="auto"
        "auto" takes p-values of F where they are valid, which is for `CCA` without a ridge and with
        more rows than features of both views, and else permutations. "permutation" takes
        permutations beside them.
    cv : int, splitter or iterable, default=5
        Folds of the held-out correlations, see `select_n_components`; 0 leaves these out.
    n_permutations : int, default=1000
        Number of permutations; 0 leaves them out. Of `CCA` they are those of
        `permutation_test_correlations`; of other models each one is a fit.
    n_jobs : int, default=None
    random_state : int, RandomState, Generator or None, default=None
    verbose : int, default=0
        See `bootstrap_loadings`; `random_state` draws the permutations.

    Returns
    -------
    report : CanonicalReport
        ``components``, ``tests``, ``x_features``, ``y_features`` and ``notes``. It prints as text,
        shows as HTML in a notebook, and ``to_frames()`` returns a dict of pandas DataFrames with
        unrounded figures.

    Raises
    ------
    TypeError
        If `estimator` is no two-view estimator of this library.
    ValueError
        If an option is none of those above, a fold holds out fewer than 3 rows, or the data do not
        fit `fit`.

    See Also
    --------
    multivariate_tests : The F tests, from published correlations.
    permutation_test_correlations : The permutation test, with groups and confounds.
    bootstrap_loadings : Confidence intervals of loadings.
    skcca.plotting.LoadingsDisplay : The loadings as a picture.

    Notes
    -----
    P-values of F (Wilks, Pillai, Hotelling-Lawley, Roy; see `multivariate_tests`) assume
    independent rows and normal errors of a regression of one view on the other. Permutation
    p-values assume rows that are exchangeable; rows of one subject are not, see `groups` of
    `permutation_test_correlations`. Both take the components in turn: one is read where those
    before it have rejected.

    Class pairs share rows, and a model that chooses its ridge or selects its features has used the
    pairs that a permutation breaks. So such a model is fitted anew, with all its choices, to the
    second view in random order, and every component is compared with the largest correlation of
    these fits, which is exact for the first component and too strict for later ones.

    Loadings are correlations of a feature with its own view's variates (structure coefficients),
    cross-loadings with the other view's. Weights are standardised: they apply to features of
    variance one and give variates of variance one. A communality is the share of a feature's
    variance that all variates of its view explain together, the sum of its squared loadings where
    these are uncorrelated; it is 1 where there are as many components as features. Explained
    variance and redundancy are those of `CCA`.

    Components are counted from 0, as everywhere here.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skcca import CCA
    >>> from skcca.inspection import report
    >>> data = load_linnerud(as_frame=True)
    >>> result = report(CCA(), data.data, data.target)
    >>> result.tests.to_frame().loc[0].round(4)
                              value       F  df1      df2       p
    statistic
    Wilks' lambda            0.3504  2.0482  9.0  34.2229  0.0635
    Pillai's trace           0.6785  1.5587  9.0  48.0000  0.1551
    Hotelling-Lawley trace   1.7719  2.6397  9.0  19.0526  0.0357
    Roy's root               1.7247  9.1986  3.0  16.0000  0.0009
    """
    validate_parameter_constraints(_CONSTRAINTS, locals(), caller_name=_NAME)
    if not isinstance(estimator, TwoViewTransformer):
        raise TypeError(
            f"{_NAME} takes CCA, ClusterCCA or another two-view estimator of this library; got "
            f"{type(estimator).__name__}. Of a pipeline, transform the views with its earlier "
            "steps and pass the last."
        )
    rows = PairedRows.of(estimator, X, y, labels, _NAME)
    everything = np.arange(rows.n)
    args, kwargs = rows.take(everything, everything)
    model = clone(estimator).fit(*args, **kwargs)
    work = _Work(estimator, model, rows, {"n_jobs": n_jobs, "verbose": verbose})
    draws = {"n_permutations": n_permutations, "random_state": random_state}
    sides = _sides(model)

    parts = [_strength(model), _held_out(work, cv)]
    tests, significance = _significance(work, test, draws)
    parts += [significance, *(_of_components(side) for side in sides)]
    columns = {key: column for part in parts for key, column in part.columns.items()}
    notes = [note for part in parts for note in part.notes]
    components = list(range(model.n_components_))
    x_features, y_features = (_feature_table(side) for side in sides)
    sizes = " and ".join(f"{len(side.labels)} features of {side.name}" for side in sides)
    return CanonicalReport(
        f"{type(model).__name__} of {rows.n} rows, {sizes}",
        Table("Components", {"component": components}, columns),
        tests,
        x_features,
        y_features,
        tuple(dict.fromkeys(notes)),
    )


class _Part(NamedTuple):
    """Columns of the table of components, and what there is to say of them."""

    columns: dict[Key, Column]
    notes: list[str]


class _Work(NamedTuple):
    """What the parts of the report are computed from."""

    estimator: TwoViewTransformer
    model: TwoViewTransformer  # fitted to all rows
    rows: PairedRows
    settings: dict[str, Any]  # of parallel work


def _strength(model: Any) -> _Part:
    """Return the correlations of the training rows."""
    correlations = to_numpy(model.correlations_)
    columns: dict[Key, Column] = {
        ("correlation",): Column(correlations),
        ("squared",): Column(correlations**2),
    }
    if not _tests_cca(model) or _has_no_ridge(model):
        return _Part(columns, [])
    columns["regularised",] = Column(to_numpy(model.singular_values_))
    note = (
        "Regularised: the correlation with the ridge in its denominator, which the fit maximises."
    )
    return _Part(columns, [note])


def _held_out(work: _Work, cv: Splitter) -> _Part:
    """Return the correlations of rows that were left out of folds."""
    if isinstance(cv, Integral) and cv == 0:
        return _Part({}, [])
    folds = work.rows.scored_folds(cv, _NAME)
    held_out = held_out_correlations(
        work.estimator, work.rows, folds, work.model.n_components_, _NAME, **work.settings
    )
    columns: dict[Key, Column] = {("held out",): Column(held_out.mean(axis=0))}
    what = "correlation of the rows left out of one fit"
    if len(folds) > 1:
        standard_error = held_out.std(axis=0, ddof=1) / np.sqrt(len(folds))
        columns["standard error",] = Column(standard_error)
        what = f"mean correlation of the rows left out, over {len(folds)} folds"
    return _Part(columns, [f"Held out: {what}."])


def _significance(work: _Work, test: str, draws: dict[str, Any]) -> tuple[Table | None, _Part]:
    """Return the tests by F where these are valid, and the p-values of the components."""
    model: Any = work.model
    n, tests, parts = work.rows.n, None, []
    if _tests_cca(model) and _has_no_ridge(model):
        ranks = int(model.x_rank_), int(model.y_rank_)
        if n <= sum(ranks):
            reason = (
                f"There are no p-values: with {n} rows and no ridge, features of ranks {ranks[0]} "
                f"and {ranks[1]} reach a correlation of 1 whatever they are. Set `reg`, or use "
                "fewer features."
            )
            return None, _Part({}, [reason])
        tests, part = _parametric(work, ranks)
        parts.append(part)
    if tests is None or test == "permutation":
        if draws["n_permutations"] == 0:
            parts.append(
                _Part({}, ["There are no p-values of permutations: `n_permutations` is 0."])
            )
        elif _tests_cca(model):
            parts.append(_step_down(work, draws))
        else:
            parts.append(_against_unrelated_rows(work, draws))
    columns = {key: column for part in parts for key, column in part.columns.items()}
    return tests, _Part(columns, [note for part in parts for note in part.notes])


def _tests_cca(model: Any) -> bool:
    """Return whether rows are independent units of the model, and its ridge was given."""
    return isinstance(model, CCA) and not model._class_paired and hasattr(model, "reg")


def _has_no_ridge(model: Any) -> bool:
    return set(per_view(model.reg)) == {0}


def _parametric(work: _Work, ranks: tuple[int, int]) -> tuple[Table, _Part]:
    """Return the tests by F, and the p-values of Wilks' lambda."""
    model, n, K = work.model, work.rows.n, work.model.n_components_
    if min(ranks) > K:
        # Each statistic is of all correlations that are left.
        every = np.arange(n)
        args, kwargs = work.rows.take(every, every)
        model = quiet_fit(clone(model).set_params(n_components=None), *args, **kwargs)
    found = to_numpy(model.correlations_)
    correlations = np.pad(found, (0, min(ranks) - len(found)))
    results = multivariate_tests(correlations, n, *ranks)
    notes = [
        "Tests: that this component and all after it are unrelated. P-values of F assume "
        "independent rows and normal errors of a regression of one view on the other. Read one "
        "where those before it have rejected. Roy's F is an upper bound, and its p-value a lower "
        "one."
    ]
    n_perfect = np.count_nonzero(1 - correlations**2 < _PERFECT)
    if n_perfect:
        notes.append(
            "A correlation of 1 has an infinite root; of tests that it is part of only Pillai's "
            "has a finite F and is given."
        )
    if results.hotelling_lawley is None:
        notes.append(
            f"The trace of Hotelling and Lawley has no mean with {n} rows, of which there must be "
            f"{sum(ranks) + 3}, and is left out."
        )
    cells = [
        (k, _STATISTICS[name], [column[k] for column in result])
        for k in range(K)
        for name, result in results._asdict().items()
        if result is not None and (k >= n_perfect or name == "pillai")
    ]
    index: dict[str, list] = {
        "component": [k for k, _, _ in cells],
        "statistic": [name for _, name, _ in cells],
    }
    value, F, df1, df2, p = np.array([figures for _, _, figures in cells]).T
    columns: dict[Key, Column] = {
        ("value",): Column(value),
        ("F",): Column(F),
        ("df1",): Column(df1, "degrees"),
        ("df2",): Column(df2, "degrees"),
        ("p",): Column(p, "probability"),
    }
    pvalues = Column(results.wilks.pvalues[:K], "probability")
    return Table("Tests", index, columns), _Part({("p (Wilks)",): pvalues}, notes)


def _step_down(work: _Work, draws: dict) -> _Part:
    """Return the p-values of the step-down permutation test."""
    options = draws | work.settings
    result = permutation_test_correlations(work.estimator, *work.rows.views, **options)
    # The test takes components in the order of the singular values.
    order = np.argsort(-to_numpy(work.model.singular_values_), kind="stable")
    pvalues = np.empty(len(order))
    pvalues[order] = result.pvalues[: len(order)]
    n = len(result.null_distribution)
    how = f"of {n} random orders of the rows"
    if result.exact:
        how = f"exact, of all {n + 1} orders of the rows"
    note = (
        f"P-values of permutations: by steps, {how}, corrected for the number of components. They "
        "assume exchangeable rows and no distribution."
    )
    if not _has_no_ridge(work.model):
        note += " No F is valid with a ridge."
    return _Part({("p (permuted)",): Column(pvalues, "probability")}, [note])


def _against_unrelated_rows(work: _Work, draws: dict) -> _Part:
    """Return p-values by fits to the second view in random order."""
    correlations = to_numpy(work.model.correlations_)
    null = largest_of_unrelated_rows(work.estimator, work.rows, _NAME, **draws, **work.settings)
    exceeding = np.count_nonzero(null[:, None] >= correlations * (1 - 1e-9), axis=0)
    pvalues = np.maximum.accumulate((1 + exceeding) / (1 + len(null)))
    note = (
        f"P-values of permutations: each correlation against the largest one of {len(null)} fits "
        "to the second view in random order, which is exact for the first component and too strict "
        "for later ones. They assume exchangeable rows and no distribution. No F is valid for "
        f"{type(work.model).__name__}."
    )
    return _Part({("p (permuted)",): Column(pvalues, "probability")}, [note])


class _Side(NamedTuple):
    """The features of one view; None where a model that is not linear lacks something."""

    name: str
    labels: list[str]
    loadings: Array  # (d, K)
    weights: Array | None  # (d, K), of standardised features
    cross_loadings: Array | None  # (d, K)
    explained: Array | None  # (K,)
    redundancy: Array | None  # (K,)
    selected: Array | None  # (d, K) of bool


def _sides(model: Any) -> tuple[_Side, _Side]:
    """Return the features of both views of a fitted model."""

    def array(name: str) -> Array | None:
        value = getattr(model, name, None)
        return None if value is None else to_numpy(value)

    def names(given: Any, prefix: str, n: int) -> list[str]:
        return (
            [f"{prefix}{i}" for i in range(n)] if given is None else [str(name) for name in given]
        )

    x_name, y_name = getattr(model, "view_names_in_", ("X", "y"))
    x_labels = names(array("feature_names_in_"), "x", model.n_features_in_)
    y_labels = names(array("feature_names_y_in_"), "y", model.n_features_y_in_)
    x_std, y_std = array("x_std_"), array("y_std_")
    correlations = to_numpy(model.correlations_)
    x_weights = y_weights = None
    if x_std is not None and y_std is not None:
        x_weights = to_unit_variance(model, x_std[:, None] * array("x_weights_"), correlations)
        y_weights = to_unit_variance(model, y_std[:, None] * array("y_weights_"), correlations)
    return (
        _Side(
            x_name, x_labels, to_numpy(model.x_loadings_), x_weights,
            array("x_cross_loadings_"), array("x_explained_variance_ratio_"),
            array("x_redundancy_"), array("x_selected_"),
        ),
        _Side(
            y_name, y_labels, to_numpy(model.y_loadings_), y_weights,
            array("y_cross_loadings_"), array("y_explained_variance_ratio_"),
            array("y_redundancy_"), array("y_selected_"),
        ),
    )  # fmt: skip


def _of_components(side: _Side) -> _Part:
    """Return how much of a view the components explain, and how many features they select."""
    columns: dict[Key, Column] = {}
    notes = []
    if side.explained is not None and side.redundancy is not None:
        columns[f"explained {side.name}",] = Column(side.explained)
        columns[f"redundancy {side.name}",] = Column(side.redundancy)
        notes.append(
            "Explained, redundancy: share of the variance of a view that its own variate explains, "
            "and that the other view's does."
        )
    else:
        notes.append(
            "The model is not linear in the features, so that there are no weights, "
            "cross-loadings, communalities and explained variance of them."
        )
    if side.selected is not None:
        n_selected = side.selected.sum(axis=0)
        columns[f"selected {side.name}",] = Column(n_selected, "count")
    return _Part(columns, notes)


def _feature_table(side: _Side) -> Table:
    """Return the figures of the features of one view."""
    columns: dict[Key, Column] = {}
    for k in range(side.loadings.shape[1]):
        if side.weights is not None:
            columns["weight", k] = Column(side.weights[:, k])
        columns["loading", k] = Column(side.loadings[:, k])
        if side.cross_loadings is not None:
            columns["cross-loading", k] = Column(side.cross_loadings[:, k])
    if side.weights is not None:
        columns["communality",] = Column(communalities(side.weights, side.loadings))
    return Table(f"Features of {side.name}", {"feature": side.labels}, columns)


def communalities(weights: Array, loadings: Array) -> Array:
    """Return the share (d,) of the variance of each feature that the variates explain together.

    Weights (d, k) are those of standardised features, and give variates of variance one.
    """
    covariance = weights.T @ loadings
    # Variates that depend on one another explain what fewer do.
    inverse = np.linalg.pinv((covariance + covariance.T) / 2, hermitian=True)
    return np.clip(np.einsum("dk,kl,dl->d", loadings, inverse, loadings), 0.0, 1.0)


def _printed(table: Table) -> tuple[list[int], list[Key]]:
    """Return the rows and columns of a table to print."""
    rows, keys = list(range(len(table))), list(table.columns)
    if "feature" not in table.labels:
        return rows, keys
    keys = [key for key in keys if len(key) == 1 or int(key[1]) < _PRINTED_COMPONENTS]
    if len(rows) > _PRINTED_FEATURES:
        weights, loadings = (
            [table.columns[key].values for key in keys if key[0] == kind]
            for kind in ("weight", "loading")
        )
        importance = np.sum(np.square(loadings), axis=0)
        # What a sparse model has not selected has no weight, whatever its loading.
        if weights:
            importance = np.where(np.any(weights, axis=0), importance, importance - len(loadings))
        rows = np.argsort(-importance, kind="stable")[:_PRINTED_FEATURES].tolist()
    return rows, keys


def _wrapped(notes: Sequence[str]) -> list[str]:
    return [fill(note, 88) for note in notes]
