"""Replaces stdout and stderr, so that a command does not end if they are closed or full, or a pipe without a reader.

Text that cannot be written is dropped. A pipe whose reader ended (`| head -1`) and a closed descriptor (`>&-`) are what
the user wants. Any other failure, such as a full disk, is reported on stderr and replaces an exit code of 0.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

_CLOSED_ERRORS = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET})


class _Outlet(io.FileIO):
    """A file descriptor whose writes always succeed; `failure` is the first error that is not in _CLOSED_ERRORS.

    `is_closed`: a write failed because the descriptor is closed, or because the reader of the pipe has ended.
    """

    failure: OSError | None = None
    is_closed = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _CLOSED_ERRORS:
                self.is_closed = True
            elif self.failure is None:
                self.failure = error
            return memoryview(data).nbytes


_outlets: list[_Outlet] = []


def open_outlets() -> None:
    """Replace `sys.stdout` and `sys.stderr` by outlets, and a closed `sys.stdin` by /dev/null."""
    _outlets.clear()
    sys.stdout = _open(1, sys.stdout)
    sys.stderr = _open(2, sys.stderr)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - it stays open until the process ends


def has_no_reader() -> bool:
    """Return True if stdout can no longer be written at all: a command without an end of its own ends then."""
    return bool(_outlets) and (_outlets[0].is_closed or _outlets[0].failure is not None)


def failed_output() -> str | None:
    """Return why a part of stdout could not be written, None if all of it was written."""
    if not _outlets:
        return None
    sys.stdout.flush()
    failure = _outlets[0].failure
    return None if failure is None else failure.strerror or type(failure).__name__


def _open(descriptor: int, before: TextIO | None) -> TextIO:
    outlet = _Outlet(descriptor, "w", closefd=False)
    _outlets.append(outlet)
    # A character that the terminal's encoding does not have is written as an escape and does not cause an error.
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or outlet.isatty(),
    )
