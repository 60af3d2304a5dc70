"""The gallery: what every page must be, and that every page runs."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGES = sorted(EXAMPLES.glob("plot_*.py"))

of_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def run(page, folder):
    """Run a page in an empty folder as the gallery does, without data and with strict warnings."""
    settings = os.environ | {
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(EXAMPLES.parent),
        "SKCCA_DATA": str(folder / "no-data"),
    }
    command = [sys.executable, "-W", "error", str(page)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=settings, cwd=folder
    )


def printed_text(tree):
    """Return the string constants, parts of f-strings too, that a page prints or draws."""
    prose = ast.get_docstring(tree, clean=False)
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [text for text in constants if isinstance(text, str) and text != prose]


def test_there_is_a_gallery():
    assert len(PAGES) >= 12
    header = (EXAMPLES / "GALLERY_HEADER.rst").read_text().splitlines()
    assert re.fullmatch("=+", header[1])
    assert len(header[0]) == len(header[1])


@of_every_page
def test_a_page_begins_with_its_heading_and_an_introduction(page):
    docstring = ast.get_docstring(ast.parse(page.read_text()))
    heading, underline, blank, *introduction = docstring.splitlines()
    assert heading[0].isupper()
    assert underline == "=" * len(heading)
    assert not blank
    assert introduction


@of_every_page
def test_a_page_ends_with_a_cell_of_conclusions(page):
    cells = page.read_text().split("\n# %%\n")
    assert len(cells) >= 4
    heading, underline, *prose = cells[-1].splitlines()
    assert heading == "# Conclusions"
    assert underline == "# " + "-" * len("Conclusions")
    assert prose
    assert all(line.startswith("# ") for line in prose)


@of_every_page
def test_the_headings_of_cells_are_underlined_to_their_length(page):
    lines = page.read_text().splitlines()
    ruled = [i for i, line in enumerate(lines) if re.fullmatch(r"# -+", line)]
    assert all(len(lines[i]) == len(lines[i - 1]) for i in ruled)


@of_every_page
def test_chance_stands_beside_a_mean_average_precision(page):
    texts = printed_text(ast.parse(page.read_text()))
    if any(re.search(r"\bMAP\b", text) for text in texts):
        assert any("chance" in text for text in texts)


@of_every_page
def test_a_page_uses_public_names_alone_and_hides_only_warnings_that_it_quotes(page):
    source = page.read_text()
    assert source.count("filterwarnings(") == source.count('filterwarnings("ignore", message=".*')
    assert "catch_warnings" not in source
    assert "simplefilter" not in source
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skcca":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not any(name.startswith("_") for name in names)


@pytest.mark.slow
@of_every_page
def test_a_page_runs_without_a_warning_and_leaves_no_file(page, tmp_path):
    pytest.importorskip("matplotlib")
    result = run(page, tmp_path)
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    assert not any(tmp_path.iterdir())
    for line in result.stdout.splitlines():
        if re.search(r"\bMAP [\d.]", line):
            assert "chance" in line
