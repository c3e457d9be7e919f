"""Names as SQL: always quoted, so that no name can be anything but a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replica_cli.core.table import TableName


def quote(name: str) -> str:
    """Return a name between backticks, its own backticks doubled.

    Raises ValueError where no server could have such a name: empty, or with a NUL.
    Source: https://mariadb.com/kb/en/identifier-names/
    """
    if not name or "\0" in name:
        raise ValueError(f"{name!r} is not a legal name")
    return "`" + name.replace("`", "``") + "`"


def quote_table(name: TableName) -> str:
    """Return schema and table, both quoted."""
    return f"{quote(name.schema)}.{quote(name.table)}"


def unquote(text: str) -> str:
    """Return the name that stands between backticks; a bare word is its own name."""
    return text[1:-1].replace("``", "`") if text.startswith("`") else text
