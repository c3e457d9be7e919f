"""Compare the catalogs of primary and secondary, table by table.

`replica drift check`, and the definition check of the worker, use `compare_catalogs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.table import ForeignKey, Index, TableDefinition, TableName
from replica_cli.drift.column_comparison import Pair, compare_columns
from replica_cli.drift.description import describe_foreign_key, describe_index
from replica_cli.drift.equivalence import charset, compact, is_json, rule
from replica_cli.drift.expected_engine import expected_engine
from replica_cli.sqlbuilder.storage_engines import EngineKind, kind_of

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.sqlbuilder.definitions.crossing import Crossing

Catalog = Mapping[TableName, TableDefinition]


def compare_catalogs(
    primary: Catalog, secondary: Catalog, selection: Selection, crossing: Crossing | None = None
) -> tuple[Difference, ...]:
    """Return every difference between the selected tables.

    The order is that of the primary's tables. Tables that only the secondary has come last. A foreign key of the
    primary to a table that is not selected is not reported as missing.

    Args:
        primary: the primary's tables by name.
        secondary: the secondary's tables by name. It may hold tables that are not selected.
        selection: the filters, and the names on the secondary.
        crossing: the translation between the flavours, None if both servers are of one flavour.
    """
    differences: list[Difference] = []
    wanted = {target: name for name in sorted(primary) if (target := selection.target(name)) is not None}
    for target, name in wanted.items():
        definition = secondary.get(target)
        if definition is None:
            differences.append(
                Difference(name, target, Aspect.MISSING_TABLE, "", primary[name].kind, None, Severity.BREAKS)
            )  # fmt: skip
        else:
            differences += _compare_tables(Pair(primary[name], definition, crossing), selection)
    for target in sorted(secondary):
        source = selection.source(target)
        if target not in wanted and source is not None:
            kind = secondary[target].kind
            differences.append(Difference(source, target, Aspect.EXTRA_TABLE, "", None, kind, Severity.DIFFERS))
    return tuple(differences)


def _compare_tables(pair: Pair, selection: Selection) -> Iterator[Difference]:
    primary, secondary = pair.primary, pair.secondary
    if primary.kind != secondary.kind:
        is_history = secondary.kind == "SYSTEM VERSIONED" and primary.kind == "BASE TABLE"
        severity = Severity.DIFFERS if is_history else Severity.BREAKS
        yield pair.difference(Aspect.KIND, "", primary.kind, secondary.kind, severity)
    if "SEQUENCE" in (primary.kind, secondary.kind):
        return
    engine = expected_engine(primary.engine)
    if engine.upper() != secondary.engine.upper():
        is_unsafe = kind_of(secondary.engine) is EngineKind.CONVERTED
        severity = Severity.BREAKS if is_unsafe else Severity.DIFFERS
        wanted = primary.engine if engine == primary.engine else f"{primary.engine} ({engine} on a secondary)"
        yield pair.difference(Aspect.ENGINE, "", wanted, secondary.engine, severity)
    if pair.collation(primary.collation) != charset(secondary.collation):
        yield pair.difference(Aspect.TABLE_COLLATION, "", primary.collation, secondary.collation, Severity.DIFFERS)
    yield from compare_columns(pair)
    yield from _compare_indexes(pair)
    yield from _compare_checks(pair)
    yield from _compare_foreign_keys(pair, selection)
    for trigger in secondary.triggers:
        # The row events already hold what the primary's triggers did. A trigger on the secondary would do it a second
        # time.
        yield pair.difference(Aspect.TRIGGER, trigger, None, trigger, Severity.BREAKS)


def _compare_indexes(pair: Pair) -> Iterator[Difference]:
    primary_indexes = {i.name.lower(): i for i in pair.primary.indexes}
    secondary_indexes = {i.name.lower(): i for i in pair.secondary.indexes}
    for key in sorted(primary_indexes.keys() | secondary_indexes.keys()):
        on_primary, on_secondary = primary_indexes.get(key), secondary_indexes.get(key)
        if (
            on_primary is not None
            and on_secondary is not None
            and _comparable_index(on_primary, pair) == _comparable_index(on_secondary, pair)
        ):
            continue
        is_unique = any(i is not None and i.is_unique for i in (on_primary, on_secondary))
        name = next(i.name for i in (on_primary, on_secondary) if i is not None)
        sides = (describe_index(i) if i is not None else None for i in (on_primary, on_secondary))
        severity = Severity.BREAKS if is_unique else Severity.DIFFERS
        yield pair.difference(Aspect.INDEX, name, next(sides), next(sides), severity)


def _comparable_index(index: Index, pair: Pair) -> tuple[object, ...]:
    # HASH or BTREE is the engine's choice. The secondary may use the other one without being wrong.
    kind = index.kind if index.kind in ("FULLTEXT", "SPATIAL") else ""
    descends = pair.is_same_flavour
    columns = tuple(
        (c.name.lower(), c.prefix_length, c.is_descending and descends, compact(c.expression)) for c in index.columns
    )
    return (index.is_unique, kind, index.is_visible, columns)


def _compare_checks(pair: Pair) -> Iterator[Difference]:
    primary_checks, secondary_checks = _comparable_checks(pair.primary), _comparable_checks(pair.secondary)
    for name, clause in primary_checks:
        if not any(pair.is_same_expression(clause, other) for _, other in secondary_checks):
            yield pair.difference(Aspect.CHECK, name, clause, None, Severity.DIFFERS)
    for name, clause in secondary_checks:
        if not any(pair.is_same_expression(other, clause) for _, other in primary_checks):
            yield pair.difference(Aspect.CHECK, name, None, clause, Severity.BREAKS)


def _comparable_checks(table: TableDefinition) -> list[tuple[str, str]]:
    # The check that makes a LONGTEXT column JSON is part of the column's type, so it is not compared as a check.
    json = {c.name for c in table.columns if c.data_type == "longtext" and is_json(c, table)}
    return [(n, clause) for n, clause in table.checks if n not in json]


def _compare_foreign_keys(pair: Pair, selection: Selection) -> Iterator[Difference]:
    wanted = [k for k in pair.primary.foreign_keys if selection.target(k.parent) is not None]
    existing = list(pair.secondary.foreign_keys)
    missing = []
    for key in wanted:
        equal = next((k for k in existing if _is_same_foreign_key(key, k, selection)), None)
        if equal is None:
            missing.append(key)
        else:
            existing.remove(equal)
    for key in missing:
        # The primary's log does not hold what a foreign key changes in other tables, so the secondary must have the
        # key.
        severity = Severity.BREAKS if key.acts else Severity.DIFFERS
        yield pair.difference(Aspect.FOREIGN_KEY, key.name, describe_foreign_key(key), None, severity)
    for key in existing:
        yield pair.difference(Aspect.FOREIGN_KEY, key.name, None, describe_foreign_key(key), Severity.BREAKS)


def _is_same_foreign_key(on_primary: ForeignKey, on_secondary: ForeignKey, selection: Selection) -> bool:
    """Return True if a key of the primary and a key of the secondary do the same, whatever their names are."""
    return _comparable_foreign_key(on_primary, selection.target(on_primary.parent)) == _comparable_foreign_key(
        on_secondary, on_secondary.parent
    )


def _comparable_foreign_key(key: ForeignKey, parent: TableName | None) -> tuple[object, ...]:
    columns, parent_columns = (tuple(n.lower() for n in names) for names in (key.columns, key.parent_columns))
    return (columns, parent, parent_columns, rule(key.on_update), rule(key.on_delete))
