"""Keep the intent of a DDL statement: written before the statement runs, deleted with the position after it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replica_cli.checkpoint.table_changes import TableChanges
from replica_cli.core.position import Position
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.core.events import Statement, Transaction
    from replica_cli.core.names import TableName
    from replica_cli.mysql.session import Session


@dataclass(frozen=True, slots=True)
class Intent:
    """A statement and the position at which its transaction begins. Hashes are sha256 in hex.

    `before_hash` is that of the tables' definitions before the statement: it tells whether the statement has run.
    """

    position: Position
    statement_hash: str
    before_hash: str
    statement: str


class IntentStore:
    """One instance's row in `ddl_intent`."""

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.ddl_intent"
        self._instance = instance
        self._changes = TableChanges(session, state_schema, instance)

    def load(self) -> Intent | None:
        """Return the intent that was left, None if there is none."""
        row = self._session.row(
            f"SELECT file, pos, gtid, statement_hash, before_hash, statement FROM {self._table} WHERE instance = %s",
            self._instance,
        )
        if row is None:
            return None
        file, pos, gtid, statement_hash, before_hash, statement = row
        return Intent(Position(str(file), int(pos), str(gtid)), str(statement_hash), str(before_hash), str(statement))

    def left_of(self, statement: Statement, transaction: Transaction) -> Intent | None:
        """Return the intent that an earlier attempt to run the same statement left, None if there is none."""
        left = self.load()
        if left is None or left.statement_hash != digest(statement):
            return None
        return left if left.position.is_same_transaction(transaction_position(transaction)) else None

    def save(self, intent: Intent, tables: Collection[TableName]) -> None:
        """Write the intent, and before it that the statement changes tables, by the primary's names."""
        self._changes.note(tables, intent.position)
        self._session.execute(
            f"REPLACE INTO {self._table}"
            " (instance, file, pos, gtid, statement_hash, before_hash, statement, started_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, UTC_TIMESTAMP(6))",
            self._instance, intent.position.file, intent.position.pos, intent.position.gtid,
            intent.statement_hash, intent.before_hash, intent.statement,
        )  # fmt: skip

    def forget(self) -> None:
        """Delete the intent of a statement that did not run, or that will not run again."""
        self._session.execute(self.forget_statement())

    def forget_statement(self) -> bytes:
        """Return the DELETE that goes into the transaction of the position after the statement."""
        return f"DELETE FROM {self._table} WHERE instance = {text_literal(self._instance)}".encode()


def digest(statement: Statement) -> str:
    """Return the hash by which an intent recognises its statement."""
    return hashlib.sha256(statement.text).hexdigest()


def transaction_position(transaction: Transaction) -> Position:
    """Return the position that a transaction's intent has.

    Its GTID is the transaction's own: the set that was executed before it is not always known.
    """
    return replace(transaction.start, gtid=transaction.gtid)
