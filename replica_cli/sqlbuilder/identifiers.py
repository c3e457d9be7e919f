"""Write names of schemas, tables and columns as SQL. They are always quoted, so a server reads them only as names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


def quote(name: str) -> str:
    """Return a name between backticks, with its own backticks doubled.

    Source: https://mariadb.com/kb/en/identifier-names/

    Raises:
        ValueError: no server can have such a name, because it is empty or contains a NUL.
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is not a legal name")
    return "`" + name.replace("`", "``") + "`"


def quote_table(name: TableName) -> str:
    """Return schema and table, both quoted."""
    return f"{quote(name.schema)}.{quote(name.table)}"


def unquote(text: str) -> str:
    """Return a name without its backticks. A word without backticks is returned unchanged."""
    return text[1:-1].replace("``", "`") if text.startswith("`") else text
