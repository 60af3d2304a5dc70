"""Trees of tensors and plain values in a file, and files that are none of those."""

import functools
import io
import json
import math
import os
import pickle
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from _data import HEARD, SONGS, as_objects, forgeries, read_only, two_views
from _models import MODELS
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skcca import CCA, DCCA, ChunkSelector, CrossModalRetriever
from skcca._core import files
from skcca._core.files import load_tree, save_tree
from skcca.datasets import load_youtube8m, write_youtube8m
from skcca.datasets._files import Array, DataFile

X, Y, y = two_views(40)


def assert_same(found, expected):
    """Equal in value, type, dtype and shape, all the way down."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        assert [type(key) for key in found] == [type(key) for key in expected]
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    elif isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found, expected)
    else:
        assert repr(found) == repr(expected)  # NaN is NaN, -0.0 is not 0.0


TREES = {
    "plain values": [None, True, False, 0, -3, 1.5, "", "naïve \u2028 \ud800", 0.1 + 0.2],
    "floats that are not finite": [math.nan, math.inf, -math.inf, -0.0],
    "big integers": {"seed": 2**130, "least": -(2**64)},
    "keys": {1: "int", "1": "str", None: 0, True * 2: "two", (1, "a"): [], 0.5: {}},
    "keys that look like the format": {"dict": {"tensor": "0"}, "list": {"array": "x"}},
    "empty containers": [{}, [], (), {"a": ({},)}],
    "nested": {"a": [(1, [2, {"b": (3.0,)}])]},
    "strings": [np.array(["calm", "ecstatic"]), np.array([["a", "bb"]]), np.array("word")],
    "no strings": np.empty((0, 3), dtype="U5"),
    "objects": [
        as_objects(["calm", "longer"]),
        as_objects([None, 3, 2.5]),
        as_objects([[1, 2], [3, 4]]),
    ],
    "bools": [np.array([True, False]), torch.tensor([[True], [False]])],
    "arrays": [
        np.arange(6, dtype=dtype).reshape(2, 3)
        for dtype in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]
    ],
    "array without dimensions": [np.array(3.5), torch.tensor(2), torch.tensor(2.5)],
    "empty arrays": [np.empty((0, 4)), torch.empty(3, 0), np.empty(0, dtype=bool)],
    "arrays of any layout": [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(12.0)[::-3],
        read_only(np.arange(3.0)),
        np.broadcast_to(np.float32(2), (4,)),
    ],
    "arrays that are not finite": np.array([math.nan, -math.inf, -0.0]),
    "tensors": [torch.arange(4).to(dtype) for dtype in (torch.float16, torch.bfloat16)]
    + [torch.arange(4).to(dtype) for dtype in (torch.float32, torch.float64, torch.int64)],
    "tensors of any layout": [torch.arange(12.0).reshape(3, 4).T, torch.ones(1).expand(3)],
    "dtypes": [torch.float32, torch.bfloat16, torch.int64],
}


@pytest.mark.parametrize("name", TREES)
def test_what_is_read_is_what_was_written(name, tmp_path):
    save_tree(tmp_path / "tree", TREES[name])
    assert_same(load_tree(tmp_path / "tree", torch), TREES[name])
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_numpy_scalars_come_back_as_those_of_python(tmp_path):
    scalars = [np.float32(0.5), np.float64(0.1), np.int64(7), np.bool_(True), np.str_("a")]
    save_tree(tmp_path / "tree", scalars)
    assert_same(load_tree(tmp_path / "tree", torch), [0.5, 0.1, 7, True, "a"])


def test_arrays_of_the_other_byte_order_come_back_in_this_one(tmp_path):
    save_tree(tmp_path / "tree", np.arange(3.0).astype(">f8"))
    assert_same(load_tree(tmp_path / "tree", torch), np.arange(3.0))


def test_shared_memory_is_written_out(tmp_path):
    base = torch.arange(6.0)
    save_tree(
        tmp_path / "tree", {"a": base, "again": base, "part": base[2:], "numpy": base.numpy()}
    )
    found = load_tree(tmp_path / "tree", torch)
    assert_same(found["part"], torch.arange(2.0, 6.0))
    found["a"][0] = 9
    assert found["again"][0] == 0


def test_parameters_come_back_without_a_graph(tmp_path):
    save_tree(tmp_path / "tree", nn.Parameter(torch.ones(2)))
    found = load_tree(tmp_path / "tree", torch)
    assert type(found) is torch.Tensor
    assert not found.requires_grad


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "SGD", "LBFGS"])
def test_optimizers_continue_from_a_file(name, tmp_path):
    def steps(network, optimizer, count):
        for _ in range(count):

            def closure():
                optimizer.zero_grad()
                loss = network(torch.ones(4, 3)).square().sum()
                loss.backward()
                return loss

            optimizer.step(closure)
        return [p.detach().clone() for p in network.parameters()]

    def start():
        network = nn.Linear(3, 2)
        for p in network.parameters():
            nn.init.constant_(p, 0.3)
        return network, getattr(torch.optim, name)(network.parameters(), lr=0.01)

    network, optimizer = start()
    steps(network, optimizer, 2)
    save_tree(tmp_path / "tree", [network.state_dict(), optimizer.state_dict()])
    expected = steps(network, optimizer, 2)
    network, optimizer = start()
    weights, state = load_tree(tmp_path / "tree", torch)
    network.load_state_dict(weights)
    optimizer.load_state_dict(state)
    assert_same(steps(network, optimizer, 2), expected)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, np.longdouble(1), lambda: 0, as_objects([object()])]
)
def test_what_only_pickle_could_hold_is_refused(value, tmp_path):
    with pytest.raises(TypeError, match="use pickle for it"):
        save_tree(tmp_path / "tree", {"a": [value]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.longdouble, "datetime64[s]"])
def test_arrays_that_torch_does_not_know_are_refused(dtype, tmp_path):
    with pytest.raises(TypeError):
        save_tree(tmp_path / "tree", np.zeros(2, dtype=dtype))


class Trap:
    """Unpickling it would raise an error of its own."""

    def __reduce__(self):
        return exec, ("raise SystemExit('code of a file was run')",)


def header(text):
    return lambda path: save_file({"0": torch.ones(1)}, path, metadata={"skcca": text})


FOREIGN = {
    "safetensors of others": lambda path: save_file({"a": torch.ones(1)}, path),
    "header that is no JSON": header("{"),
    "header of another tree": header('{"set": [1]}'),
    "empty node": header("{}"),
    "list that is none": header('{"list": 3}'),
    "tensor that is not there": header('{"tensor": "1"}'),
    "dtype that is a function": header('{"dtype": "torch.load"}'),
    "dtype that is none": header('{"dtype": "torch.none"}'),
    "strings of a wrong shape": header('{"strings": ["a"], "kind": "<U1", "shape": [2]}'),
    "strings that are numbers": header('{"strings": [1], "kind": "<f8", "shape": [1]}'),
    "size that is no number": lambda path: path.write_bytes(
        (100).to_bytes(8, "little")
        + b'{"__metadata__":{"skcca":"1"},"0":{"dtype":"U8","shape":["1"],'.ljust(72)
        + b'"data_offsets":[0,1]}}'.ljust(28)
        + b"1"
    ),
    "key that is a list": header('{"dict": [[{"list": []}, 1]]}'),
    "endless nesting": header('{"list": [' * 20000 + "]}" * 20000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_others_are_refused_by_name_and_run_nothing(name, tmp_path):
    path = tmp_path / "strange.model"
    FOREIGN[name](path)
    with pytest.raises(ValueError, match=r"strange\.model' is not a whole file that skcca wrote"):
        load_tree(path, torch)


def test_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tree(tmp_path / "none", torch)


def test_values_beyond_the_header_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_HEADER", 1000)
    with pytest.raises(ValueError, match=r"take \d+ bytes; a file holds 1000"):
        save_tree(tmp_path / "tree", "a" * 1000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("texts", "width", "expected"),
    [
        (["a", "bc"], 500_000_000, np.array(["a", "bc"])),
        # One long text among short ones, which numpy would all make as long.
        (["a"] * 5000 + ["b" * 5000], 5000, as_objects(["a"] * 5000 + ["b" * 5000])),
    ],
)
def test_a_width_of_strings_fills_no_memory(tmp_path, texts, width, expected):
    values = {"strings": texts, "kind": f"<U{width}", "shape": [len(texts)]}
    write_version_1(tmp_path / "tree", values, **{"0": torch.ones(1)})
    assert_same(load_tree(tmp_path / "tree", torch), expected)


def test_other_readers_of_the_format_read_the_file(tmp_path):
    tree = [torch.arange(3, dtype=torch.uint8), torch.ones(2, 3).bfloat16(), np.arange(3.0)]
    save_tree(tmp_path / "tree", tree)
    found = load_file(tmp_path / "tree")
    assert_same(
        [found[name] for name in "012"], [tree[0], tree[1], torch.arange(3, dtype=torch.float64)]
    )


def test_a_later_version_is_refused_by_both_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FORMAT", 3)
    save_tree(tmp_path / "tree", {"a": 1})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"version 3 of the format .* reads versions 1 to 2"):
        load_tree(tmp_path / "tree", torch)


# Every writer and every reader


class Kind(NamedTuple):
    """Kind of file: writes one, and returns what one gives."""

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]


DEEP = DCCA(2, x_hidden_layer_sizes=(3,), y_hidden_layer_sizes=(3,), max_epochs=1, random_state=0)
SONG_MODEL = ChunkSelector(2, hidden_size=2, max_epochs=1, random_state=0)
MEANS = [np.ones((4, width)) for width in (128, 1024)]
TABLE = DataFile("table", {"x": Array(("n", 3)), "names": Array((2,), "text")}, "")


def train(path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "DCCA: .* is continued after epoch 1 of 1")
        return clone(DEEP).set_params(checkpoint=path).fit(X, Y).transform(X)


def query(path, **options):
    return CrossModalRetriever.load(path, **options).query(X[:3], 2)


def add_items(path):
    CrossModalRetriever().add(X, ids=map(str, range(len(X)))).save(path)


SAVED = {
    "estimator": Kind(
        lambda path: clone(DEEP).fit(X, Y).save(path), lambda path: DCCA.load(path).transform(X)
    ),
    "selector": Kind(
        lambda path: clone(SONG_MODEL).fit(SONGS, HEARD).save(path),
        lambda path: np.concatenate(ChunkSelector.load(path).attention(SONGS)),
    ),
    "checkpoint": Kind(train, train),
    "gallery": Kind(add_items, partial(query, mmap=False)),
    "mapped gallery": Kind(add_items, query),
}
WRITTEN = SAVED | {
    "records": Kind(
        lambda path: write_youtube8m(path, *MEANS, labels=[[1]] * 4),
        lambda path: load_youtube8m(path, level="video").rgb,
    )
}
READ = WRITTEN | {
    "archive": Kind(
        lambda path: path.write_bytes(archive(x=np.ones((9, 3)), names=np.array(["a", "b"]))),
        lambda path: TABLE._replace(path=path.name).read(path.parent)["x"],
    ),
    "vocabulary": Kind(
        lambda path: path.write_text("Index,Name\n1,Game\n"),
        lambda path: load_youtube8m(__file__, labels="Game", vocabulary=path),
    ),
}


def archive(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@functools.cache
def whole(name):
    """Return the content of a file of a kind, and what it gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        READ[name].write(path)
        content = path.read_bytes()
        return content, None if name == "vocabulary" else READ[name].read(path)


@pytest.mark.parametrize("n", [30, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SAVED)
def test_a_file_with_another_bit_is_refused_or_gives_the_same(name, n, tmp_path):
    content, expected = whole(name)
    for bit in np.random.default_rng(n).choice(8 * len(content), n, replace=False):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / "file").write_bytes(changed)
        try:
            found = SAVED[name].read(tmp_path / "file")
        except ValueError as error:
            found = str(error)
        if isinstance(found, str):
            assert str(tmp_path / "file") in found
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", READ)
def test_cut_and_foreign_files_are_refused_by_name(name, tmp_path):
    content, _ = whole(name)
    rng = np.random.default_rng(0)
    cut = [content[:end] for end in np.linspace(0, len(content) - 1, 12).astype(int)]
    heads = [rng.bytes(size) + content[size:] for size in (1, 8, 9, 40)]
    lengths = [size.to_bytes(8, "little") + content[8:] for size in (0, 1, 2**20, 2**63)]
    foreign = [rng.bytes(500), bytes(500), pickle.dumps(Trap()), archive(x=np.eye(3)), b"\xff" * 9]
    for bad in [*(cut if name != "vocabulary" else cut[:1]), *heads, *lengths, *foreign]:
        (tmp_path / "file").write_bytes(bad)
        with pytest.raises(ValueError, match=re.escape(str(tmp_path / "file"))):
            READ[name].read(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "load"),
    [("estimator", DCCA.load), ("selector", ChunkSelector.load), ("checkpoint", train)],
)
def test_forged_values_are_refused_by_name(name, load, tmp_path):
    (tmp_path / "file").write_bytes(whole(name)[0])
    contents = files.read(tmp_path / "file", files.MODEL)
    width = {"strings": ["a"], "kind": "<U200000000", "shape": [1]}
    values = [None, 10**9, 2**70, "no", {"list": []}, {"tensor": "0"}, {"array": "none"}, width]
    every = list(forgeries(contents.values, values))
    for i in np.random.default_rng(0).choice(len(every), 150, replace=False):
        files.write(tmp_path / "file", contents._replace(values=every[i]))
        try:
            load(tmp_path / "file")
        except ValueError as error:
            message = str(error)
            assert str(tmp_path / "file") in message


@pytest.mark.skipif(os.name != "posix", reason="needs permissions and links of POSIX")
@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_is_replaced_as_if_it_were_overwritten(name, tmp_path):
    before = os.umask(0o027)
    try:
        first, old, link = (tmp_path / name for name in ("first", "old", "link"))
        WRITTEN[name].write(first)
        old.write_bytes(whole(name)[0])
        old.chmod(0o604)
        link.symlink_to(old)
        for neighbour in ("link.part", ".link.part", "old.part", "old.tmp"):
            (tmp_path / neighbour).write_text("mine")
        WRITTEN[name].write(link)
    finally:
        os.umask(before)
    assert first.stat().st_mode & 0o777 == 0o640
    assert old.stat().st_mode & 0o777 == 0o604
    assert link.is_symlink()
    np.testing.assert_array_equal(WRITTEN[name].read(old), whole(name)[1])
    assert [
        path.read_text() for path in tmp_path.iterdir() if path.suffix in (".part", ".tmp")
    ] == (["mine"] * 4)
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
@pytest.mark.parametrize("name", WRITTEN)
def test_no_file_takes_the_place_of_something_else(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for other in ("pipe", "folder", "loop", "none/file", "a" * 300, "\0"):
        with pytest.raises(ValueError, match=re.escape(repr(str(tmp_path / other)))):
            WRITTEN[name].write(tmp_path / other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "loop", "pipe"]


@pytest.mark.parametrize("name", sorted(WRITTEN.keys() - {"checkpoint"}))
def test_a_full_disk_is_told_with_the_name_and_leaves_the_old_file(name, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    WRITTEN[name].write(path)
    content, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            WRITTEN[name].write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_and_two_readers_of_one_path_meet_no_half_file(tmp_path):
    path = tmp_path / "tree"
    trees = [{"writer": i, "values": np.full(20_000, i)} for i in range(2)]
    save_tree(path, trees[0])
    with ThreadPoolExecutor(4) as pool:
        writing = [
            pool.submit(lambda tree: [save_tree(path, tree) for _ in range(60)], tree)
            for tree in trees
        ]

        def read():
            while not all(writer.done() for writer in writing):
                found = load_tree(path, torch)
                assert (found["values"] == found["writer"]).all()

        for task in [*writing, *(pool.submit(read) for _ in trees)]:
            task.result()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["CCA", "KCCA", "ClusterCCA", "ClusterKCCA", "Pipeline"])
def test_models_without_networks_pass_through_skops(name):
    """As the guide says; skops is no requirement of the tests, which do without it."""
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    model = (MODELS | {"Pipeline": make_pipeline(StandardScaler(), CCA(2))})[name]
    model = clone(model).fit(X, Y, **({} if name == "Pipeline" else {"labels": y}))
    content = skops.dumps(model)
    types = skops.get_untrusted_types(data=content)
    assert {each.split(".")[0] for each in types} == {"skcca"}
    loaded = skops.loads(content, trusted=types)
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


@pytest.mark.parametrize("claimed", [0, 24 * 10**12], ids=["array", "array and member"])
def test_an_archive_that_claims_terabytes_takes_no_memory(claimed, tmp_path):
    header = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "table", "w") as file:
        file.writestr("x.npy", header.getvalue())
        file.writestr("names.npy", b"")
        file.getinfo("x.npy").file_size += claimed
    with pytest.raises(ValueError, match=r"table cannot be read: x\.npy .* bytes"):
        TABLE.read(tmp_path)


# Version 1: the JSON of the tree under one key, tensors as the safetensors library wrote them


def write_version_1(path, values, **tensors):
    save_file(tensors, path, metadata={"skcca": json.dumps(values)})


def test_trees_of_version_1_are_read(tmp_path):
    values = {"dict": [
        ["estimator", "DCCA"],
        ["layers", {"tuple": [{"list": [8, 4]}, None]}],
        [{"tuple": [1, "a"]}, {"array": "0"}],
        ["weights", {"dict": [["bias", {"tensor": "1"}], ["half", {"tensor": "2"}]]}],
        ["dtype", {"dtype": "torch.float32"}],
        ["classes", {"strings": ["a", "bb"], "kind": "<U2", "shape": [2]}],
    ]}  # fmt: skip
    half = torch.tensor([1.5, -2.0]).bfloat16()
    tensors = {"0": torch.tensor([True, False]), "1": torch.arange(3.0), "2": half}
    write_version_1(tmp_path / "tree", values, **tensors)
    expected = {
        "estimator": "DCCA",
        "layers": ([8, 4], None),
        (1, "a"): np.array([True, False]),
        "weights": {"bias": torch.arange(3.0), "half": half},
        "dtype": torch.float32,
        "classes": np.array(["a", "bb"]),
    }
    assert_same(load_tree(tmp_path / "tree", torch), expected)


def test_models_of_version_1_are_read(tmp_path):
    model = DCCA(2, x_hidden_layer_sizes=(5,), max_epochs=1, random_state=0).fit(X, Y)
    model.save(tmp_path / "new")
    contents = files.read(tmp_path / "new", files.MODEL)
    tensors = {name: torch.from_numpy(array) for name, (array,) in contents.arrays.items()}
    write_version_1(tmp_path / "old", contents.values, **tensors)
    loaded = DCCA.load(tmp_path / "old")
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


@pytest.mark.parametrize("model", [DCCA, ChunkSelector, CrossModalRetriever])
def test_what_is_no_path_is_no_fault_of_a_file(model):
    with pytest.raises(TypeError, match=r"expected str, bytes or os\.PathLike object"):
        model.load(None)
