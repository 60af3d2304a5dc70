"""MV-10K: the rule of the paper's Table I, and a folder that is right, or refused."""

import json
from functools import partial

import numpy as np
import pytest
from _data import flip, forgeries, frame_record, frames, write
from _interrupt import interrupt

from skcca.datasets import _mv10k, build_mv10k, load_youtube8m
from skcca.datasets._array_folder import _json_checksum

MUSIC = 14


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two files with videos of 203 to 229 seconds; some have other labels, or another too."""
    folder = tmp_path_factory.mktemp("records")
    records = [
        frame_record(f"{labels[-1]}-{length}", labels, still(length))
        for length in range(203, 230)
        for labels in ([MUSIC], [MUSIC, 3] if length % 2 else [5])
    ]
    write(folder / "a.tfrecord", *records[:30])
    write(folder / "b.tfrecord", *records[30:])
    return str(folder / "*.tfrecord")


@pytest.fixture
def small(tmp_path):
    """A file of its own, which may be damaged."""
    path = tmp_path / "records" / "a.tfrecord"
    path.parent.mkdir()
    write(path, *(frame_record(f"id{i}", [MUSIC], still(213 + i)) for i in range(3)))
    return path


def still(length):
    """Return a video whose frames are two in turn."""
    return {name: np.resize(view, (length, view.shape[1])) for name, view in frames(2).items()}


def build(path, folder, **options):
    return build_mv10k(path, folder, **{"label": MUSIC, "dtype": "uint8"} | options)


def assert_same(data, expected):
    assert data.ids.tolist() == expected.ids.tolist()
    for name in ("audio", "rgb"):
        assert len(data[name]) == len(expected.ids)
        for found, wanted in zip(data[name], expected[name], strict=True):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)


# The rule


@pytest.mark.parametrize(
    ("tolerance", "shortest", "longest"),
    [(3, 213, 219), (6, 210, 222), (9, 207, 225), (12, 204, 228), (0, 216, 216)],
)
def test_table_1_states_lengths_and_no_other_label(source, tmp_path, tolerance, shortest, longest):
    data = build(source, tmp_path / "mv", tolerance=tolerance)
    assert data.ids.tolist() == [f"14-{length}" for length in range(shortest, longest + 1)]
    assert [len(song) for song in data.audio] == list(range(shortest, longest + 1))
    assert (data.n_read, data.n_skipped, data.label) == (54, 0, MUSIC)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_folder_holds_what_is_loaded(source, tmp_path, dtype):
    loaded = load_youtube8m(
        source, labels=MUSIC, only_labels=True, duration=(213, 219), dtype=dtype
    )
    for _ in range(2):  # built, then read
        assert_same(build(source, tmp_path / "mv", dtype=dtype), loaded)
    assert_same(build(source, tmp_path / "two", dtype=dtype, n_jobs=2), loaded)


def test_name_of_the_label_comes_from_the_vocabulary(small, tmp_path):
    (tmp_path / "v.csv").write_text(f"Index,Name\n{MUSIC},Music video\n")
    data = build_mv10k(small, tmp_path / "mv", vocabulary=tmp_path / "v.csv")
    assert data.label == MUSIC
    assert data.audio[0].dtype == np.float32
    with pytest.raises(ValueError, match=r"'Music video' is a name"):
        build_mv10k(small, tmp_path / "mv")


def test_views_stay_on_the_disk(small, tmp_path):
    data = build(small, tmp_path / "mv")
    assert all(isinstance(view, np.memmap) for view in data.audio + data.rgb)
    with pytest.raises(ValueError, match="read-only"):
        data.audio[0][0, 0] = 1


# The folder


def test_second_call_reads_no_records(small, tmp_path, monkeypatch):
    first = build(small, tmp_path / "mv")
    monkeypatch.delattr(_mv10k, "VideoReader")
    assert_same(build(small, tmp_path / "mv"), first)
    small.unlink()
    assert_same(build(small, tmp_path / "mv"), first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 6}, r"was built with tolerance=3 and not 6\."),
        ({"label": 3, "dtype": "float16"}, r"label=14 and not 3, dtype='uint8' and not 'float16'"),
        ({"max_videos": 2}, r"max_videos=None and not 2"),
    ],
)
def test_folder_of_other_parameters_is_refused(small, tmp_path, options, message):
    before = build(small, tmp_path / "mv")
    with pytest.raises(ValueError, match=message + r".*overwrite=True"):
        build(small, tmp_path / "mv", **options)
    assert_same(build(small, tmp_path / "mv"), before)


def test_folder_of_other_files_is_refused(small, source, tmp_path):
    build(small, tmp_path / "mv")
    with pytest.raises(ValueError, match=r"from 1 file\(s\) of other names or sizes than the 2"):
        build(source, tmp_path / "mv")


def test_overwrite_builds_anew(small, tmp_path):
    build(small, tmp_path / "mv")
    data = build(small, tmp_path / "mv", overwrite=True, max_videos=2)
    assert data.ids.tolist() == ["id0", "id1"]
    assert_same(build(small, tmp_path / "mv", max_videos=2), data)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mv", "records"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_something_else_is_left_alone(small, tmp_path, overwrite):
    for names in (["letter.txt"], ["build_mv10k.json", "letter.txt"], ["audio.npy"]):
        place = tmp_path / "-".join(names)
        place.mkdir()
        for name in names:
            (place / name).write_text("mine")
        with pytest.raises(ValueError, match=rf"{place} holds something else \((letter|audio)"):
            build(small, place, overwrite=overwrite)
        assert {entry.read_text() for entry in place.iterdir()} == {"mine"}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="file is no folder"):
        build(small, tmp_path / "file", overwrite=overwrite)


def test_a_link_or_a_mount_is_built_in_place(small, tmp_path):
    """A mount cannot be renamed and holds files of its system; nothing leaves or enters it."""
    place, link = tmp_path / "mount", tmp_path / "link"
    (place / "lost+found").mkdir(parents=True)
    link.symlink_to(place)
    number = place.stat().st_ino
    for max_videos in (3, 2, 1):
        data = build(small, link, overwrite=True, max_videos=max_videos)
        assert_same(build(small, place, max_videos=max_videos), data)
        assert len(data.ids) == max_videos
        assert len(list(place.iterdir())) == 6
    assert (link.is_symlink(), place.stat().st_ino) == (True, number)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link", "mount", "records"]


def test_a_full_disk_is_told_with_the_folder_and_leaves_the_old_one(small, tmp_path):
    resource = pytest.importorskip("resource")
    before = build(small, tmp_path / "mv")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        for folder in (tmp_path / "mv", tmp_path / "new"):
            with pytest.raises(OSError, match="too large") as caught:
                build(small, folder, overwrite=True)
            assert caught.value.filename.startswith(str(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_same(build(small, tmp_path / "mv"), before)
    assert len(list((tmp_path / "mv").iterdir())) == 5
    assert not (tmp_path / "new").exists()


# A file that was opened and not yet bound is closed by the interpreter, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_build_leaves_the_old_folder_or_the_new_one(small, tmp_path):
    folder, n_videos, n_changes = tmp_path / "mv", 1, 0
    build(small, folder, max_videos=n_videos)
    n_steps = interrupt(lambda: build(small, folder, max_videos=1, overwrite=True), None)
    for at in np.linspace(0.7 * n_steps, n_steps, 80).astype(int):  # where files are moved
        other = 3 - n_videos
        interrupt(partial(build, small, folder, max_videos=other, overwrite=True), at)
        content = json.loads((folder / "build_mv10k.json").read_text())["content"]
        found = content["asked"]["max_videos"]
        assert len(build(small, folder, max_videos=found).ids) == found
        n_changes += found == other
        n_videos = found
    assert 10 < n_changes < 70
    build(small, folder, max_videos=2, overwrite=True)
    assert len([path for path in folder.iterdir() if path.suffix == ".npy"]) == 4


def test_an_open_file_has_no_size_to_remember(small, tmp_path):
    with small.open("rb") as file, pytest.raises(TypeError, match="give its path"):
        build(file, tmp_path / "mv")


def test_an_empty_folder_is_used(small, tmp_path):
    (tmp_path / "new" / "mv").mkdir(parents=True)
    assert len(build(small, tmp_path / "new" / "mv").ids) == 3
    assert len(build(small, tmp_path / "newer" / "mv").ids) == 3


@pytest.mark.parametrize("there", [False, True])
def test_a_build_that_fails_changes_nothing(small, tmp_path, there):
    folder = tmp_path / "mv"
    before = build(small, folder) if there else None
    whole = small.read_bytes()
    flip(small, len(whole) - 1)
    with pytest.raises(ValueError, match=r"build_mv10k: .*a\.tfrecord, record at byte \d\d+"):
        build(small, folder, overwrite=True)
    small.write_bytes(whole)
    with pytest.raises(ValueError, match=r"no video is left of 3 .* none of these lasts 216"):
        build(small, folder, tolerance=0, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "records"] == (
        ["mv"] if there else []
    )
    if there:
        assert_same(build(small, folder), before)


def test_records_left_out_are_told_at_every_call(small, tmp_path):
    flip(small, 100)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 record\(s\)"):
            data = build(small, tmp_path / "mv", on_error="skip")
        assert (data.ids.tolist(), data.n_skipped) == (["id1", "id2"], 1)
    with pytest.raises(ValueError, match=r'without 1 record\(s\).*on_error="skip" accepts'):
        build(small, tmp_path / "mv")


# Damage

DAMAGED = r"mv is damaged: .* Build it anew with overwrite=True"
FILES = ("build_mv10k.json", "audio.npy", "rgb.npy", "offsets.npy", "ids.npy")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_of_the_folder_is_found(small, tmp_path, name):
    folder = tmp_path / "mv"
    build(small, folder)
    path = folder / name
    size = path.stat().st_size
    for position in np.unique(np.linspace(0, size - 1, 200).astype(int)):
        flip(path, position, 1)
        with pytest.raises(ValueError, match=DAMAGED):
            build(small, folder)
        flip(path, position, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_folder_that_ends_early_or_is_gone_is_found(small, tmp_path, name):
    folder = tmp_path / "mv"
    build(small, folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=rf"mv is damaged: {name}"):
        build(small, folder, verify=False)
    path.unlink()
    with pytest.raises(ValueError, match=r"mv is damaged|holds something else"):
        build(small, folder)
    if name != "build_mv10k.json":  # by which a folder is known
        assert len(build(small, folder, overwrite=True).ids) == 3


def test_a_forged_description_is_refused_or_gives_the_same(small, tmp_path):
    expected = build(small, tmp_path / "mv")
    file = tmp_path / "mv" / "build_mv10k.json"
    content = json.loads(file.read_text())["content"]
    for forged in forgeries(content, [None, -1, 2**70, "../audio", [], {}, [[1, 2]]]):
        file.write_text(json.dumps({"content": forged, "crc32c": _json_checksum(forged)}))
        try:
            found = build(small, tmp_path / "mv")
        except ValueError as error:
            found = str(error)
        if isinstance(found, str):
            assert f"{tmp_path / 'mv'} " in found
        else:
            assert_same(found, expected)


def test_frames_are_verified_on_demand_and_places_always(source, tmp_path):
    folder = tmp_path / "mv"
    build(source, folder, tolerance=12, dtype="float32")  # more than a block
    flip(folder / "rgb.npy", 10_000)
    build(source, folder, tolerance=12, dtype="float32", verify=False)
    with pytest.raises(ValueError, match=r"rgb\.npy does not match its checksum"):
        build(source, folder, tolerance=12, dtype="float32")
    flip(folder / "rgb.npy", 10_000)
    flip(folder / "offsets.npy", 200)
    with pytest.raises(ValueError, match=r"offsets\.npy does not match its checksum"):
        build(source, folder, tolerance=12, dtype="float32", verify=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 216}, r"`tolerance`=216 must be an integer of seconds in \[0, 216\)"),
        ({"tolerance": 1.5}, r"`tolerance`=1.5"),
        ({"overwrite": 1}, r"`overwrite`=1 must be True or False"),
        ({"verify": "yes"}, r"`verify`='yes'"),
        ({"dtype": "int8"}, r"The 'dtype' parameter of build_mv10k"),
        ({"label": [1, 2]}, r"`label`=\[1, 2\] must be one label"),
        ({"label": None}, r"`label`=None must be one label"),
    ],
)
def test_parameters_out_of_range_raise_before_anything_is_read(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        build("nothing", tmp_path / "mv", **options)
