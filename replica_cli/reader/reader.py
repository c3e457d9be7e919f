"""Read the primary's binary log in a thread, ahead of the applier.

The stream and the catch-up of a re-sync use it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from replica_cli.core.errors import CorruptEvent, ReplicaError, ServerIdTaken
from replica_cli.mysql.errnos import ER_MASTER_FATAL_ERROR_READING_BINLOG, ER_SLAVE_SAME_ID, Remedy, ServerError
from replica_cli.mysql.session import connect
from replica_cli.reader.assembler import Assembler
from replica_cli.reader.dump import DumpStream, open_dump, reported_name
from replica_cli.reader.framing import DumpEnded, Framer
from replica_cli.reader.position_check import PositionCheck
from replica_cli.reader.transaction_queue import TransactionQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server
    from replica_cli.core.table import TableName

PIECE_BYTES = 4 * 1024 * 1024
_SMALL_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.004


class Reader:
    """One dump connection and the thread that reads it.

    Start it once. After an error, make a new one. Any thread may call `wake`.
    """

    def __init__(
        self,
        server: Server,
        network: Network,
        *,
        server_id: int,
        start: Position,
        is_mariadb: bool,
        wants: Callable[[TableName], bool],
        queue_bytes: int,
        waits: bool = True,
    ) -> None:
        """Take the address; nothing is connected.

        Args:
            server: the primary.
            network: the time limits.
            server_id: the server id of this dump connection, which no other one has.
            start: where reading starts.
            is_mariadb: True if the primary is MariaDB.
            wants: returns True for a table if its row events are to be kept.
            queue_bytes: how many bytes of transactions may be read and not taken.
            waits: wait for events after the end of the log. Without it `take` raises DumpEnded at the end.
        """
        self._server = server
        self._network = network
        self._server_id = server_id
        self._start = start
        self._is_mariadb = is_mariadb
        self._waits = waits
        self._queue = TransactionQueue(queue_bytes)
        self._assembler = Assembler(start, wants, is_mariadb=is_mariadb, piece_bytes=PIECE_BYTES)
        self._stream: DumpStream | None = None
        self._framer: Framer | None = None
        self._thread: threading.Thread | None = None
        self._heard_at = time.monotonic()
        self._changed_at: float | None = None

    def start(self) -> None:
        """Open the dump at the start position and start the thread. `PositionCheck` must check the position before.

        Raises:
            ServerError: the primary cannot be reached or refuses.
        """
        self._stream = open_dump(
            self._server,
            self._network,
            server_id=self._server_id,
            start=self._start,
            by_gtid=not self._start.file,
            is_mariadb=self._is_mariadb,
            waits=self._waits,
        )
        self._framer = Framer(self._stream, self._server.name)
        self._thread = threading.Thread(target=self._run, args=(self._framer,), name="reader", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> list[Transaction]:
        """Return the transactions that were read since the last call; [] after `timeout` seconds or a `wake`.

        Raises:
            ReplicaError: the error that ended the reading, after everything before it was taken.
        """
        return self._queue.get(timeout)

    def wake(self) -> None:
        """End the wait of a `take`, or of the next one."""
        self._queue.wake()

    @property
    def has_more(self) -> bool:
        """Return True if transactions are ready to be taken."""
        return not self._queue.is_empty

    @property
    def heard_at(self) -> float:
        """Return the monotonic time in seconds at which the primary last sent anything, heartbeats included."""
        return self._heard_at

    @property
    def changed_at(self) -> float | None:
        """Return the monotonic time in seconds at which a change of rows was last read, None before the first."""
        return self._changed_at

    @property
    def queue_bytes(self) -> int:
        """Return how many bytes of transactions are read and not taken."""
        return self._queue.size_bytes

    @property
    def waited_seconds(self) -> float:
        """Return how long the thread has waited for bytes of the primary, the present wait included."""
        framer = self._framer
        if framer is None:
            return 0.0
        since = framer.waits_since
        return framer.waited_seconds + (0.0 if since is None else time.monotonic() - since)

    @property
    def is_inside(self) -> bool:
        """Return True if the primary has sent a part of a transaction, or of an event, and not yet its end."""
        return self._assembler.is_inside or (self._framer is not None and self._framer.is_inside)

    def format_event(self) -> bytes:
        """Return the format description event of the file that is being read, without its checksum.

        Raises:
            CorruptEvent: no format description has come yet.
        """
        description = self._assembler.format
        if description is None:
            raise CorruptEvent("rows came before the log's format description")
        return description.raw

    def stop(self) -> None:
        """End the thread and close the connection."""
        self._queue.close()
        if self._stream is not None:
            self._stream.abort()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._stream is not None:
            self._stream.close()

    def _run(self, framer: Framer) -> None:
        try:
            while self._queue.is_open:
                ready: list[Transaction] = []
                try:
                    self._assembler.feed_all(self._events(framer), ready)
                finally:
                    # Transactions that were complete before an error are valid. The applier gets them first, then the
                    # error.
                    self._queue.put(ready)
                self._heard_at = time.monotonic()
                if any(t.changes for t in ready):
                    self._changed_at = self._heard_at
                # After a heartbeat no event follows soon.
                is_heartbeat = bool(ready) and not any(t.timestamp for t in ready)
                if framer.last_size < _SMALL_BYTES and not is_heartbeat:
                    # If the applier is busy, let the socket fill. Otherwise this thread wakes for each single event,
                    # and each time the two threads compete for the interpreter's lock.
                    self._queue.wait_for_consumer(_PAUSE_SECONDS)
        except ServerError as error:
            # After `stop` the error is only an effect of the stop, and is dropped.
            if self._queue.is_open:
                is_expected = isinstance(error, DumpEnded) and not self._waits
                self._queue.fail(error if is_expected else self._explained(error))
        except ReplicaError as error:
            self._queue.fail(error)
        except Exception as error:  # noqa: BLE001 - a bug in this thread must reach the applier
            wrapped = CorruptEvent(f"after {self._assembler.boundary}: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            self._queue.fail(wrapped)

    def _events(self, framer: Framer) -> Iterator[bytes]:
        """Yield the framer's events. Add the position to a CorruptEvent, because the framer does not know it."""
        try:
            yield from framer.read()
        except CorruptEvent as error:
            raise CorruptEvent(f"{error.message}, after {self._assembler.boundary}", hint=error.hint) from error

    def _explained(self, error: ServerError) -> ReplicaError:
        # MariaDB may close the connection without an error when another dump with the same server id comes.
        is_reported = error.errno == ER_SLAVE_SAME_ID
        # After a read timeout the primary did not close the connection, and a query would wait as long again.
        is_silent = isinstance(error.__cause__, TimeoutError)
        may_be_taken = is_reported or (error.is_connection_lost and not is_silent)
        other = other_replica(self._server, self._network, self._server_id) if may_be_taken else ""
        if other or is_reported:
            return ServerIdTaken(
                f"{self._server.name}: another replica uses server id {self._server_id}" + (other and f": {other}"),
                hint="set MARIA_SERVER_ID to a number that no other replica of this primary uses",
            )
        if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
            return error
        try:
            with connect(self._server, self._network) as session:
                PositionCheck(session, self._network).check(self._assembler.boundary, is_thorough=False)
        except ReplicaError as explained:
            return explained
        # The position is valid, so the error is about the connection: another dump has the same server id, or an event
        # is larger than the primary's max_allowed_packet.
        return ServerError(error.errno, error.text, self._server.name, remedy=Remedy.RECONNECT)


def other_replica(server: Server, network: Network, server_id: int) -> str:
    """Return the name of another replica with this server id; empty if there is none or the primary cannot be asked."""
    with contextlib.suppress(ReplicaError), connect(server, network) as session:
        for row in session.rows("SHOW SLAVE HOSTS" if session.is_mariadb else "SHOW REPLICAS"):
            # The list has this process's own former connection until the primary notices its end.
            if int(row[0]) == server_id and row[1] != reported_name():
                return str(row[1] or "a replica without a name")
    return ""
