"""Say how long the primary keeps the binary log of a saved position: at least, and by the primary's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.mysql.preflight.server_checks import expiry_seconds

if TYPE_CHECKING:
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState


def retention_seconds(primary: PrimaryView, state: InstanceState) -> float | None:
    """Return how many seconds the primary keeps the log file of the saved position at least. Never negative.

    The primary purges a file when its last write is older than its limit. That write was after the last transaction
    that was applied: so the limit without the age of this transaction is left at least. A file that is being written
    is not purged, and after it is closed it is kept for the whole limit.

    It is a bound for the purge by age alone. PURGE BINARY LOGS, and a limit for the size of all files
    (`max_binlog_total_size`), may delete the file before.

    Returns:
        The seconds; None if the primary purges nothing by age, or if limit, position or its age is not known.

    """
    if state.saved is None or primary.facts is None or primary.position is None:
        return None
    limit = expiry_seconds(primary.facts)
    if limit is None:
        return None
    if is_active_file(primary, state):
        return float(limit)
    age = position_age(primary, state)
    return None if age is None else max(0.0, limit - max(0.0, age))


def is_active_file(primary: PrimaryView, state: InstanceState) -> bool:
    """Return True if the saved position is in the file that the primary writes."""
    return (
        state.saved is not None and primary.position is not None and state.saved.position.file == primary.position.file
    )


def position_age(primary: PrimaryView, state: InstanceState) -> float | None:
    """Return the seconds since the last applied transaction was made, by the primary's clock; None if unknown.

    Before the first transaction it is the time since the position was saved.
    """
    if state.saved is None:
        return None
    return primary.now - state.saved.source_time if state.saved.source_time else state.saved_age_seconds
