"""What a copy would do, decided before anything is written."""

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
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.commands import former_name_advice, gone_advice
from replica_cli.core.errors import ApplyRefused, UnfinishedTransfer, UsageError
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.selection import SYSTEM_SCHEMAS
from replica_cli.core.status import UNFINISHED, TableState
from replica_cli.core.wording import counted, told_once
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
from replica_cli.transfer.cascade_groups import families, family
from replica_cli.transfer.connections import packet_limit
from replica_cli.transfer.errors import TableAltered, TablesMissing, TablesOccupied, TablesRefused
from replica_cli.transfer.merged import find_merged
from replica_cli.transfer.orphan_tables import find_orphan_tables
from replica_cli.transfer.source import Origin, SourceTable, read_source, reread_source
from replica_cli.transfer.unmakeable import find_unmakeable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.core.position import Position
    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import TransferSettings
    from replica_cli.core.table import TableDefinition, TableName
    from replica_cli.mysql.session import Session

# Below this a table is one range: splitting costs a walk along the index.
SPLIT_ROWS = 50_000
_PIECES_OF_A_WORKER = 4
_TABLES_AT_ONCE = 100
_NAMED_TABLES = 3
_NONE: frozenset[str] = frozenset()
_CHECKS = (
    "SELECT constraint_schema, constraint_name FROM information_schema.check_constraints WHERE constraint_schema = "
)
_STATE = frozenset({"binlog_position", "table_status", "transfer_progress"})
_KEPT = (TableAction.DONE, TableAction.CONTINUE)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table: what is done (`planned`), how it looks on the primary, and where an unfinished copy started."""

    planned: PlannedTable
    source: SourceTable
    start: Position | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a plan found on the secondary: our own state, and the copy's tables, each with whether it has rows."""

    records: dict[TableName, TableRecord]
    progress: dict[TableName, CopyProgress]
    has_position: bool
    targets: dict[TableName, bool]


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """A whole copy to one secondary. `is_full`: the instance's position starts with it.

    `families` are tables that are read in one snapshot. `joins`: a stream goes on meanwhile, and the tables have to be
    brought up to it afterwards. `is_done`: the first copy was made before, and nothing is to be done. `vanished` are
    tables that may be replaced and that the primary dropped or renamed while the plan was made. `seen` is what it is
    made for (`still_holds`).
    """

    instance: str
    state_schema: str
    mode: TransferMode
    is_full: bool
    tables: tuple[TablePlan, ...]
    schema_statements: tuple[str, ...]
    origin: Origin
    source_identity: str
    families: tuple[frozenset[TableName], ...]
    settings: TransferSettings
    packet_limit: int
    vanished: frozenset[TableName] = frozenset()
    warnings: tuple[str, ...] = ()
    joins: bool = False
    is_done: bool = False
    seen: Seen | None = None

    @property
    def starts_position(self) -> bool:
        """Say whether the saved position is written: a full copy that is begun, not resumed."""
        return self.is_full and self.mode is not TransferMode.RESUME


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
    """Plan a copy of all selected tables, or of `tables` (the primary's names) alone. Writes nothing.

    Named tables are dropped and copied again; a full copy needs `RESTART` for that. `RESUME` goes on with what is
    unfinished, and begins where nothing was begun. Raises UnfinishedTransfer, TablesOccupied, TablesRefused.
    """
    facts, target_facts = known_facts(primary), known_facts(secondary)
    origin = Origin(
        selection,
        facts.is_mariadb,
        target_facts.is_mariadb,
        facts.logs_cascades,
        to_version=target_facts.version,
        from_version=facts.version,
        shared_checks=_shared_checks(primary, selection) if facts.is_mariadb and not target_facts.is_mariadb else _NONE,
    )
    existing = existing_state_tables(secondary, state_schema)
    records, progress = _state(secondary, state_schema, instance, existing)
    unfinished = {n for n, r in records.items() if r.state in UNFINISHED}
    has_position, others = _positions(secondary, state_schema, instance, selection, existing)
    if mode is TransferMode.RESUME and not tables and not records and not has_position:
        mode = TransferMode.NEW
    if mode is TransferMode.NEW and not tables and unfinished:
        raise _unfinished(instance, len(unfinished))
    definitions = selected_definitions(primary, selection, tables, unfinished, recorded=records)
    if mode is TransferMode.RESUME:
        definitions = {n: d for n, d in definitions.items() if n in unfinished}
    known = Seen(records, progress, has_position, _existing(secondary, selection, definitions))
    sources = _sources(primary, origin, definitions, find_unmakeable(secondary, definitions))
    may_replace = mode is TransferMode.RESTART or bool(tables)
    is_resumed = mode is TransferMode.RESUME
    plans = _tables(sources, known, settings, is_resumed=is_resumed)
    groups = () if facts.logs_cascades else families({s.definition.name: s.definition for s in sources})
    plans = _of_one_moment(plans, groups)
    occupied = [p.planned.target for p in plans if p.planned.action is TableAction.REPLACE and not may_replace]
    is_done = mode is TransferMode.RESUME and not unfinished
    if mode is TransferMode.NEW and not tables and has_position:
        is_done = _is_done(instance, plans, records, occupied)
    elif occupied and mode is TransferMode.NEW:
        raise TablesOccupied(instance, occupied, others)
    if is_done:
        mode, plans = TransferMode.RESUME, ()
    names = {source.definition.name for source in sources}
    # Only a copy that may replace tables may drop these. A first copy names them in a warning.
    vanished = frozenset(definitions.keys() - names) if mode is TransferMode.RESTART else frozenset()
    is_whole, ours = not tables and not is_resumed, names | vanished
    schemas = _schemas(primary)
    strangers = find_orphan_tables(secondary, selection, [name for name, *_ in schemas], ours) if is_whole else []
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
        families=groups,
        settings=settings,
        packet_limit=packet_limit(facts.max_allowed_packet, target_facts.max_allowed_packet),
        vanished=vanished,
        seen=known,
        warnings=(
            *_notes(sources),
            *((former_name_advice(others),) if others else ()),
            *(f"{t}: not on the primary, it stays on {instance} as it is" for t in strangers),
            *(_begun_again(plans, progress) if is_resumed else ()),
        ),
    )


def _unfinished(instance: str, count: int) -> UnfinishedTransfer:
    return UnfinishedTransfer(
        f"{instance}: a copy was begun and not finished ({counted(count, 'table')})",
        hint="`replica transfer --resume` goes on with it",
    )


def still_holds(plan: CopyPlan, secondary: Session) -> bool:
    """Say whether the secondary is as the plan found it. Raises ServerError, StateBroken.

    Of a table that was empty that is not known: it may have got rows since then.
    """
    seen = plan.seen
    if seen is None or not all(seen.targets.values()):
        return False
    existing = existing_state_tables(secondary, plan.state_schema)
    if not _STATE.issubset(existing):
        return False
    place = (secondary, plan.state_schema, plan.instance)
    tables, progress, positions = TableStore(*place), ProgressStore(*place), PositionStore(*place)
    answers = secondary.rows_of_each([tables.load_query, progress.load_query, positions.load_query])
    found = (tables.loaded(answers[0]), progress.loaded(answers[1]), positions.loaded(answers[2]) is not None)
    targets = {table.planned.target for table in plan.tables}
    there = list_names(secondary, sorted({target.schema for target in targets})) & targets
    return (*found, there) == (seen.records, seen.progress, seen.has_position, seen.targets.keys() & targets)


def _notes(sources: Sequence[SourceTable]) -> list[str]:
    """Return what a copy makes otherwise than the primary has it."""
    return [
        f"{s.definition.name}: {told_once(note, s.definition.name)}" for s in sources for note in s.statements.notes
    ]


def _begun_again(plans: Sequence[TablePlan], progress: dict[TableName, CopyProgress]) -> list[str]:
    """Return a warning for each table of a resumed copy whose rows are copied again."""
    again = [p.planned for p in plans if p.planned.action not in _KEPT and p.planned.name in progress]
    reasons = {True: "all its rows are read in one go", False: "the table is another one by now"}
    return [
        f"{p.name}: its copy begins again, as {reasons[p.method is CopyMethod.SNAPSHOT]}"
        for p in again
        if progress[p.name].row_count
    ]


def _is_done(
    instance: str,
    plans: Sequence[TablePlan],
    records: dict[TableName, TableRecord],
    occupied: Sequence[TableName],
) -> bool:
    """Return True if a first copy was made and every table is there. Raises TablesMissing if only some are."""
    aside = [n for n, r in records.items() if r.state is TableState.QUARANTINED]
    missing = [p.planned.name for p in plans if p.planned.action is TableAction.CREATE and p.planned.name not in aside]
    if occupied and (missing or aside):
        raise TablesMissing(instance, [*missing, *aside])
    return not missing and not aside


def _positions(
    secondary: Session, state_schema: str, instance: str, selection: Selection, existing: frozenset[str]
) -> tuple[bool, list[str]]:
    """Return whether the instance has a position; where it has none, the instances that have one of these filters."""
    if _has_position(secondary, state_schema, instance, existing):
        return True, []
    return False, instances_of(secondary, state_schema, existing, filters=selection.fingerprint)


def _has_position(secondary: Session, state_schema: str, instance: str, existing: frozenset[str]) -> bool:
    return "binlog_position" in existing and PositionStore(secondary, state_schema, instance).load() is not None


def _state(
    secondary: Session, state_schema: str, instance: str, existing: frozenset[str]
) -> tuple[dict[TableName, TableRecord], dict[TableName, CopyProgress]]:
    if not {"table_status", "transfer_progress"} <= existing:
        return {}, {}
    records = TableStore(secondary, state_schema, instance).load()
    return records, ProgressStore(secondary, state_schema, instance).load()


def selected_definitions(
    primary: Session,
    selection: Selection,
    tables: Sequence[TableName],
    expected: Iterable[TableName] = (),
    *,
    recorded: Iterable[TableName] = (),
) -> dict[TableName, TableDefinition]:
    """Return the selected tables, or those of `tables` with their families. Raises UsageError for one that is not.

    `expected`: see `read_catalog`. `recorded`: tables that the secondary has a record of.
    """
    read = read_catalog(primary, selected_schemas(primary, selection), {*tables, *expected})
    found = {n: d for n, d in read.items() if selection.target(n)}
    missing = [t for t in tables if t not in found]
    if missing:
        hint = _missing_hint(missing, sorted(found), recorded)
        raise UsageError(f"not among the selected tables of the primary: {', '.join(map(str, missing))}", hint=hint)
    wanted = family(tables, found)
    return {n: d for n, d in found.items() if not tables or n in wanted}


def _missing_hint(missing: Sequence[TableName], names: Sequence[TableName], recorded: Iterable[TableName]) -> str:
    """Return what to do about tables that are not selected: those that have a record were, others may be mistyped."""
    hint = "look at the name and at the filters"
    if gone := sorted(set(missing) & set(recorded)):
        return f"{hint}; {gone_advice(gone)}"
    tables = [name.table for name in names]
    alike = {t for name in missing for t in difflib.get_close_matches(name.table, tables, n=1)}
    near = [str(name) for name in names if name.table in alike][:_NAMED_TABLES]
    return f"{hint}; names that are alike: {', '.join(near)}" if near else hint


def _shared_checks(primary: Session, selection: Selection) -> frozenset[str]:
    """Return the names of checks that several tables of one schema of the secondary would have."""
    schemas = selected_schemas(primary, selection)
    answers = primary.rows_of_each([_CHECKS + primary.escape(schema) for schema in schemas]) if schemas else []
    names = Counter(
        (selection.schema_target(str(schema)), str(name).lower()) for rows in answers for schema, name in rows
    )
    return frozenset(name for (_, name), count in names.items() if count > 1)


def _existing(
    secondary: Session, selection: Selection, definitions: dict[TableName, TableDefinition]
) -> dict[TableName, bool]:
    targets = {t for n in definitions if (t := selection.target(n))}
    if len(targets) != len(definitions):
        raise ApplyRefused("two tables of the primary have one name on the secondary", hint="change REPLICA_SCHEMAS")
    there = read_catalog(secondary, sorted({t.schema for t in targets}))
    found = sorted(targets & there.keys())
    holds_rows: dict[TableName, bool] = {}
    for first in range(0, len(found), _TABLES_AT_ONCE):
        asked = found[first : first + _TABLES_AT_ONCE]
        # What was there once counts too: a table that keeps history may have nothing else left.
        holds_rows |= dict(zip(asked, find_any(secondary, [_used(there[t]) for t in asked]), strict=True))
    return holds_rows


def _used(definition: TableDefinition) -> str:
    # A sequence always has its row: one that is as it was made is like an empty table.
    is_used = " WHERE next_not_cached_value <> start_value OR cycle_count <> 0" if definition.is_sequence else ""
    return f"SELECT 1 FROM {source_of(definition)}{is_used} LIMIT 1"


def _sources(
    primary: Session, origin: Origin, definitions: dict[TableName, TableDefinition], refused: dict[TableName, str]
) -> list[SourceTable]:
    sources: dict[TableName, SourceTable | None] = {}
    refused = dict(refused)
    merged = find_merged(primary, definitions)
    texts = show_creates(primary, [n for n, d in definitions.items() if not d.is_sequence])
    for definition in definitions.values():
        if (merge := merged.get(definition.name)) is not None:
            refused[definition.name] = f"what is changed through {merge} (engine MERGE) is logged as rows of that"
            continue
        try:
            sources[definition.name] = read_source(primary, origin, definition, texts.get(definition.name))
        except TableAltered:
            sources[definition.name] = None
        except ServerError as error:
            if error.errno != ER_NO_SUCH_TABLE:
                raise
            # Dropped or renamed since the catalog was read: what it is called now is looked for behind the position.
        except ApplyRefused as error:
            refused[definition.name] = error.message
    # Columns and statements belong together only if no table was altered between the two questions.
    now = _read_again(primary, list(sources))
    for name in [n for n in sources if sources[n] is None or now.get(n) != definitions[n]]:
        try:
            sources[name] = reread_source(primary, origin, name)
        except ApplyRefused as error:
            refused[name] = error.message
    if refused:
        raise TablesRefused(refused)
    return [source for source in sources.values() if source is not None]


def _read_again(primary: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return the tables as they are now: many of them by schema, as each by its name is several answers."""
    if len(names) <= _TABLES_AT_ONCE:
        return read_tables(primary, names)
    return read_catalog(primary, sorted({n.schema for n in names}), names)


def _of_one_moment(plans: tuple[TablePlan, ...], groups: tuple[frozenset[TableName], ...]) -> tuple[TablePlan, ...]:
    """Let families be copied in one snapshot: all of one is copied, or all of it begins anew."""
    actions = {p.planned.name: p.planned.action for p in plans}
    snapshots = {name for group in groups for name in group}
    again = {n for group in groups if any(actions[n] is not TableAction.DONE for n in group) for n in group}
    found = []
    for plan in plans:
        planned, start = plan.planned, plan.start
        if planned.name in snapshots:
            planned = replace(planned, method=CopyMethod.SNAPSHOT, ranges=1)
        if planned.name in again:
            action = TableAction.REPLACE if planned.action in _KEPT else planned.action
            planned, start = replace(planned, action=action, rows_copied=0), None
        found.append(replace(plan, planned=planned, start=start))
    return tuple(found)


def _tables(
    sources: Sequence[SourceTable], known: Seen, settings: TransferSettings, *, is_resumed: bool
) -> tuple[TablePlan, ...]:
    # Tables that are smaller than this keep the workers evenly busy as they are.
    piece = sum(s.definition.estimated_bytes for s in sources) // (settings.workers * _PIECES_OF_A_WORKER)
    return tuple(_table(s, known, settings, piece, is_resumed=is_resumed) for s in sources)


def _table(source: SourceTable, known: Seen, settings: TransferSettings, piece: int, *, is_resumed: bool) -> TablePlan:
    """Plan one table; a range of it has about as many bytes as `piece`, or more."""
    definition, key = source.definition, source.key
    name, target = definition.name, source.target
    record, progress = known.records.get(name), known.progress.get(name)
    most = min(settings.workers * 2, math.ceil(definition.estimated_bytes / max(piece, 1)))
    ranges = min(most, definition.estimated_rows * 2 // SPLIT_ROWS) if key else 1
    action, start = TableAction.CREATE, None
    if target in known.targets:
        action = TableAction.REPLACE if known.targets[target] else TableAction.FILL
    can_continue = is_resumed and record is not None and record.start is not None and target in known.targets
    if can_continue and progress is not None and _fits(progress, source):
        if progress.is_verified:
            action = TableAction.DONE
        elif key:
            action = TableAction.CONTINUE
    if action in (TableAction.DONE, TableAction.CONTINUE) and record is not None and progress is not None:
        start, ranges = record.start, len(progress.ranges)
    planned = PlannedTable(
        name=name,
        target=target,
        action=action,
        method=CopyMethod.RANGES if key else CopyMethod.SNAPSHOT,
        key=key.names if key else (),
        rows_estimated=definition.estimated_rows,
        bytes_estimated=definition.estimated_bytes,
        ranges=max(1, ranges if definition.estimated_rows >= SPLIT_ROWS or action is TableAction.CONTINUE else 1),
        rows_copied=progress.row_count if action in _KEPT and progress else 0,
    )
    return TablePlan(planned, source, start)


def _fits(progress: CopyProgress, source: SourceTable) -> bool:
    """Say whether progress is of the table as it is now, with keys of as many columns as it is read along."""
    keys = [key for r in progress.ranges for key in (r.last_key, r.high_key) if key is not None]
    width = len(source.key.parts) if source.key else 0
    return progress.fingerprint == source.fingerprint and all(len(split_literals(key)) == width for key in keys)


def _schemas(primary: Session) -> list[tuple[str, str, str]]:
    """Return the name, charset and collation of each schema."""
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
    wanted = {n.schema for n in definitions}
    if is_whole and not selection.tables:
        # Also those without a table: the first one may come with the stream. Patterns of tables may mean none of them.
        wanted |= {name for name, *_ in schemas if name not in SYSTEM_SCHEMAS}
    statements = []
    for schema, charset, collation in schemas:
        target = selection.schema_target(schema)
        if schema in wanted and target:
            default = origin.crossing.schema_default(charset, collation)
            statements.append(schema_statement(target, *default))
    return tuple(statements)
