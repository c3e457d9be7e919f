"""Build queries that read JSON documents on the primary: their text, and the types that the text hides (MySQL).

The copy uses them (transfer/rows/documents.py), and the repair of rows (verify/row_values.py).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.rows.chunks import PagingKey, enum_zero_expression, source_of, value_expression, where

if TYPE_CHECKING:
    from replica_cli.core.table import TableDefinition

# The types that the text of a value tells; all others are "opaque". The JSON literal null is NULL in JSON_TABLE.
_PLAIN = "'OBJECT','ARRAY','STRING','INTEGER','UNSIGNED INTEGER','DOUBLE','BOOLEAN','NULL'"


def documents_query(definition: TableDefinition, key: PagingKey | None, condition: str) -> str:
    """Return the query for the text of all documents: one column for each JSON column."""
    texts = ", ".join(_names(definition))
    return f"SELECT {texts} FROM {source_of(definition, key)}{where(condition)}"


def opaque_query(definition: TableDefinition, key: PagingKey | None, condition: str) -> str:
    """Return the query that gives one row if any document holds a value whose type its text does not tell."""
    is_opaque = " OR ".join(_is_opaque(name) for name in _names(definition))
    both = f"({condition}) AND ({is_opaque})" if condition else is_opaque
    return f"SELECT 1 FROM {source_of(definition, key)}{where(both)} LIMIT 1"


def typed_rows_query(definition: TableDefinition, key: PagingKey | None, condition: str) -> str:
    """Return the query for rows with the types of all values in their documents.

    Its columns are one literal for each column, a flag that is 1 if an ENUM holds index 0, and then three for each JSON
    column: the text, the type, and a JSON array of the numbers and types of all values inside (NULL if there are none).
    """
    literals = [value_expression(c) for c in definition.written_columns]
    types = [part for name in _names(definition) for part in type_expressions(name)]
    columns = ", ".join([*literals, enum_zero_expression(definition) or "0", *types])
    return f"SELECT {columns} FROM {source_of(definition, key)}{where(condition)}"


def type_expressions(name: str) -> tuple[str, str, str]:
    """Return SQL for the text, the type, and a JSON array of the numbers and types of all values inside a document."""
    return _text(name), f"JSON_TYPE({name})", _kinds(name)


def kinds_in_order(array: bytes | str | None) -> list[str | None]:
    """Return the types of all values inside a document, from the array of `type_expressions`, in their order."""
    # Each type comes with its number, because an aggregate does not guarantee an order.
    return [kind for _, kind in sorted(json.loads(array))] if array is not None else []


def _names(definition: TableDefinition) -> list[str]:
    return [quote(c.name) for c in definition.written_columns if c.data_type == "json"]


def _text(name: str) -> str:
    return f"CAST({name} AS CHAR CHARACTER SET utf8mb4)"


def _values(name: str, columns: str) -> str:
    # The values are not put into the document again: one more level may be too many for MySQL. The paths name their
    # charset, because the session has binary strings.
    inside = f"JSON_EXTRACT({name},_utf8mb4'$**.*',_utf8mb4'$**[*]')"
    return f"JSON_TABLE({inside},_utf8mb4'$[*]' COLUMNS ({columns}v JSON PATH _utf8mb4'$')) AS x"


def _is_opaque(name: str) -> str:
    inner = f"SELECT 1 FROM {_values(name, '')} WHERE JSON_TYPE(x.v) NOT IN ({_PLAIN})"
    return f"JSON_TYPE({name}) NOT IN ({_PLAIN}) OR EXISTS ({inner})"


def _kinds(name: str) -> str:
    pairs = "JSON_ARRAYAGG(JSON_ARRAY(x.o,CONVERT(JSON_TYPE(x.v) USING utf8mb4)))"
    return f"(SELECT CAST({pairs} AS CHAR) FROM {_values(name, 'o FOR ORDINALITY,')})"
