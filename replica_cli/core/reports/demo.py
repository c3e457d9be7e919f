"""The result of `replica demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class DemoTable:
    """The comparison of one table on one secondary with the same table on the primary.

    Attributes:
        rows_primary, rows_secondary: the numbers of rows at the end, when the writers have ended.
        is_equal: the comparison at the end, which shares nothing with `replica`, says that the tables are equal.
        detail: what it says that differs.
        rows_proven: the number of rows that `verify` compared while the customers wrote.
        proven_at: the position at which it compared the first of them.
        is_proven: `verify` says that all of them are equal.
    """

    instance: str
    table: TableName
    rows_primary: int
    rows_secondary: int
    is_equal: bool
    detail: str = ""
    rows_proven: int = 0
    proven_at: Position | None = None
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo did and compared; `env_file` is set if the servers still run."""

    tables: tuple[DemoTable, ...]
    rows_transferred: int = 0
    transfer_seconds: float = 0.0
    rows_streamed: int = 0
    elapsed_seconds: float = 0.0
    env_file: str | None = None

    @property
    def is_equal(self) -> bool:
        """Return True if tables were compared and all of them are equal, by both comparisons."""
        return bool(self.tables) and all(t.is_equal and t.is_proven for t in self.tables)
