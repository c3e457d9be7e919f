"""Check a saved position against the primary that answers, and return the position from which reading continues.

A file name and an offset belong to the log as it was when they were saved. After RESET MASTER (RESET BINARY LOGS AND
GTIDS), and on a primary that was restored or rebuilt, the same name and offset belong to other transactions. So if the
saved position and the primary both have GTIDs, FILE:POS is valid only if the transactions before it in the log are
exactly those of the saved GTID set. The stream does this check at each connect. `health`, `position show`,
`transfer --resume` and the health monitor of the stream do it too.

Cost: the primary reads one file of its log from the start to the position (1 GB of small transactions: 1 to 3 seconds).
It sends almost nothing of the file.
"""

from __future__ import annotations

import contextlib
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryReplaced, UsageError
from replica_cli.core.gtid import MariadbGtids, MysqlGtids, covers, parse_gtids
from replica_cli.core.position import FIRST_EVENT, Position, file_number
from replica_cli.mysql.binlog.gtid_sets import gtids_at_head, gtids_before
from replica_cli.mysql.binlog.log_state import binlog_files, next_event
from replica_cli.mysql.binlog.purged_gtids import logged_gtids, purged_gtids, unknown_gtids
from replica_cli.mysql.errnos import (
    ER_ERROR_WHEN_EXECUTING_COMMAND,
    ER_MASTER_FATAL_ERROR_READING_BINLOG,
    ServerError,
)
from replica_cli.mysql.facts import read_facts
from replica_cli.reader.log_cursor import LogCursor
from replica_cli.reader.parsers.event_types import HEADER, EventType
from replica_cli.reader.parsers.format_event import parse_format
from replica_cli.reader.peek import GTID_EVENTS, gtid_of, is_artificial, peek, size_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.settings import Network
    from replica_cli.mysql.binlog.log_state import BinlogFile
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

# The names in `SHOW BINLOG EVENTS` of the events that begin a transaction or come between transactions.
_AT_BOUNDARIES = frozenset(
    {
        "Gtid",
        "Gtid_tagged_log_event",
        "Anonymous_Gtid",
        "Previous_gtids",
        "Gtid_list",
        "Binlog_checkpoint",
        "Start_encryption",
        "Incident",
        "Rotate",
        "Stop",
    }
)
_TRANSACTION_STARTS = GTID_EVENTS | {EventType.ANONYMOUS_GTID}
# The types of the last event of a transaction. Its timestamp is the transaction's time.
_WITH_TIME = frozenset(
    {
        EventType.XID,
        EventType.QUERY,
        EventType.MARIADB_QUERY_COMPRESSED,
        EventType.XA_PREPARE,
        EventType.EXECUTE_LOAD_QUERY,
    }
)
# More transactions than can be logged and not yet committed in the storage engine.
_PENDING_LIMIT = 10_000
# An event's header has 32 bits of its position. If a dump leaves out transactions, `LogCursor` cannot continue the
# upper bits in a file that is larger than this.
_COUNTED_BYTES = 1 << 32


class PositionCheck:
    """Checks saved positions on one primary, with a session of the caller and, if needed, dump connections."""

    def __init__(self, session: Session, network: Network, *, facts: ServerFacts | None = None) -> None:
        self._session = session
        self._network = network
        self._server = session.server
        self._facts = facts or read_facts(session)

    def start_of(self, saved: SavedPosition, *, is_thorough: bool = True, by_time: bool = False) -> Position:
        """Return the position to read from for a saved position row.

        On the server that the row belongs to, it is the result of `check`. On another server it is the saved GTID set.

        Args:
            saved: the position row.
            is_thorough: see `check`.
            by_time: also compare the time of the last applied transaction with the log. This needs a dump connection,
                which the primary may write to its error log.

        Raises:
            PositionLost: as `check`.
            PrimaryReplaced: another server answers, and there is no GTID set to continue by, or the server did not
                execute all of it.
            ServerError: as `check`.
        """
        position, facts = saved.position, self._facts
        if saved.source_identity == facts.identity:
            start = self.check(position, is_thorough=is_thorough)
            if by_time and saved.source_time and start.file == position.file and start.pos > FIRST_EVENT:
                self._check_time(position, saved.source_time)
            return start
        if not position.gtid or not facts.has_gtids:
            raise self._replaced(saved, "there is no GTID set to continue from")
        try:
            missing = unknown_gtids(self._session, facts, position.gtid)
        except ValueError:
            raise self._replaced(saved, f"{position.gtid} is not a GTID set of {facts.flavour}") from None
        if missing:
            raise self._replaced(saved, f"it never executed {missing}")
        return self.check(Position("", 0, position.gtid))

    def check(self, position: Position, *, is_thorough: bool = True) -> Position:
        """Return the position to read from: usually the given one.

        If the primary has purged exactly what was applied, it is the start of the first file. If the position has no
        GTID set, the set is added.

        Args:
            position: the saved position.
            is_thorough: compare the log with the GTID set, and add a missing set. Pass False for a set that may lack
                transactions that were being committed when it was read, and for checks that must not cost the primary
                anything.

        Raises:
            PositionLost: the log no longer holds the events after the position, or it holds other transactions before
                the position than the saved set has. PositionPurged if the events were purged.
            ServerError: the primary refuses, or the connection is lost.
        """
        if not position.file:
            self._check_gtids(position.gtid)
            return position
        files = binlog_files(self._session)
        size = next((f.size for f in files if f.name == position.file), None)
        if size is None:
            return self._after_purge(position, files)
        if position.pos > size:
            raise PositionLost(
                f"{position} is past the end of {position.file} ({size} bytes) on {self._server.name}",
                hint=self._to_copy_again("the primary lost the end of its log, or the log was reset"),
            )
        if position.gtid and self._facts.has_gtids and is_thorough:
            self._check_transactions(position, size)
        if FIRST_EVENT < position.pos < size:
            self._check_next_event(position)
        if not position.gtid and self._facts.has_gtids and is_thorough:
            return self._with_gtids(position)
        return position

    def first_time(self, start: Position) -> int | None:
        """Return when the first transaction after a position began, in seconds of the primary's clock; None if none.

        This opens a dump connection.

        Raises:
            ServerError: the primary refuses, or the connection is lost.
        """
        events = self._events(start)
        with contextlib.closing(events):
            times = (int.from_bytes(event[:4], "little") for _, event in events if event[4] in _TRANSACTION_STARTS)
            return next((time for time in times if time), None)

    def _with_gtids(self, position: Position) -> Position:
        """Return a position that was saved without a GTID set, with the set that the log gives for it."""
        try:
            return self._located(position)
        except ServerError as error:
            if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
                raise
        # The file was written before GTIDs were on, and MySQL does not send such a file any more. Its first events name
        # the set.
        return Position(position.file, position.pos, gtids_at_head(self._session, self._facts, position.file))

    def exact(self, position: Position) -> Position:
        """Return a position at the end of the log with the GTID set of exactly the transactions before it.

        The set that SHOW BINARY LOG STATUS of MySQL returns may lack the last transactions before its offset. MariaDB's
        positions are returned unchanged.
        """
        if self._facts.is_mariadb or not position.file or not self._facts.has_gtids:
            return position
        gtids = MysqlGtids(position.gtid)
        for gtid in self._logged_without(position.gtid, position):
            gtids.add(gtid)
        return Position(position.file, position.pos, str(gtids))

    def _check_transactions(self, position: Position, size: int) -> None:
        """Raise PositionLost unless the log has exactly the transactions of the saved set before the position.

        `size` is the size of the position's file in bytes.
        """
        if self._facts.is_mariadb:
            logged = gtids_before(self._session, position)
            if logged is None:
                # No event begins at the position, or an earlier event is too large for the session: read the file as a
                # replica.
                logged = self._located(position).gtid
            if not self._is_same(position.gtid, logged):
                raise self._contradiction(position, logged)
            return
        self._check_purged(position)
        if size < _COUNTED_BYTES:
            try:
                self._check_by_dump(position)
            except ServerError as error:
                if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
                    raise
                # The primary purged the file just now, or cannot serve the set for another reason. The file itself
                # decides.
                self._check_purged(position)
            else:
                return
        logged = self._located(position).gtid
        if logged != str(MysqlGtids(position.gtid)):
            raise self._contradiction(position, logged)

    def _check_time(self, position: Position, source_time: int) -> None:
        """Raise PositionLost if the transaction that ends at the position is not the last applied one, by their times.

        If the log was reset and then filled with the same number of transactions of the same sizes, the GTID set at the
        position is the same, and only the times differ. A file that was begun before the last applied transaction
        cannot be such a file, and is not read further.

        `source_time` is the time of the last applied transaction, in seconds.
        """
        last = 0
        for begin, event in self._events(Position(position.file, FIRST_EVENT)):
            timestamp = int.from_bytes(event[:4], "little")
            if event[4] == EventType.FORMAT_DESCRIPTION and timestamp <= source_time:
                return
            if begin.at_least(position):
                break
            if event[4] in _WITH_TIME:
                last = timestamp
            elif event[4] == EventType.TRANSACTION_PAYLOAD:
                last = 0  # its time is in an event inside it
        if last and last != source_time:
            raise PositionLost(
                f"{position} on {self._server.name} is not the saved position: the transaction that ends there was "
                f"made at {_moment(last)}, the one that was applied at {_moment(source_time)}",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or rebuilt"),
            )

    def _check_purged(self, position: Position) -> None:
        purged = purged_gtids(self._session, self._facts)
        if not covers(position.gtid, purged):
            raise self._purged(position, purged)

    def _check_by_dump(self, position: Position) -> None:
        """Raise PositionLost if a dump that leaves out the saved set shows other transactions before the position.

        Only the saved transactions that the primary has not executed yet may be in the dump before the position.
        """
        # A dump sends a transaction before the storage engine commits it, so the last applied ones may be not executed
        # yet.
        saved = MysqlGtids(position.gtid)
        pending = saved.minus(MysqlGtids(logged_gtids(self._session, self._facts)))
        executed = saved.minus(pending)
        logged = list(self._logged_without(str(executed), position))
        if str(parse_gtids(",".join(logged), is_mariadb=False)) != str(pending):
            for gtid in logged:
                executed.add(gtid)
            raise self._contradiction(position, str(executed))

    def _is_same(self, saved: str, logged: str) -> bool:
        """Return True if a saved MariaDB set equals the log's set, apart from domains that the primary deleted."""
        saved_set, logged_set = MariadbGtids(saved), MariadbGtids(logged)
        if str(saved_set) == str(logged_set):
            return True
        # FLUSH BINARY LOGS DELETE_DOMAIN_ID makes the primary forget a domain. Its sets do not contain the domain after
        # that.
        known_domains = MariadbGtids(logged_gtids(self._session, self._facts)).domains
        remaining = saved_set.without(saved_set.domains - known_domains)
        return bool(remaining.domains) and str(remaining) == str(logged_set)

    def _logged_without(self, gtids: str, end: Position) -> Iterator[str]:
        """Yield the GTIDs of the transactions before `end` in the log that a set lacks, at most 10,000."""
        count = 0
        for begin, event in self._events(Position("", 0, gtids)):
            if begin.at_least(end):
                return
            if event[4] in GTID_EVENTS:
                yield gtid_of(event)
                count += 1
            if count >= _PENDING_LIMIT:
                return

    def _check_next_event(self, position: Position) -> None:
        """Raise PositionLost if the next event is inside a transaction, or begins one that was applied already."""
        try:
            event = next_event(self._session, position)
        except ServerError as error:
            if error.errno != ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            event = None
        if event is None or event.kind not in _AT_BOUNDARIES:
            # Probably the middle of a transaction or of an event. Reading the file as a replica decides.
            self._located(position)
        elif position.gtid and event.gtid and MysqlGtids(position.gtid).has(event.gtid):
            raise self._contradiction(position, event.gtid, where="only after it")

    def _events(self, start: Position) -> Generator[tuple[Position, bytes], None, None]:
        """Yield the log's events from a position or after a GTID set, each with the position at which it begins.

        Events come without checksums; of a large event only the beginning comes (see `peek`). Events that are not in
        the log, and rotations, are not yielded.
        """
        cursor, has_checksum = LogCursor(start), False
        is_mariadb, by_gtid = self._facts.is_mariadb, not start.file
        stream = peek(self._server, self._network, start, is_mariadb=is_mariadb, by_gtid=by_gtid)
        with contextlib.closing(stream):
            for event in stream:
                code, begin = event[4], cursor.pos
                if code == EventType.ROTATE:
                    cursor.move(*_rotation(event))
                if code == EventType.ROTATE or is_artificial(event):
                    continue
                if code == EventType.FORMAT_DESCRIPTION:
                    has_checksum = parse_format(event).has_checksum
                log_pos = int.from_bytes(event[13:17], "little")
                cursor.advance(code, log_pos, size_of(event), is_inside=True)
                if log_pos:
                    begin = max(begin, cursor.pos - size_of(event))
                yield Position(cursor.file, begin), event[:-4] if has_checksum else event

    def _located(self, position: Position) -> Position:
        """Return a position with the GTID set of the log before it. The file is read from its start, as a replica does.

        Raises:
            PositionLost: the position is not between two transactions, or its file was purged.
        """
        from replica_cli.reader.boundary import locate  # noqa: PLC0415 - most positions are checked without it

        try:
            return locate(self._session, self._facts, self._network, position)
        except PositionLost:
            # The file existed a moment ago, so it was purged just now.
            return self._after_purge(position, binlog_files(self._session))
        except UsageError as error:
            raise PositionLost(
                f"{position} on {self._server.name} is not between two transactions"
                + (f"; {position.gtid} was applied up to there" if position.gtid else ""),
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            ) from error

    def _check_gtids(self, executed: str) -> None:
        """Raise PositionLost unless the primary executed all of a GTID set and can send all transactions after it."""
        self._check_purged(Position("", 0, executed))
        if missing := unknown_gtids(self._session, self._facts, executed):
            raise PositionLost(
                f"{self._server.name} never executed {missing} of the saved GTID set {executed}",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            )

    def _after_purge(self, position: Position, files: Sequence[BinlogFile]) -> Position:
        """Return the start of the first file if exactly what was applied has been purged, else raise PositionLost."""
        first = files[0].name if files else ""
        if not first or file_number(first) < file_number(position.file):
            raise PositionLost(
                f"{position.file} is not on {self._server.name}, whose log begins with {first or 'nothing'}",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            )
        if position.gtid and self._facts.has_gtids:
            purged = gtids_at_head(self._session, self._facts, first)
            is_mariadb = self._facts.is_mariadb
            if str(parse_gtids(purged, is_mariadb=is_mariadb)) == str(
                parse_gtids(position.gtid, is_mariadb=is_mariadb)
            ):
                return Position(first, FIRST_EVENT, position.gtid)
        raise PositionPurged(
            f"{position.file} is no longer on {self._server.name}: the changes between {position} and "
            f"{first}:{FIRST_EVENT} are missing",
            hint="run `replica transfer --restart`, or `replica position reset --to FILE:POS` to go on without them",
        )

    def _purged(self, position: Position, purged: str) -> PositionPurged:
        return PositionPurged(
            f"{self._server.name} no longer has all transactions after {position.gtid or 'the beginning'}: it purged "
            f"{purged}",
            hint="run `replica transfer --restart`, or `replica position reset --gtid SET` to go on without them",
        )

    def _contradiction(self, position: Position, logged: str, where: str = "up to there") -> PositionLost:
        hint = self._to_copy_again("the primary's log was reset, or the primary was restored or rebuilt")
        if self._facts.is_mariadb:
            # MariaDB is identified by its server id, which several servers may share: this may be a promoted replica.
            hint += (
                "; only if another server was promoted that has executed the same transactions: "
                f"`replica position reset --gtid {position.gtid}`"
            )
        return PositionLost(
            f"{position} on {self._server.name} is not the saved position: {position.gtid} was applied up to there, "
            f"and the primary's log has {logged or 'no transaction'} {where}",
            hint=hint,
        )

    def _replaced(self, saved: SavedPosition, reason: str) -> PrimaryReplaced:
        return PrimaryReplaced(
            f"{self._server}: this is {self._facts.identity}, and the position {saved.position} belongs to "
            f"{saved.source_identity}: {reason}",
            hint="correct MARIA_PRIMARY_HOST, or run `replica transfer --restart`",
        )

    def _to_copy_again(self, cause: str) -> str:
        return f"{cause}: run `replica drift check`, then `replica transfer --restart`"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rotation(event: bytes) -> tuple[str, int]:
    # A ROTATE that is made for the connection comes before the format description, so it is not known if it has a
    # checksum.
    has_checksum = zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")
    name = event[HEADER + 8 : -4 if has_checksum else None]
    return name.decode(), int.from_bytes(event[HEADER : HEADER + 8], "little")
