"""Read the state of the primary's binary log. A primary that does not answer is a value too, not an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.binlog.log_state import BinlogFile, binlog_files, end_of_log
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class PrimaryView:
    """The primary at one moment.

    `facts` is None if the primary does not answer. `now` is its clock, seconds since the epoch. `position` is None and
    `files` is empty if our user lacks the privilege to read them, or if the binary log is off: `error` says which.
    """

    facts: ServerFacts | None = None
    now: float = 0.0
    position: Position | None = None
    files: tuple[BinlogFile, ...] = ()
    error: ReplicaError | None = None


def read_primary(session: Session, facts: ServerFacts) -> PrimaryView:
    """Return where the primary's binary log begins and ends.

    Raises:
        ServerError: the connection is lost. Any other error is in the result.
    """
    row = session.row("SELECT UNIX_TIMESTAMP(NOW(6))")
    now = float(row[0]) if row else 0.0
    try:
        position = end_of_log(session, facts)
        files = binlog_files(session)
    except ServerError as error:
        if error.is_connection_lost:
            raise
        return PrimaryView(facts, now, error=error)
    except ReplicaError as error:
        return PrimaryView(facts, now, error=error)
    return PrimaryView(facts, now, position, files)
