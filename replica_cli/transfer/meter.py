"""How far the copy is, for people and monitors: thinned snapshots and a small JSON file."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replica_cli.core.status import (
    TOLD_TABLES,
    CopiedTable,
    CopyStatus,
    CopyStep,
    TableProgress,
    TableState,
    TransferProgress,
)
from replica_cli.transfer.progress_file import ProgressFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from replica_cli.core.position import Position
    from replica_cli.stop import StopToken
    from replica_cli.transfer.plan import CopyPlan

_REPORT_SECONDS = 0.1
_TICK_SECONDS = 1.0
# Writing the file takes at most one fiftieth of the time, but it is written again after this number of seconds.
_FILE_SHARE, _FILE_SECONDS = 50, 30.0


class Meter:
    """Counts rows per table. Safe between threads.

    `report` is called at most ten times a second, and at the end. Its cost does not depend on the number of tables. The
    file `transfer_progress_<instance>.json` lists all tables. It is written once a second, or less often if that takes
    long, and no worker waits for it.
    """

    def __init__(
        self, plan: CopyPlan, *, report: Callable[[TransferProgress], None] | None, folder: Path | None
    ) -> None:
        self._lock = threading.Lock()
        self._instance = plan.instance
        self._tables = {
            str(t.planned.name): TableProgress(
                str(t.planned.name), t.planned.rows_copied, t.planned.rows_estimated, state=TableState.PENDING
            )
            for t in plan.tables
        }
        self._is_told_whole = len(self._tables) <= TOLD_TABLES
        self._totals = CopyStatus.of(tuple(self._tables.values()), 0.0)
        self._active: dict[str, TableProgress] = {}
        self._ended: deque[CopiedTable] = deque(maxlen=TOLD_TABLES)
        self._report = report
        self._file = ProgressFile(folder, plan.instance) if folder else None
        self._started = time.monotonic()
        self._copied = 0
        self._errors = 0
        self.position: Position | None = None
        self._current_schema = ""
        self._reported_at = float("-inf")
        self._steps_at: dict[str, float] = {}
        self._waits_at: dict[str, float] = {}

    @contextlib.contextmanager
    def ticking(self, stop: StopToken) -> Iterator[None]:
        """Tell once a second while the context lasts, but not in a pause: time goes on where no row moves."""
        is_over = threading.Event()

        def tick() -> None:
            due = self._write_file()
            while not is_over.wait(_TICK_SECONDS):
                if not stop.is_paused:
                    with self._lock:
                        self._tell()
                    if time.monotonic() >= due:
                        due = self._write_file()

        thread = threading.Thread(target=tick, name="copy meter", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self.close()

    def begin(self, table: str, step: CopyStep) -> None:
        """Note what the copy of a table is busy with from now on."""
        with self._lock:
            self._steps_at[table] = time.monotonic()
            self._change(table, state=TableState.COPYING, step=step)
            self._tell()

    def wait(self, table: str, waits_for: str) -> None:
        """Note which lock the statement on a table waits for, "" once it has it."""
        with self._lock:
            self._waits_at[table] = time.monotonic()
            self._change(table, waits_for=waits_for)
            self._tell()

    def add(self, table: str, rows: int, size: int) -> None:
        """Count rows that are committed on the secondary."""
        with self._lock:
            before = self._tables[table]
            if not self._copied:
                self._reported_at = float("-inf")  # the first rows are told at once
            self._copied += rows
            self._change(
                table,
                rows_copied=before.rows_copied + rows,
                bytes_copied=before.bytes_copied + size,
                state=TableState.COPYING,
                step=CopyStep.ROWS,
            )
            self._current_schema = table.partition(".")[0]
            self._tell()

    def start_over(self, table: str) -> None:
        """Forget what was counted of a table: its copy begins again."""
        with self._lock:
            self._copied -= self._tables[table].rows_copied
            self._change(table, rows_copied=0, bytes_copied=0, state=TableState.COPYING)
            self._copied = max(self._copied, 0)

    def finish(self, table: str) -> None:
        """Note that every row of a table is there."""
        with self._lock:
            self._change(table, state=TableState.COPIED, step=CopyStep.ROWS)
            self._tell()

    def fail(self) -> None:
        """Count a table that failed."""
        with self._lock:
            self._errors += 1

    def rows(self, table: str) -> int:
        """Return the rows of one table that are there."""
        with self._lock:
            return self._tables[table].rows_copied

    @property
    def rows_copied(self) -> int:
        """Return the rows copied by this run."""
        with self._lock:
            return self._copied

    @property
    def elapsed_seconds(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """Tell the end."""
        with self._lock:
            self._reported_at = float("-inf")
            self._tell()
        self._write_file()

    def _change(self, name: str, **changes: Any) -> None:
        before = self._tables[name]
        self._tables[name] = after = replace(before, **changes)
        self._totals = self._totals.with_change(before, after)
        if after.state is TableState.COPYING:
            self._active[name] = after
        else:
            self._active.pop(name, None)
        if after.state is TableState.COPIED and before.state is not TableState.COPIED:
            self._ended.append(CopiedTable(name, after.rows_copied, datetime.now(UTC).isoformat()))

    def _tell(self) -> None:
        now = time.monotonic()
        if self._report and now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._report(self._snapshot(now))

    def _write_file(self) -> float:
        """Write the file; return the time at which it is to be written again."""
        began = time.monotonic()
        if self._file is not None:
            with self._lock:
                tables, schema = dict(self._tables), self._current_schema
            self._file.write(tables, schema)
        return began + min((time.monotonic() - began) * _FILE_SHARE, _FILE_SECONDS)

    def _snapshot(self, now: float) -> TransferProgress:
        elapsed = now - self._started
        rate = self._copied / elapsed if elapsed > 0 else 0.0
        told = self._tables.values() if self._is_told_whole else itertools.islice(self._active.values(), TOLD_TABLES)
        tables = tuple(t if t.is_counted else replace(t, step_seconds=now - self._since(t, now)) for t in told)
        totals = replace(self._totals, rows_per_second=rate, steps=tuple(t for t in tables if not t.is_counted))
        return TransferProgress(
            self._instance, tables, elapsed, rate, self._errors, self.position, totals, tuple(self._ended)
        )

    def _since(self, table: TableProgress, now: float) -> float:
        return (self._waits_at if table.waits_for else self._steps_at).get(table.table, now)
