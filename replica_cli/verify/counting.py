"""Compare only the numbers of rows: a quick look, which proves nothing about their values."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.reports.verify import TableVerdict
from replica_cli.mysql.errnos import ER_LOCK_WAIT_TIMEOUT, QUERY_TIMEOUTS, ServerError
from replica_cli.side_by_side import side_by_side
from replica_cli.verify.pairs import SnapshotExpired, limit_queries, too_slow
from replica_cli.verify.sides import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.verify.pairs import Pair, Pairs
    from replica_cli.verify.tables import VerifiedTable

_ATTEMPTS = 20
_UNKNOWN_CHANGES = "it was not known how many rows were added and deleted meanwhile, or another session had locked it"
_AGAIN_SECONDS, _BUSY_SECONDS = 0.1, 1.0
# How many tables share a pair of snapshots, and for how long.
_TABLES_AT_ONCE, _PAIR_SECONDS = 50, 10.0


@dataclass(frozen=True, slots=True)
class Counting:
    """Counts the rows of tables on both servers.

    Attributes:
        pairs: opens pairs of snapshots on both sessions.
        primary: the session to the primary.
        secondary: the session to the secondary.
        stop: ends the comparison.
        snapshot_seconds: how long the query of one table may take.
        reason_to_wait: returns why the comparison must wait, an empty text if it need not.
    """

    pairs: Pairs
    primary: Session
    secondary: Session
    stop: StopToken
    snapshot_seconds: float
    reason_to_wait: Callable[[], str]

    def compare(self, tables: Sequence[VerifiedTable]) -> list[TableVerdict]:
        """Count the rows in pairs of snapshots for which the log tells the difference.

        Tables that are left when a stop is requested are not in the result.
        """
        for session in (self.primary, self.secondary):
            limit_queries(session, self.snapshot_seconds)
        verdicts: list[TableVerdict] = []
        attempts: Counter[TableName] = Counter()
        waiting = deque(tables)
        while waiting and not self.stop.is_set:
            if self.reason_to_wait():
                self.stop.wait(_BUSY_SECONDS)
                continue
            together = [waiting.popleft() for _ in range(min(len(waiting), _TABLES_AT_ONCE))]
            known = self._count(together, attempts)
            verdicts += known.values()
            not_counted = [table for table in together if table.name not in known]
            for table in not_counted:
                if attempts[table.name] < _ATTEMPTS:
                    waiting.append(table)
                else:
                    verdicts.append(TableVerdict(table.name, undecided=_UNKNOWN_CHANGES))
            if len(not_counted) == len(together):
                self.stop.wait(_AGAIN_SECONDS)
        return verdicts

    def _count(self, tables: Sequence[VerifiedTable], attempts: Counter[TableName]) -> dict[TableName, TableVerdict]:
        """Count in one pair of snapshots, and return the verdicts that it gives."""
        verdicts: dict[TableName, TableVerdict] = {}
        try:
            with self.pairs.open(tables, {}, expiry=time.monotonic() + self.snapshot_seconds) as pair:
                deadline = time.monotonic() + _PAIR_SECONDS
                for table in tables:
                    if self.stop.is_set or time.monotonic() > deadline:
                        break
                    attempts[table.name] += 1
                    if verdict := self._counted(pair, table):
                        verdicts[table.name] = verdict
        except SnapshotExpired as error:
            return {table.name: TableVerdict(table.name, undecided=str(error)) for table in tables}
        except ServerError as error:
            if error.errno != ER_LOCK_WAIT_TIMEOUT:
                raise
            attempts.update(table.name for table in tables)
        return verdicts

    def _counted(self, pair: Pair, table: VerifiedTable) -> TableVerdict | None:
        """Return the verdict on a table, None if the log does not tell the difference."""
        more = pair.touched.more_rows(table.name)
        if more is None:
            return None
        own = Side(self.primary, table.primary, is_primary=True)
        other = Side(self.secondary, table.secondary, is_primary=False)
        try:
            expected, present = side_by_side(own.count, other.count)
        except ServerError as error:
            if error.errno not in QUERY_TIMEOUTS:
                raise
            return TableVerdict(table.name, undecided=too_slow(self.snapshot_seconds))
        if pair.has_changed(table):
            return None
        difference = present - expected - more
        missing, extra = max(0, -difference), max(0, difference)
        return TableVerdict(table.name, expected, missing, extra, position=pair.position)
