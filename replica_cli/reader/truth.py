"""Whether a saved position is true on the primary that answers, and where reading goes on from it.

A file name and an offset say what the log held when they were saved. After RESET MASTER (RESET BINARY LOGS AND GTIDS),
and on a primary that was restored or rebuilt, the same name and offset belong to other transactions. So where both
sides have GTIDs a FILE:POS counts only if the transactions that the log holds before it are exactly those of the saved
GTID set. The stream asks at each connection, `health`, `position show`, `transfer --resume` and the stream's own watch
ask the same here.

Cost: the primary reads one file of its log from the head to the position (1 GB of small transactions: 1 to 3 seconds);
nearly nothing of it is sent.
"""

from __future__ import annotations

import contextlib
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionLost, PositionPurged, PrimaryReplaced, UsageError
from replica_cli.core.gtid import MariadbGtids, MysqlGtids, covers, parse_gtids
from replica_cli.core.position import Position, file_number
from replica_cli.mysql.binlog import binlog_files, next_event
from replica_cli.mysql.errnos import (
    ER_ERROR_WHEN_EXECUTING_COMMAND,
    ER_MASTER_FATAL_ERROR_READING_BINLOG,
    ServerError,
)
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.gtids import FIRST_EVENT, gtids_at_head, gtids_before
from replica_cli.mysql.purged import logged_gtids, purged_gtids, unknown_gtids
from replica_cli.reader.boundary import locate
from replica_cli.reader.codes import HEADER, EventType
from replica_cli.reader.format import parse_format
from replica_cli.reader.log_cursor import LogCursor
from replica_cli.reader.peek import GTID_EVENTS, gtid_of, is_artificial, peek, size_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.core.settings import Network
    from replica_cli.mysql.binlog import BinlogFile
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session

# What `SHOW BINLOG EVENTS` calls the begin of a transaction, and what servers write between transactions.
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
_BEGINS = GTID_EVENTS | {EventType.ANONYMOUS_GTID}
# The last event of a transaction tells its time.
_WITH_TIME = frozenset(
    {
        EventType.XID,
        EventType.QUERY,
        EventType.MARIADB_QUERY_COMPRESSED,
        EventType.XA_PREPARE,
        EventType.EXECUTE_LOAD_QUERY,
    }
)
# More transactions than can be on their way between the log and the storage engine.
_IN_FLIGHT_LIMIT = 10_000
# An event's header tells 32 bits of its position: in a larger file a dump that leaves transactions out cannot count on.
_COUNTED_BYTES = 1 << 32


class PositionCheck:
    """Asks one primary about saved positions."""

    def __init__(self, session: Session, network: Network, *, facts: ServerFacts | None = None) -> None:
        self._session = session
        self._network = network
        self._server = session.server
        self._facts = facts or read_facts(session)

    def start_of(self, saved: SavedPosition, *, is_thorough: bool = True, by_time: bool = False) -> Position:
        """Return where to read from for a position row: by GTID set on another server than the one that it is of.

        `by_time`: also look when the log was begun, on a dump connection that the primary may note in its error log.

        Raises PositionLost as `check` does, PrimaryReplaced when another server lacks some of what was applied.
        """
        position, facts = saved.position, self._facts
        if saved.source_identity == facts.identity:
            start = self.check(position, is_thorough=is_thorough)
            if by_time and saved.source_time and start.file == position.file and start.pos > FIRST_EVENT:
                self._check_time(position, saved.source_time)
            return start
        if not position.gtid or not facts.has_gtids:
            raise self._replaced(saved, "there is no GTID set to go on by")
        try:
            lacks = unknown_gtids(self._session, facts, position.gtid)
        except ValueError:
            raise self._replaced(saved, f"{position.gtid} is no GTID set of {facts.flavour}") from None
        if lacks:
            raise self._replaced(saved, f"it never executed {lacks}")
        return self.check(Position("", 0, position.gtid))

    def check(self, position: Position, *, is_thorough: bool = True) -> Position:
        """Return where to read from, which is the position as a rule.

        It is the head of the first file when exactly what was applied has been purged. A GTID set that is missing is
        added. Not `is_thorough`: the log is not held against the GTID set, for one that may lack transactions which
        were being committed, and for a look that must not cost the primary anything.

        Raises PositionLost when the log no longer holds what follows the position, or holds other transactions before
        it than the saved set; ServerError.
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
        """Return when the first transaction after a position began, seconds by the primary's clock; None without one.

        It asks on a dump connection. Raises ServerError.
        """
        events = self._events(start)
        with contextlib.closing(events):
            times = (int.from_bytes(event[:4], "little") for _, event in events if event[4] in _BEGINS)
            return next((time for time in times if time), None)

    def _with_gtids(self, position: Position) -> Position:
        """Return a position that was saved without a GTID set with the one of the log."""
        try:
            return self._located(position)
        except ServerError as error:
            if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
                raise
        # From before GTIDs were on, and MySQL sends nothing of such a file any more: its head tells.
        return Position(position.file, position.pos, gtids_at_head(self._session, self._facts, position.file))

    def exact(self, position: Position) -> Position:
        """Return a position at the end of the log with the GTID set of exactly the transactions before it.

        SHOW BINARY LOG STATUS of MySQL names a place whose last transactions may still be missing in the set.
        """
        if self._facts.is_mariadb or not position.file or not self._facts.has_gtids:
            return position
        gtids = MysqlGtids(position.gtid)
        for gtid in self._logged_without(position.gtid, position):
            gtids.add(gtid)
        return Position(position.file, position.pos, str(gtids))

    def _check_transactions(self, position: Position, size: int) -> None:
        if self._facts.is_mariadb:
            there = gtids_before(self._session, position)
            if there is None:
                # No event begins there, or an earlier event is too large for the session: read as a replica does.
                there = self._located(position).gtid
            if not self._is_same(position.gtid, there):
                raise self._contradiction(position, there)
            return
        self._check_purged(position)
        if size < _COUNTED_BYTES:
            try:
                self._check_by_dump(position)
            except ServerError as error:
                if error.errno != ER_MASTER_FATAL_ERROR_READING_BINLOG:
                    raise
                # Purged in this moment, or it cannot serve the set for another reason: the file tells.
                self._check_purged(position)
            else:
                return
        there = self._located(position).gtid
        if there != str(MysqlGtids(position.gtid)):
            raise self._contradiction(position, there)

    def _check_time(self, position: Position, source_time: int) -> None:
        """Raise PositionLost when the file was begun after the last applied transaction, and ends another one there.

        A log that was reset and filled with as many transactions of the same sizes has the same GTID set at the same
        place: only their times differ. A file that is older than the last applied transaction holds that one.
        """
        last = 0
        for begin, event in self._events(Position(position.file, FIRST_EVENT)):
            timestamp = int.from_bytes(event[:4], "little")
            if event[4] == EventType.FORMAT_DESCRIPTION and timestamp <= source_time:
                return
            if begin.order >= position.order:
                break
            if event[4] in _WITH_TIME:
                last = timestamp
            elif event[4] == EventType.TRANSACTION_PAYLOAD:
                last = 0  # its time is that of an event inside
        if last and last != source_time:
            raise PositionLost(
                f"{position} on {self._server.name} is not the saved position: the transaction that ends there was "
                f"made at {_moment(last)}, the one that was applied at {_moment(source_time)}",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or rebuilt"),
            )

    def _check_purged(self, position: Position) -> None:
        purged = purged_gtids(self._session, self._facts)
        if not covers(position.gtid, purged, is_mariadb=self._facts.is_mariadb):
            raise self._purged(position, purged)

    def _check_by_dump(self, position: Position) -> None:
        """Ask MySQL for the log without what the saved set holds: nothing of it may begin before the position."""
        # A dump sends what comes before the engine commits, so the last applied ones may not be executed yet.
        ours = MysqlGtids(position.gtid)
        pending = ours.minus(MysqlGtids(logged_gtids(self._session, self._facts)))
        known = ours.minus(pending)
        logged = list(self._logged_without(str(known), position))
        if str(parse_gtids(",".join(logged), is_mariadb=False)) != str(pending):
            for gtid in logged:
                known.add(gtid)
            raise self._contradiction(position, str(known))

    def _is_same(self, ours: str, theirs: str) -> bool:
        one, other = MariadbGtids(ours), MariadbGtids(theirs)
        if str(one) == str(other):
            return True
        # A domain that the primary was told to forget (FLUSH BINARY LOGS DELETE_DOMAIN_ID) comes no more.
        known = MariadbGtids(logged_gtids(self._session, self._facts)).domains
        kept = one.without(one.domains - known)
        return bool(kept.domains) and str(kept) == str(other)

    def _logged_without(self, gtids: str, end: Position) -> Iterator[str]:
        """Yield the GTIDs of the transactions that the log holds before `end` and a set lacks."""
        count = 0
        for begin, event in self._events(Position("", 0, gtids)):
            if begin.order >= end.order:
                return
            if event[4] in GTID_EVENTS:
                yield gtid_of(event)
                count += 1
            if count >= _IN_FLIGHT_LIMIT:
                return

    def _check_next_event(self, position: Position) -> None:
        """Raise PositionLost unless a transaction begins at a position, one that was not applied."""
        try:
            event = next_event(self._session, position)
        except ServerError as error:
            if error.errno != ER_ERROR_WHEN_EXECUTING_COMMAND:
                raise
            event = None
        if event is None or event.kind not in _AT_BOUNDARIES:
            # Most likely the middle of a transaction or of an event. The file, read as a replica reads it, tells.
            self._located(position)
        elif position.gtid and event.gtid and MysqlGtids(position.gtid).has(event.gtid):
            raise self._contradiction(position, f"{event.gtid} only after it")

    def _events(self, start: Position) -> Generator[tuple[Position, bytes], None, None]:
        """Yield the log's events from a file's head or after a GTID set, each with where it begins, no checksums.

        Of a large event the beginning alone (`peek`).
        """
        place, has_checksum = LogCursor(start), False
        is_mariadb, by_gtid = self._facts.is_mariadb, not start.file
        stream = peek(self._server, self._network, start, is_mariadb=is_mariadb, by_gtid=by_gtid)
        with contextlib.closing(stream):
            for event in stream:
                code, begin = event[4], place.pos
                if code == EventType.ROTATE:
                    place.move(*_rotation(event))
                if code == EventType.ROTATE or is_artificial(event):
                    continue
                if code == EventType.FORMAT_DESCRIPTION:
                    has_checksum = parse_format(event).has_checksum
                log_pos = int.from_bytes(event[13:17], "little")
                place.advance(code, log_pos, size_of(event), is_inside=True)
                if log_pos:
                    begin = max(begin, place.pos - size_of(event))
                yield Position(place.file, begin), event[:-4] if has_checksum else event

    def _located(self, position: Position) -> Position:
        """Return a position with the GTID set of the log, which is read like a replica does from the file's head."""
        try:
            return locate(self._session, self._facts, self._network, position)
        except PositionLost:
            # Its file was there a moment ago.
            return self._after_purge(position, binlog_files(self._session))
        except UsageError as error:
            raise PositionLost(
                f"{position} on {self._server.name} is not between two transactions"
                + (f"; {position.gtid} was applied up to there" if position.gtid else ""),
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            ) from error

    def _check_gtids(self, executed: str) -> None:
        self._check_purged(Position("", 0, executed))
        if lacks := unknown_gtids(self._session, self._facts, executed):
            raise PositionLost(
                f"{self._server.name} never executed {lacks}, which the saved GTID set {executed} holds",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            )

    def _after_purge(self, position: Position, files: Sequence[BinlogFile]) -> Position:
        """Return the head of the first file when the purged files held exactly what was applied."""
        first = files[0].name if files else ""
        if not first or file_number(first) < file_number(position.file):
            raise PositionLost(
                f"{position.file} is not on {self._server.name}, whose log begins with {first or 'nothing'}",
                hint=self._to_copy_again("the primary's log was reset, or the primary was restored or replaced"),
            )
        if position.gtid and self._facts.has_gtids:
            there = gtids_at_head(self._session, self._facts, first)
            is_mariadb = self._facts.is_mariadb
            if str(parse_gtids(there, is_mariadb=is_mariadb)) == str(parse_gtids(position.gtid, is_mariadb=is_mariadb)):
                return Position(first, FIRST_EVENT, position.gtid)
        raise PositionPurged(
            f"{position.file} is no longer on {self._server.name}: what lies between {position} and "
            f"{first}:{FIRST_EVENT} is missing",
            hint="run `replica transfer --restart`, or `replica position reset --to FILE:POS` to go on with a hole",
        )

    def _purged(self, position: Position, purged: str) -> PositionPurged:
        return PositionPurged(
            f"{self._server.name} no longer has all transactions after {position.gtid or 'the beginning'}: it purged "
            f"{purged}",
            hint="run `replica transfer --restart`, or `replica position reset --gtid SET` to go on with a hole",
        )

    def _contradiction(self, position: Position, there: str) -> PositionLost:
        hint = self._to_copy_again("the primary's log was reset, or the primary was restored or rebuilt")
        if self._facts.is_mariadb:
            # Its identity is its server id, which many servers share: it may be a replica that was promoted.
            hint += (
                "; only if another server was promoted that has executed the same transactions: "
                f"`replica position reset --gtid {position.gtid}`"
            )
        return PositionLost(
            f"{position} on {self._server.name} is not the saved position: {position.gtid} was applied up to there, "
            f"and the primary's log has {there or 'no transaction'} up to there",
            hint=hint,
        )

    def _replaced(self, saved: SavedPosition, reason: str) -> PrimaryReplaced:
        return PrimaryReplaced(
            f"{self._server}: this is {self._facts.identity}, and the position {saved.position} belongs to "
            f"{saved.source_identity}: {reason}",
            hint="point the settings at the right server, or `replica transfer --restart`",
        )

    def _to_copy_again(self, cause: str) -> str:
        return f"{cause}: `replica drift check`, then `replica transfer --restart`"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rotation(event: bytes) -> tuple[str, int]:
    # One that is made for the connection comes before the format description: its checksum may be there or not.
    has_checksum = zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")
    name = event[HEADER + 8 : -4 if has_checksum else None]
    return name.decode(), int.from_bytes(event[HEADER : HEADER + 8], "little")
