"""The number of components: against a search that fits every candidate, and what is refused."""

import warnings

import numpy as np
import pytest
from _data import known_views
from _models import SMALL
from scipy.linalg import LinAlgWarning
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import (
    CCA,
    CCACV,
    DCCA,
    KCCA,
    ClusterCCA,
    ClusterCCACV,
    ClusterKCCA,
    Views,
    make_view_transformer,
)
from skcca.inspection import select_n_components

pytestmark = pytest.mark.filterwarnings("ignore:select_n_components. the largest candidate")


def related(n=120, n_shared=2, seed=0):
    X, Y = known_views(n, 6, 5, [0.5**0.5] * n_shared, seed=seed)
    return X * [1, 2, 3, 4, 5, 6] + 1, Y


def labelled(n=120):
    X, Y = related(n)
    label = np.sort(np.arange(n) % 4)  # consecutive rows would be folds without a class
    return X + 3 * np.eye(6)[label], Y + 3 * np.eye(5)[label], label


@pytest.mark.parametrize(
    "model",
    [
        CCA(),
        CCA(reg=2.0),
        CCA(reg=(0.0, 5.0), scale=False, component_scaling="correlation"),
        KCCA(reg=0.01),
        KCCA(approximation="nystroem", n_landmarks=20, random_state=0),
    ],
)
def test_one_fit_gives_the_totals_of_a_fit_for_each_number(model):
    X, Y = related()
    found = select_n_components(model, X, Y, n_components=4, cv=KFold(3)).totals
    for k in range(1, 5):
        model.set_params(n_components=k)
        expected = cross_val_score(model, X, Y, cv=KFold(3))
        # KCCA finds leading components by iteration, to 1e-6.
        atol = 1e-5 if isinstance(model, KCCA) else 1e-10
        np.testing.assert_allclose(found[:, k - 1], expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "model",
    [
        ClusterCCA(),
        ClusterCCA(instance_weight=0.3, reg=0.1),
        ClusterCCA(pair_fraction=0.5, random_state=0),
        ClusterKCCA(reg=0.1),
    ],
)
def test_class_paired_totals_are_over_the_pairs_of_a_class(model):
    X, Y, label = labelled()
    views, cv = Views(X, Y), StratifiedKFold(3)
    found = select_n_components(model, views, label, n_components=3, cv=3)
    for k in range(1, 4):
        model.set_params(n_components=k)
        for fold, (train, test) in enumerate(cv.split(X, label)):
            fitted = model.fit(views[train], label[train])
            expected = fitted.score(views[test], label[test])
            atol = 1e-5 if isinstance(model, ClusterKCCA) else 1e-10
            assert found.totals[fold, k - 1] == pytest.approx(expected, abs=atol)
    by_name = select_n_components(model, X, Y, label, n_components=3, cv=3)
    np.testing.assert_allclose(found.totals, by_name.totals, atol=1e-12)


@pytest.mark.parametrize("model", [CCA(reg=0.1), ClusterCCA(instance_weight=0.3)])
def test_moments_of_the_folds_save_the_fits(model, monkeypatch):
    X, Y, label = labelled()
    monkeypatch.setattr(CCA, "_fit_views", lambda *_: pytest.fail("fitted"))
    assert select_n_components(model, X, Y, label, n_components=3).totals.shape == (5, 3)


@pytest.mark.filterwarnings("ignore:.*the data support", "ignore:.*has rank")
@pytest.mark.parametrize(
    "views",
    [
        lambda X, Y: (np.hstack([X, X]), Y),
        lambda X, Y: (X[:, [0, 1]], Y),
        lambda X, Y: (X, Y[:, 0]),
    ],
    ids=["collinear", "two features", "one column"],
)
def test_folds_of_any_rank_give_the_totals_of_fits(views):
    X, Y = views(*related())
    for model in (CCA(), CCA(reg=0.1)):
        found = select_n_components(model, X, Y, n_components=[1, 3], cv=KFold(3)).totals
        expected = cross_val_score(model.set_params(n_components=3), X, Y, cv=KFold(3))
        np.testing.assert_allclose(found[:, 1], expected, rtol=0, atol=1e-10)


def test_moments_that_have_to_serve_are_reported():
    X, Y = related()
    X = np.hstack([X, X[:, :1] + 1e-9 * np.arange(120)[:, None]])
    with pytest.warns(LinAlgWarning, match="select_n_components: the moments are poorly cond"):
        select_n_components(CCA(solver="covariance"), X, Y, n_components=2)


@pytest.mark.parametrize("search", [CCACV([1, 4], regs=[0.1, 10.0], cv=3), ClusterCCACV(cv=3)])
def test_a_search_chooses_its_ridge_for_each_number(search):
    X, Y, label = labelled()
    found = select_n_components(search, X, Y, label, n_components=3, cv=StratifiedKFold(4)).totals
    for i, (train, test) in enumerate(StratifiedKFold(4).split(X, label)):
        for k in range(1, 4):
            search.set_params(n_components=k).fit(X[train], Y[train], label[train])
            assert found[i, k - 1] == search.score(X[test], Y[test], labels=label[test])


def test_components_that_the_rows_do_not_support_add_nothing():
    X, Y, label = labelled()
    found = select_n_components(ClusterCCA(), X, Y, label, n_components=6)
    np.testing.assert_array_equal(found.totals[:, 3:], found.totals[:, 2:3].repeat(3, axis=1))
    assert found.n_components <= 3


def test_mean_error_and_rules():
    X, Y = related()
    found = select_n_components(CCA(), X, Y, n_components=5)
    np.testing.assert_array_equal(found.candidates, [1, 2, 3, 4, 5])
    np.testing.assert_allclose(found.mean, found.totals.mean(axis=0))
    np.testing.assert_allclose(found.standard_error, found.totals.std(axis=0, ddof=1) / np.sqrt(5))
    best = found.mean.argmax()
    enough = found.mean >= found.mean[best] - found.standard_error[best]
    assert found.n_components == found.candidates[enough][0]
    assert select_n_components(CCA(), X, Y, n_components=5, rule="best").n_components == best + 1


@pytest.mark.parametrize("n_shared", [1, 2, 3])
def test_rule_finds_the_number_that_is_there(n_shared):
    found = [
        select_n_components(CCA(), *related(300, n_shared, seed), n_components=5).n_components
        for seed in range(20)
    ]
    assert np.median(found) == n_shared


def test_candidates_may_be_listed():
    X, Y = related()
    all_ = select_n_components(CCA(), X, Y, n_components=5)
    some = select_n_components(CCA(), X, Y, n_components=[4, 1])
    np.testing.assert_array_equal(some.candidates, [1, 4])
    np.testing.assert_allclose(some.totals, all_.totals[:, [0, 3]], atol=1e-12)


@pytest.mark.parametrize(
    ("model", "n_shared", "candidates", "warns"),
    [
        (CCA(), 3, 2, True),
        (CCA(), 3, 4, False),
        (CCA(), 3, [2], False),
        (CCA(), 5, 5, False),  # as many as the second view has features
        (KCCA(kernel="linear", reg=0.01), 3, 2, True),
    ],
)
def test_a_choice_of_the_largest_candidate_is_told(model, n_shared, candidates, warns):
    X, Y = related(300, n_shared)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = select_n_components(model, X, Y, n_components=candidates, cv=3)
    assert found.n_components == min(n_shared, np.max(candidates))
    assert ["give larger ones" in str(warning.message) for warning in told] == [True] * warns


def test_deep_networks_are_trained_for_each_number():
    X, Y = related(60)
    model = DCCA(**SMALL)
    found = select_n_components(model, X, Y, n_components=[1, 3], cv=2)
    model.set_params(n_components=3)
    expected = cross_val_score(model, X, Y, cv=KFold(2))
    np.testing.assert_allclose(found.totals[:, 1], expected, atol=1e-6)


def test_pipelines_name_their_parameter():
    X, Y, label = labelled()
    views = Views(X, Y)
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), ClusterCCA())
    found = select_n_components(
        pipe, views, label, n_components=3, cv=StratifiedKFold(3),
        param_name="clustercca__n_components",
    )  # fmt: skip
    alone = select_n_components(ClusterCCA(), views, label, n_components=3, cv=StratifiedKFold(3))
    np.testing.assert_allclose(found.totals, alone.totals, atol=1e-10)


def test_kernels_take_rows_and_columns():
    X, Y = related(60)
    kernels = Views(X @ X.T, Y @ Y.T)
    found = select_n_components(KCCA(kernel="precomputed", reg=0.01), kernels, n_components=2, cv=3)
    expected = select_n_components(
        KCCA(kernel="linear", scale=False, reg=0.01), X, Y, n_components=2, cv=3
    )
    np.testing.assert_allclose(found.totals, expected.totals, atol=1e-5)


def test_groups_reach_the_splitter():
    X, Y = related()
    groups = np.arange(120) % 7
    found = select_n_components(CCA(), X, Y, n_components=2, cv=GroupKFold(3), groups=groups)
    expected = cross_val_score(CCA(2), X, Y, cv=GroupKFold(3), groups=groups)
    np.testing.assert_allclose(found.totals[:, 1], expected, atol=1e-12)


def test_folds_of_few_rows_do_not_repeat_what_is_known():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(2, 20, 12))  # fewer rows than features: held-out totals tell
    assert abs(select_n_components(CCA(), X, Y, n_components=2).mean[0]) < 1
