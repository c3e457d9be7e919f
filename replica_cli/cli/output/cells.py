"""Texts in the cells and lines of a live display: safe for the terminal, and cut to its width."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from replica_cli.core.printable import printable
from replica_cli.core.status import Phase
from replica_cli.logs.redaction import redact

PHASE_STYLES = {
    Phase.TRANSFERRING: "cyan",
    Phase.STREAMING: "green",
    Phase.CAUGHT_UP: "bold green",
    Phase.RECONNECTING: "yellow",
    Phase.PAUSED: "yellow",
    Phase.STOPPING: "yellow",
    Phase.FINISHED: "bold green",
    Phase.FAILED: "bold red",
}


def cut(text: str, width: int) -> Text:
    """Return a name, cut in its middle if it is too wide: names often differ only at one of their ends."""
    if cell_len(text) > width:
        head = (width - 1) // 2
        tail = text
        while cell_len(tail) > width - 1 - head:
            tail = tail[1:]
        text = f"{set_cell_size(text, head)}…{tail}"
    return Text(text)


def plain(text: str) -> Text:
    """Return text that rich shows unchanged, so that a bracket in a table's name is not taken for markup."""
    return Text(printable(redact(text)))


def one_line(text: str, style: str = "") -> Text:
    """Return text as one line that ends with an ellipsis if the terminal is too narrow."""
    return Text(printable(redact(text)), style=style, no_wrap=True, overflow="ellipsis")
