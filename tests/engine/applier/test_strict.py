"""Outside of the window nothing is forgiven: the table and the key are named, and what came before is kept."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused, Drift, Fenced, RowExists, RowMissing
from replica_cli.core.settings import Apply, Batching, DdlPolicy, EngineChoice
from replica_cli.reader import reader
from tests.engine.applier.harness import wait_until

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from tests.engine.applier.harness import Harness

    Conflict = tuple[str, str, type[ApplyRefused], str, str]

TABLES = (
    "CREATE TABLE t (id INT PRIMARY KEY, `se``cret` VARCHAR(20) UNIQUE, v INT)",
    "CREATE TABLE two (a INT, b VARCHAR(20), v INT, PRIMARY KEY (a, b))",
    "CREATE TABLE heap (a INT, b VARCHAR(20), c FLOAT)",
    "CREATE TABLE parent (id INT PRIMARY KEY)",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id))",
)
# What happened on the secondary alone, the change on the primary, the error, the table, what the message names.
CONFLICTS = {
    "update": ("DELETE FROM t WHERE id = 1", "UPDATE t SET v = 7 WHERE id = 1", RowMissing, "t", "its key, id)"),
    "delete": ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 1", RowMissing, "t", "its key, id)"),
    "one of several": ("DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id < 3", RowMissing, "t", "1 of 2 rows"),
    "insert": ("INSERT INTO t VALUES (9, 'x', 1)", "INSERT INTO t VALUES (9, 'y', 1)", RowExists, "t", "PRIMARY"),
    "unique": ("INSERT INTO t VALUES (8, 'y', 1)", "INSERT INTO t VALUES (9, 'y', 1)", RowExists, "t", "se`cret"),
    "update to a taken key": (
        "INSERT INTO t VALUES (8, 'y', 1)", "UPDATE t SET `se``cret` = 'y' WHERE id = 1", RowExists, "t", "se`cret",
    ),
    "composite": ("DELETE FROM two", "UPDATE two SET v = 1 WHERE a = 1", RowMissing, "two", "its key, a, b)"),
    "without a key, update": ("UPDATE heap SET b = 'z'", "UPDATE heap SET a = 5", RowMissing, "heap", "all columns"),
    "without a key, delete": ("DELETE FROM heap", "DELETE FROM heap", RowMissing, "heap", "all columns"),
    "table missing": ("DROP TABLE heap", "DELETE FROM heap", Drift, "heap", "missing"),
    "column missing": ("ALTER TABLE two DROP COLUMN v", "DELETE FROM two", Drift, "two", "column"),
}  # fmt: skip

# Where the primary logs what it cascades (MySQL 9.6 and later) the secondary does not check foreign keys.
FOREIGN_KEYS = {
    "parent missing": ("DELETE FROM parent", "INSERT INTO child VALUES (2, 1)", RowMissing, "child", "foreign key"),
    "child in the way": ("INSERT INTO child VALUES (9, 2)", "DELETE FROM parent WHERE id = 2", RowMissing, "parent",
        "foreign key"),
}  # fmt: skip


@pytest.fixture(params=["auto", "sql"], autouse=True)
def _engine(harness: Harness, request: pytest.FixtureRequest) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=EngineChoice(request.param)))


@pytest.fixture
def strict(harness: Harness) -> Harness:
    harness.on_both(
        *TABLES,
        "INSERT INTO t VALUES (1, 'hidden value', 0), (2, NULL, 0)",
        "INSERT INTO two VALUES (1, 'k', 0)",
        "INSERT INTO heap VALUES (1, 'k', 0.1), (NULL, NULL, NULL)",
        "INSERT INTO parent VALUES (1), (2)",
    )
    harness.begin_here()
    return harness


@pytest.mark.parametrize("name", CONFLICTS)
@pytest.mark.parametrize("batch", [1, 500], ids=["one by one", "one batch"])
def test_a_conflict_names_table_and_key_and_keeps_what_was_before(strict: Harness, name: str, batch: int) -> None:
    _check_conflict(strict, CONFLICTS[name], batch)


@pytest.mark.servers("mariadb")
@pytest.mark.parametrize("name", FOREIGN_KEYS)
@pytest.mark.parametrize("batch", [1, 500], ids=["one by one", "one batch"])
def test_a_foreign_key_that_refuses(strict: Harness, name: str, batch: int) -> None:
    _check_conflict(strict, FOREIGN_KEYS[name], batch)


def _check_conflict(strict: Harness, conflict: Conflict, batch: int) -> None:
    alone, change, error, table, named = conflict
    strict.on_primary("INSERT INTO t VALUES (50, 'before', 0)", "INSERT INTO t VALUES (51, 'too', 0)")
    before = strict.here()
    strict.on_primary(change, "INSERT INTO t VALUES (52, 'after', 0)")
    strict.on_secondary(alone)
    with pytest.raises(error) as raised:
        strict.stream(batching=Batching(transactions=batch))
    message = raised.value.message
    assert raised.value.table == strict.name(table), message
    assert named in message
    # Its position is where the transaction begins, and no value of a row is shown.
    assert str(before) in message
    assert "hidden" not in message + str(raised.value.hint)
    assert _place(strict) == (before.file, before.pos)
    assert strict.rows("SELECT id FROM t WHERE id BETWEEN 50 AND 60 ORDER BY id") == [(50,), (51,)]


def test_nothing_of_the_failing_transaction_is_kept(strict: Harness) -> None:
    before = strict.here()
    strict.source.begin()
    strict.on_primary("INSERT INTO t VALUES (60, NULL, 0)", "UPDATE two SET v = 4", "DELETE FROM t WHERE id = 1")
    strict.source.commit()
    strict.on_secondary("DELETE FROM t WHERE id = 1")
    with pytest.raises(RowMissing):
        strict.stream()
    assert strict.rows("SELECT COUNT(*) FROM t WHERE id = 60") == [(0,)]
    assert strict.rows("SELECT v FROM two") == [(0,)]
    assert _place(strict) == (before.file, before.pos)
    # Mended by hand, it goes on from there, once.
    strict.on_secondary("INSERT INTO t VALUES (1, 'hidden value', 0)")
    strict.stream()
    strict.assert_equal()


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 12])
def test_a_batch_that_fails_while_the_next_is_on_its_way(strict: Harness, batch: int) -> None:
    for number in range(100, 112):
        if number == 107:
            before = strict.here()
        strict.on_primary(f"INSERT INTO t VALUES ({number}, NULL, 0)")
    strict.on_secondary("INSERT INTO t VALUES (107, 'alone', 0)")
    with pytest.raises(RowExists):
        strict.stream(batching=Batching(transactions=batch))
    # All seven before it, each once; nothing of it, nothing behind it.
    assert strict.rows("SELECT id FROM t WHERE id >= 100 AND id <> 107 ORDER BY id") == [(n,) for n in range(100, 107)]
    assert _place(strict) == (before.file, before.pos)
    assert strict.saved().row_count == 7
    strict.on_secondary("DELETE FROM t WHERE id = 107")
    strict.stream(batching=Batching(transactions=batch))
    assert strict.saved().row_count == 12
    strict.assert_equal()


def test_rows_position_and_counts_move_together(strict: Harness) -> None:
    strict.on_primary("INSERT INTO t VALUES (3, NULL, 0), (4, NULL, 0)", "UPDATE two SET v = 3", "DELETE FROM heap")
    strict.stream()
    saved = strict.saved()
    assert (saved.row_count, saved.transaction_count, saved.skipped_count) == (5, 3, 0)
    # The server lists its domains in no order.
    assert sorted(saved.position.gtid.split(",")) == sorted(strict.here().gtid.split(","))
    strict.assert_equal()


def test_a_row_larger_than_the_secondary_takes(strict: Harness) -> None:
    strict.on_both("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
    before = strict.begin_here()
    strict.on_primary("INSERT INTO big VALUES (1, REPEAT('x', 3000000))")
    (limit,) = strict.other.rows("SELECT @@GLOBAL.max_allowed_packet")[0]
    strict.other.execute("SET GLOBAL max_allowed_packet = 2097152")
    try:
        with pytest.raises(ApplyRefused) as raised:
            strict.stream()
    finally:
        strict.other.execute(f"SET GLOBAL max_allowed_packet = {limit}")
    assert raised.value.table == strict.name("big")
    assert "max_allowed_packet=" in str(raised.value.hint)
    assert _place(strict) == (before.file, before.pos)
    strict.stream()
    strict.assert_equal()


def test_the_hint_for_a_large_row_is_large_enough(strict: Harness) -> None:
    strict.on_both("CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)")
    strict.begin_here()
    strict.on_primary("INSERT INTO big VALUES (1, REPEAT('x', 1100000))")
    (limit,) = strict.other.rows("SELECT @@GLOBAL.max_allowed_packet")[0]
    strict.other.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with pytest.raises(ApplyRefused) as raised:
            strict.stream()
        wanted = str(raised.value.hint).split("max_allowed_packet=")[1].split()[0]
        strict.other.execute(f"SET GLOBAL max_allowed_packet = {wanted}")
        strict.stream()
    finally:
        strict.other.execute(f"SET GLOBAL max_allowed_packet = {limit}")
    strict.assert_equal()


def test_a_lock_wait_rolls_back_all_and_does_it_again(strict: Harness) -> None:
    strict.on_primary("UPDATE t SET v = v + 1 WHERE id = 1", "UPDATE t SET v = v + 1 WHERE id = 2")
    with strict.open() as sessions, strict.secondary.session(strict.schema) as holder:
        sessions.writer.execute("SET SESSION innodb_lock_wait_timeout = 1")
        streaming = strict.streaming(sessions)
        holder.begin()
        holder.execute("UPDATE t SET v = v + 100 WHERE id = 2")
        rollback, rollbacks = sessions.writer.rollback, []

        def noticed() -> None:
            rollbacks.append(strict.rows("SELECT v FROM t WHERE id = 1"))
            rollback()
            holder.rollback()

        sessions.writer.rollback = noticed  # type: ignore[method-assign]
        streaming.run(until_caught_up=True)
    # Rolled back once: the first row's change, which error 1205 leaves standing, was not made twice.
    assert len(rollbacks) == 1
    assert strict.rows("SELECT id, v FROM t ORDER BY id") == [(1, 1), (2, 1)]
    assert strict.saved().transaction_count == 2


def test_a_deadlock_is_done_again(strict: Harness) -> None:
    # The applier takes row 1, then 2; the other one has 2 and weighs more, and wants 1 once the applier waits.
    strict.on_both("INSERT INTO two SELECT 2, id, 0 FROM parent", "INSERT INTO two VALUES (3, 'x', 0), (3, 'y', 0)")
    strict.begin_here()
    strict.on_primary("UPDATE t SET v = v + 1 WHERE id = 1", "UPDATE t SET v = v + 1 WHERE id = 2")
    with strict.open() as sessions, strict.secondary.session(strict.schema) as holder:
        streaming = strict.streaming(sessions)
        rollback, rollbacks = sessions.writer.rollback, []

        def noticed() -> None:
            rollbacks.append(1)
            rollback()

        sessions.writer.rollback = noticed  # type: ignore[method-assign]
        holder.begin()
        holder.execute("UPDATE two SET v = v + 100")
        holder.execute("UPDATE t SET v = v + 100 WHERE id = 2")

        def collide() -> None:
            waiting = (
                "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_mysql_thread_id = "
            )
            # InnoDB renews what it tells only for those who have not asked for 0.1 s.
            wait_until(lambda: bool(strict.rows(f"{waiting}{sessions.writer.connection_id}")), pause=0.15)
            holder.execute("UPDATE t SET v = v + 100 WHERE id = 1")
            holder.rollback()

        other = threading.Thread(target=collide, daemon=True)
        other.start()
        streaming.run(until_caught_up=True)
        other.join(10)
    assert rollbacks == [1]
    assert strict.rows("SELECT id, v FROM t ORDER BY id") == [(1, 1), (2, 1)]
    assert strict.saved().transaction_count == 2


def test_another_writer_fences_this_one(strict: Harness) -> None:
    strict.on_primary("INSERT INTO t VALUES (70, NULL, 0)")
    before = _place(strict)
    with strict.open() as sessions:
        streaming = strict.streaming(sessions)
        # Another process took over while this one was frozen.
        strict.positions.take_token()
        with pytest.raises(Fenced):
            streaming.run(until_caught_up=True)
    assert strict.rows("SELECT COUNT(*) FROM t WHERE id = 70") == [(0,)]
    assert _place(strict) == before


@pytest.mark.parametrize("statement", ["ALTER TABLE t ADD COLUMN w INT", "DROP TABLE heap", "TRUNCATE TABLE two"])
def test_a_fenced_writer_runs_no_ddl(strict: Harness, statement: str) -> None:
    strict.on_primary(statement)
    before = strict.rows("CHECKSUM TABLE t, heap, two"), _columns(strict)
    with strict.open() as sessions:
        streaming = strict.streaming(sessions)
        strict.positions.take_token()
        with pytest.raises(Fenced):
            streaming.run(until_caught_up=True)
    assert (strict.rows("CHECKSUM TABLE t, heap, two"), _columns(strict)) == before


def test_a_row_missing_in_a_transaction_of_many_pieces(strict: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PIECE_BYTES", 1000)
    strict.on_secondary("DELETE FROM two")
    before = _place(strict)
    strict.on_primary(
        "BEGIN",
        *(f"INSERT INTO t VALUES ({n}, NULL, 0)" for n in range(100, 140)),
        "UPDATE two SET v = 7",
        *(f"INSERT INTO t VALUES ({n}, NULL, 0)" for n in range(140, 240)),
        "COMMIT",
    )
    with pytest.raises(RowMissing, match="in the transaction at") as raised:
        strict.stream()
    # Pieces go out in groups of tables: the first of a group is not the one to blame.
    assert raised.value.table == strict.name("two")
    assert _place(strict) == before
    assert strict.rows("SELECT COUNT(*) FROM t WHERE id >= 100") == [(0,)]


def test_ddl_policy_stop_names_the_statement(strict: Harness) -> None:
    before: Position = strict.here()
    strict.on_primary("ALTER TABLE t ADD COLUMN w INT")
    with pytest.raises(ApplyRefused, match="ADD COLUMN w"):
        strict.stream(apply=replace(strict.settings.apply, ddl=DdlPolicy.STOP))
    assert _place(strict) == (before.file, before.pos)


@pytest.mark.timeout(20)
def test_catching_up_behind_a_rotation(strict: Harness) -> None:
    strict.on_primary("INSERT INTO t VALUES (90, NULL, 0)", "FLUSH BINARY LOGS")
    strict.stream()
    strict.assert_equal()


def _place(harness: Harness) -> tuple[str, int]:
    position = harness.saved().position
    return position.file, position.pos


def _columns(harness: Harness) -> list[tuple[object, ...]]:
    return harness.rows(f"SELECT column_name FROM information_schema.columns WHERE table_schema = '{harness.schema}'")
