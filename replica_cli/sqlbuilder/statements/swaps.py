"""Recognise statements after which all definitions can be the same as before, so that these do not tell if one ran.

Examples are two tables with equal definitions that exchange their names, and a table and a partition that exchange
their rows. The applier asks after a kill, if it left an intent for a statement (applier/ddl/execution.py).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.statements.statement import StatementKind

if TYPE_CHECKING:
    from replica_cli.core.table import TableName
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement


def renamed_in_a_circle(parsed: ParsedStatement) -> dict[TableName, TableName]:
    """Return each table's old name by its new name, for a RENAME TABLE after which the same names exist as before.

    For all other statements the result is empty.
    """
    if parsed.kind is not StatementKind.RENAME_TABLE:
        return {}
    tables: dict[TableName, TableName] = {}  # the first name of each table, by its name after the steps so far
    for old, new in zip(parsed.tables[::2], parsed.tables[1::2], strict=True):
        tables[new] = tables.pop(old, old)
    return tables if set(tables) == set(tables.values()) else {}


def swaps_in_place(parsed: ParsedStatement) -> bool:
    """Return True for an ALTER TABLE that exchanges rows with a partition, or may exchange names of columns.

    It may do the latter if it renames two columns, or if it renames one, drops one and adds one.
    """
    if parsed.kind is not StatementKind.ALTER_TABLE:
        return False
    solid = [t for t in parsed.tokens if not t.is_blank]
    pairs = list(pairwise(solid))
    renamed = sum(a.is_word("CHANGE") or (a.is_word("RENAME") and b.is_word("COLUMN")) for a, b in pairs)
    moves_names = bool(renamed) and all(any(t.is_word(word) for t in solid) for word in ("ADD", "DROP"))
    return renamed > 1 or moves_names or any(a.is_word("EXCHANGE") and b.is_word("PARTITION") for a, b in pairs)
