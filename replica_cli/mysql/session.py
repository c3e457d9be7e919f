"""Open and use connections to servers, with errors translated and every session variable set that matters."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from replica_cli.core.column_types import INTEGERS, TypeCode
from replica_cli.core.errors import PrimaryError, SecondaryError
from replica_cli.core.settings import Network, Server, TlsMode
from replica_cli.mysql.errnos import CR_MALFORMED_PACKET, CR_SERVER_LOST, ServerError
from replica_cli.mysql.row_lines import give_text, read_lines, read_texts
from replica_cli.mysql.session_settings import VALUES, apply_settings, introduction
from replica_cli.mysql.tls import ServerConnection, tls_context
from replica_cli.mysql.translation import server_error, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.mysql.driver import DriverConnection
    from replica_cli.mysql.row_lines import Lines


class Loaded(NamedTuple):
    """What a LOAD DATA did: the number of rows written, and of warnings for rows that were left out or changed."""

    row_count: int
    warning_count: int


Value = Any  # a parameter, or a value in a row: int, str, bytes or None
Row = tuple[Value, ...]

_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
# Whole numbers become int. Everything else stays text (or bytes), so that nothing is rounded or refused.
_WHOLE = [int(code) for code in TypeCode if code.data_types & INTEGERS]
_CONVERSIONS: dict[Any, Any] = {**encoders, **dict.fromkeys(_WHOLE, int)}
_COM_SET_OPTION = 0x1B
_MULTI_STATEMENTS_ON, _MULTI_STATEMENTS_OFF = b"\0\0", b"\1\0"
# The open sessions by their `id()`. The heartbeat carries their connection ids: a standby that takes over from a frozen
# process has to know which connections to kill.
_open: dict[int, Session] = {}
_open_lock = threading.Lock()
_watchers: list[Callable[[], None]] = []


class Session:
    """A connection to a server, in autocommit until `begin()`. One thread at a time may use it, except for `abort`.

    `rows`, `row` and `execute` take `%s` parameters; without parameters the text is sent as it is. The row count of an
    UPDATE is the number of rows that it matched, not of those that it changed. `may_load` is True if `load` can be
    called, as far as is known.
    """

    def __init__(self, connection: ServerConnection, server: Server) -> None:
        self._connection = connection
        self.server = server
        self.may_load = False

    @property
    def version_text(self) -> str:
        """Return the server's version, as in its greeting."""
        return str(self._connection.get_server_info())  # type: ignore[no-untyped-call]

    @property
    def is_mariadb(self) -> bool:
        """Return True if the server is MariaDB (its version says so)."""
        return "mariadb" in self.version_text.lower()

    @property
    def connection_id(self) -> int:
        """Return the server's id of this connection, for KILL."""
        return int(self._connection.thread_id())  # type: ignore[no-untyped-call]

    def rows(self, sql: str, *args: Value) -> list[Row]:
        """Run one query and return all of its rows."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            return list(cursor.fetchall())

    def rows_of_each(self, queries: Sequence[str]) -> list[list[Row]]:
        """Run several queries in one packet and return the rows of each."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(";".join(queries))
            results = [list(cursor.fetchall())]
            while cursor.nextset():
                results.append(list(cursor.fetchall()))
            return results

    def row(self, sql: str, *args: Value) -> Row | None:
        """Run one query and return its first row, None if there is none."""
        rows = self.rows(sql, *args)
        return rows[0] if rows else None

    def named_row(self, sql: str, *args: Value) -> dict[str, Value] | None:
        """Run one query and return its first row by lower-case column names, None if there is none.

        The columns of SHOW … differ between releases.
        """
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            first_row = cursor.fetchone()
            names = [d[0].lower() for d in cursor.description or ()]
            return dict(zip(names, first_row, strict=True)) if first_row else None

    def each_row(self, sql: str, *args: Value) -> Iterator[Row]:
        """Run one query and yield its rows as they arrive, without keeping them."""
        with self._translated(), self._connection.cursor(SSCursor) as cursor:
            cursor.execute(sql, args or None)
            yield from cursor

    def texts(self, sql: str) -> list[list[str | None]]:
        """Run one query and return its rows as texts: much cheaper than `rows` if the rows are short and many."""
        with self._translated():
            return read_texts(self._connection, sql.encode())

    def lines(self, sql: str) -> Iterator[Lines]:
        """Run a query of two columns, a text and a flag of 0 or 1, and yield many rows at a time as they arrive."""
        with self._translated():
            yield from read_lines(self._connection, sql.encode())

    def execute(self, sql: str | bytes, *args: Value) -> int:
        """Run one statement and return its row count."""
        with self._translated():
            if args:
                with self._connection.cursor() as cursor:
                    return int(cursor.execute(sql, args))
            # Bytes are sent as they are; pymysql would encode a str.
            return int(self._connection.query(sql))

    def execute_one(self, sql: str | bytes) -> int:
        """Run a text that another server wrote as exactly one statement; a second statement in it is a syntax error.

        Before and after it, the session accepts several statements in one packet. Return the row count.
        """
        (result,) = self.execute_ones([sql])
        if isinstance(result, ServerError):
            raise result
        return result

    def execute_ones(self, texts: Sequence[str | bytes]) -> list[int | ServerError]:
        """Run texts as `execute_one` does, one after another, and wait once for the answers to all of them.

        Return the row count of each text, or the error with which it failed: the texts after it are run nevertheless.

        Raises:
            ServerError: the connection is lost.

        Source: COM_SET_OPTION, https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html
        """
        queries = [(COMMAND.COM_QUERY, text) for text in texts]
        commands = [(_COM_SET_OPTION, _MULTI_STATEMENTS_OFF), *queries, (_COM_SET_OPTION, _MULTI_STATEMENTS_ON)]
        with self._translated():
            for command, text in commands:
                self._connection.send(command, text)
        try:
            self._receive_option()
            results = [self._receive_or_error() for _ in texts]
        except ServerError:
            # The answers that are missing belong to these texts; no later statement may take them for its own.
            self._connection.forget_answers()
            self.abort()
            raise
        # If the connection is lost now, the option is lost with it, and the results of the texts are valid.
        with contextlib.suppress(ServerError):
            self._receive_option()
        return results

    def _receive_option(self) -> None:
        with self._translated():
            self._connection.begin_answer()
            self._connection.read_end()

    def _receive_or_error(self) -> int | ServerError:
        try:
            return self.receive(is_first=True)
        except ServerError as error:
            if error.is_connection_lost:
                raise
            return error

    def execute_each(self, statements: Sequence[bytes]) -> list[int]:
        """Run statements in one packet and return the row count of each.

        If one fails, those after it are not run.

        Raises:
            ServerError: a statement failed. The effects of the statements before it remain.
        """
        self.send(statements)
        return [self.receive(is_first=number == 0) for number in range(len(statements))]

    def execute_as_one(self, statements: Sequence[bytes]) -> None:
        """Run statements in one packet and one transaction: all of them take effect or none. Raises ServerError."""
        try:
            self.execute_each([b"START TRANSACTION", *statements, b"COMMIT"])
        except ServerError as error:
            if not error.is_connection_lost:
                self.rollback()
            raise

    def load(self, statement: bytes, text: bytes, *, first: Sequence[bytes] = ()) -> Loaded | None:
        """Run a LOAD DATA LOCAL and send it its text; the file that it names is not read.

        The session must have been opened with `may_load`. `first` are statements that are sent before it in the same
        packet. If the row count of the last of them is not 1, nothing is loaded and None is returned. With LOCAL the
        server leaves out or changes a row that it does not accept, and only counts a warning: the caller has to look at
        the number of warnings. Raises ServerError.
        """
        self.send([*first, statement])
        counts = [self.receive(is_first=number == 0) for number in range(len(first))]
        is_wanted = not first or counts[-1] == 1
        with self._translated():
            if not first:
                self._connection.begin_answer()
            loaded = Loaded(*give_text(self._connection, text if is_wanted else b""))
        return loaded if is_wanted else None

    def post(self, statement: str) -> None:
        """Send a short statement that cannot fail together with the next one, without a round trip of its own.

        Do not call it while answers to `send` have not been received: they come first. If the statement fails
        nevertheless, the next statement raises the error, and the session is closed.
        """
        self._connection.post(statement)

    def send(self, statements: Sequence[bytes]) -> None:
        """Send statements in one packet without waiting; `receive` returns their results, in the order sent.

        The server works while the next packet is built. A packet that was sent after one that fails is run
        nevertheless. So use this for transactions that are committed only after every result was read, with autocommit
        off: a deadlock ends the transaction, and what follows must not commit by itself.
        """
        with self._translated():
            self._connection.send(COMMAND.COM_QUERY, b";".join(statements))

    def receive(self, *, is_first: bool) -> int:
        """Return the row count of the next statement that was sent; `is_first`: it is the first one of its packet.

        If it raises, the statements after it in its packet were not run, and have no results.
        """
        if not self._connection.open:
            # The driver closed the connection when sending failed, so there is nothing to read from.
            raise server_error(CR_SERVER_LOST, "the connection is lost", self.server)
        with self._translated():
            if is_first:
                self._connection.begin_answer()
            return self._connection.read_count()

    @property
    def is_answered(self) -> bool:
        """Return True if `receive` would return or raise at once."""
        return self._connection.has_answer

    def begin(self) -> None:
        """Open a transaction, together with its first statement."""
        self.post("START TRANSACTION")

    def commit(self) -> None:
        """Commit the open transaction."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one."""
        self.execute("ROLLBACK")

    def escape(self, value: Value) -> str:
        """Return a value as an SQL literal for this session."""
        return str(self._connection.escape(value))

    def close(self) -> None:
        """Close the connection; one that is already lost is closed too."""
        _note(self, is_open=False)
        with contextlib.suppress(pymysql.err.Error, OSError):
            self._connection.close()

    def abort(self) -> None:
        """Cut the connection, from any thread: a call that waits on it ends at once with an error."""
        self._connection.shut_down()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(self.server):
                yield
        except ServerError as error:
            if error.errno == CR_MALFORMED_PACKET:
                # It is not known where the next packet begins.
                self._connection.drop()
            raise


def connect(
    server: Server,
    network: Network,
    *,
    database: str | None = None,
    init: str | None = None,
    may_load: bool = False,
    inherits: bool = False,
) -> Session:
    """Open a session and set every variable that could change what it reads or writes (session_settings).

    `init` is a statement to run after that. With `may_load`, `load` can be called; the driver itself never sends a file
    to a server. With `inherits`, only charset, sql_mode and time zone are set: the sandbox acts as an application does.

    Raises:
        ServerError: the connection or a statement failed.
        PrimaryError: the primary does not give the TLS that is required, its certificate is refused, or a package that
            its authentication needs is missing.
        SecondaryError: the same for a secondary.
    """
    connection = _connected(server, network, database, CLIENT.LOCAL_FILES if may_load else 0)
    session = Session(connection, server)
    session.may_load = may_load
    _note(session, is_open=True)
    with closing_on_error(session):
        _set_keepalive(connection)
        _check_encryption(connection, server)
        if inherits:
            session.execute(introduction(tuple(VALUES.items())))
        else:
            apply_settings(session)
        if init:
            session.execute(init)
    return session


@contextlib.contextmanager
def closing_on_error(*sessions: Session) -> Iterator[None]:
    """Close the sessions if what the context encloses fails: then the caller does not get them."""
    with contextlib.ExitStack() as stack:
        for session in sessions:
            stack.callback(session.close)
        yield
        stack.pop_all()


def _connected(server: Server, network: Network, database: str | None, flags: int) -> ServerConnection:
    side = PrimaryError if server.is_primary else SecondaryError
    try:
        with translated(server):
            settings = connection_settings(server, network)
            settings["client_flag"] |= flags
            # What accepts the connection may never send anything. A greeting does not take as long as a statement, so
            # its timeout is shorter.
            settings["read_timeout"] = settings["write_timeout"] = network.connect_timeout
            connection = ServerConnection(**settings, database=database, sets_names=False)
            connection.set_timeout(network.query_timeout)
            return connection
    except ServerError as error:
        reason = getattr(error.__cause__, "original_exception", error.__cause__)
        if isinstance(reason, ssl.SSLCertVerificationError):
            # Another attempt would always give the same answer.
            raise side(
                f"{server}: the server's certificate is refused: {reason.verify_message}",
                hint="check the CA file and the host name, or set MARIA_PRIMARY_TLS or MARIA_SECONDARY_TLS "
                "to a lower mode",
            ) from error
        raise


def _note(session: Session, *, is_open: bool) -> None:
    with _open_lock:
        has_changed = (id(session) in _open) is not is_open
        if is_open:
            _open[id(session)] = session
        else:
            _open.pop(id(session), None)
        watchers = tuple(_watchers) if has_changed else ()
    for watcher in watchers:
        watcher()


@contextlib.contextmanager
def watching_connections(watcher: Callable[[], None]) -> Iterator[None]:
    """Call `watcher` after each connection that any thread of this process opens or closes while the context lasts."""
    with _open_lock:
        _watchers.append(watcher)
    try:
        yield
    finally:
        with _open_lock:
            _watchers.remove(watcher)


def open_connection_ids(server: Server) -> list[int]:
    """Return the server's ids of the sessions that this process has open on a server."""
    with _open_lock:
        return sorted(s.connection_id for s in _open.values() if s.server == server)


def connection_settings(server: Server, network: Network) -> dict[str, Any]:
    """Return pymysql's keyword arguments for a server, for sessions and for the dump connection."""
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        # As bytes: the driver would encode a text in latin1, but a server compares the bytes of UTF-8.
        "password": server.password.reveal().encode(),
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": network.connect_timeout,
        "read_timeout": network.query_timeout,
        "write_timeout": network.query_timeout,
        "client_flag": CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
        "conv": _CONVERSIONS,
        "program_name": "replica",
        "ssl_disabled": server.tls.mode is TlsMode.OFF,
        "ssl": tls_context(server.tls),
        "tls_mode": server.tls.mode,
    }


def _set_keepalive(connection: DriverConnection) -> None:
    # A statement may take an hour, but a peer that is gone must be noticed within half a minute.
    sock = connection.sock
    for option, value in _KEEPALIVE.items():
        if sock is not None and hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _check_encryption(connection: DriverConnection, server: Server) -> None:
    if server.tls.mode not in (TlsMode.OFF, TlsMode.PREFERRED) and not connection.is_encrypted:
        side = PrimaryError if server.is_primary else SecondaryError
        raise side(
            f"{server}: the server does not offer TLS",
            hint="set MARIA_PRIMARY_TLS or MARIA_SECONDARY_TLS to a lower mode",
        )
