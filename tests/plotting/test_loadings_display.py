"""LoadingsDisplay: features in the circle of correlations, and names that do not overlap."""

import copy

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
from skcca.inspection import FeatureStability, StabilityResult
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


def test_names_leave_the_dots_of_all_features_uncovered():
    rng = np.random.default_rng(0)
    angle, radius = rng.uniform(0, 2 * np.pi, 90), rng.uniform(0.2, 0.9, 90)
    loadings = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    display = LoadingsDisplay(loadings[:60], loadings[60:], n_features=20).plot()
    display.figure_.canvas.draw()
    dots = display.ax_.transData.transform(loadings)
    assert display.n_left_out_ == 0
    for text in display.texts_:
        box = mpl.text.Text.get_window_extent(text).padded(1.5)  # pixels, less than a dot
        assert box.count_contains(dots) == 0


def of_selected(*selected, **options):
    return draw(MODEL, selected=selected, n_features=20, **options)


def test_selected_features_alone_are_named():
    of_x, of_y = np.array([True, False, True, False, False]), np.zeros((6, 3), dtype=bool)
    of_y[[1, 4, 5], [0, 1, 2]] = True
    display = of_selected(of_x, of_y)
    assert names(display) == ["x0", "x2", "y1", "y4"]  # y5 is selected in another component
    assert names(of_selected(of_x, of_y, components=(2, 1))) == ["x0", "x2", "y4", "y5"]
    assert len(names(of_selected(of_x, None))) == 2 + 6
    assert len(display.points_["x"].get_offsets()) == 5
    assert len(names(draw(MODEL, selected=(of_x, of_y), n_features=3))) == 3


def test_features_that_a_sparse_model_selects_are_named():
    model = copy.copy(MODEL)
    model.x_selected_, model.y_selected_ = np.eye(5, 3, dtype=bool), np.eye(6, 3, dtype=bool)
    assert names(draw(model)) == ["x0", "x1", "y0", "y1"]
    stable = [FeatureStability(*[mask] * 5) for mask in (model.x_selected_, model.y_selected_)]
    assert names(draw(MODEL, selected=StabilityResult(*stable))) == ["x0", "x1", "y0", "y1"]


def test_the_picture_holds_the_circles_and_is_not_distorted():
    ax = draw(MODEL).ax_
    for line, radius in zip(ax.lines, (1, 0.5), strict=False):
        np.testing.assert_allclose(np.linalg.norm(line.get_data(), axis=0), radius)
    assert ax.get_aspect() == 1
    assert ax.get_xlim()[1] > 1


def test_the_look_of_the_points_may_be_chosen():
    assert draw(MODEL, s=33).points_["x"].get_sizes().tolist() == [33]
