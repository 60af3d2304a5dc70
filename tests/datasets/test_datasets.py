"""Data sets: the simulation's promises, the loaders' splits, the messages about files."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_score

from skcca.datasets import (
    dequantize_features,
    load_digit_halves,
    load_emotify,
    load_mnist,
    load_mnist_halves,
    load_multiple_features,
    load_noisy_mnist,
    load_nutrimouse,
    load_spoken_digits,
    load_wikipedia,
    make_music_videos,
)
from skcca.datasets._files import Array, DataFile
from skcca.datasets._youtube8m_records import quantize_features

LOADERS = {
    load_emotify: "emotify/emotify.npz",
    load_mnist: "mnist/mnist.npz",
    load_mnist_halves: "mnist/mnist.npz",
    load_multiple_features: "mfeat/mfeat.npz",
    load_noisy_mnist: "mnist/mnist.npz",
    load_nutrimouse: "nutrimouse/nutrimouse.npz",
    load_spoken_digits: "fsdd/fsdd_logmel40.npz",
    load_wikipedia: "wikipedia/wikipedia.npz",
}
every_loader = pytest.mark.parametrize("load", LOADERS, ids=lambda load: load.__name__)
TOY = DataFile(
    "toy.npz",
    {"a": Array(("n", 3)), "b": Array(("n",), "integer"), "c": Array((2,), "text")},
    "https://example.org",
)


@pytest.fixture(scope="module")
def videos():
    return make_music_videos(400, random_state=0)


# Quantisation


def test_dequantization_is_that_of_the_youtube8m_readers():
    bytes_ = np.arange(256, dtype=np.uint8)
    by_the_readers = bytes_ * (4 / 255.0) + (4 / 512.0 - 2)
    np.testing.assert_allclose(dequantize_features(bytes_), by_the_readers, rtol=1e-6, atol=1e-7)
    assert dequantize_features(bytes_).dtype == np.float32


def test_youtube8m_records_is_the_inverse_of_dequantization():
    bytes_ = np.arange(256, dtype=np.uint8).reshape(2, -1)
    np.testing.assert_array_equal(quantize_features(dequantize_features(bytes_)), bytes_)


def test_youtube8m_records_clips_and_rounds_to_the_nearest_level():
    values = np.array([-9.0, 9.0, 0.3])
    levels = dequantize_features(np.arange(256, dtype=np.uint8))
    nearest = [abs(levels - value).argmin() for value in values]
    np.testing.assert_array_equal(quantize_features(values), nearest)


# Simulated music videos


def test_music_videos_have_the_shapes_of_youtube8m(videos):
    lengths = np.array([len(song) for song in videos.audio])
    assert {song.shape[1] for song in videos.audio} == {128}
    assert videos.visual.shape == (400, 1024)
    assert (lengths.min(), lengths.max()) == (213, 219)
    assert {song.dtype for song in videos.audio} | {videos.visual.dtype} == {np.dtype(np.float32)}
    assert [mask.shape for mask in videos.stretches] == [(length,) for length in lengths]


def test_music_videos_lie_on_the_grid_of_the_bytes():
    options = {"n_samples": 20, "n_emotions": 3, "lengths": (20, 30), "random_state": 1}
    numbers, bytes_ = make_music_videos(**options), make_music_videos(**options, quantized=True)
    assert bytes_.visual.dtype == bytes_.audio[0].dtype == np.uint8
    np.testing.assert_array_equal(dequantize_features(bytes_.visual), numbers.visual)
    for song, raw in zip(numbers.audio, bytes_.audio, strict=True):
        np.testing.assert_array_equal(dequantize_features(raw), song)
    assert np.mean((bytes_.visual == 0) | (bytes_.visual == 255)) < 0.01  # hardly any is clipped


def test_same_seed_gives_the_same_videos_and_another_seed_others():
    first, again, other = (
        make_music_videos(12, n_emotions=3, lengths=(9, 12), random_state=seed)
        for seed in (5, np.random.default_rng(5), 6)
    )
    for song, same in zip(first.audio, again.audio, strict=True):
        np.testing.assert_array_equal(song, same)
    np.testing.assert_array_equal(first.visual, again.visual)
    assert not np.array_equal(first.visual, other.visual)


def test_default_emotions_have_a_chance_of_about_19_percent():
    shares = np.bincount(make_music_videos(1000, lengths=(9, 9), random_state=0).emotion) / 1000
    assert np.sum(shares**2) == pytest.approx(0.19, abs=0.01)


def test_class_weights_are_the_shares_of_the_emotions():
    data = make_music_videos(
        100, n_emotions=3, lengths=(9, 9), class_weights=[5, 3, 2], random_state=0
    )
    np.testing.assert_array_equal(np.bincount(data.emotion), [50, 30, 20])


def test_every_emotion_has_songs_and_three_are_annotated(videos):
    assert np.bincount(videos.emotion).min() >= 6
    assert np.bincount(videos.emotion[videos.annotated]).min() >= 3
    assert len(np.bincount(videos.emotion)) == len(videos.emotion_names) == 10


def test_annotated_fraction_is_the_share_of_annotated_songs():
    data = make_music_videos(
        300, n_emotions=3, lengths=(9, 9), annotated_fraction=0.5, random_state=0
    )
    counts = np.bincount(data.emotion)
    annotated = np.bincount(data.emotion[data.annotated])
    np.testing.assert_allclose(annotated, counts / 2, atol=0.5)


def test_an_emotion_is_heard_in_one_to_three_stretches_of_a_part_of_the_song(videos):
    shares = [mask.mean() for mask in videos.stretches]
    # Stretches may touch where the gap between them was drawn empty, so runs are one at least.
    runs = [np.sum(np.diff(mask.astype(int), prepend=0) == 1) for mask in videos.stretches]
    assert min(shares) > 0.24
    assert max(shares) < 0.41
    assert set(runs) == {1, 2, 3}


@pytest.mark.parametrize("lengths", [(9, 9), (30, 400)])
def test_songs_of_any_length_hold_their_emotion(lengths):
    data = make_music_videos(30, n_emotions=3, lengths=lengths, random_state=0)
    assert all(mask.any() and not mask.all() for mask in data.stretches)
    assert all(lengths[0] <= len(song) <= lengths[1] for song in data.audio)


def emotion_accuracy(X, emotion):
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return cross_val_score(model, X, emotion, cv=4).mean()


def test_the_stretches_tell_the_emotion_and_the_mean_of_a_song_misleads(videos):
    songs = list(zip(videos.audio, videos.stretches, strict=True))
    mean = np.array([song.mean(axis=0) for song, _ in songs])
    chosen = np.array([song[mask].mean(axis=0) for song, mask in songs])
    filler = np.array([song[~mask].mean(axis=0) for song, mask in songs])
    assert emotion_accuracy(chosen, videos.emotion) > 0.95
    assert emotion_accuracy(mean, videos.emotion) < 0.58
    most_common = np.bincount(videos.emotion).max() / 400
    assert emotion_accuracy(filler, videos.emotion) < most_common + 0.05


def test_rows_correlate_first_in_what_is_no_emotion(videos):
    """Fitted on rows, the leading directions tell which video it is and little of its emotion."""
    mean = np.array([song.mean(axis=0) for song in videos.audio])
    audio, visual = mean - mean.mean(axis=0), videos.visual - videos.visual.mean(axis=0)
    left, _, right = np.linalg.svd(audio[:200].T @ visual[:200], full_matrices=False)
    sound, picture = audio[200:] @ left[:, :9], visual[200:] @ right[:9].T
    cosine = (
        sound @ picture.T / np.outer(np.linalg.norm(sound, axis=1), np.linalg.norm(picture, axis=1))
    )
    assert np.mean(cosine.argmax(axis=1) == np.arange(200)) > 0.5  # by chance 1 of 200
    found = videos.emotion[200:][np.argsort(-cosine, axis=1)[:, 1:6]]
    precision = np.mean(found == videos.emotion[200:, None])
    assert precision < 0.35  # by chance .19


# Files


@every_loader
def test_missing_file_says_which_and_where_it_can_be_had(load, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load(data_home=tmp_path)
    message = str(caught.value)
    assert LOADERS[load] in message
    assert f"{tmp_path} (named by `data_home`)" in message
    assert "https://github.com/" in message
    assert "It must hold" in message


def test_data_home_is_the_argument_then_the_variable_then_the_home_folder(tmp_path, monkeypatch):
    argument, variable = tmp_path / "argument", tmp_path / "variable"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKCCA_DATA", str(variable))
    with pytest.raises(FileNotFoundError, match=f"{argument} .named by `data_home`"):
        load_wikipedia(data_home=argument)
    with pytest.raises(FileNotFoundError, match=f"{variable} .named by the variable SKCCA_DATA"):
        load_wikipedia()
    monkeypatch.delenv("SKCCA_DATA")
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / 'skcca_data'} .the default folder"):
        load_wikipedia()


def toy_arrays(**changes):
    return {"a": np.zeros((5, 3)), "b": np.zeros(5, dtype=int), "c": np.array(["u", "v"])} | changes


def test_file_as_declared_is_read(tmp_path):
    np.savez(tmp_path / "toy.npz", **toy_arrays(), more=np.zeros(1))
    assert list(TOY.read(tmp_path)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": np.zeros((5, 4))}, r"`a` has shape \(5, 4\) .* expected \(n, 3\) number"),
        ({"a": np.zeros(5)}, r"`a` has shape \(5,\)"),
        ({"b": np.zeros(4, dtype=int)}, r"`b` has shape \(4,\) .* expected \(5,\) integer"),
        ({"b": np.zeros(5)}, r"`b` has shape \(5,\) and dtype float64; expected \(5,\) integer"),
        ({"c": np.zeros(2)}, r"`c` has .* expected \(2,\) text"),
        ({"c": np.array([None, "v"])}, r"`c` has .* dtype object; expected \(2,\) text"),
        ({"b": None}, r"lacks b \(it has a, c\)"),
    ],
)
def test_array_of_another_shape_or_kind_raises(changes, message, tmp_path):
    arrays = {name: V for name, V in toy_arrays(**changes).items() if V is not None}
    np.savez(tmp_path / "toy.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        TOY.read(tmp_path)


def test_offsets_that_do_not_fit_the_frames_raise(tmp_path):
    (tmp_path / "fsdd").mkdir()
    np.savez(
        tmp_path / "fsdd" / "fsdd_logmel40.npz",
        frames=np.zeros((6000, 40), dtype=np.float16),
        offsets=np.arange(3001) * 3,
        digit=np.zeros(3000, dtype=int),
        speaker=np.full(3000, "ann"),
        take=np.zeros(3000, dtype=int),
        is_test=np.zeros(3000, dtype=bool),
    )
    with pytest.raises(ValueError, match=r"`offsets` must rise from 0 to the 6000 rows"):
        load_spoken_digits(data_home=tmp_path)


# Real data


def test_digit_halves_are_the_two_sides_of_each_digit():
    halves, digits = load_digit_halves(), load_digits()
    assert halves.x.dtype == halves.y.dtype == np.float32
    whole = np.concatenate([halves.x.reshape(-1, 8, 4), halves.y.reshape(-1, 8, 4)], axis=2)
    np.testing.assert_array_equal(whole * 16, digits.images)
    np.testing.assert_array_equal(halves.labels, digits.target)


@pytest.mark.parametrize(
    "load", [load_digit_halves, load_multiple_features, load_nutrimouse, load_wikipedia]
)
def test_frames_hold_what_the_arrays_do(load, request):
    options = {}
    if load is not load_digit_halves:
        options["data_home"] = request.getfixturevalue("data_home")
    arrays, frames = load(**options), load(as_frame=True, **options)
    assert list(frames) == list(arrays)
    changed = [name for name in frames if type(frames[name]) is not type(arrays[name])]
    assert {name for name in frames if not name.endswith("_names")} == set(changed)
    for name in changed:
        V = frames[name]
        assert isinstance(V, pd.DataFrame if arrays[name].ndim == 2 else pd.Series)
        assert not hasattr(V, "columns") or V.columns.is_unique
        # scikit-learn takes no other strings for names.
        assert {type(column) for column in getattr(V, "columns", ["a"])} == {str}
        np.testing.assert_array_equal(V.to_numpy(), arrays[name])
    if load is load_nutrimouse:
        assert list(frames.y.columns) == arrays.y_names.tolist()


def test_mnist_halves_are_the_two_sides_of_each_digit(data_home):
    halves, whole = load_mnist_halves(data_home=data_home), load_mnist(data_home=data_home)
    assert [len(halves[f"x_{part}"]) for part in ("train", "tune", "test")] == [54000, 6000, 10000]
    for part, images in (("tune", whole.x_train[54000:]), ("test", whole.x_test)):
        sides = [halves[f"{view}_{part}"].reshape(-1, 28, 14) for view in "xy"]
        np.testing.assert_array_equal(np.concatenate(sides, axis=2).reshape(-1, 784), images)
    np.testing.assert_array_equal(
        np.concatenate([halves.labels_train, halves.labels_tune]), whole.labels_train
    )
    assert halves.x_train.dtype == np.float32
    assert (whole.x_train.min(), whole.x_train.max()) == (0, 1)


def test_spoken_digits_keep_the_official_split(data_home):
    spoken = load_spoken_digits(data_home=data_home)
    for part, n, takes in (("train", 2700, range(5, 50)), ("test", 300, range(5))):
        recordings = spoken[f"x_{part}"]
        assert len(recordings) == len(spoken[f"labels_{part}"]) == n
        assert set(spoken[f"takes_{part}"]) == set(takes)
        assert {recording.dtype for recording in recordings} == {np.dtype(np.float32)}
        assert len({len(recording) for recording in recordings}) > 10
        np.testing.assert_array_equal(np.bincount(spoken[f"labels_{part}"]), np.full(10, n // 10))
    n_frames = sum(map(len, spoken.x_train + spoken.x_test))
    assert n_frames == 132_750
    assert set(spoken.speakers_train) == set(spoken.speakers_test)


@pytest.mark.parametrize(("text", "width"), [("lda", 10), ("tfidf", 1000)])
def test_wikipedia_keeps_the_official_split(data_home, text, width):
    wikipedia = load_wikipedia(text, data_home=data_home)
    for part, n in (("train", 2173), ("test", 693)):
        assert wikipedia[f"x_{part}"].shape == (n, 128)
        assert wikipedia[f"y_{part}"].shape == (n, width)
        assert len(wikipedia[f"labels_{part}"]) == n
    np.testing.assert_allclose(wikipedia.x_train.sum(axis=1), 1, rtol=1e-5)
    assert wikipedia.class_names[wikipedia.labels_train].tolist().count("warfare") == 347


def test_wikipedia_knows_two_texts():
    with pytest.raises(ValueError, match="`text` must be 'lda' or 'tfidf'; got 'bert'"):
        load_wikipedia("bert")


def test_nutrimouse_has_forty_mice(data_home):
    mice = load_nutrimouse(data_home=data_home)
    assert mice.x.shape == (40, len(mice.x_names)) == (40, 120)
    assert mice.y.shape == (40, len(mice.y_names)) == (40, 21)
    assert sorted(set(mice.labels)) == ["coc", "fish", "lin", "ref", "sun"]
    assert sorted(set(mice.genotype)) == ["ppar", "wt"]


@pytest.mark.slow
def test_noisy_mnist_shares_the_digit_alone(data_home):
    noisy, whole = load_noisy_mnist(data_home=data_home), load_mnist(data_home=data_home)
    assert [len(noisy[f"x_{part}"]) for part in ("train", "tune", "test")] == [50000, 10000, 10000]
    np.testing.assert_array_equal(noisy.labels_test, whole.labels_test)
    # Turning keeps most ink and its centre's distance; noise lifts the dark pixels to a mean of .5.
    ink, turned = whole.x_test.sum(axis=1), noisy.x_test.sum(axis=1)
    assert np.abs(turned / ink - 1).max() < 0.25
    assert np.corrcoef(whole.x_test.ravel(), noisy.x_test.ravel())[0, 1] < 0.9
    assert noisy.y_test.min() >= 0
    assert noisy.y_test.max() == 1
    assert abs(noisy.y_test[:, 0].mean() - 0.5) < 0.02
    # The nearest digit of the second view is seen through the noise, but it is another image.
    means = np.stack([noisy.y_train[noisy.labels_train == d].mean(axis=0) for d in range(10)])
    bright = noisy.y_test @ means.T - 0.5 * (means**2).sum(axis=1)
    assert (bright.argmax(axis=1) == noisy.labels_test).mean() > 0.75
    own = whole.x_test + (noisy.y_test - whole.x_test).clip(0, 1)
    assert (own != noisy.y_test).any(axis=1).mean() > 0.9
    again = load_noisy_mnist(data_home=data_home, random_state=1)
    assert not np.array_equal(again.x_test, noisy.x_test)


def test_emotify_has_a_minute_of_each_track_and_what_listeners_felt(data_home):
    music = load_emotify(data_home=data_home)
    assert {song.shape[1] for song in music.x} == {128}
    assert max(map(len, music.x)) == 60
    assert all(np.isfinite(song).all() and song[-1].any() for song in music.x)
    assert music.rates.shape == (400, len(music.emotion_names)) == (400, 9)
    assert 0 <= music.rates.min() <= music.rates.max() <= 1
    # Up to three emotions a listener.
    assert 1 <= music.rates.sum(axis=1).min() <= music.rates.sum(axis=1).max() <= 3 + 1e-6
    assert sorted(set(music.genre)) == ["classical", "electronic", "pop", "rock"]


def test_multiple_features_are_six_views_of_each_digit(data_home):
    digits = load_multiple_features(data_home=data_home)
    widths = {name: V.shape[1] for name, V in digits.items() if name != "labels"}
    assert widths == {
        "fourier": 76, "profiles": 216, "karhunen": 64,
        "pixels": 240, "zernike": 47, "morphological": 6,
    }  # fmt: skip
    assert np.bincount(digits.labels).tolist() == [200] * 10
    assert 0 <= digits.pixels.min() <= digits.pixels.max() <= 6
