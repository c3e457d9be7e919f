"""Open the dump connection: pymysqlreplication logs in and requests the log; after that, this module reads the socket.

All workarounds for the library are in this module. After the dump request no packet goes through the library's own
reader: that reader drops event types that it does not know, and it costs a hundred times as much for each event.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from pymysqlreplication import BinLogStreamReader

from replica_cli.core.errors import PrimaryError
from replica_cli.core.gtid import MysqlGtids
from replica_cli.mysql.session import connection_settings
from replica_cli.mysql.session_settings import assignments, settings_for
from replica_cli.mysql.tls import ServerConnection
from replica_cli.mysql.translation import translated

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server

_COM_BINLOG_DUMP = 0x12
_COM_BINLOG_DUMP_GTID = 0x1E
# A GTID set that the library accepts. `_with_gtids` replaces it in the request with the real set.
_PLACEHOLDER = "00000000-0000-0000-0000-000000000001:1"
_READ_SIZE = 256 * 1024
_WRITE_SECONDS = 3600


class _DumpStarted(Exception):
    """Leaves the library's code after it has sent the dump request. Not an error."""

    def __init__(self, connection: _DumpConnection) -> None:
        super().__init__()
        self.connection = connection


class _DumpConnection(ServerConnection):
    """The library's connection; it corrects the dump request and raises _DumpStarted after sending it."""

    def __init__(self, *args: Any, gtids: bytes, variables: str, **settings: Any) -> None:
        self._gtids = gtids
        self._variables = variables
        super().__init__(*args, **settings)

    def log_in(self) -> None:
        """Log in, and let the driver set all variables with the statement that it sends next."""
        super().log_in()
        # The driver sends this statement next. The library would need one round trip for each variable.
        version = str(self.get_server_info())  # type: ignore[no-untyped-call]
        self.init_command = f"{assignments(settings_for(version))}, {self._variables}"

    def write(self, data: bytes) -> None:
        """Write a packet; correct a dump request, and leave the library after it."""
        if len(data) > 4 and data[4] in (_COM_BINLOG_DUMP, _COM_BINLOG_DUMP_GTID):
            # The library's GTID request for MariaDB is one byte longer than its length field says. MariaDB does not
            # read the extra byte, and then answers the close with a TCP reset that destroys data in transit.
            declared = int.from_bytes(data[:3], "little")
            request = data[4 : 4 + declared]
            if data[4] == _COM_BINLOG_DUMP_GTID:
                request = _with_gtids(request, self._gtids)
            super().write(len(request).to_bytes(3, "little") + data[3:4] + request)
            raise _DumpStarted(self)
        super().write(data)


def _with_gtids(request: bytes, gtids: bytes) -> bytes:
    # The library knows no tags, and treats an empty set as no set. The layout of the request: command, flags, server
    # id, file name, offset, set.
    (name_length,) = struct.unpack_from("<I", request, 7)
    at = 11 + name_length + 8
    return request[:at] + struct.pack("<I", len(gtids)) + gtids


class DumpStream:
    """The socket of a running dump: it returns bytes as they arrive, and these contain MySQL packets.

    One thread reads; any thread may call `abort`.
    """

    def __init__(self, connection: ServerConnection, server: Server, read_timeout: float) -> None:
        self._connection = connection
        self._server = server
        self._socket = connection.sock
        self._file = connection.stream
        connection.set_timeout(read_timeout)

    def read(self) -> bytes:
        """Wait for at least one byte and return the bytes that have arrived; b"" if the primary closed the connection.

        Raises:
            ServerError: nothing arrived within the read timeout. Heartbeats arrive more often than that.
        """
        with translated(self._server):
            data: bytes = self._file.read1(_READ_SIZE)
            if not isinstance(self._socket, ssl.SSLSocket):
                return data
            # TLS returns 16 KB at a time, even when more has arrived. That would make small batches.
            pieces, size = [data], len(data)
            while data and size < _READ_SIZE and _is_readable(self._socket):
                data = self._file.read1(_READ_SIZE)
                pieces.append(data)
                size += len(data)
            return b"".join(pieces)

    def abort(self) -> None:
        """Shut the connection down, from any thread; a waiting `read` returns."""
        self._connection.shut_down()

    def close(self) -> None:
        """Close the socket. The primary notices it at its next write."""
        with contextlib.suppress(OSError):
            self._connection.drop()


def _is_readable(sock: ssl.SSLSocket) -> bool:
    if sock.pending():
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def reported_name() -> str:
    """Return the name under which the primary lists this process as a replica: `host:pid`, at most 60 characters."""
    pid = f":{os.getpid()}"
    return socket.gethostname()[: 60 - len(pid)] + pid


def open_dump(
    server: Server,
    network: Network,
    *,
    server_id: int,
    start: Position,
    by_gtid: bool,
    is_mariadb: bool,
    waits: bool = True,
) -> DumpStream:
    """Request the primary's binary log from `start`: by its GTID set if `by_gtid`, else by its file and offset.

    At the end of the log the primary waits for more events. If `waits` is false, it ends the dump instead.

    Raises:
        ServerError: the primary refuses or does not answer.
    """
    settings = connection_settings(server, network)
    settings["read_timeout"] = network.read_timeout
    gtids = b"" if is_mariadb or not by_gtid else MysqlGtids(start.gtid).encode()
    reader = BinLogStreamReader(
        connection_settings=settings,
        server_id=server_id,
        pymysql_wrapper=partial(_DumpConnection, gtids=gtids, variables=_dump_variables(network.heartbeat, server_id)),
        blocking=waits,
        resume_stream=True,
        log_file=None if by_gtid else start.file,
        log_pos=None if by_gtid else start.pos,
        auto_position=(start.gtid if is_mariadb else _PLACEHOLDER) if by_gtid else None,
        is_mariadb=is_mariadb and by_gtid,
        report_slave={"hostname": reported_name(), "username": "", "password": "", "port": 0},
        enable_logging=False,
    )
    with translated(server):
        connection = _request_dump(reader, server)
    return DumpStream(connection, server, network.read_timeout)


def _request_dump(reader: BinLogStreamReader, server: Server) -> ServerConnection:
    """Let the library connect and send the dump request; return the connection. Raises PrimaryError if it did not."""
    try:
        reader.fetchone()
    except _DumpStarted as started:
        return started.connection
    raise PrimaryError(f"{server}: the dump request was not sent", hint="report this: the driver has changed")


def _dump_variables(heartbeat: float, server_id: int) -> str:
    # Both spellings of each variable are set, because MySQL 8.4 renamed them. CRC32 is always requested: a server whose
    # log has no checksums sends none, and the format description of each file says so.
    # With capability 4 MariaDB sends GTID events; without it MariaDB rewrites them.
    nanoseconds = int(heartbeat * 1_000_000_000)
    own_uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"replica-{server_id}.{socket.gethostname()}")
    return (
        "@master_binlog_checksum='CRC32', @source_binlog_checksum='CRC32', @mariadb_slave_capability=4, "
        f"@master_heartbeat_period={nanoseconds}, @source_heartbeat_period={nanoseconds}, "
        f"@slave_uuid='{own_uuid}', @replica_uuid='{own_uuid}', "
        # While the secondary works on a long batch, this process does not read, and the primary would close the
        # connection.
        f"@@SESSION.net_write_timeout={_WRITE_SECONDS}"
    )
