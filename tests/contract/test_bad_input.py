"""Bad input gives a right answer or an error that names the cure; never a NaN, never a guess."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from _models import CLASS, INSTANCE, MODELS
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skcca import CCA, Views

X, Y, y = two_views()
NAN = np.where(np.eye(90, 4) > 0, np.nan, Y)

every = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class_paired = pytest.mark.parametrize("model", CLASS.values(), ids=CLASS)
instance_paired = pytest.mark.parametrize("model", INSTANCE.values(), ids=INSTANCE)


def frames():
    return (
        pd.DataFrame(X, columns=[f"a{i}" for i in range(5)]),
        pd.DataFrame(Y, columns=[f"v{i}" for i in range(4)]),
    )


FIT_ERRORS = {
    "no second view": (lambda m: m.fit(X), "second view"),
    "NaN in the first view": (lambda m: m.fit(NAN, Y, y), "Input X contains NaN"),
    "NaN in the second view": (lambda m: m.fit(X, NAN, y), "Input y contains NaN"),
    "infinity": (lambda m: m.fit(X, np.where(np.isnan(NAN), np.inf, Y), y), "contains infinity"),
    "empty": (lambda m: m.fit(X[:0], Y[:0]), "0 sample"),
    "no columns": (lambda m: m.fit(X, Y[:, :0], y), "0 feature"),
    "one row": (lambda m: m.fit(X[:1], Y[:1]), "minimum of 2 is required"),
    "rows differ": (lambda m: m.fit(X, Y[:50]), "`X` has 90 rows but `y` has 50"),
    "constant first view": (lambda m: m.fit(np.ones((90, 5)), Y, y), "constant"),
    "constant second view": (lambda m: m.fit(X, np.ones((90, 4)), y), "constant"),
    "three dimensions": (lambda m: m.fit(X[:, :, None], Y, y), "3"),
    "text as second view": (lambda m: m.fit(X, np.where(y == 0, "a", "b")), "fit(X, Y, labels)"),
    "labels of another length": (
        lambda m: m.fit(X, Y, y[:50]),
        "`labels` has 50 entries but `X` has 90 rows",
    ),
    "continuous labels": (lambda m: m.fit(X, Y, X[:, 0]), "sample_weight=w"),
    "labels with NaN": (lambda m: m.fit(X, Y, np.where(y == 0, np.nan, y)), "missing"),
    "labels with None": (
        lambda m: m.fit(X, Y, np.where(y == 0, None, "b")),
        "missing labels (None or NaN)",
    ),
    "labels with NA": (lambda m: m.fit(X, Y, pd.Series(["a", pd.NA] * 45)), "45 missing"),
    "labels of mixed type": (lambda m: m.fit(X, Y, [0] + ["b"] * 89), "mixes strings"),
    "labels as dates": (lambda m: m.fit(X, Y, np.full(90, np.datetime64("2020-01-01"))), "dtype"),
    "labels in two continuous columns": (lambda m: m.fit(X, Y, X[:, :2]), "continuous"),
    "labels in two integer columns": (
        lambda m: m.fit(X, Y, np.column_stack([y, y])),
        "binary indicator matrix",
    ),
    "labels as lists of tags": (
        lambda m: m.fit(X, Y, [["calm"], ["calm", "warm"], ["warm"]] * 30),
        "MultiLabelBinarizer",
    ),
    "labels as arrays of unequal shape": (
        lambda m: m.fit(X, Y, [np.zeros((2, 3)), *[np.zeros((2, 4))] * 89]),
        "a list of tags per row",
    ),
    "labels in three dimensions": (lambda m: m.fit(X, Y, np.zeros((90, 2, 2))), "3 dimensions"),
    "labels twice": (lambda m: m.fit(Views(X, Y), y, labels=y), "given twice"),
    "one view in a Views": (lambda m: m.fit(Views(X, None), y), "is fitted on two views"),
    "three views": (lambda m: m.fit(Views(X, Y, Y), y), "is fitted on two views"),
    "Views as second view": (lambda m: m.fit(X, Views(X, Y)), "fit(Views(X, y), labels)"),
    "negative weights": (lambda m: m.fit(X, Y, y, sample_weight=-np.ones(90)), "Negative values"),
    "weights of zero": (lambda m: m.fit(X, Y, y, sample_weight=np.zeros(90)), "zero"),
    "weights with NaN": (lambda m: m.fit(X, Y, y, sample_weight=NAN[:, 0]), "NaN"),
    "weights of another length": (
        lambda m: m.fit(X, Y, y, sample_weight=np.ones(5)),
        "sample_weight",
    ),
    "frames that are not aligned": (
        lambda m: m.fit(pd.DataFrame(X), pd.DataFrame(Y, index=range(90)[::-1]), y),
        "y = y.loc[X.index]",
    ),
    "n_components of zero": (
        lambda m: clone(m).set_params(n_components=0).fit(X, Y, y),
        "'n_components'",
    ),
}


@every
@pytest.mark.parametrize(("call", "words"), FIT_ERRORS.values(), ids=FIT_ERRORS)
def test_fit_names_what_is_wrong(model, call, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        call(clone(model))


CLASS_ERRORS = {
    "second view beside Views": (lambda m: m.fit(Views(X, Y), Y), "fit(Views(X, Y), labels)"),
    "one class": (lambda m: m.fit(X, Y, np.zeros(90, int)), "at least 2 classes"),
    "no shared class": (lambda m: m.fit(X, Y, labels=(y, y + 10)), "at least 2 classes"),
    "three label arrays": (lambda m: m.fit(X, Y, labels=(y, y, y)), "labels=(labels_x, labels_y)"),
    "classes named in two ways": (
        lambda m: m.fit(X, Y, labels=(y, y.astype(str))),
        "name their classes alike",
    ),
    "one set of tags, one of classes": (
        lambda m: m.fit(X, Y, labels=(y, np.eye(3, dtype=int)[y])),
        "indicators of the same tags",
    ),
    "one weight array for unpaired rows": (
        lambda m: m.fit(X, Y[:50], labels=(y, y[:50]), sample_weight=np.ones(90)),
        "(weights_x, weights_y)",
    ),
    "own pairs of unpaired rows": (
        lambda m: clone(m).set_params(instance_weight=0.5).fit(X, Y, labels=(y, y)),
        "set instance_weight=0",
    ),
}


@class_paired
@pytest.mark.parametrize(("call", "words"), CLASS_ERRORS.values(), ids=CLASS_ERRORS)
def test_class_paired_fit_names_what_is_wrong(model, call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call(clone(model))


@instance_paired
def test_instance_pairs_of_unequal_rows_name_the_class_paired_estimators(model):
    with pytest.raises(ValueError, match=re.escape("labels=(labels_x, labels_y)")):
        clone(model).fit(X, Y[:50], labels=(y, y[:50]))


A, V = frames()
NAMED = Views(audio=X, visual=Y)
TRANSFORM_ERRORS = {
    "second view beside Views": (
        X,
        Y,
        lambda m: m.transform(Views(X, Y), Y),
        "transform(Views(X, y))",
    ),
    "Views as second view": (X, Y, lambda m: m.transform(X, Views(X, Y)), "transform(Views(X, y))"),
    "no first view": (X, Y, lambda m: m.transform(None, Y), "transform_y(y)"),
    "Views in transform_y": (X, Y, lambda m: m.transform_y(Views(X, Y)), "the second view alone"),
    "rows differ": (X, Y, lambda m: m.transform(X, Y[:50]), "`X` has 90 rows but `y` has 50"),
    "width of the first view": (X, Y, lambda m: m.transform(X[:, :3]), "X has 3 features"),
    "width of the second view": (X, Y, lambda m: m.transform(X, Y[:, :3]), "y has 3 features"),
    "width in transform_y": (X, Y, lambda m: m.transform_y(Y[:, :3]), "y has 3 features"),
    "NaN in the second view": (X, Y, lambda m: m.transform(X, NAN), "Input y contains NaN"),
    "reordered columns": (A, V, lambda m: m.transform(A[A.columns[::-1]]), "feature names"),
    "reordered columns of the second view": (
        A,
        V,
        lambda m: m.transform(A, V[V.columns[::-1]]),
        "in the same order",
    ),
    "three views": (X, Y, lambda m: m.transform(Views(X, Y, Y)), "projects two views"),
    "indices differ": (
        X,
        Y,
        lambda m: m.transform(pd.DataFrame(X), pd.DataFrame(Y, index=range(90)[::-1])),
        "pandas indices",
    ),
    "one view to score": (X, Y, lambda m: m.score(Views(X, None)), "score needs both views"),
    "two rows to score": (X, Y, lambda m: m.score(X[:2], Y[:2]), "3 rows at least"),
    "labels twice to score": (X, Y, lambda m: m.score(Views(X, Y), y, labels=y), "given twice"),
}


@every
@pytest.mark.parametrize(
    ("first", "second", "call", "words"), TRANSFORM_ERRORS.values(), ids=TRANSFORM_ERRORS
)
def test_transform_names_the_right_call(model, first, second, call, words):
    fitted = clone(model).fit(first, second, y)
    with pytest.raises(ValueError, match=re.escape(words)):
        call(fitted)


@every
def test_named_views_in_another_order_are_refused(model):
    fitted = clone(model).fit(Views(audio=X, visual=X[:, ::-1]), y)
    with pytest.raises(ValueError, match=r"fitted on the views \['audio', 'visual'\]"):
        fitted.transform(Views(visual=X, audio=X))
    assert len(fitted.transform(Views(X, X))) == 90  # without names the position counts


@every
def test_unfitted_model_says_so(model):
    with pytest.raises(NotFittedError):
        clone(model).transform(X)
    with pytest.raises(NotFittedError):
        clone(model).transform_y(Y)


def test_names_of_the_second_view_warn_when_they_come_or_go():
    with_names, without = CCA(2).fit(A, V), CCA(2).fit(X, Y)
    with pytest.warns(UserWarning, match="y does not have valid feature names"):
        with_names.transform_y(Y)
    with pytest.warns(UserWarning, match="y has valid feature names"):
        without.transform_y(V)


@every
def test_integers_in_one_column_look_like_labels(model):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(model).set_params(n_components=1).fit(X, y)
    assert any("did you mean fit(A, V, y)" in str(w.message) for w in caught)


@class_paired
def test_a_class_of_one_row_takes_part(model):
    labels = np.where(np.arange(90) == 4, 9, y)
    fitted = clone(model).fit(X, Y, labels)
    assert 9 in fitted.classes_
    assert np.isfinite(fitted.transform(X)).all()


@class_paired
def test_rows_without_a_partner_are_reported(model):
    labels = np.where(np.arange(90) < 4, 9, y)
    with pytest.warns(UserWarning, match="4 of 90 rows of `X` share no class"):
        fitted = clone(model).fit(X, Y, labels=(labels, y))
    assert np.isfinite(fitted.transform(X)).all()


@class_paired
def test_rows_that_share_no_class_have_no_score(model):
    fitted = clone(model).fit(X, Y, y)
    with pytest.raises(ValueError, match="the two views share no class"):
        fitted.score(X, Y[:50], labels=(y, y[:50] + 10))


@class_paired
def test_one_class_with_own_pairs_is_a_right_answer(model):
    fitted = clone(model).set_params(instance_weight=0.5).fit(X, Y, np.zeros(90, int))
    assert np.isfinite(fitted.transform(X)).all()


def test_ridge_that_makes_no_sense_is_named():
    for reg in (-1.0, "strong", (0.1, -1.0), (0.1, np.inf), np.float32(np.inf), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"reg|tuple sets a parameter"):
            CCA(reg=reg).fit(X, Y)
