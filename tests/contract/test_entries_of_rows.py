"""Arguments with one entry a row, found by the signatures of public functions and displays.

Pandas objects in another order of rows are refused by name, as are names of two kinds, and missing
names of rows but those that measures leave out.
"""

import inspect
from importlib import import_module
from itertools import combinations, cycle

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from sklearn.model_selection import GroupKFold

from skcca import CCA, SparseClusterCCA, Views
from skcca.metrics import retrieval_report, retrieval_score
from skcca.plotting import RankingDisplay

N = 24
X, Y, y = two_views(N, 4, 4, balanced=True)
INDEX = pd.Index([f"song{i}" for i in range(N)])
ORDER = np.random.default_rng(0).permutation(N)
CLASSES = pd.Series(np.array(["calm", "fun", "warm"])[y], INDEX)
PICTURES = pd.Series(list(np.eye(N)[:, :, None]), INDEX)
ENTRIES = {
    **dict.fromkeys(("X", "queries", "Zx"), pd.DataFrame(X, INDEX)),
    **dict.fromkeys(("y", "Y", "gallery", "Zy"), pd.DataFrame(Y, INDEX)),
    **dict.fromkeys(("labels", "y_labels", "query_labels", "gallery_labels"), CLASSES),
    **dict.fromkeys(("query_names", "gallery_names"), pd.Series(INDEX, INDEX)),
    **dict.fromkeys(("query_images", "gallery_images"), PICTURES),
    "groups": pd.Series([f"site{i // 2}" for i in range(N)], INDEX),
    "confounds": pd.Series(X[:, 0] ** 2, INDEX),
    "relevance": pd.DataFrame(np.equal.outer(y, y) * 1.0, INDEX, INDEX),
}
OPTIONS = {"n_bootstraps": 3, "n_permutations": 3, "n_splits": 2, "n_components": 2}
OF_ITEMS = ("gallery", "Y", "y_labels")


def public_doors():
    """Yield the name, the callable and the row-wise arguments of public functions and displays."""
    for module in ("", ".inspection", ".metrics", ".model_selection", ".plotting"):
        public = import_module(f"skcca{module}")
        for name in public.__all__:
            door = getattr(public, name)
            doors = {name: door}
            if inspect.isclass(door):
                methods = "from_estimator", "from_predictions"
                doors = {f"{name}.{m}": getattr(door, m) for m in methods if hasattr(door, m)}
            for door_name, call in doors.items():
                if callable(call) and (
                    names := ENTRIES.keys() & inspect.signature(call).parameters
                ):
                    yield door_name, call, names


def sides(names):
    """Yield sets of row-wise arguments that go together, each as the sets of one order of rows."""
    if "relevance" in names and names & {"queries", "X"}:
        graded = {name for name in names if "labels" not in name}
        yield [{name for name in graded if not name.startswith(OF_ITEMS)}, graded & {*OF_ITEMS}]
    names = names - {"relevance"}
    own_labels = names & {"gallery_labels", "y_labels"}
    if own_labels:
        of_items = {name for name in names if name.startswith(OF_ITEMS)}
        yield [names - of_items, of_items]
    yield [names - own_labels]


DOORS = {name: (call, names) for name, call, names in public_doors() if names != {"relevance"}}
doors = pytest.mark.parametrize("name", DOORS)


def enter(name, entries):
    """Call a public function with these arguments beside those that it needs."""
    call = DOORS[name][0]
    needed = inspect.signature(call).parameters
    options = {key: value for key, value in OPTIONS.items() if key in needed}
    if "cv" in needed:
        options["cv"] = GroupKFold(3) if "groups" in entries else 3
    if "estimator" in needed:
        model = CCA(2) if "confounds" in needed else SparseClusterCCA(2)
        options["estimator"] = model.fit(X, Y, y)
    return call(**options | entries)


def plain(names):
    return {name: list(ENTRIES[name]) if "images" in name else ENTRIES[name].to_numpy()
            for name in names}  # fmt: skip


@doors
def test_pandas_objects_in_another_order_of_rows_are_refused_by_name(name):
    for groups in sides(DOORS[name][1]):
        names = set().union(*groups)
        # Sides may differ in order, but for gains, whose columns are in that of the gallery.
        orders = slice(None), slice(None) if "relevance" in names else ORDER
        in_order = zip(groups, orders, strict=False)
        enter(name, {n: ENTRIES[n].iloc[order] for group, order in in_order for n in group})
        for first, second in (pair for group in groups for pair in combinations(sorted(group), 2)):
            pandas = {first: ENTRIES[first], second: ENTRIES[second].iloc[ORDER]}
            # Displays of searches pass labels on to those of predictions, under the names there.
            both = "".join(rf"(?=.*`\w*{n}`)" for n in (first, second))
            with pytest.raises(ValueError, match=f"{both}.*indices"):
                enter(name, plain(names) | pandas)


def test_columns_of_gains_are_in_the_order_of_the_gallery():
    gains, frames = ENTRIES["relevance"], (ENTRIES["queries"], ENTRIES["gallery"])
    for call in (retrieval_score, retrieval_report):
        with pytest.raises(ValueError, match=r"`relevance\.T` differ"):
            call(*frames, relevance=gains.iloc[:, ORDER])


BESIDE_VIEWS = [
    (name, where)
    for name, (_, names) in DOORS.items()
    for where in ("labels", "y", "groups", "confounds")
    # Beside a Views `y` holds the labels, where there are any.
    if "X" in names and (where if where != "y" else "labels") in names and "y" in names
]


@pytest.mark.parametrize(("name", "where"), BESIDE_VIEWS)
def test_entries_beside_views_are_in_their_order(name, where):
    both, entries = Views(X, ENTRIES["y"]), ENTRIES["labels" if where == "y" else where]
    given = {
        "X": both,
        **({"labels": y} if where == "groups" and "labels" in DOORS[name][1] else {}),
    }
    enter(name, given | {where: entries})
    with pytest.raises(ValueError, match=f"indices.*`({where}|labels|y)` differ"):
        enter(name, given | {where: entries.iloc[ORDER]})


@pytest.mark.parametrize("name", [
    name for name, (call, names) in DOORS.items()
    if "labels" in names and "tuple of two array-likes" in inspect.getdoc(call)
])  # fmt: skip
def test_labels_of_unpaired_rows_are_in_the_order_of_their_view(name):
    frames = {n: ENTRIES[n] for n in DOORS[name][1] & {"X", "y", "Zx", "Zy"}}
    for labels in ((CLASSES.iloc[ORDER], CLASSES), (CLASSES, CLASSES.iloc[ORDER])):
        enter(name, plain(frames) | {"labels": labels})
        with pytest.raises(ValueError, match=r"`(X|y|Zx|Zy)` and `labels\[[01]\]` differ"):
            enter(name, frames | {"labels": labels})


@doors
def test_tuples_of_labels_are_lists_of_them(name):
    # A tuple of two arrays alone is that of the labels of two unpaired views.
    *_, (names,) = sides(DOORS[name][1])
    labels = names & {"labels", "query_labels"}
    assert enter(name, plain(names) | {n: tuple(CLASSES) for n in labels}) is not None


def with_entry(entries, value):
    entries = entries.astype(object)
    entries.iloc[3] = value
    return entries


MISSING = {"None": None, "NaN": np.nan, "NA": pd.NA, "NaT": pd.NaT}
FAULTS = {name: (value, "missing") for name, value in MISSING.items()}
FAULTS["a number among names"] = 1, "mixes strings"

# Measures, and the pictures of them.
OF_MEASURES = [
    name
    for name, (call, _) in DOORS.items()
    if ".metrics." in call.__module__ or name.startswith(("PrecisionRecall", "Ranking"))
]


@doors
@pytest.mark.parametrize("fault", FAULTS)
def test_missing_names_of_rows_and_names_of_two_kinds_are_refused(name, fault):
    value, words = FAULTS[fault]
    *_, ([*names],) = sides(DOORS[name][1])
    names = [*names, *DOORS[name][1] & {"gallery_labels", "y_labels"}]
    draws = name in OF_MEASURES or name.startswith("EmbeddingDisplay")
    for argument in (n for n in names if "labels" in n or n == "groups"):
        if words == "missing" and draws:
            # The next test, and that of the display.
            continue
        entries = with_entry(ENTRIES[argument], value)
        for holder in (list, tuple, pd.Series, np.asarray):
            with pytest.raises(ValueError, match=f"(labels|groups)`.*{words}|unpaired"):
                enter(name, plain(names) | {argument: holder(entries)})


def figures(found):
    """Return the numbers of an answer without those of the queries that are left out."""
    if hasattr(found, "ax_"):
        names = "precision", "recall", "mean_average_precision", "relevant", "similarities"
        found = [getattr(found, n) for n in names if hasattr(found, n)]
    if isinstance(found, dict):
        found = [list(row.values()) for row in found.values()]
    parts = found if isinstance(found, list | tuple) else [found]
    flat = np.hstack([np.ravel(part) for part in parts])
    return flat[~np.isnan(flat)]


@pytest.mark.parametrize(("name", "missing"), [*zip(OF_MEASURES, cycle(MISSING), strict=False)])
def test_rows_without_a_label_are_left_out_of_measures_and_counted(name, missing):
    for groups in sides(DOORS[name][1] - {"relevance"}):
        given = {n: ENTRIES[n] for n in set().union(*groups)}
        for group in groups:
            fewer = given | {n: ENTRIES[n].drop(INDEX[3]) for n in group}
            expected = figures(enter(name, fewer))
            for argument in (n for n in group if "labels" in n):
                entries = given | {argument: with_entry(ENTRIES[argument], MISSING[missing])}
                counts = f"{N} (queries|items)".join(["1 of ", ".*have no label"])
                with pytest.warns(UserWarning, match=counts):
                    found = figures(enter(name, entries))
                np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_pictures_and_names_are_taken_by_position():
    entries = {n: ENTRIES[n] for n in ("queries", "gallery", "query_labels", "query_names")}
    texts = [text.get_text() for text in RankingDisplay.from_predictions(**entries, k=1).texts_]
    assert texts[0].split("\n") == ["song0", CLASSES.iloc[0]]
