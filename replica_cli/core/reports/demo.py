"""What the demo compared at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class DemoTable:
    """One table on one secondary, compared with the primary's."""

    instance: str
    table: TableName
    rows_primary: int
    rows_secondary: int
    is_equal: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo showed; `env_file` is set where the servers were left up."""

    tables: tuple[DemoTable, ...]
    rows_transferred: int = 0
    transfer_seconds: float = 0.0
    rows_streamed: int = 0
    elapsed_seconds: float = 0.0
    env_file: str | None = None

    @property
    def is_equal(self) -> bool:
        """Say whether every table was compared and is the same."""
        return bool(self.tables) and all(t.is_equal for t in self.tables)
