"""A short look into the primary's binary log: a dump that does not wait for what comes next.

The check of a typed position and the check of a saved one use it.
"""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from replica_cli.reader.codes import ARTIFICIAL, BETWEEN_GROUPS, HEADER, EventType
from replica_cli.reader.framing import DumpEnded, Skimmer
from replica_cli.reader.gtid import mariadb_gtid, mysql_gtid

if TYPE_CHECKING:
    from collections.abc import Generator

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server

GTID_EVENTS = frozenset({EventType.GTID, EventType.GTID_TAGGED, EventType.MARIADB_GTID})
# The start of a transaction, or what servers write between transactions. MySQL begins a transaction before an INCIDENT.
AT_BOUNDARIES = GTID_EVENTS | BETWEEN_GROUPS | {EventType.ANONYMOUS_GTID, EventType.ROTATE, EventType.INCIDENT}
# The dump goes by a number that no replica is given: with the worker's own it would end the worker's.
_SERVER_IDS = (1 << 31, (1 << 32) - 1)


def peek(
    server: Server, network: Network, start: Position, *, is_mariadb: bool, by_gtid: bool = False
) -> Generator[bytes, None, None]:
    """Yield the events from `start` to the end that the log has now, those made for this connection among them.

    A large event is cut to its beginning (`Skimmer`): `size_of` tells how large it is.

    Raises ServerError when the primary refuses, or the connection is lost.
    """
    from replica_cli.reader.dump import open_dump  # noqa: PLC0415 - most questions are answered without a dump

    stream = open_dump(
        server,
        network,
        server_id=random.randint(*_SERVER_IDS),  # noqa: S311 - others of its kind have to differ, no more
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
    """Return the size of an event in the log, bytes."""
    return int.from_bytes(event[9:13], "little")


def is_artificial(event: bytes) -> bool:
    """Return True if the primary made an event for this connection: it is not in the log."""
    return bool(int.from_bytes(event[HEADER - 2 : HEADER], "little") & ARTIFICIAL)


def gtid_of(event: bytes) -> str:
    """Return the GTID of one of `GTID_EVENTS`, which is given without its checksum."""
    return mariadb_gtid(event)[0] if event[4] == EventType.MARIADB_GTID else mysql_gtid(event)
