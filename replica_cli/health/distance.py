"""Measure how far a secondary is behind the primary, in bytes of binary log and in seconds.

Seconds are never a difference between the clocks of two servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import PositionsIncomparable
from replica_cli.core.position import file_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.position import Position
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.binlog.log_state import BinlogFile


@dataclass(frozen=True, slots=True)
class Distance:
    """Bytes and seconds between a saved position and the end of the primary's log; None if unknown."""

    is_reached: bool
    size_bytes: int | None = None
    seconds: float | None = None


def measure(
    primary: PrimaryView, state: InstanceState, *, oldest: int | None = None, is_lost: bool = False
) -> Distance:
    """Return the distance of an instance from its primary.

    `oldest` is the time of the first change that is not applied, in seconds since the epoch, None if it was not read.
    `is_lost`: the primary cannot continue from the saved position.

    The distance is unknown if one of the two positions is unknown, if the saved position is lost, and before the first
    copy is done: until then the saved position is the copy's start, and the rows before it are not all copied.
    """
    if is_lost or state.saved is None or primary.position is None or primary.facts is None or state.is_first_copy:
        return Distance(is_reached=False)
    saved = state.saved.position
    if is_reached(saved, primary.position):
        return Distance(is_reached=True, size_bytes=0, seconds=0.0)
    size = distance_bytes(primary.files, saved, primary.position)
    return Distance(is_reached=False, size_bytes=size, seconds=_lag_seconds(primary, state, oldest))


def is_reached(saved: Position, current: Position) -> bool:
    """Return True if everything up to `current` is applied, False also if the two positions cannot be compared."""
    try:
        return saved.has_all_of(current)
    except PositionsIncomparable:
        return False


def distance_bytes(files: Sequence[BinlogFile], saved: Position, current: Position) -> int | None:
    """Return the bytes of binary log from `saved` to `current`, None if the file of `saved` is not among the files."""
    if saved.file not in {f.name for f in files}:
        return None
    first, last = file_number(saved.file), file_number(current.file)
    whole = sum(f.size for f in files if first <= file_number(f.name) < last)
    return max(0, whole - saved.pos + current.pos)


def _lag_seconds(primary: PrimaryView, state: InstanceState, oldest: int | None) -> float | None:
    """Return the age of the oldest change that is not applied, or the best upper bound that can be read.

    A running stream knows this age. Otherwise the primary's log gives the time of that change (`oldest`). If the log
    cannot be read, the bound is the time since the last applied transaction, by the primary's clock. Before the first
    transaction, it is the time since the position was saved.
    """
    if state.reported_lag is not None:
        return state.reported_lag
    source_time = oldest or (state.saved.source_time if state.saved is not None else 0)
    return max(0.0, primary.now - source_time) if source_time else state.saved_age_seconds
