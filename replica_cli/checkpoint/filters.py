"""Accept changed filters for the existing state: the position stays, records of tables that are left out go."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.checkpoint.stores import Stores
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName


def accept_filters(stores: Stores, selection: Selection) -> list[TableName]:
    """Store the filters with the position; delete the records of tables that they leave out, and return their names."""
    stores.positions.accept_filters(selection)
    left_out = [name for name in stores.tables.load() if selection.target(name) is None]
    stores.tables.leave_out(left_out)
    return left_out
