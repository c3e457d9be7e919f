"""Write the SQL that makes the tables of a secondary like those of the primary.

The SQL is for people to read and to run. `replica` never runs it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.commands import table_options
from replica_cli.core.differences import Aspect, Difference
from replica_cli.core.printable import printable
from replica_cli.drift.alteration import Alteration
from replica_cli.sqlbuilder.definitions.create_statements import CreateStatements, create_statements
from replica_cli.sqlbuilder.definitions.refused import DefinitionRefused
from replica_cli.sqlbuilder.identifiers import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.selection import Selection
    from replica_cli.core.table import TableName
    from replica_cli.drift.comparison import Catalog
    from replica_cli.sqlbuilder.definitions.crossing import Crossing

# These differences are repaired by a DROP, or only named in a comment. SHOW CREATE TABLE is not needed for them.
_WITHOUT_TEXT = (Aspect.EXTRA_TABLE, Aspect.TRIGGER)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a repair is written from.

    `texts` holds the primary's SHOW CREATE TABLE texts, by the names of the tables on the primary. `crossing` is None
    if both servers are of one flavour.
    """

    primary: Catalog
    secondary: Catalog
    texts: Mapping[TableName, str]
    selection: Selection
    crossing: Crossing | None = None


def tables_to_show(differences: Sequence[Difference]) -> tuple[TableName, ...]:
    """Return the tables of the primary whose SHOW CREATE TABLE text a repair needs."""
    return tuple(dict.fromkeys(d.table for d in differences if d.aspect not in _WITHOUT_TEXT))


def repair_statements(differences: Sequence[Difference], sources: Sources) -> tuple[str, ...]:
    """Return the SQL in the order in which to run it, nothing if there are no differences.

    First come the drops of triggers and of foreign keys that differ, then schemas and tables, then foreign keys. A
    comment before a statement says where values may be lost, and which table must be copied again. What SQL cannot
    repair, and a table that only the secondary has, is a comment only.
    """
    by_table: dict[TableName, list[Difference]] = defaultdict(list)
    # `printable` is used in comments: a name may hold a line break, which would end the comment, and what follows would
    # run.
    for difference in differences:
        by_table[difference.secondary_table].append(difference)
    drops, tables, foreign_keys, extra = [], [], [], []
    for target, table_differences in by_table.items():
        drops += [_drop(d) for d in table_differences if d.aspect is Aspect.TRIGGER or _is_extra_foreign_key(d)]
        if table_differences[0].aspect is Aspect.EXTRA_TABLE:
            extra.append(f"-- only on the secondary: {printable(f'DROP TABLE {quote_table(target)}')}")
            continue
        if all(d.aspect is Aspect.TRIGGER for d in table_differences):
            continue
        name = table_differences[0].table
        try:
            statements = _create_statements(name, target, sources)
        except DefinitionRefused as refused:
            tables.append(f"-- {printable(str(refused))}")
            continue
        tables += _table_statements(table_differences, statements, sources)
        foreign_keys += _foreign_keys(table_differences, statements)
    schemas = _missing_schemas(differences, sources)
    if any("MODIFY COLUMN" in s or "DROP COLUMN" in s for s in tables):
        # A column of a foreign key cannot be changed while foreign keys are checked.
        tables = ["SET SESSION foreign_key_checks = 0", *tables, "SET SESSION foreign_key_checks = 1"]
    return (*drops, *schemas, *tables, *foreign_keys, *extra)


def _create_statements(name: TableName, target: TableName, sources: Sources) -> CreateStatements:
    return create_statements(
        sources.texts[name], target, source=name, route=sources.selection.target, crossing=sources.crossing
    )


def _table_statements(differences: list[Difference], statements: CreateStatements, sources: Sources) -> list[str]:
    name, target = differences[0].table, differences[0].secondary_table
    copy_again = f"-- then copy its rows: `replica transfer {table_options([name])}`\n"
    if differences[0].aspect is Aspect.MISSING_TABLE:
        notes = "".join(f"-- {printable(n)}\n" for n in statements.notes)
        return [f"{notes}{copy_again}{statements.create}"]
    if any(d.aspect is Aspect.KIND for d in differences):
        return [f"{copy_again}-- of another kind: {printable(f'DROP TABLE {quote_table(target)}')}"]
    alteration = Alteration(sources.primary[name], sources.secondary[target], statements.create)
    return alteration.statements(differences, copy_again)


def _foreign_keys(differences: list[Difference], statements: CreateStatements) -> list[str]:
    if differences[0].aspect is Aspect.MISSING_TABLE:
        return list(statements.foreign_keys)
    wanted = {d.name for d in differences if d.aspect is Aspect.FOREIGN_KEY and d.primary is not None}
    return [s for s in statements.foreign_keys if any(f" CONSTRAINT {quote(n)} FOREIGN KEY" in s for n in wanted)]


def _is_extra_foreign_key(difference: Difference) -> bool:
    """Return True for a foreign key that only the secondary has."""
    return difference.aspect is Aspect.FOREIGN_KEY and difference.secondary is not None


def _drop(difference: Difference) -> str:
    target = difference.secondary_table
    if difference.aspect is Aspect.TRIGGER:
        return f"DROP TRIGGER {quote(target.schema)}.{quote(difference.name)}"
    return f"ALTER TABLE {quote_table(target)} DROP FOREIGN KEY {quote(difference.name)}"


def _missing_schemas(differences: Sequence[Difference], sources: Sources) -> list[str]:
    existing = {name.schema for name in sources.secondary}
    wanted = (d.secondary_table.schema for d in differences if d.aspect is Aspect.MISSING_TABLE)
    return [f"CREATE DATABASE IF NOT EXISTS {quote(s)}" for s in dict.fromkeys(wanted) if s not in existing]
