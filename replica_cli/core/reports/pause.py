"""What became of a request to pause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.status import Phase


@dataclass(frozen=True, slots=True)
class PauseReport:
    """What came of the wish to pause, or to go on; `holder` and `phase` are of the live process, if there is one."""

    instance: str
    is_pause_wanted: bool = False
    holder: str = ""
    phase: Phase | None = None
    failure: Failure | None = None
