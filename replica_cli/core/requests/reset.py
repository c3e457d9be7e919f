"""The request of `replica position reset`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.settings import Server


class ResetKind(StrEnum):
    """What a reset does with the saved position."""

    FORGET = "forget"
    POSITION = "position"
    GTID = "gtid"
    CURRENT = "current"
    KEEP = "keep"  # only the filters change


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Change or forget the saved position of these secondaries.

    `position` is set for POSITION and GTID; for GTID it holds only the GTID set, and its file is empty.
    """

    secondaries: tuple[Server, ...]
    kind: ResetKind
    position: Position | None = None
    accepts_filters: bool = False
