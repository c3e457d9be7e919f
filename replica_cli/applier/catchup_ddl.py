"""Applying to a few tables beside the stream, up to where the stream is: nothing but their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.ddl_decisions import DdlDecisions
from replica_cli.applier.ddl_schemas import empties_schema
from replica_cli.applier.decision import Decision, Verdict
from replica_cli.applier.window import TableChangedInWindow
from replica_cli.core.errors import ReplicaError
from replica_cli.core.events import XaPhase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replica_cli.applier.window import Windows
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.sqlbuilder.statement import ParsedStatement


class CatchupDdlPolicy(DdlDecisions):
    """Lets no statement run: others are the stream's, and one on a table that joins makes its copy begin again."""

    def decide(
        self,
        statement: Statement,  # noqa: ARG002 - the signature of all
        parsed: ParsedStatement,
        transaction: Transaction,
        windows: Windows,
    ) -> Decision:
        """Return IGNORE. Raises TableChangedInWindow for a statement on a joining table or its schema."""
        schema = parsed.schema if empties_schema(parsed) else ""
        named = {*parsed.tables, *parsed.parts}
        touched = [t for t in windows.records if t in named or t.schema == schema]
        if touched:
            raise TableChangedInWindow(tuple(touched), f"{parsed.kind} at {transaction.start}, before it had joined")
        return Decision(Verdict.IGNORE, "the stream's")


class PreparedTransactionOverlap(ReplicaError):
    """A prepared transaction may hold rows of a joining table that were logged before its copy began."""

    code = "xa_met"


def without_xa(transactions: Iterable[Transaction], empty: set[str]) -> Iterator[Transaction]:
    """Yield transactions; those of XA only as places, where it is certain that no row of ours is in them.

    `empty` remembers the ids that were prepared without a row of ours. Raises XaMet where one may be.
    """
    for transaction in transactions:
        step = transaction.xa
        if step is None:
            yield transaction
            continue
        if transaction.changes or (step.phase is XaPhase.COMMIT and step.xid not in empty):
            raise PreparedTransactionOverlap(f"XA {step.xid} at {transaction.start}")
        if step.phase is XaPhase.PREPARE:
            empty.add(step.xid)
        else:
            empty.discard(step.xid)
        yield transaction._replace(xa=None)
