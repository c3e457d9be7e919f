"""Use PyMySQL's connection beyond its public interface. Only this module touches internal names of PyMySQL.

The driver handles one command at a time, makes an object of each row, and decides by itself how to log in. The
package needs more: several commands on the way, the bytes of the answers, and a say in each login.
tests/unit/mysql/test_driver.py checks each internal name by its name, and pyproject.toml allows only the minor version
of the driver with which this was tested.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection
from pymysql.constants import COMMAND
from pymysql.err import MySQLError

if TYPE_CHECKING:
    import io

    from pymysql.protocol import MysqlPacket

    class _Driver(Connection[Any]):
        """The driver's internal names, which its type stubs leave out."""

        server_capabilities: int
        _sock: socket.socket | None
        _rfile: io.BufferedReader | None
        _read_timeout: float | None
        _write_timeout: float | None
        _next_seq_id: int
        _result: object

        def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext: ...
        def _request_authentication(self) -> None: ...
        def _process_auth(self, plugin_name: bytes, *args: Any) -> Any: ...
        def _write_bytes(self, data: bytes) -> None: ...
        def _execute_command(self, command: int, sql: str | bytes) -> None: ...
        def _read_packet(self, *packet_type: Any) -> MysqlPacket: ...
        def _read_query_result(self) -> int: ...
        def _force_close(self) -> None: ...
else:
    _Driver = Connection


# On, and no second: what is not sent is thrown away.
_NO_LINGERING = struct.pack("ii", 1, 0)


class DriverConnection(_Driver):
    """A connection that sends commands without waiting for their answers, and that subclasses can watch.

    The answer to a command of `send` is read with `begin_answer` and a read method, in the order in which the commands
    were sent. A statement of `post` is sent before the next command, and its answer is read before the answer to that
    command.

    The driver calls `make_tls_context`, `log_in`, `authenticate` and `write`. Subclasses override them, and call the
    method of this class to let the driver do its work.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        # The packet number with which each answer begins that has not been read.
        self._numbers: deque[int] = deque()
        self._posted: list[str] = []
        self._owed_answers = 0
        super().__init__(*args, **settings)

    # What the driver calls.

    def make_tls_context(self, settings: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        """Return the TLS context for the argument `ssl` of the connection."""
        return super()._create_ssl_ctx(settings)

    def log_in(self) -> None:
        """Log in. The greeting has been read, and nothing has been sent."""
        super()._request_authentication()

    def authenticate(self, plugin: bytes, *args: Any) -> Any:
        """Answer a server that asks for another authentication plugin than its greeting named."""
        return super()._process_auth(plugin, *args)

    def write(self, data: bytes) -> None:
        """Write whole packets to the socket. All that the driver sends comes through here."""
        super()._write_bytes(data)

    # The socket.

    @property
    def sock(self) -> socket.socket | None:
        """Return the socket, None if the connection is closed."""
        return self._sock

    @property
    def stream(self) -> io.BufferedReader:
        """Return the buffered reader of the socket. What is read from it, the driver does not see.

        Raises:
            ConnectionResetError: the connection is closed.
        """
        if self._rfile is None:
            raise ConnectionResetError("the connection is closed")
        return self._rfile

    @property
    def is_encrypted(self) -> bool:
        """Return True if the socket uses TLS."""
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def has_answer(self) -> bool:
        """Return True if a byte can be read at once, or the connection is closed or broken."""
        sock, stream = self._sock, self._rfile
        if sock is None or stream is None:
            return True
        try:
            # The driver reads ahead into a buffer, so the socket is not enough to know. A read that does not wait looks
            # at both.
            sock.setblocking(False)
            return bool(stream.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            sock.settimeout(self._read_timeout)

    def set_timeout(self, seconds: float) -> None:
        """Set how long each further read and write may wait."""
        self._read_timeout = self._write_timeout = seconds
        # For what is read from `stream`: the driver sets its timeout only when it reads or writes itself.
        if self._sock is not None:
            self._sock.settimeout(seconds)

    def shut_down(self) -> None:
        """End the connection, from any thread: a call that waits on it ends at once with an error."""
        if (sock := self._sock) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(2)

    def drop(self) -> None:
        """Close the socket at once: it is not known where the next packet begins or what was run.

        The server sees a reset. After an ordinary end, a server that is still sending would not notice that the client
        is gone, and would wait for a minute.
        """
        if (sock := self._sock) is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self._force_close()

    # Commands and answers.

    def send(self, command: int, text: str | bytes) -> None:
        """Send a command without waiting for its answer."""
        self._execute_command(command, text)
        # A request above 16 MB is sent as several packets, and its answer continues their packet numbers.
        self._numbers.append(self._next_seq_id)

    def begin_answer(self) -> None:
        """Prepare to read the answer to the first command whose answer has not been read."""
        self._next_seq_id = self._numbers.popleft()

    def start_query(self, sql: bytes) -> MysqlPacket:
        """Send a query and return the first packet of its answer."""
        self._execute_command(COMMAND.COM_QUERY, sql)
        return self.read_packet()

    def read_packet(self) -> MysqlPacket:
        """Return the next packet. Raises the driver's error if it is an error packet."""
        return self._read_packet()

    def read_count(self) -> int:
        """Return the row count of the next statement of the answer."""
        return int(self._read_query_result())

    def read_end(self) -> None:
        """Read an answer that says only that the command was done."""
        self._read_packet()

    def forget_result(self) -> None:
        """Forget the result of the statement before.

        If that result says that another one follows, the driver would read it before it sends the next command.
        """
        self._result = None

    def forget_answers(self) -> None:
        """Expect no more answers: the connection is no longer used."""
        self._numbers.clear()

    def post(self, statement: str) -> None:
        """Send a statement together with the next command.

        If the statement fails, the next command raises its error and the connection is closed. The command itself was
        run.

        Raises:
            RuntimeError: answers to `send` have not been read yet.
        """
        if self._numbers:
            # The answers that are missing come first, and would be taken for the answer to this statement.
            raise RuntimeError("a statement was posted while answers were still to come")
        self._posted.append(statement)

    # The driver's own methods.

    def _create_ssl_ctx(self, sslp: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        return self.make_tls_context(sslp)

    def _request_authentication(self) -> None:
        self.log_in()

    def _process_auth(self, plugin_name: bytes, *args: Any) -> Any:
        return self.authenticate(plugin_name, *args)

    def _write_bytes(self, data: bytes) -> None:
        self.write(data)

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        posted, self._posted = self._posted, []
        for statement in posted:
            super()._execute_command(COMMAND.COM_QUERY, statement)
            self._owed_answers += 1
        super()._execute_command(command, sql)

    def _read_packet(self, *packet_type: Any) -> MysqlPacket:
        if self._owed_answers:
            self._read_owed_answers()
        return super()._read_packet(*packet_type)

    def _read_owed_answers(self) -> None:
        expected = self._next_seq_id
        try:
            while self._owed_answers:
                self._owed_answers -= 1
                self._next_seq_id = 1
                super()._read_packet()
        except MySQLError:
            self.drop()
            raise
        self._next_seq_id = expected
