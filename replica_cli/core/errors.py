"""The tree of errors: each class knows its exit code, what to do next and whether trying again can help."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from replica_cli.core.places import places_of

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName


class ExitCode(IntEnum):
    """What a command's exit status means to the shell, a runbook and a service manager."""

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
    """A condition that the caller can name; `str()` says what happened, `hint` what to do next."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE
    code: ClassVar[str] = "failure"
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ReplicaError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE
    code = "usage"


class ConfigurationError(ReplicaError):
    """Settings are missing or wrong; every problem is listed, one a line."""

    exit_code = ExitCode.CONFIGURATION
    code = "configuration"

    def __init__(self, problems: tuple[str, ...], *, hint: str | None = None) -> None:
        super().__init__("; ".join(problems), hint=hint)
        self.problems = problems


class FiltersChanged(ReplicaError):
    """The schemas or tables asked for differ from those stored with the state."""

    exit_code = ExitCode.CONFIGURATION
    code = "filters_changed"


class PositionMissing(ReplicaError):
    """There is no saved position to stream from."""

    exit_code = ExitCode.POSITION
    code = "position_missing"


class PositionLost(ReplicaError):
    """The saved position is no longer in the primary's binary log."""

    exit_code = ExitCode.POSITION
    code = "position_lost"


class PositionPurged(PositionLost):
    """What follows the saved position was purged; a live stream may have read it before."""


class PrimaryReplaced(ReplicaError):
    """The primary that answers is not the server that the saved position belongs to."""

    exit_code = ExitCode.POSITION
    code = "primary_replaced"


BUG_HINT = "report it, with the [PANIC] lines of the log, which say where it was raised; `-v` logs the whole trace"
MEMORY_HINT = "give the process more memory, or lower REPLICA_TRANSFER_WORKERS and TRANSFER_BATCH_SIZE"


class PrimaryError(ReplicaError):
    """The primary cannot be used: unreachable, refused, or configured so that rows would be lost."""

    exit_code = ExitCode.PRIMARY
    code = "primary"


class ServerIdTaken(PrimaryError):
    """Another replica connected to the primary with our server id, and the primary dropped us for it."""

    code = "server_id_taken"


class SecondaryError(ReplicaError):
    """A secondary cannot be used: unreachable, refused, or configured so that rows would change."""

    exit_code = ExitCode.SECONDARY
    code = "secondary"


class StateBroken(SecondaryError):
    """The state schema on a secondary is not as this version writes it: a table, a column, a row or a value."""

    code = "state_broken"


class UnfinishedTransfer(ReplicaError):
    """A first copy was begun and not finished."""

    exit_code = ExitCode.POSITION
    code = "unfinished_transfer"


class ApplyRefused(ReplicaError):
    """A change cannot be applied as it was made on the primary; `table` is the primary's name, None where unknown."""

    exit_code = ExitCode.REFUSED
    code = "refused"

    def __init__(self, message: str, *, hint: str | None = None, table: TableName | None = None) -> None:
        super().__init__(message, hint=hint)
        self.table = table
        self.position: Position | None = None  # of its transaction, where that is known
        self.place: Position | None = None  # the same with the transaction's own GTID (checkpoint.intents.place_of)


class RowMissing(ApplyRefused):
    """UPDATE or DELETE met no row."""

    code = "row_missing"


class RowExists(ApplyRefused):
    """INSERT or UPDATE met another row with the same unique key."""

    code = "row_exists"


class Drift(ApplyRefused):
    """The table on the secondary is not the one that the event was written for."""

    code = "drift"


class ComputedOtherwise(Drift):
    """The table computes values that depend on the session: where the primary's does too, a copy is refused as well."""


class LockWait(ApplyRefused):
    """A statement was interrupted: another connection holds a lock that it needs, or ended it.

    `is_over`: it has waited as long as it may, and is not tried again. Decided once, where the attempt ended.
    """

    code = "lock_wait"
    is_over = False


class UnsupportedEvent(ApplyRefused):
    """The binary log holds something that is not fully understood; nothing after it was applied."""

    code = "unsupported_event"


class CorruptEvent(UnsupportedEvent):
    """An event's checksum or structure is broken."""

    code = "corrupt_event"
    is_retryable = True


class Panic(ApplyRefused):
    """A bug of ours met one event; nothing of its transaction was kept. `where` are the places of our code."""

    code = "panic"

    def __init__(self, message: str, *, error: Exception, table: TableName | None = None) -> None:
        super().__init__(message, hint=MEMORY_HINT if isinstance(error, MemoryError) else BUG_HINT, table=table)
        self.where = places_of(error)


class LockHeld(ReplicaError):
    """Another process writes to this instance."""

    exit_code = ExitCode.LOCKED
    code = "locked"


class NamedTwice(LockHeld):
    """Another process does the same work on the same server, under another instance's name."""


class Fenced(LockHeld):
    """Another process took over while this one was frozen; nothing of this batch was kept."""

    exit_code = ExitCode.FENCED
    code = "fenced"


class LockLost(LockHeld):
    """The connection that holds the instance's lock for this process is gone: whoever has the lock now writes."""

    code = "lock_lost"


class Interrupted(ReplicaError):
    """Asked to stop before the work was done."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"
