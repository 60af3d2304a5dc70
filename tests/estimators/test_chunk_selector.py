"""ChunkSelector: which chunks it selects, its labels and input, its files, and scikit-learn."""

import contextlib
import copy
import subprocess
import sys
import warnings
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from _data import HEARD, MOODS, N_FEATURES, SONG_MEANS, SONGS, VISUAL, make_songs
from _models import selector as small
from _models import trained_selector as trained
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.estimator_checks import check_estimator

from skcca import DCCA, ChunkSelector, ClusterCCA, Views, make_view_transformer, retrieval_map
from skcca._core.files import save_tree
from skcca.chunk_selector import class_weights, emotion_targets
from skcca.nn import songs as songs_module
from skcca.nn.training import OPTIMIZERS
from skcca.plotting import AttentionDisplay


@pytest.fixture
def selector():
    return trained()


# Selection


def test_attention_finds_the_emotion_better_than_chance():
    songs, labels, _ = make_songs(n=150)
    new, _, starts = make_songs(n=150, seed=1)
    selector = ChunkSelector(
        n_chunks=6, k=1, hidden_size=32, batch_size=32, learning_rate=3e-3, random_state=0
    )
    chosen = selector.fit(songs, labels).select(new)

    def share(selections):
        """Share of songs whose chosen chunk touches the stretch."""
        pairs = zip(selections, starts, strict=True)
        return np.mean([s.starts[0] < start + 9 and s.stops[0] > start for s, start in pairs])

    chance = share(selector.set_params(strategy="random").select(new))
    assert share(chosen) > 0.75 > chance + 0.2


def test_the_score_of_a_chunk_is_the_maximum_over_its_steps(selector):
    selector.set_params(n_chunks=4, k=2)
    for theta, chosen, song in zip(
        selector.attention(SONGS), selector.select(SONGS), SONGS, strict=True
    ):
        n_steps = -(-len(song) // 3)
        borders = [int(np.floor(j * n_steps / 4 + 0.5)) for j in range(5)]
        maxima = [theta[a:b].max() for a, b in pairwise(borders)]
        best = sorted(sorted(range(4), key=lambda j, m=maxima: -m[j])[:2])
        assert chosen.chunks.tolist() == best
        assert chosen.starts.tolist() == [3 * borders[j] for j in best]
        assert chosen.stops.tolist() == [min(3 * borders[j + 1], len(song)) for j in best]


def test_transform_is_the_mean_of_the_chosen_frames(selector):
    selector.set_params(n_chunks=6, k=2)
    rows = []
    for song, chosen in zip(SONGS, selector.select(SONGS), strict=True):
        pairs = zip(chosen.starts, chosen.stops, strict=True)
        rows.append(np.vstack([song[a:b] for a, b in pairs]).mean(axis=0))
    np.testing.assert_allclose(selector.transform(SONGS), rows, rtol=1e-12)


@pytest.mark.parametrize("n_chunks", [1, 3, 7, 100])
def test_all_chunks_give_the_mean_of_all_frames(selector, n_chunks):
    means = selector.set_params(n_chunks=n_chunks, k=n_chunks).transform(SONGS)
    np.testing.assert_allclose(means, SONG_MEANS, rtol=1e-12, atol=1e-12)


def test_aggregates_agree(selector):
    selector.set_params(n_chunks=6, k=2, aggregate="frames")
    frames = selector.transform(SONGS)
    assert isinstance(frames, list)
    means = selector.set_params(aggregate="mean").transform(SONGS)
    np.testing.assert_allclose(means, [song.mean(axis=0) for song in frames], rtol=1e-12)
    concatenated = selector.set_params(aggregate="concat").transform(SONGS)
    assert concatenated.shape == (len(SONGS), 2 * N_FEATURES)
    first = selector.select(SONGS)[0]
    expected = [SONGS[0][a:b].mean(axis=0) for a, b in zip(first.starts, first.stops, strict=True)]
    np.testing.assert_allclose(concatenated[0], np.concatenate(expected))


def test_a_song_with_fewer_steps_than_chunks_keeps_what_it_has(selector):
    short = [SONGS[0][:4], SONGS[1][:1]]
    selector.set_params(n_chunks=9, k=3)
    assert [s.chunks.tolist() for s in selector.select(short)] == [[0, 1], [0]]
    means = selector.transform(short)
    np.testing.assert_allclose(means, [song.mean(axis=0) for song in short])
    wide = selector.set_params(aggregate="concat").transform(short)
    a, b = short[0][:3].mean(axis=0), short[0][3]
    np.testing.assert_allclose(wide, [np.r_[a, b, b], np.tile(short[1][0], 3)])


@pytest.mark.parametrize(
    ("unit", "shift"),
    [([1e6, 1e-6, 1.0, 3.0, 1e3], [0, 5, -7, 0, 1e6]), ([1e-200, 1e-300, 1e140, 1e-30, 1e30], 0)],
)
def test_the_unit_of_a_feature_does_not_matter(unit, shift):
    units = [song * unit for song in SONGS]
    for strategy, X in (("attention", [song + shift for song in units]), ("energy", units)):
        plain = small(strategy=strategy).fit(SONGS, HEARD).select(SONGS)
        scaled = small(strategy=strategy).fit(X, HEARD).select(X)
        assert [s.chunks[0] for s in plain] == [s.chunks[0] for s in scaled]


def test_features_that_vary_in_their_last_places_alone_are_not_constant():
    songs = [np.rint(8 * song) for song in SONGS]
    far = [2.0**40 + 2.0**-12 * song for song in songs]
    plain, shifted = (small(max_epochs=9).fit(X, HEARD).predict_proba(X) for X in (songs, far))
    np.testing.assert_allclose(shifted, plain, atol=0.02)


# Baselines


def test_the_middle_is_chosen():
    chosen = small(n_chunks=3, strategy="middle").fit(SONGS).select(SONGS)
    assert {s.chunks[0] for s in chosen} == {1}


def test_random_chunks_depend_on_the_song_alone_and_on_the_seed():
    selector = small(n_chunks=9, strategy="random").fit(SONGS)
    chosen = [s.chunks[0] for s in selector.select(SONGS)]
    assert len(set(chosen)) == 9
    assert [s.chunks[0] for s in selector.select(SONGS[::-1])] == chosen[::-1]
    again = small(n_chunks=9, strategy="random", random_state=1).fit(SONGS).select(SONGS)
    assert [s.chunks[0] for s in again] != chosen


def test_energy_chooses_the_loudest_chunk():
    songs = [np.ones((9, 2)) for _ in range(3)]
    for i, song in enumerate(songs):
        song[3 * i : 3 * i + 3] = -5.0
    chosen = small(strategy="energy", n_chunks=3).fit(songs).select(songs)
    assert [s.chunks[0] for s in chosen] == [0, 1, 2]


def test_baselines_need_no_labels_and_have_no_attention():
    selector = small(strategy="middle").fit(SONGS, VISUAL)
    for method in ("attention", "emotion_features", "predict_proba"):
        assert not hasattr(selector, method)
    with pytest.raises(AttributeError) as error:
        _ = selector.attention
    assert "strategy='middle' has no attention" in str(error.value.__cause__)
    assert not hasattr(selector, "classes_")
    with pytest.raises(NotFittedError):
        selector.set_params(strategy="attention").transform(SONGS)


def test_a_refit_leaves_nothing_behind(selector):
    selector.fit(Views(audio=SONGS, visual=VISUAL), HEARD)
    selector.set_params(strategy="middle").fit(SONGS)
    left = ("classes_", "network_", "loss_curve_", "n_epochs_", "device_", "view_names_in_")
    assert not [name for name in left if hasattr(selector, name)]


NARROW = [song[:, :3] for song in SONGS]
BROKEN_REFITS = {
    "too few labels": (Views(a=SONGS), HEARD[:-1], ValueError),
    "missing labels": (NARROW, [None, *HEARD[1:]], ValueError),
    "one class": (Views(a=NARROW), np.zeros(len(SONGS)), ValueError),
    "NaN": ([song * np.nan for song in NARROW], HEARD, ValueError),
    "Ctrl-C": (Views(a=NARROW), HEARD[::-1], KeyboardInterrupt),
    "no memory": (NARROW, HEARD, MemoryError),
}


FILES_OF_FIT = ("chunk_selector.py", "compat.py", "_sequences.py", "songs.py", "attention.py")


@pytest.mark.parametrize("why", BROKEN_REFITS)
def test_a_refit_that_fails_leaves_the_selector_as_it_was(selector, monkeypatch, why):
    def stop(*args, **kwargs):
        raise error

    X, y, error = BROKEN_REFITS[why]
    before = dict(vars(selector))
    expected = selector.transform(SONGS), selector.predict_proba(SONGS)
    # In the second epoch Ctrl-C would keep the weights of the first.
    monkeypatch.setattr("skcca.nn.training._epoch", stop)
    with pytest.raises(error):
        selector.fit(X, y)
    assert {name: id(value) for name, value in vars(selector).items()} == {
        name: id(value) for name, value in before.items()
    }
    np.testing.assert_array_equal(selector.transform(SONGS), expected[0])
    np.testing.assert_array_equal(selector.predict_proba(SONGS), expected[1])


def test_a_refit_that_is_interrupted_anywhere_leaves_the_old_or_the_new():
    old, X, y = small(hidden_size=2).fit(SONGS[:9], HEARD[:9]), NARROW[:9], HEARD[:9][::-1]
    expected = {5: old.predict_proba(SONGS[:9]), 3: clone(old).fit(X, y).predict_proba(X)}

    def refit(stop):
        """Return a refitted copy and the lines that ran; the line of number `stop` raises."""
        selector, n_lines, before = copy.copy(old), 0, sys.gettrace()

        def trace(frame, event, arg):
            nonlocal n_lines
            if not frame.f_code.co_filename.endswith(FILES_OF_FIT):
                return None
            n_lines += event == "line"
            if n_lines == stop:
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            selector.fit(X, y)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        return selector, n_lines

    _, n_lines = refit(-1)
    ends = []
    for stop in [*np.random.default_rng(0).integers(1, n_lines, size=30), n_lines - 1, n_lines]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            selector, _ = refit(stop)
        ends.append(selector.n_features_in_)
        p = selector.predict_proba({5: SONGS[:9], 3: X}[ends[-1]])
        # After the first epoch its weights are kept, and a warning says so.
        if selector.n_epochs_ == 2:
            np.testing.assert_array_equal(p, expected[ends[-1]])
    assert set(ends) == {3, 5}


@pytest.mark.parametrize(
    "method", ["transform", "attention", "predict_proba", "emotion_features", "select"]
)
def test_a_use_is_that_of_one_fit_though_another_ends_meanwhile(selector, monkeypatch, method):
    def refit(*args):
        monkeypatch.undo()
        tags = np.column_stack([HEARD == "calm", HEARD != "warm"]).astype(int)
        selector.set_params(k=2, frames_per_step=2).fit(Views(NARROW), tags)
        return infer(*args)

    infer, expected = songs_module.infer, getattr(selector, method)(SONGS)
    monkeypatch.setattr("skcca.chunk_selector._SONGS_PER_BLOCK", 7)
    monkeypatch.setattr("skcca.nn.songs.infer", refit)
    found = getattr(selector, method)(SONGS)
    assert selector.n_features_in_ == 3
    for one, other in zip(found, expected, strict=True):
        a, b = (np.concatenate([np.ravel(part) for part in parts]) for parts in (one, other))
        np.testing.assert_allclose(a, b, atol=1e-6)


@contextlib.contextmanager
def float64_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "setting",
    [
        *(float64_default, partial(torch.device, "meta"), partial(torch.autocast, "cpu")),
        *(torch.inference_mode, torch.no_grad),
    ],
)
def test_what_the_caller_sets_in_torch_changes_nothing(selector, tmp_path, setting):
    def found():
        model = small(position=True, dropout=0.2, max_epochs=1).fit(SONGS, HEARD)
        deep = DCCA(1, x_network=model.tower(), max_epochs=1, random_state=0).fit(SONGS, VISUAL)
        loaded = ChunkSelector.load(tmp_path / "selector")
        return model.predict_proba(SONGS), deep.transform(SONGS), loaded.predict_proba(SONGS)

    selector.save(tmp_path / "selector")
    expected = found()
    with setting():
        here = found()
    for one, other in zip(here, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_settings_are_refused_before_songs_are_read():
    with pytest.raises(ValueError, match="`device`='nowhere' is not usable"):
        small(device="nowhere").fit([None], HEARD)


# Labels


def test_classes_are_learned_from_strings_ints_and_bools():
    for labels in (HEARD, np.searchsorted(MOODS, HEARD), HEARD == "calm", list(HEARD)):
        selector = small().fit(SONGS, labels)
        np.testing.assert_array_equal(selector.classes_, np.unique(labels))
        p = selector.predict_proba(SONGS)
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert p.shape == (len(SONGS), len(selector.classes_))


def test_emotions_are_told_apart():
    selector = ChunkSelector(hidden_size=32, batch_size=16, learning_rate=3e-3, random_state=0).fit(
        SONGS, HEARD
    )
    predicted = selector.classes_[selector.predict_proba(SONGS).argmax(axis=1)]
    assert np.mean(predicted == HEARD) > 0.9
    assert selector.loss_curve_[-1] < 0.5 * selector.loss_curve_[0]
    assert selector.n_epochs_ == len(selector.loss_curve_) == 20


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, pd.DataFrame])
def test_tags_may_occur_together(convert):
    tags = (HEARD[:, None] == MOODS).astype(int)
    tags[:, 2] |= tags[:, 0]
    selector = small(max_epochs=60, learning_rate=1e-2).fit(SONGS, convert(tags))
    np.testing.assert_array_equal(selector.classes_, [0, 1, 2])
    p = selector.predict_proba(SONGS)
    assert np.mean((p > 0.5) == tags) > 0.9
    assert p.sum(axis=1).max() > 1.5


def test_distributions_are_learned_from_labels_alone():
    shares = 0.1 + 0.7 * (HEARD[:, None] == MOODS)
    selector = small(max_epochs=60, learning_rate=1e-2).fit(SONGS, VISUAL, labels=shares)
    p = selector.predict_proba(SONGS)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert np.abs(p - shares).mean() < 0.1
    entropy = -(shares * np.log(shares)).sum(axis=1).mean()  # no loss can be smaller
    assert entropy - 1e-3 < selector.loss_curve_[-1] < entropy + 0.2


def test_rounded_distributions_are_scaled_to_sum_one():
    shares = 0.1 + 0.7 * (HEARD[:, None] == MOODS)
    a, b = small().fit(SONGS, labels=shares), small().fit(SONGS, labels=0.9995 * shares)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)


def test_one_hot_distributions_equal_classes():
    one_hot = (HEARD[:, None] == MOODS) * (1 - 1e-7) + 1e-7 / 3  # not binary: distributions
    a, b = small().fit(SONGS, HEARD), small().fit(SONGS, labels=one_hot)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-5)


def test_labels_come_before_y():
    a, b = small().fit(SONGS, HEARD), small().fit(SONGS, VISUAL, labels=HEARD)
    np.testing.assert_array_equal(a.transform(SONGS), b.transform(SONGS))


# Input


def test_constant_features_and_extreme_frames_never_give_nan():
    songs = [np.column_stack([song, np.full(len(song), 0.1)]) for song in SONGS]
    selector = small().fit(songs, HEARD)
    extreme = [song.copy() for song in songs]
    extreme[0][:] = 1e300
    extreme[1][5] = -1e300
    extreme[3] = np.sign(extreme[3]) * 1e200
    extreme[2][0, -1] = 1e30  # of the constant feature
    assert np.isfinite(np.concatenate(selector.attention(extreme))).all()
    assert np.isfinite(selector.transform(extreme)).all()
    with pytest.raises(ValueError, match="chosen frames of song 0 leaves the range of float64"):
        selector.transform([np.full((9, N_FEATURES + 1), 1.7e308)])
    energy = small(strategy="energy", n_chunks=3).fit(SONGS)
    for far in (1.0, 1e200):
        song = far * np.repeat([[1.0], [3.0], [2.0]], 3, axis=0) * np.ones(N_FEATURES)
        assert energy.select([song])[0].chunks[0] == 1


def test_columns_of_frames_keep_their_order(selector):
    frames = [pd.DataFrame(song, columns=list("abcde")) for song in SONGS]
    turned = [frame[list("edcba")] for frame in frames]
    selector.fit(frames, HEARD)
    assert selector.feature_names_in_.tolist() == list("abcde")
    for X in (frames, SONGS):
        np.testing.assert_allclose(selector.transform(X), trained().transform(SONGS), atol=1e-12)
    for call in (
        lambda: selector.select(turned),
        lambda: AttentionDisplay.from_estimator(selector, turned[0]),
        lambda: selector.fit([*frames[:-1], turned[-1]], HEARD),
        lambda: DCCA(1, x_network=selector.tower()).fit([*frames[:-1], turned[-1]], VISUAL),
    ):
        with pytest.raises(ValueError, match=r"sequence \d+ of `\w+` has the columns \['e', 'd'"):
            call()


def test_songs_of_every_container_are_read_alike(selector):
    tensors = [torch.from_numpy(song[:9]).bfloat16() for song in SONGS]
    cut = [song.float().numpy() for song in tensors]
    padding = np.repeat([False, True], 9)[:, None].repeat(N_FEATURES, axis=1)
    frames = [pd.DataFrame(song, dtype="Float64") for song in cut]
    nested = [np.array([*map(list, song), None], dtype=object)[:-1] for song in cut]
    expected = selector.predict_proba(cut)
    for X in (
        *(np.stack(cut), pd.Series(cut), [song.tolist() for song in cut], nested, frames),
        *(tensors, torch.stack(tensors), [song.requires_grad_() for song in tensors]),
        [np.ma.masked_array(np.vstack([song, song]), padding) for song in cut],
        [frame.reindex(range(20)) for frame in frames],
    ):
        np.testing.assert_allclose(selector.predict_proba(X), expected, rtol=1e-5)


def test_one_song_can_be_transformed(selector):
    for i in (0, 7):
        np.testing.assert_allclose(selector.transform([SONGS[i]])[0], selector.transform(SONGS)[i])


def test_every_optimizer_is_offered():
    assert ChunkSelector._parameter_constraints["optimizer"][0].options == set(OPTIMIZERS)


# What the network may be, and what chunks may be


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "peephole"},
        {"cell": "peephole", "peepholes": "full"},
        {"head": "per_step"},
        {"position": True},
        {"class_weight": {"calm": 5.0}},
    ],
    ids=str,
)
def test_every_network_is_trained_and_reads_ragged_songs(options):
    selector = small(**options).fit(SONGS, HEARD)
    together, p = selector.attention(SONGS), selector.predict_proba(SONGS)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    for i in (0, 9):
        np.testing.assert_allclose(selector.attention([SONGS[i]])[0], together[i], atol=1e-6)
    plain = small().fit(SONGS, HEARD).predict_proba(SONGS)
    assert not np.allclose(p, plain)


def test_each_step_tells_tags_of_their_own():
    tags = np.column_stack([HEARD == "calm", HEARD != "warm"]).astype(int)
    selector = small(head="per_step", max_epochs=20, learning_rate=1e-2, batch_size=16)
    p = selector.fit(SONGS, tags).predict_proba(SONGS)
    assert ((p > 0) & (p < 1)).all()
    assert p[tags == 1].mean() > p[tags == 0].mean() + 0.1


def test_balanced_weights_are_those_of_scikit_learn():
    y = np.array(["a"] * 6 + ["b"] * 3 + ["c"])
    found = class_weights("balanced", emotion_targets(y, None, 10, "Selector"), "Selector")
    expected = compute_class_weight("balanced", classes=np.unique(y), y=y)
    np.testing.assert_allclose(found, expected)
    tags = np.array([[1, 0], [1, 0], [1, 1], [1, 0]])
    found = class_weights("balanced", emotion_targets(tags, None, 4, "Selector"), "Selector")
    np.testing.assert_allclose(found, [5 / 8, 5 / 2])
    named = emotion_targets(y, None, 10, "Selector")
    np.testing.assert_allclose(class_weights({"b": 2.5}, named, "Selector"), [1, 2.5, 1])


def test_columns_of_a_frame_name_the_emotions():
    tags = pd.DataFrame({"glad": HEARD == "warm", "loud": HEARD != "calm"}).astype(int)
    assert small().fit(SONGS, tags).classes_.tolist() == ["glad", "loud"]
    shares = pd.DataFrame(np.random.default_rng(0).dirichlet([1, 1, 1], 60), columns=list("abc"))
    assert small().fit(SONGS, labels=shares).classes_.tolist() == ["a", "b", "c"]


def test_chunks_may_be_given_in_seconds(selector):
    selector.set_params(n_chunks=None, chunk_duration=6.0, frame_duration=0.5, k=2)
    for song, chosen in zip(SONGS, selector.select(SONGS), strict=True):
        n_chunks = max(1, round(len(song) * 0.5 / 6))
        borders = np.floor(np.arange(n_chunks + 1) * -(-len(song) // 3) / n_chunks + 0.5)
        expected = np.minimum(3 * borders, len(song)) * 0.5
        np.testing.assert_array_equal(chosen.seconds[:, 0], expected[chosen.chunks])
        np.testing.assert_array_equal(chosen.seconds[:, 1], expected[chosen.chunks + 1])
    assert selector.transform(SONGS).shape == (len(SONGS), N_FEATURES)


def test_a_song_of_any_length_has_chunks_of_the_asked_duration(selector):
    rng = np.random.default_rng(0)
    selector.set_params(n_chunks=None, chunk_duration=30.0)
    for n_frames in (1, 10, 61, 1000):
        (chosen,) = selector.select([rng.normal(size=(n_frames, N_FEATURES))])
        length = float(np.diff(chosen.seconds[0])[0])
        assert length == n_frames if n_frames < 45 else 25 <= length <= 36


def test_the_mean_of_the_steps_may_score_a_chunk(selector):
    selector.set_params(n_chunks=2, k=2, chunk_score="mean")
    (steps,) = selector._infer(SONGS[:1]).scores
    half = (len(steps) + 1) // 2
    (chosen,) = selector.select(SONGS[:1])
    np.testing.assert_allclose(chosen.scores, [steps[:half].mean(), steps[half:].mean()], rtol=1e-6)


def test_a_mask_tells_the_chosen_frames(selector):
    frames = selector.set_params(k=2, aggregate="frames").transform(SONGS)
    masks = selector.set_params(aggregate="mask").transform(SONGS)
    for song, mask, chosen in zip(SONGS, masks, frames, strict=True):
        np.testing.assert_array_equal(song[mask], chosen)


def test_without_attention_the_steps_of_fit_do_not_matter(selector):
    selector.set_params(frames_per_step=2, strategy="middle").transform(SONGS)


def test_blocks_of_songs_change_nothing(selector, monkeypatch):
    whole = selector.transform(SONGS), selector.predict_proba(SONGS), selector.select(SONGS)
    monkeypatch.setattr("skcca.chunk_selector._SONGS_PER_BLOCK", 7)
    np.testing.assert_allclose(selector.transform(SONGS), whole[0])
    np.testing.assert_allclose(selector.predict_proba(SONGS), whole[1], atol=1e-6)
    chunks = [chosen.chunks.tolist() for chosen in selector.select(SONGS)]
    assert chunks == [chosen.chunks.tolist() for chosen in whole[2]]
    assert len(selector.attention(SONGS)) == len(selector.emotion_features(SONGS)) == len(SONGS)


# Files


@pytest.mark.parametrize("options", [{}, {"cell": "peephole", "head": "per_step"}], ids=str)
def test_a_saved_selector_is_the_same(tmp_path, options):
    selector = small(**options, frame_duration=0.5).fit(Views(audio=SONGS, visual=VISUAL), HEARD)
    selector.save(tmp_path / "selector")
    loaded = ChunkSelector.load(tmp_path / "selector")
    X = Views(audio=SONGS, visual=VISUAL)
    np.testing.assert_array_equal(loaded.transform(X)["audio"], selector.transform(X)["audio"])
    np.testing.assert_array_equal(loaded.predict_proba(X), selector.predict_proba(X))
    assert loaded.classes_.tolist() == selector.classes_.tolist()
    assert loaded.get_params() == selector.get_params()
    with pytest.raises(ValueError, match="X has 3 features, but ChunkSelector is expecting 5"):
        loaded.transform(Views(audio=[song[:, :3] for song in SONGS], visual=VISUAL))


def test_an_untrained_selector_is_saved_too(tmp_path):
    selector = small(strategy="energy").fit(SONGS)
    selector.save(tmp_path / "selector")
    loaded = ChunkSelector.load(tmp_path / "selector")
    np.testing.assert_array_equal(loaded.transform(SONGS), selector.transform(SONGS))


def test_files_of_something_else_are_refused(tmp_path, selector):
    with pytest.raises(ValueError, match="is a folder"):
        selector.save(tmp_path)
    selector.save(tmp_path / "selector")
    with pytest.raises(ValueError, match=r"holds a ChunkSelector: ChunkSelector\.load\(path\)"):
        DCCA.load(tmp_path / "selector")
    save_tree(tmp_path / "tree", {"run": 1})
    with pytest.raises(ValueError, match="holds no estimator"):
        ChunkSelector.load(tmp_path / "tree")


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
    (lambda s: s.fit(Views(SONGS, VISUAL), HEARD, labels=HEARD), "labels were given twice"),
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


@pytest.mark.slow
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
