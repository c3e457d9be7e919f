"""The key of a row, read out of the text that the primary made of the row: where the next chunk begins.

The text is that of `lines_query`: literals between brackets, with a comma between two of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.chunks import FLOATING, STRINGS, key_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.sqlbuilder.chunks import KeyLiterals, PagingKey

# One literal: text between quotes, with what may stand before it, or digits and words. QUOTE() puts a backslash before
# quotes and backslashes, and writes no quote twice. Nothing is tried in another way (`++`): to be able to, a value of
# 64 MB with many backslashes takes gigabytes.
_LITERAL = re.compile(rb"(?:\w*+'(?:[^'\\]++|\\.)*+'|[^,'])++", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SPECIAL = {b"0": b"\0", b"Z": b"\x1a"}


def key_of_row(text: bytes, definition: TableDefinition, key: PagingKey) -> KeyLiterals:
    """Return the key of a row as literals that compare as the columns do, as `key_expression` gives them.

    `text` is the row's in brackets. Raises ValueError where it does not hold a literal for each column that is written.
    """
    return key_of_literals(_LITERAL.findall(text, 1, len(text) - 1), definition, key)


def key_of_literals(literals: Sequence[bytes], definition: TableDefinition, key: PagingKey) -> KeyLiterals:
    """Return the key of a row of which each column is a literal of `value_expression`. Raises ValueError."""
    columns = definition.written_columns
    if len(literals) != len(columns):
        raise ValueError(f"{definition.name}: {len(literals)} literals for {len(columns)} columns")
    places = {column.name: place for place, column in enumerate(columns)}
    return tuple(_key_literal(literals[places[part.column.name]], part.column) for part in key.parts)


def _key_literal(literal: bytes, column: Column) -> str:
    if column.data_type in FLOATING:
        return f"({literal.decode()}+0e0)"
    if column.data_type in STRINGS:
        return key_text(column, _ESCAPED.sub(lambda m: _SPECIAL.get(m[1], m[1]), literal[1:-1]))
    return literal.decode()
