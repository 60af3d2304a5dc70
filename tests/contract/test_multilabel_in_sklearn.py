"""Indicators of any kind, in retrieval, cross-validation and metadata routing."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tags import (
    KINDS,
    TAGS,
    N,
    X,
    Y,
    assert_same_model,
    every,
    tagged_views,
)

from skcca import (
    ClusterCCA,
    Views,
    make_view_transformer,
    retrieval_map,
)

# Kinds of indicators


@every
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kind_of_indicator_does_not_matter(model, kind):
    expected = clone(model).fit(X, Y, TAGS)
    found = clone(model).fit(X, Y, kind(TAGS))
    assert_same_model(expected, found)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    in_views = clone(model).fit(Views(X, Y), kind(TAGS))
    assert_same_model(expected, in_views)
    assert found.score(X, Y, labels=kind(TAGS)) == expected.score(X, Y, labels=TAGS)
    assert retrieval_map(found, Views(X, Y), kind(TAGS)) == retrieval_map(found, X, Y, labels=TAGS)


def test_tags_as_a_torch_tensor_or_polars_frame():
    polars = pytest.importorskip("polars")
    expected = ClusterCCA().fit(X, Y, TAGS)
    for L in (torch.as_tensor(TAGS), polars.DataFrame(TAGS)):
        assert_same_model(expected, ClusterCCA().fit(X, Y, L))
        assert_same_model(expected, ClusterCCA().fit(Views(X, Y), L))


def test_frames_of_tags_follow_the_index_of_the_views():
    A, B = pd.DataFrame(X), pd.DataFrame(Y)
    ClusterCCA().fit(A, B, labels=pd.DataFrame(TAGS))
    with pytest.raises(ValueError, match=r"indices of `X` and `labels` differ"):
        ClusterCCA().fit(A, B, labels=pd.DataFrame(TAGS, index=range(5, N + 5)))


@every
def test_order_of_tags_does_not_matter(model):
    a = clone(model).fit(X, Y, TAGS)
    b = clone(model).fit(X, Y, TAGS[:, ::-1])
    np.testing.assert_allclose(a.correlations_, b.correlations_, atol=1e-6)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-4)  # networks are float32


def test_lists_of_tag_names_are_refused_with_the_cure():
    ragged = [["calm"], ["calm", "sad"]] * (N // 2)
    with pytest.raises(ValueError, match="indicator matrix"):
        ClusterCCA().fit(X, Y, ragged)


# Retrieval and scikit-learn


def brute_force_map(U, V, shared):
    """Mean average precision of cosines, without ties, over queries with a relevant item."""
    U, V = (Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (U, V))
    values = []
    for scores, relevant in zip(U @ V.T, shared > 0, strict=True):
        hits = relevant[np.argsort(-scores)]
        if hits.any():
            precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
            values.append(precision[hits].mean())
    return np.mean(values)


@every
def test_relevant_is_what_shares_a_tag(model):
    fitted = clone(model).fit(X, Y, TAGS)
    A, B, L = tagged_views(25, seed=6)
    U, V = (Z.astype(float) for Z in fitted.transform(A, B))
    expected = brute_force_map(U, V, L @ L.T)
    assert retrieval_map(fitted, A, B, labels=L) == pytest.approx(expected)
    assert retrieval_map(fitted, Views(A, B), pd.DataFrame(L)) == pytest.approx(expected)
    expected = brute_force_map(U, V[:14], L @ L[:14].T)
    found = retrieval_map(fitted, A, B[:14], labels=(L, sparse.csr_array(L[:14])))
    assert found == pytest.approx(expected)


def test_queries_without_tags_are_left_out():
    fitted = ClusterCCA().fit(X, Y, TAGS)
    bare = TAGS.copy()
    bare[:3] = 0
    with pytest.warns(UserWarning, match="3 of 40 queries have no relevant item"):
        found = retrieval_map(fitted, X, Y, labels=bare)
    assert found == pytest.approx(brute_force_map(*fitted.transform(X, Y), bare @ bare.T))


@every
@pytest.mark.parametrize("kind", ["frame", "list", "bool"])  # theirs takes no sparse y
def test_cross_validation_on_views_equals_a_loop(model, kind):
    cv = KFold(2, shuffle=True, random_state=0)
    pipe = make_pipeline(make_view_transformer(StandardScaler(), StandardScaler()), model)
    views = Views(X, Y)
    found = cross_validate(
        pipe, views, KINDS[kind](TAGS), cv=cv, scoring=retrieval_map, error_score="raise"
    )
    expected = []
    for train, test in cv.split(X):
        fitted = clone(pipe).fit(views[train], TAGS[train])
        expected.append(retrieval_map(fitted, views[test], TAGS[test]))
    np.testing.assert_allclose(found["test_score"], expected)


def test_grid_search_on_views_by_either_score():
    cv = KFold(3, shuffle=True, random_state=0)
    for scoring in (retrieval_map, None):
        search = GridSearchCV(
            ClusterCCA(),
            {"n_components": [1, 3], "instance_weight": [0.0, 0.3]},
            scoring=scoring,
            cv=cv,
            error_score="raise",
        )
        search.fit(Views(X, Y), sparse.csr_array(TAGS))
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        fitted = clone(search.best_estimator_).fit(X, Y, TAGS)
        assert_same_model(search.best_estimator_, fitted)


@pytest.mark.parametrize("kind", ["csr_array", "frame", "list", "bool"])
def test_tags_are_routed_as_metadata(kind):
    cv = KFold(3, shuffle=True, random_state=0)
    options = {"scoring": retrieval_map, "cv": cv, "error_score": "raise"}
    grid = {"n_components": [1, 3]}
    expected = GridSearchCV(ClusterCCA(), grid, **options).fit(Views(X, Y), TAGS)
    with config_context(enable_metadata_routing=True):
        found = GridSearchCV(ClusterCCA(), grid, **options).fit(X, Y, labels=KINDS[kind](TAGS))
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
