"""Run `replica demo`: first copy, streaming, an altered table and a proof, on servers that are removed afterwards.

The main thread starts the servers and changes the primary. The stream runs in a thread, with its worker processes.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from replica_cli.config.loading import load_settings
from replica_cli.core.errors import ExitCode, Interrupted, ReplicaError
from replica_cli.core.names import TableName
from replica_cli.core.reports.demo import DemoReport, DemoTable
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.requests.verify import VerifyRequest
from replica_cli.core.status import STREAMING_PHASES
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.facts import read_facts
from replica_cli.sandbox.binaries import Flavour
from replica_cli.sandbox.compare import compare
from replica_cli.sandbox.demo import DemoSandbox, DemoServer, add_column, env_text, load_about
from replica_cli.sandbox.shop import SCHEMA
from replica_cli.sandbox.writer import ShopWriter
from replica_cli.service.stream import run_stream
from replica_cli.service.verify import SilentVerify, verify_each
from replica_cli.stop import StopToken
from replica_cli.supervisor.signals import stopping_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.reporter import Reporter
    from replica_cli.core.reports.stream import StreamReport
    from replica_cli.core.reports.verify import TableVerdict
    from replica_cli.core.requests.demo import DemoRequest
    from replica_cli.core.settings import Settings
    from replica_cli.core.status import CopyProgress, WorkerStatus
    from replica_cli.sandbox.compare import TableComparison
    from replica_cli.supervisor.signals import StopSignals

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 300.0
# With this pause the writers leave three servers on two cores some time: about a hundred transactions a second.
_PAUSE_SECONDS = 0.01
_FLAVOUR_NAMES = {Flavour.MARIADB: "MariaDB", Flavour.MYSQL: "MySQL"}


class Terminated(Interrupted):
    """The demo was ended by SIGTERM before it was complete."""

    exit_code = ExitCode.TERMINATED
    code = "terminated"


class _Watch:
    """Passes everything on to the reporter, and keeps the newest snapshots of each secondary. Safe between threads."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()
        self._newest: dict[str, WorkerStatus] = {}
        self._transfers: dict[str, CopyProgress] = {}

    def on_status(self, status: WorkerStatus) -> None:
        with self._lock:
            self._newest[status.instance] = status
            if status.transfer is not None:
                self._transfers[status.instance] = status.transfer
        self._reporter.on_status(status)

    def on_note(self, instance: str, message: str) -> None:
        self._reporter.on_note(instance, message)

    def on_stopping(self, message: str) -> None:
        # The demo stops its stream on purpose.
        self._reporter.on_note("", message)

    def newest(self) -> tuple[WorkerStatus, ...]:
        with self._lock:
            return tuple(self._newest.values())

    def transfers(self) -> tuple[CopyProgress, ...]:
        with self._lock:
            return tuple(self._transfers.values())


class _Stream:
    """A `replica stream` in a thread, so that the main thread can change the primary meanwhile."""

    def __init__(self, settings: Settings, watch: _Watch) -> None:
        self._settings = settings
        self._watch = watch
        self._stop = StopToken()
        self._report: StreamReport | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stream")
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> StreamReport:
        """Stop the stream and return its report. Raises the error that ended it, or the failure of a secondary."""
        self._stop.request()
        self._thread.join()
        if self._error is not None or self._report is None:
            raise self._error or ReplicaError("the stream ended without a report")
        for failure in (w.failure for w in self._report.workers):
            if failure is not None:
                raise ReplicaError(failure.message, hint=failure.hint)
        return self._report

    def _run(self) -> None:
        request = StreamRequest(self._settings.secondaries)
        try:
            self._report = run_stream(self._settings, request, self._watch, stop=self._stop)
        except Exception as error:  # noqa: BLE001 - the outermost function of a thread: end() raises it
            self._error = error


class _Demo:
    """The steps of the demo, in the main thread: the servers end with the thread that started them."""

    def __init__(
        self, request: DemoRequest, reporter: Reporter, sandbox: DemoSandbox, stop_signals: StopSignals
    ) -> None:
        self._request = request
        self._watch = _Watch(reporter)
        self._sandbox = sandbox
        self._stop_signals = stop_signals
        self._env = sandbox.folder / ".env"
        self._verdicts: dict[tuple[str, TableName], TableVerdict] = {}

    def run(self) -> DemoReport:
        started = time.monotonic()
        self._note("starting a primary and two secondaries")
        primary, secondaries = self._sandbox.start_servers()
        self._env.write_text(env_text(primary, secondaries, self._sandbox.folder))
        # The demo reads its own .env and nothing of the environment, so the settings that it shows are those that it
        # uses.
        settings = load_settings(None, {}, self._env)
        self._check_stop()
        server = f"{_FLAVOUR_NAMES[primary.binary.flavour]} {primary.binary.version}"
        self._note(f"three servers of {server} run; filling the sample shop on the primary")
        with primary.session() as session:
            rows = load_about(session, self._request.rows)
        self._note(f"{rows} rows in the shop; simulated customers begin to change them")
        stream_report = self._stream_and_play(settings, primary)
        self._note(
            "a check of the check: comparing every table again, by other means, now that the customers have left"
        )
        tables = tuple(table for secondary in secondaries for table in self._compared(primary, secondary))
        transfers = self._watch.transfers()
        return DemoReport(
            tables=tables,
            rows_transferred=sum(t.rows_copied for t in transfers),
            transfer_seconds=max((t.elapsed_seconds for t in transfers), default=0.0),
            rows_streamed=sum(w.rows_total for w in stream_report.workers),
            elapsed_seconds=time.monotonic() - started,
            env_file=self._keep_servers() if self._request.keeps_servers else None,
        )

    def _stream_and_play(self, settings: Settings, primary: DemoServer) -> StreamReport:
        writer = ShopWriter(primary.address(), pause_seconds=_PAUSE_SECONDS)
        writer.start()
        try:
            stream = _Stream(settings, self._watch)
            try:
                self._play_primary(stream, settings, primary, writer)
            finally:
                report = stream.end()
        except BaseException:
            writer.stop()
            raise
        return report

    def _play_primary(self, stream: _Stream, settings: Settings, primary: DemoServer, writer: ShopWriter) -> None:
        count = len(settings.secondaries)

        def is_streaming() -> bool:
            newest = self._watch.newest()
            return len(newest) == count and all(s.phase in STREAMING_PHASES for s in newest)

        self._wait(stream, is_streaming, "both secondaries streamed")
        self._note("both copies are made; streaming while the customers go on")
        self._pause(stream, self._request.seconds / 2)
        with primary.session() as session:
            self._note(f"on the primary: {add_column(session, self._stop_signals.token)}")
        self._pause(stream, self._request.seconds / 2)
        self._verify(settings)
        counts = writer.stop()
        self._note(
            f"the customers have left after {counts.transactions} transactions; waiting until both have caught up"
        )
        with primary.session() as session:
            facts = read_facts(session)
            target = current_position(session, facts)

        def has_caught_up() -> bool:
            positions = [s.position for s in self._watch.newest() if s.phase in STREAMING_PHASES]
            caught_up = [p for p in positions if p is not None and p.at_least(target)]
            return len(caught_up) == count

        self._wait(stream, has_caught_up, "both secondaries caught up")
        self._note("both have caught up")

    def _verify(self, settings: Settings) -> None:
        """Prove that all rows are equal while the customers write."""
        self._note("replica verify run: proving that all rows are equal, while the customers go on")
        request = VerifyRequest(settings.secondaries)
        for report in verify_each(settings, request, SilentVerify(), self._stop_signals.token):
            self._check_stop()
            if report.failure is not None:
                raise ReplicaError(report.failure.message, hint=report.failure.hint)
            rows = sum(v.rows for v in report.tables)
            verdict = "proven equal" if report.is_equal else "NOT proven equal"
            self._watch.on_note(report.instance, f"{rows} rows in {len(report.tables)} tables {verdict}")
            self._verdicts.update({(report.instance, v.table): v for v in report.tables})

    def _wait(self, stream: _Stream, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            self._stop_signals.token.wait(_POLL_SECONDS)
            self._check_stop()
            if not stream.is_running:
                stream.end()
                raise ReplicaError(f"the stream ended before {what}")
            if time.monotonic() > deadline:
                raise ReplicaError(f"gave up after waiting {_PATIENCE_SECONDS:.0f} s until {what}")

    def _pause(self, stream: _Stream, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._wait(stream, lambda: time.monotonic() >= until, "the customers left")

    def _compared(self, primary: DemoServer, secondary: DemoServer) -> list[DemoTable]:
        self._check_stop()
        return [self._result(secondary, f) for f in compare(primary.address(), secondary.address(), SCHEMA)]

    def _result(self, secondary: DemoServer, comparison: TableComparison) -> DemoTable:
        detail = comparison.detail.replace("only on A", "only on the primary").replace(
            "only on B", "only on the secondary"
        )
        if detail:
            self._watch.on_note(secondary.name, f"{comparison.schema}.{comparison.table}: {detail}")
        name = TableName(comparison.schema, comparison.table)
        verdict = self._verdicts.get((secondary.name, name))
        return DemoTable(
            instance=secondary.name,
            table=name,
            rows_primary=comparison.rows_a or 0,
            rows_secondary=comparison.rows_b or 0,
            is_equal=comparison.is_equal,
            # The note holds the rows. The detail is one line of a table.
            detail="; ".join(line for line in detail.splitlines() if not line.startswith(" ")),
            rows_proven=verdict.rows if verdict else 0,
            proven_at=verdict.position if verdict else None,
            is_proven=verdict is not None and verdict.is_equal,
        )

    def _keep_servers(self) -> str:
        env, settings = self._env, self._env.read_text()
        pids = self._sandbox.keep()
        head = (
            "# Settings for the demo's servers, which keep running. Try:",
            f"#   cd {env.parent}",
            "#   replica position show",
            "#   replica stream",
            f"# To end the servers: kill {' '.join(map(str, pids))}",
        )
        env.write_text("\n".join((*head, settings)))
        return str(env)

    def _note(self, message: str) -> None:
        self._watch.on_note("", message)

    def _check_stop(self) -> None:
        if self._stop_signals.token.is_set:
            condition = Terminated if self._stop_signals.signal == signal.SIGTERM else Interrupted
            raise condition("the demo was stopped before its end")


def run_demo(request: DemoRequest, reporter: Reporter) -> DemoReport:
    """Run the whole demo on servers of its own, in the main thread.

    If the servers are kept, the report names the file with their settings.

    Raises:
        Interrupted: SIGINT ended it.
        Terminated: SIGTERM ended it.
        ReplicaError: a step failed.

    """
    with stopping_on_signals() as stop_signals, DemoSandbox() as sandbox:
        return _Demo(request, reporter, sandbox, stop_signals).run()
