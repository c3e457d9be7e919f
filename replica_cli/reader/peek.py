"""Read a part of the primary's binary log with a dump that ends at the end of the log.

`boundary` uses it to check a typed position, `position_check` to check a saved one.
"""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from replica_cli.reader.framing import DumpEnded, Skimmer
from replica_cli.reader.parsers.event_types import ARTIFICIAL, BETWEEN_GROUPS, HEADER, EventType
from replica_cli.reader.parsers.gtid_event import mariadb_gtid, mysql_gtid

if TYPE_CHECKING:
    from collections.abc import Generator

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server

GTID_EVENTS = frozenset({EventType.GTID, EventType.GTID_TAGGED, EventType.MARIADB_GTID})
# Events that begin a transaction or come between transactions. MySQL writes the start of a transaction before an
# INCIDENT.
AT_BOUNDARIES = GTID_EVENTS | BETWEEN_GROUPS | {EventType.ANONYMOUS_GTID, EventType.ROTATE, EventType.INCIDENT}
# Server ids that no replica is given. A dump with the worker's own server id would end the worker's dump.
_SERVER_IDS = (1 << 31, (1 << 32) - 1)


def short_dump_id() -> int:
    """Return a server id for a dump connection that ends soon."""
    return random.randint(*_SERVER_IDS)  # noqa: S311 - it only has to differ from other short dumps


def peek(
    server: Server, network: Network, start: Position, *, is_mariadb: bool, by_gtid: bool = False
) -> Generator[bytes, None, None]:
    """Yield the events from `start` to the present end of the log, and the events that are made for this connection.

    Of a large event only the beginning is yielded (see `Skimmer`); `size_of` returns its full size.

    Raises:
        ServerError: the primary refuses, or the connection is lost.
    """
    from replica_cli.reader.dump import open_dump  # noqa: PLC0415 - loaded only if a dump is needed

    stream = open_dump(
        server,
        network,
        server_id=short_dump_id(),
        start=start,
        by_gtid=by_gtid,
        is_mariadb=is_mariadb,
        waits=False,
    )
    skimmer = Skimmer(stream, server.name)
    with contextlib.closing(stream), contextlib.suppress(DumpEnded):
        while True:
            yield from skimmer.read()


def size_of(event: bytes) -> int:
    """Return the size of an event in the log, in bytes."""
    return int.from_bytes(event[9:13], "little")


def is_artificial(event: bytes) -> bool:
    """Return True if the primary made the event for this connection, so that it is not in the log."""
    return bool(int.from_bytes(event[HEADER - 2 : HEADER], "little") & ARTIFICIAL)


def gtid_of(event: bytes) -> str:
    """Return the GTID of one of `GTID_EVENTS`. The event must come without its checksum."""
    return mariadb_gtid(event)[0] if event[4] == EventType.MARIADB_GTID else mysql_gtid(event)
