"""Open pairs of snapshots, one on each server, whose positions in the primary's log are known.

What the primary's snapshot shows lies between two positions, which are the same on MariaDB in most cases. The
secondary's snapshot contains the position row. Rows and position are committed together, so that row says exactly up to
which position the snapshot shows the changes. The log between the lowest and the highest of these positions tells which
rows may differ although nothing is wrong. No row is locked, and the stream does not wait.

A snapshot keeps rows, but not the names of tables: after RENAME TABLE it reads another table. So the tables are opened
in both snapshots at once, and from then on DDL waits for the end of the pair, as it does for any transaction that reads
a table. The log tells of DDL between a snapshot and that moment.

A table on the primary whose engine has no transactions has no snapshots either: each query shows its rows of now. What
was read of it counts only if the log then has no change of it after the snapshot. Before the read and after it, the
pair waits for the sessions that write the table: so the log has what they have written, and the table shows it.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from operator import eq
from typing import TYPE_CHECKING, Protocol, Self

from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.checkpoint.table_lifecycle import TableLifecycle
from replica_cli.core.errors import PositionLost, PrimaryReplaced
from replica_cli.core.events import RowEvent
from replica_cli.core.wording import duration
from replica_cli.mysql.binlog.log_state import log_end
from replica_cli.mysql.binlog.snapshots import end_with_gtids, open_snapshot_between
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.verify.statements import LoggedStatements
from replica_cli.verify.touched import Interval, TouchedRows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from replica_cli.checkpoint.positions import SavedPosition
    from replica_cli.checkpoint.table_records import TableRecord
    from replica_cli.core.events import Transaction
    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.stop import StopToken
    from replica_cli.verify.tables import VerifiedTable

# A stream that runs reaches the end of the log within milliseconds. One that does not move for this long is stopped,
# paused or far behind: then the part of the log that it has not applied is read instead.
_STILL_SECONDS = 0.3
# The primary's snapshot is open meanwhile. After that a stream that is further behind is taken as it is, too.
_WAIT_SECONDS = 3.0
_POLL_SECONDS = 0.003
_SNAPSHOT = (
    b"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    b"START TRANSACTION WITH CONSISTENT SNAPSHOT",
)
# Names and positions come as text, and rows as bytes, so that no charset is converted.
_NAMES, _BYTES = "SET NAMES utf8mb4", "SET NAMES binary"
# A pair is given up rather than wait for a session that has locked a table.
_SHORT_WAITS = "SET SESSION lock_wait_timeout = 5"
# The servers join 61 tables at most.
_JOINED_TABLES = 60
_LOG_TOO_LONG = (
    "the part of the primary's log that the secondary has not applied takes longer to read than a snapshot may live "
    "(REPLICA_VERIFY_SNAPSHOT): run again when the stream has caught up"
)
# How many changed rows are kept for one pair.
ROWS_LIMIT = 100_000


class SnapshotExpired(Exception):
    """A pair of snapshots has become too old before it was used; the text says why, if that is known."""


class ReadLog(Protocol):
    """Reads a part of the primary's log."""

    def __call__(self, start: Position, end: Position, wants: Callable[[TableName], bool]) -> Iterator[Transaction]:
        """Yield the transactions from one position up to another one, with the row events of the wanted tables."""


@dataclass(frozen=True)
class Pair:
    """Two open snapshots.

    Attributes:
        interval: their positions.
        touched: the rows that were changed in between.
        records: the records of the tables that are not simply streamed, as of the secondary's position.
        has_changed: tells if what was read of a table may be newer than the primary's snapshot. That is so if its
            engine has no snapshots, and the log has a change of it after the snapshot.
    """

    interval: Interval
    touched: TouchedRows
    records: dict[TableName, TableRecord]
    has_changed: Callable[[VerifiedTable], bool]

    @property
    def position(self) -> Position:
        """Return the position of the secondary's snapshot."""
        return self.interval.applied


@dataclass(frozen=True, slots=True)
class PairSessions:
    """The sessions that have the snapshots; nothing else uses them meanwhile.

    Attributes:
        primary: the session to the primary.
        secondary: the session to the secondary.
        positions: reads the position row on `secondary`.
        positions_now: reads the position row on a session without a snapshot.
        intents: reads the intent of a DDL statement on a session without a snapshot.
        tables: reads the tables' records on `secondary`.
    """

    primary: Session
    secondary: Session
    positions: PositionStore
    positions_now: PositionStore
    intents: IntentStore
    tables: TableLifecycle

    @classmethod
    def of(cls, primary: Session, secondary: Session, state: Session, state_schema: str, instance: str) -> Self:
        """Return the sessions of one instance; `state` is another session to the secondary."""
        key, now = (secondary, state_schema, instance), (state, state_schema, instance)
        return cls(
            primary, secondary, PositionStore(*key), PositionStore(*now), IntentStore(*now), TableLifecycle(*key)
        )


class Pairs:
    """Opens pairs of snapshots on the sessions of one comparison."""

    def __init__(self, sessions: PairSessions, facts: ServerFacts, read_log: ReadLog, stop: StopToken) -> None:
        """Use sessions.

        Args:
            sessions: the sessions.
            facts: the primary's facts.
            read_log: reads a part of the primary's log.
            stop: ends a wait.
        """
        self._primary = sessions.primary
        self._secondary = sessions.secondary
        self._positions = sessions.positions
        self._positions_now = sessions.positions_now
        self._tables = sessions.tables
        self._intents = sessions.intents
        self._facts = facts
        self._read_log = read_log
        # From which position the log is read, if a pair before has met an XA COMMIT without its rows. Each further pair
        # reads from there, so it knows the rows of all that was prepared since then.
        self._read_since: Position | None = None
        # After a failover the position has no file until the first transaction. Once it has one, it is not asked again.
        self._has_file = False
        # Where the stream did not move. As long as it is there, a pair does not wait for it.
        self._still_at: Position | None = None
        self._stop = stop

    @contextmanager
    def open(
        self,
        tables: Sequence[VerifiedTable],
        wanted: Mapping[TableName, Collection[KeyLiterals]],
        *,
        keeps_values: bool = False,
        waits: bool = True,
        expiry: float = math.inf,
    ) -> Iterator[Pair]:
        """Open a pair of snapshots for some tables; both end with the context.

        Args:
            tables: the tables.
            wanted: keys of rows of which it is wanted what the log says that they are on the secondary.
            keeps_values: keep the values of these rows too.
            waits: wait for the stream. Without it the secondary's position does not move.
            expiry: the log has to be read until this monotonic time.

        Raises:
            PositionLost: there is no saved position, or the primary no longer has the log from it on.
            PrimaryReplaced: the saved position is one of another primary's log.
            Interrupted: a stop was requested.
            SnapshotExpired: the log was not read in time.
            ServerError: a server does not answer.
        """
        for session in (self._primary, self._secondary):
            session.post(_NAMES)
            session.post(_SHORT_WAITS)
        try:
            by_gtid = self._is_by_gtid()
            shown, end = open_snapshot_between(self._primary, self._facts, self._stop, by_gtid=by_gtid)
            names = [pair for table in tables for pair in table.names]
            _hold(self._primary, (own for own, _ in names))
            for table in tables:
                self._wait_for_writers(table)
            held = self._end_of_log(by_gtid=by_gtid)
            if waits:
                self._wait_for(end)
            self._secondary.execute_each(_SNAPSHOT)
            applied = self._position(self._positions)
            _hold(self._secondary, (target for _, target in names))
            # In this order: the intent is deleted in the commit that moves the position.
            intent = self._intents.load()
            now = self._position(self._positions_now)
            interval = Interval(shown, end, applied)
            last = _last(interval.high, held, now)
            touched = TouchedRows(tables, interval, wanted, self._facts, limit=ROWS_LIMIT, keeps_values=keeps_values)
            if not interval.low.is_same(last):
                start = self._read_since or interval.low
                for transaction in self._read_log(start, last, touched.wants):
                    touched.take(transaction)
                    if time.monotonic() >= expiry:
                        raise SnapshotExpired(_LOG_TOO_LONG)
                self._read_since = start if touched.has_unknown_xa else None
            records = self._tables.load()
            touched.take_intent(intent)
            for session in (self._primary, self._secondary):
                session.post(_BYTES)
            touched.add_cascades(self._primary, self._secondary)
            yield Pair(interval, touched, records, partial(self._has_changed, end))
        finally:
            self._primary.rollback()
            self._secondary.rollback()

    def _is_by_gtid(self) -> bool:
        """Return True if the position has no file: another server became the primary, and no transaction came yet."""
        if not self._has_file:
            self._has_file = bool(self._position(self._positions_now).file)
        return not self._has_file

    def _end_of_log(self, *, by_gtid: bool) -> Position:
        if by_gtid:
            return end_with_gtids(self._primary, self._facts)
        return log_end(self._primary, has_gtids=self._facts.has_gtids)

    def _wait_for_writers(self, table: VerifiedTable) -> None:
        """Wait until no session writes a table without snapshots.

        A writer shows its rows when it unlocks the table, which may be long after they are in the log: it waits for the
        answer of a semi-synchronous replica before. Other engines show rows that are not in the log yet.
        """
        if not table.has_snapshots:
            self._primary.execute(f"SELECT 1 FROM {quote_table(table.name)} WHERE FALSE FOR UPDATE")

    def _has_changed(self, end: Position, table: VerifiedTable) -> bool:
        if table.has_snapshots:
            return False
        self._wait_for_writers(table)
        self._primary.post(_NAMES)
        now = self._end_of_log(by_gtid=not end.file)
        self._primary.post(_BYTES)
        if now.is_same(end):
            return False
        statements = LoggedStatements([table], self._facts)
        return any(
            isinstance(change, RowEvent) or statements.tables_of(change)
            for transaction in self._read_log(end, now, partial(eq, table.name))
            for change in transaction.changes
        )

    def _wait_for(self, end: Position) -> None:
        """Wait until the stream has applied everything up to a position, unless it does not move or takes long."""
        position = self._position(self._positions)
        if self._still_at is not None and position.is_same(self._still_at):
            return
        moved_at = begun_at = time.monotonic()
        while not position.at_least(end) and time.monotonic() - begun_at < _WAIT_SECONDS:
            if time.monotonic() - moved_at >= _STILL_SECONDS:
                self._still_at = position
                return
            self._stop.wait(_POLL_SECONDS)
            before, position = position, self._position(self._positions)
            if not position.is_same(before):
                moved_at = time.monotonic()

    def _position(self, positions: PositionStore) -> Position:
        saved = positions.load()
        if saved is None:
            raise no_position(self._secondary.server)
        if saved.source_identity != self._facts.identity:
            raise another_primary(self._primary.server, self._facts, saved)
        return saved.position


def _hold(session: Session, names: Iterable[TableName]) -> None:
    """Open tables in the transaction of a session without reading a row, so that DDL waits for its end."""
    tables = [quote_table(name) for name in dict.fromkeys(names)]
    for start in range(0, len(tables), _JOINED_TABLES):
        session.execute(f"SELECT 1 FROM {','.join(tables[start : start + _JOINED_TABLES])} WHERE FALSE")


def _last(*positions: Position) -> Position:
    return reduce(lambda a, b: a if a.at_least(b) else b, positions)


def limit_queries(session: Session, seconds: float) -> None:
    """Limit the time of each query of a session, and so the age of its snapshots."""
    if session.is_mariadb:
        session.execute(f"SET SESSION max_statement_time = {seconds}")
    else:
        session.execute(f"SET SESSION max_execution_time = {int(seconds * 1000)}")


def too_slow(seconds: float) -> str:
    """Return why a table is not decided whose rows are not read within a time."""
    return f"its rows are not read within {duration(seconds)} (REPLICA_VERIFY_SNAPSHOT)"


def no_position(server: Server) -> PositionLost:
    """Return the error for a secondary without a saved position."""
    return PositionLost(
        f"{server}: there is no saved position, so it is not known to which position its rows belong",
        hint="`replica transfer` makes the first copy",
    )


def another_primary(server: Server, facts: ServerFacts, saved: SavedPosition) -> PrimaryReplaced:
    """Return the error for a position that belongs to another server than the primary that answers."""
    return PrimaryReplaced(
        f"{server}: this is {facts.identity}, and the position {saved.position} belongs to {saved.source_identity}, so "
        "their rows cannot be compared",
        hint="correct MARIA_PRIMARY_HOST; if this is the new primary after a failover, start `replica stream`, which "
        "checks if it has all that was applied",
    )
