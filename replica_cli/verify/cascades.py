"""Find the rows that foreign keys have changed without a row event of their own.

When a parent row is deleted, or its key changes, the storage engine deletes or changes the rows that refer to it, and
only the change of the parent is in the log. The rows that referred to it are read in both snapshots: the one that is
earlier still has them. They count as touched. Their own keys may be referred to as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.errors import ApplyRefused
from replica_cli.core.events import CASCADES_ARE_LOGGED, RowKind
from replica_cli.decoder.form import Form, Output
from replica_cli.sqlbuilder.identifiers import quote_table
from replica_cli.sqlbuilder.rows.chunks import has_values, key_expression
from replica_cli.verify.image_rows import ImageRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from replica_cli.core.events import RowEvent, RowHead
    from replica_cli.core.names import TableName
    from replica_cli.core.table import Column
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.rows.chunks import KeyLiterals
    from replica_cli.verify.tables import VerifiedTable

_VALUES_AT_ONCE = 200
# A chain of tables that is longer, or a table that refers to itself more often, is not followed.
_ROUNDS = 20
_LIMIT = 50_000


class TooManyCascades(Exception):
    """More rows were changed by foreign keys than are followed."""


@dataclass(frozen=True, slots=True)
class CascadeEdge:
    """A foreign key that acts: changes of `parent` change rows of `child`."""

    parent: TableName
    child: TableName
    parent_columns: tuple[str, ...]
    child_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CascadeTable:
    """A table that takes part in cascades.

    Attributes:
        name: the primary's name.
        target: the secondary's name.
        logged: the columns that its row events contain.
        columns: the columns that foreign keys refer to, in a fixed order.
    """

    name: TableName
    target: TableName
    logged: tuple[Column, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cascades:
    """All foreign keys from which rows of one table may change without a row event."""

    tables: tuple[CascadeTable, ...] = ()
    edges: tuple[CascadeEdge, ...] = ()


class ParentChanges:
    """Collects the values that foreign keys refer to, of parent rows that were deleted or whose values changed."""

    def __init__(self, tables: Iterable[VerifiedTable]) -> None:
        self._parents: dict[TableName, CascadeTable] = {
            parent.name: parent for table in tables for parent in table.cascades.tables if parent.columns
        }
        self._readers: dict[RowHead, ImageRows] = {}
        self.values: dict[TableName, set[KeyLiterals]] = {}

    def wants(self, name: TableName) -> bool:
        """Return True if changes of a table may cascade."""
        return name in self._parents

    def take(self, event: RowEvent) -> bool:
        """Add the values of an event. Return False if it cannot be read."""
        parent = self._parents.get(event.table.name)
        if parent is None or event.kind is RowKind.INSERT or event.head.flags & CASCADES_ARE_LOGGED:
            return True
        try:
            rows = self._reader(event.head, parent).read(event)
        except ApplyRefused:
            return False
        values = self.values.setdefault(parent.name, set())
        for before, after in rows:
            if after != before or event.kind is RowKind.DELETE:
                values.add(tuple(literal.decode() for literal in before))
        return len(values) <= _LIMIT

    def _reader(self, head: RowHead, parent: CascadeTable) -> ImageRows:
        reader = self._readers.get(head)
        if reader is None:
            ordinals = {c.name: ordinal for ordinal, c in enumerate(parent.logged)}
            outputs = [Output(ordinals[name], Form.KEY) for name in parent.columns]
            reader = self._readers[head] = ImageRows(head, parent.logged, outputs)
        return reader


def cascaded_keys(
    table: VerifiedTable, changes: ParentChanges, primary: Session, secondary: Session
) -> set[KeyLiterals]:
    """Return the keys of the rows of a table that foreign keys may have changed.

    Args:
        table: the table, which has a key.
        changes: the changes of its parents in the log.
        primary: the session with the primary's snapshot.
        secondary: the session with the secondary's snapshot.

    Raises:
        TooManyCascades: the rows are too many to be followed.
    """
    tables = {t.name: t for t in table.cascades.tables}
    new = {name: values for name, values in changes.values.items() if name in tables}
    known: dict[TableName, set[KeyLiterals]] = {}
    keys: set[KeyLiterals] = set()
    key_columns = [p.column for p in table.key.parts] if table.key else []
    for _ in range(_ROUNDS):
        if not any(new.values()):
            return keys
        following: dict[TableName, set[KeyLiterals]] = {}
        for edge in table.cascades.edges:
            for condition in _conditions(edge, tables[edge.parent], new.get(edge.parent, ())):
                child = tables[edge.child]
                sides = ((primary, child.name), (secondary, child.target))
                if edge.child == table.name:
                    keys.update(_read(sides, key_columns, condition))
                if child.columns:
                    by_name = {c.name: c for c in child.logged}
                    read = _read(sides, [by_name[name] for name in child.columns], condition)
                    following.setdefault(child.name, set()).update(read)
        for name, values in new.items():
            known.setdefault(name, set()).update(values)
        new = {name: values - known.get(name, set()) for name, values in following.items()}
        if len(keys) + sum(map(len, new.values())) > _LIMIT:
            break
    raise TooManyCascades


def _conditions(edge: CascadeEdge, parent: CascadeTable, values: Iterable[KeyLiterals]) -> Iterator[str]:
    """Yield the conditions for the rows that refer to some values of a parent."""
    indexes = [parent.columns.index(name) for name in edge.parent_columns]
    wanted = sorted({tuple(value[index] for index in indexes) for value in values})
    wanted = [value for value in wanted if "NULL" not in value]
    for start in range(0, len(wanted), _VALUES_AT_ONCE):
        yield has_values(edge.child_columns, wanted[start : start + _VALUES_AT_ONCE])


def _read(
    sides: Sequence[tuple[Session, TableName]], columns: Sequence[Column], condition: str
) -> Iterator[KeyLiterals]:
    """Yield literals of some columns of the rows that a condition selects on both servers; not those with a NULL."""
    expressions = ",".join(key_expression(column) for column in columns)
    for session, name in sides:
        for row in session.texts(f"SELECT {expressions} FROM {quote_table(name)} WHERE {condition}"):
            literals = tuple(text for text in row if text is not None)
            if len(literals) == len(columns):
                yield literals
