"""Moving the states of tables to explicit columns: each record is kept, after a kill between any two statements too."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from replica_cli.checkpoint import migration_3
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.errors import StateBroken
from replica_cli.core.position import Position
from replica_cli.core.status import TableState
from replica_cli.core.table import TableName
from tests.support.state_in_memory import StateInMemory

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

START, END = Position("binlog.000007", 100, "0-1-100"), Position("binlog.000008", 200, "0-1-200")
# What each state meant by start and end. A table whose copy was only requested has neither.
MEANINGS = {
    TableState.PENDING: {},
    TableState.COPYING: {"copy_start": START},
    TableState.CATCHING_UP: {"applied_to": START, "window_end": END},
    TableState.COPIED: {"copy_start": START, "window_end": END},
    TableState.QUARANTINED: {"stopped_at": START, "failed_transaction": END},
}
EXPECTED = {
    name: TableRecord(name, state, f"why {state}", 5, **positions)
    for state, positions in MEANINGS.items()
    for name in [TableName("shop", str(state))]
}


@pytest.fixture
def memory() -> StateInMemory:
    """Give a state schema as version 2 left it, with the table of version 3 that a new release has made."""
    made = StateInMemory()
    made.execute(f"CREATE TABLE `state`.table_status ({migration_3.FORMER_COLUMNS})")
    for name, record in EXPECTED.items():
        end = END if record.state != TableState.COPYING else Position("", 0)
        made.execute(
            "INSERT INTO `state`.table_status VALUES ('db1', 'shop', "
            f"'{name.table}', '{record.state}', '{START.file}', {START.pos}, '{START.gtid}', "
            f"'{end.file}', {end.pos}, '{end.gtid}', '{record.reason}', 5, '2026-01-01')"
        )
    for table in ("binlog_position", "stream_status"):
        columns = {"binlog_position": "file, pos, gtid, source_identity, filters, filters_text, updated_at"}
        names = columns.get(table, "holder, beat_at, phase")
        values = ", ".join("''" for _ in names.split(","))
        made.execute(f"INSERT INTO `state`.{table} (instance, {names}) VALUES ('{table[:3]}', {values})")
    return made


def session_of(memory: StateInMemory) -> Session:
    return cast("Session", memory)


def marked(memory: StateInMemory) -> dict[str, set[str]]:
    """Return the states of each instance in the former table."""
    states: dict[str, set[str]] = {}
    for instance, state in memory.rows("SELECT instance, state FROM `state`.table_status"):
        states.setdefault(instance, set()).add(state)
    return states


@pytest.mark.parametrize("killed_after", range(len(migration_3.statements("state")) + 1))
def test_every_record_is_kept(memory: StateInMemory, killed_after: int) -> None:
    statements = migration_3.statements("state")
    for statement in statements[:killed_after]:
        memory.execute(statement)
    assert migration_3.load_records(session_of(memory), "state", "db1", {"table_status"}) == EXPECTED
    for statement in statements:
        memory.execute(statement)
    assert TableLifecycle(session_of(memory), "state", "db1").load() == EXPECTED
    assert marked(memory) == {instance: {migration_3.MARK} for instance in ("db1", "bin", "str")}
    migration_3.check_former_table(session_of(memory), "state")


def test_a_command_that_only_reads_sees_the_same_before_and_after_it(memory: StateInMemory) -> None:
    before = {"binlog_position", "table_status"}
    assert migration_3.load_records(session_of(memory), "state", "db1", before) == EXPECTED
    for statement in migration_3.statements("state"):
        memory.execute(statement)
    assert migration_3.load_records(session_of(memory), "state", "db1", {"table_state"}) == EXPECTED
    assert migration_3.load_records(session_of(memory), "state", "db1", set()) == {}


def test_what_an_older_release_deletes_after_a_killed_migration_does_not_come_back(memory: StateInMemory) -> None:
    emptied, copied, *_ = migration_3.statements("state")
    memory.execute(emptied)
    memory.execute(copied)
    memory.execute("DELETE FROM `state`.table_status WHERE instance = 'db1' AND table_name = 'copied'")
    for statement in migration_3.statements("state"):
        memory.execute(statement)
    expected = {name: record for name, record in EXPECTED.items() if name.table != "copied"}
    assert TableLifecycle(session_of(memory), "state", "db1").load() == expected != EXPECTED


def test_records_of_this_release_stay_if_the_former_table_was_always_empty(memory: StateInMemory) -> None:
    for statement in migration_3.statements("state"):
        memory.execute(statement)
    memory.execute("DELETE FROM `state`.table_status")
    for statement in migration_3.statements("state"):
        memory.execute(statement)
    assert TableLifecycle(session_of(memory), "state", "db1").load() == EXPECTED


def test_a_broken_record_is_named_with_its_table(memory: StateInMemory) -> None:
    memory.execute("UPDATE `state`.table_status SET state = 'asleep' WHERE table_name = 'copied'")
    with pytest.raises(StateBroken, match=r"table_status has a record of shop\.copied") as broken:
        migration_3.load_records(session_of(memory), "state", "db1", {"table_status"})
    assert str(broken.value.hint).startswith("UPDATE `state`.table_status SET state = 'quarantined'")


def test_the_mark_is_no_state() -> None:
    with pytest.raises(ValueError, match=migration_3.MARK):
        TableState(migration_3.MARK)
    assert len(migration_3.MARK) <= 16


def test_what_an_older_release_writes_after_it_is_noticed(memory: StateInMemory) -> None:
    for statement in migration_3.statements("state"):
        memory.execute(statement)
    memory.execute("UPDATE `state`.table_status SET state = 'quarantined' WHERE instance = 'bin'")
    with pytest.raises(StateBroken, match=r"as bin$") as broken:
        migration_3.check_former_table(session_of(memory), "state")
    assert "DELETE FROM `state`.table_status WHERE state <> 'see table_state'" in str(broken.value.hint)
