"""Draws a block of lines at the bottom of a terminal again and again; printed lines appear above the block."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Self, TextIO, cast

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.control import Control
from rich.segment import ControlType, Segment, SegmentLines
from rich.text import Text

from replica_cli.cli.output.stream_above import StreamAbove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The seconds between two drawings while the block changes, and while only the shown time changes.
_SECONDS_BETWEEN, _SECONDS_IDLE = 0.25, 1.0


class LiveBlock:
    """Draws what `render` returns while its context lasts. Thread-safe.

    It draws up to four times a second after calls of `note`, and otherwise once a second. While the context lasts,
    text for `sys.stderr` is printed above the block, unless the block is on stdout and stderr is not a terminal.

    The cursor is on an empty line below the block. The terminal echoes keys there, such as `^C`; the next drawing
    erases them. If the terminal became narrower, it has wrapped the lines of the last drawing: the next drawing erases
    as many rows as the wrapped lines have.
    """

    def __init__(self, console: Console, render: Callable[[], RenderableType]) -> None:
        self._console = console
        self._render = render
        self._lock = threading.RLock()
        self._widths: list[int] = []
        self._ended = threading.Event()
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._stderr_above: StreamAbove | None = None
        self._stderr: TextIO | None = None

    def __enter__(self) -> Self:
        if self._console.file is sys.stderr or sys.stderr.isatty():
            self._stderr = sys.stderr
            self._stderr_above = StreamAbove(sys.stderr, self._show_lines)
            sys.stderr = cast("TextIO", self._stderr_above)
        self.show()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.note()
        self._thread.join()
        if self._stderr_above is not None and self._stderr is not None:
            self._stderr_above.end_line()
            sys.stderr = self._stderr
        self.show()

    def note(self) -> None:
        """Request a drawing soon, because the block has changed."""
        self._changed.set()

    def show(self, *above: RenderableType) -> None:
        """Draw the block again in one write; print the lines in `above` above it."""
        with self._lock:
            self._measure()
            lines = self._lines()
            with self._console:
                self._console.control(self._wipe())
                for each in above:
                    # The terminal wraps long lines itself: so a command in them can be copied, and a terminal that
                    # becomes wider joins them again.
                    self._console.print(each, soft_wrap=True)
                self._console.print(SegmentLines(lines, new_lines=True), end="", soft_wrap=True)
            self._widths = [Segment.get_line_length(line) for line in lines]

    def _run(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN):
            self._changed.wait(_SECONDS_IDLE - _SECONDS_BETWEEN)
            self._changed.clear()
            self.show()

    def _show_lines(self, lines: Sequence[str]) -> None:
        self.show(*map(Text.from_ansi, lines))

    def _measure(self) -> None:
        # The size of the terminal that is drawn on. COLUMNS may be old, and stdin may be another terminal.
        try:
            size = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):
            return
        if size.columns > 0 and size.lines > 0:
            self._console.size = ConsoleDimensions(size.columns, size.lines)

    def _lines(self) -> list[list[Segment]]:
        """Return the block, cut to the size of the terminal, without blanks at line ends: those would wrap too."""
        width, height = self._console.size
        options = self._console.options.update(height=None)
        lines = [_stripped(line) for line in self._console.render_lines(self._render(), options, pad=False)]
        room = max(1, height - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], [Segment(f"… and {len(lines) - room + 1} more lines")]]
        return [Segment.adjust_line_length(line, width, pad=False) for line in lines]

    def _wipe(self) -> Control:
        columns = self._console.size.width
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        back = (ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
        return Control(*back, *((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * rows)


def _stripped(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.rstrip():
        line = line[:-1]
    if line:
        line = [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)]
    return line
