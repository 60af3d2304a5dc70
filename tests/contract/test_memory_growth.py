"""Two hundred fits in a row take no more memory than the first of them."""

import gc
import tracemalloc

import pytest
from _data import two_views
from _models import QUICK
from sklearn.base import clone

X, Y, y = two_views(60)


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
