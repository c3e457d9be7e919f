"""The writer's lock: its holder, the age of its heartbeat, and the checks of a process that may have lost it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from replica_cli.checkpoint.beats import BeatStore
from replica_cli.checkpoint.lock import FormerWriter, LockGuard, WriterLock
from replica_cli.checkpoint.schema import create_state_schema
from replica_cli.checkpoint.verify_lock import take_repair_lock
from replica_cli.core.errors import Interrupted, LockHeld, LockLost, NamedTwice, SecondaryError
from replica_cli.core.status import WorkerStatus
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.side_by_side import in_threads
from replica_cli.stop import StopToken
from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer


@pytest.fixture
def sessions(secondary: SandboxServer, state_schema: str) -> Iterator[tuple[Session, Session]]:
    with secondary.session() as holder, secondary.session() as other:
        create_state_schema(holder, state_schema)
        assert WriterLock(holder, state_schema, "db1").try_acquire()
        BeatStore(holder, state_schema, "db1").beat(WorkerStatus("db1"), holder="far:12")
        yield holder, other


def test_who_writes_is_named(sessions: tuple[Session, Session], state_schema: str) -> None:
    _, other = sessions
    with pytest.raises(LockHeld, match=r"^db1: the process \(host far, pid 12\) writes to this instance$") as held:
        WriterLock(other, state_schema, "db1").acquire(0)
    assert "stop it first" in (held.value.hint or "")


def test_a_repair_that_holds_the_lock_is_waited_for_and_not_taken_for_the_process_before(
    sessions: tuple[Session, Session], state_schema: str
) -> None:
    repair, stream = sessions
    take_repair_lock(repair, state_schema, "db1")
    with pytest.raises(LockHeld, match=rf"^db1: a command repairs its rows \(connection {repair.connection_id} of"):
        WriterLock(stream, state_schema, "db1").acquire(0)

    def end_step() -> None:
        StopToken().wait(2.5)
        WriterLock(repair, state_schema, "db1").release()

    with in_threads([end_step]) as (step,):
        WriterLock(stream, state_schema, "db1").acquire(0.5)
        step.result()
    assert WriterLock(stream, state_schema, "db1").is_ours()


def test_a_holder_that_is_silent_is_named_with_its_age_and_what_takes_over(
    sessions: tuple[Session, Session], state_schema: str
) -> None:
    holder, other = sessions
    holder.execute(f"UPDATE `{state_schema}`.stream_status SET beat_at = beat_at - INTERVAL 3 MINUTE")
    with pytest.raises(
        LockHeld, match=r"^db1: .*\(host far, pid 12\) holds .* silent for 3m0\ds: it is dead, frozen"
    ) as held:
        WriterLock(other, state_schema, "db1").acquire(0)
    assert held.value.hint == "`replica stream --standby` takes over from it"


def test_a_change_of_the_work_locks_the_new_and_frees_the_former(
    sessions: tuple[Session, Session], state_schema: str
) -> None:
    holder, other = sessions
    first = WriterLock(holder, state_schema, "db1", work="all")
    assert first.try_acquire()
    first.change_work("some")
    second = WriterLock(other, state_schema, "db2", work="some")
    with pytest.raises(NamedTwice):
        second.try_acquire()
    assert WriterLock(other, state_schema, "db2", work="all").try_acquire()
    with pytest.raises(NamedTwice):
        first.change_work("all")
    # Nothing changed: the work before is still the own one.
    with pytest.raises(NamedTwice):
        second.try_acquire()
    first.change_work("some")


def test_a_guard_lets_pass_only_while_the_lock_is_the_writers(
    sessions: tuple[Session, Session], state_schema: str
) -> None:
    holder, other = sessions
    guard = LockGuard(state_schema, "db1", holder.connection_id)
    guard.check(other)
    WriterLock(holder, state_schema, "db1").release()
    with pytest.raises(LockLost, match="lost"):
        guard.check(other)
    assert WriterLock(other, state_schema, "db1").try_acquire()
    with pytest.raises(LockLost, match="lost"):
        guard.check(other)


def _rolls_back_or_is_gone(lock: WriterLock, connection_id: int) -> bool:
    return lock._is_rolling_back(connection_id) or lock.holder_id() is None


@pytest.mark.parametrize("knows", ["its own", "another's"])
def test_a_connection_that_is_gone_is_waited_for_while_it_rolls_back(
    primary: SandboxServer, state_schema: str, caplog: pytest.LogCaptureFixture, knows: str
) -> None:
    with primary.session() as other:
        create_state_schema(other, state_schema)
        other.execute(
            f"CREATE TABLE `{state_schema}`.work (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(100), KEY (v))"
        )
        who = "this worker's former connection" if knows == "its own" else "the connection that holds it"
        for doublings in (17, 19, 20):  # until it takes long enough to be seen, on a fast machine or on a busy one
            with primary.session(database=state_schema) as writer:
                former = writer.connection_id
                lock = WriterLock(writer, state_schema, "db1")
                assert lock.try_acquire()
                writer.begin()
                writer.execute("INSERT INTO work (v) VALUES (RAND())")
                for _ in range(doublings):
                    writer.execute("INSERT INTO work (v) SELECT RAND() FROM work AS w")
            own = WriterLock(other, state_schema, "db1")
            wait_until(partial(_rolls_back_or_is_gone, own, former), "the rollback")
            own.acquire(0, former=FormerWriter(former, time.monotonic()) if knows == "its own" else None)
            assert own.is_ours()
            assert other.rows(f"SELECT COUNT(*) FROM `{state_schema}`.work") == [(0,)]
            if caplog.text:
                break
            own.release()
        assert f"still rolls back a transaction of {who} (connection {former})" in caplog.text


def test_a_connection_that_has_a_former_ones_id_after_a_restart_is_left_alone(
    sessions: tuple[Session, Session], state_schema: str
) -> None:
    holder, other = sessions
    # Known for longer than this server has been up.
    former = FormerWriter(holder.connection_id, time.monotonic() - 1e6)
    with pytest.raises(LockHeld, match="host far, pid 12"):
        WriterLock(other, state_schema, "db1").acquire(0, former=former)
    assert WriterLock(holder, state_schema, "db1").is_ours()


def test_a_former_connection_that_cannot_be_ended_is_not_waited_for(
    sessions: tuple[Session, Session], state_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = sessions
    refused = ServerError(1095, "You are not owner of thread", "db1", remedy=Remedy.FATAL)
    monkeypatch.setattr(other, "execute", Mock(side_effect=refused))
    with pytest.raises(LockHeld):
        WriterLock(other, state_schema, "db1").acquire(0, former=FormerWriter.of(holder))


def test_a_free_lock_that_the_server_does_not_give_is_an_error_and_a_stop_ends_the_wait(
    sessions: tuple[Session, Session], state_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WriterLock(sessions[1], state_schema, "db2")
    monkeypatch.setattr(lock, "try_acquire", lambda _: False)
    with pytest.raises(SecondaryError, match="does not give the writer's lock"):
        lock.acquire(0)
    stop = StopToken()
    stop.request()
    with pytest.raises(Interrupted):
        lock.acquire(0, stop=stop)
