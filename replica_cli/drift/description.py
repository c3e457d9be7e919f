"""Describe parts of a table in SQL, so that people can compare the two sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from replica_cli.core.table import Column, ForeignKey, Index, IndexColumn


def describe_column(column: Column) -> str:
    """Return the column's type with its attributes: collation, generation expression, NULL, default and the like."""
    words = [column.column_type]
    if column.collation:
        words.append(f"COLLATE {column.collation}")
    if column.is_generated:
        words.append(describe_generated(column) or "")
    else:
        words.append("NULL" if column.is_nullable else "NOT NULL")
        if column.default is not None and column.default != "NULL":
            words.append(f"DEFAULT {column.default}")
        if column.extra:
            words.append(column.extra)
    return " ".join(words)


def describe_generated(column: Column) -> str | None:
    """Return how a generated column is computed, None for an ordinary column."""
    if not column.is_generated:
        return None
    kind = "STORED" if "STORED" in column.extra.upper() or "PERSISTENT" in column.extra.upper() else "VIRTUAL"
    return f"AS ({column.generation_expression}) {kind}"


def describe_index(index: Index) -> str:
    """Return an index as CREATE TABLE would write it, without its name."""
    kind = "PRIMARY KEY" if index.name == "PRIMARY" else "UNIQUE KEY" if index.is_unique else "KEY"
    if index.kind in ("FULLTEXT", "SPATIAL"):
        kind = f"{index.kind} KEY"
    text = f"{kind} ({', '.join(_part(c) for c in index.columns)})"
    return text if index.is_visible else f"{text} INVISIBLE"


def describe_foreign_key(key: ForeignKey) -> str:
    """Return a foreign key as CREATE TABLE would write it, without its name."""
    columns, parents = (", ".join(map(quote, names)) for names in (key.columns, key.parent_columns))
    return (
        f"FOREIGN KEY ({columns}) REFERENCES {quote_table(key.parent)} ({parents})"
        f" ON DELETE {key.on_delete} ON UPDATE {key.on_update}"
    )


def _part(column: IndexColumn) -> str:
    text = quote(column.name) if column.name else f"({column.expression})"
    if column.prefix_length is not None:
        text += f"({column.prefix_length})"
    return f"{text} DESC" if column.is_descending else text
