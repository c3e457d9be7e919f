"""The reader: a thread that reads the primary's log ahead of the applier."""

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
from replica_cli.reader.framing import Framer
from replica_cli.reader.queue import TransactionQueue
from replica_cli.reader.truth import PositionCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.events import Transaction
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server
    from replica_cli.core.table import TableName
    from replica_cli.reader.format import Format

PIECE_BYTES = 4 * 1024 * 1024
_SMALL_BYTES = 64 * 1024
_REST_SECONDS = 0.004


class Reader:
    """One dump connection and the thread on it. Start it once; after an error make a new one."""

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
    ) -> None:
        self._server = server
        self._network = network
        self._server_id = server_id
        self._start = start
        self._is_mariadb = is_mariadb
        self._queue = TransactionQueue(queue_bytes)
        self._assembler = Assembler(start, wants, is_mariadb=is_mariadb, piece_bytes=PIECE_BYTES)
        self._stream: DumpStream | None = None
        self._framer: Framer | None = None
        self._thread: threading.Thread | None = None
        self._heard_at = time.monotonic()

    def start(self) -> None:
        """Open the dump at the start position and begin to read; `PositionCheck` says before whether it is true.

        Raises ServerError where the primary cannot be reached.
        """
        self._stream = open_dump(
            self._server,
            self._network,
            server_id=self._server_id,
            start=self._start,
            by_gtid=not self._start.file,
            is_mariadb=self._is_mariadb,
        )
        self._framer = Framer(self._stream, self._server.name)
        self._thread = threading.Thread(target=self._run, args=(self._framer,), name="reader", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> list[Transaction]:
        """Return the transactions read since, [] after the timeout (seconds) or a `wake`.

        Raises what ended the reading, once everything before it was taken.
        """
        return self._queue.get(timeout)

    def wake(self) -> None:
        """Let a `take` that waits return with what is there. From any thread."""
        self._queue.wake()

    @property
    def has_more(self) -> bool:
        """Say whether transactions wait to be taken."""
        return not self._queue.is_empty

    @property
    def heard_at(self) -> float:
        """Return the monotonic time at which the primary last sent anything, heartbeats included."""
        return self._heard_at

    @property
    def is_inside(self) -> bool:
        """Say whether the primary has begun to send a transaction, or an event, and not ended it."""
        return self._assembler.is_inside or (self._framer is not None and self._framer.is_inside)

    @property
    def format(self) -> Format | None:
        """Return the format description of the file being read."""
        return self._assembler.format

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
                    # What was complete before an error is good: it is applied, then the error is raised.
                    self._queue.put(ready)
                self._heard_at = time.monotonic()
                # After a heartbeat nothing else comes soon.
                is_heartbeat = bool(ready) and not any(t.timestamp for t in ready)
                if framer.last_size < _SMALL_BYTES and not is_heartbeat:
                    # The applier is busy: let the socket fill. Read event by event, the primary would wake us for each,
                    # and each time the two threads would fight for their turn.
                    self._queue.rest(_REST_SECONDS)
        except ServerError as error:
            # After a stop nobody asks what ended it: it was the stop.
            if self._queue.is_open:
                self._queue.fail(self._explained(error))
        except ReplicaError as error:
            self._queue.fail(error)
        except Exception as error:  # noqa: BLE001 - a bug here must reach the applier, not die with the thread
            wrapped = CorruptEvent(f"after {self._assembler.boundary}: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            self._queue.fail(wrapped)

    def _events(self, framer: Framer) -> Iterator[bytes]:
        """Yield what the framer reads: it does not know where in the log an event is that is cut wrongly."""
        try:
            yield from framer.read()
        except CorruptEvent as error:
            raise CorruptEvent(f"{error.message}, after {self._assembler.boundary}", hint=error.hint) from error

    def _explained(self, error: ServerError) -> ReplicaError:
        # MariaDB may close the connection without a word when another one comes with the same server id.
        is_told = error.errno == ER_SLAVE_SAME_ID
        # One that went silent it did not close: asking there would take as long again.
        is_silent = isinstance(error.__cause__, TimeoutError)
        asks = is_told or (error.is_connection_lost and not is_silent)
        taker = other_replica(self._server, self._network, self._server_id) if asks else ""
        if taker or is_told:
            return ServerIdTaken(
                f"{self._server.name}: another replica uses server id {self._server_id}" + (taker and f": {taker}"),
                hint="set MARIA_SERVER_ID to a number that no other replica of this primary uses",
            )
        if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
            return error
        try:
            with connect(self._server, self._network) as session:
                PositionCheck(session, self._network).check(self._assembler.boundary, is_thorough=False)
        except ReplicaError as explained:
            return explained
        # The position is there, so the primary speaks of the connection: another dump took the server id, or an event
        # is larger than its max_allowed_packet.
        return ServerError(error.errno, error.text, self._server.name, remedy=Remedy.RECONNECT)


def other_replica(server: Server, network: Network, server_id: int) -> str:
    """Return who else is registered at the primary with a server id; empty where nobody is, or it will not say."""
    with contextlib.suppress(ReplicaError), connect(server, network) as session:
        for row in session.rows("SHOW SLAVE HOSTS" if session.is_mariadb else "SHOW REPLICAS"):
            # Our own former connection may be listed for as long as the primary has not noticed its end.
            if int(row[0]) == server_id and row[1] != reported_name():
                return str(row[1] or "one without a name")
    return ""
