"""The exact search against a sort of scores that a plain loop computes."""

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st

from skcca.metrics._similarity import METRICS, gallery_vectors, query_vectors
from skcca.retrieval import _search
from skcca.retrieval._search import Block, pair_scores, search


def score(query, row):
    """Return the sum of products, in Python's floats from the first to the last."""
    total = 0.0
    for a, b in zip(query.tolist(), row.astype(float).tolist(), strict=True):
        total += a * b
    return total


def by_sorting(rows, queries, k):
    """Return positions and scores of a full stable sort."""
    scores = np.array([[score(query, row) for row in rows] for query in queries])
    positions = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return positions, np.take_along_axis(scores, positions, axis=1)


def check(parts, queries, k, removed=()):
    blocks, first = [], 0
    for part in parts:
        inside = [i - first for i in removed if first <= i < first + len(part)]
        blocks.append(Block.measure(part)._replace(removed=np.array(inside, dtype=int)))
        first += len(part)
    found = search(blocks, queries, k)
    remaining = np.setdiff1d(np.arange(first), removed)
    positions, scores = by_sorting(np.concatenate(parts)[remaining], queries, k)
    np.testing.assert_array_equal(found.positions, remaining[positions])
    np.testing.assert_array_equal(found.scores, scores)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.sampled_from(METRICS),
    st.sampled_from([1, 7, 64, 2**21]),
)
def test_search_is_a_full_stable_sort(seed, n, d, n_queries, dtype, metric, block):
    rng = np.random.default_rng(seed)
    # Few different rows: ties in and across blocks, zero rows, rows that differ in the last bits.
    kinds = rng.normal(size=(max(1, n // 4), d)) * 10.0 ** rng.integers(-3, 4)
    kinds[0] = rng.choice([0.0, 1.0])
    V = kinds[rng.integers(len(kinds), size=n)]
    V = np.where(rng.random((n, 1)) < 0.2, np.nextafter(V, 9e9), V)
    U = np.vstack([V[rng.integers(n, size=n_queries)], np.zeros(d), rng.normal(size=d)])
    rho = np.linspace(0, 1, d)
    rows = gallery_vectors(V, metric, rho)
    rows = np.clip(rows, -6e4, 6e4).astype(dtype)  # the range of float16
    queries = query_vectors(U, metric, rho)
    cut = int(rng.integers(n + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_search, "BLOCK_SCORES", block)
        patch.setattr(_search, "BLOCK_QUERIES", int(rng.integers(1, 4)))
        removed = np.flatnonzero(rng.random(n) < rng.choice([0.0, 0.3]))[: n - 1]
        k = int(rng.integers(1, n - len(removed) + 1))
        check([rows[:cut], rows[cut:]], queries, k, removed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["rising", "falling", "as drawn"])
def test_no_candidate_is_lost_between_close_scores(dtype, order):
    rng = np.random.default_rng(0)
    query = rng.normal(size=(3, 30))
    near = rng.normal(size=30)
    rows = (near + 1e-7 * rng.normal(size=(3000, 30))).astype(dtype)  # as close as float32 can tell
    if order != "as drawn":
        sign = 1 if order == "rising" else -1
        rows = rows[
            np.argsort(sign * pair_scores(query, rows, np.zeros(3000, int), np.arange(3000)))
        ]
    check([rows[:1000], rows[1000:]], query, 10)


def test_equal_rows_across_borders_of_blocks_keep_their_order(monkeypatch):
    rng = np.random.default_rng(1)
    row = rng.normal(size=30).astype(np.float32)
    rows = np.tile(row, (500, 1))
    for n_rows in (1, 2, 3, 17, 100, 499):
        monkeypatch.setattr(_search, "BLOCK_SCORES", n_rows)
        found = search(
            [Block.measure(rows[:101]), Block.measure(rows[101:])], rng.normal(size=(2, 30)), 7
        )
        np.testing.assert_array_equal(found.positions, [range(7)] * 2)


def test_score_of_a_pair_does_not_depend_on_where_it_stands():
    rng = np.random.default_rng(2)
    queries, rows = rng.normal(size=(4, 33)), rng.normal(size=(50, 33)).astype(np.float32)
    all_pairs = np.indices((4, 50)).reshape(2, -1)
    together = pair_scores(queries, rows, *all_pairs)
    for place, (query, row) in enumerate(all_pairs.T):
        alone = pair_scores(queries[query : query + 1], rows[row : row + 1], np.zeros(1, int), [0])
        assert alone[0] == together[place] == score(queries[query], rows[row])


@pytest.mark.parametrize("size", [1e-320, 1e-150, 1e-30, 1e30, 1e150])
def test_sizes_at_the_ends_of_the_range_are_ranked(size):
    rng = np.random.default_rng(3)
    rows, queries = rng.normal(size=(200, 6)) * size, rng.normal(size=(4, 6))
    check([rows], queries, 5)
    check([rows / size], queries * size, 5)
    with np.errstate(over="ignore", under="ignore"):
        single = rows.astype(np.float32)
    if np.isfinite(single).all():
        check([single], queries, 5)


def test_scores_that_lose_digits_to_underflow_are_ranked(monkeypatch):
    rng = np.random.default_rng(3)
    rows, queries = rng.normal(size=(300, 6)), rng.normal(size=(4, 6))
    for n_rows in (8, 2**21):
        monkeypatch.setattr(_search, "BLOCK_SCORES", n_rows)
        for size in (1e-322, 1e-320, 1e-310):
            check([rows], queries * size, 5)
            check([rows * size], queries, 5)


def test_one_long_row_hides_no_other():
    rows = np.random.default_rng(4).normal(size=(300, 8)).astype(np.float32)
    rows[17] *= -1e9
    check([rows], np.random.default_rng(5).normal(size=(5, 8)), 4)


def test_a_sum_that_would_overflow_in_float32_on_its_way_is_found():
    rows = np.full((50, 16), 1e30, dtype=np.float32)
    rows[31] = np.where(np.arange(16) < 7, -3e38, 3e38)  # in total the best
    check([rows], np.ones((8, 16)), 3)


def test_any_working_memory_gives_the_same():
    rng = np.random.default_rng(6)
    rows, queries = rng.normal(size=(3000, 5)).astype(np.float32), rng.normal(size=(40, 5))
    expected = search([Block.measure(rows)], queries, 9)
    with sklearn.config_context(working_memory=0):
        starved = search([Block.measure(rows[:20])], queries[:2], 9)
    with sklearn.config_context(working_memory=1):
        little = search([Block.measure(rows)], queries, 9)
    np.testing.assert_array_equal(little.positions, expected.positions)
    np.testing.assert_array_equal(starved.positions, by_sorting(rows[:20], queries[:2], 9)[0])


def test_blocks_stay_within_working_memory(monkeypatch):
    sizes = []
    candidates = _search._candidates

    def watched(products, *args):
        sizes.append(products.nbytes)
        return candidates(products, *args)

    monkeypatch.setattr(_search, "_candidates", watched)
    rows = np.random.default_rng(7).normal(size=(20_000, 4)).astype(np.float32)
    with sklearn.config_context(working_memory=1):
        search([Block.measure(rows)], rows[:50].astype(float), 3)
    assert max(sizes) <= 2**20 / 8


def test_strange_layouts_are_searched():
    rng = np.random.default_rng(8)
    rows, queries = rng.normal(size=(60, 12)), rng.normal(size=(3, 12))
    expected = by_sorting(rows[::2, ::3], queries[:, ::3], 5)[0]
    rows.flags.writeable = False
    for layout in (rows[::2, ::3], np.asfortranarray(rows[::2, ::3])):
        found = search([Block.measure(layout)], queries[:, ::3], 5)
        np.testing.assert_array_equal(found.positions, expected)
