"""Build SQL that digests a row on the server, from a text for each column that is equal only for equal values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.column_types import BYTES, FIXED_BINARIES, GEOMETRIES, LISTS, TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.mysql.session import Session

_BYTES = BYTES | GEOMETRIES | {"vector"}
# The end of a row version. For a current row it is the last moment that the server's release knows.
_END = "row end"
_LAST_MOMENTS = ("2038-01-19 03:14:07.999999", "2106-02-07 06:28:15.999999")


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the catalog says about a column and what decides how it is digested."""

    data_type: str
    charset: str | None
    keeps_minus_zero: bool = False


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A column to compare.

    Attributes:
        name: its name.
        column: its name as SQL.
        value: the expression for the bytes of its value.
        is_json_across: the column is JSON on one server and text on the other, which only a parser can compare.
    """

    name: str
    column: str
    value: str
    is_json_across: bool


def column_facts(session: Session, schema: str, table: str) -> dict[str, ColumnFacts]:
    """Return a table's columns by lower-case name in their order, also the invisible and the generated ones."""
    rows = session.rows(
        "SELECT column_name, data_type, character_set_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        schema, table,
    )  # fmt: skip
    keeps = not session.is_mariadb
    return {str(name).lower(): ColumnFacts(str(kind).lower(), charset, keeps) for name, kind, charset in rows}


def period_facts(session: Session, schema: str, table: str) -> dict[str, ColumnFacts]:
    """Return the columns in which a system-versioned table keeps the start and the end of each row version."""
    rows = session.rows(
        "SELECT column_name, generation_expression FROM information_schema.columns WHERE table_schema = %s"
        " AND table_name = %s AND generation_expression IN ('ROW START', 'ROW END')",
        schema, table,
    )  # fmt: skip
    period = rows or [("row_start", "ROW START"), ("row_end", "ROW END")]
    return {str(name).lower(): ColumnFacts(_END if words == "ROW END" else "timestamp", None) for name, words in period}


def compared_columns(
    a: Mapping[str, ColumnFacts], b: Mapping[str, ColumnFacts]
) -> tuple[list[ComparedColumn], list[ComparedColumn]]:
    """Return the columns of A with the expressions for A and for B, so that equal values give equal texts."""
    pairs = [(name, facts, b[name]) for name, facts in a.items()]
    return (
        [_compared(name, own, other) for name, own, other in pairs],
        [_compared(name, own, other) for name, other, own in pairs],
    )


def digest_of(columns: Sequence[ComparedColumn]) -> str:
    """Return the expression for a row's digest: 32 hexadecimal digits, or NULL for a row over the packet limit."""
    # Each value is hashed first, so that rows of any width stay short. Each part is then '-' or 64 digits and needs no
    # separator, which a value could imitate. SHA2, because MySQL 9.6 and later have no MD5(). IF, because IFNULL would
    # take a value that is too large for NULL.
    parts = ["'row'"]
    parts += [f"IF({c.column} IS NULL, '-', SHA2({c.value}, 256))" for c in columns if not c.is_json_across]
    return f"LEFT(SHA2(CONCAT({', '.join(parts)}), 256), 32)"


def row_text(columns: Sequence[ComparedColumn]) -> str:
    """Return the expression for a readable text of a row: names and values, with long values cut."""
    parts = []
    for column in columns:
        label = column.name.replace("\\", "").replace("'", "")
        # Hexadecimal unless it is plain ASCII, so that invisible differences are shown.
        shown = f"CONVERT({column.value} USING utf8mb4)"
        is_plain = f"HEX({column.value}) REGEXP '^([2-6][0-9A-F]|7[0-9A-E])*$'"
        text = f"IF({is_plain}, QUOTE(LEFT({shown}, 60)), CONCAT('0x', LEFT(HEX({column.value}), 80)))"
        parts.append(f"CONCAT('{label}=', COALESCE({text}, 'NULL'))")
    return f"CONCAT_WS(', ', {', '.join(parts)})"


def canonical_json(text: str | None) -> str:
    """Return a document in one form for both flavours. MySQL stores its own form, MariaDB the text as written."""
    return "-" if text is None else json.dumps(json.loads(text), sort_keys=True)


def _compared(name: str, own: ColumnFacts, other: ColumnFacts) -> ComparedColumn:
    column = "`" + name.replace("`", "``") + "`"
    is_json_across = "json" in (own.data_type, other.data_type) and own.data_type != other.data_type
    return ComparedColumn(name, column, _value(column, own, other), is_json_across)


def _unsigned_zero(text: str, own: ColumnFacts, other: ColumnFacts) -> str:
    # MariaDB does not keep -0 apart from 0, and both are the same number.
    if own.keeps_minus_zero == other.keeps_minus_zero:
        return text
    return f"IF({text} REGEXP '^-[0.]+$', SUBSTR({text}, 2), {text})"


def _value(column: str, own: ColumnFacts, other: ColumnFacts) -> str:
    if own.data_type in LISTS:
        # The number too, because an invalid value reads like the empty string. CAST, because on MySQL plus zero makes a
        # DOUBLE of a wide SET.
        return f"CAST(CONCAT(CAST({column} AS UNSIGNED), ':', CONVERT({column} USING utf8mb4)) AS BINARY)"
    # The bytes of a text. Its characters only if the charsets differ, which is drift and is detected elsewhere.
    is_text = own.data_type in TEXTS and own.charset == other.charset
    is_address = own.data_type in FIXED_BINARIES and other.data_type == "binary"
    if own.data_type in _BYTES or is_text or is_address:
        return f"CAST({column} AS BINARY)"
    if own.data_type == "float":
        # As a FLOAT it is printed with six digits, as a DOUBLE with all. The sign is written on its own, because MySQL
        # cuts a computed value to 22 characters.
        text = f"CONCAT(IF(LEFT({column}, 1) = '-', '-', ''), ABS({column}) + 0e0)"
        return f"CAST({_unsigned_zero(text, own, other)} AS BINARY)"
    text = f"CONVERT({column} USING utf8mb4)"
    if own.data_type == "double":
        text = _unsigned_zero(text, own, other)
    elif own.data_type == _END:
        text = f"IF({text} IN {_LAST_MOMENTS}, 'current', {text})"
    elif own.data_type == "bit":
        text = f"{column} + 0"
    return f"CAST({text} AS BINARY)"
