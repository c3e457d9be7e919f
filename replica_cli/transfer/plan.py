"""Plan a copy: decide what it does with each table, before anything is written."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.layout import instances_of
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.progress import CopyProgress, ProgressStore
from replica_cli.checkpoint.schema import existing_state_tables
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.commands import former_name_advice, gone_advice
from replica_cli.core.errors import ApplyRefused, UnfinishedTransfer, UsageError
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.selection import SYSTEM_SCHEMAS
from replica_cli.core.status import UNFINISHED, TableState
from replica_cli.core.wording import counted, short_reason
from replica_cli.mysql.catalog import (
    list_names,
    read_catalog,
    read_tables,
    selected_schemas,
    show_creates,
)
from replica_cli.mysql.errnos import ER_NO_SUCH_TABLE, ServerError
from replica_cli.mysql.facts import known_facts
from replica_cli.mysql.holding import find_any
from replica_cli.sqlbuilder.chunks import source_of, split_literals
from replica_cli.sqlbuilder.definition import schema_statement
from replica_cli.transfer.cascade_groups import cascade_group, find_cascade_groups
from replica_cli.transfer.connections import packet_limit
from replica_cli.transfer.errors import TableAltered, TablesMissing, TablesOccupied, TablesRefused
from replica_cli.transfer.merged import find_merged
from replica_cli.transfer.orphan_tables import find_orphan_tables
from replica_cli.transfer.source import Origin, SourceTable, read_source, reread_source
from replica_cli.transfer.unmakeable import find_unmakeable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import TransferSettings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

# A smaller table is one range, because finding the cuts costs queries on the index.
SPLIT_ROWS = 50_000
_RANGES_PER_WORKER = 4
_TABLES_AT_ONCE = 100
_NAMED_TABLES = 3
_NO_NAMES: frozenset[str] = frozenset()
_CHECKS = (
    "SELECT constraint_schema, constraint_name FROM information_schema.check_constraints WHERE constraint_schema = "
)
_STATE_TABLES = frozenset({"binlog_position", "table_status", "transfer_progress"})
_RESUMED = (TableAction.DONE, TableAction.CONTINUE)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """The plan for one table.

    `planned` says what is done, `source` is the table on the primary, and `start` is the position at which an
    unfinished copy of the table started.
    """

    planned: PlannedTable
    source: SourceTable
    start: Position | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the plan saw on the secondary: the state rows, and the tables of the copy that exist.

    `targets` has the existing tables by their names on the secondary, each with True if it holds rows.
    """

    records: dict[TableName, TableRecord]
    progress: dict[TableName, CopyProgress]
    has_position: bool
    targets: dict[TableName, bool]


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """The plan of a whole copy to one secondary.

    Attributes:
        is_full: all selected tables are copied, so the instance's position starts with this copy.
        cascade_groups: the tables of each group are read in one snapshot.
        vanished: tables that may be replaced, and that the primary dropped or renamed while the plan was made.
        joins: a stream runs meanwhile, so the tables need a catch-up after the copy.
        is_done: the first copy was made before, and nothing is to be done.
        seen: the state of the secondary that the plan was made for; `still_holds` compares it.
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
    vanished: frozenset[TableName] = frozenset()
    warnings: tuple[str, ...] = ()
    joins: bool = False
    is_done: bool = False
    seen: Seen | None = None

    @property
    def starts_position(self) -> bool:
        """Return True if the copy saves a new position: it is full, and it begins instead of resuming."""
        return self.is_full and self.mode is not TransferMode.RESUME


def _origin(primary: Session, selection: Selection, facts: ServerFacts, target_facts: ServerFacts) -> Origin:
    is_crossing = facts.is_mariadb and not target_facts.is_mariadb
    return Origin(
        selection,
        facts.is_mariadb,
        target_facts.is_mariadb,
        facts.logs_cascades,
        to_version=target_facts.version,
        from_version=facts.version,
        shared_checks=_shared_checks(primary, selection) if is_crossing else _NO_NAMES,
    )


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
    facts, target_facts = known_facts(primary), known_facts(secondary)
    origin = _origin(primary, selection, facts, target_facts)
    existing = existing_state_tables(secondary, state_schema)
    records, progress = _load_state(secondary, state_schema, instance, existing)
    unfinished = {name for name, record in records.items() if record.state in UNFINISHED}
    has_position, others = _find_position(secondary, state_schema, instance, selection, existing)
    if mode is TransferMode.RESUME and not tables and not records and not has_position:
        mode = TransferMode.NEW
    if mode is TransferMode.NEW and not tables and unfinished:
        raise _unfinished_error(instance, len(unfinished))
    definitions = selected_definitions(primary, selection, tables, unfinished, recorded=records)
    if mode is TransferMode.RESUME:
        definitions = {name: definition for name, definition in definitions.items() if name in unfinished}
    seen = Seen(records, progress, has_position, _find_existing(secondary, selection, definitions))
    sources = _read_sources(primary, origin, definitions, find_unmakeable(secondary, definitions))
    may_replace = mode is TransferMode.RESTART or bool(tables)
    is_resumed = mode is TransferMode.RESUME
    plans = _plan_tables(sources, seen, settings, is_resumed=is_resumed)
    groups = () if facts.logs_cascades else find_cascade_groups({s.definition.name: s.definition for s in sources})
    plans = _with_snapshots(plans, groups)
    occupied = [plan.planned.target for plan in plans if plan.planned.action is TableAction.REPLACE and not may_replace]
    is_done = mode is TransferMode.RESUME and not unfinished
    if mode is TransferMode.NEW and not tables and has_position:
        is_done = _is_done(instance, plans, records, occupied)
    elif occupied and mode is TransferMode.NEW:
        raise TablesOccupied(instance, occupied, others)
    if is_done:
        mode, plans = TransferMode.RESUME, ()
    names = {source.definition.name for source in sources}
    # Only a copy in mode RESTART drops these tables. A first copy names them in a warning.
    vanished = frozenset(definitions.keys() - names) if mode is TransferMode.RESTART else frozenset()
    is_whole, known = not tables and not is_resumed, names | vanished
    schemas = _read_schemas(primary)
    orphans = find_orphan_tables(secondary, selection, [name for name, *_ in schemas], known) if is_whole else []
    return CopyPlan(
        instance=instance,
        state_schema=state_schema,
        mode=mode,
        is_full=not tables,
        is_done=is_done,
        tables=plans,
        schema_statements=_schema_statements(schemas, selection, definitions, origin, is_whole=is_whole),
        origin=origin,
        source_identity=facts.identity,
        cascade_groups=groups,
        settings=settings,
        packet_limit=packet_limit(facts.max_allowed_packet, target_facts.max_allowed_packet),
        vanished=vanished,
        seen=seen,
        warnings=(
            *_notes(sources),
            *((former_name_advice(others),) if others else ()),
            *(f"{orphan}: not on the primary, it stays on {instance} as it is" for orphan in orphans),
            *(_restart_warnings(plans, progress) if is_resumed else ()),
        ),
    )


def _unfinished_error(instance: str, count: int) -> UnfinishedTransfer:
    return UnfinishedTransfer(
        f"{instance}: a copy was begun and not finished ({counted(count, 'table')})",
        hint="`replica transfer --resume` goes on with it",
    )


def still_holds(plan: CopyPlan, secondary: Session) -> bool:
    """Return True if the secondary is still as the plan saw it. Raises ServerError, StateBroken.

    If a table was empty, return False, because it may have got rows since then.
    """
    seen = plan.seen
    if seen is None or not all(seen.targets.values()):
        return False
    existing = existing_state_tables(secondary, plan.state_schema)
    if not _STATE_TABLES.issubset(existing):
        return False
    store_arguments = (secondary, plan.state_schema, plan.instance)
    tables, progress, positions = (
        TableLifecycle(*store_arguments),
        ProgressStore(*store_arguments),
        PositionStore(*store_arguments),
    )
    answers = secondary.rows_of_each([tables.load_query, progress.load_query, positions.load_query])
    stored = (tables.loaded(answers[0]), progress.loaded(answers[1]), positions.loaded(answers[2]) is not None)
    targets = {table.planned.target for table in plan.tables}
    existing_targets = list_names(secondary, sorted({target.schema for target in targets})) & targets
    return (*stored, existing_targets) == (
        seen.records,
        seen.progress,
        seen.has_position,
        seen.targets.keys() & targets,
    )


def _notes(sources: Sequence[SourceTable]) -> list[str]:
    """Return what the copy makes otherwise than it is on the primary, one sentence each."""
    return [
        f"{s.definition.name}: {short_reason(note, s.definition.name)}" for s in sources for note in s.statements.notes
    ]


def _restart_warnings(plans: Sequence[TablePlan], progress: dict[TableName, CopyProgress]) -> list[str]:
    """Return a warning for each table of a resumed copy whose copied rows are copied again."""
    restarted = [p.planned for p in plans if p.planned.action not in _RESUMED and p.planned.name in progress]
    reasons = {True: "all its rows are read in one snapshot", False: "its definition or the filters have changed"}
    return [
        f"{p.name}: its copy begins again, as {reasons[p.method is CopyMethod.SNAPSHOT]}"
        for p in restarted
        if progress[p.name].row_count
    ]


def _is_done(
    instance: str,
    plans: Sequence[TablePlan],
    records: dict[TableName, TableRecord],
    occupied: Sequence[TableName],
) -> bool:
    """Return True if a first copy was made and every table exists.

    Raises:
        TablesMissing: some tables are missing or quarantined, and others hold rows.
    """
    quarantined = [name for name, record in records.items() if record.state is TableState.QUARANTINED]
    missing = [
        plan.planned.name
        for plan in plans
        if plan.planned.action is TableAction.CREATE and plan.planned.name not in quarantined
    ]
    if occupied and (missing or quarantined):
        raise TablesMissing(instance, [*missing, *quarantined])
    return not missing and not quarantined


def _find_position(
    secondary: Session, state_schema: str, instance: str, selection: Selection, existing: frozenset[str]
) -> tuple[bool, list[str]]:
    """Return True if the instance has a position; else False and the instances with a position of these filters."""
    if _has_position(secondary, state_schema, instance, existing):
        return True, []
    return False, instances_of(secondary, state_schema, existing, filters=selection.fingerprint)


def _has_position(secondary: Session, state_schema: str, instance: str, existing: frozenset[str]) -> bool:
    return "binlog_position" in existing and PositionStore(secondary, state_schema, instance).load() is not None


def _load_state(
    secondary: Session, state_schema: str, instance: str, existing: frozenset[str]
) -> tuple[dict[TableName, TableRecord], dict[TableName, CopyProgress]]:
    if not {"table_status", "transfer_progress"} <= existing:
        return {}, {}
    records = TableLifecycle(secondary, state_schema, instance).load()
    return records, ProgressStore(secondary, state_schema, instance).load()


def selected_definitions(
    primary: Session,
    selection: Selection,
    tables: Sequence[TableName],
    expected: Iterable[TableName] = (),
    *,
    recorded: Iterable[TableName] = (),
) -> dict[TableName, TableDefinition]:
    """Return the selected tables, or only `tables` with their cascade groups.

    `expected` is passed to `read_catalog`. `recorded` are tables that have a record in the state schema: the hint of
    the error uses them.

    Raises:
        UsageError: one of `tables` is not selected.
    """
    read = read_catalog(primary, selected_schemas(primary, selection), {*tables, *expected})
    definitions = {name: definition for name, definition in read.items() if selection.target(name)}
    missing = [table for table in tables if table not in definitions]
    if missing:
        hint = _missing_hint(missing, sorted(definitions), recorded)
        raise UsageError(f"not among the selected tables of the primary: {', '.join(map(str, missing))}", hint=hint)
    group = cascade_group(tables, definitions)
    return {name: definition for name, definition in definitions.items() if not tables or name in group}


def _missing_hint(missing: Sequence[TableName], names: Sequence[TableName], recorded: Iterable[TableName]) -> str:
    """Return the hint for tables that are not selected.

    A table with a record in the state schema was selected before. Other names may be mistyped.
    """
    hint = "check the name and the filters"
    if gone := sorted(set(missing) & set(recorded)):
        return f"{hint}; {gone_advice(gone)}"
    tables = [name.table for name in names]
    similar_tables = {t for name in missing for t in difflib.get_close_matches(name.table, tables, n=1)}
    similar = [str(name) for name in names if name.table in similar_tables][:_NAMED_TABLES]
    return f"{hint}; similar names: {', '.join(similar)}" if similar else hint


def _shared_checks(primary: Session, selection: Selection) -> frozenset[str]:
    """Return the names of checks that several tables would have in one schema of the secondary."""
    schemas = selected_schemas(primary, selection)
    answers = primary.rows_of_each([_CHECKS + primary.escape(schema) for schema in schemas]) if schemas else []
    names = Counter(
        (selection.schema_target(str(schema)), str(name).lower()) for rows in answers for schema, name in rows
    )
    return frozenset(name for (_, name), count in names.items() if count > 1)


def _find_existing(
    secondary: Session, selection: Selection, definitions: dict[TableName, TableDefinition]
) -> dict[TableName, bool]:
    """Return the tables of the copy that exist on the secondary, each with True if it holds rows."""
    targets = {t for n in definitions if (t := selection.target(n))}
    if len(targets) != len(definitions):
        raise ApplyRefused(
            "two tables of the primary get the same name on the secondary", hint="change REPLICA_SCHEMAS"
        )
    catalog = read_catalog(secondary, sorted({t.schema for t in targets}))
    existing = sorted(targets & catalog.keys())
    holds_rows: dict[TableName, bool] = {}
    for first in range(0, len(existing), _TABLES_AT_ONCE):
        portion = existing[first : first + _TABLES_AT_ONCE]
        # Old row versions count too: a table with history may have no current row.
        holds_rows |= dict(
            zip(portion, find_any(secondary, [_any_row_query(catalog[t]) for t in portion]), strict=True)
        )
    return holds_rows


def _any_row_query(definition: TableDefinition) -> str:
    # A sequence always has one row. If it is as it was made, it counts as an empty table.
    is_used = " WHERE next_not_cached_value <> start_value OR cycle_count <> 0" if definition.is_sequence else ""
    return f"SELECT 1 FROM {source_of(definition)}{is_used} LIMIT 1"


def _read_sources(
    primary: Session, origin: Origin, definitions: dict[TableName, TableDefinition], refused: dict[TableName, str]
) -> list[SourceTable]:
    """Read each table and check that it can be copied exactly. Raises TablesRefused."""
    sources: dict[TableName, SourceTable | None] = {}
    refused = dict(refused)
    merged = find_merged(primary, definitions)
    texts = show_creates(primary, [n for n, d in definitions.items() if not d.is_sequence])
    for definition in definitions.values():
        if (merge := merged.get(definition.name)) is not None:
            refused[definition.name] = f"changes through {merge} (engine MERGE) are logged as rows of that table"
            continue
        try:
            sources[definition.name] = read_source(primary, origin, definition, texts.get(definition.name))
        except TableAltered:
            sources[definition.name] = None
        except ServerError as error:
            if error.errno != ER_NO_SUCH_TABLE:
                raise
            # Dropped or renamed since the catalog was read. A new name is found after the position is read.
        except ApplyRefused as error:
            refused[definition.name] = error.message
    # Columns and statement belong together only if the table was not altered between the two queries.
    current = _read_again(primary, list(sources))
    for name in [n for n in sources if sources[n] is None or current.get(n) != definitions[n]]:
        try:
            sources[name] = reread_source(primary, origin, name)
        except ApplyRefused as error:
            refused[name] = error.message
    if refused:
        raise TablesRefused(refused)
    return [source for source in sources.values() if source is not None]


def _read_again(primary: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return the tables as they are now.

    Many tables are read by schema, because reading each by its name costs several answers.
    """
    if len(names) <= _TABLES_AT_ONCE:
        return read_tables(primary, names)
    return read_catalog(primary, sorted({n.schema for n in names}), names)


def _with_snapshots(plans: tuple[TablePlan, ...], groups: tuple[frozenset[TableName], ...]) -> tuple[TablePlan, ...]:
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


def _plan_tables(
    sources: Sequence[SourceTable], seen: Seen, settings: TransferSettings, *, is_resumed: bool
) -> tuple[TablePlan, ...]:
    # Tables with fewer bytes than this keep the workers evenly busy without being split.
    least_bytes = sum(s.definition.estimated_bytes for s in sources) // (settings.workers * _RANGES_PER_WORKER)
    return tuple(_plan_table(s, seen, settings, least_bytes, is_resumed=is_resumed) for s in sources)


def _plan_table(
    source: SourceTable, seen: Seen, settings: TransferSettings, least_bytes: int, *, is_resumed: bool
) -> TablePlan:
    """Plan one table. Each of its ranges has about `least_bytes` bytes or more."""
    definition, key = source.definition, source.key
    name, target = definition.name, source.target
    record, progress = seen.records.get(name), seen.progress.get(name)
    most_ranges = min(settings.workers * 2, math.ceil(definition.estimated_bytes / max(least_bytes, 1)))
    ranges = min(most_ranges, definition.estimated_rows * 2 // SPLIT_ROWS) if key else 1
    action, start = TableAction.CREATE, None
    if target in seen.targets:
        action = TableAction.REPLACE if seen.targets[target] else TableAction.FILL
    can_continue = is_resumed and record is not None and record.copy_start is not None and target in seen.targets
    if can_continue and progress is not None and _fits(progress, source):
        if progress.is_verified:
            action = TableAction.DONE
        elif key:
            action = TableAction.CONTINUE
    if action in (TableAction.DONE, TableAction.CONTINUE) and record is not None and progress is not None:
        start, ranges = record.copy_start, len(progress.ranges)
    planned = PlannedTable(
        name=name,
        target=target,
        action=action,
        method=CopyMethod.RANGES if key else CopyMethod.SNAPSHOT,
        key=key.names if key else (),
        rows_estimated=definition.estimated_rows,
        bytes_estimated=definition.estimated_bytes,
        ranges=max(1, ranges if definition.estimated_rows >= SPLIT_ROWS or action is TableAction.CONTINUE else 1),
        rows_copied=progress.row_count if action in _RESUMED and progress else 0,
    )
    return TablePlan(planned, source, start)


def _fits(progress: CopyProgress, source: SourceTable) -> bool:
    """Return True if the progress is of the current definition, with keys of as many columns as the paging key."""
    keys = [key for r in progress.ranges for key in (r.last_key, r.high_key) if key is not None]
    width = len(source.key.parts) if source.key else 0
    return progress.fingerprint == source.fingerprint and all(len(split_literals(key)) == width for key in keys)


def _read_schemas(primary: Session) -> list[tuple[str, str, str]]:
    """Return name, charset and collation of each schema of the primary."""
    rows = primary.rows(
        "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
    )
    return [(str(name), str(charset), str(collation)) for name, charset, collation in rows]


def _schema_statements(
    schemas: Sequence[tuple[str, str, str]],
    selection: Selection,
    definitions: dict[TableName, TableDefinition],
    origin: Origin,
    *,
    is_whole: bool,
) -> tuple[str, ...]:
    names = {n.schema for n in definitions}
    if is_whole and not selection.tables:
        # Schemas without a table are made too, because the first table may come with the stream. If the selection has
        # patterns of tables, these schemas are not made, because possibly no pattern selects a table of them.
        names |= {name for name, *_ in schemas if name not in SYSTEM_SCHEMAS}
    statements = []
    for schema, charset, collation in schemas:
        target = selection.schema_target(schema)
        if schema in names and target:
            default = origin.crossing.schema_default(charset, collation)
            statements.append(schema_statement(target, *default))
    return tuple(statements)
