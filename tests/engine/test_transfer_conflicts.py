"""Rows with equal values of a unique key, two processes that write one table, and a table that is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import Fenced, LockLost
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from replica_cli.core.status import TableState
from replica_cli.mysql.binlog.log_state import current_position
from replica_cli.mysql.binlog.snapshots import visible_position
from replica_cli.stop import StopToken
from replica_cli.transfer import copy_worker, replay_window
from replica_cli.transfer import run as copy_run
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.status import CopyProgress
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

UNIQUE = "CREATE TABLE t (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_bin UNIQUE, b VARCHAR(50))"


class Lock:
    """The writer's lock, which another process takes when `is_lost` is set, as if this process was frozen then."""

    is_lost = False

    def guard(self, _: Session) -> None:
        if self.is_lost:
            raise LockLost("db2: the writer's lock was lost")


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Copier:
    return Copier(primary, secondary, schema, settings=TransferSettings(chunk_rows=20, workers=1))


def test_a_unique_value_that_moved_during_the_copy_goes_to_its_last_owner(copier: Copier) -> None:
    copier.on_primary(UNIQUE, numbers("t", 20_000, "n, n, 'x'"))
    moved: list[int] = []

    def move(_: CopyProgress) -> None:
        if not moved:
            moved.append(1)
            copier.on_primary("UPDATE t SET u = 'free' WHERE id = 0", "UPDATE t SET u = '0' WHERE id = 19999")

    result = copier.run(copier.plan(), report=move)
    assert (result.errors, result.is_complete) == ((), True)
    with copier.secondary.session(copier.schema) as session:
        # Row 0 comes back in the replay window: its own change is in the log after the start position.
        assert session.rows("SELECT u FROM t WHERE id = 19999") == [("0",)]
        assert session.rows("SELECT COUNT(*) FROM t") == [(19_999,)]


def test_a_duplicate_on_a_still_primary_is_a_fault(copier: Copier) -> None:
    copier.on_primary(UNIQUE, "INSERT INTO t VALUES (1, 'a', ''), (2, 'A', '')")
    plan = copier.plan()
    statements = plan.tables[0].definition.statements
    # A collation that takes for equal what the primary tells apart: replacing rows would lose one in silence.
    object.__setattr__(statements, "create", statements.create.replace("utf8mb4_bin", "utf8mb4_general_ci"))
    ((_, message),) = copier.run(plan).errors
    assert "Duplicate entry" in message
    assert copier.count(copier.secondary, "t") == 0
    assert copier.records()["t"].state is TableState.COPYING


def test_a_writer_that_was_overtaken_stops(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 20_000))

    def overtake(_: CopyProgress) -> None:
        with copier.secondary.session() as session:
            session.execute(f"UPDATE {copier.schema}_state.transfer_progress SET last_key = '(19000)'")

    with pytest.raises(Fenced, match="another process"):
        copier.run(copier.plan(), report=overtake)
    assert copier.count(copier.secondary, "t") < 20_000


@pytest.mark.servers("mariadb")
def test_a_table_that_begins_to_keep_history_before_it_is_copied_begins_again(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 2000))
    plan = copier.plan()
    copier.on_primary("ALTER TABLE t ADD SYSTEM VERSIONING", "UPDATE t SET a = 0 WHERE id < 20")
    result = copier.run(plan)
    assert (result.errors, result.is_complete, result.must_repeat) == ((), True, False)
    copier.compare()
    history = f"SELECT id, a, HEX(ROW_START), HEX(ROW_END) FROM {copier.schema}.t FOR SYSTEM_TIME ALL ORDER BY 1, 3"
    with copier.primary.session() as on_primary, copier.secondary.session() as on_secondary:
        versions = on_primary.rows(history)
        assert len(versions) == 2020
        assert on_secondary.rows(history) == versions


@pytest.mark.servers("mariadb")
def test_a_stopped_copy_of_history_begins_that_table_again(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE} WITH SYSTEM VERSIONING", numbers("t", 20_000), "UPDATE t SET a = a + 1")
    stop = StopToken()
    stopped = copier.run(copier.plan(), stop=stop, report=lambda p: stop.request() if p.rows_copied else None)
    assert not stopped.is_complete
    copier.on_primary("UPDATE t SET a = 0 WHERE id < 100", "DELETE FROM t WHERE id > 19900")
    copier.copy(TransferMode.RESUME)
    copier.compare()


def test_a_table_that_goes_between_the_plan_and_the_position_is_looked_at_in_another_turn(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 50))
    copier.copy()
    plan = copier.plan(TransferMode.NEW, "t")
    copier.on_primary("DROP TABLE t")
    result = copier.run(plan)
    # The log after the position does not show that it was dropped.
    assert (result.errors, result.is_complete, result.must_repeat) == ((), False, True)
    assert (copier.records()["t"].state, copier.records()["t"].copy_start) == (TableState.PENDING, None)


def test_a_table_that_goes_while_its_copy_begins_again_is_looked_at_in_another_turn(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 50))
    copier.copy()
    plan = copier.plan(TransferMode.NEW, "t")
    copier.on_primary("ALTER TABLE t MODIFY COLUMN b VARCHAR(60)")

    def dropped_before(session: Session, facts: ServerFacts, stop: StopToken) -> Position:
        copier.on_primary("DROP TABLE t")
        return visible_position(session, facts, stop)

    monkeypatch.setattr(copy_worker, "visible_position", dropped_before)
    result = copier.run(plan)
    assert (result.errors, result.is_complete, result.must_repeat) == ((), False, True)
    assert copier.records()["t"].state is TableState.PENDING


def test_a_copy_that_lost_the_lock_before_it_begins_writes_no_position(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 100))
    lock = Lock()

    def read_start(session: Session, facts: ServerFacts, stop: StopToken) -> Position:
        lock.is_lost = True
        return visible_position(session, facts, stop)

    monkeypatch.setattr(replay_window, "visible_position", read_start)
    with pytest.raises(LockLost):
        copier.run(copier.plan(), guard=lock.guard)
    assert copier.records() == {}


def test_a_copy_that_lost_the_lock_before_its_end_does_not_say_that_the_table_is_copied(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 100))
    lock = Lock()

    def read_end(session: Session, facts: ServerFacts) -> Position:
        lock.is_lost = True
        return current_position(session, facts)

    monkeypatch.setattr(copy_run, "current_position", read_end)
    with pytest.raises(LockLost):
        copier.run(copier.plan(), guard=lock.guard)
    assert copier.records()["t"].state is TableState.COPYING
