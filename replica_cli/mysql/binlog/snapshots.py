"""Find out what a read of the primary sees, and from which position on the binary log has what it does not see."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from replica_cli.core.attempts import TABLE_LOCK_ATTEMPTS, TABLE_LOCK_SECONDS
from replica_cli.core.errors import PrimaryError
from replica_cli.core.gtid import MysqlGtids
from replica_cli.core.position import Position
from replica_cli.core.settings import Retry
from replica_cli.mysql.binlog.gtid_sets import gtids_before, gtids_unknown, with_gtids
from replica_cli.mysql.binlog.log_state import current_position, log_end
from replica_cli.mysql.binlog.mariadb_snapshots import open_snapshot
from replica_cli.mysql.errnos import (
    ER_LOCK_WAIT_TIMEOUT,
    ER_SPECIFIC_ACCESS_DENIED,
    ER_TABLEACCESS_DENIED,
    RIGHTS,
    ServerError,
)
from replica_cli.mysql.session_settings import LOCK_WAITS
from replica_cli.retry import retrying
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.stop import StopToken, sleep_briefly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.core.table import TableName
    from replica_cli.mysql.binlog.mariadb_snapshots import Snapshot
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

_REPEATABLE_READ = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
_START = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
# How long other snapshots are opened after one that is not settled. MariaDB needs milliseconds to begin a log file.
_SETTLED_SECONDS = 0.3
_PAUSE_SECONDS = 0.03
# The rows of a commit are visible as soon as it is in the log and, if the primary waits for a semi-synchronous replica,
# that replica has answered.
_SHOWN_SECONDS = 1.0
# A transaction owns a GTID for as long as it takes to be committed. One that a replica applies, or that names its GTID,
# owns it from its beginning.
_OWNED_SECONDS, _OWNED_PAUSE_SECONDS = 30.0, 0.001
# Between two attempts to lock tables the writers that waited with us go on.
_LOCKING = Retry(attempts=TABLE_LOCK_ATTEMPTS, delay=1.0, delay_limit=3.0)


class _NotSettledError(Exception):
    """No snapshot of MariaDB shows all transactions before its position."""


def visible_position(session: Session, facts: ServerFacts, stop: StopToken | None = None) -> Position:
    """Return a position such that every transaction before it is visible to a read that starts after this call.

    The end of the log is not such a position: a transaction is in the log before the storage engine shows its rows.
    MariaDB tells the position of a consistent snapshot (mariadb_snapshots). MySQL tells it in
    performance_schema.log_status (BACKUP_ADMIN). Without that privilege MySQL's gtid_executed is used, which contains
    only what is committed.

    Raises:
        PrimaryError: the server tells none of them.
        Interrupted: `stop` was set.
    """
    if not facts.is_mariadb:
        return _log_status(session, facts) or _executed(session)

    def take() -> Position:
        # When a later snapshot is settled, the rows before the position of the first one are visible.
        first, _ = _settle(session, _SHOWN_SECONDS, stop)
        return first.position

    session.post(_REPEATABLE_READ)
    try:
        return with_gtids(session, take, lambda: log_end(session), stop)
    finally:
        # Each caller runs another statement on this session at once, and the ROLLBACK is sent together with it.
        session.post("ROLLBACK")


def _settle(session: Session, seconds: float, stop: StopToken | None) -> tuple[Snapshot, Snapshot]:
    """Open snapshots until one is settled, for at most `seconds`; return the first one and the last one."""
    first = last = open_snapshot(session)
    deadline = time.monotonic() + seconds
    while not last.is_settled and time.monotonic() < deadline:
        sleep_briefly(_PAUSE_SECONDS, stop)
        last = open_snapshot(session)
    return first, last


def _log_status(session: Session, facts: ServerFacts) -> Position | None:
    """Return the end of what is committed, None if this user may not see it. Raises PrimaryError without GTIDs too."""
    try:
        row = session.row("SELECT LOCAL FROM performance_schema.log_status")
    except ServerError as error:
        # The query needs BACKUP_ADMIN, and also SELECT on the table.
        if error.errno not in (ER_SPECIFIC_ACCESS_DENIED, ER_TABLEACCESS_DENIED):
            raise
        row = None
    if row is not None:
        local = json.loads(row[0])
        gtid = str(local.get("gtid_executed", "")).replace("\n", "") if facts.has_gtids else ""
        return Position(str(local["binary_log_file"]), int(local["binary_log_position"]), gtid)
    if not facts.has_gtids:
        raise PrimaryError(
            f"{session.server}: this user cannot see which transactions a copy contains",
            hint="GRANT BACKUP_ADMIN ON *.* TO this user, or set gtid_mode=ON",
        )
    return None


def _executed(session: Session) -> Position:
    """Return a position that is only the GTID set of what is committed."""
    executed = session.row("SELECT @@GLOBAL.gtid_executed")
    return Position("", 0, str(executed[0]).replace("\n", "") if executed else "")


def _committed_end(session: Session, stop: StopToken | None) -> Position:
    """Return a file and an offset of the log before which everything is committed, by the GTIDs of MySQL.

    A transaction owns its GTID from before it is in the log until it is committed. So everything before the end of the
    log is committed as soon as the GTIDs are that are owned after that end was read.

    Raises:
        PrimaryError: one of these transactions does not end.
        Interrupted: `stop` was set.
    """
    end, gtids = log_end(session), _owned(session)
    deadline = time.monotonic() + _OWNED_SECONDS
    while gtids and session.row("SELECT 1 FROM DUAL WHERE GTID_SUBSET(%s, @@GLOBAL.gtid_executed)", gtids) is None:
        if time.monotonic() > deadline:
            raise PrimaryError(
                f"{session.server}: it is not known which transactions a read sees, because {gtids} has not ended",
                hint="GRANT BACKUP_ADMIN ON *.* TO this user, and GRANT SELECT ON performance_schema.log_status TO it",
            )
        sleep_briefly(_OWNED_PAUSE_SECONDS, stop)
    return end


def open_snapshot_between(
    session: Session, facts: ServerFacts, stop: StopToken | None = None, *, by_gtid: bool = False
) -> tuple[Position, Position]:
    """Open a snapshot on a session and return two positions that enclose what it shows. It locks nothing.

    The snapshot shows every transaction before the first position and none after the second one. It may show some of
    those between them. On MariaDB both are mostly the same.

    Args:
        session: the session to the primary.
        facts: the primary's facts.
        stop: ends a wait.
        by_gtid: the positions have to have GTID sets, because they are compared with one that has no file.

    Raises:
        PrimaryError: the server tells no such position.
        Interrupted: `stop` was set.
    """
    if facts.is_mariadb:
        session.execute(_REPEATABLE_READ)
        first, last = _settle(session, _SHOWN_SECONDS, stop)
        shown, end = (last.position, last.position) if last.is_settled else (first.position, log_end(session))
        return (_with_known_gtids(session, shown), _with_known_gtids(session, end)) if by_gtid else (shown, end)
    if by_gtid:
        session.post(_REPEATABLE_READ)
        start = _executed(session)
        session.post(_START)
        return start, _executed_soon(session)
    # Few round trips: what is committed between the positions may be shown or not.
    session.post(_REPEATABLE_READ)
    start = _log_status(session, facts) or _committed_end(session, stop)
    session.post(_START)
    return start, log_end(session, has_gtids=facts.has_gtids)


def _owned(session: Session) -> str:
    """Return the GTIDs of the transactions of MySQL that have one and have not ended."""
    owned = session.row("SELECT @@GLOBAL.gtid_owned")
    # The number of the owner comes after each GTID.
    return re.sub(r"#\d+", "", str(owned[0])) if owned and owned[0] else ""


def _executed_soon(session: Session) -> Position:
    """Return a position that is only the GTID set of what a read of MySQL may show at this moment.

    A transaction owns its GTID until the server has added it to the executed ones, which is after its commit.
    """
    owned = _owned(session)
    executed = _executed(session).gtid
    return Position("", 0, str(MysqlGtids(f"{executed},{owned}" if executed and owned else executed + owned)))


def end_with_gtids(session: Session, facts: ServerFacts) -> Position:
    """Return the end of the log with a GTID set that has every transaction before it. Raises PrimaryError."""
    return _with_known_gtids(session, log_end(session)) if facts.is_mariadb else _executed_soon(session)


def _with_known_gtids(session: Session, position: Position) -> Position:
    gtid = gtids_before(session, position)
    if gtid is None:
        raise gtids_unknown(session, position)
    return replace(position, gtid=gtid)


@contextmanager
def table_snapshot(
    session: Session, locker: Session, facts: ServerFacts, names: Sequence[TableName], stop: StopToken | None = None
) -> Iterator[Position]:
    """Open a snapshot on `session` and yield its position, which is exact for some tables; it ends with the context.

    MariaDB needs no lock, unless no snapshot shows all transactions before its position: that is so at the beginning of
    a log file, and while there are XA transactions. In this case, and on MySQL, `locker` holds the read locks of the
    tables while position and snapshot are taken: writers of these tables have committed, and the next writers come
    after the position.

    Raises:
        Interrupted: `stop` was set before the snapshot was open.
    """
    session.execute(_REPEATABLE_READ)
    try:
        position = _settled_position(session, stop) if facts.is_mariadb else None
        yield _locked_position(session, locker, facts, names, stop) if position is None else position
    finally:
        session.rollback()


def _settled_position(session: Session, stop: StopToken | None) -> Position | None:
    """Open a snapshot and return its exact position, None if no snapshot shows everything before its position."""

    def take() -> Position:
        _, last = _settle(session, _SETTLED_SECONDS, stop)
        if not last.is_settled:
            raise _NotSettledError
        return last.position

    try:
        return with_gtids(session, take, lambda: log_end(session), stop)
    except _NotSettledError:
        return None


def _locked_position(
    session: Session, locker: Session, facts: ServerFacts, names: Sequence[TableName], stop: StopToken | None
) -> Position:
    lock_tables(locker, names, stop)
    try:
        position = current_position(locker, facts, stop)
        session.execute(_START)
    finally:
        locker.execute("UNLOCK TABLES")
    return position


def lock_tables(session: Session, names: Sequence[TableName], stop: StopToken | None = None) -> None:
    """Lock tables of the primary against writes until UNLOCK TABLES.

    While the session waits for the lock, the applications' writes wait behind it, and a transaction that uses a table
    may stay open for days. So each attempt waits for `TABLE_LOCK_SECONDS` at most.

    Raises:
        PrimaryError: the account may not lock tables.
        ServerError: a table is still in use after the last attempt, or the server does not answer.
        Interrupted: `stop` was set between two attempts.
    """
    try:
        retrying(_LOCKING, stop or StopToken(), is_retryable=_is_in_use)(_lock_once, session, names)
    except ServerError as error:
        problem = f"{', '.join(map(str, names))} can be copied only under a read lock now"
        if error.errno in RIGHTS:
            schemas = sorted({name.schema for name in names})
            raise PrimaryError(
                f"{session.server}: {problem}, and this user may not lock tables: {error.text}",
                hint=" ".join(f"GRANT LOCK TABLES ON {quote(schema)}.* TO this user;" for schema in schemas),
            ) from error
        if not _is_in_use(error):
            raise
        text = f"{problem}; end the transaction that uses them (`XA RECOVER`, `SHOW PROCESSLIST`): {error.text}"
        raise ServerError(error.errno, text, error.server, remedy=error.remedy, exit_code=error.exit_code) from error


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, ServerError) and error.errno == ER_LOCK_WAIT_TIMEOUT


def _lock_once(session: Session, names: Sequence[TableName]) -> None:
    statement = "LOCK TABLES " + ", ".join(f"{quote_table(name)} READ" for name in names)
    if session.is_mariadb:
        session.execute(f"{statement} WAIT {TABLE_LOCK_SECONDS}")
        return
    # MySQL has no WAIT clause. LOCK TABLES waits for the metadata lock of each table, and then for that of InnoDB.
    session.post("SET SESSION " + ", ".join(f"{name} = {TABLE_LOCK_SECONDS}" for name, _ in LOCK_WAITS))
    try:
        session.execute(statement)
    finally:
        session.post("SET SESSION " + ", ".join(f"{name} = {seconds}" for name, seconds in LOCK_WAITS))
