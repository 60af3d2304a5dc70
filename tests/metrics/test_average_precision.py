"""Average precision and curves: expectation over ties, oracles, chance."""

import numpy as np
import pytest
import torch
from _data import labelled_task, on_circle
from _oracles import best_first, mean_over_orders
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import average_precision_score

from skcca.metrics import (
    average_precision_scores,
    chance_map,
    mean_average_precision_score,
    retrieval_precision_recall,
)

TASK = labelled_task()
RNG_SEED = 7


def test_map_by_hand():
    # Query 0 ranks relevant, other, relevant: (1 + 2/3) / 2. Query 1 finds its only one second.
    queries, gallery = [[1, 0], [0, 1]], [[2, 0], [1, 1], [0, 1]]
    scores = average_precision_scores(queries, gallery, ["a", "b"], ["a", "b", "a"])
    np.testing.assert_allclose(scores, [5 / 6, 1 / 2], rtol=1e-15)
    mean = mean_average_precision_score(queries, gallery, ["a", "b"], ["a", "b", "a"])
    assert isinstance(mean, float)
    assert mean == pytest.approx(2 / 3, rel=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([-0.5, 0.0, 0.25, 1.0]), st.booleans()), min_size=2, max_size=7
    )
)
def test_ties_give_the_mean_over_all_orders(items):
    scores, relevant = np.array([s for s, _ in items]), np.array([r for _, r in items])
    if relevant.all() or not relevant.any():
        return
    found = average_precision_scores([[1, 0]], on_circle(scores), [True], relevant)[0]
    assert found == pytest.approx(mean_over_orders("map", scores, relevant), rel=1e-13)
    curve = retrieval_precision_recall([[1, 0]], on_circle(scores), [True], relevant)
    hits = np.mean([np.cumsum(relevant[order]) for order in best_first(scores)], axis=0)
    np.testing.assert_allclose(curve.precision, hits / curve.n_shown, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(curve.recall, hits / relevant.sum(), rtol=1e-13, atol=1e-15)


def test_multi_label_relevance_is_a_shared_tag():
    queries, gallery, _, _ = TASK
    rng = np.random.default_rng(RNG_SEED)
    query_tags, gallery_tags = rng.random((30, 6)) < 0.3, rng.random((90, 6)) < 0.3
    query_tags[0], query_tags[1:, 0] = False, True
    relevant = (query_tags[:, None, :] & gallery_tags[None, :, :]).any(axis=2)
    similarity = queries @ gallery.T / np.linalg.norm(gallery, axis=1)
    expected = [
        average_precision_score(mask, row) if mask.any() else np.nan
        for mask, row in zip(relevant, similarity, strict=True)
    ]
    for labels in (query_tags, query_tags.astype(float), sparse.csr_array(query_tags.astype(int))):
        with pytest.warns(UserWarning, match="1 of 30 queries"):
            found = average_precision_scores(queries, gallery, labels, gallery_tags)
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_order_of_the_gallery_never_matters():
    rng = np.random.default_rng(RNG_SEED)
    queries = rng.integers(-2, 3, size=(40, 3))
    gallery = rng.integers(-2, 3, size=(300, 3))  # many equal rows, multiples and zeros
    query_labels, gallery_labels = rng.integers(0, 3, 40), rng.integers(0, 3, 300)
    expected = average_precision_scores(queries, gallery, query_labels, gallery_labels)
    for _ in range(5):
        order = rng.permutation(300)
        found = average_precision_scores(
            queries, gallery[order], query_labels, gallery_labels[order]
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n_gallery", [7, 33, 100, 257])
def test_identical_items_tie_also_where_the_cosine_is_nearly_zero(n_gallery):
    # Orthogonal up to rounding: the products are of the size of float64's noise.
    rng = np.random.default_rng(n_gallery)
    rotation = np.linalg.qr(rng.normal(size=(37, 37)))[0]
    queries = rotation[:16]
    gallery = np.repeat(rotation[-1:], n_gallery, axis=0)
    relevant = np.arange(n_gallery) < 3
    found = average_precision_scores(queries, gallery, np.ones(16, dtype=bool), relevant)
    np.testing.assert_allclose(found, expected_of_random_order(n_gallery, 3), rtol=1e-12)


def expected_of_random_order(n, n_relevant):
    harmonic = (1 / np.arange(1, n + 1)).sum()
    return (harmonic + (n_relevant - 1) / (n - 1) * (n - harmonic)) / n


def test_scores_equal_in_float32_are_ties():
    gallery = on_circle([0.5, 0.5 + 1e-9, 0.1])
    found = average_precision_scores([[1, 0]], gallery, [1], [1, 0, 0])[0]
    assert found == pytest.approx((1 + 1 / 2) / 2, rel=1e-15)


@pytest.mark.parametrize(("size", "expected"), [(2.0**-44, 3 / 4), (2.0**-41, 1 / 2)])
def test_scores_around_zero_are_equal_on_a_grid(size, expected):
    # The relevant item is second, or tied with the first.
    gallery = on_circle([-size, size, -0.1])
    found = average_precision_scores([[1, 0]], gallery, [1], [1, 0, 0])
    np.testing.assert_allclose(found, [expected], rtol=1e-15)


def test_float64_rounding_of_collinear_rows_makes_no_difference():
    # 3 * row has another rounded norm than row: the same direction nevertheless.
    rng = np.random.default_rng(RNG_SEED)
    row = rng.normal(size=5)
    gallery = np.vstack([row, 3 * row, row / 7])
    found = average_precision_scores(rng.normal(size=(20, 5)), gallery, [1] * 20, [0, 1, 0])
    np.testing.assert_allclose(found, expected_of_random_order(3, 1), rtol=1e-13)


def test_zero_row_has_cosine_zero():
    # Similarities 1, 0 (the zero row), -1: the relevant zero row is second.
    found = average_precision_scores([[1, 0]], [[-1, 0], [0, 0], [3, 0]], [1], [0, 1, 0])
    np.testing.assert_allclose(found, [1 / 2])
    # A zero query ties with everything.
    found = average_precision_scores([[0, 0]], [[-1, 0], [0, 2], [3, 0]], [1], [0, 1, 0])
    np.testing.assert_allclose(found, expected_of_random_order(3, 1))


@pytest.mark.parametrize(
    ("query_labels", "gallery_labels", "reason"),
    [
        ([3, 4], [1, 2], "no query has a relevant item"),
        ([1, 1], [1, 1], "relevant to every query .a gallery of one class.*those between hold few"),
        ([1, 2], [1, 1], "1 of 2 queries have no relevant.* to the other 1 every item is"),
        ([[1, 0], [0, 1]], [[1, 1], [1, 1]], "gallery of one class"),
        ([[0, 0], [0, 0]], [[1, 1], [1, 1]], "no query has a relevant item"),
    ],
)
def test_nothing_to_measure_is_nan_and_a_warning(query_labels, gallery_labels, reason):
    X = np.eye(2)
    with pytest.warns(UserWarning, match=reason):
        assert np.isnan(mean_average_precision_score(X, X, query_labels, gallery_labels))
    with pytest.warns(UserWarning, match=reason):
        assert np.isnan(average_precision_scores(X, X, query_labels, gallery_labels)).all()
    with pytest.warns(UserWarning, match=reason):
        curve = retrieval_precision_recall(X, X, query_labels, gallery_labels)
    assert np.isnan(curve.precision).all()
    assert np.isnan(curve.recall).all()


def test_chance_by_hand():
    assert chance_map([0, 0, 0, 1]) == pytest.approx((3 / 4) ** 2 + (1 / 4) ** 2)
    assert chance_map(["a", "b"], ["b", "b", "c", "a"]) == pytest.approx(1 / 2 / 4 + 1 / 2 / 2)
    assert chance_map([1, 1, 1]) == 1.0
    assert chance_map([5], [6]) == 0.0


def test_chance_of_tags_is_the_share_of_pairs_with_a_tag_in_common():
    rng = np.random.default_rng(RNG_SEED)
    query_tags, gallery_tags = rng.random((20, 5)) < 0.2, rng.random((30, 5)) < 0.4
    shared = (query_tags.astype(int) @ gallery_tags.T) > 0
    assert chance_map(query_tags, gallery_tags) == pytest.approx(shared.mean())
    assert chance_map(np.eye(3)[[0, 0, 1, 2]]) == pytest.approx(chance_map([0, 0, 1, 2]))


def test_curve_by_hand():
    # The list of the only query is relevant, other, relevant, other.
    gallery = [[4, 1], [3, 1], [2, 1], [1, 1]]
    curve = retrieval_precision_recall([[1, 0]], gallery, [1], [1, 0, 1, 0])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1, 1])
    np.testing.assert_array_equal(curve.n_shown, [1, 2, 3, 4])


def test_curve_ends_at_chance_and_full_recall():
    curve = retrieval_precision_recall(*TASK)
    assert curve.recall[-1] == pytest.approx(1.0)
    assert curve.precision[-1] == pytest.approx(chance_map(*TASK[2:]))
    assert (np.diff(curve.recall) >= 0).all()


def test_curve_points_are_those_of_the_full_curve():
    full = retrieval_precision_recall(*TASK)
    for n_points, n_found in ((1, 1), (5, 5), (1000, 90)):
        curve = retrieval_precision_recall(*TASK, n_points=n_points)
        assert len(curve.n_shown) == n_found
        assert curve.n_shown[0] == 1
        np.testing.assert_array_equal(curve.precision, full.precision[curve.n_shown - 1])
        np.testing.assert_array_equal(curve.recall, full.recall[curve.n_shown - 1])
    assert retrieval_precision_recall(*TASK, n_points=5).n_shown[-1] == 90


def test_denormal_numbers_that_torch_flushes_change_nothing():
    rng = np.random.default_rng(0)
    queries = np.hstack([np.ones((50, 1)), 1e-7 * rng.normal(size=(50, 2))])
    gallery = np.hstack([np.zeros((300, 1)), rng.normal(size=(300, 2))])
    labels = np.arange(50) % 3, np.arange(300) % 3
    expected = average_precision_scores(queries, gallery, *labels)
    try:
        torch.set_flush_denormal(True)
        found = average_precision_scores(queries, gallery, *labels)
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(found, expected)
