"""What becomes of one table while it is copied: each change by its name, and from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from replica_cli.checkpoint.progress import RangeProgress
from replica_cli.core.reports.transfer import CopyMethod
from replica_cli.core.settings import TransferSettings
from replica_cli.transfer.planning.plan import plan_tables
from replica_cli.transfer.planning.secondary_state import SecondaryState
from replica_cli.transfer.table_copy import TableCopy
from tests.unit.transfer.planned import START, definition, name, primary_table, progress, record, target

if TYPE_CHECKING:
    from collections.abc import Callable


def table_copy(state: SecondaryState | None = None) -> TableCopy:
    (plan,) = plan_tables(
        [definition(primary_table("t"))], state or SecondaryState(), TransferSettings(), is_resumed=state is not None
    )
    return TableCopy(plan)


def test_a_new_table_has_nothing_that_a_scratch_table_would_save() -> None:
    table = table_copy()
    assert (table.is_accepted, table.has_progress, table.copies_from_start) == (True, False, True)
    assert (table.start, table.reads_whole, table.group) == (None, False, (table,))


def test_a_continued_table_keeps_its_start_and_its_progress() -> None:
    state = SecondaryState({name("t"): record("t")}, {name("t"): progress(b"(7)")}, targets={target("t"): True})
    table = table_copy(state)
    assert (table.start, table.has_progress, table.copies_from_start) == (START, True, False)
    # Its rows would be lost if the definition were refused.
    assert not table.is_accepted


def test_a_table_can_be_finished_after_its_last_range() -> None:
    table = table_copy()
    table.begin_ranges([RangeProgress(1), RangeProgress(2)])
    assert table.take_range(1) == RangeProgress(1)
    assert table.take_range(1) is None
    assert not table.end_part(was_range=True)
    assert table.end_part(was_range=True)
    table.finish()
    assert table.is_finished
    assert not table.end_part(was_range=False)


def test_one_worker_alone_sees_the_end_of_the_last_range() -> None:
    for _ in range(50):
        table = table_copy()
        table.open_ranges(8)
        with ThreadPoolExecutor(8) as pool:
            ends = [pool.submit(table.end_part, was_range=True) for _ in range(8)]
        assert [end.result() for end in ends].count(True) == 1


def test_the_first_failure_stays_and_ends_the_work_on_other_ranges() -> None:
    table = table_copy()
    table.open_ranges(2)
    assert table.give_up("a row is too large")
    assert not table.give_up("the chunk is broken")
    assert (table.failure, table.is_given_up, table.is_finished) == ("a row is too large", True, False)
    assert not table.end_part(was_range=True)
    assert not table.end_part(was_range=True)


def test_a_table_that_fails_after_its_rows_is_not_finished() -> None:
    table = table_copy()
    table.finish()
    assert table.give_up("the foreign key is refused")
    assert not table.is_finished


def test_an_altered_table_begins_again_with_the_new_definition() -> None:
    table = table_copy()
    table.note_altered()
    assert table.is_given_up
    assert table.count_restart() == 1
    table.start_at(START)
    table.begin_again(definition(primary_table("t"), "altered"))
    assert (table.definition.fingerprint, table.start) == ("altered", START)
    assert (table.is_given_up, table.is_accepted, table.reads_whole) == (False, False, False)
    table.begin_again(definition(primary_table("t", key=()), "without a key"))
    assert (table.reads_whole, table.planned.key, table.planned.method) == (True, (), CopyMethod.SNAPSHOT)
    assert table.restarts == 1


def test_a_table_that_is_gone_is_finished_though_it_was_altered() -> None:
    table = table_copy()
    table.note_altered()
    table.finish()
    assert (table.is_altered, table.is_finished) == (False, True)


@pytest.mark.parametrize("end", [TableCopy.finish, lambda table: table.give_up("refused")])
def test_a_table_that_must_be_repeated_loses_its_result(end: Callable[[TableCopy], object]) -> None:
    table = table_copy()
    end(table)
    table.repeat_later()
    assert table.is_given_up
    table.discard_result()
    assert (table.is_finished, table.failure, table.must_repeat) == (False, None, True)


def test_the_latest_mode_of_all_workers_counts() -> None:
    table = table_copy()
    table.raise_mode(2)
    table.raise_mode(1)
    assert table.mode == 2


def test_tables_of_a_group_know_each_other() -> None:
    first, second = table_copy(), table_copy()
    TableCopy.join(iter((first, second)))
    assert first.group == second.group == (first, second)
