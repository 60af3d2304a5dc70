"""Samples of a recording, of a file or as they were given: checked, of one channel, of any rate."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import Any

import numpy as np

CALLER = "audio_frames"  # speaks in the messages
SLOWEST = 1_000  # Hz
_LOUDEST = 1_000.0  # beyond it samples are no numbers around [-1, 1]
_MOST_CHANNELS = 256
_BLOCK = 1 << 16  # samples read at a time

# How libsndfile logs that a header announces more bytes of sound than there are.
_CUT_OFF = re.compile(
    r"^\s*(?:data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M
)
_UNKNOWN_LENGTH = range(0x7FFF_0000, 0x1_0000_0000)  # written by programs that stream


def read_file(name: str, path: str) -> tuple[np.ndarray, float]:
    """Return the samples of a file, averaged over channels, and their rate."""
    soundfile = _optional("soundfile", "reads audio files with")
    if os.path.isdir(path):
        raise IsADirectoryError(
            f"{CALLER}: {name} is a folder; give its files: sorted(Path({name!r}).glob('*.wav'))."
        )
    if not os.path.exists(path):
        where = "" if os.path.isabs(path) else f" in {os.getcwd()}"
        raise FileNotFoundError(f"{CALLER}: {name} does not exist{where}; check the path.")
    with open(path, "rb") as file:
        head = file.read(12)
    if not head:
        raise ValueError(f"{CALLER}: {name} is empty (0 bytes); fetch or convert it again.")
    try:
        with soundfile.SoundFile(path) as file:
            rate, announced, log = file.samplerate, file.frames, file.extra_info
            _check_rate(rate, name)
            estimated = file.format in ("MP3", "MPEG")  # its length may be an estimate
            parts = [np.empty(0, np.float32)]
            # Not `file.blocks`: where a file ends early, it repeats what it read last.
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                parts.append(_mono(block, name, rate, (len(parts) - 1) * _BLOCK))
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise ValueError(
            f"{CALLER}: {name} cannot be read as audio; it starts with {head!r} and libsndfile "
            f"says: {str(error).rstrip('.')}. It is truncated, or of another format: convert it to "
            "WAV or FLAC."
        ) from error
    samples = np.concatenate(parts)
    if _is_cut_off(log) or (len(samples) != announced and not estimated):
        raise ValueError(
            f"{CALLER}: {name} is truncated: its header announces more than the "
            f"{len(samples) / rate:.3f} s that are there. Fetch or convert it again."
        )
    return _not_empty(samples, name), rate


def _is_cut_off(log: str) -> bool:
    """Whether libsndfile, which reads on in silence, found fewer bytes than announced."""
    sizes = [(int(announced), int(found)) for announced, found in _CUT_OFF.findall(log)]
    return any(found < size and size not in _UNKNOWN_LENGTH for size, found in sizes)


def given_samples(name: str, samples: Any, rate: Any) -> tuple[np.ndarray, float]:
    """Return given samples as float32, averaged over channels, and their rate."""
    _check_rate(rate, name)
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0):
        raise ValueError(
            f"{CALLER}: {name} has samples of shape {samples.shape}; expected (n,) or "
            "(n, n_channels)."
        )
    if samples.ndim == 2 and samples.shape[1] > _MOST_CHANNELS:
        raise ValueError(
            f"{CALLER}: {name} has samples of shape {samples.shape}, which is (n, n_channels) with "
            f"{samples.shape[1]} channels; transpose them: samples.T."
        )
    if samples.ndim == 1:
        samples = samples[:, None]
    kind, size = samples.dtype.kind, samples.dtype.itemsize
    if kind == "u" and size == 1:
        samples = (samples.astype(np.float32) - 128) / 128
    elif kind == "i" and size <= 4:
        samples = samples / 2.0 ** (8 * size - 1)
    elif kind != "f":
        raise TypeError(
            f"{CALLER}: {name} has samples of dtype {samples.dtype}; expected floats within "
            "[-1, 1], or int8, int16, int32 or uint8."
        )
    return _not_empty(_mono(samples, name, rate, 0), name), rate


def _check_rate(rate: float, name: str) -> None:
    if not SLOWEST <= rate < np.inf:
        raise ValueError(
            f"{CALLER}: {name} has a rate of {rate} Hz; expected {SLOWEST} at least, in Hz."
        )


def _not_empty(samples: np.ndarray, name: str) -> np.ndarray:
    if len(samples) == 0:
        raise ValueError(f"{CALLER}: {name} holds no sample; drop it, and its row of every view.")
    return samples


def _mono(samples: np.ndarray, name: str, rate: float, start: int) -> np.ndarray:
    """Return the mean of the channels of a block that begins at sample ``start``."""
    usable = np.abs(samples) <= _LOUDEST  # False for NaN
    if not usable.all():
        row, channel = np.argwhere(~usable)[0]
        value, position = samples[row, channel], start + row
        cure = (
            "divide them by the largest that their format allows"
            if np.isfinite(value)
            else "repair the recording, or np.nan_to_num(samples)"
        )
        raise ValueError(
            f"{CALLER}: {name} has {value} as sample {position} of channel {channel}, at "
            f"{position / rate:.3f} s; samples lie within [-1, 1]: {cure}."
        )
    return samples.mean(axis=1, dtype=np.float64).astype(np.float32)


def resampled(samples: np.ndarray, rate: float, target: int) -> np.ndarray:
    """Return samples at another rate."""
    if rate == target:
        return samples
    librosa = _optional("librosa", f"resamples from {rate} to {target} Hz with")
    return librosa.resample(samples, orig_sr=rate, target_sr=target, res_type="soxr_hq")


def _optional(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: soundfile without libsndfile
        raise ImportError(
            f"{CALLER} {purpose} {name}, which cannot be imported ({error}): "
            "pip install skcca[audio]."
        ) from error
