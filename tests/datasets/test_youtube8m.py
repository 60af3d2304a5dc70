"""YouTube-8M: records that another library wrote, the choice of videos, and what cannot be used."""

import gzip
import os
import re
import tracemalloc

import numpy as np
import pytest
from _data import WIDTHS, frame_record, frames, video_record, write
from tfrecord.reader import tfrecord_loader

from skcca.datasets import (
    _tfrecord,
    dequantize_features,
    iter_youtube8m,
    load_youtube8m,
    write_youtube8m,
)
from skcca.datasets._tfrecord import write_records
from skcca.datasets._youtube8m_records import _messages

LENGTHS = (3, 1, 6, 2)
LABELS = ([14], [3, 14], [14, 7], [5])
VIDEOS = [frames(length, seed) for seed, length in enumerate(LENGTHS)]
RECORDS = [
    frame_record(f"id{i}", *video) for i, video in enumerate(zip(LABELS, VIDEOS, strict=True))
]
MEANS = [{name: view.mean(axis=0) / 100 for name, view in video.items()} for video in VIDEOS]


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "a.tfrecord", *RECORDS)
    return tmp_path / "a.tfrecord"


def assert_same(data, expected):
    assert data.ids.tolist() == expected.ids.tolist()
    for name in ("audio", "rgb", "labels"):
        for found, wanted in zip(data[name], expected[name], strict=True):
            np.testing.assert_array_equal(found, wanted)
            assert found.dtype == wanted.dtype


# What another library wrote, and what it reads


def test_frames_of_another_library_are_read(path):
    data = load_youtube8m(path, dtype="uint8")
    for name, width in WIDTHS.items():
        for found, video in zip(data[name], VIDEOS, strict=True):
            assert found.shape == (len(video[name]), width)
            np.testing.assert_array_equal(found, video[name])
    assert data.ids.tolist() == ["id0", "id1", "id2", "id3"]
    assert [labels.tolist() for labels in data.labels] == list(LABELS)
    assert (data.n_read, data.n_skipped, data.label_names) == (4, 0, {})


def test_means_of_another_library_are_read(tmp_path):
    records = [video_record(f"id{i}", LABELS[i], MEANS[i]) for i in range(4)]
    write(tmp_path / "one", *records)
    data = load_youtube8m(tmp_path / "one", level="video")
    for name, width in WIDTHS.items():
        assert data[name].shape == (4, width)
        assert data[name].dtype == np.float32
        np.testing.assert_allclose(data[name], [mean[name] for mean in MEANS], rtol=1e-6)


def test_another_library_reads_the_frames_that_are_written(tmp_path):
    audio, rgb = ([video[name] for video in VIDEOS] for name in WIDTHS)
    write_youtube8m(tmp_path / "b", audio, rgb, labels=LABELS, ids=list("wxyz"))
    kinds = ({"id": "byte", "labels": "int"}, dict.fromkeys(WIDTHS, "byte"))
    read = tfrecord_loader(str(tmp_path / "b"), None, kinds[0], sequence_description=kinds[1])
    for i, (context, rows) in enumerate(read):
        assert context["id"] == b"wxyz"[i : i + 1]
        assert context["labels"].tolist() == LABELS[i]
        for name, view in VIDEOS[i].items():
            assert rows[name] == [row.tobytes() for row in view]
    assert i == 3


def test_another_library_reads_the_means_that_are_written(tmp_path):
    audio, rgb = ([mean[name] for mean in MEANS] for name in WIDTHS)
    write_youtube8m(tmp_path / "b", audio, rgb, labels=LABELS)
    kinds = {"id": "byte", "labels": "int", "mean_audio": "float", "mean_rgb": "float"}
    read = list(tfrecord_loader(str(tmp_path / "b"), None, kinds))
    assert [each["id"] for each in read] == [b"video0", b"video1", b"video2", b"video3"]
    np.testing.assert_allclose([each["mean_audio"] for each in read], audio, rtol=1e-6)
    np.testing.assert_allclose([each["mean_rgb"] for each in read], rgb, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS[:3]}, r"as many entries are needed of each; got .*'labels': 3"),
        ({"audio": [np.zeros((3, 128))]}, r"`audio\[0\]` has shape \(3, 128\) and dtype float64"),
        ({"rgb": [np.zeros((3, 128), np.uint8)]}, r"expected \(T, 1024\) of uint8 or \(1024,\)"),
        ({"rgb": [np.zeros((2, 1024), np.uint8)]}, r"video 0 has shape \(3, 128\) in `audio` and"),
        ({"rgb": [np.zeros((0, 1024), np.uint8)]}, r"`rgb\[0\]` has .* not empty"),
        ({"audio": [np.full(128, np.nan)]}, r"`audio\[0\]` holds NaN, infinity, or more than"),
        ({"rgb": [np.full(1024, 1e300)], "audio": [np.ones(128)]}, r"`rgb\[0\]` holds NaN"),
        ({"labels": [[1.7]]}, r"`labels\[0\]`=\[1.7\] must be a sequence of integers from 0 on"),
        ({"labels": [[-1]]}, r"`labels\[0\]`=\[-1\]"),
        ({"labels": [[2**63]]}, r"`labels\[0\]`=\[9223372036854775808\]"),
        ({"labels": [[True]]}, r"`labels\[0\]`=\[True\]"),
        ({"labels": ["14"]}, r"`labels\[0\]`='14'"),
        ({"labels": [14]}, r"`labels\[0\]`=14"),
        ({"ids": [3]}, r"`ids\[0\]`=3 must be a text"),
        ({name: [view] * 2 for name, view in VIDEOS[0].items()}
         | {"labels": [[1]] * 2, "ids": ["a", "a"]}, r"`ids\[1\]`='a' .* no other video has"),
        ({name: [view, view.mean(axis=0)] for name, view in VIDEOS[0].items()}
         | {"labels": [[1]] * 2}, "frames or means; video 1 has the other"),
    ],
)  # fmt: skip
def test_what_would_not_be_read_is_not_written(changes, message, tmp_path):
    (tmp_path / "b").write_text("old")
    videos = {name: [view] for name, view in VIDEOS[0].items()} | {"labels": [[1]]} | changes
    with pytest.raises(ValueError, match=message):
        write_youtube8m(tmp_path / "b", **videos)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def varint(number, padded=False):
    """Return protobuf's variable-length integer, a byte longer than needed on demand."""
    groups = [number >> 7 * i & 127 for i in range((number.bit_length() + 6) // 7 + padded)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def test_parts_of_a_message_are_joined_and_the_older_name_of_the_id_is_read(tmp_path):
    """Protobuf's rule: a message may come in parts, and concatenated messages are one."""
    record = _messages()["Record"]()
    record.context.feature["video_id"].bytes_list.value.append(b"old")
    parts = [record.SerializeToString()]
    for name, view in VIDEOS[0].items():
        record, lists = _messages()["Record"](), _messages()["FeatureLists"]()
        for row in view:
            # The length in two bytes where one would do: legal, and nobody writes it.
            strings = b"\x0a" + varint(len(row)) + row.tobytes()
            feature = b"\x0a" + varint(len(strings), padded=True) + strings
            lists.feature_list[name].feature.append(feature)
        record.feature_lists.append(lists.SerializeToString())
        parts.append(record.SerializeToString())
    write_records(tmp_path / "b", [b"".join(parts)])
    data = load_youtube8m(tmp_path / "b", dtype="uint8")
    assert data.ids.tolist() == ["old"]
    np.testing.assert_array_equal(data.rgb[0], VIDEOS[0]["rgb"])
    np.testing.assert_array_equal(data.audio[0], VIDEOS[0]["audio"])
    data.rgb[0][0, 0] = 1  # as other frames, they can be written to


# Numbers, order, memory


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bytes_become_the_numbers_of_the_data_set(path, dtype):
    data = load_youtube8m(path, dtype=dtype)
    for name in WIDTHS:
        for found, video in zip(data[name], VIDEOS, strict=True):
            assert found.dtype == dtype
            np.testing.assert_array_equal(found, dequantize_features(video[name]).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_frames_can_be_written_to(path, dtype):
    data = load_youtube8m(path, dtype=dtype, n_jobs=2)
    data.audio[0][0, 0] = 1
    data.rgb[0][0, 0] = 1


def test_one_by_one_and_by_two_threads_the_videos_are_the_same(tmp_path, monkeypatch):
    for name, start in (("b", 2), ("a", 0)):
        write(tmp_path / f"{name}.tfrecord", *RECORDS[start : start + 2])
    pattern = str(tmp_path / "*.tfrecord")
    whole = load_youtube8m(pattern)
    assert whole.ids.tolist() == ["id0", "id1", "id2", "id3"]  # files by name
    for batch, n_jobs in ((1, 1), (1, 2), (5_000, 2)):
        monkeypatch.setattr(_tfrecord, "BATCH", batch)
        assert_same(load_youtube8m(pattern, n_jobs=n_jobs), whole)
    for i, video in enumerate(iter_youtube8m(pattern, n_jobs=2)):
        assert video.id == whole.ids[i]
        np.testing.assert_array_equal(video.rgb, whole.rgb[i])
        np.testing.assert_array_equal(video.labels, whole.labels[i])


def test_files_are_read_when_they_are_asked_for(path, tmp_path):
    (tmp_path / "b.tfrecord").write_bytes(b"damaged")
    videos = iter_youtube8m([path, tmp_path / "b.tfrecord"])
    assert [next(videos).id for _ in range(4)] == ["id0", "id1", "id2", "id3"]
    with pytest.raises(ValueError, match=r"b\.tfrecord, record at byte 0"):
        next(videos)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_memory_does_not_grow_with_the_file(tmp_path, compressed, n_jobs, monkeypatch):
    monkeypatch.setattr(_tfrecord, "BATCH", 1 << 16)
    video = frames(60)
    views = ([video[name]] * 100 for name in WIDTHS)
    write_youtube8m(tmp_path / "a", *views, labels=[[1]] * 100)
    size = (tmp_path / "a").stat().st_size
    if compressed:
        (tmp_path / "a").write_bytes(gzip.compress((tmp_path / "a").read_bytes(), 1))
    tracemalloc.start()
    try:
        assert sum(1 for _ in iter_youtube8m(tmp_path / "a", dtype="uint8", n_jobs=n_jobs)) == 100
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 4  # raw records of a batch and their frames


def test_progress_is_shown_on_demand(path, capfd):
    load_youtube8m(path)
    assert capfd.readouterr().err == ""
    load_youtube8m(path, verbose=1)
    shown = capfd.readouterr().err
    assert "load_youtube8m [########################] 1/1" in shown
    assert "4 of 4 videos" in shown


# Which videos


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"labels": 14}, "012"),
        ({"labels": [3, 5]}, "13"),
        ({"labels": 14, "only_labels": True}, "0"),
        ({"labels": [3, 14], "only_labels": True}, "01"),
        ({"duration": (2, 3)}, "03"),
        ({"labels": np.array([14]), "duration": (1, 1)}, "1"),
        ({"max_videos": 2}, "01"),
        ({"labels": [7, 5], "max_videos": 1}, "2"),
    ],
)
def test_videos_are_chosen_by_labels_length_and_number(path, options, expected):
    assert load_youtube8m(path, **options).ids.tolist() == [f"id{i}" for i in expected]


@pytest.mark.parametrize("header", ["Index,TrainVideoCount,Name", "label_id,count,label_name"])
def test_names_of_labels_come_from_the_vocabulary(path, tmp_path, header):
    vocabulary = tmp_path / "vocabulary.csv"
    # A spreadsheet marks its UTF-8.
    encoding = "utf-8-sig" if header.startswith("Index") else "utf-8"
    vocabulary.write_text(f'{header}\n14,9,Music video\n3,8,"Concert, live"\n', encoding=encoding)
    options = {"vocabulary": vocabulary, "only_labels": True}
    assert load_youtube8m(path, labels="music video", **options).ids.tolist() == ["id0"]
    data = load_youtube8m(path, labels=["Music video", "Concert, live"], **options)
    assert data.ids.tolist() == ["id0", "id1"]
    assert data.label_names == {14: "Music video", 3: "Concert, live"}


@pytest.mark.parametrize(
    ("content", "labels", "message"),
    [
        ("Index,Name\n1,Music video", "Music vidio", r"no label 'Music vidio' \(did you mean 'Mus"),
        ("Index,Name\n1,Game\n2,game", "Game", r"'Game' is the name of the labels \[1, 2\]"),
        ("Number,Title\n1,Game", "Game", r"v\.csv has the columns number, title; expected Index"),
        ("", "Game", r"v\.csv has the columns none"),
        ("Index,Name\n1,Game\nx,Car", "Car", r"v\.csv, line 3: \['x', 'Car'\] has no label"),
        ("Index,Name\n1", "Car", r"v\.csv, line 2"),
    ],
)
def test_vocabulary_without_the_name_says_what_it_has(content, labels, message, path, tmp_path):
    (tmp_path / "v.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_youtube8m(path, labels=labels, vocabulary=tmp_path / "v.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 99}, r"no video is left of 4 in 1 file\(s\); 0 have a label of \[99\]\."),
        (
            {"labels": 14, "only_labels": True, "duration": (7, 9)},
            r"1 have a label of \[14\] and no other; none of these lasts 7 to 9 s",
        ),
        ({"duration": (7, 9)}, r"of 4 in 1 file\(s\); none lasts 7 to 9 s"),
        ({"level": "frames"}, r"The 'level' parameter of load_youtube8m must be"),
        ({"dtype": "int8"}, r"The 'dtype' parameter"),
        ({"on_error": "warn"}, r"The 'on_error' parameter"),
        ({"max_videos": 0}, r"The 'max_videos' parameter"),
        ({"n_jobs": 1.5}, r"The 'n_jobs' parameter"),
        ({"only_labels": True}, r"`only_labels` needs `labels`"),
        ({"labels": []}, r"`labels` is empty; leave it out"),
        ({"labels": [-1]}, r"label -1 must be a number from 0 on"),
        ({"labels": 1.5}, r"label 1\.5 must be a number"),
        ({"labels": "Music video"}, r"'Music video' is a name.*give its vocabulary\.csv"),
        ({"duration": 216}, r"`duration`=216 must be two integers"),
        ({"duration": (9, 7)}, r"`duration`=\(9, 7\)"),
        ({"duration": (1.0, 7)}, r"`duration`=\(1\.0, 7\)"),
        ({"level": "video", "dtype": "uint8"}, r"means are stored as floats"),
        ({"level": "video", "duration": (1, 2)}, r'`duration` needs level="frame"'),
    ],
)
def test_choice_out_of_range_or_without_videos_raises(options, message, path):
    with pytest.raises(ValueError, match=message):
        load_youtube8m(path, **options)


def test_parameters_are_checked_before_the_first_video_is_asked_for(path):
    with pytest.raises(ValueError, match=r"iter_youtube8m: `only_labels` needs `labels`"):
        iter_youtube8m(path, only_labels=True)


# Files


def test_a_path_with_brackets_is_no_pattern(path, tmp_path):
    path.rename(tmp_path / "a[1].tfrecord")
    assert len(load_youtube8m(tmp_path / "a[1].tfrecord").ids) == 4


def test_a_file_that_is_named_twice_is_read_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Videos without an id cannot be told apart.
    write("a.tfrecord", *(frame_record("", [1], frames(2)) for _ in range(3)))
    os.symlink("a.tfrecord", "b.tfrecord")
    names = ["*.tfrecord", "a.tfrecord", tmp_path / "a.tfrecord", "./?.tfrecord", "b.tfrecord"]
    assert len(load_youtube8m(names).ids) == 3
    with open("a.tfrecord", "rb") as file:
        assert len(load_youtube8m([file, file]).ids) == 3
        with pytest.raises(ValueError, match=r"a\.tfrecord, record at byte 0: the file is empty"):
            load_youtube8m(file)
    write("a.tfrecord", frame_record("same", [1], frames(2)))
    with open("a.tfrecord", "rb") as file, pytest.raises(ValueError, match="'same' came before"):
        load_youtube8m(["a.tfrecord", file])
    with open("a.tfrecord") as file, pytest.raises(TypeError, match="opened in binary mode"):
        load_youtube8m(file)


def test_paths_that_lead_nowhere_raise(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no file is 'b\*' in {re.escape(str(tmp_path))}"):
        load_youtube8m("b*")
    with pytest.raises(FileNotFoundError, match=r"no file is .*missing"):
        load_youtube8m([path, tmp_path / "missing"])
    with pytest.raises(IsADirectoryError, match=r"is a folder; name its files: '.*\*\.tfrecord'"):
        load_youtube8m(tmp_path)
    with pytest.raises(ValueError, match="`path` is an empty list"):
        load_youtube8m([])
    with pytest.raises(TypeError, match="`path` is a int"):
        load_youtube8m(3)
    with pytest.raises(FileNotFoundError, match=r"`vocabulary`='v\.csv' is no file"):
        load_youtube8m(path, vocabulary="v.csv")
