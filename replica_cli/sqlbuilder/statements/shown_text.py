"""Write the text of a statement for messages and for the log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import Kind

if TYPE_CHECKING:
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

_SHOWN_CHARACTERS = 300


def shown(parsed: ParsedStatement) -> str:
    """Return a statement's text, cut after 300 characters. Only for definitions: it shows the values in the text."""
    text = "".join(t.text for t in parsed.tokens).strip()
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"


def masked(parsed: ParsedStatement) -> str:
    """Return a statement's text with `?` for strings and numbers: values of rows and passwords stay out of logs."""
    hidden = (t._replace(text="?") if t.kind in (Kind.STRING, Kind.NUMBER) else t for t in parsed.tokens)
    return shown(replace(parsed, tokens=tuple(hidden)))
