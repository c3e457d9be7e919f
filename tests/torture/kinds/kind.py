"""The type of a kind of DDL statement, and its arguments."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from replica_cli.mysql.session import Session

    Define = Callable[[Session, Random, int], Iterator["str | Fails"]]
    Change = Callable[[Random, int], list[str]]


@dataclass(frozen=True, slots=True)
class Fails:
    """A statement that the primary may refuse with one of these errors: that is what it is there for."""

    statement: str
    errnos: frozenset[int]


def no_change(chance: Random, number: int) -> list[str]:  # noqa: ARG001 - one shape for all
    """Return no statement: the kind writes its rows itself."""
    return []


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of DDL statement, with tables of its own.

    `define` yields statements for a session that is used for nothing else; `change` returns statements that another
    session runs in a transaction at the same time, whatever the definition is at that moment. `setup` makes the tables
    before the first copy. `tables` is a pattern of their names. `refusals` are patterns of the reasons with which
    `replica` may set such a table aside, as docs/ documents it: then a copy by the advised command must bring it
    back. A kind that is not `is_on` runs only if it is asked for by name.
    """

    name: str
    setup: tuple[str, ...]
    tables: str
    define: Define
    change: Change = no_change
    is_mariadb_only: bool = False
    refusals: tuple[str, ...] = ()
    is_on: bool = True

    def explains(self, table: str, reason: str) -> bool:
        """Return True if a table of this kind may be quarantined for a reason."""
        return bool(re.fullmatch(self.tables, table)) and any(re.search(r, reason) for r in self.refusals)


def columns_of(session: Session, table: str, like: str = "c\\_%") -> list[str]:
    """Return the columns of a table of the session's schema whose names are like a pattern, in their order."""
    return [str(name) for (name,) in session.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s"
        " AND column_name LIKE %s ORDER BY ordinal_position", table, like,
    )]  # fmt: skip


def has_table(session: Session, table: str) -> bool:
    """Return True if the session's schema has a table."""
    sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
    return session.row(sql, table) is not None
