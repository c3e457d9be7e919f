"""Decides what a statement that the secondary refuses means: its table is copied again, or its table has failed.

A copy makes the table from the primary's own definition: it leaves out or translates parts of it, and names what it
cannot make. So a definition that the secondary cannot run as it is written is left to a copy.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import transaction_position
from replica_cli.checkpoint.table_records import OF_SECONDARY
from replica_cli.core.commands import passing_advice
from replica_cli.core.errors import ApplyRefused, LockWait, TableChangedInWindow
from replica_cli.core.wording import counted
from replica_cli.mysql.errnos import (
    CANNOT_DROP,
    ER_LOCK_WAIT_TIMEOUT,
    ER_TABLE_EXISTS,
    OF_DEFINITIONS,
    RIGHTS,
    Remedy,
    ServerError,
    is_of_table,
)
from replica_cli.sqlbuilder.statements.shown_text import shown
from replica_cli.sqlbuilder.statements.side_effects import makes_new_table
from replica_cli.sqlbuilder.statements.statement import StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replica_cli.applier.ddl.secondary_names import SecondaryNames
    from replica_cli.applier.ddl.statement_effects import StatementEffects
    from replica_cli.applier.ddl.statement_runner import StatementRunner
    from replica_cli.core.errors import ReplicaError
    from replica_cli.core.events import Transaction
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session
    from replica_cli.sqlbuilder.statements.statement import ParsedStatement

logger = logging.getLogger(__name__)

_DEFINING = (StatementKind.CREATE_TABLE, StatementKind.ALTER_TABLE)


class Refusals:
    """Translates an error of the secondary into the error of a statement. `session` is the one that runs statements."""

    def __init__(
        self, session: Session, names: SecondaryNames, effects: StatementEffects, runner: StatementRunner
    ) -> None:
        self._session = session
        self._names = names
        self._effects = effects
        self._runner = runner

    @contextlib.contextmanager
    def translating(self, parsed: ParsedStatement, transaction: Transaction, *, is_new: bool = False) -> Iterator[None]:
        """Turn a refusal by the secondary into the failure of the statement's table, so that the stream can go on.

        Args:
            parsed: the statement.
            transaction: its transaction.
            is_new: True if the statement makes a table that the secondary did not have.

        Raises:
            LockWait: if the statement was interrupted, as by a lock that another connection holds.
            TableChangedInWindow: if the tables are to be copied again.
            ApplyRefused: for every other refusal.
            ServerError: for the primary's errors, and for errors that are not about the statement.

        """
        try:
            yield
        except ServerError as error:
            is_of_secondary = error.server == self._session.server.name
            if not is_of_secondary or not (is_of_table(error) or error.remedy is Remedy.RETRY):
                raise
            # Only at DEBUG: the server's own text may quote values of a row.
            logger.debug("%s", error.text)
            selected = self._names.selected(parsed)
            if error.remedy is Remedy.RETRY:
                raise self._interrupted(error, parsed, selected) from error
            passing = passing_advice(self._session.server.name, transaction.end)
            hint = f"change the secondary so that it can run, or run it by hand; then {passing}"
            raise self._refusal(error, parsed, selected, is_new=is_new, hint=hint) from error

    def check_attempts(self, parsed: ParsedStatement, transaction: Transaction) -> None:
        """Raise LockWait if attempts that lost their connections have used up the time that the statement may wait."""
        if attempts := self._runner.lost_attempts(transaction_position(transaction)):
            selected = self._names.selected(parsed)
            raise LockWait(
                f"{parsed.kind} lost its connection to {self._session.server.name} in {counted(attempts, 'attempt')}, "
                f"which took as long as a statement may wait for a lock: {shown(parsed)}",
                hint="end the transaction or query that uses the table there, and let no proxy or firewall cut an idle "
                "connection; then start the stream again",
                table=next(iter(selected), None),
            )

    def _refusal(
        self, error: ServerError, parsed: ParsedStatement, selected: Sequence[TableName], *, is_new: bool, hint: str
    ) -> ReplicaError:
        """Return TableChangedInWindow if a copy can make the refused definition, else ApplyRefused."""
        message = f"{error.server} refuses a statement (error {error.errno}): {shown(parsed)}"
        if error.errno == ER_TABLE_EXISTS and makes_new_table(parsed) and not is_new:
            message += f"; {OF_SECONDARY}"
        is_of_definition = error.errno in OF_DEFINITIONS or (
            error.errno in CANNOT_DROP and self._has_other_names(parsed)
        )
        may_copy = is_of_definition or (is_new and error.errno not in RIGHTS)
        if parsed.kind in _DEFINING and selected and may_copy:
            return TableChangedInWindow(tuple(dict.fromkeys(selected)), message)
        return ApplyRefused(message, hint=hint, table=next(iter(selected), None))

    def _interrupted(self, error: ServerError, parsed: ParsedStatement, selected: Sequence[TableName]) -> LockWait:
        is_lock = error.errno == ER_LOCK_WAIT_TIMEOUT
        what = "waits for a lock that another connection holds" if is_lock else "was interrupted"
        return LockWait(
            f"{parsed.kind} {what} on {error.server} (error {error.errno}): {shown(parsed)}",
            hint="end the transaction or query that uses the table there, then start the stream again",
            table=next(iter(selected), None),
        )

    def _has_other_names(self, parsed: ParsedStatement) -> bool:
        """Return True if the secondary may have a constraint under another name than that which a statement drops."""
        missing = self._effects.missing_constraints(parsed)
        return bool(missing.names) and not missing.is_left_out
