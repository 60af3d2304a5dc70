"""Loops in parallel: order, configuration and the progress line."""

import warnings

import pytest
import sklearn

from skcca._core.progress import ProgressBar, bounded_map, parallel_map


def _squared(number, offset):
    return number**2 + offset


def _configured(_):
    return sklearn.get_config()["assume_finite"], warnings.filters[0]


@pytest.mark.parametrize("prefer", ["processes", "threads"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_come_in_the_order_of_the_arguments(n_jobs, prefer):
    arguments = [(number, 1) for number in range(9)]
    results = parallel_map(_squared, arguments, label="squares", n_jobs=n_jobs, prefer=prefer)
    assert list(results) == [number**2 + 1 for number in range(9)]


@pytest.mark.parametrize("prefer", ["processes", "threads"])
@pytest.mark.filterwarnings("ignore:the end is near")
def test_workers_have_the_configuration_and_filters_of_the_caller(prefer):
    calls = {"label": "configured", "n_jobs": 2, "prefer": prefer}
    with sklearn.config_context(assume_finite=True):
        results = list(parallel_map(_configured, [(0,), (1,)], **calls))
    assert results == [(True, warnings.filters[0])] * 2


@pytest.mark.parametrize("total", [None, 3])
def test_progress_counts_to_the_total(total, capsys):
    arguments = [(number, 0) for number in range(3)]
    lazy = iter(arguments) if total else arguments
    list(parallel_map(_squared, lazy, label="squares", verbose=1, total=total))
    assert "squares [########################] 3/3" in capsys.readouterr().err


def test_a_log_has_a_line_before_the_first_step(capsys):
    with ProgressBar(3, "fit"):
        assert capsys.readouterr().err == "fit [------------------------] 0/3  0.0 s\n"


def test_silent_unless_asked(capsys):
    list(parallel_map(_squared, [(1, 0)], label="squares"))
    assert capsys.readouterr().err == ""


def test_an_error_of_a_call_reaches_the_caller():
    with pytest.raises(TypeError, match="unsupported operand"):
        list(parallel_map(_squared, [(1, 0), ("a", 0)], label="squares", n_jobs=2))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bounded_map_is_in_order_and_at_most_two_calls_a_job_ahead(n_jobs):
    read = []

    def arguments():
        for i in range(20):
            read.append(i)
            yield (i,)

    results = bounded_map(lambda i: -i, arguments(), n_jobs=n_jobs)
    for i, result in enumerate(results):
        assert result == -i
        assert len(read) <= i + (1 if n_jobs == 1 else 2 * n_jobs)
    assert i == 19
