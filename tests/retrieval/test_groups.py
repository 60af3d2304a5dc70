"""Several rows as one query, by each way of putting them together."""

import numpy as np
import pytest
from _oracles import similarities

from skcca.retrieval import CrossModalRetriever

VIDEOS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 3.0]])


def chunked():
    rng = np.random.default_rng(2)
    return rng.normal(size=(12, 3)), rng.normal(size=(30, 3)), np.array(list("cabbacabccab"))


def similarity_of_group(chunks, V, metric, aggregate):
    if aggregate == "mean":
        return similarities(metric, chunks.mean(axis=0, keepdims=True), V)[0]
    each = similarities(metric, chunks, V)
    if aggregate == "max_similarity":
        return each.max(axis=0)
    return -np.sqrt((each**2).mean(axis=0)) if metric == "euclidean" else each.mean(axis=0)


@pytest.mark.parametrize("aggregate", ["mean", "mean_similarity", "max_similarity"])
@pytest.mark.parametrize("metric", ["cosine", "inner_product", "euclidean"])
def test_a_group_is_one_query(metric, aggregate):
    chunks, V, groups = chunked()
    retriever = CrossModalRetriever(metric=metric, aggregate=aggregate).add(V)
    ids, scores = retriever.query(chunks, 4, groups=groups)
    assert ids.shape == (3, 4)
    for group, found, found_scores in zip("cab", ids, scores, strict=True):
        expected = similarity_of_group(chunks[groups == group], V, metric, aggregate)
        np.testing.assert_array_equal(found, np.argsort(-expected)[:4])
        np.testing.assert_allclose(found_scores, -np.sort(-expected)[:4])


def test_an_item_is_found_once_however_many_chunks_find_it():
    retriever = CrossModalRetriever(aggregate="max_similarity").add(VIDEOS, ids=list("abcd"))
    ids, _ = retriever.query([[1, 0], [1, 0], [1, 0.1]], 4, groups=[1, 1, 1])
    assert sorted(ids[0]) == list("abcd")


@pytest.mark.parametrize("aggregate", ["mean", "mean_similarity", "max_similarity"])
def test_groups_of_one_row_are_queries(aggregate):
    chunks, V, _ = chunked()
    retriever = CrossModalRetriever(aggregate=aggregate).add(V)
    plain, grouped = retriever.query(chunks, 5), retriever.query(chunks, 5, groups=range(12))
    np.testing.assert_array_equal(plain.ids, grouped.ids)
    np.testing.assert_allclose(plain.scores, grouped.scores)
