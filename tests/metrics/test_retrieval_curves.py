"""Precision and recall against the number of items shown; the ties are in test_metrics.py."""

import numpy as np
import pytest
from _data import labelled_task

from skcca.metrics import chance_map, retrieval_precision_recall


@pytest.fixture(scope="module")
def embedded():
    return labelled_task()


def test_curve_by_hand():
    # The list of the only query is relevant, other, relevant, other.
    gallery = [[4, 1], [3, 1], [2, 1], [1, 1]]
    curve = retrieval_precision_recall([[1, 0]], gallery, [1], [1, 0, 1, 0])
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1, 1])
    np.testing.assert_array_equal(curve.n_shown, [1, 2, 3, 4])


def test_curve_ends_at_chance_and_full_recall(embedded):
    curve = retrieval_precision_recall(*embedded)
    assert curve.recall[-1] == pytest.approx(1.0)
    assert curve.precision[-1] == pytest.approx(chance_map(*embedded[2:]))
    assert (np.diff(curve.recall) >= 0).all()


def test_curve_points_are_those_of_the_full_curve(embedded):
    full = retrieval_precision_recall(*embedded)
    for n_points, n_found in ((1, 1), (5, 5), (1000, 90)):
        curve = retrieval_precision_recall(*embedded, n_points=n_points)
        assert len(curve.n_shown) == n_found
        assert curve.n_shown[0] == 1
        np.testing.assert_array_equal(curve.precision, full.precision[curve.n_shown - 1])
        np.testing.assert_array_equal(curve.recall, full.recall[curve.n_shown - 1])
    assert retrieval_precision_recall(*embedded, n_points=5).n_shown[-1] == 90
