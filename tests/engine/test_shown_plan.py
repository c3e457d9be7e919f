"""A copy is planned once, unless the secondary changes between the plan and the copy, or the answer takes long."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import ExitCode
from replica_cli.core.reporter import SilentReporter
from replica_cli.core.requests.transfer import TransferMode, TransferRequest
from replica_cli.core.settings import Settings
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from replica_cli.runtime import copying
from replica_cli.service import transfer
from replica_cli.service.transfer import PlannedTransfer, plan_transfer, run_transfer
from replica_cli.stop import StopToken
from replica_cli.transfer.errors import PlanChanged
from tests.engine.copier import SIMPLE, Copier
from tests.support.table_records import put

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.reports.transfer import CopyReport
    from replica_cli.sandbox.server import SandboxServer
    from replica_cli.transfer.planning.plan import CopyPlan


@pytest.fixture
def copier(primary: SandboxServer, secondary: SandboxServer, schema: str) -> Copier:
    copier = Copier(primary, secondary, schema)
    copier.on_primary(f"CREATE TABLE a {SIMPLE}", "INSERT INTO a VALUES (1, 1, 'x')", f"CREATE TABLE b {SIMPLE}")
    return copier


@pytest.fixture
def settings(copier: Copier) -> Settings:
    theirs = copier.secondary.address(name="db2")
    return Settings(copier.primary.address(), (theirs,), copier.selection, 700, f"{copier.schema}_state")


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[TransferMode]:
    """Return the list of the plans that are made."""
    found: list[TransferMode] = []
    make: Callable[..., CopyPlan] = copying.make_plan_on

    def noted(*args: object) -> CopyPlan:
        plan = make(*args)
        found.append(plan.mode)
        return plan

    monkeypatch.setattr(copying, "make_plan_on", noted)
    monkeypatch.setattr(transfer, "make_plan_on", noted)
    return found


def make(settings: Settings, mode: TransferMode = TransferMode.NEW, *tables: TableName) -> tuple[PlannedTransfer, ...]:
    return plan_transfer(settings, TransferRequest(settings.secondaries, mode, tables))


def run(settings: Settings, plans: tuple[PlannedTransfer, ...]) -> CopyReport:
    (report,) = run_transfer(settings, plans, SilentReporter()).copies
    return report


def test_what_was_planned_is_carried_out(copier: Copier, settings: Settings, planned: list[TransferMode]) -> None:
    for mode in (TransferMode.NEW, TransferMode.RESTART):
        planned.clear()
        plans = make(settings, mode)
        if mode is TransferMode.RESTART:
            # An empty table of the secondary may have got rows since the plan: only another plan tells.
            copier.on_primary("INSERT INTO b VALUES (1, 1, 'y')")
        assert run(settings, plans).failure is None
        assert planned == [mode] if mode is TransferMode.NEW else [mode, mode]
        copier.compare()
    planned.clear()
    assert run(settings, make(settings, TransferMode.RESTART)).failure is None
    assert planned == [TransferMode.RESTART]
    copier.compare()


def test_a_plan_that_is_old_is_made_again(copier: Copier, settings: Settings, planned: list[TransferMode]) -> None:
    plans = tuple(replace(plan, made_at=plan.made_at - 60) for plan in make(settings))
    copier.on_primary("ALTER TABLE b ADD COLUMN c INT")
    assert run(settings, plans).failure is None
    assert len(planned) == 2
    copier.compare()


def test_a_table_that_comes_to_the_secondary_after_the_plan_is_not_dropped(
    copier: Copier, settings: Settings, planned: list[TransferMode]
) -> None:
    plans = make(settings)
    with copier.secondary.session() as session:
        session.execute(f"CREATE DATABASE {copier.schema}")
        session.execute(f"CREATE TABLE {copier.schema}.b {SIMPLE}")
        session.execute(f"INSERT INTO {copier.schema}.b VALUES (7, 7, 'mine')")
    failure = run(settings, plans).failure
    assert failure is not None
    assert failure.code == "tables_occupied"
    assert copier.count(copier.secondary, "b") == 1
    assert len(planned) == 1


def test_a_state_that_changes_after_the_plan_is_seen(
    copier: Copier, settings: Settings, planned: list[TransferMode]
) -> None:
    plans = make(settings)
    assert run(settings, make(settings)).failure is None
    with copier.secondary.session() as session:
        record = TableRecord(TableName(copier.schema, "a"), TableState.PENDING)
        put(TableLifecycle(session, settings.state_schema, "db2"), record)
    failure = run(settings, plans).failure
    assert failure is not None
    assert failure.code == "unfinished_transfer"
    assert len(planned) == 2


def test_a_table_that_gets_rows_after_the_plan_is_not_replaced(copier: Copier, settings: Settings) -> None:
    for mode, tables in ((TransferMode.NEW, (TableName(copier.schema, "b"),)), (TransferMode.RESTART, ())):
        assert run(settings, make(settings, TransferMode.RESTART)).failure is None
        plans = make(settings, mode, *tables)
        with copier.secondary.session() as session:
            session.execute(f"INSERT INTO {copier.schema}.b VALUES (7, 7, 'mine')")
        failure = run(settings, plans).failure
        assert failure is not None
        assert failure.code == "plan_changed"
        assert failure.exit_code is ExitCode.REFUSED
        assert f"{copier.schema}.b" in failure.message
        assert "`replica transfer " in (failure.hint or "")
        assert copier.count(copier.secondary, "b") == 1
        # The new plan shows the table as one that is replaced.
        assert run(settings, make(settings, mode, *tables)).failure is None
        copier.compare()


def test_tables_of_an_unfinished_copy_are_replaced_without_having_been_shown(
    copier: Copier, settings: Settings
) -> None:
    assert run(settings, make(settings)).failure is None
    plans = make(settings, TransferMode.RESTART)
    with copier.secondary.session() as session:
        # The rows are those of a copy that ran until now.
        session.execute(f"INSERT INTO {copier.schema}.b VALUES (7, 7, 'old')")
        record = TableRecord(TableName(copier.schema, "b"), TableState.COPYING)
        put(TableLifecycle(session, settings.state_schema, "db2"), record)
    assert run(settings, plans).failure is None
    copier.compare()


def test_what_differs_from_the_shown_plan_is_logged_before_anything_is_changed(
    copier: Copier, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    copier.on_primary(f"CREATE TABLE c {SIMPLE}")
    plans = tuple(replace(plan, made_at=plan.made_at - 60) for plan in make(settings))
    copier.on_primary("DROP TABLE c", f"CREATE TABLE d {SIMPLE}", "ALTER TABLE b DROP PRIMARY KEY")
    with copier.secondary.session() as session:
        session.execute(f"CREATE DATABASE {copier.schema}")
        session.execute(f"CREATE TABLE {copier.schema}.a {SIMPLE}")
    caplog.set_level(logging.INFO)
    assert run(settings, plans).failure is None
    messages = [record.getMessage() for record in caplog.records]
    name = copier.schema
    changes = [m for m in messages if m.startswith("since the plan was shown")]
    assert changes == [
        f"since the plan was shown, 1 table was added to the plan: {name}.d",
        f"since the plan was shown, 1 table was removed from the plan: {name}.c",
        f"since the plan was shown, 1 table was given another action: {name}.a (create, now fill)",
        f"since the plan was shown, 1 table was given another method: {name}.b (ranges, now snapshot)",
    ]
    assert messages.index(changes[-1]) < messages.index("3 tables to copy")
    copier.compare()


def test_tables_that_a_stream_copies_are_compared_too(copier: Copier, settings: Settings) -> None:
    assert run(settings, make(settings, TransferMode.RESTART)).failure is None
    name = TableName(copier.schema, "b")
    (plan,) = make(settings, TransferMode.NEW, name)
    assert plan.copy is not None
    with copier.secondary.session() as session:
        session.execute(f"INSERT INTO {copier.schema}.b VALUES (7, 7, 'mine')")
        store = TableLifecycle(session, settings.state_schema, "db2")
        with pytest.raises(PlanChanged, match=f"{name}"):
            copying.try_out(settings, settings.secondaries[0], (name,), plan.copy, store=store, stop=StopToken())
