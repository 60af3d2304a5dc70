"""ChunkSelector in scikit-learn: seeds, persistence, Views, pipelines, searches, set_output."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from _data import HEARD, N_FEATURES, SONGS, VISUAL
from _models import selector as small
from _models import trained_selector as trained
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skcca import ChunkSelector, ClusterCCA, Views, make_view_transformer, retrieval_map


@pytest.fixture
def selector():
    return trained()


# Randomness and persistence


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_generators_seed_too(make):
    a, b = (small(random_state=make(0)).fit(SONGS, HEARD).predict_proba(SONGS) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_baselines_leave_torch_unloaded():
    code = (
        "import sys, numpy as np; from skcca import ChunkSelector;"
        "X = np.zeros((3, 9, 2));"
        "s = ChunkSelector(strategy='middle').fit(X); s.transform(X); repr(s);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# Views


def test_views_pass_the_others_on():
    X = Views(audio=SONGS, visual=VISUAL)
    selector = small()
    Z = selector.fit_transform(X, HEARD)
    assert Z.names == ("audio", "visual")
    assert Z["visual"] is VISUAL
    np.testing.assert_array_equal(Z["audio"], small().fit(SONGS, HEARD).transform(SONGS))
    assert selector.view_names_in_ == ("audio", "visual")
    assert len(selector.select(X)) == len(selector.attention(X)) == len(SONGS)
    frames = selector.set_params(aggregate="frames").transform(X)
    assert len(frames["audio"]) == len(SONGS)


def test_a_view_that_is_not_at_hand_is_none():
    selector = small().fit(Views(SONGS, VISUAL), HEARD)
    queries, nothing = selector.transform(Views(SONGS, None))
    assert nothing is None
    assert queries.shape == (60, N_FEATURES)
    nothing, gallery = selector.transform(Views(None, VISUAL))
    assert nothing is None
    assert gallery is VISUAL


VIEW_ERRORS = [
    (lambda s: s.transform(SONGS), r"fitted on a Views of 2 views.*Views\(A, None\)"),
    (lambda s: s.attention(SONGS), r"fitted on a Views of 2 views.*Views\(A, None\)"),
    (lambda s: s.transform(Views(SONGS, VISUAL, VISUAL)), "fitted on a Views of 2 views"),
    (lambda s: s.transform(Views(visual=VISUAL, audio=SONGS)), r"same order: Views\(audio=..., v"),
    (lambda s: s.transform(Views(visual=None, audio=SONGS)), r"same order: Views\(audio=..., v"),
    (lambda s: s.select(Views(audio=None, visual=VISUAL)), "the first view is None"),
    (lambda s: s.fit(Views(audio=None, visual=VISUAL), HEARD), "the first view is None"),
    (
        lambda s: s.fit(Views(SONGS, VISUAL), HEARD, labels=HEARD),
        "labels were given twice",
    ),
    (lambda s: s.fit(Views(SONGS, VISUAL)), "requires y to be passed"),
]


@pytest.mark.parametrize(("call", "message"), VIEW_ERRORS)
def test_wrong_use_of_views_raises(call, message):
    selector = small(max_epochs=1).fit(Views(audio=SONGS, visual=VISUAL), HEARD)
    with pytest.raises(ValueError, match=message):
        call(selector)


# In scikit-learn


class OneFrameSongs(ChunkSelector):
    """Takes tables too, as scikit-learn's checks hand over: each row is a song of one frame."""

    def __init__(self, n_chunks=3, k=1, *, hidden_size=4, max_epochs=1, strategy="attention"):
        super().__init__(
            n_chunks, k, hidden_size=hidden_size, max_epochs=max_epochs, strategy=strategy
        )
        self.random_state = 0

    def _songs_of(self, X):
        if not sparse.issparse(X) and not isinstance(X, Views) and np.asarray(X).ndim == 2:
            X = np.asarray(X)[:, None]
        return super()._songs_of(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.allow_nan = False  # a row of NaN would be a song without frames
        return tags


@pytest.mark.parametrize("strategy", ["attention", "random"])
def test_estimator_checks(strategy):
    results = check_estimator(OneFrameSongs(strategy=strategy), on_skip=None)
    assert len(results) > 40
    assert {result["status"] for result in results} == {"passed"}


def test_tags_say_that_tables_are_not_taken():
    tags = ChunkSelector().__sklearn_tags__()
    assert not tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.allow_nan
    assert tags.target_tags.required
    assert not ChunkSelector(strategy="random").__sklearn_tags__().target_tags.required


def test_grid_search_in_two_processes():
    pipe = make_pipeline(
        make_view_transformer(small(), StandardScaler()), ClusterCCA(n_components=2)
    )
    grid = {"viewtransformer__chunkselector__k": [1, 2]}
    search = GridSearchCV(
        pipe, grid, scoring=retrieval_map, cv=StratifiedKFold(2), n_jobs=2, error_score="raise"
    )
    search.fit(Views(SONGS, VISUAL), HEARD)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_frozen_selector_is_not_trained_again(selector):
    before = selector.transform(SONGS)
    views = Views(SONGS, VISUAL)
    for first in (
        make_view_transformer(FrozenEstimator(selector), StandardScaler()),
        FrozenEstimator(selector),
    ):
        pipe = make_pipeline(first, ClusterCCA(n_components=2)).fit(views, HEARD)
        assert np.isfinite(retrieval_map(pipe, views, HEARD))
        np.testing.assert_array_equal(next(iter(pipe[:-1].transform(views))), before)


def test_in_a_pipeline_on_plain_arrays_labels_are_named():
    pipe = make_pipeline(small(), ClusterCCA(n_components=2))
    pipe.fit(SONGS, VISUAL, chunkselector__labels=HEARD, clustercca__labels=HEARD)
    assert pipe.transform(SONGS).shape == (60, 2)
    with pytest.raises(ValueError, match="chunkselector__labels="):
        pipe.fit(SONGS, VISUAL, clustercca__labels=HEARD)


def test_labels_are_routed_by_default():
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(small(), ClusterCCA(n_components=2)).fit(SONGS, VISUAL, labels=HEARD)
    assert hasattr(pipe[0], "classes_")


@pytest.mark.parametrize(("library", "frame"), [("pandas", "DataFrame"), ("polars", "DataFrame")])
def test_set_output_wraps_tables_alone(selector, library, frame):
    pytest.importorskip(library)
    selector.set_output(transform=library)
    table = selector.transform(SONGS)
    assert type(table).__module__.startswith(library)
    assert list(table.columns) == [f"chunkselector{i}" for i in range(N_FEATURES)]
    first, second = selector.transform(Views(SONGS, VISUAL))
    assert type(first).__module__.startswith(library)
    assert second is VISUAL
    assert isinstance(selector.set_params(aggregate="frames").transform(SONGS), list)


def test_set_output_keeps_the_index_in_subclasses_too():
    class Mine(ChunkSelector):
        def transform(self, X):
            return super().transform(X)

    X = pd.Series(SONGS, index=[f"song{i}" for i in range(60)])
    selector = Mine(hidden_size=4, max_epochs=1, random_state=0).set_output(transform="pandas")
    table = selector.fit_transform(X, HEARD)
    assert table.index.equals(X.index)
    assert table.columns[0] == "mine0"
    views = Views(SONGS, VISUAL)
    assert isinstance(selector.fit(views, HEARD).transform(views), Views)


def test_feature_names_follow_the_aggregate(selector):
    assert len(selector.get_feature_names_out()) == N_FEATURES
    selector.set_params(k=2, aggregate="concat")
    assert len(selector.get_feature_names_out()) == selector.transform(SONGS).shape[1]


def test_emotion_features_are_the_pooled_states(selector):
    features = selector.emotion_features(SONGS)
    assert features.shape == (60, 16)
    head = selector.network_.head
    with torch.no_grad():
        p = torch.softmax(head(torch.from_numpy(features)), dim=1).numpy()
    np.testing.assert_allclose(selector.predict_proba(SONGS), p, atol=1e-6)


def test_a_column_of_labels_is_a_row_of_labels():
    a, b = small().fit(SONGS, HEARD), small().fit(SONGS, HEARD[:, None])
    np.testing.assert_array_equal(a.predict_proba(SONGS), b.predict_proba(SONGS))
