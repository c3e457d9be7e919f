"""Decide what to do about an error: a pure function from an error and its history to an action.

The stream's worker and the re-sync ask `action_for`, the copy workers ask `copy_action_for`. They log the action and do
what it says; `retry` waits and repeats. Nothing here does I/O, waits, or reads the clock. The limits are settings
(`Limits`) and those of `core.attempts`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from replica_cli.core.attempts import (
    CHUNK_LOSSES_LIMIT,
    CORRUPT_ATTEMPTS,
    KICK_SECONDS,
    KICKS_LIMIT,
    PANIC_ATTEMPTS,
    REFUSALS_LIMIT,
    UNKNOWN_ATTEMPTS,
)
from replica_cli.core.errors import (
    ApplyRefused,
    CorruptEvent,
    Drift,
    LockHeld,
    LockLost,
    LockWait,
    NamedTwice,
    NeedsDiagnosis,
    OlderWriter,
    Panic,
    PreparedTransactionOverlap,
    RefusedInWindow,
    ReplicaError,
    ServerIdTaken,
    TableChangedInWindow,
)
from replica_cli.mysql.errnos import Remedy, ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replica_cli.core.names import TableName
    from replica_cli.core.position import Position


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that the user sets.

    Attributes:
        reconnects: attempts to reach a lost server again; 0 for no limit.
        table_failures: attempts at a table; 1 at least, or 0 if not used (`copy_action_for` counts none).
        chunk_attempts: attempts at a chunk of a copy that the server asks to repeat; 1 at least.

    """

    reconnects: int
    table_failures: int
    chunk_attempts: int


@dataclass(frozen=True, slots=True)
class History:
    """The errors since something was applied last.

    Attributes:
        position: the position at which they happened.
        losses: errors after which the worker connected again.
        unknown: those of `losses` whose number replica does not know. They are counted apart, as a server that was away
            for long may answer with one at first.
        failures: attempts that failed, by table; those whose table is not known under None.
        kicks: when another replica ended the dump connection, in monotonic seconds. A kick is that another replica
            connects with the same server id, so that the primary closes our connection. They are kept when something is
            applied: between two kicks the stream works.
        refusals: how many windows of a table have ended with a refused row, one after another. They are kept when
            something is applied: after a refusal the table is copied again, and its new window begins after the refused
            row, so the position always moves. The stream forgets them when a window of the table ends without a
            refusal (`Streaming.refusals`).

    """

    position: Position | None = None
    losses: int = 0
    unknown: int = 0
    failures: Mapping[TableName | None, int] = field(default_factory=dict)
    kicks: tuple[float, ...] = ()
    refusals: Mapping[TableName, int] = field(default_factory=dict)

    def count(self, table: TableName | None) -> int:
        """Return how many attempts at a table have failed."""
        return self.failures.get(table, 0)

    def count_for(self, error: ApplyRefused) -> int:
        """Return how many attempts at the error's table have failed: of its windows, or at one position."""
        if isinstance(error, RefusedInWindow) and error.table is not None:
            return self.refusals.get(error.table, 0)
        return self.count(error.table)

    def at(self, position: Position | None) -> History:
        """Return the history at a position: if something was applied, the errors before it do not count any more."""
        if position == self.position:
            return self
        return History(position, kicks=self.kicks, refusals=self.refusals)

    def with_error(self, error: ReplicaError, now: float) -> History:
        """Return the history with one more error, which happened at `now` (monotonic seconds)."""
        if isinstance(error, ServerIdTaken):
            kicks = (*(kick for kick in self.kicks if now - kick < KICK_SECONDS), now)
            return replace(self, kicks=kicks, losses=self.losses + 1)
        if isinstance(error, ServerError):
            return replace(self, losses=self.losses + 1, unknown=self.unknown + error.is_unknown)
        if isinstance(error, CorruptEvent):
            return replace(self._with_failure(None), losses=self.losses + 1)
        if isinstance(error, RefusedInWindow) and error.table is not None:
            return replace(self, refusals={**self.refusals, error.table: self.refusals.get(error.table, 0) + 1})
        if isinstance(error, ApplyRefused) and not (isinstance(error, LockWait) and not error.is_over):
            return self._with_failure(error.table)
        return self

    def without(self, table: TableName) -> History:
        """Return the history without the failures of a table that was quarantined."""
        failures = {t: n for t, n in self.failures.items() if t != table}
        return replace(self, failures=failures, refusals={t: n for t, n in self.refusals.items() if t != table})

    def _with_failure(self, table: TableName | None) -> History:
        return replace(self, failures={**self.failures, table: self.count(table) + 1})


@dataclass(frozen=True, slots=True)
class Repeat:
    """Go on from the saved position, at once.

    `diagnoses`: with the diagnostic engine. `copies_first`: unfinished copies are made before the stream goes on.
    """

    diagnoses: bool = False
    copies_first: bool = False


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Connect again after a wait. `attempt` counts from 1. `clears`: the server works, and waits for a full disk."""

    attempt: int
    clears: bool = False


@dataclass(frozen=True, slots=True)
class WaitForLock:
    """Try the statement again after a wait: another connection holds a lock that it needs."""


@dataclass(frozen=True, slots=True)
class CopyAgain:
    """Record that tables must be copied again, then go on. The numbers are as in `RetryTable`, 0 if nothing failed."""

    tables: tuple[TableName, ...]
    count: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class RetryTable:
    """Try again from the saved position after a wait. `count` of at most `limit` attempts at the table have failed."""

    count: int
    limit: int


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Quarantine tables, then go on. The numbers are as in `RetryTable`."""

    tables: tuple[TableName, ...]
    count: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """End with the error. The numbers are as in `RetryTable`, 0 if the error is not about attempts."""

    count: int = 0
    limit: int = 0


Action = Repeat | Reconnect | WaitForLock | CopyAgain | RetryTable | Quarantine | Stop


def tables_of(error: ReplicaError) -> tuple[TableName | None, ...]:
    """Return the tables that an error is about; None for a table that is not known."""
    if isinstance(error, TableChangedInWindow):
        return error.tables
    return (error.table if isinstance(error, ApplyRefused) else None,)


def class_of(action: Action) -> str:
    """Return in one stable word what is done about an error, for metrics.

    `retryable`: another attempt is made. `connection`: the worker connects again. `table`: tables are copied again or
    quarantined. `fatal`: the stream ends.
    """
    match action:
        case Reconnect():
            return "connection"
        case CopyAgain() | Quarantine():
            return "table"
        case Stop():
            return "fatal"
    return "retryable"


def retry_reason(action: Action) -> str | None:
    """Return in one stable word why another attempt is made, for metrics; None if none is made at the same change.

    `lock`: another connection holds a lock. `table`: a change of a table failed. `diagnosis`: the row that fails is
    looked for. `state`: the server works and refuses changes, for example with a full disk. `connection`: a connection
    was lost. `again`: something else has changed, such as the connection that holds the writer's lock.
    """
    match action:
        case WaitForLock():
            return "lock"
        case RetryTable():
            return "table"
        case Reconnect():
            return "state" if action.clears else "connection"
        case Repeat():
            return "diagnosis" if action.diagnoses else "again"
    return None


_REPEATS: Mapping[type[ReplicaError], Repeat] = {
    # The lock is requested again. If another process has it, that request fails with another error.
    LockLost: Repeat(),
    NeedsDiagnosis: Repeat(diagnoses=True),
    PreparedTransactionOverlap: Repeat(copies_first=True),
}


def action_for(
    error: ReplicaError,
    history: History,
    limits: Limits,
    *,
    may_copy: bool = True,
    stops_for_tables: bool = False,
    is_standby: bool = False,
) -> Action:
    """Return what a stream, or the re-sync beside it, does about an error.

    Args:
        error: the error.
        history: the errors so far, this one included (`History.with_error`).
        limits: the limits of the settings.
        may_copy: False if the user forbids copies (`--no-transfer`).
        stops_for_tables: True if the user wants the stream to end when a table fails.
        is_standby: True if the process waits for the writer's lock and has not had it yet.

    """
    if is_standby and isinstance(error, LockHeld) and not isinstance(error, NamedTwice | LockLost | OlderWriter):
        return Repeat()  # it was slower than another standby, and waits again
    for kind, repeat in _REPEATS.items():
        if isinstance(error, kind):
            return repeat
    if isinstance(error, TableChangedInWindow):
        return _copy_again(error.tables, may_copy=may_copy, stops_for_tables=stops_for_tables)
    if isinstance(error, ServerIdTaken | ServerError | CorruptEvent):
        return _for_connection(error, history, limits)
    if isinstance(error, ApplyRefused):
        return _for_refused(error, history, limits, may_copy=may_copy, stops_for_tables=stops_for_tables)
    return Stop()


def _copy_again(
    tables: tuple[TableName, ...], count: int = 0, limit: int = 0, *, may_copy: bool, stops_for_tables: bool
) -> Action:
    if may_copy:
        return CopyAgain(tables, count, limit)
    return Stop(count, limit) if stops_for_tables else Quarantine(tables, count, limit)


def _for_connection(error: ServerIdTaken | ServerError | CorruptEvent, history: History, limits: Limits) -> Action:
    if isinstance(error, ServerIdTaken):
        is_hopeless = len(history.kicks) >= KICKS_LIMIT
    elif isinstance(error, ServerError):
        is_hopeless = not error.may_clear or history.unknown >= UNKNOWN_ATTEMPTS
    else:
        is_hopeless = history.count(None) >= CORRUPT_ATTEMPTS
    if is_hopeless or (limits.reconnects and history.losses >= limits.reconnects):
        return Stop()
    return Reconnect(history.losses, clears=isinstance(error, ServerError) and error.remedy is Remedy.WAIT)


def _for_refused(
    error: ApplyRefused, history: History, limits: Limits, *, may_copy: bool, stops_for_tables: bool
) -> Action:
    if isinstance(error, LockWait) and not error.is_over:
        return WaitForLock()
    table, count, limit = error.table, history.count_for(error), _attempts(error, limits)
    # Another attempt does not remove drift, and a lock was waited for as long as that may last.
    may_clear = count < limit and not isinstance(error, Drift | LockWait)
    if may_clear and isinstance(error, RefusedInWindow) and table is not None:
        return _copy_again((table,), count, limit, may_copy=may_copy, stops_for_tables=stops_for_tables)
    if may_clear:
        return RetryTable(count, limit)
    if table is None or stops_for_tables:
        return Stop(count, limit)
    return Quarantine((table,), count, limit)


def _attempts(error: ApplyRefused, limits: Limits) -> int:
    if isinstance(error, Panic):
        return PANIC_ATTEMPTS
    if isinstance(error, RefusedInWindow):
        return REFUSALS_LIMIT
    # If it is not known which table fails, none can be quarantined, and another attempt fails as well.
    return limits.table_failures if error.table is not None else 0


@dataclass(frozen=True, slots=True)
class ChunkHistory:
    """The errors since a copy worker committed a chunk last: all attempts, and connections lost one after another."""

    attempts: int = 0
    losses: int = 0

    def with_error(self, error: ServerError, *, has_committed: bool) -> ChunkHistory:
        """Return the history with one more error; `has_committed`: chunks were committed since the one before."""
        was_lost = error.is_connection_lost and not error.is_unreachable and not has_committed
        return ChunkHistory(1 if has_committed else self.attempts + 1, self.losses + 1 if was_lost else 0)


def copy_action_for(error: ServerError, history: ChunkHistory, limits: Limits) -> RetryTable | Stop:
    """Return whether a copy worker tries a chunk again.

    It waits for a server that cannot be reached. It gives up on a server that hangs up on the same chunk again and
    again, for example because something between them does not pass a packet: otherwise it would try for ever.
    """
    limit = limits.chunk_attempts if error.remedy is Remedy.RETRY else limits.reconnects
    if error.remedy is Remedy.FATAL or history.losses >= CHUNK_LOSSES_LIMIT:
        return Stop()
    return Stop() if limit and history.attempts >= limit else RetryTable(history.attempts, limit)
