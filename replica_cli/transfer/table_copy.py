"""The state of one table while it is copied, and the changes that this state may have."""

from __future__ import annotations

import threading
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from replica_cli.core.reports.transfer import CopyMethod, TableAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replica_cli.checkpoint.progress import RangeProgress
    from replica_cli.core.position import Position
    from replica_cli.core.reports.transfer import PlannedTable
    from replica_cli.core.table import TableName
    from replica_cli.transfer.planning.copy_definition import CopyDefinition
    from replica_cli.transfer.planning.plan import TablePlan


class KeysMade(Enum):
    """Which indexes a table was made with; UNKNOWN if an earlier run made it."""

    UNKNOWN = "unknown"
    ALL = "all"
    WITHOUT_DEFERRED = "without deferred"


class TableCopy:
    """One table while it is copied: its plan, its definition, and what became of it until now.

    A table is being copied until `finish`, `give_up` or `repeat_later` is called. If it was altered on the primary
    (`note_altered`), the worker that ends its last range lets it `begin_again`.

    All methods may be called from any thread: each change is made under the table's own lock, which is held for no
    longer than that. Only the copy's main thread calls `join` and `explain`, before the workers begin, and
    `discard_result` and `leave_open`, after they have ended. A single value is read without the lock.
    """

    def __init__(self, plan: TablePlan) -> None:
        self._lock = threading.Lock()
        self._planned = plan.planned
        self._definition = plan.definition
        self._start = plan.start
        self._group: tuple[TableCopy, ...] = (self,)
        self._reason = ""
        self._open_ranges = 0
        self._ranges: dict[int, RangeProgress] = {}
        self._restarts = 0
        self._is_altered = False
        self._is_finished = False
        self._must_repeat = False
        self._failure: str | None = None
        self._mode = 0
        self._rows_at_once = 0
        self._is_accepted = plan.planned.action is TableAction.CREATE
        self._has_progress = plan.planned.action in (TableAction.CONTINUE, TableAction.DONE)
        self._keys = KeysMade.UNKNOWN

    # What the table is

    @property
    def planned(self) -> PlannedTable:
        """Return what the plan does with the table."""
        return self._planned

    @property
    def definition(self) -> CopyDefinition:
        """Return the definition with which the table is copied."""
        return self._definition

    @property
    def name(self) -> TableName:
        """Return the name on the primary."""
        return self._planned.name

    @property
    def target(self) -> TableName:
        """Return the name on the secondary."""
        return self._planned.target

    @property
    def start(self) -> Position | None:
        """Return the position at which the copy of the table starts, None if it is not known yet."""
        return self._start

    @property
    def group(self) -> tuple[TableCopy, ...]:
        """Return the tables that are read in one snapshot with this table, itself included."""
        return self._group

    @property
    def reason(self) -> str:
        """Return why the table is copied, empty for a first copy."""
        return self._reason

    @property
    def reads_whole(self) -> bool:
        """Return True if all rows are read at one moment. Such a copy has no replay window."""
        return self._planned.method is CopyMethod.SNAPSHOT

    @property
    def copies_from_start(self) -> bool:
        """Return True if this run copies the table from its beginning."""
        return self._planned.action not in (TableAction.CONTINUE, TableAction.DONE)

    def explain(self, reason: str) -> None:
        """Set why the table is copied."""
        self._reason = reason

    @staticmethod
    def join(tables: Iterable[TableCopy]) -> None:
        """Let tables be read in one snapshot."""
        group = tuple(tables)
        for table in group:
            table._group = group  # noqa: SLF001 - of its own class

    def start_at(self, position: Position | None) -> None:
        """Set the position at which the copy of the table starts."""
        with self._lock:
            self._start = position

    # How the table is made and written

    @property
    def is_accepted(self) -> bool:
        """Return True if the secondary can make this definition, or if no table would be lost."""
        return self._is_accepted

    @property
    def keys(self) -> KeysMade:
        """Return which indexes the table was made with."""
        return self._keys

    @property
    def has_progress(self) -> bool:
        """Return True if `transfer_progress` may have rows of this table."""
        return self._has_progress

    @property
    def mode(self) -> int:
        """Return the index in ROW_MODES of the mode in which rows are written."""
        return self._mode

    @property
    def rows_at_once(self) -> int:
        """Return how many rows the first chunk of the next range may have, 0 if no range was read yet."""
        return self._rows_at_once

    def accept(self) -> None:
        """Record that the secondary can make this definition."""
        with self._lock:
            self._is_accepted = True

    def note_made(self, keys: KeysMade) -> None:
        """Record which indexes the table was made with."""
        with self._lock:
            self._keys = keys

    def note_progress(self) -> None:
        """Record that `transfer_progress` may have rows of this table from this moment."""
        with self._lock:
            self._has_progress = True

    def raise_mode(self, mode: int) -> None:
        """Write later rows in this mode, unless another worker has chosen a later one."""
        with self._lock:
            self._mode = max(self._mode, mode)

    def note_chunk_rows(self, rows: int) -> None:
        """Record how many rows the next chunk may have."""
        with self._lock:
            self._rows_at_once = rows

    # Its ranges

    def open_ranges(self, count: int) -> None:
        """Set how many ranges workers will copy, whose progress is in the state schema only."""
        with self._lock:
            self._open_ranges = count

    def begin_ranges(self, ranges: Sequence[RangeProgress]) -> None:
        """Set the ranges that workers will copy, and that this run has just written to the state schema."""
        with self._lock:
            self._open_ranges = len(ranges)
            self._ranges = {r.number: r for r in ranges}

    def take_range(self, number: int) -> RangeProgress | None:
        """Return a range that this run has begun, None if its progress must be read from the state schema."""
        with self._lock:
            return self._ranges.pop(number, None)

    def end_part(self, *, was_range: bool) -> bool:
        """Record that a range, or the whole work on the table, has ended; return True if the table can be finished."""
        with self._lock:
            if was_range:
                self._open_ranges -= 1
            return self._open_ranges <= 0 and self._failure is None and not self._is_finished

    # What becomes of it

    @property
    def is_altered(self) -> bool:
        """Return True if the table was altered on the primary after its copy began."""
        return self._is_altered

    @property
    def is_finished(self) -> bool:
        """Return True if the table is copied, or if the log says what became of it."""
        return self._is_finished

    @property
    def must_repeat(self) -> bool:
        """Return True if another run must copy the table again, for example as a table of its group was altered."""
        return self._must_repeat

    @property
    def failure(self) -> str | None:
        """Return why the table failed, None if it has not failed."""
        return self._failure

    @property
    def is_given_up(self) -> bool:
        """Return True if work on the ranges of this table can end: it failed, or its copy begins again."""
        return self._is_altered or self._must_repeat or self._failure is not None

    def note_altered(self) -> None:
        """Record that the table was altered on the primary after its copy began."""
        with self._lock:
            self._is_altered = True

    @property
    def restarts(self) -> int:
        """Return how often the copy of the table has begun again."""
        return self._restarts

    def count_restart(self) -> int:
        """Count one more restart; return how many there were, with this one."""
        with self._lock:
            self._restarts += 1
            return self._restarts

    def begin_again(self, definition: CopyDefinition) -> None:
        """Take the new definition for the next attempt. A table that now has no key is read in one snapshot."""
        with self._lock:
            self._definition, self._is_altered, self._is_accepted = definition, False, False
            if definition.key is None:
                self._planned = replace(self._planned, method=CopyMethod.SNAPSHOT, ranges=1, key=())

    def finish(self) -> None:
        """Record that the table is copied, or that the log after its start says what became of it."""
        with self._lock:
            self._is_altered, self._is_finished = False, True

    def give_up(self, message: str) -> bool:
        """Record that the table failed; return False if it had failed before, whose message stays."""
        with self._lock:
            is_first = self._failure is None
            if is_first:
                self._failure, self._is_finished = message, False
            return is_first

    def repeat_later(self) -> None:
        """Record that another run must copy the table again."""
        with self._lock:
            self._must_repeat = True

    def leave_open(self) -> None:
        """Record that a stop came before the table was complete."""
        with self._lock:
            self._is_finished = False

    def discard_result(self) -> None:
        """Forget that the table is copied or failed, because another run copies it again."""
        with self._lock:
            self._is_finished, self._failure = False, None
