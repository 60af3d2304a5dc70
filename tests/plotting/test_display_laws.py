"""What every display keeps: where it draws, what it leaves alone, and how it refuses."""

import pickle
import sys

import matplotlib as mpl
import numpy as np
import pytest
from _data import SONGS
from _models import DRAWN_LABELS as LABELS
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import OF_CLASSES as CLASSES
from _models import OF_PAIRS as MODEL
from _models import trained_selector
from matplotlib import pyplot as plt
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skcca import CCA, ClusterCCA, Views, plotting, retrieval_map

MODELS = {
    "precision_recall": lambda **kw: plotting.PrecisionRecallDisplay.from_estimator(
        CLASSES, X, Y, labels=LABELS, **kw
    ),
    "correlation": lambda **kw: plotting.CorrelationDisplay.from_estimator(
        CCA(3), X, Y, n_permutations=20, random_state=0, **kw
    ),
    "embedding": lambda **kw: plotting.EmbeddingDisplay.from_estimator(
        CLASSES, X, Y, labels=LABELS, **kw
    ),
    "loadings": lambda **kw: plotting.LoadingsDisplay.from_estimator(MODEL, **kw),
    "ranking": lambda **kw: plotting.RankingDisplay.from_estimator(
        CLASSES, X, Y, labels=LABELS, **kw
    ),
}
DRAW = MODELS | {
    "attention": lambda **kw: plotting.AttentionDisplay.from_estimator(
        trained_selector(), SONGS[0], **kw
    )
}

EVERY = pytest.mark.parametrize("kind", DRAW)
EVERY_OF_A_MODEL = pytest.mark.parametrize("kind", MODELS)


def texts(figure):
    """Return the texts of a figure that are drawn and not empty."""
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden |= {label for tick in beyond for label in (tick.label1, tick.label2)}
    return [
        text
        for text in figure.findobj(mpl.text.Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def inner_texts(display):
    """Return what a display has written on the background of its axes."""
    own = [*display.ax_.texts]
    legend = getattr(display, "legend_", None)
    return own + ([] if legend is None else legend.get_texts())


@EVERY
def test_given_axes_are_drawn_on_and_the_current_figure_stays(kind):
    figure, (first, second) = plt.subplots(1, 2, layout="constrained")
    current = plt.figure()
    display = DRAW[kind](ax=second)
    assert display.ax_ is second
    assert display.figure_ is figure
    assert not first.has_data()
    assert plt.gcf() is current
    assert plt.get_fignums() == [figure.number, current.number]


@EVERY
def test_axes_of_a_subfigure_are_drawn_on(kind):
    part = plt.figure(layout="constrained").subfigures(1, 2)[1]
    display = DRAW[kind](ax=part.subplots())
    assert display.figure_ is part
    part.figure.canvas.draw()


@EVERY
def test_without_axes_one_new_figure_makes_room_for_its_labels(kind):
    display = DRAW[kind]()
    assert plt.get_fignums() == [display.figure_.number]
    assert display.figure_.get_layout_engine() is not None


@EVERY
def test_global_settings_stay_and_nothing_is_shown(kind, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("shown"))
    before = dict(mpl.rcParams)
    DRAW[kind]()
    assert dict(mpl.rcParams) == before


@EVERY
def test_plot_draws_again_elsewhere_and_returns_itself(kind):
    display = DRAW[kind]()
    first = display.ax_
    n_children = len(first.get_children())
    again = display.plot(ax=plt.subplots(layout="constrained")[1])
    assert again is display
    assert again.ax_ is not first
    assert len(first.get_children()) == n_children


@EVERY_OF_A_MODEL
def test_a_name_is_the_title_or_stands_in_the_legend(kind):
    display = DRAW[kind](name="By hand")
    if kind == "precision_recall":
        assert display.legend_.get_texts()[0].get_text().startswith("By hand (MAP")
        assert display.plot(name="Other").legend_.get_texts()[0].get_text().startswith("Other (")
    else:
        assert display.ax_.get_title() == "By hand"
        assert display.plot(name="Other").ax_.get_title() == "Other"


@EVERY_OF_A_MODEL
def test_the_class_of_the_model_is_the_name_if_none_is_given(kind):
    named = DRAW[kind]().name
    assert named == ("CCA" if kind in ("correlation", "loadings") else "ClusterCCA")


@EVERY
@pytest.mark.parametrize(("colour", "ink"), [("white", 0), ("#202020", 1)])
def test_texts_on_the_axes_show_on_light_and_dark_ground(kind, colour, ink):
    ax = plt.subplots(layout="constrained")[1]
    ax.set_facecolor(colour)
    display = DRAW[kind](ax=ax)
    written = inner_texts(display)
    assert written
    ground = np.dot(mpl.colors.to_rgb(colour), [0.2126, 0.7152, 0.0722])
    for text in written:
        luminance = np.dot(mpl.colors.to_rgb(text.get_color()), [0.2126, 0.7152, 0.0722])
        assert abs(luminance - ground) > 0.3
    if getattr(display, "legend_", None) is not None:
        for text in display.legend_.get_texts():
            assert mpl.colors.to_rgb(text.get_color()) == (ink,) * 3


@EVERY
@pytest.mark.parametrize("size", [None, (5, 4)])
def test_no_text_is_cut_off_or_covers_another(kind, size):
    ax = None if size is None else plt.subplots(figsize=size, layout="constrained")[1]
    display = DRAW[kind](ax=ax)
    figure = display.figure_
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in texts(figure)]
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert box.x0 >= -1 <= box.y0
        assert box.x1 <= width + 1
        assert box.y1 <= height + 1
    for i, box in enumerate(boxes):
        # A pixel of leave: extents hold the room of letters that are not there.
        inner = mpl.transforms.Bbox([[box.x0 + 1, box.y0 + 1], [box.x1 - 1, box.y1 - 1]])
        assert not [other for other in boxes[i + 1 :] if inner.overlaps(other)]


@EVERY
def test_a_display_pickles_before_and_after_it_is_drawn(kind):
    display = DRAW[kind]()
    copy = pickle.loads(pickle.dumps(display))
    assert copy.plot().ax_ is not display.ax_
    fresh = type(display).__new__(type(display))
    fresh.__dict__ = {k: v for k, v in vars(display).items() if not k.endswith("_")}
    assert pickle.loads(pickle.dumps(fresh)).plot().ax_ is not None


@EVERY
@pytest.mark.parametrize("ax", [3, np.array([None, None]), "ax"])
def test_what_is_no_axes_is_refused(kind, ax):
    with pytest.raises(TypeError, match=r"Display: `ax` is a \w+; expected one matplotlib Axes"):
        DRAW[kind](ax=ax)
    assert not plt.get_fignums()


@EVERY
def test_without_matplotlib_the_cure_is_named(kind, monkeypatch):
    display = DRAW[kind]()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for attempt in (display.plot, DRAW[kind]):
        with pytest.raises(ImportError, match=rf"{type(display).__name__}.*skcca\[plot\]"):
            attempt()


SEARCHED = {
    "precision_recall": "PrecisionRecallDisplay",
    "embedding": "EmbeddingDisplay",
    "ranking": "RankingDisplay",
}


@pytest.mark.parametrize("kind", SEARCHED)
def test_views_with_labels_draw_what_arrays_with_labels_draw(kind):
    Display = getattr(plotting, SEARCHED[kind])
    by_arrays, by_views = (
        vars(Display.from_estimator(CLASSES, *data, **labels))
        for data, labels in [((X, Y), {"labels": LABELS}), ((Views(X, Y), LABELS), {})]
    )
    for key in ("precision", "Zx", "order"):
        if key in by_arrays:
            np.testing.assert_array_equal(by_arrays[key], by_views[key])


@pytest.mark.parametrize("kind", SEARCHED)
def test_pipelines_and_searches_are_drawn_as_the_model_within(kind):
    search = GridSearchCV(ClusterCCA(), {"reg": [0.0]}, scoring=retrieval_map, cv=2)
    wrapped = make_pipeline(search).fit(Views(X, Y), LABELS)
    Display = getattr(plotting, SEARCHED[kind])
    display = Display.from_estimator(wrapped, Views(X, Y), LABELS)
    assert display.name == "ClusterCCA"


@pytest.mark.parametrize("kind", ["precision_recall", "ranking"])
def test_labels_are_needed_and_errors_name_the_display(kind):
    Display = getattr(plotting, SEARCHED[kind])
    with pytest.raises(ValueError, match=rf"{SEARCHED[kind]}.from_estimator: relevance needs"):
        Display.from_estimator(MODEL, X, Y)
    with pytest.raises(ValueError, match=r"`direction` is 'up'; expected one of"):
        Display.from_estimator(MODEL, X, Y, labels=LABELS, direction="up")
    with pytest.raises(ValueError, match=r"`metric` is 'hamming'; expected one of"):
        Display.from_estimator(MODEL, X, Y, labels=LABELS, metric="hamming")
    assert not plt.get_fignums()
