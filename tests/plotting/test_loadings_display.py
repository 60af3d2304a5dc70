"""LoadingsDisplay: features in the circle of correlations, and names that do not overlap."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import OF_PAIRS as MODEL
from _models import in_legend
from matplotlib import pyplot as plt

from skcca import CCA, Views
from skcca.plotting import LoadingsDisplay

draw = LoadingsDisplay.from_estimator


def names(display):
    return sorted(text.get_text() for text in display.texts_)


@pytest.mark.parametrize("components", [(0, 1), (2, 1)])
def test_points_lie_at_the_loadings_of_two_components(components):
    display = draw(MODEL, components)
    for side, loadings in (("x", MODEL.x_loadings_), ("y", MODEL.y_loadings_)):
        np.testing.assert_array_equal(
            display.points_[side].get_offsets(), loadings[:, list(components)]
        )
    assert display.ax_.get_xlabel() == f"Loading on component {components[0]}"
    assert display.ax_.get_ylabel() == f"Loading on component {components[1]}"


@pytest.mark.parametrize("view", ["x", "y"])
def test_one_view_may_be_drawn_alone(view):
    display = draw(MODEL, view=view)
    assert list(display.points_) == [view]
    assert all(name.startswith(view) for name in names(display))
    assert len(display.legend_.get_texts()) == 1


def test_the_largest_features_of_both_views_are_named():
    display = draw(MODEL, n_features=4)
    both = np.vstack([MODEL.x_loadings_, MODEL.y_loadings_])[:, :2]
    given = np.array([f"x{i}" for i in range(5)] + [f"y{i}" for i in range(6)])
    largest = np.argsort(-(both**2).sum(axis=1))[:4]
    assert names(display) == sorted(given[largest])
    for text in display.texts_:
        np.testing.assert_array_equal(text.xy, both[given == text.get_text()][0])
    segments = np.array(display.arrows_.get_segments())
    np.testing.assert_array_equal(segments[:, 0], 0)
    np.testing.assert_array_equal(segments[:, 1], both[largest])


def test_features_have_the_names_of_columns_and_views():
    frames = {
        "audio": pd.DataFrame(X, columns=[f"mfcc {i}" for i in range(5)]),
        "picture": pd.DataFrame(Y, columns=[f"colour {i}" for i in range(6)]),
    }
    display = draw(CCA(2).fit(Views(**frames)))
    assert names(display) == sorted([f"mfcc {i}" for i in range(5)] + list(frames["picture"]))
    assert in_legend(display) == ["audio", "picture"]


def test_names_may_be_given_for_one_view():
    display = draw(MODEL, feature_names=(None, list("abcdef")))
    assert names(display) == sorted([f"x{i}" for i in range(5)] + list("abcdef"))


def test_no_feature_is_named_if_none_is_asked_for():
    display = draw(MODEL, n_features=0)
    assert display.texts_ == []
    assert display.n_left_out_ == 0


def test_a_name_has_the_colour_of_its_view():
    display = draw(MODEL)
    for text in display.texts_:
        expected = display.points_[text.get_text()[0]].get_facecolors()[0, :3]
        np.testing.assert_array_equal(mpl.colors.to_rgb(text.get_color()), expected)


@pytest.mark.parametrize("size", [(6, 6), (3, 3)])
@pytest.mark.parametrize("layout", ["constrained", None])
def test_crowded_names_never_overlap_and_those_left_out_are_counted(size, layout):
    rng = np.random.default_rng(0)
    loadings = rng.uniform(-0.3, 0.3, size=(60, 2))
    long = [f"a feature with a long name {i}" for i in range(60)]
    ax = plt.subplots(figsize=size, layout=layout)[1]
    display = LoadingsDisplay(loadings, None, n_features=60, feature_names=(long, None)).plot(ax=ax)
    display.figure_.canvas.draw()
    # Without the line to the point, which is part of the extent of an annotation.
    boxes = [mpl.text.Text.get_window_extent(text) for text in display.texts_]
    assert boxes
    room = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert room.x0 - 1 <= box.x0
        assert box.x1 <= room.x1 + 1
        inner = box.padded(-0.5)  # pixels; rounding may differ between two drawings
        assert not [other for other in boxes[i + 1 :] if inner.overlaps(other.padded(-0.5))]
    assert display.n_left_out_ == 60 - len(boxes) > 0
    (note,) = set(ax.texts) - set(display.texts_)
    assert note.get_text() == f"no room for {display.n_left_out_} names"


def test_the_picture_holds_the_unit_circle_and_is_not_distorted():
    ax = draw(MODEL).ax_
    circle = np.array(ax.lines[0].get_data())
    np.testing.assert_allclose(np.linalg.norm(circle, axis=0), 1)
    assert ax.get_aspect() == 1
    assert ax.get_xlim()[1] > 1


def test_the_look_of_the_points_may_be_chosen():
    assert draw(MODEL, s=33).points_["x"].get_sizes().tolist() == [33]
