"""Track the position of the secondary: the saved one, and what was applied after it and is not yet saved.

The counts of rows and transactions go with it, for the log, the status and the position row.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replica_cli.checkpoint.positions import Advance
from replica_cli.core.errors import PositionLost
from replica_cli.core.gtid import parse_gtids
from replica_cli.core.position import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.events import RowKind, Transaction
    from replica_cli.core.gtid import Gtids
    from replica_cli.core.table import TableName

_IDLE_SAVE_SECONDS = 1.0


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


@dataclass(frozen=True, slots=True)
class CommitPoint:
    """What is true when a batch is committed: the position after it, and the counts of what it changed."""

    position: Position
    gtids: Gtids
    source_time: int
    stats: BatchStats


class CommitTracker:
    """Follows the commits of one applier, beginning at the saved position.

    Call `mark_requested` when COMMIT is sent and `mark_committed` when it is acknowledged. The next batch starts from
    the requested commit point; status reports show the acknowledged one (`position`, `source_time`).
    """

    def __init__(self, saved: SavedPosition, *, is_mariadb: bool) -> None:
        self.position = saved.position
        self.source_time = saved.source_time
        gtids = parse_gtids(saved.position.gtid, is_mariadb=is_mariadb)
        self._requested = CommitPoint(saved.position, gtids, saved.source_time, BatchStats())
        self._saved_position = saved.position
        self._saved_at = time.monotonic()
        self._unsaved = BatchStats()
        self._committed = BatchStats()

    def commit_point_after(self, transactions: Sequence[Transaction], stats: BatchStats) -> CommitPoint:
        """Return the commit point after the next transactions.

        Raises PositionLost if the GTID of one of them is already in the GTID set. Then the saved position does not fit
        the primary's log.
        """
        gtids = self._requested.gtids.copy()
        position, source_time = self._requested.position, self._requested.source_time
        for transaction in transactions:
            if transaction.gtid and not gtids.add(transaction.gtid) and transaction.is_start:
                raise PositionLost(
                    f"{transaction.gtid} at {transaction.start} was applied before: the primary's log holds other "
                    "transactions than those of the saved GTID set",
                    hint="the log was reset, or the primary was restored: `replica drift check`, then "
                    "`replica transfer --restart`",
                )
            position = transaction.end
            source_time = transaction.timestamp or source_time
        return CommitPoint(Position(position.file, position.pos, str(gtids)), gtids, source_time, stats)

    def is_ahead(self, commit_point: CommitPoint) -> bool:
        """Return True if a commit point differs from the position in the position row."""
        return commit_point.position != self._saved_position

    def is_due(self, commit_point: CommitPoint) -> bool:
        """Return True if a position must be saved although no selected row changed.

        This happens at most once a second. Without it, the primary could purge the log at the saved position.
        """
        return self.is_ahead(commit_point) and time.monotonic() - self._saved_at >= _IDLE_SAVE_SECONDS

    def advance(self, commit_point: CommitPoint) -> Advance:
        """Return the new content of the position row at a commit point, with all counts since the last save."""
        stats = BatchStats()
        stats.add(self._unsaved)
        stats.add(commit_point.stats)
        skipped = sum(stats.skipped_rows.values())
        return Advance(
            commit_point.position, commit_point.source_time, sum(stats.rows.values()), stats.transactions, skipped
        )

    def mark_requested(self, commit_point: CommitPoint, *, is_saved: bool) -> None:
        """Continue from a commit point, because its COMMIT was sent, or because it needs none (not `is_saved`)."""
        self._requested = commit_point
        if is_saved:
            self._unsaved = BatchStats()
            self._saved_position = commit_point.position
            self._saved_at = time.monotonic()
        else:
            self._unsaved.add(commit_point.stats)

    def mark_committed(self, commit_point: CommitPoint) -> None:
        """Report a commit point as reached, because its COMMIT was acknowledged, or because it needs none."""
        self.position, self.source_time = commit_point.position, commit_point.source_time
        self._committed.add(commit_point.stats)

    def take_stats(self) -> BatchStats:
        """Return the counts of what was committed since the last call."""
        stats, self._committed = self._committed, BatchStats()
        return stats
