"""Decide about statements and XA transactions during a catch-up, which applies only rows of the re-copied tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.applier.ddl.decision import Decision, Verdict
from replica_cli.applier.ddl.decisions import DdlDecisions
from replica_cli.applier.ddl.schema_statements import empties_schema
from replica_cli.core.errors import PreparedTransactionOverlap, TableChangedInWindow
from replica_cli.core.events import XaPhase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replica_cli.applier.window import Windows
    from replica_cli.core.events import Statement, Transaction
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement


class CatchupDdlPolicy(DdlDecisions):
    """Lets no statement run during a catch-up.

    Statements on other tables belong to the stream. A statement on a table of the catch-up means that its copy must
    begin again.
    """

    def decide(
        self,
        statement: Statement,  # noqa: ARG002 - the signature of `DdlDecisions.decide`
        parsed: ParsedStatement,
        transaction: Transaction,
        windows: Windows,
    ) -> Decision:
        """Return IGNORE.

        Raises TableChangedInWindow for a statement on a table of the catch-up, or if it drops all tables of its schema.
        """
        schema = parsed.schema if empties_schema(parsed) else ""
        named = {*parsed.tables, *parsed.parts}
        touched = [t for t in windows.records if t in named or t.schema == schema]
        if touched:
            raise TableChangedInWindow(
                tuple(touched), f"{parsed.kind} at {transaction.start}, before it joined the stream"
            )
        return Decision(Verdict.IGNORE, "the stream applies it")


def without_xa(transactions: Iterable[Transaction], empty_xids: set[str]) -> Iterator[Transaction]:
    """Yield transactions. An XA transaction that certainly has no row of the re-copied tables only moves the position.

    `empty_xids` remembers the ids that were prepared without a row of these tables; this function adds and removes ids.
    Raises PreparedTransactionOverlap if an XA transaction may hold such a row.
    """
    for transaction in transactions:
        step = transaction.xa
        if step is None:
            yield transaction
            continue
        if transaction.changes or (step.phase is XaPhase.COMMIT and step.xid not in empty_xids):
            raise PreparedTransactionOverlap(f"XA {step.xid} at {transaction.start} may hold rows from before the copy")
        if step.phase is XaPhase.PREPARE:
            empty_xids.add(step.xid)
        else:
            empty_xids.discard(step.xid)
        yield transaction._replace(xa=None)
