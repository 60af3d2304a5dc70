"""Correlations of badly conditioned views against arithmetic with 60 digits.

The bar is 10 eps times the condition number of the standardised views: rounding the views when they
were stored moves the correlations by about so much, and no algorithm can know better.
"""

import tracemalloc
import warnings

import dask.array as da
import mpmath
import numpy as np
import pytest
from _models import SMALL
from scipy import linalg, sparse
from scipy.linalg import LinAlgWarning
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skcca import CCA, DCCA, KCCA, ClusterCCA, ClusterKCCA
from skcca.datasets import load_nutrimouse

EPS = np.finfo(float).eps
CONDITIONS = [1, 10, 1e2, 1e3, 3e3, 1e4, 1e6, 1e8, 1e10, 1e12]
LABELS = np.repeat([0, 1, 2, 3], [12, 9, 6, 3])


def extended_correlations(X, Y, W=None, reg=0.0):
    """Return the correlations over the pairs with weights W, largest first, from exact moments.

    60 digits are left with 36 where the condition number squares from 1e12 to 1e24.
    """
    W = np.eye(len(X)) if W is None else W
    with mpmath.workdps(60):
        weights = [[mpmath.mpf(float(w)) for w in row] for row in W]
        rows = [mpmath.fsum(w) for w in weights]
        columns = [mpmath.fsum(w) for w in zip(*weights, strict=True)]
        x, y = _standardised(X, rows), _standardised(Y, columns)
        partners = [[mpmath.fdot(w, v) for w in weights] for v in y]
        total = mpmath.fsum(rows)
        cross = _products(x, partners) / total
        cov = [_products(V, _scaled(V, w)) / total for V, w in ((x, rows), (y, columns))]
        K, L = (mpmath.inverse(mpmath.cholesky(S + reg * mpmath.eye(S.rows))) for S in cov)
        U, values, V = mpmath.svd_r(K * cross * L.T)
        found = []
        for k, value in enumerate(values):
            a, b = K.T * U[:, k], L.T * V.T[:, k]
            spread = mpmath.sqrt((a.T * cov[0] * a)[0] * (b.T * cov[1] * b)[0])
            found.append(float(value / spread) if value > mpmath.mpf(10) ** -20 else 0.0)
        return np.sort(found)[::-1]


def _standardised(V, weights):
    """Return the columns, as lists, with mean 0 and variance 1."""
    out, total = [], mpmath.fsum(weights)
    for column in np.asarray(V, dtype=float).T.tolist():
        column = [mpmath.mpf(value) for value in column]
        mean = mpmath.fdot(weights, column) / total
        column = [value - mean for value in column]
        std = mpmath.sqrt(mpmath.fdot(weights, [value**2 for value in column]) / total)
        out.append([value / std for value in column])
    return out


def _scaled(columns, weights):
    return [[w * v for w, v in zip(weights, column, strict=True)] for column in columns]


def _products(x, y):
    return mpmath.matrix([[mpmath.fdot(a, b) for b in y] for a in x])


def two_views(condition_x=1.0, condition_y=1.0, *, n=30, d_x=5, d_y=4, seed=0):
    """Return views of given condition numbers, features mixed so that no unit could mend them."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, 3))
    views = []
    for d, condition in ((d_x, condition_x), (d_y, condition_y)):
        V = Z @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
        Q, _ = np.linalg.qr(V - V.mean(axis=0))
        rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
        views.append(Q * np.geomspace(1, 1 / condition, d) @ rotation)
    return views


def condition_of(*views):
    """Return the largest condition number of the standardised views."""
    conditions = []
    for V in views:
        values = np.linalg.svd((V - V.mean(axis=0)) / V.std(axis=0), compute_uv=False)
        conditions.append(values[0] / values[-1])
    return max(conditions)


def fitted(model, *args, **kwargs):
    """Fit, without the warnings that views like these deserve; their own tests ask for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        warnings.filterwarnings("ignore", message=".*training correlation")
        return model.fit(*args, **kwargs)


def assert_correlations(model, expected, condition=1.0):
    """As many as there are and each within 10 eps x condition; sums over rows round by sqrt(n)."""
    expected = expected[expected > 1e-13]
    assert model.n_components_ == len(expected)
    tolerance = 10 * EPS * max(condition, 5.0)
    np.testing.assert_allclose(model.correlations_, expected, rtol=0, atol=tolerance)


# Condition numbers


@pytest.mark.parametrize("side", ["x", "both"])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_correlations_are_right_to_the_condition_of_the_views(condition, side):
    for seed in range(2):
        X, Y = two_views(condition, condition if side == "both" else 1.0, seed=seed)
        model = CCA().fit(X, Y)
        assert_correlations(model, extended_correlations(X, Y), condition_of(X, Y))
        assert (model.x_rank_, model.y_rank_) == (5, 4)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_class_pairs_are_right_to_the_condition_of_the_views(condition):
    X, Y = two_views(condition, condition, seed=3)
    W = (LABELS[:, None] == LABELS).astype(float)
    model = ClusterCCA().fit(X, Y, LABELS)
    assert_correlations(model, extended_correlations(X, Y, W), condition_of(X, Y))
    assert (model.x_rank_, model.y_rank_) == (5, 4)


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12])
def test_weighted_and_blended_pairs_are_right_to_the_condition_of_the_views(condition):
    X, Y = two_views(condition, condition, seed=4)
    w = np.random.default_rng(0).uniform(0.1, 1, 30)
    own = np.diag(w) / w.sum()
    classes = w[:, None] * (LABELS[:, None] == LABELS) * w
    blend = 0.3 * own + 0.7 * classes / classes.sum()
    for model, W in ((CCA(), own), (ClusterCCA(instance_weight=0.3), blend)):
        model.fit(X, Y, LABELS, sample_weight=w)
        # The weighted views are a little worse conditioned than the plain ones.
        assert_correlations(model, extended_correlations(X, Y, W), 3 * condition_of(X, Y))


@pytest.mark.parametrize("solver", ["svd", "auto"])
@pytest.mark.parametrize("reg", [1e-12, 1e-9, 1e-6, 1e-3, 0.1])
@pytest.mark.parametrize("condition", [1, 1e2, 1e4, 3e7, 1e10])
def test_ridge_variates_have_the_right_correlations(condition, reg, solver):
    """They are over the variates' own variance, which some hardly have.

    A ridge makes the moments serve for any view, and of a small variance they keep few digits:
    half of them is what "auto" promises.
    """
    X, Y = two_views(condition, d_x=4, seed=1)
    model = fitted(CCA(reg=reg, solver=solver), X, Y)
    expected = extended_correlations(X, Y, reg=reg)
    if solver == "svd":
        assert_correlations(model, expected, condition_of(X, Y))
    else:
        assert model.n_components_ == 4
        np.testing.assert_allclose(model.correlations_, expected, atol=1e-7)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_known_correlations_of_large_views(condition):
    rng = np.random.default_rng(0)
    n, d_x, d_y = 1500, 24, 16
    V = rng.normal(size=(n, d_x + d_y))
    Q, _ = np.linalg.qr(V - V.mean(axis=0))
    rho = np.linspace(0.95, 0.1, d_y)
    A, B = Q[:, :d_x], rho * Q[:, :d_y] + np.sqrt(1 - rho**2) * Q[:, d_x:]
    R, S = (np.linalg.qr(rng.normal(size=(d, d)))[0] for d in (d_x, d_y))
    X = A * np.geomspace(1, 1 / condition, d_x) @ R
    Y = B * np.geomspace(1, 1 / condition, d_y) @ S
    assert_correlations(CCA().fit(X, Y), rho, condition_of(X, Y))


@pytest.mark.parametrize("condition", [1e6, 1e12])
def test_variates_of_badly_conditioned_views_have_the_stated_correlations(condition):
    X, Y = two_views(condition, condition)
    model = CCA().fit(X, Y)
    U, V = model.transform(X, Y)
    tolerance = 10 * EPS * condition_of(X, Y)
    np.testing.assert_allclose(U.T @ U / len(U), np.eye(4), atol=tolerance)
    np.testing.assert_allclose(V.T @ V / len(V), np.eye(4), atol=tolerance)
    np.testing.assert_allclose(U.T @ V / len(U), np.diag(model.correlations_), atol=tolerance)


def test_only_bad_conditions_cost_a_decomposition_of_the_data():
    assert CCA().fit(*two_views(10, 10, n=300)).solver_ == "covariance"
    assert CCA().fit(*two_views(1e9, n=300)).solver_ == "svd"


# Units


@pytest.mark.parametrize("extra", ["duplicate", "sum"])
def test_units_do_not_hide_collinearity(extra):
    X, Y = two_views()
    more = X[:, [0]] if extra == "duplicate" else X.sum(axis=1, keepdims=True)
    wide = np.hstack([X, more]) * np.geomspace(1e-9, 1e9, 6)
    model = fitted(CCA(), wide, Y)
    assert model.x_rank_ == 5
    assert_correlations(model, extended_correlations(X, Y))


# Collinear, constant and too many features


def redundant(V, kind, seed=0):
    """Return features that add nothing to those of V."""
    rng = np.random.default_rng(seed)
    return {
        "duplicated": V[:, :2],
        "negated": -V,
        "collinear": V @ rng.normal(size=(V.shape[1], 3)),
        "constant": np.array([[1 / 3, 0.0, -7e11 / 3]]).repeat(len(V), axis=0),
    }[kind]


@pytest.mark.parametrize("pairs", ["rows", "classes"])
@pytest.mark.parametrize("kind", ["duplicated", "negated", "collinear", "constant"])
def test_redundant_features_change_no_correlation(kind, pairs):
    X, Y = two_views(seed=6)
    model = CCA() if pairs == "rows" else ClusterCCA()
    W = None if pairs == "rows" else (LABELS[:, None] == LABELS).astype(float)
    expected = extended_correlations(X, Y, W)
    for A, B in (
        (np.hstack([X, redundant(X, kind)]), Y),
        (X, np.hstack([redundant(Y, kind), Y])),
        (np.hstack([redundant(X, kind), X]), np.hstack([Y, redundant(Y, kind)])),
    ):
        fitted(model, A, B, LABELS)
        assert_correlations(model, expected)
        assert (model.x_rank_, model.y_rank_) == (5, 4)
        assert np.isfinite(model.x_weights_).all()
        assert np.abs(model.transform(A).std(axis=0)).max() < 1 + 1e-12


@pytest.mark.parametrize("kind", ["duplicated", "collinear"])
def test_ridge_of_redundant_features_is_right(kind):
    X, Y = two_views(seed=6)
    wide = np.hstack([X, redundant(X, kind)])
    model = fitted(CCA(reg=0.05), wide, Y)
    assert_correlations(model, extended_correlations(wide, Y, reg=0.05))
    assert model.x_rank_ == 5, "a ridge does not give a view a higher rank"


def test_collinear_features_with_large_means_are_dropped():
    """Rounding moves a feature by eps of its mean, which may be much more than eps of its spread.

    Pressures in hPa and in atmospheres, years and decades: what is left of their difference is
    rounding, and passed for a direction it correlates with anything.
    """
    rng = np.random.default_rng(1)
    Y = rng.normal(size=(200, 4))
    plain = np.round(rng.normal(15, 8, 200))
    other = rng.normal(size=(200, 2)) + Y[:, :2]
    for one, same in (
        (1013 + plain, (1013 + plain) / 1013.25),
        (1990 + plain, (1990 + plain) / 10),
        (1e6 + plain, (1e6 + plain) / 3),
    ):
        model = fitted(CCA(), np.column_stack([one, same, other]), Y)
        assert model.x_rank_ == 3
        expected = CCA().fit(np.column_stack([plain, other]), Y).correlations_
        # Rounding of the mean costs as much of the spread.
        np.testing.assert_allclose(model.correlations_, expected, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_large_means_leave_the_correlations_and_the_rank_alone(offset):
    X, Y = (10 * V + offset for V in two_views(seed=7))
    model = CCA().fit(X, Y)
    assert_correlations(model, extended_correlations(X, Y))
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(8, 12)) + offset, rng.normal(size=(8, 10)) + offset
    model = fitted(CCA(), A, B)
    assert (model.x_rank_, model.y_rank_) == (7, 7), "8 rows about their mean have rank 7"
    assert_correlations(model, np.ones(7))


def test_float32_collinearity_with_a_mean_is_dropped():
    X, Y = two_views()
    wide = np.hstack([X, X @ np.ones((5, 1))]) * 5 + 100
    model = fitted(CCA(), wide.astype(np.float32), Y)
    assert model.x_rank_ == 5
    # A mean of 50 standard deviations costs 2 of the 7 digits of float32.
    np.testing.assert_allclose(model.correlations_, extended_correlations(X, Y), atol=1e-4)


@pytest.mark.parametrize(
    ("n", "d_x", "d_y", "ranks"),
    [(6, 6, 3, (5, 3)), (7, 6, 3, (6, 3)), (6, 20, 3, (5, 3)), (6, 20, 30, (5, 5))],
)
def test_few_rows_correlate_perfectly(n, d_x, d_y, ranks):
    rng = np.random.default_rng(n)
    model = fitted(CCA(), rng.normal(size=(n, d_x)), rng.normal(size=(n, d_y)))
    assert (model.x_rank_, model.y_rank_) == ranks
    assert_correlations(model, np.ones(min(ranks)))


@pytest.mark.parametrize("n", [9, 10, 11, 12])
def test_about_as_many_rows_as_features_of_both_views(n):
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, 5)), rng.normal(size=(n, 5))
    assert_correlations(fitted(CCA(), X, Y), extended_correlations(X, Y), condition_of(X, Y))


@pytest.mark.parametrize("reg", [1e-6, 0.3])
def test_ridge_of_few_rows_is_right(reg):
    rng = np.random.default_rng(8)
    X, Y = rng.normal(size=(9, 14)), rng.normal(size=(9, 4))
    model = fitted(CCA(reg=reg), X, Y)
    assert_correlations(model, extended_correlations(X, Y, reg=reg), 1e2)


def test_few_rows_of_classes_are_right():
    rng = np.random.default_rng(9)
    y = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    X, Y = rng.normal(size=(8, 5)), rng.normal(size=(8, 12))
    model = fitted(ClusterCCA(), X, Y, y)
    i, j = np.nonzero(y[:, None] == y)
    assert_correlations(model, fitted(CCA(2), X[i], Y[j]).correlations_, 1e2)


# Features that vary in their last digits alone


def last_digits(n=400):
    """Return what varies by a few units in the last place of a large mean, by name."""
    z = np.random.default_rng(0).normal(size=n)
    return {
        "longitude": (139.7 + 5e-5 * z).astype(np.float32),
        "seconds": (1.7e9 + 700 * z).astype(np.float32),
        "float64": 1e12 + 8e-4 * z,
        "one unit": np.where(z > 0, np.nextafter(-1e12, 0), -1e12),
    }


def plain_correlation(x, y):
    x = (x - x[0]).astype(float)  # exact
    return np.corrcoef(x, y)[0, 1]


ROUTES = {
    "covariance": CCA(solver="covariance").fit,
    "svd": CCA(solver="svd").fit,
    "a weight": lambda x, y: CCA().fit(x, y, sample_weight=np.full(len(x), 0.3)),
    "classes": lambda x, y: ClusterCCA(1, instance_weight=1.0).fit(x, y, np.arange(len(x)) % 3),
    "batches": lambda x, y: CCA().partial_fit(x[:99], y[:99]).partial_fit(x[99:], y[99:]),
    "sparse": lambda x, y: CCA().fit(sparse.csr_array(x), y),
    "Dask": lambda x, y: CCA().fit(*(da.from_array(V, chunks=(100, 1)) for V in (x, y))),
    "linear kernel": KCCA(1, kernel="linear", reg=1e-9).fit,
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", last_digits())
def test_features_that_vary_in_their_last_digits_count(name, route):
    x = last_digits()[name]
    y = (x - x[0]).astype(float) / np.ptp(x) + 0.1 * np.random.default_rng(1).normal(size=len(x))
    model = ROUTES[route](x[:, None], y[:, None])
    np.testing.assert_allclose(model.correlations_, [abs(plain_correlation(x, y))], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*ROUTES, "DCCA", "DCCA in batches", "ClusterKCCA", "in y"])
def test_every_feature_left_out_is_named(name, dtype):
    """Those that are constant to the last digit, however their sums round."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(400, 6)).astype(dtype), rng.normal(size=(400, 6))
    X[:, 1], X[:, 3:] = 1 / 3, -7e11 / 3
    deep = DCCA(1, **SMALL)
    fit = ROUTES | {
        "DCCA": deep.fit,
        "DCCA in batches": deep.partial_fit,
        "ClusterKCCA": lambda X, Y: ClusterKCCA(1).fit(X, Y, np.arange(400) % 3),
        "in y": lambda X, Y: CCA().fit(Y, X),
    }
    view = "y" if name == "in y" else "X"
    with pytest.warns(UserWarning, match=f"`{view}` has 4 of 6 features.*constant.*: 1, 3 to 5"):
        fit[name](X, Y)


# Ridges of any size, and those that are estimated


def shrunk_correlations(V, W, shrinkages):
    """Return the correlations of directions under (1 - s) S + s I, by SciPy alone."""
    views = [(A - A.mean(axis=0)) / A.std(axis=0) for A in (V, W)]
    K = [
        linalg.inv(linalg.sqrtm((1 - s) * A.T @ A / len(A) + s * np.eye(A.shape[1])))
        for s, A in zip(shrinkages, views, strict=True)
    ]
    U, _, T = linalg.svd(K[0] @ views[0].T @ views[1] @ K[1])
    u, v = views[0] @ K[0] @ U[:, :2], views[1] @ K[1] @ T[:2].T
    return np.sort([abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(u.T, v.T, strict=True)])[::-1]


def uncorrelated(seed=0):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(100, 20)), rng.normal(size=(100, 20))
    Y[:, :3] += 2 * X[:, :3]
    return X, Y


@pytest.mark.parametrize("solver", ["covariance", "svd"])
@pytest.mark.parametrize("seed", range(6))
def test_auto_shrinks_as_ledoit_and_wolf_up_to_the_identity(seed, solver):
    X, Y = uncorrelated(seed)
    s = [ledoit_wolf_shrinkage(StandardScaler().fit_transform(V)) for V in (X, Y)]
    model = CCA(2, reg="auto", solver=solver).fit(X, Y)
    np.testing.assert_allclose(model.correlations_, shrunk_correlations(X, Y, s), atol=1e-10)


@pytest.mark.parametrize("model", [CCA(2), CCA(2, solver="svd"), ClusterCCA(2, instance_weight=1),
    KCCA(2, kernel="linear")])  # fmt: skip
@pytest.mark.parametrize("reg", [1e15, 1e16, 1e30, 1e200, 1e308])
def test_any_large_ridge_gives_the_limit(reg, model):
    X, Y = uncorrelated()
    expected = shrunk_correlations(X, Y, (1, 1))
    found = clone(model).set_params(reg=reg).fit(X, Y, np.arange(100) % 3)
    np.testing.assert_allclose(found.correlations_, expected, atol=1e-10)
    if isinstance(model, KCCA):
        return  # It takes some ridge on either side.
    one = clone(model).set_params(reg=(reg, 0.0)).fit(X, Y, np.arange(100) % 3)
    np.testing.assert_allclose(one.correlations_, shrunk_correlations(X, Y, (1, 0)), atol=1e-10)


def test_auto_of_whitened_views_is_no_ridge():
    """Any share of the identity leaves the identity."""
    X, Y = (PCA(4, whiten=True).fit_transform(V) for V in uncorrelated())
    np.testing.assert_allclose(
        CCA(reg="auto").fit(X, Y).correlations_, CCA().fit(X, Y).correlations_, atol=1e-8
    )


def ridge_of_weighted_rows(V, w):
    """Return s / (1 - s), with s from a loop over the rows z as of 1 / sum(w^2) rows."""
    Z = V - w @ V
    Z /= np.sqrt(w @ Z**2)
    S, eye = (Z * w[:, None]).T @ Z, np.eye(Z.shape[1])
    spread = sum(a * np.linalg.norm(np.outer(z, z) - S) ** 2 for a, z in zip(w, Z, strict=True))
    s = w @ w * spread / np.linalg.norm(S - eye) ** 2
    return s / (1 - s)


@pytest.mark.parametrize("n", [30, 300])
def test_weights_of_the_rows_or_pairs_count_in_the_automatic_ridge(n):
    X, Y, y = related(n, 40)
    w = np.random.default_rng(1).integers(0, 3, n).astype(float)
    pairs = w * (w @ (y[:, None] == y))
    for model, weights in ((CCA(2), w), (ClusterCCA(2), pairs)):
        reg = tuple(ridge_of_weighted_rows(V, weights / weights.sum()) for V in (X, Y))
        given = clone(model).set_params(reg=reg).fit(X, Y, y, sample_weight=w)
        model.set_params(reg="auto").fit(X, Y, y, sample_weight=w)
        np.testing.assert_allclose(model.singular_values_, given.singular_values_, rtol=1e-9)


def test_the_automatic_ridge_of_wide_views_needs_no_square_matrix_of_features():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(20, 4000)), rng.normal(size=(20, 3))
    tracemalloc.start()
    fitted(CCA(2, reg="auto"), X, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 4000**2 / 4


# What is said about it


def test_dropped_directions_are_reported_with_view_rank_and_width():
    X, Y = two_views()
    wide_x, wide_y = np.hstack([X, X[:, :2]]), np.hstack([Y, Y])
    with pytest.warns(LinAlgWarning, match=r"`X` has rank 5 with 7 features"):
        CCA().fit(wide_x, Y)
    with pytest.warns(LinAlgWarning, match=r"`y` has rank 4 with 8 features"):
        CCA().fit(X, wide_y)
    with pytest.warns(LinAlgWarning) as caught:
        ClusterCCA().fit(wide_x, wide_y, LABELS)
    assert ["`X`" in str(w.message) for w in caught] == [True, False]
    with pytest.warns(LinAlgWarning, match="rank"):
        CCA(solver="svd").fit(wide_x, Y)


@pytest.mark.parametrize(("n", "warns"), [(8, True), (10, True), (12, False), (30, False)])
def test_fewer_rows_than_features_without_ridge_are_reported(n, warns):
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, 6)), rng.normal(size=(n, 5))
    if not warns:
        CCA().fit(X, Y)  # any warning would be an error
        return
    with pytest.warns(UserWarning, match=r"training correlation.*`reg`") as caught:
        CCA().fit(X, Y)
    assert f"{n} rows" in str(caught[-1].message)


RIDGES = [0.01, 0.1, 10.0, 1e6, "auto", (0.1, 0.0)]


def of_mice(data_home):
    data = load_nutrimouse(data_home=data_home)
    return data.x.astype(float), data.y.astype(float), data.labels


def related(n, d):
    """Return wide views of one strong source, and classes that move it."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    Z = (2 * y + rng.normal(size=n))[:, None]
    return *(Z @ rng.normal(size=(1, d)) + rng.normal(size=(n, d)) for _ in "xy"), y


@pytest.mark.filterwarnings("ignore:.*has rank")
@pytest.mark.parametrize("reg", RIDGES)
@pytest.mark.parametrize("shape", [(60, 600, 600), (20, 100, 30), (100, 60, 70), (40, 200, 1)])
def test_unrelated_views_of_few_rows_are_reported_under_any_ridge(shape, reg):
    """As without one: their training correlations are those of chance."""
    n, d_x, d_y = shape
    rng = np.random.default_rng(0)
    X, Y, y = rng.normal(size=(n, d_x)), rng.normal(size=(n, d_y)), np.arange(n) % 3
    batches = CCA(2 if d_y > 1 else 1, reg=reg)
    for model in (clone(batches).fit, *([] if reg == "auto" else [batches.partial_fit])):
        with pytest.warns(UserWarning, match=f"{n} rows.*training correlations.*`score`"):
            model(X, Y)
    if n <= max(d_x, d_y):
        with pytest.warns(UserWarning, match=f"{n} rows.*training correlations.*`score`"):
            ClusterCCA(1, reg=reg).fit(X, Y, y)


@pytest.mark.parametrize("reg", [0.01, 0.1, 1.0, 10.0, "auto"])
@pytest.mark.parametrize("data", [of_mice, lambda _: related(60, 600), lambda _: related(40, 30)])
def test_related_views_of_few_rows_are_not_reported_under_a_ridge(data, reg, data_home):
    X, Y, y = data(data_home)
    CCA(1, reg=reg).fit(X, Y)  # any warning would be an error
    ClusterCCA(1, reg=reg).fit(X, Y, y)


@pytest.mark.parametrize(("solver", "rank"), [("auto", 4), ("svd", 4), ("covariance", 3)])
def test_ranks_count_the_directions_that_are_dropped_under_a_ridge(solver, rank):
    """With 1e-18 of the variance a direction is rounding in the moments, but not in the data."""
    X, Y = two_views(1e9, d_x=4, seed=1)
    model = CCA(reg=1e-3, solver=solver).fit(X, Y)
    assert (model.n_components_, model.x_rank_, model.y_rank_) == (rank, rank, 4)
    model.fit(Y, X)
    assert (model.n_components_, model.x_rank_, model.y_rank_) == (rank, 4, rank)


def single(n_rows, *, distance, unit=1.0):
    """Return float32 views whose second feature is the first and a little of its own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 2)).astype(np.float32)
    Y = (X + rng.normal(size=(n_rows, 2))).astype(np.float32)
    X[:, 1] = X[:, 0] + distance * X[:, 1]
    return (unit * X).astype(np.float32), Y


@pytest.mark.parametrize(
    ("sample", "others", "unit"),
    [
        pytest.param(1e-4, 1e-4, 1.0, id="every row says so"),
        pytest.param(1.0, 1e-5, 1.0, id="only rows say so that no sample meets"),
        pytest.param(1.0, 1.0, 1e14, id="squares leave the range of float32"),
    ],
)
def test_float32_rows_that_products_in_float32_would_spoil(sample, others, unit):
    distance = np.full(200_000, others, dtype=np.float32)
    distance[:: len(distance) // 6] = sample
    X, Y = single(len(distance), distance=distance, unit=unit)
    wanted = CCA(2, solver="svd").fit(X.astype(float), Y.astype(float)).correlations_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        found = CCA(2).fit(X, Y).correlations_
    np.testing.assert_allclose(found, wanted, atol=1e-6)
