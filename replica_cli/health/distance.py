"""How far a secondary is behind: in bytes of binary log, and in seconds of which no two clocks are subtracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.gtid import covers
from replica_cli.core.position import file_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.position import Position
    from replica_cli.health.primary import PrimaryView
    from replica_cli.health.secondary import InstanceState
    from replica_cli.mysql.binlog import BinlogFile


@dataclass(frozen=True, slots=True)
class Distance:
    """Bytes and seconds between a saved position and the primary's end; None is unknown."""

    is_reached: bool
    size_bytes: int | None = None
    seconds: float | None = None


def measure(
    primary: PrimaryView, state: InstanceState, *, oldest: int | None = None, is_lost: bool = False
) -> Distance:
    """Return how far an instance is behind its primary; `oldest` is the time of the first change that is not applied.

    It is unknown when either position is, when the saved one is not true, and before the first copy is done: the
    position that is saved then is where the copy began, and the rows up to there are not all copied.
    """
    if is_lost or state.saved is None or primary.position is None or primary.facts is None or state.is_first_copy:
        return Distance(is_reached=False)
    saved = state.saved.position
    if is_reached(saved, primary.position, is_mariadb=primary.facts.is_mariadb):
        return Distance(is_reached=True, size_bytes=0, seconds=0.0)
    size = distance_bytes(primary.files, saved, primary.position)
    return Distance(is_reached=False, size_bytes=size, seconds=_lag_seconds(primary, state, oldest))


def is_reached(saved: Position, current: Position, *, is_mariadb: bool) -> bool:
    """Return True if everything up to `current` is applied: by GTID when both have a set, else by file and offset.

    A rotation alone is no distance, and an offset of a log that was reset says nothing.
    """
    if saved.gtid and current.gtid:
        return covers(saved.gtid, current.gtid, is_mariadb=is_mariadb)
    return bool(saved.file) and saved.order >= current.order


def distance_bytes(files: Sequence[BinlogFile], saved: Position, current: Position) -> int | None:
    """Return the bytes of binary log from `saved` to `current`, None where the first is not among the files."""
    if saved.file not in {f.name for f in files}:
        return None
    first, last = file_number(saved.file), file_number(current.file)
    whole = sum(f.size for f in files if first <= file_number(f.name) < last)
    return max(0, whole - saved.pos + current.pos)


def _lag_seconds(primary: PrimaryView, state: InstanceState, oldest: int | None) -> float | None:
    """Return the age of the oldest change that is not applied, or the nearest upper bound that can be read.

    A stream that streams knows it: it holds that change. Else the primary's log tells it. Where that cannot be read,
    the last applied transaction's time by the primary's own clock bounds it; before the first, the time at which the
    position was saved.
    """
    if state.told_lag is not None:
        return state.told_lag
    source_time = oldest or (state.saved.source_time if state.saved is not None else 0)
    return max(0.0, primary.now - source_time) if source_time else state.saved_age_seconds
