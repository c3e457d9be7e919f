"""Save where the replay window of a copy begins and ends, with the states of its tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import PositionStore, SavedPosition
from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import EndedCopy, NewCopy, TableRecord
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.mysql.binlog.snapshots import visible_position
from replica_cli.mysql.errnos import ServerError
from replica_cli.side_by_side import side_by_side
from replica_cli.transfer.errors import PlanChanged, TablesOccupied
from replica_cli.transfer.make_tables import drop_table
from replica_cli.transfer.planning.schema_changes import SchemaChanges, find_schema_changes, gone_since
from replica_cli.transfer.planning.secondary_state import find_existing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.lock_waits import LockWaits
    from replica_cli.transfer.planning.plan import CopyPlan
    from replica_cli.transfer.table_copy import TableCopy


def begin_copy(
    primary: Session,
    secondary: Session,
    facts: ServerFacts,
    plan: CopyPlan,
    copies: list[TableCopy],
    *,
    stop: StopToken,
    waits: LockWaits,
) -> tuple[Position | None, frozenset[TableName]]:
    """Save the start of the copy: the position and the state of each table.

    Tables that were added or dropped while the copy was planned leave `copies`.

    Returns:
        The start position, None if no table is copied from its beginning, and the tables that another plan must copy.

    Raises:
        PlanChanged: the primary has made a table whose rows on the secondary the plan keeps. Nothing was changed.
        TablesOccupied: the same in a first copy.
    """

    def read_start() -> tuple[Position | None, SchemaChanges, frozenset[TableName]]:
        needs_start = plan.starts_position or any(table.copies_from_start for table in copies)
        start = visible_position(primary, facts, stop) if needs_start else None
        if plan.starts_position:
            return start, find_schema_changes(primary, plan, stop), frozenset()
        return start, SchemaChanges(), gone_since(primary, [table.name for table in copies if table.copies_from_start])

    (start, changes, gone), _ = side_by_side(read_start, partial(_make_schemas, secondary, plan))
    _check_added(secondary, plan, changes.added)
    _apply_schema_changes(secondary, plan, copies, changes, waits)
    fresh = [table for table in copies if table.copies_from_start]
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    if not plan.starts_position:
        _keep_reasons(plan, copies, tables.load())
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    # To wait for the primary and for locks may take long. Another process that writes by now has records of its own.
    waits.endpoints.guard(secondary)
    secondary.begin()
    first_statements: list[bytes] = []
    if plan.starts_position and start is not None:
        positions = PositionStore(secondary, plan.state_schema, plan.instance)
        positions.make_room(plan.source_identity, plan.origin.selection)
        start_statement = positions.start_statement(start, plan.source_identity, plan.origin.selection)
        first_statements = [start_statement, tables.forget_all_statement(), progress.forget_all_statement()]
    for table in fresh:
        is_gone = table.name in gone
        # A table that is read whole starts at the position of its own snapshot, which is opened later.
        table.start_at(None if table.reads_whole or is_gone else start)
        if is_gone:
            # It was dropped or renamed before the position, so no later event in the log says that. It must be planned
            # again.
            table.repeat_later()
    new = [NewCopy(name, "made while the copy was planned") for name in sorted(changes.added)]
    new += [NewCopy(table.name, table.reason, table.start) for table in fresh]
    if not plan.starts_position:
        progress.forget(*(copy.name for copy in new))
    tables.begin_copies(new, first_statements)
    return start, changes.added


def _check_added(secondary: Session, plan: CopyPlan, added: frozenset[TableName]) -> None:
    """Raise PlanChanged or TablesOccupied if an added table would replace the rows of an orphan table.

    The plan said that the orphan table stays. The next plan, which copies the added tables, is not shown.
    """
    replaceable = plan.vanished | plan.secondary_state.unfinished | {table.planned.name for table in plan.tables}
    unplanned = added - replaceable
    existing = find_existing(secondary, plan.origin.selection, unplanned) if unplanned else {}
    if occupied := sorted(target for target, holds_rows in existing.items() if holds_rows):
        if plan.mode is TransferMode.RESTART:
            raise PlanChanged(plan.instance, occupied, ())
        raise TablesOccupied(plan.instance, occupied, plan.secondary_state.other_instances)


def _make_schemas(secondary: Session, plan: CopyPlan) -> None:
    create_state_schema(secondary, plan.state_schema)
    for answer in secondary.execute_ones(plan.schema_statements):
        if isinstance(answer, ServerError):
            raise answer


def _keep_reasons(plan: CopyPlan, copies: list[TableCopy], records: Mapping[TableName, TableRecord]) -> None:
    """Take over from the state rows why tables are copied again: if the copy fails too, both reasons are reported.

    A table without a reason belongs to a first copy.
    """
    for table in copies:
        recorded = records[table.name].reason if table.name in records else ""
        table.explain(recorded or ("" if plan.is_full else "asked for by `transfer --table`"))


def _apply_schema_changes(
    secondary: Session, plan: CopyPlan, copies: list[TableCopy], changes: SchemaChanges, waits: LockWaits
) -> None:
    """Drop tables that the primary has dropped meanwhile, and remove them and the added ones from `copies`."""
    for name in sorted(changes.dropped):
        target = plan.origin.selection.target(name)
        if target is not None:
            # The log after the position does not have the DROP of this table.
            drop_table(secondary, name, target, waits)
    copies[:] = [table for table in copies if table.name not in changes.dropped | changes.added]


def begin_table(secondary: Session, plan: CopyPlan, table: TableCopy, ranges: tuple[RangeProgress, ...]) -> None:
    """Write the table's record and its ranges in one transaction. Its former progress must be deleted before."""
    table.note_progress()
    store_arguments = (plan.state_schema, plan.instance)
    copy = NewCopy(table.name, table.reason, table.start)
    started = TableLifecycle(secondary, *store_arguments).copy_started_statement(copy)
    begin = ProgressStore(secondary, *store_arguments).begin_statement(table.name, table.definition.fingerprint, ranges)
    secondary.execute_as_one([started, begin])


def reset_repeated(secondary: Session, plan: CopyPlan, copies: list[TableCopy]) -> None:
    """Reset the state and progress of tables that must be copied again."""
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    repeated = [table for table in copies if table.must_repeat]
    for table in repeated:
        table.discard_result()
    progress.forget(*(table.name for table in repeated))
    altered = "altered while it was copied"
    tables.begin_copies([NewCopy(table.name, table.reason or altered) for table in repeated])


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

    If the stream has passed the start of a table meanwhile (the plan has `needs_catch_up`, or `saved` is later),
    the table still needs a catch-up.
    """
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    progress.forget(*(table.name for table in copies))
    ended = []
    for table in copies:
        if table.start is None:  # gone from the primary before its copy began: another run copies it
            continue
        # A snapshot shows one moment, so no change in the log overlaps with it.
        window_end = table.start if table.reads_whole else end
        must_catch_up = plan.needs_catch_up or _is_passed(table.start, saved)
        ended.append(EndedCopy(table.name, table.start, window_end, row_counts.get(table.name, 0), must_catch_up))
    tables.end_copies(ended)


def _is_passed(start: Position, saved: SavedPosition | None) -> bool:
    """Return True if the stream has saved a position after `start`."""
    return saved is not None and not start.at_least(saved.position)
