"""The paper's protocol: what is fitted to what, what a stopped run leaves, what the tables say."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.paper import protocol, run, tables
from benchmarks.paper.data import recorded, simulated
from skcca import ChunkSelector
from skcca.cluster import SeededKMeans
from skcca.datasets import write_youtube8m

ROOT = Path(__file__).parents[2]
SHORT = {"selector": {"max_epochs": 1}, "deep": {"max_epochs": 1}}


@pytest.fixture(scope="module")
def videos():
    return simulated(120, 0)


def fold(value):
    """Return a fold in which every method finds the same, but ours a little more."""
    names = protocol.methods(0)
    results = {
        selection: {
            name: {"map": value + 0.01 * i, "precision": [1, value], "recall": [0, 1]}
            for i, name in enumerate(names)
        }
        for selection in protocol.SELECTIONS | protocol.FURTHER
    }
    return {"chance": 0.1, "results": results}


def test_folds_hold_out_every_song_once():
    parts = protocol.folds(103, 5, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate([t for _, t in parts])), np.arange(103))
    assert all(len(np.intersect1d(train, test)) == 0 for train, test in parts)


@pytest.mark.slow
def test_held_out_songs_reach_no_fit(videos, monkeypatch):
    train, test = protocol.folds(120, 2, seed=0)[0]
    seen = {"songs": [], "clusters": [], "views": []}
    fit_selector, fit_clusters = ChunkSelector.fit, SeededKMeans.fit

    def songs(self, X, *args, **kwargs):
        seen["songs"] += [id(song) for song in X]
        return fit_selector(self, X, *args, **kwargs)

    def clusters(self, X, *args, **kwargs):
        seen["clusters"].append(len(X))
        return fit_clusters(self, X, *args, **kwargs)

    def embedded(model, audio, visual, labels, train, test):
        seen["views"].append((train, test))
        return np.eye(len(test), 3), np.eye(len(test), 3)

    monkeypatch.setattr(ChunkSelector, "fit", songs)
    monkeypatch.setattr(SeededKMeans, "fit", clusters)
    monkeypatch.setattr(protocol, "embedded", embedded)
    protocol.run_fold(videos, train, test, 0, SHORT)
    assert set(seen["songs"]) <= {id(videos.audio[i]) for i in train}
    assert seen["clusters"] == [len(train)]
    for rows, others in seen["views"]:
        np.testing.assert_array_equal(rows, train)
        np.testing.assert_array_equal(others, test)


@pytest.mark.parametrize("name", protocol.methods(0))
def test_every_method_embeds_rows_that_it_has_not_seen(name):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    audio, visual = rng.normal(size=(2, 90, 6)) + labels[:, np.newaxis]
    model = protocol.methods(0)[name].set_params(n_components=2)
    if hasattr(model, "max_epochs"):
        model.set_params(max_epochs=1)
    train, test = np.arange(60), np.arange(60, 90)
    queries, gallery = protocol.embedded(model, audio, visual, labels, train, test)
    assert queries.shape == gallery.shape == (30, 2)
    other = audio.copy()
    other[test] += 5
    again = protocol.embedded(model, other, visual, labels, train, test)[1]
    np.testing.assert_allclose(again, gallery, rtol=1e-6)  # queries have not changed the fit


def test_a_stopped_run_goes_on_with_the_folds_that_are_missing(videos, tmp_path, monkeypatch):
    calls = []

    def stop_at_the_second(videos, train, test, seed, changes):
        calls.append(len(test))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fold(0.2)

    monkeypatch.setattr(run, "run_fold", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run.run(videos, tmp_path, n_folds=3, seed=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold-0.json"]
    found = run.run(videos, tmp_path, n_folds=3, seed=0)
    assert len(calls) == 4
    assert [one["chance"] for one in found] == [0.1] * 3
    assert run.run(videos, tmp_path, n_folds=3, seed=0) == found
    assert len(calls) == 4
    with pytest.raises(ValueError, match="is of another run"):
        run.run(videos, tmp_path, n_folds=3, seed=1)


def test_published_digits_are_those_of_the_paper():
    assert tables.PUBLISHED["S-DCCA"] == (21.38, 21.43, 21.24, 21.76)
    assert tables.PUBLISHED["Multi-views"] == (14.02, 14.36, 14.25, 14.58)
    assert tables.PUBLISHED_SIZES == {3: 10_000, 6: 20_000, 9: 30_000, 12: 40_000}
    assert set(tables.PUBLISHED) < set(protocol.methods(0))


def test_table_holds_mean_and_deviation_over_the_folds(tmp_path):
    found = [fold(0.2), fold(0.3), fold(0.4)]
    tables.write(found, {3: 7, 6: 8, 9: 9, 12: 10}, ["A < B: yes"], tmp_path, "footer")
    with (tmp_path / "table2.csv").open(newline="") as file:
        rows = {(row["method"], row["k/c"]): row for row in csv.DictReader(file)}
    assert rows["CCA", "1/3"]["map"] == "31.00"
    assert rows["CCA", "1/3"]["deviation"] == "10.00"
    assert rows["CCA", "1/3"]["published"] == "18.34"
    assert rows["chance", "mean"]["map"] == "10.00"
    page = (tmp_path / "paper.md").read_text()
    assert "31.00 ± 10.00 (18.34)" in page
    assert "| 216 ± 3 | 7 | 10,000 |" in page
    assert "cannot be recovered" in page
    assert "- A < B: yes" in page


def test_a_claim_counts_beyond_two_standard_errors():
    steady = [fold(0.2), fold(0.3), fold(0.25)]
    said = {line.split(":")[0]: line for line in tables.claims(steady)}
    assert "yes (+1.00 ± 0.00)" in said["Multi-views < CCA"]
    assert "no, less (-1.00" in said["KCCA < CCA"]
    for i, one in enumerate(steady):
        for selection in protocol.SELECTIONS:
            one["results"][selection]["CCA"]["map"] += 0.3 * (-1) ** i
    said = {line.split(":")[0]: line for line in tables.claims(steady)}
    assert "no difference" in said["Multi-views < CCA"]


def test_what_does_not_appear_on_simulated_songs_is_explained():
    lines = ["CCA < DCCA: no, less (-3 ± 0.1)", "DCCA < C-CCA: yes (+3 ± 0.1)"]
    lines += ["C-CCA < S-DCCA: yes (+1 ± 0.1)", "k and c matter little, DCCA: selections differ"]
    explained = tables.explained(lines)
    assert explained[0].startswith(lines[0] + "; what sound and picture share")
    assert explained[1:3] == lines[1:3]
    assert "a song shows its emotion" in explained[3]


def test_records_become_videos_of_the_protocol(tmp_path):
    rng = np.random.default_rng(0)
    audio, rgb = (
        [rng.integers(0, 256, (n, width), dtype=np.uint8) for n in (216, 213, 210, 222, 204)]
        for width in (128, 1024)
    )
    write_youtube8m(tmp_path / "train.tfrecord", audio, rgb, labels=[[7]] * 5)
    (tmp_path / "vocabulary.csv").write_text("Index,Name\n7,Music video\n")
    (tmp_path / "emotions.csv").write_text("id,emotion\nvideo0,calm\n")
    found = recorded(
        str(tmp_path / "*.tfrecord"),
        tmp_path / "emotions.csv",
        tmp_path / "vocabulary.csv",
        tmp_path / "cache",
    )
    assert found.n_by_tolerance == {3: 2, 6: 4, 9: 4, 12: 5}
    assert [len(song) for song in found.audio] == [216, 213]
    assert found.visual.shape == (2, 1024)
    assert found.seeds.tolist() == ["calm", None]


@pytest.mark.slow
def test_a_short_run_writes_tables_and_figures(tmp_path):
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.paper", "--quick", "--out"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"figure{i}.png" for i in (5, 6, 7, 8, 9)} < names
    assert {"table1.csv", "table2.csv", "paper.md", "folds"} < names
    assert "kept in" not in done.stdout
    one = json.loads((tmp_path / "folds" / "fold-0.json").read_text())
    assert set(one["results"]["mean"]) == set(protocol.methods(0))
