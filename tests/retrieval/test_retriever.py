"""The retriever as its users meet it: what it finds, what it keeps, what it refuses."""

import numpy as np
import pandas as pd
import pytest
from _data import two_views
from _models import MODELS
from _oracles import similarities
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.cross_decomposition import CCA as SklearnCCA
from sklearn.cross_decomposition import PLSSVD
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import CCA, ClusterCCA, Views, make_view_transformer
from skcca.retrieval import CrossModalRetriever

X, Y, y = two_views(60)
X_NEW, Y_NEW, _ = two_views(20, seed=1)
METRICS = ("cosine", "correlation", "inner_product", "euclidean", "log_likelihood_ratio")
VIDEOS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 3.0]])


@pytest.mark.parametrize("direction", ["x_to_y", "y_to_x"])
@pytest.mark.parametrize("metric", METRICS)
def test_query_ranks_by_the_definition_of_the_metric(metric, direction):
    retriever = CrossModalRetriever(CCA(3), metric=metric, direction=direction).fit(X, Y)
    model = CCA(3).fit(X, Y)
    sides = (model.transform(X_NEW), model.transform_y(Y))
    asked = X_NEW
    if direction == "y_to_x":
        sides, asked = (model.transform_y(Y_NEW), model.transform(X)), Y_NEW
    expected = similarities(metric, *sides, model.correlations_)
    ids, scores = retriever.query(asked, k=7)
    np.testing.assert_array_equal(ids, np.argsort(-expected, axis=1, kind="stable")[:, :7])
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :7], rtol=1e-9, atol=1e-9)


def test_likelihood_ratio_is_of_unit_variates_however_they_are_scaled():
    unit, scaled = (
        CrossModalRetriever(CCA(3, component_scaling=scaling), metric="log_likelihood_ratio").fit(
            X, Y
        )
        for scaling in ("unit", "correlation")
    )
    np.testing.assert_allclose(scaled.query(X_NEW, 60).scores, unit.query(X_NEW, 60).scores)


# Estimators


@pytest.mark.parametrize("name", MODELS)
def test_every_estimator_puts_its_training_rows_into_the_gallery(name):
    retriever = CrossModalRetriever(MODELS[name]).fit(X, Y, y)
    np.testing.assert_array_equal(retriever.ids_, np.arange(60))
    fitted = clone(MODELS[name]).fit(X, Y, y)
    expected = CrossModalRetriever(fitted, prefit=True).add(Y).query(X_NEW, 5)
    np.testing.assert_array_equal(retriever.query(X_NEW, 5).ids, expected.ids)


@pytest.mark.parametrize("direction", ["x_to_y", "y_to_x"])
@pytest.mark.parametrize("model", [PLSSVD(2), SklearnCCA(2)])
def test_models_of_sklearn_are_searched(model, direction):
    retriever = CrossModalRetriever(model, direction=direction).fit(X, Y)
    sides = clone(model).fit(X, Y).transform(X, Y)
    queries, gallery = sides if direction == "x_to_y" else sides[::-1]
    expected = np.argsort(-similarities("cosine", queries, gallery), axis=1)[:, :5]
    found = retriever.query(X if direction == "x_to_y" else Y, 5).ids
    np.testing.assert_array_equal(found, expected)


def wrapped_models():
    grid = {"reg": [1e-3]}
    two = make_view_transformer(StandardScaler(), StandardScaler())
    return {
        "pipeline of the first view": (make_pipeline(StandardScaler(), CCA(2)), False),
        "pipeline of Views": (make_pipeline(two, CCA(2)), True),
        "passthrough last": (make_pipeline(two, CCA(2), "passthrough"), True),
        "search": (GridSearchCV(CCA(2), grid, cv=2), True),
        "search in a pipeline": (make_pipeline(two, GridSearchCV(CCA(2), grid, cv=2)), True),
        "one encoder for each view": (make_view_transformer(PCA(2), PCA(2)), True),
        "frozen": (FrozenEstimator(CCA(2).fit(X, Y)), False),
        "frozen pipeline": (FrozenEstimator(make_pipeline(two, CCA(2)).fit(Views(X, Y))), True),
    }


@pytest.mark.parametrize("what", wrapped_models())
def test_wrapped_models_project_as_they_do_alone(what):
    estimator, in_views = wrapped_models()[what]
    names = {"song": X, "video": Y}
    data = (Views(**names),) if in_views and "frozen" not in what else (X, Y)
    retriever = CrossModalRetriever(estimator).fit(*data)
    fitted = retriever.estimator_
    if in_views:
        A, V = fitted.transform(Views(X, Y))
    else:
        inside = fitted.estimator if what == "frozen" else fitted
        A = inside.transform(X)
        V = (inside if what == "frozen" else inside[-1]).transform_y(Y)
    expected = CrossModalRetriever().add(V).query(A, 5)
    for queries in (X, Views(X, None), Views(song=X, video=Y)):
        np.testing.assert_array_equal(retriever.query(queries, 5).ids, expected.ids)
        assert np.allclose(retriever.query(queries, 5).scores, expected.scores)


def test_views_with_labels_reach_the_estimator():
    by_views = CrossModalRetriever(ClusterCCA()).fit(Views(X, Y), y).query(X_NEW)
    by_arrays = CrossModalRetriever(ClusterCCA()).fit(X, Y, y).query(X_NEW)
    np.testing.assert_array_equal(by_views.ids, by_arrays.ids)


def test_prefit_estimator_is_used_as_it_is():
    model = CCA(2).fit(X, Y)
    retriever = CrossModalRetriever(model, prefit=True).add(Y_NEW, ids=list("abcdefghijklmnopqrst"))
    assert retriever.estimator_ is model
    assert retriever.query(X_NEW, 3).ids.dtype.kind == "U"
    assert retriever.fit(X, Y).estimator_ is model
    assert len(retriever) == 60


REFITS = {
    "CCA": (CCA(2), lambda m: m.fit(X[::-1], Y)),
    "shifted": (PLSSVD(2), lambda m: m.fit(X + 1, Y)),
    "the weights": (CCA(2), lambda m: np.copyto(m.x_weights_, 1.0)),
    "the scaler": (make_pipeline(StandardScaler(), CCA(2)), lambda m: m[0].fit(X_NEW)),
    "the search": (GridSearchCV(CCA(2), {"reg": [1e-3]}, cv=2), lambda m: m.fit(X[::-1], Y)),
    "frozen": (FrozenEstimator(CCA(2).fit(X, Y)), lambda m: m.estimator.fit(X[::-1], Y)),
    "batches": (
        FrozenEstimator(CCA(2).partial_fit(X, Y)),
        lambda m: m.estimator.partial_fit(X_NEW, Y_NEW),
    ),
    "networks": (MODELS["DCCA"], lambda m: m.fit(X[::-1], Y)),
}


@pytest.mark.parametrize("what", REFITS)
def test_a_model_that_was_fitted_again_neither_asks_nor_adds(what, tmp_path):
    estimator, refit = REFITS[what]
    model = clone(estimator).fit(X, Y)
    retriever = CrossModalRetriever(model, prefit=True).add(Y)
    retriever.query(X_NEW, 3)
    refit(model)
    for use in (
        lambda: retriever.query(X_NEW, 3),
        lambda: retriever.recall_against_exact(X_NEW, 3),
        lambda: retriever.add(Y_NEW),
        lambda: retriever.save(tmp_path / "gallery"),
    ):
        with pytest.raises(ValueError, match="fitted again after the gallery was begun"):
            use()
    assert len(retriever) == 60
    assert not list(tmp_path.iterdir())
    assert retriever.fit(X, Y).query(X, 3).ids.shape == (60, 3)


class Counting(BaseEstimator):
    """A model that keeps what is no fit: a count, a cache of the last rows and a name."""

    def fit(self, X, y=None):
        self.scale_, self.n_calls, self._last = np.ones(1), 0, None
        return self

    def transform(self, X):
        self.n_calls, self._last = self.n_calls + 1, list(X)
        return X[:, :4] * self.scale_

    transform_y = transform


def test_a_model_may_keep_books_of_its_uses():
    retriever = CrossModalRetriever(Counting().fit(X), prefit=True).add(Y)
    assert len(retriever.add(Y_NEW)) == 80
    assert retriever.query(X_NEW, 1).ids.shape == (20, 1)


def test_gallery_of_fit_may_start_empty():
    retriever = CrossModalRetriever(CCA(2), add_training=False).fit(X, Y)
    assert len(retriever) == 0
    assert retriever.add(Y_NEW).query(X, 2).ids.max() < 20


def test_frames_and_sparse_rows_pass_through_the_estimator():
    expected = CrossModalRetriever(CCA(2)).fit(X, Y).query(X_NEW, 5).ids
    columns = [f"f{i}" for i in range(5)]
    framed = CrossModalRetriever(CCA(2).set_output(transform="pandas"))
    framed.fit(pd.DataFrame(X, columns=columns), pd.DataFrame(Y, columns=columns[:4]))
    found = framed.query(pd.DataFrame(X_NEW, columns=columns), 5)
    np.testing.assert_array_equal(found.ids, expected)
    thin = CrossModalRetriever(CCA(2)).fit(sparse.csr_array(X), sparse.csr_array(Y))
    np.testing.assert_array_equal(thin.query(sparse.csr_array(X_NEW), 5).ids, expected)


def test_float32_embeddings_are_kept_in_float32():
    retriever = CrossModalRetriever().add(Y.astype(np.float32))
    assert retriever._space.gallery.snapshot.blocks[0].values.dtype == np.float32
    retriever.add(Y[:1].astype(np.float32)).add(Y[:30])  # there is room, but of float32
    assert [p.values.dtype for p in retriever._space.gallery.snapshot.blocks] == ["f4", "f4", "f8"]
    assert CrossModalRetriever(metric="euclidean").add(Y.astype(np.float32)).query(
        Y.astype(np.float32), 1
    ).scores == pytest.approx(0, abs=1e-6)


# What is refused


def test_more_than_the_gallery_holds_is_all_of_it_with_a_warning():
    retriever = CrossModalRetriever().add(VIDEOS)
    with pytest.warns(UserWarning, match="`k` is 9, but the gallery has 4 items"):
        ids, scores = retriever.query(VIDEOS, 9)
    assert ids.shape == scores.shape == (4, 4)


def test_an_empty_gallery_finds_nothing_and_says_so():
    for retriever in (CrossModalRetriever(), CrossModalRetriever().add(VIDEOS).remove(range(4))):
        with pytest.raises(ValueError, match="the gallery is empty; `add` items first"):
            retriever.query(VIDEOS)


def test_zero_rows_are_unlike_everything():
    retriever = CrossModalRetriever().add(np.vstack([np.zeros(2), VIDEOS]))
    ids, scores = retriever.query([[0.0, 0.0], [1.0, 0.0]], 5)
    assert scores.tolist() == [[0.0] * 5, [1.0, 0.0, 0.0, 0.0, -1.0]]
    assert ids.tolist() == [[0, 1, 2, 3, 4], [1, 0, 2, 4, 3]]


class Broken(BaseEstimator):
    """A model whose second view becomes NaN, and whose first infinite."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X) * np.where(np.arange(len(X)) == 1, np.inf, 1)[:, None]

    def transform_y(self, y):
        return np.full((len(y), 2), np.nan)


def test_embeddings_that_are_not_finite_are_named():
    with pytest.raises(ValueError, match=r"fit: the embedding of `y` holds NaN .* 60 of 60 rows"):
        CrossModalRetriever(Broken()).fit(X, Y)
    with np.errstate(invalid="ignore"):
        retriever = CrossModalRetriever(Broken(), direction="y_to_x", add_training=False).fit(X, Y)
        with pytest.raises(
            ValueError, match=r"add: the embedding of `V_new` .* first of them row 1"
        ):
            retriever.add(X + 1)


def test_a_failed_fit_leaves_the_gallery_as_it_was():
    retriever = CrossModalRetriever(CCA(2)).fit(X, Y)
    with pytest.raises(ValueError, match="more than once"):
        retriever.fit(X, Y, ids=np.zeros(60, int))
    assert len(retriever) == 60


@pytest.mark.parametrize("metric", METRICS)
def test_wide_and_narrow_rows_are_refused(metric):
    model = CCA(2).fit(X, Y)
    retriever = CrossModalRetriever(model, prefit=True, metric=metric).add(Y)
    with pytest.raises(ValueError, match="features"):
        retriever.query(X[:, :3])
    if metric != "log_likelihood_ratio":
        retriever = CrossModalRetriever(metric=metric).add(VIDEOS)
        with pytest.raises(ValueError, match="has 3 components, but the items have another number"):
            retriever.query(np.ones((1, 3)), 1)
        with pytest.raises(ValueError, match="columns, but those of the gallery"):
            retriever.add(np.ones((1, 3)))


# Copies


def test_clone_has_the_parameters_and_no_items():
    retriever = CrossModalRetriever(CCA(2), metric="euclidean").fit(X, Y)
    other = clone(retriever)
    assert len(other) == 0
    assert str(other) == str(retriever)
    with pytest.raises(NotFittedError):
        other.query(X)


def chunked():
    rng = np.random.default_rng(2)
    return rng.normal(size=(12, 3)), rng.normal(size=(30, 3)), np.array(list("cabbacabccab"))


def similarity_of_group(chunks, V, metric, aggregate):
    if aggregate == "mean":
        return similarities(metric, chunks.mean(axis=0, keepdims=True), V)[0]
    each = similarities(metric, chunks, V)
    if aggregate == "max_similarity":
        return each.max(axis=0)
    return -np.sqrt((each**2).mean(axis=0)) if metric == "euclidean" else each.mean(axis=0)


@pytest.mark.parametrize("aggregate", ["mean", "mean_similarity", "max_similarity"])
@pytest.mark.parametrize("metric", ["cosine", "inner_product", "euclidean"])
def test_a_group_is_one_query(metric, aggregate):
    chunks, V, groups = chunked()
    retriever = CrossModalRetriever(metric=metric, aggregate=aggregate).add(V)
    ids, scores = retriever.query(chunks, 4, groups=groups)
    assert ids.shape == (3, 4)
    for group, found, found_scores in zip("cab", ids, scores, strict=True):
        expected = similarity_of_group(chunks[groups == group], V, metric, aggregate)
        np.testing.assert_array_equal(found, np.argsort(-expected)[:4])
        np.testing.assert_allclose(found_scores, -np.sort(-expected)[:4])


def test_an_item_is_found_once_however_many_chunks_find_it():
    retriever = CrossModalRetriever(aggregate="max_similarity").add(VIDEOS, ids=list("abcd"))
    ids, _ = retriever.query([[1, 0], [1, 0], [1, 0.1]], 4, groups=[1, 1, 1])
    assert sorted(ids[0]) == list("abcd")


@pytest.mark.parametrize("aggregate", ["mean", "mean_similarity", "max_similarity"])
def test_groups_of_one_row_are_queries(aggregate):
    chunks, V, _ = chunked()
    retriever = CrossModalRetriever(aggregate=aggregate).add(V)
    plain, grouped = retriever.query(chunks, 5), retriever.query(chunks, 5, groups=range(12))
    np.testing.assert_array_equal(plain.ids, grouped.ids)
    np.testing.assert_allclose(plain.scores, grouped.scores)
