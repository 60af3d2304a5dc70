"""The same fit gives the same bits wherever it runs, in threads and other processes, and leaves
no memory behind."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import torch
from _data import two_views
from _models import MODELS, QUICK, SMALL
from _oracles import assert_same_bits
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from skcca import DCCA, Views, ViewTransformer
from skcca._core.compat import _checked_in_turn
from skcca.cluster import SeededKMeans
from skcca.nn import seeded

X, Y, y = two_views()


def scores(model, rows=X, rows_y=Y):
    """Return the scores of a new fit."""
    return clone(model).fit(rows, rows_y, y).transform(rows, rows_y)


@pytest.fixture(scope="module")
def alone():
    """Scores of every estimator, fitted in turn, with one thread of BLAS as workers have."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return {name: scores(model) for name, model in MODELS.items()}


def test_eight_threads_at_once_fit_what_one_fits(alone):
    jobs = [name for name in MODELS for _ in range(2)]
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda name: scores(MODELS[name]), jobs))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    for name, together in zip(jobs, found, strict=True):
        for a, b in zip(together, alone[name], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10)


def test_eight_threads_may_read_one_model():
    fitted = clone(MODELS["SupervisedDCCA"]).fit(X, Y, y)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fitted.transform(X, Y), range(8)))
    for together in found[1:]:
        assert_same_bits(together, found[0])


@pytest.mark.slow
def test_loky_workers_fit_what_the_caller_fits(alone):
    """Rows reach them as memory maps, as all would that are larger than a byte."""
    jobs = [joblib.delayed(scores)(model, X, Y) for model in MODELS.values()]
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        found = joblib.Parallel(n_jobs=2, max_nbytes=1)(jobs)
    for name, elsewhere in zip(MODELS, found, strict=True):
        for a, b in zip(elsewhere, alone[name], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def of_two_views(model):
    calls = [lambda m: m.transform(X, Y), lambda m: [m.score(X, Y)]]
    if hasattr(model, "predict"):
        calls.append(lambda m: [m.predict(X)])
    return model, [(X, Y, y), (X[::-1], Y, y)], calls


# A model, what it is fitted on in turn, and its uses.
USES = {name: of_two_views(model) for name, model in QUICK.items()} | {
    "SeededKMeans": (
        SeededKMeans(), [(X, y), (X[::-1], y.astype(str))],
        [lambda m: [m.predict(X)], lambda m: [m.transform(X)]],
    ),
    "ViewTransformer": (
        ViewTransformer(StandardScaler()), [(Views(X, Y),), (Views(2 * X, 2 * Y),)],
        [lambda m: list(m.transform(Views(X, Y)))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", USES)
def test_uses_during_a_fit_are_those_of_the_old_or_of_the_new_model(name):
    model, both, calls = USES[name]
    model = clone(model)
    outcomes = [[call(model) for call in calls] for data in both if model.fit(*data)]
    used = threading.Event()

    def use():
        while not used.is_set():
            yield [call(model) for call in calls]

    with ThreadPoolExecutor(1) as pool:
        uses = pool.submit(list, use())
        for data in both * 10:
            model.fit(*data)
        used.set()
    assert uses.result()
    for found in uses.result():
        for answer, old, new in zip(found, *outcomes, strict=True):
            assert any(all(map(np.array_equal, answer, whole)) for whole in (old, new))


def fit_and_send(name, fitted, pipe):
    pipe.send((scores(MODELS[name]), fitted.transform(X, Y)))


@contextmanager
def a_fit_in_another_thread():
    begun, ended = threading.Event(), threading.Event()

    def fit():
        with _checked_in_turn(X), seeded(0, torch.device("cpu")):
            begun.set()
            ended.wait(60)

    thread = threading.Thread(target=fit)
    thread.start()
    begun.wait(60)
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
@pytest.mark.parametrize("name", MODELS)
def test_after_a_fork_the_child_fits_and_transforms_as_its_parent(name):
    fitted = clone(MODELS[name]).fit(X, Y, y)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=fit_and_send, args=(name, fitted, there))
    with a_fit_in_another_thread():
        child.start()
    try:
        assert here.poll(60), "the child hangs"
        anew, moved = here.recv()
    finally:
        child.kill()
        child.join()
    expected = fitted.transform(X, Y)
    for a, b, c in zip(anew, moved, expected, strict=True):
        np.testing.assert_allclose(a, c, atol=1e-12)
        np.testing.assert_allclose(b, c, atol=1e-12)


# A deep fit that is killed

FIT = """
import os, signal, sys
import numpy as np
sys.path.insert(0, {folder!r})
from _data import two_views
from _models import SMALL
from skcca import DCCA
from skcca.nn import seeded

def tell(epoch):
    if epoch.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)

X, Y, _ = two_views()
options = SMALL | {{"max_epochs": 6, "batch_size": 32, "callback": tell}}
DCCA(2, checkpoint={path!r}, **options).fit(X, Y)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a system without SIGKILL")
def test_a_killed_fit_resumes_from_its_last_checkpoint(tmp_path):
    path = tmp_path / "run"
    code = FIT.format(folder=os.path.dirname(os.path.dirname(__file__)), path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    told, options = [], SMALL | {"max_epochs": 6, "batch_size": 32}
    options["callback"] = lambda epoch: told.append(epoch.number)
    with pytest.warns(UserWarning, match=r"is continued after epoch \d of 6"):
        resumed = DCCA(2, checkpoint=path, **options).fit(X, Y)
    assert 0 < len(told) < 6, "epochs before the last checkpoint ran again, or all of them"
    whole = DCCA(2, **options | {"callback": None}).fit(X, Y)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert_same_bits(resumed.transform(X, Y), whole.transform(X, Y))


def resident():
    """Return the memory of this process in bytes, that of C included."""
    with open("/proc/self/statm") as file:
        return 4096 * int(file.read().split()[1])


def fits(model, n):
    for _ in range(n):
        clone(model).fit(X, Y, y).transform(X, Y)
    gc.collect()


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_two_hundred_fits_leave_nothing_behind(name):
    model = QUICK[name]
    fits(model, 30)  # caches and pools fill up
    tracemalloc.start()
    try:
        fits(model, 5)
        before = tracemalloc.get_traced_memory()[0]
        fits(model, 200)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # The interpreter keeps some 80 kB of freed small objects; a CCA, the smallest, is 3 kB.
    assert grown < 200 * 1_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CCA", "KCCA", "DCCA"])
def test_two_hundred_fits_do_not_grow_the_process(name):
    pytest.importorskip("resource")
    model = QUICK[name]
    fits(model, 50)
    before = resident()
    fits(model, 200)
    assert resident() - before < 8e6  # 40 kB for each fit would show
