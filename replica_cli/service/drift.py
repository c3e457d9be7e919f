"""Compare the definitions of a secondary's tables with the primary's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.differences import DriftReport
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.drift.repair import Sources, repair_statements, tables_to_show
from replica_cli.mysql.catalog.table_definitions import read_catalog, read_tables, replicated_schemas, show_create
from replica_cli.mysql.session import connect
from replica_cli.service.ask_each import ask_each
from replica_cli.sqlbuilder.definitions.crossing import Crossing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server, Settings

__all__ = ["DriftReport", "check_drift", "check_each_drift"]


def check_each_drift(settings: Settings, secondaries: Sequence[Server]) -> tuple[DriftReport, ...]:
    """Compare each secondary with the primary. Reads only.

    A secondary that cannot be asked has its failure in its report. Raises the error of the primary, and the first error
    if no secondary could be asked.
    """
    return ask_each(
        secondaries,
        lambda server: check_drift(settings, server),
        lambda server, failure: DriftReport(server.name, (), (), failure=failure),
    )


def check_drift(settings: Settings, secondary: Server) -> DriftReport:
    """Compare the selected tables of one secondary with the primary's, and write the SQL that ends the differences.

    Reads only. Raises ServerError if a server does not answer.
    """
    selection = settings.selection
    with connect(settings.primary, settings.network) as source, connect(secondary, settings.network) as target:
        schemas = replicated_schemas(source, selection)
        primary_tables = read_catalog(source, schemas)
        targets = [t for s in schemas if (t := selection.schema_target(s)) is not None]
        secondary_tables = read_catalog(target, targets, filter(None, map(selection.target, primary_tables)))
        # A table may exist on the primary although the list does not contain it: see `read_catalog`.
        names = {name for name in map(selection.source, secondary_tables) if name is not None}
        primary_tables |= read_tables(source, sorted(names - primary_tables.keys()))
        crossing = Crossing(source.is_mariadb, target.is_mariadb)
        all_differences = compare_catalogs(
            primary_tables, secondary_tables, selection, crossing if crossing.is_needed else None
        )
        accepted = tuple(d for d in all_differences if any(a.accepts(d) for a in settings.accepted_drift))
        differences = tuple(d for d in all_differences if d not in accepted)
        texts = {name: show_create(source, name) for name in tables_to_show(differences)}
        statements = repair_statements(
            differences, Sources(primary_tables, secondary_tables, texts, selection, crossing)
        )
    return DriftReport(secondary.name, differences, statements, accepted)
