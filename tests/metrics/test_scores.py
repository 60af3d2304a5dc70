"""Every measure: another library, all orders of ties, a sort in plain Python, and every refusal."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from _data import labelled_task, on_circle
from _oracles import mean_over_orders, of_order, similarity
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.metrics import ndcg_score
from threadpoolctl import threadpool_limits
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_hit_rate,
    retrieval_normalized_dcg,
    retrieval_precision,
    retrieval_r_precision,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from skcca.metrics import (
    _ranking,
    average_precision_scores,
    chance_map,
    chance_score,
    interpolated_precision,
    mean_average_precision_score,
    retrieval_precision_recall,
    retrieval_report,
    retrieval_score,
    retrieval_scores,
)
from skcca.metrics._preparation import ArgumentNames, Rules, prepare
from skcca.metrics._ranking import evaluate

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TASK = labelled_task()
MEASURES = (
    "map", "map@3", "precision@2", "recall@3", "hit_rate@2", "ndcg", "ndcg@3", "mrr", "mrr@2",
    "r_precision", "mean_rank",
)  # fmt: skip


ITEMS = st.lists(
    st.tuples(st.sampled_from([-0.5, 0.0, 0.25, 1.0]), st.sampled_from([0, 0, 1, 2])),
    min_size=4,
    max_size=7,
).filter(lambda items: any(g for _, g in items) and not all(g for _, g in items))


@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=20)
@given(items=ITEMS)
def test_ties_give_the_mean_over_all_orders(measure, items):
    scores, gains = (np.array(part) for part in zip(*items, strict=True))
    relevant = gains > 0
    found = retrieval_scores([[1, 0]], on_circle(scores), [True], relevant, measure=measure)
    assert found[0] == pytest.approx(mean_over_orders(measure, scores, relevant), rel=1e-12)


@pytest.mark.parametrize("measure", ["ndcg", "ndcg@3", "map", "recall@3"])
@settings(max_examples=20)
@given(items=ITEMS)
def test_given_gains_are_what_ndcg_adds_up(measure, items):
    scores, gains = (np.array(part) for part in zip(*items, strict=True))
    found = retrieval_scores([[1, 0]], on_circle(scores), relevance=gains[None], measure=measure)
    expected = mean_over_orders(measure, scores, gains > 0, gains)
    assert found[0] == pytest.approx(expected, rel=1e-12)


def test_average_precision_at_k_is_of_the_relevant_items_that_k_could_hold():
    ranked = on_circle([0.9, 0.8, 0.7, 0.6, 0.5])
    for relevant, expected in (
        ([1, 0, 1, 1, 1], (1 + 2 / 3) / 3),  # the best three would all be relevant
        ([1, 0, 0, 0, 1], 1 / 2),
        ([0, 0, 0, 1, 1], 0.0),
    ):
        found = retrieval_score([[1, 0]], ranked, [1], relevant, measure="map@3")
        assert found == pytest.approx(expected, rel=1e-14)


PEERS = {
    "map": (retrieval_average_precision, None),
    "precision@7": (retrieval_precision, 7),
    "recall@7": (retrieval_recall, 7),
    "hit_rate@2": (retrieval_hit_rate, 2),
    "mrr": (retrieval_reciprocal_rank, None),
    "mrr@4": (retrieval_reciprocal_rank, 4),
    "r_precision": (retrieval_r_precision, None),
    "ndcg": (retrieval_normalized_dcg, None),
    "ndcg@9": (retrieval_normalized_dcg, 9),
}


@pytest.mark.parametrize("measure", PEERS)
def test_matches_torchmetrics_without_ties(measure):
    queries, gallery, query_labels, gallery_labels = TASK
    cosines = queries @ gallery.T / np.linalg.norm(gallery, axis=1)
    function, k = PEERS[measure]
    limit = {} if k is None else {"top_k": k}
    expected = [
        float(function(torch.tensor(row + 9), torch.tensor(gallery_labels == label), **limit))
        for row, label in zip(cosines, query_labels, strict=True)
    ]
    found = retrieval_scores(*TASK, measure=measure)
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # it has float32, and no scores below 0


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.parametrize("k", [None, 5, 90])
def test_graded_ndcg_matches_sklearn_with_ties(k, least):
    rng = np.random.default_rng(5)
    queries, gallery = np.eye(3), rng.integers(-1, 2, size=(90, 3))
    gains = rng.integers(least, 4, size=(3, 90))
    norms = np.linalg.norm(gallery, axis=1)
    cosines = gallery.T / np.where(norms > 0, norms, 1)
    expected = [ndcg_score([g], [c], k=k) for g, c in zip(gains, cosines, strict=True)]
    name = "ndcg" if k is None else f"ndcg@{k}"
    found = retrieval_scores(queries, gallery, relevance=gains, measure=name)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_tags_are_graded_by_number_or_jaccard_index():
    rng = np.random.default_rng(6)
    queries, gallery = rng.normal(size=(8, 3)), rng.normal(size=(40, 3))
    x_tags, y_tags = rng.random((8, 5)) < 0.5, rng.random((40, 5)) < 0.4
    x_tags[:, 0], y_tags[0] = True, False
    shared = x_tags.astype(int) @ y_tags.T.astype(int)
    either = (x_tags[:, None] | y_tags[None]).sum(axis=2)
    for grade, gains in (("count", shared), ("jaccard", shared / either), ("shared", shared > 0)):
        found, expected = (
            retrieval_scores(queries, gallery, *labels, measure="ndcg@10", relevance=relevance)
            for labels, relevance in (((x_tags, y_tags), grade), ((), gains))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_gains_alone_order_items_that_are_all_relevant(exclude_self):
    """By other measures any ranking is perfect, in scores, reports and chance alike."""
    rng = np.random.default_rng(6)
    X, Y, tags = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.random((9, 4)) < 0.5
    tags[:, 0] = True
    gains, rules = tags.astype(int) @ tags.T.astype(int), {"exclude_self": exclude_self}
    others = [np.arange(9) != i if exclude_self else slice(None) for i in range(9)]

    def ndcg(scores):
        return np.mean(
            [ndcg_score([g[o]], [s[o]]) for g, s, o in zip(gains, scores, others, strict=True)]
        )

    rankings = {"x_to_y": X @ Y.T, "y_to_x": Y @ X.T}
    rankings |= {f"chance {direction}": np.zeros((9, 9)) for direction in rankings}
    rules |= {"relevance": "count"}
    with pytest.warns(UserWarning, match="any ranking is perfect by map, recall@2: nan"):
        report = retrieval_report(
            X, Y, tags, metric="inner_product", measures=["map", "ndcg", "recall@2"], **rules
        )
    assert {name: row["ndcg"] for name, row in report.items()} == pytest.approx(
        {name: ndcg(scores) for name, scores in rankings.items()}
    )
    assert all(np.isnan([row["map"], row["recall@2"]]).all() for row in report.values())
    assert chance_score(tags, measure="ndcg", **rules) == pytest.approx(ndcg(np.zeros((9, 9))))
    with pytest.warns(UserWarning, match="any ranking is perfect by map: nan"):
        assert np.isnan(retrieval_score(X, Y, tags, **rules))
    with pytest.warns(UserWarning, match="any ranking is perfect; there is nothing to measure"):
        retrieval_score(X, Y, np.ones((9, 2), int), measure="ndcg", **rules)


@pytest.mark.parametrize(
    "metric", ["cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio"]
)
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_metric_orders_the_gallery(metric, offset):
    queries, gallery, query_labels, gallery_labels = TASK
    queries, gallery = queries + offset, gallery + offset
    rho = np.array([0.9, 0.6, 0.3, 0.0])
    expected = [
        of_order("map", (gallery_labels == label)[np.argsort([-similarity(metric, q, g, rho)
                                                              for g in gallery])])
        for q, label in zip(queries, query_labels, strict=True)
    ]  # fmt: skip
    given = {"correlations": rho} if metric == "log_likelihood_ratio" else {}
    found = retrieval_scores(queries, gallery, query_labels, gallery_labels, metric=metric, **given)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "euclidean"])
@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_unit_of_the_embedding_never_matters(metric, factor):
    queries, gallery, *labels = TASK
    found, expected = (
        retrieval_scores(queries * f, gallery * f, *labels, metric=metric) for f in (factor, 1.0)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_constant_profile_correlates_with_nothing():
    """Not with other items, and not with another constant, by a rounding that they share."""
    rng = np.random.default_rng(0)
    queries = np.full((2, 7), 0.1)
    labels = np.arange(20) % 4
    for gallery in (rng.normal(size=(20, 7)), np.full((20, 7), 0.3)):
        gallery[5:] = rng.normal(size=(15, 7))
        found = retrieval_scores(queries, gallery, [0, 1], labels, metric="correlation")
        np.testing.assert_allclose(found, chance_score([0, 1], labels), rtol=1e-12)


def test_a_correlation_of_one_outweighs_the_others_and_stays_finite():
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(2, 30, 3))
    gallery[:, 0] = queries[:, 0]
    options = {"metric": "log_likelihood_ratio", "correlations": [1.0, 0.5, 0.0]}
    assert retrieval_score(queries, gallery, measure="mean_rank", **options) == 1.0


def test_without_labels_row_i_is_what_query_i_should_find():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 6))
    Y = X + rng.normal(size=X.shape)
    order = np.argsort(-(X @ Y.T) / np.linalg.norm(Y, axis=1), axis=1)
    ranks = np.argmax(order == np.arange(50)[:, None], axis=1) + 1
    assert retrieval_score(X, Y, measure="median_rank") == np.median(ranks)
    assert retrieval_score(X, Y, measure="mean_rank") == pytest.approx(ranks.mean())
    assert retrieval_score(X, Y, measure="recall@5") == pytest.approx(np.mean(ranks <= 5))
    assert retrieval_score(X, Y) == pytest.approx(np.mean(1 / ranks))


@pytest.mark.parametrize("measure", MEASURES)
def test_exclude_self_equals_lists_without_the_row(measure):
    rng = np.random.default_rng(2)
    Z = rng.integers(-2, 3, size=(40, 3))  # many ties
    labels = rng.integers(0, 4, 40)
    gains = rng.integers(0, 3, size=(40, 40))
    found = retrieval_scores(Z, Z, labels, measure=measure, exclude_self=True)
    graded = retrieval_scores(Z, Z, relevance=gains, measure=measure, exclude_self=True)
    for i in range(40):
        rest = np.arange(40) != i
        alone = retrieval_scores(Z[[i]], Z[rest], labels[[i]], labels[rest], measure=measure)
        assert found[i] == pytest.approx(alone[0], rel=1e-12)
        one = retrieval_scores(Z[[i]], Z[rest], relevance=gains[[i]][:, rest], measure=measure)
        assert graded[i] == pytest.approx(one[0], rel=1e-12)


def test_queries_without_relevant_items_are_omitted_zero_or_an_error():
    queries, gallery, query_labels, gallery_labels = TASK
    query_labels = query_labels.copy()
    query_labels[4:7] = 9
    args = queries, gallery, query_labels, gallery_labels
    with pytest.warns(UserWarning, match="3 of 30 queries"):
        omitted = retrieval_scores(*args, measure="recall@5")
    zero = retrieval_scores(*args, measure="recall@5", no_relevant="zero")
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(omitted)), [4, 5, 6])
    np.testing.assert_array_equal(zero, np.nan_to_num(omitted))
    score = retrieval_score(*args, measure="recall@5", no_relevant="zero")
    assert score == pytest.approx(zero.mean())
    with pytest.raises(ValueError, match=r"3 of 30 queries have no relevant.*query 4"):
        retrieval_score(*args, no_relevant="raise")
    with pytest.raises(ValueError, match="no rank that 'mean_rank' could count as 0"):
        retrieval_score(*args, measure="mean_rank", no_relevant="zero")
    curve = retrieval_precision_recall(*args, no_relevant="zero")
    assert curve.recall[-1] == pytest.approx(0.9)
    assert interpolated_precision(*args, no_relevant="zero").shape == (11,)


def test_no_query_with_a_relevant_item_is_zero_where_that_counts_as_zero():
    args = np.eye(2), np.eye(2), [0, 1], [2, 3]
    assert retrieval_score(*args, no_relevant="zero") == 0.0
    with pytest.warns(UserWarning, match="nothing to measure: nan"):
        assert np.isnan(retrieval_score(*args))


@pytest.mark.parametrize("measure", MEASURES)
def test_chance_is_the_mean_over_random_rankings(measure):
    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 3, 5), rng.integers(0, 3, 7)
    simulated = [
        retrieval_score(rng.normal(size=(5, 3)), rng.normal(size=(7, 3)), x, y, measure=measure)
        for _ in range(500)
    ]
    error = np.std(simulated) / np.sqrt(500)
    found = chance_score(x, y, measure=measure)
    assert found == pytest.approx(np.mean(simulated), abs=5 * error + 1e-12)


def test_chance_of_the_median_rank_is_the_median_of_expected_ranks():
    x, y = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 2, 2])
    expected = np.median([7 / (np.sum(y == label) + 1) for label in x])
    assert chance_score(x, y, measure="median_rank") == pytest.approx(expected)


def test_chance_tends_to_the_closed_form():
    labels = np.repeat(np.arange(4), 500)
    assert chance_score(labels) == pytest.approx(chance_map(labels), abs=0.005)
    assert chance_score(labels) > chance_map(labels)


def test_interpolated_precision_is_the_best_at_or_beyond_a_recall():
    queries, gallery, query_labels, gallery_labels = TASK
    levels = np.linspace(0, 1, 11)
    cosines = queries @ gallery.T / np.linalg.norm(gallery, axis=1)
    expected = []
    for row, label in zip(cosines, query_labels, strict=True):
        hits = np.cumsum((gallery_labels == label)[np.argsort(-row)])
        p, r = hits / np.arange(1, 91), hits / hits[-1]
        expected.append([max(p[r >= level - 1e-12]) for level in levels])
    found = interpolated_precision(*TASK)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-12)
    some = interpolated_precision(*TASK, recall_levels=[0.2, 0.5])
    np.testing.assert_allclose(some, found[[2, 5]], rtol=1e-12)


def test_a_recall_level_is_reached_in_spite_of_its_rounding():
    """10 times the fourth of 11 levels is more than 3 by a rounding."""
    relevant = np.repeat([1, 0, 1], [3, 10, 7])
    ranked = on_circle(np.linspace(0.9, 0.1, 20))
    found = interpolated_precision([[1, 0]], ranked, [1], relevant)
    np.testing.assert_allclose(found, [1.0] * 4 + [0.5] * 7)


def test_threads_and_memory_change_nothing(monkeypatch):
    rng = np.random.default_rng(8)
    queries, gallery = rng.integers(-3, 4, (300, 4)), rng.integers(-3, 4, (3_000, 4))
    labels = rng.integers(0, 5, 300), rng.integers(0, 5, 3_000)
    with threadpool_limits(1, user_api="blas"):
        alone = retrieval_scores(queries, gallery, *labels, measure="ndcg")
    with threadpool_limits(2, user_api="blas"):
        together = retrieval_scores(queries, gallery, *labels, measure="ndcg")
        with config_context(working_memory=0.3):
            small = retrieval_scores(queries, gallery, *labels, measure="ndcg")
        monkeypatch.setattr(_ranking, "BLOCK_SCORES", 1_000)
        in_pieces = retrieval_scores(queries, gallery, *labels, measure="ndcg")
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose([small, in_pieces], [alone] * 2, rtol=1e-12)


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_gpu)])
def test_torch_ranks_as_numpy_does(tags, exclude_self, device):
    rng = np.random.default_rng(9)
    Z = rng.integers(-2, 3, size=(200, 3))  # many ties, and rows of zeros
    labels = rng.random((200, 6)) < 0.3 if tags else rng.integers(0, 4, 200)
    rules = Rules(exclude_self=exclude_self, no_relevant="zero")
    here = prepare(Z, Z, labels, None, ArgumentNames("test"), rules)
    there = here._replace(device=device)
    with config_context(working_memory=0.1):
        for own, other in zip(evaluate(here, _bits), evaluate(there, _bits), strict=True):
            np.testing.assert_array_equal(other, own)


def _bits(listed):
    """Return the relevance of each place, and whether its score is another than the one before."""
    ranked = listed.ranked
    return np.stack([ranked & 1, np.append(True, ranked[1:] ^ ranked[:-1] > 1)])


NAMES = np.array(["angry", "calm", "fun", "sad", "warm"])
CONTAINERS = {
    "lists": (np.ndarray.tolist, np.ndarray.tolist),
    "Fortran order, floats": (np.asfortranarray, lambda y: y.astype(float)),
    "strides, bytes": (lambda Z: np.repeat(Z, 2, axis=1)[:, ::2], lambda y: y.astype(np.uint8)),
    "float32, names": (lambda Z: Z.astype(np.float32), lambda y: NAMES[y]),
    "float16, objects": (lambda Z: Z.astype(np.float16), lambda y: NAMES[y].astype(object)),
    "int8, list of names": (lambda Z: Z.astype(np.int8), lambda y: NAMES[y].tolist()),
    "longdouble, indicators": (lambda Z: Z.astype(np.longdouble), lambda y: np.eye(5)[y]),
    "tensors": (torch.tensor, lambda y: np.eye(5, dtype=bool)[y].tolist()),
    "pandas": (pd.DataFrame, lambda y: pd.Series(NAMES[y])),
    "categories": (pd.DataFrame, lambda y: pd.Series(pd.Categorical(NAMES[y]))),
    "polars": (pl.DataFrame, lambda y: pl.Series(NAMES[y])),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_any_container_gives_the_same_figure(kind):
    rng = np.random.default_rng(7)
    queries, gallery = rng.integers(-9, 10, (2, 50, 4)).astype(float)  # exact in every dtype
    labels = rng.integers(0, 5, 50)
    rows, names = CONTAINERS[kind]
    expected = retrieval_score(queries, gallery, labels)
    found = retrieval_score(rows(queries), rows(gallery), names(labels), names(labels))
    assert found == pytest.approx(expected, rel=1e-14)


def test_map_at_k_has_a_shorter_way():
    found = average_precision_scores(*TASK, k=4, metric="euclidean")
    expected = retrieval_scores(*TASK, measure="map@4", metric="euclidean")
    np.testing.assert_array_equal(found, expected)
    assert mean_average_precision_score(*TASK, k=4, metric="euclidean") == expected.mean()


def test_report_holds_both_directions_and_chance():
    queries, gallery, x, y = TASK
    report = retrieval_report(queries, gallery, x, y, measures=["map", "recall@3"])
    assert list(report) == ["x_to_y", "y_to_x", "chance x_to_y", "chance y_to_x"]
    assert report["x_to_y"]["recall@3"] == retrieval_score(*TASK, measure="recall@3")
    assert report["y_to_x"]["map"] == retrieval_score(gallery, queries, y, x)
    assert report["chance y_to_x"]["map"] == pytest.approx(chance_score(y, x), rel=1e-12)
    assert f"{report['x_to_y']['map']:.3f}" in str(report)
    gains = np.asarray(x)[:, None] == y
    given = retrieval_report(queries, gallery, relevance=gains, measures=["map", "recall@3"])
    for row in report:
        assert given[row] == pytest.approx(report[row])


def test_report_looks_at_no_more_items_than_there_are():
    report = retrieval_report(np.eye(4), np.eye(4), [0, 0, 1, 1])
    assert set(report["x_to_y"]) == {"map", "precision@1", "mrr", "median_rank"}


X3 = np.eye(3)


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
@pytest.mark.parametrize("shift", [1e3, 1e6, 1e9])
def test_a_common_offset_changes_no_rank(metric, shift):
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(200, 4))
    queries = gallery + 0.3 * rng.normal(size=gallery.shape)
    expected = retrieval_scores(queries, gallery, measure="mean_rank", metric=metric)
    moved = queries + shift if metric == "euclidean" else queries
    found = retrieval_scores(moved, gallery + shift, measure="mean_rank", metric=metric)
    if shift < 1e9:
        np.testing.assert_array_equal(found, expected)
    assert np.mean(found) == pytest.approx(np.mean(expected), rel=1e-3)


@pytest.mark.parametrize("metric", ["euclidean", "inner_product"])
@pytest.mark.parametrize("size", [1e5, 1e8, 1e12])
def test_one_distant_item_changes_no_rank_of_the_others(metric, size):
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(200, 4))
    queries = gallery + 0.3 * rng.normal(size=gallery.shape)
    expected = retrieval_scores(queries, gallery, measure="mean_rank", metric=metric)
    far = np.vstack([gallery, np.full((1, 4), size)])
    labels = np.arange(201)
    found = retrieval_scores(queries, far, labels[:200], labels, measure="mean_rank", metric=metric)
    before = (queries.sum(axis=1) > 0) if metric == "inner_product" else 0
    np.testing.assert_allclose(found, expected + before, atol=0.5 if size > 1e8 else 1e-9)


@pytest.mark.parametrize("factor", [1.7e308, 1e-300, 5e-324])
def test_only_proportions_of_gains_matter(factor):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(4, 3)), rng.normal(size=(9, 3))
    gains = np.where(rng.random((4, 9)) < 0.5, 1.0, 0.0)
    found, expected = (
        retrieval_scores(queries, gallery, relevance=gains * f, measure="ndcg")
        for f in (factor, 1.0)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_zero_counts_where_the_other_queries_cannot_fail():
    args = [[1.0, 0], [0, 1]], [[1.0, 0], [0, 1]], ["a", "b"], ["a", "a"]
    np.testing.assert_array_equal(retrieval_scores(*args, no_relevant="zero"), [1, 0])


def test_whole_recall_levels_and_tensors_of_gains_are_taken():
    assert len(interpolated_precision(X3, X3, [0, 1, 1], recall_levels=[0, 1])) == 2
    report = retrieval_report(X3, X3, relevance=torch.eye(3), measures=["map"])
    assert report["x_to_y"]["map"] == 1.0
