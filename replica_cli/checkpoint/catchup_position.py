"""Keep the position of a catch-up in the records of its tables, where the stream keeps its own in the position row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import ReplicaError

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.positions import Advance
    from replica_cli.checkpoint.table_lifecycle import TableLifecycle
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class CatchupLost(ReplicaError):
    """The records of the tables have changed: somebody requested a new copy, or another process took over."""

    code = "join_lost"


class CatchupPosition:
    """The position up to which the changes of some tables are applied: what a commit of their catch-up advances.

    It advances only while the stream's fencing token is that of this process.
    """

    def __init__(self, tables: TableLifecycle, instance: str, names: Collection[TableName], start: Position) -> None:
        self._tables = tables
        self._instance = instance
        self._names = names
        self._saved = self._sent = start

    def advance_statement(self, advance: Advance, token: int) -> bytes:
        """Return the UPDATE that advances the records, for the same packet as the rows; it must match each record."""
        self._sent = advance.position
        return self._tables.caught_up_statement(self._names, self._saved, self._sent, token)

    def touch_statement(self, token: int) -> bytes:
        """Return an UPDATE that matches the records only while they are unchanged and the token is valid."""
        return self._tables.still_catching_up_statement(self._names, self._saved, token)

    def check_advanced(self, found_rows: int) -> None:
        """Raise CatchupLost unless the UPDATE matched every record."""
        if found_rows != len(self._names):
            raise CatchupLost(f"{self._instance}: the records of the tables that catch up were changed")
        self._saved = self._sent
