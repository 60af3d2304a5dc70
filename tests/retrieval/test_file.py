"""Files of retrievers: what they hold, what they refuse, and that they are never half written."""

import functools
import json
import os
import pickle
import re
import subprocess
import sys
import zlib

import numpy as np
import pytest
from _data import two_views
from _models import MODELS, SMALL
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcca import CCA, SupervisedDCCA
from skcca._core import files as gallery_file
from skcca.retrieval import CrossModalRetriever, _file
from skcca.retrieval._search import Block
from skcca.views._projection import final_model

X, Y, y = two_views(60)
V = np.random.default_rng(0).normal(size=(30, 4))
NAMES = [f"vidéo {i} 🎵" for i in range(30)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.safetensors"


def same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


# What a file holds


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("ids", [None, NAMES])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_gallery_finds_the_same(path, mmap, ids, dtype):
    retriever = CrossModalRetriever(metric="correlation").add(V.astype(dtype), ids=ids)
    retriever.save(path)
    loaded = CrossModalRetriever.load(path, mmap=mmap)
    same(loaded.query(V, 5), retriever.query(V, 5))
    assert loaded.ids_.tolist() == retriever.ids_.tolist()
    rows = loaded._space.gallery.snapshot.blocks[0].values
    assert isinstance(rows.base, np.memmap) == mmap
    assert rows.dtype == dtype


def test_settings_are_kept(path):
    settings = {"metric": "euclidean", "direction": "y_to_x", "aggregate": "max_similarity"}
    CrossModalRetriever(**settings, add_training=False).add(V).save(path)
    found = CrossModalRetriever.load(path).get_params()
    assert settings.items() <= found.items()
    assert (found["prefit"], found["add_training"], found["index"]) == (True, False, "exact")


def test_settings_of_the_index_are_kept(path):
    pytest.importorskip("faiss")
    params = {"kind": "hnsw", "n_neighbors": np.int64(8)}
    CrossModalRetriever(index="faiss", index_params=params).add(V).save(path)
    loaded = CrossModalRetriever.load(path)
    assert loaded.index_params == params
    assert loaded.recall_against_exact(V, 3) > 0.9


@pytest.mark.parametrize("mmap", [True, False])
def test_a_loaded_gallery_lives_on(path, mmap):
    retriever = CrossModalRetriever().add(V).remove([3, 29])
    retriever.save(path)
    content = path.read_bytes()
    loaded = CrossModalRetriever.load(path, mmap=mmap)
    base = loaded._space.gallery.snapshot.blocks[0].values
    for each in (loaded, retriever):
        each.add(V[:2]).add(V[2:9], ids=range(100, 107))
    assert loaded._space.gallery.snapshot.blocks[0].values is base  # a map stays on its disk
    for each in (loaded, retriever):
        each.remove([5, 30])
    assert loaded.ids_.tolist() == retriever.ids_.tolist()
    same(loaded.query(V, 9), retriever.query(V, 9))
    assert path.read_bytes() == content
    loaded.save(path)  # over the file that it is read from
    same(CrossModalRetriever.load(path).query(V, 9), retriever.query(V, 9))


def test_an_empty_gallery_is_kept(path):
    CrossModalRetriever().add(V).remove(range(30)).save(path)
    loaded = CrossModalRetriever.load(path)
    assert len(loaded) == 0
    assert loaded.add(V[:1]).ids_.tolist() == [30]


def test_items_of_several_precisions_are_kept_in_the_widest(path):
    retriever = CrossModalRetriever().add(V.astype(np.float32)).add(V + 1)
    retriever.save(path)
    same(CrossModalRetriever.load(path).query(V, 9), retriever.query(V, 9))


def test_a_gallery_of_float16_is_searched(path):
    retriever = CrossModalRetriever().add(V)
    retriever.save(path)
    _, values, arrays, *_ = gallery_file.read(path, "gallery")
    rows = arrays["rows"][0].astype(np.float16)
    gallery_file.write(path, gallery_file.Contents("gallery", values, arrays | {"rows": [rows]}))
    loaded = CrossModalRetriever.load(path)
    assert loaded._space.gallery.snapshot.blocks[0].values.dtype == np.float16
    wide = CrossModalRetriever(metric="inner_product").add(rows.astype(float))
    units = V / np.linalg.norm(V, axis=1, keepdims=True)
    same(loaded.query(V, 5).ids, wide.query(units, 5).ids)
    assert len(loaded.add(V)) == 60


# Estimators


WRAPPED = {
    "pipeline": make_pipeline(StandardScaler(), CCA(2)),
    "search": GridSearchCV(CCA(), {"n_components": [2]}, cv=2),
}


@functools.cache
def fitted(name):
    if name == "frozen":
        return FrozenEstimator(fitted("CCA"))
    if name in WRAPPED:
        return clone(WRAPPED[name]).fit(X, Y)
    return clone(MODELS[name]).fit(X, Y, y)


@pytest.mark.parametrize("name", [*MODELS, *WRAPPED, "frozen"])
def test_the_estimator_of_the_items_is_accepted(path, name):
    retriever = CrossModalRetriever(fitted(name), prefit=True).add(Y)
    retriever.save(path)
    copy = pickle.loads(pickle.dumps(fitted(name)))
    # Another release may keep other things beside what was learned.
    final_model(copy)._of_another_release = np.ones(3)
    for model in (fitted(name), copy):
        same(CrossModalRetriever.load(path, estimator=model).query(X, 5), retriever.query(X, 5))


@pytest.mark.parametrize("name", ["DCCA", "SupervisedDCCA"])
def test_a_deep_estimator_is_in_the_file(path, name):
    retriever = CrossModalRetriever(fitted(name), prefit=True).add(Y, ids=map(str, range(60)))
    retriever.save(path)
    loaded = CrossModalRetriever.load(path)
    same(loaded.query(X, 5), retriever.query(X, 5))
    assert loaded.estimator_ is not fitted(name)


def test_a_deep_estimator_from_a_file_of_its_own_is_accepted(path):
    retriever = CrossModalRetriever(fitted("DCCA"), prefit=True).add(Y)
    retriever.save(path)
    fitted("DCCA").save(path.with_name("model"))
    model = type(fitted("DCCA")).load(path.with_name("model"))
    same(CrossModalRetriever.load(path, estimator=model).query(X, 5), retriever.query(X, 5))


def test_a_missing_estimator_is_asked_for(path):
    CrossModalRetriever(CCA(2)).fit(X, Y).save(path)
    with pytest.raises(
        ValueError, match=r"a fitted CCA embedded, but not .* load\(path, estimator="
    ):
        CrossModalRetriever.load(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: fitted("KCCA"), "holds items that a CCA embedded; the estimator given is a KCCA"),
        (
            lambda: CCA(2).fit(X[:, :3], Y),
            r"for views of \[5, 4\] features; that given is for \[3, 4\]",
        ),
        (lambda: CCA(2).fit(X[1:], Y[1:]), "items that another fitted CCA embedded: the weights"),
        (lambda: fitted("pipeline"), "items that another fitted CCA embedded"),
    ],
)
def test_another_estimator_is_refused(path, other, message):
    CrossModalRetriever(fitted("CCA"), prefit=True).add(Y).save(path)
    with pytest.raises(ValueError, match=message):
        CrossModalRetriever.load(path, estimator=other())


def test_another_scaler_before_the_model_is_another_estimator(path):
    CrossModalRetriever(fitted("pipeline"), prefit=True).add(Y).save(path)
    other = pickle.loads(pickle.dumps(fitted("pipeline")))
    other[0].mean_ = other[0].mean_ + 1e-9
    with pytest.raises(ValueError, match="another fitted CCA"):
        CrossModalRetriever.load(path, estimator=other)


def test_an_estimator_for_embeddings_that_need_none_is_refused(path):
    CrossModalRetriever().add(V).save(path)
    with pytest.raises(ValueError, match="was written without an estimator"):
        CrossModalRetriever.load(path, estimator=fitted("CCA"))


def test_a_deep_estimator_with_networks_of_its_own_is_given_again(path):
    from torch import nn

    model = SupervisedDCCA(2, **SMALL, x_network=nn.Linear(5, 6)).fit(X, Y, y)
    retriever = CrossModalRetriever(model, prefit=True).add(Y)
    retriever.save(path)
    with pytest.raises(ValueError, match=r"does not give back its SupervisedDCCA; .* x_network="):
        CrossModalRetriever.load(path)
    same(CrossModalRetriever.load(path, estimator=model).query(X, 5), retriever.query(X, 5))


# Damage


def use(path, mmap):
    """Load a gallery; a memory map is checked when it is first used."""
    retriever = CrossModalRetriever.load(path, mmap=mmap)
    if mmap:
        retriever.query(V[:1], 1)


def test_other_files_of_the_format_are_refused(path):
    save_file({"rows": V}, path)
    with pytest.raises(ValueError, match="it holds no gallery"):
        CrossModalRetriever.load(path)
    fitted("DCCA").save(path)
    with pytest.raises(ValueError, match="it holds no gallery"):
        CrossModalRetriever.load(path)
    with pytest.raises(FileNotFoundError):
        CrossModalRetriever.load(path.with_name("nothing"))


def write_version_1(path, values, arrays):
    """Write a gallery as the first releases did."""
    entries, sums, end = {}, {}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        dtype = {"f4": "F32", "f8": "F64", "i8": "I64", "u4": "U32"}[array.dtype.str[1:]]
        entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}
        sums[name] = zlib.crc32(array.tobytes())
    text = json.dumps({"format": 1, "sums": sums, "values": values})
    total = str(zlib.crc32(text.encode(), zlib.crc32(json.dumps(entries).encode())))
    metadata = {"skcca.gallery": text, "skcca.sum": total}
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    header += b" " * (-(8 + len(header)) % 64)
    content = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(header).to_bytes(8, "little") + header + content)


def test_galleries_of_version_1_are_read(path):
    params = {"index": "exact", "index_params": None, "aggregate": "mean", "add_training": True}
    values = {
        "params": params | {"direction": "x_to_y", "metric": "inner_product"},
        "in_views": False,
        "next_id": 0,
    }
    ids = np.array(["sun", "sea"]).view("<u4").reshape(2, 3)
    write_version_1(path, values, {"rows": np.eye(2), "ids": ids})
    for mmap in (True, False):
        loaded = CrossModalRetriever.load(path, mmap=mmap)
        assert loaded.query([[0.2, 0.9]], k=2).ids.tolist() == [["sea", "sun"]]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=r"the checksum of .* is another one"):
        CrossModalRetriever.load(path).query([[0.2, 0.9]])


def test_hashes_of_other_releases_are_refused(path):
    known = {"class": "CCA", "widths": [5, 4], "sha256": "0"}
    values = {"estimator": known, "inside": False, "in_views": False, "next_id": 1}
    write_version_1(path, values, {"rows": np.eye(2), "ids": np.arange(2)})
    with pytest.raises(ValueError, match="written by a release that hashes a CCA otherwise"):
        CrossModalRetriever.load(path, estimator=fitted("CCA"))


def forged():
    """Yield changes whose sums are right, as only somebody who means harm would make them."""
    infinite = V.copy()
    infinite[3, 1] = np.nan
    numbers = np.arange(30)
    yield "NaN or infinity", {"rows": infinite}, {}
    yield "out of range", {"rows": V * 1e200}, {}
    yield "30 ids", {"rows": V[:29]}, {}
    yield r"shape \(120,\)", {"rows": V.ravel()}, {}
    yield "an id twice", {"ids": np.zeros(30, np.int64)}, {}
    yield "beyond the next one", {"ids": numbers + 5}, {}
    yield "no text", {"ids": V}, {}
    yield "no text", {"ids": np.full((30, 2), 0x110000, np.uint32)}, {}
    yield "next id", {}, {"next_id": 2**80}
    yield "does not hold what it must", {}, {"next_id": None}
    yield "does not hold what it must", {}, {"params": {}}
    yield "does not hold what it must", {}, {"params": 3}
    yield (
        "no estimator that can be kept",
        {"estimator": numbers},
        {"estimator": {"class": "os.system"}, "inside": True},
    )
    yield (
        "does not give back its DCCA",
        {"estimator": np.zeros(9, np.uint8)},
        {"estimator": {"class": "DCCA"}, "inside": True},
    )


@pytest.mark.parametrize("case", list(forged()), ids=lambda case: case[0])
def test_forged_contents_are_refused(path, case):
    message, arrays, values = case
    CrossModalRetriever().add(V).save(path)
    found = gallery_file.read(path, "gallery")
    arrays = found.arrays | {name: [array] for name, array in arrays.items()}
    gallery_file.write(path, gallery_file.Contents("gallery", found.values | values, arrays))
    for mmap in (True, False):
        with pytest.raises(ValueError, match=message):
            use(path, mmap)


@pytest.mark.parametrize(
    "change",
    [{"metric": "manhattan"}, {"index": 7}, {"index_params": {"kind": "ivf"}}, {"direction": "up"}],
)
def test_forged_settings_are_refused(path, change):
    CrossModalRetriever().add(V).save(path)
    _, values, arrays, *_ = gallery_file.read(path, "gallery")
    values["params"] |= change
    gallery_file.write(path, gallery_file.Contents("gallery", values, arrays))
    with pytest.raises(ValueError):  # noqa: PT011 - of parameters, each with words of its own
        CrossModalRetriever.load(path).query(V)


def test_a_shape_whose_product_wraps_around_is_refused(path):
    CrossModalRetriever().add(V).save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    header["rows"]["shape"] = [2**32, 2**32]
    metadata[gallery_file.CHECKSUM] = gallery_file._header_checksum(
        header, metadata[gallery_file.KEY]
    )
    encoded = json.dumps({"__metadata__": metadata, **header}).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + length :])
    with pytest.raises(ValueError, match="do not follow one another"):
        CrossModalRetriever.load(path)


# Memory maps


def watch_checksums(monkeypatch):
    """Return a list that grows by the shape of each array whose checksum is taken."""
    shapes, checksum = [], gallery_file.checksum

    def watched(parts):
        shapes.append(parts[0].shape)
        return checksum(parts)

    monkeypatch.setattr(gallery_file, "checksum", watched)
    monkeypatch.setattr(_file, "checksum", watched)
    return shapes


def test_a_memory_map_is_read_when_it_is_first_used_and_checked_once(path, monkeypatch):
    CrossModalRetriever().add(V).save(path)
    shapes = watch_checksums(monkeypatch)
    monkeypatch.setattr(Block, "measure", lambda values: shapes.append("length"))
    loaded = CrossModalRetriever.load(path)
    assert len(loaded) == 30
    assert loaded.ids_.tolist() == list(range(30))
    assert shapes == [(30,)]
    monkeypatch.undo()
    shapes = watch_checksums(monkeypatch)
    loaded.add(V[:1])
    assert shapes == []
    loaded.query(V, 2)
    loaded.query(V, 2)
    loaded.remove([30])
    assert shapes == [(30, 4)]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a sparse file")
def test_a_gallery_larger_than_the_memory_loads_at_once(path):
    CrossModalRetriever(metric="inner_product").add(np.zeros((1, 2**12), np.float32)).save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    n_bytes = 2**38
    shape = [1, n_bytes // 4]
    metadata = header.pop("__metadata__")
    header["rows"] |= {"shape": shape, "data_offsets": [0, n_bytes]}
    header["ids"]["data_offsets"] = [n_bytes, n_bytes + 8]
    total = gallery_file._header_checksum(header, metadata["skcca"])
    header["__metadata__"] = metadata | {"skcca.checksum": total}
    encoded = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        file.truncate(8 + len(encoded) + n_bytes + 8)
    assert path.stat().st_blocks < 1000
    loaded = CrossModalRetriever.load(path)
    assert loaded._space.gallery.snapshot.width == n_bytes // 4


@pytest.mark.parametrize(
    "use",
    [
        lambda loaded, path: loaded.query(V, 2),
        lambda loaded, path: loaded.recall_against_exact(V, 2),
        lambda loaded, path: loaded.remove([0]),
        lambda loaded, path: loaded.save(path.with_name("copy")),
        lambda loaded, path: pickle.dumps(loaded),
    ],
    ids=["query", "recall", "remove", "save", "pickle"],
)
@pytest.mark.parametrize("damage", ["checksum of 'rows'", "cut off", "cut off after a query"])
def test_damage_of_a_memory_map_is_named_whenever_its_rows_are_used(path, use, damage):
    rows = np.vstack([V] * 100)
    CrossModalRetriever().add(rows).save(path)
    content = bytearray(path.read_bytes())
    if "cut" not in damage:
        content[-rows.nbytes] ^= 1
        path.write_bytes(content)
    loaded = CrossModalRetriever.load(path)
    if "query" in damage:
        loaded.query(V, 2)
    if "cut" in damage:
        if sys.platform == "win32":
            pytest.skip("a mapped file cannot be cut there")
        os.truncate(path, 5000)
    for _ in range(2):
        with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + damage[:7]):
            use(loaded, path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(loaded) == 3000


# Interruptions


KILLED = """
import os, sys
import numpy as np
from skcca._core import files as gallery_file
from skcca.retrieval import CrossModalRetriever

path = sys.argv[1]
retriever = CrossModalRetriever().add(np.eye(2000, 50))
retriever.save(path)
gallery_file.BLOCK = 4000
blocks, count = gallery_file._blocks, 0

def killed(parts):
    global count
    for block in blocks(parts):
        count += 1
        if count > 330:  # while the rows are written, after their sum was taken
            os._exit(9)
        yield block

gallery_file._blocks = killed
retriever.add(np.eye(300, 50) + 1).save(path)
"""


def test_a_process_that_dies_while_writing_leaves_the_old_file(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == 9
    assert len(CrossModalRetriever.load(path)) == 2000
    assert len(os.listdir(path.parent)) == 2  # what was written of the new one lies beside it
    CrossModalRetriever().add(V).save(path)
    assert len(CrossModalRetriever.load(path)) == 30


def test_names_under_which_nothing_can_be_written_are_refused(tmp_path):
    retriever = CrossModalRetriever().add(V)
    with pytest.raises(ValueError, match=r"save: `path`=.* is a folder"):
        retriever.save(tmp_path)
    with pytest.raises(ValueError, match="a folder that is not there"):
        retriever.save(tmp_path / "no" / "gallery")
