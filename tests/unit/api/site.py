"""A whole HTTP server on a free port, with questions that ask no database server."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from replica_cli import documents
from replica_cli.api import server
from replica_cli.api.questions import ResetTask, TransferTask
from replica_cli.api.serving import serving
from replica_cli.config.loading import load_settings
from replica_cli.core.differences import DriftReport
from replica_cli.core.errors import ExitCode
from replica_cli.core.metrics import Newest
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.core.reporter import SilentReporter
from replica_cli.core.reports.failure import Failure
from replica_cli.core.reports.pause import PauseReport
from replica_cli.core.reports.position import PositionReport, TableNote
from replica_cli.core.reports.reload import ReloadReport
from replica_cli.core.reports.reset import ResetPlan
from replica_cli.core.reports.transfer import (
    CopyMethod,
    CopyReport,
    PlannedTable,
    TableAction,
    TransferPlan,
    TransferReport,
)
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import Http, ListenAddress, Secret
from replica_cli.core.status import CopyProgress, Phase, TableProgress, TableState, WorkerStatus
from replica_cli.service.transfer import PlannedTransfer
from replica_cli.supervisor.control import StreamControl
from replica_cli.supervisor.signal_requests import SignalRequests
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest

    from replica_cli.api.board import Board
    from replica_cli.core.reporter import Reporter
    from replica_cli.core.requests.reset import ResetKind
    from replica_cli.core.settings import Server, Settings
    from replica_cli.documents.shapes import DriftDocument, PositionsDocument
    from replica_cli.stop import StopToken

TOKEN = "0123456789abcdef0123456789abcdef"
AT = Position("binlog.000042", 1187, "0-1-100")
LATER = Position("binlog.000043", 4, "0-1-200")
ORDERS = TableName("shop", "orders")
STREAMING = WorkerStatus("db2", Phase.CAUGHT_UP, AT, 0.4, 0.1, 12.0, 3.0, 100, 30)


def settings_with(http: Http, hosts: str = "db2,db3") -> Settings:
    environ = {"MARIA_SECONDARY_HOSTS": hosts, "MARIA_SECONDARY_NAMES": hosts}
    return replace(load_settings(None, environ, Path("no such folder/.env")), http=http)


class FakeTransfer(TransferTask):
    """A copy that waits until it may end, or is stopped."""

    def __init__(self, names: Sequence[str], fake: FakeQuestions) -> None:
        table = PlannedTable(ORDERS, ORDERS, TableAction.REPLACE, CopyMethod.RANGES, ("id",), 10, 100)
        self.plans = tuple(PlannedTransfer(TransferPlan(n, TransferMode.NEW, (table,), 4, 1000)) for n in names)
        self._fake = fake

    def run(self, reporter: Reporter, stop: StopToken) -> TransferReport:
        table = TableProgress("shop.orders", 5, 10, 50, TableState.COPYING)
        for planned in self.plans:
            progress = CopyProgress(planned.shown.instance, (table,), 1.0, 5.0)
            reporter.on_status(WorkerStatus(planned.shown.instance, Phase.TRANSFERRING, transfer=progress))
        while not self._fake.may_end.wait(0.02):
            if stop.is_set:
                failure = Failure("interrupted", "stopped", exit_code=ExitCode.INTERRUPTED)
                return TransferReport(tuple(CopyReport(p.shown.instance, failure=failure) for p in self.plans))
        return TransferReport(tuple(CopyReport(p.shown.instance, 1, 10) for p in self.plans))


class FakeReset(ResetTask):
    """A reset that is noted."""

    def __init__(self, plans: tuple[ResetPlan, ...], fake: FakeQuestions) -> None:
        self.plans = plans
        self._fake = fake

    def run(self) -> None:
        self._fake.resets.append(self.plans)


@dataclass
class FakeQuestions:
    """Answers without a server, and notes what was asked. `error` is raised by each question."""

    asked: list[str] = field(default_factory=list)
    resets: list[tuple[ResetPlan, ...]] = field(default_factory=list)
    may_end: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def positions(self) -> PositionsDocument:
        self._note("positions")
        assert self.may_answer.wait(30)
        notes = (
            TableNote(ORDERS, TableState.QUARANTINED, "a row is missing", AT),
            TableNote(TableName("shop", "new"), TableState.PENDING),
        )
        return documents.positions_document(
            [
                PositionReport("db2", AT, primary=LATER, distance_bytes=84_213, tables=notes),
                PositionReport("db3", AT, primary=LATER, distance_bytes=96_468_992),
            ]
        )

    def drift(self, secondaries: Sequence[Server]) -> DriftDocument:
        self._note("drift " + " ".join(s.name for s in secondaries))
        return documents.drift_document([DriftReport(s.name, (), ()) for s in secondaries])

    def pause(self, secondary: Server, stop: StopToken, *, is_wanted: bool) -> PauseReport:
        del stop
        self._note(f"{'pause' if is_wanted else 'resume'} {secondary.name}")
        if secondary.name == "db3":
            return PauseReport("db3", failure=Failure("never_ran", "db3: never ran", "`replica stream`"))
        phase = Phase.PAUSED if is_wanted else Phase.STREAMING
        return PauseReport(secondary.name, is_pause_wanted=is_wanted, holder="host:1", phase=phase)

    def plan_transfer(self, secondaries: Sequence[Server], tables: Sequence[TableName]) -> TransferTask:
        self._note("plan " + " ".join(map(str, tables)))
        return FakeTransfer([s.name for s in secondaries], self)

    def plan_reset(
        self, secondaries: Sequence[Server], kind: ResetKind, position: Position | None, *, accepts_filters: bool
    ) -> ResetTask:
        self._note(f"reset {kind.value} {position or '-'} {accepts_filters}")
        return FakeReset(tuple(ResetPlan(s.name, kind, AT, position) for s in secondaries), self)


@dataclass
class Answer:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


class Site:
    """The running server, and a client of it."""

    def __init__(self, settings: Settings, board: Board, questions: FakeQuestions, port: int) -> None:
        self.settings, self.board, self.questions, self.port = settings, board, questions, port

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, data, sent)
            response = connection.getresponse()
            return Answer(
                response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode("utf-8")
            )
        finally:
            connection.close()

    def get(self, path: str, **named: Any) -> Answer:
        return self.ask("GET", path, **named)

    def change(self, path: str, body: object = None, method: str = "POST") -> Answer:
        return self.ask(method, path, body, token=TOKEN)


class _Stream:
    """The main thread of a stream without workers: it answers the requests of the API."""

    def __init__(self, settings: Settings, reload: Callable[[], ReloadReport]) -> None:
        self.control = StreamControl(settings)
        self._woken = threading.Event()
        self._is_over = False
        self._reload = reload
        self._thread = threading.Thread(target=self._run, args=(settings,))
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._woken.set()
        self._thread.join()

    def _run(self, settings: Settings) -> None:
        worker = Mock()
        worker.config.settings = settings
        requests = SignalRequests(self._woken.set, self.control)
        with self.control.attached(self._woken.set, lambda: Newest(())):
            while not self._is_over:
                self._woken.wait()
                self._woken.clear()
                requests.answer([worker], SilentReporter(), self._reload)


@contextlib.contextmanager
def serving_site(
    monkeypatch: pytest.MonkeyPatch,
    http: Http | None = None,
    *,
    is_stream: bool = True,
    reload: Callable[[], ReloadReport] | None = None,
) -> Iterator[Site]:
    """Give a running server; its questions are answered at once, by a fake."""
    http = http or Http(listen=ListenAddress("127.0.0.1", 0), token=Secret(TOKEN))
    settings = settings_with(http)
    questions = FakeQuestions()
    questions.may_answer.set()
    monkeypatch.setattr(server, "Questions", lambda *_: questions)
    stream = _Stream(settings, reload or (lambda: ReloadReport(settings))) if is_stream else None
    listener: list[Any] = []
    opened = server_listener(listener)
    monkeypatch.setattr("replica_cli.api.serving.open_listener", opened)
    try:
        with serving(settings, settings.secondaries, control=stream.control if stream else None) as board:
            yield Site(settings, board, questions, listener[0].address.port)
    finally:
        questions.may_end.set()
        questions.may_answer.set()
        if stream is not None:
            stream.close()


def server_listener(opened: list[Any]) -> Callable[[Http], Any]:
    from replica_cli.api.listener import open_listener  # noqa: PLC0415 - the original, before it is replaced

    def remember(http: Http) -> Any:
        opened.append(open_listener(http))
        return opened[-1]

    return remember


def wait_for_job(site: Site, job_id: str) -> Any:
    """Return a job that has ended."""
    wait_until(lambda: site.get(f"/api/v1/jobs/{job_id}").document["state"] != "running", "the job to end")
    return site.get(f"/api/v1/jobs/{job_id}").document
