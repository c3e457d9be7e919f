"""Writes answers, as text or as JSON, to stdout and everything else to stderr, and decides about colour."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

import typer

from replica_cli.documents import dumps
from replica_cli.logs.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.documents import Document


class ColorChoice(StrEnum):
    """When the output is coloured."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def is_colored(choice: ColorChoice, environ: Mapping[str, str], stream: TextIO) -> bool:
    """Return True if text on a stream is coloured: by the option, else NO_COLOR, else FORCE_COLOR, else if it is a tty.

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
    """Styles text for one stream, or does not change it. The text must be clear without colour too."""

    is_on: bool
    # The width of the terminal in columns; 0 for a pipe or a file, whose lines may have any length.
    width: int = 0

    def bold(self, text: str) -> str:
        """Return the text in bold, for headings."""
        return typer.style(text, bold=True) if self.is_on else text

    def good(self, text: str) -> str:
        """Return the text in green, for good states."""
        return typer.style(text, fg="green") if self.is_on else text

    def doubtful(self, text: str) -> str:
        """Return the text in yellow, for warnings."""
        return typer.style(text, fg="yellow") if self.is_on else text

    def bad(self, text: str) -> str:
        """Return the text in bold red, for errors."""
        return typer.style(text, fg="red", bold=True) if self.is_on else text


def painter(choice: ColorChoice, environ: Mapping[str, str], *, to_stderr: bool = False) -> Painter:
    """Return the painter for the current stdout or stderr."""
    stream = sys.stderr if to_stderr else sys.stdout
    return Painter(is_colored(choice, environ, stream), width_of(stream))


def width_of(stream: TextIO) -> int:
    """Return the width of a stream's terminal in columns, 0 if the stream is not a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def answer(text: str) -> None:
    """Write text to stdout at once, with secrets masked."""
    typer.echo(redact(text), color=True)


def remark(text: str) -> None:
    """Write text to stderr, with secrets masked."""
    typer.echo(redact(text), err=True, color=True)


def write_document(document: Document, *, is_line: bool = False, to_stderr: bool = False) -> None:
    """Write a JSON document at once, because a reader of JSON lines waits for each."""
    typer.echo(dumps(document, is_line=is_line), err=to_stderr)
