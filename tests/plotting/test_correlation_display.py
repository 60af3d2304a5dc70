"""CorrelationDisplay: training, held-out and chance correlations against loops by hand."""

import numpy as np
import pandas as pd
import pytest
from _models import DRAWN_LABELS as LABELS
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import in_legend
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import CCA, CCACV, KCCA, ClusterCCA, Views, make_view_transformer
from skcca.inspection import permutation_test_correlations, select_n_components
from skcca.plotting import CorrelationDisplay


def draw(model, *data, **kwargs):
    return CorrelationDisplay.from_estimator(model, *(data or (X, Y)), **kwargs)


def correlations(U, V):
    return [np.corrcoef(u, v)[0, 1] for u, v in zip(U.T, V.T, strict=True)]


def test_bars_are_the_training_correlations():
    display = draw(CCA(3))
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_array_equal(heights, CCA(3).fit(X, Y).correlations_)
    centres = [bar.get_x() + bar.get_width() / 2 for bar in display.bars_]
    np.testing.assert_allclose(centres, [0, 1, 2])


@pytest.mark.parametrize(
    "model",
    [
        CCA(3, reg=0.1),
        CCA(3, reg=(0.0, 10.0)),  # whose singular values are in another order than its correlations
        CCACV(3, regs=[0.1, 5.0], cv=3),
        KCCA(3, kernel="rbf", reg=0.1),
    ],
)
def test_points_are_the_mean_correlations_of_rows_left_out(model):
    display = draw(model, cv=4)
    expected = []
    for train, test in KFold(4).split(X):
        fold = clone(model).fit(X[train], Y[train])
        expected.append(correlations(*fold.transform(X[test], Y[test])))
    np.testing.assert_allclose(display.held_out, expected, atol=1e-12)
    line, _, bars = display.held_out_
    np.testing.assert_allclose(line.get_ydata(), np.mean(expected, axis=0))
    error = np.std(expected, axis=0, ddof=1) / 2
    spans = [segment[:, 1] for segment in bars[0].get_segments()]
    np.testing.assert_allclose(np.ptp(spans, axis=1), 2 * error)


def test_moments_of_the_folds_save_their_fits(monkeypatch):
    fits, fit = [], CCA._fit_views
    monkeypatch.setattr(CCA, "_fit_views", lambda *args: fits.append(fit(*args)))
    draw(CCA(reg=0.1), cv=4)
    assert len(fits) == 1  # to all rows


def test_class_paired_models_correlate_over_the_pairs_of_a_class():
    display = draw(ClusterCCA(), X, Y, labels=LABELS)
    result = select_n_components(ClusterCCA(), X, Y, LABELS, n_components=2, rule="best")
    np.testing.assert_allclose(np.cumsum(display.held_out, axis=1), result.totals, atol=1e-10)


def test_precomputed_kernels_are_split_by_rows_and_columns():
    model = KCCA(3, kernel="precomputed", reg=0.1)
    linear = KCCA(3, kernel="linear", scale=False, reg=0.1)
    X0, Y0 = X - X.mean(axis=0), Y - Y.mean(axis=0)
    expected = draw(linear, X0, Y0).held_out
    np.testing.assert_allclose(draw(model, X0 @ X0.T, Y0 @ Y0.T).held_out, expected, atol=1e-8)


def test_the_null_of_cca_is_that_of_the_permutation_test():
    display = draw(CCA(3), n_permutations=30, random_state=1)
    result = permutation_test_correlations(
        CCA(3), X, Y, n_permutations=30, statistic="roy", random_state=1
    )
    np.testing.assert_array_equal(display.null, np.sqrt(result.null_distribution))
    heights, borders, _ = display.null_.get_data()
    np.testing.assert_allclose(heights, np.quantile(display.null, 0.95, axis=0))
    np.testing.assert_array_equal(borders, [-0.5, 0.5, 1.5, 2.5])


@pytest.mark.parametrize(
    "model", [CCA(3, reg=0.1), CCA(3, reg=(0.0, 0.1)), CCA(3, reg="auto"), ClusterCCA()]
)
def test_the_null_of_other_models_is_the_largest_correlation_of_shuffled_rows(model):
    display = draw(model, X, Y, labels=LABELS, n_permutations=5, random_state=0)
    rng = np.random.default_rng(0)
    expected = [
        clone(model).fit(X, Y[rng.permutation(len(Y))], LABELS).correlations_.max()
        for _ in range(5)
    ]
    assert display.null.shape == (5, len(display.correlations))
    np.testing.assert_allclose(display.null, np.tile(expected, (len(display.null.T), 1)).T)


def test_without_a_relation_bars_do_not_rise_above_the_null():
    A, B = np.random.default_rng(3).normal(size=(2, 100, 4))
    display = draw(CCA(), A, B, n_permutations=200, random_state=0)
    assert display.correlations[0] < np.quantile(display.null[:, 0], 0.99)
    assert np.abs(display.held_out.mean(axis=0)).max() < 0.3


def test_no_null_is_drawn_unless_asked_for():
    display = draw(CCA(3))
    assert display.null is display.null_ is None
    names = in_legend(display)
    assert names == ["Training", "Left out (± standard error)"]


def test_the_legend_tells_the_quantile():
    display = CorrelationDisplay(np.array([0.5]), null=np.full((9, 1), 0.2), level=0.9).plot()
    names = in_legend(display)
    assert names == ["Training", "Unrelated rows, 90 %"]


def test_one_fold_has_no_standard_error():
    display = draw(CCA(3), cv=[(np.arange(40), np.arange(40, 60))])
    assert len(display.held_out) == 1
    assert not display.held_out_.lines[2]


@pytest.mark.parametrize("n_permutations", [0, 4])
def test_frames_with_row_names_and_pipelines_are_the_same_as_arrays(n_permutations):
    frames = pd.DataFrame(X).add_prefix("x"), pd.DataFrame(Y).add_prefix("y")
    kwargs = {"n_permutations": n_permutations, "random_state": 0}
    expected = draw(CCA(3, reg=0.1), **kwargs)
    framed = draw(CCA(3, reg=0.1), *frames, **kwargs)
    scaled = make_pipeline(
        make_view_transformer(StandardScaler(), StandardScaler()), CCA(3, reg=0.1)
    )
    piped = draw(scaled, Views(X, Y), **kwargs)
    for display in (framed, piped):
        for key in ("correlations", "held_out", "null"):
            if getattr(expected, key) is not None:
                np.testing.assert_allclose(getattr(display, key), getattr(expected, key), atol=1e-9)


def test_negative_correlations_are_in_the_picture():
    display = CorrelationDisplay(np.array([0.5, 0.4]), held_out=np.array([[0.3, -0.6]])).plot()
    assert display.ax_.get_ylim()[0] < -0.6
