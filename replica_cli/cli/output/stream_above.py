"""Prints stderr above something that is drawn at the bottom of the terminal, such as the line of `waiting_for`."""

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


class StreamAbove(io.TextIOBase):
    """A replacement for the stream of a terminal. Whole lines go to `show`; all else is passed to the stream."""

    def __init__(self, stream: TextIO, show: Callable[[Sequence[str]], None]) -> None:
        super().__init__()
        self._stream = stream
        self._show = show
        self._rest = ""
        self._lock = threading.RLock()

    def write(self, text: str, /) -> int:
        """Add text, and show the lines that are complete."""
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            if lines:
                self._show(lines)
        return len(text)

    def end_line(self) -> None:
        """Show the last line if it is not complete."""
        if self._rest:
            self.write("\n")

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the file descriptor of the stream."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in the base class
        """Return the encoding of the stream."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Return True if the stream is a terminal."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """Return True: the stream accepts text."""
        return True


@contextlib.contextmanager
def waiting_for(text: str) -> Iterator[None]:
    """Show a line on the terminal while the context lasts; text for stderr appears above it.

    It imports no module that takes long to load, so that users see at once that the command works.
    """
    stream = sys.stderr
    shown = printable(text)[: max(1, shutil.get_terminal_size().columns - 1)]

    def show(lines: Sequence[str]) -> None:
        stream.write(_WIPE + "".join(f"{line}\n" for line in lines) + shown)
        stream.flush()

    above = StreamAbove(stream, show)
    sys.stderr = cast("TextIO", above)
    show(())
    try:
        yield
    finally:
        above.end_line()
        sys.stderr = stream
        stream.write(_WIPE)
        stream.flush()
