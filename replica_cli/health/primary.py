"""What a look at the primary shows; a primary that is down is a value as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError
from replica_cli.mysql.binlog import BinlogFile, binlog_files, end_of_log
from replica_cli.mysql.errnos import ServerError

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class PrimaryView:
    """The primary at one moment. `facts` is None where it is down; `now` is its clock, seconds since the epoch.

    `position` and `files` are None where our user may not see them, or the binary log is off: `error` says which.
    """

    facts: ServerFacts | None = None
    now: float = 0.0
    position: Position | None = None
    files: tuple[BinlogFile, ...] = ()
    error: ReplicaError | None = None


def read_primary(session: Session, facts: ServerFacts) -> PrimaryView:
    """Read where the binary log ends and begins. Raises ServerError where the connection is lost."""
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
