"""Check that a typed position is a transaction boundary of the primary's binary log, and find its GTID set.

The servers' own statements cannot answer this. When MySQL is asked for the events from an offset in the middle of an
event, it reads the bytes at that offset as an event. Neither flavour reads past an event that is larger than its
max_allowed_packet. So this module reads the file from its start, as a replica does, and looks only at the headers. The
event at the position must begin a transaction, or be one that servers write between transactions: any other event
begins inside a transaction.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, UsageError
from replica_cli.core.gtid import parse_gtids
from replica_cli.core.position import FIRST_EVENT, Position
from replica_cli.mysql.binlog.gtid_sets import gtids_at_head
from replica_cli.mysql.binlog.log_state import binlog_files
from replica_cli.reader.log_cursor import LogCursor
from replica_cli.reader.parsers.event_types import EventType
from replica_cli.reader.parsers.format_event import parse_format
from replica_cli.reader.peek import AT_BOUNDARIES, GTID_EVENTS, gtid_of, is_artificial, peek, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.core.gtid import Gtids
    from replica_cli.core.settings import Network
    from replica_cli.mysql.binlog.log_state import BinlogFile
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


def locate(session: Session, facts: ServerFacts, network: Network, wanted: Position) -> Position:
    """Return a typed FILE:POS with its GTID set, after a check that it is a transaction boundary.

    Raises:
        PositionLost: the primary does not have the file, or the file is shorter than the position.
        UsageError: the position is inside a transaction or inside an event.
        ServerError: the primary refuses, or the connection is lost.
    """
    files = binlog_files(session)
    size = next((f.size for f in files if f.name == wanted.file), None)
    if size is None or wanted.pos > size:
        raise PositionLost(
            f"{wanted} is not on the primary: {_span(files)}", hint="`SHOW BINARY LOGS` on the primary lists the files"
        )
    gtids = parse_gtids(gtids_at_head(session, facts, wanted.file), is_mariadb=facts.is_mariadb)
    start = Position(wanted.file, FIRST_EVENT)
    with contextlib.closing(peek(session.server, network, start, is_mariadb=facts.is_mariadb)) as events:
        is_boundary = wanted.pos == FIRST_EVENT or _walk(events, wanted, gtids, is_end=wanted.pos == size)
    if not is_boundary:
        raise UsageError(
            f"{wanted} is not between two transactions",
            hint=f"`SHOW BINLOG EVENTS IN '{wanted.file}'` lists them: take the Pos of a Gtid event",
        )
    return Position(wanted.file, wanted.pos, str(gtids) if facts.has_gtids else "")


def _walk(events: Iterable[bytes], wanted: Position, gtids: Gtids, *, is_end: bool) -> bool:
    """Return True if the position is a transaction boundary; add the GTIDs of the transactions before it to `gtids`.

    `is_end` says that the position is the end of its file: no event begins at it.
    """
    cursor = LogCursor(Position(wanted.file, FIRST_EVENT))
    checksum_size = 0
    for event in events:
        if is_artificial(event):
            continue
        code, begin = event[4], cursor.pos
        log_pos = int.from_bytes(event[13:17], "little")
        if code == EventType.FORMAT_DESCRIPTION:
            checksum_size = 4 if parse_format(event).has_checksum else 0
        cursor.advance(code, log_pos, size_of(event), is_inside=True)
        if log_pos:
            begin = max(begin, cursor.pos - size_of(event))  # after a gap: events that the primary does not send
        if begin >= wanted.pos:
            return begin == wanted.pos and code in AT_BOUNDARIES
        if code in GTID_EVENTS:
            gtids.add(gtid_of(event[: len(event) - checksum_size]))
        if cursor.pos > wanted.pos:
            return False
        if is_end and cursor.pos == wanted.pos:
            return True
    return False


def _span(files: Sequence[BinlogFile]) -> str:
    if not files:
        return "it has no binary log"
    return f"it has {files[0].name}:{FIRST_EVENT} to {files[-1].name}:{files[-1].size}"
