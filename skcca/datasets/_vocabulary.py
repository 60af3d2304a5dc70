"""Labels of YouTube-8M: numbers, and names that a vocabulary gives them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral
from typing import Any

_COLUMNS = (("index", "label_id"), ("name", "label_name"))  # of vocabulary.csv, label_names.csv


def read_vocabulary(path: str | os.PathLike[str] | None, caller: str) -> dict[int, str]:
    """Return the names by label, {} without a file."""
    if path is None:
        return {}
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{caller}: `vocabulary`={os.fspath(path)!r} is no file; it is the vocabulary.csv of "
            "YouTube-8M, or any CSV file with the columns Index and Name."
        )
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = [column.strip().lower() for column in next(rows, [])]
        places = [
            next((header.index(name) for name in names if name in header), -1) for names in _COLUMNS
        ]
        if -1 in places:
            raise ValueError(
                f"{caller}: {os.fspath(path)} has the columns {', '.join(header) or 'none'}; "
                "expected Index and Name (or label_id and label_name)."
            )
        names: dict[int, str] = {}
        for row in rows:
            try:
                label, name = (row[place].strip() for place in places)
                names[int(label)] = name
            except (IndexError, ValueError) as error:
                raise ValueError(
                    f"{caller}: {os.fspath(path)}, line {rows.line_num}: {row} has no label and "
                    "name."
                ) from error
    return names


def resolve_labels(labels: Any, names: dict[int, str], caller: str) -> frozenset[int] | None:
    """Return labels as numbers, None where any label will do."""
    if labels is None:
        return None
    single = isinstance(labels, (str, Integral)) or not isinstance(labels, Iterable)
    wanted = [labels] if single else list(labels)
    if not wanted:
        raise ValueError(f"{caller}: `labels` is empty; leave it out to keep every video.")
    return frozenset(_number(label, names, caller) for label in wanted)


def _number(label: Any, names: dict[int, str], caller: str) -> int:
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
    found = [number for number, name in names.items() if name.lower() == label.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{caller}: {label!r} is the name of the labels {found}; give the number.")
    close = get_close_matches(label, names.values(), n=3)
    hint = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
    raise ValueError(f"{caller}: `vocabulary` has no label {label!r}{hint}.")
