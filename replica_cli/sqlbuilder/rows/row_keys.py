"""Read the key of a row from the text that the primary makes of the row. The next chunk begins after this key.

The text is that of `lines_query`: literals in parentheses, with a comma between two literals.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replica_cli.core.column_types import BYTES, REALS, TEXTS
from replica_cli.sqlbuilder.rows.chunks import key_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import Column, TableDefinition
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals, PagingKey

# One literal: text between quotes with its introducer, or digits and words. QUOTE() puts a backslash before quotes and
# backslashes, and does not double quotes. The quantifiers are possessive (`++`): to backtrack, the regular expression
# would need gigabytes of memory for a value of 64 MB with many backslashes.
_LITERAL = re.compile(rb"(?:\w*+'(?:[^'\\]++|\\.)*+'|[^,'])++", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SPECIAL = {b"0": b"\0", b"Z": b"\x1a"}


def key_of_row(text: bytes, definition: TableDefinition, key: PagingKey) -> KeyLiterals:
    """Return the key of a row as literals that compare as the columns do, as `key_expression` gives them.

    Args:
        text: the literals of the row in parentheses.
        definition: the table, which says in which order the columns are written.
        key: the key whose columns are returned.

    Raises:
        ValueError: the text does not hold exactly one literal for each written column.
    """
    return key_of_literals(_LITERAL.findall(text, 1, len(text) - 1), definition, key)


def key_of_literals(literals: Sequence[bytes], definition: TableDefinition, key: PagingKey) -> KeyLiterals:
    """Return the key of a row whose literals `value_expression` wrote, as `key_of_row` does.

    Raises:
        ValueError: there is not exactly one literal for each written column.
    """
    columns = definition.written_columns
    if len(literals) != len(columns):
        raise ValueError(f"{definition.name}: {len(literals)} literals for {len(columns)} columns")
    indexes = {column.name: index for index, column in enumerate(columns)}
    return tuple(_key_literal(literals[indexes[part.column.name]], part.column) for part in key.parts)


def _key_literal(literal: bytes, column: Column) -> str:
    if column.data_type in REALS:
        return f"({literal.decode()}+0e0)"
    if column.data_type in TEXTS | BYTES:
        return key_text(column, _ESCAPED.sub(lambda m: _SPECIAL.get(m[1], m[1]), literal[1:-1]))
    return literal.decode()
