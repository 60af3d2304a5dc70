"""The README quotes what the benchmarks wrote, what they wrote reaches the bars, and they measure.

The last part is about the instruments: turns, memory, missing libraries, tables.
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _agreement, _timing, linear, report
from benchmarks.__main__ import GPU, GROUPS
from benchmarks._bars import SHORT, bars, missed
from benchmarks._memory import MIB, ON_LINUX, peak_above, sampled_run
from benchmarks._peers import PEERS, Peer, present, versions
from benchmarks._record import Record, machine
from benchmarks._simulated import fill, simulated_views
from benchmarks.regressions import families
from benchmarks.report import table, wanted

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
on_linux = pytest.mark.skipif(not ON_LINUX, reason="memory is read from Linux's /proc")


def test_tables_show_the_results_as_they_were_written():
    for path, text in wanted().items():
        assert path.read_text() == text, "run python -m benchmarks.report"


def test_a_figure_typed_by_hand_is_noticed(monkeypatch, tmp_path, capsys):
    for name in ("README", "ALL"):
        path = getattr(report, name)
        (tmp_path / path.name).write_text(path.read_text().replace("| 0.1", "| 0.9"))
        monkeypatch.setattr(report, name, tmp_path / path.name)
    assert report.main(["--check"]) == 1
    assert "RESULTS.md does not show" in capsys.readouterr().out
    assert report.main([]) == report.main(["--check"]) == 0


# These describe, and have nothing to reach.
DESCRIPTIONS = {
    "attention_emotify", "defaults", "defaults_dcca", "noisy_mnist", "order", "overfitting",
    "paper", "sparse_penalties", "threads",
}  # fmt: skip


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_measured_rows_reach_their_bar_or_say_why_not(path):
    record = json.loads(path.read_text())
    assert list(bars(record)) or path.stem in DESCRIPTIONS
    assert missed(record) == set(SHORT.get(path.stem, {}))


def test_a_bar_holds_the_row_it_is_named_after():
    rows = [
        {"method": "CCA()", "kind": "measured", "values": [0.3, None]},
        {"method": "CCA() must reach", "kind": "bar", "values": [0.31, None]},
        {"method": "memory", "kind": "measured", "values": [5.0, 4.0]},
    ]
    record = {"columns": ["MAP", "at most"], "rows": rows}
    assert list(bars(record)) == [("CCA()", 0.31, 0.3), ("memory", 5.0, 4.0)]
    assert missed(record) == {"CCA()", "memory"}
    with pytest.raises(ValueError, match="no row is measured"):
        list(bars(record | {"rows": rows[1:]}))


def test_every_benchmark_is_listed():
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    packages = {path.parent.name for path in (ROOT / "benchmarks").glob("*/__main__.py")}
    public = {name for name in modules | packages if not name.startswith("_")}
    listed = {*GROUPS["all"], *GPU}
    assert listed == public - {"report"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in listed)


def test_an_unknown_benchmark_is_an_error():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "wikipedai"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no benchmark is named wikipedai" in done.stderr


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    # The pauses and the collection of garbage are for times, which no test looks at.
    monkeypatch.setattr(_timing, "_PAUSE", 0.0)
    monkeypatch.setattr(_timing.gc, "collect", lambda: 0)


def test_works_take_turns_after_a_warm_up():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in ("floor", "ours")}
    times = _timing.take_turns(works, rounds=2)
    assert calls == ["floor", "ours"] * 3
    assert {name: len(values) for name, values in times.items()} == {"floor": 2, "ours": 2}


def test_a_long_work_has_one_turn(monkeypatch):
    monkeypatch.setattr(_timing, "_LONG", -1.0)
    calls = []
    times = _timing.take_turns({"slow": lambda: calls.append(1)}, rounds=5)
    assert len(calls) == len(times["slow"]) == 1


def test_ratio_is_the_median_of_the_rounds():
    times = {"floor": [1.0, 10.0, 1.0], "ours": [2.0, 20.0, 3.0], "once": [8.0]}
    assert _timing.ratio(times, "ours", "floor") == 2.0
    assert _timing.ratio(times, "once", "floor") == 8.0


def test_slope_is_the_exponent_of_a_power_law():
    sizes = np.array([10, 20, 50, 400])
    assert _timing.log_log_slope(sizes, 3e-4 * sizes**1.7) == pytest.approx(1.7)


def test_a_missing_peer_is_printed_and_recorded(capsys, monkeypatch):
    absent = Peer("no-such-library", "no_such_library", None, None, 0.0)
    assert present((absent,)) == []
    assert "no-such-library is missing" in capsys.readouterr().out
    assert versions((absent,)) == {"no-such-library": "missing"}
    monkeypatch.setattr(linear, "PEERS", (absent,))
    record = linear.speed(linear.QUICK._replace(rows=(400,), wide=(40, 100), rounds=1))
    assert record.columns[-1] == "no-such-library"
    assert record.rows[0]["values"][-1] == "missing"


def test_a_peer_beyond_its_time_limit_is_said_to_be_slow(monkeypatch):
    monkeypatch.setattr(linear, "fit_apart", lambda peer, shape, limit: None)
    times = {"floor": [0.5]}
    plan = linear.QUICK._replace(rows=(10,), limit=60.0)
    (alone,) = (peer for peer in PEERS if peer.alone)
    assert linear._cell(alone, times, 10, plan) == "> 120"


def test_moment_error_finds_a_wrong_moment():
    single = simulated_views(300, 5, 4, "float32")
    double = single.astype("float64")
    assert _agreement.moment_error(single, double) < 1e-6
    double.X[:, 0] += 0.01 * double.Y[:, 0]
    assert _agreement.moment_error(single, double) > 1e-4


def test_simulated_rows_do_not_depend_on_where_they_are_kept():
    X, Y, labels = simulated_views(200, 3, 4, "float32")
    A, B = np.empty((200, 3), "float32"), np.empty((200, 4))
    np.testing.assert_array_equal(fill(A, B), labels)
    np.testing.assert_array_equal(A, X)
    np.testing.assert_array_equal(B.astype("float32"), Y)


@on_linux
def test_peak_counts_what_a_work_gives_back():
    def work():
        np.ones(48 * MIB // 8)

    assert peak_above(work) == pytest.approx(48 * MIB, rel=0.1)


@on_linux
def test_anonymous_memory_leaves_out_a_memory_map(tmp_path):
    np.save(tmp_path / "map.npy", np.zeros(64 * MIB // 8))
    code = (
        "import json, sys, time, numpy as np\n"
        f"A = np.load({str(tmp_path / 'map.npy')!r}, mmap_mode='r'); total = float(A.sum())\n"
        "B = np.ones(int(sys.argv[1]) // 8 + 1); time.sleep(0.3)\n"
        "print(json.dumps({'total': total}))"
    )
    peaks = []
    for size in (0, 32 * MIB):
        found, peak = sampled_run([sys.executable, "-c", code, str(size)])
        assert found == {"total": 0.0}
        peaks.append(peak)
    assert peaks[1] - peaks[0] == pytest.approx(32 * MIB, rel=0.1)
    assert peaks[0] < 64 * MIB


def test_table_shows_texts_and_small_numbers(capsys):
    record = Record("name", "Title", "protocol", ("skcca", "at most", "peer"))
    record.add("CCA", (1.2345678, 1.3, "missing"))
    record.add("difference", (2.5e-15, 1e-9, None))
    lines = table(vars(record) | {"command": "python -m benchmarks.name"}).splitlines()
    assert "| `CCA` | 1.235 | 1.300 | missing |" in lines
    assert "| `difference` | 2e-15 | 1e-09 |  |" in lines


def test_machine_is_described_without_its_name_or_paths():
    text = json.dumps(machine())
    assert "cores" in text
    for private in (platform.node(), str(Path.home()), sys.prefix):
        assert private not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["benchmarks.linear", "--quick", "--plot"],
        ["benchmarks.out_of_core", "--rows", "4000", "--dask", "--folder"],
        ["benchmarks.song_stream", "--songs", "2000", "--folder"],
        ["benchmarks.youtube8m", "--videos", "400", "--folder"],
        ["benchmarks.pairs", "--quick"],
        ["benchmarks.attention", "--quick"],
        ["benchmarks.retrieval", "--quick"],
        ["benchmarks.search", "--quick"],
        ["benchmarks.permutation_level", "--quick"],
        ["benchmarks.deep", "--quick"],
        ["benchmarks.label_shares", "--quick"],
        ["benchmarks.sparse", "--quick"],
    ],
    ids=lambda command: command[0].removeprefix("benchmarks."),
)
def test_a_small_run_ends_and_keeps_no_results(command, tmp_path):
    before = {path: path.read_bytes() for path in RESULTS}
    places = {"--plot": [tmp_path / "growth.png"], "--folder": [tmp_path]}.get(command[-1], [])
    done = subprocess.run(
        [sys.executable, "-m", *command, *places], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kept in" not in done.stdout
    assert {path: path.read_bytes() for path in RESULTS} == before
    assert [path.name for path in tmp_path.iterdir()] == ["growth.png"] * ("--plot" in command)


@pytest.mark.slow
@pytest.mark.parametrize("suite", [families.Linear, families.Kernel, families.Deep])
def test_what_is_compared_between_commits_runs(suite):
    for parameter in suite.params:
        one = suite()
        one.setup(parameter)
        for name in [name for name in vars(suite) if name.startswith(("time_", "peakmem_"))]:
            getattr(one, name)(parameter)


@pytest.mark.slow
def test_retrieval_is_compared_between_commits_too():
    one = families.Retrieval()
    one.setup()
    one.time_map()
    one.peakmem_map()
    one.time_query()
