"""Decide how each table is compared: along which key, and by which text of each column."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from replica_cli.core.column_types import FIXED_BINARIES, INTEGERS, TEXTS
from replica_cli.sqlbuilder.rows.chunks import PagingKey, paging_key, source_of
from replica_cli.sqlbuilder.rows.row_hashes import HashedTable, Joining
from replica_cli.sqlbuilder.rows.row_texts import ComparedColumn, Sides, value_text
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of
from replica_cli.verify.cascades import CascadeEdge, Cascades, CascadeTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.names import TableName
    from replica_cli.core.table import Column, TableDefinition


class NotComparable(Exception):
    """A table cannot be compared; the text says why."""


@dataclass(frozen=True)
class VerifiedTable:
    """A table to compare.

    Attributes:
        name: the primary's name.
        primary: the table on the primary, with its key.
        secondary: the table on the secondary, with the same key.
        logged_part: the table on the secondary without generated columns, which some releases leave out of row images.
        logged: the columns that the primary's row events contain.
        cascades: the foreign keys that change its rows without row events of its own.
        rows_estimated: the primary's estimate of the number of rows.
        is_versioned: all versions of its rows are compared.
        has_snapshots: the primary can read it as of one moment. An engine without transactions cannot.
        change: what identifies the last DDL statement about it, empty if there was none.
    """

    name: TableName
    primary: HashedTable
    secondary: HashedTable
    logged_part: HashedTable
    logged: tuple[Column, ...]
    cascades: Cascades
    rows_estimated: int = 0
    is_versioned: bool = False
    has_snapshots: bool = True
    change: str = ""

    @cached_property
    def definition(self) -> str:
        """Return a fingerprint of what is compared: another one means that the table was altered or replaced."""
        edges = sorted(map(repr, self.cascades.edges))
        texts = (self.primary.hashes_query(), self.secondary.hashes_query(), *edges, self.change)
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    @property
    def names(self) -> tuple[tuple[TableName, TableName], ...]:
        """Return the names on the primary and the secondary of the table, and of those that foreign keys connect."""
        return ((self.name, self.secondary.name), *((t.name, t.target) for t in self.cascades.tables))

    @property
    def key(self) -> PagingKey | None:
        """Return the key along which the table is read, None if it has no key that serves for that."""
        return self.primary.key


def cascades_into(
    table: TableDefinition, definitions: Mapping[TableName, TableDefinition], targets: Mapping[TableName, TableName]
) -> Cascades:
    """Return the foreign keys that change rows of a table without row events, directly or through other tables.

    Args:
        table: the table.
        definitions: the primary's tables.
        targets: the names of the replicated tables on the secondary.
    """
    edges: list[CascadeEdge] = []
    seen, waiting = {table.name}, [table]
    while waiting:
        child = waiting.pop()
        for key in child.foreign_keys:
            if key.acts and key.parent in definitions and key.parent in targets and child.name in targets:
                edges.append(CascadeEdge(key.parent, child.name, key.parent_columns, key.columns))
                if key.parent not in seen:
                    seen.add(key.parent)
                    waiting.append(definitions[key.parent])
    if not edges:
        return Cascades()
    columns = {name: sorted({c for e in edges if e.parent == name for c in e.parent_columns}) for name in seen}
    tables = (
        CascadeTable(name, targets[name], definitions[name].logged_columns, tuple(columns[name]))
        for name in sorted(seen)
    )
    return Cascades(tuple(tables), tuple(edges))


def plan_table(
    primary: TableDefinition,
    secondary: TableDefinition | None,
    sides: Sides,
    cascades: Cascades,
    change: str = "",
) -> VerifiedTable:
    """Return how to compare a table.

    Args:
        primary: its definition on the primary.
        secondary: its definition on the secondary, None if the table does not exist there.
        sides: the flavours of the primary and of the secondary.
        cascades: the foreign keys that change its rows without row events of its own.
        change: what identifies the last DDL statement about it.

    Raises:
        NotComparable: the tables cannot be compared.
    """
    if secondary is None:
        raise NotComparable("the secondary does not have the table: `replica drift check`")
    if secondary.is_sequence:
        raise NotComparable("on the secondary it is a sequence: `replica drift check`")
    if kind_of(secondary.engine) is not EngineKind.KEPT:
        raise NotComparable(
            f"on the secondary its engine is {secondary.engine}, which has no transactions: `replica drift check --sql`"
        )
    logged = primary.logged_columns
    primary, secondary = _with_history(primary, secondary)
    own = {c.name.lower(): c for c in primary.columns if _is_stored(c)}
    others = {c.name.lower(): c for c in secondary.columns if _is_stored(c)}
    if missing := [c.name for name, c in own.items() if name not in others]:
        raise NotComparable(f"the secondary has no column {', '.join(missing)}: `replica drift check`")
    back = Sides(sides.other_is_mariadb, sides.is_mariadb)
    columns, other_columns = [], []
    for name, column in own.items():
        other = others[name]
        texts = value_text(column, other, sides), value_text(other, column, back)
        if texts[0] is None or texts[1] is None:
            types = f"{column.column_type} and {other.column_type}"
            raise NotComparable(f"column {column.name}: values of {types} cannot be compared")
        columns.append(ComparedColumn(column, texts[0], other.data_type))
        other_columns.append(ComparedColumn(other, texts[1], column.data_type))
    # All versions of a row have the same key.
    key = None if primary.is_versioned else paging_key(primary)
    other_key = None if key is None else _same_key(key, secondary)
    if other_key is None:
        key = None
    whole = tuple(other_columns)
    written = tuple(c for c, mine in zip(whole, columns, strict=True) if not mine.column.is_generated)
    if key is None:
        # The log tells by how much the sums of the whole table must differ.
        columns = [c for c in columns if not c.column.is_generated]
        whole = written
    # Equal rows would cancel each other, so a table without a key needs sums. MariaDB has no XOR of bytes.
    joining = Joining.XOR if sides.is_mariadb or sides.other_is_mariadb else Joining.XOR_OF_BYTES
    joining = Joining.SUM if key is None else joining
    return VerifiedTable(
        primary.name,
        HashedTable(primary.name, source_of(primary, key), key, tuple(columns), joining),
        HashedTable(secondary.name, source_of(secondary, other_key), other_key, whole, joining),
        HashedTable(secondary.name, source_of(secondary, other_key), other_key, written, joining),
        logged,
        cascades,
        primary.estimated_rows,
        primary.is_versioned and secondary.is_versioned,
        kind_of(primary.engine) is EngineKind.KEPT,
        change,
    )


def _with_history(primary: TableDefinition, secondary: TableDefinition) -> tuple[TableDefinition, TableDefinition]:
    # If only one server keeps history, the current rows are compared.
    if primary.is_versioned and secondary.is_versioned:
        return primary.with_history(), secondary.with_history()
    return primary, secondary


def _is_stored(column: Column) -> bool:
    # A VIRTUAL column is computed from the others, in the sql_mode of the session that reads it.
    return not column.is_generated or (not column.is_of_period and "VIRTUAL" not in column.extra.upper())


def _same_key(key: PagingKey, secondary: TableDefinition) -> PagingKey | None:
    """Return the secondary's index that has the same columns and orders the rows in the same way, None without one."""
    other = paging_key(secondary)
    if other is None or len(other.parts) != len(key.parts):
        return None
    is_same = all(
        a.column.name.lower() == b.column.name.lower()
        and a.is_descending == b.is_descending
        and _is_ordered_alike(a.column, b.column)
        for a, b in zip(key.parts, other.parts, strict=True)
    )
    return other if is_same else None


def _is_ordered_alike(own: Column, other: Column) -> bool:
    if own.data_type in TEXTS or other.data_type in TEXTS:
        return own.charset == other.charset and own.collation == other.collation
    if own.data_type in FIXED_BINARIES or other.data_type in FIXED_BINARIES:
        return own.data_type == other.data_type
    return own.data_type == other.data_type or {own.data_type, other.data_type} <= INTEGERS
