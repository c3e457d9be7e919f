"""A commit pipeline on a server that exists only in memory, and keeps what was sent, answered and committed."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from replica_cli.applier.batch_size import AdaptiveBatchSize
from replica_cli.applier.commit_pipeline import CommitPipeline
from replica_cli.applier.commit_tracker import CommitTracker
from replica_cli.applier.ddl.open_intent import OpenIntent
from replica_cli.applier.ended_windows import EndedWindows
from replica_cli.applier.engines.step_builder import Engines, StepBuilder
from replica_cli.applier.engines.steps import ApplyStep, RowCount
from replica_cli.applier.failure_isolator import FailureIsolator
from replica_cli.applier.window import Windows
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.positions import SavedPosition
from replica_cli.core.errors import ApplyRefused, Fenced
from replica_cli.core.events import RowEvent, RowHead, RowKind, TableMap, Transaction
from replica_cli.core.position import Position
from replica_cli.core.settings import Batching, Retry
from replica_cli.core.table import TableName
from replica_cli.measures import StreamMeasures
from replica_cli.mysql.errnos import ServerError, remedy_of
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE = "binlog.000001"
DEADLOCK = 1213
TABLE = TableMap(1, TableName("s", "t"), b"", b"\3", (0,), (False,))
HEAD = RowHead(RowKind.INSERT, TABLE, 0, b"\1", b"", 0)


def transaction(number: int, *changes: str) -> Transaction:
    """Return a transaction that ends at `number`, with a row event for each text; without any it has no size."""
    events = tuple(RowEvent(HEAD, change.encode()) for change in changes)
    return Transaction(
        Position(FILE, number - 1), Position(FILE, number), "", 1_700_000_000 + number, events, len(events)
    )


def server_error(errno: int) -> ServerError:
    return ServerError(errno, "words", "db1", remedy=remedy_of(errno))


class FakeSession:
    """A server with one session: it answers each statement when the answer is read, and keeps what is committed.

    Attributes:
        log: what happened, in order: "build x", "> x y" for a packet, "< x" for an answer.
        errors: errors by statement; each is raised once.
        row_counts: the number of rows of a statement, 1 by default.
        durable: the statements that are committed.

    """

    is_mariadb = True
    is_answered = False
    server = SimpleNamespace(name="db1")

    def __init__(self) -> None:
        self.log: list[str] = []
        self.errors: dict[str, list[ServerError]] = {}
        self.row_counts: dict[str, int] = {}
        self.durable: list[str] = []
        self._open: list[str] = []
        self._packets: list[list[str]] = []

    def send(self, statements: Sequence[bytes]) -> None:
        texts = [s.decode() for s in statements]
        self._packets.append(texts)
        self.log.append("> " + " ".join(t for t in texts if not t.startswith("SET")))

    def receive(self, *, is_first: bool) -> int:  # noqa: ARG002 - the signature of `Session.receive`
        packet = self._packets[0]
        text = packet.pop(0)
        error = self.errors[text].pop(0) if self.errors.get(text) else None
        if not packet or error is not None:
            del self._packets[0]  # after an error the server runs no other statement of the packet
        if not text.startswith("SET"):
            self.log.append(f"< {text}")
        if error is not None:
            if error.errno == DEADLOCK:
                self._open.clear()
            raise error
        if text == "COMMIT":
            self.durable += self._open
            self._open.clear()
        elif not text.startswith("SET"):
            self._open.append(text)
        return self.row_counts.get(text, 1)

    def rollback(self) -> None:
        assert not self._packets
        self._open.clear()
        self.log.append("rollback")

    def abort(self) -> None:
        self._packets.clear()
        self._open.clear()
        self.log.append("abort")


class FakeEngine:
    """Makes a step of each event, whose bytes are the statement. The statement `refused` cannot be built."""

    def __init__(self, log: list[str], mark: str = "") -> None:
        self._log = log
        self._mark = mark

    def steps(self, events: Sequence[RowEvent]) -> Iterator[ApplyStep]:
        for event in events:
            text = event.raw.decode()
            self._log.append(f"build{self._mark} {text}")
            if text == "refused":
                raise ApplyRefused("it cannot be built", table=TABLE.name)
            counts = (RowCount(event.kind, TABLE.name, 1),)
            yield ApplyStep(event.kind, TABLE.name, TABLE.name, ("id",), event.raw, counts, 1)

    def forget(self, tables: object = ()) -> None: ...

    def preparation(self) -> Sequence[Sequence[bytes]]:
        return ()


class FakePositions:
    """Writes a position as `pos:N`, with the number of rows and of transactions that it adds."""

    def advance_statement(self, advance: Any, token: int) -> bytes:
        assert token == 7
        return f"pos:{advance.position.pos}".encode()

    def check_advanced(self, row_count: int) -> None:
        if not row_count:
            raise Fenced("another process took over")


class Rig:
    """The pipeline, and what it is made of."""

    def __init__(self, *, attempts: int = 3, is_mariadb: bool = True) -> None:
        self.session = FakeSession()
        session: Any = self.session
        self.log = self.session.log
        self.measures = StreamMeasures()
        self.writer = Writer(session, max_packet=1 << 20, parts=self.measures.parts)
        engine: Any = FakeEngine(self.log)
        diagnostic: Any = FakeEngine(self.log, mark=" by diagnosis")
        nothing: Any = SimpleNamespace()
        definitions: Any = SimpleNamespace(expecting=lambda _: contextlib.nullcontext())
        intents: Any = SimpleNamespace(forget_statement=lambda: b"forget-intent")
        positions: Any = FakePositions()
        windows = Windows({})
        saved = SavedPosition(Position(FILE, 4), "", 0, 0, 0, 0, "", "", 7, "")
        self.tracker = CommitTracker(saved, is_mariadb=is_mariadb)
        self.steps = StepBuilder(Engines(engine, engine, diagnostic, nothing), windows, definitions)
        retry = Retry(attempts=attempts, delay=0.0, delay_limit=0.0)
        self.intent = OpenIntent(intents, None)
        self.pipeline = CommitPipeline(
            session,
            self.writer,
            positions,
            self.tracker,
            token=7,
            batch_size=AdaptiveBatchSize(Batching()),
            steps=self.steps,
            isolator=FailureIsolator(self.steps, retry, StopToken(), instance="db1"),
            intent=self.intent,
            ended_windows=EndedWindows(windows, nothing, engine, nothing, token=7),
            read_ahead=lambda _: None,
            measures=self.measures,
        )

    def fail(self, statement: str, *errnos: int) -> None:
        """Let the server answer a statement with errors, one each time that it is sent."""
        self.session.errors[statement] = [server_error(errno) for errno in errnos]

    @property
    def durable(self) -> list[str]:
        """Return what is committed on the server."""
        return self.session.durable
