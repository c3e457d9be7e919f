"""Keep the changes of transactions that are prepared on the primary (XA PREPARE), until XA COMMIT or XA ROLLBACK.

They are written and deleted in the transaction of the position, like rows. So if the position is after an XA PREPARE,
its changes are saved, and nothing before the position is needed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from replica_cli.mysql.session import Session


class PreparedStore:
    """One instance's rows in `xa_prepared`: a numbered list of chunks for each XA id, in which number 0 always exists.

    The statements are for the writer's transaction, and `session` reads in the same transaction.
    """

    def __init__(self, session: Session, state_schema: str, instance: str) -> None:
        self._session = session
        self._table = f"{quote(state_schema)}.xa_prepared"
        self._instance = instance

    def add_statement(self, xid: str, number: int, data: bytes) -> bytes:
        """Return the INSERT of one chunk. Its text is a little longer than twice the chunk."""
        head = (
            f"INSERT INTO {self._table} (instance, xid, number, data, prepared_at) VALUES "
            f"({text_literal(self._instance)}, {text_literal(xid)}, {number}, "
        )
        literal = b"X'" + data.hex().encode() + b"'"
        return head.encode() + literal + b", UTC_TIMESTAMP(6))"

    def forget_statement(self, xid: str) -> bytes:
        """Return the DELETE of all chunks of an XA id."""
        return (
            f"DELETE FROM {self._table} WHERE instance = {text_literal(self._instance)} AND xid = {text_literal(xid)}"
        ).encode()

    def chunk(self, xid: str, number: int) -> bytes | None:
        """Return one chunk, None after the last one."""
        row = self._session.row(
            f"SELECT data FROM {self._table} WHERE instance = {text_literal(self._instance)} "
            f"AND xid = {text_literal(xid)} AND number = {number}"
        )
        return None if row is None else bytes(row[0])
