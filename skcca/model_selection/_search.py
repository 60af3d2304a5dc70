"""Settings chosen by cross-validation: what is compared, the table of scores, and the choice.

A search scores every setting on the held-out rows of every fold, and the best one is fitted to all
rows, as scikit-learn's `GridSearchCV` does with a fit for each setting and fold. How the settings
of a fold share their work is the part of the estimator (`skcca.cross_validated`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from scipy.stats import rankdata
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

from skcca._base import TwoViewTransformer
from skcca._core.compat import Interval, _fit_context, bind_draft, draft_of
from skcca._core.pairs import TrainingData
from skcca._core.progress import ProgressBar
from skcca._core.types import ArrayLike, LabelsLike, ViewLike, WeightsLike
from skcca._core.warnings import REPEATED, muted, warn
from skcca.metrics import make_retrieval_scorer
from skcca.model_selection._folds import Fold, PairedRows, Splitter
from skcca.views._arguments import drop_zero_weight_rows, per_view

Array = np.ndarray

# What is known of the input before there is a model.
_INPUT_ATTRIBUTES = (
    *("n_features_in_", "n_features_y_in_", "feature_names_in_", "feature_names_y_in_"),
    "view_names_in_",
)


class Candidates(NamedTuple):
    """The settings to choose from."""

    regs: list[float | tuple[float, float]]
    n_components: list[int] | None  # None if the number is not searched
    fixed: int | None  # number of components that all settings share, if it is not searched
    gammas: list | None = None  # None if a kernel has no width that is searched

    @property
    def grid(self) -> list[dict[str, Any]]:
        """The settings in the order of `cv_results_`."""
        searched = {"gamma": self.gammas, "n_components": self.n_components, "reg": self.regs}
        return list(ParameterGrid({key: v for key, v in searched.items() if v is not None}))

    @property
    def ridges(self) -> list[tuple[float, float]]:
        """The ridge of each view."""
        return [(float(x), float(y)) for x, y in map(per_view, self.regs)]

    @property
    def numbers(self) -> list[int] | list[int | None]:
        """The numbers of components, of which None is all that the data support."""
        return [self.fixed] if self.n_components is None else self.n_components

    @property
    def most_components(self) -> int | None:
        return self.fixed if self.n_components is None else max(self.n_components)

    def totals(self, correlations: Array) -> Array:
        """Return the sum of the first components, for each number and ridge.

        Correlations (n_ridges, k) are in the order of singular values, as solutions are nested.
        """
        totals = np.cumsum(correlations, axis=1)
        most = totals.shape[1]
        columns = [min(k or most, most) - 1 for k in self.numbers]
        return totals[:, columns].T.ravel()


class Search(Protocol):
    """The settings of a model on the folds of a cross-validation."""

    def totals(self, fold: int) -> Array:
        """Return the held-out total correlation of each setting, in the order of the grid."""

    def models(self, fold: int) -> Iterator[TwoViewTransformer]:
        """Yield the model of each setting on the training rows, in the order of the grid."""

    def refit(self, model: TwoViewTransformer) -> None:
        """Fit a model to all rows."""


class CrossValidatedMixin:
    """Choice of settings by cross-validation: its parameters, its table, and the refit."""

    _search_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None, "array-like"],
        "regs": ["array-like"],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "one_standard_error": ["boolean"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit: ClassVar[dict] = dict.fromkeys(
        ("labels", "sample_weight", "groups"), True
    )
    # Another number of components may come with another ridge.
    _nested: ClassVar[bool] = False
    # The estimator whose settings are chosen.
    _model_class: ClassVar[type[TwoViewTransformer]]

    # Parameters of the estimator
    n_components: Any
    regs: Sequence
    cv: Splitter
    scoring: str | Callable | None
    one_standard_error: bool
    verbose: int

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
        groups: ArrayLike = None,
    ) -> Self:
        """Score every setting on every fold, and fit the best one to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
            First view, or both views.
        y : array-like of shape (n_samples, n_features_y), default=None
            Second view; labels beside a `Views`.
        labels : array-like of shape (n_samples,) or (n_samples, n_tags), default=None
            Classes, tags or memberships, for class-paired estimators and for the splitter; see
            `CCA.fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the fits and in the default score.
        groups : array-like of shape (n_samples,), default=None
            Groups for the splitter.

        Returns
        -------
        self : object
            The estimator, fitted to all rows with the chosen setting.

        Raises
        ------
        ValueError
            If a candidate is out of range, if a fold holds out fewer than 3 rows, if no setting can
            be scored, or if the data do not fit.

        Warns
        -----
        sklearn.exceptions.FitFailedWarning
            If a fold cannot be fitted or scored: its scores are nan.
        """
        self._check_settings()
        name, candidates, scorer = type(self).__name__, self._candidates(), self._scorer()
        # The mixin stands beside a two-view estimator, which type checkers cannot see.
        fitted: Any = draft_of(self, learned=False)
        data = fitted._check_training(X, y, labels, sample_weight)
        rows = PairedRows.of(self, X, y, labels, name, groups, checked=True)
        if isinstance(self.scoring, str) and rows.labels is None:
            raise ValueError(
                f"{name}: `scoring`={self.scoring!r} ranks rows by their labels, and none were "
                "given: fit(X, Y, labels=labels), or fit(Views(X, Y), labels)."
            )
        folds = rows.scored_folds(self.cv, name)
        model = fitted._unfitted_model()
        model._check_classes(drop_zero_weight_rows(data).labels)
        search = fitted._search(model, data, folds, candidates)
        scores, seconds, errors = [], [], {}
        with ProgressBar(len(folds), name, enabled=self.verbose > 0) as bar:
            for i, fold in enumerate(folds):
                start = time.perf_counter()
                try:
                    scores.append(_fold_scores(name, search, i, fold, rows, scorer))
                except ValueError as error:
                    scores.append(np.full(len(candidates.grid), np.nan))
                    errors[i] = error
                seconds.append(time.perf_counter() - start)
                bar.step()
        _report_failures(name, folds, errors)
        table = _cv_results(candidates.grid, np.column_stack(scores), np.array(seconds))
        best = _best_index(name, table, candidates.grid, simplest=self.one_standard_error)
        params = candidates.grid[best]
        model.set_params(**{"n_components": candidates.fixed} | params)
        search.refit(model)
        del model._search_name
        learned = {key: v for key, v in vars(model).items() if key[0] == "_" or key[-1] == "_"}
        fitted.__dict__ |= learned
        fitted.reg_ = params["reg"]
        if "gamma" in params:
            fitted.gamma_ = params["gamma"]
        fitted.best_params_, fitted.best_index_ = params, best
        fitted.best_score_ = float(table["mean_test_score"][best])
        fitted.cv_results_, fitted.n_splits_ = table, len(folds)
        bind_draft(self, fitted)
        return self

    def fit_transform(
        self,
        X: ViewLike,
        y: ViewLike = None,
        labels: LabelsLike = None,
        sample_weight: WeightsLike = None,
        groups: ArrayLike = None,
    ) -> ViewLike:
        """Fit, then return what ``transform(X)`` returns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or Views
        y : array-like, default=None
        labels : array-like, default=None
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components) or Views
            Scores of the first view alone, because a pair would break the next step of a pipeline;
            of both views, as `Views`, where `X` is one.
        """
        fitted: Any = self.fit(X, y, labels=labels, sample_weight=sample_weight, groups=groups)
        return fitted.transform(X)

    def _search(
        self, model: Any, data: TrainingData, folds: Sequence[Fold], candidates: Candidates
    ) -> Search:
        """Return the search, whose settings share the work of a fold."""
        raise NotImplementedError

    def _check_settings(self) -> None:
        # The estimator that the mixin stands before is unknown to type checkers.
        super()._check_settings()  # type: ignore[misc]
        self._candidates()
        self._scorer()

    @property
    def _keeps_zero_weight_rows(self) -> bool:
        # The splitter sees all rows.
        return True

    def _candidates(self) -> Candidates:
        """Return the settings to choose from, after checking each."""
        name = type(self).__name__
        regs = [_checked_ridge(name, reg, self.regs) for reg in self.regs]
        if not regs:
            raise ValueError(f"{name}: `regs` is empty; give the ridges to choose from.")
        gammas = self._gammas()
        if self.n_components is None or isinstance(self.n_components, Integral):
            # NumPy's integers are no `int` to type checkers.
            return Candidates(regs, None, self.n_components, gammas)  # type: ignore[arg-type]
        numbers = [_checked_number(name, k, self.n_components) for k in self.n_components]
        if not numbers:
            raise ValueError(f"{name}: `n_components` is empty; give the numbers to choose from.")
        return Candidates(regs, numbers, None, gammas)

    def _gammas(self) -> list | None:
        """Return the widths of a kernel to choose from, or None."""
        return None

    def _scorer(self) -> Callable | None:
        if isinstance(self.scoring, str):
            return make_retrieval_scorer(self.scoring)
        return self.scoring

    def _unfitted_model(self) -> Any:
        """Return the estimator whose settings are chosen, with what is known of the input."""
        known = self._model_class().get_params(deep=False)
        # As in `_check_settings`, the method is that of the estimator.
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        shared = {key: value for key, value in params.items() if key in known}
        model = self._model_class(**shared | {"n_components": None})
        model.__dict__ |= {
            key: value
            for key, value in vars(self).items()
            if key in _INPUT_ATTRIBUTES or (key[0] == "_" and key != "_before_fit")
        }
        model._search_name = type(self).__name__
        return model


def checked_gamma(name: str, gamma: Any, gammas: Any) -> Any:
    """Return a width, or a pair of them, after checking it; None is that of the data."""
    paired = isinstance(gamma, (tuple, list, np.ndarray)) and len(gamma) == 2
    values = tuple(gamma) if paired else (gamma,)
    for value in values:
        number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
        if value is not None and not (number and 0 < float(value) < np.inf):
            raise ValueError(
                f"{name}: `gammas`={gammas!r} holds {gamma!r}; a width is a finite number above 0, "
                "None for that of the data, or a pair of these, one for each view."
            )
    converted = tuple(None if value is None else float(value) for value in values)
    return converted if paired else converted[0]


def _checked_ridge(name: str, reg: Any, regs: Any) -> float | tuple[float, float]:
    """Return a ridge, or a pair of them, after checking it."""
    if isinstance(reg, (tuple, list, np.ndarray)) and np.ndim(reg) == 1 and len(reg) == 2:
        return float(_ridge(name, reg[0], regs)), float(_ridge(name, reg[1], regs))
    return _ridge(name, reg, regs)


def _ridge(name: str, reg: Any, regs: Any) -> float:
    if (
        isinstance(reg, (bool, np.bool_))
        or not isinstance(reg, Real)
        or not 0 <= float(reg) < np.inf
    ):
        raise ValueError(
            f"{name}: `regs`={regs!r} holds {reg!r}; a ridge is a finite number of 0 or more, or "
            "a pair of them, one for each view."
        )
    return float(reg)


def _checked_number(name: str, k: Any, numbers: Any) -> int:
    if isinstance(k, (bool, np.bool_)) or not isinstance(k, Integral) or k < 1:
        raise ValueError(
            f"{name}: `n_components`={numbers!r} holds {k!r}; the numbers to choose from are "
            "integers of 1 or more."
        )
    return int(k)


def _fold_scores(
    name: str, search: Search, i: int, fold: Fold, rows: PairedRows, scorer: Callable | None
) -> Array:
    """Return the score of each setting on the held-out rows of fold i."""
    train, test = fold
    # The fit on all rows gives these warnings.
    with muted(*REPEATED):
        if scorer is None:
            return search.totals(i)
        args, kwargs = rows.take(test, train)
        scores = [scorer(model, *args, **kwargs) for model in search.models(i)]
    for score in scores:
        if not isinstance(score, Real):
            raise TypeError(f"{name}: `scoring` returned {score!r:.60}; expected one number.")
    return np.array(scores, dtype=float)


def _report_failures(name: str, folds: Sequence[Fold], errors: dict[int, ValueError]) -> None:
    """Warn of folds without a score, or refuse to go on if there is no other."""
    if not folds:
        raise ValueError(f"{name}: `cv` makes no fold; give 2 at least, or their number.")
    if len(errors) == len(folds):
        first = errors[0]
        raise ValueError(f"{name}: no fold has a score. {first}") from first
    for i, error in errors.items():
        train, test = map(len, folds[i])
        warn(
            f"{name}: fold {i} of {train} + {test} rows has no score and counts as nan: {error}",
            FitFailedWarning,
        )


def _cv_results(grid: list[dict[str, Any]], scores: Array, seconds: Array) -> dict[str, Any]:
    """Return the scores (n_settings, n_folds) in the form of `GridSearchCV.cv_results_`."""
    each = seconds / len(grid)
    table: dict[str, Any] = {
        "mean_fit_time": np.full(len(grid), each.mean()),
        "std_fit_time": np.full(len(grid), each.std()),
        "mean_score_time": np.zeros(len(grid)),
        "std_score_time": np.zeros(len(grid)),
    }
    for key in grid[0]:
        # A pair is one value.
        values = np.ma.MaskedArray(np.empty(len(grid), dtype=object), mask=False)
        for j, params in enumerate(grid):
            values[j] = params[key]
        table[f"param_{key}"] = values
    table["params"] = grid
    table |= {f"split{i}_test_score": column for i, column in enumerate(scores.T)}
    means = scores.mean(axis=1)
    table["mean_test_score"], table["std_test_score"] = means, scores.std(axis=1)
    lowest = np.nanmin(means) - 1 if np.isfinite(means).any() else 0.0
    ranks = rankdata(-np.where(np.isnan(means), lowest, means), method="min")
    table["rank_test_score"] = ranks.astype(np.int32)
    return table


def _best_index(
    name: str, table: dict[str, Any], grid: list[dict[str, Any]], *, simplest: bool
) -> int:
    """Return the place of the best setting, or of the simplest within one standard error of it."""
    best = int(np.argmin(table["rank_test_score"]))
    means = table["mean_test_score"]
    if not np.isfinite(means[best]):
        raise ValueError(
            f"{name}: no setting has a score on every fold, so that none is best. Give folds of "
            "more rows, or of all classes, by `cv`."
        )
    if not simplest:
        return best
    n_folds = sum(key.startswith("split") for key in table)
    error = table["std_test_score"][best] / np.sqrt(max(n_folds - 1, 1))
    near = np.flatnonzero(means >= means[best] - error)

    def simplicity(j: Any) -> tuple[int, float]:
        return grid[j].get("n_components", 0), -float(np.sum(per_view(grid[j]["reg"])))

    return int(min(near, key=simplicity))
