"""What a stream reports to systemd, and when it leaves systemd's watchdog without a sign of life."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until
from tests.support.notify import NotifySocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Replica, Running

WATCHDOG_SECONDS = 1.0


@pytest.fixture
def notes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(None if getattr(request, "param", "") == "an abstract address" else tmp_path) as made:
        yield made


@pytest.fixture
def service(replica: Replica, notes: NotifySocket) -> Replica:
    replica.on_primary("CREATE TABLE t (id INT PRIMARY KEY)")
    replica.run("transfer")
    replica.settings |= {"NOTIFY_SOCKET": notes.address, "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
    return replica


def started(service: Replica, notes: NotifySocket) -> Running:
    stream = service.start("stream")
    wait_until(lambda: notes.count("READY=1"), "READY=1")
    return stream


@pytest.mark.parametrize("notes", ["a file", "an abstract address"], indirect=True)
def test_systemd_hears_of_start_status_reload_and_stop(service: Replica, notes: NotifySocket) -> None:
    stream = started(service, notes)
    wait_until(lambda: notes.count("STATUS=db1 caught up"), "the status")
    assert notes.lines.index("READY=1") < notes.lines.index("STATUS=db1 caught up")
    stream.process.send_signal(signal.SIGHUP)
    wait_until(lambda: notes.count("READY=1") == 2, "the end of the reload")
    (reload,) = [note for note in notes.notes if "RELOADING=1" in note.lines]
    name, microseconds = reload.lines[1].split("=")
    assert name == "MONOTONIC_USEC"
    assert 0 <= reload.at - int(microseconds) / 1e6 < 5
    assert notes.times("READY=1")[1] >= reload.at
    wait_until(lambda: notes.count("WATCHDOG=1") >= 5, "the watchdog's notes")
    assert stream.end(signal.SIGTERM).code == 0
    wait_until(lambda: notes.count("STOPPING=1"), "STOPPING=1")
    assert notes.count("STOPPING=1") == 1
    pauses = [later - sooner for sooner, later in itertools.pairwise(notes.times("WATCHDOG=1"))]
    # A machine that is busy with other things may make it later; the first ones show the beat.
    assert sorted(pauses)[len(pauses) // 2] == pytest.approx(WATCHDOG_SECONDS / 2, abs=0.2)


def test_a_stream_that_ends_by_itself_says_so(service: Replica, notes: NotifySocket) -> None:
    service.catch_up()
    wait_until(lambda: notes.count("STOPPING=1"), "STOPPING=1")
    assert notes.count("READY=1") == 1


def test_a_frozen_worker_leaves_the_watchdog_without_a_sign_of_life(service: Replica, notes: NotifySocket) -> None:
    stream = started(service, notes)
    service.wait_until_applied(stream)
    (worker,) = stream.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    try:
        stream.wait_for_log(r"\[ERROR\] \[db1\] the worker process does not answer: systemd's watchdog gets no sign")
        silent_from = time.monotonic()
        wait_until(lambda: time.monotonic() - silent_from > 3 * WATCHDOG_SECONDS, "three times the watchdog's time")
        assert [at for at in notes.times("WATCHDOG=1") if at > silent_from] == []
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_until(lambda: notes.times("WATCHDOG=1")[-1] > silent_from, "the watchdog's next note")
    stream.wait_for_log("the worker process answers again")
    service.wait_until_applied(stream)
    assert stream.end(signal.SIGTERM).code == 0
    service.assert_equal()


def test_a_worker_that_waits_for_a_long_statement_is_not_frozen(service: Replica, notes: NotifySocket) -> None:
    stream = started(service, notes)
    service.wait_until_applied(stream)
    service.on_primary("INSERT INTO t VALUES (1)")
    service.wait_until_applied(stream)
    with service.secondaries["db1"].session(database=service.schema) as holder:
        holder.begin()
        holder.rows("SELECT * FROM t FOR UPDATE")
        service.on_primary("DELETE FROM t")
        waiting_from = time.monotonic()
        times = 3 * WATCHDOG_SECONDS
        wait_until(lambda: time.monotonic() - waiting_from > times, "three times the watchdog's time")
        holder.rollback()
    beats = [at for at in notes.times("WATCHDOG=1") if waiting_from < at < waiting_from + times]
    assert len(beats) >= 3
    service.wait_until_applied(stream)
    assert "does not answer" not in stream.stderr


def test_workers_do_not_inherit_the_socket(service: Replica, notes: NotifySocket) -> None:
    stream = started(service, notes)
    service.wait_until_applied(stream)
    (forked,) = stream.worker_pids()
    os.kill(forked, signal.SIGKILL)  # the first one was forked, and later ones are programs of their own
    stream.wait_for_log("streaming from", times=2)
    (spawned,) = stream.worker_pids()
    environment = Path(f"/proc/{spawned}/environ").read_bytes()
    assert b"MARIA_PRIMARY_HOST" in environment
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG" not in environment
