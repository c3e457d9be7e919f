"""The exceptions of replica: each class has an exit code, each error a hint what to do next.

What is done about an error is decided by `error_policy`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from replica_cli.core.call_sites import calls_of

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class ExitCode(IntEnum):
    """The exit statuses of all commands, for shells, runbooks and service managers."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    FOUND = 3
    CONFIGURATION = 10
    POSITION = 11
    PRIMARY = 12
    SECONDARY = 13
    REFUSED = 14
    LOCKED = 15
    FENCED = 16
    INTERRUPTED = 130
    TERMINATED = 143


class ReplicaError(Exception):
    """The base of all expected errors: `str()` says what happened, `hint` says what to do next.

    Attributes:
        exit_code: the exit status of a command that ends with this error.
        code: the name of the error in JSON.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE
    code: ClassVar[str] = "failure"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ReplicaError):
    """The command line is wrong or contradicts itself."""

    exit_code = ExitCode.USAGE
    code = "usage"


class ConfigurationError(ReplicaError):
    """Settings are missing or wrong; `problems` lists all of them, one sentence each."""

    exit_code = ExitCode.CONFIGURATION
    code = "configuration"

    def __init__(self, problems: tuple[str, ...], *, hint: str | None = None) -> None:
        super().__init__("; ".join(problems), hint=hint)
        self.problems = problems


class FiltersChanged(ReplicaError):
    """The selection of the settings differs from the selection that is stored in the state schema."""

    exit_code = ExitCode.CONFIGURATION
    code = "filters_changed"


class PositionMissing(ReplicaError):
    """The secondary has no saved position to stream from."""

    exit_code = ExitCode.POSITION
    code = "position_missing"


class PositionLost(ReplicaError):
    """The saved position is no longer in the primary's binary log."""

    exit_code = ExitCode.POSITION
    code = "position_lost"


class PositionPurged(PositionLost):
    """The primary purged the log after the saved position; a live stream may have read it before."""


class PositionsIncomparable(ReplicaError):
    """Two positions have nothing in common by which one can be called the later one."""

    exit_code = ExitCode.POSITION
    code = "positions_incomparable"

    def __init__(self, one: Position, other: Position) -> None:
        super().__init__(
            f"{one} and {other} cannot be compared: one has no file, and the other one no GTID set",
            hint="set gtid_mode=ON on the primary, or grant BACKUP_ADMIN; then `replica transfer --restart`",
        )


class PrimaryReplaced(ReplicaError):
    """The primary that answers is not the server to which the saved position belongs."""

    exit_code = ExitCode.POSITION
    code = "primary_replaced"


BUG_HINT = "report it, with the [PANIC] lines of the log, which say where it was raised; `-v` logs the whole trace"
MEMORY_HINT = "give the process more memory, or lower REPLICA_TRANSFER_WORKERS and TRANSFER_BATCH_SIZE"


class PrimaryError(ReplicaError):
    """The primary cannot be used: it is unreachable, refuses the login, or is configured so that rows would be lost."""

    exit_code = ExitCode.PRIMARY
    code = "primary"


class ServerIdTaken(PrimaryError):
    """Another replica connected with the server id of this process, so the primary closed the dump connection."""

    code = "server_id_taken"


class SecondaryError(ReplicaError):
    """A secondary cannot be used: it is unreachable, refuses the login, or is configured so that rows would change."""

    exit_code = ExitCode.SECONDARY
    code = "secondary"


class StateBroken(SecondaryError):
    """A table, column, row or value of the state schema on a secondary is not as this version writes it."""

    code = "state_broken"


class StateTooNew(StateBroken):
    """A later version of replica made the state schema."""

    code = "state_too_new"


class UnfinishedTransfer(ReplicaError):
    """A first copy was begun and is not finished."""

    exit_code = ExitCode.POSITION
    code = "unfinished_transfer"


class UnfinishedVerification(ReplicaError):
    """An earlier comparison of rows was interrupted: the user decides if it goes on or begins again."""

    exit_code = ExitCode.POSITION
    code = "unfinished_verification"


class ApplyRefused(ReplicaError):
    """A change of the primary cannot be applied on the secondary as it was made.

    Attributes:
        table: the table's name on the primary, None if it is not known.
        position: the position of the change's transaction, None if it is not known.
        transaction_position: the same position with the transaction's own GTID
            (`checkpoint.intents.transaction_position`).
    """

    exit_code = ExitCode.REFUSED
    code = "refused"

    def __init__(self, message: str, *, hint: str | None = None, table: TableName | None = None) -> None:
        super().__init__(message, hint=hint)
        self.table = table
        self.position: Position | None = None
        self.transaction_position: Position | None = None


class RowMissing(ApplyRefused):
    """The row of an UPDATE or DELETE does not exist on the secondary."""

    code = "row_missing"


class RowExists(ApplyRefused):
    """Another row with the same unique key exists already, so an INSERT or UPDATE fails."""

    code = "row_exists"


class Drift(ApplyRefused):
    """The definition of the table on the secondary differs from the one for which the event was written."""

    code = "drift"


class ComputedOtherwise(Drift):
    """The table computes values that depend on the session.

    If the primary's table does so too, a copy of it is refused as well.
    """


class LockWait(ApplyRefused):
    """A statement did not finish: another connection holds a lock that it needs, or killed it.

    `is_over`: the statement has waited as long as it may and is not tried again. The code that made the attempt
    decides this once.
    """

    code = "lock_wait"
    is_over = False


class UnsupportedEvent(ApplyRefused):
    """The binary log contains something that `replica` does not fully understand; nothing after it was applied."""

    code = "unsupported_event"


class CorruptEvent(UnsupportedEvent):
    """An event's checksum or structure is broken."""

    code = "corrupt_event"


class TableChangedInWindow(ReplicaError):
    """A table was altered while it was copied, or does not fit the log inside its window: it is copied again."""

    code = "table_changed_in_window"

    def __init__(self, tables: tuple[TableName, ...], reason: str) -> None:
        super().__init__(f"{', '.join(map(str, tables))}: {reason}")
        self.tables = tables
        # The position of its transaction (`checkpoint.intents.transaction_position`), None if that is not known.
        self.transaction_position: Position | None = None


class StatementInDoubt(TableChangedInWindow):
    """It is not known whether a statement ran before a kill: its tables are copied again, and it is not run."""

    code = "statement_in_doubt"


class RefusedInWindow(ApplyRefused):
    """The secondary refuses a row inside its table's replay window.

    The row may have been written for another definition. If a table is altered before the copy's position and altered
    back after it, the copy reads the same definition both times and does not notice. The next copy begins later.
    """

    code = "refused_in_window"


class NeedsDiagnosis(ReplicaError):
    """A transaction that shares no batch (large, XA, or with statements) failed, and the row that fails is not known.

    The worker applies it again with the diagnostic engine.
    """

    code = "not_exact"


class PreparedTransactionOverlap(ReplicaError):
    """A prepared transaction may hold rows of a re-copied table that were logged before its copy began."""

    code = "xa_met"


class Panic(ApplyRefused):
    """A bug of `replica` raised an exception at one event; the event's transaction was rolled back.

    `where` lists the calls in the code of `replica` that led to the exception.
    """

    code = "panic"

    def __init__(self, message: str, *, error: Exception, table: TableName | None = None) -> None:
        super().__init__(message, hint=MEMORY_HINT if isinstance(error, MemoryError) else BUG_HINT, table=table)
        self.where = calls_of(error)


class LockHeld(ReplicaError):
    """Another process holds the writer's lock of this instance."""

    exit_code = ExitCode.LOCKED
    code = "locked"


class OlderWriter(LockHeld):
    """A process that may be of an older release writes, and this release must first upgrade the state schema."""

    code = "older_writer"


class NamedTwice(LockHeld):
    """Another process writes the same tables into the same server, under the name of another instance."""


class Fenced(LockHeld):
    """Another process took over while this one was frozen; the current batch was rolled back."""

    exit_code = ExitCode.FENCED
    code = "fenced"


class LockLost(LockHeld):
    """The connection that held the writer's lock for this process is gone: the present holder of the lock writes."""

    code = "lock_lost"


class Interrupted(ReplicaError):
    """A stop was requested before the work was done."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"
