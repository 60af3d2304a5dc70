"""ViewTransformer: what each view becomes, and which transformer goes with which view."""

import traceback

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from _data import two_views
from _models import FirstFrames, Recorder, audio_and_visual
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler

from skcca import Views, ViewTransformer, make_view_transformer

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
