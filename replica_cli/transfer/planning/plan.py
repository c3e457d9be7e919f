"""Plan a copy: decide what it does with each table, before anything is written.

`plan_copy` reads both servers. What is decided from that, `plan_tables` and `is_done_already`, needs no server.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.commands import former_name_advice
from replica_cli.core.errors import UnfinishedTransfer
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.selection import SYSTEM_SCHEMAS
from replica_cli.core.wording import counted, short_reason
from replica_cli.mysql.facts import known_facts
from replica_cli.sqlbuilder.definitions.create_statements import schema_statement
from replica_cli.sqlbuilder.rows.chunks import split_literals
from replica_cli.transfer.connections import packet_limit
from replica_cli.transfer.errors import TablesMissing, TablesOccupied
from replica_cli.transfer.planning.cascade_groups import find_cascade_groups
from replica_cli.transfer.planning.primary_tables import (
    read_definitions,
    read_origin,
    read_schemas,
    selected_definitions,
)
from replica_cli.transfer.planning.secondary_state import (
    SecondaryState,
    find_existing,
    find_orphan_tables,
    find_unmakeable,
    is_unchanged,
    read_secondary_state,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.checkpoint.progress import TableRanges
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import TransferSettings
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.planning.copy_definition import CopyDefinition, Origin

# A smaller table is one range, because finding the cuts costs queries on the index.
SPLIT_ROWS = 50_000
_RANGES_PER_WORKER = 4
_RESUMED = (TableAction.DONE, TableAction.CONTINUE)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """The plan for one table: the part that people see, what the table is, and where an unfinished copy started.

    `start` is the position at which that copy started, None if the table is copied from its beginning.
    """

    planned: PlannedTable
    definition: CopyDefinition
    start: Position | None = None


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The plan of a whole copy to one secondary.

    Attributes:
        is_full: all selected tables are copied, so the instance's position starts with this copy.
        cascade_groups: the tables of each group are read in one snapshot.
        vanished: tables that may be replaced, and that the primary dropped or renamed while the plan was made.
        needs_catch_up: a stream runs meanwhile, so the tables need a catch-up after the copy.
        is_done: the first copy was made before, and nothing is to be done.
        secondary_state: what the plan was made for; `still_holds` compares it.
    """

    instance: str
    state_schema: str
    mode: TransferMode
    is_full: bool
    tables: tuple[TablePlan, ...]
    schema_statements: tuple[str, ...]
    origin: Origin
    source_identity: str
    cascade_groups: tuple[frozenset[TableName], ...]
    settings: TransferSettings
    packet_limit: int
    secondary_state: SecondaryState
    vanished: frozenset[TableName] = frozenset()
    warnings: tuple[str, ...] = ()
    needs_catch_up: bool = False
    is_done: bool = False

    @property
    def shown(self) -> tuple[PlannedTable, ...]:
        """Return the part of the plan that people see."""
        return tuple(table.planned for table in self.tables)

    @property
    def starts_position(self) -> bool:
        """Return True if the copy saves a new position: it is full, and it begins instead of resuming."""
        return self.is_full and self.mode is not TransferMode.RESUME


def still_holds(plan: CopyPlan, secondary: Session) -> bool:
    """Return True if the secondary is still as the plan saw it. Raises ServerError, StateBroken."""
    targets = {table.target for table in plan.shown}
    return is_unchanged(plan.secondary_state, targets, secondary, plan.state_schema, plan.instance)


def plan_copy(
    primary: Session,
    secondary: Session,
    selection: Selection,
    *,
    instance: str,
    state_schema: str,
    settings: TransferSettings,
    mode: TransferMode = TransferMode.NEW,
    tables: Sequence[TableName] = (),
) -> CopyPlan:
    """Plan a copy of all selected tables, or only of `tables` (by the primary's names). Write nothing.

    Tables that are named in `tables` are dropped and copied again. A full copy replaces tables with rows only in mode
    RESTART. Mode RESUME continues what is unfinished, and begins a new copy if none was begun.

    Raises:
        UnfinishedTransfer: a copy is unfinished, and the mode is NEW.
        TablesOccupied: tables hold rows, and the copy may not replace them.
        TablesMissing: the first copy is done, but tables are missing or quarantined on the secondary.
        TablesRefused: tables cannot be copied exactly.
        UsageError: one of `tables` is not selected.
    """
    facts, secondary_facts = known_facts(primary), known_facts(secondary)
    origin = read_origin(primary, selection, facts, secondary_facts)
    state = read_secondary_state(secondary, state_schema, instance, selection)
    is_full = not tables
    mode = _mode_to_plan(mode, state, instance, is_full=is_full)
    selected = selected_definitions(primary, selection, tables, state.unfinished, recorded=state.records)
    if mode is TransferMode.RESUME:
        selected = {name: table for name, table in selected.items() if name in state.unfinished}
    state = replace(state, targets=find_existing(secondary, selection, selected))
    definitions = read_definitions(primary, origin, selected, find_unmakeable(secondary, selected))
    groups = () if facts.logs_cascades else find_cascade_groups({d.name: d.primary for d in definitions})
    is_resumed = mode is TransferMode.RESUME
    plans = plan_tables(definitions, state, settings, groups, is_resumed=is_resumed)
    is_done = is_done_already(plans, state, instance, mode, is_full=is_full)
    if is_done:
        mode, plans = TransferMode.RESUME, ()
    names = {definition.name for definition in definitions}
    # Only a copy in mode RESTART drops these tables. A first copy names them in a warning.
    vanished = frozenset(selected.keys() - names) if mode is TransferMode.RESTART else frozenset()
    is_whole = is_full and not is_resumed
    schemas = read_schemas(primary)
    orphans = find_orphan_tables(secondary, selection, [s for s, *_ in schemas], names | vanished) if is_whole else []
    return CopyPlan(
        instance=instance,
        state_schema=state_schema,
        mode=mode,
        is_full=is_full,
        is_done=is_done,
        tables=plans,
        schema_statements=_schema_statements(schemas, origin, {n.schema for n in selected}, is_whole=is_whole),
        origin=origin,
        source_identity=facts.identity,
        cascade_groups=groups,
        settings=settings,
        packet_limit=packet_limit(facts.max_allowed_packet, secondary_facts.max_allowed_packet),
        vanished=vanished,
        secondary_state=state,
        warnings=(
            *_definition_warnings(definitions),
            *((former_name_advice(state.other_instances),) if state.other_instances else ()),
            *(f"{orphan}: not on the primary, it stays on {instance} as it is" for orphan in orphans),
            *(_restart_warnings(plans, state) if is_resumed else ()),
        ),
    )


def _mode_to_plan(mode: TransferMode, state: SecondaryState, instance: str, *, is_full: bool) -> TransferMode:
    """Return the mode of the plan: nothing can be resumed on a secondary without any state, so a new copy begins.

    Raises:
        UnfinishedTransfer: a copy is unfinished, and the user asked for a new one.
    """
    if mode is TransferMode.RESUME and is_full and not state.records and not state.has_position:
        return TransferMode.NEW
    if mode is TransferMode.NEW and is_full and state.unfinished:
        raise UnfinishedTransfer(
            f"{instance}: a copy was begun and not finished ({counted(len(state.unfinished), 'table')})",
            hint="`replica transfer --resume` goes on with it",
        )
    return mode


def is_done_already(
    plans: Sequence[TablePlan], state: SecondaryState, instance: str, mode: TransferMode, *, is_full: bool
) -> bool:
    """Return True if nothing is to be done: no copy is unfinished, or the first copy was made and every table exists.

    Raises:
        TablesOccupied: no copy was made, and tables hold rows that the copy may not replace.
        TablesMissing: the first copy was made, some tables are missing or quarantined, and others hold rows.
    """
    if mode is TransferMode.RESUME:
        return not state.unfinished
    if mode is TransferMode.RESTART or not is_full:
        return False
    occupied = [plan.planned.target for plan in plans if plan.planned.action is TableAction.REPLACE]
    if not state.has_position:
        if occupied:
            raise TablesOccupied(instance, occupied, state.other_instances)
        return False
    quarantined = state.quarantined
    missing = [
        plan.planned.name
        for plan in plans
        if plan.planned.action is TableAction.CREATE and plan.planned.name not in quarantined
    ]
    if occupied and (missing or quarantined):
        raise TablesMissing(instance, [*missing, *quarantined])
    return not missing and not quarantined


def plan_tables(
    definitions: Sequence[CopyDefinition],
    state: SecondaryState,
    settings: TransferSettings,
    groups: Collection[frozenset[TableName]] = (),
    *,
    is_resumed: bool = False,
) -> tuple[TablePlan, ...]:
    """Return what a copy does with each table.

    Args:
        definitions: the tables.
        state: what the secondary holds.
        settings: the number of workers decides how many ranges a table has.
        groups: the cascade groups; each is read in one snapshot.
        is_resumed: the copy continues what an earlier copy has begun.

    """
    # Tables with fewer bytes than this keep the workers evenly busy without being split.
    least_bytes = sum(d.primary.estimated_bytes for d in definitions) // (settings.workers * _RANGES_PER_WORKER)
    plans = [_plan_table(d, state, settings, least_bytes, is_resumed=is_resumed) for d in definitions]
    return _with_snapshots(plans, groups)


def _plan_table(
    definition: CopyDefinition, state: SecondaryState, settings: TransferSettings, least_bytes: int, *, is_resumed: bool
) -> TablePlan:
    """Plan one table. Each of its ranges has about `least_bytes` bytes or more."""
    table, key = definition.primary, definition.key
    record, progress = state.records.get(table.name), state.progress.get(table.name)
    action = _action(definition, state, is_resumed=is_resumed)
    start, rows_copied, ranges = None, 0, 1
    if action in _RESUMED and record is not None and progress is not None:
        start, rows_copied, ranges = record.copy_start, progress.row_count, len(progress.ranges)
    elif key:
        most_ranges = min(settings.workers * 2, math.ceil(table.estimated_bytes / max(least_bytes, 1)))
        ranges = min(most_ranges, table.estimated_rows * 2 // SPLIT_ROWS)
    if table.estimated_rows < SPLIT_ROWS and action is not TableAction.CONTINUE:
        ranges = 1
    planned = PlannedTable(
        name=table.name,
        target=definition.target,
        action=action,
        method=CopyMethod.RANGES if key else CopyMethod.SNAPSHOT,
        key=key.names if key else (),
        rows_estimated=table.estimated_rows,
        bytes_estimated=table.estimated_bytes,
        ranges=max(1, ranges),
        rows_copied=rows_copied,
    )
    return TablePlan(planned, definition, start)


def _action(definition: CopyDefinition, state: SecondaryState, *, is_resumed: bool) -> TableAction:
    """Return what happens to a table on the secondary before its rows are copied."""
    name, target = definition.name, definition.target
    if target not in state.targets:
        return TableAction.CREATE
    record, progress = state.records.get(name), state.progress.get(name)
    has_begun = is_resumed and record is not None and record.copy_start is not None
    if has_begun and progress is not None and _fits(progress, definition):
        if progress.is_verified:
            return TableAction.DONE
        if definition.key:
            return TableAction.CONTINUE
    return TableAction.REPLACE if state.targets[target] else TableAction.FILL


def _fits(progress: TableRanges, definition: CopyDefinition) -> bool:
    """Return True if the progress is of the current definition, with keys of as many columns as the paging key."""
    keys = [key for r in progress.ranges for key in (r.last_key, r.high_key) if key is not None]
    width = len(definition.key.parts) if definition.key else 0
    return progress.fingerprint == definition.fingerprint and all(len(split_literals(key)) == width for key in keys)


def _with_snapshots(plans: Sequence[TablePlan], groups: Collection[frozenset[TableName]]) -> tuple[TablePlan, ...]:
    """Plan each cascade group as one snapshot.

    If not all tables of a group are copied already, all of them begin again.
    """
    actions = {p.planned.name: p.planned.action for p in plans}
    snapshots = {name for group in groups for name in group}
    restarted = {n for group in groups if any(actions[n] is not TableAction.DONE for n in group) for n in group}
    result = []
    for plan in plans:
        planned, start = plan.planned, plan.start
        if planned.name in snapshots:
            planned = replace(planned, method=CopyMethod.SNAPSHOT, ranges=1)
        if planned.name in restarted:
            action = TableAction.REPLACE if planned.action in _RESUMED else planned.action
            planned, start = replace(planned, action=action, rows_copied=0), None
        result.append(replace(plan, planned=planned, start=start))
    return tuple(result)


def _definition_warnings(definitions: Sequence[CopyDefinition]) -> list[str]:
    """Return what the copy makes otherwise than it is on the primary, one sentence each."""
    return [f"{d.name}: {short_reason(note, d.name)}" for d in definitions for note in d.statements.notes]


def _restart_warnings(plans: Sequence[TablePlan], state: SecondaryState) -> list[str]:
    """Return a warning for each table of a resumed copy whose copied rows are copied again."""
    restarted = [p.planned for p in plans if p.planned.action not in _RESUMED and p.planned.name in state.progress]
    reasons = {True: "all its rows are read in one snapshot", False: "its definition or the filters have changed"}
    return [
        f"{p.name}: its copy begins again, as {reasons[p.method is CopyMethod.SNAPSHOT]}"
        for p in restarted
        if state.progress[p.name].row_count
    ]


def _schema_statements(
    schemas: Sequence[tuple[str, str, str]], origin: Origin, names: Collection[str], *, is_whole: bool
) -> tuple[str, ...]:
    """Return what makes the schemas of the copy, whose `names` are those on the primary."""
    selection = origin.selection
    wanted = set(names)
    if is_whole and not selection.tables:
        # Schemas without a table are made too, because the first table may come with the stream. If the selection has
        # patterns of tables, these schemas are not made, because possibly no pattern selects a table of them.
        wanted |= {name for name, *_ in schemas if name not in SYSTEM_SCHEMAS}
    statements = []
    for schema, charset, collation in schemas:
        target = selection.schema_target(schema)
        if schema in wanted and target:
            statements.append(schema_statement(target, *origin.crossing.schema_default(charset, collation)))
    return tuple(statements)
