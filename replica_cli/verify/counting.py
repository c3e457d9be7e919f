"""Compare only the numbers of rows: a quick look, which proves nothing about their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.reports.verify import TableVerdict
from replica_cli.side_by_side import side_by_side
from replica_cli.verify.sides import Side

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.verify.pairs import Pairs
    from replica_cli.verify.tables import VerifiedTable

_ATTEMPTS = 20
_AGAIN_SECONDS = 0.1


def compare_counts(
    pairs: Pairs, table: VerifiedTable, primary: Session, secondary: Session, stop: StopToken
) -> TableVerdict:
    """Count the rows of a table on both servers in a pair of snapshots for which the log tells the difference.

    Args:
        pairs: opens pairs of snapshots on both sessions.
        table: the table.
        primary: the session to the primary.
        secondary: the session to the secondary.
        stop: ends the attempts.
    """
    own, other = Side(primary, table.primary, is_primary=True), Side(secondary, table.secondary, is_primary=False)
    for _ in range(_ATTEMPTS):
        with pairs.open([table], {}) as pair:
            more = pair.touched.more_rows(table.name)
            if more is not None:
                expected, present = side_by_side(own.count, other.count)
                difference = present - expected - more
                return TableVerdict(
                    table.name, expected, max(0, -difference), max(0, difference), position=pair.position
                )
        if stop.wait(_AGAIN_SECONDS):
            break
    return TableVerdict(table.name, undecided="it was not known how many rows were added and deleted meanwhile")
