"""Frames of audio files: against their definition, and what files do to one who reads them."""

import contextlib
import gzip
import io
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skcca.audio import audio_frames

librosa = pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")

# One worker: librosa compiles its functions in the first process that calls them.
pytestmark = pytest.mark.xdist_group("librosa")

FLOOR = np.log(1e-8)  # of "logmel"
SAMPLE = 1 / 32_768  # a step of 16 bits


def noise(seconds: float, rate: int = 22_050, channels: int | None = None) -> np.ndarray:
    """Return white noise of standard deviation 0.1."""
    shape = (round(seconds * rate),) if channels is None else (round(seconds * rate), channels)
    return np.random.default_rng(0).normal(scale=0.1, size=shape)


def sine(rate: int, seconds: float = 2.0, hertz: float = 1_000.0) -> np.ndarray:
    """Return a sine that fades in and out, so that its edges make no sound of their own."""
    time = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.sin(2 * np.pi * hertz * time) * np.minimum(1, 5 * np.minimum(time, time[::-1]))


@pytest.fixture
def save(tmp_path):
    """Return a function that writes samples to a file and returns its path."""

    def write(name: str, samples: np.ndarray, rate: int = 22_050, **options) -> Path:
        soundfile.write(tmp_path / name, samples, rate, **options)
        return tmp_path / name

    return write


# Oracles: loops written from the definitions


def mel(hertz: float) -> float:
    return 1127 * math.log(1 + hertz / 700)


def slow_bands(samples, rate, *, length, hop, n_fft, n_bands, lowest, highest, power, scale, floor):
    """Return log-mel bands, window by window and triangle by triangle."""
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / length) for n in range(length)]
    corners = [
        mel(lowest) + (mel(highest) - mel(lowest)) * i / (n_bands + 1) for i in range(n_bands + 2)
    ]
    triangles = []
    for left, centre, right in zip(corners, corners[1:], corners[2:], strict=False):
        bins = [mel(k * rate / n_fft) for k in range(n_fft // 2 + 1)]
        slopes = [((b - left) / (centre - left), (right - b) / (right - centre)) for b in bins]
        triangles.append([max(0.0, min(up, down)) for up, down in slopes])
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), np.arange(length)) / n_fft)
    rows = []
    for start in range(0, len(samples) - length + 1, hop):
        spectrum = waves @ (np.asarray(samples[start : start + length], float) * hann * scale)
        energy = np.abs(spectrum) ** power
        rows.append([math.log(np.dot(energy, triangle) + floor) for triangle in triangles])
    return np.array(rows)


def test_vggish_equals_a_loop_written_from_its_definition():
    samples = noise(2.2, 16_000).astype(np.float32)
    samples += np.float32(0.3) * sine(16_000, 2.2).astype(np.float32)
    windows = {"length": 400, "hop": 160, "n_fft": 512, "scale": 1, "power": 1, "floor": 0.01}
    expected = slow_bands(samples, 16_000, n_bands=64, lowest=125, highest=7_500, **windows)
    rows = audio_frames((samples, 16_000), features="vggish")
    assert rows.shape == (2, 96 * 64)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.reshape(-1, 64), expected[:192], atol=1e-5, rtol=0)


def test_logmel_equals_a_loop_written_from_its_definition():
    samples = noise(1.0, 8_000).astype(np.float32)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 800)
    scale = math.sqrt(2 / (1024 * np.sum(hann**2)))
    windows = {"length": 800, "hop": 200, "n_fft": 1024, "scale": scale, "power": 2, "floor": 1e-8}
    rows = audio_frames((samples, 8_000), n_bands=12, sample_rate=8_000, frame_duration=0.5)
    assert rows.shape == (2, 24)
    for row, half in zip(rows, np.split(samples, 2), strict=True):
        bands = slow_bands(half, 8_000, n_bands=12, lowest=20, highest=4_000, **windows)
        np.testing.assert_allclose(row[:12], bands.mean(axis=0), atol=1e-5, rtol=0)
        np.testing.assert_allclose(row[12:], bands.std(axis=0), atol=1e-5, rtol=0)


def test_bands_share_out_the_mean_square_of_the_sound():
    """Triangles sum to 1 between the outer centres, where this sine lies."""
    rate = 22_050
    steady = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate)
    bands = np.exp(audio_frames((steady, rate))[0, :64].astype(float)) - 1e-8
    assert bands.sum() == pytest.approx(0.5**2 / 2, rel=1e-3)


# Time


@pytest.mark.parametrize("seconds", [0.5, 0.7, 1.0])
def test_row_is_that_of_its_own_stretch_alone(seconds):
    samples = noise(4)
    rows = audio_frames((samples, 22_050), frame_duration=seconds)
    start, stop = round(2 * seconds * 22_050), round(3 * seconds * 22_050)
    alone = audio_frames((samples[start:stop], 22_050), frame_duration=seconds)
    np.testing.assert_array_equal(rows[2:3], alone)


def test_a_click_is_in_the_row_of_its_second():
    samples = np.zeros(5 * 22_050)
    samples[round(3.5 * 22_050)] = 1.0
    heard = audio_frames((samples, 22_050))[:, 64:].max(axis=1) > 1e-3
    assert heard.tolist() == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("n_samples", "n_rows"),
    [(1, 1), (11_024, 1), (22_050 + 11_024, 1), (22_050 + 11_025, 2), (44_099, 2), (44_100 + 1, 2)],
)
def test_rest_of_half_a_row_or_more_is_a_row(n_samples, n_rows):
    samples = noise(3)[:n_samples]
    rows = audio_frames((samples, 22_050))
    assert rows.shape == (n_rows, 128)
    assert np.isfinite(rows).all()
    rest = samples[(n_rows - 1) * 22_050 : n_rows * 22_050]
    np.testing.assert_array_equal(rows[-1:], audio_frames((rest, 22_050)))


def test_duration_longer_than_the_recording_gives_one_row_of_all():
    late = np.r_[np.zeros(20 * 22_050), noise(1)]  # after more windows than are computed at once
    row = audio_frames((late, 22_050), frame_duration=1e300)
    assert row.shape == (1, 128)
    assert (row[:, :64] > FLOOR + 0.1).all()


@pytest.mark.parametrize(("n_samples", "n_rows"), [(1, 1), (15_360 + 15_599, 1), (30_960, 2)])
def test_vggish_drops_what_is_no_full_example(n_samples, n_rows):
    """95 hops of 160 samples and a window of 400 are 15,600 samples; the next starts at 15,360."""
    samples = noise(2, 16_000)[:n_samples]
    rows = audio_frames((samples, 16_000), features="vggish")
    assert rows.shape == (n_rows, 6144)
    padded = np.pad(samples, (0, 32_000 - n_samples))
    if n_samples < 15_600:
        np.testing.assert_array_equal(
            rows, audio_frames((padded, 16_000), features="vggish")[:n_rows]
        )


# Formats


@pytest.mark.parametrize("features", ["logmel", "vggish"])
def test_rate_of_the_file_does_not_matter(save, features):
    rates = (8_000, 16_000, 22_050, 44_100, 48_000, 96_000)
    paths = [save(f"{rate}.wav", sine(rate), rate, subtype="FLOAT") for rate in rates]
    first, *others = audio_frames(paths, features=features)
    for other in others:
        assert other.shape == first.shape
        np.testing.assert_allclose(other, first, atol=0.1)  # the resampler, at the floor


def test_sine_is_in_the_band_of_its_frequency():
    centres = np.linspace(mel(20), mel(11_025), 66)[1:-1]
    for hertz in (100.0, 440.0, 3_000.0):
        row = audio_frames((sine(44_100, hertz=hertz), 44_100))[1]
        assert row[:64].argmax() == np.abs(centres - mel(hertz)).argmin()


def test_channels_are_averaged():
    stereo = noise(1, channels=2)
    np.testing.assert_array_equal(
        audio_frames((stereo, 22_050)), audio_frames((stereo.mean(axis=1), 22_050))
    )


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff", "au", "w64", "caf"])
def test_lossless_formats_give_the_samples_themselves(save, extension):
    samples = np.round(noise(1.5) / SAMPLE) * SAMPLE
    path = save(f"a.{extension}", samples, subtype="PCM_16")
    np.testing.assert_array_equal(audio_frames(path), audio_frames((samples, 22_050)))


def test_file_longer_than_a_block_of_reading_is_read_whole(save):
    samples = np.round(noise(10) / SAMPLE) * SAMPLE
    np.testing.assert_array_equal(
        audio_frames(save("a.wav", samples)), audio_frames((samples, 22_050))
    )


def test_mp3_shorter_than_its_estimated_length_is_no_truncated_one(save):
    """Without its first frame, which tells the length, it is judged by the bit rate of silence."""
    samples = np.r_[np.zeros(3 * 44_100), noise(3, 44_100)]
    path = save("a.mp3", samples, 44_100, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    second = content.index(content[:2], 4)
    assert b"Xing" in content[:second]
    path.write_bytes(content[second:])
    assert soundfile.info(path).duration > 9
    assert audio_frames(path).shape == (6, 128)


@pytest.mark.parametrize("extension", ["ogg", "mp3"])
def test_truncated_stream_gives_the_seconds_that_are_there(save, extension):
    path = save(f"a.{extension}", noise(8))
    whole, content = audio_frames(path), path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    rows = audio_frames(path)
    assert 2 <= len(rows) <= 5
    np.testing.assert_allclose(rows[:-1], whole[: len(rows) - 1], atol=0.1)


@pytest.mark.parametrize(
    ("dtype", "step"), [("int8", 2**-7), ("int16", 2**-15), ("int32", 2**-31), ("uint8", 2**-7)]
)
def test_integers_stand_for_numbers_within_one(dtype, step):
    info = np.iinfo(dtype)
    samples = np.random.default_rng(0).integers(info.min, info.max, 22_050, dtype, endpoint=True)
    zero = 128 if dtype == "uint8" else 0
    expected = audio_frames(((samples.astype(float) - zero) * step, 22_050))
    np.testing.assert_array_equal(audio_frames((samples, 22_050)), expected)


# Sounds that make numbers fail


@pytest.mark.parametrize("rate", [22_050, 44_100])
def test_silence_is_the_floor(rate):
    rows = audio_frames((np.zeros(2 * rate), rate))
    np.testing.assert_allclose(rows, np.repeat([[FLOOR, 0.0]] * 2, 64, axis=1), 1e-6, atol=1e-6)
    rows = audio_frames((np.zeros(rate), rate), features="vggish")
    np.testing.assert_allclose(rows, np.log(0.01), rtol=1e-6)


def test_noise_of_16_bits_is_below_the_floor():
    dither = SAMPLE * (np.random.default_rng(0).random(22_050) - 0.5)
    np.testing.assert_allclose(audio_frames((dither, 22_050))[0, :64], FLOOR, atol=0.01)


@pytest.mark.parametrize("features", ["logmel", "vggish"])
@pytest.mark.parametrize(
    "samples",
    [np.full(9_000, 1e-40), np.ones(9_000), np.full(9_000, -1_000.0), np.r_[1.0], np.r_[0, 1.0]],
    ids=["denormal", "constant", "loudest", "one sample", "two samples"],
)
def test_features_are_always_finite(samples, features):
    for rate in (8_000, 16_000, 22_050, 44_100):
        assert np.isfinite(audio_frames((samples, rate), features=features)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_sample_that_is_no_number_is_located(save, value):
    samples = noise(9, 10_000, channels=2).astype(np.float32)
    samples[75_000, 1] = value  # in the second block
    path = save("bad.wav", samples, 10_000, subtype="FLOAT")
    cure = "divide" if np.isfinite(value) else "repair"
    place = re.escape(f"has {np.float32(value)} as sample 75000 of channel 1, at 7.500 s")
    with pytest.raises(ValueError, match=rf"bad\.wav {place}; .* \[-1, 1\]: {cure}"):
        audio_frames(path)


# Files that are none


def bad_files(save, tmp_path: Path) -> dict[str, tuple[Path, type[Exception], str]]:
    """Map what is wrong to a path, the error and what its message says besides the path."""
    text, nothing, raw = tmp_path / "text.wav", tmp_path / "nothing.wav", tmp_path / "a.raw"
    text.write_bytes(b"no music here")
    nothing.write_bytes(b"")
    raw.write_bytes(bytes(1_000))
    no_sample = save("no_sample.wav", np.zeros(0))
    missing = tmp_path / "missing.wav"
    return {
        "text": (text, ValueError, "starts with b'no music her'.*Format not recognised.*convert"),
        "empty": (nothing, ValueError, "is empty .0 bytes.; fetch or convert"),
        "headerless": (raw, ValueError, "cannot be read as audio.*samplerate must be specified"),
        "no sample": (no_sample, ValueError, "holds no sample; drop it"),
        "missing": (missing, FileNotFoundError, "does not exist; check the path"),
        "folder": (tmp_path, IsADirectoryError, "is a folder; give its files"),
    }


@pytest.mark.parametrize("wrong", ["text", "empty", "headerless", "no sample", "missing", "folder"])
def test_bad_file_raises_with_its_path_and_the_cure(save, tmp_path, wrong):
    path, error, message = bad_files(save, tmp_path)[wrong]
    with pytest.raises(error, match=f"^audio_frames: {re.escape(str(path))} .*{message}"):
        audio_frames([path])


def test_missing_relative_path_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(f"no.wav does not exist in {tmp_path}")):
        audio_frames("no.wav")


@pytest.mark.parametrize("extension", ["wav", "flac", "aiff", "au", "w64", "rf64", "caf"])
@pytest.mark.parametrize("share", [0.02, 0.6, 0.99])
def test_truncated_file_raises(save, extension, share):
    options = {"format": "RF64"} if extension == "rf64" else {}
    path = save(f"a.{extension}", noise(3), **options)
    assert audio_frames(path).shape == (3, 128)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"a\.{extension} .* truncated.* convert it"):
        audio_frames(path)


ANY, LARGE, NONE = b"\x00\xf0\xff\x7f", b"\xff\xff\xff\xff", bytes(4)


@pytest.mark.parametrize(
    "options",
    [{}, {"subtype": "FLOAT"}, {"format": "WAVEX"}, {"endian": "BIG"}, {"format": "RF64"}],
    ids=str,
)
@pytest.mark.parametrize("outer", [None, ANY, LARGE, NONE, b"\x24\0\0\0"], ids=str)
@pytest.mark.parametrize("inner", [None, ANY, LARGE, NONE], ids=str)
def test_streamed_wav_is_read_whatever_size_its_header_says(save, options, outer, inner):
    path = save("a.wav", noise(0.2), **options)
    expected, content = audio_frames(path), bytearray(path.read_bytes())
    if options.get("format") == "RF64":  # sizes of 8 bytes, which do not say that they are unknown
        fields, inner = (slice(20, 28), slice(28, 36)), inner and NONE
    else:
        place = content.index(b"data") + 4
        fields = slice(4, 8), slice(place, place + 4)
    for field, size in zip(fields, (outer, inner), strict=True):
        if size is not None:
            size = size[::-1] if "endian" in options else size
            content[field] = size.ljust(field.stop - field.start, b"\0")
    path.write_bytes(content)
    np.testing.assert_array_equal(audio_frames(path), expected)


def test_streamed_flac_without_a_length_is_read(save):
    path = save("a.flac", noise(9))  # longer than a block of reading
    expected, content = audio_frames(path), bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0, 0, 0, 0, 0])  # number of samples
    path.write_bytes(content)
    np.testing.assert_array_equal(audio_frames(path), expected)


def test_wav_of_0_bytes_holds_the_sound_that_follows_but_no_other_chunk(save):
    path = save("a.wav", noise(0))
    header, quiet = path.read_bytes(), np.ones(22_050, "<i2")
    path.write_bytes(header + quiet.tobytes())
    np.testing.assert_array_equal(audio_frames(path), audio_frames((quiet, 22_050)))
    path.write_bytes(header + b"LIST\4\0\0\0INFO")
    with pytest.raises(ValueError, match="holds no sample"):
        audio_frames(path)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_file_objects_are_read_as_their_paths(save, tmp_path, extension):
    path = save(f"a.{extension}", noise(3))
    expected = audio_frames(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a")
    with (
        path.open("rb") as buffered,
        path.open("rb", buffering=0) as raw,
        zipfile.ZipFile(tmp_path / "a.zip") as archive,
        archive.open("a") as member,
        tempfile.SpooledTemporaryFile() as spooled,
    ):
        spooled.write(b"before" + path.read_bytes())
        spooled.seek(6)
        for frames in audio_frames([path, buffered, raw, member, spooled]):
            np.testing.assert_array_equal(frames, expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(audio_frames(file), expected)
        with pytest.raises(ValueError, match=rf"a\.{extension} is empty .*file\.seek\(0\)"):
            audio_frames(file)
    with pytest.warns(UserWarning, match=rf"a\.{extension} cannot be read: .*closed"):
        assert audio_frames([file], on_error="warn") == [None]


def test_what_a_file_object_raises_is_told(save):
    cut = io.BytesIO(gzip.compress(save("a.wav", noise(1)).read_bytes())[:5_000])
    with pytest.warns(UserWarning, match="`source` cannot be read: Compressed file ended"):
        assert audio_frames(gzip.open(cut), on_error="warn") is None


@pytest.mark.parametrize("mode", ["r", "w+"])
def test_files_of_text_are_refused(save, mode):
    path = save("a.wav", noise(1))
    opened = path.open() if mode == "r" else tempfile.NamedTemporaryFile(mode)
    with opened as file, pytest.raises(TypeError, match=r"open as text; .* open\(path, 'rb'\)"):
        audio_frames(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes.")
def test_a_named_pipe_is_read(save, tmp_path):
    path, pipe = save("a.wav", noise(1)), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),), daemon=True)
    writer.start()
    np.testing.assert_array_equal(audio_frames(pipe), audio_frames(path))


def test_warning_keeps_the_place_of_a_bad_file(save, tmp_path):
    bad = bad_files(save, tmp_path)
    good = save("good.wav", noise(1))
    with pytest.warns(UserWarning, match="audio_frames") as caught:
        rows = audio_frames(
            [good, *(path for path, _, _ in bad.values()), (noise(1), 0), good], on_error="warn"
        )
    assert [row is None for row in rows] == [False] + [True] * 7 + [False]
    np.testing.assert_array_equal(rows[0], rows[-1])
    paths = [str(path) for path, _, _ in bad.values()]
    for name, warning in zip([*paths, "`source[7]`"], caught, strict=True):
        assert f"audio_frames: {name} " in str(warning.message)
        assert str(warning.message).endswith("It is None in the result.")
        assert warning.filename == __file__


def test_warning_about_a_single_file_returns_none(tmp_path):
    with pytest.warns(UserWarning, match="does not exist"):
        assert audio_frames(tmp_path / "no.wav", on_error="warn") is None


# Sources and parameters


def test_list_is_the_single_calls_in_order(save):
    samples = noise(2)
    first, second = save("1.wav", samples), save("2.wav", samples[:30_000] / 3)
    pair = (samples[:5_000], 22_050)
    rows = audio_frames([first, str(second), pair])
    assert isinstance(rows, list)
    for row, source in zip(rows, [first, str(second), pair], strict=True):
        np.testing.assert_array_equal(row, audio_frames(source))


@pytest.mark.parametrize("container", [tuple, iter, np.array])
def test_any_iterable_of_paths_is_a_list(save, container):
    paths = [str(save("1.wav", noise(1))), str(save("2.wav", noise(2)))]
    assert [len(rows) for rows in audio_frames(container(paths))] == [1, 2]


def test_home_folder_is_expanded(save, tmp_path, monkeypatch):
    save("a.wav", noise(1))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert audio_frames("~/a.wav").shape == (1, 128)
    assert audio_frames(Path("~/a.wav")).shape == (1, 128)


@pytest.mark.slow
def test_jobs_do_not_change_the_result(save, tmp_path):
    paths = [save(f"{i}.wav", noise(1 + i)) for i in range(4)]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        for jobs in (audio_frames(paths, n_jobs=2), audio_frames(files, n_jobs=2)):
            for one, two in zip(audio_frames(paths), jobs, strict=True):
                np.testing.assert_array_equal(one, two)
    with pytest.raises(FileNotFoundError, match=r"no\.wav does not exist"):
        audio_frames([*paths, tmp_path / "no.wav"], n_jobs=2)


def test_verbose_counts_the_files(save, capsys):
    path = save("a.wav", noise(1))
    audio_frames([path, path], verbose=1)
    assert re.search(r"audio_frames \[#+\] 2/2", capsys.readouterr().err)
    audio_frames([path, path])
    assert capsys.readouterr().err == ""


def test_more_bands_than_the_spectrum_resolves_raise():
    assert audio_frames((noise(1), 22_050), n_bands=128).shape == (1, 256)
    with pytest.raises(ValueError, match="`n_bands`=1024 are too many at `sample_rate`=22050"):
        audio_frames((noise(1), 22_050), n_bands=1024)


@pytest.mark.parametrize(
    ("name", "fixed"), [("n_bands", 64), ("sample_rate", 16_000), ("frame_duration", 0.96)]
)
def test_vggish_has_no_settings(name, fixed):
    source = (noise(1), 22_050)
    np.testing.assert_array_equal(
        audio_frames(source, features="vggish", **{name: fixed}),
        audio_frames(source, features="vggish"),
    )
    with pytest.raises(ValueError, match=f'"vggish" has `{name}`={fixed}; got 1_?2.*Leave it out'):
        audio_frames(source, features="vggish", **{name: 1_200 if name == "sample_rate" else 12})


# Imports


def run(program: str) -> None:
    """Run a program in a fresh process."""
    folder = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ)
    assert result.returncode == 0, result.stderr


def test_import_leaves_the_audio_libraries_unloaded():
    run(
        "import sys, skcca.audio\n"
        "assert not {'librosa', 'soundfile', 'sklearn', 'scipy', 'torch'} & set(sys.modules)"
    )


@pytest.mark.parametrize("library", ["librosa", "soundfile"])
def test_missing_library_names_the_cure(save, monkeypatch, library):
    path = save("a.wav", noise(1, 8_000), 8_000)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library}, which .* pip install skcca\[audio\]"):
        audio_frames(path, on_error="warn")
