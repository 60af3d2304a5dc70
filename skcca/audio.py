"""Sequences of frames from audio files: what stands before `ChunkSelector` and the estimators."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from skcca._audio_files import CALLER, SLOWEST, given_samples, read_file, resampled
from skcca._mel_bands import WINDOW, Recipe, logmel, vggish
from skcca._progress import ProgressBar
from skcca._warnings import warn

__all__ = ["audio_frames"]

_VGGISH = {"n_bands": 64, "sample_rate": 16_000, "frame_duration": 0.96}


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
    source : path, tuple (samples, rate), or list of these
        Audio file of any format that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, ...), or samples
        of shape (n,) or (n, n_channels) and their rate in Hz. Samples are floats within [-1, 1],
        or integers of 8, 16 or 32 bits, which are divided by the largest. Any iterable is a list.
    features : {"logmel", "vggish"}, default="logmel"
        "vggish" gives the input of the network VGGish instead, see Notes.
    n_bands : int, default=64
        Mel bands b.
    sample_rate : int, default=22_050
        Rate, in Hz, to which everything is resampled. The bands reach up to half of it.
    frame_duration : float, default=1.0
        Seconds that a row covers, 0.1 at least. What remains at the end is a row of its own if it
        is half as long or more, and is dropped otherwise; a recording shorter than that gives one
        row.
    n_jobs : int, default=None
        Number of parallel jobs over the list; -1 uses all cores.
    on_error : {"raise", "warn"}, default="raise"
        What to do about a file that cannot be used: raise an error, or warn and put None in its
        place, so that the list stays in step with other views and labels.
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
        If a source is neither a path nor samples with their rate, also with ``on_error="warn"``.
    ImportError
        If soundfile, which reads files, or librosa, which resamples, is not installed.

    Warns
    -----
    UserWarning
        For each recording that is None in the result, with ``on_error="warn"``.

    See Also
    --------
    skcca.ChunkSelector : Choose the chunks of such sequences that carry a song's emotion.

    Notes
    -----
    "logmel": Hann windows of 0.1 s every 0.025 s, none of which reaches beyond its row; the last
    row is filled up with silence where it is shorter than a window. Spectra are scaled so that
    ``sum_k |X_ik|^2`` is the mean square of the window. Triangles stand between 20 Hz and half of
    `sample_rate`, their corners and slopes even on the HTK mel scale ``1127 ln(1 + f / 700)``,
    their peaks 1. Silence gives means of ``log(1e-8) = -18.4`` and deviations of 0; noise of 16-bit
    quantization is below that floor. With the defaults a row has 128 numbers a second, the layout
    of the audio of YouTube-8M, not its features.

    "vggish": 16 kHz; windows of 0.025 s every 0.01 s; 64 bands from 125 to 7,500 Hz of the
    magnitude ``|X_ik|``, unscaled, and ``log(... + 0.01)``. A row is an example of 96 windows:
    ``rows.reshape(-1, 96, 64)`` is the network's input. Row t covers the 0.975 s from ``0.96 * t``;
    what is left over at the end is dropped, and a recording shorter than an example is filled up
    with silence. The other parameters must keep their defaults. VGGish's own program resamples
    with another filter, so recordings of other rates differ by as much.

    A recording of a lower rate has no sound in its uppermost bands. To compare recordings of
    different rates, set `sample_rate` to the lowest.

    A truncated MP3 or OGG file passes for a shorter one. An MP3 file of variable bit rate whose
    length is not written in it (no Xing header) may be cut short by libsndfile: convert it first.

    References
    ----------
    S. Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017.
    :doi:`10.1109/ICASSP.2017.7952132`

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import soundfile
    >>> from skcca.audio import audio_frames
    >>> seconds = np.arange(3 * 22_050) / 22_050
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     soundfile.write(path, 0.5 * np.sin(2 * np.pi * 440 * seconds), 22_050)
    ...     frames = audio_frames(path)
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
    recipe = vggish() if features == "vggish" else logmel(n_bands, sample_rate, frame_duration)
    sources, single = _sources(source)
    tasks = (delayed(_frames)(*named, recipe, on_error == "raise") for named in sources)
    results: list[np.ndarray | None] = []
    with ProgressBar(len(sources), CALLER, enabled=bool(verbose)) as bar:
        for result in Parallel(n_jobs=None if single else n_jobs, return_as="generator")(tasks):
            if isinstance(result, Exception):
                warn(f"{result} It is None in the result.")
                result = None
            results.append(result)
            bar.step()
    return results[0] if single else results


def _check_parameters(**parameters: Any) -> None:
    from skcca._compat import Interval, StrOptions, validate_parameter_constraints

    constraints = {
        "features": [StrOptions({"logmel", "vggish"})],
        "n_bands": [Interval(Integral, 1, 1024, closed="both")],
        "sample_rate": [Interval(Integral, SLOWEST, 384_000, closed="both")],
        "frame_duration": [Interval(Real, WINDOW, None, closed="left")],
        "n_jobs": [Integral, None],
        "on_error": [StrOptions({"raise", "warn"})],
        "verbose": ["verbose"],
    }
    validate_parameter_constraints(constraints, parameters, caller_name=CALLER)
    if parameters["features"] == "vggish":
        defaults = audio_frames.__kwdefaults__ or {}
        for name, fixed in _VGGISH.items():
            if parameters[name] not in (fixed, defaults[name]):
                raise ValueError(
                    f'{CALLER}: features="vggish" has `{name}`={fixed}; got {parameters[name]}. '
                    "Leave it out."
                )


def _sources(source: Any) -> tuple[list[tuple[str, Any]], bool]:
    """Return pairs (name, path or samples with their rate), and whether it was a single source."""
    if _is_path(source) or _is_pair(source):
        return [_named(source, "`source`")], True
    is_text = isinstance(source, np.ndarray) and source.dtype.kind in "UO"
    if isinstance(source, (bytes, dict)) or not isinstance(source, Iterable):
        _named(source, "`source`")
    if isinstance(source, np.ndarray) and not is_text:
        raise TypeError(f"{CALLER}: samples need their rate in Hz: `source`=(samples, rate).")
    return [_named(each, f"`source[{i}]`") for i, each in enumerate(source)], False


def _named(source: Any, name: str) -> tuple[str, Any]:
    if _is_path(source):
        return os.fspath(source), os.path.expanduser(source)
    if not _is_pair(source):
        raise TypeError(
            f"{CALLER}: {name} is a {type(source).__name__}; expected the path of an audio file or "
            "a tuple (samples, rate)."
        )
    if isinstance(source[0], Real):
        raise TypeError(f"{CALLER}: {name} is (rate, samples); expected (samples, rate).")
    return name, source


def _is_path(source: Any) -> bool:
    return isinstance(source, str) or (
        isinstance(source, os.PathLike) and isinstance(os.fspath(source), str)
    )


def _is_pair(source: Any) -> bool:
    return (
        isinstance(source, tuple)
        and len(source) == 2
        and any(isinstance(part, Real) for part in source)
    )


def _frames(name: str, source: Any, recipe: Recipe, raises: bool) -> np.ndarray | Exception:
    """Return the rows of a recording, or the error that says why there are none."""
    try:
        if isinstance(source, str):
            samples, rate = read_file(name, source)
        else:
            samples, rate = given_samples(name, *source)
        return recipe.rows(resampled(samples, rate, recipe.rate))
    except (OSError, ValueError) as error:
        if raises:
            raise
        return error
