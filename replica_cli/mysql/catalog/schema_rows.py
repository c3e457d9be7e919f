"""Turn rows of information_schema into columns, indexes, foreign keys and table definitions.

The queries are in catalog.py. They select the columns in the order in which this module unpacks them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.core.table import Column, ForeignKey, Index, IndexColumn, TableDefinition, TableName
from replica_cli.mysql.catalog.expressions import extra_text, mariadb_default, mysql_default, unescaped

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Value


@dataclass(slots=True)
class Parts:
    """The rows that the queries of catalog.py return for one table.

    `columns` are pairs of ordinal position and column, because rows come in any order. `statistics` and `keys` hold
    rows by the name of the index or the constraint. `rules` are ON UPDATE and ON DELETE by the name of the foreign key.
    """

    columns: list[tuple[int, Column]] = field(default_factory=list)
    statistics: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    keys: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)
    checks: list[tuple[str, str]] = field(default_factory=list)
    column_checks: set[str] = field(default_factory=set)
    triggers: list[str] = field(default_factory=list)


def column(row: Row, *, is_mariadb: bool) -> tuple[int, Column]:
    """Return the ordinal position and the column of a row of information_schema.columns."""
    (_, _, name, data_type, column_type, nullable, default, charset, collation, extra, generation, characters, octets,
     precision, scale, fraction, comment, srid, ordinal) = row  # fmt: skip
    kind, words, is_nullable = str(data_type).lower(), str(extra or ""), nullable == "YES"
    expression = str(generation or "")
    if expression:
        default = None
    elif is_mariadb:
        default = mariadb_default(_text(default), kind)
    else:
        default = mysql_default(_text(default), kind, words, is_nullable=is_nullable)
    return int(ordinal), Column(
        name=str(name),
        data_type=kind,
        column_type=str(column_type),
        is_nullable=is_nullable,
        default=default,
        charset=_text(charset),
        collation=_text(collation),
        extra=extra_text(words),
        generation_expression=expression if is_mariadb else unescaped(expression),
        character_length=_number(characters),
        octet_length=_number(octets),
        precision=_number(precision),
        scale=_number(scale),
        fraction_digits=int(fraction or 0),
        comment=str(comment or ""),
        srid=_number(srid),
    )


def definition(name: TableName, row: Row, parts: Parts) -> TableDefinition:
    """Return the definition that a table's row of information_schema.tables and its other rows describe."""
    _, _, kind, engine, collation, row_count, byte_count, options, comment = row
    return TableDefinition(
        name=name,
        engine=str(engine or ""),
        collation=str(collation or ""),
        columns=tuple(c for _, c in sorted(parts.columns, key=lambda pair: pair[0])),
        indexes=tuple(_index(n, rows) for n, rows in sorted(parts.statistics.items())),
        foreign_keys=tuple(foreign_key(n, rows, parts.rules) for n, rows in sorted(parts.keys.items())),
        checks=tuple(sorted(parts.checks)),
        column_checks=frozenset(parts.column_checks),
        triggers=tuple(sorted(parts.triggers)),
        kind=str(kind),
        comment=str(comment or ""),
        create_options=str(options or ""),
        estimated_rows=int(row_count or 0),
        estimated_bytes=int(byte_count or 0),
    )


def _index(name: str, rows: list[Row]) -> Index:
    rows = sorted(rows, key=lambda row: int(row[10]))
    _, _, _, not_unique, _, _, _, kind, is_visible, _, _ = rows[0]
    # For a spatial index the server shows the length of its bounding box, which is not part of the definition.
    has_prefixes = kind not in ("SPATIAL", "FULLTEXT")
    columns = tuple(
        IndexColumn(
            name=str(column_name or ""),
            prefix_length=_number(prefix) if has_prefixes else None,
            is_descending=direction == "D",
            expression=unescaped(str(expression or "")),
        )
        for _, _, _, _, column_name, prefix, direction, _, _, expression, _ in rows
    )
    return Index(name, not int(not_unique), columns, str(kind), bool(int(is_visible)))


def foreign_key(name: str, rows: list[Row], rules: dict[str, tuple[str, str]]) -> ForeignKey:
    """Return a foreign key from its rows of information_schema.key_column_usage.

    `rules` are ON UPDATE and ON DELETE by the name of the foreign key. A key without an entry gets RESTRICT.
    """
    rows = sorted(rows, key=lambda row: int(row[7]))
    on_update, on_delete = rules.get(name, ("RESTRICT", "RESTRICT"))
    return ForeignKey(
        name=name,
        columns=tuple(str(row[3]) for row in rows),
        parent=TableName(str(rows[0][4]), str(rows[0][5])),
        parent_columns=tuple(str(row[6]) for row in rows),
        on_update=on_update,
        on_delete=on_delete,
    )


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _number(value: Value) -> int | None:
    return None if value is None else int(value)
