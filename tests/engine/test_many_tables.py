"""A copy of many small tables: its workers do not wait for each other, and its plan needs few queries."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import Settings, TransferSettings
from replica_cli.runtime import copying
from tests.engine.copier import SIMPLE, Copier
from tests.support.command import wait_until

if TYPE_CHECKING:
    import pytest

    from replica_cli.sandbox.server import SandboxServer
    from tests.support.packets import SentPackets

TABLES = 150


def test_many_workers_copy_many_small_tables_without_a_deadlock(
    primary: SandboxServer,
    secondary: SandboxServer,
    schema: str,
    sent: SentPackets,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copier = Copier(primary, secondary, schema, settings=TransferSettings(workers=16))
    copier.on_primary(
        *(
            statement
            for n in range(TABLES)
            for statement in (f"CREATE TABLE t{n} {SIMPLE}", f"INSERT INTO t{n} SELECT {n}, 1, 'x'")
        )
    )
    for mode in (TransferMode.NEW, TransferMode.RESTART):
        sent.forget()
        with caplog.at_level(logging.WARNING, "replica_cli"):
            plan = copier.plan(mode)
            # The second time the tables are there, and each is looked at for rows.
            assert sent.of(primary) < 50
            assert sent.of(secondary) < 50
            assert copier.run(plan).is_complete
        assert caplog.messages == []
    copier.compare()


def test_a_long_plan_says_what_it_is_about(
    primary: SandboxServer,
    secondary: SandboxServer,
    schema: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    copier = Copier(primary, secondary, schema)
    copier.on_primary(f"CREATE TABLE one {SIMPLE}", f"CREATE TABLE other {SIMPLE}")
    server = secondary.address(name="db2")
    settings = Settings(primary.address(name="primary"), (server,), copier.selection, 700, f"{schema}_state")

    def plan_slowly(*_: object, **__: object) -> SimpleNamespace:
        wait_until(lambda: caplog.messages, "a word about the plan")
        return SimpleNamespace(tables=())

    monkeypatch.setattr("replica_cli.transfer.planning.plan.plan_copy", plan_slowly)
    monkeypatch.setattr(copying, "_PLANNING_SECONDS", 0.01)
    with caplog.at_level(logging.INFO, "replica_cli"):
        copying.make_plan(settings, server, TransferMode.NEW)
    assert caplog.messages == ["planning 2 tables: their definitions are read"]
