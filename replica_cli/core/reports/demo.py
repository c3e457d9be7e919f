"""The result of `replica demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class DemoTable:
    """The comparison of one table on one secondary with the same table on the primary."""

    instance: str
    table: TableName
    rows_primary: int
    rows_secondary: int
    is_equal: bool
    detail: str = ""


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
        """Return True if tables were compared and all of them are equal."""
        return bool(self.tables) and all(t.is_equal for t in self.tables)
