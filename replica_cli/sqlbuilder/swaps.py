"""Statements that can change tables and leave all their definitions as they were: no look tells whether one ran.

The applier asks about a statement that a kill left half known (applier/ddl_execution.py). Two tables of equal
definitions that take each other's name, or a table and a partition that exchange rows, look the same before and after.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statement import StatementKind

if TYPE_CHECKING:
    from replica_cli.core.table import TableName
    from replica_cli.sqlbuilder.statement import ParsedStatement


def renamed_in_a_circle(parsed: ParsedStatement) -> dict[TableName, TableName]:
    """Return the new names and the old ones of a RENAME after which the same names are there; empty for all others."""
    if parsed.kind is not StatementKind.RENAME_TABLE:
        return {}
    tables: dict[TableName, TableName] = {}  # what is called so at this step, by what it was called at first
    for old, new in zip(parsed.tables[::2], parsed.tables[1::2], strict=True):
        tables[new] = tables.pop(old, old)
    return tables if set(tables) == set(tables.values()) else {}


def swaps_in_place(parsed: ParsedStatement) -> bool:
    """Return True for an ALTER with EXCHANGE PARTITION, or one that may give a column the name that another one had.

    That is one that names two columns, or one that names a column, drops one and adds one: columns that move on.
    """
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return False
    solid = [t for t in parsed.tokens if not t.is_blank]
    pairs = list(pairwise(solid))
    named = sum(a.is_word("CHANGE") or (a.is_word("RENAME") and b.is_word("COLUMN")) for a, b in pairs)
    moves_on = bool(named) and all(any(t.is_word(word) for t in solid) for word in ("ADD", "DROP"))
    return named > 1 or moves_on or any(a.is_word("EXCHANGE") and b.is_word("PARTITION") for a, b in pairs)
