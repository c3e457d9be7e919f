"""MariaDB's consistent snapshots, with the place of the binary log that belongs to what they show.

The server tells a snapshot's place in its status (binlog_snapshot_file and binlog_snapshot_position). Three things can
make it wrong:

- Every SHOW STATUS of every session writes its answer into the same variables of the server, so the answer to us may be
  another session's. That is why the place is asked for several times.
- When the server begins a file of the log, the place moves there before the rows of the last transactions of the file
  before can be seen. When it writes a checkpoint event, the place moves behind that event, whether or not the rows of
  the transactions before it can be seen.
- An XA COMMIT is in the log before its rows can be seen, and the place may move past it in between.

Source: `MYSQL_BIN_LOG::trx_group_commit_leader` and `write_binlog_checkpoint_event_already_locked` in sql/log.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.binlog import binlog_is_off, next_event
from replica_cli.mysql.errnos import ER_ERROR_WHEN_EXECUTING_COMMAND, ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session

_PLACE = "SHOW STATUS LIKE 'binlog_snapshot_%'"
_PREPARED = "XA RECOVER"
_CHECKSUM = "SELECT @@GLOBAL.binlog_checksum"
_XA_COMMITS = "SHOW GLOBAL STATUS LIKE 'com_xa_commit'"
# Where two other sessions asked all the time, one answer in a hundred was theirs. Five equal ones are ours.
_LOOKS = 5
_PLACES = (*[_PLACE] * _LOOKS, _XA_COMMITS)
_ROUNDS_LIMIT = 50
_CHECKPOINT = "Binlog_checkpoint"
# What a file begins with. Of checkpoints there are two at most: one that names a file before, one that names this file.
_HEAD_KINDS = frozenset({"Format_desc", "Start_encryption", "Gtid_list", _CHECKPOINT})
_HEAD_EVENTS = 6
# A checkpoint event: its header, the length of the file's name, and the name.
_HEADER_BYTES = 19
_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 4
_LEAST_DIGITS = 6  # of a file's number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An open snapshot; `is_settled`: it shows all transactions before its place."""

    place: Position
    is_settled: bool


def open_snapshot(session: Session) -> Snapshot:
    """Open a snapshot on a session in REPEATABLE READ; the one before it ends.

    Raises PrimaryError where the server writes no binary log.
    """
    # The server stores the place only for a snapshot that this statement opens, not for one of a first query.
    opening = (_PREPARED, _XA_COMMITS, _CHECKSUM, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
    prepared, commits, ((checksum,),), _, *answers = session.rows_of_each([*opening, *_PLACES])
    place, commits_since = _place(session, answers)
    # An XA COMMIT that runs while the snapshot is opened is found by one of two signs. If it began before the questions
    # above, its transaction is among the prepared ones. If it began after them, the number of commits has grown.
    shows_xa = not prepared and commits == commits_since
    return Snapshot(place, shows_xa and _shows_all_before(session, place, str(checksum)))


def _place(session: Session, found: list[list[Row]]) -> tuple[Position, list[Row]]:
    """Return what the answers to _PLACES say, or those to the same questions asked again."""
    for _ in range(_ROUNDS_LIMIT):
        *answers, commits = found
        if any(answer != answers[0] for answer in answers):
            found = session.rows_of_each(_PLACES)
            continue
        status = {str(name).lower(): str(value) for name, value in answers[0]}
        file, pos = status.get("binlog_snapshot_file", ""), int(status.get("binlog_snapshot_position", 0) or 0)
        if not file or not pos:
            raise binlog_is_off(session)
        return Position(file, pos), commits
    raise PrimaryError(
        f"{session.server}: the place of a snapshot cannot be told, as other sessions ask for the status all the time",
        hint="look for what runs SHOW STATUS without a pause (`SHOW PROCESSLIST`), and try again",
    )


def _shows_all_before(session: Session, place: Position, checksum: str) -> bool:
    """Say whether no checkpoint event ends at a place, but for the last one of a file's head."""
    fixed = _HEADER_BYTES + _LENGTH_BYTES + (0 if checksum.upper() == "NONE" else _CHECKSUM_BYTES)
    # It names this file, or one before it, whose name may be shorter: binlog.999999 comes before binlog.1000000.
    longest = len(place.file)
    is_long = len(place.file.rpartition(".")[2]) > _LEAST_DIGITS
    for length in (longest, longest - 1) if is_long else (longest,):
        try:
            event = next_event(session, Position(place.file, place.pos - fixed - length))
        except ServerError as error:
            if error.errno != ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            continue  # no event begins there
        if event is not None and event.kind == _CHECKPOINT and len(event.info) == length:
            return event.info == place.file and _is_in_head(session, place)
    return True


def _is_in_head(session: Session, place: Position) -> bool:
    """Say whether no transaction of a file is before a place.

    In the head, a checkpoint that names the file itself comes only after the transactions of the file before have
    been shown.
    """
    events = session.rows(f"SHOW BINLOG EVENTS IN %s LIMIT {_HEAD_EVENTS}", place.file)
    before = [event for event in events if int(event[1]) < place.pos]
    return int(before[-1][4]) == place.pos and all(str(event[2]) in _HEAD_KINDS for event in before)
