"""stdout and stderr that may be closed, full, or a pipe that its reader left: no such thing ends or breaks a command.

What cannot be written is dropped. A reader that went away (`| head -1`) or a closed descriptor (`>&-`) is the caller's
wish; any other failure, such as a full disk, is said on stderr and changes an exit code of 0.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO

_LEFT = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET})


class _Outlet(io.FileIO):
    """A descriptor whose writes always succeed; the first failure that the caller did not ask for is kept."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self.failure is None and error.errno not in _LEFT:
                self.failure = error
            return memoryview(data).nbytes


_outlets: list[_Outlet] = []


def open_outlets() -> None:
    """Put such streams in the place of `sys.stdout` and `sys.stderr`, and a stdin that is closed on /dev/null."""
    _outlets.clear()
    sys.stdout = _open(1, sys.stdout)
    sys.stderr = _open(2, sys.stderr)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - it stays open as long as the process


def failed_output() -> str | None:
    """Return why a part of the answer could not be written, None if everything was."""
    if not _outlets:
        return None
    sys.stdout.flush()
    failure = _outlets[0].failure
    return None if failure is None else failure.strerror or type(failure).__name__


def _open(descriptor: int, before: TextIO | None) -> TextIO:
    outlet = _Outlet(descriptor, "w", closefd=False)
    _outlets.append(outlet)
    # A name that the terminal's encoding does not have is written out, not a reason to fail.
    return io.TextIOWrapper(
        io.BufferedWriter(outlet),
        encoding=before.encoding if before is not None else "utf-8",
        errors="backslashreplace",
        line_buffering=descriptor == 2 or outlet.isatty(),
    )
