"""Build the statements that would correct a row that differs, for people to read. No command runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.verification import DifferenceKind
from replica_cli.sqlbuilder.identifiers import quote, quote_table
from replica_cli.sqlbuilder.sql_modes import SQL_MODE

if TYPE_CHECKING:
    from replica_cli.core.names import TableName
    from replica_cli.core.verification import Difference, Literals

# The session that the literals are for: bytes go unchanged into columns of every charset.
HEAD = f"SET NAMES binary;\nSET SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}', foreign_key_checks = 0;"


def correction(difference: Difference, target: TableName) -> list[str]:
    """Return the statements that make a row of the secondary that of the primary, as it was when it was compared.

    Args:
        difference: the row, with its values.
        target: the table's name on the secondary.

    Returns:
        An empty list if the values are not known, as for a row that only the log tells of.
    """
    table, primary, secondary = quote_table(target), difference.primary_row, difference.secondary_row
    if difference.kind is DifferenceKind.EXTRA:
        where = _equal(difference.key or secondary or ())
        limit = "" if difference.key else f" LIMIT {difference.count}"
        return [f"DELETE FROM {table} WHERE {where}{limit};"] if where else []
    if primary is None:
        return []
    if difference.kind is DifferenceKind.MISSING:
        names = ", ".join(quote(name) for name, _ in primary)
        values = ", ".join(literal for _, literal in primary)
        return [f"INSERT INTO {table} ({names}) VALUES ({values});"] * difference.count
    changed = [(name, literal) for name, literal in primary if name in difference.columns]
    assignments = ", ".join(f"{quote(name)} = {literal}" for name, literal in changed)
    return [f"UPDATE {table} SET {assignments} WHERE {_equal(difference.key)};"] if changed else []


def _equal(literals: Literals) -> str:
    return " AND ".join(f"{quote(name)} <=> {literal}" for name, literal in literals)
