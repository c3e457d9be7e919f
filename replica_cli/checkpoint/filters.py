"""Other filters for the state as it is: the position stays, and nothing is remembered of tables that are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.checkpoint.stores import Stores
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName


def accept_filters(stores: Stores, selection: Selection) -> list[TableName]:
    """Store the filters with the position; forget, and return, the records of tables that they do not select."""
    stores.positions.accept_filters(selection)
    left_out = [name for name in stores.tables.load() if selection.target(name) is None]
    stores.tables.forget(left_out)
    return left_out
