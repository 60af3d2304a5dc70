"""Approximate search: what faiss proposes is scored exactly, and what it does not know is found."""

import pickle
import sys

import numpy as np
import pytest

from skcca import CCA
from skcca.metrics._similarity import METRICS
from skcca.retrieval import CrossModalRetriever
from skcca.retrieval._faiss import FaissIndex

faiss = pytest.importorskip("faiss")

RNG = np.random.default_rng(0)
S = RNG.normal(size=(3000, 6))
X = S @ RNG.normal(size=(6, 8)) + 0.3 * RNG.normal(size=(3000, 8))
Y = S @ RNG.normal(size=(6, 7)) + 0.3 * RNG.normal(size=(3000, 7))
MODEL = CCA(6).fit(X, Y)
KINDS = {
    "flat": {},
    "ivf": {"kind": "ivf", "n_lists": 30, "n_probe": 15},
    "hnsw": {"kind": "hnsw", "ef_search": 300},
}


def retriever(kind="flat", metric="cosine", n=3000, **changes):
    params = {"index": "faiss", "index_params": KINDS.get(kind, {"kind": kind}) | changes}
    return CrossModalRetriever(MODEL, prefit=True, metric=metric, **params).add(Y[:n])


def exact(metric="cosine", n=3000):
    return CrossModalRetriever(MODEL, prefit=True, metric=metric).add(Y[:n])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_almost_all_by_every_metric(kind, metric):
    assert retriever(kind, metric).recall_against_exact(X[:200], 10) > 0.95


@pytest.mark.parametrize("metric", METRICS)
def test_flat_index_finds_what_the_exact_search_finds(metric):
    found, wanted = retriever("flat", metric).query(X[:100], 5), exact(metric).query(X[:100], 5)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_array_equal(found.scores, wanted.scores)


def test_recall_is_the_share_of_exact_items_that_are_found():
    few = retriever("ivf", n_lists=60, n_probe=1)
    found, wanted = few.query(X[:50], 10).ids, exact().query(X[:50], 10).ids
    by_hand = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, wanted, strict=True)])
    assert few.recall_against_exact(X[:50], 10) == pytest.approx(by_hand)
    assert 0.1 < by_hand < 0.95
    assert exact().recall_against_exact(X[:50], 10) == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_items_added_since_the_index_was_built_are_found(kind):
    grown = retriever(kind, n=2900)
    grown.query(X[:1], 1)
    built = grown._space.faiss._built
    grown.add(Y[2900:])
    ids, scores = grown.query(X[2900:], 10)
    assert grown._space.faiss._built is built  # not built anew for so few
    wanted = exact().query(X[2900:], 10)
    assert (ids >= 2900).any()
    assert np.mean(ids == wanted.ids) > 0.95
    np.testing.assert_array_equal(scores[ids == wanted.ids], wanted.scores[ids == wanted.ids])


def test_an_index_is_built_anew_when_it_covers_too_little():
    grown = retriever(n=1000)
    grown.query(X[:1], 1)
    grown.add(Y[1000:]).query(X[:1], 1)
    assert grown._space.faiss._built.n_rows == 3000


@pytest.mark.parametrize("kind", KINDS)
def test_removed_items_are_found_no_more(kind):
    smaller = retriever(kind)
    best = smaller.query(X[:20], 3).ids
    smaller.remove(np.unique(best))
    assert not np.isin(smaller.query(X[:20], 3).ids, best).any()


def test_an_index_of_another_numbering_is_not_used():
    changed = retriever("flat")
    changed.query(X[:1], 1)
    changed.remove([0]).add(Y[:1], ids=[0])  # as many as before, in other places
    wanted = exact().remove([0]).add(Y[:1], ids=[0])
    np.testing.assert_array_equal(changed.query(X[:50], 5).ids, wanted.query(X[:50], 5).ids)


def test_where_the_index_proposes_too_few_the_search_is_exact():
    few = retriever("ivf", n_lists=70, n_probe=1)
    found, wanted = few.query(X[:10], 2500), exact().query(X[:10], 2500)
    np.testing.assert_array_equal(found.ids, wanted.ids)


def test_parameters_may_be_set_after_fit():
    changed = exact()
    expected = changed.query(X[:10], 5).ids
    changed.set_params(index="faiss").query(X[:10], 5)
    changed.set_params(index_params=KINDS["ivf"]).query(X[:10], 5)
    assert changed._space.faiss._built.index.nprobe == 15
    changed.set_params(index="exact", index_params=None)
    np.testing.assert_array_equal(changed.query(X[:10], 5).ids, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 30])
def test_small_galleries_are_searched(kind, n):
    found, wanted = retriever(kind, n=n).query(X[:20], n), exact(n=n).query(X[:20], n)
    np.testing.assert_array_equal(found.ids, wanted.ids)


@pytest.mark.parametrize("metric", ["inner_product", "euclidean"])
@pytest.mark.parametrize("size", [1e-50, 1e50])
def test_numbers_beyond_float32_are_searched(metric, size):
    rng = np.random.default_rng(0)
    V = rng.normal(size=(100, 3)) * size
    far = CrossModalRetriever(metric=metric, index="faiss").add(V)
    wanted = CrossModalRetriever(metric=metric).add(V)
    for A in (V, V * 1e20, V * 1e-20):
        assert np.isfinite(far.query(A, 3).scores).all()
    np.testing.assert_array_equal(far.query(V, 3).ids, wanted.query(V, 3).ids)


def test_pickles_hold_no_index_and_build_it_anew():
    first = retriever("ivf")
    expected = first.query(X[:30], 5)
    second = pickle.loads(pickle.dumps(first))
    assert second._space.faiss._built is None
    np.testing.assert_array_equal(second.query(X[:30], 5).ids, expected.ids)


def test_an_index_that_is_being_built_holds_no_query_up():
    index, gallery = FaissIndex(), retriever(n=100)._space.gallery.snapshot
    params = {"kind": "flat"}
    first = index.get(gallery, params, "cosine", None)
    with index.lock:  # as a thread that builds has it
        assert index.get(retriever(n=200)._space.gallery.snapshot, params, "cosine", None) is first


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"kind": "pq"},
            r"index_params\['kind'\] is 'pq'; expected one of \['flat', 'ivf', 'hnsw'\]",
        ),
        ({"kind": ["ivf"]}, r"index_params\['kind'\] is \['ivf'\]"),
        ({"n_probe": 3}, "'n_probe' is no parameter of a faiss index of kind 'flat'"),
        ({"kind": "ivf", "n_probe": 0}, r"index_params\['n_probe'\] is 0; expected an integer"),
        ({"kind": "hnsw", "ef_search": 2.0}, r"\['ef_search'\] is 2.0; expected an integer"),
    ],
)
def test_unknown_parameters_of_an_index_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        CrossModalRetriever(index="faiss", index_params=params).fit(Y, Y)


def test_without_faiss_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r'pip install "skcca\[faiss\]"; index="exact" works'):
        retriever().query(X[:1])
    exact().query(X[:1])
