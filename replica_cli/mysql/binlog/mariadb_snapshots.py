"""Open MariaDB's consistent snapshots, with the position of the binary log that belongs to what they show.

The server tells the position of a snapshot in its status (binlog_snapshot_file and binlog_snapshot_position). Three
things can make it wrong:

- Every SHOW STATUS of every session writes its answer into the same variables of the server, so our answer may be that
  of another session. That is why the position is read several times.
- When the server begins a log file, the position moves into it before the rows of the last transactions of the file
  before are visible. When it writes a checkpoint event, the position moves after that event, even if the rows of the
  transactions before it are not visible.
- An XA COMMIT is in the log before its rows are visible, and the position may move past it in between.

Source: `MYSQL_BIN_LOG::trx_group_commit_leader` and `write_binlog_checkpoint_event_already_locked` in sql/log.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.attempts import SNAPSHOT_ATTEMPTS
from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog.log_state import binlog_is_off, next_event
from replica_cli.mysql.errnos import ER_ERROR_WHEN_EXECUTING_COMMAND, ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session

_POSITION_QUERY = "SHOW STATUS LIKE 'binlog_snapshot_%'"
_PREPARED = "XA RECOVER"
_CHECKSUM = "SELECT @@GLOBAL.binlog_checksum"
_XA_COMMITS = "SHOW GLOBAL STATUS LIKE 'com_xa_commit'"
# While two other sessions read the status all the time, one answer in a hundred was another session's. Five equal
# answers are taken as right.
_READS = 5
_POSITION_QUERIES = (*[_POSITION_QUERY] * _READS, _XA_COMMITS)
_CHECKPOINT = "Binlog_checkpoint"
# The events at the head of a file. It has two checkpoints at most: one names an earlier file, one names this file.
_HEAD_KINDS = frozenset({"Format_desc", "Start_encryption", "Gtid_list", _CHECKPOINT})
_HEAD_EVENTS = 6
# A checkpoint event consists of its header, the length of the file's name, the name, and a checksum if that is on.
_HEADER_BYTES = 19
_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 4
_LEAST_DIGITS = 6  # of a file's number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open snapshot and its position. If `is_settled`, it shows all transactions before the position."""

    position: Position
    is_settled: bool


def open_snapshot(session: Session) -> Snapshot:
    """Open a snapshot on a session in REPEATABLE READ; the session's previous snapshot ends.

    Raises:
        PrimaryError: the server writes no binary log, or other sessions read the status all the time.
    """
    # The server stores the position only for a snapshot that this statement opens, not for one that a first query
    # opens.
    opening = (_XA_COMMITS, _PREPARED, _CHECKSUM, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
    commits, prepared, ((checksum,),), _, *answers = session.rows_of_each([*opening, *_POSITION_QUERIES])
    position, commits_since = _snapshot_position(session, answers)
    # An XA COMMIT that runs while the snapshot is opened is noticed in one of two ways. If it began before the commits
    # were counted, its transaction is among the prepared ones. If it began later, the number of commits has grown. The
    # order of the two queries matters: in the other order, a transaction that is prepared after the first query, and
    # whose commit begins before the second one, is not noticed.
    shows_xa = not prepared and commits == commits_since
    return Snapshot(position, shows_xa and _shows_all_before(session, position, str(checksum)))


def _snapshot_position(session: Session, results: list[list[Row]]) -> tuple[Position, list[Row]]:
    """Return the position and the number of XA commits that the answers contain.

    `results` are the answers to _POSITION_QUERIES. These are sent again until the answers agree.
    """
    for _ in range(SNAPSHOT_ATTEMPTS):
        *answers, commits = results
        if any(answer != answers[0] for answer in answers):
            results = session.rows_of_each(_POSITION_QUERIES)
            continue
        status = {str(name).lower(): str(value) for name, value in answers[0]}
        file, pos = status.get("binlog_snapshot_file", ""), int(status.get("binlog_snapshot_position", 0) or 0)
        if not file or not pos:
            raise binlog_is_off(session)
        return Position(file, pos), commits
    raise PrimaryError(
        f"{session.server}: the position of a snapshot cannot be read: other sessions read the status all the time",
        hint="find the session that runs SHOW STATUS without a pause (`SHOW PROCESSLIST`), end it, and try again",
    )


def _shows_all_before(session: Session, position: Position, checksum: str) -> bool:
    """Return True if no checkpoint event ends at a position, except for the last one of a file's head."""
    fixed = _HEADER_BYTES + _LENGTH_BYTES + (0 if checksum.upper() == "NONE" else _CHECKSUM_BYTES)
    # The event names this file or an earlier one, whose name may be shorter: binlog.999999 comes before binlog.1000000.
    longest = len(position.file)
    is_long = len(position.file.rpartition(".")[2]) > _LEAST_DIGITS
    for length in (longest, longest - 1) if is_long else (longest,):
        try:
            event = next_event(session, Position(position.file, position.pos - fixed - length))
        except ServerError as error:
            if error.errno != ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            continue  # no event begins at this position
        if event is not None and event.kind == _CHECKPOINT and len(event.info) == length:
            return event.info == position.file and _is_in_head(session, position)
    return True


def _is_in_head(session: Session, position: Position) -> bool:
    """Return True if no transaction of a file is before a position.

    In the head, a checkpoint that names the file itself is written only after the transactions of the file before have
    become visible.
    """
    events = session.rows(f"SHOW BINLOG EVENTS IN %s LIMIT {_HEAD_EVENTS}", position.file)
    before = [event for event in events if int(event[1]) < position.pos]
    return int(before[-1][4]) == position.pos and all(str(event[2]) in _HEAD_KINDS for event in before)
