"""Count how far the copy is, and report it to people and monitors: limited snapshots and a small JSON file."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import threading
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replica_cli.core.status import (
    LISTED_TABLES_LIMIT,
    CopiedTable,
    CopyProgress,
    CopyStatus,
    CopyStep,
    TableProgress,
    TableState,
)
from replica_cli.logs import Tag, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from replica_cli.core.position import Position
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.plan import CopyPlan

logger = logging.getLogger(__name__)

_REPORT_SECONDS = 0.1
_TICK_SECONDS = 1.0
# Writing the file takes at most 1/_FILE_SHARE of the time, but the file is never older than _FILE_SECONDS.
_FILE_SHARE, _FILE_SECONDS = 50, 30.0


class ProgressTracker:
    """Counts the copied rows of each table. All methods may be called from any thread.

    `report` is called at most ten times a second, and at the end. Its cost does not depend on the number of tables. The
    file `transfer_progress_<instance>.json` lists all tables. It is written once a second, or less often if that takes
    long, and no worker waits for it.
    """

    def __init__(self, plan: CopyPlan, *, report: Callable[[CopyProgress], None] | None, folder: Path | None) -> None:
        self._lock = threading.Lock()
        self._instance = plan.instance
        self._tables = {
            str(t.planned.name): TableProgress(
                str(t.planned.name), t.planned.rows_copied, t.planned.rows_estimated, state=TableState.PENDING
            )
            for t in plan.tables
        }
        self._reports_all_tables = len(self._tables) <= LISTED_TABLES_LIMIT
        self._totals = CopyStatus.of(tuple(self._tables.values()), 0.0)
        self._active: dict[str, TableProgress] = {}
        self._ended: deque[CopiedTable] = deque(maxlen=LISTED_TABLES_LIMIT)
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
        """Report once a second while the context lasts, except in a pause: times change even if no row count does."""
        is_over = threading.Event()

        def tick() -> None:
            due = self._write_file()
            while not is_over.wait(_TICK_SECONDS):
                if not stop.is_paused:
                    with self._lock:
                        self._send_report()
                    if time.monotonic() >= due:
                        due = self._write_file()

        thread = threading.Thread(target=tick, name="copy progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self.close()

    def begin(self, table: str, step: CopyStep) -> None:
        """Record which step the copy of a table is in from this moment."""
        with self._lock:
            self._steps_at[table] = time.monotonic()
            self._change(table, state=TableState.COPYING, step=step)
            self._send_report()

    def wait(self, table: str, waits_for: str) -> None:
        """Record which lock the statement on a table waits for, "" when it has the lock."""
        with self._lock:
            self._waits_at[table] = time.monotonic()
            self._change(table, waits_for=waits_for)
            self._send_report()

    def add(self, table: str, rows: int, size: int) -> None:
        """Count rows that are committed on the secondary, and their size in bytes."""
        with self._lock:
            before = self._tables[table]
            if not self._copied:
                self._reported_at = float("-inf")  # the first rows are reported at once
            self._copied += rows
            self._change(
                table,
                rows_copied=before.rows_copied + rows,
                bytes_copied=before.bytes_copied + size,
                state=TableState.COPYING,
                step=CopyStep.ROWS,
            )
            self._current_schema = table.partition(".")[0]
            self._send_report()

    def start_over(self, table: str) -> None:
        """Reset the counts of a table whose copy begins again."""
        with self._lock:
            self._copied -= self._tables[table].rows_copied
            self._change(table, rows_copied=0, bytes_copied=0, state=TableState.COPYING)
            self._copied = max(self._copied, 0)

    def finish(self, table: str) -> None:
        """Record that all rows of a table are copied."""
        with self._lock:
            self._change(table, state=TableState.COPIED, step=CopyStep.ROWS)
            self._send_report()

    def fail(self) -> None:
        """Count a table that failed."""
        with self._lock:
            self._errors += 1

    def rows(self, table: str) -> int:
        """Return how many rows of one table are copied."""
        with self._lock:
            return self._tables[table].rows_copied

    @property
    def rows_copied(self) -> int:
        """Return how many rows this run has copied."""
        with self._lock:
            return self._copied

    @property
    def elapsed_seconds(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """Send the last report and write the file."""
        with self._lock:
            self._reported_at = float("-inf")
            self._send_report()
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

    def _send_report(self) -> None:
        now = time.monotonic()
        if self._report and now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            self._report(self._snapshot(now))

    def _write_file(self) -> float:
        """Write the file; return the time of the next write, in seconds of `time.monotonic()`."""
        began = time.monotonic()
        if self._file is not None:
            with self._lock:
                tables, schema = dict(self._tables), self._current_schema
            self._file.write(tables, schema)
        return began + min((time.monotonic() - began) * _FILE_SHARE, _FILE_SECONDS)

    def _snapshot(self, now: float) -> CopyProgress:
        elapsed = now - self._started
        rate = self._copied / elapsed if elapsed > 0 else 0.0
        shown = (
            self._tables.values()
            if self._reports_all_tables
            else itertools.islice(self._active.values(), LISTED_TABLES_LIMIT)
        )
        tables = tuple(t if t.is_counted else replace(t, step_seconds=now - self._since(t, now)) for t in shown)
        totals = replace(self._totals, rows_per_second=rate, steps=tuple(t for t in tables if not t.is_counted))
        return CopyProgress(
            self._instance, tables, elapsed, rate, self._errors, self.position, totals, tuple(self._ended)
        )

    def _since(self, table: TableProgress, now: float) -> float:
        return (self._waits_at if table.waits_for else self._steps_at).get(table.table, now)


class ProgressFile:
    """The progress file of one instance.

    If its folder is full, read-only or missing, that is logged once and the copy goes on.
    """

    def __init__(self, folder: Path, instance: str) -> None:
        self._file = folder / f"transfer_progress_{instance}.json"
        self._instance = instance
        self._has_warned = False

    def write(self, tables: Mapping[str, TableProgress], current_schema: str) -> None:
        """Write the progress of the tables, by their names. An error of the file system is only logged."""
        schemas: dict[str, bool] = {}
        for name, table in tables.items():
            schema = name.partition(".")[0]
            schemas[schema] = schemas.get(schema, True) and table.state is TableState.COPIED
        document = {
            "DatabasesProcessed": [schema for schema, is_done in schemas.items() if is_done],
            "CurrentDatabase": current_schema,
            "TablesProcessed": {name: table.rows_copied for name, table in tables.items()},
            "LastCheckpoint": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        # The file is written under another name and then renamed: a reader never sees half of it. Other users may not
        # read it.
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(document, indent=2), encoding="utf-8")
            fresh.replace(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            if not self._has_warned:
                self._has_warned = True
                log(
                    logger, logging.WARNING, Tag.WARN, "%s cannot be written (%s): the copy goes on without it",
                    self._file, error.strerror or type(error).__name__, instance=self._instance,
                )  # fmt: skip
