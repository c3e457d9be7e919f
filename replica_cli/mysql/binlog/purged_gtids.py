"""Find out which transactions the primary's log no longer has, and whether it can serve from a GTID set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, UsageError
from replica_cli.core.gtid import MariadbGtids, MysqlGtids, covers, parse_gtids
from replica_cli.core.position import Position
from replica_cli.mysql.binlog.gtid_sets import gtids_at_head
from replica_cli.mysql.binlog.log_state import binlog_files

if TYPE_CHECKING:
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


def check_gtid_set(session: Session, facts: ServerFacts, wanted: str) -> Position:
    """Return a GTID set that the user typed as a position without a file, if the primary can serve from it.

    Raises:
        UsageError: the text is not a GTID set of the primary's flavour, or the primary writes no GTIDs.
        PositionLost: the primary has purged what comes after the set, or has never executed what is in it.
    """
    if not facts.has_gtids:
        raise UsageError("the primary writes no GTIDs", hint="give a position with `--to FILE:POS`")
    try:
        gtid = str(parse_gtids(wanted, is_mariadb=facts.is_mariadb))
    except ValueError as error:
        raise UsageError(str(error), hint=f"the primary is {facts.flavour}") from error
    if unknown_gtids(session, facts, gtid):
        executed = logged_gtids(session, facts)
        raise PositionLost(
            f"the primary has not executed all of {gtid}", hint=f"it has executed {executed or 'nothing'}"
        )
    purged = purged_gtids(session, facts)
    if not covers(gtid, purged):
        raise PositionLost(
            f"the primary has purged transactions that {gtid or 'an empty set'} does not contain",
            hint=f"it has purged {purged}: give a set that contains this, such as one of `replica position show`",
        )
    return Position("", 0, gtid)


def purged_gtids(session: Session, facts: ServerFacts) -> str:
    """Return the GTID set that the primary's log no longer has (MariaDB: the set at the head of its first file)."""
    if not facts.is_mariadb:
        row = session.row("SELECT @@GLOBAL.gtid_purged")
        return str(row[0]).replace("\n", "") if row else ""
    files = binlog_files(session)
    return gtids_at_head(session, facts, files[0].name) if files else ""


def logged_gtids(session: Session, facts: ServerFacts) -> str:
    """Return the GTIDs of everything that the primary executed (MariaDB: the last one of each domain and server)."""
    name = "gtid_binlog_state" if facts.is_mariadb else "gtid_executed"
    row = session.row(f"SELECT @@GLOBAL.{name}")
    return str(row[0] or "").replace("\n", "") if row else ""


def unknown_gtids(session: Session, facts: ServerFacts, wanted: str) -> str:
    """Return the part of a GTID set that the primary never executed, "" if it executed all. Raises ValueError.

    On MariaDB a sequence number is not enough: servers that were primary at the same time continue from the same
    number. So the last number of the same server must reach the number in the set. A domain that the primary does not
    know is accepted if the primary knows another domain of the set, because somebody may have made it forget the
    domain.
    """
    logged = logged_gtids(session, facts)
    if not facts.is_mariadb:
        return str(MysqlGtids(wanted).minus(MysqlGtids(logged)))
    last: dict[tuple[str, str], int] = {}
    for part in filter(None, (p.strip() for p in logged.split(","))):
        domain, server, number = part.split("-")
        last[domain, server] = int(number)
    domains = {domain for domain, _ in last}
    parts = [part.split("-") for part in filter(None, str(MariadbGtids(wanted)).split(","))]
    knows_no_domain = domains.isdisjoint(domain for domain, _, _ in parts)
    missing = [p for p in parts if (knows_no_domain or p[0] in domains) and last.get((p[0], p[1]), -1) < int(p[2])]
    if missing:
        # What the primary executed as a replica, or was restored with, before it wrote its own log.
        row = session.row("SELECT @@GLOBAL.gtid_slave_pos")
        restored = {p.strip() for p in str(row[0] or "").split(",")} if row else set()
        missing = [p for p in missing if "-".join(p) not in restored]
    return ",".join("-".join(p) for p in missing)
