"""Keep the position of tables that a re-sync brings up to the running stream, in these tables' own records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replica_cli.checkpoint.intents import IntentStore
from replica_cli.checkpoint.positions import PositionStore
from replica_cli.core.errors import ReplicaError
from replica_cli.core.status import TableState
from replica_cli.sqlbuilder.identifiers import quote
from replica_cli.sqlbuilder.literals import text_literal

if TYPE_CHECKING:
    from collections.abc import Collection

    from replica_cli.checkpoint.intents import Intent
    from replica_cli.checkpoint.positions import Advance
    from replica_cli.core.position import Position
    from replica_cli.core.table import TableName
    from replica_cli.mysql.session import Session


class JoinLost(ReplicaError):
    """The records of the tables have changed: somebody requested a new copy, or another process took over."""

    code = "join_lost"


class JoinPositions(PositionStore):
    """The position up to which some tables are applied, kept as the start of their records.

    It advances only while the stream's fencing token is that of this process.
    """

    def __init__(
        self, session: Session, state_schema: str, instance: str, names: Collection[TableName], start: Position
    ) -> None:
        super().__init__(session, state_schema, instance)
        self._saved = self._sent = start
        self._records = f"{quote(state_schema)}.table_status"
        self._names = names

    def advance_statement(self, advance: Advance, token: int) -> bytes:
        """Return the UPDATE that advances the records, for the same packet as the rows; it must match each record.

        It matches only the position that was saved last: whatever the isolation level, nothing is applied twice from
        it.
        """
        position = self._sent = advance.position
        return (
            f"UPDATE {self._records} SET start_file = {text_literal(position.file)}, start_pos = {position.pos}, "
            f"start_gtid = {text_literal(position.gtid)}, updated_at = UTC_TIMESTAMP(6) WHERE {self._condition(token)}"
        ).encode()

    def touch_statement(self, token: int) -> bytes:
        """Return an UPDATE that matches the records only while they are unchanged and the token is valid."""
        return f"UPDATE {self._records} SET updated_at = UTC_TIMESTAMP(6) WHERE {self._condition(token)}".encode()

    def check_advanced(self, found_rows: int) -> None:
        """Raise JoinLost unless the UPDATE matched every record."""
        if found_rows != len(self._names):
            raise JoinLost(f"{self._instance}: the records of the joining tables were changed")
        self._saved = self._sent

    def _condition(self, token: int) -> str:
        instance = text_literal(self._instance)
        names = ", ".join(f"({text_literal(n.schema)}, {text_literal(n.table)})" for n in sorted(self._names))
        return (
            f"instance = {instance} AND state = '{TableState.JOINING}' AND (schema_name, table_name) IN ({names}) "
            f"AND start_file = {text_literal(self._saved.file)} AND start_pos = {self._saved.pos} "
            f"AND EXISTS (SELECT 1 FROM {self._table} WHERE instance = {instance} AND token = {token})"
        )


class NoIntents(IntentStore):
    """A store without an intent: only the stream runs statements, so there is no intent to finish or to delete."""

    def load(self) -> Intent | None:
        """Return None."""
        return None
