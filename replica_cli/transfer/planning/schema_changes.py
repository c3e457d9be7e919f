"""Find tables that were created, renamed or dropped after a copy was planned and before its start position.

Their DDL is before that position in the log, so the stream never applies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.mysql.catalog.table_definitions import list_names, read_tables, selected_schemas
from replica_cli.transfer.planning.cascade_groups import cascade_group
from replica_cli.transfer.planning.primary_tables import selected_definitions

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.stop import StopToken
    from replica_cli.transfer.planning.plan import CopyPlan

# MariaDB usually replaces the files of an altered table in less time.
_BETWEEN_LISTINGS_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """Tables added after the planning, with the tables of their cascade groups, and tables dropped after it."""

    added: frozenset[TableName] = frozenset()
    dropped: frozenset[TableName] = frozenset()


def gone_since(primary: Session, names: Collection[TableName]) -> frozenset[TableName]:
    """Return which of the tables the primary does not have any more. The position must be read before this call.

    A list of names may lack a table that is being altered, so tables that it lacks are looked up by name.
    """
    unlisted = set(names) - list_names(primary, sorted({name.schema for name in names}))
    return frozenset(unlisted - read_tables(primary, sorted(unlisted)).keys())


def find_schema_changes(primary: Session, plan: CopyPlan, stop: StopToken) -> SchemaChanges:
    """Compare the primary's tables with those of a full plan. The position must be read before this call.

    A list of names may lack a table that is being altered. So a planned table is gone only if it is not found by its
    name either, and on MariaDB the names are listed twice, to find tables that the plan does not know.
    """
    selection = plan.origin.selection
    planned = {table.planned.name for table in plan.tables}
    known = planned | plan.vanished
    schemas = selected_schemas(primary, selection)
    listed = list_names(primary, schemas)
    if primary.is_mariadb:
        stop.wait(_BETWEEN_LISTINGS_SECONDS)
        listed |= list_names(primary, schemas)
    unplanned = {name for name in listed - planned if selection.target(name) is not None}
    unlisted = known - listed
    existing = read_tables(primary, sorted(unplanned | unlisted)).keys()
    added = frozenset((unplanned | plan.vanished) & existing)
    if added and not plan.origin.cascades_are_logged:
        added = cascade_group(added, selected_definitions(primary, selection, (), planned | added))
    return SchemaChanges(added, frozenset(unlisted - existing))
