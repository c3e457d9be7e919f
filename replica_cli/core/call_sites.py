"""Says which calls led to an exception, without its text: the text may contain the values of a row."""

from __future__ import annotations

import traceback
from pathlib import Path

_FRAMES_LIMIT = 8
_PACKAGE = Path(__file__).parent.parent


def calls_of(error: BaseException) -> str:
    """Return the last eight calls that led to an exception, the innermost first: `sqlbuilder/x.py:12 parse < …`."""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-_FRAMES_LIMIT:])
    return " < ".join(f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames)


def _short(file: str) -> str:
    path = Path(file)
    return path.relative_to(_PACKAGE).as_posix() if path.is_relative_to(_PACKAGE) else path.name
