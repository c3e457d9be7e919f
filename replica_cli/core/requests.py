"""What a command asks of a service: frozen, complete, checked for sense before anything connects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server
    from replica_cli.core.table import TableName


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """Stream to these secondaries: always whole values of `Settings.secondaries`, whose index decides the server id."""

    secondaries: tuple[Server, ...]
    may_transfer: bool = True
    until_caught_up: bool = False
    is_standby: bool = False


class TransferMode(StrEnum):
    """What a transfer does about an unfinished one."""

    NEW = "new"
    RESUME = "resume"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Copy to these secondaries; `tables` are the primary's names, empty for all that are selected."""

    secondaries: tuple[Server, ...]
    mode: TransferMode = TransferMode.NEW
    tables: tuple[TableName, ...] = ()


class ResetKind(StrEnum):
    """Where a reset puts the saved position."""

    FORGET = "forget"
    POSITION = "position"
    GTID = "gtid"
    CURRENT = "current"
    KEEP = "keep"  # only the filters change


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Move or forget the saved position of these secondaries.

    `position` is set for POSITION; for GTID it has the set alone, with an empty file.
    """

    secondaries: tuple[Server, ...]
    kind: ResetKind
    position: Position | None = None
    accepts_filters: bool = False


@dataclass(frozen=True, slots=True)
class HealthRequest:
    """Check these secondaries and their primary; lag above `max_lag_seconds` is a warning."""

    secondaries: tuple[Server, ...]
    max_lag_seconds: float


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """Show the whole tool on throwaway servers: `seconds` of writing while it streams, about `rows` to copy before."""

    seconds: float = 10.0
    rows: int = 200_000
    keeps_servers: bool = False
