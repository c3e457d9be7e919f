"""The primary's binary log from the outside: where it ends, where it begins, and snapshots at a known position."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import ER_PARSE_ERROR, ER_SPECIFIC_ACCESS_DENIED, ServerError
from replica_cli.mysql.gtids import executed_gtids, with_gtids
from replica_cli.sqlbuilder.identifiers import quote_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

# Three names for one statement: MySQL >= 8.2, MariaDB >= 10.5.2, and what all knew before.
_STATUS = ("SHOW BINARY LOG STATUS", "SHOW BINLOG STATUS", "SHOW MASTER STATUS")
_ER_TABLEACCESS_DENIED = 1142
_GTID_NEXT = re.compile(r"GTID_NEXT= '([0-9a-fA-F-]{36}:[^']+)'")


@dataclass(frozen=True, slots=True)
class BinlogFile:
    """One file of the primary's binary log and its size, bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class NextEvent:
    """One event as `SHOW BINLOG EVENTS` names it."""

    kind: str
    info: str

    @property
    def gtid(self) -> str:
        """Return the GTID of a MySQL transaction that begins with this event, "" for any other event."""
        quoted = _GTID_NEXT.search(self.info)
        return quoted[1].lower() if quoted else ""


def current_position(session: Session, facts: ServerFacts) -> Position:
    """Return where the primary's binary log ends now, to be started from.

    Raises PrimaryError where it writes none, or knows no GTID set of that place.
    """
    if facts.is_mariadb:
        return with_gtids(session, lambda: _end(session), lambda: _end(session))
    return _end(session, has_gtids=facts.has_gtids)


def end_of_log(session: Session, facts: ServerFacts) -> Position:
    """Return where the primary's binary log ends, to be shown or reached, not to start from.

    MariaDB's GTID set may hold some transactions that came after the place. Raises PrimaryError where there is no log.
    """
    end = _end(session, has_gtids=facts.has_gtids)
    return replace(end, gtid=executed_gtids(session)) if facts.is_mariadb else end


def _end(session: Session, *, has_gtids: bool = False) -> Position:
    for statement in _STATUS:
        try:
            status = session.named_row(statement)
        except ServerError as error:
            if error.errno != ER_PARSE_ERROR:
                raise
            continue
        if status is None:
            break
        executed = str(status.get("executed_gtid_set") or "").replace("\n", "")
        return Position(str(status["file"]), int(str(status["position"])), executed if has_gtids else "")
    raise _binlog_is_off(session)


def _binlog_is_off(session: Session) -> PrimaryError:
    return PrimaryError(
        f"{session.server}: the binary log is off", hint="start the primary with `log_bin` and `binlog_format=ROW`"
    )


def visible_position(session: Session, facts: ServerFacts) -> Position:
    """Return a position of which every transaction before it is visible to a read that starts from now on.

    The end of the log is no such place: a transaction stands in the log before the storage engine shows its rows.
    MariaDB tells the position of a consistent snapshot. MySQL tells it in performance_schema.log_status
    (BACKUP_ADMIN), and without that right its gtid_executed holds only what is committed.
    Raises PrimaryError where neither is to be had.
    """
    if facts.is_mariadb:
        with _mariadb_snapshot(session) as position:
            return position
    return _log_status(session, facts)


def _log_status(session: Session, facts: ServerFacts) -> Position:
    try:
        row = session.row("SELECT LOCAL FROM performance_schema.log_status")
    except ServerError as error:
        # It needs BACKUP_ADMIN, and SELECT on the table besides.
        if error.errno not in (ER_SPECIFIC_ACCESS_DENIED, _ER_TABLEACCESS_DENIED):
            raise
        row = None
    if row is not None:
        local = json.loads(row[0])
        gtid = str(local.get("gtid_executed", "")).replace("\n", "") if facts.has_gtids else ""
        return Position(str(local["binary_log_file"]), int(local["binary_log_position"]), gtid)
    if facts.has_gtids:
        executed = session.row("SELECT @@GLOBAL.gtid_executed")
        return Position("", 0, str(executed[0]).replace("\n", "") if executed else "")
    raise PrimaryError(
        f"{session.server}: no way to tell which transactions are visible",
        hint="GRANT BACKUP_ADMIN ON *.* TO this user, or set gtid_mode=ON",
    )


@contextmanager
def _mariadb_snapshot(session: Session) -> Iterator[Position]:
    def take() -> Position:
        # Another START TRANSACTION ends the snapshot before it.
        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        status = {str(n).lower(): str(v) for n, v in session.rows("SHOW STATUS LIKE 'binlog_snapshot_%'")}
        file, pos = status.get("binlog_snapshot_file", ""), int(status.get("binlog_snapshot_position", 0) or 0)
        if not file or not pos:
            raise _binlog_is_off(session)
        return Position(file, pos)

    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        yield with_gtids(session, take, lambda: _end(session))
    finally:
        session.rollback()


@contextmanager
def table_snapshot(
    session: Session, locker: Session, facts: ServerFacts, names: Sequence[TableName]
) -> Iterator[Position]:
    """Open a snapshot on `session` of which the position is exact for some tables; it ends with the context.

    MariaDB needs no lock. On MySQL `locker` holds the tables' read locks for the moment in which position and snapshot
    are taken: writers of these tables have committed, and the next ones come after the position.
    """
    if facts.is_mariadb:
        with _mariadb_snapshot(session) as position:
            yield position
        return
    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    locker.execute("LOCK TABLES " + ", ".join(f"{quote_table(name)} READ" for name in names))
    try:
        position = current_position(locker, facts)
        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    finally:
        locker.execute("UNLOCK TABLES")
    try:
        yield position
    finally:
        session.rollback()


def next_event(session: Session, place: Position) -> NextEvent | None:
    """Return the event that begins at a place of the log, None at the end of a file.

    Raises ServerError (ER_ERROR_WHEN_EXECUTING_COMMAND) when no event begins there.
    """
    row = session.row("SHOW BINLOG EVENTS IN %s FROM %s LIMIT 1", place.file, place.pos)
    return NextEvent(str(row[2]), str(row[5])) if row else None


def binlog_files(session: Session) -> tuple[BinlogFile, ...]:
    """Return the files of the primary's binary log, oldest first."""
    return tuple(BinlogFile(str(row[0]), int(row[1])) for row in session.rows("SHOW BINARY LOGS"))
