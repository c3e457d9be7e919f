"""Which tables of a server foreign keys point at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session

# Equality on the schema is what MariaDB looks up without opening every table of every schema.
_PARENTS = """SELECT DISTINCT referenced_table_schema, referenced_table_name FROM information_schema.key_column_usage
 WHERE table_schema = %s AND referenced_table_name IS NOT NULL"""


class References:
    """The parents of all foreign keys in the secondary's schemas that hold replicated tables, read when first asked."""

    def __init__(self, session: Session, selection: Selection) -> None:
        self._session = session
        self._selection = selection
        self._parents: frozenset[str] | None = None

    def forget(self) -> None:
        """Forget them: a definition changed."""
        self._parents = None

    def is_parent(self, name: TableName) -> bool:
        """Say whether a foreign key points at a table; capitals in names say nothing. Raises ServerError."""
        if self._parents is None:
            schemas = self._selection.target_schemas
            if schemas is None:
                found = self._session.rows("SELECT schema_name FROM information_schema.schemata")
                schemas = tuple(name for (name,) in found if self._selection.is_target_schema(name))
            # In one packet: the schemas may be many, and the way long.
            queries = [_PARENTS % self._session.escape(s) for s in schemas]
            answers = self._session.rows_of_each(queries) if queries else []
            self._parents = frozenset(f"{schema}.{table}".lower() for rows in answers for schema, table in rows)
        return str(name).lower() in self._parents
