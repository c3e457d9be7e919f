"""The results of a copy, seen from outside."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.errors import UnfinishedTransfer
from replica_cli.core.reports.transfer import CopyMethod, TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from replica_cli.mysql.catalog.table_definitions import show_creates
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import PlanChanged, TablesOccupied, TablesRefused
from replica_cli.transfer.make_tables import make_table
from replica_cli.transfer.planning.copy_definition import read_definition
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from replica_cli.core.status import CopyProgress
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.planning.copy_definition import CopyDefinition, Origin
    from replica_cli.transfer.table_copy import TableCopy


def test_a_copy_is_equal_and_leaves_position_and_windows(copier: Copier, tmp_path: Path) -> None:
    copier.on_primary(
        f"CREATE TABLE big {SIMPLE}",
        f"CREATE TABLE empty_one {SIMPLE}",
        "CREATE TABLE child (id INT PRIMARY KEY, big_id INT, FOREIGN KEY fk_big (big_id) REFERENCES big (id))",
        "CREATE TABLE bare (a INT, b VARCHAR(20))",
        numbers("big", 3000),
        numbers("child", 500, "n, n"),
        "INSERT INTO bare VALUES (1, 'x'), (1, 'x'), (NULL, NULL), (1, 'x')",
        "CREATE TRIGGER noisy BEFORE INSERT ON big FOR EACH ROW SET NEW.a = 0",
    )
    seen: list[CopyProgress] = []
    plan = copier.plan()
    ways = {t.planned.name.table: t.planned.method for t in plan.tables}
    assert (ways["big"], ways["bare"]) == (CopyMethod.RANGES, CopyMethod.SNAPSHOT)
    result = copier.run(plan, report=seen.append, folder=tmp_path)
    assert (result.errors, result.is_complete, result.rows, result.tables) == ((), True, 3504, 4)
    copier.compare()
    assert seen[-1].rows_copied == 3504
    file = tmp_path / "transfer_progress_db2.json"
    written = json.loads(file.read_text())
    assert written["TablesProcessed"][f"{copier.schema}.big"] == 3000
    assert written["DatabasesProcessed"] == [copier.schema]
    assert file.stat().st_mode & 0o777 == 0o600
    with copier.secondary.session() as session:
        saved = PositionStore(session, f"{copier.schema}_state", "db2").load()
        (keys,) = session.rows(f"SHOW CREATE TABLE {copier.schema}.child")
    assert saved is not None
    assert saved.position == result.start
    assert "REFERENCES `big`" in keys[1]
    records = copier.records()
    assert {r.state for r in records.values()} == {TableState.COPIED}
    assert (records["big"].copy_start, records["big"].window_end, records["big"].row_count) == (
        result.start,
        result.end,
        3000,
    )
    assert records["bare"].copy_start == records["bare"].window_end is not None


def test_a_table_is_copied_in_ranges_by_several_workers(copier: Copier) -> None:
    copier.settings = TransferSettings(chunk_rows=1000, workers=3)
    copier.on_primary(
        "CREATE TABLE wide (a INT, b INT, c VARCHAR(60), PRIMARY KEY (b, a))",
        numbers("wide", 120_000, "n, n % 100, SHA2(n, 224)"),
        "ANALYZE TABLE wide",
    )
    plan = copier.plan()
    assert plan.tables[0].planned.ranges > 2
    assert copier.run(plan).rows == 120_000
    copier.compare()


def test_schemas_are_routed(copier: Copier) -> None:
    copier.target = f"{copier.schema}_b"
    copier.on_primary(
        f"CREATE TABLE parent {SIMPLE}",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
        numbers("parent", 100),
        numbers("child", 100, "n, n"),
    )
    copier.copy()
    copier.compare()


def test_occupied_tables_are_refused_and_replaced_on_restart(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 100))
    copier.copy()
    # Nothing is to be done again; without a position they may be anybody's rows, and are never replaced unasked.
    for mode in (TransferMode.NEW, TransferMode.RESUME):
        plan = copier.plan(mode)
        assert (plan.is_done, plan.tables, plan.starts_position) == (True, (), False)
    with copier.secondary.session() as session:
        session.execute(f"DELETE FROM {copier.schema}_state.binlog_position")
    with pytest.raises(TablesOccupied, match=r"\.t") as refused:
        copier.plan()
    assert "--restart" not in str(refused.value.hint).replace("--restart --dry-run", "")
    copier.on_primary("DELETE FROM t WHERE id < 50")
    assert copier.plan(TransferMode.RESTART).tables[0].planned.action is TableAction.REPLACE
    copier.copy(TransferMode.RESTART)
    copier.compare()


def test_tables_that_the_primary_has_no_longer_are_named(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE one {SIMPLE}", f"CREATE TABLE other {SIMPLE}")
    copier.copy()
    copier.on_primary("DROP TABLE other")
    assert copier.plan(TransferMode.RESTART).warnings == (
        f"{copier.schema}.other: not on the primary, it stays on db2 as it is",
    )
    assert copier.plan(TransferMode.RESTART, "one").warnings == ()


def test_tables_of_a_schema_that_has_none_on_the_primary_are_named(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE one {SIMPLE}")
    copier.copy()
    one = f"{copier.schema}.one: not on the primary, it stays on db2 as it is"
    copier.on_primary("DROP TABLE one")
    assert copier.plan(TransferMode.RESTART).warnings == (one,)
    copier.on_primary(f"DROP DATABASE {copier.schema}")
    assert copier.plan(TransferMode.RESTART).warnings == (one,)


def run_while_planned(copier: Copier, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """Run a statement on the primary when the definition of the table `goes` is about to be read for a plan."""

    def read_late(session: Session, origin: Origin, definition: TableDefinition, text: str | None) -> CopyDefinition:
        if definition.name.table == "goes":
            copier.on_primary(statement)
        return read_definition(session, origin, definition, text)

    monkeypatch.setattr("replica_cli.transfer.planning.primary_tables.read_definition", read_late)


def test_a_table_that_goes_while_a_new_copy_is_planned_goes_on_the_secondary_too(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(
        f"CREATE TABLE goes {SIMPLE}", f"CREATE TABLE returns {SIMPLE}", f"CREATE TABLE stays {SIMPLE}",
        "INSERT INTO goes VALUES (1, 1, 1)", "INSERT INTO returns VALUES (1, 1, 1)",
    )  # fmt: skip
    copier.copy()

    run_while_planned(copier, monkeypatch, "DROP TABLE goes, returns")
    plan = copier.plan(TransferMode.RESTART)
    assert ([t.planned.name.table for t in plan.tables], plan.warnings) == (["stays"], ())
    copier.on_primary(f"CREATE TABLE returns {SIMPLE}", "INSERT INTO returns VALUES (2, 2, 2)")
    # No DROP of either is in the log after the position.
    assert copier.run(plan).must_repeat
    assert {t: r.state for t, r in copier.records().items() if t != "stays"} == {"returns": TableState.PENDING}
    copier.copy(TransferMode.RESUME)
    copier.compare()


def test_a_table_of_the_secondary_alone_stays_if_a_first_copy_cannot_know_it(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE goes {SIMPLE}", f"CREATE TABLE stays {SIMPLE}")
    make_orphan(copier, "goes", "INSERT INTO goes VALUES (1, 1, 1)")

    run_while_planned(copier, monkeypatch, "DROP TABLE goes")
    plan = copier.plan()
    assert plan.warnings == (f"{copier.schema}.goes: not on the primary, it stays on db2 as it is",)
    copier.run(plan)
    assert copier.count(copier.secondary, "goes") == 1


@pytest.mark.parametrize("mode", [TransferMode.NEW, TransferMode.RESTART])
def test_nothing_is_changed_if_the_primary_makes_a_table_whose_rows_on_the_secondary_the_plan_keeps(
    copier: Copier, mode: TransferMode
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", "INSERT INTO t VALUES (1, 1, 1)")
    if mode is TransferMode.RESTART:
        copier.copy()
    make_orphan(copier, "own", "INSERT INTO own VALUES (7, 7, 7)")
    plan = copier.plan(mode)
    assert f"{copier.schema}.own: not on the primary, it stays on db2 as it is" in plan.warnings
    copier.on_primary(f"CREATE TABLE own {SIMPLE}", "INSERT INTO own VALUES (1, 1, 1), (2, 2, 2)")
    before = copier.records() if mode is TransferMode.RESTART else {}
    with pytest.raises(PlanChanged if mode is TransferMode.RESTART else TablesOccupied, match=r": \w+\.own$"):
        copier.run(plan)
    assert copier.records() == before
    assert copier.count(copier.secondary, "own") == 1
    # Another plan shows that its rows go.
    plan = copier.plan(TransferMode.RESTART)
    assert {t.planned.name.table: t.planned.action for t in plan.tables}["own"] is TableAction.REPLACE
    assert copier.run(plan).is_complete
    copier.compare()


def test_an_orphan_table_without_rows_or_of_an_unfinished_copy_is_copied_if_the_primary_makes_it_again(
    copier: Copier,
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", f"CREATE TABLE begun {SIMPLE}", "INSERT INTO begun VALUES (1, 1, 1)")
    copier.copy()
    make_orphan(copier, "bare")
    with copier.secondary.session() as session:
        tables = TableLifecycle(session, f"{copier.schema}_state", "db2")
        tables.request_copies([TableName(copier.schema, "begun")], "why")
    copier.on_primary("DROP TABLE begun")
    plan = copier.plan(TransferMode.RESTART)
    for table in ("bare", "begun"):
        copier.on_primary(f"CREATE TABLE {table} {SIMPLE}", f"INSERT INTO {table} VALUES (2, 2, 2), (3, 3, 3)")
    assert copier.run(plan).must_repeat
    copier.copy(TransferMode.RESUME)
    copier.compare()


def make_orphan(copier: Copier, table: str, *statements: str) -> None:
    """Make a table on the secondary alone."""
    with copier.secondary.session() as session:
        session.execute(f"CREATE DATABASE IF NOT EXISTS {copier.schema}")
    with copier.secondary.session(database=copier.schema) as session:
        for statement in (f"CREATE TABLE {table} {SIMPLE}", *statements):
            session.execute(statement)


def test_a_table_that_goes_while_the_copy_is_planned_is_no_fault(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(
        f"CREATE TABLE goes {SIMPLE}", f"CREATE TABLE stays {SIMPLE}", "INSERT INTO stays VALUES (1, 1, 1)"
    )
    run_while_planned(copier, monkeypatch, "DROP TABLE goes")
    copier.copy()
    copier.compare()


@pytest.mark.parametrize("table", [SIMPLE, "(id INT, a INT, b INT)"], ids=["ranges", "whole"])
def test_a_table_that_is_altered_while_the_copy_is_planned_is_copied_as_it_is_then(
    copier: Copier, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE t {table}", "INSERT INTO t VALUES (1, 1, 1)")

    def shown_late(session: Session, names: Sequence[TableName]) -> dict[TableName, str]:
        copier.on_primary("ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7", "UPDATE t SET c = 8")
        return show_creates(session, names)

    monkeypatch.setattr("replica_cli.transfer.planning.primary_tables.show_creates", shown_late)
    copier.copy()
    copier.compare()


def test_a_table_that_is_altered_and_altered_back_while_the_copy_reads_it_is_copied_as_it_is_then(
    copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", "INSERT INTO t VALUES (1, 1, 1)")

    def altered_around(session: Session, names: Sequence[TableName]) -> dict[TableName, str]:
        copier.on_primary("ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7")
        texts = show_creates(session, names)
        copier.on_primary("ALTER TABLE t DROP COLUMN c")
        return texts

    monkeypatch.setattr("replica_cli.transfer.planning.primary_tables.show_creates", altered_around)
    copier.copy()
    copier.compare()


def test_a_named_table_is_copied_again_and_the_position_stays(copier: Copier) -> None:
    copier.on_primary(
        f"CREATE TABLE parent {SIMPLE}",
        "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)",
        numbers("parent", 100),
        numbers("child", 100, "n, n"),
        f"CREATE TABLE other {SIMPLE}",
        numbers("other", 100),
    )
    first = copier.copy()
    copier.on_primary("UPDATE parent SET a = 5")
    second = copier.copy(TransferMode.NEW, "parent")
    copier.compare()
    assert copier.count(copier.secondary, "child") == 100
    records = copier.records()
    assert records["other"].copy_start == first.start
    # A cascade reaches from one to the other, so the two are always of one moment.
    assert records["parent"].copy_start == records["child"].copy_start == second.start != first.start
    with copier.secondary.session() as session:
        saved = PositionStore(session, f"{copier.schema}_state", "db2").load()
    assert saved is not None
    assert saved.position == first.start


def test_a_stop_ends_the_copy_and_resume_finishes_it(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 20_000), "CREATE TABLE bare (a INT)")
    copier.on_primary(numbers("bare", 5000, "n"))
    stop = StopToken()
    stopped = copier.run(copier.plan(), stop=stop, report=lambda _: stop.request())
    assert not stopped.is_complete
    with pytest.raises(UnfinishedTransfer):
        copier.plan()
    plan = copier.plan(TransferMode.RESUME)
    assert plan.tables
    resumed = copier.run(plan)
    assert resumed.is_complete
    assert resumed.start is None or resumed.start == stopped.start
    copier.compare()
    assert copier.records()["t"].copy_start == stopped.start


def test_writes_during_the_copy_do_not_break_it(copier: Copier) -> None:
    copier.on_primary(
        "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, b VARCHAR(50))", numbers("t", 30_000, "n, n, 'x'")
    )
    over = threading.Event()

    def write() -> None:
        # The unique value of an early row moves to a late one: the copy may meet both holding it.
        with copier.primary.session(copier.schema) as session:
            for turn in range(5000):
                if over.is_set():
                    return
                early, late, free = turn, 29_999 - turn, 1_000_000 + turn
                session.begin()
                session.execute(f"UPDATE t SET u = {free} WHERE id = {early}")
                session.execute(f"UPDATE t SET u = {early} WHERE id = {late}")
                session.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        result = copier.copy()
    finally:
        over.set()
        writer.join()
    assert result.start is not None
    assert result.end is not None
    assert result.end.order > result.start.order or not result.start.file
    record = copier.records()["t"]
    assert (record.state, record.copy_start, record.window_end) == (TableState.COPIED, result.start, result.end)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("PRIMARY KEY", "ALTER TABLE t DROP PRIMARY KEY"),
        ("UNIQUE", "ALTER TABLE t MODIFY id INT NULL"),
        ("PRIMARY KEY", "ALTER TABLE t ENGINE=MyISAM"),
        ("", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    ],
)
def test_a_table_that_gets_or_loses_its_key_is_copied_as_it_is_then(
    copier: Copier, key: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier.on_primary(
        f"CREATE TABLE t (id INT NOT NULL {key}, a INT, b INT)", numbers("t", 100, "n, n, n"),
        f"CREATE TABLE other {SIMPLE}", numbers("other", 100, "n, n, n"),
    )  # fmt: skip
    changed: list[str] = []

    def make_late(secondary: Session, run: TableCopy) -> None:
        if run.name.table == "t" and not changed:
            changed.append(change)
            copier.on_primary(change, "INSERT INTO t VALUES (1000, 1, 1)")
        make_table(secondary, run)

    monkeypatch.setattr("replica_cli.transfer.copy_worker.make_table", make_late)
    copier.copy()
    copier.compare()


def test_a_table_altered_during_the_copy_is_copied_from_the_beginning(copier: Copier) -> None:
    copier.on_primary(
        f"CREATE TABLE t {SIMPLE}", f"CREATE TABLE other {SIMPLE}", numbers("t", 30_000), numbers("other", 1000)
    )
    altered = threading.Event()

    def alter(_: CopyProgress) -> None:
        if not altered.is_set():
            altered.set()
            copier.on_primary("ALTER TABLE t DROP COLUMN b, ADD COLUMN c INT NOT NULL DEFAULT 7")

    plan = copier.plan()
    result = copier.run(plan, report=alter)
    assert (result.errors, result.is_complete) == ((), True)
    copier.compare()
    records = copier.records()
    assert records["other"].copy_start == result.start
    assert records["t"].copy_start != result.start


def test_what_is_made_between_the_plan_and_the_position_is_copied_too(copier: Copier) -> None:
    # Its CREATE is before the position: the stream does not make it.
    copier.on_primary(
        f"CREATE TABLE there {SIMPLE}",
        f"CREATE TABLE parent {SIMPLE}",
        "INSERT INTO parent VALUES (1, 1, 'one')",
        f"CREATE TABLE former {SIMPLE}",
    )
    plan = copier.plan()
    copier.on_primary(
        f"CREATE TABLE late {SIMPLE}",
        "INSERT INTO late VALUES (1, 1, 'one')",
        "CREATE TABLE child (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES parent (id) ON DELETE CASCADE)",
        "INSERT INTO child VALUES (1, 1)",
        "RENAME TABLE former TO renamed",
    )
    first = copier.run(plan)
    assert first.must_repeat
    assert not first.is_complete
    records = copier.records()
    # A parent has to be of its child's moment.
    together = {"late", "renamed", "child"} | ({"parent"} if not plan.origin.cascades_are_logged else set())
    assert {n for n, r in records.items() if r.state is TableState.PENDING} >= together
    copier.copy(TransferMode.RESUME)
    copier.compare()


@pytest.mark.servers("mariadb", "10.11")
def test_families_are_copied_again_if_their_cascades_are_no_longer_logged(copier: Copier) -> None:
    copier.on_primary(
        f"CREATE TABLE parent {SIMPLE}",
        "CREATE TABLE child (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES parent (id) ON DELETE CASCADE)",
        "CREATE TABLE tree (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES tree (id) ON UPDATE CASCADE)",
        f"CREATE TABLE alone {SIMPLE}",
    )
    plan = copier.plan()
    # As a MySQL that logged cascades when the plan was made, and was restarted with innodb_native_foreign_keys.
    plan = replace(plan, origin=replace(plan.origin, cascades_are_logged=True), cascade_groups=())
    assert copier.run(plan).must_repeat
    pending = {name for name, record in copier.records().items() if record.state is TableState.PENDING}
    assert pending == {"parent", "child", "tree"}
    copier.copy(TransferMode.RESUME)
    copier.compare()


def test_a_quiet_change_of_definition_is_noticed_at_the_end(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 5000))
    plan = copier.plan()
    copier.on_primary("ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 7")
    assert copier.run(plan).is_complete
    copier.compare()


def test_a_failing_table_does_not_stop_the_others(copier: Copier) -> None:
    copier.on_primary(
        f"CREATE TABLE good {SIMPLE}",
        "CREATE TABLE bad (id INT PRIMARY KEY, v VARCHAR(100) UNIQUE)",
        numbers("good", 500),
        numbers("bad", 500, "n, n"),
    )
    plan = copier.plan()
    bad = next(t for t in plan.tables if t.planned.name.table == "bad")
    # A definition that cannot take the rows is one of the fatal refusals of the secondary.
    broken = bad.definition.statements.create.replace("varchar(100)", "varchar(1)")
    object.__setattr__(bad.definition.statements, "create", broken)
    result = copier.run(plan)
    assert not result.is_complete
    assert [table for table, _ in result.errors] == [f"{copier.schema}.bad"]
    records = copier.records()
    assert (records["good"].state, records["bad"].state) == (TableState.COPIED, TableState.COPYING)


@pytest.mark.servers("mariadb")
def test_what_cannot_be_copied_is_refused_by_name(copier: Copier) -> None:
    copier.on_primary(
        "CREATE TABLE history (a INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED"
        " GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
        "CREATE TABLE fine (a INT PRIMARY KEY)",
    )
    with pytest.raises(TablesRefused) as refused:
        copier.plan()
    assert "history" in str(refused.value)
    assert "fine" not in str(refused.value)


def test_another_engine_is_copied_under_its_lock(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE} ENGINE=MyISAM", numbers("t", 3000))
    copier.copy()
    copier.compare()
    record = copier.records()["t"]
    assert record.copy_start == record.window_end is not None
