"""One table of bad input: a callable, what is changed, the exception, and words of its message."""

import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from _data import HEARD, SONGS, VISUAL, two_views
from _models import (
    CLASS,
    INSTANCE,
    MODELS,
    OF_PAIRS,
    SEARCHES,
    SMALL,
    UNPAIRED,
    selector,
    trained_selector,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.cross_decomposition import PLSSVD, PLSCanonical
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from skcca import (
    CCA,
    CCACV,
    DCCA,
    KCCA,
    ClusterCCA,
    ClusterCCACV,
    CrossModalRetriever,
    SupervisedDCCA,
    Views,
    cross_val_embed,
    datasets,
    make_retrieval_scorer,
    metrics,
    nn,
    retrieval_map,
)
from skcca.audio import audio_frames
from skcca.cluster import SeededKMeans, SoftMembership
from skcca.inspection import (
    bootstrap_loadings,
    multivariate_tests,
    permutation_test_correlations,
    report,
    select_n_components,
    wilks_test,
)
from skcca.model_selection import PartlyLabelledKFold
from skcca.nn.training import make_optimizer
from skcca.plotting import (
    AttentionDisplay,
    CorrelationDisplay,
    EmbeddingDisplay,
    LoadingsDisplay,
    PrecisionRecallDisplay,
    RankingDisplay,
)

X, Y, y = two_views()
NAN = np.where(np.eye(90, 4) > 0, np.nan, Y)
A = pd.DataFrame(X, columns=[f"a{i}" for i in range(5)])
V = pd.DataFrame(Y, columns=[f"v{i}" for i in range(4)])
MISALIGNED = pd.DataFrame(Y, index=range(90)[::-1])
TAGS = np.eye(3, dtype=int)[y]

# The two-view estimators; the words are literal.

FIT = {
    "no second view": (lambda m: m.fit(X), "second view"),
    "NaN in the first view": (lambda m: m.fit(NAN, Y, y), "Input X contains NaN"),
    "NaN in the second view": (lambda m: m.fit(X, NAN, y), "Input y contains NaN"),
    "infinity": (lambda m: m.fit(X, np.where(np.isnan(NAN), np.inf, Y), y), "contains infinity"),
    "empty": (lambda m: m.fit(X[:0], Y[:0]), "0 sample"),
    "no columns": (lambda m: m.fit(X, Y[:, :0], y), "0 feature"),
    "one row": (lambda m: m.fit(X[:1], Y[:1]), "minimum of 2 is required"),
    "rows differ": (lambda m: m.fit(X, Y[:50]), "`X` has 90 rows but `y` has 50"),
    "constant first view": (lambda m: m.fit(np.ones((90, 5)), Y, y), "`X` has no feature that v"),
    "constant second view": (lambda m: m.fit(X, np.ones((90, 4)), y), "`y` has no feature that"),
    "three dimensions": (lambda m: m.fit(X[:, :, None], Y, y), "3"),
    "masked": (lambda m: m.fit(np.ma.masked_array(X, mask=X > 3), Y, y), "masked entries"),
    "dates": (lambda m: m.fit(X, Y.astype("datetime64[s]"), y), "`y` has dtype datetime64"),
    "text as second view": (lambda m: m.fit(X, np.where(y == 0, "a", "b")), "fit(X, Y, labels)"),
    "labels of another length": (lambda m: m.fit(X, Y, y[:50]),
        "`labels` has 50 entries but `X` has 90 rows"),
    "continuous labels": (lambda m: m.fit(X, Y, X[:, 0]), "skcca.cluster.SoftMembership"),
    "memberships with NaN": (lambda m: m.fit(X, Y, np.where(TAGS, np.nan, 0.5)),
        "90 missing values (None, NaN or masked); a row that is not known is a row of zeros"),
    "memberships that vanish": (lambda m: m.fit(X, Y, TAGS * 1e-80), "between 1e-70 and 1e+70"),
    "memberships out of range": (lambda m: m.fit(X, Y, TAGS * 1e80), "between 1e-70 and 1e+70"),
    "labels without a column": (lambda m: m.fit(X, Y, np.empty((90, 0))), "without a column"),
    "labels as records": (lambda m: m.fit(X, Y, y.astype([("mood", int)])), "has dtype [('mood'"),
    "labels as counts of votes": (lambda m: m.fit(X, Y, 2 * TAGS), "labels.astype(float)"),
    "labels as intervals": (lambda m: m.fit(X, Y, pd.cut(y, 3)), "Name every class"),
    "labels of mixed type": (lambda m: m.fit(X, Y, [0] + ["b"] * 89), "mixes strings"),
    "labels as dates": (lambda m: m.fit(X, Y, np.full(90, np.datetime64("2020-01-01"))), "dtype"),
    "negative memberships": (lambda m: m.fit(X, Y, TAGS - 0.1), "memberships are at least 0"),
    "labels in two integer columns": (lambda m: m.fit(X, Y, np.column_stack([y, y])),
        "binary indicator matrix"),
    "labels as lists of tags": (lambda m: m.fit(X, Y, [["calm"], ["calm", "warm"], ["warm"]] * 30),
        "MultiLabelBinarizer"),
    "labels as arrays of unequal shape": (
        lambda m: m.fit(X, Y, [np.zeros((2, 3)), *[np.zeros((2, 4))] * 89]),
        "a list of tags per row"),
    "labels in three dimensions": (lambda m: m.fit(X, Y, np.zeros((90, 2, 2))), "3 dimensions"),
    "labels twice": (lambda m: m.fit(Views(X, Y), y, labels=y), "given twice"),
    "one view in a Views": (lambda m: m.fit(Views(X, None), y), "needs both views"),
    "three views": (lambda m: m.fit(Views(X, Y, Y), y), "needs two views"),
    "Views as second view": (lambda m: m.fit(X, Views(X, Y)), "fit(Views(X, y), labels)"),
    "negative weights": (lambda m: m.fit(X, Y, y, sample_weight=-np.ones(90)), "Negative values"),
    "weights of zero": (lambda m: m.fit(X, Y, y, sample_weight=np.zeros(90)), "zero"),
    "weights with NaN": (lambda m: m.fit(X, Y, y, sample_weight=NAN[:, 0]), "NaN"),
    "weights of another length": (lambda m: m.fit(X, Y, y, sample_weight=np.ones(5)),
        "sample_weight"),
    "masked weights": (
        lambda m: m.fit(X, Y, y, sample_weight=np.ma.array(np.ones(90), mask=np.arange(90) == 3)),
        "`sample_weight` has masked entries"),
    "frames that are not aligned": (lambda m: m.fit(A, MISALIGNED, y), "y = y.loc[X.index]"),
    "n_components of zero": (lambda m: clone(m).set_params(n_components=0).fit(X, Y, y),
        "'n_components'"),
}  # fmt: skip
UNKNOWN = np.where(np.arange(90) % 2 == 0, y, None)
CLASS_FIT = {
    "labels with None": (lambda m: m.fit(X, Y, UNKNOWN),
        "45 missing values (None, NaN or masked), and with `instance_weight`=0 such rows have no "
        "pair. Set instance_weight above 0"),
    "labels with NaN": (lambda m: m.fit(X, Y, UNKNOWN.astype(float)), "45 missing"),
    "labels with NA": (lambda m: m.fit(X, Y, pd.Series(["a", pd.NA] * 45)), "45 missing"),
    "labels with None to score": (lambda m: m.fit(X, Y, y).score(X, Y, UNKNOWN), "45 missing"),
    "labels with None of unpaired rows": (lambda m: m.fit(X, Y, labels=(y, UNKNOWN)),
        "`labels[1]` holds 45 missing values"),
    "no label at all": (lambda m: m.set_params(instance_weight=0.5).fit(X, Y, [None] * 90),
        "none of 90 rows has a label"),
    "second view beside Views": (lambda m: m.fit(Views(X, Y), Y), "fit(Views(X, Y), labels)"),
    "one class": (lambda m: m.fit(X, Y, np.zeros(90, int)), "at least 2 classes"),
    "three label arrays": (lambda m: m.fit(X, Y, labels=(y, y, y)), "labels=(labels_x, labels_y)"),
    "classes named in two ways": (lambda m: m.fit(X, Y, labels=(y, y.astype(str))),
        "name their classes alike"),
    "one set of tags, one of classes": (lambda m: m.fit(X, Y, labels=(y, TAGS)),
        "matrices with the same columns"),
    "one weight array for unpaired rows": (
        lambda m: m.fit(X, Y[:50], labels=(y, y[:50]), sample_weight=np.ones(90)),
        "(weights_x, weights_y)"),
    "own pairs of unpaired rows in a score": (
        lambda m: m.set_params(instance_weight=0.5).fit(X, Y, y).score(X, Y[:9], labels=(y, y[:9])),
        "set instance_weight=0"),
    "sampled tags": (lambda m: m.set_params(pair_fraction=0.5).fit(X, Y, TAGS),
        "sample within one class per row"),
    "sampled tags in a score": (
        lambda m: m.set_params(pairs_per_sample=5).fit(X, Y, y).score(X, Y, labels=TAGS),
        "sample within one class per row"),
    "no class in common to score": (
        lambda m: m.fit(X, Y, y).score(X, Y[:50], labels=(y, y[:50] + 10)),
        "the two views share no class"),
    "masked labels": (lambda m: m.fit(X, Y, np.ma.masked_array(y, mask=y == 0)), "masked"),
    "labels beyond exact floats": (lambda m: m.fit(X, Y, y * 1e300), "2**53"),
    "labels of two kinds": (lambda m: m.fit(X, Y, labels=(y.astype(np.uint64), y.astype(np.int64))),
        "no integer type"),
    "labels of another index": (lambda m: m.fit(A, V, pd.Series(y)[::-1]), "indices"),
}  # fmt: skip
UNPAIRED_FIT = {
    "no shared class": (lambda m: m.fit(X, Y, labels=(y, y + 10)), "at least 2 classes"),
    "own pairs of unpaired rows": (
        lambda m: m.set_params(instance_weight=0.5).fit(X, Y, labels=(y, y)),
        "set instance_weight=0"),
}  # fmt: skip
INSTANCE_FIT = {
    "rows differ with labels": (lambda m: m.fit(X, Y[:50], labels=(y, y[:50])),
        "labels=(labels_x, labels_y)"),
    "unpaired labels": (lambda m: m.fit(X, Y, labels=(y, y[::-1])), "pairs row i with row i"),
}  # fmt: skip
SEARCH_FIT = {
    "groups of another length": (lambda m: m.fit(X, Y, y, groups=y[:50]),
        "`groups` has 50 entries but `X` has 90 rows"),
    "groups with NaN": (lambda m: m.fit(X, Y, y, groups=NAN[:, 0]), "missing"),
}  # fmt: skip
AFTER_FIT = {
    "second view beside Views": (lambda m: m.transform(Views(X, Y), Y), "transform(Views(X, y))"),
    "Views as second view": (lambda m: m.transform(X, Views(X, Y)), "transform(Views(X, y))"),
    "no first view": (lambda m: m.transform(None, Y), "transform_y(y)"),
    "Views in transform_y": (lambda m: m.transform_y(Views(X, Y)), "the second view alone"),
    "rows differ": (lambda m: m.transform(X, Y[:50]), "`X` has 90 rows but `y` has 50"),
    "width of the first view": (lambda m: m.transform(X[:, :3]), "X has 3 features"),
    "width of the second view": (lambda m: m.transform(X, Y[:, :3]), "y has 3 features"),
    "width in transform_y": (lambda m: m.transform_y(Y[:, :3]), "y has 3 features"),
    "NaN in the second view": (lambda m: m.transform(X, NAN), "Input y contains NaN"),
    "three views": (lambda m: m.transform(Views(X, Y, Y)), "projects two views"),
    "indices differ": (lambda m: m.transform(pd.DataFrame(X), MISALIGNED), "pandas indices"),
    "one view to score": (lambda m: m.score(Views(X, None)), "needs both views"),
    "no view to retrieve": (lambda m: retrieval_map(m, None, Y, y), "first view, is None"),
    "two rows to score": (lambda m: m.score(X[:2], Y[:2]), "3 rows at least"),
    "labels twice to score": (lambda m: m.score(Views(X, Y), y, labels=y), "given twice"),
    "refit on a constant": (lambda m: m.fit(7 * X[:, :3], 0 * Y, y), "constant"),
}  # fmt: skip
AFTER_FRAMES = {
    "reordered columns": (lambda m: m.transform(A[A.columns[::-1]]), "feature names"),
    "reordered columns of the second view": (lambda m: m.transform(A, V[V.columns[::-1]]),
        "in the same order"),
}  # fmt: skip


def rows(*tables):
    """Parametrise over models and the rows of their tables."""
    return pytest.mark.parametrize(
        ("model", "call", "words"),
        [
            pytest.param(model, call, words, id=f"{name}-{what}")
            for models, table in tables
            for name, model in models.items()
            for what, (call, words) in table.items()
        ],
    )


@rows(
    (MODELS, FIT),
    (CLASS, CLASS_FIT),
    (INSTANCE, INSTANCE_FIT),
    (UNPAIRED, UNPAIRED_FIT),
    (SEARCHES, SEARCH_FIT),
)
def test_estimators_name_what_is_wrong_in_fit(model, call, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        call(clone(model))


@rows((MODELS, AFTER_FIT), (MODELS, AFTER_FRAMES))
def test_estimators_name_what_is_wrong_after_fit_and_stay_as_they_were(model, call, words):
    views = (A, V) if call in [frames for frames, _ in AFTER_FRAMES.values()] else (X, Y)
    fitted = clone(model).fit(*views, y)
    before = fitted.transform(*views)
    with pytest.raises(ValueError, match=re.escape(words)):
        call(fitted)
    for Z, found in zip(before, fitted.transform(*views), strict=True):
        np.testing.assert_array_equal(found, Z)


UNFITTED = {
    **{f"{name}.transform": lambda m=m: clone(m).transform(X) for name, m in MODELS.items()},
    **{f"{name}.transform_y": lambda m=m: clone(m).transform_y(Y) for name, m in MODELS.items()},
    "CCA.predict": lambda: CCA().predict(X),
    "CCA.predict_x": lambda: CCA().predict_x(Y),
    "CCA.inverse_transform": lambda: CCA().inverse_transform(X),
    "ChunkSelector.save": lambda: selector().save("nowhere"),
    "a clone of a selector": lambda: clone(trained_selector()).transform(SONGS),
    "a strategy that was not trained": lambda: (
        selector(strategy="middle").fit(SONGS).set_params(strategy="attention").transform(SONGS)
    ),
    **{
        f"CrossModalRetriever.{call}": lambda call=call: getattr(CrossModalRetriever(CCA(2)), call)(
            Y
        )
        for call in ("query", "add", "remove")
    },
    "CrossModalRetriever of a model": lambda: CrossModalRetriever(CCA(2), prefit=True).query(Y),
    "AttentionDisplay": lambda: AttentionDisplay.from_estimator(selector(), SONGS[0]),
    "LoadingsDisplay": lambda: LoadingsDisplay.from_estimator(CCA(2)),
}


@pytest.mark.parametrize("name", UNFITTED)
def test_what_is_not_fitted_says_so(name):
    with pytest.raises(NotFittedError):
        UNFITTED[name]()


# All other callables; the words are regular expressions.

X3, PLAIN, BYTES = np.eye(3), CCA(2), np.zeros(3, np.uint8)
LLR = {"metric": "log_likelihood_ratio"}
TOO_LARGE = np.where(X > 1, 10**400, X.astype(object))
INFINITIES = np.where(X > 1, np.inf, np.where(X < -1, -np.inf, X)).astype(np.float32)
ANNOTATED = [0, 1, -1, -1, -1, -1]
SIX = np.arange(12.0).reshape(6, 2)
BATCH = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
KERNEL = np.exp(-((X[:, None] - X) ** 2).sum(axis=-1))
VIDEOS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 3.0]])
WITH_NAN = [SONGS[0], SONGS[1] + np.array([0, 0, np.nan, 0, 0]), *SONGS[2:]]
NO_FLOATS = [({"V": V}, "float64|infinity|too large") for V in (TOO_LARGE, INFINITIES)]
UNRELATED = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
NOISE = np.random.default_rng(0).normal(scale=0.1, size=22_050)
NO_SOUND = [
    (3, "`source` is a int; expected the path"),
    (None, "`source` is a NoneType"),
    (b"a.wav", r"`source` is a bytes; .* io\.BytesIO\(content\)"),
    (pd.DataFrame({"a.wav": [1]}), "`source` is a DataFrame"),
    (np.array("a.wav"), "`source` is a ndarray"),
    (io.StringIO(), "open as text"),
    ({"a.wav": 1}, "`source` is a dict"),
    (np.zeros(9), r"samples need their rate in Hz: `source`=\(samples, rate\)"),
    ([np.zeros(9)], r"`source\[0\]` is a ndarray"),
    ((22_050, np.zeros(9)), r"`source` is \(rate, samples\); expected \(samples, rate\)"),
    (("a.wav", 22_050), "a file and a rate; give the file"),
    ((np.zeros(9), np.array("a")), r"`source\[0\]` is a ndarray"),
    ((np.zeros(9, complex), 22_050), "dtype complex128; expected floats"),
    ((np.zeros(9, int), 22_050), "dtype int64; expected floats"),
    ((["a", "b"], 22_050), "dtype <U1; expected floats"),
]
BAD_OF_SOUND = [
    *(("features", "mfcc"), ("n_bands", 0), ("n_bands", 1_025), ("sample_rate", 0)),
    *(("frame_duration", 0.05), ("frame_duration", np.inf), ("frame_duration", 10**400)),
    ("n_jobs", 1.5),
    *(("on_error", "ignore"), ("verbose", -1)),
]
LOSSES = {nn.contrastive_loss: "temperature", nn.ranking_loss: "margin"}
LOSSES |= dict.fromkeys([nn.cca_loss, nn.ey_loss, nn.singular_values], "reg")
SIZES = [(sizes, "hold integers of 1 or more")
         for sizes in ((0,), (8, -3), (8.0,), (True,), ["8"], np.array(8), [[8]])]  # fmt: skip
SIZES += [("8", "be an array-like")]
NO_SONGS = [
    *((SONGS[0].astype(dates), "take differences of dates") for dates in ("M8[s]", "m8[D]")),
    (pd.DataFrame({"a": [0.5], "b": pd.Timestamp("2020-01-01")}), "Datetime", TypeError),
    (torch.zeros((9, 5), device="meta"), "meta"),
    (torch.zeros((9, 5)).to_sparse(), "to_dense", TypeError),
]
NAMED_SONGS = pd.Series(SONGS, index=[f"song{i}" for i in range(60)])
SHUFFLED = pd.Series(HEARD, index=NAMED_SONGS.index).sample(frac=1, random_state=0)
MISSING_LABELS = [
    *([*HEARD[:-1], missing] for missing in (None, np.nan, pd.NA)),
    (np.nan, *HEARD[1:]),
    [[None], *HEARD[1:, None].tolist()],
    np.ma.masked_equal(np.arange(60) % 3, 1),
    np.ma.masked_equal(np.eye(2)[np.arange(60) % 2], 1),
]
BAD_OF_SELECTOR = {
    "n_chunks": 0,
    "k": 0,
    "frames_per_step": 1.5,
    "cell": "gru",
    "aggregate": "max",
    "strategy": "best",
    "dropout": 1.0,
    "optimizer": "lbfgs",
    "learning_rate": 0.0,
    "random_state": "a",
}


def fit(model, **settings):
    return lambda X=X, Y=Y, y=y, sample_weight=None, **changes: (
        clone(model).set_params(**settings | changes).fit(X, Y, y, sample_weight=sample_weight)
    )


def fitted_pairs(call):
    """Call a method of a model that was fitted before."""
    return getattr(CCA(2).fit(X, Y), call)


# Callable with its other arguments: rows of what is changed, words, and the exception if it is no
# ValueError.
CALLS = {
    "CCA": (fit(CCA()), [
        *(({"reg": reg}, "reg")
         for reg in (-1.0, "strong", (0.1, -1.0), (0.1, np.inf), np.float32(np.inf))),
        ({"X": TOO_LARGE}, "float64|too large"),
        ({"X": INFINITIES}, "infinity"),
        ({"Y": TOO_LARGE[:, :4]}, "float64|too large"),
        ({"Y": INFINITIES}, "infinity"),
        ({"X": sparse.csr_array(X), "reg": "auto"}, "reg.*toarray"),
        ({"X": UNRELATED[:, :1], "Y": UNRELATED[:, 1:], "y": None}, "no correlated direction"),
    ]),
    "CCACV": (fit(CCACV()), [
        ({"scoring": "map", "y": None}, "ranks rows by their labels, and none were given"),
        ({"cv": GroupKFold(3)}, "GroupKFold.* splits by groups: give `groups`"),
    ]),
    "ClusterCCACV": (fit(ClusterCCACV()), [
        ({"y": (y, y)}, "whose rows cannot be split together"),
    ]),
    "KCCA": (fit(KCCA(2)), [
        ({"reg": (-1e-3, 0.1)}, "reg"),
        ({"reg": (np.nan, 0)}, "reg"),
        ({"reg": ("auto", 0)}, "reg"),
        ({"reg": np.inf}, "reg"),
        ({"gamma": (-1, 1)}, "gamma"),
        ({"kernel": ("rbf", "bogus")}, "kernel"),
        ({"coef0": ("a", 1)}, "coef0"),
        ({"coef0": np.nan}, "coef0"),
        ({"kernel": "precomputed"}, r"must be square at fit.*Views\(K_x, K_y\)"),
        ({"kernel": "precomputed", "X": KERNEL + np.triu(np.ones((90, 90)), 1), "Y": KERNEL},
         "is not symmetric"),
        ({"kernel": "poly", "degree": 300, "coef0": 1e9}, "not finite"),
        ({"kernel": lambda a, b: np.nan}, "not finite"),
        ({"kernel": lambda a, b: 1.0}, "kernel is constant"),
        ({"kernel_params": {"width": 1}}, "belongs to a callable kernel"),
        ({"n_landmarks": 10}, "set approximation='nystroem'"),
        ({"kernel": "chi2", "X": np.abs(X), "Y": np.abs(Y)}, "set scale=False"),
        ({"approximation": "random_features", "kernel": "poly"},
         "cannot approximate `kernel`='poly'"),
        ({"approximation": "nystroem", "kernel": "precomputed", "X": KERNEL, "Y": KERNEL},
         "cannot approximate `kernel`='precomputed'"),
    ]),
    "DCCA": (fit(DCCA(2, **SMALL)), [
        ({"y_network": torch.nn.Linear(7, 2)}, "`y_network` failed on a batch of shape"),
        ({"y_network": "mlp"}, "`y_network` must be", TypeError),
        ({"x_network": torch.nn.Identity(), "y_network": torch.nn.Identity()},
         "no parameter to train"),
        ({"y_network": lambda *_: "network"}, "must return a torch.nn.Module; got str", TypeError),
        ({"learning_rate": 1e300}, "learning_rate"),
        ({"weight_decay": 1e300}, "weight_decay"),
        ({"device": "nowhere"}, "`device`='nowhere' is not usable"),
        ({"X": X[:12], "Y": Y[:12], "y": y[:12], "early_stopping": True, "n_components": 1},
         "`validation_fraction`=0.1 leaves"),
        *(({"callback": lambda epoch, answer=answer: answer},
          f"`callback` must .* got {type(answer).__name__}", TypeError)
         for answer in (np.ones(2), np.array([]), 1, "no", torch.tensor(True))),
        ({"X": np.repeat(X[:, None, None], 2, axis=2)},
         r"4 dimensions; give a network that takes rows of shape \(1, 2, 5\)"),
        *(({f"{side}_hidden_layer_sizes": sizes}, f"{side}_hidden_layer_sizes.* must {words}")
         for side in "xy" for sizes, words in SIZES),
    ]),
    "SupervisedDCCA": (fit(SupervisedDCCA(2, **SMALL)), [
        ({"optimizer": "lbfgs", "batch_size": None, "max_grad_norm": 1.0}, "would cut"),
        ({"loss": "ranking", "pair_fraction": 0.5}, "use all pairs"),
        ({"loss": "contrastive", "pairs_per_sample": 2}, "use all pairs"),
        ({"loss": "ranking", "y": TAGS + 0.1}, "by these labels every row shares one"),
        ({"optimizer": "lbfgs"}, "`batch_size`=512; set batch_size=None"),
        ({"optimizer": "lbfgs", "batch_size": None, "weight_decay": 0.1},
         r"SupervisedDCCA: .*'lbfgs' knows no `weight_decay`=0\.1"),
    ]),
    "CCA.predict": (fitted_pairs("predict"), [
        ({"X": X[:, :3]}, "3 features"),
        ({"X": X * np.nan}, "NaN"),
    ]),
    "CCA.predict_x": (fitted_pairs("predict_x"), [
        ({"y": Y[:, :3]}, "3 features"),
    ]),
    "CCA.inverse_transform": (fitted_pairs("inverse_transform"), [
        ({"X": X}, "2 columns, one for each component; got 5"),
        ({"X": X[:, :2], "y": Y}, "2 columns"),
        ({"X": [[np.inf, 0.0]]}, "infinity"),
        ({"X": X[:, 0]}, "1D array"),
        ({"X": TOO_LARGE[:, :2]}, "float64|too large"),
        ({"X": INFINITIES[:, :2]}, "infinity"),
    ]),
    "ChunkSelector": (lambda X=SONGS, y=HEARD, labels=None, **s: selector(**s).fit(X, y, labels), [
        ({"y": None}, "requires y to be passed, but the target y is None.*strategy='middle'"),
        ({"y": VISUAL}, r"`y` is continuous with shape \(60, 4\).*chunkselector__labels="),
        ({"y": VISUAL[:, 0]}, r"`y` is continuous with shape \(60,\)"),
        ({"y": np.full((60, 2), 0.5)}, "distributions .* are passed as labels="),
        ({"labels": VISUAL}, r"row 0 is no distribution over tags \(minimum -?\d.*sum -?\d"),
        ({"labels": np.full((60, 2), 0.4)}, "row 0 is no distribution.*sum 0.8"),
        ({"labels": VISUAL[:, 0]}, r"`labels` is continuous with shape \(60,\)"),
        ({"labels": np.full((50, 2), [0.3, 0.7])}, "50 rows but `X` has 60 songs"),
        ({"labels": np.full((60, 2), [0.3, 0.7])}, "all songs have the same label"),
        ({"y": np.full(60, "warm")}, "all songs have the same label"),
        ({"y": np.ones((60, 2), dtype=int)}, "all songs have the same label"),
        ({"y": HEARD[:50]}, "50 entries but `X` has 60"),
        ({"y": np.where(np.arange(60) == 3, None, HEARD)}, "1 missing value"),
        ({"y": np.where(HEARD == "warm", np.nan, 1.0)}, "missing values"),
        ({"y": np.tile([1, 2, 3], (60, 1))}, "binary indicator matrix"),
        ({"n_chunks": 3, "k": 4}, "`k`=4 chunks cannot be chosen of `n_chunks`=3"),
        ({"device": "abacus"}, "`device`='abacus' is not usable here"),
        ({"class_weight": {"sad": 1.0}}, "names 'sad', which is none of the classes"),
        ({"class_weight": {"calm": -1.0}},
         "of 'calm' is -1.0; weights are finite and not negative"),
        *(({"class_weight": {"calm": weight}}, f"of 'calm' is {weight!r}".replace("+", r"\+"))
          for weight in (np.nan, None, "2", 1e300)),
        ({"class_weight": dict.fromkeys(["calm", "angry", "warm"], 0)}, "is 0 for every class"),
        *(({"y": labels}, r"`labels` holds \d+ missing values")
          for labels in MISSING_LABELS),
        *(({"X": NAMED_SONGS, **labels}, rf"pandas indices of `X` and `{list(labels)[-1]}` differ")
          for labels in ({"y": SHUFFLED}, {"y": None, "labels": SHUFFLED},
                         {"y": pd.get_dummies(SHUFFLED).astype(int)})),
        *(({"X": [song, *SONGS[1:]]}, f"sequence 0 of `X` is no array of numbers .*{words}", *error)
          for song, words, *error in NO_SONGS),
        ({"X": torch.zeros((60, 9, 5), device="meta")}, "`X` is no array of numbers"),
        *(({"n_chunks": n, "chunk_duration": duration}, "set one of them, and the other to None")
         for n, duration in ((3, 10.0), (None, None))),
        *(({name: value}, f"The '{name}' parameter of ChunkSelector")
         for name, value in BAD_OF_SELECTOR.items()),
        ({"X": [TOO_LARGE] * 4, "y": [0, 1, 0, 1]}, "float64|too large"),
        ({"X": [INFINITIES] * 4, "y": [0, 1, 0, 1]}, "infinity"),
        ({"X": WITH_NAN}, "Input X contains NaN: ChunkSelector: sequence 1"),
    ]),
    "ChunkSelector.transform": (
        lambda X=SONGS, **s: trained_selector().set_params(**s).transform(X), [
        ({"k": 4}, "`k`=4 chunks cannot be chosen of `n_chunks`=3"),
        ({"frames_per_step": 2}, "`frames_per_step`=2 was 3 in fit"),
        ({"X": [song[:, :3] for song in SONGS]},
         "X has 3 features, but ChunkSelector is expecting 5"),
        ({"X": SONGS[0]}, r"one song is \[X\]"),
        ({"X": WITH_NAN}, "Input X contains NaN: ChunkSelector: sequence 1"),
    ]),
    "SeededKMeans": (lambda X=SIX, y=ANNOTATED, w=None, **s: SeededKMeans(**s).fit(X, y, w), [
        ({"y": None}, r"number of clusters is unknown.*SeededKMeans\(n_clusters=8\)"),
        ({"y": [0, 1, -1]}, r"shape \(3,\)"),
        ({"y": [0.5, 1.5, 2.2, -1, -1, -1]}, "`y` is continuous"),
        ({"y": ["a", 1, None, None, None, None]}, "`y` mixes strings"),
        ({"y": np.zeros((6, 2))}, r"shape \(6, 2\)"),
        ({"X": np.where(SIX == 3, np.nan, SIX)}, "X contains NaN"),
        ({"w": -np.ones(6)}, "Negative values"),
        ({"w": np.zeros(6)}, "(?i)sample.weight.*zero"),
        ({"w": np.ones(4)}, "sample_weight"),
        ({"n_clusters": 0}, "n_clusters"),
        ({"max_iter": 0}, "max_iter"),
        ({"tol": -1.0}, "tol"),
        ({"algorithm": "best"}, "algorithm"),
        ({"n_clusters": 7}, "`n_clusters`=7 is more than n_samples=6"),
        *(({"X": kind(scale * X), "y": y}, "squared distances leave the range of float64")
         for scale in (1e155, 1e200, 1e307) for kind in (np.asarray, sparse.csr_array)),
        ({"X": TOO_LARGE, "y": y}, "float64|too large"),
        ({"X": INFINITIES, "y": y}, "infinity"),
    ]),
    "SeededKMeans.predict": (SeededKMeans().fit(X, y).predict, [
        ({"X": X * 1e155}, "another unit"),
        ({"X": sparse.csr_array(X * 1e307)}, "another unit"),
    ]),
    "SoftMembership": (
        lambda X=SIX, w=None, **s: SoftMembership(**{"n_classes": 2} | s).fit(X, None, w), [
        ({"X": SIX * np.nan}, "no row of `X` is known; all of 6 hold NaN"),
        ({"X": np.where(SIX == 3, np.inf, SIX)}, "infinity"),
        ({"w": np.zeros(6)}, "(?i)no row of `X` is known|sample.weight.*zero"),
        ({"w": -np.ones(6)}, "Negative values"),
        ({"X": SIX * 1e200}, "squared distances leave the range"),
        ({"centers": np.ones((3, 4))}, r"`centers` has shape \(3, 4\), but `X` has 2 features"),
        ({"centers": [[0.0, np.nan]]}, "centers contains NaN"),
        *(({name: value}, name) for name, value in
          (("n_classes", 0), ("bandwidth", 0.0), ("bandwidth", np.nan), ("scale", 2))),
    ]),
    "SoftMembership.transform": (SoftMembership(2).fit(SIX).transform, [
        ({"X": SIX * 1e200}, "squared distances of `X` to the centres leave the range"),
        ({"X": SIX[:, :1]}, "1 features"),
    ]),
    "answers out of range": (lambda call: np.errstate(all="ignore")(call)(), [
        ({"call": lambda: CCA(2).fit(X * 1e-100, Y).transform(X * 1e250)},
         "far outside of what was seen in fit"),
        ({"call": lambda: ClusterCCA(2).fit(1e3 * X, Y, y).inverse_transform([[1e307] * 2] * 3)},
         "leaves the range of float64"),
        ({"call": lambda: CCA().fit(np.float32(X), Y * 1e50).predict(np.float32(X))},
         "range of float32"),
    ]),
    "permutation_test_correlations": (
        lambda model=PLAIN, X=X, Y=Y, **s: permutation_test_correlations(model, X, Y, **s), [
        ({"n_permutations": 0}, "n_permutations"),
        ({"statistic": "pillai"}, "statistic"),
        ({"groups": np.arange(89)}, "`groups` has 89 entries but `X` has 90 rows"),
        ({"groups": np.arange(90)}, "every group of `groups` has a single row"),
        ({"exchange": "whole"}, "`groups` is None"),
        ({"groups": np.repeat([0, 1], [20, 70]), "exchange": "whole"}, "no two groups"),
        ({"groups": np.arange(90) % 5, "exchange": "whole", "confounds": np.arange(90)},
         "use exchange='within'"),
        ({"confounds": np.zeros((89, 1))}, "`confounds` has 89 rows but `X` has 90"),
        ({"confounds": np.full((90, 1), np.nan)}, "confounds contains NaN"),
        ({"confounds": np.eye(90)}, "span all 90 rows"),
        ({"Y": np.ones((90, 2))}, "`y` has no feature that varies"),
        ({"confounds": X}, "`X` has no feature .* what `confounds` explain"),
        ({"X": np.eye(40, 20), "Y": np.eye(40, 20)[::-1]},
         r"40 rows leave 39 .*\(20 \+ 20\).*reg=0.1"),
        ({"X": X * [1, 1, 1e200, 1, 1]}, "Feature 2 of `X` spreads over"),
        *(({"model": model}, f"tests CCA; got {type(model).__name__}", TypeError)
         for model in (KCCA(), ClusterCCA(), make_pipeline(CCA()))),
        ({"model": CCACV()}, r"chooses it by the pairs.*CCA\(reg=model.reg_\)", TypeError),
    ]),
    "bootstrap_loadings": (lambda model=PLAIN, **s: bootstrap_loadings(model, X, Y, **s), [
        ({"n_bootstraps": 1}, "n_bootstraps"),
        ({"confidence_level": 95}, "confidence_level"),
        ({"method": "bca"}, "method"),
        ({"groups": np.zeros(90)}, "a single group"),
        ({"groups": np.zeros(89)}, "`groups` has 89 entries"),
        ({"model": make_pipeline(CCA())}, "got Pipeline", TypeError),
        ({"model": ClusterCCA(), "labels": (y, y), "groups": y}, "unpaired rows"),
    ]),
    "report": (lambda model=PLAIN, X=X, Y=Y, **s: report(model, X, Y, **s), [
        ({"test": "f"}, "test"),
        ({"cv": 1}, "cv"),
        ({"cv": 45}, "holds out 2 rows at a time"),
        ({"cv": []}, "`cv` has no fold"),
        ({"n_permutations": -1}, "n_permutations"),
        ({"labels": (y, y)}, "unpaired"),
        ({"Y": Y[1:]}, "`X` has 90 rows but `y` has 89"),
        ({"model": make_pipeline(CCA())}, "got Pipeline", TypeError),
    ]),
    "multivariate_tests": (lambda r=(0.5, 0.1), n=30: multivariate_tests(r, n, 2, 2), [
        ({"r": [0.5]}, r"multivariate_tests: .*shape \(1,\).*n_features_y\)=2"),
        ({"n": 4}, "multivariate_tests: `n_samples`=4 must exceed"),
    ]),
    "select_n_components": (
        lambda model=PLAIN, X=X, Y=Y, **s: select_n_components(model, X, Y, **s), [
        ({"n_components": 0}, "n_components"),
        ({"n_components": [0, 1]}, "positive integer"),
        ({"n_components": [1.5]}, "positive integer"),
        ({"n_components": []}, "positive integer"),
        ({"rule": "first"}, "rule"),
        ({"cv": 45}, "holds out 2 rows at a time"),
        ({"cv": [(np.arange(60), np.arange(60, 90))]}, "makes 1 fold"),
        ({"labels": (y, y)}, "unpaired"),
        ({"labels": np.zeros(89)}, "89"),
        ({"param_name": "cca__n_components"}, "no parameter of CCA; set n_components of a model"),
        ({"model": GridSearchCV(PLAIN, {"reg": [0.1]})}, "give 'estimator__n_components'"),
        ({"Y": None}, "CCA requires y"),
        ({"Y": Y[1:]}, "`X` has 90 rows but `y` has 89"),
        ({"model": ClusterCCA(), "X": Views(X, Y), "Y": y, "labels": y}, "labels were given twice"),
    ]),
    "wilks_test": (lambda r=(0.5, 0.1), n=30, p=2, q=2: wilks_test(r, n, p, q), [
        ({"r": [0.5]}, r"shape \(1,\).*n_features_y\)=2"),
        ({"r": [[0.5, 0.1]]}, r"shape \(1, 2\)"),
        ({"r": [0.1, 0.5]}, "descend"),
        ({"r": [1.1, 0.5]}, r"lie in \[0, 1\]"),
        ({"r": [np.nan, 0.5]}, r"lie in \[0, 1\]"),
        ({"n": 4}, "`n_samples`=4 must exceed"),
        ({"n": 30.0}, "n_samples"),
        ({"r": np.array([0.5, 0.3 + 0.1j])}, "Complex"),
        ({"r": [10**400, 0.3]}, "range of float64"),
    ]),
    "retrieval_score": (
        lambda Q=X3, G=X3, x=(0, 1, 1), y=None, **s: metrics.retrieval_score(Q, G, x, y, **s), [
        ({"measure": "f1"}, "`measure` is 'f1'; expected one of map"),
        ({"measure": 3}, "`measure` is 3"),
        ({"measure": "precision"}, "'precision@10'"),
        ({"measure": "recall@0"}, "k is 1 at least"),
        ({"measure": "r_precision@3"}, "looks at the whole list"),
        ({"measure": "recall@4"}, "looks at 4 items, but a ranked list has 3"),
        ({"metric": "manhattan"}, "`metric` is 'manhattan'"),
        ({"metric": np.array(["cosine"])}, "`metric` is"),
        (LLR, "needs the canonical correlations"),
        ({"x": [None] * 3}, "3 of 3 queries and 3 of 3 items have no label in `query_labels`"),
        ({"x": X3 / 2}, r"memberships \(up to 0.5\).*argmax.*relevance='count'"),
        ({"x": X3 / 2, "relevance": "jaccard"}, "memberships"),
        ({"correlations": [0.5] * 3}, "belong to metric='log_likelihood_ratio'"),
        *((LLR | {"correlations": rho}, "must be 3 numbers from 0 to 1|`correlations` must be")
         for rho in ([0.5, 0.2], [0.5, 0.2, np.nan], "abc")),
        ({"no_relevant": "nan"}, "`no_relevant` is 'nan'"),
        ({"exclude_self": 1}, "`exclude_self` is 1; expected a bool", TypeError),
        ({"relevance": "jaccard"}, "grades shared tags, but the labels are classes"),
        ({"relevance": "cosine"}, "`relevance` is 'cosine'"),
        ({"relevance": X3}, "nothing to say"),
        ({"relevance": None, "x": None}, "`relevance` is None"),
        ({"x": None, "relevance": np.eye(4)}, r"shape \(4, 4\); expected .*\(3, 3\)"),
        ({"x": None, "relevance": -X3}, "holds the gain -1"),
        ({"x": None, "relevance": np.full((3, 3), np.nan)}, "NaN"),
        ({"x": None, "relevance": np.ma.array(X3, mask=X3 > 0)}, "masked"),
        ({"x": None, "y": [0, 1, 1]}, "`gallery_labels` are given without"),
        ({"x": None, "Q": None}, "`queries` is None"),
        ({"x": None, "G": X3[:2]}, "3 queries and 2 items"),
        ({"G": X3[:2], "y": [0, 1], "exclude_self": True}, "3 queries and 2 items"),
        ({"Q": X3[:, :1], "G": X3[:, :1], "metric": "correlation"}, "one component are all alike"),
        ({"Q": np.ma.array(X3, mask=X3 > 0)}, "masked entries"),
        ({"Q": np.zeros((3, 3), "M8[s]")}, "expected numbers"),
        ({"Q": TOO_LARGE, "G": X, "x": None}, "float64|too large"),
        ({"Q": INFINITIES, "G": X, "x": None}, "infinity"),
    ]),
    **{name: (
        lambda Q=X3, G=X3, x=(0, 1, 1), y=None, name=name: getattr(metrics, name)(Q, G, x, y), [
        ({"G": np.ones((5, 3))}, "`queries` has 3 rows but `gallery` has 5.*`gallery_labels`"),
        ({"G": np.ones((3, 4))}, "`queries` has 3 components but `gallery` has 4"),
        ({"x": [0, 1]}, "`query_labels` has 2 entries but `queries` has 3 rows"),
        ({"G": np.ones((5, 3)), "y": [0, 1]}, "`gallery_labels` has 2 entries but `gallery` has 5"),
        ({"Q": np.ones((0, 3)), "x": [], "y": [0] * 3}, "`queries` must be of shape"),
        ({"G": np.ones((0, 3)), "y": []}, r"`gallery` must be of shape.*\(0, 3\)"),
        ({"Q": np.ones((3, 0)), "G": np.ones((3, 0))}, "`queries` must be of shape"),
        ({"Q": np.ones(3)}, r"`queries` must be of shape.*reshape\(1, -1\)"),
        ({"G": np.ones((3, 2, 2))}, "`gallery` must be of shape"),
        ({"Q": X3 * np.nan}, "queries.*NaN"),
        ({"G": np.where(X3 > 0, np.inf, 0)}, "gallery.* infinity"),
        ({"x": [0.5, 1.2, 3.1]}, "`query_labels` is continuous"),
        ({"y": ["0", "1", "1"]}, "no string equals a number"),
        ({"y": X3}, "both as classes"),
        ({"x": X3, "y": X3[:, :2]}, "3 tags and that of the gallery 2"),
        ({"x": 2 * X3}, "binary indicator matrix"),
    ]) for name in ("mean_average_precision_score", "retrieval_precision_recall")},
    "mean_average_precision_score of the first items": (
        lambda k: metrics.mean_average_precision_score(X3, X3, [0, 1, 1], k=k),
        [({"k": k}, "`k` is") for k in (0, True, 1.5)]),
    "points of a curve": (
        lambda n: metrics.retrieval_precision_recall(X3, X3, [0, 1, 1], n_points=n),
        [({"n": n}, f"`n_points` must be an integer of at least 1.*got {n}")
         for n in (0, -3, True, 1.5)]),
    "interpolated_precision": (
        lambda levels: metrics.interpolated_precision(X3, X3, [0, 1, 1], recall_levels=levels),
        [({"levels": levels}, "`recall_levels` is")
         for levels in (1, True, [], [0.2, 1.2], "all", [[0.1]])]),
    "retrieval_report": (
        lambda measures: metrics.retrieval_report(X3, X3, [0, 1, 1], measures=measures),
        [({"measures": measures}, "`measures` is") for measures in ("map", [], 5)]),
    **{name: (lambda labels, gallery=None, name=name: getattr(metrics, name)(labels, gallery), [
        *(({"labels": labels}, "labels` must hold at least one label")
         for labels in ([], None, "calm")),
        ({"labels": [0.5, 0.1]}, "labels` is continuous"),
        ({"labels": np.array([2**53, 2**53 + 1]), "gallery": np.array([2**53, 1], np.uint64)},
         "no integer type holds both"),
    ]) for name in ("chance_map", "chance_score")},
    "make_retrieval_scorer": (lambda measure="map", **s: make_retrieval_scorer(measure, **s), [
        ({"measure": "median_rank"}, "expected 'neg_median_rank'"),
        ({"measure": "neg_map"}, "expected 'map'"),
        ({"measure": "accuracy"}, "`measure` is 'accuracy'"),
        ({"direction": "both"}, r"`direction` is 'both'; expected one of \('x_to_y'"),
        ({"metric": "l2"}, "`metric` is 'l2'"),
        ({"no_relevant": None}, "`no_relevant` is None"),
        ({"relevance": X3}, "(?s)`relevance` is array.*expected one of .'shared', 'count'"),
    ]),
    "cross_val_embed": (lambda model=PLAIN, Y=Y, **s: cross_val_embed(model, X, Y, **s), [
        ({"cv": [(np.arange(90), np.arange(45))]}, "every one of the 90 rows exactly once"),
        ({"model": ClusterCCA(2), "labels": (y, y)}, "unpaired"),
        ({"model": PLSSVD(2), "Y": None}, "the second view"),
    ]),
    "PartlyLabelledKFold": (
        lambda y=UNKNOWN, n=90, **s: list(PartlyLabelledKFold(**s).split(np.ones((n, 1)), y)), [
        ({"n_splits": 1}, "n_splits=1"),
        ({"random_state": 0}, "shuffle"),
        ({"y": None}, "`y` is None; give a class for each row"),
        ({"y": TAGS}, r"`y` has shape \(90, 3\)"),
        ({"y": Y[:, 0]}, "`y` is continuous"),
        ({"y": [None] * 90}, "every entry of `y` is missing; use KFold"),
        ({"n": 89}, "`y` has 90 entries but `X` has 89 rows"),
        ({"n_splits": 15}, "`n_splits`=15 folds .* class 0 has 14; use fewer folds"),
    ]),
    "CrossModalRetriever": (lambda **s: CrossModalRetriever(**s).fit(X, Y), [
        ({"estimator": PCA(2)}, "needs a two-view transformer", TypeError),
        ({"estimator": None, **LLR}, "needs an estimator with", (ValueError, TypeError)),
        ({"estimator": CCA(1), "metric": "correlation"}, "one component are all alike"),
        ({"metric": "manhattan"}, "metric"),
        ({"direction": "x"}, "direction"),
        ({"index_params": {"kind": "ivf"}}, "`index_params` are those of index='faiss'"),
    ]),
    "CrossModalRetriever.fit": (lambda *args, **s: CrossModalRetriever(CCA(2)).fit(**s), [
        ({"X": X}, "the second view is missing"),
        ({"X": Views(X, Y), "y": y, "labels": y}, "labels were given twice"),
    ]),
    "CrossModalRetriever without an item": (
        lambda: CrossModalRetriever(CCA(2), add_training=False).fit(X, Y, ids=range(90)),
        [({}, "add_training=False")]),
    "CrossModalRetriever.query of Views": (CrossModalRetriever(CCA(2)).fit(X, Y).query, [
        ({"A": Views(None, Y)}, "the first view of `A` is asked for, but it is None"),
        ({"A": Views(X, Y, Y)}, "must hold two views"),
    ]),
    "CrossModalRetriever.add": (lambda V, **s: CrossModalRetriever(**s).add(V), [
        *NO_FLOATS,
        ({"V": np.eye(2).astype(np.longdouble) * np.longdouble("1e400")}, "NaN or infinity"),
        ({"V": np.ma.array(np.eye(2), mask=np.eye(2) > 0)}, "masked"),
        ({"V": np.zeros((2, 2), "M8[s]")}, "dates"),
        ({"V": VIDEOS * 1e200, "metric": "euclidean"}, r"`V_new` holds numbers beyond 1e\+75"),
    ]),
    "CrossModalRetriever.query": (
        lambda A=VIDEOS, **s: CrossModalRetriever().add(VIDEOS).query(A, **s), [
        ({"k": 0}, "`k` is 0; expected an integer of at least 1"),
        ({"k": -1}, "`k` is -1"),
        ({"k": 1.0}, "`k` is 1.0", TypeError),
        ({"k": True}, "`k` is True", TypeError),
        ({"k": 1, "groups": [1, 2]}, "2 entries but `A` has 4 rows"),
        ({"k": 1, "groups": [0, None, 1, 1]}, "missing"),
        ({"k": 1, "groups": np.eye(4)}, "`groups` has 2 dimensions"),
        ({"k": 1, "groups": [0, "b", 1, 1]}, "mixes strings with other types"),
        ({"k": 1, "A": [[1.0, np.nan]]}, "`A` holds NaN or infinity in 1 of 1"),
        ({"k": 1, "A": [[1.0, np.inf]]}, "`A` holds NaN or infinity in 1 of 1"),
    ]),
    "CorrelationDisplay": (
        lambda r=(0.5, 0.4), **s: CorrelationDisplay(np.asarray(r), **s).plot(), [
        ({"held_out": np.zeros((4, 3))}, r"`held_out` has shape \(4, 3\); expected \(n, 2\)"),
        ({"null": np.zeros(2)}, r"`null` has shape \(2,\); expected \(n, 2\)"),
        ({"level": 95}, r"`level` is 95; expected a number in \(0, 1\)"),
        ({"r": np.empty(0)}, "one number for each component"),
        ({"r": np.eye(2)}, "one number for each component"),
        ({"r": [0.5, 1e200]}, "beyond 1e100"),
        ({"r": [0.5, 1j]}, "Complex"),
    ]),
    "CorrelationDisplay.from_estimator": (
        lambda model=PLAIN, **s: CorrelationDisplay.from_estimator(model, X, Y, **s), [
        *(({"n_permutations": n}, "CorrelationDisplay: `n_permutations` is")
         for n in (-1, 1.5, True, None)),
        ({"cv": 45}, "`cv` holds out 2 rows at a time"),
        ({"model": PLSSVD(2)}, "PLSSVD has no `correlations_`", TypeError),
    ]),
    "LoadingsDisplay": (lambda x=None, y=None, **s: LoadingsDisplay(x, y, **s).plot(), [
        ({}, "both None"),
        ({"x": np.eye(2), "view_names": None}, "`view_names` must be a pair"),
        ({"y": np.zeros(5)}, r"`y_loadings` has shape \(5,\); expected \(n_feat"),
        ({"x": np.empty((0, 2)), "y": np.empty((0, 2))}, "no feature to draw"),
        ({"x": np.array([[0.5, 1e200]])}, "beyond 1e100"),
        ({"x": np.array([[0.5, 1j]])}, "Complex"),
    ]),
    "LoadingsDisplay.from_estimator": (
        lambda model=OF_PAIRS, **s: LoadingsDisplay.from_estimator(model, **s), [
        ({"view": "z"}, r"`view` is 'z'; expected one of \('both', 'x', 'y'\)"),
        ({"components": (0, 7)}, "`components` holds 7, but there are 3 components"),
        ({"n_features": -1}, "`n_features` is -1; expected how many features to name, 0 or more"),
        ({"n_features": 2.5}, "`n_features` is 2.5"),
        ({"feature_names": (["a"], None)}, "has 1 names for the 5 features of the first view"),
        ({"feature_names": ["a", "b"]}, "must be a pair"),
        ({"selected": np.ones(5, dtype=bool)}, "`selected` must be a pair"),
        ({"selected": (np.ones(4, dtype=bool), None)}, r"shape \(4,\), dtype bool; expected a"),
        ({"selected": (np.arange(5), None)}, "dtype int64; expected a bool for each of 5 features"),
        ({"feature_names": list("abc")}, "must be a pair"),
        ({"model": PLSCanonical(2).fit(X, Y)}, "this PLSCanonical has no loadings, corr",
         TypeError),
    ]),
    "AttentionDisplay": (
        lambda model=None, song=SONGS[0], **s: AttentionDisplay.from_estimator(
            trained_selector() if model is None else model, song, **s), [
        ({"model": make_pipeline(selector())}, "`selector` is .*Pipeline.*a fitted", TypeError),
        ({"model": type(selector())}, "`selector` is .*expected a fitted ChunkSelector", TypeError),
        *(({"song": songs}, "a picture shows one song; got 3")
         for songs in (SONGS[:3], tuple(SONGS[:3]), np.stack([SONGS[0]] * 3))),
        ({"song": SONGS[0].mean(axis=0)}, "shape"),
        ({"song": []}, "0 sequence"),
        ({"song": SONGS[0][:, :2]}, "expecting 5 features"),
        ({"song": SONGS[0][:0]}, "empty"),
        ({"song": 3}, "shape"),
        ({"song": None}, "AttentionDisplay", (TypeError, ValueError)),
        ({"waveform": NOISE}, "needs its `sample_rate`"),
        *(({"waveform": NOISE, "sample_rate": rate}, f"`sample_rate` is {rate!r}")
         for rate in (0, True, 1e-300)),
        ({"waveform": [], "sample_rate": 500}, r"shape \(0,\)"),
        ({"waveform": 1.0, "sample_rate": 500}, r"shape \(\)"),
        ({"waveform": "song.wav", "sample_rate": 500}, "real numbers", TypeError),
        ({"waveform": [0.0, np.nan], "sample_rate": 500}, "NaN or infinity"),
        ({"waveform": [0.0, np.inf], "sample_rate": 500}, "NaN or infinity"),
        ({"waveform": np.ma.masked_less(NOISE, 0), "sample_rate": 500}, "`waveform` has masked"),
        *(({"seconds_per_frame": seconds}, f"`seconds_per_frame` is {seconds!r:.50}")
         for seconds in (0, np.nan, "1", 10**400)),
    ]),
    "EmbeddingDisplay": (
        lambda x=X, y=X, labels=None, **s: EmbeddingDisplay.from_predictions(x, y, labels, **s), [
        ({"components": (0, 5)}, "`components` holds 5, but there are 5 components"),
        ({"components": (1, 1)}, "expected two different ones"),
        ({"components": (0,)}, "expected the numbers of two components"),
        ({"view_names": "ab"}, "`view_names` must be a pair"),
        ({"components": 1}, "expected the numbers of two components"),
        ({"x": X[:, :1], "y": X[:, :1]}, "fit with n_components=2 or more"),
        ({"y": X[:, :2]}, "`Zx` has 5 components but `Zy` has 2"),
        ({"x": X[:9], "labels": y}, r"labels=\(labels_x, labels_y\)"),
        ({"labels": y[:9]}, "`labels` has 9 entries"),
        ({"labels": np.eye(90)}, "a point has one colour"),
        ({"labels": (y, TAGS)}, r"`labels\[1\]` has shape \(90, 3\), but a point has one colour"),
        ({"labels": (y, y.astype(str))}, "both must name their classes alike"),
        ({"labels": (y, [[0]] * 45 + [[0, 1]] * 45)}, r"`labels\[1\]` holds a list of tags"),
        ({"labels": TAGS / 2}, "memberships .*argmax"),
        ({"x": X * np.nan}, "NaN"),
        ({"x": X[:30], "link": True}, "link=True joins row i"),
    ]),
    "EmbeddingDisplay.from_estimator": (
        lambda *args, **s: EmbeddingDisplay.from_estimator(CCA(2).fit(X, Y), **s), [
        ({"X": X}, "`y`, the second view, is None"),
        ({"X": Views(X, Y), "y": y, "labels": y}, "labels were given twice"),
        ({"X": Views(X, None)}, "needs both views"),
    ]),
    "audio_frames": (lambda source=(NOISE, 22_050), **s: audio_frames(source, **s), [
        *(({"source": source, "on_error": how}, words, TypeError)
         for source, words in NO_SOUND for how in ("raise", "warn")),
        ({"source": (np.zeros((2, 9, 1)), 22_050)}, r"shape \(2, 9, 1\); expected \(n,\) or \(n, "),
        ({"source": (np.zeros((9, 0)), 22_050)}, r"shape \(9, 0\)"),
        ({"source": (np.zeros((2, 22_050)), 22_050)}, "with 22050 channels; transpose them"),
        ({"source": (np.zeros(0), 22_050)}, "`source` holds no sample"),
        ({"source": ([], 22_050)}, "`source` holds no sample"),
        *(({"source": (np.zeros(9), rate)}, f"a rate of {rate} Hz".replace("+", r"\+"))
         for rate in (44.1, np.nan, np.inf, 1e14, 2**40, np.array(1e9))),
        ({"source": (np.ma.masked_less(NOISE, 0), 22_050)}, r"masked samples; .*samples\.filled"),
        ({"source": (NOISE * 32_768, 22_050)}, r"samples lie within \[-1, 1\]: divide them"),
        *(({name: value}, f"The '{name}' parameter of audio_frames")
         for name, value in BAD_OF_SOUND),
    ]),
    "PrecisionRecallDisplay": (lambda V: PrecisionRecallDisplay(V, V).plot(), [
        ({"V": np.array([0.5, 1e200])}, "beyond 1e100"),
        ({"V": np.array([0.5, 1j])}, "Complex"),
    ]),
    "RankingDisplay": (
        lambda Q=X, G=X, x=y, y=None, **s: RankingDisplay.from_predictions(Q, G, x, y, **s), [
        ({"rows": [90]}, r"`rows` is \[90\]; expected numbers of queries from 0 to 89"),
        *(({"rows": found}, "`rows` is") for found in ([-1], [], 3, [0.5])),
        ({"k": 0}, "`k` is 0; expected how many items to show, from 1 to 90"),
        ({"k": 91}, "`k` is 91"),
        ({"k": True}, "`k` is True"),
        ({"k": 90, "exclude_self": True}, "from 1 to 89"),
        (LLR, "`metric` is 'log_likelihood_ratio'; expected one of"),
        ({"query_names": ["a"]}, "`query_names` has 1 entries; expected one for each of the 90 q"),
        ({"gallery_images": np.zeros((5, 2, 2))}, "`gallery_images` has 5 entries"),
        ({"gallery_images": np.zeros((90, 4))}, r"shape \(4,\).*X.reshape\(-1, H, W\)"),
        ({"query_images": np.zeros((90, 3, 8, 8))}, r"np.moveaxis\(images, 1, -1\)"),
        ({"query_images": np.full((90, 2, 2), np.nan)}, "NaN or infinity"),
        ({"query_images": np.full((90, 2, 2, 3), 9.0)}, "colours from 9 to 9; expected 0 to 1"),
        ({"x": y[:3]}, "`query_labels` has 3 entries"),
        ({"G": X[:, :1]}, "`queries` has 5 components but `gallery` has 1"),
        ({"Q": X[:5], "x": y[:5], "y": y, "exclude_self": True},
         "exclude_self=True leaves out item i"),
    ]),
    **{loss.__name__: (lambda zx=BATCH, zy=BATCH, loss=loss, **s: loss(zx, zy, **s), [
        *(({"zx": z, "zy": z}, "A loss needs batches of real numbers")
         for z in (torch.empty(0, 3), torch.empty(4, 0), torch.zeros(4, 3) * 1j)),
        *(({name: value}, f"`{name}`=.* must be a number from")
         for value in (-1, np.nan, np.inf, 1e300, 10**400)),
        ({"zy": torch.ones(5, 2)},
         "6 (rows )?and 5 rows need `pairs`|equally many rows.*need `pairs`"),
    ])
     for loss, name in LOSSES.items()},
    "norm of cca_loss": (lambda **s: nn.cca_loss(BATCH, BATCH, **s), [
        ({"norm": "nuclear"}, "`norm`='nuclear' must be 'trace' or 'frobenius'"),
        ({"n_components": 0}, "`n_components`=0 must be at least 1"),
    ]),
    **{f"width of {loss.__name__}": (lambda loss=loss: loss(BATCH, torch.ones(6, 3)), [
        ({}, "equal width; got shapes|equally wide; got 2 and 3 outputs"),
    ]) for loss in (nn.contrastive_loss, nn.ranking_loss, nn.soft_hgr_loss, nn.ey_loss)},
    **{kind.__name__: (lambda kind=kind, **s: kind(4, **{"n_outputs": 2, "hidden_size": 3} | s), [
        *(({name: size}, f"`{name}`=.* must be an integer of 1 or more")
         for name in ("hidden_size", "n_outputs") for size in (0, -1, 2.0, True, "3", None)),
        ({"head": "mean"}, "`head` must be 'pooled' or 'per_step'; got 'mean'"),
        ({"cell": "gru"}, "`cell` must be 'lstm' or 'peephole'; got 'gru'"),
        ({"cell": "peephole", "peepholes": "none"},
         "`peepholes` must be 'diagonal' or 'full'; got 'n"),
    ]) for kind in (nn.AttentionTower, nn.AttentionBiLSTM)},
    "steps of AttentionTower": (
        lambda size: nn.AttentionTower(4, 2, hidden_size=3, frames_per_step=size),
        [({"size": size}, "`frames_per_step`=.* must be an integer of 1 or more")
         for size in (0, -1, 2.0, True, "3", None)]),
    "MLP": (lambda n=2, k=2, sizes=(3,): nn.MLP(n, sizes, k), [
        ({"n": 0}, "`n_features`=0"),
        ({"k": -1}, "`n_outputs`=-1"),
        *(({"sizes": sizes}, "must hold integers of 1 or more")
         for sizes in ((0,), (True,), (4.5,), ["8"])),
    ]),
    "make_optimizer": (
        lambda name="adam", learning_rate=0.1, weight_decay=0.0: make_optimizer(name,
         [torch.nn.Parameter(torch.zeros(1))], learning_rate, weight_decay), [
        ({"learning_rate": 1e300}, "`learning_rate`=1e.300 must be a number from 0 to 1e.30"),
        ({"weight_decay": 1e300}, "`weight_decay`=1e.300 must be a number from 0 to 1e.30"),
        ({"name": "lbfgs", "weight_decay": 0.1}, r"`weight_decay`=0\.1 .* choose 'adamw'"),
    ]),
    "resolve_device": (nn.resolve_device, [
        ({"device": "gpu7"}, "`device`='gpu7' is not usable"),
    ]),
    "dequantize_features": (lambda V=BYTES, **s: datasets.dequantize_features(V, **s), [
        ({"V": np.zeros(3, np.float32)}, "`features` has dtype float32; expected uint8", TypeError),
        ({"low": 2, "high": 2}, "`low`=2 must be below `high`=2"),
    ]),
    "make_music_videos": (datasets.make_music_videos, [
        ({"n_emotions": 1}, "`n_emotions`=1 must be an integer of at least 2"),
        ({"n_samples": 9}, "`n_samples`=9 must be an integer of at least `n_emotions`=10"),
        ({"n_samples": 20.0}, "`n_samples`=20.0 must be an integer"),
        ({"lengths": (8, 9)}, r"`lengths`=\(8, 9\) must be two integers"),
        ({"lengths": (20, 10)}, r"`lengths`=\(20, 10\)"),
        ({"lengths": 216}, "`lengths`=216"),
        ({"annotated_fraction": 1.5}, r"`annotated_fraction`=1.5 must lie in \[0, 1\]"),
        ({"class_weights": [1, 2]}, r"`class_weights`=\[1, 2\] must be 10 positive numbers"),
        ({"class_weights": [0] * 10}, "must be 10 positive numbers"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "change", "words", "error"),
    [
        pytest.param(call, change, words, *(error or (ValueError,)), id=f"{name}-{i}")
        for name, (call, table) in CALLS.items()
        for i, (change, words, *error) in enumerate(table)
    ],
)
def test_callables_name_what_is_wrong(call, change, words, error):
    with pytest.raises(error, match=words):
        call(**change)


PAIRS = [
    (model, name)
    for model in MODELS.values()
    for name, allowed in model._parameter_constraints.items()
    if isinstance(allowed, list) and tuple in allowed
]


@pytest.mark.parametrize(("model", "name"), PAIRS)
@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_tuple_of_other_than_two_values_is_refused_by_name(model, name, size):
    value = (getattr(model, name),) * size
    with pytest.raises(ValueError, match=re.escape(f"`{name}`={value!r} is a tuple of {size};")):
        clone(model).set_params(**{name: value}).fit(X, Y, y)
