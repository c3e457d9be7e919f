"""Two catalogs compared, table by table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from replica_cli.core.differences import Aspect, Difference, Severity
from replica_cli.core.table import ForeignKey, Index, TableDefinition, TableName
from replica_cli.drift.columns import Pair, compare_columns
from replica_cli.drift.description import describe_foreign_key, describe_index
from replica_cli.drift.engines import expected_engine
from replica_cli.drift.equivalence import charset, compact, is_json, rule
from replica_cli.sqlbuilder.engines import EngineKind, kind_of

if TYPE_CHECKING:
    from replica_cli.core.selection import Selection
    from replica_cli.sqlbuilder.definition_crossing import Crossing

Catalog = Mapping[TableName, TableDefinition]


def compare_catalogs(
    primary: Catalog, secondary: Catalog, selection: Selection, crossing: Crossing | None = None
) -> tuple[Difference, ...]:
    """Return every difference, in the order of the primary's tables, tables that only the secondary has at the end.

    Only selected tables count; `secondary` may hold more. A foreign key to a table that is not selected is not missed.
    """
    found: list[Difference] = []
    wanted = {target: name for name in sorted(primary) if (target := selection.target(name)) is not None}
    for target, name in wanted.items():
        other = secondary.get(target)
        if other is None:
            found.append(
                Difference(name, target, Aspect.MISSING_TABLE, "", primary[name].kind, None, Severity.BREAKS)
            )  # fmt: skip
        else:
            found += _compare_tables(Pair(primary[name], other, crossing), selection)
    for target in sorted(secondary):
        source = selection.source(target)
        if target not in wanted and source is not None:
            kind = secondary[target].kind
            found.append(Difference(source, target, Aspect.EXTRA_TABLE, "", None, kind, Severity.DIFFERS))
    return tuple(found)


def is_same_foreign_key(ours: ForeignKey, theirs: ForeignKey, selection: Selection) -> bool:
    """Say whether two foreign keys do the same, whatever their names."""
    return _foreign_key(ours, selection.target(ours.parent)) == _foreign_key(theirs, theirs.parent)


def _compare_tables(pair: Pair, selection: Selection) -> Iterator[Difference]:
    ours, theirs = pair.primary, pair.secondary
    if ours.kind != theirs.kind:
        is_history = theirs.kind == "SYSTEM VERSIONED" and ours.kind == "BASE TABLE"
        severity = Severity.DIFFERS if is_history else Severity.BREAKS
        yield pair.difference(Aspect.KIND, "", ours.kind, theirs.kind, severity)
    if "SEQUENCE" in (ours.kind, theirs.kind):
        return
    engine = expected_engine(ours.engine)
    if engine.upper() != theirs.engine.upper():
        is_unsafe = kind_of(theirs.engine) is EngineKind.CONVERTED
        severity = Severity.BREAKS if is_unsafe else Severity.DIFFERS
        wanted = ours.engine if engine == ours.engine else f"{ours.engine} ({engine} on a secondary)"
        yield pair.difference(Aspect.ENGINE, "", wanted, theirs.engine, severity)
    if pair.collation(ours.collation) != charset(theirs.collation):
        yield pair.difference(Aspect.TABLE_COLLATION, "", ours.collation, theirs.collation, Severity.DIFFERS)
    yield from compare_columns(pair)
    yield from _compare_indexes(pair)
    yield from _compare_checks(pair)
    yield from _compare_foreign_keys(pair, selection)
    for trigger in theirs.triggers:
        # What the primary's triggers did is in the row events already; here it would be done twice.
        yield pair.difference(Aspect.TRIGGER, trigger, None, trigger, Severity.BREAKS)


def _compare_indexes(pair: Pair) -> Iterator[Difference]:
    ours = {i.name.lower(): i for i in pair.primary.indexes}
    theirs = {i.name.lower(): i for i in pair.secondary.indexes}
    for key in sorted(ours.keys() | theirs.keys()):
        left, right = ours.get(key), theirs.get(key)
        if left is not None and right is not None and _index(left, pair) == _index(right, pair):
            continue
        is_unique = any(i is not None and i.is_unique for i in (left, right))
        name = next(i.name for i in (left, right) if i is not None)
        sides = (describe_index(i) if i is not None else None for i in (left, right))
        severity = Severity.BREAKS if is_unique else Severity.DIFFERS
        yield pair.difference(Aspect.INDEX, name, next(sides), next(sides), severity)


def _index(index: Index, pair: Pair) -> tuple[object, ...]:
    # HASH and BTREE are the engine's choice, which may rightly be another one on the secondary.
    kind = index.kind if index.kind in ("FULLTEXT", "SPATIAL") else ""
    descends = pair.is_same_flavour
    columns = tuple(
        (c.name.lower(), c.prefix_length, c.is_descending and descends, compact(c.expression)) for c in index.columns
    )
    return (index.is_unique, kind, index.is_visible, columns)


def _compare_checks(pair: Pair) -> Iterator[Difference]:
    ours, theirs = _checks(pair.primary), _checks(pair.secondary)
    for name, clause in ours:
        if not any(pair.is_same_expression(clause, other) for _, other in theirs):
            yield pair.difference(Aspect.CHECK, name, clause, None, Severity.DIFFERS)
    for name, clause in theirs:
        if not any(pair.is_same_expression(other, clause) for _, other in ours):
            yield pair.difference(Aspect.CHECK, name, None, clause, Severity.BREAKS)


def _checks(table: TableDefinition) -> list[tuple[str, str]]:
    # The check that makes a LONGTEXT JSON is its type.
    json = {c.name for c in table.columns if c.data_type == "longtext" and is_json(c, table)}
    return [(n, clause) for n, clause in table.checks if n not in json]


def _compare_foreign_keys(pair: Pair, selection: Selection) -> Iterator[Difference]:
    ours = [k for k in pair.primary.foreign_keys if selection.target(k.parent) is not None]
    theirs = list(pair.secondary.foreign_keys)
    missing = []
    for key in ours:
        equal = next((k for k in theirs if is_same_foreign_key(key, k, selection)), None)
        if equal is None:
            missing.append(key)
        else:
            theirs.remove(equal)
    for key in missing:
        # The primary's log does not hold what a foreign key changes in other tables: the secondary must do it.
        severity = Severity.BREAKS if key.acts else Severity.DIFFERS
        yield pair.difference(Aspect.FOREIGN_KEY, key.name, describe_foreign_key(key), None, severity)
    for key in theirs:
        yield pair.difference(Aspect.FOREIGN_KEY, key.name, None, describe_foreign_key(key), Severity.BREAKS)


def _foreign_key(key: ForeignKey, parent: TableName | None) -> tuple[object, ...]:
    columns, parent_columns = (tuple(n.lower() for n in names) for names in (key.columns, key.parent_columns))
    return (columns, parent, parent_columns, rule(key.on_update), rule(key.on_delete))
