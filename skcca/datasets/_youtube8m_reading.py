"""Which videos of YouTube-8M are wanted, and how they are read: in order, in bounded memory.

Batches of records are read and decoded ahead, a few by each thread.
"""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs

from skcca._core.compat import Interval, StrOptions, validate_parameter_constraints
from skcca._core.progress import ProgressBar
from skcca._core.warnings import warn

from ._examples import Features, Video, WrongLevelError
from ._quantization import dequantize_features
from ._tfrecord import Batch, Fault, batches
from ._vocabulary import read_vocabulary, resolve_labels

_BATCHES_AHEAD = 2  # of each job: what is decoded and not yet asked for
_CONSTRAINTS = {
    "level": [StrOptions({"frame", "video"})],
    "only_labels": ["boolean"],
    "max_videos": [Interval(Integral, 1, None, closed="left"), None],
    "dtype": [StrOptions({"float32", "float16", "uint8"})],
    "on_error": [StrOptions({"raise", "skip"})],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}


class Selection(NamedTuple):
    """Which videos are wanted, and what is read of them."""

    level: str
    labels: frozenset[int] | None
    only_labels: bool
    duration: tuple[int, int] | None
    dtype: str

    def wants(self, labels: np.ndarray) -> bool:
        """Whether a video with these labels is wanted."""
        if self.labels is None:
            return True
        found = set(labels.tolist())
        return bool(found & self.labels) and not (self.only_labels and found - self.labels)

    def fits(self, n_frames: int) -> bool:
        """Whether a video of this length is wanted."""
        return self.duration is None or self.duration[0] <= n_frames <= self.duration[1]


class Found(NamedTuple):
    """A video that is wanted."""

    offset: int  # of its record
    video: Video


class Decoded(NamedTuple):
    """What a batch held."""

    found: list[Found | Fault]
    n_read: int
    n_labelled: int  # videos with the labels, of any length


def decode(batch: Batch, selection: Selection) -> Decoded:
    """Return the videos of a batch that are wanted, and the faults between them."""
    found: list[Found | Fault] = []
    n_read = n_labelled = 0
    for record in batch.read():
        if isinstance(record, Fault):
            found.append(record)
            continue
        n_read += 1
        try:
            features = Features(record.data)
            if not selection.wants(features.labels):
                continue
            n_labelled += 1
            video = _video(features, selection)
        except ValueError as error:
            fatal = isinstance(error, WrongLevelError)
            found.append(Fault(batch.path, record.offset, str(error), fatal))
        else:
            if video is not None:
                found.append(Found(record.offset, video))
    return Decoded(found, n_read, n_labelled)


def _video(features: Features, selection: Selection) -> Video | None:
    if selection.level == "video":
        audio, rgb = features.means()
    else:
        audio, rgb = features.frames()
        if not selection.fits(len(audio)):
            return None
        if len(audio) == 0:
            raise ValueError(f"video {features.id!r} has 0 frames")
        if selection.dtype != "uint8":
            audio, rgb = dequantize_features(audio), dequantize_features(rgb)
    audio, rgb = (view.astype(selection.dtype, copy=False) for view in (audio, rgb))
    return Video(features.id, features.labels, audio, rgb)


class Reading:
    """One pass over the files: what is asked for, what comes, and what was left out.

    Parameters
    ----------
    caller : str
        Speaks in the messages.
    path, level, ... :
        As in `load_youtube8m`.

    Attributes
    ----------
    files : list of str
        Files in the order in which they are read.
    names : dict
        Names of the labels.
    n_read, n_labelled, n_skipped : int
        Videos so far, those of them with the labels, and records that were left out.
    """

    def __init__(
        self,
        caller: str,
        *,
        path: Any,
        level: str = "frame",
        labels: Any = None,
        only_labels: bool = False,
        vocabulary: str | os.PathLike[str] | None = None,
        duration: tuple[int, int] | None = None,
        max_videos: int | None = None,
        dtype: str = "float32",
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        check_parameters(
            caller, **{name: value for name, value in locals().items() if name in _CONSTRAINTS}
        )
        _check_combination(caller, level, labels, only_labels, duration, dtype)
        self.caller, self.on_error = caller, on_error
        self.max_videos, self.n_jobs, self.verbose = max_videos, n_jobs, verbose
        self.names = read_vocabulary(vocabulary, caller)
        numbers = resolve_labels(labels, self.names, caller)
        self.selection = Selection(level, numbers, only_labels, duration, dtype)
        self.files = find_files(path, caller)
        self.n_read = self.n_labelled = self.n_skipped = 0

    def videos(self) -> Iterator[Video]:
        """Yield the videos that are wanted."""
        places: dict[str, tuple[str, int]] = {}
        n_found = 0
        with ProgressBar(len(self.files), self.caller, enabled=bool(self.verbose)) as bar:
            for batch, decoded in self._decoded():
                self.n_read += decoded.n_read
                self.n_labelled += decoded.n_labelled
                for item in decoded.found:
                    fresh = item if isinstance(item, Fault) else _first(item, batch.path, places)
                    if isinstance(fresh, Fault):
                        self._leave_out(fresh)
                        continue
                    yield fresh.video
                    n_found += 1
                    if n_found == self.max_videos:
                        self.warn_of_skipped()
                        return
                if batch.last:
                    bar.step(f"{n_found:,} of {self.n_read:,} videos")
        self.warn_of_skipped()

    def require(self, n_found: int) -> None:
        """Raise if no video was found, and say where they were lost."""
        if n_found:
            return
        chosen = self.selection
        text = f"{self.caller}: no video is left of {self.n_read:,} in {len(self.files)} file(s)"
        if chosen.labels is not None:
            alone = " and no other" if chosen.only_labels else ""
            text += f"; {self.n_labelled:,} have a label of {sorted(chosen.labels)}{alone}"
        if chosen.duration is not None:
            text += "; none{} lasts {} to {} s".format(
                " of these" * bool(chosen.labels), *chosen.duration
            )
        if self.n_skipped:
            text += f"; {self.n_skipped:,} records were left out for an error"
        raise ValueError(text + ".")

    def warn_of_skipped(self) -> None:
        """Warn if records were left out."""
        if self.n_skipped:
            warn(
                f"{self.caller}: {self.n_skipped:,} record(s) could not be used and were left out; "
                f"the first: {self._first_fault}."
            )

    def _leave_out(self, fault: Fault) -> None:
        if fault.fatal:
            raise ValueError(f"{self.caller}: {fault}.")
        if self.on_error == "raise":
            raise ValueError(
                f"{self.caller}: {fault}. Fetch the file again, or leave out what cannot be used: "
                'on_error="skip".'
            )
        if not self.n_skipped:
            self._first_fault = str(fault)
        self.n_skipped += 1

    def _decoded(self) -> Iterator[tuple[Batch, Decoded]]:
        """Yield batches in their order; so many at a time are decoded side by side."""
        every = (batch for file in self.files for batch in batches(file))
        n_jobs = effective_n_jobs(self.n_jobs)
        if n_jobs == 1:
            for batch in every:
                yield batch, decode(batch, self.selection)
            return
        # Threads: what takes long lets others run, and frames are not sent from one to another.
        pool = ThreadPoolExecutor(n_jobs)
        pending: deque[tuple[Batch, Future[Decoded]]] = deque()
        try:
            for batch in every:
                pending.append((batch, pool.submit(decode, batch, self.selection)))
                if len(pending) == _BATCHES_AHEAD * n_jobs:
                    yield _result(*pending.popleft())
            while pending:
                yield _result(*pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _result(batch: Batch, future: Future[Decoded]) -> tuple[Batch, Decoded]:
    return batch, future.result()


def check_parameters(caller: str, **given: Any) -> None:
    """Raise if one of the parameters that need no file is out of range."""
    constraints = {name: _CONSTRAINTS[name] for name in given}
    validate_parameter_constraints(constraints, given, caller_name=caller)


def find_files(path: Any, caller: str) -> list[str]:
    """Return the files that paths and patterns lead to, those of a pattern by name."""
    if isinstance(path, (str, os.PathLike)):
        return _matches(path, caller)
    if isinstance(path, (bytes, dict)) or not isinstance(path, Iterable):
        raise TypeError(
            f"{caller}: `path` is a {type(path).__name__}; expected a path, a pattern such as "
            "'train*.tfrecord', or a list of these."
        )
    files = [file for each in path for file in _matches(each, caller)]
    if not files:
        raise ValueError(f"{caller}: `path` is an empty list.")
    return files


def _matches(path: Any, caller: str) -> list[str]:
    pattern = os.path.expanduser(os.fspath(path))
    if os.path.isdir(pattern):
        raise IsADirectoryError(
            f"{caller}: {pattern} is a folder; name its files: "
            f"{os.path.join(pattern, '*.tfrecord')!r}."
        )
    if os.path.exists(pattern):
        return [pattern]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))
    if not files:
        where = "" if os.path.isabs(pattern) else f" in {os.getcwd()}"
        raise FileNotFoundError(f"{caller}: no file is {pattern!r}{where}; check the path.")
    return files


def _first(found: Found, path: str, places: dict[str, tuple[str, int]]) -> Found | Fault:
    """Return the video, or a fault if it came before; without an id nobody knows."""
    video_id = found.video.id
    place = (path, found.offset)
    first = places.setdefault(video_id, place) if video_id else place
    if first == place:
        return found
    return Fault(*place, f"video {video_id!r} came before, in {first[0]} at byte {first[1]}")


def _check_combination(
    caller: str, level: str, labels: Any, only_labels: bool, duration: Any, dtype: str
) -> None:
    if only_labels and labels is None:
        raise ValueError(f"{caller}: `only_labels` needs `labels`.")
    if level == "video" and dtype == "uint8":
        raise ValueError(
            f'{caller}: means are stored as floats; `dtype` must be "float32" or "float16".'
        )
    if duration is None:
        return
    if level == "video":
        raise ValueError(
            f"{caller}: a video-level record does not say how long its video is; `duration` needs "
            'level="frame".'
        )
    if (
        np.shape(duration) != (2,)
        or not all(isinstance(length, Integral) for length in duration)
        or not 0 <= duration[0] <= duration[1]
    ):
        raise ValueError(
            f"{caller}: `duration`={duration!r} must be two integers (shortest, longest), in "
            "seconds."
        )
