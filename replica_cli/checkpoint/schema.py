"""Create and check the state schema: tables on each secondary, all InnoDB so that rows and position commit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.checkpoint.layout import check_layout, instances_of, read_layouts, set_aside_hint
from replica_cli.checkpoint.migration_3 import FORMER_COLUMNS, FORMER_TABLE, check_former_table
from replica_cli.checkpoint.versions import STATE_VERSION, VERSION, migrate, read_version, version_statement
from replica_cli.core.errors import StateBroken
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# Names and texts are utf8mb4_bin, so that identifiers are compared exactly. 191 characters fit into every index limit.
_NAME = "VARCHAR(191) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
_POSITION_COLUMNS = (
    "{0}_file VARCHAR(255) NOT NULL DEFAULT '', {0}_pos BIGINT UNSIGNED NOT NULL DEFAULT 0, {0}_gtid MEDIUMTEXT"
)

# One row for each instance. `token` is the fencing token: the commits of the stream and of its catch-up check it.
_BINLOG_POSITION = f"""
    instance {_NAME} NOT NULL PRIMARY KEY,
    file VARCHAR(255) NOT NULL,
    pos BIGINT UNSIGNED NOT NULL,
    gtid MEDIUMTEXT NOT NULL,
    source_identity VARCHAR(255) NOT NULL,
    source_time BIGINT UNSIGNED NOT NULL DEFAULT 0,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    transaction_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    skipped_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    filters VARCHAR(64) NOT NULL,
    filters_text MEDIUMTEXT NOT NULL,
    token BIGINT UNSIGNED NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL
"""

# One row for each table that was copied, is being copied, or is quarantined. Names are the primary's. The positions are
# those of `TableRecord`.
_TABLE_STATE = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state VARCHAR(16) NOT NULL,
    {_POSITION_COLUMNS.format("copy_start")},
    {_POSITION_COLUMNS.format("applied_to")},
    {_POSITION_COLUMNS.format("window_end")},
    {_POSITION_COLUMNS.format("stopped_at")},
    {_POSITION_COLUMNS.format("failed_transaction")},
    reason MEDIUMTEXT NULL,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, schema_name, table_name)
"""

# One row for each range of a table. `last_key` and `high_key` are SQL row literals, NULL for the start and the end.
_TRANSFER_PROGRESS = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    range_number INT UNSIGNED NOT NULL,
    last_key LONGBLOB NULL,
    high_key LONGBLOB NULL,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    byte_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    is_done TINYINT NOT NULL DEFAULT 0,
    updated_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, schema_name, table_name, range_number)
"""

# The intent of a DDL statement: written before it, deleted after it.
_DDL_INTENT = f"""
    instance {_NAME} NOT NULL PRIMARY KEY,
    file VARCHAR(255) NOT NULL,
    pos BIGINT UNSIGNED NOT NULL,
    gtid MEDIUMTEXT NOT NULL,
    statement_hash CHAR(64) NOT NULL,
    before_hash CHAR(64) NOT NULL,
    statement MEDIUMTEXT NOT NULL,
    started_at DATETIME(6) NOT NULL
"""

# Tables that a statement made or changed: noted before it, until they were compared with the primary's.
_UNCOMPARED_TABLE = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    noted_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, schema_name, table_name)
"""

# The last DDL statement about each table, noted before it runs: what was compared before it does not count.
_TABLE_CHANGE = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    {_POSITION_COLUMNS.format("changed")},
    PRIMARY KEY (instance, schema_name, table_name)
"""

# Changes of transactions that are prepared on the primary (XA), in chunks; deleted with their COMMIT or ROLLBACK.
_XA_PREPARED = f"""
    instance {_NAME} NOT NULL,
    xid VARCHAR(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    number INT UNSIGNED NOT NULL,
    data LONGBLOB NOT NULL,
    prepared_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, xid, number)
"""

# The heartbeat: the status of the running process, at most once a second, outside the row transactions.
_STREAM_STATUS = f"""
    instance {_NAME} NOT NULL PRIMARY KEY,
    holder VARCHAR(255) NOT NULL,
    connection_id BIGINT UNSIGNED NOT NULL DEFAULT 0,
    beat_at DATETIME(6) NOT NULL,
    moved_at DATETIME(6) NULL,
    phase VARCHAR(32) NOT NULL,
    is_pause_wanted TINYINT NOT NULL DEFAULT 0,
    snapshot MEDIUMTEXT NULL
"""

# The last run of `verify run`, and the one of the scrub of a stream. Their numbers are different. `refused` is a JSON
# object with the tables that could not be compared.
_VERIFY_RUN = f"""
    instance {_NAME} NOT NULL,
    kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    patterns MEDIUMTEXT NOT NULL,
    source_identity VARCHAR(255) NOT NULL,
    is_done TINYINT NOT NULL DEFAULT 0,
    has_too_many TINYINT NOT NULL DEFAULT 0,
    refused MEDIUMTEXT NULL,
    started_at DATETIME(6) NOT NULL,
    ended_at DATETIME(6) NULL,
    PRIMARY KEY (instance, kind)
"""

# One row for each part of a table that was compared in a run: after `low_key` up to `high_key`, NULL for the start and
# the end of the table. `definition` is the fingerprint of what was compared. The position is that of the secondary.
_VERIFY_RANGE = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    range_number INT UNSIGNED NOT NULL,
    low_key LONGBLOB NULL,
    high_key LONGBLOB NULL,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 0,
    definition CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    {_POSITION_COLUMNS.format("proven")},
    proven_at DATETIME(6) NOT NULL,
    PRIMARY KEY (instance, schema_name, table_name, run_number, range_number)
"""

# One row for each row that differs. `key_values` and the rows are JSON objects of names and SQL literals.
_VERIFY_DIFFERENCE = f"""
    instance {_NAME} NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_id CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    run_number INT UNSIGNED NOT NULL,
    kind VARCHAR(16) NOT NULL,
    key_values LONGTEXT NOT NULL,
    row_hash VARCHAR(64) NOT NULL DEFAULT '',
    differing_columns MEDIUMTEXT NOT NULL,
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 1,
    {_POSITION_COLUMNS.format("seen")},
    seen_at DATETIME(6) NOT NULL,
    primary_row LONGTEXT NULL,
    secondary_row LONGTEXT NULL,
    PRIMARY KEY (instance, schema_name, table_name, row_id)
"""

# A repair that a running stream is asked for: `request` is a JSON object, and `answer` what was done.
_REPAIR_REQUEST = f"""
    instance {_NAME} NOT NULL PRIMARY KEY,
    request_number BIGINT UNSIGNED NOT NULL,
    is_wanted TINYINT NOT NULL,
    request MEDIUMTEXT NOT NULL,
    answer MEDIUMTEXT NULL,
    requested_at DATETIME(6) NOT NULL
"""

# The record of each row that a repair wrote, deleted or left. Its values are not kept.
_REPAIR_LOG = f"""
    instance {_NAME} NOT NULL,
    repair_number BIGINT UNSIGNED NOT NULL,
    entry_number BIGINT UNSIGNED NOT NULL,
    schema_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    table_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    row_id CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    kind VARCHAR(16) NOT NULL,
    key_values LONGTEXT NOT NULL,
    row_hash VARCHAR(64) NOT NULL DEFAULT '',
    row_count BIGINT UNSIGNED NOT NULL DEFAULT 1,
    outcome VARCHAR(16) NOT NULL,
    reason MEDIUMTEXT NOT NULL,
    {_POSITION_COLUMNS.format("written")},
    written_at DATETIME(6) NOT NULL,
    holder VARCHAR(255) NOT NULL,
    PRIMARY KEY (instance, repair_number, entry_number)
"""

_TABLES = {
    "binlog_position": _BINLOG_POSITION,
    "table_state": _TABLE_STATE,
    "transfer_progress": _TRANSFER_PROGRESS,
    "ddl_intent": _DDL_INTENT,
    "uncompared_table": _UNCOMPARED_TABLE,
    "table_change": _TABLE_CHANGE,
    "xa_prepared": _XA_PREPARED,
    "stream_status": _STREAM_STATUS,
    "verify_run": _VERIFY_RUN,
    "verify_range": _VERIFY_RANGE,
    "verify_difference": _VERIFY_DIFFERENCE,
    "repair_request": _REPAIR_REQUEST,
    "repair_log": _REPAIR_LOG,
    "state_version": STATE_VERSION,
}
# Every version makes these together with its table of the tables' states. So if there is a position and one of them is
# missing, it was dropped.
_FIRST_TABLES = frozenset({"binlog_position", "transfer_progress", "ddl_intent", "stream_status"})


@dataclass(frozen=True, slots=True)
class _Existing:
    """What exists of a state schema: the tables that are in use, their version, and if `table_status` is there."""

    tables: frozenset[str]
    version: int
    has_former_table: bool


def create_state_schema(session: Session, state_schema: str) -> None:
    """Create what is missing of the state schema, and migrate a schema of an older version.

    Raises:
        StateBroken: the schema is not as this version writes it, or a later version made it.
        OlderWriter: the schema must be migrated, and a process that may be of an older release writes.
        ServerError: a statement failed.
    """
    existing = _existing(session, state_schema)
    if existing.has_former_table and existing.version == VERSION:
        check_former_table(session, state_schema)
    database = f"CREATE DATABASE IF NOT EXISTS {quote(state_schema)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    missing = [
        f"CREATE TABLE IF NOT EXISTS {quote(state_schema)}.{name} ({columns}) "
        "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin".encode()
        for name, columns in _TABLES.items()
        if name not in existing.tables
    ]
    if missing:
        session.execute_each([database.encode(), *missing])
    if not existing.tables:
        session.execute(version_statement(state_schema))
    elif existing.version < VERSION:
        migrate(session, state_schema)


def state_tables() -> frozenset[str]:
    """Return the names of all tables that `create_state_schema` makes."""
    return frozenset(_TABLES)


def existing_state_tables(session: Session, state_schema: str) -> frozenset[str]:
    """Return which of the state tables exist and are in use: `table_status` instead of `table_state` before version 3.

    Raises:
        StateTooNew: a later version made the schema.
        StateBroken: a table has another layout, or was dropped although there is a saved position. Without the tables'
            records the stream would go on as if no table was quarantined or partly copied.
        ServerError: a query failed.
    """
    return _existing(session, state_schema).tables


def _existing(session: Session, state_schema: str) -> _Existing:
    layouts = read_layouts(session, state_schema)
    # Before the layout: tables of a later version may have other columns.
    version = read_version(session, state_schema) if "state_version" in layouts else 1
    has_former_table = FORMER_TABLE in layouts
    # A new schema has no version until all of its tables are made, and a migration makes the new table first.
    uses_former_table = version < 3 and (has_former_table or "table_state" not in layouts)
    states, unused = (FORMER_TABLE, "table_state") if uses_former_table else ("table_state", FORMER_TABLE)
    tables = {**_TABLES, FORMER_TABLE: FORMER_COLUMNS} if uses_former_table else _TABLES
    check_layout(session, state_schema, layouts, tables)
    existing = frozenset(layouts.keys() & tables.keys() - {unused})
    missing = sorted({*_FIRST_TABLES, states} - existing)
    if missing and "binlog_position" in existing and _has_positions(session, state_schema):
        raise StateBroken(
            f"{session.server.name}: the state schema {quote(state_schema)} has saved positions and no table "
            f"{', '.join(missing)}: what it held is lost",
            hint=set_aside_hint(state_schema, existing, instances_of(session, state_schema, existing)),
        )
    return _Existing(existing, version, has_former_table)


def _has_positions(session: Session, state_schema: str) -> bool:
    return session.row(f"SELECT 1 FROM {quote(state_schema)}.binlog_position LIMIT 1") is not None
