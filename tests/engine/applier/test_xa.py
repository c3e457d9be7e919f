"""XA transactions: what is prepared counts once it is committed, with others between, over restarts of either side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import ApplyRefused
from replica_cli.core.settings import Apply, Batching, EngineChoice
from tests.engine.applier.harness import Harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from tests.support.coverage import Refused
    from tests.support.servers import ServerFactory


@pytest.fixture(autouse=True)
def _engine(harness: Harness, engine_choice: EngineChoice) -> None:
    harness.settings = replace(harness.settings, apply=Apply(engine=engine_choice))


@pytest.fixture
def table(harness: Harness) -> Harness:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)", "CREATE TABLE u (id INT PRIMARY KEY)")
    harness.begin_here()
    return harness


@pytest.fixture
def branch(table: Harness) -> Iterator[Session]:
    """Another application's session on the primary."""
    with table.primary.session(table.schema) as session:
        yield session


def prepare(session: Session, xid: str, *statements: str) -> None:
    for statement in (f"XA START {xid}", *statements, f"XA END {xid}", f"XA PREPARE {xid}"):
        session.execute(statement)


def kept(harness: Harness) -> list[tuple[object, ...]]:
    return harness.rows(f"SELECT DISTINCT xid FROM `{harness.settings.state_schema}`.xa_prepared")


@pytest.mark.covers("XA PREPARE, COMMIT, ROLLBACK")
@pytest.mark.parametrize("streams_between", [True, False], ids=["a restart of replica between", "in one go"])
def test_rows_come_with_the_commit(table: Harness, branch: Session, *, streams_between: bool) -> None:
    table.on_primary("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    prepare(
        branch, "'g', 'b', 7", "INSERT INTO t VALUES (3, 'three')", "UPDATE t SET v = 'II' WHERE id = 2",
        "DELETE FROM t WHERE id = 1", "INSERT INTO u VALUES (3)",
    )  # fmt: skip
    table.on_primary("INSERT INTO t VALUES (4, 'between')", "CREATE TABLE w (id INT PRIMARY KEY)")
    if streams_between:
        table.stream()
        assert table.rows("SELECT id, v FROM t ORDER BY id") == [(1, "one"), (2, "two"), (4, "between")]
        assert kept(table) == [("X'67',X'62',7",)]
    branch.execute("XA COMMIT 'g', 'b', 7")
    table.on_primary("INSERT INTO u VALUES (5)")
    table.stream()
    table.assert_equal()
    assert table.rows("SELECT id FROM t ORDER BY id") == [(2,), (3,), (4,)]
    assert kept(table) == []
    assert table.saved().position.order == table.here().order


@pytest.mark.covers("XA PREPARE, COMMIT, ROLLBACK")
@pytest.mark.parametrize("streams_between", [True, False], ids=["a restart of replica between", "in one go"])
def test_what_is_rolled_back_never_was(table: Harness, branch: Session, *, streams_between: bool) -> None:
    prepare(branch, "'g'", "INSERT INTO t VALUES (3, 'three')")
    table.on_primary("INSERT INTO t VALUES (4, 'between')")
    if streams_between:
        table.stream()
    branch.execute("XA ROLLBACK 'g'")
    table.on_primary("INSERT INTO t VALUES (3, 'another')")
    table.stream()
    table.assert_equal()
    assert kept(table) == []


def test_several_at_a_time_and_an_id_used_again(table: Harness, branch: Session) -> None:
    with table.primary.session(table.schema) as second:
        prepare(branch, "'a'", "INSERT INTO t VALUES (1, 'first')")
        prepare(second, "'b'", "INSERT INTO t VALUES (2, 'second')")
        table.stream()
        second.execute("XA COMMIT 'b'")
        branch.execute("XA ROLLBACK 'a'")
        prepare(branch, "'a'", "INSERT INTO t VALUES (3, 'third')")
        prepare(second, "'b'", "UPDATE t SET v = 'again' WHERE id = 2")
        table.stream()
        assert table.rows("SELECT id, v FROM t") == [(2, "second")]
        branch.execute("XA COMMIT 'a'")
        second.execute("XA COMMIT 'b'")
    table.stream()
    table.assert_equal()


def test_one_phase_and_empty_ones(table: Harness, branch: Session) -> None:
    for statement in ("XA START 'o'", "INSERT INTO t VALUES (1, 'x')", "XA END 'o'", "XA COMMIT 'o' ONE PHASE"):
        branch.execute(statement)
    prepare(branch, "'e'", "SELECT * FROM t")
    branch.execute("XA COMMIT 'e'")
    prepare(branch, "'e'", "UPDATE t SET v = v")
    branch.execute("XA ROLLBACK 'e'")
    table.stream()
    table.assert_equal()
    assert kept(table) == []


@pytest.mark.parametrize("end", ["XA COMMIT 'big'", "XA COMMIT 'big' ONE PHASE", "XA ROLLBACK 'big'"])
def test_one_larger_than_memory_comes_in_pieces(table: Harness, branch: Session, end: str) -> None:
    branch.execute("XA START 'big'")
    for key in range(12):
        branch.execute(f"INSERT INTO t VALUES ({key}, REPEAT('{key % 10}', 1000000))")
    branch.execute("XA END 'big'")
    if "ONE PHASE" not in end:
        branch.execute("XA PREPARE 'big'")
        table.on_primary("INSERT INTO u VALUES (1)")
        table.stream()
        assert table.rows("SELECT COUNT(*) FROM t") == [(0,)]
    branch.execute(end)
    table.stream()
    table.assert_equal()
    assert table.rows("SELECT COUNT(*) FROM t") == [(0 if "ROLLBACK" in end else 12,)]
    assert kept(table) == []


def test_savepoints_inside(table: Harness, branch: Session) -> None:
    prepare(
        branch, "'s'", "INSERT INTO t VALUES (1, 'stays')", "SAVEPOINT `a b`", "INSERT INTO t VALUES (2, 'goes')",
        "ROLLBACK TO `a b`", "INSERT INTO t VALUES (3, 'stays')",
    )  # fmt: skip
    table.stream()
    branch.execute("XA COMMIT 's'")
    table.stream()
    table.assert_equal()
    assert table.rows("SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_the_primary_dies_with_one_prepared(table: Harness, server_factory: ServerFactory) -> None:
    flavour, version = str(table.primary.binary).split(":")
    primary = server_factory(flavour, ".".join(version.split(".")[:2]))
    harness = Harness(primary, table.secondary, f"{table.schema}_x")
    harness.settings = replace(harness.settings, apply=table.settings.apply)
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)")
    harness.begin_here()
    with primary.session(harness.schema) as session:
        prepare(session, "'p'", "INSERT INTO t VALUES (1, 'prepared')")
        prepare_other = "XA START 'q'", "INSERT INTO t VALUES (2, 'rolled back')", "XA END 'q'"
    with primary.session(harness.schema) as session:
        for statement in (*prepare_other, "XA PREPARE 'q'"):
            session.execute(statement)
    harness.close()
    harness._sessions.clear()
    primary.kill()
    primary.start()
    harness.on_primary("INSERT INTO t VALUES (3, 'after the restart')")
    harness.stream()
    assert harness.rows("SELECT id FROM t") == [(3,)]
    harness.on_primary("XA COMMIT 'p'", "XA ROLLBACK 'q'")
    harness.stream()
    harness.assert_equal()
    assert harness.rows("SELECT id FROM t ORDER BY id") == [(1,), (3,)]
    harness.close()


def test_one_that_fails_at_its_commit_is_kept(table: Harness, branch: Session) -> None:
    prepare(branch, "'f'", "INSERT INTO t VALUES (1, 'x')")
    table.stream()
    before = table.here()
    branch.execute("XA COMMIT 'f'")
    table.on_secondary("INSERT INTO t VALUES (1, 'in the way')")
    with pytest.raises(ApplyRefused) as raised:
        table.stream()
    assert raised.value.table == table.name("t")
    assert table.saved().position.order == before.order
    assert len(kept(table)) == 1
    table.on_secondary("DELETE FROM t")
    table.stream()
    table.assert_equal()


@pytest.mark.covers("XA prepared before the position")
def test_one_prepared_before_the_position_is_refused_by_name(table: Harness, branch: Session, refused: Refused) -> None:
    prepare(branch, "'k'", "INSERT INTO t VALUES (1, 'x')")
    prepare_other = table.begin_here()
    branch.execute("XA COMMIT 'k'")
    with refused(ApplyRefused, "it was prepared before the position", r"XA COMMIT X'6b',X'',1") as raised:
        table.stream()
    assert str(prepare_other) in raised.value.message
    assert f"position reset --to {table.here()}" in str(raised.value.hint)
    # If it is rolled back, its content does not matter.
    prepare(branch, "'r'", "INSERT INTO t VALUES (2, 'x')")
    table.begin_here()
    branch.execute("XA ROLLBACK 'r'")
    table.stream()


def test_a_position_set_anew_forgets_what_was_kept(table: Harness, branch: Session) -> None:
    prepare(branch, "'n'", "INSERT INTO t VALUES (1, 'old')")
    table.stream()
    branch.execute("XA ROLLBACK 'n'")
    prepare(branch, "'n'", "INSERT INTO t VALUES (2, 'new')")
    table.begin_here()
    branch.execute("XA COMMIT 'n'")
    with pytest.raises(ApplyRefused, match="XA COMMIT"):
        table.stream()
    assert table.rows("SELECT COUNT(*) FROM t") == [(0,)]


def test_a_copy_between_prepare_and_commit(table: Harness, branch: Session) -> None:
    table.on_primary("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    prepare(branch, "'c'", "UPDATE t SET v = 'changed' WHERE id = 1", "INSERT INTO t VALUES (3, 'z')")
    table.stream()
    # The table is copied again while the stream waits: it cannot see what is only prepared.
    table.on_secondary("DELETE FROM t")
    start = table.here()
    table.copy("t", "id = 1")
    branch.execute("XA COMMIT 'c'")
    table.copy("t", "id > 1")
    table.save_window("t", start, table.here())
    table.stream(batching=Batching(transactions=1))
    table.assert_equal()


def test_a_table_that_was_left_out_since_is_left_out(table: Harness, branch: Session) -> None:
    prepare(branch, "'l'", "INSERT INTO t VALUES (1, 'x')", "INSERT INTO u VALUES (1)")
    table.stream()
    branch.execute("XA COMMIT 'l'")
    selection = replace(table.settings.selection, excluded_tables=(f"{table.schema}.u",))
    table.stream(selection=selection)
    assert table.rows("SELECT (SELECT COUNT(*) FROM t), (SELECT COUNT(*) FROM u)") == [(1, 0)]
    assert kept(table) == []
