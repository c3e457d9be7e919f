"""Carries out work on the secondary: many statements a round trip, every result held against what it must be."""

from __future__ import annotations

import contextlib
import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.window import RefusedInWindow
from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, ReplicaError, RowExists, RowMissing
from replica_cli.core.events import RowKind
from replica_cli.core.wording import counted
from replica_cli.mysql.errnos import (
    DUPLICATES,
    ER_KEY_NOT_FOUND,
    ER_NO_REFERENCED_ROW,
    ER_ROW_IS_REFERENCED,
    Remedy,
    ServerError,
    is_of_table,
)
from replica_cli.mysql.session_settings import SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replica_cli.applier.steps import ApplyStep
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Row, Session

_PACKET_STATEMENTS = 200
_PACKET_BYTES = 1024 * 1024
_PACKETS_AHEAD = 6
# Of the next batch so much is built before the one on its way is over, and more only while that takes.
_BUILT_AHEAD = 2
_AHEAD_BYTES = 4 * 1024 * 1024
_LENIENT_MODE = SQL_MODE.replace("STRICT_ALL_TABLES,", "")
_Entry = tuple[bytes, "ApplyStep | None"]
_KEY_NAME = re.compile(r"for key '([^']*)'")
_COMMIT: _Entry = (b"COMMIT", None)


@dataclass(slots=True)
class _Packet:
    """Statements that were sent together, of which so many are answered.

    `committed` is called where they are a COMMIT, once it is answered. `is_preparation`: without them the session is of
    no use.
    """

    entries: list[_Entry]
    committed: Callable[[], None] | None = None
    is_preparation: bool = False
    answered: int = 0


class Writer:
    """Sends packets of statements on one session, a few ahead of their results.

    The session has autocommit off: what was written stands once `commit` is answered, and the caller asks for that
    only when every result is known. Work of the next transaction may be sent behind a COMMIT before its answer is
    there; the next COMMIT never is, so nothing that came behind a COMMIT that failed can stand.
    """

    def __init__(self, session: Session, *, max_packet: int) -> None:
        self._session = session
        # Room for the protocol's own bytes and the statements that the writer adds.
        self._max_packet = max_packet - 1024
        self._packet: list[_Entry] = []
        self._size = 0
        self._sent: deque[_Packet] = deque()
        self._failure: ReplicaError | None = None
        self._spoilt: ServerError | None = None
        self._is_preparing = False
        self._is_asking = False
        self._count = 0
        self._checks: bool | None = None
        self._is_lenient: bool | None = None
        self._is_begun = False
        self._differing: Counter[TableName] = Counter()

    @property
    def is_begun(self) -> bool:
        """Say whether anything was sent or waits since the last commit."""
        return self._is_begun

    def write(self, works: Iterable[ApplyStep]) -> None:
        """Add work; packets go out as they fill. Of a query the answer is waited for.

        Raises RowMissing, RowExists, ApplyRefused where a change cannot be made as it was on the primary, ServerError
        where the server has another reason.
        """
        for work in works:
            self._set_session(work)
            if len(work.statement) > self._max_packet:
                raise ApplyRefused(
                    f"{work.table}: a change of {len(work.statement)} bytes is larger than the secondary takes",
                    hint=f"SET GLOBAL max_allowed_packet={_next_power(len(work.statement))} on {self._server_name}",
                    table=work.table,
                )
            if work.follow is not None:
                self.write(work.follow(self._ask(work)))
                continue
            self._add(work.statement, work)
            if work.ends_packet:
                self._send()

    def _ask(self, work: ApplyStep) -> list[Row]:
        """Return what a query finds, behind all that was sent before it."""
        self._is_begun = self._is_asking = True
        try:
            self.flush()
        finally:
            self._is_asking = False
        try:
            return self._session.rows(work.statement.decode())
        except ServerError as error:
            raise refusal(error, work) from error

    def add(self, statement: bytes) -> None:
        """Add a statement of which nothing is expected."""
        self._add(statement, None)

    def send(self, last: bytes) -> None:
        """Send what waits and one more statement behind it, of which `flush` returns the rows that it found."""
        self._add(last, None)
        self._send()

    def prepare(self, packets: Sequence[Sequence[bytes]]) -> None:
        """Send packets of statements that make the session ready.

        Nothing else is sent before they are answered: where one fails, the session may commit each statement by itself.
        """
        self._is_preparing = True
        for packet in packets:
            self._session.send(packet)
            self._sent.append(_Packet([(statement, None) for statement in packet], is_preparation=True))

    def flush(self) -> int:
        """Send what waits, check every result, and return the last statement's count.

        Raises what a COMMIT before it was answered with, too.
        """
        self._send()
        self._receive_all()
        return self._count

    def take_differing(self) -> Counter[TableName]:
        """Return by table how many rows were found not to be as the primary's image before says, and forget them."""
        found, self._differing = self._differing, Counter()
        return found

    def built_meanwhile(self, works: Iterator[ApplyStep]) -> list[ApplyStep]:
        """Return the first of some work: two pieces, and more while results are waited for. Raises as `works` does."""
        found: list[ApplyStep] = []
        size = 0
        for work in works:
            found.append(work)
            size += len(work.statement)
            if size >= _AHEAD_BYTES or (len(found) >= _BUILT_AHEAD and self._is_done()):
                break
        return found

    def _is_done(self) -> bool:
        """Take in the results that are there, and say whether no other is waited for; what is wrong `flush` raises."""
        while self._sent and self._failure is None and self._session.is_answered:
            try:
                self._receive()
            except ReplicaError as error:
                self._failure = error
        return not self._sent or self._failure is not None

    def commit(self, committed: Callable[[], None]) -> None:
        """Send the COMMIT of what was flushed, and call back once it is answered, which `flush` waits for."""
        self._session.send([_COMMIT[0]])
        self._sent.append(_Packet([_COMMIT], committed))
        self._is_begun = False

    def forget(self) -> None:
        """Take in what is still on its way, and forget it and the session's variables: a rollback follows.

        Raises the error behind which nobody may go on in this session: a COMMIT's, or the preparation's.
        """
        self._packet, self._size = [], 0
        while self._sent or self._failure is not None:
            with contextlib.suppress(ReplicaError):
                self._receive()
        self._checks = self._is_lenient = None
        self._is_begun = False
        self._differing.clear()
        if self._spoilt is not None:
            raise self._spoilt

    @property
    def _server_name(self) -> str:
        return self._session.server.name

    def _add(self, statement: bytes, work: ApplyStep | None) -> None:
        size = len(statement) + 1
        is_full = len(self._packet) >= _PACKET_STATEMENTS or self._size + size > min(_PACKET_BYTES, self._max_packet)
        if self._packet and is_full:
            self._send()
        self._packet.append((statement, work))
        self._size += size
        self._is_begun = True

    def _send(self) -> None:
        packet, self._packet, self._size = self._packet, [], 0
        if not packet:
            return
        if self._is_preparing:
            self._is_preparing = False
            self._receive_all()
        self._session.send([statement for statement, _ in packet])
        self._sent.append(_Packet(packet))
        while len(self._sent) > _PACKETS_AHEAD:
            self._receive()

    def _receive_all(self) -> None:
        while self._sent or self._failure is not None:
            self._receive()

    def _receive(self) -> None:
        """Take in one result, and hold it against what it must be."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        packet = self._sent[0]
        work = packet.entries[packet.answered][1]
        try:
            self._count = self._session.receive(is_first=not packet.answered)
        except ServerError as error:
            self._sent.popleft()
            if error.is_connection_lost:
                # What else is on its way has no answers; where the server only said so, none may be taken for others'.
                self._sent.clear()
                self._session.abort()
            elif packet.is_preparation or (
                packet.committed is not None and (self._sent or self._packet or self._is_asking)
            ):
                # What was sent behind a COMMIT must not stand, and whoever sent that cannot redo this one: begin anew.
                self._spoilt = error
                if error.remedy is Remedy.RETRY:
                    error.remedy = Remedy.RECONNECT
            raise (refusal(error, work) if work is not None else error) from error
        packet.answered += 1
        if packet.answered == len(packet.entries):
            self._sent.popleft()
        if work is not None and work.expected is not None and self._count != work.expected:
            raise missing(work, self._count)
        if work is not None and work.is_look and self._count:
            self._differing[work.table] += self._count
        if packet.committed is not None:
            packet.committed()

    def _set_session(self, work: ApplyStep) -> None:
        if work.checks_foreign_keys is not None and work.checks_foreign_keys != self._checks:
            self._checks = work.checks_foreign_keys
            self._add(b"SET SESSION foreign_key_checks=%d" % self._checks, None)
        if work.is_lenient != self._is_lenient:
            self._is_lenient = work.is_lenient
            mode = _LENIENT_MODE if work.is_lenient else SQL_MODE
            self._add(f"SET SESSION sql_mode='{mode}'".encode(), None)


def refusal(error: ServerError, work: ApplyStep) -> ReplicaError:
    """Return the error to raise for a server's error on some work: RefusedInWindow for a row of a replay window."""
    found = explained(error, work)
    if work.is_replayed and isinstance(found, ApplyRefused):
        return RefusedInWindow(found.message, hint=found.hint, table=found.table)
    return found


def explained(error: ServerError, work: ApplyStep) -> ReplicaError:
    """Return a server's error as a condition of the table, the error itself where only the server is meant.

    Keys are named, values are not: they stay out of logs.
    """
    verb = work.kind.name
    if error.errno in DUPLICATES:
        name = _KEY_NAME.search(error.text)
        key = f" on key {name[1]}" if name else ""
        return RowExists(
            f"{work.table}: {verb} meets a row that is already there{key}",
            hint=f"`replica transfer {table_options([work.table])}` copies it again",
            table=work.table,
        )
    if error.errno == ER_KEY_NOT_FOUND:
        return RowMissing(
            f"{work.table}: a row is not found",
            hint=f"`replica transfer {table_options([work.table])}` copies it again",
            table=work.table,
        )
    if error.errno in (ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW):
        return RowMissing(
            f"{work.table}: {verb} is refused by a foreign key: the related rows differ from the primary's",
            hint=f"`replica transfer {table_options([work.table])}` and its related tables",
            table=work.table,
        )
    if not is_of_table(error):
        return error
    return ApplyRefused(
        f"{work.table}: {verb} is refused by {error.server} (error {error.errno})",
        hint=f"`replica drift check`, then `replica transfer {table_options([work.table])}`",
        table=work.table,
    )


def missing(work: ApplyStep, count: int) -> RowMissing:
    """Return the error to raise for work that found fewer rows than it must."""
    columns = f"its key, {', '.join(work.key)}" if work.key else "all columns"
    expected = work.expected or 0
    lacking = expected - count
    number = counted(expected, "row") if lacking == expected else f"{lacking} of {counted(expected, 'row')}"
    found = f"{number} not found (compared by {columns})"
    if work.kind is RowKind.INSERT:
        found = f"{count} of {expected} rows were written"
    return RowMissing(
        f"{work.table}: {work.kind.name}: {found}",
        hint=f"`replica transfer {table_options([work.table])}` copies it again",
        table=work.table,
    )


def _next_power(size: int) -> int:
    return 1 << (size + 65536).bit_length()
