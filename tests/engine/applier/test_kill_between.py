"""A process that is killed between two writes of its state: the next one goes on as if the first had finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from replica_cli.applier import commit_tracker
from replica_cli.applier.applier import Applier
from replica_cli.applier.ddl.execution import DdlExecution
from replica_cli.applier.writer import Writer
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.position import Position
from replica_cli.core.requests.stream import StreamRequest
from replica_cli.core.settings import TableFailurePolicy
from replica_cli.core.status import TableState
from replica_cli.runtime import copying
from replica_cli.runtime.copying import ask_for_copies
from replica_cli.runtime.status_publisher import StatusPublisher
from replica_cli.stop import StopToken
from replica_cli.transfer import copy_worker
from replica_cli.transfer import run as run_module
from replica_cli.transfer.replay_window import close_tables
from replica_cli.transfer.work_queue import WorkQueue
from replica_cli.worker.worker import Worker
from tests.engine.applier.harness import wait_until
from tests.engine.applier.killer import KilledError
from tests.support.table_records import put

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from tests.engine.applier.harness import Harness


def killed(*_: object, **__: object) -> None:
    raise KilledError("killed")


@pytest.mark.parametrize("change", ["INSERT INTO t VALUES (2)", "ALTER TABLE t ADD w INT DEFAULT 3"])
def test_a_window_outlives_a_position_that_is_not_saved(
    harness: Harness, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a key a row that is written twice is there twice.
    harness.on_both("CREATE TABLE t (v INT)", "INSERT INTO t VALUES (1)")
    harness.begin_here()
    harness.on_primary(change)
    harness.on_secondary(change)  # as the copy, which begins here, brings it
    here = harness.here()
    harness.save_window("t", here, here)
    with monkeypatch.context() as patched:
        # Nothing of the stream is worth a commit before the process dies.
        patched.setattr(commit_tracker, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Applier, "save_position", killed)
        with pytest.raises(KilledError):
            harness.stream()
    harness.stream()
    harness.assert_equal()
    assert harness.tables.load() == {}


@pytest.mark.parametrize("whole", [False, True], ids=["table", "schema"])
def test_a_table_set_aside_is_so_until_the_position_is_behind_its_drop(
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    *,
    whole: bool,
) -> None:
    harness.on_both("CREATE TABLE q (id INT PRIMARY KEY)")
    here = harness.begin_here()
    put(harness.tables, TableRecord(harness.name("q"), TableState.QUARANTINED, stopped_at=here, reason="a test"))
    again = f"CREATE DATABASE `{harness.schema}` {harness.default_charset}"
    drop = (f"DROP DATABASE `{harness.schema}`", again, f"USE `{harness.schema}`") if whole else ("DROP TABLE q",)
    harness.on_primary(
        "INSERT INTO q VALUES (1)", *drop, "CREATE TABLE q (id INT PRIMARY KEY)", "INSERT INTO q VALUES (2)"
    )
    with monkeypatch.context() as patched:
        patched.setattr(commit_tracker, "_IDLE_SAVE_SECONDS", 3600.0)
        patched.setattr(Writer, "commit", killed)
        with pytest.raises(KilledError):
            harness.stream()
    assert harness.saved().position.order == here.order
    harness.stream()
    harness.assert_equal()
    assert harness.tables.load() == {}


def test_a_counter_that_moves_after_a_kill_is_no_sign_that_the_statement_ran(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = "PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE)"
    harness.on_both(
        f"CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) {parts}", "INSERT INTO t VALUES (1), (2), (300)"
    )
    harness.begin_here()
    harness.on_primary("ALTER TABLE t TRUNCATE PARTITION p0")
    with monkeypatch.context() as patched:
        patched.setattr(DdlExecution, "_run", killed)
        with pytest.raises(KilledError):
            harness.stream()
    harness.on_secondary("INSERT INTO t VALUES (NULL)", "DELETE FROM t WHERE id > 300")
    harness.stream()
    assert harness.rows("SELECT id FROM t") == [(300,)]


def test_what_a_quarantined_merge_table_takes_in_is_set_aside_too(harness: Harness) -> None:
    harness.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    harness.begin_here()
    harness.on_primary(
        "CREATE TABLE one (id INT) ENGINE=MyISAM", "CREATE TABLE two (id INT) ENGINE=MyISAM",
        "CREATE TABLE whole (id INT) ENGINE=MERGE UNION=(one) INSERT_METHOD=LAST",
    )  # fmt: skip
    harness.stream()
    assert set(harness.tables.load()) == {harness.name("one"), harness.name("whole")}
    harness.on_primary("ALTER TABLE whole UNION=(one, two)", "INSERT INTO whole VALUES (1)")
    harness.stream()
    assert set(harness.tables.load()) == {harness.name(t) for t in ("one", "two", "whole")}


def test_a_family_is_noted_whole(harness: Harness) -> None:
    harness.on_both(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES parent (id) ON DELETE CASCADE)",
    )
    harness.begin_here()
    session: Session = harness.secondary.session()
    execute = session.execute

    def dying(sql: str | bytes, *args: Any) -> int:
        execute(sql, *args)
        raise KilledError("killed behind the first write")

    session.execute = dying  # type: ignore[method-assign]  # for this one session
    store = TableLifecycle(session, harness.settings.state_schema, "db1")
    with session, pytest.raises(KilledError):
        ask_for_copies(harness.settings, store, [harness.name("parent")], "a test")
    assert set(harness.tables.load()) == {harness.name("parent"), harness.name("child")}


def test_a_copy_that_is_asked_for_while_a_window_ends_is_not_forgotten(harness: Harness) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    here = harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1)")
    harness.save_window("t", here, harness.here())
    with harness.open() as sessions:
        streaming = harness.streaming(sessions)
        asked = TableRecord(harness.name("t"), TableState.PENDING, reason="a test")
        put(harness.tables, asked)
        streaming.run(until_caught_up=True)
    assert harness.tables.load() == {asked.name: asked}


def test_no_place_of_the_former_primary_is_left(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)")
    harness.begin_here()
    harness.on_primary("INSERT INTO t VALUES (1)")
    harness.copy("t")
    former = Position("former-bin.999999", 4, harness.here().gtid)
    harness.save_window("t", former, former)
    harness.on_secondary(f"UPDATE `{harness.settings.state_schema}`.binlog_position SET source_identity = 'former'")
    harness.on_primary("INSERT INTO t VALUES (2)")
    with monkeypatch.context() as patched:
        patched.setattr(TableLifecycle, "_write", killed)
        with pytest.raises(KilledError):
            harness.stream()
    harness.stream()
    harness.assert_equal()
    assert harness.tables.load() == {}


def test_a_table_that_is_made_again_before_the_stream_sees_that_it_was_gone(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.on_both("CREATE TABLE live (id INT PRIMARY KEY)")
    harness.begin_here()
    harness.on_secondary(f"UPDATE `{harness.settings.state_schema}`.binlog_position SET transaction_count = 1")
    put(harness.tables, TableRecord(harness.name("t"), TableState.PENDING, reason="a test"))
    plan, plans = copying.make_plan, []

    def waiting(*args: Any) -> object:
        # The joining thread has found that there is no such table; it is busy with others until the stream is behind.
        plans.append(args)
        if len(plans) == 1:
            harness.on_primary(
                "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "INSERT INTO live VALUES (1)"
            )
            wait_until(lambda: bool(harness.rows("SELECT * FROM live")))
        return plan(*args)

    monkeypatch.setattr(copying, "make_plan", waiting)
    assert harness.work().failure is None
    harness.assert_equal()
    assert harness.tables.load() == {}


def test_filters_are_accepted_with_all_that_hangs_on_them(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.on_both("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE live (id INT PRIMARY KEY)")
    here = harness.begin_here()
    put(harness.tables, TableRecord(harness.name("t"), TableState.QUARANTINED, stopped_at=here, reason="a test"))
    before = harness.saved().filters
    settings = replace(harness.settings, selection=replace(harness.settings.selection, excluded_tables=("*.t",)))
    request = StreamRequest((harness.target,), until_caught_up=True)
    publisher = StatusPublisher("db1", lambda _: None)
    worker = Worker(harness.settings, request, harness.target, server_id=4000, publisher=publisher, stop=StopToken())
    worker.take(settings)
    with monkeypatch.context() as patched:
        patched.setattr(TableLifecycle, "leave_out", killed)
        with harness.open() as sessions, pytest.raises(KilledError):
            worker._take_settings(sessions)
    assert (harness.saved().filters, set(harness.tables.load())) == (before, {harness.name("t")})
    # After a lost connection the same process does it again.
    assert worker.run().failure is None
    assert harness.saved().filters == settings.selection.fingerprint
    assert harness.tables.load() == {}


def test_a_first_copy_that_was_killed_before_its_first_table_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with monkeypatch.context() as patched:
        patched.setattr(WorkQueue, "put", killed)
        failure = harness.work().failure
    assert failure is not None
    assert failure.message == "killed"
    assert harness.saved().transaction_count == 0
    assert harness.work().failure is None
    harness.assert_equal()
    assert harness.tables.load() == {}


def test_a_table_copied_again_that_was_killed_behind_its_drop_goes_on(harness: Harness) -> None:
    harness.on_primary("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    here = harness.begin_here()
    harness.on_secondary(f"UPDATE `{harness.settings.state_schema}`.binlog_position SET transaction_count = 1")
    # The only table of the filters: its copy had dropped it, and not made it yet.
    put(harness.tables, TableRecord(harness.name("t"), TableState.COPYING, copy_start=here))
    assert harness.work().failure is None
    harness.assert_equal()
    assert harness.tables.load() == {}


def test_a_table_that_was_gone_as_its_copy_began_and_was_made_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a key: its copy begins behind the position, at a moment of its own.
    harness.on_primary("CREATE TABLE k (v INT)", "CREATE TABLE live (id INT PRIMARY KEY)")
    fill = copy_worker.CopyWorker._fill_whole
    calls: list[object] = []

    def dropped(worker: copy_worker.CopyWorker, *args: Any) -> None:
        harness.on_primary(*(() if calls else ("INSERT INTO k VALUES (1)", "DROP TABLE k")))
        calls.append(args)
        fill(worker, *args)

    def made_again(*args: Any, **named: Any) -> None:
        close_tables(*args, **named)
        harness.on_primary(*(() if len(calls) > 1 else ("CREATE TABLE k (v INT)", "INSERT INTO k VALUES (2)")))
        calls.append(args)

    monkeypatch.setattr(copy_worker.CopyWorker, "_fill_whole", dropped)
    monkeypatch.setattr(run_module, "close_tables", made_again)
    # Its rows of before are no failure of the table.
    apply = replace(harness.settings.apply, on_table_failure=TableFailurePolicy.STOP)
    assert harness.work(apply=apply).failure is None
    harness.assert_equal()
    assert harness.tables.load() == {}
