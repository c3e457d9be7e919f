"""Find cascade groups: tables that must be copied at one position.

Rows of one table of a group change with rows of another table without a trace in the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replica_cli.core.table import TableDefinition, TableName


def find_cascade_groups(definitions: Mapping[TableName, TableDefinition]) -> tuple[frozenset[TableName], ...]:
    """Return the groups of more than one table, and each single table that refers to itself."""
    neighbours = _neighbours(definitions)
    groups: list[frozenset[TableName]] = []
    seen: set[TableName] = set()
    for name in neighbours:
        if name not in seen:
            groups.append(_reached((name,), neighbours))
            seen |= groups[-1]
    return tuple(group for group in groups if len(group) > 1 or any(_refers_to_itself(definitions[n]) for n in group))


def _refers_to_itself(definition: TableDefinition) -> bool:
    return any(k.acts and k.parent == definition.name for k in definition.foreign_keys)


def cascade_group(names: Iterable[TableName], definitions: Mapping[TableName, TableDefinition]) -> frozenset[TableName]:
    """Return the tables with all tables that acting foreign keys tie to them, in both directions and at any distance.

    The binary log does not hold what such a key changes in the child table (unless `logs_cascades` of the primary's
    facts is True). The change happens again on the secondary, when the parent's change is applied there. The result is
    right only if the rows of both tables were copied at one moment. If they were copied at several moments, a cascade
    misses children whose parent is not copied yet. It also changes children that came to the parent later, by another
    cascade, and nothing in the log corrects these.
    """
    return _reached(names, _neighbours(definitions))


def _neighbours(definitions: Mapping[TableName, TableDefinition]) -> dict[TableName, set[TableName]]:
    """Return the tables that are tied directly to each table; tables without such ties are left out."""
    neighbours: dict[TableName, set[TableName]] = {}
    for name, definition in definitions.items():
        for key in definition.foreign_keys:
            if key.acts and key.parent in definitions:
                neighbours.setdefault(name, set()).add(key.parent)
                neighbours.setdefault(key.parent, set()).add(name)
    return neighbours


def _reached(names: Iterable[TableName], neighbours: Mapping[TableName, set[TableName]]) -> frozenset[TableName]:
    reached: set[TableName] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(neighbours.get(name, ()))
    return frozenset(reached)
