"""The error for a definition that the secondary cannot have as the primary has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.errors import ApplyRefused

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


class DefinitionRefused(ApplyRefused):
    """A table cannot be made on the secondary as it is on the primary. `column` is empty if the reason is no column."""

    code = "definition_refused"

    def __init__(self, table: TableName, column: str, reason: str) -> None:
        subject = f"{table}: column {column}" if column else str(table)
        super().__init__(
            f"{subject}: {reason}",
            hint=f"make the table on the secondary by hand, then run `replica transfer {table_options([table])}`, "
            "or exclude the table (REPLICA_EXCLUDE_TABLES)",
        )
        self.table = table
        self.column = column
        self.reason = reason
