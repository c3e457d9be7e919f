"""Whether a place that somebody typed is a transaction boundary of the primary's binary log, and its GTID set.

Asked for events from the middle of one, MariaDB checks the place and answers with an error; MySQL reads whatever bytes
are there as an event, or answers with the next one. So MySQL is asked for the file from its start. And the event that
stands there has to begin something: the events of one transaction have boundaries too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, UsageError
from replica_cli.core.gtid import MariadbGtids, MysqlGtids, covers, parse_gtids
from replica_cli.core.position import Position
from replica_cli.mysql.binlog import binlog_files, current_position
from replica_cli.mysql.errnos import ServerError
from replica_cli.mysql.gtids import executed_gtids, gtids_before, gtids_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.mysql.binlog import BinlogFile
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

_ER_ERROR_WHEN_EXECUTING_COMMAND = 1220
FIRST_EVENT = 4
# What may stand at a boundary: the start of a group, and what servers write between groups (SHOW BINLOG EVENTS' names).
_BETWEEN_GROUPS = frozenset(
    {
        "Format_desc", "Previous_gtids", "Gtid_list", "Binlog_checkpoint", "Start_encryption", "Rotate", "Stop",
        "Gtid", "Anonymous_Gtid", "Gtid_tagged_log_event",
    }
)  # fmt: skip
_GTID_EVENTS = frozenset({"Gtid", "Gtid_tagged_log_event"})


def locate(session: Session, facts: ServerFacts, wanted: Position) -> Position:
    """Return a typed FILE:POS with its GTID set, once the primary has shown that it is a boundary.

    Raises PositionLost where the file is gone or shorter, UsageError where a transaction is cut.
    """
    files = binlog_files(session)
    size = next((f.size for f in files if f.name == wanted.file), None)
    if size is None or wanted.pos > size:
        raise PositionLost(f"{wanted} is not on the primary: {_span(files)}", hint="`SHOW BINARY LOGS` lists its files")
    with _raw_results(session):
        if facts.is_mariadb:
            found, gtid = _ask_mariadb(session, wanted, size)
        else:
            found, gtid = _scan_mysql(session, wanted, size)
    if not found:
        raise UsageError(
            f"{wanted} is not between two transactions",
            hint=f"`SHOW BINLOG EVENTS IN '{wanted.file}'` lists them: take the Pos of a Gtid event",
        )
    return Position(wanted.file, wanted.pos, gtid if facts.has_gtids else "")


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
    # What comes before a file stands at its head.
    return (gtids_before(session, Position(files[0].name, FIRST_EVENT)) or "") if files else ""


@contextmanager
def _raw_results(session: Session) -> Iterator[None]:
    """Take results as bytes: an event's text is in the charset of whoever wrote it, and need not be UTF-8."""
    session.execute("SET character_set_results = binary")
    try:
        yield
    finally:
        session.execute("SET character_set_results = utf8mb4")


def _ask_mariadb(session: Session, wanted: Position, size: int) -> tuple[bool, str]:
    found = wanted.pos in (FIRST_EVENT, size)
    if not found:
        try:
            event = session.row(f"SHOW BINLOG EVENTS IN {_name(wanted.file)} FROM {wanted.pos:d} LIMIT 1")
        except ServerError as error:
            if error.errno != _ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            return False, ""
        found = event is not None and int(event[1]) == wanted.pos and _text(event[2]) in _BETWEEN_GROUPS
    gtid = gtids_before(session, wanted) if found else ""
    if gtid is None:
        raise gtids_unknown(session, wanted)
    return found, str(MariadbGtids(gtid))


def _scan_mysql(session: Session, wanted: Position, size: int) -> tuple[bool, str]:
    """Read the file from its start; its GTID set is what it begins with and what transactions before the place add."""
    found = wanted.pos in (FIRST_EVENT, size)
    gtids = MysqlGtids()
    for _, pos, kind, _, _, info in session.each_row(f"SHOW BINLOG EVENTS IN {_name(wanted.file)}"):
        name = _text(kind)
        if name == "Previous_gtids":
            gtids = MysqlGtids(_text(info))
        elif int(pos) < wanted.pos and name in _GTID_EVENTS:
            gtids.add(_text(info).partition("'")[2].rpartition("'")[0])
        if int(pos) == wanted.pos:
            found = name in _BETWEEN_GROUPS
        if int(pos) >= wanted.pos and name not in ("Format_desc", "Previous_gtids"):
            break
    return found, str(gtids)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def _name(file: str) -> str:
    # SHOW takes a plain string only, no introducer; a file's name has been found in the server's own list.
    return "'" + file.replace("\\", "\\\\").replace("'", "''") + "'"


def _span(files: Sequence[BinlogFile]) -> str:
    if not files:
        return "it has no binary log"
    return f"it has {files[0].name}:{FIRST_EVENT} to {files[-1].name}:{files[-1].size}"
