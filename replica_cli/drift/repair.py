"""The SQL that makes a secondary's tables what the primary's are: for people to read and run, never run here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.differences import Aspect, Difference
from replica_cli.core.printable import printable
from replica_cli.drift.alteration import Alteration
from replica_cli.sqlbuilder.definition import CreateStatements, create_statements
from replica_cli.sqlbuilder.definition_refused import DefinitionRefused
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.drift.comparison import Catalog
    from replica_cli.sqlbuilder.definition_crossing import Crossing

# These are dropped, or only named in a comment: the primary's text is not asked for.
_WITHOUT_TEXT = (Aspect.EXTRA_TABLE, Aspect.TRIGGER)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a repair is written from; `texts` are SHOW CREATE TABLE's of the primary, by the primary's names."""

    primary: Catalog
    secondary: Catalog
    texts: Mapping[TableName, str]
    selection: Selection
    crossing: Crossing | None = None


def tables_to_show(differences: Sequence[Difference]) -> tuple[TableName, ...]:
    """Return the primary's tables whose SHOW CREATE TABLE a repair needs."""
    return tuple(dict.fromkeys(d.table for d in differences if d.aspect not in _WITHOUT_TEXT))


def repair_statements(differences: Sequence[Difference], sources: Sources) -> tuple[str, ...]:
    """Return SQL in the order to run it; without differences nothing.

    First what stands in the way (triggers, foreign keys), then tables, then foreign keys. A comment before a statement
    says where values may be lost and which table must be copied again. What cannot be repaired is a comment only.
    """
    by_table: dict[TableName, list[Difference]] = defaultdict(list)
    # `printable` in comments: a name may hold a line's end, which would end the comment and run what follows.
    for difference in differences:
        by_table[difference.secondary_table].append(difference)
    first, tables, last, extra = [], [], [], []
    for target, found in by_table.items():
        first += [_drop(d) for d in found if d.aspect is Aspect.TRIGGER or _is_foreign_key_in_the_way(d)]
        if found[0].aspect is Aspect.EXTRA_TABLE:
            extra.append(f"-- only on the secondary: {printable(f'DROP TABLE {quote_table(target)}')}")
            continue
        if all(d.aspect is Aspect.TRIGGER for d in found):
            continue
        name = found[0].table
        try:
            made = _made(name, target, sources)
        except DefinitionRefused as refused:
            tables.append(f"-- {printable(str(refused))}")
            continue
        tables += _table_statements(found, made, sources)
        last += _foreign_keys(found, made)
    schemas = _missing_schemas(differences, sources)
    if any("MODIFY COLUMN" in s or "DROP COLUMN" in s for s in tables):
        # A column of a foreign key cannot change while it is watched.
        tables = ["SET SESSION foreign_key_checks = 0", *tables, "SET SESSION foreign_key_checks = 1"]
    return (*first, *schemas, *tables, *last, *extra)


def _made(name: TableName, target: TableName, sources: Sources) -> CreateStatements:
    return create_statements(
        sources.texts[name], target, source=name, route=sources.selection.target, crossing=sources.crossing
    )


def _table_statements(found: list[Difference], made: CreateStatements, sources: Sources) -> list[str]:
    name, target = found[0].table, found[0].secondary_table
    copy_again = f"-- then copy its rows: `replica transfer {table_options([name])}`\n"
    if found[0].aspect is Aspect.MISSING_TABLE:
        notes = "".join(f"-- {printable(n)}\n" for n in made.notes)
        return [f"{notes}{copy_again}{made.create}"]
    if any(d.aspect is Aspect.KIND for d in found):
        return [f"{copy_again}-- of another kind: {printable(f'DROP TABLE {quote_table(target)}')}"]
    alteration = Alteration(sources.primary[name], sources.secondary[target], made.create)
    return alteration.statements(found, copy_again)


def _foreign_keys(found: list[Difference], made: CreateStatements) -> list[str]:
    if found[0].aspect is Aspect.MISSING_TABLE:
        return list(made.foreign_keys)
    known = {d.name for d in found if d.aspect is Aspect.FOREIGN_KEY and d.primary is not None}
    return [s for s in made.foreign_keys if any(f" CONSTRAINT {quote(n)} FOREIGN KEY" in s for n in known)]


def _is_foreign_key_in_the_way(difference: Difference) -> bool:
    return difference.aspect is Aspect.FOREIGN_KEY and difference.secondary is not None


def _drop(difference: Difference) -> str:
    target = difference.secondary_table
    if difference.aspect is Aspect.TRIGGER:
        return f"DROP TRIGGER {quote(target.schema)}.{quote(difference.name)}"
    return f"ALTER TABLE {quote_table(target)} DROP FOREIGN KEY {quote(difference.name)}"


def _missing_schemas(differences: Sequence[Difference], sources: Sources) -> list[str]:
    there = {name.schema for name in sources.secondary}
    wanted = (d.secondary_table.schema for d in differences if d.aspect is Aspect.MISSING_TABLE)
    return [f"CREATE DATABASE IF NOT EXISTS {quote(s)}" for s in dict.fromkeys(wanted) if s not in there]
