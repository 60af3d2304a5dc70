"""Learning in batches: any split, in any order, gives what `fit` gives on all rows."""

import copy
import pickle
import tracemalloc
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from _data import KINDS, make_tags, two_views
from _interrupt import interrupt
from _oracles import assert_same_linear_model as assert_same_model
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import LinAlgWarning
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skcca import CCA, ClusterCCA, Views

N = 90
NAMES = np.array(["calm", "glad", "sad", "wild"])
X, Y, y = two_views(N, n_classes=4)
X, Y = X + 100, Y - 3
TAGS, W = make_tags(N, 5), np.random.default_rng(1).random(N) + 0.1
COUNTS, TOTALS = np.bincount(y), TAGS.sum(axis=0)


def batches(sizes=(40, 1, 30, 1, 18), order=None):
    """Split the rows in some order into batches of given sizes."""
    order = np.arange(N) if order is None else order
    return np.split(order, np.cumsum(sizes)[:-1])


def in_batches(model, parts, labels=None, weights=None, first=None):
    """Return a model fitted in batches; what their small beginnings warn of is not the law."""
    model = clone(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (UserWarning, LinAlgWarning))
        for i, rows in enumerate(parts):
            model.partial_fit(
                X[rows],
                Y[rows],
                None if labels is None else labels[rows],
                sample_weight=None if weights is None else weights[rows],
                **(first or {} if i == 0 else {}),
            )
    return model


# name: model, labels, what the first call declares beside
CASES = {
    "CCA": (CCA(), None, {}),
    "CCA with a ridge": (CCA(2, reg=(0.1, 0.0), scale=False), None, {}),
    "CCA scaled by correlation": (CCA(component_scaling="correlation"), None, {}),
    "CCA that ignores labels": (CCA(), y, {}),
    "classes": (ClusterCCA(), y, {}),
    "classes by name": (ClusterCCA(reg=0.1), NAMES[y], {"classes": NAMES}),
    "declared classes": (ClusterCCA(), y, {"classes": [3, 1, 0, 2]}),
    "names as objects": (ClusterCCA(), NAMES[y], {"classes": NAMES.astype(object)}),
    "counts in an order of their own": (
        ClusterCCA(),
        y,
        {"classes": [3, 1, 0, 2], "class_counts": COUNTS[[3, 1, 0, 2]]},
    ),
    "counts by name": (
        ClusterCCA(2),
        NAMES[y],
        {"class_counts": dict(zip(NAMES[::-1], COUNTS[::-1], strict=True))},
    ),
    "classes weigh as rows": (ClusterCCA(pair_weight="row"), y, {}),
    "classes weigh as rows, with counts": (
        ClusterCCA(pair_weight="row"),
        y,
        {"class_counts": dict(enumerate(COUNTS))},
    ),
    "blend": (ClusterCCA(instance_weight=0.3), y, {}),
    "blend with counts": (
        ClusterCCA(instance_weight=0.7, reg=0.05),
        y,
        {"class_counts": dict(enumerate(COUNTS))},
    ),
    "blend by rows": (ClusterCCA(instance_weight=0.3, pair_weight="row"), y, {}),
    "own pairs alone": (ClusterCCA(instance_weight=1.0), y, {}),
    "tags": (ClusterCCA(), TAGS, {}),
    "tags with counts": (ClusterCCA(), TAGS, {"class_counts": TOTALS}),
    "tags weigh as rows": (ClusterCCA(pair_weight="row"), TAGS, {}),
    "blend of tags": (ClusterCCA(instance_weight=0.2), TAGS, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_batches_equal_one_fit(case):
    model, labels, first = CASES[case]
    whole = clone(model).fit(X, Y, labels)
    found = in_batches(model, batches(), labels, first=first)
    assert_same_model(found, whole)
    assert found.n_samples_seen_ == N
    np.testing.assert_allclose(found.transform(X), whole.transform(X), atol=1e-8)


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend", "tags"])
@settings(max_examples=6)  # each fits up to nine models
@given(seed=st.integers(0, 2**16), cuts=st.sets(st.integers(1, N - 1), max_size=8))
def test_any_split_in_any_order_equals_one_fit(case, seed, cuts):
    model, labels, first = CASES[case]
    order = np.random.default_rng(seed).permutation(N)
    parts = np.split(order, sorted(cuts))
    assert_same_model(in_batches(model, parts, labels, first=first), model.fit(X, Y, labels))


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend by rows", "tags"])
def test_rows_one_by_one_equal_one_fit(case):
    model, labels, first = CASES[case]
    order = np.random.default_rng(0).permutation(N)
    found = in_batches(model, batches([1] * N, order), labels, first=first)
    assert_same_model(found, clone(model).fit(X, Y, labels))


@pytest.mark.parametrize("case", [c for c in CASES if "counts" not in c])
def test_weights_keep_their_scale_between_batches(case):
    model, labels, first = CASES[case]
    weights = W * np.where(np.arange(N) < 50, 1e-3, 7.0)
    weights[60] = 0.0
    found = in_batches(model, batches(), labels, weights, first)
    assert_same_model(found, clone(model).fit(X, Y, labels, sample_weight=weights))


def test_counts_are_sums_of_weights():
    counts = {c: W[y == c].sum() for c in range(4)}
    found = in_batches(ClusterCCA(), batches(), y, W, {"class_counts": counts})
    assert_same_model(found, ClusterCCA().fit(X, Y, y, sample_weight=W))


def test_before_the_end_a_class_has_its_declared_weight():
    first = {"class_counts": dict(enumerate(COUNTS))}
    model = in_batches(ClusterCCA(reg=0.1), [np.arange(20), np.arange(20, 40)], y, first=first)
    i, j = np.nonzero(y[:40, None] == y[:40])
    weight = (COUNTS / np.bincount(y[:40]))[y[i]]
    pairs = CCA(3, reg=0.1).fit(X[i], Y[j], sample_weight=weight)
    np.testing.assert_allclose(model.correlations_, pairs.correlations_, atol=1e-10)
    np.testing.assert_allclose(model.x_mean_, pairs.x_mean_, rtol=1e-10)


@pytest.mark.parametrize("case", ["classes", "classes weigh as rows", "blend", "tags"])
def test_sorted_by_class_the_model_waits_and_then_is_exact(case):
    model, labels, _ = CASES[case]
    order = np.argsort(y, kind="stable")
    parts = [order[y[order] == c] for c in (2, 0, 3, 1)]  # a new class may come between old ones
    if case == "classes":
        first = clone(model)
        with pytest.warns(UserWarning, match="no direction yet.*waits for more"):
            first.partial_fit(X[parts[0]], Y[parts[0]], labels[parts[0]])
        with pytest.raises(NotFittedError):
            first.transform(X)
        assert first.n_samples_seen_ == len(parts[0])
        first.partial_fit(X[parts[1]], Y[parts[1]], labels[parts[1]])
        assert first.classes_.tolist() == [0, 2]
        assert first.n_components_ == 1
    assert_same_model(in_batches(model, parts, labels), clone(model).fit(X, Y, labels))


KINDS_OF_BATCHES = ["Fortran order", "memory map", "list", "coo", "pandas", "Views"]


@pytest.mark.parametrize("kind", KINDS_OF_BATCHES)
@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name"])
def test_batches_of_any_kind(case, kind):
    model, labels, first = CASES[case]
    convert = KINDS.get(kind, lambda V: V)
    found = clone(model)
    for i, rows in enumerate((slice(0, 50), slice(50, N))):
        own = None if labels is None else labels[rows]
        views = (convert(X[rows]), convert(Y[rows]), own)
        if kind == "Views":
            views = (Views(audio=X[rows], visual=Y[rows]), own)
        found.partial_fit(*views, **first if i == 0 else {})
    assert_same_model(found, clone(model).fit(X, Y, labels))
    if kind == "pandas":
        assert found.feature_names_in_.tolist() == [f"c{i}" for i in range(5)]
    if kind == "Views":
        assert found.view_names_in_ == ("audio", "visual")


def wrong(match, kind=None, *, labelled=True, first=None, change=None, **batch):
    return pytest.param(match, labelled, first or {}, change or {}, batch, id=kind or match)


def frame(V, prefix="f"):
    return pd.DataFrame(V, columns=[f"{prefix}{i}" for i in range(V.shape[1])])


EXACT = {"class_counts": dict(enumerate(COUNTS))}
WRONG = [
    wrong("says", "more rows than declared", first=EXACT, labels=np.zeros(50, int)),
    wrong("does not name", "class not declared", first={"classes": range(4)}, labels=y[40:] + 3),
    wrong("this batch has no labels", labels=None),
    wrong("only this batch has labels", labelled=False, labels=y[40:]),
    wrong("pairing was", change={"instance_weight": 0.5}),
    wrong("pairing was", "weight of pairs", change={"pair_weight": "row"}),
    wrong("4 features.*5 features", X=X[40:, :4]),
    wrong("3 features.*4", Y=Y[40:, :3]),
    wrong("rows but `y` has", X=X[41:], labels=y[41:]),
    wrong("has 49 entries", labels=y[41:]),
    wrong("NaN", X=np.where(np.arange(5) == 2, np.nan, X[40:])),
    wrong("infinity", Y=np.where(np.arange(4) == 2, np.inf, Y[40:])),
    wrong("range of float64", X=X[40:] * 1e160),
    wrong("do not go with", "names after numbers", labels=NAMES[y[40:]]),
    wrong("no integer type holds both", "numbers of two kinds", labels=y[40:].astype(np.uint64)),
    wrong("are a matrix, .* are classes", "tags after classes", labels=TAGS[40:]),
    wrong("missing", "missing label", labels=np.where(y[40:] == 2, np.nan, y[40:])),
    wrong("continuous", labels=W[40:]),
    wrong("unpaired|paired", labels=(y[40:], y[40:])),
    wrong("[Nn]egative", weights=-W[40:]),
    wrong("weights up to 1e", weights=np.full(50, 1e308)),
    wrong("weights up to 1e", "pairs of huge weights", weights=np.full(50, 1e160)),
    wrong("at most 1e-200", "pairs of tiny weights", weights=np.full(50, 1e-200)),
]


@pytest.mark.parametrize(("match", "labelled", "first", "change", "batch"), WRONG)
def test_a_wrong_batch_is_refused_and_leaves_no_trace(match, labelled, first, change, batch):
    labels, model = y if labelled else None, ClusterCCA()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the batch without labels
        model.partial_fit(X[:40], Y[:40], None if labels is None else y[:40], **first)
        before = pickle.dumps(model)
        own = model.get_params()
        bad = {"X": X[40:], "Y": Y[40:], "labels": y[40:], "weights": None} | batch
        model.set_params(**change)
        with pytest.raises(ValueError, match=match):
            model.partial_fit(bad["X"], bad["Y"], bad["labels"], sample_weight=bad["weights"])
        model.set_params(**own)
        assert pickle.dumps(model) == before
        model.partial_fit(X[40:], Y[40:], None if labels is None else y[40:])
        assert_same_model(model, clone(model).fit(X, Y, labels))


def test_columns_are_held_against_those_of_the_first_batch():
    model = CCA().partial_fit(frame(X[:40]), frame(Y[:40], "g"))
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(frame(X[40:])[["f1", "f0", "f2", "f3", "f4"]], frame(Y[40:], "g"))
    with pytest.raises(ValueError, match="columns of `y`"):
        model.partial_fit(frame(X[40:]), frame(Y[40:], "g")[["g1", "g0", "g2", "g3"]])
    model.partial_fit(frame(X[40:]), frame(Y[40:], "g"))
    assert_same_model(model, CCA().fit(X, Y))


@pytest.mark.parametrize(
    ("model", "first", "match"),
    [
        (ClusterCCA(), {"classes": [0, 1, 2, 3, 3]}, "twice"),
        (ClusterCCA(), {"classes": [0, 1, 2]}, "does not name"),
        (ClusterCCA(), {"class_counts": COUNTS}, "order of `classes`"),
        (ClusterCCA(), {"classes": range(4), "class_counts": COUNTS[:3]}, "4 positive numbers"),
        (ClusterCCA(), {"classes": range(4), "class_counts": COUNTS * 0}, "positive"),
        (ClusterCCA(), {"classes": range(4), "class_counts": COUNTS * np.nan}, "positive"),
        (ClusterCCA(), {"classes": [0, 1, 2], "class_counts": {0: 9, 4: 9}}, "name the same"),
        (ClusterCCA(), {"class_counts": dict.fromkeys(range(4), 1)}, "has .* rows by now"),
        (ClusterCCA(), {"classes": NAMES}, "do not go with"),
        (ClusterCCA(), {"classes": [*range(4), None]}, "`classes` holds 1 missing value"),
        (ClusterCCA(), {"classes": {0, 1, 2, 3}}, "`classes` has 0 dimensions"),
        (ClusterCCA(), {"class_counts": {np.nan: 2, 0: 9}}, "`class_counts` holds 1"),
        (ClusterCCA(), {"class_counts": dict.fromkeys(range(4), "many")}, "4 positive numbers"),
        (ClusterCCA(reg=-1.0), {}, "reg"),
    ],
)
def test_a_wrong_beginning_is_refused_and_forgotten(model, first, match):
    fresh = vars(model).copy()
    with pytest.raises(ValueError, match=match):
        model.partial_fit(X, Y, y, **first)
    assert vars(model) == fresh


@pytest.mark.parametrize("wrong", [{"reg": "auto"}, {"reg": ("auto", 0.1)}, {"solver": "svd"},
    {"pair_fraction": 0.5}, {"pairs_per_sample": 3}])  # fmt: skip
def test_parameters_that_need_all_rows_leave_no_partial_fit(wrong):
    model = ClusterCCA().partial_fit(X, Y, y).set_params(**wrong)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as raised:
        model.partial_fit(X, Y, y)
    assert f"`{next(iter(wrong))}`=" in str(raised.value.__cause__)
    assert get_tags(model).input_tags.sparse == ("auto" not in str(wrong))


# Interrupts


def state(model):
    """Return all that a model has learned, to the bit; of the sums, the moments that they give."""
    learned = {k: v for k, v in vars(model).items() if k.endswith("_") and not k.startswith("_")}
    moments, shift_lost_precision = model._sums.moments()
    learned |= {**moments._asdict(), "shift_lost_precision": shift_lost_precision}
    return {k: np.asarray(v).tobytes() for k, v in learned.items()}


@pytest.mark.parametrize("case", ["CCA", "classes", "counts by name", "blend by rows", "tags"])
def test_an_interrupted_batch_is_in_or_out(case):
    model, labels, first = CASES[case]
    rng, n_cut = np.random.default_rng(0), 0
    for trial in range(20):
        rows = np.array_split(np.r_[30:N, :10], 10)[trial % 10]
        if not trial % 10:
            seen = in_batches(model, [np.arange(10, 30)], labels, first=first)
        own = None if labels is None else labels[rows]
        before, twin = state(seen), copy.deepcopy(seen)
        n_steps = interrupt(partial(twin.partial_fit, X[rows], Y[rows], own), None)
        after, at = state(twin), int(rng.integers(1, n_steps + 1))
        interrupt(partial(seen.partial_fit, X[rows], Y[rows], own), at)
        assert state(seen) in (before, after)
        if state(seen) == before:
            n_cut += 1
            seen.partial_fit(X[rows], Y[rows], own)
        assert state(seen) == after
    assert n_cut > 10


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_values_whose_squares_leave_the_range_are_no_beginning(scale):
    with pytest.raises(ValueError, match="range of float64"):
        CCA().partial_fit(X * scale, Y)


def test_counts_in_a_series_are_taken_by_their_index():
    counts = pd.Series(y).value_counts()  # by size, not by class
    model = ClusterCCA().partial_fit(X, Y, y, class_counts=counts)
    assert_same_model(model, ClusterCCA().fit(X, Y, y))


def test_a_model_that_ignores_labels_ignores_their_classes():
    model = CCA().partial_fit(X, Y, y, classes=range(4), class_counts=COUNTS)
    assert_same_model(model, CCA().fit(X, Y))


def test_classes_without_labels_are_refused():
    with pytest.warns(UserWarning, match="no labels"), pytest.raises(ValueError, match="go with"):
        ClusterCCA().partial_fit(X, Y, classes=range(4))


@pytest.mark.parametrize("counts", [None, dict(enumerate(COUNTS))])
def test_of_own_pairs_alone_the_classes_are_remembered(counts):
    order = np.argsort(y, kind="stable")
    model = ClusterCCA(instance_weight=1.0)
    for rows in np.array_split(order, 3):
        model.partial_fit(X[rows], Y[rows], y[rows], class_counts=counts)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    expected = CCA(component_scaling="correlation").fit(X, Y)
    np.testing.assert_allclose(abs(model.transform(X)), abs(expected.transform(X)), atol=1e-9)


def test_a_warning_made_an_error_leaves_a_whole_state():
    model = CCA().partial_fit(X[:40], Y[:40])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="n_components"):
            model.set_params(n_components=9).partial_fit(X[40:], Y[40:])
    model.set_params(n_components=None)
    if model.n_samples_seen_ == 40:  # the batch was refused, so it may come again
        model.partial_fit(X[40:], Y[40:])
    assert_same_model(model, CCA().fit(X, Y))


def test_fit_starts_anew():
    model = CCA().partial_fit(X[:40], Y[:40]).fit(X[40:], Y[40:])
    assert_same_model(model, CCA().fit(X[40:], Y[40:]))
    assert not hasattr(model, "n_samples_seen_")
    assert not hasattr(model, "_sums")


def test_partial_fit_after_fit_warns_and_starts_anew():
    model = ClusterCCA().fit(X[:40, :3], Y[:40, :2], NAMES[y[:40]])
    with pytest.warns(UserWarning, match="starts anew"):
        model.partial_fit(X[40:], Y[40:], y[40:])
    assert_same_model(model, ClusterCCA().fit(X[40:], Y[40:], y[40:]))


def test_a_model_that_waits_after_fit_has_no_old_directions():
    model = CCA().fit(X[:, :3], Y)
    with pytest.warns(UserWarning, match="starts anew|waits for more"):
        model.partial_fit(X[:1], Y[:1])
    with pytest.raises(NotFittedError):
        model.transform(X)


def test_poor_conditioning_warns():
    A = np.hstack([X, X[:, :1] + 1e-9 * np.random.default_rng(0).normal(size=(N, 1))])
    model = CCA()
    with pytest.warns(LinAlgWarning, match="poorly conditioned|rank"):
        model.partial_fit(A, Y)
    assert np.isfinite(model.x_weights_).all()
    assert np.abs(model.x_weights_).max() < 1e4
    assert model.x_rank_ == 5


def test_names_of_views_are_held_against_those_of_the_first_batch():
    model = CCA().partial_fit(Views(audio=X[:40], visual=Y[:40]))
    with pytest.raises(ValueError, match=r"audio.*visual"):
        model.partial_fit(Views(visual=X[40:], audio=Y[40:]))


@pytest.mark.parametrize("tags", [TAGS[:, :3], np.hstack([TAGS, TAGS])])
def test_tags_of_another_number_are_refused(tags):
    model = ClusterCCA().partial_fit(X[:40], Y[:40], TAGS[:40])
    with pytest.raises(ValueError, match=r"tags|columns"):
        model.partial_fit(X[40:], Y[40:], tags[40:])


def test_a_copy_goes_on_and_a_clone_starts_anew():
    model = in_batches(ClusterCCA(), [np.arange(40)], y)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        twin.partial_fit(X[40:], Y[40:], y[40:])
        assert_same_model(twin, ClusterCCA().fit(X, Y, y))
    assert model.n_samples_seen_ == 40  # copies have sums of their own
    assert not hasattr(clone(model), "_sums")


@pytest.mark.parametrize("declared", [True, False])
def test_one_matrix_a_view_is_kept_with_declared_counts(declared):
    rng = np.random.default_rng(0)
    n_classes, d = 1000, 16
    labels = np.arange(n_classes).repeat(2)
    A, B = (rng.normal(size=(2000, d)) + rng.normal(size=(n_classes, d))[labels] for _ in "xy")
    counts = dict.fromkeys(range(n_classes), 2) if declared else None
    tracemalloc.start()
    state = ClusterCCA(2).partial_fit(A, B, labels, class_counts=counts)._sums
    kept, peak = (number / 8 for number in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert state.n_rows == 2000
    of_classes = n_classes * 2 * d**2
    assert kept < of_classes / 4 if declared else kept > of_classes
    assert peak < n_classes**2  # and none of classes by classes


def test_labels_are_requested_by_default():
    with config_context(enable_metadata_routing=True):
        for model in (CCA(), ClusterCCA()):
            requests = model.get_metadata_routing().partial_fit.requests
            assert requests["labels"] is requests["sample_weight"] is True
