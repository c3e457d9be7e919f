"""What a reset of the saved position is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server


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
