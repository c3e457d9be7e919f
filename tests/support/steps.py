"""Count what a piece of the program does, in steps of the interpreter: the same number on every machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import replica_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

_PACKAGE = str(Path(replica_cli.__file__).parent)


def steps_of(work: Callable[[], object], folder: str = "") -> int:
    """Return the number of steps that the code in a folder of the package takes while `work` runs.

    Code that was compiled from text has a name like `<rows of` and no folder.
    """
    place = folder if folder.startswith("<") else f"{_PACKAGE}/{folder}"
    # From 3.12 on a trace function misses the steps of a function's first call.
    return _traced(work, place) if sys.version_info < (3, 12) else _monitored(work, place)


def _traced(work: Callable[[], object], place: str) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call" and not frame.f_code.co_filename.startswith(place):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(former)
    return count


def _monitored(work: Callable[[], object], place: str) -> int:
    count = 0
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # Python 3.12 and later
    tool, steps = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION

    def step(code: CodeType, _: int) -> Any:
        nonlocal count
        if not code.co_filename.startswith(place):
            return monitoring.DISABLE
        count += 1
        return None

    monitoring.use_tool_id(tool, "steps")
    try:
        monitoring.register_callback(tool, steps, step)
        # What a count before this one has disabled may be in this one's place.
        monitoring.restart_events()
        monitoring.set_events(tool, steps)
        work()
    finally:
        monitoring.set_events(tool, monitoring.events.NO_EVENTS)
        monitoring.register_callback(tool, steps, None)
        monitoring.free_tool_id(tool)
    return count
