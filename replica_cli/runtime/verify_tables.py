"""Read which tables can be compared, and how: the catalogs of both servers, and the selection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_changes import TableChanges
from replica_cli.core.selection import pattern_of
from replica_cli.mysql.catalog.table_definitions import read_catalog, read_tables, selected_schemas
from replica_cli.mysql.facts import read_facts
from replica_cli.mysql.session import connect
from replica_cli.sqlbuilder.rows.row_texts import Sides
from replica_cli.verify.cascades import Cascades
from replica_cli.verify.tables import NotComparable, VerifiedTable, cascades_into, plan_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.settings import Server, Settings
    from replica_cli.core.table import TableDefinition
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class ComparedTables:
    """The tables to compare.

    Attributes:
        facts: the primary's facts.
        tables: the tables.
        refused: tables that cannot be compared, with the reasons.
        sequences: the sequences of MariaDB, which have no rows to compare.
        gone: wanted tables that the primary does not have any more.
    """

    facts: ServerFacts
    tables: tuple[VerifiedTable, ...]
    refused: Mapping[TableName, str]
    sequences: tuple[TableName, ...] = ()
    gone: frozenset[TableName] = frozenset()

    @property
    def names(self) -> frozenset[TableName]:
        """Return the tables that get a verdict: those to compare, and those that cannot be compared."""
        return frozenset((*(t.name for t in self.tables), *self.refused))


@dataclass(frozen=True, slots=True)
class Instance:
    """A secondary with its settings, and sessions to both servers."""

    settings: Settings
    server: Server
    primary: Session
    secondary: Session


def read_compared_tables(instance: Instance, patterns: Sequence[str]) -> ComparedTables:
    """Return the selected tables whose names match a pattern, all if there is no pattern. Raises ServerError."""
    primary, selection = instance.primary, instance.settings.selection
    wanted = pattern_of(tuple(patterns)) if patterns else None
    own = read_catalog(primary, selected_schemas(primary, selection))
    names = [name for name in own if selection.target(name) is not None and (wanted is None or wanted.match(str(name)))]
    return _compared(instance, own, names)


def read_compared_again(
    settings: Settings, server: Server, names: Sequence[TableName]
) -> dict[TableName, VerifiedTable | str]:
    """Return how to compare some tables now, or why they cannot be compared; without those that are gone.

    Raises ServerError.
    """
    if not names:
        return {}
    with (
        connect(settings.primary, settings.network) as primary,
        connect(server, settings.network) as secondary,
    ):
        compared = read_named_tables(Instance(settings, server, primary, secondary), names)
    return {**{t.name: t for t in compared.tables}, **compared.refused}


def read_named_tables(instance: Instance, names: Sequence[TableName]) -> ComparedTables:
    """Return some tables, without those of the primary's tables that have nothing to do with them.

    Raises ServerError.
    """
    own = _with_parents(instance.primary, names)
    present = [name for name in names if name in own and instance.settings.selection.target(name) is not None]
    compared = _compared(instance, own, present)
    return replace(compared, gone=frozenset(names) - frozenset(present))


def _with_parents(primary: Session, names: Sequence[TableName]) -> dict[TableName, TableDefinition]:
    """Return the definitions of tables, and of those from which foreign keys that act lead to them."""
    definitions: dict[TableName, TableDefinition] = {}
    wanted = set(names)
    asked: set[TableName] = set()
    while wanted:
        read = read_tables(primary, sorted(wanted))
        definitions |= read
        asked |= wanted
        wanted = {key.parent for table in read.values() for key in table.foreign_keys if key.acts} - asked
    return definitions


def _compared(
    instance: Instance, own: Mapping[TableName, TableDefinition], names: Sequence[TableName]
) -> ComparedTables:
    settings, primary, secondary = instance.settings, instance.primary, instance.secondary
    selection = settings.selection
    # A statement is noted before it runs, so what is read after this is not older than the notes.
    changes = TableChanges(secondary, settings.state_schema, instance.server.name).load(names)
    facts = read_facts(primary)
    sides = Sides(primary.is_mariadb, secondary.is_mariadb)
    targets = {name: target for name in own if (target := selection.target(name)) is not None}
    others = read_tables(secondary, [targets[name] for name in names])
    tables, refused, sequences = [], {}, []
    for name in names:
        if own[name].is_sequence:
            sequences.append(name)
            continue
        cascades = Cascades() if facts.logs_cascades else cascades_into(own[name], own, targets)
        try:
            tables.append(plan_table(own[name], others.get(targets[name]), sides, cascades, changes.get(name, "")))
        except NotComparable as error:
            refused[name] = str(error)
    return ComparedTables(facts, tuple(tables), refused, tuple(sequences))
