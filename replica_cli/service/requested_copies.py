"""Follow copies that a command has requested of a running stream, by the stream's heartbeat."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.beats import BeatStore
    from replica_cli.core.status import CopiedTable, CopyProgress
    from replica_cli.core.table import TableName
    from replica_cli.stop import StopToken

# How long to wait for the last heartbeat. It is written once a second.
_HEARTBEAT_SECONDS = 5.0
_POLL_SECONDS = 0.25


class RequestedCopies:
    """Follows the copies of some tables. Make it before the copies are requested, because earlier copies do not count.

    The record of a table is deleted when the stream takes the table over, and the rows are counted nowhere else.
    """

    def __init__(self, beats: BeatStore, names: Collection[TableName]) -> None:
        self._beats = beats
        self._names = frozenset(map(str, names))
        self._rows: dict[str, int] = {}
        self._before: frozenset[CopiedTable] = frozenset()
        beat = beats.load()
        if beat is not None:
            self._before = frozenset(beat.copied)

    def read_progress(self) -> CopyProgress | None:
        """Return the progress of the tables, None while the stream copies none of them. Raises ServerError."""
        beat = self._beats.load()
        if beat is None:
            return None
        for table in beat.copied:
            if table.table in self._names and table not in self._before:
                self._rows[table.table] = table.rows
        progress = beat.transfer
        if progress is None or not any(t.table in self._names for t in progress.tables):
            return None
        tables = tuple(t for t in progress.tables if t.table in self._names)
        # Sums over more tables than these would be wrong.
        totals = progress.totals if progress.status.tables == len(self._names) else None
        return replace(progress, tables=tables, totals=totals)

    def rows(self, names: Collection[TableName], stop: StopToken) -> int | None:
        """Return how many rows of these tables were copied, None if the stream does not report it. Raises ServerError.

        Waits up to `_HEARTBEAT_SECONDS`: the heartbeat may come a moment after the end of the copy.
        """
        deadline = time.monotonic() + _HEARTBEAT_SECONDS
        wanted = frozenset(map(str, names))
        while True:
            self.read_progress()
            if wanted <= self._rows.keys():
                return sum(self._rows[name] for name in wanted)
            if time.monotonic() > deadline or stop.wait(_POLL_SECONDS):
                return None
