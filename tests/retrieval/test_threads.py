"""Readers and writers at once: every query sees the gallery as it was at one moment."""

import contextlib
import multiprocessing
import os
import threading

import numpy as np
import pytest

from skcca.retrieval import CrossModalRetriever
from skcca.retrieval._retriever import _FIRST_USE

N_READERS, N_ADDED = 3, 150


def at_once(*works):
    """Run works in threads that start together, and raise what one of them raised."""
    errors, start = [], threading.Barrier(len(works))

    def guarded(work):
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_queries_see_whole_additions(kind):
    if kind != "exact":
        pytest.importorskip("faiss")
    params = {} if kind == "exact" else {"index": "faiss", "index_params": {"kind": kind}}
    retriever = CrossModalRetriever(metric="inner_product", **params).add(np.ones((1, 2)), ids=[0])
    done = threading.Event()

    def write():
        # Batch b is twice the rows (b, b): the best two are always of the last batch, and equal.
        for b in range(1, N_ADDED):
            retriever.add(np.full((2, 2), b + 1.0), ids=[10 * b, 10 * b + 1])
        done.set()

    def read():
        last = 0
        while not done.is_set() or last < N_ADDED - 1:
            if len(retriever) < 2:
                continue
            ids, scores = retriever.query([[1.0, 1.0]], 2)
            batch = ids[0] // 10
            assert batch[0] == batch[1] >= last
            assert (ids[0] % 10 == [0, 1]).all()
            assert (scores[0] == 2 * (batch[0] + 1)).all()
            last = batch[0]

    at_once(write, *[read] * N_READERS)


def test_removal_moves_no_id_to_another_item():
    rng = np.random.default_rng(0)
    V = rng.normal(size=(400, 4))
    retriever = CrossModalRetriever().add(V)
    done = threading.Event()

    def write():
        for i in range(0, 400, 4):
            retriever.remove([i])
        done.set()

    def read():
        while not done.is_set():
            asked = rng.permutation(np.flatnonzero(np.arange(400) % 4))[:20]
            ids, scores = retriever.query(V[asked], 1)
            assert (ids[:, 0] == asked).all()
            assert np.allclose(scores, 1)

    at_once(write, *[read] * N_READERS)
    assert len(retriever) == 300


def test_writers_lose_nothing_and_share_no_id():
    retriever = CrossModalRetriever(metric="inner_product")

    def write():
        for _ in range(50):
            retriever.add(np.ones((3, 2)))

    at_once(*[write] * 4)
    assert retriever.ids_.tolist() == list(range(600))
    assert retriever.query([[1.0, 1.0]], 600).scores.tolist() == [[2.0] * 600]


def test_of_writers_of_one_id_one_wins():
    retriever, refused = CrossModalRetriever(), []

    def write():
        for i in range(50):
            try:
                retriever.add(np.ones((1, 2)), ids=[i])
            except ValueError:
                refused.append(i)

    at_once(*[write] * 4)
    assert sorted(retriever.ids_) == list(range(50))
    assert len(refused) == 150


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
def test_a_forked_child_waits_for_no_thread_of_its_parent(tmp_path):
    CrossModalRetriever().add(np.eye(3)).save(tmp_path / "gallery")
    retriever = CrossModalRetriever.load(tmp_path / "gallery")
    gallery = retriever._space.gallery
    owners = [gallery, gallery.snapshot.verify.__self__, retriever._space.faiss, _FIRST_USE]
    held, forked = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as stack:
            for owner in owners:
                stack.enter_context(owner.lock)
            held.set()
            forked.wait()

    def use():
        assert all(owner.lock.acquire(timeout=0) for owner in owners)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = multiprocessing.get_context("fork").Process(target=use)
    child.start()
    forked.set()
    thread.join()
    child.join(60)
    assert child.exitcode == 0


def test_a_file_holds_the_gallery_of_one_moment(tmp_path):
    retriever = CrossModalRetriever(metric="inner_product").add(np.ones((2, 2)))

    def write():
        for b in range(2, 60):
            retriever.add(np.full((2, 2), float(b)))

    def save():
        for _ in range(10):
            retriever.save(tmp_path / "gallery")
            found = CrossModalRetriever.load(tmp_path / "gallery")
            assert len(found) % 2 == 0
            assert found.query([[1.0, 1.0]], 1).scores == [[len(found)]]

    at_once(write, save)
