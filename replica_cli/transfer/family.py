"""Tables that must be copied together, because rows go from one to the other without a trace in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.core.table import ForeignKey, TableDefinition, TableName

_ACTING = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


def acts(key: ForeignKey) -> bool:
    """Say whether a foreign key changes its table's rows when the parent's change."""
    return key.on_delete in _ACTING or key.on_update in _ACTING


def parents_of(definition: TableDefinition) -> frozenset[TableName]:
    """Return the other tables whose changes reach this one's rows."""
    return frozenset(k.parent for k in definition.foreign_keys if acts(k) and k.parent != definition.name)


def circle(definitions: Mapping[TableName, TableDefinition]) -> tuple[TableName, ...]:
    """Return the tables of a circle of such foreign keys, () where there is none. A self reference is no circle."""
    left = {name: parents_of(definition) & definitions.keys() for name, definition in definitions.items()}
    while left:
        free = {name for name, parents in left.items() if not parents & left.keys()}
        if not free:
            # What hangs below a circle is left over with it: keep those that lie above something that is left.
            above = {parent for parents in left.values() for parent in parents}
            return tuple(sorted(name for name in left if name in above))
        left = {name: parents for name, parents in left.items() if name not in free}
    return ()


def family(names: Iterable[TableName], definitions: Mapping[TableName, TableDefinition]) -> frozenset[TableName]:
    """Return the tables and all that hang on them by foreign keys that act, in either direction, however far.

    What such a key does to a child is not in the binary log (before MySQL 9.6). So a child must not be of another
    moment than its parent: a DELETE that is older than the child's copy would take rows of the future with it, one
    that is older than the parent's copy would not take the child's rows at all.
    """
    neighbours: dict[TableName, set[TableName]] = {}
    for name, definition in definitions.items():
        for key in definition.foreign_keys:
            if acts(key) and key.parent in definitions:
                neighbours.setdefault(name, set()).add(key.parent)
                neighbours.setdefault(key.parent, set()).add(name)
    found: set[TableName] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(neighbours.get(name, ()))
    return frozenset(found)
