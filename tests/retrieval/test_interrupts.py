"""A gallery that is interrupted at any instruction is the old one or the new one."""

from functools import partial

import numpy as np
import pytest
from _interrupt import interrupt

from skcca.retrieval import CrossModalRetriever


def contents(retriever):
    """Return the rows by id; products with unit vectors are their coordinates."""
    ids, scores = (part.tolist() for part in retriever.query(np.eye(3), len(retriever)))
    axes = [dict(zip(*axis, strict=True)) for axis in zip(ids, scores, strict=True)]
    return {name: tuple(axis[name] for axis in axes) for name in retriever.ids_.tolist()}


# A file that was opened and not yet bound is closed by the interpreter, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", [int, str])
def test_interrupted_changes_are_made_or_not_made(kind, tmp_path):
    rng = np.random.default_rng(0)
    retriever = CrossModalRetriever(metric="inner_product").add(np.ones((1, 3)), ids=[kind(-1)])
    items, saved, n_cut, path = contents(retriever), None, 0, tmp_path / "gallery"
    for trial in range(1000):
        rows = rng.normal(size=(rng.integers(1, 4), 3)).astype(rng.choice(["f4", "f8"]))
        names = [kind(10 * trial + i) for i in range(len(rows))]
        chance, after = rng.random(), dict(items)
        if chance < 0.5:
            after |= zip(names, map(tuple, rows.tolist()), strict=True)
            work = partial(retriever.add, rows, names)
        elif chance < 0.85 and len(items) > 9:
            names = rng.choice(list(items), rng.integers(1, 4), replace=False).tolist()
            after = {name: row for name, row in items.items() if name not in names}
            work = partial(retriever.remove, names)
        else:
            work = partial(retriever.save, path)
        at = int(rng.integers(1, 3000))
        done = interrupt(work, at) < at
        found = contents(retriever)
        assert found == after or (found == items and not done), trial
        assert list(found) == list(after if found == after else items)
        if work.func == retriever.save and path.exists():
            loaded = contents(CrossModalRetriever.load(path))
            assert loaded == items or (loaded == saved and not done)
            saved = loaded
        items, n_cut = found, n_cut + (not done)
    assert 200 < n_cut < 800
