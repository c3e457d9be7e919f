"""Migrate a state schema to version 3: `table_state`, with columns for each position, replaces `table_status`.

In `table_status` the columns start and end meant something else for each state. The migration copies its rows and then
marks them: a release that does not know `table_state` cannot read the mark as a state, so it stops and does not go on
with records that no process keeps. So each instance gets a row with the mark, also if no table has a record.
`replica` has no right to drop the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import COLUMNS, POSITIONS
from replica_cli.core.errors import StateBroken
from replica_cli.core.status import TableState
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.names import TableName
    from replica_cli.mysql.session import Session

# The table of versions 1 and 2.
FORMER_TABLE = "table_status"
FORMER_COLUMNS = """
    instance VARCHAR(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state VARCHAR(16) NOT NULL,
    start_file VARCHAR(255) NOT NULL DEFAULT '',
    start_pos BIGINT UNSIGNED NOT NULL DEFAULT 0,
    start_gtid MEDIUMTEXT,
    end_file VARCHAR(255) NOT NULL DEFAULT '',
    end_pos BIGINT UNSIGNED NOT NULL DEFAULT 0,
    end_gtid MEDIUMTEXT,
    reason MEDIUMTEXT NULL,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, schema_name, table_name)
"""
# An older release says of it: "'see table_state' is not a valid TableState".
MARK = "see table_state"
# The name of the table in the row that each instance gets: the older release's error contains it.
_MARKED = ("a later release of replica", "upgraded this state schema")
# From which column of the former table each position comes, and for which states.
_SOURCES = {
    "copy_start": ("start", (TableState.COPYING, TableState.COPIED)),
    "applied_to": ("start", (TableState.CATCHING_UP,)),
    "window_end": ("end", (TableState.CATCHING_UP, TableState.COPIED)),
    "stopped_at": ("start", (TableState.QUARANTINED,)),
    "failed_transaction": ("end", (TableState.QUARANTINED,)),
}


def has_former_table(session: Session, state_schema: str) -> bool:
    """Return True if a state schema has the table of versions 1 and 2, before or after its migration."""
    query = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
    return bool(session.rows(query, state_schema, FORMER_TABLE))


def statements(state_schema: str) -> Sequence[str]:
    """Return the statements of the migration. They can be repeated from the first one after each of them."""
    schema, columns = quote(state_schema), ", ".join(("instance", *COLUMNS, "updated_at"))
    marked_state, name, table = map(text_literal, (MARK, *_MARKED))
    instances = " UNION ".join(
        f"SELECT instance FROM {schema}.{source}" for source in ("binlog_position", "stream_status", FORMER_TABLE)
    )
    # A migration that was killed before its first mark left records, and an older release may have changed the former
    # table since. If that table is empty, the records are this release's own, and only the version was lost.
    emptied = (
        f"DELETE FROM {schema}.table_state WHERE EXISTS (SELECT 1 FROM {schema}.{FORMER_TABLE}) AND NOT EXISTS "
        f"(SELECT 1 FROM {schema}.{FORMER_TABLE} WHERE state = {marked_state})"
    )
    copied = (
        f"REPLACE INTO {schema}.table_state ({columns}) SELECT instance, {_selected()}, updated_at "
        f"FROM {schema}.{FORMER_TABLE} WHERE state <> {marked_state}"
    )
    marked = (
        f"REPLACE INTO {schema}.{FORMER_TABLE} (instance, schema_name, table_name, state, updated_at) "
        f"SELECT instance, {name}, {table}, {marked_state}, UTC_TIMESTAMP(6) FROM ({instances}) AS instances"
    )
    rest = f"UPDATE {schema}.{FORMER_TABLE} SET state = {marked_state} WHERE state <> {marked_state}"
    return emptied, copied, marked, rest


def load_records(
    session: Session, state_schema: str, instance: str, existing: Collection[str]
) -> dict[TableName, TableRecord]:
    """Return an instance's records without a migration, for commands that only read.

    Args:
        session: a session to the secondary.
        state_schema: the name of the state schema.
        instance: the instance.
        existing: which state tables exist and are in use (`schema.existing_state_tables`).

    """
    tables = TableLifecycle(session, state_schema, instance)
    if FORMER_TABLE not in existing:
        return tables.load() if "table_state" in existing else {}
    former = f"{quote(state_schema)}.{FORMER_TABLE}"
    of_instance = f"instance = {text_literal(instance)}"
    if session.rows(f"SELECT 1 FROM {former} WHERE {of_instance} AND state = {text_literal(MARK)} LIMIT 1"):
        # A migration was killed after it had copied all records, and before it wrote the version.
        return tables.load()
    rows = session.rows(f"SELECT {_selected()} FROM {former} WHERE {of_instance} ORDER BY schema_name, table_name")
    return tables.loaded(rows, table=former)


def check_former_table(session: Session, state_schema: str) -> None:
    """Raise StateBroken if an older release has written states of tables after the migration.

    What it wrote is not in `table_state`: the stream would go on as if it had not quarantined or copied any table.
    """
    former = f"{quote(state_schema)}.{FORMER_TABLE}"
    rows = session.rows(f"SELECT DISTINCT instance FROM {former} WHERE state <> {text_literal(MARK)} ORDER BY instance")
    if rows:
        names = ", ".join(str(name) for (name,) in rows)
        raise StateBroken(
            f"{session.server.name}: an older release of replica wrote states of tables into {former} after this "
            f"state schema was upgraded, as {names}",
            hint=f"stop it; DELETE FROM {former} WHERE state <> '{MARK}';  -- on the secondary; then `replica transfer "
            f"--restart` for {names} copies every table again",
        )


def _selected() -> str:
    """Return what to select from the former table for the columns of a record."""
    expressions = {name: name for name in COLUMNS}
    for position in POSITIONS:
        source, states = _SOURCES[position]
        condition = f"state IN ({', '.join(map(text_literal, states))})"
        for part, nothing in (("file", "''"), ("pos", "0"), ("gtid", "NULL")):
            expressions[f"{position}_{part}"] = f"CASE WHEN {condition} THEN {source}_{part} ELSE {nothing} END"
    return ", ".join(expressions.values())
