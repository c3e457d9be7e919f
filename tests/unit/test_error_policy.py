"""The action for each error follows from the error and what happened before."""

from __future__ import annotations

import pytest

from replica_cli.core.attempts import (
    CHUNK_LOSSES_LIMIT,
    KICK_SECONDS,
    KICKS_LIMIT,
    REFUSALS_LIMIT,
    UNKNOWN_ATTEMPTS,
)
from replica_cli.core.errors import (
    ApplyRefused,
    ConfigurationError,
    CorruptEvent,
    Drift,
    LockHeld,
    LockLost,
    LockWait,
    NamedTwice,
    NeedsDiagnosis,
    OlderWriter,
    Panic,
    PositionLost,
    PreparedTransactionOverlap,
    RefusedInWindow,
    ReplicaError,
    RowMissing,
    ServerIdTaken,
    StatementInDoubt,
    TableChangedInWindow,
)
from replica_cli.core.names import TableName
from replica_cli.core.position import Position
from replica_cli.error_policy import (
    Action,
    ChunkHistory,
    CopyAgain,
    History,
    Limits,
    Quarantine,
    Reconnect,
    Repeat,
    RetryTable,
    Stop,
    WaitForLock,
    action_for,
    class_of,
    copy_action_for,
    retry_reason,
)
from replica_cli.mysql.errnos import Remedy, ServerError

ITEMS = TableName("shop", "items")
LIMITS = Limits(reconnects=0, table_failures=3, chunk_attempts=4)
HERE, LATER = Position("binlog.000001", 100), Position("binlog.000001", 200)
LOST = ServerError(2013, "lost", "db1", remedy=Remedy.RECONNECT)
FULL = ServerError(1021, "disk full", "db1", remedy=Remedy.WAIT)
DENIED = ServerError(1142, "denied", "db1", remedy=Remedy.FATAL)
UNKNOWN = ServerError(29_999, "never seen", "db1", remedy=Remedy.FATAL)


def actions(*errors: ReplicaError, limits: Limits = LIMITS, **options: bool) -> list[Action]:
    """Return what is done about errors that come one after another at one position, a second each."""
    history, found = History(HERE), []
    for second, error in enumerate(errors):
        history = history.at(HERE).with_error(error, float(second))
        found.append(action_for(error, history, limits, **options))
    return found


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LockLost("lost"), Repeat()),
        (NeedsDiagnosis("one of these"), Repeat(diagnoses=True)),
        (PreparedTransactionOverlap("XA x"), Repeat(copies_first=True)),
        (TableChangedInWindow((ITEMS,), "altered"), CopyAgain((ITEMS,))),
        (StatementInDoubt((ITEMS,), "in doubt"), CopyAgain((ITEMS,))),
        (LOST, Reconnect(1)),
        (FULL, Reconnect(1, clears=True)),
        (DENIED, Stop()),
        (ServerIdTaken("taken"), Reconnect(1)),
        (LockWait("locked", table=ITEMS), WaitForLock()),
        (ApplyRefused("not understood"), Stop(1, 0)),
        (RowMissing("no such row", table=ITEMS), RetryTable(1, 3)),
        (Drift("other columns", table=ITEMS), Quarantine((ITEMS,), 1, 3)),
        (PositionLost("gone"), Stop()),
        (ConfigurationError(("wrong",)), Stop()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_first_time(error: ReplicaError, expected: Action) -> None:
    assert actions(error) == [expected]


def test_a_table_that_keeps_failing_is_quarantined() -> None:
    error = RowMissing("no such row", table=ITEMS)
    assert actions(error, error, error) == [RetryTable(1, 3), RetryTable(2, 3), Quarantine((ITEMS,), 3, 3)]
    assert actions(error, error, error, stops_for_tables=True)[2] == Stop(3, 3)


def test_failures_are_counted_by_table() -> None:
    other = RowMissing("no such row", table=TableName("shop", "other"))
    assert actions(RowMissing("no such row", table=ITEMS), other)[1] == RetryTable(1, 3)


def test_what_another_attempt_cannot_help() -> None:
    over = LockWait("locked for a day", table=ITEMS)
    over.is_over = True
    assert actions(over) == [Quarantine((ITEMS,), 1, 3)]
    assert actions(Drift("other columns", table=ITEMS), stops_for_tables=True) == [Stop(1, 3)]


def test_a_bug_has_one_more_attempt() -> None:
    known, unknown = Panic("KeyError", error=KeyError(), table=ITEMS), Panic("KeyError", error=KeyError())
    assert actions(known, known) == [RetryTable(1, 2), Quarantine((ITEMS,), 2, 2)]
    assert actions(unknown, unknown) == [RetryTable(1, 2), Stop(2, 2)]


def test_refusals_in_one_window_after_another_are_counted() -> None:
    # After each refusal the table is copied again, and the stream passes the refused row.
    error, history, seen = RefusedInWindow("no partition", table=ITEMS), History(HERE), []
    for number in range(REFUSALS_LIMIT):
        history = history.at(Position("binlog.000001", 1000 + number)).with_error(error, float(number))
        seen.append(action_for(error, history, LIMITS))
    assert seen[:-1] == [CopyAgain((ITEMS,), n, REFUSALS_LIMIT) for n in range(1, REFUSALS_LIMIT)]
    assert seen[-1] == Quarantine((ITEMS,), REFUSALS_LIMIT, REFUSALS_LIMIT)
    assert history.without(ITEMS).refusals == {}
    # Other failures of the table are counted apart.
    missing = RowMissing("no such row", table=ITEMS)
    assert action_for(missing, history.with_error(missing, 9.0), LIMITS) == RetryTable(1, 3)


def test_a_row_that_its_window_refuses_is_copied_four_times() -> None:
    error = RefusedInWindow("no partition", table=ITEMS)
    *copies, last = actions(*[error] * REFUSALS_LIMIT)
    assert copies == [CopyAgain((ITEMS,), n, REFUSALS_LIMIT) for n in range(1, REFUSALS_LIMIT)]
    assert last == Quarantine((ITEMS,), REFUSALS_LIMIT, REFUSALS_LIMIT)


@pytest.mark.parametrize(
    "error", [TableChangedInWindow((ITEMS,), "altered"), RefusedInWindow("no partition", table=ITEMS)]
)
def test_copies_that_the_user_forbids(error: ReplicaError) -> None:
    (quarantine,) = actions(error, may_copy=False)
    assert isinstance(quarantine, Quarantine)
    assert quarantine.tables == (ITEMS,)
    assert isinstance(actions(error, may_copy=False, stops_for_tables=True)[0], Stop)


def test_a_standby_that_was_slower_than_another_one_waits_again() -> None:
    assert actions(LockHeld("it writes"), is_standby=True) == [Repeat()]
    assert actions(LockHeld("it writes")) == [Stop()]
    for error in (NamedTwice("two names"), OlderWriter("an older release")):
        assert actions(error, is_standby=True) == [Stop()]


def test_a_server_is_waited_for_as_long_as_the_user_wants() -> None:
    assert actions(*[LOST] * 100)[-1] == Reconnect(100)
    limited = Limits(reconnects=3, table_failures=3, chunk_attempts=4)
    assert actions(LOST, LOST, LOST, limits=limited) == [Reconnect(1), Reconnect(2), Stop()]


def test_unknown_errors_are_counted_apart() -> None:
    assert isinstance(actions(*[LOST] * 50, UNKNOWN)[-1], Reconnect)
    assert isinstance(actions(*[UNKNOWN] * (UNKNOWN_ATTEMPTS - 1))[-1], Reconnect)
    assert actions(*[UNKNOWN] * UNKNOWN_ATTEMPTS)[-1] == Stop()


def test_bytes_that_are_broken_twice() -> None:
    assert actions(CorruptEvent("checksum"), CorruptEvent("checksum")) == [Reconnect(1), Stop()]


def test_a_server_id_that_is_taken_again_and_again() -> None:
    error = ServerIdTaken("taken")
    assert isinstance(actions(*[error] * (KICKS_LIMIT - 1))[-1], Reconnect)
    assert actions(*[error] * KICKS_LIMIT)[-1] == Stop()
    # Between two of them the stream works; lost connections count all the same, but not without end.
    history = History(HERE)
    for position, now in ((HERE, 0.0), (LATER, 1.0), (HERE, 2.0), (LATER, 3.0)):
        history = history.at(position).with_error(error, now)
    assert action_for(error, history, LIMITS) == Stop()
    assert isinstance(action_for(error, history.with_error(error, 4.0 + KICK_SECONDS), LIMITS), Reconnect)


def test_what_was_applied_ends_the_count() -> None:
    error = RowMissing("no such row", table=ITEMS)
    history = History(HERE)
    for _ in range(2):
        history = history.at(HERE).with_error(error, 0.0).with_error(LOST, 0.0)
    assert (history.count(ITEMS), history.losses) == (2, 2)
    assert history.at(HERE) is history
    assert (history.at(LATER).count(ITEMS), history.at(LATER).losses) == (0, 0)


def test_a_quarantined_table_begins_again() -> None:
    history = History(HERE).with_error(RowMissing("no such row", table=ITEMS), 0.0)
    assert history.without(ITEMS).count(ITEMS) == 0


def test_a_chunk_that_a_server_refuses() -> None:
    assert copy_action_for(DENIED, ChunkHistory(1), LIMITS) == Stop()
    deadlock = ServerError(1213, "deadlock", "db1", remedy=Remedy.RETRY)
    history = ChunkHistory()
    for _ in range(3):
        history = history.with_error(deadlock, has_committed=False)
    assert copy_action_for(deadlock, history, LIMITS) == RetryTable(3, 4)
    history = history.with_error(deadlock, has_committed=False)
    assert copy_action_for(deadlock, history, LIMITS) == Stop()
    assert history.with_error(deadlock, has_committed=True).attempts == 1


def test_a_chunk_at_which_a_server_hangs_up() -> None:
    away = ServerError(2003, "away", "db1", remedy=Remedy.RECONNECT)
    history = ChunkHistory()
    for _ in range(50):
        history = history.with_error(away, has_committed=False)
    assert copy_action_for(away, history, LIMITS) == RetryTable(50, 0)
    for _ in range(CHUNK_LOSSES_LIMIT - 1):
        history = history.with_error(LOST, has_committed=False)
    assert copy_action_for(LOST, history, LIMITS) == RetryTable(59, 0)
    history = history.with_error(LOST, has_committed=False)
    assert copy_action_for(LOST, history, LIMITS) == Stop()
    assert history.with_error(LOST, has_committed=True).losses == 0


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Repeat(), ("retryable", "again")),
        (Repeat(diagnoses=True), ("retryable", "diagnosis")),
        (WaitForLock(), ("retryable", "lock")),
        (RetryTable(1, 3), ("retryable", "table")),
        (Reconnect(1), ("connection", "connection")),
        (Reconnect(1, clears=True), ("connection", "state")),
        (CopyAgain((ITEMS,)), ("table", None)),
        (Quarantine((ITEMS,)), ("table", None)),
        (Stop(), ("fatal", None)),
    ],
)
def test_each_action_has_stable_words_for_metrics(action: Action, expected: tuple[str, str | None]) -> None:
    assert (class_of(action), retry_reason(action)) == expected
