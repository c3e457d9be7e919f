"""The primary's binary log from the outside: where it ends, where it begins, and snapshots at a known position."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import (
    ER_LOCK_WAIT_TIMEOUT,
    ER_PARSE_ERROR,
    ER_SPECIFIC_ACCESS_DENIED,
    RIGHTS,
    ServerError,
)
from replica_cli.mysql.gtids import executed_gtids, with_gtids
from replica_cli.mysql.mariadb_snapshots import binlog_is_off, open_snapshot
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

# Three names for one statement: MySQL >= 8.2, MariaDB >= 10.5.2, and what all knew before.
_STATUS = ("SHOW BINARY LOG STATUS", "SHOW BINLOG STATUS", "SHOW MASTER STATUS")
_ER_TABLEACCESS_DENIED = 1142
_REPEATABLE_READ = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
# How long a snapshot that shows all before its place is looked for: a file of the log begins in some milliseconds.
_SNAPSHOTS_LIMIT = 10
_PAUSE_SECONDS = 0.03
_LOCK_SECONDS = 3
# A commit shows its rows as soon as it is in the log, or as a semi-synchronous replica has it.
_SHOWN_SECONDS = 1.0
_GTID_NEXT = re.compile(r"GTID_NEXT= '([0-9a-fA-F-]{36}:[^']+)'")


class _NotSettledError(Exception):
    """No snapshot of MariaDB shows all transactions before its place."""


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
    raise binlog_is_off(session)


def visible_position(session: Session, facts: ServerFacts) -> Position:
    """Return a position of which every transaction before it is visible to a read that starts from now on.

    The end of the log is no such place: a transaction stands in the log before the storage engine shows its rows.
    MariaDB tells the position of a consistent snapshot (mariadb_snapshots). MySQL tells it in
    performance_schema.log_status (BACKUP_ADMIN), and without that right its gtid_executed holds only what is
    committed. Raises PrimaryError where neither is to be had.
    """
    if not facts.is_mariadb:
        return _log_status(session, facts)
    session.execute(_REPEATABLE_READ)
    try:
        return with_gtids(session, lambda: _seen_place(session), lambda: _end(session))
    finally:
        session.rollback()


def _seen_place(session: Session) -> Position:
    """Return a place whose transactions a later snapshot shows, or that they have had the time to be shown."""
    first = open_snapshot(session)
    deadline = time.monotonic() + _SHOWN_SECONDS
    is_settled = first.is_settled
    while not is_settled and time.monotonic() < deadline:
        StopToken().wait(_PAUSE_SECONDS)
        is_settled = open_snapshot(session).is_settled
    return first.place


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
def table_snapshot(
    session: Session, locker: Session, facts: ServerFacts, names: Sequence[TableName]
) -> Iterator[Position]:
    """Open a snapshot on `session` of which the position is exact for some tables; it ends with the context.

    MariaDB needs no lock, unless no snapshot shows all transactions before its place: that is so at the beginning of
    a file of the log, and while there are XA transactions. There, and on MySQL, `locker` holds the tables' read locks
    for the moment in which position and snapshot are taken: writers of these tables have committed, and the next ones
    come after the position.
    """
    session.execute(_REPEATABLE_READ)
    try:
        position = _settled_position(session) if facts.is_mariadb else None
        yield _locked_position(session, locker, facts, names) if position is None else position
    finally:
        session.rollback()


def _settled_position(session: Session) -> Position | None:
    """Open a snapshot and return its exact position, None where it shows less than there is before the position."""

    def take() -> Position:
        for _ in range(_SNAPSHOTS_LIMIT):
            found = open_snapshot(session)
            if found.is_settled:
                return found.place
            StopToken().wait(_PAUSE_SECONDS)
        raise _NotSettledError

    try:
        return with_gtids(session, take, lambda: _end(session))
    except _NotSettledError:
        return None


def _locked_position(session: Session, locker: Session, facts: ServerFacts, names: Sequence[TableName]) -> Position:
    _lock_tables(locker, facts, names)
    try:
        position = current_position(locker, facts)
        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    finally:
        locker.execute("UNLOCK TABLES")
    return position


def _lock_tables(locker: Session, facts: ServerFacts, names: Sequence[TableName]) -> None:
    # While a lock is waited for, those who want to write wait too. A prepared XA transaction may stay for days.
    patience = f" WAIT {_LOCK_SECONDS}" if facts.is_mariadb else ""
    try:
        locker.execute("LOCK TABLES " + ", ".join(f"{quote_table(name)} READ" for name in names) + patience)
    except ServerError as error:
        told = f"{', '.join(map(str, names))} can be copied only under a read lock now"
        if error.errno in RIGHTS:
            schemas = sorted({name.schema for name in names})
            raise PrimaryError(
                f"{locker.server}: {told}, and our user may not lock tables: {error.text}",
                hint=" ".join(f"GRANT LOCK TABLES ON {quote(schema)}.* TO this user;" for schema in schemas),
            ) from error
        if error.errno != ER_LOCK_WAIT_TIMEOUT:
            raise
        text = f"{told}; end the transaction there that uses them (`XA RECOVER`, `SHOW PROCESSLIST`): {error.text}"
        raise ServerError(error.errno, text, error.server, remedy=error.remedy, exit_code=error.exit_code) from error


def next_event(session: Session, place: Position) -> NextEvent | None:
    """Return the event that begins at a place of the log, None at the end of a file.

    Raises ServerError (ER_ERROR_WHEN_EXECUTING_COMMAND) when no event begins there.
    """
    row = session.row("SHOW BINLOG EVENTS IN %s FROM %s LIMIT 1", place.file, place.pos)
    return NextEvent(str(row[2]), str(row[5])) if row else None


def binlog_files(session: Session) -> tuple[BinlogFile, ...]:
    """Return the files of the primary's binary log, oldest first."""
    return tuple(BinlogFile(str(row[0]), int(row[1])) for row in session.rows("SHOW BINARY LOGS"))
