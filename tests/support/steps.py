"""Count what a piece of the program does, in steps of the interpreter: the same number on every machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import replica_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_PACKAGE = str(Path(replica_cli.__file__).parent)


def steps_of(work: Callable[[], object], folder: str = "") -> int:
    """Return the number of steps that the code in a folder of the package takes while `work` runs.

    Code that was compiled from text has a name like `<rows of` in the folder's place.
    """
    count = 0
    place = folder if folder.startswith("<") else f"{_PACKAGE}/{folder}"

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
