"""How the plan that runs is compared with the plan that was shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replica_cli.core.names import TableName
from replica_cli.core.reports.transfer import CopyMethod, PlannedTable, TableAction
from replica_cli.transfer.planning.plan_changes import compare_plans


def table(name: str, action: TableAction = TableAction.CREATE, method: CopyMethod = CopyMethod.RANGES) -> PlannedTable:
    return PlannedTable(TableName("shop", name), TableName("copy", name), action, method)


def test_the_same_plan_has_no_difference() -> None:
    tables = [table("a"), table("b", TableAction.REPLACE)]
    changes = compare_plans(tables, list(reversed(tables)))
    assert changes.lines == ()
    assert changes.replaced == ()


def test_estimates_and_ranges_are_no_difference() -> None:
    shown = table("a")
    assert compare_plans([shown], [replace(shown, rows_estimated=99, bytes_estimated=999, ranges=8)]).lines == ()


def test_each_kind_of_difference_is_one_line_with_the_names() -> None:
    shown = [table("gone"), table("filled"), table("paged")]
    current = [table("new"), table("filled", TableAction.FILL), table("paged", method=CopyMethod.SNAPSHOT)]
    assert compare_plans(shown, current).lines == (
        "1 table was added to the plan: shop.new",
        "1 table was removed from the plan: shop.gone",
        "1 table was given another action: shop.filled (create, now fill)",
        "1 table was given another method: shop.paged (ranges, now snapshot)",
    )


def test_the_first_tables_are_named_and_all_are_counted() -> None:
    lines = compare_plans([], [table(f"t{number}") for number in range(12)]).lines
    assert lines == ("12 tables were added to the plan: shop.t0, shop.t1, shop.t2 and 9 more",)


@pytest.mark.parametrize("before", [None, *(action for action in TableAction if action is not TableAction.REPLACE)])
def test_rows_that_were_not_shown_as_replaced_are_found(before: TableAction | None) -> None:
    shown = [table("a", before)] if before is not None else []
    current = [table("a", TableAction.REPLACE)]
    assert compare_plans(shown, current).replaced == (TableName("shop", "a"),)
    # An unfinished copy of this program wrote these rows.
    assert compare_plans(shown, current, {TableName("shop", "a")}).replaced == ()


def test_a_table_that_was_shown_as_replaced_may_be_replaced() -> None:
    tables = [table("a", TableAction.REPLACE)]
    assert compare_plans(tables, tables).replaced == ()


@pytest.mark.parametrize("now", [action for action in TableAction if action is not TableAction.REPLACE])
def test_other_actions_delete_no_rows(now: TableAction) -> None:
    assert compare_plans([table("a", TableAction.REPLACE)], [table("a", now)]).replaced == ()
