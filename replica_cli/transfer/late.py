"""What was made, renamed or dropped between the plan and the position: the log behind the position does not tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.mysql.catalog import list_names, read_tables, selected_schemas
from replica_cli.transfer.family import family
from replica_cli.transfer.plan import selected_definitions

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.plan import CopyPlan

# MariaDB usually replaces the files of an altered table in less time.
_APART_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SinceThePlan:
    """`late` are tables that the plan does not know, with those that have to be of one moment with them."""

    late: frozenset[TableName] = frozenset()
    gone: frozenset[TableName] = frozenset()


def gone_since(primary: Session, names: Collection[TableName]) -> frozenset[TableName]:
    """Return which tables are not on the primary any more. The position must have been read before.

    As in `since_the_plan`, a list of names may lack a table that is being altered.
    """
    unlisted = set(names) - list_names(primary, sorted({name.schema for name in names}))
    return frozenset(unlisted - read_tables(primary, sorted(unlisted)).keys())


def since_the_plan(primary: Session, plan: CopyPlan, stop: StopToken) -> SinceThePlan:
    """Compare the primary's tables with a full plan's. The position must have been read before.

    A list of names may lack a table that is being altered. So a planned table is gone only if it is not found by its
    name either, and the names are listed twice to find the tables that the plan does not know.
    """
    selection = plan.origin.selection
    planned = {table.planned.name for table in plan.tables}
    known = planned | plan.vanished
    schemas = selected_schemas(primary, selection)
    listed = list_names(primary, schemas)
    if primary.is_mariadb:
        stop.wait(_APART_SECONDS)
        listed |= list_names(primary, schemas)
    unplanned = {name for name in listed - planned if selection.target(name) is not None}
    unlisted = known - listed
    there = read_tables(primary, sorted(unplanned | unlisted)).keys()
    late = frozenset((unplanned | plan.vanished) & there)
    if late and not plan.origin.cascades_are_logged:
        late = family(late, selected_definitions(primary, selection, (), planned | late))
    return SinceThePlan(late, frozenset(unlisted - there))
