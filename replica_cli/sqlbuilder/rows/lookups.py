"""Build queries that find rows and their index entries, only to make the server read the pages into memory.

The applier runs them ahead of the changes of these rows (applier/prefetch/prefetch.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.column_types import GEOMETRIES
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.sqlbuilder.rows.row_statements import Literals

# No literal of these types finds an entry of an index.
_NOT_COMPARED = GEOMETRIES | {"json", "vector"}


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is looked up for the changed rows of a table.

    Attributes:
        target: the table on the secondary.
        names: the columns of the primary key, then the other indexed columns.
        key_width: the number of columns of the primary key.
        indexes: the name of each other index, and where its columns are in `names`.
        is_update: the changes are updates. An update that changes no column of an index does not touch that index.
    """

    target: TableName
    names: tuple[str, ...]
    key_width: int
    indexes: tuple[tuple[str, tuple[int, ...]], ...]
    is_update: bool

    @property
    def pages(self) -> int:
        """Return about how many pages one row needs: one, and one in each index. An update needs two in each index."""
        return 1 + len(self.indexes) * (2 if self.is_update else 1)


def lookup_of(definition: TableDefinition, *, is_update: bool) -> Lookup | None:
    """Return what to look up for a table, or None if literals cannot find its rows by their primary key.

    Only tables of InnoDB are looked up. Other indexes of which literals find no entry are left out.
    """
    key = definition.primary_key
    by_name = definition.columns_by_name
    if key is None or definition.kind != "BASE TABLE" or definition.engine.upper() != "INNODB":
        return None
    names = {part.name: column_number for column_number, part in enumerate(key.columns)}
    indexes = []
    for index in definition.indexes:
        columns = [by_name.get(part.name) for part in index.columns]
        is_plain = index.kind == "BTREE" and index.is_visible and all(p.prefix_length is None for p in index.columns)
        if not is_plain or any(c is None or c.is_generated or c.data_type in _NOT_COMPARED for c in columns):
            if index is key:
                return None
            continue
        if index is not key:
            column_numbers = tuple(names.setdefault(part.name, len(names)) for part in index.columns)
            indexes.append((index.name, column_numbers))
    return Lookup(definition.name, tuple(names), len(key.columns), tuple(indexes), is_update)


def lookup_queries(lookup: Lookup, rows: Sequence[tuple[Literals, Literals]]) -> list[str]:
    """Return the queries for changed rows: one for the primary key and one for each other index that changes.

    Args:
        lookup: what to look up.
        rows: for each change the row after it and the row before it, as literals of `lookup.names`.
    """
    key = range(lookup.key_width)
    queries = [_query(lookup, "PRIMARY", key, {row[: lookup.key_width]: row for pair in rows for row in pair}.values())]
    for name, columns in lookup.indexes:
        column_numbers = (*columns, *(column_number for column_number in key if column_number not in columns))
        entries: dict[Literals, Literals] = {}
        for after, before in rows:
            old, new = (
                tuple(before[column_number] for column_number in column_numbers),
                tuple(after[column_number] for column_number in column_numbers),
            )
            if not lookup.is_update or old != new:
                entries[old], entries[new] = before, after
        if entries:
            queries.append(_query(lookup, name, column_numbers, entries.values()))
    return queries


def _query(lookup: Lookup, index: str, column_numbers: Sequence[int], rows: Iterable[Literals]) -> str:
    # The primary key follows the index's own columns, so that each condition matches one entry even if many rows have
    # the same values.
    conditions = " OR ".join(
        "("
        + " AND ".join(
            f"{quote(lookup.names[column_number])}<=>{row[column_number].decode()}" for column_number in column_numbers
        )
        + ")"
        for row in rows
    )
    return f"SELECT COUNT(*) FROM {quote_table(lookup.target)} FORCE INDEX ({quote(index)}) WHERE {conditions}"
