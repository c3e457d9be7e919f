"""Allow one comparison and one repair of rows for each instance: named locks, which end with their connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.lock import lock_holder, repair_lock_name, verify_lock_name
from replica_cli.core.errors import LockHeld

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session

# The server frees the lock of a process that was killed when it has ended the statement of that process.
_PATIENCE_SECONDS = 2


def take_verify_lock(session: Session, state_schema: str, instance: str) -> None:
    """Take the lock of a comparison for as long as the session lasts.

    Raises:
        LockHeld: another process compares the rows of this instance.
    """
    _take(session, verify_lock_name(state_schema, instance), f"{instance}: another process compares its rows")


def take_repair_lock(session: Session, state_schema: str, instance: str) -> None:
    """Take the lock of a repair for as long as the session lasts.

    Raises:
        LockHeld: another process repairs rows of this instance.
    """
    _take(session, repair_lock_name(state_schema, instance), f"{instance}: another process repairs its rows")


def is_verifying(session: Session, state_schema: str, instance: str) -> bool:
    """Return True if a process holds the lock of a comparison. Raises ServerError."""
    return lock_holder(session, verify_lock_name(state_schema, instance)) is not None


def is_repairing(session: Session, state_schema: str, instance: str) -> bool:
    """Return True if a command holds the lock of a repair. Raises ServerError."""
    return lock_holder(session, repair_lock_name(state_schema, instance)) is not None


def _take(session: Session, name: str, refusal: str) -> None:
    row = session.row("SELECT GET_LOCK(%s, %s)", name, _PATIENCE_SECONDS)
    if row and row[0] == 1:
        return
    holder = lock_holder(session, name)
    connection = f" (connection {holder} of the secondary)" if holder else ""
    raise LockHeld(refusal + connection, hint="wait until it has ended, or end it")
