"""Keep a note of tables that a DDL of the stream made or changed, until they are compared with the primary's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.names import TableName
from replica_cli.sqlbuilder.identifiers import quote

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.mysql.session import Session


class UncomparedStore:
    """One instance's rows in `uncompared_table`, by the primary's names. They remain when the process ends."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.uncompared_table"
        self._instance = instance

    def load(self) -> frozenset[TableName]:
        """Return the noted tables."""
        rows = self._session.rows(
            f"SELECT schema_name, table_name FROM {self._table} WHERE instance = %s", self._instance
        )
        return frozenset(TableName(str(schema), str(table)) for schema, table in rows)

    def add(self, names: Collection[TableName]) -> None:
        """Note tables. Call it before the statement runs, because the process may be killed after it."""
        for name in names:
            self._session.execute(
                f"REPLACE INTO {self._table} (instance, schema_name, table_name, noted_at)"
                " VALUES (%s, %s, %s, UTC_TIMESTAMP(6))",
                self._instance, name.schema, name.table,
            )  # fmt: skip

    def forget(self, names: Collection[TableName]) -> None:
        """Delete the notes of tables that were compared, dropped or copied."""
        for name in names:
            self._session.execute(
                f"DELETE FROM {self._table} WHERE instance = %s AND schema_name = %s AND table_name = %s",
                self._instance, name.schema, name.table,
            )  # fmt: skip
