"""Items and their ids: added, removed, refused."""

import numpy as np
import pandas as pd
import pytest

from skcca import Views
from skcca.retrieval import CrossModalRetriever

VIDEOS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 3.0]])


def test_new_ids_continue_after_the_largest_that_ever_was():
    retriever = (
        CrossModalRetriever().add(VIDEOS).add(VIDEOS[:2], ids=[10, 7]).add(VIDEOS[:1], ids=[5])
    )
    assert retriever.add(VIDEOS[:2]).ids_.tolist() == [0, 1, 2, 3, 10, 7, 5, 11, 12]
    assert retriever.remove([12, 11]).add(VIDEOS[:1]).ids_.tolist() == [0, 1, 2, 3, 10, 7, 5, 13]


@pytest.mark.parametrize("index", ["exact", "faiss"])
@pytest.mark.parametrize("step", [1, 9, 250])
def test_removed_items_are_not_found_and_the_rest_is_as_if_they_never_were(step, index):
    if index == "faiss":
        pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    V, A = rng.normal(size=(400, 3)), rng.normal(size=(6, 3))
    retriever = CrossModalRetriever(index=index).add(V[:250]).add(V[250:])
    gone, kept = rng.permutation(400)[:250], np.arange(400)
    for start in range(0, 250, step):
        retriever.remove(gone[start : start + step])
        kept = np.setdiff1d(kept, gone[start : start + step])
        assert retriever.ids_.tolist() == kept.tolist()
        assert len(retriever) == len(kept)
        expected = CrossModalRetriever().add(V[kept], ids=kept).query(A, 8)
        for found, wanted in zip(retriever.query(A, 8), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match=f"1 of 2 ids are not .*, the first of them {gone[0]}"):
        retriever.remove([kept[0], gone[0]])
    assert len(retriever) == 150
    assert retriever.add(V[gone[:1]], ids=gone[:1]).query(V[gone[:1]], 1).ids == gone[:1]
    assert (
        retriever.remove(retriever.ids_).add(VIDEOS[:, [0, 1, 1]], ids=list("abcd")).ids_[0] == "a"
    )


def test_one_item_at_a_time_is_as_all_at_once():
    rng = np.random.default_rng(0)
    V, A = rng.normal(size=(300, 3)), rng.normal(size=(6, 3))
    retriever = CrossModalRetriever()
    for i, row in enumerate(V):
        retriever.add(row[np.newaxis], ids=[f"video {i}"])
    snapshot = retriever._space.gallery.snapshot
    assert len(snapshot.blocks) <= 10  # room doubles
    expected = CrossModalRetriever().add(V, ids=[f"video {i}" for i in range(300)]).query(A, 9)
    np.testing.assert_array_equal(retriever.query(A, 9).ids, expected.ids)
    np.testing.assert_array_equal(retriever.query(A, 9).scores, expected.scores)


def test_adding_and_few_removals_copy_no_row_that_is_there():
    retriever = CrossModalRetriever().add(np.ones((100, 2)))
    first = retriever._space.gallery.snapshot.blocks[0].values
    retriever.add(VIDEOS).remove([0, 101]).add(VIDEOS)
    parts = retriever._space.gallery.snapshot.blocks
    assert parts[0].values is first
    assert len(parts) == 2


def test_long_rows_among_short_ones_are_found_as_if_added_at_once():
    rng = np.random.default_rng(0)
    short = 1e-6 * rng.normal(size=(1500, 30)).astype(np.float32)
    near = (rng.normal(size=30) + 3e-7 * rng.normal(size=(400, 30))).astype(np.float32)
    retriever = CrossModalRetriever(metric="inner_product")
    for some in (short[:1000], short[1000:], near):  # the last two share room
        retriever.add(some)
    assert len(retriever._space.gallery.snapshot.blocks) == 2
    together = CrossModalRetriever(metric="inner_product").add(
        np.vstack([short, near]).astype(float)
    )
    A = rng.normal(size=(50, 30))
    np.testing.assert_array_equal(retriever.query(A, 9).ids, together.query(A, 9).ids)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([7, 8, 8, 9], ValueError, "holds 8 more than once; nothing was added"),
        ([7, 8, 2, 9], ValueError, "1 of 4 ids are in the gallery already, the first of them 2"),
        ([7, 8], ValueError, "`ids` has 2 entries for 4 items"),
        (
            ["a", "b", "c", "d"],
            TypeError,
            "`ids` are strings, but those of the gallery are integers",
        ),
        ([7, "8", 9, 10], TypeError, "all of one kind; got '8' \\(str\\) among 4"),
        ([True, False, 1, 2], TypeError, "got True \\(bool\\)"),
        ([7.0, 8.0, 9.0, 10.0], TypeError, "got 7.0 \\(float\\)"),
        ([[7], [8], [9], [10]], TypeError, "got \\[7\\] \\(list\\)"),
        ([{}, {}, {}, {}], TypeError, "got {} \\(dict\\)"),
        ([7, None, 8, 9], TypeError, "got None"),
        ("abcd", TypeError, "expected a list or array of ids"),
        ({7, 8, 9, 10}, TypeError, "expected a list or array of ids"),
        (np.array(7), TypeError, "expected a list or array of ids"),
        (7, TypeError, "expected a list or array of ids"),
        ([2**63, 7, 8, 9], ValueError, "beyond the signed integers of 64 bits"),
        ([7, 8, 9, -(2**63) - 1], ValueError, "beyond the signed integers of 64 bits"),
        (["a", "b", "c", "d" * 20_000], ValueError, "has 20000 characters, and an id has 1024 at"),
        (["a\0", "b", "c", "d"], ValueError, "zero character"),
    ],
)
def test_refused_ids_add_nothing(ids, error, message):
    retriever = CrossModalRetriever().add(VIDEOS)
    before = retriever.query(VIDEOS, 4)
    with pytest.raises(error, match=message):
        retriever.add(VIDEOS, ids=ids)
    assert len(retriever) == 4
    np.testing.assert_array_equal(retriever.query(VIDEOS, 4).ids, before.ids)
    assert retriever.add(VIDEOS).ids_.tolist() == list(range(8))


def test_longer_strings_than_before_are_kept_whole():
    retriever = CrossModalRetriever().add(VIDEOS[:1], ids=["a"]).add(VIDEOS[1:2], ids=["a" * 50])
    assert retriever.query(VIDEOS[1:2], 1).ids[0, 0] == "a" * 50
    with pytest.raises(ValueError, match="ids of the gallery are strings, such as a; give `ids`"):
        retriever.add(VIDEOS)


@pytest.mark.parametrize("call", ["fit", "add", "query", "recall_against_exact"])
@pytest.mark.parametrize("kind", ["frame", "views"])
def test_rows_and_their_names_in_another_order_are_refused(call, kind):
    names = pd.Series([5, 6, 7, 8], index=list("pqrs"))
    rows, retriever = pd.DataFrame(VIDEOS, index=list("pqrs")), CrossModalRetriever()
    data = (Views(rows, rows),) if kind == "views" else (rows, rows)[: 1 + (call == "fit")]
    word = {"fit": "ids", "add": "ids"}.get(call, "groups")
    if word == "groups":
        retriever.add(VIDEOS)
        data = (*data, 2)
    getattr(retriever, call)(*data, **{word: names})
    with pytest.raises(ValueError, match=f"{call}: the pandas indices of .* and `{word}` differ"):
        getattr(retriever, call)(*data, **{word: names[::-1]})


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pd.Index, tuple])
def test_ids_come_in_any_container(make):
    retriever = CrossModalRetriever().add(VIDEOS, ids=make(["p", "q", "r", "s"]))
    assert retriever.ids_.tolist() == list("pqrs")
    assert retriever.remove(make(["q", "p"])).ids_.tolist() == ["r", "s"]


def test_ids_cannot_be_changed_from_outside():
    retriever = CrossModalRetriever().add(VIDEOS)
    for ids in (retriever.ids_, retriever.remove([3]).ids_):
        with pytest.raises(ValueError, match="read-only"):
            ids[0] = 5


def test_the_gallery_does_not_share_memory_with_what_was_added():
    V, names = VIDEOS.copy(), np.arange(4)
    retriever = CrossModalRetriever(metric="inner_product").add(V, ids=names)
    V[:], names[:] = 0, 9
    assert retriever.query([[1.0, 0.0]], 1).ids.tolist() == [[0]]
    assert retriever.query([[1.0, 0.0]], 1).scores.tolist() == [[1.0]]


def test_integers_that_are_used_up_are_not_invented():
    retriever = CrossModalRetriever().add(np.eye(2), ids=[2**63 - 2, -(2**63)]).add([[1.0, 0.0]])
    assert retriever.ids_.tolist() == [2**63 - 2, -(2**63), 2**63 - 1]
    with pytest.raises(ValueError, match="are used up; give `ids`"):
        retriever.add(np.eye(2))
    assert len(retriever.add(np.eye(2), ids=[1, 2]).remove([2**63 - 1])) == 4


@pytest.mark.parametrize("index", ["exact", "faiss"])
@pytest.mark.parametrize("offsets", [[1e7], [0, 1e7], [-3e9, 3e9]], ids=str)
@pytest.mark.parametrize("aggregate", ["mean", "mean_similarity", "max_similarity"])
def test_distances_far_from_the_origin_are_exact_however_items_come(aggregate, offsets, index):
    """Items are integers, so that the squared distances are exact in the loop."""
    if index == "faiss":
        pytest.importorskip("faiss")
        offsets = offsets[:1]  # an approximate index tells no two clusters in float32 apart
    rng = np.random.default_rng(0)
    shift = rng.choice(offsets, size=(300, 1))
    V = (rng.integers(-500, 500, size=(300, 3)) * 2.0**8 + shift).astype(np.float32)
    A, groups = V[:40] + np.float32(2.0**8), np.arange(40) // 2
    squares = ((A[:, None].astype(float) - V.astype(float)) ** 2).sum(axis=2).reshape(20, 2, 300)
    centres = A.astype(float).reshape(20, 2, 3).mean(axis=1)
    expected = {
        "mean": ((centres[:, None] - V.astype(float)) ** 2).sum(axis=2),
        "mean_similarity": squares.mean(axis=1),
        "max_similarity": squares.min(axis=1),
    }[aggregate]
    for step in (300, 7, 1):
        retriever = CrossModalRetriever(metric="euclidean", aggregate=aggregate, index=index)
        for start in range(0, 300, step):
            retriever.add(V[start : start + step])
        ids, scores = retriever.query(A, 5, groups=groups)
        np.testing.assert_array_equal(ids, np.argsort(expected, axis=1, kind="stable")[:, :5])
        nearest = np.sort(expected, axis=1)[:, :5]
        np.testing.assert_allclose(scores, -np.sqrt(nearest), rtol=1e-12, atol=1e-6)
