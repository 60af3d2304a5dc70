"""Sequences of spectral frames from audio files, as input of `ChunkSelector` and the estimators.

Samples (n,), the mean of the channels, are resampled and cut into windows i with spectra X_ik::

    L_ib = log(sum_k |X_ik|^p M_kb + floor),    M the mel triangles
    row_t = [mean_i L_ib, std_i L_ib] over the windows i of row t, or for VGGish 96 rows of L

A row depends on the samples of its own stretch alone, and every number of it is finite.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from skcca._core.progress import parallel_map
from skcca._core.types import ArrayLike
from skcca._core.warnings import warn

__all__ = ["audio_frames"]

# Name of the function in error messages.
_CALLER = "audio_frames"

# Samples lie around [-1, 1]; larger numbers are of another unit, or no samples.
_MAX_SAMPLE = 1_000.0
_MIN_RATE = 1_000  # Hz
# No recorder has a higher rate, and the filter that resamples grows with the ratio of the rates.
_MAX_RATE = 10_000_000  # Hz
# An array with more columns is probably transposed.
_MAX_CHANNELS = 256
# Samples read at a time.
_BLOCK_LENGTH = 1 << 16
# Log entry of libsndfile for a header that announces more bytes of sound than there are.
_TRUNCATED = re.compile(
    r"^\s*(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M
)
# Sizes that programs write into the header of a stream, whose length they do not know.
_UNKNOWN_LENGTH = range(0x7FFF_0000, 0x1_0000_0000)
# Number of samples that libsndfile gives a stream of unknown length.
_UNKNOWN_COUNT = 2**63 - 1

# Settings of "logmel": seconds, seconds, Hz and power.
_WINDOW, _HOP, _LOWEST, _FLOOR = 0.1, 0.025, 20.0, 1e-8
# Settings of "vggish", and the windows of one of its examples.
_VGGISH = {"n_bands": 64, "sample_rate": 16_000, "frame_duration": 0.96}
_VGGISH_WINDOWS = 96
# Windows whose spectra are held in memory at a time.
_WINDOWS_AT_ONCE = 512

# Samples (n,) or (n, n_channels) and their rate in Hz.
Samples = tuple[np.ndarray, float]


def audio_frames(
    source: Any,
    *,
    features: str = "logmel",
    n_bands: int = 64,
    sample_rate: int = 22_050,
    frame_duration: float = 1.0,
    n_jobs: int | None = None,
    on_error: str = "raise",
    verbose: int = 0,
) -> Any:
    """Turn recordings into sequences of spectral frames, one row for each second.

    Row t covers the seconds ``[t * frame_duration, (t + 1) * frame_duration)`` and holds the mean
    and the standard deviation, over the windows i within them, of the log-mel bands ::

        L_ib = log(sum_k |X_ik|^2 M_kb + 1e-8),    row_t = [mean_i L_ib, std_i L_ib]

    with X the spectrum of a Hann window and M the mel triangles. Files are averaged over their
    channels and resampled first, so that recordings of any format give the same columns.

    Parameters
    ----------
    source : path, file object, tuple (samples, rate), or list of these
        Audio file of any format that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...), also opened
        in binary mode, which is read from its position to its end; or samples of shape (n,) or
        (n, n_channels) and their rate in Hz. Samples are floats within [-1, 1], or integers of 8,
        16 or 32 bits, which are divided by the largest. Any iterable is a list.
    features : {"logmel", "vggish"}, default="logmel"
        "vggish" gives the input of the network VGGish instead, see Notes.
    n_bands : int, default=64
        Mel bands b.
    sample_rate : int, default=22_050
        Rate, in Hz, to which everything is resampled. The bands reach up to half of it.
    frame_duration : float, default=1.0
        Seconds of a row, at least 0.1. The rest at the end is a row if it is half as long or more,
        and is dropped otherwise; a recording shorter than that gives one row.
    n_jobs : int, default=None
        Number of parallel jobs over the list; -1 uses all cores.
    on_error : {"raise", "warn"}, default="raise"
        Reaction to an unusable file: raise an error, or warn and put None in its place, which
        keeps the list aligned with other views and labels.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    frames : ndarray of shape (T, 2 * n_bands) or (T, 6144), or list of these, float32
        Rows of each recording: an array for one source, a list in the same order for a list.
        First the means of all bands, then their standard deviations, in nats (10 dB are 2.3); for
        "vggish" the 64 bands of one window after another.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If a path leads to no readable file.
    ValueError
        If a file is empty, truncated, or no audio; if there is no sample, or one that is NaN,
        infinite or far outside of [-1, 1]; or if a parameter is out of range.
    TypeError
        If a source is no path, binary file or samples with their rate, also with
        ``on_error="warn"``.
    ImportError
        If soundfile, which reads files, or librosa, which resamples, is not installed.

    See Also
    --------
    skcca.ChunkSelector : Choose the chunks of such sequences that carry a song's emotion.

    Notes
    -----
    "logmel": Hann windows of 0.1 s every 0.025 s, within their row; a last row that is shorter than
    a window is filled up with silence. Spectra are scaled so that ``sum_k |X_ik|^2`` is the mean
    square of the window. Triangles stand between 20 Hz and half of `sample_rate`, their corners
    even on the HTK mel scale ``1127 ln(1 + f / 700)``, their peaks 1. Silence gives means of
    ``log(1e-8) = -18.4`` and deviations of 0; noise of 16-bit quantization is below that floor.

    "vggish": 16 kHz; windows of 0.025 s every 0.01 s; 64 bands from 125 to 7,500 Hz of the
    magnitude ``|X_ik|``, unscaled, and ``log(... + 0.01)``. A row is an example of 96 windows:
    ``rows.reshape(-1, 96, 64)`` is the network's input. Row t covers the 0.975 s from ``0.96 * t``;
    the rest at the end is dropped, and a shorter recording is filled up with silence. The other
    parameters must keep their defaults. VGGish's own program resamples with another filter.

    A recording of a lower rate has no sound in its uppermost bands: to compare recordings of
    different rates, set `sample_rate` to the lowest. A truncated MP3 or OGG file passes for a
    shorter one, as does a stream whose header does not say how long it is: a WAV file that says 0
    bytes is read to its end. An MP3 file of variable bit rate whose length is not written in it (no
    Xing header) may be cut short by libsndfile: convert it first.

    References
    ----------
    S. Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017.
    :doi:`10.1109/ICASSP.2017.7952132`

    Examples
    --------
    >>> import numpy as np
    >>> from skcca.audio import audio_frames
    >>> seconds = np.arange(3 * 22_050) / 22_050
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * seconds)
    >>> frames = audio_frames((tone, 22_050))  # or a path: audio_frames("song.mp3")
    >>> frames.shape, frames.dtype
    ((3, 128), dtype('float32'))
    >>> int(frames[0, :64].argmax())  # the band of 440 Hz
    10
    """
    _check_parameters(
        features=features,
        n_bands=n_bands,
        sample_rate=sample_rate,
        frame_duration=frame_duration,
        n_jobs=n_jobs,
        on_error=on_error,
        verbose=verbose,
    )
    if features == "vggish":
        triangles = _mel_triangles(400, 16_000, 64, 125.0, 7_500.0)
        recipe = _Recipe(16_000, _hann(400), 160, triangles, 1, 0.01, None)
    else:
        recipe = _logmel_recipe(n_bands, sample_rate, frame_duration)
    sources, single = _sources(source)
    # File objects are read one after another, because another process could not read them.
    tasks = (
        (name, _read_object(name, each) if hasattr(each, "read") else each, recipe, on_error)
        for name, each in sources
    )
    options: dict[str, Any] = {"n_jobs": None if single else n_jobs, "verbose": verbose}
    results: list[np.ndarray | None] = []
    for result in parallel_map(_frames, tasks, label=_CALLER, total=len(sources), **options):
        if isinstance(result, Exception):
            warn(f"{result} It is None in the result.")
        results.append(None if isinstance(result, Exception) else result)
    return results[0] if single else results


def _check_parameters(**parameters: Any) -> None:
    from skcca._core.compat import Interval, StrOptions, validate_parameter_constraints

    constraints = {
        "features": [StrOptions({"logmel", "vggish"})],
        "n_bands": [Interval(Integral, 1, 1024, closed="both")],
        "sample_rate": [Interval(Integral, _MIN_RATE, 384_000, closed="both")],
        "frame_duration": [Interval(Real, _WINDOW, 1e300, closed="both")],
        "n_jobs": [Integral, None],
        "on_error": [StrOptions({"raise", "warn"})],
        "verbose": ["verbose"],
    }
    validate_parameter_constraints(constraints, parameters, caller_name=_CALLER)
    if parameters["features"] == "vggish":
        defaults = audio_frames.__kwdefaults__ or {}
        for name, fixed in _VGGISH.items():
            if parameters[name] not in (fixed, defaults[name]):
                raise ValueError(
                    f'{_CALLER}: features="vggish" has `{name}`={fixed}; got {parameters[name]}. '
                    "Leave it out."
                )


def _sources(source: Any) -> tuple[list[tuple[str, Any]], bool]:
    """Return names and sources, and whether there was a single source."""
    if _is_path(source) or _is_pair(source) or hasattr(source, "read"):
        return [_check_source(source, "`source`")], True
    if isinstance(source, np.ndarray) and source.dtype.kind not in "UOT":
        raise TypeError(f"{_CALLER}: samples need their rate in Hz: `source`=(samples, rate).")
    # The iterator of a DataFrame gives the names of its columns.
    named = isinstance(source, (bytes, dict)) or hasattr(source, "columns")
    if named or not isinstance(source, Iterable) or getattr(source, "ndim", 1) == 0:
        _check_source(source, "`source`")
    return [_check_source(each, f"`source[{i}]`") for i, each in enumerate(source)], False


def _check_source(source: Any, name: str) -> tuple[str, Any]:
    """Return the name of a source in error messages, and its path, file object or samples."""
    if _is_path(source):
        return os.fspath(source) or "''", os.path.expanduser(source)
    # A file in text mode, or text in memory.
    if hasattr(source, "encoding"):
        raise TypeError(f"{_CALLER}: {name} is open as text; sound is read from open(path, 'rb').")
    if hasattr(source, "read"):
        path = getattr(source, "name", None)
        return path if isinstance(path, str) and path else name, source
    if not _is_pair(source):
        cure = " Bytes are read from io.BytesIO(content)." if isinstance(source, bytes) else ""
        raise TypeError(
            f"{_CALLER}: {name} is a {type(source).__name__}; expected the path of an audio "
            f"file, a binary file object or a tuple (samples, rate).{cure}"
        )
    if _is_number(source[0]):
        raise TypeError(f"{_CALLER}: {name} is (rate, samples); expected (samples, rate).")
    if _is_path(source[0]) or hasattr(source[0], "read"):
        raise TypeError(
            f"{_CALLER}: {name} is a file and a rate; give the file, which has its own."
        )
    return name, source


def _is_path(source: object) -> bool:
    """Return whether a source is a path; a path of bytes is not."""
    path = os.fspath(source) if isinstance(source, os.PathLike) else source
    return isinstance(path, str)


def _is_pair(source: object) -> bool:
    """Return whether a source is a tuple of samples and a rate, in this order or the other."""
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    return _is_number(source[0]) or _is_number(source[1])


def _is_number(value: Any) -> bool:
    return isinstance(value.item() if getattr(value, "ndim", None) == 0 else value, Real)


def _read_object(name: str, file: Any) -> bytes | Exception:
    """Return what a file object holds from its position on, or the error of reading it."""
    try:
        content = file.read()
    except MemoryError:
        raise
    # Archives and streams of the network have errors of their own, a closed file a ValueError.
    except Exception as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        return kind(f"{_CALLER}: {name} cannot be read: {str(error) or type(error).__name__}.")
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"{_CALLER}: {name} reads a {type(content).__name__}, not bytes; give its path, or "
            "open(path, 'rb')."
        )
    return bytes(content)


def _frames(
    name: str, source: str | bytes | Samples | Exception, recipe: _Recipe, on_error: str
) -> np.ndarray | Exception:
    """Return the rows of a recording, or the error for which there are none."""
    try:
        if isinstance(source, Exception):
            raise source
        if isinstance(source, (str, bytes)):
            samples, rate = _read_file(name, source)
        else:
            samples, rate = _convert(name, *source)
        if len(samples) == 0:
            raise ValueError(
                f"{_CALLER}: {name} holds no sample; drop it, and its row of every view."
            )
        if rate != (target := recipe.rate):
            librosa = _import_optional("librosa", f"resamples from {rate} to {target} Hz with")
            samples = librosa.resample(samples, orig_sr=rate, target_sr=target, res_type="soxr_hq")
        return recipe.rows(samples)
    except (OSError, ValueError) as error:
        if on_error == "raise":
            raise
        return error


def _read_file(name: str, source: str | bytes) -> Samples:
    """Return the samples of a path or of a file's content, averaged over channels, and the rate."""
    if isinstance(source, str):
        _check_path(name, source)
        with open(source, "rb") as file:
            head = file.read(12)
            if not os.path.isfile(source):
                # A pipe is read once only.
                source = head + file.read()
    else:
        head = source[:12]
    if not head:
        cure = "fetch or convert it again, or go back to its start: file.seek(0)"
        raise ValueError(f"{_CALLER}: {name} is empty (0 bytes); {cure}.")
    soundfile = _import_optional("soundfile", "reads audio files with")
    try:
        return _decode(name, source if isinstance(source, str) else io.BytesIO(source), soundfile)
    # TypeError is raised for a .raw file, which has no header.
    except (soundfile.SoundFileError, TypeError) as error:
        raise ValueError(
            f"{_CALLER}: {name} cannot be read as audio; it starts with {head!r} and libsndfile "
            f"says: {str(error).rstrip('.')}. It is truncated, or of another format: convert it to "
            "WAV or FLAC."
        ) from error


def _check_path(name: str, path: str) -> None:
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{_CALLER}: {name} is a folder; give its files: sorted(Path({name!r}).glob('*.wav'))."
        )
    if not os.path.exists(path):
        where = "" if os.path.isabs(path) else f" in {os.getcwd()}"
        raise FileNotFoundError(f"{_CALLER}: {name} does not exist{where}; check the path.")


def _decode(name: str, source: str | io.BytesIO, soundfile: Any) -> Samples:
    """Return the samples and the rate of a path or of a file in memory, as `_read_file` does."""
    with soundfile.SoundFile(source) as file:
        rate, announced, log = file.samplerate, file.frames, file.extra_info
        _check_rate(rate, name)
        if announced == 0 and (content := _with_length(source)):
            return _decode(name, io.BytesIO(content), soundfile)
        # The length of an MP3 file may be an estimate, that of a stream may be unknown.
        estimated = file.format in ("MP3", "MPEG") or announced == _UNKNOWN_COUNT
        # A seek after each block, as soundfile makes in files, would fail in such a stream.
        file.seekable = lambda: False
        parts = [np.empty(0, np.float32)]
        # `file.blocks` repeats the last block if a file ends early, so it cannot be used.
        while len(block := file.read(_BLOCK_LENGTH, dtype="float32", always_2d=True)):
            parts.append(_mono(block, name, rate, (len(parts) - 1) * _BLOCK_LENGTH))
    samples = np.concatenate(parts)
    if _is_truncated(log) or (len(samples) != announced and not estimated):
        raise ValueError(
            f"{_CALLER}: {name} is truncated: its header announces more than the "
            f"{len(samples) / rate:.3f} s that are there. Fetch or convert it again."
        )
    return samples, rate


def _with_length(source: str | io.BytesIO) -> bytearray | None:
    """Return a WAV file with the length of its sound, where its header says 0 though more follows.

    A program leaves such a header that writes into a pipe, or ends early. None for other files.
    """
    content = bytearray(Path(source).read_bytes() if isinstance(source, str) else source.getvalue())
    if bytes(content[:4]) not in (b"RIFF", b"RIFX", b"RF64"):
        return None
    order: Literal["big", "little"] = "big" if content[:4] == b"RIFX" else "little"
    place = 12
    while content[place : place + 4] != b"data":
        size = int.from_bytes(content[place + 4 : place + 8], order)
        place += 8 + size + size % 2
        if place >= len(content):
            return None
    start = place + 8
    length = len(content) - start
    # RF64 has the length in its first chunk, "ds64".
    field = slice(28, 36) if content[:4] == b"RF64" else slice(place + 4, start)
    next_name, next_size = content[start : start + 4], content[start + 4 : start + 8]
    is_named = next_name.replace(b" ", b"").isalnum()
    is_chunk = is_named and int.from_bytes(next_size, order) <= length - 8
    if any(content[field]) or length == 0 or is_chunk:
        return None
    width = field.stop - field.start
    content[field] = min(length, 256**width - 1).to_bytes(width, order)
    return content


def _is_truncated(log: str) -> bool:
    """Return whether libsndfile, which gives no error, found fewer bytes than announced."""
    sizes = [(int(announced), int(actual)) for announced, actual in _TRUNCATED.findall(log)]
    return any(actual < size and size not in _UNKNOWN_LENGTH for size, actual in sizes)


def _convert(name: str, samples: ArrayLike, rate: float) -> Samples:
    """Return an array of samples as float32, averaged over channels, and its rate."""
    from skcca._core.compat import to_numpy

    _check_rate(rate, name)
    if np.ma.is_masked(samples):
        raise ValueError(f"{_CALLER}: {name} has masked samples; fill them in: samples.filled(0).")
    if hasattr(samples, "detach"):
        samples = to_numpy(samples)
    samples = np.asarray(samples)
    shape = samples.shape
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise ValueError(
            f"{_CALLER}: {name} has samples of shape {shape}; expected (n,) or (n, n_channels)."
        )
    if samples.shape[1] > _MAX_CHANNELS:
        raise ValueError(
            f"{_CALLER}: {name} has samples of shape {shape}, which is (n, n_channels) "
            f"with {shape[1]} channels; transpose them: samples.T."
        )
    kind, size = samples.dtype.kind, samples.dtype.itemsize
    if kind == "u" and size == 1:
        samples = (samples.astype(np.float32) - 128) / 128
    elif kind == "i" and size <= 4:
        samples = samples / 2.0 ** (8 * size - 1)
    elif kind != "f":
        raise TypeError(
            f"{_CALLER}: {name} has samples of dtype {samples.dtype}; expected floats within "
            "[-1, 1], or int8, int16, int32 or uint8."
        )
    return _mono(samples, name, rate, 0), rate


def _check_rate(rate: float, name: str) -> None:
    if not _MIN_RATE <= rate <= _MAX_RATE:
        raise ValueError(
            f"{_CALLER}: {name} has a rate of {rate} Hz; expected {_MIN_RATE} to {_MAX_RATE}, in "
            "Hz."
        )


def _mono(samples: np.ndarray, name: str, rate: float, start: int) -> np.ndarray:
    """Return the mean of the channels of a block that begins at sample ``start``."""
    # The comparison is False for NaN.
    usable = np.abs(samples) <= _MAX_SAMPLE
    if not usable.all():
        row, channel = np.argwhere(~usable)[0]
        value, position = samples[row, channel], start + row
        cure = "repair the recording, or np.nan_to_num(samples)"
        if np.isfinite(value):
            cure = "divide them by the largest that their format allows"
        raise ValueError(
            f"{_CALLER}: {name} has {value} as sample {position} of channel {channel}, at "
            f"{position / rate:.3f} s; samples lie within [-1, 1]: {cure}."
        )
    return samples.mean(axis=1, dtype=np.float64).astype(np.float32)


def _import_optional(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    # OSError is raised by soundfile without libsndfile.
    except (ImportError, OSError) as error:
        raise ImportError(
            f"{_CALLER} {purpose} {name}, which cannot be imported ({error}): "
            "pip install skcca[audio]."
        ) from error


class _Recipe(NamedTuple):
    """Settings of the steps from samples to rows, with the names of the module's formula."""

    rate: int  # Hz
    window: np.ndarray  # (n_window,)
    hop: int  # samples
    triangles: np.ndarray  # (n_fft // 2 + 1, n_bands)
    power: int
    floor: float
    span: float | None  # samples of a row; None for the examples of VGGish

    def rows(self, samples: np.ndarray) -> np.ndarray:
        """Return the rows (T, n_columns) of a recording, float32."""
        if self.span is None:
            step = _VGGISH_WINDOWS * self.hop
            length = step - self.hop + len(self.window)
            starts = np.arange(max(1, 1 + (len(samples) - length) // step)) * step
            rows = [self._bands(samples[a : a + length], length).ravel() for a in starts]
        else:
            # Half a row and more is a row, also where a product of rate and seconds was rounded.
            n_rows = max(1, int(len(samples) / self.span + 0.5 + 1e-9))
            borders = np.minimum(np.rint(np.arange(n_rows + 1) * self.span), len(samples))
            bands = [
                self._bands(samples[a:b], len(self.window))
                for a, b in zip(borders[:-1].astype(int), borders[1:].astype(int), strict=True)
            ]
            rows = [np.concatenate([L.mean(axis=0), L.std(axis=0)]) for L in bands]
        return np.stack(rows).astype(np.float32)

    def _bands(self, samples: np.ndarray, min_length: int) -> np.ndarray:
        """Return the log-mel bands (n_windows, n_bands) of a stretch, filled up with silence."""
        samples = np.pad(samples, (0, max(0, min_length - len(samples))))
        windows = np.lib.stride_tricks.sliding_window_view(samples, len(self.window))[:: self.hop]
        n_fft = 2 * (len(self.triangles) - 1)
        bands = []
        for i in range(0, len(windows), _WINDOWS_AT_ONCE):
            # The window is float64, because the rounding of a loud band in float32 would drown a
            # quiet one.
            spectra = np.fft.rfft(windows[i : i + _WINDOWS_AT_ONCE] * self.window, n_fft)
            bands.append(np.abs(spectra) ** self.power @ self.triangles)
        return np.log(np.concatenate(bands) + self.floor)


def _logmel_recipe(n_bands: int, rate: int, frame_duration: float) -> _Recipe:
    """Return the recipe of ``features="logmel"``."""
    window = _hann(round(_WINDOW * rate))
    triangles = _mel_triangles(len(window), rate, n_bands, _LOWEST, rate / 2)
    if not triangles.any(axis=0).all():
        raise ValueError(
            f"{_CALLER}: `n_bands`={n_bands} are too many at `sample_rate`={rate}: the lowest "
            "are narrower than the resolution of a spectrum. Lower `n_bands` or raise "
            "`sample_rate`."
        )
    # With this factor the spectrum of a window sums to the mean square of its samples.
    n_fft = 2 * (len(triangles) - 1)
    window *= np.sqrt(2 / (n_fft * np.sum(window**2)))
    span = frame_duration * rate
    return _Recipe(rate, window, round(_HOP * rate), triangles, 2, _FLOOR, span)


def _hann(n: int) -> np.ndarray:
    """Return the Hann window of period n, as spectra need it; NumPy's has the period n - 1."""
    return 0.5 - 0.5 * np.cos(2 * np.pi / n * np.arange(n))


def _mel_triangles(n: int, rate: int, n_bands: int, lowest: float, highest: float) -> np.ndarray:
    """Return the weight of each bin of the spectrum of n samples in each mel band.

    Triangles are straight on the mel scale, as in VGGish; librosa's are straight in Hz.
    """

    def mel(hertz: ArrayLike) -> ArrayLike:
        return 1127 * np.log1p(hertz / 700)

    corners = np.linspace(mel(lowest), mel(highest), n_bands + 2)
    # The spectrum has the power of two from n on as its length.
    n_fft = 1 << (n - 1).bit_length()
    bins = mel(np.linspace(0, rate / 2, n_fft // 2 + 1))[:, None]
    rising, falling = bins - corners[:-2], corners[2:] - bins
    return np.maximum(0, np.minimum(rising, falling)) / (corners[1] - corners[0])
