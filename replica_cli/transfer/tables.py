"""Make, fill and close one table on the secondary; closing it sets the end of its replay window."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.checkpoint.progress import ProgressStore, RangeProgress
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.checkpoint.table_records import EndedCopy, NewCopy
from replica_cli.core.reports.transfer import CopyMethod, TableAction
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
    """Which indexes a table was made with; UNKNOWN if an earlier run made it."""

    UNKNOWN = "unknown"
    ALL = "all"
    WITHOUT_DEFERRED = "without deferred"


class TableRun:
    """One table while it is copied. `lock` guards what several workers change.

    Attributes:
        start: the position at which the copy of the table starts, None if it is not known yet.
        group: the tables that are read in one snapshot with this table, itself included.
        must_repeat: another run must copy the table again, for example because a table of its group was altered.
        mode: the index in ROW_MODES of the mode in which rows are written.
        is_accepted: the secondary can make this definition, or no table would be lost.
        reason: why the table is copied.
        has_progress: `transfer_progress` may have rows of this table.
        rows_at_once: how many rows the first chunk of the next range may have, 0 if no range was read yet.
        ranges: ranges that this run has written to the state schema and that no worker has taken yet.
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
        """Return the name on the primary."""
        return self.planned.name

    @property
    def target(self) -> TableName:
        """Return the name on the secondary."""
        return self.planned.target

    @property
    def reads_whole(self) -> bool:
        """Return True if all rows are read at one moment. Such a copy has no replay window."""
        return self.planned.method is CopyMethod.SNAPSHOT

    def begin_again(self, source: SourceTable) -> None:
        """Take the new definition for the next attempt. A table that now has no key is read in one snapshot."""
        self.source, self.is_altered, self.is_accepted = source, False, False
        if source.key is None:
            self.planned = replace(self.planned, method=CopyMethod.SNAPSHOT, ranges=1, key=())

    @property
    def is_given_up(self) -> bool:
        """Return True if work on the ranges of this table can end: it failed, or its copy begins again."""
        return self.is_altered or self.must_repeat or self.failure is not None


@contextmanager
def locked_table(reader: Session, facts: ServerFacts, name: TableName) -> Iterator[Position]:
    """Hold the table's read lock while the context lasts, because its engine has no snapshots."""
    reader.execute(f"LOCK TABLES {quote_table(name)} READ")
    try:
        yield current_position(reader, facts)
    finally:
        reader.execute("UNLOCK TABLES")


def split(reader: Session, run: TableRun, plan: CopyPlan) -> tuple[RangeProgress, ...]:
    """Return the ranges of a table, cut at keys of rows.

    If the server's estimates give no good cuts, the copy walks along the index in steps of equal numbers of rows.
    """
    key, count = run.source.key, run.planned.ranges
    if key is None or count < 2:
        return (RangeProgress(1),)
    with noticing_ddl():
        cuts = find_cuts(reader, run.source.definition, key, count)
        if cuts is None:
            cuts = _cuts_by_walking(reader, run, key, plan)
    keys = [None, *map(join_literals, cuts), None]
    pairs = itertools.pairwise(keys)
    return tuple(RangeProgress(n, low, high) for n, (low, high) in enumerate(pairs, start=1))


def _cuts_by_walking(reader: Session, run: TableRun, key: PagingKey, plan: CopyPlan) -> list[KeyLiterals]:
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
    """Write the table's record and its ranges in one transaction. Its former progress must be deleted before."""
    run.has_progress = True
    store_arguments = (plan.state_schema, plan.instance)
    copy = NewCopy(run.name, run.reason, run.start)
    started = TableLifecycle(secondary, *store_arguments).copy_started_statement(copy)
    begin = ProgressStore(secondary, *store_arguments).begin_statement(run.name, run.source.fingerprint, ranges)
    secondary.execute_as_one([started, begin])


def add_foreign_keys(secondary: Session, run: TableRun) -> None:
    """Add the foreign keys that do not exist yet. Rows are not checked, because they are of different moments."""
    statements = run.source.statements.foreign_keys
    if not statements:
        return
    existing = read_table(secondary, run.target)
    clauses = [f"CONSTRAINT {quote(k.name)} FOREIGN KEY" for k in existing.foreign_keys] if existing else []
    for statement in statements:
        if not any(clause in statement for clause in clauses):
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
    """Save the end of the replay window of each finished table; delete its progress in the same transaction.

    If the stream has passed the start of a table meanwhile (the plan says `joins`, or the `saved` position says so),
    the table still needs a catch-up.
    """
    tables = TableLifecycle(secondary, plan.state_schema, plan.instance)
    progress = ProgressStore(secondary, plan.state_schema, plan.instance)
    secondary.begin()
    progress.forget(*(run.name for run in runs))
    copies = []
    for run in runs:
        if run.start is None:  # gone from the primary before its copy began: another run copies it
            continue
        # A snapshot shows one moment, so no change in the log overlaps with it.
        window_end = run.start if run.reads_whole else end
        must_catch_up = plan.joins or _is_passed(run.start, saved)
        copies.append(EndedCopy(run.name, run.start, window_end, row_counts.get(run.name, 0), must_catch_up))
    tables.end_copies(copies)


def _is_passed(start: Position, saved: SavedPosition | None) -> bool:
    """Return True if the stream has saved a position after `start`."""
    return saved is not None and not start.at_least(saved.position)
