"""Stderr while something is drawn at the bottom of the terminal, and the line that says what a command waits for."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import threading
from typing import TYPE_CHECKING, TextIO, cast

from replica_cli.core.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_WIPE = "\r\x1b[2K"


class Above(io.TextIOBase):
    """Stands in for a terminal's stream: whole lines go to `show`, everything else is the stream's own."""

    def __init__(self, stream: TextIO, show: Callable[[Sequence[str]], None]) -> None:
        super().__init__()
        self._stream = stream
        self._show = show
        self._rest = ""
        self._lock = threading.RLock()

    def write(self, text: str, /) -> int:
        """Print the lines that are complete now."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            if lines:
                self._show(lines)
        return len(text)

    def end_line(self) -> None:
        """Print a line that was not ended."""
        if self._rest:
            self.write("\n")

    def flush(self) -> None:
        """Pass the wish on."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in the base class
        """Return the stream's own."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return what the stream is."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True."""
        return True


@contextlib.contextmanager
def waiting_for(text: str) -> Iterator[None]:
    """Show a line on the terminal while the context lasts; what is written to stderr meanwhile goes above it.

    It needs nothing that takes long to import: that the command works is to be seen at once.
    """
    stream = sys.stderr
    shown = printable(text)[: max(1, shutil.get_terminal_size().columns - 1)]

    def show(lines: Sequence[str]) -> None:
        stream.write(_WIPE + "".join(f"{line}\n" for line in lines) + shown)
        stream.flush()

    above = Above(stream, show)
    sys.stderr = cast("TextIO", above)
    show(())
    try:
        yield
    finally:
        above.end_line()
        sys.stderr = stream
        stream.write(_WIPE)
        stream.flush()
