"""SparseCCA and SparseClusterCCA: optimality, dense limits, brute force, pairs, supports, peers.

What changes no answer, and what every answer is, stands in test_laws.py.
"""

import tracemalloc

import numpy as np
import pytest
from _data import counts, make_tags, two_views
from _oracles import assert_equals_pairs, pair_weights
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcca import SparseCCA, SparseClusterCCA
from skcca._core.rows import SparseRows, rows_of
from skcca.sparse_cca import Constraint, sparse_maximiser

EXACT = {"tol": 1e-13, "max_iter": 10_000}
DEFLATIONS = pytest.mark.parametrize("deflation", ["projection", "hotelling"])
# More rows than features, and fewer.
ROUTES = {"covariance": (80, 12, 9), "dual": (25, 60, 50)}
routes = pytest.mark.parametrize("solver", ROUTES)


def planted(n, p, q, kx, ky, *, strength=1.0, seed=0):
    """Return views that share one source in their first features."""
    rng = np.random.default_rng(seed)
    X, Y, z = rng.normal(size=(n, p)), rng.normal(size=(n, q)), rng.normal(size=(n, 1))
    X[:, :kx] += strength * z
    Y[:, :ky] += strength * z
    return X, Y


def standardised(V):
    return (V - V.mean(axis=0)) / V.std(axis=0)


def largest(g, bound):
    """Return the maximum of g'u over |u|_2 <= 1 and |u|_1 <= bound, by its dual problem."""

    def dual(level):
        return np.linalg.norm(np.maximum(np.abs(g) - level, 0)) + bound * level

    top = np.abs(g).max()
    return optimize.minimize_scalar(dual, bounds=(0, top), options={"xatol": 1e-12 * top}).fun


def assert_optimal(u, g, bound, atol=1e-8):
    """The conditions of Karush, Kuhn and Tucker: g = a u + b sign(u), and |g| <= b elsewhere."""
    chosen, norm = u != 0, np.abs(u).sum()
    assert norm <= bound * (1 + 1e-12)
    assert np.linalg.norm(u) == pytest.approx(1, abs=1e-12)
    design = np.column_stack([np.abs(u[chosen]), np.ones(chosen.sum())])
    active = norm > bound - 1e-9
    design = design if active else design[:, :1]
    a, *b = np.linalg.lstsq(design, g[chosen] * np.sign(u[chosen]), rcond=None)[0]
    np.testing.assert_allclose(g[chosen] * np.sign(u[chosen]), design @ [a, *b], atol=atol)
    level = b[0] if active else 0.0
    assert a > 0
    assert level >= -atol
    assert np.abs(g[~chosen]).max(initial=0.0) <= level + atol


def as_found(model, X, Y, k):
    """Return sparse vectors, variates and values in the order in which they were found."""
    known = []
    for i in range(1, k + 1):
        fitted = clone(model).set_params(n_components=i).fit(X, Y)
        left = [c for c in range(i) if not any(same(fitted, c, *seen) for seen in known)]
        known.append((fitted, left[0]))
    assert (np.diff(fitted.correlations_) <= 0).all()
    U, V = fitted.transform(X, Y)
    order = [next(c for c in range(k) if same(fitted, c, *seen)) for seen in known]
    u, v = fitted.x_directions_[:, order], fitted.y_directions_[:, order]
    return u, v, U[:, order], V[:, order], fitted.singular_values_[order], fitted.solver_


def same(a, i, b, j):
    return abs(a.x_directions_[:, i] @ b.x_directions_[:, j]) > 1 - 1e-6


# Half of a sweep


@pytest.mark.parametrize("bound", [1.0, 1.2, 2.0, 4.5, 7.0])
def test_half_a_sweep_attains_the_dual_bound(bound):
    for seed in range(5):
        g = np.random.default_rng(seed).standard_cauchy(50)
        u = sparse_maximiser(g, Constraint(bound))
        assert u @ g == pytest.approx(largest(g, bound), rel=1e-9)
        assert np.abs(u).sum() == pytest.approx(min(bound, np.abs(g).sum() / np.linalg.norm(g)))
        h = np.maximum(g, 0)
        positive = sparse_maximiser(g, Constraint(bound, True))
        assert (positive >= 0).all()
        assert positive @ g == pytest.approx(largest(h, bound), rel=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1e-15])
def test_features_that_are_equally_good_share_the_bound(noise):
    g = np.array([3.0, -3.0 * (1 + noise), 3.0, 1.0, 0.0])
    u = sparse_maximiser(g, Constraint(1.5))
    np.testing.assert_allclose(u, [0.5, -0.5, 0.5, 0, 0], atol=1e-12)


# Components


@routes
@DEFLATIONS
@pytest.mark.parametrize("penalties", [(0.35, 0.5), (0.6, 1.0)])
def test_components_are_stationary_on_what_is_left(penalties, deflation, solver):
    n, p, q = ROUTES[solver]
    X, Y = planted(n, p, q, 4, 3, strength=2.0)
    bounds = np.maximum(1, np.multiply(penalties, np.sqrt([p, q])))
    settings = dict(zip(("x_penalty", "y_penalty"), penalties, strict=True), **EXACT)
    u, v, U, V, values, used = as_found(SparseCCA(deflation=deflation, **settings), X, Y, 3)
    assert used == solver
    A, B = standardised(X), standardised(Y)
    S = A.T @ B / n
    for k in range(3):
        if deflation == "projection":
            # The variates before are taken out of the rows.
            S = (A - U[:, :k] @ (U[:, :k].T @ A / n)).T @ (B - V[:, :k] @ (V[:, :k].T @ B / n)) / n
        assert u[:, k] @ S @ v[:, k] == pytest.approx(values[k], abs=1e-9)
        sign = np.sign(values[k])
        assert_optimal(u[:, k], sign * (S @ v[:, k]), bounds[0])
        assert_optimal(v[:, k], sign * (u[:, k] @ S), bounds[1])
        if deflation == "hotelling":
            S = S - values[k] * np.outer(u[:, k], v[:, k])


@routes
def test_without_penalties_components_are_singular_vectors(solver):
    n, p, q = ROUTES[solver]
    X, Y = planted(n, p, q, 4, 3)
    penalties = {"x_penalty": 1.0, "y_penalty": 1.0, "deflation": "hotelling"}
    model = SparseCCA(3, **penalties, **EXACT).fit(X, Y)
    U, s, Vt = np.linalg.svd(standardised(X).T @ standardised(Y) / n)
    order = np.argsort(-model.singular_values_)
    np.testing.assert_allclose(model.singular_values_[order], s[:3], rtol=1e-10)
    # They are where the sweeps begin.
    assert SparseCCA(3, **penalties).fit(X, Y).n_iter_.max() == 1
    for k, c in enumerate(order):
        assert abs(U[:, k] @ model.x_directions_[:, c]) == pytest.approx(1, abs=1e-9)
        assert abs(Vt[k] @ model.y_directions_[:, c]) == pytest.approx(1, abs=1e-9)


def test_hotelling_components_correlate_positively_through_those_before():
    X, Y = planted(80, 12, 9, 4, 3, strength=2.0)
    settings = {"x_penalty": 0.5, "y_penalty": 0.5, "deflation": "hotelling"}
    u, v, U, V, values, _ = as_found(SparseCCA(**settings, **EXACT), X, Y, 6)
    assert (values < 0).any()
    assert ((U * V).sum(axis=0) > 0).all()
    S = standardised(X).T @ standardised(Y) / 80
    for k in range(6):
        left = S - (u[:, :k] * values[:k]) @ v[:, :k].T
        assert u[:, k] @ left @ v[:, k] == pytest.approx(values[k], abs=1e-9)


@pytest.mark.parametrize(("positive", "least"), [(False, 19), (True, 18)])
def test_no_feasible_pair_is_better_by_brute_force(positive, least):
    bounds = 0.75 * np.sqrt([3, 5])
    grid = np.meshgrid(np.linspace(0, np.pi, 61), np.linspace(0, 2 * np.pi, 121))
    a, b = (angles.ravel() for angles in grid)
    sphere = np.column_stack([np.cos(a), np.sin(a) * np.cos(b), np.sin(a) * np.sin(b)])
    U = np.array([sparse_maximiser(g, Constraint(bounds[0], positive)) for g in sphere])
    levels = np.linspace(0, 1, 61)[:, None, None]
    reached = 0
    for seed in range(20):
        X, Y, _ = two_views(30, 3, 5, seed=seed)
        H = U @ standardised(X).T @ standardised(Y) / 30
        H = np.maximum(H, 0) if positive else np.abs(H)
        level = levels * H.max(axis=1, keepdims=True)
        dual = np.linalg.norm(np.maximum(H - level, 0), axis=2) + bounds[1] * level[:, :, 0]
        highest = dual.min(axis=0).max()
        model = SparseCCA(x_penalty=0.75, y_penalty=0.75, positive=positive, **EXACT)
        found = model.fit(X, Y).singular_values_[0]
        assert found <= highest * (1 + 1e-3)
        reached += found >= highest * (1 - 3e-3)
    # The problem is not convex, and once in a while the sweeps end on another hill.
    assert reached >= least


def test_leaps_lose_nothing_of_what_plain_sweeps_find():
    for seed in range(24, 28):
        X, Y = planted(40, 30, 25, 1, 1, strength=0.0, seed=seed)
        S = standardised(X).T @ standardised(Y) / 40
        u, _, vt = np.linalg.svd(S)
        bounds, plain = [Constraint(0.7 * np.sqrt(d)) for d in (30, 25)], []
        for M, v, (own, other) in ((S, vt[0], bounds), (S.T, u[:, 0], bounds[::-1])):
            for _ in range(300):
                v = sparse_maximiser(sparse_maximiser(M @ v, own) @ M, other)
            plain.append(sparse_maximiser(M @ v, own) @ M @ v)
        model = SparseCCA(x_penalty=0.7, y_penalty=0.7, **EXACT).fit(X, Y)
        assert model.singular_values_[0] >= max(plain) - 1e-9


def test_the_sparsest_pair_is_that_of_the_largest_correlation():
    X, Y = planted(40, 30, 20, 2, 2)
    model = SparseCCA(x_penalty=1e-3, y_penalty=1e-3).fit(X, Y)
    R = np.corrcoef(X.T, Y.T)[:30, 30:]
    i, j = np.unravel_index(np.abs(R).argmax(), R.shape)
    assert model.n_nonzero_.tolist() == [[1], [1]]
    assert model.x_selected_[i, 0]
    assert model.y_selected_[j, 0]
    assert model.correlations_[0] == pytest.approx(np.abs(R).max())


@routes
def test_projection_leaves_variates_uncorrelated_and_hotelling_weights_sparse(solver):
    X, Y = planted(*ROUTES[solver], 4, 3)
    settings = {"x_penalty": 0.5, "y_penalty": 0.4}
    model = SparseCCA(4, **settings).fit(X, Y)
    for Z in model.transform(X, Y):
        np.testing.assert_allclose(Z.T @ Z / len(Z), np.eye(4), atol=1e-10)
    model = SparseCCA(4, deflation="hotelling", **settings).fit(X, Y)
    for weights, std, directions, selected in (
        (model.x_weights_, model.x_std_, model.x_directions_, model.x_selected_),
        (model.y_weights_, model.y_std_, model.y_directions_, model.y_selected_),
    ):
        np.testing.assert_array_equal(weights != 0, selected)
        ratio = (weights * std[:, None] * directions).sum(axis=0)
        np.testing.assert_allclose(weights * std[:, None], directions * ratio, atol=1e-12)
    assert model.n_nonzero_.tolist() == [
        model.x_selected_.sum(0).tolist(),
        selected.sum(0).tolist(),
    ]


@pytest.mark.parametrize("positive", [True, (True, False), (False, True)])
@DEFLATIONS
def test_positive_weights_have_no_other_sign(positive, deflation):
    signs = positive if isinstance(positive, tuple) else (positive, positive)
    options = {"x_penalty": 0.4, "y_penalty": 0.4, "deflation": deflation, "positive": positive}
    for seed in range(6):
        X, Y = planted(60, 30, 25, 4, 3, seed=seed)
        Y[:, 1] *= -1
        model = SparseCCA(2, **options).fit(X, Y)
        for held, directions in zip(signs, (model.x_directions_, model.y_directions_), strict=True):
            assert (directions >= 0).all() == held
        assert (model.correlations_ > 0).all()
        first = model.singular_values_.argmax()
        assert model.x_selected_[:4, first].all()
        assert model.y_selected_[:3, first].tolist() == [True, not signs[1], True]


def test_signs_that_no_direction_has_are_named():
    z = np.random.default_rng(0).normal(size=(30, 1))
    with pytest.raises(ValueError, match="the signs that `positive` asks for"):
        SparseCCA(positive=True).fit(z, -z)
    assert SparseCCA(positive=(True, False)).fit(z, -z).y_directions_ == -1


def test_a_negated_feature_has_the_negated_weight():
    X, Y = planted(30, 40, 35, 4, 3)
    signs = np.where(np.arange(40) % 3 == 0, -1.0, 1.0)
    a, b = (SparseCCA(2, **EXACT).fit(V, Y) for V in (X, X * signs))
    agree = np.sign((b.x_directions_ * signs[:, None] * a.x_directions_).sum(axis=0))
    np.testing.assert_allclose(b.x_directions_ * signs[:, None] * agree, a.x_directions_, atol=1e-9)
    np.testing.assert_allclose(b.correlations_, a.correlations_)


@DEFLATIONS
@pytest.mark.parametrize("scale", [True, False])
def test_few_rows_and_many_repeated_rows_give_the_same(scale, deflation):
    X, Y = planted(15, 40, 30, 4, 3)
    model = SparseCCA(3, deflation=deflation, scale=scale, **EXACT)
    few = model.fit(X, Y)
    loadings, correlations, scores = few.x_loadings_, few.correlations_, few.transform(X, Y)
    assert few.solver_ == "dual"
    many = model.fit(np.tile(X, (6, 1)), np.tile(Y, (6, 1)))
    assert many.solver_ == "covariance"
    np.testing.assert_allclose(many.correlations_, correlations, atol=1e-10)
    np.testing.assert_allclose(many.x_loadings_, loadings, atol=1e-8)
    for Z, W in zip(many.transform(X, Y), scores, strict=True):
        np.testing.assert_allclose(Z, W, atol=1e-8)


# Pairs and kinds of rows


@pytest.mark.parametrize("shape", [(5, 4), (120, 90)])
@pytest.mark.parametrize(
    "rule", [{}, {"pair_weight": "row"}, {"instance_weight": 0.3}], ids=lambda rule: "".join(rule)
)
@pytest.mark.parametrize("kind", ["classes", "tags", "memberships"])
def test_class_pairs_equal_materialised_pairs(kind, rule, shape):
    X, Y, y = two_views(40, *shape)
    rng = np.random.default_rng(1)
    labels = {"classes": y, "tags": make_tags(40), "memberships": rng.dirichlet(np.ones(3), 40)}
    tags = np.eye(3)[y] if kind == "classes" else labels[kind]
    w = rng.uniform(0.2, 1, 40)
    options = {"x_penalty": 0.6, "y_penalty": 0.6, **EXACT}
    model = SparseClusterCCA(2, **rule, **options).fit(X, Y, labels[kind], sample_weight=w)
    W = pair_weights(tags, tags, w, w, **rule)
    assert_equals_pairs(model, SparseCCA(**options), W, X, Y, atol=1e-8)


@pytest.mark.parametrize("shape", [(5, 4), (120, 90)])
def test_unpaired_class_sets_equal_materialised_pairs(shape):
    X, Y, y = two_views(40, *shape)
    rows = np.random.default_rng(0).permutation(40)[:25]
    options = {"x_penalty": 0.6, "y_penalty": 0.6, **EXACT}
    model = SparseClusterCCA(2, **options).fit(X, Y[rows], labels=(y, y[rows]))
    W = pair_weights(np.eye(3)[y], np.eye(3)[y[rows]], np.ones(40), np.ones(25))
    assert_equals_pairs(model, SparseCCA(**options), W, X, Y[rows], atol=1e-8)


def test_components_beyond_the_classes_select_other_features():
    X, Y, y = two_views(60, 20, 15, n_classes=2)
    model = SparseClusterCCA(3, x_penalty=0.4, y_penalty=0.4).fit(X, Y, y)
    assert model.n_components_ == 3
    with pytest.warns(UserWarning, match="the data support 4; further"):
        SparseClusterCCA(9, x_penalty=0.9, y_penalty=0.9).fit(X, Y[:, :4], y)
    whole = SparseClusterCCA(3, x_penalty=1.0, y_penalty=1.0, deflation="hotelling")
    with pytest.warns(UserWarning, match="the data support 1"):
        assert whole.fit(X, Y, y).n_components_ == 1


@pytest.mark.parametrize("shape", [(500, 30, 20), (120, 900, 700)])
@pytest.mark.parametrize("density", [0.02, 0.4])
def test_sparse_views_equal_dense_ones(density, shape):
    n, p, q = shape
    y = np.random.default_rng(0).integers(0, 4, n)
    X, Y = counts(1, p, density, y), counts(2, q, density, y)
    Y[:, :5] += X[:, :5]
    varying = [np.ptp(V, axis=0) > 0 for V in (X, Y)]
    X, Y = (V[:, chosen] for V, chosen in zip((X, Y), varying, strict=True))
    assert isinstance(rows_of(sparse.csr_array(X)), SparseRows) == (density < 0.1)
    for model in (SparseCCA(2, **EXACT), SparseClusterCCA(2, instance_weight=0.3, **EXACT)):
        dense = model.fit(X, Y, y)
        expected = dense.correlations_, dense.x_loadings_, dense.y_weights_
        for views in ((sparse.csr_array(X), sparse.csc_array(Y)), (X, sparse.coo_array(Y))):
            found = model.fit(*views, y)
            np.testing.assert_allclose(found.correlations_, expected[0], atol=1e-9)
            np.testing.assert_allclose(found.x_loadings_, expected[1], atol=1e-7)
            np.testing.assert_allclose(found.y_weights_, expected[2], atol=1e-7)
            whole = clone(model).set_params(x_penalty=1.0, y_penalty=1.0, tol=1e-6)
            assert whole.fit(*views, y).n_iter_.max() == 1


@pytest.mark.parametrize(
    ("kind", "n", "views"), [("dense", 50, 3.0), ("thin", 800, 0.4)], ids=["dense", "thin"]
)
@pytest.mark.parametrize("model", [SparseCCA(max_iter=5), SparseClusterCCA(max_iter=5)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_few_rows_need_the_memory_of_the_views(model, kind, n, views):
    """The cross-moment would take a hundred times as much; of thin views a block is made dense."""
    rng = np.random.default_rng(0)
    X, Y = (
        sparse.csr_array(sparse.random(n, d, density=0.01, random_state=rng))
        for d in (30_000, 20_000)
    )
    X, Y = (X.toarray(), Y.toarray()) if kind == "dense" else (X, Y)
    y = np.arange(n) % 3
    tracemalloc.start()
    model.fit(X, Y, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < views * n * 50_000 * 8


# What it finds


def test_a_planted_support_is_found():
    X, Y = planted(120, 300, 200, 10, 8)
    model = SparseCCA(x_penalty=0.17, y_penalty=0.18).fit(X[:100], Y[:100])
    for selected, k in ((model.x_selected_[:, 0], 10), (model.y_selected_[:, 0], 8)):
        assert selected[:k].all()
        assert selected.sum() <= 1.5 * k
    assert model.score(X[100:], Y[100:]) > 0.8


def test_a_search_by_score_finds_sparse_penalties():
    X, Y = planted(60, 100, 80, 5, 4)
    grid = [{"x_penalty": [c], "y_penalty": [c]} for c in (0.05, 0.25, 1.0)]
    search = GridSearchCV(SparseCCA(), grid, cv=4).fit(X, Y)
    assert search.best_params_ == {"x_penalty": 0.25, "y_penalty": 0.25}


def test_noise_correlates_in_training_rows_alone():
    scores = []
    for seed in range(20):
        X, Y = planted(100, 80, 60, 1, 1, strength=0.0, seed=seed)
        model = SparseCCA().fit(X[:50], Y[:50])
        assert model.correlations_[0] > 0.5
        scores.append(model.score(X[50:], Y[50:]))
    # Correlations of 50 unrelated rows spread by 1 / 7.
    assert abs(np.mean(scores)) < 3 / 7 / np.sqrt(20)
    assert np.std(scores) == pytest.approx(1 / 7, rel=0.5)


def test_more_than_the_data_support_warns():
    X, Y = planted(30, 6, 4, 2, 2)
    with pytest.warns(UserWarning, match="`n_components`=9, but the data support 4"):
        model = SparseCCA(9, x_penalty=0.8, y_penalty=0.8).fit(X, Y)
    assert SparseCCA(None, x_penalty=0.8, y_penalty=0.8).fit(X, Y).n_components_ == 4
    assert (np.diff(model.correlations_) <= 0).all()


def test_what_has_not_converged_is_counted():
    X, Y = planted(25, 60, 50, 1, 1, strength=0.0)
    with pytest.warns(ConvergenceWarning, match=r"2 of 2 components .*`max_iter`=2 sweeps"):
        model = SparseCCA(2, max_iter=2).fit(X, Y)
    assert model.n_iter_.tolist() == [2, 2]
    assert (SparseCCA(2).fit(X, Y).n_iter_ > 2).all()


# Other libraries


def test_agrees_with_sparsecca():
    """Theirs divides by n - 1, and halves the interval of a level until it is 1e-6 wide."""
    peer = pytest.importorskip("sparsecca", reason="sparsecca is not installed")
    X, Y = planted(60, 40, 30, 5, 4)
    u, v, _ = peer.cca_pmd(X.copy(), Y.copy(), 0.3, 0.4, K=1, niter=1000)
    model = SparseCCA(x_penalty=0.3, y_penalty=0.4, **EXACT).fit(X, Y)
    assert abs(u[:, 0] @ model.x_directions_[:, 0]) == pytest.approx(1, abs=1e-6)
    assert abs(v[:, 0] @ model.y_directions_[:, 0]) == pytest.approx(1, abs=1e-6)


def test_agrees_with_cca_zoo():
    """Theirs does not standardise, and takes the variates out of the rows as "projection" does."""
    peer = pytest.importorskip("cca_zoo.sparse", reason="cca-zoo is not installed")
    X, Y = map(standardised, planted(60, 40, 30, 5, 4))
    theirs = peer.PMDCCA(2, l1_bound=[0.3, 0.4], tol=1e-12, random_state=0).fit([X, Y])
    model = SparseCCA(2, x_penalty=0.3, y_penalty=0.4, **EXACT).fit(X, Y)
    for Z, W in zip(theirs.transform([X, Y]), model.transform(X, Y), strict=True):
        overlap = np.abs(np.corrcoef(Z.T, W.T)[:2, 2:])
        np.testing.assert_allclose(np.sort(overlap.max(axis=0)), 1, atol=1e-6)
