"""A progress line on standard error, for loops that last longer than a few seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_WIDTH = 24

_LOG_EVERY = 10.0  # seconds between lines where standard error is a file and cannot be rewritten


class ProgressBar:
    """Show ``label [####----] 12/50  1.2 s  note`` while a loop runs.

    Parameters
    ----------
    total : int
        Number of steps.
    label : str
        What is running.
    enabled : bool, default=True
        False makes every call a no-op, so that a loop needs no branches of its own.
    done : int, default=0
        Steps that were made before.
    """

    def __init__(self, total: int, label: str, *, enabled: bool = True, done: int = 0):
        self.total, self.label, self.enabled = total, label, enabled
        self._done, self._note = done, ""
        self._start = self._shown = time.monotonic()
        self._rewritable = enabled and sys.stderr.isatty()

    def __enter__(self) -> ProgressBar:
        return self

    def step(self, note: str = "") -> None:
        """Count one step; ``note`` stands at the end of the line."""
        self._done, self._note = self._done + 1, note
        now = time.monotonic()
        if self._rewritable or now - self._shown >= _LOG_EVERY:
            self._shown = now
            self._write(end="\r" if self._rewritable else "\n")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._write(end="\n")

    def _write(self, end: str) -> None:
        if not self.enabled:
            return
        filled = _WIDTH * self._done // max(self.total, 1)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        seconds = time.monotonic() - self._start
        line = f"{self.label} [{bar}] {self._done}/{self.total}  {seconds:.1f} s  {self._note}"
        print(line.rstrip(), end=end, file=sys.stderr, flush=True)
