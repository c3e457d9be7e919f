"""Finds the secondary's table of a row event: its name and its definition. All engines use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused, ComputedOtherwise, Drift

if TYPE_CHECKING:
    from replica_cli.applier.definitions import Definitions
    from replica_cli.core.events import RowEvent, TableMap
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableDefinition, TableName


def target_of(table: TableMap, selection: Selection) -> TableName:
    """Return the secondary's name of a table. Raises ApplyRefused if the table is not replicated."""
    target = selection.target(table.name)
    if target is None:
        raise ApplyRefused(f"{table.name} is not among the replicated tables")
    return target


def definition_of(event: RowEvent, definitions: Definitions, selection: Selection) -> TableDefinition:
    """Return the secondary's definition of an event's table.

    Raises:
        ApplyRefused: if the table is not replicated.
        Drift: if the secondary does not have the table; the error has the primary's name.
        ComputedOtherwise: if the secondary's table may compute other values than the primary's.

    """
    name, target = event.table.name, target_of(event.table, selection)
    try:
        definition = definitions.get(target, name)
    except Drift as error:
        raise Drift(
            error.message, hint=f"`replica transfer {table_options([name])}` copies it again", table=name
        ) from error
    if reason := definitions.why_refused(target):
        command = f"`replica transfer {table_options([name])}`"
        hint = f"define it in another way on the primary (VIRTUAL, without an index), then {command}"
        raise ComputedOtherwise(f"{name}: {reason}", hint=hint, table=name)
    return definition
