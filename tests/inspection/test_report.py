"""The report: its figures against loops or another library, what is left out, how it prints."""

import sys
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from _data import known_views, two_views
from sklearn.base import clone
from sklearn.datasets import load_linnerud
from sklearn.model_selection import KFold
from statsmodels.multivariate.cancorr import CanCorr

from skcca import CCA, CCACV, KCCA, ClusterCCA, SparseCCA, Views
from skcca.inspection import multivariate_tests, permutation_test_correlations, report

X, Y = known_views(60, 4, 3, [0.8, 0.3])
BY_CLASS = two_views(60, 4, 3, n_shared=2)
QUICK = {"n_permutations": 5, "cv": 3, "random_state": 0}


def of_fitness_club(**options):
    data = load_linnerud(as_frame=True)
    return report(CCA(), data.data, data.target, **options)


def test_tests_are_those_of_statsmodels():
    data = load_linnerud(as_frame=True)
    found = of_fitness_club().to_frames()["tests"]
    peer = CanCorr(data.target, data.data).corr_test()
    columns = ["Value", "F Value", "Num DF", "Den DF", "Pr > F"]
    np.testing.assert_allclose(found.loc[0], peer.stats_mv[columns].astype(float), rtol=1e-9)
    columns = ["Wilks' lambda", "F Value", "Num DF", "Den DF", "Pr > F"]
    wilks = found.xs("Wilks' lambda", level="statistic")
    np.testing.assert_allclose(wilks, peer.stats[columns].astype(float), rtol=1e-9)


def test_fewer_components_have_the_tests_of_all_correlations():
    some, whole = (report(CCA(k), X, Y, cv=0).to_frames() for k in (1, None))
    pd.testing.assert_frame_equal(some["tests"], whole["tests"].loc[[0]])
    p = multivariate_tests(CCA().fit(X, Y).correlations_, 60, 4, 3).wilks.pvalues
    np.testing.assert_allclose(whole["components"]["p (Wilks)"], p, rtol=1e-9)


def correlations(A, B):
    return np.corrcoef(A.T, B.T)[: A.shape[1], A.shape[1] :]


@pytest.mark.parametrize(
    ("model", "by_class"),
    [(CCA(2), False), (CCA(2, reg=0.5, component_scaling="correlation"), False),
     (ClusterCCA(2, reg=0.5), True)],
)  # fmt: skip
def test_figures_of_features_are_those_of_regressions_on_the_pairs(model, by_class):
    A, B, y = BY_CLASS if by_class else (X, Y, np.arange(60))
    frames = report(model, A, B, y if by_class else None, **QUICK).to_frames()
    variates = clone(model).fit(A, B, y if by_class else None).transform(A, B)
    i, j = np.nonzero(np.equal.outer(y, y))
    A, B, variates = A[i], B[j], (variates[0][i], variates[1][j])
    for side, V, own, other in (("x", A, *variates), ("y", B, *variates[::-1])):
        found, parts = frames[f"{side}_features"], frames["components"]
        loadings, cross = correlations(V, own), correlations(V, other)
        np.testing.assert_allclose(found["loading"], loadings, atol=1e-9)
        np.testing.assert_allclose(found["cross-loading"], cross, atol=1e-9)
        Z, U = ((part - part.mean(axis=0)) / part.std(axis=0) for part in (V, own))
        np.testing.assert_allclose(Z @ found["weight"].to_numpy(), U, atol=1e-9)
        residuals = Z - U @ np.linalg.lstsq(U, Z, rcond=None)[0]
        np.testing.assert_allclose(found["communality"], 1 - (residuals**2).mean(axis=0))
        name = "X" if side == "x" else "y"
        np.testing.assert_allclose(parts[f"explained {name}"], (loadings**2).mean(axis=0))
        np.testing.assert_allclose(parts[f"redundancy {name}"], (cross**2).mean(axis=0))


def test_held_out_correlations_are_those_of_a_loop():
    found = report(CCA(2, reg=0.1), X, Y, cv=4, n_permutations=0).to_frames()["components"]
    loop = []
    for train, test in KFold(4).split(X):
        U, V = CCA(2, reg=0.1).fit(X[train], Y[train]).transform(X[test], Y[test])
        loop.append(np.diag(np.corrcoef(U.T, V.T)[:2, 2:]))
    np.testing.assert_allclose(found["held out"], np.mean(loop, axis=0), rtol=1e-9)
    np.testing.assert_allclose(found["standard error"], np.std(loop, axis=0, ddof=1) / 2, rtol=1e-9)


def test_pvalues_of_a_ridge_are_those_of_the_permutation_test_in_its_order():
    A, B = np.random.default_rng(40).normal(size=(2, 60, 4)) * [8, 4, 2, 1]
    A[:, [0, 3]] += 0.6 * B[:, [0, 3]]
    model = CCA(4, scale=False, reg=0.5)
    # The ridge hides correlations of features of little variance.
    order = np.argsort(-model.fit(A, B).singular_values_)
    assert order.tolist() == [1, 2, 0, 3]
    found = report(model, A, B, n_permutations=50, cv=0, random_state=0)
    test = permutation_test_correlations(model, A, B, n_permutations=50, random_state=0)
    p = found.to_frames()["components"]["p (permuted)"]
    assert len(set(test.pvalues)) == 4
    np.testing.assert_array_equal(p[order], test.pvalues)
    np.testing.assert_allclose(
        found.to_frames()["components"]["correlation"][order], test.correlations, rtol=1e-9
    )


def test_pvalues_of_other_models_compare_with_fits_to_unrelated_rows():
    A, B, y = BY_CLASS
    model = ClusterCCA(reg=0.1)
    found = report(model, A, B, y, n_permutations=9, cv=0, random_state=3)
    rng, null = np.random.default_rng(3), []
    for _ in range(9):
        null.append(clone(model).fit(A, B[rng.permutation(60)], y).correlations_.max())
    r = model.fit(A, B, y).correlations_
    p = (1 + (np.array(null)[:, None] >= r).sum(axis=0)) / 10
    assert p[0] < p[-1]
    np.testing.assert_array_equal(found.to_frames()["components"]["p (permuted)"], p)


def test_orders_without_a_direction_of_the_signs_have_the_correlation_zero():
    a, b = known_views(30, 1, 1, [0.1])
    r = np.corrcoef(a[:, 0], b[:, 0])[0, 1]
    b, r = b * np.sign(r), abs(r)
    model = SparseCCA(positive=True)
    found = report(model, a, b, n_permutations=19, cv=0, random_state=0)
    rng = np.random.default_rng(0)
    null = [np.corrcoef(a[:, 0], b[rng.permutation(30), 0])[0, 1] for _ in range(19)]
    assert min(null) < 0 < r
    p = (1 + np.count_nonzero(np.array(null) >= r)) / 20
    assert found.components.columns["p (permuted)",].values.item() == p


def test_exact_pvalues_are_called_so():
    A, B = known_views(6, 2, 1, [0.9])
    found = report(CCA(), A, B, test="permutation", cv=2)
    assert any("exact, of all 720 orders of the rows" in note for note in found.notes)
    assert {"p (Wilks)", "p (permuted)"} < set(found.to_frames()["components"])


@pytest.mark.parametrize(
    ("model", "views", "reason"),
    [
        (CCA(reg=0.1), (X, Y), "No F is valid with a ridge"),
        (CCACV(2, regs=[0.1, 1.0]), (X, Y), "No F is valid for CCACV"),
        (ClusterCCA(reg=0.1), (X, Y, BY_CLASS[2]), "No F is valid for ClusterCCA"),
        (KCCA(2, reg=0.1), (X, Y), "not linear in the features"),
    ],
)
def test_what_is_not_valid_is_left_out_with_its_reason(model, views, reason):
    found = report(model, *views, **QUICK)
    assert found.tests is None
    assert "p (Wilks)" not in found.to_frames()["components"]
    assert any(reason in note for note in found.notes)
    assert reason in " ".join(str(found).split())
    for frame in found.to_frames().values():
        assert np.isfinite(frame.to_numpy(dtype=float)).all()


def test_without_ridge_and_with_few_rows_there_is_no_pvalue():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(12, 7)), rng.normal(size=(12, 6))
    with pytest.warns(UserWarning, match="no ridge"):
        found = report(CCA(2), A, B, cv=0)
    assert found.tests is None
    assert not any(name.startswith("p ") for name in found.to_frames()["components"])
    assert any("There are no p-values: with 12 rows" in note for note in found.notes)


def test_infinite_roots_are_left_out_with_their_reason():
    A = np.column_stack([X, Y[:, 0]])
    found = report(CCA(), A, Y, cv=0)
    tests = found.to_frames()["tests"]
    assert list(tests.loc[0].index) == ["Pillai's trace"]
    assert len(tests.loc[1]) == 4
    assert np.isfinite(tests.to_numpy()).all()
    assert any("infinite root" in note for note in found.notes)


def test_print_has_the_figures_of_the_frames():
    found = of_fitness_club()
    page = "".join(ElementTree.fromstring(found._repr_html_()).itertext())
    for text in (str(found), page):
        for figure in ("0.796", "0.350", "34.22", "0.0635", "0.0009", "Chins", "Pillai's"):
            assert figure in text
    assert repr(found) == str(found)
    assert max(map(len, str(found).split("\n"))) <= 120


def test_many_features_are_printed_in_part_and_named_as_in_the_data():
    rng = np.random.default_rng(0)
    genes = pd.DataFrame(rng.normal(size=(40, 30)), columns=[f"gene <{i}>" for i in range(30)])
    found = report(CCA(5, reg=1.0), Views(genes=genes, scores=rng.normal(size=(40, 6))), **QUICK)
    frame = found.to_frames()["x_features"]
    largest = (frame["loading"][[0, 1, 2]] ** 2).sum(axis=1).sort_values()
    text, page = str(found), found._repr_html_()
    assert "Features of genes" in text
    for place, name in enumerate(largest.index):
        assert (name in text) == (place >= 10)
    assert "gene &lt;" in page
    assert "<0>" not in page
    assert "to_frames() has all" in " ".join(text.split())


def test_without_pandas_it_prints_and_frames_say_what_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    found = report(CCA(), X, Y, **QUICK)
    assert "Components" in str(found)
    assert "<table>" in found._repr_html_()
    with pytest.raises(ImportError, match=r"needs pandas.*pip install pandas"):
        found.to_frames()


class SelectingCCA(CCA):
    """As a sparse model, with weights for some features alone."""

    def fit(self, *args, **kwargs):
        super().fit(*args, **kwargs)
        self.x_selected_ = np.arange(self.n_features_in_)[:, None] % 3 <= np.arange(2)
        self.x_weights_ = self.x_weights_ * self.x_selected_
        self.y_selected_ = np.ones_like(self.y_weights_, dtype=bool)
        return self


def test_selected_features_are_counted_and_printed_first():
    rng = np.random.default_rng(0)
    found = report(SelectingCCA(2, reg=1.0), rng.normal(size=(40, 30)), Y[:40], **QUICK)
    parts = found.to_frames()["components"]
    assert parts["selected X"].tolist() == [10, 20]
    assert parts["selected y"].tolist() == [3, 3]
    printed = {line.split()[0] for line in str(found).splitlines() if line.startswith("x")}
    assert printed == {f"x{i}" for i in range(30) if i % 3 < 2}
