"""Interrupts at any instruction of the library, where Ctrl-C or an error may come."""

import dis
import functools
import sys
from pathlib import Path

import skcca

ROOT = str(Path(skcca.__file__).parent)


class Interrupted(KeyboardInterrupt):
    """The interrupt of a test."""


def interrupt(work, at):
    """Call `work`, with an interrupt before its instruction `at`; return how many were begun.

    Instructions of the library count, wherever it is called from; none is interrupted by `at=None`.
    """
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti not in _leaving(frame.f_code):
            count += 1
            if count == at:
                raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
    return count


@functools.cache
def _leaving(code):
    """Return the places at which a `with` calls `__exit__`, where no signal is handled."""
    steps = list(dis.get_instructions(code))
    places = set()
    for i in range(len(steps) - 4):
        if all(step.opname == "LOAD_CONST" and step.argval is None for step in steps[i : i + 3]):
            places.update(step.offset for step in steps[i : i + 5])
    return places
