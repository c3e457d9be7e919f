"""Read keys that were stored as SQL literals. Text that this program never writes must not be run as SQL."""

from __future__ import annotations

import re

# A row as sqlbuilder/rows/chunks.py writes it: of numbers, of text in quotes or hex with or without charset, and
# of floating-point numbers. This program wrote no other key, and any other text would be run as SQL.
_LITERAL = rb"(?:-?[0-9.]+(?:e[+-]?[0-9]+)?|(?:_\w+ ?)?'[^'\\]*'|(?:_\w+ ?)?x'[0-9A-Fa-f]*'|\('[-+.0-9A-Za-z]*'\+0e0\))"
_KEY = re.compile(rb"\(" + _LITERAL + rb"(?:, " + _LITERAL + rb")*\)")


def check_key(key: bytes | None) -> bytes | None:
    """Return a stored key, None for none. Raises ValueError if this program never writes such a text."""
    if key is not None and not _KEY.fullmatch(key):
        raise ValueError(f"{key[:40]!r} is not a key that this program writes")
    return key
