"""Tables created, renamed or dropped after planning but before the start position of a copy.

Their DDL precedes that position, so the stream never replays it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.mysql.catalog import list_names, read_tables, selected_schemas
from replica_cli.transfer.cascade_groups import family
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
class SchemaChanges:
    """Tables added after planning, with the tables of their cascade group, and tables dropped after it."""

    added: frozenset[TableName] = frozenset()
    dropped: frozenset[TableName] = frozenset()


def gone_since(primary: Session, names: Collection[TableName]) -> frozenset[TableName]:
    """Return which tables are not on the primary any more. The position must have been read before.

    As in `find_schema_changes`, a list of names may lack a table that is being altered.
    """
    unlisted = set(names) - list_names(primary, sorted({name.schema for name in names}))
    return frozenset(unlisted - read_tables(primary, sorted(unlisted)).keys())


def find_schema_changes(primary: Session, plan: CopyPlan, stop: StopToken) -> SchemaChanges:
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
    added = frozenset((unplanned | plan.vanished) & there)
    if added and not plan.origin.cascades_are_logged:
        added = family(added, selected_definitions(primary, selection, (), planned | added))
    return SchemaChanges(added, frozenset(unlisted - there))
