"""Colour, and the two streams: stdout is the answer, stderr everything else."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

import typer

from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping


class ColorChoice(StrEnum):
    """When to colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def is_colored(choice: ColorChoice, environ: Mapping[str, str], stream: TextIO) -> bool:
    """Decide about one stream: the option, then NO_COLOR, then FORCE_COLOR, then whether it is a terminal.

    Source: https://no-color.org and https://force-color.org (any value that is not empty counts).
    """
    if choice is not ColorChoice.AUTO:
        return choice is ColorChoice.ALWAYS
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Painter:
    """Styles text for one stream, or leaves it as it is. Colour never carries meaning alone."""

    is_on: bool
    # The columns of the terminal, 0 where it is none: a pipe and a file have lines of any length.
    width: int = 0

    def bold(self, text: str) -> str:
        """Make a heading."""
        return typer.style(text, bold=True) if self.is_on else text

    def dim(self, text: str) -> str:
        """Put text into the background."""
        return typer.style(text, dim=True) if self.is_on else text

    def good(self, text: str) -> str:
        """Show that it is well."""
        return typer.style(text, fg="green") if self.is_on else text

    def doubtful(self, text: str) -> str:
        """Show that it wants attention."""
        return typer.style(text, fg="yellow") if self.is_on else text

    def bad(self, text: str) -> str:
        """Show that it is wrong."""
        return typer.style(text, fg="red", bold=True) if self.is_on else text


def painter(choice: ColorChoice, environ: Mapping[str, str], *, to_stderr: bool = False) -> Painter:
    """Return the painter for stdout or stderr as it is now."""
    stream = sys.stderr if to_stderr else sys.stdout
    return Painter(is_colored(choice, environ, stream), width_of(stream))


def width_of(stream: TextIO) -> int:
    """Return the columns of the terminal that a stream is, 0 where it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def answer(text: str) -> None:
    """Write to stdout, redacted, at once: a reader of JSON lines waits for each."""
    typer.echo(redact(text), color=True)


def remark(text: str) -> None:
    """Write to stderr, redacted."""
    typer.echo(redact(text), err=True, color=True)
