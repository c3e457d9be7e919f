"""MariaDB's consistent snapshots, with the place of the binary log that belongs to what they show.

The server tells a snapshot's place in its status (binlog_snapshot_file and binlog_snapshot_position), which is not to
be believed at once:

- Every SHOW STATUS of every session writes the answer into the same variables of the server, and another one may come
  between. So the place is asked for several times.
- When the server begins a file of the log, it moves the place there before it shows the rows of the last transactions
  of the file before; when it writes a checkpoint event, it does not wait for the transactions before that either.
- XA COMMIT is in the log before its rows are shown, and later places pass it by.

Source: `MYSQL_BIN_LOG::trx_group_commit_leader` and `write_binlog_checkpoint_event_already_locked` in sql/log.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import PrimaryError
from replica_cli.core.position import Position
from replica_cli.mysql.errnos import ER_ERROR_WHEN_EXECUTING_COMMAND, ServerError

if TYPE_CHECKING:
    from replica_cli.mysql.session import Row, Session

_PLACE = "SHOW STATUS LIKE 'binlog_snapshot_%'"
_PREPARED = "XA RECOVER"
_XA_COMMITS = "SHOW GLOBAL STATUS LIKE 'com_xa_commit'"
# One answer in a hundred was another session's where two others asked all the time; five are not the same wrong one.
_LOOKS = 5
_ROUNDS_LIMIT = 50
_CHECKPOINT = "Binlog_checkpoint"
# The format description, what encrypts the file, the GTID set, and the checkpoint of now and that of the file before.
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
    prepared, commits = session.rows_of_each([_PREPARED, _XA_COMMITS])
    # With this, not with the first query: only so the server takes the place along.
    session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    place, commits_since = _place(session)
    # A commit that was on its way when the snapshot was taken had begun before, and was prepared, or began since.
    shows_xa = not prepared and commits == commits_since
    return Snapshot(place, shows_xa and _shows_all_before(session, place))


def _place(session: Session) -> tuple[Position, list[Row]]:
    for _ in range(_ROUNDS_LIMIT):
        *answers, commits = session.rows_of_each([*[_PLACE] * _LOOKS, _XA_COMMITS])
        if any(answer != answers[0] for answer in answers):
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


def _shows_all_before(session: Session, place: Position) -> bool:
    """Say whether no checkpoint event ends at a place, but for the last one of a file's head."""
    row = session.row("SELECT @@GLOBAL.binlog_checksum")
    checksum = 0 if row is not None and str(row[0]).upper() == "NONE" else _CHECKSUM_BYTES
    fixed = _HEADER_BYTES + _LENGTH_BYTES + checksum
    # It names this file, or one before it, whose name may be shorter: binlog.999999 comes before binlog.1000000.
    longest = len(place.file)
    is_long = len(place.file.rpartition(".")[2]) > _LEAST_DIGITS
    for length in (longest, longest - 1) if is_long else (longest,):
        try:
            event = session.row("SHOW BINLOG EVENTS IN %s FROM %s LIMIT 1", place.file, place.pos - fixed - length)
        except ServerError as error:
            if error.errno != ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            continue  # no event begins there
        if event is not None and str(event[2]) == _CHECKPOINT and int(event[4]) == place.pos:
            return str(event[5]) == place.file and _is_in_head(session, place)
    return True


def _is_in_head(session: Session, place: Position) -> bool:
    """Say whether no transaction of a file is before a place.

    At the head the checkpoint that names the file itself comes when the file before is done with.
    """
    events = session.rows(f"SHOW BINLOG EVENTS IN %s LIMIT {_HEAD_EVENTS}", place.file)
    before = [event for event in events if int(event[1]) < place.pos]
    return int(before[-1][4]) == place.pos and all(str(event[2]) in _HEAD_KINDS for event in before)


def binlog_is_off(session: Session) -> PrimaryError:
    """Return the error for a server that writes no binary log."""
    return PrimaryError(
        f"{session.server}: the binary log is off", hint="start the primary with `log_bin` and `binlog_format=ROW`"
    )
