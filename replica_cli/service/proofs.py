"""Read what `verify` has proven of the tables of each secondary."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from replica_cli.checkpoint.proofs import PROOF_TABLES, ProofStore, RunKind
from replica_cli.checkpoint.schema import existing_state_tables
from replica_cli.core.reports.verify import ProofReport
from replica_cli.mysql.session import connect
from replica_cli.service.ask_each import ask_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replica_cli.core.settings import Server, Settings


def show_proofs(settings: Settings, secondaries: Sequence[Server], differences_limit: int) -> tuple[ProofReport, ...]:
    """Return what is proven on each secondary, with the first rows that differ. Reads only.

    A secondary that cannot be asked has its failure in its report. Raises as `ask_each` does.
    """

    def show(server: Server) -> ProofReport:
        with connect(server, settings.network) as session:
            if not existing_state_tables(session, settings.state_schema) >= PROOF_TABLES:
                return ProofReport(server.name)
            store = ProofStore(session, settings.state_schema, server.name)
            run = store.last_run()
            scrub = ProofStore(session, settings.state_schema, server.name, RunKind.SCRUB).last_run()
            newest = max((r for r in (run, scrub) if r is not None), key=lambda r: r.number, default=None)
            return ProofReport(
                server.name,
                tuple(store.proofs()),
                tuple(sorted(newest.refused.items())) if newest else (),
                tuple(islice(store.differences(), differences_limit)),
                sum(store.difference_counts().values()),
                is_unfinished=run is not None and not run.is_done,
                has_run=newest is not None,
            )

    return ask_each(secondaries, show, lambda server, failure: ProofReport(server.name, failure=failure))
