"""Compare only the numbers of rows: a quick look, which proves nothing about their values."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from replica_cli.core.reports.verify import TableVerdict
from replica_cli.mysql.errnos import QUERY_TIMEOUTS, ServerError
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
_AGAIN_SECONDS, _BUSY_SECONDS = 0.1, 1.0
# How many tables share a pair of snapshots, and for how long.
_TABLES_AT_ONCE, _PAIR_SECONDS = 50, 10.0


def compare_counts(
    pairs: Pairs,
    tables: Sequence[VerifiedTable],
    primary: Session,
    secondary: Session,
    stop: StopToken,
    *,
    snapshot_seconds: float,
    reason_to_wait: Callable[[], str],
) -> list[TableVerdict]:
    """Count the rows of tables on both servers in pairs of snapshots for which the log tells the difference.

    Args:
        pairs: opens pairs of snapshots on both sessions.
        tables: the tables.
        primary: the session to the primary.
        secondary: the session to the secondary.
        stop: ends the comparison; the tables that are left are not in the result.
        snapshot_seconds: how long the query of one table may take.
        reason_to_wait: returns why the comparison must wait, an empty text if it need not.
    """
    for session in (primary, secondary):
        limit_queries(session, snapshot_seconds)
    verdicts = []
    attempts: Counter[TableName] = Counter()
    waiting = deque(tables)
    while waiting and not stop.is_set:
        if reason_to_wait():
            stop.wait(_BUSY_SECONDS)
            continue
        together = [waiting.popleft() for _ in range(min(len(waiting), _TABLES_AT_ONCE))]
        not_counted = []
        try:
            with pairs.open(together, {}, expiry=time.monotonic() + snapshot_seconds) as pair:
                deadline = time.monotonic() + _PAIR_SECONDS
                for table in together:
                    is_late = stop.is_set or time.monotonic() > deadline
                    verdict = None if is_late else _counted(pair, table, primary, secondary, snapshot_seconds)
                    attempts[table.name] += not is_late
                    if verdict is None:
                        not_counted.append(table)
                    else:
                        verdicts.append(verdict)
        except SnapshotExpired as error:
            verdicts += [TableVerdict(table.name, undecided=str(error)) for table in together]
        for table in not_counted:
            if attempts[table.name] < _ATTEMPTS:
                waiting.append(table)
                continue
            reason = "it was not known how many rows were added and deleted meanwhile"
            verdicts.append(TableVerdict(table.name, undecided=reason))
        if len(not_counted) == len(together):
            stop.wait(_AGAIN_SECONDS)
    return verdicts


def _counted(
    pair: Pair, table: VerifiedTable, primary: Session, secondary: Session, snapshot_seconds: float
) -> TableVerdict | None:
    """Return the verdict on a table, None if the log does not tell the difference."""
    more = pair.touched.more_rows(table.name)
    if more is None:
        return None
    own, other = Side(primary, table.primary, is_primary=True), Side(secondary, table.secondary, is_primary=False)
    try:
        expected, present = side_by_side(own.count, other.count)
    except ServerError as error:
        if error.errno not in QUERY_TIMEOUTS:
            raise
        return TableVerdict(table.name, undecided=too_slow(snapshot_seconds))
    if pair.has_changed(table):
        return None
    difference = present - expected - more
    return TableVerdict(table.name, expected, max(0, -difference), max(0, difference), position=pair.position)
