"""The plan of `replica position reset`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.position import Position
    from replica_cli.core.reports.failure import Failure
    from replica_cli.core.requests.reset import ResetKind


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset changes for one secondary.

    Attributes:
        before: the saved position, None if there is none.
        after: the position after the reset, None if the position is forgotten.
        filters_before: the stored filters, in words.
        filters_after: the filters after the reset; equal to `filters_before` if they do not change.
        failure: why there is no plan.
    """

    instance: str
    kind: ResetKind
    before: Position | None
    after: Position | None
    filters_before: str = ""
    filters_after: str = ""
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
