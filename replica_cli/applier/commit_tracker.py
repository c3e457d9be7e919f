"""How far the secondary is: what the position row says, and what lies behind it that is not saved yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.batch_stats import BatchStats
from replica_cli.checkpoint.positions import Advance
from replica_cli.core.errors import PositionLost
from replica_cli.core.gtid import parse_gtids
from replica_cli.core.position import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.events import Transaction
    from replica_cli.core.gtid import Gtids

_IDLE_SAVE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CommitPoint:
    """What holds once a batch is committed: the position behind it, and what it changed."""

    position: Position
    gtids: Gtids
    source_time: int
    tally: BatchStats


@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions sent together and what holds once they are committed; `failure` came while they were sent.

    `begun_at`: a time of the monotonic clock, when the first of it was sent.
    """

    run: Sequence[Transaction]
    mark: CommitPoint
    is_saved: bool
    failure: ReplicaError | None = None
    begun_at: float = 0.0


class CommitTracker:
    """Moves with what is committed; begins where the position row stands.

    Call `mark_requested` when COMMIT is sent and `mark_committed` when it is acknowledged. The next batch starts from
    the requested commit point; status reports show the acknowledged one.
    """

    def __init__(self, saved: SavedPosition, *, is_mariadb: bool) -> None:
        self.position = saved.position
        self.source_time = saved.source_time
        gtids = parse_gtids(saved.position.gtid, is_mariadb=is_mariadb)
        self._ahead = CommitPoint(saved.position, gtids, saved.source_time, BatchStats())
        self._saved_position = saved.position
        self._saved_at = time.monotonic()
        self._unsaved = BatchStats()
        self._committed = BatchStats()

    def behind(self, run: Sequence[Transaction], tally: BatchStats) -> CommitPoint:
        """Return what holds behind the transactions that come next.

        Raises PositionLost when one of them is in the GTID set already: then the position is not true.
        """
        gtids = self._ahead.gtids.copy()
        position, source_time = self._ahead.position, self._ahead.source_time
        for transaction in run:
            if transaction.gtid and not gtids.add(transaction.gtid) and transaction.is_start:
                raise PositionLost(
                    f"{transaction.gtid} at {transaction.start} was applied before: the primary's log holds other "
                    "transactions than those of the saved GTID set",
                    hint="the log was reset, or the primary was restored: `replica drift check`, then "
                    "`replica transfer --restart`",
                )
            position = transaction.end
            source_time = transaction.timestamp or source_time
        return CommitPoint(Position(position.file, position.pos, str(gtids)), gtids, source_time, tally)

    def is_ahead(self, mark: CommitPoint) -> bool:
        """Say whether a mark is not what the position row says."""
        return mark.position != self._saved_position

    def is_due(self, mark: CommitPoint) -> bool:
        """Say whether to save a position though nothing was ours: it must not fall out of the log. Once a second."""
        return self.is_ahead(mark) and time.monotonic() - self._saved_at >= _IDLE_SAVE_SECONDS

    def advance(self, mark: CommitPoint) -> Advance:
        """Return what the position row is told with a mark: all that was counted since the last time."""
        tally = BatchStats()
        tally.add(self._unsaved)
        tally.add(mark.tally)
        skipped = sum(tally.skipped_rows.values())
        return Advance(mark.position, mark.source_time, sum(tally.rows.values()), tally.transactions, skipped)

    def mark_requested(self, mark: CommitPoint, *, is_saved: bool) -> None:
        """Go on from a mark: its commit is asked for, or nothing of it was ours."""
        self._ahead = mark
        if is_saved:
            self._unsaved = BatchStats()
            self._saved_position = mark.position
            self._saved_at = time.monotonic()
        else:
            self._unsaved.add(mark.tally)

    def mark_committed(self, mark: CommitPoint) -> None:
        """Move to a mark: it is committed, or nothing of it was ours."""
        self.position, self.source_time = mark.position, mark.source_time
        self._committed.add(mark.tally)

    def take_tally(self) -> BatchStats:
        """Return what was committed since the last call."""
        tally, self._committed = self._committed, BatchStats()
        return tally
