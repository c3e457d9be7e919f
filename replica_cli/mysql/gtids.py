"""The GTID set that belongs to a place of MariaDB's binary log; MySQL gives place and set in one answer.

What comes before a file stands at its head, in both. BINLOG_GTID_POS is exact and may be NULL: it reads the file with
the asking session's max_allowed_packet, which nobody can raise, so one larger event in the file makes it blind to all
that comes after, until the next file. Then the set is taken from gtid_binlog_pos, that of the log's end: exact if the
log still ends at the place when it has been read.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.gtid import MariadbGtids
from replica_cli.core.position import Position
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

FIRST_EVENT = 4
# The format description and, behind it, the set.
_HEAD_EVENTS = 2
_ATTEMPTS = 200
_PAUSE_SECONDS = 0.02


def gtids_before(session: Session, place: Position) -> str | None:
    """Return the GTID set of all transactions before a place, "" where there are none, None where it cannot be told."""
    row = session.row("SELECT BINLOG_GTID_POS(%s, %s)", place.file, place.pos)
    return None if row is None or row[0] is None else _in_order(row[0])


def gtids_at_head(session: Session, facts: ServerFacts, file: str) -> str:
    """Return the GTID set of all transactions before a file of the log, as it stands at its head.

    Raises PrimaryError where the file has gone meanwhile.
    """
    if facts.is_mariadb:
        gtid = gtids_before(session, Position(file, FIRST_EVENT))
        if gtid is None:
            raise PrimaryError(f"{session.server}: the head of {file} cannot be read", hint="`SHOW BINARY LOGS`")
        return gtid
    rows = session.rows(f"SHOW BINLOG EVENTS IN %s LIMIT {_HEAD_EVENTS}", file)
    return next((str(info).replace("\n", "") for _, _, kind, _, _, info in rows if kind == "Previous_gtids"), "")


def executed_gtids(session: Session) -> str:
    """Return the GTID set of all transactions in the binary log, up to this moment."""
    row = session.row("SELECT @@GLOBAL.gtid_binlog_pos")
    return _in_order(row[0] or "") if row else ""


def _in_order(answer: str) -> str:
    # The server lists the domains as they lie in its hash: the same set reads differently from one answer to the next.
    return str(MariadbGtids(answer))


def with_gtids(session: Session, take: Callable[[], Position], end: Callable[[], Position]) -> Position:
    """Take a place and return it with its GTID set. `end` returns the log's end.

    Raises PrimaryError where the set cannot be told and the log moves on each time that it is looked at.
    """
    place = take()
    gtid = gtids_before(session, place)
    if gtid is not None:
        return replace(place, gtid=gtid)
    for _ in range(_ATTEMPTS):
        # In this order: a transaction that was being written meanwhile has moved the end by the time it is told.
        place, gtid = take(), executed_gtids(session)
        if end().order == place.order:
            return replace(place, gtid=gtid)
        StopToken().wait(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - out of step with whoever writes
    raise gtids_unknown(session, place)


def gtids_unknown(session: Session, place: Position) -> PrimaryError:
    """Return the error for a place whose GTID set the primary cannot tell."""
    row = session.row("SELECT @@max_allowed_packet")
    limit = f"{row[0]} bytes" if row else "its limit"
    return PrimaryError(
        f"{session.server}: the GTID set at {place} cannot be told: an event before it in the file is larger than "
        f"max_allowed_packet ({limit})",
        hint="`FLUSH BINARY LOGS` on the primary and try again, or give it a larger max_allowed_packet",
    )
