"""PrecisionRecallDisplay: the curve, the chance line and the legend."""

import numpy as np
import pytest
from _models import DRAWN_LABELS as LABELS
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import OF_CLASSES as CLASSES
from _models import OF_PAIRS as MODEL
from _models import in_legend
from matplotlib import pyplot as plt

from skcca.metrics import chance_map, mean_average_precision_score, retrieval_precision_recall
from skcca.plotting import PrecisionRecallDisplay


def draw(model=CLASSES, **kwargs):
    return PrecisionRecallDisplay.from_estimator(model, X, Y, **({"labels": LABELS} | kwargs))


@pytest.mark.parametrize("direction", ["x_to_y", "y_to_x"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_line_is_the_curve_of_the_metric(direction, metric):
    U, V = CLASSES.transform(X, Y)
    sides = (U, V) if direction == "x_to_y" else (V, U)
    expected = retrieval_precision_recall(*sides, LABELS, metric=metric)
    display = draw(direction=direction, metric=metric)
    np.testing.assert_array_equal(display.line_.get_xdata(), expected.recall)
    np.testing.assert_array_equal(display.line_.get_ydata(), expected.precision)
    score = mean_average_precision_score(*sides, LABELS, metric=metric)
    assert display.mean_average_precision == score
    assert in_legend(display)[0] == f"ClusterCCA (MAP = {score:.2f})"


def test_unpaired_views_have_labels_of_their_own():
    U, V = CLASSES.transform(X[:30]), CLASSES.transform_y(Y)
    expected = retrieval_precision_recall(V, U, LABELS, LABELS[:30])
    display = PrecisionRecallDisplay.from_estimator(
        CLASSES, X[:30], Y, labels=(LABELS[:30], LABELS), direction="y_to_x"
    )
    np.testing.assert_array_equal(display.line_.get_ydata(), expected.precision)


def test_the_chance_line_stands_at_chance_map():
    display = draw()
    np.testing.assert_allclose(display.chance_level_.get_ydata(), chance_map(LABELS))
    assert in_legend(display)[-1] == "Chance (0.33)"


def test_chance_is_that_of_the_queries_that_are_counted():
    labels = np.array(["a", "a", "b", "c"])
    with pytest.warns(UserWarning, match="1 of 4 queries have no relevant item") as record:
        display = PrecisionRecallDisplay.from_predictions(
            np.eye(4), np.eye(4)[:3], labels, labels[:3]
        )
    assert len(record) == 1
    assert display.chance_level == pytest.approx((2 + 2 + 1) / 9)


def test_several_models_share_axes_and_one_chance_line():
    first = draw()
    second = draw(MODEL, ax=first.ax_, name="by pairs")
    assert second.chance_level_ is first.chance_level_
    assert len(first.ax_.lines) == 3
    assert in_legend(second) == [
        f"ClusterCCA (MAP = {first.mean_average_precision:.2f})",
        f"by pairs (MAP = {second.mean_average_precision:.2f})",
        "Chance (0.33)",
    ]
    assert first.line_.get_color() != second.line_.get_color()


def test_models_of_other_data_have_a_chance_line_of_their_own():
    first = draw()
    two = LABELS != "calm"
    second = PrecisionRecallDisplay.from_estimator(
        CLASSES, X[two], Y[two], labels=LABELS[two], ax=first.ax_
    )
    assert second.chance_level_ is not first.chance_level_
    np.testing.assert_allclose(second.chance_level_.get_ydata(), 0.5)


def test_a_line_of_the_caller_is_no_chance_line():
    ax = plt.subplots()[1]
    ax.plot([0, 1], [1 / 3, 1 / 3])
    assert draw(ax=ax).chance_level_ not in ax.lines[:1]


def test_no_chance_line_is_drawn_unless_asked_for():
    display = draw(plot_chance_level=False)
    assert display.chance_level_ is None
    assert len(display.ax_.lines) == 1


def test_without_labels_each_query_looks_for_its_own_item():
    U, V = MODEL.transform(X, Y)
    display = PrecisionRecallDisplay.from_predictions(U, V)
    assert display.chance_level == pytest.approx(1 / len(X))
    assert in_legend(display)[0] == f"MAP = {mean_average_precision_score(U, V):.2f}"


def test_within_one_view_a_query_does_not_find_itself():
    U = MODEL.transform(X)
    display = PrecisionRecallDisplay.from_predictions(U, U, LABELS, exclude_self=True)
    assert display.chance_level == pytest.approx(19 / 59)
    assert len(display.precision) == 59


def test_the_look_of_the_line_may_be_chosen():
    display = draw(color="red", linestyle=":", label="mine")
    assert (display.line_.get_color(), display.line_.get_linestyle()) == ("red", ":")
    assert in_legend(display)[0] == "mine"


def test_axes_hold_all_of_precision_and_recall():
    ax = draw().ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Recall", "Precision")
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert low < 0 < 1 < high


def test_arrays_alone_are_drawn_without_a_legend():
    display = PrecisionRecallDisplay(np.array([1.0, 0.5]), np.array([0.5, 1.0])).plot()
    assert display.legend_ is None
    assert display.chance_level_ is None


def test_an_estimator_of_one_view_is_refused():
    from sklearn.decomposition import PCA

    with pytest.raises(TypeError, match="PrecisionRecallDisplay"):
        draw(PCA(2).fit(X))
