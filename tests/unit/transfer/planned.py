"""Definitions and states from plain data, for tests of plans and copies without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import RangeProgress, TableRanges
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.position import Position
from replica_cli.core.status import TableState
from replica_cli.core.table import Column, ForeignKey, Index, IndexColumn, TableDefinition, TableName
from replica_cli.sqlbuilder.definitions.create_statements import CreateStatements
from replica_cli.sqlbuilder.rows.chunks import paging_key
from replica_cli.transfer.planning.copy_definition import CopyDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence

START = Position("binlog.000001", 4711)


def name(table: str) -> TableName:
    return TableName("shop", table)


def target(table: str) -> TableName:
    return TableName("copy", table)


def primary_table(
    table: str, *, rows: int = 10, size: int = 1000, key: Sequence[str] = ("id",), parents: Sequence[str] = ()
) -> TableDefinition:
    """Return a table of the primary; `parents` are tables whose changes act on its rows."""
    columns = [Column(column, "int", "int", is_nullable=column not in key) for column in ("id", "a")]
    indexes = [Index("PRIMARY", is_unique=True, columns=tuple(map(IndexColumn, key)))] if key else []
    foreign_keys = [ForeignKey(f"fk_{p}", ("a",), name(p), ("id",), "RESTRICT", "CASCADE") for p in parents]
    return TableDefinition(
        name(table), "InnoDB", "utf8mb4_bin", tuple(columns), tuple(indexes), tuple(foreign_keys),
        estimated_rows=rows, estimated_bytes=size,
    )  # fmt: skip


def definition(table: TableDefinition, fingerprint: str = "as it is now") -> CopyDefinition:
    own = table.name.table
    statements = CreateStatements(
        f"CREATE TABLE copy.{own} ()", notes=("its comment is left out",) if own == "n" else ()
    )
    return CopyDefinition(table, target(own), statements, fingerprint, paging_key(table), needs_lock=False)


def record(table: str, state: TableState = TableState.COPYING, start: Position | None = START) -> TableRecord:
    return TableRecord(name(table), state, copy_start=start)


def progress(
    *keys: bytes | None, fingerprint: str = "as it is now", is_verified: bool = False, rows: int = 7
) -> TableRanges:
    """Return the progress of a copy with one range for each key that was copied last."""
    ranges = tuple(RangeProgress(n, key, row_count=rows, is_done=is_verified) for n, key in enumerate(keys, start=1))
    return TableRanges(fingerprint, is_verified, ranges)
