"""Seeded k-means: named clusters, an oracle loop for Lloyd's iterations; soft memberships."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.estimator_checks import check_estimator

from skcca.cluster import SeededKMeans, SoftMembership

CENTERS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
NAMES = np.array(["angry", "calm", "fun"])


# Rows of three clusters, their true classes, and three annotations a class (else -1).
truth = np.repeat([0, 1, 2], [50, 30, 40])
X = CENTERS[truth] + np.random.default_rng(3).normal(size=(120, 2))
y = np.where(np.isin(np.arange(120), [0, 1, 2, 50, 51, 52, 80, 81, 82]), truth, -1)


def lloyd(X, y, weights, max_iter=300):
    """K-means from the means of the annotated rows, written from the definition."""
    classes = np.unique(y[y >= 0])
    centers = np.array([np.average(X[y == c], axis=0, weights=weights[y == c]) for c in classes])
    for _ in range(max_iter):
        nearest = ((X[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
        centers = np.array(
            [
                np.average(X[nearest == k], axis=0, weights=weights[nearest == k])
                for k in range(len(classes))
            ]
        )
    nearest = ((X[:, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    return classes[nearest], centers, (weights * ((X - centers[nearest]) ** 2).sum(axis=1)).sum()


def test_estimator_checks():
    with warnings.catch_warnings():
        # The checks ask for fewer clusters than the classes they annotate, and annotate noise.
        warnings.simplefilter("ignore", UserWarning)
        results = check_estimator(SeededKMeans(), on_skip=None, on_fail=None)
    assert [r for r in results if r["status"] != "passed"] == []


@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_a_loop_from_the_definition(algorithm, weighted):
    weights = np.random.default_rng(0).uniform(0.2, 3, 120) if weighted else np.ones(120)
    labels, centers, inertia = lloyd(X, y, weights)
    model = SeededKMeans(algorithm=algorithm, tol=0).fit(X, y, weights)
    np.testing.assert_array_equal(model.labels_, labels)
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-12)
    assert model.inertia_ == pytest.approx(inertia, rel=1e-12)


def test_one_iteration_starts_from_the_annotated_means():
    # Heavily weighted by chance, one annotated row decides where its class starts.
    weights = np.random.default_rng(1).choice([1e-3, 1.0], size=120)
    for w in (np.ones(120), weights):
        model = SeededKMeans(max_iter=1).fit(X, y, w)
        _, centers, _ = lloyd(X, y, w, max_iter=1)
        np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-12)
        assert model.n_iter_ == 1


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_clusters_keep_the_annotated_classes(order):
    # Whatever names the classes have, a cluster is called as the rows that started it.
    renamed = np.where(y < 0, -1, np.array(order)[y])
    model = SeededKMeans().fit(X, renamed)
    assert (model.labels_ == np.array(order)[truth]).mean() > 0.9
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    np.testing.assert_array_equal(model.predict(CENTERS), order)
    np.testing.assert_array_equal(model.transform(X).argmin(axis=1), model.labels_)


def test_class_numbers_may_have_gaps():
    model = SeededKMeans().fit(X, np.where(y < 0, -1, 10 * y + 5))
    np.testing.assert_array_equal(model.classes_, [5, 15, 25])
    np.testing.assert_array_equal(model.labels_, 10 * SeededKMeans().fit(X, y).labels_ + 5)


def as_objects(names, known, marker):
    values = names.astype(object)
    values[~known] = marker
    return values


@pytest.mark.parametrize(
    "annotate",
    [
        lambda names, known: np.where(known, names, "-1"),
        lambda names, known: as_objects(names, known, -1),
        lambda names, known: as_objects(names, known, None),
        lambda names, known: as_objects(names, known, np.nan),
        lambda names, known: as_objects(names, known, None).tolist(),
    ],
)
def test_string_annotations_and_their_markers(annotate):
    expected = NAMES[SeededKMeans().fit(X, y).labels_]
    model = SeededKMeans().fit(X, annotate(NAMES[y], y >= 0))
    np.testing.assert_array_equal(model.classes_, NAMES)
    np.testing.assert_array_equal(model.labels_, expected)
    assert model.labels_.dtype.kind == "U"


def test_bool_annotations_are_two_classes():
    model = SeededKMeans().fit(X, truth == 1)
    np.testing.assert_array_equal(model.classes_, [False, True])


def test_further_clusters_find_what_nobody_annotated():
    for random_state in range(5):
        model = SeededKMeans(3, random_state=random_state).fit(X, np.where(y == 2, -1, y))
        np.testing.assert_array_equal(model.classes_, [0, 1, 2])
        assert (model.labels_ == truth).mean() > 0.9


@pytest.mark.parametrize("random_state", range(5))
def test_further_clusters_start_far_from_the_annotated_ones(random_state):
    # Two rows of 502: drawn by their distance they are certain, drawn at random they are not.
    X = np.append(np.random.default_rng(0).normal(size=500), [100.0, 100.0])[:, np.newaxis]
    y = np.where(np.arange(502) < 3, 0, -1)
    model = SeededKMeans(2, max_iter=1, random_state=random_state).fit(X, y)
    assert model.cluster_centers_[1, 0] == pytest.approx(100)


def test_further_clusters_beside_strings_get_free_names():
    names = np.array(["calm", "cluster0"])
    annotations = np.where((y == 0) | (y == 1), names[np.clip(y, 0, 1)], "-1")
    model = SeededKMeans(4, random_state=0).fit(X, annotations)
    np.testing.assert_array_equal(model.classes_, ["calm", "cluster0", "cluster1", "cluster2"])
    assert set(model.labels_) == set(model.classes_)


def test_without_annotations_it_is_kmeans():
    found = SeededKMeans(3, random_state=0).fit(X)
    expected = KMeans(3, n_init=20, random_state=0).fit(X)
    np.testing.assert_array_equal(found.classes_, [0, 1, 2])
    assert found.inertia_ == pytest.approx(expected.inertia_, rel=1e-3)


def test_integer_weights_equal_repeated_rows():
    weights = np.random.default_rng(1).integers(0, 4, 120)
    found = SeededKMeans(tol=0).fit(X, y, weights)
    repeated = SeededKMeans(tol=0).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(found.cluster_centers_, repeated.cluster_centers_, rtol=1e-12)
    assert found.inertia_ == pytest.approx(repeated.inertia_, rel=1e-12)
    assert found.score(X, sample_weight=weights) == pytest.approx(-found.inertia_, rel=1e-12)


def test_annotation_of_weight_zero_annotates_nothing():
    model = SeededKMeans().fit(X, y, np.where(y == 2, 0.0, 1.0))
    np.testing.assert_array_equal(model.classes_, [0, 1])


def test_sparse_and_dense_rows_agree():
    rows = np.where(np.abs(X) < 0.5, 0, X)
    dense = SeededKMeans(5, random_state=0).fit(rows, y)
    thin = SeededKMeans(5, random_state=0).fit(sparse.csr_array(rows), y)
    np.testing.assert_array_equal(thin.labels_, dense.labels_)
    np.testing.assert_allclose(thin.cluster_centers_, dense.cluster_centers_, rtol=1e-10)
    np.testing.assert_array_equal(thin.predict(sparse.csr_array(rows)), dense.labels_)


@pytest.mark.parametrize(("dtype", "offset"), [("f4", 0), ("f4", 1e4), ("f8", 0), ("f8", 1e8)])
def test_new_rows_are_predicted_in_their_dtype_and_far_from_the_origin(dtype, offset):
    rows = (X + offset).astype(dtype)
    model = SeededKMeans(5, random_state=0).fit(rows, y)
    assert model.cluster_centers_.dtype == model.transform(rows).dtype == dtype
    np.testing.assert_array_equal(model.predict(rows), model.labels_)
    np.testing.assert_allclose(model.score(rows), -model.inertia_, rtol=1e-3)


def test_class_that_loses_its_annotated_rows_is_reported():
    # The rows that annotate class 1 lie on either side of its mean, and near other classes.
    X = np.concatenate([np.linspace(0, 1, 5), np.linspace(9, 11, 10), np.linspace(17, 18, 5)])
    X = np.append(X, [4.0, 16.0])[:, np.newaxis]
    y = np.full(22, -1)
    y[[0, 19]], y[20:] = [0, 2], 1
    with pytest.warns(UserWarning, match="no annotated row of 1 is left"):
        model = SeededKMeans().fit(X, y)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    np.testing.assert_array_equal(np.bincount(model.labels_), [6, 10, 6])


def test_classes_with_the_same_annotations_do_not_vanish():
    X = np.array([[0.0], [0.0], [1.0], [1.0], [8.0], [9.0]])
    y = np.array([0, 1, -1, -1, -1, -1])
    with pytest.warns(UserWarning, match="no annotated row of [01] is left"):
        model = SeededKMeans().fit(X, y)
    np.testing.assert_array_equal(model.classes_, [0, 1])
    assert np.isfinite(model.cluster_centers_).all()


def test_fewer_distinct_rows_than_clusters_is_reported():
    X = np.repeat([[0.0], [1.0]], 3, axis=0)
    with pytest.warns(ConvergenceWarning, match="distinct clusters"):
        model = SeededKMeans(4, random_state=0).fit(X)
    np.testing.assert_array_equal(model.classes_, range(4))


def test_fit_predict_uses_the_annotations():
    model = SeededKMeans()
    np.testing.assert_array_equal(
        model.fit_predict(X, NAMES[y]), clone(model).fit(X, NAMES[y]).labels_
    )


def test_feature_names_out():
    pd = pytest.importorskip("pandas")
    model = (
        SeededKMeans().set_output(transform="pandas").fit(pd.DataFrame(X, columns=["a", "b"]), y)
    )
    columns = ["seededkmeans0", "seededkmeans1", "seededkmeans2"]
    assert model.transform(pd.DataFrame(X, columns=["a", "b"])).columns.tolist() == columns
    np.testing.assert_array_equal(model.feature_names_in_, ["a", "b"])


@pytest.mark.parametrize("bad", [["calm", 1], np.full(120, -1)], ids=["refused", "warned of"])
def test_a_refit_that_fails_leaves_the_clusters_as_they_were(bad):
    model = SeededKMeans().fit(X, y)
    before = dict(vars(model))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, UserWarning)):
            model.fit(np.hstack([X, X]), bad)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_labels_pair_classes():
    from skcca import ClusterCCA

    rng = np.random.default_rng(0)
    A, V = rng.normal(size=(2, 60, 3))
    names = SeededKMeans().fit_predict(
        A, np.where(np.arange(60) < 9, NAMES[np.arange(60) % 3], "-1")
    )
    np.testing.assert_array_equal(ClusterCCA().fit(A, V, names).classes_, NAMES)


def test_fewer_clusters_than_classes_warns_and_keeps_the_classes():
    with pytest.warns(UserWarning, match=r"`n_clusters`=2 but `y` annotates 3 classes"):
        model = SeededKMeans(2).fit(X, y)
    assert len(model.cluster_centers_) == 3


def test_no_annotated_row_warns():
    with pytest.warns(UserWarning, match="`y` annotates no row"):
        model = SeededKMeans(3, random_state=0).fit(X, np.full(120, -1))
    np.testing.assert_array_equal(model.labels_, SeededKMeans(3, random_state=0).fit(X).labels_)


# Soft memberships


def responsibilities(rows, centers, bandwidth):
    """Return those of a mixture of equal weights and one variance, by scikit-learn."""
    k = len(centers)
    mixture = GaussianMixture(k, covariance_type="spherical")
    mixture.weights_, mixture.means_ = np.full(k, 1 / k), np.asarray(centers)
    mixture.covariances_ = np.full(k, bandwidth**2)
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    return mixture.predict_proba(rows)


@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("scale", [True, False])
def test_memberships_are_those_of_a_mixture_around_the_centres(scale, offset):
    rows = X * [1, 3] + offset
    model = SoftMembership(3, scale=scale, random_state=0).fit(rows)
    std = rows.std(axis=0) if scale else np.ones(2)
    found, centers = model.transform(rows), model.centers_ / std
    nearest = ((rows[:, None] / std - centers) ** 2).sum(axis=2).min(axis=1)
    assert model.bandwidth_ == pytest.approx(np.sqrt(nearest.mean() / 2), rel=1e-6)
    expected = responsibilities((rows - offset) / std, centers - offset / std, model.bandwidth_)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    # As k-means has it, a centre is the mean of the rows that are nearest to it.
    for c, center in enumerate(model.centers_):
        np.testing.assert_allclose(rows[found.argmax(axis=1) == c].mean(axis=0), center, rtol=1e-6)


def test_centres_and_bandwidth_may_be_given():
    named = SeededKMeans().fit(X, y)
    model = SoftMembership(centers=named.cluster_centers_, scale=False, bandwidth=0.7).fit(X[:9])
    expected = responsibilities(X, named.cluster_centers_, 0.7)
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-12)
    np.testing.assert_array_equal(model.transform(X).argmax(axis=1), named.labels_)


def test_units_and_order_of_rows_do_not_matter():
    order = np.random.default_rng(0).permutation(120)
    expected = SoftMembership(3, random_state=0).fit(X).transform(X)
    found = SoftMembership(3, random_state=0).fit(X[order]).transform(X)
    np.testing.assert_array_equal(found, expected)
    unit = np.array([1e-9, 1e6])
    found = SoftMembership(3, random_state=0).fit(X * unit + unit).transform(X * unit + unit)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_rows_that_hold_nan_are_unknown():
    bare = X.copy()
    bare[3], bare[5, 1] = np.nan, np.nan
    known = ~np.isnan(bare).any(axis=1)
    model = SoftMembership(3, random_state=0).fit(bare)
    found = model.transform(bare)
    assert (found[[3, 5]] == 0).all()
    masked = SoftMembership(3, random_state=0).fit(np.ma.array(X, mask=np.isnan(bare)))
    np.testing.assert_array_equal(masked.transform(np.ma.masked_invalid(bare)), found)
    alone = SoftMembership(3, random_state=0).fit(bare[known])
    np.testing.assert_array_equal(found[known], alone.transform(bare[known]))
    weighted = SoftMembership(3, random_state=0).fit(X, sample_weight=1.0 * known)
    np.testing.assert_array_equal(weighted.transform(X), alone.transform(X))


def test_weights_of_rows_count_in_the_units_and_in_the_bandwidth():
    w = 1 + 8 * (X[:, 0] > np.median(X[:, 0]))
    model = SoftMembership(3, random_state=0).fit(X, sample_weight=w)
    mean = np.average(X, axis=0, weights=w)
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    scaled = ((X[:, None] - model.centers_) / std) ** 2
    nearest = scaled.sum(axis=2).min(axis=1)
    expected = np.sqrt(np.average(nearest, weights=w) / X.shape[1])
    assert model.bandwidth_ == pytest.approx(expected, rel=1e-10)


def test_memberships_far_from_all_centres_sum_to_one():
    model = SoftMembership(3, random_state=0, bandwidth=1e-200).fit(X)
    found = model.transform(np.vstack([X, 1e9 * X]))
    np.testing.assert_array_equal(np.unique(found), [0, 1])
    np.testing.assert_array_equal(found.sum(axis=1), 1)
    wide = SoftMembership(3, random_state=0, bandwidth=1e200).fit(X)
    np.testing.assert_allclose(wide.transform(X), 1 / 3)


def test_fewer_distinct_rows_than_classes_are_the_centres():
    rows = np.repeat([[0.0], [1.0], [np.nan]], 3, axis=0)
    with pytest.warns(UserWarning, match="`n_classes`=8, but there are 2 distinct rows"):
        model = SoftMembership().fit(rows)
    assert model.bandwidth_ == 0
    np.testing.assert_array_equal(model.transform(rows[::3]), [[1, 0], [0, 1], [0, 0]])


def test_memberships_have_names_and_the_dtype_of_the_rows():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.astype(np.float32), columns=["valence", "arousal"])
    model = SoftMembership(3, random_state=0).set_output(transform="pandas").fit(frame)
    found = model.transform(frame)
    assert found.columns.tolist() == [f"softmembership{i}" for i in range(3)]
    assert (found.dtypes == np.float32).all()
    before = dict(vars(model))
    with pytest.raises(ValueError, match="no row"):
        model.fit(frame * np.nan)
    assert vars(model) == before


def test_weights_of_rows_decide_which_of_them_share_a_centre():
    # Of rows of one weight, the two that lie near each other would share theirs.
    rows, weights = np.array([[0.0], [1.0], [3.0]]), [100.0, 100.0, 1.0]
    centers = SoftMembership(2, random_state=0).fit(rows, sample_weight=weights).centers_
    np.testing.assert_allclose(np.sort(centers[:, 0]), [0, 103 / 101])
