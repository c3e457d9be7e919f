"""What a copy does with each table: decided from plain data, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from replica_cli.core.errors import UnfinishedTransfer
from replica_cli.core.position import Position
from replica_cli.core.reports.transfer import CopyMethod, TableAction
from replica_cli.core.requests.transfer import TransferMode
from replica_cli.core.settings import TransferSettings
from replica_cli.core.status import TableState
from replica_cli.transfer.errors import TablesMissing, TablesOccupied
from replica_cli.transfer.planning.cascade_groups import find_cascade_groups
from replica_cli.transfer.planning.plan import (
    SPLIT_ROWS,
    TablePlan,
    _definition_warnings,
    _mode_to_plan,
    _restart_warnings,
    is_done_already,
    plan_tables,
)
from replica_cli.transfer.planning.secondary_state import SecondaryState
from tests.unit.transfer.planned import START, definition, name, primary_table, progress, record, target

if TYPE_CHECKING:
    from replica_cli.core.table import TableName

SETTINGS = TransferSettings(workers=4)


def plan(state: SecondaryState, *, is_resumed: bool = False, key: tuple[str, ...] = ("id",)) -> TablePlan:
    """Return the plan of the table `t`."""
    (planned,) = plan_tables([definition(primary_table("t", key=key))], state, SETTINGS, is_resumed=is_resumed)
    return planned


def actions(plans: tuple[TablePlan, ...]) -> dict[str, str]:
    return {p.planned.name.table: f"{p.planned.action} {p.planned.method}" for p in plans}


@pytest.mark.parametrize(
    ("targets", "action"),
    [
        ({}, TableAction.CREATE),
        ({target("other"): True}, TableAction.CREATE),
        ({target("t"): False}, TableAction.FILL),
        ({target("t"): True}, TableAction.REPLACE),
    ],
)
def test_what_exists_on_the_secondary_decides_the_action(targets: dict[TableName, bool], action: TableAction) -> None:
    planned = plan(SecondaryState(targets=targets)).planned
    assert (planned.action, planned.name, planned.target) == (action, name("t"), target("t"))


def resumed(**changes: object) -> SecondaryState:
    """Return the state of a copy of `t` that was interrupted; `changes` replace its record, progress or targets."""
    values = {
        "records": {name("t"): record("t")},
        "progress": {name("t"): progress(b"(7)", b"(9)", rows=7)},
        "targets": {target("t"): True},
    }
    return SecondaryState(**{**values, **changes})  # type: ignore[arg-type]


def test_an_interrupted_copy_is_continued_where_it_stopped() -> None:
    planned = plan(resumed(), is_resumed=True)
    assert planned.start == START
    assert planned.planned.action is TableAction.CONTINUE
    assert (planned.planned.ranges, planned.planned.rows_copied) == (2, 14)


def test_a_table_whose_rows_are_all_copied_is_done() -> None:
    verified = {name("t"): progress(b"(7)", is_verified=True)}
    planned = plan(resumed(progress=verified), is_resumed=True)
    assert (planned.planned.action, planned.start, planned.planned.ranges) == (TableAction.DONE, START, 1)
    # Also without a key, whose copy has no last key: no row is read again.
    verified = {name("t"): progress(None, is_verified=True)}
    assert plan(resumed(progress=verified), is_resumed=True, key=()).planned.action is TableAction.DONE


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": {name("t"): progress(b"(7)", fingerprint="as it was then")}},
        {"progress": {name("t"): progress(b"(7)", fingerprint="as it was then", is_verified=True)}},
        {"progress": {name("t"): progress(b"(7, 8)")}},
        {"progress": {}},
        {"records": {name("t"): record("t", start=None)}},
        {"records": {}},
    ],
    ids=["other definition", "other definition, all rows", "other key", "no progress", "no start", "no record"],
)
def test_a_copy_that_cannot_be_continued_begins_again(changes: dict[str, object]) -> None:
    planned = plan(resumed(**changes), is_resumed=True)
    assert planned.planned.action is TableAction.REPLACE
    assert (planned.start, planned.planned.rows_copied) == (None, 0)


def test_a_resumed_table_that_is_gone_from_the_secondary_is_created() -> None:
    assert plan(resumed(targets={}), is_resumed=True).planned.action is TableAction.CREATE


def test_a_copy_that_is_not_resumed_continues_nothing() -> None:
    assert plan(resumed()).planned.action is TableAction.REPLACE


def test_a_table_without_a_key_is_read_in_one_snapshot_and_is_never_continued() -> None:
    planned = plan(SecondaryState(), key=()).planned
    assert (planned.method, planned.key, planned.ranges) == (CopyMethod.SNAPSHOT, (), 1)
    keyless = {name("t"): progress(None)}
    assert plan(resumed(progress=keyless), is_resumed=True, key=()).planned.action is TableAction.REPLACE


def test_tables_that_are_large_among_the_others_have_more_ranges() -> None:
    tables = [
        primary_table("large", rows=1_000_000, size=800_000_000),
        primary_table("middle", rows=100_000, size=80_000_000),
        primary_table("small", rows=SPLIT_ROWS - 1, size=8_000_000),
        primary_table("bare", rows=1_000_000, size=8_000_000, key=()),
    ]
    plans = plan_tables([definition(table) for table in tables], SecondaryState(), SETTINGS)
    assert {p.planned.name.table: p.planned.ranges for p in plans} == {"large": 8, "middle": 2, "small": 1, "bare": 1}
    (alone,) = plan_tables([definition(tables[1])], SecondaryState(), SETTINGS)
    # No range has fewer than half of SPLIT_ROWS rows.
    assert alone.planned.ranges == 4


def group_plans(state: SecondaryState, *, is_resumed: bool = False) -> tuple[TablePlan, ...]:
    tables = [primary_table("parent"), primary_table("child", parents=["parent"]), primary_table("alone")]
    groups = find_cascade_groups({table.name: table for table in tables})
    return plan_tables([definition(table) for table in tables], state, SETTINGS, groups, is_resumed=is_resumed)


def test_a_cascade_group_is_read_in_one_snapshot() -> None:
    plans = group_plans(SecondaryState(targets={target("child"): False}))
    assert actions(plans) == {"parent": "create snapshot", "child": "fill snapshot", "alone": "create ranges"}
    # The key is shown nevertheless: the rows are read along it, inside the snapshot.
    assert [p.planned.key for p in plans] == [("id",)] * 3


def test_a_cascade_group_is_continued_only_if_all_of_it_is_copied() -> None:
    tables = ("parent", "child", "alone")
    records = {name(table): record(table) for table in tables}
    targets = {target(table): True for table in tables}
    done = {name(table): progress(b"(7)", is_verified=True) for table in tables}
    state = SecondaryState(records, done, has_position=True, targets=targets)
    assert actions(group_plans(state, is_resumed=True)) == {
        "parent": "done snapshot", "child": "done snapshot", "alone": "done ranges",
    }  # fmt: skip
    partly = SecondaryState(records, {**done, name("child"): progress(b"(7)")}, has_position=True, targets=targets)
    plans = group_plans(partly, is_resumed=True)
    assert actions(plans) == {"parent": "replace snapshot", "child": "replace snapshot", "alone": "done ranges"}
    assert [(p.start, p.planned.rows_copied) for p in plans] == [(None, 0), (None, 0), (START, 7)]


def test_a_table_that_refers_to_itself_is_a_group() -> None:
    tree = primary_table("tree", parents=["tree"])
    groups = find_cascade_groups({tree.name: tree})
    (planned,) = plan_tables([definition(tree)], SecondaryState(), SETTINGS, groups)
    assert planned.planned.method is CopyMethod.SNAPSHOT


def done(state: SecondaryState, mode: TransferMode = TransferMode.NEW, *, is_full: bool = True) -> bool:
    tables = [definition(primary_table("a")), definition(primary_table("b"))]
    return is_done_already(plan_tables(tables, state, SETTINGS), state, "db2", mode, is_full=is_full)


BOTH = {target("a"): True, target("b"): False}


def test_a_first_copy_is_refused_if_tables_hold_rows() -> None:
    state = SecondaryState(targets=BOTH, other_instances=("db9",))
    with pytest.raises(TablesOccupied) as refused:
        done(state)
    assert refused.value.tables == (target("a"),)
    assert "db9" in (refused.value.hint or "")
    # These may replace them.
    assert not done(state, TransferMode.RESTART)
    assert not done(state, is_full=False)


def test_a_first_copy_was_made_if_there_is_a_position_and_each_table_exists() -> None:
    assert done(SecondaryState(has_position=True, targets=BOTH))
    assert not done(SecondaryState(has_position=True))
    assert not done(SecondaryState(targets={target("a"): False}))
    assert not done(SecondaryState(has_position=True, targets=BOTH), TransferMode.RESTART)


def test_missing_and_quarantined_tables_are_named_after_the_first_copy() -> None:
    with pytest.raises(TablesMissing, match=r"shop\.b"):
        done(SecondaryState(has_position=True, targets={target("a"): True}))
    quarantined = {name("b"): record("b", TableState.QUARANTINED)}
    with pytest.raises(TablesMissing, match=r"shop\.b"):
        done(SecondaryState(quarantined, has_position=True, targets=BOTH))
    # A quarantined table that does not exist is named once.
    with pytest.raises(TablesMissing) as missing:
        done(SecondaryState(quarantined, has_position=True, targets={target("a"): True}))
    assert missing.value.message.count("shop.b") == 1


def test_a_resumed_copy_is_done_if_nothing_is_unfinished() -> None:
    assert done(SecondaryState(has_position=True, targets=BOTH), TransferMode.RESUME)
    assert not done(SecondaryState({name("a"): record("a")}, targets=BOTH), TransferMode.RESUME)


def test_a_resume_without_any_state_is_a_new_copy() -> None:
    mode = TransferMode.RESUME
    assert _mode_to_plan(mode, SecondaryState(), "db2", is_full=True) is TransferMode.NEW
    assert _mode_to_plan(mode, SecondaryState(has_position=True), "db2", is_full=True) is mode
    assert _mode_to_plan(mode, resumed(), "db2", is_full=True) is mode


def test_a_new_copy_is_refused_while_another_is_unfinished() -> None:
    with pytest.raises(UnfinishedTransfer, match="1 table"):
        _mode_to_plan(TransferMode.NEW, resumed(), "db2", is_full=True)
    # Named tables are copied nevertheless, and a restart discards what is unfinished.
    assert _mode_to_plan(TransferMode.NEW, resumed(), "db2", is_full=False) is TransferMode.NEW
    assert _mode_to_plan(TransferMode.RESTART, resumed(), "db2", is_full=True) is TransferMode.RESTART


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (("id",), "shop.t: its copy begins again, as its definition or the filters have changed"),
        ((), "shop.t: its copy begins again, as all its rows are read in one snapshot"),
    ],
)
def test_rows_that_are_copied_again_are_warned_about(key: tuple[str, ...], reason: str) -> None:
    state = resumed(progress={name("t"): progress(b"(7)", fingerprint="as it was then")})
    assert _restart_warnings([plan(state, is_resumed=True, key=key)], state) == [reason]
    nothing = resumed(progress={name("t"): progress(None, fingerprint="as it was then", rows=0)})
    assert _restart_warnings([plan(nothing, is_resumed=True, key=key)], nothing) == []


def test_what_the_copy_makes_otherwise_is_warned_about() -> None:
    tables = [definition(primary_table("n")), definition(primary_table("t"))]
    assert _definition_warnings(tables) == ["shop.n: its comment is left out"]


def test_the_state_names_what_is_unfinished_and_what_is_quarantined() -> None:
    records = {name(state.value): record(state.value, state, Position("binlog.000001", 4)) for state in TableState}
    state = SecondaryState(records)
    assert state.unfinished == {name("pending"), name("copying")}
    assert state.quarantined == (name("quarantined"),)
