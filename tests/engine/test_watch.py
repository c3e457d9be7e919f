"""A watch on real servers: what a round costs them, servers that are gone or hang, and lags without a stream."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.position import Position
from replica_cli.core.reports.failure import Unknown
from replica_cli.core.reports.watch import NO_ANSWER
from replica_cli.core.requests.watch import WatchRequest
from replica_cli.core.status import Phase
from replica_cli.service.watching import watched_servers
from replica_cli.service.watching.watch import Watch
from replica_cli.stop import StopToken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replica_cli.core.reports.position import PositionReport
    from tests.engine.watched import Watched
    from tests.support.packets import SentPackets
    from tests.support.proxy import Proxy

LIMIT = 60


class Rounds:
    """The rounds of a watch of one secondary or two."""

    def __init__(self, watched: Watched, *ports: int) -> None:
        secondaries = watched.settings.secondaries
        more = tuple(replace(secondaries[0], name=f"far{i}", port=port) for i, port in enumerate(ports))
        self._stop = StopToken()
        request = WatchRequest((*secondaries, *more), interval_seconds=0.5)
        self._watch = Watch(watched.settings, request, self._stop)
        self._rounds = self._watch.rounds()

    def next(self) -> tuple[PositionReport, ...]:
        return next(self._rounds).reports

    def until(self, holds: Callable[[tuple[PositionReport, ...]], bool]) -> tuple[PositionReport, ...]:
        """Return the first round that is as it has to be."""
        for _ in range(LIMIT):
            reports = self.next()
            if holds(reports):
                return reports
        pytest.fail(f"no round in {LIMIT} is as expected, the last one is {reports}")

    def close(self) -> None:
        self._stop.request()
        self._rounds.close()
        self._watch.__exit__()


@pytest.fixture
def rounds(watched: Watched) -> Iterator[Callable[..., Rounds]]:
    made: list[Rounds] = []

    def start(*ports: int) -> Rounds:
        made.append(Rounds(watched, *ports))
        return made[-1]

    yield start
    for each in made:
        each.close()


def code_of(report: PositionReport) -> str:
    return report.failure.code if report.failure else ""


def test_a_round_costs_few_statements_on_sessions_that_stay_open(
    watched: Watched, rounds: Callable[..., Rounds], sent: SentPackets
) -> None:
    watched.beat(Phase.CAUGHT_UP, lag_seconds=0.0)
    watch = rounds()
    watch.next()
    sent.forget()
    for _ in range(4):
        watch.next()
    assert sent.of(watched.secondary) == 4 * 4
    assert sent.of(watched.primary) == 4 * (4 if watched.primary.binary.flavour == "mariadb" else 3)


def test_rates_come_from_the_heartbeat_or_from_the_position_row(
    watched: Watched, rounds: Callable[..., Rounds]
) -> None:
    watched.beat(Phase.STREAMING, rows_per_second=70.0, transactions_per_second=7.0)
    watch = rounds()
    (report,) = watch.next()
    assert (report.rows_per_second, report.transactions_per_second) == (70.0, 7.0)
    assert report.process is not None
    assert report.process.is_running
    watched.age("beat_at", 60)
    (report,) = watch.until(lambda reports: reports[0].rows_per_second != 70.0)
    assert report.phase is None
    assert report.process is not None
    assert (report.process.phase, report.process.is_running) == (Phase.STREAMING, False)
    assert report.process.heartbeat_seconds >= 60
    watched.on_state("UPDATE binlog_position SET row_count = row_count + 1000")
    (report,) = watch.until(lambda reports: bool(reports[0].rows_per_second))
    assert report.transactions_per_second == 0.0


def test_a_stopped_stream_has_the_age_of_its_oldest_change_as_lag(
    watched: Watched, rounds: Callable[..., Rounds]
) -> None:
    watched.save(watched.end())
    watched.beat(Phase.STOPPED)
    watch = rounds()
    (report,) = watch.next()
    assert (report.distance_bytes, report.distance_seconds) == (0, 0.0)
    # As if the last transaction had been applied an hour ago.
    watched.on_state("UPDATE binlog_position SET source_time = UNIX_TIMESTAMP() - 3600")
    watched.write()
    (report,) = watch.until(lambda reports: bool(reports[0].distance_bytes))
    assert report.distance_seconds is not None
    assert report.distance_seconds < 600


def test_a_secondary_that_hangs_delays_no_other_and_comes_back(
    watched: Watched, rounds: Callable[..., Rounds], proxy: Callable[[int], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_servers, "SILENT_SECONDS", 1.0)
    link = proxy(watched.secondary.port)
    watch = rounds(link.port)
    assert [code_of(r) for r in watch.next()] == ["", ""]
    link.freeze()
    near, far = watch.until(lambda reports: code_of(reports[1]) == NO_ANSWER)
    assert isinstance(near.saved, Position)
    assert far.failure is not None
    assert far.failure.message.startswith("no answer for ")
    link.thaw()
    watch.until(lambda reports: code_of(reports[1]) == "")


def test_a_secondary_that_is_gone_is_unreachable_until_it_is_back(
    watched: Watched, rounds: Callable[..., Rounds], proxy: Callable[[int], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_servers, "_RETRY_SECONDS", 0.0)
    link = proxy(watched.secondary.port)
    watch = rounds(link.port)
    watch.next()
    link.refuse()
    link.cut()
    near, far = watch.until(lambda reports: code_of(reports[1]) != "")
    assert isinstance(near.saved, Position)
    assert isinstance(far.saved, Unknown)
    assert not far.saved.is_reachable
    link.restore()
    watch.until(lambda reports: code_of(reports[1]) == "")


def test_the_end_does_not_wait_for_a_server_that_hangs(
    watched: Watched, rounds: Callable[..., Rounds], proxy: Callable[[int], Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_servers, "SILENT_SECONDS", 0.5)
    link = proxy(watched.secondary.port)
    watch = rounds(link.port)
    watch.next()
    link.freeze()
    watch.until(lambda reports: code_of(reports[1]) == NO_ANSWER)
    ended = threading.Thread(target=watch.close)
    ended.start()
    ended.join(5)
    assert not ended.is_alive()
    assert not [t for t in threading.enumerate() if t.name.startswith("watch ")]
