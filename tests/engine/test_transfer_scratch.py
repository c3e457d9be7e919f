"""An existing table is replaced only after the secondary has made a scratch table with the new definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import Interrupted
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from replica_cli.mysql.errnos import Remedy, ServerError
from replica_cli.stop import StopToken
from replica_cli.transfer import make_tables, scratch_tables
from replica_cli.transfer.errors import TablesRefused
from tests.engine.copier import SIMPLE, Copier, numbers

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.planning.copy_definition import CopyDefinition

LONG = "n" * 64
EVERYWHERE = (
    f"CREATE TABLE t {SIMPLE}",
    "CREATE TABLE checked (id INT PRIMARY KEY, a INT CHECK (a > 0), CHECK (a < 99), CONSTRAINT named CHECK (id > 0))",
    f"CREATE TABLE {LONG} (id INT PRIMARY KEY, KEY (id)) COMMENT 'CREATE TABLE `t` CHECK (1)'",
    "CREATE TABLE parts (id INT PRIMARY KEY, a INT, KEY (a)) PARTITION BY HASH (id) PARTITIONS 3",
    "CREATE TABLE words (id INT PRIMARY KEY, a TEXT, b TEXT, FULLTEXT f (a), c INT AS (LENGTH(b)) VIRTUAL, KEY c (c))",
    "CREATE TABLE child (id INT PRIMARY KEY, up INT, CONSTRAINT up FOREIGN KEY (up) REFERENCES t (id))",
    "ALTER TABLE child ADD CONSTRAINT self FOREIGN KEY (up) REFERENCES child (id)",
    numbers("t", 100),
    "INSERT INTO child VALUES (1, 1), (2, 1)",
    "INSERT INTO checked VALUES (1, 1)",
)
ON_MARIADB = (
    "CREATE SEQUENCE counter START WITH 5",
    "CREATE TABLE counted (id INT PRIMARY KEY DEFAULT NEXTVAL(counter), a UUID) WITH SYSTEM VERSIONING",
)


def _scratch_tables(copier: Copier) -> list[str]:
    with copier.secondary.session() as session:
        return [str(name) for (name,) in session.rows(f"SHOW TABLES FROM {copier.schema} LIKE '\\_replica\\_%'")]


def _names(copier: Copier) -> list[str]:
    with copier.primary.session() as session:
        return [str(name) for (name,) in session.rows(f"SHOW TABLES FROM {copier.schema}")]


def test_every_shape_of_table_is_copied_again_over_itself(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_tables, "DEFERRED_KEYS_ROWS", 0)
    copier.on_primary(*EVERYWHERE)
    with copier.primary.session() as session:
        if session.is_mariadb:
            copier.on_primary(*ON_MARIADB)
    copier.copy()
    with copier.secondary.session(copier.schema) as session:
        # What a kill between making and dropping leaves.
        session.execute(
            f"CREATE TABLE {scratch_tables.scratch_name(TableName(copier.schema, 't'), 'db2').table} (a INT)"
        )
        session.execute("DELETE FROM checked")
    copier.copy(TransferMode.NEW, *_names(copier))
    copier.compare()
    assert _scratch_tables(copier) == []
    copier.copy(TransferMode.RESTART)
    copier.compare()
    assert _scratch_tables(copier) == []


@pytest.fixture
def refusing(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> Copier:
    """Let the secondary refuse each definition with the word `refused` in it."""
    real = make_tables.make_as

    def make(session: Session, source: CopyDefinition, name: TableName, create: str) -> bool:
        if "refused" in create:
            session.execute("CREATE TABLE nonsense (a NONSENSE)")
        return real(session, source, name, create)

    monkeypatch.setattr(make_tables, "make_as", make)
    monkeypatch.setattr(scratch_tables, "make_as", make)
    return copier


@pytest.mark.parametrize("mode", [TransferMode.NEW, TransferMode.RESTART])
def test_a_refused_definition_leaves_tables_records_and_position_as_they_are(
    refusing: Copier, mode: TransferMode
) -> None:
    copier = refusing
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", f"CREATE TABLE other {SIMPLE}", numbers("t", 9), numbers("other", 9))
    copier.copy()
    before = copier.records()
    copier.on_primary("ALTER TABLE t ADD refused INT", "DELETE FROM other")
    with pytest.raises(TablesRefused) as refused:
        copier.copy(mode, *(("t", "other") if mode is TransferMode.NEW else ()))
    assert list(refused.value.refused) == [TableName(copier.schema, "t")]
    assert [copier.count(copier.secondary, name) for name in ("t", "other")] == [9, 9]
    assert copier.records() == before
    assert _scratch_tables(copier) == []


def test_a_definition_that_is_new_in_the_middle_of_a_copy_is_tried_before_the_table_goes(
    refusing: Copier,
) -> None:
    copier = refusing
    # Without a key it is copied whole: its definition is read again just before the table is made.
    copier.on_primary("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1), (2)")
    copier.copy()
    plan = copier.plan(TransferMode.NEW, "t")
    copier.on_primary("ALTER TABLE t ADD refused INT")
    result = copier.run(plan)
    assert [table for table, _ in result.errors] == [f"{copier.schema}.t"]
    assert copier.count(copier.secondary, "t") == 2
    record = copier.records()["t"]
    assert (record.state, record.reason) == (TableState.PENDING, "asked for by `transfer --table`")


def test_an_error_that_passes_is_left_to_the_copy(copier: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 9))
    copier.copy()
    real, tries = scratch_tables.try_out, list[str]()

    def full_at_first(session: Session, source: CopyDefinition, owner: str) -> None:
        tries.append(owner)
        if len(tries) == 1:
            raise ServerError(1114, "the table is full", "db2", remedy=Remedy.WAIT)
        real(session, source, owner)

    monkeypatch.setattr(scratch_tables, "try_out", full_at_first)
    copier.copy(TransferMode.NEW, "t")
    assert tries == ["db2", "db2"]
    copier.compare()


def test_a_stop_before_the_first_table_changes_nothing(copier: Copier) -> None:
    copier.on_primary(f"CREATE TABLE t {SIMPLE}", numbers("t", 9))
    copier.copy()
    before, stop = copier.records(), StopToken()
    stop.request()
    with pytest.raises(Interrupted):
        copier.run(copier.plan(TransferMode.NEW, "t"), stop=stop)
    assert copier.records() == before
