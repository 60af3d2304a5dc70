"""RankingDisplay: what stands in the grid, against a ranking by hand."""

import matplotlib as mpl
import numpy as np
import pytest
from _models import DRAWN_LABELS as LABELS
from _models import DRAWN_X as X
from _models import DRAWN_Y as Y
from _models import OF_CLASSES as CLASSES
from _oracles import similarity
from matplotlib import pyplot as plt

from skcca.plotting import RankingDisplay

U, V = CLASSES.transform(X, Y)
rng = np.random.default_rng(0)
draw = RankingDisplay.from_predictions


METRICS = ("cosine", "inner_product", "euclidean")


def by_hand(queries, gallery, rows, k, metric="cosine", excluded=False):
    order, similarities = [], []
    for row in rows:
        scores = {
            i: similarity(metric, queries[row], item)
            for i, item in enumerate(gallery)
            if not (excluded and i == row)
        }
        best = sorted(scores, key=lambda i: -scores[i])[:k]
        order.append(best)
        similarities.append([scores[i] for i in best])
    return np.array(order), np.array(similarities)


def cell_texts(display):
    """Return the text of the query and of the items, (n_rows, k + 1) lists of lines."""
    shape = len(display.rows), display.order.shape[1] + 1
    lines = np.empty(shape, dtype=object)
    for at, text in zip(np.ndindex(shape), display.texts_, strict=True):
        lines[at] = text.get_text().split("\n")
    return lines


@pytest.mark.parametrize(
    ("metric", "offset"), [*((metric, 0.0) for metric in METRICS), ("euclidean", 1e9)]
)
def test_a_row_holds_the_most_similar_items_best_first(metric, offset):
    queries, gallery = U + offset, V + offset
    display = draw(queries, gallery, LABELS, rows=[3, 0, 17], k=4, metric=metric)
    order, similarities = by_hand(queries, gallery, [3, 0, 17], 4, metric)
    np.testing.assert_array_equal(display.order, order)
    np.testing.assert_allclose(display.similarities, similarities, atol=1e-7)
    numbers = [[int(lines[0][1:]) for lines in row] for row in cell_texts(display)]
    np.testing.assert_array_equal(numbers, np.column_stack([[3, 0, 17], order]))
    written = [text.get_text() for text in display.ax_.texts]
    for value in similarities.ravel():
        assert f"{value:.2f}" in written


@pytest.mark.parametrize("direction", ["x_to_y", "y_to_x"])
def test_the_direction_says_which_view_asks(direction):
    display = RankingDisplay.from_estimator(
        CLASSES, X, Y, labels=LABELS, direction=direction, rows=[5]
    )
    sides = (U, V) if direction == "x_to_y" else (V, U)
    np.testing.assert_array_equal(display.order, by_hand(*sides, [5], 5)[0])


def test_marks_and_frames_tell_relevant_items_by_shape_and_colour():
    labels = rng.permutation(LABELS)
    display = draw(U, V, labels, rows=[0, 1, 2, 3], k=6)
    order, _ = by_hand(U, V, [0, 1, 2, 3], 6)
    expected = labels[order] == labels[[0, 1, 2, 3]][:, None]
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(display.relevant, expected)
    for kind, marks in ((True, display.hits_), (False, display.misses_)):
        frames = display.frames_[expected == kind]
        assert len(marks.get_offsets()) == len(frames)
        for mark, frame in zip(marks.get_offsets(), frames, strict=True):
            x, y, width, height = frame.get_bbox().bounds
            assert x < mark[0] < x + width
            assert y < mark[1] < y + height
            assert frame.get_linestyle() == ("-" if kind else "--")
    hit, miss = display.hits_.get_paths()[0], display.misses_.get_paths()[0]
    assert hit.vertices.shape != miss.vertices.shape
    colours = [display.frames_[expected == kind][0].get_edgecolor() for kind in (True, False)]
    assert colours[0] != colours[1]


def test_shared_tags_are_relevant():
    tags = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    items = np.array([[0, 0, 1], [0, 1, 0]])
    display = draw(np.eye(3), np.eye(3)[:2], tags, items, rows=[0, 1, 2], k=2)
    expected = (tags[:, None] * items[None]).sum(axis=2)
    for row, order, relevant in zip(expected, display.order, display.relevant, strict=True):
        np.testing.assert_array_equal(relevant, row[order] > 0)
    assert all(len(lines) == 1 for lines in cell_texts(display).ravel())  # tags are not written


def test_without_labels_the_own_pair_is_relevant():
    display = draw(U, U + 1e-6, rows=[4, 9], k=3)
    np.testing.assert_array_equal(display.relevant, [[True, False, False]] * 2)


def test_a_query_may_be_left_out_of_its_own_list():
    display = draw(U, U, LABELS, rows=[0, 8], k=5, exclude_self=True)
    np.testing.assert_array_equal(display.order, by_hand(U, U, [0, 8], 5, excluded=True)[0])


def test_five_queries_over_the_whole_list_are_drawn_if_none_are_named():
    assert draw(U, V, LABELS).rows.tolist() == [0, 15, 30, 44, 59]
    assert draw(U[:2], V, LABELS[:2], LABELS).rows.tolist() == [0, 1]


def test_names_and_classes_stand_below_queries_and_items():
    songs, videos = ([f"{kind} {i}" for i in range(60)] for kind in ("song", "video"))
    display = draw(U, V, LABELS, rows=[7], k=2, query_names=songs, gallery_names=videos)
    lines = cell_texts(display)[0]
    assert lines[0] == ["song 7", LABELS[7]]
    assert list(lines[1:]) == [[f"video {i}", LABELS[i]] for i in display.order[0]]


def test_long_names_are_shortened_to_the_width_of_their_cell():
    long = [f"a song whose name nobody would ever like to write down {i}" for i in range(60)]
    display = draw(U, V, LABELS, rows=[7], k=3, gallery_names=long)
    display.figure_.canvas.draw()
    for text, frame in zip(display.texts_[1:], display.frames_[0], strict=True):
        inside, cell = text.get_window_extent(), frame.get_window_extent()
        assert cell.x0 <= inside.x0
        assert inside.x1 <= cell.x1
        assert "…" in text.get_text()


def test_pictures_are_those_of_the_queries_and_items():
    left, right = rng.random((60, 4, 6)), rng.random((60, 5, 3))
    display = draw(U, V, LABELS, rows=[2, 11], k=3, query_images=left, gallery_images=right)
    drawn = iter(display.images_)
    low, high = left[[2, 11]].min(), left[[2, 11]].max()
    shown = right[display.order.ravel()]
    for row, items in zip(display.rows, display.order, strict=True):
        scaled = (left[row] - low) / (high - low)
        np.testing.assert_allclose(next(drawn).get_array(), scaled)
        for item in items:
            scaled = (right[item] - shown.min()) / np.ptp(shown)
            np.testing.assert_allclose(next(drawn).get_array(), scaled)


def test_a_picture_keeps_its_proportions_and_lies_within_its_cell():
    wide = rng.random((60, 4, 12))
    display = draw(U, V, LABELS, rows=[2], k=3, gallery_images=wide)
    assert len(display.images_) == 3  # queries have none
    for image, frame in zip(display.images_, display.frames_[0], strict=True):
        left, right, bottom, top = image.get_extent()
        assert (right - left) / (bottom - top) == pytest.approx(3)
        x, y, width, height = frame.get_bbox().bounds
        assert x < left < right < x + width
        assert y < top < bottom < y + height
    assert display.ax_.get_aspect() == 1


@pytest.mark.parametrize(
    "images",
    [
        rng.random((60, 4, 4, 3)),
        rng.integers(0, 256, size=(60, 4, 4, 4), dtype=np.uint8),
        [rng.random((3 + i % 3, 4)) for i in range(60)],
        np.zeros((60, 4, 4), dtype=bool),
    ],
    ids=["colour", "bytes", "sizes", "black"],
)
def test_colours_bytes_and_pictures_of_any_size_are_drawn(images):
    display = draw(U, V, LABELS, rows=[2], k=3, gallery_images=images)
    display.figure_.canvas.draw()
    shown = [image.get_array().shape for image in display.images_]
    assert shown == [images[i].shape for i in display.order[0]]


def test_columns_are_numbered_by_rank():
    display = draw(U, V, LABELS, k=3)
    written = [text.get_text() for text in display.ax_.texts]
    assert written[:4] == ["Query", "1", "2", "3"]


def test_texts_are_as_large_as_their_cells_allow():
    assert {text.get_fontsize() for text in draw(U, V, LABELS).texts_} == {8}
    small = plt.subplots(figsize=(3, 2), layout="constrained")[1]
    display = draw(U, V, LABELS, ax=small)
    display.figure_.canvas.draw()
    frame = display.frames_[0, 0]
    units, points = frame.get_height(), frame.get_window_extent().height * 72 / small.figure.dpi
    line = 0.16 * points / units
    assert display.texts_[0].get_fontsize() == pytest.approx(line / 1.3, rel=0.05)


def test_the_grid_stays_within_the_axes():
    display = draw(U, V, LABELS, k=7)
    ax = display.ax_
    x, y = np.sort(ax.get_xlim()), np.sort(ax.get_ylim())
    for frame in display.frames_.ravel():
        box = frame.get_bbox()
        assert x[0] < box.x0 < box.x1 < x[1]
        assert y[0] < box.y0 < box.y1 < y[1]
    boxes = [frame.get_bbox() for frame in display.frames_.ravel()]
    assert mpl.transforms.Bbox.union(boxes).count_overlaps(boxes) == len(boxes)
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[i + 1 :])


def test_similarities_that_differ_late_are_written_with_more_digits():
    near = 1 + 1e-3 * np.random.default_rng(0).normal(size=(6, 3))
    display = draw(near, near, np.arange(6) % 2, rows=[0], k=3)
    written = [text.get_text() for text in display.ax_.texts]
    assert all(f"{value:.4f}" in written for value in display.similarities[0])
