"""Check which privileges our account needs on each side, and give the GRANT for each one that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.core.reports.health import Finding, HealthLevel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from replica_cli.core.selection import Selection
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.preflight.grants import Grants
    from replica_cli.mysql.session import Session

_TARGET = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES")
_STATE = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE")
# Tables that the first copy has to lock: for a moment if there is no key to read chunks by (on MySQL), or all the time
# if the engine has no transactions.
_LOCKED_TABLES = """
    SELECT t.table_schema, t.table_name
    FROM information_schema.tables t
    LEFT JOIN information_schema.engines e ON e.engine = t.engine
    LEFT JOIN (
        SELECT DISTINCT table_schema, table_name FROM (
            SELECT table_schema, table_name, index_name FROM information_schema.statistics WHERE non_unique = 0
            GROUP BY table_schema, table_name, index_name
            HAVING SUM(nullable = 'YES' OR sub_part IS NOT NULL OR column_name IS NULL) = 0
        ) usable
    ) k ON k.table_schema = t.table_schema AND k.table_name = t.table_name
    WHERE t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
    AND (COALESCE(e.transactions, 'NO') <> 'YES' OR (%s AND k.table_name IS NULL))
"""


class _Missing:
    """Collects the privileges that are missing on one side, in the order in which they are required."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._level = HealthLevel.OK
        self._texts: list[str] = []
        self._statements: list[str] = []

    def anywhere(self, privilege: str, *instead: str, why: str, level: HealthLevel = HealthLevel.CRITICAL) -> None:
        """Require a privilege ON *.*; each privilege of `instead` serves as well."""
        if not any(self._grants.allows(p) for p in (privilege, *instead)):
            self._add((privilege,), "", "", why, level)

    def on_schema(
        self, privileges: Iterable[str], schema: str, *, why: str, level: HealthLevel = HealthLevel.CRITICAL
    ) -> None:
        """Require privileges on all tables of a schema, or ON *.* if `schema` is empty."""
        allows = self._grants.allows_on_schema
        if missing := tuple(p for p in privileges if not (allows(p, schema) if schema else self._grants.allows(p))):
            self._add(missing, schema, "", why, level)

    def on_table(self, privilege: str, name: TableName, *, why: str, level: HealthLevel = HealthLevel.CRITICAL) -> None:
        """Require a privilege on one table."""
        if not self._grants.allows_on_table(privilege, name.schema, name.table):
            self._add((privilege,), name.schema, name.table, why, level)

    def _add(self, privileges: tuple[str, ...], schema: str, table: str, why: str, level: HealthLevel) -> None:
        self._level = max(self._level, level)
        target = f"{schema or '*'}.{table or '*'}"
        self._texts.append(f"{', '.join(privileges)} on {target} ({why})")
        self._statements.append(self._grants.statement(privileges, schema, table))

    def finding(self, name: str) -> Finding:
        """Return one finding with all missing privileges and the statement for each."""
        if not self._texts:
            return Finding(name, HealthLevel.OK, f"{self._grants.account} has all privileges that it needs")
        message = f"{self._grants.account} lacks {'; '.join(self._texts)}"
        return Finding(name, self._level, message, " ".join(self._statements))


def check_primary_grants(
    session: Session,
    facts: ServerFacts,
    grants: Grants,
    selection: Selection | None = None,
    *,
    absent: Collection[str] = (),
) -> Finding:
    """Return what our account lacks on the primary for reading the log, for finding its end and for copying tables.

    Nothing is required on `absent` schemas, which do not exist.
    """
    missing = _Missing(grants)
    missing.anywhere("REPLICATION SLAVE", why="to read the binary log")
    if facts.is_mariadb and facts.version >= (10, 5, 2):
        missing.anywhere("BINLOG MONITOR", "SUPER", why="to see where the binary log ends")
    else:
        missing.anywhere("REPLICATION CLIENT", "SUPER", why="to see where the binary log ends")
    if selection is not None:
        for schema, table in _sources(selection):
            if schema in absent:
                continue
            if table:
                missing.on_table("SELECT", TableName(schema, table), why="to copy it")
            else:
                missing.on_schema(("SELECT",), schema, why="to copy its tables")
        for schema, tables in _locked_tables(session, facts, selection).items():
            # LOCK TABLES cannot be granted on a single table.
            missing.on_schema(("LOCK TABLES",), schema, why=f"to copy {', '.join(tables)} under a read lock")
    if not facts.is_mariadb:
        _require_log_status(missing, has_gtids=facts.has_gtids)
    return missing.finding("primary-grants")


def _require_log_status(missing: _Missing, *, has_gtids: bool) -> None:
    # gtid_executed contains only what is visible, and can be used instead. Without both, a copy has no position to
    # start from.
    if not has_gtids:
        why = "to see which transactions a copy contains; not needed with gtid_mode=ON"
        missing.anywhere("BACKUP_ADMIN", why=why)
        missing.on_table("SELECT", TableName("performance_schema", "log_status"), why=why)


def check_secondary_grants(
    facts: ServerFacts,
    primary_facts: ServerFacts,
    grants: Grants,
    selection: Selection | None,
    state_schema: str,
    *,
    absent: Collection[str] = (),
) -> Finding:
    """Return what our account lacks on the secondary for writing rows and tables, and for keeping its state.

    Nothing is required on schemas that only `absent` schemas of the primary would be copied to.
    """
    missing = _Missing(grants)
    missing.on_schema(_STATE, state_schema, why="to keep position and progress")
    for schema in _targets(selection, absent) if selection is not None else ():
        missing.on_schema(_TARGET, schema, why="to write its tables")
        missing.on_schema(("TRIGGER",), schema, why="to see triggers that would fire", level=HealthLevel.WARNING)
    if facts.is_mariadb == primary_facts.is_mariadb:
        why = "to apply row images; without it rows are written with SQL, which is slower"
        if not facts.is_mariadb:
            missing.anywhere("REPLICATION_APPLIER", "SUPER", why=why, level=HealthLevel.WARNING)
        elif facts.version >= (10, 5, 2):
            missing.anywhere("BINLOG REPLAY", why=why, level=HealthLevel.WARNING)
        else:
            missing.anywhere("SUPER", why=why, level=HealthLevel.WARNING)
    return missing.finding("secondary-grants")


def _sources(selection: Selection) -> tuple[tuple[str, str], ...]:
    """Return schema and table of what is read: an empty table means a whole schema, an empty schema all of them."""
    named = [tuple(p.split(".", 1)) for p in selection.tables if "." in p and not set(p) & set("*?")]
    if selection.tables and len(named) == len(selection.tables):
        return tuple((s, t) for s, t in named if selection.schema_target(s) is not None)
    if selection.takes_all_schemas:
        return (("", ""),)
    return tuple((source, "") for source, _ in selection.schemas)


def _targets(selection: Selection, absent: Collection[str]) -> tuple[str, ...]:
    if selection.takes_all_schemas:
        return ("",)
    return tuple(dict.fromkeys(target for source, target in selection.schemas if source not in absent))


def _locked_tables(session: Session, facts: ServerFacts, selection: Selection) -> dict[str, list[str]]:
    tables_by_schema: dict[str, list[str]] = {}
    for schema, table in session.rows(_LOCKED_TABLES, int(not facts.is_mariadb)):
        if selection.target(TableName(str(schema), str(table))) is not None:
            tables_by_schema.setdefault(str(schema), []).append(str(table))
    return tables_by_schema
