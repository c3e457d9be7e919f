"""Which tables of a server foreign keys point at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session

# Equality on the schema is what MariaDB looks up without opening every table of every schema.
_PARENTS = """SELECT DISTINCT referenced_table_schema, referenced_table_name FROM information_schema.key_column_usage
 WHERE table_schema = %s AND referenced_table_name IS NOT NULL"""


class References:
    """The parents of all foreign keys in some schemas, read when first asked for; `takes` says which schemas."""

    def __init__(self, session: Session, takes: Callable[[str], bool]) -> None:
        self._session = session
        self._takes = takes
        self._parents: frozenset[str] | None = None

    def forget(self) -> None:
        """Forget them: a definition changed."""
        self._parents = None

    def is_parent(self, name: TableName) -> bool:
        """Say whether a foreign key points at a table; capitals in names say nothing. Raises ServerError."""
        if self._parents is None:
            schemas = [str(row[0]) for row in self._session.rows("SELECT schema_name FROM information_schema.schemata")]
            rows = [row for s in schemas if self._takes(s) for row in self._session.rows(_PARENTS, s)]
            self._parents = frozenset(f"{schema}.{table}".lower() for schema, table in rows)
        return str(name).lower() in self._parents
