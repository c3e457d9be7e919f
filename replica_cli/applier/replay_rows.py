"""Changes inside the replay window that one statement cannot make, because the secondary must cascade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.applier.window import TableChangedInWindow
from replica_cli.mysql.errnos import DUPLICATES, ER_NO_REFERENCED_ROW, ER_ROW_IS_REFERENCED, ServerError
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from replica_cli.applier.definitions import ChildKey
    from replica_cli.applier.replay_plan import ReplayPlan
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows import Literals

_UNCHECKED = "SET SESSION foreign_key_checks=0"
# A child that refuses belongs to the future: a row that will come back, or a parent that has not come yet.
_FROM_THE_FUTURE = frozenset({ER_ROW_IS_REFERENCED, ER_NO_REFERENCED_ROW, 1217, 1216})
# The cascade would make a duplicate further down.
_BLOCKED = frozenset({1761, 1762})


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A row that leaves its key: each identity column's literal before and after.

    The identity is the key's columns and those that foreign keys point to.
    """

    definition: TableDefinition
    literals: dict[str, tuple[bytes, bytes]]

    def before(self, columns: Sequence[str]) -> bytes:
        """Return the condition that finds the row by its values before."""
        return b" AND ".join(_equals(name, self.literals[name][0]) for name in columns)

    def after(self, columns: Sequence[str]) -> bytes:
        """Return the condition that finds rows by the values after."""
        return b" AND ".join(_equals(name, self.literals[name][1]) for name in columns)


def parents_are_there(plan: ReplayPlan, literals: Literals) -> bytes:
    """Return the condition that every row referred to is on the secondary; a reference that holds NULL is none."""
    conditions = []
    at = 0
    for reference in plan.references:
        ours = literals[at : at + len(reference.columns)]
        at += len(reference.columns)
        if b"NULL" in ours:
            continue
        found = b" AND ".join(_equals(theirs, lit) for (_, theirs), lit in zip(reference.columns, ours, strict=True))
        conditions.append(
            b"EXISTS (SELECT 1 FROM " + quote_table(reference.parent).encode() + b" WHERE " + found + b")"
        )
    return b" AND ".join(conditions) or b"1"


def delete_with_children(put_back: bytes, statement: bytes) -> Callable[[Session], int]:
    """Return a procedure that puts parents back and deletes them as the primary did, cascading to their children."""

    def run(session: Session) -> int:
        session.execute(_UNCHECKED)
        session.execute(put_back)
        return _checked_first(session, statement)

    return run


def change_key(
    change: KeyChange, followers: Sequence[tuple[ChildKey, TableDefinition]], put_back: bytes, condition: bytes
) -> Callable[[Session], int]:
    """Return a procedure that moves a parent's row from its old key to the new one, taking its children along.

    `put_back` makes the row be there as it was before. The row itself is replaced afterwards. Nothing is done unless
    `condition` holds: the row's own parents are there. The procedure raises TableChangedInWindow where children of
    children stand in the way: the tables are then copied anew.
    """
    table = quote_table(change.definition.name).encode()
    is_old = change.before([c.name for c in change.definition.row_key])
    moved = b",".join(_equals(name, new) for name, (_, new) in change.literals.items())
    update = b"UPDATE " + table + b" SET " + moved + b" WHERE " + is_old
    in_the_way = [*_rows_in_the_way(change, is_old), *_children_in_the_way(change, followers)]

    def run(session: Session) -> int:
        row = session.row("SELECT " + condition.decode("utf-8", "surrogateescape"))
        if not row or not row[0]:
            return 0
        session.execute(_UNCHECKED)
        session.execute(put_back)
        try:
            return _checked_first(session, update)
        except ServerError as error:
            if error.errno not in DUPLICATES | _BLOCKED:
                raise
        session.execute(_UNCHECKED)
        for statement in in_the_way:
            session.execute(statement)
        try:
            return _checked_first(session, update)
        except ServerError as error:
            if error.errno not in _BLOCKED:
                raise
            reason = "a cascade meets rows that were copied after it"
            raise TableChangedInWindow((change.definition.name,), reason) from error

    return run


def _rows_in_the_way(change: KeyChange, is_old: bytes) -> Iterator[bytes]:
    table = quote_table(change.definition.name).encode()
    for index in change.definition.indexes:
        names = [p.name for p in index.columns]
        if index.is_unique and all(name in change.literals for name in names):
            yield b"DELETE FROM " + table + b" WHERE " + change.after(names) + b" AND NOT (" + is_old + b")"


def _children_in_the_way(change: KeyChange, followers: Sequence[tuple[ChildKey, TableDefinition]]) -> Iterator[bytes]:
    """Yield the DELETEs of children that were copied after the change and whose twins were copied before it.

    Both are the same row of the primary: the older one goes along with its parent, its later changes are in the log.
    A child that was copied after the change alone stays: its move to the new key is not in the log.
    """
    for key, child in followers:
        table = quote_table(child.name).encode()
        moved = dict(key.columns)
        for index in child.indexes:
            names = [p.name for p in index.columns]
            if not index.is_unique or not set(moved) & set(names):
                continue
            same = b",".join(quote(n).encode() for n in names if n not in moved) or b"1"
            was = b" AND ".join(_equals(ours, change.literals[parent][0]) for ours, parent in key.columns)
            now = b" AND ".join(_equals(ours, change.literals[parent][1]) for ours, parent in key.columns)
            # DISTINCT makes the server keep the earlier rows aside: MySQL does not delete from what it reads.
            earlier = b"(SELECT DISTINCT " + same + b" FROM " + table + b" WHERE " + was + b") AS earlier"
            yield (
                b"DELETE FROM " + table + b" WHERE " + now + b" AND (" + same + b") IN (SELECT * FROM " + earlier + b")"
            )


def _equals(name: str, literal: bytes) -> bytes:
    return quote(name).encode() + b"=" + literal


def _checked_first(session: Session, statement: bytes) -> int:
    session.execute("SET SESSION foreign_key_checks=1")
    try:
        return session.execute(statement)
    except ServerError as error:
        if error.errno not in _FROM_THE_FUTURE:
            raise
    session.execute(_UNCHECKED)
    return session.execute(statement)
