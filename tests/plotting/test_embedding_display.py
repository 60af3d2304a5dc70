"""EmbeddingDisplay: where points lie, what colours and markers mean, which rows are joined."""

import matplotlib as mpl
import numpy as np
import pytest
from _models import DRAWN_LABELS as LABELS
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import OF_CLASSES as CLASSES
from _models import in_legend
from matplotlib import pyplot as plt

from skcca import Views
from skcca.plotting import EmbeddingDisplay

rng = np.random.default_rng(0)
U, V = rng.normal(size=(2, 60, 3))


draw = EmbeddingDisplay.from_predictions


def n_corners(points):
    return len(points.get_paths()[0].vertices)


@pytest.mark.parametrize("components", [(0, 1), (2, 0)])
def test_points_lie_at_the_two_components_of_each_view(components):
    display = draw(U, V, components=components)
    for points, Z in zip(display.points_, (U, V), strict=True):
        np.testing.assert_array_equal(points.get_offsets(), Z[:, components])
    ax = display.ax_
    assert ax.get_xlabel() == f"Component {components[0]}"
    assert ax.get_ylabel() == f"Component {components[1]}"


def test_the_estimator_embeds_both_views():
    display = EmbeddingDisplay.from_estimator(CLASSES, X, Y, labels=LABELS)
    for points, Z in zip(display.points_, CLASSES.transform(X, Y), strict=True):
        np.testing.assert_array_equal(points.get_offsets(), Z)


def test_the_marker_tells_the_view():
    first, second = draw(U, V).points_
    assert n_corners(first) > 4 == n_corners(second)  # a circle, and a closed triangle


@pytest.mark.parametrize("n_classes", [2, 8, 9, 10, 15, 40])
def test_each_class_has_a_colour_of_its_own_in_both_views(n_classes):
    codes = np.arange(60) % n_classes
    display = draw(U, V, codes)
    colours = [points.get_facecolors() for points in display.points_]
    np.testing.assert_array_equal(*colours)
    distinct = {tuple(colours[0][codes == c][0]) for c in range(n_classes)}
    assert len(distinct) == n_classes
    for c in range(n_classes):
        assert (colours[0][codes == c] == colours[0][codes == c][0]).all()


def test_the_legend_names_views_and_classes():
    display = EmbeddingDisplay.from_estimator(CLASSES, Views(audio=X, picture=Y), LABELS)
    assert in_legend(display) == ["audio", "picture", "angry", "calm", "warm"]
    assert in_legend(draw(U, V)) == ["First view", "Second view"]


def test_the_colour_in_the_legend_is_that_of_the_class():
    display = draw(U, V, LABELS)
    handles = dict(zip(in_legend(display), display.legend_.legend_handles, strict=True))
    for name in np.unique(LABELS):
        expected = display.points_[0].get_facecolors()[np.flatnonzero(LABELS == name)[0], :3]
        np.testing.assert_array_equal(mpl.colors.to_rgb(handles[name].get_color()), expected)


@pytest.mark.parametrize("ground", ["white", "black"])
def test_no_class_has_the_colour_of_the_ground(ground):
    for n_classes in (8, 10, 20):
        ax = plt.subplots(layout="constrained")[1]
        ax.set_facecolor(ground)
        colours = draw(U, V, np.arange(60) % n_classes, ax=ax).points_[0].get_facecolors()[:, :3]
        assert np.linalg.norm(colours - mpl.colors.to_rgb(ground), axis=1).min() > 0.3


def test_eleven_classes_are_named_where_they_lie():
    codes = np.arange(60) % 11
    centres = 10 * np.column_stack([np.cos(codes), np.sin(codes)])
    display = draw(centres + 0.1 * U[:, :2], centres + 0.1 * V[:, :2], codes)
    assert sorted(int(text.get_text()) for text in display.class_names_) == list(range(11))
    for text in display.class_names_:
        np.testing.assert_allclose(
            text.xy, centres[int(text.get_text())], atol=0.3
        )  # the noise of a mean of ten
    assert draw(U, V, codes % 10).class_names_ == []


def test_more_than_twenty_classes_have_a_colour_bar_with_a_few_names():
    names = np.array([f"class {i:02}" for i in range(30)])
    display = draw(U, V, names[np.arange(60) % 30])
    assert in_legend(display) == ["First view", "Second view"]
    shown = [text.get_text() for text in display.colorbar_.ax.get_yticklabels()]
    assert (shown[0], shown[-1]) == ("class 00", "class 29")
    assert len(shown) == 12
    norm = display.colorbar_.mappable.norm
    colours = display.colorbar_.mappable.cmap(norm(np.arange(60) % 30))
    np.testing.assert_allclose(colours[:, :3], display.points_[0].get_facecolors()[:, :3])


def test_lines_join_the_two_rows_of_a_pair():
    display = draw(U, V, link=True)
    np.testing.assert_array_equal(
        display.links_.get_segments(), np.stack([U[:, :2], V[:, :2]], axis=1)
    )


def test_many_rows_are_joined_on_request_only():
    Z = rng.normal(size=(201, 2))
    assert draw(Z, Z).links_ is None
    assert draw(Z[:200], Z[:200]).links_ is not None
    assert draw(Z, Z, link=True).links_ is not None
    assert draw(Z[:200], Z[:200], link=False).links_ is None


def test_unpaired_rows_have_labels_of_their_own_and_no_lines():
    display = draw(U[:30], V, (LABELS[:30], LABELS))
    assert display.links_ is None
    assert [len(points.get_offsets()) for points in display.points_] == [30, 60]
    same = draw(U, V, (LABELS, LABELS[::-1]))
    assert same.links_ is None
    np.testing.assert_array_equal(
        same.points_[0].get_facecolors(), same.points_[1].get_facecolors()[::-1]
    )


def test_a_tuple_of_labels_is_one_label_a_row():
    assert in_legend(draw(U, V, tuple(LABELS)))[2:] == ["angry", "calm", "warm"]
    assert in_legend(draw(U[:2], V[:2], ("calm", "warm")))[2:] == ["calm", "warm"]


@pytest.mark.parametrize("layout", ["constrained", None])
def test_the_legend_covers_no_point(layout):
    ax = plt.subplots(layout=layout)[1]
    display = draw(U, V, np.arange(60) % 12, ax=ax)
    display.figure_.canvas.draw()
    box = display.legend_.get_window_extent()
    for points in display.points_:
        assert box.count_contains(ax.transData.transform(points.get_offsets())) == 0


def test_the_look_of_the_points_may_be_chosen():
    display = draw(U, V, s=77, alpha=0.5)
    assert display.points_[0].get_sizes().tolist() == [77]
    assert display.points_[1].get_alpha() == 0.5
