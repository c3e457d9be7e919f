"""How far an instance is behind, and how far a copy is, from plain data."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from replica_cli.checkpoint.beats import Beat, _transfer_data
from replica_cli.checkpoint.progress import TableCount
from replica_cli.checkpoint.table_records import TableRecord
from replica_cli.core.position import Position
from replica_cli.core.status import CopyProgress, CopyStatus, CopyStep, Phase, TableProgress, TableState
from replica_cli.health.copy_status import copy_status, read_progress
from replica_cli.health.distance import Distance, distance_bytes, measure
from replica_cli.health.primary import PrimaryView
from replica_cli.health.secondary import InstanceState
from tests.unit.health.states import END, FILES, ITEMS, NOW, SALES, SAVED, beat, facts, primary, saved_at, state

UNKNOWN = Distance(is_reached=False)


@pytest.mark.parametrize(
    ("saved", "size"),
    [
        (Position("bin.000003", 500), 0),
        (Position("bin.000003", 100), 400),
        (Position("bin.000002", 2000), 500),
        (Position("bin.000001", 400), 600 + 2000 + 500),
        (Position("bin.000000", 4), None),  # purged
        (Position("", 0, "0-1-5"), None),
    ],
)
def test_the_size_is_that_of_the_log_after_the_position(saved: Position, size: int | None) -> None:
    assert distance_bytes(FILES, saved, END) == size


@pytest.mark.parametrize(
    ("view", "now"),
    [
        (primary(), InstanceState()),
        (PrimaryView(facts(), NOW), state()),
        (PrimaryView(None, NOW, END, FILES), state()),
        (
            primary(),
            replace(
                state(), saved=replace(SAVED, transaction_count=0), tables=(TableRecord(ITEMS, TableState.PENDING),)
            ),
        ),
    ],
    ids=["no-position", "no-end", "no-facts", "first-copy"],
)
def test_the_distance_is_unknown_if_one_end_is(view: PrimaryView, now: InstanceState) -> None:
    assert measure(view, now) == UNKNOWN


def test_a_lost_position_has_no_distance() -> None:
    assert measure(primary(), state(), is_lost=True) == UNKNOWN


def test_what_has_reached_the_end_has_no_lag() -> None:
    assert measure(primary(), saved_at(END)) == Distance(is_reached=True, size_bytes=0, seconds=0.0)


@pytest.mark.parametrize(
    ("now", "oldest", "seconds"),
    [
        # What a running stream says, with the age of its heartbeat.
        (state(lag_seconds=4.0), None, 5.0),
        (state(lag_seconds=4.0), int(NOW) - 30, 5.0),
        # Nothing else: an old heartbeat, one of a stream that does not stream, or none.
        (state(age=3.0, lag_seconds=4.0), int(NOW) - 30, 30.0),
        (state(Phase.PAUSED, lag_seconds=4.0), int(NOW) - 30, 30.0),
        (saved_at(SAVED.position), int(NOW) - 30, 30.0),
        # The log was not read: the last applied transaction, and before the first one the position row.
        (saved_at(SAVED.position), None, 60.0),
        (saved_at(SAVED.position, source_time=0), None, 90.0),
        # The clocks of two servers are not compared: no negative lag.
        (saved_at(SAVED.position), int(NOW) + 30, 0.0),
    ],
)
def test_the_lag_is_the_best_that_is_known(now: InstanceState, oldest: int | None, seconds: float) -> None:
    assert measure(primary(), now, oldest=oldest).seconds == seconds


class TestCopy:
    RECORDS = (TableRecord(ITEMS, TableState.COPYING), TableRecord(SALES, TableState.PENDING))
    COUNTS = {ITEMS: TableCount(10, 1000, has_all_rows=False)}  # noqa: RUF012 - never changed

    @staticmethod
    def reported(*tables: TableProgress, totals: CopyStatus | None = None) -> Beat:
        """Return a heartbeat as the process of a copy writes it."""
        progress = CopyProgress("db2", tables, 9.0, 7.0, totals=totals)
        return beat(Phase.TRANSFERRING, transfer=json.loads(json.dumps(_transfer_data(progress))))

    def test_a_finished_copy_has_no_progress(self) -> None:
        records = (TableRecord(ITEMS, TableState.COPIED), TableRecord(SALES, TableState.QUARANTINED))
        assert read_progress(records, self.COUNTS, None, is_alive=False) == ()
        assert copy_status((), None, is_alive=False) is None

    def test_rows_are_those_of_committed_chunks(self) -> None:
        items, sales = read_progress(self.RECORDS, self.COUNTS, None, is_alive=False)
        assert (items.table, items.rows_copied, items.bytes_copied, items.state) == (
            "shop.items", 10, 1000, TableState.COPYING,
        )  # fmt: skip
        assert (sales.rows_copied, sales.state) == (0, TableState.PENDING)

    def test_a_table_with_all_rows_counts_as_copied_while_nobody_says_otherwise(self) -> None:
        counts = {ITEMS: TableCount(10, 1000, has_all_rows=True)}
        (items, _) = read_progress(self.RECORDS, counts, None, is_alive=False)
        assert items.state is TableState.COPIED

    def test_a_joining_table_is_copied(self) -> None:
        (items,) = read_progress((TableRecord(ITEMS, TableState.CATCHING_UP, row_count=10),), {}, None, is_alive=False)
        assert (items.state, items.rows_copied) == (TableState.COPIED, 10)

    def test_steps_and_estimates_come_from_the_heartbeat(self) -> None:
        told = TableProgress("shop.items", rows_estimated=40, state=TableState.COPYING, step=CopyStep.INDEXES)
        now = self.reported(told)
        (items, _) = read_progress(self.RECORDS, self.COUNTS, now, is_alive=True)
        assert (items.rows_estimated, items.step) == (40, CopyStep.INDEXES)
        # A process that has ended is at no step any more. Its estimate is still the best one.
        (items, _) = read_progress(self.RECORDS, self.COUNTS, now, is_alive=False)
        assert (items.rows_estimated, items.step) == (40, CopyStep.ROWS)

    def test_only_a_running_process_has_a_rate(self) -> None:
        tables = read_progress(self.RECORDS, self.COUNTS, None, is_alive=False)
        now = self.reported()
        rates = [copy_status(tables, now, is_alive=is_alive) for is_alive in (True, False)]
        assert [status and status.rows_per_second for status in rates] == [7.0, None]

    def test_a_heartbeat_of_another_version_is_no_error(self) -> None:
        for transfer in ({}, {"tables": 7}, "x", [1]):
            now = beat(Phase.TRANSFERRING, transfer=transfer)
            assert now.transfer is None or isinstance(now.transfer, CopyProgress)
            assert len(read_progress(self.RECORDS, self.COUNTS, now, is_alive=True)) == 2

    def test_the_sum_of_a_copy_of_many_tables_is_never_less_than_its_rows(self) -> None:
        tables = read_progress(self.RECORDS, self.COUNTS, None, is_alive=False)
        for estimate, expected in ((90, 90), (3, 10)):
            now = self.reported(totals=CopyStatus(2, 0, rows_copied=10, rows_estimated=estimate, rows_per_second=7.0))
            status = copy_status(tables, now, is_alive=True)
            assert status is not None
            assert status.rows_estimated == expected
