"""Ids find their rows, however they come, also where their keys are equal."""

import numpy as np
import pytest

from skcca.retrieval import CrossModalRetriever, _ids


@pytest.mark.parametrize("kind", [int, str])
@pytest.mark.parametrize("same_keys", [False, True])
def test_items_follow_their_ids_as_in_a_dict(kind, same_keys, monkeypatch):
    if same_keys:
        keys = lambda ids: np.zeros(len(ids), dtype=np.int64)  # noqa: E731
        monkeypatch.setattr(_ids, "id_keys", keys)
    rng = np.random.default_rng(0)
    retriever, expected, value = CrossModalRetriever(metric="inner_product"), {}, 0.0
    for step in range(60):
        # Few names for many trials, so that ids that were removed come again.
        names = [kind(i) for i in rng.integers(-60, 60, size=rng.choice([1, 3, 9, 40]))]
        if step % 3 == 2:
            names = [name for name in names if name in expected]
            retriever.remove(names)
            expected = {name: v for name, v in expected.items() if name not in names}
        elif len(set(names)) < len(names) or any(name in expected for name in names):
            with pytest.raises(ValueError, match=r"more than once|in the gallery already"):
                retriever.add(np.zeros((len(names), 1)), ids=names)
            names = [name for name in dict.fromkeys(names) if name not in expected]
        if step % 3 < 2:
            rows = value + 1 + np.arange(len(names), dtype=float)
            retriever.add(rows[:, np.newaxis], ids=np.array(names, dtype=kind))
            expected |= zip(names, rows, strict=True)
            value += len(names)
        assert retriever.ids_.tolist() == list(expected)
        if expected:
            ids, values = retriever.query([[1.0]], len(expected))
            assert dict(zip(ids[0].tolist(), values[0], strict=True)) == expected


def test_the_runs_of_an_index_stay_few():
    index, ids = _ids.IdIndex(), np.random.default_rng(0).permutation(2000)
    for n in range(1, 2001):
        index = index.extended(ids[:n])
    assert len(index.runs) <= 4  # log of 2,000 to the base of 16
    places, positions = index.matches(np.array([5, -1, 1999]))
    assert ids[positions].tolist() == np.array([5, -1, 1999])[places].tolist()
    assert sorted(places) == [0, 2]
