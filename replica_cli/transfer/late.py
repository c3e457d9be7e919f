"""What was made, renamed or dropped between the plan and the position: the log behind the position does not tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.transfer.family import family
from replica_cli.transfer.plan import selected_definitions

if TYPE_CHECKING:
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.transfer.plan import CopyPlan


@dataclass(frozen=True, slots=True)
class SinceThePlan:
    """`late` are tables that the plan does not know, with those that have to be of one moment with them."""

    late: frozenset[TableName] = frozenset()
    gone: frozenset[TableName] = frozenset()


def since_the_plan(primary: Session, plan: CopyPlan) -> SinceThePlan:
    """Compare the primary's tables with a full plan's. The position must have been read before."""
    planned = {table.planned.name for table in plan.tables}
    now = selected_definitions(primary, plan.origin.selection, ())
    late = frozenset(now.keys() - planned)
    if late and not plan.origin.cascades_are_logged:
        late = family(late, now)
    return SinceThePlan(late, frozenset(planned - now.keys()))
