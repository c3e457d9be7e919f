"""One table's life on the secondary: made, filled, closed with its replay window."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.tables import TableRecord, TableStore
from replica_cli.core.reports.transfer import CopyMethod, TableAction
from replica_cli.core.status import TableState
from replica_cli.mysql.binlog import current_position
from replica_cli.mysql.catalog import read_table
from replica_cli.sqlbuilder.chunks import after, join_literals
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.transfer.cuts import find_cuts
from replica_cli.transfer.modes import make
from replica_cli.transfer.reading import RangeReader, noticing_ddl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.chunks import KeyLiterals, PagingKey
    from replica_cli.transfer.plan import CopyPlan, TablePlan
    from replica_cli.transfer.source import SourceTable


class KeysMade(Enum):
    """Which indexes a table was made with; not known of one that an earlier run has made."""

    UNKNOWN = "unknown"
    ALL = "all"
    WITHOUT_DEFERRED = "without deferred"


class TableRun:
    """One table while it is copied. `lock` guards what several workers touch.

    `group` are the tables that are read in one snapshot with it, itself among them; `must_repeat`: one of them was
    altered, and all are to be copied again. `mode`: the number among ROW_MODES in which its rows are written.
    `is_accepted`: the secondary makes a table of this definition, or has none to lose. `reason`: why it is copied.
    `has_progress`: `transfer_progress` may have rows of this table.
    `rows_at_once`: how many rows the next chunk of its next range may have, 0 if no range was read yet. `ranges`: those
    that this run has written and that no worker has taken yet.
    """

    def __init__(self, plan: TablePlan) -> None:
        self.lock = threading.Lock()
        self.planned = plan.planned
        self.source: SourceTable = plan.source
        self.start: Position | None = plan.start
        self.open_ranges = 0
        self.is_altered = False
        self.is_finished = False
        self.restarts = 0
        self.failure: str | None = None
        self.group: tuple[TableRun, ...] = (self,)
        self.must_repeat = False
        self.mode = 0
        self.is_accepted = plan.planned.action is TableAction.CREATE
        self.reason = ""
        self.has_progress = plan.planned.action in (TableAction.CONTINUE, TableAction.DONE)
        self.keys = KeysMade.UNKNOWN
        self.rows_at_once = 0
        self.ranges: dict[int, RangeProgress] = {}

    @property
    def name(self) -> TableName:
        """Return the primary's name."""
        return self.planned.name

    @property
    def target(self) -> TableName:
        """Return the secondary's name."""
        return self.planned.target

    @property
    def reads_whole(self) -> bool:
        """Say whether all of its rows are read at one moment: such a copy has no replay window."""
        return self.planned.method is CopyMethod.SNAPSHOT

    def begin_again(self, source: SourceTable) -> None:
        """Take the new definition for the next attempt. A table without a key is read in one snapshot from now on."""
        self.source, self.is_altered, self.is_accepted = source, False, False
        if source.key is None:
            self.planned = replace(self.planned, method=CopyMethod.SNAPSHOT, ranges=1, key=())

    @property
    def is_given_up(self) -> bool:
        """Say whether ranges of this table need not go on: it failed, or it begins anew."""
        return self.is_altered or self.must_repeat or self.failure is not None


@contextmanager
def locked_table(reader: Session, facts: ServerFacts, name: TableName) -> Iterator[Position]:
    """Hold a table's read lock for as long as it is read: its engine knows no snapshot."""
    reader.execute(f"LOCK TABLES {quote_table(name)} READ")
    try:
        yield current_position(reader, facts)
    finally:
        reader.execute("UNLOCK TABLES")


def split(reader: Session, run: TableRun, plan: CopyPlan) -> tuple[RangeProgress, ...]:
    """Return a table's ranges, cut at real keys.

    If the server's estimates give no good cuts, the index is walked along in steps of equal rows.
    """
    key, count = run.source.key, run.planned.ranges
    if key is None or count < 2:
        return (RangeProgress(1),)
    with noticing_ddl():
        cuts = find_cuts(reader, run.source.definition, key, count)
        if cuts is None:
            cuts = _walked(reader, run, key, plan)
    keys = [None, *map(join_literals, cuts), None]
    pairs = itertools.pairwise(keys)
    return tuple(RangeProgress(n, low, high) for n, (low, high) in enumerate(pairs, start=1))


def _walked(reader: Session, run: TableRun, key: PagingKey, plan: CopyPlan) -> list[KeyLiterals]:
    definition, count = run.source.definition, run.planned.ranges
    ranges = RangeReader(reader, definition, key, chunk_rows=plan.settings.chunk_rows, packet_limit=plan.packet_limit)
    cuts: list[KeyLiterals] = []
    step = max(1, definition.estimated_rows // count)
    while len(cuts) < count - 1:
        cut = ranges.boundary(after(key, cuts[-1]) if cuts else "", step - 1)
        if cut is None:
            break
        cuts.append(cut)
    return cuts


def begin_table(secondary: Session, plan: CopyPlan, run: TableRun, ranges: tuple[RangeProgress, ...]) -> None:
    """Write the table's record and its ranges in one transaction, after its former progress was forgotten."""
    run.has_progress = True
    place = (plan.state_schema, plan.instance)
    record = TableRecord(run.name, TableState.COPYING, run.start, reason=run.reason)
    save = TableStore(secondary, *place).save_statement(record)
    begin = ProgressStore(secondary, *place).begin_statement(run.name, run.source.fingerprint, ranges)
    secondary.execute_as_one([save, begin])


def add_foreign_keys(secondary: Session, run: TableRun) -> None:
    """Add the foreign keys that are not there yet; rows are not checked, as they are of different moments."""
    statements = run.source.statements.foreign_keys
    if not statements:
        return
    there = read_table(secondary, run.target)
    marks = [f"CONSTRAINT {quote(k.name)} FOREIGN KEY" for k in there.foreign_keys] if there else []
    for statement in statements:
        if not any(mark in statement for mark in marks):
            make(secondary, statement, run.target, is_foreign_key=True)


def close_tables(
    secondary: Session,
    plan: CopyPlan,
    runs: list[TableRun],
    *,
    end: Position,
    saved: SavedPosition | None,
    row_counts: dict[TableName, int],
) -> None:
    """Give every finished table the end of its replay window; what was needed to resume it goes in the same commit.

    A table from whose start the stream has gone on meanwhile (the plan says `joins`, or the `saved` position says so)
    has still to be brought up to it.
    """
    tables = TableStore(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    progress.forget(*(run.name for run in runs))
    records = []
    for run in runs:
        if run.start is None:  # gone from the primary before its copy began: it is copied in another turn
            continue
        # A snapshot saw one moment: nothing in the log overlaps it.
        closing = run.start if run.reads_whole else end
        state = TableState.JOINING if plan.joins or _is_behind(run.start, saved) else TableState.COPIED
        records.append(TableRecord(run.name, state, run.start, closing, row_count=row_counts.get(run.name, 0)))
    tables.save_and_commit(records)


def _is_behind(start: Position, saved: SavedPosition | None) -> bool:
    if saved is None or start == saved.position:
        return False
    if start.file and saved.position.file:
        return start.order < saved.position.order
    return start.gtid != saved.position.gtid
