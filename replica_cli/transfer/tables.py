"""Make, fill and close one table on the secondary; closing it sets the end of its replay window."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.status import TableState
from replica_cli.mysql.binlog import current_position
from replica_cli.mysql.catalog import read_table
from replica_cli.sqlbuilder.chunks import after, join_literals
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.transfer.cuts import find_cuts
from replica_cli.transfer.modes import make
from replica_cli.transfer.reading import RangeReader, noticing_ddl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.chunks import KeyLiterals, PagingKey
    from replica_cli.transfer.plan import CopyPlan
    from replica_cli.transfer.table_copy import TableCopy


@contextmanager
def locked_table(reader: Session, facts: ServerFacts, name: TableName) -> Iterator[Position]:
    """Hold the table's read lock while the context lasts, because its engine has no snapshots."""
    reader.execute(f"LOCK TABLES {quote_table(name)} READ")
    try:
        yield current_position(reader, facts)
    finally:
        reader.execute("UNLOCK TABLES")


def split(reader: Session, table: TableCopy, plan: CopyPlan) -> tuple[RangeProgress, ...]:
    """Return the ranges of a table, cut at keys of rows.

    If the server's estimates give no good cuts, the copy walks along the index in steps of equal numbers of rows.
    """
    key, count = table.definition.key, table.planned.ranges
    if key is None or count < 2:
        return (RangeProgress(1),)
    with noticing_ddl():
        cuts = find_cuts(reader, table.definition.primary, key, count)
        if cuts is None:
            cuts = _cuts_by_walking(reader, table, key, plan)
    keys = [None, *map(join_literals, cuts), None]
    pairs = itertools.pairwise(keys)
    return tuple(RangeProgress(n, low, high) for n, (low, high) in enumerate(pairs, start=1))


def _cuts_by_walking(reader: Session, table: TableCopy, key: PagingKey, plan: CopyPlan) -> list[KeyLiterals]:
    definition, count = table.definition.primary, table.planned.ranges
    ranges = RangeReader(reader, definition, key, chunk_rows=plan.settings.chunk_rows, packet_limit=plan.packet_limit)
    cuts: list[KeyLiterals] = []
    step = max(1, definition.estimated_rows // count)
    while len(cuts) < count - 1:
        cut = ranges.boundary(after(key, cuts[-1]) if cuts else "", step - 1)
        if cut is None:
            break
        cuts.append(cut)
    return cuts


def begin_table(secondary: Session, plan: CopyPlan, table: TableCopy, ranges: tuple[RangeProgress, ...]) -> None:
    """Write the table's record and its ranges in one transaction. Its former progress must be deleted before."""
    table.note_progress()
    store_arguments = (plan.state_schema, plan.instance)
    record = TableRecord(table.name, TableState.COPYING, table.start, reason=table.reason)
    save = TableStore(secondary, *store_arguments).save_statement(record)
    begin = ProgressStore(secondary, *store_arguments).begin_statement(table.name, table.definition.fingerprint, ranges)
    secondary.execute_as_one([save, begin])


def add_foreign_keys(secondary: Session, table: TableCopy) -> None:
    """Add the foreign keys that do not exist yet. Rows are not checked, because they are of different moments."""
    statements = table.definition.statements.foreign_keys
    if not statements:
        return
    existing = read_table(secondary, table.target)
    clauses = [f"CONSTRAINT {quote(k.name)} FOREIGN KEY" for k in existing.foreign_keys] if existing else []
    for statement in statements:
        if not any(clause in statement for clause in clauses):
            make(secondary, statement, table.target, is_foreign_key=True)


def close_tables(
    secondary: Session,
    plan: CopyPlan,
    copies: list[TableCopy],
    *,
    end: Position,
    saved: SavedPosition | None,
    row_counts: dict[TableName, int],
) -> None:
    """Save the end of the replay window of each finished table; delete its progress in the same transaction.

    If the stream has passed the start of a table meanwhile (the plan says `joins`, or the `saved` position says so),
    the table still needs a catch-up.
    """
    tables = TableStore(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    progress.forget(*(table.name for table in copies))
    records = []
    for table in copies:
        if table.start is None:  # gone from the primary before its copy began: another run copies it
            continue
        # A snapshot shows one moment, so no change in the log overlaps with it.
        window_end = table.start if table.reads_whole else end
        state = TableState.JOINING if plan.joins or _is_passed(table.start, saved) else TableState.COPIED
        records.append(TableRecord(table.name, state, table.start, window_end, row_count=row_counts.get(table.name, 0)))
    tables.save_and_commit(records)


def _is_passed(start: Position, saved: SavedPosition | None) -> bool:
    """Return True if the stream has saved a position after `start`."""
    return saved is not None and not start.at_least(saved.position)
