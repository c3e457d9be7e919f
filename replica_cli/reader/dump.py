"""The dump connection: pymysqlreplication registers and asks for the log, then hands the socket over untouched.

This module owns the library's quirks: from the dump request on, not one packet passes through its own reader, because
it drops what it does not know and because its cost for each event is a hundred times ours.
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
    from pymysql.connections import Connection

    from replica_cli.core.position import Position
    from replica_cli.core.settings import Network, Server

_COM_BINLOG_DUMP = 0x12
_COM_BINLOG_DUMP_GTID = 0x1E
# A set that the library accepts: ours takes its place in the request.
_PLACEHOLDER = "00000000-0000-0000-0000-000000000001:1"
_READ_SIZE = 256 * 1024
_WRITE_SECONDS = 3600


class _DumpStarted(Exception):
    """Not an error: the way out of the library once its work is done."""

    def __init__(self, connection: _DumpConnection) -> None:
        super().__init__()
        self.connection = connection


class _DumpConnection(ServerConnection):
    def __init__(self, *args: Any, gtids: bytes, variables: str, **settings: Any) -> None:
        self._gtids = gtids
        self._variables = variables
        super().__init__(*args, **settings)

    def _request_authentication(self) -> None:
        super()._request_authentication()
        # Sent next, in one statement: the library would take a round trip for each.
        version = str(self.get_server_info())  # type: ignore[no-untyped-call]
        self.init_command = f"{assignments(settings_for(version))}, {self._variables}"

    def _write_bytes(self, data: bytes) -> None:
        if len(data) > 4 and data[4] in (_COM_BINLOG_DUMP, _COM_BINLOG_DUMP_GTID):
            # The library's request for MariaDB by GTID is one byte longer than it says; the surplus byte stays unread
            # at the server, which then answers our close with a reset that destroys data on its way.
            declared = int.from_bytes(data[:3], "little")
            request = data[4 : 4 + declared]
            if data[4] == _COM_BINLOG_DUMP_GTID:
                request = _with_gtids(request, self._gtids)
            super()._write_bytes(len(request).to_bytes(3, "little") + data[3:4] + request)  # type: ignore[misc]
            raise _DumpStarted(self)
        super()._write_bytes(data)  # type: ignore[misc]


def _with_gtids(request: bytes, gtids: bytes) -> bytes:
    # The library knows no tags, and takes an empty set for none. Command, flags, server id, file name, offset, set.
    (name_length,) = struct.unpack_from("<I", request, 7)
    at = 11 + name_length + 8
    return request[:at] + struct.pack("<I", len(gtids)) + gtids


class DumpStream:
    """The socket of a running dump: bytes as they come, MySQL packets inside."""

    def __init__(self, connection: Connection[Any], server: Server, read_timeout: float) -> None:
        self._connection = connection
        self._server = server
        self._socket: socket.socket = connection._sock  # type: ignore[attr-defined]  # noqa: SLF001
        self._file = connection._rfile  # type: ignore[attr-defined]  # noqa: SLF001
        self._socket.settimeout(read_timeout)

    def read(self) -> bytes:
        """Return the bytes that are there, waiting for the first; b"" when the primary closed the connection.

        Raises ServerError when nothing came for the read timeout: heartbeats come more often than that.
        """
        with translated(self._server):
            data: bytes = self._file.read1(_READ_SIZE)
            if not isinstance(self._socket, ssl.SSLSocket):
                return data
            # TLS gives 16 KB at a time, however many have come: small batches would be made of them.
            pieces, size = [data], len(data)
            while data and size < _READ_SIZE and _is_readable(self._socket):
                data = self._file.read1(_READ_SIZE)
                pieces.append(data)
                size += len(data)
            return b"".join(pieces)

    def abort(self) -> None:
        """Cut the connection from any thread; a waiting `read` ends."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket. The primary notices at its next write."""
        with contextlib.suppress(OSError):
            self._connection._force_close()  # type: ignore[attr-defined]  # noqa: SLF001


def _is_readable(sock: ssl.SSLSocket) -> bool:
    if sock.pending():
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def reported_name() -> str:
    """Return the name under which the primary lists us among its replicas: `host:pid`, 60 characters at most."""
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
    """Ask the primary for its binary log from `start`: by GTID set where `by_gtid`, else by file and offset.

    At the end of the log the primary waits for more, or without `waits` ends the dump.
    Raises ServerError where the primary refuses or does not answer.
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
        connection = _hand_over(reader, server)
    return DumpStream(connection, server, network.read_timeout)


def _hand_over(reader: BinLogStreamReader, server: Server) -> Connection[Any]:
    try:
        reader.fetchone()
    except _DumpStarted as started:
        return started.connection
    raise PrimaryError(f"{server}: the dump request was not sent", hint="report this: the driver has changed")


def _dump_variables(heartbeat: float, server_id: int) -> str:
    # Both spellings: MySQL 8.4 renamed them. CRC32 is asked for always: a server whose log has none sends none, and the
    # format description of each file says so.
    # Capability 4: MariaDB then sends GTID events instead of rewriting them.
    nanoseconds = int(heartbeat * 1_000_000_000)
    own_uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"replica-{server_id}.{socket.gethostname()}")
    return (
        "@master_binlog_checksum='CRC32', @source_binlog_checksum='CRC32', @mariadb_slave_capability=4, "
        f"@master_heartbeat_period={nanoseconds}, @source_heartbeat_period={nanoseconds}, "
        f"@slave_uuid='{own_uuid}', @replica_uuid='{own_uuid}', "
        # While the secondary works on a long batch nothing is read here, and the primary would hang up.
        f"@@SESSION.net_write_timeout={_WRITE_SECONDS}"
    )
