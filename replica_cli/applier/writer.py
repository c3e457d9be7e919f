"""Carries out steps on the secondary: sends many statements in one round trip, and checks the result of each.

The applier uses it. COMMIT goes through it too, as the order of packets and answers decides what is committed.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.failures import missing_rows, refusal
from replica_cli.core.errors import ApplyRefused, ReplicaError
from replica_cli.core.limiting import Part
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.sqlbuilder.sql_modes import LENIENT_MODE, SQL_MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from replica_cli.applier.engines.steps import ApplyStep
    from replica_cli.core.table import TableName
    from replica_cli.measures import PartClock
    from replica_cli.mysql.session import Row, Session

_PACKET_STATEMENTS = 200
_PACKET_BYTES = 1024 * 1024
_PACKETS_AHEAD = 6
# This number of steps of the next batch is built while the batch before it is in flight. More are built, up to the
# bytes below, only as long as results of that batch are still to come.
_BUILT_AHEAD = 2
_AHEAD_BYTES = 4 * 1024 * 1024
_Entry = tuple[bytes, "ApplyStep | None"]
_COMMIT: _Entry = (b"COMMIT", None)


@dataclass(slots=True)
class _Packet:
    """Statements that were sent together.

    Attributes:
        entries: the statements, each with its step, None for a statement without one.
        committed: for a COMMIT: called when the server has acknowledged it.
        must_succeed: True if the session cannot be used any more after an error: for a preparation, and for a COMMIT
            that its batch does not wait for.
        answered: how many of them are answered.

    """

    entries: list[_Entry]
    committed: Callable[[], None] | None = None
    must_succeed: bool = False
    answered: int = 0


class Writer:
    """Sends packets of statements on one session; a few packets are in flight. One thread uses it.

    The session has autocommit off, so nothing is kept before a COMMIT. The caller commits only when every result is
    known. Statements of the next transaction may be sent after a COMMIT before it is acknowledged, but the next COMMIT
    may not. So nothing that was sent after a failed COMMIT can be committed.

    If a COMMIT fails whose answer was not awaited, or if the preparation fails, the session cannot be used any more.
    The error asks for a new connection instead of another attempt, and `discard` raises it. Otherwise the next batch
    would be committed, with a position after the batch of the failed COMMIT.
    """

    def __init__(self, session: Session, *, max_packet: int, parts: PartClock) -> None:
        self._session = session
        self._parts = parts
        # Leave room for the bytes of the protocol and for the statements that the writer adds.
        self._max_packet = max_packet - 1024
        self._packet: list[_Entry] = []
        self._size = 0
        self._sent: deque[_Packet] = deque()
        self._failure: ReplicaError | None = None
        self._fatal: ServerError | None = None
        self._is_preparing = False
        self._count = 0
        self._checks: bool | None = None
        self._is_lenient: bool | None = None
        self._is_begun = False
        self._differing: Counter[TableName] = Counter()

    @property
    def is_begun(self) -> bool:
        """Return True if a statement was added since the last commit."""
        return self._is_begun

    def write(self, steps: Iterable[ApplyStep]) -> None:
        """Add steps; a packet is sent when it is full. For a query, wait for its rows.

        Raises:
            RowMissing: if an earlier step has not found its rows.
            RowExists: if a row is in the way of an earlier step.
            ApplyRefused: if a change cannot be made as it was on the primary.
            ServerError: for every other error of the server.

        """
        for step in steps:
            self._set_session(step)
            if len(step.statement) > self._max_packet:
                raise ApplyRefused(
                    f"{step.table}: a change of {len(step.statement)} bytes is larger than the secondary accepts",
                    hint=f"SET GLOBAL max_allowed_packet={_next_power(len(step.statement))} on {self._server_name}",
                    table=step.table,
                )
            if step.follow is not None:
                self.write(step.follow(self._query(step)))
                continue
            self._add(step.statement, step)
            if step.ends_packet:
                self._send()

    def _query(self, step: ApplyStep) -> list[Row]:
        """Return the rows of a query; it sees all changes that were added before it."""
        self._is_begun = True
        self.flush()
        before = self._parts.enter(Part.SECONDARY)
        try:
            return self._session.rows(step.statement.decode())
        except ServerError as error:
            raise refusal(error, step) from error
        finally:
            self._parts.enter(before)

    def add(self, statement: bytes) -> None:
        """Add a statement whose result is not checked."""
        self._add(statement, None)

    def send(self, last: bytes) -> None:
        """Send all that was added and, after it, one more statement; `flush` returns its number of rows."""
        self._add(last, None)
        self._send()

    def prepare(self, packets: Sequence[Sequence[bytes]]) -> None:
        """Send packets of statements that make the session ready.

        Nothing else is sent before they are answered: if one fails, autocommit may be on, and each statement would
        commit by itself.
        """
        self._is_preparing = True
        for packet in packets:
            self._session.send(packet)
            self._sent.append(_Packet([(statement, None) for statement in packet], must_succeed=True))

    def flush(self) -> int:
        """Send all that was added, check every result, and return the number of rows that the last statement found.

        Raises:
            ReplicaError: as `write`, and the error of a COMMIT that was in flight.

        """
        self._send()
        self._receive_all()
        return self._count

    def take_differing(self) -> Counter[TableName]:
        """Return the number of rows of each table that differed from the primary's before image, and reset them."""
        differing, self._differing = self._differing, Counter()
        return differing

    def build_ahead(self, steps: Iterator[ApplyStep]) -> list[ApplyStep]:
        """Build the first of some steps: two, and more while results are still to come. Raises as `steps`."""
        built: list[ApplyStep] = []
        size = 0
        for step in steps:
            built.append(step)
            size += len(step.statement)
            if size >= _AHEAD_BYTES or (len(built) >= _BUILT_AHEAD and self._is_done()):
                break
        return built

    def _is_done(self) -> bool:
        """Read the results that have arrived; return True if no more are to come. `flush` raises their errors."""
        while self._sent and self._failure is None and self._session.is_answered:
            try:
                self._receive()
            except ReplicaError as error:
                self._failure = error
        return not self._sent or self._failure is not None

    def commit(self, committed: Callable[[], None], *, waits: bool) -> None:
        """Send the COMMIT of what was flushed.

        Args:
            committed: called when the server has acknowledged it.
            waits: wait for that. If the COMMIT fails then, nothing was sent after it: the batch can be repeated, as
                Galera asks for. Without it, the answer is read with those of the next statements.

        Raises:
            ServerError: the COMMIT was awaited and failed.

        """
        self._session.send([_COMMIT[0]])
        self._sent.append(_Packet([_COMMIT], committed, must_succeed=not waits))
        self._is_begun = False
        if waits:
            self._receive_all()

    def discard(self) -> None:
        """Read the results that are still to come, and forget all statements and the settings of the session.

        The caller rolls back after it. The next step sets what it needs of the session again.

        Raises:
            ServerError: if this session cannot be used any more: the error of a COMMIT, or of the preparation.

        """
        self._packet, self._size = [], 0
        while self._sent or self._failure is not None:
            with contextlib.suppress(ReplicaError):
                self._receive()
        self._checks = self._is_lenient = None
        self._is_begun = False
        self._differing.clear()
        if self._fatal is not None:
            raise self._fatal

    @property
    def _server_name(self) -> str:
        return self._session.server.name

    def _add(self, statement: bytes, step: ApplyStep | None) -> None:
        size = len(statement) + 1
        is_full = len(self._packet) >= _PACKET_STATEMENTS or self._size + size > min(_PACKET_BYTES, self._max_packet)
        if self._packet and is_full:
            self._send()
        self._packet.append((statement, step))
        self._size += size
        self._is_begun = True

    def _send(self) -> None:
        packet, self._packet, self._size = self._packet, [], 0
        if not packet:
            return
        if self._is_preparing:
            self._is_preparing = False
            self._receive_all()
        statements = [statement for statement, _ in packet]
        before = self._parts.enter(Part.SECONDARY)
        try:
            self._session.send(statements)
            self._sent.append(_Packet(packet))
            while len(self._sent) > _PACKETS_AHEAD:
                self._receive()
        finally:
            self._parts.enter(before)

    def _receive_all(self) -> None:
        before = self._parts.enter(Part.SECONDARY)
        try:
            while self._sent or self._failure is not None:
                self._receive()
        finally:
            self._parts.enter(before)

    def _receive(self) -> None:
        """Read and check one result, or raise the error that `_is_done` has read."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        packet = self._sent[0]
        step = packet.entries[packet.answered][1]
        try:
            if packet.committed is None:
                self._count = self._session.receive(is_first=not packet.answered)
            else:
                before = self._parts.enter(Part.COMMIT)
                try:
                    self._count = self._session.receive(is_first=True)
                finally:
                    self._parts.enter(before)
        except ServerError as error:
            self._sent.popleft()
            self._note_error(packet, error)
            raise (refusal(error, step) if step is not None else error) from error
        packet.answered += 1
        if packet.answered == len(packet.entries):
            self._sent.popleft()
        if step is not None and step.expected is not None and self._count != step.expected:
            raise missing_rows(step, self._count)
        if step is not None and step.is_comparison and self._count:
            self._differing[step.table] += self._count
        if packet.committed is not None:
            packet.committed()

    def _note_error(self, packet: _Packet, error: ServerError) -> None:
        """Decide after an error, whose packet is taken from `_sent`, if this session can be used any more."""
        if error.is_connection_lost:
            # The other packets get no answers. If the server has only announced the loss, it may still send some: they
            # must not be taken for answers to other statements.
            self._sent.clear()
            self._session.abort()
            return
        if packet.must_succeed:
            # What follows a failed COMMIT must not be committed, and the batch of this COMMIT is not at hand to be
            # repeated: the applier begins again with a new connection.
            self._fatal = error
            if error.remedy is Remedy.RETRY:
                error.remedy = Remedy.RECONNECT

    def _set_session(self, step: ApplyStep) -> None:
        if step.checks_foreign_keys is not None and step.checks_foreign_keys != self._checks:
            self._checks = step.checks_foreign_keys
            self._add(b"SET SESSION foreign_key_checks=%d" % self._checks, None)
        if step.is_lenient != self._is_lenient:
            self._is_lenient = step.is_lenient
            mode = LENIENT_MODE if step.is_lenient else SQL_MODE
            self._add(f"SET SESSION sql_mode='{mode}'".encode(), None)


def _next_power(size: int) -> int:
    """Return a power of two that is greater than a size in bytes by at least 64 KiB."""
    return 1 << (size + 65536).bit_length()
