"""Note the last DDL statement about each table.

A comparison takes its time. A table that was renamed, made again or got another table's partition meanwhile may have
the same definition as before, and other rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from replica_cli.core.position import Position
    from replica_cli.mysql.session import Session

_NAMES_AT_ONCE = 500


class TableChanges:
    """One instance's rows in `table_change`, by the primary's names."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.table_change"
        self._instance = instance

    def note(self, names: Collection[TableName], position: Position) -> None:
        """Write that a statement changes tables. Call it before the statement runs.

        Args:
            names: the tables.
            position: that of the statement's transaction, which no other statement has.
        """
        for name in names:
            self._session.execute(
                f"REPLACE INTO {self._table} (instance, schema_name, table_name, changed_file, changed_pos,"
                " changed_gtid) VALUES (%s, %s, %s, %s, %s, %s)",
                self._instance, name.schema, name.table, position.file, position.pos, position.gtid,
            )  # fmt: skip

    def load(self, names: Sequence[TableName]) -> dict[TableName, str]:
        """Return what identifies the last statement about each of some tables; without those that have none."""
        changes = {}
        for start in range(0, len(names), _NAMES_AT_ONCE):
            part = names[start : start + _NAMES_AT_ONCE]
            wanted = ", ".join(f"({text_literal(n.schema)}, {text_literal(n.table)})" for n in part)
            for schema, table, file, pos, gtid in self._session.rows(
                f"SELECT schema_name, table_name, changed_file, changed_pos, changed_gtid FROM {self._table}"
                f" WHERE instance = {text_literal(self._instance)} AND (schema_name, table_name) IN ({wanted})"
            ):
                changes[TableName(str(schema), str(table))] = f"{file}:{pos} {gtid or ''}"
        return changes
