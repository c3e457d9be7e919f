"""Run `replica position show --watch`: read all servers again and again, and report what is known each time."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from replica_cli.core.reports.watch import WatchRound
from replica_cli.service.watching.counter_rates import CounterRates, Reading
from replica_cli.service.watching.watched_servers import WatchedPrimary, WatchedSecondary, each_idle
from replica_cli.supervisor.signals import stopping_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from replica_cli.core.reports.position import PositionReport
    from replica_cli.core.requests.watch import WatchRequest
    from replica_cli.core.settings import Settings
    from replica_cli.service.watching.watched_servers import WatchedServer
    from replica_cli.stop import StopToken

# How long a round waits for servers that are slow: what they answer later is in the next round.
_PATIENCE_SECONDS = 2.0
# How long the end waits for threads that wait for a server.
_END_SECONDS = 1.0


def watch_positions(
    settings: Settings, request: WatchRequest, show: Callable[[WatchRound], bool]
) -> tuple[PositionReport, ...] | None:
    """Read the state of the secondaries again and again, until a signal or `show` ends it, or the rounds are made.

    Args:
        settings: the settings of the process.
        request: the secondaries, and how often to read them.
        show: shows a round. It returns False if it cannot be seen any more.

    Returns:
        The reports of the last round, if that was the last of `request.count` rounds; else None.

    """
    with (
        stopping_on_signals() as stop_signals,
        Watch(settings, request, stop_signals.token) as watch,
        contextlib.closing(watch.rounds()) as rounds,
    ):
        for number, each in enumerate(rounds, start=1):
            if not show(each):
                return None
            if number == request.count:
                return each.reports
    return None


class Watch:
    """Reads each server in its own thread, on a session that stays open.

    One that does not answer delays no other: its last answer counts for a few seconds, and after that its reports say
    that it does not answer.
    """

    def __init__(self, settings: Settings, request: WatchRequest, stop: StopToken) -> None:
        self._request = request
        self._stop = stop
        self._changed = threading.Condition()
        interval = request.interval_seconds
        self._primary = WatchedPrimary(settings, self._changed, interval)
        self._secondaries = [WatchedSecondary(settings, s, self._changed, interval) for s in request.secondaries]
        self._rates = CounterRates()
        self._patience = min(_PATIENCE_SECONDS, interval / 2)
        # Connecting is what may take longest, with a time limit of its own.
        self._first_patience = settings.network.connect_timeout + _PATIENCE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        servers = [self._primary, *self._secondaries]
        for server in servers:
            server.end()
        until = time.monotonic() + _END_SECONDS
        for server in servers:
            server.close(until)

    def rounds(self) -> Generator[WatchRound]:
        """Yield the state of all secondaries, at each interval until a stop."""
        next_at = time.monotonic()
        patience = self._first_patience if self._request.is_first_complete else self._patience
        with self._stop.waking(self._wake):
            while self._read(patience):
                patience = self._patience
                yield WatchRound(datetime.now(UTC), tuple(map(self._report, self._secondaries)))
                next_at = max(next_at + self._request.interval_seconds, time.monotonic())
                if self._stop.wait(next_at - time.monotonic()):
                    return

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _read(self, patience_seconds: float) -> bool:
        """Ask all servers, and wait for their answers for a time; return False if a stop came.

        Raises the error that a thread did not expect.
        """
        servers: list[WatchedServer] = [self._primary, *self._secondaries]
        for server in servers:
            server.ask()
        self._wait(each_idle(servers), patience_seconds)
        if self._primary.check_positions(self._secondaries):
            self._wait(each_idle([self._primary]), patience_seconds)
        for server in servers:
            if server.bug is not None:
                raise server.bug
        return not self._stop.is_set

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._stop.is_set, seconds)

    def _report(self, secondary: WatchedSecondary) -> PositionReport:
        report = secondary.report(self._primary)
        state = secondary.state
        if state is None or state.saved is None:
            self._rates.forget(secondary.name)
            return report
        saved = state.saved
        self._rates.note(secondary.name, Reading(secondary.read_at, saved.row_count, saved.transaction_count))
        is_reported = report.rows_per_second is not None or report.copy is not None
        if is_reported or report.failure is not None:
            return report
        rows, transactions = self._rates.rates(secondary.name)
        return replace(report, rows_per_second=rows, transactions_per_second=transactions)
