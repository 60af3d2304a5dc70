"""The picture of how often features are selected."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib import pyplot as plt

from skcca.inspection import FeatureStability, StabilityResult
from skcca.plotting import StabilityDisplay


def view(n, threshold):
    shares = np.random.default_rng(n).random((n, 2))
    return FeatureStability(
        shares, shares >= threshold, np.full(2, threshold), shares.sum(axis=0), np.full(2, 0.7)
    )


RESULT = StabilityResult(view(30, 0.8), view(4, np.inf))


def test_features_stand_in_the_order_of_their_shares():
    display = StabilityDisplay(RESULT, component=1, n_features=10).plot()
    for ax, bars, line, part, side in zip(
        display.axes_, display.bars_, display.lines_, RESULT, "xy", strict=True
    ):
        shares = part.probabilities[:, 1]
        most = np.argsort(-shares)[:10]
        np.testing.assert_allclose([bar.get_width() for bar in bars], shares[most])
        assert [t.get_text() for t in ax.get_yticklabels()] == [f"{side}{i}" for i in most]
        assert line.get_visible() == np.isfinite(part.thresholds[1])
        faint = [bar.get_alpha() < 1 for bar in bars]
        np.testing.assert_array_equal(faint, ~part.selected[most, 1])
    assert f"{RESULT.x.selected[:, 1].sum()} of 30 selected" in display.axes_[0].get_title()
    assert "no threshold" in display.axes_[1].get_title()


def test_each_name_has_a_line():
    many = StabilityResult(view(60, 0.8), view(4, 0.8))
    figure = StabilityDisplay(many, n_features=60).plot().figure_
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(boxes))


def test_given_axes_and_names_are_used():
    _, axes = plt.subplots(1, 2)
    names = [f"gene {i}" for i in range(30)], None
    display = StabilityDisplay(RESULT, feature_names=names, n_features=3).plot(axes)
    assert list(display.axes_) == list(axes)
    assert axes[0].get_yticklabels()[0].get_text().startswith("gene")


@pytest.mark.parametrize(
    ("settings", "axes", "error", "message"),
    [
        (
            {"component": 2},
            None,
            ValueError,
            "`component` is 2; expected the number of a component",
        ),
        ({"n_features": 0}, None, ValueError, "`n_features` is 0"),
        ({"feature_names": (["a"], None)}, None, ValueError, "has 1 names for the 30 features"),
        ({"feature_names": "ab"}, None, ValueError, "must be a pair"),
        ({"view_names": ("a",)}, None, ValueError, "`view_names` must be a pair"),
        ({"result": 3}, None, TypeError, "`result` is a int"),
        ({}, [1, 2], TypeError, "`ax` is a int"),
        ({}, [1], TypeError, "`axes` holds 1 objects"),
    ],
)
def test_what_cannot_be_drawn_is_refused(settings, axes, error, message):
    with pytest.raises(error, match=message):
        StabilityDisplay(**{"result": RESULT} | settings).plot(axes)
