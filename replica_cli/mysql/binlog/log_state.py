"""Read the state of the primary's binary log: its end, its files, and the event that begins at a position."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog.gtid_sets import executed_gtids, with_gtids
from replica_cli.mysql.errnos import ER_PARSE_ERROR, ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session, Value
    from replica_cli.stop import StopToken

# MariaDB since 10.5.2 and MySQL since 8.2 have their own names for the statement that all older releases know.
_STATUS = {True: "SHOW BINLOG STATUS", False: "SHOW BINARY LOG STATUS"}
_OLD_STATUS = "SHOW MASTER STATUS"
_GTID_NEXT = re.compile(r"GTID_NEXT= '([0-9a-fA-F-]{36}:[^']+)'")


@dataclass(frozen=True, slots=True)
class BinlogFile:
    """One file of the primary's binary log. `size` is in bytes."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class NextEvent:
    """One event as `SHOW BINLOG EVENTS` shows it."""

    kind: str
    info: str

    @property
    def gtid(self) -> str:
        """Return the GTID of a MySQL transaction that begins with this event, "" for any other event."""
        quoted = _GTID_NEXT.search(self.info)
        return quoted[1].lower() if quoted else ""


def current_position(session: Session, facts: ServerFacts, stop: StopToken | None = None) -> Position:
    """Return the end of the primary's binary log, as a position to start from.

    Raises:
        PrimaryError: the primary writes no binary log, or cannot tell the GTID set of the position.
        Interrupted: `stop` was set.
    """
    if facts.is_mariadb:
        return with_gtids(session, lambda: log_end(session), lambda: log_end(session), stop)
    return log_end(session, has_gtids=facts.has_gtids)


def end_of_log(session: Session, facts: ServerFacts) -> Position:
    """Return the end of the primary's binary log, as a position to show or to reach, not to start from.

    MariaDB's GTID set may contain some transactions after the position.

    Raises:
        PrimaryError: the primary writes no binary log.
    """
    end = log_end(session, has_gtids=facts.has_gtids)
    return replace(end, gtid=executed_gtids(session)) if facts.is_mariadb else end


def log_end(session: Session, *, has_gtids: bool = False) -> Position:
    """Return the end of the log, with MySQL's GTID set if `has_gtids`. Raises PrimaryError if there is no log."""
    status = log_status(session)
    if status is None:
        raise binlog_is_off(session)
    executed = str(status.get("executed_gtid_set") or "").replace("\n", "")
    return Position(str(status["file"]), int(str(status["position"])), executed if has_gtids else "")


def log_status(session: Session) -> dict[str, Value] | None:
    """Return the server's status of its binary log by lower-case column names, None if it writes no binary log."""
    try:
        return session.named_row(_STATUS[session.is_mariadb])
    except ServerError as error:
        if error.errno != ER_PARSE_ERROR:
            raise
        return session.named_row(_OLD_STATUS)


def binlog_is_off(session: Session) -> PrimaryError:
    """Return the error for a server that writes no binary log."""
    return PrimaryError(
        f"{session.server}: the binary log is off", hint="start the primary with `log_bin` and `binlog_format=ROW`"
    )


def next_event(session: Session, position: Position) -> NextEvent | None:
    """Return the event that begins at a position of the log, None at the end of a file.

    Raises:
        ServerError: no event begins at the position (ER_ERROR_WHEN_EXECUTING_COMMAND), or the query failed otherwise.
    """
    row = session.row("SHOW BINLOG EVENTS IN %s FROM %s LIMIT 1", position.file, position.pos)
    return NextEvent(str(row[2]), str(row[5])) if row else None


def binlog_files(session: Session) -> tuple[BinlogFile, ...]:
    """Return the files of the primary's binary log, oldest first."""
    return tuple(BinlogFile(str(row[0]), int(row[1])) for row in session.rows("SHOW BINARY LOGS"))
