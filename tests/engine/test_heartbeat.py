"""The heartbeat sends one query each time, and writes only if something changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import WriterLock
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.status_reader import LifeSign, Notices, StatusReader
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.limiting import Part
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Network, Settings
from replica_cli.core.status import Phase, TableState, WorkerStatus
from replica_cli.core.table import TableName
from replica_cli.measures import StreamMeasures
from replica_cli.mysql.session import connect, open_connection_ids, watching_connections
from replica_cli.runtime import heartbeat
from replica_cli.runtime.heartbeat import Heartbeat
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from tests.support.command import wait_until
from tests.support.table_records import put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def session(secondary: SandboxServer, state_schema: str) -> Iterator[Session]:
    with secondary.session() as session:
        create_state_schema(session, state_schema)
        yield session


def test_one_query_reads_all_that_concerns_a_process(
    session: Session, secondary: SandboxServer, state_schema: str
) -> None:
    status_reader = StatusReader(session, state_schema, "db1")
    assert status_reader.read_notices() == Notices(
        None, has_standby=False, has_requests=False, is_pause_wanted=False, holder=""
    )
    store = BeatStore(session, state_schema, "db1")
    store.beat(WorkerStatus("db1"), holder="far:12")
    store.set_pause(True)
    tables = TableLifecycle(session, state_schema, "db1")
    put(tables, TableRecord(TableName("shop", "orders"), TableState.PENDING))
    with secondary.session() as writer, secondary.session() as waiting:
        assert WriterLock(writer, state_schema, "db1").try_acquire()
        standby = StatusReader(waiting, state_schema, "db1")
        for _ in range(2):
            sign = standby.announce_standby()
        assert status_reader.read_notices() == Notices(
            writer.connection_id, has_standby=True, has_requests=True, is_pause_wanted=True, holder="far:12"
        )
        assert (sign.writer_id, sign.holder, sign.phase) == (writer.connection_id, "far:12", "starting")
        store.beat(WorkerStatus("db1"), holder="far:12")
        assert standby.announce_standby() != sign
    put(tables, TableRecord(TableName("shop", "orders"), TableState.COPYING))
    nobody = Notices(None, has_standby=False, has_requests=False, is_pause_wanted=True, holder="far:12")
    # The server releases the locks of a closed connection a moment later, and each by itself.
    wait_until(lambda: status_reader.read_notices() == nobody, "the locks of two connections that were closed")
    assert StatusReader(session, state_schema, "db2").announce_standby() == LifeSign(None, "", "", "")


def test_a_beat_that_only_says_that_all_is_as_before_keeps_what_was_said(session: Session, state_schema: str) -> None:
    store = BeatStore(session, state_schema, "db1")
    assert not store.touch()
    store.beat(WorkerStatus("db1", Phase.CAUGHT_UP, message="as before"))
    before = store.load()
    assert store.touch()
    after = store.load()
    assert before is not None
    assert after is not None
    assert after.beat_at > before.beat_at
    assert (after.moved_at, after.snapshot) == (before.moved_at, before.snapshot)
    store.beat(WorkerStatus("db1"), holder="far:12")
    assert not store.touch()


def test_connections_that_open_and_close_are_noticed_once_each(secondary: SandboxServer) -> None:
    seen: list[int] = []
    server = secondary.address()
    with watching_connections(lambda: seen.append(len(open_connection_ids(server)))):
        with connect(server, Network()) as session:
            session.close()
        assert seen == [1, 0]
    connect(server, Network()).close()
    assert seen == [1, 0]


def test_the_row_has_what_limits_the_stream_and_none_of_its_metrics(session: Session, state_schema: str) -> None:
    store = BeatStore(session, state_schema, "db1")
    metrics = StreamMeasures().snapshot(lag_seconds=None, lag_grows=False, lag_known_at=0.0, heard_at=None)
    store.beat(WorkerStatus("db1", Phase.STREAMING, metrics=metrics, limiting_part=Part.COMMIT))
    beat = store.load()
    assert beat is not None
    assert beat.limiting_part is Part.COMMIT
    assert "metrics" not in beat.snapshot
    unknown = '{"limiting_part": "moon"}'
    session.execute(f"UPDATE `{state_schema}`.stream_status SET snapshot = %s", unknown)
    beat = store.load()
    assert beat is not None
    assert beat.limiting_part is None


class Beaten:
    """A heartbeat of a worker that holds the lock, with short waits; counts its writes and its queries."""

    def __init__(self, server: SandboxServer, state_schema: str, session: Session) -> None:
        self.address = server.address(name="db1")
        self.settings = Settings(
            self.address, (self.address,), Selection((("shop", "shop"),)), state_schema=state_schema
        )
        self.publisher = StatusPublisher("db1", lambda _: None)
        self.stop = StopToken()
        self.doubts = 0
        self.store = BeatStore(session, state_schema, "db1")
        self.heartbeat = Heartbeat(
            self.settings, self.address, self.publisher, self.stop, request_state_check=self._count
        )

    def _count(self) -> None:
        self.doubts += 1

    def beat_at(self) -> str:
        beat = self.store.load()
        return "" if beat is None else beat.beat_at


@pytest.fixture
def beaten(
    secondary: SandboxServer, state_schema: str, session: Session, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Beaten]:
    monkeypatch.setattr(heartbeat, "IDLE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "_BEAT_SECONDS", 0.05)
    beaten = Beaten(secondary, state_schema, session)
    with connect(beaten.address, Network()) as writer:
        assert WriterLock(writer, state_schema, "db1").try_acquire()
        beaten.publisher.set(phase=Phase.STREAMING)
        beaten.publisher.set_lag(0.0, grows=False, heard_at=time.monotonic())
        with beaten.heartbeat:
            beaten.publisher.has_held_lock = True
            wait_until(beaten.beat_at, "the first beat")
            yield beaten


def _looks(session: Session) -> int:
    return int(session.rows("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])


def _wait_for_looks(session: Session, count: int) -> None:
    goal = _looks(session) + count
    wait_until(lambda: _looks(session) >= goal, f"{count} looks")


def test_nothing_is_written_while_nothing_changes_and_at_once_when_something_does(
    beaten: Beaten, session: Session
) -> None:
    _wait_for_looks(session, 10)  # its own connection is reported first
    before = beaten.beat_at()
    _wait_for_looks(session, 30)
    assert beaten.beat_at() == before
    beaten.publisher.set(message="waits")
    wait_until(lambda: beaten.beat_at() != before, "a heartbeat with the change")
    beat = beaten.store.load()
    assert beat is not None
    assert beat.message == "waits"


def test_a_standby_has_a_sign_of_life_with_each_look(
    beaten: Beaten, secondary: SandboxServer, state_schema: str
) -> None:
    with secondary.session() as waiting:
        status_reader = StatusReader(waiting, state_schema, "db1")
        signs: set[LifeSign] = set()

        def has_lived() -> bool:
            signs.add(status_reader.announce_standby())
            return len(signs) > 5

        wait_until(has_lived, "five beats of which nothing changed")
    assert beaten.publisher.status.phase is Phase.CAUGHT_UP


def test_a_pause_and_copies_are_passed_on(beaten: Beaten, session: Session, state_schema: str) -> None:
    _wait_for_looks(session, 10)
    assert beaten.doubts == 0
    put(TableLifecycle(session, state_schema, "db1"), TableRecord(TableName("shop", "orders"), TableState.PENDING))
    wait_until(lambda: beaten.doubts, "the request to be passed on")
    beaten.store.set_pause(True)
    wait_until(lambda: beaten.stop.is_paused, "the pause to be passed on")
    beaten.store.set_pause(False)
    wait_until(lambda: not beaten.stop.is_paused, "its end to be passed on")


def test_the_worker_learns_that_its_lock_or_its_state_is_gone(
    beaten: Beaten, session: Session, state_schema: str
) -> None:
    writer = StatusReader(session, state_schema, "db1").read_notices().writer_id
    session.execute(f"KILL {writer}")
    wait_until(lambda: beaten.doubts, "a free lock to be reported")
    beaten.doubts = 0
    session.execute(f"DROP TABLE `{state_schema}`.table_state")
    wait_until(lambda: beaten.doubts, "a missing table to be reported")
