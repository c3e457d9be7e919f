"""SQL that digests a row on the server: from every column a text that is equal only for equal values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.mysql.session import Session

_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset(
    {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector", "geometry", "point", "linestring",
     "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}
)  # fmt: skip
_ADDRESSES = frozenset({"uuid", "inet4", "inet6"})
_LISTS = frozenset({"enum", "set"})
# The end of a row version: of a current row it is the last moment that the server's release knows.
_END = "row end"
_LAST_MOMENTS = ("2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999")


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What decides how a column is digested, as the server tells it."""

    data_type: str
    charset: str | None
    keeps_minus_zero: bool = False


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A column, quoted too, and the expression for its value's bytes.

    `is_json_across`: JSON here and text there, which only a parser can compare.
    """

    name: str
    column: str
    value: str
    is_json_across: bool


def column_facts(session: Session, schema: str, table: str) -> dict[str, ColumnFacts]:
    """Return a table's columns by lower-case name, invisible and generated ones too, in their order."""
    found = session.rows(
        "SELECT column_name, data_type, character_set_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        schema, table,
    )  # fmt: skip
    keeps = not session.is_mariadb
    return {str(name).lower(): ColumnFacts(str(kind).lower(), charset, keeps) for name, kind, charset in found}


def period_facts(session: Session, schema: str, table: str) -> dict[str, ColumnFacts]:
    """Return the columns in which a system-versioned table keeps the start and the end of each row version."""
    found = session.rows(
        "SELECT column_name, generation_expression FROM information_schema.columns WHERE table_schema = %s"
        " AND table_name = %s AND generation_expression IN ('ROW START', 'ROW END')",
        schema, table,
    )  # fmt: skip
    period = found or [("row_start", "ROW START"), ("row_end", "ROW END")]
    return {str(name).lower(): ColumnFacts(_END if words == "ROW END" else "timestamp", None) for name, words in period}


def compared_columns(
    a: Mapping[str, ColumnFacts], b: Mapping[str, ColumnFacts]
) -> tuple[list[ComparedColumn], list[ComparedColumn]]:
    """Return A's columns as each side must spell them, so that equal values give equal texts."""
    pairs = [(name, facts, b[name]) for name, facts in a.items()]
    return (
        [_compared(name, mine, other) for name, mine, other in pairs],
        [_compared(name, mine, other) for name, other, mine in pairs],
    )


def digest_of(columns: Sequence[ComparedColumn]) -> str:
    """Return an expression for a row's digest: 32 hexadecimal digits, NULL only for a row beyond the packet limit."""
    # Each value hashed by itself first: rows of any width stay short, and no value can imitate a separator.
    # SHA2, as MySQL 9.6 and later have no MD5(); IF, as IFNULL would take a value that is too large for NULL.
    # No separator: each part is '-' or 64 digits.
    parts = ["'row'"]
    parts += [f"IF({c.column} IS NULL, '-', SHA2({c.value}, 256))" for c in columns if not c.is_json_across]
    return f"LEFT(SHA2(CONCAT({', '.join(parts)}), 256), 32)"


def row_text(columns: Sequence[ComparedColumn]) -> str:
    """Return an expression that shows a row to people: names and values, long ones cut."""
    parts = []
    for column in columns:
        label = column.name.replace("\\", "").replace("'", "")
        # Hexadecimal unless it is plain text: invisible differences are the ones that matter.
        shown = f"CONVERT({column.value} USING utf8mb4)"
        is_plain = f"HEX({column.value}) REGEXP '^([2-6][0-9A-F]|7[0-9A-E])*$'"
        text = f"IF({is_plain}, QUOTE(LEFT({shown}, 60)), CONCAT('0x', LEFT(HEX({column.value}), 80)))"
        parts.append(f"CONCAT('{label}=', COALESCE({text}, 'NULL'))")
    return f"CONCAT_WS(', ', {', '.join(parts)})"


def canonical_json(text: str | None) -> str:
    """Return a document in one form whoever wrote it: MySQL keeps its own, MariaDB the text as it came."""
    return "-" if text is None else json.dumps(json.loads(text), sort_keys=True)


def _compared(name: str, mine: ColumnFacts, other: ColumnFacts) -> ComparedColumn:
    column = "`" + name.replace("`", "``") + "`"
    is_json_across = "json" in (mine.data_type, other.data_type) and mine.data_type != other.data_type
    return ComparedColumn(name, column, _value(column, mine, other), is_json_across)


def _unsigned_zero(text: str, mine: ColumnFacts, other: ColumnFacts) -> str:
    # MariaDB has no -0: it is another way to write 0, and the same number.
    if mine.keeps_minus_zero == other.keeps_minus_zero:
        return text
    return f"IF({text} REGEXP '^-[0.]+$', SUBSTR({text}, 2), {text})"


def _value(column: str, mine: ColumnFacts, other: ColumnFacts) -> str:
    if mine.data_type in _LISTS:
        # The number too: an invalid value reads like the empty string. Plus zero, a wide SET is a DOUBLE on MySQL.
        return f"CAST(CONCAT(CAST({column} AS UNSIGNED), ':', CONVERT({column} USING utf8mb4)) AS BINARY)"
    # A text's own bytes; characters only where the charsets differ, which is drift to be found elsewhere.
    is_text = mine.data_type in _TEXT and mine.charset == other.charset
    is_address = mine.data_type in _ADDRESSES and other.data_type == "binary"
    if mine.data_type in _BYTES or is_text or is_address:
        return f"CAST({column} AS BINARY)"
    if mine.data_type == "float":
        # As a number FLOAT prints six digits and hides the rest; as DOUBLE it prints what it is. The sign apart, as
        # MySQL cuts what is computed to 22 characters.
        text = f"CONCAT(IF(LEFT({column}, 1) = '-', '-', ''), ABS({column}) + 0e0)"
        return f"CAST({_unsigned_zero(text, mine, other)} AS BINARY)"
    text = f"CONVERT({column} USING utf8mb4)"
    if mine.data_type == "double":
        text = _unsigned_zero(text, mine, other)
    elif mine.data_type == _END:
        text = f"IF({text} IN {_LAST_MOMENTS}, 'current', {text})"
    elif mine.data_type == "bit":
        text = f"{column} + 0"
    return f"CAST({text} AS BINARY)"
