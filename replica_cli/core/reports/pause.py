"""The result of `replica pause` and `replica resume`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.status import Phase


@dataclass(frozen=True, slots=True)
class PauseReport:
    """The pause state of one instance after `replica pause` or `replica resume`.

    Attributes:
        is_pause_wanted: whether the state schema now asks the instance to pause.
        holder: the live process of the instance, empty if there is none.
        phase: what that process does, None if there is none.
        failure: why the secondary could not be asked.
    """

    instance: str
    is_pause_wanted: bool = False
    holder: str = ""
    phase: Phase | None = None
    failure: Failure | None = None
