"""Which transactions the primary's binary log no longer holds, and whether it can serve from a GTID set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, UsageError
from replica_cli.core.gtid import covers, parse_gtids
from replica_cli.core.position import Position
from replica_cli.mysql.binlog import binlog_files, current_position
from replica_cli.mysql.gtids import executed_gtids, gtids_at_head

if TYPE_CHECKING:
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


def check_gtid_set(session: Session, facts: ServerFacts, wanted: str) -> Position:
    """Return a typed GTID set as a position without a file, once the primary can serve from it.

    Raises UsageError where it is no set of the primary's flavour, PositionLost where the primary has purged what comes
    after it, or never executed what is in it.
    """
    if not facts.has_gtids:
        raise UsageError("the primary writes no GTIDs", hint="give a place with `--to FILE:POS`")
    try:
        gtid = str(parse_gtids(wanted, is_mariadb=facts.is_mariadb))
    except ValueError as error:
        raise UsageError(str(error), hint=f"the primary is {facts.flavour}") from error
    executed = executed_gtids(session) if facts.is_mariadb else current_position(session, facts).gtid
    if not covers(executed, gtid, is_mariadb=facts.is_mariadb):
        raise PositionLost(f"the primary has not executed all of {gtid}", hint=f"it has {executed or 'none'}")
    purged = purged_gtids(session, facts)
    if not covers(gtid, purged, is_mariadb=facts.is_mariadb):
        raise PositionLost(
            f"the primary has purged transactions that {gtid or 'an empty set'} lacks",
            hint=f"it has purged {purged}; `replica transfer` copies anew",
        )
    return Position("", 0, gtid)


def purged_gtids(session: Session, facts: ServerFacts) -> str:
    """Return the GTID set that the primary's binary log no longer holds (MariaDB: the state at its first file)."""
    if not facts.is_mariadb:
        row = session.row("SELECT @@GLOBAL.gtid_purged")
        return str(row[0]).replace("\n", "") if row else ""
    files = binlog_files(session)
    return gtids_at_head(session, facts, files[0].name) if files else ""
