"""Read what a plan depends on at the secondary: the state rows, the tables that exist, and what it cannot make."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.checkpoint.layout import instances_of
from replica_cli.checkpoint.migration_3 import load_records
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.progress import ProgressStore
from replica_cli.checkpoint.schema import existing_state_tables
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.errors import ApplyRefused
from replica_cli.core.names import TableName
from replica_cli.core.status import UNFINISHED, TableState
from replica_cli.mysql.catalog.table_definitions import list_names, read_catalog
from replica_cli.mysql.session_settings import prepare_to_make_tables
from replica_cli.mysql.tables_with_rows import have_rows
from replica_cli.sqlbuilder.rows.chunks import source_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from replica_cli.checkpoint.progress import TableRanges
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session

_TABLES_AT_ONCE = 100
_STATE_TABLES = frozenset({"binlog_position", "table_state", "transfer_progress"})
_KEY_SETTINGS = """SHOW SESSION VARIABLES WHERE variable_name IN
 ('sql_require_primary_key', 'sql_generate_invisible_primary_key') AND value IN ('ON', '1')"""


@dataclass(frozen=True, slots=True)
class SecondaryState:
    """What the secondary held when a plan was made.

    Attributes:
        records: the states of tables, by their names on the primary.
        progress: the ranges of unfinished copies, by the tables' names on the primary.
        has_position: the instance has a saved position.
        other_instances: if it has none, the instances that have a position with the same filters.
        targets: the existing tables by their names on the secondary, each with True if it holds rows.
    """

    records: Mapping[TableName, TableRecord] = field(default_factory=dict)
    progress: Mapping[TableName, TableRanges] = field(default_factory=dict)
    has_position: bool = False
    other_instances: tuple[str, ...] = ()
    targets: Mapping[TableName, bool] = field(default_factory=dict)

    @property
    def unfinished(self) -> frozenset[TableName]:
        """Return the tables whose copy was begun or requested, and is not finished."""
        return frozenset(name for name, record in self.records.items() if record.state in UNFINISHED)

    @property
    def quarantined(self) -> tuple[TableName, ...]:
        """Return the tables that are quarantined."""
        return tuple(name for name, record in self.records.items() if record.state is TableState.QUARANTINED)


def read_secondary_state(secondary: Session, state_schema: str, instance: str, selection: Selection) -> SecondaryState:
    """Read the state rows of an instance; `targets` is empty. Raises ServerError, StateBroken."""
    existing = existing_state_tables(secondary, state_schema)
    records, progress = {}, {}
    if "transfer_progress" in existing:
        records = load_records(secondary, state_schema, instance, existing)
        progress = ProgressStore(secondary, state_schema, instance).load()
    if "binlog_position" in existing and PositionStore(secondary, state_schema, instance).load() is not None:
        return SecondaryState(records, progress, has_position=True)
    others = instances_of(secondary, state_schema, existing, filters=selection.fingerprint)
    return SecondaryState(records, progress, other_instances=tuple(others))


def is_unchanged(
    state: SecondaryState, targets: Collection[TableName], secondary: Session, state_schema: str, instance: str
) -> bool:
    """Return True if the secondary is still as it was. Raises ServerError, StateBroken.

    If a table was empty, return False, because it may have got rows since then. `targets` are the tables that the plan
    copies, by their names on the secondary.
    """
    if not all(state.targets.values()):
        return False
    existing = existing_state_tables(secondary, state_schema)
    if not _STATE_TABLES.issubset(existing):
        return False
    tables = TableLifecycle(secondary, state_schema, instance)
    progress = ProgressStore(secondary, state_schema, instance)
    positions = PositionStore(secondary, state_schema, instance)
    answers = secondary.rows_of_each([tables.load_query, progress.load_query, positions.load_query])
    stored = (tables.loaded(answers[0]), progress.loaded(answers[1]), positions.loaded(answers[2]) is not None)
    existing_targets = list_names(secondary, sorted({target.schema for target in targets})) & set(targets)
    return (*stored, existing_targets) == (
        state.records,
        state.progress,
        state.has_position,
        state.targets.keys() & set(targets),
    )


def find_existing(secondary: Session, selection: Selection, names: Collection[TableName]) -> dict[TableName, bool]:
    """Return which of the tables exist on the secondary, each with True if it holds rows.

    `names` are the primary's names, the results are the secondary's.

    Raises:
        ApplyRefused: two tables have the same name on the secondary.
        ServerError: the secondary refuses a query or does not answer.
    """
    targets = {t for n in names if (t := selection.target(n))}
    if len(targets) != len(names):
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
            zip(portion, have_rows(secondary, [_any_row_query(catalog[t]) for t in portion]), strict=True)
        )
    return holds_rows


def _any_row_query(definition: TableDefinition) -> str:
    # A sequence always has one row. If it is as it was made, it counts as an empty table.
    is_used = " WHERE next_not_cached_value <> start_value OR cycle_count <> 0" if definition.is_sequence else ""
    return f"SELECT 1 FROM {source_of(definition)}{is_used} LIMIT 1"


def find_orphan_tables(
    secondary: Session, selection: Selection, schemas: Collection[str], names: Collection[TableName]
) -> list[TableName]:
    """Return the tables of the secondary that the selection covers and that are not among `names`.

    They are, for example, tables that the primary dropped while no process read the log. Only tables in `schemas`, or
    in a schema that the selection names, are returned. `schemas` and `names` are the primary's names, the results are
    the secondary's.
    """
    targets = {selection.schema_target(schema) for schema in (*schemas, *(source for source, _ in selection.schemas))}
    # The secondary may store names in lower case.
    known = {str(selection.target(name)).lower() for name in names}
    rows = secondary.rows(
        "SELECT table_schema, table_name FROM information_schema.tables"
        " WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')"
    )
    candidates = (TableName(str(schema), str(table)) for schema, table in rows if str(schema) in targets)
    return sorted(t for t in candidates if str(t).lower() not in known and selection.source(t) is not None)


def find_unmakeable(secondary: Session, definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, str]:
    """Return the tables that settings of the secondary do not allow, by their names on the primary, with the reason.

    Settings that our user may change for its session are changed first, as a copy does.

    Raises:
        ServerError: the secondary refuses a query or does not answer.
    """
    if secondary.is_mariadb:
        return {}
    prepare_to_make_tables(secondary)
    on = [str(name) for name, _ in secondary.rows(_KEY_SETTINGS)]
    if not on:
        return {}
    reason = (
        f"it has no primary key, and the secondary has {' and '.join(f'{name}=ON' for name in on)}: set that to OFF "
        "there, or give this user SESSION_VARIABLES_ADMIN"
    )
    return {name: reason for name, definition in definitions.items() if definition.primary_key is None}
