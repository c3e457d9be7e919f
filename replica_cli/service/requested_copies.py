"""What a stream tells in its heartbeat of copies that another command has asked it for."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.beats import BeatStore
    from replica_cli.core.status import CopiedTable, TransferProgress
    from replica_cli.core.table import TableName
    from replica_cli.stop import StopToken

# A heartbeat comes once a second.
_LAST_SECONDS = 5.0
_LOOK_SECONDS = 0.25


class Told:
    """Follows the copies of some tables; made before they are asked for, as earlier copies of them do not count.

    A table's record is gone as soon as it has joined the stream, and its rows are not counted anywhere else.
    """

    def __init__(self, beats: BeatStore, names: Collection[TableName]) -> None:
        self._beats = beats
        self._names = frozenset(map(str, names))
        self._rows: dict[str, int] = {}
        self._before: frozenset[CopiedTable] = frozenset()
        beat = beats.load()
        if beat is not None:
            self._before = frozenset(beat.copied)

    def look(self) -> TransferProgress | None:
        """Return how far the tables are, None while the stream copies none of them. Raises ServerError."""
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
        # Sums of more than these tables would tell of others.
        totals = progress.totals if progress.status.tables == len(self._names) else None
        return replace(progress, tables=tables, totals=totals)

    def rows(self, names: Collection[TableName], stop: StopToken) -> int | None:
        """Return the rows that were copied of these tables, None if the stream does not tell. Raises ServerError.

        The heartbeat may come a moment after the end of the copy.
        """
        deadline = time.monotonic() + _LAST_SECONDS
        wanted = frozenset(map(str, names))
        while True:
            self.look()
            if wanted <= self._rows.keys():
                return sum(self._rows[name] for name in wanted)
            if time.monotonic() > deadline or stop.wait(_LOOK_SECONDS):
                return None
