"""Tables of figures that print as text and as HTML, and become DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Key = tuple[str | int, ...]  # the levels of a heading


class Column(NamedTuple):
    """Figures of one kind: "number", "probability", "degrees" of freedom, or "count"."""

    values: Array
    kind: str = "number"

    def written(self, rows: Sequence[int]) -> list[str]:
        """Return some of the figures as they are printed."""
        return [_FORMATS[self.kind](self.values[i]) for i in rows]


class Table(NamedTuple):
    """A table with named rows, whose every cell is defined."""

    title: str
    labels: dict[str, list]  # of the rows, by the name of their level
    columns: dict[Key, Column]

    def __len__(self) -> int:
        return len(next(iter(self.labels.values())))

    def __str__(self) -> str:
        return self.to_text(range(len(self)), list(self.columns))

    def __repr__(self) -> str:
        return str(self)

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame, with unrounded figures.

        Returns
        -------
        frame : DataFrame
            With a MultiIndex where rows or headings have several levels.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                f"A DataFrame needs pandas, which cannot be imported ({error}): pip install "
                "pandas. Without it print the report, or show its _repr_html_()."
            ) from error
        names, labels = list(self.labels), list(self.labels.values())
        rows = (
            pd.Index(labels[0], name=names[0])
            if len(names) == 1
            else pd.MultiIndex.from_arrays(labels, names=names)
        )
        frame = pd.DataFrame({i: c.values for i, c in enumerate(self.columns.values())}, index=rows)
        keys = list(self.columns)
        frame.columns = (
            pd.Index([key[0] for key in keys])
            if max(map(len, keys)) == 1
            else pd.MultiIndex.from_tuples([(*key, "")[:2] for key in keys])
        )
        return frame

    def to_text(self, rows: Sequence[int], columns: Sequence[Key]) -> str:
        """Return some rows and columns in aligned lines under the title."""
        cells = [[str(labels[i]) for i in rows] for labels in self.labels.values()]
        cells += [self.columns[key].written(rows) for key in columns]
        heads = [_lines((name,)) for name in self.labels] + [_lines(key) for key in columns]
        depth = max(map(len, heads))
        heads = [[""] * (depth - len(head)) + head for head in heads]
        texts = []
        for j, (head, column) in enumerate(zip(heads, cells, strict=True)):
            width = max(map(len, head + column))
            left = j < len(self.labels)
            texts.append([t.ljust(width) if left else t.rjust(width) for t in head + column])
        lines = ["  ".join(line).rstrip() for line in zip(*texts, strict=True)]
        return "\n".join([self.title, "-" * max(map(len, lines)), *lines])

    def to_html(self, rows: Sequence[int], columns: Sequence[Key]) -> str:
        """Return some rows and columns as an HTML table with the title as its caption."""
        heads = [*self.labels, *(" ".join(map(str, key)) for key in columns)]
        head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
        written = [self.columns[key].written(rows) for key in columns]
        body = []
        for place, i in enumerate(rows):
            names = (str(labels[i]) for labels in self.labels.values())
            line = "".join(f'<th scope="row">{escape(name)}</th>' for name in names)
            line += "".join(f"<td>{escape(column[place])}</td>" for column in written)
            body.append(f"<tr>{line}</tr>")
        return (
            f"<table><caption>{escape(self.title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def _lines(key: Key) -> list[str]:
    """Return a heading in lines, one for each of its words."""
    return [word for level in key for word in str(level).replace("-", "- ").split()]


def _number(value: float) -> str:
    # Adding 0 makes a rounded -0 positive.
    return f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1e5 else f"{value:.4g}"


def _probability(value: float) -> str:
    return "<.0001" if value < 1e-4 else f"{value:.4f}"


def _degrees(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


_FORMATS = {
    "number": _number,
    "probability": _probability,
    "degrees": _degrees,
    "count": lambda value: str(int(value)),
}
