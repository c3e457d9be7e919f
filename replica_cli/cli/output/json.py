"""Writes JSON documents to stdout, or errors to stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from replica_cli.documents import dumps

if TYPE_CHECKING:
    from replica_cli.documents import Document


def write_document(document: Document, *, is_line: bool = False, to_stderr: bool = False) -> None:
    """Write a document at once, because a reader of JSON lines waits for each."""
    typer.echo(dumps(document, is_line=is_line), err=to_stderr)
