"""A server answers a query with an unknown error: the stream goes on, and every row is applied once."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.connections
import pytest

from replica_cli.core.attempts import UNKNOWN_ATTEMPTS
from replica_cli.core.settings import Apply, EngineChoice
from replica_cli.mysql.errnos import ServerError
from replica_cli.runtime import heartbeat
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.worker import streaming
from tests.engine.applier.harness import INSTANCE, wait_until

if TYPE_CHECKING:
    from tests.engine.applier.harness import Harness

GONE = (6, "Error on delete of '/tmp/#sql-temptable-1' (Errcode: 2 \"No such file or directory\")")


@dataclass
class Failing:
    """Lets queries with these words fail, a number of times; the first ones lose the connection instead."""

    words: tuple[str, ...]
    times: int
    error: tuple[int, str] = GONE
    lost: int = 0


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Give what fails; nothing does before its words are set."""
    found = Failing((), 0)
    real = pymysql.connections.Connection.query

    def query(connection: Any, sql: str | bytes, *args: Any, **named: Any) -> int:
        text = sql if isinstance(sql, str) else sql.decode("latin1")
        if found.times and all(word in text for word in found.words):
            found.times -= 1
            if found.lost:
                found.lost -= 1
                raise pymysql.err.OperationalError(2013, "Lost connection")
            raise pymysql.err.OperationalError(*found.error)
        return real(connection, sql, *args, **named)

    monkeypatch.setattr(pymysql.connections.Connection, "query", query)
    return found


@pytest.fixture
def table(harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Harness:
    monkeypatch.setattr(streaming, "WATCH_SECONDS", 0.0)
    monkeypatch.setattr(streaming, "_REST_SECONDS", 0.0)
    caplog.set_level(logging.WARNING, logger="replica_cli")
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    harness.begin_here()
    return harness


SIDE = {
    "looking for tables that somebody altered": ("SHA2(",),
    "looking for tables to copy": ("SELECT schema_name, table_name, state", "table_state"),
    "deleting the records of ended replay windows": ("DELETE FROM", "table_state"),
    "comparing tables that statements altered": ("DELETE FROM", "uncompared_table"),
}


@pytest.mark.parametrize("error", [GONE, (1030, "Got error 168 from engine"), (1213, "Deadlock found"), (99999, "new")])
@pytest.mark.parametrize("what", SIDE)
def test_a_question_beside_the_rows_is_asked_again(
    table: Harness, failing: Failing, caplog: pytest.LogCaptureFixture, what: str, error: tuple[int, str]
) -> None:
    start = table.here()
    if what == "comparing tables that statements altered":
        table.on_primary("ALTER TABLE t ADD COLUMN w INT")
    for number in range(3):
        table.on_primary(f"INSERT INTO t (id, v) VALUES ({number}, 1)", "UPDATE t SET v = v + 1")
    if what == "deleting the records of ended replay windows":
        table.save_window("t", start, table.here())
    rounds = iter(range(500))

    def is_done() -> bool:
        next(rounds)
        return not failing.times and table.saved().position == table.here()

    with table.open() as sessions:
        stream = table.streaming(sessions)
        failing.words, failing.times, failing.error = SIDE[what], 2, error
        assert not stream.run(until_caught_up=False, is_interrupted=is_done, must_check_state=lambda: True)
    # One line, however often the question failed.
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [f"{what} failed, trying again later"]
    # It was asked again: nothing is left to do.
    table.stream()
    assert table.tables.load() == {}
    table.assert_equal()


def test_a_window_that_cannot_be_forgotten_does_not_repeat_its_committed_batch(
    table: Harness, failing: Failing
) -> None:
    start = table.here()
    table.on_primary("INSERT INTO t (id, v) VALUES (1, 1)")
    end = table.here()
    table.on_primary("INSERT INTO t (id, v) VALUES (2, 1)")
    table.save_window("t", start, end)
    with table.open() as sessions:
        stream = table.streaming(sessions, batching=replace(table.settings.batching, transactions=1))
        failing.words, failing.times, failing.error = (
            SIDE["deleting the records of ended replay windows"],
            100,
            (1213, "Deadlock found"),
        )
        with pytest.raises(ServerError) as raised:
            stream.run(until_caught_up=False, is_interrupted=lambda: False)
    # It begins again from the position row, and a deadlock of a question asks for no batch once more.
    assert raised.value.is_connection_lost
    failing.times = 0
    table.stream()
    table.assert_equal()


def test_a_beat_that_fails_with_an_answer_is_no_dead_link(
    table: Harness, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "_BEAT_SECONDS", 0.05)
    settings = replace(table.settings, network=replace(table.settings.network, read_timeout=1.0))
    publisher = StatusPublisher(INSTANCE, lambda _: None)
    publisher.has_held_lock = True
    failing.words, failing.times = ("stream_status",), 1_000_000
    cuts: list[bool] = []
    begun_at = time.monotonic()
    with heartbeat.Heartbeat(settings, table.target, publisher, StopToken(), cut=lambda: cuts.append(True)):
        # Longer than a link may be silent.
        wait_until(lambda: time.monotonic() - begun_at > 3.0)
    assert failing.times < 1_000_000
    assert cuts == []


NEEDED = {
    "definitions of the secondary": ("FROM information_schema.columns", "column_default"),
    "foreign keys": ("SELECT DISTINCT referenced_table_schema",),
    "states of tables": ("SELECT schema_name, table_name, state", "table_state"),
    "the writer's lock": ("GET_LOCK",),
}


@pytest.mark.parametrize("choice", [EngineChoice.AUTO, EngineChoice.SQL])
@pytest.mark.parametrize("what", NEEDED)
def test_the_stream_begins_again_where_rows_need_the_answer(
    table: Harness, failing: Failing, what: str, choice: EngineChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopToken, "wait", lambda *_: False)
    table.on_primary("BEGIN", *(f"INSERT INTO t VALUES ({number}, 1)" for number in range(40)), "COMMIT")
    table.on_primary(*(f"UPDATE t SET v = v + 1 WHERE id = {number}" for number in range(40)))
    failing.words, failing.times = NEEDED[what], 2
    assert table.work(apply=Apply(engine=choice)).failure is None
    assert failing.times == 0
    table.assert_equal()
    assert table.tables.load() == {}


def test_an_error_that_stays_ends_the_stream_after_some_attempts(
    table: Harness, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopToken, "wait", lambda *_: False)
    table.on_primary("INSERT INTO t VALUES (1, 1)")
    failing.words, failing.times = NEEDED["definitions of the secondary"], 1_000
    failure = table.work(retry=replace(table.settings.retry, reconnect_attempts=0)).failure
    assert failure is not None
    assert "error 6" in failure.message
    assert 1_000 - failing.times == UNKNOWN_ATTEMPTS
    # Nothing was applied, and another start goes on.
    failing.times = 0
    table.follow()
    table.assert_equal()


def test_a_server_that_was_away_for_long_may_have_one_too(
    table: Harness, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopToken, "wait", lambda *_: False)
    table.on_primary("INSERT INTO t VALUES (1, 1)")
    failing.words, failing.times = NEEDED["definitions of the secondary"], 2 * UNKNOWN_ATTEMPTS
    failing.lost = 2 * UNKNOWN_ATTEMPTS - 1
    assert table.work(retry=replace(table.settings.retry, reconnect_attempts=0)).failure is None
    assert failing.times == 0
    table.assert_equal()


def test_an_error_that_says_what_is_wrong_ends_it_at_once(table: Harness, failing: Failing) -> None:
    table.on_primary("INSERT INTO t VALUES (1, 1)")
    failing.words, failing.times = NEEDED["definitions of the secondary"], 1_000
    failing.error = (1142, "SELECT command denied to user")
    failure = table.work().failure
    assert failure is not None
    assert "1142" in failure.message
    assert failing.times == 999
