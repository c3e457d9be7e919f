"""Tell if the row versions of MariaDB's system-versioned tables can be replicated, and when current rows end."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.tokens import Kind, unwrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.table import TableDefinition
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement
    from replica_cli.sqlbuilder.tokens import Token

# Since this release a TIMESTAMP is a number of 32 bits without a sign.
_UNTIL_2106 = (11, 5, 0)
# Since this release there is system_versioning_insert_history, with which a row version is written with its own times.
INSERTS_HISTORY_SINCE = (10, 11, 0)
# The last moment of a TIMESTAMP(6) in UTC, by its year. It is the end of a current row.
LAST_MOMENTS = {2038: "2038-01-19 03:14:07.999999", 2106: "2106-02-07 06:28:15.999999"}
_NUMBERED = ("BIGINT", "INT8")


def last_year(version: tuple[int, ...]) -> int:
    """Return the year of the last TIMESTAMP of a release of MariaDB, which is the end of current rows."""
    return 2106 if version >= _UNTIL_2106 else 2038


def why_history_differs(definition: TableDefinition) -> str | None:
    """Return why the row versions of a table cannot be the same on another server, or None if they can."""
    if any(c.data_type != "timestamp" for c in definition.period):
        return _BY_TRANSACTION
    return _why_key_acts(definition) if definition.is_versioned else None


def _why_key_acts(definition: TableDefinition) -> str | None:
    acting = (k for k in definition.foreign_keys if k.acts)
    return next((f"foreign key {key.name} {_CASCADES}" for key in acting), None)


def why_statement_refused(parsed: ParsedStatement, before: TableDefinition | None, *, to_mariadb: bool) -> str | None:
    """Return why the row versions of a table cannot be replicated after a statement, or None if they can.

    Args:
        parsed: a CREATE TABLE or ALTER TABLE.
        before: the table that an ALTER TABLE alters, as it is on the secondary.
        to_mariadb: the flavour of the secondary.
    """
    tokens = unwrapped(parsed.tokens)
    adds = any(
        one.is_word("SYSTEM") and other.is_word("VERSIONING") and not before.is_word("WITHOUT", "DROP")
        for before, one, other in zip(tokens, tokens[1:], tokens[2:], strict=False)
    )
    if adds and not to_mariadb:
        return "MySQL has no system-versioned tables"
    if _numbers_versions(tokens):
        return _BY_TRANSACTION
    if (adds or (before is not None and before.is_versioned)) and _has_acting_key(tokens):
        return f"its foreign key {_CASCADES}"
    return _why_key_acts(before) if adds and before is not None else None


_BY_TRANSACTION = (
    "its row versions are numbered by the primary's transactions, whose times another server does not know, and its "
    "changes are logged as statements"
)
_CASCADES = "changes rows when the parent's rows change, and each server stores another time for that"


def _numbers_versions(tokens: Sequence[Token]) -> bool:
    for index, (token, after) in enumerate(itertools.pairwise(tokens)):
        if token.is_word("ROW") and after.is_word("START", "END"):
            # The column's type is before this token. A comma ends the column before it.
            head = itertools.takewhile(lambda t: not t.is_symbol(","), reversed(tokens[:index]))
            if any(t.is_word(*_NUMBERED) for t in head):
                return True
    return False


def _has_acting_key(tokens: Sequence[Token]) -> bool:
    words = [t.text.upper() for t in tokens if t.kind is Kind.WORD]
    return any(
        word == "ON"
        and words[index + 1] in ("DELETE", "UPDATE")
        and (words[index + 2] == "CASCADE" or words[index + 2 : index + 4] in (["SET", "NULL"], ["SET", "DEFAULT"]))
        for index, word in enumerate(words[:-2])
    )
