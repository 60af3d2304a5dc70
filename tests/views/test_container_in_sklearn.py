"""Views in scikit-learn's hands: split, searched, stacked, copied, hashed."""

import copy
import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import _safe_indexing, check_consistent_length, indexable, resample, shuffle
from sklearn.utils.validation import _num_samples

from skcca import Views

N = 12
A = np.arange(N * 3, dtype=float).reshape(N, 3)
V = -np.arange(N * 2, dtype=np.float32).reshape(N, 2)
SONGS = [np.tile(A[i], (i + 1, 1)) for i in range(N)]


def first_frames(songs):
    return np.array([song[0] for song in songs])


def test_sklearn_utilities_accept_views():
    X = Views(A, V)
    assert _num_samples(X) == N
    assert indexable(X, np.arange(N))[0] is X
    check_consistent_length(X, A)
    for rows in (np.array([1, 0]), [1, 0], np.arange(N) < 2, slice(0, 2)):
        np.testing.assert_array_equal(_safe_indexing(X, rows)["view0"], _safe_indexing(A, rows))


@pytest.mark.parametrize("cut", [shuffle, resample, lambda *a, **k: train_test_split(*a, **k)[::2]])
def test_rows_stay_together(cut):
    rows, X = cut(np.arange(N), Views(SONGS, pd.DataFrame(A), V), random_state=0)
    np.testing.assert_array_equal(first_frames(X["view0"]), A[rows])
    np.testing.assert_array_equal(X["view1"], A[rows])
    np.testing.assert_array_equal(X["view2"], V[rows])


class SumOfViews(BaseEstimator):
    """Score by a sum over all rows and views, so that a lost row shows."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.n_ = len(X)
        return self

    def score(self, X, y=None):
        return self.factor * sum(np.asarray(member).sum() for member in X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_splits_all_members(n_jobs):
    y = np.repeat([0, 1], N // 2)
    search = GridSearchCV(
        SumOfViews(), {"factor": [1.0, 2.0]}, cv=StratifiedKFold(3), n_jobs=n_jobs
    )
    search.fit(Views(A, pd.DataFrame(V)), y)
    expected = [
        A[test].sum() + V[test].sum() for _, test in StratifiedKFold(3).split(np.empty(N), y)
    ]
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], np.outer([1, 2], expected).mean(1)
    )


def test_members_stack_for_a_classifier():
    np.testing.assert_array_equal(np.hstack(Views(A, V)), np.hstack([A, V]))
    y = np.repeat([0, 1], N // 2)
    model = make_pipeline(FunctionTransformer(np.hstack), StandardScaler(), LogisticRegression())
    np.testing.assert_array_equal(
        cross_val_score(model, Views(A, V), y, cv=3),
        cross_val_score(model[1:], np.hstack([A, V]), y, cv=3),
    )


def joblib_round_trip(X):
    file = io.BytesIO()
    joblib.dump(X, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda X: pickle.loads(pickle.dumps(X)), joblib_round_trip],
)
def test_copies_are_whole(duplicate):
    X = Views(audio=SONGS, visual=pd.DataFrame(A), other=None)[1:]
    same = duplicate(X)
    assert repr(same) == repr(X)
    assert same.names == X.names
    assert same.named
    np.testing.assert_array_equal(first_frames(same["audio"]), A[1:])
    pd.testing.assert_frame_equal(same["visual"], X["visual"])


def test_clone_accepts_views_as_a_parameter():
    X = Views(A, V)
    np.testing.assert_array_equal(clone(SumOfViews(factor=X)).factor["view1"], V)


def test_joblib_hash_depends_on_the_values_alone():
    same = Views(A.copy(), V.copy())
    assert joblib.hash(Views(A, V)) == joblib.hash(same)
    assert joblib.hash(Views(A, V)) != joblib.hash(Views(A, V + 1))


# What a transformer makes of it


def test_replace_keeps_the_names():
    X = Views(audio=A, visual=V)._replace([V, None])
    assert X.names == ("audio", "visual")
    assert X.named
    assert X["audio"] is V
    assert Views(A, V)._replace([V, A]).named is False


def test_replace_checks_row_counts():
    with pytest.raises(ValueError, match="'view0' has 3 and 'view1' has 12"):
        Views(A, V)._replace([A[:3], V])


def test_replace_gives_frames_made_of_arrays_the_index_of_the_frame_beside_them():
    X = Views(A, pd.DataFrame(V, index=np.arange(N)[::-1]))
    made, kept = X._replace([pd.DataFrame(A), X["view1"]])
    assert made.index.equals(kept.index)
    np.testing.assert_array_equal(made, A)
