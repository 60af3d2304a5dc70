"""YouTube-8M: every record that cannot be used is told with its place, or left out."""

import sys

import numpy as np
import pytest
from _data import flip, frame_record, frames, video_record, write

from skcca.datasets import load_youtube8m
from skcca.datasets._tfrecord import batches, write_records
from skcca.datasets._youtube8m_records import _messages

LABELS = ([14], [3, 14], [14, 7], [5])
RECORDS = [frame_record(f"id{i}", labels, frames(i + 1, i)) for i, labels in enumerate(LABELS)]
MEANS = {name: view.mean(axis=0) / 100 for name, view in frames(2).items()}


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "a.tfrecord", *RECORDS)
    return tmp_path / "a.tfrecord"


def one(tmp_path, *records):
    """Write a file of its own."""
    write(tmp_path / "one.tfrecord", *records)
    return tmp_path / "one.tfrecord"


def read_places(path):
    return [record.offset for batch in batches(str(path)) for record in batch.records]


def test_skipped_records_are_counted_and_the_next_file_is_read(path, tmp_path):
    starts = write(tmp_path / "b", *RECORDS)
    flip(tmp_path / "b", starts[1] + 50)  # data of the second
    flip(tmp_path / "b", starts[2])  # length of the third: the fourth is lost with it
    path.write_bytes(path.read_bytes().replace(b"id", b"ID"))  # data of all
    write(tmp_path / "c", frame_record("last", [1], frames(2)))
    message = (
        r"load_youtube8m: 6 record\(s\) could not be used and were left out; the first: "
        rf".*, record at byte {starts[1]}: its \d+ bytes do not match their checksum\.$"
    )
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match=message):
            data = load_youtube8m(
                [tmp_path / "b", path, tmp_path / "c"], on_error="skip", n_jobs=n_jobs
            )
        assert data.ids.tolist() == ["id0", "last"]
        assert (data.n_read, data.n_skipped) == (2, 6)


def test_skipped_records_are_told_also_where_enough_videos_were_found(path):
    flip(path, 70)
    with pytest.warns(UserWarning, match=r"1 record\(s\)"):
        assert load_youtube8m(path, on_error="skip", max_videos=1).ids.tolist() == ["id1"]


def test_an_error_in_another_thread_has_its_place(path):
    flip(path, 70)
    with pytest.raises(ValueError, match=r"a\.tfrecord, record at byte 0: .*on_error=\"skip\""):
        load_youtube8m(path, n_jobs=2)


def as_floats():
    """Return a record whose frames have as many bytes as they should, and are no bytes."""
    context, rows = frame_record("x", [1], frames(2))
    floats = {name: [np.ones(len(row) // 4) for row in of] for name, (of, _) in rows.items()}
    return context, {name: (of, "float") for name, of in floats.items()}


def changed(**views):
    return frame_record("x", [1], frames(2) | views)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (changed(audio=frames(3)["audio"]), r"`audio` has 3 frames and `rgb` 2"),
        (frame_record("x", [1], frames(0)), r"video 'x' has 0 frames"),
        (changed(rgb=np.zeros((2, 99), np.uint8)), r"the 2 frames of `rgb` hold 2 strings of 99 b"),
        (frame_record("x", [1], {"audio": frames(2)["audio"]}), r"no frames `rgb` \(it has audio"),
        (({"labels": ([b"a"], "byte")}, frame_record("x", [], frames(1))[1]), r"`labels` is a byt"),
        (({"id": (b"\xff", "byte")}, frame_record("x", [], frames(1))[1]), r"`id` b'\\xff' is no"),
        (as_floats(), r"the 2 frames of `audio` hold 0 strings of no bytes"),
        (({"id": (b"x", "byte")},), r"it has no frames `audio` \(it has none\)"),
    ],
)
def test_a_record_that_is_no_video_is_told_by_what_it_lacks(record, message, tmp_path):
    path = one(tmp_path, RECORDS[0], record)
    with pytest.raises(ValueError, match=rf"one\.tfrecord, record at byte \d\d+: .*{message}"):
        load_youtube8m(path)
    with pytest.warns(UserWarning, match=message):
        assert load_youtube8m(path, on_error="skip").ids.tolist() == ["id0"]


@pytest.mark.parametrize(
    ("audio", "message"),
    [(np.zeros(100), r"`mean_audio` has 100 numbers"), (np.full(128, np.nan), r"holds NaN")],
)
def test_means_that_are_no_numbers_raise(audio, message, tmp_path):
    path = one(tmp_path, video_record("x", [1], MEANS | {"audio": audio}))
    with pytest.raises(ValueError, match=message):
        load_youtube8m(path, level="video")


def test_bytes_of_another_format_raise(tmp_path):
    write_records(tmp_path / "a", [b"\xff" * 30])
    with pytest.raises(ValueError, match=r"byte 0: it is no Example or SequenceExample"):
        load_youtube8m(tmp_path / "a")


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_records_of_the_other_level_raise_and_name_it(path, tmp_path, on_error):
    with pytest.raises(ValueError, match=r'it holds frames; read it with level="frame"'):
        load_youtube8m(path, level="video", on_error=on_error)
    means = one(tmp_path, video_record("x", [1], MEANS))
    with pytest.raises(ValueError, match=r'no frames; read it with level="video"'):
        load_youtube8m(means, on_error=on_error)


def test_videos_without_frames_are_too_short_for_any_duration(tmp_path):
    path = one(tmp_path, frame_record("x", [1], frames(0)), RECORDS[0])
    assert load_youtube8m(path, duration=(1, 9)).ids.tolist() == ["id0"]


def test_a_video_that_comes_again_is_told_with_both_places(path, tmp_path):
    again = one(tmp_path, RECORDS[0], frame_record("id1", [1], frames(2)))
    first, second = (read_places(each)[1] for each in (path, again))
    message = rf"one\.tf.* at byte {second}: video 'id1' came before, in .*a\.tf.* byte {first}\."
    with pytest.raises(ValueError, match=message):
        load_youtube8m([path, again], labels=[1, 3])
    with pytest.warns(UserWarning, match=r"2 record\(s\)"):
        assert len(load_youtube8m([path, again], on_error="skip").ids) == 4


def test_videos_without_id_are_no_repetition(tmp_path):
    path = one(tmp_path, frame_record("", [1], frames(1)), frame_record("", [1], frames(2)))
    assert load_youtube8m(path).ids.tolist() == ["", ""]


def test_missing_protobuf_names_the_cure(path, monkeypatch):
    _messages.cache_clear()
    for name in ("message", "descriptor_pb2"):
        monkeypatch.setitem(sys.modules, f"google.protobuf.{name}", None)
    with pytest.raises(ImportError, match=r"google\.protobuf.* pip install skcca\[youtube8m\]"):
        load_youtube8m(path)
