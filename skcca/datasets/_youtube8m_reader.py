"""Selection of videos of YouTube-8M, and one pass over their files in order and bounded memory."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from numbers import Integral
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np

from skcca._core.compat import Interval, StrOptions, validate_parameter_constraints
from skcca._core.files import PathLike, UnreadableFileError, parsing
from skcca._core.progress import ProgressBar, bounded_map
from skcca._core.warnings import warn

from ._tfrecord import Batch, Fault, Source, batches
from ._youtube8m_records import Features, WrongLevelError, dequantize_features

Paths: TypeAlias = PathLike | IO[bytes] | Iterable[PathLike | IO[bytes]]
Labels: TypeAlias = int | str | Iterable[int | str] | None
# Names of the columns in vocabulary.csv and in label_names.csv.
_COLUMNS = (("index", "label_id"), ("name", "label_name"))
_CONSTRAINTS = {
    "level": [StrOptions({"frame", "video"})],
    "only_labels": ["boolean"],
    "max_videos": [Interval(Integral, 1, None, closed="left"), None],
    "dtype": [StrOptions({"float32", "float16", "uint8"})],
    "on_error": [StrOptions({"raise", "skip"})],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
}


class Video(NamedTuple):
    """Selected video: frames (T, width), or means (width,)."""

    id: str
    labels: np.ndarray
    audio: np.ndarray
    rgb: np.ndarray


class Selection(NamedTuple):
    """Criteria by which videos are selected, and the form of their features."""

    level: str
    labels: frozenset[int] | None
    only_labels: bool
    duration: tuple[int, int] | None
    dtype: str

    def accepts_labels(self, labels: np.ndarray) -> bool:
        """Whether a video with these labels is selected."""
        if self.labels is None:
            return True
        own = set(labels.tolist())
        return bool(own & self.labels) and not (self.only_labels and own - self.labels)

    def accepts_length(self, n_frames: int) -> bool:
        """Whether a video with this number of frames is selected."""
        return self.duration is None or self.duration[0] <= n_frames <= self.duration[1]


class Decoded(NamedTuple):
    """Selected videos of a batch and the faults between them, in order, with their offsets."""

    path: str
    items: list[tuple[int, Video | Fault]]
    n_read: int
    n_labelled: int
    last: bool


def decode(batch: Batch, selection: Selection) -> Decoded:
    """Decode the selected videos of a batch; count all of them, and those with the labels."""
    items: list[tuple[int, Video | Fault]] = []
    n_read = n_labelled = 0
    for record in batch.records:
        if isinstance(record, Fault):
            items.append((record.offset, record))
            continue
        n_read += 1
        try:
            features = Features(record.data)
            if not selection.accepts_labels(features.labels):
                continue
            n_labelled += 1
            video = _video(features, selection)
        except ValueError as error:
            fatal = isinstance(error, WrongLevelError)
            fault = Fault(batch.path, record.offset, str(error), fatal)
            items.append((record.offset, fault))
        else:
            if video is not None:
                items.append((record.offset, video))
    return Decoded(batch.path, items, n_read, n_labelled, batch.last)


def _video(features: Features, selection: Selection) -> Video | None:
    """Decode a video, or return None if its length is not selected."""
    if selection.level == "video":
        audio, rgb = features.means()
    else:
        audio, rgb = features.frames()
        if not selection.accepts_length(len(audio)):
            return None
        if len(audio) == 0:
            raise ValueError(f"video {features.id!r} has 0 frames")
        if selection.dtype != "uint8":
            audio, rgb = dequantize_features(audio), dequantize_features(rgb)
    audio, rgb = (view.astype(selection.dtype, copy=False) for view in (audio, rgb))
    return Video(features.id, features.labels, audio, rgb)


class VideoReader:
    """One pass over files of YouTube-8M, with the parameters of `load_youtube8m`.

    It counts the videos read so far, those with the labels, and the records that were left out.
    """

    def __init__(
        self,
        caller: str,
        *,
        path: Paths,
        level: str = "frame",
        labels: Labels = None,
        only_labels: bool = False,
        vocabulary: PathLike | None = None,
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
        """Yield the selected videos."""
        first_places: dict[str, tuple[str, int]] = {}
        n_videos = 0
        with ProgressBar(len(self.files), self.caller, enabled=bool(self.verbose)) as bar:
            arguments = ((batch, self.selection) for path in self.files for batch in batches(path))
            for decoded in bounded_map(decode, arguments, n_jobs=self.n_jobs):
                self.n_read += decoded.n_read
                self.n_labelled += decoded.n_labelled
                for offset, item in decoded.items:
                    if isinstance(item, Video):
                        item = _repetition(item, (decoded.path, offset), first_places) or item
                    if isinstance(item, Fault):
                        self._skip(item)
                        continue
                    yield item
                    n_videos += 1
                    if n_videos == self.max_videos:
                        self.warn_of_skipped()
                        return
                if decoded.last:
                    bar.step(f"{n_videos:,} of {self.n_read:,} videos")
        self.warn_of_skipped()

    def raise_if_empty(self, n_videos: int) -> None:
        """Raise if no video was selected, with the criteria that excluded them."""
        if n_videos:
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

    def _skip(self, fault: Fault) -> None:
        """Count a record that is left out, or raise if none may be."""
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


def check_parameters(caller: str, **parameters: Any) -> None:
    """Raise if one of the parameters that need no file is out of range."""
    constraints = {name: _CONSTRAINTS[name] for name in parameters}
    validate_parameter_constraints(constraints, parameters, caller_name=caller)


def _check_combination(
    caller: str, level: str, labels: Labels, only_labels: bool, duration: Any, dtype: str
) -> None:
    """Raise if parameters contradict each other."""
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


def _repetition(
    video: Video, place: tuple[str, int], first_places: dict[str, tuple[str, int]]
) -> Fault | None:
    """Return a fault if the video was read before; videos without id cannot be compared."""
    first = first_places.setdefault(video.id, place) if video.id else place
    # Places of two files without a name may be equal.
    if first is place:
        return None
    return Fault(*place, f"video {video.id!r} came before, in {first[0]} at byte {first[1]}")


def find_files(path: Paths, caller: str) -> list[Source]:
    """Return the files of paths and patterns, each once, those of a pattern by name."""
    single = isinstance(path, (str, bytes, dict, os.PathLike)) or hasattr(path, "read")
    sources = list(path) if isinstance(path, Iterable) and not single else [path]
    files = {
        os.path.realpath(file) if isinstance(file, str) else id(file): file
        for source in sources
        for file in _matching_files(source, caller)
    }
    if not files:
        raise ValueError(f"{caller}: `path` is an empty list.")
    return list(files.values())


def _matching_files(path: Any, caller: str) -> Sequence[Source]:
    if hasattr(path, "read") and isinstance(path.read(0), bytes):
        return [path]
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"{caller}: `path` is a {type(path).__name__}; expected a path, a pattern such as "
            "'train*.tfrecord', a file opened in binary mode, or a list of these."
        )
    pattern = os.path.expanduser(os.fspath(path))
    if os.path.isdir(pattern):
        raise IsADirectoryError(
            f"{caller}: {pattern} is a folder; name its files: "
            f"{os.path.join(pattern, '*.tfrecord')!r}."
        )
    # A file whose name contains brackets is not a pattern.
    if os.path.exists(pattern):
        return [pattern]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))
    if not files:
        where = "" if os.path.isabs(pattern) else f" in {os.getcwd()}"
        raise FileNotFoundError(f"{caller}: no file is {pattern!r}{where}; check the path.")
    return files


def read_vocabulary(path: PathLike | None, caller: str) -> dict[int, str]:
    """Return the name of each label, {} without a file."""
    if path is None:
        return {}
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{caller}: `vocabulary`={os.fspath(path)!r} is no file; it is the vocabulary.csv of "
            "YouTube-8M, or any CSV file with the columns Index and Name."
        )
    refusal = f"{caller}: {os.fspath(path)} is no table of labels"
    with parsing(refusal), open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = [column.strip().lower() for column in next(rows, [])]
        places = [
            next((header.index(name) for name in names if name in header), -1) for names in _COLUMNS
        ]
        if -1 in places:
            raise UnreadableFileError(
                f"{caller}: {os.fspath(path)} has the columns {', '.join(header) or 'none'}; "
                "expected Index and Name (or label_id and label_name)."
            )
        names: dict[int, str] = {}
        for row in rows:
            try:
                label, name = (row[place].strip() for place in places)
                names[int(label)] = name
            except (IndexError, ValueError) as error:
                raise UnreadableFileError(
                    f"{caller}: {os.fspath(path)}, line {rows.line_num}: {row} has no label and "
                    "name."
                ) from error
    return names


def resolve_labels(labels: Labels, names: dict[int, str], caller: str) -> frozenset[int] | None:
    """Return labels as numbers, None for any label."""
    if labels is None:
        return None
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        labels = [labels]
    chosen = list(labels)
    if not chosen:
        raise ValueError(f"{caller}: `labels` is empty; leave it out to keep every video.")
    return frozenset(_label_number(label, names, caller) for label in chosen)


def _label_number(label: Any, names: dict[int, str], caller: str) -> int:
    if isinstance(label, Integral) and int(label) >= 0:
        return int(label)
    if not isinstance(label, str):
        raise ValueError(
            f"{caller}: label {label!r} must be a number from 0 on, or a name of `vocabulary`."
        )
    if not names:
        raise ValueError(
            f"{caller}: label {label!r} is a name, and its number differs from one version of "
            "YouTube-8M to another; give its vocabulary.csv as `vocabulary`, or the number."
        )
    numbers = [number for number, name in names.items() if name.lower() == label.lower()]
    if len(numbers) == 1:
        return numbers[0]
    if numbers:
        raise ValueError(
            f"{caller}: {label!r} is the name of the labels {numbers}; give the number."
        )
    close = get_close_matches(label, names.values(), n=3)
    hint = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
    raise ValueError(f"{caller}: `vocabulary` has no label {label!r}{hint}.")
