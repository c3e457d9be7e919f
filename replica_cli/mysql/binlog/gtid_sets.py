"""Find the GTID set that belongs to a position of MariaDB's binary log; MySQL gives both in one answer.

In both flavours the head of a log file has the set of everything before the file. BINLOG_GTID_POS is exact and may
return NULL: it reads the file with the session's max_allowed_packet, which a session cannot raise. So one larger event
in the file hides everything after it, until the next file. In that case the set is taken from gtid_binlog_pos, the set
at the end of the log. It is exact if the log still ends at the position after the set was read.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.attempts import GTID_ATTEMPTS
from replica_cli.core.errors import PrimaryError
from replica_cli.core.gtid import MariadbGtids
from replica_cli.core.position import FIRST_EVENT, Position
from replica_cli.stop import sleep_briefly

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken

# The format description event, and after it the event with the set.
_HEAD_EVENTS = 2
_PAUSE_SECONDS = 0.02


def gtids_before(session: Session, position: Position) -> str | None:
    """Return the GTID set of all transactions before a position, "" if there are none, None if it is unknown."""
    row = session.row("SELECT BINLOG_GTID_POS(%s, %s)", position.file, position.pos)
    return None if row is None or row[0] is None else _in_order(row[0])


def gtids_at_head(session: Session, facts: ServerFacts, file: str) -> str:
    """Return the GTID set of all transactions before a file of the log, which the head of the file contains.

    Raises:
        PrimaryError: MariaDB cannot read the file, because it has been purged.
    """
    if facts.is_mariadb:
        gtid = gtids_before(session, Position(file, FIRST_EVENT))
        if gtid is None:
            raise PrimaryError(
                f"{session.server}: the beginning of {file} cannot be read",
                hint="check with `SHOW BINARY LOGS` on the primary that the file exists",
            )
        return gtid
    rows = session.rows(f"SHOW BINLOG EVENTS IN %s LIMIT {_HEAD_EVENTS}", file)
    return next((str(info).replace("\n", "") for _, _, kind, _, _, info in rows if kind == "Previous_gtids"), "")


def executed_gtids(session: Session) -> str:
    """Return the GTID set of all transactions in MariaDB's binary log, up to this moment."""
    row = session.row("SELECT @@GLOBAL.gtid_binlog_pos")
    return _in_order(row[0] or "") if row else ""


def _in_order(answer: str) -> str:
    # The server lists the domains in the order of its hash table, so the same set may have another text in each answer.
    return str(MariadbGtids(answer))


def with_gtids(
    session: Session, take: Callable[[], Position], end: Callable[[], Position], stop: StopToken | None = None
) -> Position:
    """Return the position that `take` returns, together with its GTID set. `end` returns the end of the log.

    If the server cannot tell the set of a position, `take` and `end` are called until the log ends at the position.

    Raises:
        PrimaryError: the server cannot tell the set, and in each attempt the log grows before the set is read.
        Interrupted: `stop` was set between two attempts.
    """
    position = take()
    gtid = gtids_before(session, position)
    if gtid is not None:
        return replace(position, gtid=gtid)
    for _ in range(GTID_ATTEMPTS):
        # The order matters: if a transaction was being written at this moment, the end of the log that is read last has
        # moved.
        position, gtid = take(), executed_gtids(session)
        if end().is_same(position):
            return replace(position, gtid=gtid)
        sleep_briefly(random.uniform(0, _PAUSE_SECONDS), stop)  # noqa: S311 - not in step with a program that writes
    raise gtids_unknown(session, position)


def gtids_unknown(session: Session, position: Position) -> PrimaryError:
    """Return the error for a position whose GTID set the primary cannot tell."""
    row = session.row("SELECT @@max_allowed_packet")
    limit = f"{row[0]} bytes" if row else "its limit"
    return PrimaryError(
        f"{session.server}: the GTID set at {position} cannot be read: an event before it in the file is larger than "
        f"max_allowed_packet ({limit})",
        hint="run `FLUSH BINARY LOGS` on the primary and try again, or raise its max_allowed_packet",
    )
