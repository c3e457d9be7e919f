"""Tables that must be of one moment, because rows change with one another without a trace in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.core.table import TableDefinition, TableName


def families(definitions: Mapping[TableName, TableDefinition]) -> tuple[frozenset[TableName], ...]:
    """Return the families of more than one table, and those of one that refers to itself."""
    neighbours = _neighbours(definitions)
    found: list[frozenset[TableName]] = []
    seen: set[TableName] = set()
    for name in neighbours:
        if name not in seen:
            found.append(_reached((name,), neighbours))
            seen |= found[-1]
    return tuple(f for f in found if len(f) > 1 or any(_refers_to_itself(definitions[n]) for n in f))


def _refers_to_itself(definition: TableDefinition) -> bool:
    return any(k.acts and k.parent == definition.name for k in definition.foreign_keys)


def family(names: Iterable[TableName], definitions: Mapping[TableName, TableDefinition]) -> frozenset[TableName]:
    """Return the tables and all that hang on them by foreign keys that act, in either direction, however far.

    What such a key does to a child is not in the binary log (unless `logs_cascades` of the primary's facts says so):
    it happens again on the secondary, when the parent's change is applied there. That comes out right only where
    every row of both is of the moment of that change. Over a copy of several moments a cascade misses children whose
    parent is not there yet, and takes others that came to the parent later, by another cascade, and that nothing
    brings back.
    """
    return _reached(names, _neighbours(definitions))


def _neighbours(definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, set[TableName]]:
    """Return the tables that are tied to each table directly; a table that is tied to none is left out."""
    found: dict[TableName, set[TableName]] = {}
    for name, definition in definitions.items():
        for key in definition.foreign_keys:
            if key.acts and key.parent in definitions:
                found.setdefault(name, set()).add(key.parent)
                found.setdefault(key.parent, set()).add(name)
    return found


def _reached(names: Iterable[TableName], neighbours: Mapping[TableName, set[TableName]]) -> frozenset[TableName]:
    found: set[TableName] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(neighbours.get(name, ()))
    return frozenset(found)
