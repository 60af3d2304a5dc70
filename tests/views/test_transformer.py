"""ViewTransformer: what each view becomes, by which transformer, and its place in scikit-learn."""

import os
import traceback

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from _data import two_views
from _models import FirstFrames, Recorder, audio_and_visual
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import check_estimator

from skcca import CCA, Views, ViewTransformer, make_view_transformer

N = 30
A, V, _ = two_views(N)
Y = np.arange(N) % 2
SONGS = [np.random.default_rng(i).normal(size=(3 + i % 4, 2)) for i in range(N)]
NAMED = Views(audio=A, visual=V)

# What each view becomes


def test_each_view_gets_its_own_transformer():
    Z = audio_and_visual(PCA(2), StandardScaler()).fit(NAMED).transform(NAMED)
    np.testing.assert_allclose(Z["audio"], PCA(2).fit_transform(A))
    np.testing.assert_allclose(Z["visual"], StandardScaler().fit_transform(V))


@pytest.mark.parametrize("X", [NAMED, Views(A, V)])
def test_fit_transform_equals_fit_then_transform(X):
    once = audio_and_visual().fit_transform(X)
    twice = audio_and_visual().fit(X).transform(X)
    assert isinstance(once, Views)
    assert once.names == twice.names == X.names
    assert once.named is twice.named is X.named
    for first, second in zip(once, twice, strict=True):
        np.testing.assert_allclose(first, second)


def test_fit_leaves_the_given_transformers_alone():
    scaler = StandardScaler()
    model = audio_and_visual(visual=scaler).fit(NAMED)
    assert not hasattr(scaler, "mean_")
    assert model.transformers[1][1] is scaler
    np.testing.assert_allclose(model.named_transformers_["visual"].mean_, V.mean(0))
    np.testing.assert_allclose(model.named_transformers_.visual.mean_, V.mean(0))


def test_every_transformer_is_given_the_labels():
    for method in ("fit", "fit_transform"):
        model = make_view_transformer(SelectKBest(k=1), Recorder())
        getattr(model, method)(Views(A, V), Y)
        np.testing.assert_allclose(
            model.named_transformers_["selectkbest"].scores_, SelectKBest(k=1).fit(A, Y).scores_
        )
        assert model.named_transformers_["recorder"].y_ is Y


def test_new_rows_are_transformed_as_the_training_rows():
    model = audio_and_visual().fit(NAMED)
    rows = [4, 9]
    for new, seen in zip(model.transform(NAMED[rows]), model.transform(NAMED), strict=True):
        np.testing.assert_allclose(new, seen[rows])


def test_absent_view_stays_absent():
    Z = audio_and_visual().fit(NAMED).transform(Views(audio=A[:3], visual=None))
    assert Z.names == ("audio", "visual")
    assert Z["audio"].shape == (3, 2)
    assert Z["visual"] is None


def test_passthrough_returns_the_member_itself():
    model = make_view_transformer("passthrough", "passthrough")
    songs, images = model.fit(Views(SONGS, V)).transform(Views(SONGS, V))
    assert songs is SONGS
    assert images is V
    for kept, member in zip(model.fit_transform(Views(SONGS, V)), (SONGS, V), strict=True):
        assert kept is member


def test_sequences_sparse_and_frames_reach_their_transformers():
    X = Views(SONGS, sp.csr_array(V), pd.DataFrame(A))
    model = make_view_transformer(FirstFrames(2), StandardScaler(with_mean=False), StandardScaler())
    songs, sparse, frame = model.fit_transform(X)
    assert songs.shape == (N, 4)
    assert sp.issparse(sparse)
    np.testing.assert_allclose(frame, StandardScaler().fit_transform(A))


def test_one_view_or_three_are_views_too():
    assert make_view_transformer(PCA(1)).fit_transform(Views(A))["view0"].shape == (N, 1)
    assert len(list(make_view_transformer(*[PCA(1)] * 3).fit_transform(Views(A, V, A)))) == 3


def test_inverse_transform_undoes_transform():
    model = audio_and_visual(StandardScaler(), MinMaxScaler()).fit(NAMED)
    back = model.inverse_transform(model.transform(NAMED))
    assert back.names == NAMED.names
    np.testing.assert_allclose(back["audio"], A)
    np.testing.assert_allclose(back["visual"], V)
    assert model.inverse_transform(Views(audio=A, visual=None))["visual"] is None


def test_inverse_transform_exists_only_where_every_view_has_one():
    assert hasattr(audio_and_visual(StandardScaler(), "passthrough"), "inverse_transform")
    assert not hasattr(audio_and_visual(StandardScaler(), Normalizer()), "inverse_transform")
    model = make_view_transformer("passthrough", StandardScaler()).fit(Views(SONGS, V))
    assert model.inverse_transform(model.transform(Views(SONGS, V)))["view0"] is SONGS


# Which transformer goes with which view


def test_equal_names_match_whatever_their_order():
    X = Views(visual=V, audio=A)
    model = audio_and_visual().fit(X)
    Z = model.transform(X)
    assert Z.names == ("visual", "audio")
    assert Z["audio"].shape == (N, 2)
    assert [name for name, _ in model.transformers_] == ["visual", "audio"]
    assert model.get_feature_names_out().tolist()[-2:] == ["audio__pca0", "audio__pca1"]


def test_other_names_match_by_position():
    Z = make_view_transformer(PCA(2), StandardScaler()).fit_transform(NAMED)
    assert Z["audio"].shape == (N, 2)
    assert audio_and_visual().fit_transform(Views(A, V))["view0"].shape == (N, 2)
    assert audio_and_visual().fit_transform(Views(audio=A, images=V))["audio"].shape == (N, 2)


def test_names_that_contradict_the_positions_are_refused():
    for X in (Views(images=V, audio=A), Views(visual=V, sound=A)):
        with pytest.raises(ValueError, match="order them alike, or give both the same names"):
            audio_and_visual().fit(X)
    with pytest.raises(ValueError, match=r"'audio' would be given view 'visual'"):
        audio_and_visual().fit(Views(A, V)).transform(Views(visual=V, audio=A))


def test_view_names_are_remembered_only_when_given():
    model = audio_and_visual().fit(NAMED)
    assert model.view_names_in_ == ("audio", "visual")
    assert not hasattr(model.fit(Views(A, V)), "view_names_in_")


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (Views(visual=V, audio=A), "fitted on the views ['audio', 'visual']; got"),
        (Views(visual=V, audio=A), "Views(audio=..., visual=...)"),
        (Views(audio=A, images=V), "got ['audio', 'images']"),
        (Views(audio=A), "A view that is not at hand is None"),
        (Views(A, V, A), "fitted on 2 views"),
        (A, "Views(A, V), or Views(A, None) for the first view alone"),
        ((A, V), "got tuple"),
        (pd.DataFrame(A), "got DataFrame"),
    ],
)
def test_other_views_than_at_fit_are_refused(X, words):
    model = audio_and_visual(StandardScaler(), StandardScaler()).fit(NAMED)
    for method in (model.transform, model.inverse_transform):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  each case has its own words
            method(X)
        assert words in str(caught.value)


def test_unnamed_views_are_taken_by_position_after_a_named_fit():
    model = audio_and_visual().fit(NAMED)
    for unnamed, named in zip(model.transform(Views(A, V)), model.transform(NAMED), strict=True):
        np.testing.assert_array_equal(unnamed, named)


@pytest.mark.parametrize(
    ("transformers", "X", "error", "words"),
    [
        ([("a", PCA())], Views(A, V), ValueError, "1 transformers ['a'] for 2 views"),
        ([], Views(A, V), ValueError, "0 transformers [] for 2 views"),
        ([("a", PCA()), ("b", PCA())], Views(A, None), ValueError, "view 'view1' is None"),
        ([("a", PCA()), ("b", PCA())], A, ValueError, "Views(A, V)"),
        ([("a", PCA()), ("a", PCA())], Views(A, V), ValueError, "not unique: ['a', 'a']"),
        ([("a__b", PCA()), ("c", PCA())], Views(A, V), ValueError, "must not contain __"),
        ([("transformers", PCA()), ("c", PCA())], Views(A, V), ValueError, "conflict"),
        ([("a", PCA), ("b", PCA())], Views(A, V), TypeError, "'a' must be an instance"),
        ([("a", LogisticRegression()), ("b", PCA())], Views(A, V), TypeError, "`transform`"),
        ([("a", "drop"), ("b", PCA())], Views(A, V), TypeError, "'passthrough'; got 'drop'"),
        ([PCA(), PCA()], Views(A, V), TypeError, "(name, transformer) tuples; got PCA()"),
        ([("a", PCA(), 0), ("b", PCA())], Views(A, V), TypeError, "(name, transformer) tuples"),
        ([(0, PCA()), ("b", PCA())], Views(A, V), TypeError, "(name, transformer) tuples"),
        ("passthrough", Views(A, V), ValueError, "must be an instance of 'list'"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_bad_transformers_are_refused(transformers, X, error, words, method):
    with pytest.raises(error) as caught:
        getattr(ViewTransformer(transformers), method)(X)
    assert words in str(caught.value)


def test_transform_before_fit_is_refused():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(audio_and_visual(StandardScaler()), method)(NAMED)
    with pytest.raises(NotFittedError):
        audio_and_visual().get_feature_names_out()


def test_an_error_says_on_which_view_it_happened():
    bad = Views(audio=A, visual=np.where(np.eye(N, 4) > 0, np.inf, V))
    model = audio_and_visual()
    for call in (model.fit, model.fit_transform, model.fit(NAMED).transform):
        with pytest.raises(ValueError, match="infinity") as caught:
            call(bad)
        assert "'visual' on view 'visual'" in "".join(traceback.format_exception(caught.value))


def test_a_failed_refit_keeps_the_fitted_state():
    model = audio_and_visual().fit(NAMED)
    with pytest.raises(ValueError, match="None"):
        model.fit(Views(A, None))
    assert model.transform(NAMED)["audio"].shape == (N, 2)


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


@pytest.mark.parametrize("step", [PCA(2), make_pipeline(StandardScaler(), PCA(2))])
def test_one_transformer_for_every_view_equals_its_clones(step):
    views = Views(audio=A, visual=V)
    one, two = ViewTransformer(step), ViewTransformer([("audio", step), ("visual", step)])
    scores, expected = one.fit_transform(views), two.fit_transform(views)
    for name in views.names:
        np.testing.assert_array_equal(scores[name], expected[name])
    assert one.get_feature_names_out().tolist() == two.get_feature_names_out().tolist()
    back, original = (each.inverse_transform(scores) for each in (one, two))
    np.testing.assert_array_equal(back["visual"], original["visual"])
    pipeline = make_pipeline(clone(one), CCA(1))
    search = GridSearchCV(pipeline, {"viewtransformer__transformers": [PCA(1), step]})
    assert search.fit(views).best_score_ > 0
