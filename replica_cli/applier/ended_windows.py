"""Delete the records of replay windows that have ended, so that the stream applies their tables without them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.applier.deferrable_queries import DeferrableQueries
    from replica_cli.applier.engines.steps import RowEngine
    from replica_cli.applier.window import Windows
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class EndedWindows:
    """Knows which windows end at a position, and deletes their records when that position is committed."""

    def __init__(
        self, windows: Windows, tables: TableLifecycle, replay_engine: RowEngine, queries: DeferrableQueries, token: int
    ) -> None:
        self._windows = windows
        self._tables = tables
        self._replay_engine = replay_engine
        self._queries = queries
        self._token = token

    def need_saving(self, position: Position) -> bool:
        """Return True if a window ends at or before a position, so that the position must be saved.

        A window's record is deleted when a position after its end is saved. If the position were not saved, a restart
        would apply changes again that the copy already has, and strictly.
        """
        return bool(self._windows.expired(position))

    def forget(self, position: Position) -> None:
        """Delete the records of windows that end at or before a position that is committed."""
        names = [record.name for record in self._windows.expired(position)]
        if not names:
            return
        # After an error the records stay. The tables are applied strictly from here on all the same, and the deletion
        # is tried again after a later commit.
        is_forgotten = self._queries.ask(
            "deleting the records of ended replay windows", partial(self._forget_records, names), otherwise=False
        )
        if not is_forgotten:
            return
        for name in names:
            del self._windows.records[name]
        self._replay_engine.forget(names)

    def _forget_records(self, names: Sequence[TableName]) -> bool:
        self._tables.end_windows(names, self._token)
        return True
