"""Find out which tables of a server are parents of foreign keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session

# With one schema in the condition MariaDB does not open every table of every schema.
_PARENTS = """SELECT DISTINCT referenced_table_schema, referenced_table_name FROM information_schema.key_column_usage
 WHERE table_schema = %s AND referenced_table_name IS NOT NULL"""


class References:
    """The parents of all foreign keys in the secondary's schemas that hold replicated tables.

    They are read at the first call of `is_parent`, and again after `forget`.
    """

    def __init__(self, session: Session, selection: Selection) -> None:
        self._session = session
        self._selection = selection
        self._parents: frozenset[str] | None = None

    def forget(self) -> None:
        """Forget the parents, because a definition changed."""
        self._parents = None

    def is_parent(self, name: TableName) -> bool:
        """Return True if a foreign key references a table; upper and lower case count as equal. Raises ServerError."""
        if self._parents is None:
            schemas = self._selection.target_schemas
            if schemas is None:
                schema_rows = self._session.rows("SELECT schema_name FROM information_schema.schemata")
                schemas = tuple(name for (name,) in schema_rows if self._selection.is_target_schema(name))
            # All queries go in one packet: there may be many schemas, and a round trip may take long.
            queries = [_PARENTS % self._session.escape(s) for s in schemas]
            answers = self._session.rows_of_each(queries) if queries else []
            self._parents = frozenset(f"{schema}.{table}".lower() for rows in answers for schema, table in rows)
        return str(name).lower() in self._parents
