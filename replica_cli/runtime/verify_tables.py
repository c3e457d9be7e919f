"""Read which tables can be compared, and how: the catalogs of both servers, and the selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replica_cli.core.selection import pattern_of
from replica_cli.mysql.catalog.table_definitions import read_catalog, read_tables, selected_schemas
from replica_cli.mysql.facts import read_facts
from replica_cli.sqlbuilder.rows.row_texts import Sides
from replica_cli.verify.tables import NotComparable, VerifiedTable, cascade_parents, plan_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replica_cli.core.names import TableName
    from replica_cli.core.selection import Selection
    from replica_cli.mysql.facts import ServerFacts
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class ComparedTables:
    """The tables to compare.

    Attributes:
        facts: the primary's facts.
        tables: the tables.
        refused: tables that cannot be compared, with the reasons.
    """

    facts: ServerFacts
    tables: tuple[VerifiedTable, ...]
    refused: Mapping[TableName, str]


def read_compared_tables(
    primary: Session, secondary: Session, selection: Selection, patterns: Sequence[str]
) -> ComparedTables:
    """Return the selected tables whose names match a pattern, all if there is no pattern. Raises ServerError."""
    wanted = pattern_of(tuple(patterns)) if patterns else None
    facts = read_facts(primary)
    sides = Sides(primary.is_mariadb, secondary.is_mariadb)
    own = read_catalog(primary, selected_schemas(primary, selection))
    targets = {
        name: target
        for name in own
        if (target := selection.target(name)) is not None and (wanted is None or wanted.match(str(name)))
    }
    others = read_tables(secondary, list(targets.values()))
    tables, refused = [], {}
    for name, target in targets.items():
        parents = () if facts.logs_cascades else cascade_parents(own[name], own)
        try:
            tables.append(plan_table(own[name], others.get(target), sides, parents))
        except NotComparable as error:
            refused[name] = str(error)
    return ComparedTables(facts, tuple(tables), refused)
