"""Makes text of a document, with secrets masked in its values and unsafe characters escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping

from replica_cli.core.printable import printable_json
from replica_cli.logs.redaction import redact

Document = Mapping[str, object]


def dumps(document: Document, *, is_line: bool = False) -> str:
    """Return a document as text, indented or as one line, with secrets masked in its values."""
    # Secrets are masked before the document becomes text, so that a password such as "type" does not replace a key.
    return printable_json(json.dumps(_masked(document), ensure_ascii=False, indent=None if is_line else 2))


def _masked(value: object) -> object:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: _masked(each) for key, each in value.items()}
    return [_masked(each) for each in value] if isinstance(value, list) else value
