"""Searches over ridges and components give the scores of a fit for each setting and fold."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _data import make_tags, tagged_views, two_views
from scipy import sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline

from skcca import (
    CCA,
    CCACV,
    KCCA,
    KCCACV,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    ClusterKCCACV,
    Views,
    make_retrieval_scorer,
)
from skcca._core.kernels import Kernel
from skcca.model_selection import _fold_moments

# A fold supports fewer components than some candidates.
pytestmark = pytest.mark.filterwarnings("ignore:.*but the data support:UserWarning")

REGS = [0.01, 1.0, (0.1, 10.0)]
MODELS = {
    "CCA": CCA(),
    "unscaled": CCA(scale=False),
    "svd": CCA(solver="svd"),
    "moments": CCA(solver="covariance"),
    "classes": ClusterCCA(),
    "row": ClusterCCA(pair_weight="row", component_scaling="unit"),
    "blend": ClusterCCA(instance_weight=0.3),
    "sampled": ClusterCCA(pair_fraction=0.4, random_state=0),
}
KERNELS = {
    "KCCA": KCCA(),
    "unscaled": KCCA(scale=False, kernel=("poly", "rbf"), degree=2, reg=1e-2),
    "linear": KCCA(kernel="linear"),
    "nystroem": KCCA(approximation="nystroem", n_landmarks=20, random_state=0),
    "random features": KCCA(approximation="random_features", n_landmarks=30, random_state=0),
    "classes": ClusterKCCA(),
    "row": ClusterKCCA(pair_weight="row", component_scaling="unit"),
    "blend": ClusterKCCA(instance_weight=0.3),
    "sampled": ClusterKCCA(pair_fraction=0.4, random_state=0),
}
SEARCH_OF = {CCA: CCACV, ClusterCCA: ClusterCCACV, KCCA: KCCACV, ClusterKCCA: ClusterKCCACV}
FOLDS = {
    "consecutive": KFold(4),
    "shuffled": KFold(3, shuffle=True, random_state=0),
    "stratified": StratifiedKFold(3),
    "repeated": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    "random": ShuffleSplit(3, random_state=0),
    "of some rows": [(np.arange(40), np.arange(60, 90)), (np.arange(30, 90), np.arange(9))],
}
X, Y, LABELS = two_views(90, 5, 7)
DATA = Views(X, Y)

ALL = MODELS | {f"kernel, {name}": model for name, model in KERNELS.items()}
of_models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
of_kernels = pytest.mark.parametrize("model", KERNELS.values(), ids=KERNELS)
of_all = pytest.mark.parametrize("model", ALL.values(), ids=ALL)


def search_of(model, **settings):
    """Return the search whose model is one that is given."""
    params = {key: v for key, v in model.get_params().items() if key not in ("reg", "gamma")}
    return SEARCH_OF[type(model)](**params | {"regs": REGS} | settings)


def tolerance_of(model):
    """Return the precision of scores: directions of kernels come from an iteration."""
    return 1e-8 if isinstance(model, KCCA) else 1e-10


def scores_of(search):
    n_splits = search.n_splits_
    return np.array([search.cv_results_[f"split{i}_test_score"] for i in range(n_splits)])


def one_by_one(model, data, labels, folds, params, weights=None):
    """Return the scores of settings (n_folds, n_settings) by a fit for each."""
    weights = np.ones(len(data)) if weights is None else weights
    scores = []
    for train, test in folds:
        fitted = [
            clone(model)
            .set_params(**values)
            .fit(data[train], labels[train], sample_weight=weights[train])
            for values in params
        ]
        scores.append([m.score(data[test], labels[test], None, weights[test]) for m in fitted])
    return np.array(scores)


@of_models
@pytest.mark.parametrize("cv", FOLDS.values(), ids=FOLDS)
def test_the_table_is_that_of_grid_search(model, cv):
    for numbers in ([1, 2, 4], None):
        searched = {} if numbers is None else {"n_components": numbers}
        grid = GridSearchCV(model, {"reg": REGS} | searched, cv=cv).fit(DATA, LABELS)
        search = search_of(model, n_components=numbers, cv=cv).fit(DATA, LABELS)
        assert_same_search(search, grid, tolerance_of(model))


def assert_same_search(search, grid, tolerance):
    table, expected = search.cv_results_, grid.cv_results_
    assert table.keys() == expected.keys()
    assert table["params"] == expected["params"]
    np.testing.assert_allclose(scores_of(search), scores_of(grid), rtol=0, atol=tolerance)
    for key in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_allclose(table[key], expected[key], rtol=0, atol=tolerance)
    for key in ("param_reg", "param_n_components", "param_gamma"):
        if key in expected:
            assert table[key].tolist() == expected[key].tolist()
    assert (search.best_index_, search.best_params_) == (grid.best_index_, grid.best_params_)
    assert search.reg_ == grid.best_params_["reg"]
    assert search.best_score_ == table["mean_test_score"][search.best_index_]
    refit, best = search.transform(DATA), grid.best_estimator_.transform(DATA)
    for Z, expected_scores in zip(refit, best, strict=True):
        np.testing.assert_allclose(Z, expected_scores, atol=1e-9)


@of_kernels
@pytest.mark.parametrize("searched", [{"n_components": [1, 2, 4]}, {"gamma": [0.02, (0.1, None)]}])
def test_the_table_of_kernels_is_that_of_grid_search(model, searched):
    cv = KFold(3, shuffle=True, random_state=0)
    grid = GridSearchCV(model, {"reg": REGS} | searched, cv=cv).fit(DATA, LABELS)
    settings = {"gammas" if key == "gamma" else key: v for key, v in searched.items()}
    search = search_of(model, cv=cv, **settings).fit(DATA, LABELS)
    assert_same_search(search, grid, tolerance_of(model))
    assert getattr(search, "gamma_", None) == grid.best_params_.get("gamma")


@pytest.mark.parametrize("scoring", [None, "map"])
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_take_rows_and_columns_of_precomputed_kernels(scoring, weighted):
    K = Views(*(Kernel("rbf", {"gamma": 0.1})(V, V) for V in DATA))
    weights = np.arange(90) % 4.0 if weighted else np.ones(90)
    scorer = None if scoring is None else make_retrieval_scorer()
    for model in (KCCA(3, kernel="precomputed"), ClusterKCCA(kernel="precomputed")):
        search = search_of(model, cv=KFold(3), scoring=scoring)
        search.fit(K, LABELS, sample_weight=weights)
        for i, (train, test) in enumerate(KFold(3).split(X)):
            part, held_out = K[np.ix_(train, train)], K[np.ix_(test, train)]
            for reg, score in zip(REGS, scores_of(search)[i], strict=True):
                fitted = clone(model).set_params(reg=reg)
                fitted.fit(part, LABELS[train], sample_weight=weights[train])
                if scorer is None:
                    expected = fitted.score(held_out, LABELS[test], sample_weight=weights[test])
                else:
                    expected = scorer(fitted, held_out, LABELS[test])
                assert score == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("scoring", [None, "map"])
def test_one_kernel_of_a_view_serves_all_settings_of_a_gamma_and_fold(scoring, monkeypatch):
    shapes, call = [], Kernel.__call__

    def counted(self, A, B):
        shapes.append((len(A), len(B)))
        return call(self, A, B)

    monkeypatch.setattr(Kernel, "__call__", counted)
    A, V, labels = two_views(300, 5, 7)
    search = KCCACV([1, 2], regs=REGS, gammas=[0.1, 0.2], cv=KFold(3), scoring=scoring)
    search.fit(Views(A, V), labels)
    assert sorted(shapes) == 12 * [(100, 200)] + 12 * [(200, 200)] + 2 * [(300, 300)]


@of_all
def test_measures_of_retrieval_are_those_of_grid_search(model):
    for scoring in ("map", make_retrieval_scorer("precision@3", direction="mean")):
        scorer = make_retrieval_scorer() if scoring == "map" else scoring
        params = {"reg": REGS, "n_components": [1, 2]}
        grid = GridSearchCV(model, params, cv=StratifiedKFold(3), scoring=scorer)
        search = search_of(model, n_components=[1, 2], cv=StratifiedKFold(3), scoring=scoring)
        search.fit(DATA, LABELS)
        np.testing.assert_allclose(
            scores_of(search), scores_of(grid.fit(DATA, LABELS)), rtol=0, atol=tolerance_of(model)
        )


@of_all
@pytest.mark.parametrize("zero", [False, True])
def test_weights_count_in_fits_and_scores(model, zero):
    weights = np.random.default_rng(0).uniform(0.2, 2.0, size=90)
    if zero:
        weights[::7] = 0.0
    folds = list(KFold(3).split(X))
    search = search_of(model, cv=folds).fit(DATA, LABELS, sample_weight=weights)
    expected = one_by_one(model, DATA, LABELS, folds, [{"reg": r} for r in REGS], weights)
    np.testing.assert_allclose(scores_of(search), expected, rtol=0, atol=tolerance_of(model))


@pytest.mark.parametrize("settings", [{}, {"instance_weight": 0.4}, {"pair_weight": "row"}])
@pytest.mark.parametrize("kind", ["tags", "memberships"])
@pytest.mark.parametrize("cost", [0, 1e9])
def test_tags_and_memberships_weigh_pairs_as_in_single_fits(settings, kind, cost, monkeypatch):
    """Whether the products of a class are made once, or for each fold."""
    monkeypatch.setattr(_fold_moments, "_ROWS_OF_ADDITION", cost)
    A, V, labels = tagged_views(90)
    # The last class is met in one fold alone, and each row has a class.
    labels[30:, -1] = 0
    labels[labels.sum(axis=1) == 0, 0] = 1
    if kind == "memberships":
        labels = labels * np.random.default_rng(0).uniform(0.1, 1, labels.shape)
    model, folds = ClusterCCA(**settings), list(KFold(3).split(A))
    search = search_of(model, cv=folds).fit(Views(A, V), labels)
    expected = one_by_one(model, Views(A, V), labels, folds, [{"reg": r} for r in REGS])
    np.testing.assert_allclose(scores_of(search), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cost", [0, 1e9])
def test_classes_may_be_missing_from_a_fold(cost, monkeypatch):
    """Whether the products of a class are made once, or for each fold."""
    monkeypatch.setattr(_fold_moments, "_ROWS_OF_ADDITION", cost)
    order = np.argsort(LABELS, kind="stable")
    folds = list(KFold(5).split(X))
    for model in (ClusterCCA(), ClusterCCA(instance_weight=0.3)):
        search = search_of(model, cv=folds).fit(DATA[order], LABELS[order])
        expected = one_by_one(model, DATA[order], LABELS[order], folds, [{"reg": r} for r in REGS])
        np.testing.assert_allclose(scores_of(search), expected, rtol=0, atol=1e-10)


def test_groups_reach_the_splitter():
    groups = np.arange(90) % 6
    search = CCACV(cv=GroupKFold(3)).fit(DATA, groups=groups)
    same = CCACV(cv=list(GroupKFold(3).split(X, groups=groups))).fit(X, Y)
    np.testing.assert_array_equal(scores_of(search), scores_of(same))
    pipe = make_pipeline(CCACV(cv=GroupKFold(3)), "passthrough").fit(X, Y, ccacv__groups=groups)
    np.testing.assert_array_equal(pipe.transform(X), same.transform(X))


def test_a_second_view_of_one_dimension_is_a_column_without_a_name():
    for column in (pd.Series(Y[:, 0], name="pulse"), pl.Series(Y[:, 0]), Y[:, 0].tolist()):
        found = CCACV(cv=3, scoring="map").fit(X, column, labels=LABELS)
        same = CCACV(cv=3, scoring="map").fit(X, Y[:, [0]], labels=LABELS)
        np.testing.assert_array_equal(scores_of(found), scores_of(same))


# Where moments lose digits


def nearly_collinear(n=300):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(n, 6))
    A[:, 5] = A[:, 4] + 1e-7 * rng.normal(size=n)
    V = rng.normal(size=(n, 4))
    V[:, :2] += A[:, 4:] @ rng.normal(size=(2, 2))
    V[:, 2] += 1e7 * (A[:, 5] - A[:, 4])
    return A, V


def drifting(n=300):
    A, V, _ = two_views(n, 6, 4)
    drift = 1e4 * (np.arange(n) // 100)[:, None]
    return A + drift, V - drift


def wide(n=60):
    return two_views(n, 80, 7)[:2]


@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
@pytest.mark.filterwarnings("ignore:.*mean nothing")
@pytest.mark.parametrize(
    ("views", "regs"),
    [
        (nearly_collinear(), [0.0, 1e-3]),
        (drifting(), [0.0, 1e-3]),
        (wide(), [1e-3, 1.0]),
    ],
    ids=["nearly collinear", "drifting", "wide"],
)
def test_where_moments_lose_digits_the_rows_decide(views, regs):
    folds = list(KFold(3).split(views[0]))
    model, data = CCA(), Views(*views)
    search = search_of(model, regs=regs, cv=folds).fit(data)
    expected = one_by_one(model, data, np.zeros(len(data)), folds, [{"reg": r} for r in regs])
    np.testing.assert_allclose(scores_of(search), expected, rtol=0, atol=1e-7)


def test_a_view_in_its_own_units_has_other_ones_without_a_ridge():
    units = 10.0 ** (3 * np.arange(-2, 3))
    data, folds, regs = Views(X * units, Y), list(KFold(3).split(X)), [0.0, 0.1, (0.0, 5.0)]
    search = search_of(CCA(scale=False), regs=regs, cv=folds).fit(data)
    expected = one_by_one(CCA(scale=False), data, LABELS, folds, [{"reg": r} for r in regs])
    np.testing.assert_allclose(scores_of(search), expected, rtol=0, atol=1e-10)


def test_first_rows_unlike_the_others_cost_a_second_pass():
    A, V = X + 0.0, Y + 0.0
    A[:4] -= 1e7
    folds = [(np.arange(4, 60), np.arange(60, 90)), (np.arange(30, 90), np.arange(4, 30))]
    search = search_of(CCA(), cv=folds).fit(A, V)
    expected = search_of(CCA(), cv=folds).fit(X, Y)
    np.testing.assert_allclose(scores_of(search), scores_of(expected), rtol=0, atol=1e-7)


# Kinds of rows


@of_models
def test_rows_of_any_kind_give_the_same_scores(model, tmp_path):
    reference = search_of(model, cv=KFold(3)).fit(X, Y, labels=LABELS)
    single = X.astype(np.float32), Y.astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    kinds = {
        "sparse": (sparse.csr_matrix(X), sparse.csc_array(Y), 1e-10),
        "memory map": (on_disk, Y, 1e-12),
        "frames": (pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y).add_prefix("y"), 1e-12),
        "float32": (*single, 1e-4),
    }
    for A, V, tolerance in kinds.values():
        search = search_of(model, cv=KFold(3)).fit(A, V, labels=LABELS)
        np.testing.assert_allclose(scores_of(search), scores_of(reference), rtol=0, atol=tolerance)


# The choice


def test_one_standard_error_takes_the_simplest():
    rng = np.random.default_rng(0)
    A, V = rng.normal(size=(2, 120, 6))
    V[:, :2] += A[:, :2]
    search = CCACV([1, 2, 3, 4], regs=[1e-3, 0.1, 1.0], one_standard_error=True).fit(A, V)
    table = search.cv_results_
    best = int(np.argmax(table["mean_test_score"]))
    error = scores_of(search)[:, best].std(ddof=1) / np.sqrt(5)
    near = [
        params
        for params, mean in zip(table["params"], table["mean_test_score"], strict=True)
        if mean >= table["mean_test_score"][best] - error
    ]
    fewest = min(params["n_components"] for params in near)
    largest = max(params["reg"] for params in near if params["n_components"] == fewest)
    assert search.best_params_ == {"n_components": fewest, "reg": largest}
    assert search.best_params_ != table["params"][best]
    assert search.n_components_ == fewest


def test_a_fold_that_cannot_be_fitted_is_named():
    bad, good = (np.flatnonzero(LABELS == 0), np.arange(90)), (np.arange(90), np.arange(30))
    with (
        pytest.warns(FitFailedWarning, match="ClusterCCACV: fold 0 of .* counts as nan"),
        pytest.raises(ValueError, match="no setting has a score on every fold"),
    ):
        ClusterCCACV(regs=REGS, cv=[bad, good]).fit(DATA, LABELS)
    with pytest.raises(ValueError, match=r"no fold has a score\. The two views have no correlated"):
        ClusterCCACV(regs=REGS, cv=[bad]).fit(DATA, LABELS)
    with pytest.raises(ValueError, match=r"score\. Feature 0 of `X` spreads over more"):
        CCACV().fit(1e200 * X, Y)
    with pytest.raises(TypeError, match="`scoring` returned 'good'; expected one number"):
        CCACV(scoring=lambda model, X, y=None: "good").fit(DATA)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regs": []}, "`regs` is empty"),
        ({"regs": [0.1, -1.0]}, r"`regs`=\[0.1, -1.0\] holds -1.0; a ridge is a finite number"),
        ({"regs": [np.nan]}, "holds nan; a ridge"),
        ({"regs": ["auto"]}, "holds 'auto'; a ridge"),
        ({"regs": [(0.1, True)]}, "holds True; a ridge"),
        ({"regs": [(0.1, 0.2, 0.3)]}, "a ridge is a finite number of 0 or more, or a pair"),
        ({"n_components": []}, "`n_components` is empty"),
        ({"n_components": [2, 0]}, r"`n_components`=\[2, 0\] holds 0; the numbers"),
        ({"n_components": [1.5]}, "holds 1.5; the numbers"),
        ({"cv": 60}, "`cv` holds out 1 row at a time"),
        ({"scoring": "mapp"}, "make_retrieval_scorer: `measure` is 'mapp'"),
        ({"regs": 0.1}, "'regs' parameter"),
        ({"gammas": []}, "`gammas` is empty"),
        ({"gammas": [0.1, 0.0]}, r"`gammas`=\[0.1, 0.0\] holds 0.0; a width is a finite number"),
        ({"gammas": [(0.1, -1.0)]}, "None for that of the data, or a pair of these"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    kind = KCCACV if "gammas" in settings else CCACV
    with pytest.raises(ValueError, match=message):
        kind(**settings).fit(DATA)


def test_batches_are_left_to_the_model():
    assert not hasattr(CCACV(), "partial_fit")
    with pytest.raises(AttributeError):
        CCACV().partial_fit(X, Y)


@pytest.mark.parametrize("search", [CCACV(cv=3), ClusterCCACV(cv=3)])
def test_a_fit_that_fails_leaves_the_old_one(search):
    fitted = clone(search).fit(DATA, LABELS)
    before, state = fitted.transform(X), dict(vars(fitted))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(np.full_like(X, np.nan), Y, labels=LABELS)
    assert vars(fitted) == state
    np.testing.assert_array_equal(fitted.transform(X), before)


def test_an_earlier_fit_leaves_no_classes():
    model = ClusterCCACV(cv=3).fit(DATA, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(DATA)
    assert not hasattr(model, "classes_")


def test_warnings_of_the_fit_are_given_once():
    A = np.hstack([X, X[:, :1]])
    with pytest.warns(LinAlgWarning, match="has rank 5 with 6 features") as caught:
        CCACV(regs=[0.0], cv=3).fit(A, Y)
    assert len(caught) == 1


def test_tags_without_a_class_in_common_have_no_score():
    A, V, tags = tagged_views(60)
    assert np.isfinite(ClusterCCACV(cv=3).fit(A, V, labels=make_tags(60, seed=3)).best_score_)
    assert tags.shape == (60, 4)
