"""ViewTransformer in scikit-learn's hands: nested, cloned, routed, framed, checked."""

import os

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from _data import two_views
from _models import FirstFrames, Recorder, audio_and_visual
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import check_estimator

from skcca import Views, ViewTransformer, make_view_transformer

N = 30
A, V, _ = two_views(N)
Y = np.arange(N) % 2
SONGS = [np.random.default_rng(i).normal(size=(3 + i % 4, 2)) for i in range(N)]
NAMED = Views(audio=A, visual=V)

# Parameters


def test_parameters_are_nested_as_in_column_transformer():
    model = audio_and_visual()
    assert model.get_params()["audio__n_components"] == 2
    assert set(model.get_params(deep=False)) == {"transformers"}
    model.set_params(audio__n_components=3, visual="passthrough")
    assert model.fit_transform(NAMED)["audio"].shape == (N, 3)
    assert model.get_params()["visual"] == "passthrough"
    model.set_params(transformers=[("a", PCA(1)), ("b", PCA(1))], a__n_components=2)
    assert model.get_params()["a__n_components"] == 2
    with pytest.raises(ValueError, match="Invalid parameter 'image'"):
        model.set_params(image=PCA())


def test_grid_search_over_the_views_equals_one_over_the_columns():
    views = audio_and_visual()
    columns = ColumnTransformer([("audio", PCA(2), slice(5)), ("visual", PCA(2), slice(5, None))])
    grid = {"audio__n_components": [1, 4], "visual": ["passthrough", StandardScaler()]}
    scores = []
    for model, stack, X in (
        (views, FunctionTransformer(np.hstack), NAMED),
        (columns, "passthrough", np.hstack([A, V])),
    ):
        pipe = Pipeline([("each", model), ("stack", stack), ("model", LogisticRegression())])
        nested = {f"each__{name}": values for name, values in grid.items()}
        search = GridSearchCV(pipe, nested, cv=3, n_jobs=2, error_score="raise").fit(X, Y)
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(*scores)
    assert len(set(scores[0])) > 1


def test_make_view_transformer_names_by_class_and_numbers_duplicates():
    names = [name for name, _ in make_view_transformer(PCA(), StandardScaler()).transformers]
    assert names == ["pca", "standardscaler"]
    names = [name for name, _ in make_view_transformer(PCA(), "passthrough", PCA()).transformers]
    assert names == ["pca-1", "passthrough", "pca-2"]


# Inside scikit-learn


def test_pipelines_are_steps():
    steps = make_pipeline(StandardScaler(), PCA(2))
    Z = audio_and_visual(audio=steps).set_params(audio__pca__n_components=3).fit_transform(NAMED)
    np.testing.assert_allclose(
        Z["audio"], make_pipeline(StandardScaler(), PCA(3)).fit_transform(A), atol=1e-12
    )


def test_frozen_transformers_are_used_as_they_are():
    frozen = FrozenEstimator(StandardScaler().fit(A[:10]))
    model = audio_and_visual(audio=frozen)
    expected = frozen.transform(A)
    np.testing.assert_array_equal(model.fit_transform(NAMED, Y)["audio"], expected)
    np.testing.assert_array_equal(model.fit(NAMED, Y).transform(NAMED)["audio"], expected)
    np.testing.assert_array_equal(clone(model).fit(NAMED).transform(NAMED)["audio"], expected)


class CountingScaler(StandardScaler):
    """Count the fits, across copies."""

    fits = 0

    def fit(self, X, y=None, sample_weight=None):
        CountingScaler.fits += 1
        return super().fit(X, y, sample_weight)


def test_a_pipeline_with_memory_fits_once(tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    CountingScaler.fits = 0
    for C in (0.1, 1.0):
        pipe = Pipeline(
            [
                ("views", audio_and_visual(visual=CountingScaler())),
                ("stack", FunctionTransformer(np.hstack)),
                ("model", LogisticRegression(C=C)),
            ],
            memory=memory,
        )
        assert pipe.fit(Views(audio=A.copy(), visual=V.copy()), Y).predict(NAMED).shape == (N,)
    assert CountingScaler.fits == 1


def test_an_array_into_a_pipeline_fitted_on_views_names_the_right_call():
    pipe = make_pipeline(audio_and_visual(), FunctionTransformer(np.hstack), LogisticRegression())
    pipe.fit(NAMED, Y)
    with pytest.raises(ValueError, match=r"Views\(A, V\), or Views\(A, None\)"):
        pipe.predict(A)


def test_html_shows_one_block_per_view():
    for model in (audio_and_visual(), audio_and_visual(visual="passthrough").fit(NAMED)):
        html = estimator_html_repr(model)
        assert "sk-parallel" in html
        assert "audio" in html
        assert "PCA" in html
    estimator_html_repr(ViewTransformer([]))


class OnArrays(ViewTransformer):
    """Feed one array to both views, so that scikit-learn's checks, which give arrays, apply."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.sparse = True  # as PCA
        return tags

    @property
    def n_features_in_(self):
        return self.transformers_[0][1].n_features_in_

    def fit(self, X, y=None):
        return super().fit(Views(X, X), y)

    def fit_transform(self, X, y=None):
        return np.hstack(super().fit_transform(Views(X, X), y))

    def transform(self, X):
        return np.hstack(super().transform(Views(X, X)))

    def inverse_transform(self, X):
        return super().inverse_transform(Views(*np.hsplit(X, 2)))["view0"]


def test_estimator_checks():
    assert os.environ["SCIPY_ARRAY_API"] == "1"
    steps = [("a", PCA(n_components=1)), ("b", PCA(n_components=1))]
    # Views are no 2-D array, and the tag says so. scikit-learn then runs what needs no data ...
    with pytest.warns(UserWarning, match="Can't test estimator ViewTransformer"):
        check_estimator(ViewTransformer(steps), on_skip=None)
    # ... so its other checks are run through a subclass that wraps their arrays: none is left out.
    results = check_estimator(OnArrays(steps), on_skip=None)
    assert len(results) > 30
    assert {result["status"] for result in results} == {"passed"}


# Metadata routing


def test_metadata_needs_routing():
    model = make_view_transformer(FirstFrames(), Recorder())
    for method in (model.fit, model.fit_transform):
        with pytest.raises(ValueError, match="enable_metadata_routing=True"):
            method(Views(SONGS, V), labels=Y)
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        model.fit(Views(SONGS, V)).transform(Views(SONGS, V), shift=1)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_metadata_reaches_those_that_request_it(method):
    with sklearn.config_context(enable_metadata_routing=True):
        model = ViewTransformer(
            [
                ("songs", FirstFrames().set_fit_request(labels=True)),
                ("images", Recorder().set_fit_request(weight="w")),
                ("rest", "passthrough"),
            ]
        )
        getattr(model, method)(Views(SONGS, V, A), Y, labels="tags", w="weights")
        assert model.named_transformers_.songs.labels_ == "tags"
        assert model.named_transformers_.songs.y_ is Y
        assert model.named_transformers_.images.weight_ == "weights"


def test_metadata_reaches_transform():
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_view_transformer(Recorder().set_transform_request(shift=True), "passthrough")
        shifted, kept = model.fit(Views(A, V)).transform(Views(A, V), shift=5)
        np.testing.assert_array_equal(shifted, A + 5)
        assert kept is V
        np.testing.assert_array_equal(next(iter(model.fit_transform(Views(A, V), shift=5))), A + 5)


def test_metadata_that_nobody_decided_on_is_refused():
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_view_transformer(FirstFrames(), "passthrough")
        with pytest.raises(UnsetMetadataPassedError, match="labels"):
            model.fit(Views(SONGS, V), labels=Y)
        with pytest.raises(TypeError, match="unexpected"):
            make_view_transformer(PCA(), PCA()).fit(Views(A, V), labels=Y)


def test_metadata_passes_a_pipeline_and_a_search():
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            make_view_transformer(FirstFrames().set_fit_request(labels=True), StandardScaler()),
            FunctionTransformer(np.hstack),
            LogisticRegression(),
        )
        grid = {"viewtransformer__firstframes__n_frames": [1, 2]}
        search = GridSearchCV(pipe, grid, cv=3, error_score="raise")
        search.fit(Views(SONGS, V), Y, labels=np.arange(N))
        songs = search.best_estimator_[0].named_transformers_["firstframes"]
        np.testing.assert_array_equal(songs.labels_, np.arange(N))


# Names and frames


def test_feature_names_carry_the_view():
    model = audio_and_visual(PCA(1), "passthrough").fit(NAMED)
    expected = ["audio__pca0", "visual__x0", "visual__x1", "visual__x2", "visual__x3"]
    assert model.get_feature_names_out().tolist() == expected
    frames = Views(sound=pd.DataFrame(A), image=pd.DataFrame(V[:, :2], columns=["red", "blue"]))
    names = make_view_transformer(PCA(1), "passthrough").fit(frames).get_feature_names_out()
    assert names.tolist() == ["sound__pca0", "image__red", "image__blue"]


def test_feature_names_carry_the_transformer_where_views_have_no_name():
    model = make_view_transformer(PCA(1), StandardScaler()).fit(Views(A, V[:, :1]))
    assert model.get_feature_names_out().tolist() == ["pca__pca0", "standardscaler__x0"]


def test_feature_names_pass_from_one_view_transformer_to_the_next():
    two = make_pipeline(audio_and_visual(PCA(1)), audio_and_visual(StandardScaler())).fit(NAMED)
    assert two.get_feature_names_out().tolist()[:2] == ["audio__pca0", "visual__x0"]


def test_feature_names_that_a_view_has_not_are_an_error():
    with pytest.raises(AttributeError, match=r"'recorder' \(Recorder\) does not provide"):
        make_view_transformer(Recorder(), PCA()).fit(Views(A, V)).get_feature_names_out()
    with pytest.raises(AttributeError, match=r"'passthrough' \(str\) does not provide"):
        make_view_transformer("passthrough", PCA()).fit(Views(SONGS, V)).get_feature_names_out()


@pytest.mark.parametrize(("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output_frames_every_table(library, frame):
    X = Views(A, V, SONGS)
    model = make_view_transformer(PCA(2), "passthrough", "passthrough")
    model.set_output(transform=library)
    for Z in (model.fit_transform(X), model.transform(X), clone(model).fit_transform(X)):
        scores, images, songs = Z
        assert isinstance(Z, Views)
        assert isinstance(scores, frame)
        assert isinstance(images, frame)
        assert list(scores.columns) == ["pca0", "pca1"]
        assert list(images.columns) == ["x0", "x1", "x2", "x3"]
        assert songs is SONGS
    assert model.transform(Views(A, None, None))["view1"] is None


def test_set_output_after_fit_reaches_the_fitted_transformers():
    model = audio_and_visual().fit(NAMED)
    model.set_output(transform="pandas")
    assert isinstance(model.transform(NAMED)["audio"], pd.DataFrame)
    model.set_output(transform=None)
    assert isinstance(model.transform(NAMED)["audio"], pd.DataFrame)
    model.set_output(transform="default")
    assert isinstance(model.transform(NAMED)["audio"], np.ndarray)


def test_set_output_passes_a_pipeline():
    pipe = make_pipeline(audio_and_visual(), audio_and_visual()).set_output(transform="pandas")
    assert isinstance(pipe.fit_transform(NAMED)["visual"], pd.DataFrame)


class SubclassedTransformer(ViewTransformer):
    """scikit-learn's wrapper would turn the Views of a subclass into a frame."""

    def transform(self, X, **params):
        return super().transform(X, **params)


@pytest.mark.parametrize("cls", [ViewTransformer, SubclassedTransformer])
def test_global_output_setting_frames_members_and_not_the_views(cls):
    with sklearn.config_context(transform_output="pandas"):
        Z = cls(audio_and_visual(visual="passthrough").transformers).fit(NAMED).transform(NAMED)
    assert isinstance(Z, Views)
    assert all(isinstance(member, pd.DataFrame) for member in Z)


def test_frames_made_of_arrays_share_the_index_of_the_frame_beside_them():
    X = Views(audio=A, visual=pd.DataFrame(V).sample(frac=1, random_state=0))
    Z = audio_and_visual().set_output(transform="pandas").fit_transform(X)
    assert Z["audio"].index.equals(X["visual"].index)
    np.testing.assert_allclose(Z["audio"], PCA(2).fit_transform(A))


def test_set_output_needs_transformers_that_have_it():
    with pytest.raises(ValueError, match="`set_output` is not available"):
        make_view_transformer(Recorder(), PCA()).set_output(transform="pandas")
