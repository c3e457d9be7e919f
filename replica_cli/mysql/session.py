"""One connection to a server, with errors in our words and every session variable set on purpose."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pymysql
from pymysql.constants import CLIENT, COMMAND, FIELD_TYPE
from pymysql.converters import encoders
from pymysql.cursors import Cursor, SSCursor

from replica_cli.core.errors import PrimaryError, SecondaryError
from replica_cli.core.settings import Network, Server, TlsMode
from replica_cli.mysql.errnos import CR_MALFORMED_PACKET, CR_SERVER_LOST, ServerError
from replica_cli.mysql.lines import read_lines, read_texts
from replica_cli.mysql.pipeline import PipelinedConnection
from replica_cli.mysql.session_settings import VALUES, apply_settings, introduction
from replica_cli.mysql.tls import is_encrypted, tls_context
from replica_cli.mysql.translation import server_error, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from pymysql.connections import Connection

    from replica_cli.mysql.lines import Lines


class Loaded(NamedTuple):
    """What became of a text: rows written, and rows that the server passed over or mended."""

    row_count: int
    warning_count: int


Value = Any  # what pymysql makes of a column: int, str, bytes, Decimal, datetime, None
Row = tuple[Value, ...]

_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
# Whole numbers become int; all else stays text (or bytes): nothing is rounded or refused on the way.
_WHOLE = (FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG)
_CONVERSIONS: dict[Any, Any] = {**encoders, **dict.fromkeys(_WHOLE, int)}
_COM_SET_OPTION = 0x1B
_MULTI_STATEMENTS_ON, _MULTI_STATEMENTS_OFF = b"\0\0", b"\1\0"
# Open connections by their id: a standby that takes over from a frozen process has to know what to kill.
_open: dict[int, Session] = {}
_open_lock = threading.Lock()
_watchers: list[Callable[[], None]] = []


class Session:
    """A connection in autocommit until `begin()`. One thread at a time.

    `rows`, `row` and `execute` take `%s` parameters; without parameters the text goes as it is.
    UPDATE counts the rows it found, not those it changed. `may_load`: `load` can be called, as far as is known.
    """

    def __init__(self, connection: PipelinedConnection, server: Server) -> None:
        self._connection = connection
        self.server = server
        self.may_load = False

    @property
    def version_text(self) -> str:
        """Return the server's version as it introduces itself."""
        return str(self._connection.get_server_info())  # type: ignore[no-untyped-call]

    @property
    def is_mariadb(self) -> bool:
        """Say whether the server is MariaDB (it says so in its version)."""
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
            found = [list(cursor.fetchall())]
            while cursor.nextset():
                found.append(list(cursor.fetchall()))
            return found

    def row(self, sql: str, *args: Value) -> Row | None:
        """Run one query and return its first row, None where there is none."""
        rows = self.rows(sql, *args)
        return rows[0] if rows else None

    def named_row(self, sql: str, *args: Value) -> dict[str, Value] | None:
        """Run one query and return its first row by lower-case column names (SHOW … answers vary in their columns)."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(sql, args or None)
            found = cursor.fetchone()
            names = [d[0].lower() for d in cursor.description or ()]
            return dict(zip(names, found, strict=True)) if found else None

    def each_row(self, sql: str, *args: Value) -> Iterator[Row]:
        """Run one query and yield its rows as they come, without keeping them."""
        with self._translated(), self._connection.cursor(SSCursor) as cursor:
            cursor.execute(sql, args or None)
            yield from cursor

    def texts(self, sql: str) -> list[list[str | None]]:
        """Run one query and return its rows as texts: much cheaper than `rows` where they are short and many."""
        with self._translated():
            return read_texts(self._connection, sql.encode())

    def lines(self, sql: str) -> Iterator[Lines]:
        """Run a query of two columns, a text and a flag of 0 or 1, and yield its rows as they come, many at a time."""
        with self._translated():
            yield from read_lines(self._connection, sql.encode())

    def execute(self, sql: str | bytes, *args: Value) -> int:
        """Run one statement and return the number of rows it found."""
        with self._translated():
            if args:
                with self._connection.cursor() as cursor:
                    return int(cursor.execute(sql, args))  # type: ignore[arg-type]
            # Bytes go to the server untouched; pymysql would encode a str.
            return int(self._connection.query(sql))

    def execute_one(self, sql: str | bytes) -> int:
        """Run text that another server wrote: it is one statement, and a second one in it is a syntax error.

        The session takes several at once before and after. Return the number of rows it found.
        """
        (found,) = self.execute_ones([sql])
        if isinstance(found, ServerError):
            raise found
        return found

    def execute_ones(self, texts: Sequence[str | bytes]) -> list[int | ServerError]:
        """Run texts as `execute_one` does, one after the other, and wait once for the answers to all of them.

        Return the number of rows that each found, or the error that it failed with: those after it are run all the
        same. Raises ServerError if the connection is lost.
        Source: COM_SET_OPTION, https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html
        """
        queries = [(COMMAND.COM_QUERY, text) for text in texts]
        commands = [(_COM_SET_OPTION, _MULTI_STATEMENTS_OFF), *queries, (_COM_SET_OPTION, _MULTI_STATEMENTS_ON)]
        with self._translated():
            for command, text in commands:
                self._connection.send(command, text)
        try:
            self._receive_option()
            found = [self._receive_or_error() for _ in texts]
        except ServerError:
            # The answers that are left are of these texts, and no later statement must take them for its own.
            self._connection.forget_answers()
            self.abort()
            raise
        # A connection that is lost now takes the option with it, and what the texts did counts.
        with contextlib.suppress(ServerError):
            self._receive_option()
        return found

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
        """Run statements in one packet and return the number of rows that each found.

        Where one fails, those after it are not run. Raises ServerError, with what the statements before it did kept.
        """
        self.send(statements)
        return [self.receive(is_first=number == 0) for number in range(len(statements))]

    def execute_as_one(self, statements: Sequence[bytes]) -> None:
        """Run statements in one packet, as one transaction: all of them or none. Raises ServerError."""
        try:
            self.execute_each([b"START TRANSACTION", *statements, b"COMMIT"])
        except ServerError as error:
            if not error.is_connection_lost:
                self.rollback()
            raise

    def load(self, statement: bytes, text: bytes, *, first: Sequence[bytes] = ()) -> Loaded | None:
        """Run a LOAD DATA LOCAL and give it its text; the file that it names is not looked at.

        `first` are statements that go before it, in its packet. Return None, with nothing loaded, unless the last of
        them found one row.
        For a session that was opened to load. With LOCAL the server passes over a row that it does not like, or mends
        it, and only counts that: the caller has to look. Raises ServerError.
        """
        self.send([*first, statement])
        counts = [self.receive(is_first=number == 0) for number in range(len(first))]
        is_wanted = not first or counts[-1] == 1
        with self._translated():
            if not first:
                self._connection.begin_answer()
            loaded = Loaded(*self._connection.give_text(text if is_wanted else b""))
        return loaded if is_wanted else None

    def post(self, statement: str) -> None:
        """Let a short statement that cannot fail go with the next one: it takes no round trip of its own.

        Not while answers to `send` are still to come: they come first. If it fails, the next statement
        raises that, and the session is closed.
        """
        self._connection.post(statement)

    def send(self, statements: Sequence[bytes]) -> None:
        """Send statements in one packet without waiting; `receive` takes their results, in the order sent.

        The server works while the next packet is built. What is sent behind a failing packet is run all the same, so
        this is for transactions that are committed only after every result was read, with autocommit off: a deadlock
        ends the transaction, and what follows must not commit by itself.
        """
        with self._translated():
            self._connection.send(COMMAND.COM_QUERY, b";".join(statements))

    def receive(self, *, is_first: bool) -> int:
        """Return the row count of the next statement sent; `is_first`: the first of its packet.

        Where it raises, the statements after it in its packet were not run, and have no results.
        """
        if not self._connection.open:
            # The driver closed it when sending failed, and reads from nothing.
            raise server_error(CR_SERVER_LOST, "the connection is lost", self.server)
        with self._translated():
            if is_first:
                self._connection.begin_answer()
            return self._connection.read_count()

    @property
    def is_answered(self) -> bool:
        """Say whether `receive` has something to read already."""
        sock = self._connection._sock  # type: ignore[attr-defined]  # noqa: SLF001
        if sock is None:
            return True
        try:
            # The driver reads more than it was asked for: only its buffer knows, and only a read without waiting asks.
            sock.setblocking(False)
            return bool(self._connection._rfile.peek(1))  # type: ignore[attr-defined]  # noqa: SLF001
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            sock.settimeout(self._connection._read_timeout)  # type: ignore[attr-defined]  # noqa: SLF001

    def begin(self) -> None:
        """Open a transaction, with its first statement."""
        self.post("START TRANSACTION")

    def commit(self) -> None:
        """Commit the open transaction."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Roll back what is open."""
        self.execute("ROLLBACK")

    def escape(self, value: Value) -> str:
        """Return a value as a literal for this session."""
        return str(self._connection.escape(value))

    def close(self) -> None:
        """Close politely; a connection that is gone already is closed too."""
        _note(self, is_open=False)
        with contextlib.suppress(pymysql.err.Error, OSError):
            self._connection.close()

    def abort(self) -> None:
        """Cut the connection from any thread: a call that waits on it ends at once with an error."""
        sock = self._connection._sock  # type: ignore[attr-defined]  # noqa: SLF001
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(self.server):
                yield
        except ServerError as error:
            if error.errno == CR_MALFORMED_PACKET:
                # Where the next packet begins is not known.
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
    """Open a session with every variable set that could change what it reads or writes (session_settings).

    `init` is a statement to run then. `may_load`: `load` can be called; the driver itself gives a server no file all
    the same. `inherits`: all but sql_mode and time zone stays as the server gives it: the sandbox plays applications.

    Raises ServerError; PrimaryError or SecondaryError where TLS is asked for and not given, or the server is not the
    one that it must be, or where a package that its authentication needs is missing.
    """
    connection = _connected(server, network, database, CLIENT.LOCAL_FILES if may_load else 0)
    session = Session(connection, server)
    session.may_load = may_load
    _note(session, is_open=True)
    _notice_silence(connection)
    try:
        _check_encryption(connection, server)
        if inherits:
            session.execute(introduction(tuple(VALUES.items())))
        else:
            apply_settings(session)
        if init:
            session.execute(init)
    except BaseException:
        session.close()
        raise
    return session


def _connected(server: Server, network: Network, database: str | None, flags: int) -> PipelinedConnection:
    side = PrimaryError if server.is_primary else SecondaryError
    try:
        with translated(server):
            settings = connection_settings(server, network)
            settings["client_flag"] |= flags
            # Whoever takes the connection may say nothing behind it: a greeting does not take as long as a statement.
            settings["read_timeout"] = settings["write_timeout"] = network.connect_timeout
            connection = PipelinedConnection(**settings, database=database, sets_names=False)
            connection._read_timeout = connection._write_timeout = network.query_timeout  # type: ignore[attr-defined]  # noqa: SLF001
            return connection
    except ServerError as error:
        reason = getattr(error.__cause__, "original_exception", error.__cause__)
        if isinstance(reason, ssl.SSLCertVerificationError):
            # Trying again would give the same answer, for ever.
            raise side(
                f"{server}: its certificate is refused: {reason.verify_message}",
                hint="check the CA of this side and the host's name, or set its TLS mode lower",
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
    """Call `watcher` after each connection that this process opens or closes while the context lasts, in any thread."""
    with _open_lock:
        _watchers.append(watcher)
    try:
        yield
    finally:
        with _open_lock:
            _watchers.remove(watcher)


def open_connection_ids(server: Server) -> list[int]:
    """Return the server's ids of the sessions that this process has open on it."""
    with _open_lock:
        return sorted(s.connection_id for s in _open.values() if s.server == server)


def connection_settings(server: Server, network: Network) -> dict[str, Any]:
    """Return pymysql's keyword arguments for a server; shared with the dump connection."""
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        # As bytes: the driver would encode text in latin1, and a server compares the bytes of its client's UTF-8.
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


def _notice_silence(connection: Connection[Cursor]) -> None:
    # A statement may take an hour; a peer that is gone shall be noticed within half a minute all the same.
    sock = connection._sock  # type: ignore[attr-defined]  # noqa: SLF001
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _check_encryption(connection: Connection[Cursor], server: Server) -> None:
    if server.tls.mode not in (TlsMode.OFF, TlsMode.PREFERRED) and not is_encrypted(connection):
        side = PrimaryError if server.is_primary else SecondaryError
        raise side(f"{server}: the server does not offer TLS", hint="set the TLS mode of this side lower")
