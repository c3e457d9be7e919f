"""Count what was committed, for the log, the status and the position row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.events import RowKind
    from replica_cli.core.table import TableName


@dataclass(slots=True)
class BatchStats:
    """Counts of what was committed.

    `skipped_rows` counts row events of quarantined tables by table. `ignored_statements` counts by reason.
    """

    rows: Counter[tuple[RowKind, TableName]] = field(default_factory=Counter)
    transactions: int = 0
    skipped_rows: Counter[TableName] = field(default_factory=Counter)
    ignored_statements: Counter[str] = field(default_factory=Counter)

    def add(self, other: BatchStats) -> None:
        """Add the counts of another object."""
        self.rows.update(other.rows)
        self.transactions += other.transactions
        self.skipped_rows.update(other.skipped_rows)
        self.ignored_statements.update(other.ignored_statements)
