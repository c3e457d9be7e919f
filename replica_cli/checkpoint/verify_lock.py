"""Allow one comparison of rows for each instance: a named lock on the secondary, which ends with its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.lock import verify_lock_name
from replica_cli.core.errors import LockHeld

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


def take_verify_lock(session: Session, state_schema: str, instance: str) -> None:
    """Take the lock for as long as the session lasts.

    Raises:
        LockHeld: another process compares the rows of this instance.
    """
    name = verify_lock_name(state_schema, instance)
    row = session.row("SELECT GET_LOCK(%s, 0)", name)
    if row and row[0] == 1:
        return
    holder = session.row("SELECT IS_USED_LOCK(%s)", name)
    connection = f" (connection {holder[0]} of the secondary)" if holder and holder[0] else ""
    raise LockHeld(
        f"{instance}: another process compares its rows{connection}", hint="wait until it has ended, or end it"
    )


def is_verifying(session: Session, state_schema: str, instance: str) -> bool:
    """Return True if a process holds the lock. Raises ServerError."""
    row = session.row("SELECT IS_USED_LOCK(%s)", verify_lock_name(state_schema, instance))
    return row is not None and row[0] is not None
