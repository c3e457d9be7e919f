"""Changes inside the replay window that one statement cannot make, because the secondary must cascade."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.mysql.errnos import DUPLICATES, ER_NO_REFERENCED_ROW, ER_ROW_IS_REFERENCED, ServerError
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows import Literals

# A child that refuses belongs to the future: a row that will come back, or a parent that has not come yet.
_FROM_THE_FUTURE = frozenset({ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW, 1217, 1216})


def delete_with_children(statement: bytes) -> Callable[[Session], int]:
    """Return a procedure that deletes parents as the primary did, cascading to their children."""

    def run(session: Session) -> int:
        return _checked_first(session, statement)

    return run


def change_key(
    definition: TableDefinition, identity: Sequence[str], new: Literals, old: Literals
) -> Callable[[Session], int]:
    """Return a procedure that moves a parent's row from its old key to the new one, taking its children along.

    `identity` are the key's columns and those that foreign keys point to. The row itself is replaced afterwards.
    """
    at = dict(zip(identity, zip(new, old, strict=True), strict=True))
    table = quote_table(definition.name).encode()
    key = [c.name for c in definition.row_key]
    is_old = b" AND ".join(_equals(name, at[name][1]) for name in key)
    moved = b",".join(_equals(name, at[name][0]) for name in identity)
    update = b"UPDATE " + table + b" SET " + moved + b" WHERE " + is_old
    in_the_way = [
        b"DELETE FROM " + table + b" WHERE " + b" AND ".join(_equals(p.name, at[p.name][0]) for p in index.columns)
        + b" AND NOT (" + is_old + b")"
        for index in definition.indexes
        if index.is_unique and all(p.name in at for p in index.columns)
    ]  # fmt: skip

    def run(session: Session) -> int:
        try:
            return _checked_first(session, update)
        except ServerError as error:
            if error.errno not in DUPLICATES:
                raise
        session.execute("SET SESSION foreign_key_checks=0")
        for statement in in_the_way:
            session.execute(statement)
        return _checked_first(session, update)

    return run


def _equals(name: str, literal: bytes) -> bytes:
    return quote(name).encode() + b"=" + literal


def _checked_first(session: Session, statement: bytes) -> int:
    session.execute("SET SESSION foreign_key_checks=1")
    try:
        return session.execute(statement)
    except ServerError as error:
        if error.errno not in _FROM_THE_FUTURE:
            raise
    session.execute("SET SESSION foreign_key_checks=0")
    return session.execute(statement)
