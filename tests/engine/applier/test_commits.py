"""COMMIT and its answer: the next transaction's rows are in flight by then, and are kept only if the COMMIT is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.applier.engines.keyless_engine import LEAST_ROWS
from replica_cli.applier.writer import Writer
from replica_cli.core.errors import RowMissing
from replica_cli.core.settings import Apply, Batching, EngineChoice, Secret
from replica_cli.core.status import Phase
from replica_cli.measures import PartClock
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.runtime.engine_factory import can_replay
from replica_cli.runtime.secondary_sessions import SecondarySessions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.position import Position
    from tests.engine.applier.harness import Harness

ROWS = 20


@pytest.fixture(params=["auto", "sql"])
def each_alone(harness: Harness, request: pytest.FixtureRequest) -> Harness:
    """Give a harness on which each of twenty transactions has a commit of its own."""
    apply = Apply(engine=EngineChoice(request.param))
    harness.settings = replace(harness.settings, apply=apply, batching=Batching(transactions=1))
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1000, 0)")
    harness.begin_here()
    harness.on_primary(*(f"INSERT INTO t VALUES ({n}, {n})" for n in range(ROWS)))
    return harness


class Watched:
    """What a writer sends, and something to be done before or behind its n-th COMMIT."""

    def __init__(self, sessions: SecondarySessions, number: int, act: Callable[[], None], *, is_before: bool) -> None:
        self._send = sessions.writer.send
        self._number, self._act, self._is_before = number, act, is_before
        self.commits = 0
        self.behind = 0
        sessions.writer.send = self.send  # type: ignore[method-assign]

    def send(self, statements: Sequence[bytes]) -> None:
        is_it = False
        if list(statements) == [b"COMMIT"]:
            self.commits += 1
            is_it = self.commits == self._number
        elif self.commits == self._number:
            self.behind += 1
        if is_it and self._is_before:
            self._act()
        self._send(statements)
        if is_it and not self._is_before:
            self._act()


def _interrupted(
    harness: Harness, act: Callable[[SecondarySessions], None], *, is_before: bool
) -> tuple[Watched, Remedy]:
    with harness.open() as sessions:
        sessions.writer.execute("SET SESSION lock_wait_timeout = 1")
        watched = Watched(sessions, 5, lambda: act(sessions), is_before=is_before)
        with pytest.raises(ServerError) as raised:
            harness.streaming(sessions).run(until_caught_up=True)
    return watched, raised.value.remedy


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "behind"])
def test_a_connection_that_dies_at_commit(each_alone: Harness, *, is_before: bool) -> None:
    def kill(sessions: SecondarySessions) -> None:
        each_alone.other.execute(f"KILL {sessions.writer.connection_id}")

    _, remedy = _interrupted(each_alone, kill, is_before=is_before)
    assert remedy is Remedy.RECONNECT
    # Four are answered; the fifth the position row knows.
    (count,) = each_alone.rows("SELECT COUNT(*) FROM t WHERE id < 1000")[0]
    assert count in ((4,) if is_before else (4, 5))
    assert each_alone.saved().transaction_count == count
    each_alone.stream()
    each_alone.assert_equal()
    assert each_alone.saved().transaction_count == ROWS


def test_a_commit_that_is_refused_takes_along_what_came_behind_it(each_alone: Harness) -> None:
    def forbid(_: SecondarySessions) -> None:
        each_alone.other.execute("FLUSH TABLES WITH READ LOCK")

    try:
        watched, remedy = _interrupted(each_alone, forbid, is_before=True)
    finally:
        each_alone.other.execute("UNLOCK TABLES")
    assert watched.commits == 5
    assert watched.behind  # there was something to lose
    # A lock wait at COMMIT is not tried again in place: what was sent behind it is gone with it.
    assert remedy is Remedy.RECONNECT
    assert each_alone.rows("SELECT COUNT(*) FROM t WHERE id < 1000") == [(4,)]
    assert each_alone.saved().transaction_count == 4
    each_alone.stream()
    each_alone.assert_equal()
    assert each_alone.saved().transaction_count == ROWS


def test_a_commit_that_is_refused_takes_along_a_query_behind_it(harness: Harness) -> None:
    harness.settings = replace(harness.settings, batching=Batching(transactions=1))
    harness.on_both("CREATE TABLE t (id INT, v INT)")
    harness.on_both(f"INSERT INTO t VALUES {', '.join(f'({n}, {m})' for n in range(ROWS) for m in range(LEAST_ROWS))}")
    harness.begin_here()
    harness.on_primary(*(f"DELETE FROM t WHERE id = {n}" for n in range(ROWS)))

    def forbid(_: SecondarySessions) -> None:
        harness.other.execute("FLUSH TABLES WITH READ LOCK")

    try:
        _, remedy = _interrupted(harness, forbid, is_before=True)
    finally:
        harness.other.execute("UNLOCK TABLES")
    assert remedy is Remedy.RECONNECT
    assert harness.saved().transaction_count == 4
    assert harness.rows("SELECT COUNT(*) FROM t") == [((ROWS - 4) * LEAST_ROWS,)]
    harness.stream()
    harness.assert_equal()


def test_a_failure_behind_a_commit_leaves_it_standing(each_alone: Harness) -> None:
    each_alone.on_primary("UPDATE t SET v = 1 WHERE id = 1000", "INSERT INTO t VALUES (2000, 0)")
    each_alone.on_secondary("DELETE FROM t WHERE id = 1000")
    with pytest.raises(RowMissing, match="1 row not found"):
        each_alone.stream()
    assert each_alone.rows("SELECT COUNT(*) FROM t") == [(ROWS,)]
    assert each_alone.saved().transaction_count == ROWS


def test_nothing_is_sent_behind_a_preparation_that_failed(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    insert = f"INSERT INTO `{harness.schema}`.t VALUES (1)".encode()
    with harness.open() as sessions:
        writer = Writer(sessions.writer, max_packet=1 << 20, parts=PartClock())
        writer.prepare([[b"SET SESSION autocommit=1"], [b"SET SESSION no_such_variable=1"]])
        with pytest.raises(ServerError, match="no_such_variable"):
            writer.send(insert)
        with pytest.raises(ServerError, match="no_such_variable"):
            writer.discard()  # such a session is not used again
    assert harness.rows("SELECT * FROM t") == []


@pytest.mark.servers("mysql")
def test_the_right_to_binlog_statements_alone_is_not_enough(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    user, grants = f"r_{harness.schema}", (harness.schema, harness.settings.state_schema)
    harness.other.execute(f"CREATE USER {user} IDENTIFIED BY 'x'")
    for schema in grants:
        harness.other.execute(f"GRANT ALL ON `{schema}`.* TO {user}")
    harness.other.execute(f"GRANT BINLOG_ADMIN ON *.* TO {user}")
    server = replace(harness.target, user=user, password=Secret("x"))
    with SecondarySessions.open(harness.settings, server) as sessions:
        # What follows the format description, a SET of gtid_next, takes another one.
        assert not can_replay(sessions)
    harness.other.execute(f"GRANT REPLICATION_APPLIER ON *.* TO {user}")
    with SecondarySessions.open(harness.settings, server) as sessions:
        assert can_replay(sessions)
    harness.other.execute(f"DROP USER {user}")


def test_nothing_that_has_come_yet_is_not_caught_up(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    start = harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1)")
    seen: list[tuple[Phase, Position | None]] = []
    with harness.open() as sessions:
        streaming = harness.streaming(sessions)
        take, is_late = streaming._reader.take, iter((True, True))

        def look() -> bool:
            seen.append((streaming._publisher.status.phase, streaming._publisher.status.position))
            return False

        # What the primary has comes late twice, for this one reader.
        streaming._reader.take = lambda timeout: [] if next(is_late, False) else take(timeout)  # type: ignore[method-assign]
        streaming.run(until_caught_up=True, is_interrupted=look)
        seen.append((streaming._publisher.status.phase, streaming._publisher.status.position))
    assert (Phase.STREAMING, start) in seen
    assert (Phase.CAUGHT_UP, start) not in seen
