"""The main job, run as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
METHODS = ("PLS-SVD", "CCA", "KCCA", "DCCA", "ClusterCCA", "SupervisedDCCA")
SELECTIONS = ("1/3", "2/6", "3/9", "mean")

pytest.importorskip("matplotlib")


def run(*options, timeout=600):
    """Run the job in a process of its own and return what became of it."""
    command = [sys.executable, str(EXAMPLES / "music_video_retrieval.py"), *map(str, options)]
    # One thread: thread pools of torch and of BLAS would wait for one another on busy cores.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    settings = os.environ | threads | {"PYTHONPATH": str(EXAMPLES.parent)}
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=settings)


def succeed(*options):
    """Run the job and return what it prints."""
    result = run(*options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def read_table(printed, columns):
    """Return the printed scores by row and column."""
    lines = printed.splitlines()
    head = next(i for i, line in enumerate(lines) if line.strip().startswith("held-out MAP"))
    assert lines[head].split("held-out MAP")[1].replace(" > ", ">").split() == [*columns, "fit"]
    table = {}
    for name, line in zip([*METHODS, "chance"], lines[head + 1 :], strict=False):
        row, *cells = line.split()
        assert row == name
        table[name] = dict(zip(columns, map(float, cells[: len(columns)]), strict=True))
    return table


def results_of_query(printed):
    """Return similarity and relevance of the items found."""
    best = printed[printed.index("[6/6]") :]
    found = re.findall(r"^ +\d  (?:video|image) \d+, .*? +(-?[\d.]+) +(yes|no)$", best, re.M)
    return [(float(similarity), relevance) for similarity, relevance in found]


def is_sane(printed, columns, picture):
    """Check what every run must print and draw, and return the table."""
    table = read_table(printed, columns)
    assert all(0 < score <= 1 for row in table.values() for score in row.values())
    assert re.findall(r"\[(\d)/6\]", printed) == list("123456")
    similarities = [similarity for similarity, _ in results_of_query(printed)]
    assert len(similarities) == 5
    assert similarities == sorted(similarities, reverse=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    return table


def test_songs_find_music_videos(tmp_path):
    printed = succeed("--n-songs", 100, "--output", tmp_path / "new")
    picture = tmp_path / "new" / "simulated-precision-recall.png"
    is_sane(printed, SELECTIONS, picture)
    assert str(picture) in printed
    assert "records 41 s of song" in printed


@pytest.mark.slow
def test_default_job_finds_emotion_in_three_minutes_of_two_cores(tmp_path):
    before = os.times()
    printed = succeed("--output", tmp_path)
    after = os.times()
    # Processor time of the child: the clock would tell what else the machine is doing.
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    assert user + system < 2 * 180
    table = is_sane(printed, SELECTIONS, tmp_path / "simulated-precision-recall.png")
    for selection in SELECTIONS:  # class pairs know what is asked for, pairs of rows do not
        by_class = min(table["ClusterCCA"][selection], table["SupervisedDCCA"][selection])
        by_row = max(table[method][selection] for method in ("PLS-SVD", "CCA", "KCCA", "DCCA"))
        assert by_class > by_row + 0.05
    assert table["ClusterCCA"]["3/9"] > table["ClusterCCA"]["mean"]  # the filler misleads


@pytest.mark.slow
def test_spoken_digits_find_handwritten_digits(data_home, tmp_path):
    options = ("--data", "spoken-digits", "--data-home", data_home, "--n-songs", 160)
    printed = succeed(*options, "--output", tmp_path)
    table = is_sane(printed, SELECTIONS, tmp_path / "spoken-digits-precision-recall.png")
    assert set(table["chance"].values()) == {0.1}
    assert table["SupervisedDCCA"]["3/9"] > 0.4
    assert "random one" in printed


@pytest.mark.slow
def test_texts_and_images_find_each_other(data_home, tmp_path):
    options = ("--data", "wikipedia", "--data-home", data_home, "--n-songs", 600)
    printed = succeed(*options, "--output", tmp_path)
    columns = ("image>text", "text>image")
    table = is_sane(printed, columns, tmp_path / "wikipedia-precision-recall.png")
    assert all(table["ClusterCCA"][way] > table["chance"][way] + 0.05 for way in columns)


def test_missing_data_are_named(tmp_path):
    result = run("--data", "wikipedia", "--data-home", tmp_path)
    assert result.returncode != 0
    assert "wikipedia/wikipedia.npz was looked for in" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_few_songs_are_refused():
    result = run("--n-songs", 20)
    assert result.returncode != 0
    assert "--n-songs is 20; ten classes need 100 at least" in result.stderr
