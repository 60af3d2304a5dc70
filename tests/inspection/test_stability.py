"""Features that a sparse model selects on complementary halves of the rows."""

import numpy as np
import pytest

from skcca import CCA, SparseCCA, SparseClusterCCA
from skcca.inspection import stability_selection
from skcca.inspection._stability import false_selections

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 20)), RNG.normal(size=(60, 16))
X[:, :3] += RNG.normal(size=(60, 1)) + Y[:, :1]
Y[:, :2] += Y[:, :1]
MODEL = SparseCCA(x_penalty=0.3, y_penalty=0.3)


class Recorded(SparseCCA):
    """Keep the weights of each fit."""

    weights: list = []

    def fit(self, X, y=None, labels=None, sample_weight=None):
        self.weights.append(sample_weight)
        return super().fit(X, y, labels, sample_weight)


def of_noise(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(40, 25)), rng.normal(size=(40, 20))


def test_shares_are_those_of_fits_to_the_halves_alone():
    Recorded.weights = []
    model = Recorded(x_penalty=0.3, y_penalty=0.3)
    result = stability_selection(model, X, Y, n_splits=6, random_state=0)
    whole, *halves = Recorded.weights
    assert whole is None
    masks = []
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        assert first.sum() == 30
        np.testing.assert_array_equal(first + second, 1)
        masks += [MODEL.fit(X[w > 0], Y[w > 0]).x_selected_ for w in (first, second)]
    np.testing.assert_allclose(result.x.probabilities, np.mean(masks, axis=0))
    np.testing.assert_allclose(result.x.n_selected, np.sum(masks) / len(masks))


def test_components_are_matched_whatever_their_order():
    # Two components of nearly equal correlation change places from half to half.
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(200, 2))
    A, B = rng.normal(size=(200, 20)), rng.normal(size=(200, 20))
    A[:, :6] += 2 * np.repeat(shared, 3, axis=1)
    B[:, :6] += 2 * np.repeat(shared, 3, axis=1)
    model = SparseCCA(2, x_penalty=0.35, y_penalty=0.35)
    result = stability_selection(model, A, B, threshold=0.9, n_splits=15, random_state=0)
    first, second = sorted(map(tuple, (np.flatnonzero(column) for column in result.x.selected.T)))
    assert (first, second) == ((0, 1, 2), (3, 4, 5))


def test_bounds_are_those_of_the_theorems():
    q, p, n_splits = 5.0, 100, 50
    # R's package stabs: stabsel_parameters(p=100, cutoff=, q=5, B=50) with these assumptions.
    for t in (0.6, 0.75, 0.9, 1.0):
        worst = false_selections(t, q, p, n_splits, "none")
        assert worst == pytest.approx(q**2 / p / (2 * t - 1))
        unimodal = q**2 / p / (2 * (2 * t - 1 - 0.01) if t <= 0.75 else 1.02 / (4 * (1 - t + 0.01)))
        found = false_selections(t, q, p, n_splits, "unimodal")
        assert found == pytest.approx(min(unimodal, worst))
        assert found < worst
    # Where more than 1 / sqrt(3) of the features are selected, the second theorem is silent.
    crowded = [false_selections(0.9, 70.0, p, n_splits, a) for a in ("none", "unimodal")]
    assert crowded[0] == crowded[1]


@pytest.mark.parametrize("assumption", ["unimodal", "none"])
def test_noise_selects_no_more_than_the_bound(assumption):
    counts, bounds = [], []
    for seed in range(6):
        result = stability_selection(
            MODEL, *of_noise(seed), threshold=0.7, assumption=assumption, n_splits=6,
            random_state=seed,
        )  # fmt: skip
        counts.append([view.selected.sum() for view in result])
        bounds.append([view.max_false[0] for view in result])
    assert (np.mean(counts, axis=0) <= np.mean(bounds, axis=0)).all()


def test_the_least_threshold_that_keeps_the_bound_is_taken():
    for most in (0.2, 1.0, 3.0):
        view = stability_selection(MODEL, X, Y, max_false=most, n_splits=10, random_state=0).x
        bounds = np.array(
            [
                false_selections(t, view.n_selected, 20, 10, "unimodal")
                for t in np.arange(11, 21) / 20
            ]
        )[:, 0]
        if view.thresholds[0] <= 1:
            assert view.max_false[0] <= most
            assert (bounds[: round(20 * view.thresholds[0]) - 11] > most).all()
        else:
            assert (bounds > most).all()
            assert not view.selected.any()


def test_groups_stay_whole_and_views_without_partners_are_drawn_apart():
    Recorded.weights = []
    groups = np.repeat(np.arange(12), 5)
    stability_selection(
        Recorded(x_penalty=0.3, y_penalty=0.3), X, Y, groups=groups, n_splits=3, random_state=0
    )
    for weights in Recorded.weights[1:]:
        assert np.ptp(weights.reshape(12, 5), axis=1).max() == 0
    labels = np.arange(60) % 3
    result = stability_selection(
        SparseClusterCCA(x_penalty=0.4, y_penalty=0.4), X, Y[:45], (labels, labels[:45]),
        n_splits=3, random_state=0,
    )  # fmt: skip
    assert [len(view.probabilities) for view in result] == [20, 16]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimator": CCA(1)}, TypeError, "CCA uses all features"),
        ({"estimator": "CCA"}, TypeError, "takes two-view estimators that select features"),
        ({"X": X[:3], "y": Y[:3]}, ValueError, "3 rows or groups cannot be split"),
        ({"groups": np.zeros(60)}, ValueError, "`groups` holds a single group"),
        ({"threshold": 0.4}, ValueError, "'threshold' parameter"),
        ({"max_false": 0.0}, ValueError, "'max_false' parameter"),
        ({"n_splits": 0}, ValueError, "'n_splits' parameter"),
    ],
)
def test_what_cannot_be_split_or_selected_is_refused(change, error, message):
    arguments = {"estimator": MODEL, "X": X, "y": Y, "n_splits": 2, "random_state": 0} | change
    with pytest.raises(error, match=message):
        stability_selection(**arguments)


def test_constant_features_leave_the_bound_as_it_is():
    padded = np.hstack([X, np.zeros((60, 500))])
    with pytest.warns(UserWarning, match="constant"):
        wide = stability_selection(MODEL, padded, Y, n_splits=5, max_false=0.5, random_state=0)
    plain = stability_selection(MODEL, X, Y, n_splits=5, max_false=0.5, random_state=0)
    np.testing.assert_array_equal(wide.x.thresholds, plain.x.thresholds)
    np.testing.assert_array_equal(wide.x.max_false, plain.x.max_false)


def test_halves_without_any_direction_select_nothing():
    # One feature a view: they go together over all rows, and not over every half.
    a, b = (V[:, :1] - V[:, :1].mean() for V in of_noise(0))
    views = a, b + a * (0.5 - np.sum(a * b)) / np.sum(a**2)
    result = stability_selection(SparseCCA(positive=True), *views, n_splits=20, random_state=0)
    assert 0 < result.x.probabilities.item() < 1
    np.testing.assert_array_equal(result.x.probabilities, result.y.probabilities)


def test_narrow_integers_count_the_splits():
    model = SparseCCA(x_penalty=0.3, y_penalty=0.3, tol=1e-2)
    narrow, plain = (
        stability_selection(model, X, Y, n_splits=n, random_state=0) for n in (np.int8(64), 64)
    )
    np.testing.assert_array_equal(narrow.x.thresholds, plain.x.thresholds)
