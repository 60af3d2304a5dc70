"""Threads of matrix products: how many there are, and that a limit is undone where it was set."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skcca.metrics import mean_average_precision_score
from skcca.metrics._ranking import limit_blas_threads, n_blas_threads


@pytest.mark.parametrize("limit", [1, 2])
def test_limits_of_others_are_respected(limit):
    with threadpool_limits(limit, user_api="blas"):
        with limit_blas_threads() as n:
            assert n == limit
            assert n_blas_threads() == 1
        assert n_blas_threads() == limit


def test_a_second_caller_has_one_thread_and_changes_no_limit():
    with threadpool_limits(2, user_api="blas"):
        given = []

        def second():
            with limit_blas_threads() as n:
                given.append(n)

        with limit_blas_threads() as n:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            assert (n, given, n_blas_threads()) == (2, [1], 1)
        assert n_blas_threads() == 2


def test_an_error_inside_undoes_the_limit():
    with threadpool_limits(2, user_api="blas"):
        for _ in range(2):
            with pytest.raises(KeyError), limit_blas_threads() as n:
                raise KeyError
            assert n == n_blas_threads() == 2


def test_measures_from_several_threads_agree_and_leave_the_limit_as_it_was():
    rng = np.random.default_rng(0)
    Q, G = rng.normal(size=(300, 5)), rng.normal(size=(2_000, 5))
    labels = rng.integers(0, 4, 300), rng.integers(0, 4, 2_000)
    with threadpool_limits(2, user_api="blas"):
        expected, found = mean_average_precision_score(Q, G, *labels), []
        threads = [
            threading.Thread(
                target=lambda: found.append(mean_average_precision_score(Q, G, *labels))
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert n_blas_threads() == 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)
