"""A process that is killed between two writes of its state: the next one goes on as if the first had finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier import commit_tracker
from replica_cli.applier.applier import Applier
from replica_cli.applier.ddl_execution import DdlExecution
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.position import Position
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.settings import TableFailurePolicy
from replica_cli.core.status import TableState
from replica_cli.resync import copying
from replica_cli.resync.copying import ask_for_copies
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.transfer import run as run_module
from replica_cli.transfer import worker as transfer_worker
from replica_cli.transfer.work import WorkQueue
from replica_cli.worker.worker import Worker
from tests.engine.applier.harness import wait_until
from tests.engine.applier.killer import KilledError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Bench


def killed(*_: object) -> None:
    raise KilledError("killed")


@pytest.mark.parametrize("change", ["INSERT INTO t VALUES (2)", "ALTER TABLE t ADD w INT DEFAULT 3"])
def test_a_window_outlives_a_position_that_is_not_saved(
    bench: Bench, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a key a row that is written twice is there twice.
    bench.on_both("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
    bench.begin_here()
    bench.on_primary(change)
    bench.on_secondary(change)  # as the copy, which begins here, brings it
    here = bench.here()
    bench.save_window("t", here, here)
    with monkeypatch.context() as patched:
        # Nothing of the stream is worth a commit before the process dies.
        patched.setattr(commit_tracker, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Applier, "save_position", killed)
        with pytest.raises(KilledError):
            bench.stream()
    bench.stream()
    bench.assert_equal()
    assert bench.tables.load() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["table", "schema"])
def test_a_table_set_aside_is_so_until_the_position_is_behind_its_drop(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    *,
    whole: bool,
) -> None:
    bench.on_both("CREATE TABLE q (id INT PRIMARY KEY)")
    here = bench.begin_here()
    bench.tables.save(TableRecord(bench.name("q"), TableState.QUARANTINED, start=here, reason="a test"))
    again = f"CREATE DATABASE `{bench.schema}` {bench.default_charset}"
    drop = (f"DROP DATABASE `{bench.schema}`", again, f"USE `{bench.schema}`") if whole else ("DROP TABLE q",)
    bench.on_primary(
        "INSERT INTO q VALUES (1)", *drop, "CREATE TABLE q (id INT PRIMARY KEY)", "INSERT INTO q VALUES (2)"
    )
    with monkeypatch.context() as patched:
        patched.setattr(commit_tracker, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Writer, "commit", killed)
        with pytest.raises(KilledError):
            bench.stream()
    assert bench.saved().position.order == here.order
    bench.stream()
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_a_counter_that_moves_after_a_kill_is_no_sign_that_the_statement_ran(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    bench.on_both(f"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) {parts}", "INSERT INTO t VALUES (1), (2), (300)")
    bench.begin_here()
    bench.on_primary("ALTER TABLE t TRUNCATE PARTITION p0")
    with monkeypatch.context() as patched:
        patched.setattr(DdlExecution, "_run", killed)
        with pytest.raises(KilledError):
            bench.stream()
    bench.on_secondary("INSERT INTO t VALUES (NULL)", "DELETE FROM t WHERE id > 300")
    bench.stream()
    assert bench.rows("SELECT id FROM t") == [(300,)]


def test_what_a_quarantined_merge_table_takes_in_is_set_aside_too(bench: Bench) -> None:
    bench.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    bench.begin_here()
    bench.on_primary(
        "CREATE TABLE one (id INT) ENGINE=MyISAM", "CREATE TABLE two (id INT) ENGINE=MyISAM",
        "CREATE TABLE whole (id INT) ENGINE=MERGE UNION=(one) INSERT_METHOD=LAST",
    )  # fmt: skip
    bench.stream()
    assert set(bench.tables.load()) == {bench.name("one"), bench.name("whole")}
    bench.on_primary("ALTER TABLE whole UNION=(one, two)", "INSERT INTO whole VALUES (1)")
    bench.stream()
    assert set(bench.tables.load()) == {bench.name(t) for t in ("one", "two", "whole")}


def test_a_family_is_noted_whole(bench: Bench) -> None:
    bench.on_both(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id) ON DELETE CASCADE)",
    )
    bench.begin_here()
    session: Session = bench.secondary.session()
    execute = session.execute

    def dying(sql: str | bytes, *args: Any) -> int:
        execute(sql, *args)
        raise KilledError("killed behind the first write")

    session.execute = dying  # type: ignore[method-assign]  # for this one session
    store = TableStore(session, bench.settings.state_schema, "db1")
    with session, pytest.raises(KilledError):
        ask_for_copies(bench.settings, store, [bench.name("parent")], "a test")
    assert set(bench.tables.load()) == {bench.name("parent"), bench.name("child")}


def test_a_copy_that_is_asked_for_while_a_window_ends_is_not_forgotten(bench: Bench) -> None:
    bench.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    here = bench.begin_here()
    bench.on_primary("INSERT INTO t VALUES (1)")
    bench.save_window("t", here, bench.here())
    with bench.open() as sessions:
        streaming = bench.streaming(sessions)
        asked = TableRecord(bench.name("t"), TableState.PENDING, reason="a test")
        bench.tables.save(asked)
        streaming.run(until_caught_up=True)
    assert bench.tables.load() == {asked.name: asked}


def test_no_place_of_the_former_primary_is_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    bench.begin_here()
    bench.on_primary("INSERT INTO t VALUES (1)")
    bench.copy("t")
    former = Position("former-bin.999999", 4, bench.here().gtid)
    bench.save_window("t", former, former)
    bench.on_secondary(f"UPDATE `{bench.settings.state_schema}`.binlog_position SET source_identity = 'former'")
    bench.on_primary("INSERT INTO t VALUES (2)")
    with monkeypatch.context() as patched:
        patched.setattr(TableStore, "save", killed)
        with pytest.raises(KilledError):
            bench.stream()
    bench.stream()
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_a_table_that_is_made_again_before_the_stream_sees_that_it_was_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    bench.begin_here()
    bench.on_secondary(f"UPDATE `{bench.settings.state_schema}`.binlog_position SET transaction_count = 1")
    bench.tables.save(TableRecord(bench.name("t"), TableState.PENDING, reason="a test"))
    plan, plans = copying.make_plan, []

    def waiting(*args: Any) -> object:
        # The joining thread has found that there is no such table; it is busy with others until the stream is behind.
        plans.append(args)
        if len(plans) == 1:
            bench.on_primary(
                "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "INSERT INTO live VALUES (1)"
            )
            wait_until(lambda: bool(bench.rows("SELECT * FROM live")))
        return plan(*args)

    monkeypatch.setattr(copying, "make_plan", waiting)
    assert bench.work().failure is None
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_filters_are_accepted_with_all_that_hangs_on_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.on_both("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE live (id INT PRIMARY KEY)")
    here = bench.begin_here()
    bench.tables.save(TableRecord(bench.name("t"), TableState.QUARANTINED, start=here, reason="a test"))
    before = bench.saved().filters
    settings = replace(bench.settings, selection=replace(bench.settings.selection, excluded_tables=("*.t",)))
    request = StreamRequest((bench.target,), until_caught_up=True)
    board = StatusPublisher("db1", lambda _: None)
    worker = Worker(bench.settings, request, bench.target, server_id=4000, board=board, stop=StopToken())
    worker.take(settings)
    with monkeypatch.context() as patched:
        patched.setattr(TableStore, "forget", killed)
        with bench.open() as sessions, pytest.raises(KilledError):
            worker._take_settings(sessions)
    assert (bench.saved().filters, set(bench.tables.load())) == (before, {bench.name("t")})
    # After a lost connection the same process does it again.
    assert worker.run().failure is None
    assert bench.saved().filters == settings.selection.fingerprint
    assert bench.tables.load() == {}


def test_a_first_copy_that_was_killed_before_its_first_table_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with monkeypatch.context() as patched:
        patched.setattr(WorkQueue, "put", killed)
        failure = bench.work().failure
    assert failure is not None
    assert failure.message == "killed"
    assert bench.saved().transaction_count == 0
    assert bench.work().failure is None
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_a_table_copied_again_that_was_killed_behind_its_drop_goes_on(bench: Bench) -> None:
    bench.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    here = bench.begin_here()
    bench.on_secondary(f"UPDATE `{bench.settings.state_schema}`.binlog_position SET transaction_count = 1")
    # The only table of the filters: its copy had dropped it, and not made it yet.
    bench.tables.save(TableRecord(bench.name("t"), TableState.COPYING, start=here))
    assert bench.work().failure is None
    bench.assert_equal()
    assert bench.tables.load() == {}


def test_a_table_that_was_gone_as_its_copy_began_and_was_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a key: its copy begins behind the position, at a moment of its own.
    bench.on_primary("CREATE TABLE k (v INT)", "CREATE TABLE live (id INT PRIMARY KEY)")
    fill, close = transfer_worker.Worker._fill_whole, run_module.close_tables
    calls: list[object] = []

    def dropped(worker: transfer_worker.Worker, *args: Any) -> None:
        bench.on_primary(*(() if calls else ("INSERT INTO k VALUES (1)", "DROP TABLE k")))
        calls.append(args)
        fill(worker, *args)

    def made_again(*args: Any, **named: Any) -> None:
        close(*args, **named)
        bench.on_primary(*(() if len(calls) > 1 else ("CREATE TABLE k (v INT)", "INSERT INTO k VALUES (2)")))
        calls.append(args)

    monkeypatch.setattr(transfer_worker.Worker, "_fill_whole", dropped)
    monkeypatch.setattr(run_module, "close_tables", made_again)
    # Its rows of before are no failure of the table.
    apply = replace(bench.settings.apply, on_table_failure=TableFailurePolicy.STOP)
    assert bench.work(apply=apply).failure is None
    bench.assert_equal()
    assert bench.tables.load() == {}
