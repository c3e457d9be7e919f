"""Check what must be right on both servers before a row is copied or applied.

Each finding comes from a variable, a status or a grant. `stream`, `transfer` and `health` use the same checks, so each
of them finds the same faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.reports.health import Finding, HealthLevel
from replica_cli.core.wording import counted, size
from replica_cli.mysql.binlog.log_state import log_status
from replica_cli.mysql.errnos import (
    ER_OPTION_PREVENTS_STATEMENT,
    ER_SPECIFIC_ACCESS_DENIED,
    ServerError,
)
from replica_cli.mysql.preflight.cascades import check_cascades
from replica_cli.mysql.preflight.grants import read_grants
from replica_cli.mysql.preflight.limits import check_limits
from replica_cli.mysql.preflight.privileges import check_primary_grants, check_secondary_grants
from replica_cli.mysql.preflight.versioned_tables import check_history

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.core.settings import SessionNeed
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.preflight.grants import Grants
    from replica_cli.mysql.session import Session

OLDEST_MARIADB = (10, 5, 0)
OLDEST_MYSQL = (8, 0, 0)
SHORT_RETENTION_SECONDS = 24 * 3600
_DAY_SECONDS = 86400


def check_primary(
    session: Session,
    facts: ServerFacts,
    selection: Selection | None = None,
    *,
    server_ids: Sequence[int] = (),
    absent: Collection[str] = (),
    sessions: SessionNeed | None = None,
    grants: Grants | None = None,
) -> tuple[Finding, ...]:
    """Check the primary.

    `server_ids` are the ids that our dump connections will use, `sessions` the numbers of connections that we need.
    `absent` are selected schemas that the primary does not have: no privilege is required on them. `grants` are what
    our account may do, if the caller has read them already.

    Raises:
        ServerError: only if the connection is lost. What our account may not see becomes a finding.
    """
    grants = grants or read_grants(session)
    findings = [
        _version("primary", facts),
        _log_bin(facts),
        _binlog_format(facts),
        _row_image(facts),
        _row_value_options(facts),
        _gtid_mode(facts),
        _retention(facts),
        _server_ids(facts, server_ids),
        check_primary_grants(session, facts, grants, selection, absent=absent),
        *_semi_sync(session, facts),
        *_chained(session, facts),
        *_prepared(session),
    ]
    if facts.is_on("log_bin") and any(grants.allows(p) for p in ("BINLOG MONITOR", "REPLICATION CLIENT", "SUPER")):
        findings.extend(_log_filters(session, selection))
    if selection is not None:
        findings.append(check_cascades(session, facts, selection))
    return (*findings, *_limits(session, facts, grants, sessions))


def check_secondary(
    session: Session,
    facts: ServerFacts,
    primary_facts: ServerFacts,
    state_schema: str,
    *,
    selection: Selection | None = None,
    server_ids: Sequence[int] = (),
    is_sql_wanted: bool = False,
    absent: Collection[str] = (),
    sessions: SessionNeed | None = None,
    versioned: Sequence[TableName] = (),
) -> tuple[Finding, ...]:
    """Check a secondary against its primary.

    `is_sql_wanted` is True if the user excluded the row image engine. `versioned` are selected tables that keep
    history. `server_ids`, `absent` and `sessions` are as in `check_primary`.

    Raises:
        ServerError: only if the connection is lost.
    """
    grants = read_grants(session)
    bypasses = ("READ_ONLY ADMIN", "SUPER") if facts.is_mariadb else ("CONNECTION_ADMIN", "SUPER")
    return (
        _version("secondary", facts),
        _pair(facts, primary_facts),
        _identity(facts, primary_facts, selection, server_ids),
        check_secondary_grants(facts, primary_facts, grants, selection, state_schema, absent=absent),
        _read_only(facts, can_write=any(grants.allows(p) for p in bypasses)),
        _packet(facts, primary_facts),
        _name_case(facts, primary_facts),
        *_partial_json(facts, primary_facts, is_sql_wanted=is_sql_wanted),
        _default_engine(facts),
        _secondary_log(session, facts),
        _statement_times(session),
        *check_history(versioned, facts, grants, is_sql_wanted=is_sql_wanted),
        *_limits(session, facts, grants, sessions),
    )


def _limits(session: Session, facts: ServerFacts, grants: Grants, sessions: SessionNeed | None) -> tuple[Finding, ...]:
    return () if sessions is None else check_limits(session, facts, grants, sessions)


def expiry_seconds(facts: ServerFacts) -> int | None:
    """Return after how many seconds the server purges a binary log file by its age, None if it never does."""
    if "binlog_expire_logs_auto_purge" in facts.variables and not facts.is_on("binlog_expire_logs_auto_purge"):
        return None
    seconds = int(facts.variables.get("binlog_expire_logs_seconds", "0") or 0)
    # Before MariaDB 10.6 there was only the variable in days. In later releases both variables show the same time.
    days = float(facts.variables.get("expire_logs_days", "0") or 0)
    return seconds or round(days * _DAY_SECONDS) or None


def _version(side: str, facts: ServerFacts) -> Finding:
    oldest = OLDEST_MARIADB if facts.is_mariadb else OLDEST_MYSQL
    name = f"{side}-version"
    if facts.version >= oldest:
        return Finding(name, HealthLevel.OK, f"{facts}")
    wanted = ".".join(map(str, oldest[:2]))
    message = f"{facts} is older than {wanted}; replica was never tested with it"
    return Finding(name, HealthLevel.WARNING, message, f"upgrade the {side} to {facts.flavour} {wanted} or later")


def _log_bin(facts: ServerFacts) -> Finding:
    if facts.is_on("log_bin"):
        return Finding("log-bin", HealthLevel.OK, "the binary log is on")
    hint = "set `log_bin` and `binlog_format=ROW` in the primary's option file and restart it"
    return Finding("log-bin", HealthLevel.CRITICAL, "the binary log is off: there is nothing to replicate", hint)


def _binlog_format(facts: ServerFacts) -> Finding:
    value = facts.variables.get("binlog_format", "ROW").upper()
    if value == "ROW":
        return Finding("binlog-format", HealthLevel.OK, "changes are logged as rows")
    hint = "SET GLOBAL binlog_format = 'ROW'; and the same in the option file; open sessions keep the old value"
    return Finding(
        "binlog-format", HealthLevel.CRITICAL, f"binlog_format={value} logs statements, and these stop the stream", hint
    )


def _row_image(facts: ServerFacts) -> Finding:
    value = facts.variables.get("binlog_row_image", "FULL").upper()
    if value in ("FULL", "FULL_NODUP"):
        return Finding("row-image", HealthLevel.OK, "row images are complete")
    message = f"binlog_row_image={value}: rows are applied if their images hold the key; a table without a key fails"
    return Finding("row-image", HealthLevel.WARNING, message, "SET GLOBAL binlog_row_image = 'FULL';")


def _row_value_options(facts: ServerFacts) -> Finding:
    value = facts.variables.get("binlog_row_value_options", "")
    if not value:
        return Finding("row-value-options", HealthLevel.OK, "JSON documents are logged completely")
    hint = "SET GLOBAL binlog_row_value_options = '';"
    message = f"{value}: updates of JSON are logged in part, and only the row image engine applies them"
    return Finding("row-value-options", HealthLevel.WARNING, message, hint)


def _gtid_mode(facts: ServerFacts) -> Finding:
    if facts.is_mariadb:
        return Finding("gtid-mode", HealthLevel.OK, "MariaDB always writes GTIDs")
    value = facts.variables.get("gtid_mode", "OFF").upper()
    if value == "ON":
        return Finding("gtid-mode", HealthLevel.OK, "transactions carry GTIDs")
    # The server changes this variable only by one step at a time.
    steps = ("OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON")
    after = steps[steps.index(value) + 1 :] if value in steps else steps[1:]
    hint = "SET GLOBAL enforce_gtid_consistency = ON; " + " ".join(f"SET GLOBAL gtid_mode = {step};" for step in after)
    message = f"gtid_mode={value}: the position is only a file and an offset, and is valid on this server alone"
    return Finding("gtid-mode", HealthLevel.WARNING, message, hint)


def _retention(facts: ServerFacts) -> Finding:
    seconds = expiry_seconds(facts)
    if seconds is None:
        return Finding("binlog-retention", HealthLevel.OK, "binlog files are not purged by age")
    hours = seconds / 3600
    if seconds >= SHORT_RETENTION_SECONDS:
        return Finding(
            "binlog-retention", HealthLevel.OK, f"binlog files are kept for {hours:.0f} h", value=seconds, unit="s"
        )
    name = "binlog_expire_logs_seconds" if "binlog_expire_logs_seconds" in facts.variables else "expire_logs_days"
    hint = f"SET GLOBAL {name} = {7 * _DAY_SECONDS if name.endswith('seconds') else 7};"
    message = f"binlog files are kept for {hours:.1f} h: an outage longer than that loses the position"
    return Finding("binlog-retention", HealthLevel.WARNING, message, hint, seconds, "s")


def _server_ids(facts: ServerFacts, server_ids: Sequence[int]) -> Finding:
    value = facts.server_id
    if value == 0:
        hint = "SET GLOBAL server_id = 1;"
        return Finding(
            "primary-server-id", HealthLevel.CRITICAL, "server_id is 0: the primary refuses every replica", hint
        )
    if value in server_ids:
        count = len(server_ids)
        hint = f"choose MARIA_SERVER_ID so that none of its {count} ids (N to N+{count - 1}) is {value}"
        message = f"the primary's server_id {value} is one of the ids that replica uses"
        return Finding("primary-server-id", HealthLevel.CRITICAL, message, hint)
    return Finding("primary-server-id", HealthLevel.OK, f"server_id {value} is not an id that replica uses")


def _semi_sync(session: Session, facts: ServerFacts) -> Iterator[Finding]:
    on = [v for v in ("rpl_semi_sync_master_enabled", "rpl_semi_sync_source_enabled") if facts.is_on(v)]
    if not on:
        return
    clients = sum(int(row[1]) for row in session.rows("SHOW GLOBAL STATUS LIKE 'rpl\\_semi\\_sync\\_%\\_clients'"))
    message = "semi-sync is on: replica sends no ACK, and the primary does not count it as a semi-sync replica"
    if clients:
        yield Finding("semi-sync", HealthLevel.OK, f"{message}; {counted(clients, 'other replica')} can send one")
        return
    message += "; no other replica sends one, so each commit may wait until the timeout"
    yield Finding("semi-sync", HealthLevel.WARNING, message, f"SET GLOBAL {on[0]} = OFF;")


def _chained(session: Session, facts: ServerFacts) -> Iterator[Finding]:
    """Check that a primary that is itself a replica logs what it applies; otherwise those rows never reach us."""
    name = "log_replica_updates" if "log_replica_updates" in facts.variables else "log_slave_updates"
    if facts.is_on(name):
        return
    # MySQL shows only to the owner of its channels whether it replicates; MariaDB shows it to every account.
    running = session.row("SHOW GLOBAL STATUS LIKE 'slaves\\_running'") if facts.is_mariadb else None
    if running is not None and int(running[1]) == 0:
        return
    level = HealthLevel.WARNING if running is None else HealthLevel.CRITICAL
    message = f"{name} is OFF: what this server replicates from its own primary is not in its binary log"
    yield Finding("log-replica-updates", level, message, f"set `{name}=ON` in the primary's option file and restart it")


def _prepared(session: Session) -> Iterator[Finding]:
    """Check for transactions that XA PREPARE left open.

    A copy that begins at this moment does not see their changes, so their XA COMMIT stops the stream after the copy.
    """
    name = "prepared-transactions"
    try:
        count = len(session.rows("XA RECOVER"))
    except ServerError as error:
        if error.is_connection_lost:
            raise
        message = "prepared XA transactions cannot be seen without the privilege XA_RECOVER_ADMIN"
        yield Finding(name, HealthLevel.OK, message)
        return
    if not count:
        yield Finding(name, HealthLevel.OK, "no XA transaction is prepared")
        return
    message = f"{counted(count, 'prepared XA transaction')}: a copy that begins now does not see their changes"
    hint = "before a transfer: XA RECOVER; then XA COMMIT or XA ROLLBACK each; a stream that has read them goes on"
    yield Finding(name, HealthLevel.WARNING, message, hint)


def _log_filters(session: Session, selection: Selection | None) -> Iterator[Finding]:
    status = log_status(session) or {}
    only = _names(status.get("binlog_do_db"))
    left_out = _names(status.get("binlog_ignore_db"))
    if not only and not left_out:
        return
    wanted = [source for source, _ in selection.schemas] if selection else []
    hidden = [s for s in wanted if (only and s not in only) or s in left_out]
    text = f"binlog_do_db={','.join(only) or '-'} binlog_ignore_db={','.join(left_out) or '-'}"
    # With `*` it is unknown which schemas should be logged. With names, the changes of a schema that is not logged
    # would be missing without any error.
    level = HealthLevel.CRITICAL if hidden else HealthLevel.WARNING
    message = f"the primary does not log every schema: {text}" + (f"; not logged: {', '.join(hidden)}" * bool(hidden))
    yield Finding(
        "binlog-filters", level, message, "remove these filters from the primary's option file and restart it"
    )


def _names(value: object) -> tuple[str, ...]:
    return tuple(name.strip() for name in str(value or "").split(",") if name.strip())


def _pair(facts: ServerFacts, primary: ServerFacts) -> Finding:
    if facts.is_mariadb != primary.is_mariadb:
        message = (
            f"{primary} to {facts}: rows are written with SQL, and types that the secondary does not have are refused"
        )
        return Finding("server-pair", HealthLevel.OK, message)
    if facts.version[:2] < primary.version[:2]:
        message = f"the secondary ({facts}) is older than its primary ({primary})"
        hint = f"upgrade the secondary to {primary} or later: upgrade secondaries before their primary"
        return Finding("server-pair", HealthLevel.WARNING, message, hint)
    return Finding("server-pair", HealthLevel.OK, f"{primary} to {facts}")


def _identity(
    facts: ServerFacts, primary: ServerFacts, selection: Selection | None, server_ids: Sequence[int]
) -> Finding:
    name, value = "secondary-server-id", facts.server_id
    routed = selection is not None and all(s != t for s, t in selection.schemas) and not selection.takes_all_schemas
    if _is_same_server(facts, primary):
        level = HealthLevel.OK if routed else HealthLevel.CRITICAL
        hint = (
            ""
            if routed
            else "name another server in MARIA_SECONDARY_HOSTS, or rename every schema: REPLICA_SCHEMAS=a:b"
        )
        return Finding(name, level, "the secondary is the primary itself", hint)
    if value == primary.server_id:
        hint = f"SET GLOBAL server_id = {_free_id((primary.server_id, *server_ids))};  -- on the secondary"
        return Finding(name, HealthLevel.WARNING, f"primary and secondary have the same server_id {value}", hint)
    if value in server_ids:
        message = f"the secondary's server_id {value} is one of the ids that replica uses"
        hint = "set MARIA_SERVER_ID to other ids: as replicas of one primary, the two would disconnect each other"
        return Finding(name, HealthLevel.WARNING, message, hint)
    return Finding(name, HealthLevel.OK, f"server_id {value} is not used by the primary or by replica")


def _is_same_server(facts: ServerFacts, primary: ServerFacts) -> bool:
    # A cloned data folder has the same unique id, so host name, port and folder are compared as well.
    keys = ("server_uid" if facts.is_mariadb else "server_uuid", "hostname", "port", "datadir")
    return facts.flavour == primary.flavour and all(facts.variables.get(k) == primary.variables.get(k) for k in keys)


def _free_id(taken: Iterable[int]) -> int:
    return max(taken) + 1


def _read_only(facts: ServerFacts, *, can_write: bool) -> Finding:
    name = "secondary-read-only"
    on = [v for v in ("innodb_read_only", "super_read_only", "read_only") if _is_set(facts, v)]
    if not on:
        return Finding(name, HealthLevel.OK, "the secondary accepts writes")
    if on == ["read_only"] and can_write:
        return Finding(name, HealthLevel.OK, "read_only is on, but this user may write")
    dynamic = [v for v in on if v != "innodb_read_only"]
    hint = " ".join(f"SET GLOBAL {v} = OFF;" for v in dynamic) or "restart the secondary without innodb_read_only"
    return Finding(name, HealthLevel.CRITICAL, f"no row can be written, because of {', '.join(on)}", hint)


def _is_set(facts: ServerFacts, variable: str) -> bool:
    # MariaDB 12 has more values of read_only than ON.
    return facts.variables.get(variable, "OFF").upper() not in ("OFF", "0", "")


def _packet(facts: ServerFacts, primary: ServerFacts) -> Finding:
    name, secondary_limit, primary_limit = "max-allowed-packet", facts.max_allowed_packet, primary.max_allowed_packet
    if secondary_limit >= primary_limit:
        return Finding(
            name,
            HealthLevel.OK,
            f"{size(secondary_limit)} (primary: {size(primary_limit)})",
            value=secondary_limit,
            unit="bytes",
        )
    message = f"{size(secondary_limit)}, less than the primary's {size(primary_limit)}: the largest rows do not fit"
    return Finding(
        name,
        HealthLevel.WARNING,
        message,
        f"SET GLOBAL max_allowed_packet = {primary_limit};  -- on the secondary",
        secondary_limit,
        "bytes",
    )


def _name_case(facts: ServerFacts, primary: ServerFacts) -> Finding:
    name, secondary_setting, primary_setting = (
        "lower-case-table-names",
        facts.lower_case_table_names,
        primary.lower_case_table_names,
    )
    if secondary_setting == primary_setting:
        return Finding(name, HealthLevel.OK, f"{secondary_setting} on both sides")
    message = f"{primary_setting} on the primary, {secondary_setting} on the secondary: "
    if primary_setting == 0:
        message += "names that differ only in case would become one table"
    else:
        message += "the secondary gets the names as the primary spells them"
    hint = "it cannot be changed later: set up the secondary again with the primary's value"
    return Finding(name, HealthLevel.CRITICAL if primary_setting == 0 else HealthLevel.WARNING, message, hint)


def _partial_json(facts: ServerFacts, primary: ServerFacts, *, is_sql_wanted: bool) -> Iterator[Finding]:
    value = primary.variables.get("binlog_row_value_options", "")
    if not value or not (is_sql_wanted or facts.is_mariadb != primary.is_mariadb):
        return
    message = (
        f"the primary logs updates of JSON in part ({value}), and the SQL engine, which is used here, refuses them"
    )
    hint = "SET GLOBAL binlog_row_value_options = '';  -- on the primary; open sessions keep the old value"
    yield Finding("partial-json", HealthLevel.CRITICAL, message, hint)


def _default_engine(facts: ServerFacts) -> Finding:
    name, value = "default-engine", facts.variables.get("default_storage_engine", "InnoDB")
    if value.lower() in ("innodb", "rocksdb"):
        return Finding(name, HealthLevel.OK, f"new tables are {value}")
    message = f"a table without an ENGINE becomes {value} on the secondary: rows and position would not commit together"
    return Finding(name, HealthLevel.WARNING, message, "SET GLOBAL default_storage_engine = 'InnoDB';")


def _secondary_log(session: Session, facts: ServerFacts) -> Finding:
    name = "sql-log-bin"
    if not facts.is_on("log_bin"):
        return Finding(name, HealthLevel.OK, "the secondary has no binary log: replicas of it would get no changes")
    row = session.row("SELECT @@SESSION.sql_log_bin")
    if row is None or int(row[0]):
        return Finding(
            name,
            HealthLevel.OK,
            "the secondary's own binary log holds what replica writes, for replicas of the secondary",
        )
    message = "sql_log_bin is off for the sessions of replica: replicas of the secondary would get no changes"
    hint = "SHOW GLOBAL VARIABLES LIKE 'init_connect'; take `sql_log_bin` out of it with SET GLOBAL init_connect = '…';"
    return Finding(name, HealthLevel.WARNING, message, hint)


def _statement_times(session: Session) -> Finding:
    name = "statement-times"
    try:
        session.execute("SET SESSION timestamp = 1")
        session.execute("SET SESSION timestamp = DEFAULT")
    except ServerError as error:
        if error.errno not in (ER_OPTION_PREVENTS_STATEMENT, ER_SPECIFIC_ACCESS_DENIED):
            raise
        message = (
            "replica may not set `timestamp` on the secondary (secure_timestamp): NOW() in DDL would give another time"
        )
        return Finding(name, HealthLevel.CRITICAL, message, "start the secondary with secure_timestamp=NO")
    return Finding(name, HealthLevel.OK, "DDL statements run with the time that they had on the primary")
