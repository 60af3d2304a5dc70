"""Make the README's table of results from the files in ``benchmarks/results``.

python -m benchmarks.report           # rewrite the block in README.md
python -m benchmarks.report --check   # exit 1 where README.md does not agree with the files
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks._record import RESULTS, formatted

README = Path(__file__).parents[1] / "README.md"
START, END = "<!-- results:start -->", "<!-- results:end -->"


def main(arguments: list[str] | None = None) -> int:
    """Rewrite or check the block."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(arguments)
    text = README.read_text()
    wanted = with_results(text)
    if options.check:
        if text != wanted:
            print("README.md does not show benchmarks/results: run python -m benchmarks.report")
        return int(text != wanted)
    README.write_text(wanted)
    return 0


def with_results(text: str) -> str:
    """Return the README with its block made anew."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    tables = [table(record) for record in records if record.get("in_readme", True)]
    return before + START + "\n" + "\n\n".join(tables) + "\n" + END + after


def table(record: dict) -> str:
    """Return one record as Markdown: measured rows in code, published ones beside them."""
    head = ["", *record["columns"]]
    lines = [f"**{record['title']}** ({record['protocol']})", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in record["rows"]:
        if row["kind"] == "bar":
            continue
        name = f"`{row['method']}`" if row["kind"] == "measured" else row["method"]
        name += ", published" if row["kind"] == "published" else ""
        lines.append("| " + " | ".join([name, *formatted(row)]) + " |")
    return "\n".join([*lines, "", f"`{record['command']}`"])


if __name__ == "__main__":
    sys.exit(main())
