"""Make the tables of README.md and benchmarks/RESULTS.md from the files in ``benchmarks/results``.

python -m benchmarks.report           # rewrite both
python -m benchmarks.report --check   # exit 1 where one of them does not agree with the files
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks._bars import SHORT
from benchmarks._record import RESULTS, formatted

README, ALL = Path(__file__).parents[1] / "README.md", Path(__file__).parent / "RESULTS.md"
START, END = "<!-- results:start -->", "<!-- results:end -->"
IN_README = ("wikipedia", "linear")
INTRODUCTION = """\
# Results

What `python -m benchmarks` measured, one table a file of `benchmarks/results`; the command below
each table makes it anew. Rows of a bar are left out here: the tests hold the figures against them,
and where one is missed, the reason stands below the table.
Chance stands beside every figure of retrieval. Ratios were taken in one run, in turns.
"""


def main(arguments: list[str] | None = None) -> int:
    """Rewrite or check both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args(arguments).check
    stale = [path for path, text in wanted().items() if _text(path) != text]
    for path in stale:
        if check:
            print(f"{path.name} does not show benchmarks/results: run python -m benchmarks.report")
        else:
            path.write_text(wanted()[path])
    return int(check and bool(stale))


def wanted() -> dict[Path, str]:
    """Return what the files should hold."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    few = "\n\n".join(f"{titled(records[name])}\n\n{table(records[name])}" for name in IN_README)
    everything = "\n".join(
        f"\n## {record['title']}\n\n{sentence(record['protocol'])}\n\n"
        f"{table(record, SHORT.get(name))}\n"
        for name, record in records.items()
    )
    return {README: with_block(README.read_text(), few), ALL: INTRODUCTION + everything}


def with_block(text: str, block: str) -> str:
    """Return a text with what stands between the marks replaced."""
    before, rest = text.split(START)
    return f"{before}{START}\n{block}\n{END}{rest.split(END)[1]}"


def titled(record: dict) -> str:
    """Return title and protocol as one paragraph."""
    return f"**{record['title']}** ({record['protocol']})"


def sentence(text: str) -> str:
    """Return a text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def table(record: dict, short: dict[str, str] | None = None) -> str:
    """Return one record as Markdown: measured rows in code, published ones beside them.

    `short` holds the rows that miss their bar, with the reason.
    """
    head = ["", *record["columns"]]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in record["rows"]:
        if row["kind"] == "bar":
            continue
        name = f"`{row['method']}`" if row["kind"] == "measured" else row["method"]
        name += ", published" if row["kind"] == "published" else ""
        lines.append("| " + " | ".join([name, *formatted(row)]) + " |")
    reasons = [f"\n`{row}` misses its bar: {why}" for row, why in (short or {}).items()]
    claims = [f"- {line}" for line in record.get("settings", {}).get("claims", [])]
    said = ["", "Does the order of the paper appear?", "", *claims] if claims else []
    return "\n".join([*lines, "", f"`{record['command']}`", *reasons, *said])


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
