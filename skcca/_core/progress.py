"""Loops that last longer than a few seconds: in parallel, with a progress line."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

_WIDTH = 24

# A file cannot be rewritten like a terminal: it gets a new line at most every so many seconds.
_LOG_INTERVAL = 10.0

_Result = TypeVar("_Result")


def parallel_map(
    function: Callable[..., _Result],
    arguments: Iterable[tuple],
    *,
    label: str,
    n_jobs: int | None = None,
    prefer: str | None = None,
    verbose: int = 0,
    total: int | None = None,
) -> Iterator[_Result]:
    """Yield ``function(*args)`` for each tuple of arguments, in their order.

    The workers run under the caller's scikit-learn configuration; those that are processes have the
    filters of warnings too, and pickle the function. An iterator that is dropped before its end
    stops them. A lazy iterable of arguments is read a little ahead of the workers, and needs a
    `total`, the number of calls. The progress line shows the label; `n_jobs` and `prefer` are those
    of `joblib.Parallel`.
    """
    from joblib import Parallel, delayed
    from sklearn import get_config

    if total is None:
        total = len(arguments) if isinstance(arguments, Sized) else 0
    run = Parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator")
    call = partial(delayed(_call_as), (get_config(), list(warnings.filters), os.getpid()))
    with ProgressBar(total, label, enabled=verbose > 0) as bar:
        for result in run(call(function, args) for args in arguments):
            yield result
            bar.step()


def _call_as(
    caller: tuple[dict, list, int], function: Callable[..., _Result], args: tuple
) -> _Result:
    """Call a function under the configuration and, in another process, the filters of a caller.

    `sklearn.utils.parallel` sets the filters in threads too, which share them.
    """
    from sklearn import config_context

    config, filters, process = caller
    if os.getpid() != process:
        warnings.filters[:] = filters  # type: ignore[index]  # declared as a sequence
    with config_context(**config):
        return function(*args)


def bounded_map(
    function: Callable[..., _Result], arguments: Iterable[tuple], *, n_jobs: int | None = None
) -> Iterator[_Result]:
    """Yield ``function(*args)`` for each tuple of arguments, in order and in bounded memory.

    Threads compute at most two results for each job before they are taken; a single job computes a
    result when it is asked for. `parallel_map` would compute all results as fast as it can.
    """
    from joblib import effective_n_jobs

    n_jobs = effective_n_jobs(n_jobs)
    if n_jobs == 1:
        yield from (function(*args) for args in arguments)
        return
    pending: deque[Future[_Result]] = deque()
    # joblib asks for a result every 10 ms, in which a thread decodes several megabytes.
    with ThreadPoolExecutor(n_jobs) as pool:
        for args in arguments:
            pending.append(pool.submit(function, *args))
            if len(pending) == 2 * n_jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class ProgressBar:
    """Show ``label [####----] 12/50  1.2 s  note`` while a loop of `total` steps runs.

    `done` steps were made before. One that is not enabled does nothing, so that a loop needs no
    branches of its own.
    """

    def __init__(self, total: int, label: str, *, enabled: bool = True, done: int = 0):
        self.total, self.label, self.enabled = total, label, enabled
        self._done, self._note = done, ""
        self._start = self._shown = time.monotonic()
        self._rewritable = enabled and sys.stderr.isatty()

    def __enter__(self) -> ProgressBar:
        # The first step may take long.
        self._write(end="\r" if self._rewritable else "\n")
        return self

    def step(self, note: str = "") -> None:
        """Count one step; ``note`` stands at the end of the line."""
        self._done, self._note = self._done + 1, note
        now = time.monotonic()
        if self._rewritable or now - self._shown >= _LOG_INTERVAL:
            self._shown = now
            self._write(end="\r" if self._rewritable else "\n")

    def __exit__(self, *exception: object) -> None:
        self._write(end="\n")

    def _write(self, end: str) -> None:
        if not self.enabled:
            return
        filled = _WIDTH * self._done // max(self.total, 1)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        seconds = time.monotonic() - self._start
        line = f"{self.label} [{bar}] {self._done}/{self.total}  {seconds:.1f} s  {self._note}"
        print(line.rstrip(), end=end, file=sys.stderr, flush=True)
