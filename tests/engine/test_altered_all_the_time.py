"""A table that is altered all the time: a server that lists its tables meanwhile may leave it out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from replica_cli.core.differences import Aspect
from replica_cli.core.selection import Selection
from replica_cli.core.settings import Settings
from replica_cli.core.table import TableName
from replica_cli.mysql.catalog.table_definitions import list_names, read_catalog
from replica_cli.service.drift import check_drift
from replica_cli.stop import StopToken
from replica_cli.transfer.planning import schema_changes
from replica_cli.transfer.planning.schema_changes import SchemaChanges, find_schema_changes
from tests.engine.copier import Copier
from tests.support.command import Load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.mysql.session import Session
    from replica_cli.sandbox.server import SandboxServer

SECONDS = 3.0


def alter(session: Session) -> None:
    session.execute("ALTER TABLE altered ADD COLUMN id INT NOT NULL AUTO_INCREMENT PRIMARY KEY")
    session.execute("ALTER TABLE altered DROP COLUMN id")


@pytest.fixture
def altered(primary: SandboxServer, schema: str) -> Iterator[TableName]:
    with primary.session() as session:
        session.execute(f"CREATE DATABASE {schema}")
        session.execute(f"CREATE TABLE {schema}.altered (word VARCHAR(30), n INT)")
        session.execute(f"CREATE TABLE {schema}.other (id INT PRIMARY KEY)")
        session.execute(f"INSERT INTO {schema}.altered VALUES ('one', 1), ('two', 2)")
    load = Load(primary, schema, alter)
    yield TableName(schema, "altered")
    load.stop()
    assert load.rounds


def looks() -> Iterator[int]:
    """Count looks for some seconds, at least ten: enough for some of them to come in the middle of an ALTER."""
    end, count = time.monotonic() + SECONDS, 0
    while count < 10 or time.monotonic() < end:
        count += 1
        yield count


def test_an_expected_table_is_found(primary: SandboxServer, altered: TableName) -> None:
    with primary.session() as session:
        for _ in looks():
            assert altered in read_catalog(session, [altered.schema], [altered])


def test_a_list_of_names_can_lack_it_and_knows_all_others(primary: SandboxServer, altered: TableName) -> None:
    names = {altered, TableName(altered.schema, "other")}
    with primary.session() as session:
        for _ in looks():
            assert names - list_names(session, [altered.schema]) <= {altered}


def test_it_is_not_gone_since_the_plan(primary: SandboxServer, secondary: SandboxServer, altered: TableName) -> None:
    copier = Copier(primary, secondary, altered.schema)
    plan = copier.plan()
    while altered not in {t.planned.name for t in plan.tables}:  # the plan may lack it: another test is about that
        plan = copier.plan()
    with primary.session() as session:
        for _ in looks():
            assert find_schema_changes(session, plan, StopToken()) == SchemaChanges()


def test_one_list_of_two_is_enough_for_a_table_that_the_plan_lacks(
    primary: SandboxServer, secondary: SandboxServer, altered: TableName, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Copier(primary, secondary, altered.schema).plan()
    plan = replace(plan, tables=tuple(t for t in plan.tables if t.planned.name != altered))
    other = TableName(altered.schema, "other")
    lists = [{other}, {other, altered}] if primary.binary.flavour == "mariadb" else [{other, altered}]
    monkeypatch.setattr(schema_changes, "list_names", lambda *_: lists.pop(0))
    with primary.session() as session:
        assert find_schema_changes(session, plan, StopToken()) == SchemaChanges(added=frozenset({altered}))


def test_drift_check_does_not_miss_it(primary: SandboxServer, secondary: SandboxServer, altered: TableName) -> None:
    with secondary.session() as session:
        session.execute(f"CREATE DATABASE {altered.schema}")
        session.execute(f"CREATE TABLE {altered.schema}.altered (word VARCHAR(30), n INT)")
        session.execute(f"CREATE TABLE {altered.schema}.other (id INT PRIMARY KEY)")
    there = secondary.address(name="there")
    settings = Settings(primary.address(), (there,), Selection(((altered.schema, altered.schema),)))
    for _ in looks():
        found = check_drift(settings, there).differences
        assert not [d for d in found if d.aspect in (Aspect.MISSING_TABLE, Aspect.EXTRA_TABLE)]
