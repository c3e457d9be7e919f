"""One reading of all servers by `replica position show --watch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from replica_cli.core.reports.position import PositionReport

# The name of the error, in a report, of a server that has not answered so far.
NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class WatchRound:
    """What is known of each secondary at a time, which is aware and in UTC."""

    time: datetime
    reports: tuple[PositionReport, ...]
