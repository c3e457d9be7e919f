"""Compare a secondary's tables with the primary's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.core.differences import DriftReport
from replica_cli.drift.comparison import compare_catalogs
from replica_cli.drift.repair import Sources, repair_statements, tables_to_show
from replica_cli.mysql.catalog import read_catalog, read_tables, replicated_schemas, show_create
from replica_cli.mysql.session import connect
from replica_cli.service.ask_each import ask_each
from replica_cli.sqlbuilder.definition_crossing import Crossing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server, Settings

__all__ = ["DriftReport", "check_drift", "check_each_drift"]


def check_each_drift(settings: Settings, secondaries: Sequence[Server]) -> tuple[DriftReport, ...]:
    """Compare each secondary with the primary. Reads only.

    A secondary that cannot be asked is a report with its failure. Raises the primary's error, and the first secondary's
    if none of them could be asked.
    """
    return ask_each(
        secondaries,
        lambda server: check_drift(settings, server),
        lambda server, failure: DriftReport(server.name, (), (), failure=failure),
    )


def check_drift(settings: Settings, secondary: Server) -> DriftReport:
    """Compare the selected tables of one secondary with the primary's, and write the SQL that ends the differences.

    Reads only. Raises ServerError where a side does not answer.
    """
    selection = settings.selection
    with connect(settings.primary, settings.network) as source, connect(secondary, settings.network) as target:
        schemas = replicated_schemas(source, selection)
        primary = read_catalog(source, schemas)
        targets = [t for s in schemas if (t := selection.schema_target(s)) is not None]
        theirs = read_catalog(target, targets, filter(None, map(selection.target, primary)))
        # What the primary does not list may be there all the same: see `read_catalog`.
        names = {name for name in map(selection.source, theirs) if name is not None}
        primary |= read_tables(source, sorted(names - primary.keys()))
        crossing = Crossing(source.is_mariadb, target.is_mariadb)
        found = compare_catalogs(primary, theirs, selection, crossing if crossing.is_needed else None)
        accepted = tuple(d for d in found if any(a.accepts(d) for a in settings.accepted_drift))
        differences = tuple(d for d in found if d not in accepted)
        texts = {name: show_create(source, name) for name in tables_to_show(differences)}
        statements = repair_statements(differences, Sources(primary, theirs, texts, selection, crossing))
    return DriftReport(secondary.name, differences, statements, accepted)
