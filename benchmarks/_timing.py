"""Timing of tasks in alternation, so that a noisy machine affects all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# A pool of BLAS threads spins for a while after its work, and would slow the next pool's.
_PAUSE = 0.1
# What takes longer than this has one turn only, without a warm-up.
_LONG = 20.0

Times = dict[str, list[float]]


def take_turns(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Return the seconds of each task in rounds of first, second, ..., first, second, ...

    Every work runs once before that, so that imports and caches do not count. The processor's clock
    leaves out what other processes take.
    """
    times = {name: [seconds(work, clock)] for name, work in works.items()}
    repeated = [name for name in works if times[name][0] <= _LONG]
    for name in repeated:
        times[name] = []
    for _ in range(rounds):
        for name in repeated:
            times[name].append(seconds(works[name], clock))
    return times


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds of one run of a task."""
    gc.collect()
    time.sleep(_PAUSE)
    start = clock()
    work()
    return clock() - start


def median(times: Times, name: str) -> float:
    """Return the median seconds of a task."""
    return float(np.median(times[name]))


def ratio(times: Times, name: str, base: str) -> float:
    """Return the median over rounds of the ratio of one task's seconds to another's."""
    if len(times[name]) != len(times[base]):
        return median(times, name) / median(times, base)
    return float(np.median(np.divide(times[name], times[base])))


def log_log_slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return p of the power law values = c * sizes ** p, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
