"""Laws of whatever has one entry a row: its order, its missing entries, its kind, its container."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from _data import two_views
from _models import MODELS, SEARCHES, UNPAIRED
from _oracles import assert_same_bits
from sklearn import config_context
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skcca import (
    CCA,
    KCCA,
    ChunkSelector,
    ClusterCCA,
    CrossModalRetriever,
    Views,
    ViewTransformer,
    cross_val_embed,
    retrieval_map,
)
from skcca.cluster import SeededKMeans
from skcca.inspection import permutation_test_correlations, select_n_components
from skcca.metrics import retrieval_score

A, B, y = two_views()
NAMES = [f"song{i}" for i in range(90)]
X, Y = pd.DataFrame(A, index=NAMES), pd.DataFrame(B, index=NAMES)
LABELS = pd.Series(y, index=NAMES)
SONGS_BY_NAME = pd.Series([*A[:, None]], NAMES)
WEIGHTS = pd.Series(np.arange(90) % 5 + 1.0, index=NAMES)
ORDER = np.random.default_rng(0).permutation(90)
model = ClusterCCA(2).fit(A, B, y)
deep = clone(MODELS["DCCA"]).fit(A, B)
one_scaler = ViewTransformer(StandardScaler())

# The argument, what it holds in the order of X, and the call; public functions are elsewhere.
DOORS = {
    "Views": ("view1", Y, lambda v: Views(X, v)),
    "Views of sequences": ("view1", SONGS_BY_NAME, lambda v: Views(X, v)),
    "rows of a Views of sequences": ("y", LABELS,
        lambda v: ChunkSelector(strategy="middle").fit(Views(SONGS_BY_NAME)[:][np.arange(90)], v)),
    "ViewTransformer": ("y", LABELS, lambda v: one_scaler.fit(Views(X, Y), v)),
    "ViewTransformer.fit_transform": ("y", LABELS,
        lambda v: one_scaler.fit_transform(Views(A, Y), v)),
    "SeededKMeans": ("y", LABELS, lambda v: SeededKMeans().fit(X, v)),
    "SeededKMeans, weights": ("sample_weight", WEIGHTS,
        lambda v: SeededKMeans().fit(X, y, sample_weight=v)),
    "SeededKMeans.score": ("sample_weight", WEIGHTS,
        lambda v: SeededKMeans().fit(A, y).score(X, sample_weight=v)),
    "CCA.fit, target": ("y", LABELS, lambda v: CCA().fit(Views(X, Y), v)),
    "validation data": ("y_val", LABELS,
        lambda v: clone(MODELS["DCCA"]).fit(A, B, X_val=Views(X, Y), y_val=v)),
}  # fmt: skip
for name, estimator in MODELS.items():
    fit, fitted = clone(estimator).fit, clone(estimator).fit(A, B, y)
    DOORS |= {
        f"{name}.fit, y": ("y", Y, lambda v, fit=fit: fit(X, v, y)),
        f"{name}.fit": ("labels", LABELS, lambda v, fit=fit: fit(X, B, v)),
        f"{name}.fit, weights": ("sample_weight", WEIGHTS,
            lambda v, fit=fit: fit(Views(A, Y), sample_weight=v)),
        f"{name}.transform": ("y", Y, lambda v, m=fitted: m.transform(X, v)),
        f"{name}.score": ("labels", LABELS, lambda v, m=fitted: m.score(A, Y, v)),
        f"{name}.score, weights": ("sample_weight", WEIGHTS,
            lambda v, m=fitted: m.score(X, Y, y, sample_weight=v)),
    }  # fmt: skip
    if name in UNPAIRED:
        both = (WEIGHTS, WEIGHTS)
        DOORS |= {
            f"{name}.fit, unpaired": (r"labels\[1\]", LABELS,
                lambda v, fit=fit: fit(X, Y, labels=(LABELS, v))),
            f"{name}.fit, unpaired weights": (r"sample_weight\[0\]", WEIGHTS,
                lambda v, fit=fit: fit(X, Y, (y, y), sample_weight=(v, WEIGHTS))),
        }  # fmt: skip
    if name in SEARCHES:
        DOORS[f"{name}.fit, groups"] = ("groups", LABELS,
            lambda v, fit=fit: fit(Views(X, B), LABELS, groups=v))  # fmt: skip
    if hasattr(estimator, "partial_fit"):
        DOORS[f"{name}.partial_fit"] = ("labels", LABELS,
            lambda v, m=estimator: clone(m).partial_fit(X, Y, v))  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("door", DOORS)
def test_rows_of_another_order_are_refused_by_name(door):
    argument, entries, call = DOORS[door]
    call(entries)
    call(entries.to_numpy()[ORDER])  # without an index no order is known
    with pytest.raises(ValueError, match=f"indices of `.*` and `{argument}` differ"):
        call(entries.iloc[ORDER])


LISTS = {
    "NaN beside names": ["calm", float("nan"), "angry"] * 30,
    "None beside names": ("calm", None, "angry") * 30,
    "None beside numbers": [0, None, 1] * 30,
    "NA": pd.Series(["calm", pd.NA, "angry"] * 30),
    "NA beside integers that are no floats": pd.Series(
        [2**53, pd.NA, 2**53 + 1] * 30, dtype="Int64"
    ),
    "NA beside unsigned integers that are no floats": pd.Series(
        [2**53, pd.NA, 2**53 + 1] * 30, dtype="UInt64"
    ),
    "NaT": np.array(["2020", "NaT", "2021"] * 30, dtype="M8[Y]"),
    "variable width": np.array(["a", None, "b"] * 30, dtype=np.dtypes.StringDType(na_object=None)),
    "masked": np.ma.array([0, 9, 1] * 30, mask=[0, 1, 0] * 30),
}
NAMED = {
    "fit": lambda v: ClusterCCA().fit(A, B, list(v) if isinstance(v, tuple) else v),
    "score": lambda v: model.score(Views(A, B), v),
    "folds": lambda v: select_n_components(CCA(), A, B, n_components=1, groups=v),
    "query": lambda v: CrossModalRetriever().add(A).query(A, 2, groups=v),
}


@pytest.mark.parametrize("door", NAMED)
@pytest.mark.parametrize("kind", LISTS)
def test_missing_entries_are_no_class(kind, door):
    # Dates are no labels, whether they are missing or not.
    with pytest.raises(ValueError, match=r"holds (30|60) missing values|has dtype datetime64"):
        NAMED[door](LISTS[kind])
    with pytest.raises(ValueError, match=r"mixes strings|several types"):
        NAMED[door](["calm", 1, 2.5] * 30)
    with pytest.raises(ValueError, match="mixes strings"):
        NAMED[door](["calm", b"calm", "angry"] * 30)


@pytest.mark.parametrize("kind", [kind for kind in LISTS if kind != "NaT"])
def test_missing_annotations_leave_their_rows_free(kind):
    known = np.tile([True, False, True], 30)
    expected = sorted({v for v, k in zip(LISTS[kind], known, strict=True) if k})
    assert SeededKMeans().fit(A, LISTS[kind]).classes_.tolist() == expected
    labels = list(LISTS[kind]) if isinstance(LISTS[kind], tuple) else LISTS[kind]
    own = ClusterCCA(instance_weight=0.3).fit(A, B, labels)
    assert own.classes_.tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "limit"), [("f2", 2**11), ("f4", 2**24), ("f8", 2**53), (torch.bfloat16, 2**8)]
)
def test_whole_floats_are_labels_as_far_as_they_are_exact(dtype, limit):
    of = torch.tensor if isinstance(dtype, torch.dtype) else np.asarray
    classes = ClusterCCA().fit(A, B, of(limit - 1.0 - y, dtype=dtype)).classes_
    assert classes.dtype == np.int64
    assert classes.tolist() == [limit - 3, limit - 2, limit - 1]
    with pytest.raises(ValueError, match=rf"floats from 2\*\*{limit.bit_length() - 1} on"):
        ClusterCCA().fit(A, B, of(limit + 1.0 * y, dtype=dtype))


@pytest.mark.parametrize("kind", [list, tuple, lambda y: np.array([*"abc"], dtype="T")[y]])
def test_labels_of_any_container_are_those_of_an_array(kind):
    def answers(views, labels):
        own = clone(model).fit(*views, labels=labels)
        total = own.score(*views, labels=labels)
        return [*own.correlations_, total, retrieval_map(own, *views, labels=labels)]

    for views in ((A, B), (Views(A, B),)):
        np.testing.assert_allclose(answers(views, kind(y)), answers((A, B), y), rtol=1e-12)


DATES = pd.date_range("2020", periods=90)


class Frame:
    """A Dask frame, as far as it is looked at."""

    dask, columns, shape = {}, ["a"], (None, 1)


UNREADABLE = {
    "generator": (lambda V: iter(V), "one after another.*partial_fit"),
    "set": (lambda V: {1.0, 2.0}, "one after another"),
    "lazy frame": (lambda V: pl.DataFrame(V).lazy(), r"give `?\w+`?\.collect\(\)"),
    "Dask frame": (lambda V: Frame(), r"to_dask_array\(lengths=True\)"),
    "meta tensor": (lambda V: torch.tensor(V, device="meta"), "meta"),
    "masked": (lambda V: np.ma.array(V, mask=V > 3), "masked entries"),
    "dates": (lambda V: pd.DataFrame({"a": DATES, "b": 1.0}), "dtype datetime64"),
    "time zone": (lambda V: pd.DataFrame({"a": DATES.tz_localize("UTC")}), "UTC"),
    "spans": (lambda V: pd.DataFrame((V * 1e9).astype("m8[ns]")), "dtype timedelta64"),
    "periods": (lambda V: pd.DataFrame({"a": DATES.to_period("D")}), "period"),
    "dates of polars": (lambda V: pl.from_numpy(np.tile(DATES.to_numpy()[:, None], 2)), "Datetime"),
    "lists of dates": (lambda V: [[d] * 3 for d in DATES.to_numpy()], "dtype datetime64"),
    "objects": (lambda V: [[d] * 3 for d in DATES], "must hold numbers.*Timestamp"),
    "text": (lambda V: [["a"] * 3] * 90, "must hold numbers"),
}
READERS = {
    **{f"{name}.fit, X": ("X", lambda V, m=m: clone(m).fit(V, B, y)) for name, m in MODELS.items()},
    **{f"{name}.fit, y": ("y", lambda V, m=m: clone(m).fit(A, V, y)) for name, m in MODELS.items()},
    "transform": ("X", lambda V: model.transform(V)),
    "transform_y": ("y", lambda V: model.transform_y(V)),
    "score": ("y", lambda V: model.score(A, V)),
    "retrieval_map": ("X", lambda V: retrieval_map(model, V, B, y)),
    "SeededKMeans": ("X", lambda V: SeededKMeans().fit(V, y)),
    "add": ("V_new", lambda V: CrossModalRetriever().add(V)),
    "confounds": ("confounds", lambda V: permutation_test_correlations(CCA(), A, B, confounds=V)),
}


@pytest.mark.parametrize("door", READERS)
@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_holds_no_numbers_is_refused_by_name(kind, door):
    (make, words), (argument, call) = UNREADABLE[kind], READERS[door]
    with pytest.raises((TypeError, ValueError), match=f"(?s)`{argument}`.*{words}"):
        call(make(B if argument == "y" else A))


def test_lists_of_views_and_swapped_views_are_named():
    pair = [A, B]
    for call in (
        lambda: CCA().fit(pair),
        lambda: KCCA().fit(pair, B),
        lambda: Views(pair),
        lambda: Views((X, Y)),
        lambda: model.transform(pair),
        lambda: deep.transform(pair),
        lambda: model.score(pair),
        lambda: cross_val_embed(CCA(), pair),
    ):
        with pytest.raises((TypeError, ValueError), match=r"Views\(X, [Yy]\)"):
            call()
    lists = B.tolist(), A.tolist()
    for m, views in ((model, (B, A)), (deep, lists), (CCA(2).fit(X, Y), (Y, X))):
        for call in (m.transform, m.score, lambda *v, m=m: m.transform(Views(*v))):
            with pytest.raises(ValueError, match=r"`X`, the first view.* swapped\?"):
                call(*views)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("name", MODELS)
def test_short_floats_of_torch_are_read_as_float32(name, dtype):
    short = [torch.tensor(V).to(dtype) for V in (A, B)]
    single = [V.float() for V in short]
    found, expected = (clone(MODELS[name]).fit(*views, y) for views in (short, single))
    for views in (short, [Views(*short)]):
        assert_same_bits(list(found.transform(*views)), expected.transform(*single))


@pytest.mark.parametrize("names", [["e", 1, 2, 3], [1, "e", 2, 3]])
@pytest.mark.parametrize("name", MODELS)
def test_names_of_both_views_are_those_of_scikit_learn(name, names):
    for views in ((X.set_axis([*names, "z"], axis=1), B), (A, Y.set_axis(names, axis=1))):
        with pytest.raises(TypeError, match="Feature names are only supported"):
            clone(MODELS[name]).fit(*views, y)
    polars = pl.DataFrame(B, schema=[*"abcd"])
    m = clone(MODELS[name]).fit(A, polars, y)
    with pytest.raises(ValueError, match=r"(?s)columns of `y`.*\['a', 'b', 'c', 'd'\]"):
        m.transform(A, polars.select([*"dcba"]))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_what_is_used_inside_keeps_to_its_own_output(output):
    landmarks = KCCA(2, reg=0.1, approximation="nystroem", n_landmarks=20, random_state=0)
    features = KCCA(2, reg=0.1, approximation="random_features", kernel="rbf", random_state=0)
    for m, data in ((SeededKMeans(), (X, y)), (landmarks, (X, Y)), (features, (X, Y))):
        expected = m.fit(*data).transform(X)
        with config_context(transform_output=output):
            found = m.fit(*data).transform(X)
        np.testing.assert_array_equal(found, expected)
        assert output == "polars" or found.index.equals(X.index)


@pytest.mark.parametrize("views", [(X, B), (A, Y)], ids=["first", "second"])
def test_a_frame_beside_an_array_gives_one_index(views):
    with config_context(transform_output="pandas"):
        own = ClusterCCA(2).fit(*views, y)
        pair = own.transform(*views)
        assert all(Z.index.equals(X.index) for Z in (*pair, *own.transform(Views(*views))))
        assert retrieval_map(own, *views, labels=LABELS) == retrieval_score(*pair, LABELS)
    assert retrieval_map(own, *views, labels=y) == retrieval_score(*own.transform(A, B), y)
